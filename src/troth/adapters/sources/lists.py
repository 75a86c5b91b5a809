"""A list as a mail tool exports it: headings guessed, shown, corrected; rows streamed.

Nothing is kept and nothing is written. What a column means is a guess until somebody looked at it:
each column carries how sure the guess is, and masked samples of what stands in it.
"""

import contextlib
import itertools
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from troth.adapters.sources import sheet, text
from troth.adapters.sources.dates import Order, order_of
from troth.adapters.sources.fields import check_zone
from troth.adapters.sources.headings import harmless, plain, table
from troth.adapters.sources.held import Openable
from troth.adapters.sources.listrows import (
    TIMES,
    ListReader,
    Place,
    ReadAs,
    marks,
    meanings,
)
from troth.adapters.sources.text import Csv, Record
from troth.engines.intake import ListRow
from troth.errors import InvalidInput

ENDINGS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "xlsx",
}
ROWS_MAX: Final = 2_000_000
_DELIMITERS = ",;\t|"
_COLUMNS = 512
_SAMPLED = 1_000
_SHOWN = 3
_SHOWN_CHARS = 24
_EMAIL = re.compile(r"[^@\s,;]{1,64}@[^@\s,;]+\.[^@\s,;]{2,}")
_MOST = 0.6
_TOOL_HEADINGS = 2
_OPEN = TIMES | {
    "residence",
    "subdivision",
    "zone",
    "opted_in",
    "details_from_sale",
    "objection_offered",
}
"""Fields whose samples tell nothing about whom they are of."""

Sure = Literal["known", "likely", "by its values", "told", "not used"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column and what it is taken for.

    Attributes:
        number: Counted from 1.
        heading: As in the file; one that looks like a person's datum shows as its number.
        field: What it means, or "" where it is not used.
        sure: How the guess was come by.
        samples: A few of its cells; masked where they could tell who it is.
        order: How its dates are written, where that shows.
    """

    number: int
    heading: str
    field: str
    sure: Sure
    samples: tuple[str, ...] = ()
    order: Order = ""


@dataclass(frozen=True, slots=True)
class ListFile:
    """A list that was looked at.

    Attributes:
        columns: In the file's order.
        tool: Whose export it is, by `data/listcheck.toml`; "" unknown.
        encoding: Of a text file; "" otherwise.
        zone: Zone in which times without an offset are read.
        headings: As written, for who gets the rows back.
    """

    columns: tuple[Column, ...]
    tool: str
    encoding: str
    zone: str
    headings: tuple[str, ...]
    _file: Openable
    _shape: str
    _head: "_Head"
    _origin: int = 0

    def told(self, said: Mapping[str, str]) -> "ListFile":
        """Return the list with columns corrected: heading or number → field, "" to leave it out.

        Raises:
            InvalidInput: There is no such column or field, or two columns mean one that takes one.
        """
        columns = list(self.columns)
        for name, field in said.items():
            place = self._find(name)
            if field and field not in fields():
                raise InvalidInput(
                    "a column is told a meaning that does not exist",
                    f"use one of {', '.join(fields())}",
                )
            columns[place] = replace(columns[place], field=field, sure="told")
        corrected = [
            self.columns[i].number for i in range(len(columns)) if columns[i].sure == "told"
        ]
        return replace(self, columns=_single(columns, frozenset(corrected)))

    def _find(self, name: str) -> int:
        for place, column in enumerate(self.columns):
            if name == str(column.number) or plain(name) == plain(self.headings[place]):
                return place
        raise InvalidInput("no column has this heading or number", "see the table of columns")

    def check(self) -> None:
        """Raise `InvalidInput` unless a column holds e-mail addresses."""
        if not any(column.field == "email" for column in self.columns):
            raise InvalidInput(
                "no column holds e-mail addresses",
                "name it: --map HEADING=email, or export the column too",
            )

    def records(self) -> Iterator[Record]:
        """Yield the data rows as texts, the broken ones too.

        Raises:
            InvalidInput: More than `ROWS_MAX` rows, or the file breaks off.
        """
        for count, record in enumerate(
            _records(self._file, self._shape, self.encoding, self._head)
        ):
            if count >= ROWS_MAX:
                raise InvalidInput(f"a list has at most {ROWS_MAX:,} rows", "check it in parts")
            yield record

    def about(self) -> int:
        """Return about how many rows there are, by counting line ends; 0 where nobody can say."""
        if self._shape == "xlsx":
            return 0
        count = 0
        with self._file.open("rb") as raw:
            while piece := raw.read(1 << 20):
                count += piece.count(b"\n")
        return count

    def rows(self) -> Iterator[ListRow]:
        """Yield what each data row says, in the file's order."""
        return map(self._reader().read, self.records())

    def chosen(self, places: Container[int]) -> Iterator[tuple[int, ListRow]]:
        """Yield what the rows at these places say, counted from 0, each with its place."""
        read = self._reader().read
        return ((at, read(each)) for at, each in enumerate(self.records()) if at in places)

    def _reader(self) -> ListReader:
        places = tuple(
            Place(column.number - 1, column.field, column.order)
            for column in self.columns
            if column.field
        )
        how = ReadAs(len(self.columns), places, self.tool, self.zone, self._origin)
        return ListReader(how)


@dataclass(frozen=True, slots=True)
class _Head:
    """Where the headings stand.

    Attributes:
        line: Lines before the first data row; of a sheet, the heading row itself; 0 none.
    """

    texts: tuple[str, ...]
    delimiter: str = ","
    line: int = 0
    keys: tuple[str, ...] = ()


@cache
def fields() -> tuple[str, ...]:
    """Name every meaning a column may have."""
    return tuple(table()["headings"]["list"])


def open_list(file: Openable, name: str, zone: str = "") -> ListFile:
    """Look at a list: encoding, columns, whose export it is. One pass over its bytes.

    Args:
        file: What is read.
        name: Its name, for the ending alone.
        zone: IANA zone of times that name none; "" is UTC.

    Raises:
        InvalidInput: Empty, binary, of another ending, damaged, or without a heading line.
    """
    check_zone(zone)
    shape = ENDINGS.get(f".{name.rpartition('.')[2].lower()}", "")
    if not shape:
        raise InvalidInput("lists of this ending are not read", f"use one of {', '.join(ENDINGS)}")
    _refuse_empty(file, shape)
    encoding = ""
    origin = 0
    if shape == "xlsx":
        origin = sheet.origin(file)
        head = _sheet_head(file)
    else:
        encoding = text.survey(file).encoding
        text.refuse_unmarked_utf16(file, encoding)
        head = _objects_head(file, encoding) if shape == "jsonl" else _csv_head(file, encoding)
    if len(head.texts) > _COLUMNS:
        raise InvalidInput(f"a list has at most {_COLUMNS} columns", "leave out what is not used")
    tool = _tool(head.texts)
    found = _records(file, shape, encoding, head)
    with contextlib.closing(found):  # type: ignore[type-var]
        sample = list(itertools.islice((r for r in found if not r.code), _SAMPLED))
    columns = _columns(head.texts, sample, tool)
    return ListFile(columns, tool, encoding, zone or "UTC", head.texts, file, shape, head, origin)


def _refuse_empty(file: Openable, shape: str) -> None:
    with file.open("rb") as raw:
        first = raw.read(8)
    if not first:
        raise InvalidInput("the list is empty", "export it again")
    if shape != "xlsx" and first.startswith(
        (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x1f\x8b")
    ):
        raise InvalidInput(
            "the list is a packed or office file under another ending",
            "unpack it, or save it as .csv or .xlsx",
        )


def _sheet_head(file: Openable) -> _Head:
    with contextlib.closing(sheet.records(file)) as rows:
        first = next(rows, None)
    if first is None:
        raise InvalidInput("the first sheet is empty", "put the rows on the first sheet")
    return _headed(tuple(first.texts), ",", first.line)


def _headed(texts: tuple[str, ...], delimiter: str, line: int) -> _Head:
    """Take the first line for headings, unless an address stands in it: then it is a row."""
    if any(_EMAIL.fullmatch(each.strip()) for each in texts):
        names = tuple(f"column {number}" for number in range(1, len(texts) + 1))
        return _Head(names, delimiter, 0)
    return _Head(texts, delimiter, line)


def _csv_head(file: Openable, encoding: str) -> _Head:
    before = 0
    with contextlib.closing(text.lines(file, encoding)) as lines:
        for line in lines:
            content = line.text.strip()
            if line.code:
                raise InvalidInput(
                    f"the heading line cannot be read ({line.code})",
                    "save the list as CSV in UTF-8",
                )
            if not content or content.lower().startswith("sep="):
                before = line.number
                continue
            split = [(_split(line, each), each) for each in _DELIMITERS]
            texts, delimiter = max(split, key=lambda pair: (_known(pair[0]), len(pair[0])))
            head = _headed(texts, delimiter, line.number)
            return head if head.line else replace(head, line=-before)
    raise InvalidInput("the list holds no rows", "export it again")


def _split(line: text.Line, delimiter: str) -> tuple[str, ...]:
    record = next(iter(Csv(iter((line,)), delimiter)), None)
    return tuple(record.texts) if record else ()


def _known(texts: Sequence[str]) -> int:
    return sum(plain(each) in _synonyms() for each in texts)


def _objects_head(file: Openable, encoding: str) -> _Head:
    keys: dict[str, None] = {}
    with contextlib.closing(text.lines(file, encoding)) as lines:
        for line in lines:
            keys.update(dict.fromkeys((None if line.code else text.parse_object(line)) or ()))
            if len(keys) > _COLUMNS:
                raise InvalidInput(
                    f"objects have more than {_COLUMNS} different keys",
                    "leave out what is not used",
                )
    if not keys:
        raise InvalidInput("no line holds a JSON object", "write one JSON object per line")
    return _Head(tuple(keys), keys=tuple(keys))


def _records(file: Openable, shape: str, encoding: str, head: _Head) -> Iterator[Record]:
    if shape == "xlsx":
        yield from (each for each in sheet.records(file) if each.line != head.line)
        return
    with contextlib.closing(text.lines(file, encoding)) as lines:
        if shape == "jsonl":
            yield from text.objects(lines, head.keys)
        else:
            yield from Csv(itertools.islice(lines, abs(head.line), None), head.delimiter)


def _tool(headings: Iterable[str]) -> str:
    """Name the tool most of whose own headings are there."""
    have = set(map(plain, headings))
    scores = {
        name: len(have.intersection(map(plain, tool["headings"])))
        for name, tool in marks()["tool"].items()
    }
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= _TOOL_HEADINGS else ""


@cache
def _synonyms() -> Mapping[str, str]:
    named = table()["headings"]["list"]
    pairs = {plain(each): field for field, texts in named.items() for each in texts}
    return MappingProxyType({plain(field): field for field in named} | pairs)


def _guess(heading: str) -> tuple[str, Sure]:
    bare = plain(heading)
    if field := _synonyms().get(bare):
        return field, "known"
    for field, starts in table()["begins"]["list"].items():
        if any(bare.startswith(plain(each)) for each in starts):
            return field, "likely"
    return "", "not used"


def _columns(headings: Sequence[str], sample: Sequence[Record], tool: str) -> tuple[Column, ...]:
    columns = []
    for place, heading in enumerate(headings):
        cells = [t for r in sample if place < len(r.texts) and (t := r.texts[place].strip())]
        field, sure = _guess(heading)
        shown = harmless(heading, place + 1)
        columns.append(Column(place + 1, shown, field, sure, (), order_of(cells)))
    columns = list(_single(columns, frozenset()))
    if not any(column.field == "email" for column in columns):
        columns = _find_addresses(columns, sample)
    return tuple(
        replace(
            column,
            samples=_samples(
                column.field, [r.texts[place] for r in sample if place < len(r.texts)], tool
            ),
        )
        for place, column in enumerate(columns)
    )


def _find_addresses(columns: list[Column], sample: Sequence[Record]) -> list[Column]:
    """Take for the address the column most of whose cells look like one."""
    best, most = -1, 0.0
    for place, _ in enumerate(columns):
        cells = [t for r in sample if place < len(r.texts) and (t := r.texts[place].strip())]
        share = sum(bool(_EMAIL.fullmatch(cell)) for cell in cells) / max(len(cells), 1)
        if share > max(most, _MOST):
            best, most = place, share
    if best >= 0:
        columns[best] = replace(columns[best], field="email", sure="by its values")
    return columns


def _single(columns: Sequence[Column], told: frozenset[int]) -> tuple[Column, ...]:
    """Let one column only mean a field that takes one: the told one, else the first."""
    many = frozenset(table()["many"]["list"])
    taken = {c.field for c in columns if c.number in told and c.field}
    out: list[Column] = []
    for column in columns:
        field = column.field
        if field and field not in many and column.number not in told:
            if field in taken:
                out.append(replace(column, field="", sure="not used"))
                continue
            taken.add(field)
        out.append(column)
    return tuple(out)


def _samples(field: str, cells: Sequence[str], tool: str) -> tuple[str, ...]:
    distinct = dict.fromkeys(text for each in cells if (text := each.strip()))
    shown = (_masked(text, field, tool) for text in itertools.islice(distinct, _SHOWN))
    return tuple(dict.fromkeys(shown))


def _masked(cell: str, field: str, tool: str) -> str:
    """Show a cell as it is only where it cannot tell whom it is of."""
    if len(cell) > _SHOWN_CHARS or not cell.isprintable():
        cell = "".join(c for c in cell if c.isprintable())[:_SHOWN_CHARS]
    if field in _OPEN and "@" not in cell and len(cell) <= _SHOWN_CHARS:
        return cell
    if plain(cell) in meanings(tool):
        return cell
    return masked(cell)


def masked(text: str) -> str:
    """Hide all of a text but its first letters.

    >>> masked("thandi@post.example"), masked("Dlamini")
    ('t•••@p•••', 'D•••')
    """
    name, at, domain = text.partition("@")
    return f"{name[:1]}•••@{domain[:1]}•••" if at else f"{text[:1]}•••"
