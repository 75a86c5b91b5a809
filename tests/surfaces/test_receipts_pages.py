"""Receipts in the customer's own browser: all at once, without a network, and a ledger that cheats."""

import json
import re
from pathlib import Path

import pytest
from hub_shop import REPORT, listening
from portal_door import enter, shop
from verify_pages import browser

from troth.kernel import ledger, proof
from troth.surfaces.web.server import build_app

READY = "[data-ready]"


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def app():
    made = shop()
    return build_app(made.ws, REPORT, made.folder / "inbox")


@pytest.fixture(scope="module")
def address(app):
    with listening(app) as served:
        yield served


@pytest.fixture
def client(app):
    with enter(app, shop().person("shop-25")) as found:
        yield found


@pytest.fixture
def tab(chromium, address, client):
    """A browser in which shop-25 is in; asks nobody but the shop."""
    context = chromium.new_context()
    cookies = {name: value.strip('"') for name, value in client.cookies.items()}
    context.add_cookies([{"name": n, "value": v, "url": address} for n, v in cookies.items()])
    page = context.new_page()
    asked = []
    page.on("request", lambda r: asked.append(r.url))
    page.on("pageerror", lambda fault: asked.append(f"fault: {fault}"))
    page.on("console", lambda m: asked.append(m.text) if "Content Security" in m.text else None)
    yield page
    assert all(url.startswith((address, "blob:", "file:")) for url in asked)
    context.close()


def check(page, text):
    """Paste a text and press the button; returns the verdict's code and words."""
    page.evaluate("() => { document.querySelector('[data-verdict]').dataset.verdict = ''; }")
    page.fill("textarea", text)
    page.click("form[data-one] button")
    page.wait_for_selector("[data-verdict]:not([data-verdict=''])", timeout=5_000)
    place = page.locator("div[data-verdict]")
    return place.get_attribute("data-verdict"), place.inner_text()


def test_all_receipts_of_a_person_are_checked_in_the_browser(tab, address, client):
    tab.goto(f"{address}/my/receipts")
    tab.wait_for_selector(READY, state="attached")
    tab.click("[data-all]")
    tab.wait_for_selector("[data-verdict='all-one']", timeout=10_000)
    assert "none is missing" in tab.inner_text("div[data-verdict]")
    said = tab.locator("[data-receipt] .badge").all_inner_texts()
    assert len(said) == tab.locator("[data-receipt]").count() > 8
    assert set(said) == {"✓ holds"}
    tab.reload()
    tab.wait_for_selector("[data-last]:not([hidden])")


def changed(route, change):
    """Answer a request for all receipts with something changed on the way."""
    answer = route.fetch()
    told = answer.json()
    change(told["receipts"])
    route.fulfill(response=answer, body=json.dumps(told))


@pytest.mark.parametrize(
    ("change", "verdict", "badges"),
    [
        (lambda all_of: all_of.pop(4), "all-gap", {"✓ holds"}),
        (lambda all_of: all_of.__setitem__(4, all_of[3]), "all-gap", {"✓ holds"}),
        (
            lambda all_of: all_of[4].__setitem__(1, all_of[4][1].replace("index ", "index 1")),
            "altered", {"✓ holds", "✕ does not hold"},
        ),
    ],
)  # fmt: skip
def test_a_receipt_left_out_doubled_or_altered_among_many_is_noticed(
    tab, address, client, change, verdict, badges
):
    tab.route("**/all.json*", lambda route: changed(route, change))
    tab.goto(f"{address}/my/receipts")
    tab.wait_for_selector(READY, state="attached")
    tab.click("[data-all]")
    tab.wait_for_selector(f"[data-verdict='{verdict}']", timeout=10_000)
    shown = {text for text in tab.locator("[data-receipt] .badge").all_inner_texts() if text}
    assert shown == badges
    assert tab.locator(".note-good").count() == 0
    assert tab.locator("[data-last]").is_hidden()


def test_a_check_that_loses_its_connection_says_so_and_is_not_green(tab, address, client):
    tab.goto(f"{address}/my/receipts")
    tab.wait_for_selector(READY, state="attached")
    tab.route("**/all.json*", lambda route: route.abort())
    tab.click("[data-all]")
    tab.wait_for_selector("[data-verdict='all-unreachable']", timeout=5_000)
    assert tab.locator(".note-good").count() == 0


def test_a_receipt_is_checked_with_the_network_cut(tab, address, client):
    text = client.get("/my/receipts/5").text
    tab.goto(f"{address}/verify")
    tab.wait_for_selector(READY, state="attached")
    tab.context.set_offline(True)
    code, said = check(tab, text)
    assert code == "one"
    assert "Number in the person's own record" in said
    code, said = check(tab, text.replace("index ", "index 1"))
    assert (code, "What it proves" in said) == ("altered", False)


def test_an_older_receipt_without_a_network_is_no_full_yes_until_the_ledger_answers(
    tab, address, client
):
    old = client.get("/my/receipts/5").text
    shop().ws.desk.record(shop().person("shop-26"), [_noise()], _system())
    shop().ws.sign()
    tab.goto(f"{address}/verify")
    tab.wait_for_selector(READY, state="attached")
    tab.context.set_offline(True)
    code, said = check(tab, old)
    assert code == "later"
    assert tab.locator(".note-good").count() == 0
    assert "not complete" in said
    tab.context.set_offline(False)
    assert check(tab, old)[0] == "one"
    tab.context.set_offline(True)
    assert check(tab, old)[0] == "one"


def _noise():
    from troth.kernel import events

    return events.NoticeServed("offers@3", "story", "en")


def _system():
    from troth.kernel.desk import SYSTEM

    return SYSTEM


def rival(ws):
    """A receipt the log's own key signed over another history of the same size."""
    with ws.store.look() as view:
        size = proof.parse_checkpoint(proof.parse_note(view.note())[0]).size
    entries = [b"\x00" + bytes([i % 251] * 32) for i in range(size)]
    c = proof.commitment(b"\xaa" * 32, b'{"type":"pad"}')
    entries[7] = proof.private_entry(c)
    edge, tiles = ledger.Edge(0, []), {}
    for tile in edge.extend(ledger.leaf_hashes(entries)):
        tiles[tile.level, tile.number] = tile.hashes
    checkpoint = proof.Checkpoint(ws.signer.origin, size, edge.root())
    note = ledger.sign_checkpoint(checkpoint, [ws.signer.seed])
    return ledger.receipt(
        proof.event_extra(b"\xaa" * 32, b'{"type":"pad"}'), 7, note, lambda *at: tiles[at]
    )


def test_two_histories_signed_by_the_same_key_are_shown_in_red_and_kept_as_evidence(
    tab, address, client
):
    tab.goto(f"{address}/verify")
    tab.wait_for_selector(READY, state="attached")
    other = rival(shop().ws)
    proof.verify_receipt(other, shop().ws.signer.policy)  # by itself it holds
    code, said = check(tab, other)
    assert code == "histories"
    assert "two histories" in said
    with tab.expect_download() as download:
        tab.click("a[download='two-histories.txt']")
    kept = Path(download.value.path()).read_text()
    assert kept.count("— marula.example/ledger ") == 2
    assert check(tab, client.get("/my/receipts/5").text)[0] == "histories"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda text: text.replace("marula.example/", "maru1a.example/"), "foreign", "another"),
        (lambda text: text[: text.index("\n— ") + 1], "unsigned", "Not signed yet"),
        (lambda text: text[:-1], "altered", "Altered"),
        (lambda text: re.sub(r"extra A", "extra B", text), "altered", "Altered"),
        (lambda text: "hello", "altered", "Altered"),
        (lambda text: "<b>hello</b>", "altered", "Altered"),
    ],
)
def test_each_thing_that_can_be_wrong_is_said_in_plain_words(
    tab, address, client, change, code, words
):
    tab.goto(f"{address}/verify")
    tab.wait_for_selector(READY, state="attached")
    found, said = check(tab, change(client.get("/my/receipts/2").text))
    assert (found, words in said) == (code, True)
    assert tab.locator(".note-good").count() == 0
    assert "What it proves" not in said


def test_the_file_for_a_disk_checks_without_any_network_and_knows_its_ledger(
    tab, address, client, tmp_path
):
    answer = client.get("/verify/receipt-check.html")
    assert "attachment" in answer.headers["content-disposition"]
    file = tmp_path / "receipt-check.html"
    file.write_text(answer.text, encoding="utf-8")
    text = client.get("/my/receipts/2").text
    fresh = client.get("/verify/receipt-check.html").text
    file.write_text(fresh, encoding="utf-8")
    tab.context.set_offline(True)
    tab.goto(file.as_uri())
    tab.wait_for_selector(READY, state="attached")
    assert check(tab, text)[0] == "one"
    assert check(tab, text.replace("index ", "index 2"))[0] == "altered"
    assert check(tab, rival(shop().ws))[0] == "histories"
    assert 20_000 < len(fresh) < 60_000


def test_a_browser_that_lacks_the_signature_says_that_nothing_was_checked(tab, address, client):
    tab.add_init_script("SubtleCrypto.prototype.importKey = async () => { throw new Error(); }")
    tab.goto(f"{address}/verify")
    tab.wait_for_selector(READY, state="attached")
    code, said = check(tab, client.get("/my/receipts/2").text)
    assert code == "unable"
    assert "nothing was checked" in said
    assert tab.locator(".note-good").count() == 0


def test_receipts_are_of_the_person_who_is_in_and_reading_them_is_recorded(client):
    before = len(shop().chain("shop-25"))
    assert client.get("/my/receipts").status_code == 200
    assert client.get("/my/receipts").status_code == 200
    client.get("/my/receipts/1")
    said = [each.event.type for each in shop().chain("shop-25")[before:]]
    assert said == ["data.read"]
    assert client.get("/my/receipts/9999").status_code == 404
    for wrong in ("0", "-1", "1-1", "01", "1e3", "x", "1-", "１"):
        assert client.get(f"/my/receipts/{wrong}").status_code == 404, wrong
    named = client.get("/my/receipts/1.proof")
    assert named.text == client.get("/my/receipts/1").text
    proof.verify_receipt(named.text, shop().ws.signer.policy)


def test_somebody_who_is_not_in_gets_no_receipt_and_no_list(app):
    from starlette.testclient import TestClient

    stranger = TestClient(app, base_url="http://127.0.0.1:8400", follow_redirects=False)
    for path in ("/my/receipts", "/my/receipts/1", "/my/receipts/all.json", "/my/uses"):
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/my/enter")
    assert stranger.get("/verify").status_code == 200
