"""When a request must be answered: the strictest rule that reaches the person or the sender wins.

A clock starts at receipt by whatever way, and runs on while an identity is checked. The day a
person is told is never rolled forward; what the law would still allow is shown to staff alone.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from troth.errors import InvalidInput
from troth.kernel.calendars import day_ends, local_date
from troth.kernel.regimes import Ruleset
from troth.kernel.rules import Rule, in_place
from troth.terms import DAY, Instant

HOUSE: Final = "house"
"""Stands for a rule where no law in force sets one."""
Colour = Literal["green", "amber", "red"]


@cache
def settings() -> Mapping[str, Any]:
    """Return `data/rights.toml`: which rule sets which clock, and the house's own numbers."""
    return tomllib.loads((files("troth") / "data" / "rights.toml").read_text("utf-8"))


@cache
def rights() -> Mapping[str, Mapping[str, Any]]:
    """Return what is known of each right: its rules and the proof it needs."""
    return {each["name"]: each for each in settings()["right"]}


@cache
def grounds(act: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the grounds an act may rest on, by id."""
    return {each["id"]: each for each in settings()["ground"] if act in each["acts"]}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person lives, and where the sender sits; "" unknown.

    Attributes:
        zone: Zone in which the house counts its own days.
    """

    residence: str
    seat: str
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Clock:
    """When an answer is due; each instant is the first one after the last day.

    Attributes:
        rule: Id of the rule that sets it.
        due: Never rolled forward: what people are promised and alarms go by.
        legal: What the law would still allow.
        latest: The farthest an extension may go; 0 where the law knows none here.
        zone: In which the last day is named.
    """

    rule: str
    due: Instant
    legal: Instant
    latest: Instant
    zone: str

    @property
    def day(self) -> date:
        """The last day on which an answer is in time."""
        return last_day(self.due, self.zone)


def clock(ruleset: Ruleset, right: str, received: Instant, place: Place) -> Clock:
    """Return the clock of a request.

    Args:
        ruleset: The rules in force.
        right: Which right is asked for.
        received: When it came in, by whatever way.
        place: Of the person and of the house.

    Raises:
        InvalidInput: There is no such right, or a calendar does not cover the year.
    """
    if right not in rights():
        raise InvalidInput("there is no such right", f"name one of {', '.join(rights())}")
    found = _reaching(ruleset, rights()[right]["rules"], received, place)
    ends = [(*ruleset.due(rule.id, received, place.seat), rule) for rule in found]
    if not ends:
        return _own(received, place.zone)
    due, _, rule = min(ends, key=lambda each: (each[0], each[2].id))
    legal = min(each[1] for each in ends)
    latest = min(_farthest(ruleset, each[2], received, place.seat) for each in ends)
    zone = ruleset.regimes[rule.regime].zone
    return Clock(rule.id, due, legal, latest if latest > due else Instant(0), zone)


def _own(received: Instant, zone: str) -> Clock:
    """Return the house's own clock, where no rule of law reaches."""
    whole = Instant(received + settings()[HOUSE]["days"] * DAY)
    due = day_ends(local_date(whole, zone), zone)
    return Clock(HOUSE, due, due, Instant(0), zone)


def _farthest(ruleset: Ruleset, rule: Rule, received: Instant, seat: str) -> Instant:
    if "extension" in rule.params:
        return ruleset.extended(rule.id, received, seat)[0]
    return ruleset.due(rule.id, received, seat)[0]


def _reaching(ruleset: Ruleset, ids: Sequence[str], at: Instant, place: Place) -> list[Rule]:
    known = {rule.id for rule in ruleset.rules}
    found = [ruleset.rule(each, at) for each in ids if each in known]
    return [rule for rule in found if rule.live(at) and _reaches(ruleset, rule, place)]


def _reaches(ruleset: Ruleset, rule: Rule, place: Place) -> bool:
    """Tell whether a rule is for this residence or seat; where unknown, the fallback ones are."""
    fallback = ruleset.regimes[rule.regime].fallback
    known = any(in_place(place.residence, each.residence) for each in ruleset.regimes.values())
    for here, codes in (
        (place.residence if known else "", rule.applies.residence),
        (place.seat, rule.applies.seat),
    ):
        if "*" in codes or in_place(here, codes) or (fallback and not here and codes):
            return True
    return False


def last_day(due: Instant, zone: str) -> date:
    """Return the last day before an end.

    >>> from troth.kernel.calendars import day_ends
    >>> last_day(day_ends(date(2026, 12, 23), "Africa/Johannesburg"), "Africa/Johannesburg")
    datetime.date(2026, 12, 23)
    """
    return local_date(Instant(due - 1), zone)


def colour(received: Instant, due: Instant, now: Instant) -> Colour:
    """Say how a clock stands: amber once at most a third of the time is left, red once over.

    >>> [colour(Instant(0), Instant(30), Instant(n)) for n in (19, 20, 29, 30)]
    ['green', 'amber', 'amber', 'red']
    """
    if now >= due:
        return "red"
    parts: int = settings()["clock"]["amber"]
    return "amber" if (due - now) * parts <= due - received else "green"


def days_left(due: Instant, now: Instant, zone: str) -> int:
    """Return how many whole days remain after today until the last day; below 0 overdue."""
    return (last_day(due, zone) - local_date(now, zone)).days


def require_extension(held: Clock, due: Instant, new: Instant, now: Instant) -> None:
    """Require that a due date may be put off to `new`.

    Args:
        held: The request's clock.
        due: The present due date.
        new: The new one.
        now: When this is asked.

    Raises:
        InvalidInput: The law knows no extension here, it goes too far or not forward, or the
            time to say so is over.
    """
    if not held.latest:
        raise InvalidInput(f"{held.rule} has no extension here", "answer by the due date")
    if now >= due:
        raise InvalidInput("the due date is over", "an extension is told before it")
    if not due < new <= held.latest:
        farthest = last_day(held.latest, held.zone)
        raise InvalidInput("this is no day to put it off to", f"at the latest {farthest}")
