"""Drift: where a scan and a mapping differ. What is not mapped is named, never left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from troth.engines.datagraph.classify import Guess
from troth.engines.datagraph.model import Collection, Field, Store

Kind = Literal[
    "table_new", "table_gone", "column_new", "column_gone", "type_changed", "category_changed",
    "unmapped",
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = (
    "unmapped", "category_changed", "table_new", "column_new", "type_changed", "column_gone",
    "table_gone",
)  # fmt: skip
"""What is to be looked at first comes first."""


@dataclass(frozen=True, slots=True)
class SeenColumn:
    """A column as a scan found it: its type, and what it seems to hold; never a value.

    Attributes:
        guess: None where it looks like nothing personal, or could not be sampled.
        sampled: How many values that are there were looked at.
    """

    name: str
    type: str
    guess: Guess | None = None
    sampled: int = 0
    key: bool = False


@dataclass(frozen=True, slots=True)
class SeenTable:
    """A table as a scan found it.

    Attributes:
        rows: How many rows were sampled; not how many there are.
        fault: Why nothing of it could be sampled; "" where it could.
    """

    name: str
    columns: tuple[SeenColumn, ...]
    rows: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference.

    Attributes:
        column: "" where it is about a whole table.
        personal: The scan takes it for personal data.
        was: What the mapping says (a type or categories); "" nothing.
        now: What the scan found.
    """

    kind: Kind
    table: str
    column: str = ""
    personal: bool = False
    was: str = ""
    now: str = ""

    @property
    def alarm(self) -> bool:
        """Personal data that no mapping knows, or knows as something else."""
        return self.personal and self.kind in {"unmapped", "category_changed"}


def drift(
    mapped: Store | None, seen: Mapping[str, SeenTable], words: Mapping[str, str]
) -> list[Drift]:
    """Compare a mapping with a scan; an empty list means they say the same.

    Args:
        mapped: The mapping; None where there is none yet: everything is unmapped.
        seen: The tables found, by name.
        words: Our category → the fideslang category a mapping names it by.
    """
    held = {each.name: each for each in mapped.collections} if mapped else {}
    above = mapped.categories if mapped else ()
    out: list[Drift] = []
    for name, table in seen.items():
        if name not in held:
            out.append(Drift("table_new", name, "", any(c.guess for c in table.columns)))
            out += [_unmapped(name, c) for c in table.columns if c.guess]
        else:
            out += _columns(held[name], table, words, above)
    out += [Drift("table_gone", name) for name in held if name not in seen]
    return sorted(out, key=lambda each: (KINDS.index(each.kind), each.table, each.column))


def _unmapped(table: str, column: SeenColumn) -> Drift:
    found = column.guess
    return Drift(
        "unmapped", table, column.name, found is not None, "", found.category if found else ""
    )


def _columns(
    held: Collection, table: SeenTable, words: Mapping[str, str], above: tuple[str, ...]
) -> Iterator[Drift]:
    fields = {each.name: each for each in held.fields}
    for column in table.columns:
        mapped = fields.get(column.name)
        if mapped is None and column.guess is None:
            yield Drift("column_new", table.name, column.name)
        elif mapped is None:
            yield _unmapped(table.name, column)
        else:
            yield from _changed(table.name, mapped, column, words, (*above, *held.categories))
    there = {column.name for column in table.columns}
    yield from (
        Drift("column_gone", table.name, name, bool(each.categories))
        for name, each in fields.items()
        if name not in there
    )


def _changed(
    table: str, held: Field, seen: SeenColumn, words: Mapping[str, str], above: tuple[str, ...]
) -> Iterator[Drift]:
    if held.type and family(held.type) != family(seen.type):
        yield Drift("type_changed", table, held.name, bool(held.categories), held.type, seen.type)
    said = (*held.categories, *above)
    if not said:
        yield _unmapped(table, seen)
    elif seen.guess and not _agree(said, words.get(seen.guess.category, seen.guess.category)):
        was = ", ".join(sorted(said))
        now = seen.guess.category
        yield Drift("category_changed", table, held.name, personal=True, was=was, now=now)


def _agree(said: tuple[str, ...], found: str) -> bool:
    """Tell whether a mapping's categories cover what was found, or the other way round."""
    return any(
        f"{found}.".startswith(f"{each}.") or f"{each}.".startswith(f"{found}.") for each in said
    )


_FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("char", "text", "string", "clob", "enum", "uuid", "citext", "name", "inet", "cidr"),
    "number": (
        "int",
        "serial",
        "numeric",
        "decimal",
        "float",
        "double",
        "real",
        "money",
        "number",
    ),
    "moment": ("date", "time", "year", "interval"),
    "truth": ("bool", "bit"),
    "bytes": ("blob", "binary", "bytea", "bytes"),
    "document": ("json", "object", "struct", "map", "array", "list", "[]"),
}


def family(type_: str) -> str:
    """Return what kind of type a database's word is; itself where it is none of them.

    >>> family("VARCHAR(40)"), family("bigint"), family("timestamp with time zone"), family("")
    ('text', 'number', 'moment', '')
    """
    low = type_.lower()
    if low.startswith("interval"):
        return "moment"
    for name in ("document", "bytes", "text", "moment", "truth", "number"):
        if any(word in low for word in _FAMILIES[name]):
            return name
    return low
