"""One contract, two stores: what holds for memory holds for SQLite, and the other way round."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import cast
import pytest

from troth.adapters.memory import MemoryStore
from troth.adapters.sqlite import SqliteStore, schema
from troth.errors import Conflict, EvidenceBroken, Fault, InvalidInput, NotFound, Unavailable
from troth.kernel import events, fold, ledger, proof, vault
from troth.kernel.scribe import Scribe
from troth.terms import (
    NO_HEAD,
    NO_RECORD,
    SECOND,
    Block,
    Channel,
    ConsentStatus,
    ContactPoint,
    Head,
    Instant,
    LogState,
    Sealed,
    Suppressed,
)

A, B, C = cast.AGREED, cast.WITHDREW, cast.ERASING


@dataclass
class Rig:
    """One store with a clock, a vault and a scribe to write to it."""

    store: object
    clock: cast.Clock
    scribe: Scribe
    box: vault.Vault

    def prepare(self, who, *payloads, head=None):
        with self.store.look() as view:
            found = view.gather([who], None)
            tip = head or (found[0].head if found else NO_HEAD)
            return self.scribe.prepare(who, tip, payloads or [ERASED], cast.SYSTEM, view.now)

    def book(self, who, *payloads):
        prepared = self.prepare(who, *payloads)
        with self.store.book() as tx:
            assert tx.append(prepared) == frozenset()
        return prepared


ERASED = events.DataRead("service", ("contact.email",))
CREATED = events.PersonCreated("natural", "form")
GIVEN = events.ConsentAct(
    ConsentStatus.GIVEN, "offers", ("email",), notice="offers@1", method="form"
)


def rig(kind, path, projections=fold.PROJECTIONS, clock=None):
    clock = clock or cast.Clock()
    store = (
        MemoryStore(clock, projections)
        if kind == "memory"
        else SqliteStore(path / "record.db", clock, projections)
    )
    box = cast.with_keys(cast.vault(), A, B, C, cast.HOUSE)
    return Rig(store, clock, cast.scribe(box), box)


@pytest.fixture(params=["memory", "sqlite"])
def kind(request):
    return request.param


@pytest.fixture
def house(kind, tmp_path):
    made = rig(kind, tmp_path)
    yield made
    made.store.close()


def test_an_empty_store_knows_nobody_and_has_the_empty_root(house):
    with house.store.look() as view:
        assert view.log == LogState(0, proof.EMPTY_ROOT)
        assert (view.now, view.house_version, view.note()) == (cast.NOW, 0, None)
        assert view.gather([A], Channel.EMAIL) == view.people(None, 9) == view.bodies(A) == []
        assert view.published("x") is None
        assert view.row("t", b"k") is None
        assert (view.tile(0, 0), view.entries(0, 9), view.blocks([b"x"])) == (b"", [], {})


def test_a_booked_chain_is_read_back_sealed_and_whole(house):
    first = house.book(A, CREATED, GIVEN)
    second = house.book(A, ERASED)
    with house.store.look() as view:
        (gathered,) = view.gather([A], None)
        assert gathered.head == Head(3, second[0].c)
        assert [b.seq for b in view.bodies(A)] == [0, 1, 2]
        assert [b.rec for b in view.bodies(A)] == [p.body for p in first + second]
        chain = house.scribe.chain(view, A)
        assert [r.event.payload for r in chain] == [CREATED, GIVEN, ERASED]
        assert view.body_at(1, 1) == view.bodies(A)[1:2]
        assert view.entries(0, 3) == [b"\0" + p.c for p in first + second]
        assert gathered.record == fold.refold(chain)


def test_facts_projected_while_booking_are_those_refolded_later(house):
    house.clock.at = Instant(cast.NOW + 654_321)
    house.book(A, CREATED, GIVEN)
    house.clock.at = Instant(cast.NOW + 7_777_777)
    house.book(A, replace(GIVEN, status=ConsentStatus.WITHDRAWN, notice=None))
    house.book(A, events.MessageOutcome("handed", "m1", 250, channel="email"))
    house.book(A, events.ProcessingRestricted(True, "disputed"))
    with house.store.look() as view:
        assert view.gather([A], None)[0].record == fold.refold(house.scribe.chain(view, A))


def test_a_view_keeps_what_it_saw_while_others_write(house):
    house.book(A, CREATED)
    seen = {}

    def write():
        house.book(A, GIVEN)
        house.book(B, CREATED)
        with house.store.book() as tx:
            tx.publish("x", "d", b"x")
            tx.put_row("t", b"k", b"v")

    with house.store.look() as view:
        before = (view.gather([A, B], None), view.log, view.house_version)
        other = threading.Thread(target=write)
        other.start()
        other.join()
        seen = (view.gather([A, B], None), view.log, view.house_version)
        assert view.row("t", b"k") is None
        assert view.people(None, 9) == [A]
        with house.store.look() as inner:
            assert (inner.log.size, inner.row("t", b"k")) == (3, b"v")
            with house.store.look() as innermost:
                assert innermost.log == inner.log
        assert view.log == before[1]
    assert seen == before
    with house.store.look() as view:
        assert len(view.gather([A, B], None)) == 2
        assert view.house_version == 1
        assert view.log.size == 3


def test_L24_of_two_bookings_from_one_look_one_drops_out_and_no_number_is_missed(house):
    house.book(A, CREATED)
    one, two = house.prepare(A, GIVEN), house.prepare(A, ERASED, ERASED)
    other = house.prepare(B, CREATED)
    with house.store.book() as tx:
        assert tx.append(one) == frozenset()
    with house.store.book() as tx:
        assert tx.append(two + other) == {A}
    with house.store.look() as view:
        assert [b.n for b in view.bodies(A)] == [1, 2]
        assert view.gather([A, B], None)[0].head == Head(2, one[0].c)
        assert view.gather([B], None)[0].head.n == 1
        assert view.log.size == 3
    retry = house.prepare(A, ERASED, ERASED)
    with house.store.book() as tx:
        assert tx.append(retry) == frozenset()
    with house.store.look() as view:
        assert [b.n for b in view.bodies(A)] == [1, 2, 3, 4]


def test_L24_a_head_of_the_same_number_and_another_commitment_has_moved_too(house):
    first, rival = house.prepare(A, CREATED), house.prepare(A, GIVEN)
    next_of_rival = house.prepare(A, ERASED, head=Head(1, rival[0].c))
    with house.store.book() as tx:
        tx.append(first)
    with house.store.book() as tx:
        assert tx.append(next_of_rival) == {A}


def test_events_of_one_person_in_one_batch_must_follow_one_another(house):
    one, two = house.prepare(A, CREATED), house.prepare(A, GIVEN)
    with pytest.raises(InvalidInput), house.store.book() as tx:
        tx.append(one + two)
    with house.store.look() as view:
        assert (view.log.size, view.people(None, 9)) == (0, [])
    house.book(A, CREATED)


def test_two_appends_in_one_transaction_chain_on(house):
    one = house.prepare(A, CREATED)
    two = house.scribe.prepare(A, Head(1, one[0].c), [GIVEN], cast.SYSTEM, cast.NOW)
    with house.store.book() as tx:
        assert tx.append(one) == frozenset()
        assert tx.append(two) == frozenset()
        assert tx.append(one) == {A}
        assert (tx.size, tx.log.size) == (2, 0)
    with house.store.look() as view:
        assert view.log.size == 2


def test_L25_a_published_change_between_look_and_book_books_nothing(house):
    with house.store.look() as view:
        version = view.house_version
    prepared = house.prepare(A, CREATED)
    with house.store.book() as tx:
        assert tx.publish("notice:offers", "sha", b"text").label == "notice:offers@1"
    with pytest.raises(Conflict), house.store.book(house_version=version) as tx:
        tx.append(prepared)
    with house.store.look() as view:
        assert (view.people(None, 9), view.log.size) == ([], 0)
    with house.store.book(house_version=version + 1) as tx:
        tx.append(prepared)


def contact(who):
    return ContactPoint(Channel.EMAIL, who[:16], b"sup" + who[:13], 2)


def test_gather_keeps_the_order_asked_and_joins_contact_and_blocks(house):
    for who in (A, B, C):
        house.book(who, CREATED)
    block = Block("unsubscribe", "channel", "email", cast.NOW)
    with house.store.book() as tx:
        for who in (A, B):
            tx.put_contact(who, contact(who))
        tx.put_block(Suppressed(contact(B).sup, block))
        tx.put_block(Suppressed(contact(B).sup, Block("complaint")))
        tx.put_block(Suppressed(b"nobody", block))
    stranger = cast.person("stranger")
    with house.store.look() as view:
        found = view.gather([C, stranger, B, A, B], Channel.EMAIL)
        assert [g.person for g in found] == [C, B, A, B]
        assert [g.contact for g in found] == [None, contact(B), contact(A), contact(B)]
        assert found[1].blocks == (Block("complaint"), block)
        assert found[2].blocks == ()
        assert [g.contact for g in view.gather([A], Channel.SMS)] == [None]
        assert view.gather([A], None)[0].contact is None
        assert view.find(Channel.EMAIL, contact(B).bi) == [B]
        assert view.find(Channel.SMS, contact(B).bi) == []
        assert view.holders(contact(A).sup) == [A]
        assert view.holders(b"nobody") == []


def test_more_people_than_one_question_holds_are_gathered_with_each_block_once(house):
    people = [cast.person(f"p{i}") for i in range(1_203)]
    house.box.keys.make([(p, "", 1) for p in people])
    prepared = [
        house.scribe.prepare(p, NO_HEAD, [CREATED], cast.SYSTEM, cast.NOW)[0] for p in people
    ]
    shared = ContactPoint(Channel.EMAIL, b"b" * 16, b"s" * 16)
    with house.store.book() as tx:
        assert tx.append(prepared) == frozenset()
        for who in people:
            tx.put_contact(who, shared)
        tx.put_block(Suppressed(shared.sup, Block("complaint")))
    with house.store.look() as view:
        found = view.gather(people[::-1], Channel.EMAIL)
        assert [g.person for g in found] == people[::-1]
        assert {g.blocks for g in found} == {(Block("complaint"),)}
        assert view.find(Channel.EMAIL, shared.bi) == people
        pages, last = [], None
        while page := view.people(last, 500):
            pages += page
            last = page[-1]
        assert pages == people


def test_a_contact_point_is_replaced_per_channel(house):
    house.book(A, CREATED)
    with house.store.book() as tx:
        tx.put_contact(A, contact(A))
        tx.put_contact(A, contact(B))
        tx.put_contact(A, ContactPoint(Channel.SMS, b"x" * 16, b"y" * 16))
    with house.store.look() as view:
        assert view.gather([A], Channel.EMAIL)[0].contact == contact(B)
        assert view.find(Channel.EMAIL, contact(A).bi) == []


def test_suppressions_merge_and_are_lifted_one_by_one(house):
    sup = b"s" * 16
    early, late = (
        Block("unsubscribe", since=Instant(5), until=9),
        Block("unsubscribe", since=Instant(7), until=20),
    )
    ever = Block("complaint", since=Instant(3), until=4)
    with house.store.book() as tx:
        for block in (late, early, ever, replace(ever, until=0), replace(ever, until=8)):
            tx.put_block(Suppressed(sup, block))
    with house.store.look() as view:
        assert view.blocks([sup, b"other"]) == {
            sup: (replace(ever, until=0), replace(early, until=20))
        }
        assert view.blocks([]) == {}
    with house.store.book() as tx:
        tx.drop_block(Suppressed(sup, early))
        tx.drop_block(Suppressed(sup, Block("objection")))
    with house.store.look() as view:
        assert view.blocks([sup]) == {sup: (replace(ever, until=0),)}


SCOPES = [
    "purchases",
    "purchases.x",
    "purchases/2026Q3",
    "purchases/2026Q4",
    "purchases0",
    "purchase/1",
]


def test_sealed_rows_are_read_by_field_and_by_prefix_and_no_wider(house):
    for who in (A, B):
        house.book(who, CREATED)
    rows = [Sealed(name, 0, 1, name.encode()) for name in SCOPES]
    rows.append(Sealed("purchases/2026Q3", 1, 1, b"second"))
    with house.store.book() as tx:
        tx.put_sealed(A, rows)
        tx.put_sealed(B, rows[:1])
    with house.store.look() as view:
        found = view.sealed([B, A], ["purchases/"])
        assert found == {A: [rows[2], rows[6], rows[3]]}
        assert view.sealed([A, B], ["purchases"]) == {A: rows[:1], B: rows[:1]}
        assert view.sealed([A], []) == view.sealed([], ["purchases"]) == {}
        assert view.sealed([A], ["nothing/", "purchases.x"]) == {A: [rows[1]]}
    with house.store.book() as tx:
        tx.put_sealed(A, [Sealed("purchases/2026Q3", 0, 2, b"again")])
        tx.drop_row(A, "purchases/2026Q3", 1)
        tx.drop_row(A, "purchases/2026Q3", 77)
        assert tx.drop_sealed(B, ["purchases/"]) == 0
    with house.store.look() as view:
        assert view.sealed([A], ["purchases/"])[A][0] == Sealed("purchases/2026Q3", 0, 2, b"again")
    with house.store.book() as tx:
        assert tx.drop_sealed(A, ["purchases/"]) == 2
    with house.store.look() as view:
        kept = view.sealed([A], SCOPES)[A]
        assert [r.field for r in kept] == sorted(n for n in SCOPES if "purchases/" not in n)


def test_every_sealed_row_and_body_of_a_person_can_be_put_under_a_newer_key(house):
    house.book(A)
    house.book(B)
    rows = [Sealed("name.given", 0, 1, b"one"), Sealed("purchases/2026Q1", 3, 2, b"two")]
    with house.store.book() as tx:
        tx.put_sealed(A, rows)
        tx.put_sealed(B, [Sealed("name.given", 0, 1, b"other")])
        tx.enqueue("letter", "a", b"carried", A)
        tx.enqueue("letter", "b", b"", B)
        assert sorted(tx.all_sealed(A), key=lambda row: row.field) == rows
        assert (tx.carried(A), tx.carried(B)) == (1, 0)
        tx.put_body(A, 1, b"under a newer key")
    with house.store.look() as view:
        assert [(b.n, b.rec) for b in view.bodies(A)] == [(1, b"under a newer key")]
        assert view.bodies(B)[0].rec != b"under a newer key"


def test_published_versions_count_up_and_are_kept(house):
    with house.store.book() as tx:
        for name in ("b", "a", "a", "a.x"):
            tx.publish(name, "d", name.encode())
        assert tx.published("a").version == 2
        assert tx.house_version == 4
    with house.store.look() as view:
        assert [p.label for p in view.published_all("a")] == ["a@1", "a@2", "a.x@1"]
        assert len(view.published_all("")) == 4
        assert view.published("a").at == cast.NOW


def test_own_rows_are_paged_by_prefix_and_claimed_once(house):
    value = b"v"
    with house.store.book() as tx:
        for key in (b"a1", b"a3", b"a2", b"b1", b"a\xff"):
            tx.put_row("t", key, key)
        tx.put_row("u", b"a0", b"x")
        assert tx.claim_row("t", b"claim", value)
        assert not tx.claim_row("t", b"claim", value)
        assert not tx.claim_row("t", b"a1", b"other")
    with house.store.look() as view:
        assert [k for k, _ in view.rows("t", b"a", b"", 9)] == [b"a1", b"a2", b"a3", b"a\xff"]
        assert [k for k, _ in view.rows("t", b"a", b"a1", 2)] == [b"a2", b"a3"]
        assert [k for k, _ in view.rows("t", b"", b"", 99)][-1] == b"claim"
        assert view.row("t", b"a1") == b"a1"
    with house.store.book() as tx:
        tx.put_row("t", b"a1", None)
        tx.put_row("t", b"nothing", None)
        assert tx.claim_row("t", b"a1", b"mine")
    with house.store.look() as view:
        assert view.row("t", b"a1") == b"mine"


def until(house, seconds):
    return Instant(house.clock.at + seconds * SECOND)


def test_a_job_is_leased_fenced_and_finished_once(house):
    house.book(A, CREATED)
    with house.store.book() as tx:
        assert tx.enqueue("mail", "k1", b"p", A)
        assert not tx.enqueue("mail", "k1", b"q", None)
        assert tx.enqueue("post", "k1", b"p", None)
        assert tx.enqueue("mail", "k2", b"p", None)
    with house.store.book() as tx:
        (job,) = tx.lease("mail", until(house, 60), 1)
        assert (job.key, job.fence, job.state, job.payload, job.person) == (
            "k1",
            1,
            "leased",
            b"p",
            A,
        )
    with house.store.book() as tx:
        assert [j.key for j in tx.lease("mail", until(house, 60), 9)] == ["k2"]
        assert tx.lease("mail", until(house, 60), 9) == []
        assert (tx.jobs("mail", "leased"), tx.jobs("mail", "ready"), tx.jobs("post", "ready")) == (
            2,
            0,
            1,
        )
    house.clock.at = until(house, 60)
    with house.store.book() as tx:
        stolen, _ = tx.lease("mail", until(house, 60), 9)
        assert (stolen.id, stolen.fence) == (job.id, 2)
    with pytest.raises(Conflict), house.store.book() as tx:  # noqa: PT012
        tx.put_row("t", b"k", b"v")
        tx.finish([(stolen, "done"), (job, "done")])
    with house.store.book() as tx:
        assert tx.row("t", b"k") is None
        assert tx.jobs("mail", "done") == 0
        tx.finish([(stolen, "done")])
    with pytest.raises(Conflict), house.store.book() as tx:
        tx.finish([(stolen, "done")])
    with house.store.look() as view:
        assert view.jobs("mail", "done") == 1


def test_a_dead_workers_jobs_are_seized_by_key(house):
    with house.store.book() as tx:
        for key in ("k1", "k2", "k3"):
            tx.enqueue("mail", key, b"", None)
        first, _ = tx.lease("mail", until(house, 600), 2)
    with house.store.book() as tx:
        (seized,) = tx.seize("mail", ["k1", "k3", "k9"], until(house, 600))
        assert (seized.key, seized.fence) == ("k1", 2)
    with pytest.raises(Conflict), house.store.book() as tx:
        tx.finish([(first, "done")])


def test_dropping_a_person_leaves_head_entries_and_suppressions_and_nothing_else(house):
    for who in (A, B):
        house.book(who, CREATED, GIVEN)
    with house.store.book() as tx:
        for who in (A, B):
            tx.put_contact(who, contact(who))
            tx.put_sealed(who, [Sealed("contact.email", 0, 1, b"x")])
            tx.enqueue("mail", who.hex(), b"", who)
            tx.put_block(Suppressed(contact(who).sup, Block("complaint")))
    with house.store.look() as view:
        log, tip = view.log, view.gather([A], None)[0].head
    with house.store.book() as tx:
        assert tx.drop_person(A) == {
            "body": 2,
            "contact_point": 1,
            "fact": 1,
            "job": 1,
            "sealed": 1,
        }
    with house.store.look() as view:
        assert view.log == log
        (gathered,) = view.gather([A], Channel.EMAIL)
        assert (gathered.head, gathered.record, gathered.contact) == (tip, NO_RECORD, None)
        assert view.bodies(A) == view.find(Channel.EMAIL, contact(A).bi) == []
        assert view.sealed([A], ["contact.email"]) == {}
        assert view.blocks([contact(A).sup])
        assert len(view.bodies(B)) == 2
        assert view.sealed([B], ["contact.email"])
        assert view.find(Channel.EMAIL, contact(B).bi) == [B]
        assert view.jobs("mail", "ready") == 1
    with house.store.book() as tx:
        assert set(tx.drop_person(A).values()) == {0}


def test_nothing_can_be_put_under_an_id_without_a_chain(house):
    for attempt in (
        lambda tx: tx.put_record(A, NO_RECORD),
        lambda tx: tx.put_contact(A, contact(A)),
        lambda tx: tx.put_sealed(A, []),
        lambda tx: tx.drop_sealed(A, ["x"]),
        lambda tx: tx.drop_row(A, "x", 0),
        lambda tx: tx.drop_person(A),
    ):
        with pytest.raises(NotFound), house.store.book() as tx:
            attempt(tx)
    with house.store.book() as tx:
        assert tx.record(A) == NO_RECORD


class Stop(Exception):
    pass


def test_what_was_begun_and_not_finished_leaves_nothing(house):
    house.book(A, CREATED)
    with house.store.look() as view:
        before = view.log
    prepared = house.prepare(A, GIVEN) + house.prepare(B, CREATED)
    with pytest.raises(Stop), house.store.book() as tx:  # noqa: PT012
        tx.append(prepared)
        tx.state(events.public_entry({"type": "pad"}))
        tx.enqueue("mail", "k1", b"", A)
        tx.publish("x", "d", b"")
        tx.put_row("t", b"k", b"v")
        tx.put_note(1, "note")
        tx.put_block(Suppressed(b"s", Block("complaint")))
        raise Stop
    with house.store.look() as view:
        assert (view.log, view.house_version, view.people(None, 9)) == (before, 0, [A])
        assert (view.jobs("mail", "ready"), view.row("t", b"k"), view.note()) == (0, None, None)
        assert view.blocks([b"s"]) == {}
        assert len(view.bodies(A)) == 1
    house.book(A, GIVEN)


def test_projections_run_in_the_commit_by_tag_and_by_family(kind, tmp_path):
    seen = []

    def note(tx, p):
        seen.append((p.payload.type, p.n, tx.gather([p.person], None)[0].head.n))
        tx.put_row("seen", p.payload.type.encode(), b"%d" % p.n)

    made = rig(kind, tmp_path, {"consent.": (note,), "person.created": (note, fold.project)})
    made.book(A, CREATED, GIVEN, ERASED)
    assert seen == [("person.created", 1, 3), ("consent.given", 2, 3)]
    with made.store.look() as view:
        assert view.row("seen", b"consent.given") == b"2"
    made.store.close()


def test_a_failing_projection_takes_everything_with_it(kind, tmp_path):
    def fail(tx, p):
        tx.put_row("t", b"k", b"v")
        if p.payload.type == "consent.given":
            raise Stop

    made = rig(kind, tmp_path, {"person.": (fail,), "consent.": (fail,)})
    with pytest.raises(Stop):
        made.book(A, CREATED, GIVEN)
    with made.store.look() as view:
        assert (view.log.size, view.people(None, 9), view.row("t", b"k")) == (0, [], None)
    made.book(A, CREATED)
    with made.store.look() as view:
        assert view.row("t", b"k") == b"v"
    made.store.close()


def test_L13_a_clock_behind_the_record_writes_nothing(house):
    house.book(A, CREATED)
    for behind in (3, 3_600):
        house.clock.at = Instant(cast.NOW - behind * SECOND)
        with house.store.look() as view:
            assert view.now == cast.NOW
        with pytest.raises(Unavailable, match="clock"), house.store.book() as tx:
            tx.put_row("t", b"k", b"v")
    house.clock.at = Instant(cast.NOW - 2 * SECOND)
    with house.store.book() as tx:
        assert tx.now == cast.NOW
    house.clock.at = Instant(cast.NOW + SECOND)
    with house.store.book() as tx:
        assert tx.now == cast.NOW + SECOND
        assert tx.row("t", b"k") is None


def test_public_statements_take_their_leaf_among_private_ones(house):
    pad = events.public_entry({"type": "pad"})
    one, two = house.prepare(A, CREATED), house.prepare(B, CREATED)
    with house.store.book() as tx:
        tx.append(one)
        assert tx.state(pad) == 1
        tx.append(two)
        assert tx.state(pad) == 3
    with house.store.look() as view:
        assert view.entries(0, 9) == [b"\0" + one[0].c, pad, b"\0" + two[0].c, pad]
        assert [b.seq for b in view.bodies(B)] == [2]
        assert view.entries(1, 3) == view.entries(0, 9)[1:3]


@pytest.mark.parametrize("entry", [b"", b"\x00" + b"x" * 32, b"\x01" + b"x" * 65_535, b"\x02{}"])
def test_L22_an_entry_no_verifier_would_take_is_never_stated(house, entry):
    with pytest.raises(InvalidInput), house.store.book() as tx:
        tx.state(entry)
    with house.store.look() as view:
        assert view.log.size == 0


def test_entries_tiles_and_root_are_those_of_an_edge_after_random_batches(house):
    rng = random.Random(7)
    tiles, size = cast.Tiles(), 0
    for batch in [1, 254, 1, 1, 255, 256, 257, *(rng.randrange(1, 300) for _ in range(6))]:
        entries = [events.public_entry({"type": "pad", "i": size + i}) for i in range(batch)]
        with house.store.book() as tx:
            for i, entry in enumerate(entries):
                assert tx.state(entry) == size + i
        size += batch
        tiles.add(entries)
        with house.store.look() as view:
            assert view.log == LogState(size, tiles.edge.root())
            stored = {place: view.tile(*place) for place in tiles.tiles}
            assert stored == tiles.tiles
            assert view.tile(0, size // 256 + 1) == b""
            ledger.Edge.load(size, view.tile)
    with house.store.look() as view:
        assert ledger.tree_root(size, view.tile) == view.log.root


def test_the_newest_checkpoint_is_the_one_of_the_largest_size(house):
    with house.store.book() as tx:
        for size in (5, 9, 7):
            tx.put_note(size, f"note {size}")
    with house.store.look() as view:
        assert view.note() == "note 9"


def test_a_job_and_its_event_are_booked_together_or_not_at_all(house):
    house.book(A, CREATED)
    stale = house.prepare(A, GIVEN)
    house.book(A, ERASED)
    with pytest.raises(Stop), house.store.book() as tx:  # noqa: PT012
        tx.enqueue("mail", "k1", b"", A)
        if tx.append(stale):
            raise Stop
    with house.store.look() as view:
        assert (view.jobs("mail", "ready"), view.log.size) == (0, 2)


def test_L6_an_omitted_event_shows_in_the_chain(house):
    house.book(A, CREATED, GIVEN, ERASED)
    with house.store.look() as view:

        class Without:
            """The same view, but for one body."""

            now = view.now
            gather = view.gather

            def __init__(self, n):
                self.n = n

            def bodies(self, who):
                return [b for b in view.bodies(who) if b.n != self.n]

        assert len(house.scribe.chain(view, A)) == 3
        for n in (1, 2, 3):
            with pytest.raises(EvidenceBroken):
                house.scribe.chain(Without(n), A)


def test_the_chain_of_an_erased_person_is_shredded_not_broken(house):
    house.book(A, CREATED, GIVEN)
    house.box.keys.shred(A, None, cast.NOW)
    for _ in range(2):
        with house.store.look() as view, pytest.raises(vault.Shredded):
            house.scribe.chain(view, A)
        with house.store.book() as tx:
            tx.drop_person(A)


def test_two_writer_threads_lose_nothing(house):
    for who in (A, B):
        house.book(who, CREATED)
    faults = []

    def write(who, mine):
        done = 0
        while done < 25:
            prepared = house.prepare(who, ERASED) + house.prepare(C, ERASED)
            try:
                with house.store.book() as tx:
                    moved = tx.append(prepared)
                    tx.put_row("count", mine + b"%d" % done, b"")
            except Fault as fault:
                faults.append(fault)
                return
            done += who not in moved

    threads = [threading.Thread(target=write, args=(w, m)) for w, m in ((A, b"a"), (B, b"b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with house.store.look() as view:
        total = sum(len(view.bodies(w)) for w in (A, B, C))
        assert total == view.log.size
        assert len(house.scribe.chain(view, A)) == len(house.scribe.chain(view, B)) == 26
        heads = [g.head.n for g in view.gather([A, B, C], None)]
        assert heads[2] == len(house.scribe.chain(view, C)) >= 25
        tiles = cast.Tiles().add(view.entries(0, total))
        assert tiles.edge.root() == view.log.root


# Only SQLite: files, processes, damage


@pytest.fixture
def disk(tmp_path):
    made = rig("sqlite", tmp_path)
    yield made
    made.store.close()


OTHER = """
import sys
sys.path.insert(0, sys.argv[1])
import cast
from pathlib import Path
from troth.adapters.sqlite import SqliteStore
from troth.kernel import events, fold
from troth.terms import NO_HEAD, PersonId
who, rounds = PersonId(bytes.fromhex(sys.argv[3])), int(sys.argv[4])
store = SqliteStore(Path(sys.argv[2]), cast.Clock(), fold.PROJECTIONS)
box = cast.with_keys(cast.vault(), cast.AGREED, cast.WITHDREW, cast.ERASING)
scribe = cast.scribe(box)
done = 0
while done < rounds:
    with store.look() as view:
        found = view.gather([who, cast.ERASING], None)
        heads = {g.person: g.head for g in found}
        prepared = [
            p for w in (who, cast.ERASING)
            for p in scribe.prepare(w, heads.get(w, NO_HEAD),
                [events.DataRead("service", ("x",))], cast.SYSTEM, view.now)
        ]
    with store.book() as tx:
        done += who not in tx.append(prepared)
store.close()
"""


def test_two_processes_on_one_file_lose_nothing_and_never_say_locked(tmp_path):
    path = tmp_path / "record.db"
    args = [sys.executable, "-c", OTHER, str(Path(cast.__file__).parent), str(path)]
    running = [
        subprocess.Popen(
            [*args, who.hex(), "40"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for who in (A, B)
    ]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
    made = rig("sqlite", tmp_path)
    with made.store.look() as view:
        assert len(made.scribe.chain(view, A)) == len(made.scribe.chain(view, B)) == 40
        size = sum(len(view.bodies(w)) for w in (A, B, C))
        assert view.log.size == size
        tiles = cast.Tiles().add(view.entries(0, size))
        assert view.log.root == tiles.edge.root()
    made.store.close()


def test_a_record_held_too_long_by_another_is_unavailable_and_says_to_repeat(tmp_path, disk):
    holder = sqlite3.connect(tmp_path / "record.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    disk.store._writer.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(Unavailable, match="repeat"), disk.store.book():
        pass
    holder.execute("ROLLBACK")
    holder.close()
    disk.book(A, CREATED)


def test_a_write_that_breaks_a_table_rule_is_a_conflict_not_damage(disk):
    def twice(tx):
        tx._con.execute("INSERT INTO published VALUES ('x', 1, 0, '', x'')")

    with pytest.raises(Conflict), disk.store.book() as tx:  # noqa: PT012
        twice(tx)
        twice(tx)
    disk.book(A, CREATED)


def test_L10_every_connection_is_durable_and_overwrites_what_it_deletes(disk):
    with disk.store.look() as view:
        for con in (view._con, disk.store._writer):
            for name, want in (("synchronous", 2), ("secure_delete", 1), ("journal_mode", "wal")):
                assert con.execute(f"PRAGMA {name}").fetchone()[0] == want


def test_L10_a_connection_that_will_not_be_durable_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(schema._WANTED, "synchronous", 9)
    with pytest.raises(Unavailable, match="synchronous"):
        SqliteStore(tmp_path / "record.db", cast.Clock(), {})


def test_a_record_of_a_newer_schema_is_refused_and_untouched(tmp_path):
    rig("sqlite", tmp_path).store.close()
    con = sqlite3.connect(tmp_path / "record.db")
    con.execute(f"PRAGMA user_version = {len(schema.STEPS) + 1}")
    con.close()
    before = (tmp_path / "record.db").read_bytes()
    with pytest.raises(Unavailable, match="newer"):
        SqliteStore(tmp_path / "record.db", cast.Clock(), {})
    assert (tmp_path / "record.db").read_bytes() == before


def filled(tmp_path):
    made = rig("sqlite", tmp_path)
    for _ in range(8):
        made.book(A, *[CREATED] * 40)
    made.store.truncate_wal()
    made.store.close()
    return tmp_path / "record.db"


def attempts(path):
    """Open and use the file in every way that reads it."""
    store = SqliteStore(path, cast.Clock(), fold.PROJECTIONS)
    try:
        with store.look() as view:
            view.bodies(A)
            view.gather([A], Channel.EMAIL)
            view.entries(0, 10_000)
        with store.book() as tx:
            tx.state(events.public_entry({"type": "pad"}))
    finally:
        store.close()


def refused_or_sound(path):
    """Damage is refused as such, with a remedy; a byte SQLite cannot judge is left to fsck."""
    try:
        attempts(path)
    except EvidenceBroken as fault:
        assert fault.remedy  # noqa: PT017
        return True
    return False


def test_a_truncated_record_is_refused_as_damaged(tmp_path):
    path = filled(tmp_path)
    whole = path.read_bytes()
    for part in (3, 2):
        path.write_bytes(whole[: len(whole) // part])
        assert refused_or_sound(path)
        for extra in path.parent.glob("record.db-*"):
            extra.unlink()


def test_a_record_with_flipped_pages_is_refused_as_damaged(tmp_path):
    path = filled(tmp_path)
    whole = path.read_bytes()
    page = int.from_bytes(whole[16:18], "big")
    refused = 0
    for number in range(len(whole) // page):
        damaged = bytearray(whole)
        for at in range(number * page, number * page + 64):
            damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        refused += refused_or_sound(path)
        for extra in path.parent.glob("record.db-*"):
            extra.unlink()
    assert refused >= 10


def test_a_file_that_is_no_database_is_refused_as_damaged(tmp_path):
    (tmp_path / "record.db").write_bytes(b"not a database at all, but long enough to be one" * 99)
    with pytest.raises(EvidenceBroken, match="damaged") as told:
        SqliteStore(tmp_path / "record.db", cast.Clock(), {})
    assert told.value.remedy


def test_L4_damage_sqlite_cannot_see_is_found_by_the_check(tmp_path):
    path = filled(tmp_path)
    con = sqlite3.connect(path)
    con.execute(
        "UPDATE entry SET data = CAST(x'00' || substr(data, 3) || x'07' AS BLOB) WHERE seq = 5"
    )
    con.commit()
    con.close()
    store = SqliteStore(path, cast.Clock(), {})
    with store.look() as view:
        entries, tiles, notes = view.audit()
        found = ledger.verify(
            ledger.Stored(view.log.size, view.log.root, entries, tiles, notes), cast.policy()
        )
    assert found
    store.close()


def test_tiles_that_do_not_fit_the_root_stop_the_first_write(tmp_path):
    path = filled(tmp_path)
    for wrong in ("UPDATE tile SET h = zeroblob(length(h)) WHERE l = 0", "DELETE FROM tile"):
        con = sqlite3.connect(path)
        con.execute(wrong)
        con.commit()
        con.close()
        store = SqliteStore(path, cast.Clock(), {})
        with pytest.raises(EvidenceBroken), store.book():
            pass
        store.close()


@pytest.fixture
def open_folder():
    """A folder any user can reach, so that rights can be taken away from it."""
    folder = Path(tempfile.mkdtemp(prefix="troth"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


class NotRoot:
    """Act as a user without rights: root may write anywhere."""

    def __enter__(self):
        self.was = os.geteuid()
        if self.was == 0:
            os.seteuid(65_534)

    def __exit__(self, *_):
        if self.was == 0:
            os.seteuid(0)


def test_a_read_only_folder_is_unavailable_and_says_what_to_do(open_folder):
    with NotRoot(), pytest.raises(Unavailable) as told:
        SqliteStore(open_folder / "record.db", cast.Clock(), {})
    assert told.value.remedy
    rig("sqlite", open_folder).store.close()
    (open_folder / "record.db").chmod(0o444)
    open_folder.chmod(0o555)
    with NotRoot(), pytest.raises(Unavailable) as told:  # noqa: PT012
        made = SqliteStore(open_folder / "record.db", cast.Clock(), {})
        with made.book() as tx:
            tx.put_row("t", b"k", b"v")
    assert told.value.remedy


def test_a_missing_folder_is_unavailable(tmp_path):
    with pytest.raises(Unavailable):
        SqliteStore(tmp_path / "nowhere" / "record.db", cast.Clock(), {})


def test_a_look_that_could_not_begin_leaves_the_thread_able_to_look_again(disk):
    class Broken(cast.Clock):
        def now(self):
            raise Stop

    good, disk.store._clock = disk.store._clock, Broken()
    with pytest.raises(Stop), disk.store.look():
        pass
    disk.store._clock = good
    with disk.store.look() as view:
        assert view.log.size == 0


def test_V10_dropped_rows_are_gone_from_every_file(tmp_path, disk):
    marker = b"marker-of-a-sealed-row-" * 4
    disk.book(A, CREATED)
    with disk.store.book() as tx:
        tx.put_sealed(A, [Sealed("contact.email", 0, 1, marker)])
        tx.put_row("t", b"k", marker)
    assert any(marker in f.read_bytes() for f in tmp_path.iterdir())
    with disk.store.book() as tx:
        tx.drop_person(A)
        tx.put_row("t", b"k", None)
    disk.store.truncate_wal()
    assert not any(marker[:20] in f.read_bytes() for f in tmp_path.iterdir())


def test_L21_no_plain_event_lies_in_any_file(tmp_path, disk):
    disk.book(A, events.ProcessingRestricted(True, "a-plain-marker-in-an-event"))
    disk.book(A, events.DataRead("service", ("a-plain-marker-in-an-event",)))
    assert not any(b"plain-marker" in f.read_bytes() for f in tmp_path.iterdir())


def test_the_record_is_for_its_owner_alone(tmp_path, disk):
    assert (tmp_path / "record.db").stat().st_mode & 0o077 == 0


def test_many_who_open_a_new_record_at_once_all_get_the_same_one(tmp_path):
    for turn in range(5):
        path, faults, stores = tmp_path / f"record{turn}.db", [], []
        gate = threading.Barrier(6)

        def begin(path=path, faults=faults, stores=stores, gate=gate):
            gate.wait()
            try:
                stores.append(SqliteStore(path, cast.Clock(), {}))
            except Fault as fault:
                faults.append(fault)

        threads = [threading.Thread(target=begin) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        for store in stores:
            with store.look() as view:
                assert view.log.size == 0
            store.close()


# The last look before a message leaves


def test_a_mark_holds_until_anybody_records_anything(house):
    mark = house.store.mark()
    assert house.store.unchanged(mark) == cast.NOW
    with house.store.look() as view:
        view.people(None, 1)
    assert house.store.unchanged(mark) == cast.NOW
    house.book(A, CREATED)
    assert house.store.unchanged(mark) is None
    fresh = house.store.mark()
    assert house.store.unchanged(fresh) == cast.NOW
    with house.store.book() as tx:
        tx.put_row("t", b"k", b"v")
    assert house.store.unchanged(fresh) is None


def test_a_write_that_is_undone_changes_nothing(house):
    mark = house.store.mark()
    with pytest.raises(InvalidInput), house.store.book() as tx:
        tx.put_row("t", b"k", b"v") or tx.state(b"\x00no statement")
    with house.store.look() as view:
        assert view.row("t", b"k") is None
    assert house.store.unchanged(mark) in (cast.NOW, None)


def test_another_process_that_records_is_noticed_and_inside_a_look_nothing_is_told(tmp_path):
    one = rig("sqlite", tmp_path)
    other = SqliteStore(tmp_path / "record.db", cast.Clock(), fold.PROJECTIONS)
    mark = one.store.mark()
    with one.store.look():
        assert one.store.unchanged(mark) is None
        assert one.store.unchanged(one.store.mark()) is None
    assert one.store.unchanged(mark) == cast.NOW
    with other.book() as tx:
        tx.put_row("t", b"k", b"v")
    assert one.store.unchanged(mark) is None
    seen = []
    mine = one.store.mark()
    thread = threading.Thread(target=lambda: seen.append(one.store.unchanged(mine)))
    thread.start()
    thread.join()
    assert seen == [None]
    other.close()
    one.store.close()
    with pytest.raises(Fault):
        one.store.mark()


def test_jobs_taken_and_not_ended_are_told_by_key_among_kinds_that_begin_so(house):
    with house.store.book() as tx:
        for kind, key in (("mail/a", "1"), ("mail/b", "2"), ("mail/b", "3"), ("other", "1")):
            tx.enqueue(kind, key, b"", None)
    with house.store.book() as tx:
        (first,) = tx.lease("mail/a", Instant(cast.NOW + SECOND), 5)
        tx.lease("mail/b", Instant(cast.NOW + SECOND), 1)
        tx.lease("other", Instant(cast.NOW + SECOND), 1)
    keys = ["1", "2", "3", "4"]
    with house.store.look() as view:
        assert view.leased("mail/", keys) == {"1", "2"}
        assert view.leased("mail/", []) == frozenset()
        assert view.leased("nothing/", keys) == frozenset()
    with house.store.book() as tx:
        tx.finish([(first, "handed")])
    with house.store.look() as view:
        assert view.leased("mail/", keys) == {"2"}


def test_sealed_rows_are_read_from_a_quarter_on(house):
    house.book(A, CREATED)
    names = ["interests", "purchases/2025Q4", "purchases/2026Q1", "purchases/2026Q2"]
    with house.store.book() as tx:
        tx.put_sealed(A, [Sealed(name, 0, 1, b"r") for name in names])
    with house.store.look() as view:
        found = view.sealed([A], ["purchases/"], "purchases/2026Q1")
        assert [row.field for row in found[A]] == names[2:]
        assert [row.field for row in view.sealed([A], ["purchases/"])[A]] == names[1:]
