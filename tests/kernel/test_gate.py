"""The gate: every reason it can give, in order, and what its yes is bound to."""

import ast
import copy
import dataclasses
import itertools
import pickle
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from asking import (
    AGREED,
    CATEGORIES,
    CLAIM,
    MARKETER,
    NOON,
    OTHER,
    PERSON,
    RULES,
    STRANGER,
    answer,
    ask,
    at_level,
    codes,
    house,
    local,
    sale,
    told,
)

import troth
from troth.errors import InvalidInput
from troth.kernel import gate, plans, predicates
from troth.kernel.grounds import GroundRule
from troth.kernel.predicates import PREDICATES
from troth.kernel.reasons import CAUTIOUS, explain, refusal
from troth.terms import (
    DAY,
    SECOND,
    Action,
    Actor,
    Block,
    Channel,
    Claim,
    Instant,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Registry,
    Role,
)

SOURCES = sorted(Path(troth.__file__).parent.rglob("*.py"))
CUSTOMER = replace(STRANGER, relations=(sale(),))


def with_sale(**changes):
    return replace(STRANGER, relations=(sale(**changes),))


# --- the yes ---------------------------------------------------------------------------------


def test_a_permit_is_bound_to_person_purpose_categories_and_time():
    permit = answer(at_level(AGREED, 2), categories=frozenset({"interests"}))
    assert (permit.person, permit.purpose) == (PERSON, "offers")
    assert dict(permit.categories) == {"interests": "full"}
    assert permit.until == NOON + gate.PERMIT_LIFE
    assert (permit.basis, permit.waiver, permit.ruleset) == ("consent", "", RULES.digest)
    assert {"sender_identity", "free_objection"} <= set(permit.obligations)
    assert permit.covers(PERSON, "interests", NOON)
    assert not permit.covers(OTHER, "interests", NOON)
    assert not permit.covers(PERSON, "history", NOON)
    assert not permit.covers(PERSON, "interests", permit.until)
    assert "p" * 16 not in repr(permit)


def test_a_permit_masks_as_the_staff_policy_says():
    claim = Claim({**CLAIM.categories, "interests": "hash"})
    record = at_level(AGREED, 2)
    permit = answer(record, categories=frozenset({"interests"}), claim=claim)
    assert dict(permit.categories) == {"interests": "hash"}
    other = answer(record, categories=frozenset({"interests"}))
    assert dict(other.categories) == {"interests": "full"}
    with pytest.raises(TypeError):
        permit.categories["history"] = "full"


def test_a_permit_ends_with_the_quiet_hours_the_consent_and_the_agreement():
    evening = local("2026-11-23T19:58:00")
    assert answer(at=evening).until == local("2026-11-23T20:00:00")
    ending = told(STRANGER, until=NOON + 60 * SECOND)
    assert answer(ending).until == NOON + 60 * SECOND
    agency = Actor(Role.AGENCY, "a1")
    brief = house(agreements={"acme": (NOON, NOON + 5 * SECOND), "open": (0, 0)})
    assert answer(actor=agency, agreement="acme", within=brief).until == NOON + 5 * SECOND
    assert answer(actor=agency, agreement="open", within=brief).until == NOON + gate.PERMIT_LIFE


def test_a_permit_that_rests_on_a_temporary_right_ends_with_it():
    lent = replace(CLAIM, grant="gr-1", until=NOON + 7 * SECOND)
    assert answer(claim=lent).until == NOON + 7 * SECOND
    longer = replace(CLAIM, grant="gr-1", until=NOON + 2 * gate.PERMIT_LIFE)
    assert answer(claim=longer).until == NOON + gate.PERMIT_LIFE


def test_a_permit_cannot_be_made_copied_kept_or_altered():
    permit = answer()
    attempts = [
        gate.Permit,
        lambda: gate.Permit(PERSON, "offers"),
        lambda: copy.copy(permit),
        lambda: copy.deepcopy(permit),
        lambda: pickle.dumps(permit),
        permit.__reduce__,
        permit.__getstate__,
        lambda: permit.__replace__(until=0),
        lambda: dataclasses.replace(permit, until=0),
        lambda: setattr(permit, "until", 0),
        lambda: delattr(permit, "until"),
        lambda: type("Forged", (gate.Permit,), {}),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError):
            attempt()
    with pytest.raises((TypeError, AttributeError)):
        permit.extra = 1


def _mints(tree):
    """Lines that make a permit: by its class, or past its refusal to be made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            text = ast.unparse(node.func)
            if text.split(".")[-1] == "Permit" or text in ("_blank", "object.__new__"):
                yield node.lineno
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "object.__new__":
            yield node.lineno


def test_nothing_but_the_gate_makes_a_permit():
    assert list(_mints(ast.parse("x = gate.Permit(1)\ny = object.__new__(Permit)")))  # planted
    makers = {
        path.name for path in SOURCES if list(_mints(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert makers == {"gate.py"}


# --- the question ----------------------------------------------------------------------------


def test_facts_of_another_person_or_moment_decide_nothing():
    request, facts = ask()
    wrong = [
        replace(facts, person=OTHER),
        replace(facts, as_of=Instant(NOON - 1)),
        replace(facts, gathered=replace(facts.gathered, person=OTHER)),
    ]
    for given in wrong:
        with pytest.raises(InvalidInput):
            gate.decide(request, given)
    with pytest.raises(InvalidInput):
        gate.decide(replace(request, person=None), replace(facts, person=None))


def test_the_same_question_gives_the_same_answer_under_any_clock_and_any_memory():
    for given in (ask(), ask(STRANGER), ask(AGREED, at=local("2026-11-22T12:00:00"))):
        request, facts = given
        fresh = replace(facts, house=house(), memo={})
        first, again, third = (gate.decide(request, f) for f in (facts, facts, fresh))
        if isinstance(first, Refusal):
            assert first == again == third
        else:
            shown = [
                (p.until, p.basis, p.obligations, dict(p.categories))
                for p in (first, again, third)
            ]
            assert shown[0] == shown[1] == shown[2]


def test_the_inputs_of_a_decision_have_one_digest_and_every_fact_moves_it():
    base = gate.inputs_digest(*ask())
    assert base == gate.inputs_digest(*ask(within=house()))
    moved = [
        ask(STRANGER),
        ask(asked=True),
        ask(blocks=[Block("unsubscribe")]),
        ask(brand="other"),
        ask(within=house(version=2)),
        ask(claim=Refusal((Reason(ReasonCode.QUOTA, "x"),))),
    ]
    assert len({base, *(gate.inputs_digest(*each) for each in moved)}) == 7


# --- the claim -------------------------------------------------------------------------------

CLAIMS = [
    ({"actor": Actor(Role.MARKETER, "")}, ["unknown_actor"]),
    ({"purpose": "unheard_of"}, ["unknown_purpose"]),
    ({"categories": frozenset({"shoe_size"})}, ["unlabelled_field", "purpose_not_permitted"]),
    ({"categories": frozenset({"alcohol"})}, ["purpose_not_permitted"]),
    ({"channel": None}, ["purpose_not_permitted"]),
    ({"purpose": "reports"}, ["purpose_not_permitted"]),
    ({"purpose": "ask_offers", "action": Action.PROFILE}, ["purpose_not_permitted"]),
    ({"purpose": "personalise", "action": Action.PROFILE}, ["purpose_not_permitted"]),
    ({"action": Action.SHARE, "channel": None}, ["agreement_missing"]),
    ({"actor": Actor(Role.AGENCY, "a1")}, ["agreement_missing"]),
    ({"actor": Actor(Role.AGENCY, "a1"), "agreement": "gone"}, ["agreement_missing"]),
    ({"agreement": "acme", "at": Instant(NOON + DAY)}, ["agreement_missing"]),
    ({"within": house(clock_sure=False)}, ["clock_unsure"]),
    ({"claim": Claim({}), "categories": frozenset({"interests"})}, ["purpose_not_permitted"]),
]


@pytest.mark.parametrize(("changes", "expected"), CLAIMS)
def test_whoever_may_not_ask_learns_only_that(changes, expected):
    assert codes(STRANGER, blocks=[Block("objection")], **changes) == expected
    request, facts = ask(**changes)
    judged = gate.judge_claim(request, facts.house, facts.claim)
    assert list(dict.fromkeys(reason.code for reason in judged.reasons)) == expected


def test_the_reasons_of_house_and_staff_policy_stand_together_in_order():
    policy = Refusal((Reason(ReasonCode.QUOTA, "cedar"),))
    request, facts = ask(purpose="unheard_of", claim=policy)
    judged = gate.judge_claim(request, facts.house, policy)
    assert [reason.code for reason in judged.reasons] == ["unknown_purpose", "quota"]
    assert gate.decide(request, facts) is policy
    request, facts = ask()
    assert gate.judge_claim(request, facts.house, CLAIM) is CLAIM


def test_an_agreement_counts_from_its_first_to_before_its_last_moment_within_one_memory():
    agency, within = Actor(Role.AGENCY, "a1"), house(agreements={"acme": (NOON, NOON + 9)})
    for at, expected in ((NOON - 1, False), (NOON, True), (NOON + 8, True), (NOON + 9, False)):
        found = codes(actor=agency, agreement="acme", at=Instant(at), within=within)
        assert (found == []) is expected


def test_a_person_reads_and_takes_all_their_own_data_special_ones_too():
    me = Actor(Role.PERSON, PERSON.hex())
    own = {"actor": me, "purpose": "orders", "channel": None, "categories": CATEGORIES}
    restricted = replace(STRANGER, restricted=True)
    for action in (Action.READ, Action.EXPORT):
        assert codes(restricted, action=action, blocks=[Block("legal_hold")], **own) == []
        assert codes(action=action, **{**own, "actor": Actor(Role.PERSON, "me")}) == [
            "unknown_actor"
        ]
    assert codes(action=Action.READ, **{**own, "actor": MARKETER}) == ["purpose_not_permitted"]
    assert codes(action=Action.READ, **{**own, "purpose": "offers"}) == ["purpose_not_permitted"]


def _ended(rules):
    from troth.kernel.regimes import Ruleset

    heads = {name: replace(head, ends=Instant(1)) for name, head in rules.regimes.items()}
    return Ruleset(rules.label, rules.digest, rules.rules, rules.calendars, heads, rules._breaks)


def test_rules_that_have_run_out_stop_marketing_and_no_service_message():
    ended = house(ruleset=_ended(RULES))
    assert codes(within=ended) == ["rule_file_expired"]
    assert codes(within=ended, purpose="orders") == []


def test_rules_of_the_persons_own_country_that_have_run_out_stop_marketing():
    heads = {**RULES.regimes, "EU": replace(RULES.regimes["EU"], ends=Instant(1), fallback=False)}
    from troth.kernel.regimes import Ruleset

    partly = Ruleset(RULES.label, RULES.digest, RULES.rules, RULES.calendars, heads, RULES._breaks)
    within = house(ruleset=partly)
    assert codes(within=within) == []
    assert "rule_file_expired" in codes(replace(AGREED, residence="DE"), within=within)


# --- the person ------------------------------------------------------------------------------


def test_silence_refuses():
    assert codes(STRANGER) == ["no_consent"]
    assert codes(None) == ["unknown_person"]
    bare = house(ruleset=_nothing())
    assert codes(STRANGER, within=bare) == ["no_consent"]
    assert codes(CUSTOMER, within=bare) == ["no_consent"]
    assert codes(AGREED, within=bare) == []


def _nothing():
    from troth.kernel.regimes import load

    head = b'[regime]\nid = "ZA"\nversion = "1"\nzone = "Africa/Johannesburg"\nresidence = ["ZA"]\nfallback = true\n'
    rule = b"""
[[rule]]
id = "ZA-0"
law = "none"
title = "A rule that says nothing to the gate"
kind = "content"
predicate = "carries"
params = { obligations = ["x"] }
applies = { residence = ["ZA"] }
valid_from = 2020-01-01
status = "in_force"
source = "made up"
source_mark = "P"
needs_check = false
checked_on = 2026-01-01
review_by = 2027-01-01
example = [{ facts = { at = 2026-11-23 }, expect = "permit" }]
"""
    return load({"za.toml": head + rule}, {}, PREDICATES)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (AGREED, []),
        (told(AGREED, "withdrawn", 5), ["withdrawn"]),
        (told(AGREED, "revoked", 5), ["withdrawn"]),
        (told(AGREED, "invalidated", 5), ["withdrawn"]),
        (told(AGREED, "refused", 5), ["refused"]),
        (told(AGREED, "expired", 5), ["expired"]),
        (told(AGREED, "objected", 5), ["objected"]),
        (told(AGREED, "opted_out", 5), ["objected"]),
        (told(AGREED, "withdrawn", 5, channels=("*",)), ["withdrawn"]),
        (told(AGREED, "withdrawn", 5, purpose="marketing", channels=("*",)), ["withdrawn"]),
        (told(AGREED, "withdrawn", 5, purpose="news"), []),
        (told(STRANGER, until=NOON), ["expired"]),
        (told(STRANGER, "requested"), ["no_consent"]),
        (told(STRANGER, "request_deferred"), ["no_consent"]),
        (told(STRANGER, "imported"), ["no_consent"]),
        (told(STRANGER, purpose="marketing"), ["no_consent"]),
        (told(STRANGER, channels=("sms",)), ["channel_not_consented"]),
        (told(CUSTOMER, "refused", 5), ["refused"]),
        (told(CUSTOMER, "objected", 5, purpose="marketing", channels=("*",)), ["objected"]),
        (told(CUSTOMER, "requested"), []),
        (told(CUSTOMER, until=NOON), []),
        (told(told(CUSTOMER, "refused", 20), "given", 5), []),
        (told(told(CUSTOMER, "given", 5), "refused", 20), []),
        (CUSTOMER, []),
    ],
)
def test_precedence_is_block_then_withdrawal_then_refusal_then_consent_then_exception(
    record, expected
):
    assert codes(record) == expected
    for stop in ("registry_block", "objection"):
        assert codes(record, blocks=[Block(stop)]) != []


def test_the_customer_exception_holds_for_one_combination_of_its_six_facts():
    good = {
        "kind": ("sale", "inquiry"),
        "brand": ("marula", "other"),
        "goods": ("kitchen", "garden"),
        "collected": (True, False),
        "objection_offered": (True, False),
    }
    allowed = []
    for chosen in itertools.product(
        *[[(name, value) for value in both] for name, both in good.items()]
    ):
        for refused in (False, True):
            record = with_sale(**dict(chosen))
            record = told(record, "refused") if refused else record
            if codes(record) == []:
                allowed.append((chosen, refused))
    assert allowed == [(tuple((name, both[0]) for name, both in good.items()), False)]
    assert answer(CUSTOMER).basis == "customer_exception"


@pytest.mark.parametrize(
    ("changes", "expected", "rule"),
    [
        ({"kind": "inquiry"}, "not_customer", "ZA-5"),
        ({"brand": "other"}, "not_customer", "ZA-5"),
        ({"goods": "garden"}, "not_similar_product", "ZA-5"),
        ({"collected": False}, "no_consent", "ZA-1"),
        ({"objection_offered": False}, "no_objection_offered_at_collection", "ZA-5"),
        ({"at": Instant(NOON + 1)}, "not_customer", "ZA-5"),
    ],
)
def test_a_missing_fact_of_the_customer_exception_is_named(changes, expected, rule):
    found = answer(with_sale(**changes)).first
    assert (found.code, found.rule) == (expected, rule)


def test_the_facts_of_the_exception_must_meet_in_one_sale():
    halves = (sale(objection_offered=False), sale(goods="garden"))
    assert codes(replace(STRANGER, relations=halves)) == ["no_objection_offered_at_collection"]
    assert codes(replace(STRANGER, relations=(*halves, sale()))) == []


def test_a_rule_may_ask_fewer_facts_but_none_that_nobody_can_judge():
    request, facts = ask(with_sale(goods="garden"))
    fewer = GroundRule({"customer_exception": True, "needs": ["sale", "own"]})
    assert fewer.judge(request, facts) == (None, "customer_exception", 0)
    assert fewer(request, facts) is None
    with pytest.raises(InvalidInput):
        GroundRule({"needs": ["moon_phase"]})
    consentless = GroundRule({"consent": False})
    assert consentless(*ask(AGREED)) == "channel_not_consented"


def test_a_company_is_asked_for_its_own_consent_and_a_company_is_never_a_child():
    company = replace(STRANGER, subject="juristic", age="minor")
    assert codes(company) == ["no_consent"]
    assert codes(told(company)) == []
    assert "objected" in codes(told(company, "objected"))
    employee = told(replace(STRANGER), days=3)
    assert codes(employee) == []


def test_a_child_needs_a_competent_person():
    child = replace(STRANGER, age="minor")
    assert codes(told(child)) == ["minor", "no_consent"]
    agreed = told(replace(child, competent=True), by="competent_person")
    assert codes(agreed) == []
    bare = house(ruleset=_nothing())
    assert codes(told(child, by="competent_person"), within=bare) == ["minor"]


@pytest.mark.parametrize(
    ("flags", "expected", "service"),
    [
        ({"erasing": True}, ["erasure_pending"], ["erasure_pending"]),
        ({"restricted": True}, ["restricted"], []),
        ({"alias": "71" * 16}, ["unknown_person"], ["unknown_person"]),
        ({"level": 0}, ["level_zero"], []),
    ],
)
def test_flags_of_the_record_refuse(flags, expected, service):
    assert codes(replace(AGREED, **flags)) == expected
    assert codes(replace(AGREED, **flags), purpose="orders") == service


def test_restricted_data_is_not_read_but_the_person_is_written_to():
    restricted = replace(AGREED, restricted=True)
    assert codes(restricted, purpose="orders", action=Action.READ) == ["restricted"]
    held = {"blocks": [Block("legal_hold")]}
    assert codes(purpose="orders", action=Action.READ, **held) == ["restricted"]
    assert codes(purpose="orders", **held) == []
    assert codes(purpose="reports", action=Action.READ, channel=None, **held) == ["restricted"]


BLOCKS = [
    ("unsubscribe", "suppressed_unsubscribe", False),
    ("complaint", "suppressed_complaint", False),
    ("hard_bounce", "suppressed_bounce", True),
    ("objection", "objected", False),
    ("registry_block", "registry_block", False),
    ("minor", "minor", False),
    ("legal_hold", "restricted", False),
    ("gibberish", "rule_error", True),
]


@pytest.mark.parametrize(("reason", "expected", "stops_service"), BLOCKS)
def test_each_suppression_stops_marketing_and_only_a_dead_address_stops_service(
    reason, expected, stops_service
):
    assert codes(blocks=[Block(reason)]) == [expected]
    found = codes(purpose="orders", blocks=[Block(reason)])
    assert found == ([expected] if stops_service else [])


@pytest.mark.parametrize(
    ("scope", "value", "stops"),
    [
        ("all", "", True),
        ("channel", "email", True),
        ("channel", "sms", False),
        ("purpose", "offers", True),
        ("purpose", "marketing", True),
        ("purpose", "news", False),
        ("brand", "marula", True),
        ("brand", "other", False),
    ],
)
def test_a_suppression_reaches_as_far_as_its_scope(scope, value, stops):
    expected = ["suppressed_unsubscribe"] if stops else []
    assert codes(blocks=[Block("unsubscribe", scope, value)]) == expected


def test_a_suppression_ends_by_itself_or_never_and_an_unreadable_scope_suppresses():
    assert codes(blocks=[Block("unsubscribe", until=NOON)]) == []
    assert codes(blocks=[Block("unsubscribe", until=NOON + 1)]) == ["suppressed_unsubscribe"]
    assert codes(blocks=[Block("unsubscribe", "moon")]) == ["rule_error"]
    assert codes(blocks=[Block("registry_block", "all", "EU")]) == ["registry_block"]


def test_a_dead_address_stops_no_use_without_a_message():
    changes = {"action": Action.PROFILE, "channel": None}
    assert codes(blocks=[Block("hard_bounce")], **changes) == []
    assert codes(blocks=[Block("unsubscribe", "channel", "email")], **changes) == []
    assert codes(blocks=[Block("objection")], **changes) == ["objected"]


def test_a_message_needs_an_address_on_its_own_channel():
    assert codes(contact="sms") == ["fact_missing"]
    request, facts = ask()
    bare = replace(facts, gathered=replace(facts.gathered, contact=None))
    assert [r.code for r in gate.decide(request, bare).reasons] == ["fact_missing"]
    assert codes(contact="sms", action=Action.PROFILE) == []


def test_a_use_without_a_channel_rests_on_any_consent_of_the_purpose():
    changes = {"action": Action.PROFILE, "channel": None}
    assert codes(told(STRANGER, channels=("sms",)), **changes) == []
    assert codes(told(AGREED, "withdrawn", 3), **changes) == ["withdrawn"]
    assert codes(STRANGER, **changes) == ["no_consent"]


def test_consent_is_asked_for_once_and_not_of_whoever_said_no():
    asking = {"purpose": "ask_offers"}
    assert codes(STRANGER, **asking) == []
    assert answer(STRANGER, **asking).basis == "ask_once"
    assert codes(STRANGER, asked=True, **asking) == ["asked_once_already"]
    for denial, code in (
        ("refused", "refused"),
        ("withdrawn", "withdrawn"),
        ("objected", "objected"),
    ):
        assert code in codes(told(STRANGER, denial, purpose="news"), **asking)
    assert codes(replace(STRANGER, level=0), **asking) == ["level_zero"]
    wanting = {**asking, "categories": frozenset({"interests"})}
    assert codes(at_level(STRANGER, 3), **wanting) == ["category_not_agreed"]
    bare = house(ruleset=_nothing())
    assert codes(STRANGER, asked=True, within=bare, **asking) == ["asked_once_already"]


def test_how_often_to_ask_is_not_for_a_rule_file_to_raise():
    with pytest.raises(InvalidInput):
        PREDICATES["ask_once"]({"times": 2}, RULES, None)


def test_categories_beyond_the_level_are_refused_and_the_agreed_ones_can_be_asked_for():
    record = at_level(AGREED, 2)
    wanted = frozenset({"interests", "history"})
    assert codes(record, categories=wanted) == ["category_not_agreed"]
    allowed = gate.allowed_categories(*ask(record, categories=wanted))
    assert allowed == {"interests"}
    assert codes(record, categories=allowed) == []
    assert codes(AGREED, categories=frozenset({"interests"})) == ["category_not_agreed"]


def test_allowed_categories_are_those_of_purpose_claim_and_person_together():
    record = at_level(AGREED, 4)
    assert gate.allowed_categories(*ask(record)) == {"interests", "history", "year"}
    narrow = Claim({"history": "full"})
    assert gate.allowed_categories(*ask(record, claim=narrow)) == {"history"}
    assert gate.allowed_categories(*ask(record, purpose="orders")) == CATEGORIES - {"alcohol"}
    nothing = [
        ask(record, purpose="ask_offers"),
        ask(record, purpose="unheard_of"),
        ask(None),
        ask(record, claim=Refusal((Reason(ReasonCode.QUOTA, "x"),))),
    ]
    assert [gate.allowed_categories(*each) for each in nothing] == [frozenset()] * 4


def test_personalising_needs_the_category_agreed_to():
    changes = {"purpose": "personalise", "action": Action.PROFILE, "channel": None}
    record = at_level(STRANGER, 3)
    assert codes(record, categories=frozenset({"history"}), **changes) == []
    assert codes(record, categories=frozenset({"year"}), **changes) == ["category_not_agreed"]
    assert codes(STRANGER, categories=frozenset({"history"}), **changes) == ["category_not_agreed"]
    assert codes(record, blocks=[Block("unsubscribe")], **changes) == []


def test_the_frequency_cap_counts_every_channel_and_brand():
    sends = {"email": (NOON - DAY, NOON), "sms": (NOON - 29 * DAY,)}
    assert codes(replace(AGREED, sends=sends)) == ["frequency_cap"]
    older = {**sends, "sms": (NOON - 30 * DAY,)}
    assert codes(replace(AGREED, sends=older)) == []
    assert codes(replace(AGREED, sends=sends), purpose="orders") == []
    assert codes(replace(AGREED, sends=sends), action=Action.PROFILE) == []
    assert codes(replace(AGREED, sends=sends), within=house(caps={})) == []


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        ("2026-11-23T07:59:59", False),
        ("2026-11-23T08:00:00", True),
        ("2026-11-23T19:59:59", True),
        ("2026-11-23T20:00:00", False),
        ("2026-11-21T08:59:59", False),
        ("2026-11-21T09:00:00", True),
        ("2026-11-21T12:59:59", True),
        ("2026-11-21T13:00:00", False),
        ("2026-11-22T12:00:00", False),
        ("2026-08-10T12:00:00", False),
    ],
)
def test_quiet_hours_are_kept_to_the_second(at, open_):
    moment = local(at)
    record = told(STRANGER, days=200)
    fresh = house(registries={"ZA": Registry(cleansed_at=moment - DAY)})
    expected = [] if open_ else ["quiet_hours"]
    assert codes(record, at=moment, channel=Channel.EMAIL, within=fresh) == expected
    assert codes(record, at=moment, purpose="orders", within=fresh) == []
    assert codes(record, at=moment, action=Action.PROFILE, within=fresh) == []


def test_while_the_zone_is_unknown_every_zone_in_question_must_be_inside():
    adrift = replace(told(replace(STRANGER, residence="")), zone="")
    early = local("2026-11-23T08:30:00")  # 07:30 in Brussels
    assert "quiet_hours" in codes(adrift, at=early)
    assert "quiet_hours" not in codes(adrift, at=NOON)
    assert "quiet_hours" not in codes(replace(adrift, zone="Africa/Johannesburg"), at=early)
    late = local("2026-11-23T19:30:00")
    assert "quiet_hours" not in codes(replace(adrift, zone="Europe/Brussels"), at=late)


def test_a_cautious_reading_says_so_in_its_remedy():
    night = local("2026-11-23T21:00:00")
    mail = answer(at=night).first
    assert (mail.code, mail.rule) == ("quiet_hours", "ZA-14")
    assert mail.remedy.endswith(CAUTIOUS)
    sms = answer(told(STRANGER, channels=("sms",)), at=night, channel=Channel.SMS).first
    assert not sms.remedy.endswith(CAUTIOUS)


def test_without_a_fresh_registry_file_marketing_stops_until_an_officer_decides():
    def registry(**changes):
        return house(registries={"ZA": Registry(**changes)})

    stale = [
        house(registries={}),
        registry(),
        registry(cleansed_at=NOON - 32 * DAY),
        registry(cleansed_at=NOON - DAY, usable=False),
        registry(cleansed_at=NOON + DAY),
    ]
    for within in stale:
        found = answer(within=within).first
        assert (found.code, found.remedy) == ("registry_stale", "upload_registry_file")
    decided = {"waived_from": NOON, "waived_until": NOON + 9, "decision": "officer:7"}
    waived = registry(**decided)
    assert answer(within=waived).waiver == "officer:7"
    assert codes(within=waived, at=Instant(NOON + 8)) == []
    assert codes(within=waived, at=Instant(NOON + 9)) == ["registry_stale"]
    assert codes(within=waived, at=Instant(NOON - 1)) == ["registry_stale"]
    assert codes(within=registry(**{**decided, "decision": ""})) == ["registry_stale"]
    assert codes(within=waived, blocks=[Block("registry_block")]) == ["registry_block"]


@pytest.mark.parametrize(
    ("notice", "expected"),
    [
        ("offers@2", []),
        ("offers@3", []),
        ("offers@1", ["notice_outdated"]),
        ("offers@x", ["fact_missing"]),
        ("offers", ["fact_missing"]),
        ("unpublished@2", ["fact_missing"]),
        ("", ["fact_missing"]),
    ],
)
def test_a_consent_is_worth_the_notice_it_was_bound_to(notice, expected):
    assert codes(told(STRANGER, notice=notice)) == expected


def test_where_any_channel_will_do_one_consent_with_a_good_notice_is_enough():
    record = told(told(STRANGER, notice="offers@1"), channels=("sms",))
    assert codes(record, action=Action.PROFILE, channel=None) == []
    assert codes(CUSTOMER) == []  # no consent, so no notice to have changed


def test_every_objection_is_given_in_order_each_once():
    record = replace(told(AGREED, "withdrawn", 5), level=0, restricted=True)
    found = answer(
        record,
        at=local("2026-11-22T12:00:00"),
        blocks=[Block("unsubscribe"), Block("unsubscribe")],
        categories=frozenset({"history"}),
        within=house(registries={}),
    )
    assert list(dict.fromkeys(reason.code for reason in found.reasons)) == [
        "restricted",
        "suppressed_unsubscribe",
        "withdrawn",
        "category_not_agreed",
        "level_zero",
        "registry_stale",
        "quiet_hours",
    ]
    assert len(set(found.reasons)) == len(found.reasons)
    assert refusal(found.reasons[::-1]) == found


def test_an_unknown_residence_takes_the_rules_of_every_fallback():
    found = answer(replace(STRANGER, residence=""))
    assert {reason.rule.partition("-")[0] for reason in found.reasons} >= {"ZA", "EU"}


# --- rules that fail -------------------------------------------------------------------------


def _raises(*_anything):
    raise KeyError("planted")


@pytest.mark.parametrize("name", sorted(PREDICATES))
def test_a_broken_predicate_refuses_and_is_never_skipped(monkeypatch, name):
    class Broken(GroundRule):
        judge = _raises

    timed = name in ("ground", "quiet_window")
    monkeypatch.setitem(predicates.PREDICATES, name, lambda *_: Broken({}) if timed else _raises)
    changes = {"purpose": "ask_offers"} if name == "ask_once" else {}
    assert "rule_error" in codes(_somebody(name), within=house(), **_use(name), **changes)


@pytest.mark.parametrize("name", sorted(set(PREDICATES) - {"ask_once"}))
def test_a_rule_whose_parameters_cannot_be_read_refuses(monkeypatch, name):
    monkeypatch.setitem(predicates.PREDICATES, name, _raises)
    assert "rule_error" in codes(_somebody(name), within=house(), **_use(name))


def _somebody(name):
    return replace(AGREED, residence="US-CA") if name == "not_opted_out" else AGREED


def _use(name):
    return {"action": Action.PROFILE, "channel": None} if name == "not_opted_out" else {}


def test_a_broken_rule_of_the_house_refuses(monkeypatch):
    monkeypatch.setattr(plans, "_state", _raises)
    assert codes(within=house()) == ["rule_error"]
    assert codes(within=house(), purpose="orders") == ["rule_error"]


def test_predicates_refuse_parameters_without_meaning_and_facts_that_are_not_there():
    with pytest.raises(InvalidInput):
        PREDICATES["competent_person"]({"under_years": 0}, RULES, None)
    with pytest.raises(InvalidInput):
        PREDICATES["quiet_window"]({}, RULES, None)
    request, facts = ask(None)
    with pytest.raises(AttributeError):
        predicates.record_of(facts)
    block = PREDICATES["registry_block"]({"registry": "ZA"}, RULES, None)
    assert block(request, facts) == "fact_missing"
    elsewhere = ask(blocks=[Block("registry_block", "all", "EU")])
    assert block(*elsewhere) is None
    assert block(*ask(blocks=[Block("unsubscribe")])) is None


def test_the_house_forgets_what_it_worked_out_before_it_grows_without_end(monkeypatch):
    within = house()
    monkeypatch.setattr(gate, "_MEMO_LIMIT", 4)
    for minute in range(0, 300, 15):
        codes(within=within, at=Instant(NOON + minute * 60 * SECOND))
        assert len(within.memo) < 40


# --- words -----------------------------------------------------------------------------------

WORDS = tomllib.loads(
    (Path(troth.__file__).parent / "data" / "words" / "reasons.en.toml").read_text(
        encoding="utf-8"
    )
)


def test_every_code_has_words_and_a_remedy_with_words():
    assert set(WORDS["reason"]) == {code.value for code in ReasonCode}
    assert set(gate.REMEDIES) == set(ReasonCode)
    shipped = {rule.remedy for rule in RULES.rules if rule.remedy}
    assert set(WORDS["remedy"]) == set(gate.REMEDIES.values()) | shipped
    for words in WORDS["reason"].values():
        assert set(words) == {"title", "why", "change"}
        assert all(text and text[0].isupper() for text in words.values())
        assert words["why"].endswith(".")
        assert words["change"].endswith(".")
        assert not words["title"].endswith(".")


def test_a_reason_is_explained_by_catalogue_ids():
    assert explain(Reason(ReasonCode.NO_CONSENT, "ZA-1")) == ("no_consent", "ask_consent")
    assert explain(Reason(ReasonCode.NO_CONSENT, "ZA-1", "wait")) == ("no_consent", "wait")


def test_the_order_of_reasons_is_the_order_of_their_codes():
    assert tuple(ReasonCode) == gate.RULES
    assert gate.RULES_VERSION


def test_a_purpose_of_every_kind_allows_something_and_consent_requests_only_messages():
    from troth.kernel.claims import ALLOWED_ACTIONS

    assert set(ALLOWED_ACTIONS) == set(PurposeKind)
    assert all(ALLOWED_ACTIONS.values())
    assert ALLOWED_ACTIONS[PurposeKind.CONSENT_REQUEST] == {Action.SEND}
