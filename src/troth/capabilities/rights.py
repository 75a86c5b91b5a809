"""Rights: a person's receipts and time-line, restriction, and erasure that can be shown.

Erasure has five steps, each repeatable, resumable after a crash at any point: event, journal,
keys, rows, public leaf. From the first commit on the gate refuses every use.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from troth import crypto
from troth.errors import Conflict, NotFound
from troth.kernel import events, ledger, proof
from troth.kernel.desk import EXTERNAL, Desk
from troth.kernel.scribe import Recorded
from troth.ports import Transaction
from troth.terms import Actor, Instant, PersonId, zulu

OPEN = "rights.erasing"
SALT_BYTES = 32
NOT_COVERED = (
    "a backup of keys/ made before {at} still opens data backups made before {at}",
    "copies at partners that have not answered, mails already delivered, printed pages",
    "a flash disk may keep a stale block of an overwritten key",
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One event's `.tlog-proof` and what it proves, for the person themselves."""

    n: int
    type: str
    at: Instant
    text: str


def receipts(desk: Desk, person: PersonId, note: str) -> list[Receipt]:
    """Write the receipts of a person's events that a signed checkpoint already covers.

    Raises:
        NotFound: Nothing is held under this id.
        Shredded: The person was erased; receipts handed out before stay valid.
    """
    with desk.store.look() as view:
        chain = desk.scribe.chain(view, person)
        if not chain:
            raise NotFound("nothing is held under this id")
        size = proof.parse_checkpoint(proof.parse_note(note)[0]).size
        return [
            Receipt(
                r.event.n,
                r.event.type,
                r.event.at,
                ledger.receipt(proof.event_extra(r.salt, r.raw), r.seq, note, view.tile),
            )
            for r in chain
            if r.seq < size
        ]


def timeline(desk: Desk, person: PersonId) -> list[Recorded]:
    """Return every event of a person, oldest first, the chain checked; booked as a reading.

    Raises:
        Shredded: The person was erased.
    """
    with desk.store.look() as view:
        return desk.scribe.chain(view, person)


def restrict(desk: Desk, person: PersonId, reason: str, actor: Actor) -> None:
    """Keep a person's data and use it for nothing, until `lift_restriction`."""
    said = events.ProcessingRestricted(restricted=True, reason=reason)
    prepared = desk.record(person, [said], actor)
    facts = {"psid": person.hex(), "status": "restricted"}
    desk.journal.note("restriction", facts, prepared[0].n)


def lift_restriction(desk: Desk, person: PersonId, reason: str, actor: Actor) -> None:
    """End a restriction."""
    desk.record(person, [events.ProcessingRestricted(restricted=False, reason=reason)], actor)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an erasure did, to hand to the person.

    Attributes:
        leaf: Index of the public leaf; only the salt given here shows which one is theirs.
        counts: Rows deleted, per kind.
        not_covered: What this erasure could not reach; never left out.
    """

    request: str
    leaf: int
    salt: str
    erased_at: Instant
    keys: int
    counts: Mapping[str, int]
    not_covered: tuple[str, ...]


def begin_erasure(desk: Desk, person: PersonId, request: str, actor: Actor) -> None:
    """Step 1: the event in the person's chain; from here on every use is refused. Repeatable.

    Raises:
        NotFound: Nothing is held under this id.
    """
    with desk.store.look() as view:
        found = view.gather([person], None)
        if not found:
            raise NotFound("nothing is held under this id")
        if found[0].record.erasing or view.row(OPEN, person) is not None:
            return
    while True:
        with desk.store.look() as view:
            head = desk.head(view, person)
            said = events.PersonErasing(request)
            prepared = desk.scribe.prepare(person, head, [said], actor, view.now)
            salt = desk.randomness.take(SALT_BYTES)
            state = msgspec.json.encode([request, salt.hex(), 0, {}, 0])
        with desk.store.book() as tx:
            if not tx.append(prepared):
                tx.put_row(OPEN, person, state)
                return


@dataclass(frozen=True, slots=True)
class Steps:
    """Where to stop, for the tests that cut an erasure off after each step."""

    after: Callable[[int], None] = lambda _step: None


def erase(
    desk: Desk,
    person: PersonId,
    request: str,
    actor: Actor,
    settle: Callable[[], None],
    steps: Steps = Steps(),
) -> Certificate:
    """Make everything held about a person unreadable, for good, and delete it.

    Kept, as proof: the person's random id, the number of their events and the commitments in the
    tree, without content. The suppression list keeps its keyed codes. Cannot be undone, by a
    restore neither. Safe to repeat, also after a crash: a repeat finishes what was begun, then
    returns the same certificate.

    Args:
        desk: The workspace.
        person: Whom to erase.
        request: Id of the request; names the one public leaf.
        actor: Who carries it out.
        settle: Folds write-ahead logs away, so that overwritten bytes are gone.
        steps: Called after each step; tests cut here.

    Raises:
        NotFound: Nothing was ever held under this id; nothing was recorded.
        Unavailable: A store did not answer. Erasure may have begun: repeat until it returns.
    """
    with desk.store.look() as view:
        done = view.row(_DONE, person)
    if done is not None:
        return _certificate(done)
    begin_erasure(desk, person, request, actor)
    steps.after(1)
    with desk.store.look() as view:
        raw = view.row(OPEN, person)
        if raw is None:
            raise Conflict("another worker finishes this erasure", "repeat")
        request, salt = msgspec.json.decode(raw)[:2]
        now, seq = view.now, view.log.size
    _journal_once(desk, person, request, now, seq)
    steps.after(2)
    keys = desk.vault.keys.shred(person, None, now)
    steps.after(3)
    outside = _outside_keys(desk, person)
    with desk.store.book() as tx:
        counts = _drop(tx, person, outside)
        _, _, _, before, _ = msgspec.json.decode(tx.row(OPEN, person) or raw)
        counts = {k: counts.get(k, 0) + before.get(k, 0) for k in counts.keys() | before.keys()}
        tx.put_row(OPEN, person, msgspec.json.encode([request, salt, keys, counts, now]))
    settle()
    steps.after(4)
    return _finish(desk, person)


_DONE = "rights.erased"


def _journal_once(desk: Desk, person: PersonId, request: str, now: Instant, seq: int) -> None:
    for line in desk.journal.lines():
        if line.get("act") == "erasure" and line.get("psid") == person.hex():
            return
    desk.journal.note("erasure", {"psid": person.hex(), "request": request, "fence_at": now}, seq)


def _outside_keys(desk: Desk, person: PersonId) -> list[tuple[str, bytes]]:
    """Find the index rows that lead to this person; slow and rare, by design of the index."""
    out = []
    with desk.store.look() as view:
        for table in (EXTERNAL, "preferences.token"):
            after = b""
            while rows := view.rows(table, b"", after, 5_000):
                out += [(table, key) for key, value in rows if _leads_to(value, person)]
                after = rows[-1][0]
        out += [
            ("outreach.done", key)
            for key, _ in view.rows("outreach.done", b"", b"", 1_000_000)
            if key.endswith(person)
        ]
    return out


def _leads_to(value: bytes, person: PersonId) -> bool:
    return value == person or person.hex().encode() in value


def _drop(
    tx: Transaction, person: PersonId, outside: Sequence[tuple[str, bytes]]
) -> dict[str, int]:
    counts = tx.drop_person(person)
    for table, key in outside:
        tx.put_row(table, key, None)
    counts["index"] = len(outside)
    return {name: count for name, count in counts.items() if count}


def _finish(desk: Desk, person: PersonId) -> Certificate:
    with desk.store.book() as tx:
        raw = tx.row(_DONE, person)
        if raw is not None:
            return _certificate(raw)
        request, salt, keys, counts, at = msgspec.json.decode(tx.row(OPEN, person) or b"[]")
        named = crypto.sha256(person + bytes.fromhex(salt)).hex()
        uncovered = [text.format(at=zulu(tx.now)) for text in NOT_COVERED]
        statement = {
            "type": "erase.done",
            "subject": named,
            "kver": 1,
            "keys": keys,
            "counts": counts,
            "epoch_destroyed": None,
            "method": "best effort on this disk",
            "not_covered": uncovered,
        }
        leaf = tx.state(events.public_entry({"at": zulu(tx.now), **statement}))
        done = msgspec.json.encode([request, leaf, salt, tx.now, keys, counts, uncovered])
        tx.put_row(_DONE, person, done)
        tx.put_row(OPEN, person, None)
    return _certificate(done)


def _certificate(raw: bytes) -> Certificate:
    request, leaf, salt, at, keys, counts, uncovered = msgspec.json.decode(raw)
    return Certificate(request, leaf, salt, Instant(at), keys, counts, tuple(uncovered))


def unfinished(desk: Desk) -> list[PersonId]:
    """Return whose erasure was begun and not finished; a start of the house finishes them."""
    with desk.store.look() as view:
        return [PersonId(key) for key, _ in view.rows(OPEN, b"", b"", 100_000)]


def is_erased(desk: Desk, person: PersonId) -> bool:
    """Say whether everything under this id was erased."""
    with desk.store.look() as view:
        return view.row(_DONE, person) is not None
