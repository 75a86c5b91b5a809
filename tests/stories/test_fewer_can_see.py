"""Thirty-seven people can see e-mail addresses. A click later six can, and a click gives it back."""

import shutil

import marula
import pytest
import staffed
from staffed import BUSY, EMAIL, IT, OFFICER, SELDOM, SUPPORT

from troth.app import access as rights
from troth.kernel import gate
from troth.terms import instant


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    folder = tmp_path_factory.mktemp("staffed") / "house"
    staffed.make(folder)
    house = staffed.lived(marula.House(folder, staffed.BEGUN))
    house.ws.close()
    return folder


@pytest.fixture
def house(lived, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(lived, folder)
    opened = marula.House(folder, staffed.NOW)
    yield opened
    opened.ws.close()


def can_see(house):
    return rights.picture(house.ws).seen.e(EMAIL)


def proposal(house):
    return next(p for p in rights.advise(house.ws).proposals if p.category == EMAIL)


def test_thirty_seven_people_can_see_e_mail_addresses(house):
    assert can_see(house) == 37


def test_thirty_one_of_them_did_not_in_ninety_days_so_six_are_left(house):
    found = proposal(house)
    assert (found.before, found.after) == (37, 6)
    assert len(found.accounts) == 31


def test_the_real_log_says_it_would_have_denied_three_reads_and_which(house):
    replay = proposal(house).replay
    assert replay.count == 3
    assert {(d.role, d.purpose, tuple(d.categories)) for d in replay.denied} == {
        ("support", "service", (EMAIL,))
    }
    assert all(at < instant(staffed.NOW) for d in replay.denied for at in d.times)
    told = repr(replay)
    assert "@" not in told
    assert house.person("probe").hex() not in told


def test_one_click_takes_it_and_whoever_uses_it_keeps_it(house):
    rights.apply(house.ws, IT, [proposal(house).id])
    assert can_see(house) == 6
    assert isinstance(staffed.look(house, BUSY[0], "after-1"), gate.Permit)
    permit = staffed.look(house, SELDOM[0], "after-2")
    assert EMAIL not in getattr(permit, "categories", {})


def test_nobody_lost_a_name_they_look_at_every_month(house):
    rights.apply(house.ws, IT, [proposal(house).id])
    permit = staffed.look(house, SUPPORT[20], "after-3", wanted=frozenset({"identity.name"}))
    assert permit.categories == {"identity.name": "full"}


def test_one_click_gives_it_back(house):
    done = rights.apply(house.ws, IT, [proposal(house).id])
    rights.undo(house.ws, IT, done.version)
    assert can_see(house) == 37


def test_what_was_given_back_is_not_proposed_again_at_once(house):
    done = rights.apply(house.ws, IT, [proposal(house).id])
    rights.undo(house.ws, IT, done.version)
    assert EMAIL not in {p.category for p in rights.advise(house.ws).proposals}


def test_the_officer_finds_both_clicks_in_the_house_chain(house):
    done = rights.apply(house.ws, IT, [proposal(house).id])
    rights.undo(house.ws, OFFICER, done.version)
    said = [e.payload for e in house.house_chain() if e.type == "access.acted"]
    assert [each.act for each in said] == ["tightened", "restored"]
    assert said[0].counts == {"rights": 31, "accounts": 31, "denied": 3}
