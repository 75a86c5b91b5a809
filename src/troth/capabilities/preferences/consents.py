"""Take acts in from a file: what a row proves and no more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from troth import crypto
from troth.capabilities.preferences.model import FUTURE_SLACK, KEYS, PROGRESS, Progress
from troth.engines.intake import (
    Batch,
    ConsentRow,
    Finding,
    ImportReport,
)
from troth.kernel import consent, events, restrictions
from troth.kernel.desk import SYSTEM, Desk, put_pointer
from troth.kernel.facts import House
from troth.kernel.house import notices_by_purpose
from troth.kernel.vault import lp
from troth.ports import Transaction, View
from troth.terms import (
    DENYING,
    GRANTING,
    ConsentStatus,
    Instant,
    PersonId,
    Prepared,
    zulu,
)

_NEVER_YES = frozenset({"signal", consent.AGENT})
"""Who can say no for somebody: their yes is remembered, and opens nothing."""


def done_before(view: View, kind: str, digest: bytes) -> int:
    """Return how many data rows of this very file are taken in already."""
    raw = view.row(PROGRESS, kind.encode() + digest)
    return int(raw) if raw else 0


def import_consents(
    desk: Desk,
    batches: Iterable[Batch[list[ConsentRow]]],
    digest: bytes,
    progress: Progress = lambda _done: None,
) -> ImportReport:
    """Take in acts; repeatable and resumable. Never lifts a suppression, never widens.

    A `given` without each of published notice, time, method and proof becomes `imported`, which
    is unknown, and is counted. A yes dated after now waits (`future`); a no binds at once. Rows of
    people nobody knows are counted, not kept. While any row waits, a repeat of the file begins at
    its batch: each act is taken in once, whoever is known by then.
    """
    report, whole = ImportReport(), True
    for batch in batches:
        report.add(batch)
        left = sum(report.outcomes[outcome] for outcome in _WAITING)
        told = _read_acts(desk, batch, report)
        whole = whole and left == sum(report.outcomes[outcome] for outcome in _WAITING)
        _take_consents(desk, told, b"consents" + digest, batch.done if whole else None)
        progress(batch.done)
    desk.record_house(
        events.ImportFinished("consents", digest.hex(), dict(sorted(report.outcomes.items()))),
        SYSTEM,
    )
    return report


_WAITING = ("future", "unknown_person")
_Acts = dict[PersonId, list[tuple[ConsentRow, events.ConsentAct]]]


def _read_acts(desk: Desk, batch: Batch[list[ConsentRow]], report: ImportReport) -> _Acts:
    acts: _Acts = {}
    with desk.store.look() as view:
        house = desk.house(view)
        notices = notices_by_purpose(view.published_all("notice:"))
        for row in batch.rows:
            person = desk.find(view, row.external_id)
            if person is None:
                report.outcomes["unknown_person"] += 1
            elif (act := _read_act(row, house, notices, view.now, report)) is not None:
                acts.setdefault(person, []).append((row, act))
    return acts


def _take_consents(desk: Desk, acts: _Acts, cursor: bytes, done: int | None) -> None:
    """Book what was read, and the cursor with it unless rows before it still wait (None)."""
    while True:
        with desk.store.look() as view:
            house = desk.house(view)
            known = {g.person: g for g in view.gather(list(acts), None) if not g.record.erasing}
            fresh = {p: _fresh(view, p, acts[p], g.record.level) for p, g in known.items()}
            prepared: list[Prepared] = []
            for person, rows in fresh.items():
                said = [act for _, act in rows]
                head = known[person].head
                prepared += desk.scribe.prepare(person, head, said, SYSTEM, view.now)
        lines: list[restrictions.Line] = []
        with desk.store.book() as tx:
            if tx.house_version != house.version:
                continue  # something was published meanwhile: look again
            start = tx.size
            moved = tx.append(prepared)
            if not moved:
                lines = _restrictions(prepared, start)
                for person, rows in fresh.items():
                    _keep_keys(tx, person, rows)
                if done is not None:
                    tx.put_row(PROGRESS, cursor, str(done).encode())
            else:
                for person in fresh.keys() - moved:
                    _keep_keys(tx, person, fresh[person])
        desk.journal.note_all(
            lines or _restrictions([p for p in prepared if p.person not in moved], start)
        )
        if not moved:
            return
        acts = {p: acts[p] for p in moved}


_Told = Sequence[tuple[ConsentRow, events.ConsentAct]]


def _keep_keys(tx: Transaction, person: PersonId, rows: _Told) -> None:
    for row, _ in rows:
        put_pointer(tx, person, KEYS, _row_key(person, row), b"1")


def _row_key(person: PersonId, row: ConsentRow) -> bytes:
    """Name an act of one person: who was erased and came back has none yet.

    The status is part of it, so that a key used again by mistake never swallows a withdrawal.
    """
    told = (
        row.idempotency_key
        or msgspec.json.encode((row.purpose, row.channels, row.occurred_at, row.level)).decode()
    )
    return crypto.sha256(lp(person, row.status.encode(), told.encode()))[:16]


def _fresh(view: View, person: PersonId, rows: _Told, level: int) -> _Told:
    """Leave out acts taken in before, by an earlier file or an earlier row of this one.

    What is no yes may name a level, but none above those held and named beside it.
    """
    new: dict[bytes, tuple[ConsentRow, events.ConsentAct]] = {}
    for told in rows:
        key = _row_key(person, told[0])
        if view.row(KEYS, key) is None:
            new.setdefault(key, told)
    named = [act.level for _, act in new.values() if act.level is not None]
    top = min([*named, *([level] if level >= 0 else [])], default=0)
    return [(row, _under(act, top)) for row, act in new.values()]


def _under(act: events.ConsentAct, top: int) -> events.ConsentAct:
    if act.status in GRANTING or act.level is None or act.level <= top:
        return act
    return replace(act, level=None)


def _restrictions(prepared: Sequence[Prepared], start: int) -> list[restrictions.Line]:
    lines = (restrictions.line(p.person, p.payload, start + i) for i, p in enumerate(prepared))
    return [line for line in lines if line is not None]


def _read_act(
    row: ConsentRow,
    house: House,
    notices: Mapping[str, frozenset[str]],
    now: Instant,
    report: ImportReport,
) -> events.ConsentAct | None:
    purpose = house.purposes.get(row.purpose)
    if purpose is None:
        report.note([Finding(row.line, "word_unknown", "purpose")])
        report.outcomes["rejected"] += 1
        return None
    status, occurred = ConsentStatus(row.status), row.occurred_at
    if occurred is not None and occurred > now + FUTURE_SLACK:
        if status not in DENYING:
            report.outcomes["future"] += 1
            return None
        occurred = None  # a no by a clock ahead of ours binds from its recording
    missing: tuple[str, ...] = ()
    if status in GRANTING:
        told = {
            "notice": row.notice,
            "time": "told" if row.occurred_at is not None else "",
            "method": row.method,
            "proof": row.proof,
        }
        missing = consent.missing_proof(told, notices.get(row.purpose, frozenset()))
        if row.given_by in _NEVER_YES:
            missing = (*missing, "given_by")
        if missing:
            status = ConsentStatus.IMPORTED
            report.outcomes["unproven"] += 1
    channels = row.channels or (() if row.categories or row.level >= 0 else ("*",))
    if status in GRANTING and (channels == ("*",) or not set(channels) <= purpose.channels):
        status, missing = ConsentStatus.IMPORTED, ("channel",)
        report.outcomes["unproven"] += 1
    until: str | None = None
    if status in GRANTING and purpose.consent_months and row.occurred_at is not None:
        until = zulu(consent.months_on(row.occurred_at, purpose.consent_months))
    report.outcomes[f"act.{status}"] += 1
    return events.ConsentAct(
        status=status,
        purpose=row.purpose,
        channels=channels,
        notice=row.notice or None,
        method=row.method or None,
        proof=row.proof or None,
        occurred_at=zulu(occurred) if occurred is not None else None,
        until=until,
        categories=tuple(sorted(row.categories)) or None,
        level=_level(row, missing),
        given_by=row.given_by or "self",
        confirmed_at=_confirmed(row, now),
        source="import",
        missing=missing or None,
        key=row.idempotency_key or None,
    )


def _level(row: ConsentRow, missing: tuple[str, ...]) -> int | None:
    """Take a level under its one purpose; unproven, only the one at which nothing is sent."""
    if row.level < 0 or row.purpose != consent.PERSONALISE or (missing and row.level):
        return None
    return row.level


def _confirmed(row: ConsentRow, now: Instant) -> str | None:
    """Take a confirmation; one that lies ahead has not happened."""
    if row.confirmed_at is None or row.confirmed_at > now + FUTURE_SLACK:
        return None
    return zulu(row.confirmed_at)
