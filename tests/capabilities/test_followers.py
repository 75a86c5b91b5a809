"""Followers: what else happens once an event is recorded, however often the machine stops."""

from datetime import timedelta

import marula
import pytest

from troth import app
from troth.adapters.witness import FileJournal
from troth.capabilities import preferences, rights
from troth.errors import Unavailable
from troth.kernel import restrictions
from troth.terms import DENYING, Actor, Block, Channel, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")


@pytest.fixture
def unwritable(monkeypatch):
    """A journal whose disk is full, until told otherwise."""

    def full(_self, _lines):
        raise Unavailable("witness/restrictions cannot be written")

    def stop():
        monkeypatch.setattr(FileJournal, "note_all", full)

    def mend():
        monkeypatch.undo()

    return stop, mend


def lines(house, *keys):
    return [tuple(line.get(k) for k in keys) for line in house.desk.journal.lines()]


def standing(house, name="journal"):
    return next(s for s in house.ws.followers() if s.name == name)


def test_after_a_quiet_start_every_follower_is_at_the_end_of_the_ledger(house):
    with house.ws.store.look() as view:
        size = view.log.size
    for each in house.ws.followers():
        assert (each.cursor, each.lag, each.error, each.red) == (size, 0, "", False)
    named = {run.__name__ for runs in app.FOLLOWERS.values() for run in runs}
    assert {s.name for s in house.ws.followers()} == named > {"journal", "retention", "erasure"}


def test_every_restricting_event_is_in_the_table_with_the_journal_first():
    assert {f"consent.{status}" for status in DENYING} <= app.FOLLOWERS.keys()
    for tag in (
        "suppression.added",
        "processing.restricted",
        "retention.applied",
        "person.erasing",
    ):
        assert app.FOLLOWERS[tag][0] is app.journal
    assert app.erasure in app.FOLLOWERS["person.erasing"]


def test_a_withdrawal_whose_journal_line_a_crash_swallowed_gets_it_at_the_next_start(
    house, unwritable
):
    person = house.newcomer("one", {})
    stop, mend = unwritable
    stop()
    with pytest.raises(Unavailable):
        house.say(person, "withdrawn", channels=("email",))
    mend()
    assert "withdrawn" in house.codes(person)
    before = lines(house, "psid", "seq")
    house.at(house.when())
    added = lines(house, "act", "psid", "status", "purpose")[len(before) :]
    assert added == [("restriction", person.hex(), "withdrawn", "offers")]
    with house.ws.store.look() as view:
        body = view.bodies(person)[-1]
    assert lines(house, "seq")[-1] == (body.seq,)
    house.at(house.when())
    house.ws.follow()
    assert len(lines(house, "seq")) == len(before) + 1


def test_a_line_that_was_written_is_not_written_again(house):
    person = house.newcomer("one", {})
    house.say(person, "withdrawn", channels=("email",))
    rights.restrict(house.desk, person, "disputed", OFFICER)
    preferences.suppress(
        house.desk, Channel.EMAIL, "one@post.example", Block("objection"), "letter"
    )
    before = lines(house, "seq")
    assert standing(house).lag == 3
    house.ws.follow()
    assert lines(house, "seq") == before
    assert standing(house).lag == 0


@pytest.mark.parametrize("what", ["restriction", "suppression"])
def test_a_restriction_and_a_suppression_are_made_good_like_a_withdrawal(house, unwritable, what):
    person = house.newcomer("one", {})
    shared = house.newcomer("two", {}, email="one@post.example")
    stop, mend = unwritable
    stop()
    done = {
        "restriction": lambda: rights.restrict(house.desk, person, "disputed", OFFICER),
        "suppression": lambda: preferences.suppress(
            house.desk, Channel.EMAIL, "one@post.example", Block("objection"), "letter"
        ),
    }
    with pytest.raises(Unavailable):
        done[what]()
    mend()
    count = len(lines(house, "act"))
    house.ws.follow()
    added = list(house.desk.journal.lines())[count:]
    assert {line["act"] for line in added} == {what}
    if what == "suppression":
        assert len(added) == 2
        assert {line["reason"] for line in added} == {"objection"}
        assert len({line["sup"] for line in added}) == 1
    assert shared


def test_a_suppression_that_meets_nobody_is_journalled_before_it_is_kept(house, unwritable):
    stop, mend = unwritable
    stop()
    address = "nobody@post.example"
    with pytest.raises(Unavailable):
        preferences.suppress(house.desk, Channel.EMAIL, address, Block("objection"), "letter")
    mend()
    point = house.desk.contact(Channel.EMAIL, address, 1)
    with house.ws.store.look() as view:
        assert view.blocks([point.sup]) == {}


def test_a_failing_follower_is_red_with_a_code_and_no_name_and_is_tried_again(house, unwritable):
    person = house.newcomer("one", {})
    stop, mend = unwritable
    with house.ws.store.look() as view:
        size = view.log.size
    stop()
    with pytest.raises(Unavailable):
        house.say(person, "withdrawn", channels=("email",))
    house.ws.follow()
    red = standing(house)
    assert (red.error, red.lag, red.red) == ("unavailable", 1, True)
    assert size == red.cursor
    assert red.since
    house.at(house.when())  # the house opens all the same, and answers from the record
    assert standing(house).since == red.since
    assert "withdrawn" in house.codes(person)
    mend()
    house.ws.follow()
    assert (standing(house).lag, standing(house).error, standing(house).since) == (0, "", 0)


def test_one_persons_fault_holds_up_nobody_else(house, monkeypatch):
    people = [house.newcomer(name, {}) for name in ("one", "two", "three")]
    for person in people:
        rights.begin_erasure(house.desk, person, f"rq-{person.hex()[:4]}", OFFICER)
    erase = rights.erase

    def broken(desk, person, *rest):
        if person == people[0]:
            raise ZeroDivisionError("one@post.example")
        return erase(desk, person, *rest)

    monkeypatch.setattr(rights, "erase", broken)
    house.ws.follow()
    monkeypatch.undo()
    red = standing(house, "erasure")
    assert (red.lag, red.error) == (1, "internal")
    assert "post.example" not in repr(red)
    assert [rights.is_erased(house.desk, p) for p in people] == [False, True, True]
    assert "erasure_pending" in house.codes(people[0])
    house.at(house.when())
    assert rights.is_erased(house.desk, people[0])
    assert standing(house, "erasure").lag == 0


def test_an_erasure_begun_and_forgotten_is_carried_out_by_its_follower(house):
    person = house.newcomer("one", {})
    rights.begin_erasure(house.desk, person, "rq-1", OFFICER)
    assert standing(house, "erasure").lag == 1
    house.ws.follow()
    assert rights.is_erased(house.desk, person)
    assert house.ws.erase(person, "rq-9").request == "rq-1"
    written = [line for line in house.desk.journal.lines() if line.get("psid") == person.hex()]
    assert [line["act"] for line in written].count("erasure") == 1


def test_a_clock_that_lags_keeps_what_is_due_and_the_house_opens_all_the_same(house):
    person = house.newcomer("one", {})
    house.say(person, "withdrawn", channels=("email",))
    now = house.when()
    house.at(now - timedelta(seconds=30))
    assert standing(house).lag == 1
    assert house.codes(person) == ["clock_unsure"]
    house.at(now)
    assert standing(house).lag == 0
    assert "withdrawn" in house.codes(person)


def test_the_gate_answers_the_same_whether_followers_ran_or_not(house, monkeypatch):
    person = house.newcomer("one", {})
    house.say(person, "withdrawn", channels=("email",))
    before = house.codes(person)
    assert standing(house).lag
    house.ws.follow()
    assert house.codes(person) == before


def test_an_import_of_refusals_leaves_one_due_each_and_the_next_start_clears_them(house):
    house.newcomer("one")
    house.newcomer("two")
    house.consents("one", {"status": "refused", "notice": ""})
    house.consents("two", {"status": "objected", "notice": ""})
    assert standing(house).lag == 2
    house.at(house.when())
    assert standing(house).lag == 0


def test_a_line_is_told_from_another_of_the_same_place(house):
    person = house.newcomer("one", {})
    with house.ws.store.look() as view:
        size = view.log.size
    other = ("restriction", {"psid": "00" * 16, "purpose": "offers"}, size)
    house.desk.journal.note_all([other, restrictions.suppressed(b"x" * 16, Block("a"), size)])
    house.desk.record(person, [_withdrawn()], OFFICER)
    house.ws.follow()
    assert (person.hex(), size) in lines(house, "psid", "seq")


def _withdrawn():
    from troth.kernel.events import ConsentAct
    from troth.terms import ConsentStatus

    return ConsentAct(ConsentStatus.WITHDRAWN, "offers", ("email",))


def blocks(house, person):
    with house.ws.store.look() as view:
        sup = view.gather([person], Channel.EMAIL)[0].contact.sup
        return [b.reason for b in view.blocks([sup]).get(sup, ())]


@pytest.mark.parametrize("status", ["withdrawn", "objected"])
def test_a_no_that_was_cut_short_is_on_the_list_later_unless_a_yes_came_since(
    house, monkeypatch, status
):
    def away(*_given):
        raise Unavailable("not now")

    people = [house.newcomer(name, {}) for name in ("stays", "again")]
    with monkeypatch.context() as cut:
        cut.setattr(preferences.binding, "suppress_point", away)
        for person in people:
            with pytest.raises(Unavailable):
                house.say(person, status, binds=("email",))
        house.at(marula.NOW + timedelta(minutes=1))
        assert standing(house, "binding").red
        house.say(people[1], "given", notice="offers@3", method="checkbox", proof="form:1")
    house.ws.follow()
    reason = {"withdrawn": "unsubscribe", "objected": "objection"}[status]
    assert [blocks(house, each) for each in people] == [[reason], []]
    assert standing(house, "binding").lag == 0
    house.ws.follow()
    assert [blocks(house, each) for each in people] == [[reason], []]
