"""The disk is lost, yesterday's backup comes back; what people said this morning still holds."""

import disaster
import marula
import pytest

from troth.capabilities import rights
from troth.errors import EvidenceBroken, Unavailable
from troth.kernel import proof


@pytest.fixture
def story(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    told.run()
    told.back_up()
    told.receipt = rights.receipts(house.desk, told.annelie, house.ws.sign())[0].text
    told.policy = house.ws.signer.own
    told.this_morning()
    told.lose()
    return told


def test_who_withdrew_this_morning_is_not_mailed_after_yesterdays_backup(story):
    story.restore()
    assert story.house.codes(story.annelie) == ["withdrawn"]
    assert story.house.codes(story.dumi, story.house.campaign("autumn")) == []
    chain = [e.payload for e in story.house.chain(story.annelie)]
    told = next(said for said in reversed(chain) if said.type == "consent.withdrawn")
    assert (told.status, told.method, told.given_by) == ("withdrawn", "restored", "self")


def test_the_month_she_deleted_is_absent_and_the_other_quarter_is_there(story):
    story.restore()
    assert story.bought(story.annelie) == ["2026-03", "2026-08"]
    assert story.bought(story.bongani) == ["2026-08"]


def test_a_late_file_does_not_bring_the_deleted_month_back(story):
    story.restore()
    story.house.take("events", {
        "external_id": "bongani", "at": disaster.MARCH, "kind": "purchase", "item": "1003",
        "group": "g", "amount_minor": "1", "currency": "ZAR", "units": "1", "store": "1",
    })  # fmt: skip
    assert story.bought(story.bongani) == ["2026-08"]


def test_who_was_erased_is_unreadable_though_yesterdays_keys_came_back_too(story):
    story.restore()
    ws = story.house.ws
    assert rights.is_erased(ws.desk, story.carmen)
    assert story.house.person("carmen") is None
    with ws.store.look() as view:
        assert view.bodies(story.carmen) == []
        assert ws.desk.vault.keys.destroyed(story.carmen, view.now)
    assert {r.state for r in ws.keys.rows([story.carmen])} == {"shredded"}


def test_campaigns_are_stopped_and_nothing_is_sent_twice(story):
    done = story.restore()
    assert story.stage() == "stopped"
    assert (done.outcome.campaigns, done.outcome.messages) == (1, 2)
    assert story.house.hand_over(story.house.campaign("spring")).handed == 0
    assert story.house.delivered() == {}
    ends = [e.payload for e in story.house.chain(story.dumi) if e.type.startswith("message.")]
    assert ends[-1].state == "unknown"


def test_old_receipts_verify_under_the_old_name_and_new_ones_under_the_new(story):
    done = story.restore()
    ws = story.house.ws
    assert done.continued == ws.signer.origin == "marula.example/ledger-2"
    proof.verify_receipt(story.receipt, story.policy)
    for each in rights.receipts(ws.desk, story.annelie, ws.sign()):
        proof.verify_receipt(each.text, ws.signer.own)
        with pytest.raises(EvidenceBroken):
            proof.verify_receipt(each.text, story.policy)
    assert ws.verify() == []


def test_the_ledger_says_what_was_lost_and_what_was_done(story):
    done = story.restore()
    continued, said = story.leaves("log.continued")[0], story.leaves("restore.done")[0]
    assert continued["from"] == "marula.example/ledger"
    assert continued["size"] - continued["kept"] == done.lost > 0
    assert said["journal"] == "whole"
    assert said["again"] == done.outcome.replayed.booked
    acts = done.outcome.replayed.again
    assert acts["restriction"] >= 1
    assert (acts["partial"], acts["erasure"]) == (1, 1)


def test_nothing_opens_the_house_while_a_restore_is_not_finished(story):
    given = story.given(after=lambda step: 1 / 0 if step == "facts" else None)
    with pytest.raises(ZeroDivisionError):
        disaster.restore.restore(story.house.folder, story.made.path, given)
    with pytest.raises(Unavailable, match="not finished"):
        story.house.open()
    story.restore()
    assert story.house.codes(story.annelie) == ["withdrawn"]


def test_a_second_disaster_is_survived_as_well(story):
    story.restore()
    story.back_up()
    story.later(1)
    story.house.say(story.dumi, "withdrawn")
    story.house.ws.sign()
    story.lose()
    done = story.restore()
    assert done.continued == "marula.example/ledger-3"
    assert story.house.codes(story.dumi) == ["withdrawn"]
    assert story.house.codes(story.annelie) == ["withdrawn"]
    assert story.bought(story.bongani) == ["2026-08"]
    assert rights.is_erased(story.house.desk, story.carmen)
    assert story.house.ws.verify() == []


def test_what_was_agreed_again_before_the_backup_stays_agreed(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    told.later()
    told.house.say(told.dumi, "withdrawn")
    told.later()
    told.house.consents("dumi", {"occurred_at": told.house.when().isoformat(),
                                 "idempotency_key": "again"})  # fmt: skip
    before = told.house.codes(told.dumi)
    told.back_up()
    told.lose()
    told.restore()
    assert told.house.codes(told.dumi) == before


def test_the_facts_of_everybody_are_those_there_were(house, tmp_path):
    told = disaster.Disaster(house, tmp_path)
    told.back_up()
    with house.ws.store.look() as view:
        people = view.people(None, 500)
        before = view.gather(people, marula.Channel.EMAIL)
    told.lose()
    done = told.restore()
    with told.house.ws.store.look() as view:
        after = view.gather(people, marula.Channel.EMAIL)
    house_id = told.house.desk.scribe.house
    assert [(g.person, g.record, g.contact, g.blocks) for g in after] == [
        (g.person, g.record, g.contact, g.blocks) for g in before
    ]
    assert [g.head for g in after if g.person != house_id] == [
        g.head for g in before if g.person != house_id
    ]
    assert (done.continued, done.lost) == ("", 0)  # all that was signed came back
