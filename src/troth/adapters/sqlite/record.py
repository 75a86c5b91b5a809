"""The record in one SQLite file: WAL, FULL, secure_delete; who books also sequences."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from troth.adapters.sqlite import schema
from troth.adapters.sqlite.view import MANY, SqliteView, marks, read_record, record_encoder
from troth.errors import Conflict, EvidenceBroken, Fault, InvalidInput, NotFound, Unavailable
from troth.kernel import ledger, proof
from troth.ports import Clock, Mark, Projections
from troth.terms import (
    NO_HEAD,
    NO_RECORD,
    SECOND,
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
)

CLOCK_SLACK = 2 * SECOND
_JOB = "id, kind, key, state, due, fence, payload, person"
_EXPIRED = (
    "SELECT id FROM job WHERE kind = ? AND state = 'leased' AND lease <= ? ORDER BY due LIMIT ?"
)
_READY = "SELECT id FROM job WHERE kind = ? AND state = 'ready' AND due <= ? ORDER BY due LIMIT ?"
"""Each walks `job_open` from its start: what a lease costs does not grow with what waits."""


class SqliteStore:
    """The record in `record.db`: a read connection per thread, one writer at a time."""

    def __init__(self, path: Path, clock: Clock, projections: Projections) -> None:
        """Open or create the file and bring it to this schema.

        Raises:
            Unavailable: Not writable, or written by a newer Troth.
            EvidenceBroken: Damaged.
        """
        self._path = path
        self._clock = clock
        self._projections = projections
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._writer = schema.connect(path)
        self._edge: ledger.Edge | None = None
        try:
            path.chmod(0o600)
            schema.migrate(self._writer, path, schema.STEPS)
            self._writer.execute(
                "INSERT OR IGNORE INTO log_state VALUES (1, 0, ?, 0, 0)", (proof.EMPTY_ROOT,)
            )
        except sqlite3.DatabaseError as fault:
            self._writer.close()
            raise schema.damaged(path, fault) from None
        except OSError:
            self._writer.close()
            raise Unavailable(f"{path.name} is not yours", "check owner and mode") from None
        except (Unavailable, EvidenceBroken):
            self._writer.close()
            raise

    def _reader(self, depth: int = 0) -> sqlite3.Connection:
        """Return this thread's connection for a look inside `depth` other looks."""
        mine: list[sqlite3.Connection] = getattr(self._local, "readers", [])
        self._local.readers = mine
        while len(mine) <= depth:
            con = schema.connect(self._path)
            con.execute("PRAGMA query_only = ON")
            mine.append(con)
            self._readers.append(con)
        return mine[depth]

    def look(self) -> "_Look":
        """Open a read snapshot; a look inside a look is a fresh one, never the older snapshot."""
        return _Look(self)

    def enter(self) -> tuple[sqlite3.Connection, SqliteView]:
        """Begin a look of this thread; see `look`."""
        depth: int = getattr(self._local, "depth", 0)
        con = self._reader(depth)
        self._local.depth = depth + 1
        try:
            con.execute("BEGIN")
            return con, SqliteView(con, self._clock.now())
        except BaseException as fault:
            self.leave(con)
            if isinstance(fault, sqlite3.DatabaseError):
                raise schema.damaged(self._path, fault) from None
            raise

    def leave(self, con: sqlite3.Connection) -> None:
        """End the innermost look of this thread."""
        self._local.depth -= 1
        if con.in_transaction:
            con.execute("ROLLBACK")

    def mark(self) -> Mark:
        """Return this thread's connection and the version of the file it sees."""
        return (-1, 0) if getattr(self._local, "depth", 0) else self._mark()

    def _mark(self) -> Mark:
        con = self._reader()
        try:
            return id(con), int(con.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.DatabaseError as fault:
            raise schema.damaged(self._path, fault) from None

    def unchanged(self, mark: Mark) -> Instant | None:
        """Return the present moment if no connection committed since the mark.

        SQLite changes a connection's `data_version` whenever another one commits, and every write
        goes over another connection than a look. Inside a look nothing can be told.
        """
        if getattr(self._local, "depth", 0) or self._mark() != mark:
            return None
        return self._clock.now()

    def told(self, fault: sqlite3.DatabaseError) -> Fault:
        """Say in the house's words what SQLite says of the file."""
        return schema.damaged(self._path, fault)

    @contextmanager
    def book(self, house_version: int | None = None) -> Iterator["SqliteTransaction"]:
        """Open a short write; see `ports.Store.book`."""
        with self._lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.DatabaseError as fault:
                raise schema.damaged(self._path, fault) from None
            try:
                tx = SqliteTransaction(
                    self._writer, self._clock.now(), self._projections, self._edge
                )
                if house_version is not None and tx.house_version != house_version:
                    raise Conflict("something published changed meanwhile", "look again")  # noqa: TRY301 - rolled back below
                yield tx
                tx.settle()
                self._writer.execute("COMMIT")
            except BaseException as fault:
                self._edge = None
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                if isinstance(fault, sqlite3.DatabaseError):
                    raise schema.damaged(self._path, fault) from None
                raise
            self._edge = tx.edge

    def meta(self, name: str) -> bytes:
        """Return one of the values `init` wrote.

        Raises:
            EvidenceBroken: It is missing: this is not a record that `init` made.
        """
        row = self._reader().execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise EvidenceBroken("record.db is not a record of Troth", "restore the last backup")
        return bytes(row[0])

    def set_meta(self, name: str, value: bytes) -> None:
        """Write a value that never changes again; a second write raises `Conflict`."""
        try:
            self._writer.execute("INSERT INTO meta VALUES (?, ?)", (name, value))
        except sqlite3.IntegrityError:
            raise Conflict("this record was begun already") from None

    def truncate_wal(self) -> None:
        """Fold the write-ahead log into the file, so that overwritten bytes are gone from both.

        Raises:
            Unavailable: A reader is still open; repeat.
        """
        with self._lock:
            busy = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise Unavailable("a reader still holds the write-ahead log", "repeat in a moment", 1)

    def close(self) -> None:
        """Close every connection."""
        for con in (*self._readers, self._writer):
            con.close()
        self._readers.clear()


class _Look(AbstractContextManager[SqliteView]):
    """One read snapshot; a class, since every message on its way out takes two of them."""

    __slots__ = ("_con", "_store")

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __enter__(self) -> SqliteView:
        self._con, view = self._store.enter()
        return view

    def __exit__(self, _kind: object, fault: BaseException | None, _where: object) -> None:
        self._store.leave(self._con)
        if isinstance(fault, sqlite3.DatabaseError):
            raise self._store.told(fault) from None


def _require_chains(prepared: Sequence[Prepared]) -> None:
    last: dict[PersonId, Prepared] = {}
    for p in prepared:
        before = last.get(p.person)
        if before is not None and (p.n != before.n + 1 or p.prev != before.c):
            raise InvalidInput("events of one person in a batch do not follow one another")
        last[p.person] = p


class SqliteTransaction(SqliteView):
    """One short write; see `ports.Transaction`."""

    def __init__(
        self,
        con: sqlite3.Connection,
        now: Instant,
        projections: Projections,
        edge: ledger.Edge | None,
    ) -> None:
        """Write over `con`, inside a transaction its owner began and ends."""
        super().__init__(con, now)
        if self._now - now > CLOCK_SLACK:
            raise Unavailable(
                f"the clock is {(self._now - now) // SECOND} s behind the record",
                "set the machine's clock; nothing is written until then",
            )
        self._projections = projections
        fits = edge is not None and edge.size == self._log.size
        self.edge = edge.copy() if edge is not None and fits else self._load_edge()
        self._pending: list[bytes] = []
        self._numbers: dict[bytes, int] = {}
        self._folded: dict[PersonId, PersonRecord] = {}
        self._facts: dict[PersonId, bytes | None] = {}
        self._rows: dict[tuple[str, bytes], bytes | None] = {}

    def _load_edge(self) -> ledger.Edge:
        edge = ledger.Edge.load(self._log.size, self.tile)
        if edge.root() != self._log.root:
            raise EvidenceBroken(
                "the ledger's root does not fit its tiles", "run: troth ledger verify"
            )
        return edge

    @property
    def size(self) -> int:
        """Size of the ledger with what this write has added so far."""
        return self._log.size + len(self._pending)

    def _locals(self, people: Sequence[PersonId]) -> dict[bytes, tuple[int, Head]]:
        out: dict[bytes, tuple[int, Head]] = {}
        for start in range(0, len(people), 500):
            part = people[start : start + 500]
            sql = f"SELECT psid, id, n, c FROM person WHERE psid IN ({marks(len(part))})"  # noqa: S608 - question marks only
            for psid, number, n, c in self._con.execute(sql, part):
                out[psid] = (number, Head(n, c))
                self._numbers[psid] = number
        return out

    def _local(self, person: PersonId) -> int:
        known = self._numbers.get(person)
        if known is not None:
            return known
        row = self._con.execute("SELECT id FROM person WHERE psid = ?", (person,)).fetchone()
        if row is None:
            raise NotFound("nothing is held under this id")
        self._numbers[person] = int(row[0])
        return int(row[0])

    def append(self, prepared: Sequence[Prepared]) -> frozenset[PersonId]:
        """Book events; see `ports.Transaction.append`."""
        people = list(dict.fromkeys(p.person for p in prepared))
        known = self._locals(people)
        first = {p.person: p for p in reversed(prepared)}
        _require_chains(prepared)
        moved = frozenset(
            person
            for person in people
            if (known[person][1] if person in known else NO_HEAD)
            != Head(first[person].n - 1, first[person].prev)
        )
        kept = [p for p in prepared if p.person not in moved] if moved else list(prepared)
        last = {p.person: p for p in kept}
        new = [(p.person, p.n, p.c) for p in last.values() if p.person not in known]
        old = [(p.n, p.c, known[p.person][0]) for p in last.values() if p.person in known]
        self._con.executemany("UPDATE person SET n = ?, c = ? WHERE id = ?", old)
        if new:
            self._con.executemany("INSERT INTO person (psid, n, c) VALUES (?, ?, ?)", new)
            known.update(self._locals([PersonId(row[0]) for row in new]))
        seq = self.size
        self._con.executemany(
            "INSERT INTO body VALUES (?, ?, ?, ?)",
            [(seq + i, known[p.person][0], p.n, p.body) for i, p in enumerate(kept)],
        )
        self._pending += [proof.private_entry(p.c) for p in kept]
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
        """Write facts, then sequence: entries, tiles, root; the last step before the commit."""
        self._write_folded()
        self._write_rows()
        if not self._pending:
            return
        start = self._log.size
        self._con.executemany(
            "INSERT INTO entry VALUES (?, ?)",
            [(start + i, data) for i, data in enumerate(self._pending)],
        )
        tiles = self.edge.extend(ledger.leaf_hashes(self._pending))
        self._con.executemany(
            "INSERT OR REPLACE INTO tile VALUES (?, ?, ?)",
            [(t.level, t.number, t.hashes) for t in tiles],
        )
        self._log = LogState(self.edge.size, self.edge.root())
        self._con.execute(
            "UPDATE log_state SET size = ?, root = ?, at = ?",
            (self._log.size, self._log.root, self._now),
        )
        self._pending = []

    def put_record(self, person: PersonId, record: PersonRecord) -> None:
        """Replace the gate facts of a person; written once, when the booking settles."""
        self._local(person)
        self._folded[person] = record

    def record(self, person: PersonId) -> PersonRecord:
        """Return the gate facts as this write sees them."""
        known = self._folded.get(person)
        if known is not None:
            return known
        if person not in self._facts:
            self._read_facts(person)
        facts = self._facts[person]
        return read_record(facts) if facts else NO_RECORD

    def _read_facts(self, person: PersonId) -> None:
        """Read the facts of this person together with everybody's whose chain this write moves."""
        wanted = [p for p in {person: None, **self._numbers} if p not in self._facts]
        for start in range(0, len(wanted), MANY):
            part = wanted[start : start + MANY]
            sql = (
                "SELECT p.psid, f.data FROM person p JOIN fact f ON f.person = p.id"  # noqa: S608 - question marks only
                f" WHERE p.psid IN ({marks(len(part))})"
            )
            self._facts |= dict.fromkeys(map(PersonId, part))
            self._facts |= dict(self._con.execute(sql, part))

    def gather(self, people: Sequence[PersonId], channel: Channel | None) -> list[Gathered]:
        """Return what is known of these people, with what this write changed."""
        self._write_folded()
        return super().gather(people, channel)

    def _write_folded(self) -> None:
        if self._folded:
            written = {p: record_encoder.encode(record) for p, record in self._folded.items()}
            self._con.executemany(
                "INSERT OR REPLACE INTO fact VALUES (?, ?)",
                [(self._numbers[person], facts) for person, facts in written.items()],
            )
            self._facts |= written
            self._folded = {}

    def put_contact(self, person: PersonId, contact: ContactPoint) -> None:
        """Add or replace a contact point."""
        self._con.execute(
            "INSERT OR REPLACE INTO contact_point VALUES (?, ?, ?, ?, ?)",
            (self._local(person), contact.channel, contact.bi, contact.sup, contact.normaliser),
        )

    def put_sealed(self, person: PersonId, rows: Sequence[Sealed]) -> None:
        """Add or replace sealed rows."""
        number = self._local(person)
        self._con.executemany(
            "INSERT INTO sealed VALUES (?, ?, ?, ?, ?) ON CONFLICT (person, field, row)"
            " DO UPDATE SET version = excluded.version, rec = excluded.rec",
            [(number, r.field, r.row, r.version, r.rec) for r in rows],
        )

    def put_body(self, person: PersonId, n: int, rec: bytes) -> None:
        """Replace the sealed body of an event by the same one under a newer key."""
        sql = "UPDATE body SET rec = ? WHERE person = ? AND n = ?"
        self._con.execute(sql, (rec, self._local(person), n))

    def all_sealed(self, person: PersonId) -> list[Sealed]:
        """Return every sealed row of a person."""
        sql = "SELECT field, row, version, rec FROM sealed WHERE person = ?"
        return [Sealed(*row) for row in self._con.execute(sql, (self._local(person),))]

    def carried(self, person: PersonId) -> int:
        """Count the person's jobs that are not at their end: they may carry sealed bytes."""
        sql = "SELECT count(*) FROM job WHERE person = ? AND payload <> x''"
        return int(self._con.execute(sql, (person,)).fetchone()[0])

    def drop_sealed(self, person: PersonId, fields: Sequence[str]) -> int:
        """Delete sealed rows of these fields."""
        number, count = self._local(person), 0
        for name in fields:
            end = name[:-1] + "0" if name.endswith("/") else name + "\x00"
            count += self._con.execute(
                "DELETE FROM sealed WHERE person = ? AND field >= ? AND field < ?",
                (number, name, end),
            ).rowcount
        return count

    def drop_row(self, person: PersonId, field: str, row: int) -> None:
        """Delete one sealed row."""
        self._con.execute(
            "DELETE FROM sealed WHERE person = ? AND field = ? AND row = ?",
            (self._local(person), field, row),
        )

    def drop_person(self, person: PersonId) -> dict[str, int]:
        """Delete everything but the head; return counts per kind."""
        number = self._local(person)
        self._folded.pop(person, None)
        self._facts.pop(person, None)
        return {
            table: self._con.execute(
                f"DELETE FROM {table} WHERE person = ?",  # noqa: S608 - table names from this line
                (person if table == "job" else number,),
            ).rowcount
            for table in ("body", "contact_point", "fact", "job", "sealed")
        }

    def put_block(self, suppressed: Suppressed) -> None:
        """Add a suppression; the earliest `since` and the latest end win."""
        block = suppressed.block
        self._con.execute(
            "INSERT INTO suppression VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " since = min(since, excluded.since),"
            " until = CASE WHEN until = 0 OR excluded.until = 0 THEN 0"
            " ELSE max(until, excluded.until) END",
            (suppressed.sup, block.reason, block.scope, block.value, block.since, block.until),
        )

    def drop_block(self, suppressed: Suppressed) -> None:
        """Lift a suppression."""
        block = suppressed.block
        self._con.execute(
            "DELETE FROM suppression WHERE sup = ? AND reason = ? AND scope = ? AND value = ?",
            (suppressed.sup, block.reason, block.scope, block.value),
        )

    def put_row(self, table: str, key: bytes, value: bytes | None) -> None:
        """Write or delete one row of a capability's own table; in key order, before it is read."""
        self._rows[table, key] = value

    def _write_rows(self) -> None:
        if self._rows:
            waiting, self._rows = sorted(self._rows.items()), {}
            self._con.executemany(
                "INSERT OR REPLACE INTO own_row VALUES (?, ?, ?)",
                [(*place, value) for place, value in waiting if value is not None],
            )
            self._con.executemany(
                "DELETE FROM own_row WHERE tbl = ? AND key = ?",
                [place for place, value in waiting if value is None],
            )

    def row(self, table: str, key: bytes) -> bytes | None:
        """Return one row of a capability's own table, as this write sees it."""
        place = (table, key)
        return self._rows[place] if place in self._rows else super().row(table, key)

    def rows(
        self, table: str, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Page through a capability's own table, with what this write changed."""
        self._write_rows()
        return super().rows(table, prefix, after, limit)

    def claim_row(self, table: str, key: bytes, value: bytes) -> bool:
        """Insert a row that may exist once."""
        self._write_rows()
        sql = "INSERT OR IGNORE INTO own_row VALUES (?, ?, ?)"
        return self._con.execute(sql, (table, key, value)).rowcount == 1

    def publish(self, name: str, digest: str, data: bytes) -> Published:
        """Add the next immutable version of a name."""
        before = self.published(name)
        after = Published(name, before.version + 1 if before else 1, self._now, digest, data)
        self._con.execute(
            "INSERT INTO published VALUES (?, ?, ?, ?, ?)",
            (after.name, after.version, after.at, after.digest, after.data),
        )
        self._house += 1
        self._con.execute("UPDATE log_state SET house = ?", (self._house,))
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
        sql = "INSERT OR IGNORE INTO job VALUES (NULL, ?, ?, 'ready', ?, 0, 0, ?, ?)"
        row = (kind, key, self._now if due is None else due, payload, person)
        return self._con.execute(sql, row).rowcount == 1

    def lease(self, kind: str, until: Instant, limit: int) -> list[Job]:
        """Take ready jobs, or leased ones whose lease has run out."""
        free = self._con.execute(_EXPIRED, (kind, self._now, limit)).fetchall()
        free += self._con.execute(_READY, (kind, self._now, limit - len(free))).fetchall()
        taken = [(until, number) for (number,) in free]
        self._con.executemany(
            "UPDATE job SET state = 'leased', lease = ?, fence = fence + 1 WHERE id = ?", taken
        )
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(free), MANY):
            part = [number for (number,) in free[start : start + MANY]]
            sql = f"SELECT {_JOB} FROM job WHERE id IN ({marks(len(part))})"  # noqa: S608 - question marks only
            rows += self._con.execute(sql, part)
        return [Job(*row) for row in sorted(rows)]

    def seize(self, kind: str, keys: Sequence[str], until: Instant) -> list[Job]:
        """Take leased jobs by key whatever their lease."""
        out = []
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            sql = (
                "UPDATE job SET lease = ?, fence = fence + 1"  # noqa: S608 - question marks only
                f" WHERE kind = ? AND state = 'leased' AND key IN ({marks(len(part))})"
                f" RETURNING {_JOB}"
            )
            out += [Job(*row) for row in self._con.execute(sql, (until, kind, *part))]
        return sorted(out, key=lambda job: job.id)

    def finish(self, jobs: Sequence[tuple[Job, str]]) -> None:
        """Move leased jobs to their end state, all or none; what they carried is deleted."""
        ids = [job.id for job, _ in jobs]
        held: dict[int, int] = {}
        for start in range(0, len(ids), MANY):
            part = ids[start : start + MANY]
            sql = (
                "SELECT id, fence FROM job WHERE state = 'leased'"  # noqa: S608 - question marks only
                f" AND id IN ({marks(len(part))})"
            )
            held |= dict(self._con.execute(sql, part))
        lost = [job.id for job, _ in jobs if held.pop(job.id, None) != job.fence]
        if lost:
            raise Conflict(f"job {lost[0]} was taken over by another worker")
        self._con.executemany(
            "UPDATE job SET state = ?, payload = x'' WHERE id = ?",
            [(state, job.id) for job, state in jobs],
        )

    def put_note(self, size: int, note: str) -> None:
        """Store a signed checkpoint."""
        self._con.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", (size, note))
