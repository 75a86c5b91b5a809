"""Custody: one history is signed, an older copy is refused, a clock that lags writes nothing."""

import shutil
import sqlite3
from datetime import timedelta

import pytest

from troth import app
from troth.adapters.sqlite.record import SqliteStore
from troth.adapters.system import FixedClock
from troth.capabilities import custody
from troth.errors import EvidenceBroken, Unavailable
from troth.kernel import proof
from troth.terms import SECOND, Instant, instant


def size_of(note):
    return proof.parse_checkpoint(proof.parse_note(note)[0]).size


def copied(house, tmp_path):
    """Copy the record alone, as a second process on a copy would have it; witness/ is one."""
    house.ws.settle()
    other = tmp_path / "other"
    shutil.copytree(house.folder, other)
    shutil.rmtree(other / "witness")
    (other / "witness").symlink_to(house.folder / "witness")
    return other


def test_l3_two_processes_on_a_copied_record_cannot_sign_two_histories(house, tmp_path):
    house.ws.sign()
    other = app.open(copied(house, tmp_path), at=instant(house.when()))
    house.newcomer("mine")
    other.desk.record_house(_event(), _actor())
    other.desk.record_house(_event(), _actor())
    mine = house.ws.sign()
    with pytest.raises(EvidenceBroken):
        other.sign()
    with other.store.look() as view:
        assert size_of(view.note()) < size_of(mine)
    other.close()
    with pytest.raises(EvidenceBroken):
        app.open(tmp_path / "other", at=instant(house.when()))


def test_two_processes_on_one_record_sign_one_history(house):
    house.newcomer("one")
    second = app.open(house.folder, at=instant(house.when()))
    first = house.ws.sign()
    assert second.sign() == first
    house.newcomer("two")
    assert size_of(second.sign()) > size_of(first)
    second.close()
    assert house.ws.verify() == []


def test_a_crash_between_the_last_size_and_the_note_signs_the_same_state_again(house):
    house.newcomer("one")
    with house.ws.store.look() as view:
        state = view.log
    sizes = house.ws.signer.sizes
    sizes.advance(sizes.last(), state)
    assert size_of(house.ws.sign()) == state.size
    assert house.ws.verify() == []


def test_l1_a_record_cut_at_its_end_is_refused_at_open(house):
    house.newcomer("one")
    house.ws.sign()
    house.ws.close()
    with sqlite3.connect(house.folder / "data/record.db") as con:
        size = con.execute("SELECT size FROM log_state").fetchone()[0]
        con.execute("DELETE FROM entry WHERE seq >= ?", (size - 2,))
        con.execute("UPDATE log_state SET size = ?", (size - 2,))
    con.close()
    with pytest.raises(EvidenceBroken):
        house.open()


def test_l2_yesterdays_record_put_back_is_refused_at_open_and_nothing_is_written_to_it(house):
    house.ws.settle()
    kept = house.folder / "yesterday.db"
    shutil.copy(house.folder / "data/record.db", kept)
    house.newcomer("one")
    house.ws.sign()
    house.ws.close()
    shutil.copy(kept, house.folder / "data/record.db")
    before = (house.folder / "data/record.db").read_bytes()
    with pytest.raises(EvidenceBroken):
        house.open()
    assert (house.folder / "data/record.db").read_bytes() == before


def test_l2_an_empty_record_put_in_place_is_refused_before_a_ledger_is_begun_in_it(house):
    with house.ws.store.look() as view:
        assert view.log.size
    meta = {name: house.ws.store.meta(name) for name in ("workspace", "house", "origin")}
    house.ws.sign()
    house.ws.close()
    path = house.folder / "data/record.db"
    for each in path.parent.glob("record.db*"):
        each.unlink()
    empty = SqliteStore(path, FixedClock(Instant(1)), {})
    for name, value in meta.items():
        empty.set_meta(name, value)
    empty.close()
    with pytest.raises(EvidenceBroken):
        house.open()
    with sqlite3.connect(path) as con:
        assert con.execute("SELECT count(*) FROM entry").fetchone() == (0,)
    con.close()


@pytest.mark.parametrize("behind", [3, 3600])
def test_l13_a_clock_more_than_two_seconds_behind_the_record_writes_nothing(house, behind):
    house.newcomer("one")
    late = house.when() - timedelta(seconds=behind)
    with house.ws.store.look() as view:
        size = view.log.size
    second = app.open(house.folder, at=instant(late))
    with pytest.raises(Unavailable):
        second.desk.record_house(_event(), _actor())
    with second.store.look() as view:
        assert view.log.size == size
        assert view.now == instant(house.when())
    second.close()


def test_l13_a_second_of_disagreement_is_taken_with_the_records_time(house):
    second = app.open(house.folder, at=Instant(instant(house.when()) - SECOND))
    second.desk.record_house(_event(), _actor())
    with second.store.look() as view:
        assert view.now == instant(house.when())
    second.close()


def test_a_draft_that_does_not_read_publishes_nothing_at_all(house):
    with house.ws.store.look() as view:
        version, size = view.house_version, view.log.size
    with pytest.raises(Exception, match=r"purposes/offers\.toml"):
        custody.apply(house.desk, {"house": b"", "purpose:offers": b"name = 3"})
    with house.ws.store.look() as view:
        assert (view.house_version, view.log.size) == (version, size)


def _event():
    from troth.kernel.events import ImportFinished

    return ImportFinished("customers", "00" * 32, {})


def _actor():
    from troth.kernel.desk import SYSTEM

    return SYSTEM
