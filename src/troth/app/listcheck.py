"""The list check put together: a file, the shipped rules, the gate. Needs no workspace."""

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, TYPE_CHECKING

from troth.capabilities import listcheck
from troth.capabilities.access.exports import Export
from troth.capabilities.listcheck import Asked, Group, Judge, Outcome, RegistryTold, Verdict
from troth.engines.intake import csv_cell
from troth.errors import Conflict, InvalidInput, NotFound
from troth.terms import Instant

if TYPE_CHECKING:
    from troth.adapters.sources.held import Held
    from troth.adapters.sources.lists import Column, ListFile

    Columns = tuple[Column, ...]
    HeldList = Held

__all__ = [
    "Checked",
    "ListTold",
    "Words",
    "check_list",
    "hold_list",
    "list_fields",
    "look_at_list",
    "prepare_list",
    "write_group",
    "write_groups",
]

ADDED = ("troth_line", "troth_group", "troth_reason", "troth_rule", "troth_words", "troth_missing")
"""Columns put before the list's own in a download."""
MARKED = "troth_export"
"""Column, in a download that was booked, that tells whose it is, what for and until when."""
Words = Callable[[Verdict], tuple[str, str]]
"""Says a verdict in words: the reason, and what is missing."""


@dataclass(frozen=True, slots=True)
class ListTold:
    """What a check is told besides the list.

    Attributes:
        columns: Heading or number → field, "" to leave the column out.
        zone: IANA zone of times that name none, and of the sender; "" is UTC.
        country: Of rows that name none: ISO code or name.
        sender: Country of the sender's seat.
        registry: File of the opt-out registry, or None.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    country: str = ""
    sender: str = ""
    registry: Path | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A list that was checked, and what came of it."""

    source: "ListFile"
    outcome: Outcome


def list_fields() -> tuple[str, ...]:
    """Name every meaning a column may have."""
    from troth.adapters.sources.lists import fields

    return fields()


def hold_list() -> "HeldList":
    """Return a nameless file to write a list into; closing it drops the bytes."""
    from troth.adapters.sources.held import Held

    return Held()


def look_at_list(file: "Path | HeldList", name: str, told: ListTold) -> "ListFile":
    """Look at a list and say what its columns are taken for.

    Raises:
        NotFound: There is no such file.
        InvalidInput: It is no list, or a column is told a meaning that does not exist.
    """
    from troth.adapters.sources.lists import open_list

    try:
        return open_list(file, name, told.zone).told(told.columns)
    except FileNotFoundError:
        raise NotFound("there is no such list", "check the path") from None
    except OSError:
        raise InvalidInput("the list cannot be read", "check the path and its mode") from None


def check_list(
    source: "ListFile",
    told: ListTold,
    at: Instant,
    progress: Callable[[int], None] = lambda _done: None,
) -> Checked:
    """Judge every row of a list. Records nothing and keeps no row; 100,000 rows in some seconds.

    Raises:
        InvalidInput: No column holds addresses, a country does not read, or the list breaks off.
    """
    country, seat = prepare_list(source, told)
    asked = Asked(
        at=at,
        country=country,
        seat=seat,
        zone=source.zone,
        registry=_registry(told),
    )
    rules = {name: _shipped(name) for name in ("regimes", "calendars")}
    judge = Judge(listcheck.house_of(rules["regimes"], rules["calendars"], asked), asked)
    return Checked(source, listcheck.check(judge, source, progress))


def prepare_list(source: "ListFile", told: ListTold) -> tuple[str, str]:
    """Return the codes of the two countries told, having seen that a check can begin.

    Raises:
        InvalidInput: No column holds addresses, or a country does not read.
    """
    source.check()
    country = _country(told.country, "the country of the rows")
    return country, _country(told.sender, "the sender's country")


def write_group(
    checked: Checked, group: Group, file: IO[str], words: Words, left: Export | None = None
) -> int:
    """Write the rows of a group as CSV, a spreadsheet's formulas made harmless; return how many.

    The list is read again. Before its own columns stand `ADDED`, and the mark of the export it
    leaves in.
    """
    writer = csv.writer(file, lineterminator="\r\n")
    mark = [left.line()] if left else []
    head = [*ADDED, *([MARKED] if left else [])]
    writer.writerow([*head, *map(csv_cell, checked.source.headings)])
    said: dict[Verdict, Sequence[str]] = {}
    count = 0
    for place, record in enumerate(checked.source.records()):
        verdict = checked.outcome.verdict(place)
        if verdict.group != group:
            continue
        told = said.get(verdict)
        if told is None:
            told = said[verdict] = (verdict.group, verdict.code, verdict.rule, *words(verdict))
        writer.writerow([record.line, *told, *mark, *map(csv_cell, record.texts)])
        count += 1
    return count


def write_groups(
    checked: Checked,
    folder: Path,
    words: Words,
    more: Mapping[str, str],
    left: Export | None = None,
) -> list[str]:
    """Write one CSV a group, and other texts by name, readable by their owner alone.

    With the export they leave in, each CSV carries its mark, in its name too.

    Raises:
        Conflict: A file of that name is there already; nothing of that name was touched.
        InvalidInput: The folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for group in listcheck.GROUPS:
            name = left.named(group, "csv") if left else f"{group}.csv"
            with _private(folder / name) as file:
                write_group(checked, group, file, words, left)
            written.append(name)
        for name, text in more.items():
            with _private(folder / name) as file:
                file.write(text)
            written.append(name)
    except FileExistsError:
        raise Conflict("the folder holds an earlier check", "name another --out DIR") from None
    except OSError:
        raise InvalidInput("the folder cannot be written", "check its path and mode") from None
    return written


def _private(path: Path) -> IO[str]:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(handle, "w", encoding="utf-8", newline="")


@cache
def _shipped(kind: str) -> dict[str, bytes]:
    folder = files("troth") / "data" / kind
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name.endswith(".toml")}


def _country(text: str, option: str) -> str:
    from troth.adapters.sources.listrows import country

    if not text:
        return ""
    with suppress(KeyError):
        return country(text)
    raise InvalidInput(f"{option} is not known", "write its ISO 3166 code, such as ZA")


def _registry(told: ListTold) -> RegistryTold | None:
    if told.registry is None:
        return None
    from troth.adapters.sources import open_source

    source = open_source(told.registry, "registry", told.zone)
    named = source.registry
    hashes = frozenset(row.digest for batch in source.batches() for row in batch.rows)
    return RegistryTold(hashes, named.as_of if named else None, named.scheme if named else "")
