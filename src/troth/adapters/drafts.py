"""A workspace folder's drafts as bytes by name; nothing here decides anything."""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from troth import crypto
from troth.adapters.mapfiles import map_drafts
from troth.engines import notices
from troth.errors import InvalidInput, NotFound
from troth.kernel.events import canonical

_FENCE = "+++"


def read_drafts(folder: Path) -> dict[str, bytes]:
    """Return every draft of a workspace by its published name.

    A regime or calendar of the workspace goes before the shipped one of the same name.

    Raises:
        NotFound: There is no troth.toml here.
        InvalidInput: A notice's head does not read, or names a file that is missing.
    """
    config = folder / "troth.toml"
    if not config.is_file():
        raise NotFound("there is no workspace here", "run: troth init DIR")
    out = {"house": config.read_bytes(), **_single(folder)}
    for path in sorted((folder / "notices").glob("*.md")):
        if "." not in path.stem:  # offers.af.md is offers in another language
            out |= _notice(path)
    for kind, place in FOLDERS.items():
        for path in sorted((folder / place).glob("*.toml")):
            out[f"{kind}:{path.stem}"] = path.read_bytes()
    return out | map_drafts(folder) | _shipped(folder)


FOLDERS = {
    "purpose": "purposes",
    "template": "templates",
    "audience": "audiences",
    "content": "content",
    "text": "texts",
    "words": "words",
}
"""Kind of draft → its folder in a workspace; one TOML file each."""


SINGLE = {"asking": "asking.toml", "access": "access.cedar", "access.tests": "access.tests.toml"}
"""Published name → the one file of a workspace it is read from, where that is there."""


def _single(folder: Path) -> dict[str, bytes]:
    found = {name: folder / place for name, place in SINGLE.items()}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file()}


def _shipped(folder: Path) -> dict[str, bytes]:
    """Return rules and calendars: the workspace's own goes before the shipped one."""
    out = {}
    shipped = files("troth") / "data"
    for kind, place in (("regime", "regimes"), ("calendar", "calendars")):
        for file in sorted((shipped / place).iterdir(), key=_name):
            out[f"{kind}:{Path(file.name).stem}"] = file.read_bytes()
        for path in sorted((folder / place).glob("*.toml")):
            out[f"{kind}:{path.stem}"] = path.read_bytes()
    return out


def _name(file: Traversable) -> str:
    return file.name


def _notice(path: Path) -> dict[str, bytes]:
    """Return one draft per version: words, rendered bytes, whether it must be agreed to anew."""
    head, body = split_notice(path.name, path.read_text("utf-8"))
    name = head.get("name", path.stem)
    out = {}
    for version in head.get("versions", [{"number": head.get("version", 1)}]):
        file = version.get("file")
        number = int(version["number"])
        text = body if file is None else _earlier(path, file)
        draft = {
            "name": name,
            "version": number,
            "material": bool(version.get("material", False)),
            "language": head.get("language", "en"),
            "title": head.get("title", name),
            "purposes": head.get("purposes", []),
            "change": str(version.get("change", "")),
            "since": str(version.get("valid_from", "")),
            **_rendered(text),
            "variants": _variants(path, file),
        }
        out[f"notice:{name}@{number}"] = canonical(draft)
    return out


def _rendered(text: str) -> dict[str, str | int]:
    """Return a text with the bytes it is shown as; their hash stands in consent records."""
    html = notices.render(text)
    digest = crypto.sha256(html.encode()).hex()
    return {"text": text, "html": html, "rendered": digest, "renderer": notices.RENDERER}


def _variants(path: Path, file: str | None) -> dict[str, dict[str, str | int]]:
    """Return the same version in other languages: `offers.af.md` beside `offers.md`."""
    base = path if file is None else path.parent / file
    out = {}
    for other in sorted(base.parent.glob(f"{base.stem}.*.md")):
        language = other.stem.removeprefix(f"{base.stem}.")
        head, body = split_notice(other.name, other.read_text("utf-8"))
        out[language] = {"title": str(head.get("title", "")), **_rendered(body)}
    return out


def _earlier(path: Path, name: str) -> str:
    earlier = path.parent / name
    if not earlier.is_file():
        raise InvalidInput(f"notices/{path.name} names {name}, which is missing")
    return split_notice(name, earlier.read_text("utf-8"))[1]


def split_notice(name: str, text: str) -> tuple[dict[str, Any], str]:
    """Split a notice into its TOML head (between two `+++` lines) and its Markdown."""
    if not text.startswith(_FENCE + "\n"):
        return {}, text
    head, found, body = text[len(_FENCE) + 1 :].partition(f"\n{_FENCE}\n")
    if not found:
        raise InvalidInput(f"notices/{name}: the head is not closed", "end it with a line +++")
    try:
        return tomllib.loads(head), body.lstrip("\n")
    except tomllib.TOMLDecodeError as fault:
        raise InvalidInput(f"notices/{name}: {fault}") from None
