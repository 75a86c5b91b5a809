"""Holiday calendars, every day-count kind of the rules, and windows of local wall-clock time.

A calendar is a dated TOML file with its source; dates of law are never constants here. Day counts
work on dates of the regime's zone, windows on the recipient's wall clock. A day outside the years
a calendar covers raises `InvalidInput`: an unknown holiday is not a working day.
"""

import tomllib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from troth.errors import InvalidInput
from troth.terms import SECOND, Instant, instant, moment

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
_ONE_DAY = timedelta(days=1)
_SATURDAY, _SUNDAY = 5, 6
_MIDNIGHT = 1440
_HORIZON_DAYS = 31
_CACHE_LIMIT = 200_000


class Due(NamedTuple):
    """When something is due: `strict` is never rolled forward, `legal` by the regime's rolling.

    `strict` drives alarms and promises to people, `legal` is shown to staff.
    """

    strict: date
    legal: date


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """Public holidays of one country or subdivision.

    Attributes:
        code: ISO 3166 country or subdivision, or an agreed word such as `US-federal`.
        version: Version of the file; store it with each deadline computed.
        first: First year covered, inclusive.
        last: Last year covered, inclusive.
        days: Date to name, one-off days included.
        strict_with: Calendar that must also hold a day for the strict count to skip it, or "".
    """

    code: str
    version: str
    source: str
    first: int
    last: int
    days: Mapping[date, str]
    strict_with: str = ""

    def holiday(self, day: date) -> bool:
        """Tell whether `day` is a holiday; a year not covered raises `InvalidInput`."""
        if not self.first <= day.year <= self.last:
            raise InvalidInput(
                f"calendar {self.code} covers {self.first}-{self.last}, not {day.year}",
                "publish a calendar file that covers the year",
            )
        return day in self.days


NO_HOLIDAYS = Calendar("", "", "no holidays apply", date.min.year, date.max.year, {})
"""For windows and counts that know no holiday."""


def parse_calendar(name: str, raw: bytes) -> Calendar:
    """Read one calendar file; `name` is only for messages. A malformed file raises `InvalidInput`.

    The format: `code`, `version`, `source`, `first_year`, `last_year`, optional `strict_with`,
    and `[[holiday]]` tables with `date`, `name` and, for days proclaimed once, `one_off = true`.
    """
    try:
        data = tomllib.loads(raw.decode())
        days = {_plain_date(row["date"]): str(row["name"]) for row in data["holiday"]}
        calendar = Calendar(
            code=_text(data["code"]),
            version=_text(data["version"]),
            source=_text(data["source"]),
            first=int(data["first_year"]),
            last=int(data["last_year"]),
            days=days,
            strict_with=str(data.get("strict_with", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"calendar file {name} is malformed ({type(error).__name__}: {error})",
            "give code, version, source, first_year, last_year and [[holiday]] date and name",
        ) from None
    if len(days) != len(data["holiday"]):
        raise InvalidInput(f"calendar file {name} gives one date twice", "merge the two names")
    if any(not calendar.first <= day.year <= calendar.last for day in days):
        raise InvalidInput(f"calendar file {name} has a holiday outside its years", "widen them")
    return calendar


def _plain_date(value: object) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError("a holiday needs a date without a time")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("an empty text")
    return value


def add_months(day: date, months: int) -> date:
    """Same day number `months` on (or back); where absent, the last day of that month.

    >>> add_months(date(2026, 1, 31), 1).isoformat()
    '2026-02-28'
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)  # noqa: PLR2004 - December
    return date(year, month + 1, min(day.day, (following - _ONE_DAY).day))


def months_back(day: date, months: int) -> date:
    """First date that is still within `months` calendar months before `day`, clamped."""
    return add_months(day, -months)


def years_lived(born: int, at: Instant) -> int:
    """Return the whole years somebody born in a year has lived for sure: in doubt the younger.

    >>> years_lived(2008, Instant(1_795_000_000_000_000))
    17
    """
    return moment(at).year - born - 1


def quarter(day: date) -> str:
    """Name the calendar quarter a day lies in; behaviour is sealed under one key a quarter.

    >>> quarter(date(2026, 11, 23))
    '2026Q4'
    """
    return f"{day.year}Q{(day.month + 2) // 3}"


def za_days(start: date, count: int, calendar: Calendar) -> Due:
    """Start excluded, last day included unless a Sunday or holiday; Saturday counts."""
    raw = start + timedelta(days=count)
    return Due(raw, _roll(raw, lambda day: day.weekday() == _SUNDAY or calendar.holiday(day)))


def eu_months(start: date, count: int, calendar: Calendar) -> Due:
    """Same day number `count` months on, clamped, then on to a working day (Reg. 1182/71)."""
    raw = add_months(start, count)
    return Due(raw, _roll(raw, lambda day: day.weekday() >= _SATURDAY or calendar.holiday(day)))


def calendar_days(start: date, count: int) -> Due:
    """Start excluded, no rolling."""
    raw = start + timedelta(days=count)
    return Due(raw, raw)


def business_days(start: date, count: int, calendar: Calendar, strict: Calendar) -> Due:
    """Start excluded; count Monday to Friday without holidays.

    The strict date skips only days that are holidays in `calendar` and in `strict` (pass the same
    one twice where there is no narrower list): fewer holidays give the earlier date.
    """
    both = _count(start, count, lambda day: calendar.holiday(day) and strict.holiday(day))
    return Due(both, _count(start, count, calendar.holiday))


def hours(start: Instant, count: int) -> Instant:
    """Elapsed hours, nights, weekends and holidays included."""
    return Instant(start + count * HOUR)


def _roll(day: date, closed: Callable[[date], bool]) -> date:
    while closed(day):
        day += _ONE_DAY
    return day


def _count(day: date, count: int, holiday: Callable[[date], bool]) -> date:
    while count:
        day += _ONE_DAY
        if day.weekday() < _SATURDAY and not holiday(day):
            count -= 1
    return day


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Look up an IANA zone; an unknown name raises `InvalidInput`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput("unknown time zone", "use an IANA name such as Europe/Berlin") from None


def local_date(at: Instant, zone_name: str) -> date:
    """The date an instant falls on in a zone."""
    return moment(at).astimezone(zone(zone_name)).date()


def day_begins(day: date, zone_name: str) -> Instant:
    """The instant at which `day` begins in a zone."""
    return instant(datetime(day.year, day.month, day.day, tzinfo=zone(zone_name)))


def day_ends(day: date, zone_name: str) -> Instant:
    """The first instant after `day` in a zone."""
    return day_begins(day + _ONE_DAY, zone_name)


Span = tuple[int, int]
"""Opening minute of the day, inclusive, and closing minute, exclusive; (0, 0) closed all day."""

CLOSED: Span = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Allowed wall-clock times of a recipient, at most one span a day.

    Answers are remembered per (zones, minute): a repeat costs two dictionary look-ups. Zone
    offsets are whole minutes in the years calendars cover, so a minute has one answer.
    """

    calendar: Calendar
    mon_fri: Span
    sat: Span
    sun: Span
    holiday: Span
    _known: dict[tuple[str, ...], dict[int, Instant]] = field(default_factory=dict, repr=False)

    def span(self, day: date) -> Span:
        """The allowed span of one local day; a holiday goes before the day of the week."""
        if self.calendar.holiday(day):
            return self.holiday
        weekday = day.weekday()
        if weekday == _SUNDAY:
            return self.sun
        return self.sat if weekday == _SATURDAY else self.mon_fri


def parse_window(params: Mapping[str, object], calendar: Calendar) -> Window:
    """Read `mon_fri`, `sat`, `sun`, `holiday` as `["08:00", "20:00"]` or `[]` (closed all day)."""
    return Window(
        calendar,
        _span(params.get("mon_fri", ())),
        _span(params.get("sat", ())),
        _span(params.get("sun", ())),
        _span(params.get("holiday", ())),
    )


def _span(value: object) -> Span:
    if not isinstance(value, (list, tuple)) or len(value) not in (0, 2):
        raise InvalidInput("a window is two times of day or nothing")
    if not value:
        return CLOSED
    opens, closes = _minute(value[0]), _minute(value[1])
    if opens >= closes:
        raise InvalidInput("a window must close after it opens")
    return (opens, closes)


def _minute(value: object) -> int:
    head, colon, tail = str(value).partition(":")
    if not (colon and head.isascii() and tail.isascii() and head.isdigit() and tail.isdigit()):
        raise InvalidInput("a time of day must read like 08:00")
    minute = int(head) * 60 + int(tail)
    if len(head) != 2 or len(tail) != 2 or int(tail) > 59 or minute > _MIDNIGHT:  # noqa: PLR2004
        raise InvalidInput("a time of day must read like 08:00, at most 24:00")
    return minute


def local_window(window: Window, zones: tuple[str, ...], at: Instant) -> bool:
    """Tell whether `at` is inside the window in every one of `zones`.

    Pass the one known zone, or all that come into question when the zone is unknown. No zone at
    all is never inside. Unknown zone names and uncovered years raise `InvalidInput`.
    """
    return window_end(window, zones, at) != 0


def window_end(window: Window, zones: tuple[str, ...], at: Instant) -> Instant:
    """The instant at which the present window closes (the earliest of the zones), 0 if closed."""
    minutes = window._known.get(zones)  # noqa: SLF001 - this module owns the memory
    if minutes is None:
        minutes = window._known.setdefault(zones, {})  # noqa: SLF001
    minute = at // MINUTE
    end = minutes.get(minute)
    if end is None:
        if len(minutes) >= _CACHE_LIMIT:
            minutes.clear()
        end = minutes[minute] = _closing(window, zones, Instant(minute * MINUTE))
    return end


def next_open(window: Window, zones: tuple[str, ...], at: Instant) -> Instant:
    """First instant from `at` on that is inside in every zone; 0 when none within 31 days."""
    if local_window(window, zones, at):
        return at
    edges = sorted({edge for name in zones for edge in _openings(window, name, at)})
    for edge in edges[bisect_left(edges, at) :]:
        if local_window(window, zones, edge):
            return edge
    return Instant(0)


def _closing(window: Window, zones: tuple[str, ...], at: Instant) -> Instant:
    ends = [_closing_in(window, zone(name), at) for name in zones]
    return min(ends, default=Instant(0))


def _inside(window: Window, place: ZoneInfo, at: Instant) -> bool:
    wall = moment(at).astimezone(place)
    opens, closes = window.span(wall.date())
    return opens <= wall.hour * 60 + wall.minute < closes


def _closing_in(window: Window, place: ZoneInfo, at: Instant) -> Instant:
    if not _inside(window, place, at):
        return Instant(0)
    wall = moment(at).astimezone(place)
    left = window.span(wall.date())[1] - wall.hour * 60 - wall.minute
    end = Instant(at + left * MINUTE)
    if moment(end).astimezone(place).utcoffset() == wall.utcoffset():
        return end
    end = at
    while _inside(window, place, end):  # the clock is changed before the window closes
        end = Instant(end + MINUTE)
    return end


def _openings(window: Window, name: str, at: Instant) -> Iterator[Instant]:
    """Instants at which the window may open: one a day, every minute where the clock changes."""
    first = local_date(at, name)
    for ahead in range(_HORIZON_DAYS):
        day = first + timedelta(days=ahead)
        begins, ends = day_begins(day, name), day_ends(day, name)
        opens, closes = window.span(day)
        if ends - begins != _MIDNIGHT * MINUTE:
            yield from (Instant(minute) for minute in range(begins, ends, MINUTE))
        elif opens < closes:
            yield Instant(begins + opens * MINUTE)
