"""What every kind of source gives a scan, and the scan itself: bounded in rows, bytes and time."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from troth.engines.datagraph import SeenColumn, SeenTable, Words, classify
from troth.errors import Fault, Unavailable
from troth.ports import Clock
from troth.terms import SECOND

CELL: Final = 2_000
"""Characters of a value that leave its database at most."""
Guarded = Literal["here", "tls", "open"]
"""How the way to a source is protected: on this machine, encrypted, or not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a scan looks at.

    Attributes:
        rows: Of each table.
        seconds: The whole scan; what was not reached is named.
        bytes: Of all values together.
    """

    rows: int = 200
    seconds: int = 60
    bytes: int = 50_000_000
    tables: int = 5_000
    columns: int = 20_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column as its source describes it."""

    name: str
    type: str
    key: bool = False


class Reader(Protocol):
    """An open source that can only be read."""

    @property
    def guarded(self) -> Guarded:
        """How the way to it is protected."""
        ...

    def tables(self) -> Sequence[str]:
        """Name every table."""
        ...

    def columns(self, table: str) -> Sequence[Column]:
        """Describe a table's columns in their order."""
        ...

    def sample(
        self, table: str, columns: Sequence[Column], rows: int
    ) -> Iterator[Sequence[str | None]]:
        """Yield at most so many rows as texts of at most `CELL` characters.

        Raises:
            Unavailable: This table may not be read, or took too long.
        """
        ...

    def close(self) -> None:
        """End the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found: no value is in it.

    Attributes:
        cut: A limit ended it; tables after that are named without columns or guesses.
    """

    tables: tuple[SeenTable, ...]
    guarded: Guarded
    cut: str = ""


@dataclass(slots=True)
class _Budget:
    limits: Limits
    clock: Clock
    until: int
    bytes: int
    columns: int

    def over(self) -> str:
        if self.clock.now() >= self.until:
            return "time"
        if self.bytes <= 0:
            return "bytes"
        return "columns" if self.columns <= 0 else ""


def scan(
    reader: Reader, words: Words, regions: Sequence[str], limits: Limits, clock: Clock
) -> Scan:
    """Scan an open source: every table is named, as many as the limits let are looked into.

    Args:
        reader: The source.
        words: What columns are called; see `datagraph.read_words`.
        regions: Where telephone numbers without a country code may be from.
        limits: How much is looked at.
        clock: The machine's own.

    Raises:
        Unavailable: The source does not answer; nothing was changed in it.
    """
    budget = _Budget(
        limits, clock, clock.now() + limits.seconds * SECOND, limits.bytes, limits.columns
    )
    found: list[SeenTable] = []
    cut = ""
    names = reader.tables()
    for name in names:
        cut = cut or ("tables" if len(found) >= limits.tables else budget.over())
        if cut:
            found.append(SeenTable(plain(name, "table", 0), (), fault=f"not reached: {cut}"))
        else:
            found.append(_table(reader, name, words, regions, budget))
    return Scan(tuple(found), reader.guarded, cut)


def _table(
    reader: Reader, name: str, words: Words, regions: Sequence[str], budget: _Budget
) -> SeenTable:
    try:
        columns = list(reader.columns(name))[: max(0, budget.columns)]
    except Fault as fault:
        return SeenTable(plain(name, "table", 0), (), fault=fault.message)
    budget.columns -= len(columns)
    sample: list[list[str]] = [[] for _ in columns]
    rows, fault_said = 0, ""
    try:
        for row in reader.sample(name, columns, budget.limits.rows):
            rows += 1
            for place, value in enumerate(row[: len(columns)]):
                if value:
                    sample[place].append(value[:CELL])
                    budget.bytes -= len(value)
            if budget.over() in {"time", "bytes"}:
                break
    except Fault as fault:
        fault_said = fault.message
    seen = [
        _column(words, name, each, place, sample[place], regions)
        for place, each in enumerate(columns)
    ]
    return SeenTable(plain(name, "table", 0), tuple(seen), rows, fault_said)


def _column(  # noqa: PLR0913 - a column and everything it is judged by
    words: Words,
    table: str,
    column: Column,
    place: int,
    sample: list[str],
    regions: Sequence[str],
) -> SeenColumn:
    guess = classify(words, table, column.name, sample, regions)
    return SeenColumn(
        plain(column.name, "column", place), column.type[:80], guess, len(sample), column.key
    )


_PERSONAL: Final = re.compile(r"@|\d{7,}")
_NAME_MAX: Final = 200


def plain(name: str, kind: str, place: int) -> str:
    """Return a name as it may be kept: one that holds an address or a number becomes its place.

    >>> plain("email", "column", 3), plain("thandi@post.example", "column", 3)
    ('email', '(column 4: its name holds an address or a number)')
    """
    if _PERSONAL.search(name):
        return f"({kind} {place + 1}: its name holds an address or a number)"
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in name[:_NAME_MAX])


def quoted(name: str, sign: str = '"') -> str:
    """Quote an identifier, whatever stands in it.

    >>> quoted('a"b'), quoted("a`b", "`")
    ('"a""b"', '`a``b`')
    """
    return sign + name.replace(sign, sign * 2) + sign


def text_of(value: object) -> str | None:
    """Return a cell as text; bytes that are no text say nothing."""
    if value is None:
        return None
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return bytes(value[:CELL]).decode("utf-8")
        except UnicodeDecodeError:
            return None
    return str(value)[:CELL]


def unreachable(name: str) -> Unavailable:
    """Say that a source does not answer; never how it is reached."""
    return Unavailable(
        f"the source {name} does not answer, or does not let us in",
        f"check its address and account in keys/sources/{name}",
    )
