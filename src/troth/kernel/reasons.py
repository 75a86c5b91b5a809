"""Reasons: their order, and what would help, as catalogue ids; the words live in catalogues."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from troth.terms import Reason, ReasonCode, Refusal

RULES: Final[tuple[ReasonCode, ...]] = tuple(ReasonCode)
"""The order in which reasons are given; a person is counted by the first of theirs."""
HOUSE: Final = "house"
"""Rule id of an objection that no regime file makes; parts of it follow a dot."""
CAUTIOUS: Final = ".cautious"
"""Ends a remedy where the rule's reach is doubtful and the stricter reading is applied."""

_PLACE = {code: place for place, code in enumerate(RULES)}

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
        ReasonCode.PAUSED: "send_after_pause",
        ReasonCode.FREQUENCY_CAP: "send_later",
        ReasonCode.QUIET_HOURS: "send_in_window",
        ReasonCode.FACT_MISSING: "record_fact",
        ReasonCode.RULE_ERROR: "report_rule",
    }
)
"""What would help, per code: an id of the catalogue. A rule's own remedy goes before it."""


@lru_cache(maxsize=256)
def house_reason(code: ReasonCode, rule: str = HOUSE) -> Reason:
    """Make, once, the reason of a rule of the house."""
    return Reason(code, rule, REMEDIES[code])


def refusal(reasons: Sequence[Reason]) -> Refusal:
    """Put reasons in the order of `RULES`, each once."""
    if len(reasons) == 1:
        return Refusal((reasons[0],))
    distinct = dict.fromkeys(reasons)
    return Refusal(tuple(sorted(distinct, key=_position)))


def told_reasons(reasons: Iterable[Reason]) -> tuple[dict[str, str], ...]:
    """Spell reasons as events keep them: code and rule; words and remedies may change later.

    >>> told_reasons([house_reason(ReasonCode.MINOR)])
    ({'code': 'minor', 'rule': 'house'},)
    """
    return tuple({"code": str(r.code), "rule": r.rule} for r in reasons)


def _position(reason: Reason) -> tuple[int, str]:
    return (_PLACE[reason.code], reason.rule)


def explain(reason: Reason) -> tuple[str, str]:
    """Return the catalogue ids of a reason's words and of what would change the answer.

    >>> explain(Reason(ReasonCode.QUIET_HOURS, "ZA-14", "wait_until_open.cautious"))
    ('quiet_hours', 'wait_until_open.cautious')
    """
    return reason.code.value, reason.remedy or REMEDIES[reason.code]
