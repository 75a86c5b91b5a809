"""Attacks on backup and restore: each is named after its number in the lists (V1 … L20)."""

import ast
import contextlib
import hashlib
import io
import json
import re
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import disaster
import marula
import pytest

from troth.adapters import archive
from troth.adapters.sqlite import backup as filtered
from troth.adapters.system import SystemRandomness
from troth.app import backup, restore
from troth.capabilities import rights
from troth.errors import Conflict, EvidenceBroken, Fault, InvalidInput, Unavailable
from troth.kernel import proof
from troth.terms import Channel, instant


@pytest.fixture
def story(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    told.back_up()
    told.this_morning()
    return told


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def unpacked(story, into):
    """The record as it lies in the backup, decrypted by whoever has the keys."""
    into.mkdir()
    secret = (story.folder / "keys-copy" / "backup.key").read_bytes()
    archive.Unpacked.read(story.made.path, secret, into)
    return into / "record.db"


def readable(story, person):
    """Whether anything under an id opens."""
    with story.house.ws.store.look() as view:
        if view.bodies(person):
            with contextlib.suppress(Fault):
                return bool(story.house.desk.scribe.chain(view, person))
        sealed = view.sealed([person], [*story.house.desk.vault.fields, "purchases/", "views/"])
        return bool(sealed.get(person))


# V1, V2: the release gate


def test_v1_a_restore_of_the_data_alone_brings_no_erased_person_back(story):
    live = story.folder / "live-keys"
    shutil.copytree(story.house.folder / "keys", live)
    story.lose()
    story.restore(keys=live)
    assert not readable(story, story.carmen)
    assert rights.is_erased(story.house.desk, story.carmen)
    assert story.house.codes(story.annelie) == ["withdrawn"]


def test_v1_even_without_the_journal_a_destroyed_key_stays_destroyed(story):
    live = story.folder / "live-keys"
    shutil.copytree(story.house.folder / "keys", live)
    story.lose()
    story.restore(keys=live, witness=None, without_journal=True)
    assert not readable(story, story.carmen)
    assert rights.is_erased(story.house.desk, story.carmen)


def test_v2_a_restore_of_yesterdays_keys_as_well_is_fenced_again(story):
    story.lose()
    story.restore()
    assert not readable(story, story.carmen)
    states = {row.state for row in story.house.ws.keys.rows([story.carmen])}
    assert states == {"shredded"}
    with pytest.raises(Conflict):
        story.house.desk.vault.keys.make([(story.carmen, "", 9)])


def test_the_release_gate_backup_erase_restore_unreadable(house, tmp_path):
    """The gate of every version: data, then keys of that day, and nobody erased is back."""
    told = disaster.Disaster(house, tmp_path)
    told.back_up()
    told.later()
    house.ws.erase(told.dumi, "rq-gate")
    house.ws.sign()
    told.lose()
    told.restore()
    assert not readable(told, told.dumi)
    assert told.house.codes(told.dumi) != []


# V23: the journal wins; lost, cut or forged nobody is mailed


def everything_no(story):
    story.later(1)
    story.house.say(story.dumi, "objected", "marketing", ("*",))
    story.house.ws.sign()


def spoil_lost(story, place):
    place.unlink()
    return "missing"


def spoil_cut(story, place):
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(b"".join(lines[:-1]))
    return "cut"


def spoil_cut_below_the_backup(story, place):
    place.with_name("restrictions.tip").unlink()
    place.write_bytes(place.read_bytes().splitlines(keepends=True)[0])
    return "cut"


def spoil_forged(story, place):
    lines = place.read_bytes().splitlines(keepends=True)
    lines[-2] = lines[-2].replace(b'"seq":', b'"seq":1')
    place.write_bytes(b"".join(lines))
    return "forged"


def spoil_dropped(story, place):
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(b"".join(lines[:2] + lines[3:]))
    return "forged"


SPOILS = [spoil_lost, spoil_cut, spoil_cut_below_the_backup, spoil_forged, spoil_dropped]


@pytest.mark.parametrize("spoil", SPOILS)
def test_v23_without_the_whole_journal_it_stops_and_by_decision_mails_nobody(story, spoil):
    everything_no(story)
    story.lose()
    verdict = spoil(story, story.folder / "witness-copy" / "restrictions")
    with pytest.raises(Unavailable, match="journal"):
        story.restore()
    with pytest.raises(Unavailable, match="not finished"):
        story.house.open()
    done = story.restore(without_journal=True)
    assert done.outcome.journal == verdict
    assert story.leaves("restore.done")[-1]["journal"] == verdict
    for person in (story.annelie, story.bongani, story.carmen, story.dumi):
        assert story.house.codes(person)
    assert "no_consent" in story.house.codes(story.bongani)


def test_v23_a_copy_of_the_journal_older_than_what_outsiders_saw_is_cut(story):
    old = story.folder / "old-witness"
    shutil.copytree(story.house.folder / "witness", old)
    everything_no(story)
    note = story.house.ws.sign()
    seen = proof.parse_checkpoint(proof.parse_note(note)[0])
    story.lose()
    with pytest.raises(Unavailable, match="shorter"):
        story.restore(witness=old, seen=(seen,))
    done = story.restore(witness=old, seen=(seen,), without_journal=True)
    assert done.outcome.journal == "cut"
    assert "no_consent" in story.house.codes(story.dumi)


def test_v23_a_yes_given_after_such_a_restore_counts_and_a_sale_does_not(story):
    story.lose()
    story.restore(witness=None, without_journal=True)
    story.later()
    house = story.house
    house.consents("dumi", {"occurred_at": house.when().isoformat(), "idempotency_key": "new"})
    assert house.codes(story.dumi) == []
    house.take("customers", {
        **marula.BLANK, "external_id": "esther", "email": "esther@post.example",
        "relation_kind": "sale", "details_from_sale": "yes", "objection_offered": "yes",
        "relation_at": house.when().isoformat(),
    })  # fmt: skip
    assert "no_consent" in house.codes(house.person("esther"))


def test_v23_what_was_said_before_the_loss_and_imported_after_it_does_not_count(story):
    story.lose()
    story.restore(witness=None, without_journal=True)
    story.later()
    late = (marula.NOW + timedelta(hours=1)).isoformat()
    story.house.consents("dumi", {"occurred_at": late, "idempotency_key": "late"})
    assert "no_consent" in story.house.codes(story.dumi)


def test_v23_wishes_levels_and_chosen_terms_of_this_morning_hold(story):
    from troth.capabilities import preferences
    from troth.terms import Actor, Role, Wishes

    story.later()
    me = Actor(Role.PERSON, story.dumi.hex())
    preferences.set_preferences(story.house.desk, story.dumi, Wishes(most=0), me)
    other = Actor(Role.PERSON, story.bongani.hex())
    preferences.choose_level(story.house.desk, story.bongani, 0, "personalise@2", other)
    story.house.ws.sign()
    story.lose()
    story.restore()
    assert "frequency_cap" in story.house.codes(story.dumi)
    assert "level_zero" in story.house.codes(story.bongani)


def test_v23_a_suppression_of_this_morning_holds_for_an_address_that_is_not_in_the_backup(story):
    from troth.terms import Block, Suppressed

    point = story.house.desk.contact(Channel.EMAIL, "new@post.example", 1)
    story.later()
    from troth.kernel import restrictions

    block = Block("complaint")
    with story.house.ws.store.look() as view:
        story.house.desk.journal.note(*restrictions.suppressed(point.sup, block, view.log.size))
    with story.house.ws.store.book() as tx:
        tx.put_block(Suppressed(point.sup, block))
    story.house.ws.sign()
    story.lose()
    story.restore()
    person = story.house.newcomer("new", {})
    assert "suppressed_complaint" in story.house.codes(person)


# V24, V25, V26


def test_v24_the_deleted_month_is_in_no_view_and_no_row(story):
    story.lose()
    story.restore()
    assert story.bought(story.bongani) == ["2026-08"]
    with story.house.ws.store.look() as view:
        rows = view.sealed([story.bongani], ["purchases/"])[story.bongani]
        assert {row.field for row in rows} == {"purchases/2026Q3"}
    assert not (story.house.folder / "data" / "reach").exists()


def test_v25_a_backup_says_of_nobody_in_clear_who_where_or_when(story):
    secrets = _clear(story.house)
    record = unpacked(story, story.folder / "opened")
    raw = record.read_bytes()
    assert {name: each for name, each in secrets.items() if each in raw} == {}
    with contextlib.closing(sqlite3.connect(record)) as con:
        for table in ("fact", "contact_point", "job"):
            assert con.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert con.execute("PRAGMA freelist_count").fetchone() == (0,)
    packed = story.made.path.read_bytes()
    assert {name: each for name, each in secrets.items() if each in packed} == {}


def test_v25_the_search_would_find_what_the_live_record_holds(story):
    """The planted violation: the same needles are found where they do lie."""
    secrets = _clear(story.house)
    story.house.ws.settle()
    raw = (story.house.folder / "data" / "record.db").read_bytes()
    assert {name for name, each in secrets.items() if each in raw} == set(secrets)


def _clear(house):
    """What lies in clear of one person: their codes, residence record, stop links, outside id."""
    person = house.person("dumi")
    with house.ws.store.look() as view:
        found = view.gather([person], Channel.EMAIL)[0]
    with contextlib.closing(sqlite3.connect(house.folder / "data" / "record.db")) as con:
        sql = "SELECT data FROM fact f JOIN person p ON p.id = f.person WHERE p.psid = ?"
        fact = con.execute(sql, (person,)).fetchone()[0]
    return {
        "search code": found.contact.bi, "list code": found.contact.sup, "facts": fact,
        "outside id": house.desk.person_key("dumi"),
    }  # fmt: skip


def test_every_table_is_decided_about(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    told.run()
    with contextlib.closing(sqlite3.connect(house.folder / "data" / "record.db")) as con:
        assert filtered.unnamed(con) == []
        con.execute("CREATE TABLE planted (one)")
        con.execute("INSERT INTO own_row VALUES ('planted.own', x'00', x'00')")
        assert filtered.unnamed(con) == ["planted", "planted.own"]
        con.rollback()
        con.execute("DROP TABLE planted")


NO_TABLES = {"index.jsonl", "handover.log"}
_PLACES = {"put_row": 0, "claim_row": 0, "row": 0, "rows": 0, "put_pointer": 2, "drop_pointer": 2}


_TOUCHES = re.compile(r'_row\(|_pointer\(|\.rows?\(|= "[a-z_]+\.[a-z_.]+"')


def named_in_code(source):
    """Names of own tables that code reads or writes, by the constants of each module."""
    texts = {path: path.read_text("utf-8") for path in sorted(source.rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in texts.items() if _TOUCHES.search(text)}
    held, out = {}, set()
    for path, tree in trees.items():
        for node in tree.body:
            pairs = []
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, ast.AnnAssign):
                pairs = [(node.target, node.value)]
            for target, value in pairs:
                several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
                both = zip(target.elts, value.elts, strict=True) if several else [(target, value)]
                for name, text in both:
                    if isinstance(name, ast.Name) and isinstance(text, ast.Constant):
                        held.setdefault(name.id, {})[path] = text.value
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            place = _PLACES.get(called, 99)
            if len(node.args) <= place:
                continue
            named = node.args[place]
            word = getattr(named, "attr", getattr(named, "id", ""))
            found = held.get(word, {})
            values = {found[path]} if path in found else set(found.values())
            out |= {getattr(named, "value", None)} if isinstance(named, ast.Constant) else values
    return {v for v in out if isinstance(v, str) and re.fullmatch(r"[a-z_]+\.[a-z_.]+", v)}


def test_every_table_that_code_names_is_decided_about():
    import troth

    found = named_in_code(Path(troth.__file__).parent)
    assert len(found) > 60
    assert found - set(filtered.rules().own) - NO_TABLES == set()


def test_a_table_nobody_decided_about_does_not_leave(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    with house.ws.store.book() as tx:
        tx.put_row("planted.own", b"somebody", b"a value in clear")
    told.back_up()
    assert told.made.unknown == ("planted.own",)
    assert b"a value in clear" not in unpacked(told, tmp_path / "opened").read_bytes()


def test_v26_an_erased_id_is_never_used_again_and_the_address_is_still_refused(story):
    story.later()
    story.house.ws.erase(story.annelie, "rq-annelie")  # who had withdrawn
    story.house.ws.sign()
    story.lose()
    story.restore()
    again = story.house.newcomer("annelie", {}, given_name="Annelie")
    assert again != story.annelie
    assert set(story.house.codes(again)) & {"suppressed_unsubscribe", "withdrawn"}
    with pytest.raises(Conflict):
        story.house.desk.vault.keys.make([(story.annelie, "", 2)])


# L1, L2, L20


def test_l1_l2_an_older_record_put_back_by_hand_is_refused(story):
    story.house.ws.close()
    record = story.house.folder / "data" / "record.db"
    with contextlib.closing(sqlite3.connect(record)) as con:
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    older = story.folder / "older.db"
    shutil.copy(record, older)
    story.house.open(marula.NOW + timedelta(hours=9))
    story.house.say(story.dumi, "withdrawn")
    story.house.ws.sign()
    story.house.ws.close()
    for path in record.parent.glob("record.db*"):
        path.unlink()
    shutil.copy(older, record)
    with pytest.raises(EvidenceBroken, match="signed"):
        story.house.open(marula.NOW + timedelta(hours=10))
    shutil.copy(unpacked(story, story.folder / "opened"), record)  # nor a backup's record
    with pytest.raises(EvidenceBroken):
        story.house.open(marula.NOW + timedelta(hours=10))


def test_l20_an_entry_is_not_booked_twice_by_a_restore(story):
    story.lose()
    done = story.restore()
    with story.house.ws.store.look() as view:
        entries = view.entries(0, view.log.size)
    assert len(set(entries[: done.outcome.kept])) == done.outcome.kept
    assert len(set(entries)) == len(entries)
    assert story.house.ws.verify() == []


def test_no_name_of_a_ledger_is_ever_used_twice(story):
    """Two restores of one backup are two histories: each gets a name of its own."""
    story.lose()
    first = story.restore()
    story.house.ws.sign()
    story.lose()
    second = story.restore()
    assert first.continued != second.continued
    story.house.ws.close()
    shutil.rmtree(story.house.folder)
    third = story.restore(witness=None, without_journal=True)
    assert third.continued not in {first.continued, second.continued}


# The archive


def damaged(story, change):
    raw = bytearray(story.made.path.read_bytes())
    change(raw)
    path = story.folder / f"damaged-{hashlib.sha256(raw).hexdigest()[:8]}"
    path.write_bytes(raw)
    return path


def flip(place):
    def change(raw):
        raw[place] ^= 1

    return change


def cut(count):
    def change(raw):
        del raw[-count:]

    return change


@pytest.mark.parametrize("change", [
    flip(0), flip(9), flip(30), flip(200), flip(-1), cut(1), cut(100), cut(5_000),
    lambda raw: raw.extend(b"x"), lambda raw: raw.extend(bytes(raw[-64:])),
])  # fmt: skip
def test_a_damaged_backup_restores_nothing(story, change):
    story.lose()
    with pytest.raises((EvidenceBroken, InvalidInput)):
        restore.restore(story.house.folder, damaged(story, change), story.given())
    assert not (story.house.folder / "data" / "record.db").exists()
    with pytest.raises(Fault):
        story.house.open()


def pieces(path):
    """The head and the sealed chunks of an archive."""
    raw = path.read_bytes()
    at = 12 + int.from_bytes(raw[8:12], "big")
    head, out = raw[:at], []
    while at < len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "big")
        out.append(raw[at:end])
        at = end
    return head, out


@pytest.mark.parametrize("how", ["swapped", "doubled", "left out", "last left out", "spliced"])
def test_chunks_out_of_their_order_or_of_another_archive_do_not_open(tmp_path, how):
    secret, data = bytes(32), SystemRandomness().take(5_000)
    made = []
    for name in ("one", "two"):
        with archive.writing(tmp_path / name, secret, SystemRandomness(), chunk=512) as into:
            into.add("record.db", io.BytesIO(data), len(data))
            into.close({"id": name})
        made.append(pieces(tmp_path / name))
    (head, chunks), (_, others) = made
    assert len(chunks) > 5
    broken = {
        "swapped": [chunks[1], chunks[0], *chunks[2:]], "doubled": [chunks[0], *chunks],
        "left out": [chunks[0], *chunks[2:]], "last left out": chunks[:-1],
        "spliced": [chunks[0], others[1], *chunks[2:]],
    }[how]  # fmt: skip
    (tmp_path / "bad").write_bytes(head + b"".join(broken))
    (tmp_path / "out").mkdir()
    with pytest.raises(EvidenceBroken):
        archive.Unpacked.read(tmp_path / "bad", secret, tmp_path / "out")


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a//b", "a/../../b", "."])
def test_a_part_may_not_lead_out_of_the_folder(tmp_path, name):
    with archive.writing(tmp_path / "bad", bytes(32), SystemRandomness()) as into:
        into.add(name, io.BytesIO(b"x"), 1)
        into.close({})
    (tmp_path / "in").mkdir()
    with pytest.raises(EvidenceBroken):
        archive.Unpacked.read(tmp_path / "bad", bytes(32), tmp_path / "in")
    assert files(tmp_path) == [tmp_path / "bad"]


def test_another_workspaces_keys_do_not_open_it(story):
    other = story.folder / "other-keys"
    shutil.copytree(story.folder / "keys-copy", other)
    (other / "backup.key").write_bytes(b"x" * 32)
    story.lose()
    with pytest.raises(EvidenceBroken, match="another key"):
        story.restore(keys=other)


def test_a_backup_that_cannot_be_written_leaves_nothing_behind(house, tmp_path):
    with pytest.raises(Unavailable):
        backup.backup_data(house.ws, tmp_path / "not-there" / "x")
    for inside in ("data", "keys", "witness"):
        with pytest.raises(InvalidInput, match=inside):
            backup.backup_data(house.ws, house.folder / inside / "x")
    assert not [p for p in files(house.folder / "data") if ".backup" in str(p)]


def test_a_workspace_that_stands_is_not_restored_over(story):
    with pytest.raises(Conflict, match="already"):
        restore.restore(story.house.folder, story.made.path, story.given())


def test_the_mark_names_nobody(story):
    story.lose()
    given = story.given(after=lambda step: 1 / 0 if step == "journal" else None)
    with pytest.raises(ZeroDivisionError):
        restore.restore(story.house.folder, story.made.path, given)
    raw = (story.house.folder / "restore.unfinished").read_text()
    assert json.loads(raw)["step"] == "back"
    for person in (story.annelie, story.bongani, story.carmen):
        assert person.hex() not in raw


def test_checking_finds_a_backup_that_holds_other_rows_than_it_says(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    told.back_up()
    opened = tmp_path / "opened"
    record = unpacked(told, opened)
    with contextlib.closing(sqlite3.connect(record)) as con:
        con.execute("DELETE FROM sealed WHERE rowid = 1")
        con.commit()
    manifest = {"counts": told.made.backup.counts, "size": told.made.backup.size, "root": "x"}
    with pytest.raises(EvidenceBroken, match="other rows of sealed"):
        backup.verify_copy(record, manifest, house.ws.signer.own)
    assert backup.check_backup(house.ws, told.made.path).checked_at == instant(marula.NOW)


def test_v2_all_is_lost_and_comes_back_from_the_sealed_copy_of_the_keys_and_two_shares(
    house, tmp_path
):
    from troth.app import escrow, keycopies

    told = disaster.Disaster(house, tmp_path)
    told.back_up()
    shares = escrow.write_shares(
        escrow.shares(house.ws, 3, 2, marula.OFFICER), tmp_path / "shares"
    )
    copy = tmp_path / "keys.troth-keys"
    keycopies.backup_keys(house.ws, copy, marula.OFFICER)
    toml = (house.folder / "troth.toml").read_bytes()
    told.this_morning()
    told.lose()
    shutil.rmtree(tmp_path / "keys-copy")
    with pytest.raises(InvalidInput, match=r"troth\.toml"):
        told.restore(keys=copy)
    (house.folder / "troth.toml").write_bytes(toml)
    with pytest.raises(Unavailable, match="epoch"):
        told.restore(keys=copy)
    told.restore(keys=copy, shares=tuple(p for p in shares if p.suffix == ".txt")[:2])
    assert told.house.codes(told.annelie) == ["withdrawn"]
    assert told.bought(told.bongani) == ["2026-08"]
    assert not readable(told, told.carmen)
