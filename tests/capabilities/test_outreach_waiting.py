"""Messages that wait: in their jobs, gone once they ended, handed over whoever took them before."""

import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

import marula

from troth.adapters.smtp import HandoverJournal, SmtpTransport
from troth.capabilities import outreach
from troth.errors import Unavailable
from troth.kernel.desk import pointers
from troth.terms import Outcome

NAMES = ("ann", "ben", "cia")
JOBS = "outreach.mail/winback"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waiting") / "house"
    marula.make(folder)
    house = marula.House(folder)
    house.take("customers", *[
        {**marula.BLANK, "external_id": name, "email": f"{name}@post.example"} for name in NAMES
    ])  # fmt: skip
    house.take("consents", *[
        {"external_id": name, "idempotency_key": name, **marula.YES} for name in NAMES
    ])  # fmt: skip
    house.ws.close()
    return folder


@pytest.fixture
def house(made, tmp_path):
    import shutil

    shutil.copytree(made, tmp_path / "house")
    opened = marula.House(tmp_path / "house")
    assert opened.book(opened.everybody(*NAMES)).booked == len(NAMES)
    yield opened
    opened.ws.close()


def courier(house, log, port=1, others=dict):
    transport = SmtpTransport("127.0.0.1", port, "none")
    return outreach.Courier(house.desk, house.campaign(), transport, log, marula.MARKETER, others)


def payloads(house):
    con = house.ws.store._writer
    return [row[0] for row in con.execute("SELECT payload FROM job ORDER BY id")]


def jobs(house):
    with house.ws.store.look() as view:
        return {state: view.jobs(JOBS, state) for state in ("ready", "leased", "handed")}


def test_a_message_waits_in_its_job_and_nothing_of_it_once_it_left(house):
    before = payloads(house)
    assert all(len(each) > 1_000 for each in before)
    assert house.hand_over().handed == len(NAMES)
    assert payloads(house) == [b""] * len(NAMES)
    assert sorted(house.delivered()) == [f"{name}@post.example" for name in NAMES]


def test_a_message_booked_before_messages_waited_in_jobs_is_handed_over(house):
    con, desk, campaign = house.ws.store._writer, house.desk, house.campaign()
    kept = {}
    rows = con.execute("SELECT id, payload, person FROM job").fetchall()
    with house.ws.store.look() as view:
        for number, payload, person in rows:
            name, row, used, rec = msgspec.msgpack.decode(payload)
            sealed = outreach.handover.Sealed("outgoing:offers", row, 1, rec)
            (judged,) = outreach.judge(desk, view, campaign, [person], marula.MARKETER)
            packed = desk.vault.open_outgoing(judged.answer, sealed, view.now)

            def skeleton(key, view=view):
                return outreach.handover.mail.Skeleton.read(
                    key, view.row("outreach.skeleton", key)
                )

            whole = outreach.handover.mail.unpack(packed, skeleton)
            again = desk.vault.seal_outgoing(person, "offers", row, whole, view.now)
            kept[number] = (person, again, msgspec.json.encode([name, row, used]))
    with house.ws.store.book() as tx:
        for person, sealed, _ in kept.values():
            tx.put_sealed(person, [sealed])
    con.executemany(
        "UPDATE job SET payload = ? WHERE id = ?", [(old, n) for n, (_, _, old) in kept.items()]
    )
    assert house.hand_over().handed == len(NAMES)
    assert sorted(house.delivered()) == [f"{name}@post.example" for name in NAMES]
    with house.ws.store.look() as view:
        assert view.sealed([person for person, _, _ in kept.values()], ["outgoing:offers"]) == {}


def test_a_relay_that_cannot_be_reached_leaves_every_message_ready_at_once(house):
    with HandoverJournal(house.folder / "log") as log, pytest.raises(Unavailable):
        courier(house, log).run(outreach.Handed())
    assert house.hand_over().handed == len(NAMES)


def test_what_another_worker_began_is_not_sent_again_when_its_lease_ran_out(house):
    kind = outreach.job_kind("winback")
    with house.ws.store.book() as tx:
        first, *_ = tx.lease(kind, tx.now, 9)
    begun = {first.key: Outcome(first.key, "unknown")}
    totals = outreach.Handed()
    with house.inbox() as port, HandoverJournal(house.folder / "log") as log:
        courier(house, log, port, lambda: begun).run(totals)
    assert (totals.handed, totals.unknown) == (len(NAMES) - 1, 1)


def test_a_dead_workers_leases_are_free_unless_somebody_took_them_since(house):
    kind, log = outreach.job_kind("winback"), HandoverJournal(house.folder / "log")
    with house.ws.store.book() as tx:
        taken = tx.lease(kind, outreach.handover.Instant(tx.now + outreach.LEASE), 9)
    with house.ws.store.book() as tx:
        tx.seize(kind, [taken[0].key], outreach.handover.Instant(tx.now + outreach.LEASE))
    with log, house.inbox() as port:
        worker, totals = courier(house, log, port), outreach.Handed()
        worker.recover({}, totals, {job.key: job.fence for job in taken})
        worker.run(totals)
    assert totals.handed == len(NAMES) - 1
    assert jobs(house)["leased"] == 1


def test_the_mark_of_a_campaign_names_the_stop_token_beside_it(house):
    for name in NAMES:
        with house.ws.store.look() as view:
            found = dict(pointers(view, house.person(name)))
            assert view.row("preferences.token", found["preferences.token"])
        assert {"outreach.done", "preferences.token"} <= found.keys()
