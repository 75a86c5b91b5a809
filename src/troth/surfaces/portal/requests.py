"""My requests: what was asked, by when it is answered and by which rule; whom to complain to.

What a click can do is done by the click: only storing, and no marketing. The rest has a page of
its own, or is asked in one's own words and answered by a person.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request as Asking
from starlette.responses import JSONResponse, RedirectResponse, Response

from troth.app import intake, owndata, request_acts, request_letters
from troth.app import requests as desk_of
from troth.capabilities import rights
from troth.capabilities.access.reading import Reading, book_reading
from troth.capabilities.rights import clocks
from troth.capabilities.rights.authorities import authorities, looked_up
from troth.capabilities.rights.requests import Asked, Move
from troth.capabilities.rights.requests_rules import MOVES, Request, Step
from troth.capabilities.rights.restricting import HOUSE, PERSON
from troth.errors import InvalidInput
from troth.kernel.house import parse_toml
from troth.surfaces.portal import request_words as words
from troth.surfaces.portal.frame import Done, Visit, finished, portal_page, submitted, visiting
from troth.surfaces.web.acting import NotAllowed, keyed
from troth.surfaces.web.acting import key_actor as actor_of_key
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import Action, Refusal, Role

READ = ["GET", "HEAD"]
HERE: Final = "/my/requests"
PUBLIC = {"/api/v1/requests/{request_id}": "asks for an officer's key or the person's own session"}
ASKABLE = ("access", "correction", "review", "deletion", "portability")
_SAID_BY_US = frozenset({"asked", "extended", "denied", "blocked", "partial", "fulfilled"})


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page, its acts, and the status for programs."""
    _add_page(app, hub)

    @app.get("/api/v1/requests/{request_id}", include_in_schema=False)
    def status(request_id: str, request: Asking) -> Response:
        return JSONResponse(_status(hub, request, request_id))


def _add_page(app: FastAPI, hub: Hub) -> None:
    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def shown(request: Asking) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "requests")
        with hub.ws.store.look() as view:
            found = rights.requests_of(hub.ws.desk, view, visit.person)
            held = rights.holds(hub.ws.desk, view, visit.person)
            contact, seat = _contact(hub)
        return portal_page(
            hub, request, visit, "my_requests.html", "requests",
            open=[_row(hub, visit, each) for each in found if each.open],
            closed=[_row(hub, visit, each) for each in found if not each.open],
            restricted=visit.record.restricted, own=PERSON in held, ours=HOUSE in held,
            liftable=PERSON in held and visit.may_grant and not _waits(found),
            contact=contact, once=hub.reference(),
            unproven=[_unproven(visit, each) for each in intake.under(hub.ws, visit.person)],
            askable=[(name, visit.gettext(words.RIGHTS[name])) for name in ASKABLE],
            authorities=authorities(visit.record.residence, seat), looked_up=looked_up(),
        )  # fmt: skip

    @app.post(HERE, include_in_schema=False)
    def ask(request: Asking, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        if form.get("right") not in ASKABLE or not form.get("text", "").strip():
            raise InvalidInput("the request does not read", "choose what it is about and write it")
        asked = Asked(
            form["right"], text=form["text"], key=form.get("key", ""), given_by=visit.given_by
        )
        made = rights.open_request(hub.ws.desk, visit.person, asked, visit.actor)
        request_letters.write(hub.ws, visit.person, made, "opened")
        said = visit.gettext(
            "We have your request. You get an answer by %(day)s at the latest.",
            day=visit.day(_last(hub, made)),
        )
        return finished(visit, HERE, Done(said, made.steps[0].n))

    @app.post(HERE + "/{act}", include_in_schema=False)
    def act(act: str, request: Asking, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        which = form.get("request", "")
        if act == "withdraw":
            require_asker(hub, visit, which)
            done = desk_of.cancel(hub.ws, visit.person, which, visit.actor)
            said = visit.gettext("You took your request back. Nothing more is done about it.")
            return finished(visit, HERE, Done(said, done.steps[-1].n))
        if act == "answer":
            step = Move("answered", text=form.get("text", ""))
            done = rights.move(hub.ws.desk, visit.person, which, step, visit.actor)
            said = visit.gettext("Your answer is with us.")
            return finished(visit, HERE, Done(said, done.steps[-1].n))
        if act == "mine":
            place = form.get("place", "")
            made = request_acts.adopt(hub.ws, visit.person, place, visit.actor, visit.given_by)
            said = visit.gettext("It is your request now, and counts from the day you asked it.")
            return finished(visit, HERE, Done(said, made.steps[0].n))
        if act == "notmine":
            intake.disown(hub.ws, visit.person, form.get("place", ""))
            said = visit.gettext("It is gone. Nothing was done about it.")
            return finished(visit, HERE, Done(said))
        return _click(hub, visit, act)


def _click(hub: Hub, visit: Visit, act: str) -> Response:
    """Do what a click can do; each has its receipt, and its undo."""
    if act == "restrict":
        _, n = request_acts.only_store(hub.ws, visit.person, visit.actor, visit.given_by)
        said = visit.gettext(
            "From now on your data is only stored. Letters you ask for still come."
        )
        return finished(visit, HERE, Done(said, n, (HERE + "/lift", {})))
    if act == "lift":
        _require_free(hub, visit)
        rights.lift_restriction(hub.ws.desk, visit.person, "undone by the person", visit.actor)
        with hub.ws.store.look() as view:
            n = hub.ws.desk.head(view, visit.person).n
        said = visit.gettext("Your data may be used again as you agreed before.")
        return finished(visit, HERE, Done(said, n, (HERE + "/restrict", {})))
    if act == "object":
        _, n = request_acts.no_marketing(hub.ws, visit.person, visit.actor, visit.given_by)
        said = visit.gettext(
            "No marketing from us any more, by any way. The very next message respects it."
        )
        return finished(visit, HERE, Done(said, n, (HERE + "/unobject", {})))
    if act == "unobject":  # a yes is given beside its notice, never by a hidden field
        return RedirectResponse("/my/preferences", 303)
    raise InvalidInput("there is no such act", "go back to your requests")


def _require_free(hub: Hub, visit: Visit) -> None:
    """Require that this visit may widen, and that no deletion waits that promised only storing."""
    visit.require_grant()
    with hub.ws.store.look() as view:
        found = rights.requests_of(hub.ws.desk, view, visit.person)
    if _waits(found):
        raise InvalidInput("a deletion waits: until then data is only stored", "take it back")


def _waits(found: Sequence[Request]) -> bool:
    """Tell whether a deletion is approved and not done yet."""
    return any(each.open and each.carried_out for each in found)


def require_asker(hub: Hub, visit: Visit, which: str) -> None:
    """Require that this visit may take a request back: whoever may agree, or asked for it.

    Raises:
        InvalidInput: Somebody under 18 takes back what another asked for them.
        NotFound: There is no such request.
    """
    asked = desk_of.asked_by(hub.ws, visit.person, which, visit.actor)
    if not (visit.may_grant or asked):
        raise InvalidInput(
            "a competent person asked this for somebody under 18", "ask them to take it back"
        )


def _last(hub: Hub, held: Request) -> Any:  # noqa: ANN401 - a date; the tongue writes it
    with hub.ws.store.look() as view:
        house = hub.ws.desk.house(view)
    known = {rule.id: rule for rule in house.ruleset.rules}
    rule = known.get(held.rule)
    zone = house.ruleset.regimes[rule.regime].zone if rule else house.zone
    return clocks.last_day(held.due, zone)


def _row(hub: Hub, visit: Visit, held: Request) -> Mapping[str, Any]:
    with hub.ws.store.look() as view:
        now, house = view.now, hub.ws.desk.house(view)
    law = {rule.id: rule.law for rule in house.ruleset.rules}.get(held.rule, "")
    say = visit.gettext
    day = _last(hub, held)
    left = (day - clocks.last_day(now, house.zone)).days
    end = {
        "fulfilled": None, "linked": None,
        "approved": say("It is carried out on %(day)s.", day=visit.day(held.carried_out))
        if held.carried_out and held.right == "deletion" else None,
    }.get(held.state)  # fmt: skip
    return {
        "id": held.id,
        "title": say(words.RIGHTS[held.right]),
        "asked": visit.day(held.received),
        "state": say(words.STATES[held.state]),
        "code": held.state,
        "colour": clocks.colour(held.received, held.due, now) if held.open else "",
        "due": visit.day(day),
        "left": visit.ngettext("%(n)s day left", "%(n)s days left", max(left, 0)),
        "late": left < 0,
        "rule": f"{law} ({held.rule})" if law else say("our own promise"),
        "extended": held.extended,
        "next": end or (say(words.NEXT[held.state]) if held.state in words.NEXT else ""),
        "ground": say(words.GROUNDS[held.ground]) if held.ground in words.GROUNDS else "",
        "said": [_message(visit, step) for step in held.steps if _is_message(step)],
        "may_withdraw": "withdrawn" in MOVES.get(held.state, ()),
        "may_answer": held.open,
        "deletion": held.right == "deletion" and bool(held.carried_out),
        "receipt": held.steps[-1].n,
    }


def _unproven(visit: Visit, found: intake.Found) -> Mapping[str, str]:
    return {
        "place": found.place,
        "title": visit.gettext(words.RIGHTS[found.right]),
        "text": found.text,
        "asked": visit.moment(found.asked),
    }


def _is_message(step: Step) -> bool:
    return bool(step.text) and step.act in {*_SAID_BY_US, "opened", "answered"}


def _message(visit: Visit, step: Step) -> Mapping[str, str]:
    mine = step.role == Role.PERSON
    return {
        "who": visit.gettext("You wrote") if mine else visit.gettext("We wrote"),
        "when": visit.moment(step.at),
        "text": step.text,
    }


def _contact(hub: Hub) -> tuple[str, str]:
    """Return where to write to the company, and where it sits."""
    with hub.ws.store.look() as view:
        found = view.published("house")
        seat = hub.ws.desk.house(view).seat
    said = parse_toml("house.toml", found.data).get("house", {}) if found else {}
    return str(said.get("privacy_contact", "")), seat


def _status(hub: Hub, request: Asking, request_id: str) -> Mapping[str, str]:
    """Return a request's status: for the person in their session, for an officer by key.

    Raises:
        NotAllowed: The key is no officer's, or may not read.
        NotFound: There is no such request, or it is somebody else's.
    """
    desk = hub.ws.desk
    if "authorization" not in request.headers:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "requests")
        with hub.ws.store.look() as view:
            return rights.status(rights.request_of(desk, view, visit.person, request_id))
    key = keyed(hub, request)
    if key.role is not Role.OFFICER or Action.READ not in key.actions:
        raise NotAllowed((Role.OFFICER,))
    with hub.ws.store.look() as view:
        person = rights.whose(view, request_id)
    asked = Reading(person, actor_of_key(hub, key), ("requests",), f"request:{request_id}")
    if isinstance(book_reading(desk, asked), Refusal):
        raise NotAllowed((Role.OFFICER,))
    with hub.ws.store.look() as view:
        return rights.status(rights.request_of(desk, view, person, request_id))
