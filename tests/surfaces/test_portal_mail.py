"""The links of an old mail: they act on the address it went to, and on no other."""

import entry_house
import marula
import msgspec
import pytest

from troth.capabilities import people, preferences
from troth.terms import Channel

NEW = "new@post.example"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def house(tmp_path):
    opened = entry_house.EntryHouse(tmp_path / "house")
    yield opened
    opened.ws.close()


def moved(house):
    """Somebody gets a mail, then another address."""
    ann = house.newcomer("ann", {})
    house.send([ann])
    token = house.stop_token()
    people.change_address(house.desk, ann, Channel.EMAIL, NEW, "desk", marula.OFFICER)
    return ann, token


def blocks(house, address):
    point = house.desk.contact(Channel.EMAIL, address, 1)
    with house.ws.store.look() as view:
        return {(b.reason, b.scope, b.value) for b in view.blocks([point.sup]).get(point.sup, ())}


def test_one_click_of_an_old_mail_stops_its_purpose_at_the_old_address_alone(house):
    ann, token = moved(house)
    answer = house.browser().post(f"/stop/{token}", data=ONE_CLICK)
    assert answer.status_code == 200
    assert "for no other" in answer.text
    assert blocks(house, "ann@post.example") == {("unsubscribe", "purpose", "offers")}
    assert blocks(house, NEW) == set()
    assert house.codes(ann) == []
    before = house.size()
    assert house.browser().post(f"/stop/{token}", data=ONE_CLICK).status_code == 200
    assert house.size() == before


def test_one_click_of_an_old_mail_shows_no_receipt_of_what_they_withdrew_since(house):
    ann, token = moved(house)
    preferences.stop_everything(house.desk, ann, marula.OFFICER)
    page = house.browser().post(f"/stop/{token}", data=ONE_CLICK).text
    assert "Your receipt" not in page


def test_one_click_of_a_mail_to_their_address_stops_purpose_and_address(house):
    ann = house.newcomer("ann", {})
    house.send([ann])
    page = house.browser().post(f"/stop/{house.stop_token()}", data=ONE_CLICK).text
    assert "Your receipt" in page
    assert blocks(house, "ann@post.example") == {("unsubscribe", "purpose", "offers")}
    assert house.codes(ann)


def test_the_page_of_an_old_mail_shows_nothing_of_what_they_get_elsewhere(house):
    _, token = moved(house)
    client = house.browser()
    page = client.get(f"/my/mail/{token}").text
    assert "any more" in page
    assert "may be sent" not in page
    assert "/link" not in page
    for wish in ("these", "all", "pause-30"):
        assert client.post(f"/my/mail/{token}", data={"do": wish}).status_code == 200
    assert {reason for reason, *_ in blocks(house, "ann@post.example")} == {"unsubscribe"}
    assert blocks(house, NEW) == set()


def test_no_way_in_is_sent_to_the_new_address_by_an_old_mail(house):
    _, token = moved(house)
    client = house.browser()
    form = {"form": house.token(client)}
    assert client.post(f"/my/mail/{token}/link", data=form).status_code == 404
    house.post_round()
    assert house.letters(NEW) == []


def test_whoever_has_the_old_address_by_now_is_stopped_there_and_named_nowhere(house):
    ann, token = moved(house)
    later = house.newcomer("later", {"idempotency_key": "l"}, email="ann@post.example")
    page = house.browser().post(f"/my/mail/{token}", data={"do": "all"}).text
    assert "may be sent" not in page
    assert "suppressed_unsubscribe" in house.codes(later)
    assert house.codes(ann) == []


def test_a_token_of_before_addresses_were_kept_goes_on_as_it_did(house):
    ann, token = moved(house)
    key = house.desk.token_key(token)
    with house.ws.store.book() as tx:
        row = msgspec.json.decode(tx.row("preferences.token", key))
        tx.put_row("preferences.token", key, msgspec.json.encode(row[:7]))
    house.browser().post(f"/stop/{token}", data=ONE_CLICK)
    assert house.codes(ann)


def test_a_question_of_an_old_mail_is_not_answered_for_the_new_address(house):
    who = house.newcomer("stranger")
    house.send([who], house.campaign("ask-1", "ask"))
    path = f"/ask/{house.stop_token()}"
    client = house.browser()
    assert 'name="answer"' in client.get(path).text
    people.change_address(house.desk, who, Channel.EMAIL, NEW, "desk", marula.OFFICER)
    assert client.get(path).status_code == 404
    answer = {"answer": "yes", "by_email": "yes"}
    assert client.post(path, data=answer).status_code == 404
    assert not [e for e in house.chain(who) if e.type == "consent.given"]
