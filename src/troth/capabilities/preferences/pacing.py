"""When a new permission may be asked for: the published numbers, and the pure rule over them."""

import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from troth.errors import InvalidInput
from troth.kernel.consent import months_on
from troth.kernel.regimes import Ruleset
from troth.terms import DAY, ConsentStatus, Instant

EVERYTHING: Final = "*"
"""Scope of a no that closes whatever could be asked for."""
_ANSWERS: Final = frozenset({ConsentStatus.REFUSED, ConsentStatus.EXPIRED})
"""Denials that are no grievance: an ask answered with no, a time that ran out."""
_SOURCED: Final = frozenset({"source", "source_mark", "needs_check", "checked_on", "review_by"})
_TABLES: Final = {"kept": ("messages", "sales"), "window": ("days",), "cool_down": ("days",)}
_BANS: Final = frozenset({"months", "rule", "never"})
_STRANGERS: Final = "not_customer"


@dataclass(frozen=True, slots=True)
class NotNow:
    """Nothing may be asked.

    Attributes:
        reason: nothing_to_ask, one_step_at_a_time, closed, minor, level_zero, suppressed,
            asked_once_already, refused_for_good, refused_lately, grievance, cool_down,
            not_earned_yet or promise_broken.
        until: When it is worth looking again; None where time alone changes nothing.
    """

    reason: str
    until: Instant | None = None


@dataclass(frozen=True, slots=True)
class Ban:
    """How long a refused permission is not asked for again under one regime ("" everywhere).

    Attributes:
        months: So many calendar months; 0 where another field tells.
        rule: Id of a deadline rule that tells.
        never: `not_customer`: whoever is none is not asked again at all.
    """

    regime: str
    months: int = 0
    rule: str = ""
    never: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """The numbers of asking, as published.

    Attributes:
        messages: Permitted messages handed over since the last yes, or else
        sales: sales since then, before anything more is asked for.
        window_days: How long a grievance or a broken promise stops every ask.
        cool_down_days: Between two asks of any kind.
    """

    messages: int
    sales: int
    window_days: int
    cool_down_days: int
    bans: tuple[Ban, ...]


@dataclass(frozen=True, slots=True)
class Denial:
    """One no: on which scope (a key of the record, or `EVERYTHING`), what and when."""

    scope: str
    status: str
    at: Instant


@dataclass(frozen=True, slots=True)
class History:
    """What asking depends on of one person; instants in any order.

    Attributes:
        asked: When anything was asked for or put off.
        granted: When anything was agreed to.
        kept: When a permitted marketing message was handed over.
        broken: When one left that no permit stands for.
        claimed: The address was asked its one time already.
    """

    customer: bool
    asked: tuple[Instant, ...] = ()
    granted: tuple[Instant, ...] = ()
    denials: tuple[Denial, ...] = ()
    kept: tuple[Instant, ...] = ()
    broken: tuple[Instant, ...] = ()
    sales: tuple[Instant, ...] = ()
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class Law:
    """The rules in force for one person: what bans that name a rule or a regime need."""

    ruleset: Ruleset
    regimes: Collection[str]


def read_pace(raw: bytes) -> Pace:
    """Read the file of asking; every table names its source and its dates.

    Raises:
        InvalidInput: Not TOML, a key missing or unknown, or a number that is none.
    """
    try:
        told = tomllib.loads(raw.decode())
    except ValueError as fault:
        raise InvalidInput(f"asking.toml: {fault}", "correct the syntax") from None
    rows = told.get("ban")
    if told.keys() != {"version", "ban", *_TABLES} or not isinstance(rows, list):
        raise InvalidInput("asking.toml: a table is missing or unknown", "see the shipped file")
    for name, keys in _TABLES.items():
        _refuse(name, told[name], {*keys, *_SOURCED}, keys)
    return Pace(
        messages=told["kept"]["messages"],
        sales=told["kept"]["sales"],
        window_days=told["window"]["days"],
        cool_down_days=told["cool_down"]["days"],
        bans=tuple(map(_ban, rows)),
    )


def _refuse(name: str, row: object, keys: set[str], numbers: Iterable[str]) -> None:
    if not _is_table(row) or row.keys() != keys:
        raise InvalidInput(f"asking.toml: {name} lacks a key or has a strange one")
    for key in numbers:
        if type(row[key]) is not int or row[key] < 1:
            raise InvalidInput(f"asking.toml: {name}.{key} is no whole number above 0")


def _is_table(row: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(row, dict)


def _ban(row: object) -> Ban:
    kind = sorted(_BANS & row.keys()) if _is_table(row) else []
    if len(kind) != 1 or not _is_table(row):
        raise InvalidInput("asking.toml: a ban says one of months, rule and never")
    _refuse("ban", row, {"regime", *kind, *_SOURCED}, [k for k in kind if k == "months"])
    ban = Ban(row["regime"], **{kind[0]: row[kind[0]]})
    if ban.never not in ("", _STRANGERS):
        raise InvalidInput("asking.toml: ban.never is not_customer", "write months otherwise")
    return ban


def judge(
    history: History, scopes: Collection[str], pace: Pace, law: Law, at: Instant
) -> NotNow | None:
    """Say why a permission on these scopes is not asked for now; None when it may be.

    Of several hindrances the one that lasts longest is named. Another no, complaint or ask in the
    history never makes an ask earlier.
    """
    found = [
        why
        for why in _hindrances(history, scopes, pace, law, at)
        if why.until is None or at < why.until
    ]
    return max(found, key=_lasting, default=None)


def _lasting(why: NotNow) -> tuple[bool, int]:
    return (why.until is None, why.until or 0)


def _hindrances(
    history: History, scopes: Collection[str], pace: Pace, law: Law, at: Instant
) -> Iterator[NotNow]:
    window, cool_down = pace.window_days * DAY, pace.cool_down_days * DAY
    if not history.customer and (history.asked or history.claimed):
        yield NotNow("asked_once_already")
    for no in history.denials:
        if no.scope in scopes or no.scope == EVERYTHING:
            yield NotNow("refused_lately", _banned_until(no, pace, law))
        if no.status in _ANSWERS:
            yield NotNow("cool_down", Instant(no.at + cool_down))
        else:
            yield NotNow("grievance", Instant(no.at + window))
    if history.denials and not history.customer and _for_good(pace, law):
        yield NotNow("refused_for_good")
    for asked in history.asked:
        yield NotNow("cool_down", Instant(asked + cool_down))
    for sent in history.broken:
        yield NotNow("promise_broken", Instant(sent + window))
    if not _earned(history, pace, at):
        yield NotNow("not_earned_yet")


def _banned_until(no: Denial, pace: Pace, law: Law) -> Instant:
    """Return the end of the longest ban that applies to a refusal."""
    ends = [no.at]
    for ban in pace.bans:
        if ban.regime and ban.regime not in law.regimes:
            continue
        if ban.months:
            ends.append(months_on(no.at, ban.months))
        if ban.rule:
            ends.append(law.ruleset.due(ban.rule, no.at)[1])
    return max(ends)


def _for_good(pace: Pace, law: Law) -> bool:
    return any(ban.never and ban.regime in ("", *law.regimes) for ban in pace.bans)


def _earned(history: History, pace: Pace, at: Instant) -> bool:
    """Tell whether the last yes was honoured; where nobody ever agreed there is none to honour."""
    if not history.granted:
        return True
    since = max(history.granted)
    return (
        _between(history.kept, since, at) >= pace.messages
        or _between(history.sales, since, at) >= pace.sales
    )


def _between(moments: Sequence[Instant], since: Instant, at: Instant) -> int:
    return sum(since < moment <= at for moment in moments)
