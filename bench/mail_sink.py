"""A plain-socket SMTP sink with PIPELINING, in a process of its own: takes all mail, keeps none.

    with MailSink() as port: ...

aiosmtpd saturates at a few thousand messages a second and would be what a bench measures.
"""

import multiprocessing
import socket
import threading


def _serve(listening):
    while True:
        sock, _ = listening.accept()
        threading.Thread(target=_talk, args=(sock,), daemon=True).start()


def _talk(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"220 sink.example\r\n")
    buffer, body = b"", False
    while True:
        chunk = sock.recv(1 << 18)
        if not chunk:
            return
        buffer += chunk
        answers, buffer, body = _answers(buffer, body=body)
        if answers:
            sock.sendall(answers)


def _answers(buffer, *, body):
    """Answer every whole command or body in `buffer`; return what is left of it."""
    answers = []
    while True:
        if body:
            _, found, rest = (b"\r\n" + buffer).partition(b"\r\n.\r\n")
            if not found:
                return b"".join(answers), buffer, True
            answers.append(b"250 2.0.0 taken\r\n")
            buffer, body = rest, False
            continue
        line, found, rest = buffer.partition(b"\r\n")
        if not found:
            return b"".join(answers), buffer, False
        buffer = rest
        verb = line[:4].upper()
        body = verb == b"DATA"
        answers.append(_REPLIES.get(verb, b"250 fine\r\n"))


_REPLIES = {
    b"EHLO": b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


class MailSink:
    """The sink's process; the port is its value in a `with` statement."""

    def __enter__(self):
        listening = socket.create_server(("127.0.0.1", 0), backlog=50)
        self._process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(listening,), daemon=True
        )
        self._process.start()
        port = listening.getsockname()[1]
        listening.close()
        return port

    def __exit__(self, *_):
        self._process.terminate()
        self._process.join()
