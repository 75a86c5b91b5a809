"""Keeping no longer than a purpose needs it."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from troth.kernel import canaries, cutting, events, restrictions, retention
from troth.kernel.desk import Desk
from troth.kernel.vault import Chunk
from troth.ports import View
from troth.terms import (
    Actor,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Sealed,
)

PENDING = "custody.retention"
BEHAVIOUR = ("purchases", "purchases.sensitive", "views")
PAGE = 250
Watch = Callable[[int], None]
"""Told how many people are done so far."""


def _unwatched(_done: int) -> None:
    """Nobody looks."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What retention would do about one person; `rows` holds what is kept, too."""

    person: PersonId
    rows: tuple[retention.Row, ...]

    @property
    def leaves(self) -> bool:
        """Tell whether nothing may be kept: the person is to be erased."""
        return retention.nothing_left(self.rows)

    @property
    def cuts(self) -> dict[str, int]:
        """Return the quarters of which part may go by the person's own choice, and before when."""
        return {row.field: row.before for row in self.rows if row.action == "cut"}

    def fields(self, action: retention.Action) -> tuple[str, ...]:
        """Return the fields and scopes to which this is done."""
        return tuple(row.field for row in self.rows if row.action == action)


def retention_plan(desk: Desk, actor: Actor, watch: Watch = _unwatched) -> list[Planned]:
    """Say for everybody what its time is over; deletes nothing. One house event, naming nobody.

    Who has nothing to delete is left out.
    """
    found, done = [], 0
    with desk.store.look() as view:
        for page in _pages(desk, view):
            found += [p for p in _planned(desk, view, page) if p.fields("delete") or p.cuts]
            done += len(page)
            watch(done)
        size = view.log.size
    counts = {
        "people": len(found),
        "fields": sum(len(p.fields("delete")) for p in found),
        "leave": sum(p.leaves for p in found),
    }
    desk.record_house(events.SetProcessed("report", "retention", size, counts, ""), actor)
    return found


def retention_of(desk: Desk, view: View, person: PersonId) -> list[retention.Row]:
    """Say of one person until when each thing held may be kept, and by which rule; books nothing.

    Covers the id given alone, not those merged into it.
    """
    found = [g for g in view.gather([person], None) if not g.record.erasing]
    return [row for planned in _planned(desk, view, found) for row in planned.rows]


def _pages(desk: Desk, view: View) -> Iterator[list[Gathered]]:
    after: PersonId | None = None
    while people := view.people(after, PAGE):
        after = people[-1]
        known = [p for p in canaries.without(view, people) if p != desk.scribe.house]
        page = view.gather(known, None)
        yield [g for g in page if not g.record.erasing]


def _planned(desk: Desk, view: View, page: Sequence[Gathered]) -> list[Planned]:
    house = desk.house(view)
    fields = [*desk.vault.fields, *(f"{scope}/" for scope in BEHAVIOUR)]
    sealed = view.sealed([g.person for g in page], fields)
    records = {g.person: g.record for g in page}
    keepers = {p: desk.keeper(view, p) if r.alias else p for p, r in records.items()}
    joined = {g.person: g.record for g in view.gather(list(set(keepers.values())), None)}
    return [
        Planned(
            person,
            tuple(retention.plan(record, _held(desk, rows), house, view.now, since)),
        )
        for person, rows in sealed.items()
        for record in (joined[keepers[person]],)
        for since in (_came_in(desk, view, person, record),)
    ]


def kept_until(desk: Desk, view: View, people: Sequence[PersonId]) -> list[Planned]:
    """Say until when what is held of these people may be kept, and why; records nothing.

    Whoever shows it to somebody books the reading first. Who is being erased is left out.
    """
    page = [g for g in view.gather(people, None) if not g.record.erasing]
    return _planned(desk, view, page)


def _came_in(desk: Desk, view: View, person: PersonId, record: PersonRecord) -> Instant:
    """Return when an id came into being, where no relationship tells; opens its first event."""
    if record.relations:
        return Instant(0)
    return desk.scribe.read(view.bodies(person)[0], view.now).event.at


def _held(desk: Desk, rows: Sequence[Sealed]) -> list[retention.Held]:
    names = dict.fromkeys(row.field for row in rows)
    return [
        retention.Held(name, name.partition("/")[0] if "/" in name else desk.vault.category(name))
        for name in names
    ]


def retention_apply(  # noqa: PLR0913 - whose, by whom, and how far
    desk: Desk,
    people: Sequence[PersonId],
    actor: Actor,
    settle: Callable[[], None],
    watch: Watch = _unwatched,
    only: str = "",
) -> dict[str, int]:
    """Delete of these people what its time is over: event, journal, keys, rows; repeatable.

    Judged again at this moment. Who would have nothing left is not touched but counted as
    `leave`: erase them. A crash is finished by the follower of the event.

    Args:
        desk: The workspace.
        people: From a plan; anybody else is judged as well.
        actor: Who carries it out.
        settle: Folds write-ahead logs away, so that overwritten bytes are gone; called once a
            `PAGE` of people.
        watch: Told how many are done.
        only: Nothing but what goes by this rule; "" all of it.

    Returns:
        Counts of fields and scopes deleted, and of people who leave.

    Raises:
        Unavailable: A store did not answer; repeat.
    """
    counts = {"fields": 0, "scopes": 0, "leave": 0}
    for place, person in enumerate(people, 1):
        done = _announce(desk, person, actor, only)
        if done is None:
            counts["leave"] += 1
            continue
        fields, scopes = done
        counts["fields"] += len(fields)
        counts["scopes"] += len(scopes)
        if fields or scopes:
            finish_retention(desk, person, _later)
        counts["scopes"] += _shorten(desk, person, actor)
        if place % PAGE == 0:
            settle()
            watch(place)
    settle()
    watch(len(people))
    return counts


def _later() -> None:
    """Overwritten bytes are folded away with those of the next people."""


def _announce(
    desk: Desk, person: PersonId, actor: Actor, only: str
) -> tuple[Sequence[str], Sequence[str]] | None:
    """Record what is going to be deleted, journal it; None for who would have nothing left."""
    while True:
        with desk.store.look() as view:
            page = [g for g in view.gather([person], None) if not g.record.erasing]
            planned = next(iter(_planned(desk, view, page)), None) if page else None
            if planned is not None and only:
                planned = replace(planned, rows=tuple(r for r in planned.rows if r.rule == only))
            if planned is None or not planned.fields("delete"):
                return (), ()
            if planned.leaves:
                return None
            gone = planned.fields("delete")
            scopes = tuple(f for f in gone if "/" in f)
            fields = tuple(f for f in gone if "/" not in f)
            kept = planned.fields("restrict") or None
            rules = dict.fromkeys(r.rule for r in planned.rows if r.action == "delete")
            said = events.RetentionApplied(fields, scopes, "+".join(rules), kept)
            prepared = desk.scribe.prepare(person, page[0].head, [said], actor, view.now)
        with desk.store.book() as tx:
            seq = tx.size
            if tx.append(prepared):
                continue
            tx.put_row(PENDING, person + seq.to_bytes(8, "big"), msgspec.json.encode(gone))
        line = restrictions.line(person, said, seq)
        desk.journal.note_all([line] if line else [])
        return fields, scopes


def _shorten(desk: Desk, person: PersonId, actor: Actor) -> int:
    """Delete what is older than the person chose within a quarter; return how many were cut."""
    with desk.store.look() as view:
        page = [g for g in view.gather([person], None) if not g.record.erasing]
        planned = next(iter(_planned(desk, view, page)), None) if page else None
    before = planned.cuts if planned is not None else {}
    if not before:
        return 0

    def older(_person: PersonId, row: Sealed, chunk: Chunk) -> range:
        return range(bisect_left(chunk.at, before[row.field]))

    wish = cutting.Wish("period", retention.OWN)
    gone = cutting.delete(desk, [person], list(before), older, wish, actor, _later)
    return sum(len(each.scopes) for each in gone)


def finish_retention(desk: Desk, person: PersonId, settle: Callable[[], None]) -> None:
    """Destroy the keys and rows of deletions that are recorded; repeatable.

    Raises:
        Unavailable: A store did not answer; repeat.
    """
    with desk.store.look() as view:
        pending = view.rows(PENDING, person, b"", 10_000)
        now = view.now
    for key, raw in pending:
        gone: list[str] = msgspec.json.decode(raw)
        scopes = [f for f in gone if "/" in f]
        if scopes:
            desk.vault.keys.shred(person, scopes, now)
        with desk.store.book() as tx:
            tx.drop_sealed(person, gone)
            tx.put_row(PENDING, key, None)
    if pending:
        settle()
