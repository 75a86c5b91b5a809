"""`witness/`: what must survive the loss of the record: restriction journal and last signed size."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, Unavailable
from troth.kernel import events, proof
from troth.terms import LogState

_FIRST = b"\x00" * 32


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        raise Unavailable(
            f"witness/{path.name} cannot be written", "check owner and mode of witness/"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _append(handle: int, line: bytes) -> None:
    os.lseek(handle, 0, os.SEEK_END)
    os.write(handle, line)
    os.fsync(handle)


class FileJournal:
    """Append-only lines `MAC canonical-JSON`; each MAC covers its line and the MAC before it."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Append to `path` under the journal key."""
        self._path = path
        self._key = key

    def note(self, act: str, facts: Mapping[str, str | int], seq: int) -> None:
        """Append one line; durable on return."""
        self.note_all([(act, facts, seq)])

    def note_all(self, lines: Sequence[tuple[str, Mapping[str, str | int], int]]) -> None:
        """Append many lines; durable on return, after one fsync."""
        if not lines:
            return
        with _locked(self._path) as handle:
            last, out = self._last_mac(handle), []
            for act, facts, seq in lines:
                line = events.canonical({"act": act, "seq": seq, **facts})
                last = crypto.mac(self._key, last + line)
                out.append(last.hex().encode() + b" " + line + b"\n")
            _append(handle, b"".join(out))

    def _last_mac(self, handle: int) -> bytes:
        """Read the last whole line's MAC; a line cut by a crash was never answered: drop it."""
        size = os.lseek(handle, 0, os.SEEK_END)
        tail = os.pread(handle, 65_536, max(0, size - 65_536))
        if not tail:
            return _FIRST
        if not tail.endswith(b"\n"):
            keep = tail.rfind(b"\n") + 1
            os.ftruncate(handle, size - (len(tail) - keep))
            tail = tail[:keep]
        lines = tail.rstrip(b"\n").rsplit(b"\n", 1)
        return bytes.fromhex(lines[-1][:64].decode()) if lines[-1] else _FIRST

    def lines(self) -> Iterator[Mapping[str, str | int]]:
        """Yield every line whose MAC chain holds; raise at the first that does not."""
        if not self._path.exists():
            return
        last = _FIRST
        for number, raw in enumerate(self._path.read_bytes().split(b"\n")[:-1], 1):
            mac, _, line = raw.partition(b" ")
            want = crypto.mac(self._key, last + line)
            if not crypto.same(want.hex().encode(), mac):
                raise EvidenceBroken(
                    f"restriction journal: line {number} was changed or lines before it are missing",
                    "restore witness/ from its copy",
                )
            last = want
            yield events.read_canonical(line)


class FileSignedSize:
    """The last size and root signed, one line, replaced under a lock before each signature."""

    def __init__(self, path: Path) -> None:
        """Keep the line in `path`."""
        self._path = path

    def last(self) -> LogState | None:
        """Return the last signed state."""
        with _locked(self._path) as handle:
            return self._parse(os.pread(handle, 4096, 0))

    def _parse(self, raw: bytes) -> LogState | None:
        lines = raw.decode("ascii", "replace").split("\n")[:-1]
        for line in reversed(lines):
            size, _, root = line.partition(" ")
            if size.isdigit() and root:
                return LogState(int(size), proof.unb64(root))
        return None

    def advance(self, before: LogState | None, after: LogState) -> None:
        """Move from `before` to `after`, durably."""
        with _locked(self._path) as handle:
            have = self._parse(os.pread(handle, 4096, 0))
            if have != before:
                raise Conflict("another process signed a checkpoint meanwhile", "look again")
            line = f"{after.size} {proof.b64(after.root)}\n".encode()
            os.pwrite(handle, line.ljust(128, b"\n"), 0)
            os.fsync(handle)
