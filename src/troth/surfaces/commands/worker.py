"""The worker: one process that starts what is due and hands messages over; and its supervisor."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from troth import app
from troth.errors import Conflict, Fault, Unavailable
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call
from troth.terms import Instant

IDLE_S = 1.0
BACK_OFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)
STEADY_S = 30.0
"""A worker that lived this long is started again without waiting longer than at first."""
LEAVE_S = 20.0


def work(call: Call, relay: tuple[str, int] | None, rounds: int = 0, parent: int = 0) -> Answer:
    """Do round after round until told to stop; `rounds` above 0 ends after so many.

    With `parent` it ends too when that process is not its parent any more: no orphan sends. A
    relay that does not answer, or another worker at it, is waited for.
    """
    done, troubles, wanted = 0, 0, threading.Event()
    _listen(wanted.set)
    with call.opened() as ws:
        sending = app.Sending(ws, relay)
        keeping = app.Housekeeping(ws)
        while not wanted.is_set() and parent in (0, os.getppid()):
            acted, fault = _round(call, sending)
            _keep(call, keeping)
            done += 1
            troubles = troubles + 1 if fault else 0
            if acted and not fault:
                _sign(ws)
            elif not rounds or done < rounds:
                wait = BACK_OFF_S[min(troubles, len(BACK_OFF_S)) - 1] if troubles else IDLE_S
                wanted.wait(wait)
            if rounds and done >= rounds:
                break
        _sign(ws)
    return Answer({"rounds": done}, [f"{done:,} rounds."])


def _round(call: Call, sending: app.Sending) -> tuple[int, Fault | None]:
    acted, trouble = 0, None
    try:
        for name, fault in app.tick(sending):
            acted += 1
            if fault is not None:
                call.tell(f"{name}: {fault}")
                trouble = fault
    except (Unavailable, Conflict) as fault:  # the record is held: the next round finds it again
        trouble = fault
    return acted, trouble


def _keep(call: Call, keeping: app.Housekeeping) -> None:
    """Do what a house does each minute; say what stays red, by its name and code alone."""
    for each in keeping.round(Instant(app.real_micros())):
        call.tell(f"{each.name}: {each.lag:,} due, {each.error}")


def _sign(ws: app.Workspace) -> None:
    try:
        ws.sign()
    except (Conflict, Unavailable):
        return  # the web process signed first, or the clock lags: signed at the next occasion


def _listen(stop: Callable[[], None]) -> None:
    def heard(_number: int, _frame: FrameType | None) -> None:
        stop()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, heard)
        signal.signal(signal.SIGINT, heard)


@dataclass(slots=True)
class Supervisor:
    """Keeps one process running beside this one: started again when it dies, ended with this.

    Attributes:
        line: The command line of the process.
        starts: How often it was started.
    """

    line: Sequence[str]
    starts: int = 0
    _child: "subprocess.Popen[bytes] | None" = None
    _over: threading.Event = field(default_factory=threading.Event)
    _watch: threading.Thread | None = None

    def start(self) -> None:
        """Start the process and the thread that watches over it."""
        self._watch = threading.Thread(target=self._keep, name="supervisor", daemon=True)
        self._watch.start()

    def _keep(self) -> None:
        failed = 0
        while not self._over.is_set():
            self._child = subprocess.Popen(list(self.line))  # noqa: S603 - our own command line
            self.starts += 1
            try:
                self._child.wait(STEADY_S)
                failed += 1
            except subprocess.TimeoutExpired:
                failed = 0
                self._child.wait()
            self._over.wait(BACK_OFF_S[min(failed, len(BACK_OFF_S) - 1)])

    @property
    def alive(self) -> bool:
        """Tell whether the process runs right now."""
        return self._child is not None and self._child.poll() is None

    def stop(self) -> None:
        """End the process: asked first, so that it finishes what is in flight, then made to."""
        self._over.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                child.kill()
        if self._watch is not None:
            self._watch.join(LEAVE_S)


def worker_line(folder: Path, at: str, relay: tuple[str, int] | None) -> list[str]:
    """Spell the command line of a workspace's worker."""
    line = [sys.executable, "-m", "troth", "worker", "-w", str(folder)]
    line += ["--parent", str(os.getpid()), *(["--at", at] if at else [])]
    return line + (["--relay", f"{relay[0]}:{relay[1]}"] if relay else [])
