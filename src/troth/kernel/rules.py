"""One rule of law or of a mailbox provider, and the regime it belongs to, as frozen values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from troth.terms import Channel, Instant, PurposeKind, ReasonCode

Setting = Literal["on", "strict", "off"]
Status = Literal["in_force", "proposal", "disputed", "repealed"]

CONTACT_KINDS = frozenset({"permission", "prohibition", "window", "cap", "age", "cadence"})
"""Kinds of rules that object to contact; the gate binds their predicates."""
KINDS = CONTACT_KINDS | {"deadline", "content", "retention", "signal"}
UNITS = frozenset({"hours", "calendar_days", "za_days", "eu_months", "business_days", "months"})
"""Day-count kinds a deadline rule may name as its predicate."""
SIGNALS = frozenset({"reaches", "among"})
"""How a signal rule judges a measured value: against `limit`, or as one of `replies`."""
_APPLYING = frozenset({"in_force", "disputed"})


@dataclass(frozen=True, slots=True)
class Applies:
    """Whom a rule reaches: residence or seat matches, and the purpose's kind does.

    Attributes:
        purposes: Purpose kinds; empty means every kind but service and operations.
        residence: Codes, groups resolved; `*` everyone.
        seat: Codes, groups resolved.
        subject: natural, juristic or "" for both; the predicate's caller checks it.
    """

    purposes: frozenset[PurposeKind] = frozenset()
    residence: frozenset[str] = frozenset()
    seat: frozenset[str] = frozenset()
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A test case a rule carries: facts, and every `expect…` or worked date beside them."""

    facts: Mapping[str, Any]
    expect: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One dated rule.

    Attributes:
        id: Stable id such as `ZA-5`; versions of one id never overlap.
        regime: Id of the regime file it stands in.
        code: Reason code by which it is ordered; None where it never objects.
        remedy: Catalogue id of what would help, or "".
        part_of: The rule that carries this one out; it is not asked a second time.
        cites: Ids other than its own under which single codes are reported.
        channels: Per channel on, strict (doubtful, applied and said so) or off; absent is on.
        valid_from: First day in force, in the regime's zone.
        valid_to: Last day in force; None open.
        begins: `valid_from` as an instant.
        ends: First instant after `valid_to`; 0 open.
        source_mark: Letters of P primary, R regulator, S secondary, K unread.
        review_by: After this day a warning is shown; the rule still applies.
    """

    id: str
    regime: str
    law: str
    title: str
    stage: str
    kind: str
    predicate: str
    params: Mapping[str, Any]
    applies: Applies
    channels: Mapping[Channel, Setting]
    code: ReasonCode | None
    remedy: str
    status: Status
    valid_from: date
    valid_to: date | None
    begins: Instant
    ends: Instant
    source: str
    source_mark: str
    needs_check: bool
    checked_on: date
    review_by: date
    examples: tuple[Example, ...]
    part_of: str = ""
    cites: Mapping[ReasonCode, str] = field(default_factory=dict)

    def setting(self, channel: Channel | None) -> Setting:
        """How the rule stands on a channel; what is not listed, and no channel at all, is on."""
        return "on" if channel is None else self.channels.get(channel, "on")

    def cautious(self, channel: Channel | None) -> bool:
        """Tell whether the reading is doubtful: applied all the same, and to be said so."""
        return self.status == "disputed" or self.setting(channel) == "strict"

    def cited(self, code: ReasonCode) -> str:
        """The id to report with `code`: `cites`, else the rule's own."""
        return self.cites.get(code, self.id)

    def obligations(self) -> tuple[str, ...]:
        """Ids of what a message must carry; `{days}` in one stands for the rule's own number."""
        days = str(self.params.get("days", ""))
        names = self.params.get("obligations", ())
        return tuple(str(name).replace("{days}", days) for name in names)

    def live(self, at: Instant) -> bool:
        """Tell whether the rule changes decisions at `at`; proposals and repealed never do."""
        return self.status in _APPLYING and self.begins <= at and (not self.ends or at < self.ends)


@dataclass(frozen=True, slots=True, eq=False)
class Regime:
    """Head of one regime file.

    Attributes:
        zone: Zone in which the regime's dates are dates.
        residence: Codes whose residents it covers, groups resolved.
        places: Code to the zones in which its people live; empty where `zone` is the only one.
        fallback: It also covers everyone no regime covers.
        ends: First instant after the file's own last day; 0 open.
    """

    id: str
    version: str
    zone: str
    residence: frozenset[str]
    fallback: bool
    ends: Instant
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def zones_of(self, residence: str) -> frozenset[str]:
        """Zones in which a resident may live: those of the place, else every one it names."""
        if residence in self.places:
            return frozenset(self.places[residence])
        return frozenset({self.zone}).union(*self.places.values())


def in_place(place: str, codes: Collection[str]) -> bool:
    """Tell whether a place may lie in one of `codes`: as written, in its country, or around it.

    A subdivision lies in its country; a country alone may be any of its subdivisions.

    >>> in_place("US-CA", {"US"}), in_place("US", {"US-CA"}), in_place("US-TX", {"US-CA"})
    (True, True, False)
    """
    if place in codes or place.partition("-")[0] in codes:
        return True
    return "-" not in place and any(code.startswith(f"{place}-") for code in codes)
