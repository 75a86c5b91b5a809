"""After a restore: what led to people comes back, and their gate facts are folded again.

Both rest on what was sealed under each person's own key: who was erased comes back in neither.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from troth.capabilities.custody.backup import open_bundle
from troth.capabilities.custody.keeping import BEHAVIOUR
from troth.errors import EvidenceBroken, NotFound
from troth.kernel import cases, events, fold
from troth.kernel.desk import SYSTEM, Desk
from troth.kernel.scribe import Recorded
from troth.kernel.vault import Shredded
from troth.ports import Transaction, View
from troth.terms import NO_RECORD, Instant, PersonId, PersonRecord, Published

_PAGE: Final = 500
_ENDED: Final = frozenset({"handed", "failed", "unknown", "withheld"})
Watch = Callable[[int], None]


def unwatched(_done: int) -> None:
    """Nobody looks."""


# What led to people


def put_back(
    desk: Desk, pages: Iterable[Sequence[tuple[PersonId, bytes]]], watch: Watch = unwatched
) -> dict[str, int]:
    """Put what led to people back where it was; who was erased is left out. Repeatable.

    Returns:
        People `back` and `left` out because their key is destroyed.

    Raises:
        EvidenceBroken: A bundle does not open under a key that is there.
    """
    counts = {"back": 0, "left": 0}
    for page in pages:
        with desk.store.look() as view:
            now = view.now
        desk.vault.keys.load([person for person, _ in page], now)
        with desk.store.book() as tx:
            for person, rec in page:
                counts["back" if _put_one(desk, tx, person, rec, now) else "left"] += 1
        watch(counts["back"] + counts["left"])
    return counts


def _put_one(desk: Desk, tx: Transaction, person: PersonId, rec: bytes, now: Instant) -> bool:
    try:
        contacts, rows = open_bundle(desk, person, rec, now)
    except NotFound:  # shredded, or a key store that never knew them
        return False
    for contact in contacts:
        tx.put_contact(person, contact)
    for table, key, value in rows:
        tx.put_row(table, key, cases.restored(key, value) if table == cases.TABLE else value)
    return True


# Gate facts, from the sealed events


@dataclass(slots=True)
class Rebuilt:
    """What was found while everybody's facts were folded again.

    Attributes:
        people: Whose facts stand again.
        erased: Whose key is destroyed: what lay under their id is deleted.
        rows: Sealed rows deleted because their own key is destroyed.
        unreadable: Whose chain does not open although nobody destroyed their key.
        open: Per person the messages booked whose end the record does not know.
        closed: Messages an attempt before this one has closed.
    """

    people: int = 0
    erased: list[PersonId] = field(default_factory=list)
    rows: int = 0
    unreadable: int = 0
    open: dict[PersonId, list[events.MessageBooked]] = field(default_factory=dict)
    closed: int = 0


def rebuild(desk: Desk, name: str = "", watch: Watch = unwatched) -> Rebuilt:
    """Fold everybody's gate facts again, and delete what a destroyed key left. Repeatable.

    Costs what reading every sealed event costs.
    """
    done = Rebuilt()
    with desk.store.look() as view:
        drafts = view.published_all("purpose:")
    after: PersonId | None = None
    while True:
        with desk.store.look() as view:
            people = view.people(after, _PAGE)
            if not people:
                return done
            after = people[-1]
            page = _page(desk, view, people, drafts, done, name)
        with desk.store.book() as tx:
            for person, record in page.facts.items():
                tx.put_record(person, record)
            for person in page.erased:
                done.rows += sum(tx.drop_person(person).values())
                tx.put_record(person, _LEAVING)
            for person, field_id, row in page.gone:
                tx.drop_row(person, field_id, row)
        done.rows += len(page.gone)
        watch(done.people + len(done.erased))


_READ: Final = fold.TYPES | {events.MessageBooked.TYPE}
_LEAVING: Final = PersonRecord(erasing=True)


@dataclass(slots=True)
class _Page:
    facts: dict[PersonId, PersonRecord] = field(default_factory=dict)
    erased: list[PersonId] = field(default_factory=list)
    gone: list[tuple[PersonId, str, int]] = field(default_factory=list)


def _page(  # noqa: PLR0913 - a page, and what is counted over all of them
    desk: Desk,
    view: View,
    people: Sequence[PersonId],
    drafts: Sequence[Published],
    done: Rebuilt,
    name: str,
) -> _Page:
    page = _Page()
    desk.vault.keys.load(people, view.now)
    sealed = view.sealed(people, [f"{scope}/" for scope in BEHAVIOUR])
    for person in people:
        try:
            chain = desk.scribe.told(view, person, _READ)
        except Shredded:
            page.erased.append(person)
            done.erased.append(person)
            continue
        except (NotFound, EvidenceBroken):
            done.unreadable += 1
            continue
        try:
            page.facts[person] = _folded(desk, view, chain, drafts)
        except (NotFound, EvidenceBroken, KeyError):  # of somebody who is one with them
            done.unreadable += 1
            continue
        page.gone += [
            (person, row.field, row.row)
            for row in sealed.get(person, ())
            if desk.vault.is_gone(person, row, view.now)
        ]
        if left := _open_messages(chain):
            done.open[person] = left
        done.closed += sum(_closed(r.event.payload, name) for r in chain)
        done.people += 1
    return page


def _folded(
    desk: Desk, view: View, chain: Sequence[Recorded], drafts: Sequence[Published]
) -> PersonRecord:
    """Fold a chain; where others were merged into it theirs are read as well.

    Of a merge that was undone the other chain may be gone by now: they may have been erased.
    """
    others: dict[str, Sequence[Recorded]] = {}
    waiting = _merged(chain)
    while waiting:
        other, stands = waiting.pop()
        if other in others:
            continue
        try:
            others[other] = desk.scribe.told(view, PersonId(bytes.fromhex(other)), _READ)
        except NotFound:
            if stands:
                raise
            continue
        waiting += _merged(others[other])
    if not others:
        record = NO_RECORD
        for each in chain:
            record = fold.step(record, each.event.payload, each.event.at, each.event.n)
        return record
    return fold.refold(chain, others, drafts)


def _merged(chain: Sequence[Recorded]) -> list[tuple[str, bool]]:
    """Return who was ever one with somebody, and whether they still are as the chain ends."""
    held: dict[str, bool] = {}
    for said in (recorded.event.payload for recorded in chain):
        if isinstance(said, (events.PersonMerged, events.PersonUnmerged)):
            held[said.other] = isinstance(said, events.PersonMerged)
    return list(held.items())


def _closed(said: events.Payload, name: str) -> bool:
    return isinstance(said, events.MessageOutcome) and said.detail == name


def _open_messages(chain: Sequence[Recorded]) -> list[events.MessageBooked]:
    """Return the messages booked whose end is not in the chain."""
    booked: dict[str, events.MessageBooked] = {}
    for recorded in chain:
        said = recorded.event.payload
        if isinstance(said, events.MessageBooked):
            booked[said.ref] = said
        elif isinstance(said, events.MessageOutcome) and said.state in _ENDED:
            booked.pop(said.ref, None)
    return list(booked.values())


def close_messages(
    desk: Desk, waiting: Mapping[PersonId, Sequence[events.MessageBooked]], name: str
) -> int:
    """Record of each message that was booked in the backup that nobody knows whether it left.

    It counts against how often the person may be written to, and is never sent again. `name` is
    the restore's own: a repeat after a crash counts what was closed before it.
    """
    count = 0
    for person, booked in waiting.items():
        told = [
            events.MessageOutcome(
                "unknown", each.ref, channel=each.channel, detail=name, campaign=each.campaign
            )
            for each in booked
        ]
        desk.record(person, told, SYSTEM)
        count += len(told)
    return count
