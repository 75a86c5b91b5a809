"""The collector in a real browser: nothing before a yes, nothing under the signal, nobody else."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hub_shop import listening
from playwright.sync_api import sync_playwright
from site_shop import REPORT, opened
from test_pages_look import CHROMIUM, QUIET

from troth.capabilities import onsite
from troth.surfaces.web.server import build_app
from troth.surfaces.web.site import script

PAGE = """<!doctype html><title>shop</title><script src="{troth}/collect.js" defer></script>
<main data-troth-view="1001" data-troth-group="tea"><div data-troth-slot="home">Everybody</div>
</main>"""
YES = "troth.consent({purpose: 'site', given: true, notice: 'site@1'})"
MORE = "troth.consent({purpose: 'personalise', given: true, notice: 'site@1'})"
NO = "troth.consent({purpose: 'site', given: false, notice: 'site@1', forget: true})"
LEAVE = "() => dispatchEvent(new Event('pagehide'))"


class Pages(BaseHTTPRequestHandler):
    """The shop's own server: one page."""

    def do_GET(self):
        body = PAGE.format(troth=self.server.troth).encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Troth on one port, the shop's pages on another: two origins, one site."""
    pages = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{pages.server_address[1]}"
    folder = tmp_path_factory.mktemp("browser")
    found = opened(folder)
    path = found.house.folder / "troth.toml"
    path.write_text(re.sub(r"origins = \[.*\]", f'origins = ["{origin}"]', path.read_text()))
    found.house.at(found.house.when())
    app = build_app(found.ws, REPORT, None)
    with listening(app) as troth:
        pages.troth = troth
        yield found, origin, troth
    pages.shutdown()
    pages.server_close()
    found.ws.close()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        opened_ = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened_
        opened_.close()


@pytest.fixture
def tab(browser, world):
    made = []

    def open_tab(signal=False):
        context = browser.new_context(extra_http_headers={"sec-gpc": "1"} if signal else {})
        if signal:
            context.add_init_script(
                "Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})"
            )
        made.append(context)
        page = context.new_page()
        page.asked = []
        page.on("request", lambda r: page.asked.append(r.url))
        page.goto(world[1])
        page.wait_for_function("window.troth")
        return page

    yield open_tab
    for context in made:
        context.close()


def stored(page):
    return page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]")


def calls(page):
    return [url for url in page.asked if "/api/" in url]


def test_before_a_yes_there_is_no_request_no_cookie_and_nothing_stored(tab):
    page = tab()
    page.evaluate("troth.event('view', {item: '1002'})")
    page.evaluate(LEAVE)
    page.wait_for_timeout(300)
    assert calls(page) == []
    assert page.context.cookies() == []
    assert stored(page) == ["", 0, 0]
    assert page.inner_text("[data-troth-slot]") == "Everybody"


def test_a_no_to_begin_with_sends_and_stores_nothing(tab):
    page = tab()
    assert page.evaluate(NO) == {"state": "nobody"}
    assert calls(page) == []
    assert stored(page) == ["", 0, 0]


def test_under_the_signal_nothing_begins_whatever_the_banner_says(tab, world):
    page, before = tab(signal=True), world[0].size()
    assert page.evaluate(YES) == {"state": "off"}
    page.evaluate("troth.event('view', {item: '1002'})")
    page.evaluate(LEAVE)
    page.wait_for_timeout(300)
    assert calls(page) == []
    assert page.context.cookies() == []
    assert stored(page) == ["", 0, 0]
    assert world[0].size() == before


def test_after_a_yes_events_arrive_the_slot_fills_and_a_no_stops_it_all(tab, world):
    found, origin, troth = world
    page = tab()
    assert page.evaluate(YES)["state"] == "given"
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
        "troth_visitor",
        True,
        "Lax",
    )
    assert page.evaluate("document.cookie") == ""
    page.evaluate(LEAVE)
    page.wait_for_timeout(300)
    with found.ws.store.look() as view:
        person = onsite.find(found.house.desk, view, cookie["value"]).person
    assert found.types(person).count("behaviour.recorded") == 1
    assert page.evaluate(MORE)["state"] == "given"
    page.reload()
    page.wait_for_function("window.troth")
    before = found.size()
    page.evaluate(YES)  # the banner says on every page what it knows: no second event of it
    page.wait_for_function("document.querySelector('[data-troth-slot] li')")
    assert page.inner_text("[data-troth-slot] li") == "Rooibos tea"
    assert found.size() == before + 1  # the use itself
    assert page.evaluate(NO)["state"] == "ended"
    assert page.context.cookies() == []
    assert stored(page) == ["", 0, 0]
    count, asked = found.size(), len(calls(page))
    page.evaluate("troth.event('view', {item: '1002'})")
    page.evaluate(LEAVE)
    page.wait_for_timeout(300)
    assert (found.size(), len(calls(page))) == (count, asked)
    assert {url.split("/")[2] for url in page.asked} == {origin[7:], troth[7:]}


def test_who_switches_the_signal_on_later_is_opted_out_once_and_forgotten_here(tab, world):
    found = world[0]
    page = tab()
    page.evaluate(YES)
    (cookie,) = page.context.cookies()
    page.context.set_extra_http_headers({"sec-gpc": "1"})
    page.context.add_init_script(
        "Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})"
    )
    for _ in range(2):
        page.goto(world[1])
        page.wait_for_function("window.troth")
        page.evaluate(YES)
        page.wait_for_timeout(300)
    with found.ws.store.look() as view:
        person = onsite.find(found.house.desk, view, cookie["value"]).person
    assert found.types(person).count("consent.opted_out") == 1


def test_the_collector_is_small_and_loads_nothing():
    text = script().decode()
    assert len(text) <= 3_072
    assert not re.search(r"https?://|document\.cookie|innerHTML|eval\(|import\(", text)
