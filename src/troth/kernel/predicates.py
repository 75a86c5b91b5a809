"""The conditions regime files may name: few, tested functions, never code in data.

A factory reads a rule's parameters once and returns the bound predicate the gate asks about each
use. It answers with the reason code of its objection, or None. A fact it needs and does not find
is an objection too (`fact_missing`); an exception becomes `rule_error`. Nothing is skipped.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from troth.errors import InvalidInput
from troth.kernel.calendars import local_date, months_back, window_end
from troth.kernel.consent import (
    Resolution,
    Scope,
    grant_end,
    scope,
    stands,
)
from troth.kernel.facts import Facts, House
from troth.kernel.regimes import Rule, Ruleset
from troth.terms import (
    DENYING,
    GRANTING,
    SECOND,
    Act,
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


class Ground(NamedTuple):
    """Which legal ground stands.

    Attributes:
        code: The objection where none does.
        basis: consent or customer_exception where one does, "" otherwise.
        until: When that ground runs out; 0 never.
        act: The consent it rests on, if it does.
    """

    code: ReasonCode | None
    basis: str = ""
    until: int = 0
    act: Act | None = None


_EXCEPTION = Ground(None, "customer_exception")


def remembered_scope(house: House, purpose: Purpose, channel: str) -> Scope:
    """Return the scope of a purpose and channel, worked out once per house."""
    place = ("scope", purpose.name, channel)
    found: Scope | None = house.memo.get(place)
    if found is None:
        found = house.memo[place] = scope(purpose, channel, house.purposes)
    return found


def record_of(facts: Facts) -> PersonRecord:
    """The person's folded record; without one there is nothing to judge by."""
    if facts.gathered is None:
        raise InvalidInput("no record of this person was gathered")
    return facts.gathered.record


def _scopes(request: UseRequest, facts: Facts) -> tuple[Scope, ...]:
    """Scopes that may carry this use: the channel's, or without a channel any of the purpose's."""
    house, purpose = facts.house, facts.house.purposes[request.purpose]
    if request.channel is not None:
        return (remembered_scope(house, purpose, request.channel),)
    channels = ("", *sorted(purpose.channels))
    return tuple(remembered_scope(house, purpose, channel) for channel in channels)


class GroundRule:
    """Ask whether a legal ground stands: a consent, else the customer exception where allowed.

    Callable as a predicate; `judge` also says which ground stands and until when.
    """

    __slots__ = ("consent", "customer_exception")

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Read `consent` and `customer_exception`; a ground not named does not count."""
        self.consent = bool(params.get("consent", False))
        self.customer_exception = bool(params.get("customer_exception", False))

    def __call__(self, request: UseRequest, facts: Facts) -> ReasonCode | None:
        """Object with the code that says best why no ground stands."""
        return self.judge(request, facts).code

    def judge(self, request: UseRequest, facts: Facts) -> Ground:
        """Find the ground. The nearest miss gives the code where there are several scopes."""
        found = [self._one(request, facts, where) for where in _scopes(request, facts)]
        if len(found) == 1:
            return found[0]
        return min(found, key=_nearness)

    def _one(self, request: UseRequest, facts: Facts, where: Scope) -> Ground:
        record = record_of(facts)
        held = stands(record, where, request.at)
        act = held.act
        if act is not None and self.consent and held.status in GRANTING:
            return Ground(None, "consent", grant_end(where.purpose, act), act)
        if act is not None and act.status in DENYING:
            return Ground(DENIAL_CODES[act.status])
        code = ReasonCode.NO_CONSENT
        if self.customer_exception:
            missed = customer_exception(record, where.purpose, request.brand, request.at)
            if missed is None:
                return _EXCEPTION
            code = missed
        return Ground(self._nearest(code, held, request, facts))

    def _nearest(
        self, code: ReasonCode, held: Resolution, request: UseRequest, facts: Facts
    ) -> ReasonCode:
        if held.status is ConsentStatus.EXPIRED:
            return ReasonCode.EXPIRED
        record, purpose = record_of(facts), facts.house.purposes[request.purpose]
        for channel in purpose.channels:
            elsewhere = remembered_scope(facts.house, purpose, channel)
            if elsewhere.exact in record.standings and (
                stands(record, elsewhere, request.at).status in GRANTING
            ):
                return ReasonCode.CHANNEL_NOT_CONSENTED
        return code


_CODE_ORDER = {code: place for place, code in enumerate(ReasonCode)}


def _nearness(ground: Ground) -> int:
    return -1 if ground.code is None else _CODE_ORDER[ground.code]


def customer_exception(
    record: PersonRecord, purpose: Purpose, brand: str, at: int
) -> ReasonCode | None:
    """Judge the facts of the customer exception that relations show; None when all hold.

    One and the same sale must be of the sender's own brand, of goods similar to those offered, the
    occasion on which the details were obtained, with an objection offered there. That nobody
    refused since is for the caller to have settled.
    """
    sales = [fact for fact in record.relations if fact.kind == "sale" and fact.at <= at]
    own = [sale for sale in sales if sale.brand == brand]
    if not own:
        return ReasonCode.NOT_CUSTOMER if record.relations else ReasonCode.NO_CONSENT
    similar = [sale for sale in own if sale.goods in purpose.goods]
    if not similar:
        return ReasonCode.NOT_SIMILAR_PRODUCT
    return _collection(similar)


def _collection(sales: list[Relation]) -> ReasonCode | None:
    obtained = [sale for sale in sales if sale.collected]
    if not obtained:
        return ReasonCode.NO_CONSENT
    if not any(sale.objection_offered for sale in obtained):
        return ReasonCode.NO_OBJECTION_OFFERED
    return None


def _ground(params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None) -> Predicate:
    return GroundRule(params)


def _ask_once(_params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None) -> Predicate:
    def ask_once(request: UseRequest, facts: Facts) -> ReasonCode | None:
        if facts.asked:
            return ReasonCode.ASKED_ONCE_ALREADY
        record = record_of(facts)
        for where in _marketing_scopes(facts.house, request):
            act = stands(record, where, request.at).act
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
        record = record_of(facts)
        for where in _scopes(request, facts):
            if stands(record, where, request.at).status in _OBJECTIONS:
                return ReasonCode.OBJECTED
        return None

    return no_objection


def _competent_person(
    params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None
) -> Predicate:
    if not int(params["under_years"]) > 0:
        raise InvalidInput("an age limit lies above 0")

    def competent_person(_request: UseRequest, facts: Facts) -> ReasonCode | None:
        record = record_of(facts)
        return ReasonCode.MINOR if record.age == "minor" and not record.competent else None

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


def _quiet_window(_params: Mapping[str, Any], ruleset: Ruleset, rule: Rule | None) -> Predicate:
    if rule is None:
        raise InvalidInput("a quiet window needs the rule it stands in")
    window = ruleset.window(rule)

    def quiet_window(request: UseRequest, facts: Facts) -> ReasonCode | None:
        if request.action is not Action.SEND:
            return None
        inside = window_end(window, zones_of(record_of(facts), facts), request.at)
        return None if inside else ReasonCode.QUIET_HOURS

    return quiet_window


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


def waiver(request: UseRequest, facts: Facts, name: str) -> str:
    """The officer's decision that lifts staleness of a registry now, to be named in the event."""
    registry = facts.house.registries.get(name)
    if registry is None or not registry.waived_from <= request.at < registry.waived_until:
        return ""
    return registry.decision


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

    def registry_block(request: UseRequest, facts: Facts) -> ReasonCode | None:
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
        return request.channel is None or request.channel == block.value
    if block.scope == "brand":
        return request.brand == block.value
    if block.scope == "purpose":
        where = remembered_scope(house, house.purposes[request.purpose], "")
        return block.value == request.purpose or f"{block.value}|" in where.wide
    raise InvalidInput("a suppression has an unknown scope")


def _notice_current(
    _params: Mapping[str, Any], _ruleset: Ruleset, _rule: Rule | None
) -> Predicate:
    judge = GroundRule({"consent": True}).judge

    def notice_current(request: UseRequest, facts: Facts) -> ReasonCode | None:
        ground = judge(request, facts)
        if ground.act is None:
            return None
        name, _, version = ground.act.notice.partition("@")
        oldest = facts.house.material.get(name)
        if oldest is None or not (version.isascii() and version.isdigit()):
            return ReasonCode.FACT_MISSING
        return ReasonCode.NOTICE_OUTDATED if int(version) < oldest else None

    return notice_current


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
