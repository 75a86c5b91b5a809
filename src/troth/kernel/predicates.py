"""The conditions regime files may name: few, tested functions, never code in data.

A factory reads a rule's parameters once and returns the bound predicate the gate asks about each
use. It answers with the reason code of its objection, or None. A fact it needs and does not find
is an objection too (`fact_missing`); an exception becomes `rule_error`. Nothing is skipped.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from troth.errors import InvalidInput
from troth.kernel.calendars import Window, local_date, months_back, window_end
from troth.kernel.consent import PERSONALISE, Scope, stands
from troth.kernel.facts import Facts, House
from troth.kernel.grounds import (
    DENIAL_CODES,
    Answer,
    GroundRule,
    OfBlocks,
    OfHouse,
    OfMinors,
    OfPlace,
    record_of,
    remembered_scope,
    what_stands,
)
from troth.kernel.regimes import Rule, Ruleset
from troth.terms import (
    DENYING,
    GRANTING,
    Action,
    Block,
    ConsentStatus,
    Instant,
    PersonRecord,
    Purpose,
    PurposeKind,
    ReasonCode,
    UseRequest,
)

Predicate = Callable[[UseRequest, Facts], ReasonCode | None]
Factory = Callable[[Mapping[str, Any], Ruleset, Rule | None], Predicate]

_OBJECTIONS = frozenset({ConsentStatus.OBJECTED, ConsentStatus.OPTED_OUT})
_ASKING_CLOSED_BY = frozenset({PurposeKind.MARKETING, PurposeKind.CONSENT_REQUEST})


def _ground(params: Mapping[str, Any], ruleset: Ruleset, rule: Rule | None) -> Predicate:
    return GroundRule(params, ruleset.regimes[rule.regime].zone if rule else "UTC")


def _ask_once(params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None) -> Predicate:
    if params.get("times", 1) != 1:
        raise InvalidInput("the house remembers only whether an address was asked, not how often")

    def ask_once(request: UseRequest, facts: Facts) -> ReasonCode | None:
        if facts.asked:
            return ReasonCode.ASKED_ONCE_ALREADY
        record = record_of(facts)
        for where in _marketing_scopes(facts.house, request):
            act = stands(record, where, request.at)[1]
            if act is not None and act.status in DENYING:
                return DENIAL_CODES[act.status]
        return None

    return ask_once


def _marketing_scopes(house: House, request: UseRequest) -> tuple[Scope, ...]:
    """Scopes of every marketing purpose on this channel: a no to one is a no to being asked."""
    channel = request.channel or ""
    place = ("asking", channel)
    found: tuple[Scope, ...] | None = house.memo.get(place)
    if found is None:
        purposes = [p for _, p in sorted(house.purposes.items()) if p.kind in _ASKING_CLOSED_BY]
        found = house.memo[place] = tuple(remembered_scope(house, p, channel) for p in purposes)
    return found


def _no_objection(_params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None) -> Predicate:
    def no_objection(request: UseRequest, facts: Facts) -> ReasonCode | None:
        for status, _, _ in what_stands(request, facts):
            if status in _OBJECTIONS:
                return ReasonCode.OBJECTED
        return None

    return no_objection


_LEVELS = Purpose(PERSONALISE, 0, PurposeKind.PERSONALISE, "", frozenset(), frozenset())
_BEYOND_SENDING = frozenset({Action.PROFILE, Action.PERSONALISE, Action.SHARE})
"""What an opt-out of sale, sharing and targeted advertising reaches; a plain message is none."""


def opted_out(request: UseRequest, facts: Facts) -> ReasonCode | None:
    """Object where the person opted out, by themselves or by a signal, of being personalised for.

    Marketing may then still write to whoever agreed to that, but profile, personalise for and
    hand on nobody. The opt-out stands until the person's own later consent to `personalise`.
    """
    if request.action not in _BEYOND_SENDING:
        return None
    house = facts.house
    purpose = house.purposes.get(PERSONALISE, _LEVELS)
    status = stands(record_of(facts), remembered_scope(house, purpose, ""), request.at)[0]
    return ReasonCode.OBJECTED if status in _OBJECTIONS else None


def _not_opted_out(_params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None) -> Predicate:
    return opted_out


def _competent_person(
    params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None
) -> Predicate:
    if not int(params["under_years"]) > 0:
        raise InvalidInput("an age limit lies above 0")

    return MinorRule()


class MinorRule(OfMinors):
    """Ask whether a competent person agreed for a minor."""

    __slots__ = ()

    def __call__(self, request: UseRequest, facts: Facts) -> ReasonCode | None:
        """Object where neither a general consent nor one to this use is a competent person's."""
        record = record_of(facts)
        if record.age != "minor" or record.competent:
            return None
        # a minor's own yes never stands (`consent.proven`): one that does is a competent person's
        agreed = any(status in GRANTING for status, _, _ in what_stands(request, facts))
        return None if agreed else ReasonCode.MINOR


def zones_of(record: PersonRecord, facts: Facts) -> tuple[str, ...]:
    """The person's zone, or while it is unknown every zone that comes into question."""
    if record.zone:
        return (record.zone,)
    house = facts.house
    place = ("zones", record.residence)
    found: tuple[str, ...] | None = house.memo.get(place)
    if found is None:
        named = {house.zone, *house.ruleset.zones(record.residence)} - {""}
        found = house.memo[place] = tuple(sorted(named))
    return found


class QuietRule(OfPlace):
    """Ask whether the wall clock of the recipient stands inside the window, for sends alone."""

    __slots__ = ("window",)

    def __init__(self, window: Window) -> None:
        """Take the window; its answers are remembered with it."""
        self.window = window

    def judge(self, request: UseRequest, facts: Facts) -> Answer:
        """Object outside the window; inside, the answer changes when it closes."""
        if request.action is not _SEND:
            return (None, "", 0)
        ends = window_end(self.window, zones_of(record_of(facts), facts), request.at)
        return (None, "", ends) if ends else (ReasonCode.QUIET_HOURS, "", 0)


_SEND: Final = Action.SEND


def _quiet_window(_params: Mapping[str, Any], ruleset: Ruleset, rule: Rule | None) -> Predicate:
    if rule is None:
        raise InvalidInput("a quiet window needs the rule it stands in")
    return QuietRule(ruleset.window(rule))


def _registry_cleansed(
    params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None
) -> Predicate:
    return RegistryRule(str(params["registry"]), int(params["months"]))


class RegistryRule(OfHouse):
    """Ask whether an opt-out registry's file was applied lately, or an officer decided to wait."""

    __slots__ = ("months", "name")

    def __init__(self, name: str, months: int) -> None:
        """Take the registry's name and the months its file is good for, in the house's zone."""
        self.name = name
        self.months = months

    def __call__(self, request: UseRequest, facts: Facts) -> ReasonCode | None:
        """Object to a file that is missing, unusable, of the future or too old."""
        registry, at = facts.house.registries.get(self.name), request.at
        if registry is None:
            return ReasonCode.REGISTRY_STALE
        if registry.waived_from <= at < registry.waived_until and registry.decision:
            return None
        if not registry.usable or not 0 < registry.cleansed_at <= at:
            return ReasonCode.REGISTRY_STALE
        zone = facts.house.zone or "UTC"
        cleansed = local_date(Instant(registry.cleansed_at), zone)
        good = cleansed >= months_back(local_date(at, zone), self.months)
        return None if good else ReasonCode.REGISTRY_STALE


def _registry_block(params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None) -> Predicate:
    return RegistryBlock(str(params["registry"]))


class RegistryBlock(OfBlocks):
    """Ask whether a registry lists one of the person's addresses."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        """Take the registry's name."""
        self.name = name

    def __call__(self, _request: UseRequest, facts: Facts) -> ReasonCode | None:
        """Object to a block of this registry, or of one that is not named."""
        if facts.gathered is None:
            return ReasonCode.FACT_MISSING
        for block in facts.gathered.blocks:
            elsewhere = block.scope == "all" and block.value not in ("", self.name)
            if block.reason == "registry_block" and not elsewhere:
                return ReasonCode.REGISTRY_BLOCK
        return None


def blocks_use(block: Block, request: UseRequest, house: House) -> bool:
    """Tell whether a suppression's scope covers a use; a parent purpose covers its children.

    Raises:
        InvalidInput: The scope is of no known kind: nobody can say what it does not cover.
    """
    if block.until and request.at >= block.until:
        return False
    if block.scope == "all":
        return True
    if block.scope == "channel":
        return request.channel == block.value
    if block.scope == "brand":
        return request.brand == block.value
    if block.scope == "purpose":
        where = remembered_scope(house, house.purposes[request.purpose], "")
        return block.value == request.purpose or f"{block.value}|" in where.wide
    raise InvalidInput("a suppression has an unknown scope")


def _notice_current(
    _params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None
) -> Predicate:
    def notice_current(request: UseRequest, facts: Facts) -> ReasonCode | None:
        code = None
        for status, act, _ in what_stands(request, facts):
            if act is not None and status in GRANTING:
                code = _notice_code(facts.house, act.notice)
                if code is None:
                    break
        return code

    return notice_current


_LABELS_KEPT: Final = 1024


def _notice_code(house: House, label: str) -> ReasonCode | None:
    """Compare the notice a consent was bound to; once per notice version."""
    known: dict[str, ReasonCode | None] | None = house.memo.get("notices")
    if known is None:
        known = house.memo["notices"] = {}
    if label not in known:
        if len(known) >= _LABELS_KEPT:
            known.clear()
        known[label] = _compared(house, label)
    return known[label]


def _compared(house: House, label: str) -> ReasonCode | None:
    """Find out whether a notice was materially changed; one never published proves nothing."""
    name, _, version = label.partition("@")
    oldest = house.material.get(name)
    if oldest is None or not version.isdecimal():
        return ReasonCode.FACT_MISSING
    return ReasonCode.NOTICE_OUTDATED if int(version) < oldest else None


PREDICATES: Final[dict[str, Factory]] = {
    "ground": _ground,
    "ask_once": _ask_once,
    "no_objection": _no_objection,
    "not_opted_out": _not_opted_out,
    "competent_person": _competent_person,
    "quiet_window": _quiet_window,
    "registry_cleansed_within": _registry_cleansed,
    "registry_block": _registry_block,
    "notice_current": _notice_current,
}
"""Name in a regime file to factory: the whole vocabulary, passed to `regimes.load`."""
