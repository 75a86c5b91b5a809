"""A no that the person's addresses follow: noted in its own commit, done right after it.

Whoever shares a mailbox gets no second copy, and no other id of the person escapes the no. Where
the machine stops in between, the follower of the no does what is noted; it is done once.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from troth.capabilities.preferences.model import Choice
from troth.capabilities.preferences.suppressions import suppress_point
from troth.kernel import consent
from troth.kernel.desk import SYSTEM, Desk, drop_pointer, everybody, put_pointer
from troth.ports import Transaction, View
from troth.terms import (
    GRANTING,
    Actor,
    Block,
    Channel,
    ConsentStatus,
    ContactPoint,
    Instant,
    PersonId,
)

BINDING: Final = "preferences.binding"
"""Person and number of an event → what of it is not on the list of their addresses yet."""
_OBJECTION: Final = "objection"


class Bound(msgspec.Struct, array_like=True, frozen=True):
    """What one no puts on the list: of every address of the person on these channels."""

    purpose: str
    channels: tuple[str, ...]
    reason: str
    source: str


def bounds(choices: Sequence[Choice]) -> list[Bound]:
    """Return what acts bind: an objection every address, another no those it says."""
    out = []
    for choice in choices:
        if choice.status is ConsentStatus.OBJECTED:
            every = tuple(str(channel) for channel in Channel)
            out.append(Bound(choice.purpose, every, _OBJECTION, _OBJECTION))
        elif choice.binds:
            out.append(Bound(choice.purpose, choice.binds, "unsubscribe", choice.source))
    return out


def note(tx: Transaction, person: PersonId, n: int, due: Sequence[Bound]) -> None:
    """Note in the commit of event `n` what is to be bound; nothing where there is nothing."""
    if due:
        put_pointer(tx, person, BINDING, person + n.to_bytes(8, "big"), msgspec.json.encode(due))


def finish(desk: Desk, person: PersonId, actor: Actor = SYSTEM) -> None:
    """Put on the list what is noted; repeatable, and nothing where all is done.

    What the person said yes to since then is left alone.

    Raises:
        Unavailable: The journal cannot be written; it stays noted.
    """
    with desk.store.look() as view:
        noted = view.rows(BINDING, person, b"", 1_000)
    for key, raw in noted:
        for each in msgspec.json.decode(raw, type=list[Bound]):
            bind(desk, person, each, actor)
        with desk.store.book() as tx:
            drop_pointer(tx, person, BINDING, key)


def bind(desk: Desk, person: PersonId, bound: Bound, actor: Actor) -> None:
    """Put every address the person has on these channels on the list, for one purpose."""
    with desk.store.look() as view:
        ids = everybody(view, person)
        points: dict[bytes, tuple[Channel, ContactPoint]] = {}
        for channel in map(Channel, bound.channels):
            if not _stands(desk, view, person, bound, channel):
                continue
            for found in view.gather(ids, channel):
                if found.contact is not None:
                    points.setdefault(found.contact.sup, (channel, found.contact))
        block = Block(bound.reason, "purpose", bound.purpose, since=Instant(view.now))
    for channel, point in points.values():
        suppress_point(desk, channel, point.bi, point.sup, block, bound.source, actor)


def _stands(desk: Desk, view: View, person: PersonId, bound: Bound, channel: Channel) -> bool:
    """Tell whether the no is still what was said last."""
    house, found = desk.house(view), view.gather([person], None)
    purpose = house.purposes.get(bound.purpose)
    if not found or purpose is None:
        return False
    status = consent.resolve(found[0].record, purpose, channel, view.now, house.purposes).status
    if bound.reason == _OBJECTION:
        return status is ConsentStatus.OBJECTED
    return status not in GRANTING
