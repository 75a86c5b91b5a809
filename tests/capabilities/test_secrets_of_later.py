"""A key store made by an older Troth gets the secrets it lacks; a copy takes every one along."""

import shutil
import threading

import marula
import pytest

from troth import app
from troth.adapters.system import SystemRandomness
from troth.app import backup, doctor_files, keycopies
from troth.capabilities import rights
from troth.errors import EvidenceBroken, Unavailable


@pytest.fixture
def older(house):
    """A store of before there were backups."""
    house.ws.close()
    (house.folder / "keys" / "backup.key").unlink()
    return house


def test_a_workspace_just_begun_has_the_key_of_backups(house):
    held = house.folder / "keys" / "backup.key"
    assert len(held.read_bytes()) == 32
    assert held.stat().st_mode & 0o077 == 0


def test_an_older_store_gets_it_when_it_is_opened_and_keeps_it(older):
    older.open()
    first = (older.folder / "keys" / "backup.key").read_bytes()
    assert len(first) == 32
    older.open()
    assert older.ws.keys.secret("backup") == first


def test_a_lost_key_of_backups_that_are_remembered_is_not_replaced_at_open(house, tmp_path):
    backup.backup_data(house.ws, tmp_path)
    copy = tmp_path / "copy.keys"
    keycopies.backup_keys(house.ws, copy, marula.OFFICER)
    first = house.ws.keys.secret("backup")
    house.ws.close()
    (house.folder / "keys" / "backup.key").unlink()
    house.open()
    assert not (house.folder / "keys" / "backup.key").exists()
    house.ws.close()
    keycopies.restore_keys(house.folder, copy, marula.instant(marula.NOW))
    house.open()
    assert house.ws.keys.secret("backup") == first


def test_many_who_draw_at_once_draw_one(older):
    older.open()
    path = older.folder / "keys" / "backup.key"
    path.unlink()
    stores = [app.workspace.keystore.FileKeyStore(older.folder / "keys", older.desk.workspace)
              for _ in range(6)]  # fmt: skip
    seen, take = [], SystemRandomness().take

    def draw(store):
        store.complete(take)
        seen.append(path.read_bytes())

    threads = [threading.Thread(target=draw, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 6
    assert len(set(seen)) == 1
    for store in stores:
        store.close()


def test_one_cut_off_by_a_crash_is_drawn_anew(older):
    (older.folder / "keys" / "backup.key").touch(0o600)
    (older.folder / "keys" / "backup.key.part").touch(0o600)
    older.open()
    assert len(older.ws.keys.secret("backup")) == 32


def test_a_copy_of_the_keys_brings_back_every_named_secret_of_every_ledger(house, tmp_path):
    later = house.folder / "keys" / "log-ledger-2.key"
    app.workspace.keystore.write_secret(later, b"k" * 32)
    copy = tmp_path / "copy.keys"
    keycopies.backup_keys(house.ws, copy, marula.OFFICER)
    house.ws.close()
    keys = house.folder / "keys"
    kept = {path.name: path.read_bytes() for path in keys.glob("*.key")}
    assert {"backup.key", "log.key", later.name} <= kept.keys()
    for path in keys.glob("*.key"):
        if not path.name.startswith("kek-"):
            path.unlink()
    keycopies.restore_keys(house.folder, copy, marula.instant(marula.NOW))
    assert {path.name: path.read_bytes() for path in keys.glob("*.key")} == kept


# Where keys must not lie


def apart(house):
    (found,) = doctor_files.keys_apart(house.ws)
    return found


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [("storage", "backup_to", '"{}"'), ("keys", "backed_up", '["{}"]')],
)
def test_a_key_at_a_place_that_is_backed_up_is_bad(house, tmp_path, table, key, value):
    place = tmp_path / "elsewhere"
    place.mkdir()
    draft = house.folder / "troth.toml"
    text = draft.read_text()
    line, head = f"{key} = {value.format(place)}\n", f"[{table}]"
    before, found, after = text.partition(head)
    rest = after.partition("\n")[2]
    draft.write_text(f"{before}{head}\n{line}{rest}" if found else f"{text}\n{head}\n{line}")
    house.open()
    assert apart(house).state == "good"
    (place / "deep").mkdir()
    shutil.copy(house.folder / "keys" / "log.key", place / "deep")
    assert apart(house).state == "bad"
    assert "elsewhere" in apart(house).said


# The journal, and the anchors that saw it


def cut(house, *, anchors):
    """Say no, have it anchored, then lose the journal's end together with its mark."""
    person = house.newcomer("annelie", {})
    witness = house.folder / "witness"
    before = (
        (witness / "restrictions").read_bytes() if (witness / "restrictions").exists() else b""
    )
    kept = (witness / "anchors").read_bytes() if (witness / "anchors").exists() else b""
    rights.restrict(house.desk, person, "disputed", marula.OFFICER)
    house.ws.sign()
    house.ws.close()
    (witness / "restrictions").write_bytes(before)
    (witness / "restrictions.tip").unlink()
    if not anchors:
        (witness / "anchors").write_bytes(kept)


def test_a_journal_cut_together_with_its_mark_is_found_at_open_by_the_anchors(house):
    cut(house, anchors=True)
    with pytest.raises(EvidenceBroken, match="restriction journal"):
        app.open(house.folder, at=marula.instant(marula.NOW))


def test_a_newer_anchor_makes_the_difference(house):
    cut(house, anchors=False)
    house.open()


def test_a_folder_that_cannot_be_written_is_said(older, monkeypatch):
    def full(*_):
        raise OSError(28, "no room")

    monkeypatch.setattr("troth.adapters.sqlite.keyfile.write_secret", full)
    with pytest.raises(Unavailable, match="cannot be written"):
        older.open()
