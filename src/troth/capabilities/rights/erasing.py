"""Rights: a person's receipts and time-line, and erasure that can be shown.

Erasure has six steps, each repeatable, resumable after a crash at any point: event, journal,
keys, rows, the key epoch and a search of every store, public leaf. It covers every id merged into
the person. From the first commit on the gate refuses every use.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from troth import crypto
from troth.capabilities.rights.horizon import (
    NO_HORIZON,
    NOT_SCANNED,
    Horizon,
    Scanned,
    ended,
    searched,
)
from troth.capabilities.rights.horizon import uncovered as uncovered_by
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import consent, events, ledger, proof, restrictions
from troth.kernel.desk import ALIASES, INDEX, Desk, drop_pointer, everybody, pointers
from troth.kernel.facts import House
from troth.kernel.scribe import Recorded
from troth.ports import Transaction, View
from troth.terms import (
    DENYING,
    GRANTING,
    NO_RECORD,
    Actor,
    Block,
    Channel,
    ConsentStatus,
    Gathered,
    Instant,
    PersonId,
    Prepared,
    Purpose,
    PurposeKind,
    Role,
    Suppressed,
    zulu,
)

OPEN = "rights.erasing"
INTAKE = "rights.intake"
"""Search code of an address, time and a random end → what somebody asked who was not in."""
SALT_BYTES = 32
TRIES = 20
MAY_ERASE = frozenset({Role.PERSON, Role.SYSTEM, Role.OFFICER})


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
    """Return every event of a person, oldest first, the chain checked.

    Whoever shows it to somebody books the reading first (`events.DataRead`).

    Raises:
        Shredded: The person was erased.
        EvidenceBroken: The chain does not hold.
    """
    with desk.store.look() as view:
        return desk.scribe.chain(view, person)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an erasure did, to hand to the person.

    Attributes:
        leaf: Index of the public leaf; only the salt given here shows which one is theirs.
        counts: Rows deleted, per kind.
        not_covered: What this erasure could not reach; never left out.
        horizon: Where the end of the key epoch stands that a copy of the keys would need.
        scanned: What was searched afterwards, and for what.
    """

    request: str
    leaf: int
    salt: str
    erased_at: Instant
    keys: int
    counts: Mapping[str, int]
    not_covered: tuple[str, ...]
    horizon: Horizon = NO_HORIZON
    scanned: Scanned = NOT_SCANNED


class _Open(msgspec.Struct, array_like=True):
    """An erasure under way; ids in hex, the id that stays first."""

    request: str
    salt: str
    people: list[str]
    keys: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    epoch: int = 0
    kver: int = 0


_decode_open = msgspec.json.Decoder(_Open).decode


def begin_erasure(desk: Desk, person: PersonId, request: str, actor: Actor) -> None:
    """Step 1: the event in the chain of every id of the person; from here on every use is refused.

    Repeatable.

    Raises:
        NotFound: Nothing is held under this id.
        Unavailable: Others keep writing to this record; nothing was begun.
    """
    for _ in range(TRIES):
        with desk.store.look() as view:
            if not view.gather([person], None):
                raise NotFound("nothing is held under this id")
            if view.row(OPEN, person) is not None or view.row(_DONE, person) is not None:
                return
            people = everybody(view, person)
            prepared = _announced(desk, view, people, events.PersonErasing(request), actor)
            salt = desk.randomness.take(SALT_BYTES).hex()
        with desk.store.book() as tx:
            fresh = all(desk.head(tx, p.person).n == p.n - 1 for p in prepared)
            if fresh and not tx.append(prepared):
                state = _Open(request, salt, [p.hex() for p in people])
                for each in people:
                    tx.put_row(OPEN, each, msgspec.json.encode(state))
                return
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _announced(
    desk: Desk, view: View, people: Sequence[PersonId], said: events.PersonErasing, actor: Actor
) -> list[Prepared]:
    return [
        prepared
        for each in view.gather(people, None)
        for prepared in desk.scribe.prepare(each.person, each.head, [said], actor, view.now)
    ]


@dataclass(frozen=True, slots=True)
class Steps:
    """What goes on around the steps.

    Attributes:
        after: Called after each step; tests cut an erasure off here.
        uncovered: Names what else of the house still holds the person when the leaf is written.
        epoch: Returns the newest key epoch, asked right after the keys are destroyed.
        horizon: Returns where that epoch's end stands; may end it at once.
        scan: Searches every store of the house for what is left of these ids.
    """

    after: Callable[[int], None] = lambda _step: None
    uncovered: Callable[[int], Sequence[str]] = lambda _leaf: ()
    epoch: Callable[[], int] = lambda: 0
    horizon: Callable[[int], Horizon] = Horizon
    scan: Callable[[Sequence[PersonId]], Scanned] = lambda _people: NOT_SCANNED


def erase(  # noqa: PLR0913 - what, who asks, and what the house does around it
    desk: Desk,
    person: PersonId,
    request: str,
    actor: Actor,
    settle: Callable[[], None],
    steps: Steps = Steps(),
) -> Certificate:
    """Make everything held about a person unreadable, for good, and delete it.

    Every id merged into this one, or that this one was merged into, is the same person and goes
    too. Kept, as proof: the random ids, the number of their events and the commitments in the
    tree, without content. The suppression list keeps its keyed codes, and that an address was
    asked once for consent. Cannot be undone, by a restore neither. Safe to repeat, also after a
    crash: a repeat finishes what was begun, then returns the same certificate.

    Args:
        desk: The workspace.
        person: Whom to erase.
        request: Id of the request; names the one public leaf.
        actor: Who carries it out.
        settle: Folds write-ahead logs away, so that overwritten bytes are gone.
        steps: What goes on around the steps.

    Raises:
        InvalidInput: This role may not erase anybody; nothing was recorded.
        NotFound: Nothing was ever held under this id; nothing was recorded.
        Conflict: Another worker finishes this erasure: repeat.
        Unavailable: A store did not answer, or a search of the stores found something left; says
            where. Erasure may have begun: repeat until it returns.
    """
    carried = carry_out(desk, person, request, actor, settle, steps)
    scanned = steps.scan(carried.people) if carried.people else NOT_SCANNED
    return finish(desk, person, steps, carried, scanned)


@dataclass(frozen=True, slots=True)
class Carried:
    """An erasure of which the search and its leaf are left to do.

    Attributes:
        people: The ids to search for; none where all of it is done already.
        horizon: Where the end of the key epoch stands.
    """

    people: Sequence[PersonId] = ()
    horizon: Horizon = NO_HORIZON


def carry_out(  # noqa: PLR0913 - as `erase`
    desk: Desk,
    person: PersonId,
    request: str,
    actor: Actor,
    settle: Callable[[], None],
    steps: Steps = Steps(),
) -> Carried:
    """Do all of an erasure but the search and its leaf, so that many are searched for at once.

    Repeatable; `finish` does the rest. Arguments and errors are those of `erase`.
    """
    if actor.role not in MAY_ERASE:
        raise InvalidInput("this role may not erase anybody", "ask the privacy officer")
    begin_erasure(desk, person, request, actor)
    steps.after(1)
    with desk.store.look() as view:
        done, raw = view.row(_DONE, person), view.row(OPEN, person)
        now, seq = view.now, view.log.size
    if done is not None:
        return Carried()
    if raw is None:
        raise Conflict("another worker finishes this erasure", "repeat")
    state = _decode_open(raw)
    people = [PersonId(bytes.fromhex(each)) for each in state.people]
    _journal_once(desk, people, state.request, now, seq)
    steps.after(2)
    fences = len(people)  # a row of its own each, which holds no key
    state.keys = sum(desk.vault.keys.shred(each, None, now) for each in people) - fences
    state.kver = desk.vault.keys.highest(people)
    state.epoch = state.epoch or steps.epoch()
    steps.after(3)
    _keep_the_no(desk, people)
    with desk.store.book() as tx:
        if tx.row(_DONE, person) is not None:  # another worker finished it meanwhile
            return Carried()
        held = _decode_open(tx.row(OPEN, person) or raw).counts
        for each in people:
            for kind, count in _drop(tx, each, people).items():
                held[kind] = held.get(kind, 0) + count
        state.counts = held
        for each in people:
            tx.put_row(OPEN, each, msgspec.json.encode(state))
    settle()
    steps.after(4)
    horizon = steps.horizon(state.epoch)
    steps.after(5)
    return Carried(people, horizon)


def finish(
    desk: Desk, person: PersonId, steps: Steps, carried: Carried, scanned: Scanned
) -> Certificate:
    """Write the public leaf of an erasure that was carried out and searched for; repeatable.

    Raises:
        Unavailable: The search found something; says in which stores. Nothing was written.
    """
    if scanned.found:
        places = ", ".join(f"{store} ({n})" for store, n in sorted(scanned.found.items()))
        raise Unavailable(
            f"the erasure is not complete: something is left in {places}",
            "delete it there, then repeat",
        )
    return _finish(desk, person, steps, carried.horizon, scanned)


_DONE = "rights.erased"


def _journal_once(
    desk: Desk, people: Sequence[PersonId], request: str, now: Instant, seq: int
) -> None:
    told = {line.get("psid") for line in desk.journal.lines() if line.get("act") == "erasure"}
    desk.journal.note_all(
        [
            ("erasure", {"psid": each.hex(), "request": request, "fence_at": now}, seq)
            for each in people
            if each.hex() not in told
        ]
    )


def _keep_the_no(desk: Desk, people: Sequence[PersonId]) -> None:
    """Put what a person refused on the list of their address: a no outlives the erasure.

    Kept as a keyed code of the address and a purpose, as every suppression; journalled first.
    """
    with desk.store.look() as view:
        if view.published("house") is None:
            return
        house = desk.house(view)
        kept = [
            Suppressed(gathered.contact.sup, block)
            for channel in Channel
            for gathered in view.gather(people, channel)
            if gathered.contact is not None
            for block in _refused(gathered, channel, house, view.now)
            if not _agreed_by_others(view, gathered, people, house.purposes[block.value], house)
        ]
        seq = view.log.size
    desk.journal.note_all([restrictions.suppressed(each.sup, each.block, seq) for each in kept])
    with desk.store.book() as tx:
        for each in kept:
            tx.put_block(each)


def _agreed_by_others(
    view: View, gathered: Gathered, people: Sequence[PersonId], purpose: Purpose, house: House
) -> bool:
    """Tell whether somebody who shares the address has a yes of their own: it is theirs to end."""
    if gathered.contact is None:
        return False
    channel = gathered.contact.channel
    others = [p for p in view.holders(gathered.contact.sup) if p not in people]
    return any(
        consent.resolve(other.record, purpose, channel, view.now, house.purposes).status
        in GRANTING
        for other in view.gather(others, channel)
    )


def _refused(gathered: Gathered, channel: Channel, house: House, now: Instant) -> list[Block]:
    blocks = []
    for purpose in house.purposes.values():
        if purpose.kind not in (PurposeKind.MARKETING, PurposeKind.CONSENT_REQUEST):
            continue
        held = consent.resolve(gathered.record, purpose, channel, now, house.purposes)
        if held.status in DENYING and held.status is not ConsentStatus.EXPIRED:
            objected = held.status in (ConsentStatus.OBJECTED, ConsentStatus.OPTED_OUT)
            reason = "objection" if objected else "unsubscribe"
            blocks.append(Block(reason, "purpose", purpose.name, since=now))
    return blocks


def _drop(tx: Transaction, person: PersonId, people: Sequence[PersonId]) -> dict[str, int]:
    """Delete what leads to a person, then all that is theirs; what others share stays."""
    asked = _drop_asked(tx, person, people)
    found = list(pointers(tx, person))
    for table, key in found:
        if table == _LISTED and _shared(tx, table, key, people):
            tx.put_row(INDEX, person + bytes([len(table)]) + table.encode() + key, None)
            continue
        drop_pointer(tx, person, table, key)
    for table in (ALIASES, "custody.retention"):
        for key, _ in tx.rows(table, person, b"", 10_000):
            tx.put_row(table, key, None)
    counts = {**tx.drop_person(person), "index": len(found), "asked": asked}
    tx.put_record(person, replace(NO_RECORD, erasing=True))
    return {name: count for name, count in counts.items() if count}


def _drop_asked(tx: Transaction, person: PersonId, people: Sequence[PersonId]) -> int:
    """Drop what was asked under an address that nobody else holds; return how much."""
    dropped = 0
    for found in tx.gather([person], Channel.EMAIL):
        if found.contact is None or any(p not in people for p in tx.holders(found.contact.sup)):
            continue
        for key, _ in tx.rows(INTAKE, found.contact.bi, b"", 10_000):
            tx.put_row(INTAKE, key, None)
            dropped += 1
    return dropped


_LISTED = "people.registry"


def _shared(tx: Transaction, table: str, key: bytes, people: Sequence[PersonId]) -> bool:
    """Tell whether somebody else holds the address a registry row is about."""
    sup = tx.row(table, key)
    return sup is not None and any(each not in people for each in tx.holders(sup))


def _finish(
    desk: Desk, person: PersonId, steps: Steps, horizon: Horizon, scanned: Scanned
) -> Certificate:
    with desk.store.book() as tx:
        raw = tx.row(_DONE, person)
        if raw is not None:
            return _certificate(raw)
        state = _decode_open(tx.row(OPEN, person) or b"[]")
        uncovered = [*uncovered_by(horizon, scanned, tx.now), *steps.uncovered(tx.size)]
        said = _statement(state, uncovered, tx.now) | ended(horizon) | searched(scanned)
        leaf = tx.state(events.public_entry(said))
        done = msgspec.json.encode(
            [
                *(state.request, leaf, state.salt, tx.now, state.keys, state.counts, uncovered),
                [horizon.epoch, horizon.state, horizon.at, horizon.method],
                [scanned.stores, scanned.by],
            ]
        )
        for each in state.people:
            tx.put_row(_DONE, bytes.fromhex(each), done)
            tx.put_row(OPEN, bytes.fromhex(each), None)
    return _certificate(done)


def _statement(state: _Open, uncovered: Sequence[str], at: Instant) -> dict[str, object]:
    salt = bytes.fromhex(state.salt)
    return {
        "type": "erase.done",
        "at": zulu(at),
        "subject": crypto.sha256(bytes.fromhex(state.people[0]) + salt).hex(),
        "aliases": len(state.people) - 1,
        "kver": state.kver,
        "keys": state.keys,
        "counts": state.counts,
        "not_covered": uncovered,
    }


def _certificate(raw: bytes) -> Certificate:
    request, leaf, salt, at, keys, counts, uncovered, *more = msgspec.json.decode(raw)
    made = Certificate(request, leaf, salt, Instant(at), keys, counts, tuple(uncovered))
    if not more:  # erased before key epochs were written down
        return made
    (epoch, state, until, method), (stores, by) = more
    horizon = Horizon(epoch, state, Instant(until), method)
    return replace(made, horizon=horizon, scanned=Scanned(tuple(stores), tuple(by)))


def unfinished(desk: Desk) -> list[PersonId]:
    """Return whose erasure was begun and not finished; a start of the house finishes them."""
    with desk.store.look() as view:
        return [PersonId(key) for key, _ in view.rows(OPEN, b"", b"", 100_000)]


def is_erased(desk: Desk, person: PersonId) -> bool:
    """Say whether everything under this id was erased."""
    with desk.store.look() as view:
        return view.row(_DONE, person) is not None


def erased_since(view: View, size: int) -> list[PersonId]:
    """Return who left after the ledger had this size, erasures under way included."""
    out = [PersonId(key) for key, _ in view.rows(OPEN, b"", b"", 100_000)]
    after = b""
    while page := view.rows(_DONE, b"", after, 1_000):
        out += [PersonId(key) for key, raw in page if msgspec.json.decode(raw)[1] >= size]
        after = page[-1][0]
    return out
