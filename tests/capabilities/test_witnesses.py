"""The house asks its witnesses, keeps only what holds, and says plainly how it stands."""

import shutil

import marula
import pytest
import witnessed

from troth import app
from troth.app import witnesses
from troth.capabilities import custody, rights
from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import events, proof
from troth.kernel.desk import SYSTEM
from troth.terms import SECOND, LogState


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("witnessed") / "house"
    marula.make(folder)
    house = marula.House(folder)
    house.newcomer("probe", {"status": "given"})
    house.ws.sign()
    house.ws.close()
    return folder


@pytest.fixture
def folder(made, tmp_path):
    shutil.copytree(made, tmp_path / "house")
    return tmp_path / "house"


def more(house, count=1):
    for number in range(count):
        house.desk.record_house(events.AlarmRaised("test.only", ref=str(number)), SYSTEM)


def test_a_cosigned_head_makes_receipts_that_verify_under_the_quorum(folder, tmp_path):
    with witnessed.watched(folder, tmp_path) as (house, watching):
        before = house.ws.sign()
        assert not house.ws.signer.witnessed(before)
        assert "no outside witness" in house.ws.signer.policy_for(before)
        done = witnessed.ask(house)
        assert done["w1"].state == "cosigned"
        with house.ws.store.look() as view:
            note = view.note()
        assert house.ws.signer.witnessed(note)
        receipt = rights.receipts(house.desk, house.person("probe"), house.ws.sign())[-1]
        policy = proof.parse_policy(
            house.ws.signer.policy_for(note), app.workspace.crypto.ed25519_verify
        )
        assert policy.quorum == "outside"
        proof.verify_receipt(receipt.text, policy)
        assert watching.vkey in house.ws.signer.text()
        assert house.ws.verify(deep=True) == []
        assert witnesses.ask_witnesses(house.ws) == {}, "who cosigned is not asked again"


def test_a_receipt_from_before_the_witness_verifies_under_its_own_policy_alone(folder, tmp_path):
    house = marula.House(folder)
    old = rights.receipts(house.desk, house.person("probe"), house.ws.sign())[-1].text
    then = house.ws.signer.policy_for(house.ws.sign())
    house.ws.close()
    check = app.workspace.crypto.ed25519_verify
    with witnessed.watched(folder, tmp_path) as (house, _):
        proof.verify_receipt(old, proof.parse_policy(then, check))
        with pytest.raises(EvidenceBroken, match="quorum"):
            proof.verify_receipt(old, house.ws.signer.policy)


def test_after_409_the_proof_is_made_anew_from_the_size_in_the_answer(folder, tmp_path):
    with witnessed.watched(folder, tmp_path) as (house, _):
        witnessed.ask(house)
        with house.ws.store.book() as tx:  # the house forgets what the witness knows
            for key, _ in tx.rows("custody.witness", b"", b"", 10):
                tx.put_row("custody.witness", key, None)
        more(house)
        assert witnessed.ask(house)["w1"].state == "cosigned"


def test_a_silent_witness_holds_nobody_up(folder, tmp_path):
    with witnessed.watched(folder, tmp_path) as (house, watching):
        witnessed.ask(house)
        with house.ws.store.look() as view:
            cosigned = view.note()
        watching.close()
        more(house)
        assert witnessed.ask(house)["w1"].state == "silent"
        with house.ws.store.look() as view:
            newest = view.note()
            assert custody.newest_for_receipts(view, house.ws.signer) == cosigned
        assert newest != cosigned
        found = witnesses.witnessed(house.ws)
        assert (found.met, found.standings[0][1].state) == (False, "silent")


def test_after_an_hour_receipts_are_written_under_what_the_house_signed_alone(folder, tmp_path):
    with witnessed.watched(folder, tmp_path) as (house, watching):
        witnessed.ask(house)
        watching.close()
        later = marula.NOW + marula.timedelta(hours=2)
        house.at(later)
        more(house)
        note = house.ws.sign()
        with house.ws.store.look() as view:
            assert custody.newest_for_receipts(view, house.ws.signer) == note


def test_L2_a_record_put_back_is_found_by_its_witness_and_never_opened_again(folder, tmp_path):
    with witnessed.watched(folder, tmp_path) as (house, _):
        witnessed.ask(house)
        house.ws.close()
        yesterday = tmp_path / "yesterday"
        shutil.copytree(folder, yesterday)
        house.open()
        more(house, 3)
        witnessed.ask(house)
        house.ws.close()
        shutil.rmtree(folder)
        shutil.copytree(yesterday, folder)  # record, keys and witness/: all of yesterday
        house.open()
        with pytest.raises(EvidenceBroken, match="w1 holds"):
            witnesses.guard_outside(house.ws)
        more(house)
        with pytest.raises(EvidenceBroken, match="w1 holds"):
            witnessed.ask(house)
        house.ws.close()
        with pytest.raises(EvidenceBroken, match="were signed"):
            app.open(folder)


def test_L3_a_second_history_of_one_size_gets_no_cosignature(folder, tmp_path):
    with witnessed.watched(folder, tmp_path) as (house, _):
        house.ws.close()
        other = tmp_path / "other"
        shutil.copytree(folder, other)
        house.open()
        more(house)
        witnessed.ask(house)
        second = marula.House(other)
        more(second)
        found = witnessed.ask(second)["w1"]
        assert (found.state, found.status) == ("refused", 422)
        assert not second.ws.signer.witnessed(second.ws.sign())
        second.ws.close()


def test_a_false_answer_is_not_kept(folder, tmp_path):
    class Liar:
        def add(self, url, body):
            return 200, "\u2014 witness.example/w1 AAAAAAAAAAAA\n".encode()

        def newest(self, url, origin):
            return None

    with witnessed.watched(folder, tmp_path) as (house, _):
        before = house.ws.sign()
        found = custody.ask(house.desk, house.ws.signer, Liar())
        assert found["w1"].state == "refused"
        assert house.ws.sign() == before


def test_a_witness_of_the_house_itself_counts_for_nothing(folder, tmp_path):
    with pytest.raises(InvalidInput, match="outside operators"):  # noqa: SIM117
        with witnessed.watched(folder, tmp_path, operator="self"):
            pass


def test_two_witnesses_of_one_operator_are_one_voice():
    keys = [proof.Key(f"w{i}.example", 4, bytes([i]) * 32).vkey for i in range(3)]
    tables = {
        f"w{i}": {"vkey": key, "url": "https://w.example", "operator": "A" if i < 2 else "B"}
        for i, key in enumerate(keys)
    }
    trust = custody.read_trust(tables, "all")
    assert trust.operators == ("A", "B")
    assert trust.needed == 2
    assert "group outside 2 operator/1 operator/2" in trust.lines(asked=True)
    assert trust.lines(asked=False)[-1] == "quorum none"
    for wrong in (0, 3, "two", True, 1.0, "none "):
        with pytest.raises(InvalidInput):
            custody.read_trust(tables, wrong)


@pytest.mark.parametrize(
    "table",
    [
        {"w1": {}},
        {"w1": {"vkey": "x", "url": "https://w.example"}},
        {"W 1": {"vkey": proof.Key("w.example", 4, bytes(32)).vkey, "url": "https://w.example"}},
        {"w1": {"vkey": proof.Key("w.example", 1, bytes(32)).vkey, "url": "https://w.example"}},
        {"w1": {"vkey": proof.Key("w.example", 4, bytes(32)).vkey, "url": "https://a b"}},
        {"w1": {"vkey": proof.Key("w.example", 4, bytes(32)).vkey, "url": "u", "operator": ""}},
        {n: {"vkey": proof.Key("w.example", 4, bytes(32)).vkey, "url": "u"} for n in ("a", "b")},
    ],
)
def test_a_witness_that_is_not_well_named_is_refused(table):
    with pytest.raises(InvalidInput, match=r"troth\.toml"):
        custody.read_trust(table)


# Anchors


def test_every_head_signed_and_every_cosignature_is_an_anchor(folder, tmp_path):
    with witnessed.watched(folder, tmp_path) as (house, _):
        more(house)
        witnessed.ask(house)
        kept = witnesses.anchors(house.ws)
        assert [len(a.cosignatures) for a in kept[-2:]] == [0, 1]
        assert len({a.size for a in kept[-2:]}) == 1
        assert witnesses.newest_anchor(house.ws).size == kept[-1].size


def test_a_damaged_file_of_anchors_is_told_and_a_torn_line_is_not_damage(folder):
    path = folder / "witness" / "anchors"
    path.write_bytes(path.read_bytes() + b'{"at":17')
    house = marula.House(folder)
    more(house)
    house.ws.sign()
    house.ws.close()
    path.write_bytes(path.read_bytes().replace(b'"root"', b'"roof"', 1))
    with pytest.raises(EvidenceBroken, match="anchors"):
        app.open(folder)


def test_L1_a_cut_record_is_refused_by_its_anchors_even_where_signed_size_went_too(folder):
    house = marula.House(folder)
    house.ws.close()
    before = tmp = folder.with_name("before")
    shutil.copytree(folder, tmp)
    house.open()
    more(house, 2)
    house.ws.sign()
    house.ws.close()
    for part in ("data", "witness/signed"):
        (shutil.rmtree if part == "data" else lambda p: p.unlink())(folder / part)
        (shutil.copytree if part == "data" else shutil.copy)(before / part, folder / part)
    with pytest.raises(EvidenceBroken, match="were signed"):
        app.open(folder)


# The ledger's own keys


def test_a_rotation_is_signed_by_both_keys_and_both_sign_until_it_ends(folder):
    house = marula.House(folder)
    old = house.ws.signer.key
    before = rights.receipts(house.desk, house.person("probe"), house.ws.sign())[-1].text
    made = witnesses.rotate_key(house.ws)
    note = house.ws.sign()
    assert {line.id for line in proof.parse_note(note)[1]} == {old.id, made.key.id}
    assert house.ws.signer.key == made.key
    done = witnesses.retire_keys(house.ws)
    assert [k.vkey for k in done] == [old.vkey]
    alone = house.ws.sign()
    assert {line.id for line in proof.parse_note(alone)[1]} == {made.key.id}
    for text in (before, rights.receipts(house.desk, house.person("probe"), alone)[-1].text):
        proof.verify_receipt(text, house.ws.signer.policy)
    assert witnesses.retire_keys(house.ws) == ()
    assert house.ws.verify(deep=True) == []
    with pytest.raises(InvalidInput):
        custody.rotate(house.desk, house.ws.signer, "log", house.ws.keys.secret("log"))
    house.ws.close()
    house.open()
    assert house.ws.signer.key == made.key
    house.ws.close()


def test_L14_what_a_stolen_key_signs_above_the_cutoff_is_refused_under_the_policy(folder):
    house = marula.House(folder)
    stolen = house.ws.keys.secret("log")
    vkey, origin = house.ws.signer.key.vkey, house.ws.signer.origin
    early = rights.receipts(house.desk, house.person("probe"), house.ws.sign())[-1].text
    with house.ws.store.look() as view:
        cutoff = view.log.size
    with pytest.raises(InvalidInput, match="newest key"):
        witnesses.disown_key(house.ws, vkey, cutoff)
    witnesses.rotate_key(house.ws)
    witnesses.disown_key(house.ws, vkey, cutoff)
    policy = house.ws.signer.policy
    proof.verify_receipt(early, policy)
    from troth.kernel import ledger

    forged = ledger.sign_checkpoint(proof.Checkpoint(origin, cutoff + 1, b"\x07" * 32), [stolen])
    with pytest.raises(EvidenceBroken, match="disowned"):
        proof.verify_note(forged, policy)
    assert proof.verify_note(house.ws.sign(), policy).size > cutoff
    lines = [x for x in house.ws.signer.text().split("\n") if not x.startswith("#")]
    plain = proof.parse_policy("\n".join(lines), policy.check)
    with pytest.raises(EvidenceBroken):
        proof.verify_receipt(early, plain)  # other verifiers know the key no more at all
    with pytest.raises(InvalidInput):
        witnesses.disown_key(house.ws, vkey, cutoff)
    with pytest.raises(InvalidInput):
        witnesses.disown_key(house.ws, house.ws.signer.keys[-1].vkey, 10**9)
    assert house.ws.verify() == []
    house.ws.close()


def test_a_rotation_nobodys_old_key_signed_is_found(folder):
    house = marula.House(folder)
    made = witnesses.rotate_key(house.ws)
    with house.ws.store.look() as view:
        entries = view.audit()[0]
        assert custody.check_keys(view, entries) == []
        leaf = next((s, e) for s, e in entries if b"log.rotated" in e)
        forged = [(leaf[0], leaf[1].replace(b'"by_old":"', b'"by_old":"A', 1))]
        assert custody.check_keys(view, forged)
        assert [f.what for f in custody.check_keys(view, [])] == [
            "a key was never announced in the ledger"
        ]
    assert made.state == "signs"
    house.ws.close()


def test_L15_an_origin_that_continues_another_says_in_public_what_was_lost(folder):
    house = marula.House(folder)
    note = house.ws.sign()
    old = proof.parse_checkpoint(proof.parse_note(note)[0])
    lost = proof.Checkpoint(old.origin, old.size + 7, b"\x07" * 32)
    with house.ws.store.look() as view:
        held = view.log
    index = custody.continued(house.desk, lost, held, "marula.example/ledger-2")
    assert custody.continued(house.desk, lost, held, "marula.example/ledger-2") == index
    with house.ws.store.look() as view:
        said = events.read_canonical(view.entries(index, index + 1)[0][1:])
        assert custody.origins(view) == [("marula.example/ledger-2", index)]
        assert custody.secret_of(view, "marula.example/ledger-2") == "log-ledger-2"
    assert (said["from"], said["size"], said["kept"]) == (old.origin, old.size + 7, held.size)
    assert said["root"] == proof.b64(lost.root)
    for wrong in ("", "a b", "a+b", old.origin):
        with pytest.raises(InvalidInput):
            custody.continued(house.desk, lost, held, wrong)
    with pytest.raises(app.workspace.Conflict):
        custody.continued(house.desk, lost, LogState(1, bytes(32)), "marula.example/ledger-3")
    house.ws.close()


def test_a_key_is_never_made_anew_for_an_origin_that_continues_none(folder):
    house = marula.House(folder)
    with pytest.raises(app.workspace.NotFound):
        witnesses.begin_origin_key(house.ws)
    house.ws.close()


def test_the_checks_for_the_doctor_are_never_green_without_a_look(folder, tmp_path):
    house = marula.House(folder)
    found = {c.id: c.state for c in witnesses.checks(house.ws)}
    assert found == {"ledger.signed": "good", "ledger.witness": "off"}
    house.ws.close()
    with witnessed.watched(folder, tmp_path) as (house, _):
        assert {c.id: c.state for c in witnesses.checks(house.ws)}["ledger.witness"] == "bad"
        witnessed.ask(house)
        assert {c.id: c.state for c in witnesses.checks(house.ws)}["ledger.witness"] == "good"
        house.at(marula.NOW + marula.timedelta(hours=3))
        more(house)
        late = {c.id: c for c in witnesses.checks(house.ws)}
        assert late["ledger.signed"].state == "bad"
        assert late["ledger.signed"].remedy


def test_cosignature_times_are_read_from_the_note(folder, tmp_path):
    with witnessed.watched(folder, tmp_path) as (house, _):
        witnessed.ask(house)
        with house.ws.store.look() as view:
            assert custody.cosigned_at(view.note()) // SECOND == witnessed.Fixed().now() // SECOND
