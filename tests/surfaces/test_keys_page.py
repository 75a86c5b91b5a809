"""The keys on their page and by command: what stands, what is promised, and who may do what."""

import json

import cli_shop
import marula
import pytest
from hub_shop import shop

from troth.app import escrow
from troth.app import keys as house_keys
from troth.terms import Actor, Role

IT = Actor(Role.IT, "gareth@marula.example")


def page(role="it", **asked):
    return shop().door(role).get("/console/keys", params=asked)


def test_the_page_says_who_holds_the_keys_and_promises_no_more_than_they_can():
    text = page().text
    assert "best effort on this disk" in text
    assert "Nothing here can show that nobody copied it before" in text
    assert "nobody holds shares" in text
    assert "troth keys copy OUT" in text
    assert not any(word in text for word in ("100 %", "guarantee", " safe"))


@pytest.mark.parametrize("role", ["marketer", "support"])
def test_neither_marketing_nor_support_sees_or_ends_anything(role):
    assert page(role).status_code == 403
    client = shop().door(role)
    held = len(shop().ws.keys.epochs.all())
    assert client.post("/console/keys/roll", data={"form": "x"}).status_code == 403
    assert len(shop().ws.keys.epochs.all()) == held


def test_nothing_is_done_by_looking_or_by_a_form_of_another_session():
    client, held = shop().door("privacy_officer"), len(shop().ws.keys.epochs.all())
    assert client.get("/console/keys/roll").status_code in {404, 405}
    assert client.post("/console/keys/roll", data={"form": "forged"}).status_code == 403
    assert len(shop().ws.keys.epochs.all()) == held


def test_an_epoch_begun_by_the_button_stands_on_the_page_and_in_the_chain_of_the_house():
    client = shop().door("it")
    answer = client.post(
        "/console/keys/roll",
        data={"form": shop().form(client, "/console/keys")},
        follow_redirects=False,
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/keys?say=rolled")
    text = client.get("/console/keys?say=rolled").text
    assert "A new epoch is in force." in text
    assert "kept" in text
    assert "after " in text


def test_a_drill_on_the_page_tells_good_shares_from_bad_and_keeps_none():
    client = shop().door("privacy_officer")
    made = escrow.shares(shop().ws, 3, 2, IT)
    form = shop().form(client, "/console/keys")
    good = {"form": form, "one": made[0].text, "two": made[2].text}
    answer = client.post("/console/keys/drill", data=good)
    assert answer.headers["location"] == "/console/keys?say=drill"
    assert "The drill is passed." in client.get("/console/keys?say=drill").text
    for wrong in ({"one": made[0].text}, {"one": "hello"}, {}, {"one": made[0].text * 2}):
        answer = client.post("/console/keys/drill", data={"form": form, **wrong})
        assert answer.status_code == 422
        assert "The drill is not passed" in answer.text
        assert made[0].data.hex() not in answer.text
        assert "data " + made[0].text.split("data ")[1][:9] not in answer.text
    house_keys.roll(shop().ws, IT)
    stale = client.post("/console/keys/drill", data=good)
    assert "use the shares made when it began" in stale.text
    assert "worth nothing any more" in client.get("/console/keys").text


# The command line


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys") / "house"
    marula.make(folder)
    return folder


def run(ws, *line):
    return cli_shop.run("keys", *map(str, line), "-w", str(ws), "--at", marula.NOW.isoformat())


def told(ws, *line):
    ran = run(ws, *line, "--json")
    assert ran.status == 0, ran.err
    return json.loads(ran.out)


def test_every_command_of_the_keys_does_what_its_page_says(ws, tmp_path):
    assert told(ws, "list")["epochs"][0]["state"] == "current"
    assert "Nobody holds shares" in run(ws, "list").out
    rolled = told(ws, "roll")
    assert (rolled["epoch"], rolled["before"], rolled["destroyed"]) == (2, 1, [])
    assert told(ws, "destroy-due") == {"destroyed": []}
    assert told(ws, "rotate", "--all")["people"] > 3
    assert told(ws, "list")["old_keys"] > 3
    assert run(ws, "rotate").status == 2
    assert run(ws, "rotate", "--person", "nobody").status == 2
    shares = tmp_path / "shares"
    assert told(ws, "escrow", "--out", shares)["epoch"] == 2
    assert run(ws, "escrow", "--out", shares).status == 2
    one, two = shares / "share-1-of-3.txt", shares / "share-3-of-3.txt"
    assert (one.stat().st_mode & 0o777, one.with_suffix(".html").exists()) == (0o600, True)
    assert told(ws, "recover", one, two) == {"epoch": 2, "put_back": False}
    assert run(ws, "recover", one).status == 2
    assert run(ws, "recover", one, tmp_path / "none").status == 2
    copy = tmp_path / "copy.keys"
    assert told(ws, "copy", copy)["epoch"] == 2
    assert run(ws, "copy", ws / "data" / "copy.keys").status == 2
    lines = run(ws, "list").out
    assert "copy.keys" in lines
    assert "Any 2 of 3 shares" in lines
    (ws / "keys/kek-2.key").unlink()
    assert run(ws, "list").status == 3
    assert run(ws, "restore", copy).status == 3
    assert told(ws, "recover", one, two, "--put-back") == {"epoch": 2, "put_back": True}
    (ws / "keys/kek-2.key").unlink()
    assert told(ws, "restore", copy, "--share", one, "--share", two)["made"] == 2
    assert told(ws, "list")["epochs"]


# The customer's certificate


def test_the_certificates_page_says_where_the_end_of_the_key_epoch_stands():
    from troth.surfaces.portal import request_words as words
    from troth.surfaces.portal.catalogue import Tongue

    english, at = Tongue("en", "UTC"), "2026-11-24T00:00:00Z"
    line = words.HORIZON % {"at": at, "until": "2026-12-01T00:00:00Z"}
    from troth.capabilities.rights import horizon

    ours = horizon.uncovered(
        horizon.Horizon(1, "scheduled", words.from_zulu("2026-12-01T00:00:00Z")),
        horizon.Scanned(("record",), ("values",)),
        words.from_zulu(at),
    )
    assert ours[0] == line
    assert words.uncovered(english, line, at).startswith("until 1 December 2026")
    assert "Z" not in words.uncovered(english, line, at)
    for said in (horizon.NOT_SEARCHED, horizon.NO_VALUES):
        assert said in words.SEARCHES
        other = Tongue("en", "UTC", {said: "said otherwise"})
        assert words.uncovered(other, said, at) == "said otherwise"
    assert set(words.ENDINGS) == {"destroyed", "scheduled", ""}
