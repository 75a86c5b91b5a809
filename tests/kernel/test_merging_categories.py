"""Two profiles that are one human being: which categories their yeses open together."""

from dataclasses import replace

import pytest
from asking import HOUSE, NOON, PURPOSES, STRANGER, act, purpose, told
from hypothesis import given
from hypothesis import strategies as st

from troth.kernel import consent
from troth.kernel.merging import merge
from troth.terms import DAY, DENYING, Instant, PurposeKind

CATEGORIES = ("history", "interests")
MERGE = act(days=0.5, n=9)
steps = st.lists(
    st.tuples(
        st.sampled_from(["given", "given", "withdrawn"]),
        st.sampled_from([(), ("history",), ("interests",), CATEGORIES]),
    ).filter(lambda step: step[0] != "given" or step[1]),
    max_size=5,
)


def side(said, days):
    """Fold acts of one profile, one a day from so many days ago on."""
    record = STRANGER
    for place, (kind, categories) in enumerate(said):
        record = told(
            record, kind, days - place, "personalise", (), n=place + 1, categories=categories
        )
    return record


def agreed(record, at=NOON):
    return consent.agreed_categories(record, HOUSE, at)


def denied(record):
    status = consent.resolve(record, PURPOSES["personalise"], "", NOON, PURPOSES).status
    return status in DENYING


def refused_since(said, category):
    """Say from the acts alone whether a category was refused and the newest yes lacks it."""
    nos = [i for i, (kind, named) in enumerate(said)
           if kind == "withdrawn" and category in (named or CATEGORIES)]  # fmt: skip
    yeses = [i for i, (kind, _) in enumerate(said) if kind == "given"]
    lifted = bool(yeses) and category in said[yeses[-1]][1] and yeses[-1] > max(nos, default=-1)
    return bool(nos) and not lifted


@given(steps, steps, st.integers(20, 40), st.integers(20, 40))
def test_a_category_is_open_where_one_profile_agreed_and_neither_refused_it(
    mine, theirs, first, second
):
    one, other = side(mine, first), side(theirs, second)
    if denied(one) or denied(other):
        expected = frozenset()
    else:
        expected = frozenset(
            c
            for c in agreed(one) | agreed(other)
            if not refused_since(mine, c) and not refused_since(theirs, c)
        )
    assert agreed(merge(one, other, purposes=PURPOSES, act=MERGE)) == expected
    assert agreed(merge(other, one, purposes=PURPOSES, act=MERGE)) == expected


def test_a_visitor_who_agreed_to_less_leaves_the_customer_what_they_agreed_to():
    customer = side([("given", ("history",))], 30)
    visitor = side([("given", ("interests",))], 3)
    merged = merge(customer, visitor, purposes=PURPOSES, act=MERGE)
    assert agreed(merged) == {"history", "interests"}


def test_the_newer_yes_does_not_open_what_the_other_profile_refused():
    customer = side([("withdrawn", ("history",)), ("given", ("interests",))], 30)
    visitor = side([("given", CATEGORIES)], 3)
    assert agreed(visitor) == set(CATEGORIES)
    merged = merge(customer, visitor, purposes=PURPOSES, act=MERGE)
    assert agreed(merged) == {"interests"}


def test_a_yes_of_one_profile_stays_as_it_was_where_the_other_said_nothing():
    mine = side([("given", CATEGORIES)], 30)
    merged = merge(mine, STRANGER, purposes=PURPOSES, act=MERGE)
    assert merged.standings == mine.standings


def test_a_yes_of_two_ends_with_the_sooner_and_is_no_better_proven_than_the_lesser():
    end = Instant(NOON + DAY)
    mine = told(STRANGER, "given", 30, "personalise", (), categories=("history",), until=end,
                confirmed=True, by="competent_person")  # fmt: skip
    theirs = told(STRANGER, "given", 3, "personalise", (), categories=("interests",))
    merged = merge(mine, theirs, purposes=PURPOSES, act=MERGE)
    grant = merged.standings["personalise|"].grant
    assert (grant.until, grant.confirmed, grant.by) == (end, False, "self")
    assert agreed(merged) == set(CATEGORIES)
    assert agreed(merged, end) == set()
    again = told(merged, "given", 0.2, "personalise", (), n=12, categories=CATEGORIES)
    assert agreed(again, end) == set(CATEGORIES)


@pytest.mark.parametrize("both", [True, False])
def test_two_guardians_speak_for_a_child_and_one_of_two_does_not(both):
    child = replace(STRANGER, age="minor")
    mine = told(child, "given", 30, "personalise", (), categories=("history",),
                by="competent_person")  # fmt: skip
    theirs = told(
        child if both else replace(child, age="adult"), "given", 3, "personalise", (),
        categories=("interests",), by="competent_person" if both else "self",
    )  # fmt: skip
    merged = merge(mine, theirs, purposes=PURPOSES, act=MERGE)
    assert agreed(merged) == (set(CATEGORIES) if both else set())


def test_what_another_purpose_names_is_merged_alike():
    every = {**PURPOSES, "club": purpose("club", PurposeKind.SERVICE)}
    mine = told(STRANGER, "given", 30, "club", ("email",), categories=("history",))
    theirs = told(STRANGER, "given", 3, "club", ("email",), categories=("interests",))
    merged = merge(mine, theirs, purposes=every, act=MERGE)
    assert merged.standings["club|email"].grant.categories == CATEGORIES
