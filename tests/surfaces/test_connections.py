"""The page of connections: IT makes and ends, marketers see; and what the commands print."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import cli_shop as shop
import pytest
from hub_shop import REPORT
from marula import House, make
from starlette.testclient import TestClient

from troth.app import connections as wired
from troth.capabilities import connections
from troth.surfaces.web.server import build_app
from troth.terms import Actor, Role

IT = Actor(Role.IT, "gareth@marula.example")


@pytest.fixture
def listener():
    got, statuses = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(statuses.pop(0) if statuses else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, statuses
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "marula"
    make(folder)
    with (folder / "troth.toml").open("a") as toml:
        toml.write(
            '\n[connections.letters]\npurpose = "offers"\nfile = "letters.csv"\n'
            '\n[channels.sms]\nprovider = "https://sms.example/send?key=planted"\n'
        )
    house = House(folder)
    return house, build_app(house.ws, REPORT, folder / "inbox")


def door(app, role):
    client = TestClient(app, base_url="http://127.0.0.1:8400", follow_redirects=False)
    assert client.post(f"/doors/{role}").status_code == 303
    return client


def token(client):
    text = client.get("/console/connections").text
    return re.search(r'name="form" value="([^"]+)"', text)[1]


def test_it_makes_tests_turns_and_ends_a_webhook_on_the_page(page, listener):
    house, app = page
    url, got, statuses = listener
    client = door(app, "it")
    text = client.get("/console/connections").text
    assert "No system is told when somebody stops" in text
    assert "letters.csv" in text
    assert "https://sms.example/send" in text
    assert "planted" not in text
    form = {"form": token(client), "name": "shop", "under": "connections"}
    wrong = client.post("/console/connections/webhooks", data={**form, "url": url})
    assert wrong.status_code == 400
    assert "The webhook was not made" in wrong.text
    public = {**form, "url": "https://shop.example/hook", "event-consent.withdrawn": "yes"}
    made = client.post("/console/connections/webhooks", data=public)
    assert made.status_code == 200
    assert "whsec_" in made.text
    assert "whsec_" not in client.get("/console/connections").text
    again = client.post("/console/connections/webhooks", data=public)
    assert again.status_code == 400
    turned = client.post("/console/connections/webhooks/rotate", data=form)
    assert "whsec_" in turned.text
    ended = client.post("/console/connections/webhooks/end", data=form)
    assert ended.headers["location"] == "/console/connections?done=ended"
    assert "The webhook is ended" in client.get(ended.headers["location"]).text
    near = connections.Hook("near", url, ("consent.withdrawn",), "connections", local=True)
    wired.add_webhook(house.ws, near, IT)
    tested = client.post("/console/connections/webhooks/test", data={**form, "name": "near"})
    assert "near took the test message" in tested.text
    assert json.loads(got[-1])["data"] == {}
    statuses.append(500)
    tested = client.post("/console/connections/webhooks/test", data={**form, "name": "near"})
    assert "did not take the test message" in tested.text
    assert client.post("/console/connections/webhooks/x", data=form).status_code == 400
    wired.end_webhook(house.ws, "near", IT)


def test_a_marketer_sees_what_leaves_and_changes_nothing(page):
    _, app = page
    client = door(app, "marketer")
    text = client.get("/console/connections").text
    assert "What leaves here" in text
    assert "Make a webhook" not in text
    form = {"name": "x", "url": "https://shop.example/x", "event-consent.withdrawn": "yes"}
    assert client.post("/console/connections/webhooks", data=form).status_code == 403
    assert client.post("/console/connections/webhooks/end", data=form).status_code == 403
    for role in ("support", "privacy_officer"):
        assert door(app, role).get("/console/connections").status_code == 403


def test_a_form_of_elsewhere_changes_nothing(page):
    _, app = page
    client = door(app, "it")
    form = {"name": "x", "url": "https://shop.example/x", "event-consent.withdrawn": "yes"}
    assert client.post("/console/connections/webhooks", data=form).status_code == 403
    form["form"] = token(client)
    head = {"origin": "https://evil.example"}
    answer = client.post("/console/connections/webhooks", data=form, headers=head)
    assert answer.status_code == 403


# The commands


@pytest.fixture
def ws(tmp_path):
    folder = shop.copied(shop.built(), tmp_path / "ws")
    with (folder / "troth.toml").open("a") as toml:
        toml.write('\n[connections.letters]\npurpose = "offers"\nfile = "letters.csv"\n')
    return folder


def test_a_sync_out_says_how_many_and_writes_no_address(ws):
    ran = shop.done(shop.at(ws, "sync", "out", "letters", "--json"))
    assert ran.data["rows"]["yes"] >= 1
    text = (ws / "letters.csv").read_text()
    assert "c-agreed" in text
    assert not [mark for mark in shop.MARKS if mark in text]
    again = shop.done(shop.at(ws, "sync", "out", "letters", "--json"))
    assert again.data["rows"] == {}
    other = shop.done(shop.at(ws, "sync", "out", "letters", "--all", "--out", ws / "b.csv"))
    assert "may be written to" in other.out
    assert shop.at(ws, "sync", "out", "nobody").status == 2


def test_a_marketers_sync_is_refused(ws):
    ran = shop.at(ws, "sync", "out", "letters", "--as", "marketer:lindiwe@marula.example")
    assert ran.status == 1
    assert not (ws / "letters.csv").exists()


def test_a_sync_in_narrows_and_counts_what_proves_nothing(ws, tmp_path):
    path = tmp_path / "tool.csv"
    path.write_text(f"email,status\n{shop.address('c-agreed')},unsubscribed\n,subscribed\nx,y\n")
    ran = shop.done(shop.at(ws, "sync", "in", path, "--json"))
    assert ran.data["outcomes"]["stopped"] == 1
    assert ran.data["rejected"] == [2]
    told = shop.at(ws, "explain", "c-agreed", "--purpose", "offers", "--json")
    assert told.status == 1


def test_webhooks_are_made_listed_tried_and_ended(ws, listener):
    url, got, statuses = listener
    assert "No webhook was made" in shop.done(shop.at(ws, "webhook", "list")).out
    line = ("webhook", "add", url, "--name", "shop", "--events", "consent.withdrawn")
    assert shop.at(ws, *line).status == 2
    made = shop.done(shop.at(ws, *line, "--local", "--json"))
    assert made.data["secret"].startswith("whsec_")
    assert shop.done(shop.at(ws, "webhook", "test", "shop")).out == "It took the message.\n"
    statuses.append(500)
    assert shop.at(ws, "webhook", "test", "shop").status == 1
    shop.done(shop.at(ws, "consent", "withdraw", "c-agreed", "--purpose", "offers"))
    assert shop.done(shop.at(ws, "webhook", "send", "--json")).data["tried"] == 1
    assert json.loads(got[-1])["type"] == "consent.withdrawn"
    assert shop.done(shop.at(ws, "webhook", "rotate", "shop", "--json")).data["secret"]
    held = shop.done(shop.at(ws, "webhook", "list", "--json")).data["webhooks"]
    assert [(h["name"], h["delivered"], h["dead"]) for h in held] == [("shop", 1, 0)]
    assert "shop" in shop.done(shop.at(ws, "webhook", "list")).out
    shop.done(shop.at(ws, "webhook", "end", "shop"))
    assert shop.at(ws, "webhook", "end", "shop").status == 2
