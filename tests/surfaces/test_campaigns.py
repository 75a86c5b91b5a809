"""Campaigns as staff meet them: pages, forms, commands, the worker beside the pages."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

sys.path.append(str(Path(__file__).parents[1] / "stories"))

import cli_shop
import marula

from troth import app
from troth.capabilities.outreach import plans, steps
from troth.surfaces.commands.worker import BACK_OFF_S, Supervisor
from troth.surfaces.web.server import build_app
from troth.terms import Actor, Role

SIPHO = "sipho@marula.example"
REPORT = {"demo_time": marula.NOW.isoformat(), "provenance": "invented"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "house"
    marula.make(folder)
    path = folder / "troth.toml"
    path.write_text(path.read_text().replace(
        '["lindiwe@marula.example"]', f'["lindiwe@marula.example", "{SIPHO}"]'
    ))  # fmt: skip
    house = marula.House(folder)
    house.ws.apply()
    rows = [
        {**marula.BLANK, "external_id": f"r{n:02}", "email": f"r{n:02}@post.example",
         "given_name": "Plantedname", "relation_kind": "sale",
         "relation_at": marula.days_ago(200)}
        for n in range(14)
    ]  # fmt: skip
    house.take("customers", *rows)
    for row in rows[:12]:
        house.consents(row["external_id"], {"idempotency_key": row["external_id"]})
    app.rebuild_reach(house.ws, marula.MARKETER)
    house.ws.close()
    return folder


@pytest.fixture
def shop(made, tmp_path):
    shutil.copytree(made, tmp_path / "house")
    house = marula.House(tmp_path / "house")
    (house.folder / "inbox").mkdir(exist_ok=True)
    served = Shop(house, build_app(house.ws, REPORT, house.folder / "inbox"))
    yield served
    house.ws.close()


class Shop:
    """A house behind its pages."""

    def __init__(self, house, pages):
        self.house, self.pages = house, pages

    def door(self, role):
        client = TestClient(self.pages, base_url="http://127.0.0.1:8400", follow_redirects=False)
        assert client.post(f"/doors/{role}").status_code == 303
        return Staff(client)

    def life(self, name="spring"):
        with self.house.ws.store.look() as view:
            return steps.read_life(view, name)

    def size(self):
        with self.house.ws.store.look() as view:
            return view.log.size


class Staff:
    """One signed-in member of staff, who presses what their page offers."""

    def __init__(self, client):
        self.client = client

    def page(self, path="/console/campaigns/spring"):
        return self.client.get(path)

    def hidden(self, path):
        text = self.page(path).text
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', text))

    def send(self, act, **fields):
        path = "/console/campaigns/spring"
        return self.client.post(f"{path}/{act}", data={**self.hidden(path), **fields})

    def plan(self, **fields):
        token = self.hidden("/console/campaigns/new")
        told = {"name": "spring", "audience": "audience:winback@1",
                "template": "template:winback@1", "mode": "now", "window": "48", "holdout": "0",
                "note": "", **fields}  # fmt: skip
        return self.client.post("/console/campaigns", data={**token, **told})


def test_a_list_without_campaigns_says_what_will_appear_and_how(shop):
    text = shop.door("marketer").page("/console/campaigns").text
    assert "No campaign yet" in text
    assert 'href="/console/campaigns/new"' in text
    assert "Plan a campaign" not in shop.door("privacy_officer").page("/console/campaigns").text


@pytest.mark.parametrize("role", ["support", "it"])
def test_whose_work_it_is_not_sees_no_campaign(shop, role):
    for path in ("/console/campaigns", "/console/calendar", "/console/campaigns/spring"):
        assert shop.door(role).page(path).status_code == 403


def test_one_person_plans_and_submits_another_approves_and_the_worker_sends(shop):
    writer, officer = shop.door("marketer"), shop.door("privacy_officer")
    assert writer.plan().headers["location"] == "/console/campaigns/spring"
    assert writer.send("submit").status_code == 303
    mine = writer.page().text
    assert "Waiting for a second person" in mine
    assert "Approve it" not in mine
    refused = writer.send("approve")
    assert refused.status_code == 403
    assert "A second person must agree" in refused.text
    assert "The attempt is recorded" in refused.text
    assert "Approve it" in officer.page().text
    assert officer.send("approve").status_code == 303
    assert shop.life().stands
    assert writer.send("schedule").status_code == 303
    assert "starts within seconds" in writer.page().text
    with shop.house.inbox() as port:
        sending = app.Sending(shop.house.ws, ("127.0.0.1", port))
        for _ in range(6):
            list(app.tick(sending))
    done = writer.page().text
    assert "Finished" in done
    assert "of the people" in done or "people done" in done
    assert "Handed to the mail relay" in done
    assert len(shop.house.delivered()) >= 12
    assert "Nokuthula approved it" in done
    assert "data-poll" not in done
    for text in (mine, done):
        assert "Plantedname" not in text
        assert "@post.example" not in text


def test_what_somebody_else_changed_meanwhile_is_not_approved_by_an_old_page(shop):
    writer, officer = shop.door("marketer"), shop.door("privacy_officer")
    writer.plan()
    writer.send("submit")
    old = officer.hidden("/console/campaigns/spring")
    writer.plan(holdout="5")
    writer.send("submit")
    answer = officer.client.post("/console/campaigns/spring/approve", data=old)
    assert answer.status_code == 409
    assert "changed since you looked" in answer.text
    assert not shop.life().approved


def test_a_campaign_given_back_says_why_and_can_be_changed(shop):
    writer, officer = shop.door("marketer"), shop.door("privacy_officer")
    writer.plan(mode="local", day="2026-11-20", time="08:30", note="first this month")
    writer.send("submit")
    assert officer.send("return", reason="<b>Leave out</b> the rusks").status_code == 303
    text = writer.page().text
    assert "&lt;b&gt;Leave out&lt;/b&gt; the rusks" in text
    form = writer.page("/console/campaigns/spring/change").text
    assert 'value="2026-11-20"' in form
    assert 'value="08:30"' in form
    assert 'value="first this month"' in form


def test_pause_and_stop_are_one_press_each_and_say_what_follows(shop):
    writer, officer = shop.door("marketer"), shop.door("privacy_officer")
    writer.plan(mode="local", day="2026-11-20")
    writer.send("submit")
    officer.send("approve")
    writer.send("schedule")
    text = writer.page().text
    assert "at most the one message under way still leaves" in text
    assert "This cannot be undone" in text
    assert officer.send("pause").status_code == 303
    assert shop.life().stage is plans.Stage.PAUSED
    assert writer.send("resume").status_code == 303
    old = writer.hidden("/console/campaigns/spring")
    assert officer.send("stop").status_code == 303
    assert shop.life().stage is plans.Stage.STOPPED
    answer = writer.client.post("/console/campaigns/spring/resume", data=old)
    assert (answer.status_code, "stopped for good" in answer.text) == (409, True)
    assert "never leaves" in writer.page().text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "No Such Name"}, "is no name"),
        ({"name": "new"}, "taken"),
        ({"audience": "audience:none@1"}, "published"),
        ({"template": "template:none@1"}, "published"),
        ({"holdout": "51"}, "holdout"),
        ({"holdout": "many"}, "whole number"),
        ({"window": "0"}, "window"),
        ({"mode": "local", "day": ""}, "choose both"),
        ({"mode": "someday", "day": "2026-11-20", "time": "09:00"}, ""),
    ],
)
def test_a_plan_that_does_not_read_keeps_what_was_typed_and_saves_nothing(shop, wrong, said):
    answer = shop.door("marketer").plan(note="typed before", **wrong)
    if not said:
        return
    assert answer.status_code == 400
    assert said in answer.text
    assert "Nothing was saved" in answer.text
    assert 'value="typed before"' in answer.text
    assert shop.life() is None


def test_reading_changes_nothing_and_a_form_of_another_session_is_not_believed(shop):
    writer = shop.door("marketer")
    writer.plan()
    writer.send("submit")
    officer = shop.door("privacy_officer")
    size = shop.size()
    for path in ("/console/campaigns", "/console/campaigns/spring", "/console/calendar",
                 "/console/campaigns/new", "/console/campaigns/spring/change"):  # fmt: skip
        assert writer.page(path).status_code == 200
        assert writer.client.head(path).status_code == 200
    for act in ("approve", "schedule", "stop", "pause"):
        assert writer.client.get(f"/console/campaigns/spring/{act}").status_code == 405
        forged = {"form": "forged", "seen": shop.life().plan}
        answer = officer.client.post(f"/console/campaigns/spring/{act}", data=forged)
        assert answer.status_code == 403
    assert shop.size() == size
    assert shop.life().stage is plans.Stage.SUBMITTED


def test_an_unknown_campaign_or_step_is_not_found(shop):
    writer = shop.door("marketer")
    assert writer.page("/console/campaigns/none").status_code == 404
    writer.plan()
    assert writer.send("explode").status_code == 404


def test_small_counts_are_kept_back_where_a_total_would_tell_them(shop):
    writer = shop.door("marketer")
    writer.plan(holdout="5")
    writer.send("submit")
    text = writer.page().text
    assert "Whom it reaches" in text
    seen = re.findall(r'class="meter-count">([^<]+)<', text)
    assert all(each == "fewer than 10" or int(each) >= 10 for each in seen)


def test_a_test_goes_to_who_asks_marked_and_with_nobodys_data(shop):
    writer = shop.door("marketer")
    writer.plan()
    answer = writer.send("test")
    assert answer.headers["location"].endswith("?done=test")
    assert "Sent to you" in writer.page(answer.headers["location"]).text
    mails = shop.house.mails()
    assert [m.rcpt_to for m in mails] == [("lindiwe@marula.example",)]
    raw = mails[0].path.read_bytes()
    assert b"[test]" in raw
    assert b"Plantedname" not in raw
    assert b"post.example" not in raw


# The calendar


def test_the_calendar_shows_campaigns_holidays_quiet_times_and_caps_twice(shop):
    writer = shop.door("marketer")
    empty = writer.page("/console/calendar").text
    assert "No campaign falls in this month" in empty
    writer.plan(mode="local", day="2026-12-01")
    writer.send("submit")
    text = writer.page("/console/calendar?month=2026-12").text
    grid, _, rest = text.partition("The same as a list")
    for part in (grid, rest):
        assert 'href="/console/campaigns/spring"' in part
        assert "Day of Reconciliation" in part
    assert "Monday to Friday 08:00 to 20:00" in rest
    assert "At most 4 marketing messages in 30 days" in rest
    assert "at the cap when" in rest
    assert 'class="shut' in grid


@pytest.mark.parametrize("month", ["2026-13", "x", "2026-11<b>", "20261"])
def test_a_month_that_does_not_read_is_refused_in_words(shop, month):
    answer = shop.door("marketer").page(f"/console/calendar?month={month}")
    assert answer.status_code == 400
    assert "<b>" not in answer.text


# The command line

AT = "2026-11-17T10:00:00+02:00"


def run(shop, *line, status=0):
    ran = cli_shop.run(*line, "-w", shop.house.folder, "--at", AT, "--json")
    assert ran.status == status, ran
    return ran.data


def test_the_command_line_walks_the_same_way_and_knows_no_way_round(shop):
    writer, second = ("--as", "marketer:lindiwe@marula.example"), ("--as", f"marketer:{SIPHO}")
    no = run(shop, "campaign", "send", "winback", "--yes", *writer, status=1)
    assert no["reasons"][0]["code"] == "separation_of_duty"
    run(shop, "campaign", "plan", "spring", "--audience", "winback", "--template", "winback",
        status=2)  # fmt: skip
    plan = ("campaign", "plan", "spring", "--audience", "winback", "--template", "winback",
            "--window", "5", "--holdout", "50", "--note", "n")  # fmt: skip
    assert run(shop, *plan, *writer)["stage"] == "drafted"
    run(shop, "campaign", "send", "spring", "--yes", *writer, status=1)
    assert run(shop, "campaign", "submit", "spring", *writer)["reachable"] >= 12
    for who in (writer, ()):
        no = run(shop, "campaign", "approve", "spring", *who, status=1)
        assert no["reasons"][0]["code"] == "separation_of_duty"
    assert run(shop, "campaign", "return", "spring", "--reason", "x", *second)["note"] == "x"
    run(shop, "campaign", "submit", "spring", *writer)
    assert run(shop, "campaign", "approve", "spring", *second)["approved"]
    assert run(shop, "campaign", "schedule", "spring", *writer)["stage"] == "scheduled"
    assert run(shop, "campaign", "pause", "spring")["stage"] == "paused"
    assert run(shop, "campaign", "resume", "spring")["stage"] == "scheduled"
    assert [c["campaign"] for c in run(shop, "campaign", "list")["campaigns"]] == ["spring"]
    with shop.house.inbox() as port:
        relay = ("--relay", f"127.0.0.1:{port}")
        run(shop, "worker", "--once", *relay)
        sent = run(shop, "campaign", "send", "spring", "--yes", *relay)
        again = run(shop, "campaign", "send", "spring", "--yes", *relay)
    assert sent["handed"] == len(shop.house.delivered()) > 0
    assert (again["handed"], again["booked"], again["already"]) == (0, 0, sent["booked"])
    status = run(shop, "campaign", "status", "spring")
    assert (status["stage"], status["held_out"] > 0) == ("finished", True)
    run(shop, "campaign", "stop", "spring", status=2)


def test_a_test_by_command_reaches_nobody_but_who_asks(shop):
    (shop.house.folder / "demo.json").write_text("{}")
    line = ("campaign", "test", "winback", "--level", "2", "--to")
    who = ("--as", "marketer:lindiwe@marula.example")
    for address in ("r01@post.example", SIPHO, "stranger@marula.example"):
        run(shop, *line, address, *who, status=2)
    run(shop, *line, "lindiwe@marula.example", status=2)
    run(shop, *line, "nokuthula@marula.example", "--as",
        "privacy_officer:nokuthula@marula.example", status=1)  # fmt: skip
    assert shop.house.delivered() == {}
    assert run(shop, *line, "lindiwe@marula.example", *who)["sent"]
    assert set(shop.house.delivered()) == {"lindiwe@marula.example"}


@pytest.mark.parametrize(
    "wrong",
    [
        ("--start", "2026-11-18T09:00:00+02:00", "--local-time", "2026-11-18T09:00"),
        ("--start", "tomorrow"),
        ("--local-time", "nine"),
        ("--template", "template:winback@9"),
        ("--audience", "template:winback"),
    ],
)
def test_a_plan_that_names_no_time_audience_or_message_is_refused(shop, wrong):
    line = ("campaign", "plan", "winback", *wrong, "--as", "marketer:lindiwe@marula.example")
    assert run(shop, *line, status=2)["code"] in ("invalid", "not_found")


def test_a_house_that_waived_the_second_person_sends_in_one_go_and_the_record_says_so(shop):
    path = shop.house.folder / "troth.toml"
    path.write_text(
        path.read_text() + '\n[approval]\nsecond_person = false\nreason = "one of us"\n'
    )
    run(shop, "apply")
    with shop.house.inbox() as port:
        relay = ("--relay", f"127.0.0.1:{port}")
        sent = run(shop, "campaign", "send", "winback", "--yes", *relay)
    assert sent["handed"] >= 12
    told = [e.payload.note for e in shop.house.house_chain() if e.type == "campaign.acted"]
    assert "one person: one of us" in told


# The worker beside the pages


def until(holds, seconds=20):
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_process_that_dies_is_begun_again_and_ends_with_its_keeper(monkeypatch):
    monkeypatch.setattr("troth.surfaces.commands.worker.BACK_OFF_S", (0.05,) * len(BACK_OFF_S))
    keeper = Supervisor([sys.executable, "-c", "import time; time.sleep(60)"])
    keeper.start()
    until(lambda: keeper.alive)
    keeper._child.kill()
    until(lambda: keeper.starts == 2 and keeper.alive)
    keeper.stop()
    assert not keeper.alive
    assert keeper.starts == 2


def test_serving_sends_what_is_due_and_leaves_no_worker_behind(shop):
    writer, officer = shop.door("marketer"), shop.door("privacy_officer")
    writer.plan()
    writer.send("submit")
    officer.send("approve")
    writer.send("schedule")
    (shop.house.folder / "demo.json").write_text("{}")
    moment = (marula.NOW + timedelta(minutes=1)).isoformat()
    line = [sys.executable, "-m", "troth", "serve", "-w", shop.house.folder, "--at", moment]
    with shop.house.inbox() as port:
        toml = shop.house.folder / "troth.toml"
        toml.write_text(toml.read_text().replace("localhost:2525", f"127.0.0.1:{port}"))
        pages = subprocess.Popen(
            [*map(str, line), "--port", free_port()], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, preexec_fn=listens,  # noqa: PLW1509 - one thread here
        )  # fmt: skip
        try:
            until(lambda: shop.life().stage is plans.Stage.FINISHED, 40)
            (child,) = children(pages.pid)
        finally:
            pages.send_signal(signal.SIGINT)
            pages.wait(30)
    assert len(shop.house.delivered()) >= 12
    until(lambda: not Path(f"/proc/{child}").exists())


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return str(asked.getsockname()[1])


def listens():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def children(pid):
    return [c for path in Path(f"/proc/{pid}/task").glob("*/children")
            for c in path.read_text().split()]  # fmt: skip


def test_no_actor_is_believed_without_being_listed(shop):
    stranger = Actor(Role.MARKETER, "stranger@marula.example")
    asked = app.Asked("spring", "winback", "winback")
    assert app.draft_campaign(shop.house.ws, asked, stranger).first.code == "unknown_actor"
