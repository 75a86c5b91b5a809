"""Decisions asked for from outside the house: each recorded before it is answered.

A permit or refusal is an event in the chain of the person it is about; what concerns nobody the
house knows (a claim refused, an unknown id) goes to the house chain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from troth.capabilities.access import canaries, quota
from troth.kernel import cases, events, gate, looking, restrictions, telling
from troth.kernel.desk import ASK_ONCE, Desk
from troth.kernel.facts import Facts
from troth.kernel.looking import LOOKS, STAFF
from troth.kernel.reasons import house_reason, told_reasons
from troth.ports import Transaction, View
from troth.terms import (
    Action,
    Actor,
    Channel,
    Claim,
    ContactPoint,
    Gathered,
    Instant,
    PersonId,
    Prepared,
    Reason,
    ReasonCode,
    Refusal,
    UseRequest,
    zulu,
)


@dataclass(frozen=True, slots=True)
class Ask:
    """A use asked for, the same for everybody named.

    Attributes:
        categories: Exactly these; None asks for as many as are agreed.
        reason: The open case or request that contains the person, as `kind:id`: what a look of
            staff rests on.
    """

    actor: Actor
    purpose: str
    action: Action
    channel: Channel | None
    categories: frozenset[str] | None
    brand: str
    reason: str = ""

    @property
    def looks(self) -> bool:
        """Tell whether staff ask to see or take out: it is logged, and counts for the day."""
        return self.action in LOOKS and self.actor.role in STAFF

    def request(self, person: PersonId | None, at: Instant) -> UseRequest:
        """Return the request about one person, or about the claim alone."""
        return UseRequest(
            self.actor,
            person,
            self.purpose,
            self.action,
            self.channel,
            self.categories or frozenset(),
            at,
            self.brand,
            reason=self.reason,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate said about one person; `until` is "" on a refusal."""

    agreed: bool
    reasons: tuple[Reason, ...] = ()
    until: str = ""
    categories: Mapping[str, str] = field(default_factory=dict)
    obligations: tuple[str, ...] = ()
    basis: str = ""


_UNKNOWN = (house_reason(ReasonCode.UNKNOWN_PERSON),)


def decide(desk: Desk, ask: Ask, outside: Sequence[str]) -> list[Answer]:
    """Decide for each outside id, in the order given; recorded when this returns.

    Whoever changed between look and book is looked at again. Looks are booked one by one, since
    each counts against the day's people before the next is asked.

    Raises:
        Conflict: Something published changed meanwhile: ask again.
    """
    answers: dict[str, Answer] = {}
    left = list(dict.fromkeys(outside))
    at_once = 1 if ask.looks else max(1, len(left))
    while left:
        left = _round(desk, ask, left[:at_once], answers) + left[at_once:]
    return [answers[name] for name in outside]


def refuse(
    desk: Desk, ask: Ask, reasons: Sequence[Reason], outside: Sequence[str]
) -> list[Answer]:
    """Refuse a claim that does not come as far as the gate; recorded when this returns."""
    desk.record_house(_claim_refused(ask, reasons), ask.actor)
    return [_no(reasons) for _ in outside]


@dataclass(slots=True)
class _Round:
    """What one look found: permits and refusals by person, ids nobody has, whom to ask once."""

    permits: dict[PersonId, tuple[gate.Permit, str]]
    refusals: dict[PersonId, Refusal]
    unknown: list[str]
    asking: dict[PersonId, ContactPoint] = field(default_factory=dict)
    looks: dict[PersonId, looking.Use] = field(default_factory=dict)


def _round(desk: Desk, ask: Ask, names: list[str], answers: dict[str, Answer]) -> list[str]:
    with desk.store.look() as view:
        house_version = view.house_version
        whoever = looking.NOBODY if ask.looks else None
        claim = desk.claim(ask.request(whoever, view.now), desk.house(view))
        if isinstance(claim, Refusal):
            desk.record_house(_claim_refused(ask, claim.reasons), ask.actor)
            answers |= dict.fromkeys(names, _no(claim.reasons))
            return []
        people = {name: desk.find(view, name) for name in names}
        hidden = [p for p in people.values() if p and canaries.is_one(view, p)]
        prepared, told = _judge_all(desk, view, ask, claim, people)
        asked = restrictions.asked([each.sup for each in told.asking.values()], view.log.size)
    desk.journal.note_all(asked)  # first: a restore of an older record must not ask them again
    for each in hidden:
        canaries.sound(desk, each, ask.actor)
    with desk.store.book(house_version) as tx:
        late = _asked_meanwhile(tx, told) | _over_meanwhile(desk, tx, ask, told)
        moved = late | tx.append([p for p in prepared if p.person not in late])
        for whose in moved - late:
            _unclaim(tx, told, whose)
        for use in (each for whose, each in told.looks.items() if whose not in moved):
            quota.spend(tx, desk.house(tx), ask.request(use.person, use.at), use.account)
            looking.note(tx, use)
    again = []
    for name, person in people.items():
        refusal = told.refusals.get(person) if person else None
        if (person or desk.scribe.house) in moved:
            again.append(name)
        elif refusal:
            answers[name] = _no(refusal.reasons)
        elif person in told.permits:
            answers[name] = _yes(told.permits[person][0])
        else:
            answers[name] = _no(_UNKNOWN)
    return again


def _asked_meanwhile(tx: Transaction, told: _Round) -> frozenset[PersonId]:
    """Claim, per address, the one request for consent; return whose was taken since the look."""
    return frozenset(
        person
        for person, contact in told.asking.items()
        if not tx.claim_row(ASK_ONCE, contact.sup, b"api" + person)
    )


def _over_meanwhile(desk: Desk, tx: Transaction, ask: Ask, told: _Round) -> frozenset[PersonId]:
    """Return whose look has no place any more today, or whose reason closed since the look."""
    return frozenset(
        person
        for person, use in told.looks.items()
        if quota.over(tx, desk.house(tx), ask.request(person, use.at), use.account)
        or not cases.contains(tx, ask.reason, person)
    )


def _unclaim(tx: Transaction, told: _Round, person: PersonId) -> None:
    if contact := told.asking.get(person):
        tx.put_row(ASK_ONCE, contact.sup, None)


def _judge_all(
    desk: Desk, view: View, ask: Ask, claim: Claim, people: dict[str, PersonId | None]
) -> tuple[list[Prepared], _Round]:
    told = _Round({}, {}, [name for name, person in people.items() if person is None])
    prepared: list[Prepared] = []
    known = [p for p in dict.fromkeys(people.values()) if p is not None]
    found = view.gather(known, ask.channel) if known else []
    desk.vault.keys.load([g.person for g in found], view.now)
    for gathered in found:
        claimed = _of_one(desk, view, ask, claim, gathered.person)
        answer, inputs = _judge(desk, view, ask, claimed, gathered)
        if isinstance(answer, Refusal):
            told.refusals[gathered.person] = answer
            if not gathered.record.erasing:
                asked = ask.request(gathered.person, view.now)
                said = telling.refused(asked, answer, desk.house(view), inputs)
                prepared += desk.scribe.prepare(
                    gathered.person, gathered.head, [said], ask.actor, view.now
                )
        else:
            told.permits[gathered.person] = (answer, inputs)
            if answer.basis == "ask_once" and gathered.contact is not None:
                told.asking[gathered.person] = gathered.contact
            agreed = telling.permitted(answer.request, answer, inputs)
            booked = desk.scribe.prepare(
                gathered.person, gathered.head, [agreed], ask.actor, view.now
            )
            prepared += booked
            if ask.looks:
                told.looks[gathered.person] = _use(desk, answer, claimed, booked[0].n)
    about_house: list[events.Payload] = [_claim_refused(ask, _UNKNOWN) for _ in told.unknown]
    house = desk.scribe.house
    prepared += desk.scribe.prepare(
        house, desk.head(view, house), about_house, ask.actor, view.now
    )
    return prepared, told


def _of_one(desk: Desk, view: View, ask: Ask, claim: Claim, person: PersonId) -> Claim | Refusal:
    """Claim a look anew for whom it is at: their place in the day's count, and their own case."""
    return desk.claim(ask.request(person, view.now), desk.house(view)) if ask.looks else claim


def _use(desk: Desk, permit: gate.Permit, claim: Claim | Refusal, n: int) -> looking.Use:
    asked, grant = permit.request, claim.grant if isinstance(claim, Claim) else ""
    person = PersonId(asked.person or b"")
    account, masks = desk.account(asked.actor), dict(permit.categories)
    return looking.Use(
        asked.at, account, person, n, asked.purpose, str(asked.action), masks, asked.reason, grant
    )


def _judge(
    desk: Desk, view: View, ask: Ask, claim: Claim | Refusal, gathered: Gathered
) -> tuple[gate.Permit | Refusal, str]:
    request = ask.request(gathered.person, view.now)
    facts: Facts = desk.facts(view, request, claim, gathered)
    if ask.categories is None:
        agreed = gate.allowed_categories(request, facts)
        request = narrowed(request, agreed)
    return gate.decide(request, facts), gate.inputs_digest(request, facts)


def narrowed(plain: UseRequest, categories: frozenset[str]) -> UseRequest:
    """Return the same request for these categories."""
    return replace(plain, categories=categories)


def _claim_refused(ask: Ask, reasons: Sequence[Reason]) -> events.HouseRefused:
    """Name the purpose only if it reads like one: what callers make up is not recorded."""
    plain = ask.purpose if ask.purpose.isascii() and ask.purpose.isidentifier() else "unknown"
    return events.HouseRefused(plain, ask.action, told_reasons(reasons))


def _no(reasons: Sequence[Reason]) -> Answer:
    return Answer(agreed=False, reasons=tuple(reasons))


def _yes(permit: gate.Permit) -> Answer:
    return Answer(
        agreed=True,
        until=zulu(permit.until),
        categories={name: str(mask) for name, mask in sorted(permit.categories.items())},
        obligations=permit.obligations,
        basis=permit.basis,
    )
