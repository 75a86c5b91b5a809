"""`witness/`: what must survive the loss of the record: journal and last signed size."""

import errno
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, InvalidInput, Unavailable
from troth.kernel import events, proof
from troth.terms import LogState

_FIRST = b"\x00" * 32
_MAC = re.compile(rb"[0-9a-f]{64} ")
_TIP = re.compile(rb"([0-9]{1,18}) ([0-9a-f]{64})\n")
_MARK_BYTES = 96
_SIGNED = re.compile(r"(0|[1-9][0-9]{0,18}) ([A-Za-z0-9+/]{43}=)\n+\Z")
_RESTORE = "restore witness/ from its copy"


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Open a file of witness/ for this process alone; the handle is closed afterwards."""
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


def append_line(handle: int, line: bytes) -> None:
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
        with locked(self._path) as handle:
            last, out = self._last_mac(handle), []
            for act, facts, seq in lines:
                if facts.keys() & {"act", "seq"}:
                    raise InvalidInput("a fact of a journal line is called act or seq")
                line = events.canonical({"act": act, "seq": seq, **facts})
                last = crypto.mac(self._key, last + line)
                out.append(last.hex().encode() + b" " + line + b"\n")
            append_line(handle, b"".join(out))
            self._mark(os.lseek(handle, 0, os.SEEK_END), last)

    def _mark(self, length: int, last: bytes) -> None:
        """Note how far the file reaches; a crash may leave an older mark, which holds as well."""
        mark = f"{length} {last.hex()}\n".encode().ljust(_MARK_BYTES, b"\n")
        with suppress(OSError):  # the line itself is durable: a restore only knows less
            handle = os.open(self._tip, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.pwrite(handle, mark, 0)
            finally:
                os.close(handle)

    @property
    def _tip(self) -> Path:
        return self._path.with_name(self._path.name + ".tip")

    def reached(self) -> list[tuple[int, str]]:
        """Return how many lines the file had when one was last appended, and that one's MAC.

        None where nothing was ever appended. A file that is shorter, or has another line there,
        was cut or exchanged.
        """
        return self.held_by(self.mark_of(self._path))

    @staticmethod
    def mark_of(path: Path) -> str:
        """Return the mark beside a journal, length and MAC; "" where there is none."""
        tip = path.with_name(path.name + ".tip")
        found = _TIP.match(tip.read_bytes()) if tip.exists() else None
        return found[0].decode().strip() if found else ""

    def held_by(self, mark: str) -> list[tuple[int, str]]:
        """Return which line a mark means, as `reached` does; none for an empty mark."""
        found = _TIP.match(mark.encode() + b"\n")
        if found is None:
            return []
        raw = self._path.read_bytes() if self._path.exists() else b""
        length = int(found[1])
        return [(raw[:length].count(b"\n") if len(raw) >= length else 1 << 62, found[2].decode())]

    def forget_tip(self) -> None:
        """Forget how far the file reached: it was laid aside, and a new one begins."""
        self._tip.unlink(missing_ok=True)

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

    def coded(self) -> Iterator[tuple[str, Mapping[str, str | int]]]:
        """Yield every line with its MAC, in hex; raise at the first that does not hold."""
        for mac, line in self._checked():
            yield mac, events.read_canonical(line)

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
        with locked(self._path) as handle:
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
        with locked(self._path) as handle:
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
