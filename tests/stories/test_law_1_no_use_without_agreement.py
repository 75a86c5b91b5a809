"""Law 1: every door asks the gate, and unknown means no.

Later work adds the doors that do not exist yet: reads by staff, shares with partners, exports,
batch decisions over HTTP. Each joins `ROUTES` or gets a story of its own here.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from marula import (
    BLANK,
    MARKETER,
    NOW,
    OFFICER,
    cast_members,
    days_ago,
    registry_hash,
    registry_head,
)

from troth.capabilities import preferences, rights
from troth.errors import InvalidInput
from troth.terms import Actor, Block, Channel, Role, instant

ADDRESS = "probe@post.example"


def no_permit(house):
    return house.newcomer()


def expired(house):
    long_ago = {"notice": "offers@2", "occurred_at": days_ago(740)}
    return house.newcomer("probe", long_ago)


def withdrawn(house):
    return house.newcomer("probe", {}, {"status": "withdrawn", "occurred_at": days_ago(5)})


def other_purpose(house):
    return house.newcomer("probe", {"purpose": "newsletter", "notice": "newsletter@1"})


def other_channel(house):
    return house.newcomer("probe", {"channels": "sms"})


def suppressed(house):
    person = house.newcomer("probe", {})
    house.take("suppressions", {"email": " PROBE@Post.Example ", "reason": "complaint",
                                "since": days_ago(3), "source": "list of the old mailing tool"})  # fmt: skip
    return person


def restricted(house):
    person = house.newcomer("probe", {})
    rights.restrict(house.desk, person, "accuracy contested", OFFICER)
    return person


def reimported(house):
    person = house.newcomer("probe", {})
    block = Block("unsubscribe", "purpose", "offers")
    preferences.suppress(house.desk, Channel.EMAIL, ADDRESS, block, "one_click")
    house.ws.erase(person, "rq-1")
    return house.newcomer("probe", {"idempotency_key": "again"}, source="a later list")


STATES = {
    "not_customer": no_permit,
    "expired": expired,
    "withdrawn": withdrawn,
    "not_customer: other purpose": other_purpose,
    "channel_not_consented": other_channel,
    "suppressed_complaint": suppressed,
    "restricted": restricted,
    "suppressed_unsubscribe": reimported,
}


def by_preview(house, person):
    return house.preview([person]).reachable


def by_booking(house, person):
    return house.book([person]).booked


def by_sending(house, person):
    house.send([person])
    return house.delivered()[ADDRESS]


def by_resuming(house, person):
    house.send([person])
    house.at(NOW + timedelta(minutes=20)).send([person])
    return house.delivered()[ADDRESS]


ROUTES = [by_preview, by_booking, by_sending, by_resuming]


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__)
@pytest.mark.parametrize("state", STATES)
def test_no_route_reaches_anybody_who_may_not_be_reached(house, state, route):
    person = STATES[state](house)
    assert state.partition(":")[0] in house.codes(person)
    assert route(house, person) == 0
    assert house.mails() == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__)
def test_each_of_these_routes_does_reach_somebody_who_agreed(house, route):
    assert route(house, house.newcomer("probe", {})) == 1


def ran_out(house, person):
    return house.at(NOW + timedelta(hours=2))


def stopped_by_parent(house, person):
    house.say(person, "withdrawn", "marketing", ("*",), method="button")


def invalidated(house, person):
    house.say(person, "invalidated", method="ruling")


def one_click(house, person):
    mine = Actor(Role.PERSON, person.hex())
    preferences.suppress(
        house.desk, Channel.EMAIL, ADDRESS, Block("unsubscribe"), "one_click", mine
    )


def put_aside(house, person):
    rights.restrict(house.desk, person, "accuracy contested", OFFICER)


def went_to_zero(house, person):
    house.say(person, "refused", "personalise", (), level=0, method="button")


def came_back_new(house, person):
    house.ws.erase(person, "rq-1")
    house.newcomer("probe", source="a later list")


def entered_the_registry(house, person):
    house.take("registry", registry_hash(ADDRESS), head=registry_head(days_ago(1)))


LATE = {
    "expired": ran_out,
    "withdrawn": lambda house, person: house.say(person, "withdrawn", method="button"),
    "withdrawn: from all marketing": stopped_by_parent,
    "withdrawn: invalidated": invalidated,
    "suppressed_unsubscribe": one_click,
    "restricted": put_aside,
    "level_zero": went_to_zero,
    "registry_block": entered_the_registry,
}


@pytest.mark.parametrize("change", LATE)
def test_what_changes_between_booking_and_hand_over_keeps_the_message_in_the_house(house, change):
    nearly_two_years = NOW.astimezone(UTC).replace(year=NOW.year - 2) + timedelta(hours=1)
    person = house.newcomer(
        "probe", {"notice": "offers@2", "occurred_at": nearly_two_years.isoformat()}
    )
    assert house.book([person]).booked == 1
    LATE[change](house, person)
    handed = house.hand_over()
    assert (handed.handed, house.mails()) == (0, [])
    code = change.partition(":")[0]
    assert sum(handed.withheld.values()) == 1
    if ":" not in change:
        assert handed.withheld == Counter({code: 1})
    told = [e.payload for e in house.chain(person) if e.type == "message.withheld"]
    assert len(told) == 1
    assert told[0].reasons


def test_a_message_booked_for_an_erased_person_leaves_with_them_and_never_goes(house):
    person = house.newcomer("probe", {})
    assert house.book([person]).booked == 1
    came_back_new(house, person)
    assert house.hand_over().handed == 0
    assert house.mails() == []


def test_a_withdrawal_between_preview_and_send_is_obeyed_and_recorded(house):
    people = house.everybody("cast-adult", "cast-lapsed")
    assert house.preview(people).reachable == 2
    house.say(people[0], "withdrawn", method="button")
    house.send(people)
    assert house.delivered() == Counter({"annelie.vandermerwe@mail.example": 1})
    refusal = house.chain(people[0])[-1]
    assert refusal.type == "use.refused"
    assert [r["code"] for r in refusal.payload.reasons] == ["withdrawn"]


def test_of_the_whole_cast_only_those_who_agreed_are_mailed(house):
    house.send(house.everybody(*(who.external_id for who in cast_members())))
    assert house.delivered() == Counter(
        {
            "thandeka.mokoena@post.example": 1,
            "annelie.vandermerwe@mail.example": 1,
            "praveen.naidoo@mail.example": 1,
            "yellowwood.guesthouse@post.example": 1,
            "mqhayi.family@inbox.example": 1,
            "robyn.turner@mail.example": 1,
            "annika.schroeder@post.example": 1,
            "marisol.ibarra@mail.example": 1,
        }
    )


def test_a_minor_is_reached_only_by_what_a_competent_person_agreed_to(house):
    minor = house.person("cast-minor")
    assert "minor" in house.codes(minor)
    child = {"birth_year": "2012", "competent_person_email": "parent@post.example"}
    guarded = house.newcomer("guarded", {"given_by": "competent_person"}, **child)
    alone = house.newcomer("alone", {}, **child)
    assert house.codes(guarded) == []
    assert "minor" in house.codes(alone)


def test_a_guardian_who_agreed_to_the_letter_did_not_agree_to_offers(house):
    minor = house.person("cast-minor")
    assert house.codes(minor, house.campaign("letter", "newsletter")) == []
    house.send([minor])
    assert house.mails() == []


def test_a_company_has_the_rights_of_a_person_and_its_employee_is_somebody_else(house):
    company = house.person("cast-organisation")
    employee = house.newcomer("employee", {})
    house.say(company, "objected", "marketing", ("*",), method="paper")
    assert house.codes(company) == ["objected"]
    assert house.codes(employee) == []


def test_nobody_knows_where_they_live_so_both_regimes_speak(house):
    nowhere = house.newcomer("nowhere", residence="", zone="")
    rules = {r.rule.partition("-")[0] for r in house.decide(nowhere).reasons}
    assert {"ZA", "EU"} <= rules
    here = house.newcomer("here")
    assert {r.rule.partition("-")[0] for r in house.decide(here).reasons} == {"ZA"}


def test_unknown_actors_and_roles_without_the_duty_reach_nobody(house):
    person = house.person("cast-adult")
    for actor in (
        Actor(Role.MARKETER, "somebody@else.example"),
        Actor(Role.IT, "gareth@marula.example"),
        Actor(Role.SUPPORT, "fatima@marula.example"),
    ):
        answer = house.decide(person, actor=actor)
        assert [str(r.code) for r in answer.reasons] != []
        assert house.book([person], house.campaign(actor.id), actor).booked == 0
    assert house.decide(person, actor=MARKETER).purpose == "offers"


def test_a_purpose_nobody_published_is_no_purpose(house):
    person = house.person("cast-adult")
    assert house.codes(person, house.campaign("odd", "telepathy"))[0] == "unknown_purpose"
    with pytest.raises(InvalidInput):
        house.say(person, "given", "telepathy", notice="offers@3", method="m", proof="p")


# The opt-out registry (rules.md, section 10, test 6)


def test_with_a_fresh_registry_file_the_agreed_are_mailed(house):
    assert house.codes(house.newcomer("probe", {})) == []


@pytest.mark.parametrize(
    "head",
    [registry_head(days_ago(32)), "", "# scheme: md5\n# as-of: 2026-11-16T10:00:00+02:00\n"],
    ids=["32 days old", "no head", "unknown scheme"],
)
def test_a_stale_or_unreadable_registry_file_stops_all_south_african_marketing(house, head):
    person = house.newcomer("probe", {})
    abroad = house.person("cast-european")
    house.take("registry", head=head)
    assert house.codes(person) == ["registry_stale"]
    assert house.decide(person).reasons[0].remedy == "upload_registry_file"
    assert house.codes(abroad) == []
    staff = Actor(Role.SUPPORT, "fatima@marula.example")
    receipt = house.campaign("receipt", "service")
    assert house.book([person], receipt, staff).booked == 1


def test_an_officers_dated_decision_lifts_staleness_alone_and_ends_by_itself(house):
    person = house.newcomer("probe", {})
    house.take("registry", registry_hash("blocked@post.example"), head=registry_head(days_ago(32)))
    blocked = house.newcomer("blocked", {})
    assert house.codes(person) == ["registry_stale"]
    ends = NOW + timedelta(hours=2)
    preferences.waive_registry(
        house.desk, "ZA", OFFICER, "file format unknown", instant(NOW), instant(ends)
    )
    assert house.codes(person) == []
    assert "registry_block" in house.codes(blocked)
    assert house.send([person, blocked]).handed == 1
    booked = [e.payload for e in house.chain(person) if e.type == "message.booked"]
    assert booked[0].waiver == "waiver:ZA@1"
    house.at(ends - timedelta(seconds=1))
    assert house.codes(person) == []
    house.at(ends + timedelta(seconds=1))
    assert house.codes(person) == ["registry_stale"]
    assert "registry_block" in house.codes(blocked)


@pytest.mark.parametrize(
    ("officer", "reason", "days"),
    [(MARKETER, "because", 5), (OFFICER, " ", 5), (OFFICER, "x", 32)],
)
def test_nobody_else_without_reason_or_for_longer_may_decide_so(house, officer, reason, days):
    since = instant(NOW)
    with pytest.raises(InvalidInput):
        preferences.waive_registry(
            house.desk, "ZA", officer, reason, since, instant(NOW + timedelta(days=days))
        )


def test_who_was_blocked_before_they_were_known_stays_blocked_when_they_arrive(house):
    house.take("registry", registry_hash("probe@post.example"), head=registry_head(days_ago(1)))
    person = house.newcomer("probe", {})
    assert "registry_block" in house.codes(person)
    house.take("registry", head=registry_head(days_ago(0)))
    assert house.codes(person) == []


# Quiet times


@pytest.mark.parametrize(
    ("at", "open_"),
    [
        ("2026-11-17T19:59:59+02:00", True),
        ("2026-11-17T20:00:00+02:00", False),
        ("2026-11-21T12:59:59+02:00", True),
        ("2026-11-21T13:00:00+02:00", False),
        ("2026-11-22T11:00:00+02:00", False),
    ],
)
def test_in_quiet_times_nothing_goes_and_the_reading_is_named_as_cautious(house, at, open_):
    person = house.newcomer("probe", {})
    house.at(datetime.fromisoformat(at))
    assert house.codes(person) == ([] if open_ else ["quiet_hours"])


def test_a_message_booked_before_and_dispatched_after_eight_is_held_back(house):
    person = house.newcomer("probe", {})
    house.at(datetime.fromisoformat("2026-11-17T19:58:00+02:00"))
    assert house.book([person]).booked == 1
    house.at(datetime.fromisoformat("2026-11-17T20:03:00+02:00"))
    assert house.hand_over().handed == 0
    assert house.mails() == []


def test_no_more_than_four_marketing_messages_in_thirty_days(house):
    person = house.newcomer("probe", {})
    for number in range(5):
        house.send([person], house.campaign(f"c{number}"))
        house.at(NOW + timedelta(minutes=number + 1))
    assert house.delivered()[ADDRESS] == 4
    assert house.codes(person, house.campaign("c9")) == ["frequency_cap"]


def test_a_customer_who_only_bought_may_be_mailed_with_all_six_facts_and_not_with_five(house):
    facts = {"relation_kind": "sale", "details_from_sale": "yes", "objection_offered": "yes"}
    assert house.codes(house.newcomer("six", **facts)) == []
    for place, (name, instead) in enumerate(
        [("relation_kind", "inquiry"), ("details_from_sale", "no"), ("objection_offered", "no"),
         ("relation_goods", "insurance")]
    ):  # fmt: skip
        five = house.newcomer(f"five-{place}", **{**facts, name: instead})
        assert house.codes(five) != []
    said_no = house.newcomer("refused", {"status": "refused"}, **facts)
    assert house.codes(said_no) == ["refused"]


def test_somebody_nobody_can_write_to_is_refused_and_breaks_nothing(house):
    row = {**BLANK, "external_id": "mute", "email": "", "phone": ""}
    house.take("customers", row)
    house.consents("mute", {})
    people = [house.person("mute"), house.newcomer("probe", {})]
    assert house.codes(people[0]) != []
    assert house.send(people).handed == 1
