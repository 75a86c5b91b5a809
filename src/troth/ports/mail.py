"""Mail on its way out, and mail that arrives."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from troth.terms import Outcome, Outgoing


class HandoverLog(Protocol):
    """What is in flight, by plain writes that survive `kill -9`."""

    def start(self, ref: str) -> None:
        """Note that from here on this message may be delivered."""
        ...

    def reply(self, ref: str, code: int) -> None:
        """Note the relay's answer."""
        ...


class MailTransport(Protocol):
    """Hands messages to a relay, one in flight per connection."""

    def hand_over(
        self,
        messages: Iterable[Outgoing],
        may_go: Callable[[str], bool],
        journal: HandoverLog,
    ) -> Iterator[Outcome]:
        """Yield one outcome a message; `may_go` is asked immediately before each.

        Raises:
            Unavailable: There is no connection; messages without an outcome were not begun.
        """
        ...


class PathLike(Protocol):
    """A file's place, as `pathlib.Path` is one; the core itself touches no file."""

    @property
    def name(self) -> str:
        """The last part."""
        ...

    def read_bytes(self) -> bytes:
        """Return the content."""
        ...


class ReceivedMail(Protocol):
    """One mail that arrived: where it lies and to whom it was addressed."""

    @property
    def path(self) -> PathLike:
        """Where the stored bytes lie."""
        ...

    @property
    def rcpt_to(self) -> tuple[str, ...]:
        """Envelope recipients."""
        ...


class MailListener(Protocol):
    """Takes mail by SMTP on this machine and hands each to whoever asked for it."""

    def start(self, port: int = 0) -> int:
        """Listen on the loopback address; return the port."""
        ...

    def stop(self) -> None:
        """Close the port; a mail under way is not taken."""
        ...


class LocalInbox(Protocol):
    """A receiving mailbox on this machine, for demos and trials."""

    def start(self, port: int = 0) -> int:
        """Listen on the loopback address; return the port."""
        ...

    def stop(self) -> None:
        """Close the port; what was received stays."""
        ...

    def messages(self) -> Sequence[ReceivedMail]:
        """List what arrived, oldest first."""
        ...
