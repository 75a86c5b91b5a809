"""The claim stage: who asks and for what, judged before any personal fact is looked at."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from troth.kernel.cases import OF_STAFF, kind_of
from troth.kernel.facts import House
from troth.kernel.grounds import QUARTER
from troth.kernel.looking import is_look
from troth.kernel.purposes import banned_categories
from troth.kernel.reasons import house_reason, refusal
from troth.terms import (
    Action,
    Claim,
    Instant,
    Purpose,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
)

SILENT: Final = frozenset({PurposeKind.SERVICE, PurposeKind.OPERATIONS})
"""Kinds that rules of marketing do not stop."""

PROHIBITED: Final = "house.prohibited"
"""Rule of a purpose that is prohibited for a category, or lies above or below one that is."""

ALLOWED_ACTIONS: Final[Mapping[PurposeKind, frozenset[Action]]] = MappingProxyType(
    {
        PurposeKind.MARKETING: frozenset(Action),
        PurposeKind.CONSENT_REQUEST: frozenset({Action.SEND}),
        PurposeKind.PERSONALISE: frozenset({Action.PERSONALISE, Action.PROFILE, Action.READ}),
        PurposeKind.SERVICE: frozenset({Action.SEND, Action.READ, Action.SHARE, Action.EXPORT}),
        PurposeKind.OPERATIONS: frozenset(
            {Action.READ, Action.PROFILE, Action.SHARE, Action.EXPORT}
        ),
    }
)


def judge_claim(
    request: UseRequest, house: House, policy_answer: Claim | Refusal
) -> Claim | Refusal:
    """Judge who asks and for what, before any personal fact is gathered.

    Args:
        request: The use; its person is not looked at.
        house: The house as published.
        policy_answer: The staff policy's word on the same claim.

    Returns:
        The policy's `Claim`, or a `Refusal` with the reasons of house and policy together, in the
        order of `RULES`.
    """
    reasons = list(claim_reasons(request, house))
    if isinstance(policy_answer, Refusal):
        reasons.extend(policy_answer.reasons)
    elif not request.categories <= policy_answer.categories.keys():
        reasons.append(house_reason(ReasonCode.PURPOSE_NOT_PERMITTED, "house.staff_policy"))
    return refusal(reasons) if reasons else policy_answer


def claim_reasons(request: UseRequest, house: House) -> tuple[Reason, ...]:
    """Every objection of the house itself to a claim, in the order of `RULES`."""
    purpose = house.purposes.get(request.purpose)
    codes = [] if request.actor.id else [ReasonCode.UNKNOWN_ACTOR]
    if purpose is None:
        codes.append(ReasonCode.UNKNOWN_PURPOSE)
    own = purpose is not None and _own_data(request, purpose)
    if not own and not request.categories <= house.labels:
        codes.append(ReasonCode.UNLABELLED_FIELD)
    if purpose is not None and not _permitted(request, purpose, house):
        codes.append(ReasonCode.PURPOSE_NOT_PERMITTED)
    if is_look(request) and not _gives_reason(request, purpose):
        codes.append(ReasonCode.REASON_MISSING)
    if (request.agreement or _leaves(request)) and not agreement_live(request, house):
        codes.append(ReasonCode.AGREEMENT_MISSING)
    if not house.clock_sure:
        codes.append(ReasonCode.CLOCK_UNSURE)
    if purpose is not None and purpose.kind not in SILENT and rules_ended(house, "", request.at):
        codes.append(ReasonCode.RULE_FILE_EXPIRED)
    reasons = [house_reason(code) for code in codes]
    if purpose is not None and not own and request.categories & banned_categories(purpose, house):
        reasons.append(house_reason(ReasonCode.PURPOSE_NOT_PERMITTED, PROHIBITED))
    return refusal(reasons).reasons if reasons else ()


def _permitted(request: UseRequest, purpose: Purpose, house: House) -> bool:
    if request.action not in ALLOWED_ACTIONS[purpose.kind]:
        return False
    if request.channel is None:
        if request.action is Action.SEND:
            return False
    elif request.channel not in purpose.channels:
        return False
    if _own_data(request, purpose):
        return True
    return request.categories <= purpose.categories - house.special


def _gives_reason(request: UseRequest, purpose: Purpose | None) -> bool:
    """Tell whether a look names a reason of a kind that can hold here; it may still be closed."""
    kind = kind_of(request.reason)
    if purpose is None or purpose.kind in SILENT:
        return kind in OF_STAFF
    return bool(kind)


def _own_data(request: UseRequest, purpose: Purpose) -> bool:
    """A person sees and takes everything held about them, whatever the purpose lists."""
    return (
        request.actor.role is Role.PERSON
        and purpose.kind is PurposeKind.SERVICE
        and request.action in (Action.READ, Action.EXPORT)
    )


def _leaves(request: UseRequest) -> bool:
    """Tell whether the use hands data to somebody outside: an agency, or anyone shared with."""
    if request.actor.role is Role.PERSON:
        return False
    return request.actor.role is Role.AGENCY or request.action is Action.SHARE


def agreement_live(request: UseRequest, house: House) -> bool:
    """Tell whether the agreement named is in force at the moment of the use."""
    begins, ends = house.agreements.get(request.agreement, (0, -1))
    return begins <= request.at and (ends == 0 or request.at < ends)


def rules_ended(house: House, residence: str, at: Instant) -> bool:
    """Tell whether a regime that covers the person or the sender says nothing any more."""
    key = ("ended", residence, at // QUARTER)
    known: bool | None = house.memo.get(key)
    if known is None:
        ruleset = house.ruleset
        names = ruleset.applicable(residence, house.seat)
        known = house.memo[key] = any(ruleset.ended(name, at) for name in names)
    return known
