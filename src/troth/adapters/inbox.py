"""A receiving inbox on this machine, for demos and tests: every message becomes a file.

    inbox = Inbox(folder)
    port = inbox.start()                 # 127.0.0.1, a free port
    inbox.messages()                     # [Received(path, mail_from, rcpt_to)], oldest first
    inbox.stop()

Accepts whatever comes and delivers nothing further. Not durable and not for real mail.
"""

import asyncio
import json
import socket
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from troth.errors import Conflict, Unavailable

SIZE_MAX = 10 * 1024 * 1024
INDEX = "index.jsonl"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Received:
    """One message as received: the file holds its bytes, dot-stuffing removed."""

    path: Path
    mail_from: str
    rcpt_to: tuple[str, ...]


class _Handler:
    """What every handler of ours says to a greeting."""

    async def handle_EHLO(  # noqa: N802 - named and called by aiosmtpd
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        del server, envelope
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]


class Receiving(_Handler):
    """aiosmtpd's handler for whoever takes each mail by itself; keeps nothing."""

    def __init__(self, take: Callable[[bytes], str]) -> None:
        """Hand mails to `take`, which returns the SMTP reply and may take its time."""
        self._take = take

    async def handle_DATA(  # noqa: N802 - named and called by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Answer once the mail is taken."""
        del server, session
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        return await asyncio.get_running_loop().run_in_executor(None, self._take, raw)


class _Store(_Handler):
    """aiosmtpd's handler: a file per message, a line per message in the index."""

    def __init__(
        self, folder: Path, back: Mapping[str, Callable[[bytes], str]], takes: float
    ) -> None:
        self._folder = folder
        self._takes = takes
        self._back = back
        self._count = sum(1 for _ in folder.glob("*.eml"))
        self._lock = threading.Lock()

    async def handle_DATA(  # noqa: N802 - named and called by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server, session
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        await asyncio.sleep(self._takes)
        self._keep(raw, envelope)
        for take in {self._back[to] for to in envelope.rcpt_tos if to in self._back}:
            return await asyncio.get_running_loop().run_in_executor(None, take, raw)
        return "250 2.0.0 kept"

    def _keep(self, content: bytes, envelope: Envelope) -> None:
        with self._lock:
            path = self._next()
            path.write_bytes(content)
            entry = {"file": path.name, "from": envelope.mail_from, "to": envelope.rcpt_tos}
            with (self._folder / INDEX).open("a", encoding="utf-8") as index:
                index.write(json.dumps(entry) + "\n")

    def _next(self) -> Path:
        """Take the next free number; another inbox may keep mails in this folder too."""
        while True:
            self._count += 1
            path = self._folder / f"{self._count:06}.eml"
            with suppress(FileExistsError):
                path.touch(0o600, exist_ok=False)
                return path


class Listener:
    """Listens on the loopback address between `start` and `stop`, in a thread of its own."""

    def __init__(self, handler: _Handler) -> None:
        """Hand every mail to `handler`."""
        self._handler = handler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, port: int = 0) -> int:
        """Listen on the loopback address and return the port; 0 picks a free one.

        Raises:
            Conflict: It runs already.
            Unavailable: The port is taken.
        """
        if self._thread:
            raise Conflict("the inbox runs already", "stop it first")
        try:
            listening = _listen(port)
        except OSError:
            raise Unavailable("the inbox cannot listen on this port", "pick another") from None
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        given = (self._loop, listening, self._handler, ready)
        self._thread = threading.Thread(target=_serve, args=given, daemon=True)
        self._thread.start()
        ready.wait()
        return int(listening.getsockname()[1])

    def stop(self) -> None:
        """Close the port; what was received stays. Stopping twice does no harm."""
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Inbox(Listener):
    """The inbox of one folder: every mail becomes a file."""

    def __init__(
        self,
        folder: str | Path,
        back: Mapping[str, Callable[[bytes], str]] = MappingProxyType({}),
        takes: float = 0.0,
    ) -> None:
        """Make the folder if need be; what lies in it is kept and listed.

        Mails to an address in `back` are handed to its function besides, whose reply is given.
        Each mail takes so many seconds: a relay elsewhere is slower than one on this machine.
        """
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().__init__(_Store(self.folder, back, takes))

    def messages(self) -> list[Received]:
        """List what was received so far, oldest first."""
        index = self.folder / INDEX
        if not index.exists():
            return []
        lines = index.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines]
        return [
            Received(self.folder / entry["file"], entry["from"], tuple(entry["to"]))
            for entry in entries
        ]


def _listen(port: int) -> socket.socket:
    """Bind at once, so that a taken port shows here and not in the thread."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen(100)
    except OSError:
        listening.close()
        raise
    return listening


def _serve(
    loop: asyncio.AbstractEventLoop,
    listening: socket.socket,
    handler: _Handler,
    ready: threading.Event,
) -> None:
    """Run the loop until it is stopped, then end every connection and close all of it."""
    sessions: weakref.WeakSet[SMTP] = weakref.WeakSet()

    def session() -> SMTP:
        smtp = SMTP(handler, data_size_limit=SIZE_MAX, hostname="inbox.example", loop=loop)
        sessions.add(smtp)
        return smtp

    asyncio.set_event_loop(loop)
    server = loop.run_until_complete(loop.create_server(session, sock=listening))
    loop.call_soon(ready.set)
    try:
        loop.run_forever()
    finally:
        server.close()
        for smtp in sessions:
            if isinstance(smtp.transport, asyncio.WriteTransport):
                smtp.transport.abort()
        loop.run_until_complete(_ended(loop))
        asyncio.set_event_loop(None)
        loop.close()


async def _ended(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
