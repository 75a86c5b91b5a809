"""The one permitted request for consent: once for ever per address, whoever asks, however often."""

from collections import Counter
from dataclasses import replace

import pytest

from troth.errors import InvalidInput


def test_two_who_share_a_mailbox_are_asked_once_together(house):
    one = house.newcomer("one", email="both@post.example")
    two = house.newcomer("two", email="BOTH@post.example")
    sent = house.send([one, two], house.campaign(name="ask-1", purpose="ask"))
    assert sent.handed == 1
    assert house.delivered() == Counter({"both@post.example": 1})
    refused = [c for p in (one, two) for c in house.codes(p, house.campaign("ask-2", "ask"))]
    assert refused.count("asked_once_already") == 2


def test_a_second_campaign_asks_nobody_again(house):
    person = house.newcomer("one")
    assert house.send([person], house.campaign(name="ask-1", purpose="ask")).handed == 1
    assert house.send([person], house.campaign(name="ask-2", purpose="ask")).handed == 0
    assert len(house.mails()) == 1


def test_asked_and_ignored_counts_as_asked_also_after_an_erasure(house):
    person = house.newcomer("one")
    house.send([person], house.campaign(name="ask-1", purpose="ask"))
    house.ws.erase(person, "rq-1")
    again = house.newcomer("one", source="later")
    assert "asked_once_already" in house.codes(again, house.campaign("ask-2", "ask"))


def test_without_its_form_no_request_leaves(house):
    """POPIA Form 4 has parts a message about offers does not carry: it is refused as a whole."""
    person = house.newcomer("one")
    offers = house.campaign().template
    with pytest.raises(InvalidInput, match="does not carry"):
        house.book([person], replace(house.campaign("ask-1", "ask"), template=offers))
    assert house.mails() == []
