"""Rules a company writes itself: what they say, what does not load, what errors and odd names do."""

import functools
import itertools
import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.adapters import cedar, cedar_tests, cedar_words
from troth.adapters.cedar import CedarPolicy
from troth.adapters.cedar_tests import failures, read_cases, require_tested
from troth.adapters.cedar_words import Asked, Words
from troth.adapters.roles import RolePolicy
from troth.app.base_policy import shipped, words_of
from troth.errors import InvalidInput
from troth.kernel.masks import MASKS, SHOWING
from troth.terms import (
    SECOND,
    Action,
    Actor,
    Channel,
    Claim,
    Instant,
    Purpose,
    PurposeKind,
    ReasonCode,
    Role,
    UseRequest,
    from_zulu,
)

NOON = from_zulu("2026-11-23T10:00:00Z")  # a Monday, noon in Johannesburg
ROLES = tomllib.loads((files("troth") / "data/taxonomy.toml").read_text("utf-8"))["role"]
PURPOSES = {
    kind.value: Purpose(kind.value, 1, kind, "x", frozenset(), frozenset(), parent="")
    for kind in PurposeKind
}
PURPOSES["offers"] = Purpose(
    "offers", 1, PurposeKind.MARKETING, "x", frozenset(), frozenset(), parent="service"
)
WORDS = words_of(PURPOSES, "Africa/Johannesburg")
RULES, TESTS = (raw.decode() for raw in shipped())
NAMES = st.text(max_size=40)


def named(actor):
    return f"{actor.role}/{'a' * 16}"


def roles_alone(known=lambda _: True):
    return RolePolicy(
        ROLES, {}, lambda name: PURPOSES[name].kind if name in PURPOSES else None, known
    )


def policy(text=RULES, *, words=WORDS, known=lambda _: True, name_of=named):
    return CedarPolicy(text, words, known, name_of, roles_alone(known))


def use(role="support", purpose="service", action="read", categories=(), **changes):
    told = {"channel": None, "at": NOON, **changes}
    return UseRequest(
        actor=Actor(Role(role), "ada"), person=None, purpose=purpose, action=Action(action),
        categories=frozenset(categories), **told,
    )  # fmt: skip


SHIPPED = policy()
PLAIN = roles_alone()


# What the shipped rules say


@given(
    st.sampled_from(list(Role)),
    st.sampled_from([*PURPOSES, "unheard"]),
    st.sampled_from(list(Action)),
    st.sets(st.sampled_from(sorted(WORDS.categories))),
    st.sampled_from([None, *Channel]),
)
@settings(deadline=None, max_examples=400)
def test_the_shipped_rules_answer_every_claim_as_the_shipped_roles_do(
    role, purpose, action, categories, channel
):
    asked = use(role, purpose, action, categories, channel=channel)
    ours, theirs = SHIPPED.claim(asked), PLAIN.claim(asked)
    assert type(ours) is type(theirs)
    if isinstance(ours, Claim):
        assert dict(ours.categories) == dict(theirs.categories)
        staff = role not in (Role.SYSTEM, Role.PERSON)
        assert ours.policy == (SHIPPED.digest if staff else "")
    elif role in {row["name"] for row in ROLES}:
        assert [r.code for r in ours.reasons] == [r.code for r in theirs.reasons]


def test_every_combination_of_role_kind_and_action_is_answered_alike():
    for role, purpose, action in itertools.product(Role, PURPOSES, Action):
        asked = use(role, purpose, action)
        ours, theirs = SHIPPED.claim(asked), PLAIN.claim(asked)
        assert isinstance(ours, Claim) is isinstance(theirs, Claim)
        if isinstance(ours, Claim):
            assert dict(ours.categories) == dict(theirs.categories)


def test_who_is_suspended_or_never_was_of_the_house_is_unknown_whatever_the_rules_say():
    gone = policy(known=lambda _: False)
    assert [r.code for r in gone.claim(use()).reasons] == [ReasonCode.UNKNOWN_ACTOR]


def test_persons_and_machinery_keep_their_rights_under_rules_that_forbid_all():
    nobody = policy('@id("none") forbid (principal, action, resource);')
    for role in (Role.PERSON, Role.SYSTEM):
        assert isinstance(nobody.claim(use(role)), Claim)
    assert [r.rule for r in nobody.claim(use()).reasons] == ["access.none"]


def test_a_policy_without_a_rule_denies_the_staff_everything():
    told = policy("").claim(use())
    assert [(r.code, r.rule) for r in told.reasons] == [
        (ReasonCode.PURPOSE_NOT_PERMITTED, cedar.DEFAULT)
    ]


# Masks


def permits(*masks):
    return "\n".join(
        f'@id("r{n}") @mask("{mask}") permit (principal, action, resource == Category::"contact.email");'
        for n, mask in enumerate(masks)
    )


@given(st.lists(st.sampled_from(sorted(MASKS)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_of_several_permits_the_one_that_shows_most_counts_so_that_deleting_one_never_widens(
    masks,
):
    shown = [
        policy(permits(*masks[:count])).claim(use()).categories["contact.email"]
        for count in range(1, len(masks) + 1)
    ]
    assert shown[-1] == max(masks, key=SHOWING.get)
    assert [SHOWING[m] for m in shown] == sorted(SHOWING[m] for m in shown)


@given(st.lists(st.sampled_from(sorted(MASKS)), max_size=3), st.randoms())
@settings(deadline=None, max_examples=40)
def test_a_forbid_goes_before_every_permit_wherever_it_stands(masks, chance):
    rules = [*permits(*masks).split("\n"), '@id("no") forbid (principal, action, resource);']
    chance.shuffle(rules)
    told = policy("\n".join(rules)).claim(use(categories=["contact.email"]))
    assert [r.rule for r in told.reasons] == ["access.no"]


# What does not load

GOOD = '@id("a") permit (principal in Role::"support", action == Action::"read", resource);'


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('@id("a") permit (principal in Role::"suport", action, resource);', "unknown Role"),
        ('@id("a") permit (principal in Role::"person", action, resource);', "unknown Role"),
        ('@id("a") permit (principal, action == Action::"raed", resource);', "unknown Action"),
        ('@id("a") permit (principal, action in [Action::"raed"], resource);', "unknown Action"),
        ('@id("a") permit (principal, action, resource == Category::"mail");', "unknown Category"),
        (
            '@id("a") permit (principal, action, resource) when { context.kind == Kind::"x" };',
            "unknown Kind",
        ),
        (
            '@id("a") permit (principal, action, resource) when { context.purpose in Purpose::"x" };',
            "unknown Purpose",
        ),
        (
            '@id("a") permit (principal, action, resource) when { [Channel::"mail"].contains(context.channel) };',
            "unknown Channel",
        ),
        (
            '@id("a") forbid (principal, action, resource) unless { context.reason == Reason::"x" };',
            "unknown Reason",
        ),
        (
            '@id("a") forbid (principal, action, resource) when { context.huor > 3 };',
            "does not fit the schema: attribute `huor`",
        ),
        (
            '@id("a") forbid (principal, action, resource) when { context has consent };',
            "looks for consent, which no use has",
        ),
        (
            '@id("a") permit (principal, action, resource) unless { [principal has age].contains(true) };',
            "looks for age",
        ),
        ('@id("a") permit (principal == Actor::"ada", action, resource);', "role/digest"),
        ('@id("a") permit (principal in Person::"x", action, resource);', "unknown Person"),
        ('@id("a") @masc("null") permit (principal, action, resource);', "annotation @masc"),
        ('@id("a") @mask("blurred") permit (principal, action, resource);', "unknown mask"),
        ('@id("a") @mask("null") forbid (principal, action, resource);', "forbids and has a mask"),
        ("permit (principal, action, resource);", "number 1 has no id"),
        ('@id("") permit (principal, action, resource);', "has no id"),
        (f"{GOOD}\n{GOOD}", "id of another rule"),
        ('@id("a") permit (principal == ?principal, action, resource);', "template"),
        ('@id("a") prmit (principal, action, resource);', "access.cedar"),
        ('@id("a") permit (principal, action, resource)', "access.cedar"),
    ],
)  # fmt: skip
def test_a_word_nobody_knows_does_not_load_and_is_never_false(wrong, said):
    with pytest.raises(InvalidInput, match=r"access\.cedar") as caught:
        policy(wrong)
    assert re.search(said, str(caught.value))
    assert caught.value.remedy


def test_what_does_not_load_is_named_with_its_rule_and_line():
    wrong = GOOD + '\n\n@id("later")\npermit (principal in Role::"clerk", action, resource);'
    with pytest.raises(InvalidInput, match=r"access\.cedar:3: rule later names an unknown Role"):
        policy(wrong)


def test_purposes_in_a_circle_and_a_zone_nobody_knows_do_not_load():
    circle = {n: Purpose(n, 1, PurposeKind.SERVICE, "x", frozenset(), frozenset(), parent=p)
              for n, p in (("a", "b"), ("b", "a"))}  # fmt: skip
    for words in (
        Words(circle, frozenset()),
        Words({}, frozenset(), "Mars/Olympus"),
        Words({}, frozenset(), "/"),
    ):
        with pytest.raises(InvalidInput):
            policy("", words=words)


def test_bytes_that_are_no_text_are_no_policy():
    with pytest.raises(InvalidInput, match="UTF-8"):
        cedar.read_text(b"\xff")
    assert cedar.read_text(RULES.encode()) == RULES


@given(st.text(max_size=200))
@settings(deadline=None)
def test_any_text_loads_or_is_refused_in_one_line(text):
    try:
        said = str(policy(text).digest)
    except InvalidInput as fault:
        said = str(fault)
    assert "\n" not in said


# Errors deny

OVERFLOW = (
    '@id("no") forbid (principal, action, resource) '
    "when { context.hour * 9223372036854775807 > 5 };"
)


def test_a_forbid_that_fails_to_evaluate_denies_though_cedar_skips_it():
    text = f"{GOOD}\n{OVERFLOW}"
    found = policy(text)
    raw = cedarpy.is_authorized(
        cedar.request_of(found_asked(), "identity.name"),
        cedarpy.PolicySet.from_str(text),
        found._acting("support", "support/" + "a" * 16),
    )
    assert raw.allowed  # what a caller that reads the decision alone would take for a yes
    told = found.claim(use(categories=["identity.name"]))
    assert [(r.code, r.rule) for r in told.reasons] == [(ReasonCode.RULE_ERROR, cedar.FAILED)]


def found_asked(**changes):
    return Asked(**{
        "role": "support", "actor": "support/" + "a" * 16, "action": "read", "purpose": "service",
        "kind": "service", **changes,
    })  # fmt: skip


@pytest.mark.parametrize("odd", ["\ud800", 5, None])
def test_a_question_that_cannot_be_put_is_denied(odd):
    named_in_a_rule = GOOD + PICKY[0].replace('"a"', '"b"')
    assert policy(named_in_a_rule).verdict(found_asked(actor=odd), "identity.name").failed
    told = policy(named_in_a_rule, name_of=lambda _: odd).claim(use())
    assert [r.code for r in told.reasons] == [ReasonCode.RULE_ERROR]


def test_an_answer_without_a_decision_is_denied(monkeypatch):
    nothing = SimpleNamespace(
        diagnostics=SimpleNamespace(errors=[], reasons=[], id_annotations_by_reason={}),
        decision=cedarpy.Decision.NoDecision,
        allowed=True,
    )
    monkeypatch.setattr(cedarpy, "is_authorized_batch", lambda asked, *_: [nothing] * len(asked))
    assert [r.code for r in policy(GOOD).claim(use()).reasons] == [ReasonCode.RULE_ERROR]


# Names


@given(NAMES, NAMES)
@settings(deadline=None)
def test_no_sign_in_a_name_makes_it_another_or_breaks_the_question(name, other):
    def ask(category="identity.name", **changes):
        return ODD._ask(found_asked(**changes), (category,))[category]

    told = ask(actor=name, purpose=other, agreement=other)
    assert (told.mask, told.failed) == ("full", False)
    assert (ask(role=other, actor=name).mask is None) is (other != "support")
    assert not ask(name, actor=name).failed


ODD = policy('@id("a") permit (principal in Role::"support", action == Action::"read", resource);')


@given(NAMES, NAMES)
@settings(deadline=None)
def test_one_name_is_never_taken_for_another(name, other):
    text = 'permit (principal == Actor::"x", action, resource);'
    parsed = json.loads(cedarpy.policies_to_json_str(text))
    parsed["staticPolicies"]["policy0"]["principal"]["entity"] = cedar.uid("Actor", name)
    rules = cedarpy.PolicySet.from_json_str(json.dumps(parsed))
    for actor in (name, other):
        asked = cedar.request_of(found_asked(actor=actor), "identity.name")
        assert cedarpy.is_authorized(asked, rules, []).allowed is (actor == name)


# What a rule may ask about


def allowed(rule, **changes):
    told = policy(f'@id("a") permit (principal, action, resource) when {{ {rule} }};').claim(
        use(**changes)
    )
    return isinstance(told, Claim)


def test_a_rule_may_ask_for_the_hour_and_the_day_in_the_zone_of_the_house():
    working = "context.hour >= 8 && context.hour < 17 && context.weekday < 6"
    assert allowed(working)
    assert not allowed(working, at=Instant(NOON + 6 * 3600 * SECOND))
    assert not allowed(working, at=Instant(NOON + 5 * 86_400 * SECOND))
    assert allowed("context.hour == 12 && context.weekday == 1")


def test_a_rule_may_ask_for_a_channel_a_reason_an_agreement_and_a_purpose_above():
    assert allowed('context.channel == Channel::"email"', channel=Channel.EMAIL)
    assert not allowed('context.channel == Channel::"email"')
    assert allowed('context.reason == Reason::"case"', reason="case:c-1")
    assert not allowed('context.reason == Reason::"case"', reason="cases:c-1")
    assert allowed('context.agreement == "acme@3"', agreement="acme@3")
    assert not allowed('context.agreement == "a b"', agreement="a b")
    assert allowed('context.purpose in Purpose::"service"', purpose="offers")
    assert not allowed('context.kind == Kind::"service"', purpose="offers")


def test_a_rule_about_a_group_of_categories_holds_for_what_lies_in_it_by_the_dot():
    words = Words(PURPOSES, frozenset({"contact.email", "contacts", "contact.post.home"}))
    text = '@id("a") permit (principal, action, resource in Category::"contact");'
    told = policy(text, words=words).claim(use())
    assert told.categories.keys() == {"contact.email", "contact.post.home"}


@functools.cache
def kept(text):
    return policy(text)


PICKY = (
    '@id("a") permit (principal == Actor::"it/0123456789abcdef", action, resource);',
    '@id("a") permit (principal, action, resource) when { context.hour > 11 };',
    '@id("a") permit (principal, action, resource) unless { context.weekday == 7 };',
    '@id("a") permit (principal, action, resource) when { context.channel == Channel::"sms" };',
    '@id("a") permit (principal, action, resource) when { context.reason == Reason::"case" };',
    '@id("a") permit (principal, action, resource) when { context.agreement like "acme*" };',
    '@id("a") permit (principal, action, resource) when { context.purpose in Purpose::"service" };',
    '@id("a") permit (principal, action, resource) when { context has hour && context.hour == 3 };',
    '@id("a") permit (principal, action, resource) when { context == {"purpose": Purpose::"offers", "kind": Kind::"service", "channel": Channel::"sms", "reason": Reason::"none", "agreement": "", "hour": 3, "weekday": 7} };',
    RULES,
)  # fmt: skip
ASKED = st.builds(
    Asked,
    role=st.sampled_from(["it", "support"]),
    actor=st.sampled_from(["it/0123456789abcdef", "it/0000000000000000"]),
    action=st.just("read"),
    purpose=st.sampled_from(["offers", "service", "operations"]),
    kind=st.sampled_from(["service", "direct_marketing"]),
    channel=st.sampled_from(["none", "sms"]),
    reason=st.sampled_from(["none", "case"]),
    agreement=st.sampled_from(["", "acme@3"]),
    hour=st.sampled_from([3, 12]),
    weekday=st.sampled_from([1, 7]),
)


@pytest.mark.parametrize("text", PICKY)
@given(ASKED)
@settings(deadline=None, max_examples=60)
def test_what_no_rule_looks_at_is_left_out_and_never_changes_an_answer(text, asked):
    found = kept(text)
    whole = found._ask(asked, ("identity.name",))["identity.name"]
    assert found.verdict(asked, "identity.name") == whole


GROUPED = (
    RULES,
    '@id("a") permit (principal, action, resource in Category::"contact");'  # noqa: ISC004
    '@id("b") @mask("null") permit (principal, action, resource);'
    '@id("c") forbid (principal, action, resource) when { [Category::"contact.post", '
    'Category::"views"].contains(resource) };'
    '@id("d") forbid (principal, action, resource == Category::"purchases");',
)


@pytest.mark.parametrize("text", GROUPED)
@given(ASKED)
@settings(deadline=None, max_examples=30)
def test_categories_no_rule_tells_apart_share_an_answer_and_it_is_their_own(text, asked):
    found = kept(text)
    alone = found._ask(asked, tuple(WORDS.categories))
    assert {c: found.verdict(asked, c) for c in WORDS.categories} == alone
    assert len(found._groups) < len(WORDS.categories)


def test_colleagues_of_a_role_share_an_answer_until_a_rule_names_one():
    assert SHIPPED._read.asks == {"kind"}
    assert policy(PICKY[0])._read.asks == {"actor"}
    assert policy(PICKY[8])._read.asks == cedar_words.CONTEXT
    once = SHIPPED._judged.cache_info().misses
    for name in ("a", "b", "c"):
        SHIPPED.verdict(found_asked(actor=name, hour=len(name)), "identity.name")
    assert SHIPPED._judged.cache_info().misses <= once + 1


def test_the_shipped_schema_holds_what_every_question_tells():
    told = cedar.request_of(found_asked(), "identity.name")["context"]
    assert told.keys() == cedar_words.CONTEXT
    checked = cedarpy.is_authorized(
        cedar.request_of(found_asked(), "identity.name"),
        cedarpy.PolicySet.from_str(GOOD),
        SHIPPED._acting("support", "support/" + "a" * 16),
        schema=cedar.schema(),
    )
    assert checked.allowed


def test_the_id_of_a_reason_and_the_person_are_never_told():
    found = cedar_words.asked_of(use(reason="case:ayanda"), WORDS, "support/x")
    assert "ayanda" not in json.dumps(cedar.request_of(found, "identity.name"))


# Tests beside


def test_the_shipped_tests_hold_and_name_every_rule():
    cases = read_cases(TESTS.encode(), WORDS)
    require_tested(SHIPPED, cases)
    assert {c.rule for c in cases} == {*SHIPPED.rules, "default"}


def mutants():
    """Every rule deleted, turned round, or without its condition; named by rule and change."""
    whole = json.loads(cedarpy.policies_to_json_str(RULES))["staticPolicies"]
    for key, rule in whole.items():
        name = rule["annotations"]["id"]
        flipped = {"permit": "forbid", "forbid": "permit"}[rule["effect"]]
        notes = {k: v for k, v in rule["annotations"].items() if k != "mask"}
        yield f"{name} deleted", {k: v for k, v in whole.items() if k != key}
        yield f"{name} turned", {**whole, key: {**rule, "effect": flipped, "annotations": notes}}
        yield f"{name} unmasked", {**whole, key: {**rule, "annotations": notes}}
        for scope in ("principal", "action", "resource"):
            yield f"{name} any {scope}", {**whole, key: {**rule, scope: {"op": "All"}}}
        if rule["conditions"]:
            negated = [{**c, "kind": "unless"} for c in rule["conditions"]]
            yield f"{name} negated", {**whole, key: {**rule, "conditions": negated}}
            yield f"{name} without condition", {**whole, key: {**rule, "conditions": []}}


MUTANTS = {
    name: changed
    for name, changed in mutants()
    if changed != json.loads(cedarpy.policies_to_json_str(RULES))["staticPolicies"]
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_deleted_negated_or_widened_breaks_a_test_beside_the_policy(name):
    whole = {"templates": {}, "staticPolicies": MUTANTS[name], "templateLinks": []}
    text = cedarpy.policies_from_json_str(json.dumps(whole))
    changed = policy(text)
    assert failures(changed, read_cases(TESTS.encode(), WORDS)), name


def test_a_policy_whose_test_fails_does_not_load_and_says_which():
    cases = read_cases(TESTS.encode(), WORDS)
    weaker = policy(RULES.replace('@mask("last4")\n', ""))
    with pytest.raises(InvalidInput, match=r"expects allow last4 by support\.email"):
        require_tested(weaker, cases)


def test_a_rule_no_test_is_about_does_not_load():
    more = policy(RULES + '@id("extra") forbid (principal in Role::"agency", action, resource);')
    with pytest.raises(InvalidInput, match=r"access\.cedar:\d+: no test is about rule extra"):
        require_tested(more, read_cases(TESTS.encode(), WORDS))


GIVEN = 'given = { role = "support", kind = "service", action = "read", category = "identity.name"'


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "[[test",
        "test = 1",
        "[[tests]]\nx = 1",
        "[[test]]\nexpect = 'allow'",
        f"[[test]]\n{GIVEN} }}\nexpect = 'maybe'\nrule = 'a'",
        f"[[test]]\n{GIVEN} }}\nexpect = 'allow'",
        f"[[test]]\n{GIVEN} }}\nexpect = 'allow'\nmask = 'x'\nrule = 'a'",
        f"[[test]]\n{GIVEN} }}\nexpect = 'deny'\nmask = 'null'\nrule = 'a'",
        f"[[test]]\n{GIVEN} }}\nexpect = 'deny'\nrule = 'a'\nruel = 'a'",
        f"[[test]]\n{GIVEN}, hour = 24 }}\nexpect = 'deny'\nrule = 'a'",
        f"[[test]]\n{GIVEN}, hour = true }}\nexpect = 'deny'\nrule = 'a'",
        f"[[test]]\n{GIVEN}, weekday = 0 }}\nexpect = 'deny'\nrule = 'a'",
        f"[[test]]\n{GIVEN}, channel = 'fax' }}\nexpect = 'deny'\nrule = 'a'",
        f"[[test]]\n{GIVEN}, reason = 'whim' }}\nexpect = 'deny'\nrule = 'a'",
        f"[[test]]\n{GIVEN}, agreement = 5 }}\nexpect = 'deny'\nrule = 'a'",
        f"[[test]]\n{GIVEN}, person = 'x' }}\nexpect = 'deny'\nrule = 'a'",
        f"[[test]]\n{GIVEN}, purpose = 'unheard' }}\nexpect = 'deny'\nrule = 'a'",
        "[[test]]\ngiven = { role = 'person', kind = 'service', action = 'read', category = 'identity.name' }\nexpect = 'deny'\nrule = 'a'",
        "[[test]]\ngiven = { role = 'it', kind = 'x', action = 'read', category = 'identity.name' }\nexpect = 'deny'\nrule = 'a'",
        "[[test]]\ngiven = { role = 'it', kind = 'service', action = 'read', category = ['identity.name'] }\nexpect = 'deny'\nrule = 'a'",
    ],
)
def test_a_test_with_a_word_nobody_knows_is_refused(wrong):
    with pytest.raises(InvalidInput, match=r"access\.tests\.toml"):
        read_cases(wrong.encode(), WORDS)


def test_a_test_may_name_a_purpose_and_everything_a_rule_may_ask_about():
    rule = (
        '@id("a") permit (principal, action, resource) when { context.purpose in '
        'Purpose::"service" && context.hour < 9 && context.channel == Channel::"sms" };'
    )
    beside = (
        "[[test]]\ngiven = { role = 'it', purpose = 'offers', action = 'read', "
        "category = 'identity.name', hour = 8, channel = 'sms' }\nexpect = 'allow'\nrule = 'a'\n"
    )
    cases = read_cases(beside.encode(), WORDS)
    require_tested(policy(rule), cases)
    assert cases[0].asked.kind == "direct_marketing"
    late = read_cases(beside.replace("hour = 8", "hour = 9").encode(), WORDS)
    assert failures(policy(rule), late)


def test_a_rule_that_fails_fails_its_test():
    cases = read_cases(TESTS.encode(), WORDS)
    assert "says error" in failures(policy(RULES + OVERFLOW), cases)[0]
    assert cedar_tests._said(cedar.Verdict(None, (cedar.FAILED,), failed=True))[0] == "error"


def test_the_page_for_those_who_write_policies_holds_rules_and_tests_that_load():
    page = (Path(__file__).parents[2] / "docs/access-policy.md").read_text("utf-8")
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    written = policy(blocks["cedar"])
    require_tested(written, read_cases(blocks["toml"].encode(), WORDS))
    for word in (*cedar_words.CONTEXT, *Action, *PurposeKind, *MASKS, *cedar_words.ANNOTATIONS):
        assert word in page
