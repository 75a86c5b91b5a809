"""Data keys replaced: a newer version for everything written from now on, the rest sealed anew.

Old and new version are both readable while it lasts. An old one is destroyed only when nothing
lies under it any more and every writer that may still hold it has finished. Interrupted anywhere
it goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from troth.app.keycare import require_keeper
from troth.app.workspace import Workspace
from troth.errors import Conflict, EvidenceBroken
from troth.kernel import events
from troth.kernel.desk import everybody
from troth.kernel.vault import CACHE_S, EVENT_FIELD, Shredded
from troth.ports import Transaction
from troth.terms import SECOND, Actor, Instant, PersonId, Sealed

RUN: Final = "custody.rotation"
AT_ONCE: Final = 100
WAIT: Final = 2 * CACHE_S * SECOND
"""A key retired for longer is in no process's cache and under no write begun before."""


class Run(msgspec.Struct, array_like=True):
    """A rotation of everybody, under way.

    Attributes:
        after: The last id that was given new keys, in hex; "" none yet.
    """

    begun: int
    total: int
    done: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a call did.

    Attributes:
        people: Given new keys.
        rows: Sealed anew.
        destroyed: Old keys destroyed.
        waiting: People whose old keys wait: they were retired a moment ago, or a message under way
            lies under them.
    """

    people: int
    rows: int
    destroyed: int
    waiting: int


def progress(opened: Workspace) -> Run | None:
    """Return the rotation of everybody that is under way, None if there is none."""
    with opened.store.look() as view:
        raw = view.row(RUN, b"now")
    return msgspec.json.decode(raw, type=Run) if raw else None


def rotate_person(opened: Workspace, person: PersonId, actor: Actor) -> Rotated:
    """Replace the keys of one person, under all their ids.

    Raises:
        InvalidInput: This role keeps no keys.
        NotFound: Nothing is held under this id, or they were erased.
    """
    require_keeper(actor)
    with opened.store.look() as view:
        people = everybody(view, person)
        opened.desk.vault.keys.key(people[0], view.now)
    opened.desk.record_house(events.KeyActed("rotated", counts={"people": len(people)}), actor)
    _renew(opened, people)
    rows = sum(_sweep(opened, each) for each in people)
    return _ended(opened, people, len(people), rows)


def rotate_all(
    opened: Workspace, actor: Actor, watch: Callable[[int], None] = lambda _done: None
) -> Rotated:
    """Replace everybody's keys, or go on with the rotation that was cut off.

    Raises:
        InvalidInput: This role keeps no keys.
        Unavailable: A store does not answer; repeat: it goes on where it stopped.
    """
    require_keeper(actor)
    run = progress(opened)
    if run is None:
        run = _begun(opened, actor)
    people = rows = 0
    while page := _page(opened, run.after):
        _renew(opened, page)
        rows += sum(_sweep(opened, each) for each in page)
        people += len(page)
        run.done, run.after = run.done + len(page), page[-1].hex()
        with opened.store.book() as tx:
            tx.put_row(RUN, b"now", msgspec.json.encode(run))
        watch(run.done)
    with opened.store.book() as tx:
        tx.put_row(RUN, b"now", None)
    left = finish(opened)
    return Rotated(people, rows + left.rows, left.destroyed, left.waiting)


def finish(opened: Workspace) -> Rotated:
    """Seal anew what still lies under retired keys, and destroy those nothing lies under."""
    rows = destroyed = 0
    after: PersonId | None = None
    while page := opened.keys.retired(after, AT_ONCE):
        rows += sum(_sweep(opened, each) for each in page)
        destroyed += _ended(opened, page, 0, 0).destroyed
        after = page[-1]
    return Rotated(0, rows, destroyed, opened.keys.retired_count())


def _begun(opened: Workspace, actor: Actor) -> Run:
    with opened.store.look() as view:
        after, total = None, 0
        while page := view.people(after, 10_000):
            after, total = page[-1], total + len(page)
        run = Run(view.now, total)
    opened.desk.record_house(events.KeyActed("rotated", counts={"people": total}), actor)
    with opened.store.book() as tx:
        tx.put_row(RUN, b"now", msgspec.json.encode(run))
    return run


def _page(opened: Workspace, after: str) -> list[PersonId]:
    with opened.store.look() as view:
        return view.people(PersonId(bytes.fromhex(after)) if after else None, AT_ONCE)


def _renew(opened: Workspace, people: Sequence[PersonId]) -> None:
    """Give people a newer version of each key they have, unless that was done in this run."""
    held: dict[tuple[PersonId, str], list[int]] = {}
    gone: dict[tuple[PersonId, str], int] = {}
    for row in opened.keys.rows(people):
        place = (row.person, row.scope)
        gone[place] = max(gone.get(place, 0), row.kver)
        if row.state != "shredded":
            held.setdefault(place, []).append(row.kver)
    wanted: dict[PersonId, list[tuple[PersonId, str, int]]] = {}
    for (who, scope), versions in held.items():
        if len(versions) == 1:
            wanted.setdefault(who, []).append((who, scope, gone[who, scope] + 1))
    make = opened.desk.vault.keys.make
    try:
        make([each for rows in wanted.values() for each in rows])
    except Conflict:  # somebody was erased, or rotated by another process, meanwhile
        for rows in wanted.values():
            with suppress(Conflict):
                make(rows)
    with opened.store.look() as view:
        now = view.now
    opened.keys.retire(people, now)


def _sweep(opened: Workspace, person: PersonId) -> int:
    """Seal anew what lies under an older version; one short write a person."""
    with opened.store.book() as tx:
        found = tx.gather([person], None)
        if not found or found[0].record.erasing:
            return 0
        rows = [new for row in tx.all_sealed(person) if (new := _again(opened, tx, person, row))]
        tx.put_sealed(person, rows)
        count = len(rows)
        for body in tx.bodies(person):
            made = _again(opened, tx, person, Sealed(EVENT_FIELD, body.n, 1, body.rec))
            if made is not None:
                tx.put_body(person, body.n, made.rec)
                count += 1
    return count


def _again(opened: Workspace, tx: Transaction, person: PersonId, row: Sealed) -> Sealed | None:
    """Return a row under the newest key; None where it is, or where nothing opens it."""
    try:
        return opened.desk.vault.reseal(person, row, tx.now)
    except (Shredded, EvidenceBroken):
        return None


def _ended(opened: Workspace, people: Sequence[PersonId], count: int, rows: int) -> Rotated:
    """Destroy the retired keys of whom nothing lies under them any more."""
    with opened.store.book() as tx:
        now = tx.now
        free = [person for person in people if not _lies(tx, opened, person)]
    destroyed = opened.keys.shred_retired(free, Instant(now - WAIT), now) if free else 0
    waiting = {row.person for row in opened.keys.rows(people) if row.state == "retired"}
    return Rotated(count, rows, destroyed, len(waiting))


def _lies(tx: Transaction, opened: Workspace, person: PersonId) -> bool:
    """Tell whether something may still lie under an older key: a row, an event or a job."""
    if tx.carried(person):
        return True
    vault = opened.desk.vault
    rows = [*tx.all_sealed(person)]
    rows += [Sealed(EVENT_FIELD, body.n, 1, body.rec) for body in tx.bodies(person)]
    return any(_old(vault.reseal, person, row, tx.now) for row in rows)


def _old(
    reseal: Callable[[PersonId, Sealed, Instant], Sealed | None],
    person: PersonId,
    row: Sealed,
    at: Instant,
) -> bool:
    try:
        return reseal(person, row, at) is not None
    except Shredded:
        return False
    except EvidenceBroken:
        return True
