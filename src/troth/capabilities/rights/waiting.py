"""The row beside an open request: what is due, without opening anybody.

Ids, codes and dates alone, kept in step in the commit that books an event. A closed request leaves
none of that in clear, only for a while in which chain it lies; an erasure drops every row.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from troth.capabilities.rights import clocks
from troth.capabilities.rights import requests_rules as rules
from troth.errors import NotFound
from troth.kernel import events
from troth.kernel.desk import Desk, drop_pointer, put_pointer
from troth.ports import Transaction, View
from troth.terms import DAY, PERSON_BYTES, Instant, PersonId, Prepared, from_zulu

OPEN: Final = "rights.request"
"""Id → the open request's psid, right, state, received, due, rule, extended, carried out."""
WHOSE: Final = "rights.request.of"
"""Id → psid and, once closed, when: how a status is found; nothing else is said."""
GRACE: Final = "rights.grace"
"""When it is carried out and id → psid: approved deletions that wait."""
UNDER_WAY: Final = "rights.under_way"
"""Id → psid of an erasure whose certificate is not handed out yet; no erasure drops it."""
_WAITS: Final = "deletion"
"""The right whose approval names a later day."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One open request as the desk's list shows it: no name, nothing opened."""

    id: str
    person: PersonId
    right: str
    state: str
    received: Instant
    due: Instant
    rule: str
    extended: bool
    carried_out: Instant


def whose(view: View, request: str) -> PersonId:
    """Return in whose chain a request lies; opens nothing.

    Raises:
        NotFound: Never made, or closed so long ago that it is no longer known here.
    """
    raw = view.row(WHOSE, request.encode())
    if raw is None:
        raise NotFound("there is no such request", "its person still sees it under My requests")
    return PersonId(raw[:PERSON_BYTES])


def queue(view: View) -> list[Waiting]:
    """Return every open request, the one due first before the others; opens nothing."""
    out, after = [], b""
    while page := view.rows(OPEN, b"", after, 500):
        out += [_read(key, raw) for key, raw in page]
        after = page[-1][0]
    return sorted(out, key=lambda each: (each.due, each.id))


def alarms(view: View) -> dict[str, int]:
    """Count open requests by the colour of their clock: what is amber is told before it is red."""
    out = {"green": 0, "amber": 0, "red": 0}
    for each in queue(view):
        out[clocks.colour(each.received, each.due, view.now)] += 1
    return out


def project(tx: Transaction, prepared: Prepared) -> None:
    """Keep the desk's list in step with the chain, in the commit that books the event."""
    said = prepared.payload
    if not isinstance(said, events.RequestActed):
        return
    key, person = said.request.encode(), prepared.person
    raw = tx.row(OPEN, key)
    if raw is None and said.act != "opened":
        return
    before = _read(key, raw) if raw is not None else None
    held = _advanced(before, said, prepared)
    if before is not None and before.carried_out and before.carried_out != held.carried_out:
        drop_pointer(tx, person, GRACE, _grace_key(before.carried_out, said.request))
    if before is not None and before.carried_out and said.act == "executing":
        tx.put_row(UNDER_WAY, key, bytes(person))
    if held.state in rules.FINAL:
        drop_pointer(tx, person, OPEN, key)
        put_pointer(tx, person, WHOSE, key, person + prepared.at.to_bytes(8, "big"))
        return
    if before is None:
        put_pointer(tx, person, WHOSE, key, bytes(person))
    put_pointer(tx, person, OPEN, key, _row(held))
    if held.carried_out:
        grace = _grace_key(held.carried_out, said.request)
        put_pointer(tx, person, GRACE, grace, bytes(person))


def _advanced(before: Waiting | None, said: events.RequestActed, prepared: Prepared) -> Waiting:
    due = from_zulu(said.due) if said.due else rules.NEVER
    if before is None:
        received = from_zulu(said.occurred_at) if said.occurred_at else prepared.at
        rule = said.rule or ""
        first = (said.request, prepared.person, said.right, "received", received)
        return Waiting(*first, due, rule, False, rules.NEVER)  # noqa: FBT003 - not extended yet
    state = rules.after(before.state, said.act)
    extended = before.extended or said.act == "extended"
    carried_out = before.carried_out if state == "approved" else rules.NEVER
    if said.act == "approved" and before.right == _WAITS:
        carried_out = due
    return Waiting(
        before.id,
        before.person,
        before.right,
        state,
        before.received,
        due if said.act == "extended" else before.due,
        before.rule,
        extended,
        carried_out,
    )


def _row(held: Waiting) -> bytes:
    return msgspec.json.encode(
        [
            held.person.hex(), held.right, held.state, held.received, held.due, held.rule,
            held.extended, held.carried_out,
        ]
    )  # fmt: skip


def _read(key: bytes, raw: bytes) -> Waiting:
    person, right, state, received, due, rule, extended, carried_out = msgspec.json.decode(raw)
    return Waiting(
        key.decode(), PersonId(bytes.fromhex(person)), right, state, Instant(received),
        Instant(due), rule, extended, Instant(carried_out),
    )  # fmt: skip


def _grace_key(at: Instant, request: str) -> bytes:
    return at.to_bytes(8, "big") + request.encode()


def waiting_deletions(view: View, until: Instant) -> list[tuple[Instant, str, PersonId]]:
    """Return approved deletions to be carried out up to an instant, oldest first."""
    out = []
    for key, raw in view.rows(GRACE, b"", b"", 10_000):
        at = Instant(int.from_bytes(key[:8], "big"))
        if at > until:
            break
        out.append((at, key[8:].decode(), PersonId(raw)))
    return out


def forget_closed(desk: Desk) -> int:
    """Drop what says in which chain requests closed long ago lie; return how many."""
    kept = clocks.settings()["keep"]["closed_days"] * DAY
    old: list[tuple[bytes, PersonId]] = []
    after = b""
    with desk.store.look() as view:
        while page := view.rows(WHOSE, b"", after, 500):
            old += [
                (key, PersonId(raw[:PERSON_BYTES]))
                for key, raw in page
                if len(raw) > PERSON_BYTES
                and int.from_bytes(raw[PERSON_BYTES:], "big") + kept <= view.now
            ]
            after = page[-1][0]
    for start in range(0, len(old), 500):
        with desk.store.book() as tx:
            for key, person in old[start : start + 500]:
                drop_pointer(tx, person, WHOSE, key)
    return len(old)
