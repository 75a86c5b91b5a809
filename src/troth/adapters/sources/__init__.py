"""Files of customers, consents, events, suppressions and registry hashes, read row by row.

`open_source` looks at a file once (digest, encoding, columns); `Source.batches` then streams typed
rows with findings. A broken row is a finding and never an exception; a file that cannot be read at
all is `InvalidInput`. Nothing is written and nothing is looked up outside the file.

Memory: one batch, plus about 100 bytes per row (events: 60) to find rows that stand twice.
"""

import contextlib
import csv
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, overload

from troth.adapters.sources import headings, parquet, sheet, text
from troth.adapters.sources.fields import Refused, Row, RowReader, check_zone, parse_time
from troth.adapters.sources.headings import NO_COLUMNS, Columns
from troth.adapters.sources.text import Csv, Line, Record
from troth.engines.intake import (
    Batch,
    ConsentRow,
    CustomerRow,
    EventColumns,
    Finding,
    Kind,
    RegistryFile,
    RegistryRow,
    Rows,
    SuppressionRow,
    csv_cell,
)
from troth.errors import Conflict, InvalidInput, NotFound

BATCH_ROWS = 1_000
_DELIMITERS = ",;\t|"
_COLUMNS = 512
_FEWER = "leave out what is not used"
_FORMATS: dict[str, Literal["csv", "jsonl", "xlsx", "parquet"]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
}


@dataclass(frozen=True, slots=True)
class Source(Generic[Rows]):
    """A file that was looked at once.

    Attributes:
        digest: SHA-256 of the file's bytes.
        columns: Heading as in the file → field.
        ignored: Headings that are not imported.
        notes: Findings about the file itself; give them to `ImportReport.note`.
        registry: What a registry file says of itself.
        encoding: Of a text file; "" otherwise.
        zone: Zone in which times without an offset are read; "" where they are refused.
    """

    path: Path
    kind: Kind
    format: str
    digest: bytes
    size: int
    columns: dict[str, str]
    ignored: tuple[str, ...]
    notes: tuple[Finding, ...]
    encoding: str = ""
    registry: RegistryFile | None = None
    zone: str = ""
    _layout: "_Layout" = field(default_factory=lambda: _Layout())  # noqa: PLW0108
    _stamp: int = 0

    def batches(self, after: int = 0) -> Iterator[Batch[Rows]]:
        """Yield the rows behind the first `after` data rows, in the file's order.

        A batch has up to 1,000 rows (events in Parquet: 8,192). Rows before `after` are read
        again, because a later row may repeat one of them; that costs about 10 µs a row.

        Raises:
            Conflict: The file was changed since it was opened.
            InvalidInput: The file breaks off in a way that leaves nothing to read.
        """
        with _unreadable_named():
            stat = self.path.stat()
        if (stat.st_size, stat.st_mtime_ns) != (self.size, self._stamp):
            raise Conflict("the file was changed since it was opened", "open it again")
        reading: _Reading[Rows] = _Reading(self, after)
        with _unreadable_named():
            if self.format == "parquet":
                yield from reading.of_slices(parquet.slices(self.path))
            else:
                yield from reading.of_records(_data(self.path, self.format, self._layout))

    def write_rejects(self, path: Path) -> int:
        """Write line, code, field and remedy of every finding that cost a row; return how many.

        Reads the source again, so that no list grows in memory. Holds no value of any row; cells
        that a spreadsheet would run are made harmless. An existing file is replaced when done.
        """
        draft = path.with_name(f"{path.name}.part")
        count = 0
        with _unreadable_named(), draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("line", "code", "field", "remedy"))
            for each in self._lost():
                cells = (each.code, each.field, each.remedy)
                writer.writerow([each.line, *map(csv_cell, cells)])
                count += 1
        draft.replace(path)
        return count

    def _lost(self) -> Iterator[Finding]:
        for batch in self.batches():
            yield from (each for each in batch.findings if each.outcome != "kept")


@overload
def open_source(
    path: Path | str, kind: Literal["customers"], zone: str = ""
) -> Source[list[CustomerRow]]: ...
@overload
def open_source(
    path: Path | str, kind: Literal["consents"], zone: str = ""
) -> Source[list[ConsentRow]]: ...
@overload
def open_source(
    path: Path | str, kind: Literal["events"], zone: str = ""
) -> Source[EventColumns]: ...
@overload
def open_source(
    path: Path | str, kind: Literal["suppressions"], zone: str = ""
) -> Source[list[SuppressionRow]]: ...
@overload
def open_source(
    path: Path | str, kind: Literal["registry"], zone: str = ""
) -> Source[list[RegistryRow]]: ...


def open_source(path: Path | str, kind: Kind, zone: str = "") -> Source[Any]:
    """Look at a file: digest, encoding, columns. One pass over its bytes, about 0.3 s for 64 MB.

    Args:
        path: Ends in .csv, .tsv, .txt, .jsonl, .ndjson, .xlsx or .parquet.
        kind: What its rows are.
        zone: IANA zone of times without an offset; "" refuses such times row by row.

    Raises:
        NotFound: There is no such file.
        InvalidInput: Empty, binary, of another ending, or a needed column is missing.
        Unavailable: Parquet without the extra [reach].
    """
    check_zone(zone)
    path = Path(path)
    shape = _FORMATS.get(path.suffix.lower(), "")
    if not shape:
        raise InvalidInput(
            "files of this ending are not read", f"use one of {', '.join(_FORMATS)}"
        )
    with _unreadable_named():
        stat = path.stat()
        seen = text.survey(path)
        if not seen.size:
            raise InvalidInput("the file is empty", "export it again")
        layout = _lay_out(path, kind, shape, seen.encoding)
    columns = layout.columns
    headings.require(kind, columns)
    pairs = list(zip(columns.headings, columns.fields, strict=True))
    return Source(
        path=path,
        kind=kind,
        format=shape,
        digest=seen.digest,
        size=stat.st_size,
        columns={heading: name for heading, name in pairs if name},
        ignored=tuple(heading for heading, name in pairs if not name),
        notes=_notes(kind, layout, zone),
        encoding=layout.encoding,
        registry=_registry(layout, zone)[0] if kind == "registry" else None,
        zone=zone,
        _layout=layout,
        _stamp=stat.st_mtime_ns,
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """How to find the data rows: columns, delimiter, and the lines before them."""

    columns: Columns = NO_COLUMNS
    encoding: str = ""
    delimiter: str = ","
    head_line: int = 0
    keys: tuple[str, ...] = ()
    stated: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def _unreadable_named() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound("there is no such file", "check the path") from None
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeError):
            raise InvalidInput("the file is no text", "save it as UTF-8") from None
        raise InvalidInput(
            "the file cannot be read or written", "check the path and its permissions"
        ) from None


def _lay_out(path: Path, kind: Kind, shape: str, encoding: str) -> _Layout:
    if shape == "parquet":
        return _Layout(headings.guess(kind, parquet.headings(path), 1))
    if shape == "xlsx":
        with contextlib.closing(sheet.records(path)) as rows:
            head = next(rows, None)
        if head is None:
            raise InvalidInput("the first sheet is empty", "put the rows on the first sheet")
        return _Layout(headings.guess(kind, head.texts, head.line), head_line=head.line)
    text.refuse_unmarked_utf16(path, encoding)
    with contextlib.closing(text.lines(path, encoding)) as lines:
        if shape == "jsonl":
            return _lay_out_objects(kind, encoding, lines)
        return _lay_out_csv(kind, encoding, lines)


def _lay_out_objects(kind: Kind, encoding: str, lines: Iterable[Line]) -> _Layout:
    keys: dict[str, None] = {}
    for line in lines:  # all of them: a key may first appear on the last line
        found = None if line.code else text.parse_object(line)
        keys.update(dict.fromkeys(found or ()))
        if len(keys) > _COLUMNS:
            raise InvalidInput(f"objects have more than {_COLUMNS} different keys", _FEWER)
    if not keys:
        raise InvalidInput("no line holds a JSON object", "write one JSON object per line")
    names = tuple(keys)
    return _Layout(headings.guess(kind, names, 1), encoding, keys=names)


def _lay_out_csv(kind: Kind, encoding: str, lines: Iterator[Line]) -> _Layout:
    stated: dict[str, str] = {}
    for line in lines:
        content = line.text.strip()
        if content.startswith("#") and kind == "registry":
            name, _, value = content.lstrip("# ").partition(":")
            stated[name.strip().lower()] = value.strip()
        elif content.lower().startswith("sep=") or (not content and not line.code):
            continue
        else:
            return _head(kind, encoding, line, stated)
    raise InvalidInput("the file holds no rows", "export it again")


def _head(kind: Kind, encoding: str, line: Line, stated: dict[str, str]) -> _Layout:
    if line.code:
        raise InvalidInput(
            f"the heading line cannot be read ({line.code})",
            Finding(line.number, line.code).remedy,
        )
    bare = line.text.strip()
    if kind == "registry" and _looks_like_hash(bare):
        columns = Columns(("hash",), ("hash",), ())
        return _Layout(columns, encoding, ",", line.number - 1, stated=stated)
    found = [(_split(kind, line, each), each) for each in _DELIMITERS]
    columns, delimiter = max(found, key=lambda pair: (pair[0].known, len(pair[0].fields)))
    if len(columns.fields) > _COLUMNS:
        raise InvalidInput(f"a file has at most {_COLUMNS} columns", _FEWER)
    return _Layout(columns, encoding, delimiter, line.number, stated=stated)


def _looks_like_hash(content: str) -> bool:
    return len(content) >= 32 and all(char in "0123456789abcdefABCDEF" for char in content)  # noqa: PLR2004


def _split(kind: Kind, line: Line, delimiter: str) -> Columns:
    record = next(iter(Csv(iter((line,)), delimiter)), None)
    texts = record.texts if record else ()
    return headings.guess(kind, texts, line.number)


def _notes(kind: Kind, layout: _Layout, zone: str) -> tuple[Finding, ...]:
    notes = list(layout.columns.notes)
    if layout.encoding == "cp1252":
        notes.append(Finding(1, "encoding_guessed", "", "kept"))
    if kind == "registry":
        notes += _registry(layout, zone)[1]
    return tuple(notes)


def _registry(layout: _Layout, zone: str) -> tuple[RegistryFile, list[Finding]]:
    scheme, notes = layout.stated.get("scheme", ""), list[Finding]()
    if not scheme:
        notes.append(Finding(1, "registry_scheme", "scheme", "kept"))
    try:
        return RegistryFile(scheme, parse_time(layout.stated.get("as-of", ""), zone)), notes
    except Refused:
        return RegistryFile(scheme), [*notes, Finding(1, "registry_as_of", "as-of", "kept")]


def _data(path: Path, shape: str, layout: _Layout) -> Iterator[Record]:
    if shape == "xlsx":
        return (each for each in sheet.records(path) if each.line != layout.head_line)
    lines = text.lines(path, layout.encoding)
    if shape == "jsonl":
        return _objects(lines, layout.keys)
    return iter(Csv(itertools.islice(lines, layout.head_line, None), layout.delimiter))


def _objects(lines: Iterator[Line], keys: tuple[str, ...]) -> Iterator[Record]:
    for line in lines:
        if line.code:
            yield Record(line.number, (), line.code)
        elif line.text.strip():
            found = text.parse_object(line)
            if found is None:
                yield Record(line.number, (), "bad_json")
            else:
                yield Record(line.number, [found.get(key, "") for key in keys])


class _Seen:
    """Remembers rows by 8-byte numbers; equal numbers for different rows: 1 in 10^7 per 2 M rows.

    Customers are remembered by identity, so that a second, different row is a conflict.
    """

    def __init__(self) -> None:
        self.rows: set[int] = set()
        self.customers: dict[int, int] = {}

    def code(self, row: Row, number: int) -> str:
        """Return the finding code for a row that is not new, or ""."""
        if isinstance(row, CustomerRow):
            key = hash(row.external_id or row.email.lower() or row.phone)
            if key not in self.customers:
                self.customers[key] = number
                return ""
            return "duplicate_row" if self.customers[key] == number else "conflict"
        if number in self.rows:
            return "duplicate_row"
        self.rows.add(number)
        return ""

    def all_new(self, numbers: list[int]) -> bool:
        """Add all and return True, or, if any is not new, add none and return False."""
        fresh = set(numbers)
        if len(fresh) != len(numbers) or not self.rows.isdisjoint(fresh):
            return False
        self.rows |= fresh
        return True


class _Reading(Generic[Rows]):
    """One pass over the data rows, from the first; emits what lies behind `after`."""

    def __init__(self, source: Source[Rows], after: int) -> None:
        columns = source._layout.columns  # noqa: SLF001 - the pass belongs to its source
        self._columns = columns
        self._reader = RowReader(source.kind, columns, source.zone)
        self._seen = _Seen()
        self._after = after
        self._zone = source.zone
        self._columnar = source.kind == "events"
        self._done = 0
        self._restart()

    def _restart(self) -> None:
        self._rows: Any = EventColumns() if self._columnar else []
        self._findings: list[Finding] = []
        self._first = 0

    def of_records(self, records: Iterable[Record]) -> Iterator[Batch[Rows]]:
        for record in records:
            number = 0 if record.code else hash(tuple(record.texts))
            self._take(record, number)
            if self._done == self._after:
                self._restart()
            elif not (self._done - self._after) % BATCH_ROWS and self._done > self._after:
                yield self._batch()
        if self._done > self._after and self._first:
            yield self._batch()

    def of_slices(self, slices: Iterable[parquet.Slice]) -> Iterator[Batch[Rows]]:
        for whole in slices:
            for part in self._aligned(whole):
                yield from self._of_slice(part)

    def _aligned(self, whole: parquet.Slice) -> list[parquet.Slice]:
        """Cut a slice where `after` lies inside it."""
        cut = self._after - whole.done
        return [whole.part(0, cut), whole.part(cut)] if 0 < cut < len(whole) else [whole]

    def _of_slice(self, part: parquet.Slice) -> Iterator[Batch[Rows]]:
        numbers = part.hashes()
        events = part.events(self._columns, self._zone) if self._columnar else None
        if events is not None and self._seen.all_new(numbers):
            self._first, self._rows = part.done + 2, events
            self._done += len(part)
        else:
            for record, number in zip(part.records(), numbers, strict=True):
                self._take(record, number)
        if self._done > self._after:
            yield self._batch()
        else:
            self._restart()

    def _batch(self) -> Batch[Rows]:
        batch = Batch(self._first, self._done, self._rows, self._findings)
        self._restart()
        return batch

    def _take(self, record: Record, number: int) -> None:
        self._done += 1
        self._first = self._first or record.line
        if record.code:
            self._findings.append(Finding(record.line, record.code))
            return
        row, findings = self._reader.read(record.line, record.texts)
        self._findings += findings
        if row is None:
            return
        if code := self._seen.code(row, number):
            self._findings.append(Finding(record.line, code, "", "skipped"))
        else:
            self._rows.append(row)


__all__ = ["BATCH_ROWS", "Source", "open_source"]
