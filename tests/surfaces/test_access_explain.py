"""A house under its own rules: published, tried, refused where they cannot be asked; and `explain`."""

import dataclasses
import itertools
import json

import cli_shop
import pytest
from cli_shop import at, done

from troth import app
from troth.app import access_explain, base_policy
from troth.capabilities.access import explaining
from troth.errors import Fault, InvalidInput, Unavailable
from troth.kernel import gate
from troth.terms import (
    Action,
    Actor,
    Channel,
    Claim,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
    instant,
)

RULES, TESTS = base_policy.shipped()
SUPPORT = Actor(Role.SUPPORT, "fatima@marula.example")


def write(folder, rules=RULES, tests=TESTS):
    (folder / "access.cedar").write_bytes(rules)
    (folder / "access.tests.toml").write_bytes(tests)


@pytest.fixture
def bare(tmp_path):
    return cli_shop.copied(cli_shop.bare(), tmp_path / "shop")


@pytest.fixture(scope="module")
def ruled(tmp_path_factory):
    folder = cli_shop.copied(cli_shop.built(), tmp_path_factory.mktemp("ruled") / "shop")
    write(folder)
    done(at(folder, "apply"))
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return cli_shop.copied(cli_shop.built(), tmp_path_factory.mktemp("plain") / "shop")


def opened(folder):
    from datetime import datetime

    return app.open(folder, at=instant(datetime.fromisoformat(cli_shop.AT)))


def use(ws, view, *categories, actor=SUPPORT, purpose="service", action=Action.READ, **changes):
    told = {"person": None, "channel": None, **changes}
    return UseRequest(
        actor=actor, purpose=purpose, action=action, categories=frozenset(categories),
        at=view.now, brand=ws.settings.brand, **told,
    )  # fmt: skip


def claimed(ws, *categories, **changes):
    with ws.store.look() as view:
        asked = use(ws, view, *categories, **changes)
        return ws.desk.claim(asked, ws.desk.house(view))


# Publishing


def test_a_policy_is_published_with_its_tests_and_judges_from_then_on(bare):
    ws = opened(bare)
    with ws.store.look() as view:
        before = view.house_version
    assert claimed(ws, "contact.email").policy == ""
    write(bare)
    assert {p.label for p in ws.apply()} == {"access@1", "access.tests@1"}
    with ws.store.look() as view:
        assert view.house_version > before
    rules = app.published_rules(ws)
    told = claimed(ws, "contact.email")
    assert (told.policy, told.categories["contact.email"]) == (rules.digest, "last4")
    ws.close()


def test_a_changed_policy_binds_at_the_next_claim(bare):
    write(bare)
    done(at(bare, "apply"))
    ws = opened(bare)
    assert isinstance(claimed(ws, "contact.email"), Claim)
    stricter = RULES + b'@id("shut") forbid (principal in Role::"support", action, resource);'
    about = TESTS.replace(
        b'expect = "allow"\nrule = "support.name"', b'expect = "deny"\nrule = "shut"'
    ).replace(
        b'expect = "allow"\nmask = "last4"\nrule = "support.email"',
        b'expect = "deny"\nrule = "shut"',
    )
    about += (
        b'\n[[test]]\ngiven = { role = "it", kind = "service", action = "read", '
        b'category = "identity.name" }\nexpect = "deny"\nrule = "default"\n'
    )
    write(bare, stricter, about)
    with pytest.raises(InvalidInput):  # rules and default denials of support are tested still
        ws.apply()
    assert isinstance(claimed(ws, "contact.email"), Claim)
    only = b'@id("shut") forbid (principal in Role::"support", action, resource);'
    one = (
        b'[[test]]\ngiven = { role = "support", kind = "service", action = "read", '
        b'category = "identity.name" }\nexpect = "deny"\nrule = "shut"\n'
    )
    write(bare, only, one)
    ws.apply()
    told = claimed(ws, "contact.email")
    assert [r.rule for r in told.reasons] == ["access.shut"]
    base = access_explain._base(ws)
    with ws.store.look() as view:
        it = Actor(Role.IT, "gareth@marula.example")
        assert base.forbids(use(ws, view), "contact.email")
        assert not base.forbids(use(ws, view, actor=it), "contact.email")
        assert base.deciding(use(ws, view, actor=it), "contact.email") == ("access.default",)
    ws.close()


@pytest.mark.parametrize(
    ("rules", "tests", "said"),
    [
        (RULES.replace(b'Role::"support"', b'Role::"suport"'), TESTS, "unknown Role"),
        (RULES.replace(b'@mask("last4")\n', b""), TESTS, "expects allow last4"),
        (RULES, b"", "holds no test"),
        (b"\xff", TESTS, "UTF-8"),
    ],
)
def test_a_policy_that_does_not_load_is_said_by_check_and_published_by_nobody(
    bare, rules, tests, said
):
    write(bare, rules, tests)
    ran = at(bare, "check")
    assert ran.status == 2
    assert said in ran.out
    assert at(bare, "apply").status == 2
    ws = opened(bare)
    with pytest.raises(Fault):
        ws.apply()
    with ws.store.look() as view:
        assert view.published("access") is None
    ws.close()


def test_tests_without_rules_are_a_fault(bare):
    (bare / "access.tests.toml").write_bytes(TESTS)
    assert "without access.cedar" in at(bare, "check").out


def test_a_published_policy_whose_file_went_is_said_and_stands(bare):
    write(bare)
    done(at(bare, "apply"))
    (bare / "access.cedar").unlink()
    ran = at(bare, "check")
    assert ran.status == 2
    assert "restore its file" in ran.out


def test_without_the_extra_the_staff_may_claim_nothing_and_check_says_what_to_install(
    bare, monkeypatch
):
    write(bare)
    done(at(bare, "apply"))
    monkeypatch.setattr(base_policy, "find_spec", lambda _: None)
    ws = opened(bare)
    told = claimed(ws, "contact.email")
    assert [(r.code, r.rule) for r in told.reasons] == [
        (ReasonCode.RULE_ERROR, "access.not_installed")
    ]
    system = Actor(Role.SYSTEM, "troth")
    assert isinstance(claimed(ws, actor=system), Claim)
    assert app.policy_checks(ws)[0].state == "bad"
    with pytest.raises(Unavailable):
        ws.apply()
    with ws.store.look() as view:
        found = access_explain.explain_use(ws, view, use(ws, view, "contact.email"))
    assert found.rules == ("access.not_installed",)
    assert found.nearest is None
    ws.close()
    assert "troth[cedar]" in at(bare, "check").out


def test_published_rules_that_load_no_more_refuse_and_never_fall_back_to_roles(bare, monkeypatch):
    write(bare)
    done(at(bare, "apply"))

    def broken(*_given):
        raise InvalidInput("a newer Cedar reads it otherwise")

    monkeypatch.setattr(base_policy, "load", broken)
    ws = opened(bare)
    assert [r.rule for r in claimed(ws, "contact.email").reasons] == ["access.not_loaded"]
    assert app.policy_checks(ws)[0].state == "bad"
    ws.close()


def test_the_check_says_by_what_claims_are_judged(plain, ruled):
    for folder, state in ((plain, "off"), (ruled, "good")):
        ws = opened(folder)
        (check,) = app.policy_checks(ws)
        assert (check.id, check.state) == ("access.policy", state)
        ws.close()


# Explaining


def asked_of_everybody(ws, view):
    house = ws.desk.house(view)
    sets = [(), ("contact.email",), ("identity.name", "contact.phone"), ("identity.official",)]
    for actor in access_explain.colleagues(ws):
        for purpose, action, wanted in itertools.product(
            sorted(house.purposes), (Action.READ, Action.EXPORT, Action.SEND), sets
        ):
            yield use(ws, view, *wanted, actor=actor, purpose=purpose, action=action)


def differing(one, other):
    return {
        f.name for f in dataclasses.fields(one) if getattr(one, f.name) != getattr(other, f.name)
    }


@pytest.mark.parametrize("which", ["plain", "ruled"])
def test_a_change_that_is_named_would_allow_is_the_only_one_and_was_not_made(which, request):
    ws = opened(request.getfixturevalue(which))
    kinds = set()
    with ws.store.look() as view:
        size, house = view.log.size, ws.desk.house(view)
        for asked in asked_of_everybody(ws, view):
            found = access_explain.explain_use(ws, view, asked)
            first = ws.desk.claim(asked, house)
            assert isinstance(found.answer, Refusal) is isinstance(first, Refusal)
            assert found.rules or not asked.categories
            if not isinstance(first, Refusal):
                assert found.nearest is None
                continue
            nearest = found.nearest
            if nearest is None:
                continue
            kinds.add(nearest.kind)
            if nearest.kind == "grant":
                assert nearest.request == asked
                continue
            assert len(differing(asked, nearest.request)) == 1
            assert isinstance(ws.desk.claim(nearest.request, house), Claim)
    with ws.store.look() as view:
        assert view.log.size == size
    assert {"categories", "purpose", "action", "role"} <= kinds
    ws.close()


def test_where_no_change_is_named_no_other_purpose_action_or_role_would_do(plain):
    ws = opened(plain)
    tried = 0
    with ws.store.look() as view:
        house = ws.desk.house(view)
        for asked in asked_of_everybody(ws, view):
            if access_explain.explain_use(ws, view, asked).nearest is not None:
                continue
            if not isinstance(ws.desk.claim(asked, house), Refusal):
                continue
            tried += 1
            others = [
                *(dataclasses.replace(asked, purpose=p) for p in house.purposes),
                *(dataclasses.replace(asked, action=a) for a in Action),
                *(dataclasses.replace(asked, actor=a) for a in access_explain.colleagues(ws)),
            ]
            assert all(isinstance(ws.desk.claim(other, house), Refusal) for other in others)
    assert tried
    ws.close()


def test_a_narrower_set_goes_before_another_purpose_and_that_before_another_colleague(plain):
    ws = opened(plain)
    with ws.store.look() as view:
        narrow = access_explain.explain_use(
            ws, view, use(ws, view, "contact.email", "contact.phone")
        )
        assert (narrow.nearest.kind, narrow.nearest.to) == ("categories", ("contact.email",))
        assert narrow.denied == ("contact.phone",)
        assert narrow.rules == ("staff.support",)
        other = access_explain.explain_use(
            ws, view, use(ws, view, "identity.name", purpose="offers")
        )
        assert (other.nearest.kind, other.nearest.to) == ("purpose", ("service",))
    ws.close()


def test_a_temporary_right_is_offered_where_the_house_itself_has_nothing_against_it(plain):
    ws = opened(plain)
    marketer = Actor(Role.MARKETER, "lindiwe@marula.example")
    with ws.store.look() as view:
        asked = use(ws, view, "contact.email", actor=marketer, action=Action.EXPORT)
        question = explaining.Question(ws.desk, view)
        found = explaining.explain(question, asked)
        assert (found.nearest.kind, found.nearest.to) == ("grant", ("contact.email",))
        barred = explaining.Question(ws.desk, view, forbids=lambda _use, _category: True)
        assert explaining.explain(barred, asked).nearest is None
        unknown = dataclasses.replace(asked, actor=Actor(Role.MARKETER, "nobody"))
        assert explaining.explain(question, unknown).nearest is None
        system = dataclasses.replace(asked, actor=Actor(Role.SYSTEM, "x"), action=Action.SHARE)
        assert explaining.explain(question, system).nearest.kind == "action"
        nothing = dataclasses.replace(
            asked, purpose="unheard", action=Action.READ, categories=frozenset()
        )
        assert explaining.explain(question, nothing).nearest.kind == "purpose"
    ws.close()


def person(ws, view, name):
    found = ws.desk.find(view, name)
    assert found
    return found


def test_about_a_person_the_gate_is_asked_and_what_they_agreed_to_is_the_narrower_set(plain):
    ws = opened(plain)
    marketer = Actor(Role.MARKETER, "lindiwe@marula.example")
    with ws.store.look() as view:
        asked = use(
            ws, view, "identity.name", actor=marketer, purpose="offers", action=Action.SEND,
            channel=Channel.EMAIL, person=person(ws, view, "c-agreed"),
        )  # fmt: skip
        found = access_explain.explain_use(ws, view, asked)
        assert isinstance(found.answer, Refusal)
        assert (found.nearest.kind, found.nearest.to) == ("categories", ())
        question = explaining.Question(ws.desk, view)
        assert isinstance(question.judge(found.nearest.request), gate.Permit)
        no = dataclasses.replace(asked, person=person(ws, view, "c-objected"))
        assert access_explain.explain_use(ws, view, no).nearest is None
    ws.close()


def test_an_open_reason_that_contains_the_person_is_the_nearest_change(tmp_path):
    from troth.capabilities.access import cases as staff_cases

    folder = cli_shop.copied(cli_shop.built(), tmp_path / "shop")
    ws = opened(folder)
    with ws.store.look() as view:
        who, other = (person(ws, view, n) for n in ("c-agreed", "c-german"))
    opening = staff_cases.Opening("T-17", "phone")
    ref = staff_cases.open_case(ws.desk, who, opening, SUPPORT).ref
    with ws.store.look() as view:
        asked = use(ws, view, "identity.name", person=who)
        found = access_explain.explain_use(ws, view, asked)
        assert isinstance(found.answer, Refusal)
        assert (found.nearest.kind, found.nearest.to) == ("reason", (ref,))
        elsewhere = dataclasses.replace(asked, person=other)
        assert access_explain.explain_use(ws, view, elsewhere).nearest is None
    ws.close()


# The command


def test_the_command_says_yes_with_masks_and_the_rule(plain, ruled):
    for folder, decided in ((plain, "staff.support"), (ruled, "access.support.email")):
        ran = done(at(folder, "access", "explain", "--as-role", "support", "service", "read", "contact.email", "--json"))  # fmt: skip
        assert ran.data == {
            "allowed": True, "denied": [], "masks": {"contact.email": "last4"}, "nearest": None,
            "rules": [decided],
        }  # fmt: skip
    shown = done(at(ruled, "access", "explain", "--as-role", "support", "service", "read")).out
    assert "contact.email (last4), identity.name (full)" in shown


def test_the_command_says_no_with_the_rule_and_the_smallest_change(ruled):
    ran = at(ruled, "access", "explain", "--as-role", "support", "service", "read", "contact.email", "contact.phone")  # fmt: skip
    assert ran.status == 1
    assert "The policy does not give: contact.phone." in ran.out
    assert "Decided by: access.default." in ran.out
    assert "ask for contact.email alone" in ran.out
    none = at(ruled, "access", "explain", "--as-role", "support", "service", "read", "shoe.size")
    assert "No single change would allow it." in none.out


@pytest.mark.parametrize(
    "line",
    [
        ("--as-role", "person", "service", "read"),
        ("--as-role", "chief", "service", "read"),
        ("--as-role", "agency", "service", "read"),
        ("--as-role", "support", "service", "look"),
        ("--as-role", "support", "service", "read", "--channel", "pigeon"),
        ("service", "read"),
    ],
)
def test_a_question_that_does_not_read_is_refused_in_one_line(plain, line):
    ran = at(plain, "access", "explain", *line)
    assert ran.status == 2
    assert ran.err.count("troth: ") == 1


def test_an_explanation_about_a_person_is_in_their_chain_first_and_shows_no_value(tmp_path):
    folder = cli_shop.copied(cli_shop.built(), tmp_path / "shop")
    line = ("access", "explain", "--as-role", "marketer", "offers", "send", "--channel", "email")
    ran = done(at(folder, *line, "--person", "c-agreed"))
    assert not any(mark in ran.out + ran.err for mark in cli_shop.MARKS)
    ws = opened(folder)
    with ws.store.look() as view:
        chain = ws.desk.scribe.chain(view, person(ws, view, "c-agreed"))
    assert chain[-1].event.payload.fields == ("explanation",)
    ws.close()


def test_who_may_not_look_at_a_person_learns_nothing_about_them_from_an_explanation(tmp_path):
    folder = cli_shop.copied(cli_shop.built(), tmp_path / "shop")
    line = ("access", "explain", "--as-role", "marketer", "offers", "send", "--channel", "email",
            "--as", "support:fatima@marula.example")  # fmt: skip
    told = {at(folder, *line, "--person", who, "--json").out for who in ("c-agreed", "c-objected", "nobody")}  # fmt: skip
    assert len(told) == 1
    data = json.loads(told.pop())
    assert {r["code"] for r in data["reasons"]} == {"reason_missing"}
