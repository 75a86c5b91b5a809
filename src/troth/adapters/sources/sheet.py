"""The first sheet of an .xlsx file as records: zip and XML read in chunks, nothing expanded.

Document type declarations, and so entities, are refused. Shared strings are held in memory and
capped; rows stream. Numbers come as written in decimal, dates as serial numbers without a zone.
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from xml.parsers import expat

from troth.adapters.sources.held import Openable
from troth.adapters.sources.text import Record
from troth.errors import InvalidInput

_CHUNK = 65_536
_SHARED_BYTES = 64 << 20
_SHEET_BYTES = 1 << 30
_SMALL_BYTES = 1 << 20
_CELL_CHARS = 65_536
_COLUMNS = 512
_REFERENCE = re.compile(r"([A-Z]{1,3})[0-9]{1,7}")
_WHOLE_CHARS = 17


class _Refused(Exception):  # noqa: N818 - turned into InvalidInput by `_damage_named`
    """The file holds something that is not read."""


def records(path: Openable) -> Generator[Record, None, None]:
    """Yield non-empty rows, the heading row first; `line` is the sheet's row number.

    Raises:
        InvalidInput: Not a readable .xlsx, larger than the caps, or with declarations.
    """
    with _damage_named(), path.open("rb") as file, zipfile.ZipFile(file) as book:
        names = set(book.namelist())
        shared = _Shared()
        if "xl/sharedStrings.xml" in names:
            for _ in _parse(book, "xl/sharedStrings.xml", shared, _SHARED_BYTES):
                pass
        sheet = _Sheet(shared.texts)
        for _ in _parse(book, _first_sheet(book, names), sheet, _SHEET_BYTES):
            yield from sheet.take()


def origin(path: Openable) -> int:
    """Return the year a workbook counts its days from: 1900, or 1904 in some old ones."""
    first = _First()
    with _damage_named(), path.open("rb") as file, zipfile.ZipFile(file) as book:
        if "xl/workbook.xml" in book.namelist():
            for _ in _parse(book, "xl/workbook.xml", first, _SMALL_BYTES):
                pass
    return 1904 if first.from_1904 else 1900


@contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except (
        _Refused,
        zipfile.BadZipFile,
        zlib.error,
        expat.ExpatError,
        EOFError,
        KeyError,
        NotImplementedError,
        OSError,
        RuntimeError,
        UnicodeError,
        ValueError,
    ):
        raise InvalidInput(
            "the .xlsx file is damaged, encrypted, too large or not a workbook",
            "save the first sheet as CSV in UTF-8",
        ) from None


class _Handler:
    """What expat calls; names come as `namespace local`."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element opens."""

    def end(self, name: str) -> None:
        """An element closes."""

    def text(self, data: str) -> None:
        """Text inside an element."""


class _Shared(_Handler):
    """Collects shared strings; phonetic readings are left out."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._parts: list[str] = []
        self._listening = False
        self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        if name == "si":
            self._parts = []
        elif name == "rPh":
            self._phonetic = True
        elif name == "t":
            self._listening = not self._phonetic

    def end(self, name: str) -> None:
        if name == "si":
            self.texts.append("".join(self._parts))
        elif name == "rPh":
            self._phonetic = False
        elif name == "t":
            self._listening = False

    def text(self, data: str) -> None:
        if self._listening:
            self._parts.append(data)


class _Sheet(_Handler):
    """Turns rows and cells into records; only the first 512 columns exist."""

    def __init__(self, shared: list[str]) -> None:
        self._shared = shared
        self._done: list[Record] = []
        self._cells: dict[int, str] = {}
        self._row = self._column = 0
        self._kind = ""
        self._parts: list[str] = []
        self._chars = 0
        self._listening = False
        self._width = 0

    def take(self) -> list[Record]:
        """Hand over the rows completed so far."""
        done, self._done = self._done, []
        return done

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdigit() else self._row + 1
            self._cells, self._column = {}, 0
        elif name == "c":
            self._column = _column(attributes.get("r", ""), self._column)
            self._kind = attributes.get("t", "n")
            self._parts, self._chars = [], 0
        elif name in {"v", "t"}:
            self._listening = True

    def end(self, name: str) -> None:
        if name in {"v", "t"}:
            self._listening = False
        elif name == "c" and self._column <= _COLUMNS:
            if value := self._value("".join(self._parts)):
                self._cells[self._column] = value
        elif name == "row" and self._cells:
            self._done.append(Record(self._row, self._texts()))

    def text(self, data: str) -> None:
        if self._listening and self._chars < _CELL_CHARS:
            self._parts.append(data)
            self._chars += len(data)

    def _texts(self) -> list[str]:
        self._width = self._width or max(self._cells)
        width = max(self._width, *self._cells)
        return [self._cells.get(place, "") for place in range(1, width + 1)]

    def _value(self, text: str) -> str:
        if self._kind == "s":
            place = int(text) if text.isdigit() else -1
            if not 0 <= place < len(self._shared):
                raise _Refused
            return self._shared[place]
        if self._kind == "b":
            return "true" if text == "1" else "false"
        return _number(text) if self._kind == "n" else text


def _column(reference: str, previous: int) -> int:
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return previous + 1
    number = 0
    for letter in match[1]:
        number = number * 26 + ord(letter) - 64
    return number


def _number(text: str) -> str:
    """Write 2.782E10 as 27820000000, which is how the sheet shows it."""
    if text.isdigit() or not text:
        return text
    try:
        number = Decimal(text)
        whole = number == number.to_integral_value() and number.adjusted() < _WHOLE_CHARS
    except InvalidOperation:
        return text
    return str(int(number)) if whole else text


def _first_sheet(book: zipfile.ZipFile, names: set[str]) -> str:
    first, targets = _First(), _Targets()
    for part, handler in (("xl/workbook.xml", first), ("xl/_rels/workbook.xml.rels", targets)):
        if part in names:
            for _ in _parse(book, part, handler, _SMALL_BYTES):
                pass
    target = targets.found.get(first.relation, "worksheets/sheet1.xml")
    return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")


class _First(_Handler):
    """Finds the relation id of the first sheet, and from when its days are counted."""

    relation = ""
    from_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self.from_1904 = attributes.get("date1904", "") in {"1", "true"}
        if name == "sheet" and not self.relation:
            self.relation = next(
                (value for key, value in attributes.items() if key.endswith(" id")), ""
            )


class _Targets(_Handler):
    """Collects relation id → part."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            self.found[attributes.get("Id", "")] = attributes.get("Target", "")


def _parse(book: zipfile.ZipFile, part: str, handler: _Handler, limit: int) -> Iterator[None]:
    """Feed a part to `handler` in chunks, pausing after each; more than `limit` bytes: refused."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = lambda name, found: handler.start(name.rpartition(" ")[2], found)
    parser.EndElementHandler = lambda name: handler.end(name.rpartition(" ")[2])
    parser.CharacterDataHandler = handler.text
    size = 0
    with book.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise _Refused
            parser.Parse(chunk, False)  # noqa: FBT003 - expat takes its flag by position
            yield
        parser.Parse(b"", True)  # noqa: FBT003
        yield


def _refuse(*_: object) -> None:
    raise _Refused
