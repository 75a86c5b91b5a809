"""The record in plain memory: the second implementation of `ports.Store`, for tests and trials.

Shares nothing with the SQLite store but the ports, so that each checks the other. A write works on
a copy of the tables (tens of nanoseconds a row) and replaces them at once; a view keeps the tables
it was opened on. Nothing outlives the process.
"""

import copy
import dataclasses
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import ledger, proof
from troth.ports import Clock, Mark, Projections
from troth.terms import (
    NO_HEAD,
    NO_RECORD,
    SECOND,
    Block,
    Body,
    Channel,
    ContactPoint,
    Gathered,
    Head,
    Instant,
    Job,
    LogState,
    PersonId,
    PersonRecord,
    Prepared,
    Published,
    Sealed,
    Suppressed,
    address_of,
)

CLOCK_SLACK = 2 * SECOND
TILE_BITS = 8
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(slots=True)
class _Tables:
    """Everything held; dicts keep the order of insertion, which stands for local numbers."""

    heads: dict[PersonId, Head] = dataclasses.field(default_factory=dict)
    records: dict[PersonId, PersonRecord] = dataclasses.field(default_factory=dict)
    contacts: dict[tuple[PersonId, str], ContactPoint] = dataclasses.field(default_factory=dict)
    blocks: dict[tuple[bytes, str, str, str], Block] = dataclasses.field(default_factory=dict)
    bodies: dict[int, Body] = dataclasses.field(default_factory=dict)
    sealed: dict[tuple[PersonId, str, int], Sealed] = dataclasses.field(default_factory=dict)
    published: dict[tuple[str, int], Published] = dataclasses.field(default_factory=dict)
    rows: dict[tuple[str, bytes], bytes] = dataclasses.field(default_factory=dict)
    jobs: dict[int, Job] = dataclasses.field(default_factory=dict)
    leases: dict[int, Instant] = dataclasses.field(default_factory=dict)
    notes: dict[int, str] = dataclasses.field(default_factory=dict)
    entries: list[bytes] = dataclasses.field(default_factory=list)
    leaves: list[bytes] = dataclasses.field(default_factory=list)
    root: bytes = proof.EMPTY_ROOT
    at: int = 0
    house: int = 0

    def copy(self) -> "_Tables":
        other = copy.copy(self)
        for column in dataclasses.fields(self):
            held = getattr(self, column.name)
            if isinstance(held, (dict, list)):
                setattr(other, column.name, held.copy())
        return other


def _root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1 by peaks: like sizes merge, then the peaks fold from the right."""
    peaks: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, node = 1, leaf
        while peaks and peaks[-1][0] == size:
            node = proof.node_hash(peaks.pop()[1], node)
            size *= 2
        peaks.append((size, node))
    if not peaks:
        return proof.EMPTY_ROOT
    root = peaks.pop()[1]
    while peaks:
        root = proof.node_hash(peaks.pop()[1], root)
    return root


def _reaches(name: str, wanted: str) -> bool:
    return name.startswith(wanted) if wanted.endswith("/") else name == wanted


class MemoryView:
    """A snapshot of the tables; see `ports.View`."""

    def __init__(self, tables: _Tables, now: Instant) -> None:
        """Read `tables`, which nobody changes any more."""
        self._t = tables
        self._now = Instant(max(now, tables.at))
        self._behind = self._now - now
        self._log = LogState(len(tables.entries), tables.root)

    @property
    def now(self) -> Instant:
        """The decision's time."""
        return self._now

    @property
    def behind(self) -> int:
        """Microseconds the machine's clock lies behind the last recorded moment."""
        return self._behind

    @property
    def house_version(self) -> int:
        """Rises with every published change."""
        return self._t.house

    @property
    def log(self) -> LogState:
        """Size and root in this snapshot."""
        return self._log

    def gather(self, people: Sequence[PersonId], channel: Channel | None) -> list[Gathered]:
        """Return what is known of these people, in the given order; unknown ids are left out."""
        return [self._gathered(p, channel) for p in people if p in self._t.heads]

    def _gathered(self, person: PersonId, channel: Channel | None) -> Gathered:
        t = self._t
        contact = t.contacts.get((person, address_of(channel))) if channel else None
        if contact is not None and channel is not None and contact.channel is not channel:
            contact = replace(contact, channel=channel)
        blocks = self.blocks([contact.sup]).get(contact.sup, ()) if contact else ()
        record = t.records.get(person, NO_RECORD)
        return Gathered(person, t.heads[person], record, contact, blocks)

    def find(self, channel: Channel, bi: bytes) -> list[PersonId]:
        """Return who holds an address, by its search MAC."""
        kept = address_of(channel)
        held = {p for (p, name), c in self._t.contacts.items() if c.bi == bi and name == kept}
        return [p for p in self._t.heads if p in held]

    def holders(self, sup: bytes) -> list[PersonId]:
        """Return who holds an address, by its suppression MAC."""
        held = {p for (p, _), c in self._t.contacts.items() if c.sup == sup}
        return [p for p in self._t.heads if p in held]

    def people(self, after: PersonId | None, limit: int) -> list[PersonId]:
        """Page through everybody in the order they became known."""
        everybody = list(self._t.heads)
        start = everybody.index(after) + 1 if after in self._t.heads else 0
        return everybody[start : start + limit]

    def sealed(
        self, people: Sequence[PersonId], fields: Sequence[str], since: str = ""
    ) -> dict[PersonId, list[Sealed]]:
        """Return sealed rows by person, by field and row."""
        out: dict[PersonId, list[Sealed]] = {}
        for (person, name, _), row in sorted(self._t.sealed.items(), key=lambda item: item[0]):
            if name >= since and person in people and any(_reaches(name, w) for w in fields):
                out.setdefault(person, []).append(row)
        return out

    def bodies(self, person: PersonId) -> list[Body]:
        """Return the person's sealed events in order of n."""
        mine = [b for b in self._t.bodies.values() if b.person == person]
        return sorted(mine, key=lambda b: b.n)

    def body_at(self, seq: int, limit: int) -> list[Body]:
        """Return sealed events from leaf index `seq` on."""
        return [self._t.bodies[s] for s in sorted(self._t.bodies) if s >= seq][:limit]

    def published(self, name: str) -> Published | None:
        """Return the newest version of a name."""
        versions = [v for n, v in self._t.published if n == name]
        return self._t.published[name, max(versions)] if versions else None

    def published_all(self, prefix: str) -> list[Published]:
        """Return every version of every name that starts with `prefix`."""
        places = sorted(place for place in self._t.published if place[0].startswith(prefix))
        return [self._t.published[place] for place in places]

    def row(self, table: str, key: bytes) -> bytes | None:
        """Return one row of a capability's own table."""
        return self._t.rows.get((table, key))

    def rows(
        self, table: str, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Page through a capability's own table in key order."""
        mine = sorted((k, v) for (t, k), v in self._t.rows.items() if t == table)
        return [(k, v) for k, v in mine if k.startswith(prefix) and k > after][:limit]

    def blocks(self, sups: Sequence[bytes]) -> dict[bytes, tuple[Block, ...]]:
        """Return suppressions by MAC."""
        out: dict[bytes, tuple[Block, ...]] = {}
        for place in sorted(p for p in self._t.blocks if p[0] in sups):
            out[place[0]] = (*out.get(place[0], ()), self._t.blocks[place])
        return out

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return ledger entries."""
        return self._t.entries[max(start, 0) : max(end, 0)]

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile's hashes, worked out from the leaves; costs 256^(level+1) hashes."""
        span = 1 << TILE_BITS * level
        first = number << TILE_BITS
        last = min(first + (1 << TILE_BITS), len(self._t.leaves) // span)
        parts = (self._t.leaves[i * span : (i + 1) * span] for i in range(first, last))
        return b"".join(_root(part) for part in parts)

    def note(self) -> str | None:
        """Return the newest signed checkpoint."""
        return self._t.notes[max(self._t.notes)] if self._t.notes else None

    def jobs(self, kind: str, state: str) -> int:
        """Count jobs of a kind in a state."""
        return sum(1 for j in self._t.jobs.values() if (j.kind, j.state) == (kind, state))

    def waiting(self) -> dict[str, int]:
        """Count jobs that are not at their end, by kind."""
        kinds = [j.kind for j in self._t.jobs.values() if j.state in ("ready", "leased")]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def leased(self, prefix: str, keys: Sequence[str]) -> frozenset[str]:
        """Return which of these keys are jobs taken and not ended."""
        return frozenset(
            job.key
            for job in self._t.jobs.values()
            if job.state == "leased" and job.kind.startswith(prefix) and job.key in keys
        )

    def job_of(self, prefix: str, key: str) -> tuple[str, PersonId | None] | None:
        """Return kind and person of the job with this key among kinds that begin so."""
        named = (j for j in self._t.jobs.values() if j.key == key and j.kind.startswith(prefix))
        found = min(named, key=lambda job: job.kind, default=None)
        return (found.kind, found.person) if found else None


class MemoryTransaction(MemoryView):
    """One short write over a copy of the tables; see `ports.Transaction`."""

    def __init__(self, tables: _Tables, now: Instant, projections: Projections) -> None:
        """Write to `tables`, a copy its owner keeps or throws away.

        Raises:
            Unavailable: The clock is behind the record.
        """
        super().__init__(tables, now)
        if self._now - now > CLOCK_SLACK:
            raise Unavailable(
                f"the clock is {(self._now - now) // SECOND} s behind the record",
                "set the machine's clock; nothing is written until then",
            )
        self._projections = projections
        self._pending: list[bytes] = []

    @property
    def size(self) -> int:
        """Size of the ledger with what this write has added so far."""
        return len(self._t.entries) + len(self._pending)

    def _known(self, person: PersonId) -> PersonId:
        if person not in self._t.heads:
            raise NotFound("nothing is held under this id")
        return person

    def append(self, prepared: Sequence[Prepared]) -> frozenset[PersonId]:
        """Book events; see `ports.Transaction.append`."""
        chains: dict[PersonId, list[Prepared]] = {}
        for p in prepared:
            chain = chains.setdefault(p.person, [])
            if chain and (p.n, p.prev) != (chain[-1].n + 1, chain[-1].c):
                raise InvalidInput("events of one person in a batch do not follow one another")
            chain.append(p)
        moved = frozenset(
            person
            for person, (first, *_) in chains.items()
            if self._t.heads.get(person, NO_HEAD) != Head(first.n - 1, first.prev)
        )
        kept = [p for p in prepared if p.person not in moved]
        for p in kept:
            seq = self.size
            self._t.heads[p.person] = Head(p.n, p.c)
            self._t.bodies[seq] = Body(seq, p.person, p.n, p.body)
            self._pending.append(proof.private_entry(p.c))
        for p in kept:
            self._project(p)
        return moved

    def _project(self, prepared: Prepared) -> None:
        kind = prepared.payload.type
        for tag in (kind, kind.partition(".")[0] + "."):
            for apply in self._projections.get(tag, ()):
                apply(self, prepared)

    def state(self, entry: bytes) -> int:
        """Append a public statement; return its leaf index."""
        ledger.require_public(entry)
        self._pending.append(entry)
        return self.size - 1

    def settle(self) -> None:
        """Number what was added; the last step before the tables are replaced."""
        if self._pending:
            self._t.entries += self._pending
            self._t.leaves += [proof.leaf_hash(e) for e in self._pending]
            self._t.root = _root(self._t.leaves)
            self._t.at = self._now
            self._pending = []
            self._log = LogState(len(self._t.entries), self._t.root)

    def record(self, person: PersonId) -> PersonRecord:
        """Return the gate facts as this write sees them."""
        return self._t.records.get(person, NO_RECORD)

    def put_record(self, person: PersonId, record: PersonRecord) -> None:
        """Replace the gate facts of a person."""
        self._t.records[self._known(person)] = record

    def put_contact(self, person: PersonId, contact: ContactPoint) -> None:
        """Add or replace a contact point."""
        self._t.contacts[self._known(person), contact.channel] = contact

    def put_sealed(self, person: PersonId, rows: Sequence[Sealed]) -> None:
        """Add or replace sealed rows."""
        self._known(person)
        self._t.sealed.update({(person, r.field, r.row): r for r in rows})

    def put_body(self, person: PersonId, n: int, rec: bytes) -> None:
        """Replace the sealed body of an event by the same one under a newer key."""
        for seq, body in self._t.bodies.items():
            if (body.person, body.n) == (person, n):
                self._t.bodies[seq] = replace(body, rec=rec)

    def all_sealed(self, person: PersonId) -> list[Sealed]:
        """Return every sealed row of a person."""
        return [row for place, row in self._t.sealed.items() if place[0] == person]

    def carried(self, person: PersonId) -> int:
        """Count the person's jobs that are not at their end."""
        return sum(1 for job in self._t.jobs.values() if job.person == person and job.payload)

    def drop_sealed(self, person: PersonId, fields: Sequence[str]) -> int:
        """Delete sealed rows of these fields."""
        self._known(person)
        gone = [
            place
            for place in self._t.sealed
            if place[0] == person and any(_reaches(place[1], w) for w in fields)
        ]
        for place in gone:
            del self._t.sealed[place]
        return len(gone)

    def drop_row(self, person: PersonId, field: str, row: int) -> None:
        """Delete one sealed row."""
        self._t.sealed.pop((self._known(person), field, row), None)

    def drop_person(self, person: PersonId) -> dict[str, int]:
        """Delete everything but the head; return counts per kind."""
        self._known(person)
        t = self._t
        gone = {
            "body": _drop(t.bodies, [s for s, b in t.bodies.items() if b.person == person]),
            "contact_point": _drop(t.contacts, [p for p in t.contacts if p[0] == person]),
            "fact": _drop(t.records, [p for p in t.records if p == person]),
            "sealed": _drop(t.sealed, [p for p in t.sealed if p[0] == person]),
        }
        jobs = [i for i, j in t.jobs.items() if j.person == person]
        _drop(t.leases, [i for i in jobs if i in t.leases])
        return {**gone, "job": _drop(t.jobs, jobs)}

    def put_block(self, suppressed: Suppressed) -> None:
        """Add a suppression; the earliest `since` and the latest end win."""
        block, place = suppressed.block, _block_place(suppressed)
        held = self._t.blocks.get(place)
        if held is not None:
            until = max(held.until, block.until) if held.until and block.until else 0
            block = replace(block, since=min(held.since, block.since), until=until)
        self._t.blocks[place] = block

    def drop_block(self, suppressed: Suppressed) -> None:
        """Lift a suppression."""
        self._t.blocks.pop(_block_place(suppressed), None)

    def put_row(self, table: str, key: bytes, value: bytes | None) -> None:
        """Write or delete one row of a capability's own table."""
        if value is None:
            self._t.rows.pop((table, key), None)
        else:
            self._t.rows[table, key] = value

    def claim_row(self, table: str, key: bytes, value: bytes) -> bool:
        """Insert a row that may exist once."""
        if (table, key) in self._t.rows:
            return False
        self._t.rows[table, key] = value
        return True

    def publish(self, name: str, digest: str, data: bytes) -> Published:
        """Add the next immutable version of a name."""
        before = self.published(name)
        after = Published(name, before.version + 1 if before else 1, self._now, digest, data)
        self._t.published[name, after.version] = after
        self._t.house += 1
        return after

    def enqueue(
        self,
        kind: str,
        key: str,
        payload: bytes,
        person: PersonId | None,
        due: Instant | None = None,
    ) -> bool:
        """Add a job once."""
        if any((j.kind, j.key) == (kind, key) for j in self._t.jobs.values()):
            return False
        number = max(self._t.jobs, default=0) + 1
        when = self._now if due is None else due
        self._t.jobs[number] = Job(number, kind, key, "ready", when, 0, payload, person)
        return True

    def lease(self, kind: str, until: Instant, limit: int) -> list[Job]:
        """Take ready jobs, or leased ones whose lease has run out."""
        open_ = [j for j in self._t.jobs.values() if j.kind == kind and self._is_free(j)]
        return [self._leased(job, until) for job in open_[:limit]]

    def _is_free(self, job: Job) -> bool:
        if job.state == "leased":
            return self._t.leases[job.id] <= self._now
        return job.state == "ready" and job.due <= self._now

    def _leased(self, job: Job, until: Instant) -> Job:
        taken = replace(job, state="leased", fence=job.fence + 1)
        self._t.jobs[job.id] = taken
        self._t.leases[job.id] = until
        return taken

    def seize(self, kind: str, keys: Sequence[str], until: Instant) -> list[Job]:
        """Take leased jobs by key whatever their lease."""
        held = [
            j
            for j in self._t.jobs.values()
            if j.kind == kind and j.state == "leased" and j.key in keys
        ]
        return [self._leased(job, until) for job in held]

    def finish(self, jobs: Sequence[tuple[Job, str]]) -> None:
        """Move leased jobs to their end state, all or none; what they carried is deleted."""
        for job, _ in jobs:
            held = self._t.jobs.get(job.id)
            if held is None or (held.state, held.fence) != ("leased", job.fence):
                raise Conflict(f"job {job.id} was taken over by another worker")
        for job, state in jobs:
            self._t.jobs[job.id] = replace(self._t.jobs[job.id], state=state, payload=b"")

    def put_note(self, size: int, note: str) -> None:
        """Store a signed checkpoint."""
        self._t.notes[size] = note


def _drop(table: dict[_K, _V], keys: Sequence[_K]) -> int:
    for key in keys:
        del table[key]
    return len(keys)


def _block_place(suppressed: Suppressed) -> tuple[bytes, str, str, str]:
    block = suppressed.block
    return suppressed.sup, block.reason, block.scope, block.value


class MemoryStore:
    """The record in memory; see `ports.Store`."""

    def __init__(self, clock: Clock, projections: Projections) -> None:
        """Begin empty."""
        self._clock = clock
        self._projections = projections
        self._tables = _Tables()
        self._booked = 0
        self._lock = threading.Lock()

    @contextmanager
    def look(self) -> Iterator[MemoryView]:
        """Open a read snapshot; a look inside a look is a fresh one, never the older snapshot."""
        yield MemoryView(self._tables, self._clock.now())

    @contextmanager
    def book(self, house_version: int | None = None) -> Iterator[MemoryTransaction]:
        """Open a short write; see `ports.Store.book`."""
        with self._lock:
            tables = self._tables.copy()
            tx = MemoryTransaction(tables, self._clock.now(), self._projections)
            if house_version is not None and tx.house_version != house_version:
                raise Conflict("something published changed meanwhile", "look again")
            yield tx
            tx.settle()
            self._tables = tables
            self._booked += 1

    def mark(self) -> Mark:
        """Return how often anything was booked; see `ports.Store.mark`."""
        return (0, self._booked)

    def unchanged(self, mark: Mark) -> Instant | None:
        """Return the present moment if nothing was recorded since."""
        return self._clock.now() if mark == (0, self._booked) else None

    def close(self) -> None:
        """Forget everything."""
        self._tables = _Tables()
