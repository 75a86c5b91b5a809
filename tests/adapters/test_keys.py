"""A shredded key is gone from every file, its fence stays, and whatever is missing is said so."""

import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cast
import pytest

from troth.adapters.sqlite import keys as key_files
from troth.adapters.sqlite.keys import SECRETS, FileKeyStore
from troth.errors import Conflict, EvidenceBroken, Unavailable
from troth.kernel import vault
from troth.terms import KeyRow

A, B, NOW = cast.AGREED, cast.WITHDREW, cast.NOW
QUARTER = "purchases/2026Q4"


@pytest.fixture
def folder(tmp_path):
    key_files.create(tmp_path / "keys", cast.WORKSPACE, cast.Stream(b"keys"))
    return tmp_path / "keys"


@pytest.fixture
def store(folder):
    made = FileKeyStore(folder, cast.WORKSPACE)
    yield made
    made.close()


def row(who=A, scope="", kver=1, mark=b"w"):
    return KeyRow(who, scope, kver, "active", (mark * 66)[:66], b"k" * 16, 1)


def files(folder):
    return b"".join(p.read_bytes() for p in sorted(folder.iterdir()))


def ring(store, seed=b"ring"):
    return vault.Keyring(cast.WORKSPACE, store, cast.Stream(seed))


def test_rows_are_read_back_for_many_people_at_once(store):
    people = [cast.person(f"p{i}") for i in range(1_100)]
    store.add([row(p) for p in people])
    assert {r.person for r in store.rows(people)} == set(people)
    assert store.rows([people[7]]) == [row(people[7])]
    assert store.rows([]) == store.rows([cast.person("stranger")]) == []


def test_a_key_made_by_one_process_opens_what_another_sealed(folder, store):
    box = vault.Vault(ring(store), cast.Stream(), cast.LABELS)
    cast.with_keys(box, A)
    sealed = box.seal_values(A, {"name.given": "Ayanda"}, {}, NOW)
    again = FileKeyStore(folder, cast.WORKSPACE)
    other = vault.Vault(ring(again, b"other"), cast.Stream(), cast.LABELS)
    permit = cast.permit(A, {"identity": "full"})
    assert other.open(permit, sealed, NOW) == {"name.given": "Ayanda"}
    again.close()


def test_the_same_key_store_under_another_workspace_opens_nothing(folder, store):
    other = FileKeyStore(folder, b"\x99" * 16)
    with pytest.raises(EvidenceBroken):
        other.shard_key(5)
    other.close()


def test_adding_is_all_or_nothing(store):
    store.add([row()])
    with pytest.raises(Conflict):
        store.add([row(B), row()])
    assert store.rows([B]) == []
    store.add([row(B)])


@pytest.mark.parametrize("scopes", [None, ["", QUARTER]])
def test_V2_a_shredded_key_is_in_no_file_of_the_folder(folder, store, scopes):
    marks = {b"left-by-dek-one-", b"left-by-quarter-", b"left-by-dek-two-"}
    store.add([row(mark=b"left-by-dek-one-"), row(scope=QUARTER, mark=b"left-by-quarter-")])
    store.add([row(kver=2, mark=b"left-by-dek-two-"), row(B, mark=b"kept-for-other-p")])
    assert all(mark in files(folder) for mark in marks)
    assert store.shred(A, scopes, NOW) >= 3
    left = files(folder)
    assert not [mark for mark in marks if mark in left or mark[4:12] in left]
    assert b"kept-for-other-p" in left
    assert {r.state for r in store.rows([A])} == {"shredded"}
    assert {r.wrapped for r in store.rows([A])} == {b""}
    assert store.rows([B])[0].state == "active"


def test_V2_without_overwriting_the_same_search_would_find_the_key(folder):
    con = sqlite3.connect(folder / "keys.db", isolation_level=None)
    con.execute("PRAGMA secure_delete = OFF")
    con.execute(
        "INSERT INTO key_row VALUES (?, '', 1, 'active', ?, x'', 1, 0)",
        (A, b"left-by-dek-one-" * 4),
    )
    con.execute("UPDATE key_row SET wrapped = NULL")
    assert b"left-by-dek-one-" in files(folder)
    con.close()


def test_V21_shredding_is_repeatable_and_moves_the_fence_each_time(store):
    store.add([row(), row(scope=QUARTER)])
    before = store.fence()
    first = store.shred(A, None, NOW)
    assert store.fence() == before + 1
    held = store.rows([A])
    assert store.shred(A, None, NOW + 5) == first
    assert store.rows([A]) == held
    assert {r.fence_at for r in held} == {NOW}
    assert store.shred(cast.person("stranger"), None, NOW) == 1


def test_one_quarter_is_shredded_alone(store):
    store.add([row(), row(scope=QUARTER), row(scope="purchases/2026Q3")])
    assert store.shred(A, [QUARTER], NOW) == 1
    states = {r.scope: r.state for r in store.rows([A])}
    assert states == {"": "active", QUARTER: "shredded", "purchases/2026Q3": "active"}
    assert store.shred(A, [], NOW) == 0


def test_V3_V26_an_id_once_shredded_is_never_given_a_key_again(store):
    store.add([row()])
    store.shred(A, None, NOW)
    stranger = cast.person("stranger")
    store.shred(stranger, None, NOW)
    for again in (
        row(),
        row(kver=2),
        row(scope=QUARTER),
        row(stranger),
        row(stranger, QUARTER, 9),
    ):
        with pytest.raises(Conflict, match="never used again"):
            store.add([row(B, kver=7), again])
    assert store.rows([B]) == []
    with pytest.raises(Conflict):
        ring(store).make([(A, QUARTER, 3)])


def test_V24_a_shredded_quarter_takes_no_key_of_its_version_again_and_a_later_one_may_follow(
    store,
):
    store.add([row(), row(scope=QUARTER, kver=2)])
    store.shred(A, [QUARTER], NOW)
    for kver in (1, 2):
        with pytest.raises(Conflict):
            store.add([row(scope=QUARTER, kver=kver)])
    store.add([row(scope=QUARTER, kver=3)])


def test_V24_the_rest_of_a_quarter_lives_under_a_new_key_when_the_old_one_is_shredded(store):
    store.add([row(), row(scope=QUARTER, kver=1), row(scope="purchases/2026Q3")])
    store.add([row(scope=QUARTER, kver=2)])
    assert store.shred(A, [QUARTER], NOW, below=2) == 1
    states = {(r.scope, r.kver): r.state for r in store.rows([A])}
    assert states == {
        ("", 1): "active", (QUARTER, 1): "shredded", (QUARTER, 2): "active",
        ("purchases/2026Q3", 1): "active",
    }  # fmt: skip


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o750, 0o755, 0o704])
def test_a_key_folder_open_to_others_is_refused(folder, mode):
    folder.chmod(mode)
    with pytest.raises(Unavailable, match="chmod"):
        FileKeyStore(folder, cast.WORKSPACE)
    folder.chmod(0o700)
    FileKeyStore(folder, cast.WORKSPACE).close()


def test_every_file_is_for_its_owner_alone(folder):
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in (*(f"{s}.key" for s in SECRETS), "kek-1.key", "keys.db"):
        assert (folder / name).stat().st_mode & 0o077 == 0


def test_a_second_key_store_is_never_made_over_a_first(folder):
    before = files(folder)
    with pytest.raises(Conflict):
        key_files.create(folder, cast.WORKSPACE, cast.Stream(b"other"))
    assert files(folder) == before


def test_V7_without_the_key_encryption_key_nothing_is_read_and_the_file_is_named(folder, store):
    ring(store).make([(A, "", 1)])
    (folder / "kek-1.key").rename(folder.parent / "kek-1.key")
    cold = FileKeyStore(folder, cast.WORKSPACE)
    with pytest.raises(Unavailable, match=r"kek-1\.key"):
        ring(cold).key(A, NOW)
    (folder.parent / "kek-1.key").rename(folder / "kek-1.key")
    assert ring(cold).key(A, NOW).kver == 1
    cold.close()


def test_V7_another_or_a_damaged_key_encryption_key_opens_nothing(folder):
    for raw in (b"\x05" * 32, b"\x05" * 31, b""):
        (folder / "kek-1.key").write_bytes(raw)
        cold = FileKeyStore(folder, cast.WORKSPACE)
        with pytest.raises(EvidenceBroken):
            cold.shard_key(1)
        cold.close()


def test_a_missing_secret_and_a_missing_store_are_unavailable_and_named(folder, store, tmp_path):
    assert len({store.secret(name) for name in SECRETS}) == len(SECRETS)
    (folder / "bi.key").unlink()
    assert store.secret("bi")
    cold = FileKeyStore(folder, cast.WORKSPACE)
    with pytest.raises(Unavailable, match=r"bi\.key"):
        cold.secret("bi")
    cold.close()
    with pytest.raises(Unavailable) as told:
        FileKeyStore(tmp_path / "nowhere", cast.WORKSPACE)
    assert told.value.remedy


SHREDDER = """
import sys
from pathlib import Path
from troth.adapters.sqlite.keys import FileKeyStore
store = FileKeyStore(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]))
print(store.shred(bytes.fromhex(sys.argv[3]), None, int(sys.argv[4])))
"""


def test_V4_a_second_processs_shredding_is_noticed_at_the_next_load(folder, store):
    mine = ring(store)
    mine.make([(A, "", 1), (B, "", 1)])
    mine.load([A, B], NOW)
    args = [str(folder), cast.WORKSPACE.hex(), A.hex(), str(int(NOW))]
    subprocess.run([sys.executable, "-c", SHREDDER, *args], check=True, capture_output=True)
    assert mine.key(A, NOW)
    mine.load([B], NOW)
    with pytest.raises(vault.Shredded):
        mine.key(A, NOW)
    assert mine.key(B, NOW)


def test_V20_a_truncated_key_database_is_refused(folder):
    FileKeyStore(folder, cast.WORKSPACE).close()
    whole = (folder / "keys.db").read_bytes()
    for part in (len(whole) // 2, 4096, 100, 0):
        for extra in folder.glob("keys.db-*"):
            extra.unlink()
        (folder / "keys.db").write_bytes(whole[:part])
        with pytest.raises(EvidenceBroken) as told:
            FileKeyStore(folder, cast.WORKSPACE)
        assert told.value.remedy


def test_V20_a_row_whose_key_is_gone_or_another_is_reported_as_broken(folder, store):
    mine = ring(store)
    mine.make([(A, "", 1), (B, "", 1)])
    con = sqlite3.connect(folder / "keys.db", isolation_level=None)
    for wrong in (
        "wrapped = NULL",
        "wrapped = substr(wrapped, 1, 20)",
        "kcv = zeroblob(16)",
        "epoch = 2",
    ):
        held = con.execute("SELECT * FROM key_row WHERE psid = ?", (A,)).fetchone()
        con.execute(f"UPDATE key_row SET {wrong} WHERE psid = ?", (A,))
        cold = ring(store)
        cold.load([A, B], NOW)
        with pytest.raises(EvidenceBroken):
            cold.key(A, NOW)
        assert cold.key(B, NOW)
        con.execute("INSERT OR REPLACE INTO key_row VALUES (?, ?, ?, ?, ?, ?, ?, ?)", held)
    con.close()


def test_V1_V2_a_data_backup_and_an_old_key_backup_of_the_same_epoch_are_what_the_page_admits(
    folder, store, tmp_path
):
    """No epoch destroyed yet: an old copy of the key folder still opens old rows; nothing else does."""
    box = vault.Vault(ring(store), cast.Stream(), cast.LABELS)
    cast.with_keys(box, A)
    rows = box.seal_values(A, {"name.given": "Ayanda"}, {}, NOW)
    store._con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(folder, tmp_path / "old")
    store.shred(A, None, NOW)
    permit = cast.permit(A, {"identity": "full"})
    now = vault.Vault(ring(store), cast.Stream(), cast.LABELS)
    with pytest.raises(vault.Shredded):
        now.open(permit, rows, NOW)
    backup = FileKeyStore(tmp_path / "old", cast.WORKSPACE)
    then = vault.Vault(ring(backup), cast.Stream(), cast.LABELS)
    assert then.open(permit, rows, NOW) == {"name.given": "Ayanda"}
    backup.shred(A, None, NOW)
    again = vault.Vault(ring(backup), cast.Stream(), cast.LABELS)
    with pytest.raises(vault.Shredded):
        again.open(permit, rows, NOW)
    backup.close()


def test_a_failed_shredding_leaves_the_store_able_to_try_again(folder, store):
    store.add([row()])
    store._con.execute(
        "CREATE TEMP TRIGGER stop BEFORE UPDATE ON fence BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with pytest.raises((Unavailable, EvidenceBroken, Conflict)):
        store.shred(A, None, NOW)
    assert store.rows([A])[0].state == "active"
    store._con.execute("DROP TRIGGER stop")
    store.shred(A, None, NOW)
    assert store.rows([A])[0].state == "shredded"


def test_V9_a_key_store_held_by_another_is_unavailable(folder, store):
    holder = sqlite3.connect(folder / "keys.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    store._con.execute("PRAGMA busy_timeout = 50")
    for attempt in (lambda: store.add([row()]), lambda: store.shred(A, None, NOW)):
        with pytest.raises(Unavailable):
            attempt()
    holder.execute("ROLLBACK")
    holder.close()
    store.add([row()])


def test_a_reader_of_the_log_makes_shredding_say_repeat_and_repeating_clears_it(folder, store):
    store.add([row(mark=b"left-by-dek-one-")])
    reader = sqlite3.connect(folder / "keys.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM key_row").fetchone()
    store._con.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(Unavailable, match="repeat"):
        store.shred(A, None, NOW)
    assert store.rows([A])[0].state == "shredded"
    reader.execute("COMMIT")
    reader.close()
    store.shred(A, None, NOW)
    assert b"left-by-dek-one-" not in files(folder)


def test_a_key_row_survives_as_it_was_stored(store):
    kept = replace(row(scope=QUARTER, kver=3), state="retired")
    store.add([kept])
    assert store.rows([A]) == [kept]
    assert Path(cast.__file__).exists()
