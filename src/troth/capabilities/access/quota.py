"""How many different people an account may look at in one day, and who lets it look at more.

The day is the UTC day of the record. The same person twice is one. Whoever needs a whole list
asks first, for a count; somebody else agrees; then, and for a day, the count is raised by it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from troth.capabilities.access.shipped import shipped
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events, looking
from troth.kernel.desk import Desk, accounts_of
from troth.kernel.facts import House
from troth.kernel.looking import NOBODY, is_look
from troth.kernel.reasons import house_reason
from troth.ports import StaffPolicy, View
from troth.terms import (
    SECOND,
    Actor,
    Claim,
    Instant,
    PersonId,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
    zulu,
)

BULK: Final = "access.bulk"
"""Id → account, people, reason, state, asked, until, approver of one bulk export."""
RULE: Final = "house.people_per_day"
MAY_APPROVE: Final = frozenset({Role.OFFICER, Role.IT})
ID_BYTES: Final = 6
NEVER: Final = Instant(0)
_HOUR = 3600 * SECOND
_MOST_BULKS = 10_000


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk export asked for.

    Attributes:
        people: How many people more than the day's count it may show.
        state: requested, approved or refused.
        until: An approval is worth nothing from here on; 0 while there is none.
    """

    id: str
    account: str
    people: int
    reason: str
    state: str
    asked: Instant
    until: Instant = NEVER
    by: str = ""


def most_people(view: View, house: House, role: Role, account: str) -> int:
    """Return how many different people an account may look at today, approved bulks counted in."""
    most = house.looks.people_per_day.get(role, 0)
    live = (each for each in bulks(view) if each.account == account)
    return most + sum(e.people for e in live if e.state == "approved" and view.now < e.until)


def over(view: View, house: House, actor: Actor, account: str, person: PersonId) -> bool:
    """Tell whether one look more would go beyond the day's people; looks at nobody.

    People are counted for the human, in whatever role they were looked at; how many there may be,
    the role says that looks now. Costs what was looked at today: about a millisecond for 1,000.
    """
    day, theirs = looking.day_of(view.now), accounts_of(account)
    if any(looking.looked_at(view, each, day, person) for each in theirs):
        return False
    seen = frozenset().union(*(looking.people_on(view, each, day) for each in theirs))
    return len(seen) >= most_people(view, house, actor.role, account)


@dataclass(frozen=True, slots=True)
class Quota:
    """A staff policy that lets an account look at so many people a day; see `cases.Reasoned`."""

    inner: StaffPolicy
    desk: Callable[[], Desk]

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Say what this actor may use, or that they looked at enough people today."""
        answer = self.inner.claim(request)
        if isinstance(answer, Refusal) or not is_look(request):
            return answer
        if request.person is None or request.person == NOBODY:
            return answer
        desk, actor = self.desk(), request.actor
        with desk.store.look() as view:
            if over(view, desk.house(view), actor, desk.account(actor), request.person):
                return Refusal((house_reason(ReasonCode.QUOTA, RULE),))
        return answer


def bulks(view: View) -> list[Bulk]:
    """Return every bulk export asked for, oldest id first."""
    return [
        msgspec.json.decode(raw, type=Bulk) for _, raw in view.rows(BULK, b"", b"", _MOST_BULKS)
    ]


def ask_bulk(desk: Desk, people: int, reason: str, actor: Actor) -> Bulk:
    """Ask to take more people out than a day allows; somebody else must agree.

    Raises:
        InvalidInput: No count, or no words on what for.
    """
    if people < 1 or not reason.strip():
        raise InvalidInput("a bulk export needs a count and a reason", "say how many, what for")
    ident = f"bulk-{desk.randomness.take(ID_BYTES).hex()}"
    with desk.store.look() as view:
        now = view.now
    bulk = Bulk(ident, desk.account(actor), people, reason.strip()[:200], "requested", now)
    return _booked(desk, bulk, actor, None)


def answer_bulk(desk: Desk, ident: str, actor: Actor, answer: str) -> Bulk:
    """Agree to a bulk export, or refuse it: another person than who asked, officer or IT.

    Args:
        desk: The workspace.
        ident: Which.
        actor: Who answers.
        answer: approved or refused.

    Raises:
        NotFound: There is none of this id.
        InvalidInput: This role may not, or it is their own.
        Conflict: It was answered already.
    """
    with desk.store.look() as view:
        raw, now = view.row(BULK, ident.encode()), view.now
    if raw is None:
        raise NotFound("there is no such request", "look at the list of exports")
    held: Bulk = msgspec.json.decode(raw, type=Bulk)
    mine = desk.account(actor)
    if actor.role not in MAY_APPROVE or answer not in ("approved", "refused"):
        raise InvalidInput("this role agrees to no bulk export", "ask the privacy officer or IT")
    if mine.partition("/")[2] == held.account.partition("/")[2]:
        raise InvalidInput("nobody agrees to their own export", "ask another person")
    if held.state != "requested":
        raise Conflict("this was answered already", "look at the list of exports")
    until = Instant(now + shipped()["bulk_hours"] * _HOUR) if answer == "approved" else Instant(0)
    done = Bulk(ident, held.account, held.people, held.reason, answer, held.asked, until, mine)
    return _booked(desk, done, actor, raw)


def _booked(desk: Desk, bulk: Bulk, actor: Actor, before: bytes | None) -> Bulk:
    said = events.AccessActed(
        bulk.state,
        bulk.id,
        "jit",
        account=bulk.account,
        action="export",
        reason=bulk.reason,
        until=zulu(bulk.until) if bulk.until else None,
        counts={"people": bulk.people},
    )
    while True:
        with desk.store.look() as view:
            prepared = desk.house_event(view, said, actor)
        with desk.store.book() as tx:
            if tx.row(BULK, bulk.id.encode()) != before:
                raise Conflict("this was answered already", "look at the list of exports")
            if not tx.append(prepared):
                tx.put_row(BULK, bulk.id.encode(), msgspec.json.encode(bulk))
                return bulk
