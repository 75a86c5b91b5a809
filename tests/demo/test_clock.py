"""The demo's clock: one moment that suits, whatever day it is."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import InvalidInput
from troth.surfaces.demo.clock import BEFORE, LAST_PURCHASE, ZONE, demo_now, suits, whole_weeks

ZA = frozenset(holidays.country_holidays("ZA", years=range(2015, 2040)))
MOMENTS = st.datetimes(
    datetime(2020, 1, 1),
    datetime(2038, 1, 1),
    timezones=st.sampled_from([UTC, ZONE, ZoneInfo("America/Los_Angeles")]),
)


def test_without_a_wish_it_is_the_latest_working_day_before_24_november_2026_that_suits():
    now = demo_now(ZA)
    assert now == datetime(2026, 11, 17, 10, tzinfo=ZONE)
    between = [now.date() + timedelta(days=n) for n in range(1, (BEFORE - now.date()).days)]
    assert not any(suits(day, ZA) for day in between)


def test_purchases_moved_by_whole_weeks_end_the_day_before():
    now = demo_now(ZA)
    moved = LAST_PURCHASE + timedelta(weeks=whole_weeks(now))
    assert moved == now.date() - timedelta(days=1)
    assert moved.weekday() == LAST_PURCHASE.weekday()


@given(at=MOMENTS)
def test_it_is_ten_in_johannesburg_on_a_tuesday_that_is_no_holiday_and_not_after_the_wish(at):
    now = demo_now(ZA, at)
    assert now <= at
    assert (now.timetz(), now.tzinfo) == (time(10, tzinfo=ZONE), ZONE)
    assert now.weekday() == 1
    assert now.date() not in ZA
    assert demo_now(ZA, now) == now
    assert LAST_PURCHASE + timedelta(weeks=whole_weeks(now)) == now.date() - timedelta(days=1)


@given(at=MOMENTS)
def test_for_any_moment_at_all_purchases_end_before_it_and_at_most_a_week_before(at):
    end = LAST_PURCHASE + timedelta(weeks=whole_weeks(at))
    assert timedelta(1) <= at.astimezone(ZONE).date() - end <= timedelta(7)


@pytest.mark.parametrize(
    ("wish", "day"),
    [
        ("2026-11-24T10:00:00+02:00", date(2026, 11, 24)),
        ("2026-11-24T09:59:59+02:00", date(2026, 11, 17)),
        ("2026-11-22T23:30:00+02:00", date(2026, 11, 17)),
        ("2028-02-29T23:59:59+02:00", date(2028, 2, 29)),
        ("2024-02-29T12:00:00+02:00", date(2024, 2, 27)),
    ],
)
def test_a_wish_gives_the_suiting_moment_at_or_before_it(wish, day):
    assert demo_now(ZA, datetime.fromisoformat(wish)).date() == day


def test_a_holiday_on_the_tuesday_moves_the_demo_a_week_back():
    assert demo_now({date(2026, 11, 17)}).date() == date(2026, 11, 10)


def test_a_wish_without_a_zone_is_refused_with_its_remedy():
    with pytest.raises(InvalidInput, match="zone"):
        demo_now(ZA, datetime(2026, 11, 24, 10))


def test_a_calendar_that_leaves_no_day_is_refused():
    every = {BEFORE - timedelta(days=n) for n in range(400)}
    with pytest.raises(InvalidInput, match="calendar"):
        demo_now(every)
