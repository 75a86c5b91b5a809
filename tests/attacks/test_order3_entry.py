"""Ways into somebody else's pages, tried: guessing, reusing, scanning, forging, listening in."""

import re
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import marula
import pytest
from starlette.requests import Request

sys.path.insert(0, str(Path(__file__).parents[1] / "surfaces"))

import entry_house

from troth.app import entry as wired
from troth.capabilities import merging, people
from troth.capabilities.people import entry
from troth.errors import InvalidInput
from troth.kernel import events
from troth.surfaces.portal import entry as pages

KNOWN, UNKNOWN = "probe@post.example", "nobod@post.example"


@pytest.fixture
def house(tmp_path):
    opened = entry_house.EntryHouse(tmp_path / "house")
    opened.newcomer("probe", {})
    yield opened
    opened.ws.close()


def shape(answer):
    told = {k: v for k, v in answer.headers.items() if k not in {"set-cookie", "date"}}
    return answer.status_code, told, answer.content


def growth(house, do):
    """What a step wrote: rows changed per table, as long as they are, and ledger entries.

    A count of asks grows with each ask of the network, whatever it asked for: its length is left out.
    """
    before, size = house.own_rows(), house.size()
    do()
    after = house.own_rows()
    changed = [
        (table, len(key), 0 if table == entry.RATES else len(value))
        for (table, key), value in after.items()
        if before.get((table, key)) != value
    ]
    return Counter(changed), house.size() - size


def test_a_known_and_an_unknown_address_get_the_same_bytes_and_the_same_writes(house):
    seen = []
    for address in (KNOWN, UNKNOWN):
        browser, answers = house.browser(), []
        wrote = growth(house, lambda b=browser, a=address, o=answers: o.append(house.ask(b, a)))
        text = re.sub(r'name="form" value="[^"]+"', "", browser.get("/my/code").text)
        tries = growth(house, lambda b=browser: guess(house, b, "123456"))
        seen.append((shape(answers[0]), text, wrote, tries))
    assert seen[0] == seen[1]
    assert sum(seen[0][2][0].values()) >= 3


def guess(house, browser, code):
    form = {"form": house.token(browser, "/my/code"), "code": code}
    return browser.post("/my/code", data=form)


def test_asking_costs_the_same_steps_whether_or_not_the_address_is_known(house):
    def steps(address, browser):
        count = Counter()

        def note(_frame, kind, _what):
            count[kind] += 1

        sys.setprofile(note)
        try:
            wired.ask(house.ws, address, "192.0.2.1", browser)
        finally:
            sys.setprofile(None)
        return count

    steps(KNOWN, "0" * 64)  # what is kept after the first call
    known, unknown = steps(KNOWN, "a" * 64), steps("other@post.example", "b" * 64)
    again = steps(KNOWN, "c" * 64)
    spread = abs(known["call"] - again["call"])
    assert abs(known["call"] - unknown["call"]) <= max(spread, 12)
    assert abs(known["c_call"] - unknown["c_call"]) <= 60


def test_nothing_is_sent_to_an_address_nobody_has(house):
    house.ask(house.browser(), UNKNOWN)
    house.post_round()
    assert house.delivered() == {}
    assert not [t for t, _ in house.own_rows() if t == entry.QUEUE]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_scanner_that_follows_the_link_changes_nothing(house, method):
    browser = house.browser()
    link, _ = house.sent(browser, KNOWN)
    scanner, before, size = house.browser(), house.own_rows(), house.size()
    for _ in range(5):
        assert scanner.request(method, link).status_code == 200
        assert "troth_my" not in scanner.cookies
    assert (house.own_rows(), house.size()) == (before, size)
    assert (
        browser.post(link, data={"form": house.token(browser, link)}).headers["location"] == "/my"
    )


def test_a_link_lets_in_once(house):
    browser = house.browser()
    link, code = house.sent(browser, KNOWN)
    form = {"form": house.token(browser, link)}
    assert browser.post(link, data=form).headers["location"] == "/my"
    other = house.browser()
    again = other.post(link, data={"form": house.token(other)})
    assert again.status_code == 404
    assert "troth_my" not in other.cookies
    late = house.browser()
    late.cookies.update({"troth_ask": browser.cookies.get("troth_ask") or "0" * 64})
    assert guess(house, late, code).headers["location"] == "/my/code?say=code"


def test_a_code_ends_its_link(house):
    browser = house.browser()
    link, code = house.sent(browser, KNOWN)
    assert guess(house, browser, code).headers["location"] == "/my"
    assert house.browser().get(link).status_code == 404


def test_a_code_works_in_the_browser_that_asked_and_nowhere_else(house):
    browser, thief = house.browser(), house.browser()
    _, code = house.sent(browser, KNOWN)
    assert guess(house, thief, code).headers["location"] == "/my/code?say=code"
    house.ask(thief, UNKNOWN)
    assert guess(house, thief, code).headers["location"] == "/my/code?say=code"
    assert "troth_my" not in thief.cookies
    assert guess(house, browser, code).headers["location"] == "/my"


def test_five_wrong_codes_kill_the_right_one(house):
    browser = house.browser()
    _, code = house.sent(browser, KNOWN)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(5):
        assert guess(house, browser, wrong).headers["location"] == "/my/code?say=code"
    assert guess(house, browser, code).headers["location"] == "/my/code?say=code"


def test_an_expired_link_and_code_let_nobody_in(house):
    browser = house.browser()
    link, code = house.sent(browser, KNOWN)
    house.later(marula.NOW + timedelta(minutes=16))
    fresh = house.browser()
    assert fresh.get(link).status_code == 404
    assert fresh.post(link, data={"form": house.token(fresh)}).status_code == 404
    assert entry.enter_by_code(house.desk, browser.cookies["troth_ask"], code) is None


@pytest.mark.parametrize("token", ["x" * 32, "short", "x" * 500, "%00" * 8, "a2" * 16])
def test_an_unknown_and_a_malformed_link_get_the_answer_of_a_used_one(house, token):
    browser = house.browser()
    link, _ = house.sent(browser, KNOWN)
    browser.post(link, data={"form": house.token(browser, link)})
    stranger = house.browser()
    stranger.get("/my/enter")
    strip = r'name="(form|back)" value="[^"]+"'
    used = re.sub(strip, "", stranger.get(link).text)
    answer = stranger.get(f"/my/in/{token}")
    assert answer.status_code == 404
    assert re.sub(strip, "", answer.text) == used


def test_a_form_from_elsewhere_lets_nobody_in_as_somebody_else(house):
    attacker, victim = house.browser(), house.browser()
    link, _ = house.sent(attacker, KNOWN)
    theirs = house.token(attacker, link)
    victim.get("/my/enter")
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        answer = victim.post(link, data={"form": theirs}, headers=headers)
        assert answer.status_code == 403
    forged = victim.post(link, data={"form": theirs})
    assert forged.headers["location"].endswith("?say=old")
    assert "troth_my" not in victim.cookies
    sent = victim.post("/my/enter", data={"form": theirs, "address": KNOWN})
    assert sent.headers["location"] == "/my/enter?say=old"


def test_a_session_given_beforehand_is_worth_nothing_after_coming_in(house):
    browser = house.browser()
    browser.cookies.set("troth_my", "0" * 48)
    assert house.come_in(browser, KNOWN).headers["location"] == "/my"
    tokens = {c.value for c in browser.cookies.jar if c.name == "troth_my"}
    planted = house.browser()
    planted.cookies.set("troth_my", "0" * 48)
    assert planted.get("/my/as").headers["location"] == "/my/enter"
    assert tokens - {"0" * 48}


def test_coming_in_as_somebody_else_ends_what_the_browser_held(house):
    house.newcomer("second", {"idempotency_key": "s"})
    browser = house.browser()
    house.come_in(browser, KNOWN)
    first = browser.cookies["troth_my"]
    link, _ = house.sent(house.browser(), "second@post.example")
    browser.post(link, data={"form": house.token(browser, link)})
    old = house.browser()
    old.cookies.set("troth_my", first)
    assert old.get("/my/as").headers["location"] == "/my/enter"


def test_no_token_code_or_address_is_in_a_log_or_leaves_by_referrer(house, capsys):
    browser = house.browser()
    link, code = house.sent(browser, KNOWN)
    pages = [browser.get(link), browser.get("/my/code"), browser.get(link + "x")]
    browser.post(link, data={"form": "wrong"}, headers={"sec-fetch-site": "cross-site"})
    browser.post(link, content=b"\\xff", headers={"content-type": "text/plain"})
    written = capsys.readouterr()
    for secret in (link.rsplit("/", 1)[1], code, KNOWN):
        assert secret not in written.err + written.out
    assert '"status": 403' in written.err
    for page in pages:
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert KNOWN not in page.text


def test_the_record_holds_neither_token_nor_code_nor_the_address_asked_for(house):
    browser = house.browser()
    link, _ = house.sent(browser, KNOWN)
    house.ask(house.browser(), UNKNOWN)
    token = link.rsplit("/", 1)[1]
    whole = b"".join(p.read_bytes() for p in house.ws.settings.record.parent.glob("record.db*"))
    for secret in (token, KNOWN, UNKNOWN, browser.cookies["troth_ask"]):
        assert secret.encode() not in whole


def test_a_shared_mailbox_opens_nobodys_data(house):
    one = house.newcomer("pair-a", {"idempotency_key": "pa"}, email="pair@post.example")
    two = house.newcomer("pair-b", {"idempotency_key": "pb"}, email="pair@post.example")
    browser = house.browser()
    link, code = house.sent(browser, "pair@post.example")
    assert house.delivered() == {"pair@post.example": 1}
    for answer in (guess(house, browser, code), post_link(house, browser, link)):
        assert answer.status_code == 200
        assert "Several people use this address" in answer.text
    assert "troth_my" not in browser.cookies
    assert not [e for who in (one, two) for e in house.chain(who) if e.type == "visit.began"]
    assert not [e for who in (one, two) for e in house.chain(who) if e.type == "data.read"]


def post_link(house, browser, link):
    return browser.post(link, data={"form": house.token(browser, link)})


def test_a_shared_mailbox_may_stop_its_advertising_and_nothing_else(house):
    pair = [
        house.newcomer(f"pair-{n}", {"idempotency_key": n}, email="pair@post.example")
        for n in "ab"
    ]
    assert all(house.codes(each) == [] for each in pair)
    browser = house.browser()
    link, _ = house.sent(browser, "pair@post.example")
    form = {"form": house.token(browser, link)}
    assert browser.post(f"{link}/stop", data=form).status_code == 404  # not before it is pressed
    browser.post(link, data=form)
    assert "has stopped" in browser.post(f"{link}/stop", data=form).text
    assert all("suppressed_unsubscribe" in house.codes(each) for each in pair)
    assert browser.post(link, data=form).status_code == 404
    _, code = house.sent(house.browser(), "pair@post.example")  # service mail still arrives
    assert code


def test_somebody_who_shares_a_mailbox_comes_in_by_a_number_of_their_own(house):
    house.newcomer("pair-a", {"idempotency_key": "pa"}, email="pair@post.example")
    own = house.newcomer(
        "pair-b", {"idempotency_key": "pb"}, email="pair@post.example", phone="+27825550101"
    )
    point = house.desk.contact("sms", "+27825550101", 1)
    with house.ws.store.look() as view:
        assert entry.holders(house.desk, view, "sms", point.bi) == [own]


def test_an_erased_person_is_as_unknown_as_anybody(house):
    person = house.person("probe")
    link, code = house.sent(browser := house.browser(), KNOWN)
    house.ws.erase(person, "gone")
    assert house.browser().get(link).status_code == 404
    assert guess(house, browser, code).headers["location"] == "/my/code?say=code"
    before = len(house.mails())
    house.ask(house.browser(), KNOWN)
    house.post_round()
    assert len(house.mails()) == before


def test_an_address_of_an_id_merged_away_leads_to_the_one_who_stayed(house):
    kept, gone = house.person("probe"), house.newcomer("old", {"idempotency_key": "o"})
    merging.merge(house.desk, kept, gone, "one person", marula.OFFICER)
    house.ask(house.browser(), "old@post.example")
    house.post_round()
    assert house.delivered() == {KNOWN: 1}
    browser = house.browser()
    link = re.search(r"/my/in/\w+", house.letters(KNOWN)[-1])[0]
    assert post_link(house, browser, link).headers["location"] == "/my"
    assert house.chain(kept)[-1].type == "visit.began"
    assert house.chain(gone)[-1].type != "visit.began"


def test_a_proxy_of_this_machine_says_for_whom_it_asks_and_nobody_else_does(house):
    def seen(host, told):
        scope = {"type": "http", "client": (host, 1), "headers": [(b"x-forwarded-for", told)]}
        return pages.network(house.app.state.hub, Request(scope))

    assert seen("127.0.0.1", b"203.0.113.9, 198.51.100.4") == "198.51.100.4"
    assert seen("127.0.0.1", b"nonsense") == "127.0.0.1"
    assert seen("203.0.113.5", b"198.51.100.4") == "203.0.113.5"


def test_one_address_gets_five_links_an_hour_and_the_answer_stays_the_same(house):
    answers = {shape(house.ask(house.browser(), KNOWN))[0::2] for _ in range(8)}
    assert len(answers) == 1
    for _ in range(3):
        house.post_round()
    assert house.delivered() == {KNOWN: 5}
    house.later(marula.NOW + timedelta(minutes=61))
    house.ask(house.browser(), KNOWN)
    house.post_round()
    assert house.delivered() == {KNOWN: 6}


def test_one_network_asks_thirty_times_an_hour_known_or_not(house):
    said = [wired.ask(house.ws, f"n{n}@post.example", "198.51.100.7", "d" * 64) for n in range(30)]
    assert all(said)
    for address in (KNOWN, UNKNOWN):
        assert not wired.ask(house.ws, address, "198.51.100.7", "d" * 64)
    assert wired.ask(house.ws, KNOWN, "198.51.100.8", "e" * 64)


def test_what_is_no_address_is_refused_before_anything_is_written(house):
    before = house.own_rows()
    for text in ("", "x", "a@", "@b.example", "12", "a@b\r\nBcc: c@d.example"):
        with pytest.raises(InvalidInput):
            wired.ask(house.ws, text, "n", "b" * 64)
    assert house.own_rows() == before
    answer = house.ask(house.browser(), "no address")
    assert answer.headers["location"] == "/my/enter?say=address"


def test_nobody_can_switch_to_somebody_they_do_not_act_for(house):
    child = house.newcomer("child", {"idempotency_key": "c"}, birth_year="2015")
    parent = house.person("probe")
    browser = house.browser()
    house.come_in(browser, KNOWN)
    form = house.token(browser, "/my/as") if 'name="form"' in browser.get("/my/as").text else ""
    for who in (child.hex(), parent.hex(), "", "0" * 24):
        answer = browser.post("/my/as", data={"form": form, "who": who})
        assert answer.status_code in {403, 404}
    assert not [e for e in house.chain(child) if isinstance(e.payload, events.VisitBegan)]


def test_a_mandate_that_ended_shows_the_other_no_more(house):
    child = house.newcomer("child", {"idempotency_key": "c"}, birth_year="2015", given_name="Kavi")
    parent = house.person("probe")
    people.link(house.desk, child, parent, "competent_person", "desk", marula.OFFICER)
    browser = house.browser()
    house.come_in(browser, KNOWN)
    page = browser.get("/my/as").text
    assert "Kavi" in page
    handle = re.findall(r'name="who" value="([0-9a-f]+)"', page)[-1]
    form = {"form": house.token(browser, "/my/as"), "who": handle}
    assert browser.post("/my/as", data=form).headers["location"] == "/my"
    began = [e for e in house.chain(child) if e.type == "visit.began"]
    assert [e.payload.relation for e in began] == ["competent_person"]
    people.unlink(house.desk, child, parent, "desk", marula.OFFICER)
    assert "Kavi" not in browser.get("/my/as").text
    assert browser.post("/my/as", data=form).status_code == 404
