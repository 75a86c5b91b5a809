"""The monthly report: true numbers, nobody recognisable, and who did what."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date

import pytest
from hub_shop import MARKETER, shop

from troth.capabilities import trust
from troth.capabilities.access import exports
from troth.errors import InvalidInput
from troth.kernel import events
from troth.surfaces import reporting
from troth.terms import Actor, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")


def month(text="2026-11"):
    return reporting.make(shop().ws, text, MARKETER)


def test_the_report_says_what_the_chains_say():
    told = month()
    kinds = [read.event for n in range(1, 61) for read in shop().chain(f"shop-{n:02}")]
    handed = sum(e.type == "message.handed" for e in kinds)
    alone = sum(e.type == "use.refused" and bool(e.payload.campaign) for e in kinds)
    assert handed > 0
    assert alone > 0
    assert (told.handed, told.left_alone) == (handed, alone)


def test_counting_twice_counts_nothing_twice():
    before = month()
    again = month()
    assert (before.handed, before.left_alone) == (again.handed, again.left_alone)


def test_counting_over_people_is_a_house_event_before_it_runs():
    ws = shop().ws
    month()
    ws.desk.record(shop().person("shop-40"), [events.DataRead("service", ("x",), "t")], OFFICER)
    month_before = shop().size()
    assert trust.catch_up(ws.desk, MARKETER) == 2, "what was new, and its own event"
    with ws.store.look() as view:
        chain = ws.desk.scribe.chain(view, ws.desk.scribe.house)
    assert shop().size() == month_before + 1
    assert isinstance(chain[-1].event.payload, events.SetProcessed)
    assert chain[-1].event.payload.work == "report"
    assert trust.catch_up(ws.desk, MARKETER) == 0


def test_an_answer_counts_in_the_month_it_was_given_in():
    june = month("2026-06")
    assert june.said["offers"]["given"] >= 30
    assert month().said.get("offers", {}).get("given", 0) == 0


def test_a_refused_attempt_of_staff_is_a_near_miss():
    ws = shop().ws
    before = {(m.role, m.code): m.count for m in month().near_misses}
    refused = events.HouseRefused("offers", "send", ({"code": "separation_of_duty", "rule": "x"},))
    ws.desk.record_house(refused, MARKETER)
    after = {(m.role, m.code): m.count for m in month().near_misses}
    key = ("marketer", "separation_of_duty")
    assert after[key] == before.get(key, 0) + 1


def test_small_numbers_stay_hidden_on_page_paper_and_data():
    told = month()
    for each in told.campaigns:
        each.ends["bounced"] = 3
    assert {row.cells[4] for row in reporting.campaigns(told)} == {"fewer than 10"}
    assert all(c["bounced"] is None for c in reporting.data(shop().ws, told)["campaigns"])


def test_a_small_number_cannot_be_worked_out_from_a_total_of_the_report():
    told = month()
    small, large, larger = (trust.CampaignMonth(name) for name in ("a", "b", "c"))
    small.ends["handed"], large.ends["handed"], larger.ends["handed"] = 4, 60, 900
    made = replace(told, campaigns=(small, large, larger))
    rows = {row.cells[0]: row.cells[1] for row in reporting.campaigns(made)}
    assert rows == {"a": "fewer than 10", "b": "not shown", "c": "900"}
    assert "964 messages" in reporting.headline(made), "the total stands beside them"
    data = {c["name"]: c["handed"] for c in reporting.data(shop().ws, made)["campaigns"]}
    assert data == {"a": None, "b": None, "c": 900}


def test_who_did_what_names_staff_by_their_role_and_first_name():
    ws = shop().ws
    ws.desk.record_house(events.CampaignActed("spring", "approved", "00"), OFFICER)
    rows = reporting.deeds(ws, month())
    assert ("Nokuthula (privacy officer)", "approved the campaign spring") in {
        row.cells[1:] for row in rows
    }


def test_every_purpose_has_its_owner_on_the_report():
    said = {row.cells[0]: row.cells[2] for row in reporting.owners(month())}
    assert said["Offers for your household"] == "marketing"


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "november", "2026-11-01"])
def test_what_is_no_month_is_told_so(text):
    with pytest.raises(InvalidInput):
        trust.month_of(text)


def test_a_month_ends_on_its_last_day():
    assert trust.month_of("2028-02") == (date(2028, 2, 1), date(2028, 2, 29))
    assert trust.month_of("2026-12") == (date(2026, 12, 1), date(2026, 12, 31))


@pytest.mark.parametrize(
    ("role", "status"), [("marketer", 200), ("privacy_officer", 200), ("it", 403)]
)
def test_the_page_is_for_marketers_and_officers(role, status):
    answer = shop().door(role).get("/console/report?month=2026-11")
    assert answer.status_code == status
    if status == 200:
        assert not re.search(r"shop-\d|Planted|Secretname|@post", answer.text)


def test_looking_at_the_report_writes_nothing_and_counting_is_a_press_of_its_own():
    client = shop().door("marketer")
    size = shop().size()
    assert client.get("/console/report").status_code == 200
    assert client.head("/console/report").status_code == 200
    assert client.get("/console/report.pdf").status_code == 405
    assert shop().size() == size
    assert "recorded since the last count" in client.get("/console/report").text
    token = shop().form(client, "/console/report")
    answer = client.post("/console/report", data={"form": token, "month": "2026-11"})
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/console/report?month=2026-11",
    )
    assert "recorded since the last count" not in client.get("/console/report").text
    assert client.post("/console/report", data={"form": "x"}).status_code == 403


def test_the_paper_is_a_pdf_and_a_month_without_anything_says_so():
    client = shop().door("marketer")
    token = shop().form(client, "/console/report")
    answer = client.post("/console/report.pdf", data={"form": token, "month": "2026-11"})
    assert answer.content.startswith(b"%PDF")
    assert re.search(r"report-2026-11\.ex-\w+\.for-marketer\.until-", str(answer.headers))
    assert client.post("/console/report.pdf", data={"form": "x"}).status_code == 403
    with shop().ws.store.look() as view:
        left = [each for each in exports.listed(view) if each.what == "report"][-1]
        last = shop().ws.desk.scribe.chain(view, shop().ws.desk.scribe.house)[-1].event
    assert (last.type, last.payload.export, last.payload.counts) == (
        "export.made", left.id, {"people": 0},
    )  # fmt: skip
    quiet = client.get("/console/report?month=2020-01").text
    assert "In January 2020 no campaign wrote to anybody." in quiet
    assert client.get("/console/report?month=soon").status_code == 400


def test_the_command_tells_the_same(tmp_path):
    line = ["report", "--month", "2026-11", "--json", "--pdf", str(tmp_path / "r.pdf")]
    line += ["-w", str(shop().folder), "--at", "2026-11-17T10:00:00+02:00"]
    done = subprocess.run([sys.executable, "-m", "troth", *line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["handed"] == month().handed
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")
