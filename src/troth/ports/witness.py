"""What is kept apart from the record, so that a later record cannot deny it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from troth.terms import Instant, LogState


class RestrictionJournal(Protocol):
    """Every act a restore must not undo, appended before its answer is given."""

    def note(self, act: str, facts: Mapping[str, str | int], seq: int) -> None:
        """Append one line, fsynced, MACed over the previous line's MAC.

        Raises:
            Unavailable: The line could not be written; do not answer the person yet.
        """
        ...

    def note_all(self, lines: Sequence[tuple[str, Mapping[str, str | int], int]]) -> None:
        """Append many lines `(act, facts, seq)` with one fsync; none is answered before it."""
        ...

    def tips(self) -> Sequence[str]:
        """Return every line's MAC in order; raises as `lines` does."""
        ...

    def lines(self) -> Iterator[Mapping[str, str | int]]:
        """Yield every line in order.

        Raises:
            EvidenceBroken: The MAC chain is broken at the line named.
        """
        ...


class SignedSize(Protocol):
    """The last size and root signed, kept apart from the record: no second history is signed."""

    def last(self) -> LogState | None:
        """Return the last signed state, None before the first."""
        ...

    def advance(self, before: LogState | None, after: LogState) -> None:
        """Move from `before` to `after`, durably, before the signature is made.

        Raises:
            Conflict: Somebody else signed meanwhile.
        """
        ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signed head as it was shown outside: what a later, shorter record is found out by.

    Attributes:
        at: When it was signed, or seen to be cosigned.
        cosignatures: Signature lines of witnesses, whole; none when it was signed.
    """

    origin: str
    size: int
    root: bytes
    at: Instant
    cosignatures: tuple[str, ...] = ()


class Anchors(Protocol):
    """Every head ever signed, kept apart from the record, never rewritten."""

    def append(self, anchor: Anchor) -> None:
        """Keep one, durably on return.

        Raises:
            Unavailable: It cannot be written; the head must not be shown then.
        """
        ...

    def newest(self, origin: str) -> Anchor | None:
        """Return the largest kept of a log, None where there is none.

        Raises:
            EvidenceBroken: The file was damaged.
        """
        ...


class WitnessPort(Protocol):
    """A witness somewhere on the net, asked as c2sp.org/tlog-witness says."""

    def add(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Hand in a checkpoint; return status and the beginning of the answer.

        Raises:
            Unavailable: Nobody answers there now.
            InvalidInput: Not https, nor this machine.
        """
        ...

    def newest(self, url: str, origin: str) -> str | None:
        """Return the newest checkpoint the witness shows of a log, None if it shows none.

        Raises:
            Unavailable: Nobody answers there now.
            InvalidInput: Not https, nor this machine.
        """
        ...
