"""A MySQL or MariaDB database over a session that can only read; needs the extra `[scan]`."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from troth.adapters.scanning.reader import CELL, Column, Guarded, quoted, text_of, unreachable
from troth.errors import Unavailable

_CONNECT_S: Final = 10
_LISTED: Final = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name"
)
_DESCRIBED: Final = (
    "SELECT column_name, column_type, column_key FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position"
)


class MysqlReader:
    """Reads one database; the server itself refuses writes of this session."""

    def __init__(self, secret: str, name: str, seconds: int) -> None:
        """Connect.

        Args:
            secret: `mysql://user:password@host:3306/database`, with `?unix_socket=PATH` or
                `?ssl_ca=FILE` where wanted.
            name: The source's name, for messages.
            seconds: Longest time of one statement.

        Raises:
            Unavailable: The driver is missing, or the server does not answer.
        """
        self._pymysql = _driver()
        self._name = name
        given = _given(secret, name)
        self._here = "unix_socket" in given or given["host"] in {"localhost", "127.0.0.1", "::1"}
        self._tls = "ssl" in given
        try:
            self._con = self._pymysql.connect(
                **given, connect_timeout=_CONNECT_S, read_timeout=seconds + _CONNECT_S,
                charset="utf8mb4", local_infile=False, autocommit=False,
            )  # fmt: skip
            with self._con.cursor() as cursor:
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
                _limit(cursor, seconds, self._pymysql)
                cursor.execute("START TRANSACTION READ ONLY")
        except (self._pymysql.Error, OSError, ValueError, RuntimeError):
            raise unreachable(name) from None

    @property
    def guarded(self) -> Guarded:
        """How the way to the server is protected."""
        return "tls" if self._tls else "here" if self._here else "open"

    def query(self, sql: str, given: Sequence[str | int] = ()) -> list[Any]:
        """Ask within a read-only transaction.

        Raises:
            Unavailable: It may not be read, took too long, or would write.
        """
        try:
            with self._con.cursor() as cursor:
                cursor.execute(sql, given or None)
                return list(cursor.fetchall())
        except (self._pymysql.Error, OSError):
            raise Unavailable(
                f"a table of {self._name} cannot be read", "grant SELECT to the scan's account"
            ) from None

    def tables(self) -> Sequence[str]:
        """Name every table of the database."""
        return [text_of(row[0]) or "" for row in self.query(_LISTED)]

    def columns(self, table: str) -> Sequence[Column]:
        """Describe columns with the database's own words for their types."""
        rows = self.query(_DESCRIBED, (table,))
        return [
            Column(text_of(name) or "", text_of(kind) or "", text_of(key) == "PRI")
            for name, kind, key in rows
        ]

    def sample(
        self, table: str, columns: Sequence[Column], rows: int
    ) -> Iterator[Sequence[str | None]]:
        """Yield the first rows; each value is cut by the server before it travels."""
        if not columns:
            return
        cells = ", ".join(f"LEFT({_name(each.name)}, {CELL})" for each in columns)
        sql = f"SELECT {cells} FROM {_name(table)} LIMIT {int(rows)}"  # noqa: S608 - quoted names
        for row in self.query(sql):
            yield [text_of(value) for value in row]

    def close(self) -> None:
        """End the session; it had nothing to commit."""
        with contextlib.suppress(self._pymysql.Error):
            self._con.close()


def _name(name: str) -> str:
    return quoted(name, "`")


def _limit(cursor: Any, seconds: int, pymysql: Any) -> None:  # noqa: ANN401 - untyped driver
    """Bound one statement's time: MariaDB and MySQL spell it differently."""
    try:
        cursor.execute(f"SET SESSION max_statement_time = {int(seconds)}")
    except pymysql.Error:
        cursor.execute(f"SET SESSION max_execution_time = {int(seconds) * 1000}")


def _given(secret: str, name: str) -> dict[str, Any]:
    """Read the connection's URL.

    Raises:
        Unavailable: It is none; it is never said what stands there instead.
    """
    try:
        url = urlsplit(secret)
        port = url.port or 3306
    except ValueError:
        raise unreachable(name) from None
    if url.scheme not in {"mysql", "mariadb"} or not url.path.strip("/"):
        raise unreachable(name)
    asked = parse_qs(url.query)
    given: dict[str, Any] = {
        "host": url.hostname or "localhost",
        "port": port,
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "database": unquote(url.path.strip("/")),
    }
    if "unix_socket" in asked:
        given["unix_socket"] = asked["unix_socket"][0]
    if "ssl_ca" in asked:
        given["ssl"] = {"ca": asked["ssl_ca"][0]}
    return given


def _driver() -> Any:  # noqa: ANN401 - untyped driver
    try:
        import pymysql  # noqa: PLC0415 - the extra loads when a source is scanned
    except ImportError:
        raise Unavailable(
            "scanning MySQL needs the extra [scan]", "install it: pip install troth[scan]"
        ) from None
    return pymysql
