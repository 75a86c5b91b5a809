"""Separation of duty: who writes does not approve."""

from troth.kernel.desk import Desk
from troth.terms import Actor


def same_hand(desk: Desk, a: Actor | str, b: Actor | str) -> bool:
    """Tell whether two acts are of one hand, whatever role each was done in.

    Compares keyed digests, so an actor as the house chain writes it (`role/digest`) will do. It
    cannot tell that two ids belong to one person: `troth.toml` gives each of the staff one.

    Args:
        desk: Whose staff.
        a: An actor, or one as an event of the house chain names it.
        b: The other one.
    """
    return _digest(desk, a) == _digest(desk, b)


def _digest(desk: Desk, who: Actor | str) -> str:
    text = who if isinstance(who, str) else desk.scribe.actor(who, desk.scribe.house)
    return text.rpartition("/")[2]
