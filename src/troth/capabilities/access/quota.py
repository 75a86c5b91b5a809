"""How many different people an account may look at in one day, and who lets it look at more.

The day is the UTC day of the record. The same person twice is one. Whoever needs a whole list
asks first, for a count; somebody else agrees; then, and for a day, the count is raised by it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from troth.capabilities.access.grants import require_nameless
from troth.capabilities.access.shipped import shipped
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events, looking
from troth.kernel.cases import kind_of
from troth.kernel.desk import Desk, accounts_of
from troth.kernel.facts import House
from troth.kernel.looking import NOBODY, is_look
from troth.kernel.reasons import house_reason
from troth.ports import StaffPolicy, Transaction, View
from troth.terms import (
    SECOND,
    Actor,
    Claim,
    Instant,
    PurposeKind,
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
        reason: What for; where it is a reference (`kind:id`), looks under that one alone.
        state: requested, approved or refused.
        until: An approval is worth nothing from here on; 0 while there is none.
        purpose: For looks under this purpose alone; "" is the one staff serve people under.
        used: How many of its people were looked at.
    """

    id: str
    account: str
    people: int
    reason: str
    state: str
    asked: Instant
    until: Instant = NEVER
    by: str = ""
    purpose: str = ""
    used: int = 0

    def standing(self, at: Instant) -> str:
        """Say how it stands: requested, refused, approved, used up or ended."""
        if self.state != "approved":
            return self.state
        if self.used >= self.people:
            return "used up"
        return "approved" if at < self.until else "ended"

    def serves(self, house: House, asked: UseRequest) -> bool:
        """Tell whether a look is of what was agreed to: its purpose, and its reason if it has one.

        An account may hold it in another role than the one that asked: the human is the same.
        """
        kind = house.purposes[asked.purpose].kind if asked.purpose in house.purposes else None
        same = asked.purpose == self.purpose if self.purpose else kind is PurposeKind.SERVICE
        return same and (not kind_of(self.reason) or self.reason == asked.reason)


def over(view: View, house: House, asked: UseRequest, account: str) -> bool:
    """Tell whether one look more would go beyond the day's people; looks at nobody.

    People are counted for the human, in whatever role they were looked at; how many there may be,
    the role says that looks now. Whoever is one too many needs a place in a bulk agreed to.
    Costs what was looked at today: about a millisecond for 1,000.
    """
    return _beyond(view, house, asked, account) and _agreed(view, house, asked, account) is None


def spend(tx: Transaction, house: House, asked: UseRequest, account: str) -> None:
    """Take a look's place from a bulk where it is beyond the day's people, in its own commit.

    Called once the look is booked, and before it is in the log of looks.
    """
    if not _beyond(tx, house, asked, account):
        return
    if (bulk := _agreed(tx, house, asked, account)) is not None:
        tx.put_row(BULK, bulk.id.encode(), msgspec.json.encode(replace(bulk, used=bulk.used + 1)))


def _beyond(view: View, house: House, asked: UseRequest, account: str) -> bool:
    day, theirs = looking.day_of(view.now), accounts_of(account)
    person = asked.person or NOBODY
    if any(looking.looked_at(view, each, day, person) for each in theirs):
        return False
    seen = frozenset().union(*(looking.people_on(view, each, day) for each in theirs))
    return len(seen) >= house.looks.people_per_day.get(asked.actor.role, 0)


def _agreed(view: View, house: House, asked: UseRequest, account: str) -> Bulk | None:
    """Return the bulk that ends first of those that have a place for this look."""
    human = account.partition("/")[2]
    live = [
        each
        for each in bulks(view)
        if each.account.partition("/")[2] == human
        and each.standing(view.now) == "approved"
        and each.serves(house, asked)
    ]
    return min(live, key=lambda each: (each.until, each.id), default=None)


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
            if over(view, desk.house(view), request, desk.account(actor)):
                return Refusal((house_reason(ReasonCode.QUOTA, RULE),))
        return answer


def bulks(view: View) -> list[Bulk]:
    """Return every bulk export asked for, oldest id first."""
    return [
        msgspec.json.decode(raw, type=Bulk) for _, raw in view.rows(BULK, b"", b"", _MOST_BULKS)
    ]


def ask_bulk(desk: Desk, people: int, reason: str, actor: Actor, purpose: str = "") -> Bulk:
    """Ask to take more people out than a day allows; somebody else must agree.

    Args:
        desk: The workspace.
        people: How many more.
        reason: What for; a reference such as `case:T-1` ties it to looks under that one.
        actor: Who asks.
        purpose: For looks under this purpose alone; "" is the one staff serve people under.

    Raises:
        InvalidInput: No count, no words on what for or words that seem to name somebody, or a
            purpose that is not published.
    """
    if people < 1 or not reason.strip():
        raise InvalidInput("a bulk export needs a count and a reason", "say how many, what for")
    if not kind_of(reason.strip()):  # a ticket's own number may be long
        require_nameless(reason)
    with desk.store.look() as view:
        if purpose and purpose not in desk.house(view).purposes:
            raise InvalidInput("this purpose is not published", "name one that is")
    ident = f"bulk-{desk.randomness.take(ID_BYTES).hex()}"
    with desk.store.look() as view:
        now = view.now
    bulk = Bulk(
        ident, desk.account(actor), people, reason.strip()[:200], "requested", now, purpose=purpose
    )
    return _booked(desk, bulk, actor, None)


def answer_bulk(
    desk: Desk, ident: str, actor: Actor, answer: str, above: Collection[str] = ()
) -> Bulk:
    """Agree to a bulk export, or refuse it: another person than who asked, officer or IT.

    Args:
        desk: The workspace.
        ident: Which.
        actor: Who answers.
        answer: approved or refused.
        above: Hands of those the actor reports to, see `granting.above`.

    Raises:
        NotFound: There is none of this id.
        InvalidInput: This role may not, or it is their own, or of whom they report to.
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
    if held.account.partition("/")[2] in above:
        raise InvalidInput("you report to whoever asks", "ask another person")
    if held.state != "requested":
        raise Conflict("this was answered already", "look at the list of exports")
    until = Instant(now + shipped()["bulk_hours"] * _HOUR) if answer == "approved" else Instant(0)
    done = replace(held, state=answer, until=until, by=mine)
    return _booked(desk, done, actor, raw)


def _booked(desk: Desk, bulk: Bulk, actor: Actor, before: bytes | None) -> Bulk:
    said = events.AccessActed(
        bulk.state,
        bulk.id,
        "jit",
        account=bulk.account,
        purpose=bulk.purpose or None,
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
