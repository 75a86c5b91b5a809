"""Signing in in a real browser: with its own passkeys, without script, on a small screen."""

import base64
import re
from importlib.resources import files

import pytest
from hub_shop import listening
from playwright.sync_api import sync_playwright
from staff_house import GARETH, LINDIWE, NOKUTHULA, SIPHO, rules, staff_house
from test_pages_look import CHROMIUM, FAULTS, QUIET, SMALL, WIDE

from troth.terms import SECOND


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def h():
    made = staff_house()
    made.settle()
    return made


@pytest.fixture(scope="module")
def address(h):
    with listening(h.app) as served:
        yield served.replace("127.0.0.1", "localhost")


def authenticator(page) -> None:
    """Give the browser an authenticator that agrees to everything."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )


def test_a_passkey_is_made_used_and_added_to_in_a_real_browser(browser, address, h):
    context = browser.new_context()
    page = context.new_page()
    faults = []
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    authenticator(page)
    page.goto(f"{address}/enrol/{h.invited(NOKUTHULA)}")
    page.click("text=Make a passkey")
    page.wait_for_selector("text=Keep these recovery codes")
    assert page.locator(".codes li").count() == 10
    page.click("text=I have kept them")
    assert "Good day, Nokuthula" in page.inner_text("h1")
    context.clear_cookies()
    page.goto(f"{address}/console")
    assert page.url.startswith(f"{address}/signin?next=")
    page.click("text=Sign in with a passkey")
    page.wait_for_url(f"{address}/console")
    assert faults == []
    context.close()


def test_signing_in_with_codes_needs_no_script(browser, address, h):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/enrol/{h.invited(LINDIWE)}")
    assert not page.locator("text=Make a passkey").is_visible()
    page.click("summary")
    secret = page.inner_text("details code").replace(" ", "")
    raw = base64.b32decode(secret)
    page.fill("#f-code", rules.totp(raw, h.clock.now() // (30 * SECOND), 6))
    page.click("button:has-text('Use codes')")
    code = page.locator(".codes li").first.inner_text()
    page.click("text=I have kept them")
    assert "Good day, Lindiwe" in page.inner_text("h1")
    context.clear_cookies()
    page.goto(f"{address}/signin")
    page.fill("#f-id", LINDIWE.id)
    page.fill("#f-code", "000000")
    page.click("button:has-text('Sign in'):visible")
    assert "That did not work" in page.inner_text("main")
    page.fill("#f-id", LINDIWE.id)
    page.fill("#f-code", code)
    page.click("button:has-text('Sign in'):visible")
    assert "You came in with a recovery code" in page.inner_text("main")
    context.close()


def test_the_picture_is_read_back_as_what_it_says(h):
    from troth.surfaces.web.signin import squares

    drawn = squares("otpauth://totp/Marula:a%40b.example?secret=GEZDGNBVGY3TQOJQ&issuer=Marula")
    dark = set(re.findall(r"M(\d+) (\d+)h1v1h-1z", drawn["path"]))
    size, corner = drawn["size"], {(str(x), "4") for x in range(4, 11)}
    assert corner <= dark, "the finder pattern begins after a quiet zone of four"
    assert all(4 <= int(x) < size - 4 and 4 <= int(y) < size - 4 for x, y in dark)
    assert (size - 8 - 17) % 4 == 0


@pytest.mark.parametrize("screen", [(360, "light"), (1280, "dark")])
def test_no_page_of_signing_in_has_an_accessibility_fault_or_overflows(
    browser, address, h, screen
):
    axe = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    width, scheme = screen
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, found = context.new_page(), []
    page.on("request", lambda r: found.append(r.url) if not r.url.startswith(address) else None)
    page.on("console", lambda m: found.append(m.text) if "Content Security" in m.text else None)

    def look(name):
        page.evaluate(axe)
        wrong = [*page.evaluate(FAULTS), *page.evaluate(SMALL)]
        if page.evaluate(WIDE) > 0:
            wrong.append("wider than the screen")
        found.extend(f"{name} {width} {scheme}: {fault}" for fault in wrong)

    authenticator(page)
    for say in ("", "?say=failed", "?say=wait", "?say=out"):
        page.goto(f"{address}/signin{say}")
        look(f"signin{say}")
    page.goto(f"{address}/enrol/{'0' * 32}")
    look("no link")
    page.goto(f"{address}/enrol/{h.invited(GARETH)}")
    look("enrol")
    page.click("text=Make a passkey")
    page.wait_for_selector("text=Keep these recovery codes")
    look("codes")
    h.invited(SIPHO)
    for path in ("/console/me", "/console/staff", "/console"):
        page.goto(address + path)
        look(path)
    foot = page.evaluate("document.querySelector('footer').getBoundingClientRect().bottom")
    assert foot >= 899, "the footer of a short page sits at the bottom of the window"
    context.close()
    assert found == []
