"""My consent records, and the page on which anybody may check one without learning whose it is."""

import json
import re
import shutil

import marula
import portal_door
import pytest
from starlette.testclient import TestClient

from troth import crypto
from troth.surfaces import cli
from troth.surfaces.web.server import build_app

YES = {"notice": "offers@3", "method": "button", "proof": "form:1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records") / "house"
    marula.make(folder)
    return folder


@pytest.fixture
def house(made, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(made, folder)
    opened = marula.House(folder)
    yield opened
    opened.ws.close()


@pytest.fixture
def mine(house):
    person = house.newcomer("keeper")
    house.say(person, "given", **YES)
    app = build_app(house.ws, None, None)
    client = portal_door.enter(app, person)
    path = re.search(r'href="(/my/records/\d+)"', client.get("/my/records").text)[1]
    return house, person, app, client, path


def anybody(app):
    return TestClient(app, base_url=portal_door.BASE, follow_redirects=False)


def test_a_record_is_listed_read_in_plain_words_and_taken_away(mine):
    house, person, _, client, path = mine
    listed = client.get("/my/records").text
    assert "You agreed" in listed
    page = client.get(path).text
    assert "You agreed" in page
    assert re.search(r"CR-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}-\S", page)
    file = client.get(f"{path}.json")
    assert file.headers["content-type"] == "application/ld+json"
    assert "attachment" in file.headers["content-disposition"]
    digest = crypto.sha256(file.content).hex()
    assert house.chain(person)
    with house.ws.store.look() as view:
        acts = [e.event.payload for e in house.desk.scribe.chain(view, person)]
    assert digest in [getattr(act, "record", None) for act in acts]
    assert house.ws.desk.person_key("keeper").hex() not in file.text


def test_that_records_were_shown_is_an_event_of_the_person_once_a_visit(mine):
    house, person, _, client, _ = mine
    client.get("/my/records")
    reads = [e for e in house.chain(person) if e.type == "data.read"]
    assert [e.payload.fields for e in reads] == [("records",)]


def test_nobody_reads_anothers_record_or_without_coming_in(mine):
    house, _, app, _, path = mine
    other = portal_door.enter(app, house.newcomer("other"))
    assert other.get(path).status_code == 404
    assert other.get(f"{path}.json").status_code == 404
    for each in ("/my/records", path, f"{path}.json"):
        answer = anybody(app).get(each)
        assert (answer.status_code, answer.headers["location"]) == (303, "/my/enter")


def test_an_empty_list_says_what_will_be_in_it(house):
    client = portal_door.enter(build_app(house.ws, None, None), house.newcomer("quiet"))
    page = client.get("/my/records").text
    assert "No consent record yet" in page


def test_anybody_checks_a_file_or_a_code_and_learns_nothing_else(mine):
    house, person, app, client, path = mine
    raw = client.get(f"{path}.json").content
    code = re.search(r"CR-[0-9A-Z-]+[^<\s]", client.get(path).text)[0]
    stranger = anybody(app)
    checks = (
        lambda: stranger.post("/record", files={"file": ("r.json", raw)}),
        lambda: stranger.post("/record", data={"code": f" {code.lower()} "}),
    )
    for check in checks:
        answer = check()
        assert "This record is valid" in answer.text
        assert not re.search(
            r"offers|keeper|consent\.|email", answer.text.split("<main")[1].split("</main")[0]
        )
    house.say(person, "withdrawn")
    for check in checks:
        assert "This record was superseded" in check().text
    altered = raw.replace(b"dpv:ConsentGiven", b"dpv:ConsentRefused")
    assert altered != raw
    answer = stranger.post("/record", files={"file": ("r.json", altered)})
    assert "This record is unknown here" in answer.text


def test_a_wrong_character_an_empty_form_and_any_bytes_are_answered_in_words(mine):
    _, _, app, _, path = mine
    del path
    stranger = anybody(app)
    assert stranger.post("/record", data={"code": "CR-0000-0000-0000-1"}).status_code == 400
    assert stranger.post("/record", data={"code": ""}).status_code == 400
    odd = stranger.post("/record", files={"file": ("x", b"\xff\x00" * 50)})
    assert "unknown" in odd.text


def test_the_public_check_is_limited_by_network(mine):
    stranger = anybody(mine[2])
    codes = [stranger.post("/record", data={"code": "x"}).status_code for _ in range(64)]
    assert 429 in codes


def test_the_command_line_verifies_and_shows_a_file(mine, tmp_path, capsys):
    house, person, _, client, path = mine
    file = tmp_path / "record.json"
    file.write_bytes(client.get(f"{path}.json").content)

    def run(*args):
        house.ws.close()
        code = cli.answer([*args, "--json", "-w", str(house.folder)])
        house.open()
        return code, json.loads(capsys.readouterr().out)

    code, told = run("consent", "record", "verify", str(file))
    assert (code, told["state"], told["ours"], told["findings"]) == (0, "valid", True, [])
    code, told = run("consent", "record", "show", str(file))
    assert (code, told["said"], told["notice"]) == (0, "ConsentGiven", "offers@3")
    house.say(person, "withdrawn")
    code, told = run("consent", "record", "verify", str(file))
    assert (code, told["state"]) == (1, "superseded")
    value = json.loads(file.read_bytes())
    del value["dpv:hasProcess"]
    file.write_text(json.dumps(value))
    code, told = run("consent", "record", "verify", str(file))
    assert (code, told["state"], told["ours"]) == (1, "unknown", False)
    assert told["findings"] == [["dpv:hasProcess", "is missing"]]
