"""After a restore: what was withdrawn, deleted and erased since the backup holds again.

Four things happen in this order, each repeatable after a crash anywhere: what led to people comes
back from their sealed bundles; their gate facts are folded again from their sealed events; what a
destroyed key left is deleted; every line of the restriction journal that the record does not know
is booked again. Where the journal is not whole, nobody knows who said no since: the house says so,
and the gate counts a yes only if it was given after the restore.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from troth import crypto
from troth.capabilities.custody.backup import open_bundle
from troth.capabilities.custody.keeping import BEHAVIOUR
from troth.errors import EvidenceBroken, NotFound
from troth.kernel import cutting, events, fold, restrictions
from troth.kernel.desk import SYSTEM, Desk, public, put_pointer
from troth.kernel.house import RESTORE
from troth.kernel.scribe import Recorded
from troth.kernel.vault import Shredded, read_header
from troth.ports import Transaction, View
from troth.terms import (
    NO_RECORD,
    Block,
    ConsentStatus,
    Instant,
    PersonId,
    PersonRecord,
    Prepared,
    Published,
    Suppressed,
    instant,
)

BOOKED: Final = "custody.restored"
"""Journal lines a restore has booked again: key is the line's own code."""
SOURCE: Final = "restore"
METHOD: Final = "restored"
_PAGE: Final = 500
_ENDED: Final = frozenset({"handed", "failed", "unknown", "withheld"})
_QUARTER_MONTHS: Final = 3
Watch = Callable[[int], None]
Told = Mapping[str, str | int]


def _unwatched(_done: int) -> None:
    """Nobody looks."""


# What led to people


def put_back(
    desk: Desk, pages: Iterable[Sequence[tuple[PersonId, bytes]]], watch: Watch = _unwatched
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
        tx.put_row(table, key, value)
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
    """

    people: int = 0
    erased: list[PersonId] = field(default_factory=list)
    rows: int = 0
    unreadable: int = 0
    open: dict[PersonId, list[events.MessageBooked]] = field(default_factory=dict)


def rebuild(desk: Desk, watch: Watch = _unwatched) -> Rebuilt:
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
            page = _page(desk, view, people, drafts, done)
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


_LEAVING: Final = PersonRecord(erasing=True)


@dataclass(slots=True)
class _Page:
    facts: dict[PersonId, PersonRecord] = field(default_factory=dict)
    erased: list[PersonId] = field(default_factory=list)
    gone: list[tuple[PersonId, str, int]] = field(default_factory=list)


def _page(
    desk: Desk,
    view: View,
    people: Sequence[PersonId],
    drafts: Sequence[Published],
    done: Rebuilt,
) -> _Page:
    page = _Page()
    desk.vault.keys.load(people, view.now)
    sealed = view.sealed(people, [f"{scope}/" for scope in BEHAVIOUR])
    for person in people:
        try:
            chain = desk.scribe.chain(view, person)
        except Shredded:
            page.erased.append(person)
            done.erased.append(person)
            continue
        except (NotFound, EvidenceBroken):
            done.unreadable += 1
            continue
        page.facts[person] = _folded(desk, view, chain, drafts)
        page.gone += [
            (person, row.field, row.row)
            for row in sealed.get(person, ())
            if desk.vault.is_gone(person, row, view.now)
        ]
        if left := _open_messages(chain):
            done.open[person] = left
        done.people += 1
    return page


def _folded(
    desk: Desk, view: View, chain: Sequence[Recorded], drafts: Sequence[Published]
) -> PersonRecord:
    """Fold a chain; where others were merged into it theirs are read as well."""
    others: dict[str, Sequence[Recorded]] = {}
    waiting = list(_merged(chain))
    while waiting:
        other = waiting.pop()
        if other not in others:
            others[other] = desk.scribe.chain(view, PersonId(bytes.fromhex(other)))
            waiting += _merged(others[other])
    if not others:
        record = NO_RECORD
        for each in chain:
            record = fold.step(record, each.event.payload, each.event.at, each.event.n)
        return record
    return fold.refold(chain, others, drafts)


def _merged(chain: Sequence[Recorded]) -> list[str]:
    found = [r.event.payload for r in chain]
    return [said.other for said in found if isinstance(said, events.PersonMerged)]


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


def close_messages(desk: Desk, waiting: Mapping[PersonId, Sequence[events.MessageBooked]]) -> int:
    """Record of each message that was booked in the backup that nobody knows whether it left.

    It counts against how often the person may be written to, and is never sent again.
    """
    count = 0
    for person, booked in waiting.items():
        told = [
            events.MessageOutcome(
                "unknown", each.ref, channel=each.channel, campaign=each.campaign
            )
            for each in booked
        ]
        desk.record(person, told, SYSTEM)
        count += len(told)
    return count


# The restriction journal


@dataclass(slots=True)
class Replayed:
    """What of the journal was booked again.

    Attributes:
        lines: Lines of the journal, in order.
        known: Lines the record knows already.
        again: Lines booked again, by act.
        unknown: Lines about ids that are not in the backup.
    """

    lines: int = 0
    known: int = 0
    again: dict[str, int] = field(default_factory=dict)
    unknown: int = 0

    @property
    def booked(self) -> int:
        """How many lines were booked again."""
        return sum(self.again.values())


Erase = Callable[[PersonId, str], bool]
"""Erases a person again, or what is left of them; False where nothing is held under the id."""


def replay(
    desk: Desk,
    lines: Sequence[tuple[str, Told]],
    erase: Erase,
    name: bytes,
    watch: Watch = _unwatched,
) -> Replayed:
    """Book every line of the journal that the record does not know, in order. Repeatable.

    Args:
        desk: The restored record, its facts folded.
        lines: Code and content of each line, as `RestrictionJournal.tips` and `lines` give them.
        erase: Erases a person again.
        name: This restore's own name: what it booked before a crash counts as booked by it.
        watch: Told how many lines are done.
    """
    done = Replayed()
    for number, (code, line) in enumerate(lines, 1):
        done.lines = number
        mark = Mark(bytes.fromhex(code)[:16], name)
        with desk.store.look() as view:
            held = view.row(BOOKED, mark.line)
            known = held is not None or _reflected(desk, view, line)
        if held == name or (not known and _again(desk, line, mark, erase)):
            act = str(line["act"])
            done.again[act] = done.again.get(act, 0) + 1
        elif known:
            done.known += 1
        else:
            done.unknown += 1
        watch(number)
    return done


@dataclass(frozen=True, slots=True)
class Mark:
    """That a line of the journal was booked again, and by which restore."""

    line: bytes
    name: bytes

    def put(self, tx: Transaction) -> None:
        """Write it in the commit that books the line."""
        tx.put_row(BOOKED, self.line, self.name)


def _reflected(desk: Desk, view: View, line: Told) -> bool:
    """Tell whether the very event a line is about lies where the line says."""
    if line["act"] == restrictions.ERASURE:
        return False
    body = next((b for b in view.body_at(int(line["seq"]), 1) if b.seq == line["seq"]), None)
    if body is None or line.get("psid", body.person.hex()) != body.person.hex():
        return False
    try:
        said = desk.scribe.read(body, view.now).event.payload
    except NotFound:
        return False
    if line["act"] == restrictions.SUPPRESSION:
        return isinstance(said, events.SuppressionAdded) and (
            said.reason, said.scope, said.value or "",
        ) == (line["reason"], line["scope"], line["value"])  # fmt: skip
    made = restrictions.line(body.person, said, body.seq)
    return made is not None and made[0] == line["act"] and _same(made[1], line)


def _same(made: Told, line: Told) -> bool:
    """Compare what a line says; lines written by an older program say less."""
    return all(made.get(name, value) == value for name, value in line.items() if name != "seq")


def _again(desk: Desk, line: Told, mark: Mark, erase: Erase) -> bool:
    act = line["act"]
    if act == restrictions.SUPPRESSION:
        with desk.store.book() as tx:
            block = Block(str(line["reason"]), str(line["scope"]), str(line["value"]), tx.now)
            tx.put_block(Suppressed(bytes.fromhex(str(line["sup"])), block))
            mark.put(tx)
        return True
    if "psid" not in line:  # a marker of an earlier restore
        return False
    person = PersonId(bytes.fromhex(str(line["psid"])))
    if act == restrictions.ERASURE:
        held = erase(person, str(line["request"]))
        with desk.store.book() as tx:
            if held:
                mark.put(tx)
        return held
    if act == restrictions.PARTIAL:
        return _delete(desk, person, line, mark)
    return _book(desk, person, [_restriction(line)], mark)


def _restriction(line: Told) -> events.Payload:
    """Turn a line back into the event it was written from, as far as it tells."""
    status = str(line["status"])
    if status == "restricted":
        return events.ProcessingRestricted(restricted=True, reason=METHOD)
    if status == "wished":
        quiet = str(line["quiet"]).split("-")
        most = int(line["most"])
        return events.PreferenceSet(
            SOURCE,
            pause_until=str(line["pause_until"]) or None,
            most=None if most < 0 else most,
            quiet=(quiet[0], quiet[1]) if len(quiet) > 1 else None,
        )
    if status == "kept":
        return events.RetentionChosen(str(line["scopes"]), SOURCE, int(line["months"]))
    names = tuple(filter(None, str(line["categories"]).split(",")))
    return events.ConsentAct(
        ConsentStatus(status),
        str(line["purpose"]),
        tuple(filter(None, str(line["channels"]).split(","))),
        method=METHOD,
        source=SOURCE,
        categories=names or None,
        level=int(line["level"]) if "level" in line else None,
        given_by=str(line.get("by", "self")),
    )


Settle = Callable[[Transaction, Sequence[Prepared]], None]


def _nothing_more(_tx: Transaction, _prepared: Sequence[Prepared]) -> None:
    """The event is all there is."""


def _book(
    desk: Desk,
    person: PersonId,
    said: Sequence[events.Payload],
    mark: Mark,
    also: Settle = _nothing_more,
) -> bool:
    """Book events of a person and the mark of the line in one commit; False: nobody is there."""
    while True:
        with desk.store.look() as view:
            if not view.gather([person], None):
                return False
            try:
                head = desk.head(view, person)
                prepared = desk.scribe.prepare(person, head, said, SYSTEM, view.now)
            except Shredded:
                return False
        with desk.store.book() as tx:
            if not tx.append(prepared):
                also(tx, prepared)
                mark.put(tx)
                return True


def _delete(desk: Desk, person: PersonId, line: Told, mark: Mark) -> bool:
    """Destroy the keys of what was deleted again, then its rows; the event says so once more."""
    named = [name for name in str(line["scopes"]).split(",") if name]
    scopes = [name for name in named if "/" in name]
    fields = [name for name in named if "/" not in name]
    versions = [int(v) for v in str(line.get("kver", "")).split(",") if v]
    upto = dict(zip(named, versions, strict=True)) if versions else {}
    with desk.store.look() as view:
        now = view.now
    for scope in scopes:
        below = upto[scope] + 1 if scope in upto else 0
        desk.vault.keys.shred(person, [scope], now, below)

    def rows_too(tx: Transaction, prepared: Sequence[Prepared]) -> None:
        for row in tx.sealed([person], scopes).get(person, ()):
            if row.field not in upto or read_header(row.rec)[0] <= upto[row.field]:
                tx.drop_row(person, row.field, row.row)
        tx.drop_sealed(person, fields)
        cutting.outdate(tx, person, prepared[-1].n)
        if upto:
            _close_quarters(tx, person, scopes, tx.size)

    return _book(desk, person, [_deletion(line, scopes, fields, upto)], mark, rows_too)


def _deletion(
    line: Told, scopes: Sequence[str], fields: Sequence[str], upto: Mapping[str, int]
) -> events.Payload:
    if upto:
        return events.BehaviourDeleted(0, "period", {}, dict(upto), SOURCE)
    return events.RetentionApplied(tuple(fields), tuple(scopes), str(line["rule"]))


def _close_quarters(tx: Transaction, person: PersonId, scopes: Sequence[str], seq: int) -> None:
    """Close whole quarters for late files: the journal does not say what of them was deleted."""
    told = [(scope.partition("/")[0], *quarter(scope)) for scope in scopes]
    tx.put_row(cutting.CLOSED, b"any", b"1")
    key = person + seq.to_bytes(8, "big")
    put_pointer(tx, person, cutting.CLOSED, key, msgspec.json.encode(told))


def quarter(scope: str) -> tuple[Instant, Instant]:
    """Return the instants between which a quarter lies: `purchases/2026Q1`.

    >>> quarter("purchases/1970Q1")[0]
    0
    """
    year, _, number = scope.rpartition("/")[2].partition("Q")
    begins = datetime(int(year), (int(number) - 1) * _QUARTER_MONTHS + 1, 1, tzinfo=UTC)
    after = divmod(begins.month - 1 + _QUARTER_MONTHS, 12)
    return instant(begins), instant(datetime(begins.year + after[0], after[1] + 1, 1, tzinfo=UTC))


# What the house says of it


def say_unsure(desk: Desk) -> Instant:
    """Publish that nobody knows who said no before this moment; return it. Repeatable."""
    with desk.store.look() as view:
        before = view.published(RESTORE)
        now = view.now
    held = int(msgspec.json.decode(before.data)["unsure_before"]) if before else 0
    if held >= now:
        return Instant(held)
    raw = events.canonical({"unsure_before": now})
    with desk.store.book() as tx:
        published = tx.publish(RESTORE, crypto.sha256(raw).hex(), raw)
        statement: dict[str, str | int] = {
            "type": "policy.published",
            "name": published.label,
            "hash": f"sha256:{published.digest}",
        }
        tx.state(public(statement, tx.now))
    return now


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a restore did, as its public leaf says it.

    Attributes:
        journal: whole, missing, cut or forged; given_up where somebody decided to go without.
        origin: The ledger's name from now on.
    """

    backup: str
    digest: str
    kept: int
    journal: str
    origin: str
    replayed: Replayed
    rebuilt: Rebuilt
    campaigns: int
    messages: int


def statement(done: Outcome) -> dict[str, Any]:
    """Return the public leaf of a restore: ids, counts and words, nobody in it."""
    return {
        "type": "restore.done",
        "backup": done.backup,
        "digest": f"sha256:{done.digest}",
        "kept": done.kept,
        "journal": done.journal,
        "lines": done.replayed.lines,
        "again": done.replayed.booked,
        "origin": done.origin,
        "campaigns_stopped": done.campaigns,
        "messages_unknown": done.messages,
    }


def say_done(desk: Desk, done: Outcome) -> int:
    """Book the public leaf and the house's event; return the leaf's index."""
    counts = {
        "people": done.rebuilt.people,
        "erased": len(done.rebuilt.erased),
        "lines": done.replayed.lines,
        "again": done.replayed.booked,
        "campaigns": done.campaigns,
        "messages": done.messages,
    }
    told = events.BackupActed("restored", "data", done.backup, done.digest, done.kept, counts)
    with desk.store.look() as view:
        prepared = desk.house_event(view, told, SYSTEM)
    with desk.store.book() as tx:
        leaf = tx.state(public(statement(done), tx.now))
        tx.append(prepared)
    return leaf
