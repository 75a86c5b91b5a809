"""A person's events in words: a sentence each, its particulars, and what kind of thing it was.

Each text is English, and can be said in another language: see `surfaces.said`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from troth.kernel import events
from troth.kernel.facts import House
from troth.surfaces import timeline_looks, timeline_own, words
from troth.surfaces.said import N_, Listed, Said, counted
from troth.surfaces.timeline_words import (
    ACTIONS,
    ACTORS,
    BASES,
    BY,
    ENDS,
    GROUPS,
    KINDS_OF_LINK,
    LABELS,
    RELATIONS,
    SHOWN,
    STATES,
    Told,
    pairs,
    said_of,
)
from troth.terms import DAY, from_zulu

__all__ = [
    "GROUPS",
    "STATES",
    "Told",
    "by_whom",
    "late_by",
    "tell",
    "titled",
]


_ITSELF = N_("the purpose itself")


def tell(event: events.Event, house: House) -> Told:
    """Say what an event was. Every family has words; a newer one is shown by its tag."""
    make = _SAID.get(type(event.payload))
    if make is None:
        return Told("house", Said(event.type.replace(".", " ").capitalize()))
    if isinstance(event.payload, events.DataRead) and event.actor.startswith("person/"):
        own = event.payload.reason in (None, "own data")
        said = (
            Said("You looked at your own data")
            if own
            else Said("Somebody who acts for you looked at your data")
        )
        return replace(make(event.payload, house), sentence=said)
    return make(event.payload, house)


def by_whom(event: events.Event) -> Said:
    """Say who did it: a role, never a name."""
    return ACTORS.get(event.actor.partition("/")[0], ACTORS["system"])


def titled(house: House, purpose: str | None) -> Said:
    """Return a purpose's title as customers know it."""
    found = house.purposes.get(purpose or "")
    return Said(found.title if found else (purpose or "").replace("_", " "))


def _why(reasons: Iterable[Mapping[str, str]] | None) -> str:
    said: list[Said] = []
    for r in reasons or ():
        each = Said("%(why)s (%(rule)s)", {"why": Said(words.title(r["code"])), "rule": r["rule"]})
        if each not in said:
            said.append(each)
    out = said[0] if said else Said("")
    for each in said[1:]:
        out = Said("%(first)s; %(next)s", {"first": out, "next": each})
    return out


def _ways(channels: Iterable[str]) -> Said:
    named = [Said(words.CHANNELS.get(c, c)) for c in channels if c != "*"]
    return Listed(named) if named else Said("every channel")


def _data(names: Iterable[str]) -> Listed:
    return Listed(Said(SHOWN.get(name, name)) for name in words.categories(names))


def _act(act: events.ConsentAct, house: House) -> Told:
    return Told(
        "choice",
        Said(
            "%(what)s: %(purpose)s",
            {"what": said_of(STATES, act.status), "purpose": titled(house, act.purpose)},
        ),
        pairs(
            (N_("Channels"), _ways(act.channels)),
            (N_("Notice shown"), act.notice),
            (N_("How"), said_of({}, act.method)),
            (N_("Proof"), act.proof),
            (N_("Acted"), Said(BY.get(act.given_by, ""))),
            (N_("Level"), act.level if act.level is not None else ""),
            (N_("Covers"), _data(act.categories or ())),
            (N_("Missing for proof"), Listed(Said(each) for each in act.missing or ())),
        ),
    )


def _booked(told: events.MessageBooked, house: House) -> Told:
    return Told(
        "message",
        Said(
            "A message was decided on, written and signed: %(purpose)s",
            {"purpose": titled(house, told.purpose)},
        ),
        pairs(
            (N_("Allowed by"), said_of(BASES, told.basis)),
            (N_("Channel"), said_of(words.CHANNELS, told.channel)),
            (N_("Campaign"), told.campaign),
            (N_("How personal"), Said("level %(level)s", {"level": told.level})),
            (N_("Data used"), _data(told.categories) or Said("only the address")),
            (N_("Rules"), told.ruleset[:16]),
            (N_("Message"), told.message_id),
        ),
    )


def _outcome(told: events.MessageOutcome, _house: House) -> Told:
    return Told(
        "message",
        said_of(ENDS, told.state),
        pairs(
            (N_("Why"), _why(told.reasons)),
            (N_("Answer of the mail system"), told.reply or ""),
            (N_("Kind"), said_of({}, told.kind)),
            (N_("Message"), told.ref),
        ),
    )


def _refused(told: events.UseRefused, house: House) -> Told:
    return Told(
        "decision",
        Said(
            "A use was asked for and refused: %(purpose)s",
            {"purpose": titled(house, told.purpose)},
        ),
        pairs(
            (N_("Why not"), _why(told.reasons)),
            (N_("Asked for"), said_of(ACTIONS, told.action)),
            (N_("Campaign"), told.campaign),
        ),
    )


def _permitted(told: events.UsePermitted, house: House) -> Told:
    return Told(
        "decision",
        Said(
            "A use was asked for and agreed: %(purpose)s",
            {"purpose": titled(house, told.purpose)},
        ),
        pairs(
            (N_("Asked for"), said_of(ACTIONS, told.action)),
            (N_("Allowed by"), Said(BASES.get(told.basis, _ITSELF))),
            (N_("Data"), _data(told.categories)),
            (N_("Reason given"), timeline_looks.why(told.reason or "")),
        ),
    )


def _read(told: events.DataRead, house: House) -> Told:
    return timeline_looks.read(told, titled(house, told.purpose))


def _cased(told: events.CaseActed, _house: House) -> Told:
    return timeline_looks.cased(told)


def _relation(told: events.RelationRecorded, _house: House) -> Told:
    sentence = RELATIONS.get(told.kind)
    return Told(
        "held",
        Said(sentence) if sentence else Said("We noted: %(kind)s", {"kind": Said(told.kind)}),
        pairs(
            (N_("Of"), told.goods),
            (N_("Chance to say no offered"), _yes(answer=told.objection_offered)),
            (N_("Contact details came from it"), _yes(answer=told.collected)),
            (N_("Source"), told.source),
        ),
    )


def _yes(*, answer: bool) -> Said:
    return Said("yes") if answer else Said("no")


def _behaviour(told: events.BehaviourRecorded, _house: House) -> Told:
    first, last = (text[:10] for text in (told.first, told.last))
    return Told(
        "held",
        counted(
            "%(n)s entry of your activity was taken in",
            "%(n)s entries of your activity were taken in",
            told.count,
        ),
        pairs(
            (N_("Kinds"), Listed(Said(kind) for kind in told.kinds)),
            (N_("From"), Said("%(first)s to %(last)s", {"first": first, "last": last})),
            (N_("Source"), told.source),
        ),
    )


def _suppressed(told: events.SuppressionAdded, house: House) -> Told:
    return Told(
        "choice",
        Said("Your address was put on the list we do not write to"),
        pairs(
            (N_("Why"), said_of({}, told.reason)),
            (N_("For"), _scope(told, house)),
            (N_("Source"), said_of({}, told.source)),
        ),
    )


def _lifted(told: events.SuppressionLifted, house: House) -> Told:
    return Told(
        "choice",
        Said("Your address was taken off the list we do not write to, because you agreed anew"),
        pairs((N_("For"), _scope(told, house))),
    )


def _scope(told: events.SuppressionAdded | events.SuppressionLifted, house: House) -> Said:
    if told.scope == "purpose" and told.value in house.purposes:
        return titled(house, told.value)
    return Said(told.value or told.scope)


def _plainly(name: str, value: object) -> object:
    if name == "channel" and isinstance(value, str):
        return said_of(words.CHANNELS, value)
    return value


def _plain(group: str, sentence: str, *names: str) -> Callable[[Any, House], Told]:
    def make(payload: Any, _house: House) -> Told:  # noqa: ANN401
        found = [(LABELS[name], _plainly(name, getattr(payload, name))) for name in names]
        return Told(group, Said(sentence), pairs(*found))

    return make


def _merged(told: events.PersonMerged, _house: House) -> Told:
    sentence = Said("Two records of you became one")
    return Told("house", sentence, pairs((N_("Why"), told.reason)))


def _restricted(told: events.ProcessingRestricted, _house: House) -> Told:
    sentence = (
        Said("Use of your data was stopped")
        if told.restricted
        else Said("Use of your data resumed")
    )
    return Told("house", sentence, pairs((N_("Why"), told.reason)))


def _retained(told: events.RetentionApplied, _house: House) -> Told:
    return Told(
        "house",
        Said("Data whose time was over was deleted"),
        pairs((N_("Rule"), told.rule), (N_("How much"), len(told.fields) + len(told.scopes))),
    )


def _linked(told: events.PersonLinked, _house: House) -> Told:
    sentence = (
        Said("Somebody no longer may act for you")
        if told.ended
        else Said("Somebody may act for you")
    )
    until = told.until[:10] if told.until else ""
    as_what = said_of(KINDS_OF_LINK, told.relation)
    return Told("house", sentence, pairs((N_("As"), as_what), (N_("Until"), until)))


_SAID: Mapping[type, Callable[[Any, House], Told]] = {
    events.PersonCreated: _plain("held", N_("We began to hold data about you"), "source"),
    events.FactsRecorded: _plain(
        "held", N_("We noted facts that rules depend on"),
        "residence", "zone", "age", "language", "source",
    ),
    events.CaseActed: _plain("house", N_("We opened or closed a case about you"), "case",
                             "source"),
    events.ContactAdded: _plain("held", N_("We took down a way to reach you"), "channel",
                                "source"),
    events.ContactEnded: _plain("held", N_("We let go of a way to reach you"), "channel",
                                "reason"),
    events.ValuesSealed: _plain("held", N_("We sealed something you told us"), "source"),
    events.RelationRecorded: _relation,
    events.ConsentAct: _act,
    events.NoticeServed: _plain("choice", N_("A notice was shown to you"), "notice", "surface"),
    events.BehaviourRecorded: _behaviour,
    events.SuppressionAdded: _suppressed,
    events.SuppressionLifted: _lifted,
    events.UseRefused: _refused,
    events.UsePermitted: _permitted,
    events.MessageBooked: _booked,
    events.MessageOutcome: _outcome,
    events.DataRead: _read,
    events.CaseActed: _cased,
    events.PersonMerged: _merged,
    events.PersonUnmerged: _plain("house", N_("Two records that were wrongly one are two again"),
                                  "reason"),
    events.PersonLinked: _linked,
    events.ProcessingRestricted: _restricted,
    events.PersonErasing: _plain("house", N_("Erasure began"), "request"),
    events.RetentionApplied: _retained,
    events.PreferenceSet: timeline_own.wished,
    events.RetentionChosen: timeline_own.keeps,
    events.BehaviourDeleted: timeline_own.forgot,
    events.ValueCorrected: timeline_own.corrected,
    events.RequestActed: timeline_own.requested,
    events.VisitBegan: timeline_own.came,
}  # fmt: skip


def late_by(event: events.Event) -> int:
    """Return how many whole days after it happened an event was recorded; 0 at once."""
    told = getattr(event.payload, "occurred_at", None)
    return (event.at - from_zulu(told)) // DAY if told else 0
