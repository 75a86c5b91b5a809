"""Erasure that can be shown: V1, V3, V8, V10, V11, V13, V14, V15, V21, V22, V26, L17, L18."""

import hashlib
import shutil
import sqlite3

import pytest

from troth import app, crypto
from troth.adapters.smtp import HandoverJournal, SmtpTransport
from troth.capabilities import merging, outreach, people, preferences, rights
from troth.errors import Fault, NotFound
from troth.kernel import events, proof, vault
from troth.kernel.desk import INDEX
from troth.terms import Actor, Block, Channel, PersonId, Role

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
MARKED = {
    "given_name": "Zzyzxqueline",
    "family_name": "Markerson",
    "phone": "+27710000042",
    "interests": "quuxgardening;frobknitting",
    "competent_person_email": "guardian.marker@post.example",
}
MARKERS = (
    *MARKED.values(),
    "quuxgardening",
    "frobknitting",
    "marked-id",
    "marked-id@post.example",
)


class CutError(Exception):
    """The machine stops here."""


def marked(house, name="marked-id", **more):
    person = house.newcomer(name, {}, **{**MARKED, **more})
    buy(house, name)
    return person


def buy(house, name, item="1001", days=20):
    from marula import days_ago

    row = {"external_id": name, "at": days_ago(days), "kind": "purchase", "item": item}
    more = {"group": "bread", "amount_minor": "1900", "currency": "ZAR", "units": "1"}
    house.take("events", {**row, **more, "store": "1"})


def opened_keys(house, person):
    """Return every raw key of a person: what must be nowhere afterwards."""
    out = []
    for row in house.ws.keys.rows([person]):
        _, shard = house.ws.keys.shard_key(vault.shard_of(person))
        out.append(vault.unwrap(shard, house.desk.workspace, row))
    return out


def files(house):
    for path in sorted(house.folder.rglob("*")):
        inside = path.relative_to(house.folder).parts
        drafts = {"notices", "purposes", "templates", "audiences"}
        if path.is_file() and inside[0] not in {"inbox", *drafts} and path.suffix != ".csv":
            yield path


def found_in(house, *needles):
    """Name the files that hold any of these bytes."""
    raw = [n.encode() if isinstance(n, str) else n for n in needles]
    return sorted({p.name for p in files(house) for n in raw if n in p.read_bytes()})


def own_rows(house, person):
    with sqlite3.connect(house.folder / "data/record.db") as con:
        rows = con.execute("SELECT tbl, key, value FROM own_row").fetchall()
    con.close()
    named = (person, person.hex().encode())
    return {tbl for tbl, key, value in rows if any(n in key or n in value for n in named)}


def test_v10_v13_no_file_holds_a_name_an_address_or_a_key_after_an_erasure(house):
    person = marked(house)
    house.send([person])
    keys = opened_keys(house, person)
    wrapped = [row.wrapped for row in house.ws.keys.rows([person])]
    assert found_in(house, *wrapped)
    assert len(keys) == len(wrapped) >= 2
    with house.ws.store.look() as view:
        contact = view.gather([person], Channel.EMAIL)[0].contact
        kept = [*(body.rec for body in view.bodies(person)), contact.bi, contact.sup]
        kept += [row.rec for row in view.sealed([person], ["contact.email", "purchases/"])[person]]
    house.ws.settle()
    assert all(found_in(house, each) for each in kept)
    done = house.ws.erase(person, "rq-1")
    assert done.keys == len(keys)
    assert found_in(house, *keys, *wrapped, *kept) == []
    assert found_in(house, *MARKERS) == []
    house.at(house.when())
    assert found_in(house, *keys, *wrapped, *MARKERS) == []


def test_the_raw_scan_finds_what_is_planted(house):
    (house.folder / "data" / "leak.log").write_text(f"x{MARKERS[0]}x")
    assert found_in(house, *MARKERS) == ["leak.log"]


def test_v11_no_index_row_leads_to_an_erased_person(house):
    person = marked(house)
    house.send([person])
    assert own_rows(house, person) >= {
        "people.external", "preferences.token", "outreach.done", INDEX, "preferences.key"
    } - {"preferences.key"}  # fmt: skip
    house.ws.erase(person, "rq-1")
    assert own_rows(house, person) <= {"rights.erased"}
    assert house.person("marked-id") is None
    with house.ws.store.look() as view:
        found = people.find_by_address(house.desk, view, Channel.EMAIL, "marked-id@post.example")
    assert found == []


def test_an_erasure_costs_what_the_person_has_not_what_the_house_has(house):
    person = marked(house)
    house.book([person])
    rights.begin_erasure(house.desk, person, "rq-1", OFFICER)
    statements = []
    con = house.ws.store._writer
    con.set_trace_callback(statements.append)
    house.ws.erase(person, "rq-1")
    con.set_trace_callback(None)
    assert not [s for s in statements if "preferences.token" in s and "key >=" in s]


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_v8_a_crash_after_any_step_is_finished_by_a_repeat_with_one_leaf_and_one_line(house, step):
    person = marked(house)

    def cut(done):
        if done == step:
            raise CutError

    with pytest.raises(CutError):
        rights.erase(house.desk, person, "rq-1", OFFICER, house.ws.settle, rights.Steps(cut))
    assert house.codes(person) != []
    done = house.ws.erase(person, "rq-2")
    assert done.request == "rq-1"
    assert found_in(house, *MARKERS) == []
    assert [x["psid"] for x in journal(house, "erasure")] == [person.hex()]
    assert len(leaves(house)) == 1
    assert done.counts["sealed"] >= 6


def journal(house, act):
    return [line for line in house.desk.journal.lines() if line["act"] == act]


def leaves(house):
    with house.ws.store.look() as view:
        entries = view.entries(0, view.log.size)
    return [e for e in entries if e[:1] == b"\x01" and b'"erase.done"' in e]


def test_v21_erasing_twice_gives_the_same_certificate_and_an_unknown_id_nothing(house):
    person = marked(house)
    first = house.ws.erase(person, "rq-1")
    with house.ws.store.look() as view:
        size = view.log.size
    assert house.ws.erase(person, "rq-2") == first
    assert "erasure_pending" in house.codes(person)
    with pytest.raises(NotFound):
        house.ws.erase(PersonId(b"\x09" * 16), "rq-3")
    with house.ws.store.look() as view:
        assert view.log.size == size
    assert len(leaves(house)) == 1


def test_v21_who_is_erased_while_a_campaign_waits_gets_nothing_and_nothing_sealed_stays(house):
    person, other = marked(house), house.newcomer("other", {})
    house.book([person, other])
    house.ws.erase(person, "rq-1")
    house.hand_over()
    assert dict(house.delivered()) == {"other@post.example": 1}
    with sqlite3.connect(house.folder / "data/record.db") as con:
        assert con.execute("SELECT count(*) FROM job WHERE person = ?", (person,)).fetchone() == (
            0,
        )
    con.close()
    assert house.ws.verify() == []


def test_v21_who_is_erased_while_the_courier_holds_the_message_gets_nothing(house):
    person, other = marked(house), house.newcomer("other", {})
    house.book([person, other])
    campaign, totals = house.campaign(), outreach.Handed()
    with house.inbox() as port, HandoverJournal(house.folder / "data/handover.log") as log:
        transport = SmtpTransport("127.0.0.1", port, "none")
        courier = outreach.Courier(house.desk, campaign, transport, log, MARKETER)
        ask = courier._may_go

        def erased_just_now(ref):
            if courier._leased[ref].person == person:
                rights.erase(house.desk, person, "rq-1", OFFICER, lambda: None)
            return ask(ref)

        courier._may_go = erased_just_now
        courier.run(totals)
    assert dict(house.delivered()) == {"other@post.example": 1}
    assert sum(totals.withheld.values()) == 1


def test_v15_a_shared_mailbox_keeps_the_other_persons_data_and_their_registry_row(house):
    address = {"email": "shared@post.example"}
    person, other = marked(house, **address), house.newcomer("other", {}, **address)
    house.ws.erase(person, "rq-1")
    assert house.codes(other) == []
    with house.ws.store.look() as view:
        held = people.find_by_address(house.desk, view, Channel.EMAIL, "shared@post.example")
        rows = view.sealed([other], ["contact.email", "name.given"])
    assert held == [other]
    assert [row.field for row in rows[other]] == ["contact.email"]
    from marula import days_ago, registry_hash, registry_head

    house.take("registry", registry_hash("shared@post.example"), head=registry_head(days_ago(1)))
    assert "registry_block" in house.codes(other)


def test_v14_erasing_either_of_two_merged_ids_erases_both_and_gives_one_leaf(house):
    person, other = marked(house), house.newcomer("other", {}, given_name="Otherquux")
    merging.merge(house.desk, other, person, "same", OFFICER)
    keys = opened_keys(house, person) + opened_keys(house, other)
    done = house.ws.erase(person, "rq-1")
    assert rights.is_erased(house.desk, other)
    assert rights.is_erased(house.desk, person)
    assert found_in(house, *keys, *MARKERS, "Otherquux") == []
    assert {x["psid"] for x in journal(house, "erasure")} == {person.hex(), other.hex()}
    assert len(leaves(house)) == 1
    assert done.keys == len(keys)
    assert house.person("other") is house.person("marked-id") is None


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_v14_a_half_done_erasure_of_merged_ids_is_finished_for_both(house, step):
    person, other = marked(house), house.newcomer("other", {})
    merging.merge(house.desk, other, person, "same", OFFICER)

    def cut(done):
        if done == step:
            raise CutError

    with pytest.raises(CutError):
        rights.erase(house.desk, person, "rq-1", OFFICER, house.ws.settle, rights.Steps(cut))
    with pytest.raises(Fault):
        merging.unmerge(house.desk, other, person, "two people", OFFICER)
    house.at(house.when())
    assert rights.is_erased(house.desk, person)
    assert rights.is_erased(house.desk, other)
    assert rights.unfinished(house.desk) == []
    assert len(leaves(house)) == 1


def test_v22_a_certificate_says_what_is_not_covered_while_no_epoch_was_destroyed(house):
    done = house.ws.erase(marked(house), "rq-1")
    assert any("backup of keys/" in text for text in done.not_covered)
    assert leaves(house)
    assert b'"epoch_destroyed"' not in leaves(house)[0]
    assert b"backup of keys/" in leaves(house)[0]
    assert "2026" in done.not_covered[0]


def test_v22_a_certificate_names_the_audience_generation_until_it_is_deleted(house):
    sale = {"relation_kind": "sale", "relation_at": "2026-03-02T10:00:00Z"}
    person = house.newcomer("lapsed", {}, **sale)
    assert app.rebuild_reach(house.ws, MARKETER) > 1
    assert person in app.narrow(house.ws, "winback")[1]
    done = house.ws.erase(person, "rq-1")
    named = [text for text in done.not_covered if "audience generation" in text]
    assert len(named) == 1
    assert person not in app.narrow(house.ws, "winback")[1]
    old = next(p for p in (house.folder / "data/reach").iterdir() if p.name.isdigit())
    assert found_in(house, person) != []
    app.rebuild_reach(house.ws, MARKETER)
    assert not old.exists()
    assert person not in app.narrow(house.ws, "winback")[1]
    again = house.ws.erase(house.newcomer("second", {}), "rq-2")
    assert [t for t in again.not_covered if "audience generation" in t] != named


def test_v3_v26_a_late_row_or_event_about_an_erased_person_makes_nobody_readable(house):
    person = marked(house)
    address = "marked-id@post.example"
    block = Block("objection", "all", "")
    preferences.suppress(house.desk, Channel.EMAIL, address, block, "letter")
    house.ws.erase(person, "rq-1")
    buy(house, "marked-id")
    house.consents("marked-id", {})
    for act in (
        lambda: house.say(person, "given", notice="offers@3", method="form", proof="p"),
        lambda: rights.restrict(house.desk, person, "case", OFFICER),
        lambda: rights.receipts(house.desk, person, house.ws.sign()),
        lambda: house.desk.vault.keys.make([(person, "", 2)]),
        lambda: house.desk.vault.keys.make([(person, "purchases/2027Q1", 1)]),
    ):
        with pytest.raises(Fault):
            act()
    again = house.newcomer("marked-id", {})
    assert again != person
    assert "objected" in house.codes(again)


def test_an_unmade_key_is_told_from_a_destroyed_one(house):
    person = marked(house)
    house.ws.erase(person, "rq-1")
    keys, now = house.desk.vault.keys, house.desk.store._clock.now()
    with pytest.raises(vault.Shredded):
        keys.key(person, now)
    with pytest.raises(NotFound) as never:
        keys.key(PersonId(b"\x09" * 16), now)
    assert not isinstance(never.value, vault.Shredded)


def test_l18_every_other_receipt_is_byte_for_byte_unchanged_by_an_erasure(house):
    person, other = marked(house), house.newcomer("other", {})
    note = house.ws.sign()
    mine = rights.receipts(house.desk, person, note)
    before = rights.receipts(house.desk, other, note)
    house.ws.erase(person, "rq-1")
    house.ws.sign()
    assert rights.receipts(house.desk, other, note) == before
    for receipt in (*mine, *before):  # what was handed out verifies on, the erased person's too
        proof.read_receipt(receipt.text, house.ws.signer.policy)
    assert house.ws.verify() == []


def test_l17_a_consent_bit_cannot_be_guessed_from_its_commitment_without_the_salt(house):
    person = marked(house)
    with house.ws.store.look() as view:
        recorded = house.desk.scribe.chain(view, person)[-1]
        entry = view.entries(recorded.seq, recorded.seq + 1)[0]
    event = events.decode(recorded.raw)
    house.ws.erase(person, "rq-1")
    assert proof.private_entry(proof.commitment(recorded.salt, recorded.raw)) == entry
    guessed = {
        hashlib.sha256(b"evd1" + salt + raw).digest()
        for raw in (recorded.raw, recorded.raw.replace(b"given", b"refused"))
        for salt in (b"", b"\0" * 32, person, crypto.sha256(person), event.person * 2)
    }
    assert entry[1:] not in guessed
    assert found_in(house, recorded.salt) == []


def test_v1_v2_a_data_backup_alone_is_unreadable_and_with_the_keys_the_certificate_said_so(
    house, tmp_path
):
    person = marked(house)
    house.ws.settle()
    shutil.copytree(house.folder / "data", tmp_path / "data")
    shutil.copytree(house.folder / "keys", tmp_path / "keys")
    done = house.ws.erase(person, "rq-1")
    house.ws.close()

    def put_back(*names):
        for name in names:
            shutil.rmtree(house.folder / name)
            shutil.copytree(tmp_path / name, house.folder / name)

    put_back("data")
    store = app.workspace.SqliteStore(
        house.folder / "data/record.db", app.workspace.SystemClock(), {}
    )
    keys = app.workspace.keystore.FileKeyStore(house.folder / "keys", store.meta("workspace"))
    ring = app.workspace.Keyring(store.meta("workspace"), keys, app.workspace.SystemRandomness())
    with store.look() as view, pytest.raises(vault.Shredded):
        ring.key(person, view.now)
    keys.close()
    put_back("keys")
    (house.folder / "keys").chmod(0o700)
    keys = app.workspace.keystore.FileKeyStore(house.folder / "keys", store.meta("workspace"))
    ring = app.workspace.Keyring(store.meta("workspace"), keys, app.workspace.SystemRandomness())
    with store.look() as view:
        assert ring.key(person, view.now).person == person
    keys.close()
    store.close()
    assert any("backup of keys/" in text for text in done.not_covered)
    house.ws = _Closed()


class _Closed:
    def close(self):
        pass


def test_v4_another_process_forgets_a_key_as_soon_as_the_fence_moves(house):
    person = marked(house)
    second = app.open(house.folder, at=house.desk.store._clock.now())
    with second.store.look() as view:
        second.desk.vault.keys.load([person], view.now)
    house.ws.erase(person, "rq-1")
    with second.store.look() as view:
        second.desk.vault.keys.load([person], view.now)
        with pytest.raises(vault.Shredded):
            second.desk.vault.keys.key(person, view.now)
    second.close()


def test_a_restriction_is_journalled_under_its_own_place_in_the_ledger(house):
    person = house.newcomer("one", {})
    with house.ws.store.look() as view:
        size = view.log.size
    rights.restrict(house.desk, person, "disputed", OFFICER)
    assert journal(house, "restriction")[-1]["seq"] == size
    assert "restricted" in house.codes(person)
    rights.lift_restriction(house.desk, person, "settled", OFFICER)
    assert house.codes(person) == []
