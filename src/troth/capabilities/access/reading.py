"""A look at one person's data: asked of the gate and recorded before anything is opened."""

from dataclasses import dataclass

from troth.kernel import events, gate, telling
from troth.kernel.desk import Desk
from troth.kernel.facts import House
from troth.kernel.reasons import told_reasons
from troth.terms import (
    Action,
    Actor,
    Claim,
    PersonId,
    PurposeKind,
    Refusal,
    UseRequest,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One opening of one person's data: what for, what of it, under which case."""

    person: PersonId
    actor: Actor
    fields: tuple[str, ...]
    reason: str = ""
    action: Action = Action.READ


def service_purpose(house: House) -> str:
    """Name the purpose under which staff serve people; where none is published, none that is.

    The gate knows no such purpose then, and refuses.
    """
    named = (p.name for p in house.purposes.values() if p.kind is PurposeKind.SERVICE)
    return min(named, default="service")


def book_reading(desk: Desk, reading: Reading) -> Refusal | None:
    """Ask the gate for a reading and record it, or its refusal, before anything is opened."""
    person = reading.person
    with desk.store.look() as view:
        house = desk.house(view)
        purpose = service_purpose(house)
        asked = UseRequest(
            reading.actor,
            person,
            purpose,
            reading.action,
            None,
            frozenset(),
            view.now,
            reason=reading.reason,
        )
        claim = desk.claim(asked, house)
        known = view.gather([person], None)
        facts = desk.facts(view, asked, claim, known[0] if known else None)
        answer = gate.decide(asked, facts)
    if not isinstance(answer, Refusal):
        said = events.DataRead(purpose, reading.fields, reading.reason or None)
        desk.record(person, [said], reading.actor)
        return None
    why = told_reasons(answer.reasons)
    if isinstance(claim, Claim):
        no = telling.refused(asked, answer, house, gate.inputs_digest(asked, facts))
        desk.record(person, [no], reading.actor)
    else:
        desk.record_house(events.HouseRefused(purpose, reading.action, why), reading.actor)
    return answer
