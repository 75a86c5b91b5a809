"""My consent records: each in plain words and as a file; and, for anybody, whether one holds.

The public page answers valid, superseded or unknown, to a file or to its short code, and says
nothing of anybody: whoever holds no record learns nothing. What is dropped there is kept nowhere.
"""

from typing import Annotated, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth import crypto
from troth.app import owndata, records
from troth.capabilities import preferences
from troth.engines import dpv
from troth.errors import InvalidInput, NotFound
from troth.surfaces import words
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import READ, Visit, portal_page, visiting
from troth.surfaces.web.parts import Hub, body_of, form_of
from troth.surfaces.web.site import limited

HERE: Final = "/my/records"
PUBLIC = {"/record": "says whether a consent record somebody holds is valid; names nobody"}
PER_MINUTE: Final = 30
STATES = {
    "valid": (
        N_("This record is valid"),
        N_("It is one of ours, word for word, and what it says still stands."),
    ),
    "superseded": (
        N_("This record was superseded"),
        N_("It is one of ours, but a later choice took its place, or its time ran out."),
    ),
    "unknown": (
        N_("This record is unknown here"),
        N_("It is none of ours, or a letter was changed, or its person is not with us any more."),
    ),
}
"""What is answered about a record; nothing else is ever said."""
SAID = {
    "dpv:ConsentGiven": N_("You agreed"),
    "dpv:RenewedConsentGiven": N_("You agreed again"),
    "dpv:ConsentRequested": N_("You agreed; your address is still to be confirmed"),
    "dpv:ConsentRequestDeferred": N_("You put the answer off"),
    "dpv:ConsentRefused": N_("You said no"),
    "dpv:ConsentWithdrawn": N_("You took your yes back"),
    "dpv:ConsentRevoked": N_("We ended it"),
    "dpv:ConsentExpired": N_("It ran out"),
    "dpv:ConsentInvalidated": N_("It was found invalid"),
    "dpv:LegitimateInterestObjected": N_("You objected"),
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the list, a record, its file, and the public check."""

    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def listed(request: Request) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "records")
        held = records.mine(hub.ws, visit.person)
        shown = [
            (f"{HERE}/{mark}", kept, _told(raw), _title(hub, kept)) for mark, kept, raw in held
        ]
        return portal_page(
            hub, request, visit, "my_records.html", "records", records=shown, said=SAID
        )

    @app.api_route(HERE + "/{mark}", methods=READ, include_in_schema=False)
    def one(request: Request, mark: str) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "records")
        plain = mark.removesuffix(".json")
        kept, raw = _one(hub, visit, plain)
        if plain != mark:
            name = f"consent-record-{plain}.json"
            headers = {"content-disposition": f'attachment; filename="{name}"'}
            return Response(raw, media_type="application/ld+json", headers=headers)
        return portal_page(
            hub, request, visit, "my_record.html", "records",
            kept=kept, told=_told(raw), title=_title(hub, kept), mark=plain, said=SAID,
            ways=[words.CHANNELS.get(c, c) for c in kept.act.channels if c != "*"],
        )  # fmt: skip

    @app.api_route("/record", methods=READ, include_in_schema=False)
    def public(request: Request) -> Response:
        return _public(hub, request)

    @app.post("/record", include_in_schema=False)
    def check(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        limited(hub, request, "record", PER_MINUTE)
        form = form_of(request.headers.get("content-type", ""), raw)
        code = form.get("code", b"").decode("utf-8", "replace").strip()
        file = form.get("file", b"")
        if not code and not file:
            return _public(hub, request, wrong=N_("Choose a file, or type a code."), code=400)
        try:
            state = _state(hub, code, file)
        except InvalidInput:
            wrong = N_(
                "A character of this code is wrong, or it is none. Compare it with your copy."
            )
            return _public(hub, request, wrong=wrong, code=400)
        return _public(hub, request, state=state)


def _state(hub: Hub, code: str, file: bytes) -> str:
    with hub.ws.store.look() as view:
        if file:
            return preferences.standing(hub.ws.desk, view, crypto.sha256(file))
        return preferences.standing_of_code(hub.ws.desk, view, code)


def _public(
    hub: Hub, request: Request, state: str = "", wrong: str = "", code: int = 200
) -> Response:
    told = STATES.get(state)
    return portal_page(
        hub, request, None, "record.html", "record", code, state=state, told=told, wrong=wrong
    )


def _one(hub: Hub, visit: Visit, mark: str) -> tuple[preferences.Kept, bytes]:
    held = records.mine(hub.ws, visit.person)
    found = next(((kept, raw) for known, kept, raw in held if known == mark), None)
    if found is None:
        raise NotFound("there is no such consent record", f"all of yours are listed at {HERE}")
    return found


def _title(hub: Hub, kept: preferences.Kept) -> str:
    with hub.ws.store.look() as view:
        found = hub.ws.desk.house(view).purposes.get(kept.act.purpose)
    return found.title if found else kept.act.purpose


def _told(raw: bytes) -> dpv.Told:
    return dpv.read(raw)
