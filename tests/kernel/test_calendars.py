"""Days, months, hours and windows are counted as the field page counts them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import troth
from troth.errors import InvalidInput
from troth.kernel import calendars
from troth.kernel.calendars import (
    CLOSED,
    MINUTE,
    NO_HOLIDAYS,
    Window,
    add_months,
    business_days,
    calendar_days,
    day_begins,
    day_ends,
    eu_months,
    hours,
    local_date,
    local_window,
    months_back,
    next_open,
    parse_calendar,
    parse_window,
    window_end,
    za_days,
)
from troth.terms import Instant, instant

FOLDER = Path(troth.__file__).parent / "data" / "calendars"
CALENDARS = {path.stem: parse_calendar(path.name, path.read_bytes()) for path in FOLDER.glob("*")}
YEARS = range(2016, 2033)
JOHANNESBURG = "Africa/Johannesburg"
QUIET = {"mon_fri": ["08:00", "20:00"], "sat": ["09:00", "13:00"], "sun": [], "holiday": []}
US_CALLS = {day: ["08:00", "21:00"] for day in ("mon_fri", "sat", "sun", "holiday")}


def at(text: str) -> Instant:
    return instant(datetime.fromisoformat(text))


def d(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("start", "raw", "due"),
    [
        ("2026-02-20", "2026-03-22", "2026-03-23"),
        ("2026-03-04", "2026-04-03", "2026-04-04"),
        ("2026-07-10", "2026-08-09", "2026-08-11"),
        ("2026-11-16", "2026-12-16", "2026-12-17"),
        ("2026-11-25", "2026-12-25", "2026-12-28"),
    ],
)
def test_thirty_south_african_days_roll_over_sundays_and_holidays_but_not_saturdays(
    start, raw, due
):
    assert za_days(d(start), 30, CALENDARS["ZA"]) == (d(raw), d(due))


@pytest.mark.parametrize(
    ("months", "start", "raw", "due"),
    [
        (1, "2026-01-31", "2026-02-28", "2026-03-02"),
        (1, "2028-01-31", "2028-02-29", "2028-02-29"),
        (1, "2026-08-31", "2026-09-30", "2026-09-30"),
        (1, "2026-03-05", "2026-04-05", "2026-04-07"),
        (1, "2026-11-25", "2026-12-25", "2026-12-28"),
        (3, "2026-11-30", "2027-02-28", "2027-03-01"),
    ],
)
def test_european_months_clamp_to_the_month_and_roll_to_a_working_day(months, start, raw, due):
    assert eu_months(d(start), months, CALENDARS["DE"]) == (d(raw), d(due))


@pytest.mark.parametrize(
    ("calendar", "count", "start", "due"),
    [
        ("US-federal", 10, "2026-06-26", "2026-07-13"),
        ("US-federal", 10, "2026-11-20", "2026-12-07"),
        ("US-federal", 15, "2026-06-18", "2026-07-13"),
        ("CA-ON", 10, "2026-05-08", "2026-05-25"),
        ("CA-ON", 10, "2026-12-18", "2027-01-06"),
    ],
)
def test_business_days_skip_weekends_and_the_named_holidays(calendar, count, start, due):
    named = CALENDARS[calendar]
    assert business_days(d(start), count, named, named) == (d(due), d(due))


@pytest.mark.parametrize(
    ("start", "count", "due"),
    [
        ("2026-11-23", 45, "2027-01-07"),
        ("2026-11-23", 90, "2027-02-21"),
        ("2026-01-10", 45, "2026-02-24"),
    ],
)
def test_calendar_days_never_roll(start, count, due):
    assert calendar_days(d(start), count) == (d(due), d(due))


@pytest.mark.parametrize(
    ("send", "months", "oldest"),
    [
        ("2026-11-23", 24, "2024-11-23"),
        ("2028-02-29", 24, "2026-02-28"),
        ("2026-08-31", 6, "2026-02-28"),
    ],
)
def test_months_back_clamp_to_the_month(send, months, oldest):
    assert months_back(d(send), months) == d(oldest)


def test_hours_run_through_nights_weekends_and_clock_changes():
    start = at("2026-10-23T18:00:00+02:00")
    assert hours(start, 72) == at("2026-10-26T17:00:00+01:00")


def test_californian_strict_days_skip_only_days_that_are_holidays_in_both_lists():
    state, federal = CALENDARS["US-CA"], CALENDARS[CALENDARS["US-CA"].strict_with]
    # The day after Thanksgiving is a holiday of the state alone.
    due = business_days(d("2026-11-20"), 10, state, federal)
    assert due == (d("2026-12-07"), d("2026-12-08"))


def test_a_clock_starts_on_the_local_date():
    assert local_date(at("2026-11-22T22:30:00+00:00"), JOHANNESBURG) == d("2026-11-23")
    assert local_date(at("2026-11-23T07:30:00+00:00"), "America/Los_Angeles") == d("2026-11-22")


def test_a_local_day_is_as_long_as_the_zone_makes_it():
    day = d("2026-10-25")
    assert day_ends(day, "Europe/Berlin") - day_begins(day, "Europe/Berlin") == 25 * 60 * MINUTE


@given(st.dates(d("2016-01-01"), d("2031-12-31")), st.integers(0, 400))
def test_a_legal_date_is_never_before_the_strict_one_and_is_a_day_that_counts(start, count):
    calendar = CALENDARS["ZA"]
    end = start + timedelta(days=count)
    if end.year > 2031:
        return
    strict, legal = za_days(start, count, calendar)
    assert strict == end <= legal < end + timedelta(days=6)
    assert legal.weekday() != 6
    assert not calendar.holiday(legal)


@given(st.dates(d("1990-01-01"), d("2090-12-31")), st.integers(-600, 600))
def test_months_keep_the_day_number_or_end_the_month(day, months):
    moved = add_months(day, months)
    assert (moved.year - day.year) * 12 + moved.month - day.month == months
    assert moved.day == day.day or (
        moved.day < day.day and (moved + timedelta(days=1)).month != moved.month
    )


@lru_cache
def oracle(code: str) -> set[date]:
    country, _, subdivision = code.partition("-")
    known = "" if subdivision == "federal" else subdivision
    found = holidays.country_holidays(country, subdiv=known or None, years=YEARS)
    return {day for day in found if day.year in YEARS}


@pytest.mark.parametrize("code", ["ZA", "DE", "FR", "IE", "US-federal", "CA-ON"])
def test_a_calendar_holds_exactly_the_days_the_oracle_knows(code):
    assert set(CALENDARS[code].days) == oracle(code)


def test_the_dutch_calendar_leaves_out_good_friday_alone():
    missing = oracle("NL") - set(CALENDARS["NL"].days)
    assert set(CALENDARS["NL"].days) < oracle("NL")
    assert len(missing) == len(YEARS)
    assert {day.weekday() for day in missing} == {4}


def test_the_californian_calendar_leaves_out_observances_and_days_moved_from_a_saturday():
    days = set(CALENDARS["US-CA"].days)
    names = holidays.country_holidays("US", subdiv="CA", years=YEARS)
    assert days <= oracle("US-CA")
    for day in oracle("US-CA") - days:
        moved = day.weekday() == 4 and "(observed)" in names[day]
        early = "Juneteenth" in names[day] and day.year < 2022
        assert moved or early or names[day] in ("Susan B. Anthony Day", "Diwali"), (
            day,
            names[day],
        )


@pytest.mark.parametrize("code", sorted(CALENDARS))
def test_every_calendar_covers_the_same_years_and_says_where_it_is_from(code):
    calendar = CALENDARS[code]
    assert (calendar.code, calendar.first, calendar.last) == (code, 2016, 2032)
    assert calendar.source
    assert {day.year for day in calendar.days} == set(YEARS)


@pytest.mark.parametrize("day", ["2016-08-03", "2021-11-01", "2023-12-15", "2026-11-04"])
def test_days_proclaimed_once_are_holidays(day):
    assert CALENDARS["ZA"].holiday(d(day))


def test_a_year_no_calendar_covers_is_refused_and_not_taken_for_working_days():
    with pytest.raises(InvalidInput, match=r"ZA covers 2016-2032, not 2033"):
        za_days(d("2032-12-20"), 30, CALENDARS["ZA"])


GOOD = """
code = "ZZ"
version = "1"
source = "made for a test"
first_year = 2026
last_year = 2026
holiday = [ { date = 2026-01-01, name = "New Year" } ]
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('code = "ZZ"', ""),
        ('source = "made for a test"', 'source = ""'),
        ('version = "1"', "version = 1"),
        ("date = 2026-01-01", 'date = "2026-01-01"'),
        ("date = 2026-01-01", "date = 2026-01-01T00:00:00Z"),
        ("date = 2026-01-01", "date = 2027-01-01"),
        ("first_year = 2026", "first_year = []"),
        ("holiday", "holidays"),
        ("holiday = [", 'holiday = [ { date = 2026-01-01, name = "Again" },'),
        ("source", "= source"),
    ],
)
def test_a_malformed_calendar_is_refused_by_its_file_name(old, new):
    parse_calendar("zz.toml", GOOD.encode())
    with pytest.raises(InvalidInput, match=r"calendar file zz\.toml"):
        parse_calendar("zz.toml", GOOD.replace(old, new, 1).encode())


def test_bytes_that_are_not_text_are_refused_as_a_calendar():
    with pytest.raises(InvalidInput, match=r"zz\.toml"):
        parse_calendar("zz.toml", b"\xff\xfe")


def quiet() -> Window:
    return parse_window(QUIET, CALENDARS["ZA"])


@pytest.mark.parametrize(
    ("when", "inside"),
    [
        ("2026-11-23T07:59:59+02:00", False),
        ("2026-11-23T08:00:00+02:00", True),
        ("2026-11-23T19:59:59+02:00", True),
        ("2026-11-23T20:00:00+02:00", False),
        ("2026-11-23T20:03:00+02:00", False),
        ("2026-11-21T08:59:59+02:00", False),
        ("2026-11-21T09:00:00+02:00", True),
        ("2026-11-21T12:59:59+02:00", True),
        ("2026-11-21T13:00:00+02:00", False),
        ("2026-11-22T11:00:00+02:00", False),
        ("2026-08-10T11:00:00+02:00", False),
        ("2026-11-04T11:00:00+02:00", False),
    ],
)
def test_quiet_times_are_judged_to_the_second_on_the_local_clock(when, inside):
    assert local_window(quiet(), (JOHANNESBURG,), at(when)) is inside


def test_an_open_window_says_when_it_closes_and_a_closed_one_when_it_opens():
    window, here = quiet(), (JOHANNESBURG,)
    friday = at("2026-08-07T19:58:30+02:00")
    assert window_end(window, here, friday) == at("2026-08-07T20:00:00+02:00")
    assert next_open(window, here, friday) == friday
    sunday = at("2026-08-09T11:00:00+02:00")
    assert window_end(window, here, sunday) == 0
    assert next_open(window, here, sunday) == at("2026-08-11T08:00:00+02:00")


def test_a_travelling_person_is_met_only_where_every_zone_is_open():
    window = quiet()
    both = (JOHANNESBURG, "America/New_York")
    assert not local_window(window, both, at("2026-11-23T10:00:00+02:00"))
    assert local_window(window, both, at("2026-11-23T15:00:00+02:00"))
    assert window_end(window, both, at("2026-11-23T15:00:00+02:00")) == at(
        "2026-11-23T20:00:00+02:00"
    )
    assert next_open(window, both, at("2026-11-23T21:00:00+02:00")) == at(
        "2026-11-24T15:00:00+02:00"
    )


def test_without_any_zone_nothing_is_inside():
    assert not local_window(quiet(), (), at("2026-11-23T10:00:00+02:00"))
    assert next_open(quiet(), (), at("2026-11-23T10:00:00+02:00")) == 0


def test_a_window_without_open_hours_never_opens():
    window = parse_window({}, NO_HOLIDAYS)
    assert window.mon_fri == CLOSED
    assert next_open(window, (JOHANNESBURG,), at("2026-11-23T10:00:00+02:00")) == 0


@pytest.mark.parametrize(
    ("zone", "when", "inside"),
    [
        ("America/New_York", "2026-03-08T11:59:00+00:00", False),
        ("America/New_York", "2026-03-08T12:00:00+00:00", True),
        ("America/Los_Angeles", "2026-03-08T14:59:00+00:00", False),
        ("America/Los_Angeles", "2026-03-08T15:00:00+00:00", True),
        ("America/New_York", "2026-11-01T12:59:00+00:00", False),
        ("America/New_York", "2026-11-01T13:00:00+00:00", True),
        ("America/Los_Angeles", "2026-11-02T04:59:00+00:00", True),
        ("America/Los_Angeles", "2026-11-02T05:00:00+00:00", False),
    ],
)
def test_calling_hours_follow_the_wall_clock_on_the_sunday_it_changes(zone, when, inside):
    window = parse_window(US_CALLS, CALENDARS["US-federal"])
    assert local_window(window, (zone,), at(when)) is inside


minutes_of_day = st.integers(0, 1438)


@st.composite
def spans(draw):
    opens = draw(minutes_of_day)
    return (opens, draw(st.integers(opens + 1, 1439))) if draw(st.booleans()) else CLOSED


def walls(window: Window, zones: tuple[str, ...], when: Instant) -> bool:
    """The definition, slowly: the wall clock of every zone lies in the day's span."""
    inside = []
    for name in zones:
        wall = datetime.fromtimestamp(when / 1e6, UTC).astimezone(ZoneInfo(name))
        opens, closes = window.span(wall.date())
        inside.append(opens <= wall.hour * 60 + wall.minute < closes)
    return bool(inside) and all(inside)


CHANGES = ["2026-03-29T00:00:00+00:00", "2026-10-25T00:00:00+00:00", "2026-04-04T14:00:00+00:00"]


@settings(max_examples=40, deadline=None)
@example(CHANGES[0], -30, (0, 150), (0, 150), ("Europe/Berlin",))
@example(CHANGES[1], 45, (150, 240), (150, 240), ("Europe/Berlin",))
@example(CHANGES[1], -30, (0, 150), (0, 150), ("Europe/Berlin",))
@given(
    st.sampled_from(CHANGES),
    st.integers(-1440, 1440),
    spans(),
    spans(),
    st.sampled_from(
        [("Europe/Berlin",), ("Australia/Lord_Howe",), ("Europe/Berlin", "Asia/Kathmandu")]
    ),
)
def test_a_window_ends_at_the_first_minute_the_wall_clock_leaves_it(
    change, offset, week, weekend, zones
):
    window = Window(NO_HOLIDAYS, week, weekend, weekend, CLOSED)
    now = Instant(at(change) + offset * MINUTE)
    assert local_window(window, zones, now) is walls(window, zones, now)
    end = window_end(window, zones, now)
    if end:
        minutes = range(now, end, MINUTE)
        assert all(walls(window, zones, Instant(minute)) for minute in minutes)
        assert not walls(window, zones, end)


@settings(max_examples=40, deadline=None)
@example(CHANGES[0], 45, (150, 240), (150, 240), ("Europe/Berlin",))
@example(CHANGES[1], 31, (0, 150), (0, 150), ("Europe/Berlin",))
@example(CHANGES[1], -90, (150, 240), (150, 240), ("Europe/Berlin",))
@given(
    st.sampled_from(CHANGES),
    st.integers(-2000, 1440),
    spans(),
    spans(),
    st.sampled_from(
        [("Europe/Berlin",), ("Australia/Lord_Howe",), ("Europe/Berlin", "Asia/Kathmandu")]
    ),
)
def test_a_window_next_opens_at_the_first_minute_the_wall_clock_enters_it(
    change, offset, week, weekend, zones
):
    window = Window(NO_HOLIDAYS, week, weekend, weekend, CLOSED)
    now = Instant(at(change) + offset * MINUTE)
    opens = next_open(window, zones, now)
    before = range(now, min(opens or now, now + 2000 * MINUTE), MINUTE)
    assert not any(walls(window, zones, Instant(minute)) for minute in before)
    if opens:
        assert walls(window, zones, opens)
    else:
        later = range(now, now + 14_000 * MINUTE, 7 * MINUTE)
        assert not any(walls(window, zones, Instant(minute)) for minute in later)


@given(st.lists(st.integers(0, 3 * 1440 * 60), min_size=1, max_size=30))
def test_a_remembered_answer_is_the_fresh_answer(seconds):
    window, start = quiet(), at("2026-11-20T00:00:00+02:00")
    for second in seconds:
        when = Instant(start + second * 1_000_000)
        assert window_end(window, (JOHANNESBURG,), when) == window_end(
            quiet(), (JOHANNESBURG,), when
        )


def test_times_of_day_reach_to_the_last_minute_and_to_midnight():
    assert parse_window({"sun": ["08:59", "24:00"]}, NO_HOLIDAYS).sun == (539, 1440)
    assert parse_window({"sat": ["00:00", "23:59"]}, NO_HOLIDAYS).sat == (0, 1439)


@pytest.mark.parametrize(("closed", "found"), [(30, True), (31, False)])
def test_the_next_opening_is_looked_for_a_month_ahead(closed, found):
    first = d("2026-03-01")
    shut = {first + timedelta(days=n): "shut" for n in range(closed)}
    calendar = replace(CALENDARS["ZA"], days=shut)
    always = {day: ["08:00", "20:00"] for day in ("mon_fri", "sat", "sun")}
    window = parse_window(always, calendar)
    opens = next_open(window, ("UTC",), at("2026-03-01T10:00:00+00:00"))
    assert opens == (at("2026-03-31T08:00:00+00:00") if found else 0)


def test_a_full_memory_is_emptied_and_answers_stay_right(monkeypatch):
    monkeypatch.setattr(calendars, "_CACHE_LIMIT", 3)
    window, start = quiet(), at("2026-11-23T19:50:00+02:00")
    ends = [window_end(window, (JOHANNESBURG,), Instant(start + n * MINUTE)) for n in range(20)]
    assert ends == [at("2026-11-23T20:00:00+02:00")] * 10 + [0] * 10
    assert len(window._known[JOHANNESBURG,]) <= 3


@pytest.mark.parametrize(
    "span", [["20:00", "08:00"], ["8:00", "20:00"], ["08:00"], ["08:00", "24:01"], ["08:60", "09:00"],
             ["08:00", "08:00"], "08:00", 8, ["aa:bb", "cc:dd"], ["٠٨:00", "20:00"]]
)  # fmt: skip
def test_a_window_that_cannot_be_read_is_refused(span):
    with pytest.raises(InvalidInput):
        parse_window({"mon_fri": span}, NO_HOLIDAYS)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "Africa"])
def test_an_unknown_zone_is_refused_and_not_taken_for_utc(name):
    with pytest.raises(InvalidInput, match="unknown time zone"):
        local_window(quiet(), (name,), at("2026-11-23T10:00:00+02:00"))
