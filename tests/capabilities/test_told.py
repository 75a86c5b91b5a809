"""Of a chain only some types may be read whole; all of it is opened and checked all the same."""

from dataclasses import replace

import msgspec
import pytest

from troth.capabilities.custody import rebuilding
from troth.errors import EvidenceBroken
from troth.kernel import consent, events, fold, proof
from troth.kernel.facts import House
from troth.terms import Instant, PersonRecord


@pytest.fixture
def person(house):
    return house.newcomer("told", {})


def both(house, person, types):
    with house.ws.store.look() as view:
        return house.desk.scribe.told(view, person, types), house.desk.scribe.chain(view, person)


def test_what_is_read_is_what_the_whole_chain_has_of_these_types(house, person):
    some, whole = both(house, person, rebuilding._READ)
    assert some == [each for each in whole if each.event.type in rebuilding._READ]
    assert 0 < len(some) < len(whole)
    assert both(house, person, events.FAMILIES)[0] == whole
    assert both(house, person, ())[0] == []


def test_the_fold_of_what_is_read_is_the_fold_of_all(house, person):
    some, whole = both(house, person, fold.TYPES)
    assert fold.refold(some) == fold.refold(whole)


def test_a_chain_that_is_broken_anywhere_is_found_though_little_of_it_is_read(
    house, person, monkeypatch
):
    with house.ws.store.look() as view:
        bodies = view.bodies(person)
        scribe, kind = house.desk.scribe, type(view)
        for planted, told in (
            ([*bodies[:1], *bodies[2:]], "breaks"),
            (bodies[:-1], "before its head"),
        ):
            monkeypatch.setattr(kind, "bodies", lambda *_, planted=planted: planted)
            with pytest.raises(EvidenceBroken, match=told):
                scribe.told(view, person, ())


def test_an_event_of_another_place_is_found(house, person, monkeypatch):
    place = events.link

    def moved(raw):
        return msgspec.structs.replace(place(raw), n=9)

    monkeypatch.setattr(events, "link", moved)
    with pytest.raises(EvidenceBroken, match="another event than its place"):
        both(house, person, ())


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"type":1}', b"\xff"])
def test_bytes_that_are_no_event_have_no_place(raw):
    with pytest.raises(EvidenceBroken, match="place"):
        events.link(raw)


def test_a_link_says_what_the_event_says(house, person):
    _, whole = both(house, person, ())
    for each in whole:
        seen = events.link(each.raw)
        assert (seen.type, seen.n, seen.prev) == (each.event.type, each.event.n, each.event.prev)
        assert seen.psid == person.hex()
        assert proof.commitment(each.salt, each.raw) == each.c


def test_a_level_agreed_to_before_a_loss_of_withdrawals_is_level_1(house):
    person = house.newcomer(
        "levelled", {},
        {"purpose": "personalise", "channels": "", "level": "2", "notice": "personalise@2",
         "categories": "identity.name;interests.declared"},
    )  # fmt: skip
    with house.ws.store.look() as view:
        known: House = house.desk.house(view)
        record: PersonRecord = view.gather([person], None)[0].record
        now = view.now
    doubtful = replace(known, unsure_before=Instant(now), memo={})
    assert consent.level(record, known, now, ground=True) == 2
    assert consent.level(record, doubtful, now, ground=True) == 1
