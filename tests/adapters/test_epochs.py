"""An epoch that ends takes with it what was shredded in it, in every copy; everybody else reads on."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace

import cast
import pytest

from troth.adapters.providers import FileProvider
from troth.adapters.sqlite import keyfile, schema
from troth.adapters.sqlite import keys as key_files
from troth.adapters.sqlite.keys import FileKeyStore
from troth.errors import Conflict, EvidenceBroken, NotFound, Unavailable
from troth.kernel import vault
from troth.terms import DAY, Instant, KeyRow

NOW = cast.NOW
QUARTER = "purchases/2026Q4"
PEOPLE = [cast.person(f"p{n}") for n in range(40)]
A, B = PEOPLE[0], PEOPLE[1]
BESIDE_A = [bytes(A[:8]) + bytes([n]) * 8 for n in range(1, 4)]
"""People of A's shard."""


@pytest.fixture
def folder(tmp_path):
    key_files.create(tmp_path / "keys", cast.WORKSPACE, cast.Stream(b"keys"))
    return tmp_path / "keys"


@pytest.fixture
def store(folder):
    made = FileKeyStore(folder, cast.WORKSPACE)
    ring(made).make([(p, "", 1) for p in [*PEOPLE, *BESIDE_A]] + [(A, QUARTER, 1)])
    yield made
    made.close()


def ring(store, seed=b"ring"):
    return vault.Keyring(cast.WORKSPACE, store, cast.Stream(seed))


def roll(store, at=NOW, keep=7):
    epoch = store.epochs.begin(at)
    done = store.epochs.turn(epoch)
    store.epochs.finish(epoch, at, Instant(at + keep * DAY))
    return epoch, done


def readable(store, people=(*PEOPLE[1:], *BESIDE_A)):
    cold = ring(store, b"cold")
    return all(cold.key(p, NOW).kver == 1 for p in people)


def test_a_roll_touches_the_shards_where_a_key_was_shredded_and_re_wraps_all(store):
    store.shred(A, None, NOW)
    assert store.epochs.touched() == 1
    before = {r.person: r.wrapped for r in store.rows([B, *BESIDE_A])}
    assert roll(store) == (2, (1, len(BESIDE_A)))
    after = {r.person: r for r in store.rows([B, *BESIDE_A])}
    assert after[B].wrapped == before[B]
    assert {after[p].epoch for p in BESIDE_A} == {2}
    assert all(after[p].wrapped != before[p] for p in BESIDE_A)
    assert {kek for (kek,) in store._con.execute("SELECT kek FROM shard")} == {2}
    assert store.epochs.touched() == 0
    assert readable(store)
    with pytest.raises(vault.Shredded):
        ring(store).key(A, NOW)


def test_a_roll_with_nothing_shredded_re_wraps_shard_keys_alone(store):
    fence = store.fence()
    assert roll(store)[1] == (0, 0)
    assert store.fence() > fence
    assert readable(store)


def test_epochs_follow_one_another_and_each_says_where_it_stands(store):
    roll(store, NOW)
    roll(store, Instant(NOW + DAY), keep=3)
    held = store.epochs.all()
    assert [(e.epoch, e.state) for e in held] == [(1, "kept"), (2, "kept"), (3, "current")]
    assert (held[0].due, held[1].due) == (NOW + 7 * DAY, NOW + 4 * DAY)


def test_V18_an_old_row_put_back_after_the_roll_opens_nothing(folder, store):
    held = store.rows([A, *BESIDE_A])
    old_shard = store._con.execute("SELECT * FROM shard WHERE shard = ?", (vault.shard_of(A),)).fetchone()  # fmt: skip
    store.shred(A, None, NOW)
    roll(store)
    con = sqlite3.connect(folder / "keys.db", isolation_level=None)
    con.execute("DELETE FROM key_row WHERE psid = ?", (A,))
    for row in held:
        con.execute("INSERT OR REPLACE INTO key_row VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _row(row))
    for who in (A, BESIDE_A[0]):  # the row alone: another epoch's key wrapped it
        with pytest.raises(EvidenceBroken):
            ring(store).key(who, NOW)
    con.execute("INSERT OR REPLACE INTO shard VALUES (?, ?, ?, ?, ?)", old_shard)
    con.execute("UPDATE fence SET counter = counter + 1")
    cold = FileKeyStore(folder, cast.WORKSPACE)
    assert ring(cold).key(A, NOW)  # with its shard's row, too, while the epoch is kept
    con.execute("UPDATE shard SET kek = 2, epoch = 2 WHERE shard = ?", (vault.shard_of(A),))
    con.execute("UPDATE fence SET counter = counter + 1")
    with pytest.raises(EvidenceBroken):  # nor under another epoch's name
        ring(cold).key(A, NOW)
    con.execute("INSERT OR REPLACE INTO shard VALUES (?, ?, ?, ?, ?)", old_shard)
    con.execute("UPDATE fence SET counter = counter + 1")
    FileProvider(folder, cast.Stream()).destroy_epoch(1, NOW)
    gone = FileKeyStore(folder, cast.WORKSPACE)
    with pytest.raises(Unavailable):
        ring(gone).key(A, NOW)
    for each in (cold, gone):
        each.close()
    con.close()


def _row(row):
    return (row.person, row.scope, row.kver, row.state, row.wrapped or None, row.kcv, row.epoch,
            row.fence_at)  # fmt: skip


def test_V2_a_copy_of_the_whole_folder_opens_until_the_epoch_is_destroyed_and_not_after(
    folder, store, tmp_path
):
    store._con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copyfile(folder / "keys.db", tmp_path / "old.db")
    store.shred(A, None, NOW)
    roll(store)

    def from_the_copy():
        backup = tmp_path / f"backup{len(list(tmp_path.iterdir()))}"
        backup.mkdir(mode=0o700)
        shutil.copyfile(tmp_path / "old.db", backup / "keys.db")
        held = FileKeyStore(backup, cast.WORKSPACE, FileProvider(folder, cast.Stream()))
        try:
            return ring(held).key(A, NOW)
        finally:
            held.close()

    assert from_the_copy()
    store.epochs.destroy(1, Instant(NOW + 7 * DAY))
    with pytest.raises(Unavailable):
        from_the_copy()
    assert readable(store)


def test_the_epoch_in_force_and_unknown_ones_are_not_destroyed(store):
    with pytest.raises(Conflict, match="in force"):
        store.epochs.destroy(1, NOW)
    with pytest.raises(NotFound):
        store.epochs.destroy(9, NOW)
    store.epochs.begin(NOW)
    with pytest.raises(Conflict):
        store.epochs.destroy(2, NOW)
    with pytest.raises(Conflict, match="not under"):
        store.epochs.finish(2, NOW, NOW)
    assert readable(store)


def test_destroying_twice_states_the_same(store):
    roll(store)
    first = store.epochs.destroy(1, NOW)
    assert store.epochs.destroy(1, Instant(NOW + DAY)) == first
    assert store.epochs.all()[0].destroyed == NOW


def test_V9_a_provider_that_is_down_holds_up_the_roll_and_nobody_who_reads(store, monkeypatch):
    mine = ring(store)
    mine.load(PEOPLE, NOW)

    def down(*_):
        raise Unavailable("the provider does not answer")

    monkeypatch.setattr(store.provider, "new_epoch", down)
    with pytest.raises(Unavailable):
        roll(store)
    assert mine.key(B, NOW)
    monkeypatch.undo()
    assert roll(store)[0] == 2
    assert readable(store, PEOPLE)


def test_one_key_that_does_not_open_holds_up_nobodys_erasure(store):
    store._con.execute("UPDATE key_row SET kcv = zeroblob(16) WHERE psid = ?", (BESIDE_A[0],))
    store.shred(A, None, NOW)
    assert roll(store)[1] == (1, len(BESIDE_A) - 1)
    with pytest.raises(EvidenceBroken):
        ring(store).key(BESIDE_A[0], NOW)
    assert readable(store, [*PEOPLE[1:], *BESIDE_A[1:]])


ROLLER = """
import sys
from pathlib import Path
from troth.adapters.sqlite.keys import FileKeyStore
from troth.terms import Instant
store = FileKeyStore(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]))
store.shred(bytes.fromhex(sys.argv[3]), None, int(sys.argv[4]))
epoch = store.epochs.begin(Instant(int(sys.argv[4])))
store.epochs.turn(epoch)
store.epochs.finish(epoch, Instant(int(sys.argv[4])), Instant(0))
store.epochs.destroy(1, Instant(int(sys.argv[4])))
"""


def rolled_elsewhere(folder, who=A):
    args = [str(folder), cast.WORKSPACE.hex(), bytes(who).hex(), str(int(NOW))]
    subprocess.run([sys.executable, "-c", ROLLER, *args], check=True, capture_output=True)


def test_V4_another_process_reads_on_through_a_roll_and_forgets_who_was_shredded(folder, store):
    mine = ring(store)
    mine.load([*PEOPLE, *BESIDE_A], NOW)
    assert mine.key(BESIDE_A[0], NOW)
    rolled_elsewhere(folder)
    for who in (*BESIDE_A, B):  # one unwrapped before, the others at their first use after
        assert mine.key(who, NOW).kver == 1
    with pytest.raises(vault.Shredded):
        mine.load([A], NOW) or mine.key(A, NOW)


def test_a_key_loaded_before_a_roll_and_used_first_after_it_is_read_anew(folder, store):
    mine = ring(store)
    mine.load(BESIDE_A, NOW)
    rolled_elsewhere(folder)
    assert {mine.key(who, NOW).kver for who in BESIDE_A} == {1}


def test_a_key_made_while_an_epoch_ends_is_wrapped_again(folder, store):
    mine = ring(store)
    new = bytes(A[:8]) + b"newcomer"
    kept = store.shard_key(vault.shard_of(A))
    rolled_elsewhere(folder)
    store.shard_key, real = lambda _: kept, store.shard_key
    with pytest.raises(vault.Rewrapped):
        store.add([replace(mine._made(new, "", 1))])
    with pytest.raises(Unavailable, match="keeps changing"):
        mine.make([(new, "", 1)])
    store.shard_key = real
    mine.make([(new, "", 1)])
    assert readable(store, [new])


def test_a_store_begun_before_there_were_epochs_opens_unchanged_and_rolls(tmp_path, monkeypatch):
    """Written by hand as step 1 left it; the second step adds, and rewrites nothing."""
    old = tmp_path / "old"
    old.mkdir(mode=0o700)
    stream = cast.Stream(b"old")
    FileProvider(old, stream).new_epoch(1)
    con = schema.connect(old / "keys.db")
    schema.migrate(con, old / "keys.db", keyfile.STEPS[:1])
    kek = (old / "kek-1.key").read_bytes()
    for shard in range(vault.SHARDS):
        raw, nonce = stream.take(32), stream.take(12)
        aad = vault.lp(b"shard1", cast.WORKSPACE, (1).to_bytes(4, "big"), shard.to_bytes(4, "big"))
        wrapped = nonce + vault.crypto.Aead(kek).seal(nonce, raw, aad)
        con.execute("INSERT INTO shard VALUES (?, 1, ?)", (shard, wrapped))
        if shard == vault.shard_of(B):
            draft = KeyRow(B, "", 1, "active", b"", vault.key_check(b"d" * 32), 1)
            row = replace(draft, wrapped=vault.wrap(raw, stream.take(12), b"d" * 32, cast.WORKSPACE, draft))  # fmt: skip
            con.execute("INSERT INTO key_row VALUES (?, ?, ?, ?, ?, ?, ?, 0)", _row(row)[:7])
    con.execute("INSERT INTO key_row VALUES (?, '', 0, 'shredded', NULL, x'', 0, 5)", (A,))
    con.close()
    store = FileKeyStore(old, cast.WORKSPACE)
    assert readable(store, [B])
    assert store.epochs.touched() == vault.SHARDS  # nobody noted which: each is renewed once
    assert roll(store)[1] == (vault.SHARDS, 1)
    assert readable(store, [B])
    store.close()


# kill -9 at statements


def killed_at(folder, statement):
    """Roll in a process of its own that kills itself at the n-th statement; False: it finished."""
    child = os.fork()
    if not child:
        try:
            store = FileKeyStore(folder, cast.WORKSPACE)
            seen = iter(range(1, 1 << 30))
            store._con.set_trace_callback(
                lambda _: next(seen) == statement and os.kill(os.getpid(), signal.SIGKILL)
            )
            roll(store)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def prepared(folder, store):
    for who in (A, PEOPLE[5]):
        store.shred(who, None, NOW)
    store.close()
    return [p for p in (*PEOPLE, *BESIDE_A) if p not in (A, PEOPLE[5])]


def check_after_kill(folder, tmp_path, living, statement):
    copy = tmp_path / f"kill{statement}"
    shutil.copytree(folder, copy)
    copy.chmod(0o700)
    killed = killed_at(copy, statement)
    store = FileKeyStore(copy, cast.WORKSPACE)
    assert readable(store, living), statement
    if killed:
        rolling = [e.epoch for e in store.epochs.all() if e.state == "rolling"]
        epoch, _ = roll(store, Instant(NOW + DAY))
        assert not rolling or epoch == rolling[0]
    assert readable(store, living), statement
    assert store.epochs.touched() == 0
    for each in store.epochs.all()[:-1]:
        store.epochs.destroy(each.epoch, Instant(NOW + DAY))
    cold = FileKeyStore(copy, cast.WORKSPACE)
    assert readable(cold, living), statement
    for who in (A, PEOPLE[5]):
        with pytest.raises(vault.Shredded):
            ring(cold).key(who, NOW)
    store.close()
    cold.close()
    shutil.rmtree(copy)
    return killed


def test_V8_a_roll_killed_at_any_of_these_statements_is_gone_on_with(folder, store, tmp_path):
    living = prepared(folder, store)
    places = [*range(1, 24), 30, 100, 403, 404, 900, 1700, 3000]
    assert all(check_after_kill(folder, tmp_path, living, place) for place in places)


@pytest.mark.soak
def test_V8_a_roll_killed_at_many_more_statements_is_gone_on_with(folder, store, tmp_path):
    living, statement = prepared(folder, store), 1
    while check_after_kill(folder, tmp_path, living, statement):
        statement += 1 if statement < 60 else 41
    assert statement > 3000


# Versions and fences


def test_V17_a_retired_key_opens_until_it_is_shredded_and_is_no_erasure(store):
    mine = ring(store)
    mine.make([(B, "", 2)])
    store.retire([B], NOW)
    assert store.retired(None, 10) == [B]
    assert store.retired_count() == 1
    assert store.retired(B, 10) == []
    assert (mine.key(B, NOW).kver, mine.key(B, NOW, kver=1).kver) == (2, 1)
    assert store.shred_retired([B], Instant(NOW - 1), NOW) == 0
    assert store.epochs.touched() == 0
    assert store.shred_retired([B], NOW, NOW) == 1
    with pytest.raises(vault.Shredded):
        ring(store).key(B, NOW, kver=1)
    assert ring(store).key(B, NOW).kver == 2
    assert not ring(store).destroyed(B, NOW)
    with pytest.raises(NotFound) as never:
        ring(store).key(B, NOW, QUARTER)
    assert type(never.value) is NotFound
    mine.make([(B, QUARTER, 1), (B, "", 3)])
    with pytest.raises(Conflict):
        mine.make([(B, "", 1)])
    store.shred(B, None, NOW)
    with pytest.raises(Conflict, match="never used again"):
        mine.make([(B, "", 4)])


def test_the_journals_lines_shut_again_what_a_copy_brought_back(store):
    lines = [
        {"act": "erasure", "psid": bytes(A).hex(), "request": "r", "fence_at": int(NOW)},
        {"act": "erasure", "psid": bytes(16).hex(), "request": "r", "fence_at": int(NOW)},
        {"act": "partial", "psid": bytes(B).hex(), "scopes": QUARTER, "kver": "3", "rule": "x"},
        {"act": "partial", "psid": bytes(B).hex(), "scopes": "views/2026Q1,contact.email", "rule": "y"},
        {"act": "restriction", "psid": bytes(B).hex(), "status": "withdrawn"},
        {"act": "partial", "psid": bytes(B).hex(), "scopes": "", "rule": "z"},
    ]  # fmt: skip
    assert store.fence_again(lines) >= 3
    count = store.fence_again(lines)
    assert store.fence_again(lines) == count
    with pytest.raises(vault.Shredded):
        ring(store).key(A, NOW)
    for who, scope, kver in ((bytes(16), "", 1), (B, QUARTER, 3), (B, QUARTER, 1)):
        with pytest.raises(Conflict):
            ring(store).make([(who, scope, kver)])
    ring(store).make([(B, QUARTER, 4)])
    assert ring(store).key(B, NOW)


def test_fences_are_taken_over_and_a_replaced_data_key_is_none(folder, store, tmp_path):
    mine = ring(store)
    mine.make([(B, "", 2), (PEOPLE[3], QUARTER, 1)])
    store.copy_to(tmp_path / "copy.db")
    store.retire([B], NOW)
    store.shred_retired([B], NOW, NOW)
    store.shred(A, None, NOW)
    store.shred(PEOPLE[3], [QUARTER], NOW)
    roll(store)
    assert {(p, s, v) for p, s, v, _ in store.fences()} == {
        (A, "", 0), (A, QUARTER, 1), (PEOPLE[3], QUARTER, 1)
    }  # fmt: skip
    fences, known = store.fences(), store.epochs.all()
    old = tmp_path / "restored"
    old.mkdir(mode=0o700)
    shutil.copyfile(tmp_path / "copy.db", old / "keys.db")
    held = FileKeyStore(old, cast.WORKSPACE, FileProvider(folder, cast.Stream()))
    held.merge(fences, known, Instant(NOW + 9 * DAY))
    assert ring(held).key(B, NOW, kver=1)
    for who, scope in ((A, ""), (PEOPLE[3], QUARTER)):
        with pytest.raises(vault.Shredded):
            ring(held).key(who, NOW, scope)
    assert [(e.epoch, e.state, e.due) for e in held.epochs.all()] == [
        (1, "current", NOW + 7 * DAY), (2, "kept", NOW + 9 * DAY)
    ]  # fmt: skip
    assert roll(held, Instant(NOW + DAY))[0] == 3
    assert held.epochs.all()[0].due == NOW + 7 * DAY  # the promised end holds
    held.close()


def test_a_key_is_known_by_what_it_opens(folder, store):
    key = FileProvider(folder, cast.Stream()).export(1)
    assert store.opens(1, key)
    assert not store.opens(1, bytes(32))
    assert not store.opens(2, key)
