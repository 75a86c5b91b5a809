"""The page of access: who could see what, what to take, rights for a while, reviews, in words."""

import json
import re
import shutil

import marula
import pytest
import staffed
from click.testing import CliRunner
from hub_shop import REPORT
from starlette.testclient import TestClient

from troth.app import access as rights
from troth.capabilities.access import granting
from troth.surfaces import cli
from troth.surfaces.access_words import CALLED
from troth.surfaces.web.server import build_app

PAGE = "/console/access"


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    folder = tmp_path_factory.mktemp("access") / "house"
    staffed.make(folder)
    staffed.lived(marula.House(folder, staffed.BEGUN)).ws.close()
    return folder


class Site:
    def __init__(self, folder):
        self.house = marula.House(folder, staffed.NOW)
        self.app = build_app(self.house.ws, REPORT, folder / "inbox")

    def door(self, who):
        client = TestClient(self.app, base_url="http://127.0.0.1:8400", follow_redirects=False)
        told = client.post(f"/doors/{who.role}", data={"who": who.id})
        assert told.status_code == 303, told.text
        return client

    def post(self, client, act, page=PAGE, **form):
        token = re.search(r'name="form" value="([^"]+)"', client.get(page).text)[1]
        return client.post(f"{PAGE}/{act}", data={"form": token, **form})


@pytest.fixture
def site(lived, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(lived, folder)
    made = Site(folder)
    yield made
    made.house.ws.close()


def text(client, page=PAGE):
    answer = client.get(page)
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def proposal(text_, title="E-mail addresses"):
    found = re.search(rf'<h3>{title}: .*?name="id" value="([0-9a-f]{{16}})"', text_, re.DOTALL)
    return found[1]


def test_it_sees_how_many_can_see_what_and_what_the_log_says(site):
    told = text(site.door(staffed.IT))
    assert "37 people can see e-mail addresses" in told
    assert "E-mail addresses: 37 → 6" in told
    assert "It would have denied 3 reads: these." in told


def test_one_click_takes_and_one_click_undoes(site):
    client = site.door(staffed.IT)
    one = proposal(client.get(PAGE).text)
    assert site.post(client, "apply", id=one).status_code == 303
    told = text(client)
    assert "6 people can see e-mail addresses" in told
    assert "31 rights are withheld" in told
    version = re.search(r'name="version" value="(\d+)"', client.get(PAGE).text)[1]
    assert site.post(client, "undo", version=version).status_code == 303
    assert "37 people can see e-mail addresses" in text(client)


def test_a_proposal_that_changed_takes_nothing(site):
    client = site.door(staffed.IT)
    assert site.post(client, "apply", id="0" * 16).status_code == 409
    assert "37 people can see e-mail addresses" in text(client)


def test_what_is_kept_is_not_proposed_any_more(site):
    client = site.door(staffed.OFFICER)
    site.post(client, "keep", id=proposal(client.get(PAGE).text))
    assert "E-mail addresses: 37" not in text(client)


@pytest.mark.parametrize(
    "act", ["apply", "undo", "keep", "approve", "refuse", "look", "begin", "answer"]
)
def test_support_neither_sees_the_page_nor_does_what_it_does(site, act):
    client = site.door(staffed.SUPPORT[0])
    assert client.get(PAGE).status_code == 403
    assert site.post(client, act, page=f"{PAGE}/ask", id="x").status_code == 403


def ask(site, client, **more):
    form = {
        "purpose": "service", "action": "read", "data-contact.phone": "yes", "mask": "full",
        "reason": "audience:all", "why": "calling back about a delivery", "hours": "2", **more,
    }  # fmt: skip
    return site.post(client, "ask", page=f"{PAGE}/ask", **form)


def grant_id(site):
    with site.house.ws.store.look() as view:
        return granting.every(view)[0].id


def test_support_asks_and_the_officer_agrees(site):
    agent, officer = site.door(staffed.SUPPORT[0]), site.door(staffed.OFFICER)
    assert ask(site, agent).status_code == 303
    assert "Phone numbers" not in text(officer).partition("Rights for a while")[0]
    assert "Wants to look at it: phone numbers" in text(officer)
    assert "A right for a while waits for your yes" in text(officer, "/console")
    assert site.post(officer, "approve", id=grant_id(site)).status_code == 303
    assert "2 hours left" in text(agent, f"{PAGE}/ask")
    site.post(agent, "end", page=f"{PAGE}/ask", id=grant_id(site))
    assert "2 hours left" not in text(agent, f"{PAGE}/ask")


def test_what_will_not_do_is_said_and_nothing_is_asked(site):
    agent = site.door(staffed.SUPPORT[0])
    told = ask(site, agent, why="it is about ann@post.example")
    assert told.status_code == 400
    assert "ann@post" not in told.text
    with site.house.ws.store.look() as view:
        assert granting.every(view) == []


def test_breaking_the_glass_is_on_the_officers_home_at_once(site):
    agent, officer = site.door(staffed.SUPPORT[0]), site.door(staffed.OFFICER)
    told = site.post(agent, "glass", page=f"{PAGE}/ask", purpose="service", action="read",
                     why="the line to the courier is dead", **{"data-contact.phone": "yes"})  # fmt: skip
    assert told.status_code == 303, told.text
    assert "An emergency to look at" in text(officer, "/console")
    site.post(officer, "look", id=grant_id(site), verdict="justified")
    assert "An emergency to look at" not in text(officer, "/console")


def test_a_marketer_breaks_no_glass(site):
    client = site.door(marula.MARKETER)
    assert "Break the glass" not in text(client, f"{PAGE}/ask")
    assert site.post(client, "glass", page=f"{PAGE}/ask").status_code == 404


def test_a_review_is_opened_and_answered_line_by_line(site):
    client = site.door(staffed.IT)
    assert "No review was opened yet" in text(client, f"{PAGE}/review")
    site.post(client, "begin")
    page = client.get(f"{PAGE}/review").text
    assert "What nobody answers by" in page
    line = re.search(r'name="line" value="([^"]+)"', page)[1]
    site.post(client, "answer", page=f"{PAGE}/review", line=line, word="approve")
    assert "1 of " in text(client, f"{PAGE}/review")


def test_every_empty_place_says_what_it_waits_for(tmp_path):
    folder = tmp_path / "house"
    marula.make(folder)
    made = Site(folder)
    told = text(made.door(staffed.IT))
    assert "Too early to say" in told
    assert "90 days more" in told
    assert "Nobody asked, and no glass is broken." in told
    made.house.ws.close()


def test_no_customer_is_on_the_page(site):
    client = site.door(staffed.IT)
    pages = client.get(PAGE).text + client.get(f"{PAGE}/ask").text
    assert "probe" not in pages
    assert site.house.person("probe").hex() not in pages


# The command line


def run(folder, *line):
    told = CliRunner().invoke(
        cli.root, [*line, "-w", str(folder), "--at", staffed.NOW.isoformat(), "--json"],
        standalone_mode=False,
    )  # fmt: skip
    assert told.exception is None, told.exception
    return json.loads(told.output.splitlines()[-1])


def test_the_command_line_says_and_does_the_same(lived, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(lived, folder)
    (folder / "demo.json").write_text(json.dumps({"demo_time": staffed.NOW.isoformat()}))
    as_it = ("--as", f"it:{staffed.IT.id}")
    assert run(folder, "access", "exposure")["staff"]["contact.email"] == 37
    found = run(folder, "access", "tighten")["proposals"]
    one = next(p for p in found if p["category"] == "contact.email")
    assert (one["before"], one["after"], one["denied"]) == (37, 6, 3)
    assert run(folder, "access", "tighten", "--apply", one["id"], *as_it)["taken"] == 31
    assert run(folder, "access", "exposure")["staff"]["contact.email"] == 6
    run(folder, "access", "tighten", "--undo", *as_it)
    assert run(folder, "access", "exposure")["staff"]["contact.email"] == 37


def test_a_right_is_asked_for_agreed_to_and_ended_by_command(lived, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(lived, folder)
    (folder / "demo.json").write_text(json.dumps({"demo_time": staffed.NOW.isoformat()}))
    agent = ("--as", f"support:{staffed.SUPPORT[0].id}")
    as_it = ("--as", f"it:{staffed.IT.id}")
    told = ("--purpose", "service", "--data", "contact.phone", "--why", "calling back a customer")
    made = run(folder, "access", "ask", *told, "--reason", "audience:all", *agent)
    assert run(folder, "access", "approve", made["id"], *as_it)["state"] == "active"
    assert run(folder, "access", "end", made["id"], *agent)["state"] == "revoked"
    glass = run(folder, "access", "glass", *told, "--minutes", "5", *agent)
    assert run(folder, "access", "review", glass["id"], "justified", *as_it)["verdict"]
    assert len(run(folder, "access", "grants")["grants"]) == 2
    assert run(folder, "access", "review", "--begin", *as_it)["lines"]
    line = run(folder, "access", "review")["lines"][0]["line"]
    assert run(folder, "access", "review", line, "approve", *as_it)["state"] == "approved"


def test_every_category_shipped_has_a_word_of_its_own():
    weight, _ = rights.weights()
    assert weight.keys() <= CALLED.keys()
