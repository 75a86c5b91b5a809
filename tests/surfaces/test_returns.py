"""What comes back and what it did, as staff meet it: commands, SMTP, the results page."""

import json
import re
import shutil
import smtplib
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

sys.path.append(str(Path(__file__).parents[1] / "stories"))

import comeback
import marula
from click.testing import CliRunner

from troth import app
from troth.capabilities import people
from troth.capabilities.outreach import plans, steps
from troth.engines.effect import Group, compare
from troth.kernel.desk import SYSTEM
from troth.surfaces import outcome_words
from troth.surfaces.cli import root
from troth.surfaces.web.server import build_app
from troth.terms import Actor, Instant, Role

SIPHO = Actor(Role.MARKETER, "sipho@marula.example")
REPORT = {"demo_time": marula.NOW.isoformat(), "provenance": "invented"}
READERS = [f"r{n:02}" for n in range(60)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished campaign with half of its audience held out, five days later."""
    folder = tmp_path_factory.mktemp("results") / "house"
    marula.make(folder)
    path = folder / "troth.toml"
    one = '["lindiwe@marula.example"]'
    path.write_text(path.read_text().replace(one, f'{one[:-1]}, "{SIPHO.id}"]'))
    house = marula.House(folder)
    house.ws.apply()
    rows = [
        {**marula.BLANK, "external_id": each, "email": f"{each}@post.example",
         "given_name": "Plantedname", "relation_kind": "sale",
         "relation_at": marula.days_ago(200)}
        for each in READERS
    ]  # fmt: skip
    house.take("customers", *rows)
    for each in READERS:
        house.consents(each, {"idempotency_key": each})
    app.rebuild_reach(house.ws, marula.MARKETER)
    asked = app.Asked("spring", "winback", "winback", plans.When(), 50)
    app.draft_campaign(house.ws, asked, marula.MARKETER)
    life = app.submit_campaign(house.ws, "spring", marula.MARKETER)
    steps.approve(house.desk, "spring", life.plan, SIPHO)
    steps.schedule(house.desk, "spring", marula.MARKETER)
    with house.inbox() as port:
        sending = app.Sending(house.ws, ("127.0.0.1", port))
        for _ in range(6):
            list(app.tick(sending))
    house.at(marula.NOW + timedelta(days=5))
    with house.ws.store.look() as view:
        bought = Instant(view.now - 86_400_000_000)
    mailed = [to.partition("@")[0] for to in house.delivered() if to[:1] == "r"]
    for each in mailed[:14]:
        dealing = people.Dealing("sale", bought, goods="household")
        people.relate(house.desk, house.person(each), dealing, "till", SYSTEM)
    house.ws.close()
    return folder


@pytest.fixture
def house(made, tmp_path):
    shutil.copytree(made, tmp_path / "house")
    opened = marula.House(tmp_path / "house", marula.NOW + timedelta(days=5))
    yield opened
    opened.ws.close()


def door(house, role):
    pages = build_app(house.ws, REPORT, house.folder / "inbox")
    client = TestClient(pages, base_url="http://127.0.0.1:8400", follow_redirects=False)
    assert client.post(f"/doors/{role}").status_code == 303
    return client


PATH = "/console/campaigns/spring/results"


def form(client, path=PATH):
    return re.search(r'name="form" value="([^"]+)"', client.get(path).text)[1]


def count(client):
    return client.post(PATH, data={"form": form(client)})


def size(house):
    with house.ws.store.look() as view:
        return view.log.size


def run(house, *line):
    at = (marula.NOW + timedelta(days=5)).isoformat()
    house.ws.close()
    (house.folder / "demo.json").write_text("{}")
    done = CliRunner().invoke(
        root, [*line, "-w", str(house.folder), "--json", "--at", at], standalone_mode=False
    )
    house.open(marula.NOW + timedelta(days=5))
    assert done.exception is None, done.exception
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_reading_the_results_counts_nothing_and_counting_is_recorded_first(house):
    client = door(house, "marketer")
    before = size(house)
    assert "Not counted yet" in client.get(PATH).text
    assert client.head(PATH).status_code == 200
    assert size(house) == before
    assert count(client).headers["location"] == PATH
    text = client.get(PATH).text
    assert "Held out" in text
    assert "Handed to the mail relay" in text
    house_says = [e.payload for e in house.house_chain() if e.type == "set.processed"]
    assert house_says[-1].work == "report"
    assert house_says[-1].campaign == "spring"


def test_the_page_names_nobody_and_shows_no_small_number(house):
    for received in house.mails()[:3]:
        if received.rcpt_to[0].startswith("r"):
            app.take_mail(house.ws, comeback.complaint(received.path.read_bytes()))
    client = door(house, "marketer")
    count(client)
    text = client.get(PATH).text
    assert "Plantedname" not in text
    assert "@post.example" not in text
    assert "fewer than 10" in text
    assert "Reported as unwanted" in text
    assert "too many: stop and look into it" in text
    assert not re.search(r'class="figure">[1-9]</td>', text)


def test_only_marketers_and_the_privacy_officer_see_results(house):
    for role, code in (("marketer", 200), ("privacy_officer", 200), ("support", 403), ("it", 403)):
        assert door(house, role).get(PATH).status_code == code
    assert TestClient(build_app(house.ws, REPORT, None), base_url="http://127.0.0.1:8400",
                      follow_redirects=False).get(PATH).status_code == 303  # fmt: skip
    client = door(house, "marketer")
    assert client.post(PATH, data={"form": "guessed"}).status_code == 403
    assert client.get("/console/campaigns/nothing/results").status_code == 404


def test_the_campaign_page_leads_to_its_results(house):
    text = door(house, "marketer").get("/console/campaigns/spring").text
    assert f'href="{PATH}"' in text


def test_the_command_says_the_same_as_the_page(house):
    told = run(house, "campaign", "results", "spring")
    assert told["effect"]["verdict"] in {"more", "cannot_tell", "fewer"}
    assert told["came"]["handed"] == len(house.mails())
    assert told["days"] == 14
    assert not told["over"]
    text = door(house, "marketer").get(PATH).text
    assert outcome_words.chart.few(told["came"]["handed"]) in text


def test_a_folder_of_mails_is_taken_in_once_and_left_as_it_is(house, tmp_path):
    sent = [m.path.read_bytes() for m in house.mails() if m.rcpt_to[0].startswith("r")]
    box = tmp_path / "box"
    (box / "new").mkdir(parents=True)
    (box / "1.eml").write_bytes(comeback.bounce(sent[0]))
    (box / "2.eml").write_bytes(sent[1])
    (box / "new" / "3").write_bytes(comeback.reply(sent[2], "Teken my af"))
    (box / "new" / "4").write_bytes(comeback.reply(sent[3], "x", headers="X-Autoreply: yes\r\n"))
    told = run(house, "returns", "take", str(box))
    assert told["became"] == {"bounced hard": 1, "ignored": 1, "replied stop": 1, "unknown": 1}
    assert run(house, "returns", "take", str(box))["became"]["again"] == 2
    assert len(list(box.rglob("*"))) == 5


def test_the_demos_own_inbox_holds_nothing_that_came_back(house):
    told = run(house, "returns", "take", str(house.folder / "inbox"))
    assert set(told["became"]) <= {"unknown"}


def test_what_is_written_to_the_brand_in_a_demo_is_taken_in_at_once(house):
    received = next(m for m in house.mails() if m.rcpt_to[0].startswith("r"))
    who = received.rcpt_to[0].partition("@")[0]
    inbox = app.demo_inbox(house.ws, house.folder / "inbox")
    port = inbox.start()
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as smtp:
            raw = comeback.reply(received.path.read_bytes(), "stop")
            smtp.sendmail(received.rcpt_to[0], [comeback.BRAND], raw)
    finally:
        inbox.stop()
    assert "withdrawn" in house.codes(house.person(who))


def test_a_record_that_takes_no_writes_asks_the_sender_to_come_back(house):
    listening = app.listener(house.ws)
    port = listening.start()
    raw = comeback.bounce(house.mails()[0].path.read_bytes())
    house.ws.close()
    try:
        with (
            smtplib.SMTP("127.0.0.1", port, timeout=20) as smtp,
            pytest.raises(smtplib.SMTPDataError) as told,
        ):
            smtp.sendmail("<>", [comeback.BRAND], raw)
    finally:
        listening.stop()
        house.open(marula.NOW + timedelta(days=5))
    assert told.value.smtp_code == 451


def test_a_small_group_hides_rates_and_difference_from_every_surface():
    base = app.Results("x", Instant(9), Instant(1), Instant(2), 14, {"handed": 90}, [], [])
    for mailed, held in ((Group(90, 4), Group(30, 12)), (Group(90, 85), Group(30, 12)),
                         (Group(90, 30), Group(30, 29))):  # fmt: skip
        import dataclasses

        found = dataclasses.replace(base, effect=compare(mailed, held))
        assert outcome_words.data(found)["effect"]["uplift"] is None
        assert "points" not in outcome_words.verdict(found)[0]
        assert {line.rate for line in outcome_words.lines(found.effect)} == {"kept back"}
        assert outcome_words.bars(found.effect) == []


def test_the_month_counts_what_came_back(house):
    for received in house.mails():
        if received.rcpt_to[0].startswith("r"):
            app.take_mail(house.ws, comeback.bounce(received.path.read_bytes()))
    client = door(house, "marketer")
    page = client.get("/console/report").text
    assert "not counted yet" in page
    token = re.search(r'name="form" value="([^"]+)"', page)[1]
    client.post("/console/report", data={"form": token})
    text = client.get("/console/report").text
    row = text[text.index("spring") :][:600]
    bounced = len([m for m in house.mails() if m.rcpt_to[0].startswith("r")])
    assert f"<td>{bounced}</td>" in row or f">{bounced}<" in row
