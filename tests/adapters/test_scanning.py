"""Read-only scans of real databases and folders: what is found, and that nothing is changed."""

import hashlib
import json
import sqlite3
import tomllib
from contextlib import closing
from importlib.resources import files

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pymysql
import pytest
from real_servers import mariadb, postgres

from troth.adapters.scanning import Limits, Source, opened, scan
from troth.adapters.system import FixedClock, SystemClock
from troth.engines import datagraph
from troth.errors import InvalidInput, Unavailable
from troth.terms import SECOND, Instant

WORDS = datagraph.read_words(
    tomllib.loads((files("troth") / "data/datamap/columns.toml").read_text("utf-8"))
)
CLOCK = SystemClock()
PEOPLE = [
    (n, f"planted{n}@post.example", f"+2782555{n:04}", f"Given{n}", "1980-02-03", 100 * n)
    for n in range(1, 61)
]
MARKS = ("planted", "post.example", "2782555", "Given", "1980-02-03")
HOSTILE = "a\"b`c'; DROP TABLE customer; --<script>alert(1)</script>"
SCHEMA = (
    "CREATE TABLE customer (id INTEGER PRIMARY KEY, email VARCHAR(80), mobile VARCHAR(30),"
    " first_name VARCHAR(60), born VARCHAR(30), points INTEGER)"
)


def look(source, limits=None):
    with opened(source, 30, CLOCK) as reader:
        return scan(reader, WORDS, ["ZA"], limits or Limits(), CLOCK)


def guesses(found, table="customer"):
    seen = next(each for each in found.tables if each.name == table)
    return {c.name: c.guess.category for c in seen.columns if c.guess}


EXPECTED = {
    "id": "identity.official",
    "email": "contact.email",
    "mobile": "contact.phone",
    "first_name": "identity.name",
    "born": "identity.birth",
}  # fmt: skip


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as con, con:
        con.execute(SCHEMA)
        con.executemany("INSERT INTO customer VALUES (?,?,?,?,?,?)", PEOPLE)
        con.execute(f'CREATE TABLE "{HOSTILE.replace(chr(34), chr(34) * 2)}" ("<b>e</b>" TEXT)')
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def pg():
    url, _ = postgres()
    with psycopg.connect(url, autocommit=True) as con:
        con.execute("DROP TABLE IF EXISTS customer, loud, hidden")
        con.execute("DROP SCHEMA IF EXISTS crm CASCADE")
        con.execute(SCHEMA)
        con.cursor().executemany("INSERT INTO customer VALUES (%s,%s,%s,%s,%s,%s)", PEOPLE)
        quoted = psycopg.sql.Identifier(HOSTILE)
        con.execute(psycopg.sql.SQL("CREATE TABLE IF NOT EXISTS {} (x text)").format(quoted))
        con.execute("CREATE SCHEMA crm; CREATE TABLE crm.note (id int, body text)")
        con.execute(
            "INSERT INTO crm.note SELECT n, 'call planted@post.example back' FROM generate_series(1,9) n"
        )
        con.execute("CREATE TABLE hidden (secret text)")
        con.execute(
            "DO $$ BEGIN CREATE ROLE scanner LOGIN PASSWORD 'planted-secret'; EXCEPTION WHEN duplicate_object THEN END $$"
        )
        con.execute(
            "GRANT USAGE ON SCHEMA crm TO scanner; GRANT SELECT ON customer, crm.note TO scanner"
        )
    return url


@pytest.fixture(scope="module")
def my():
    url, folder = mariadb()
    with closing(
        pymysql.connect(unix_socket=str(folder / "s"), user="root", autocommit=True)
    ) as con:
        cursor = con.cursor()
        cursor.execute("DROP DATABASE IF EXISTS shop")
        cursor.execute("CREATE DATABASE shop")
        cursor.execute("USE shop")
        cursor.execute(SCHEMA)
        cursor.executemany("INSERT INTO customer VALUES (%s,%s,%s,%s,%s,%s)", PEOPLE)
        cursor.execute(f"CREATE TABLE `{HOSTILE.replace('`', '``')[:60]}` (x TEXT)")
    return url


def rows(kind, url, folder=None):
    if kind == "postgres":
        with psycopg.connect(url) as con:
            return con.execute("SELECT * FROM customer ORDER BY id").fetchall()
    with closing(
        pymysql.connect(unix_socket=str(folder / "s"), user="root", database="shop")
    ) as con:
        cursor = con.cursor()
        cursor.execute("SELECT * FROM customer ORDER BY id")
        return cursor.fetchall()


# --- what is found


def test_a_sqlite_file_is_described_and_no_value_is_in_what_a_scan_returns(shop):
    found = look(Source("crm", "sqlite", shop))
    assert guesses(found) == EXPECTED
    assert not [mark for mark in MARKS if mark in repr(found)]
    assert found.guarded == "here"


def test_a_postgresql_database_is_described_with_its_schemas(pg):
    found = look(Source("crm", "postgres", secret=pg))
    assert guesses(found) == EXPECTED
    assert guesses(found, "crm.note") == {"body": "contact.email"}
    assert not [mark for mark in MARKS if mark in repr(found)]
    (key,) = [c for t in found.tables if t.name == "customer" for c in t.columns if c.key]
    assert (key.name, key.type) == ("id", "integer")
    assert found.guarded == "here"


def test_a_mariadb_database_is_described(my):
    found = look(Source("crm", "mysql", secret=my))
    assert guesses(found) == EXPECTED
    assert not [mark for mark in MARKS if mark in repr(found)]


def test_a_folder_of_files_is_described_and_what_is_not_read_is_named(tmp_path):
    lines = "\n".join(f"{n};{email};{n}" for n, email, *_ in PEOPLE)
    (tmp_path / "people.csv").write_text(f"id;e-mail;points\n{lines}\n")
    (tmp_path / "deep").mkdir()
    told = "\n".join(
        json.dumps({"client": {"mail": email}, "tel": tel}) for _, email, tel, *_ in PEOPLE
    )
    (tmp_path / "deep" / "log.jsonl").write_text(told)
    pq.write_table(
        pa.table({"mail": [p[1] for p in PEOPLE], "n": [p[0] for p in PEOPLE]}),
        tmp_path / "m.parquet",
    )
    (tmp_path / "old.xlsx").write_bytes(b"PK")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00\n\x00")
    outside = tmp_path.parent / "outside.csv"
    outside.write_text("email\n")
    (tmp_path / "link.csv").symlink_to(outside)
    found = look(Source("files", "folder", tmp_path))
    assert guesses(found, "people.csv") == {"id": "identity.official", "e-mail": "contact.email"}
    assert guesses(found, "deep/log.jsonl") == {"client": "contact.email", "tel": "contact.phone"}
    assert guesses(found, "m.parquet") == {"mail": "contact.email"}
    named = {each.name: each.fault for each in found.tables}
    assert "link.csv" not in named
    assert named["old.xlsx"] == "files of this kind are not looked into"
    assert named["broken.parquet"] == "the Parquet file does not read"


# --- nothing is changed


WRITES = ("DELETE FROM customer", "INSERT INTO customer (id) VALUES (999)", "DROP TABLE customer",
          "CREATE TABLE planted (x INTEGER)", "UPDATE customer SET points = 0")  # fmt: skip


@pytest.mark.parametrize("sql", WRITES)
def test_a_scanner_that_writes_is_refused_by_each_database_itself(sql, shop, pg, my):
    _, folder = mariadb()
    before = digest(shop), rows("postgres", pg), rows("mysql", my, folder)
    for source in (
        Source("crm", "sqlite", shop), Source("crm", "postgres", secret=pg), Source("crm", "mysql", secret=my),
    ):  # fmt: skip
        with (
            opened(source, 30, CLOCK) as reader,
            pytest.raises(Unavailable, match="cannot be read"),
        ):
            reader.query(sql)
    assert (digest(shop), rows("postgres", pg), rows("mysql", my, folder)) == before


@pytest.mark.parametrize(
    ("kind", "loosen"),
    [
        ("sqlite", ["PRAGMA query_only = 0"]),
        ("postgres", ["SET default_transaction_read_only = off", "SET TRANSACTION READ WRITE"]),
        ("mysql", ["ROLLBACK"]),
    ],
)  # fmt: skip
def test_a_scanner_that_first_tries_to_loosen_its_own_session_still_writes_nothing(
    kind, loosen, shop, pg, my
):
    source = Source("crm", kind, shop, {"postgres": pg, "mysql": my}.get(kind, ""))
    with opened(source, 30, CLOCK) as reader:
        for sql in loosen:
            try:
                reader.query(sql)
            except Unavailable:
                continue
        with pytest.raises(Unavailable, match="cannot be read"):
            reader.query("DELETE FROM customer")


def test_a_scan_leaves_a_file_byte_for_byte_and_rows_as_they_were(shop, pg, my):
    _, folder = mariadb()
    before = digest(shop), rows("postgres", pg), rows("mysql", my, folder)
    for source in (
        Source("crm", "sqlite", shop), Source("crm", "postgres", secret=pg), Source("crm", "mysql", secret=my),
    ):  # fmt: skip
        look(source)
    assert (digest(shop), rows("postgres", pg), rows("mysql", my, folder)) == before


def test_a_file_in_wal_mode_is_scanned_whether_somebody_has_it_open_or_not(shop):
    with closing(sqlite3.connect(shop)) as con:
        con.execute("PRAGMA journal_mode = wal")
        con.execute("INSERT INTO customer (id, email) VALUES (900, 'planted900@post.example')")
        con.commit()
        assert guesses(look(Source("crm", "sqlite", shop))) == EXPECTED
    assert guesses(look(Source("crm", "sqlite", shop))) == EXPECTED


# --- bounds, hostility, secrets


def test_a_hostile_name_of_a_table_or_column_is_only_a_name(shop, pg, my):
    for source in (
        Source("crm", "sqlite", shop), Source("crm", "postgres", secret=pg), Source("crm", "mysql", secret=my),
    ):  # fmt: skip
        found = look(source)
        assert any(each.name.startswith('a"b`c') for each in found.tables)
        assert guesses(found) == EXPECTED


def test_a_name_that_holds_an_address_is_not_kept(tmp_path):
    (tmp_path / "t.csv").write_text("planted@post.example,0825550101\n1,2\n")
    (found,) = look(Source("f", "folder", tmp_path)).tables
    assert [c.name for c in found.columns] == [
        "(column 1: its name holds an address or a number)",
        "(column 2: its name holds an address or a number)",
    ]


def test_a_scan_stops_at_its_limits_and_names_what_it_did_not_reach(tmp_path):
    for n in range(5):
        (tmp_path / f"t{n}.csv").write_text("email\n" + "planted@post.example\n" * 500)
    source = Source("f", "folder", tmp_path)
    few = look(source, Limits(tables=2))
    assert few.cut == "tables"
    assert [each.fault for each in few.tables] == ["", "", *["not reached: tables"] * 3]
    assert [each.rows for each in look(source, Limits(rows=7)).tables] == [7] * 5
    small = look(source, Limits(bytes=100))
    assert small.cut == "bytes"
    assert small.tables[0].rows < 10
    assert look(source, Limits(seconds=0)).cut == "time"


def test_ten_thousand_columns_are_scanned_up_to_the_limit(tmp_path):
    (tmp_path / "wide.csv").write_text(",".join(f"c{n}" for n in range(10_000)) + "\n")
    (found,) = look(Source("f", "folder", tmp_path)).tables
    assert len(found.columns) == 10_000
    (found,) = look(Source("f", "folder", tmp_path), Limits(columns=50)).tables
    assert len(found.columns) == 50


def test_a_table_that_may_not_be_read_is_named_with_why(pg):
    _, folder = postgres()
    source = Source(
        "crm", "postgres", secret=f"postgresql://scanner:planted-secret@/postgres?host={folder}"
    )
    found = look(source)
    (hidden,) = [each for each in found.tables if each.name == "hidden"]
    assert hidden.fault == "a table of crm cannot be read"
    assert [c.name for c in hidden.columns] == ["secret"]


def test_a_statement_that_takes_too_long_is_ended(pg):
    with (
        opened(Source("crm", "postgres", secret=pg), 1, CLOCK) as reader,
        pytest.raises(Unavailable, match="took too long"),
    ):
        reader.query("SELECT pg_sleep(20)")


def test_sqlite_is_interrupted_when_time_is_over(shop):
    clock = FixedClock(Instant(10 * SECOND))
    with (
        opened(Source("crm", "sqlite", shop), 0, clock) as reader,
        pytest.raises(Unavailable, match="took too long"),
    ):
        reader.query(
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
        ).fetchone()


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        ("postgres", "postgresql://u:planted-secret@127.0.0.1:1/db"),
        ("postgres", "planted-secret is no url"),
        ("mysql", "mysql://u:planted-secret@127.0.0.1:1/db"),
        ("mysql", "ftp://u:planted-secret@h/db"),
        ("mysql", "mysql://u:planted-secret@h:notaport/db"),
        ("mysql", ""),
    ],
)  # fmt: skip
def test_what_goes_wrong_never_says_how_a_source_is_reached(kind, secret):
    source = Source("crm", kind, secret=secret)
    assert "planted" not in repr(source)
    with pytest.raises(Unavailable) as told, opened(source, 5, CLOCK):
        pass
    assert "planted" not in str(told.value)
    assert "127.0.0.1" not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__context__ is None or told.value.__suppress_context__


def test_a_source_that_is_not_there_or_no_database_is_unavailable(tmp_path):
    (tmp_path / "no.db").write_text(
        "planted: this is no database, but long enough to look like one" * 20
    )
    for source in (
        Source("x", "sqlite", tmp_path / "gone.db"), Source("x", "sqlite", tmp_path / "no.db"), Source("x", "folder", tmp_path / "gone"),
    ):  # fmt: skip
        with pytest.raises(Unavailable), opened(source, 5, CLOCK):
            pass
    with pytest.raises(InvalidInput), opened(Source("x", "oracle"), 5, CLOCK):
        pass
    with pytest.raises(InvalidInput), opened(Source("x", "sqlite"), 5, CLOCK):
        pass
