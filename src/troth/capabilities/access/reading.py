"""A look at one person's data: asked of the gate and recorded before anything is opened.

This is the only way in for staff. Claim, person, event and the log of looks are one use case: who
may not ask learns that without anybody having been looked at; who may is in the person's chain,
and in the log, before the permit exists outside it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from troth.capabilities.access import canaries, exports, quota
from troth.errors import Conflict, Unavailable
from troth.kernel import cases, events, gate, looking, telling
from troth.kernel.desk import Desk, append_together
from troth.kernel.facts import House
from troth.kernel.masks import SHOWING
from troth.kernel.reasons import house_reason, told_reasons
from troth.ports import Transaction, View
from troth.terms import (
    Action,
    Actor,
    Claim,
    Gathered,
    Mask,
    PersonId,
    Prepared,
    PurposeKind,
    ReasonCode,
    Refusal,
    UseRequest,
)

TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """One opening of one person's data: what for, what of it, under which reason.

    Attributes:
        fields: What is shown that lies not in the vault, or data categories; see who takes it.
        reason: The open case or request that contains the person, as `kind:id`.
        export: Id of the export it leaves in (`exports.new_id`), which is booked with it; "" where
            nothing leaves.
        what: What leaves: package, complaint, receipts or request.
        purpose: Under which purpose; "" is the one staff serve people under.
        drawn: Whom a narrowing of the audience or campaign named has just found.
        caps: Category → the most that is shown of it, whatever the role might see.
    """

    person: PersonId
    actor: Actor
    fields: tuple[str, ...]
    reason: str = ""
    action: Action = Action.READ
    export: str = ""
    what: str = "export"
    purpose: str = ""
    drawn: Collection[PersonId] = ()
    caps: Mapping[str, Mask] = field(default_factory=dict)


def service_purpose(house: House) -> str:
    """Name the purpose under which staff serve people; where none is published, none that is.

    The gate knows no such purpose then, and refuses.
    """
    named = (p.name for p in house.purposes.values() if p.kind is PurposeKind.SERVICE)
    return min(named, default="service")


def may_claim(desk: Desk, reading: Reading) -> Refusal | None:
    """Judge the claim of a look alone, before anybody is searched for; a no is recorded.

    Whoever is not found yet is `looking.NOBODY`: the day's count is asked once they are.
    """
    with desk.store.look() as view:
        asked = _request(desk, view, reading)
        claim = desk.claim(asked, desk.house(view))
    return _turned_away(desk, reading, asked, claim) if isinstance(claim, Refusal) else None


def book_reading(desk: Desk, reading: Reading) -> Refusal | None:
    """Ask for a look at what lies not in the vault, and record it or its refusal first."""
    answer = book(desk, reading, reading.fields, frozenset())
    return answer if isinstance(answer, Refusal) else None


def book(
    desk: Desk, reading: Reading, noted: Collection[str], wanted: frozenset[str] | None
) -> gate.Permit | Refusal:
    """Ask the gate for a look and book the answer; nothing is opened before this returns.

    Args:
        desk: The house's desk.
        reading: Who looks at whom, why.
        noted: What is shown besides data categories, as the event names it.
        wanted: Data categories to open, as far as they may be; None asks for all that may.

    Returns:
        The permit that opens them, or the refusal. A refused claim is an event of the house and
        reads nothing of anybody; a refused look is one of the person's chain.

    Raises:
        Shredded: The person was erased.
        Unavailable: Others kept writing; repeat.
    """
    canaries.sound(desk, reading.person, reading.actor)
    for _ in range(TRIES):
        with desk.store.look() as view:
            looked = _look(desk, view, reading, wanted)
        if looked.found is None:
            return _turned_away(desk, reading, looked.asked, looked.answer)
        if _booked(desk, reading, looked, noted):
            return looked.answer
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one look found; `found` is None where it concerns nobody the house knows."""

    asked: UseRequest
    answer: gate.Permit | Refusal
    house: House
    claim: Claim | Refusal
    found: Gathered | None = None
    inputs: str = ""
    left: exports.Export | None = None
    beside: tuple[Prepared, ...] = ()


def _look(desk: Desk, view: View, reading: Reading, wanted: frozenset[str] | None) -> _Looked:
    """Judge the claim; only where it stands, look at the person and decide."""
    house, asked = desk.house(view), _request(desk, view, reading)
    claim = desk.claim(asked, house)
    if isinstance(claim, Refusal):
        return _Looked(asked, claim, house, claim)
    gathered = view.gather([reading.person], None)
    if not gathered:
        unknown = Refusal((house_reason(ReasonCode.UNKNOWN_PERSON),))
        return _Looked(asked, unknown, house, claim)
    facts = desk.facts(view, asked, claim, gathered[0], drawn=reading.drawn)
    may = gate.allowed_categories(asked, facts)
    asked = replace(asked, categories=may if wanted is None else may & wanted)
    answer = gate.decide(asked, facts)
    inputs = gate.inputs_digest(asked, facts)
    looked = _Looked(asked, answer, house, claim, gathered[0], inputs)
    leaves = reading.export and isinstance(answer, gate.Permit)
    return _leaving(desk, view, reading, looked) if leaves else looked


def _leaving(desk: Desk, view: View, reading: Reading, looked: _Looked) -> _Looked:
    """Add the export it leaves in, whose house event is booked in the same commit."""
    one = [reading.person]
    taking = exports.Taking(reading.what, looked.asked.purpose, one, reading.reason)
    left = exports.draft(desk, view, reading.export, taking, reading.actor)
    beside = exports.prepare(desk, view, left, one, reading.actor)
    return replace(looked, left=left, beside=tuple(beside))


def _request(desk: Desk, view: View, reading: Reading) -> UseRequest:
    return UseRequest(
        reading.actor,
        reading.person,
        reading.purpose or service_purpose(desk.house(view)),
        reading.action,
        None,
        frozenset(),
        view.now,
        reason=reading.reason,
    )


def _booked(desk: Desk, reading: Reading, looked: _Looked, noted: Collection[str]) -> bool:
    """Book the answer and, with a yes, the log of looks in the same commit; False: look again."""
    found, actor, at = looked.found, reading.actor, looked.asked.at
    if found is None:
        return False
    agreed = isinstance(looked.answer, gate.Permit)
    said = _read(reading, looked, noted) if agreed else _refused(looked)
    prepared = desk.scribe.prepare(reading.person, found.head, [said], actor, at)
    use = _use(desk, reading, looked, prepared[0].n)
    logged = agreed and actor.role in looking.STAFF
    try:
        with desk.store.book(looked.house.version) as tx:
            if logged and quota.over(tx, looked.house, looked.asked, use.account):
                return False
            if logged and not _still(tx, reading):
                return False
            if not append_together(tx, [*looked.beside, *prepared]):
                return False
            if looked.left is not None:
                exports.put(tx, looked.left)
            if logged:
                quota.spend(tx, looked.house, looked.asked, use.account)
                looking.note(tx, use)
    except Conflict:  # something was published meanwhile
        return False
    return True


def _still(tx: Transaction, reading: Reading) -> bool:
    """Tell whether the reason holds in the commit too: a merged id's case has another chain."""
    ref = reading.reason
    return cases.kind_of(ref) not in cases.OF_STAFF or cases.contains(tx, ref, reading.person)


def _read(reading: Reading, looked: _Looked, noted: Collection[str]) -> events.DataRead:
    claim = looked.claim if isinstance(looked.claim, Claim) else Claim()
    masks = {n: str(m) for n, m in _masks(reading, looked).items() if m != "full"}
    return events.DataRead(
        looked.asked.purpose,
        tuple(sorted({*noted, *looked.asked.categories})),
        reading.reason or None,
        masks or None,
        "export" if reading.action is Action.EXPORT else None,
        claim.grant or None,
        claim.emergency,
        claim.policy or None,
        reading.export or None,
    )


def _refused(looked: _Looked) -> events.UseRefused:
    refusal = looked.answer if isinstance(looked.answer, Refusal) else Refusal(())
    return telling.refused(looked.asked, refusal, looked.house, looked.inputs)


def _masks(reading: Reading, looked: _Looked) -> Mapping[str, Mask]:
    permit = looked.answer
    return shown_under(reading, permit) if isinstance(permit, gate.Permit) else {}


def shown_under(reading: Reading, permit: gate.Permit) -> dict[str, Mask]:
    """Return, by category, the mask under which a look shows it: the narrower of role and cap."""
    caps = reading.caps
    return {
        name: min(mask, caps.get(name, mask), key=SHOWING.__getitem__)
        for name, mask in sorted(permit.categories.items())
    }


def _use(desk: Desk, reading: Reading, looked: _Looked, n: int) -> looking.Use:
    claim = looked.claim if isinstance(looked.claim, Claim) else Claim()
    return looking.Use(
        looked.asked.at,
        desk.account(reading.actor),
        reading.person,
        n,
        looked.asked.purpose,
        str(reading.action),
        _masks(reading, looked),
        reading.reason,
        claim.grant,
    )


def _turned_away(
    desk: Desk, reading: Reading, asked: UseRequest, answer: gate.Permit | Refusal
) -> Refusal:
    """Record, in the house chain, a no that is about nobody's data, and say it."""
    refusal = answer if isinstance(answer, Refusal) else Refusal(())
    why, purpose = told_reasons(refusal.reasons), asked.purpose
    plain = purpose if purpose.isascii() and purpose.isidentifier() else "unknown"
    desk.record_house(events.HouseRefused(plain, asked.action, why), reading.actor)
    return refusal
