"""The file `keys.db`: its tables, its one writer, its log folded away after a shredding."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from troth import crypto
from troth.adapters.providers import settle_folder, write_secret
from troth.adapters.sqlite import schema
from troth.errors import Conflict, Unavailable

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
    """
    ALTER TABLE shard ADD COLUMN kek INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE shard ADD COLUMN dirty INTEGER NOT NULL DEFAULT 0;
    UPDATE shard SET dirty = 1
      WHERE EXISTS (SELECT 1 FROM key_row WHERE state = 'shredded' LIMIT 1);
    CREATE INDEX key_row_shard ON key_row (substr(psid, 7, 2));
    CREATE INDEX key_row_retired ON key_row (psid) WHERE state = 'retired';
    CREATE TABLE epoch (
      epoch INTEGER PRIMARY KEY, state TEXT NOT NULL, since INTEGER NOT NULL,
      ended INTEGER NOT NULL, due INTEGER NOT NULL, destroyed INTEGER NOT NULL,
      method TEXT NOT NULL, final_after INTEGER NOT NULL, evidence TEXT NOT NULL);
    INSERT INTO epoch VALUES (1, 'current', 0, 0, 0, 0, '', 0, '');
    """,
)
"""Step 2: a shard row knows the epoch of its key (`epoch`, in the AAD of the keys under it), the
epoch of the key it is itself wrapped under (`kek`), and whether a key under it was shredded."""


class KeyFile:
    """One connection to `keys.db`; every write is whole or nothing."""

    def __init__(self, path: Path) -> None:
        """Open the file and bring it to this program's schema."""
        self.path = path
        self.con = schema.connect(path)
        schema.migrate(self.con, path, STEPS)
        self.lock = threading.Lock()

    def query(self, sql: str, given: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a question."""
        with self.lock, self.told():
            return self.con.execute(sql, given).fetchall()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Look at the store at one moment, without holding up who writes elsewhere."""
        with self.lock, self.told():
            self.con.execute("BEGIN")
            try:
                yield self.con
            finally:
                self.con.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Hold the store for one write: whole on a clean exit, nothing otherwise."""
        with self.lock, self.told():
            self.con.execute("BEGIN IMMEDIATE")
            try:
                yield self.con
                self.con.execute("COMMIT")
            finally:
                if self.con.in_transaction:
                    self.con.execute("ROLLBACK")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say in the house's words what SQLite says of the file."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise Conflict("a key of this id and scope exists already") from None
        except sqlite3.DatabaseError as fault:
            raise schema.damaged(self.path, fault) from None

    def complete(self, names: Sequence[str], take: Callable[[int], bytes]) -> None:
        """Draw the secrets beside it that are missing; an empty file is one a crash cut off.

        Raises:
            Unavailable: The folder cannot be written.
        """
        paths = [self.path.with_name(f"{name}.key") for name in names]
        if all(map(_is_there, paths)):
            return
        try:
            with self.write():  # one process at a time
                for path in paths:
                    if not _is_there(path):
                        part = path.with_name(f"{path.name}.part")
                        part.unlink(missing_ok=True)
                        write_secret(part, take(crypto.KEY_BYTES))
                        part.rename(path)
            settle_folder(self.path.parent)
        except OSError:
            raise Unavailable("the key folder cannot be written", "check owner and mode") from None

    def truncate_log(self) -> None:
        """Fold the write-ahead log away, so that overwritten keys are gone from both files.

        Raises:
            Unavailable: A reader holds it; what was written stands: repeat.
        """
        with self.lock, self.told():
            busy = self.con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise Unavailable("a reader holds the key store's log", "repeat in a moment", 1)


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
