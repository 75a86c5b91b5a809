"""Exposure: asked of the decision as each colleague, the same whether or not they are grouped."""

from dataclasses import replace

from exposed import AT, DATA, HOUSE, PEOPLE, asking
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.app import access as rights
from troth.capabilities.access import exposure, grants, withheld
from troth.capabilities.access.exposure import Seen, Use
from troth.capabilities.access.withheld import Right
from troth.kernel.claims import judge_claim
from troth.terms import Action, Claim, Instant, UseRequest


def by_hand(told):
    """Ask as each of them, one by one, without grouping or keeping anything."""
    rights_ = exposure.rights_of(told)
    out = {}
    for who in told.members:
        for purpose in HOUSE.purposes.values():
            for action in Action:
                for category in sorted(DATA):
                    asked = UseRequest(who.actor, None, purpose.name, action, None,
                                       frozenset({category}), AT, reason="case:T-1")  # fmt: skip
                    answer = judge_claim(asked, HOUSE, rights_.claim(asked))
                    yes = isinstance(answer, Claim) and action in exposure.SEEING
                    if yes and answer.categories[category] == "full":
                        out.setdefault(category, set()).add(who.account)
    return out


grants_ = st.builds(
    lambda n, category, mask: grants.Grant(
        f"g{n}", "jit", "active", f"support/{n:02}", "service", Action.READ, {category: mask},
        "x", AT, 1, reason="case:T-1", begins=AT, until=Instant(AT + 10),
    ),
    st.integers(0, 3), st.sampled_from("ab"), st.sampled_from(["full", "last4"]),
)  # fmt: skip
taken_ = st.builds(
    Right,
    st.sampled_from(["support", "privacy_officer", "support/01", "support/02"]),
    st.sampled_from(["kind:service", "kind:operations", "name:offers"]),
    st.sampled_from(["read", "export"]),
    st.sampled_from("ab"),
)


@given(st.lists(taken_, max_size=5), st.lists(grants_, max_size=3, unique_by=lambda g: g.id))
@settings(max_examples=60, deadline=None)
def test_grouping_changes_no_count(taken, held):
    told = asking(withheld.EMPTY.more(taken), *held)
    seen = exposure.held(told).seen()
    assert {c: set(a) for c, a in seen.full.items() if a} == by_hand(told)


def test_the_comparison_can_fail():
    alone = [replace(who, alike="same") for who in PEOPLE]  # planted: a grouping that is not sound
    assert exposure.held(asking(people=alone)).seen().full != by_hand(asking())


def test_what_no_purpose_may_open_nobody_can_see():
    assert "c" not in exposure.held(asking()).seen().categories()


def test_a_part_is_no_whole():
    seen = exposure.held(asking()).seen()
    assert (seen.e("b"), len(seen.part["b"])) == (1, 4)
    assert seen.roles("a") == {"support": 4, "privacy_officer": 1}


def test_exposure_is_sensitivity_times_staff_times_people():
    seen = Seen({"a": frozenset({"x/1", "x/2"}), "z": frozenset({"x/1"})})
    assert exposure.weigh(seen, {"a": 100, "z": 5}, {"a": 3}, 2) == {"a": 600, "z": 10}


def test_the_house_counts_what_its_own_gate_says(house):
    told = rights.picture(house.ws)
    assert told.seen.e("contact.email") == 1
    day = rights.measure(house.ws)
    assert day.full["contact.email"] == 1
    assert day.people["contact.email"] > 0
    assert rights.days(house.ws)[-1].exposure == day.exposure > 0


def test_counting_everybody_is_a_house_event_first(house):
    rights.measure(house.ws)
    said = [e.payload for e in house.house_chain() if e.type == "set.processed"]
    assert said[-1].expression == "exposure"


def test_a_use_is_named_by_kind_action_and_category():
    assert Use("service", "read", "a") < Use("service", "read", "b")
