"""The people page: masked by default, a case for every look, and merging that can be undone."""

import re

import pytest
from hub_shop import shop

from troth.app import segment_defaults
from troth.surfaces import timeline
from troth.surfaces.web import people_card as page_of_people

ROLE = "support"


def post(client, path="/console/people", **form):
    return client.post(path, data={"form": shop().form(client, "/console/people"), **form})


def last(outside):
    return shop().chain(outside)[-1].event


def test_a_look_shows_what_they_agreed_to_and_no_name():
    page = post(shop().door(ROLE), outside="shop-11", case="T-1")
    assert page.status_code == 200
    assert "They agreed, 11 June 2026" in page.text
    assert "Offers for your household" in page.text
    assert not re.search(r"Planted|Secretname|shop-11@", page.text)
    event = last("shop-11")
    assert (event.type, event.payload.reason) == ("data.read", "case:T-1")
    assert event.payload.fields == ("contact.email", "facts", "identity.name")
    assert event.payload.masks == {"contact.email": "last4", "identity.name": "initial"}
    assert event.actor.startswith("support/")


def test_showing_one_field_is_a_look_of_its_own_and_goes_as_far_as_the_role():
    client = shop().door(ROLE)
    post(client, outside="shop-12", case="T-2")
    before = len(shop().chain("shop-12"))
    page = post(client, outside="shop-12", case="T-2", reveal="identity.name").text
    assert len(shop().chain("shop-12")) == before + 1
    assert "Planted Secretname" in page
    assert "shop-12@post.example" not in page, "support sees the end of an address only"
    assert "Your role does not see: their phone number" in page
    assert last("shop-12").payload.masks == {"contact.email": "last4"}
    post(client, outside="shop-12", case="T-2", reveal="contact.email")
    assert last("shop-12").payload.masks == {"contact.email": "last4", "identity.name": "initial"}


def test_by_address_the_address_stands_in_no_link_and_is_found(caplog, capsys):
    client = shop().door(ROLE)
    page = post(client, address="SHOP-13@post.example", case="T-3")
    assert page.status_code == 200
    assert not re.search(r'(href|action)="[^"]*shop-13', page.text, re.IGNORECASE)
    captured = capsys.readouterr()
    assert "shop-13" not in (captured.err + captured.out + caplog.text).lower()


def test_no_look_without_a_case_and_nobody_is_nobody():
    client, size = shop().door(ROLE), shop().size()
    assert post(client, outside="shop-14", case=" ").status_code == 400
    unknown = post(client, outside="nobody-here", case="T-4")
    assert unknown.status_code == 400
    assert "Nobody is known under this" in unknown.text
    assert "nobody-here" not in unknown.text
    assert shop().size() == size


@pytest.mark.parametrize("role", ["marketer", "it"])
def test_who_has_no_cases_has_no_people_page(role):
    assert shop().door(role).get("/console/people").status_code == 403


def test_support_may_not_merge_and_the_officer_may_and_may_undo_it():
    form = {"keep": "shop-21", "other": "shop-22", "why": "one household account"}
    assert post(shop().door(ROLE), "/console/people/merge", **form).status_code == 403
    officer = shop().door("privacy_officer")
    assert "They are one now" in post(officer, "/console/people/merge", **form).text
    merged = post(officer, outside="shop-21", case="T-5").text
    assert "1 other record merged" in merged
    apart = {"outside": "shop-21", "which": "1", "why": "two sisters"}
    for wrong in ("0", "2", "x", ""):
        again = {**apart, "which": wrong}
        assert post(officer, "/console/people/unmerge", **again).status_code == 400
    assert "They are two again" in post(officer, "/console/people/unmerge", **apart).text
    assert last("shop-22").type == "person.unmerged"


def test_a_merge_without_a_reason_or_with_oneself_is_told():
    officer = shop().door("privacy_officer")
    same = {"keep": "shop-23", "other": "shop-23", "why": "x"}
    for form in (same, {**same, "other": "shop-24", "why": " "}, {**same, "other": "nobody"}):
        assert post(officer, "/console/people/merge", **form).status_code == 400


def test_staff_read_of_each_answer_in_words_that_speak_of_the_person():
    assert page_of_people.SAID.keys() == timeline.STATES.keys()
    assert not any(re.search(r"\b[Yy]ou", said) for said in page_of_people.SAID.values())


def test_the_page_and_the_segments_agree_on_when_somebody_lapsed():
    limits = segment_defaults()["stages"]
    page = post(shop().door(ROLE), outside="shop-11", case="T-9").text
    told = [text.format(**limits) for text in page_of_people.STAGES.values()]
    assert sum(f"{text}." in page for text in told) == 1
    assert str(limits["ended_days"]) in page_of_people.STAGES["ended"].format(**limits)
