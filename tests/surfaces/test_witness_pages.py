"""What the public page of heads and the page about witnesses say."""

import functools
import re
import shutil

import marula
import pytest
import witnessed
from fastapi.testclient import TestClient
from hub_shop import listening, make_shop
from verify_pages import browser

from troth.app import witnesses
from troth.errors import InvalidInput
from troth.kernel import events, ledger, proof
from troth.kernel.desk import SYSTEM
from troth.surfaces.web import witness as page

shop = functools.cache(make_shop)
"""A shop of this file's own: what others did to theirs is not seen here."""


def anchors(client, query=""):
    answer = client.get(f"/anchors{query}")
    assert answer.status_code == 200
    return answer.text


def head():
    with shop().ws.store.look() as view:
        return proof.parse_checkpoint(proof.parse_note(view.note())[0])


def test_anybody_may_see_the_heads_and_compare_the_one_in_their_message():
    client, point = TestClient(shop().app, base_url="http://127.0.0.1"), head()
    root = proof.b64(point.root)
    text = anchors(client)
    assert root in text
    assert "data-policy" in text
    quoted = root.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    assert (
        "They are the same"
        in anchors(client, f"?size={point.size}&root={quoted}").split("<template")[0]
    )
    other = proof.b64(bytes(32)).replace("=", "%3D")
    assert (
        "They differ" in anchors(client, f"?size={point.size}&root={other}").split("<template")[0]
    )
    later = f"?size={point.size + 10**6}&root={quoted}"
    assert "smaller than that" in anchors(client, later).split("<template")[0]
    for size, given in (("x", quoted), ("5", "x"), ("5", ""), ("", quoted), ("9" * 40, quoted)):
        assert (
            "does not read" in anchors(client, f"?size={size}&root={given}").split("<template")[0]
        )


def test_a_proof_between_any_two_sizes_holds_and_nonsense_is_told():
    client, point = TestClient(shop().app, base_url="http://127.0.0.1"), head()
    for old, new in ((1, point.size), (7, 100), (point.size, point.size)):
        told = client.get(f"/anchors.json?from={old}&to={new}").json()
        proof.verify_consistency(
            size1=told["size1"], size2=told["size2"], root1=proof.unb64(told["root1"]),
            root2=proof.unb64(told["root2"]), path=list(map(proof.unb64, told["path"])),
        )  # fmt: skip
    assert client.get("/anchors.json").json()["anchors"][0]["size"] == point.size
    assert client.get("/anchors.json?from=0").status_code == 400
    assert client.get(f"/anchors.json?from=1&to={point.size + 1}").status_code == 404
    for query in ("?from=0", "?from=9&to=3", "?from=x", f"?from=1&to={point.size + 1}"):
        text = anchors(client, query)
        assert 'class="note"' in text
        assert "Consistency proof" not in text


def test_the_heads_name_nobody():
    text = anchors(TestClient(shop().app, base_url="http://127.0.0.1"))
    assert "@" not in re.sub(r"<[^>]*>", "", text)


def test_staff_of_it_see_how_the_ledger_stands_and_others_do_not():
    text = shop().door("it").get(page.PATH).text
    assert "Nobody outside watches yet" in text
    assert "What an outside witness adds" in text
    assert head().origin in text
    assert shop().door("marketer").get(page.PATH).status_code == 403
    assert TestClient(shop().app, base_url="http://127.0.0.1").get(
        page.PATH, follow_redirects=False
    ).status_code in (303, 401, 403)  # fmt: skip


def test_the_state_of_every_witness_is_said_in_words(tmp_path):
    marula.make(tmp_path / "house")
    with witnessed.watched(tmp_path / "house", tmp_path) as (house, watching):

        class Hub:
            ws = house.ws

        def told():
            return page.told(Hub, witnesses.witnessed(house.ws))

        assert told()["rows"][0]["state"] == "not asked yet"
        witnessed.ask(house)
        found = told()
        assert (found["rows"][0]["state"], found["quorum"][0]) == ("cosigned", "good")
        assert found["anchors"][0]["witnesses"] == [witnessed.NAME]
        second = tmp_path / "second"
        house.ws.close()
        shutil.copytree(tmp_path / "house", second)
        house.open()
        Hub.ws = house.ws
        house.desk.record_house(events.AlarmRaised("test.only"), SYSTEM)
        witnessed.ask(house)
        other = marula.House(second)
        witnessed.ask(other)
        Hub.ws = other.ws
        rows = told()["rows"]
        assert rows[0]["state"] in ("cosigned", "refuses", "holds more than this record")
        other.ws.close()
        Hub.ws = house.ws
        watching.close()
        house.desk.record_house(events.AlarmRaised("test.only"), SYSTEM)
        witnessed.ask(house)
        found = told()
        assert (found["rows"][0]["state"], found["quorum"][0]) == ("does not answer", "bad")


def test_every_refusal_a_witness_can_give_has_words():
    assert set(page.REFUSALS) >= {403, 404, 409, 422}
    assert all(kind in {"calm", "good", "warn", "bad"} for kind, *_ in page.STATES.values())


def test_a_house_without_a_quorum_is_told_so(tmp_path):
    marula.make(tmp_path / "house")
    with witnessed.watched(tmp_path / "house", tmp_path, quorum='"none"') as (house, _):
        found = page.quorum(witnesses.witnessed(house.ws))
        assert found[0] == "warn"
        assert "none is required" in found[1]
        witnessed.ask(house)
        with house.ws.store.look() as view:
            assert "quorum none" in house.ws.signer.policy_for(view.note())


@pytest.mark.parametrize(
    "line", ["vkey, not closed", '[witnesses.w1]\nvkey = "x"\nurl = "https://w.example"\n']
)
def test_a_witness_written_wrongly_is_refused_when_the_house_is_opened(tmp_path, line):
    marula.make(tmp_path / "house")
    toml = tmp_path / "house" / "troth.toml"
    toml.write_text(toml.read_text() + "\n" + line)
    with pytest.raises(InvalidInput, match=r"troth\.toml"):
        marula.House(tmp_path / "house")


def test_in_a_browser_the_head_of_a_message_is_compared_from_the_public_tiles():
    with shop().ws.store.look() as view:
        point = head()
        early = proof.b64(ledger.tree_root(100, view.tile))
    wrong = proof.b64(bytes(32))
    asked = [
        ("100", early, "same"), (str(point.size), proof.b64(point.root), "same"),
        ("100", wrong, "other"), ("99", early, "other"), ("x", early, "unread"),
        (str(point.size + 10), early, "later"),
    ]  # fmt: skip
    words = {"same": "Your browser checked it", "other": "They differ", "unread": "does not read",
             "later": "smaller than that"}  # fmt: skip
    with browser() as chromium, listening(shop().app) as address:
        shown = chromium.new_page()
        shown.goto(f"{address}/anchors")
        for size, root, code in asked:
            shown.fill("#size", size)
            shown.fill("#root", root)
            shown.evaluate("document.querySelector('[data-answer]').replaceChildren()")
            shown.click("[data-anchor] button")
            shown.wait_for_selector("[data-answer] .note", timeout=10_000)
            assert words[code] in shown.inner_text("[data-answer]"), (size, code)
            assert "?" not in shown.url, "nothing was sent to the house"
