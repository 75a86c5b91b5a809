"""The demo and the pages."""

import json
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from troth import app
from troth.surfaces.commands.answer import Answer, counted
from troth.surfaces.commands.call import DEMO_MARK, Call, read_instant
from troth.surfaces.commands.worker import Supervisor, worker_line
from troth.surfaces.demo.run import run_demo
from troth.surfaces.web.server import listen
from troth.surfaces.web.server import serve as serve_pages
from troth.surfaces.words import catalogue
from troth.terms import moment

TAKES_S = 0.08
"""Seconds a mail takes in a served demo: about what a relay elsewhere needs."""


def demo(call: Call, folder: Path, port: int | None) -> Answer:
    """Do the whole job and tell its figures; with a port, show the pages until stopped."""
    at: datetime | None = moment(read_instant(call.at, "--at")) if call.at else None
    figures = run_demo(folder, at, call.tell)
    answer = Answer(figures, _lines(folder, figures), _status(figures))
    if port is None:
        return answer
    for line in [*answer.lines, f"Walk the marketer's day in ten minutes: {tour(port)}"]:
        call.tell(line)
    return serve(Call(folder, call.at, call.who, call.tell, call.watch), port)


def serve(call: Call, port: int, worker: str = "beside") -> Answer:
    """Show the pages on this machine until stopped, with a worker beside them or `none`.

    A demo shows its figures and its inbox too, and what its worker sends arrives in that inbox.

    Raises:
        Unavailable: The port is in use; names another.
    """
    mark, inbox = call.folder / DEMO_MARK, call.folder / "inbox"
    figures = json.loads(mark.read_text("utf-8")) if mark.is_file() else None
    call.walk()
    with call.opened() as ws, ExitStack() as until:
        listen(port).close()  # a port in use is said before a worker is started
        if worker == "beside":
            _beside(call, ws, inbox if figures else None, until)
        serve_pages(ws, figures, inbox if inbox.is_dir() else None, port)
    return Answer({"served": True}, ["Stopped."])


def _beside(call: Call, ws: app.Workspace, inbox: Path | None, until: ExitStack) -> None:
    """Start the worker, ended with the pages; a demo's relay is its own inbox, never the world."""
    relay = None
    if inbox is not None:
        received = app.demo_inbox(ws, inbox, TAKES_S)
        relay = ("127.0.0.1", received.start())
        until.callback(received.stop)
    supervisor = Supervisor(worker_line(call.folder, call.at, relay))
    supervisor.start()
    until.callback(supervisor.stop)


def tour(port: int) -> str:
    """Return where the tour of a served demo begins."""
    return f"http://127.0.0.1:{port}/tour"


def _status(figures: dict[str, Any]) -> int:
    """The demo has failed if anybody was written to without agreement, or nothing verifies."""
    sound = not figures["sent_without_agreement"] and figures["ledger"]["verified"]
    return 0 if sound else 1


_TOLD = {
    "people": "people taken in",
    "behaviour_rows": "purchase lines taken in",
    "consent_acts": "consents and refusals taken in",
    "consents_without_proof": "of them without full proof: they open nothing",
    "candidates": "quiet for 90 days",
    "reachable": "of them may be written to at preview",
    "refused_people": "may not, each with a reason",
    "sent": "messages handed over",
    "received": "received, recounted from the input files alone",
    "sent_without_agreement": "sent without agreement",
    "doubled": "sent twice",
    "unknown": "with an unknown end",
    "failed": "not taken by the relay",
}


def _lines(folder: Path, figures: dict[str, Any]) -> list[str]:
    words = catalogue()
    width = max(len(f"{figures[name]:,}") for name in _TOLD)
    lines = [f"  {figures[name]:>{width},}  {said}" for name, said in _TOLD.items()]
    why = {words.reason(code).title: n for code, n in figures["refused"].items()}
    verified = "verified" if figures["ledger"]["verified"] else "NOT verified"
    return [
        f"Demo time {figures['demo_time']}.",
        f"Data: {figures['provenance']}",
        *lines,
        "Why not, each counted once by the first reason:",
        *counted(why),
        f"Ledger: {figures['ledger']['size']:,} entries, {verified}.",
        f"Ask it why: troth explain cast-objected --purpose offers -w {folder}",
    ]
