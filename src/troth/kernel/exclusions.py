"""Goods a person wants used for nothing personal: one list, however many ids they have.

Every reader of what people bought or looked at asks here. A list that is there and cannot be read
closes the whole of that history: nobody may guess what stands in it.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

import msgspec

from troth.errors import EvidenceBroken, NotFound
from troth.kernel.desk import everybody
from troth.kernel.gate import Permit
from troth.kernel.vault import Vault
from troth.ports import View
from troth.terms import PersonId, Sealed

FIELD: Final = "exclusions"
"""The vault's field of the list: group codes as a JSON list."""


def read(text: str) -> frozenset[str] | None:
    """Read a list as it was opened; None: it does not read.

    >>> sorted(read('["beer","wine"]')), read("")
    (['beer', 'wine'], None)
    """
    try:
        return frozenset(msgspec.json.decode(text.encode(), type=list[str]))
    except msgspec.MsgspecError:
        return None


def held(view: View, person: PersonId) -> dict[PersonId, Sequence[Sealed]]:
    """Return the sealed lists of a person, by the id each was chosen under; ids without, not."""
    found = view.sealed(everybody(view, person), [FIELD])
    return {whose: rows for whose, rows in found.items() if rows}


def version(view: View, person: PersonId) -> int:
    """Return a number that is another one once any list of a person is; 0 there is none."""
    return sum(row.version for rows in held(view, person).values() for row in rows)


def excluded(
    vault: Vault, view: View, permits: Sequence[Permit]
) -> dict[PersonId, frozenset[str] | None]:
    """Return the groups each person excluded, over every id merged into theirs.

    None: there is a list, and it may not or cannot be opened; nothing they did is used then. Costs
    one read for all, and two small ones each.

    Args:
        vault: Where the lists lie.
        view: The look they were permitted in.
        permits: One a person; a list is opened where it covers its category in full.
    """
    ids = {permit.person: everybody(view, permit.person) for permit in permits}
    lists = view.sealed(list(chain.from_iterable(ids.values())), [FIELD])
    return {
        permit.person: _together(
            vault, view, permit, {whose: lists.get(whose, ()) for whose in ids[permit.person]}
        )
        for permit in permits
    }


def _together(
    vault: Vault, view: View, permit: Permit, lists: Mapping[PersonId, Sequence[Sealed]]
) -> frozenset[str] | None:
    rows = [(whose, row) for whose, held_by in lists.items() for row in held_by]
    if rows and permit.categories.get(vault.category(FIELD)) != "full":
        return None
    out = frozenset[str]()
    for whose, row in rows:
        try:
            groups = read(vault.open_merged(permit, whose, row, view.now))
        except (EvidenceBroken, NotFound):
            return None
        if groups is None:
            return None
        out |= groups
    return out
