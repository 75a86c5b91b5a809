"""Every page of the console in a real browser: sound, small, quiet, and worked by keyboard alone."""

import re
from importlib.resources import files
from itertools import product

import pytest
import segment_shop
from hub_shop import listening
from playwright.sync_api import sync_playwright
from test_pages_look import CHROMIUM, QUIET, SMALL, WIDE

from troth import app
from troth.capabilities import rights
from troth.capabilities.outreach import steps
from troth.surfaces.web import console
from troth.terms import Actor, Role

LINDIWE, SIPHO = (Actor(Role.MARKETER, f"{n}@marula.example") for n in ("lindiwe", "sipho"))
OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
ROLES = {"map": "it", "doctor": "it", "people": "support", "complaint": "privacy_officer", "staff": "it", "connections": "it",
    "documents": "privacy_officer", "retention": "privacy_officer",
    "requests": "privacy_officer", "access": "it", "keys": "it", "backups": "it", "witness": "it",
}  # fmt: skip
"""Part of the console → whose page it is; a marketer's where nothing is said."""
FILLED = {
    "/console/campaigns/{name}": "spring",
    "/console/campaigns/{name}/change": "spring",
    "/console/campaigns/{name}/results": "spring",
    "/console/segments/{name}": "winback",
    "/console/messages/{name}": "winback",
    "/console/messages/{name}/history": "winback",
    "/console/documents/{name}": "popia-2",
    "/console/map/{name}": "record",
}
"""Page with a name in its address → a name that the shop below has."""
NO_PAGE = re.compile(r"\.(pdf|csv|zip)$|/frame/|/\{file\}$|^/console/list/")
"""Addresses that answer with a file, or with a mail in its cage."""
FAULTS = """async () => (await axe.run(document, {iframes: false, resultTypes: ['violations']}))
    .violations.map(v => v.id + ': ' + v.nodes[0].html)"""
MOST = 100_000
WORDS = re.compile(
    r"\bsafe\b(?! to close)|100 ?%|are you sure|miss out|last chance|hurry|oops|you must|your fault"
    r"|illegal|invalid|\bfailed\b|\bplease\b(?! sign)",
    re.IGNORECASE,
)
"""Guilt, urgency, promises and blame; and the words of machines."""
HARD = 45
"""Reading ease (Flesch) under which a page's sentences are too hard."""
REACHABLE = """() => {
  const shut = e => e.closest('details:not([open])') && !e.matches('summary');
  const seen = e => e.getClientRects().length && getComputedStyle(e).visibility !== 'hidden';
  const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
    .filter(e => e.tabIndex >= 0 && !e.disabled && e.type !== 'hidden' && seen(e) && !shut(e));
  const groups = new Set();
  return all.filter(e => {
    if (e.type !== 'radio') return true;
    const key = e.form && e.name ? e.name : e;
    const first = !groups.has(key); groups.add(key); return first;
  }).map((e, n) => { (e.type === 'radio'
      ? document.querySelectorAll(`input[type=radio][name="${e.name}"]`) : [e]
    ).forEach(each => each.dataset.reach = n); return e.outerHTML.slice(0, 90); });
}"""
WATCH = """() => { window.walked = []; document.addEventListener('focusin', ({target: e}) => {
  const rings = [e, e.nextElementSibling].filter(Boolean).map(x => getComputedStyle(x));
  const ring = rings.some(s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2);
  walked.push([e.dataset.reach ?? '', ring, e.outerHTML.slice(0, 90)]); }); }"""
PARTS = "() => 4 * document.querySelectorAll('[type=date], [type=time]').length"
"""How many more presses the parts of a day or time take."""
PROSE = """() => [...document.querySelectorAll('main h1, main p, main dd, main li')]
  .filter(e => e.getClientRects().length && !e.querySelector('p, li, dl, code, form'))
  .map(e => e.innerText)"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with segment_shop.opened(tmp_path_factory.mktemp("looks")) as made:
        for name, writer in (("spring", SIPHO), ("autumn", LINDIWE), ("winter", LINDIWE)):
            app.draft_campaign(made.ws, app.Asked(name, "winback", "winback"), writer)
            app.submit_campaign(made.ws, name, writer)
        steps.give_back(made.ws.desk, "winter", "The subject says too much.", OFFICER)
        FILLED["/console/requests/{name}"] = _asked(made)
        yield made


def _asked(made) -> str:
    """A request that waits at the desk; return its id."""
    desk = made.ws.desk
    with desk.store.look() as view:
        person = next(p for p in view.people(None, 3) if p != desk.scribe.house)
    asked = rights.Asked("access", how="letter", text="What do you hold?")
    return rights.open_request(desk, person, asked, OFFICER).id


@pytest.fixture(scope="module")
def address(house):
    with listening(house.app) as served:
        yield served


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def inside(browser, address):
    """A page of each role, signed in; and what any of them complained of so far."""
    made, heard = {}, []
    for role in ("marketer", "privacy_officer", "it", "support"):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.request.post(f"{address}/doors/{role}", max_redirects=0)
        page = context.new_page()
        page.on("request", lambda r: heard.append(r.url) if _foreign(r.url, address) else None)
        page.on("console", lambda m: heard.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: heard.append(str(e)))
        made[role] = page
    return made, heard


def _foreign(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "about:"))


def pages(served) -> list[tuple[str, str]]:
    """Every page of the console with whose it is, as the app's own routes name them."""
    found = []
    for route in served.routes:
        path = getattr(route, "path", "")
        reads = "GET" in (getattr(route, "methods", None) or ())
        if not reads or not path.startswith("/console") or NO_PAGE.search(path):
            continue
        assert "{" not in path or path in FILLED, f"say in FILLED which {path} to look at"
        filled = path.replace("{name}", FILLED.get(path, ""))
        found.append((ROLES.get(path.split("/")[2] if path.count("/") > 1 else "", ""), filled))
    whose = [(role or "marketer", path) for role, path in found]
    return whose + [(role, "/console") for role in ("privacy_officer", "it", "support")]


def look(inside, where, axe, screens) -> list[str]:
    """Open every page once and say what is wrong with it on any of these screens."""
    address, served = where
    made, heard = inside
    wrong: list[str] = []
    for role, path in pages(served):
        page = made[role]
        page.set_viewport_size({"width": screens[0][0], "height": 900})
        answer = page.goto(address + path)
        wrong += [f"{path}: status {answer.status}"] if answer.status != 200 else []
        wrong += [f"{path}: {len(answer.body())} bytes"] if len(answer.body()) > MOST else []
        page.evaluate(axe)
        for width, scheme in screens:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            faults = [*page.evaluate(FAULTS), *page.evaluate(SMALL)]
            wrong += [f"{role} {path} {width} {scheme}: {fault}" for fault in faults]
        page.set_viewport_size({"width": 320, "height": 900})
        if page.evaluate(WIDE) > 0:
            wrong.append(f"{path}: wider than 320 px")
    return wrong + [f"the browser says: {each}" for each in heard]


def test_every_page_of_the_console_is_looked_at(house):
    seen = {path for _, path in pages(house.app)}
    exist = {getattr(route, "path", "") for route in house.app.routes}
    assert {path for _, path, *_ in console.NAV if path in exist} <= seen
    assert {"/console/me", "/console/campaigns/spring", "/console/messages/winback"} <= seen


def test_no_page_has_an_accessibility_fault_overflows_or_loads_from_elsewhere(
    inside, address, house, axe
):
    screens = [(360, "light"), (1280, "dark")]
    assert look(inside, (address, house.app), axe, screens) == []


@pytest.mark.soak
def test_every_page_at_every_width_and_scheme(inside, address, house, axe):
    screens = [*product((320, 360, 768, 1280), ("light", "dark"))]
    assert look(inside, (address, house.app), axe, screens) == []


def test_the_look_itself_finds_a_planted_fault(inside, address, axe):
    page = inside[0]["marketer"]
    page.goto(f"{address}/console")
    page.evaluate(
        "document.querySelector('h1').outerHTML = '<img src=/static/mark.svg width=2000>'"
    )
    page.evaluate(axe)
    assert any(fault.startswith("image-alt") for fault in page.evaluate(FAULTS))
    assert page.evaluate(WIDE) > 0


def keyed(page) -> list[str]:
    """Walk a page by the tab key alone; say what is not reached, out of order or without a ring."""
    page.evaluate("document.querySelectorAll('iframe').forEach(e => e.remove())")
    there = page.evaluate(REACHABLE)
    page.evaluate(WATCH)
    for _ in range(len(there) + page.evaluate(PARTS) + 2):
        page.keyboard.press("Tab")
    walked = page.evaluate("walked")
    wrong = [f"no ring: {shown}" for _, ring, shown in walked if not ring]
    reached = list(dict.fromkeys(int(number) for number, *_ in walked if number != ""))
    wrong += [f"not reached: {e}" for n, e in enumerate(there) if n not in reached]
    return wrong + (["out of order"] if reached != sorted(reached) else [])


def test_everything_on_a_page_is_reached_by_keyboard_in_order_with_its_ring(
    inside, address, house
):
    wrong = []
    for role, path in pages(house.app):
        page = inside[0][role]
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(address + path)
        wrong += [f"{role} {path}: {fault}" for fault in keyed(page)]
    assert wrong == []


def test_the_keyboard_walk_itself_finds_what_cannot_be_reached(inside, address):
    page = inside[0]["marketer"]
    page.goto(f"{address}/console")
    page.evaluate("document.querySelector('main a').style.outline = 'none'")
    assert any(fault.startswith("no ring") for fault in keyed(page))


def press(page, selector: str, key: str) -> None:
    """Go to an element by the tab key and press a key there."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            page.keyboard.press(key)
            return
    raise AssertionError(f"{selector} was not reached")


def test_a_campaign_is_given_back_and_the_session_ended_by_keyboard_alone(browser, address, house):
    context = browser.new_context()
    context.request.post(f"{address}/doors/marketer", max_redirects=0)
    page = context.new_page()
    page.goto(f"{address}/console")
    press(page, "main a[href='/console/campaigns/spring']", "Enter")
    page.wait_for_url("**/campaigns/spring")
    press(page, "#f-reason", "End")
    page.keyboard.type("The day is wrong.")
    press(page, "form[action$='/return'] button", "Space")
    page.wait_for_selector("text=Given back")
    press(page, ".who summary", "Enter")
    press(page, ".who a[href='/console/me']", "Enter")
    page.wait_for_url("**/console/me")
    press(page, ".who summary", "Space")
    press(page, ".who button", "Enter")
    page.wait_for_url(f"{address}/")
    assert page.goto(f"{address}/console").url.endswith("/signin?next=/console")
    context.close()
    with house.ws.store.look() as view:
        assert steps.read_life(view, "spring").stage == "returned"


def ease(text: str) -> float:
    """Flesch's reading ease, syllables as runs of vowels."""
    words = re.findall(r"[A-Za-z’']+", text)
    sentences = max(1, len(re.findall(r"[.!?:;](?:\s|$)|\n", text)))
    vowels = sum(max(1, len(re.findall(r"[aeiouy]+", w.lower().removesuffix("e")))) for w in words)
    return 206.835 - 1.015 * len(words) / sentences - 84.6 * vowels / max(1, len(words))


def test_pages_use_plain_words_and_none_that_press_promise_or_blame(inside, address, house):
    wrong = []
    for role, path in pages(house.app):
        page = inside[0][role]
        page.goto(address + path)
        lines = page.evaluate(PROSE)
        said = "\n".join(lines)
        wrong += [f"{path}: {line}" for line in lines if WORDS.search(line)]
        if (found := ease(said)) < HARD and len(said.split()) > 40:
            wrong.append(f"{path}: reading ease {found:.0f}")
    assert wrong == []


def test_the_lint_of_words_finds_planted_ones():
    for planted in ("Your data is safe.", "Are you sure?", "It is 100 % secure", "Invalid input"):
        assert WORDS.search(planted)
    assert not WORDS.search("It is safe to close this page")
    assert ease("Notwithstanding applicable contractual obligations, retention necessitates.") < 0
    assert ease("We keep what you buy for two years. Then we delete it.") > 70
