"""Thandeka deletes last March; a data backup made before does not bring it back."""

import shutil
import sqlite3
from datetime import datetime, timedelta

import marula
import pytest

from troth.app import activity
from troth.app.owndata import Eyes
from troth.capabilities import people
from troth.kernel import vault
from troth.terms import Actor, Role, moment

ZONE = "Africa/Johannesburg"
AGREED = {
    "purpose": "personalise", "channels": "", "level": "4", "notice": "personalise@2",
    "categories": "identity.name;interests.declared;purchases.13w;purchases.52w",
}  # fmt: skip
LINES = (
    ("2026-02-28T23:59:00+02:00", "1002"), ("2026-03-01T00:00:00+02:00", "1001"),
    ("2026-03-14T09:00:00+02:00", "1001"), ("2026-03-31T23:59:59+02:00", "1003"),
    ("2026-04-01T00:00:00+02:00", "1002"), ("2026-10-05T10:00:00+02:00", "1002"),
)  # fmt: skip


@pytest.fixture
def story(house):
    person = house.newcomer("thandeka", {}, AGREED)
    buy(house, *LINES)
    return house, person


def buy(house, *lines):
    house.take("events", *(
        {"external_id": "thandeka", "at": at, "kind": "purchase", "item": item, "group": "g",
         "amount_minor": "1900", "currency": "ZAR", "units": "1", "store": "1"}
        for at, item in lines
    ))  # fmt: skip


def seen(house, person):
    """What the person's own page shows: local days and items, newest first."""
    eyes = Eyes(person, person)
    found = activity.look(house.ws, eyes, ZONE, activity.Filter())
    return [(moment(e.at).date().isoformat(), e.item) for e in found.entries], found


def march(house, person):
    chosen = activity.period(datetime(2026, 3, 1).date(), ZONE)
    eyes = Eyes(person, person)
    assert activity.count(house.ws, eyes, chosen) == {"purchases": 3}
    return activity.delete(house.ws, person, chosen, Actor(Role.PERSON, person.hex()))


def backup(house):
    """Copy the record as a data backup would: no keys, no journal."""
    copy = house.folder / "backup.db"
    source = sqlite3.connect(house.ws.settings.record)
    with sqlite3.connect(copy) as into:
        source.backup(into)
    source.close()
    into.close()
    return copy


def put_back(house, copy, person):
    """Lay the sealed rows of the backup over those of the record."""
    con = sqlite3.connect(copy)
    rows = con.execute("SELECT person, field, row, version, rec FROM sealed").fetchall()
    con.close()
    house.ws.close()
    with sqlite3.connect(house.ws.settings.record) as con:
        con.executemany("INSERT OR REPLACE INTO sealed VALUES (?, ?, ?, ?, ?)", rows)
    con.close()
    house.open()
    assert house.person("thandeka") == person


def test_march_goes_to_the_minute_of_her_own_zone_and_the_rest_stays(story):
    house, person = story
    done = march(house, person)
    assert (done.count, done.scopes) == (3, ("purchases/2026Q1",))  # quarters are kept in UTC
    assert [item for _, item in seen(house, person)[0]] == ["1002", "1002", "1002"]
    assert house.ws.verify() == []


def test_a_data_backup_made_before_opens_nothing_of_march_under_todays_keys(story):
    house, person = story
    copy = backup(house)
    march(house, person)
    put_back(house, copy, person)
    shown, found = seen(house, person)
    assert [item for _, item in shown] == ["1002"]  # October's quarter was not touched
    assert found.unreadable == 1  # the rest of that quarter lies under the destroyed key too
    box = house.desk.vault
    with house.ws.store.look() as view:
        old = view.sealed([person], ["purchases/2026Q1"])[person]
        assert len(old) == 1
        with pytest.raises(vault.Shredded):
            box.reopen_chunk(person, old[0], view.now)
    assert house.ws.verify() == []


def test_the_copy_of_the_keys_of_that_day_is_what_such_a_backup_would_need(story):
    """What is not promised, said: old keys and old data together open it (no epoch destroyed)."""
    house, person = story
    copy = backup(house)
    shutil.copytree(house.ws.settings.keys, house.folder / "old-keys")
    march(house, person)
    put_back(house, copy, person)
    house.ws.close()
    shutil.rmtree(house.folder / "keys")
    shutil.copytree(house.folder / "old-keys", house.folder / "keys")
    house.open()
    assert "1001" in [item for _, item in seen(house, person)[0]]


def test_what_she_does_later_is_kept_again_also_in_a_quarter_she_deleted_whole(story):
    house, person = story
    everything = people.Choice("kind")
    activity.delete(house.ws, person, everything, Actor(Role.PERSON, person.hex()))
    assert seen(house, person)[0] == []
    house.at(marula.NOW + timedelta(days=2))
    later = (marula.NOW + timedelta(days=1)).isoformat()
    buy(house, *LINES, (later, "1003"))  # a whole history again: nothing of it comes back
    assert seen(house, person)[0] == [(later[:10], "1003")]


def test_goods_she_excludes_are_in_no_message_and_come_back_when_she_says_so(house):
    person = house.newcomer("thandeka", {}, AGREED)
    days = [(marula.NOW - timedelta(days=n)).isoformat() for n in (2, 3, 4)]
    house.take("events", *(
        {"external_id": "thandeka", "at": at, "kind": "purchase", "item": item, "group": group,
         "amount_minor": "1900", "currency": "ZAR", "units": "1", "store": "1"}
        for at in days for item, group in (("1001", "tea"), ("1002", "bread"))
    ))  # fmt: skip
    me = Actor(Role.PERSON, person.hex())

    def text(name):
        assert house.send([person], house.campaign(name)).handed == 1
        return house.mails()[-1].path.read_text()

    people.set_exclusions(house.desk, person, {"tea"}, me)
    first = text("one")
    assert "Rooibos tea" not in first
    assert "Seed loaf" in first
    house.at(marula.NOW + timedelta(days=8))
    people.set_exclusions(house.desk, person, set(), me)
    assert "Rooibos tea" in text("two")
