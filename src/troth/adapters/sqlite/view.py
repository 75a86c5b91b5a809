"""Reading the record: one snapshot, plain SQL, values out."""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from troth.terms import (
    NO_RECORD,
    Block,
    Body,
    Channel,
    ContactPoint,
    Gathered,
    Head,
    Instant,
    LogState,
    PersonId,
    PersonRecord,
    Published,
    Sealed,
    address_of,
)

MANY = 500
record_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(PersonRecord)


@lru_cache(maxsize=1_024)
def read_record(data: bytes) -> PersonRecord:
    """Read gate facts; a batch is looked at, judged and settled with the same bytes."""
    return _decoder.decode(data)


@lru_cache(maxsize=2 * MANY)
def marks(count: int) -> str:
    """Return `count` question marks for an IN list."""
    return ",".join("?" * count)


def _end(prefix: bytes) -> bytes | None:
    """Return the first key after every one that begins so; None where there is no such end."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes((head[-1] + 1,)) if head else None


class SqliteView:
    """A read snapshot over one connection; see `ports.View`."""

    def __init__(self, con: sqlite3.Connection, now: Instant) -> None:
        """Read over `con`, inside a transaction its owner began."""
        self._con = con
        row = con.execute("SELECT size, root, at, house FROM log_state").fetchone()
        self._log = LogState(row[0], row[1])
        self._now = Instant(max(now, row[2]))
        self._behind = self._now - now
        self._house = int(row[3])

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
        return self._house

    @property
    def log(self) -> LogState:
        """Size and root in this snapshot."""
        return self._log

    def gather(self, people: Sequence[PersonId], channel: Channel | None) -> list[Gathered]:
        """Return what is known of these people, in the given order; unknown ids are left out."""
        found: dict[bytes, tuple[Head, PersonRecord, ContactPoint | None]] = {}
        for start in range(0, len(people), MANY):
            part = people[start : start + MANY]
            sql = (
                "SELECT p.psid, p.n, p.c, f.data, c.bi, c.sup, c.normaliser FROM person p"  # noqa: S608 - question marks only
                " LEFT JOIN fact f ON f.person = p.id"
                " LEFT JOIN contact_point c ON c.person = p.id AND c.channel = ?"
                f" WHERE p.psid IN ({marks(len(part))})"
            )
            for psid, n, c, data, bi, sup, normaliser in self._con.execute(
                sql, (address_of(channel) if channel else "", *part)
            ):
                record = read_record(data) if data else NO_RECORD
                contact = ContactPoint(channel, bi, sup, normaliser) if bi and channel else None
                found[psid] = (Head(n, c), record, contact)
        blocks = self.blocks([c.sup for _, _, c in found.values() if c])
        out = []
        for person in people:
            if (known := found.get(person)) is not None:
                head, record, contact = known
                theirs = blocks.get(contact.sup, ()) if contact else ()
                out.append(Gathered(person, head, record, contact, theirs))
        return out

    def find(self, channel: Channel, bi: bytes) -> list[PersonId]:
        """Return who holds an address."""
        sql = (
            "SELECT p.psid FROM contact_point c JOIN person p ON p.id = c.person"
            " WHERE c.bi = ? AND c.channel = ? ORDER BY p.id"
        )
        return [PersonId(row[0]) for row in self._con.execute(sql, (bi, address_of(channel)))]

    def holders(self, sup: bytes) -> list[PersonId]:
        """Return who holds an address, by its suppression MAC."""
        sql = (
            "SELECT DISTINCT p.psid FROM contact_point c JOIN person p ON p.id = c.person"
            " WHERE c.sup = ? ORDER BY p.id"
        )
        return [PersonId(row[0]) for row in self._con.execute(sql, (sup,))]

    def people(self, after: PersonId | None, limit: int) -> list[PersonId]:
        """Page through everybody."""
        sql = (
            "SELECT psid FROM person"
            " WHERE id > coalesce((SELECT id FROM person WHERE psid = ?), 0)"
            " ORDER BY id LIMIT ?"
        )
        return [PersonId(row[0]) for row in self._con.execute(sql, (after, limit))]

    def sealed(
        self, people: Sequence[PersonId], fields: Sequence[str], since: str = ""
    ) -> dict[PersonId, list[Sealed]]:
        """Return sealed rows by person."""
        test = " OR ".join("(s.field >= ? AND s.field < ?)" for _ in fields)
        bounds = [
            bound
            for f in fields
            for bound in (max(f, since), f[:-1] + "0" if f.endswith("/") else f + "\x00")
        ]
        out: dict[PersonId, list[Sealed]] = {}
        for start in range(0, len(people) if fields else 0, MANY):
            part = people[start : start + MANY]
            sql = (
                "SELECT p.psid, s.field, s.row, s.version, s.rec FROM person p"  # noqa: S608 - question marks only
                " JOIN sealed s ON s.person = p.id"
                f" WHERE p.psid IN ({marks(len(part))}) AND ({test})"
                " ORDER BY p.psid, s.field, s.row"  # as the indexes lie: nothing is sorted
            )
            for psid, field, row, version, rec in self._con.execute(sql, (*part, *bounds)):
                sealed = Sealed(field, row, version, rec)
                if psid in out:
                    out[psid].append(sealed)
                else:
                    out[psid] = [sealed]
        return out

    def bodies(self, person: PersonId) -> list[Body]:
        """Return the person's sealed events in order of n."""
        sql = (
            "SELECT b.seq, b.n, b.rec FROM body b JOIN person p ON p.id = b.person"
            " WHERE p.psid = ? ORDER BY b.n"
        )
        return [Body(seq, person, n, rec) for seq, n, rec in self._con.execute(sql, (person,))]

    def body_at(self, seq: int, limit: int) -> list[Body]:
        """Return sealed events from leaf index `seq` on."""
        sql = (
            "SELECT b.seq, p.psid, b.n, b.rec FROM body b JOIN person p ON p.id = b.person"
            " WHERE b.seq >= ? ORDER BY b.seq LIMIT ?"
        )
        rows = self._con.execute(sql, (seq, limit))
        return [Body(s, PersonId(psid), n, rec) for s, psid, n, rec in rows]

    def published(self, name: str) -> Published | None:
        """Return the newest version of a name."""
        sql = (
            "SELECT name, version, at, digest, data FROM published"
            " WHERE name = ? ORDER BY version DESC LIMIT 1"
        )
        row = self._con.execute(sql, (name,)).fetchone()
        return Published(*row) if row else None

    def published_all(self, prefix: str) -> list[Published]:
        """Return every version of every name that starts with `prefix`."""
        sql = (
            "SELECT name, version, at, digest, data FROM published"
            " WHERE name >= ? AND name < ? ORDER BY name, version"
        )
        rows = self._con.execute(sql, (prefix, prefix + "\U0010ffff"))
        return [Published(*row) for row in rows]

    def row(self, table: str, key: bytes) -> bytes | None:
        """Return one row of a capability's own table."""
        sql = "SELECT value FROM own_row WHERE tbl = ? AND key = ?"
        row = self._con.execute(sql, (table, key)).fetchone()
        return bytes(row[0]) if row else None

    def rows(
        self, table: str, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Page through a capability's own table in key order."""
        end = _end(prefix)
        if end is None:  # every row, or a prefix of 0xff alone
            sql = (
                "SELECT key, value FROM own_row WHERE tbl = ? AND key >= ? AND key > ?"
                " ORDER BY key LIMIT ?"
            )
            return self._con.execute(sql, (table, prefix, after, limit)).fetchall()
        sql = (
            "SELECT key, value FROM own_row WHERE tbl = ? AND key >= ? AND key > ?"
            " AND key < ? ORDER BY key LIMIT ?"
        )
        return self._con.execute(sql, (table, prefix, after, end, limit)).fetchall()

    def blocks(self, sups: Sequence[bytes]) -> dict[bytes, tuple[Block, ...]]:
        """Return suppressions by MAC."""
        out: dict[bytes, tuple[Block, ...]] = {}
        sups = list(dict.fromkeys(sups))
        for start in range(0, len(sups), MANY):
            part = sups[start : start + MANY]
            sql = (
                "SELECT sup, reason, scope, value, since, until FROM suppression"  # noqa: S608 - question marks only
                f" WHERE sup IN ({marks(len(part))}) ORDER BY sup, reason, scope, value"
            )
            for sup, *rest in self._con.execute(sql, part):
                out[sup] = (*out.get(sup, ()), Block(*rest))
        return out

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return ledger entries."""
        sql = "SELECT data FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq"
        return [row[0] for row in self._con.execute(sql, (start, end))]

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile's hashes."""
        sql = "SELECT h FROM tile WHERE l = ? AND n = ?"
        row = self._con.execute(sql, (level, number)).fetchone()
        return bytes(row[0]) if row else b""

    def note(self) -> str | None:
        """Return the newest signed checkpoint."""
        sql = "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1"
        row = self._con.execute(sql).fetchone()
        return str(row[0]) if row else None

    def jobs(self, kind: str, state: str) -> int:
        """Count jobs of a kind in a state."""
        sql = "SELECT count(*) FROM job WHERE kind = ? AND state = ?"
        return int(self._con.execute(sql, (kind, state)).fetchone()[0])

    def waiting(self) -> dict[str, int]:
        """Count jobs that are not at their end, by kind."""
        sql = (
            "SELECT kind, count(*) FROM job WHERE state IN ('ready', 'leased')"
            " GROUP BY kind ORDER BY kind"
        )
        return {str(kind): int(count) for kind, count in self._con.execute(sql)}

    def leased(self, prefix: str, keys: Sequence[str]) -> frozenset[str]:
        """Return which of these keys are jobs taken and not ended; walks kinds, not jobs."""
        out: set[str] = set()
        for start in range(0, len(keys), MANY):
            part = keys[start : start + MANY]
            sql = (
                "WITH RECURSIVE k(kind) AS (SELECT min(kind) FROM job WHERE kind >= ?"  # noqa: S608 - question marks only
                " UNION ALL SELECT (SELECT min(kind) FROM job WHERE kind > k.kind) FROM k"
                " WHERE k.kind < ?)"
                " SELECT j.key FROM k JOIN job j ON j.kind = k.kind"
                f" WHERE k.kind < ? AND j.state = 'leased' AND j.key IN ({marks(len(part))})"
            )
            end = prefix + "\U0010ffff"
            out.update(row[0] for row in self._con.execute(sql, (prefix, end, end, *part)))
        return frozenset(out)

    def job_of(self, prefix: str, key: str) -> tuple[str, PersonId | None] | None:
        """Return kind and person of the job with this key; walks kinds, not jobs."""
        sql = (
            "WITH RECURSIVE k(kind) AS (SELECT min(kind) FROM job WHERE kind >= :from"
            " UNION ALL SELECT (SELECT min(kind) FROM job WHERE kind > k.kind) FROM k"
            " WHERE k.kind < :end)"
            " SELECT j.kind, j.person FROM k JOIN job j ON j.kind = k.kind AND j.key = :key"
            " WHERE k.kind < :end LIMIT 1"
        )
        given = {"from": prefix, "end": prefix + "\U0010ffff", "key": key}
        row = self._con.execute(sql, given).fetchone()
        return (str(row[0]), PersonId(row[1]) if row[1] else None) if row else None

    def audit(self) -> tuple[list[tuple[int, bytes]], dict[tuple[int, int], bytes], list[str]]:
        """Return all entries with their numbers, all tiles and all notes, for `ledger.verify`."""
        entries = self._con.execute(
            "SELECT seq, CAST(data AS BLOB) FROM entry ORDER BY seq"
        ).fetchall()
        tiles = {
            (lv, n): h for lv, n, h in self._con.execute("SELECT l, n, CAST(h AS BLOB) FROM tile")
        }
        notes = [r[0] for r in self._con.execute("SELECT note FROM checkpoint ORDER BY size")]
        return entries, tiles, notes
