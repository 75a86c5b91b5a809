"""Each channel under each regime: with a consent, as a customer, and with nothing; and its hours."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from asking import (
    AGREED,
    CLAIM,
    HOUSE,
    NOON,
    STRANGER,
    act,
    answer,
    ask,
    at_level,
    codes,
    house,
    sale,
    told,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.errors import InvalidInput
from troth.kernel import consent, gate, grounds, plans, predicates
from troth.kernel.consent import apply_consent
from troth.kernel.grounds import GroundRule, implied_consent
from troth.kernel.predicates import PREDICATES
from troth.kernel.regimes import load
from troth.kernel.rules import in_place
from troth.terms import (
    DAY,
    Action,
    Actor,
    Channel,
    ConsentStatus,
    Instant,
    Refusal,
    Registry,
    Role,
    instant,
)

HOMES = {
    "ZA": ("ZA", "Africa/Johannesburg"),
    "EU": ("DE", "Europe/Berlin"),
    "US": ("US-NY", "America/New_York"),
    "US-CA": ("US-CA", "America/Los_Angeles"),
    "CA": ("CA-ON", "America/Toronto"),
}
CUSTOMER = replace(STRANGER, relations=(sale(),))
YES, SOFT, NONE = "consent", "customer", "nothing"

# What comes of (consent, customer, nothing); a `?` marks a reading that is cautious and says so.
TABLE = {
    "ZA": {
        "email": ("", "", "no_consent"),
        "sms": ("", "", "no_consent"),
        "whatsapp": ("", "", "no_consent"),
        "push": ("", "", "no_consent"),
        "call": ("", "", "no_consent?"),
        "post": ("", "no_consent", "no_consent"),
    },
    "EU": {
        "email": ("", "no_consent?", "no_consent no_consent?"),
        "sms": ("", "no_consent?", "no_consent no_consent?"),
        "whatsapp": ("", "no_consent?", "no_consent?"),
        "push": ("", "no_consent?", "no_consent?"),
        "call": ("quiet_hours?", "no_consent? quiet_hours?", "no_consent? quiet_hours?"),
        "post": ("", "no_consent", "no_consent"),
    },
    "US": {
        "email": ("", "", "no_consent"),
        "sms": ("", "no_consent", "no_consent"),
        "whatsapp": ("", "no_consent?", "no_consent?"),
        "push": ("", "", "no_consent"),
        "call": ("", "no_consent?", "no_consent?"),
        "post": ("", "", "no_consent"),
    },
    "CA": {
        "email": ("", "", "no_consent"),
        "sms": ("", "", "no_consent"),
        "whatsapp": ("", "", "no_consent"),
        "push": ("", "", "no_consent?"),
        "call": ("", "", "no_consent?"),
        "post": ("", "no_consent", "no_consent"),
    },
}
TABLE["US-CA"] = TABLE["US"]
CASES = [
    (regime, channel, ground, expected)
    for regime, channels in TABLE.items()
    for channel, row in channels.items()
    for ground, expected in zip((YES, SOFT, NONE), row, strict=True)
]


def wall(text, zone):
    return instant(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def at_home(regime, **changes):
    residence, zone = HOMES[regime]
    fresh = {"ZA": Registry(cleansed_at=NOON - 3 * DAY)}
    return house(**{"seat": residence, "zone": zone, "registries": fresh, **changes})


def somebody(regime, ground, channel):
    residence, zone = HOMES[regime]
    record = {
        YES: told(STRANGER, channels=(channel,)),
        SOFT: CUSTOMER,
        NONE: STRANGER,
    }[ground]
    return replace(record, residence=residence, zone=zone)


def said(found):
    """The reasons as the table writes them: codes in order, cautious ones with a mark."""
    if not isinstance(found, Refusal):
        return ""
    marked = [
        f"{reason.code}{'?' * reason.remedy.endswith('.cautious')}" for reason in found.reasons
    ]
    return " ".join(sorted(dict.fromkeys(marked), key=marked.index))


def test_the_table_names_every_channel():
    assert all(set(channels) == set(Channel) for channels in TABLE.values())
    assert set(TABLE) == set(HOMES)


@pytest.mark.parametrize(("regime", "channel", "ground", "expected"), CASES)
def test_each_channel_under_each_regime(regime, channel, ground, expected):
    at = wall("2026-11-23T12:00:00", HOMES[regime][1])
    found = answer(
        somebody(regime, ground, channel),
        channel=Channel(channel),
        at=at,
        within=at_home(regime),
        contact=channel,
    )
    assert " ".join(sorted(said(found).split())) == " ".join(sorted(expected.split()))
    if not expected:
        basis = {
            YES: "consent",
            SOFT: "implied_consent" if regime == "CA" else "customer_exception",
        }
        assert found.basis == basis[ground]


@pytest.mark.parametrize("regime", HOMES)
@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("status", ["withdrawn", "objected", "refused", "opted_out"])
def test_a_no_stops_every_channel_under_every_regime(regime, channel, status):
    record = told(somebody(regime, SOFT, channel), status, 2, channels=("*",))
    at = wall("2026-11-23T12:00:00", HOMES[regime][1])
    assert codes(record, channel=channel, at=at, within=at_home(regime), contact=channel)


@pytest.mark.parametrize("regime", HOMES)
@pytest.mark.parametrize("channel", Channel)
def test_a_service_message_is_untouched_on_every_channel(regime, channel):
    record = somebody(regime, NONE, channel)
    at = wall("2026-11-22T03:00:00", HOMES[regime][1])
    asked = {"channel": channel, "at": at, "within": at_home(regime), "contact": channel}
    assert codes(record, purpose="orders", **asked) == []


@pytest.mark.parametrize("regime", HOMES)
def test_a_consent_on_one_channel_opens_no_other(regime):
    at = wall("2026-11-23T12:00:00", HOMES[regime][1])
    for channel in set(Channel) - {Channel.EMAIL}:
        record = somebody(regime, YES, "email")
        found = codes(record, channel=channel, at=at, within=at_home(regime), contact=channel)
        assert "channel_not_consented" in found


# --- hours --------------------------------------------------------------------------------------

HOURS = [
    # the change-over Sundays of 2026 in two zones: the wall clock counts, not the hours elapsed
    ("America/New_York", "2026-03-08T11:59:59+00:00", False),
    ("America/New_York", "2026-03-08T12:00:00+00:00", True),
    ("America/Los_Angeles", "2026-03-08T14:59:59+00:00", False),
    ("America/Los_Angeles", "2026-03-08T15:00:00+00:00", True),
    ("America/New_York", "2026-03-09T00:59:59+00:00", True),
    ("America/New_York", "2026-03-09T01:00:00+00:00", False),
    ("America/New_York", "2026-11-01T12:59:59+00:00", False),
    ("America/New_York", "2026-11-01T13:00:00+00:00", True),
    ("America/Los_Angeles", "2026-11-01T15:59:59+00:00", False),
    ("America/Los_Angeles", "2026-11-01T16:00:00+00:00", True),
    ("America/Los_Angeles", "2026-11-02T04:59:59+00:00", True),
    ("America/Los_Angeles", "2026-11-02T05:00:00+00:00", False),
]


@pytest.mark.parametrize("channel", ["call", "sms"])
@pytest.mark.parametrize(("zone", "at", "open_"), HOURS)
def test_us_calling_hours_follow_the_wall_clock_over_the_change_of_time(zone, at, open_, channel):
    moment = instant(datetime.fromisoformat(at))
    yes = act("given", 300)
    record = apply_consent(
        replace(STRANGER, residence="US", zone=zone),
        kind=yes.status, purpose="offers", channels=(channel,), act=yes,
    )  # fmt: skip
    found = codes(record, channel=channel, at=moment, within=at_home("US"), contact=channel)
    assert ("quiet_hours" not in found) is open_
    mail = apply_consent(record, kind=yes.status, purpose="offers", channels=("email",), act=yes)
    assert "quiet_hours" not in codes(mail, at=moment, within=at_home("US"))


@pytest.mark.parametrize(
    ("residence", "first", "last"),
    [
        ("US-NY", "08:00", "20:59"),
        ("US-TX", "10:00", "20:59"),  # Chicago and Denver, and the house's own New York
        ("US-CA", "11:00", "20:59"),
        ("US-HI", "13:00", "20:59"),
        ("US", "13:00", "20:59"),
    ],
)
def test_an_unknown_zone_is_open_only_where_every_zone_of_the_place_is(residence, first, last):
    record = replace(told(STRANGER, channels=("call",)), residence=residence, zone="")
    found = {
        f"{hour:02}:{minute:02}"
        for hour in range(24)
        for minute in (0, 30, 59)
        if "quiet_hours"
        not in codes(
            record,
            channel=Channel.CALL,
            at=wall(f"2026-11-23T{hour:02}:{minute:02}:00", "America/New_York"),
            within=at_home("US"),
            contact="call",
        )
    }
    assert (min(found), max(found)) == (first, last)


# --- Canada: computed, never stored -------------------------------------------------------------


def canadian(*relations):
    return replace(STRANGER, residence="CA-ON", zone="America/Toronto", relations=relations)


def test_an_implied_consent_ends_with_its_last_local_day():
    bought = wall("2024-11-23T10:00:00", "America/Toronto")
    record, within = canadian(sale(at=bought, goods="garden")), at_home("CA")
    last = wall("2026-11-23T23:59:59", "America/Toronto")
    permit = answer(record, at=last, within=within)
    assert (permit.basis, permit.until) == ("implied_consent", last + 1_000_000)
    assert codes(record, at=Instant(last + 1_000_000), within=within) == ["expired"]
    expired = answer(record, at=Instant(last + 1_000_000), within=within).first
    assert expired.rule == "C-2"


def test_a_relationship_of_another_brand_or_of_tomorrow_implies_nothing():
    within = at_home("CA")
    assert codes(canadian(sale(brand="other")), within=within) == ["no_consent"]
    assert codes(canadian(sale(at=Instant(NOON + DAY))), within=within) == ["no_consent"]


def test_a_contract_in_force_implies_consent_until_it_ends_and_two_years_on():
    def contract(**changes):
        return canadian(sale(kind="contract", at=Instant(NOON - 3000 * DAY), **changes))

    assert answer(contract(), within=at_home("CA")).basis == "implied_consent"
    soon = answer(contract(until=NOON + 9), within=at_home("CA"))
    assert soon.until == NOON + 9
    assert codes(contract(until=NOON - 700 * DAY), within=at_home("CA")) == []
    assert codes(contract(until=NOON - 800 * DAY), within=at_home("CA")) == ["expired"]


def test_a_request_for_consent_cannot_be_sent_cold_to_canada_and_stays_the_one_request():
    asking = {"purpose": "ask_offers", "within": at_home("CA")}
    assert codes(canadian(), **asking) == ["no_consent"]
    inquiry = canadian(sale(kind="inquiry", at=Instant(NOON - 30 * DAY)))
    assert answer(inquiry, **asking).basis == "ask_once"
    assert codes(inquiry, asked=True, **asking) == ["asked_once_already"]


def test_a_south_african_sender_asks_its_own_law_of_canadians_too():
    inquiry = canadian(sale(kind="inquiry", at=Instant(NOON - 30 * DAY)))
    assert codes(inquiry) == ["not_customer"]
    old = canadian(sale(at=Instant(NOON - 900 * DAY)))
    assert [(r.code, r.rule) for r in answer(old).reasons] == [("expired", "C-2")]
    assert codes(canadian(sale())) == []


def test_what_implies_consent_is_named_by_known_kinds_and_whole_months():
    for wrong in ({"friendship": 9}, {"sale": 0}):
        with pytest.raises(InvalidInput):
            GroundRule({"implied": wrong})
    request, facts = ask(canadian(sale()))
    assert implied_consent(request, facts, {"inquiry": 6}, "UTC") == ("no_consent", 0)


# --- the opt-out signal -------------------------------------------------------------------------


def signalled(record, days=1):
    return told(record, "opted_out", days, purpose="personalise", channels=("*",), by="signal")


@pytest.mark.parametrize("regime", HOMES)
def test_a_signal_closes_profiling_and_sharing_and_leaves_the_mail(regime):
    within = at_home(regime, agreements={"acme": (0, 0)})
    residence, zone = HOMES[regime]
    close = replace(at_level(AGREED, 3), residence=residence, zone=zone)
    record = signalled(close)
    at = wall("2026-11-23T12:00:00", zone)
    agency = {"actor": Actor(Role.AGENCY, "a1"), "agreement": "acme"}
    profile = {"action": Action.PROFILE, "channel": None}
    share = {"action": Action.SHARE, "channel": None, **agency}
    for who, closed in ((close, []), (record, ["objected"])):
        assert codes(who, at=at, within=within, **profile) == closed
        assert codes(who, at=at, within=within, **share) == closed
        assert codes(who, at=at, within=within) == []
        held = frozenset() if closed else frozenset({"interests", "history"})
        assert consent.level_categories(who, within, at) == held
        yours = codes(who, purpose="personalise", categories=held, at=at, within=within, **profile)
        assert yours == closed
    assert consent.level(record, within, at, ground=True) == 1
    assert consent.level(close, within, at, ground=True) == 3


def test_a_later_yes_of_the_person_ends_what_a_signal_closed():
    record = at_level(signalled(AGREED, days=20), 3, days=2)
    profile = {"action": Action.PROFILE, "channel": None}
    assert codes(record, **profile) == []
    assert codes(signalled(record), **profile) == ["objected"]


def test_a_signal_is_kept_even_where_the_house_no_longer_personalises():
    without = {n: p for n, p in HOUSE.purposes.items() if n != "personalise"}
    found = codes(
        signalled(AGREED), action=Action.PROFILE, channel=None, within=house(purposes=without)
    )
    assert found == ["objected"]


def test_no_signal_ever_grants():
    yes = act("given", by="signal")
    with pytest.raises(InvalidInput):
        apply_consent(
            STRANGER, kind=ConsentStatus.GIVEN, purpose="offers", channels=("email",), act=yes
        )


# --- places -------------------------------------------------------------------------------------


def test_a_subdivision_lies_in_its_country_and_a_country_may_be_any_of_its_subdivisions():
    from asking import RULES

    def regimes(place, seat="XX"):
        return RULES.applicable(place, seat)

    assert regimes("US-CA") == ("US", "US-CA")
    assert regimes("US-TX") == ("US",)
    assert regimes("US") == ("US", "US-CA")
    assert regimes("CA") == regimes("CA-ON") == regimes("CA-QC") == ("CA",)
    assert regimes("ZA-GP") == ("ZA",)
    assert regimes("DE-BY") == ("EU",)
    assert regimes("") == regimes("AU") == regimes("USA") == regimes("C") == ("EU", "ZA")
    assert regimes("DE", "CA-ON") == ("CA", "EU")
    assert not in_place("", {"US-CA"})
    assert RULES.zones("US-CA") == ("America/Los_Angeles",)
    assert RULES.zones("CA-NS") == ("America/Halifax",)
    assert len(RULES.zones("US")) > 8


def test_a_content_rule_with_a_number_names_it_in_what_it_obliges_to():
    from asking import RULES
    from examples import CALENDARS, FILES

    text = FILES["us.toml"]
    for old, new in ((b"days = 30", b'days = "30"'), (b", days = 30", b"")):
        with pytest.raises(InvalidInput, match="no days"):
            load({**FILES, "us.toml": text.replace(old, new)}, CALENDARS, PREDICATES)
    assert RULES.rule("US-2", NOON).obligations() == ("opt_out_works_30_days",)
    wrong = text.replace(b"America/Boise", b"America/Bois")
    with pytest.raises(InvalidInput, match="unknown time zone"):
        load({**FILES, "us.toml": wrong}, CALENDARS, PREDICATES)


# --- answers worked out once for many -----------------------------------------------------------


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-40, 40),
            st.sampled_from(["", "Africa/Johannesburg", "America/New_York", "Asia/Tokyo"]),
            st.sampled_from(["email", "sms"]),
            st.booleans(),
        ),
        min_size=2,
        max_size=8,
    )
)
def test_what_is_remembered_for_a_batch_is_what_each_would_be_answered_alone(asked):
    shared = house(
        registries={
            "ZA": Registry(NOON - 40 * DAY, True, NOON - 3 * DAY, NOON + 3 * DAY, "officer:1")
        }
    )
    for hours, zone, channel, blocked in asked:
        record = replace(told(STRANGER, days=60, channels=("email", "sms")), zone=zone)
        at = Instant(NOON + hours * 3_600_000_000)
        alone = replace(shared, memo={})
        found = [
            gate.decide(
                *ask(
                    record,
                    at=at,
                    channel=Channel(channel),
                    within=within,
                    claim=CLAIM,
                    blocks=[gate_block()] if blocked else (),
                )
            )
            for within in (shared, alone)
        ]
        one, other = (
            each if isinstance(each, Refusal) else (each.until, each.basis, each.waiver)
            for each in found
        )
        assert one == other


def gate_block():
    from troth.terms import Block

    return Block("registry_block", "all", "ZA")


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([-1, 0, 1, 2, 3, 5]),
    st.sets(st.sampled_from(["interests", "history", "year", "alcohol", "address"])),
    st.sets(st.sampled_from(["interests", "history", "year"])),
    st.sampled_from(["", "email"]),
    st.sampled_from([(), ("address",)]),
)
def test_a_level_opens_exactly_the_set_it_holds(level, wanted, agreed, channel, free):
    within = house(levels=(frozenset(), frozenset(free), *HOUSE.levels[2:]))
    record = at_level(AGREED, max(level, 0), agreed) if level >= 0 else AGREED
    held = consent.level_categories(record, within, NOON, channel)
    opens = consent.level_opens(record, within, NOON, channel, frozenset(wanted))
    assert opens is (frozenset(wanted) <= held)


def test_a_record_that_cannot_be_judged_is_refused_by_every_rule_that_asks_for_it(monkeypatch):
    def broken(*_):
        raise KeyError("planted")

    monkeypatch.setattr(plans, "look_up", broken)
    assert codes(AGREED, within=house()) == []  # each rule then looks for itself
    monkeypatch.setattr(grounds, "look_up", broken)
    assert codes(AGREED, within=house()) == ["rule_error"]
    assert codes(AGREED, within=house(), purpose="orders") == []


def test_notices_compared_are_forgotten_before_they_grow_without_end(monkeypatch):
    monkeypatch.setattr(predicates, "_LABELS_KEPT", 2)
    within = house(material={"offers": 2})
    for version in (1, 2, 3, 4, 1):
        found = codes(told(STRANGER, notice=f"offers@{version}"), within=within)
        assert found == (["notice_outdated"] if version == 1 else [])
        assert len(within.memo["notices"]) <= 2


def test_an_ordinary_person_meets_the_same_rules_as_any_other():
    for wrong in ({"alias": "71" * 16}, {"erasing": True}, {"restricted": True}, {"level": 0}):
        assert codes(replace(AGREED, **wrong))
    assert codes(AGREED, contact="sms") == ["fact_missing"]
    assert codes(replace(AGREED, sends={"email": (NOON - DAY,)})) == []
