"""Notices wired: what is published, in which languages, what changed, and who has to be asked."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from troth.adapters.drafts import split_notice
from troth.engines import notices
from troth.errors import NotFound
from troth.kernel import consent
from troth.kernel.facts import House
from troth.kernel.house import parse_toml
from troth.ports import View
from troth.terms import GRANTING, Instant, PersonRecord


@dataclass(frozen=True, slots=True)
class Shown:
    """A notice version in one language, as its bytes were published.

    Attributes:
        html: The rendered bytes; made by our own renderer, so nothing in them runs.
        digest: SHA-256 of them, as consent records name it.
        material: Whoever agreed to an earlier version is asked again.
        change: What the house says changed.
        since: From when, as the house says; else the day it was published.
        languages: In which it can be read; the first is its own.
    """

    name: str
    version: int
    title: str
    language: str
    text: str
    html: str
    digest: str
    material: bool
    change: str
    since: str
    at: Instant
    purposes: tuple[str, ...]
    languages: tuple[str, ...]

    @property
    def label(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


def shelf(view: View, language: str = "") -> dict[str, list[Shown]]:
    """Return every notice by name, its versions newest first, in a language where there is one."""
    newest = {each.name: each for each in view.published_all("notice:")}
    firsts: dict[str, Instant] = {}
    for each in view.published_all("notice:"):
        firsts.setdefault(each.name, each.at)
    out: dict[str, list[Shown]] = {}
    for each in newest.values():
        made = _shown(each.data, firsts[each.name], language)
        out.setdefault(made.name, []).append(made)
    for versions in out.values():
        versions.sort(key=lambda one: -one.version)
    return dict(sorted(out.items()))


def version(view: View, name: str, number: int, language: str = "") -> Shown:
    """Return one version.

    Raises:
        NotFound: There is none.
    """
    held = view.published(f"notice:{name}@{number}")
    if held is None:
        raise NotFound("there is no such notice", "all of them are listed at /notices")
    firsts = view.published_all(f"notice:{name}@{number}")
    at = min(p.at for p in firsts if p.name == held.name)
    return _shown(held.data, at, language)


def _shown(raw: bytes, at: Instant, language: str) -> Shown:
    told = msgspec.json.decode(raw)
    variants = told.get("variants", {})
    own = str(told["language"])
    spoken = language if language in variants else own
    said = variants[spoken] if spoken != own else told
    html = str(said.get("html") or notices.render(str(said["text"])))
    return Shown(
        name=str(told["name"]),
        version=int(told["version"]),
        title=str(said.get("title") or told["title"]),
        language=spoken,
        text=str(said["text"]),
        html=html,
        digest=str(said.get("rendered", "")),
        material=bool(told["material"]),
        change=str(told.get("change", "")),
        since=str(told.get("since", "")),
        at=at,
        purposes=tuple(told["purposes"]),
        languages=(own, *sorted(variants)),
    )


def changed(before: Shown, after: Shown) -> notices.Changes:
    """Say in words what differs between two versions."""
    return notices.changes(before.text, after.text)


# Who has to be asked again


@dataclass(frozen=True, slots=True)
class Due:
    """A yes that no longer holds, because its notice changed in what matters.

    Attributes:
        channels: What the yes was for; () for a purpose without channels.
        categories: What it covered.
        held: The version agreed to.
        now: The version to answer.
    """

    purpose: str
    channels: tuple[str, ...]
    categories: tuple[str, ...]
    held: Shown
    now: Shown


def due(view: View, house: House, record: PersonRecord, language: str = "") -> list[Due]:
    """Return what a person has to be asked again; their old yes stands still until then."""
    found: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for place, standing in record.standings.items():
        name, _, channel = place.partition("|")
        grant = standing.grant
        if grant is None or name not in house.purposes or not _outdated(grant.notice, house):
            continue
        purpose = house.purposes[name]
        held = consent.resolve(record, purpose, channel, view.now, house.purposes)
        if held.status in GRANTING:
            channels, categories = found.setdefault((name, grant.notice), (set(), set()))
            channels |= {channel} - {""}
            categories |= set(grant.categories)
    known = shelf(view, language)
    out = []
    for (name, label), (channels, categories) in sorted(found.items()):
        title, _, number = label.partition("@")
        named = (name, tuple(sorted(channels)), tuple(sorted(categories)))
        out.append(Due(*named, version(view, title, int(number), language), known[title][0]))
    return out


def _outdated(label: str, house: House) -> bool:
    name, _, number = label.partition("@")
    return number.isdigit() and int(number) < house.material.get(name, 0)


# What the law wants told


@dataclass(frozen=True, slots=True)
class Missing:
    """A duty a draft does not meet, and where to look."""

    file: str
    line: int
    duty: str
    title: str
    source: str
    remedy: str


@cache
def duties() -> tuple[notices.Duty, ...]:
    """Return the shipped duties of notices."""
    path = files("troth") / "data/notices.toml"
    return notices.read_duties(tomllib.loads(path.read_text("utf-8")))


def missing(folder: Path, house: bytes) -> list[Missing]:
    """Name what the newest version of each notice draft does not tell, with file and line.

    Args:
        folder: The workspace.
        house: Its troth.toml: which laws apply, and the facts a notice must name.
    """
    told: Mapping[str, object] = parse_toml("troth.toml", house).get("house", {})
    regimes = told.get("regimes", [])
    wanted = [duty for duty in duties() if isinstance(regimes, list) and duty.regime in regimes]
    facts = {key: value for key, value in told.items() if isinstance(value, str)}
    out: list[Missing] = []
    for path in sorted((folder / "notices").glob("*.md")):
        out += _missing(path, wanted, facts)
    return out


def _missing(
    path: Path, wanted: Sequence[notices.Duty], facts: Mapping[str, str]
) -> list[Missing]:
    text = path.read_text("utf-8")
    head, body = split_notice(path.name, text)
    variant = path.stem.partition(".")[2]
    language = variant or str(head.get("language", "en"))
    offset = text[: text.rindex(body)].count("\n") if body else 0
    return [
        Missing(
            f"notices/{path.name}",
            offset + lack.line,
            lack.duty.id,
            lack.duty.title,
            lack.duty.source,
            lack.remedy,
        )
        for lack in notices.lacks(body, language, wanted, facts)
    ]
