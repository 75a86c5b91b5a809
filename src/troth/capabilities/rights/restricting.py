"""Only storing: who holds a person's data back, and how each ends what is theirs to end.

The gate knows one flag. Behind it stand holds: the person's own, the house's, and one for each
deletion that waits. Whoever lifts one leaves the others standing, in the same commit: the flag
falls with the last of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel import events, restrictions
from troth.kernel.desk import Desk, everybody
from troth.ports import View
from troth.terms import Actor, Head, PersonId, Prepared, Role

MAY_RESTRICT: Final = frozenset({Role.PERSON, Role.SYSTEM, Role.SUPPORT, Role.OFFICER})
MAY_LIFT: Final = frozenset({Role.PERSON, Role.SYSTEM, Role.OFFICER})
OWN: Final = "asked by the person"
"""The reason of a person's own hold, whoever writes it down for them."""
WAITS: Final = "deletion "
"""Begins the reason of the hold for a deletion's days of grace; the request's id follows."""
TRIES: Final = 20
PERSON: Final = "person"
HOUSE: Final = "house"
BY_ITSELF: Final = Actor(Role.SYSTEM, "requests")
"""Who keeps the hold of a deletion."""
Step = tuple[PersonId, events.Payload, Actor]
"""In whose chain, what, by whom."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The event that began a hold: in whose chain, its number there, and its reason."""

    person: PersonId
    n: int
    reason: str


def holds(desk: Desk, view: View, person: PersonId) -> dict[str, Hold]:
    """Return what holds a person's data back now: `PERSON`, `HOUSE`, a deletion's reason.

    Over all ids of the person, the oldest first. Opens their chains.

    Raises:
        Shredded: The person was erased.
    """
    told = [
        (recorded.seq, recorded.event, recorded.event.payload)
        for each in everybody(view, person)
        for recorded in desk.scribe.chain(view, each)
        if isinstance(recorded.event.payload, events.ProcessingRestricted)
    ]
    held: dict[str, Hold] = {}
    for _, event, said in sorted(told, key=lambda each: each[0]):
        whose = _whose(said.reason, event.actor.partition("/")[0])
        if said.restricted:
            held.setdefault(whose, Hold(PersonId(event.person), event.n, said.reason))
        else:
            held = {name: each for name, each in held.items() if name not in _ended(whose, held)}
    return held


def _whose(reason: str, role: str) -> str:
    if role == Role.SYSTEM and reason.startswith(WAITS):
        return reason
    return PERSON if role == Role.PERSON or reason == OWN else HOUSE


def _ended(whose: str, held: Mapping[str, Hold]) -> list[str]:
    """Name the holds a lift ends: the house also ends what a person asked for, never a grace."""
    if whose == HOUSE:
        return [each for each in held if not each.startswith(WAITS)]
    return [each for each in held if each == whose]


def restrict(desk: Desk, person: PersonId, reason: str, actor: Actor) -> None:
    """Keep a person's data and use it for nothing, until `lift_restriction`.

    Raises:
        InvalidInput: This role may not.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
        Unavailable: Others keep writing to this record. Nothing was recorded.
    """
    _require(actor, MAY_RESTRICT)
    said = events.ProcessingRestricted(restricted=True, reason=reason)
    for _ in range(TRIES):
        with desk.store.look() as view:
            prepared = prepare(desk, view, [(person, said, actor)])
        if book(desk, prepared):
            return
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def lift_restriction(desk: Desk, person: PersonId, reason: str, actor: Actor) -> None:
    """End a restriction; what others hold back, and a deletion that waits, stays.

    Raises:
        InvalidInput: This role may not, or a person lifts what is not their own.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
        Unavailable: Others keep writing to this record. Nothing was recorded.
    """
    _require(actor, MAY_LIFT)
    for _ in range(TRIES):
        with desk.store.look() as view:
            kept = desk.keeper(view, person)
            held = holds(desk, view, kept)
            if actor.role is Role.PERSON and held and PERSON not in held:
                raise InvalidInput("this was not restricted by you", "ask us about it")
            prepared = prepare(desk, view, _lifted(held, kept, reason, actor))
        if book(desk, prepared):
            return
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def held_back(desk: Desk, view: View, person: PersonId, reason: str) -> list[Step]:
    """Return what begins a hold that the house keeps by itself; nothing where it stands."""
    if reason in holds(desk, view, person):
        return []
    said = events.ProcessingRestricted(restricted=True, reason=reason)
    return [(desk.keeper(view, person), said, BY_ITSELF)]


def let_go(desk: Desk, view: View, person: PersonId, reason: str) -> list[Step]:
    """Return what ends a hold that the house keeps by itself; nothing where none stands."""
    held = holds(desk, view, person)
    kept = desk.keeper(view, person)
    return _lifted(held, kept, reason, BY_ITSELF) if reason in held else []


def _lifted(held: Mapping[str, Hold], kept: PersonId, reason: str, actor: Actor) -> list[Step]:
    """Return the lift, and after it what still stands, said again: no moment lies between."""
    ended = _ended(_whose(reason, actor.role), held)
    lift = events.ProcessingRestricted(restricted=False, reason=reason)
    still = [(whose, hold) for whose, hold in held.items() if whose not in ended]
    if not still:
        return [(kept, lift, actor)]
    why = OWN if still[0][0] == PERSON else still[0][1].reason
    again = events.ProcessingRestricted(restricted=True, reason=why)
    return [(kept, lift, actor), (kept, again, BY_ITSELF)]


def prepare(desk: Desk, view: View, steps: Sequence[Step]) -> list[Prepared]:
    """Write steps by several actors, each at the end of its chain."""
    heads: dict[PersonId, Head] = {}
    out: list[Prepared] = []
    for person, said, actor in steps:
        head = heads.get(person) or desk.head(view, person)
        out += desk.scribe.prepare(person, head, [said], actor, view.now)
        heads[person] = Head(out[-1].n, out[-1].c)
    return out


def book(desk: Desk, prepared: Sequence[Prepared]) -> bool:
    """Book events with the journal lines they need; False: a head moved, look again.

    Raises:
        NotFound: Nothing is held under one of the ids.
    """
    with desk.store.book() as tx:
        first = {each.person: each for each in reversed(prepared)}
        found = tx.gather(list(first), None)
        if len(found) < len(first):
            raise NotFound("nothing is held under this id")
        ends = {each.person: (each.head.n, each.head.c) for each in found}
        if any(ends[who] != (each.n - 1, each.prev) for who, each in first.items()):
            return False
        seq = tx.size
        tx.append(prepared)
    lines = [restrictions.line(p.person, p.payload, seq + i) for i, p in enumerate(prepared)]
    desk.journal.note_all([line for line in lines if line])
    return True


def _require(actor: Actor, roles: frozenset[Role]) -> None:
    if actor.role not in roles:
        raise InvalidInput("this role may not decide this", "ask the privacy officer")
