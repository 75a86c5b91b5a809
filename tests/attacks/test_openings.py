"""The seven openings of purpose-based access engines, each closed: in roles, Cedar rules and gate.

Each test is named after what such an engine leaves open. Then: any input taken away refuses, load
order changes nothing, and nothing about a person is ever told to Cedar.
"""

import itertools
import json
import random
from dataclasses import replace

import asking
import cedarpy
import cli_shop
import pytest
from asking import AGREED, CATEGORIES, MARKETER, NOON, PERSON, STRANGER, at_level, house, told

from troth import app
from troth.adapters.cedar import CedarPolicy
from troth.adapters.cedar_words import Words
from troth.adapters.roles import RolePolicy
from troth.app.base_policy import shipped
from troth.capabilities.access.grants import Grant
from troth.capabilities.access.rights_policy import Rights, Standing
from troth.errors import InvalidInput
from troth.kernel import gate
from troth.kernel.claims import PROHIBITED, judge_claim
from troth.kernel.gate import decide
from troth.terms import (
    DAY,
    Action,
    Actor,
    Block,
    Channel,
    Claim,
    PurposeKind,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
)

WORDS = Words(asking.PURPOSES, CATEGORIES, "Africa/Johannesburg")
GIVEN = ("interests", "history")
LEVEL3 = at_level(AGREED, 3)


def kind_of(name):
    return asking.PURPOSES[name].kind if name in asking.PURPOSES else None


def row(*categories, name="marketer", kinds=("direct_marketing",), actions=("send",)):
    return {"name": name, "kinds": list(kinds), "actions": list(actions),
            "categories": dict.fromkeys(categories, "full")}  # fmt: skip


def roles(*categories, table=None, known=lambda a: a == MARKETER):
    return RolePolicy(table or [row(*categories)], {}, kind_of, known)


def rule(*categories, effect="permit", name="m", more=""):
    listed = ", ".join(f'Category::"{each}"' for each in categories)
    return (
        f'@id("{name}") {effect} (principal in Role::"marketer", action == Action::"send", '
        f'resource) when {{ context.kind == Kind::"direct_marketing" && '
        f"[{listed}].contains(resource) }} {more};"
    )


def cedar(*categories, text=None, known=lambda a: a == MARKETER):
    text = rule(*categories) if text is None else text
    return CedarPolicy(text, WORDS, known, lambda a: f"{a.role}/{'0' * 16}", roles("interests"))


BOTH = pytest.mark.parametrize("policy", [roles, cedar], ids=["roles", "cedar"])


def answered(policy, record=LEVEL3, *, within=asking.HOUSE, **changes):
    """The gate's answer to a use whose claim this policy judges."""
    request, facts = asking.ask(record, within=within, **changes)
    claim = judge_claim(request, within, policy.claim(request))
    return decide(request, replace(facts, claim=claim))


def codes(answer):
    return [] if isinstance(answer, gate.Permit) else [r.code for r in answer.reasons]


def wanting(*categories):
    return {"categories": frozenset(categories)}


@BOTH
def test_what_each_opening_is_measured_against_is_allowed(policy):
    answer = answered(policy(*GIVEN), **wanting("interests"))
    assert dict(answer.categories) == {"interests": "full"}


# 1


@BOTH
def test_opening_1_a_missing_consent_record_denies(policy):
    assert ReasonCode.NO_CONSENT in codes(answered(policy(*GIVEN), STRANGER))
    assert codes(answered(policy(*GIVEN), None)) == [ReasonCode.UNKNOWN_PERSON]


# 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": ["direct_marketting"]},
        {"actions": ["sends"]},
        {"categories": {"interests": "fulll"}},
        {"unless": ["opt_out"]},
    ],
)
def test_opening_2_a_misspelt_condition_of_a_role_does_not_load(wrong):
    with pytest.raises(InvalidInput):
        roles(table=[row("interests") | wrong])


@pytest.mark.parametrize(
    "condition",
    [
        'context.location == "ZA"',
        "context.opt_out",
        "context has opt_out",
        'context.channel == "email"',
        'context.purpose == Purpose::"ofers"',
        "context.hour.isEvening()",
        'principal.country == "ZA"',
    ],
)
def test_opening_2_an_unknown_key_or_operator_of_a_rule_does_not_load(condition):
    with pytest.raises(InvalidInput, match=r"access\.cedar"):
        cedar(text=rule("interests", more=f"unless {{ {condition} }}"))


# 3


@BOTH
def test_opening_3_an_unknown_identity_and_an_unlabelled_field_deny_with_their_codes(policy):
    stranger = Actor(Role.MARKETER, "nobody")
    assert ReasonCode.UNKNOWN_ACTOR in codes(answered(policy(*GIVEN), actor=stranger))
    assert ReasonCode.UNKNOWN_ACTOR in codes(
        answered(policy(*GIVEN), actor=replace(MARKETER, id=""))
    )
    assert ReasonCode.UNLABELLED_FIELD in codes(answered(policy(*GIVEN), **wanting("shoe_size")))
    assert ReasonCode.UNKNOWN_PURPOSE in codes(answered(policy(*GIVEN), purpose="unheard"))


# 4


def test_opening_4_a_role_listed_twice_does_not_load_in_either_order():
    for table in itertools.permutations([row("interests"), row("interests", "history")]):
        with pytest.raises(InvalidInput, match="twice"):
            roles(table=list(table))


def test_opening_4_a_rule_with_the_id_of_another_does_not_load_in_either_order():
    for rules in itertools.permutations([rule("interests"), rule("history")]):
        with pytest.raises(InvalidInput, match="id of another"):
            cedar(text="\n".join(rules))


@BOTH
def test_opening_4_somebody_in_two_roles_has_of_each_what_it_has_and_no_more(policy):
    twice = {"support": [MARKETER.id], "marketer": [MARKETER.id]}
    for order in itertools.permutations(twice):
        known = RolePolicy([], {r: twice[r] for r in order}, kind_of)._listed
        found = policy(*GIVEN, known=known)
        assert isinstance(answered(found, **wanting("interests")), gate.Permit)
        support = replace(MARKETER, role=Role.SUPPORT)
        assert isinstance(answered(found, actor=support, **wanting("interests")), Refusal)


# 5


def test_opening_5_a_forbid_goes_before_a_purpose_that_matches():
    text = rule(*GIVEN) + rule("interests", effect="forbid", name="no")
    assert isinstance(answered(cedar(text=text), **wanting("history")), gate.Permit)
    assert ReasonCode.PURPOSE_NOT_PERMITTED in codes(
        answered(cedar(text=text), **wanting("interests"))
    )


@BOTH
def test_opening_5_the_house_forbids_in_purpose_whatever_the_policy_permits(policy):
    strict = house(prohibited={"interests": frozenset({"offers"})})
    answer = answered(policy(*GIVEN), within=strict, **wanting("interests"))
    assert PROHIBITED in {r.rule for r in answer.reasons}
    assert isinstance(answered(policy(*GIVEN), within=strict, **wanting("history")), gate.Permit)
    special = answered(policy(*GIVEN, "alcohol"), **wanting("alcohol"))
    assert ReasonCode.PURPOSE_NOT_PERMITTED in codes(special)


def test_opening_5_a_temporary_right_gives_what_nothing_permits_and_not_what_a_rule_forbids():
    account = "marketer/" + "0" * 16
    right = Grant(
        "g1", "jit", "active", account, "offers", Action.SEND, dict.fromkeys(GIVEN, "full"),
        by=account, asked=NOON, length=DAY, approver="it/1", begins=NOON - 1, until=NOON + DAY,
    )  # fmt: skip
    standing = Standing(NOON, {"offers": PurposeKind.MARKETING}, grants={account: [right]})

    def with_right(policy):
        def forbids(use, category):
            found = policy.why(use, category)
            return found.mask is None and bool(found.rules)

        return Rights(policy, lambda _: standing, lambda _: account, forbids)

    silent = with_right(cedar("history"))
    assert isinstance(answered(silent, **wanting("interests")), gate.Permit)
    barred = cedar(text=rule("history") + rule("interests", effect="forbid", name="no"))
    assert isinstance(answered(with_right(barred), **wanting("interests")), Refusal)
    assert isinstance(answered(with_right(barred), **wanting("history")), gate.Permit)


# 6


@BOTH
def test_opening_6_of_two_fields_one_allowed_only_that_one_is_in_the_permit(policy):
    one = policy("interests")
    assert isinstance(answered(one, **wanting("interests", "history")), Refusal)
    request, facts = asking.ask(LEVEL3)
    facts = replace(facts, claim=one.claim(request))
    may = gate.allowed_categories(request, facts)
    assert may == {"interests"}
    permit = decide(replace(request, categories=may), facts)
    assert set(permit.categories) == {"interests"}
    assert not permit.covers(PERSON, "history", NOON)


# 7


def test_opening_7_of_two_exceptions_either_one_denies():
    text = rule(
        "interests",
        more='unless { context.channel == Channel::"sms" } unless { context.hour >= 20 }',
    )
    evening = asking.local("2026-11-23T20:30:00")
    request, _ = asking.ask(LEVEL3, **wanting("interests"))
    policy = cedar(text=text)
    assert isinstance(policy.claim(request), Claim)
    for change in (
        {"channel": Channel.SMS},
        {"at": evening},
        {"channel": Channel.SMS, "at": evening},
    ):
        assert isinstance(policy.claim(replace(request, **change)), Refusal)


@BOTH
def test_opening_7_of_two_objections_of_a_person_either_one_denies_and_both_are_said(policy):
    found = policy(*GIVEN)
    complained = Block("complaint", "channel", "email")
    withdrew = told(AGREED, "withdrawn", 1)
    assert ReasonCode.SUPPRESSED_COMPLAINT in codes(answered(found, AGREED, blocks=[complained]))
    assert ReasonCode.WITHDRAWN in codes(answered(found, withdrew))
    assert {ReasonCode.SUPPRESSED_COMPLAINT, ReasonCode.WITHDRAWN} <= set(
        codes(answered(found, withdrew, blocks=[complained]))
    )


# Anything taken away


def without(change):
    """What is asked, of whom, in which house, once one input is gone."""
    whole = asking.HOUSE
    return {
        "consent": {"record": told(STRANGER, "withdrawn", 1)},
        "every act": {"record": STRANGER},
        "record": {"record": None},
        "level": {"record": AGREED},
        "label": {"within": house(labels=whole.labels - {"interests"})},
        "category of the purpose": {
            "within": house(
                purposes={
                    "offers": replace(whole.purposes["offers"], categories=frozenset({"history"}))
                }
            )
        },
        "purpose": {"within": house(purposes={})},
        "clock": {"within": house(clock_sure=False)},
        "actor": {"actor": Actor(Role.MARKETER, "")},
    }[change]


@BOTH
@pytest.mark.parametrize(
    "gone",
    [
        "consent", "every act", "record", "level", "label", "category of the purpose", "purpose",
        "clock", "actor",
    ],
)  # fmt: skip
def test_whatever_input_is_taken_away_the_answer_is_a_refusal(policy, gone):
    changed = without(gone)
    assert isinstance(answered(policy(*GIVEN), **wanting("interests")), gate.Permit)
    assert isinstance(
        answered(policy(*GIVEN), changed.pop("record", LEVEL3), **wanting("interests"), **changed),
        Refusal,
    )


def test_without_a_policy_the_answer_is_a_refusal():
    for empty in (cedar(text=""), roles(table=[row("interests", name="support")])):
        assert isinstance(answered(empty, **wanting("interests")), Refusal)


# Order


def test_the_order_in_which_anything_is_loaded_changes_no_answer():
    rules = [
        rule("interests"),
        rule("history", name="h").replace('@id("h")', '@id("h") @mask("hash")'),
        rule("history", name="h2").replace('@id("h2")', '@id("h2") @mask("last4")'),
        rule("year", effect="forbid", name="f"),
        rule(*sorted(CATEGORIES), name="all", more='unless { context.channel == Channel::"sms" }'),
        rule("address", effect="forbid", name="g"),
    ]
    table = [row("interests", name=n) for n in ("marketer", "support", "it")]
    request, _ = asking.ask(LEVEL3)
    uses = [replace(request, channel=c) for c in (Channel.EMAIL, Channel.SMS)]
    chance = random.Random(13)

    def answers():
        purposes = list(asking.PURPOSES.items())
        for each in (rules, table, purposes):
            chance.shuffle(each)
        words = Words(dict(purposes), CATEGORIES)
        written = CedarPolicy(
            "\n".join(rules), words, lambda _: True, lambda a: f"{a.role}/{'0' * 16}", roles("x")
        )
        found = [p.claim(use) for use in uses for p in (written, roles(table=table))]
        return [
            tuple(sorted(f.categories.items())) if isinstance(f, Claim) else f.reasons
            for f in found
        ]

    first = answers()
    assert dict(first[0])["history"] == "full"
    assert dict(first[2])["history"] == "last4"
    assert all(answers() == first for _ in range(10))


# What Cedar is told


@pytest.fixture(scope="module")
def ruled(tmp_path_factory):
    """The small shop under its own Cedar rules, one of which names a colleague."""
    folder = cli_shop.copied(cli_shop.built(), tmp_path_factory.mktemp("ruled") / "shop")
    rules, tests = shipped()
    one = b'\n@id("one") forbid (principal == Actor::"it/0123456789abcdef", action, resource);\n'
    about = (
        b'\n[[test]]\ngiven = { role = "it", kind = "service", action = "read", '
        b'category = "identity.name" }\nexpect = "deny"\nrule = "default"\n'
    )
    (folder / "access.cedar").write_bytes(rules + one)
    (folder / "access.tests.toml").write_bytes(tests + about)
    return folder


def test_a_rule_no_test_can_be_about_must_still_have_one(ruled):
    ran = cli_shop.at(ruled, "check")
    assert ran.status == 2
    assert "no test is about rule one" in ran.out


def test_nothing_about_a_person_and_no_name_of_a_colleague_is_ever_told_to_cedar(
    ruled, monkeypatch
):
    rules, tests = shipped()
    hours = b'\n@id("busy") forbid (principal, action, resource) when { context.hour == 3 && '
    hours += b'context.agreement == "x" && context.reason == Reason::"none" && '
    hours += b'context.channel == Channel::"none" };\n'
    about = (
        b'\n[[test]]\ngiven = { role = "support", kind = "service", action = "read", '
        b'category = "identity.name", hour = 3, agreement = "x" }\n'
        b'expect = "deny"\nrule = "busy"\n'
    )
    (ruled / "access.cedar").write_bytes(rules + hours)
    (ruled / "access.tests.toml").write_bytes(tests + about)
    cli_shop.done(cli_shop.at(ruled, "apply"))
    heard = spied(monkeypatch)
    people = [f"c-{n}" for n in ("agreed", "objected", "level", "german", "stopped")]
    for who in people:
        for line in (
            ("access", "explain", "--as-role", "marketer", "offers", "send", "identity.name",
             "--channel", "email", "--person", who, "--reason", f"case:{who}"),
            ("access", "explain", "--as-role", "support", "service", "read", "contact.email",
             "--person", who, "--as", "support:fatima@marula.example", "--reason", f"case:{who}"),
            ("explain", who, "offers", "email", "--as", "marketer:lindiwe@marula.example"),
        ):  # fmt: skip
            assert cli_shop.at(ruled, *line).status in (0, 1, 2)
    text = "\n".join(heard)
    assert len(heard) > 10
    for word in (*secrets(ruled, people), *cli_shop.MARKS, "@marula.example", "case:"):
        assert word not in text, "a value or an id of somebody was told to Cedar"


def spied(monkeypatch):
    """Hear every question and every entity that goes to Cedar, and let it through."""
    heard = []
    ask, add = cedarpy.is_authorized_batch, cedarpy.Entities.with_added_json_str

    def asked(requests, policies, entities, *rest, **named):
        heard.extend(json.dumps(each) for each in requests)
        heard.append(str(entities))
        return ask(requests, policies, entities, *rest, **named)

    def added(self, delta, *rest):
        heard.append(delta)
        return add(self, delta, *rest)

    monkeypatch.setattr(cedarpy, "is_authorized_batch", asked)
    monkeypatch.setattr(cedarpy.Entities, "with_added_json_str", added)
    return heard


def secrets(folder, people):
    ws = app.open(folder)
    try:
        with ws.store.look() as view:
            ids = [ws.desk.find(view, who) for who in people]
        assert all(ids)
        return [*(each.hex() for each in ids), *people, *map(cli_shop.address, people)]
    finally:
        ws.close()


def test_a_planted_value_in_a_question_would_be_found(monkeypatch):
    heard = spied(monkeypatch)
    found = cedar(text=rule("interests", more='unless { context.agreement == "q" }'))
    leak = UseRequest(
        MARKETER, PERSON, "offers", Action.SEND, Channel.EMAIL, frozenset(), NOON,
        agreement="qzxmark",
    )  # fmt: skip
    found.claim(leak)
    text = "\n".join(heard)
    assert "qzxmark" in text
    assert PERSON.hex() not in text
    assert kind_of("offers") is PurposeKind.MARKETING
