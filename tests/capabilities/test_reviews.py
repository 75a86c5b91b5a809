"""Reviews of standing rights: somebody else answers, and silence ends the right."""

import marula
import pytest

from troth import app
from troth.adapters.system import FixedClock
from troth.app import access as rights
from troth.app.housekeeping import Housekeeping
from troth.capabilities.access import reviews, withholding
from troth.errors import Conflict, InvalidInput, NotFound
from troth.terms import DAY, SECOND, Actor, Instant, Role, instant

NOW = Instant(instant(marula.NOW) // SECOND * SECOND)
GARETH = Actor(Role.IT, "gareth@marula.example")
FATIMA = Actor(Role.SUPPORT, "fatima@marula.example")
NOKUTHULA = marula.OFFICER
WEEK = 7


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def there(house, clock):
    house.ws.close()
    house.ws = app.open(house.folder, clock=clock)
    house.desk = house.ws.desk
    return house


def begin(house):
    return reviews.begin(
        rights.bench(house.ws), rights.picture(house.ws).standing, NOKUTHULA, WEEK
    )


def lines(house, ident):
    with house.ws.store.look() as view:
        return reviews.items(view, ident)


def line_of(house, ident, who, category):
    account = house.desk.account(who)
    return next(i for i in lines(house, ident) if (i.account, i.category) == (account, category))


def answer(house, item, who, word, days=30):
    return reviews.decide(rights.bench(house.ws), item.round, item.key, who, word, days)


def may_see(house, who, category):
    seen = rights.picture(house.ws).seen
    account = house.desk.account(who)
    return account in seen.full.get(category, ()) or account in seen.part.get(category, ())


def test_a_round_lists_every_standing_right_and_is_one_event(there):
    made = begin(there)
    assert made.lines == len(lines(there, made.id)) > 0
    said = there.house_chain()[-1].payload
    assert (said.act, said.kind, said.counts["lines"]) == ("requested", "standing", made.lines)


def test_silence_until_the_due_date_ends_the_right(there, clock):
    made = begin(there)
    kept = line_of(there, made.id, FATIMA, "identity.name")
    answer(there, kept, GARETH, "approve")
    clock.set(Instant(made.due - SECOND))
    Housekeeping(there.ws).round(clock.now())
    assert may_see(there, FATIMA, "contact.email")
    clock.set(made.due)
    Housekeeping(there.ws).round(clock.now())
    assert not may_see(there, FATIMA, "contact.email")
    assert may_see(there, FATIMA, "identity.name")
    with there.ws.store.look() as view:
        assert reviews.rounds(view)[0].closed
    assert {i.state for i in lines(there, made.id)} == {"approved", "silent"}


def test_the_end_by_silence_is_written_down_before_it_binds(there, clock):
    made = begin(there)
    clock.set(made.due)
    assert reviews.tend(rights.bench(there.ws)) == made.lines
    said = [e.payload for e in there.house_chain() if e.type == "access.acted"][-1]
    assert (said.act, said.note, said.counts["lines"]) == ("ended", "silence", made.lines)
    assert reviews.tend(rights.bench(there.ws)) == 0


def test_a_no_ends_the_right_at_once(there):
    made = begin(there)
    answer(there, line_of(there, made.id, FATIMA, "contact.email"), GARETH, "revoke")
    assert not may_see(there, FATIMA, "contact.email")


@pytest.mark.parametrize("word", ["approve", "revoke", "defer", "escalate"])
def test_nobody_answers_about_their_own_right(there, word):
    made = begin(there)
    own = line_of(there, made.id, NOKUTHULA, "contact.email")
    with pytest.raises(Conflict):
        answer(there, own, NOKUTHULA, word)
    assert answer(there, own, GARETH, "approve").state == "approved"


@pytest.mark.parametrize("who", [FATIMA, marula.MARKETER, Actor(Role.IT, "x@marula.example")])
def test_only_the_officer_and_it_answer(there, who):
    made = begin(there)
    with pytest.raises(Conflict):
        answer(there, line_of(there, made.id, FATIMA, "contact.email"), who, "approve")


def test_an_answer_is_put_off_once_and_no_longer_than_it_may_be(there, clock):
    made = begin(there)
    item = line_of(there, made.id, FATIMA, "contact.email")
    later = answer(there, item, GARETH, "defer", 30)
    assert later.due == NOW + 30 * DAY
    with pytest.raises(Conflict):
        answer(there, item, GARETH, "defer", 30)
    clock.set(made.due)
    reviews.tend(rights.bench(there.ws))
    assert may_see(there, FATIMA, "contact.email")
    clock.set(later.due)
    reviews.tend(rights.bench(there.ws))
    assert not may_see(there, FATIMA, "contact.email")


def test_what_was_handed_up_the_officer_answers(there):
    made = begin(there)
    item = line_of(there, made.id, FATIMA, "contact.email")
    answer(there, item, GARETH, "escalate")
    with pytest.raises(Conflict):
        answer(there, item, GARETH, "approve")
    assert answer(there, item, NOKUTHULA, "approve").state == "approved"


def test_after_its_time_nobody_answers_and_nobody_answers_twice(there, clock):
    made = begin(there)
    item = line_of(there, made.id, FATIMA, "contact.email")
    other = line_of(there, made.id, FATIMA, "identity.name")
    answer(there, other, GARETH, "approve")
    with pytest.raises(Conflict):
        answer(there, other, GARETH, "revoke")
    clock.set(made.due)
    with pytest.raises(Conflict):
        answer(there, item, GARETH, "approve")


def test_an_unknown_word_or_line_does_nothing(there):
    made = begin(there)
    item = line_of(there, made.id, FATIMA, "contact.email")
    with pytest.raises(InvalidInput):
        answer(there, item, GARETH, "perhaps")
    with pytest.raises(NotFound):
        reviews.decide(rights.bench(there.ws), made.id, "00", GARETH, "approve")


def test_one_round_at_a_time(there):
    begin(there)
    with pytest.raises(Conflict):
        begin(there)


def test_the_check_turns_red_while_an_end_is_due_and_not_carried_out(there, clock):
    made = begin(there)
    clock.set(made.due)
    state = {c.id: c.state for c in rights.checks(there.ws)}
    assert state["access.reviews"] == "bad"
    reviews.tend(rights.bench(there.ws))
    assert {c.id: c.state for c in rights.checks(there.ws)}["access.reviews"] == "good"


def test_what_silence_ended_one_click_gives_back(there, clock):
    made = begin(there)
    clock.set(made.due)
    reviews.tend(rights.bench(there.ws))
    with there.ws.store.look() as view:
        version = withholding.current(view)[1]
    rights.undo(there.ws, GARETH, version)
    assert may_see(there, FATIMA, "contact.email")
