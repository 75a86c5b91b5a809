"""The rules in force as one value: which apply, what they oblige to, when something is due.

A rule has no verdict of its own. Contact rules name a predicate the gate binds; content rules
name obligations; deadline rules name a day-count kind. Which rules apply is a union over the
person's residence and the sender's seat, so that the strictest answer wins; a residence that is
unknown, or that no regime covers, takes every regime marked `fallback`. A subdivision (`CA-ON`)
meets the rules of its country as well; a country alone meets those of all its subdivisions.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from troth.errors import InvalidInput, NotFound
from troth.kernel import calendars as days
from troth.kernel.calendars import Calendar, Due, Window
from troth.kernel.rulefiles import Vocabulary, parse_regime, refuse_overlaps
from troth.kernel.rules import CONTACT_KINDS, Applies, Example, Regime, Rule, in_place
from troth.terms import Channel, Instant, PurposeKind, ReasonCode

__all__ = ["Applies", "Example", "Regime", "Rule", "Ruleset", "load"]

_ORDER = {code: place for place, code in enumerate(ReasonCode)}
_Found = TypeVar("_Found")
_MEMORY = 10_000
"""Answers a ruleset remembers; a house meets a few hundred distinct questions."""
_SILENT = frozenset({PurposeKind.SERVICE, PurposeKind.OPERATIONS})
"""Purpose kinds a rule meets only when it names them: no marketing rule stops a receipt."""


@dataclass(frozen=True, slots=True, eq=False)
class Ruleset:
    """All published rules and calendars, as one value with one hash.

    Attributes:
        label: `regimes@<newest version of a file>`.
        digest: SHA-256, hex, over sorted file names and bytes; stands in every decision.
    """

    label: str
    digest: str
    rules: tuple[Rule, ...]
    calendars: Mapping[str, Calendar]
    regimes: Mapping[str, Regime]
    _breaks: tuple[int, ...] = ()
    _chosen: dict[tuple[object, ...], Any] = field(default_factory=dict, repr=False)

    def contact_rules(
        self, kind: PurposeKind, channel: Channel | None, residence: str, seat: str, at: Instant
    ) -> tuple[Rule, ...]:
        """Every rule the gate must ask, in the order of their codes in `ReasonCode`, then ids.

        Costs one look-up on repeat: the answer is kept until a rule begins or ends.
        """
        key = (kind, channel, residence, seat, bisect_right(self._breaks, at))
        found: tuple[Rule, ...] | None = self._chosen.get(key)
        if found is None:
            chosen = self._select(CONTACT_KINDS, kind, channel, (residence, seat), at)
            found = self._keep(key, tuple(sorted(chosen, key=_place)))
        return found

    def content_obligations(
        self, kind: PurposeKind, channel: Channel | None, residence: str, seat: str, at: Instant
    ) -> tuple[str, ...]:
        """Ids of what a message must carry, sorted, each once."""
        key = ("content", kind, channel, residence, seat, bisect_right(self._breaks, at))
        found: tuple[str, ...] | None = self._chosen.get(key)
        if found is None:
            rules = self._select(frozenset({"content"}), kind, channel, (residence, seat), at)
            ids = {name for rule in rules for name in rule.obligations()}
            found = self._keep(key, tuple(sorted(ids)))
        return found

    def retention_rules(self, residence: str, seat: str, at: Instant) -> tuple[Rule, ...]:
        """Every rule that says how long data may be kept, by id."""
        key = ("retention", residence, seat, bisect_right(self._breaks, at))
        found: tuple[Rule, ...] | None = self._chosen.get(key)
        if found is None:
            chosen = self._select(
                frozenset({"retention"}), PurposeKind.MARKETING, None, (residence, seat), at
            )
            found = self._keep(key, tuple(sorted(chosen, key=lambda rule: rule.id)))
        return found

    def rule(self, rule_id: str, at: Instant) -> Rule:
        """The version of a rule valid at `at`, else its newest; `NotFound` for an unknown id."""
        versions = [rule for rule in self.rules if rule.id == rule_id]
        if not versions:
            raise NotFound(f"no rule {rule_id} in {self.label}", "see `troth check`")
        valid = [r for r in versions if r.begins <= at and (not r.ends or at < r.ends)]
        return (valid or sorted(versions, key=lambda rule: rule.begins))[-1]

    def window(self, rule: Rule) -> Window:
        """The quiet-time window of a rule, made once so that its answers are remembered."""
        key = ("window", rule)
        found: Window | None = self._chosen.get(key)
        if found is None:
            named = rule.params.get("calendar", "")
            calendar = self.calendars[named] if named else days.NO_HOLIDAYS
            found = self._chosen[key] = days.parse_window(rule.params, calendar)
        return found

    def applicable(self, residence: str, seat: str) -> tuple[str, ...]:
        """Ids of the regimes of contact that cover a person or the sender, sorted."""
        return tuple(
            sorted(
                regime.id
                for regime in self.regimes.values()
                if self._covers(regime, residence) or in_place(seat, regime.residence)
            )
        )

    def zones(self, residence: str) -> tuple[str, ...]:
        """Zones of the regimes that cover a residence: what an unknown zone is judged in."""
        covering = (r for r in self.regimes.values() if r.residence)
        found = [r.zones_of(residence) for r in covering if self._covers(r, residence)]
        return tuple(sorted(frozenset[str]().union(*found)))

    def ended(self, regime: str, at: Instant) -> bool:
        """Tell whether a regime says nothing any more: its file ended or every rule in it did."""
        head = self.regimes.get(regime)
        if head is None or (head.ends and head.ends <= at):
            return True
        mine = [rule for rule in self.rules if rule.regime == regime]
        return all(rule.ends and rule.ends <= at for rule in mine)

    def overdue_reviews(self, at: Instant) -> tuple[Rule, ...]:
        """Rules past `review_by`: they still apply, and a warning is shown."""
        return tuple(
            rule
            for rule in self.rules
            if rule.live(at)
            and days.local_date(at, self.regimes[rule.regime].zone) > rule.review_by
        )

    def adult_years(self, residence: str, seat: str, at: Instant) -> int:
        """The age from which a person agrees alone: the highest any applying rule asks."""
        rules = self.contact_rules(PurposeKind.MARKETING, None, residence, seat, at)
        asked = [
            int(rule.params.get("states", {}).get(residence, rule.params["under_years"]))
            for rule in rules
            if rule.kind == "age"
        ]
        return max(asked, default=0)

    def age_class(self, years: int, residence: str, seat: str, at: Instant) -> str:
        """Tell `adult` from `minor` by whole years lived, under the strictest applying rule."""
        return "adult" if years >= self.adult_years(residence, seat, at) else "minor"

    def due(self, rule_id: str, start: Instant, seat: str = "") -> tuple[Instant, Instant]:
        """When a duty that began at `start` ends: (strict, legal), each exclusive.

        Counted on dates of the regime's zone, and due until that local day is over; a rule in
        hours is due to the second. `seat` is the controller's country where the rule rolls by it;
        without a calendar for it nothing is rolled. `NotFound` for an unknown rule.
        """
        rule = self.rule(rule_id, start)
        return self._due(rule, int(rule.params.get("count", 0)), start, seat)

    def extended(self, rule_id: str, start: Instant, seat: str = "") -> tuple[Instant, Instant]:
        """Like `due` with the rule's one extension used, counted from `start` as well."""
        rule = self.rule(rule_id, start)
        if "extension" not in rule.params:
            raise InvalidInput(f"{rule_id} has no extension", "answer by its due date")
        return self._due(rule, rule.params["count"] + rule.params["extension"], start, seat)

    def reached(self, rule_id: str, value: int | str, at: Instant) -> bool:
        """Tell whether a measured value or a reply sets off a signal rule.

        `value` is in the rule's own unit, as its file states it. A rule of another kind raises
        `InvalidInput`, an unknown one `NotFound`.
        """
        rule = self.rule(rule_id, at)
        if rule.predicate == "reaches" and isinstance(value, int):
            return value >= int(rule.params["limit"])
        if rule.predicate == "among" and isinstance(value, str):
            return value in rule.params["replies"]
        raise InvalidInput(f"{rule_id} does not judge such a value", "name a signal rule")

    def _count(self, rule: Rule, count: int, start: Instant, seat: str) -> Due:
        begun = days.local_date(start, self.regimes[rule.regime].zone)
        if rule.predicate == "calendar_days":
            return days.calendar_days(begun, count)
        named = str(rule.params.get("calendar", "seat"))
        calendar = self.calendars.get(seat if named == "seat" else named)
        if rule.predicate == "business_days":
            if calendar is None:
                raise InvalidInput(f"{rule.id} needs a calendar", "ship one for the seat")
            narrower = self.calendars[calendar.strict_with or calendar.code]
            return days.business_days(begun, count, calendar, narrower)
        if rule.predicate == "za_days":
            raw = days.calendar_days(begun, count)
            return days.za_days(begun, count, calendar) if calendar else raw
        month_end = days.add_months(begun, count)
        if calendar is None or rule.predicate == "months":
            return Due(month_end, month_end)
        return days.eu_months(begun, count, calendar)

    def _keep(self, key: tuple[object, ...], found: _Found) -> _Found:
        if len(self._chosen) >= _MEMORY:
            self._chosen.clear()
        self._chosen[key] = found
        return found

    def _due(self, rule: Rule, count: int, start: Instant, seat: str) -> tuple[Instant, Instant]:
        if rule.kind != "deadline":
            raise InvalidInput(f"{rule.id} is not a deadline", "name a deadline rule")
        if rule.predicate == "hours":
            end = days.hours(start, count)
            return end, end
        due = self._count(rule, count, start, seat)
        zone = self.regimes[rule.regime].zone
        return days.day_ends(due.strict, zone), days.day_ends(due.legal, zone)

    def _covers(self, regime: Regime, residence: str) -> bool:
        if "*" in regime.residence or in_place(residence, regime.residence):
            return True
        return regime.fallback and not self._known(residence)

    def _known(self, residence: str) -> bool:
        return any(in_place(residence, regime.residence) for regime in self.regimes.values())

    def _select(
        self,
        kinds: frozenset[str],
        kind: PurposeKind,
        channel: Channel | None,
        places: tuple[str, str],
        at: Instant,
    ) -> Iterator[Rule]:
        residence, seat = places
        known = self._known(residence)
        for rule in self.rules:
            purposes = rule.applies.purposes
            if (
                rule.kind in kinds
                and not rule.part_of
                and rule.live(at)
                and rule.setting(channel) != "off"
                and (kind in purposes if purposes else kind not in _SILENT)
                and self._reaches(rule, residence if known else "", seat)
            ):
                yield rule

    def _reaches(self, rule: Rule, residence: str, seat: str) -> bool:
        applies = rule.applies
        fallback = self.regimes[rule.regime].fallback
        return (
            "*" in applies.residence
            or in_place(residence, applies.residence)
            or in_place(seat, applies.seat)
            or (fallback and not residence and bool(applies.residence))
            or (fallback and not seat and bool(applies.seat))
        )


def load(
    files: Mapping[str, bytes], calendars: Mapping[str, bytes], predicates: Collection[str]
) -> Ruleset:
    """Read regime and calendar files by name; `predicates` are the names the gate can bind.

    Raises:
        InvalidInput: A file is malformed or could mislead; nothing is loaded, and the message
            names file, rule id and remedy.
    """
    if not files:
        raise InvalidInput("no regime file", "publish at least one")
    read = [days.parse_calendar(name, raw) for name, raw in sorted(calendars.items())]
    by_code = {calendar.code: calendar for calendar in read}
    _refuse_calendars(read, by_code)
    known = Vocabulary(frozenset(predicates), frozenset(by_code))
    regimes: dict[str, Regime] = {}
    rules: list[Rule] = []
    for name, raw in sorted(files.items()):
        regime, found = parse_regime(name, raw, known)
        if regime.id in regimes:
            raise InvalidInput(f"{name}: regime {regime.id} is given twice", "keep one file")
        regimes[regime.id] = regime
        rules.extend(found)
        refuse_overlaps(name, rules)
    newest = max(tuple(map(int, regime.version.split("."))) for regime in regimes.values())
    return Ruleset(
        label="regimes@" + ".".join(map(str, newest)),
        digest=_digest(files, calendars),
        rules=tuple(rules),
        calendars=MappingProxyType(by_code),
        regimes=MappingProxyType(regimes),
        _breaks=tuple(sorted({edge for rule in rules for edge in (rule.begins, rule.ends)})),
    )


def _refuse_calendars(read: list[Calendar], by_code: Mapping[str, Calendar]) -> None:
    if len(read) != len(by_code):
        raise InvalidInput("two calendar files have one code", "keep one file per code")
    for calendar in read:
        if calendar.strict_with and calendar.strict_with not in by_code:
            raise InvalidInput(
                f"calendar {calendar.code} needs calendar {calendar.strict_with}", "ship it too"
            )


def _digest(files: Mapping[str, bytes], calendars: Mapping[str, bytes]) -> str:
    """Hash names and bytes, each with its length, so that no two sets share an encoding."""
    whole = hashlib.sha256()
    for folder, named in (("calendars/", calendars), ("regimes/", files)):
        for name, raw in sorted(named.items()):
            for part in ((folder + name).encode(), raw):
                whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()


def _place(rule: Rule) -> tuple[int, str]:
    return (_ORDER[rule.code] if rule.code else len(_ORDER), rule.id)
