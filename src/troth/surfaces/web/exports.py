"""What staff took out: each export, by when it is to be deleted, and one press to say it was."""

from typing import Annotated

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.app.access import bench
from troth.capabilities.access import canaries, exports, granting, quota
from troth.errors import Conflict, InvalidInput, NotFound
from troth.surfaces import faults, words
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import DAY, Instant, Role

ROLES = (Role.SUPPORT, Role.MARKETER, Role.OFFICER, Role.IT)
WHAT = {
    "package": "Everything held about one person",
    "complaint": "Answer to a complaint",
    "receipts": "One person's receipts",
    "request": "The folder of a request",
    "list": "A list that was checked",
    "report": "The report of a month",
}
ALARM_DAYS = 30


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/exports`."""

    @app.api_route("/console/exports", methods=READ, include_in_schema=False)
    def shown(request: Request) -> Response:
        return _page(hub, request, acting(hub, request, *ROLES))

    @app.post("/console/exports/{ident}/deleted", include_in_schema=False)
    def deleted(ident: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw, *ROLES)
        try:
            exports.confirm(hub.ws.desk, ident, session.actor)
        except (Conflict, InvalidInput, NotFound) as fault:
            return _page(hub, request, session, 400, faults.sentence(fault))
        return RedirectResponse("/console/exports?done=deleted", 303)

    @app.post("/console/exports/bulk/{ident}/{word}", include_in_schema=False)
    def bulk(
        ident: str, word: str, request: Request, raw: Annotated[bytes, Depends(body_of)]
    ) -> Response:
        session, _ = submitted(hub, request, raw, Role.OFFICER, Role.IT)
        try:
            above = granting.above(bench(hub.ws), session.actor)
            quota.answer_bulk(hub.ws.desk, ident, session.actor, word, above)
        except (Conflict, InvalidInput, NotFound) as fault:
            return _page(hub, request, session, 400, faults.sentence(fault))
        return RedirectResponse(f"/console/exports?done={word}", 303)


def _page(
    hub: Hub, request: Request, session: Session, code: int = 200, fault: str = ""
) -> Response:
    desk, zone = hub.ws.desk, hub.ws.settings.zone
    mine, keeps = desk.account(session.actor), session.actor.role in exports.MAY_CONFIRM
    with hub.ws.store.look() as view:
        every, now = exports.listed(view), view.now
        bulks = [b for b in quota.bulks(view) if keeps or _same(b.account, mine)]
        alarms = canaries.raised(view, Instant(now - ALARM_DAYS * DAY)) if keeps else []
    if not keeps:
        every = [e for e in every if _same(e.account, mine)]
    rows = [
        {
            "id": e.id,
            "what": WHAT.get(e.what, e.what),
            "who": words.ROLES.get(e.role, e.role),
            "mine": _same(e.account, mine),
            "when": words.spoken(e.at, zone),
            "until": words.day(e.until, zone),
            "people": words.number(e.people),
            "reason": e.reason,
            "open": e.open,
            "overdue": e.overdue(now),
            "deleted": words.day(e.confirmed, zone) if e.confirmed else "",
        }
        for e in every
    ]
    return console_page(
        hub, request, session, "exports.html", code, here="exports", rows=rows, fault=fault,
        done=request.query_params.get("done", ""), keeps=keeps,
        asked=[(b, _same(b.account, mine)) for b in bulks if b.state == "requested" and keeps],
        answered=[
            (b, b.standing(now), words.spoken(b.until, zone))
            for b in bulks
            if b.state == "approved" and now < b.until + ALARM_DAYS * DAY
        ],
        alarms=[(words.spoken(at, zone), account) for at, account in alarms],
    )  # fmt: skip


def _same(account: str, other: str) -> bool:
    return account.partition("/")[2] == other.partition("/")[2]
