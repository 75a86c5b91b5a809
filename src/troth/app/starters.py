"""Starters: templates to begin from, filled with a workspace's own facts and with nothing else.

A starter is a template with the brand's own facts still to be filled in (`$brand`, `$postal`):
they come from `troth.toml` and the purposes.
"""

import html
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template as Words
from typing import Any

from troth.capabilities.outreach import footer
from troth.engines import mail
from troth.engines.mail.contrast import LEAST, contrast
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel.house import read_purpose
from troth.terms import Purpose, PurposeKind

PALETTE: Mapping[str, str] = {
    "ground": "#f2f1ee", "sheet": "#ffffff", "foot": "#eae8e3", "band": "#ffffff",
    "on_band": "#23211e", "ink": "#23211e", "soft": "#565249", "accent": "#1f5a50",
    "dark_ground": "#141615", "dark_sheet": "#1d201f", "dark_foot": "#191c1b",
    "dark_band": "#1d201f", "dark_ink": "#e8e9e5", "dark_soft": "#b4b8b1",
    "dark_accent": "#8fd0c2",
}  # fmt: skip
"""Quiet colours for a brand that names none under [brands.NAME.colours]."""
_READ_ON = (
    ("on_band", "band"), ("ink", "sheet"), ("soft", "sheet"), ("soft", "foot"),
    ("accent", "sheet"), ("accent", "foot"), ("dark_ink", "dark_sheet"),
    ("dark_soft", "dark_sheet"), ("dark_soft", "dark_foot"), ("dark_accent", "dark_sheet"),
    ("dark_accent", "dark_foot"), ("dark_ink", "dark_band"),
)  # fmt: skip
_ORDER = ("welcome", "newsletter", "winback", "service", "ask", "notice-changed")
_OFTEN = "Only when there is something worth your time"


@dataclass(frozen=True, slots=True)
class Starter:
    """A template to begin from.

    Attributes:
        kind: Kind of the purpose it is written for.
        about: One line for a list.
    """

    name: str
    kind: str
    about: str


@cache
def starters() -> tuple[Starter, ...]:
    """List what a template can begin from."""
    read = {name: _starter(name) for name in _ORDER}
    return tuple(Starter(name, data["kind"], data["about"]) for name, data in read.items())


def _starter(name: str) -> dict[str, Any]:
    if name not in _ORDER:
        raise NotFound("there is no such starter", f"use one of {', '.join(_ORDER)}")
    return tomllib.loads((files("troth") / f"data/templates/{name}.toml").read_text("utf-8"))


def begin(given: Mapping[str, bytes], name: str, starter: str, purpose: str = "") -> str:
    """Fill a starter with a workspace's own facts; return the new template's text.

    Args:
        given: The workspace's drafts or published versions, by name: `house`, `purpose:NAME`.
        name: Name of the new template.
        starter: Name of the starter.
        purpose: What it is written for; "" takes the workspace's purpose of the starter's kind.

    Raises:
        NotFound: There is no such starter or purpose.
        InvalidInput: `troth.toml` lacks what the starter must say, or its colours are unreadable.
    """
    data = _starter(starter)
    kind = PurposeKind(data.pop("kind"))
    data.pop("about")
    house = tomllib.loads(given["house"].decode())
    purposes = {
        key.removeprefix("purpose:"): read_purpose(key.removeprefix("purpose:"), raw)
        for key, raw in given.items()
        if key.startswith("purpose:")
    }
    meant = _purpose(purposes, kind, purpose, starter)
    asks = kind is PurposeKind.CONSENT_REQUEST  # its parent is what it asks about
    words = _words(house, meant, purposes.get(meant.parent, meant) if asks else meant)
    filled = _filled({**data, "name": name}, words)
    return mail.write_template(filled, f"# Begun from the starter {starter}.\n")


def _purpose(
    purposes: Mapping[str, Purpose], kind: PurposeKind, named: str, starter: str
) -> Purpose:
    fitting = [p for p in purposes.values() if p.kind is kind and p.channels]
    parents = {p.parent for p in fitting}
    leaves = [p for p in fitting if p.name not in parents] or fitting
    found = [p for p in fitting if p.name == named] if named else leaves
    if not found:
        raise NotFound(
            f"there is no purpose of the kind {kind}", "write purposes/NAME.toml, or add --purpose"
        )
    same = [p for p in found if p.name == starter]
    return (same or sorted(found, key=lambda p: (p.name == "newsletter", p.name)))[0]


def _words(house: Mapping[str, Any], purpose: Purpose, wanted: Purpose) -> dict[str, str]:
    """Return what a starter's placeholders stand for."""
    party = house.get("house", {})
    brand: Mapping[str, Any] = next(iter(house.get("brands", {}).values()), {})
    domain = brand.get("domain", "")
    my = brand.get("base_url", f"https://my.{domain}")
    cap = house.get("limits", {}).get("marketing_per_30_days")
    said = {
        "brand": brand.get("title", ""),
        "party": party.get("name", ""),
        "postal": party.get("address", ""),
        "contact": party.get("privacy_contact", ""),
        "officer": party.get("information_officer", ""),
        "host": domain,
        "site": f"https://{domain}",
        "my": my,
        "my_host": my.removeprefix("https://").partition("/")[0],
        "purpose": purpose.name,
        "purpose_title": wanted.title,
        "goods": footer.listed([g.replace("_", " ") + " goods" for g in sorted(wanted.goods)]),
        "often": f"At most {cap} messages in 30 days" if cap else _OFTEN,
    }
    for key in ("brand", "party", "postal", "contact", "host"):
        if not said[key]:
            raise InvalidInput(f"troth.toml does not say {_WHERE[key]}", "write it there first")
    return said | brand_colours(brand.get("colours", {}))


_WHERE = {
    "brand": "the brand's title", "party": "house.name", "postal": "house.address",
    "contact": "house.privacy_contact", "host": "the brand's domain",
}  # fmt: skip


def brand_colours(named: Mapping[str, str]) -> dict[str, str]:
    """Return a brand's colours, the quiet ones where it names none.

    Raises:
        InvalidInput: One is unknown, or text in one could not be read on another.
    """
    unknown = named.keys() - PALETTE.keys()
    if unknown:
        raise InvalidInput(f"troth.toml: no colour is called {min(unknown)}",
                           f"use {', '.join(PALETTE)}")  # fmt: skip
    colours = {**PALETTE, **named}
    for ink, ground in _READ_ON:
        if contrast(colours[ink], colours[ground]) < LEAST:
            raise InvalidInput(
                f"troth.toml: {ink} on {ground} cannot be read: contrast below {LEAST}",
                "choose colours further apart",
            )
    return colours


def _filled(data: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    escaped = {key: html.escape(value, quote=False) for key, value in words.items()}

    def fill(key: str, value: object) -> Any:  # noqa: ANN401 - TOML holds anything
        if isinstance(value, str):
            return Words(value).safe_substitute(escaped if key == "mjml" else words)
        if isinstance(value, list):
            return list(dict.fromkeys(fill(key, each) for each in value))
        return _filled(value, words) if isinstance(value, dict) else value

    return {key: fill(key, value) for key, value in data.items()}


def write_new(
    folder: Path, given: Mapping[str, bytes], name: str, starter: str, purpose: str = ""
) -> Path:
    """Write a new template's file from a starter.

    Args:
        folder: The workspace.
        given: Drafts or published versions, see `begin`.
        name: The new template's.
        starter: What to begin from.
        purpose: See `begin`.

    Raises:
        Conflict: There is one of this name already; nothing was touched.
        NotFound: See `begin`.
        InvalidInput: See `begin`.
    """
    text = begin(given, name, starter, purpose)
    path = folder / "templates" / f"{name}.toml"
    if path.exists() or f"template:{name}" in given:
        raise Conflict(f"templates/{name}.toml is there already", "choose another name")
    write_file(path, text)
    return path


def write_file(path: Path, text: str) -> None:
    """Write a template's file whole or not at all.

    Raises:
        Unavailable: The folder cannot be written.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(text.encode())
        fresh.replace(path)
    except OSError:
        raise Unavailable(
            f"templates/{path.name} cannot be written", "check owner and mode of the folder"
        ) from None
