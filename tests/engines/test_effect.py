"""The comparison of two groups: published values, true coverage, and when it says nothing."""

from math import isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engines.effect import Group, compare, newcombe, wilson
from troth.errors import InvalidInput

GROUPS = st.integers(0, 5_000).flatmap(lambda n: st.builds(Group, st.just(n), st.integers(0, n)))

# Newcombe 1998, table II: 95 per cent, method 10 (score, without continuity correction).
PUBLISHED = [
    ((56, 70), (48, 80), (0.0524, 0.3339)),
    ((9, 10), (3, 10), (0.1705, 0.8090)),
    ((10, 10), (0, 20), (0.6791, 1.0)),
    ((0, 10), (0, 20), (-0.1611, 0.2775)),
    ((10, 10), (0, 10), (0.6075, 1.0)),
    ((5, 56), (0, 29), (-0.0381, 0.1926)),
]


@pytest.mark.parametrize(("one", "other", "ends"), PUBLISHED)
def test_the_interval_of_a_difference_is_the_published_one(one, other, ends):
    found = newcombe(Group(one[1], one[0]), Group(other[1], other[0]))
    assert tuple(round(end, 4) for end in found) == ends


def test_the_true_difference_lies_inside_in_at_least_93_of_100_campaigns():
    draw = np.random.default_rng(20261123)
    for true, other, sizes in [(0.08, 0.06, (900, 100)), (0.5, 0.45, (400, 60)),
                               (0.02, 0.02, (2_000, 200)), (0.3, 0.1, (60, 30))]:  # fmt: skip
        did = draw.binomial(sizes[0], true, 3_000), draw.binomial(sizes[1], other, 3_000)
        inside = 0
        for one, two in zip(*did, strict=True):
            low, high = newcombe(Group(sizes[0], int(one)), Group(sizes[1], int(two)))
            inside += low <= true - other <= high
        assert inside / 3_000 >= 0.93, (true, other, sizes)


@given(GROUPS, GROUPS)
def test_the_difference_lies_in_its_interval_and_turning_the_groups_turns_it(one, other):
    low, high = newcombe(one, other)
    difference = one.rate - other.rate
    assert -1 - 1e-9 <= low <= difference + 1e-9
    assert difference - 1e-9 <= high <= 1 + 1e-9
    back = newcombe(other, one)
    assert isclose(back[0], -high, abs_tol=1e-9)
    assert isclose(back[1], -low, abs_tol=1e-9)


@given(GROUPS)
def test_a_rate_lies_in_its_interval_which_stays_between_nought_and_one(group):
    low, high = wilson(group)
    assert 0 <= low <= group.rate + 1e-9
    assert group.rate - 1e-9 <= high <= 1


@given(GROUPS, GROUPS)
def test_nothing_is_claimed_where_nought_lies_inside_or_a_group_is_small(one, other):
    found = compare(one, other)
    if min(one.people, other.people) < 10:
        assert found.verdict == "too_few"
    elif found.low <= 0 <= found.high:
        assert found.verdict == "cannot_tell"
    else:
        assert found.verdict == ("more" if found.low > 0 else "fewer")
    if found.verdict in {"too_few", "cannot_tell"}:
        assert found.extra == 0


def test_a_message_that_does_harm_is_said_to():
    found = compare(Group(5_000, 100), Group(500, 30))
    assert found.verdict == "fewer"
    assert found.extra < 0


def test_a_group_that_counts_more_than_it_holds_is_refused():
    for people, did in ((3, 4), (3, -1)):
        with pytest.raises(InvalidInput):
            Group(people, did)
