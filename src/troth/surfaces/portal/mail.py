"""The preferences link at the foot of each mail: what this address gets, and stopping it.

It opens without a sign-in and narrows only. It names nobody and opens no data: whoever reads a
mail that was passed on can do no more than stop the address it went to. Looking changes nothing.
Whoever has another address by now is not on it: neither what they get there nor what they chose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.app import entry as wired
from troth.capabilities import outreach, preferences
from troth.errors import EvidenceBroken, InvalidInput, NotFound
from troth.kernel.desk import SYSTEM
from troth.kernel.gate import Permit
from troth.surfaces.portal import entry
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import READ
from troth.surfaces.web.acting import own_page
from troth.surfaces.web.parts import Hub, body_of, form_of
from troth.terms import Channel, Instant, Published, PurposeKind, ReasonCode

PUBLIC = {
    "/my/mail/{token}": "the token of the mail is the key; it stops the mail's address, no more",
    "/my/mail/{token}/link": "asks for a way in, for the address the mail went to",
}
PAUSES: Final = (30, 90)
PASSING: Final = frozenset(
    {ReasonCode.FREQUENCY_CAP, ReasonCode.QUIET_HOURS, ReasonCode.REGISTRY_STALE}
)
"""What holds a message up for now: the address is open all the same."""
DONE: Final = {
    "these": (N_("These messages have stopped"), N_("The next message will respect this.")),
    "all": (
        N_("All advertising to this address has stopped"),
        N_("You still get messages about what you order or ask for."),
    ),
    "pause": (
        N_("Advertising to this address rests"),
        N_("It may begin again by itself when the pause is over, as far as you allowed it."),
    ),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of message; `mine`: the mail whose link this is was of it."""

    title: str
    open: bool
    mine: bool


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page of a mail's link, and asking from it for a way in."""

    @app.api_route("/my/mail/{token}", methods=READ, include_in_schema=False)
    def look(token: str, request: Request) -> Response:
        try:
            stop = preferences.read_token(hub.ws.desk, token)
        except NotFound:
            return _unknown(hub, request)
        return _shown(hub, request, token, stop)

    @app.post("/my/mail/{token}", include_in_schema=False)
    def act(token: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        own_page(request)
        form = form_of(request.headers.get("content-type", ""), raw)
        wish, _, days = form.get("do", b"").decode("ascii", "replace").partition("-")
        try:
            stop = preferences.read_token(hub.ws.desk, token)
            _carry_out(hub, token, stop, wish, days)
        except NotFound:
            return _unknown(hub, request)
        return _shown(hub, request, token, stop, wish)

    @app.post("/my/mail/{token}/link", include_in_schema=False)
    def steer(token: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        _, cookie = entry.believed(hub, request, raw)
        if not cookie:
            return RedirectResponse("/my/enter?say=old", 303)
        try:
            good = wired.ask_for_mail(hub.ws, token, entry.network(hub, request), cookie)
        except NotFound:
            return _unknown(hub, request)
        return entry.answered(hub, good=good)


def _carry_out(hub: Hub, token: str, stop: preferences.Stop, wish: str, days: str) -> None:
    """Narrow as asked; nothing on this page can widen.

    Raises:
        InvalidInput: It asks for something else.
    """
    length = next((each for each in PAUSES if str(each) == days), 0)
    if wish == "these":
        preferences.carry_out(hub.ws.desk, stop, method="mail_page")
    elif wish == "all":
        wired.stop_mail_address(hub.ws, token)
    elif wish == "pause" and length:
        wired.stop_mail_address(hub.ws, token, length)
    else:
        raise InvalidInput("nothing was changed: the form asks for nothing", "choose one")


def _unknown(hub: Hub, request: Request) -> Response:
    cookie = entry.cookie_of(hub, request)
    return entry.begun(hub, request, cookie, "my_mail.html", 404, stop="")


def _shown(
    hub: Hub, request: Request, token: str, stop: preferences.Stop, wish: str = ""
) -> Response:
    theirs = preferences.is_theirs(hub.ws.desk, stop)
    kinds = _kinds(hub, stop) if theirs else ()
    cookie = entry.cookie_of(hub, request)
    try:
        shown = preferences.shown_address(hub.ws.desk, token, stop)
    except EvidenceBroken:
        shown = ""
    return entry.begun(
        hub,
        request,
        cookie,
        "my_mail.html",
        stop=token,
        shown=shown,
        kinds=kinds,
        open=any(each.open for each in kinds),
        mine=next((each for each in kinds if each.mine), None),
        theirs=theirs,
        did=DONE.get(wish),
        pauses=PAUSES,
    )


def _kinds(hub: Hub, stop: preferences.Stop) -> Sequence[Kind]:
    """Say for which kinds of messages the address is open now, as the gate would answer."""
    desk, channel = hub.ws.desk, Channel(stop.channel)
    out = []
    with desk.store.look() as view:
        house = desk.house(view)
        person = desk.keeper(view, stop.person)
        asked = house.purposes.get(stop.purpose)
        kinds = [p for p in house.purposes.values() if p.kind is PurposeKind.MARKETING]
        parents = {each.parent for each in kinds}
        for purpose in sorted(kinds, key=lambda each: each.title):
            if channel not in purpose.channels or purpose.name in parents:
                continue  # what others stand under is sent by itself to nobody
            draft = Published("mail page", 1, Instant(0), "", b"")
            campaign = outreach.Campaign(
                "mail page", purpose.name, "00" * 32, draft, hub.ws.sender(), channel
            )
            found = outreach.judge(desk, view, campaign, [person], SYSTEM)
            mine = purpose.name == stop.purpose or bool(asked and asked.parent == purpose.name)
            out.append(Kind(purpose.title, bool(found) and _open(found[0].answer), mine))
    return out


def _open(answer: object) -> bool:
    if isinstance(answer, Permit):
        return True
    return {reason.code for reason in getattr(answer, "reasons", ())} <= PASSING
