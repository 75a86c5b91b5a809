"""Which purposes a datum may serve: the tree, prohibition first, and the dot that ends a name."""

from dataclasses import replace

import pytest
from asking import AGREED, CLAIM, DATA, NOON, answer, ask, at_level, house, purpose
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import InvalidInput
from troth.kernel import gate
from troth.kernel import house as published_house
from troth.kernel.claims import PROHIBITED, judge_claim
from troth.kernel.purposes import banned_categories, compliant, lineage, tree_of, within
from troth.terms import Action, Actor, Published, PurposeKind, ReasonCode, Refusal, Role

TREE = {
    "general": "",
    "admin": "general",
    "admin.billing": "admin",
    "admin.delivery": "admin",
    "marketing": "general",
    "marketing.email": "marketing",
    "marketing.phone": "marketing",
    "marketing.phone.sms": "marketing.phone",
    "marketing.profiling": "marketing",
}


@pytest.mark.parametrize(
    ("stated", "allowed"),
    [
        ("marketing.email", True),
        ("marketing.profiling", True),
        ("marketing", False),
        ("marketing.phone", False),
        ("marketing.phone.sms", False),
        ("general", False),
        ("admin.billing", False),
        ("unknown.key", False),
    ],
)
def test_a_purpose_complies_below_what_is_intended_and_apart_from_what_is_prohibited(
    stated, allowed
):
    assert compliant(stated, {"marketing"}, {"marketing.phone"}, TREE) is allowed


def test_a_prohibition_nobody_knows_prohibits_everything():
    assert compliant("marketing.email", {"marketing"}, (), TREE)
    assert not compliant("marketing.email", {"marketing"}, {"marketing.fax"}, TREE)


def test_a_purpose_in_a_circle_or_below_nothing_known_has_no_line_and_complies_with_nothing():
    circle = {"a": "b", "b": "a", "c": "a", "d": "gone"}
    for name in circle:
        assert lineage(name, circle) == ()
        assert not compliant(name, set(circle), (), circle)
    assert lineage("", circle) == ()


@pytest.mark.parametrize(
    ("key", "above", "is_within"),
    [
        ("user", "user", True),
        ("user.name", "user", True),
        ("user.name.given", "user", True),
        ("user_data", "user", False),
        ("username", "user", False),
        ("user", "user.name", False),
        ("user", "", False),
        ("", "", False),
        ("", "user", False),
    ],
)
def test_a_key_ends_at_its_dot_and_an_empty_one_matches_nothing(key, above, is_within):
    assert within(key, above) is is_within


@st.composite
def trees(draw):
    """A forest of up to nine purposes, each below an earlier one or a root."""
    count = draw(st.integers(1, 9))
    names = [f"p{n}" for n in range(count)]
    parents = [draw(st.sampled_from(["", *names[:n]])) for n in range(count)]
    tree = dict(zip(names, parents, strict=True))
    some = st.sets(st.sampled_from([*names, "stranger"]), max_size=3)
    return tree, draw(st.sampled_from([*names, "stranger"])), draw(some), draw(some)


def brute_force(stated, intended, prohibited, tree):
    """Evaluate the formula as it is printed, by sets of whole branches."""

    def below(names):
        found = set(names) & tree.keys()
        while more := {n for n, parent in tree.items() if parent in found} - found:
            found |= more
        return found

    def above(names):
        found = set(names) & tree.keys()
        while more := {tree[n] for n in found if tree[n]} - found:
            found |= more
        return found

    if not prohibited <= tree.keys():
        return False
    return stated not in below(prohibited) | above(prohibited) and stated in below(intended)


@given(trees())
def test_compliance_is_what_the_printed_formula_says_on_any_tree(drawn):
    tree, stated, intended, prohibited = drawn
    assert compliant(stated, intended, prohibited, tree) is brute_force(
        stated, intended, prohibited, tree
    )


# In the house


def asked(purpose="offers", categories=("interests",), **changes):
    return ask(purpose=purpose, categories=frozenset(categories), **changes)


def reasons(within_house, **changes):
    request, facts = asked(within=within_house, **changes)
    told = judge_claim(request, within_house, facts.claim)
    return [(r.code, r.rule) for r in told.reasons] if isinstance(told, Refusal) else []


BANNED = (ReasonCode.PURPOSE_NOT_PERMITTED, PROHIBITED)


@pytest.mark.parametrize(
    ("prohibited", "refused"),
    [("offers", True), ("marketing", True), ("news", False), ("orders", False)],
)
def test_a_category_is_not_used_for_a_purpose_related_to_one_that_is_prohibited(
    prohibited, refused
):
    strict = house(prohibited={"interests": frozenset({prohibited})})
    assert (BANNED in reasons(strict)) is refused
    assert BANNED not in reasons(strict, categories=("history",))


def test_the_wider_purpose_of_a_prohibited_one_is_refused_too():
    strict = house(prohibited={"interests": frozenset({"news"})})
    assert BANNED in reasons(strict, purpose="marketing")


def test_what_is_prohibited_leaves_what_may_be_asked_so_that_the_rest_still_goes_out():
    strict = house(prohibited={"interests": frozenset({"offers"})})
    record = at_level(AGREED, 3)
    request, facts = ask(record, within=strict)
    may = gate.allowed_categories(request, facts)
    assert "history" in may
    assert "interests" not in may
    assert isinstance(answer(record, within=strict, categories=may), gate.Permit)
    assert isinstance(answer(record, within=strict, categories=frozenset({"interests"})), Refusal)


def test_a_prohibition_on_a_group_of_categories_holds_for_each_in_it():
    dotted = purpose("offers", categories=frozenset({"contact.email", "contacts"}))
    strict = house(purposes={"offers": dotted}, prohibited={"contact": frozenset({"offers"})})
    assert banned_categories(dotted, strict) == {"contact.email"}
    assert banned_categories(dotted, strict) is banned_categories(dotted, strict)
    assert banned_categories(dotted, house()) == frozenset()


def test_people_see_their_own_data_whatever_it_must_not_serve():
    person = Actor(Role.PERSON, "p" * 32)
    strict = house(prohibited={"interests": frozenset({"orders"})})
    assert BANNED not in reasons(
        strict, purpose="orders", action=Action.READ, channel=None, actor=person
    )
    staff = Actor(Role.SUPPORT, "s1")
    assert BANNED in reasons(
        strict, purpose="orders", action=Action.READ, channel=None, actor=staff
    )


def published(troth_toml):
    drafts = {"house": troth_toml.encode()}
    for name, parent in (("marketing", ""), ("offers", "marketing"), ("lost", "gone")):
        drafts[f"purpose:{name}"] = (
            f'name = "{name}"\nversion = 1\nkind = "direct_marketing"\ntitle = "x"\n'
            f'channels = ["email"]\ncategories = ["contact.email"]\nparent = "{parent}"\n'
        ).encode()
    for kind in ("regimes", "calendars"):
        for path in (DATA / kind).glob("*.toml"):
            drafts[f"{kind[:-1]}:{path.stem}"] = path.read_bytes()
    return [Published(name, 1, NOON, "", raw) for name, raw in drafts.items()]


def test_troth_toml_says_which_purposes_a_category_must_not_serve():
    read = published_house.read_house(
        1, published('[labels."contact"]\nprohibited = ["offers"]\n')
    )
    assert read.prohibited == {"contact": frozenset({"offers"})}
    assert tree_of(read.purposes.values())["offers"] == "marketing"
    assert published_house.read_house(1, published("")).prohibited == {}


@pytest.mark.parametrize(
    "wrong",
    [
        '[labels."contact"]\nprohibited = ["ofers"]\n',
        '[labels."contact"]\nprohibited = ["lost"]\n',
        '[labels."contacts"]\nprohibited = ["offers"]\n',
        '[labels."contact"]\nprohibted = ["offers"]\n',
        '[labels."contact"]\nprohibited = "offers"\n',
        '[labels."contact"]\nprohibited = [1]\n',
        '[labels."contact"]\nprohibited = ["offers"]\nallowed = ["offers"]\n',
        "[labels]\ncontact = 1\n",
    ],
)
def test_a_prohibition_with_a_word_nobody_knows_does_not_load(wrong):
    with pytest.raises(InvalidInput, match=r"troth\.toml"):
        published_house.read_house(1, published(wrong))


def test_the_staff_policy_alone_never_lifts_a_prohibition():
    strict = replace(house(), prohibited={"interests": frozenset({"offers"})})
    assert CLAIM.categories["interests"] == "full"
    assert BANNED in reasons(strict)
    assert strict.purposes["offers"].kind is PurposeKind.MARKETING
