"""A person's requests about their data: asked, moved on, answered; each step an event of theirs.

The record of a request is its steps in the person's own chain; `waiting` keeps one row beside it
while it is open, so that the desk sees what is due without opening anybody.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from troth import crypto
from troth.capabilities.rights import clocks, restricting
from troth.capabilities.rights import requests_rules as rules
from troth.capabilities.rights.clocks import Clock, Place
from troth.capabilities.rights.requests_rules import Request, Told
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel import cases, events
from troth.kernel.desk import Desk, everybody
from troth.kernel.looking import STAFF
from troth.kernel.vault import lp
from troth.ports import Transaction, View
from troth.terms import (
    DAY,
    SECOND,
    Actor,
    Head,
    Instant,
    PersonId,
    Prepared,
    Role,
    zulu,
)

ID_BYTES = 10
TRIES = 20
TEXT_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for.

    Attributes:
        right: access, portability, correction, deletion, restriction, objection or review.
        how: portal, mail, letter, shop, phone, api, agent or form.
        scope: Categories or fields it is about; () everything.
        text: In their own words.
        received: When it came in, if not now.
        proven: Whether it is proven that this person asks; a person's own session proves it.
        key: An idempotency key: the same one returns the same request.
    """

    right: str
    how: str = "portal"
    scope: tuple[str, ...] = ()
    text: str = field(default="", repr=False)
    received: Instant = rules.NEVER
    proven: bool = True
    key: str = ""
    given_by: str = "self"


@dataclass(frozen=True, slots=True)
class Move:
    """One step.

    Attributes:
        act: See `events.RequestActed`.
        ground: Of a refusal, block, extension: an id of `rights.toml`.
        text: What the other side reads, or what is noted.
        due: Of an extension the first instant after the new last day; of an approval when it is
            carried out.
        report: Canonical bytes of the report that passed; to fulfil.
        other: Of a duplicate, the first one.
    """

    act: str
    ground: str = ""
    text: str = field(default="", repr=False)
    due: Instant = rules.NEVER
    report: bytes = b""
    other: str = ""


# Reading


def requests_of(desk: Desk, view: View, person: PersonId) -> list[Request]:
    """Return a person's requests, newest first, over all their ids; opens their events.

    Whoever shows them to somebody else books the reading first.

    Raises:
        Shredded: The person was erased.
    """
    found = _of_all(desk, view, everybody(view, person)).values()
    return sorted(found, key=lambda request: (-request.received, request.id))


def request_of(desk: Desk, view: View, person: PersonId, request: str) -> Request:
    """Return one request of a person.

    Raises:
        NotFound: They made no such request.
    """
    found = next((r for r in requests_of(desk, view, person) if r.id == request), None)
    if found is None:
        raise NotFound("there is no such request", "look at the list of requests")
    return found


def _folded(desk: Desk, view: View, person: PersonId) -> dict[str, Request]:
    return rules.fold(
        Told(r.event.payload, r.event.at, r.event.n, r.event.actor)
        for r in desk.scribe.chain(view, person)
        if isinstance(r.event.payload, events.RequestActed)
    )


def _of_all(desk: Desk, view: View, ids: Sequence[PersonId]) -> dict[str, Request]:
    return {name: held for each in ids for name, held in _folded(desk, view, each).items()}


def place_of(desk: Desk, view: View, person: PersonId) -> Place:
    """Return where the rules of a person's clocks are looked for."""
    found = view.gather([person], None)
    house = desk.house(view)
    return Place(found[0].record.residence if found else "", house.seat, house.zone)


def clock_of(desk: Desk, view: View, person: PersonId, right: str, received: Instant) -> Clock:
    """Return the clock of a request of a person; see `clocks.clock`."""
    house = desk.house(view)
    return clocks.clock(house.ruleset, right, received, place_of(desk, view, person))


# Asking


def require_asked(desk: Desk, asked: Asked) -> None:
    """Require that a request reads, before anybody is searched for.

    Raises:
        InvalidInput: No such right, a text too long, or received in the future.
    """
    if asked.right not in clocks.rights() or len(asked.text) > TEXT_MAX:
        raise InvalidInput("the request does not read", "name a right, and at most 4,000 signs")
    with desk.store.look() as view:
        if asked.received > view.now:
            raise InvalidInput("a request cannot come in later than now", "give the day it came")


def open_request(desk: Desk, person: PersonId, asked: Asked, actor: Actor) -> Request:
    """Open a request; where one of the same right is open already, link this one to it.

    A person's own session is proof enough for their own request, and no proof is asked for an
    objection or a restriction. Repeating it with the same key returns the same request.

    Raises:
        NotFound: Nothing is held under this id.
        InvalidInput: No such right, a text too long, or received in the future.
        Unavailable: The person asked for this too often today; never of a stop or a deletion.
        Shredded: The person was erased.
    """
    require_asked(desk, asked)
    if actor.role not in rules.ROLES["opened"]:
        raise InvalidInput("this role opens no request", "ask the privacy officer")
    for _ in range(TRIES):
        with desk.store.look() as view:
            ids = everybody(view, person)
            kept = ids[0]
            if not view.gather([kept], None):
                raise NotFound("nothing is held under this id")
            held = _of_all(desk, view, ids)
            named = [_id_for(desk, each, asked.key) for each in ids]
            again = next((held[name] for name in named if name in held), None)
            if again is not None:
                return again
            request = named[0]
            said = _opening(desk, view, kept, asked, request, held)
            prepared = _prepared(desk, view, kept, said, actor)
        if _booked(desk, prepared, actor):
            with desk.store.look() as view:
                return request_of(desk, view, kept, request)
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _id_for(desk: Desk, person: PersonId, key: str) -> str:
    """Draw an id, or derive it from an idempotency key: then it needs no row of its own."""
    raw = desk.randomness.take(ID_BYTES)
    if key:
        secret = desk.vault.keys.secret("token")
        raw = crypto.mac(secret, lp(b"request", person, key.encode()))[:ID_BYTES]
    return "rq-" + base64.b32encode(raw).decode().lower()


def _opening(  # noqa: PLR0913 - what is asked and what is known
    desk: Desk,
    view: View,
    person: PersonId,
    asked: Asked,
    request: str,
    held: Mapping[str, Request],
) -> list[events.RequestActed]:
    """Return the first steps: opened, then linked, proven or waiting for proof."""
    most = clocks.settings()["limits"]["opened_per_day"]
    counted = [r for r in held.values() if r.right == asked.right]
    often = sum(view.now - r.steps[0].at < DAY for r in counted) >= most
    if often and asked.right not in rules.NEVER_PUT_OFF:
        raise Unavailable(
            f"there were {most} such requests in one day", "the open ones are being answered", 3600
        )
    first = next((r.id for r in held.values() if r.open and r.right == asked.right), None)
    opened = _opened(desk, view, person, asked, request, first)
    if first is not None:
        return [opened, events.RequestActed(request, "linked", asked.right, other=first)]
    proven = asked.proven or asked.right in rules.WITHOUT_PROOF
    act = "verified" if proven else "identity_pending"
    return [opened, events.RequestActed(request, act, asked.right)]


def _opened(  # noqa: PLR0913 - what is asked and what is known
    desk: Desk,
    view: View,
    person: PersonId,
    asked: Asked,
    request: str,
    first: str | None = None,
) -> events.RequestActed:
    received = asked.received or view.now
    clock = clock_of(desk, view, person, asked.right, received)
    return events.RequestActed(
        request,
        "opened",
        asked.right,
        how=asked.how,
        due=zulu(clock.due),
        rule=clock.rule,
        text=asked.text.strip() or None,
        scope=asked.scope or None,
        other=first,
        given_by=asked.given_by,
        occurred_at=zulu(received) if asked.received else None,
    )


def _prepared(
    desk: Desk,
    view: View,
    person: PersonId,
    said: Sequence[events.RequestActed],
    actor: Actor,
) -> list[Prepared]:
    """Write the steps: the first by whoever asks, what follows by itself by the house."""
    made = desk.scribe.prepare(person, desk.head(view, person), said[:1], actor, view.now)
    head = Head(made[-1].n, made[-1].c)
    return [*made, *desk.scribe.prepare(person, head, said[1:], _HOUSE, view.now)]


_HOUSE = Actor(Role.SYSTEM, "requests")


def _booked(desk: Desk, prepared: Sequence[Prepared], actor: Actor) -> bool:
    """Book steps; beside a request that staff took in stands who did: it is a reason to look."""
    with desk.store.book() as tx:
        if tx.append(prepared):
            return False
        if actor.role in STAFF:
            _note_taker(tx, prepared[0], desk.account(actor))
        return True


def _note_taker(tx: Transaction, step: Prepared, account: str) -> None:
    said = step.payload
    ref = f"request:{said.request}" if isinstance(said, events.RequestActed) else ""
    told = cases.held(tx, ref, step.person)
    if told is not None:
        cases.put(tx, replace(told, by=account))


def complete(desk: Desk, person: PersonId, asked: Asked, report: bytes, actor: Actor) -> Request:
    """Book a request that was carried out the moment it was asked: its whole life at once.

    Whoever calls it has done what is asked, and recorded it, before.

    Args:
        desk: The workspace.
        person: Who asks.
        asked: For what.
        report: Canonical bytes of the check that passed.
        actor: Who asks.

    Raises:
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    passed = rules.REPORTED + crypto.sha256(report).hex()
    for _ in range(TRIES):
        with desk.store.look() as view:
            kept = desk.keeper(view, person)
            request = _id_for(desk, kept, asked.key)
            opened = _opened(desk, view, kept, asked, request)
            acts = ("verified", "planned", "approved", "executing", "verifying")
            steps = [events.RequestActed(request, act, asked.right) for act in acts]
            end = events.RequestActed(request, "fulfilled", asked.right, ground=passed)
            prepared = _prepared(desk, view, kept, [opened, *steps, end], actor)
        if _booked(desk, prepared, actor):
            with desk.store.look() as view:
                return request_of(desk, view, kept, request)
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


# Moving on


def move(desk: Desk, person: PersonId, request: str, step: Move, actor: Actor) -> Request:
    """Take one step; the table of `requests_rules` says which are allowed.

    From the commit that approves a deletion its person's data is only stored, to the commit that
    ends the request otherwise.

    Raises:
        NotFound: There is no such request.
        InvalidInput: The step is not allowed, or lacks what it needs; nothing was recorded.
        Shredded: The person was erased.
    """
    for _ in range(TRIES):
        with desk.store.look() as view:
            held = request_of(desk, view, person, request)
            chain = _chain_of(desk, view, person, request)
            said = _said(held, step)
            rules.require(held, said, actor.role)
            _require_more(desk, view, chain, held, step, actor)
            beside = _beside(desk, view, person, held, step.act)
            prepared = restricting.prepare(desk, view, [(chain, said, actor), *beside])
        if restricting.book(desk, prepared):
            with desk.store.look() as view:
                return request_of(desk, view, person, request)
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _beside(
    desk: Desk, view: View, person: PersonId, held: Request, act: str
) -> list[restricting.Step]:
    """Return what goes with a step of a deletion: only storing begins, or ends."""
    if held.right != "deletion":
        return []
    reason = restricting.WAITS + held.id
    if act == "approved":
        return restricting.held_back(desk, view, person, reason)
    ends = rules.after(held.state, act) in rules.FINAL
    return restricting.let_go(desk, view, person, reason) if ends else []


def _chain_of(desk: Desk, view: View, person: PersonId, request: str) -> PersonId:
    """Return which of a person's ids a request was made under."""
    return next(each for each in everybody(view, person) if request in _folded(desk, view, each))


def _said(held: Request, step: Move) -> events.RequestActed:
    if len(step.text) > TEXT_MAX:
        raise InvalidInput("the text is too long", "at most 4,000 signs")
    ground = step.ground
    if step.act == "fulfilled":
        ground = rules.REPORTED + crypto.sha256(step.report).hex() if step.report else ""
    return events.RequestActed(
        held.id,
        step.act,
        held.right,
        due=zulu(step.due) if step.due else None,
        rule=held.rule if step.act == "extended" else None,
        ground=ground or None,
        text=step.text.strip() or None,
        other=step.other or None,
    )


def _require_more(  # noqa: PLR0913 - a step and where it is taken
    desk: Desk, view: View, chain: PersonId, held: Request, step: Move, actor: Actor
) -> None:
    """Require what the table cannot know: grounds of the data, days, a second pair of eyes."""
    if step.act in rules.GROUNDED and step.ground not in clocks.grounds(step.act):
        known = ", ".join(clocks.grounds(step.act))
        raise InvalidInput("there is no such ground", f"choose one of {known}")
    if step.act == "extended":
        clock = clock_of(desk, view, chain, held.right, held.received)
        clocks.require_extension(clock, held.due, step.due, view.now)
    if step.act == "approved" and held.right == "deletion" and not step.due:
        raise InvalidInput("a deletion is approved for a moment", "say when it is to be done")
    if step.act == "approved" and actor.role is Role.OFFICER:
        _require_another(desk.scribe.actor(actor, chain), held)


def _require_another(by: str, held: Request) -> None:
    if held.right not in clocks.settings()["approval"]["four_eyes"]:
        return
    if any(step.by == by for step in held.steps if step.act in {"opened", "verified"}):
        raise InvalidInput(
            "whoever took this request in does not approve it", "ask another officer"
        )


# The words of the Data Rights Protocol 1.0


def status(held: Request) -> Mapping[str, str]:
    """Return a request's status by the protocol's field names; nothing of the person in it."""
    reasons = {each["id"]: each["drp"] for each in clocks.settings()["ground"]}
    told = {
        "request_id": held.id,
        "received_at": zulu(held.received),
        "expected_by": zulu(Instant(held.due - SECOND)),
        "processing_details": held.state if not held.extended else f"{held.state}, extended",
        "status": rules.drp_status(held),
        "reason": rules.drp_reason(held, reasons),
    }
    return {name: said for name, said in told.items() if said}
