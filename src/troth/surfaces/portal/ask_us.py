"""Ask us: a request about one's data by somebody who is not in, and need not become a customer.

The answer is the same for every address. What was asked waits sealed until its address is proven
by the link in a letter; then it is a request like any other, counted from the day it was asked.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Depends, FastAPI
from starlette.background import BackgroundTask
from starlette.requests import Request as Asking
from starlette.responses import RedirectResponse, Response

from troth.app import entry as wired
from troth.app import intake
from troth.errors import InvalidInput, Unavailable
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.entry import begun, believed, cookie_of, network
from troth.surfaces.portal.request_words import RIGHTS
from troth.surfaces.web.parts import Hub, body_of

READ = ["GET", "HEAD"]
HERE: Final = "/my/ask-us"
PUBLIC = {
    HERE: "whoever asks for their rights needs no account; the answer tells no address",
    "/ask-us": "leads there",
}
SAY: Final[Mapping[str, tuple[str, str, str]]] = {
    "done": (
        "good",
        N_("We have what you asked."),
        N_(
            "If we know this address, a letter with a link is on its way to it. Come in by it and"
            " open Requests: that proves the address, and your request counts from today. If no"
            " letter comes within a day, we hold nothing under this address."
        ),
    ),
    "wait": ("bad", N_("Much is asked at this moment."), N_("Please ask again in an hour.")),
    "address": (
        "bad",
        N_("The request does not read."),
        N_("Give an e-mail address, and choose what it is about. Nothing was kept."),
    ),
    "old": (
        "bad",
        N_("This page was open too long, or your browser keeps no cookies."),
        N_("Please send it again."),
    ),
}
"""What the page says on top: kind, title, text; named by `?say=`."""


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the form and its answer."""

    @app.api_route("/ask-us", methods=READ, include_in_schema=False)
    def lead() -> Response:
        return RedirectResponse(HERE, 303)

    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def shown(request: Asking) -> Response:
        return begun(
            hub, request, cookie_of(hub, request), "my_ask_us.html", rights=RIGHTS,
            told=SAY.get(request.query_params.get("say", "")),
        )  # fmt: skip

    @app.post(HERE, include_in_schema=False)
    def ask(request: Asking, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        form, cookie = believed(hub, request, raw)
        if not cookie:
            return RedirectResponse(f"{HERE}?say=old", 303)
        address = form.get("address", "")[:320]
        brought = intake.Brought(
            form.get("right", ""), address, form.get("text", ""), form.get("name", "")
        )
        where = network(hub, request)
        try:
            if "@" not in address or not wired.ask(hub.ws, address, where, cookie):
                return RedirectResponse(
                    f"{HERE}?say={'wait' if '@' in address else 'address'}", 303
                )
            intake.take(hub.ws, brought, where)
        except InvalidInput:
            return RedirectResponse(f"{HERE}?say=address", 303)
        except Unavailable:
            return RedirectResponse(f"{HERE}?say=wait", 303)
        task = BackgroundTask(hub.kept["doorman"].call)
        return RedirectResponse(f"{HERE}?say=done", 303, background=task)
