"""Merging and its undoing: the stricter answer stands, histories stay, nothing is lost."""

from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import troth
from troth.capabilities import merging, people, preferences, rights
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import desk as desks
from troth.kernel import events, fold, gate, regimes
from troth.kernel.facts import Facts, House
from troth.kernel.predicates import PREDICATES
from troth.terms import (
    DAY,
    NO_HEAD,
    Act,
    Action,
    Actor,
    Block,
    Channel,
    Claim,
    ConsentStatus,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Purpose,
    PurposeKind,
    ReasonCode,
    Refusal,
    Registry,
    Relation,
    Role,
    Standing,
    UseRequest,
)

OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")


def both(house):
    return house.newcomer("one", {}), house.newcomer("two", {})


def join(house, keep, other):
    merging.merge(house.desk, keep, other, "the same person", OFFICER)


def part(house, keep, other):
    merging.unmerge(house.desk, keep, other, "two people", OFFICER)


def refolded(house, *people):
    with house.ws.store.look() as view:
        chains = {p.hex(): house.desk.scribe.chain(view, p) for p in people}
        drafts = view.published_all("purpose:")
    return fold.refold(chains[people[0].hex()], chains, drafts)


def test_a_merged_id_is_refused_as_unknown_and_the_one_that_stays_answers_for_both(house):
    one, two = both(house)
    assert house.codes(one) == house.codes(two) == []
    join(house, one, two)
    assert house.codes(one) == []
    assert house.codes(two) == ["unknown_person"]
    assert house.chain(one)[-1].payload.keeps
    assert not house.chain(two)[-1].payload.keeps
    assert refolded(house, one, two) == house.record(one)
    assert house.ws.verify() == []


def test_a_withdrawal_of_either_profile_closes_the_merged_one(house):
    one, two = both(house)
    house.say(two, "withdrawn", channels=("*",))
    join(house, one, two)
    assert "withdrawn" in house.codes(one)
    assert refolded(house, one, two) == house.record(one)


@pytest.mark.parametrize("reason", ["objection", "complaint", "unsubscribe", "registry_block"])
def test_a_suppressed_address_of_one_profile_closes_the_other_address_too(house, reason):
    one, two = both(house)
    block = Block(reason, "all", "", Instant(house.desk.store._clock.now()))
    preferences.suppress(house.desk, Channel.EMAIL, "two@post.example", block, "letter")
    assert house.codes(one) == []
    join(house, one, two)
    assert house.codes(one) != []
    assert refolded(house, one, two) == house.record(one)
    part(house, one, two)
    assert house.codes(one) == []
    assert house.codes(two) != []


def test_a_bounce_of_one_address_says_nothing_about_the_other(house):
    one, two = both(house)
    preferences.suppress(
        house.desk, Channel.EMAIL, "two@post.example", Block("hard_bounce"), "relay"
    )
    join(house, one, two)
    assert house.codes(one) == []


def test_outside_ids_and_addresses_of_both_lead_to_the_one_that_stays_and_back(house):
    one, two = both(house)
    join(house, one, two)
    assert house.person("two") == one
    with house.ws.store.look() as view:
        found = people.find_by_address(house.desk, view, Channel.EMAIL, "two@post.example")
    assert found == [one]
    house.consents("two", {"status": "withdrawn", "channels": "email", "notice": ""})
    assert "withdrawn" in house.codes(one)
    part(house, one, two)
    assert house.person("two") == two


def test_a_stop_by_an_old_mail_to_the_merged_id_still_binds_the_one_that_stays(house):
    one, two = both(house)
    join(house, one, two)
    house.say(two, "withdrawn", channels=("email",))
    assert "withdrawn" in house.codes(one)
    assert refolded(house, one, two) == house.record(one)


def test_a_lower_level_chosen_under_the_merged_id_binds_and_a_higher_one_does_not(house):
    one, two = both(house)
    house.say(one, "withdrawn", "personalise", ("*",), level=3)
    join(house, one, two)
    house.say(two, "withdrawn", "personalise", ("*",), level=5)
    assert house.record(one).level == 3
    house.say(two, "withdrawn", "personalise", ("*",), level=1)
    assert house.record(one).level == 1
    assert refolded(house, one, two) == house.record(one)


def test_a_yes_recorded_under_the_merged_id_opens_nothing(house):
    one, two = house.newcomer("one"), house.newcomer("two")
    join(house, one, two)
    before = house.codes(one)
    house.say(two, "given", notice="offers@3", method="form", proof="f1")
    assert house.codes(one) == before != []


def test_an_unmerge_leaves_each_chain_what_is_its_own(house):
    one, two = both(house)
    before = house.record(one), house.record(two)
    house.say(two, "refused", channels=("email",))
    theirs = house.record(two)
    join(house, one, two)
    assert house.codes(one) != []
    part(house, one, two)
    assert (house.record(one), house.record(two)) == (before[0], theirs)
    assert house.codes(one) == []
    assert "refused" in house.codes(two)
    assert [e.type for e in house.chain(two)][-2:] == ["person.merged", "person.unmerged"]


def test_a_merge_can_be_done_undone_and_done_again(house):
    one, two = both(house)
    join(house, one, two)
    part(house, one, two)
    house.say(two, "withdrawn", channels=("email",))
    assert house.codes(one) == []
    join(house, one, two)
    assert "withdrawn" in house.codes(one)
    assert refolded(house, one, two) == house.record(one)
    part(house, one, two)
    assert house.codes(one) == []


def test_three_ids_become_one_in_two_merges_and_come_apart_in_order(house):
    one, two = both(house)
    three = house.newcomer("three", {"status": "refused", "notice": ""})
    join(house, two, three)
    join(house, one, two)
    assert house.person("three") == one
    assert house.codes(one) != []
    with house.ws.store.look() as view:
        assert set(desks.aliases(view, one)) == {two, three}
        assert house.desk.keeper(view, three) == one
    part(house, one, two)
    assert house.codes(one) == []
    assert house.codes(two) != []
    assert house.person("three") == two


def test_what_cannot_be_merged_is_refused_and_leaves_nothing_behind(house):
    one, two = both(house)
    three = house.newcomer("three")
    sizes = len(house.chain(one)), len(house.chain(two))
    for keep, other, reason, fault in (
        (one, one, "same", InvalidInput),
        (one, two, " ", InvalidInput),
        (one, PersonId(b"\x07" * 16), "who", NotFound),
    ):
        with pytest.raises(fault):
            merging.merge(house.desk, keep, other, reason, OFFICER)
    with pytest.raises(NotFound):
        part(house, one, two)
    assert sizes == (len(house.chain(one)), len(house.chain(two)))
    join(house, one, two)
    for keep, other in ((three, two), (two, three), (one, two)):
        with pytest.raises(Conflict):
            join(house, keep, other)


def test_an_erased_or_leaving_person_is_neither_merged_nor_taken_apart(house):
    one, two = both(house)
    join(house, one, two)
    rights.begin_erasure(house.desk, two, "rq-1", OFFICER)
    with pytest.raises(Conflict):
        part(house, one, two)
    house.ws.erase(one, "rq-1")
    assert rights.is_erased(house.desk, two)
    with pytest.raises((Conflict, NotFound)):
        part(house, one, two)
    with pytest.raises((Conflict, NotFound)):
        join(house, house.newcomer("three"), two)


# The property, on the pure fold and the gate

NOON = Instant(1_795_000_000_000_000 // DAY * DAY + DAY // 2)
DATA = Path(troth.__file__).parent / "data"
RULES = regimes.load(
    {p.name: p.read_bytes() for p in sorted((DATA / "regimes").glob("*.toml"))},
    {p.name: p.read_bytes() for p in sorted((DATA / "calendars").glob("*.toml"))},
    PREDICATES,
)
PURPOSES = {
    "marketing": Purpose(
        "marketing", 1, PurposeKind.MARKETING, "All", frozenset(Channel), frozenset()
    ),
    "offers": Purpose(
        "offers", 1, PurposeKind.MARKETING, "Offers", frozenset(Channel),
        frozenset({"purchases.13w"}), parent="marketing",
        goods=frozenset({"g"}),
    ),
    "personalise": Purpose(
        "personalise", 1, PurposeKind.PERSONALISE, "Yours", frozenset(),
        frozenset({"purchases.13w"}),
    ),
}  # fmt: skip
HOUSE = House(
    1, "ZA", "UTC", PURPOSES, RULES, frozenset({"purchases.13w"}),
    levels=(frozenset(), frozenset(), frozenset(), frozenset({"purchases.13w"})),
    registries={"ZA": Registry(cleansed_at=NOON - DAY)},
)  # fmt: skip
SILENT = {
    ReasonCode.NO_CONSENT,
    ReasonCode.CHANNEL_NOT_CONSENTED,
    ReasonCode.NOT_CUSTOMER,
    ReasonCode.CATEGORY_NOT_AGREED,
    ReasonCode.FACT_MISSING,
}
"""Codes that say nothing was said: the one kind of refusal the other profile may answer."""


@st.composite
def records(draw):
    record = PersonRecord(
        residence="ZA",
        zone="UTC",
        age=draw(st.sampled_from(["adult"] * 8 + ["", "minor"])),
        competent=draw(st.booleans()),
        restricted=draw(st.integers(0, 15)) == 15,
        level=-1,
        relations=(Relation("sale", Instant(NOON - DAY), "b", "g", True, True),)
        if draw(st.booleans())
        else (),
    )
    for n in range(draw(st.integers(0, 5))):
        status = ConsentStatus(
            draw(st.sampled_from([*["given"] * 8, "withdrawn", "refused", "objected", "imported"]))
        )
        channels = draw(
            st.sampled_from([("email",), ("sms",)] + ([] if status == "given" else [("*",)]))
        )
        name = draw(st.sampled_from(["offers", "offers", "marketing", "personalise"]))
        at = Instant(NOON - draw(st.integers(1, 9)) * DAY)
        personal = name == "personalise"
        told = events.ConsentAct(
            status,
            name,
            () if personal else channels,
            notice="n@1",
            categories=("purchases.13w",) if personal else None,
        )
        record = fold.step(record, told, at, n + 1)
    if draw(st.booleans()):
        level = events.ConsentAct(
            ConsentStatus.SUPERSEDED, "personalise", (), level=draw(st.integers(0, 3))
        )
        record = fold.step(record, level, Instant(NOON - 5 * DAY), 9)
    return record


def decided(record, channel, categories, purpose="offers"):
    asked = UseRequest(
        Actor(Role.MARKETER, "m"), PersonId(b"p" * 16), purpose, Action.SEND, channel,
        frozenset(categories), NOON, "b",
    )  # fmt: skip
    held = Gathered(asked.person, NO_HEAD, record, None, ())
    claim = Claim({"purchases.13w": "full"})
    return gate.decide(asked, Facts(asked.person, NOON, claim, HOUSE, held))


@given(
    records(),
    records(),
    st.sampled_from(list(Channel)[:2]),
    st.sampled_from([(), ("purchases.13w",)]),
)
@settings(max_examples=300, deadline=None)
def test_merging_never_turns_a_refusal_into_a_permit(mine, theirs, channel, categories):
    said = events.PersonMerged("00" * 16, keeps=True, reason="same")
    act = fold.merge_act(NOON, 10)
    one = fold.merged(mine, theirs, said, act, PURPOSES)
    answer = decided(one, channel, categories)
    before = [decided(side, channel, categories) for side in (mine, theirs)]
    event("refused" if isinstance(answer, Refusal) else "permitted")
    if isinstance(answer, Refusal):
        return
    for each in before:
        if isinstance(each, Refusal):
            assert {r.code for r in each.reasons} <= SILENT, each


def test_a_plain_union_of_two_records_would_turn_a_refusal_into_a_permit():
    no = PersonRecord(standings={"offers|email": Standing(deny=_act("refused", 9))})
    yes = PersonRecord(standings={"offers|email": Standing(grant=_act("given", 2))})
    from troth.kernel.merging import join as union

    said = events.PersonMerged("00" * 16, keeps=True, reason="same")
    merged = fold.merged(no, yes, said, fold.merge_act(NOON, 3), PURPOSES)
    assert isinstance(decided(no, Channel.EMAIL, ()), Refusal)
    assert _status(union(no, yes)) == "given"
    assert _status(merged) == "refused"


def _act(status, days):
    at = Instant(NOON - days * DAY)
    return Act(ConsentStatus(status), at, at, 1)


def _status(record):
    from troth.kernel.consent import resolve

    return resolve(record, PURPOSES["offers"], "email", NOON, PURPOSES).status
