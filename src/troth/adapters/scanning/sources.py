"""A source as `[sources.NAME]` describes it, and its reader."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from troth.adapters.scanning.folder import FolderReader
from troth.adapters.scanning.mysql import MysqlReader
from troth.adapters.scanning.postgres import PostgresReader
from troth.adapters.scanning.reader import Reader
from troth.adapters.scanning.sqlite import SqliteReader
from troth.errors import InvalidInput
from troth.ports import Clock

KINDS: Final = ("sqlite", "postgres", "mysql", "folder")


@dataclass(frozen=True, slots=True)
class Source:
    """A database or folder that is not ours to write.

    Attributes:
        kind: One of `KINDS`.
        path: Of a file or folder; None of a server.
        secret: How a server is reached; never shown, logged or compared.
    """

    name: str
    kind: str
    path: Path | None = None
    secret: str = field(default="", repr=False)


@contextmanager
def opened(source: Source, seconds: int, clock: Clock) -> Iterator[Reader]:
    """Open a source for reading alone.

    Raises:
        InvalidInput: The kind is not known, or what it needs is missing.
        Unavailable: It does not answer.
    """
    reader = _reader(source, seconds, clock)
    try:
        yield reader
    finally:
        reader.close()


def _reader(source: Source, seconds: int, clock: Clock) -> Reader:
    match source.kind:
        case "sqlite":
            return SqliteReader(_path(source), source.name, seconds, clock)
        case "folder":
            return FolderReader(_path(source), source.name)
        case "postgres":
            return PostgresReader(source.secret, source.name, seconds)
        case "mysql":
            return MysqlReader(source.secret, source.name, seconds)
    raise InvalidInput(
        f"troth.toml: [sources.{source.name}] kind is not known", f"one of {', '.join(KINDS)}"
    )


def _path(source: Source) -> Path:
    if source.path is None:
        raise InvalidInput(f"troth.toml: [sources.{source.name}] has no path", "add path")
    return source.path
