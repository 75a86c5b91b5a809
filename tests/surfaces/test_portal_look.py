"""The customer's pages in a real browser: no accessibility fault in any language, nothing too wide,
nothing too small to touch, nothing from elsewhere."""

import re

import pytest
from hub_shop import REPORT, listening
from portal_door import enter, shop
from test_pages_look import FAULTS, WIDE, axe, browser

from troth.surfaces.web.server import build_app

__all__ = ["axe", "browser"]
PUBLIC = ["/my/enter", "/notices", "/verify", "/forms", "/nope"]
SMALL = """() => [...document.querySelectorAll('nav a, .button, summary, .pick, select, .plain')]
    .filter(e => e.offsetParent && e.getBoundingClientRect().height < 43.5)
    .map(e => e.outerHTML)"""
UNEVEN = """() => [...document.querySelectorAll('.either')].filter(row => {
    const sizes = [...row.querySelectorAll('.button')].map(b => b.getBoundingClientRect())
    const looks = [...row.querySelectorAll('.button')].map(b => {
        const s = getComputedStyle(b); return s.color + s.backgroundColor + s.fontSize + s.fontWeight })
    return new Set(looks).size > 1 || sizes.some(s => Math.abs(s.height - sizes[0].height) > 1)
}).map(row => row.outerHTML.slice(0, 200))"""
TICKED = """() => [...document.querySelectorAll('form:not(.told) input[type=checkbox]:checked')]
    .map(e => e.outerHTML)"""


@pytest.fixture(scope="module")
def house():
    s = shop()
    app = build_app(s.ws, REPORT, s.folder / "inbox")
    with listening(app) as served:
        yield app, served


def pages(app) -> list[str]:
    """Every page of this side that can be opened without more."""
    found = {
        r.path
        for r in app.routes
        if (r.path == "/my" or r.path.startswith("/my/"))
        and "GET" in (getattr(r, "methods", ()) or ())
        and "{" not in r.path
        and not r.path.endswith((".css", ".json", ".js", ".proof", ".zip", ".html"))
    }
    return sorted(found)


def look(browser, house, axe, screen, language, who="cast-adult") -> list[str]:
    app, address = house
    width, scheme = screen
    client = enter(app, shop().person(who), language=language)
    found: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, locale=language
    )
    host = re.sub(r"^https?://|:\\d+$", "", address).partition(":")[0]
    for name, value in client.cookies.items():
        context.add_cookies([{"name": name, "value": value, "domain": host, "path": "/"}])
    page = context.new_page()
    page.on("request", lambda r: found.append(r.url) if _elsewhere(r.url, address) else None)
    page.on("console", lambda m: found.append(m.text) if "Content Security" in m.text else None)
    for path in [*pages(app), *PUBLIC]:
        answer = page.goto(address + path)
        if not (answer.headers.get("content-type") or "").startswith("text/html"):
            continue
        page.evaluate(axe)
        wrong = [*page.evaluate(FAULTS), *page.evaluate(SMALL), *page.evaluate(UNEVEN)]
        wrong += page.evaluate(TICKED)
        if page.evaluate(WIDE) > 0:
            wrong.append("wider than the screen")
        found += [f"{path} {language} {width} {scheme}: {fault}" for fault in wrong]
    context.close()
    return found


def _elsewhere(url: str, address: str) -> bool:
    return not url.startswith((address, "blob:", "data:"))


@pytest.mark.parametrize(
    ("screen", "language"),
    [
        ((1280, "light"), "en"),
        ((360, "dark"), "en"),
        ((320, "light"), "af"),
        ((320, "dark"), "zu"),
    ],
)
def test_no_page_has_an_accessibility_fault_in_any_language(browser, house, axe, screen, language):
    assert look(browser, house, axe, screen, language) == []


@pytest.mark.soak
@pytest.mark.parametrize("language", ["en", "af", "zu"])
@pytest.mark.parametrize(
    "screen", [(w, s) for w in (320, 640, 768, 1280) for s in ("light", "dark")]
)
def test_every_page_at_every_width_scheme_and_language(browser, house, axe, screen, language):
    assert look(browser, house, axe, screen, language) == []


def test_the_check_itself_finds_a_planted_uneven_choice_and_a_planted_tick(browser, house):
    _, address = house
    page = browser.new_page()
    page.goto(address + "/my/enter")
    page.evaluate(
        """() => document.querySelector('main').insertAdjacentHTML('beforeend',
        '<form class="either"><button class="button main">Yes</button>'
        + '<button class="button">No</button><input type="checkbox" checked></form>')"""
    )
    assert len(page.evaluate(UNEVEN)) == 1
    assert len(page.evaluate(TICKED)) == 1
    page.close()


def test_the_level_is_changed_by_keyboard_alone(browser, house):
    app, address = house
    client = enter(app, shop().person("shop-02"))
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    for name, value in client.cookies.items():
        context.add_cookies([{"name": name, "value": value, "domain": "127.0.0.1", "path": "/"}])
    page = context.new_page()
    page.goto(address + "/my")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"

    def tab_to(wanted: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if wanted in page.evaluate("document.activeElement.outerHTML.slice(0, 400)"):
                ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert ring == "solid", wanted
                return
        raise AssertionError(f"{wanted} is not reached")

    tab_to('href="/my/level"')
    page.keyboard.press("Enter")
    page.wait_for_url("**/my/level")
    tab_to("/my/level?at=1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/my/level?at=1")
    tab_to("Choose level 1")
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    assert "Done." in page.inner_text("main")
    context.close()
