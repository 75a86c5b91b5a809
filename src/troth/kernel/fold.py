"""From a person's events to their gate facts: one step per event, in any order of arrival."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from troth.kernel import consent, events
from troth.kernel.scribe import Recorded
from troth.ports import Transaction
from troth.terms import Act, Instant, PersonRecord, Prepared, Relation, from_zulu


def consent_act(payload: events.ConsentAct, at: Instant, n: int) -> Act:
    """Turn a recorded act into what the fold compares."""
    return Act(
        status=payload.status,
        at=events.act_time(payload.occurred_at, at),
        recorded=at,
        n=n,
        until=from_zulu(payload.until) if payload.until else 0,
        categories=payload.categories or (),
        notice=payload.notice or "",
        confirmed=payload.confirmed_at is not None,
        by=payload.given_by,
    )


def _consent(
    record: PersonRecord, payload: events.ConsentAct, at: Instant, n: int
) -> PersonRecord:
    act = consent_act(payload, at, n)
    if payload.status != "superseded":
        record = consent.apply_consent(
            record,
            kind=payload.status,
            purpose=payload.purpose,
            channels=payload.channels,
            act=act,
        )
    if payload.level is not None:
        record = consent.apply_level(record, payload.level, act)
    return record


def _facts(
    record: PersonRecord, payload: events.FactsRecorded, _at: Instant, _n: int
) -> PersonRecord:
    known = {
        name: value
        for name in ("residence", "zone", "age", "competent", "language", "subject")
        if (value := getattr(payload, name)) is not None
    }
    return replace(record, **known)


def _relation(
    record: PersonRecord, payload: events.RelationRecorded, _at: Instant, _n: int
) -> PersonRecord:
    relation = Relation(
        kind=payload.kind,
        at=from_zulu(payload.occurred_at),
        brand=payload.brand or "",
        goods=payload.goods or "",
        collected=payload.collected,
        objection_offered=payload.objection_offered,
        until=from_zulu(payload.until) if payload.until else 0,
    )
    return consent.apply_relation(record, relation)


def _outcome(
    record: PersonRecord, payload: events.MessageOutcome, at: Instant, _n: int
) -> PersonRecord:
    """Count what left, and what may have left, against the frequency cap."""
    if payload.channel is None or payload.state not in ("handed", "unknown"):
        return record
    return consent.apply_send(record, payload.channel, at)


_STEPS: dict[type[Any], Callable[[PersonRecord, Any, Instant, int], PersonRecord]] = {
    events.ConsentAct: _consent,
    events.FactsRecorded: _facts,
    events.PersonCreated: lambda r, p, _at, _n: replace(r, subject=p.subject),
    events.RelationRecorded: _relation,
    events.MessageOutcome: _outcome,
    events.ProcessingRestricted: lambda r, p, _at, _n: replace(r, restricted=p.restricted),
    events.PersonErasing: lambda r, _p, _at, _n: replace(r, erasing=True),
    events.PersonMerged: lambda r, p, _at, _n: r if p.keeps else replace(r, alias=p.other),
    events.PersonUnmerged: lambda r, _p, _at, _n: replace(r, alias=""),
}


def step(record: PersonRecord, payload: events.Payload, at: Instant, n: int) -> PersonRecord:
    """Fold one event into a record; an event that says nothing to the gate changes nothing."""
    apply = _STEPS.get(type(payload))
    return apply(record, payload, at, n) if apply else record


def refold(chain: Iterable[Recorded]) -> PersonRecord:
    """Fold a whole chain, as after a restore or an un-merge."""
    record = PersonRecord()
    for recorded in chain:
        event = recorded.event
        record = step(record, event.payload, event.at, event.n)
    return record


def project(tx: Transaction, prepared: Prepared) -> None:
    """Keep the gate facts in step with the chain, in the commit that books the event."""
    if type(prepared.payload) in _STEPS:
        before = tx.record(prepared.person)
        after = step(before, prepared.payload, prepared.at, prepared.n)
        if after is not before:
            tx.put_record(prepared.person, after)


PROJECTIONS = {
    tag: (project,)
    for tag in (
        "consent.",
        "person.created",
        "person.facts",
        "relation.recorded",
        "message.handed",
        "message.unknown",
        "processing.restricted",
        "person.erasing",
        "person.merged",
        "person.unmerged",
    )
}
