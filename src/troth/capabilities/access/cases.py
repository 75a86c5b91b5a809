"""Cases of staff: opened by hand or from outside, closed by hand or by themselves.

A case is an event in the chain of the person it is about. Whoever opens one by hand is named
beside it, by digest, so that the officer sees how often an account gave itself its reason.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from troth.capabilities.access import canaries
from troth.capabilities.access.shipped import shipped
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel import cases, events
from troth.kernel.cases import BY_HAND, Held
from troth.kernel.desk import Desk, everybody
from troth.kernel.looking import STAFF, TICKET, is_look
from troth.kernel.reasons import house_reason
from troth.ports import StaffPolicy, View
from troth.terms import (
    DAY,
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

MAY_OPEN: Final = frozenset({Role.SUPPORT, Role.OFFICER, Role.SYSTEM})
SOURCES: Final = frozenset({"phone", "mail", "shop", "ticket", "reply", "complaint"})
OWN_CASE: Final = "house.reason.own_case"
_TRIES: Final = 20


def reference(text: str) -> str:
    """Read a reason as somebody types it: a bare ticket number names a case.

    >>> reference(" IR/26/1 "), reference("request:rq-abc"), reference("she rang us")
    ('case:IR-26-1', 'request:rq-abc', 'she rang us')
    """
    text = text.strip().replace("/", "-")
    bare = f"case:{text}"
    return bare if cases.kind_of(bare) else text


@dataclass(frozen=True, slots=True)
class Opening:
    """A case to open: its number as the house's tickets have it, and where it came from."""

    case: str
    source: str


def open_case(desk: Desk, person: PersonId, opening: Opening, actor: Actor) -> Held:
    """Open a case about somebody; one that is open already stays as it is.

    Raises:
        InvalidInput: The number or source does not read, this role may not, or cases come from
            the ticket system alone here. Nothing was recorded.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    ref = f"case:{opening.case}"
    _require(ref, opening, actor)
    canaries.sound(desk, person, actor)
    for _ in range(_TRIES):
        with desk.store.look() as view:
            kept = desk.keeper(view, person)
            found = view.gather([kept], None)
            if not found:
                raise NotFound("nothing is held under this id")
            house, before = desk.house(view), cases.held(view, ref, kept)
            if before is not None and before.stands(view.now):
                return before
            staff = actor.role in STAFF
            if house.looks.cases == TICKET and staff and opening.source in BY_HAND:
                raise InvalidInput(
                    "cases come from the ticket system here", "name the number of one of its cases"
                )
            until = Instant((view.now + house.looks.case_days * DAY) // SECOND * SECOND)
            said = events.CaseActed(opening.case, "opened", opening.source, zulu(until))
            prepared = desk.scribe.prepare(kept, found[0].head, [said], actor, view.now)
        with desk.store.book(house.version) as tx:
            if not tx.append(prepared):
                told = cases.held(tx, ref, kept)
                if told is not None:
                    told = replace(told, by=desk.account(actor) if staff else "")
                    cases.put(tx, told)
                    return told
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def named_case(desk: Desk, person: PersonId, opening: Opening, actor: Actor) -> str:
    """Return the reference of a case as somebody typed it, opened by hand where the house lets.

    Where cases come from outside alone, nothing is opened: the gate answers for what is named.

    Raises:
        InvalidInput: The number does not read, or this role opens no case.
        Shredded: The person was erased.
    """
    ref = reference(opening.case)
    kind = cases.kind_of(ref)
    with desk.store.look() as view:
        outside = desk.house(view).looks.cases == TICKET and actor.role in STAFF
        if kind and (kind != "case" or outside or cases.contains(view, ref, person)):
            return ref
    return open_case(desk, person, replace(opening, case=ref.removeprefix("case:")), actor).ref


def require_number(text: str) -> None:
    """Require that a reason as somebody typed it reads, before anybody is searched for.

    Raises:
        InvalidInput: It does not; the answer is the same whoever it was about.
    """
    if not cases.kind_of(reference(text)):
        raise InvalidInput(
            "this is no case number", "use letters, digits, dot, - and _, 64 at most"
        )


def _require(ref: str, opening: Opening, actor: Actor) -> None:
    require_number(ref)
    if opening.source not in SOURCES:
        raise InvalidInput("a case needs its source", f"use one of {', '.join(sorted(SOURCES))}")
    if actor.role not in MAY_OPEN:
        raise InvalidInput("this role opens no case", "ask support or the privacy officer")


def close_case(desk: Desk, person: PersonId, case: str, actor: Actor) -> None:
    """Close a case by hand: from the next look on it is no reason any more.

    Raises:
        NotFound: No such case of theirs is open.
        InvalidInput: This role may not.
        Shredded: The person was erased.
    """
    if actor.role not in MAY_OPEN:
        raise InvalidInput("this role closes no case", "ask support or the privacy officer")
    while True:
        with desk.store.look() as view:
            told = _open_of(view, person, f"case:{case}")
            head = desk.head(view, told.person)
            said = events.CaseActed(case, "closed", told.source)
            prepared = desk.scribe.prepare(told.person, head, [said], actor, view.now)
        with desk.store.book() as tx:
            if not tx.append(prepared):
                return


def _open_of(view: View, person: PersonId, ref: str) -> Held:
    for each in everybody(view, person):
        told = cases.held(view, ref, each)
        if told is not None and told.stands(view.now):
            return told
    raise NotFound("no such case of theirs is open", "see: troth case list")


def self_opened(view: View, since: Instant) -> Counter[str]:
    """Count, by account, the cases somebody opened by hand since an instant.

    An account named here gave itself the reason for its own looks: no other person did.
    """
    return Counter(each.by for each in cases.every(view) if each.by and each.opened >= since)


def under_way(view: View) -> list[Held]:
    """Return the cases that are open now, the one that closes first before the others."""
    found = (e for e in cases.every(view) if e.ref.startswith("case:") and e.stands(view.now))
    return sorted(found, key=lambda each: (each.until, each.ref))


def forget_closed(desk: Desk) -> int:
    """Drop what is in clear of reasons closed long ago; return how many. Chains keep theirs."""
    kept = shipped()["forget_days"] * DAY
    with desk.store.look() as view:
        old = [
            each
            for each in cases.every(view)
            if not each.stands(view.now) and max(each.until, each.opened) + kept <= view.now
        ]
    for start in range(0, len(old), 500):
        with desk.store.book() as tx:
            for each in old[start : start + 500]:
                cases.forget(tx, each)
    return len(old)


@dataclass(frozen=True, slots=True)
class Reasoned:
    """A staff policy that lets nobody look without a reason that exists and is open.

    Attributes:
        inner: The policy asked first; its no is the answer.
        desk: The workspace's desk, asked for at each claim.
    """

    inner: StaffPolicy
    desk: Callable[[], Desk]

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Say what this actor may use, or that the reason named is none; looks at nobody."""
        answer = self.inner.claim(request)
        if isinstance(answer, Refusal) or not is_look(request):
            return answer
        desk = self.desk()
        with desk.store.look() as view:
            if cases.standing(view, request.reason) != "open":
                return Refusal((house_reason(ReasonCode.REASON_MISSING),))
            if desk.house(view).looks.cases == TICKET and self._only_own(desk, view, request):
                return Refusal((house_reason(ReasonCode.SEPARATION_OF_DUTY, OWN_CASE),))
        return answer

    def _only_own(self, desk: Desk, view: View, request: UseRequest) -> bool:
        """Tell whether nobody but the one who looks vouches for the case, or for whom it is about.

        A real ticket vouches for the people it came with, not for whoever was added to it. The
        privacy officer takes in what people send and answers it: their own requests are reasons.
        """
        own = request.reason.startswith("request:")
        if own and request.actor.role is Role.OFFICER:
            return False
        hand = desk.account(request.actor).partition("/")[2]
        stands = [each for each in cases.about(view, request.reason) if each.stands(view.now)]
        ids = everybody(view, request.person) if request.person is not None else ()
        stands = [each for each in stands if each.person in ids] or stands
        return bool(stands) and all(
            each.by.partition("/")[2] == hand or (each.by and each.source in BY_HAND)
            for each in stands
        )
