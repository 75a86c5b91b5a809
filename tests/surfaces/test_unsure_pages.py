"""After a restore that lost withdrawals no page shows as agreed what the gate refuses."""

import re

import hub_shop
import portal_door
import pytest

from troth.adapters.system import FixedClock
from troth.capabilities import preferences
from troth.capabilities.custody.restore import say_unsure
from troth.kernel import consent
from troth.surfaces.web import people_card
from troth.terms import SECOND, Actor, Instant, Role

DOUBT = "We could not make sure of what you agreed to before"
UNTIL = "nothing is sent until you say so again"


@pytest.fixture(scope="module")
def shop():
    made = hub_shop.make_shop()
    pages = {path: told(made, path) for path in ("/my", "/my/level", "/my/preferences")}
    card = staff(made)
    say_unsure(made.ws.desk)
    return made, pages, card


def told(shop, path, language="en"):
    answer = portal_door.door(at=shop, language=language).get(path)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.text)


def staff(shop):
    with shop.ws.store.look() as view:
        record = view.gather([shop.person("cast-adult")], None)[0].record
        before = shop.ws.desk.house(view).unsure_before
    return people_card._standing(record, "Africa/Johannesburg", before)


def found(shop):
    with shop.ws.store.look() as view:
        return preferences.matrix(shop.ws.desk, view, shop.person("cast-adult"))


def test_before_such_a_restore_nothing_is_in_doubt(shop):
    _, pages, card = shop
    assert all(DOUBT not in page for page in pages.values())
    assert "You said yes" in pages["/my/preferences"]
    assert any(said.startswith("They agreed,") for _, _, said in card)


@pytest.mark.parametrize("path", ["/my", "/my/level", "/my/preferences"])
def test_the_customers_pages_say_that_it_is_not_known_what_was_taken_back(shop, path):
    page = told(shop[0], path)
    assert DOUBT in page
    assert UNTIL in page


@pytest.mark.parametrize(
    ("language", "said"),
    [("af", "Ons kon nie seker maak waartoe jy voor"), ("zu", "Asikwazanga ukuqinisekisa lokho")],
)
def test_they_say_so_in_the_readers_language(shop, language, said):
    assert said in told(shop[0], "/my", language)


def test_no_old_yes_is_shown_as_given_and_no_use_as_allowed(shop):
    made, pages, _ = shop
    page = told(made, "/my/preferences")
    assert "You said yes" not in page
    assert "On, because you are a customer" not in page
    assert "We could not make sure that you still want this" in page
    assert not found(made).open
    assert found(made).unsure
    allowed = re.compile(r"You allowed (\d+) use")
    assert allowed.search(pages["/my"])[1] != "0"
    assert allowed.search(told(made, "/my"))[1] == "0"
    assert "You are at level 1 now" in told(made, "/my/level")


def test_staff_read_that_an_old_yes_does_not_count(shop):
    card = staff(shop[0])
    assert not any(said.startswith("They agreed,") for _, _, said in card)
    assert any("it does not count" in said for _, _, said in card)


def test_a_yes_said_again_is_shown_as_given_and_is_no_longer_in_doubt():
    made = hub_shop.make_shop()
    say_unsure(made.ws.desk)
    person = made.person("cast-adult")
    row, cell = next(
        (r, c) for r in found(made).rows for c in r.cells
        if r.notice and c.reached and c.channel and c.state == "unsure"
    )  # fmt: skip
    with made.ws.store.look() as view:
        later = Instant(view.now + 3600 * SECOND)
    made.ws.store._clock = FixedClock(later)
    yes = preferences.Yes(row.purpose.name, (cell.channel,), row.notice, "form:again", "en")
    preferences.agree(made.ws.desk, person, yes, Actor(Role.PERSON, person.hex()), "self")
    again = next(
        c for r in found(made).rows if r.purpose == row.purpose
        for c in r.cells if c.channel == cell.channel
    )  # fmt: skip
    assert (again.state, again.ground) == ("given", "consent")
    with made.ws.store.look() as view:
        house = made.ws.desk.house(view)
        record = view.gather([person], None)[0].record
        held = consent.resolve(record, row.purpose, cell.channel, view.now, house.purposes)
        assert consent.counts(held, house)
