"""Law 2: no use without evidence, durable before a message leaves; refusals too.

Later work adds the events of staff reads, shares and reports; each gets its line in these tables.
"""

import hashlib
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from marula import MARKETER, NOW, cast_members

from troth import app
from troth.adapters.smtp import HandoverJournal, SmtpTransport
from troth.capabilities import outreach, preferences, rights
from troth.errors import EvidenceBroken, Unavailable
from troth.kernel import proof
from troth.terms import Block, Channel, instant

ADDRESS = "probe@post.example"


def types(house, person):
    return [e.type for e in house.chain(person)]


def test_each_person_of_a_campaign_has_the_answer_in_their_own_chain(house):
    people = house.everybody(*(who.external_id for who in cast_members()))
    before = {p: len(house.chain(p)) for p in people}
    house.send(people)
    for person in people:
        new = types(house, person)[before[person] :]
        assert new in (["message.booked", "message.handed"], ["use.refused"]), new


def test_a_refusal_names_its_codes_its_rules_and_the_ruleset_in_the_persons_chain(house):
    person = house.person("cast-zero")
    house.book([person])
    refused = house.chain(person)[-1].payload
    assert refused.type == "use.refused"
    assert {r["code"] for r in refused.reasons} == {"level_zero"}
    with house.ws.store.look() as view:
        house_now = house.desk.house(view)
        leaves = b"".join(view.entries(0, view.log.size))
    assert refused.ruleset == house_now.ruleset.digest
    assert f"sha256:{refused.ruleset}".encode() in leaves


def test_a_preview_is_one_house_event_that_names_nobody(house):
    people = house.everybody("cast-adult", "cast-zero", "cast-gone")
    before, chains = house.house_chain(), [len(house.chain(p)) for p in people]
    told = house.preview(people)
    new = house.house_chain()[len(before) :]
    assert [e.type for e in new] == ["set.processed"]
    assert new[0].payload.counts == {"reachable": 1, "level_zero": 1, "withdrawn": 1}
    assert told.reachable + sum(told.refused.values()) == told.candidates == 3
    assert [len(house.chain(p)) for p in people] == chains
    raw = repr(new[0])
    assert not any(p.hex() in raw for p in people)


def test_booking_and_importing_are_house_events_too(house):
    before = len(house.house_chain())
    house.newcomer("probe", {})
    house.book([house.person("probe")])
    assert [e.type for e in house.house_chain()[before:]] == [
        "import.finished", "import.finished", "set.processed",
    ]  # fmt: skip


@dataclass
class Watching:
    """Hands over for real, looking at the record right before each message may leave."""

    house: object
    inner: SmtpTransport
    seen: list = field(default_factory=list)
    meanwhile: object = lambda _ref: None

    def hand_over(self, messages, may_go, journal):
        def asked(ref):
            self.meanwhile(ref)
            self.seen.append((ref, len(self.house.mails())))
            return may_go(ref)

        yield from self.inner.hand_over(messages, asked, journal)


def deliver(house, meanwhile=lambda _ref: None):
    totals = outreach.Handed()
    with house.inbox() as port, HandoverJournal(house.folder / "data/handover.log") as log:
        transport = Watching(house, SmtpTransport("127.0.0.1", port, "none"), meanwhile=meanwhile)
        outreach.Courier(house.desk, house.campaign(), transport, log, MARKETER).run(totals)
    return totals


def test_the_booking_is_committed_and_names_the_very_bytes_before_they_leave(house):
    person = house.newcomer("probe", {})
    house.book([person])
    booked = house.chain(person)[-1].payload
    assert booked.type == "message.booked"
    assert house.mails() == []
    house.hand_over()
    (received,) = house.mails()
    assert hashlib.sha256(received.path.read_bytes()).hexdigest() == booked.content
    assert booked.message_id in received.path.read_text()


def test_a_withdrawal_while_the_batch_is_being_handed_over_stops_the_rest(house):
    people = [house.newcomer(f"p{n}", {}) for n in range(4)]
    house.book(people)

    def stop(_ref):
        if len(house.mails()) == 1 and "consent.withdrawn" not in types(house, people[3]):
            house.say(people[3], "withdrawn", method="one_click")

    totals = deliver(house, stop)
    assert (totals.handed, totals.withheld) == (3, Counter({"withdrawn": 1}))
    assert house.delivered() == Counter(f"p{n}@post.example" for n in range(3))
    assert types(house, people[3])[-1] == "message.withheld"


def test_an_erasure_while_a_campaign_is_sending_stops_that_message_and_nothing_else(house):
    people = [house.newcomer(f"p{n}", {}) for n in range(4)]
    house.book(people)
    erased = []

    def erase(_ref):
        if len(house.mails()) == 1 and not erased:
            erased.append(house.ws.erase(people[3], "rq-1"))

    totals = deliver(house, erase)
    assert totals.handed == 3
    assert house.delivered() == Counter(f"p{n}@post.example" for n in range(3))
    assert [types(house, p)[-1] for p in people[:3]] == ["message.handed"] * 3
    assert house.ws.verify() == []


def test_an_erasure_right_after_the_message_left_keeps_the_outcome_of_all_others(house):
    people = [house.newcomer(f"p{n}", {}) for n in range(3)]
    house.book(people)
    erased = []

    def erase(_ref):
        if len(house.mails()) == 1 and not erased:
            erased.append(house.ws.erase(people[0], "rq-1"))

    totals = deliver(house, erase)
    assert totals.handed == 3
    assert [types(house, p)[-1] for p in people[1:]] == ["message.handed"] * 2
    assert house.hand_over().handed == 0
    assert len(house.mails()) == 3


def test_booking_skips_somebody_erased_since_the_list_was_made(house):
    people = [house.newcomer(f"p{n}", {}) for n in range(3)]
    house.ws.erase(people[1], "rq-1")
    totals = house.send(people)
    assert totals.handed == 2
    assert house.delivered() == Counter({"p0@post.example": 1, "p2@post.example": 1})


def test_a_resumed_campaign_mails_nobody_twice(house):
    people = [house.newcomer(f"p{n}", {}) for n in range(5)]
    house.send(people)
    again = house.book(people)
    assert (again.booked, again.already) == (0, 5)
    assert house.hand_over().handed == 0
    house.at(NOW + timedelta(hours=1))
    house.send(people)
    assert set(house.delivered().values()) == {1}


def test_a_relay_that_cannot_be_reached_loses_nothing_and_doubles_nothing(house):
    person = house.newcomer("probe", {})
    house.book([person])
    with pytest.raises(Unavailable):
        app.deliver(house.ws, house.campaign(), MARKETER, ("127.0.0.1", 9))
    assert house.mails() == []
    house.at(NOW + timedelta(minutes=11))
    assert house.hand_over().handed == 1
    assert house.delivered() == Counter({ADDRESS: 1})


def test_every_event_is_in_a_ledger_that_verifies_and_a_changed_byte_shows(house):
    people = [house.newcomer(f"p{n}", {}) for n in range(3)]
    house.send(people)
    house.ws.sign()
    assert house.ws.verify() == []
    con = house.ws.store._writer
    (seq,) = con.execute("SELECT max(seq) FROM entry").fetchone()
    con.execute("UPDATE entry SET data = cast(data || x'00' AS BLOB) WHERE seq = ?", (seq // 2,))
    assert house.ws.verify() != []


def test_a_record_older_than_what_was_signed_is_not_opened(house, tmp_path):
    house.ws.close()
    shutil.copytree(house.folder / "data", tmp_path / "yesterday")
    house.open()
    house.newcomer("probe", {})
    house.ws.sign()
    house.ws.close()
    shutil.rmtree(house.folder / "data")
    shutil.copytree(tmp_path / "yesterday", house.folder / "data")
    with pytest.raises(EvidenceBroken):
        house.open()
    shutil.rmtree(house.folder / "data")


def test_a_receipt_proves_its_event_to_a_stranger_and_a_changed_one_does_not(house):
    person = house.newcomer("probe", {})
    house.send([person])
    receipts = rights.receipts(house.desk, person, house.ws.sign())
    assert [r.type for r in receipts][-2:] == ["message.booked", "message.handed"]
    for receipt in receipts:
        proof.verify_receipt(receipt.text.encode(), house.ws.signer.policy)
    broken = bytearray(receipts[-1].text.encode())
    broken[broken.index(b"extra ") + 30] ^= 1
    with pytest.raises(Exception, match=r".+"):
        proof.verify_receipt(bytes(broken), house.ws.signer.policy)


def test_a_suppression_is_an_event_of_everybody_who_holds_the_address(house):
    people = house.everybody("cast-shared-one", "cast-shared-two")
    block = Block("complaint", since=instant(NOW))
    for _ in range(2):
        preferences.suppress(
            house.desk, Channel.EMAIL, "mqhayi.family@inbox.example", block, "story"
        )
    for person in people:
        assert types(house, person).count("suppression.added") == 1


def test_messages_carry_both_signatures_and_both_unsubscribe_headers(house):
    house.send([house.newcomer("probe", {})])
    raw = house.mails()[0].path.read_bytes()
    head = raw.split(b"\r\n\r\n", 1)[0].lower()
    assert head.count(b"dkim-signature:") == 2
    assert b"list-unsubscribe-post: list-unsubscribe=one-click" in head
    assert b"list-unsubscribe: <https://" in head


def test_two_campaigns_that_wait_at_once_do_not_hand_over_each_others_messages(house):
    person = house.newcomer("probe", {}, {"purpose": "newsletter", "notice": "newsletter@1"})
    letter, offers = house.campaign("letter", "newsletter"), house.campaign("offers")
    house.book([person], letter)
    house.book([person], offers)
    assert house.hand_over(offers).handed == 1
    assert house.hand_over(letter).handed == 1
    assert house.delivered() == Counter({ADDRESS: 2})
