"""Law 7: a promise that is not measured is shown as not kept; missing data is never green.

Now: figures add up to what went in, doubt is counted as doubt, and a certificate says what it did
not reach. Later work adds the measured promises of the trust page; their stories go here.
"""

from datetime import timedelta

from marula import BLANK, NOW, cast_members, days_ago

from troth.adapters.smtp import HandoverJournal
from troth.capabilities import outreach


def test_the_figures_of_a_preview_add_up_to_everybody_who_was_asked_about(house):
    people = house.everybody(*(who.external_id for who in cast_members()))
    told = house.preview(people)
    assert told.candidates == len(people) == told.reachable + sum(told.refused.values())
    assert sum(told.by_level.values()) == told.reachable


def test_a_preview_promises_what_booking_then_does_when_nothing_changes_between(house):
    people = house.everybody(*(who.external_id for who in cast_members()))
    told, done = house.preview(people), house.book(people)
    assert told.reachable == done.booked
    assert dict(told.refused) == dict(done.refused)
    assert told.by_level == dict(sorted(done.by_level.items()))


def test_the_figures_of_a_hand_over_add_up_to_what_was_booked(house):
    people = [house.newcomer(f"p{n}", {}) for n in range(4)]
    assert house.book(people).booked == 4
    house.say(people[0], "withdrawn", method="button")
    handed = house.hand_over()
    assert handed.handed + handed.failed + handed.unknown + sum(handed.withheld.values()) == 4
    assert handed.handed == len(house.mails()) == 3


def test_an_import_accounts_for_every_row(house):
    rows = [{**BLANK, "external_id": f"r{n}", "email": f"r{n}@post.example"} for n in range(5)]
    rows += [{**BLANK, "external_id": "bad", "email": "no address", "birth_year": "x"}]
    report = house.take("customers", *rows)
    counted = report.outcomes
    assert counted["kept"] + counted["rejected"] + counted["skipped"] == 6
    acts = house.take("consents",
        {"external_id": "r1", "purpose": "offers", "channels": "email", "status": "given",
         "occurred_at": days_ago(5)},
        {"external_id": "nobody", "purpose": "offers", "channels": "email", "status": "refused",
         "occurred_at": days_ago(5)},
        {"external_id": "r2", "purpose": "sorcery", "channels": "email", "status": "refused",
         "occurred_at": days_ago(5)},
    )  # fmt: skip
    assert acts.outcomes["unproven"] == 1
    assert acts.outcomes["unknown_person"] == 1
    assert acts.outcomes["rejected"] == 1


def test_a_message_that_may_have_left_is_unknown_counted_and_never_sent_again(house):
    people = [house.newcomer(f"p{n}", {}) for n in range(2)]
    house.book(people)
    with house.ws.store.book() as tx:
        jobs = tx.lease(outreach.job_kind("winback"), tx.now + outreach.LEASE, 10)
    with HandoverJournal(house.folder / "data/handover.log") as log:
        log.start(jobs[0].key)
    house.at(NOW + timedelta(minutes=11))
    handed = house.hand_over()
    assert (handed.unknown, handed.handed) == (1, 1)
    told = [e.type for p in people for e in house.chain(p) if e.type.startswith("message.")]
    assert sorted(told) == [
        "message.booked", "message.booked", "message.handed", "message.unknown",
    ]  # fmt: skip
    assert house.hand_over().handed == 0
    assert len(house.mails()) == 1


def test_what_may_have_left_counts_against_how_often_a_person_is_written_to(house):
    person = house.newcomer("probe", {})
    house.book([person])
    with house.ws.store.book() as tx:
        (job,) = tx.lease(outreach.job_kind("winback"), tx.now + outreach.LEASE, 10)
    with HandoverJournal(house.folder / "data/handover.log") as log:
        log.start(job.key)
    house.at(NOW + timedelta(minutes=11))
    house.hand_over()
    assert len(house.record(person).sends["email"]) == 1
