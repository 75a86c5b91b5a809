"""A look at one person for a case: what they agreed to, in clear; who they are, masked by role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from troth.capabilities.access.reading import Reading, book, shown_under
from troth.kernel import gate
from troth.kernel.desk import Desk
from troth.kernel.masks import masked
from troth.terms import Mask, PersonRecord, Refusal

NAMES = (
    "name.given", "name.family", "contact.email", "contact.sms", "birth.year", "external.id",
)  # fmt: skip
"""Fields a card can open; what the role may not see of them stays closed."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a case needs of a person.

    Attributes:
        opened: Field → text, already under the role's mask.
        closed: Data categories the role may not open for this.
        masks: Data category → mask it is shown under.
        role: Data category → mask up to which this role may see it.
    """

    record: PersonRecord
    opened: Mapping[str, str]
    closed: frozenset[str]
    masks: Mapping[str, Mask] = field(default_factory=dict)
    role: Mapping[str, Mask] = field(default_factory=dict)


def open_card(desk: Desk, reading: Reading) -> Card | Refusal:
    """Ask the gate, record the look or its refusal, then open; nothing is opened before.

    Args:
        desk: The house's desk.
        reading: Who looks at whom, for which case. `fields` are data categories.

    Raises:
        Shredded: The person was erased.
    """
    wanted = frozenset(reading.fields)
    answer = book(desk, reading, ("facts",), wanted)
    if isinstance(answer, Refusal):
        return answer
    with desk.store.look() as view:
        rows = view.sealed([reading.person], _covered(desk, answer))
        opened = desk.vault.open(answer, rows.get(reading.person, ()), view.now)
        opened = {name: _capped(desk, reading, name, text) for name, text in opened.items()}
        record = view.gather([reading.person], None)[0].record
    masks = shown_under(reading, answer)
    return Card(record, opened, wanted - masks.keys(), masks, dict(answer.categories))


def _capped(desk: Desk, reading: Reading, name: str, text: str) -> str:
    cap = reading.caps.get(desk.vault.category(name))
    return masked(text, cap) if cap else text


def _covered(desk: Desk, permit: gate.Permit) -> Sequence[str]:
    return [name for name in NAMES if desk.vault.category(name) in permit.categories]
