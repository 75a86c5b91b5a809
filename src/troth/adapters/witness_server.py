"""What a witness keeps: of each log the one history it cosigned, in a SQLite file of its own."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel import proof, witnessing
from troth.terms import LogState

_TABLES = """
CREATE TABLE IF NOT EXISTS me (one INTEGER PRIMARY KEY CHECK (one = 1), vkey TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS seen (
  origin TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
  root BLOB NOT NULL, note TEXT NOT NULL) WITHOUT ROWID;
"""
_WAIT_S = 30

Judge = Callable[[LogState], str | witnessing.Refused]
"""Given what was last cosigned: the cosigned note to keep, or a refusal."""


class WitnessStore:
    """The file; a connection for each question, so that processes and threads share it safely."""

    def __init__(self, path: Path) -> None:
        """Open the file `init` made.

        Raises:
            NotFound: It is not there.
            EvidenceBroken: It is damaged.
        """
        self._path = path
        if not path.is_file():
            raise NotFound("there is no such file of a witness", "run: troth witness init")
        with self._connection() as con:
            row = con.execute("SELECT vkey FROM me").fetchone()
        if row is None:
            raise EvidenceBroken("this is no file of a witness", "run: troth witness init")
        self.vkey = str(row[0])

    @classmethod
    def create(cls, path: Path, vkey: str) -> "WitnessStore":
        """Begin the file of a new key.

        Raises:
            Conflict: A file lies there already.
            Unavailable: It cannot be written.
        """
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise Conflict("a file lies there already", "name another") from None
        except OSError:
            raise Unavailable("the file cannot be written", "check owner and mode") from None
        with closing(sqlite3.connect(path, isolation_level=None)) as con:
            con.execute("PRAGMA journal_mode = wal")
            con.execute("PRAGMA synchronous = FULL")
            con.executescript(_TABLES)
            con.execute("INSERT INTO me VALUES (1, ?)", (vkey,))
        return cls(path)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(self._path, isolation_level=None, timeout=_WAIT_S)
            ) as con:
                con.execute("PRAGMA synchronous = FULL")
                yield con
        except sqlite3.OperationalError as fault:
            if "malformed" in str(fault) or "no such table" in str(fault):
                raise EvidenceBroken("this is no file of a witness", "begin a new key") from None
            raise Unavailable("the witness's file cannot be written now", "try again") from None
        except sqlite3.DatabaseError:
            raise EvidenceBroken("the witness's file is damaged", "begin a new key") from None

    def step(self, origin: str, judge: Judge) -> str | witnessing.Refused:
        """Judge a checkpoint against what was last cosigned, and keep the outcome, in one step.

        Durable on return: the answer may go out then and not before. Others wait meanwhile.
        """
        with self._connection() as con:
            con.execute("BEGIN IMMEDIATE")
            try:
                row = con.execute(
                    "SELECT size, root FROM seen WHERE origin = ?", (origin,)
                ).fetchone()
                last = LogState(row[0], row[1]) if row else witnessing.NOTHING
                said = judge(last)
                if isinstance(said, str):
                    self._keep(con, origin, said)
                con.execute("COMMIT")
            finally:
                if con.in_transaction:
                    con.execute("ROLLBACK")
        return said

    def _keep(self, con: sqlite3.Connection, origin: str, note: str) -> None:
        head = proof.parse_checkpoint(proof.parse_note(note)[0])
        digest = crypto.sha256(origin.encode()).hex()
        con.execute(
            "INSERT INTO seen VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
            " size = excluded.size, root = excluded.root, note = excluded.note",
            (origin, digest, head.size, head.root, note),
        )

    def newest(self, digest: str) -> str | None:
        """Return the newest cosigned note of the log whose origin has this SHA-256, in hex."""
        with self._connection() as con:
            row = con.execute("SELECT note FROM seen WHERE digest = ?", (digest,)).fetchone()
        return str(row[0]) if row else None

    def logs(self) -> list[tuple[str, int]]:
        """Return every log ever cosigned and its size."""
        with self._connection() as con:
            return con.execute("SELECT origin, size FROM seen ORDER BY origin").fetchall()


def key_file(data: Path) -> Path:
    """Return where the private half of a witness's key lies: beside its file."""
    return data.with_name(data.name + ".key")


def read_seed(data: Path) -> bytes:
    """Read a witness's private half.

    Raises:
        NotFound: There is none.
        EvidenceBroken: It is damaged.
    """
    try:
        raw = key_file(data).read_bytes()
    except OSError:
        raise NotFound("the witness has no key here", "run: troth witness init") from None
    if len(raw) != crypto.KEY_BYTES:
        raise EvidenceBroken("the witness's key is damaged", "begin a new key")
    return raw


def write_seed(data: Path, seed: bytes) -> None:
    """Write a private half that only its owner can read, durably, and never over another."""
    try:
        handle = os.open(key_file(data), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict("a witness's key lies here already", "name another file") from None
    except OSError:
        raise Unavailable("the key cannot be written", "check owner and mode") from None
    with os.fdopen(handle, "wb") as out:
        out.write(seed)
        out.flush()
        os.fsync(out.fileno())


def set_aside(data: Path) -> None:
    """Put a retired key out of the way; it never signs again, and is not deleted."""
    old = key_file(data)
    for number in range(1, 1_000):
        aside = old.with_name(f"{old.name}.retired-{number}")
        if not aside.exists():
            old.rename(aside)
            return
    raise InvalidInput("too many keys were retired here", "clear the folder")
