"""What random kills once found, each cut down to the one step that shows it."""

import io
import shutil
from functools import partial

import marula
import pytest

from troth.adapters import archive
from troth.adapters.system import SystemRandomness
from troth.adapters.witness import FileSignedSize
from troth.app import backup
from troth.capabilities import rights
from troth.capabilities.custody import epochs
from troth.kernel import events

SECRET = bytes(32)


@pytest.fixture
def house(made, tmp_path):
    shutil.copytree(made, tmp_path / "house")
    house = marula.House(tmp_path / "house")
    yield house
    house.ws.close()


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 5_000_000])
def test_a_backup_of_what_packs_well_opens_again_whatever_its_size(tmp_path, size):
    packs_well = (b"the same line again and again\n" * (size // 30 + 1))[:size]
    with archive.writing(tmp_path / "made", SECRET, SystemRandomness()) as into:
        into.add("record.db", io.BytesIO(packs_well), size)
        into.close({})
    (tmp_path / "out").mkdir()
    archive.Unpacked.read(tmp_path / "made", SECRET, tmp_path / "out")
    assert (tmp_path / "out" / "record.db").read_bytes() == packs_well


@pytest.mark.parametrize("place", ["data/.backup-killed/record.db", "keys/copy.db"])
def test_a_copy_a_kill_left_behind_stops_no_erasure_after_the_next_start(house, place):
    left = house.folder / place
    left.parent.mkdir(exist_ok=True)
    original = "keys/keys.db" if place.startswith("keys") else "data/record.db"
    house.ws.settle()
    house.ws.keys._file.truncate_log()
    shutil.copy(house.folder / original, left)
    house.at(marula.NOW)
    assert not left.exists()
    person = house.person("c001")
    house.ws.erase(person, "rq-found")
    assert rights.is_erased(house.desk, person)


def test_an_erasure_carried_out_by_two_at_once_is_finished_for_both(house):
    person = house.person("c001")
    settle, actor = house.ws.settle, marula.OFFICER

    def another(step):
        if step == 3:
            rights.erase(house.desk, person, "rq-found", actor, settle)

    done = rights.erase(house.desk, person, "rq-found", actor, settle, rights.Steps(another))
    assert rights.unfinished(house.desk) == []
    assert rights.erase(house.desk, person, "rq-found", actor, settle) == done


def test_a_backup_key_whose_writing_was_cut_off_is_drawn_anew(house, tmp_path):
    (house.folder / "keys" / "backup.key").touch(0o600)
    (tmp_path / "backups").mkdir()
    assert backup.backup_data(house.ws, tmp_path / "backups").path.exists()


class Beside:
    """The epochs of a store, with another process that rolls them right before or after a step."""

    def __init__(self, store, step, after, act):
        self.store, self.step, self.after, self.act = store, step, after, act

    def __getattr__(self, name):
        found = getattr(self.store, name)
        return partial(self.do, found) if name == self.step else found

    def do(self, found, *given):
        act, self.act = self.act, lambda: None
        if not self.after:
            act()
        made = found(*given)
        if self.after:
            act()
        return made


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", ["all", "touched", "begin"])
def test_two_that_end_the_key_epoch_at_once_each_tell_what_they_did(house, step, after):
    store = house.ws.keys.epochs
    another = Beside(store, step, after, lambda: epochs.roll(house.desk, store, 7))
    epochs.roll(house.desk, another, 7)
    told = [
        event.payload.epoch for event in house.house_chain()
        if event.type == "key.acted" and event.payload.act == "rolled"
    ]  # fmt: skip
    assert told == [each.epoch for each in store.all()][1:]
    assert {each.state for each in store.all()} == {"kept", "current"}


def test_a_house_opens_and_signs_while_another_process_signs(house, monkeypatch):
    """What is shown outside is read first, the record after it: it can only have grown."""
    real, busy = FileSignedSize.last, []

    def another_signs_first(self):
        if not busy:
            busy.append(True)
            house.desk.record_house(events.SetProcessed("report", "x", 1, {}, ""), marula.OFFICER)
            house.ws.sign()
            busy.clear()
        return real(self)

    house.ws.sign()
    monkeypatch.setattr(FileSignedSize, "last", another_signs_first)
    house.ws.sign()
    marula.House(house.folder).ws.close()
