"""`witness/anchors`: every head ever signed, one line each, appended and never rewritten."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from troth.adapters.witness import FileJournal, append_line, locked
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
        """Append one line; durable on return.

        It names how far the restriction journal beside it reached: who cuts that one has to cut
        this one too, and then it is shorter than what outsiders saw.
        """
        said: dict[str, object] = {
            "at": anchor.at,
            "cosignatures": list(anchor.cosignatures),
            "origin": anchor.origin,
            "root": proof.b64(anchor.root),
            "size": anchor.size,
        }
        if mark := FileJournal.mark_of(self._path.with_name("restrictions")):
            said["journal"] = mark
        line = events.canonical(said)
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

    def journal_mark(self) -> str:
        """Return how far the newest anchor says the restriction journal reached; "" if none."""
        if not self._path.exists():
            return ""
        size = self._path.stat().st_size
        for length in (min(_TAIL, size), size):
            for line in reversed(self._lines(size - length)):
                with suppress(ValueError):
                    if isinstance(mark := json.loads(line).get("journal"), str):
                        return mark
        return ""

    def all(self) -> list[Anchor]:
        """Return every anchor, oldest first.

        Raises:
            EvidenceBroken: A line was damaged.
        """
        return list(self._from(0)) if self._path.exists() else []

    def _from(self, start: int) -> Iterator[Anchor]:
        yield from map(_read, self._lines(start))

    def _lines(self, start: int) -> list[bytes]:
        with self._path.open("rb") as file:
            file.seek(start)
            lines = file.read().split(b"\n")[:-1]
        return lines[1:] if start else lines


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
