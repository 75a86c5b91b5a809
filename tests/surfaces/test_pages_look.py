"""The pages in a real browser: no accessibility fault, no overflow, no script, nothing from elsewhere."""

from importlib.resources import files
from pathlib import Path

import pytest
from hub_shop import REPORT, listening, shop
from playwright.sync_api import sync_playwright

from troth.surfaces.web.server import build_app

CHROMIUM = "/usr/bin/chromium"
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--no-first-run", "--disable-component-update", "--disable-default-apps",
]  # fmt: skip
PAGES = [
    "/", "/levels", "/levels?level=0", "/levels?level=5", "/inbox", "/inbox/1", "/refused",
    "/ledger", "/receipt", "/api", "/nope", "/stop/{token}", "/stop/ffffffffffffffffffff",
]  # fmt: skip
FAULTS = """async () => (await axe.run(document, {iframes: false})).violations
    .map(v => v.id + ': ' + v.nodes[0].html)"""
SMALL = """() => [...document.querySelectorAll('nav a, .button, summary, .open a')]
    .filter(e => e.offsetParent && e.getBoundingClientRect().height < 43.5)
    .map(e => e.outerHTML)"""
WIDE = "() => document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address():
    s = shop()
    with listening(build_app(s.ws, REPORT, s.folder / "inbox")) as served:
        yield served


@pytest.fixture(scope="module")
def axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def look(browser, address, axe, screen, keep: Path | None = None) -> list[str]:
    """Visit every page once and return what is wrong with any of them."""
    width, scheme = screen
    _, token = shop().mail_of("shop-25")
    found: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=True
    )
    page = context.new_page()
    page.on("request", lambda r: found.append(r.url) if not r.url.startswith(address) else None)
    page.on("console", lambda m: found.append(m.text) if "Content Security" in m.text else None)
    for path in PAGES:
        page.goto(address + path.format(token=token))
        page.evaluate(axe)
        wrong = [*page.evaluate(FAULTS), *page.evaluate(SMALL)]
        if page.evaluate(WIDE) > 0:
            wrong.append("wider than the screen")
        found += [f"{path} {width} {scheme}: {fault}" for fault in wrong]
        if keep is not None:
            name = path.strip("/").replace("/", "-").replace("?", "-").format(token="token")
            page.screenshot(path=keep / f"{name or 'hub'}-{width}-{scheme}.png", full_page=True)
    context.close()
    return found


@pytest.mark.parametrize("screen", [(360, "light"), (1280, "dark")])
def test_no_page_has_an_accessibility_fault_or_overflows(browser, address, axe, screen):
    assert look(browser, address, axe, screen) == []


@pytest.mark.soak
@pytest.mark.parametrize(
    "screen", [(w, s) for w in (320, 360, 768, 1280) for s in ("light", "dark")]
)
def test_every_page_at_every_width_and_scheme(browser, address, axe, screen, tmp_path):
    assert look(browser, address, axe, screen, tmp_path) == []
    assert len(list(tmp_path.glob("*.png"))) == len(PAGES)


def test_the_check_itself_finds_a_planted_fault(browser, address, axe):
    page = browser.new_page()
    page.goto(address)
    page.evaluate("() => document.querySelector('h1').insertAdjacentHTML('afterend', '<img>')")
    page.evaluate(axe)
    assert any(fault.startswith("image-alt") for fault in page.evaluate(FAULTS))
    page.close()


def test_every_journey_works_without_javascript(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    number, token = shop().mail_of("shop-26")
    page.goto(f"{address}/inbox/{number}")
    page.click("text=Stop these mails")
    assert page.url == f"{address}/stop/{token}"
    page.click("button")
    assert "Done." in page.inner_text("h1")
    receipt = page.inner_text("pre")
    page.click("text=check it")
    page.fill("#text", receipt)
    page.click("button")
    assert "Verified" in page.inner_text(".verdict")
    context.close()


def test_the_hub_is_walked_by_keyboard_alone(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.wait_for_url("**/#main")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('href')"))
    assert {"/levels", "/inbox", "/refused", "/ledger", "/receipt", "/api"} <= reached
    page.close()


def test_a_script_planted_in_a_mail_does_not_run(browser, address):
    s = shop()
    planted = s.folder / "inbox" / "000950.eml"
    planted.write_bytes(
        b"From: x@y.example\r\nSubject: planted\r\nContent-Type: text/html\r\n\r\n"
        b"<p id=p>quiet</p><script>document.title='ran'</script>"
        b"<img src=/nope onerror=\"document.title='ran'\">"
    )
    try:
        page = browser.new_page()
        answered: list[str] = []
        page.on("response", lambda r: answered.append(r.url))
        page.goto(f"{address}/inbox/950/html")
        assert page.inner_text("#p") == "quiet"
        assert page.title() != "ran"
        assert len(answered) == 1
        page.close()
    finally:
        planted.unlink()
