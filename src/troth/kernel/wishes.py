"""What a person wishes within what they agreed to: a pause, at most so many messages, quiet hours.

A wish never opens anything and never touches a service message. Of two wishes both count: the
later end of a pause, the fewer messages, one span of quiet hours that holds both.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Final

from troth.errors import InvalidInput
from troth.kernel import events
from troth.kernel.calendars import MINUTE, zone
from troth.terms import (
    DAY,
    SECOND,
    Instant,
    PersonRecord,
    ReasonCode,
    Wishes,
    from_zulu,
    moment,
)

DAYS: Final = 30
"""`most` counts the marketing hand-overs of so many days, over all channels and brands."""
MOST: Final = 30
"""The most messages a wish can name: what the record keeps of hand-overs must show them all."""
PAUSE_RULE: Final = "person.pause"
FREQUENCY_RULE: Final = "person.frequency"
QUIET_RULE: Final = "person.quiet_hours"
_MINUTES: Final = 1440
_AHEAD: Final = 60
_HORIZON_DAYS: Final = 31
Quiet = tuple[int, int]
Objection = tuple[ReasonCode, str]


def clock(minute: int) -> str:
    """Write a minute of the day.

    >>> clock(1290)
    '21:30'
    """
    return f"{minute // 60:02}:{minute % 60:02}"


def minute_of(text: str) -> int:
    """Read a time of day from 00:00 to 23:59; anything else raises `InvalidInput`."""
    head, _, tail = text.partition(":")
    if text.isascii() and head.isdigit() and tail.isdigit():
        minute = int(head) * 60 + int(tail)
        if minute < _MINUTES and clock(minute) == text:
            return minute
    raise InvalidInput("a time of day must read like 21:00, at most 23:59")


def told(said: events.PreferenceSet) -> Wishes | None:
    """Read what an event sets; None where nothing is wished any more.

    A number the record cannot count up to is read as the greatest it can, one below 0 as none.
    """
    wished = Wishes(
        pause_until=from_zulu(said.pause_until) if said.pause_until else 0,
        most=-1 if said.most is None else max(0, min(said.most, MOST)),
        quiet=(minute_of(said.quiet[0]), minute_of(said.quiet[1])) if said.quiet else None,
    )
    return None if wished == NOTHING else wished


NOTHING: Final = Wishes()


def both(one: Wishes | None, other: Wishes | None) -> Wishes | None:
    """Return what respects both; None where neither wishes anything."""
    if one is None or other is None:
        return one or other
    counted = [each.most for each in (one, other) if each.most >= 0]
    return Wishes(
        max(one.pause_until, other.pause_until),
        min(counted, default=-1),
        _covering(one.quiet, other.quiet),
    )


def _covering(one: Quiet | None, other: Quiet | None) -> Quiet | None:
    """Return the shortest span of the day that holds both."""
    if one is None or other is None:
        return one or other
    spans = [(first, last) for first, _ in (one, other) for _, last in (one, other)]
    holding = [each for each in spans if _holds(each, one) and _holds(each, other)]
    whole = (one[0], one[0])
    return min(holding, key=lambda span: (_length(span), span), default=whole)


def _length(span: Quiet) -> int:
    """Return how many minutes a span has; one that ends where it begins is the whole day."""
    return (span[1] - span[0] - 1) % _MINUTES + 1


def _holds(span: Quiet, part: Quiet) -> bool:
    ahead = (part[0] - span[0]) % _MINUTES
    return _length(span) == _MINUTES or ahead + _length(part) <= _length(span)


def narrowed(record: PersonRecord, said: events.PreferenceSet) -> PersonRecord:
    """Add a wish to those a record holds, as an alias's wish binds whom it belongs to."""
    return replace(record, wishes=both(record.wishes, told(said)))


def kept(record: PersonRecord, said: events.RetentionChosen) -> PersonRecord:
    """Fold how long activity is kept at most; without months: as long as the rules say."""
    others = {name: months for name, months in record.keeps.items() if name != said.scope}
    chosen = {} if said.months is None else {said.scope: said.months}
    return replace(record, keeps=others | chosen)


def shorter(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Return, per kind of activity, the fewer months of both."""
    return {
        name: min(held[name] for held in (one, other) if name in held)
        for name in sorted({*one, *other})
    }


# --- what the gate asks --------------------------------------------------------------------------


def judge(
    record: PersonRecord, wished: Wishes, zones: tuple[str, ...], at: Instant
) -> tuple[list[Objection], Instant]:
    """Say what a person's wishes object to in a marketing message now, and when they would next.

    The moment is that at which quiet hours begin, if within the hour a permit lasts; else 0.

    Args:
        record: The person.
        wished: What they wish.
        zones: Their zone, or all that come into question: it must be outside quiet hours in each.
        at: The instant of the send.
    """
    found: list[Objection] = []
    if at < wished.pause_until:
        found.append((ReasonCode.PAUSED, PAUSE_RULE))
    if wished.most >= 0 and _sent(record, at) >= wished.most:
        found.append((ReasonCode.FREQUENCY_CAP, FREQUENCY_RULE))
    begins = Instant(0)
    if wished.quiet is not None:
        begins = quiet_begins(wished.quiet, zones, at)
        if begins == at:
            found.append((ReasonCode.QUIET_HOURS, QUIET_RULE))
    return found, begins


def _sent(record: PersonRecord, at: Instant) -> int:
    since, now = at - DAYS * DAY, at + SECOND - 1  # what went out within this very second counts
    return sum(since < sent <= now for sends in record.sends.values() for sent in sends)


def quiet_begins(quiet: Quiet, zones: tuple[str, ...], at: Instant) -> Instant:
    """Return `at` in quiet hours, else when they begin within the hour, else 0.

    Whatever zone comes into question counts; where none does, nobody knows that it is not quiet.
    """
    if not zones:
        return at
    begins = _begins(quiet, zones, at // MINUTE)
    return at if begins == at // MINUTE else Instant(begins * MINUTE)


@lru_cache(maxsize=65_536)
def _begins(quiet: Quiet, zones: tuple[str, ...], minute: int) -> int:
    """Return the minute from this one on, at most an hour ahead, that is quiet somewhere; or 0."""
    ahead = min(_until_quiet(quiet, name, minute) for name in zones)
    return minute + ahead if ahead <= _AHEAD else 0


def _until_quiet(quiet: Quiet, name: str, minute: int) -> int:
    """Return in how many minutes it is quiet on a wall clock, exact for the hour ahead."""
    if _left(quiet, name, minute):
        return 0
    wall, soon = _wall(name, minute), _wall(name, minute + _AHEAD)
    if wall.utcoffset() == soon.utcoffset():
        return (quiet[0] - wall.hour * 60 - wall.minute) % _MINUTES
    ahead = range(1, _AHEAD + 1)  # the clock is changed meanwhile
    return next((n for n in ahead if _left(quiet, name, minute + n)), _MINUTES)


def quiet_over(quiet: Quiet, zones: tuple[str, ...], at: Instant) -> Instant:
    """Return the first moment from `at` on that is quiet nowhere; 0 when none within 31 days."""
    minute = at // MINUTE
    last = minute + _HORIZON_DAYS * _MINUTES if zones else 0
    while minute < last:
        left = max(_left(quiet, name, minute) for name in zones)
        if not left:
            return Instant(max(at, minute * MINUTE))
        minute += left
    return Instant(0)


def _left(quiet: Quiet, name: str, minute: int) -> int:
    """Return how many minutes of quiet hours are left on a wall clock, 0 outside them.

    Where the clock is changed before they are over it is one: look again after it.
    """
    wall = _wall(name, minute)
    gone = (wall.hour * 60 + wall.minute - quiet[0]) % _MINUTES
    left = max(0, _length(quiet) - gone)
    even = _wall(name, minute + left).utcoffset() == wall.utcoffset()
    return left if even else 1


def _wall(name: str, minute: int) -> datetime:
    return moment(Instant(minute * MINUTE)).astimezone(zone(name))
