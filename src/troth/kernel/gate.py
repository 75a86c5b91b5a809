"""The one decision: may this person's data be used so, now?

Two stages. The claim (who asks, for what, with which categories) is judged before any personal
fact is looked at; whoever may not even ask learns only that. The person stage then collects every
objection, in the order of `RULES`. Unknown means no at every step. A `Permit` is made here and
nowhere else, and is the only thing that opens the vault.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from troth.errors import InvalidInput
from troth.kernel.calendars import Window, window_end
from troth.kernel.consent import level_categories
from troth.kernel.facts import Facts, House
from troth.kernel.predicates import (
    PREDICATES,
    QUARTER,
    GroundRule,
    Predicate,
    blocks_use,
    record_of,
    waiver,
    zones_of,
)
from troth.kernel.regimes import Rule
from troth.terms import (
    DAY,
    NO_RECORD,
    SECOND,
    Action,
    Block,
    Channel,
    Claim,
    Instant,
    Mask,
    PersonId,
    PersonRecord,
    Purpose,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
)

RULES_VERSION: Final = "1"
"""Stands in every recorded decision: a replay under another version is another question."""
RULES: Final[tuple[ReasonCode, ...]] = tuple(ReasonCode)
"""The order in which reasons are given; a person is counted by the first of theirs."""
PERMIT_LIFE: Final = 3600 * SECOND
"""The longest a permit lasts: older facts will not do."""
HOUSE: Final = "house"
"""Rule id of an objection that no regime file makes."""

_MEMO_LIMIT = 8192
_PLACE = {code: place for place, code in enumerate(RULES)}
_SILENT = frozenset({PurposeKind.SERVICE, PurposeKind.OPERATIONS})
_MARKETING = frozenset({PurposeKind.MARKETING, PurposeKind.CONSENT_REQUEST})
_SHAPED_BY_LEVEL = frozenset({PurposeKind.MARKETING, PurposeKind.PERSONALISE})

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

BLOCK_CODES: Final[Mapping[str, ReasonCode]] = MappingProxyType(
    {
        "legal_hold": ReasonCode.RESTRICTED,
        "minor": ReasonCode.MINOR,
        "registry_block": ReasonCode.REGISTRY_BLOCK,
        "objection": ReasonCode.OBJECTED,
        "complaint": ReasonCode.SUPPRESSED_COMPLAINT,
        "unsubscribe": ReasonCode.SUPPRESSED_UNSUBSCRIBE,
        "hard_bounce": ReasonCode.SUPPRESSED_BOUNCE,
    }
)
_BLOCKED_BY: Final[Mapping[PurposeKind, frozenset[str]]] = {
    PurposeKind.MARKETING: frozenset(BLOCK_CODES),
    PurposeKind.CONSENT_REQUEST: frozenset(BLOCK_CODES),
    PurposeKind.PERSONALISE: frozenset({"legal_hold", "minor", "objection"}),
    PurposeKind.SERVICE: frozenset({"legal_hold", "hard_bounce"}),
    PurposeKind.OPERATIONS: frozenset({"legal_hold"}),
}

REMEDIES: Final[Mapping[ReasonCode, str]] = MappingProxyType(
    {
        ReasonCode.UNKNOWN_ACTOR: "sign_in",
        ReasonCode.UNKNOWN_PURPOSE: "publish_purpose",
        ReasonCode.UNLABELLED_FIELD: "label_field",
        ReasonCode.PURPOSE_NOT_PERMITTED: "choose_permitted_purpose",
        ReasonCode.SEPARATION_OF_DUTY: "ask_second_person",
        ReasonCode.REASON_MISSING: "name_reason",
        ReasonCode.QUOTA: "ask_officer_for_quota",
        ReasonCode.AGREEMENT_MISSING: "sign_agreement",
        ReasonCode.CLOCK_UNSURE: "set_clock",
        ReasonCode.RULE_FILE_EXPIRED: "publish_rules",
        ReasonCode.UNKNOWN_PERSON: "find_person",
        ReasonCode.REASON_WITHOUT_PERSON: "name_case_of_person",
        ReasonCode.COMBINATION: "open_fewer_categories",
        ReasonCode.ERASURE_PENDING: "nothing",
        ReasonCode.RESTRICTED: "wait_for_officer",
        ReasonCode.WRONG_CONTROLLER: "ask_for_own_consent",
        ReasonCode.MINOR: "ask_competent_person",
        ReasonCode.REGISTRY_BLOCK: "respect_registry",
        ReasonCode.OBJECTED: "respect_objection",
        ReasonCode.SUPPRESSED_COMPLAINT: "respect_complaint",
        ReasonCode.SUPPRESSED_UNSUBSCRIBE: "wait_for_person",
        ReasonCode.SUPPRESSED_BOUNCE: "ask_for_address",
        ReasonCode.WITHDRAWN: "wait_for_person",
        ReasonCode.REFUSED: "wait_for_person",
        ReasonCode.EXPIRED: "ask_again_in_person",
        ReasonCode.ASKED_ONCE_ALREADY: "wait_for_person",
        ReasonCode.NOT_CUSTOMER: "ask_consent",
        ReasonCode.NOT_SIMILAR_PRODUCT: "offer_similar_goods",
        ReasonCode.NO_OBJECTION_OFFERED: "ask_consent",
        ReasonCode.CHANNEL_NOT_CONSENTED: "use_agreed_channel",
        ReasonCode.NO_CONSENT: "ask_consent",
        ReasonCode.NOTICE_OUTDATED: "show_new_notice",
        ReasonCode.CATEGORY_NOT_AGREED: "use_fallback_text",
        ReasonCode.LEVEL_ZERO: "wait_for_person",
        ReasonCode.REGISTRY_STALE: "upload_registry_file",
        ReasonCode.FREQUENCY_CAP: "send_later",
        ReasonCode.QUIET_HOURS: "send_in_window",
        ReasonCode.FACT_MISSING: "record_fact",
        ReasonCode.RULE_ERROR: "report_rule",
    }
)
"""What would help, per code: an id of the catalogue. A rule's own remedy goes before it."""


class Permit:
    """The answer yes: bound to one person, purpose, set of categories and time. Made by the gate.

    Cannot be copied, pickled, replaced or altered: whoever holds one got it from `decide`.

    Attributes:
        categories: Category to mask, exactly those asked for.
        obligations: What the message must carry, by catalogue id.
        basis: consent, customer_exception, or "" where the purpose needs no ground.
        waiver: The officer's decision that stood in for a registry file, or "".
        ruleset: Hash of the rules it was decided by.
        until: First instant at which it is worth nothing any more.
    """

    __slots__ = (
        "action",
        "at",
        "basis",
        "categories",
        "channel",
        "obligations",
        "person",
        "purpose",
        "ruleset",
        "until",
        "waiver",
    )

    action: Action
    at: Instant
    basis: str
    categories: Mapping[str, Mask]
    channel: Channel | None
    obligations: tuple[str, ...]
    person: PersonId
    purpose: str
    ruleset: str
    until: Instant
    waiver: str

    def __new__(cls, *_given: object, **_named: object) -> NoReturn:
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

    def covers(self, person: PersonId, category: str, at: Instant) -> bool:
        """Tell whether it still opens this category of this person at `at`."""
        return person == self.person and category in self.categories and at < self.until


_MINT: Final[tuple[Callable[[Permit, object], None], ...]] = tuple(
    getattr(Permit, name).__set__
    for name in (
        "person",
        "purpose",
        "action",
        "channel",
        "at",
        "ruleset",
        "categories",
        "obligations",
        "basis",
        "waiver",
        "until",
    )
)
_blank = object.__new__


class _Check(NamedTuple):
    """One bound predicate and every rule that asks it, so that it is asked once."""

    judge: Predicate
    rules: tuple[Rule | None, ...]


class _Plan:
    """All that follows from the house and the kind of request alone; made once, then reused."""

    __slots__ = (
        "blocked_by",
        "cap",
        "checks",
        "claim",
        "expired",
        "grounds",
        "leaves",
        "levels",
        "marketing",
        "masks",
        "obligations",
        "purpose",
        "registries",
        "sends",
        "windows",
    )

    def __init__(self, request: UseRequest, house: House, record: PersonRecord) -> None:
        self.claim = _claim_reasons(request, house)
        self.masks: tuple[Claim | None, Mapping[str, Mask] | Refusal] = (None, {})
        if self.claim:
            return
        self.purpose = house.purposes[request.purpose]
        kind = self.purpose.kind
        self.sends = request.action is Action.SEND
        self.leaves = bool(request.agreement) or _leaves(request)
        self.marketing = kind in _MARKETING
        self.levels = kind in _SHAPED_BY_LEVEL
        self.blocked_by = _BLOCKED_BY[kind]
        self.cap = house.caps.get(kind) if self.sends and self.marketing else None
        self.expired = kind not in _SILENT and _rules_ended(house, record.residence, request.at)
        self.obligations = house.ruleset.content_obligations(
            kind, request.channel, record.residence, house.seat, request.at
        )
        rules = _person_rules(request, house, record, kind)
        checks = _bound(rules, house, kind)
        self.checks = tuple(c for c in checks if not isinstance(c.judge, GroundRule))
        self.grounds = tuple(c for c in checks if isinstance(c.judge, GroundRule))
        self.windows = _windows(rules, house) if self.sends else ()
        self.registries = tuple(
            str(r.params["registry"]) for r in rules if r.predicate == "registry_cleansed_within"
        )


def _person_rules(
    request: UseRequest, house: House, record: PersonRecord, kind: PurposeKind
) -> tuple[Rule, ...]:
    found = house.ruleset.contact_rules(
        kind, request.channel, record.residence, house.seat, request.at
    )
    return tuple(r for r in found if r.applies.subject in ("", record.subject))


def _windows(rules: tuple[Rule, ...], house: House) -> tuple[Window, ...]:
    windows = []
    for rule in rules:
        with suppress(Exception):  # the predicate of the same rule reports it
            if rule.predicate == "quiet_window":
                windows.append(house.ruleset.window(rule))
    return tuple(windows)


def _bound(rules: tuple[Rule, ...], house: House, kind: PurposeKind) -> list[_Check]:
    """Bind each distinct predicate once; what marketing needs is asked even if no file asks it."""
    groups: dict[tuple[str, str], list[Rule | None]] = {}
    for rule in rules:
        groups.setdefault((rule.predicate, repr(rule.params)), []).append(rule)
    checks = [
        _Check(_bind(name, house, group[0]), tuple(group)) for (name, _), group in groups.items()
    ]
    asked = {name for name, _ in groups}
    if kind is PurposeKind.MARKETING and "ground" not in asked:
        checks.append(_Check(GroundRule({"consent": True}), (None,)))
    if kind is PurposeKind.CONSENT_REQUEST and "ask_once" not in asked:
        checks.append(_Check(PREDICATES["ask_once"]({}, house.ruleset, None), (None,)))
    return checks


def _bind(name: str, house: House, rule: Rule | None) -> Predicate:
    try:
        return PREDICATES[name](rule.params if rule else {}, house.ruleset, rule)
    except Exception:  # noqa: BLE001 - a rule that cannot be read objects, it is not skipped
        return _unreadable


def _unreadable(_request: UseRequest, _facts: Facts) -> ReasonCode | None:
    return ReasonCode.RULE_ERROR


def _leaves(request: UseRequest) -> bool:
    """Tell whether the use hands data to somebody outside: an agency, or anyone shared with."""
    if request.actor.role is Role.PERSON:
        return False
    return request.actor.role is Role.AGENCY or request.action is Action.SHARE


def _live(request: UseRequest, house: House) -> bool:
    begins, ends = house.agreements.get(request.agreement, (0, -1))
    return begins <= request.at and (ends == 0 or request.at < ends)


def _rules_ended(house: House, residence: str, at: Instant) -> bool:
    ruleset = house.ruleset
    return any(ruleset.ended(name, at) for name in ruleset.applicable(residence, house.seat))


def _claim_reasons(request: UseRequest, house: House) -> tuple[Reason, ...]:
    codes: list[ReasonCode] = []
    if not request.actor.id:
        codes.append(ReasonCode.UNKNOWN_ACTOR)
    purpose = house.purposes.get(request.purpose)
    if purpose is None:
        codes.append(ReasonCode.UNKNOWN_PURPOSE)
    if not request.categories <= house.labels:
        codes.append(ReasonCode.UNLABELLED_FIELD)
    if purpose is not None and not _permitted(request, purpose, house):
        codes.append(ReasonCode.PURPOSE_NOT_PERMITTED)
    if (request.agreement or _leaves(request)) and not _live(request, house):
        codes.append(ReasonCode.AGREEMENT_MISSING)
    if not house.clock_sure:
        codes.append(ReasonCode.CLOCK_UNSURE)
    if purpose is not None and purpose.kind not in _SILENT and _rules_ended(house, "", request.at):
        codes.append(ReasonCode.RULE_FILE_EXPIRED)
    return tuple(Reason(code, HOUSE, REMEDIES[code]) for code in codes)


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


def _own_data(request: UseRequest, purpose: Purpose) -> bool:
    """A person sees and takes everything held about them, whatever the purpose lists."""
    return (
        request.actor.role is Role.PERSON
        and purpose.kind is PurposeKind.SERVICE
        and request.action in (Action.READ, Action.EXPORT)
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
    reasons = list(_claim_reasons(request, house))
    if isinstance(policy_answer, Refusal):
        reasons.extend(policy_answer.reasons)
    elif not request.categories <= policy_answer.categories.keys():
        reasons.append(_house_reason(ReasonCode.PURPOSE_NOT_PERMITTED, "staff_policy"))
    return _refusal(reasons) if reasons else policy_answer


def _house_reason(code: ReasonCode, rule: str = HOUSE) -> Reason:
    return Reason(code, rule, REMEDIES[code])


def _refusal(reasons: list[Reason]) -> Refusal:
    if len(reasons) == 1:
        return Refusal((reasons[0],))
    distinct = dict.fromkeys(reasons)
    return Refusal(tuple(sorted(distinct, key=lambda r: (_PLACE[r.code], r.rule))))


BuiltIn = Callable[[UseRequest, Facts, _Plan], ReasonCode | None]


def _erasing(_request: UseRequest, facts: Facts, _plan: _Plan) -> ReasonCode | None:
    return ReasonCode.ERASURE_PENDING if record_of(facts).erasing else None


def _merged_away(_request: UseRequest, facts: Facts, _plan: _Plan) -> ReasonCode | None:
    return ReasonCode.UNKNOWN_PERSON if record_of(facts).alias else None


def _stored_only(request: UseRequest, plan: _Plan) -> bool:
    """Restricted data is stored, told to the person, and used for nothing else."""
    if request.actor.role is Role.PERSON:
        return False
    return not (plan.sends and plan.purpose.kind is PurposeKind.SERVICE)


def _restricted(request: UseRequest, facts: Facts, plan: _Plan) -> ReasonCode | None:
    if record_of(facts).restricted and _stored_only(request, plan):
        return ReasonCode.RESTRICTED
    return None


def _address(request: UseRequest, facts: Facts, plan: _Plan) -> ReasonCode | None:
    if not plan.sends:
        return None
    contact = facts.gathered.contact if facts.gathered else None
    if contact is None or contact.channel is not request.channel:
        return ReasonCode.FACT_MISSING
    return None


def _minor(_request: UseRequest, facts: Facts, plan: _Plan) -> ReasonCode | None:
    record = record_of(facts)
    if plan.marketing and record.age == "minor" and not record.competent:
        return ReasonCode.MINOR
    return None


def _level(_request: UseRequest, facts: Facts, plan: _Plan) -> ReasonCode | None:
    return ReasonCode.LEVEL_ZERO if plan.marketing and not record_of(facts).level else None


def _categories(request: UseRequest, facts: Facts, plan: _Plan) -> ReasonCode | None:
    if not request.categories or not (plan.levels or plan.marketing):
        return None
    if not plan.levels:
        return ReasonCode.CATEGORY_NOT_AGREED
    agreed = level_categories(record_of(facts), facts.house, request.at, request.channel or "")
    return None if request.categories <= agreed else ReasonCode.CATEGORY_NOT_AGREED


def _capped(request: UseRequest, facts: Facts, plan: _Plan) -> ReasonCode | None:
    if plan.cap is None:
        return None
    allowed, days = plan.cap
    since = request.at - days * DAY
    sent = sum(
        1 for sends in record_of(facts).sends.values() for at in sends if since < at <= request.at
    )
    return ReasonCode.FREQUENCY_CAP if sent >= allowed else None


BUILT_IN: tuple[tuple[str, BuiltIn], ...] = (
    ("house.merged", _merged_away),
    ("house.erasure", _erasing),
    ("house.restriction", _restricted),
    ("house.minor", _minor),
    ("house.address", _address),
    ("house.level", _level),
    ("house.categories", _categories),
    ("house.frequency", _capped),
)
"""Rules of the house itself: asked whatever the regime files say, by rule id."""


def _suppressions(request: UseRequest, facts: Facts, plan: _Plan) -> list[Reason]:
    reasons = []
    for block in facts.gathered.blocks if facts.gathered else ():
        try:
            code = _suppression(block, request, facts, plan)
        except Exception:  # noqa: BLE001 - a suppression nobody can read still suppresses
            code = ReasonCode.RULE_ERROR
        if code is not None:
            reasons.append(_house_reason(code, "house.suppression"))
    return reasons


def _suppression(
    block: Block, request: UseRequest, facts: Facts, plan: _Plan
) -> ReasonCode | None:
    code = BLOCK_CODES[block.reason]
    if block.reason not in plan.blocked_by or not blocks_use(block, request, facts.house):
        return None
    if block.reason == "hard_bounce" and not plan.sends:
        return None
    if block.reason == "legal_hold" and not _stored_only(request, plan):
        return None
    return code


def _reasons_of(check: _Check, code: ReasonCode, request: UseRequest) -> list[Reason]:
    return [_rule_reason(rule, code, request) for rule in check.rules]


def _rule_reason(rule: Rule | None, code: ReasonCode, request: UseRequest) -> Reason:
    """Name the rule; a doubtful reading, applied by caution, says so in its remedy."""
    if rule is None:
        return _house_reason(code)
    remedy = rule.remedy if rule.remedy and code is rule.code else REMEDIES[code]
    return Reason(code, rule.cited(code), cautious(remedy, rule, request.channel))


def cautious(remedy: str, rule: Rule, channel: Channel | None) -> str:
    """Mark a remedy where the rule's reach is doubtful and the stricter reading is applied."""
    return f"{remedy}.cautious" if rule.cautious(channel) else remedy


def _objections(request: UseRequest, facts: Facts, plan: _Plan) -> list[Reason]:
    """Collect every objection of the person stage but the grounds'; a rule that fails objects."""
    reasons: list[Reason] = []
    for name, rule in BUILT_IN:
        try:
            code = rule(request, facts, plan)
        except Exception:  # noqa: BLE001 - an error in a rule is a no, never a skip
            code = ReasonCode.RULE_ERROR
        if code is not None:
            reasons.append(_house_reason(code, name))
    if facts.gathered and facts.gathered.blocks:
        reasons.extend(_suppressions(request, facts, plan))
    for check in plan.checks:
        try:
            code = check.judge(request, facts)
        except Exception:  # noqa: BLE001 - an error in a rule is a no, never a skip
            code = ReasonCode.RULE_ERROR
        if code is not None:
            reasons.extend(_reasons_of(check, code, request))
    if plan.expired:
        reasons.append(_house_reason(ReasonCode.RULE_FILE_EXPIRED))
    return reasons


def _plan(request: UseRequest, house: House, record: PersonRecord) -> _Plan:
    actor = request.actor
    place = (
        request.purpose,
        request.action,
        request.channel,
        request.categories,
        actor.role,
        not actor.id,
        request.agreement,
        record.residence,
        record.subject,
        request.at // QUARTER,
    )
    plan: _Plan | None = house.memo.get(place)
    if plan is None:
        if len(house.memo) > _MEMO_LIMIT:
            house.memo.clear()
        plan = house.memo[place] = _Plan(request, house, record)
    return plan


def _masks(
    request: UseRequest, house: House, claim: Claim, plan: _Plan
) -> Mapping[str, Mask] | Refusal:
    """Judge the claim again, whoever judged it before, and pick the masks of what was asked."""
    held, masks = plan.masks
    if held is not claim:
        if plan.claim or not request.categories <= claim.categories.keys():
            answer = judge_claim(request, house, claim)
            return answer if isinstance(answer, Refusal) else {}
        masks = MappingProxyType({name: claim.categories[name] for name in request.categories})
        plan.masks = (claim, masks)
    return masks
