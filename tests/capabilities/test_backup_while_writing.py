"""A backup is of one moment, whoever writes meanwhile; writers do not wait for it."""

import threading

import disaster
import marula

from troth.app import backup
from troth.terms import Actor, Role


def test_writers_go_on_while_a_backup_is_made_and_it_is_of_one_moment(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    stop, written = threading.Event(), []

    def write():
        while not stop.is_set():
            told.house.say(told.dumi, "withdrawn")
            written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(4):
            place = tmp_path / f"backup-{number}"
            before = len(written)
            backup.backup_data(house.ws, place)
            assert backup.check_backup(house.ws, place).checked_at  # counts, root and ledger hold
            assert len(written) > before
    finally:
        stop.set()
        writer.join()
    assert house.ws.verify() == []


def test_only_those_who_keep_the_house_make_backups(house, tmp_path):
    import pytest

    from troth.errors import InvalidInput

    with pytest.raises(InvalidInput, match="role"):
        backup.backup_data(house.ws, tmp_path / "x", marula.MARKETER)
    made = backup.backup_data(house.ws, tmp_path / "x", Actor(Role.IT, "gareth@marula.example"))
    assert made.path.stat().st_mode & 0o077 == 0


def test_a_copy_made_before_an_upgrade_goes_with_the_next_backup(house, tmp_path):
    older = house.folder / "data" / "before-9.db"
    older.write_bytes(b"an older record")
    done = house.ws.erase(house.newcomer("zanele", {}), "rq-zanele")
    assert any("before-9.db" in said for said in done.not_covered)
    backup.backup_data(house.ws, tmp_path / "x")
    assert not older.exists()
