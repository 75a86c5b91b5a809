"""One-click stop (RFC 8058): reading changes nothing, a POST acts at once, without a cookie."""

from typing import Annotated

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.capabilities import preferences, rights
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.surfaces import words
from troth.surfaces.portal.frame import portal_page, tongue
from troth.surfaces.web.parts import Hub, body_of, form_of

FIELD, ONE_CLICK = "List-Unsubscribe", "One-Click"


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/stop/{token}`."""

    @app.api_route("/stop/{token}", methods=["GET", "HEAD"], include_in_schema=False)
    def ask(token: str, request: Request) -> Response:
        try:
            stop = preferences.read_token(hub.ws.desk, token)
        except NotFound:
            return _page(hub, request, 404, state="unknown")
        return _page(hub, request, 200, state="ask", stop=stop)

    @app.post("/stop/{token}", include_in_schema=False)
    def act(token: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        form = form_of(request.headers.get("content-type", ""), raw)
        if form.get(FIELD) != ONE_CLICK.encode():
            raise InvalidInput("nothing was stopped: the request does not ask for it",
                               f"send {FIELD}={ONE_CLICK}")  # fmt: skip
        try:
            stop = preferences.unsubscribe(hub.ws.desk, token)
        except NotFound:
            return _page(hub, request, 404, state="unknown")
        shown = _receipt(hub, stop)
        return _page(hub, request, 200, state="done", stop=stop, receipt=shown)


def _page(  # noqa: PLR0913 - a page and what it says
    hub: Hub,
    request: Request,
    status: int,
    state: str,
    stop: preferences.Stop | None = None,
    receipt: str = "",
) -> Response:
    """Draw the page in the brand's frame and the reader's language; it sets no cookie."""
    title, way, alone = "", "", False
    if stop is not None:
        alone = not preferences.is_theirs(hub.ws.desk, stop)
        with hub.ws.store.look() as view:
            purpose = hub.ws.desk.house(view).purposes.get(stop.purpose)
        title = purpose.title if purpose else stop.purpose
        way = str(tongue(hub, request).gettext(words.CHANNELS.get(stop.channel, "")))
    shown = {"state": state, "title": title, "way": way, "receipt": receipt, "alone": alone}
    if stop is None:
        shown["back"] = "/my/enter"
    return portal_page(hub, request, None, "my_stop.html", "stop", status, **shown)


def _receipt(hub: Hub, stop: preferences.Stop) -> str:
    """Return the receipt of the newest withdrawal; "" where none can be written now.

    The stop is recorded and binding whether or not a receipt can be shown. Where the person has
    another address by now nothing of theirs was withdrawn, and nothing of theirs is shown.
    """
    if not preferences.is_theirs(hub.ws.desk, stop):
        return ""
    try:
        note = hub.ws.sign()
        mine = rights.receipts(hub.ws.desk, stop.person, note)
    except (NotFound, Unavailable):
        return ""
    return next((r.text for r in reversed(mine) if r.type == "consent.withdrawn"), "")
