"""A look at one person for a case: what they agreed to, in clear; who they are, masked by role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from troth.capabilities.access.reading import Reading, service_purpose
from troth.kernel import events, gate, telling
from troth.kernel.desk import Desk
from troth.kernel.reasons import told_reasons
from troth.ports import View
from troth.terms import PersonRecord, Refusal, UseRequest

NAMES = ("name.given", "name.family", "contact.email", "contact.sms")
"""Fields a card can open; what the role may not see of them stays closed."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a case needs of a person.

    Attributes:
        opened: Field → text, already under the role's mask.
        closed: Data categories the role may not open for this.
    """

    record: PersonRecord
    opened: Mapping[str, str]
    closed: frozenset[str]


def open_card(desk: Desk, reading: Reading) -> Card | Refusal:
    """Ask the gate, record the look or its refusal, then open; nothing is opened before.

    Args:
        desk: The house's desk.
        reading: Who looks at whom, for which case. `fields` are data categories.

    Raises:
        Shredded: The person was erased.
    """
    with desk.store.look() as view:
        house = desk.house(view)
        purpose = service_purpose(house)
        plain = _request(reading, purpose, frozenset(), view)
        claim = desk.claim(plain, house)
        found = view.gather([reading.person], None)
        facts = desk.facts(view, plain, claim, found[0] if found else None)
        wanted = frozenset(reading.fields)
        asked = replace(plain, categories=wanted & gate.allowed_categories(plain, facts))
        answer = gate.decide(asked, facts)
        inputs = gate.inputs_digest(asked, facts)
    if isinstance(answer, Refusal):
        why = told_reasons(answer.reasons)
        if isinstance(claim, Refusal) or not found:
            said = events.HouseRefused(purpose, reading.action, why)
            desk.record_house(said, reading.actor)
        else:
            no = telling.refused(asked, answer, house, inputs)
            desk.record(reading.person, [no], reading.actor)
        return answer
    fields = tuple(sorted({"facts", *answer.categories}))
    told = events.DataRead(purpose, fields, reading.reason or None)
    desk.record(reading.person, [told], reading.actor)
    with desk.store.look() as view:
        rows = view.sealed([reading.person], _covered(desk, answer))
        opened = desk.vault.open(answer, rows.get(reading.person, ()), view.now)
        record = view.gather([reading.person], None)[0].record
    return Card(record, opened, wanted - answer.categories.keys())


def _request(reading: Reading, purpose: str, categories: frozenset[str], view: View) -> UseRequest:
    return UseRequest(
        reading.actor,
        reading.person,
        purpose,
        reading.action,
        None,
        categories,
        view.now,
        reason=reading.reason,
    )


def _covered(desk: Desk, permit: gate.Permit) -> Sequence[str]:
    return [name for name in NAMES if desk.vault.category(name) in permit.categories]
