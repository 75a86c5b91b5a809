"""Documents and forms on every face: the console, the public pages, the command line."""

import hashlib
import json
from importlib.resources import files

import cli_shop
import hub_shop
import kept_shop
import portal_door
import pytest
from playwright.sync_api import sync_playwright
from starlette.testclient import TestClient
from test_pages_look import CHROMIUM, QUIET, WIDE

from troth import app as house
from troth.errors import InvalidInput
from troth.terms import Actor, Role

PATH = "/console/documents"
SCAN = b"%PDF-1.4\r\n\x00\x01planted scan\rwith every \xff end of line\n"
HASH = hashlib.sha256(SCAN).hexdigest()
FAULTS = """async () => (await axe.run(document, {iframes: false, resultTypes: ['violations']}))
    .violations.map(v => v.id + ': ' + v.nodes[0].html)"""
FACTS = (
    '[house]\nregistration = "2026/000001/07"\ntelephone = "+27 21 555 0100"\n'
    'officer_registration = "IR-0001"\n'
)
TABLES = (
    '[bases]\noperations = "A legal duty"\nconnections = "Legitimate interest"\n'
    '[paia]\nother_laws = ["Companies Act"]\n'
)


@pytest.fixture
def shop(tmp_path):
    with kept_shop.opened(tmp_path) as made:
        yield made


@pytest.fixture
def officer(shop):
    return shop.door("privacy_officer")


@pytest.fixture
def anybody(shop):
    return TestClient(shop.app, base_url="http://127.0.0.1:8400", follow_redirects=False)


def complete(shop):
    file = shop.folder / "troth.toml"
    file.write_text(file.read_text().replace("[house]\n", FACTS, 1) + TABLES)
    shop.ws.apply()
    shop.ws.sign()


def paper(shop, client, document="popia-1", scan=SCAN, **fields):
    """Send a paper form in, as staff do."""
    data = {
        "form": shop.token(client), "document": document, "outside": "shop-01", "how": "letter",
        "received": "2026-11-16", "about": "marketing", **fields,
    }  # fmt: skip
    sent = {"scan": ("scan.pdf", scan, "application/pdf")}
    return client.post(f"{PATH}/enter", data=data, files=sent)


def types(shop, outside="shop-01"):
    return [event.type for event in shop.chain(outside)]


# The list


def test_the_list_names_every_document_its_state_and_what_is_missing(officer):
    page = officer.get(PATH).text
    for name in (*house.PAPERS, *house.FORMS):
        assert f'href="{PATH}/{name}"' in page
    assert "5 missing" in page
    assert "house.telephone" in page
    assert "not yet; by 2027-02-23" in page


def test_a_fact_that_is_filled_in_and_published_is_no_longer_missing(shop, officer):
    assert "house.telephone" in officer.get(f"{PATH}/art30").text
    complete(shop)
    page = officer.get(f"{PATH}/art30").text
    assert "+27 21 555 0100" in page
    assert "missing" not in page
    assert "complete, not published" in officer.get(PATH).text


def test_a_draft_that_is_not_published_is_said_to_be_in_no_document_yet(shop, officer):
    assert "Some drafts are not published" not in officer.get(PATH).text
    file = shop.folder / "purposes/offers.toml"
    file.write_text(file.read_text().replace("1095", "77"))
    page = officer.get(PATH).text
    assert "Some drafts are not published" in page
    assert "purpose:offers" in page


def test_every_document_opens_and_downloads_as_each_kind(officer):
    kinds = {"pdf": b"%PDF", "csv": b"part,line", "json": b"{"}
    for name in house.PAPERS:
        assert officer.get(f"{PATH}/{name}").status_code == 200
        for kind, begins in kinds.items():
            file = officer.get(f"{PATH}/{name}/{name}.{kind}")
            assert file.content.startswith(begins)
            assert f'filename="{name}.{kind}"' in file.headers["content-disposition"]
    for name in house.FORMS:
        assert officer.get(f"{PATH}/{name}").status_code == 200
        assert officer.get(f"{PATH}/{name}/{name}.pdf").content.startswith(b"%PDF")
        assert officer.get(f"{PATH}/{name}/{name}.csv").status_code == 404


@pytest.mark.parametrize(
    "path", ["wealth", "wealth/wealth.pdf", "art30/s17.pdf", "art30/art30.exe"]
)
def test_what_does_not_exist_is_not_found(officer, path):
    assert officer.get(f"{PATH}/{path}").status_code == 404


@pytest.mark.parametrize("role", ["marketer", "it"])
def test_who_answers_nobody_has_no_documents(shop, role):
    client = shop.door(role)
    assert client.get(PATH).status_code == 403
    assert paper(shop, client).status_code == 403
    assert "consent.objected" not in types(shop)


# A paper form


def test_an_objection_on_paper_binds_at_once_and_its_request_is_open(shop, officer):
    answer = paper(shop, officer)
    assert answer.status_code == 200, answer.text
    assert "Done. The request is open" in answer.text
    assert "Any marketing from Marula" in answer.text
    told = {event.type: event.payload for event in shop.chain("shop-01")}
    objected = told["consent.objected"]
    assert (objected.purpose, objected.method) == ("marketing", "paper")
    assert objected.proof == f"sha256:{HASH}"
    opened = next(e.payload for e in shop.chain("shop-01") if e.type == "request.acted")
    assert (opened.act, opened.right, opened.how) == ("opened", "objection", "letter")
    assert opened.occurred_at == "2026-11-15T22:00:00Z"
    assert HASH in opened.text
    assert shop.ws.verify() == []


def test_support_may_enter_a_paper_too(shop):
    assert paper(shop, shop.door("support")).status_code == 200
    assert "consent.objected" in types(shop)


def test_the_same_paper_entered_twice_is_one_request(shop, officer):
    one, two = paper(shop, officer), paper(shop, officer)
    assert one.status_code == two.status_code == 200
    opened = [e for e in shop.chain("shop-01") if e.type == "request.acted"
              and e.payload.act == "opened"]  # fmt: skip
    assert len(opened) == 1


def test_the_form_says_which_right_is_meant_and_the_name_on_it_stays_out_of_the_request(
    shop, officer
):
    answer = paper(
        shop, officer, "popia-2", wanted="delete", what="everything about tea", name="Secretname"
    )
    assert answer.status_code == 200, answer.text
    said = [e.payload for e in shop.chain("shop-01") if e.type == "request.acted"]
    assert said[0].right == "deletion"
    assert "everything about tea" in said[0].text
    assert "Secretname" not in said[0].text
    assert said[1].act == "identity_pending"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"outside": "nobody"}, "Nothing was recorded"),
        ({"received": "soon"}, "is no date"),
        ({"received": "2027-01-01"}, "later than now"),
        ({"how": "pigeon"}, "how the form came"),
        ({"about": ""}, "till missing"),
        ({"scan": b""}, "scan of the paper is missing"),
        ({"scan": b"", "hash": "123"}, "scan of the paper is missing"),
    ],
)
def test_a_paper_that_lacks_something_records_nothing_and_keeps_what_was_typed(
    shop, officer, fields, said
):
    before = types(shop)
    answer = paper(shop, officer, reason="The words I typed", **fields)
    assert answer.status_code == 400
    assert said in answer.text
    assert "The words I typed" in answer.text
    assert types(shop) == before


def test_a_scan_that_lies_elsewhere_is_named_by_its_hash(shop, officer):
    assert paper(shop, officer, scan=b"", hash=HASH.upper()).status_code == 200
    told = {event.type: event.payload for event in shop.chain("shop-01")}
    assert told["consent.objected"].proof == f"sha256:{HASH}"


def test_a_consent_on_paper_opens_no_request(shop, officer):
    before = types(shop)
    answer = paper(shop, officer, "popia-4", answer="yes")
    assert answer.status_code == 400
    assert "troth consent" in answer.text
    assert types(shop) == before


def test_a_scan_larger_than_a_page_of_forms_is_taken_and_a_huge_one_is_not(shop, officer):
    assert paper(shop, officer, scan=SCAN * 60_000).status_code == 200
    assert paper(shop, officer, scan=b"x" * (17 << 20)).status_code == 400


# The manual


def test_the_manual_is_published_by_the_officer_once_nothing_is_missing(shop, officer, anybody):
    assert "Not published yet" in anybody.get("/paia-manual").text
    refused = officer.post(f"{PATH}/publish", data={"form": shop.token(officer)})
    assert refused.status_code == 400
    assert "facts are missing" in refused.text
    complete(shop)
    assert "Publish this as version 1" in officer.get(f"{PATH}/paia-manual").text
    support = shop.door("support")
    assert support.post(f"{PATH}/publish", data={"form": shop.token(support)}).status_code == 403
    assert shop.post(officer, f"{PATH}/publish", f"{PATH}/paia-manual").status_code == 303
    page = anybody.get("/paia-manual").text
    assert "Nokuthula Makeleni" in page
    assert "Version 1 of 17 November 2026" in page
    assert house.manuals(shop.ws)[0].digest in page
    assert anybody.get("/paia-manual/1/paia-manual.pdf").content.startswith(b"%PDF")
    assert anybody.get("/paia-manual/2").status_code == 404
    assert anybody.get("/paia-manual/1/other.pdf").status_code == 404
    assert "Publish this as" not in officer.get(f"{PATH}/paia-manual").text


# The public forms


def test_anybody_may_have_a_form_blank_or_filled_and_nothing_of_it_is_kept(shop, anybody):
    with shop.ws.store.look() as view:
        before = view.log.size
    for name in house.FORMS:
        assert anybody.get(f"/forms/{name}").status_code == 200
        assert anybody.get(f"/forms/{name}/{name}.pdf").content.startswith(b"%PDF")
    assert anybody.get("/forms").text.count("/forms/po") >= 6
    sent = {"do": "paper", "name": "Naledi Planted", "about": "marketing"}
    answer = anybody.post("/forms/popia-1", data=sent)
    assert answer.headers["content-type"] == "application/pdf"
    assert len(answer.content) > 1000
    with shop.ws.store.look() as view:
        assert view.log.size == before
    assert b"Naledi Planted" not in b"".join(
        path.read_bytes() for path in (shop.folder / "data").rglob("*") if path.is_file()
    )


def test_a_form_from_somebody_unknown_is_not_sent_and_says_how_it_can_be(shop, anybody):
    answer = anybody.post("/forms/popia-1", data={"do": "send", "name": "Naledi Planted"})
    assert answer.status_code == 200
    assert "Not sent from here" in answer.text
    assert "/my/enter" in answer.text
    assert "Naledi Planted" in answer.text
    assert "Naledi Planted" not in anybody.get("/forms/popia-1").text


def test_the_page_says_that_the_gazette_was_not_read(anybody):
    for name in ("popia-1", "popia-2", "popia-4", "paia-2"):
        assert "We have not read the printed" in anybody.get(f"/forms/{name}").text


def test_nothing_on_a_form_is_ticked_before_somebody_ticks_it(anybody):
    for name in house.FORMS:
        assert "checked" not in anybody.get(f"/forms/{name}").text.split("Version")[0]


def test_somebody_who_is_in_sends_the_form_as_their_request_and_an_objection_binds(shop):
    person = portal_door.enter(shop.app, shop.person("shop-02"))
    lacking = portal_door.post(person, "/forms/popia-1", "/forms/popia-1", do="send", name="N")
    assert lacking.status_code == 400
    assert "This is needed" in lacking.text
    assert "request.acted" not in types(shop, "shop-02")
    filled = {"name": "N", "about": "marketing", "date": "2026-11-17", "signature": "N"}
    done = portal_door.post(person, "/forms/popia-1", "/forms/popia-1", do="send", **filled)
    assert done.status_code == 303, done.text
    assert "Your objection counts from now on" in person.get(done.headers["location"]).text
    told = {event.type: event.payload for event in shop.chain("shop-02")}
    assert told["consent.objected"].purpose == "marketing"
    assert told["request.acted"].act == "verified"


def test_a_form_without_the_token_of_the_session_opens_nothing(shop):
    person = portal_door.enter(shop.app, shop.person("shop-03"))
    filled = {"name": "N", "about": "marketing", "date": "2026-11-17", "signature": "N"}
    answer = person.post("/forms/popia-1", data={"do": "send", "form": "guessed", **filled})
    assert answer.status_code == 403
    assert "consent.objected" not in types(shop, "shop-03")


def test_an_objection_to_another_use_is_a_request_and_stops_no_messages_by_itself(shop):
    person = portal_door.enter(shop.app, shop.person("shop-04"))
    filled = {"name": "N", "about": "other", "reason": "Profiles", "date": "d", "signature": "N"}
    portal_door.post(person, "/forms/popia-1", "/forms/popia-1", do="send", **filled)
    assert "consent.objected" not in types(shop, "shop-04")
    assert "request.acted" in types(shop, "shop-04")


def test_who_acts_for_another_objects_for_them_and_is_named_as_acting(shop):
    officer = Actor(Role.OFFICER, "nokuthula@marula.example")
    filled = house.EnteredForm(
        "popia-1", {"about": "marketing"}, proven=True, given_by="competent_person", scan=HASH
    )
    done = house.enter_form(shop.ws, shop.person("shop-05"), filled, officer)
    assert (done.right, done.objected) == ("objection", ("marketing",))
    told = {event.type: event.payload for event in shop.chain("shop-05")}
    assert told["consent.objected"].given_by == "competent_person"
    opened = next(e.payload for e in shop.chain("shop-05") if e.type == "request.acted")
    assert opened.given_by == "competent_person"


def test_a_form_that_names_one_purpose_objects_to_that_one_alone(shop):
    officer = Actor(Role.OFFICER, "nokuthula@marula.example")
    filled = house.EnteredForm("popia-1", {"about": "other"}, scan=HASH, purpose="newsletter")
    assert house.enter_form(shop.ws, shop.person("shop-06"), filled, officer).objected == (
        "newsletter",
    )


def test_a_role_that_takes_no_forms_in_records_nothing(shop):
    before = types(shop, "shop-07")
    filled = house.EnteredForm("popia-1", {"about": "marketing"}, scan=HASH)
    marketer = Actor(Role.MARKETER, "lindiwe@marula.example")
    with pytest.raises(InvalidInput, match="takes no forms in"):
        house.enter_form(shop.ws, shop.person("shop-07"), filled, marketer)
    assert types(shop, "shop-07") == before


def test_the_pages_have_no_accessibility_fault_and_fit_a_phone(shop):
    complete(shop)
    axe = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    wrong = []
    paths = [f"{PATH}/paia-manual", "/forms",
             "/forms/popia-1", "/paia-manual"]  # fmt: skip
    house.publish_manual(shop.ws, Actor(Role.OFFICER, "nokuthula@marula.example"))
    with hub_shop.listening(shop.app) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        context = browser.new_context()
        context.request.post(f"{address}/doors/privacy_officer", max_redirects=0)
        page = context.new_page()
        for path in paths:
            width, scheme = (320, "light") if path.startswith("/forms") else (1280, "dark")
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(address + path)
            page.evaluate(axe)
            wrong += [f"{path} {width}: {fault}" for fault in page.evaluate(FAULTS)]
            page.set_viewport_size({"width": 320, "height": 900})
            wrong += [f"{path}: too wide"] if page.evaluate(WIDE) > 0 else []
        browser.close()
    assert wrong == []


# The command line


@pytest.fixture
def ws(tmp_path):
    return cli_shop.copied(cli_shop.built(), tmp_path / "ws")


def test_the_command_line_lists_documents_and_what_is_missing(ws):
    ran = cli_shop.at(ws, "documents", "list", "--json")
    assert ran.status == 0, ran
    found = {each["name"]: each for each in ran.data["documents"]}
    assert set(found) == {*house.PAPERS, *house.FORMS}
    assert "house.telephone" in {gap["key"] for gap in found["art30"]["missing"]}
    assert not found["art30"]["complete"]
    assert "house.telephone" in cli_shop.at(ws, "documents", "list").out


@pytest.mark.parametrize("name", ["art30.json", "s17.csv", "paia-manual.pdf", "popia-1.pdf"])
def test_the_command_line_writes_a_document(ws, tmp_path, name):
    out = tmp_path / name
    stem = name.rpartition(".")[0]
    ran = cli_shop.at(ws, "documents", "write", stem, "--out", str(out), "--json")
    assert ran.status == 0, ran
    assert out.stat().st_size == ran.data["bytes"]
    if name.endswith("json"):
        assert json.loads(out.read_text())["name"] == stem


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (("write", "wealth", "--out", "x.pdf"), 2),
        (("write", "art30", "--out", "x"), 2),
        (("write", "art30", "--out", "x.song"), 2),
        (("write", "popia-1", "--out", "x.csv"), 2),
        (("publish",), 2),
        (("publish", "--as", "marketer:lindiwe@marula.example"), 2),
    ],
)
def test_the_command_line_refuses_what_it_cannot_write_or_publish(ws, monkeypatch, line, status):
    monkeypatch.chdir(ws)
    ran = cli_shop.at(ws, "documents", *line)
    assert ran.status == status, ran
    assert not list(ws.glob("x*"))


def test_the_command_line_publishes_the_manual_once_complete(ws):
    file = ws / "troth.toml"
    file.write_text(file.read_text().replace("[house]\n", FACTS, 1) + TABLES)
    assert cli_shop.at(ws, "apply").status == 0
    ran = cli_shop.at(ws, "documents", "publish", "--json")
    assert ran.status == 0, ran
    assert ran.data["published"] == "document:paia-manual@1"
    again = cli_shop.at(ws, "check", "--json")
    assert again.data["ok"], again
