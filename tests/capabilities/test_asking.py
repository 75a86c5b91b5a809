"""Asking for a new permission: one at a time, after kept promises, and never again after a no."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from marula import NOW, OFFICER, days_ago

from troth.capabilities import preferences
from troth.capabilities.preferences import Ask, NotNow, asking
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.kernel.desk import ASK_ONCE
from troth.terms import Actor, Block, Channel, ConsentStatus, Role, instant, person_id

SALE = {"relation_kind": "sale", "details_from_sale": "yes", "objection_offered": "yes"}
SOLD = {**SALE, "relation_at": days_ago(20)}
LONG_AGO = {"occurred_at": days_ago(100)}
STAFF = Actor(Role.SYSTEM, "page")


def asked(house, person, *wanted):
    with house.ws.store.look() as view:
        return preferences.next_ask(house.desk, view, person, wanted or ["offers|email"])


def later(house, **by):
    return house.at(NOW + timedelta(**by))


def chain(house, person):
    with house.ws.store.look() as view:
        return [r.event for r in house.desk.scribe.chain(view, person)]


# --- what may be asked ------------------------------------------------------------------------


def test_a_customer_who_never_agreed_may_be_asked(house):
    person = house.newcomer(**SOLD)
    assert asked(house, person) == Ask("offers", "email")
    assert asked(house, person, "offers|sms", "offers|email") == Ask("offers", "sms")


def test_what_is_agreed_is_not_asked_again(house):
    person = house.newcomer("probe", LONG_AGO, **SOLD)
    assert asked(house, person) == NotNow("nothing_to_ask")
    assert asked(house, person, "offers|email", "offers|sms") == Ask("offers", "sms")


def test_a_level_is_asked_for_one_step_at_a_time(house):
    person = house.newcomer(**SOLD)
    wanted = asked(house, person, "personalise")
    assert wanted == asked(house, person, "personalise|2")
    assert (wanted.level, wanted.channel) == (2, "")
    assert set(wanted.categories) == {"identity.name", "interests.declared"}
    assert asked(house, person, "personalise|3") == NotNow("one_step_at_a_time")
    assert asked(house, person, "personalise|1") == NotNow("nothing_to_ask")
    assert asked(house, person, "personalise|4", "offers|sms") == Ask("offers", "sms")


def test_nothing_is_above_the_highest_level(house):
    level = {"purpose": "personalise", "channels": "", "notice": "personalise@2", "level": "5",
             "categories": "identity.name;interests.declared;purchases.13w;purchases.52w;cohort.compare"}  # fmt: skip
    person = house.newcomer("probe", {**level, **LONG_AGO}, **SOLD)
    assert asked(house, person, "personalise") == NotNow("nothing_to_ask")


@pytest.mark.parametrize("wanted", ["unheard|email", "offers|post", "offers", "personalise|much"])
def test_what_nobody_published_is_a_mistake_and_not_an_ask(house, wanted):
    person = house.newcomer(**SOLD)
    with pytest.raises(InvalidInput):
        asked(house, person, wanted)


def test_nobody_known_is_not_asked(house):
    with pytest.raises(NotFound):
        asked(house, person_id(b"x" * 16))


# --- who is asked nothing ---------------------------------------------------------------------


def test_a_child_a_restricted_person_and_one_at_level_0_are_asked_nothing(house):
    child = house.newcomer("child", birth_year="2015", **SOLD)
    assert asked(house, child) == NotNow("minor")
    person = house.newcomer("still", **SOLD)
    house.desk.record(person, [events.ProcessingRestricted(restricted=True, reason="x")], OFFICER)
    assert asked(house, person) == NotNow("closed")
    zero = house.newcomer("zero", **SOLD)
    house.say(zero, "refused", "personalise", (), level=0)
    assert asked(house, zero) == NotNow("level_zero")


def test_a_complaint_stops_every_ask_for_good(house):
    person = house.newcomer(**SOLD)
    block = Block("complaint", "all", "", instant(NOW))
    preferences.suppress(house.desk, Channel.EMAIL, "probe@post.example", block, "relay")
    assert asked(house, person, "offers|sms", "personalise") == NotNow("suppressed")


# --- only after kept promises -----------------------------------------------------------------


def test_after_a_yes_nothing_more_is_asked_until_it_was_honoured(house):
    person = house.newcomer("probe", LONG_AGO, **{**SALE, "relation_at": days_ago(300)})
    assert asked(house, person, "offers|sms") == NotNow("not_earned_yet")
    assert house.send([person]).handed == 1
    assert asked(house, person, "offers|sms") == NotNow("not_earned_yet")
    later(house, days=1)
    assert house.send([person], house.campaign("second")).handed == 1
    assert asked(house, person, "offers|sms") == Ask("offers", "sms")


def test_one_sale_since_the_yes_honours_it_too(house):
    person = house.newcomer("probe", LONG_AGO, **SOLD)
    assert asked(house, person, "offers|sms") == Ask("offers", "sms")


def test_a_message_without_a_permit_stops_every_ask(house):
    """Planted: a hand-over no booking stands behind, as a mail sent past the gate would be."""
    person = house.newcomer("probe", LONG_AGO, **SOLD)
    stray = events.MessageOutcome("handed", "ff" * 16, channel="email")
    house.desk.record(person, [stray], Actor(Role.SYSTEM, "x"))
    why = asked(house, person, "offers|sms")
    assert why == NotNow("promise_broken", instant(NOW + timedelta(days=90)))
    booked = events.MessageBooked(
        "ee" * 16, "offers", "email", "winback@1", 1, (), "", "00", "00", "<m>", "00"
    )
    other = house.newcomer("other", LONG_AGO, **SOLD)
    handed = events.MessageOutcome("handed", "ee" * 16, channel="email")
    house.desk.record(other, [booked, handed], Actor(Role.SYSTEM, "x"))
    assert asked(house, other, "offers|sms").reason == "promise_broken"


def test_a_service_message_neither_earns_nor_breaks(house):
    person = house.newcomer("probe", LONG_AGO, **{**SALE, "relation_at": days_ago(300)})
    booked = events.MessageBooked(
        "ee" * 16, "service", "email", "t@1", 0, (), "", "00", "00", "<m>", "00"
    )
    told = [booked, events.MessageOutcome("handed", "ee" * 16)]
    house.desk.record(person, told, Actor(Role.SYSTEM, "x"))
    assert asked(house, person, "offers|sms") == NotNow("not_earned_yet")


# --- after a no -------------------------------------------------------------------------------


def test_a_refused_permission_is_not_asked_for_six_months_and_others_wait_a_month(house):
    person = house.newcomer(**SOLD)
    house.say(person, "refused")
    assert asked(house, person) == NotNow(
        "refused_lately", instant(NOW.replace(month=5, year=2027))
    )
    assert asked(house, person, "offers|sms").reason == "cool_down"
    later(house, days=31)
    assert asked(house, person).reason == "refused_lately"
    assert asked(house, person, "offers|sms") == Ask("offers", "sms")
    later(house, days=182)
    assert asked(house, person) == Ask("offers", "email")


@pytest.mark.parametrize("status", ["withdrawn", "objected"])
def test_a_grievance_stops_every_ask_for_its_window(house, status):
    person = house.newcomer("probe", LONG_AGO, **SOLD)
    house.say(person, status, "newsletter")
    assert asked(house, person, "offers|sms") == NotNow(
        "grievance", instant(NOW + timedelta(days=90))
    )
    later(house, days=91)
    assert asked(house, person, "offers|sms") == Ask("offers", "sms")


def test_a_stop_of_all_marketing_bans_every_purpose_below_it(house):
    person = house.newcomer(**SOLD)
    house.say(person, "withdrawn", "marketing", ("*",))
    later(house, days=120)
    assert asked(house, person, "offers|email", "newsletter|email").reason == "refused_lately"
    assert asked(house, person, "personalise").level == 2


def test_stepping_down_a_level_bans_that_level_alone(house):
    person = house.newcomer(**SOLD)
    gone = ("interests.declared",)
    house.say(person, "withdrawn", "personalise", (), categories=gone)
    later(house, days=120)
    assert asked(house, person, "personalise").reason == "refused_lately"
    assert asked(house, person) == Ask("offers", "email")


def test_an_unsubscribed_address_counts_as_a_no_to_its_purpose(house):
    person = house.newcomer(**SOLD)
    block = Block("unsubscribe", "purpose", "offers", instant(NOW))
    preferences.suppress(house.desk, Channel.EMAIL, "probe@post.example", block, "one_click")
    later(house, days=120)
    assert asked(house, person).reason == "refused_lately"
    assert asked(house, person, "newsletter|email") == Ask("newsletter", "email")


@pytest.mark.parametrize(
    ("residence", "months"), [("US-CA", 12), ("US", 12), ("US-TX", 6), ("DE", 6), ("CA-ON", 6)]
)
def test_california_bans_for_a_year_and_others_for_half(house, residence, months):
    person = house.newcomer(residence=residence, zone="", **SOLD)
    house.say(person, "opted_out", "personalise", ("*",), given_by="signal", method="gpc")
    edge = timedelta(days=365 if months == 12 else 181)
    house.at(NOW + edge - timedelta(days=1))
    assert asked(house, person, "personalise").reason == "refused_lately"
    house.at(NOW + edge + timedelta(days=2))
    assert asked(house, person, "personalise") != asked(house, person, "personalise|1")
    assert asked(house, person, "personalise").level == 2


# --- whoever is no customer -------------------------------------------------------------------


def test_whoever_is_no_customer_is_asked_once_and_never_again(house):
    person = house.newcomer()
    ask = asked(house, person)
    assert ask == Ask("offers", "email")
    shown = preferences.Shown("ask@1", "form", "en")
    with pytest.raises(InvalidInput):
        preferences.book_ask(house.desk, person, ask, STAFF, replace(shown, notice="ask@9"))
    done = preferences.book_ask(house.desk, person, ask, STAFF, shown)
    assert [p.payload.type for p in done] == ["notice.served", "consent.requested"]
    assert done[1].payload.notice == "ask@1"
    later(house, days=4000)
    assert asked(house, person, "offers|sms", "personalise") == NotNow("asked_once_already")
    again = preferences.book_ask(house.desk, person, ask, STAFF)
    assert again == NotNow("asked_once_already")


def test_two_strangers_at_one_mailbox_are_asked_once_together(house):
    one = house.newcomer("one", email="both@post.example")
    two = house.newcomer("two", email="BOTH@post.example")
    assert isinstance(preferences.book_ask(house.desk, one, Ask("offers", "email"), STAFF), list)
    assert asked(house, two) == NotNow("asked_once_already")


def test_one_who_was_asked_by_mail_is_not_asked_by_a_page(house):
    person = house.newcomer()
    with house.ws.store.look() as view:
        sup = view.gather([person], Channel.EMAIL)[0].contact.sup
    with house.ws.store.book() as tx:
        assert tx.claim_row(ASK_ONCE, sup, b"campaign")
    assert asked(house, person) == NotNow("asked_once_already")


def test_a_stranger_who_refused_is_not_asked_again_where_south_africas_law_reaches(house):
    person = house.newcomer()
    house.say(person, "refused", "newsletter")
    later(house, days=4000)
    assert asked(house, person) == NotNow("refused_for_good")


def test_a_customer_asked_by_a_page_may_be_asked_for_something_else_after_the_cool_down(house):
    person = house.newcomer(**SOLD)
    preferences.book_ask(house.desk, person, Ask("offers", "email"), STAFF)
    assert asked(house, person, "offers|sms") == NotNow(
        "cool_down", instant(NOW + timedelta(days=30))
    )
    later(house, days=30)
    assert asked(house, person, "offers|sms") == Ask("offers", "sms")


def test_not_now_starts_the_cool_down_anew(house):
    person = house.newcomer(**SOLD)
    ask = asked(house, person)
    preferences.book_ask(house.desk, person, ask, STAFF)
    later(house, days=10)
    preferences.defer(house.desk, person, ask, Actor(Role.PERSON, person.hex()))
    assert asked(house, person) == NotNow("cool_down", instant(NOW + timedelta(days=40)))
    assert [e.type for e in chain(house, person)][-2:] == [
        "consent.requested", "consent.request_deferred",
    ]  # fmt: skip
    assert house.decide(person).basis == "customer_exception"  # put off is no yes


def test_a_request_booked_by_a_campaign_is_an_ask_too(house):
    person = house.newcomer(**SOLD)
    booked = events.MessageBooked(
        "ee" * 16, "ask", "email", "ask@1", 0, (), "ask_once", "00", "00", "<m>", "00"
    )
    house.desk.record(person, [booked], Actor(Role.SYSTEM, "x"))
    assert asked(house, person) == NotNow("cool_down", instant(NOW + timedelta(days=30)))


# --- writing it down --------------------------------------------------------------------------

RACE = """
import sys
from pathlib import Path
from troth import app
from troth.capabilities import preferences
from troth.terms import Actor, Instant, Role
ws = app.open(Path(sys.argv[1]), at=Instant(int(sys.argv[2])))
with ws.store.look() as view:
    person = ws.desk.find(view, "probe")
print("ready", flush=True)
sys.stdin.readline()
ask = preferences.Ask("offers", "email")
done = preferences.book_ask(ws.desk, person, ask, Actor(Role.SYSTEM, sys.argv[3]))
print("booked" if isinstance(done, list) else done.reason, flush=True)
ws.close()
"""


@pytest.mark.parametrize("facts", [{}, SOLD], ids=["stranger", "customer"])
def test_of_two_processes_that_ask_at_once_exactly_one_asks(house, facts):
    person = house.newcomer(**facts)
    line = [sys.executable, "-c", RACE, str(house.folder), str(instant(NOW))]
    racers = [
        subprocess.Popen([*line, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    assert [r.stdout.readline() for r in racers] == ["ready\n"] * 2
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = sorted(r.communicate()[0].strip() for r in racers)
    assert told == ["asked_once_already" if not facts else "booked",
                    "booked" if not facts else "cool_down"]  # fmt: skip
    assert [e.type for e in chain(house, person)].count("consent.requested") == 1


def test_an_ask_that_others_keep_overtaking_is_given_up_and_nothing_booked(house, monkeypatch):
    person = house.newcomer()
    before = len(chain(house, person))
    real = preferences.asking._points

    def taken(view, who):
        return [replace(p, sup=b"t" * 16) for p in real(view, who)]

    with house.ws.store.book() as tx:
        tx.claim_row(ASK_ONCE, b"t" * 16, b"somebody")
    monkeypatch.setattr(asking, "_points", taken)
    with pytest.raises(Unavailable):
        preferences.book_ask(house.desk, person, Ask("offers", "email"), STAFF)
    assert len(chain(house, person)) == before


def test_a_workspace_may_publish_slower_numbers_of_its_own(house):
    person = house.newcomer(**SOLD)
    house.say(person, "refused")
    later(house, days=31)
    assert asked(house, person, "offers|sms") == Ask("offers", "sms")
    shipped = (asking.files("troth") / "data" / "asking.toml").read_text("utf-8")
    slower = shipped.replace("days = 30", "days = 60").encode()
    with house.ws.store.book() as tx:
        tx.publish(asking.DRAFT, "00" * 32, slower)
    assert asked(house, person, "offers|sms").reason == "cool_down"


# --- the signal -------------------------------------------------------------------------------


def test_the_signal_closes_personalising_and_leaves_the_consent_to_be_mailed(house):
    level = {"purpose": "personalise", "channels": "", "notice": "personalise@2", "level": "3",
             "categories": "identity.name;interests.declared;purchases.13w"}  # fmt: skip
    person = house.newcomer("probe", {}, {**level, **LONG_AGO}, residence="US-CA")
    assert house.decide(person).basis == "consent"
    said = preferences.honour_signal(house.desk, person)
    assert [p.payload.type for p in said] == ["consent.opted_out"]
    assert (said[0].payload.given_by, said[0].payload.level) == ("signal", 1)
    answer = house.decide(person)
    assert answer.basis == "consent"
    assert not answer.categories
    assert any(
        line["status"] == "opted_out" for line in house.desk.journal.lines() if "status" in line
    )


def test_the_signal_is_recorded_once_a_day_and_again_after_a_yes(house):
    person = house.newcomer("probe", {}, residence="ZA")
    assert len(preferences.honour_signal(house.desk, person)) == 1
    assert preferences.honour_signal(house.desk, person) == []
    later(house, days=1)
    assert len(preferences.honour_signal(house.desk, person)) == 1
    later(house, days=1, hours=1)
    house.say(person, "given", "personalise", (), notice="personalise@2", method="button",
              proof="form:1", categories=("identity.name",), level=2)  # fmt: skip
    assert len(preferences.honour_signal(house.desk, person)) == 1
    assert ConsentStatus.OPTED_OUT in {e.payload.status for e in chain(house, person)[-1:]}
    with pytest.raises(NotFound):
        preferences.honour_signal(house.desk, person_id(b"x" * 16))
