"""Many are erased with one search of the stores; what was not searched is said."""

import json

import pytest

from troth import app
from troth.app import residue
from troth.capabilities import rights
from troth.errors import Unavailable
from troth.terms import Actor, Role

OFFICER = Actor(Role.OFFICER, "sanet@marula.example")
UNSEARCHED = "no store was searched for what may be left"


def several(house, *names):
    people = [house.newcomer(name, {}, email=f"{name}.box@post.example") for name in names]
    for path in house.folder.glob("*.csv"):
        path.unlink()
    return people


def leaves(house):
    with house.ws.store.look() as view:
        entries = view.entries(0, view.log.size)
    public = (json.loads(each[1:]) for each in entries if each[:1] == b"\x01")
    return [each for each in public if each["type"] == "erase.done"]


def counted(monkeypatch):
    asked, ask = [], residue._asked
    monkeypatch.setattr(residue, "_asked", lambda *told: asked.append(1) or ask(*told))
    return asked


def test_many_leave_with_one_search_and_each_has_a_leaf_that_says_what_was_searched(
    house, monkeypatch
):
    people, asked = several(house, *(f"leaver{n}" for n in range(5))), counted(monkeypatch)
    assert app.erase_leaving(house.ws, people, OFFICER) == 5
    assert len(asked) == 1
    told = leaves(house)
    assert len(told) == 5
    assert all(each["searched_for"] == ["values", "keys", "addresses", "ids"] for each in told)
    assert all(UNSEARCHED not in each["not_covered"] for each in told)
    assert all(rights.is_erased(house.desk, each) for each in people)
    assert not residue._MEMORY.held
    assert rights.unfinished(house.desk) == []


def test_what_is_left_of_one_holds_up_that_one_alone(house, monkeypatch):
    people = several(house, "clean-one", "left-behind", "clean-two")
    (house.folder / "exports").mkdir()
    planted = house.folder / "exports" / "old.csv"
    planted.write_text("left-behind.box@post.example")
    wanted = [(each, f"rq-{n}") for n, each in enumerate(people)]
    with pytest.raises(Unavailable, match=r"exports \(1\)"):
        house.ws.erase_all(wanted, OFFICER)
    assert [rights.is_erased(house.desk, each) for each in people] == [True, False, True]
    assert len(leaves(house)) == 2
    planted.unlink()
    done = house.ws.erase_all(wanted, OFFICER)
    assert [each.request for each in done] == ["rq-0", "rq-1", "rq-2"]
    assert len(leaves(house)) == 3
    assert done[1].scanned.by == ("values", "keys", "addresses", "ids")


def test_the_leaf_names_the_highest_version_a_key_ever_had(house):
    person, other = several(house, "rotated", "plain")
    keys = house.desk.vault.keys
    keys.make([(person, "", 2), (person, "", 3)])
    first, second = house.ws.erase_all([(person, "rq-1"), (other, "rq-2")], OFFICER)
    by_leaf = dict(zip([first.leaf, second.leaf], leaves(house), strict=True))
    assert by_leaf[first.leaf]["kver"] == 3
    assert by_leaf[second.leaf]["kver"] == 1


def test_an_erasure_by_a_form_says_that_nothing_was_searched_and_names_what_is_older(
    house, monkeypatch
):
    (person,) = several(house, "unconfirmed")
    asked = counted(monkeypatch)
    (house.folder / "data" / "reach" / "7").mkdir(parents=True)
    monkeypatch.setattr(app.collecting.collecting, "unanswered", lambda *_: [person])
    monkeypatch.setattr(app.collecting, "_known_otherwise", lambda *_: False)
    app.collecting.collect_round(house.ws)
    assert rights.is_erased(house.desk, person)
    (told,) = leaves(house)
    assert not asked
    assert told["searched"] == []
    assert UNSEARCHED in told["not_covered"]
    assert any("audience generation 7" in each for each in told["not_covered"])


def test_the_searched_leaf_does_not_say_so(house):
    (person,) = several(house, "searched")
    house.ws.erase(person, "rq-1")
    assert UNSEARCHED not in leaves(house)[0]["not_covered"]
