"""The fold of consent: what a person's acts come to, in whatever order they arrive."""

import itertools
import random
from dataclasses import replace

import pytest
from asking import AGREED, HOUSE, NOON, PURPOSES, STRANGER, act, at_level, house, purpose, told
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import InvalidInput
from troth.kernel import consent, events
from troth.kernel import fold as folding
from troth.kernel.consent import Stated, as_of, resolve
from troth.kernel.merging import join, merge
from troth.terms import DAY, NO_RECORD, Act, ConsentStatus, Instant, PersonRecord, Relation

DENIALS = ("refused", "withdrawn", "revoked", "invalidated", "objected", "opted_out", "expired")


def status(record, name="offers", channel="email", at=NOON, purposes=PURPOSES):
    return resolve(record, purposes[name], channel, at, purposes).status


@st.composite
def stated(draw):
    kind = ConsentStatus(draw(st.sampled_from(sorted(ConsentStatus))))
    grants = kind in ("given", "reaffirmed")
    name = draw(st.sampled_from(["offers", "news", "marketing", "personalise"]))
    channels = draw(
        st.sampled_from([("email",), ("sms", "email"), ()] + ([] if grants else [("*",)]))
    )
    at = NOON - draw(st.integers(0, 6)) * DAY
    recorded = at + draw(st.integers(0, 2)) * DAY
    said = Act(
        kind,
        Instant(at),
        Instant(recorded),
        draw(st.integers(1, 4)),
        until=draw(st.sampled_from([0, NOON - DAY, NOON + DAY])),
        categories=draw(st.sampled_from([(), ("interests",), ("history", "interests")])),
        confirmed=draw(st.booleans()),
        notice="offers@2",
    )
    return Stated(name, channels, said)


def fold(acts, record=NO_RECORD):
    for name, channels, said in acts:
        record = consent.apply_consent(
            record, kind=said.status, purpose=name, channels=channels, act=said
        )
    return record


@given(st.lists(stated(), max_size=8), st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_record(acts, rng):
    shuffled = list(acts)
    rng.shuffle(shuffled)
    assert fold(shuffled) == fold(acts)


@given(st.lists(stated(), max_size=6))
def test_an_event_applied_twice_changes_nothing(acts):
    assert fold(acts + acts) == fold(acts)


@given(st.lists(stated(), max_size=5), st.lists(stated(), max_size=5))
def test_joining_two_partial_folds_is_the_fold_of_the_union(mine, theirs):
    assert join(fold(mine), fold(theirs)) == fold(mine + theirs)
    assert join(fold(theirs), fold(mine)).standings == join(fold(mine), fold(theirs)).standings


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_levels_join_in_any_order_and_the_lower_wins_a_tie(levels, rng):
    choices = [(level, act(days=rng.randint(1, 3), n=n)) for n, level in enumerate(levels)]
    one, other = STRANGER, STRANGER
    for level, said in choices:
        one = consent.apply_level(one, level, said)
    for level, said in reversed(choices):
        other = consent.apply_level(other, level, said)
    assert one == other
    assert join(one, STRANGER) == join(STRANGER, one) == one
    newest = max(said.at for _, said in choices)
    assert one.level == min(level for level, said in choices if said.at == newest)


def test_a_withdrawal_keeps_its_date_and_its_act():
    record = told(AGREED, "withdrawn", days=2, n=7)
    found = resolve(record, PURPOSES["offers"], "email", NOON, PURPOSES)
    assert (found.status, found.act.at, found.act.n) == ("withdrawn", NOON - 2 * DAY, 7)
    assert found.purpose == "offers"
    assert record.standings["offers|email"].grant == act()


@pytest.mark.parametrize("denial", DENIALS)
def test_a_later_yes_of_the_person_ends_a_no_and_an_equal_one_does_not(denial):
    record = told(STRANGER, denial, days=5)
    assert status(told(record, days=4)) == "given"
    assert status(told(record, days=5, n=99)) == denial
    assert status(told(record, days=6)) == denial


def test_on_equal_times_the_one_recorded_later_wins_then_the_restrictive_one():
    late = replace(act("given", 5), recorded=act("given", 4).at)
    record = fold([Stated("offers", ("email",), late)], told(STRANGER, "refused", days=5))
    assert status(record) == "given"
    assert consent.newer(act("refused", 5), act("given", 5, n=99))
    assert not consent.newer(act("given", 5), act("refused", 4))


def test_a_no_on_every_channel_closes_each_and_leaves_finer_choices_in_the_record():
    record = told(told(STRANGER, channels=("email", "sms")), "withdrawn", 5, channels=("*",))
    assert status(record) == status(record, channel="sms") == "withdrawn"
    assert record.standings["offers|email"].grant is not None
    again = told(record, days=4)
    assert status(again) == "given"
    assert status(again, channel="sms") == "withdrawn"


def test_a_no_to_a_parent_closes_its_children_and_a_yes_to_it_opens_none():
    record = told(AGREED, "withdrawn", 5, purpose="marketing", channels=("*",))
    found = resolve(record, PURPOSES["offers"], "email", NOON, PURPOSES)
    assert (found.status, found.purpose) == ("withdrawn", "marketing")
    assert status(told(STRANGER, purpose="marketing")) == "unknown"
    assert status(told(record, days=4)) == "given"


def test_parents_that_run_in_a_circle_or_lead_nowhere_end_the_walk():
    circle = {
        "a": purpose("a", parent="b"),
        "b": purpose("b", parent="a"),
        "c": purpose("c", parent="gone"),
    }
    assert consent.scope(circle["a"], "email", circle).wide == ("a|*", "b|email", "b|*")
    record = told(told(STRANGER, purpose="c"), "objected", 3, purpose="gone")
    assert status(record, "c", purposes=circle) == "objected"


@pytest.mark.parametrize(
    "kind", ["requested", "request_deferred", "imported", "superseded", "unknown"]
)
def test_what_is_no_answer_never_becomes_a_yes_nor_a_no(kind):
    known = kind in ("requested", "request_deferred", "imported")
    assert status(told(STRANGER, kind)) == (kind if known else "unknown")
    assert status(told(AGREED, kind, days=1)) == "given"
    assert status(told(told(STRANGER, "refused"), kind, days=1)) == "refused"
    assert resolve(STRANGER, PURPOSES["offers"], "email", NOON, PURPOSES).act is None


def test_a_consent_ends_at_the_moment_fixed_at_capture():
    record = told(STRANGER, until=NOON)
    assert status(record, at=Instant(NOON - 1)) == "given"
    assert status(record, at=NOON) == "expired"
    assert status(told(record, days=1)) == "given"


def test_a_later_purpose_shortens_a_consent_and_never_lengthens_it():
    shorter = {"offers": purpose("offers", consent_months=1)}
    assert status(told(STRANGER, days=29), purposes=shorter) == "given"
    assert status(told(STRANGER, days=32), purposes=shorter) == "expired"
    assert status(told(STRANGER, days=20, until=NOON - DAY), purposes=shorter) == "expired"
    longer = {"offers": purpose("offers", consent_months=600)}
    assert status(told(STRANGER, until=NOON), purposes=longer) == "expired"


def test_a_consent_that_needs_confirming_counts_once_confirmed_and_ends_no_refusal_before():
    doubly = {"offers": purpose("offers", double_opt_in=True)}
    assert status(AGREED, purposes=doubly) == "requested"
    assert status(told(STRANGER, confirmed=True), purposes=doubly) == "given"
    refused = told(told(STRANGER, "refused", days=20), days=10)
    assert status(refused, purposes=doubly) == "refused"


def test_a_minor_agrees_only_through_a_guardian():
    child = replace(STRANGER, age="minor")
    assert status(told(child)) == "requested"
    assert status(told(child, by="competent_person")) == "given"
    for other in ("authorised_agent", "staff", "contact"):
        assert status(told(child, by=other)) == "requested"


def test_an_agent_says_no_for_somebody_of_any_age_and_never_yes():
    for age in ("", "adult", "minor"):
        person = replace(STRANGER, age=age)
        assert status(told(person, by="authorised_agent")) == "requested"
        agreed = told(person, by="competent_person", days=20)
        assert status(told(agreed, "withdrawn", by="authorised_agent")) == "withdrawn"
    assert status(told(told(STRANGER, "refused", days=20), by="authorised_agent")) == "refused"


def test_a_yes_that_has_not_happened_yet_opens_nothing():
    assert status(AGREED, at=Instant(NOON - 11 * DAY)) == "requested"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"channels": ("*",)}, "given"),
        ({"by": "signal"}, "given"),
        ({"purpose": "#level"}, "given"),
        ({"purpose": "a|b"}, "refused"),
        ({"purpose": ""}, "refused"),
        ({"channels": ("pigeon",)}, "refused"),
        ({"recorded": Instant(NOON - 10 * DAY - consent.FUTURE_TOLERANCE - 1)}, "given"),
    ],
)
def test_an_act_that_cannot_be_true_is_not_folded(changes, kind):
    with pytest.raises(InvalidInput):
        told(STRANGER, kind, **changes)


def test_an_act_of_another_kind_than_its_event_is_not_folded():
    with pytest.raises(InvalidInput):
        consent.apply_consent(
            STRANGER,
            kind=ConsentStatus.GIVEN,
            purpose="offers",
            channels=("email",),
            act=act("refused"),
        )


def test_a_device_clock_five_minutes_ahead_is_believed():
    said = act("given", recorded=Instant(NOON - 10 * DAY - consent.FUTURE_TOLERANCE))
    assert fold([Stated("offers", ("email",), said)]).standings["offers|email"].grant == said
    with pytest.raises(InvalidInput):
        consent.apply_level(STRANGER, 2, replace(said, recorded=Instant(said.recorded - 1)))


@pytest.mark.parametrize("level", [-1, 6])
def test_a_level_that_does_not_exist_is_not_chosen(level):
    with pytest.raises(InvalidInput):
        consent.apply_level(STRANGER, level, act())


def test_a_signal_opts_out_and_never_opts_in():
    assert status(told(AGREED, "opted_out", days=1, by="signal")) == "opted_out"


def test_a_late_paper_form_leaves_what_was_believed_at_the_send_as_it_was():
    sent = Instant(NOON - 5 * DAY)
    given_, late = act("given", 10), replace(act("withdrawn", 7), recorded=Instant(NOON - 2 * DAY))
    acts = [Stated("offers", ("email",), given_), Stated("offers", ("email",), late)]
    assert status(as_of(acts, valid=sent, known=sent), at=sent) == "given"
    assert status(as_of(acts, valid=sent, known=NOON), at=sent) == "withdrawn"
    assert status(as_of(acts, valid=Instant(NOON - 8 * DAY), known=NOON), at=sent) == "given"


def test_merging_takes_the_most_restrictive_of_both_per_purpose_and_channel():
    mine = told(told(STRANGER, days=20), "withdrawn", days=15)
    theirs = told(told(STRANGER, days=3), days=3, channels=("sms",))
    merged = merge(mine, theirs, purposes=PURPOSES, act=act(days=1, n=3))
    assert status(merged) == "withdrawn"
    assert status(merged, channel="sms") == "given"
    assert merged.standings["offers|email"].grant.at == NOON - 3 * DAY
    assert status(told(merged, days=0.5)) == "given"
    assert status(join(mine, theirs)) == "given"  # what a mere union would have said


def test_merging_a_profile_without_end_or_answer_does_not_fail_and_closes_nothing():
    merged = merge(AGREED, PersonRecord(), purposes=PURPOSES, act=act(days=1))
    assert status(merged) == "given"
    assert (merged.residence, merged.level) == ("ZA", -1)


def test_an_expired_yes_of_one_profile_does_not_close_the_valid_one_of_the_other():
    merged = merge(
        told(STRANGER, days=30, until=NOON - 9 * DAY), AGREED, purposes=PURPOSES, act=act(days=1)
    )
    assert status(merged) == "given"


def test_merging_keeps_the_lower_level_the_younger_age_and_no_disputed_place():
    mine = replace(at_level(STRANGER, 4), age="minor", competent=True)
    theirs = replace(at_level(STRANGER, 2), residence="DE", zone="", subject="juristic")
    merged = merge(mine, theirs, purposes=PURPOSES, act=act(days=1))
    assert (merged.level, merged.age, merged.competent) == (2, "minor", False)
    assert (merged.residence, merged.zone, merged.subject) == (
        "",
        "Africa/Johannesburg",
        "natural",
    )


def test_a_category_one_profile_withdrew_stays_closed_after_a_merge():
    mine = told(
        at_level(STRANGER, 3, days=9), "withdrawn", 8, "personalise", (), categories=("history",)
    )
    merged = merge(mine, at_level(STRANGER, 3, days=2), purposes=PURPOSES, act=act(days=1))
    assert consent.level_categories(merged, HOUSE, NOON) == {"interests"}


def test_flags_that_restrict_survive_a_join():
    joined = join(STRANGER, replace(STRANGER, restricted=True, erasing=True, sends={"sms": (5,)}))
    assert joined.restricted
    assert joined.erasing
    assert joined.sends == {"sms": (5,)}


@pytest.mark.parametrize("lacking", ["notice", "time", "method", "proof"])
def test_an_imported_yes_lacking_any_of_the_four_proofs_is_not_a_yes(lacking):
    row = {"notice": "offers@2", "time": "2026-01-01", "method": "form", "proof": "sha256:aa"}
    assert consent.missing_proof(row, {"offers@2"}) == ()
    assert consent.missing_proof({**row, lacking: " "}, {"offers@2"}) == (lacking,)
    without = {name: value for name, value in row.items() if name != lacking}
    assert consent.missing_proof(without, {"offers@2"}) == (lacking,)
    assert consent.missing_proof(row, {"offers@1"}) == ("notice",)


@given(st.lists(st.integers(0, 99), max_size=60), st.randoms(use_true_random=False))
def test_hand_overs_are_kept_once_each_the_newest_thirty_two(moments, rng):
    record, other = STRANGER, STRANGER
    for at in moments:
        record = consent.apply_send(record, "email", Instant(at))
    rng.shuffle(moments)
    for at in moments:
        other = consent.apply_send(other, "email", Instant(at))
    assert record == other
    assert record.sends.get("email", ()) == tuple(sorted(set(moments))[-32:])


def test_of_like_relations_the_newest_is_kept_whatever_the_order():
    facts = [
        Relation("sale", Instant(day), goods=goods, collected=collected)
        for day, goods, collected in itertools.product((3, 1, 2), ("kitchen", ""), (True, False))
    ]
    expected = None
    for seed in range(4):
        random.Random(seed).shuffle(facts)
        record = STRANGER
        for fact in facts:
            record = consent.apply_relation(record, fact)
        assert {fact.at for fact in record.relations} == {3}
        assert len(record.relations) == 4
        assert expected in (None, record.relations)
        expected = record.relations


def test_a_level_opens_what_was_agreed_and_no_more():
    assert consent.level_categories(at_level(STRANGER, 3), HOUSE, NOON) == {"interests", "history"}
    assert consent.level_categories(at_level(STRANGER, 3, ["history"]), HOUSE, NOON) == {"history"}
    chosen_only = consent.apply_level(STRANGER, 4, act())
    assert consent.level_categories(chosen_only, HOUSE, NOON) == frozenset()


def test_going_down_narrows_at_once_and_special_categories_are_in_no_level():
    high = at_level(STRANGER, 5)
    assert consent.level_categories(high, HOUSE, NOON) == {"interests", "history", "year"}
    lower = consent.apply_level(high, 2, act(days=1))
    assert consent.level_categories(lower, HOUSE, NOON) == {"interests"}
    gone = told(high, "withdrawn", 1, "personalise", ())
    assert consent.level_categories(gone, HOUSE, NOON) == frozenset()


def test_a_single_category_can_be_withdrawn_and_agreed_to_again():
    record = told(
        at_level(STRANGER, 3), "withdrawn", 5, "personalise", (), categories=("history",)
    )
    assert consent.level_categories(record, HOUSE, NOON) == {"interests"}
    assert consent.withdrawn_categories(record) == {"history"}
    again = at_level(record, 3, days=4)
    assert consent.level_categories(again, HOUSE, NOON) == {"interests", "history"}
    assert consent.withdrawn_categories(again) == frozenset()
    older = told(STRANGER, "withdrawn", 5, "personalise", (), categories=("history",))
    assert consent.withdrawn_categories(older) == {"history"}


def test_without_a_choice_the_level_is_one_where_a_ground_stands_and_zero_elsewhere():
    assert consent.level(STRANGER, HOUSE, NOON, ground=True) == 1
    assert consent.level(STRANGER, HOUSE, NOON, ground=False) == 0
    assert consent.level(replace(STRANGER, level=4), HOUSE, NOON, ground=False) == 4
    agreed = told(STRANGER, purpose="personalise", channels=(), categories=("interests",))
    assert consent.level(agreed, HOUSE, NOON, ground=True) == 2
    assert consent.level_categories(agreed, HOUSE, NOON) == {"interests"}


def test_a_consent_to_be_personalised_on_one_channel_counts_there_alone():
    record = told(STRANGER, purpose="personalise", channels=("sms",), categories=("interests",))
    assert consent.level_categories(record, HOUSE, NOON, "sms") == {"interests"}
    assert consent.level_categories(record, HOUSE, NOON, "email") == frozenset()


def test_nothing_is_personalised_without_the_purpose_or_levels():
    record = at_level(STRANGER, 3)
    unpublished = house(purposes={"offers": PURPOSES["offers"]})
    wrong_kind = house(purposes={"personalise": purpose("personalise")})
    for within in (unpublished, wrong_kind, house(levels=())):
        assert consent.level_categories(record, within, NOON) == frozenset()
    assert consent.level_categories(replace(record, level=0), HOUSE, NOON) == frozenset()


def test_an_agents_yes_raises_no_level_and_their_no_lowers_it():
    def chosen(record, kind, level, by, day):
        said = events.ConsentAct(kind, "personalise", (), level=level, given_by=by)
        return folding.step(record, said, Instant(NOON + day * DAY), day)

    record = chosen(STRANGER, ConsentStatus.GIVEN, 2, "self", 1)
    assert record.level == 2
    assert chosen(record, ConsentStatus.GIVEN, 4, "authorised_agent", 2).level == 2
    assert chosen(record, ConsentStatus.WITHDRAWN, 1, "authorised_agent", 2).level == 1
    assert chosen(record, ConsentStatus.GIVEN, 0, "authorised_agent", 2).level == 0
