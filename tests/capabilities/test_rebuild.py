"""The copy of everybody: the same people and the same use as one by one, and nothing unagreed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment_shop import MARKETER, opened

from troth import app
from troth.capabilities import insight, preferences
from troth.errors import InvalidInput
from troth.kernel import audience
from troth.kernel.vault import Vault
from troth.terms import DAY, Actor, ConsentStatus, Role

NEEDED = frozenset({"purchases.52w", "purchases.13w", audience.INTERESTS})


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("rebuild")) as made:
        for n in range(0, 40, 4):  # some left a level, one way or the other
            person = made.person(n)
            choice = preferences.Choice(
                ConsentStatus("withdrawn"), "personalise", (), method="button"
            )
            preferences.record_choice(
                made.ws.desk, person, choice, Actor(Role.PERSON, person.hex())
            )
        yield made


def lines(page):
    """Read a page's columns as purchases by person."""
    bought, out, first = page.bought, {}, 0
    names, money = list(bought.groups), list(bought.money)
    for place, person in enumerate(bought.people):
        groups = bought.item_groups[first : first + bought.sizes[place]]
        first += bought.sizes[place]
        columns = zip(
            np.frombuffer(bought.at[place], ">i8"), np.frombuffer(bought.item[place], ">u4"),
            np.frombuffer(bought.units[place], ">i4"), np.frombuffer(bought.minor[place], ">i8"),
            strict=True,
        )  # fmt: skip
        out.setdefault(person, []).extend(
            audience.Purchase(int(at) // DAY, names[groups[item]], int(units), int(minor),
                              money[bought.currencies[place]])
            for at, item, units, minor in columns
        )  # fmt: skip
    return out


def alike(shop, part):
    """Compare a part of everybody read in columns with the same people read one by one."""
    desk = shop.ws.desk
    with shop.ws.store.look() as view:
        pages = list(insight.everything(desk, view, MARKETER, part))
        people = [row.person for page in pages for row in page.rows]
        single = insight.rows_of(desk, view, people, MARKETER, NEEDED)
    together = []
    for page in pages:
        bought = lines(page)
        for row, gathered in zip(page.rows, page.gathered, strict=True):
            assert row.person == gathered.person
            together.append((row, Counter(bought.get(row.person, ()))))
    assert [row.person for row, _ in together] == [row.person for row in single]
    for (row, found), one in zip(together, single, strict=True):
        assert (row.known.agreed, row.known.interests) == (one.known.agreed, one.known.interests)
        assert found == Counter(one.known.purchases)
        assert not found or row.known.agreed & set(insight.facts.WIDEST)
    return together


def test_people_read_together_are_the_same_as_one_by_one(shop):
    together = alike(shop, insight.facts.EVERYBODY)
    assert any(found for _, found in together)
    assert any(not found for _, found in together)


@given(after=st.integers(0, 130), count=st.integers(0, 140))
def test_any_part_of_everybody_reads_alike(shop, after, count):
    with shop.ws.store.look() as view:
        everybody = view.people(None, 10_000)
    start = everybody[after - 1] if 0 < after <= len(everybody) else None
    alike(shop, (start, count))


def test_of_whom_nothing_was_agreed_nothing_is_opened(shop, monkeypatch):
    seen = []
    real = Vault.open_columns, Vault.open

    def columns(self, permit, rows, category, at, into):
        assert category in permit.categories
        seen.append(permit.person)
        real[0](self, permit, rows, category, at, into)

    def plain(self, permit, rows, at):
        assert audience.INTERESTS in permit.categories
        seen.append(permit.person)
        return real[1](self, permit, rows, at)

    monkeypatch.setattr(Vault, "open_columns", columns)
    monkeypatch.setattr(Vault, "open", plain)
    with shop.ws.store.look() as view:
        pages = list(insight.everything(shop.ws.desk, view, MARKETER))
    agreed = {r.person for p in pages for r in p.rows if r.known.agreed & NEEDED}
    assert seen
    assert set(seen) <= agreed
    assert len(agreed) < sum(len(page.rows) for page in pages)


def test_a_rebuild_tells_how_far_it_is_and_is_one_event_of_the_house(shop):
    before, told = len(shop.house_events("SetProcessed")), []
    people = app.rebuild_reach(shop.ws, MARKETER, told.append)
    assert told[-1] == people
    assert told == sorted(told)
    added = shop.house_events("SetProcessed")[before:]
    assert [each.work for each in added] == ["rebuild"]


def test_purchases_of_somebody_of_another_page_are_refused(shop, tmp_path):
    from troth.adapters.reach import PersonRow, ReachWriter

    with shop.ws.store.look() as view:
        pages = [p for p in insight.everything(shop.ws.desk, view, MARKETER) if p.bought.people]
        stranger = [PersonRow(r.person, r.known) for r in pages[0].rows[:0]]
        writer = ReachWriter(tmp_path / "reach")
        with pytest.raises(InvalidInput):
            writer.rebuild_pages([(stranger, pages[0].bought)], view.now, 1)
        twice = [PersonRow(r.person, r.known) for r in pages[0].rows]
        with pytest.raises(InvalidInput):
            writer.rebuild_pages([(twice, pages[0].bought)] * 2, view.now, 1)


def test_who_is_erased_while_a_page_is_read_is_left_out_and_holds_up_nobody(shop):
    with shop.ws.store.look() as view:
        pages = list(insight.everything(shop.ws.desk, view, MARKETER))
        whose = pages[0].bought.people[0]
        shop.ws.desk.vault.keys.shred(whose, None, view.now)
        again = list(insight.everything(shop.ws.desk, view, MARKETER))
    assert whose not in again[0].bought.people
    rest = [p for p in pages[0].bought.people if p != whose]
    assert again[0].bought.people == rest
    row = next(r for r in again[0].rows if r.person == whose)
    assert row.known.interests is None
