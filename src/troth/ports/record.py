"""The record: one read snapshot, one short write, and who runs in its commit."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from troth.terms import (
    Block,
    Body,
    Channel,
    ContactPoint,
    Gathered,
    Instant,
    Job,
    LogState,
    PersonId,
    PersonRecord,
    Prepared,
    Published,
    Sealed,
    Suppressed,
)


class View(Protocol):
    """One read snapshot without a lock; `now` is fixed when it is opened."""

    @property
    def now(self) -> Instant:
        """The decision's time: max(clock, last recorded)."""
        ...

    @property
    def behind(self) -> int:
        """Microseconds the machine's clock lies behind the last recorded moment, or 0."""
        ...

    @property
    def house_version(self) -> int:
        """Rises with every published change."""
        ...

    @property
    def log(self) -> LogState:
        """Size and root of the ledger in this snapshot."""
        ...

    def gather(self, people: Sequence[PersonId], channel: Channel | None) -> list[Gathered]:
        """Return head, record, contact point and blocks of each known person, in given order."""
        ...

    def find(self, channel: Channel, bi: bytes) -> list[PersonId]:
        """Return who holds an address, by its search MAC."""
        ...

    def holders(self, sup: bytes) -> list[PersonId]:
        """Return who holds an address, by its suppression MAC."""
        ...

    def people(self, after: PersonId | None, limit: int) -> list[PersonId]:
        """Page through everybody, ordered by local number."""
        ...

    def sealed(
        self, people: Sequence[PersonId], fields: Sequence[str], since: str = ""
    ) -> dict[PersonId, list[Sealed]]:
        """Return sealed rows of these fields, per person by field and row.

        A field ending in `/` means every scope below it, from `since` on where that is given.
        """
        ...

    def bodies(self, person: PersonId) -> list[Body]:
        """Return the person's sealed events in order of n."""
        ...

    def body_at(self, seq: int, limit: int) -> list[Body]:
        """Return sealed events from leaf index `seq` on."""
        ...

    def published(self, name: str) -> Published | None:
        """Return the newest published version, None if there is none."""
        ...

    def published_all(self, prefix: str) -> list[Published]:
        """Return every version of every name that starts with `prefix`, oldest first."""
        ...

    def row(self, table: str, key: bytes) -> bytes | None:
        """Return one row of a capability's own table."""
        ...

    def rows(
        self, table: str, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Page through a capability's own table in key order."""
        ...

    def blocks(self, sups: Sequence[bytes]) -> dict[bytes, tuple[Block, ...]]:
        """Return suppressions by MAC."""
        ...

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return ledger entries from `start` up to but not including `end`."""
        ...

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile's hashes; `b""` if there is none."""
        ...

    def note(self) -> str | None:
        """Return the newest signed checkpoint."""
        ...

    def jobs(self, kind: str, state: str) -> int:
        """Count jobs of a kind in a state."""
        ...

    def waiting(self) -> dict[str, int]:
        """Count jobs that are not at their end, by kind; walks the index of jobs."""
        ...

    def leased(self, prefix: str, keys: Sequence[str]) -> frozenset[str]:
        """Return which of these keys are jobs taken and not ended, among kinds that begin so."""
        ...

    def job_of(self, prefix: str, key: str) -> tuple[str, PersonId | None] | None:
        """Return kind and person of the job with this key among kinds that begin so.

        Costs one look-up a kind; None where there is none, or its person was erased.
        """
        ...


class Transaction(View, Protocol):
    """One short write (≤ 500 people, ≤ 50 ms); commits on clean exit, else rolls back."""

    @property
    def size(self) -> int:
        """Size of the ledger with what this write has added so far."""
        ...

    def append(self, prepared: Sequence[Prepared]) -> frozenset[PersonId]:
        """Book events: heads move by compare-and-set, bodies are stored, projections run.

        Returns whose head had moved: nothing of theirs was booked; look at them again.
        """
        ...

    def state(self, entry: bytes) -> int:
        """Append a public statement; return its leaf index."""
        ...

    def record(self, person: PersonId) -> PersonRecord:
        """Return the gate facts as this write sees them."""
        ...

    def put_record(self, person: PersonId, record: PersonRecord) -> None:
        """Replace the gate facts of a person."""
        ...

    def put_contact(self, person: PersonId, contact: ContactPoint) -> None:
        """Add or replace a contact point."""
        ...

    def put_sealed(self, person: PersonId, rows: Sequence[Sealed]) -> None:
        """Add or replace sealed rows by (field, row)."""
        ...

    def put_body(self, person: PersonId, n: int, rec: bytes) -> None:
        """Replace the sealed body of an event by the same one under a newer key."""
        ...

    def all_sealed(self, person: PersonId) -> list[Sealed]:
        """Return every sealed row of a person, whatever its field."""
        ...

    def carried(self, person: PersonId) -> int:
        """Count the person's jobs that carry something; walks the jobs."""
        ...

    def drop_sealed(self, person: PersonId, fields: Sequence[str]) -> int:
        """Delete sealed rows of these fields (`x/` for all scopes below); return how many."""
        ...

    def drop_row(self, person: PersonId, field: str, row: int) -> None:
        """Delete one sealed row; there being none is fine."""
        ...

    def drop_person(self, person: PersonId) -> dict[str, int]:
        """Delete everything but head, bodies' places and fence; return counts per kind."""
        ...

    def put_block(self, suppressed: Suppressed) -> None:
        """Add a suppression; the same one twice is one."""
        ...

    def drop_block(self, suppressed: Suppressed) -> None:
        """Lift a suppression."""
        ...

    def put_row(self, table: str, key: bytes, value: bytes | None) -> None:
        """Write or (None) delete one row of a capability's own table."""
        ...

    def claim_row(self, table: str, key: bytes, value: bytes) -> bool:
        """Insert a row that may exist once; False if it is taken already."""
        ...

    def publish(self, name: str, digest: str, data: bytes) -> Published:
        """Add the next immutable version of a name; the house version rises."""
        ...

    def enqueue(
        self,
        kind: str,
        key: str,
        payload: bytes,
        person: PersonId | None,
        due: Instant | None = None,
    ) -> bool:
        """Add a job, ready now or from `due` on; False if one of this kind and key exists."""
        ...

    def lease(self, kind: str, until: Instant, limit: int) -> list[Job]:
        """Take ready or expired jobs; each lease raises the job's fence."""
        ...

    def seize(self, kind: str, keys: Sequence[str], until: Instant) -> list[Job]:
        """Take leased jobs by key whatever their lease: their worker is known to be dead."""
        ...

    def finish(self, jobs: Sequence[tuple[Job, str]]) -> None:
        """Move leased jobs to their end state, all or none; what they carried is deleted.

        Raises:
            Conflict: A fence moved: another worker holds the job; nothing was booked.
        """
        ...

    def put_note(self, size: int, note: str) -> None:
        """Store a signed checkpoint."""
        ...


Mark = tuple[int, int]
"""A moment of the record, for `Store.unchanged` alone: equal marks, equal record."""


class Store(Protocol):
    """The record: SQLite on one machine, memory in tests, PostgreSQL for many."""

    def look(self) -> AbstractContextManager[View]:
        """Open a read snapshot."""
        ...

    def book(self, house_version: int | None = None) -> AbstractContextManager[Transaction]:
        """Open a short write.

        Args:
            house_version: The version the caller decided under; None where nothing published
                was relied on.

        Raises:
            Conflict: The house version moved meanwhile; nothing was booked.
            Unavailable: Another writer held the record too long, or the disk is full.
        """
        ...

    def mark(self) -> Mark:
        """Return what `unchanged` compares with; taken before a look it covers that look."""
        ...

    def unchanged(self, mark: Mark) -> Instant | None:
        """Return the present moment if nothing at all was recorded since a mark, by anybody.

        None where something was, or where it cannot be told: then look again. A few microseconds,
        for the last look before a message leaves. The mark must be of the same thread.
        """
        ...

    def close(self) -> None:
        """Release files."""
        ...


Projections = Mapping[str, Sequence[Callable[[Transaction, Prepared], None]]]
"""Event tag → projections run in the commit that books it; a tag family ends in `.`."""
