"""The desk: clocks without names, a recorded look, steps of the officer alone, the folder."""

import io
import json
import zipfile
from datetime import timedelta

import pytest
from hub_shop import NOW
from portal_door import door, shop

from troth import crypto
from troth.app import package
from troth.capabilities import rights
from troth.capabilities.access.reading import Reading
from troth.capabilities.rights.requests import Asked
from troth.kernel import proof
from troth.terms import Action, Actor, Role

PAGE = "/console/requests"
SUPPORT = Actor(Role.SUPPORT, "desk@marula.example")
OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
HOUSE = Actor(Role.SYSTEM, "requests")


@pytest.fixture(scope="module")
def officer():
    return shop().door("privacy_officer")


@pytest.fixture(scope="module")
def support():
    return shop().door("support")


def opened(outside, right="access", **more):
    made = shop()
    person = made.person(outside)
    actor = Actor(Role.PERSON, person.hex())
    return rights.open_request(made.ws.desk, person, Asked(right, **more), actor)


def act(client, held, step, **fields):
    token = shop().form(client, PAGE)
    return client.post(f"{PAGE}/{held.id}/{step}", data={"form": token, **fields})


def of(outside, held):
    made = shop()
    with made.ws.store.look() as view:
        return rights.request_of(made.ws.desk, view, made.person(outside), held.id)


def take_in(client, **fields):
    form = {"form": shop().form(client, PAGE), "how": "letter", **fields}
    return client.post(PAGE, data=form)


def test_only_those_who_answer_see_the_desk():
    assert shop().door("marketer").get(PAGE).status_code == 403
    assert (
        shop().client.get(PAGE, follow_redirects=False).headers["location"].startswith("/signin")
    )


def test_the_list_shows_clocks_and_names_nobody(officer):
    held = opened("shop-31", text="Zzyzx")
    page = officer.get(PAGE).text
    assert held.id in page
    assert "17 December 2026" in page
    assert "ZA\u20119" in page
    for mark in ("shop-31", "Zzyzx", "post.example"):
        assert mark not in page
    assert held.id not in officer.get(f"{PAGE}?colour=red").text
    assert "No open request is like that" in officer.get(f"{PAGE}?colour=red").text
    assert held.id not in officer.get(f"{PAGE}?right=deletion").text


def test_opening_a_request_is_a_recorded_reading_the_person_sees(support):
    held = opened("shop-32", text="Zzyzx wants it")
    before = len(shop().chain("shop-32"))
    assert "Zzyzx wants it" in support.get(f"{PAGE}/{held.id}").text
    support.get(f"{PAGE}/{held.id}")
    new = [r.event for r in shop().chain("shop-32")][before:]
    assert [e.type for e in new] == ["data.read"]
    assert new[0].payload.reason == f"request:{held.id}"


def test_support_reads_and_takes_no_step(support):
    held = opened("shop-33")
    assert "Steps are taken by the privacy officer" in support.get(f"{PAGE}/{held.id}").text
    assert act(support, held, "planned").status_code == 403
    assert act(support, held, "folder").status_code == 403
    assert of("shop-33", held).state == "verified"


def test_a_request_goes_to_its_end_only_through_the_check(officer):
    held = opened("shop-34")
    for step in ("planned", "approved"):
        assert act(officer, held, step).status_code == 303
    assert act(officer, held, "fulfil").status_code == 400
    assert act(officer, held, "fulfil", text="Sent by post today").status_code == 400
    assert of("shop-34", held).state == "executing"
    made = shop()
    with_letter = Reading(made.person("shop-34"), OFFICER, (), f"request:{held.id}", Action.EXPORT)
    package.build_for(made.ws, with_letter)
    assert act(officer, held, "fulfil", text="Sent by post today").status_code == 303
    assert of("shop-34", held).state == "fulfilled"
    assert held.id not in officer.get(PAGE).text
    assert "Sent by post today" in door("shop-34").get("/my/requests").text


def test_putting_off_needs_a_reason_a_ground_and_a_day_within_the_law(officer):
    held = opened("shop-35")
    good = {"ground": "complex", "text": "Three systems to search", "day": "2027-01-16"}
    for bad in ({"text": " "}, {"ground": "kept_by_law"}, {"day": "2027-03-01"}, {"day": "soon"}):
        assert act(officer, held, "extended", **{**good, **bad}).status_code == 400
    assert act(officer, held, "extended", **good).status_code == 303
    assert "16 January 2027" in officer.get(f"{PAGE}/{held.id}").text
    assert "Three systems to search" in door("shop-35").get("/my/requests").text
    assert act(officer, held, "extended", **good).status_code == 400


def test_a_refusal_names_a_ground_of_the_list(officer):
    held = opened("shop-36")
    assert act(officer, held, "denied", text="No").status_code == 400
    assert act(officer, held, "denied", ground="because", text="No").status_code == 400
    assert act(officer, held, "denied", ground="nothing_held", text="No").status_code == 303
    assert of("shop-36", held).ground == "nothing_held"


def test_a_letter_is_taken_in_with_its_day_and_waits_for_proof(support, officer):
    came = (NOW - timedelta(days=8)).date().isoformat()
    answer = take_in(support, outside="shop-37", right="deletion", came=came, text="Delete me")
    assert answer.status_code == 303, answer.text
    name = answer.headers["location"].rpartition("/")[2]
    page = officer.get(f"{PAGE}/{name}").text
    assert "identity to be proven" in page
    assert "9 December 2026" in page
    made = shop()
    with made.ws.store.look() as view:
        held = rights.request_of(made.ws.desk, view, made.person("shop-37"), name)
    assert act(officer, held, "verified", text="was called back").status_code == 303
    assert act(officer, held, "planned").status_code == 303
    assert act(officer, held, "approved", when="now").status_code == 400
    assert of("shop-37", held).state == "planned"


def test_a_request_for_somebody_unknown_says_so_and_opens_nothing(support):
    assert take_in(support, outside="nobody", right="access").status_code == 400
    assert take_in(support, outside="shop-38", right="all").status_code == 400
    assert take_in(support, outside="shop-38", right="access", came="soon").status_code == 400


def test_a_whole_deletion_taken_in_by_support_is_approved_and_done_by_the_officer(
    support, officer
):
    name = take_in(support, outside="shop-39", right="deletion").headers["location"]
    made, person = shop(), shop().person("shop-39")
    with made.ws.store.look() as view:
        held = rights.request_of(made.ws.desk, view, person, name.rpartition("/")[2])
    rights.move(made.ws.desk, person, held.id, rights.Move("verified"), SUPPORT)
    for step, more in (("planned", {}), ("approved", {"when": "now"}), ("erase", {})):
        assert act(officer, held, step, **more).status_code == 303
    assert rights.is_erased(made.ws.desk, person)
    assert officer.get(f"{PAGE}/{held.id}").status_code == 404
    assert "Everything is deleted" in officer.get(f"{PAGE}?done=erased").text


def test_the_desk_closes_no_deletion_by_words_and_cuts_no_days_short(support, officer):
    name = take_in(support, outside="shop-43", right="deletion").headers["location"]
    made, person = shop(), shop().person("shop-43")
    with made.ws.store.look() as view:
        held = rights.request_of(made.ws.desk, view, person, name.rpartition("/")[2])
    for step, more in (("verified", {}), ("planned", {})):
        rights.move(made.ws.desk, person, held.id, rights.Move(step, **more), HOUSE)
    for when in ({}, {"when": "some day"}):
        assert act(officer, held, "approved", **when).status_code == 400
    assert act(officer, held, "approved", when="grace").status_code == 303
    assert "Carry it out now" not in officer.get(f"{PAGE}/{held.id}").text
    for step in ("erase", "fulfil"):
        assert act(officer, held, step, text="done").status_code == 400
    assert of("shop-43", held).state == "approved"
    assert act(officer, held, "withdrawn").status_code == 303


def test_the_folder_holds_every_step_with_a_receipt_that_verifies(officer):
    held = opened("shop-40", text="All of it")
    act(officer, held, "asked", text="Which part first?")
    raw = act(officer, held, "folder")
    assert raw.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(raw.content)) as folder:
        told = json.loads(folder.read("request.json"))
        policy = proof.parse_policy(folder.read("policy").decode(), crypto.ed25519_verify)
        receipts = [n for n in folder.namelist() if n.endswith("request.acted.tlog-proof")]
        for name in receipts:
            assert proof.read_receipt(folder.read(name), policy).event
    assert [s["act"] for s in told["steps"]] == ["opened", "verified", "asked"]
    assert len(receipts) == 3
    exported = [r.event.payload for r in shop().chain("shop-40") if r.event.type == "data.read"]
    assert exported[-1].reason == f"request:{held.id}"


def test_unknown_requests_and_steps_are_said_to_be_unknown(officer):
    assert officer.get(f"{PAGE}/rq-nothing").status_code == 404
    held = opened("shop-41")
    assert act(officer, held, "fulfilled").status_code == 400
    assert act(officer, held, "anything").status_code == 400


def test_duplicates_lead_to_each_other(officer):
    first = opened("shop-42")
    second = opened("shop-42")
    assert second.id in officer.get(f"{PAGE}/{first.id}").text
    assert first.id in officer.get(f"{PAGE}/{second.id}").text
