"""Epochs of the key store: shard keys renewed where a key was shredded, all under a new key.

Each step is one short write and repeatable: whatever is cut off is gone on with by the next call.
A shard whose key is renewed moves the fence counter in the same write, so that every process drops
what it had unwrapped; in between, a key opens under the shard key of its own epoch or not at all.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import starmap

from troth import crypto
from troth.adapters.sqlite.keyfile import KeyFile
from troth.errors import Conflict, EvidenceBroken, NotFound
from troth.kernel import vault
from troth.kernel.vault import SHARDS, lp
from troth.ports import KeyProvider, Randomness
from troth.terms import Finality, Instant, KeyEpoch, KeyRow

CLEAN_AT_ONCE = 128
"""Shards only re-wrapped in one write."""


def shard_aad(workspace: bytes, kek: int, epoch: int, shard: int) -> bytes:
    """Bind a shard key to its place: the epoch it is of, and the one it is wrapped under."""
    if kek == 1:  # stores begun before there were epochs
        return lp(b"shard1", workspace, (1).to_bytes(4, "big"), shard.to_bytes(4, "big"))
    parts = (each.to_bytes(4, "big") for each in (kek, epoch, shard))
    return lp(b"shard2", workspace, *parts)


class KeyEpochs:
    """See `ports.EpochStore`."""

    def __init__(
        self, file: KeyFile, workspace: bytes, provider: KeyProvider, randomness: Randomness
    ) -> None:
        """Keep the epochs of one store."""
        self._file = file
        self._workspace = workspace
        self._provider = provider
        self._random = randomness

    def all(self) -> list[KeyEpoch]:
        """Return every epoch, oldest first."""
        sql = "SELECT epoch, state, since, ended, due, destroyed, method, final_after FROM epoch"
        return list(starmap(KeyEpoch, self._file.query(f"{sql} ORDER BY epoch")))

    def touched(self) -> int:
        """Count the shards a key of which was shredded since their key was last renewed."""
        return int(self._file.query("SELECT count(*) FROM shard WHERE dirty = 1")[0][0])

    def begin(self, at: Instant) -> int:
        """Begin an epoch, or go on with the one that was begun; return its number."""
        highest = max(self._provider.epochs(), default=0)
        with self._file.write() as con:
            found = con.execute("SELECT epoch FROM epoch WHERE state = 'rolling'").fetchone()
            if found is None:
                last = con.execute("SELECT max(epoch) FROM epoch").fetchone()[0]
                found = (max(last, highest) + 1,)
                con.execute(
                    "INSERT INTO epoch VALUES (?, 'rolling', ?, 0, 0, 0, '', 0, '')", (*found, at)
                )
        self._provider.new_epoch(int(found[0]))
        return int(found[0])

    def turn(self, epoch: int) -> tuple[int, int]:
        """Bring every shard under an epoch, the touched ones under a new shard key."""
        shards = keys = 0
        for (shard,) in self._file.query(
            "SELECT shard FROM shard WHERE kek <> ? AND dirty = 1", (epoch,)
        ):
            shards += 1
            keys += self._renew(epoch, shard)
        while rest := self._file.query(
            "SELECT shard FROM shard WHERE kek <> ? LIMIT ?", (epoch, CLEAN_AT_ONCE)
        ):
            with self._file.write() as con:
                for (shard,) in rest:
                    self._rewrap(con, epoch, shard)
        return shards, keys

    def _renew(self, epoch: int, shard: int) -> int:
        """Give a shard a new key and wrap its people's keys under it, in one write.

        The wrapping is done beforehand, without a lock; what changed meanwhile is wrapped again.
        """
        fresh = self._random.take(crypto.KEY_BYTES)
        with self._file.read() as con:
            held, rows = self._shard(con, shard), self._under(con, shard)
        made = self._moved(rows, held[2], fresh, epoch)
        with self._file.write() as con:
            now = self._shard(con, shard)
            if now[0] == epoch:
                return 0
            known = made if now == held else {}
            rows = self._under(con, shard)
            late = self._moved([r for r in rows if r not in known], now[2], fresh, epoch)
            moved = [new for row in rows if (new := known.get(row) or late.get(row))]
            con.executemany(
                "UPDATE key_row SET wrapped = ?, epoch = ?"
                " WHERE psid = ? AND scope = ? AND kver = ?",
                [(r.wrapped, r.epoch, r.person, r.scope, r.kver) for r in moved],
            )
            self._put(con, shard, epoch, epoch, fresh)
            con.execute("UPDATE fence SET counter = counter + 1")
        return len(moved)

    def _moved(
        self, rows: Sequence[KeyRow], old: bytes, new: bytes, epoch: int
    ) -> dict[KeyRow, KeyRow]:
        """Wrap keys anew; one that does not open stays as it is and holds up nobody else."""
        before, after, out = crypto.Aead(old), crypto.Aead(new), {}
        for row in rows:
            nonce = self._random.take(crypto.NONCE_BYTES)
            with suppress(EvidenceBroken):
                out[row] = vault.rewrap(before, after, nonce, self._workspace, row, epoch)
        return out

    def _under(self, con: sqlite3.Connection, shard: int) -> list[KeyRow]:
        """Return the keys of a shard that are not shredded."""
        ends = [bytes((high << 2 | shard >> 8, shard & 0xFF)) for high in range(64)]
        rows = con.execute(
            "SELECT psid, scope, kver, state, coalesce(wrapped, x''), kcv, epoch, fence_at"  # noqa: S608 - question marks only
            f" FROM key_row WHERE substr(psid, 7, 2) IN ({','.join('?' * len(ends))})"
            " AND state <> 'shredded'",
            ends,
        )
        return list(starmap(KeyRow, rows))

    def _rewrap(self, con: sqlite3.Connection, epoch: int, shard: int) -> None:
        """Wrap a shard key as it is under an epoch; where a key was shredded meanwhile: later."""
        kek, of, raw = self._shard(con, shard)
        touched = con.execute("SELECT dirty FROM shard WHERE shard = ?", (shard,)).fetchone()[0]
        if kek != epoch:
            self._put(con, shard, epoch, of, raw)
            con.execute("UPDATE shard SET dirty = ? WHERE shard = ?", (touched, shard))

    def _shard(self, con: sqlite3.Connection, shard: int) -> tuple[int, int, bytes]:
        """Return the epoch a shard key is wrapped under, the one it is of, and the key."""
        kek, epoch, wrapped = con.execute(
            "SELECT kek, epoch, wrapped FROM shard WHERE shard = ?", (shard,)
        ).fetchone()
        return kek, epoch, open_shard(self._provider, self._workspace, kek, epoch, shard, wrapped)

    def _put(self, con: sqlite3.Connection, shard: int, kek: int, epoch: int, raw: bytes) -> None:
        wrapped = self._provider.wrap(kek, raw, shard_aad(self._workspace, kek, epoch, shard))
        con.execute(
            "UPDATE shard SET kek = ?, epoch = ?, wrapped = ?, dirty = 0 WHERE shard = ?",
            (kek, epoch, wrapped, shard),
        )

    def finish(self, epoch: int, at: Instant, due: Instant) -> None:
        """Put an epoch into force; those before it are kept until `due`.

        Raises:
            Conflict: A shard is not under it yet; nothing was changed.
        """
        with self._file.write() as con:
            left = con.execute("SELECT count(*) FROM shard WHERE kek <> ?", (epoch,)).fetchone()[0]
            if left:
                raise Conflict("a shard is not under the new epoch yet", "repeat the roll")
            con.execute(
                "UPDATE epoch SET state = 'kept', ended = ?,"
                " due = CASE WHEN due > 0 AND due < ? THEN due ELSE ? END"
                " WHERE state = 'current' AND epoch <> ?",
                (at, due, due, epoch),
            )
            con.execute("UPDATE epoch SET state = 'current' WHERE epoch = ?", (epoch,))
            con.execute("UPDATE fence SET counter = counter + 1")
        self._file.truncate_log()

    def take_over(self, known: Iterable[KeyEpoch], later: Instant) -> None:
        """Add the epochs a replaced store knew to those of its copy, each with its own end.

        What the copy is wrapped under stays in force until the next roll, and keeps the end that
        was promised for it; epochs it knows nothing of and that had no end yet get `later`.
        """
        with self._file.write() as con:
            for each in known:
                due, ended = each.due or later, each.ended or later
                state = "destroyed" if each.state == "destroyed" else "kept"
                con.execute(
                    "INSERT OR IGNORE INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')",
                    (each.epoch, state, each.since, ended, due, each.destroyed, each.method,
                     each.final_after),
                )  # fmt: skip
                con.execute(
                    "UPDATE epoch SET due = ? WHERE epoch = ? AND ? > 0",
                    (each.due, each.epoch, each.due),
                )

    def destroy(self, epoch: int, at: Instant) -> Finality:
        """Destroy the key of an epoch that is over; repeatable, states the same again.

        Raises:
            NotFound: There never was such an epoch.
            Conflict: It is in force, or something is still wrapped under it.
            Unavailable: The provider does not answer; repeat.
        """
        found = self._file.query(
            "SELECT state, method, final_after, evidence FROM epoch WHERE epoch = ?", (epoch,)
        )
        if not found:
            raise NotFound("there never was an epoch of this number")
        state, *said = found[0]
        if state == "destroyed":
            return Finality(*said)
        under = self._file.query("SELECT count(*) FROM shard WHERE kek = ?", (epoch,))[0][0]
        if state != "kept" or under:
            raise Conflict("this epoch is in force", "roll to a new one first")
        done = self._provider.destroy_epoch(epoch, at)
        with self._file.write() as con:
            con.execute(
                "UPDATE epoch SET state = 'destroyed', destroyed = ?, method = ?,"
                " final_after = ?, evidence = ? WHERE epoch = ?",
                (at, done.method, done.final_after, done.evidence, epoch),
            )
            con.execute("UPDATE fence SET counter = counter + 1")
        return done


def open_shard(  # noqa: PLR0913 - what a shard key is bound to
    provider: KeyProvider, workspace: bytes, kek: int, epoch: int, shard: int, wrapped: bytes
) -> bytes:
    """Open a wrapped shard key; raises as `KeyProvider.unwrap` does."""
    return provider.unwrap(kek, wrapped, shard_aad(workspace, kek, epoch, shard))


def create_shards(
    file: KeyFile, workspace: bytes, provider: KeyProvider, take: Callable[[int], bytes]
) -> None:
    """Make every shard key of a new store, under its first epoch."""
    rows = []
    for shard in range(SHARDS):
        raw = take(crypto.KEY_BYTES)
        rows.append((shard, 1, provider.wrap(1, raw, shard_aad(workspace, 1, 1, shard))))
    with file.write() as con:
        con.executemany("INSERT INTO shard (shard, epoch, wrapped) VALUES (?, ?, ?)", rows)
