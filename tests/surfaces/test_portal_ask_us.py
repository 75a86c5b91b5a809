"""Asking without being in: one answer for every address, sealed until the address is proven."""

import re

import pytest
from portal_door import BASE, door, post, shop
from starlette.testclient import TestClient

from troth.app import intake
from troth.capabilities import rights
from troth.errors import InvalidInput, Unavailable

PAGE = "/my/ask-us"


@pytest.fixture
def stranger():
    client = TestClient(shop().app, base_url=BASE, follow_redirects=False)
    client.headers["sec-fetch-site"] = "same-origin"
    return client


def ask(client, **fields):
    token = re.search(r'name="form" value="([^"]+)"', client.get(PAGE).text)[1]
    told = {"form": token, "right": "access", "text": "Zzyzx wants it", **fields}
    return client.post(PAGE, data=told)


def rows():
    with shop().ws.store.look() as view:
        return view.rows(intake.INTAKE, b"", b"", 1000)


def requests_of(outside):
    made = shop()
    with made.ws.store.look() as view:
        return rights.requests_of(made.ws.desk, view, made.person(outside))


def test_the_answer_is_the_same_for_an_address_known_and_unknown(stranger):
    known = ask(stranger, address="shop-20@post.example")
    unknown = ask(stranger, address="nobody-at-all@post.example")
    assert known.status_code == unknown.status_code == 303
    assert known.headers["location"] == unknown.headers["location"] == f"{PAGE}?say=done"
    assert "We have what you asked" in stranger.get(f"{PAGE}?say=done").text


def test_nothing_is_opened_and_no_word_lies_in_clear_before_the_address_is_proven(stranger):
    before = len(shop().chain("shop-21"))
    ask(stranger, address="shop-21@post.example", name="Zzyzx Person")
    assert requests_of("shop-21") == []
    kinds = {r.event.type for r in shop().chain("shop-21")[before:]}
    assert "request.acted" not in kinds
    raw = b"".join(key + value for key, value in rows())
    assert b"Zzyzx" not in raw
    assert b"shop-21" not in raw


def mine(client, act):
    page = client.get("/my/requests").text
    place = re.search(r'name="place" value="([0-9a-f]+)"', page)[1]
    return post(client, f"/my/requests/{act}", "/my/requests", place=place)


def test_whoever_comes_in_and_says_it_was_they_has_a_request_counted_from_the_day_it_was_asked(
    stranger,
):
    ask(stranger, address="SHOP-22@post.example")
    client = door("shop-22")
    assert "Was it you?" in client.get("/my/requests").text
    assert requests_of("shop-22") == []
    assert mine(client, "mine").status_code == 303
    assert "Zzyzx wants it" in client.get("/my/requests").text
    [held] = requests_of("shop-22")
    assert (held.how, held.state) == ("form", "verified")
    assert "Was it you?" not in client.get("/my/requests").text


def test_what_somebody_else_asked_under_an_address_is_disowned_and_gone(stranger):
    ask(stranger, address="shop-26@post.example", right="deletion")
    client = door("shop-26")
    assert mine(client, "notmine").status_code == 303
    assert requests_of("shop-26") == []
    assert "Was it you?" not in client.get("/my/requests").text


def test_somebody_else_who_comes_in_does_not_get_it(stranger):
    ask(stranger, address="shop-23@post.example")
    client = door("shop-24")
    assert "Zzyzx" not in client.get("/my/requests").text
    place = next(key.hex() for key, _ in rows())
    assert post(client, "/my/requests/mine", "/my/requests", place=place).status_code == 404
    assert requests_of("shop-24") == []


def brought(where, address="shop-25@post.example"):
    intake.take(shop().ws, intake.Brought("access", address), where)


def test_one_network_fills_no_list_and_leaves_room_for_who_asks_from_another():
    before = len(rows())
    for _ in range(3):
        brought("192.0.2.7")
    with pytest.raises(Unavailable):
        brought("192.0.2.7")
    brought("192.0.2.8")
    assert len(rows()) == before + 4
    for n in range(8):
        brought(f"198.51.100.{n}")
    with pytest.raises(Unavailable):
        brought("203.0.113.1")
    assert len(rows()) == before + 12


def test_who_asks_once_too_often_is_told_to_wait_known_or_not(stranger):
    for address in ("shop-27@post.example", "nobody-here@post.example"):
        told = [ask(stranger, address=address).headers["location"] for _ in range(4)]
        assert told == [f"{PAGE}?say=done"] * 3 + [f"{PAGE}?say=wait"]


def test_one_network_asks_for_so_many_in_an_hour_and_others_still_ask():
    for n in range(20):
        brought("192.0.2.9", f"many-{n}@post.example")
    with pytest.raises(Unavailable):
        brought("192.0.2.9", "many-20@post.example")
    brought("192.0.2.10", "many-20@post.example")


@pytest.mark.parametrize(
    ("fields", "say"),
    [
        ({"address": "no address"}, "address"),
        ({"address": "a@post.example", "right": "all"}, "address"),
        ({"address": "a@post.example", "form": "x"}, "old"),
    ],
)
def test_what_does_not_read_is_said_and_not_kept(stranger, fields, say):
    before = len(rows())
    assert ask(stranger, **fields).headers["location"] == f"{PAGE}?say={say}"
    assert len(rows()) == before


def test_the_house_takes_no_flood(monkeypatch):
    settings = dict(intake.clocks.settings())
    settings["limits"] = {**settings["limits"], "intake_per_hour": 0}
    monkeypatch.setattr(intake.clocks, "settings", lambda: settings)
    with pytest.raises(Unavailable):
        intake.take(shop().ws, intake.Brought("access", "flood@post.example"))
    with pytest.raises(InvalidInput):
        intake.take(shop().ws, intake.Brought("access", "a@post.example", "x" * 5000))


def test_what_nobody_proves_goes_after_some_days(monkeypatch):
    assert intake.waiting(shop().ws) == len(rows()) > 0
    settings = dict(intake.clocks.settings())
    settings["keep"] = {**settings["keep"], "intake_days": 0}
    monkeypatch.setattr(intake.clocks, "settings", lambda: settings)
    assert intake.forget_old(shop().ws) > 0
    assert intake.waiting(shop().ws) == 0


def test_counts_go_with_their_hour_and_day(monkeypatch):
    brought("192.0.2.11", "counted@post.example")
    with shop().ws.store.look() as view:
        held = view.rows(intake.RATES, b"", b"", 1000)
        assert held
        assert not any(b"192.0.2" in key + value for key, value in held)
    intake.forget_old(shop().ws)
    with shop().ws.store.look() as view:
        assert view.rows(intake.RATES, b"", b"", 1000) == held
    monkeypatch.setattr(intake, "_over", lambda _key, _now: True)
    intake.forget_old(shop().ws)
    with shop().ws.store.look() as view:
        assert view.rows(intake.RATES, b"", b"", 1000) == []


def test_the_short_address_leads_to_the_form(stranger):
    assert stranger.get("/ask-us").headers["location"] == PAGE
