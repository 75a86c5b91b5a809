"""After a restore that lost withdrawals only a yes given since counts, whatever rested on before."""

from dataclasses import replace

import msgspec
from asking import (
    AGREED,
    DATA,
    NOON,
    PERSON,
    STRANGER,
    ask,
    at_level,
    codes,
    house,
    sale,
    told,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.kernel import consent, events, gate, profiles, restrictions
from troth.kernel.house import RESTORE, read_house
from troth.terms import DAY, Action, ConsentStatus, Instant, Published

RESTORED = Instant(NOON - 5 * DAY)


def unsure(days=5):
    return house(unsure_before=Instant(NOON - int(days * DAY)))


def test_a_yes_from_before_is_no_ground_and_one_from_after_is():
    assert codes(AGREED) == []
    assert codes(AGREED, within=unsure()) == ["no_consent"]
    assert codes(told(STRANGER, days=4), within=unsure()) == []
    assert codes(told(AGREED, days=4), within=unsure()) == []


def test_a_yes_given_in_the_very_moment_of_the_restore_counts_as_older():
    assert codes(told(STRANGER, days=5), within=unsure(5)) == ["no_consent"]


def test_a_yes_given_before_and_recorded_after_is_no_ground():
    late = told(STRANGER, days=8, recorded=Instant(NOON - DAY))
    assert codes(late, within=unsure()) == ["no_consent"]


def test_no_sale_is_a_ground_not_even_a_later_one():
    old, new = sale(), sale(at=Instant(NOON - DAY))
    for relation in (old, new):
        customer = replace(STRANGER, relations=(relation,))
        assert codes(customer) == []
        assert "no_consent" in codes(customer, within=unsure())


def test_nobody_is_asked_for_consent_and_nobody_is_profiled():
    assert "no_consent" in codes(STRANGER, purpose="ask_offers", within=unsure())
    person = at_level(AGREED, 3)
    wanted = {"purpose": "personalise", "action": Action.PROFILE, "channel": None,
              "categories": frozenset({"interests"})}  # fmt: skip
    assert codes(person, **wanted) == []
    assert "no_consent" in codes(person, **wanted, within=unsure())


def test_services_go_on():
    assert codes(STRANGER, purpose="orders", within=unsure()) == []


def test_data_agreed_to_before_shapes_no_message_even_where_the_message_was_agreed_to_since():
    person = told(at_level(AGREED, 3, days=9), days=4)
    wanted = frozenset({"interests"})
    assert codes(person, categories=wanted) == []
    assert codes(person, categories=wanted, within=unsure()) == ["category_not_agreed"]
    request, facts = ask(person, within=unsure())
    assert gate.allowed_categories(request, facts) == frozenset()
    again = at_level(person, 3, days=3)
    assert codes(again, categories=wanted, within=unsure()) == []


def test_data_only_this_purpose_names_is_closed_as_well():
    own = told(STRANGER, days=9, channels=(), categories=("address",))
    offers = house().purposes["offers"]
    assert consent.own_categories(own, house(), offers, NOON) == {"address"}
    assert consent.own_categories(own, unsure(), offers, NOON) == frozenset()
    newer = told(STRANGER, days=4, channels=(), categories=("address",))
    assert consent.own_categories(newer, unsure(), offers, NOON) == {"address"}


def test_what_is_kept_of_people_does_not_hang_on_it():
    """Or the next run of retention would delete what everybody agreed to have kept."""
    person = at_level(AGREED, 3)
    assert consent.agreed_categories(person, unsure(), NOON) == {"interests", "history"}


def test_a_preview_tells_those_apart_who_agreed_before_and_after():
    cuts = profiles.cuts(unsure(), NOON)
    assert any(RESTORED in kind for kind in cuts)


def test_the_house_reads_it_from_what_a_restore_published():
    files = [Published("house", 1, Instant(0), "", b'[house]\nseat = "ZA"\n')]
    for kind, place in (("regime", "regimes"), ("calendar", "calendars")):
        for path in (DATA / place).glob("*.toml"):
            files.append(Published(f"{kind}:{path.stem}", 1, Instant(0), "", path.read_bytes()))
    assert read_house(1, files).unsure_before == 0
    for at in (7, 9):
        raw = msgspec.json.encode({"unsure_before": at})
        files.append(Published(RESTORE, at, Instant(at), "", raw))
        assert read_house(1, files).unsure_before == at


acts = st.lists(
    st.tuples(
        st.sampled_from(["given", "withdrawn", "refused", "objected", "requested"]),
        st.floats(0, 20),
        st.sampled_from(["offers", "marketing", "personalise"]),
    ),
    max_size=6,
)


@settings(deadline=None)
@given(acts, st.floats(0, 20), st.booleans())
def test_it_only_ever_narrows_and_without_a_newer_yes_nobody_is_mailed(said, days, bought):
    record = STRANGER
    for number, (status, ago, purpose) in enumerate(said, 1):
        channels = () if purpose == "personalise" else ("email",)
        record = told(record, status, ago, purpose, channels, n=number)
    if bought:
        record = replace(record, relations=(sale(),))
    before, after = codes(record), codes(record, within=unsure(days))
    assert set(before) <= set(after)
    since = Instant(NOON - int(days * DAY))
    newer = any(
        s == "given" and p == "offers" and NOON - int(ago * DAY) > since for s, ago, p in said
    )
    if not newer:
        assert after


# What the journal keeps of an act, so that a restore can book it again


def line(**said):
    act = events.ConsentAct(ConsentStatus("withdrawn"), "personalise", (), **said)
    return restrictions.line(PERSON, act, 3)


def test_the_journal_keeps_the_level_somebody_went_down_to_and_who_said_it():
    assert line(level=0, given_by="competent_person")[1]["level"] == 0
    assert line(level=0, given_by="competent_person")[1]["by"] == "competent_person"
    assert line()[1].keys() & {"level", "by"} == set()
