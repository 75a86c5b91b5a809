"""The filtered copy of a record: what may leave in a data backup, read in one snapshot.

Writers go on meanwhile: the copy is made from one read snapshot of the write-ahead log, which no
later commit moves (SQLite's own backup interface begins anew at every commit of another
connection). It is a file of its own into which only what may leave is ever written, so that no
free page of it holds anything else. Which table goes how is `data/backup.toml`.
"""

import os
import sqlite3
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Protocol

from troth.adapters.sqlite import schema
from troth.adapters.sqlite.record import SqliteStore
from troth.adapters.sqlite.view import SqliteView
from troth.errors import EvidenceBroken, InvalidInput, Unavailable
from troth.kernel.pointers import INDEX, pointers
from troth.terms import PERSON_BYTES, ContactPoint, Instant, PersonId

BUNDLES: Final = "bundle"
_MAKE: Final = "CREATE TABLE bundle (person INTEGER PRIMARY KEY, rec BLOB NOT NULL)"
_PAGE: Final = 500
Row = tuple[str, bytes, bytes]
"""Table, key and value of one row of a capability's own table."""
Watch = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a table goes into a backup.

    Attributes:
        do: keep, seal, own or drop; see `data/backup.toml`.
        at: Where in a key a person's id begins; negative counts from its end.
        fenced: For somebody whose key is destroyed the row is kept as it lies.
    """

    do: str
    why: str
    at: int = 0
    fenced: bool = False

    def person(self, key: bytes) -> PersonId:
        """Return whose row of an `own` table this is."""
        start = self.at if self.at >= 0 else len(key) + self.at
        return PersonId(key[start : start + PERSON_BYTES])


@dataclass(frozen=True, slots=True)
class Rules:
    """Every table's rule; `own` by the name of a capability's table."""

    table: Mapping[str, Rule]
    own: Mapping[str, Rule]


@cache
def rules() -> Rules:
    """Read `data/backup.toml`."""
    raw = tomllib.loads((files("troth") / "data/backup.toml").read_text("utf-8"))
    return Rules(
        {name: Rule(**each) for name, each in raw["table"].items()},
        {name: Rule(**each) for name, each in raw["own"].items()},
    )


@dataclass(frozen=True, slots=True)
class Bundle:
    """What leads to one person in clear: it leaves sealed under their own key or not at all."""

    person: PersonId
    contacts: tuple[ContactPoint, ...]
    rows: tuple[Row, ...]


class Sealing(Protocol):
    """Seals the bundles of a page of people."""

    def __call__(self, view: SqliteView, bundles: Sequence[Bundle]) -> list[bytes | None]:
        """Return a record each, in order; None for whom no key is left."""
        ...


@dataclass(slots=True)
class Copied:
    """What a copy holds.

    Attributes:
        counts: Rows by table; `bundle` counts people.
        sealed: Rows of own tables that went into bundles.
        unknown: Own tables nobody decided about: of them only rows that lead to somebody went.
    """

    size: int = 0
    root: bytes = b""
    counts: dict[str, int] = field(default_factory=dict)
    sealed: int = 0
    unknown: tuple[str, ...] = ()


def tables(con: sqlite3.Connection) -> list[str]:
    """Name the tables of a record."""
    sql = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    return [name for (name,) in con.execute(sql) if not name.startswith("sqlite_")]


def unnamed(con: sqlite3.Connection) -> list[str]:
    """Name the tables, own ones too, that `data/backup.toml` says nothing about."""
    known = rules()
    own = [name for (name,) in con.execute("SELECT DISTINCT tbl FROM own_row")]
    missing = [name for name in tables(con) if name not in known.table]
    return sorted({*missing, *(name for name in own if name not in known.own)})


def copy(store: SqliteStore, out: Path, seal: Sealing, watch: Watch) -> Copied:
    """Write the filtered copy of a record into a new file, durably.

    Args:
        store: The record.
        out: The file; it must not exist.
        seal: Seals what leads to a person.
        watch: Told how many rows are written.

    Raises:
        InvalidInput: A table of the file is not decided about.
    """
    con, view = store.enter()
    try:
        with closing(_begin(out)) as into:
            done = _Copying(con, view, into, seal, watch).run()
            into.commit()
    except sqlite3.DatabaseError as fault:
        raise schema.damaged(out, fault) from None
    finally:
        store.leave(con)
    _durable(out)
    return done


def _begin(out: Path) -> sqlite3.Connection:
    os.close(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    into = sqlite3.connect(out)
    into.execute("PRAGMA journal_mode = OFF")
    into.execute("PRAGMA synchronous = OFF")  # made durable as a whole, or thrown away
    into.execute("PRAGMA temp_store = MEMORY")
    into.isolation_level = None
    schema.migrate(into, out, schema.STEPS)
    into.execute(_MAKE)
    into.execute("BEGIN")
    return into


@dataclass(slots=True)
class _Copying:
    """One copy under way."""

    con: sqlite3.Connection
    view: SqliteView
    into: sqlite3.Connection
    seal: Sealing
    watch: Watch
    done: Copied = field(default_factory=Copied)
    led: set[tuple[str, bytes]] = field(default_factory=set)
    written: int = 0

    def run(self) -> Copied:
        found = [name for name in tables(self.con) if name not in rules().table]
        if found:
            raise InvalidInput(
                f"nobody decided whether {found[0]} may leave in a backup",
                "name it in backup.toml",
            )
        self.done.size, self.done.root = self.view.log.size, self.view.log.root
        for name, rule in rules().table.items():
            if rule.do == "keep" and name != "own_row":
                self._whole(name)
        mine = self._own_tables()
        self._bundles(mine)
        self._rest()
        return self.done

    def _write(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            marks = ",".join("?" * len(rows[0]))
            self.into.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - our own names
            self.done.counts[table] = self.done.counts.get(table, 0) + len(rows)
            self.written += len(rows)
            self.watch(self.written)

    def _whole(self, table: str) -> None:
        self.done.counts[table] = 0
        cursor = self.con.execute(f"SELECT * FROM {table}")  # noqa: S608 - our own names
        while rows := cursor.fetchmany(5_000):
            self._write(table, rows)

    def _rows(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        sql = "SELECT key, value FROM own_row WHERE tbl = ? ORDER BY key"
        yield from self.con.execute(sql, (table,))

    def _own_tables(self) -> dict[PersonId, list[Row]]:
        """Sort the rows of `own` tables by person; the index is read person by person instead."""
        out: dict[PersonId, list[Row]] = {}
        for table, rule in rules().own.items():
            if rule.do == "own" and table != INDEX:
                for key, value in self._rows(table):
                    out.setdefault(rule.person(key), []).append((table, key, value))
        return out

    def _bundles(self, mine: dict[PersonId, list[Row]]) -> None:
        """Seal what leads to each person; keep what a destroyed key leaves to be finished."""
        self.done.counts[BUNDLES] = 0
        after: PersonId | None = None
        while people := self.view.people(after, _PAGE):
            after = people[-1]
            bundles = [self._bundle(person, mine.pop(person, [])) for person in people]
            numbers = self._numbers(people)
            fenced: list[Row] = []
            sealed: list[tuple[int, bytes]] = []
            for bundle, rec in zip(bundles, self.seal(self.view, bundles), strict=True):
                if rec is None:
                    fenced += [row for row in bundle.rows if _fenced(row[0])]
                elif bundle.rows or bundle.contacts:
                    sealed.append((numbers[bundle.person], rec))
                    self.done.sealed += len(bundle.rows)
            self._write(BUNDLES, sealed)
            self._write("own_row", fenced)
        self._write("own_row", [row for rows in mine.values() for row in rows if _fenced(row[0])])

    def _numbers(self, people: Sequence[PersonId]) -> dict[PersonId, int]:
        marks = ",".join("?" * len(people))
        sql = f"SELECT psid, id FROM person WHERE psid IN ({marks})"  # noqa: S608 - question marks only
        return {PersonId(psid): number for psid, number in self.con.execute(sql, people)}

    def _bundle(self, person: PersonId, rows: list[Row]) -> Bundle:
        found = dict.fromkeys(pointers(self.view, person))
        if found:
            after = b""
            while page := self.view.rows(INDEX, person, after, 5_000):
                rows += [(INDEX, key, value) for key, value in page]
                after = page[-1][0]
        for table, key in found:
            rule = rules().own.get(table)
            if rule is not None and rule.do == "keep":
                self.led.add((table, key))
            value = None if rule is not None and rule.do == "drop" else self.view.row(table, key)
            if value is not None:
                rows.append((table, key, value))
        sql = (
            "SELECT c.channel, c.bi, c.sup, c.normaliser FROM contact_point c"
            " JOIN person p ON p.id = c.person WHERE p.psid = ?"
        )
        contacts = [ContactPoint(*each) for each in self.con.execute(sql, (person,))]
        return Bundle(person, tuple(contacts), tuple(rows))

    def _rest(self) -> None:
        """Keep the rows of kept tables that lead to nobody."""
        names = [name for (name,) in self.con.execute("SELECT DISTINCT tbl FROM own_row")]
        known = rules().own
        for table in names:
            if table in known and known[table].do == "keep":
                rows = [
                    (table, key, value)
                    for key, value in self._rows(table)
                    if (table, key) not in self.led
                ]
                self._write("own_row", rows)
        self.done.unknown = tuple(sorted(name for name in names if name not in known))


def _fenced(table: str) -> bool:
    return table in rules().own and rules().own[table].fenced


# Before an upgrade


def before_upgrade(path: Path) -> Path | None:
    """Copy a record of an older schema whole, beside it, before its tables are changed.

    It is made once per schema and deleted after the next backup; an erasure names it until then.

    Returns:
        The copy; None where nothing has to be changed, or the file is no record yet.

    Raises:
        Unavailable: There is no room for it: free space, then start again.
    """
    if not path.exists():
        return None
    with closing(schema.connect(path)) as con:
        try:
            have = int(con.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.DatabaseError as fault:
            raise schema.damaged(path, fault) from None
        if not 0 < have < len(schema.STEPS):
            return None
        kept = path.with_name(f"before-{len(schema.STEPS)}.db")
        part = kept.with_name(f"{kept.name}.part")
        if not kept.exists():
            part.unlink(missing_ok=True)
            try:
                os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                with closing(sqlite3.connect(part)) as into:
                    con.backup(into)
                _durable(part)
                part.rename(kept)
            except (sqlite3.DatabaseError, OSError):
                part.unlink(missing_ok=True)
                raise Unavailable(
                    "there is no room for a copy of the record before the upgrade", "free space"
                ) from None
        return kept


def _durable(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


# The way back


def bundles(path: Path) -> Iterator[list[tuple[PersonId, bytes]]]:
    """Yield the sealed bundles of a restored record, a page at a time; none once they are gone."""
    with closing(sqlite3.connect(path)) as con:
        if BUNDLES not in tables(con):
            return
        after = -1
        sql = (
            "SELECT b.person, p.psid, b.rec FROM bundle b JOIN person p ON p.id = b.person"
            " WHERE b.person > ? ORDER BY b.person LIMIT ?"
        )
        while page := con.execute(sql, (after, _PAGE)).fetchall():
            after = page[-1][0]
            yield [(PersonId(psid), rec) for _, psid, rec in page]


def drop_bundles(path: Path) -> None:
    """Delete the bundles of a restored record: what they held lies in its tables again."""
    with closing(schema.connect(path)) as con, suppress(sqlite3.OperationalError):
        con.execute("DROP TABLE IF EXISTS bundle")
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def name_log(path: Path, origin: str) -> None:
    """Give a restored record's ledger its new name; see `custody.continued`."""
    with closing(schema.connect(path)) as con:
        con.execute("UPDATE meta SET value = ? WHERE name = 'origin'", (origin.encode(),))


@contextmanager
def viewing(path: Path) -> Iterator[SqliteView]:
    """Read a record that is not open; nothing in it is changed."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con:
            yield SqliteView(con, Instant(0))
    except sqlite3.DatabaseError as fault:
        raise schema.damaged(path, fault) from None


def counted(path: Path) -> dict[str, int]:
    """Count the rows of every table of a file; one that is not sound has none.

    Raises:
        EvidenceBroken: It is damaged.
    """
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as con:
            sound = con.execute("PRAGMA quick_check").fetchone()[0]
            if sound != "ok":
                raise EvidenceBroken(f"{path.name} is damaged", "use another backup")
            return {
                name: con.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608 - our own names
                for name in tables(con)
            }
    except sqlite3.DatabaseError as fault:
        raise schema.damaged(path, fault) from None
