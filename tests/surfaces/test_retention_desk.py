"""The retention desk: looking deletes nothing, running leaves proof, small numbers stay hidden."""

import re
from importlib.resources import files

import hub_shop
import kept_shop
import pytest
from playwright.sync_api import sync_playwright
from test_pages_look import CHROMIUM, QUIET, WIDE

from troth.capabilities import custody
from troth.capabilities.custody import Planned
from troth.errors import Unavailable
from troth.kernel import proof, retention
from troth.surfaces import keeping

PATH = "/console/retention"
FAULTS = """async () => (await axe.run(document, {iframes: false, resultTypes: ['violations']}))
    .violations.map(v => v.id + ': ' + v.nodes[0].html)"""


@pytest.fixture
def shop(tmp_path):
    with kept_shop.opened(tmp_path, kept_shop.LATER) as made:
        yield made


@pytest.fixture
def officer(shop):
    return shop.door("privacy_officer")


def look(shop, officer):
    assert shop.post(officer, f"{PATH}/look", PATH).headers["location"] == PATH
    job = shop.rested()
    assert job.state == "done", job.fault
    return officer.get(PATH).text


def interests(shop, outside="shop-40"):
    with shop.ws.store.look() as view:
        found = view.sealed([shop.person(outside)], ["interests", "name.given"])
    return {row.field for row in found.get(shop.person(outside), ())}


def test_before_anybody_looked_the_page_says_what_a_look_does(officer):
    page = officer.get(PATH).text
    assert "Nobody looked today" in page
    assert "No worker has run here yet" in page
    assert "Nothing yet. The first look or run stands here." in page


def test_a_look_is_one_event_of_the_house_and_deletes_nothing(shop, officer):
    before = interests(shop)
    page = look(shop, officer)
    said = shop.house_chain()[-1].payload
    assert (said.work, said.expression) == ("report", "retention")
    assert interests(shop) == before == {"interests", "name.given"}
    assert "What a run would do" in page
    assert "Offers for your household" in page or "interests" in page
    assert "ZA-20" in page


def test_each_row_says_field_category_purpose_rule_and_why(shop, officer):
    look(shop, officer)
    rows = shop.app.state.hub.kept["retention"].found.rows
    row = next(row for row in rows if row.what == "interests")
    assert (row.category, row.rule[:2], row.does) == ("interests.declared", "ZA", "delete")
    assert row.people is None, "one person's purchases would be told by the rest"
    assert "days" in row.why or "No purpose" in row.why


def test_counts_under_ten_are_hidden_and_so_is_what_would_tell_them(shop):
    def planned(n, field):
        row = retention.Row(field, "delete", 0, "offers", "ZA-20")
        return [Planned(bytes([n % 250] * 16), (row,))] * n

    keep = retention.Row("name.given", "keep", 1, "service", "ZA-20")
    many = [Planned(p.person, (*p.rows, keep)) for p in planned(40, "interests")]
    alone = keeping.foreseen(shop.ws, many)
    assert [row.people for row in alone.rows] == [40]
    both = keeping.foreseen(shop.ws, [*many, *planned(3, "birth.year")])
    assert [row.people for row in both.rows] == [None, None]
    assert {keeping.shown(row.people) for row in both.rows} == {
        "fewer than 10, or too near to them"
    }


def test_a_run_is_asked_for_on_a_page_of_its_own_and_nothing_goes_by_looking_at_it(shop, officer):
    assert officer.get(f"{PATH}/delete").headers["location"] == PATH, "nobody looked"
    look(shop, officer)
    page = officer.get(f"{PATH}/delete")
    assert page.status_code == 200
    assert "It cannot be undone" in page.text
    assert "Leave it for now" in page.text
    assert interests(shop) == {"interests", "name.given"}


def test_a_run_deletes_records_itself_first_and_has_a_receipt_that_holds(shop, officer):
    look(shop, officer)
    assert shop.post(officer, f"{PATH}/delete", f"{PATH}/delete").status_code == 303
    job = shop.rested()
    assert (job.state, job.fault) == ("done", "")
    assert interests(shop) == {"name.given"}
    assert shop.chain("shop-40")[-1].type == "retention.applied"
    told = [e for e in shop.house_chain() if e.type == "set.processed"][-1]
    assert (told.payload.work, told.payload.counts["people"] >= 30) == ("retention", True)
    page = officer.get(PATH).text
    assert "are deleted" in page
    link = re.search(r"/console/retention/receipts/(\d+)\.tlog-proof", page)
    assert int(link[1]) == told.n
    assert "Nokuthula" in page or "nokuthula@marula.example" in page
    receipt = officer.get(link[0])
    assert receipt.status_code == 200
    read = proof.read_receipt(receipt.text, shop.ws.signer.policy)
    assert b'"retention"' in read.event
    assert shop.ws.verify() == []


def test_a_receipt_of_no_run_is_not_given(shop, officer):
    for wrong in ("99999.tlog-proof", "1.tlog-proof", "x.tlog-proof"):
        assert officer.get(f"{PATH}/receipts/{wrong}").status_code == 404


def test_after_a_run_the_next_look_finds_nothing(shop, officer):
    look(shop, officer)
    shop.post(officer, f"{PATH}/delete", f"{PATH}/delete")
    shop.rested()
    assert "Nothing is kept longer than it may be" in look(shop, officer)
    refused = officer.post(f"{PATH}/delete", data={"form": shop.token(officer)})
    assert refused.status_code == 409


def test_a_run_that_breaks_off_says_so_and_loses_nothing(shop, officer, monkeypatch):
    look(shop, officer)

    def cut(*_, **__):
        raise Unavailable("a store does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(custody, "retention_apply", cut)
        shop.post(officer, f"{PATH}/delete", f"{PATH}/delete")
        assert shop.rested().state == "failed"
    page = officer.get(PATH).text
    assert "It stopped" in page
    assert "a store does not answer" in page


def test_a_second_step_waits_until_the_first_is_over(shop, officer):
    job = shop.app.state.hub.kept["retention"]
    job.begin("look", 0)
    sent = officer.post(f"{PATH}/look", data={"form": shop.token(officer)})
    assert sent.status_code == 409
    page = officer.get(PATH).text
    assert "Looking at everybody" in page
    assert 'data-poll="2"' in page
    job.state = "none"


def test_progress_tells_about_how_long_it_still_takes(shop, officer):
    from troth.surfaces.web import retention as desk

    job = desk.Job("delete", "running", 25, 100)
    job.began = desk.house.real_micros() - 100_000_000
    assert desk._rest(job) == "about 5 minutes left"
    job.done = 99
    assert desk._rest(job) == "less than a minute left"
    job.done = 0
    assert desk._rest(job) == ""


@pytest.mark.parametrize("role", ["marketer", "support", "it"])
def test_only_the_officer_has_this_page(shop, role):
    client = shop.door(role)
    assert client.get(PATH).status_code == 403
    for step in ("look", "delete", "erase"):
        sent = client.post(f"{PATH}/{step}", data={"form": shop.token(client)})
        assert sent.status_code == 403
    assert shop.app.state.hub.kept["retention"].state == "none"


def test_of_whom_nothing_may_be_kept_is_erased_as_a_step_of_its_own(tmp_path):
    with kept_shop.opened(tmp_path, kept_shop.MUCH_LATER) as shop:
        officer = shop.door("privacy_officer")
        page = look(shop, officer)
        assert "of whom nothing may be kept" in page
        assert f'href="{PATH}/delete"' not in page
        assert "Leave it for now" in officer.get(f"{PATH}/erase").text
        assert shop.post(officer, f"{PATH}/erase", f"{PATH}/erase").status_code == 303
        job = shop.rested()
        assert (job.state, job.fault) == ("done", "")
        assert job.result["erased"] >= 60
        assert "are erased, each with a certificate" in officer.get(PATH).text
        assert "Nothing is kept longer than it may be" in look(shop, officer)
        assert shop.ws.verify() == []


def test_the_pages_have_no_accessibility_fault_and_fit_a_phone(shop, officer):
    look(shop, officer)
    axe = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    wrong = []
    with hub_shop.listening(shop.app) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        context = browser.new_context()
        context.request.post(f"{address}/doors/privacy_officer", max_redirects=0)
        page = context.new_page()
        for path in (PATH, f"{PATH}/delete"):
            for width, scheme in ((360, "light"), (1280, "dark")):
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 900})
                page.goto(address + path)
                page.evaluate(axe)
                wrong += [f"{path} {width}: {fault}" for fault in page.evaluate(FAULTS)]
                wrong += [f"{path} {width}: too wide"] if page.evaluate(WIDE) > 0 else []
        browser.close()
    assert wrong == []
