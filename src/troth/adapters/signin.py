"""Accounts, invitations and API keys of staff in `keys/staff.db`, readable by its owner only.

Apart from the record: it is no evidence, holds no name, and must not come back from a backup of
the data. What was done to an account is in the house chain.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from troth.adapters.sqlite import schema
from troth.errors import Conflict, Fault
from troth.terms import DAY, Account, Action, ApiKey, Instant, Passkey, Role

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE account (
      key BLOB PRIMARY KEY, state TEXT NOT NULL, handle BLOB NOT NULL UNIQUE, totp BLOB NOT NULL,
      step INTEGER NOT NULL, round INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE passkey (
      id BLOB PRIMARY KEY, account BLOB NOT NULL, public BLOB NOT NULL, count INTEGER NOT NULL,
      made INTEGER NOT NULL, used INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX passkey_account ON passkey (account);
    CREATE TABLE code (
      account BLOB NOT NULL, hash BLOB NOT NULL, salt BLOB NOT NULL,
      PRIMARY KEY (account, hash)) WITHOUT ROWID;
    CREATE TABLE invite (
      digest BLOB PRIMARY KEY, account BLOB NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE attempt (
      who BLOB PRIMARY KEY, count INTEGER NOT NULL, until INTEGER NOT NULL,
      last INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE api_key (
      digest BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, actions TEXT NOT NULL,
      made INTEGER NOT NULL, until INTEGER NOT NULL, ended INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    CREATE TABLE bound (account BLOB PRIMARY KEY, subject BLOB NOT NULL) WITHOUT ROWID;
    CREATE INDEX bound_subject ON bound (subject);
    CREATE TABLE feed_key (
      one INTEGER PRIMARY KEY CHECK (one = 1), digest BLOB NOT NULL, made INTEGER NOT NULL,
      until INTEGER NOT NULL);
    CREATE TABLE leaver (account BLOB PRIMARY KEY, day TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE provided (
      who BLOB PRIMARY KEY, made INTEGER NOT NULL, mark INTEGER NOT NULL) WITHOUT ROWID;
    """,
)
_ACCOUNT = "key, state, handle, totp, step, round, last"
_PASSKEY = "id, account, public, count, made, used, state"
_KEY = "digest, name, role, actions, made, until, ended"


class FileSignin:
    """See `ports.SigninStore`; the file is made by the first write."""

    def __init__(self, folder: Path) -> None:
        """Keep accounts in `staff.db` of the key folder."""
        self._path = folder / "staff.db"
        self._con: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def _opened(self) -> sqlite3.Connection:
        if self._con is None:
            self._path.touch(mode=0o600)
            self._path.chmod(0o600)
            con = schema.connect(self._path)
            schema.migrate(con, self._path, STEPS)
            self._con = con
        return self._con

    @contextmanager
    def _read(self) -> Iterator[Callable[..., list[Any]]]:
        """Hold the file for reading; while there is none, nothing is found."""
        with self._lock, self._told():
            if self._con is None and not self._path.exists():
                yield lambda _sql, *_args: []
                return
            con = self._opened()
            yield lambda sql, *args: con.execute(sql, args).fetchall()

    @contextmanager
    def _write(self) -> Iterator[Callable[..., int]]:
        """Hold the file for one write: whole on a clean exit, nothing otherwise."""
        with self._lock, self._told():
            con = self._opened()
            con.execute("BEGIN IMMEDIATE")
            try:
                yield lambda sql, *args: con.execute(sql, args).rowcount
                con.execute("COMMIT")
            finally:
                if con.in_transaction:
                    con.execute("ROLLBACK")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except Fault:
            raise
        except sqlite3.DatabaseError as fault:
            raise schema.damaged(self._path, fault) from None

    def account(self, key: bytes) -> Account | None:
        """Return an account by its key."""
        with self._read() as rows:
            found = rows(f"SELECT {_ACCOUNT} FROM account WHERE key = ?", key)  # noqa: S608 - names of columns
        return Account(*found[0]) if found else None

    def add_account(self, account: Account) -> None:
        """Add an account; one that exists stays as it is."""
        a = account
        row = (a.key, a.state, a.handle, a.totp, a.step, a.round, a.last)
        with self._write() as run:
            run(f"INSERT OR IGNORE INTO account ({_ACCOUNT}) VALUES (?, ?, ?, ?, ?, ?, ?)", *row)  # noqa: S608 - names of columns

    def move(self, key: bytes, before: str, after: str) -> bool:
        """Move an account between states and begin a round; False if it was not in `before`."""
        sql = "UPDATE account SET state = ?, round = round + 1 WHERE key = ? AND state = ?"
        with self._write() as run:
            return run(sql, after, key, before) > 0

    def next_round(self, key: bytes) -> None:
        """End every session begun so far."""
        with self._write() as run:
            run("UPDATE account SET round = round + 1 WHERE key = ?", key)

    def set_totp(self, key: bytes, sealed: bytes) -> None:
        """Keep the sealed secret of one-time codes."""
        with self._write() as run:
            run("UPDATE account SET totp = ?, step = 0 WHERE key = ?", sealed, key)

    def enter(self, key: bytes, now: Instant) -> bool:
        """Note a sign-in; False if the account is not active at this moment."""
        sql = "UPDATE account SET last = ? WHERE key = ? AND state = 'active'"
        with self._write() as run:
            return run(sql, now, key) > 0

    def spend_step(self, key: bytes, step: int) -> bool:
        """Take a time step of one-time codes; False if it or a later one was taken."""
        sql = "UPDATE account SET step = ? WHERE key = ? AND step < ?"
        with self._write() as run:
            return run(sql, step, key, step) > 0

    def passkeys(self, key: bytes) -> list[Passkey]:
        """Return the passkeys of an account, oldest first."""
        sql = f"SELECT {_PASSKEY} FROM passkey WHERE account = ? ORDER BY made, id"  # noqa: S608 - names of columns
        with self._read() as rows:
            return [Passkey(*row) for row in rows(sql, key)]

    def passkey(self, ident: bytes) -> Passkey | None:
        """Return a passkey by the credential's id."""
        with self._read() as rows:
            found = rows(f"SELECT {_PASSKEY} FROM passkey WHERE id = ?", ident)  # noqa: S608 - names of columns
        return Passkey(*found[0]) if found else None

    def put_passkey(self, passkey: Passkey) -> None:
        """Add or replace a passkey; see `ports.SigninStore.put_passkey`."""
        p = passkey
        row = (p.id, p.account, p.public, p.count, p.made, p.used, p.state)
        with self._write() as run:
            if run("UPDATE passkey SET id = id WHERE id = ? AND account <> ?", p.id, p.account):
                raise Conflict("this passkey belongs to another account", "make a new one")
            run(f"REPLACE INTO passkey ({_PASSKEY}) VALUES (?, ?, ?, ?, ?, ?, ?)", *row)  # noqa: S608 - names of columns

    def drop_passkey(self, key: bytes, ident: bytes) -> None:
        """Delete a passkey of an account."""
        with self._write() as run:
            run("DELETE FROM passkey WHERE id = ? AND account = ?", ident, key)

    def put_codes(self, key: bytes, codes: Sequence[tuple[bytes, bytes]]) -> None:
        """Replace the recovery codes of an account."""
        with self._write() as run:
            run("DELETE FROM code WHERE account = ?", key)
            for salt, hashed in codes:
                run("INSERT INTO code (account, hash, salt) VALUES (?, ?, ?)", key, hashed, salt)

    def codes(self, key: bytes) -> list[tuple[bytes, bytes]]:
        """Return salt and hash of the recovery codes not used yet."""
        with self._read() as rows:
            return [tuple(r) for r in rows("SELECT salt, hash FROM code WHERE account = ?", key)]

    def spend_code(self, key: bytes, hashed: bytes) -> bool:
        """Use a recovery code up; False if it was used before."""
        with self._write() as run:
            return run("DELETE FROM code WHERE account = ? AND hash = ?", key, hashed) > 0

    def put_invite(self, digest: bytes, key: bytes, until: Instant) -> None:
        """Keep an invitation; earlier ones of the same account end."""
        with self._write() as run:
            run("DELETE FROM invite WHERE account = ?", key)
            run("INSERT INTO invite VALUES (?, ?, ?)", digest, key, until)

    def invite(self, digest: bytes, now: Instant) -> bytes | None:
        """Return the account an open invitation is for."""
        sql = "SELECT account FROM invite WHERE digest = ? AND until > ?"
        with self._read() as rows:
            found = rows(sql, digest, now)
        return bytes(found[0][0]) if found else None

    def spend_invite(self, digest: bytes, now: Instant) -> bool:
        """Use an invitation up; False if it is not open any more."""
        with self._write() as run:
            return run("DELETE FROM invite WHERE digest = ? AND until > ?", digest, now) > 0

    def attempt(self, who: bytes, now: Instant, waits: Sequence[int]) -> tuple[int, int]:
        """Count an attempt before it is judged; see `ports.SigninStore.attempt`."""
        with self._write() as run:
            run("DELETE FROM attempt WHERE last < ? AND until < ?", now - DAY, now)
            con = self._opened()
            row = con.execute("SELECT count, until FROM attempt WHERE who = ?", (who,)).fetchone()
            count, until = row or (0, 0)
            if now < until:
                return 0, int(until)
            wait = waits[min(count, len(waits) - 1)]
            until = now + wait if wait else 0
            run("REPLACE INTO attempt VALUES (?, ?, ?, ?)", who, count + 1, until, now)
            return int(count) + 1, int(until)

    def succeeded(self, who: bytes) -> None:
        """Forget the attempts counted."""
        with self._write() as run:
            run("DELETE FROM attempt WHERE who = ?", who)

    def forget(self, key: bytes) -> None:
        """Delete every credential and invitation of an account."""
        with self._write() as run:
            for table in ("passkey", "code", "invite", "bound"):
                run(f"DELETE FROM {table} WHERE account = ?", key)  # noqa: S608 - names of tables
            run("UPDATE account SET totp = x'' WHERE key = ?", key)

    def put_api_key(self, key: ApiKey) -> None:
        """Add an API key, or end one; see `ports.SigninStore.put_api_key`."""
        actions = " ".join(sorted(key.actions))
        row = (key.digest, key.name, key.role, actions, key.made, key.until, key.ended)
        held = "UPDATE api_key SET name = name WHERE name = ? AND ended = 0 AND digest <> ?"
        with self._write() as run:
            if run(held, key.name, key.digest):
                raise Conflict("a key of this name is in use", "end it first, or choose a name")
            run(f"REPLACE INTO api_key ({_KEY}) VALUES (?, ?, ?, ?, ?, ?, ?)", *row)  # noqa: S608 - names of columns

    def api_key(self, digest: bytes) -> ApiKey | None:
        """Return an API key by its digest."""
        with self._read() as rows:
            found = rows(f"SELECT {_KEY} FROM api_key WHERE digest = ?", digest)  # noqa: S608 - names of columns
        return _api_key(found[0]) if found else None

    def api_keys(self) -> list[ApiKey]:
        """Return all API keys, ended ones too, oldest first."""
        with self._read() as rows:
            return [_api_key(r) for r in rows(f"SELECT {_KEY} FROM api_key ORDER BY made, name")]  # noqa: S608 - names of columns

    def bound(self, key: bytes) -> bytes:
        """Return the digest of the outside subject an account belongs to, or b""."""
        with self._read() as rows:
            found = rows("SELECT subject FROM bound WHERE account = ?", key)
        return bytes(found[0][0]) if found else b""

    def accounts_of(self, subject: bytes) -> list[bytes]:
        """Return the keys of the accounts that belong to an outside subject."""
        with self._read() as rows:
            found = rows("SELECT account FROM bound WHERE subject = ? ORDER BY account", subject)
        return [bytes(row[0]) for row in found]

    def bind(self, key: bytes, subject: bytes) -> bool:
        """Bind an account to an outside subject; False if it belongs to another already."""
        with self._write() as run:
            run("INSERT OR IGNORE INTO bound VALUES (?, ?)", key, subject)
            return run("UPDATE bound SET subject = ? WHERE account = ? AND subject = ?",
                       subject, key, subject) > 0  # fmt: skip

    def unbind(self, key: bytes) -> None:
        """Let an account belong to nobody outside."""
        with self._write() as run:
            run("DELETE FROM bound WHERE account = ?", key)

    def put_feed_key(self, digest: bytes, now: Instant, until: Instant) -> None:
        """Keep the digest of the one key of the directory's feed."""
        with self._write() as run:
            run("REPLACE INTO feed_key VALUES (1, ?, ?, ?)", digest, now, until)

    def feed_key(self, now: Instant) -> bytes:
        """Return the digest of the feed's key while it lasts, else b""."""
        with self._read() as rows:
            found = rows("SELECT digest FROM feed_key WHERE until > ?", now)
        return bytes(found[0][0]) if found else b""

    def put_due(self, key: bytes, day: str) -> None:
        """Keep the day an account ends; "" drops it."""
        with self._write() as run:
            run("DELETE FROM leaver WHERE account = ?", key)
            if day:
                run("INSERT INTO leaver VALUES (?, ?)", key, day)

    def due(self) -> list[tuple[bytes, str]]:
        """Return the accounts whose end is set, earliest day first."""
        with self._read() as rows:
            found = rows("SELECT account, day FROM leaver ORDER BY day, account")
        return [(bytes(key), str(day)) for key, day in found]

    def put_provided(self, who: bytes, made: Instant, mark: int) -> None:
        """Keep whom the directory told of."""
        with self._write() as run:
            run("REPLACE INTO provided VALUES (?, ?, ?)", who, made, mark)

    def drop_provided(self, who: bytes) -> None:
        """Drop somebody the directory told of."""
        with self._write() as run:
            run("DELETE FROM provided WHERE who = ?", who)

    def provided(self) -> dict[bytes, tuple[Instant, int]]:
        """Return whom the directory told of."""
        with self._read() as rows:
            found = rows("SELECT who, made, mark FROM provided ORDER BY made, who")
        return {bytes(who): (Instant(made), int(mark)) for who, made, mark in found}

    def close(self) -> None:
        """Close the file."""
        if self._con is not None:
            self._con.close()
            self._con = None


def _api_key(row: tuple[Any, ...]) -> ApiKey:
    digest, name, role, actions, made, until, ended = row
    allowed = frozenset(map(Action, actions.split()))
    return ApiKey(digest, name, Role(role), allowed, made, until, ended)
