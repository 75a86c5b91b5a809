"""Goods a person does not want to be used: a sealed list of group codes, theirs to change."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import cutting, events, exclusions
from troth.kernel.desk import Desk, append_together
from troth.kernel.exclusions import FIELD
from troth.ports import View
from troth.terms import Actor, PersonId, Prepared, Role, Sealed

TRIES: Final = 20
MOST: Final = 500
LONGEST: Final = 120
MAY_EXCLUDE: Final = frozenset({Role.PERSON, Role.OFFICER, Role.SYSTEM})


def set_exclusions(
    desk: Desk, person: PersonId, groups: Collection[str], actor: Actor, seen: int = -1
) -> list[Prepared]:
    """Seal the whole list of groups whose goods are used for nothing personal; the newest counts.

    Every list that was chosen under an id merged into theirs becomes the same: what is taken back
    is taken back in all of them.

    Args:
        desk: The workspace.
        person: Whose list; written under the id that stayed.
        groups: All of it.
        actor: Who chooses.
        seen: `exclusions.version` of the list that was changed; -1 whatever is there.

    Returns:
        The event of the id that stayed.

    Raises:
        InvalidInput: Too many groups, one is too long, or this role may not.
        Conflict: The list is another one than was seen; nothing was recorded.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
        Unavailable: Others keep writing to this record. Nothing was recorded.
    """
    if actor.role not in MAY_EXCLUDE:
        raise InvalidInput("this role may not choose for a person", "ask the privacy officer")
    if len(groups) > MOST or any(not 0 < len(each) <= LONGEST for each in groups):
        raise InvalidInput("these are no groups of goods")
    text = msgspec.json.encode(sorted(groups)).decode()
    for _ in range(TRIES):
        with desk.store.look() as view:
            if not view.gather([person], None):
                raise NotFound("nothing is held under this id")
            if seen not in (-1, exclusions.version(view, person)):
                raise Conflict("the list was changed meanwhile", "look at it again")
            written = _written(desk, view, desk.keeper(view, person), text, actor)
        prepared = [each for each, _ in written]
        with desk.store.book() as tx:
            if append_together(tx, prepared):
                for each, sealed in written:
                    tx.put_sealed(each.person, sealed)
                    cutting.outdate(tx, each.person, each.n)
                return prepared[:1]
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _written(
    desk: Desk, view: View, kept: PersonId, text: str, actor: Actor
) -> list[tuple[Prepared, Sequence[Sealed]]]:
    """Write the list, and its event, for the id that stayed and each merged one that holds one."""
    held = exclusions.held(view, kept)
    out: list[tuple[Prepared, Sequence[Sealed]]] = []
    for whose in dict.fromkeys([kept, *held]):
        version = max((row.version for row in held.get(whose, ())), default=0) + 1
        sealed = desk.vault.seal_values(whose, {FIELD: text}, {FIELD: version}, view.now)
        said = events.ValuesSealed({FIELD: version}, "own wish")
        head = desk.head(view, whose)
        out += [(p, sealed) for p in desk.scribe.prepare(whose, head, [said], actor, view.now)]
    return out
