"""A problem on a customer's page is said in the page's own frame, in their language, in plain words."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from portal_door import door, shop
from starlette.testclient import TestClient

import troth
from troth.errors import EvidenceBroken, Unavailable
from troth.surfaces.portal import problems
from troth.surfaces.portal.catalogue import Tongue
from troth.surfaces.web.parts import CUSTOMERS, Problem, is_customers

BASE = "http://127.0.0.1:8400"
STAFF = ("hub.css", "Go to the overview", "What to do:")


def stranger():
    return TestClient(shop().app, base_url=BASE, follow_redirects=False)


def said(answer):
    heading = re.search(r"<h1>([^<]+)</h1>", answer.text)
    return heading[1] if heading else ""


@pytest.mark.parametrize("path", [f"{each}/no/such/page" for each in CUSTOMERS])
def test_a_page_that_is_not_there_wears_the_customers_frame(path):
    for client in (stranger(), door()):
        answer = client.get(path)
        assert answer.status_code == 404
        assert said(answer) == problems.KINDS["not_found"][0]
        assert "portal.css" in answer.text
        assert "Nothing was lost." in answer.text
        assert re.search(r"<code>[A-Z2-7]{8}</code>", answer.text)
        assert not [word for word in STAFF if word in answer.text]


def test_who_is_in_keeps_their_pages_and_the_stop_and_others_the_way_in():
    mine, other = door().get("/my/no-such"), stranger().get("/my/no-such")
    assert 'action="/my/stop"' in mine.text
    assert 'href="/my">Back to my pages' in mine.text
    assert 'action="/my/stop"' not in other.text
    assert 'href="/my/enter">Come in' in other.text


def test_a_problem_of_staff_and_of_a_program_stays_theirs():
    client = stranger()
    assert client.get("/api/v1/no-such").json()["code"] in {"not_found", "not_allowed"}
    assert not is_customers("/console")
    assert not is_customers("/mystery")
    assert not is_customers("/api/v1/my")
    assert is_customers("/my")


def test_what_is_shown_follows_the_readers_language(monkeypatch):
    spoken = []

    def gettext(self, sentence, **named):
        spoken.append((self.language, sentence))
        return (
            f"[{self.language}] {sentence}" % named if named else f"[{self.language}] {sentence}"
        )

    monkeypatch.setattr(Tongue, "gettext", gettext)
    answer = door(language="zu").get("/my/no-such")
    assert said(answer) == f"[zu] {problems.KINDS['not_found'][0]}"
    assert ("zu", "Nothing was lost.") in spoken
    assert ("zu", problems.KINDS["not_found"][1]) in spoken


def test_a_form_that_is_old_and_a_body_that_does_not_read_are_told_apart():
    client = door()
    old = client.post("/my/level", data={"form": "x" * 24, "level": "0"})
    assert (old.status_code, said(old)) == (403, problems.KINDS["not_allowed"][0])
    token = re.search(r'name="form" value="([^"]+)"', client.get("/my/level").text)[1]
    wrong = client.post("/my/level", data={"form": token, "level": "x"})
    assert (wrong.status_code, said(wrong)) == (400, problems.KINDS["invalid"][0])


def drawn(code, message="a row of the table does not decode"):
    hub = shop().app.state.hub
    request = SimpleNamespace(
        url=SimpleNamespace(path="/my/level", scheme="http"), method="GET", cookies={},
        headers={}, app=shop().app,
    )  # fmt: skip
    return problems.problem_page(hub, request, 500, Problem(code, message, "call us", "REF23456"))


@pytest.mark.parametrize("code", [*problems.KINDS, "internal", "new"])
def test_every_kind_has_words_and_an_inner_message_is_never_shown(code):
    text = drawn(code).body.decode()
    assert problems.KINDS.get(code, problems.ELSE)[0] in text
    assert "REF23456" in text
    assert "decode" not in text
    assert "call us" not in text


def test_a_message_of_ours_that_has_its_words_is_shown_in_them():
    text = drawn("conflict", "this was answered meanwhile").body.decode()
    assert "<h1>This was answered meanwhile.</h1>" in text
    assert "Look at the page again." in text


def test_every_message_with_words_of_its_own_is_one_a_page_can_raise():
    root = Path(troth.__file__).parent
    source = "".join(
        file.read_text("utf-8") for file in root.rglob("*.py") if file.name != "problems.py"
    )
    lost = [message for message in problems.OWN if f'"{message}"' not in source]
    assert lost == []


@pytest.mark.parametrize("fault", [Unavailable("x", "y"), EvidenceBroken("x", "y")])
def test_a_visit_that_cannot_be_looked_up_still_gets_its_problem_page(monkeypatch, fault):
    def failing(*_told):
        raise fault

    monkeypatch.setattr(problems, "visiting", failing)
    text = drawn(fault.code).body.decode()
    assert problems.KINDS[fault.code][0] in text
    assert 'href="/my/enter"' in text


def test_what_was_done_is_still_said_on_the_next_page_that_works():
    client = door()
    token = re.search(r'name="form" value="([^"]+)"', client.get("/my/level").text)[1]
    assert client.post("/my/level", data={"form": token, "level": "0"}).status_code == 303
    assert 'class="done"' not in client.get("/my/no-such").text
    assert 'class="done"' in client.get("/my/level").text
