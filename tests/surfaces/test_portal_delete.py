"""Delete: shown before, days of grace or at once as equals, taken back, certified afterwards."""

import json
import re

import pytest
from portal_door import door, post, shop

from troth import app as house
from troth.capabilities import rights
from troth.capabilities.rights import certificates
from troth.surfaces.portal import catalogue, request_words

PAGE = "/my/delete"


def held_of(outside):
    made = shop()
    with made.ws.store.look() as view:
        found = rights.requests_of(made.ws.desk, view, made.person(outside))
    return [r for r in found if r.right == "deletion"]


def test_what_goes_what_stays_and_what_is_not_covered_is_shown_before():
    page = door("shop-13").get(f"{PAGE}/everything").text
    for said in (
        "Your e-mail address",
        "What stays, and why",
        "does not cover",
        "24 November 2026",
    ):
        assert said in page
    assert "{at}" not in page
    assert "%(" not in page


def test_waiting_now_and_keeping_are_offered_with_equal_weight():
    page = door("shop-13").get(f"{PAGE}/everything").text
    either = re.search(r'<form class="either".*?</form>', page, re.S)[0]
    assert re.findall(r'class="([^"]+)"', either)[1:] == ["button"] * 3
    assert "checked" not in page


def test_grace_can_be_taken_back_at_any_time():
    client = door("shop-14")
    answer = post(client, f"{PAGE}/everything", f"{PAGE}/everything", when="grace")
    assert answer.headers["location"] == PAGE
    page = client.get(PAGE).text
    assert "Everything is deleted on 24 November 2026" in page
    assert "Cancel: keep my data" in page
    assert "Delete now, without waiting" in page
    assert client.get(f"{PAGE}/everything").status_code == 303
    [held] = held_of("shop-14")
    assert post(client, f"{PAGE}/cancel", PAGE, request=held.id).status_code == 303
    assert "as it was before" in client.get(PAGE).text
    assert held_of("shop-14")[0].state == "withdrawn"


@pytest.mark.parametrize("when", ["", "tomorrow"])
def test_without_a_choice_nothing_is_deleted(when):
    client = door("shop-15")
    answer = post(client, f"{PAGE}/everything", f"{PAGE}/everything", when=when)
    assert answer.status_code == 400
    assert held_of("shop-15") == []


@pytest.fixture(scope="module")
def gone():
    client = door("shop-16")
    answer = post(client, f"{PAGE}/everything", f"{PAGE}/everything", when="now")
    assert answer.status_code == 303, answer.text
    return client, answer.headers["location"]


def test_at_once_leads_to_the_certificate_which_needs_nobody_to_be_in(gone):
    client, path = gone
    assert client.get("/my").headers["location"] == "/my/enter"
    page = shop().client.get(path)
    assert page.status_code == 200
    assert "Your data is deleted" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "shop-16" not in page.text


def test_the_files_of_the_certificate_verify_together(gone):
    _, path = gone
    fetch = shop().client.get
    paper, proof = fetch(f"{path}/certificate.json"), fetch(f"{path}/certificate.proof")
    said = certificates.verify(paper.content, proof.text, shop().ws.signer.policy)
    assert said["type"] == "erase.done"
    assert set(json.loads(paper.text)["left"].values()) == {0}
    assert fetch(f"{path}/certificate.pdf").content.startswith(b"%PDF")
    assert fetch(f"{path}/policy").text.startswith("log ")
    assert fetch(f"{path}/passwd").status_code == 404


def test_the_certificate_speaks_the_language_of_who_reads_it(gone):
    _, path = gone
    fetch = shop().client.get
    pdf = {}
    for language in ("en", "af"):
        spoken = {"cookie": f"troth_language={language}"}
        pdf[language] = fetch(f"{path}/certificate.pdf", headers=spoken).content
        page = fetch(path, headers=spoken).text
        assert "%(" not in page
        assert "Z still opens" not in page
    assert pdf["en"] != pdf["af"]


def test_each_line_a_certificate_does_not_cover_is_one_of_the_translated():
    english = catalogue.Tongue("en", "UTC")
    at = "2026-11-24T00:00:00Z"
    lines = [line.format(at=at) for line in rights.NOT_COVERED]
    assert [k % {"at": at} for k in request_words.UNCOVERED] == lines
    said = [request_words.uncovered(english, line, at) for line in lines]
    assert said[0].startswith("a backup of keys/ made before 24 November 2026")
    assert said[1:] == lines[1:]
    other = catalogue.Tongue("en", "UTC", {request_words.UNCOVERED[2]: "said otherwise"})
    assert request_words.uncovered(other, lines[2], at) == "said otherwise"
    old = "audience generation 7, until the next rebuild deletes it"
    assert request_words.uncovered(english, old, at) == old
    assert request_words.uncovered(english, "something new", at) == "something new"


def test_another_address_shows_no_certificate(gone):
    _, path = gone
    assert shop().client.get(path[:-1] + "x").status_code == 404
    assert shop().client.get("/my/certificate/" + "a" * 500).status_code == 404


def test_whoever_saved_the_certificate_has_the_page_taken_away():
    client = door("shop-17")
    path = post(client, f"{PAGE}/everything", PAGE, when="now").headers["location"]
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert client.post(f"{path}/forget", headers=elsewhere).status_code == 403
    assert client.get(path).status_code == 200
    assert client.post(f"{path}/forget").status_code == 303
    assert client.get(path).status_code == 404


def test_deleting_a_part_says_what_stayed():
    client = door("cast-adult")
    assert post(client, f"{PAGE}/part", PAGE, part="activity").headers["location"] == PAGE
    assert "Your account and your agreements stay" in client.get(PAGE).text
    assert post(client, f"{PAGE}/part", PAGE, part="all").status_code == 400


def test_the_round_of_the_house_finds_nothing_left_to_do(gone):
    assert house.Housekeeping(shop().ws).round(1) == []
    assert not rights.unfinished(shop().ws.desk)
