"""Law 3: silence is not consent, a preference can only narrow, a suppression outlives everything.

Later work adds restore from a backup, where the journal wins.
"""

from collections import Counter
from datetime import timedelta

import pytest
from marula import BLANK, NOW, OFFICER, days_ago

from troth import app
from troth.capabilities import merging, preferences, rights
from troth.errors import InvalidInput, NotFound
from troth.kernel import consent
from troth.terms import Actor, Block, Channel, ConsentStatus, Role, instant

ADDRESS = "probe@post.example"
SALE = {"relation_kind": "sale", "details_from_sale": "yes", "objection_offered": "yes"}


def statuses(house, person):
    return [e.type for e in house.chain(person) if e.type.startswith("consent.")]


@pytest.mark.parametrize("lacking", ["notice", "occurred_at", "method", "proof"])
def test_a_yes_in_a_file_without_any_one_of_its_four_proofs_is_unknown_and_counted(house, lacking):
    person = house.newcomer()
    report = house.consents("probe", {lacking: ""})
    assert report.outcomes["unproven"] == 1
    assert statuses(house, person) == ["consent.imported"]
    assert house.codes(person) != []


def test_a_yes_with_all_four_is_a_yes(house):
    person = house.newcomer()
    assert house.consents("probe", {}).outcomes["unproven"] == 0
    assert house.codes(person) == []


@pytest.mark.parametrize("notice", ["offers@9", "offers", "nothing@1"])
def test_a_yes_to_a_notice_nobody_published_is_no_yes(house, notice):
    person = house.newcomer("probe", {"notice": notice})
    assert house.codes(person) != []


@pytest.mark.parametrize("channels", ["all", "", "email;post"])
def test_a_grant_names_each_channel_and_only_channels_the_purpose_has(house, channels):
    assert house.codes(house.newcomer("probe", {"channels": channels})) != []


@pytest.mark.parametrize("status", ["requested", "request_deferred", "imported"])
def test_asked_put_off_and_carried_over_are_no_yes_and_no_no(house, status):
    silent = house.newcomer("silent", {"status": status})
    assert house.codes(silent) != []
    assert not {"refused", "withdrawn"} & set(house.codes(silent))
    customer = house.newcomer("customer", {"status": status}, **SALE)
    assert house.codes(customer) == []


@pytest.mark.parametrize("lacking", ["notice", "method", "proof"])
def test_staff_cannot_record_a_yes_without_its_proof_either(house, lacking):
    person = house.newcomer()
    told = {"notice": "offers@3", "method": "button", "proof": "form:1"}
    before = house.chain(person)
    with pytest.raises(InvalidInput):
        house.say(person, "given", **{**told, lacking: ""})
    assert house.chain(person) == before
    house.say(person, "given", **told)
    assert house.codes(person) == []


def test_an_import_never_lifts_a_suppression_however_new_its_yes(house):
    person = house.newcomer("probe", {})
    block = {"email": ADDRESS, "reason": "unsubscribe", "since": days_ago(200), "source": "list"}
    house.take("suppressions", block)
    report = house.consents("probe", {"occurred_at": days_ago(0, hours=1), "proof": "form:2"})
    assert report.outcomes["act.given"] == 1
    assert "suppressed_unsubscribe" in house.codes(person)
    house.take("customers", {**BLANK, "external_id": "probe", "email": ADDRESS, **SALE})
    assert "suppressed_unsubscribe" in house.codes(person)
    house.send([person])
    assert house.mails() == []


def test_a_customer_file_read_again_changes_nobody_and_makes_nobody_twice(house):
    person = house.newcomer("probe", {"status": "withdrawn"})
    again = {**BLANK, **SALE, "external_id": "probe", "email": ADDRESS, "residence": "DE"}
    report = house.take("customers", again)
    assert report.outcomes["known"] == 1
    assert house.person("probe") == person
    assert house.record(person).residence == "ZA"
    assert house.codes(person) == ["withdrawn"]


def test_a_row_that_stands_twice_in_one_file_makes_one_person(house):
    row = {**BLANK, "external_id": "twice", "email": "twice@post.example"}
    house.take("customers", row, {**row, "given_name": "Twice"})
    with house.ws.store.look() as view:
        from troth.capabilities import people

        found = people.find_by_address(house.desk, view, Channel.EMAIL, row["email"])
    assert found == [house.person("twice")]


def test_an_act_that_stands_twice_counts_once_in_one_file_and_in_two(house):
    key = {"idempotency_key": "form-77"}
    person = house.newcomer("probe", key, {**key, "proof": "form:other"})
    assert statuses(house, person) == ["consent.given"]
    house.consents("probe", key, {"idempotency_key": "form-78"})
    assert statuses(house, person) == ["consent.given", "consent.given"]


def test_a_key_used_again_by_mistake_never_swallows_a_withdrawal(house):
    key = {"idempotency_key": "form-77"}
    person = house.newcomer(
        "probe", key, {**key, "status": "withdrawn", "occurred_at": days_ago(1)}
    )
    assert house.codes(person) == ["withdrawn"]


def test_a_late_paper_form_counts_by_the_day_it_was_signed(house):
    person = house.newcomer("probe", {"status": "withdrawn", "occurred_at": days_ago(20)})
    house.consents("probe", {"method": "paper", "occurred_at": days_ago(90)})
    assert house.codes(person) == ["withdrawn"]
    house.consents("probe", {"method": "paper", "occurred_at": days_ago(10)})
    assert house.codes(person) == []


def test_as_of_the_send_still_shows_what_was_believed_when_a_withdrawal_arrives_late(house):
    person = house.newcomer("probe", {})
    assert house.send([person]).handed == 1
    sent_at = instant(NOW)
    later = NOW + timedelta(days=3)
    house.at(later)
    house.consents("probe", {"status": "withdrawn", "method": "paper", "occurred_at": days_ago(2)})
    acts = [
        consent.Stated(e.payload.purpose, e.payload.channels, _act(e))
        for e in house.chain(person)
        if e.type.startswith("consent.")
    ]
    believed = consent.as_of(acts, valid=sent_at, known=sent_at)
    truth = consent.as_of(acts, valid=sent_at, known=instant(later))
    assert believed.standings["offers|email"].deny is None
    assert truth.standings["offers|email"].deny.status == ConsentStatus.WITHDRAWN
    assert house.codes(person) == ["withdrawn"]


def _act(event):
    from troth.kernel.fold import consent_act

    return consent_act(event.payload, event.at, event.n)


def test_an_act_dated_tomorrow_waits(house):
    person = house.newcomer()
    report = house.consents("probe", {"occurred_at": (NOW + timedelta(days=1)).isoformat()})
    assert report.outcomes["future"] == 1
    assert house.codes(person) != []


@pytest.mark.parametrize("channels", [("email",), ("*",)])
@pytest.mark.parametrize("purpose", ["offers", "marketing"])
def test_a_stop_on_the_purpose_its_parent_one_channel_or_all_closes_the_channel(
    house, purpose, channels
):
    person = house.newcomer("probe", {})
    house.say(person, "withdrawn", purpose, channels, method="button")
    assert house.codes(person) == ["withdrawn"]


def test_a_stop_of_one_letter_leaves_another_that_was_agreed_to(house):
    person = house.newcomer("probe", {}, {"purpose": "newsletter", "notice": "newsletter@1"})
    house.say(person, "withdrawn", "newsletter", method="button")
    assert house.codes(person) == []
    assert house.codes(person, house.campaign("letter", "newsletter")) == ["withdrawn"]


def test_a_marketing_opt_out_leaves_receipts_and_answers_working(house):
    person = house.newcomer("probe", {})
    house.say(person, "objected", "marketing", ("*",), method="paper")
    assert house.codes(person) == ["objected"]
    support = Actor(Role.SUPPORT, "fatima@marula.example")
    receipt = house.campaign("receipt", "service")
    assert house.book([person], receipt, support).booked == 1
    house.hand_over(receipt, support)
    assert house.delivered() == Counter({ADDRESS: 1})


def test_a_later_proven_yes_of_the_person_ends_their_own_withdrawal(house):
    person = house.newcomer("probe", {}, {"status": "withdrawn", "occurred_at": days_ago(9)})
    house.say(person, "given", notice="offers@3", method="button", proof="form:9")
    assert house.codes(person) == []


@pytest.mark.parametrize("reason", ["complaint", "legal_hold", "hard_bounce"])
def test_no_yes_lifts_a_complaint_a_bounce_or_a_legal_hold(house, reason):
    person = house.newcomer("probe", {})
    preferences.suppress(house.desk, Channel.EMAIL, ADDRESS, Block(reason), "story")
    house.say(person, "given", notice="offers@3", method="button", proof="form:9")
    assert house.codes(person) != []


# Suppression and the shared mailbox


def test_two_people_of_one_mailbox_are_two_answers_and_one_mail(house):
    people = house.everybody("cast-shared-one", "cast-shared-two")
    house.send(people)
    assert house.delivered() == Counter({"mqhayi.family@inbox.example": 1})
    assert house.codes(people[1]) == ["refused"]


def test_a_suppressed_mailbox_is_closed_to_everybody_who_shares_it(house):
    people = house.everybody("cast-shared-one", "cast-shared-two")
    house.say(people[1], "given", notice="offers@3", method="button", proof="form:1")
    block = Block("unsubscribe")
    held = preferences.suppress(
        house.desk, Channel.EMAIL, "Mqhayi.Family@inbox.example ", block, "story"
    )
    assert held == 2
    for person in people:
        assert house.codes(person) == ["suppressed_unsubscribe"]
        assert house.chain(person)[-1].type == "suppression.added"


def test_one_click_stops_the_very_next_decision_for_all_who_share_the_mailbox(house):
    people = house.everybody("cast-shared-one", "cast-shared-two")
    house.say(people[1], "given", notice="offers@3", method="button", proof="form:1")
    house.send([people[0]])
    token = house.stop_token()
    preferences.read_token(house.desk, token)
    assert [house.codes(p) for p in people] == [[], []]
    preferences.unsubscribe(house.desk, token)
    assert "withdrawn" in house.codes(people[0])
    assert house.codes(people[1]) == ["suppressed_unsubscribe"]
    size = len(house.chain(people[0]))
    preferences.unsubscribe(house.desk, token)
    assert len(house.chain(people[0])) == size
    house.send(people, house.campaign("second"))
    assert len(house.mails()) == 1


def test_an_unknown_or_expired_token_stops_nothing(house):
    person = house.newcomer("probe", {})
    house.send([person])
    token = house.stop_token()
    for wrong in ("0" * 32, token[:-1], token + "0", ""):
        with pytest.raises(NotFound):
            preferences.unsubscribe(house.desk, wrong)
    house.at(NOW + timedelta(days=401))
    with pytest.raises(NotFound):
        preferences.unsubscribe(house.desk, token)
    assert "withdrawn" not in house.codes(person)


def test_erased_re_imported_and_merged_the_address_is_still_suppressed(house):
    person = house.newcomer("probe", {})
    preferences.suppress(house.desk, Channel.EMAIL, ADDRESS, Block("unsubscribe"), "story")
    house.ws.erase(person, "rq-1")
    again = house.newcomer("probe", {"proof": "form:new"}, source="a later list")
    assert again != person
    assert house.codes(again) == ["suppressed_unsubscribe"]
    other = house.newcomer("other", {})
    assert house.codes(other) == []
    merging.merge(house.desk, other, again, "one person, two cards", OFFICER)
    assert house.codes(other) != []
    house.send([again, other])
    assert house.mails() == []


def test_merging_somebody_who_agreed_with_somebody_who_withdrew_gives_withdrawn(house):
    yes = house.newcomer("yes", {"occurred_at": days_ago(1)})
    no = house.newcomer("no", {}, {"status": "withdrawn", "occurred_at": days_ago(50)})
    assert house.codes(yes) == []
    merging.merge(house.desk, yes, no, "one person, two cards", OFFICER)
    assert house.codes(yes) == ["withdrawn"]
    assert house.send([yes, no]).handed == 0
    merging.unmerge(house.desk, yes, no, "two people after all", OFFICER)
    assert house.codes(yes) == []


def test_a_withdrawal_in_a_file_holds_again_for_somebody_erased_and_brought_back(house):
    stop = {"status": "withdrawn", "idempotency_key": "stop-1"}
    person = house.newcomer("probe", stop, **SALE)
    assert house.codes(person) == ["withdrawn"]
    house.ws.erase(person, "rq-1")
    again = house.newcomer("probe", stop, {"purpose": "newsletter"}, source="later", **SALE)
    assert again != person
    assert house.codes(again) == ["suppressed_unsubscribe", "withdrawn"]


def test_every_restriction_is_in_the_journal_before_the_answer_is_given(house):
    def journalled():
        return [line for line in house.desk.journal.lines() if line["act"] != "erasure"]

    before = len(journalled())
    person = house.newcomer("probe", {}, {"status": "withdrawn", "occurred_at": days_ago(3)})
    house.say(person, "objected", "marketing", ("*",), method="paper")
    preferences.suppress(house.desk, Channel.EMAIL, ADDRESS, Block("complaint"), "story")
    rights.restrict(house.desk, person, "contested", OFFICER)
    said = [line.get("status", line["act"]) for line in journalled()[before:]]
    assert said == ["withdrawn", "objected", "suppression", "suppression", "restricted"]


def test_the_same_file_after_an_erasure_brings_nobody_back(house):
    person = house.newcomer("probe", {})
    path = max(house.folder.glob("customers-*.csv"), key=lambda p: p.stat().st_mtime)
    house.ws.erase(person, "rq-1")
    app.import_file(house.ws, "customers", path)
    assert house.person("probe") is None
