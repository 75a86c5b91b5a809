"""Watches that no code of ours opens a database's file beside SQLite while this process has it open.

POSIX drops every lock a process holds on a file when the process closes any handle of it. SQLite's
locks go too, silently; the next other process that leaves then takes itself for the last one and
deletes the write-ahead log under the one that still writes to it.
"""

import contextlib
import os
import sys
from pathlib import Path

SOURCE = str(Path(__file__).parent.parent / "src" / "troth")
ENDINGS = (".db", ".db-wal", ".db-shm")
seen: list[str] = []
"""Where it happened, for whoever wants to look after an exception was swallowed."""


def watch(event: str, given: tuple) -> None:
    """Refuse the opening; an audit hook (PEP 578), called for `open` and `os.open`, not by SQLite."""
    if event != "open" or not isinstance(given[0], str | bytes | os.PathLike):
        return
    path = os.fsdecode(given[0])
    if path.endswith(ENDINGS) and ours() and live(path):
        seen.append(Path(path).name)
        raise AssertionError(f"{Path(path).name} is opened beside SQLite, which has it open")


def ours() -> bool:
    """Whether a file of the product is among the callers."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(SOURCE):
            return True
        frame = frame.f_back
    return False


def live(path: str) -> bool:
    """Whether this process has the file open."""
    try:
        wanted = Path(path).stat()
    except OSError:
        return False
    for handle in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            held = handle.stat()
            if (held.st_dev, held.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    return False


def begin() -> None:
    """Watch from now on; a hook of the interpreter lasts as long as it does."""
    sys.addaudithook(watch)
