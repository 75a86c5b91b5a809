"""The one permitted request for consent: once for ever per address, whoever asks, however often."""

from collections import Counter

import pytest

from troth.capabilities.outreach import rendering


@pytest.fixture
def form_4_in_order(monkeypatch):
    """Take the request's form as carried: the template for it comes with the starter templates."""
    monkeypatch.setattr(rendering.mail, "unmet", lambda *_: ())


def test_two_who_share_a_mailbox_are_asked_once_together(house, form_4_in_order):
    one = house.newcomer("one", email="both@post.example")
    two = house.newcomer("two", email="BOTH@post.example")
    sent = house.send([one, two], house.campaign(name="ask-1", purpose="ask"))
    assert sent.handed == 1
    assert house.delivered() == Counter({"both@post.example": 1})
    refused = [c for p in (one, two) for c in house.codes(p, house.campaign("ask-2", "ask"))]
    assert refused.count("asked_once_already") == 2


def test_a_second_campaign_asks_nobody_again(house, form_4_in_order):
    person = house.newcomer("one")
    assert house.send([person], house.campaign(name="ask-1", purpose="ask")).handed == 1
    assert house.send([person], house.campaign(name="ask-2", purpose="ask")).handed == 0
    assert len(house.mails()) == 1


def test_asked_and_ignored_counts_as_asked_also_after_an_erasure(house, form_4_in_order):
    person = house.newcomer("one")
    house.send([person], house.campaign(name="ask-1", purpose="ask"))
    house.ws.erase(person, "rq-1")
    again = house.newcomer("one", source="later")
    assert "asked_once_already" in house.codes(again, house.campaign("ask-2", "ask"))


def test_without_its_form_no_request_leaves(house):
    """POPIA Form 4 has parts no template carries yet: the message is refused as a whole."""
    from troth.errors import InvalidInput

    person = house.newcomer("one")
    with pytest.raises(InvalidInput, match="does not carry"):
        house.book([person], house.campaign(name="ask-1", purpose="ask"))
    assert house.mails() == []
