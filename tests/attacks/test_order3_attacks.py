"""The customer's side attacked: whose data a form acts on, what loosens, what slips the gate, what stays."""

import csv
import io
import re
import sys
import zipfile
from datetime import timedelta
from pathlib import Path

import marula
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "surfaces"))

import entry_house
from portal_door import enter

from troth.app import collecting, deliver_letters, inferred
from troth.app import requests as desk_of
from troth.app.owndata import Eyes
from troth.capabilities import merging, people, preferences, rights
from troth.errors import Fault
from troth.surfaces.portal import download
from troth.terms import DAY, SECOND, Actor, Channel, Role, Wishes

OTHER_OFFICER = Actor(Role.OFFICER, "second@marula.example")
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def house(tmp_path):
    opened = entry_house.EntryHouse(tmp_path / "house")
    yield opened
    opened.ws.close()


def me(person):
    return Actor(Role.PERSON, person.hex())


def token(client, path="/my"):
    return re.search(r'name="form" value="([^"]+)"', client.get(path).text)[1]


def send(client, path, page="/my", **fields):
    return client.post(path, data={"form": token(client, page), **fields})


def switch(client, place=-1):
    handles = re.findall(r'name="who" value="([0-9a-f]+)"', client.get("/my/as").text)
    return send(client, "/my/as", "/my/as", who=handles[place])


def family(house, relation="competent_person", born="2012", **facts):
    parent = house.newcomer("parent", {})
    child = house.newcomer("child", {"idempotency_key": "c"}, birth_year=born, **facts)
    people.link(house.desk, child, parent, relation, "desk", marula.OFFICER)
    return parent, child


def typed_elsewhere(house, address):
    """Somebody types an address into the form on another page; what follows is carried out."""
    browser = house.browser()
    page = browser.get("/embed/form/offers").text
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    fields |= {"answer": "yes", "by_email": "yes", "to_email": address}
    answer = browser.post("/embed/form/offers", data=fields)
    collecting.collect_round(house.ws)
    with house.inbox() as port:
        deliver_letters(house.ws, ("127.0.0.1", port))
    return answer


def asked_outside(house, address, right="access", text=""):
    browser = house.browser()
    fields = {"address": address, "right": right, "text": text}
    return send(browser, "/my/ask-us", "/my/ask-us", **fields)


def waiting_places(client):
    return re.findall(r'name="place" value="([0-9a-f]+)"', client.get("/my/requests").text)


def deletions(house, person):
    with house.ws.store.look() as view:
        found = rights.requests_of(house.desk, view, person)
    return [each for each in found if each.right == "deletion"]


# Whose data a form acts on


def test_a_form_of_the_childs_pages_never_acts_on_the_guardian_once_the_mandate_ended(house):
    parent, child = family(house)
    client = enter(house.app, parent)
    switch(client)
    held = token(client, "/my/delete/everything")
    people.unlink(house.desk, child, parent, "desk", marula.OFFICER)
    client.post("/my/delete/everything", data={"form": held, "when": "now"})
    assert not rights.is_erased(house.desk, parent)
    assert not rights.is_erased(house.desk, child)


def test_a_form_opened_for_the_child_does_nothing_to_oneself_after_a_switch_elsewhere(house):
    parent, _ = family(house)
    client = enter(house.app, parent)
    switch(client)
    held = token(client, "/my/preferences")
    switch(client, 0)
    client.post("/my/stop", data={"form": held})
    assert not [e for e in house.chain(parent) if e.type.startswith("consent.withdrawn")]


def test_nobody_is_erased_by_the_number_of_somebody_elses_deletion(house):
    ann, bob = house.newcomer("ann", {}), house.newcomer("bob", {"idempotency_key": "b"})
    made = desk_of.ask_deletion(house.ws, ann, rights.Asked("deletion"), me(ann), wait=True)
    rights.move(house.desk, ann, made.id, rights.Move("executing"), desk_of.HOUSE)
    answer = send(enter(house.app, bob), "/my/delete/now", request=made.id)
    assert not rights.is_erased(house.desk, bob)
    assert "certificate" not in answer.headers.get("location", "")
    assert desk_of.tend(house.ws)["erased"] == 1
    assert rights.is_erased(house.desk, ann)


def test_a_request_of_another_is_withdrawn_answered_and_read_by_nobody(house):
    ann, bob = house.newcomer("ann", {}), house.newcomer("bob", {"idempotency_key": "b"})
    made = rights.open_request(house.desk, ann, rights.Asked("access", text="mine"), me(ann))
    client = enter(house.app, bob)
    for act in ("withdraw", "answer"):
        answer = send(client, f"/my/requests/{act}", request=made.id, text="x")
        assert answer.status_code == 404
    assert client.get(f"/api/v1/requests/{made.id}").status_code == 404
    assert send(client, "/my/delete/cancel", request=made.id).status_code == 404


def test_words_asked_under_a_shared_mailbox_are_shown_to_none_of_those_who_share_it(house):
    shared = {"email": "pair@post.example"}
    house.newcomer("pair-a", {"idempotency_key": "pa"}, **shared)
    two = house.newcomer("pair-b", {"idempotency_key": "pb"}, phone="+27825550101", **shared)
    asked_outside(house, "pair@post.example", text="about my treatment")
    assert "about my treatment" not in enter(house.app, two).get("/my/requests").text


def test_words_asked_under_an_address_go_with_whoever_held_it(house):
    ann = house.newcomer("ann", {})
    asked_outside(house, "ann@post.example", text="words of ann")
    house.ws.erase(ann, "rq-desk")
    later = house.newcomer("later", {"idempotency_key": "l"}, email="ann@post.example")
    assert "words of ann" not in enter(house.app, later).get("/my/requests").text


def test_a_guardian_sees_nothing_of_somebody_who_is_of_age(house):
    parent, child = family(house, born="1990")
    client = enter(house.app, parent)
    if 'name="who"' in client.get("/my/as").text:
        switch(client)
    assert "child@post.example" not in client.get("/my/correct").text
    assert not [e for e in house.chain(child) if e.type == "visit.began"]


def test_a_relation_that_was_replaced_is_not_acted_under_any_more(house):
    parent, child = family(house)
    client = enter(house.app, parent)
    switch(client)
    people.unlink(house.desk, child, parent, "desk", marula.OFFICER)
    people.link(house.desk, child, parent, "contact_of", "desk", marula.OFFICER)
    send(client, "/my/stop")
    said = [e.payload.given_by for e in house.chain(child) if e.type == "consent.withdrawn"]
    assert "competent_person" not in said


def test_who_came_in_by_an_old_address_is_out_once_the_address_was_replaced(house):
    ann = house.newcomer("ann", {})
    browser = house.browser()
    house.come_in(browser, "ann@post.example")
    new = "new@post.example"
    people.change_address(house.desk, ann, Channel.EMAIL, new, "desk", marula.OFFICER)
    assert new not in browser.get("/my/correct").text


def test_a_link_to_an_old_address_opens_nothing_once_the_address_was_replaced(house):
    ann = house.newcomer("ann", {})
    browser = house.browser()
    link, _ = house.sent(browser, "ann@post.example")
    people.change_address(
        house.desk, ann, Channel.EMAIL, "new@post.example", "desk", marula.OFFICER
    )
    assert browser.get(link).status_code == 404


def test_a_link_in_an_old_mail_speaks_of_the_address_it_went_to_and_no_other(house):
    ann = house.newcomer("ann", {})
    house.send([ann])
    path = f"/my/mail/{house.stop_token()}"
    people.change_address(
        house.desk, ann, Channel.EMAIL, "new@post.example", "desk", marula.OFFICER
    )
    house.browser().post(path, data={"do": "all"})
    assert house.codes(ann) == []


def test_a_place_of_an_entry_reaches_nothing_but_entries(house):
    client = enter(house.app, house.newcomer("ann", {}))
    for scope in ("contact.email", "name.given", "exclusions", "purchases/../x"):
        answer = send(client, "/my/activity/entry", place=f"0|{scope}|0|1|0|x")
        assert answer.status_code in {400, 404, 409}
    assert "ann@post.example" in client.get("/my/correct").text


# What loosens


def test_a_minor_does_not_lift_what_their_guardian_had_restricted(house):
    parent, child = family(house)
    guardian = enter(house.app, parent)
    switch(guardian)
    send(guardian, "/my/requests/restrict", "/my/requests")
    assert house.record(child).restricted
    send(enter(house.app, child), "/my/requests/lift", "/my/requests")
    assert house.record(child).restricted


def test_a_minor_does_not_cancel_the_deletion_their_guardian_asked_for(house):
    parent, child = family(house)
    guardian = enter(house.app, parent)
    switch(guardian)
    send(guardian, "/my/delete/everything", when="grace")
    held = deletions(house, child)[0]
    send(enter(house.app, child), "/my/delete/cancel", request=held.id)
    assert deletions(house, child)[0].state == "approved"


def test_a_minor_ends_no_pause_of_their_guardian(house):
    parent, child = family(house)
    guardian = enter(house.app, parent)
    switch(guardian)
    send(guardian, "/my/preferences/wishes", pause="3m")
    held = house.record(child).wishes
    answer = send(enter(house.app, child), "/my/preferences/wishes", pause="end")
    assert answer.status_code == 400
    assert house.record(child).wishes == held


def test_a_minor_does_not_come_of_age_by_moving_or_by_their_own_word(house):
    minor = house.newcomer("minor", {}, birth_year="2009")
    client = enter(house.app, minor)
    for field, value in (
        ("fact.residence", "DE"),
        ("fact.residence", "US"),
        ("birth.year", "1980"),
    ):
        send(client, "/my/correct", "/my/correct", field=field, value=value, sure="yes")
        assert house.record(minor).age == "minor"


def test_an_agent_does_not_agree_for_a_minor(house):
    parent, child = family(house, relation="agent")
    client = enter(house.app, parent)
    switch(client)
    before = house.codes(child)
    fields = {"purpose": "offers", "channel": "email", "notice": "offers@3"}
    send(client, "/my/preferences/agree", **fields)
    assert house.codes(child) == before


def test_a_person_does_not_lift_what_the_officer_had_restricted(house):
    ann = house.newcomer("ann", {})
    rights.restrict(house.desk, ann, "a claim is examined", marula.OFFICER)
    send(enter(house.app, ann), "/my/requests/lift", "/my/requests")
    assert "restricted" in house.codes(ann)


def test_in_the_days_of_grace_nothing_is_used_whatever_else_is_lifted(house):
    ann, bob = house.newcomer("ann", {}), house.newcomer("bob", {"idempotency_key": "b"})
    client = enter(house.app, ann)
    send(client, "/my/delete/everything", when="grace")
    assert house.codes(ann) == ["restricted"]
    send(client, "/my/requests/lift", "/my/requests")
    assert house.codes(ann) == ["restricted"]
    rights.restrict(house.desk, bob, "disputed", marula.OFFICER)
    send(enter(house.app, bob), "/my/delete/everything", when="grace")
    rights.lift_restriction(house.desk, bob, "settled", marula.OFFICER)
    assert house.codes(bob) == ["restricted"]


def test_an_address_is_confirmed_by_nobody_but_who_reads_it(house):
    _, child = family(house)
    browser = house.browser()
    house.come_in(browser, "parent@post.example")
    switch(browser)
    fields = {"purpose": "offers", "channel": "email", "notice": "offers@3"}
    send(browser, "/my/preferences/agree", **fields)
    given = [e.payload for e in house.chain(child) if e.type == "consent.given"]
    assert given[-1].confirmed_at is None


def test_going_up_a_level_needs_the_notice_in_the_form(house):
    ann = house.newcomer("ann", {})
    client = enter(house.app, ann)
    for fields in ({}, {"notice": ""}, {"notice": "personalise@1"}, {"notice": "offers@3"}):
        assert send(client, "/my/level", level="5", **fields).status_code == 400
    assert house.record(ann).level < 1


def test_going_up_again_by_an_undo_shows_the_notice_first(house):
    ann = house.newcomer("ann", {})
    client = enter(house.app, ann)
    send(client, "/my/level", level="4", notice="personalise@2")
    send(client, "/my/level", level="1")
    page = client.get("/my/level").text
    undo = re.search(r'<form[^>]*action="/my/level">(?:(?!</form>).)*Undo', page, re.DOTALL)
    assert undo is None or 'class="card notice"' in page


def test_a_yes_to_a_notice_that_was_replaced_or_names_no_channel_opens_nothing(house):
    ann = house.newcomer("ann", {"status": "refused"})
    client = enter(house.app, ann)
    before = house.codes(ann)
    old = {"purpose": "offers", "channel": "email", "notice": "offers@2"}
    assert send(client, "/my/preferences/agree", **old).status_code == 400
    send(client, "/my/preferences/agree", purpose="offers", channel="", notice="offers@3")
    assert house.codes(ann) == before


def test_a_pause_by_a_mail_never_shortens_a_stop_or_a_longer_pause(house):
    ann = house.newcomer("ann", {})
    house.send([ann])
    path = f"/my/mail/{house.stop_token()}"
    for wish in ("pause-90", "pause-30"):
        house.browser().post(path, data={"do": wish})
    house.later(marula.NOW + timedelta(days=31))
    assert "suppressed_unsubscribe" in house.codes(ann)
    house.browser().post(path, data={"do": "all"})
    house.browser().post(path, data={"do": "pause-30"})
    house.later(marula.NOW + timedelta(days=200))
    assert "suppressed_unsubscribe" in house.codes(ann)


def test_a_merge_keeps_the_narrower_of_both_wishes(house):
    ann, bob = house.newcomer("ann", {}), house.newcomer("bob", {"idempotency_key": "b"})
    with house.ws.store.look() as view:
        until = (view.now + 30 * DAY) // SECOND * SECOND
    preferences.set_preferences(house.desk, bob, Wishes(pause_until=until), me(bob))
    merging.merge(house.desk, ann, bob, "one person", marula.OFFICER)
    assert "paused" in house.codes(ann)


# What slips the gate


def test_goods_excluded_under_an_id_that_was_merged_are_named_in_no_mail(house):
    may = {"purpose": "personalise", "channels": "", "level": "3", "notice": "personalise@2",
           "categories": "identity.name;purchases.13w"}  # fmt: skip
    ann = house.newcomer("ann", {"idempotency_key": "0"}, may | {"idempotency_key": "1"})
    bob = house.newcomer("bob", {"idempotency_key": "2"}, may | {"idempotency_key": "3"})
    house.take("events", *(
        {"external_id": "ann", "at": marula.days_ago(n), "kind": "purchase", "item": "1001",
         "group": "tea", "amount_minor": "500", "currency": "ZAR", "units": "1"}
        for n in range(1, 5)
    ))  # fmt: skip
    people.set_exclusions(house.desk, bob, ["tea"], me(bob))
    merging.merge(house.desk, ann, bob, "one person", marula.OFFICER)
    house.send([ann])
    letters = house.letters("ann@post.example")
    assert letters
    assert marula.ITEMS["1001"] not in "".join(letters)


def test_a_merge_keeps_the_exclusions_of_both(house):
    ann, bob = house.newcomer("ann", {}), house.newcomer("bob", {"idempotency_key": "b"})
    people.set_exclusions(house.desk, ann, ["wine"], me(ann))
    people.set_exclusions(house.desk, bob, ["beer"], me(bob))
    merging.merge(house.desk, ann, bob, "one person", marula.OFFICER)
    assert inferred.excluded_of(house.ws, Eyes(ann, ann)) == {"wine", "beer"}


@pytest.mark.parametrize(
    ("right", "code"), [("objection", "objected"), ("restriction", "restricted")]
)
def test_a_stop_asked_outside_binds_the_next_decision_once_its_person_says_it_is_theirs(
    house, right, code
):
    ann = house.newcomer("ann", {})
    asked_outside(house, "ann@post.example", right)
    client = enter(house.app, ann)
    send(client, "/my/requests/mine", "/my/requests", place=waiting_places(client)[0])
    assert code in house.codes(ann)


def test_who_objected_is_not_written_to_because_a_stranger_typed_their_address(house):
    ann = house.newcomer("ann", {})
    send(enter(house.app, ann), "/my/requests/object", "/my/requests")
    before = len(house.letters("ann@post.example"))
    assert typed_elsewhere(house, "ann@post.example").status_code == 200
    assert len(house.letters("ann@post.example")) == before


def test_a_stranger_who_types_an_address_changes_nothing_that_stands(house):
    ann = house.newcomer("ann", {})
    bob = house.newcomer("bob", {"idempotency_key": "b", "status": "refused"})
    before = house.codes(ann), house.codes(bob)
    shown = {typed_elsewhere(house, f"{who}@post.example").text for who in ("ann", "bob", "none")}
    assert len(shown) == 1
    assert (house.codes(ann), house.codes(bob)) == before


def test_a_minors_own_yes_on_another_page_opens_nothing(house):
    minor = house.newcomer("minor", {"status": "refused"}, birth_year="2012")
    typed_elsewhere(house, "minor@post.example")
    link = re.search(r"/my/confirm/\w+", house.letters("minor@post.example")[-1])[0]
    house.browser().post(link, data={"answer": "yes"})
    assert "minor" in house.codes(minor)


# Requests


def test_a_deletion_is_called_done_only_after_it_was_done(house):
    ann = house.newcomer("ann", {})
    asked = rights.Asked("deletion", text="delete me")
    held = rights.open_request(house.desk, ann, asked, Actor(Role.SUPPORT, "s@marula.example"))
    desk_of.plan(house.ws, ann, held.id, marula.OFFICER)
    try:
        rights.move(house.desk, ann, held.id, rights.Move("approved"), OTHER_OFFICER)
        desk_of.fulfil(house.ws, ann, held.id, marula.OFFICER, "done")
    except Fault:
        pass
    assert deletions(house, ann)[0].state != "fulfilled"


def test_a_correction_is_called_done_only_where_what_was_asked_was_corrected(house):
    ann = house.newcomer("ann", {})
    asked = rights.Asked("correction", scope=("birth.year",), text="my year of birth is wrong")
    held = rights.open_request(house.desk, ann, asked, me(ann))
    client = enter(house.app, ann)
    send(client, "/my/correct", "/my/correct", field="interests", value="tea", sure="yes")
    desk_of.plan(house.ws, ann, held.id, marula.OFFICER)
    rights.move(house.desk, ann, held.id, rights.Move("approved"), marula.OFFICER)
    with pytest.raises(Fault):
        desk_of.fulfil(house.ws, ann, held.id, marula.OFFICER)


def test_a_flood_under_an_address_does_not_swallow_what_its_holder_asks(house):
    ann = house.newcomer("ann", {})
    for n in range(5):
        asked_outside(house, "ann@post.example", text=f"junk {n}")
    answer = asked_outside(house, "ann@post.example", "deletion", "my own words")
    kept = "my own words" in enter(house.app, ann).get("/my/requests").text
    assert kept or not answer.headers["location"].endswith("say=done")


def test_repeating_a_stop_writes_nothing_more(house):
    client = enter(house.app, house.newcomer("ann", {}))
    for act in ("restrict", "object"):
        send(client, f"/my/requests/{act}", "/my/requests")
        before = house.size()
        for _ in range(5):
            send(client, f"/my/requests/{act}", "/my/requests")
        assert house.size() - before <= 5


def test_who_has_no_activity_can_delete_what_serves_marketing(house):
    ann = house.newcomer("ann", {}, interests="tea;wine")
    client = enter(house.app, ann)
    send(client, "/my/level", level="2", notice="personalise@2")
    answer = send(client, "/my/delete/part", part="marketing")
    assert answer.status_code == 303
    assert house.record(ann).level <= 1
    assert "wine" not in client.get("/my/correct").text


# What an erasure leaves


def test_nothing_opened_for_somebody_stays_in_memory_after_their_erasure(house, monkeypatch):
    ann = house.newcomer("ann", {})
    client = enter(house.app, ann)
    monkeypatch.setattr(download, "WAIT_S", 0.0)
    send(client, "/my/download", part="all")
    held = house.app.state.hub.kept["portal"]
    jobs = [each for session, _ in held._held.values() for each in session.kept.values()
            if isinstance(each, download.Job)]  # fmt: skip
    assert jobs
    assert all(job.done.wait(10) for job in jobs)
    client.get("/my/uses")
    house.ws.erase(ann, "rq-desk")
    house.browser().get("/my/enter")
    assert not [s for s, _ in held._held.values() if ann in (s.viewer, s.person) and s.kept]


def test_the_rows_of_one_erased_lead_nowhere(house):
    ann = house.newcomer("ann", {})
    house.come_in(house.browser(), "ann@post.example")
    asked_outside(house, "ann@post.example", text="words")
    send(enter(house.app, ann), "/my/delete/everything", when="now")
    assert rights.is_erased(house.desk, ann)
    left = {t for (t, key), value in house.own_rows().items() if ann in key or ann in value}
    assert left <= {"rights.erased", "custody.fence"}
    assert not [t for t, _ in house.own_rows() if t == "rights.intake"]


# What is shown is recorded; what is typed stays text


def test_the_widget_of_preferences_is_a_reading_like_any_other(house):
    ann = house.newcomer("ann", {})
    client = enter(house.app, ann)
    client.get("/embed/preferences")
    assert [e for e in house.chain(ann) if e.type == "data.read"]


def test_names_interests_and_requests_stay_text_on_every_page_and_in_the_package(house):
    ann = house.newcomer("ann", {}, given_name=f"=1+1{HOSTILE}", family_name=HOSTILE)
    client = enter(house.app, ann)
    value = f"=cmd|x,+SUM(1),{HOSTILE}"
    send(client, "/my/correct", "/my/correct", field="interests", value=value, sure="yes")
    text = f"=2+2 {HOSTILE}\r\nX-Planted: yes"
    answer = send(client, "/my/requests", right="access", text=text, key=f'">{HOSTILE}')
    assert "x-planted" not in answer.headers
    shown = 0
    for route in house.app.routes:
        if route.path.startswith("/my") and "{" not in route.path and "GET" in route.methods:
            page = client.get(route.path).text
            assert HOSTILE not in page, route.path
            shown += "&lt;script&gt;alert(1)" in page
    assert shown >= 2  # it is there, as text
    packed = zipfile.ZipFile(io.BytesIO(send(client, "/my/download", part="all").content))
    kept = False
    for name in packed.namelist():
        if name.endswith(".html"):
            assert HOSTILE.encode() not in packed.read(name)
        if name.endswith(".csv"):
            rows = csv.reader(io.StringIO(packed.read(name).decode("utf-8-sig")))
            cells = [cell for row in rows for cell in row]
            assert not [c for c in cells if c[:1] in "=+@\t\r" and c], name
            kept |= any("=1+1" in c for c in cells)
    assert kept  # it is there, disarmed


def test_every_page_of_this_side_may_be_framed_by_its_own_pages_alone(house):
    client = enter(house.app, house.newcomer("ann", {}))
    for path in ("/my", "/my/preferences", "/my/delete", "/my/enter", "/my/ask-us", "/record"):
        answer = client.get(path)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
        assert answer.headers["cache-control"] == "no-store"


def test_a_form_without_its_token_or_from_elsewhere_does_nothing(house):
    ann = house.newcomer("ann", {})
    client = enter(house.app, ann)
    client.get("/my")
    posts = sorted(
        route.path.replace("{act}", "restrict")
        for route in house.app.routes
        if route.path.startswith("/my/") and "POST" in getattr(route, "methods", ())
        and "{token}" not in route.path and route.path not in {"/my/language", "/my/out"}
    )  # fmt: skip
    assert len(posts) > 15
    before = len(house.chain(ann))
    for path in posts:
        for sent in ({}, {"form": ""}, {"form": "x" * 24}):
            answer = client.post(path, data={"when": "now", "level": "0", **sent})
            assert answer.status_code == 403 or "say=old" in answer.headers["location"], path
        crossed = {"sec-fetch-site": "cross-site"}
        assert client.post(path, data={"form": token(client)}, headers=crossed).status_code == 403
    assert len(house.chain(ann)) == before
    assert not rights.is_erased(house.desk, ann)


def test_the_language_form_leads_to_no_other_site(house):
    client = house.browser()
    for back in ("//evil.example", "https://evil.example", "/my//evil.example", "/my\\evil",
                 "/my/%0d%0aSet-Cookie:x=1\r\n", "javascript:alert(1)"):  # fmt: skip
        answer = client.post("/my/language", data={"language": "af", "back": back})
        assert answer.headers["location"].startswith("/my")
        assert "evil" not in answer.headers["location"] or "//" not in answer.headers["location"]
        assert "x=1" not in answer.headers["set-cookie"]


def test_a_no_takes_no_more_presses_than_a_yes_and_nothing_is_ticked_beforehand(house):
    client = enter(house.app, house.newcomer("ann", {"status": "refused"}))
    for path in ("/my/preferences", "/embed/form/offers", "/my/level"):
        page = client.get(path).text
        assert not re.search(r"<input[^>]*type=\"(checkbox|radio)\"[^>]*\schecked", page), path
    page = client.get("/embed/form/offers").text
    yes, no = re.findall(r'<button class="([^"]*)" name="answer"', page)
    assert yes == no
    stop = client.get("/my/preferences").text
    assert stop.index('action="/my/stop"') < stop.index('action="/my/preferences/')
