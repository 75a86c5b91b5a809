"""A PostgreSQL database over a session that can only read; needs the extra `[scan]`."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from troth.adapters.scanning.reader import CELL, Column, Guarded, unreachable
from troth.errors import Unavailable

_CONNECT_S: Final = 10
_LISTED: Final = """
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY 1, 2"""
_DESCRIBED: Final = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), c.relkind::text,
  EXISTS (SELECT 1 FROM pg_catalog.pg_index i
          WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum"""


class PostgresReader:
    """Reads one database; the server itself refuses writes of this session.

    Views are left out: they show tables again. Foreign tables are named and not looked into, for
    reading them acts on another machine.
    """

    def __init__(self, secret: str, name: str, seconds: int) -> None:
        """Connect.

        Args:
            secret: A connection string or URL.
            name: The source's name, for messages.
            seconds: Longest time of one statement.

        Raises:
            Unavailable: The driver is missing, or the server does not answer.
        """
        self._psycopg = _driver()
        self._name = name
        self._places: dict[str, tuple[str, str]] = {}
        self._foreign: set[str] = set()
        options = (
            f"-c statement_timeout={seconds * 1000} -c default_transaction_read_only=on"
            " -c lock_timeout=2000 -c idle_in_transaction_session_timeout=120000"
        )
        try:
            self._con = self._psycopg.connect(
                secret, connect_timeout=_CONNECT_S, options=options, application_name="troth scan"
            )
            self._con.read_only = True
        except (self._psycopg.Error, ValueError):
            raise unreachable(name) from None

    @property
    def guarded(self) -> Guarded:
        """How the way to the server is protected."""
        if self._con.pgconn.ssl_in_use:
            return "tls"
        host = self._con.info.host
        here = not host or host.startswith("/") or host in {"localhost", "127.0.0.1", "::1"}
        return "here" if here else "open"

    def query(self, sql: str, given: Sequence[str | int] = ()) -> list[Any]:
        """Ask within a read-only transaction.

        Raises:
            Unavailable: It may not be read, took too long, or would write.
        """
        try:
            with self._con.transaction(), self._con.cursor() as cursor:
                return list(cursor.execute(sql, given or None).fetchall())
        except self._psycopg.errors.QueryCanceled:
            raise Unavailable(f"a table of {self._name} took too long", "scan it later") from None
        except self._psycopg.Error:
            raise Unavailable(
                f"a table of {self._name} cannot be read", "grant SELECT to the scan's account"
            ) from None

    def tables(self) -> Sequence[str]:
        """Name every table; one outside the schema public by schema and name."""
        for schema, table in self.query(_LISTED):
            self._places[table if schema == "public" else f"{schema}.{table}"] = (schema, table)
        return list(self._places)

    def columns(self, table: str) -> Sequence[Column]:
        """Describe columns with the database's own words for their types."""
        rows = self.query(_DESCRIBED, self._places[table])
        if any(kind == "f" for _, _, kind, _ in rows):
            self._foreign.add(table)
        return [Column(name, type_, key) for name, type_, _, key in rows]

    def sample(
        self, table: str, columns: Sequence[Column], rows: int
    ) -> Iterator[Sequence[str | None]]:
        """Yield the first rows; each value is cut by the server before it travels."""
        if table in self._foreign:
            raise Unavailable("it lies on another server and was not looked into", "scan it there")
        if not columns:
            return
        psql = self._psycopg.sql
        cells = psql.SQL(", ").join(
            psql.SQL("left({}::text, {})").format(psql.Identifier(each.name), psql.Literal(CELL))
            for each in columns
        )
        schema, name = self._places[table]
        asked = psql.SQL("SELECT {} FROM {} LIMIT {}").format(
            cells, psql.Identifier(schema, name), psql.Literal(rows)
        )
        yield from self.query(asked)

    def close(self) -> None:
        """End the session; it had nothing to commit."""
        with contextlib.suppress(self._psycopg.Error):
            self._con.close()


def _driver() -> Any:  # noqa: ANN401 - a module
    try:
        import psycopg  # noqa: PLC0415 - the extra loads when a source is scanned
        import psycopg.sql  # noqa: PLC0415 - the same
    except ImportError:
        raise Unavailable(
            "scanning PostgreSQL needs the extra [scan]", "install it: pip install troth[scan]"
        ) from None
    return psycopg
