"""What somebody deleted chooses them for nothing: before the next rebuild, and after it."""

import pytest
from segment_shop import MARKETER, opened, segment

from troth import app
from troth.app.audiences import narrow_to
from troth.capabilities import people
from troth.terms import Actor, Role

TEA = segment({"bought_in": {"group": "Tea", "within_days": 90}})


@pytest.fixture
def shop(tmp_path):
    with opened(tmp_path) as made:
        yield made


def test_a_generation_built_before_a_deletion_chooses_nobody_by_what_was_deleted(shop):
    person = shop.person(9)
    before = narrow_to(shop.ws, TEA)
    assert person in before
    people.delete(
        shop.ws.desk, person, people.Choice("kind", group="Tea"),
        Actor(Role.PERSON, person.hex()), shop.ws.settle,
    )  # fmt: skip
    assert narrow_to(shop.ws, TEA) == [each for each in before if each != person]
    app.rebuild_reach(shop.ws, MARKETER)
    assert narrow_to(shop.ws, TEA) == [each for each in before if each != person]
