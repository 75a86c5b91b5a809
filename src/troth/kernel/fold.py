"""From a person's events to their gate facts: one step per event, in any order of arrival.

A merge folds the other chain in as it stood then; what is recorded in an alias's chain afterwards
still narrows whom it belongs to, and never widens. An undone merge is folded as if it never was.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from troth.kernel import consent, events, merging, wishes
from troth.kernel.house import newest_purposes
from troth.kernel.scribe import Recorded
from troth.ports import Transaction
from troth.terms import (
    DENYING,
    GRANTING,
    SECOND,
    Act,
    ConsentStatus,
    Instant,
    PersonId,
    PersonRecord,
    Prepared,
    Published,
    Purpose,
    PurposeKind,
    Relation,
    from_zulu,
)


def consent_act(payload: events.ConsentAct, at: Instant, n: int) -> Act:
    """Turn a recorded act into what the fold compares.

    A yes by a clock slightly ahead of ours counts from its recording: it must not outlive the no
    that comes after it. One further ahead keeps its time, and is refused for it.
    """
    told = events.act_time(payload.occurred_at, at)
    ahead = payload.status in GRANTING and at < told <= at + consent.FUTURE_TOLERANCE
    return Act(
        status=payload.status,
        at=at if ahead else told,
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
    if payload.level is not None and _chooses_level(payload):
        record = consent.apply_level(record, payload.level, act)
    return record


def _chooses_level(payload: events.ConsentAct) -> bool:
    """A level is chosen under one purpose, by a yes or a no; by anything else only level 0.

    An agent's yes is none (see `consent.proven`), so it chooses no level either.
    """
    agrees = payload.status in GRANTING and payload.given_by != consent.AGENT
    decides = agrees or payload.status in DENYING
    return payload.purpose == consent.PERSONALISE and (decides or payload.level == 0)


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
    record: PersonRecord, payload: events.MessageOutcome, at: Instant, n: int
) -> PersonRecord:
    """Count what left, and what may have left, against the frequency cap.

    Two hand-overs of one second stay two: their numbers tell them apart below the second.
    """
    if payload.channel is None or payload.state not in ("handed", "unknown"):
        return record
    return consent.apply_send(record, payload.channel, Instant(at // SECOND * SECOND + n % SECOND))


_STEPS: dict[type[Any], Callable[[PersonRecord, Any, Instant, int], PersonRecord]] = {
    events.ConsentAct: _consent,
    events.FactsRecorded: _facts,
    events.PersonCreated: lambda r, p, _at, _n: replace(r, subject=p.subject),
    events.RelationRecorded: _relation,
    events.MessageOutcome: _outcome,
    events.ProcessingRestricted: lambda r, p, _at, _n: replace(r, restricted=p.restricted),
    events.PreferenceSet: lambda r, p, _at, _n: replace(r, wishes=wishes.told(p)),
    events.RetentionChosen: lambda r, p, _at, _n: wishes.kept(r, p),
    events.PersonErasing: lambda r, _p, _at, _n: replace(r, erasing=True),
    events.PersonMerged: lambda r, p, _at, _n: r if p.keeps else replace(r, alias=p.other),
    events.PersonUnmerged: lambda r, _p, _at, _n: replace(r, alias=""),
}


TYPES: Final = frozenset(tag for tag, (cls, _) in events.FAMILIES.items() if cls in _STEPS)
"""Types of the events that say something to the gate: a fold needs no others."""


def step(record: PersonRecord, payload: events.Payload, at: Instant, n: int) -> PersonRecord:
    """Fold one event into a record; an event that says nothing to the gate changes nothing."""
    apply = _STEPS.get(type(payload))
    return apply(record, payload, at, n) if apply else record


Chains = Mapping[str, Sequence[Recorded]]
"""Id in hex → the whole chain of a person who was ever merged into the one being folded."""


def refold(
    chain: Sequence[Recorded], others: Chains | None = None, drafts: Sequence[Published] = ()
) -> PersonRecord:
    """Fold a whole chain, as after a restore or an un-merge.

    Args:
        chain: The person's events, oldest first.
        others: Chains of everybody merged into this person, at any remove.
        drafts: Every published purpose, oldest first; merges close uses by their names.

    Raises:
        KeyError: A merge names a chain that `others` lacks.
    """
    record = PersonRecord()
    late: list[Recorded] = []
    undone = _undone(chain)
    for recorded in chain:
        event, said = recorded.event, recorded.event.payload
        record = _caught_up(record, late, recorded.seq)
        if isinstance(said, (events.PersonMerged, events.PersonUnmerged)):
            if event.n in undone or isinstance(said, events.PersonUnmerged):
                continue
            if said.keeps:
                before, after = _cut(chain, recorded, (others or {})[said.other])
                theirs = refold(before, others, drafts)
                purposes = newest_purposes(drafts, event.at)
                record = merged(record, theirs, said, merge_act(event.at, event.n), purposes)
                late += after
                continue
        record = step(record, said, event.at, event.n)
    return _caught_up(record, late, -1)


def _caught_up(record: PersonRecord, late: list[Recorded], before: int) -> PersonRecord:
    """Let what was recorded of aliases up to a leaf bind; -1: all that is left, in that order."""
    late.sort(key=lambda recorded: recorded.seq)
    while late and (before < 0 or late[0].seq < before):
        event = late.pop(0).event
        record = _bound(record, event.payload, event.at, event.n)
    return record


def _undone(chain: Sequence[Recorded]) -> frozenset[int]:
    """Numbers of the merges that a later event of the chain undoes."""
    open_merges: dict[str, int] = {}
    gone = set()
    for recorded in chain:
        said = recorded.event.payload
        if isinstance(said, events.PersonMerged):
            open_merges[said.other] = recorded.event.n
        elif isinstance(said, events.PersonUnmerged) and said.other in open_merges:
            gone.add(open_merges.pop(said.other))
    return frozenset(gone)


def _cut(
    chain: Sequence[Recorded], merge: Recorded, theirs: Sequence[Recorded]
) -> tuple[Sequence[Recorded], Sequence[Recorded]]:
    """Cut the alias's chain where it was merged: as many merges with this chain in as here."""
    me, other = merge.event.person.hex(), getattr(merge.event.payload, "other", "")
    upto = [r for r in chain if _merges_with(r, other) and r.event.n <= merge.event.n]
    places = [i for i, r in enumerate(theirs) if _merges_with(r, me)]
    at = places[len(upto) - 1] if len(places) >= len(upto) else len(theirs)
    return theirs[:at], theirs[at + 1 :]


def _merges_with(recorded: Recorded, other: str) -> bool:
    said = recorded.event.payload
    return isinstance(said, events.PersonMerged) and said.other == other


def merge_act(at: Instant, n: int) -> Act:
    """Return the place and time of a merge, as `merging.merge` compares it."""
    return Act(ConsentStatus.WITHDRAWN, at, at, n, by="staff")


def merged(
    mine: PersonRecord,
    theirs: PersonRecord,
    said: events.PersonMerged,
    act: Act,
    purposes: Mapping[str, Purpose],
) -> PersonRecord:
    """Fold another profile in: the most restrictive of both, its suppressions as denials here."""
    one = merging.merge(mine, theirs, purposes=purposes, act=act)
    for block in said.blocks or ():
        status = _BLOCKED_AS.get(block["reason"], ConsentStatus.OBJECTED)
        denial = replace(act, status=status, categories=(), until=0)
        for name, channels in _blocked(block, purposes):
            one = consent.apply_consent(
                one, kind=status, purpose=name, channels=channels, act=denial
            )
    return one


_BLOCKED_AS = {"unsubscribe": ConsentStatus.WITHDRAWN}
_ABOUT_MARKETING = (PurposeKind.MARKETING, PurposeKind.CONSENT_REQUEST)


def _blocked(
    block: Mapping[str, str], purposes: Mapping[str, Purpose]
) -> Iterable[tuple[str, tuple[str, ...]]]:
    scope, value = block.get("scope", "all"), block.get("value", "")
    if scope == "purpose":
        return [(value, (consent.EVERY,))]
    channels = (value,) if scope == "channel" and value in consent.CHANNELS else (consent.EVERY,)
    return [(p.name, channels) for p in purposes.values() if p.kind in _ABOUT_MARKETING]


def narrows(payload: events.Payload) -> bool:
    """Tell whether an event of an alias binds whom the alias belongs to: it never widens."""
    if isinstance(payload, events.ConsentAct):
        return payload.status in DENYING
    if isinstance(payload, events.ProcessingRestricted):
        return payload.restricted
    if isinstance(payload, events.RetentionChosen):
        return payload.months is not None
    return isinstance(payload, (events.MessageOutcome, events.PersonErasing, events.PreferenceSet))


def _bound(record: PersonRecord, payload: events.Payload, at: Instant, n: int) -> PersonRecord:
    """Fold an alias's event in as far as it narrows: a higher level chosen there is left out."""
    if not narrows(payload):
        return record
    if isinstance(payload, events.ConsentAct) and payload.level is not None:
        rises = 0 <= record.level < payload.level
        payload = replace(payload, level=None) if rises else payload
    if isinstance(payload, events.PreferenceSet):
        return wishes.narrowed(record, payload)
    if isinstance(payload, events.RetentionChosen):
        chosen = wishes.kept(PersonRecord(), payload).keeps
        return replace(record, keeps=wishes.shorter(record.keeps, chosen))
    return step(record, payload, at, n)


def project(tx: Transaction, prepared: Prepared) -> None:
    """Keep the gate facts in step with the chain, in the commit that books the event."""
    said = prepared.payload
    before = tx.record(prepared.person)
    if isinstance(said, events.PersonMerged) and said.keeps:
        theirs = tx.record(PersonId(bytes.fromhex(said.other)))
        purposes = newest_purposes(tx.published_all("purpose:"), prepared.at)
        act = merge_act(prepared.at, prepared.n)
        after = merged(before, theirs, said, act, purposes)
    else:
        after = step(before, said, prepared.at, prepared.n)
    if after is not before:
        tx.put_record(prepared.person, after)
    if before.alias and narrows(said):
        _bind_keeper(tx, before.alias, prepared)


def _bind_keeper(tx: Transaction, alias: str, prepared: Prepared) -> None:
    """Let what narrows an alias narrow everybody up to the id that stayed."""
    while alias:
        keeper = PersonId(bytes.fromhex(alias))
        record = tx.record(keeper)
        tx.put_record(keeper, _bound(record, prepared.payload, prepared.at, prepared.n))
        alias = record.alias


PROJECTIONS = dict.fromkeys(
    (
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
        "preference.",
        "retention.",
    ),
    (project,),
)
