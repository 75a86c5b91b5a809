"""My requests: dates with their rule, clicks with receipt and undo, words both ways, complaints."""

import re

from portal_door import door, form, post, shop

from troth.capabilities import rights
from troth.capabilities.rights.requests import Move
from troth.terms import Actor, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
PAGE = "/my/requests"


def requests_of(outside):
    made = shop()
    with made.ws.store.look() as view:
        return rights.requests_of(made.ws.desk, view, made.person(outside))


def done(client, answer):
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == PAGE
    return client.get(PAGE).text


def test_the_page_asks_who_it_is_first():
    client = door("shop-01")
    client.cookies.clear()
    assert client.get(PAGE).headers["location"] == "/my/enter"


def test_looking_is_recorded_once_a_visit():
    client = door("shop-01")
    client.get(PAGE)
    client.get(PAGE)
    reads = [r.event.payload for r in shop().chain("shop-01") if r.event.type == "data.read"]
    assert sum("requests" in read.fields for read in reads) == 1


def test_a_request_shows_its_day_its_rule_and_what_comes_next():
    client = door("shop-02")
    asked = post(client, PAGE, PAGE, right="access", text="All of it <b>please</b>", key="one")
    page = done(client, asked)
    assert "17 December 2026" in page
    assert "30 days left" in page
    assert "PAIA (ZA-9)" in page
    assert "Next: we work out" in page
    assert "All of it &lt;b&gt;please&lt;/b&gt;" in page
    assert post(client, PAGE, PAGE, right="access", text="x", key="one").status_code == 303
    assert len(requests_of("shop-02")) == 1


def test_a_request_without_words_or_of_no_right_is_not_taken():
    client = door("shop-03")
    assert post(client, PAGE, PAGE, right="access", text=" ").status_code == 400
    assert post(client, PAGE, PAGE, right="everything", text="x").status_code == 400
    assert requests_of("shop-03") == []


def test_words_go_both_ways_and_a_refusal_names_its_ground():
    client, made = door("shop-04"), shop()
    post(client, PAGE, PAGE, right="review", text="Why this?")
    [held] = requests_of("shop-04")
    move = Move("asked", text="Which decision do you mean?")
    rights.move(made.ws.desk, made.person("shop-04"), held.id, move, OFFICER)
    assert "Which decision do you mean?" in client.get(PAGE).text
    page = done(client, post(client, f"{PAGE}/answer", PAGE, request=held.id, text="The last"))
    assert "The last" in page
    no = Move("denied", ground="repeated", text="See our letter of May")
    rights.move(made.ws.desk, made.person("shop-04"), held.id, no, OFFICER)
    page = client.get(PAGE).text
    assert "We answered the same request a short time ago" in page
    assert "Answered and closed" in page


def test_taking_a_request_back_closes_it():
    client = door("shop-05")
    post(client, PAGE, PAGE, right="access", text="x")
    [held] = requests_of("shop-05")
    done(client, post(client, f"{PAGE}/withdraw", PAGE, request=held.id))
    assert [r.state for r in requests_of("shop-05")] == ["withdrawn"]


def test_nobody_moves_the_request_of_somebody_else():
    one, two = door("shop-06"), door("shop-07")
    post(one, PAGE, PAGE, right="access", text="x")
    [held] = requests_of("shop-06")
    assert post(two, f"{PAGE}/withdraw", PAGE, request=held.id).status_code == 404
    assert two.get(f"/api/v1/requests/{held.id}").status_code == 404
    assert requests_of("shop-06")[0].open


def test_one_click_only_stores_with_receipt_and_undo():
    client = door("shop-08")
    page = done(client, post(client, f"{PAGE}/restrict", PAGE))
    n = int(re.search(r"/my/receipts/(\d+)", page)[1])
    assert shop().chain("shop-08")[n - 1].event.type == "processing.restricted"
    assert f'action="{PAGE}/lift"' in page
    done(client, post(client, f"{PAGE}/lift", PAGE))
    said = [r.event.payload for r in shop().chain("shop-08")]
    assert [s.restricted for s in said if s.type == "processing.restricted"] == [True, False]


def test_only_storing_is_not_lifted_while_a_deletion_waits():
    client = door("shop-05")
    post(client, "/my/delete/everything", PAGE, when="grace")
    assert post(client, f"{PAGE}/lift", PAGE).status_code == 400
    said = [r.event.payload for r in shop().chain("shop-05")]
    assert [s.restricted for s in said if s.type == "processing.restricted"] == [True]
    held = next(r for r in requests_of("shop-05") if r.right == "deletion")
    post(client, "/my/delete/cancel", PAGE, request=held.id)


def test_what_the_officer_keeps_back_is_said_and_only_the_persons_own_is_lifted():
    client, made = door("shop-13"), shop()
    rights.restrict(made.ws.desk, made.person("shop-13"), "a claim", OFFICER)
    page = client.get(PAGE).text
    assert "Our privacy officer keeps it back" in page
    assert f'action="{PAGE}/lift"' not in page
    assert post(client, f"{PAGE}/lift", PAGE).status_code == 400
    assert f'action="{PAGE}/lift"' in done(client, post(client, f"{PAGE}/restrict", PAGE))
    page = done(client, post(client, f"{PAGE}/lift", PAGE))
    assert "Our privacy officer keeps it back" in page
    rights.lift_restriction(made.ws.desk, made.person("shop-13"), "settled", OFFICER)


def test_one_click_objects_to_all_marketing_with_a_receipt():
    client = door("shop-09")
    page = done(client, post(client, f"{PAGE}/object", PAGE))
    n = int(re.search(r"/my/receipts/(\d+)", page)[1])
    assert shop().chain("shop-09")[n - 1].event.type == "consent.objected"
    assert requests_of("shop-09")[0].state == "fulfilled"
    back = post(client, f"{PAGE}/unobject", PAGE)
    assert back.headers["location"] == "/my/preferences"


def test_a_form_without_the_token_of_its_session_does_nothing():
    client = door("shop-10")
    assert client.post(f"{PAGE}/restrict", data={"form": "x"}).status_code == 403
    assert client.post(f"{PAGE}/nothing", data={"form": form(client, PAGE)}).status_code == 400


def test_where_to_complain_names_company_and_authority():
    page = door("shop-11").get(PAGE).text
    assert "Information Regulator (South Africa)" in page
    assert 'id="complain"' in page


def test_the_status_for_programs_is_the_persons_own_or_an_officers():
    client, made = door("shop-12"), shop()
    post(client, PAGE, PAGE, right="access", text="Secret words")
    [held] = requests_of("shop-12")
    told = client.get(f"/api/v1/requests/{held.id}").json()
    assert told["request_id"] == held.id
    assert told["status"] == "in_progress"
    assert told["expected_by"] == "2026-12-17T21:59:59Z"
    assert "Secret" not in str(told)
    assert made.client.get(f"/api/v1/requests/{held.id}", headers=made.key).status_code == 403
    wrong = {"authorization": "Bearer nothing"}
    assert made.client.get(f"/api/v1/requests/{held.id}", headers=wrong).status_code == 401
