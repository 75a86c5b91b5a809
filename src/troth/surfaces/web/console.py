"""The console: its frame, its doors. Each page of staff is drawn in this frame."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from troth import app as house
from troth.capabilities import access
from troth.errors import NotFound
from troth.surfaces import words
from troth.surfaces.web.acting import (
    COOKIE,
    Session,
    Sessions,
    keep,
    own_page,
    session_of,
)
from troth.surfaces.web.parts import Hub, body_of, form_of, page
from troth.terms import Actor, Role

READ = ["GET", "HEAD"]
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_URLENCODED = "application/x-www-form-urlencoded"
PUBLIC = {
    "/sign-out": "ending a session asks for none",
    "/doors/{role}": "a demo's: invented people, this machine only; a real workspace has none",
}
"""Addresses that need no session, and why."""
_MARKETING = frozenset({Role.MARKETER, Role.OFFICER})
_ANSWERING = frozenset({Role.SUPPORT, Role.OFFICER})
_RUNNING = frozenset({Role.IT, Role.MARKETER})
_KEEPING = frozenset({Role.IT, Role.OFFICER})
_DOORS: Mapping[Role, int] = {Role.MARKETER: 2}
"""Role → how many doors a demo opens of it; one where nothing is said."""
NAV: tuple[tuple[str, str, str, frozenset[Role], str], ...] = (
    ("console", "/console", "Home", frozenset(map(Role, words.ROLES)), ""),
    ("list", "/console/list", "List check", _MARKETING, "Prepare"),
    ("segments", "/console/segments", "Segments", _MARKETING, "Prepare"),
    ("messages", "/console/messages", "Messages", _MARKETING, "Prepare"),
    ("campaigns", "/console/campaigns", "Campaigns", _MARKETING, "Send"),
    ("calendar", "/console/calendar", "Calendar", _MARKETING, "Send"),
    ("people", "/console/people", "People", _ANSWERING, "Answer"),
    ("requests", "/console/requests", "Requests", _ANSWERING, "Answer"),
    ("complaint", "/console/complaint", "Complaint answer", _ANSWERING, "Answer"),
    ("documents", "/console/documents", "Documents", _ANSWERING, "Answer"),
    ("report", "/console/report", "Report", _MARKETING, "Look back"),
    ("retention", "/console/retention", "Retention", frozenset({Role.OFFICER}), "Look back"),
    ("exports", "/console/exports", "Exports", _ANSWERING | _RUNNING, "Look back"),
    ("connections", "/console/connections", "Connections", _RUNNING, "House"),
    ("site", "/console/site", "Site", _RUNNING, "House"),
    ("staff", "/console/staff", "Staff", frozenset({Role.IT}), "House"),
    ("access", "/console/access", "Access", _KEEPING, "Protect"),
    ("map", "/console/map", "Data map", _KEEPING, "Protect"),
    ("doctor", "/console/doctor", "Doctor", _KEEPING, "Protect"),
    ("keys", "/console/keys", "Keys", _KEEPING, "Protect"),
    ("backups", "/console/backups", "Backups", _KEEPING, "Protect"),
    ("witness", "/console/witness", "Ledger and witnesses", _KEEPING, "Protect"),
)
"""Key, path, label, roles and group of each page; one whose route does not exist is not shown."""


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add signing out, and in a demo the doors."""
    office = house.office(hub.ws)
    hub.kept["office"] = office
    hub.kept["sessions"] = Sessions(
        office.clock,
        hub.ws.desk.randomness,
        lambda session: _alive(office, session),
        office.limits.session,
        office.limits.idle,
    )

    @app.post("/sign-out", include_in_schema=False)
    def sign_out(request: Request) -> Response:
        own_page(request)
        session = session_of(hub, request)
        if session is not None:
            access.signed_out(office, session.actor, session.method)
        hub.kept["sessions"].end(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/" if hub.report else "/signin?say=out", 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    if hub.report:  # a demo: loopback only, invented people

        @app.post("/doors/{role}", include_in_schema=False)
        def door(role: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
            own_page(request)
            form = form_of(_URLENCODED, raw)
            actor = _behind(hub, request, role, form.get("who", b"").decode("utf-8", "replace"))
            access.through_door(office, actor)
            hub.kept["sessions"].end(request.cookies.get(COOKIE, ""))
            token, _ = hub.kept["sessions"].begin(actor, "door")
            answer = RedirectResponse("/console", 303)
            keep(answer, token, office.limits.session)
            return answer


def _alive(office: access.Office, session: Session) -> bool:
    if session.account:
        return access.alive(office, session.account, session.round)
    return access.may_enter(office, session.actor)


def doors(hub: Hub, request: Request) -> list[Mapping[str, str]]:
    """Return a demo's doors; none of a real workspace, none from afar.

    One a role, and two where one of them approves what the other wrote.
    """
    if not hub.report or hub.ws.settings.console_url or not on_loopback(request):
        return []
    shown: dict[Role, list[Mapping[str, str]]] = {}
    for actor in access.everybody(hub.kept["office"]):
        behind = shown.setdefault(actor.role, [])
        if len(behind) < _DOORS.get(actor.role, 1) and access.may_enter(hub.kept["office"], actor):
            behind.append(
                {
                    "role": actor.role.value,
                    "title": words.ROLES[actor.role],
                    "who": actor.id,
                    "name": actor.id.partition("@")[0].capitalize(),
                }
            )
    return [door for behind in shown.values() for door in behind]


def _behind(hub: Hub, request: Request, role: str, who: str) -> Actor:
    for each in doors(hub, request):
        if each["role"] == role and who in {"", each["who"]}:
            return Actor(Role(role), each["who"])
    raise NotFound("there is no such door", "choose one on the overview")


def on_loopback(request: Request) -> bool:
    """Tell whether a request names this very machine."""
    named = request.headers.get("host", "").lower()
    return (named if named.endswith("]") else named.rpartition(":")[0] or named) in LOOPBACK


def console_page(
    hub: Hub,
    request: Request,
    session: Session,
    template: str,
    code: int = 200,
    **values: Any,  # noqa: ANN401
) -> HTMLResponse:
    """Render a page of the console: `session` and `nav` are given; `here` names the page."""
    return page(hub, template, code, session=session, nav=nav(request, session), **values)


def nav(request: Request, session: Session) -> list[Mapping[str, str]]:
    """Return the pages this role may open, of those that exist."""
    exist = {getattr(route, "path", "") for route in request.app.routes}
    return [
        {"key": key, "path": path, "label": label, "group": group}
        for key, path, label, roles, group in NAV
        if path in exist and session.actor.role in roles
    ]


def signed_in(hub: Hub, request: Request) -> bool:
    """Tell whether somebody is signed in."""
    return session_of(hub, request) is not None
