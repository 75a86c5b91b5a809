"""Take it with you: everything held as one file, or its tables or its data alone.

It is put together when it is asked for and kept nowhere but in the visit, until it is fetched.
That somebody took it stands in "Who used my data" before anything is opened.
"""

import threading
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from troth.app import package
from troth.app.owndata import SCOPES
from troth.capabilities import rights
from troth.capabilities.rights.package_page import notes
from troth.capabilities.rights.package_words import Reader
from troth.errors import Fault, InvalidInput, Unavailable
from troth.kernel import events
from troth.kernel.desk import everybody
from troth.surfaces import timeline
from troth.surfaces.portal import said
from troth.surfaces.portal.brand import brand_css
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import Visit, portal_page, submitted, visiting
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import moment

READ = ["GET", "HEAD"]
HERE: Final = "/my/download"
WAIT_S: Final = 2.0
"""How long an answer waits for the package; a longer one is fetched from the page."""
KEPT: Final = "download"
PARTS: Final = {
    "all": N_("Everything, as one file"),
    "csv": N_("Only the tables, for a spreadsheet"),
    "json": N_("Only the data, for a program or another company"),
}


@dataclass(slots=True)
class Job:
    """One package under way, for one person's visit.

    Attributes:
        part: A key of `PARTS`.
        fault: Why there is none.
    """

    part: str
    done: threading.Event = field(default_factory=threading.Event)
    made: rights.Package | None = None
    fault: Fault | None = None


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page and the file."""

    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def offer(request: Request) -> Response:
        visit = visiting(hub, request)
        job = visit.session.kept.get(_key(visit))
        events_held, activity = _extent(hub, visit)
        return portal_page(
            hub, request, visit, "my_download.html", "download",
            parts=PARTS, notes=notes(_reader(hub, visit)), entries=events_held,
            about=_about(events_held, activity), waiting=job is not None and not job.done.is_set(),
            ready=job if job is not None and job.done.is_set() else None,
        )  # fmt: skip

    @app.post(HERE, include_in_schema=False)
    def take(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        part = form.get("part", "all")
        if part not in PARTS:
            raise InvalidInput("there is no such part", "choose one on the page")
        job = _begun(hub, visit, part)
        if not job.done.wait(WAIT_S):
            return RedirectResponse(HERE, 303)
        visit.session.kept.pop(_key(visit), None)
        if job.made is None:
            raise job.fault or Unavailable("the file could not be made", "ask again", 5)
        return _file(hub, job.made, part)


def _key(visit: Visit) -> str:
    return f"{KEPT}:{visit.person.hex()}"


def _begun(hub: Hub, visit: Visit, part: str) -> Job:
    """Return the job of this visit, begun now where there is none of this part."""
    held: Job | None = visit.session.kept.get(_key(visit))
    if held is not None and held.part == part:
        return held
    job = visit.session.kept[_key(visit)] = Job(part)
    threading.Thread(target=_make, args=(hub, visit, job), daemon=True).start()
    return job


def _make(hub: Hub, visit: Visit, job: Job) -> None:
    try:
        made = package.build(hub.ws, visit.eyes, _reader(hub, visit))
        job.made = made if job.part == "all" else made.only(job.part)
    except Fault as fault:
        job.fault = fault
    finally:
        job.done.set()


def _reader(hub: Hub, visit: Visit) -> Reader:
    with hub.ws.store.look() as view:
        house = hub.ws.desk.house(view)

    def tell(event: events.Event) -> str:
        return timeline.tell(event, house).sentence.in_(visit.tongue.gettext)

    def name(thing: str) -> str:
        return visit.gettext(said.USES[thing]) if thing in said.USES else thing

    return Reader(visit.tongue, tell, brand_css(hub), name)


def _extent(hub: Hub, visit: Visit) -> tuple[int, int]:
    """Return how many events there are, and how many sealed bytes of activity; opens nothing."""
    with hub.ws.store.look() as view:
        ids = everybody(view, visit.person)
        count = sum(each.head.n for each in view.gather(ids, None))
        rows = view.sealed(ids, [f"{scope}/" for scope in SCOPES])
        size = sum(len(row.rec) for each in rows.values() for row in each)
    return count, size


def _about(entries: int, activity: int) -> int:
    """Guess the size of the packed file in kilobytes: what an event and its receipt come to."""
    return max(20, (entries * 2_200 + activity) // 1_000)


def _file(hub: Hub, made: rights.Package, part: str) -> Response:
    with hub.ws.store.look() as view:
        day = moment(view.now).date().isoformat()
    brand = "".join(c for c in hub.ws.settings.brand if c.isascii() and c.isalnum()) or "data"
    ending = "" if part == "all" else f"-{part}"
    return StreamingResponse(
        rights.stream(made),
        media_type="application/zip",
        headers={
            "content-disposition": f'attachment; filename="my-{brand}-{day}{ending}.zip"',
            "cache-control": "no-store",
        },
    )
