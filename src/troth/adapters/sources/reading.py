"""One pass over the data rows: typed rows, findings, rows that stand twice, and reading on."""

from collections.abc import Iterable, Iterator
from typing import Any, Generic

from troth.adapters.sources import parquet
from troth.adapters.sources.fields import Row, RowReader
from troth.adapters.sources.headings import Columns
from troth.adapters.sources.text import Record
from troth.engines.intake import (
    Batch,
    CustomerRow,
    EventColumns,
    Finding,
    Kind,
    RegistryRow,
    Rows,
)

BATCH_ROWS = 1_000


class Seen:
    """Remembers rows by 8-byte numbers; equal numbers for different rows: 1 in 10^7 per 2 M rows.

    Customers are remembered by identity, so that a second, different row is a conflict. Registry
    hashes are not: a national list has millions, and the same hash twice changes nothing.
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
        if isinstance(row, RegistryRow):
            return ""
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


class Reading(Generic[Rows]):
    """One pass over the data rows, from the first; emits what lies behind `after`."""

    def __init__(self, kind: Kind, columns: Columns, zone: str, after: int) -> None:
        """Prepare a pass; it is used up by one call."""
        self._columns = columns
        self._reader = RowReader(kind, columns, zone)
        self._seen = Seen()
        self._after = after
        self._zone = zone
        self._columnar = kind == "events"
        self._done = 0
        self._restart()

    def _restart(self) -> None:
        self._rows: Any = EventColumns() if self._columnar else []
        self._findings: list[Finding] = []
        self._first = 0

    def of_records(self, records: Iterable[Record]) -> Iterator[Batch[Rows]]:
        """Read texts row by row."""
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
        """Read slices of columns: whole where they are clean, row by row where not."""
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
