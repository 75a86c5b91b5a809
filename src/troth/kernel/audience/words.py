"""The words of an audience as frozen values: predicates, groups, the audience itself."""

from dataclasses import dataclass

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
Listed = ResidenceIn | AgeIn | LanguageIn | InterestIn
Predicate = Buying | Listed | HasSale | LastSaleOlderThan | Related | LevelAtLeast
Group = Every | Some | Neither
Expression = Predicate | Group


@dataclass(frozen=True, slots=True)
class Audience:
    """People described by an expression, selected under a purpose."""

    name: str
    purpose: str
    where: Expression
