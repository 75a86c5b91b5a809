"""After a restore: what was withdrawn, deleted and erased since the backup holds again.

Every line of the restriction journal that the record does not know is booked again, in order and
once, whatever crashes meanwhile. Where the journal is not whole, nobody knows who said no since:
the house says so, and the gate counts a yes only if it was given after the restore.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from troth import crypto
from troth.capabilities.custody.journal import BACKED_UP, RESTORED
from troth.capabilities.custody.rebuilding import Rebuilt, Watch, unwatched
from troth.errors import NotFound
from troth.kernel import cutting, events, restrictions
from troth.kernel.desk import ASK_ONCE, SYSTEM, Desk, public, put_pointer
from troth.kernel.house import RESTORE
from troth.kernel.vault import Shredded, read_header
from troth.ports import Transaction, View
from troth.terms import (
    Block,
    ConsentStatus,
    Instant,
    PersonId,
    Prepared,
    Suppressed,
    instant,
)

BOOKED: Final = "custody.restored"
"""Journal lines a restore has booked again: key is the line's own code."""
SOURCE: Final = "restore"
METHOD: Final = "restored"
_MARKERS: Final = frozenset({BACKED_UP, RESTORED})
_QUARTER_MONTHS: Final = 3
Told = Mapping[str, str | int]


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


Tie = Callable[[str, PersonId, PersonId], bool]
"""Merges two ids again, or undoes that, or ends a mandate; False where an id is not held."""
TIES: Final = frozenset({restrictions.MERGE, restrictions.UNMERGE, restrictions.UNLINK})


def _nobody(_act: str, _person: PersonId, _other: PersonId) -> bool:
    return False


def replay(  # noqa: PLR0913 - the record, the lines, and who does what capabilities may not
    desk: Desk,
    lines: Sequence[tuple[str, Told]],
    erase: Erase,
    name: bytes,
    watch: Watch = unwatched,
    tie: Tie = _nobody,
) -> Replayed:
    """Book every line of the journal that the record does not know, in order. Repeatable.

    Args:
        desk: The restored record, its facts folded.
        lines: Code and content of each line, as `RestrictionJournal.tips` and `lines` give them.
        erase: Erases a person again.
        name: This restore's own name: what it booked before a crash counts as booked by it.
        watch: Told how many lines are done.
        tie: Merges two ids again, takes them apart, or ends a mandate.
    """
    done, doing = Replayed(), _Doing(erase, tie)
    for number, (code, line) in enumerate(lines, 1):
        done.lines = number
        mark = Mark(bytes.fromhex(code)[:16], name)
        with desk.store.look() as view:
            held = view.row(BOOKED, mark.line)
            known = line["act"] in _MARKERS or held is not None or _reflected(desk, view, line)
        if held == name or (not known and _again(desk, line, mark, doing)):
            act = str(line["act"])
            done.again[act] = done.again.get(act, 0) + 1
        elif known:
            done.known += 1
        else:
            done.unknown += 1
        watch(number)
    return done


@dataclass(frozen=True, slots=True)
class _Doing:
    erase: Erase
    tie: Tie


@dataclass(frozen=True, slots=True)
class Mark:
    """That a line of the journal was booked again, and by which restore."""

    line: bytes
    name: bytes

    def put(self, tx: Transaction) -> None:
        """Write it in the commit that books the line."""
        tx.put_row(BOOKED, self.line, self.name)


def _reflected(desk: Desk, view: View, line: Told) -> bool:  # noqa: PLR0911 - one arm a kind
    """Tell whether the very event a line is about lies where the line says."""
    if line["act"] == restrictions.ERASURE:
        return False
    if line["act"] == restrictions.ASKED:
        return all(view.row(ASK_ONCE, sup) is not None for sup in _sups(line))
    if line["act"] == restrictions.REGISTRY:
        files = view.published_all(f"registry:{line['registry']}")
        return not files or any(file.digest == line["digest"] for file in files)
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


def _sups(line: Told) -> list[bytes]:
    return [bytes.fromhex(each) for each in str(line.get("sups", "")).split(",") if each]


def _again(desk: Desk, line: Told, mark: Mark, doing: _Doing) -> bool:  # noqa: PLR0911 - one arm a kind
    act, erase = line["act"], doing.erase
    if act == restrictions.ASKED:
        with desk.store.book() as tx:
            for sup in _sups(line):
                tx.claim_row(ASK_ONCE, sup, METHOD.encode())
            mark.put(tx)
        return True
    if act == restrictions.REGISTRY:
        _doubt(desk, str(line["registry"]), mark)
        return True
    if act == restrictions.SUPPRESSION:
        with desk.store.book() as tx:
            block = Block(str(line["reason"]), str(line["scope"]), str(line["value"]), tx.now)
            tx.put_block(Suppressed(bytes.fromhex(str(line["sup"])), block))
            mark.put(tx)
        return True
    person = PersonId(bytes.fromhex(str(line["psid"])))
    if act == restrictions.ERASURE:
        held = erase(person, str(line["request"]))
        with desk.store.book() as tx:
            if held:
                mark.put(tx)
        return held
    if act == restrictions.PARTIAL:
        return _delete(desk, person, line, mark)
    if act in TIES:
        done = doing.tie(str(act), person, PersonId(bytes.fromhex(str(line["other"]))))
        with desk.store.book() as tx:
            if done:
                mark.put(tx)
        return done
    return _book(desk, person, [_restriction(line)], mark) or _list(desk, line, mark)


def _doubt(desk: Desk, registry: str, mark: Mark) -> None:
    """Stop believing the registry file there is: a newer one was applied and is not here."""
    with desk.store.book() as tx:
        held = msgspec.json.decode(tx.published_all(f"registry:{registry}")[-1].data)
        raw = events.canonical({**held, "usable": False})
        tx.publish(f"registry:{registry}", crypto.sha256(raw).hex(), raw)
        mark.put(tx)


def _list(desk: Desk, line: Told, mark: Mark) -> bool:
    """Put the addresses of somebody the backup does not know on the list: they may come back.

    A shop's file that brings them again brings the yes from before their no as well.
    """
    sups = _sups(line)
    with desk.store.book() as tx:
        reason = "objection" if line["status"] == ConsentStatus.OBJECTED else "unsubscribe"
        for sup in sups:
            block = Block(reason, "purpose", str(line["purpose"]), since=tx.now)
            tx.put_block(Suppressed(sup, block))
        if sups:
            mark.put(tx)
    return bool(sups)


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


def say_done(desk: Desk, done: Outcome, name: str) -> int:
    """Book the public leaf and the house's event, once; return the leaf's index."""
    counts = {
        "people": done.rebuilt.people,
        "erased": len(done.rebuilt.erased),
        "lines": done.replayed.lines,
        "again": done.replayed.booked,
        "campaigns": done.campaigns,
        "messages": done.messages,
    }
    told = events.BackupActed("restored", "data", done.backup, done.digest, done.kept, counts)
    place = f"done/{name}".encode()
    with desk.store.look() as view:
        before = view.row(BOOKED, place)
        if before is not None:
            return int(before)
        prepared = desk.house_event(view, told, SYSTEM)
    with desk.store.book() as tx:
        leaf = tx.state(public(statement(done), tx.now))
        tx.append(prepared)
        tx.put_row(BOOKED, place, str(leaf).encode())
    return leaf
