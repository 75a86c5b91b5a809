"""The examples rules carry, made into questions the gate and the calendars can be asked.

An example is about its own rule: it holds when that rule objects, or does not, as the example
says, whatever other rules think of the same case.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import troth
from troth.kernel import calendars as days
from troth.kernel import retention
from troth.kernel.facts import Facts, House
from troth.kernel.gate import decide
from troth.kernel.predicates import PREDICATES
from troth.kernel.regimes import Example, Rule, Ruleset, load
from troth.terms import (
    CLAIM_CODES,
    DAY,
    Act,
    Action,
    Actor,
    Block,
    Channel,
    Claim,
    ConsentStatus,
    ContactPoint,
    Gathered,
    Head,
    Instant,
    PersonRecord,
    Purpose,
    PurposeKind,
    Reason,
    Refusal,
    Registry,
    Relation,
    Role,
    Standing,
    UseRequest,
    instant,
    person_id,
)

DATA = Path(troth.__file__).parent / "data"
FILES = {path.name: path.read_bytes() for path in sorted((DATA / "regimes").glob("*.toml"))}
CALENDARS = {path.name: path.read_bytes() for path in sorted((DATA / "calendars").glob("*.toml"))}
RULES = load(FILES, CALENDARS, PREDICATES)

PERSON = person_id(bytes(range(16)))
BRAND = "marula"
GOODS = "kitchen"
CONTACT = frozenset(Channel)
PURPOSES = {
    "offers": Purpose(
        "offers", 1, PurposeKind.MARKETING, "Offers", CONTACT, frozenset({"purchases"}),
        goods=frozenset({GOODS}),
    ),
    "asking": Purpose("asking", 1, PurposeKind.CONSENT_REQUEST, "Asking", CONTACT, frozenset()),
    "personalise": Purpose(
        "personalise", 1, PurposeKind.PERSONALISE, "Yours", frozenset(), frozenset({"purchases"})
    ),
    "orders": Purpose("orders", 1, PurposeKind.SERVICE, "Orders", CONTACT, frozenset()),
    "books": Purpose("books", 1, PurposeKind.OPERATIONS, "Books", frozenset(), frozenset()),
}  # fmt: skip
NAMES = {purpose.kind: name for name, purpose in PURPOSES.items()}
HOMES = {
    "ZA": ("ZA", "Africa/Johannesburg"),
    "EU": ("DE", "Europe/Berlin"),
    "US": ("US-NY", "America/New_York"),
    "US-CA": ("US-CA", "America/Los_Angeles"),
    "CA": ("CA-ON", "America/Toronto"),
}


def example_case(
    rule: Rule, example: Example, ruleset: Ruleset = RULES
) -> tuple[UseRequest, Facts]:
    """The use an example is about, with everything known of the person and the house."""
    facts = example.facts
    at = instant(facts["at"])
    kind = _kind(rule, facts)
    home, zone = HOMES.get(rule.regime, HOMES["ZA"])
    residence, seat = facts.get("residence", home), facts.get("seat", home)
    channel = None if kind is PurposeKind.PERSONALISE else Channel(facts.get("channel", "email"))
    house = House(
        version=1,
        seat=seat,
        zone=zone,
        purposes=PURPOSES,
        ruleset=ruleset,
        labels=frozenset({"purchases"}),
        material={"offers": facts.get("material", 1)},
        registries=_registries(facts),
        agreements={"live": (0, 0)},
    )
    record = PersonRecord(
        residence=residence,
        zone=facts.get("zone", ""),
        subject=facts.get("subject", "natural"),
        age=_age(facts, _adult(rule, ruleset, residence, seat, at)),
        competent=facts.get("competent", False),
        standings=_standings(facts, kind, channel, at),
        relations=_relations(facts),
    )
    contact = ContactPoint(channel, b"b" * 16, b"s" * 16) if channel else None
    blocks = (Block("registry_block", "all", "ZA"),) if facts.get("blocked") else ()
    request = UseRequest(
        actor=Actor(Role.SYSTEM, "worker"),
        person=PERSON,
        purpose=NAMES[kind],
        action=Action(facts.get("action", "send")) if channel else Action.PERSONALISE,
        channel=channel,
        categories=frozenset(),
        at=at,
        brand=BRAND,
        agreement="live",
    )
    gathered = Gathered(PERSON, Head(1, b"c" * 32), record, contact, blocks)
    return request, Facts(PERSON, at, Claim(), house, gathered, asked=facts.get("asked", False))


def _kind(rule: Rule, facts: Mapping[str, object]) -> PurposeKind:
    if "purpose" in facts:
        return PurposeKind(facts["purpose"])
    return min(rule.applies.purposes, key=list(PurposeKind).index)


def _adult(rule: Rule, ruleset: Ruleset, residence: str, seat: str, at: Instant) -> int:
    """The age that counts: an age rule's own in its own examples, else the strictest."""
    if rule.kind == "age":
        return int(rule.params["under_years"])
    return ruleset.adult_years(residence, seat, at)


def _age(facts: Mapping[str, object], adult: int) -> str:
    age = facts.get("age", "")
    if isinstance(age, int):
        return "minor" if age < adult else "adult"
    return str(age)


def _standings(facts, kind, channel, at: Instant) -> dict[str, Standing]:
    said = facts.get("consent", "none")
    signalled = {}
    if facts.get("signal"):
        day = Instant(at - DAY)
        opt_out = Act(ConsentStatus.OPTED_OUT, day, day, 2, by="signal")
        signalled = {"personalise|*": Standing(deny=opt_out)}
    if said == "none":
        return signalled
    since = instant(facts["consent_at"]) if "consent_at" in facts else Instant(at - 30 * DAY)
    purpose = "personalise" if kind is PurposeKind.PERSONALISE else "offers"
    place = f"{purpose}|{facts.get('consent_channel', channel or '')}"
    until = at - DAY if said == "expired" else 0
    status = ConsentStatus.GIVEN if said == "expired" else ConsentStatus(said)
    notice = f"offers@{facts.get('notice', 1)}"
    act = Act(status, since, since, 1, until=until, notice=notice)
    if status is ConsentStatus.GIVEN:
        return {place: Standing(grant=act), **signalled}
    if status is ConsentStatus.IMPORTED:
        return {place: Standing(neutral=act), **signalled}
    return {place: Standing(deny=act), **signalled}


def _relations(facts: Mapping[str, object]) -> tuple[Relation, ...]:
    told = facts.get("relation")
    if not told:
        return ()
    return (
        Relation(
            kind=told["kind"],
            at=instant(told["at"]),
            brand=BRAND if told["own"] else "somebody-else",
            goods=GOODS if told["similar"] else "tyres",
            collected=told["collected"],
            objection_offered=told["objection_offered"],
            until=instant(told["until"]) if "until" in told else 0,
        ),
    )


def _registries(facts: Mapping[str, object]) -> dict[str, Registry]:
    def at(key: str) -> int:
        told = facts.get(key)
        if told is None:
            return 0
        if isinstance(told, datetime):
            return instant(told)
        return days.day_begins(told, "Africa/Johannesburg")

    if not {"last_cleansed", "waived_from"} & set(facts):
        return {}
    return {
        "ZA": Registry(
            cleansed_at=at("last_cleansed"),
            usable=facts.get("registry_usable", True),
            waived_from=at("waived_from"),
            waived_until=at("waived_until"),
            decision="d1" if "waived_from" in facts else "",
        )
    }


def objections(rule: Rule, example: Example, ruleset: Ruleset = RULES) -> tuple[Reason, ...]:
    """What this rule, or the rule that carries it out, objects in the example's case."""
    request, facts = example_case(rule, example, ruleset)
    answer = decide(request, facts)
    if not isinstance(answer, Refusal):
        return ()
    assert not {reason.code for reason in answer.reasons} & CLAIM_CODES, answer
    asked = ruleset.rule(rule.part_of or rule.id, request.at)
    ids = {asked.id, *asked.cites.values()}
    return tuple(reason for reason in answer.reasons if reason.rule in ids)


def holds(rule: Rule, example: Example, ruleset: Ruleset = RULES) -> bool:
    """Tell whether an example of any kind of rule comes out as it says."""
    if rule.kind == "deadline":
        return all(_due_holds(rule, example, ruleset))
    if rule.kind == "signal":
        at = rule.begins
        return ruleset.reached(rule.id, example.facts["value"], at) == example.expect["reached"]
    if rule.kind == "content":
        return _obliged(rule, example, ruleset) == tuple(example.expect["expect_obligations"])
    if rule.kind == "retention":
        return _kept(rule, example, ruleset) == (example.expect["expect_retention"], rule.id)
    found = objections(rule, example, ruleset)
    expect = example.expect
    if expect["expect"] == "permit":
        return not found
    return (
        len(found) == 1
        and found[0].code == expect.get("expect_code", found[0].code)
        and found[0].rule == expect.get("expect_rule", found[0].rule)
        and found[0].remedy.endswith(".cautious") == expect.get("expect_strict", _cautious(found))
    )


def _kept(rule: Rule, example: Example, ruleset: Ruleset) -> tuple[str, str]:
    """What becomes of one category of a person who agreed to its one purpose, or did not."""
    at = instant(example.facts["at"])
    home, zone = HOMES[rule.regime]
    offers = replace(PURPOSES["offers"], retention_days=365)
    house = House(1, home, zone, {"offers": offers}, ruleset)
    yes = Standing(grant=Act(ConsentStatus.GIVEN, at, at, 1))
    record = PersonRecord(
        residence=home,
        standings={"offers|email": yes} if example.facts["agreed"] else {},
        restricted=example.facts.get("restricted", False),
    )
    held = [retention.Held("purchases", "purchases")]
    row = retention.plan(record, held, house, at, Instant(0))[0]
    return row.action, row.rule


def _cautious(found: tuple[Reason, ...]) -> bool:
    return found[0].remedy.endswith(".cautious")


def _obliged(rule: Rule, example: Example, ruleset: Ruleset) -> tuple[str, ...]:
    request, facts = example_case(rule, example, ruleset)
    alone = replace(ruleset, rules=(rule,), _chosen={})
    return alone.content_obligations(
        PURPOSES[request.purpose].kind,
        request.channel,
        facts.gathered.record.residence,
        facts.house.seat,
        request.at,
    )


def _due_holds(rule: Rule, example: Example, ruleset: Ruleset) -> Iterator[bool]:
    zone = ruleset.regimes[rule.regime].zone
    start, seat = example.facts["start"], example.facts.get("seat", "")
    begun = instant(start) if isinstance(start, datetime) else days.day_begins(start, zone)
    ends = ("strict", "legal"), ruleset.due(rule.id, begun, seat)
    yield from _same(ends, example.expect, zone)
    if "extended_strict" in example.expect:
        longer = ("extended_strict", "extended_legal"), ruleset.extended(rule.id, begun, seat)
        yield from _same(longer, example.expect, zone)


def _same(ends, expect: Mapping[str, date | datetime], zone: str) -> Iterator[bool]:
    for key, got in zip(*ends, strict=True):
        told = expect[key]
        want = instant(told) if isinstance(told, datetime) else days.day_ends(told, zone)
        yield got == want
