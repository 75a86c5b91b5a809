"""What comes back: an event of the message's own person, once, and nothing of anybody else's."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "stories"))

import comeback
import marula

from troth import app
from troth.adapters.memory import MemoryStore
from troth.adapters.sqlite.record import SqliteStore
from troth.adapters.system import FixedClock
from troth.capabilities import outreach, people, preferences
from troth.errors import InvalidInput
from troth.kernel import events
from troth.kernel.desk import SYSTEM
from troth.terms import Actor, Block, Channel, PersonId, Role, instant


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A house where two people got one message each."""
    folder = tmp_path_factory.mktemp("returns") / "house"
    marula.make(folder)
    house = marula.House(folder)
    for each in ("ann", "ben"):
        house.newcomer(each, {"idempotency_key": each})
    house.send(house.everybody("ann", "ben"))
    house.ws.close()
    return folder


@pytest.fixture
def house(made, tmp_path):
    import shutil

    shutil.copytree(made, tmp_path / "house")
    opened = marula.House(tmp_path / "house")
    yield opened
    opened.ws.close()


def sent_to(house, who):
    for received in house.mails():
        if received.rcpt_to == (f"{who}@post.example",):
            return received.path.read_bytes()
    raise AssertionError(who)


def take(house, raw):
    return app.take_mail(house.ws, raw)


def said(house, who, kind):
    return [e.payload for e in house.chain(house.person(who)) if e.type == kind]


def size(house):
    with house.ws.store.look() as view:
        return view.log.size


def token_of(raw):
    return raw.decode().split("/stop/")[1][:32]


def test_a_lasting_failure_is_an_event_with_its_status_and_closes_the_address(house):
    done = take(house, comeback.bounce(sent_to(house, "ann")))
    assert done == outreach.Taken("recorded", "bounced", "hard", "winback")
    outcome = said(house, "ann", "message.bounced")[0]
    assert (outcome.kind, outcome.detail, outcome.campaign) == ("hard", "5.1.1", "winback")
    assert outcome.channel == "email"
    blocked = said(house, "ann", "suppression.added")[0]
    assert (blocked.reason, blocked.scope, blocked.source) == (
        "hard_bounce", "all", "campaign:winback",
    )  # fmt: skip
    assert house.codes(house.person("ann"))[0] == "suppressed_bounce"
    assert not house.codes(house.person("ben"))


def test_a_passing_failure_is_counted_and_closes_nothing(house):
    assert take(house, comeback.bounce(sent_to(house, "ann"), "4.2.2", "delayed")).kind == "soft"
    assert not said(house, "ann", "suppression.added")
    assert not house.codes(house.person("ann"))


def test_as_many_passing_failures_as_the_data_say_rest_an_address_for_a_while(house):
    ann, limit = house.person("ann"), 5
    for n in range(limit):
        ref = f"{n:032x}"
        booked = events.MessageBooked(ref, "offers", "email", "t@1", 1, (), "consent", "", "",
                                      f"<{ref}@marula.example>", "", campaign="winback")  # fmt: skip
        house.desk.record(ann, [booked], SYSTEM)
        with house.ws.store.book() as tx:
            tx.enqueue("outreach.mail/winback", ref, b"", ann)
        done = take(house, comeback.bounce(b"", "4.4.1", named=f"<{ref}@marula.example>"))
        assert done.became == "recorded"
        assert len(said(house, "ann", "suppression.added")) == (n == limit - 1)
    rested = said(house, "ann", "suppression.added")[0]
    assert rested.until is not None
    assert house.codes(ann)[0] == "suppressed_bounce"
    house.at(marula.NOW + timedelta(days=30, minutes=1))
    assert "suppressed_bounce" not in house.codes(ann)


def test_a_failure_of_an_address_the_person_left_closes_no_other_address(house):
    ann = house.person("ann")
    raw = sent_to(house, "ann")
    people.change_address(
        house.desk, ann, Channel.EMAIL, "ann.new@post.example", "account page", SYSTEM
    )
    assert take(house, comeback.bounce(raw)).became == "recorded"
    moved = said(house, "ann", "contact.added")
    assert len(moved) == 2
    assert not said(house, "ann", "suppression.added")
    assert "suppressed_bounce" not in house.codes(ann)


def test_a_complaint_closes_all_marketing_and_is_journalled(house):
    done = take(house, comeback.complaint(sent_to(house, "ann")))
    assert (done.state, done.campaign) == ("complained", "winback")
    blocked = said(house, "ann", "suppression.added")[0]
    assert (blocked.reason, blocked.scope) == ("complaint", "all")
    assert "suppressed_complaint" in house.codes(house.person("ann"))
    assert any(line["act"] == "suppression" for line in house.desk.journal.lines())


def test_a_complaint_that_names_only_the_stop_token_is_believed_too(house):
    raw = sent_to(house, "ann")
    done = take(house, comeback.complaint(raw, token=token_of(raw)))
    assert (done.became, done.state, done.campaign) == ("recorded", "complained", "winback")
    assert said(house, "ann", "message.complained")[0].ref in raw.decode()


def test_an_answer_that_means_stop_does_what_the_one_click_link_does(house):
    assert take(house, comeback.reply(sent_to(house, "ann"), "Hou op!")).kind == "stop"
    preferences.unsubscribe(house.desk, token_of(sent_to(house, "ben")))
    acts = [said(house, who, "consent.withdrawn")[0] for who in ("ann", "ben")]
    blocks = [said(house, who, "suppression.added")[0] for who in ("ann", "ben")]
    assert [a.method for a in acts] == ["reply", "one_click"]
    for both in (acts, blocks):
        assert [each.source for each in both] == ["campaign:winback"] * 2
    assert [(a.purpose, a.channels) for a in acts] == [("offers", ("email",))] * 2
    assert [(b.reason, b.scope, b.value) for b in blocks] == [
        ("unsubscribe", "purpose", "offers")
    ] * 2
    assert house.codes(house.person("ann")) == house.codes(house.person("ben"))


def test_a_question_is_counted_and_none_of_its_words_is_kept(house):
    words = "Is plantedword in stock at the shop in Quietville this week, and until when?"
    assert take(house, comeback.reply(sent_to(house, "ann"), words)).kind == "question"
    assert not house.codes(house.person("ann"))
    chain = house.chain(house.person("ann"))
    assert "plantedword" not in repr(chain)
    assert b"plantedword" not in (house.folder / "data" / "record.db").read_bytes()


def test_the_same_mail_twice_is_one_event_and_a_second_report_of_it_too(house):
    raw = sent_to(house, "ann")
    take(house, comeback.bounce(raw))
    before = size(house)
    assert take(house, comeback.bounce(raw)).became == "again"
    assert take(house, b"Received: from elsewhere\r\n" + comeback.bounce(raw)).became == "again"
    assert size(house) == before
    take(house, comeback.reply(raw, "Is it open today?"))
    assert take(house, comeback.reply(raw, "Is it open today?")).became == "again"
    assert take(house, comeback.reply(raw, "And tomorrow?")).became == "recorded"


def test_out_of_office_leaves_no_trace_at_all(house):
    before = size(house)
    raw = comeback.reply(
        sent_to(house, "ann"),
        "I am away. Stop by next week.",
        headers="Auto-Submitted: auto-replied\r\n",
    )
    assert take(house, raw).became == "ignored"
    assert size(house) == before


def test_followers_may_run_again_and_a_later_yes_outlives_an_earlier_stop(house):
    ann = house.person("ann")
    take(house, comeback.reply(sent_to(house, "ann"), "stop"))
    n = next(e.n for e in house.chain(ann) if e.type == "message.replied")
    house.at(marula.NOW + timedelta(minutes=5))
    house.say(ann, "given", notice="offers@3", method="checkbox", proof="form:again")
    assert not house.codes(ann)
    before = size(house)
    from troth.kernel.following import Due

    due = [Due("answers", size(house), ann, n, "message.replied")]
    app.returns.answers(house.ws, due)
    assert size(house) == before
    assert not house.codes(ann)


def test_erasure_takes_along_every_row_that_says_a_mail_came_back(house):
    raw = sent_to(house, "ann")
    take(house, comeback.bounce(raw))
    ann = house.person("ann")
    house.ws.erase(ann, "story")
    with house.ws.store.look() as view:
        assert not view.rows("outreach.return", b"", b"", 10)
    assert take(house, comeback.bounce(raw)).became == "unknown"


def test_a_token_of_before_this_version_still_stops_and_names_no_campaign(house):
    import msgspec

    ben, token = house.person("ben"), "oldtoken" * 4
    row = msgspec.json.encode([ben.hex(), "offers", "email", int(9e15)])
    with house.ws.store.book() as tx:
        tx.put_row("preferences.token", house.desk.token_key(token), row)
    assert preferences.unsubscribe(house.desk, token).campaign == ""
    assert said(house, "ben", "consent.withdrawn")[0].source is None
    assert said(house, "ben", "suppression.added")[0].source == "one_click"
    assert take(house, comeback.complaint(b"", token=token)).became == "unknown"


def test_a_mail_larger_than_a_mail_may_be_is_refused_and_recorded_nowhere(house):
    before = size(house)
    with pytest.raises(InvalidInput):
        take(house, b"x" * (10 * 2**20 + 1))
    assert size(house) == before


def test_a_suppression_of_before_is_not_written_twice(house):
    preferences.suppress(
        house.desk, Channel.EMAIL, "ann@post.example", Block("complaint"), "import",
        Actor(Role.SYSTEM, "x"),
    )  # fmt: skip
    take(house, comeback.complaint(sent_to(house, "ann")))
    assert len(said(house, "ann", "suppression.added")) == 1


def test_every_store_finds_a_message_by_its_reference_among_all_campaigns(tmp_path):
    at = instant(marula.NOW)
    stores = [
        MemoryStore(FixedClock(at), {}),
        SqliteStore(tmp_path / "record.db", FixedClock(at), {}),
    ]
    who = PersonId(b"p" * 16)
    kinds = ["a", "outreach.ask/x", "outreach.mail/x", "outreach.mail/y", "outreach.mailer", "z"]
    for store in stores:
        with store.look() as view:
            assert view.job_of("outreach.mail/", "r") is None
        with store.book() as tx:
            for kind in kinds:
                tx.enqueue(kind, f"key {kind}", b"", who)
                tx.enqueue(kind, "everywhere", b"", None)
        with store.look() as view:
            for kind in kinds:
                mine = kind.startswith("outreach.mail/")
                found = view.job_of("outreach.mail/", f"key {kind}")
                assert found == ((kind, who) if mine else None)
            assert view.job_of("outreach.mail/", "everywhere") == ("outreach.mail/x", None)
        store.close()
