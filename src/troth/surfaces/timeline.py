"""A person's events in words: a sentence each, its particulars, and what kind of thing it was."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.kernel import events
from troth.kernel.facts import House
from troth.surfaces import words
from troth.terms import DAY, from_zulu

GROUPS: Final[Mapping[str, str]] = {
    "choice": "What you were told and what you chose",
    "message": "Messages",
    "decision": "Decisions about using your data",
    "reading": "Who looked",
    "held": "What was taken in",
    "house": "Care and deletion",
}
"""Group → its heading; in the order a reader wants them."""
BASES = {
    "consent": "your own agreement",
    "customer_exception": "you are a customer who was offered the chance to say no",
    "implied_consent": "your recent dealings with us, which the law takes as agreement for a time",
    "ask_once": "the one request for agreement that the law allows",
}
STATES = {
    "given": "You agreed",
    "reaffirmed": "You agreed again",
    "refused": "You said no",
    "withdrawn": "You took your agreement back",
    "objected": "You objected",
    "opted_out": "You opted out",
    "requested": "You were asked",
    "request_deferred": "You put off an answer",
    "revoked": "We ended your agreement",
    "expired": "Your agreement ended by itself",
    "invalidated": "Your agreement was declared void",
    "imported": "A list said you agreed, without proof; it does not count",
    "superseded": "A newer answer took the place of this one",
    "unknown": "An answer was noted that says nothing",
}
_BY = {
    "competent_person": "a parent or guardian",
    "authorised_agent": "somebody you authorised",
    "staff": "a member of staff for you",
    "signal": "a signal of your browser",
    "import": "an imported list",
}
_ENDS = {
    "handed": "A message was handed to the mail system",
    "failed": "A message could not be handed over",
    "unknown": "It is unknown whether a message was handed over; it is never sent again",
    "withheld": "A message that was ready was held back",
    "delivered": "A message reached the mailbox",
    "bounced": "A message came back",
    "complained": "You reported a message as unwanted",
    "replied": "You answered a message",
    "opened": "You opened a message, and had agreed that this may be noticed",
    "clicked": "You followed a link, and had agreed that this may be noticed",
}
_ACTORS = {
    "person": "you",
    "system": "the system",
    **{role: f"{name.lower()} of the company" for role, name in words.ROLES.items()},
}


@dataclass(frozen=True, slots=True)
class Told:
    """One event in words; `particulars` are short pairs of label and text."""

    group: str
    sentence: str
    particulars: tuple[tuple[str, str], ...] = ()


def tell(event: events.Event, house: House) -> Told:
    """Say what an event was. Every family has words; a newer one is shown by its tag."""
    make = _SAID.get(type(event.payload))
    if make is None:
        return Told("house", event.type.replace(".", " ").capitalize())
    return make(event.payload, house)


def by_whom(event: events.Event) -> str:
    """Say who did it: a role, never a name."""
    return _ACTORS.get(event.actor.partition("/")[0], "the system")


def titled(house: House, purpose: str | None) -> str:
    """Return a purpose's title as customers know it."""
    found = house.purposes.get(purpose or "")
    return found.title if found else (purpose or "").replace("_", " ")


def _pairs(*given: tuple[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((label, str(text)) for label, text in given if text)


def _why(reasons: Iterable[Mapping[str, str]] | None) -> str:
    said = [f"{words.title(r['code'])} ({r['rule']})" for r in reasons or ()]
    return "; ".join(dict.fromkeys(said))


def _ways(channels: Iterable[str]) -> str:
    named = [words.CHANNELS.get(c, c) for c in channels if c != "*"]
    return words.joined(named) or "every channel"


def _act(act: events.ConsentAct, house: House) -> Told:
    by = _BY.get(act.given_by, "")
    return Told(
        "choice",
        f"{STATES.get(act.status, act.status)}: {titled(house, act.purpose)}",
        _pairs(
            ("Channels", _ways(act.channels)),
            ("Notice shown", act.notice),
            ("How", (act.method or "").replace("_", " ")),
            ("Proof", act.proof),
            ("Acted", by),
            ("Level", act.level if act.level is not None else ""),
            ("Covers", words.joined(words.categories(act.categories or ()))),
            ("Missing for proof", words.joined(act.missing or ())),
        ),
    )


def _booked(told: events.MessageBooked, house: House) -> Told:
    return Told(
        "message",
        f"A message was decided on, written and signed: {titled(house, told.purpose)}",
        _pairs(
            ("Allowed by", BASES.get(told.basis, told.basis.replace("_", " "))),
            ("Channel", words.CHANNELS.get(told.channel, told.channel)),
            ("Campaign", told.campaign),
            ("How personal", f"level {told.level}"),
            ("Data used", words.joined(words.categories(told.categories)) or "only the address"),
            ("Rules", told.ruleset[:16]),
            ("Message", told.message_id),
        ),
    )


def _outcome(told: events.MessageOutcome, _house: House) -> Told:
    sentence = _ENDS.get(told.state, told.state)
    return Told(
        "message",
        sentence,
        _pairs(
            ("Why", _why(told.reasons)),
            ("Answer of the mail system", told.reply or ""),
            ("Kind", told.kind),
            ("Message", told.ref),
        ),
    )


def _refused(told: events.UseRefused, house: House) -> Told:
    return Told(
        "decision",
        f"A use was asked for and refused: {titled(house, told.purpose)}",
        _pairs(
            ("Why not", _why(told.reasons)),
            ("Asked for", told.action),
            ("Campaign", told.campaign),
        ),
    )


def _permitted(told: events.UsePermitted, house: House) -> Told:
    return Told(
        "decision",
        f"A use was asked for and agreed: {titled(house, told.purpose)}",
        _pairs(
            ("Asked for", told.action),
            ("Allowed by", BASES.get(told.basis, "the purpose itself")),
            ("Data", words.joined(words.categories(told.categories))),
        ),
    )


def _read(told: events.DataRead, house: House) -> Told:
    return Told(
        "reading",
        f"Your data was looked at: {titled(house, told.purpose)}",
        _pairs(
            ("What", words.joined(words.categories(told.fields))),
            ("Reason given", told.reason),
        ),
    )


def _relation(told: events.RelationRecorded, _house: House) -> Told:
    return Told(
        "held",
        f"We noted a {told.kind}",
        _pairs(
            ("Of", told.goods),
            ("Chance to say no offered", "yes" if told.objection_offered else "no"),
            ("Contact details came from it", "yes" if told.collected else "no"),
            ("Source", told.source),
        ),
    )


def _behaviour(told: events.BehaviourRecorded, _house: House) -> Told:
    first, last = (text[:10] for text in (told.first, told.last))
    return Told(
        "held",
        f"{told.count:,} entries of your activity were taken in",
        _pairs(
            ("Kinds", words.joined(told.kinds)),
            ("From", f"{first} to {last}"),
            ("Source", told.source),
        ),
    )


def _suppressed(told: events.SuppressionAdded, _house: House) -> Told:
    return Told(
        "choice",
        "Your address was put on the list we do not write to",
        _pairs(
            ("Why", told.reason.replace("_", " ")),
            ("For", told.value or told.scope),
            ("Source", told.source.replace("_", " ")),
        ),
    )


def _lifted(told: events.SuppressionLifted, _house: House) -> Told:
    return Told(
        "choice",
        "Your address was taken off the list we do not write to, because you agreed anew",
        _pairs(("For", told.value or told.scope)),
    )


def _plain(group: str, sentence: str, *names: str) -> Callable[[Any, House], Told]:
    def make(payload: Any, _house: House) -> Told:  # noqa: ANN401
        found = [(name.replace("_", " ").capitalize(), getattr(payload, name)) for name in names]
        return Told(group, sentence, _pairs(*found))

    return make


def _merged(told: events.PersonMerged, _house: House) -> Told:
    return Told("house", "Two records of you became one", _pairs(("Why", told.reason)))


def _restricted(told: events.ProcessingRestricted, _house: House) -> Told:
    sentence = "Use of your data was stopped" if told.restricted else "Use of your data resumed"
    return Told("house", sentence, _pairs(("Why", told.reason)))


def _retained(told: events.RetentionApplied, _house: House) -> Told:
    return Told(
        "house",
        "Data whose time was over was deleted",
        _pairs(("Rule", told.rule), ("How much", len(told.fields) + len(told.scopes))),
    )


def _linked(told: events.PersonLinked, _house: House) -> Told:
    may = "no longer may act" if told.ended else "may act"
    return Told("house", f"Somebody {may} for you", _pairs(("As", told.relation)))


_SAID: Mapping[type, Callable[[Any, House], Told]] = {
    events.PersonCreated: _plain("held", "We began to hold data about you", "source"),
    events.FactsRecorded: _plain(
        "held", "We noted facts that rules depend on",
        "residence", "zone", "age", "language", "source",
    ),
    events.ContactAdded: _plain("held", "We took down a way to reach you", "channel", "source"),
    events.ContactEnded: _plain("held", "We let go of a way to reach you", "channel", "reason"),
    events.ValuesSealed: _plain("held", "We sealed something you told us", "source"),
    events.RelationRecorded: _relation,
    events.ConsentAct: _act,
    events.NoticeServed: _plain("choice", "A notice was shown to you", "notice", "surface"),
    events.BehaviourRecorded: _behaviour,
    events.SuppressionAdded: _suppressed,
    events.SuppressionLifted: _lifted,
    events.UseRefused: _refused,
    events.UsePermitted: _permitted,
    events.MessageBooked: _booked,
    events.MessageOutcome: _outcome,
    events.DataRead: _read,
    events.PersonMerged: _merged,
    events.PersonUnmerged: _plain("house", "Two records that were wrongly one are two again",
                                  "reason"),
    events.PersonLinked: _linked,
    events.ProcessingRestricted: _restricted,
    events.PersonErasing: _plain("house", "Erasure began", "request"),
    events.RetentionApplied: _retained,
}  # fmt: skip


def late_by(event: events.Event) -> int:
    """Return how many whole days after it happened an event was recorded; 0 at once."""
    told = getattr(event.payload, "occurred_at", None)
    return (event.at - from_zulu(told)) // DAY if told else 0
