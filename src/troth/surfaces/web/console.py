"""The console: its frame, its home, its doors. Each page of staff is drawn in this frame."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from troth.errors import NotFound
from troth.surfaces.web import words
from troth.surfaces.web.acting import COOKIE, Session, Sessions, acting, keep, session_of
from troth.surfaces.web.parts import Hub, page
from troth.terms import Actor, Role

READ = ["GET", "HEAD"]
NAV: tuple[tuple[str, str, str, frozenset[Role]], ...] = (
    ("console", "/console", "Home", frozenset(map(Role, words.ROLES))),
    ("list", "/console/list", "List check", frozenset({Role.MARKETER, Role.OFFICER})),
    ("people", "/console/people", "People", frozenset({Role.SUPPORT, Role.OFFICER})),
    ("segments", "/console/segments", "Segments", frozenset({Role.MARKETER, Role.OFFICER})),
    ("messages", "/console/messages", "Messages", frozenset({Role.MARKETER, Role.OFFICER})),
    ("campaigns", "/console/campaigns", "Campaigns", frozenset({Role.MARKETER, Role.OFFICER})),
    ("calendar", "/console/calendar", "Calendar", frozenset({Role.MARKETER, Role.OFFICER})),
    ("report", "/console/report", "Report", frozenset({Role.MARKETER, Role.OFFICER})),
    (
        "complaint",
        "/console/complaint",
        "Complaint answer",
        frozenset({Role.OFFICER, Role.SUPPORT}),
    ),
    ("connections", "/console/connections", "Connections", frozenset({Role.IT, Role.MARKETER})),
    ("staff", "/console/staff", "Staff", frozenset({Role.IT})),
)
"""Key, path, label and roles of each page; one whose route does not exist is not shown."""


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the console's home, and in a demo the five doors."""
    hub.kept["sessions"] = Sessions(hub.ws.clock, hub.ws.desk.randomness)

    @app.api_route("/console", methods=READ, include_in_schema=False)
    def home(request: Request) -> Response:
        session = acting(hub, request)
        return console_page(hub, request, session, "console_home.html", here="console")

    @app.post("/sign-out", include_in_schema=False)
    def sign_out(request: Request) -> Response:
        hub.kept["sessions"].end(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    if hub.report:  # a demo: loopback only, invented people

        @app.post("/doors/{role}", include_in_schema=False)
        def door(role: str) -> Response:
            named = hub.ws.settings.staff.get(role, [])
            if role not in words.ROLES or not named:
                raise NotFound("there is no such door", "choose one on the overview")
            token, _ = hub.kept["sessions"].begin(Actor(Role(role), named[0]), "door")
            answer = RedirectResponse("/console", 303)
            keep(answer, token)
            return answer


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
        {"key": key, "path": path, "label": label}
        for key, path, label, roles in NAV
        if path in exist and session.actor.role in roles
    ]


def signed_in(hub: Hub, request: Request) -> bool:
    """Tell whether somebody is signed in."""
    return session_of(hub, request) is not None
