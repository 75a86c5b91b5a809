"""The people page: one person for one case, masked by default; merging two that are one."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.capabilities import merging, people
from troth.capabilities.access import canaries, cases
from troth.capabilities.access.acts import may_act
from troth.capabilities.access.cards import open_card
from troth.capabilities.access.cases import Opening, named_case
from troth.capabilities.access.reading import Reading
from troth.errors import Conflict, Fault, InvalidInput, NotFound
from troth.kernel.looking import TICKET
from troth.surfaces import faults, words
from troth.surfaces.web import people_card
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import DAY, Instant, PersonId, Refusal, Role

ROLES = (Role.SUPPORT, Role.OFFICER)
CASE_MAX = 64
SOURCES = (
    ("phone", "They called"),
    ("mail", "They wrote"),
    ("shop", "They came to a shop"),
    ("ticket", "A ticket of the help desk"),
)
"""Where a case comes from, as staff choose it."""
SELF_DAYS = 90
"""Over so many days the officer sees how often accounts opened their own cases."""


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/people`."""
    _looks(app, hub)
    _closes(app, hub)
    _merges(app, hub)


def _show(
    hub: Hub,
    request: Request,
    session: Session,
    code: int = 200,
    **values: Any,  # noqa: ANN401
) -> Response:
    officer = session.actor.role is Role.OFFICER
    with hub.ws.store.look() as view:
        tickets = hub.ws.desk.house(view).looks.cases == TICKET
        own = (
            cases.self_opened(view, Instant(view.now - SELF_DAYS * DAY)) if officer else Counter()
        )
    given = {
        "card": None, "fault": "", "done": "", "case": "", "outside": "", "source": "phone",
        "tickets": tickets, "sources": SOURCES, "days": SELF_DAYS, "own": own.most_common(20),
        "officer": officer, **values,
    }  # fmt: skip
    return console_page(hub, request, session, "people.html", code, here="people", **given)


def _refused(hub: Hub, request: Request, session: Session, no: Refusal, case: str) -> Response:
    said = [(words.title(r.code), words.why(r.code), words.remedy(r)) for r in no.reasons]
    return _show(hub, request, session, 403, fault="This may not be opened", said=said, case=case)


def _looks(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/console/people", methods=READ, include_in_schema=False)
    def ask(request: Request) -> Response:
        return _show(hub, request, acting(hub, request, *ROLES))

    @app.post("/console/people", include_in_schema=False)
    def look(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        return _looked(hub, request, session, form)


def _closes(app: FastAPI, hub: Hub) -> None:
    @app.post("/console/people/close", include_in_schema=False)
    def close(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        try:
            person = sought(hub, session, form.get("address", ""), form.get("outside", ""))
            number = cases.reference(form.get("case", "")).removeprefix("case:")
            cases.close_case(hub.ws.desk, person, number, session.actor)
        except (InvalidInput, NotFound):  # one answer: nobody learns here who is known
            return _show(hub, request, session, 400, fault="No such case of theirs is open")
        return _show(hub, request, session, done="The case is closed")


def _looked(hub: Hub, request: Request, session: Session, form: Mapping[str, str]) -> Response:
    """Judge the role, find the person, open the case where that is theirs to do, book, show."""
    desk, case = hub.ws.desk, form.get("case", "").strip()[:CASE_MAX]
    outside, address = form.get("outside", "").strip(), form.get("address", "")
    source, reveal = form.get("source", "phone"), form.get("reveal", "")
    try:
        if not case:
            raise InvalidInput("a look needs its case", "Give its ticket number")
        if (no := may_act(desk, session.actor, ROLES)) is not None:
            return _refused(hub, request, session, no, case)
        cases.require_number(case)
        person = whom(hub, address, outside)
        source = source if source in dict(SOURCES) else "phone"
        ref = named_case(desk, person, Opening(case, source), session.actor)
    except Fault as fault:
        return _show(hub, request, session, 400, fault=faults.sentence(fault), case=case)
    reading = Reading(person, session.actor, people_card.SHOWN, ref, caps=people_card.caps(reveal))
    card = open_card(desk, reading)
    if isinstance(card, Refusal):
        return _refused(hub, request, session, card, case)
    return _show(
        hub, request, session, card=card, case=case, reason=ref, address=address,
        outside=outside, reveal=reveal, **people_card.values(hub, reading, card),
    )  # fmt: skip


def _merges(app: FastAPI, hub: Hub) -> None:
    @app.post("/console/people/merge", include_in_schema=False)
    def merge(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.OFFICER)
        try:
            keep = sought(hub, session, "", form.get("keep", ""))
            other = sought(hub, session, "", form.get("other", ""))
            merging.merge(hub.ws.desk, keep, other, form.get("why", ""), session.actor)
        except (InvalidInput, NotFound, Conflict) as fault:
            return _show(hub, request, session, 400, fault=faults.sentence(fault))
        return _show(hub, request, session, done="They are one now")

    @app.post("/console/people/unmerge", include_in_schema=False)
    def unmerge(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.OFFICER)
        try:
            keep = sought(hub, session, form.get("address", ""), form.get("outside", ""))
            other = _merged(hub, keep, form.get("which", ""))
            merging.unmerge(hub.ws.desk, keep, other, form.get("why", ""), session.actor)
        except (InvalidInput, NotFound, Conflict) as fault:
            return _show(hub, request, session, 400, fault=faults.sentence(fault))
        return _show(hub, request, session, done="They are two again")


def _merged(hub: Hub, keep: PersonId, which: str) -> PersonId:
    """Return the record merged into `keep` under this number, counted from 1."""
    with hub.ws.store.look() as view:
        found = merging.merged_into(view, keep)
    if not which.isascii() or not which.isdigit() or not 1 <= int(which) <= len(found):
        raise NotFound("there is no such merged record", "look at the person again")
    return found[int(which) - 1]


def whom(hub: Hub, address: str, outside: str) -> PersonId:
    """Find whom a form means: by customer number, or without one by address; see `people.whom`."""
    number = outside.strip()
    with hub.ws.store.look() as view:
        return people.whom(hub.ws.desk, view, number, "" if number else address.strip())


def sought(hub: Hub, session: Session, address: str, outside: str) -> PersonId:
    """Find whom a form means where no look follows; that it is a canary raises the alarm here."""
    person = whom(hub, address, outside)
    canaries.sound(hub.ws.desk, person, session.actor)
    return person
