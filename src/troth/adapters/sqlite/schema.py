"""The record's tables, as forward-only numbered steps; a written event is never rewritten."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from troth.errors import Conflict, EvidenceBroken, Fault, Unavailable

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE person (
      id INTEGER PRIMARY KEY, psid BLOB NOT NULL UNIQUE, n INTEGER NOT NULL, c BLOB NOT NULL);
    CREATE TABLE body (
      seq INTEGER PRIMARY KEY, person INTEGER NOT NULL, n INTEGER NOT NULL, rec BLOB NOT NULL,
      UNIQUE (person, n));
    CREATE TABLE entry (seq INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE tile (
      l INTEGER NOT NULL, n INTEGER NOT NULL, h BLOB NOT NULL, PRIMARY KEY (l, n)) WITHOUT ROWID;
    CREATE TABLE log_state (
      one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, root BLOB NOT NULL,
      at INTEGER NOT NULL, house INTEGER NOT NULL);
    CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note TEXT NOT NULL);
    CREATE TABLE fact (person INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE contact_point (
      person INTEGER NOT NULL, channel TEXT NOT NULL, bi BLOB NOT NULL, sup BLOB NOT NULL,
      normaliser INTEGER NOT NULL, PRIMARY KEY (person, channel)) WITHOUT ROWID;
    CREATE INDEX contact_point_bi ON contact_point (bi);
    CREATE INDEX contact_point_sup ON contact_point (sup);
    CREATE TABLE suppression (
      sup BLOB NOT NULL, reason TEXT NOT NULL, scope TEXT NOT NULL, value TEXT NOT NULL,
      since INTEGER NOT NULL, until INTEGER NOT NULL,
      PRIMARY KEY (sup, reason, scope, value)) WITHOUT ROWID;
    CREATE TABLE sealed (
      person INTEGER NOT NULL, field TEXT NOT NULL, row INTEGER NOT NULL,
      version INTEGER NOT NULL, rec BLOB NOT NULL, UNIQUE (person, field, row));
    CREATE TABLE published (
      name TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, digest TEXT NOT NULL,
      data BLOB NOT NULL, PRIMARY KEY (name, version)) WITHOUT ROWID;
    CREATE TABLE own_row (
      tbl TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,
      PRIMARY KEY (tbl, key)) WITHOUT ROWID;
    CREATE TABLE job (
      id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL,
      due INTEGER NOT NULL, lease INTEGER NOT NULL, fence INTEGER NOT NULL,
      payload BLOB NOT NULL, person BLOB, UNIQUE (kind, key));
    CREATE INDEX job_open ON job (kind, state, due);
    """,
)

_PATIENCE = 200
_WANTED = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "foreign_keys": 1}


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection whose settings make a commit durable and a deletion overwrite.

    Raises:
        Unavailable: The file cannot be opened, or SQLite does not take a setting.
        EvidenceBroken: The file is not a database, or is damaged.
    """
    try:
        con = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
    except sqlite3.OperationalError:
        raise Unavailable(
            f"{path.name} cannot be opened", "check that the folder exists and is yours to write"
        ) from None
    try:
        for name, value in _WANTED.items():
            _set(con, f"PRAGMA {name} = {value}")
            have = con.execute(f"PRAGMA {name}").fetchone()[0]
            if have != value:
                raise Unavailable(f"SQLite keeps {name} at {have}", f"it must be {value}")
        con.execute("PRAGMA cache_size = -65536")
        con.execute("PRAGMA wal_autocheckpoint = 4000")
    except sqlite3.DatabaseError as fault:
        con.close()
        raise damaged(path, fault) from None
    return con


def journal_mode(path: Path) -> str:
    """Return the journal mode a database is in, changing nothing.

    Asked of SQLite and never read from the file's header: a process that opens and closes the file
    by itself drops every lock SQLite holds on it for this process, and another process may then
    delete the write-ahead log under the one that still writes to it (SQLite, "How to corrupt a
    database file", 2.2).

    Raises:
        Unavailable: The file cannot be opened.
        EvidenceBroken: The file is not a database, or is damaged.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as con:
            return str(con.execute("PRAGMA journal_mode").fetchone()[0])
    except sqlite3.DatabaseError as fault:
        raise damaged(path, fault) from None


def _set(con: sqlite3.Connection, pragma: str) -> None:
    """Set a pragma; SQLite does not wait by itself while another changes the journal mode."""
    for _ in range(_PATIENCE):
        try:
            con.execute(pragma)
        except sqlite3.OperationalError as fault:
            if "locked" not in str(fault):
                raise
            time.sleep(0.05)
        else:
            return
    con.execute(pragma)


def damaged(path: Path, fault: sqlite3.DatabaseError) -> Fault:
    """Tell a row that is there already, a file held or not writable, and one that is broken."""
    text = str(fault)
    if isinstance(fault, sqlite3.IntegrityError):
        return Conflict(f"{path.name}: a row of this write exists already", "look again")
    if isinstance(fault, sqlite3.ProgrammingError):
        return Unavailable(f"{path.name} is closed", "open it again")
    if "locked" in text or "busy" in text:
        return Unavailable(f"{path.name} is held by another process", "repeat in a moment", 1)
    if "readonly" in text or "unable to open" in text:
        return Unavailable(f"{path.name}: {text}", "check owner and mode of the folder")
    if "full" in text:
        return Unavailable(f"{path.name}: the disk is full", "free space; nothing was half-done")
    return EvidenceBroken(f"{path.name} is damaged ({text})", "restore the last backup")


def migrate(con: sqlite3.Connection, path: Path, steps: tuple[str, ...]) -> None:
    """Bring a file to this program's schema; a newer one is refused, a damaged one too.

    Raises:
        Unavailable: The file was written by a newer Troth.
        EvidenceBroken: The file is damaged.
    """
    try:
        have = int(con.execute("PRAGMA user_version").fetchone()[0])
        if have > len(steps):
            raise Unavailable(
                f"{path.name} was written by a newer Troth", "install that version or newer"
            )
        for number, step in enumerate(steps[have:], have + 1):
            _apply(con, number, step)
    except sqlite3.DatabaseError as fault:
        raise damaged(path, fault) from None


def _apply(con: sqlite3.Connection, number: int, step: str) -> None:
    """Apply one step under the write lock, unless another process did so meanwhile."""
    con.execute("BEGIN IMMEDIATE")
    try:
        if con.execute("PRAGMA user_version").fetchone()[0] < number:
            for statement in step.split(";"):
                con.execute(statement)
            con.execute(f"PRAGMA user_version = {number}")
        con.execute("COMMIT")
    finally:
        if con.in_transaction:
            con.execute("ROLLBACK")
