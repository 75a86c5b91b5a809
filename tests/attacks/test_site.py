"""Public writes of the site: forged, replayed, altered, expired, from elsewhere, too many."""

from datetime import timedelta

import marula
import pytest
from cast import bytes_of
from site_shop import ORIGIN, later, opened

from troth.app import site_place


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    found = opened(tmp_path_factory.mktemp("site"))
    yield found
    found.ws.close()


@pytest.fixture(autouse=True)
def unlimited(shop):
    shop.app.state.hub.kept["site.limits"]._counts.clear()


def right(browser, session="ab" * 16, notice="site@1"):
    token, _ = browser.token(session, notice)
    return {"purpose": "site", "given": True, "notice": notice, "session": session, "token": token}


def changed(text, place):
    return text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]


def refused(shop, browser, body, key, status=400, **headers):
    before = shop.size()
    answer = browser.send(body, key, **headers)
    assert answer.status_code == status, answer.text
    assert "set-cookie" not in answer.headers
    assert shop.size() == before
    return answer


@pytest.mark.parametrize("place", [0, 31, 34, -1, -32])
def test_a_token_altered_anywhere_writes_nothing(shop, place):
    browser = shop.browser()
    body = right(browser)
    at = place % len(body["token"])
    refused(shop, browser, {**body, "token": changed(body["token"], at)}, f"altered-{place}")


@pytest.mark.parametrize(
    "token", ["", "x", ".", "..", "é.1.2", "0" * 32 + ".zz." + "0" * 64, "0" * 32 + ".1"]
)
def test_an_invented_token_writes_nothing(shop, token):
    browser = shop.browser()
    refused(shop, browser, {**right(browser), "token": token}, "invented-key")


@pytest.mark.parametrize(
    "change", [{"notice": "personalise@2"}, {"session": "cd" * 16}, {"notice": "site@9"}]
)
def test_a_token_is_worth_nothing_for_another_session_or_notice(shop, change):
    browser = shop.browser()
    refused(shop, browser, {**right(browser), **change}, "bound-elsewhere")


def test_a_token_of_one_browser_is_worth_nothing_in_another(shop):
    mine, theirs = shop.browser(), shop.browser()
    theirs.say()
    refused(shop, theirs, right(mine), "another-browser")


def test_a_token_ends_after_ten_minutes(tmp_path):
    early = opened(tmp_path)
    browser = early.browser()
    body = right(browser)
    late = later(early, marula.NOW + timedelta(minutes=11))
    refused(late, late.browser(), body, "expired-key")
    soon = later(late, marula.NOW + timedelta(minutes=9))
    assert soon.browser().send(body, "in-time-key").status_code == 200
    soon.ws.close()


def test_the_same_write_again_gets_the_first_answer_and_records_nothing(shop):
    browser = shop.browser()
    body = right(browser)
    first = browser.client.post(
        "/api/v1/site/consent", json=body, headers={"idempotency-key": "again-key"}
    )
    before = shop.size()
    lost = browser.client.post(
        "/api/v1/site/consent", json=body,
        headers={"idempotency-key": "again-key", "cookie": "troth_visitor="},
    )  # fmt: skip
    assert lost.json() == first.json()
    assert lost.headers["set-cookie"] == first.headers["set-cookie"]
    assert shop.size() == before


def test_the_same_write_is_remembered_for_a_week_without_its_cookie(tmp_path):
    shop = opened(tmp_path)
    browser = shop.browser()
    body = right(browser)
    browser.send(body, "week-key-1")
    late = later(shop, marula.NOW + timedelta(days=6))
    answer = late.browser().send(body, "week-key-1")
    assert answer.json()["state"] == "given"
    assert "set-cookie" not in answer.headers
    late.ws.close()


def test_an_altered_write_under_the_same_key_is_refused(shop):
    browser = shop.browser()
    body = right(browser)
    browser.send(body, "altered-write")
    for change in ({"given": False}, {"purpose": "personalise"}, {"method": "other"}):
        refused(shop, browser, {**body, **change}, "altered-write", status=409)


def test_a_token_writes_once_whatever_the_key(shop):
    browser = shop.browser()
    body = right(browser)
    browser.send(body, "once-key-1")
    browser.kept = ""
    refused(shop, browser, body, "once-key-2", status=409)


@pytest.mark.parametrize("key", ["", "short", "x" * 129, "né-key-né-key"])
def test_a_write_without_a_proper_key_is_refused(shop, key):
    browser = shop.browser()
    refused(shop, browser, right(browser), key.encode())


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "https://marula.example.evil.example", "http://marula.example",
     "https://marula.example:444", "null", "", ORIGIN.upper() + "/"],
)  # fmt: skip
def test_a_page_of_another_origin_gets_nothing_at_all(shop, origin):
    browser = shop.browser()
    browser.say()
    before = shop.size()
    answers = [
        browser.token("ab" * 16, origin=origin)[1],
        browser.send(right(browser), "elsewhere", origin=origin),
        browser.look_at("1001", origin=origin),
        browser.slot(origin=origin),
    ]
    for answer in answers:
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    assert shop.size() == before


def test_a_request_that_names_no_origin_counts_only_if_the_browser_says_it_is_our_own(shop):
    browser = shop.browser()
    del browser.client.headers["origin"]
    assert browser.slot().status_code == 403
    assert browser.slot(sec_fetch_site="cross-site").status_code == 403
    assert browser.slot(sec_fetch_site="same-origin").status_code == 403  # not registered here


def test_a_preflight_allows_registered_pages_alone(shop):
    client = shop.browser().client
    ours = client.options("/api/v1/site/consent")
    assert ours.headers["access-control-allow-origin"] == ORIGIN
    assert ours.headers["access-control-allow-credentials"] == "true"
    assert "*" not in ours.headers.values()
    other = client.options("/api/v1/site/consent", headers={"origin": "https://evil.example"})
    assert other.status_code == 403


def test_no_read_changes_anything(shop):
    browser = shop.browser()
    before = shop.size()
    for path in ("/collect.js", "/api/v1/site/token?session=" + "ab" * 16, "/api/v1/content/home"):
        for method in ("GET", "HEAD", "OPTIONS"):
            browser.client.request(method, path)
    for path in ("consent", "events", "identify"):
        assert browser.client.get(f"/api/v1/site/{path}").status_code == 405
    assert shop.size() == before


def test_a_network_that_asks_too_often_is_put_off(shop):
    browser = shop.browser()
    most = site_place.rules().limits["writes_per_minute"]
    codes = [browser.token("ab" * 16)[1].status_code for _ in range(most + 2)]
    assert codes.count(429) == 2 or 429 not in codes[:most]
    assert codes[-1] == 429
    assert browser.slot().status_code == 200  # other kinds of request have their own count


def test_no_network_address_is_kept_anywhere(shop):
    limits = shop.app.state.hub.kept["site.limits"]
    shop.browser().token("ab" * 16)
    assert all(isinstance(key, bytes) and len(key) == 8 for key in limits._counts)
    raw = bytes_of(shop.house.folder.rglob("record.db*"))
    assert b"testclient" not in raw


def test_linking_a_visitor_needs_a_key(shop):
    browser = shop.browser()
    browser.say()
    body = {"visitor": browser.kept, "person": "sam"}
    before = shop.size()
    for headers in ({}, {"authorization": "Bearer " + "0" * 48}, {"authorization": "Bearer"}):
        answer = browser.client.post("/api/v1/site/identify", json=body, headers=headers)
        assert answer.status_code == 401
    assert shop.size() == before


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"visitor":1}', b'{"visitor":"x"}', b"\xff", b"[" * 5000]
)
def test_a_malformed_link_is_refused_in_words(shop, raw):
    client = shop.browser().client
    answer = client.post("/api/v1/site/identify", content=raw, headers=shop.key())
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "message", "remedy", "id"}


@pytest.mark.parametrize(
    "cookie", ["", "x", "0" * 32, "f" * 33, "../../etc", "ÿ" * 32, "0" * 5000]
)
def test_an_invented_cookie_is_nobody(shop, cookie):
    browser = shop.browser()
    before = shop.size()
    header = {"cookie": f"troth_visitor={cookie}".encode("latin-1")}
    assert browser.client.get("/api/v1/content/home", headers=header).json()["used"] == []
    body = {"events": [{"kind": "view", "item": "1001"}]}
    assert browser.client.post("/api/v1/site/events", json=body, headers=header).status_code == 204
    assert shop.size() == before


def test_a_banner_cannot_answer_for_any_other_purpose(shop):
    browser = shop.browser()
    for purpose in ("offers", "marketing", "service", "newsletter", "", "*"):
        refused(
            shop, browser, {**right(browser), "purpose": purpose}, f"purpose-{purpose or 1}xxx"
        )


def test_a_script_in_a_value_comes_out_as_text(shop):
    shop.house.newcomer(
        "mallory", {"purpose": "personalise", "channels": "", "notice": "personalise@2",
                    "categories": "identity.name;interests.declared", "level": "2"},
        given_name="<b>x", interests="<script>alert(1)</script>",
    )  # fmt: skip
    browser = shop.browser()
    browser.say()
    browser.say("recognise")
    assert shop.identify(browser, "mallory")["linked"]
    text = browser.slot(accept="text/html").text
    assert "<script" not in text
    assert "<b>" not in text
