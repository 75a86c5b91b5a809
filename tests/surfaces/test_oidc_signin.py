"""Staff sign in by a real identity provider: there, back, once, and out again."""

import functools
import shutil

import pytest
import real_provider
from hub_shop import listening
from oidc_house import BOTH, acts, alarms, oidc_house
from playwright.sync_api import sync_playwright
from staff_house import GARETH, HOME, LINDIWE, hidden, say_of

from troth.adapters.system import SystemClock
from troth.app import oidc
from troth.capabilities import access
from troth.surfaces.web.acting import COOKIE
from troth.surfaces.web.oidc import ERRAND


@functools.cache
def provider():
    real_provider.PEOPLE["sub-both"] = {"email": BOTH, "email_verified": True}
    return real_provider.start(HOME)


@functools.cache
def beside():
    return oidc_house(provider().issuer, more='claim = "email"\ntitle = "Marula account"')


@pytest.fixture
def h():
    made = beside()
    made.clock.set(SystemClock().now())  # the provider's clock is the machine's
    return made


def go(h, person: str, client=None, **query):
    """The whole way of a browser: to the provider, through it, back; and the last answer."""
    client = client or h.browser()
    start = client.get("/signin/oidc", params=query)
    assert start.status_code == 303, start.text
    there = real_provider.Person(provider().issuer, person)
    back = there.go(start.headers["location"])
    assert back.startswith(f"{HOME}/signin/oidc/back?"), back
    return client, client.get(back.removeprefix(HOME)), there


def test_a_colleague_signs_in_by_the_provider_and_lands_where_they_wanted(h):
    client, answer, _ = go(h, "sub-lindiwe", next="/console/me")
    assert answer.status_code == 200
    assert 'content="0;url=/console/me"' in answer.text
    assert client.get("/console/me").status_code == 200
    assert client.cookies.get(COOKIE)
    assert acts(h)[-1] == "signed_in"
    assert h.acts()[-1] == ("signed_in", "marketer", "oidc")


def test_the_first_sign_in_opens_the_account_and_says_so_in_the_chain(h):
    before = len(h.acts())
    go(h, "sub-gareth")
    assert acts(h)[before:] in (["enrolled", "signed_in"], ["signed_in"])
    member = next(m for m in access.members(h.office) if m.actor == GARETH)
    assert (member.state, member.ways) == ("active", ("oidc",))


def test_somebody_else_under_the_same_address_is_refused_and_raises_an_alarm(h):
    go(h, "sub-lindiwe")
    before = len(alarms(h))
    client, answer, _ = go(h, "sub-thief")
    assert say_of(answer) == "unproved"
    assert client.get("/console").status_code == 303
    assert alarms(h)[before:] == ["signin.taken"]


def test_whoever_the_house_does_not_list_gets_the_answer_of_every_failure(h):
    _, stranger, _ = go(h, "sub-stranger")
    _, unproved, _ = go(h, "sub-unproved")
    assert stranger.headers["location"] == unproved.headers["location"]
    assert say_of(stranger) == "unproved"
    assert acts(h)[-2:] == ["refused", "refused"]


def test_a_suspended_colleague_is_refused_whatever_the_provider_says(h):
    go(h, "sub-gareth")
    access.suspend(h.office, GARETH, LINDIWE)
    _, answer, _ = go(h, "sub-gareth")
    assert say_of(answer) == "unproved"
    access.restore(h.office, GARETH, LINDIWE)
    client, _, _ = go(h, "sub-gareth")
    assert client.get("/console").status_code == 200


def test_who_is_listed_twice_chooses_as_whom(h):
    client, answer, there = go(h, "sub-both")
    assert "As whom today?" in answer.text
    assert client.get("/console").status_code == 303
    start = client.get("/signin/oidc", params={"as": "support"})
    back = there.go(start.headers["location"])
    assert client.get(back.removeprefix(HOME)).status_code == 200
    assert h.acts()[-1] == ("signed_in", "support", "oidc")
    _, wrong, _ = go(h, "sub-both", **{"as": "it"})
    assert say_of(wrong) == "unproved"


def test_changing_ones_ways_asks_the_provider_for_a_new_proof(h):
    client, _, there = go(h, "sub-gareth")
    text = client.get("/console/me").text
    asked = client.post("/console/me/codes", data={"form": hidden(text, "form")})
    assert say_of(asked) == "again"
    page = client.get(asked.headers["location"]).text
    assert "again=1" in page
    start = client.get("/signin/oidc", params={"next": "/console/me", "again": "1"})
    assert "prompt=login" in start.headers["location"]
    back = there.go(start.headers["location"])
    assert client.get(back.removeprefix(HOME)).status_code == 200
    text = client.get("/console/me").text
    done = client.post("/console/me/codes", data={"form": hidden(text, "form")})
    assert done.status_code == 200
    assert "recovery" in done.text


def test_the_sign_in_page_offers_the_provider_by_its_name(h):
    text = h.browser().get("/signin", params={"next": "/console/me"}).text
    assert "Sign in with Marula account" in text
    assert 'href="/signin/oidc?next=/console/me"' in text
    assert "With a code" in text


def test_the_cookie_of_the_errand_comes_back_from_a_page_elsewhere_and_lies_nowhere_else(h):
    set_to = h.browser().get("/signin/oidc").headers["set-cookie"]
    assert set_to.startswith(f"{ERRAND}=")
    for part in ("httponly", "samesite=lax", "path=/signin/oidc", "max-age=600"):
        assert part in set_to.lower(), part


def test_signing_out_leads_to_the_providers_own_page_too(h):
    answer = h.browser().get("/signin/oidc/out")
    assert answer.headers["location"].startswith(
        f"{provider().issuer}/session/end?client_id=troth"
    )
    assert "/signin/oidc/out" in h.browser().get("/signin?say=out").text


def test_with_the_provider_alone_only_spare_codes_of_it_open_anything():
    only = oidc_house(provider().issuer, more='claim = "email"\nmode = "only"')
    page = only.browser().get("/signin").text
    assert "Sign in with a passkey" not in page
    client, _, there = go(only, "sub-gareth")
    start = client.get("/signin/oidc", params={"next": "/console/me", "again": "1"})
    client.get(there.go(start.headers["location"]).removeprefix(HOME))
    codes = access.new_codes(only.office, GARETH)
    assert say_of(only.sign_in(only.browser(), GARETH.id, "000000")) == "failed"
    rescued = only.browser()
    assert only.sign_in(rescued, GARETH.id, codes[0]).headers["location"].startswith("/console")
    assert rescued.get("/console").status_code == 200
    go(only, "sub-lindiwe")
    spare = access.new_codes(only.office, LINDIWE)
    assert say_of(only.sign_in(only.browser(), LINDIWE.id, spare[0])) == "failed"
    states = {check.id: check.state for check in oidc.checks(only.ws)}
    assert states == {
        "signin.https": "bad",
        "signin.secret": "good",
        "signin.only": "good",
        "signin.strength": "off",
    }
    secret = only.folder / "keys" / "oidc-client"
    assert secret.stat().st_mode & 0o777 == 0o600
    secret.chmod(0o640)
    assert {c.id: c.state for c in oidc.checks(only.ws)}["signin.secret"] == "bad"
    _, answer = client, client.get("/signin/oidc")
    assert answer.status_code == 303


# In a browser, over real connections: what cookies and policies do between two sites


@functools.cache
def abroad():
    """A house and a provider that know each other's real addresses."""
    port = real_provider.free_port()
    return oidc_house(f"http://127.0.0.1:{port}", more='claim = "email"'), port


def test_in_a_browser_one_click_leads_there_and_back_and_the_providers_sign_out_ends_it_here():
    h, port = abroad()
    h.clock.set(SystemClock().now())
    with listening(h.app) as address, sync_playwright() as tool:
        home = address.replace("127.0.0.1", "localhost")
        served = real_provider.start(home, port=port, farewell=f"{address}/signin/oidc/logout")
        browser = tool.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_default_timeout(15_000)
        errors = []
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(f"{home}/console/me")
        page.click("text=Sign in with your company account")
        page.fill('input[name="login"]', "sub-gareth")
        page.fill('input[name="password"]', "any")
        page.click("button[type=submit]")
        page.click("button[type=submit]")
        page.wait_for_url(f"{home}/console/me")
        assert "gareth" in page.content().lower()
        assert [e for e in errors if "Content Security" in e] == []
        page.goto(f"{home}/signin/oidc/out")
        page.click("button[value=yes]")
        page.wait_for_url(f"{home}/signin*")
        for _ in range(50):
            if "signed_out" in acts(h):
                break
            page.wait_for_timeout(100)
        assert h.acts()[-1] == ("signed_out", "it", "oidc")
        page.goto(f"{home}/console/me")
        assert "/signin?next=" in page.url
        browser.close()
        served.stop()
