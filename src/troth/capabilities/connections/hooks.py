"""Webhooks: other systems told of what narrows, each delivery decided, tried for three days.

A yes is never announced: it is asked for when it is used. What is sent names a person by the
connection's pseudonym; the shop's own number is added where the gate permits it at that moment.
"""

import base64
import re
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from troth import crypto
from troth.capabilities.connections.model import (
    SHOWN,
    Deliver,
    Hook,
    HookStanding,
    machine,
    pseudonym,
)
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events, gate, telling
from troth.kernel.desk import Desk
from troth.kernel.following import Due
from troth.kernel.vault import Shredded
from troth.ports import Transaction, View
from troth.terms import (
    DENYING,
    NO_HEAD,
    SECOND,
    Action,
    Actor,
    Instant,
    Job,
    PersonId,
    Refusal,
    UseRequest,
    zulu,
)

TABLE = "connections.webhook"
STATE = "connections.webhook.state"
DUE = "connections.deliver"
FOLLOWED = (
    *(f"consent.{status}" for status in sorted(DENYING)),
    "suppression.added",
    "processing.restricted",
    "value.corrected",
    "person.erasing",
)
"""What a webhook may be told of: what narrows, what was corrected, and that somebody leaves."""
RETRY_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds between attempts: Standard Webhooks' own advice, 75 hours in all."""
LEASE = 120 * SECOND
BATCH = 50
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
OPEN = ("ready", "leased")
DONE, DEAD, DROPPED, LATER = "delivered", "dead", "not_permitted", "tried"


def add_hook(desk: Desk, hook: Hook, actor: Actor) -> None:
    """Make a webhook; a house event first.

    Raises:
        InvalidInput: Its name, events or purpose are none.
        Conflict: One of this name is in use.
    """
    if not _NAME.fullmatch(hook.name):
        raise InvalidInput("this is no name of a webhook", "use small letters, digits and -")
    unknown = sorted(set(hook.events) - set(FOLLOWED))
    if unknown or not hook.events:
        raise InvalidInput("a webhook is told of what narrows", f"use {', '.join(FOLLOWED)}")
    with desk.store.look() as view:
        if hook.under not in desk.house(view).purposes:
            raise InvalidInput("no such purpose is published", "publish it, or name another")
        held = _held(view, hook.name)
    if held is not None and not held.ended:
        raise Conflict("a webhook of this name is there already", "end it first")
    desk.record_house(events.ConnectionActed(f"webhook:{hook.name}", "made"), actor)
    with desk.store.book() as tx:
        _put(tx, Hook(
            hook.name, hook.url, tuple(sorted(hook.events)), hook.under, hook.agreement,
            hook.local, tx.now,
        ))  # fmt: skip


def _put(tx: Transaction, hook: Hook) -> None:
    tx.put_row(TABLE, hook.name.encode(), msgspec.json.encode(hook))


def _held(view: View, name: str) -> Hook | None:
    raw = view.row(TABLE, name.encode())
    return msgspec.json.decode(raw, type=Hook) if raw else None


def hooks(view: View) -> list[Hook]:
    """Return every webhook, ended ones too."""
    return [msgspec.json.decode(raw, type=Hook) for _, raw in view.rows(TABLE, b"", b"", 1_000)]


def end_hook(desk: Desk, name: str, actor: Actor) -> None:
    """End a webhook; what still waited for it is never sent.

    Raises:
        NotFound: There is none of this name in use.
    """
    with desk.store.look() as view:
        held = _held(view, name)
    if held is None or held.ended:
        raise NotFound("no webhook of this name is in use", "see: troth webhook list")
    desk.record_house(events.ConnectionActed(f"webhook:{name}", "ended"), actor)
    with desk.store.book() as tx:
        _put(tx, Hook(
            held.name, held.url, held.events, held.under, held.agreement, held.local, held.made,
            tx.now,
        ))  # fmt: skip
    while True:
        with desk.store.book() as tx:
            left = tx.lease(_kind(name), Instant(tx.now + LEASE), 500)
            tx.finish([(job, DROPPED) for job in left])
        if not left:
            return


def _kind(name: str) -> str:
    return f"{DUE}/{name}"


def note_event(desk: Desk, due: Iterable[Due]) -> None:
    """Queue an event for every webhook that is told of its type; safe to repeat."""
    with desk.store.look() as view:
        live = [hook for hook in hooks(view) if not hook.ended]
        if not live:
            return
        told = [(each, _particulars(desk, view, each)) for each in due]
    with desk.store.book() as tx:
        for each, said in told:
            for hook in live:
                if each.tag in hook.events:
                    _queue(desk, tx, hook, each, said)


def _queue(desk: Desk, tx: Transaction, hook: Hook, each: Due, said: dict[str, object]) -> None:
    ref = pseudonym(desk, hook.name, each.person)
    key = crypto.sha256(ref + each.n.to_bytes(8, "big") + each.tag.encode()).hex()[:32]
    body = {"type": each.tag, "ref": base64.b32encode(ref).decode().rstrip("=").lower(), **said}
    stays = None if each.tag == "person.erasing" else each.person
    payload = msgspec.json.encode([key, 0, each.person.hex() if stays else "", body])
    tx.enqueue(_kind(hook.name), key, payload, stays)


def _particulars(desk: Desk, view: View, each: Due) -> dict[str, object]:
    """Return what an event says without personal data; little of one nobody can open any more."""
    found = next((b for b in view.bodies(each.person) if b.n == each.n), None)
    try:
        recorded = desk.scribe.read(found, view.now) if found else None
    except Shredded:
        recorded = None
    if recorded is None:
        return {"at": zulu(view.now)}
    said, at = recorded.event.payload, zulu(recorded.event.at)
    if isinstance(said, events.ConsentAct):
        return {"at": at, "purpose": said.purpose, "channels": list(said.channels)}
    if isinstance(said, events.SuppressionAdded):
        return {"at": at, "scope": said.scope, "value": said.value or "", "reason": said.reason}
    if isinstance(said, events.ProcessingRestricted):
        return {"at": at, "restricted": said.restricted}
    if isinstance(said, events.ValueCorrected):
        return {"at": at, "field": said.field}
    return {"at": at}


def deliver_due(desk: Desk, deliver: Deliver) -> int:
    """Deliver what is due, each decided right before; return how many were tried.

    A delivery that fails is tried again, under the same id, for three days; then it is dead and
    stands on the page.
    """
    tried = 0
    with desk.store.look() as view:
        live = [hook for hook in hooks(view) if not hook.ended]
    for hook in live:
        while jobs := _leased(desk, hook):
            for job in jobs:
                tried += 1
                _one(desk, hook, job, deliver)
    return tried


def _leased(desk: Desk, hook: Hook) -> list[Job]:
    with desk.store.book() as tx:
        return tx.lease(_kind(hook.name), Instant(tx.now + LEASE), BATCH)


def _one(desk: Desk, hook: Hook, job: Job, deliver: Deliver) -> None:
    key, attempt, who, body = msgspec.json.decode(job.payload)
    shown: str | None = ""
    if who:
        shown = _decided(desk, hook, PersonId(bytes.fromhex(who)))
    if shown is None and body["type"] not in _STOPS:
        _finish(desk, hook, job, DROPPED)
        return
    data = {**body, **({"person": shown} if shown else {})}
    message = {"type": body["type"], "timestamp": body.get("at", ""), "data": data}
    if deliver(hook, key, msgspec.json.encode(message, order="sorted")):
        _finish(desk, hook, job, DONE)
    elif attempt >= len(RETRY_S):
        _finish(desk, hook, job, DEAD)
    else:
        again = msgspec.json.encode([key, attempt + 1, who, body])
        _finish(desk, hook, job, LATER, (f"{key}/{attempt + 1}", again, RETRY_S[attempt]))


_STOPS = frozenset({"person.erasing", "processing.restricted"})
"""Told by pseudonym alone although nothing else may be: the other side has to stop."""


def _finish(
    desk: Desk, hook: Hook, job: Job, state: str, again: tuple[str, bytes, int] | None = None
) -> None:
    with desk.store.book() as tx, suppress(Conflict):
        tx.finish([(job, state)])
        if again is not None:
            due = Instant(tx.now + again[2] * SECOND)
            tx.enqueue(job.kind, again[0], again[1], job.person, due)
        last, failing = _times(tx, hook.name)
        if state == DONE:
            last, failing = tx.now, Instant(0)
        elif state in (LATER, DEAD):
            failing = failing or tx.now
        tx.put_row(STATE, hook.name.encode(), msgspec.json.encode([last, failing]))


def _times(view: View, name: str) -> tuple[Instant, Instant]:
    raw = view.row(STATE, name.encode())
    last, failing = msgspec.json.decode(raw) if raw else (0, 0)
    return Instant(last), Instant(failing)


def _decided(desk: Desk, hook: Hook, person: PersonId) -> str | None:
    """Ask the gate whether this system may be told of this person now; recorded before it is.

    Returns:
        The outside id, "" where the purpose does not list it or there is none, None for a no.
    """
    for _ in range(20):
        with desk.store.look() as view:
            house = desk.house(view)
            purpose = house.purposes.get(hook.under)
            category = SHOWN["id"][1]
            lists = purpose is not None and category in purpose.categories
            wanted = frozenset({category}) if lists else frozenset()
            asked = _asked(hook, person, wanted, view.now)
            claim = desk.claim(asked, house)
            found = view.gather([person], None)
            known = found[0] if found else None
            if known is not None and known.record.erasing:
                return None
            facts = desk.facts(view, asked, claim, known)
            answer = gate.decide(asked, facts)
            inputs = gate.inputs_digest(asked, facts)
            house, ref = desk.house(view), f"webhook:{hook.name}"
            said = telling.decided(asked, answer, house, inputs, ref)
            shown: str | None = None
            if not isinstance(answer, Refusal):
                rows = view.sealed([person], [SHOWN["id"][0]]).get(person, ()) if lists else ()
                shown = desk.vault.open(answer, rows, view.now).get(SHOWN["id"][0], "")
            head = known.head if known else NO_HEAD
            prepared = desk.scribe.prepare(person, head, [said], machine(hook.name), view.now)
        with suppress(Conflict), desk.store.book(house.version) as tx:
            if not tx.append(prepared):
                return shown
    return None


def _asked(hook: Hook, person: PersonId, wanted: frozenset[str], at: Instant) -> UseRequest:
    action = Action.SHARE if hook.agreement else Action.EXPORT
    return UseRequest(
        machine(hook.name), person, hook.under, action, None, wanted, at, agreement=hook.agreement
    )


def test_hook(desk: Desk, name: str, ident: str, deliver: Deliver, actor: Actor) -> bool:
    """Send a message about nobody; return whether the other system took it.

    Raises:
        NotFound: There is none of this name in use.
    """
    with desk.store.look() as view:
        held, now = _held(view, name), view.now
    if held is None or held.ended:
        raise NotFound("no webhook of this name is in use", "see: troth webhook list")
    body = {"type": "test", "timestamp": zulu(now), "data": {}}
    taken = deliver(held, ident, msgspec.json.encode(body, order="sorted"))
    act = "sent" if taken else "failed"
    desk.record_house(events.ConnectionActed(f"webhook:{name}", act, {"test": 1}), actor)
    return taken


def standing(view: View, hook: Hook) -> HookStanding:
    """Say how a webhook stands; costs a few index look-ups."""
    kind = _kind(hook.name)
    waiting = sum(view.jobs(kind, state) for state in OPEN)
    last, failing = _times(view, hook.name)
    return HookStanding(hook, waiting, view.jobs(kind, DONE), view.jobs(kind, DEAD), last, failing)
