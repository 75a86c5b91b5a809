"""Law 4: the customer sees, stops and takes everything, in no more steps than it took to give it.

What exists now: the time-line, receipts, one-click stop, restriction and erasure. Later work adds
the portal's pages and their step counts, export, correction and partial deletion.
"""

import hashlib
import json
import tomllib

import pytest
from marula import NOW, OFFICER

from troth.capabilities import preferences, rights
from troth.errors import InvalidInput, NotFound
from troth.kernel import proof
from troth.kernel.vault import Shredded
from troth.terms import Block, Channel, PersonId

ADDRESS = "probe@post.example"
PLANTED = {"given_name": "Qwortz", "family_name": "Vlimberg", "interests": "zitherwax"}


def test_the_time_line_tells_everything_that_was_done_in_order(house):
    person = house.newcomer("probe", {})
    house.send([person])
    house.say(person, "withdrawn", method="button")
    house.book([person], house.campaign("next"))
    told = [r.event.type for r in rights.timeline(house.desk, person)]
    assert told == [
        "person.created", "person.facts", "contact.added", "values.sealed", "relation.recorded",
        "consent.given", "message.booked", "message.handed", "consent.withdrawn", "use.refused",
    ]  # fmt: skip


def test_each_act_has_a_receipt_once_a_checkpoint_covers_it(house):
    person = house.newcomer("probe", {})
    note = house.ws.sign()
    first = rights.receipts(house.desk, person, note)
    house.say(person, "withdrawn", method="button")
    assert len(rights.receipts(house.desk, person, note)) == len(first)
    after = rights.receipts(house.desk, person, house.ws.sign())
    assert [r.type for r in after][-1] == "consent.withdrawn"
    proof.verify_receipt(after[-1].text.encode(), house.ws.signer.policy)


def test_nobody_reads_the_time_line_of_an_id_nobody_has(house):
    stranger = PersonId(b"\x07" * 16)
    with pytest.raises(NotFound):
        rights.receipts(house.desk, stranger, house.ws.sign())
    with pytest.raises(NotFound):
        house.ws.erase(stranger, "rq-1")


def test_stopping_takes_one_step_needs_no_login_and_looking_changes_nothing(house):
    person = house.newcomer("probe", {})
    house.send([person])
    token = house.stop_token()
    assert person.hex() not in token
    size = len(house.chain(person))
    for _ in range(3):
        preferences.read_token(house.desk, token)
    assert len(house.chain(person)) == size
    preferences.unsubscribe(house.desk, token)
    assert "withdrawn" in house.codes(person)


def test_a_link_opens_one_purpose_of_one_person_and_no_other(house):
    one, two = house.newcomer("one", {}), house.newcomer("two", {})
    house.send([one])
    preferences.unsubscribe(house.desk, house.stop_token())
    assert house.codes(one) != []
    assert house.codes(two) == []


def test_restricted_data_is_kept_shown_and_used_for_nothing_until_that_ends(house):
    person = house.newcomer("probe", {})
    rights.restrict(house.desk, person, "accuracy contested", OFFICER)
    assert house.codes(person) == ["restricted"]
    assert len(rights.timeline(house.desk, person)) > 5
    rights.lift_restriction(house.desk, person, "corrected", OFFICER)
    assert house.codes(person) == []


# Erasure


def erased_house(house):
    person = house.newcomer("probe", {}, **PLANTED)
    house.send([person])
    return person, house.ws.erase(person, "rq-1")


def test_who_was_erased_can_be_read_by_nobody(house):
    person, _ = erased_house(house)
    with pytest.raises(Shredded):
        house.desk.record(person, [house.chain(house.desk.scribe.house)[0].payload], OFFICER)
    with house.ws.store.look() as view:
        assert view.bodies(person) == []
        assert view.sealed([person], ["contact.email", "name.given", "interests"]) in (
            {},
            {person: []},
        )
    assert house.person("probe") is None
    with pytest.raises(Shredded):
        house.say(person, "given", notice="offers@3", method="m", proof="p")


def test_nothing_the_house_keeps_holds_a_word_of_an_erased_person(house):
    erased_house(house)
    house.ws.close()
    words = [w.encode() for w in (*PLANTED.values(), ADDRESS, "probe@")]
    digest = hashlib.sha256(ADDRESS.encode()).digest()
    kept = [p for name in ("data", "keys", "witness") for p in (house.folder / name).rglob("*")]
    assert len(kept) > 5
    for path in kept:
        raw = path.read_bytes()
        for word in (*words, digest, digest.hex().encode()):
            assert word not in raw, path.name
    source = b"".join(p.read_bytes() for p in house.folder.glob("customers-*.csv"))
    assert all(word in source for word in words[:3])
    house.open()


def test_the_certificate_says_what_was_not_reached_and_only_its_salt_finds_the_leaf(house):
    person, certificate = erased_house(house)
    assert certificate.not_covered
    assert all(certificate.not_covered)
    with house.ws.store.look() as view:
        leaf = view.entries(certificate.leaf, certificate.leaf + 1)[0]
    statement = json.loads(leaf[1:])
    named = hashlib.sha256(person + bytes.fromhex(certificate.salt)).hexdigest()
    assert (statement["type"], statement["subject"]) == ("erase.done", named)
    assert person.hex().encode() not in leaf
    assert house.ws.verify() == []


def test_erasing_twice_or_after_reopening_gives_the_same_certificate_and_one_leaf(house):
    person, certificate = erased_house(house)
    assert house.ws.erase(person, "rq-1") == certificate
    house.at(NOW)
    assert house.ws.erase(person, "rq-2") == certificate
    with house.ws.store.look() as view:
        leaves = [e for e in view.entries(0, view.log.size) if b"erase.done" in e]
    assert len(leaves) == 1


def test_others_keep_their_receipts_byte_for_byte_when_somebody_is_erased(house):
    person, other = house.newcomer("probe", {}), house.newcomer("other", {})
    house.send([person, other])
    note = house.ws.sign()
    before = rights.receipts(house.desk, other, note)
    mine = rights.receipts(house.desk, person, note)
    house.ws.erase(person, "rq-1")
    assert rights.receipts(house.desk, other, note) == before
    policy = house.ws.signer.policy
    for receipt in (*before, *mine):
        proof.verify_receipt(receipt.text.encode(), policy)
    later = rights.receipts(house.desk, other, house.ws.sign())
    assert [r.type for r in later] == [r.type for r in before]


def test_who_returns_gets_a_new_id_and_meets_the_suppression_list(house):
    person = house.newcomer("probe", {})
    preferences.suppress(house.desk, Channel.EMAIL, ADDRESS, Block("unsubscribe"), "story")
    house.ws.erase(person, "rq-1")
    again = house.newcomer("probe", {"proof": "form:new"}, source="a later list")
    assert again not in (None, person)
    assert house.codes(again) == ["suppressed_unsubscribe"]
    with pytest.raises(Shredded):
        house.desk.record(person, [house.chain(again)[1].payload], OFFICER)


def test_a_stale_link_of_an_erased_person_leads_nowhere(house):
    person = house.newcomer("probe", {})
    house.send([person])
    token = house.stop_token()
    house.ws.erase(person, "rq-1")
    with pytest.raises(NotFound):
        preferences.unsubscribe(house.desk, token)


def test_one_of_two_who_share_a_mailbox_is_erased_alone(house):
    people = house.everybody("cast-shared-one", "cast-shared-two")
    house.ws.erase(people[1], "rq-1")
    assert house.codes(people[0]) == []
    assert len(house.chain(people[0])) > 3


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_an_erasure_cut_off_after_any_step_refuses_at_once_and_is_finished_at_the_next_start(
    house, step
):
    person = house.newcomer("probe", {})

    class CutError(Exception):
        pass

    def cut(done):
        if done == step:
            raise CutError

    with pytest.raises(CutError):
        rights.erase(house.desk, person, "rq-1", OFFICER, house.ws.settle, rights.Steps(cut))
    assert house.codes(person) != []
    house.at(NOW)
    assert rights.is_erased(house.desk, person)
    assert rights.unfinished(house.desk) == []
    journal = [line for line in house.desk.journal.lines() if line["act"] == "erasure"]
    assert len(journal) == 1
    assert house.ws.verify() == []


def test_every_notice_says_how_to_stop_and_every_purpose_can_be_withdrawn_from(house):
    person = house.newcomer("probe", {})
    for path in (house.folder / "purposes").glob("*.toml"):
        purpose = tomllib.loads(path.read_text())
        house.say(person, "withdrawn", purpose["name"], ("*",), method="button")
    with pytest.raises(InvalidInput):
        house.say(person, "withdrawn", "nothing", ("*",), method="button")
