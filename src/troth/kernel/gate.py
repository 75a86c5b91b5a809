"""The one decision: may this person's data be used so, now?

Two stages. The claim (who asks, for what, with which categories) is judged before any personal
fact is looked at; whoever may not even ask learns only that. The person stage then collects every
objection, in the order of `RULES`. Unknown means no at every step. A `Permit` is made here and
nowhere else, and is the only thing that opens the vault.
"""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn, Self, cast

import msgspec

from troth.errors import InvalidInput
from troth.kernel.cases import kind_of
from troth.kernel.claims import agreement_live, judge_claim
from troth.kernel.consent import level_categories, own_categories
from troth.kernel.facts import Facts, House
from troth.kernel.grounds import QUARTER
from troth.kernel.plans import SHAPED_BY_LEVEL, Plan, answered, ask_timed, objections, wished
from troth.kernel.purposes import banned_categories
from troth.kernel.reasons import REMEDIES, RULES, explain, house_reason, refusal
from troth.terms import (
    NO_RECORD,
    SECOND,
    Claim,
    Gathered,
    Instant,
    Mask,
    PersonId,
    PersonRecord,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    UseRequest,
)

__all__ = [
    "PERMIT_LIFE",
    "REMEDIES",
    "RULES",
    "RULES_VERSION",
    "Permit",
    "allowed_categories",
    "decide",
    "explain",
    "inputs_digest",
    "judge_claim",
]

RULES_VERSION: Final = "1"
"""Stands in every recorded decision: a replay under another version is another question."""
PERMIT_LIFE: Final = 3600 * SECOND
"""The longest a permit lasts: older facts will not do."""
_MEMO_LIMIT = 8192


class Permit:
    """The answer yes: bound to one person, purpose, set of categories and time. Made by the gate.

    Cannot be copied, pickled, replaced or altered: whoever holds one got it from `decide`.
    """

    __slots__ = ("_held",)

    _held: tuple[Plan, UseRequest, Mapping[str, Mask], str, Instant]

    def __new__(cls, *_given: object, **_named: object) -> Self:
        """Refuse: a permit is not made by asking its class."""
        raise TypeError("a permit is made by the gate alone")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("a permit has no other kind")

    def __setattr__(self, _name: str, _value: object) -> NoReturn:
        raise TypeError("a permit is never altered")

    def __delattr__(self, _name: str) -> NoReturn:
        raise TypeError("a permit is never altered")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a permit is never copied, kept or sent")

    __reduce__ = __copy__ = __getstate__ = __reduce_ex__  # type: ignore[assignment]

    def __deepcopy__(self, _memo: object) -> NoReturn:
        raise TypeError("a permit is never copied, kept or sent")

    def __replace__(self, **_changes: object) -> NoReturn:
        raise TypeError("a permit is never altered")

    def __repr__(self) -> str:
        return f"<permit: {self.purpose}, {len(self.categories)} categories>"

    @property
    def request(self) -> UseRequest:
        """The use asked for: actor, action, channel, brand, agreement, moment."""
        return self._held[1]

    @property
    def categories(self) -> Mapping[str, Mask]:
        """Category to mask, exactly those asked for."""
        return self._held[2]

    @property
    def basis(self) -> str:
        """The ground: consent, customer_exception, implied_consent, ask_once, or "" for none."""
        return self._held[3]

    @property
    def until(self) -> Instant:
        """First instant at which it is worth nothing any more."""
        return self._held[4]

    @property
    def waiver(self) -> str:
        """The officers' decisions that stood in for a registry file, or ""."""
        plan, request = self._held[:2]
        return _waiver(plan, request.at)

    @property
    def person(self) -> PersonId:
        """Whose data it opens."""
        return cast(PersonId, self._held[1].person)

    @property
    def purpose(self) -> str:
        """Name of the purpose it was given for."""
        return self._held[1].purpose

    @property
    def obligations(self) -> tuple[str, ...]:
        """What the message must carry, by catalogue id."""
        return self._held[0].obligations

    @property
    def ruleset(self) -> str:
        """Hash of the rules it was decided by."""
        return self._held[0].ruleset

    def covers(self, person: PersonId, category: str, at: Instant) -> bool:
        """Tell whether it still opens this category of this person at `at`."""
        return person == self.person and category in self.categories and at < self.until


_blank = object.__new__
_hold: Callable[[Permit, object], None] = Permit.__dict__["_held"].__set__
"""The way past a permit's own refusal to be altered; used once, while it is made."""


def _plan(request: UseRequest, house: House, record: PersonRecord) -> Plan:
    actor = request.actor
    place = (
        request.purpose,
        request.action,
        request.channel,
        request.categories,
        actor.role,
        not actor.id,
        request.reason and kind_of(request.reason),
        request.agreement and (request.agreement, agreement_live(request, house)),
        record.residence,
        record.subject,
        request.at // QUARTER,
    )
    plan: Plan | None = house.memo.get(place)
    if plan is None:
        if len(house.memo) > _MEMO_LIMIT:
            house.memo.clear()
        plan = house.memo[place] = Plan(request, house, record)
    return plan


def _masks(
    request: UseRequest, house: House, claim: Claim, plan: Plan
) -> Mapping[str, Mask] | Refusal:
    """Judge the claim again, whoever judged it before, and pick the masks of what was asked."""
    judged = judge_claim(request, house, claim)
    answer: Mapping[str, Mask] | Refusal = (
        judged
        if isinstance(judged, Refusal)
        else (MappingProxyType({name: claim.categories[name] for name in request.categories}))
    )
    plan.masks = (claim, answer)
    return answer


def decide(request: UseRequest, facts: Facts) -> Permit | Refusal:
    """Say whether this use of a person's data is agreed, and why not.

    Pure: under one `RULES_VERSION` and one ruleset the same request and facts give the same
    answer, so any recorded decision can be replayed, under any clock. Silence refuses: what was
    never asked is not agreed. The claim is judged first, and judged here again even if the caller
    did: whoever may not ask learns nothing about the person. Costs 4 to 7 microseconds.

    Args:
        request: The use asked for, judged at `request.at`, whenever this runs.
        facts: The staff policy's word on the claim and what is known about `request.person` as of
            `request.at`. Older facts will not do: a withdrawal may lie between.

    Returns:
        A `Permit` for these categories until a stated moment, which alone opens the vault, or a
        `Refusal`. Its reasons are the claim's alone, or else hold every objection, in the order
        of `RULES`: the caller learns at once all that is missing.

    Raises:
        InvalidInput: The request names nobody, or the facts are of another person or moment.
            Nothing was decided; record nothing.
    """
    house, claim, gathered, person = facts.house, facts.claim, facts.gathered, request.person
    if (
        person is None
        or facts.person != person
        or facts.as_of != request.at
        or (gathered is not None and gathered.person != person)
    ):
        raise _another_question(request, facts)
    if isinstance(claim, Refusal):
        return claim
    plan = _plan(request, house, gathered.record if gathered else NO_RECORD)
    held, masks = plan.masks
    if held is not claim:
        masks = _masks(request, house, claim, plan)
    if isinstance(masks, Refusal):
        return masks
    if gathered is None:
        return Refusal((house_reason(ReasonCode.UNKNOWN_PERSON),))
    reasons = objections(request, facts, plan)
    basis, until = _judge_timed(request, facts, plan, reasons)
    if reasons:
        return refusal(reasons)
    if 0 < claim.until < until:
        until = claim.until
    permit = _blank(Permit)
    _hold(permit, (plan, request, masks, basis, until))
    return permit


def _another_question(request: UseRequest, facts: Facts) -> InvalidInput:
    """Say in what facts and request do not meet."""
    if request.person is None:
        return InvalidInput("the request names nobody", "ask judge_claim about a claim alone")
    if facts.person == request.person and facts.as_of != request.at:
        return InvalidInput(f"facts are as of {facts.as_of}, the request as of {request.at}")
    return InvalidInput("facts and request are about two different people")


def _judge_timed(
    request: UseRequest, facts: Facts, plan: Plan, reasons: list[Reason]
) -> tuple[str, int]:
    """Ask what gives a ground or an end; return the basis and the first end among them."""
    basis, until = plan.basis, request.at + PERMIT_LIFE
    record = facts.gathered.record  # type: ignore[union-attr] # `decide` asked
    found, ends = answered(request, facts, plan, record.zone)
    reasons += found
    if 0 < ends < until:
        until = ends
    if record.wishes is not None and plan.wished:
        own, ends = wished(request, facts, record.wishes)
        reasons += own
        if 0 < ends < until:
            until = ends
    for timed, check in plan.timed:
        code, ground, ends = ask_timed(timed, request, facts)
        if code is not None:
            reasons += check.reasons(code)
        if ground and not plan.basis:
            basis = ground
        if 0 < ends < until:
            until = ends
    if request.agreement:
        ends = facts.house.agreements[request.agreement][1]
        until = min(until, ends or until)
    return basis, until


def _waiver(plan: Plan, at: Instant) -> str:
    """Name the decisions that stand in for a registry file now; each stands in the event."""
    live = [r.decision for r in plan.waived if r.waived_from <= at < r.waived_until]
    return ",".join(live)


def allowed_categories(request: UseRequest, facts: Facts) -> frozenset[str]:
    """Name the categories a request may ask for: those the person agreed to, the claim opens.

    What `request.categories` holds is not read. Asking for exactly these is never refused with
    `category_not_agreed`; each that is missing renders its fallback.
    """
    purpose = facts.house.purposes.get(request.purpose)
    if purpose is None or isinstance(facts.claim, Refusal) or facts.gathered is None:
        return frozenset()
    if purpose.kind is PurposeKind.CONSENT_REQUEST:
        return frozenset()
    house, record = facts.house, facts.gathered.record
    may = (purpose.categories & house.labels) - house.special - banned_categories(purpose, house)
    if purpose.kind in SHAPED_BY_LEVEL:
        opened = level_categories(record, house, request.at, request.channel or "")
        may &= opened | own_categories(record, house, purpose, request.at)
    return may.intersection(facts.claim.categories)


def inputs_digest(request: UseRequest, facts: Facts) -> str:
    """SHA-256, hex, of all a decision was made from, as the event of the decision names it.

    Covers request, record, suppressions, contact point, staff claim, house version, rules version
    and ruleset; holds no address and no value. Costs about 20 microseconds.
    """
    house, claim = facts.house, facts.claim
    staff = dict(claim.categories) if isinstance(claim, Claim) else claim
    whole: tuple[Any, ...] = (
        RULES_VERSION, house.version, house.ruleset.digest, request, staff, _told(facts.gathered),
        facts.asked, *((facts.mandate,) if facts.mandate else ()),
        *((facts.contained, facts.seen) if facts.contained or facts.seen else ()),
    )  # fmt: skip
    return hashlib.sha256(_encoder.encode(whole)).hexdigest()


def _told(gathered: Gathered | None) -> object:
    """Spell a person as they were before anybody wished anything, if this one wishes nothing."""
    if gathered is None or gathered.record.wishes is not None or gathered.record.keeps:
        return gathered
    record = {name: getattr(gathered.record, name) for name in _FIRST_FIELDS}
    return {name: getattr(gathered, name) for name in _GATHERED} | {"record": record}


_FIRST_FIELDS: Final = tuple(
    name for name in PersonRecord.__slots__ if name not in ("wishes", "keeps")
)
_GATHERED: Final = tuple(Gathered.__slots__)
_encoder: Final = msgspec.json.Encoder(order="sorted")
