"""Correcting one's own data: seen with its source, looked at once, done, undone."""

import re

import portal_door
import pytest
from portal_door import shop

from troth.surfaces.portal import correct

HERE = "/my/correct"


@pytest.fixture(scope="module", autouse=True)
def own_shop():
    """A shop of this file's own: its people are as the files brought them."""
    shop.cache_clear()
    yield
    shop.cache_clear()


def sent(client, path=HERE, **fields):
    return portal_door.post(client, path, HERE, **fields)


def told(outside):
    return [r.event.payload for r in shop().chain(outside) if r.event.type == "value.corrected"]


def test_the_page_shows_each_value_with_where_it_came_from():
    text = portal_door.door("shop-31").get(HERE).text
    for words in ("First name", "Planted", "shop&#39;s checkout", "Interests", "baking, coffee"):
        assert words in text, words


def test_a_change_is_shown_before_it_is_made():
    client = portal_door.door("shop-32")
    page = sent(client, field="name.given", value="Thandi")
    assert page.status_code == 200
    assert "Is this right?" in page.text
    assert "Thandi" in page.text
    assert told("shop-32") == []


def test_it_is_made_with_a_receipt_and_taken_back_by_one_press():
    client = portal_door.door("shop-33")
    answer = sent(client, field="interests", value="tea, bread", sure="yes")
    assert answer.status_code == 303
    page = client.get(HERE).text
    assert "Interests is corrected" in page
    assert "tea, bread" in page
    assert re.search(r'href="/my/receipts/\d+"', page)
    undo = dict(re.findall(r'name="(field|value|sure)" value="([^"]*)"', page))
    assert undo == {"field": "interests", "value": "baking;coffee", "sure": "yes"}
    sent(client, **undo)
    assert "baking, coffee" in client.get(HERE).text
    assert len(told("shop-33")) == 2


def test_what_does_not_read_is_said_at_the_field_and_nothing_is_lost():
    client = portal_door.door("shop-34")
    page = sent(client, field="birth.year", value="199")
    assert page.status_code == 400
    assert "This is no year of birth" in page.text
    assert 'value="199"' in page.text
    same = sent(client, field="name.given", value="Planted", sure="yes")
    assert "what we hold already" in same.text
    assert sent(client, field="external.id", value="1").status_code == 400


def test_a_new_address_waits_for_its_code():
    hub, codes = shop().app.state.hub, []
    hub.kept[correct.PROVE] = lambda _ws, _eyes, _channel, address, code: codes.append(
        (address, code)
    )
    try:
        client = portal_door.door("shop-35")
        sent(client, field="contact.email", value="New35@Post.example", sure="yes")
        page = client.get(HERE).text
        assert "Is this address yours?" in page
        assert "new35@post.example" not in page
        wrong = "000000" if codes[0][1] != "000000" else "111111"
        assert sent(client, f"{HERE}/code", code=wrong).status_code == 400
        assert sent(client, f"{HERE}/code", code=codes[0][1]).status_code == 303
        assert "new35@post.example" in client.get(HERE).text
        assert told("shop-35")[0].field == "contact.email"
        sent(client, field="contact.email", value="other35@post.example", sure="yes")
        assert sent(client, f"{HERE}/code", stop="yes").status_code == 303
        assert "Is it right?" in client.get(HERE).text
    finally:
        del hub.kept[correct.PROVE]


def test_where_no_code_can_be_sent_the_desk_is_asked_and_nothing_changes(monkeypatch):
    client = portal_door.door("shop-36")
    monkeypatch.setitem(shop().app.state.hub.kept, correct.PROVE, correct.correcting.nobody_proves)
    answer = sent(client, field="contact.sms", value="+27 21 555 0136", sure="yes")
    page = client.get(answer.headers["location"]).text
    assert "Ask the privacy team" in page
    done = sent(client, f"{HERE}/ask", field="contact.sms", value="+27 21 555 0136")
    assert done.status_code == 303
    acts = [r.event.payload for r in shop().chain("shop-36") if r.event.type == "request.acted"]
    assert (acts[0].right, acts[0].scope) == ("correction", ("contact.sms",))
    assert told("shop-36") == []


def test_who_becomes_a_minor_by_their_own_word_is_not_made_an_adult_by_it():
    client = portal_door.door("shop-37")
    sent(client, field="birth.year", value="2014", sure="yes")
    page = client.get(HERE).text
    assert "Year of birth is corrected" in page
    assert 'action="/my/correct"><input type="hidden" name="form"' not in page
    answer = sent(client, field="birth.year", value="1980", sure="yes")
    page = client.get(answer.headers["location"]).text
    assert "under 18" in page
    assert len(told("shop-37")) == 1


def test_another_country_says_what_follows_before_it_counts():
    client = portal_door.door("shop-38")
    page = sent(client, field="fact.residence", value="de").text
    assert "The law of that country counts for you" in page
    sent(client, field="fact.residence", value="de", sure="yes")
    with shop().ws.store.look() as view:
        assert view.gather([shop().person("shop-38")], None)[0].record.residence == "DE"


def test_a_language_is_chosen_by_its_name():
    client = portal_door.door("shop-39")
    page = client.get(f"{HERE}?field=fact.language").text
    assert '<option value="af">Afrikaans</option>' in page
    sent(client, field="fact.language", value="af", sure="yes")
    assert "Afrikaans" in client.get(HERE).text


def test_a_form_without_the_sessions_token_changes_nothing():
    client = portal_door.door("shop-47")
    answer = client.post(
        HERE, data={"field": "name.given", "value": "X", "sure": "yes", "form": "x"}
    )
    assert answer.status_code in (400, 403)
    assert told("shop-47") == []
