"""The desk: every open request with its clock, and one request with all that can be done about it.

The list names nobody. Opening a request is a reading of that person, recorded before it is shown
and seen by them. Support reads and takes requests in; steps are the privacy officer's.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request as Asking
from starlette.responses import RedirectResponse, Response

from troth.app import intake, request_letters, request_pack
from troth.app import requests as desk_of
from troth.capabilities import rights
from troth.capabilities.access import exports
from troth.capabilities.access.reading import Reading, book_reading
from troth.capabilities.rights import clocks
from troth.capabilities.rights.requests import Asked, Move, require_asked
from troth.capabilities.rights.requests_rules import MOVES, NEVER, WITHOUT_PROOF, Request
from troth.capabilities.rights.waiting import Waiting
from troth.errors import Fault, InvalidInput, NotFound
from troth.kernel.calendars import day_begins, day_ends
from troth.kernel.looking import day_of
from troth.surfaces import faults, words
from troth.surfaces.portal.request_words import GROUNDS
from troth.surfaces.web.acting import NotAllowed, Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.surfaces.web.people import sought
from troth.terms import Action, Actor, Instant, PersonId, Refusal, Role

ROLES: Final = (Role.OFFICER, Role.SUPPORT)
HERE: Final = "/console/requests"
RIGHTS: Final[Mapping[str, str]] = {
    "access": "See what we hold",
    "portability": "Take data along",
    "correction": "Correct",
    "deletion": "Delete",
    "restriction": "Only store",
    "objection": "No marketing",
    "review": "A person looks at a decision",
}
WAYS: Final = ("letter", "mail", "phone", "shop", "agent")
STATES: Final[Mapping[str, str]] = {
    "received": "received",
    "identity_pending": "identity to be proven",
    "verified": "verified",
    "planned": "planned",
    "approved": "approved",
    "executing": "being done",
    "verifying": "being checked",
    "fulfilled": "done and checked",
    "blocked": "held back",
    "partial": "done in part",
    "denied": "refused",
    "withdrawn": "taken back",
    "expired": "expired",
    "linked": "a duplicate",
}
ACTS: Final[Mapping[str, str]] = {
    "opened": "Asked",
    "asked": "Question to the person",
    "answered": "Answer of the person",
    "noted": "Note of the house",
    "extended": "Put off",
}
PROOFS: Final = (
    "wrote from the address we hold",
    "was called back on the number we hold",
    "named what only they and we know",
    "acts with a mandate that we checked",
)
_WHO: Final = {str(role): said for role, said in words.ROLES.items()}
_TOLD: Final = {"asked": "asked", "extended": "extended", "denied": "answered",
                "partial": "answered", "fulfilled": "answered"}  # fmt: skip


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the list, one request, its steps and its folder."""
    _add_list(app, hub)
    _add_one(app, hub)


def _add_list(app: FastAPI, hub: Hub) -> None:
    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def shown(request: Asking) -> Response:
        return _list(hub, request, acting(hub, request, *ROLES))

    @app.post(HERE, include_in_schema=False)
    def take(request: Asking, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        try:
            asked = Asked(
                form.get("right", ""),
                how=form.get("how", "") if form.get("how", "") in WAYS else "letter",
                text=form.get("text", ""),
                received=_came(hub, form.get("came", "")),
                proven=False,
            )
            require_asked(hub.ws.desk, asked)
            person = sought(hub, session, form.get("address", ""), form.get("outside", ""))
            made = rights.open_request(hub.ws.desk, person, asked, session.actor)
        except Fault as fault:
            return _list(hub, request, session, 400, fault=faults.sentence(fault))
        request_letters.write(hub.ws, person, made, "opened")
        return RedirectResponse(f"{HERE}/{made.id}", 303)


def _add_one(app: FastAPI, hub: Hub) -> None:
    @app.api_route(HERE + "/{name}", methods=READ, include_in_schema=False)
    def one(name: str, request: Asking) -> Response:
        return _one(hub, request, acting(hub, request, *ROLES), name)

    @app.post(HERE + "/{name}/folder", include_in_schema=False)
    def folder(name: str, request: Asking, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw, Role.OFFICER)
        person, left = _taken_out(hub, session, name)
        files = {exports.MARK: left.mark().encode(), **request_pack.pack(hub.ws, person, name)}
        made = request_pack.zipped(files)
        named = left.named(name, "zip")
        headers = {"content-disposition": f'attachment; filename="{named}"'}
        return Response(made, media_type="application/zip", headers=headers)

    @app.post(HERE + "/{name}/{act}", include_in_schema=False)
    def step(
        name: str, act: str, request: Asking, raw: Annotated[bytes, Depends(body_of)]
    ) -> Response:
        session, form = submitted(hub, request, raw, Role.OFFICER)
        person = _opened(hub, session, name)
        try:
            gone = _act(hub, person, name, act, form, session.actor)
        except (InvalidInput, NotFound) as fault:
            return _one(hub, request, session, name, 400, fault=faults.sentence(fault))
        return RedirectResponse(
            f"{HERE}?done=erased" if gone else f"{HERE}/{name}?done={act}", 303
        )


def _act(  # noqa: PLR0913 - a step and who takes it
    hub: Hub, person: PersonId, name: str, act: str, form: Mapping[str, str], actor: Actor
) -> bool:
    """Take one step; True where nobody is left to show it of."""
    ws, text = hub.ws, form.get("text", "")
    if act == "planned":
        desk_of.plan(ws, person, name, actor)
    elif act == "approved" and form.get("when") in {"grace", "now"}:
        desk_of.approve(ws, person, name, actor, wait=form["when"] == "grace")
    elif act == "erase":
        desk_of.carry_out(ws, person, name, actor)
        return True
    elif act == "fulfil":
        done = desk_of.fulfil(ws, person, name, actor, text)
        request_letters.write(ws, person, done, "answered")
    elif act == "withdrawn":
        desk_of.cancel(ws, person, name, actor)
    elif act in {"verified", "approved", "asked", "noted", "extended", "denied", "blocked",
                 "partial"}:  # fmt: skip
        due = _farthest(hub, form.get("day", "")) if act == "extended" else NEVER
        move = Move(act, form.get("ground", ""), text, due)
        done = rights.move(ws.desk, person, name, move, actor)
        if act in _TOLD:
            request_letters.write(ws, person, done, _TOLD[act])
    else:
        raise InvalidInput("there is no such step", "go back to the request")
    return False


def _came(hub: Hub, text: str) -> Instant:
    """Return when the day a letter came began, in the house's zone; 0 where none is named."""
    if not text:
        return NEVER
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("this is no day", "write it as 2026-11-23") from None
    return day_begins(day, hub.ws.settings.zone)


def _farthest(hub: Hub, text: str) -> Instant:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("this is no day", "write it as 2026-11-23") from None
    return day_ends(day, hub.ws.settings.zone)


def _list(
    hub: Hub, request: Asking, session: Session, code: int = 200, fault: str = ""
) -> Response:
    asked = request.query_params
    with hub.ws.store.look() as view:
        found, now = rights.queue(view), view.now
        counts = rights.alarms(view)
    rows = [_line(hub, each, now) for each in found]
    shown = [r for r in rows if all(asked.get(k, "") in {"", r[k]} for k in ("colour", "right"))]
    return console_page(
        hub, request, session, "console_requests.html", code, here="requests",
        rows=shown, total=len(rows), counts=counts, waiting=intake.waiting(hub.ws),
        rights=list(RIGHTS.items()), ways=WAYS, fault=fault, done=asked.get("done", ""),
        chosen={"colour": asked.get("colour", ""), "right": asked.get("right", "")},
    )  # fmt: skip


def _line(hub: Hub, each: Waiting, now: Instant) -> Mapping[str, Any]:
    zone = hub.ws.settings.zone
    return {
        "id": each.id,
        "right": each.right,
        "title": RIGHTS[each.right],
        "state": STATES[each.state],
        "received": words.day(each.received, zone),
        "due": words.day(Instant(each.due - 1), zone),
        "left": clocks.days_left(each.due, now, zone),
        "colour": clocks.colour(each.received, each.due, now),
        "rule": each.rule,
        "extended": each.extended,
        "carried_out": words.spoken(each.carried_out, zone) if each.carried_out else "",
    }


def _taken_out(hub: Hub, session: Session, name: str) -> tuple[PersonId, exports.Export]:
    """Return whose request this is and the export its folder leaves in, once both are recorded.

    Raises:
        NotFound: There is no such request.
        NotAllowed: The gate refuses; that is recorded.
    """
    desk = hub.ws.desk
    with hub.ws.store.look() as view:
        person = rights.whose(view, name)
    reading = Reading(
        person, session.actor, ("requests",), f"request:{name}", Action.EXPORT,
        export=exports.new_id(desk), what="request",
    )  # fmt: skip
    if isinstance(book_reading(desk, reading), Refusal):
        raise NotAllowed((Role.OFFICER,))
    with hub.ws.store.look() as view:
        return person, exports.found(view, reading.export)


def _opened(hub: Hub, session: Session, name: str) -> PersonId:
    """Return whose request this is, once the reading is recorded: once a session and request.

    Raises:
        NotFound: There is no such request.
        NotAllowed: The gate refuses; that is recorded.
    """
    with hub.ws.store.look() as view:
        person, today = rights.whose(view, name), day_of(view.now)
    seen: set[tuple[str, str, int]] = hub.kept.setdefault("requests.seen", set())
    if (session.form, name, today) not in seen:
        reading = Reading(person, session.actor, ("requests",), f"request:{name}")
        if isinstance(book_reading(hub.ws.desk, reading), Refusal):
            raise NotAllowed((Role.OFFICER,))
        seen.add((session.form, name, today))
    return person


def _one(  # noqa: PLR0913 - a page and what it says
    hub: Hub, request: Asking, session: Session, name: str, code: int = 200, fault: str = ""
) -> Response:
    person = _opened(hub, session, name)
    desk = hub.ws.desk
    with hub.ws.store.look() as view:
        held = rights.request_of(desk, view, person, name)
        clock = rights.clock_of(desk, view, person, held.right, held.received)
        now, house = view.now, desk.house(view)
        same = [
            r for r in rights.requests_of(desk, view, person)
            if r.id != held.id and (r.other == held.id or r.id == held.other)
        ]  # fmt: skip
    zone = hub.ws.settings.zone
    known = {rule.id: rule for rule in house.ruleset.rules}
    rule = known.get(held.rule)
    officer = session.actor.role is Role.OFFICER
    return console_page(
        hub, request, session, "console_request.html", code, here="requests", r=held,
        title=RIGHTS[held.right], state=STATES[held.state], officer=officer, fault=fault,
        done=request.query_params.get("done", ""),
        colour=clocks.colour(held.received, held.due, now),
        left=clocks.days_left(held.due, now, zone), received=words.spoken(held.received, zone),
        due=words.day(Instant(held.due - 1), zone),
        legal=words.day(Instant(clock.legal - 1), zone),
        latest=clocks.last_day(clock.latest, clock.zone) if clock.latest else "",
        rule=f"{rule.title}. {rule.source}" if rule else "The house's own promise",
        checked=bool(rule and not rule.needs_check), proof=_proof(held), proofs=PROOFS,
        steps=[_said(hub, s.act, s.at, s.role, s.ground, s.text) for s in held.steps],
        may=_may(held) if officer else frozenset(), same=same,
        grounds={a: _grounds(a) for a in ("denied", "blocked", "partial", "extended")},
        whole=held.right == "deletion" and bool(held.carried_out),
        ripe=held.carried_out <= now, by_words=held.right in desk_of.BY_WORDS,
        carried_out=words.spoken(held.carried_out, zone) if held.carried_out else "",
        days=clocks.settings()["grace"]["days"],
    )  # fmt: skip


def _may(held: Request) -> frozenset[str]:
    out = set(MOVES.get(held.state, ()))
    if held.open:
        out |= {"asked", "noted"} | (set() if held.extended else {"extended"})
    return frozenset(out)


def _grounds(act: str) -> Sequence[tuple[str, str]]:
    return [(name, GROUNDS[name]) for name in clocks.grounds(act)]


def _proof(held: Request) -> str:
    """Say how it is known that the person asks; no more is asked than the right needs."""
    if held.right in WITHOUT_PROOF:
        return "None is asked: nobody is harmed by a stop."
    if held.how in {"portal", "form"}:
        return "They came in by their own address or passkey."
    step = held.acted("verified")
    if step is None:
        return "Not proven yet. Ask for nothing the house does not already hold."
    return f"They {step.text}." if step.text else "Proven when it was taken in."


def _said(  # noqa: PLR0913 - one step
    hub: Hub, act: str, at: Instant, role: str, ground: str, text: str
) -> Mapping[str, str]:
    return {
        "title": ACTS.get(act, STATES.get(act, act)).capitalize(),
        "when": words.spoken(at, hub.ws.settings.zone),
        "by": "the person" if role == Role.PERSON else _WHO.get(role, "the house"),
        "ground": GROUNDS.get(ground, ""),
        "text": text,
    }
