"""Custody: publish what the house decides by, sign what was booked, check it, keep no longer."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, Unavailable
from troth.kernel import cutting, events, ledger, proof, restrictions, retention
from troth.kernel.desk import SYSTEM, Desk, public
from troth.kernel.events import PersonCreated
from troth.kernel.following import Due
from troth.kernel.house import read_house
from troth.kernel.vault import Chunk, Shredded
from troth.ports import SignedSize, View
from troth.terms import (
    Actor,
    Channel,
    Gathered,
    Instant,
    LogState,
    PersonId,
    PersonRecord,
    Published,
    Sealed,
)


def found(desk: Desk) -> None:
    """Begin the house chain and the ledger; repeating it changes nothing."""
    with desk.store.look() as view:
        if view.log.size:
            return
        house = desk.scribe.house
        desk.vault.keys.make([(house, "", 1)])
        prepared = desk.house_event(view, PersonCreated("house", "init"), SYSTEM)
        start = public({"type": "log.start"}, view.now)
    with desk.store.book() as tx:
        tx.state(start)
        tx.append(prepared)


def changes(desk: Desk, drafts: Mapping[str, bytes]) -> list[str]:
    """Name the drafts that differ from what is published."""
    with desk.store.look() as view:
        return [
            name
            for name, raw in drafts.items()
            if (now := view.published(name)) is None or now.data != raw
        ]


def apply(desk: Desk, drafts: Mapping[str, bytes]) -> list[Published]:
    """Publish drafts that changed, as new versions, with a public leaf each; all or none.

    The whole house is read once with the new versions in it first: what does not read together
    is not published.

    Raises:
        InvalidInput: A draft does not read; names file and place. Nothing was published.
    """
    names = changes(desk, drafts)
    if not names:
        return []
    with desk.store.look() as view:
        now = view.now
        kept = [p for p in view.published_all("") if p.name not in names]
    trial = [Published(n, 0, now, "", drafts[n]) for n in names]
    read_house(-1, [*kept, *trial])
    out = []
    with desk.store.book() as tx:
        for name in names:
            digest = crypto.sha256(drafts[name]).hex()
            published = tx.publish(name, digest, drafts[name])
            statement = {"type": "policy.published", "name": published.label}
            tx.state(public({**statement, "hash": f"sha256:{digest}"}, tx.now))
            out.append(published)
        house = read_house(tx.house_version, tx.published_all(""))
        ruleset = {"type": "ruleset.published", "hash": f"sha256:{house.ruleset.digest}"}
        tx.state(public({**ruleset, "label": house.ruleset.label}, tx.now))
    return out


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs checkpoints of one log: origin, seed and the guard against a second history."""

    origin: str
    seed: bytes
    sizes: SignedSize

    @property
    def key(self) -> proof.Key:
        """The log's public key."""
        return ledger.log_key(self.origin, self.seed)

    @property
    def policy(self) -> proof.Policy:
        """Believe this log alone; no witness runs yet, and pages say so."""
        return proof.parse_policy(f"log {self.key.vkey}\nquorum none\n", crypto.ed25519_verify)


def sign(desk: Desk, signer: Signer) -> str:
    """Sign and store a checkpoint over everything committed; return the note.

    The last signed size moves by compare-and-set before the signature is made: two processes on
    copies of one record cannot sign two histories.

    Raises:
        EvidenceBroken: The record is shorter than what was signed before: it was rolled back.
        Unavailable: Another process signs; repeat.
    """
    for _ in range(8):
        with desk.store.look() as view:
            state, note = view.log, view.note()
            last = signer.sizes.last()
            guard(state, last, _root_then(view, last))
        if note and proof.parse_checkpoint(proof.parse_note(note)[0]).size == state.size:
            return note
        try:
            signer.sizes.advance(last, state)
        except Conflict:
            continue
        checkpoint = proof.Checkpoint(signer.origin, state.size, state.root)
        note = ledger.sign_checkpoint(checkpoint, [signer.seed])
        with desk.store.book() as tx:
            tx.put_note(state.size, note)
        return note
    raise Unavailable("another process keeps signing", "repeat in a moment", 1)


def _root_then(view: View, last: LogState | None) -> Callable[[], bytes]:
    return lambda: ledger.tree_root(last.size, view.tile) if last else b""


def guard(state: LogState, last: LogState | None, root_then: Callable[[], bytes]) -> None:
    """Refuse to go on when the record is behind, or beside, what was signed.

    Raises:
        EvidenceBroken: With the remedy: restore the newest record, or begin a new origin.
    """
    if last is None:
        return
    if state.size < last.size or root_then() != last.root:
        raise EvidenceBroken(
            f"the record holds {state.size} entries, {last.size} were signed",
            "this is an older or another copy: restore the newest record.db",
        )


# The restriction journal, made whole after a crash between commit and journal

_Known = frozenset[tuple[str | int, ...]]


JOURNAL = "custody.journal"


def keep_tip(desk: Desk) -> None:
    """Remember how long the restriction journal is and its newest MAC; see `guard_journal`."""
    tips = desk.journal.tips()
    if not tips:
        return
    tip = msgspec.json.encode([len(tips), tips[-1]])
    with desk.store.look() as view:
        if view.row(JOURNAL, b"tip") == tip:
            return
    with desk.store.book() as tx:
        tx.put_row(JOURNAL, b"tip", tip)


def guard_journal(desk: Desk) -> None:
    """Refuse to go on with a restriction journal that lost lines since they were last seen.

    Raises:
        EvidenceBroken: Cut at its end, deleted or another one; a restore must not miss a line.
    """
    with desk.store.look() as view:
        raw = view.row(JOURNAL, b"tip")
    if raw is None:
        return
    count, mac = msgspec.json.decode(raw)
    tips = desk.journal.tips()
    if len(tips) < count or tips[count - 1] != mac:
        raise EvidenceBroken(
            f"the restriction journal had {count} lines, {len(tips)} are there or differ",
            "restore witness/ from its copy",
        )


def journal_missing(desk: Desk, due: Sequence[Due]) -> None:
    """Append the journal line of every restricting event that has none; repeatable.

    Reads the whole journal once. An erasure's line is known by the person, every other by act,
    ledger sequence and whom or which address it is about.

    Raises:
        Unavailable: The journal cannot be written.
        EvidenceBroken: Its chain is broken, or an event does not open.
    """
    known = frozenset(_name(line) for line in desk.journal.lines())
    lines: list[restrictions.Line] = []
    with desk.store.look() as view:
        for each in due:
            lines += _missing(desk, view, each, known)
    desk.journal.note_all(lines)


def _name(line: Mapping[str, str | int]) -> tuple[str | int, ...]:
    about = line.get("psid") or line.get("sup", "")
    if line["act"] == restrictions.ERASURE:
        return restrictions.ERASURE, about
    return line["act"], line["seq"], about


def _missing(desk: Desk, view: View, due: Due, known: _Known) -> list[restrictions.Line]:
    body = next((b for b in view.bodies(due.person) if b.n == due.n), None)
    if body is None:
        return []  # erased since, and the erasure has its own line
    if (restrictions.RESTRICTION, body.seq, due.person.hex()) in known:
        return []
    try:
        said = desk.scribe.read(body, view.now).event.payload
    except Shredded:
        return []
    found = _lines(view, due.person, said, body.seq)
    return [
        each for each in found if _name({"act": each[0], "seq": each[2], **each[1]}) not in known
    ]


def _lines(
    view: View, person: PersonId, said: events.Payload, seq: int
) -> list[restrictions.Line]:
    if isinstance(said, events.SuppressionAdded):
        return [
            restrictions.suppressed(gathered.contact.sup, block, seq)
            for channel in Channel
            for gathered in view.gather([person], channel)
            if gathered.contact
            for block in gathered.blocks
            if (block.reason, block.scope, block.value)
            == (said.reason, said.scope, said.value or "")
        ]
    line = restrictions.line(person, said, seq)
    if line is not None and line[0] == restrictions.ERASURE:
        line = (line[0], {**line[1], "fence_at": view.now}, line[2])
    return [line] if line else []


# Keeping no longer than a purpose needs it

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
        page = view.gather([p for p in people if p != desk.scribe.house], None)
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
