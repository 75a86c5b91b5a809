"""The people page: one person for one case, masked by default; merging two that are one."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.app import segment_defaults
from troth.capabilities import merging, people
from troth.capabilities.access.acts import may_act
from troth.capabilities.access.cards import Card, open_card
from troth.capabilities.access.cases import Opening, named_case
from troth.capabilities.access.reading import Reading
from troth.errors import Conflict, Fault, InvalidInput, NotFound
from troth.surfaces import faults, timeline, words
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import PersonId, PersonRecord, Refusal, Role

ROLES = (Role.SUPPORT, Role.OFFICER)
CASE_MAX = 64
STAGES = {
    "prospect": "Prospect: has not bought anything yet",
    "customer": "Customer",
    "lapsed": "Lapsed: no dealing for {silent_days} days",
    "ended": "Ended: no dealing for {ended_days} days",
    "open": "In a contract or membership whose end is not known",
}
RELATIONS = {
    "competent_person": "parent or guardian", "contact_of": "contact of this company",
    "agent": "agent with a mandate",
}  # fmt: skip
SAID = {
    "given": "They agreed",
    "reaffirmed": "They agreed again",
    "refused": "They said no",
    "withdrawn": "They took their agreement back",
    "objected": "They objected",
    "opted_out": "They opted out",
    "requested": "They were asked",
    "request_deferred": "They put off an answer",
    "revoked": "The house ended their agreement",
    "expired": "Their agreement ended by itself",
    "invalidated": "Their agreement was declared void",
    "imported": "A list said they agreed, without proof; it does not count",
    "superseded": "A newer answer took the place of this one",
    "unknown": "An answer was noted that says nothing",
}
"""Status of an act → what staff read; the person's own wording is `timeline.STATES`."""
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


def _refused(hub: Hub, request: Request, session: Session, no: Refusal) -> Response:
    said = [(words.title(r.code), words.why(r.code)) for r in no.reasons]
    return _show(hub, request, session, 403, fault="This may not be opened", said=said)


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
            if (no := may_act(hub.ws.desk, session.actor, ROLES)) is not None:
                return _refused(hub, request, session, no)
            person = whom(hub, form.get("address", ""), outside)
            ref = named_case(hub.ws.desk, person, Opening(case, "phone"), session.actor)
        except Fault as fault:
            told = faults.sentence(fault)
            return _show(hub, request, session, 400, fault=told, case=case)
        wanted = _SHOWN if form.get("reveal") else ()
        card = open_card(hub.ws.desk, Reading(person, session.actor, wanted, ref))
        if isinstance(card, Refusal):
            return _refused(hub, request, session, card)
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
            return _show(hub, request, session, 400, fault=faults.sentence(fault))
        return _show(hub, request, session, done="They are one now")

    @app.post("/console/people/unmerge", include_in_schema=False)
    def unmerge(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.OFFICER)
        try:
            keep = whom(hub, form.get("address", ""), form.get("outside", ""))
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


def _values(hub: Hub, person: PersonId, card: Card, *, revealed: bool) -> dict[str, Any]:
    record, zone = card.record, hub.ws.settings.zone
    with hub.ws.store.look() as view:
        house, now = hub.ws.desk.house(view), view.now
        linked = people.links(view, person)
        aliases = len(merging.merged_into(view, person))
    limits = segment_defaults()["stages"]
    stage = people.stage(record, now, **limits)
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
        "stage": STAGES[stage].format(**limits),
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
        said = SAID.get(newest.status, newest.status)
        way = words.CHANNELS.get(channel, "by every channel")
        out.append((purpose, way, f"{said}, {words.day(newest.at, zone)}"))
    return out
