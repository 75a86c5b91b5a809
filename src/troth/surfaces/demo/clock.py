"""The demo's clock: one moment that suits, whatever day the demo is run on.

The demo never looks at today's date. Its purchases end on a Monday; moved by whole weeks they
still do, so the day after that suits, if it is a working day in South Africa: a Tuesday, 10:00 in
Johannesburg, well inside the hours in which marketing may be sent (ZA-14). Everything else in the
demo is dated back from there, hence the same figures on a Sunday night and on 29 February.
"""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from troth.errors import InvalidInput

ZONE = ZoneInfo("Africa/Johannesburg")
BEFORE = date(2026, 11, 24)
"""The default demo day lies before this date."""

LAST_PURCHASE = date(2018, 1, 1)
"""The last day in the published purchases, a Monday; `purchases.load` checks it."""

_TEN = time(10, 0)
_WEEK = 7
_YEAR = 366


def suits(day: date, holidays: Collection[date]) -> bool:
    """Say whether `day` can be the demo's: purchases end the day before, and people work.

    >>> suits(date(2026, 11, 17), ())
    True
    >>> suits(date(2026, 11, 17), {date(2026, 11, 17)})
    False
    """
    return (day - timedelta(days=1) - LAST_PURCHASE).days % _WEEK == 0 and day not in holidays


def demo_now(holidays: Collection[date], at: datetime | None = None) -> datetime:
    """Return the demo's moment: the latest one that suits, at or before `at`.

    Args:
        holidays: Public holidays of South Africa, from the calendar shipped as data.
        at: What `--at` says, with a zone; without it the last moment before `BEFORE`.

    Returns:
        10:00 in Johannesburg on a Tuesday that is no holiday.

    Raises:
        InvalidInput: `at` has no zone, or a year of holidays leaves no day.

    >>> demo_now(()).isoformat()
    '2026-11-17T10:00:00+02:00'
    """
    if at is not None and at.tzinfo is None:
        raise InvalidInput("the demo's moment needs a zone", "write 2026-11-24T10:00:00+02:00")
    limit = at.astimezone(ZONE) if at else datetime.combine(BEFORE, time(), ZONE)
    for back in range(_YEAR):
        moment = datetime.combine(limit.date() - timedelta(days=back), _TEN, ZONE)
        if moment <= limit and suits(moment.date(), holidays):
            return moment
    raise InvalidInput("no day of the year before suits the demo", "check the holiday calendar")


def whole_weeks(now: datetime) -> int:
    """Return by how many weeks purchases move so that the last falls before `now`'s date.

    >>> whole_weeks(datetime(2026, 11, 17, 10, tzinfo=ZONE))
    463
    """
    return (now.astimezone(ZONE).date() - timedelta(days=1) - LAST_PURCHASE).days // _WEEK
