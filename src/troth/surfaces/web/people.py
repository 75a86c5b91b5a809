"""The people page: one person for one case, masked by default; merging two that are one."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.capabilities import merging, people
from troth.capabilities.access.cards import Card, open_card
from troth.capabilities.access.reading import Reading
from troth.errors import Conflict, Fault, InvalidInput, NotFound
from troth.ports import View
from troth.surfaces import answering, timeline
from troth.surfaces.web import words
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import Channel, Instant, PersonId, PersonRecord, Refusal, Role

ROLES = (Role.SUPPORT, Role.OFFICER)
SILENT_DAYS, ENDED_DAYS = 90, 3 * 365
CASE_MAX = 64
STAGES = {
    "prospect": "Prospect: has not bought anything yet",
    "customer": "Customer",
    "lapsed": f"Lapsed: no dealing for {SILENT_DAYS} days",
    "ended": "Ended: no dealing for three years",
    "open": "In a contract or membership whose end is not known",
}
RELATIONS = {
    "competent_person": "parent or guardian", "contact_of": "contact of this company",
    "agent": "agent with a mandate",
}  # fmt: skip
_SHOWN = ("identity.name", "contact.email", "contact.phone")


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/people`."""
    _looks(app, hub)
    _merges(app, hub)


def _show(
    hub: Hub,
    request: Request,
    session: Session,
    code: int = 200,
    **values: Any,  # noqa: ANN401
) -> Response:
    given = {"card": None, "fault": "", "done": "", "case": "", "outside": "", **values}
    officer = session.actor.role is Role.OFFICER
    return console_page(
        hub, request, session, "people.html", code, here="people", officer=officer, **given
    )


def _looks(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/console/people", methods=READ, include_in_schema=False)
    def ask(request: Request) -> Response:
        return _show(hub, request, acting(hub, request, *ROLES))

    @app.post("/console/people", include_in_schema=False)
    def look(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        case = form.get("case", "").strip()[:CASE_MAX]
        outside = form.get("outside", "").strip()
        try:
            if not case:
                raise InvalidInput("a look needs its case", "Give its ticket number")
            person = whom(hub, form.get("address", ""), outside)
        except Fault as fault:
            told = f"{fault.message}. {fault.remedy}"
            return _show(hub, request, session, 400, fault=told, case=case)
        wanted = _SHOWN if form.get("reveal") else ()
        card = open_card(hub.ws.desk, Reading(person, session.actor, wanted, f"case {case}"))
        if isinstance(card, Refusal):
            said = [(words.title(r.code), words.why(r.code)) for r in card.reasons]
            return _show(hub, request, session, 403, fault="This may not be opened", said=said)
        return _show(
            hub,
            request,
            session,
            card=card,
            case=case,
            address=form.get("address", ""),
            outside=outside,
            **_values(hub, person, card, revealed=bool(wanted)),
        )


def _merges(app: FastAPI, hub: Hub) -> None:
    @app.post("/console/people/merge", include_in_schema=False)
    def merge(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.OFFICER)
        try:
            keep = whom(hub, "", form.get("keep", ""))
            other = whom(hub, "", form.get("other", ""))
            merging.merge(hub.ws.desk, keep, other, form.get("why", ""), session.actor)
        except (InvalidInput, NotFound, Conflict) as fault:
            return _show(hub, request, session, 400, fault=f"{fault.message}. {fault.remedy}")
        return _show(hub, request, session, done="They are one now")

    @app.post("/console/people/unmerge", include_in_schema=False)
    def unmerge(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.OFFICER)
        try:
            keep = whom(hub, form.get("address", ""), form.get("outside", ""))
            other = _merged(hub, keep, form.get("which", ""))
            merging.unmerge(hub.ws.desk, keep, other, form.get("why", ""), session.actor)
        except (InvalidInput, NotFound, Conflict) as fault:
            return _show(hub, request, session, 400, fault=f"{fault.message}. {fault.remedy}")
        return _show(hub, request, session, done="They are two again")


def _merged(hub: Hub, keep: PersonId, which: str) -> PersonId:
    """Return the record merged into `keep` under this number, counted from 1."""
    with hub.ws.store.look() as view:
        found = _merged_into(view, keep)
    if not which.isascii() or not which.isdigit() or not 1 <= int(which) <= len(found):
        raise NotFound("there is no such merged record", "look at the person again")
    return found[int(which) - 1]


def _merged_into(view: View, keep: PersonId) -> list[PersonId]:
    return [
        alias
        for alias in merging.aliases(view, keep)
        if view.gather([alias], None)[0].record.alias == keep.hex()
    ]


def whom(hub: Hub, address: str, outside: str) -> PersonId:
    """Find whom an address or a customer number means.

    Raises:
        NotFound: Nobody.
        InvalidInput: Several people share the address, or it is none.
    """
    desk = hub.ws.desk
    with hub.ws.store.look() as view:
        if outside.strip():
            found = desk.find(view, outside.strip())
            known = [desk.keeper(view, found)] if found else []
        else:
            known = people.find_by_address(desk, view, Channel.EMAIL, address.strip())
    if not known:
        raise NotFound("Nobody is known under this", "Nothing is held")
    if len(known) > 1:
        raise InvalidInput(
            f"{len(known)} people share this address", "Give the customer number of the one meant"
        )
    return known[0]


def _values(hub: Hub, person: PersonId, card: Card, *, revealed: bool) -> dict[str, Any]:
    record, zone = card.record, hub.ws.settings.zone
    with hub.ws.store.look() as view:
        house, now = hub.ws.desk.house(view), view.now
        linked = people.links(view, person)
        aliases = len(_merged_into(view, person))
    stage = people.stage(record, now, SILENT_DAYS, ENDED_DAYS)
    return {
        "revealed": revealed,
        "names": {
            "Name": " ".join(
                filter(None, (card.opened.get("name.given"), card.opened.get("name.family")))
            ),
            "E-mail": card.opened.get("contact.email", ""),
            "Phone": card.opened.get("contact.sms", ""),
        },
        "closed": words.categories(card.closed),
        "stage": STAGES[stage],
        "facts": _facts(record),
        "dealings": [
            (f"A {each.kind}", words.spoken(each.at, zone))
            for each in sorted(record.relations, key=lambda each: -each.at)[:5]
        ],
        "standing": [
            (f"{timeline.titled(house, purpose)}, {way}", said)
            for purpose, way, said in _standing(record, zone)
        ],
        "links": [(RELATIONS.get(each.relation, each.relation), each.mine) for each in linked],
        "aliases": aliases,
        "restricted": record.restricted,
    }


def _facts(record: PersonRecord) -> list[tuple[str, str]]:
    kinds = {"natural": "a person", "juristic": "a company"}
    given = (
        ("Who", kinds.get(record.subject, record.subject)),
        ("Age", {"minor": "a child", "adult": "an adult"}.get(record.age, "not told")),
        ("Lives in", record.residence or "not told: the strictest rules apply"),
        ("Time zone", record.zone or "not told"),
        ("Language", record.language or "not told"),
        ("How personal", f"level {record.level}" if record.level >= 0 else "no choice made"),
    )
    return list(given)


def _standing(record: PersonRecord, zone: str) -> list[tuple[str, str, str]]:
    out = []
    for scope, found in sorted(record.standings.items()):
        purpose, _, channel = scope.partition("|")
        if purpose.startswith("#"):
            continue
        acts = [a for a in (found.grant, found.deny, found.neutral) if a]
        newest = max(acts, key=lambda act: (act.at, act.recorded, act.n))
        said = timeline.STATES.get(newest.status, newest.status).replace("You", "They")
        day = answering.day(Instant(newest.at), zone)
        out.append((purpose, words.CHANNELS.get(channel, "by every channel"), f"{said}, {day}"))
    return out
