"""One decision for a group is the decision for each of its people."""

from collections import defaultdict
from dataclasses import replace
from types import MappingProxyType

import asking
import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.kernel import consent, gate, profiles
from troth.kernel.facts import Facts, House
from troth.terms import (
    DAY,
    SECOND,
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
    Refusal,
    Registry,
    Relation,
    Role,
    Standing,
    UseRequest,
    Wishes,
)

NOW = asking.local("2026-03-31T11:07:13")  # months that end on the 31st clamp
AGENT = Actor(Role.SYSTEM, "worker")
PURPOSES = {
    "offers": Purpose(
        "offers", 1, PurposeKind.MARKETING, "Offers", frozenset(Channel), frozenset({"history"}),
        goods=frozenset({"kitchen"}), consent_months=13, parent="marketing",
    ),
    "marketing": Purpose(
        "marketing", 1, PurposeKind.MARKETING, "All", frozenset(Channel), frozenset()
    ),
    "personalise": Purpose(
        "personalise", 1, PurposeKind.PERSONALISE, "Yours", frozenset(), frozenset({"history"}),
        consent_months=1,
    ),
}  # fmt: skip
HOUSE = House(
    version=1,
    seat="ZA",
    zone="Africa/Johannesburg",
    purposes=PURPOSES,
    ruleset=examples.RULES,
    labels=frozenset({"history"}),
    levels=(frozenset(), frozenset(), frozenset({"history"}), *[frozenset()] * 3),
    material={"offers": 2},
    caps={PurposeKind.MARKETING: (2, 30)},
    registries={"ZA": Registry(cleansed_at=NOW - DAY, usable=True)},
)
CLAIM = Claim({"history": "full"})
CUTS = profiles.cuts(HOUSE, NOW)

moments = st.builds(
    lambda cut, shift: Instant(max(0, cut + shift)),
    st.sampled_from(sorted(set().union(*CUTS))),
    st.sampled_from((0, 0, 1, -1, SECOND, -SECOND, DAY, -DAY, -100 * DAY)),
)
past = moments.filter(lambda at: at <= NOW + 300 * SECOND)
ends = st.just(0) | moments


def acts(*statuses):
    return st.builds(
        Act,
        status=st.sampled_from(statuses),
        at=past,
        recorded=past,
        n=st.integers(1, 2),
        until=ends,
        categories=st.sampled_from(((), ("history",))),
        notice=st.sampled_from(("offers@1", "offers@2")),
    )


standings = st.builds(
    Standing,
    grant=st.none() | acts(ConsentStatus.GIVEN),
    deny=st.none() | acts(ConsentStatus.WITHDRAWN, ConsentStatus.OBJECTED),
    neutral=st.none() | acts(ConsentStatus.IMPORTED),
).filter(lambda held: held != Standing())
relations = st.builds(
    Relation,
    kind=st.sampled_from(("sale", "contract", "inquiry")),
    at=past,
    brand=st.just("marula"),
    goods=st.sampled_from(("kitchen", "garden")),
    collected=st.just(True),
    objection_offered=st.booleans(),
    until=ends,
)
blocks = st.builds(
    Block,
    reason=st.sampled_from(("complaint", "registry_block")),
    scope=st.just("all"),
    value=st.just(""),
    since=past,
    until=ends,
)
PLACES = ("offers|email", "marketing|*", "personalise|", "offers|*")
wished = st.builds(
    Wishes,
    pause_until=ends,
    most=st.integers(-1, 2),
    quiet=st.sampled_from((None, (600, 700), (660, 668), (1260, 420))),
)
people = st.builds(
    Gathered,
    person=st.just(asking.PERSON),
    head=st.just(Head(1, bytes(32))),
    record=st.builds(
        PersonRecord,
        residence=st.sampled_from(("ZA", "CA-ON", "DE")),
        zone=st.just("Africa/Johannesburg"),
        age=st.sampled_from(("adult", "minor")),
        standings=st.dictionaries(st.sampled_from(PLACES), standings, max_size=3),
        relations=st.lists(relations, max_size=2).map(tuple),
        sends=st.dictionaries(
            st.just("email"), st.lists(past, max_size=3).map(lambda t: tuple(sorted(t)))
        ),
        level=st.sampled_from((-1, 0, 1, 2)),
        wishes=st.none() | wished,
    ),
    contact=st.sampled_from((None, ContactPoint(Channel.EMAIL, b"b" * 16, b"s" * 16))),
    blocks=st.lists(blocks, max_size=1).map(tuple),
)


def answer(gathered):
    """Every reason, or the level and the basis of a yes, as a campaign's preview asks."""
    plain = UseRequest(
        AGENT, gathered.person, "offers", Action.SEND, Channel.EMAIL, frozenset(), NOW, "marula"
    )
    facts = Facts(gathered.person, NOW, CLAIM, HOUSE, gathered)
    allowed = gate.allowed_categories(plain, facts)
    asked = UseRequest(
        AGENT, gathered.person, "offers", Action.SEND, Channel.EMAIL, allowed, NOW, "marula"
    )
    said = gate.decide(asked, facts)
    ground = isinstance(said, gate.Permit)
    level = consent.level(gathered.record, HOUSE, NOW, ground=ground)
    if isinstance(said, Refusal):
        return (tuple((r.code, r.rule) for r in said.reasons), level, allowed)
    return (said.basis, level, allowed)


def place(moment, cuts):
    return sum(cut < moment for cut in cuts) + sum(cut <= moment for cut in cuts)


def group_of(gathered, cuts=CUTS):
    """The group of somebody, worked out the slow and plain way."""
    shape, held = profiles.split(gathered)
    how = profiles.plan(shape)
    assert len(how.kinds) == len(held)
    sides = tuple(place(m, cuts[kind]) for m, kind in zip(held, how.kinds, strict=True))
    return shape, sides, tuple((held[a] > held[b]) - (held[a] < held[b]) for a, b in how.pairs)


@given(people)
def test_what_is_split_and_joined_is_decided_as_before(gathered):
    shape, held = profiles.split(gathered)
    again = profiles.join(shape, held)
    assert again.record.relations == gathered.record.relations
    assert again.record.sends == gathered.record.sends
    assert again.record.wishes == gathered.record.wishes
    assert (again.contact is None) == (gathered.contact is None)
    assert answer(again) == answer(gathered)


def shifted(gathered, shifts):
    """The same person with every moment moved a little."""
    shape, held = profiles.split(gathered)
    return profiles.join(shape, [max(0, m + s) for m, s in zip(held, shifts, strict=False)])


SHIFTS = st.sampled_from((*(0,) * 9, 1, -1, 7, SECOND, -SECOND, DAY, -DAY, 40 * DAY, -40 * DAY))


@settings(max_examples=200)
@given(people, st.lists(st.lists(SHIFTS, min_size=40, max_size=40), min_size=4, max_size=16))
def test_counts_by_group_are_the_counts_one_by_one(gathered, moved):
    groups = defaultdict(set)
    for each in (gathered, *(shifted(gathered, shifts) for shifts in moved)):
        groups[group_of(each)].add(answer(each))
    assert all(len(answers) == 1 for answers in groups.values())


def test_without_its_cut_a_consent_that_ran_out_would_pass_for_one_that_lasts():
    def given_at(at):
        act = Act(ConsentStatus.GIVEN, at, at, 1, notice="offers@2")
        record = PersonRecord(
            residence="ZA", zone="Africa/Johannesburg", age="adult",
            standings={"offers|email": Standing(grant=act)},
        )  # fmt: skip
        contact = ContactPoint(Channel.EMAIL, b"b" * 16, b"s" * 16)
        return Gathered(asking.PERSON, Head(1, bytes(32)), record, contact, ())

    fresh, stale = given_at(NOW - 300 * DAY), given_at(NOW - 500 * DAY)
    assert answer(fresh) != answer(stale)
    assert group_of(fresh) != group_of(stale)
    assert group_of(fresh, [(0, NOW)] * 5) == group_of(stale, [(0, NOW)] * 5)


def test_a_month_that_ends_early_is_cut_at_the_very_hour():
    found = profiles.cuts(HOUSE, asking.local("2026-02-28T11:07:13"))
    for day in (28, 29, 30, 31):
        assert asking.local(f"2026-01-{day}T11:07:13") in found[1]


def test_a_predicate_nothing_is_known_of_cuts_by_each_of_its_numbers(monkeypatch):
    monkeypatch.setattr(profiles, "KNOWN", profiles.KNOWN - {"ask_once"})
    told = MappingProxyType(
        {"n": 3, "flag": True, "some": (5, {"deep": 7}), "word": "x", "far": 10**9}
    )
    rule = next(r for r in examples.RULES.rules if r.predicate == "ask_once")
    rules = tuple(replace(r, params=told) if r is rule else r for r in examples.RULES.rules)
    cut = profiles.cuts(replace(HOUSE, ruleset=replace(examples.RULES, rules=rules)), NOW)
    plain = profiles.cuts(HOUSE, NOW)
    for moments, fewer in zip(cut, plain, strict=True):
        assert set(fewer) <= set(moments)
    assert {NOW - n * DAY for n in (3, 5, 7)} <= set(cut[4])
    assert len(cut[1]) > len(plain[1])
