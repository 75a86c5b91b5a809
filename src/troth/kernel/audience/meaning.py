"""What an audience means for one person, and which data categories it reads."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from troth.kernel.audience.words import (
    RELATION_KINDS,
    AgeIn,
    Audience,
    Bought,
    BoughtIn,
    Buying,
    CountAtLeast,
    Every,
    Expression,
    Group,
    HasSale,
    InterestIn,
    LanguageIn,
    LastSaleOlderThan,
    LevelAtLeast,
    Neither,
    PlaceIn,
    Predicate,
    Related,
    ResidenceIn,
    Rfm,
    SilentFor,
    Some,
    SpentAtLeast,
    StageIn,
)
from troth.terms import DAY, Instant, PersonRecord

INTERESTS = "interests.declared"
WINDOWS = ((13 * 7, "purchases.13w"), (52 * 7, "purchases.52w"))
"""How many days back each category of own purchases reaches, narrowest first."""
FACTS = frozenset({"residence", "age_class", "language", "level", "stage"}) | frozenset(
    f"relation.{kind}" for kind in RELATION_KINDS
)
"""Categories that are facts of the relation: read under the purpose, without a level."""

FIRST = -(2**31)
_COUNTRY = 2
_TOP = 5
_YEAR = WINDOWS[-1][0]
OPEN_ENDED = ("contract", "membership")
BINDING = ("sale", "donation", *OPEN_ENDED)
_EPOCH = date(1970, 1, 1).toordinal()


class Purchase(NamedTuple):
    """One purchase line: UTC day, product group, units (≤ 0: a return), minor units, currency."""

    day: int
    group: str
    units: int
    minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Known:
    """What may be read of one person when people are selected.

    Attributes:
        agreed: Categories the person agreed to, as the gate sees them at this instant.
        residence: ISO 3166 code, "" unknown; so are age, language and a level of -1.
        relations: UTC day of the newest relation of each kind; a kind not in it never was.
        interests: What was declared; None when nothing ever was.
        purchases: Own purchases without those of sensitive groups; read only where agreed.
    """

    agreed: frozenset[str] = frozenset()
    residence: str = ""
    age: str = ""
    language: str = ""
    level: int = -1
    relations: Mapping[str, int] = field(default_factory=dict)
    interests: frozenset[str] | None = None
    purchases: tuple[Purchase, ...] = ()


class Window(NamedTuple):
    """What every word about purchases comes to: a sum over the last days against a threshold.

    Lines with units > 0 count one each; with a currency, the minor units of every line count.
    `silent` turns the answer round.
    """

    days: int
    at_least: int
    group: str = ""
    currency: str = ""
    silent: bool = False

    @property
    def category(self) -> str:
        """The narrowest category that reaches back so far."""
        return next(name for days, name in WINDOWS if self.days <= days)

    def weigh(self, line: Purchase, today: int) -> int:
        """Return what a line adds to the sum."""
        if not today - self.days < line.day <= today:
            return 0
        if self.currency:
            return line.minor if line.currency == self.currency else 0
        return int(line.units > 0 and self.group in ("", line.group))


_WINDOW: Mapping[type, Callable[[Any], Window]] = {
    Bought: lambda p: Window(p.within_days, 1),
    BoughtIn: lambda p: Window(p.within_days, 1, group=p.group),
    CountAtLeast: lambda p: Window(p.within_days, p.n),
    SpentAtLeast: lambda p: Window(p.within_days, p.minor, currency=p.currency),
    SilentFor: lambda p: Window(p.days, 1, silent=True),
}


def window(predicate: Buying) -> Window:
    """Return what a word about purchases sums up."""
    return _WINDOW[type(predicate)](predicate)


def today(at: Instant) -> int:
    """Return the UTC day of an instant, counted from 1970-01-01."""
    return at // DAY


def months_back(day: int, months: int) -> int:
    """Return the day so many calendar months before; a day the month lacks becomes its last.

    >>> date.fromordinal(_EPOCH + months_back(date(2026, 3, 31).toordinal() - _EPOCH, 1))
    datetime.date(2026, 2, 28)
    """
    start = date.fromordinal(day + _EPOCH)
    year, month = divmod(start.year * 12 + start.month - 1 - months, 12)
    following = date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1).toordinal()
    return min(date(year, month + 1, 1).toordinal() + start.day - 1, following - 1) - _EPOCH


def _buying(predicate: Buying, known: Known, day: int) -> bool | None:
    sought = window(predicate)
    if sought.category not in known.agreed:
        return None
    total = sum(sought.weigh(line, day) for line in known.purchases)
    return (total >= sought.at_least) is not sought.silent


def _among(value: str, values: tuple[str, ...]) -> bool | None:
    return value in values if value else None


def _interested(predicate: InterestIn, known: Known, _day: int) -> bool | None:
    if INTERESTS not in known.agreed or known.interests is None:
        return None
    return not known.interests.isdisjoint(predicate.values)


def _older(predicate: LastSaleOlderThan, known: Known, day: int) -> bool | None:
    last = known.relations.get("sale")
    return None if last is None else last <= day - predicate.days


def country(residence: str) -> str:
    """Return the country of a residence that may name a subdivision.

    >>> country("CA-ON")
    'CA'
    """
    return residence[:_COUNTRY]


def _placed(predicate: PlaceIn, known: Known, _day: int) -> bool | None:
    home = known.residence
    if not home:
        return None
    if home in predicate.values or country(home) in predicate.values:
        return True
    finer = home == country(home) and home in map(country, predicate.values)
    return None if finer else False


def stage(known: Known, day: int, silent_days: int, ended_days: int) -> str | None:
    """Return where a relation stands on a day; None where its facts do not tell.

    Unknown is who once signed a contract or became a member and did nothing since: these facts
    hold no end, so nobody can say here whether it runs on.
    """
    last = max((known.relations.get(kind, FIRST) for kind in BINDING), default=FIRST)
    if last > day - silent_days:
        return "customer"
    if any(kind in known.relations for kind in OPEN_ENDED):
        return None
    if last == FIRST:
        return "prospect"
    return "lapsed" if last > day - ended_days else "ended"


def _staged(predicate: StageIn, known: Known, day: int) -> bool | None:
    found = stage(known, day, predicate.silent_days, predicate.ended_days)
    return None if found is None else found in predicate.values


def _related(predicate: Related, known: Known, day: int) -> bool:
    last = known.relations.get(predicate.kind)
    return last is not None and last > months_back(day, predicate.within_months)


_MEANING: Mapping[type, Callable[[Any, Known, int], bool | None]] = {
    **dict.fromkeys(_WINDOW, _buying),
    HasSale: lambda _p, known, _day: "sale" in known.relations,
    LastSaleOlderThan: _older,
    Related: _related,
    LevelAtLeast: lambda p, known, _day: known.level >= p.level if known.level >= 0 else None,
    ResidenceIn: lambda p, known, _day: _among(known.residence, p.values),
    PlaceIn: _placed,
    StageIn: _staged,
    AgeIn: lambda p, known, _day: _among(known.age, p.values),
    LanguageIn: lambda p, known, _day: _among(known.language, p.values),
    InterestIn: _interested,
}


def _any(answers: Iterable[bool | None]) -> bool | None:
    found = set(answers)
    return True if True in found else None if None in found else False


def _inverse(answer: bool | None) -> bool | None:  # noqa: FBT001 - a truth value is the subject
    return None if answer is None else not answer


def expanded(scores: Rfm) -> Every:
    """Return what scores mean in words about purchases: every engine reads these alone."""
    parts: list[Expression] = []
    if scores.recency:
        low, high = scores.recency
        parts += [Bought(scores.days[5 - low])] if low > 1 else []
        parts += [Neither((Bought(scores.days[4 - high]),))] if high < _TOP else []
    if scores.frequency:
        reached = [CountAtLeast(n, _YEAR) for n in scores.lines]
        parts += _between(scores.frequency, reached)
    if scores.monetary:
        spent = [SpentAtLeast(n, scores.currency, _YEAR) for n in scores.minor]
        parts += _between(scores.monetary, spent)
    return Every(tuple(parts))


def _between(scores: tuple[int, ...], reached: Sequence[Predicate]) -> list[Expression]:
    low, high = scores
    least: list[Expression] = [reached[low - 2]] if low > 1 else []
    return [*least, Neither((reached[high - 1],))] if high < _TOP else least


def holds(expression: Expression, known: Known, day: int) -> bool | None:
    """Say whether an expression holds of a person on a UTC day; None for unknown."""
    if isinstance(expression, Rfm):
        expression = expanded(expression)
    if not isinstance(expression, Group):
        return _MEANING[type(expression)](expression, known, day)
    answers = [holds(part, known, day) for part in expression.parts]
    if isinstance(expression, Every):
        return _inverse(_any(map(_inverse, answers)))
    return _any(answers) if isinstance(expression, Some) else _inverse(_any(answers))


def evaluate(audience: Audience, known: Known, at: Instant) -> bool | None:
    """Say whether a person belongs to an audience at `at`: True, False, or None for unknown.

    This is the meaning every engine must reproduce. About 2 µs a word plus 0.3 µs a purchase.
    """
    return holds(audience.where, known, today(at))


def newest_relations(record: PersonRecord) -> dict[str, int]:
    """Return the UTC day of the newest relation of each kind, as `Known.relations` wants them."""
    newest: dict[str, int] = {}
    for relation in record.relations:
        newest[relation.kind] = max(newest.get(relation.kind, FIRST), today(relation.at))
    return newest


_CATEGORY: Mapping[type, Callable[[Any], str]] = {
    **dict.fromkeys(_WINDOW, lambda p: window(p).category),
    HasSale: lambda _p: "relation.sale",
    LastSaleOlderThan: lambda _p: "relation.sale",
    Related: lambda p: f"relation.{p.kind}",
    LevelAtLeast: lambda _p: "level",
    ResidenceIn: lambda _p: "residence",
    PlaceIn: lambda _p: "residence",
    StageIn: lambda _p: "stage",
    AgeIn: lambda _p: "age_class",
    LanguageIn: lambda _p: "language",
    InterestIn: lambda _p: INTERESTS,
}


def category(predicate: Predicate) -> str:
    """Return the data category a predicate reads."""
    return _CATEGORY[type(predicate)](predicate)


def predicates(expression: Expression) -> Iterator[Predicate]:
    """Yield the predicates of an expression from left to right."""
    if isinstance(expression, Rfm):
        expression = expanded(expression)
    if isinstance(expression, Group):
        for part in expression.parts:
            yield from predicates(part)
    else:
        yield expression


def categories(audience: Audience) -> frozenset[str]:
    """Return every data category the audience reads; those not in `FACTS` need agreement."""
    return frozenset(map(category, predicates(audience.where)))
