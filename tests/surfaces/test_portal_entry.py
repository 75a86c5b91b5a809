"""Coming in without a password, and the page behind the link of each mail."""

import re
from datetime import timedelta
from email import message_from_bytes
from importlib.resources import files

import entry_house
import marula
import pytest
from hub_shop import listening
from playwright.sync_api import sync_playwright
from test_pages_look import CHROMIUM, QUIET
from test_signin_look import authenticator

from troth.capabilities import people, preferences
from troth.capabilities.people import entry, passkeys
from troth.kernel import events
from troth.surfaces.web.inbox import signed_by
from troth.terms import Block, Channel

ME = "probe@post.example"


@pytest.fixture
def house(tmp_path):
    opened = entry_house.EntryHouse(tmp_path / "house")
    opened.newcomer("probe", {}, given_name="Planted", family_name="Secretname")
    yield opened
    opened.ws.close()


def last(house, person=None):
    return house.chain(person or house.person("probe"))[-1].payload


def test_a_link_that_arrives_by_mail_opens_ones_own_pages(house):
    browser = house.browser()
    link, _ = house.sent(browser, ME)
    shown = browser.get(link).text
    assert "p•••@p•••.example" in shown
    assert shown.count('<button class="button main"') == 1
    answer = browser.post(link, data={"form": house.token(browser, link)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/my")
    assert last(house) == events.VisitBegan("link")
    assert browser.get("/my/as").status_code == 200
    with house.ws.store.look() as view:
        assert entry.proven(view, house.person("probe"), Channel.EMAIL) == view.now


def test_a_code_from_the_mail_opens_the_same_pages(house):
    browser = house.browser()
    _, code = house.sent(browser, ME)
    form = {"form": house.token(browser, "/my/code"), "code": f" {code[:3]} {code[3:]} "}
    assert browser.post("/my/code", data=form).headers["location"] == "/my"
    assert last(house) == events.VisitBegan("code")


def test_the_letter_is_signed_by_the_brand_names_nobody_and_promotes_nothing(house):
    house.sent(house.browser(), ME)
    raw = house.mails()[-1].path.read_bytes()
    assert len(re.findall(rb"(?m)^DKIM-Signature:", raw)) == 2
    read = message_from_bytes(raw)
    assert read["List-Unsubscribe"] is None
    for part in read.walk():
        if not part.is_multipart():
            text = part.get_payload(decode=True).decode()
            assert "Planted" not in text
            assert not re.search(r"offer|discount|sale|buy|shop now", text, re.IGNORECASE)
            hosts = set(re.findall(r"https?://([^/\"\s<>]+)", text))
            assert hosts <= {"my.marula.example", "www.w3.org"}
    links = [e.payload for e in house.chain(house.person("probe"))]
    booked = [e for e in links if isinstance(e, events.MessageBooked)]
    assert [(e.purpose, e.template, e.categories) for e in booked] == [
        ("service", "letter:entry_link@1", ())
    ]


def test_a_stop_of_all_advertising_keeps_nobody_out_and_a_dead_address_does(house):
    house.say(house.person("probe"), "objected", "marketing", ("*",))
    link, _ = house.sent(house.browser(), ME)
    assert link
    preferences.suppress(house.desk, Channel.EMAIL, ME, Block("hard_bounce"), "relay")
    before = len(house.mails())
    house.ask(house.browser(), ME)
    house.post_round()
    assert len(house.mails()) == before
    assert last(house).type == "use.refused"


def test_leaving_ends_the_visit(house):
    browser = house.browser()
    house.come_in(browser, ME)
    held = browser.cookies["troth_my"]
    assert browser.post("/my/out").headers["location"] == "/my/enter?say=out"
    again = house.browser()
    again.cookies.set("troth_my", held)
    assert again.get("/my/as").headers["location"] == "/my/enter"
    assert "You are out" in browser.get("/my/enter?say=out").text


def test_whoever_came_in_is_led_on_from_the_door(house):
    browser = house.browser()
    house.come_in(browser, ME)
    assert browser.get("/my/enter").headers["location"] == "/my"


def test_a_child_comes_in_alone_and_its_guardian_switches_to_it(house):
    child = house.newcomer("child", {"idempotency_key": "c"}, birth_year="2014", given_name="Kavi")
    people.link(house.desk, child, house.person("probe"), "competent_person", "x", marula.OFFICER)
    alone = house.browser()
    assert house.come_in(alone, "child@post.example").headers["location"] == "/my"
    guardian = house.browser()
    house.come_in(guardian, ME)
    handle = re.findall(r'name="who" value="([0-9a-f]+)"', guardian.get("/my/as").text)[-1]
    form = {"form": house.token(guardian, "/my/as"), "who": handle}
    guardian.post("/my/as", data=form)
    assert last(house, child) == events.VisitBegan("link", "competent_person")
    back = re.findall(r'name="who" value="([0-9a-f]+)"', guardian.get("/my/as").text)[0]
    form = {"form": house.token(guardian, "/my/as"), "who": back}
    assert guardian.post("/my/as", data=form).headers["location"] == "/my"


def test_somebody_without_any_dealing_for_years_comes_in_the_same_way(house):
    house.later(marula.NOW + timedelta(days=900))
    assert house.come_in(house.browser(), ME).headers["location"] == "/my"


def test_under_the_brands_own_name_the_cookie_goes_back_over_https_alone(house):
    browser = house.browser()
    answer = browser.get("/my/enter", headers={"host": "my.marula.example"})
    told = answer.headers["set-cookie"]
    for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/my"):
        assert word in told
    assert "Secure" not in browser.get("/my/enter").headers["set-cookie"]
    assert "localhost" not in answer.text  # a passkey belongs to this very name


# The page behind the link of each mail


@pytest.fixture
def mailed(house):
    """A house that sent its person one campaign mail, and that mail's own links."""
    house.send([house.person("probe")])
    raw = house.mails()[-1].path.read_bytes().replace(b"=\r\n", b"")
    found = re.search(rb"https://my\.marula\.example(/my/mail/\w+)", raw)
    return house, found[1].decode()


def test_the_foot_of_each_mail_leads_to_its_preferences_beside_the_stop(mailed):
    house, path = mailed
    text = house.letters(ME)[-1]
    assert f"https://my.marula.example{path}" in text
    assert f"https://my.marula.example/stop/{path.rsplit('/', 1)[1]}" in text
    assert "Choose what we send, and see what we know" in text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_opening_it_changes_nothing_and_shows_no_data(mailed, method):
    house, path = mailed
    browser, before, size = house.browser(), house.own_rows(), house.size()
    answer = browser.request(method, path)
    assert answer.status_code == 200
    assert (house.own_rows(), house.size()) == (before, size)
    for secret in (ME, "Planted", "Secretname", "troth_my"):
        assert secret not in answer.text + str(browser.cookies)
    if method == "GET":
        assert "p•••@p•••.example" in answer.text
        assert "Offers for your household" in answer.text


@pytest.mark.parametrize(
    ("wish", "said"),
    [("these", "These messages have stopped"), ("all", "All advertising to this address has")],
)
def test_it_stops_in_one_press_and_binds_the_next_message(mailed, wish, said):
    house, path = mailed
    assert house.codes(house.person("probe")) == []
    answer = house.browser().post(path, data={"do": wish})
    assert answer.status_code == 200
    assert said in answer.text
    assert "suppressed_unsubscribe" in house.codes(house.person("probe"))


def test_a_pause_ends_by_itself(mailed):
    house, path = mailed
    assert "rests" in house.browser().post(path, data={"do": "pause-30"}).text
    assert house.codes(house.person("probe")) == ["suppressed_unsubscribe"]
    house.later(marula.NOW + timedelta(days=31))
    assert "suppressed_unsubscribe" not in house.codes(house.person("probe"))


@pytest.mark.parametrize(
    "wish", ["", "start", "pause", "pause-1", "pause-9999", "level", "all-1x"]
)
def test_it_does_nothing_else(mailed, wish):
    house, path = mailed
    before = house.size()
    answer = house.browser().post(path, data={"do": wish})
    if wish.startswith("all"):  # a number behind it asks for no more
        assert answer.status_code == 200
    else:
        assert (answer.status_code, house.size()) == (400, before)


def test_a_mail_passed_on_lets_its_reader_stop_the_address_and_see_nothing(mailed):
    house, path = mailed
    reader = house.browser()
    reader.get(path)
    for page in ("/my", "/my/as", "/my/level", "/my/passkey", "/my/download"):
        assert reader.get(page).headers["location"] == "/my/enter"
    form = {"form": house.token(reader, path)}
    assert reader.post(f"{path}/link", data=form).headers["location"] == "/my/code"
    house.post_round()
    assert house.delivered() == {ME: 2}  # the link goes to the address, not to the reader
    assert "troth_my" not in reader.cookies


def test_the_link_asked_for_from_a_mail_opens_the_pages_of_its_address(mailed):
    house, path = mailed
    browser = house.browser()
    browser.post(f"{path}/link", data={"form": house.token(browser, path)})
    house.post_round()
    link = re.search(r"/my/in/\w+", house.letters(ME)[-1])[0]
    answer = browser.post(link, data={"form": house.token(browser, link)})
    assert answer.headers["location"] == "/my"


def test_an_unknown_mail_link_says_so_and_does_nothing(house):
    browser = house.browser()
    for method, path in (("GET", "/my/mail/" + "x" * 32), ("POST", "/my/mail/" + "f" * 32)):
        answer = browser.request(method, path, data={"do": "all"} if method == "POST" else None)
        assert answer.status_code == 404
        assert "does not work any more" in answer.text


# Passkeys, and how it looks


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


def test_a_passkey_is_made_and_opens_the_pages_without_a_letter(house, chromium):
    with listening(house.app) as served:
        address = served.replace("127.0.0.1", "localhost")
        context = chromium.new_context()
        page, faults = context.new_page(), []
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        authenticator(page)
        link, _ = house.sent(house.browser(), ME)
        page.goto(address + link)
        page.click("text=Show me my pages")
        page.goto(f"{address}/my/passkey")
        page.click("text=Make a passkey")
        page.wait_for_selector("text=From now on you can come in with this passkey")
        page.goto(f"{address}/my/as")
        page.click("header >> text=Leave")
        page.wait_for_url("**/my/enter?say=out")
        page.click("text=Use a passkey")
        page.wait_for_url(f"{address}/my")
        assert last_visit(house) == "passkey"
        page.goto(f"{address}/my/passkey")
        page.click("text=Remove")
        page.wait_for_selector("text=You have none")
        assert faults == []
        context.close()


def last_visit(house):
    chain = house.chain(house.person("probe"))
    return [e.payload for e in chain if isinstance(e.payload, events.VisitBegan)][-1].method


def test_an_erasure_takes_the_passkeys_along(house):
    person = house.person("probe")
    with house.ws.store.book() as tx:
        held = passkeys._Held(person, b"i", b"p", 0, 1, 0, copied=False)
        raw = passkeys.msgspec.msgpack.encode(held)
        key = passkeys._key(b"i")
        passkeys.put_pointer(
            tx, person, passkeys.TABLE, key, raw, [(passkeys.OWN, person + key, b"1")]
        )
    house.ws.erase(person, "gone")
    assert not [t for t, _ in house.own_rows() if t.startswith("people.passkey")]


def test_a_passkey_nobody_knows_opens_nothing(house):
    browser = house.browser()
    form = {"form": house.token(browser), "credential": '{"rawId":"eA","response":{}}'}
    answer = browser.post("/my/passkey/in", data=form)
    assert answer.headers["location"] == "/my/enter?say=passkey"
    assert "troth_my" not in browser.cookies


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1280, "dark")])
def test_the_way_in_has_no_accessibility_fault_and_fits_a_small_screen(
    mailed, chromium, width, scheme
):
    house, path = mailed
    link, _ = house.sent(house.browser(), ME)
    axe = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    with listening(house.app) as served:
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
        )
        page = context.new_page()
        for each in ("/my/enter?say=address", "/my/code?say=code", link, "/my/in/x", path):
            page.goto(served + each)
            page.evaluate(axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            assert [v["id"] for v in found["violations"]] == [], each
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, each
        context.close()


def test_letters_verify_with_the_brands_own_keys(house):
    house.sent(house.browser(), ME)
    raw = house.mails()[-1].path.read_bytes()
    assert [holds for _, _, holds in signed_by(house.app.state.hub, raw)] == [True, True]
