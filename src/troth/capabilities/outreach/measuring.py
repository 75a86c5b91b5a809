"""What somebody does with a message, noted only where they agreed to exactly that.

Opening and following links are each a purpose of its own, asked of the gate for each person and
message. Without a yes the message holds nothing that could tell them from anybody else; a yes
taken back after booking holds the message back, one taken back after it left makes its marks mute.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from troth.capabilities.outreach.model import TOKEN_LIFE
from troth.engines.mail import MEASURED
from troth.kernel import events, gate
from troth.kernel.desk import SYSTEM, Desk, put_pointer
from troth.kernel.facts import Facts, House
from troth.kernel.vault import Shredded
from troth.ports import View
from troth.terms import (
    GRANTING,
    Action,
    Gathered,
    Instant,
    PersonId,
    Refusal,
    UseRequest,
    zulu,
)

MARKS = "outreach.mark"
NOTED = "outreach.noted"
MARK_BYTES = 15


@dataclass(frozen=True, slots=True)
class Measured:
    """One permitted measuring, and what the decision was made from."""

    permit: gate.Permit
    inputs: str


def purposes(house: House) -> Mapping[str, frozenset[str]]:
    """Return the purposes that measure, each with the categories it may note."""
    found = {name: p.categories & MEASURED for name, p in house.purposes.items()}
    return {name: categories for name, categories in found.items() if categories}


def permitted(
    desk: Desk,
    house: House,
    gathered: Gathered,
    at: Instant,
    asked: Mapping[str, frozenset[str]],
) -> list[Measured]:
    """Ask the gate about each purpose a person said yes to; costs nothing for anybody else."""
    out = []
    for name, categories in asked.items():
        standing = gathered.record.standings.get(f"{name}|")
        if standing is None or standing.grant is None or standing.grant.status not in GRANTING:
            continue
        plain = _request(gathered.person, name, at, frozenset())
        facts = Facts(gathered.person, at, desk.claim(plain, house), house, gathered)
        wanted = gate.allowed_categories(plain, facts) & categories
        request = _request(gathered.person, name, at, wanted)
        answer = gate.decide(request, facts) if wanted else None
        if answer is not None and not isinstance(answer, Refusal):
            out.append(Measured(answer, gate.inputs_digest(request, facts)))
    return out


def _request(
    person: PersonId, purpose: str, at: Instant, categories: frozenset[str]
) -> UseRequest:
    return UseRequest(SYSTEM, person, purpose, Action.PROFILE, None, categories, at)


def categories_of(measured: Iterable[Measured]) -> frozenset[str]:
    """Name all that may be noted."""
    return frozenset[str]().union(*(m.permit.categories for m in measured))


def stands(
    desk: Desk, house: House, gathered: Gathered, at: Instant, categories: frozenset[str]
) -> bool:
    """Tell whether everything a message would note is still agreed."""
    return categories <= categories_of(permitted(desk, house, gathered, at, purposes(house)))


def told(each: Measured) -> events.UsePermitted:
    """Say in the person's chain that a message may note what they do with it."""
    permit = each.permit
    return events.UsePermitted(
        purpose=permit.purpose,
        action=Action.PROFILE,
        categories=tuple(sorted(permit.categories)),
        basis=permit.basis,
        ruleset=permit.ruleset,
        inputs=each.inputs,
        until=zulu(permit.until),
        waiver=permit.waiver or None,
    )


def mark_row(  # noqa: PLR0913 - a mark and what it means
    desk: Desk, mark: str, person: PersonId, ref: str, campaign: str, now: Instant
) -> tuple[str, bytes, bytes]:
    """Return the row by which a mark is known again; the mark itself is kept nowhere."""
    value = msgspec.json.encode([person.hex(), ref, campaign, now + TOKEN_LIFE])
    return MARKS, desk.token_key(mark), value


def note(desk: Desk, mark: str, category: str, detail: str = "") -> bool:
    """Note that the reader of a message opened it, or followed a link; once each.

    Decided again at this moment: whoever took their yes back is not noted, nor that they came by.
    False where nothing was noted.
    """
    state = "clicked" if category.endswith("clicks") else "opened"
    while True:
        with desk.store.look() as view:
            found = _marked(desk, view, mark)
            if found is None:
                return False
            person, ref, campaign = found
            gathered = view.gather([person], None)
            house, now = desk.house(view), view.now
            place = f"{ref}/{state}/{detail}".encode()
            if not gathered or gathered[0].record.erasing or view.row(NOTED, place) is not None:
                return False
            allowed = permitted(desk, house, gathered[0], now, purposes(house))
            if category not in categories_of(allowed):
                return False
            said = events.MessageOutcome(
                state, ref, detail=detail or None, campaign=campaign or None
            )
            first = next(m for m in allowed if category in m.permit.categories)
            try:
                prepared = desk.scribe.prepare(
                    person, gathered[0].head, [told(first), said], SYSTEM, now
                )
            except Shredded:
                return False
        with desk.store.book() as tx:
            if tx.row(NOTED, place) is not None:
                return False
            if not tx.append(prepared):
                put_pointer(tx, person, NOTED, place, b"1")
                return True


def _marked(desk: Desk, view: View, mark: str) -> tuple[PersonId, str, str] | None:
    row = view.row(MARKS, desk.token_key(mark))
    if row is None:
        return None
    psid, ref, campaign, expires = msgspec.json.decode(row)
    return (PersonId(bytes.fromhex(psid)), ref, campaign) if expires > view.now else None
