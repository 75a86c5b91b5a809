"""The legal grounds: a consent, the customer exception, an implied consent; and what stands.

Predicates of any kind share what is here: what a predicate is, which kinds have one answer for
many people, and what stands on the scopes a use could rest on, looked up once per decision.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from troth.errors import InvalidInput
from troth.kernel.calendars import day_begins, day_ends, local_date, months_back
from troth.kernel.consent import Found, Scope, grant_end, key, scope, stands
from troth.kernel.facts import Facts, House
from troth.terms import (
    DENYING,
    GRANTING,
    SECOND,
    ConsentStatus,
    Instant,
    PersonRecord,
    Purpose,
    ReasonCode,
    Relation,
    UseRequest,
)

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


Answer = tuple[ReasonCode | None, str, int]
"""Objection or None; the legal ground that stands, or ""; when the answer changes, 0 never."""

RELATION_KINDS: Final = frozenset({"sale", "inquiry", "contract", "donation", "membership"})
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
    return look_up(request, facts, scopes_of(request, facts.house))


def look_up(request: UseRequest, facts: Facts, scopes: tuple[Scope, ...]) -> tuple[Found, ...]:
    """Work out what stands on these scopes and keep it with the facts for `what_stands`."""
    record, at = facts.gathered.record, request.at  # type: ignore[union-attr] # as `record_of`
    if len(scopes) == 1:
        found: tuple[Found, ...] = (stands(record, scopes[0], at),)
    else:
        found = tuple([stands(record, where, at) for where in scopes])
    facts.memo["stands"] = (request, found)
    return found


def scopes_of(request: UseRequest, house: House) -> tuple[Scope, ...]:
    """Return the scopes whose consent could carry this use."""
    place = ("scopes", request.purpose, request.channel)
    found: tuple[Scope, ...] | None = house.memo.get(place)
    if found is None:
        purpose = house.purposes[request.purpose]
        named = ("", *sorted(purpose.channels)) if request.channel is None else (request.channel,)
        found = house.memo[place] = tuple(remembered_scope(house, purpose, name) for name in named)
    return found


class OfHouse(ABC):
    """A predicate about the house and the moment alone: one answer for everybody asked at once."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, request: UseRequest, facts: Facts) -> ReasonCode | None:
        """Object, or not; reads nothing of the person."""


class OfBlocks(ABC):
    """A predicate about suppressions alone: never objects to somebody who has none."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, request: UseRequest, facts: Facts) -> ReasonCode | None:
        """Object, or not; reads nothing of the person but what suppresses their addresses."""


class OfMinors(ABC):
    """A predicate about minors alone: never objects to anybody else."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, request: UseRequest, facts: Facts) -> ReasonCode | None:
        """Object, or not; objects to nobody whose record does not say `minor`."""


class Timed(ABC):
    """A predicate whose yes ends at a known moment: `judge` tells it, calling it does not."""

    __slots__ = ()

    def __call__(self, request: UseRequest, facts: Facts) -> ReasonCode | None:
        """Object, or not, as any predicate does."""
        return self.judge(request, facts)[0]

    @abstractmethod
    def judge(self, request: UseRequest, facts: Facts) -> Answer:
        """Answer with the ground and the moment the answer changes."""


class OfPlace(Timed):
    """A predicate about house, moment, residence and zone: one answer for everybody there."""

    __slots__ = ()


class GroundRule(Timed):
    """Ask whether a legal ground stands: a consent, else what the law makes of a relationship."""

    __slots__ = ("consent", "customer_exception", "implied", "needs", "zone")

    def __init__(self, params: Mapping[str, Any], zone: str = "UTC") -> None:
        """Read the grounds that count; one that is not named does not.

        Args:
            params: `consent`; `customer_exception` and what it `needs`; `implied`, by kind of
                relationship for how many months back it implies a consent.
            zone: Zone in which those months are counted.

        Raises:
            InvalidInput: `needs` or `implied` names what nobody can judge.
        """
        self.consent = bool(params.get("consent", False))
        self.customer_exception = bool(params.get("customer_exception", False))
        self.needs = frozenset(params.get("needs", EXCEPTION_NEEDS))
        self.implied: dict[str, int] = dict(params.get("implied", {}))
        self.zone = zone
        if not self.needs <= EXCEPTION_NEEDS:
            raise InvalidInput("a customer exception needs a fact that has no meaning")
        if not self.implied.keys() <= RELATION_KINDS or min(self.implied.values(), default=1) < 1:
            raise InvalidInput("a relationship that implies consent has no meaning")

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
        if self.implied:
            code, ends = implied_consent(request, facts, self.implied, self.zone)
            if code is None:
                return (None, "implied_consent", ends)
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


def implied_consent(
    request: UseRequest, facts: Facts, months: Mapping[str, int], zone: str
) -> tuple[ReasonCode | None, int]:
    """Compute whether a relationship implies a consent now, and when that has to be asked again.

    Counted on dates of `zone`: the newest day of a relationship to the sender's own brand lies
    within so many calendar months, or a contract is in force. Nothing of it is ever stored.
    """
    at, house = request.at, facts.house
    mine = [r for r in record_of(facts).relations if r.brand == request.brand and r.at <= at]
    known = [relation for relation in mine if relation.kind in months]
    for relation in known:
        if relation.kind == "contract" and not 0 < relation.until <= at:
            return (None, relation.until)
    ends, oldest = _today(house, months, zone, at)
    for relation in known:
        last = relation.until if relation.at < relation.until <= at else relation.at
        if last >= oldest[relation.kind]:
            return (None, ends)
    return (ReasonCode.EXPIRED if known else _NO_CONSENT, 0)


def _today(
    house: House, months: Mapping[str, int], zone: str, at: Instant
) -> tuple[Instant, dict[str, Instant]]:
    """Say when this local day ends and from when on each relationship counts; once per quarter."""
    place = ("implied", zone, *sorted(months.items()), at // QUARTER)
    found: tuple[Instant, dict[str, Instant]] | None = house.memo.get(place)
    if found is None:
        day = local_date(at, zone)
        oldest = {kind: day_begins(months_back(day, n), zone) for kind, n in months.items()}
        found = house.memo[place] = (day_ends(day, zone), oldest)
    return found
