"""A SQLite file, opened so that SQLite itself refuses every write."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from troth.adapters.scanning.reader import CELL, Column, Guarded, quoted, text_of, unreachable
from troth.errors import Unavailable
from troth.ports import Clock
from troth.terms import SECOND

_STEPS: Final = 20_000
"""Steps of SQLite's machine between two looks at the clock."""


class SqliteReader:
    """Reads one file; nothing is written, not even a log of SQLite's own in the usual case."""

    guarded: Guarded = "here"

    def __init__(self, path: Path, name: str, seconds: int, clock: Clock) -> None:
        """Open a file.

        Raises:
            Unavailable: It is not there, or is no SQLite file.
        """
        self._name = name
        if not path.is_file():
            raise unreachable(name)
        try:
            self._con = _connect(path)
        except sqlite3.DatabaseError:
            raise unreachable(name) from None
        until = clock.now() + seconds * SECOND
        self._con.set_progress_handler(lambda: int(clock.now() >= until), _STEPS)

    def query(self, sql: str, given: Sequence[str | int] = ()) -> sqlite3.Cursor:
        """Ask; the file is open for reading alone.

        Raises:
            Unavailable: It does not answer in time, or would write.
        """
        try:
            return self._con.execute(sql, given)
        except sqlite3.DatabaseError as fault:
            said = "took too long" if "interrupted" in str(fault) else "cannot be read"
            raise Unavailable(f"a table of {self._name} {said}", "look at the file") from None

    def tables(self) -> Sequence[str]:
        """Name every table but SQLite's own."""
        rows = self.query("SELECT name FROM sqlite_master WHERE type = 'table'")
        return sorted(str(row[0]) for row in rows if not str(row[0]).startswith("sqlite_"))

    def columns(self, table: str) -> Sequence[Column]:
        """Describe columns, generated ones too."""
        rows = self.query("SELECT name, type, pk FROM pragma_table_xinfo(?)", (table,))
        return [Column(str(name), str(kind), bool(pk)) for name, kind, pk in rows]

    def sample(
        self, table: str, columns: Sequence[Column], rows: int
    ) -> Iterator[Sequence[str | None]]:
        """Yield the first rows; each value is cut by SQLite before it leaves the file."""
        if not columns:
            return
        cells = ", ".join(f"substr({quoted(each.name)}, 1, {CELL})" for each in columns)
        found = self.query(f"SELECT {cells} FROM {quoted(table)} LIMIT ?", (rows,))  # noqa: S608 - quoted names
        while True:
            try:
                row = found.fetchone()
            except sqlite3.DatabaseError:
                raise Unavailable(
                    f"a table of {self._name} cannot be read to its end", "look at the file"
                ) from None
            if row is None:
                return
            yield [text_of(value) for value in row]

    def close(self) -> None:
        """Close the file."""
        self._con.close()


def _connect(path: Path) -> sqlite3.Connection:
    """Open read-only; a file in WAL mode that nobody has open needs no log of ours beside it."""
    place = quote(str(path.resolve()))
    idle = not path.with_name(f"{path.name}-wal").exists()
    for mode in ("mode=ro", *(("mode=ro&immutable=1",) if idle else ())):
        con = sqlite3.connect(
            f"file:{place}?{mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            con.execute("PRAGMA query_only = 1")
            con.execute("PRAGMA trusted_schema = 0")
            con.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.OperationalError:
            con.close()
        except sqlite3.DatabaseError:
            con.close()
            raise
        else:
            return con
    raise sqlite3.OperationalError
