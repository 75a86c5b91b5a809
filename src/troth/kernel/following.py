"""Followers: effects of recorded events, each at its own place in the ledger, until done.

What a follower is due is written in the commit that books the event, in the ledger's order, and
deleted once it was done: nothing is skipped, a crash loses nothing, a failure stays open. Which
function follows which event is the one table in `app`. No answer of the gate waits for a follower.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from troth.ports import Transaction, View
from troth.terms import Instant, PersonId, Prepared

DUE = "follower.due"
STATE = "follower"
_PLACE = 8 + 16 + 8


@dataclass(frozen=True, slots=True)
class Due:
    """One event a follower has not done yet.

    Attributes:
        size: The ledger's size right after the event was booked; orders what is due.
        tag: The event's type.
    """

    follower: str
    size: int
    person: PersonId
    n: int
    tag: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a follower is.

    Attributes:
        cursor: Every event of a smaller ledger sequence is done.
        lag: Events still due.
        error: Code of the fault that keeps the oldest one open, "" if none; never personal data.
        since: When it began to fail; 0 while it does not.
    """

    name: str
    cursor: int
    lag: int
    error: str
    since: Instant

    @property
    def red(self) -> bool:
        """Tell whether something failed and is still open."""
        return bool(self.error)


def _prefix(follower: str) -> bytes:
    return len(follower).to_bytes(1, "big") + follower.encode()


def _key(due: Due) -> bytes:
    place = due.size.to_bytes(8, "big") + due.person + due.n.to_bytes(8, "big")
    return _prefix(due.follower) + place


def projections(
    table: Mapping[str, Sequence[str]],
) -> dict[str, tuple[Callable[[Transaction, Prepared], None], ...]]:
    """Return what notes the events of a table, tag → names of followers, as due."""
    return {tag: (_noting(tuple(names)),) for tag, names in table.items()}


def _noting(names: Sequence[str]) -> Callable[[Transaction, Prepared], None]:
    def note(tx: Transaction, prepared: Prepared) -> None:
        tag = prepared.payload.type
        for name in names:
            due = Due(name, tx.size, prepared.person, prepared.n, tag)
            tx.put_row(DUE, _key(due), tag.encode())

    return note


def due(view: View, follower: str, after: Due | None, limit: int) -> list[Due]:
    """Page through what a follower has to do, in the ledger's order."""
    prefix = _prefix(follower)
    start = _key(after) if after else b""
    out = []
    for key, tag in view.rows(DUE, prefix, start, limit):
        place = key[-_PLACE:]
        size, n = int.from_bytes(place[:8], "big"), int.from_bytes(place[-8:], "big")
        out.append(Due(follower, size, PersonId(place[8:-8]), n, tag.decode()))
    return out


def settle(tx: Transaction, follower: str, done: Iterable[Due], error: str) -> None:
    """Note what was done, and why the rest was not."""
    for each in done:
        tx.put_row(DUE, _key(each), None)
    held = _held(tx, follower)
    since = (held[1] or tx.now) if error else 0
    tx.put_row(STATE, follower.encode(), msgspec.json.encode([error, since]))


def _held(view: View, follower: str) -> tuple[str, int]:
    raw = view.row(STATE, follower.encode())
    error, since = msgspec.json.decode(raw) if raw else ("", 0)
    return error, since


def standing(view: View, follower: str) -> Standing:
    """Say how far a follower is; counts what is due, a microsecond each."""
    left, first, last = 0, None, None
    while page := due(view, follower, last, 5_000):
        first, last, left = first or page[0], page[-1], left + len(page)
    error, since = _held(view, follower) if left else ("", 0)
    cursor = view.log.size if first is None else _sequence(view, first)
    return Standing(follower, cursor, left, error, Instant(since))


def _sequence(view: View, first: Due) -> int:
    """Return the event's leaf index; an erased person's events are placed by the commit."""
    found = (body.seq for body in view.bodies(first.person) if body.n == first.n)
    return next(found, first.size - 1)
