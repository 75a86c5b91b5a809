"""Goods somebody excluded are used nowhere, under whichever of their ids they said so."""

from datetime import timedelta

import marula
import pytest

from troth.app import inferred
from troth.app.owndata import Eyes
from troth.capabilities import insight, merging, people
from troth.capabilities.access import cases
from troth.capabilities.access.cases import Opening
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events, exclusions, gate
from troth.kernel.desk import SYSTEM
from troth.terms import Action, Actor, PersonId, Role, UseRequest

GROUPS = {"1001": "tea", "1003": "flour"}
_NAMES = ("Rooibos tea", "Plain flour")
AGREED = {
    "purpose": "personalise", "channels": "", "level": "5", "notice": "personalise@2",
    "categories": "identity.name;interests.declared;purchases.13w;purchases.52w;cohort.compare",
}  # fmt: skip


def me(person):
    return Actor(Role.PERSON, person.hex())


def buys(house, name, *items):
    house.take("events", *(
        {"external_id": name, "at": marula.days_ago(days), "kind": "purchase", "item": item,
         "group": GROUPS[item], "amount_minor": "1900", "currency": "ZAR", "units": "1"}
        for days in (2, 3, 4) for item in items
    ))  # fmt: skip


@pytest.fixture
def ann(house):
    person = house.newcomer("ann", {}, AGREED)
    buys(house, "ann", "1001", "1003")
    return person


@pytest.fixture
def bob(house):
    return house.newcomer("bob", {})


def exclude(house, person, *groups, seen=-1):
    return people.set_exclusions(house.desk, person, groups, me(person), seen)


def join(house, keep, other):
    merging.merge(house.desk, keep, other, "one person", marula.OFFICER)


def mailed(house, person, name="winback"):
    assert house.send([person], house.campaign(name)).handed == 1
    return house.mails()[-1].path.read_text()


def page(house, person):
    return inferred.inferred(house.ws, Eyes(person, person), marula.ITEMS)


def spoil(house, person, text="wine"):
    """Seal what is no list, as damage or another program might."""
    desk = house.desk
    with house.ws.store.look() as view:
        sealed = desk.vault.seal_values(
            person, {exclusions.FIELD: text}, {exclusions.FIELD: 9}, view.now
        )
    desk.record(person, [events.ValuesSealed({exclusions.FIELD: 9}, "x")], marula.OFFICER)
    with house.ws.store.book() as tx:
        tx.put_sealed(person, sealed)


def version(house, person):
    with house.ws.store.look() as view:
        return exclusions.version(view, person)


def test_a_mail_leaves_out_what_either_id_excluded_and_names_the_rest(house, ann, bob):
    exclude(house, bob, "tea")
    join(house, ann, bob)
    text = mailed(house, ann)
    assert "Rooibos tea" not in text
    assert "Plain flour" in text


@pytest.mark.parametrize("whose", ["own", "merged"])
def test_a_list_that_does_not_read_closes_the_history_in_mails_and_on_the_page(
    house, ann, bob, whose
):
    spoil(house, ann if whose == "own" else bob)
    join(house, ann, bob)
    text = mailed(house, ann)
    assert not [name for name in _NAMES if name in text]
    found = page(house, ann)
    assert inferred.excluded_of(house.ws, Eyes(ann, ann)) is None
    assert found.excluded == ["flour", "tea"]
    assert not [name for kind in found.kinds for name in kind.found]


def test_a_list_whose_key_is_gone_closes_the_history(house, ann, bob):
    exclude(house, bob, "wine")
    join(house, ann, bob)
    with house.ws.store.look() as view:
        house.desk.vault.keys.shred(bob, None, view.now)
    text = mailed(house, ann)
    assert not [name for name in _NAMES if name in text]


def test_saying_it_once_more_over_a_list_that_does_not_read_leaves_nothing_open(house, ann):
    spoil(house, ann)
    inferred.exclude(house.ws, Eyes(ann, ann), "tea", me(ann))
    assert inferred.excluded_of(house.ws, Eyes(ann, ann)) == {"flour", "tea"}
    inferred.include(house.ws, Eyes(ann, ann), "flour", me(ann))
    assert page(house, ann).excluded == ["tea"]


def test_what_is_taken_back_after_a_merge_is_taken_back_for_every_id(house, ann, bob):
    exclude(house, ann, "flour")
    exclude(house, bob, "tea", "wine")
    join(house, ann, bob)
    inferred.include(house.ws, Eyes(ann, ann), "tea", me(ann))
    assert inferred.excluded_of(house.ws, Eyes(ann, ann)) == {"flour", "wine"}
    assert "Rooibos tea" in mailed(house, ann)


def test_what_is_said_under_the_id_that_went_is_the_list_of_the_one_that_stayed(house, ann, bob):
    join(house, ann, bob)
    exclude(house, bob, "tea")
    assert inferred.excluded_of(house.ws, Eyes(ann, ann)) == {"tea"}


def test_a_list_that_a_merge_made_another_is_not_written_over(house, ann, bob):
    exclude(house, ann, "flour")
    seen = version(house, ann)
    exclude(house, bob, "tea")
    join(house, ann, bob)
    with pytest.raises(Conflict):
        exclude(house, ann, "wine", seen=seen)
    assert inferred.excluded_of(house.ws, Eyes(ann, ann)) == {"flour", "tea"}


def test_a_mail_that_waits_is_not_handed_over_once_a_merge_brought_a_list(house, ann, bob):
    exclude(house, bob, "tea")
    house.book([ann])
    join(house, ann, bob)
    assert house.hand_over().handed == 0
    house.at(marula.NOW + timedelta(days=8))
    plain = house.newcomer("plain", {"idempotency_key": "p"})
    house.book([ann], house.campaign("second"))
    join(house, ann, plain)  # who said nothing narrows nothing
    assert house.hand_over(house.campaign("second")).handed == 1


def learnt(house):
    with house.ws.store.look() as view:
        return insight.learn_alike(house.desk, view, SYSTEM, marula.ITEMS)


def test_goods_somebody_excluded_are_learnt_from_in_no_comparison(house, ann, monkeypatch):
    kept = []
    monkeypatch.setattr(insight.facts.ranking, "learn", kept.append)
    learnt(house)
    found = kept.pop()
    others = [basket for basket in found if basket != ["1001", "1003"]]
    assert len(others) == len(found) - 1
    exclude(house, ann, "tea")
    learnt(house)
    assert sorted(kept.pop()) == sorted([*others, ["1003"]])
    spoil(house, ann)
    learnt(house)
    assert kept.pop() == others


def permit(house, person, *categories):
    desk = house.desk
    ref = cases.open_case(desk, person, Opening("1", "mail"), marula.OFFICER).ref
    with house.ws.store.look() as view:
        asked = UseRequest(
            marula.OFFICER, person, "service", Action.READ, None, frozenset(categories), view.now,
            reason=ref,
        )  # fmt: skip
        claim = desk.claim(asked, desk.house(view))
        facts = desk.facts(view, asked, claim, view.gather([person], None)[0])
    return gate.decide(asked, facts)


def test_another_ids_value_opens_within_the_permit_and_no_further(house, ann, bob):
    exclude(house, bob, "tea")
    with house.ws.store.look() as view:
        row = view.sealed([bob], [exclusions.FIELD])[bob][0]
        held = permit(house, ann, "identity.name")
        with pytest.raises(InvalidInput, match="does not cover"):
            house.desk.vault.open_merged(held, bob, row, view.now)


def test_a_list_is_of_somebody_known_and_short_and_theirs_to_choose(house, ann):
    with pytest.raises(NotFound):
        people.set_exclusions(house.desk, PersonId(bytes(16)), ["tea"], me(ann))
    with pytest.raises(InvalidInput):
        people.set_exclusions(house.desk, ann, ["tea"], marula.MARKETER)
    with pytest.raises(InvalidInput):
        exclude(house, ann, "")
