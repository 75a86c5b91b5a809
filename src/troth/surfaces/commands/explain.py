"""Why a person may or may not be reached: rule, law, source, and what would change the answer."""

from dataclasses import dataclass, replace
from typing import Any

from troth import app
from troth.capabilities.access.reading import Reading
from troth.errors import InvalidInput, NotFound
from troth.kernel import consent, events, gate, reasons
from troth.kernel.facts import House
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call, book_reading, look_for, seek
from troth.surfaces.words import catalogue, spoken
from troth.terms import (
    Action,
    Actor,
    Channel,
    Claim,
    Instant,
    PersonId,
    PurposeKind,
    Reason,
    Refusal,
    Role,
    UseRequest,
    zulu,
)

_BASIS = {
    "consent": "they agreed to it",
    "customer_exception": "they bought from us and could say no, then and since",
    "implied_consent": "they dealt with us lately, which the law takes as agreement for a time",
    "ask_once": "they may be asked once",
    "": "this purpose needs no agreement",
}
_FIELDS = ("explanation",)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a person."""

    purpose: str
    channel: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Decided:
    answer: gate.Permit | Refusal
    house: House
    claimed: bool
    level: int
    at: Instant


def explain(call: Call, person: str, question: Question) -> Answer:
    """Decide as the gate would right now and put the answer into words; recorded first."""
    if question.channel not in {channel.value for channel in Channel}:
        raise InvalidInput("there is no such channel", f"use one of {', '.join(Channel)}")
    with call.opened() as ws:
        zone = ws.settings.zone
        if (refused := _claimed(call, ws, question)) is not None:
            return _no(_closed(ws, refused), refused, zone)
        wanted = _wanted(call, ws, question)
        reading = seek(call, ws, person, wanted)
        if isinstance(reading, Refusal):
            return _no(_closed(ws, reading), reading, zone)
        if (no := book_reading(ws, reading)) is not None:
            return _no(_closed(ws, no), no, zone)
        decided = _decide(ws, reading.person, question, reading.actor)
        ws.sign()
    if isinstance(decided.answer, Refusal):
        return _no(decided, decided.answer, zone)
    return _yes(decided, decided.answer, zone)


def _claimed(call: Call, ws: app.Workspace, question: Question) -> Refusal | None:
    """Judge the use asked about by its claim alone, before anybody is searched for."""
    if call.who.partition(":")[0] == Role.PERSON:
        return None
    actor, desk = call.actor(ws), ws.desk
    with desk.store.look() as view:
        asked = UseRequest(actor, None, question.purpose, Action.SEND, Channel(question.channel),
                           frozenset(), view.now, ws.settings.brand)  # fmt: skip
        claim = desk.claim(asked, desk.house(view))
    if not isinstance(claim, Refusal):
        return None
    why = reasons.told_reasons(claim.reasons)
    desk.record_house(events.HouseRefused(plain_word(question.purpose), Action.SEND, why), actor)
    return claim


def _wanted(call: Call, ws: app.Workspace, question: Question) -> Reading:
    """Return the look an explanation is: a service to the person, unless marketing asks."""
    with ws.store.look() as view:
        held = ws.desk.house(view).purposes.get(question.purpose)
    asks = held is None or held.kind is PurposeKind.CONSENT_REQUEST
    markets = call.who.partition(":")[0] == Role.MARKETER and not asks
    purpose = question.purpose if markets else ""
    return replace(look_for(_FIELDS, question.reason), purpose=purpose)


def _closed(ws: app.Workspace, no: Refusal) -> _Decided:
    with ws.store.look() as view:
        return _Decided(no, ws.desk.house(view), claimed=False, level=-1, at=view.now)


def plain_word(purpose: str) -> str:
    """Name a purpose in an event only if it reads like one: what callers make up is not kept."""
    return purpose if purpose.isascii() and purpose.isidentifier() else "unknown"


def _decide(ws: app.Workspace, who: PersonId, question: Question, actor: Actor) -> _Decided:
    desk, channel = ws.desk, Channel(question.channel)

    def asking(at: Instant, categories: frozenset[str]) -> UseRequest:
        return UseRequest(
            actor,
            who,
            question.purpose,
            Action.SEND,
            channel,
            categories,
            at,
            ws.settings.brand,
            reason=question.reason,
        )

    with desk.store.look() as view:
        house, now = desk.house(view), view.now
        plain = asking(now, frozenset())
        claim = desk.claim(plain, house)
        if isinstance(claim, Refusal):
            return _Decided(claim, house, claimed=False, level=-1, at=now)
        known = view.gather([who], channel)[0]
        facts = desk.facts(view, plain, claim, known)
        answer = gate.decide(asking(now, gate.allowed_categories(plain, facts)), facts)
        ground = isinstance(answer, gate.Permit)
        level = consent.level(known.record, house, now, ground=ground)
    return _Decided(answer, house, claimed=isinstance(claim, Claim), level=level, at=now)


def _yes(decided: _Decided, permit: gate.Permit, zone: str) -> Answer:
    data = {
        "agreed": True,
        "at": zulu(decided.at),
        "basis": permit.basis,
        "categories": sorted(permit.categories),
        "level": decided.level,
        "until": zulu(permit.until),
        "obligations": list(permit.obligations),
        "waiver": permit.waiver,
        "ruleset": permit.ruleset,
    }
    used = ", ".join(sorted(permit.categories)) or "nothing but the address"
    lines = [
        f"Yes: {_BASIS.get(permit.basis, permit.basis)}.",
        f"  Level {decided.level}; may use {used}.",
        f"  This answer holds until {spoken(permit.until, zone)}; it is asked again at each use.",
    ]
    if permit.waiver:
        lines.append(f"  It rests on the officer's decision {permit.waiver}.")
    return Answer(data, lines)


def _no(decided: _Decided, refusal: Refusal, zone: str) -> Answer:
    told = [_told(reason, decided) for reason in refusal.reasons]
    data = {"agreed": False, "at": zulu(decided.at), "reasons": told}
    lines = [f"No, on {spoken(decided.at, zone)}:"]
    for code in dict.fromkeys(each["code"] for each in told):
        alike = [each for each in told if each["code"] == code]
        lines.append(f"  {alike[0]['title']}. {alike[0]['why']}")
        lines += [f"      Rule {_cited(each)}" for each in alike]
        lines.append(f"      What would change it: {alike[0]['change']}")
    if any(each["code"] == "unknown_purpose" for each in told):
        lines.append(f"      Published are: {', '.join(sorted(decided.house.purposes))}")
    if any(each["doubtful"] for each in told):
        lines.append(f"  {catalogue().doubt}")
    return Answer(data, lines, 1)


def _told(reason: Reason, decided: _Decided) -> dict[str, Any]:
    words = catalogue()
    code, remedy = reasons.explain(reason)
    said = words.reason(code)
    return {
        "code": code,
        "title": said.title,
        "why": said.why,
        "change": said.change,
        "remedy": words.remedy(remedy),
        "doubtful": words.is_doubtful(remedy),
        "rule": reason.rule,
        **_rule(reason.rule, decided),
    }


def _rule(name: str, decided: _Decided) -> dict[str, Any]:
    """Return law and source of a rule; rules of the house itself have neither."""
    try:
        rule = decided.house.ruleset.rule(name, decided.at)
    except NotFound:
        return {"law": "", "rule_title": "", "source": "", "checked_on": "", "needs_check": False}
    return {
        "law": rule.law,
        "rule_title": rule.title,
        "source": rule.source,
        "checked_on": rule.checked_on.isoformat(),
        "needs_check": rule.needs_check,
    }


def _cited(told: dict[str, Any]) -> str:
    if not told["law"]:
        return f"{told['rule']}, of this house."
    doubt = ", needs counsel" if told["needs_check"] else ""
    return (
        f"{told['rule']} ({told['law']}): {told['rule_title']}. "
        f"Source: {told['source']}; checked {told['checked_on']}{doubt}."
    )
