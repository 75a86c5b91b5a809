"""Cases, exports and canaries at the command line and in the console."""

import functools
import re

import cli_shop
import hub_shop
import pytest

from troth.capabilities.access import canaries, exports
from troth.surfaces import words

made = functools.cache(hub_shop.shop.__wrapped__)
"""A shop of this file's own: what is opened here disturbs nobody."""
SUPPORT, OFFICER = "support:fatima@marula.example", "privacy_officer:nokuthula@marula.example"
IT = "it:gareth@marula.example"


@pytest.fixture
def ws(tmp_path):
    return cli_shop.copied(cli_shop.built(), tmp_path / "ws")


def told(folder, *line, who="", status=0):
    ran = cli_shop.at(folder, *line, *(("--as", who) if who else ()), "--json")
    assert ran.status == status, ran
    assert not any(mark in ran.out + ran.err for mark in cli_shop.MARKS)
    return ran.data


def post(client, path, page="/console/people", **form):
    return client.post(path, data={"form": made().form(client, page), **form})


# The command line


def test_a_case_is_opened_named_listed_and_closed(ws):
    found = told(
        ws, "case", "open", "c-agreed", "--source", "phone", "--ticket", "T/1", who=SUPPORT
    )
    assert found["reason"] == "case:T-1"
    look = ("person", "show", "c-agreed", "--reason", "T-1")
    assert told(ws, *look, who=SUPPORT)["stage"]
    assert told(ws, "person", "show", "c-level", "--reason", "T-1", who=SUPPORT, status=1)
    listed = told(ws, "case", "list", who=OFFICER)
    assert [each["reason"] for each in listed["open"]] == ["case:T-1"]
    assert list(listed["self_opened"].values()) == [1]
    told(ws, "case", "close", "c-agreed", "--ticket", "T-1", who=SUPPORT)
    told(ws, *look, who=SUPPORT, status=1)
    assert told(ws, *look), "the machine's own operator needs none"


@pytest.mark.parametrize(
    "line",
    [("case", "open", "c-agreed", "--source", "phone", "--ticket", "1"),
     ("case", "close", "c-agreed", "--ticket", "1"), ("case", "list"),
     ("access", "canaries", "plant", "1")],
)  # fmt: skip
def test_who_has_no_cases_opens_closes_and_lists_none(ws, line):
    assert told(ws, *line, who=IT, status=1)["reasons"]


def test_a_ticket_systems_file_opens_its_cases_and_a_broken_one_none(ws, tmp_path):
    file = tmp_path / "tickets.csv"
    file.write_text("ticket,person\nT-7,c-agreed\nT-8,c-nobody\n")
    assert told(ws, "case", "import", str(file)) == {"opened": 1, "unknown": 1}
    file.write_text("number,who\n1,c-agreed\n")
    told(ws, "case", "import", str(file), status=2)
    told(ws, "case", "import", str(tmp_path / "none.csv"), status=2)
    told(ws, "case", "open", "c-agreed", "--source", "phone", "--ticket", "she rang", status=2)


def test_what_is_taken_out_is_marked_listed_and_confirmed(ws, tmp_path):
    told(ws, "case", "open", "c-agreed", "--source", "ticket", "--ticket", "T-9")
    out = tmp_path / "out"
    line = ("receipt", "export", "c-agreed", "--out", str(out), "--reason", "T-9")
    left = told(ws, *line, who=OFFICER)
    (mark,) = out.glob("EXPORT.*.txt")
    assert left["export"] in mark.name
    assert f"until-{left['delete_by'][:10]}" in mark.name
    assert "privacy officer" in mark.read_text()
    assert told(ws, "access", "exports", who=SUPPORT)["exports"] == []
    (listed,) = told(ws, "access", "exports", who=IT)["exports"]
    assert (listed["id"], listed["people"], listed["confirmed"]) == (left["export"], 1, None)
    told(ws, "access", "exports", "--confirm", left["export"], who=SUPPORT, status=2)
    assert told(ws, "access", "exports", "--confirm", left["export"], who=IT)["confirmed"]


def test_a_bulk_is_asked_for_by_one_and_agreed_to_by_another(ws):
    asked = told(ws, "access", "bulk", "--people", "40", "--reason", "audit", who=SUPPORT)
    told(ws, "access", "bulk", "--approve", asked["id"], who=SUPPORT, status=2)
    assert told(ws, "access", "bulk", "--approve", asked["id"], who=IT)["state"] == "approved"
    (listed,) = told(ws, "access", "bulk")["bulk"]
    assert (listed["people"], listed["state"]) == (40, "approved")
    other = told(ws, "access", "bulk", "--people", "4", "--reason", "audit", who=SUPPORT)
    assert told(ws, "access", "bulk", "--refuse", other["id"], who=OFFICER)["state"] == "refused"


def test_canaries_are_planted_in_numbers(ws):
    assert told(ws, "access", "canaries", "plant", "2", who=OFFICER) == {"canaries": 2}
    assert told(ws, "access", "canaries", "plant", "1") == {"canaries": 3}


# The console


def test_a_download_is_on_the_list_until_one_press_says_it_is_deleted():
    officer = made().door("privacy_officer")
    assert "Nothing was taken out" in officer.get("/console/exports").text
    page = post(officer, "/console/complaint", outside="shop-03", case="C-1")
    link = re.search(r'href="(/console/complaint/[^"]+answer\.zip)"', page.text)[1]
    file = officer.get(link)
    with made().ws.store.look() as view:
        (left,) = exports.listed(view)
    assert left.id in file.headers["content-disposition"]
    assert "delete it by" in page.text
    assert left.id in officer.get("/console/exports").text
    assert left.id not in made().door("support").get("/console/exports").text
    path = f"/console/exports/{left.id}/deleted"
    assert post(made().door("support"), path).status_code == 400
    assert post(officer, path).status_code == 303
    assert post(officer, path).status_code == 400
    assert "deleted " in officer.get("/console/exports").text


def test_an_alarm_is_on_the_officers_and_its_home_and_says_who_asked():
    it = made().door("it")
    assert "does not exist" not in it.get("/console").text
    desk = made().ws.desk
    canaries.plant(desk, 1, hub_shop.Actor(hub_shop.Role.OFFICER, "nokuthula@marula.example"))
    with made().ws.store.look() as view:
        (hidden,) = canaries.ids(view)
    canaries.sound(desk, hidden, hub_shop.Actor(hub_shop.Role.SUPPORT, "fatima@marula.example"))
    for role in ("it", "privacy_officer"):
        page = made().door(role).get("/console").text
        assert "A person who does not exist" in page
        assert "support/" in page
        assert "fatima" not in re.sub(r"(?s)<header.*?</header>", "", page)
    assert "Somebody asked for a person who does not exist" in it.get("/console/exports").text


def test_a_bulk_waits_for_another_persons_press():
    from troth.capabilities.access import quota

    desk = made().ws.desk
    asked = quota.ask_bulk(
        desk,
        900,
        "list for the auditors",
        hub_shop.Actor(hub_shop.Role.SUPPORT, "fatima@marula.example"),
    )
    it = made().door("it")
    assert "900 people more than a day allows" in it.get("/console/exports").text
    assert "900 people" not in made().door("support").get("/console/exports").text
    assert (
        post(it, f"/console/exports/bulk/{asked.id}/approved", "/console/staff").status_code == 303
    )
    assert (
        post(it, f"/console/exports/bulk/{asked.id}/refused", "/console/staff").status_code == 400
    )


def test_a_case_is_closed_from_the_page_and_the_next_look_opens_its_own():
    support = made().door("support")
    form = {"outside": "shop-20", "case": "T-20"}
    page = post(support, "/console/people", **form, source="shop")
    assert "Close case T-20" in page.text
    assert "The customer sees this" in page.text
    assert "Nobody of the staff did" in page.text
    assert "The case is closed" in post(support, "/console/people/close", **form).text
    assert post(support, "/console/people/close", **form).status_code == 400
    types = [r.event.type for r in made().chain("shop-20")]
    assert types[-3:] == ["case.acted", "data.read", "case.acted"]
    again = post(support, "/console/people", **form)
    assert "Who looked before" in again.text
    assert f"{words.ROLES['support']}, 17 November 2026" in again.text
    assert "their e-mail address (the last four signs only)" in again.text
