"""Bytes that were handed over and have no name: a file that is gone from its folder when it opens.

Several readers may read at once, each at its own place. Closing drops the bytes.
"""

import io
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from troth.errors import NotFound


class Held:
    """A nameless file in the system's folder for such; nothing of it can be found there.

    Attributes:
        size: Bytes written so far.
    """

    def __init__(self) -> None:
        """Open it; on this system it never has a name."""
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Add bytes at the end."""
        rest = memoryview(piece)
        while rest:
            done = os.pwrite(self._file.fileno(), rest, self.size)
            self.size += done
            rest = rest[done:]

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open for reading from the start.

        Raises:
            NotFound: The bytes were dropped.
        """
        del buffering
        if self._file.closed:
            raise NotFound("the list is no longer kept here", "drop it again")
        raw = io.BufferedReader(_Part(self._file, self))
        if "b" in mode:
            return raw
        return io.TextIOWrapper(raw, encoding, errors, newline)

    def close(self) -> None:
        """Drop the bytes; repeating it is fine. A reader at work finds an end of file."""
        if not self._file.closed:
            self._file.truncate(0)
            self.size = 0
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Part(io.RawIOBase):
    """One reader's place in a held file."""

    def __init__(self, file: IO[bytes], held: Held) -> None:
        self._of = file
        self._held = held
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._held.size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever can be filled
        if self._of.closed:
            return 0
        piece = os.pread(self._of.fileno(), len(buffer), self._at)
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


Openable = Path | Held
"""What a file is read through."""
