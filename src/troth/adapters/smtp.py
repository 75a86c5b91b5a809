"""Hand finished messages to a relay, and know for each whether it was handed over.

    transport = SmtpTransport("relay.example", 587, "starttls", user="u", password="p")
    with HandoverJournal(path) as journal:
        for outcome in transport.hand_over(messages, may_go, journal):
            ...                                     # Outcome(ref, state, code, text)
    HandoverJournal.read(path)                      # -> {ref: Outcome}, also after kill -9

`messages` yields `terms.Outgoing(ref, sender, recipient, data)`; `may_go(ref)` looks for a
withdrawal. Outcomes: `handed`, the relay took it; `failed`, it did not (5xx for good, 4xx or 0 may
be tried again); `withdrawn`, nothing of the body was sent; `unknown`, the connection ended after
the body began, so it may have been delivered and marketing is never resent.

One message is in flight per connection: after a crash at most one ref of this journal is
`unknown`. stdlib `smtplib` connects (EHLO, STARTTLS, AUTH); the hand-over is our own: where the
relay offers PIPELINING, the next envelope rides with the final dot of the message before.
"""

import contextlib
import fcntl
import os
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, Self

from troth.errors import InvalidInput, Unavailable
from troth.ports import HandoverLog
from troth.terms import Outcome, Outgoing

Security = Literal["none", "starttls", "tls"]

REPLY_LINE_MAX = 2_048
TEXT_MAX = 200
GO_AHEAD = 354
CLOSING = 421
ATTEMPTS = 2
JOURNAL = "handover.log"
WORKERS = 16

_PATH = re.compile(r"[!-;=?-~]{1,254}")
_REF = re.compile(r"[!-+\--~]{1,200}")
_START = re.compile(r"([!-+\--~]+),start")
_TOOK = re.compile(r"([!-+\--~]+),took ([0-9]{1,18})")
_REPLY = re.compile(r"([!-+\--~]+),reply ([0-9]{3})")


class HandoverJournal:
    """Append-only file of `ref,start` and `ref,reply code` lines, one plain `write` each.

    What was written survives the death of the process; only power loss can lose a tail. One
    journal per worker and connection; it holds refs and codes, nothing personal.
    """

    def __init__(self, path: str | Path) -> None:
        """Open for appending, creating it for its owner only; mends a line cut by a crash.

        Raises:
            Unavailable: Another worker, alive, has it open: what it has begun is not to be judged.
        """
        self.path = Path(path)
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise Unavailable(
                "another worker is handing messages over", "wait until it is done", 30
            ) from None
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")

    def start(self, ref: str) -> None:
        """Note that from here on this message may be delivered.

        Raises:
            InvalidInput: `ref` is not printable ASCII without comma; nothing was written.
            Unavailable: The disk is full; nothing may be sent.
        """
        if not _REF.fullmatch(ref):
            raise InvalidInput("a ref is malformed", "printable ASCII without comma or space")
        self._line(f"{ref},start\n".encode())

    def reply(self, ref: str, code: int) -> None:
        """Note the relay's answer; refuses what `start` refuses."""
        if not _REF.fullmatch(ref):
            raise InvalidInput("a ref is malformed", "printable ASCII without comma or space")
        self._line(f"{ref},reply {code:03}\n".encode())

    def took(self, taken: Mapping[str, int]) -> None:
        """Note refs a worker has taken, each with its job's fence, in one write."""
        lines = [f"{ref},took {fence}\n" for ref, fence in taken.items() if _REF.fullmatch(ref)]
        self._line("".join(lines).encode())

    def _line(self, line: bytes) -> None:
        if os.write(self._fd, line) != len(line):
            raise Unavailable("the hand-over journal cannot be written", "free some disk space")

    def rotate(self, open_of: Callable[[Sequence[str]], Collection[str]]) -> bool:
        """Begin the journal anew if nothing it tells of is open any more; say whether it did.

        A crash before leaves it as it was, one after leaves it empty: both say the same of what is
        open, which is nothing. So does a power loss that brings the old lines back.

        Args:
            open_of: Which of these refs the record still waits for an answer about; what it says
                is ended must be durable.
        """
        told = [*self.read(self.path), *self.taken(self.path)]
        if open_of(told):
            return False
        os.ftruncate(self._fd, 0)
        return True

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def free(cls, folder: Path) -> Self:
        """Open the first journal of a folder that no living worker has open, or a new one.

        Raises:
            Unavailable: `WORKERS` are at work already.
        """
        for number in range(WORKERS):
            with contextlib.suppress(Unavailable):
                return cls(folder / (f"{JOURNAL}.{number}" if number else JOURNAL))
        raise Unavailable(f"{WORKERS} workers are handing over already", "wait for one to end", 30)

    @classmethod
    def left(cls, folder: Path) -> Iterator[Self]:
        """Open, one after the other, the journals of a folder whose workers are gone."""
        for path in sorted(folder.glob(f"{JOURNAL}*")):
            try:
                journal = cls(path)
            except Unavailable:
                continue  # its worker lives: what it has begun is not to be judged
            with journal:
                yield journal

    @classmethod
    def all(cls, folder: Path) -> dict[str, Outcome]:
        """Return what all journals of a folder say, as `read` does of one."""
        paths = folder.glob(f"{JOURNAL}*")
        return {ref: told for path in paths for ref, told in cls.read(path).items()}

    @staticmethod
    def taken(path: str | Path) -> dict[str, int]:
        """Return the refs a worker took and never began, with the fence of each job then."""
        found: dict[str, int] = {}
        for line in Path(path).read_text("ascii", "replace").split("\n"):
            if match := _TOOK.fullmatch(line):
                found[match[1]] = int(match[2])
            elif (match := _START.fullmatch(line) or _REPLY.fullmatch(line)) is not None:
                found.pop(match[1], None)
        return found

    @staticmethod
    def read(path: str | Path) -> dict[str, Outcome]:
        """Return the newest state per ref: `handed`, `failed`, or `unknown` without a reply.

        A message that was withdrawn, or never begun, is not in it. A line cut short by a crash
        is left out: a cut `start` means the body was never sent.
        """
        found: dict[str, Outcome] = {}
        whole, newline, _ = Path(path).read_bytes().rpartition(b"\n")
        for line in (whole + newline).decode("ascii", "replace").split("\n"):
            if match := _START.fullmatch(line):
                found[match[1]] = Outcome(match[1], "unknown")
            elif match := _REPLY.fullmatch(line):
                found[match[1]] = _outcome(match[1], int(match[2]), "")
        return found


def _malformed(message: Outgoing) -> str:
    """Say what of a message could smuggle a command or a second message, or ""."""
    if not _PATH.fullmatch(message.recipient):
        return "the recipient is no ASCII address"
    if message.sender and not _PATH.fullmatch(message.sender):
        return "the sender is no ASCII address"
    data = message.data
    if not (
        data.endswith(b"\r\n") and data.count(b"\r\n") == data.count(b"\r") == data.count(b"\n")
    ):
        return "the message holds a CR or LF alone"
    return ""


def _outcome(ref: str, code: int, text: str) -> Outcome:
    return Outcome(ref, "handed" if code // 100 == 2 else "failed", code, text)  # noqa: PLR2004


class _Refused(Exception):  # noqa: N818 - an answer of the relay, caught in this file
    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.code, self.text = code, text


class _Lost(Exception):  # noqa: N818 - the connection ended, caught in this file
    """The connection ended (perhaps announced by a 421), or the relay spoke no SMTP."""

    def __init__(self, code: int = 0, text: str = "") -> None:
        super().__init__(code)
        self.code, self.text = code, text


class _Session:
    """One connection: envelopes and bodies out, replies in."""

    def __init__(self, smtp: smtplib.SMTP) -> None:
        if smtp.sock is None:
            raise _Lost
        self._smtp, self._sock = smtp, smtp.sock
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies: BinaryIO = smtp.file or smtp.sock.makefile("rb")
        self.pipelining = smtp.has_extn("pipelining")

    def send(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except OSError:
            raise _Lost from None

    def reply(self) -> tuple[int, str]:
        """Read one reply, of several lines if need be."""
        words = []
        while True:
            try:
                line = self._replies.readline(REPLY_LINE_MAX)
            except OSError:
                raise _Lost from None
            if not line.endswith(b"\n") or not line[:3].isdigit():
                raise _Lost
            words.append(line[4:].strip())
            if line[3:4] != b"-":
                text = b" ".join(words)[:TEXT_MAX].decode("ascii", "replace")
                return int(line[:3]), text

    def envelope(self, message: Outgoing) -> None:
        """Ask to send `message` and return at the relay's go-ahead for its body."""
        for command in _commands(message):
            self.send(command)
            self._expect(command)

    def _expect(self, command: bytes) -> None:
        code, text = self.reply()
        good = code == GO_AHEAD if command == b"DATA\r\n" else code // 100 == 2  # noqa: PLR2004
        if not good:
            self._clear(code)
            raise _Refused(code, text)

    def pipelined_replies(self) -> None:
        """Read the three replies to an envelope sent in one piece."""
        answers = [self.reply() for _ in range(3)]
        (mail, _), (rcpt, _), (data, _) = answers
        refused = next((a for a in answers[:2] if a[0] // 100 != 2), None)  # noqa: PLR2004
        if refused is None and data == GO_AHEAD:
            return
        if data == GO_AHEAD:
            self.send(b".\r\n")  # RFC 2920 3.1: nobody accepted, yet the relay waits for a body
            self.reply()
        code, text = refused or answers[2]
        self._clear(CLOSING if CLOSING in {mail, rcpt, data} else code)
        raise _Refused(code, text)

    def _clear(self, code: int) -> None:
        """Forget the refused envelope; a relay that is closing gets no more commands."""
        if code != CLOSING:
            self.send(b"RSET\r\n")
            self.reply()

    def quit(self) -> None:
        with contextlib.suppress(_Lost):
            self.send(b"QUIT\r\n")
            self.reply()
        self.drop()

    def drop(self) -> None:
        """End the connection at once: the relay must discard what has no final dot."""
        with contextlib.suppress(OSError):
            self._replies.close()
        self._smtp.close()


def _commands(message: Outgoing) -> tuple[bytes, bytes, bytes]:
    return (
        f"MAIL FROM:<{message.sender}>\r\n".encode("ascii"),
        f"RCPT TO:<{message.recipient}>\r\n".encode("ascii"),
        b"DATA\r\n",
    )


def _stuffed(data: bytes) -> bytes:
    stuffed = data.replace(b"\r\n.", b"\r\n..")
    return (b"." + stuffed if data.startswith(b".") else stuffed) + b".\r\n"


@dataclass(frozen=True, slots=True)
class SmtpTransport:
    """A relay and how to reach it; holds no connection, so it may be shared.

    Attributes:
        security: `tls` from the first byte, `starttls` (refused without it), or `none` for a
            relay on this machine.
        user: Login name, or "" for none; a login is never sent in clear.
        context: Certificates to trust; None takes the system's.
        local_name: What EHLO says.
        timeout_s: Seconds to wait for any single answer.
    """

    host: str
    port: int
    security: Security
    user: str = ""
    password: str = field(default="", repr=False)
    context: ssl.SSLContext | None = None
    local_name: str = "localhost"
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a login without encryption (`InvalidInput`)."""
        if self.user and self.security == "none":
            raise InvalidInput("a login would be sent in clear", "use starttls or tls")

    def hand_over(
        self,
        messages: Iterable[Outgoing],
        may_go: Callable[[str], bool],
        journal: HandoverLog,
    ) -> Iterator[Outcome]:
        """Hand over messages in order on one connection, yielding one outcome each.

        Repeatable for every ref that is neither in the journal nor yielded. Draws at most one
        message ahead of the outcome it yields. A refusal concerns one message; the rest go on. A
        connection lost before a body is made again once, then the message has failed with code 0.

        Args:
            messages: Drawn one by one.
            may_go: Asked before a message's envelope and again right before its body; at "no"
                nothing of the body is sent, even if that costs the connection.
            journal: Gets `start` before a body's first byte and `reply` after the relay's answer,
                before the outcome is yielded.

        Raises:
            Unavailable: There is no connection. Messages without an outcome were not begun.
        """
        yield from _Handover(self, may_go, journal).run(iter(messages))

    def connect(self) -> _Session:
        """Connect, greet, secure and log in, or raise `Unavailable`."""
        context = None if self.security == "none" else self._context()
        smtp: smtplib.SMTP | None = None
        try:
            if self.security == "tls":
                smtp = smtplib.SMTP_SSL(
                    self.host, self.port, self.local_name, timeout=self.timeout_s, context=context
                )
            else:
                smtp = smtplib.SMTP(self.host, self.port, self.local_name, timeout=self.timeout_s)
            smtp.ehlo_or_helo_if_needed()
            if self.security == "starttls":
                smtp.starttls(context=context)
                smtp.ehlo_or_helo_if_needed()
            if self.user:
                smtp.login(self.user, self.password)
        except (OSError, ValueError, smtplib.SMTPException):
            if smtp is not None:
                smtp.close()
            raise Unavailable(
                "the mail relay cannot be reached or refuses the connection",
                "check host, port, security and login",
                retry_after_s=60,
            ) from None
        return _Session(smtp)

    def _context(self) -> ssl.SSLContext:
        return self.context or ssl.create_default_context()


class _Handover:
    """One run over messages: at most one body, and one envelope ahead of it, are out."""

    def __init__(
        self, transport: SmtpTransport, may_go: Callable[[str], bool], journal: HandoverLog
    ) -> None:
        self._transport, self._may_go, self._journal = transport, may_go, journal
        self._session: _Session | None = None
        self._riding: Outgoing | None = None  # its envelope is out, the replies are not read

    def run(self, messages: Iterator[Outgoing]) -> Iterator[Outcome]:
        try:
            current = next(messages, None)
            while current is not None:
                following = next(messages, None)
                yield self._one(current, following)
                current = following
            if self._session:
                self._session.quit()
        finally:
            self._drop()

    def _one(self, message: Outgoing, following: Outgoing | None) -> Outcome:
        """Try at most twice: what broke before a body began may safely be repeated."""
        if self._riding is not message and (said := _malformed(message)):
            return Outcome(message.ref, "failed", 0, said)
        lost = _Lost()
        for _ in range(ATTEMPTS):
            try:
                return self._attempt(message, following)
            except _Lost as error:
                lost = error
                self._drop()
        self._journal.reply(message.ref, lost.code)
        return Outcome(message.ref, "failed", lost.code, lost.text)

    def _attempt(self, message: Outgoing, following: Outgoing | None) -> Outcome:
        try:
            session = self._envelope(message)
        except _Refused as refused:
            if refused.code == CLOSING:
                raise _Lost(refused.code, refused.text) from None
            self._journal.reply(message.ref, refused.code)
            return Outcome(message.ref, "failed", refused.code, refused.text)
        if session is None:
            return Outcome(message.ref, "withdrawn")
        riding = self._next(session, following)
        if not self._may_go(message.ref):
            self._drop()
            return Outcome(message.ref, "withdrawn")
        return self._body(session, message, riding)

    def _envelope(self, message: Outgoing) -> _Session | None:
        """Get the relay's go-ahead for the body; None if `message` may not go."""
        if self._session and self._riding is message:
            self._riding = None
            self._session.pipelined_replies()
            return self._session
        if not self._may_go(message.ref):
            return None
        session = self._session = self._session or self._transport.connect()
        if session.pipelining:
            session.send(b"".join(_commands(message)))
            session.pipelined_replies()
        else:
            session.envelope(message)
        return session

    def _next(self, session: _Session, following: Outgoing | None) -> Outgoing | None:
        if not session.pipelining or following is None or _malformed(following):
            return None
        return following if self._may_go(following.ref) else None

    def _body(self, session: _Session, message: Outgoing, riding: Outgoing | None) -> Outcome:
        self._journal.start(message.ref)
        ahead = b"".join(_commands(riding)) if riding else b""
        try:
            session.send(_stuffed(message.data) + ahead)
            code, text = session.reply()
        except _Lost:
            self._drop()
            return Outcome(message.ref, "unknown")
        self._journal.reply(message.ref, code)
        self._riding = riding
        if code == CLOSING:
            self._drop()
        return _outcome(message.ref, code, text)

    def _drop(self) -> None:
        if self._session:
            self._session.drop()
        self._session = self._riding = None
