"""A demo's door: five ready people, each of whom one may be for a while.

Only a demo has it, on this machine alone: its people are invented. Who comes in goes through the
same session as everybody, and the visit is an event of theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.errors import NotFound
from troth.surfaces.portal import frame
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.web.acting import own_page
from troth.surfaces.web.console import on_loopback
from troth.surfaces.web.parts import Hub, body_of, form_of

PUBLIC = {"/my/door": "a demo's: invented people, this machine only; a real workspace has none"}


@dataclass(frozen=True, slots=True)
class Ready:
    """One of the cast a visitor may be.

    Attributes:
        who: Outside id.
        story: What is worth seeing as this person.
    """

    who: str
    name: str
    story: str


READY: Final = (
    Ready("cast-adult", "Thandeka Mokoena", N_("a customer who chose level 4")),
    Ready(
        "cast-lapsed", "Annelie van der Merwe", N_("has not bought for a while; reads Afrikaans")
    ),
    Ready("cast-prospect", "Sibusiso Zondi", N_("asked once, bought nothing; reads isiZulu")),
    Ready("cast-guardian", "Praveen Naidoo", N_("acts for his daughter Kavitha, who is 14")),
    Ready("cast-zero", "Heather Palmer", N_("set the slider to 0; acts for a guest house")),
)


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the door, in a demo; the overview of the house asks who is ready."""
    hub.kept["ready"] = lambda request: ready(hub, request)
    if not hub.report:
        return

    @app.post("/my/door", include_in_schema=False)
    def come_in(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        own_page(request)
        form = form_of(request.headers.get("content-type", ""), raw)
        who = form.get("who", b"").decode("ascii", "replace")
        if who not in {each.who for each in ready(hub, request)}:
            raise NotFound("there is no such door", "choose one on the overview")
        with hub.ws.store.look() as view:
            person = hub.ws.desk.find(view, who)
            person = hub.ws.desk.keeper(view, person) if person else None
        if person is None:
            raise NotFound("there is no such door", "choose one on the overview")
        answer = RedirectResponse("/my", 303)
        frame.begin(hub, request, answer, person, "door")
        return answer


def ready(hub: Hub, request: Request) -> Sequence[Ready]:
    """Return whom a visitor of this demo may be; nobody in a real workspace, nobody from afar."""
    if not hub.report or hub.ws.settings.console_url or not on_loopback(request):
        return ()
    with hub.ws.store.look() as view:
        return [each for each in READY if hub.ws.desk.find(view, each.who) is not None]
