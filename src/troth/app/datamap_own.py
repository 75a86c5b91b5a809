"""The house's own parts of the data map, read from what runs: nothing of it is typed by hand.

Categories come from the taxonomy, uses from the published purposes, recipients and countries from
the settings as published, places from the folder and the record's own tables. A file or table that
nobody described is shown as that.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from troth.adapters.scanning import own
from troth.app.datamap_model import (
    RECORD,
    Holding,
    Part,
    described,
    person_categories,
    taxonomy,
)
from troth.app.workspace import Workspace
from troth.capabilities.trust import Facts
from troth.capabilities.trust.recipients import Recipient
from troth.settings import Settings
from troth.terms import Purpose, PurposeKind

# Acquired


def arriving(opened: Workspace, facts: Facts) -> Iterator[Part]:
    """Yield what data comes in by."""
    given = tuple(sorted({*taxonomy()["fields"].values()}))
    yield Part(
        "people", "Customers themselves", "acquired", "people",
        text="What they type, choose and correct on their own pages, and by forms.",
        categories=given, into=(RECORD,), holds=_notices(facts),
    )  # fmt: skip
    if facts.table("site").get("origins"):
        seen = tuple(c for c in person_categories() if c.startswith("views"))
        yield Part(
            "site", "Visitors of the site", "acquired", "people",
            text="Pages and clicks, only after a yes.", categories=seen, into=(RECORD,),
        )  # fmt: skip
    if opened.settings.sources:
        yield Part(
            "imports", "Lists taken in", "acquired", "own",
            text="Customers, agreements and purchases from other systems, by file.",
            categories=person_categories(), into=(RECORD,),
        )  # fmt: skip


def _notices(facts: Facts) -> tuple[Holding, ...]:
    return tuple(
        Holding(name, f"told in {', '.join(sorted(facts.spoken[name]))}")
        for name in sorted(facts.purposes)
        if name in facts.spoken
    )


# Used


def uses(facts: Facts) -> Iterator[Part]:
    """Yield what data is used for, a part for each kind of purpose."""
    kinds: dict[PurposeKind, list[Purpose]] = {}
    for each in facts.purposes.values():
        kinds.setdefault(each.kind, []).append(each)
    for kind, held in sorted(kinds.items()):
        yield Part(
            f"use:{kind}",
            str(facts.words.facts["kind"][kind]),
            "used",
            "use",
            text="Each use is decided for each person, and recorded first.",
            categories=tuple(sorted({c for each in held for c in each.categories})),
            owner=", ".join(sorted({each.owner for each in held if each.owner})),
            holds=tuple(
                Holding(each.name, each.title, "", tuple(sorted(each.categories)))
                for each in sorted(held, key=lambda each: each.name)
            ),
            kept=tuple((each.title, _days(each.retention_days)) for each in held),
            gaps=tuple(
                f"how long is kept: retention_days in purposes/{each.name}.toml"
                for each in held
                if not each.retention_days
            ),
        )


def _days(days: int) -> str:
    return f"{days:,} days while a ground stands" if days else "nobody wrote it down"


def joined(use: Part, outside: Sequence[Part], facts: Facts) -> Part:
    """Let a use lead to whoever delivers by one of its channels."""
    ways = {str(c) for each in use.holds for c in facts.purposes[each.name].channels}
    into = [
        each.key
        for each in outside
        if (each.key == "recipient:mail" and "email" in ways)
        or each.key.removeprefix("recipient:channels.") in ways
        or each.key.startswith("recipient:connections.")
    ]
    return replace(use, into=tuple(into))


# Stored


def own_parts(opened: Workspace, facts: Facts, used: Sequence[str]) -> Iterator[Part]:
    """Yield where the house keeps data, and files that nobody described."""
    stored = facts.table("storage")
    found = _files(opened.settings.folder)
    for each in described()["part"]:
        mine = found.pop(each["key"], [])
        if each.get("hidden") or (each.get("optional") and not mine):
            continue
        part = Part(
            each["key"], each["title"], each["step"], "own",
            text=each["text"], categories=_about(each.get("about", ())),
            country=str(stored.get("country", "")),
            owner="IT",
            gaps=() if stored.get("country") else ("country: storage.country in troth.toml",),
            holds=tuple(_folded(mine, described()["form"][each["form"]])),
        )  # fmt: skip
        yield _detailed(opened, part, used)
    said = _said(opened.settings)
    bare = (Path(name) for name in found.get("", ()))
    unknown = tuple(sorted(str(p) for p in bare if not any(map(p.is_relative_to, said))))
    if unknown:
        yield Part(
            "undescribed", "Files nobody described", "stored", "own",
            text="They lie in this folder, and no part of the house says what they are.",
            undescribed=unknown[:200],
        )  # fmt: skip
    days = stored.get("backup_days")
    gap = () if isinstance(days, int) else ("how long backups are kept: storage.backup_days",)
    kept = (("Backups", f"{days} days"),) if isinstance(days, int) else ()
    yield Part(
        "backups", "Backups", "stored", "own",
        text="Copies of the record without keys, indexes and audience copies.",
        categories=person_categories(), kept=kept, gaps=gap, owner="IT",
    )  # fmt: skip


def _said(settings: Settings) -> list[Path]:
    """Return the places of this folder of which troth.toml itself says what they are."""
    sources = (each.get("path") for each in settings.sources.values())
    return [Path(str(place)) for place in (settings.storage.get("backup_to"), *sources) if place]


def _about(said: Iterable[str]) -> tuple[str, ...]:
    named = tuple(said)
    return person_categories() if "everything" in named else named


def _files(folder: Path) -> dict[str, list[str]]:
    """Return the folder's files by the part they belong to; under "" those of none.

    Below the folder and `data/` itself, what a file is follows from where it lies alone.
    """
    rules = [(each["key"], each["files"]) for each in described()["part"]]
    known: dict[Path, str] = {}
    out: dict[str, list[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            place = path.relative_to(folder)
            key = known.get(place.parent)
            if key is None:
                key = next((k for k, globs in rules if any(map(place.match, globs))), "")
                if str(place.parent) not in {".", "data"}:
                    known[place.parent] = key
            out.setdefault(key, []).append(str(place))
    return out


def _folded(names: Iterable[str], form: str) -> Iterator[Holding]:
    """Name each folder's files once, with how many there are."""
    counted: dict[str, list[str]] = {}
    for name in names:
        counted.setdefault(str(Path(name).parent), []).append(name)
    for place, held in sorted(counted.items()):
        many = len(held) > _SHOWN
        for name in [f"{place}/ ({len(held):,} files)"] if many else sorted(held):
            yield Holding(name.removeprefix("./"), "", form)


_SHOWN = 8


def _detailed(opened: Workspace, part: Part, used: Sequence[str]) -> Part:
    if part.key == RECORD:
        categories = person_categories()
        tables, unknown = _tables(opened)
        return replace(
            part, categories=categories, holds=tables, undescribed=unknown,
            into=(*used, "reach", "backups", "end:retention", "end:erasure"),
        )  # fmt: skip
    if part.key == "reach":
        return replace(part, categories=person_categories(), into=tuple(used))
    if part.key == "keys":
        return replace(part, into=("end:erasure",))
    return replace(part, into=(RECORD,) if part.step == "acquired" else ())


def _tables(opened: Workspace) -> tuple[tuple[Holding, ...], tuple[str, ...]]:
    """Return the record's tables and its parts' own rows, and those that nobody described."""
    names: dict[tuple[str, str], tuple[str, str]] = {}
    for rule in described()["table"]:
        for name, title in rule["names"].items():
            names[rule["file"], name] = (title, rule["form"])
    found: list[Holding] = []
    unknown: list[str] = []
    s = opened.settings
    for path in (s.record, s.keys / "keys.db", s.keys / "signin.db"):
        for table in own.tables(path):
            title, form = names.get((path.name, table), ("", ""))
            if not title:
                unknown.append(f"{path.name}: {table}")
            elif path == s.record:
                kept = person_categories() if form == "sealed" else ()
                said = described()["form"][form]
                found.append(Holding(table, title, said, kept if table == "sealed" else ()))
    unknown += [
        f"record.db: rows of {table}"
        for table in own.words(s.record, "own_row", "tbl")
        if table.partition(".")[0] not in described()["rows"]
    ]
    return tuple(found), tuple(unknown)


# Shared, deleted


def recipient_part(each: Recipient, facts: Facts) -> Part:
    """Return somebody outside who is given data."""
    said = facts.table(each.key.partition(".")[0])
    inner = said.get(each.key.partition(".")[2], said) if "." in each.key else said
    told = inner if isinstance(inner, dict) else {}
    kinds = {"mail": ("contact.email", "identity.name")}.get(each.key, ())
    gaps = [] if each.country or each.here else [f"country: {each.key}.country in troth.toml"]
    return Part(
        f"recipient:{each.key}", each.title, "shared", "recipient",
        text="; ".join(f"{name}: {value}" for name, value in each.pairs),
        categories=kinds,
        country=each.country,
        processor="" if each.here else str(told.get("processor", "")) or each.title,
        agreement=str(told.get("agreement", each.transfer)),
        gaps=tuple(gaps),
    )  # fmt: skip


def ends(facts: Facts) -> Iterator[Part]:
    """Yield by what data goes."""
    held = tuple(
        (each.title, _days(each.retention_days)) for _, each in sorted(facts.purposes.items())
    )
    yield Part(
        "end:retention", "Retention, each day", "deleted", "end",
        text="What no purpose may keep any longer is deleted, quarters with their keys.",
        categories=person_categories(), kept=held,
    )  # fmt: skip
    yield Part(
        "end:erasure", "Erasure on request", "deleted", "end",
        text="Keys are destroyed, rows deleted, every follower named in a certificate.",
        categories=person_categories(),
    )  # fmt: skip
