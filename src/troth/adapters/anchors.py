"""`witness/anchors`: every head ever signed, one line each, appended and never rewritten."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from troth.adapters.witness import append_line, locked
from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import events, proof
from troth.ports import Anchor
from troth.terms import Instant

_TAIL = 65_536
_RESTORE = "restore witness/ from its copy"


class FileAnchors:
    """Lines of canonical JSON; a line cut by a crash was never shown to anybody and is dropped."""

    def __init__(self, path: Path) -> None:
        """Keep them in `path`."""
        self._path = path

    def append(self, anchor: Anchor) -> None:
        """Append one line; durable on return."""
        line = events.canonical(
            {
                "at": anchor.at,
                "cosignatures": list(anchor.cosignatures),
                "origin": anchor.origin,
                "root": proof.b64(anchor.root),
                "size": anchor.size,
            }
        )
        with locked(self._path) as handle:
            _drop_torn(handle)
            append_line(handle, line + b"\n")

    def newest(self, origin: str) -> Anchor | None:
        """Return the largest kept of a log; reads the end of the file, all of it if it must."""
        if not self._path.exists():
            return None
        size = self._path.stat().st_size
        for length in (_TAIL, size):
            found = [a for a in self._from(max(0, size - length)) if a.origin == origin]
            if found:
                return max(found, key=lambda anchor: anchor.size)
        return None

    def latest(self) -> list[Anchor]:
        """Return the newest few hundred, oldest first, whatever the file's length."""
        if not self._path.exists():
            return []
        return list(self._from(max(0, self._path.stat().st_size - _TAIL)))

    def all(self) -> list[Anchor]:
        """Return every anchor, oldest first.

        Raises:
            EvidenceBroken: A line was damaged.
        """
        return list(self._from(0)) if self._path.exists() else []

    def _from(self, start: int) -> Iterator[Anchor]:
        with self._path.open("rb") as file:
            file.seek(start)
            raw = file.read()
        lines = raw.split(b"\n")[:-1]
        for line in lines[1:] if start else lines:
            yield _read(line)


def _read(line: bytes) -> Anchor:
    try:
        said = json.loads(line)
        return Anchor(
            str(said["origin"]),
            int(said["size"]),
            proof.unb64(said["root"]),
            Instant(int(said["at"])),
            tuple(map(str, said["cosignatures"])),
        )
    except (ValueError, KeyError, TypeError, InvalidInput):
        raise EvidenceBroken("witness/anchors: a line was damaged", _RESTORE) from None


def _drop_torn(handle: int) -> None:
    end = os.lseek(handle, 0, os.SEEK_END)
    tail = os.pread(handle, _TAIL, max(0, end - _TAIL))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(handle, end - len(tail) + tail.rfind(b"\n") + 1)
