"""Wishes within what was agreed: they narrow, end by themselves, and touch no service message."""

from dataclasses import replace

import pytest
from asking import AGREED, NOON, PERSON, PURPOSES, STRANGER, act, answer, ask, codes, house, local
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gate_laws import agreed, questions, records

from troth.errors import InvalidInput
from troth.kernel import events, fold, gate, profiles, restrictions, wishes
from troth.kernel.calendars import MINUTE, zone
from troth.kernel.merging import merge
from troth.kernel.scribe import Recorded
from troth.terms import DAY, Action, Instant, PersonId, PersonRecord, Wishes, moment, zulu

SETTINGS = settings(max_examples=80, deadline=None)
JOBURG, PARIS, NEW_YORK = "Africa/Johannesburg", "Europe/Paris", "America/New_York"
OTHER = PersonId(b"o" * 16)
FIRST_DIGEST = "68e99aa9c151a234550d59cfbb56c8a9cf2a7676e06ee8c7ec280734f288332f"

minutes = st.integers(0, 1439)
quiets = st.none() | st.tuples(minutes, minutes)
wished = st.builds(
    Wishes,
    pause_until=st.sampled_from([0, NOON - DAY, NOON, NOON + 1, NOON + DAY]),
    most=st.integers(-1, 4),
    quiet=quiets | st.sampled_from([(600, 720), (720, 721), (1260, 480), (730, 700)]),
)
sends = st.fixed_dictionaries(
    {},
    optional={
        name: st.lists(st.sampled_from([NOON, NOON - DAY, NOON - 29 * DAY, NOON - 30 * DAY]),
                       max_size=3, unique=True).map(lambda found: tuple(sorted(found)))
        for name in ("email", "sms")
    },
)  # fmt: skip


def rules(record, **changes):
    """Rule ids of the objections to an offer."""
    found = answer(record, **changes)
    return [r.rule for r in found.reasons] if hasattr(found, "reasons") else []


# --- what the gate makes of them -----------------------------------------------------------------


@SETTINGS
@given(records(), sends, wished, questions)
def test_whatever_is_wished_a_wish_only_narrows(record, sent, wish, question):
    without = answer(replace(record, sends=sent), **question)
    found = answer(replace(record, sends=sent, wishes=wish), **question)
    if agreed(found):
        assert agreed(without)
        assert NOON < found.until <= without.until
        assert (found.basis, found.categories) == (without.basis, without.categories)
    elif not agreed(without):
        assert set(without.reasons) <= set(found.reasons)


@SETTINGS
@given(records(), wished)
def test_no_wish_touches_a_service_message_or_anything_but_a_send(record, wish):
    plain = {"purpose": "orders"}
    assert (
        answer(record, **plain).__class__
        is answer(replace(record, wishes=wish), **plain).__class__
    )
    for question in (plain, {"action": Action.PROFILE, "channel": None}):
        before, after = codes(record, **question), codes(replace(record, wishes=wish), **question)
        assert before == after


@pytest.mark.parametrize("purpose", ["offers", "ask_offers"])
def test_a_pause_holds_until_its_very_end(purpose):
    record = AGREED if purpose == "offers" else STRANGER
    for ends, said in ((NOON + 1, True), (NOON, False), (0, False)):
        found = rules(replace(record, wishes=Wishes(pause_until=ends)), purpose=purpose)
        assert ("person.pause" in found) is said
    paused = replace(AGREED, wishes=Wishes(pause_until=NOON + DAY))
    assert codes(paused) == ["paused"]


def test_a_pause_goes_before_a_full_mailbox_and_after_a_stale_registry():
    order = list(gate.RULES)
    places = [order.index(code) for code in ("registry_stale", "paused", "frequency_cap")]
    assert places == sorted(places)
    assert gate.REMEDIES["paused"] == "send_after_pause"


def test_as_many_as_wished_go_out_in_thirty_days_over_all_channels():
    sent = {"email": (NOON - 31 * DAY, NOON - 2 * DAY), "sms": (NOON,)}
    free = house(caps={})
    for most, said in ((0, True), (1, True), (2, True), (3, False), (-1, False)):
        record = replace(AGREED, sends=sent, wishes=Wishes(most=most))
        assert (rules(record, within=free) == ["person.frequency"]) is said, most
    assert codes(replace(AGREED, wishes=Wishes(most=1)), within=free) == []
    full = replace(AGREED, sends=sent, wishes=Wishes(most=2))
    assert rules(full, within=house(caps={"direct_marketing": (2, 30)})) == [
        "house.frequency",
        "person.frequency",
    ]


def test_quiet_hours_are_read_on_the_readers_own_clock():
    record = replace(AGREED, zone=JOBURG, wishes=Wishes(quiet=(720, 840)))
    at = local("2026-11-23T11:59:59")
    assert rules(record, at=at) == []
    assert answer(record, at=at).until == local("2026-11-23T12:00:00")
    assert rules(record, at=local("2026-11-23T12:00:00")) == ["person.quiet_hours"]
    assert rules(record, at=local("2026-11-23T13:59:59")) == ["person.quiet_hours"]
    assert rules(record, at=local("2026-11-23T14:00:00")) == []


def test_a_permit_never_reaches_into_quiet_hours():
    record = replace(AGREED, zone=JOBURG, wishes=Wishes(quiet=(780, 790)))
    assert answer(record, at=local("2026-11-23T12:00:00")).until == local("2026-11-23T13:00:00")
    assert answer(record, at=local("2026-11-23T12:30:00")).until == local("2026-11-23T13:00:00")
    early = local("2026-11-23T11:30:00")
    assert answer(record, at=early).until == early + gate.PERMIT_LIFE


def test_while_the_zone_is_unknown_it_must_be_outside_in_every_zone_that_may_be():
    at = local("2026-11-23T12:30:00")
    assert wishes.quiet_begins((690, 700), (JOBURG, PARIS), at) == at  # 11:30 in Paris
    assert wishes.quiet_begins((690, 700), (JOBURG,), at) == 0
    assert wishes.quiet_begins((690, 700), (), at) == at


def test_a_wish_nobody_can_read_refuses():
    broken = replace(AGREED, zone="Atlantis/Sunken", wishes=Wishes(quiet=(1, 2)))
    assert "person.wishes" in rules(broken)


def test_who_wishes_nothing_is_told_in_the_digest_as_ever():
    assert gate.inputs_digest(*ask()) == FIRST_DIGEST
    moved = [replace(AGREED, wishes=Wishes(most=1)), replace(AGREED, keeps={"views": 3})]
    assert len({FIRST_DIGEST, *(gate.inputs_digest(*ask(each)) for each in moved)}) == 3
    assert gate.inputs_digest(*ask(None)) != FIRST_DIGEST


# --- the clock ---------------------------------------------------------------------------------------


def slow_quiet(quiet, name, at):
    wall = moment(Instant(at)).astimezone(zone(name))
    now, (first, last) = wall.hour * 60 + wall.minute, quiet
    return first <= now < last if first < last else now >= first or now < last


CHANGES = [local("2026-03-29T01:00:00"), local("2026-10-25T00:30:00"),
           local("2026-11-01T05:30:00"), NOON]  # fmt: skip
"""Shortly before a clock is changed in Paris, twice, and in New York; and no such hour."""


@SETTINGS
@given(st.tuples(minutes, minutes), st.sampled_from(CHANGES), st.integers(0, 240))
def test_quiet_begins_and_is_over_as_a_clock_on_the_wall_says(quiet, around, later):
    at = Instant(around + later * MINUTE + 7)
    zones = (PARIS, NEW_YORK)
    said = wishes.quiet_begins(quiet, zones, at)
    steps = [at, *(Instant((at // MINUTE + n) * MINUTE) for n in range(1, 61))]
    assert said == next((t for t in steps if any(slow_quiet(quiet, z, t) for z in zones)), 0)
    over = wishes.quiet_over(quiet, zones, at)
    if over:
        assert over >= at
        assert not any(slow_quiet(quiet, z, over) for z in zones)
        before = range(at, over, 7 * MINUTE)
        assert all(any(slow_quiet(quiet, z, t) for z in zones) for t in before)
    else:
        spans = [range(q, q + (quiet[1] - q - 1) % 1440 + 1) for q in (quiet[0],)]
        assert len(spans[0]) > 1440 - 6 * 60 - 60  # six hours lie between the two places


def test_a_wish_for_quiet_all_day_is_never_over():
    assert wishes.quiet_over((480, 480), (JOBURG,), NOON) == 0
    assert wishes.quiet_over((0, 1), (), NOON) == 0


@pytest.mark.parametrize(
    "text", ["7:00", "24:00", "21:60", "2100", "", "aa:bb", "\u0661\u0660:00"]
)
def test_a_time_of_day_has_one_spelling(text):
    with pytest.raises(InvalidInput):
        wishes.minute_of(text)


def test_every_minute_of_the_day_is_written_and_read():
    assert [wishes.minute_of(wishes.clock(n)) for n in range(1440)] == list(range(1440))


# --- the fold ----------------------------------------------------------------------------------------


def pause(days=14, **more):
    return events.PreferenceSet("self", zulu(Instant(NOON + days * DAY)), **more)


def test_each_wish_replaces_the_one_before_whole():
    first = fold.step(PersonRecord(), pause(most=2, quiet=("21:00", "07:30")), NOON, 1)
    assert first.wishes == Wishes(NOON + 14 * DAY, 2, (1260, 450))
    after = fold.step(first, events.PreferenceSet("self", most=1), NOON, 2)
    assert after.wishes == Wishes(most=1)
    assert fold.step(after, events.PreferenceSet("self"), NOON, 3) == PersonRecord()


@pytest.mark.parametrize(("said", "most"), [(99, 30), (31, 30), (30, 30), (0, 0), (-5, 0)])
def test_a_number_the_record_cannot_count_to_is_read_as_the_stricter(said, most):
    assert wishes.told(events.PreferenceSet("self", most=said)).most == most


def test_a_chosen_term_stands_until_another_is_chosen():
    record = PersonRecord()
    for scope, months in (("views", 3), ("purchases", 18), ("views", 36)):
        record = fold.step(record, events.RetentionChosen(scope, "self", months), NOON, 1)
    assert record.keeps == {"views": 36, "purchases": 18}
    again = fold.step(record, events.RetentionChosen("views", "self"), NOON, 1)
    assert again.keeps == {"purchases": 18}


def covered(quiet):
    return {n for n in range(1440) if quiet is not None and slow_minute(quiet, n)}


def slow_minute(quiet, n):
    first, last = quiet
    return first <= n < last if first < last else n >= first or n < last


@SETTINGS
@given(wished | st.none(), wished | st.none())
def test_two_wishes_are_both_respected(one, other):
    found = wishes.both(one, other)
    if found is None:
        assert one is other is None
        return
    for each in filter(None, (one, other)):
        assert found.pause_until >= each.pause_until
        assert each.most < 0 or 0 <= found.most <= each.most
        assert covered(each.quiet) <= covered(found.quiet)
    assert wishes.both(found, one) == found == wishes.both(found, other)


def test_a_merge_respects_the_wishes_and_terms_of_both():
    mine = replace(AGREED, wishes=Wishes(NOON + DAY, 4), keeps={"views": 18, "purchases": 3})
    theirs = replace(AGREED, wishes=Wishes(NOON, 2, (1260, 420)), keeps={"views": 3})
    merged = merge(mine, theirs, purposes=PURPOSES, act=act(days=0, n=9))
    assert merged.wishes == Wishes(NOON + DAY, 2, (1260, 420))
    assert merged.keeps == {"views": 3, "purchases": 3}


def recorded(person, n, seq, said):
    event = events.Event(person, Instant(NOON + seq), n, "", "", said)
    return Recorded(event, b"", b"", b"", seq)


def test_what_an_alias_wishes_binds_whom_it_belongs_to_in_the_order_it_was_said():
    merged = events.PersonMerged(OTHER.hex(), True, "desk")
    alias = events.PersonMerged(PERSON.hex(), False, "desk")
    theirs = [
        recorded(OTHER, 1, 2, alias),
        recorded(OTHER, 2, 3, pause(most=1)),
        recorded(OTHER, 3, 5, events.RetentionChosen("views", "self", 3)),
        recorded(OTHER, 4, 7, events.RetentionChosen("views", "self")),
        recorded(OTHER, 5, 8, events.PreferenceSet("self")),
    ]
    mine = [recorded(PERSON, 1, 1, merged), recorded(PERSON, 2, 6, pause(days=1))]
    held = fold.refold(mine[:1], {OTHER.hex(): theirs})
    assert held.wishes == Wishes(NOON + 14 * DAY, 1)
    assert held.keeps == {"views": 3}
    after = fold.refold(mine, {OTHER.hex(): theirs})  # said after the alias's
    assert after.wishes == Wishes(NOON + DAY)
    before = [recorded(PERSON, 1, 1, merged), recorded(PERSON, 2, 2, pause(days=1, most=3))]
    assert fold.refold(before, {OTHER.hex(): theirs}).wishes == Wishes(NOON + 14 * DAY, 1)
    assert not fold.narrows(events.RetentionChosen("views", "self"))


def test_a_wish_has_its_line_in_the_journal_and_its_end_has_none():
    act_, facts, seq = restrictions.line(PERSON, pause(quiet=("21:00", "07:00")), 4)
    assert (act_, seq, facts["status"], facts["quiet"]) == (
        restrictions.RESTRICTION, 4, "wished", "21:00-07:00",
    )  # fmt: skip
    assert restrictions.line(PERSON, events.PreferenceSet("self"), 5) is None
    assert restrictions.line(PERSON, events.PreferenceSet("self", most=0), 5) is not None
    kept = restrictions.line(PERSON, events.RetentionChosen("views", "self", 3), 6)
    assert kept[1]["months"] == 3
    assert restrictions.line(PERSON, events.RetentionChosen("views", "self"), 7) is None


# --- many people at once -----------------------------------------------------------------------------


def test_without_their_cut_those_who_wish_to_hear_once_would_pass_for_others():
    def sent(days):
        record = replace(AGREED, sends={"email": (NOON - days,)}, wishes=Wishes(most=1))
        return ask(record, within=free)[1].gathered

    free = house(caps={})
    cuts = profiles.cuts(free, NOON)
    inside, outside = (profiles.split(sent(days)) for days in (30 * DAY - 1, 30 * DAY))
    assert inside[0] == outside[0]
    how = profiles.plan(inside[0])
    sides = [
        [
            sum((cut < m) + (cut <= m) for cut in cuts[kind])
            for m, kind in zip(held, how.kinds, strict=True)
        ]
        for _, held in (inside, outside)
    ]
    assert sides[0] != sides[1]
    assert NOON - 30 * DAY not in cuts[4]


def test_a_shape_without_wishes_is_spelled_as_before():
    shape, moments = profiles.split(ask()[1].gathered)
    wishing, more = profiles.split(ask(replace(AGREED, wishes=Wishes(most=3)))[1].gathered)
    assert len(profiles._read(shape)[0]) == 10
    assert len(profiles._read(wishing)[0]) == 11
    assert (*moments, 0) == more
    assert profiles.join(wishing, more).record.wishes == Wishes(most=3)
