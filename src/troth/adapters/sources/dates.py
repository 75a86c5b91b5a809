"""Dates as mail tools and spreadsheets write them, read only where they can mean one thing.

ISO 8601 is read as everywhere. `3/4/2023` is read only where the rest of its column shows whether
day or month comes first. Whole numbers of a spreadsheet are days since its first one.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from troth.adapters.sources.fields import Refused, parse_time
from troth.errors import Fault
from troth.terms import SECOND, Instant, instant

Order = Literal["", "dmy", "mdy"]
"""Which comes first where a date is written with slashes; "" nobody knows."""

_SLASHED: Final = re.compile(r"([0-9]{1,2})[/-]([0-9]{1,2})[/-]((?:19|20)[0-9]{2})(?:[ ,T]+(.+))?")
_DOTTED: Final = re.compile(
    r"([0-9]{1,2})\.\s?([0-9]{1,2})\.\s?((?:19|20)[0-9]{2})(?:[ ,T]+(.+))?"
)
_YEAR_FIRST: Final = re.compile(
    r"((?:19|20)[0-9]{2})[/.-]([0-9]{1,2})[/.-]([0-9]{1,2})(?:[ ,T]+(.+))?"
)
_WORDED: Final = re.compile(
    r"(?:[A-Za-z]{3,9},?\s+)?(?:([0-9]{1,2})\s+([A-Za-z]{3,9})\.?|([A-Za-z]{3,9})\.?\s+([0-9]{1,2})),?"
    r"\s+((?:19|20)[0-9]{2})(?:(?:\s+at|,)?\s+(.+))?"
)
_CLOCK: Final = re.compile(
    r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?\s*([AaPp])?\.?[Mm]?\.?"
    r"\s*(Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2})?(?:\s*\(?[A-Z]{2,5}\)?)?"
)
_NUMBER: Final = re.compile(r"[0-9]{5}(?:\.[0-9]+)?")
_EPOCH: Final = re.compile(r"1[0-9]{9}(?:[0-9]{3})?")
_MONTHS: Final = {
    name: place
    for place, names in enumerate(
        (
            "jan january januarie januar", "feb february februarie februar", "mar march maart",
            "apr april", "may mei mai", "jun june junie juni", "jul july julie juli",
            "aug august augustus", "sep sept september", "oct october oktober okt",
            "nov november", "dec december desember dezember dez des",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_HALF_DAY: Final = 12
_MILLIS: Final = 13
_DAY_ZERO: Final = {1900: datetime(1899, 12, 30), 1904: datetime(1904, 1, 1)}  # noqa: DTZ001 - of a zone named later
_SERIALS: Final = (20_000, 80_000)


def order_of(texts: Iterable[str]) -> Order:
    """Find out from a column's dates whether day or month comes first; "" where none tells.

    >>> order_of(["03/04/2023", "25/12/2022"]), order_of(["03/04/2023"])
    ('dmy', '')
    """
    firsts = seconds = 0
    for text in texts:
        found = _SLASHED.fullmatch(text)
        if found:
            firsts = max(firsts, int(found[1]))
            seconds = max(seconds, int(found[2]))
    if firsts > _HALF_DAY >= seconds:
        return "dmy"
    return "mdy" if seconds > _HALF_DAY >= firsts else ""


@lru_cache(maxsize=65_536)
def read_when(text: str, zone: str, order: Order = "", origin: int = 0) -> Instant:
    """Read a moment; a date alone is its midnight.

    Args:
        text: As written, trimmed.
        zone: IANA zone of what names none.
        order: What the column's other dates show.
        origin: Year a workbook counts its days from; 0 of a text file.

    Raises:
        Refused: It reads as no date (`time_unreadable`), or as two (`time_order`).
    """
    if len(text) > 40:  # noqa: PLR2004 - no date is that long
        raise Refused("time_unreadable")
    try:
        return parse_time(text, zone)
    except Refused:
        pass
    try:
        return _other(text, zone, order, origin)
    except (ValueError, OverflowError, KeyError, Fault):
        raise Refused("time_unreadable") from None


def _other(text: str, zone: str, order: Order, origin: int) -> Instant:
    if origin and _NUMBER.fullmatch(text):
        return _of_serial(float(text), zone, origin)
    if _EPOCH.fullmatch(text):
        return Instant(int(text) * (1_000 if len(text) == _MILLIS else SECOND))
    if found := _YEAR_FIRST.fullmatch(text):
        return _made((found[1], found[2], found[3]), found[4], zone)
    if found := _DOTTED.fullmatch(text):
        return _made((found[3], found[2], found[1]), found[4], zone)
    if found := _SLASHED.fullmatch(text):
        day, month = _sorted(int(found[1]), int(found[2]), order)
        return _made((found[3], month, day), found[4], zone)
    if found := _WORDED.fullmatch(text):
        month = _MONTHS[(found[2] or found[3]).lower()]
        return _made((found[5], month, found[1] or found[4]), found[6], zone)
    raise ValueError


def _sorted(first: int, second: int, order: Order) -> tuple[int, int]:
    """Return day and month of a date with slashes."""
    if first == second or first > _HALF_DAY or order == "dmy":
        return first, second
    if second > _HALF_DAY or order == "mdy":
        return second, first
    raise Refused("time_order")


def _made(ymd: tuple[int | str, int | str, int | str], clock: str | None, zone: str) -> Instant:
    year, month, day = map(int, ymd)
    hour = minute = second = 0
    offset: ZoneInfo | timezone = ZoneInfo(zone)
    if clock:
        found = _CLOCK.fullmatch(clock.strip())
        if found is None:
            raise ValueError
        hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
        if found[4]:
            hour = hour % _HALF_DAY + _HALF_DAY * (found[4] in "pP")
        offset = _offset(found[5]) if found[5] else offset
    return instant(datetime(year, month, day, hour, minute, second, tzinfo=offset))


def _offset(text: str) -> timezone:
    if text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(shift if text[0] == "+" else -shift)


def _of_serial(days: float, zone: str, origin: int) -> Instant:
    first, last = _SERIALS
    if not first <= days <= last:
        raise ValueError
    local = _DAY_ZERO[origin] + timedelta(seconds=round(days * 86_400))
    return instant(local.replace(tzinfo=ZoneInfo(zone)))
