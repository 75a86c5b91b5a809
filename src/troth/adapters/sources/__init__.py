"""Files of customers, consents, events, suppressions and registry hashes, read row by row.

`open_source` looks at a file once (digest, encoding, columns); `Source.batches` then streams typed
rows with findings. A broken row is a finding and never an exception; a file that cannot be read at
all is `InvalidInput`. Nothing is written and nothing is looked up outside the file.

Memory: one batch, plus about 100 bytes per row (events: 60) to find rows that stand twice.
"""

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, overload

from troth.adapters.sources import headings, parquet
from troth.adapters.sources.fields import check_zone
from troth.adapters.sources.layout import Layout, lay_out, notes, records, registry
from troth.adapters.sources.reading import BATCH_ROWS, Reading
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
    encoding: str
    registry: RegistryFile | None
    zone: str
    _layout: Layout
    _stamp: int

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
        reading: Reading[Rows] = Reading(self.kind, self._layout.columns, self.zone, after)
        with _unreadable_named():
            if self.format == "parquet":
                yield from reading.of_slices(parquet.slices(self.path))
            else:
                yield from reading.of_records(records(self.path, self.format, self._layout))

    def write_rejects(self, path: Path) -> int:
        """Write line, code, field and remedy of every finding that cost a row; return how many.

        Reads the source again, so that no list grows in memory. Holds no value of any row; cells
        that a spreadsheet would run are made harmless. An existing file is replaced when done.
        """
        draft = path.with_name(f"{path.name}.part")
        with _unreadable_named():
            try:
                with draft.open("w", encoding="utf-8", newline="") as file:
                    count = self._write_lost(csv.writer(file))
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        return count

    def _write_lost(self, writer: Any) -> int:  # noqa: ANN401 - csv gives its type no name
        writer.writerow(("line", "code", "field", "remedy"))
        count = 0
        for each in self._lost():
            cells = (each.code, each.field, each.remedy)
            writer.writerow([each.line, *map(csv_cell, cells)])
            count += 1
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
    """Look at a file: digest, encoding, columns. One pass over its bytes, about 0.1 s for 64 MB.

    JSON Lines are parsed once in full, since a key may first appear on the last line.

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
    if not shape or "\0" in path.name:
        raise InvalidInput(
            "files of this ending are not read", f"use one of {', '.join(_FORMATS)}"
        )
    with _unreadable_named():
        stat = path.stat()
        if not stat.st_size:
            raise InvalidInput("the file is empty", "export it again")
        digest, layout = lay_out(path, kind, shape)
    columns = layout.columns
    headings.require(kind, columns)
    pairs = list(zip(columns.headings, columns.fields, strict=True))
    return Source(
        path=path,
        kind=kind,
        format=shape,
        digest=digest,
        size=stat.st_size,
        columns={heading: name for heading, name in pairs if name},
        ignored=tuple(heading for heading, name in pairs if not name),
        notes=notes(kind, layout, zone),
        encoding=layout.encoding,
        registry=registry(layout, zone)[0] if kind == "registry" else None,
        zone=zone,
        _layout=layout,
        _stamp=stat.st_mtime_ns,
    )


@contextlib.contextmanager
def _unreadable_named() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound("there is no such file", "check the path") from None
    except OSError:
        raise InvalidInput(
            "the file cannot be read or written", "check the path and its permissions"
        ) from None


__all__ = ["BATCH_ROWS", "Source", "open_source"]
