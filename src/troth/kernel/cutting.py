"""Deleting part of what somebody did: the rest of a quarter lives on under a newer key.

One order, repeatable after a crash anywhere: the rest sealed anew and the event in one commit, the
journal line, the older keys destroyed, whatever lies under them dropped. An older copy of the data
cannot bring back what went; the price is that the rest of that quarter is not readable from it
either. What arrives later for the quarter is sealed under the newer key.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from troth.errors import Conflict, Unavailable
from troth.kernel import events, restrictions
from troth.kernel.desk import Desk, append_together, drop_pointer, put_pointer
from troth.kernel.vault import Chunk, pack_chunk, read_header
from troth.ports import Transaction, View
from troth.terms import Actor, PersonId, Sealed

PENDING = "kernel.cutting"
"""Deletions that are recorded and whose keys may still stand: person and ledger sequence."""
OUTDATED = "kernel.outdated"
"""Person → number of their newest event by which something may be used no more."""
CLOSED = "kernel.closed"
"""Times a person emptied: nothing dated in them is taken in again; person and ledger sequence."""
_ANY = b"any"
TRIES = 20

Pick = Callable[[PersonId, Sealed, Chunk], Collection[int]]
"""Which entries of a chunk go, by their places in it."""
Made = dict[tuple[PersonId, str], int]
"""Key versions made in this attempt, to be used again where the record moved meanwhile."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Whose wish a deletion follows; see `events.BehaviourDeleted`.

    Attributes:
        closes: Categories that go whole, each from an instant until another: a late file that
            still holds these entries does not bring them back.
    """

    what: str
    source: str
    given_by: str = "self"
    closes: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """What a deletion leaves of one id.

    Attributes:
        count: Entries that go.
        rows: Chunks that stay in part, or whole in a quarter of which something goes, sealed anew.
        gone: Field and row of chunks nothing is left of.
        scopes: Vault scope → newest key version that is destroyed.
    """

    person: PersonId
    count: int
    rows: tuple[Sealed, ...]
    gone: tuple[tuple[str, int], ...]
    scopes: Mapping[str, int]

    def told(self, wish: Wish) -> events.BehaviourDeleted:
        """Return the event that says so, naming quarters and never what went."""
        chunks = {f"{row.field}#{row.row}": row.version for row in self.rows}
        chunks |= {f"{field}#{row}": 0 for field, row in self.gone}
        return events.BehaviourDeleted(
            self.count, wish.what, chunks, dict(self.scopes), wish.source, wish.given_by
        )


@dataclass(frozen=True, slots=True)
class Gone:
    """What was deleted of one id, and the number of the event that says so."""

    person: PersonId
    n: int
    count: int
    scopes: tuple[str, ...]


def without(chunk: Chunk, places: Collection[int]) -> Chunk | None:
    """Return a chunk without some of its entries and the words only they used; None if empty.

    Its rare fields are dropped: they do not say which entry they are about.
    """
    left = [i for i in range(len(chunk.at)) if i not in places]
    if not left:
        return None
    kinds = sorted({chunk.kind[i] for i in left})
    items = sorted({chunk.item[i] for i in left})
    groups = sorted({chunk.item_group[i] for i in items})
    return Chunk(
        at=[chunk.at[i] for i in left],
        kind=[kinds.index(chunk.kind[i]) for i in left],
        item=[*map({old: new for new, old in enumerate(items)}.__getitem__,
                   (chunk.item[i] for i in left))],
        amount=[chunk.amount[i] for i in left],
        units=[chunk.units[i] for i in left],
        kinds=tuple(chunk.kinds[i] for i in kinds),
        items=tuple(chunk.items[i] for i in items),
        groups=tuple(chunk.groups[i] for i in groups),
        item_group=tuple(groups.index(chunk.item_group[i]) for i in items),
        currency=chunk.currency,
        source=chunk.source,
    )  # fmt: skip


def delete(  # noqa: PLR0913 - whose, what, at whose wish, and how logs are folded away
    desk: Desk,
    people: Sequence[PersonId],
    fields: Sequence[str],
    pick: Pick,
    wish: Wish,
    actor: Actor,
    settle: Callable[[], None],
) -> list[Gone]:
    """Delete entries of these ids of one person; nobody reads them from the commit on.

    Args:
        desk: The workspace.
        people: Every id of the person.
        fields: Vault scopes to look at; `purchases/` means every quarter.
        pick: Which entries of each chunk go.
        wish: What is recorded of it.
        actor: Who asks.
        settle: Folds write-ahead logs away, so that overwritten bytes are gone; where a reader
            holds them they go with the next fold: their keys are destroyed already.

    Returns:
        What went, by id; empty where nothing was picked, and then nothing was recorded.

    Raises:
        Unavailable: Others kept writing, or a store did not answer after the commit: then a
            follower of the event finishes it.
    """
    made: Made = {}
    for _ in range(TRIES):
        with suppress(Conflict):  # another process made that key version: look again
            found = _booked(desk, people, fields, pick, wish, actor, made)
            if found is not None:
                for each in found:
                    finish(desk, each.person, _later)
                if found:
                    with suppress(Unavailable):  # a reader holds the log: its keys are gone
                        settle()
                return found
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _later() -> None:
    """Logs are folded away once, for all ids together."""


def _booked(  # noqa: PLR0913 - one attempt of `delete`
    desk: Desk,
    people: Sequence[PersonId],
    fields: Sequence[str],
    pick: Pick,
    wish: Wish,
    actor: Actor,
    made: Made,
) -> list[Gone] | None:
    """Look, seal the rest anew, book and journal; None where a chain moved meanwhile."""
    with desk.store.look() as view:
        heads = {g.person: g.head for g in view.gather(people, None) if not g.record.erasing}
        desk.vault.keys.load(list(heads), view.now)
        cuts = [_cut(desk, view, person, fields, pick, made) for person in heads]
        cuts = [each for each in cuts if each.count]
        said = {each.person: each.told(wish) for each in cuts}
        prepared = [
            one
            for person, told in said.items()
            for one in desk.scribe.prepare(person, heads[person], [told], actor, view.now)
        ]
    numbers = {one.person: one.n for one in prepared}
    with desk.store.book() as tx:
        first = tx.size
        if not append_together(tx, prepared):
            return None
        for seq, each in enumerate(cuts, first):
            tx.put_sealed(each.person, each.rows)
            for field, row in each.gone:
                tx.drop_row(each.person, field, row)
            key = each.person + seq.to_bytes(8, "big")
            put_pointer(tx, each.person, PENDING, key, msgspec.json.encode(each.scopes))
            outdate(tx, each.person, numbers[each.person])
        if cuts and wish.closes:
            _close(tx, list(heads), first, wish.closes)
    lines = (restrictions.line(p, told, seq) for seq, (p, told) in enumerate(said.items(), first))
    desk.journal.note_all([line for line in lines if line is not None])
    return [Gone(c.person, numbers[c.person], c.count, tuple(sorted(c.scopes))) for c in cuts]


def _cut(  # noqa: PLR0913 - one id of an attempt
    desk: Desk,
    view: View,
    person: PersonId,
    fields: Sequence[str],
    pick: Pick,
    made: Made,
) -> Cut:
    """Seal anew what stays in every quarter of which something goes."""
    vault, now = desk.vault, view.now
    held = [
        (row, vault.reopen_chunk(person, row, now))
        for row in view.sealed([person], list(fields)).get(person, ())
        if not vault.is_gone(person, row, now)
    ]
    going = {(row.field, row.row): frozenset(pick(person, row, chunk)) for row, chunk in held}
    scopes = {}
    for scope in sorted({field for (field, _), places in going.items() if places}):
        used = max(read_header(row.rec)[0] for row, _ in held if row.field == scope)
        scopes[scope] = _fresh(desk, view, person, scope, used, made) - 1
    rows, gone = [], []
    for row, chunk in held:
        if row.field not in scopes:
            continue
        rest = without(chunk, going[row.field, row.row])
        if rest is None:
            gone.append((row.field, row.row))
            continue
        plain, version = pack_chunk(rest), row.version + 1
        rows.append(vault.seal_chunk(person, row.field, row.row, version, plain, now))
    count = sum(map(len, going.values()))
    return Cut(person, count, tuple(rows), tuple(gone), scopes)


def _fresh(  # noqa: PLR0913 - a scope of a person
    desk: Desk, view: View, person: PersonId, scope: str, used: int, made: Made
) -> int:
    """Return a key version no row is sealed under yet, made now unless this attempt has one."""
    keys = desk.vault.keys
    if made.get((person, scope), 0) <= used:
        version = keys.following(person, view.now, scope)
        keys.make([(person, scope, version)])
        made[person, scope] = version
    return made[person, scope]


def _close(
    tx: Transaction, people: Sequence[PersonId], seq: int, closes: Sequence[tuple[str, int, int]]
) -> None:
    """Note for every id that times are emptied, up to this moment."""
    told = msgspec.json.encode(
        [(name, since, min(end, tx.now + 1)) for name, since, end in closes]
    )
    tx.put_row(CLOSED, _ANY, b"1")
    for person in people:
        put_pointer(tx, person, CLOSED, person + seq.to_bytes(8, "big"), told)


def closed(view: View, people: Sequence[PersonId]) -> dict[PersonId, list[tuple[str, int, int]]]:
    """Return what each person emptied: category, since, until; costs nothing while nobody did."""
    if view.row(CLOSED, _ANY) is None:
        return {}
    out: dict[PersonId, list[tuple[str, int, int]]] = {}
    for person in people:
        for _, raw in view.rows(CLOSED, person, b"", 10_000):
            held = msgspec.json.decode(raw, type=list[tuple[str, int, int]])
            out.setdefault(person, []).extend(held)
    return out


def outdate(tx: Transaction, person: PersonId, n: int) -> None:
    """Note that what was made from a person's activity before their event `n` is used no more."""
    put_pointer(tx, person, OUTDATED, person, str(n).encode())


def outdated_since(view: View, person: PersonId) -> int:
    """Return the number of the newest such event, 0 where there is none."""
    return int(view.row(OUTDATED, person) or 0)


def finish(desk: Desk, person: PersonId, settle: Callable[[], None]) -> None:
    """Destroy the keys of deletions that are recorded, and drop what lies under them; repeatable.

    Raises:
        Unavailable: A store did not answer; repeat.
    """
    with desk.store.look() as view:
        pending = view.rows(PENDING, person, b"", 10_000)
        now = view.now
    for key, raw in pending:
        scopes = msgspec.json.decode(raw, type=dict[str, int])
        for scope, kver in scopes.items():
            desk.vault.keys.shred(person, [scope], now, kver + 1)
        with desk.store.book() as tx:
            for row in tx.sealed([person], list(scopes)).get(person, ()):
                if read_header(row.rec)[0] <= scopes[row.field]:
                    tx.drop_row(person, row.field, row.row)
            drop_pointer(tx, person, PENDING, key)
    if pending:
        settle()
