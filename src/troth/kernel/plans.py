"""What follows from the house and the kind of use alone, worked out once for many people.

A plan holds, bound and in order, every rule the person stage asks: those of the house itself and
those of the regimes that apply. It knows nothing of anybody but a residence and a subject type.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from troth.kernel.claims import SILENT, claim_reasons, rules_ended
from troth.kernel.consent import level_opens, own_categories
from troth.kernel.facts import Facts, House
from troth.kernel.grounds import (
    Answer,
    GroundRule,
    OfBlocks,
    OfHouse,
    OfMinors,
    OfPlace,
    Timed,
    look_up,
    record_of,
    scopes_of,
    what_stands,
)
from troth.kernel.looking import combined, is_look
from troth.kernel.predicates import PREDICATES, Predicate, blocks_use, opted_out, zones_of
from troth.kernel.reasons import CAUTIOUS, REMEDIES, house_reason
from troth.kernel.regimes import Rule
from troth.kernel.wishes import judge
from troth.terms import (
    DAY,
    GRANTING,
    SECOND,
    Action,
    Block,
    Channel,
    Claim,
    Instant,
    Mask,
    PersonRecord,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Registry,
    Role,
    UseRequest,
    Wishes,
)

MARKETING: Final = frozenset({PurposeKind.MARKETING, PurposeKind.CONSENT_REQUEST})
"""Kinds of message a person can be free of."""
SHAPED_BY_LEVEL: Final = frozenset({PurposeKind.MARKETING, PurposeKind.PERSONALISE})
"""Kinds under which categories are open only as far as the person's level goes."""

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
Answered = tuple[Instant, tuple[Reason, ...], dict[str, tuple[tuple[Reason, ...], int]]]
MERGED: Final = "merged"
"""The mandate of whoever an id was merged into, over what still lies under it."""
WISHES_RULE: Final = "person.wishes"
_REGISTRY_RULE: Final = "registry_cleansed_within"


class Check(NamedTuple):
    """One bound predicate, and what to say when it objects: per code the reasons of its rules."""

    judge: Predicate
    rules: tuple[Rule | None, ...]
    channel: Channel | None
    said: dict[ReasonCode, tuple[Reason, ...]]

    def reasons(self, code: ReasonCode) -> tuple[Reason, ...]:
        """The reasons for a code, one per rule that asks this predicate; made once."""
        found = self.said.get(code)
        if found is None:
            made = [_rule_reason(rule, code, self.channel) for rule in self.rules]
            found = self.said[code] = tuple(made)
        return found


class TimedCheck(NamedTuple):
    """A check whose yes ends at a known moment."""

    judge: Timed
    check: Check


class Plan:
    """The person stage of one kind of use, for people of one residence and subject type.

    Attributes:
        masks: The claim last judged and its answer: the masks of what was asked, or its refusal.
        house_rules: Rules of the house that can object to this kind of use, by rule id.
        plain_rules: Those of them that can object although nothing is out of the ordinary.
        checks: Bound predicates of the regimes; `timed` those that also give an end.
        of_house: Checks with one answer for everybody at one moment; `of_place`, timed ones with
            one for everybody in one zone; `of_blocks` and `of_minors`, asked of them alone.
        answered: The moment last asked about, and those answers; replaced as a whole.
        scopes: What a consent to this use could stand on; worked out once before the checks.
        waived: Registries that rest on an officer's decision at some time.
        wished: People's own wishes are asked: it is a message one can be free of.
        basis: What stands in for a legal ground where the kind needs none.
    """

    __slots__ = (
        "answered",
        "basis",
        "blocked_by",
        "cap",
        "checks",
        "expired",
        "house_rules",
        "masks",
        "obligations",
        "of_blocks",
        "of_house",
        "of_minors",
        "of_place",
        "plain_rules",
        "purpose",
        "ruleset",
        "scopes",
        "sends",
        "timed",
        "waived",
        "wished",
    )

    def __init__(self, request: UseRequest, house: House, record: PersonRecord) -> None:
        """Bind the rules; after a claim the house objects to, only `masks` is of use."""
        self.masks: tuple[Claim | None, Mapping[str, Mask] | Refusal] = (None, {})
        if claim_reasons(request, house):
            return
        self.purpose = house.purposes[request.purpose]
        kind = self.purpose.kind
        self.ruleset = house.ruleset.digest
        self.sends = request.action is Action.SEND
        self.wished = self.sends and kind in MARKETING
        self.blocked_by = _BLOCKED_BY[kind]
        self.cap = house.caps.get(kind)
        self.basis = "ask_once" if kind is PurposeKind.CONSENT_REQUEST else ""
        self.expired = kind not in SILENT and rules_ended(house, record.residence, request.at)
        place = (kind, request.channel, record.residence, house.seat, request.at)
        self.obligations = house.ruleset.content_obligations(*place) if self.sends else ()
        rules = [
            rule
            for rule in house.ruleset.contact_rules(*place)
            if rule.applies.subject in ("", record.subject)
        ]
        checks = _bound(rules, house, kind, request.channel)
        self.of_house = tuple(c for c in checks if isinstance(c.judge, OfHouse))
        self.of_minors = tuple(c for c in checks if isinstance(c.judge, OfMinors))
        self.of_blocks = tuple(c for c in checks if isinstance(c.judge, OfBlocks))
        timed = [TimedCheck(c.judge, c) for c in checks if isinstance(c.judge, Timed)]
        self.of_place = tuple(t for t in timed if isinstance(t.judge, OfPlace))
        self.timed = tuple(t for t in timed if not isinstance(t.judge, OfPlace))
        apart = (OfHouse, OfBlocks, OfMinors, Timed)
        self.checks = tuple(check for check in checks if not isinstance(check.judge, apart))
        self.answered: Answered = (Instant(-1), (), {})
        self.scopes = scopes_of(request, house)
        self.waived = _waived(rules, house)
        predicates = {rule.predicate for rule in rules}
        self.house_rules = _house_rules(request, self, predicates)
        if house.unsure_before and kind not in SILENT:
            self.house_rules += (("house.restored", _unsure),)
        self.plain_rules = tuple(each for each in self.house_rules if each[1] not in _UNUSUAL)


def _waived(rules: list[Rule], house: House) -> tuple[Registry, ...]:
    names = {str(r.params["registry"]) for r in rules if r.predicate == _REGISTRY_RULE}
    found = [house.registries[name] for name in sorted(names & house.registries.keys())]
    return tuple(registry for registry in found if registry.decision)


def _bound(
    rules: list[Rule], house: House, kind: PurposeKind, channel: Channel | None
) -> list[Check]:
    """Bind each distinct predicate once; what marketing needs is asked even if no file asks it."""
    groups: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        groups.setdefault((rule.predicate, repr(rule.params)), []).append(rule)
    checks = [
        Check(_bind(group[0], house), tuple(group), channel, {}) for group in groups.values()
    ]
    asked = {name for name, _ in groups}
    if kind is PurposeKind.MARKETING and "ground" not in asked:
        checks.append(Check(GroundRule({"consent": True}), (None,), channel, {}))
    if kind is PurposeKind.CONSENT_REQUEST and "ask_once" not in asked:
        once = PREDICATES["ask_once"]({}, house.ruleset, None)
        checks.append(Check(once, (None,), channel, {}))
    return checks


def _bind(rule: Rule, house: House) -> Predicate:
    try:
        return PREDICATES[rule.predicate](rule.params, house.ruleset, rule)
    except Exception:  # noqa: BLE001 - a rule that cannot be read objects, it is not skipped
        return _unreadable


def _unreadable(_request: UseRequest, _facts: Facts) -> ReasonCode | None:
    return ReasonCode.RULE_ERROR


def _rule_reason(rule: Rule | None, code: ReasonCode, channel: Channel | None) -> Reason:
    """Name the rule; a doubtful reading, applied by caution, says so in its remedy."""
    if rule is None:
        return house_reason(code)
    remedy = rule.remedy if rule.remedy and code is rule.code else REMEDIES[code]
    return Reason(code, rule.cited(code), remedy + CAUTIOUS * rule.cautious(channel))


HouseRule = Callable[[UseRequest, PersonRecord, Facts, Plan], ReasonCode | None]


def _state(
    request: UseRequest, record: PersonRecord, facts: Facts, plan: Plan
) -> ReasonCode | None:
    """Merged away, leaving, or stored only: the gravest of them."""
    if record.alias and not _merged_own(request, facts):
        return ReasonCode.UNKNOWN_PERSON
    if record.erasing:
        return ReasonCode.ERASURE_PENDING
    if record.restricted and _stored_only(request, plan):
        return ReasonCode.RESTRICTED
    return None


def _merged_own(request: UseRequest, facts: Facts) -> bool:
    """Tell whether it is the person an id was merged into who asks about what lies under it."""
    return request.actor.role is Role.PERSON and facts.mandate == MERGED


def _themselves(
    request: UseRequest, _record: PersonRecord, facts: Facts, _plan: Plan
) -> ReasonCode | None:
    """Whoever acts as a person acts for themselves, or for somebody they have a mandate of."""
    own = request.person is not None and request.actor.id == request.person.hex()
    return None if own or facts.mandate else ReasonCode.UNKNOWN_ACTOR


def _stored_only(request: UseRequest, plan: Plan) -> bool:
    """Restricted data is stored, shown to the person, written to them about, nothing else."""
    if request.actor.role is Role.PERSON:
        return False
    return not (plan.sends and plan.purpose.kind is PurposeKind.SERVICE)


def _minor(
    _request: UseRequest, record: PersonRecord, _facts: Facts, _plan: Plan
) -> ReasonCode | None:
    child = record.age == "minor" and record.subject != "juristic"
    return ReasonCode.MINOR if child and not record.competent else None


def _address(
    request: UseRequest, _record: PersonRecord, facts: Facts, _plan: Plan
) -> ReasonCode | None:
    contact = facts.gathered.contact if facts.gathered else None
    if contact is None or contact.channel is not request.channel:
        return ReasonCode.FACT_MISSING
    return None


def _level(
    _request: UseRequest, record: PersonRecord, _facts: Facts, _plan: Plan
) -> ReasonCode | None:
    return None if record.level else ReasonCode.LEVEL_ZERO


def _agreed(
    request: UseRequest, record: PersonRecord, facts: Facts, plan: Plan
) -> ReasonCode | None:
    own = own_categories(record, facts.house, plan.purpose, request.at)
    channel, wanted = request.channel or "", request.categories - own
    opens = level_opens(record, facts.house, request.at, channel, wanted)
    return None if opens else ReasonCode.CATEGORY_NOT_AGREED


def _opted_out(
    request: UseRequest, _record: PersonRecord, facts: Facts, _plan: Plan
) -> ReasonCode | None:
    return opted_out(request, facts)


def _unsure(
    request: UseRequest, _record: PersonRecord, facts: Facts, _plan: Plan
) -> ReasonCode | None:
    """After a restore that lost withdrawals only a yes given since then counts, and no sale."""
    sure = any(
        status in GRANTING and act is not None and act.at > facts.house.unsure_before
        for status, act, _ in what_stands(request, facts)
    )
    return None if sure else ReasonCode.NO_CONSENT


def _none_agreed(
    _request: UseRequest, _record: PersonRecord, _facts: Facts, _plan: Plan
) -> ReasonCode | None:
    return ReasonCode.CATEGORY_NOT_AGREED


def _contained(
    _request: UseRequest, _record: PersonRecord, facts: Facts, _plan: Plan
) -> ReasonCode | None:
    return None if facts.contained else ReasonCode.REASON_WITHOUT_PERSON


def _apart(
    request: UseRequest, _record: PersonRecord, facts: Facts, _plan: Plan
) -> ReasonCode | None:
    house = facts.house
    together = combined(house.looks, house.special, request.categories, facts.seen)
    return ReasonCode.COMBINATION if together else None


def _capped(
    request: UseRequest, record: PersonRecord, _facts: Facts, plan: Plan
) -> ReasonCode | None:
    if not record.sends or plan.cap is None:
        return None
    allowed, days = plan.cap
    if sum(map(len, record.sends.values())) < allowed:
        return None
    since = request.at - days * DAY
    now = request.at + SECOND - 1  # what went out within this very second counts as well
    sent = sum([since < at <= now for sends in record.sends.values() for at in sends])
    return ReasonCode.FREQUENCY_CAP if sent >= allowed else None


def _house_rules(
    request: UseRequest, plan: Plan, asked: set[str]
) -> tuple[tuple[str, HouseRule], ...]:
    """Rules of the house that can object to this kind of use; the others are not asked."""
    kind = plan.purpose.kind
    rules: list[tuple[str, HouseRule]] = [("house.state", _state)]
    if request.actor.role is Role.PERSON:
        rules.append(("house.own", _themselves))
    if is_look(request):
        rules += [("house.reason", _contained), ("house.combination", _apart)]
    if plan.sends:
        rules.append(("house.address", _address))
    if kind in MARKETING:
        rules.append(("house.level", _level))
        if "competent_person" not in asked:
            rules.append(("house.minor", _minor))
        if not plan.sends and "not_opted_out" not in asked:
            rules.append(("house.opt_out", _opted_out))
        if plan.sends and plan.cap is not None:
            rules.append(("house.frequency", _capped))
    if request.categories and kind in SHAPED_BY_LEVEL:
        rules.append(("house.categories", _agreed))
    elif request.categories and kind is PurposeKind.CONSENT_REQUEST:
        rules.append(("house.categories", _none_agreed))
    return tuple(rules)


_UNUSUAL: Final = frozenset({_state, _address, _level})
"""Rules of the house that object to nobody `_ordinary` finds nothing about."""


def _ordinary(record: PersonRecord, facts: Facts, request: UseRequest) -> bool:
    """Tell whether none of the rules in `_UNUSUAL` could object: the case of nearly everybody."""
    if record.alias or record.erasing or record.restricted or not record.level:
        return False
    contact = facts.gathered.contact if facts.gathered else None
    return contact is not None and contact.channel is request.channel


def objections(request: UseRequest, facts: Facts, plan: Plan) -> list[Reason]:
    """Collect every objection but those with an end; a rule that fails objects."""
    record = record_of(facts)
    try:
        look_up(request, facts, plan.scopes)
    except Exception:  # noqa: BLE001 - whoever asks for it meets the same error and objects
        facts.memo.clear()
    reasons: list[Reason] = []
    for name, rule in plan.plain_rules if _ordinary(record, facts, request) else plan.house_rules:
        try:
            code = rule(request, record, facts, plan)
        except Exception:  # noqa: BLE001 - an error in a rule is a no, never a skip
            code = ReasonCode.RULE_ERROR
        if code is not None:
            reasons.append(house_reason(code, name))
    if facts.gathered and facts.gathered.blocks:
        reasons += [house_reason(c, "house.suppression") for c in _blocked(request, facts, plan)]
        reasons += asked(plan.of_blocks, request, facts)
    if record.age == "minor":
        reasons += asked(plan.of_minors, request, facts)
    reasons += asked(plan.checks, request, facts)
    if plan.expired:
        reasons.append(house_reason(ReasonCode.RULE_FILE_EXPIRED))
    return reasons


def wished(request: UseRequest, facts: Facts, own: Wishes) -> tuple[list[Reason], int]:
    """Return what a person's own wishes object to now, and when quiet hours begin; 0 not soon."""
    try:
        record = record_of(facts)
        found, ends = judge(record, own, zones_of(record, facts), request.at)
    except Exception:  # noqa: BLE001 - a wish nobody can read still binds
        found, ends = [(ReasonCode.RULE_ERROR, WISHES_RULE)], Instant(0)
    return [house_reason(code, rule) for code, rule in found], ends


def asked(checks: Iterable[Check], request: UseRequest, facts: Facts) -> list[Reason]:
    """Ask checks; return the reasons of those that object, or fail."""
    reasons: list[Reason] = []
    for check in checks:
        try:
            code = check.judge(request, facts)
        except Exception:  # noqa: BLE001 - an error in a rule is a no, never a skip
            code = ReasonCode.RULE_ERROR
        if code is not None:
            reasons += check.reasons(code)
    return reasons


def answered(
    request: UseRequest, facts: Facts, plan: Plan, zone: str
) -> tuple[Sequence[Reason], int]:
    """Return what house and place alone object to now, and when their yes ends (0 never).

    Worked out once per moment, and once per zone; everybody else of a batch gets the same answer.
    """
    moment, of_house, by_zone = plan.answered
    if moment != request.at:
        of_house, by_zone = tuple(asked(plan.of_house, request, facts)), {}
        plan.answered = (request.at, of_house, by_zone)
    found = by_zone.get(zone)
    if found is None:
        reasons, ends = list(of_house), 0
        for timed, check in plan.of_place:
            code, _, end = ask_timed(timed, request, facts)
            if code is not None:
                reasons += check.reasons(code)
            if end and not 0 < ends < end:
                ends = end
        found = by_zone[zone] = (tuple(reasons), ends)
    return found


def ask_timed(timed: Timed, request: UseRequest, facts: Facts) -> Answer:
    """Ask a timed check; one that fails objects."""
    try:
        return timed.judge(request, facts)
    except Exception:  # noqa: BLE001 - an error in a rule is a no, never a skip
        return (ReasonCode.RULE_ERROR, "", 0)


def _blocked(request: UseRequest, facts: Facts, plan: Plan) -> list[ReasonCode]:
    codes = []
    for block in facts.gathered.blocks if facts.gathered else ():
        try:
            if _blocks(block, request, facts, plan):
                codes.append(BLOCK_CODES[block.reason])
        except Exception:  # noqa: BLE001 - a suppression nobody can read still suppresses
            codes.append(ReasonCode.RULE_ERROR)
    return codes


def _blocks(block: Block, request: UseRequest, facts: Facts, plan: Plan) -> bool:
    if block.reason == "hard_bounce" and not plan.sends:
        return False
    if block.reason == "legal_hold" and not _stored_only(request, plan):
        return False
    known = block.reason in BLOCK_CODES
    if known and block.reason not in plan.blocked_by:
        return False
    return blocks_use(block, request, facts.house)
