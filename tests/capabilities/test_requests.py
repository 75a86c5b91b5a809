"""Requests in a real house: asked, moved, listed; a deletion with grace, its check, its paper."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from marula import days_ago

from troth import app
from troth.app import intake, package, request_acts
from troth.app import requests as desk_of
from troth.capabilities import merging, people, preferences, rights
from troth.capabilities.access.reading import Reading
from troth.capabilities.rights import certificates, waiting
from troth.capabilities.rights import requests_rules as rules
from troth.capabilities.rights.requests import Asked, Move
from troth.errors import EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.terms import DAY, Action, Actor, Block, Channel, Instant, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
OTHER = Actor(Role.OFFICER, "second@marula.example")
SUPPORT = Actor(Role.SUPPORT, "desk@marula.example")
MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
ACCESS, DELETION = Asked("access"), Asked("deletion")


def me(person):
    return Actor(Role.PERSON, person.hex())


def queued(house):
    with house.ws.store.look() as view:
        return rights.queue(view)


def tables(house, *names):
    with house.ws.store.look() as view:
        return {name: view.rows(name, b"", b"", 100) for name in names}


def states(house, person):
    with house.ws.store.look() as view:
        return [r.state for r in rights.requests_of(house.desk, view, person)]


def test_a_request_of_a_session_is_verified_and_due_by_its_rule(house):
    person = house.newcomer()
    made = rights.open_request(house.desk, person, ACCESS, me(person))
    assert (made.state, made.rule, made.how) == ("verified", "ZA-9", "portal")
    assert [r.id for r in queued(house)] == [made.id]
    assert queued(house)[0].due == made.due
    with house.ws.store.look() as view:
        assert rights.whose(view, made.id) == person


def test_the_list_of_the_desk_names_nobody(house):
    person = house.newcomer("probe", given_name="Zzyzxqueline")
    words = replace(ACCESS, text="Zzyzx wants it")
    rights.open_request(house.desk, person, words, me(person))
    raw = b"".join(
        v for rows in tables(house, waiting.OPEN, waiting.WHOSE).values() for _, v in rows
    )
    assert b"Zzyzx" not in raw
    assert b"probe" not in raw


def test_repeating_with_the_same_key_opens_one_request(house):
    person = house.newcomer()
    asked = replace(ACCESS, key="form-17")
    one = rights.open_request(house.desk, person, asked, me(person))
    assert rights.open_request(house.desk, person, asked, me(person)) == one
    assert states(house, person) == ["verified"]


def test_a_second_request_of_the_same_right_is_linked_not_refused(house):
    person = house.newcomer()
    first = rights.open_request(house.desk, person, ACCESS, me(person))
    second = rights.open_request(house.desk, person, ACCESS, me(person))
    assert (second.state, second.other) == ("linked", first.id)
    assert [r.id for r in queued(house)] == [first.id]


def test_who_asks_too_often_in_a_day_is_told_to_wait_and_others_are_not(house):
    person, other = house.newcomer(), house.newcomer("other")
    for _ in range(6):
        rights.open_request(house.desk, person, ACCESS, me(person))
    with pytest.raises(Unavailable):
        rights.open_request(house.desk, person, ACCESS, me(person))
    assert rights.open_request(house.desk, other, ACCESS, me(other)).open
    house.at(house.when() + timedelta(days=1))
    assert rights.open_request(house.desk, person, ACCESS, me(person)).state == "linked"


def test_a_letter_counts_from_the_day_it_came_and_waits_for_proof(house):
    person = house.newcomer()
    with house.ws.store.look() as view:
        came = Instant(view.now - 10 * DAY)
    letter = Asked("access", how="letter", received=came, proven=False)
    made = rights.open_request(house.desk, person, letter, SUPPORT)
    assert (made.state, made.received // 10**6) == ("identity_pending", came // 10**6)
    today = rights.open_request(house.desk, house.newcomer("two"), ACCESS, SUPPORT)
    assert made.due < today.due
    stop = rights.open_request(house.desk, person, replace(letter, right="objection"), SUPPORT)
    assert stop.state == "verified"
    late = replace(letter, received=Instant(came + 20 * DAY))
    with pytest.raises(InvalidInput):
        rights.open_request(house.desk, person, late, SUPPORT)


@pytest.mark.parametrize("asked", [Asked("everything"), Asked("access", text="x" * 4001)])
def test_what_does_not_read_opens_nothing(house, asked):
    person = house.newcomer()
    with pytest.raises(InvalidInput):
        rights.open_request(house.desk, person, asked, me(person))
    assert queued(house) == []


def test_a_marketer_opens_no_request_and_moves_none(house):
    person = house.newcomer()
    with pytest.raises(InvalidInput):
        rights.open_request(house.desk, person, ACCESS, MARKETER)
    made = rights.open_request(house.desk, person, ACCESS, me(person))
    with pytest.raises(InvalidInput):
        rights.move(house.desk, person, made.id, Move("planned"), MARKETER)


def test_an_extension_is_one_has_a_reason_and_stays_within_the_law(house):
    person = house.newcomer()
    made = rights.open_request(house.desk, person, ACCESS, me(person))
    with house.ws.store.look() as view:
        clock = rights.clock_of(house.desk, view, person, "access", made.received)
    good = Move("extended", "complex", "Three systems to search", clock.latest)
    for bad in (
        replace(good, ground=""),
        replace(good, ground="kept_by_law"),
        replace(good, text=" "),
        replace(good, due=Instant(clock.latest + DAY)),
        replace(good, due=made.due),
    ):
        with pytest.raises(InvalidInput):
            rights.move(house.desk, person, made.id, bad, OFFICER)
    done = rights.move(house.desk, person, made.id, good, OFFICER)
    assert done.due == clock.latest == queued(house)[0].due
    with pytest.raises(InvalidInput):
        rights.move(house.desk, person, made.id, good, OFFICER)


def test_nobody_closes_what_was_not_checked(house):
    person = house.newcomer()
    made = rights.open_request(house.desk, person, ACCESS, me(person))
    with pytest.raises(InvalidInput):
        rights.move(house.desk, person, made.id, Move("fulfilled", report=b"x"), OFFICER)
    desk_of.plan(house.ws, person, made.id, OFFICER)
    rights.move(house.desk, person, made.id, Move("approved"), OFFICER)
    for words in ("", "Sent by post on Monday"):
        with pytest.raises(InvalidInput, match="check"):
            desk_of.fulfil(house.ws, person, made.id, OFFICER, words)
    assert states(house, person) == ["executing"]
    package.build_for(house.ws, Reading(person, OFFICER, (), f"request:{made.id}", Action.EXPORT))
    done = desk_of.fulfil(house.ws, person, made.id, OFFICER, "Sent by post on Monday")
    assert (done.state, len(done.ground)) == ("fulfilled", 71)


def taken_up(house, person, asked, **move):
    made = rights.open_request(house.desk, person, asked, me(person))
    desk_of.plan(house.ws, person, made.id, OFFICER)
    return rights.move(house.desk, person, made.id, Move("approved", **move), OTHER)


def test_words_close_a_review_and_nothing_a_record_can_show(house):
    person = house.newcomer("probe", {})
    for right in ("access", "portability", "correction", "restriction", "objection"):
        made = taken_up(house, person, Asked(right))
        with pytest.raises(InvalidInput, match="check"):
            desk_of.fulfil(house.ws, person, made.id, OFFICER, "all done")
    made = taken_up(house, person, Asked("review"))
    with pytest.raises(InvalidInput, match="check"):
        desk_of.fulfil(house.ws, person, made.id, OFFICER, " ")
    assert desk_of.fulfil(house.ws, person, made.id, OFFICER, "It stays, for").state == "fulfilled"


def test_a_deletion_is_approved_for_a_moment_or_not_at_all(house):
    person = house.newcomer("probe", {})
    with pytest.raises(InvalidInput, match="moment"):
        taken_up(house, person, DELETION)
    assert (states(house, person), house.codes(person)) == (["planned"], [])


def test_what_only_grew_too_old_closes_no_deletion(house):
    held = rules.Request("rq-a", "deletion", "executing", Instant(0), Instant(1), "ZA-8", "mail")
    aged = events.RetentionApplied(("views",), (), "cookies")
    assert not desk_of._seen(held, [aged])
    assert desk_of._seen(held, [replace(aged, rule="request")])
    assert desk_of._seen(held, [replace(aged, rule="rq-a")])
    assert desk_of._seen(held, [events.BehaviourDeleted(1, "kind", {}, {}, "own wish")])


def test_a_correction_is_closed_by_its_own_fields_alone(house):
    person = house.newcomer("probe", {}, given_name="Ana")
    made = taken_up(house, person, Asked("correction", scope=("name.given", "contact.email")))
    rights.correct(house.desk, person, "name.given", "Anna", "desk", SUPPORT)
    with pytest.raises(InvalidInput, match="check"):
        desk_of.fulfil(house.ws, person, made.id, OFFICER, "done")
    people.change_address(house.desk, person, Channel.EMAIL, "new@post.example", "desk", OFFICER)
    assert desk_of.fulfil(house.ws, person, made.id, OFFICER).state == "fulfilled"


# Only storing: each ends their own


def test_whoever_lifts_a_restriction_lifts_their_own_and_never_a_grace(house):
    person = house.newcomer("probe", {})
    rights.restrict(house.desk, person, "disputed", OFFICER)
    with pytest.raises(InvalidInput, match="not restricted by you"):
        rights.lift_restriction(house.desk, person, "mine", me(person))
    request_acts.only_store(house.ws, person, me(person))
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    rights.lift_restriction(house.desk, person, "mine", me(person))
    assert "restricted" in house.codes(person)
    rights.lift_restriction(house.desk, person, "settled", OFFICER)
    assert "restricted" in house.codes(person)
    with house.ws.store.look() as view:
        assert list(rights.holds(house.desk, view, person)) == [f"deletion {made.id}"]
    desk_of.cancel(house.ws, person, made.id, me(person))
    assert house.codes(person) == []


def test_a_persons_own_wish_outlives_the_deletion_they_took_back_and_is_theirs_to_lift(house):
    person = house.newcomer("probe", {})
    request_acts.only_store(house.ws, person, me(person))
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    desk_of.cancel(house.ws, person, made.id, me(person))
    assert "restricted" in house.codes(person)
    rights.lift_restriction(house.desk, person, "mine", me(person))
    assert house.codes(person) == []


def test_a_deletion_refused_in_its_grace_leaves_nobody_restricted(house):
    person = house.newcomer("probe", {})
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    no = Move("denied", ground="kept_by_law", text="An order came")
    rights.move(house.desk, person, made.id, no, OFFICER)
    assert house.codes(person) == []


def test_a_grace_of_an_id_merged_since_is_kept_and_ended_for_the_one_who_stays(house):
    one, two = house.newcomer("one", {}), house.newcomer("two", {"idempotency_key": "b"})
    made = desk_of.ask_deletion(house.ws, two, DELETION, me(two), wait=True)
    merging.merge(house.desk, one, two, "the same person", OFFICER)
    rights.restrict(house.desk, two, "disputed", OFFICER)
    rights.lift_restriction(house.desk, two, "settled", OFFICER)
    assert "restricted" in house.codes(one)
    desk_of.cancel(house.ws, one, made.id, me(one))
    assert house.codes(one) == []


def test_the_days_to_think_are_cut_short_by_the_person_alone(house):
    person = house.newcomer("probe", {})
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    for actor in (OFFICER, desk_of.HOUSE):
        with pytest.raises(InvalidInput, match="days to think"):
            desk_of.carry_out(house.ws, person, made.id, actor)
    assert desk_of.carry_out(house.ws, person, made.id, me(person)).data["request"] == made.id


def test_a_reminder_is_noted_once_its_letter_is_written(house, monkeypatch):
    person = house.newcomer("probe", {})
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    house.at(house.when() + timedelta(days=6, hours=1))
    with monkeypatch.context() as patch:
        patch.setattr(desk_of.request_letters, "write", _cut)
        assert desk_of.tend(house.ws)["reminded"] == 0
    with house.ws.store.look() as view:
        assert rights.request_of(house.desk, view, person, made.id).acted("noted") is None
    assert desk_of.tend(house.ws)["reminded"] == 1


def test_keys_and_duplicates_hold_over_every_id_of_a_person(house):
    one, two = house.newcomer("one"), house.newcomer("two")
    made = rights.open_request(house.desk, two, replace(ACCESS, key="form-17"), me(two))
    merging.merge(house.desk, one, two, "the same person", OFFICER)
    again = rights.open_request(house.desk, one, replace(ACCESS, key="form-17"), me(one))
    assert again.id == made.id
    linked = rights.open_request(house.desk, one, ACCESS, me(one))
    assert (linked.state, linked.other) == ("linked", made.id)


def test_what_was_asked_often_puts_off_nothing_else_and_never_a_deletion(house):
    person = house.newcomer()
    for _ in range(6):
        rights.open_request(house.desk, person, ACCESS, me(person))
    assert rights.open_request(house.desk, person, Asked("review"), me(person)).open
    for _ in range(8):
        rights.open_request(house.desk, person, DELETION, me(person))


@pytest.mark.parametrize("act", [request_acts.only_store, request_acts.no_marketing])
def test_a_stop_that_stands_is_returned_and_written_no_second_time(house, act):
    person = house.newcomer("probe", {})
    made, _ = act(house.ws, person, me(person))
    before = len(house.chain(person))
    assert act(house.ws, person, me(person))[0] == made
    assert len(house.chain(person)) == before


def test_a_stop_that_ended_since_is_done_again(house):
    person = house.newcomer("probe", {})
    made, _ = request_acts.only_store(house.ws, person, me(person))
    rights.lift_restriction(house.desk, person, "mine", me(person))
    again, n = request_acts.only_store(house.ws, person, me(person))
    assert again.id != made.id
    assert house.chain(person)[n - 1].type == "processing.restricted"


def test_an_erasure_outside_any_request_takes_and_counts_what_waited_unproven(house):
    person, other = house.newcomer("probe", {}), house.newcomer("other")
    intake.take(house.ws, intake.Brought("access", "probe@post.example", "Zzyzx"))
    intake.take(house.ws, intake.Brought("access", "other@post.example"))
    assert house.ws.erase(person, "rq-desk").counts["asked"] == 1
    assert intake.waiting(house.ws) == 1
    assert len(intake.under(house.ws, other)) == 1


def test_what_waits_under_a_shared_address_stays_when_one_of_two_leaves(house):
    shared = {"email": "pair@post.example"}
    one, two = house.newcomer("one", **shared), house.newcomer("two", **shared)
    intake.take(house.ws, intake.Brought("access", "pair@post.example", "Zzyzx"))
    assert intake.under(house.ws, one) == intake.under(house.ws, two) == []
    place = tables(house, intake.INTAKE)[intake.INTAKE][0][0].hex()
    with pytest.raises(NotFound):
        request_acts.adopt(house.ws, two, place, me(two))
    house.ws.erase(one, "rq-desk")
    assert [found.text for found in intake.under(house.ws, two)] == ["Zzyzx"]


def test_a_closed_request_leaves_nothing_in_clear_but_ids_and_these_go_too(house):
    person = house.newcomer()
    made = rights.open_request(house.desk, person, ACCESS, me(person))
    rights.move(house.desk, person, made.id, Move("withdrawn"), me(person))
    assert queued(house) == []
    held = tables(house, waiting.OPEN, waiting.GRACE, waiting.WHOSE)
    assert [len(held[name]) for name in held] == [0, 0, 1]
    assert waiting.forget_closed(house.desk) == 0
    house.at(house.when() + timedelta(days=61))
    assert waiting.forget_closed(house.desk) == 1
    with house.ws.store.look() as view, pytest.raises(NotFound):
        rights.whose(view, made.id)
    assert states(house, person) == ["withdrawn"]


def test_whoever_took_a_deletion_in_for_somebody_does_not_approve_it(house):
    person = house.newcomer()
    letter = replace(DELETION, how="letter")
    made = desk_of.ask_deletion(house.ws, person, letter, OFFICER, wait=True)
    assert made.state == "planned"
    with pytest.raises(InvalidInput, match="another officer"):
        desk_of.approve(house.ws, person, made.id, OFFICER, wait=False)
    assert desk_of.approve(house.ws, person, made.id, OTHER, wait=False).state == "approved"


def test_requests_of_a_merged_id_stay_with_the_one_who_stays(house):
    one, two = house.newcomer(), house.newcomer("two")
    made = rights.open_request(house.desk, two, ACCESS, me(two))
    merging.merge(house.desk, one, two, "the same person", OFFICER)
    with house.ws.store.look() as view:
        assert [r.id for r in rights.requests_of(house.desk, view, one)] == [made.id]
    assert rights.move(house.desk, one, made.id, Move("withdrawn"), me(one)).state == "withdrawn"
    again = rights.open_request(house.desk, two, ACCESS, me(one))
    with house.ws.store.look() as view:
        assert rights.whose(view, again.id) == one


def test_the_alarms_ring_before_a_request_is_overdue(house):
    person = house.newcomer()
    rights.open_request(house.desk, person, ACCESS, me(person))
    seen = []
    for days in (0, 21, 31):
        house.at(house.when() + timedelta(days=days if days == 0 else 21 if days == 21 else 10))
        with house.ws.store.look() as view:
            seen.append([c for c, n in rights.alarms(view).items() if n])
    assert seen == [["green"], ["amber"], ["red"]]


def test_the_status_speaks_the_rights_protocol_and_holds_nothing_of_the_person(house):
    person = house.newcomer("probe", given_name="Zzyzxqueline")
    words = replace(ACCESS, text="Zzyzx wants it")
    made = rights.open_request(house.desk, person, words, me(person))
    told = rights.status(made)
    assert {"request_id", "received_at", "expected_by", "status"} <= told.keys()
    assert told["status"] == "in_progress"
    assert "Zzyzx" not in json.dumps(told)
    assert person.hex() not in json.dumps(told)


# Deletion


def test_in_the_days_of_grace_nothing_is_used_and_taking_it_back_undoes_all(house):
    person = house.newcomer("probe", {})
    assert house.codes(person) == []
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    assert made.state == "approved"
    assert made.carried_out // DAY - made.received // DAY == 7
    assert "restricted" in house.codes(person)
    assert desk_of.tend(house.ws)["erased"] == 0
    again = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=False)
    assert (again.id, again.carried_out) == (made.id, made.carried_out)
    desk_of.cancel(house.ws, person, made.id, me(person))
    assert house.codes(person) == []
    house.at(house.when() + timedelta(days=8))
    assert desk_of.tend(house.ws)["erased"] == 0
    assert states(house, person) == ["withdrawn"]


def test_taking_a_deletion_back_leaves_a_restriction_that_was_there_before(house):
    person = house.newcomer("probe", {})
    rights.restrict(house.desk, person, "the person's own", me(person))
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    desk_of.cancel(house.ws, person, made.id, me(person))
    assert "restricted" in house.codes(person)


def test_the_house_reminds_once_and_erases_when_the_grace_is_over(house):
    person = house.newcomer("probe", {})
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    house.at(house.when() + timedelta(days=6, hours=1))
    assert [desk_of.tend(house.ws)["reminded"] for _ in range(2)] == [1, 0]
    house.at(house.when() + timedelta(days=1))
    app.Housekeeping(house.ws).round(Instant(1))
    assert rights.is_erased(house.desk, person)
    token = certificates.token_of(house.desk, made.id)
    assert certificates.handed(house.desk, token).data["request"] == made.id
    assert queued(house) == []


def test_the_certificate_says_what_was_checked_and_verifies_without_the_house(house):
    person = house.newcomer("probe", {})
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=False)
    got = desk_of.carry_out(house.ws, person, made.id)
    assert set(got.data["left"].values()) == {0}
    assert {"keys", "timeline", "sealed_values"} <= got.data["left"].keys()
    policy = house.ws.signer.policy
    said = certificates.verify(got.paper, got.proof, policy)
    assert said["type"] == "erase.done"
    for paper, text in (
        (got.paper.replace(b'"keys_destroyed":', b'"keys_destroyed":1'), got.proof),
        (
            got.paper,
            got.proof.replace(f"index {got.data['leaf']}", f"index {got.data['leaf'] - 1}"),
        ),
    ):
        with pytest.raises(EvidenceBroken):
            certificates.verify(paper, text, policy)
    with pytest.raises(InvalidInput):
        certificates.verify(got.paper, "no proof at all", policy)


def test_a_certificate_holds_no_name_and_no_address(house):
    person = house.newcomer("probe", {}, given_name="Zzyzxqueline")
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=False)
    got = desk_of.carry_out(house.ws, person, made.id)
    for mark in ("Zzyzxqueline", "probe", "post.example"):
        assert mark not in got.paper.decode() + got.proof


def test_a_certificate_is_fetched_by_its_address_alone_and_only_for_a_while(house):
    person = house.newcomer("probe", {})
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=False)
    got = desk_of.carry_out(house.ws, person, made.id)
    token = desk_of.certificate_path(house.ws, made.id).rpartition("/")[2]
    assert certificates.handed(house.desk, token) == got
    [(_, row)] = tables(house, certificates.HANDED)[certificates.HANDED]
    assert got.data["salt"].encode() not in row
    assert person not in row
    with pytest.raises(NotFound):
        certificates.handed(house.desk, "a" * 26)
    house.at(house.when() + timedelta(days=31))
    with pytest.raises(NotFound):
        certificates.handed(house.desk, token)
    assert certificates.forget_old(house.desk) == 1
    assert tables(house, certificates.HANDED)[certificates.HANDED] == []


def test_who_saved_a_certificate_may_have_it_forgotten_here(house):
    person = house.newcomer("probe", {})
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=False)
    got = desk_of.carry_out(house.ws, person, made.id)
    token = certificates.token_of(house.desk, made.id)
    certificates.forget(house.desk, token)
    with pytest.raises(NotFound):
        certificates.handed(house.desk, token)
    assert certificates.verify(got.paper, got.proof, house.ws.signer.policy)


def test_an_erasure_cut_off_at_any_step_is_finished_by_the_house(house, monkeypatch):
    for place, broken in enumerate(("erase", "hand_out")):
        person = house.newcomer(f"probe-{place}", {})
        made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=False)
        with monkeypatch.context() as patch:
            whom = rights if broken == "erase" else certificates
            patch.setattr(whom, broken, _cut)
            with pytest.raises(Unavailable):
                desk_of.carry_out(house.ws, person, made.id)
        house.at(house.when())
        assert desk_of.tend(house.ws)["erased"] == 1
        token = certificates.token_of(house.desk, made.id)
        got = certificates.handed(house.desk, token)
        assert certificates.verify(got.paper, got.proof, house.ws.signer.policy)
        assert tables(house, waiting.UNDER_WAY)[waiting.UNDER_WAY] == []


def _cut(*_args, **_more):
    raise Unavailable("the machine stops here")


def test_what_the_check_finds_left_keeps_the_certificate_back(house, monkeypatch):
    person = house.newcomer("probe", {})
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=False)
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "left_of", lambda *_: {"keys": 1})
        with pytest.raises(Unavailable, match="left"):
            desk_of.carry_out(house.ws, person, made.id)
        assert desk_of.tend(house.ws)["erased"] == 0
    assert desk_of.tend(house.ws)["erased"] == 1


def test_the_check_finds_everything_of_somebody_who_is_not_erased(house):
    person = house.newcomer("probe", {})
    with house.ws.store.look() as view:
        left = certificates.left_of(house.desk, view, [person], 1)
    assert all(left.values())


def test_the_erasure_of_another_that_is_under_way_erases_nobody_else(house):
    one, other = house.newcomer("one"), house.newcomer("other")
    made = desk_of.ask_deletion(house.ws, one, DELETION, me(one), wait=False)
    rights.move(house.desk, one, made.id, Move("executing"), Actor(Role.SYSTEM, "requests"))
    assert tables(house, waiting.UNDER_WAY)[waiting.UNDER_WAY]
    with pytest.raises(NotFound):
        desk_of.carry_out(house.ws, other, made.id)
    assert not house.record(other).erasing
    assert desk_of.carry_out(house.ws, one, made.id).data["request"] == made.id


def test_only_a_deletion_is_approved_with_days_of_grace(house):
    person = house.newcomer()
    made = rights.open_request(house.desk, person, ACCESS, me(person))
    desk_of.plan(house.ws, person, made.id, OFFICER)
    with pytest.raises(InvalidInput):
        desk_of.approve(house.ws, person, made.id, OTHER, wait=True)
    assert not house.record(person).restricted


def test_nothing_is_erased_that_was_not_approved(house):
    person = house.newcomer("probe", {})
    made = rights.open_request(house.desk, person, DELETION, me(person))
    with pytest.raises(InvalidInput):
        desk_of.carry_out(house.ws, person, made.id)
    other = rights.open_request(house.desk, person, ACCESS, me(person))
    with pytest.raises(InvalidInput):
        desk_of.carry_out(house.ws, person, other.id)
    assert not rights.is_erased(house.desk, person)


def test_an_order_at_law_holds_a_deletion_back_and_says_so(house):
    person = house.newcomer("probe", {})
    block = Block("legal_hold", "all", "", since=Instant(1))
    preferences.suppress(house.desk, Channel.EMAIL, "probe@post.example", block, "court", OFFICER)
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=False)
    assert (made.state, made.ground) == ("blocked", "legal_hold")
    with pytest.raises(InvalidInput):
        desk_of.carry_out(house.ws, person, made.id)
    assert desk_of.scope_of(house.ws, person).held


def test_the_scope_says_what_goes_before_it_goes(house):
    person = house.newcomer("probe", {}, interests="gardening")
    scope = desk_of.scope_of(house.ws, person)
    assert {"contact.email", "interests"} <= set(scope.fields)
    assert scope.channels == ("email",)
    assert scope.events == len(house.chain(person))
    assert not scope.held


def test_declared_interests_go_alone_and_an_old_backup_does_not_bring_them_back(house):
    person = house.newcomer("probe", {}, interests="gardening")
    assert request_acts.delete_declared(house.ws, person, "rq-one") == 1
    assert "interests" not in desk_of.scope_of(house.ws, person).fields
    assert house.codes(person) == []
    lines = [line for line in house.desk.journal.lines() if line["act"] == "partial"]
    assert lines[-1]["scopes"] == "interests"
    assert request_acts.delete_declared(house.ws, person, "rq-one") == 0


def test_a_step_is_an_event_of_the_person_with_its_receipt(house):
    person = house.newcomer()
    rights.open_request(house.desk, person, ACCESS, me(person))
    mine = [e for e in house.chain(person) if isinstance(e.payload, events.RequestActed)]
    assert [e.payload.act for e in mine] == ["opened", "verified"]
    assert [e.actor.partition("/")[0] for e in mine] == ["person", "system"]
    found = rights.receipts(house.desk, person, house.ws.sign())
    assert sum(r.type == "request.acted" for r in found) == 2


# One click


def test_a_click_restricts_at_once_and_the_request_is_closed_by_its_check(house):
    person = house.newcomer("probe", {})
    made, n = request_acts.only_store(house.ws, person, me(person))
    assert (made.state, made.right) == ("fulfilled", "restriction")
    assert house.chain(person)[n - 1].type == "processing.restricted"
    assert "restricted" in house.codes(person)
    rights.lift_restriction(house.desk, person, "undone", me(person))
    assert house.codes(person) == []


def test_a_click_objects_to_marketing_on_every_channel_and_is_journalled(house):
    person = house.newcomer("probe", {})
    made, n = request_acts.no_marketing(house.ws, person, me(person))
    assert made.state == "fulfilled"
    assert house.chain(person)[n - 1].payload.status == "objected"
    assert "objected" in house.codes(person)
    assert any(line.get("status") == "objected" for line in house.desk.journal.lines())


def test_stops_are_never_put_off_however_often_somebody_asked(house):
    person = house.newcomer("probe", {})
    for _ in range(6):
        rights.open_request(house.desk, person, ACCESS, me(person))
    assert rights.open_request(house.desk, person, Asked("objection"), me(person)).open
    assert request_acts.only_store(house.ws, person, me(person))[0].state == "fulfilled"


@pytest.mark.parametrize("part", ["activity", "marketing"])
def test_a_part_goes_and_the_account_stays(house, part):
    person = house.newcomer("probe", {}, interests="gardening")
    bought = {"external_id": "probe", "at": days_ago(20), "kind": "purchase", "item": "1001"}
    more = {"group": "bread", "amount_minor": "1900", "currency": "ZAR", "units": "1"}
    house.take("events", {**bought, **more, "store": "1"})
    before = desk_of.scope_of(house.ws, person)
    assert before.activity
    made = request_acts.delete_part(house.ws, person, part, me(person))
    assert (made.state, made.scope) == ("fulfilled", request_acts.PARTS[part])
    with house.ws.store.look() as view:
        rows = view.sealed([person], ["purchases/"]).get(person, [])
        assert all(house.desk.vault.is_gone(person, row, view.now) for row in rows)
    after = desk_of.scope_of(house.ws, person)
    assert ("interests" in after.fields) is (part == "activity")
    assert house.codes(person) == []


def test_no_other_part_is_deleted_and_none_under_an_order_at_law(house):
    person = house.newcomer("probe", {}, interests="gardening")
    with pytest.raises(InvalidInput):
        request_acts.delete_part(house.ws, person, "everything else", me(person))
    block = Block("legal_hold", "all", "", since=Instant(1))
    preferences.suppress(house.desk, Channel.EMAIL, "probe@post.example", block, "court", OFFICER)
    with pytest.raises(InvalidInput, match="order at law"):
        request_acts.delete_part(house.ws, person, "marketing", me(person))
    assert "interests" in desk_of.scope_of(house.ws, person).fields


def test_the_letter_of_a_deletion_leads_to_the_certificate_though_nothing_else_is_used(house):
    person = house.newcomer("probe", {})
    desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    assert [e.type for e in house.chain(person)].count("message.booked") == 1
    house.at(house.when() + timedelta(days=6, hours=1))
    desk_of.tend(house.ws)
    assert [e.type for e in house.chain(person)].count("message.booked") == 2


def test_what_was_asked_under_an_address_goes_with_its_person(house):
    person = house.newcomer("probe", {})
    intake.take(house.ws, intake.Brought("access", "probe@post.example", "Zzyzx"))
    assert [found.text for found in intake.under(house.ws, person)] == ["Zzyzx"]
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=False)
    desk_of.carry_out(house.ws, person, made.id)
    assert intake.waiting(house.ws) == 0


def test_an_overdue_request_is_red_on_the_house(house):
    person = house.newcomer()
    rights.open_request(house.desk, person, ACCESS, me(person))
    assert "requests" not in app.house_state(house.ws).reds(Instant(0))
    house.at(house.when() + timedelta(days=31))
    assert "requests" in app.house_state(house.ws).reds(Instant(0))


@pytest.mark.parametrize(
    ("right", "code"), [("objection", "objected"), ("restriction", "restricted")]
)
def test_a_stop_adopted_counts_from_the_day_it_was_asked_and_is_adopted_once(house, right, code):
    person = house.newcomer("probe", {})
    intake.take(house.ws, intake.Brought(right, "probe@post.example"))
    [found] = intake.under(house.ws, person)
    house.at(house.when() + timedelta(days=2))
    made = request_acts.adopt(house.ws, person, found.place, me(person))
    assert (made.state, made.received) == ("fulfilled", found.asked // 10**6 * 10**6)
    assert code in house.codes(person)
    with pytest.raises(NotFound):
        request_acts.adopt(house.ws, person, found.place, me(person))


def test_no_moment_lies_between_taking_a_deletion_back_and_the_end_of_its_grace(house):
    person = house.newcomer("probe", {})
    made = desk_of.ask_deletion(house.ws, person, DELETION, me(person), wait=True)
    desk_of.cancel(house.ws, person, made.id, me(person))
    with house.ws.store.look() as view:
        seqs = {
            (r.event.type, getattr(r.event.payload, "act", "")): r.seq
            for r in house.desk.scribe.chain(view, person)
        }
    assert seqs["processing.restricted", ""] == seqs["request.acted", "withdrawn"] + 1
