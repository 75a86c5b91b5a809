"""A folder of CSV, TSV, JSON-lines and Parquet files: each file is a table.

A file of another kind is named and not looked into; nothing outside the folder is followed.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from troth.adapters.scanning.reader import Column, Guarded, text_of, unreachable
from troth.errors import Unavailable

HEAD: Final = 2_000_000
"""Bytes of a text file that are read."""
_FILES: Final = 20_000
Rows = Iterator[Sequence[str | None]]


class FolderReader:
    """Reads the files of a folder and those below it."""

    guarded: Guarded = "here"

    def __init__(self, folder: Path, name: str) -> None:
        """Look at a folder.

        Raises:
            Unavailable: It is not there.
        """
        self._folder = folder.resolve()
        if not folder.is_dir():
            raise unreachable(name)

    def tables(self) -> Sequence[str]:
        """Name every file, by its place below the folder."""
        found = (
            each for each in self._folder.rglob("*")
            if each.is_file() and each.resolve().is_relative_to(self._folder)
        )  # fmt: skip
        return sorted(str(each.relative_to(self._folder)) for each in islice(found, _FILES))

    def columns(self, table: str) -> Sequence[Column]:
        """Name the columns; text files tell no types."""
        return _KINDS.get(Path(table).suffix.lower(), _other)(self._folder / table)[0]

    def sample(self, table: str, columns: Sequence[Column], rows: int) -> Rows:
        """Yield the first rows."""
        del columns
        kind = _KINDS.get(Path(table).suffix.lower(), _other)
        yield from islice(kind(self._folder / table)[1], rows)

    def close(self) -> None:
        """Nothing is held open."""


Read = tuple[list[Column], Rows]


def _other(_path: Path) -> Read:
    raise Unavailable("files of this kind are not looked into", "map it by hand")


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(HEAD)
    except OSError:
        raise Unavailable("the file cannot be read", "check owner and mode") from None
    return raw.decode("utf-8-sig", "replace")


def _csv(path: Path) -> Read:
    text = _head(path)
    first = text.partition("\n")[0]
    sign = max(",;\t|", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=sign)
    try:
        names = next(rows, [])
    except csv.Error:
        raise Unavailable("the file is no table", "map it by hand") from None
    return [Column(name, "") for name in names], _safely(rows)


def _safely(rows: Iterator[list[str]]) -> Rows:
    """Yield rows up to the first that does not read."""
    while True:
        try:
            row = next(rows)
        except (StopIteration, csv.Error):
            return
        yield row


def _jsonl(path: Path) -> Read:
    found = []
    for line in _head(path).splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.append(value)
    names = list(dict.fromkeys(name for each in found for name in each))
    rows = ([text_of(each.get(name)) for name in names] for each in found)
    return [Column(name, "") for name in names], rows


def _parquet(path: Path) -> Read:
    """Read a Parquet file's schema and first rows; needs the extra `[reach]`."""
    try:
        import pyarrow  # noqa: PLC0415, ICN001 - in the extra [reach]; costs 100 ms
        import pyarrow.parquet  # noqa: PLC0415 - the same
    except ImportError:
        raise Unavailable(
            "Parquet needs the extra [reach]", "install it: pip install troth[reach]"
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = [Column(each.name, str(each.type)) for each in file.schema_arrow]
            batch = next(file.iter_batches(batch_size=_BATCH, use_threads=False), None)
            rows = batch.to_pylist() if batch else []
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, KeyError, MemoryError):
        raise Unavailable("the Parquet file does not read", "write it again") from None
    return columns, ([text_of(row.get(each.name)) for each in columns] for row in rows)


_BATCH: Final = 1_000
_KINDS: Final[dict[str, Callable[[Path], Read]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".txt": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".parquet": _parquet,
}
"""Ending of a file's name → how it is read."""
