"""The conditions regime files may name: few, tested functions, never code in data.

A factory reads a rule's parameters once and returns the bound predicate the gate asks about each
use. It answers with the reason code of its objection, or None. A fact it needs and does not find
is an objection too (`fact_missing`); an exception becomes `rule_error`. Nothing is skipped.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from troth.errors import InvalidInput
from troth.kernel.calendars import Window, local_date, months_back, window_end
from troth.kernel.consent import Found, Scope, grant_end, key, scope, stands
from troth.kernel.facts import Facts, House
from troth.kernel.regimes import Rule, Ruleset
from troth.terms import (
    DENYING,
    GRANTING,
    SECOND,
    Action,
    Block,
    ConsentStatus,
    Instant,
    PersonRecord,
    Purpose,
    PurposeKind,
    ReasonCode,
    Relation,
    UseRequest,
)

Predicate = Callable[[UseRequest, Facts], ReasonCode | None]
Factory = Callable[[Mapping[str, Any], Ruleset, Rule | None], Predicate]

DENIAL_CODES: Final[Mapping[ConsentStatus, ReasonCode]] = {
    ConsentStatus.REFUSED: ReasonCode.REFUSED,
    ConsentStatus.WITHDRAWN: ReasonCode.WITHDRAWN,
    ConsentStatus.REVOKED: ReasonCode.WITHDRAWN,
    ConsentStatus.INVALIDATED: ReasonCode.WITHDRAWN,
    ConsentStatus.EXPIRED: ReasonCode.EXPIRED,
    ConsentStatus.OBJECTED: ReasonCode.OBJECTED,
    ConsentStatus.OPTED_OUT: ReasonCode.OBJECTED,
}
QUARTER: Final = 900 * SECOND
"""Local days begin at whole quarters of an hour, whatever the zone."""
_OBJECTIONS = frozenset({ConsentStatus.OBJECTED, ConsentStatus.OPTED_OUT})
_ASKING_CLOSED_BY = frozenset({PurposeKind.MARKETING, PurposeKind.CONSENT_REQUEST})


Answer = tuple[ReasonCode | None, str, int]
"""Objection or None; the legal ground that stands, or ""; when the answer changes, 0 never."""

EXCEPTION_NEEDS: Final = frozenset(
    {"sale", "own", "similar", "collected", "objection_offered", "not_refused"}
)
"""The six facts of the customer exception; a regime file lists those its law asks for."""


def remembered_scope(house: House, purpose: Purpose, channel: str) -> Scope:
    """Return the scope of a purpose and channel, worked out once per house."""
    place = ("scope", purpose.name, channel)
    found: Scope | None = house.memo.get(place)
    if found is None:
        found = house.memo[place] = scope(purpose, channel, house.purposes)
    return found


record_of: Final[Callable[[Facts], PersonRecord]] = attrgetter("gathered.record")
"""The person's folded record; without one an exception, which becomes `rule_error`."""


def what_stands(request: UseRequest, facts: Facts) -> tuple[Found, ...]:
    """What stands on each scope that could carry this use; asked once per decision.

    With a channel there is one. Without, as for profiling, any channel of the purpose will do.
    """
    held: tuple[UseRequest, tuple[Found, ...]] | None = facts.memo.get("stands")
    if held is not None and held[0] is request:
        return held[1]
    record, at = record_of(facts), request.at
    found = tuple([stands(record, where, at) for where in _scopes(facts.house, request)])
    facts.memo["stands"] = (request, found)
    return found


def _scopes(house: House, request: UseRequest) -> tuple[Scope, ...]:
    place = ("scopes", request.purpose, request.channel)
    found: tuple[Scope, ...] | None = house.memo.get(place)
    if found is None:
        purpose = house.purposes[request.purpose]
        named = ("", *sorted(purpose.channels)) if request.channel is None else (request.channel,)
        found = house.memo[place] = tuple(remembered_scope(house, purpose, name) for name in named)
    return found


class Timed(ABC):
    """A predicate whose yes ends at a known moment: `judge` tells it, calling it does not."""

    __slots__ = ()

    def __call__(self, request: UseRequest, facts: Facts) -> ReasonCode | None:
        """Object, or not, as any predicate does."""
        return self.judge(request, facts)[0]

    @abstractmethod
    def judge(self, request: UseRequest, facts: Facts) -> Answer:
        """Answer with the ground and the moment the answer changes."""


class GroundRule(Timed):
    """Ask whether a legal ground stands: a consent, else the customer exception where allowed."""

    __slots__ = ("consent", "customer_exception", "needs")

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Read `consent`, `customer_exception` and its `needs`; a ground not named does not count.

        Raises:
            InvalidInput: `needs` names a fact nobody can judge.
        """
        self.consent = bool(params.get("consent", False))
        self.customer_exception = bool(params.get("customer_exception", False))
        self.needs = frozenset(params.get("needs", EXCEPTION_NEEDS))
        if not self.needs <= EXCEPTION_NEEDS:
            raise InvalidInput("a customer exception needs a fact that has no meaning")

    def judge(self, request: UseRequest, facts: Facts) -> Answer:
        """Find the ground. Where several scopes could carry the use, the nearest miss answers."""
        held = what_stands(request, facts)
        if len(held) == 1:
            return self._one(held[0], request, facts)
        return min((self._one(each, request, facts) for each in held), key=_nearness)

    def _one(self, held: Found, request: UseRequest, facts: Facts) -> Answer:
        status, act, _ = held
        if act is not None:
            if status in GRANTING and self.consent:
                return (None, "consent", grant_end(facts.house.purposes[request.purpose], act))
            if act.status in DENYING:
                return (DENIAL_CODES[act.status], "", 0)
        code: ReasonCode | None = _NO_CONSENT
        if self.customer_exception:
            code = customer_exception(request, facts, self.needs)
            if code is None:
                return (None, "customer_exception", 0)
        if status == "expired":
            code = ReasonCode.EXPIRED
        elif record_of(facts).standings and _elsewhere(request, facts):
            code = ReasonCode.CHANNEL_NOT_CONSENTED
        return (code, "", 0)


def _elsewhere(request: UseRequest, facts: Facts) -> bool:
    """Tell whether a consent to the same purpose stands on another channel."""
    record, house = record_of(facts), facts.house
    purpose = house.purposes[request.purpose]
    return any(
        key(purpose.name, channel) in record.standings
        and stands(record, remembered_scope(house, purpose, channel), request.at)[0] in GRANTING
        for channel in purpose.channels
    )


_NO_CONSENT: Final = ReasonCode.NO_CONSENT
_CODE_ORDER = {code: place for place, code in enumerate(ReasonCode)}


def _nearness(answer: Answer) -> int:
    return -1 if answer[0] is None else _CODE_ORDER[answer[0]]


def customer_exception(
    request: UseRequest, facts: Facts, needs: frozenset[str]
) -> ReasonCode | None:
    """Judge the facts of the customer exception that relations show; None when all hold.

    One and the same sale must be of the sender's own brand, of goods similar to those offered, the
    occasion on which the details were obtained, with an objection offered there: as far as
    `needs` asks. That nobody refused since is for the caller to have settled, always.
    """
    relations = record_of(facts).relations
    if not relations:
        return _NO_CONSENT
    purpose, furthest = facts.house.purposes[request.purpose], 0
    asked = _exception_facts(needs)
    for relation in relations:
        reached = 0
        if relation.at <= request.at:
            for _, holds, _ in asked:
                if not holds(relation, purpose, request.brand):
                    break
                reached += 1
            else:
                return None
        furthest = max(furthest, reached)
    return asked[furthest][2] if asked else _NO_CONSENT


_ExceptionFact = tuple[str, Callable[[Relation, Purpose, str], bool], ReasonCode]


@lru_cache(maxsize=64)
def _exception_facts(needs: frozenset[str]) -> tuple[_ExceptionFact, ...]:
    """The facts relations must show, in the order they are asked; once per set of needs."""
    return tuple(fact for fact in _EXCEPTION_FACTS if fact[0] in needs)


_EXCEPTION_FACTS: Final[tuple[_ExceptionFact, ...]] = (
    ("sale", lambda fact, _purpose, _brand: fact.kind == "sale", ReasonCode.NOT_CUSTOMER),
    ("own", lambda fact, _purpose, brand: fact.brand == brand, ReasonCode.NOT_CUSTOMER),
    (
        "similar",
        lambda fact, purpose, _brand: fact.goods in purpose.goods,
        ReasonCode.NOT_SIMILAR_PRODUCT,
    ),
    ("collected", lambda fact, _purpose, _brand: fact.collected, ReasonCode.NO_CONSENT),
    (
        "objection_offered",
        lambda fact, _purpose, _brand: fact.objection_offered,
        ReasonCode.NO_OBJECTION_OFFERED,
    ),
)


def _ground(params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None) -> Predicate:
    return GroundRule(params)


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


def _competent_person(
    params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None
) -> Predicate:
    if not int(params["under_years"]) > 0:
        raise InvalidInput("an age limit lies above 0")

    def competent_person(request: UseRequest, facts: Facts) -> ReasonCode | None:
        record = record_of(facts)
        if record.age != "minor" or record.competent:
            return None
        # a minor's own yes never stands (`consent.proven`): one that does is a competent person's
        agreed = any(status in GRANTING for status, _, _ in what_stands(request, facts))
        return None if agreed else ReasonCode.MINOR

    return competent_person


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


class QuietRule(Timed):
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
    name, months = str(params["registry"]), int(params["months"])

    def registry_cleansed_within(request: UseRequest, facts: Facts) -> ReasonCode | None:
        registry, at = facts.house.registries.get(name), request.at
        if registry is None:
            return ReasonCode.REGISTRY_STALE
        if registry.waived_from <= at < registry.waived_until and registry.decision:
            return None
        if not registry.usable or not 0 < registry.cleansed_at <= at:
            return ReasonCode.REGISTRY_STALE
        return None if _fresh(facts.house, name, months, request.at) else ReasonCode.REGISTRY_STALE

    return registry_cleansed_within


def _fresh(house: House, name: str, months: int, at: Instant) -> bool:
    """Compare days in the house's zone; remembered per quarter of an hour, where days can turn."""
    place = ("fresh", name, months, at // QUARTER)
    found: bool | None = house.memo.get(place)
    if found is None:
        zone = house.zone or "UTC"
        cleansed = local_date(Instant(house.registries[name].cleansed_at), zone)
        found = house.memo[place] = cleansed >= months_back(local_date(at, zone), months)
    return found


def _registry_block(params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None) -> Predicate:
    name = str(params["registry"])

    def registry_block(_request: UseRequest, facts: Facts) -> ReasonCode | None:
        if facts.gathered is None:
            return ReasonCode.FACT_MISSING
        for block in facts.gathered.blocks:
            elsewhere = block.scope == "all" and block.value not in ("", name)
            if block.reason == "registry_block" and not elsewhere:
                return ReasonCode.REGISTRY_BLOCK
        return None

    return registry_block


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


def _notice_code(house: House, label: str) -> ReasonCode | None:
    """Compare the notice a consent was bound to; once per notice version."""
    place = ("notice", label)
    known: tuple[ReasonCode | None] | None = house.memo.get(place)
    if known is None:
        known = house.memo[place] = (_compared(house, label),)
    return known[0]


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
    "competent_person": _competent_person,
    "quiet_window": _quiet_window,
    "registry_cleansed_within": _registry_cleansed,
    "registry_block": _registry_block,
    "notice_current": _notice_current,
}
"""Name in a regime file to factory: the whole vocabulary, passed to `regimes.load`."""
