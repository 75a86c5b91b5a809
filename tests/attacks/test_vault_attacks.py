"""The vault's attacks by number (V1 to V26), as far as keys, epochs and erasure reach.

V5 and V15 lie in tests/kernel/test_vault.py and tests/capabilities/test_erasure.py, V4 and V18 in
tests/adapters/test_epochs.py, V1, V23, V24 with the restore. Each check here is shown to fail.
"""

import json
import os
import shutil
import signal
import sqlite3
from collections import Counter
from datetime import timedelta

import marula
import pytest
from keyrings.alt.file import PlaintextKeyring

from troth import app
from troth.adapters import providers
from troth.app import escrow, keycare, keycopies, requests, residue, rotating
from troth.app import keys as house_keys
from troth.capabilities import rights
from troth.capabilities.custody import epochs
from troth.capabilities.rights.requests import Asked
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel import vault
from troth.terms import Actor, Role, instant

IT = Actor(Role.IT, "gareth@marula.example")
MARK = "zq7marked"
DAYS = timedelta(days=1)


def marked(house, name=MARK):
    person = house.newcomer(name, {}, given_name="Markedname", family_name="Testmarkson")
    for path in house.folder.glob("*.csv"):  # the shop's own export, not a file of the house
        path.unlink()
    return person


def leaves(house, kind):
    with house.ws.store.look() as view:
        entries = view.entries(0, view.log.size)
    public = (json.loads(each[1:]) for each in entries if each[:1] == b"\x01")
    return [each for each in public if each["type"] == kind]


def configured(house, **keys):
    """Add `[keys]` to troth.toml and open again."""
    house.ws.close()
    path = house.folder / "troth.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in keys.items()]
    path.write_text(path.read_text() + "\n[keys]\n" + "\n".join(lines) + "\n")
    return house.open()


def acts(house):
    return [e.payload.act for e in house.house_chain() if e.type == "key.acted"]


# V2 and the release gate


def test_release_gate_backup_erase_restore_keys_within_D_is_fenced_and_after_D_unreadable(
    house, tmp_path
):
    person, other = marked(house), house.person("c-agreed") or house.newcomer("somebody", {})
    keycopies.backup_keys(house.ws, tmp_path / "old.keys", IT)
    done = house.ws.erase(person, "rq-1", epoch_ends="now")
    assert (done.horizon.epoch, done.horizon.state) == (1, "scheduled")
    house.ws.close()

    within = instant(house_moment(3))
    restored = keycopies.restore_keys(house.folder, tmp_path / "old.keys", within)
    assert restored.fences >= 1
    house.open(house_moment(4))
    keys = house.desk.vault.keys
    with pytest.raises(vault.Shredded):
        keys.key(person, now(house))
    assert keys.key(other, now(house))
    assert house.ws.verify() == []
    assert [e.payload.kind for e in house.house_chain() if e.type == "backup.acted"][-1] == "keys"

    house.at(house_moment(8))
    assert 1 in house_keys.destroy_due(house.ws)  # the end promised in the certificate holds
    house.ws.close()
    with pytest.raises(Unavailable, match="opens nothing"):
        keycopies.restore_keys(house.folder, tmp_path / "old.keys", instant(house_moment(8)))
    house.open(house_moment(8))
    assert house.desk.vault.keys.key(other, now(house))


def house_moment(days):
    return marula.NOW + days * DAYS


def now(house):
    with house.ws.store.look() as view:
        return view.now


def test_V2_without_the_fences_of_the_store_before_the_copy_would_bring_the_key_back(
    house, tmp_path, monkeypatch
):
    person = marked(house)
    keycopies.backup_keys(house.ws, tmp_path / "old.keys", IT)
    house.ws.erase(person, "rq-1")
    house.ws.close()
    monkeypatch.setattr(keycopies, "_known", lambda *_: ([], []))  # planted
    keycopies.restore_keys(house.folder, tmp_path / "old.keys", instant(house_moment(1)))
    house.open(house_moment(2))
    assert house.desk.vault.keys.key(person, now(house))
    assert house.ws.keys.fence_again(house.desk.journal.lines()) >= 1  # what restore replays
    house.desk.vault.keys.load([person], now(house))
    with pytest.raises(vault.Shredded):
        house.desk.vault.keys.key(person, now(house))


def test_V2_a_lost_key_store_comes_back_from_its_copy_and_shares(house, tmp_path):
    shares = escrow.shares(house.ws, 3, 2, IT)
    keycopies.backup_keys(house.ws, tmp_path / "copy.keys", IT)
    with pytest.raises(Conflict):
        keycopies.backup_keys(house.ws, tmp_path / "copy.keys", IT)
    house.ws.close()
    shutil.rmtree(house.folder / "keys")
    with pytest.raises(Unavailable, match="opens nothing"):
        keycopies.restore_keys(house.folder, tmp_path / "copy.keys", instant(house_moment(1)))
    key = b"\x01" * 32
    with pytest.raises(EvidenceBroken):
        keycopies.restore_keys(house.folder, tmp_path / "copy.keys", instant(house_moment(1)), key)
    key = escrow.escrow.combine(shares[1:])
    keycopies.restore_keys(house.folder, tmp_path / "copy.keys", instant(house_moment(1)), key)
    house.open(house_moment(1))
    assert house.ws.verify() == []


def test_a_copy_of_the_keys_holds_no_epochs_key_and_no_cut_or_altered_one_opens(house, tmp_path):
    out = tmp_path / "copy.keys"
    keycopies.backup_keys(house.ws, out, IT)
    raw, kek = out.read_bytes(), (house.folder / "keys/kek-1.key").read_bytes()
    assert kek not in raw
    assert (house.folder / "keys/bi.key").read_bytes() not in raw
    assert b"SQLite" not in raw
    house.ws.close()
    for wrong in (raw[:-1], raw[: len(raw) // 2], raw[:-1] + bytes([raw[-1] ^ 1]), raw + b"x"):
        (tmp_path / "wrong.keys").write_bytes(wrong)
        with pytest.raises(EvidenceBroken):
            keycopies.restore_keys(house.folder, tmp_path / "wrong.keys", instant(house_moment(1)))
    (tmp_path / "none").write_bytes(b"hello")
    with pytest.raises(InvalidInput, match="no copy"):
        keycopies.restore_keys(house.folder, tmp_path / "none", instant(house_moment(1)))
    assert not (house.folder / "keys.restoring").exists()
    house.open()


@pytest.mark.parametrize("place", ["data/copy.keys", "keys/copy.keys", "backed/deep/copy.keys"])
def test_a_copy_of_the_keys_goes_to_another_place_than_the_data(house, place):
    configured(house, backed_up=["backed"])
    with pytest.raises(InvalidInput, match="another place"):
        keycopies.backup_keys(house.ws, house.folder / place, IT)


# V6


def test_V6_no_two_sealed_values_share_a_nonce_and_equal_ones_differ(house):
    box, person = house.desk.vault, marked(house)
    made = [
        box.seal_values(person, {"name.given": "Same"}, {}, now(house))[0] for _ in range(3_000)
    ]
    nonces = [vault.read_header(row.rec)[1] for row in made]
    assert len(set(nonces)) == len({row.rec for row in made}) == len(made)
    assert _even(b"".join(nonces))
    counting = b"".join(n.to_bytes(12, "big") for n in range(3_000))
    assert not _even(counting)  # planted: no nonce twice, and still no chance


def _even(data):
    """Chi-square over bytes; 255 degrees of freedom, 400 is beyond one in ten million."""
    counts, mean = Counter(data), len(data) / 256
    return sum((counts[b] - mean) ** 2 / mean for b in range(256)) < 400


@pytest.mark.parametrize(
    "take",
    [bytes, lambda n: b"ab" * (n // 2), lambda n: bytes(range(32)) * (n // 32)],
)
def test_V6_a_random_source_that_repeats_itself_stops_the_start(house, monkeypatch, take):
    monkeypatch.setattr("troth.adapters.system.SystemRandomness.take", lambda _, n: take(n))
    with pytest.raises(Unavailable, match="random source"):
        app.open(house.folder)


# V7, V9


def test_V7_a_lost_key_is_said_and_shares_of_the_epoch_in_force_bring_it_back(house):
    old = escrow.shares(house.ws, 3, 2, IT)
    house_keys.roll(house.ws, IT)
    made = escrow.shares(house.ws, 3, 2, IT)
    assert escrow.recover(house.folder, [made[0].text, made[2].text])[0] == 2
    with pytest.raises(InvalidInput, match="epoch 1, and epoch 2 is in force"):
        escrow.recover(house.folder, [old[0].text, old[1].text])
    with pytest.raises(InvalidInput, match="1 different shares are here, 2 are needed"):
        escrow.recover(house.folder, [made[0].text])
    house.ws.close()
    (house.folder / "keys/kek-2.key").unlink()
    with pytest.raises(Unavailable, match=r"kek-2\.key is missing"):
        app.open(house.folder)
    assert escrow.put_back(house.folder, [made[1].text, made[2].text]) == 2
    house.open()
    assert house.ws.verify() == []


def test_V7_shares_are_written_anew_into_their_folders_at_each_epoch(house, tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
    configured(house, escrow_to=[str(tmp_path / n) for n in "abc"], escrow_need=2)
    house_keys.roll(house.ws, IT)
    first = [(tmp_path / n / "troth-share.txt").read_text() for n in "abc"]
    assert escrow.recover(house.folder, first[:2])[0] == 2
    house_keys.roll(house.ws, IT)
    assert escrow.recover(house.folder, [(tmp_path / n / "troth-share.txt").read_text() for n in "bc"])[0] == 3  # fmt: skip
    with pytest.raises(InvalidInput):
        escrow.recover(house.folder, first)
    (tmp_path / "a").rename(tmp_path / "gone")
    house_keys.roll(house.ws, IT)  # a folder that is not there holds nothing up
    assert {c.id: c.state for c in house_keys.checks(house.ws)}["keys.escrow"] == "bad"


def test_V9_a_provider_that_is_down_queues_the_erasure_and_it_is_finished_later(
    house, monkeypatch
):
    person = marked(house)

    def down(*_):
        raise Unavailable("the provider does not answer")

    monkeypatch.setattr(house.ws.keys.provider, "new_epoch", down)
    with pytest.raises(Unavailable):
        house.ws.erase(person, "rq-1", epoch_ends="now")
    assert rights.unfinished(house.desk) == [person]
    with pytest.raises(vault.Shredded):
        house.desk.vault.keys.key(person, now(house))
    monkeypatch.undo()
    house.ws.follow()
    assert rights.unfinished(house.desk) == []
    assert len(leaves(house, "erase.done")) == 1


# V8: an epoch's end, killed between its steps


@pytest.mark.parametrize(
    ("place", "name"),
    [(epochs, "_told"), ("store", "turn"), ("store", "finish"), ("store", "destroy"),
     ("tx", "state")],
)  # fmt: skip
def test_V8_an_end_killed_between_its_steps_is_finished_once(house, place, name):
    configured(house, keep_days=0)
    house.ws.erase(marked(house), "rq-1")
    house.ws.close()
    child = os.fork()
    if not child:
        try:
            house.open()
            target = {"store": type(house.ws.keys.epochs), "tx": _transaction()}.get(place, place)
            setattr(target, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            house_keys.roll(house.ws)
            house_keys.destroy_due(house.ws)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    house.open(house_moment(2))
    house_keys.tend(house.ws)
    house_keys.tend(house.ws)
    held = [(e.epoch, e.state) for e in house.ws.keys.epochs.all()]
    assert held == [(1, "destroyed"), (2, "current")]
    assert Counter(acts(house)) == {"rolled": 1, "scheduled": 1, "destroyed": 1}
    assert [each["epoch"] for each in leaves(house, "key.epoch")] == [1]
    assert house.ws.verify() == []


def _transaction():
    from troth.adapters.sqlite.record import SqliteTransaction

    return SqliteTransaction


# V10 to V13: what is left anywhere


@pytest.mark.parametrize(
    ("place", "store"),
    [
        ("exports/list.csv", "exports"),
        ("spool/job-1", "spool"),
        ("logs/today.log", "logs"),
        ("tmp/upload", "temporary"),
        ("received/1.eml", "received"),
        ("data/troth.log", "data"),
        ("data/reach/7/people.parquet", "audiences"),
        ("keys/forgotten", "keys"),
        ("witness/note", "witness"),
    ],
)
def test_V10_V12_V13_an_erasure_is_not_complete_while_a_file_holds_a_value(house, place, store):
    person = marked(house)
    path = house.folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x00" * 5_000 + f"Traceback: ..., {MARK.upper()}@post.example".lower().encode()
    )
    with pytest.raises(Unavailable, match=rf"not complete.* {store} \(1\)") as told:
        house.ws.erase(person, "rq-1")
    assert MARK not in str(told.value)
    assert rights.unfinished(house.desk) == [person]
    assert leaves(house, "erase.done") == []
    path.unlink()
    house.ws.follow()  # the same process still knows what to look for
    assert rights.unfinished(house.desk) == []
    assert "values" in leaves(house, "erase.done")[0]["searched_for"]


def test_V10_keys_and_address_codes_betray_too_and_ids_where_they_must_not_be(house):
    person = marked(house)
    with house.ws.store.look() as view:
        code = view.gather([person], "email")[0].contact.bi
    row = house.ws.keys.rows([person])[0]
    _, shard = house.ws.keys.shard_key(vault.shard_of(person))
    bare = vault.unwrap(shard, house.desk.workspace, row)
    (house.folder / "exports").mkdir()
    for betraying in (row.wrapped, bare, code, bytes(person), person.hex().encode()):
        (house.folder / "exports/x").write_bytes(b"before" + betraying + b"after")
        with pytest.raises(Unavailable, match=r"exports \(1\)"):
            house.ws.erase(person, "rq-1")
    (house.folder / "exports/x").unlink()
    house.ws.follow()
    assert rights.is_erased(house.desk, person)


def test_V11_a_row_of_an_index_that_was_left_behind_is_found(house, monkeypatch):
    person = marked(house)
    with house.ws.store.look() as view:
        code = view.gather([person], "email")[0].contact.bi
    with house.ws.store.book() as tx:
        tx.put_row("planted.index", code, b"1")
    with pytest.raises(Unavailable, match=r"record \("):
        house.ws.erase(person, "rq-1")


def test_V10_a_plain_value_in_the_record_itself_is_found(house):
    person = marked(house)
    with house.ws.store.book() as tx:
        tx.put_row("planted.cache", b"k", f"{MARK}@post.example".encode())
    with pytest.raises(Unavailable, match=r"record \("):
        house.ws.erase(person, "rq-1")


def test_after_a_crash_ids_alone_are_searched_for_and_the_certificate_says_so(house):
    person = marked(house)

    def cut(step):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rights.erase(house.desk, person, "rq-1", IT_OFFICER, house.ws.settle, rights.Steps(cut))
    (house.folder / "logs").mkdir()
    (house.folder / "logs/x").write_text(person.hex())
    house.at(house.when())
    assert rights.unfinished(house.desk) == [person]
    (house.folder / "logs/x").unlink()
    house.ws.follow()
    done = house.ws.erase(person, "rq-1")
    assert done.scanned.by == ("ids",)
    assert any("plain values were not searched for" in line for line in done.not_covered)


IT_OFFICER = marula.OFFICER


def test_an_erasure_that_searched_nothing_says_so(house):
    done = rights.erase(house.desk, marked(house), "rq-1", IT_OFFICER, house.ws.settle)
    assert any("no store was searched" in line for line in done.not_covered)


def test_an_address_two_people_share_stays_where_the_other_has_it(house):
    person = house.newcomer("one", {}, email="shared.box@post.example")
    house.newcomer("two", {}, email="shared.box@post.example")
    for path in house.folder.glob("*.csv"):
        path.unlink()
    (house.folder / "exports").mkdir()
    (house.folder / "exports/two.csv").write_text("shared.box@post.example")
    assert house.ws.erase(person, "rq-1").scanned.by


def test_what_is_searched_for_has_no_readable_form_and_is_gone_afterwards(house):
    person = marked(house)
    residue.remember(house.ws, person)
    assert MARK not in repr(residue._MEMORY)
    assert MARK not in repr(residue._MEMORY.held[person])
    house.ws.erase(person, "rq-1")
    assert person not in residue._MEMORY.held


def test_a_search_that_fails_calls_nothing_complete(house, monkeypatch):
    person = marked(house)
    monkeypatch.setattr(residue.searcher, "__file__", "/nowhere")
    with pytest.raises(Unavailable, match="did not end"):
        house.ws.erase(person, "rq-1")
    assert leaves(house, "erase.done") == []
    monkeypatch.setattr(residue, "_asked", lambda *_: {"unread": ["x"], "found": {}})
    with pytest.raises(Unavailable, match="cannot be searched"):
        house.ws.erase(person, "rq-1")


# V14, V16, V21


def test_V21_V26_erased_twice_with_now_ends_one_epoch_and_makes_one_leaf(house):
    person = marked(house)
    first = house.ws.erase(person, "rq-1", epoch_ends="now")
    assert house.ws.erase(person, "rq-2", epoch_ends="now") == first
    assert [e.state for e in house.ws.keys.epochs.all()] == ["kept", "current"]
    with pytest.raises(NotFound):
        house.ws.erase(house.desk.new_person(), "rq-3", epoch_ends="now")
    with pytest.raises(Conflict):
        house.desk.vault.keys.make([(person, "", 2)])


def test_V16_a_request_taken_back_in_its_days_of_grace_erases_nobody_and_ends_no_epoch(house):
    person = marked(house)
    self = Actor(Role.PERSON, person.hex())
    made = requests.ask_deletion(house.ws, person, Asked("deletion"), self, wait=True)
    requests.cancel(house.ws, person, made.id, self)
    house.at(house_moment(60))
    requests.tend(house.ws)
    house_keys.tend(house.ws)
    assert house.desk.vault.keys.key(person, now(house))
    assert len(house.ws.keys.epochs.all()) == 1


# V17


def test_V17_a_rotation_cut_off_anywhere_leaves_everything_readable_and_goes_on(house):
    person = marked(house)
    before = house.chain(person)
    assert rotating.rotate_person(house.ws, person, IT).waiting == 1
    kvers = {r.kver: r.state for r in house.ws.keys.rows([person]) if not r.scope}
    assert kvers == {1: "retired", 2: "active"}
    with house.ws.store.look() as view:
        assert {vault.read_header(b.rec)[0] for b in view.bodies(person)} == {2}
    house.say(person, "withdrawn")
    assert house.chain(person)[: len(before)] == before
    house.at(house_moment(1))
    assert rotating.finish(house.ws).destroyed == 1
    assert {r.state for r in house.ws.keys.rows([person]) if r.kver == 1} == {"shredded"}
    assert len(house.chain(person)) == len(before) + 1
    assert house.ws.erase(person, "rq-1").keys == 2
    assert house.ws.verify() == []


def test_V17_a_rotation_of_everybody_killed_in_the_middle_goes_on_where_it_stopped(house):
    people = [house.newcomer(f"r{n}", {}) for n in range(6)]
    house.ws.close()
    child = os.fork()
    if not child:
        try:
            house.open()
            rotating.AT_ONCE, real, seen = 5, rotating._sweep, iter(range(9))
            rotating._sweep = lambda *a: (
                os.kill(os.getpid(), signal.SIGKILL) if next(seen) == 7 else real(*a)
            )
            rotating.rotate_all(house.ws, IT)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    house.open(house_moment(1))
    run = rotating.progress(house.ws)
    assert 0 < run.done < run.total
    assert all(house.chain(each) for each in people)
    rotating.rotate_all(house.ws, IT)
    assert rotating.progress(house.ws) is None
    house.at(house_moment(2))
    rotating.finish(house.ws)
    rows = [r for p in people for r in house.ws.keys.rows([p])]
    assert {r.kver for r in rows if r.state == "active"} == {2}
    assert house.ws.keys.retired_count() == 0
    assert all(house.chain(each) for each in people)
    assert acts(house).count("rotated") == 1


def test_V17_a_key_a_message_under_way_lies_under_is_not_destroyed(house):
    person = house.newcomer("sent", {})
    house.book([person])
    rotating.rotate_person(house.ws, person, IT)
    house.at(house_moment(1))
    assert rotating.finish(house.ws).waiting == 1
    assert house.hand_over().handed == 1
    assert rotating.finish(house.ws).waiting == 0


# V19, V20


@pytest.mark.parametrize("where", ["data/kek-1.key", "data/old/kek-7.key"])
def test_V19_a_key_of_an_epoch_below_the_data_stops_the_start(house, where):
    house.ws.close()
    path = house.folder / where
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(house.folder / "keys/kek-1.key", path)
    with pytest.raises(Unavailable, match="lies under data/"):
        app.open(house.folder)
    path.unlink()
    house.open()


def test_V19_a_key_folder_below_a_folder_that_is_backed_up_stops_the_start(house, tmp_path):
    house.ws.close()
    path = house.folder / "troth.toml"
    before = path.read_text()
    for backed in (".", "keys", str(house.folder.parent)):
        path.write_text(before + f'\n[keys]\nbacked_up = ["{backed}"]\n')
        with pytest.raises(Unavailable, match="backed up"):
            app.open(house.folder)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/link").symlink_to(house.folder / "keys")
    path.write_text(before + '\n[keys]\nbacked_up = ["data"]\n')
    house.open()


@pytest.mark.parametrize(
    "wrong",
    ['provider = "vault"', "keep_days = -1", "keep_days = 400", 'epoch = "hourly"', "typo = 1",
     'backed_up = "data"', 'escrow_to = ["a", "b"]\nescrow_need = 3', "escrow_need = true",
     "provider = 4", 'passphrase = "words"'],
)  # fmt: skip
def test_settings_of_the_keys_that_do_not_read_stop_the_start(house, wrong):
    house.ws.close()
    path = house.folder / "troth.toml"
    before = path.read_text()
    path.write_text(before + f"\n[keys]\n{wrong}\n")
    with pytest.raises(InvalidInput, match=r"\[keys\]"):
        app.open(house.folder)
    path.write_text(before)
    house.open()


def test_V20_a_key_of_another_is_reported_for_whom_it_is_and_never_as_not_found(house):
    person, other = marked(house), house.newcomer("other", {})
    con = sqlite3.connect(house.folder / "keys/keys.db", isolation_level=None)
    swapped = con.execute("SELECT wrapped, kcv FROM key_row WHERE psid = ?", (other,)).fetchone()
    con.execute("UPDATE key_row SET wrapped = ?, kcv = ? WHERE psid = ?", (*swapped, person))
    con.close()
    house.at(house.when())
    with pytest.raises(EvidenceBroken):
        house.desk.vault.keys.key(person, now(house))
    assert house.desk.vault.keys.key(other, now(house))
    assert house_keys.damaged(house.ws) == [person]


# V22


def test_V22_strict_mode_destroys_at_once_and_says_what_the_provider_says(house):
    configured(house, keep_days=0)
    done = house.ws.erase(marked(house), "rq-1", epoch_ends="now")
    assert (done.horizon.epoch, done.horizon.state) == (1, "destroyed")
    assert done.horizon.method == providers.BEST_EFFORT
    assert not any("backup of keys/" in line for line in done.not_covered)
    leaf = leaves(house, "erase.done")[0]
    assert (leaf["epoch_destroyed"], leaf["method"]) == (1, "best effort on this disk")
    ended = leaves(house, "key.epoch")[0]
    assert (ended["epoch"], ended["final_after"]) == (1, leaf["final_after"])
    assert ended["shards"] == 1
    assert not (house.folder / "keys/kek-1.key").exists()


@pytest.mark.parametrize("keep", [1, 7, 30])
def test_V22_the_date_in_the_certificate_is_D_days_after_the_epoch_and_then_it_is_so(house, keep):
    configured(house, keep_days=keep)
    done = house.ws.erase(marked(house), "rq-1", epoch_ends="now")
    assert done.horizon.at == instant(house_moment(keep))
    assert [t for t in done.not_covered if t.startswith("until 2026-")]
    house.at(house_moment(keep))
    house_keys.tend(house.ws)
    assert house.ws.keys.epochs.all()[0].state == "destroyed"
    ended = leaves(house, "key.epoch")[0]["final_after"]
    assert ended == leaves(house, "erase.done")[0]["final_after"]


def test_V22_the_days_batch_gives_one_end_to_all_who_were_erased_and_none_before(house):
    first = house.ws.erase(marked(house, "zz1"), "rq-1")
    house.ws.erase(marked(house, "zz2"), "rq-2")
    assert first.horizon.state == ""
    assert "backup of keys/" in first.not_covered[0]
    house.at(house_moment(1))
    house_keys.tend(house.ws)
    house_keys.tend(house.ws)
    assert house_keys.horizon_of(house.ws, first.horizon.epoch).state == "scheduled"
    assert [e.state for e in house.ws.keys.epochs.all()] == ["kept", "current"]
    house.at(house_moment(3))
    house_keys.tend(house.ws)  # nothing was shredded since: no new epoch
    assert len(house.ws.keys.epochs.all()) == 2
    house.at(house_moment(9))
    house_keys.tend(house.ws)
    assert house_keys.horizon_of(house.ws, first.horizon.epoch).state == "destroyed"


def test_V22_a_keyring_states_what_the_system_says(house, tmp_path, monkeypatch):
    ring = PlaintextKeyring()
    ring.file_path = str(tmp_path / "ring.cfg")
    monkeypatch.setattr(keycare, "system_backend", lambda: ring)
    house.ws.close()
    folder = tmp_path / "ringed"
    folder.mkdir()
    marula.write_drafts(folder, marula.NOW)
    path = folder / "troth.toml"
    path.write_text(path.read_text() + '\n[keys]\nprovider = "keyring"\nkeep_days = 0\n')
    app.init(folder)
    other = marula.House(folder)
    other.ws.apply()
    assert not list((folder / "keys").glob("kek-*"))
    person = marked(other)
    done = other.ws.erase(person, "rq-1", epoch_ends="now")
    assert done.horizon.state == "destroyed"
    assert "keyring" in done.horizon.method
    other.ws.close()
    house.open()


def test_an_ended_epoch_that_is_not_destroyed_is_red(house):
    house_keys.roll(house.ws, IT)
    states = {c.id: c.state for c in house_keys.checks(house.ws)}
    assert states["keys.ends"] == "good"
    house.at(house_moment(12))
    states = {c.id: c.state for c in house_keys.checks(house.ws)}
    assert states["keys.ends"] == "bad"


def test_only_those_who_keep_the_keys_may_touch_them(house):
    for act in (
        lambda: house_keys.roll(house.ws, marula.MARKETER),
        lambda: house_keys.destroy_due(house.ws, marula.MARKETER),
        lambda: escrow.shares(house.ws, 3, 2, marula.MARKETER),
        lambda: rotating.rotate_all(house.ws, marula.MARKETER),
        lambda: keycopies.backup_keys(house.ws, house.folder / "x", marula.MARKETER),
    ):
        with pytest.raises(InvalidInput, match="keeps no keys"):
            act()
    assert acts(house) == []
