"""`witness/`: what must survive the loss of the record: journal and last signed size."""

import errno
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, InvalidInput, Unavailable
from troth.kernel import events, proof
from troth.terms import LogState

_FIRST = b"\x00" * 32
_MAC = re.compile(rb"[0-9a-f]{64} ")
_SIGNED = re.compile(r"(0|[1-9][0-9]{0,18}) ([A-Za-z0-9+/]{43}=)\n+\Z")
_RESTORE = "restore witness/ from its copy"


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
    except OSError:
        raise Unavailable(
            f"witness/{path.name} cannot be written", "check disk and space, then repeat"
        ) from None
    finally:
        os.close(handle)


def _append(handle: int, line: bytes) -> None:
    """Append durably, or leave the file as long as it was."""
    end = os.lseek(handle, 0, os.SEEK_END)
    try:
        whole = os.write(handle, line) == len(line)
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, end)
        raise
    if not whole:
        os.ftruncate(handle, end)
        raise OSError(errno.ENOSPC, "short write")


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
                if facts.keys() & {"act", "seq"}:
                    raise InvalidInput("a fact of a journal line is called act or seq")
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
        if not lines[-1]:
            return _FIRST
        if not _MAC.match(lines[-1]):
            raise EvidenceBroken("restriction journal: its last line is none", _RESTORE)
        return bytes.fromhex(lines[-1][:64].decode())

    def tips(self) -> list[str]:
        """Return every line's MAC in order, the chain checked."""
        return [mac for mac, _ in self._checked()]

    def lines(self) -> Iterator[Mapping[str, str | int]]:
        """Yield every line whose MAC chain holds; raise at the first that does not."""
        for _, line in self._checked():
            yield events.read_canonical(line)

    def _checked(self) -> Iterator[tuple[str, bytes]]:
        if not self._path.exists():
            return
        last = _FIRST
        for number, raw in enumerate(self._path.read_bytes().split(b"\n")[:-1], 1):
            mac, _, line = raw.partition(b" ")
            want = crypto.mac(self._key, last + line)
            if not crypto.same(want.hex().encode(), mac):
                raise EvidenceBroken(
                    f"restriction journal: line {number} was changed, or lines before it are gone",
                    _RESTORE,
                )
            last = want
            yield want.hex(), line


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
        if not raw:
            return None
        found = _SIGNED.match(raw.decode("ascii", "replace"))
        if not found:
            raise EvidenceBroken("the last signed size cannot be read", _RESTORE)
        return LogState(int(found[1]), proof.unb64(found[2]))

    def advance(self, before: LogState | None, after: LogState) -> None:
        """Move from `before` to `after`, durably."""
        with _locked(self._path) as handle:
            have = self._parse(os.pread(handle, 4096, 0))
            if have != before:
                raise Conflict("another process signed a checkpoint meanwhile", "look again")
            if have is not None and (
                after.size < have.size or (after.size == have.size and after.root != have.root)
            ):
                raise EvidenceBroken(
                    f"a checkpoint of size {have.size} was signed already, with another history",
                    "restore the newest record",
                )
            line = f"{after.size} {proof.b64(after.root)}\n".encode()
            os.pwrite(handle, line.ljust(128, b"\n"), 0)
            os.fsync(handle)
