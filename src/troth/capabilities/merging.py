"""Merging: two ids that are one human being become one, undoable; the stricter answer stands.

Both histories stay where they were recorded. The id that stays is judged by the most restrictive
of both, the other is refused as unknown; its addresses and outside ids lead to the one that stays.
"""

from collections.abc import Sequence
from dataclasses import replace

from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import cutting, events, exclusions, fold, restrictions
from troth.kernel.desk import ALIASES, EXTERNAL, Desk, aliases, append_together, pointers
from troth.kernel.scribe import Recorded
from troth.ports import Transaction, View
from troth.terms import Actor, Channel, Gathered, PersonId, PersonRecord, Prepared, Role

MAY_MERGE = frozenset({Role.SYSTEM, Role.OFFICER})
_ONE_ADDRESS = frozenset({"hard_bounce"})
"""Suppressions that are about an address alone and do not follow its owner to another one."""


def merge(desk: Desk, keep: PersonId, other: PersonId, reason: str, actor: Actor) -> None:
    """Make `other` an alias of `keep`, in both chains at once; see `unmerge`.

    From the next decision on `keep` is refused whatever either of both had refused, withdrawn,
    objected to, or had an address suppressed for. What said nothing closes nothing. Suppressions
    stay on every address. Waiting messages to `other` are withheld, and those to `keep` that were
    made from their activity where `other` excluded goods.

    Raises:
        NotFound: One of the ids is unknown.
        InvalidInput: Both ids are the same, no reason is given, or this role may not.
        Conflict: One is merged already, or is being erased. Nothing was recorded.
        Shredded: One was erased.
    """
    _require_officer(actor)
    if keep == other or not reason.strip():
        raise InvalidInput("a merge needs two different ids and a reason")
    while True:
        with desk.store.look() as view:
            mine, theirs = _pair(view, keep, other)
            if mine.record.alias or theirs.record.alias:
                raise Conflict(
                    "one of the two is merged into another id", "name the id that stays"
                )
            blocks = _blocks(view, keep, other)
            said = events.PersonMerged(other.hex(), keeps=True, reason=reason, blocks=blocks)
            back = events.PersonMerged(keep.hex(), keeps=False, reason=reason)
            prepared = [
                *desk.scribe.prepare(keep, mine.head, [said], actor, view.now),
                *desk.scribe.prepare(other, theirs.head, [back], actor, view.now),
            ]
            version, narrows = view.house_version, bool(exclusions.held(view, other))
        with desk.store.book(version) as tx:
            if not append_together(tx, prepared):
                continue
            tx.put_row(ALIASES, keep + other, b"1")
            if narrows:  # what waits for `keep` was made without the other's list
                cutting.outdate(tx, keep, prepared[0].n)
            _lead(tx, [other, *aliases(tx, other)], keep)
            first = tx.size - len(prepared)
        _journal(desk, prepared[0], first)
        return


def unmerge(desk: Desk, keep: PersonId, other: PersonId, reason: str, actor: Actor) -> None:
    """Undo a merge: both ids stand again as their own chains say; suppressions stay.

    Acts recorded since then stay with the chain they were recorded in.

    Raises:
        NotFound: One of the ids is unknown, or `other` is not merged into `keep`.
        InvalidInput: No reason is given, or this role may not.
        Conflict: An erasure of both has begun: it is finished for both.
        Shredded: They were erased.
    """
    _require_officer(actor)
    if not reason.strip():
        raise InvalidInput("an un-merge needs a reason")
    while True:
        with desk.store.look() as view:
            mine, theirs = _pair(view, keep, other)
            if theirs.record.alias != keep.hex():
                raise NotFound("these two are not merged", "name the id that stays first")
            told = [
                events.PersonUnmerged(other.hex(), reason),
                events.PersonUnmerged(keep.hex(), reason),
            ]
            prepared = [
                *desk.scribe.prepare(keep, mine.head, told[:1], actor, view.now),
                *desk.scribe.prepare(other, theirs.head, told[1:], actor, view.now),
            ]
            records = _apart(desk, view, keep, other)
            version = view.house_version
        with desk.store.book(version) as tx:
            if not append_together(tx, prepared):
                continue
            for person, record in records.items():
                tx.put_record(person, record)
            tx.put_row(ALIASES, keep + other, None)
            _lead(tx, [other, *aliases(tx, other)], other)
            first = tx.size - len(prepared)
        _journal(desk, prepared[0], first)
        return


def _journal(desk: Desk, prepared: Prepared, seq: int) -> None:
    """Note in the restriction journal who is one from now on, or no more: a restore repeats it."""
    line = restrictions.line(prepared.person, prepared.payload, seq)
    desk.journal.note_all([line] if line else [])


def _require_officer(actor: Actor) -> None:
    if actor.role not in MAY_MERGE:
        raise InvalidInput("this role may not merge anybody", "ask the privacy officer")


def merged_into(view: View, keep: PersonId) -> list[PersonId]:
    """Return the ids merged into this one directly: those an un-merge can take out again."""
    return [
        alias
        for alias in aliases(view, keep)
        if view.gather([alias], None)[0].record.alias == keep.hex()
    ]


def _pair(view: View, keep: PersonId, other: PersonId) -> tuple[Gathered, Gathered]:
    found = view.gather([keep, other], None)
    if len(found) != 2:  # noqa: PLR2004 - both
        raise NotFound("nothing is held under one of these ids")
    if any(each.record.erasing for each in found):
        raise Conflict("an erasure has begun", "it is finished for every id of this person")
    return found[0], found[1]


def _blocks(view: View, keep: PersonId, other: PersonId) -> tuple[dict[str, str], ...] | None:
    """Suppressions of the other's addresses that the keeper's own addresses lack."""
    out: dict[tuple[str, str, str], dict[str, str]] = {}
    for channel in Channel:
        theirs = view.gather([other], channel)[0]
        mine = view.gather([keep], channel)[0]
        for block in theirs.blocks:
            ended = block.until and block.until <= view.now
            if block.reason in _ONE_ADDRESS or ended or block in mine.blocks:
                continue
            place = (block.reason, block.scope, block.value)
            out[place] = dict(zip(("reason", "scope", "value"), place, strict=True))
    return tuple(out.values()) or None


def _lead(tx: Transaction, people: Sequence[PersonId], to: PersonId) -> None:
    """Let the outside ids of these people lead to one id."""
    for person in people:
        for table, key in list(pointers(tx, person)):
            if table == EXTERNAL:
                tx.put_row(EXTERNAL, key, to)


def _apart(
    desk: Desk, view: View, keep: PersonId, other: PersonId
) -> dict[PersonId, PersonRecord]:
    """Fold both chains again as they stand once the un-merge is recorded."""
    chains: dict[str, Sequence[Recorded]] = {}
    for person in (keep, *aliases(view, keep)):
        chains[person.hex()] = desk.scribe.chain(view, person)
    drafts = view.published_all("purpose:")
    mine = fold.refold(_without(chains[keep.hex()], other), chains, drafts)
    theirs = fold.refold(_without(chains[other.hex()], keep), chains, drafts)
    return {keep: mine, other: replace(theirs, alias="")}


def _without(chain: Sequence[Recorded], other: PersonId) -> list[Recorded]:
    """Leave out the merge that is being undone: the newest with this id."""
    places = [
        i
        for i, r in enumerate(chain)
        if isinstance(r.event.payload, events.PersonMerged)
        and r.event.payload.other == other.hex()
    ]
    return [*chain[: places[-1]], *chain[places[-1] + 1 :]] if places else list(chain)
