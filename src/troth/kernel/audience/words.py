"""The words of an audience as frozen values: predicates, groups, the audience itself."""

from dataclasses import dataclass

STAGES = ("prospect", "customer", "lapsed", "ended")
RELATION_KINDS = ("sale", "inquiry", "contract", "donation", "membership")


@dataclass(frozen=True, slots=True)
class Bought:
    """At least one purchase in the last days."""

    within_days: int


@dataclass(frozen=True, slots=True)
class BoughtIn:
    """At least one purchase from a product group in the last days."""

    group: str
    within_days: int


@dataclass(frozen=True, slots=True)
class CountAtLeast:
    """At least `n` purchase lines in the last days."""

    n: int
    within_days: int


@dataclass(frozen=True, slots=True)
class SpentAtLeast:
    """At least `minor` units of one currency in the last days; other currencies count nothing."""

    minor: int
    currency: str
    within_days: int


@dataclass(frozen=True, slots=True)
class SilentFor:
    """No purchase in the last days; somebody who never bought is silent."""

    days: int


@dataclass(frozen=True, slots=True)
class HasSale:
    """The record holds a sale."""


@dataclass(frozen=True, slots=True)
class LastSaleOlderThan:
    """The newest sale lies at least `days` days back; unknown without a sale."""

    days: int


@dataclass(frozen=True, slots=True)
class Related:
    """The newest relation of a kind is younger than so many calendar months."""

    kind: str
    within_months: int


@dataclass(frozen=True, slots=True)
class LevelAtLeast:
    """The level under `personalise` is at least this."""

    level: int


@dataclass(frozen=True, slots=True)
class ResidenceIn:
    """The residence is one of these ISO 3166 codes, spelt alike (`CA` is not `CA-ON`)."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlaceIn:
    """The residence lies in one of these: a country (`CA`) holds its subdivisions (`CA-ON`)."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgeIn:
    """The age class is one of these."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LanguageIn:
    """The language is one of these tags, spelt alike."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InterestIn:
    """At least one of these interests was declared."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageIn:
    """Where the relation stands, worked out of the days of its newest facts.

    Attributes:
        values: Of `STAGES`.
        silent_days: A customer who did nothing for so many days has lapsed.
        ended_days: Whoever did nothing for so many days is gone.
    """

    values: tuple[str, ...]
    silent_days: int
    ended_days: int


@dataclass(frozen=True, slots=True)
class Rfm:
    """Scores from 1 to 5 of own purchases in the last 52 weeks; thresholds stand in the word.

    Attributes:
        recency: Lowest and highest score, () if it does not count; 5 bought within `days[0]`,
            1 not even within `days[3]`.
        days: Four rising numbers of days.
        frequency: As above; a score is 1 and one more per number in `lines` that is reached.
        lines: Four rising numbers of purchase lines.
        monetary: As above, by `minor`.
        minor: Four rising sums in minor units of `currency`, returns subtracted.
    """

    recency: tuple[int, ...] = ()
    days: tuple[int, ...] = ()
    frequency: tuple[int, ...] = ()
    lines: tuple[int, ...] = ()
    monetary: tuple[int, ...] = ()
    minor: tuple[int, ...] = ()
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Every:
    """True when all parts are true, false when one is false."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """True when one part is true, false when all are false."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Neither:
    """True when all parts are false, false when one is true."""

    parts: "tuple[Expression, ...]"


Buying = Bought | BoughtIn | CountAtLeast | SpentAtLeast | SilentFor
Listed = ResidenceIn | PlaceIn | AgeIn | LanguageIn | InterestIn
Predicate = Buying | Listed | HasSale | LastSaleOlderThan | Related | LevelAtLeast | StageIn
Group = Every | Some | Neither
Expression = Predicate | Rfm | Group


@dataclass(frozen=True, slots=True)
class Audience:
    """People described by an expression, selected under a purpose.

    Attributes:
        note: Why it was published although its fairness check said to look again.
    """

    name: str
    purpose: str
    where: Expression
    note: str = ""
