"""Rules are dated data: refused when they could mislead, hashed, and the strictest wins."""

import hashlib
import itertools
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from examples import CALENDARS, FILES, PREDICATES, RULES, example_case, holds, objections
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from troth.errors import InvalidInput, NotFound
from troth.kernel import regimes
from troth.kernel.calendars import MINUTE, day_begins, years_lived
from troth.kernel.gate import decide
from troth.kernel.regimes import Example, Rule, Ruleset, load
from troth.terms import (
    DAY,
    SECOND,
    Channel,
    Instant,
    PurposeKind,
    ReasonCode,
    Refusal,
    instant,
    moment,
)

KINDS = [PurposeKind.MARKETING, PurposeKind.CONSENT_REQUEST, PurposeKind.PERSONALISE]
CONTACT = ["permission", "prohibition", "window", "cap", "age", "cadence"]
NOON = instant(datetime.fromisoformat("2026-11-23T12:00:00+02:00"))
ORDER = list(ReasonCode)


def at(text: str) -> Instant:
    return instant(datetime.fromisoformat(text))


def rule(rule_id: str) -> Rule:
    return RULES.rule(rule_id, NOON)


def ids(kind, channel, residence, seat, when=NOON, *, ruleset=RULES) -> list[str]:
    return [r.id for r in ruleset.contact_rules(kind, channel, residence, seat, when)]


def changed(rule_: Rule, **what: Any) -> Ruleset:
    """The ruleset with one rule changed."""
    rules = tuple(replace(r, **what) if r is rule_ else r for r in RULES.rules)
    return replace(RULES, rules=rules, _chosen={})


CASES = [(r, e) for r in RULES.rules for e in r.examples]


@pytest.mark.parametrize(
    ("rule_", "example"), CASES, ids=[f"{r.id}-{r.examples.index(e)}" for r, e in CASES]
)
def test_every_example_a_rule_carries_comes_out_as_it_says(rule_, example):
    assert holds(rule_, example)


def test_every_rule_carries_an_example_of_each_outcome():
    for rule_ in RULES.rules:
        assert len(rule_.examples) >= 2, rule_.id
        if rule_.kind in CONTACT:
            assert {e.expect["expect"] for e in rule_.examples} == {"permit", "refuse"}, rule_.id


def test_an_example_that_says_the_opposite_does_not_hold():
    other = {"permit": "refuse", "refuse": "permit"}
    for rule_, example in CASES:
        if rule_.kind in CONTACT:
            expect = {"expect": other[example.expect["expect"]]}
            assert not holds(rule_, Example(example.facts, expect)), rule_.id


def numbers(value: Any, put=lambda new: new) -> Iterator[tuple[str, Any]]:
    """Every number in parameters moved by one either way: (what was done, parameters)."""
    if isinstance(value, MappingProxyType | dict):
        for key, inner in value.items():
            yield from numbers(
                inner, lambda new, key=key: put(MappingProxyType({**value, key: new}))
            )
    elif isinstance(value, tuple):
        for n, inner in enumerate(value):
            yield from numbers(inner, lambda new, n=n: put((*value[:n], new, *value[n + 1 :])))
    elif isinstance(value, str) and len(value) == 5 and value[2] == ":":
        minute = int(value[:2]) * 60 + int(value[3:])
        for moved in (minute - 1, minute + 1):
            yield f"{value}->{moved}", put(f"{moved // 60:02}:{moved % 60:02}")
    elif isinstance(value, int) and not isinstance(value, bool):
        for moved in (value - 1, value + 1):
            yield f"{value}->{moved}", put(moved)


MOVED = [
    (r, what, params) for r in RULES.rules for what, params in numbers(r.params) if not r.part_of
]


def test_there_are_numbers_to_move():
    assert len(MOVED) >= 40
    assert {"ZA-8", "ZA-9", "ZA-12", "ZA-14", "ZA-15", "EU-4", "EU-5", "EU-9", "M-4"} <= {
        r.id for r, _, _ in MOVED
    }


@pytest.mark.parametrize(
    ("rule_", "what", "params"), MOVED, ids=[f"{r.id}:{what}" for r, what, _ in MOVED]
)
def test_a_number_moved_by_one_breaks_an_example(rule_, what, params):
    ruleset = changed(rule_, params=params)
    moved = next(r for r in ruleset.rules if r.id == rule_.id)
    parts = [r for r in ruleset.rules if rule_.id in (r.id, r.part_of)]
    assert moved in parts
    assert not all(holds(r, example, ruleset) for r in parts for example in r.examples), what


SIX = ("customer", "collected", "own", "similar", "objection_offered", "not_refused")


@pytest.mark.parametrize("held", list(itertools.product([True, False], repeat=6)))
def test_the_customer_exception_needs_all_six_facts(held):
    fact = dict(zip(SIX, held, strict=True))
    relation = {
        "kind": "sale" if fact["customer"] else "inquiry",
        "at": datetime.fromisoformat("2026-07-05T09:00:00+02:00"),
        "collected": fact["collected"],
        "objection_offered": fact["objection_offered"],
        "own": fact["own"],
        "similar": fact["similar"],
    }
    consent = "none" if fact["not_refused"] else "refused"
    facts = {"at": datetime.fromisoformat("2026-11-23T10:00:00+02:00"), "consent": consent}
    found = objections(rule("ZA-5"), Example({**facts, "relation": relation}, {}))
    assert (not found) is all(held)
    if not fact["not_refused"]:
        assert found[0].code is ReasonCode.REFUSED
    assert "free_objection" in RULES.content_obligations(
        PurposeKind.MARKETING, Channel.EMAIL, "ZA", "ZA", NOON
    )


@pytest.mark.parametrize("flipped", list(Channel))
@pytest.mark.parametrize("setting", ["on", "strict", "off"])
def test_a_channel_flipped_changes_the_answer_of_that_channel_alone(flipped, setting):
    quiet = rule("ZA-14")
    ruleset = changed(quiet, channels={**quiet.channels, flipped: setting})
    sunday = datetime.fromisoformat("2026-11-22T11:00:00+02:00")
    for channel in Channel:
        case = Example({"at": sunday, "channel": channel.value, "zone": "Africa/Johannesburg"}, {})
        before, after = objections(quiet, case), objections(quiet, case, ruleset)
        if channel is not flipped:
            assert before == after
            continue
        assert bool(after) is (setting != "off")
        assert all(r.remedy.endswith(".cautious") is (setting == "strict") for r in after)
    service = Example({"at": sunday, "channel": flipped.value, "purpose": "service"}, {})
    assert not objections(quiet, service, ruleset)


def test_a_message_queued_in_time_and_handed_over_late_is_held():
    quiet = rule("ZA-14")
    case = {"channel": "sms", "zone": "Africa/Johannesburg"}
    queued = datetime.fromisoformat("2026-11-23T19:58:00+02:00")
    assert not objections(quiet, Example({**case, "at": queued}, {}))
    late = Example({**case, "at": queued + timedelta(minutes=5)}, {})
    assert objections(quiet, late)[0].code is ReasonCode.QUIET_HOURS


def test_an_officers_decision_lifts_staleness_until_its_last_second_and_never_a_block():
    stale, block = rule("ZA-15"), rule("ZA-15-BLOCK")
    until = datetime.fromisoformat("2026-12-01T12:00:00+02:00")
    facts = {"waived_from": until - timedelta(days=30), "waived_until": until}
    for seconds, stands in ((-1, True), (0, False), (1, False)):
        when = until + timedelta(seconds=seconds)
        assert (not objections(stale, Example({**facts, "at": when}, {}))) is stands
        blocked = Example({**facts, "at": when, "blocked": True}, {})
        assert objections(block, blocked)[0].code is ReasonCode.REGISTRY_BLOCK


def test_a_file_of_unknown_scheme_or_no_file_or_an_old_one_is_stale():
    when = datetime.fromisoformat("2026-11-23T10:00:00+02:00")
    old = (when - timedelta(days=32)).date()
    for facts in (
        {},
        {"last_cleansed": old},
        {"last_cleansed": when.date(), "registry_usable": False},
    ):
        found = objections(rule("ZA-15"), Example({**facts, "at": when}, {}))
        assert [r.code for r in found] == [ReasonCode.REGISTRY_STALE]
        assert found[0].remedy == "upload_registry_file"


def test_the_strictest_wins_over_residence_and_seat():
    for kind in KINDS:
        for channel in (*Channel, None):
            here = set(ids(kind, channel, "ZA", "ZA"))
            there = set(ids(kind, channel, "DE", "DE"))
            both = set(ids(kind, channel, "DE", "ZA"))
            unknown = set(ids(kind, channel, "", "ZA"))
            assert there <= both <= unknown
            assert unknown == here | there
            assert here
            assert there


@pytest.mark.parametrize("residence", ["", "AU", "GB", "GB-LND", "NO", "xx", "za", "EU", "*"])
def test_a_residence_no_regime_covers_is_an_unknown_residence(residence):
    assert ids(PurposeKind.MARKETING, Channel.SMS, residence, "ZA") == ids(
        PurposeKind.MARKETING, Channel.SMS, "", "ZA"
    )
    assert RULES.applicable(residence, "ZA") == ("EU", "ZA")


def test_an_unknown_seat_loosens_nothing():
    known = set(ids(PurposeKind.MARKETING, Channel.EMAIL, "DE", "ZA"))
    assert known <= set(ids(PurposeKind.MARKETING, Channel.EMAIL, "DE", ""))


def test_every_member_state_is_covered_by_the_european_rules():
    states = RULES.regimes["EU"].residence
    assert len(states) == 27
    for state in states:
        assert "EU-6" in ids(PurposeKind.MARKETING, Channel.EMAIL, state, "US")
        assert RULES.zones(state) == ("Europe/Brussels",)
    assert RULES.zones("") == ("Africa/Johannesburg", "Europe/Brussels")


@pytest.mark.parametrize("kind", [PurposeKind.SERVICE, PurposeKind.OPERATIONS])
@pytest.mark.parametrize("residence", ["ZA", "DE", ""])
def test_service_messages_meet_no_contact_rule(kind, residence):
    for channel in (*Channel, None):
        assert ids(kind, channel, residence, "ZA") == []


def test_a_consent_request_meets_ask_once_registry_objection_and_quiet_hours():
    assert ids(PurposeKind.CONSENT_REQUEST, Channel.SMS, "ZA", "ZA") == [
        "ZA-12", "ZA-15-BLOCK", "ZA-7", "ZA-2", "ZA-15", "ZA-14",
    ]  # fmt: skip


def test_rules_come_in_the_order_of_their_codes():
    for residence, channel, kind in itertools.product(["ZA", "DE", ""], Channel, KINDS):
        found = RULES.contact_rules(kind, channel, residence, "ZA", NOON)
        places = [(ORDER.index(r.code), r.id) for r in found]
        assert places == sorted(places)


def test_a_rule_begins_and_ends_at_local_midnight():
    first = day_begins(date(2026, 4, 15), "Africa/Johannesburg")
    case = (PurposeKind.MARKETING, Channel.SMS, "ZA", "ZA")
    assert "ZA-15" not in ids(*case, when=first - 1)
    assert "ZA-15" in ids(*case, when=first)
    last = replace(
        rule("ZA-15"), valid_to=date(2026, 11, 23), ends=at("2026-11-24T00:00:00+02:00")
    )
    assert last.live(at("2026-11-23T23:59:59+02:00"))
    assert not last.live(at("2026-11-24T00:00:00+02:00"))


@given(
    st.lists(st.integers(-25 * 365, 8 * 365), min_size=1, max_size=8),
    st.sampled_from(KINDS),
    st.sampled_from([*Channel, None]),
    st.sampled_from(["ZA", "DE", "FR", "", "US"]),
)
@settings(max_examples=60, deadline=None)
def test_a_remembered_choice_is_the_fresh_choice(days, kind, channel, residence):
    fresh = replace(RULES, _chosen={})
    for day in days:
        when = Instant(NOON + day * DAY)
        args = (kind, channel, residence, "ZA", when)
        again = replace(RULES, _chosen={})
        assert fresh.contact_rules(*args) == again.contact_rules(*args)
        assert fresh.content_obligations(*args) == again.content_obligations(*args)


def test_a_full_memory_is_emptied_and_answers_stay_right(monkeypatch):
    monkeypatch.setattr(regimes, "_MEMORY", 2)
    small = replace(RULES, _chosen={})
    for residence in ("ZA", "DE", "FR", "", "ZA"):
        args = (PurposeKind.MARKETING, Channel.EMAIL, residence, "ZA", NOON)
        assert small.contact_rules(*args) == RULES.contact_rules(*args)
        assert len(small._chosen) <= 2


def test_a_proposal_never_changes_a_decision():
    text = FILES["eu.toml"].decode()
    planted = text + (
        "\n[[rule]]\n" + _body("P-1", "prohibition", "no_objection", 'code = "objected"')
    ).replace('status = "in_force"', 'status = "proposal"')
    with_it = load({**FILES, "eu.toml": planted.encode()}, CALENDARS, PREDICATES)
    in_force = load(
        {
            **FILES,
            "eu.toml": planted.replace('status = "proposal"', 'status = "in_force"').encode(),
        },
        CALENDARS,
        PREDICATES,
    )
    args = (PurposeKind.MARKETING, Channel.POST, "DE", "DE")
    assert ids(*args, ruleset=with_it) == ids(*args)
    assert "P-1" in ids(*args, ruleset=in_force)
    for rule_, case in CASES:
        if rule_.kind in CONTACT:
            assert _answer(rule_, case, with_it) == _answer(rule_, case, RULES)


def _answer(rule_, case, ruleset):
    answer = decide(*example_case(rule_, case, ruleset))
    return answer.reasons if isinstance(answer, Refusal) else "permit"


def test_a_repealed_rule_changes_nothing_and_a_disputed_one_applies_and_says_so():
    quiet = rule("ZA-14")
    args = (PurposeKind.MARKETING, Channel.SMS, "ZA", "ZA")
    assert "ZA-14" not in ids(*args, ruleset=changed(quiet, status="repealed"))
    disputed = changed(quiet, status="disputed")
    assert "ZA-14" in ids(*args, ruleset=disputed)
    assert disputed.rule("ZA-14", NOON).cautious(Channel.SMS)
    assert not quiet.cautious(Channel.SMS)
    assert quiet.cautious(Channel.EMAIL)


def test_proposals_are_shipped_so_that_they_can_be_seen():
    assert {r.id for r in RULES.rules if r.status == "proposal"} == {"EU-9-PROPOSED", "EU-14"}
    assert RULES.due("EU-9", NOON) == (NOON + 72 * 60 * MINUTE,) * 2


def test_secondary_and_unread_sources_are_marked_for_a_check():
    for r in RULES.rules:
        assert r.needs_check or not {"S", "K"} & set(r.source_mark), r.id


def test_obligations_of_a_message_are_the_union_of_all_regimes():
    mail = RULES.content_obligations(PurposeKind.MARKETING, Channel.EMAIL, "ZA", "ZA", NOON)
    assert {"sender_identity", "stop_contact", "list_unsubscribe_post"} <= set(mail)
    assert list(mail) == sorted(set(mail))
    post = RULES.content_obligations(PurposeKind.MARKETING, Channel.POST, "ZA", "ZA", NOON)
    assert "list_unsubscribe_post" not in post
    service = RULES.content_obligations(PurposeKind.SERVICE, Channel.EMAIL, "ZA", "ZA", NOON)
    assert service == ("dkim_aligned", "dmarc_published", "spf_passes")


def test_a_due_date_is_counted_from_the_local_date_of_the_request():
    night = at("2026-11-22T22:30:00+00:00")  # 00:30 on the 23rd in Johannesburg
    strict, legal = RULES.due("ZA-8", night)
    assert strict == legal == at("2026-12-24T00:00:00+02:00")
    assert RULES.due("ZA-8", Instant(night - 31 * MINUTE))[0] == at("2026-12-23T00:00:00+02:00")


def test_a_seat_without_calendar_rolls_nothing_forward():
    start = at("2026-01-31T10:00:00+01:00")
    assert RULES.due("EU-5", start, "DE") == (
        at("2026-03-01T00:00:00+01:00"),
        at("2026-03-03T00:00:00+01:00"),
    )
    assert RULES.due("EU-5", start, "XX") == (at("2026-03-01T00:00:00+01:00"),) * 2
    assert RULES.due("EU-5", start) == RULES.due("EU-5", start, "XX")


def test_an_extension_counts_from_the_start_and_exists_only_where_the_rule_gives_one():
    start = at("2026-11-30T10:00:00+01:00")
    assert RULES.extended("EU-5", start, "DE") == (
        at("2027-03-01T00:00:00+01:00"),
        at("2027-03-02T00:00:00+01:00"),
    )
    with pytest.raises(InvalidInput, match="EU-9 has no extension"):
        RULES.extended("EU-9", start)


def test_a_question_about_the_wrong_kind_of_rule_is_refused():
    with pytest.raises(InvalidInput, match="ZA-7 is not a deadline"):
        RULES.due("ZA-7", NOON)
    with pytest.raises(InvalidInput, match="ZA-7 does not judge"):
        RULES.reached("ZA-7", 1, NOON)
    for rule_id, value in (("M-4", "30"), ("M-5", 550)):
        with pytest.raises(InvalidInput, match=f"{rule_id} does not judge"):
            RULES.reached(rule_id, value, NOON)
    with pytest.raises(NotFound, match="no rule ZA-99"):
        RULES.due("ZA-99", NOON)


def test_business_days_of_a_rule_use_the_named_calendar_and_its_narrower_one():
    file = _file(
        _body("T-1", "deadline", "business_days", 'params = { count = 10, calendar = "US-CA" }')
    )
    ruleset = load({"test.toml": file}, CALENDARS, PREDICATES)
    assert ruleset.due("T-1", at("2026-11-20T12:00:00+00:00")) == (
        at("2026-12-08T00:00:00+00:00"),
        at("2026-12-09T00:00:00+00:00"),
    )
    by_seat = load({"test.toml": file.replace(b"US-CA", b"seat")}, CALENDARS, PREDICATES)
    with pytest.raises(InvalidInput, match="T-1 needs a calendar"):
        by_seat.due("T-1", NOON, "XX")
    assert by_seat.due("T-1", NOON, "CA-ON")


def test_a_rule_in_calendar_days_is_due_when_the_local_day_is_over_and_never_rolls():
    file = _file(
        _body("T-1", "deadline", "calendar_days", "params = { count = 45, extension = 45 }")
    )
    ruleset = load({"test.toml": file}, {}, PREDICATES)
    letter = at("2026-01-10T09:00:00+00:00")
    assert ruleset.due("T-1", letter) == (at("2026-02-25T00:00:00+00:00"),) * 2
    assert ruleset.extended("T-1", letter) == (at("2026-04-11T00:00:00+00:00"),) * 2


def test_the_age_is_the_highest_any_applying_rule_asks():
    assert RULES.adult_years("ZA", "ZA", NOON) == 18
    assert RULES.adult_years("DE", "DE", NOON) == 16
    assert RULES.adult_years("DE", "ZA", NOON) == 18
    assert RULES.adult_years("", "DE", NOON) == 18
    assert replace(RULES, rules=(), _chosen={}).adult_years("ZA", "ZA", NOON) == 0
    child = rule("EU-4")
    lowered = changed(child, params={"under_years": 16, "states": {"FR": 15}})
    assert lowered.adult_years("FR", "FR", NOON) == 15
    assert lowered.adult_years("DE", "DE", NOON) == 16


def test_whoever_may_still_be_too_young_counts_as_a_minor():
    for years, said in ((17, "minor"), (18, "adult")):
        assert RULES.age_class(years, "ZA", "ZA", NOON) == said
    assert RULES.age_class(17, "DE", "DE", NOON) == "adult", "sixteen is enough there"
    year = moment(NOON).year
    assert years_lived(year - 18, NOON) == 17, "the birthday may lie ahead"


def test_a_state_counsel_has_tabulated_gets_the_soft_opt_in():
    text = FILES["eu.toml"].decode()
    stated = load(
        {**FILES, "eu.toml": text.replace("EU-STATED = []", 'EU-STATED = ["DE"]').encode()},
        CALENDARS,
        PREDICATES,
    )
    args = (PurposeKind.MARKETING, Channel.EMAIL)
    assert "EU-11-STATES" in ids(*args, "DE", "DE")
    assert "EU-11-STATES" not in ids(*args, "DE", "DE", ruleset=stated)
    assert "EU-11-STATES" in ids(*args, "FR", "DE", ruleset=stated)


def test_a_rule_past_its_review_still_applies_and_is_named():
    review = rule("ZA-14").review_by
    late = day_begins(review + timedelta(days=1), "Africa/Johannesburg")
    assert RULES.overdue_reviews(NOON) == ()
    assert "ZA-14" in {r.id for r in RULES.overdue_reviews(late)}
    assert "EU-14" not in {r.id for r in RULES.overdue_reviews(Instant(late + 400 * DAY))}
    assert "ZA-14" not in {r.id for r in RULES.overdue_reviews(Instant(late - SECOND))}
    assert "ZA-14" in ids(PurposeKind.MARKETING, Channel.SMS, "ZA", "ZA", late)


def test_a_regime_has_ended_when_its_file_or_all_its_rules_have():
    assert not RULES.ended("ZA", NOON)
    assert RULES.ended("XX", NOON)
    head = '[regime]\nid = "T"\nversion = "1.0"\nzone = "UTC"\n'
    body = _body("T-1", "prohibition", "no_objection", 'code = "objected"')
    by_file = load(
        {"t.toml": (head + "valid_to = 2026-11-22\n[[rule]]\n" + body).encode()}, {}, PREDICATES
    )
    body_ending = body.replace("status", "valid_to = 2026-11-22\nstatus")
    by_rule = load({"t.toml": (head + "[[rule]]\n" + body_ending).encode()}, {}, PREDICATES)
    for ruleset in (by_file, by_rule):
        assert ruleset.ended("T", at("2026-11-23T00:00:00+00:00"))
        assert not ruleset.ended("T", at("2026-11-22T23:59:59+00:00"))


def test_a_rule_may_be_valid_for_one_day():
    body = _body("T-1", "prohibition", "no_objection", 'code = "objected"')
    file = _file(body.replace("status", "valid_to = 2020-01-01\nstatus"))
    ruleset = load({"t.toml": file}, {}, PREDICATES)
    args = (PurposeKind.MARKETING, None, "ZA", "ZA")
    assert ids(*args, at("2020-01-01T23:59:59+00:00"), ruleset=ruleset) == ["T-1"]
    assert ids(*args, at("2020-01-02T00:00:00+00:00"), ruleset=ruleset) == []


def test_versions_of_one_id_follow_each_other():
    body = _body("T-1", "prohibition", "no_objection", 'code = "objected"')
    older = body.replace("status", "valid_to = 2026-11-22\nstatus")
    newer = (
        body.replace("valid_from = 2020-01-01", "valid_from = 2026-11-23")
        .replace("A rule", "B")
        .replace("status", "valid_to = 2027-12-31\nstatus")
    )
    newest = body.replace("valid_from = 2020-01-01", "valid_from = 2028-01-01").replace(
        "A rule", "C"
    )
    ruleset = load({"t.toml": _file(newest, newer, older)}, {}, PREDICATES)
    for turn, before, after in (("2026-11-23", "A rule", "B"), ("2028-01-01", "B", "C")):
        when = at(f"{turn}T00:00:00+00:00")
        assert ruleset.rule("T-1", Instant(when - 1)).title == before
        assert ruleset.rule("T-1", when).title == after
        found = ruleset.contact_rules(PurposeKind.MARKETING, None, "ZA", "ZA", when)
        assert [r.title for r in found] == [after]
    assert ruleset.rule("T-1", at("2019-12-31T00:00:00+00:00")).title == "C"


# --- the hash ------------------------------------------------------------------------------

NOTE = b"# a remark of forty letters, for the test.\n"


@given(
    st.sampled_from(["calendar", "regime"]),
    st.integers(1, len(NOTE) - 2),
    st.sampled_from(b"xyzXYZ0123 "),
)
@settings(max_examples=40, deadline=None)
def test_one_byte_changed_changes_the_digest(where, place, byte):
    body = NOTE + _file(_body("T-1", "prohibition", "no_objection", 'code = "objected"'))
    calendar = NOTE + CALENDARS["IE.toml"]
    before = load({"t.toml": body}, {"IE.toml": calendar}, PREDICATES)
    note = NOTE[:place] + bytes([byte]) + NOTE[place + 1 :]
    assume(note != NOTE)
    if where == "regime":
        body = note + body[len(NOTE) :]
    else:
        calendar = note + calendar[len(NOTE) :]
    after = load({"t.toml": body}, {"IE.toml": calendar}, PREDICATES)
    assert after.digest != before.digest


def test_the_digest_is_of_names_and_bytes_and_nothing_else():
    body = _file(_body("T-1", "prohibition", "no_objection", 'code = "objected"'))
    one = load({"t.toml": body}, CALENDARS, PREDICATES)
    again = load({"t.toml": body}, dict(reversed(CALENDARS.items())), PREDICATES)
    renamed = load({"u.toml": body}, CALENDARS, PREDICATES)
    assert one.digest == again.digest != renamed.digest
    parts = [(f"calendars/{name}", raw) for name, raw in sorted(CALENDARS.items())]
    whole = hashlib.sha256()
    for name, raw in [*parts, ("regimes/t.toml", body)]:
        for part in (name.encode(), raw):
            whole.update(struct.pack(">Q", len(part)) + part)
    assert one.digest == whole.hexdigest()
    assert RULES.label == "regimes@2026.11.2"


# --- refusals ------------------------------------------------------------------------------


def _body(rule_id: str, kind: str, predicate: str, *more: str) -> str:
    lines = [
        f'id = "{rule_id}"', 'law = "Test Act"', 'title = "A rule"', f'kind = "{kind}"',
        f'predicate = "{predicate}"', 'applies = { residence = ["*"] }', *more,
        "valid_from = 2020-01-01", 'status = "in_force"', 'source = "made for a test"',
        'source_mark = "P"', "needs_check = false", "checked_on = 2026-11-23",
        "review_by = 2027-02-23",
        'example = [ { facts = { at = 2026-11-23T10:00:00Z }, expect = "permit" } ]',
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _file(*bodies: str) -> bytes:
    head = '[regime]\nid = "T"\nversion = "1.0"\nzone = "UTC"\n'
    return (head + "".join(f"[[rule]]\n{body}" for body in bodies)).encode()


PROHIBITION = _body(
    "T-1", "prohibition", "no_objection", 'code = "objected"', 'channels = { sms = "on" }'
)
DEADLINE = _body("T-1", "deadline", "za_days", 'params = { count = 30, calendar = "ZA" }')
CONTENT = _body("T-1", "content", "carries", 'params = { obligations = ["x"] }')
WINDOW = _body(
    "T-1", "window", "quiet_window", 'code = "quiet_hours"',
    'params = { calendar = "ZA", mon_fri = ["08:00", "20:00"] }',
)  # fmt: skip
AGE = _body("T-1", "age", "competent_person", 'code = "minor"', "params = { under_years = 18 }")
SIGNAL = _body("T-1", "signal", "reaches", "params = { limit = 5 }")

REFUSED = [
    ("unknown predicate", PROHIBITION, '"no_objection"', '"my_own_code"', "unknown predicate"),
    ("missing source", PROHIBITION, 'source = "made for a test"\n', "", "no source"),
    ("empty source", PROHIBITION, '"made for a test"', '" "', "no source"),
    ("missing source mark", PROHIBITION, 'source_mark = "P"\n', "", "no source_mark"),
    ("unknown source mark", PROHIBITION, 'source_mark = "P"', 'source_mark = "X"', "source mark"),
    ("secondary unchecked", PROHIBITION, 'source_mark = "P"', 'source_mark = "PS"', "secondary"),
    ("unread unchecked", PROHIBITION, 'source_mark = "P"', 'source_mark = "K"', "unread"),
    ("missing valid_from", PROHIBITION, "valid_from = 2020-01-01\n", "", "no valid_from"),
    ("missing checked_on", PROHIBITION, "checked_on = 2026-11-23\n", "", "no checked_on"),
    ("missing review_by", PROHIBITION, "review_by = 2027-02-23\n", "", "no review_by"),
    ("date as text", PROHIBITION, "2027-02-23", '"2027-02-23"', "no review_by"),
    ("date with time", PROHIBITION, "2027-02-23", "2027-02-23T00:00:00Z", "no review_by"),
    ("ends before it begins", PROHIBITION, "status", "valid_to = 2019-01-01\nstatus", "before"),
    ("no example", PROHIBITION, "example = [", "example = [] #", "no example"),
    ("example without facts", PROHIBITION, "facts = { at = 2026-11-23T10:00:00Z }, ", "", "facts"),
    ("example without outcome", PROHIBITION, ', expect = "permit"', "", "expectation"),
    ("unknown reason code", PROHIBITION, '"objected"', '"annoyed"', "unknown reason code"),
    ("no reason code", PROHIBITION, 'code = "objected"\n', "", "no reason code"),
    ("unknown channel", PROHIBITION, "sms =", "pigeon =", "unknown channel"),
    ("unknown setting", PROHIBITION, 'sms = "on"', 'sms = "maybe"', "channel setting"),
    ("unknown kind", PROHIBITION, 'kind = "prohibition"', 'kind = "wish"', "unknown kind"),
    ("unknown status", PROHIBITION, '"in_force"', '"soon"', "unknown status"),
    ("unknown stage", PROHIBITION, "status", 'stage = "late"\nstatus', "unknown stage"),
    ("unknown purpose", PROHIBITION, "{ residence", '{ purpose = "fun", residence', "purpose"),
    ("unknown subject", PROHIBITION, "{ residence", '{ subject = "cat", residence', "subject"),
    ("unknown applies", PROHIBITION, "{ residence", "{ hair = 1, residence", "key hair"),
    ("applies to nobody", PROHIBITION, 'residence = ["*"]', "residence = []", "nobody"),
    ("missing id", PROHIBITION, 'id = "T-1"\n', "", "without id"),
    ("missing title", PROHIBITION, 'title = "A rule"\n', "", "no title"),
    ("flag as text", PROHIBITION, "needs_check = false", 'needs_check = "no"', "needs_check"),
    ("unknown cited code", PROHIBITION, "status", 'cites = { x = "T-2" }\nstatus', "reason code"),
    ("unknown key", PROHIBITION, "status", "channel = 7\nstatus", "unknown key channel"),
    ("part of nothing", PROHIBITION, "status", 'part_of = "T-9"\nstatus', "unknown rule T-9"),
    ("unknown unit", DEADLINE, '"za_days"', '"fortnights"', "unknown unit"),
    ("count as text", DEADLINE, "count = 30", 'count = "30"', "no count"),
    ("count of nothing", DEADLINE, "count = 30", "count = 0", "no count"),
    ("unknown calendar", DEADLINE, '"ZA"', '"XX"', "unknown calendar"),
    ("content of nothing", CONTENT, '["x"]', "[]", "no obligations"),
    ("window past midnight", WINDOW, '"20:00"', '"25:00"', "24:00"),
    ("window backwards", WINDOW, '"20:00"', '"07:00"', "close after"),
    ("window's calendar", WINDOW, '"ZA"', '"XX"', "unknown calendar"),
    ("age as text", AGE, "18", '"18"', "no age"),
    ("unknown signal", SIGNAL, '"reaches"', '"feels"', "unknown signal"),
    ("signal without limit", SIGNAL, "limit", "level", "no limit"),
    ("applies not a table", PROHIBITION, '{ residence = ["*"] }', '"everyone"', "malformed"),
    ("residence not a list", PROHIBITION, '["*"]', "7", "malformed"),
    ("channels not a table", PROHIBITION, '{ sms = "on" }', '["sms"]', "malformed"),
    ("example not a list", PROHIBITION, "example = [", "example = 7 #", "malformed"),
]  # fmt: skip


@pytest.mark.parametrize("body", [PROHIBITION, DEADLINE, CONTENT, WINDOW, AGE, SIGNAL])
def test_the_rules_the_refusals_are_planted_in_load(body):
    assert load({"t.toml": _file(body)}, CALENDARS, PREDICATES).rules


@pytest.mark.parametrize(
    ("body", "old", "new", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_rule_that_could_mislead_is_refused_with_file_rule_and_remedy(body, old, new, said):
    assert old in body
    with pytest.raises(InvalidInput) as refused:
        load({"t.toml": _file(body.replace(old, new, 1))}, CALENDARS, PREDICATES)
    message = refused.value.message
    assert message.startswith("t.toml: ")
    assert "T-1" in message or said == "without id"
    assert said in str(refused.value)
    assert refused.value.remedy
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("valid_to = 2021-01-01\n", "2021-01-01"),
        ("", "2030-01-01"),
        ("valid_to = 2022-01-01\n", "2020-01-01"),
    ],
)
def test_two_versions_of_one_id_valid_on_one_day_are_refused(first, second):
    older = PROHIBITION.replace("status", f"{first}status")
    newer = PROHIBITION.replace("valid_from = 2020-01-01", f"valid_from = {second}")
    with pytest.raises(InvalidInput, match=r"t\.toml: T-1: two versions are valid on"):
        load({"t.toml": _file(older, newer)}, CALENDARS, PREDICATES)


def test_one_id_in_two_files_is_refused_too():
    other = _file(PROHIBITION).replace(b'id = "T"', b'id = "U"')
    with pytest.raises(InvalidInput, match=r"u\.toml: T-1"):
        load({"t.toml": _file(PROHIBITION), "u.toml": other}, CALENDARS, PREDICATES)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "regime"),
        (b"\xff", "TOML"),
        (b"regime = 7", "regime"),
        (b"[regime", "TOML"),
        (b'[regime]\nid = "T"\nversion = "1"', "no zone"),
        (b'[regime]\nid = "T"\nversion = "one"\nzone = "UTC"', "version"),
        (b'[regime]\nid = "T"\nversion = "1"\nzone = "Mars/Base"', "zone"),
        (
            b'[regime]\nid = "T"\nversion = "1"\nzone = "UTC"\nfallbak = true',
            "unknown key fallbak",
        ),
        (b'rule = 7\n[regime]\nid = "T"\nversion = "1"\nzone = "UTC"', "malformed"),
        (b'rule = [7]\n[regime]\nid = "T"\nversion = "1"\nzone = "UTC"', "malformed"),
        (b'groups = 7\n[regime]\nid = "T"\nversion = "1"\nzone = "UTC"', "regime"),
    ],
)
def test_a_file_without_a_proper_head_is_refused_by_its_name(raw, said):
    with pytest.raises(InvalidInput, match=said) as refused:
        load({"t.toml": raw}, CALENDARS, PREDICATES)
    assert refused.value.message.startswith("t.toml: ")


def test_no_file_two_files_of_one_regime_and_lost_calendars_are_refused():
    body = _file(PROHIBITION)
    with pytest.raises(InvalidInput, match="no regime file"):
        load({}, CALENDARS, PREDICATES)
    with pytest.raises(InvalidInput, match="regime T is given twice"):
        load({"t.toml": body, "u.toml": body}, CALENDARS, PREDICATES)
    with pytest.raises(InvalidInput, match="two calendar files have one code"):
        load({"t.toml": body}, {"a": CALENDARS["IE.toml"], "b": CALENDARS["IE.toml"]}, PREDICATES)
    with pytest.raises(InvalidInput, match="US-CA needs calendar US-federal"):
        load({"t.toml": body}, {"a": CALENDARS["US-CA.toml"]}, PREDICATES)


@given(st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_bytes_make_the_loader_fail_otherwise_than_by_a_refusal(raw):
    with pytest.raises(InvalidInput):
        load({"t.toml": raw}, {}, PREDICATES)


def test_what_is_loaded_cannot_be_changed():
    with pytest.raises(TypeError):
        rule("ZA-14").params["sun"] = ("08:00", "20:00")
    with pytest.raises(AttributeError):
        rule("ZA-14").status = "repealed"
