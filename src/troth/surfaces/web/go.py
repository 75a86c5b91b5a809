"""Where counted links lead on, and the open mark of those who agreed to one.

A GET adds one to a number that names nobody, and for whoever agreed to exactly that notes the
follow or the open; a HEAD, a prefetch and a preview add nothing. A link leads only where a booked
message of its campaign said it would. No cookie, no network address.
"""

import base64

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.capabilities.outreach import clicks, measuring
from troth.engines.mail import links
from troth.errors import Unavailable
from troth.surfaces.web.parts import Hub

PUBLIC = {
    "/go/{campaign}/{told}": "a link in a message; leads on, and adds one to a number",
    "/o/{mark}": "a mark in a message to somebody who agreed to it; the same picture for all",
}
"""Addresses that need neither session nor key, and why."""
READ = ["GET", "HEAD"]
DOT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""One transparent point."""
_FETCHERS = {
    "sec-purpose": ("prefetch", "prerender"),
    "purpose": ("prefetch", "preview"),
    "x-purpose": ("prefetch", "preview"),
    "x-moz": ("prefetch",),
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/go/{campaign}/{told}` and `/o/{mark}`."""
    hub.kept["clicks"] = clicks.Clicks(hub.ws.desk)

    @app.api_route("/go/{campaign}/{told}", methods=READ, include_in_schema=False)
    def lead_on(campaign: str, told: str, request: Request) -> Response:
        desk = hub.ws.desk
        with hub.ws.store.look() as view:
            followed = clicks.read_link(desk, view, campaign, told)
            now = view.now
        if by_a_reader(request):
            _count(hub, followed, now)
        return RedirectResponse(followed.url, 302)

    @app.api_route("/o/{mark}", methods=READ, include_in_schema=False)
    def opened(mark: str, request: Request) -> Response:
        if by_a_reader(request) and len(mark) <= links.MARK_MAX:
            _note(hub, mark, links.OPENS, "")
        return Response(DOT, media_type="image/gif")


def by_a_reader(request: Request) -> bool:
    """Tell whether somebody asks for this themselves, as far as a request says."""
    if request.method != "GET":
        return False
    return not any(
        word in request.headers.get(name, "").lower()
        for name, said in _FETCHERS.items()
        for word in said
    )


def _count(hub: Hub, followed: clicks.Followed, now: int) -> None:
    try:
        hub.kept["clicks"].add(followed, now)
    except Unavailable:
        return  # the record is held: leading on matters more than a number
    if followed.mark:
        _note(hub, followed.mark, links.CLICKS, str(followed.number))


def _note(hub: Hub, mark: str, category: str, detail: str) -> None:
    try:
        measuring.note(hub.ws.desk, mark, category, detail)
    except Unavailable:
        return
