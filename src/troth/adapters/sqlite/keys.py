"""The key store: wrapped keys in `keys.db`, the key-encryption key and named secrets as files.

Lies in `keys/`, apart from the record and its backups. Finality of this provider: best effort on
this disk (a flash block may keep a stale copy), said so wherever a horizon is shown.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import starmap
from pathlib import Path

from troth import crypto
from troth.adapters.sqlite import schema
from troth.errors import Conflict, EvidenceBroken, Unavailable
from troth.kernel.vault import SHARDS, lp
from troth.ports import Randomness
from troth.terms import Instant, KeyRow, PersonId

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE key_row (
      psid BLOB NOT NULL, scope TEXT NOT NULL, kver INTEGER NOT NULL, state TEXT NOT NULL,
      wrapped BLOB, kcv BLOB NOT NULL, epoch INTEGER NOT NULL, fence_at INTEGER NOT NULL,
      PRIMARY KEY (psid, scope, kver)) WITHOUT ROWID;
    CREATE TABLE shard (shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, wrapped BLOB NOT NULL);
    CREATE TABLE fence (one INTEGER PRIMARY KEY CHECK (one = 1), counter INTEGER NOT NULL);
    INSERT INTO fence VALUES (1, 0);
    """,
)
SECRETS = ("bi", "sup", "journal", "staff", "token", "code", "log")


def create(folder: Path, workspace: bytes, randomness: Randomness) -> None:
    """Make a key store: folder 0700, secrets and epoch key 0600, shard keys.

    Raises:
        Conflict: One lies there already; nothing was touched.
        Unavailable: The folder cannot be written.
    """
    if (folder / "keys.db").exists():
        raise Conflict("a key store lies here already", "use another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for name in SECRETS:
            write_secret(folder / f"{name}.key", randomness.take(crypto.KEY_BYTES))
        kek = randomness.take(crypto.KEY_BYTES)
        write_secret(folder / "kek-1.key", kek)
    except OSError:
        raise Unavailable("the key folder cannot be written", "check owner and mode") from None
    con = schema.connect(folder / "keys.db")
    (folder / "keys.db").chmod(0o600)
    schema.migrate(con, folder / "keys.db", STEPS)
    rows = []
    for shard in range(SHARDS):
        nonce = randomness.take(crypto.NONCE_BYTES)
        raw = randomness.take(crypto.KEY_BYTES)
        sealed = crypto.Aead(kek).seal(nonce, raw, _shard_aad(workspace, 1, shard))
        rows.append((shard, 1, nonce + sealed))
    con.execute("BEGIN IMMEDIATE")
    con.executemany("INSERT INTO shard VALUES (?, ?, ?)", rows)
    con.execute("COMMIT")
    con.close()


def write_secret(path: Path, raw: bytes) -> None:
    """Write a secret file that only its owner can read, durably."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(raw)
        out.flush()
        os.fsync(out.fileno())


def _shard_aad(workspace: bytes, epoch: int, shard: int) -> bytes:
    return lp(b"shard1", workspace, epoch.to_bytes(4, "big"), shard.to_bytes(4, "big"))


class FileKeyStore:
    """See `ports.KeyStore`."""

    def __init__(self, folder: Path, workspace: bytes) -> None:
        """Open the key store of one workspace.

        Raises:
            Unavailable: It is missing, readable by others, or a file of it is missing.
            EvidenceBroken: It is damaged.
        """
        path = folder / "keys.db"
        if not path.exists():
            raise Unavailable(
                "the key store is missing", f"restore {folder.name}/ or run: troth init"
            )
        if folder.stat().st_mode & 0o077:
            raise Unavailable(
                f"{folder.name}/ is open to other users", f"run: chmod 700 {folder.name}"
            )
        self._folder = folder
        self._workspace = workspace
        self._con = schema.connect(path)
        schema.migrate(self._con, path, STEPS)
        self._lock = threading.Lock()
        self._shards: dict[int, tuple[int, bytes]] = {}
        self._secrets: dict[str, bytes] = {}
        self._keks: dict[int, crypto.Aead] = {}
        self._check()

    def _check(self) -> None:
        try:
            count = self._con.execute("SELECT count(*) FROM shard").fetchone()[0]
            sound = self._con.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.DatabaseError as fault:
            raise schema.damaged(self._folder / "keys.db", fault) from None
        if count != SHARDS or sound != "ok":
            raise EvidenceBroken("the key store is not whole", "restore the newest copy of keys/")

    def rows(self, people: Sequence[PersonId]) -> list[KeyRow]:
        """Return every key row of these people."""
        out: list[KeyRow] = []
        for start in range(0, len(people), 500):
            part = people[start : start + 500]
            sql = (
                "SELECT psid, scope, kver, state, coalesce(wrapped, x''), kcv, epoch, fence_at"  # noqa: S608 - question marks only
                f" FROM key_row WHERE psid IN ({','.join('?' * len(part))})"
            )
            with self._lock, self._told():
                out += starmap(KeyRow, self._con.execute(sql, part))
        return out

    def add(self, rows: Iterable[KeyRow]) -> None:
        """Store new rows, durably; see `ports.KeyStore.add`."""
        with self._write():
            self._refuse_fenced(rows := list(rows))
            self._con.executemany(
                "INSERT INTO key_row VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                [(r.person, r.scope, r.kver, r.state, r.wrapped, r.kcv, r.epoch) for r in rows],
            )
            if any(r.kver > 1 for r in rows):  # others must not go on with the version before
                self._con.execute("UPDATE fence SET counter = counter + 1")

    @contextmanager
    def _write(self) -> Iterator[None]:
        """Hold the store for one write: whole on a clean exit, nothing otherwise."""
        with self._lock, self._told():
            self._con.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._con.execute("COMMIT")
            finally:
                if self._con.in_transaction:
                    self._con.execute("ROLLBACK")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in the house's words what SQLite says of the file."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise Conflict("a key of this id and scope exists already") from None
        except sqlite3.DatabaseError as fault:
            raise schema.damaged(self._folder / "keys.db", fault) from None

    def _refuse_fenced(self, rows: Sequence[KeyRow]) -> None:
        """Refuse a person's key after theirs was shredded, and a scope's that is not newer."""
        people = list({row.person for row in rows})
        fences: dict[bytes, list[tuple[str, int]]] = {}
        for start in range(0, len(people), 500):
            part = people[start : start + 500]
            sql = (
                "SELECT psid, scope, kver FROM key_row"  # noqa: S608 - question marks only
                f" WHERE psid IN ({','.join('?' * len(part))}) AND state = 'shredded'"
            )
            for psid, scope, kver in self._con.execute(sql, part):
                fences.setdefault(psid, []).append((scope, kver))
        for row in rows if fences else ():
            held = fences.get(row.person, ())
            if any(
                scope == "" or (scope == row.scope and kver >= row.kver) for scope, kver in held
            ):
                raise Conflict("this id was erased and is never used again", "use a new id")

    def shred(
        self, person: PersonId, scopes: Sequence[str] | None, at: Instant, below: int = 0
    ) -> int:
        """Destroy keys: zero, null, commit, truncate the log; see `ports.KeyStore.shred`."""
        where = "psid = ?"
        args: tuple[bytes | str | int, ...] = (person,)
        if scopes is not None:
            where += f" AND scope IN ({','.join('?' * len(scopes))}) AND (? = 0 OR kver < ?)"
            args = (person, *scopes, below, below)
        with self._write():
            self._con.execute(
                f"UPDATE key_row SET wrapped = zeroblob(length(wrapped)) WHERE {where}"  # noqa: S608 - question marks only
                " AND wrapped IS NOT NULL",
                args,
            )
            self._con.execute(
                "UPDATE key_row SET wrapped = NULL, state = 'shredded',"  # noqa: S608 - question marks only
                f" fence_at = CASE fence_at WHEN 0 THEN ? ELSE fence_at END WHERE {where}",
                (at, *args),
            )
            if scopes is None:
                self._con.execute(
                    "INSERT OR IGNORE INTO key_row VALUES (?, '', 0, 'shredded', NULL, x'', 0, ?)",
                    (person, at),
                )
            self._con.execute("UPDATE fence SET counter = counter + 1")
            sql = f"SELECT count(*) FROM key_row WHERE {where} AND state = 'shredded'"  # noqa: S608 - question marks only
            count = int(self._con.execute(sql, args).fetchone()[0])
        self._truncate_log()
        return count

    def _truncate_log(self) -> None:
        with self._lock, self._told():
            busy = self._con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise Unavailable("a reader holds the key store's log", "repeat in a moment", 1)

    def fence(self) -> int:
        """Return the fence counter."""
        with self._lock, self._told():
            return int(self._con.execute("SELECT counter FROM fence").fetchone()[0])

    def shard_key(self, shard: int) -> tuple[int, bytes]:
        """Return (epoch, key) of a shard."""
        known = self._shards.get(shard)
        if known is None:
            with self._lock, self._told():
                row = self._con.execute(
                    "SELECT epoch, wrapped FROM shard WHERE shard = ?", (shard,)
                ).fetchone()
            epoch, wrapped = row
            aad = _shard_aad(self._workspace, epoch, shard)
            nonce, sealed = wrapped[: crypto.NONCE_BYTES], wrapped[crypto.NONCE_BYTES :]
            known = self._shards[shard] = (epoch, self._kek(epoch).open(nonce, sealed, aad))
        return known

    def _kek(self, epoch: int) -> crypto.Aead:
        """Return an epoch's key-encryption key, read once: 1,024 shard keys hang on it."""
        if epoch not in self._keks:
            self._keks[epoch] = crypto.Aead(self._read(f"kek-{epoch}.key"))
        return self._keks[epoch]

    def secret(self, name: str) -> bytes:
        """Return a named 32-byte secret."""
        if name not in self._secrets:
            self._secrets[name] = self._read(f"{name}.key")
        return self._secrets[name]

    def _read(self, name: str) -> bytes:
        try:
            raw = (self._folder / name).read_bytes()
        except OSError:
            raise Unavailable(f"{name} is missing from the key folder", "restore it") from None
        if len(raw) != crypto.KEY_BYTES:
            raise EvidenceBroken(f"{name} is damaged", "restore it from the key backup")
        return raw

    def close(self) -> None:
        """Close the file."""
        self._con.close()
