"""Due dates of requests: the worked dates of the rules, the strictest rule, extensions, colours."""

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import troth
from troth.capabilities.rights import clocks
from troth.capabilities.rights.clocks import Place
from troth.errors import InvalidInput
from troth.kernel.calendars import day_ends, local_date
from troth.kernel.predicates import PREDICATES
from troth.kernel.regimes import load
from troth.terms import DAY, SECOND, Instant, instant

DATA = Path(troth.__file__).parent / "data"
RULES = load(
    *(
        {path.name: path.read_bytes() for path in sorted((DATA / kind).glob("*.toml"))}
        for kind in ("regimes", "calendars")
    ),
    PREDICATES,
)
ZA, DE = Place("ZA", "ZA", "Africa/Johannesburg"), Place("DE", "DE", "Europe/Berlin")
CALIFORNIA = Place("US-CA", "US-CA", "America/Los_Angeles")


def at(text, zone):
    return instant(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def of(right, day, place):
    return clocks.clock(RULES, right, at(f"{day}T10:00", place.zone), place)


def legal_day(clock):
    return clocks.last_day(clock.legal, clock.zone)


@pytest.mark.parametrize(
    ("right", "place", "start", "raw", "due"),
    [
        ("deletion", ZA, "2026-02-20", "2026-03-22", "2026-03-23"),
        ("access", ZA, "2026-03-04", "2026-04-03", "2026-04-04"),
        ("correction", ZA, "2026-07-10", "2026-08-09", "2026-08-11"),
        ("deletion", ZA, "2026-11-16", "2026-12-16", "2026-12-17"),
        ("access", ZA, "2026-11-25", "2026-12-25", "2026-12-28"),
        ("access", DE, "2026-01-31", "2026-02-28", "2026-03-02"),
        ("deletion", DE, "2028-01-31", "2028-02-29", "2028-02-29"),
        ("access", DE, "2026-08-31", "2026-09-30", "2026-09-30"),
        ("access", DE, "2026-03-05", "2026-04-05", "2026-04-07"),
        ("access", DE, "2026-11-25", "2026-12-25", "2026-12-28"),
        ("access", CALIFORNIA, "2026-11-23", "2027-01-07", "2027-01-07"),
        ("deletion", CALIFORNIA, "2026-01-10", "2026-02-24", "2026-02-24"),
    ],
)
def test_a_request_is_due_on_the_worked_date_and_never_later_than_the_raw_one(
    right, place, start, raw, due
):
    clock = of(right, start, place)
    assert clock.day == date.fromisoformat(raw)
    assert legal_day(clock) == date.fromisoformat(due)


def test_of_two_rules_that_reach_somebody_the_strictest_answer_wins():
    here, abroad = of("access", "2026-11-23", ZA), Place("DE", "ZA", "Africa/Johannesburg")
    both = of("access", "2026-11-23", abroad)
    assert (here.rule, here.day) == ("ZA-9", date(2026, 12, 23))
    assert both.due <= here.due
    assert both.latest <= here.latest
    january = of("access", "2026-01-31", abroad)
    assert (january.rule, january.day) == ("EU-5", date(2026, 2, 28))


def test_somebody_whose_residence_is_unknown_is_under_every_fallback_regime():
    assert of("access", "2026-01-31", Place("", "ZA", "Africa/Johannesburg")).rule == "EU-5"


def test_where_no_rule_of_law_reaches_the_house_promises_a_day_of_its_own():
    clock = of("access", "2026-11-23", Place("CA-ON", "CA-ON", "America/Toronto"))
    assert (clock.rule, clock.day, clock.latest) == ("house", date(2026, 12, 23), 0)


def test_a_clock_starts_on_the_local_day_of_the_regime():
    early = instant(datetime(2026, 11, 22, 22, 30, tzinfo=ZoneInfo("UTC")))
    assert local_date(early, ZA.zone) == date(2026, 11, 23)
    assert clocks.clock(RULES, "access", early, ZA).day == date(2026, 12, 23)
    late = instant(datetime(2026, 11, 23, 7, 30, tzinfo=ZoneInfo("UTC")))
    assert clocks.clock(RULES, "access", late, CALIFORNIA).day == date(2027, 1, 6)


def test_the_check_of_an_identity_does_not_move_the_due_date():
    begun = at("2026-01-10T10:00", CALIFORNIA.zone)
    assert clocks.clock(RULES, "deletion", begun, CALIFORNIA).day == date(2026, 2, 24)


def test_an_extension_is_told_in_time_goes_forward_and_not_too_far():
    clock = of("access", "2026-11-23", CALIFORNIA)
    before = Instant(clock.due - 1)
    clocks.require_extension(clock, clock.due, clock.latest, before)
    assert clocks.last_day(clock.latest, clock.zone) == date(2027, 2, 21)
    for due, now in (
        (clock.latest, clock.due),
        (Instant(clock.latest + 1), before),
        (clock.due, before),
    ):
        with pytest.raises(InvalidInput):
            clocks.require_extension(clock, clock.due, due, now)


def test_a_right_without_an_extension_in_law_has_none():
    clock = of("deletion", "2026-11-23", ZA)
    assert clock.latest == 0
    with pytest.raises(InvalidInput, match="no extension"):
        clocks.require_extension(clock, clock.due, Instant(clock.due + DAY), Instant(0))


def test_a_right_nobody_knows_has_no_clock():
    with pytest.raises(InvalidInput):
        of("everything", "2026-11-23", ZA)


@given(
    st.sampled_from(sorted(clocks.rights())),
    st.integers(0, 700),
    st.sampled_from(["ZA", "DE", "FR", "US-CA", "CA-ON", "", "BR"]),
    st.sampled_from(["ZA", "DE"]),
)
def test_every_right_has_a_due_date_after_its_receipt_wherever_somebody_lives(
    right, days, residence, seat
):
    received = Instant(at("2026-01-01T09:00", "UTC") + days * DAY)
    clock = clocks.clock(RULES, right, received, Place(residence, seat, "UTC"))
    assert received < clock.due <= clock.legal
    assert clock.latest == 0 or clock.latest > clock.due
    assert clock.due == day_ends(clock.day, clock.zone)
    narrower = clocks.clock(RULES, right, received, Place(residence, residence, "UTC"))
    if narrower.rule != clocks.HOUSE:
        assert clock.due <= narrower.due


@given(st.integers(1, 10**9), st.integers(-(10**9), 2 * 10**9))
def test_a_clock_only_goes_from_green_over_amber_to_red(length, now):
    order = ["green", "amber", "red"]
    one = clocks.colour(Instant(0), Instant(length), Instant(now))
    later = clocks.colour(Instant(0), Instant(length), Instant(now + SECOND))
    assert order.index(one) <= order.index(later)


def test_alarms_come_before_a_clock_is_over():
    begun, due = Instant(0), Instant(30 * DAY)
    colours = [clocks.colour(begun, due, Instant(day * DAY)) for day in range(31)]
    assert [colours.count(c) for c in ("green", "amber", "red")] == [20, 10, 1]
    assert clocks.days_left(due, Instant(due - DAY), "UTC") == 0
    assert (
        clocks.days_left(due, Instant(due + timedelta(days=1) // timedelta(microseconds=1)), "UTC")
        == -2
    )


def test_every_ground_of_the_data_names_its_source_and_says_that_it_needs_a_check():
    for each in clocks.settings()["ground"]:
        assert each["source"]
        assert each["needs_check"] is True
        assert each["acts"]
