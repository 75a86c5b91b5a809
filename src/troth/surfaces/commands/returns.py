"""What comes back, on the command line: from files, or by SMTP."""

import signal
import sys
import threading
from collections import Counter
from pathlib import Path

from troth import app
from troth.surfaces.commands.answer import Answer, counted
from troth.surfaces.commands.call import Call

SAID = {
    "bounced hard": "will never arrive: the address is closed",
    "bounced soft": "did not arrive this time: counted",
    "complained": "complaints: the address is closed to marketing",
    "replied stop": "answers that mean stop: stopped",
    "replied question": "answers for somebody to read; they stay in the mailbox",
    "again": "known already",
    "ignored": "say nothing to keep, such as that somebody is away",
    "unknown": "name no message of ours: left alone",
    "too large": "too large to read: look at them by hand",
}


def take(call: Call, path: str) -> Answer:
    """Take in a mail, a folder of mails or a Maildir."""
    with call.opened() as ws:
        found = app.take_files(ws, Path(path), call.actor(ws), call.watch("take in"))
        ws.sign()
    return _answer(found)


def serve(call: Call, port: int) -> Answer:
    """Take mails by SMTP on this machine until told to stop."""
    found: Counter[str] = Counter()
    over = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        if threading.current_thread() is threading.main_thread():
            signal.signal(each, lambda _number, _frame: over.set())
    with call.opened() as ws:
        listening = app.listener(ws, found)
        taken = listening.start(port)
        sys.stderr.write(f"Returned mail is taken at 127.0.0.1:{taken}\n")
        sys.stderr.flush()
        try:
            over.wait()
        finally:
            listening.stop()
        ws.sign()
    return _answer(found)


def _answer(found: Counter[str]) -> Answer:
    lines = counted({SAID[name]: n for name, n in found.items()}) or ["Nothing came back."]
    return Answer({"mails": sum(found.values()), "became": dict(sorted(found.items()))}, lines)
