"""The house's own files, looked at read-only: its tables, and how many rows lead to whom."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from troth.errors import Unavailable

_LOOSE: Final = """
WITH RECURSIVE t(x) AS (
  SELECT min({column}) FROM {table}
  UNION ALL SELECT (SELECT min({column}) FROM {table} WHERE {column} > x) FROM t WHERE x NOT NULL)
SELECT x FROM t WHERE x NOT NULL"""


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows of one kind there are of somebody.

    Attributes:
        what: Field, scope, channel or kind of job.
        versions: The highest version of a row; 0 where there is none such.
    """

    table: str
    what: str
    count: int
    versions: int = 0


def _open(path: Path) -> sqlite3.Connection:
    place = f"file:{quote(str(path.resolve()))}?mode=ro"
    con = sqlite3.connect(place, uri=True, timeout=5)
    con.execute("PRAGMA query_only = 1")
    return con


def tables(path: Path) -> list[str]:
    """Name the tables of one of the house's own databases; none where there is no such file.

    Raises:
        Unavailable: It does not read.
    """
    if not path.is_file():
        return []
    sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    try:
        with closing(_open(path)) as con:
            found = [str(row[0]) for row in con.execute(sql)]
    except sqlite3.DatabaseError:
        raise Unavailable(f"{path.name} does not read", "run: troth ledger verify") from None
    return [name for name in found if not name.startswith("sqlite_")]


def words(path: Path, table: str, column: str) -> list[str]:
    """Return the distinct words of an indexed column; costs one look-up a word.

    Args:
        path: One of the house's own databases.
        table: A table of the house's own schema, never a name from outside.
        column: The first column of an index of it.
    """
    with closing(_open(path)) as con:
        return [str(row[0]) for row in con.execute(_LOOSE.format(table=table, column=column))]


_SEALED: Final = "SELECT field, count(*), max(version) FROM sealed WHERE person = ? GROUP BY field"
_COUNTS: Final = (
    ("sealed", _SEALED),
    ("body", "SELECT '', count(*), 0 FROM body WHERE person = ?"),
    ("fact", "SELECT '', count(*), 0 FROM fact WHERE person = ?"),
    (
        "contact_point",
        "SELECT channel, count(*), 0 FROM contact_point WHERE person = ? GROUP BY 1",
    ),
)
_JOBS: Final = (
    "SELECT kind, count(*) FROM job WHERE person = ? AND length(payload) > 0 GROUP BY kind"
)


def rows_of(path: Path, people: Sequence[bytes]) -> list[Rows]:
    """Count what the record holds of somebody, under all their ids; opens no value.

    Jobs are walked whole: about 0.1 s a million of them.
    """
    found: Counter[tuple[str, str]] = Counter()
    highest: dict[tuple[str, str], int] = {}
    with closing(_open(path)) as con:
        for psid in people:
            for table, what, count, version in _of_one(con, psid):
                found[table, what] += count
                highest[table, what] = max(version, highest.get((table, what), 0))
    return [Rows(*key, count, highest[key]) for key, count in sorted(found.items()) if count]


def _of_one(con: sqlite3.Connection, psid: bytes) -> Iterable[tuple[str, str, int, int]]:
    row = con.execute("SELECT id FROM person WHERE psid = ?", (psid,)).fetchone()
    if row is not None:
        for table, sql in _COUNTS:
            for what, count, version in con.execute(sql, row):
                yield table, str(what), int(count), int(version)
    for kind, count in con.execute(_JOBS, (psid,)):
        yield "job", str(kind).partition("/")[0], int(count), 0
