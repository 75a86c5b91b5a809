"""The first screen counts entries by what events say, and gives no number that nobody knows."""

from types import SimpleNamespace

import marula
import pytest

from troth.capabilities import custody, people
from troth.surfaces.portal import overview
from troth.surfaces.portal.catalogue import Tongue
from troth.terms import Actor, Role

SENSITIVE = frozenset({"1003"})


def take(house, *lines):
    rows = [
        {"external_id": "ann", "at": marula.days_ago(days), "kind": "purchase", "item": item,
         "group": "g", "amount_minor": "100", "currency": "ZAR", "units": "1"}
        for days, item in lines
    ]  # fmt: skip
    house.take("events", *rows, sensitive=SENSITIVE)


@pytest.fixture
def ann(house):
    return house.newcomer("ann", {"categories": "purchases.13w", "purpose": "personalise",
                                  "channels": "", "level": "3", "notice": "personalise@2"})  # fmt: skip


def counted(house, person):
    found = overview.History()
    hub = SimpleNamespace(ws=house.ws)
    with house.ws.store.look() as view:
        overview._fold(hub, view, person, found)
    return {s: None if s in found.uncounted else n for s, n in found.counts.items()}


def delete(house, person, **choice):
    me = Actor(Role.PERSON, person.hex())
    people.delete(house.desk, person, people.Choice("kind", **choice), me, house.ws.settle)


def test_what_lies_in_one_category_is_counted_and_its_deletion_taken_off(house, ann):
    take(house, (1, "1001"), (2, "1002"))
    take(house, (3, "1003"))
    assert counted(house, ann) == {"purchases": 2, "purchases.sensitive": 1}
    delete(house, ann, categories=("purchases.sensitive",))
    assert counted(house, ann) == {"purchases": 2, "purchases.sensitive": 0}


def test_a_deletion_over_two_categories_is_booked_to_neither(house, ann):
    take(house, (1, "1001"), (2, "1002"))
    take(house, (3, "1003"))
    delete(house, ann, since=0, kind="purchase")
    take(house, (0, "1001"))
    assert counted(house, ann) == {"purchases": None, "purchases.sensitive": None}


def test_no_number_is_given_once_a_term_ended(house, ann):
    take(house, (1, "1001"), (200, "1002"))
    assert counted(house, ann) == {"purchases": 2}
    people.choose_keeping(house.desk, ann, "purchases", 3, Actor(Role.PERSON, ann.hex()))
    custody.retention_apply(house.desk, [ann], marula.OFFICER, house.ws.settle)
    assert counted(house, ann) == {"purchases": None}


def test_a_number_nobody_knows_is_not_said():
    history = overview.History(counts={"purchases": 3, "views": 0})
    tongue = Tongue("en", "UTC")
    visit = SimpleNamespace(gettext=tongue.gettext, ngettext=tongue.ngettext)
    assert overview._entries(visit, history, "purchases") == "3 entries"
    history.uncounted.add("purchases")
    for scope in ("purchases", "views"):
        assert overview._entries(visit, history, scope) == "Entries you can look through"
