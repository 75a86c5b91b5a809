"""The retention desk: look first, then delete; both in the background, with progress and receipt.

A look is one event of the house and deletes nothing. What it found is kept in the memory of this
process alone, for as long as a day, and each person is judged again when it is carried out.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import app as house
from troth.capabilities.custody import Planned
from troth.errors import Conflict, NotFound
from troth.surfaces import faults, keeping, words
from troth.surfaces.web import chart
from troth.surfaces.web.acting import acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import DAY, SECOND, Actor, Instant, Role

PATH: Final = "/console/retention"
ROLES: Final = (Role.OFFICER,)
STEPS: Final[Mapping[str, str]] = {
    "look": "people looked at",
    "delete": "people done",
    "erase": "people erased",
}
NEVER: Final = Instant(0)
_MINUTE = 60


@dataclass(slots=True)
class Job:
    """The one piece of work of this process, and what the last look found.

    Attributes:
        step: look, delete or erase.
        state: none, running, done or failed.
        total: How many people it is about; 0 where nobody knows before.
    """

    step: str = "look"
    state: str = "none"
    done: int = 0
    total: int = 0
    began: int = 0
    planned: Sequence[Planned] = ()
    found: keeping.Foreseen | None = None
    looked_at: Instant = NEVER
    result: Mapping[str, int] = field(default_factory=dict)
    fault: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def leaving(self) -> list[Planned]:
        """Return those of whom nothing may be kept any longer."""
        return [each for each in self.planned if each.leaves]

    def begin(self, step: str, total: int) -> None:
        """Begin a step.

        Raises:
            Conflict: One is under way.
        """
        with self.lock:
            if self.state == "running":
                raise Conflict("this is under way already", "watch it on the retention page")
            self.step, self.state, self.done, self.total = step, "running", 0, total
            self.began, self.fault, self.result = house.real_micros(), "", {}

    def watch(self, _name: str) -> Callable[[int], None]:
        """Return what is told how many are done."""

        def tell(done: int) -> None:
            self.done = done

        return tell

    def fresh(self, now: Instant) -> bool:
        """Tell whether there is a look that is not older than a day."""
        return self.found is not None and now - self.looked_at < DAY


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/retention`."""
    job = hub.kept["retention"] = Job()
    _add_checks(app, hub, job)

    @app.api_route(PATH, methods=READ, include_in_schema=False)
    def show(request: Request) -> Response:
        session = acting(hub, request, *ROLES)
        return console_page(
            hub, request, session, "retention.html", here="retention", ask="", **_values(hub, job)
        )

    @app.post(f"{PATH}/look", include_in_schema=False)
    def look(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw, *ROLES)
        _start(hub, job, "look", session.actor)
        return RedirectResponse(PATH, 303)

    @app.api_route(f"{PATH}/receipts/{{file}}", methods=READ, include_in_schema=False)
    def receipt(file: str, request: Request) -> Response:
        acting(hub, request, *ROLES)
        number = file.removesuffix(".tlog-proof")
        if not (number.isascii() and number.isdecimal()):
            raise NotFound("there is no such run", "open the retention page")
        raw = house.keeping_receipt(hub.ws, int(number[:12]))
        headers = {"content-disposition": f'attachment; filename="retention-{number}.tlog-proof"'}
        return Response(raw, media_type="text/plain; charset=utf-8", headers=headers)


def _add_checks(app: FastAPI, hub: Hub, job: Job) -> None:
    """Add the page before each step that cannot be undone, and the step."""
    for step in ("delete", "erase"):
        _add_check(app, hub, job, step)


def _add_check(app: FastAPI, hub: Hub, job: Job, step: str) -> None:
    @app.api_route(f"{PATH}/{step}", methods=READ, include_in_schema=False)
    def check(request: Request) -> Response:
        session = acting(hub, request, *ROLES)
        if not _ready(hub, job, step):
            return RedirectResponse(PATH, 303)
        return console_page(
            hub,
            request,
            session,
            "retention.html",
            here="retention",
            ask=step,
            **_values(hub, job),
        )

    @app.post(f"{PATH}/{step}", include_in_schema=False)
    def carry_out(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw, *ROLES)
        if not _ready(hub, job, step):
            raise Conflict("nobody looked today, or there is nothing to do", "look first")
        _start(hub, job, step, session.actor)
        return RedirectResponse(PATH, 303)


def _ready(hub: Hub, job: Job, step: str) -> bool:
    """Tell whether somebody looked within a day and found people to do this step for."""
    with hub.ws.store.look() as view:
        now = view.now
    return job.fresh(now) and bool(job.leaving if step == "erase" else job.planned)


def _start(hub: Hub, job: Job, step: str, actor: Actor) -> None:
    about = {"look": 0, "delete": len(job.planned), "erase": len(job.leaving)}
    job.begin(step, about[step])
    threading.Thread(target=_work, args=(hub, job, actor), daemon=True).start()


def _work(hub: Hub, job: Job, actor: Actor) -> None:
    """Do the step, apart from the request that asked for it."""
    try:
        _DO[job.step](hub.ws, job, actor)
        hub.ws.sign()
        job.state = "done"
    except Exception as error:  # noqa: BLE001 - the page says it; no value may reach a log
        job.fault, job.state = str(faults.fault_of(error)), "failed"


def _look(ws: house.Workspace, job: Job, actor: Actor) -> None:
    found = house.plan_retention(ws, actor, job.watch)
    with ws.store.look() as view:
        job.looked_at = view.now
    job.planned, job.found = found, keeping.foreseen(ws, found)


def _delete(ws: house.Workspace, job: Job, actor: Actor) -> None:
    job.result = house.run_retention(ws, job.planned, actor, job.watch)
    job.planned = job.leaving
    ws.follow()


def _erase(ws: house.Workspace, job: Job, actor: Actor) -> None:
    people = [each.person for each in job.leaving]
    job.result = {"erased": house.erase_leaving(ws, people, actor, job.watch)}
    job.planned = [each for each in job.planned if not each.leaves]


_DO: Final[Mapping[str, Callable[[house.Workspace, Job, Actor], None]]] = {
    "look": _look,
    "delete": _delete,
    "erase": _erase,
}


# What the page shows


def _values(hub: Hub, job: Job) -> dict[str, Any]:
    ws, zone = hub.ws, hub.ws.settings.zone
    held = house.kept(ws)
    with ws.store.look() as view:
        now = view.now
    found = job.found if job.fresh(now) else None
    return {
        "job": job,
        "unit": STEPS[job.step],
        "rest": _rest(job),
        "found": found,
        "looked": words.spoken(job.looked_at, zone) if found else "",
        "rows": [_cells(row) for row in found.rows] if found else [],
        "people": keeping.shown(found.people) if found else "",
        "leave": keeping.shown(found.leave) if found else "",
        "leaving": bool(job.leaving),
        "to_delete": any(not each.leaves for each in job.planned),
        "last": held.last,
        "runs": [_run(run, zone) for run in held.runs],
        "zone": zone,
        "done": _done(job),
    }


def _cells(row: keeping.Row) -> dict[str, str]:
    return {
        "what": house.category_title(row.category),
        "field": row.what,
        "purpose": row.purpose,
        "rule": row.rule,
        "does": "goes" if row.does == "delete" else "stays, stored only",
        "why": row.why,
        "people": keeping.shown(row.people),
    }


def _rest(job: Job) -> str:
    """Say about how long it still takes; "" where nobody can say yet."""
    took = (house.real_micros() - job.began) / SECOND
    if not job.total or job.done <= 0 or took < 1:
        return ""
    left = took * (job.total - job.done) / job.done
    return (
        "less than a minute left" if left < _MINUTE else f"about {left / _MINUTE:.0f} minutes left"
    )


def _done(job: Job) -> str:
    if job.state != "done" or job.step == "look":
        return ""
    if job.step == "erase":
        return f"{chart.few(job.result['erased'])} people are erased, each with a certificate."
    fields, scopes = job.result["fields"], job.result["scopes"]
    return f"{chart.few(fields)} fields and {chart.few(scopes)} quarters of behaviour are deleted."


def _run(run: Any, zone: str) -> dict[str, Any]:  # noqa: ANN401 - app.keeping.Run
    people = chart.few(run.people)
    did = f"deleted what was over of {people} people" if run.ran else f"looked: {people} people"
    who = {"housekeeping": "the house, by itself", "cli": "the command line", "": "somebody"}
    return {
        "n": run.n,
        "at": words.spoken(run.at, zone),
        "did": did,
        "who": who.get(run.who, run.who),
        "proved": run.proved,
    }
