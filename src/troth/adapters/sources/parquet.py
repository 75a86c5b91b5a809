"""Parquet by slices of columns. Needs the extra [reach]; a clean slice of events stays columnar.

1.47 million event lines in about 2 s and 8,192 lines of memory at a time; a slice with anything
to object to is read row by row.
"""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from troth.adapters.sources.fields import UNITS_END
from troth.adapters.sources.headings import Columns
from troth.adapters.sources.text import Record
from troth.engines.intake import EventColumns
from troth.errors import InvalidInput, Unavailable
from troth.terms import moment

SLICE = 8_192
_TEXTS = ("external_id", "kind", "item", "group", "currency", "store")
_FIELD_CHARS = 4_096
_SAFE = 2**53
_CURRENCY_LETTERS = 3
_KIND_CHARS = 64


def _arrow() -> Any:  # noqa: ANN401 - the library has no types
    try:
        import pyarrow  # noqa: PLC0415, ICN001 - in the extra [reach]; costs 100 ms
        import pyarrow.compute  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise Unavailable(
            "Parquet needs a part that is not installed",
            "install the extra: pip install 'troth[reach]', or save the file as CSV",
        ) from None
    return pyarrow


@contextmanager
def _damage_named(arrow: Any) -> Iterator[None]:  # noqa: ANN401
    try:
        yield
    except (
        arrow.ArrowException,
        OSError,
        OverflowError,
        ValueError,
        TypeError,
        KeyError,
        MemoryError,
    ):
        raise InvalidInput(
            "the Parquet file is damaged or uses a feature that is not read",
            "write it again, or save it as CSV",
        ) from None


def headings(path: Path) -> list[str]:
    """Return the column names."""
    arrow = _arrow()
    with _damage_named(arrow), arrow.parquet.ParquetFile(path) as file:
        return [str(name) for name in file.schema_arrow.names]


def slices(path: Path) -> Iterator["Slice"]:
    """Yield slices of at most 8,192 rows in the file's order."""
    arrow = _arrow()
    with _damage_named(arrow), arrow.parquet.ParquetFile(path) as file:
        done = 0
        for batch in file.iter_batches(batch_size=SLICE, use_threads=False):
            yield Slice(arrow, batch, done)
            done += batch.num_rows


class Slice:
    """Some rows of the file by columns; `line` of a row is its place in the file plus 2."""

    def __init__(self, arrow: Any, batch: Any, done: int) -> None:  # noqa: ANN401
        """Take an Arrow record batch whose first row is row number `done` of the file."""
        self._arrow = arrow
        self._batch = batch
        self.done = done

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def part(self, start: int, stop: int | None = None) -> "Slice":
        """Return rows `start` to `stop` of this slice."""
        length = None if stop is None else stop - start
        return Slice(self._arrow, self._batch.slice(start, length), self.done + start)

    def hashes(self) -> list[int]:
        """Return one 8-byte number per row, equal for equal rows in this process."""
        with _damage_named(self._arrow):
            columns = [self._values(column) for column in self._batch.columns]
            return list(map(hash, zip(*columns, strict=True)))

    def records(self) -> Iterator[Record]:
        """Yield the rows as texts; a row's line is its place in the file plus 2."""
        with _damage_named(self._arrow):
            columns = [self._as_texts(column) for column in self._batch.columns]
        for line, texts in enumerate(zip(*columns, strict=True), self.done + 2):
            yield Record(line, texts)

    def events(self, columns: Columns, zone: str) -> EventColumns | None:
        """Return the slice as events, or None where some row needs a closer look."""
        found = {
            name: self._batch.column(place)
            for place, name in enumerate(columns.fields)
            if name is not None
        }
        try:
            return _Cleaner(self._arrow, found, len(self), zone).events(self.done + 2)
        except (_Unclean, self._arrow.ArrowException, ValueError):
            return None

    def _values(self, column: Any) -> list[Any]:  # noqa: ANN401
        types = self._arrow.types
        if types.is_timestamp(column.type):
            column = column.cast(self._arrow.int64())
        listed: list[Any] = column.to_pylist()
        return [_as_text(value) for value in listed] if types.is_nested(column.type) else listed

    def _as_texts(self, column: Any) -> list[str]:  # noqa: ANN401
        if not self._arrow.types.is_timestamp(column.type):
            return [_as_text(value) for value in self._values(column)]
        end = "Z" if column.type.tz else ""
        micros = column.cast(self._arrow.timestamp("us", column.type.tz), safe=False)
        return [
            "" if value is None else moment(value).replace(tzinfo=None).isoformat() + end
            for value in micros.cast(self._arrow.int64()).to_pylist()
        ]


class _Unclean(Exception):  # noqa: N818 - means: take the slow way
    """A row of the slice is not plainly right."""


class _Cleaner:
    """Checks whole columns at once; anything unusual raises `_Unclean`."""

    def __init__(self, arrow: Any, found: dict[str, Any], size: int, zone: str) -> None:  # noqa: ANN401
        self._arrow = arrow
        self._found = found
        self._size = size
        self._zone = zone

    def events(self, first_line: int) -> EventColumns:
        amount, currency = self._integers("amount_minor", 0), self._texts("currency")
        self._money(currency)
        units = self._integers("units", 1)
        if units and not -UNITS_END < min(units) <= max(units) < UNITS_END:
            raise _Unclean
        texts = {name: self._texts(name) for name in _TEXTS if name != "currency"}
        if not all(texts["external_id"]) or not all(texts["kind"]):
            raise _Unclean
        return EventColumns(
            line=array("q", range(first_line, first_line + self._size)),
            at=self._instants(),
            amount_minor=amount,
            currency=currency,
            units=units,
            **texts,
        )

    def _money(self, currency: list[str]) -> None:
        """Either every row has an amount in a proper currency, or there are no amounts."""
        if "amount_minor" not in self._found:
            if "currency" in self._found:
                raise _Unclean
            return
        if not all(
            len(c) == _CURRENCY_LETTERS and c.isascii() and c.isalpha() and c.isupper()
            for c in set(currency)
        ):
            raise _Unclean

    def _texts(self, name: str) -> list[str]:
        column = self._found.get(name)
        if column is None:
            return [""] * self._size
        types = self._arrow.types
        if types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if column.null_count or not (
            _is_text(types, column.type) or types.is_integer(column.type)
        ):
            raise _Unclean
        if name == "kind":
            return self._kinds(column)
        texts: list[str] = column.cast(self._arrow.string()).to_pylist()
        if _is_text(types, column.type):
            self._check(texts)
        return texts

    def _check(self, texts: list[str]) -> None:
        if any(text != text.strip() or len(text) > _FIELD_CHARS for text in set(texts)):
            raise _Unclean

    def _kinds(self, column: Any) -> list[str]:  # noqa: ANN401
        texts: list[str] = column.cast(self._arrow.string()).to_pylist()
        for text in set(texts):
            if not (text.isascii() and text.isidentifier() and text.islower() and len(text) <= 64):  # noqa: PLR2004
                raise _Unclean
            if not text[0].isalpha():
                raise _Unclean
        return texts

    def _integers(self, name: str, default: int) -> "array[int]":
        column = self._found.get(name)
        if column is None:
            return array("q", [default]) * self._size
        if column.null_count or not self._arrow.types.is_integer(column.type):
            raise _Unclean
        numbers = _longs(self._arrow, column)
        if numbers and (max(numbers) >= _SAFE or min(numbers) <= -_SAFE):
            raise _Unclean
        return numbers

    def _instants(self) -> "array[int]":
        column = self._found["at"]
        if column.null_count or not self._arrow.types.is_timestamp(column.type):
            raise _Unclean
        if column.type.tz is None:
            if not self._zone:
                raise _Unclean
            column = self._arrow.compute.assume_timezone(
                column, self._zone, ambiguous="earliest", nonexistent="latest"
            )
        micros = column.cast(self._arrow.timestamp("us", column.type.tz), safe=False)
        return _longs(self._arrow, micros.cast(self._arrow.int64()))


def _is_text(types: Any, kind: Any) -> bool:  # noqa: ANN401
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _longs(arrow: Any, column: Any) -> "array[int]":  # noqa: ANN401
    whole = column.cast(arrow.int64())
    numbers: array[int] = array("q")
    bits = memoryview(whole.buffers()[1]).cast("B")
    numbers.frombytes(bits[whole.offset * 8 : (whole.offset + len(whole)) * 8])
    return numbers


def _as_text(value: Any) -> str:  # noqa: ANN401
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "|".join(_as_text(each) for each in value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
