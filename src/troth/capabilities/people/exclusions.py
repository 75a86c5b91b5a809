"""Goods a person does not want to be used: a sealed list of group codes, theirs to change."""

from collections.abc import Collection
from contextlib import suppress
from typing import Final

import msgspec

from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import cutting, events
from troth.kernel.desk import Desk
from troth.terms import Actor, PersonId, Prepared, Role

FIELD: Final = "exclusions"
MOST: Final = 500
LONGEST: Final = 120
MAY_EXCLUDE: Final = frozenset({Role.PERSON, Role.OFFICER, Role.SYSTEM})


def read_exclusions(text: str) -> frozenset[str]:
    """Read the sealed list; what does not read excludes nothing that could be named.

    >>> sorted(read_exclusions('["beer","wine"]')), read_exclusions("")
    (['beer', 'wine'], frozenset())
    """
    with suppress(msgspec.MsgspecError):
        return frozenset(msgspec.json.decode(text.encode(), type=list[str]))
    return frozenset()


def set_exclusions(
    desk: Desk, person: PersonId, groups: Collection[str], actor: Actor, seen: int = -1
) -> list[Prepared]:
    """Seal the whole list of groups whose goods are used for nothing personal; the newest counts.

    Args:
        desk: The workspace.
        person: Whose list.
        groups: All of it.
        actor: Who chooses.
        seen: Row version of the list that was changed; -1 whatever is there.

    Raises:
        InvalidInput: Too many groups, one is too long, or this role may not.
        Conflict: The list is another one than was seen; nothing was recorded.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    if actor.role not in MAY_EXCLUDE:
        raise InvalidInput("this role may not choose for a person", "ask the privacy officer")
    if len(groups) > MOST or any(not 0 < len(each) <= LONGEST for each in groups):
        raise InvalidInput("these are no groups of goods")
    text = msgspec.json.encode(sorted(groups)).decode()
    while True:
        with desk.store.look() as view:
            found = view.gather([person], None)
            if not found:
                raise NotFound("nothing is held under this id")
            rows = view.sealed([person], [FIELD]).get(person, [])
            version = max((row.version for row in rows), default=0) + 1
            if seen not in (-1, version - 1):
                raise Conflict("the list was changed meanwhile", "look at it again")
            sealed = desk.vault.seal_values(person, {FIELD: text}, {FIELD: version}, view.now)
            said = events.ValuesSealed({FIELD: version}, "own wish")
            prepared = desk.scribe.prepare(person, found[0].head, [said], actor, view.now)
        with desk.store.book() as tx:
            if not tx.append(prepared):
                tx.put_sealed(person, sealed)
                cutting.outdate(tx, person, prepared[-1].n)
                return prepared
