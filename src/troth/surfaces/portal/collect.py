"""Asking for consent on other pages: a form to put into them, and where the letter's link leads.

The form and the widget may be framed by the pages of `[site] origins` alone. A form carries the
right to be sent once, bound to this origin and to the notice version beside it. Whatever address
is typed, the answer is the same; a yes counts once the address itself says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from fastapi import Depends, FastAPI
from markupsafe import Markup
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from troth.app import collecting, owndata, site_place
from troth.capabilities import onsite
from troth.engines import contact as addresses
from troth.errors import InvalidInput, NotFound
from troth.kernel import consent
from troth.surfaces import words
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import (
    READ,
    EntryNeeded,
    portal_page,
    tongue,
    visiting,
)
from troth.surfaces.portal.notices import require_notice
from troth.surfaces.web.acting import own_page
from troth.surfaces.web.parts import Hub, body_of, form_of
from troth.surfaces.web.site import limited
from troth.terms import Channel, PurposeKind

PUBLIC = {
    "/embed/form/{purpose}": "asks anybody; records nothing until the address itself says yes",
    "/embed/preferences": "shows what stands to whoever is in, and to others the way in",
    "/my/confirm/{token}": "the token of the letter is the key, once",
}
CONFIRM: Final = "/my/confirm"
SAY: Final[Mapping[str, str]] = {
    "old": N_("This form was open too long. Nothing was sent; it is fresh now."),
    "address": N_("Type an address for each way you ticked. Nothing was sent."),
    "none": N_("Tick at least one way, or say no. Nothing was sent."),
    "answer": N_("Choose yes or no. Nothing was sent."),
}


_R = TypeVar("_R", bound=Response)


def framed(shown: _R, origins: Sequence[str]) -> _R:
    """Let the pages of these origins, and nobody else's, put an answer into a frame.

    The older header cannot name origins, so it is left to say what it can.
    """
    ancestors = " ".join(["'self'", *origins]) if origins else "'none'"
    shown.headers["content-security-policy"] = f"{_POLICY}; frame-ancestors {ancestors}"
    shown.headers["x-frame-options"] = "SAMEORIGIN" if origins else "DENY"
    shown.headers["cross-origin-resource-policy"] = "cross-origin"
    return shown


_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"
)


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the form, the widget, and the page on which an address is confirmed."""
    _add_form(app, hub)
    _add_widget(app, hub)
    _add_confirm(app, hub)


def _add_form(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/embed/form/{purpose}", methods=READ, include_in_schema=False)
    def form(request: Request, purpose: str, lang: str = "") -> Response:
        return _form(hub, request, purpose, lang)

    @app.post("/embed/form/{purpose}", include_in_schema=False)
    def send(request: Request, purpose: str, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        own_page(request)
        limited(hub, request, "form", collecting.limits()["per_network_minute"])
        given = form_of(request.headers.get("content-type", ""), raw)
        told = {name: value.decode("utf-8", "replace") for name, value in given.items()}
        answer = told.get("answer", "")
        if answer not in {"yes", "no"}:
            return _form(hub, request, purpose, told.get("lang", ""), say="answer", code=400)
        _, ways = collecting.asked_for(hub.ws, purpose)
        try:
            typed = _typed(hub, told, ways) if answer == "yes" else []
        except InvalidInput:
            return _form(hub, request, purpose, told.get("lang", ""), say="address", code=400)
        if answer == "yes" and not typed:
            return _form(hub, request, purpose, told.get("lang", ""), say="none", code=400)
        asked = (purpose, told.get("lang", ""), told.get("token", ""), told.get("key", ""))
        right = _right(request, told.get("session", ""), told.get("notice", ""))
        try:
            state = collecting.submit(hub.ws, typed, right, asked)
        except InvalidInput:
            return _form(hub, request, purpose, told.get("lang", ""), say="old", code=400)
        shown = portal_page(hub, request, None, "embed_sent.html", "embed", state=state)
        framed(shown, site_place.place(hub.ws).origins)
        shown.background = BackgroundTask(_later, hub)
        return shown


def _later(hub: Hub) -> None:
    """Do what an answer must not wait for; then have the letters leave."""
    collecting.collect_round(hub.ws)
    if "doorman" in hub.kept:
        hub.kept["doorman"].call()


def _typed(
    hub: Hub, told: Mapping[str, str], ways: tuple[Channel, ...]
) -> list[tuple[Channel, str]]:
    """Read each ticked way's address into its one spelling.

    Raises:
        InvalidInput: One is no address of its way.
    """
    with hub.ws.store.look() as view:
        region = hub.ws.desk.house(view).seat
    return [
        (way, addresses.normalise(way, told.get(f"to_{way}", "")[:320].strip(), region))
        for way in ways
        if told.get(f"by_{way}") == "yes"
    ]


def _right(request: Request, session: str, notice: str) -> onsite.Right:
    origin = f"{request.url.scheme}://{request.headers.get('host', '')}"
    return onsite.Right(origin, session, "", notice)


def _form(  # noqa: PLR0913 - a page and what it says
    hub: Hub, request: Request, name: str, lang: str, say: str = "", code: int = 200
) -> Response:
    purpose, ways = collecting.asked_for(hub.ws, name)
    if not ways:
        raise NotFound("there is no such form", "no channel of it can be confirmed")
    notice = require_notice(hub, name, lang or tongue(hub, request).language)
    session, key = (hub.ws.desk.randomness.take(16).hex() for _ in range(2))
    shown = portal_page(
        hub, request, None, "embed_form.html", "embed", code,
        purpose=purpose, ways=[(str(w), words.CHANNELS.get(w, str(w))) for w in ways],
        notice=notice, body=Markup(notice.html),  # noqa: S704 - escaped by our own renderer
        session=session, key=key, say=SAY.get(say, ""),
        token=collecting.right_to_send(hub.ws, _right(request, session, notice.label)),
    )  # fmt: skip
    return framed(shown, site_place.place(hub.ws).origins)


@dataclass(frozen=True, slots=True)
class Stands:
    """What stands for one purpose, by which ways."""

    title: str
    yes: tuple[str, ...]


def _add_widget(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/embed/preferences", methods=READ, include_in_schema=False)
    def widget(request: Request) -> Response:
        try:
            visit = visiting(hub, request)
        except EntryNeeded:
            visit = None
        rows: list[Stands] = []
        if visit is not None:
            owndata.note(hub.ws, visit.eyes, "preferences")
            with hub.ws.store.look() as view:
                house, now = hub.ws.desk.house(view), view.now
            for purpose in sorted(house.purposes.values(), key=lambda p: p.name):
                if purpose.kind is PurposeKind.MARKETING and purpose.channels:
                    held = {
                        str(c): consent.resolve(visit.record, purpose, c, now, house.purposes)
                        for c in sorted(purpose.channels)
                    }
                    yes = [
                        words.CHANNELS.get(c, c)
                        for c, h in held.items()
                        if consent.counts(h, house)
                    ]
                    rows.append(Stands(purpose.title, tuple(yes)))
        shown = portal_page(
            hub, request, None, "embed_preferences.html", "embed", known=visit, rows=rows
        )
        return framed(shown, site_place.place(hub.ws).origins)


def _add_confirm(app: FastAPI, hub: Hub) -> None:
    @app.api_route(CONFIRM + "/{token}", methods=READ, include_in_schema=False)
    def ask(token: str, request: Request) -> Response:
        return _confirm(hub, request, token)

    @app.post(CONFIRM + "/{token}", include_in_schema=False)
    def answered(
        token: str, request: Request, raw: Annotated[bytes, Depends(body_of)]
    ) -> Response:
        own_page(request)
        form = form_of(request.headers.get("content-type", ""), raw)
        said = form.get("answer", b"")
        if said not in {b"yes", b"no"}:
            return _confirm(hub, request, token, code=400)
        try:
            collecting.answer(hub.ws, token, yes=said == b"yes")
        except NotFound:
            return portal_page(
                hub, request, None, "my_confirm.html", "confirm", 404, state="unknown"
            )
        return portal_page(hub, request, None, "my_confirm.html", "confirm", state=said.decode())


def _confirm(hub: Hub, request: Request, token: str, code: int = 200) -> Response:
    try:
        pending = collecting.read(hub.ws, token)
        purpose, _ = collecting.asked_for(hub.ws, pending.purpose)
    except NotFound:
        return portal_page(hub, request, None, "my_confirm.html", "confirm", 404, state="unknown")
    way = words.CHANNELS.get(pending.channel, pending.channel)
    name, _, number = pending.notice.partition("@")
    return portal_page(
        hub, request, None, "my_confirm.html", "confirm", code,
        state="ask", purpose=purpose, way=way, token=token, name=name, number=number,
        language=pending.language,
    )  # fmt: skip
