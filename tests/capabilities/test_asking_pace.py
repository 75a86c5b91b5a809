"""The rule of asking, for any history: another no never makes an ask earlier."""

import tomllib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.capabilities.preferences import pacing
from troth.capabilities.preferences.asking import files, shipped_pace
from troth.capabilities.preferences.pacing import (
    EVERYTHING,
    Ban,
    Denial,
    History,
    Law,
    NotNow,
    judge,
    read_pace,
)
from troth.errors import InvalidInput
from troth.kernel.predicates import PREDICATES
from troth.kernel.regimes import load
from troth.terms import DAY, SECOND, Instant, from_zulu

DATA = files("troth") / "data"
RAW = (DATA / "asking.toml").read_bytes()
RULES = load(
    *(
        {each.name: each.read_bytes() for each in (DATA / kind).iterdir()}
        for kind in ("regimes", "calendars")
    ),
    PREDICATES,
)
NOW = from_zulu("2026-11-17T08:00:00Z")
HERE, THERE, ELSEWHERE = "offers|email", "marketing|*", "newsletter|email"
SCOPES = frozenset({HERE, THERE})
PLACES = [("EU",), ("EU", "ZA"), ("ZA",), ("US", "US-CA"), ("CA",), ()]


def law(regimes):
    return Law(RULES, regimes)


moments = st.integers(-900, 0).map(lambda d: Instant(NOW + d * DAY))
several = st.lists(moments, max_size=3).map(tuple)
denials = st.builds(
    Denial,
    st.sampled_from([HERE, THERE, ELSEWHERE, EVERYTHING]),
    st.sampled_from(["refused", "withdrawn", "objected", "opted_out", "expired", "unsubscribe"]),
    moments,
)
histories = st.builds(
    History,
    customer=st.booleans(),
    asked=several,
    granted=several,
    denials=st.lists(denials, max_size=3).map(tuple),
    kept=several,
    broken=several,
    sales=several,
    claimed=st.booleans(),
)


def earliest(history, place):
    """When this may be asked at the soonest if nothing else happens; None never."""
    at = NOW
    for _ in range(12):
        why = judge(history, SCOPES, shipped_pace(), law(place), at)
        if why is None:
            return at
        if why.until is None:
            return None
        at = why.until
    raise AssertionError("a hindrance that ends is followed by others without end")


def no_earlier(after, before):
    return after is None or (before is not None and after >= before)


@settings(max_examples=300, deadline=None)
@given(histories, denials, st.sampled_from(PLACES))
def test_no_withdrawal_refusal_or_objection_ever_makes_an_ask_earlier(history, no, place):
    more = replace(history, denials=(*history.denials, no))
    assert no_earlier(earliest(more, place), earliest(history, place))


@settings(max_examples=200, deadline=None)
@given(
    histories, moments, st.sampled_from(["asked", "broken", "granted"]), st.sampled_from(PLACES)
)
def test_no_ask_broken_promise_or_new_yes_makes_the_next_ask_earlier(history, at, what, place):
    more = replace(history, **{what: (*getattr(history, what), at)})
    assert no_earlier(earliest(more, place), earliest(history, place))


@settings(max_examples=150, deadline=None)
@given(histories, st.sampled_from(PLACES), st.sampled_from(["US-CA", "ZA", "EU"]))
def test_another_country_that_applies_never_makes_an_ask_earlier(history, place, other):
    assert no_earlier(earliest(history, (*place, other)), earliest(history, place))


@settings(max_examples=150, deadline=None)
@given(histories, st.sampled_from(PLACES))
def test_what_is_answered_holds_until_the_moment_it_names(history, place):
    why = judge(history, SCOPES, shipped_pace(), law(place), NOW)
    if why is not None and why.until is not None:
        before = judge(history, SCOPES, shipped_pace(), law(place), Instant(why.until - SECOND))
        assert before is not None
        assert why.until > NOW


def test_the_property_can_fail():
    """Planted: a rule that forgets the window lets a new withdrawal replace an old refusal."""
    history = History(customer=True, denials=(Denial(ELSEWHERE, "refused", NOW),))
    before = earliest(history, ("EU",))
    wrong = replace(history, denials=(Denial(ELSEWHERE, "withdrawn", Instant(NOW - 80 * DAY)),))
    assert not no_earlier(earliest(wrong, ("EU",)), before)


def day(days):
    return Instant(NOW - days * DAY)


CASES = [
    (History(customer=True), None),
    (History(customer=True, granted=(day(9),), kept=(day(1), day(2))), None),
    (History(customer=True, granted=(day(9),), kept=(day(1),)), "not_earned_yet"),
    (History(customer=True, granted=(day(9),), sales=(day(1),)), None),
    (History(customer=True, granted=(day(9),), sales=(day(9),)), "not_earned_yet"),
    (History(customer=True, granted=(day(9),), sales=(day(-1),)), "not_earned_yet"),
    (History(customer=True, asked=(day(30),)), None),
    (History(customer=True, asked=(Instant(day(30) + SECOND),)), "cool_down"),
    (History(customer=True, denials=(Denial(ELSEWHERE, "withdrawn", day(90)),)), None),
    (
        History(customer=True, denials=(Denial(ELSEWHERE, "withdrawn", Instant(day(90) + 1)),)),
        "grievance",
    ),
    (History(customer=True, denials=(Denial(ELSEWHERE, "refused", day(30)),)), None),
    (History(customer=True, denials=(Denial(HERE, "refused", day(180)),)), "refused_lately"),
    (History(customer=True, denials=(Denial(HERE, "refused", day(185)),)), None),
    (
        History(customer=True, denials=(Denial(EVERYTHING, "objected", day(180)),)),
        "refused_lately",
    ),
    (History(customer=True, broken=(day(89),)), "promise_broken"),
    (History(customer=False), None),
    (History(customer=False, claimed=True), "asked_once_already"),
    (History(customer=False, asked=(day(900),)), "asked_once_already"),
]


@pytest.mark.parametrize(("history", "reason"), CASES)
def test_each_number_holds_to_its_edge(history, reason):
    why = judge(history, SCOPES, shipped_pace(), law(("EU",)), NOW)
    assert (why.reason if why else None) == reason


def test_whoever_is_no_customer_and_refused_is_not_asked_again_in_south_africa_alone():
    history = History(customer=False, denials=(Denial(ELSEWHERE, "refused", day(900)),))
    there = judge(history, SCOPES, shipped_pace(), law(("ZA",)), NOW)
    assert there == NotNow("refused_for_good")
    assert judge(history, SCOPES, shipped_pace(), law(("EU",)), NOW) is None
    assert (
        judge(replace(history, customer=True), SCOPES, shipped_pace(), law(("ZA",)), NOW) is None
    )


def test_californias_ban_is_the_one_its_rule_file_counts():
    history = History(customer=True, denials=(Denial(HERE, "opted_out", day(190)),))
    why = judge(history, SCOPES, shipped_pace(), law(("US", "US-CA")), NOW)
    assert why == NotNow("refused_lately", RULES.due("CA-5", day(190))[1])
    assert judge(history, SCOPES, shipped_pace(), law(("US",)), NOW) is None


NUMBERS = ["messages = 2", "sales = 1", "days = 90", "days = 30", "months = 6"]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("by", [-1, 1])
def test_a_number_moved_by_one_changes_an_answer(number, by):
    key, value = number.split(" = ")
    moved = RAW.decode().replace(number, f"{key} = {int(value) + by}")
    if number == "sales = 1" and by == -1:
        with pytest.raises(InvalidInput):
            read_pace(moved.encode())
        return
    pace, edges = read_pace(moved.encode()), [
        *CASES,
        (History(customer=True, granted=(day(9),), kept=(day(1),) * 2), None),
        (History(customer=True, denials=(Denial(HERE, "refused", day(160)),)), "refused_lately"),
        (History(customer=True, asked=(day(30),)), None),
        (History(customer=True, asked=(Instant(day(30) + SECOND),)), "cool_down"),
    ]  # fmt: skip
    found = [judge(history, SCOPES, pace, law(("EU",)), NOW) for history, _ in edges]
    assert [w.reason if w else None for w in found] != [reason for _, reason in edges]


def test_every_table_of_the_file_names_its_source_and_its_dates():
    told = tomllib.loads(RAW.decode())
    tables = [*told["ban"], *(told[name] for name in pacing._TABLES)]
    assert len(tables) == 6
    for table in tables:
        assert table["source"].strip()
        assert table["needs_check"] or not {"S", "K"} & set(table["source_mark"])
        assert table["checked_on"] < table["review_by"]
    assert read_pace(RAW).bans == (Ban("", 6), Ban("US-CA", rule="CA-5"), Ban("ZA", never="not_customer"))  # fmt: skip
    assert {ban.rule for ban in shipped_pace().bans} - {""} <= {r.id for r in RULES.rules}
    assert {ban.regime for ban in shipped_pace().bans} - {""} <= RULES.regimes.keys()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[kept]", "[kept"),
        ("[window]", "[windows]"),
        ("messages = 2", 'messages = "2"'),
        ("messages = 2", "messages = 0"),
        ("messages = 2", "messages = true"),
        ("messages = 2", "messages = 2\nmore = 1"),
        ("months = 6", "months = 0"),
        ("months = 6", 'months = 6\nrule = "CA-5"'),
        ("months = 6", ""),
        ('never = "not_customer"', 'never = "anybody"'),
        ('regime = "ZA"\n', ""),
        ("[[ban]]", "[[bans]]"),
        ('source = "Own reading: a quarter without a grievance"', ""),
    ],
)
def test_a_file_that_could_mislead_is_refused(old, new):
    assert old in RAW.decode()
    with pytest.raises(InvalidInput, match=r"asking\.toml"):
        read_pace(RAW.decode().replace(old, new, 1).encode())
    with pytest.raises(InvalidInput):
        read_pace(b"\xff")
    with pytest.raises(InvalidInput):
        read_pace(b'version = "1"\nban = [1]\nkept = 1\nwindow = 1\ncool_down = 1\n')
