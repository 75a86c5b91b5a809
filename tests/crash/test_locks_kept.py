"""What this process commits is not lost when another one leaves: SQLite's locks are never dropped."""

import subprocess
import sys

import locks
import pytest
from hub_shop import make_shop

from troth import app
from troth.app import doctor
from troth.kernel import events
from troth.terms import Actor, Role

SYSTEM = Actor(Role.SYSTEM, "system")
ANOTHER = """
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute("SELECT count(*) FROM person").fetchone()
con.close()
"""
"""A process that reads the record and leaves: the last one to leave deletes the write-ahead log."""


@pytest.fixture(scope="module")
def shop():
    return make_shop()


def another_comes_and_goes(record):
    subprocess.run([sys.executable, "-c", ANOTHER, str(record)], check=True, timeout=30)


def test_what_is_recorded_after_the_doctor_looked_is_there_for_everybody(shop):
    doctor.examine(shop.ws)
    another_comes_and_goes(shop.ws.settings.record)
    wal = shop.ws.settings.record.with_name("record.db-wal")
    assert wal.exists(), "the other process took itself for the last one and deleted the log"
    shop.ws.desk.record_house(events.AlarmRaised("test"), SYSTEM)
    other = app.open(shop.folder, at=shop.ws.clock.now())
    with other.store.look() as theirs:
        assert theirs.log.size == shop.size()
    other.close()


def test_a_file_opened_beside_sqlite_is_what_would_lose_it():
    record = make_shop().ws.settings.record
    with record.open("rb") as file:
        file.read(20)
    another_comes_and_goes(record)
    assert not record.with_name("record.db-wal").exists()


def test_code_of_ours_that_would_is_refused_in_every_test(shop, monkeypatch):
    monkeypatch.setattr(locks, "SOURCE", __file__)
    with pytest.raises(AssertionError, match="beside SQLite"):
        shop.ws.settings.record.open("rb")
    locks.seen.clear()
