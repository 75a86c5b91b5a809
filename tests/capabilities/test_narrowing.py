"""What a person steers: every no binds the next decision, every yes names its notice."""

import json
import statistics
import time
from datetime import timedelta

import pytest
from marula import BLANK, NOW, days_ago

from troth.capabilities import merging, preferences
from troth.errors import Fault, InvalidInput, NotFound, Unavailable
from troth.kernel import consent
from troth.terms import DAY, Actor, Block, Channel, Role, Wishes, instant

NOTHING = Wishes()
SALE = {"relation_kind": "sale", "details_from_sale": "yes", "objection_offered": "yes"}
SMS = {"phone": "+27821234567"}
AT = instant(NOW)


def me(person):
    return Actor(Role.PERSON, person.hex())


def later(house, minutes=1):
    """The same house a little later: two acts of one second are one moment, and the no stands."""
    return house.at(house.when() + timedelta(minutes=minutes)).desk


def newest(house, person):
    return house.chain(person)[-1]


def journal(house, person):
    return [
        line for line in house.desk.journal.lines()
        if line.get("psid") == person.hex() and line["act"] == "restriction"
    ]  # fmt: skip


def cell(house, person, purpose, channel):
    with house.ws.store.look() as view:
        found = preferences.matrix(house.desk, view, person)
    row = next(r for r in found.rows if r.purpose.name == purpose)
    return next(c for c in row.cells if c.channel == channel)


def yes(purpose="offers", channels=("email",), notice="offers@3"):
    return preferences.Yes(purpose, channels, notice, "form:test")


# --- wishes ------------------------------------------------------------------------------------


def test_a_pause_stops_the_next_message_and_its_end_needs_no_new_consent(house):
    person = house.newcomer("rest", {})
    assert house.codes(person) == []
    pause = Wishes(pause_until=AT + 14 * DAY)
    booked = preferences.set_preferences(house.desk, person, pause, me(person))
    assert [each.payload.type for each in booked] == ["preference.set"]
    assert house.codes(person) == ["paused"]
    house.at(NOW + timedelta(days=14, minutes=1))
    assert house.codes(person) == []
    house.at(NOW)
    preferences.set_preferences(house.desk, person, NOTHING, me(person))
    assert house.codes(person) == []
    assert house.record(person).wishes is None


def test_a_wish_is_in_the_journal_before_it_is_answered_and_repeating_it_says_nothing_new(house):
    person = house.newcomer("rest", {})
    wish = Wishes(most=1, quiet=(1260, 420))
    assert preferences.set_preferences(house.desk, person, wish, me(person))
    assert journal(house, person)[-1]["status"] == "wished"
    before = len(house.chain(person))
    assert preferences.set_preferences(house.desk, person, wish, me(person)) == []
    assert len(house.chain(person)) == before


def test_at_most_one_a_month_means_one(house):
    person = house.newcomer("few", {})
    preferences.set_preferences(house.desk, person, Wishes(most=1), me(person))
    house.send([person], house.campaign("first"))
    house.send([person], house.campaign("second"))
    assert house.delivered()["few@post.example"] == 1
    assert house.codes(person) == ["frequency_cap"]


def test_a_pause_said_between_booking_and_hand_over_still_binds(house):
    person = house.newcomer("late", {})
    house.book([person])
    preferences.set_preferences(house.desk, person, Wishes(pause_until=AT + DAY), me(person))
    house.hand_over()
    assert house.delivered()["late@post.example"] == 0


@pytest.mark.parametrize(
    "wish",
    [
        Wishes(pause_until=AT - 1),
        Wishes(pause_until=AT + 400 * DAY),
        Wishes(most=31),
        Wishes(most=-2),
        Wishes(quiet=(60, 60)),
    ],
)
def test_a_wish_that_says_nothing_sensible_records_nothing(house, wish):
    person = house.newcomer("odd", {})
    before = len(house.chain(person))
    with pytest.raises(InvalidInput):
        preferences.set_preferences(house.desk, person, wish, me(person))
    assert len(house.chain(person)) == before


def test_a_marketer_wishes_nothing_on_anybodys_behalf(house):
    person = house.newcomer("mine", {})
    clerk = Actor(Role.MARKETER, "lindiwe")
    for act in (
        lambda: preferences.set_preferences(house.desk, person, Wishes(most=9), clerk),
        lambda: preferences.set_interests(house.desk, person, ["tea"], clerk),
        lambda: preferences.set_language(house.desk, person, "af", clerk),
        lambda: preferences.stop_everything(house.desk, person, clerk),
    ):
        with pytest.raises(InvalidInput):
            act()


def test_a_child_may_narrow_and_only_a_competent_person_may_loosen(house):
    child = house.newcomer("child", birth_year="2013", competent_person_email="p@post.example")
    assert house.record(child).age == "minor"
    desk = house.desk
    preferences.set_preferences(desk, child, Wishes(most=1), me(child))
    with pytest.raises(InvalidInput, match="competent"):
        preferences.set_preferences(desk, child, NOTHING, me(child))
    with pytest.raises(InvalidInput, match="competent"):
        preferences.agree(desk, child, yes(), me(child))
    with pytest.raises(InvalidInput, match="competent"):
        preferences.choose_level(desk, child, 2, "personalise@2", me(child))
    preferences.choose_level(desk, child, 0, "", me(child))
    preferences.set_preferences(desk, child, NOTHING, me(child), "competent_person")
    preferences.stop_everything(desk, child, me(child))
    preferences.agree(later(house), child, yes(), me(child), "competent_person")
    assert cell(house, child, "offers", "email").state == "given"


# --- yes and no --------------------------------------------------------------------------------


def test_a_yes_is_recorded_with_the_notice_that_was_shown(house):
    person = house.newcomer("new")
    booked = preferences.agree(house.desk, person, yes(), me(person))
    served, act = (each.payload for each in booked[:2])
    assert (served.type, served.notice, served.surface) == ("notice.served", "offers@3", "portal")
    assert (act.status, act.notice, act.method, act.proof) == (
        "given", "offers@3", "button", "form:test",
    )  # fmt: skip
    assert act.record is not None
    assert house.codes(person) == []


@pytest.mark.parametrize("notice", ["", "offers@2", "offers@9", "newsletter@1"])
def test_a_yes_to_another_text_than_the_one_in_force_is_none(house, notice):
    person = house.newcomer("new")
    with pytest.raises(InvalidInput):
        preferences.agree(house.desk, person, yes(notice=notice), me(person))
    assert cell(house, person, "offers", "email").state == "unknown"


def test_a_yes_in_the_very_second_of_a_no_says_that_it_does_not_stand(house):
    person = house.newcomer("quick", {})
    preferences.decline(house.desk, person, "offers", "email", me(person))
    with pytest.raises(Unavailable):
        preferences.agree(house.desk, person, yes(), me(person))
    preferences.agree(later(house), person, yes(), me(person))
    assert house.codes(person) == []


def test_no_service_message_can_be_stopped_here(house):
    person = house.newcomer("serve", {})
    for purpose in ("service", "operations"):
        with pytest.raises(InvalidInput):
            preferences.decline(house.desk, person, purpose, "", me(person))


def test_nobody_can_agree_to_what_no_notice_speaks_of(house):
    person = house.newcomer("new")
    with pytest.raises(InvalidInput, match="notice"):
        preferences.agree(house.desk, person, yes("marketing"), me(person))


def test_one_no_closes_one_channel_and_leaves_the_other(house):
    person = house.newcomer("two", {"channels": "email;sms"}, **SMS)
    preferences.decline(house.desk, person, "offers", "email", me(person))
    assert house.codes(person)[0] in ("withdrawn", "suppressed_unsubscribe")
    assert house.codes(person, house.campaign(channel=Channel.SMS)) == []
    assert journal(house, person)
    with pytest.raises(InvalidInput):
        preferences.decline(house.desk, person, "offers", "post", me(person))
    with pytest.raises(InvalidInput):
        preferences.decline(house.desk, person, "nothing", "", me(person))


def test_who_never_answered_refuses_and_a_customer_withdraws(house):
    new, customer = house.newcomer("new"), house.newcomer("buyer", **SALE)
    assert house.codes(customer) == []
    for person in (new, customer):
        preferences.decline(house.desk, person, "offers", "", me(person))
    assert cell(house, new, "offers", "email").state == "refused"
    assert cell(house, customer, "offers", "email").state == "withdrawn"
    assert house.codes(customer) != []


def test_stop_everything_closes_all_marketing_and_no_service_message(house):
    person = house.newcomer("all", {"channels": "email;sms"}, {
        "purpose": "newsletter", "notice": "newsletter@1"}, **SMS)  # fmt: skip
    booked = preferences.stop_everything(house.desk, person, me(person))
    assert [(e.payload.purpose, e.payload.channels) for e in booked] == [("marketing", ("*",))]
    with house.ws.store.look() as view:
        found = preferences.matrix(house.desk, view, person)
    assert not found.open
    assert all(row.cells for row in found.services)
    for purpose in ("offers", "newsletter"):
        assert "withdrawn" in house.codes(person, house.campaign(purpose=purpose))
    assert preferences.stop_everything(house.desk, person, me(person)) == []
    suppressed = [e for e in house.chain(person) if e.type == "suppression.added"]
    assert len(suppressed) == 2


def test_stop_everything_stops_whoever_shares_the_mailbox(house):
    mine = house.newcomer("mine", {}, email="both@post.example")
    theirs = house.newcomer("theirs", {}, email="both@post.example")
    preferences.stop_everything(house.desk, mine, me(mine))
    assert house.codes(theirs) == ["suppressed_unsubscribe"]


def test_a_later_yes_to_one_thing_opens_that_thing_alone(house):
    person = house.newcomer("again", {"channels": "email;sms"}, {
        "purpose": "newsletter", "notice": "newsletter@1"}, **SMS)  # fmt: skip
    desk = house.desk
    preferences.stop_everything(desk, person, me(person))
    desk = later(house)
    preferences.agree(desk, person, yes(), me(person))
    assert house.codes(person) == []
    assert house.codes(person, house.campaign(purpose="newsletter")) != []
    assert house.codes(person, house.campaign(channel=Channel.SMS)) != []
    with house.ws.store.look() as view:
        held = view.gather([person], Channel.EMAIL)[0].blocks
        sms = view.gather([person], Channel.SMS)[0].blocks
    assert "newsletter" in {block.value for block in held}
    assert {"marketing", "offers"}.isdisjoint({block.value for block in held})
    assert {block.value for block in sms} == {"marketing"}


# --- the level ---------------------------------------------------------------------------------


def categories(house, person):
    with house.ws.store.look() as view:
        found = house.desk.house(view)
    return consent.level_categories(house.record(person), found, AT)


def test_up_is_a_consent_and_down_closes_what_it_opened(house):
    person, desk = house.newcomer("up", {}), house.desk
    up = preferences.choose_level(desk, person, 4, "personalise@2", me(person))
    assert [e.payload.type for e in up] == ["notice.served", "consent.given"]
    assert "purchases.52w" in categories(house, person)
    down = preferences.choose_level(desk, person, 2, "", me(person))
    assert [e.payload.type for e in down] == ["consent.withdrawn"]
    assert categories(house, person) == {"identity.name", "interests.declared"}
    assert house.record(person).level == 2
    assert preferences.choose_level(desk, person, 2, "", me(person)) == []
    preferences.choose_level(desk, person, 0, "", me(person))
    assert newest(house, person).payload.status == "refused"
    assert house.codes(person) == ["level_zero"]
    assert len(journal(house, person)) == 2


def test_going_up_without_its_notice_is_refused(house):
    person, desk = house.newcomer("up", {}), house.desk
    for notice in ("", "personalise@1", "offers@3"):
        with pytest.raises(InvalidInput):
            preferences.choose_level(desk, person, 2, notice, me(person))
    for level in (-1, 6):
        with pytest.raises(InvalidInput):
            preferences.choose_level(desk, person, level, "personalise@2", me(person))
    preferences.choose_level(desk, person, 0, "", me(person))
    with pytest.raises(InvalidInput):
        preferences.choose_level(desk, person, 1, "", me(person))
    preferences.choose_level(later(house), person, 1, "personalise@2", me(person))
    assert house.codes(person) == []


@pytest.mark.parametrize("level", [5, 4, 3, 2])
def test_every_step_down_leaves_the_level_below_whole(house, level):
    person, desk = house.newcomer("down", {}), house.desk
    for below in range(level):
        desk = later(house)
        other = house.newcomer(f"other{below}", {})
        preferences.choose_level(desk, other, below, "personalise@2", me(other))
        desk = later(house)
        preferences.choose_level(desk, person, level, "personalise@2", me(person))
        preferences.choose_level(desk, person, below, "", me(person))
        assert categories(house, person) == categories(house, other)
        assert house.record(person).level == below


# --- topics and language --------------------------------------------------------------------------


def test_topics_replace_those_told_before_and_are_an_event_without_words(house):
    person, desk = house.newcomer("likes", {}), house.desk
    for topics in (["tea", "bread", "tea "], []):
        preferences.set_interests(desk, person, topics, me(person))
    said = newest(house, person).payload
    assert (said.type, dict(said.rows)) == ("values.sealed", {"interests": said.rows["interests"]})
    for bad in (["x" * 41], ["a;b"], [str(n) for n in range(25)]):
        with pytest.raises(InvalidInput):
            preferences.set_interests(desk, person, bad, me(person))


def test_a_language_is_recorded_once(house):
    person, desk = house.newcomer("speaks", {}), house.desk
    assert preferences.set_language(desk, person, "zu", me(person))
    assert preferences.set_language(desk, person, "zu", me(person)) == []
    assert house.record(person).language == "zu"
    with pytest.raises(InvalidInput):
        preferences.set_language(desk, person, "ZU!", me(person))


# --- taking back ----------------------------------------------------------------------------------


def test_a_stop_is_taken_back_by_a_yes_to_exactly_what_was_agreed_before(house):
    person, desk = house.newcomer("back", {}, {
        "purpose": "newsletter", "notice": "newsletter@1"}, **SMS), house.desk  # fmt: skip
    n = preferences.stop_everything(desk, person, me(person))[-1].n
    with pytest.raises(InvalidInput, match="notice"):
        preferences.undo(desk, person, n, me(person))
    with pytest.raises(InvalidInput, match="notice"):
        preferences.undo(desk, person, n, me(person), ["offers@3"])
    desk = later(house)
    booked = preferences.undo(desk, person, n, me(person), ["offers@3", "newsletter@1"])
    acts = [e.payload for e in booked if e.payload.type == "consent.given"]
    assert {(a.purpose, a.channels, a.proof) for a in acts} == {
        ("offers", ("email",), f"undo:{n}"), ("newsletter", ("email",), f"undo:{n}"),
    }  # fmt: skip
    assert house.codes(person) == house.codes(person, house.campaign(purpose="newsletter")) == []
    assert house.codes(person, house.campaign(channel=Channel.SMS)) != []


def test_a_yes_is_taken_back_by_a_no(house):
    person, desk = house.newcomer("back"), house.desk
    booked = preferences.agree(desk, person, yes(), me(person))
    n = next(e.n for e in booked if e.payload.type == "consent.given")
    preferences.undo(desk, person, n, me(person))
    assert cell(house, person, "offers", "email").state == "withdrawn"


def test_a_wish_and_a_language_are_taken_back_to_what_stood_before(house):
    person, desk = house.newcomer("back", {}), house.desk
    preferences.set_preferences(desk, person, Wishes(most=2), me(person))
    n = preferences.set_preferences(desk, person, Wishes(most=1), me(person))[-1].n
    preferences.undo(desk, person, n, me(person))
    assert house.record(person).wishes == Wishes(most=2)
    n = preferences.set_language(desk, person, "zu", me(person))[-1].n
    preferences.undo(desk, person, n, me(person))
    assert house.record(person).language == BLANK["language"]


def test_a_level_is_taken_back_down_at_once_and_up_with_its_notice(house):
    person, desk = house.newcomer("back", {}), house.desk
    up = preferences.choose_level(desk, person, 3, "personalise@2", me(person))[-1].n
    down = preferences.choose_level(desk, person, 2, "", me(person))[-1].n
    with pytest.raises(InvalidInput):
        preferences.undo(desk, person, down, me(person))
    desk = later(house)
    preferences.undo(desk, person, down, me(person), ["personalise@2"])
    assert house.record(person).level == 3
    preferences.undo(desk, person, up, me(person))
    assert house.record(person).level == 1


def test_nobody_takes_back_what_another_did_what_is_old_or_what_cannot_be(house):
    person, other = house.newcomer("back", {}), house.newcomer("other", {})
    desk = house.desk
    n = preferences.set_preferences(desk, person, Wishes(most=1), me(person))[-1].n
    for wrong in (n + 1, 0, -1):
        with pytest.raises(NotFound):
            preferences.undo(desk, person, wrong, me(person))
    with pytest.raises(NotFound):
        preferences.undo(desk, person, n, me(other))
    refused = preferences.decline(desk, person, "newsletter", "email", me(person))[0].n
    with pytest.raises(InvalidInput, match="agreed"):
        preferences.undo(desk, person, refused, me(person), ["newsletter@1"])
    topics = preferences.set_interests(desk, person, ["tea"], me(person))[0].n
    with pytest.raises(InvalidInput, match="nothing"):
        preferences.undo(desk, person, topics, me(person))
    house.at(NOW + timedelta(days=1, minutes=1))
    with pytest.raises(InvalidInput, match="day"):
        preferences.undo(house.desk, person, n, me(person))


# --- the read model ------------------------------------------------------------------------------


def test_each_cell_says_what_was_said_since_when_and_on_what_ground(house):
    person = house.newcomer("seen", {}, **SALE, **SMS)
    given = cell(house, person, "offers", "email")
    assert (given.state, given.ground, given.notice, given.by) == (
        "given", "consent", "offers@3", "self",
    )  # fmt: skip
    assert given.since == instant(NOW - timedelta(days=100)) // 1_000_000 * 1_000_000
    assert given.until > AT
    soft = cell(house, person, "offers", "sms")
    assert (soft.state, soft.ground, soft.open) == ("soft", "customer_exception", True)
    letter = cell(house, person, "newsletter", "email")
    assert letter.reached
    preferences.stop_everything(house.desk, person, me(person))
    stopped = cell(house, person, "offers", "sms")
    assert (stopped.state, stopped.inherited, stopped.open) == ("withdrawn", "marketing", False)
    bare = house.newcomer("bare")
    assert not cell(house, bare, "offers", "sms").reached


def test_the_read_model_never_shows_open_what_the_gate_refuses_for_good(house):
    lasting = {"no_consent", "withdrawn", "refused", "objected", "expired", "not_customer",
               "not_similar_product", "no_objection_offered_at_collection",
               "suppressed_unsubscribe", "suppressed_complaint", "channel_not_consented"}  # fmt: skip
    people = [
        house.newcomer("a", {}),
        house.newcomer("b", **SALE),
        house.newcomer("c", {}, {"status": "withdrawn", "occurred_at": days_ago(3)}),
        house.newcomer("d", {"occurred_at": days_ago(900)}),
        house.newcomer("e", {"occurred_at": days_ago(900)}, **SALE),
        house.newcomer("f", **{**SALE, "relation_goods": "insurance"}),
        house.newcomer("g", residence="CA-ON", zone="America/Toronto", **SALE),
        house.newcomer("h", residence="DE", zone="Europe/Berlin", **SALE),
        house.newcomer("i", {"status": "imported", "notice": "", "proof": "", "method": ""}),
        house.newcomer("j", {"status": "objected", "purpose": "marketing", "channels": "all"}),
        house.newcomer("k"),
    ]
    states = set()
    for person in people:
        found = cell(house, person, "offers", "email")
        states.add(found.state)
        assert found.open == (not lasting & set(house.codes(person))), found
    assert {"given", "soft", "withdrawn", "expired", "objected", "unknown"} <= states


def test_a_suppressed_address_is_shown_as_such(house):
    person = house.newcomer("held", {})
    preferences.suppress(
        house.desk, Channel.EMAIL, "held@post.example", Block("complaint"), "test"
    )
    found = cell(house, person, "offers", "email")
    assert (found.state, found.by) == ("suppressed", "complaint")


def test_an_opt_out_signal_is_shown_until_a_later_yes(house):
    person, desk = house.newcomer("gpc", {}), house.desk
    preferences.honour_signal(desk, person)
    with house.ws.store.look() as view:
        assert preferences.matrix(desk, view, person).signal
    assert cell(house, person, "offers", "email").state == "given"
    house.at(NOW + timedelta(minutes=1))
    preferences.choose_level(house.desk, person, 2, "personalise@2", me(person))
    with house.ws.store.look() as view:
        assert not preferences.matrix(house.desk, view, person).signal


def test_wishes_of_two_profiles_are_both_respected_after_a_merge(house):
    keep, other = house.newcomer("keep", {}), house.newcomer("gone", {})
    desk = house.desk
    preferences.set_preferences(desk, keep, Wishes(most=4, quiet=(1260, 420)), me(keep))
    pause = Wishes(pause_until=AT + DAY, most=2)
    preferences.set_preferences(desk, other, pause, me(other))
    merging.merge(desk, keep, other, "same person", Actor(Role.OFFICER, "o"))
    held = house.record(keep).wishes
    assert (held.most, held.quiet, held.pause_until // DAY) == (2, (1260, 420), AT // DAY + 1)
    with house.ws.store.look() as view:
        assert preferences.matrix(desk, view, keep).paused


def test_the_read_model_of_nobody_is_not_found(house):
    with house.ws.store.look() as view, pytest.raises(NotFound):
        preferences.matrix(house.desk, view, house.desk.new_person())
    stranger = house.desk.new_person()
    for act in (
        lambda: preferences.set_preferences(house.desk, stranger, NOTHING, me(stranger)),
        lambda: preferences.stop_everything(house.desk, stranger, me(stranger)),
        lambda: preferences.agree(house.desk, stranger, yes(), me(stranger)),
    ):
        with pytest.raises(Fault):
            act()


def test_the_read_model_opens_no_event_and_is_quick(house, monkeypatch):
    person = house.newcomer("fast", {}, **SALE, **SMS)
    monkeypatch.setattr(type(house.desk.scribe), "read", None)
    with house.ws.store.look() as view:
        preferences.matrix(house.desk, view, person)
        took = []
        for _ in range(30):
            begun = time.perf_counter()
            preferences.matrix(house.desk, view, person)
            took.append(time.perf_counter() - begun)
    assert statistics.median(took) < 0.01
    print(json.dumps({"matrix_ms": round(statistics.median(took) * 1000, 3)}))
