"""Two records of one person become one: the receipts of both are theirs, each under its own mark."""

import pytest
from marula import OFFICER

from troth.app import trail
from troth.capabilities import merging
from troth.errors import NotFound
from troth.kernel import proof
from troth.kernel.vault import Shredded


def test_every_receipt_of_both_records_can_be_taken_and_holds(house):
    keep, other = house.newcomer("probe", {}), house.newcomer("probe-two")
    merging.merge(house.desk, keep, other, "the same person", OFFICER)
    house.ws.sign()
    found = trail.places(house.ws, keep)
    marks = [each.mark for each in found]
    assert len(marks) == len(set(marks)) == len(house.chain(keep)) + len(house.chain(other))
    assert {"1", "1-1"} <= set(marks)
    seen = set()
    for mark in marks:
        place, text = trail.receipt(house.ws, keep, mark)
        held = proof.read_receipt(text, house.ws.signer.policy)
        assert held.index == place.seq
        seen.add(held.index)
    assert len(seen) == len(marks)
    assert [place.mark for place, _ in trail.Trail().look(house.ws, keep)] == marks


def test_a_receipt_of_somebody_else_is_not_theirs_to_take(house):
    mine, theirs = house.newcomer("probe"), house.newcomer("probe-two", {})
    house.ws.sign()
    last = len(house.chain(theirs))
    assert last > len(house.chain(mine))
    for mark in (str(last), "1-1", "0", "x", "1-0", "-1", "1-01", "99999999999"):
        with pytest.raises(NotFound):
            trail.receipt(house.ws, mine, mark)


def test_an_entry_that_no_signature_covers_yet_has_no_receipt_and_waits(house):
    person = house.newcomer("probe")
    house.ws.sign()
    house.say(person, "withdrawn", method="button")
    under = trail.signed(house.ws)
    newest, *_, oldest = trail.places(house.ws, person)
    assert (under.covers(newest), under.covers(oldest)) == (False, True)
    both = trail.read(house.ws, person, [newest, oldest])
    assert trail.proven(house.ws, under, both) == [False, True]
    assert [bool(text) for _, text in trail.receipts(house.ws, under, both)] == [False, True]
    with pytest.raises(NotFound, match="not signed yet"):
        trail.receipt(house.ws, person, newest.mark)


def test_after_an_erasure_the_trail_is_closed(house):
    person = house.newcomer("probe")
    house.ws.sign()
    place = trail.places(house.ws, person)[0]
    house.ws.erase(person, "R-1")
    with pytest.raises(Shredded):
        trail.read(house.ws, person, [place])
    with pytest.raises(Shredded):
        trail.Trail().look(house.ws, person)
