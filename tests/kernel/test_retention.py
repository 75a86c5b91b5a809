"""How long what is held may be kept: examples, and properties over any person and any house."""

from dataclasses import replace

import pytest
from examples import RULES
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import InvalidInput
from troth.kernel import consent, retention
from troth.kernel.facts import House
from troth.kernel.retention import Held, plan, quarter_end
from troth.terms import (
    DAY,
    Act,
    Channel,
    ConsentStatus,
    Instant,
    PersonRecord,
    Purpose,
    PurposeKind,
    Relation,
    from_zulu,
)

NOW = from_zulu("2026-11-20T08:00:00Z")
LONG_AGO = Instant(0)
EMAIL = frozenset({Channel.EMAIL})
WEEK13 = frozenset({"identity.name", "purchases.13w"})


def purpose(name, kind, days, categories, months=0, channels=EMAIL):
    return Purpose(name, 1, kind, name, channels, frozenset(categories), "", days, months)


OFFERS = purpose(
    "offers", PurposeKind.MARKETING, 1095, {"identity.name", "interests.declared"}, 24
)
PERSONAL = purpose(
    "personalise", PurposeKind.PERSONALISE, 364, {"purchases.13w", "purchases.52w"}, 0, frozenset()
)
SERVICE = purpose("service", PurposeKind.SERVICE, 1825, {"identity.name"})
HOUSE = House(
    1, "ZA", "UTC", {p.name: p for p in (OFFERS, PERSONAL, SERVICE)}, RULES,
    frozenset({"purchases.13w", "purchases.52w", "identity.name", "interests.declared"}),
)  # fmt: skip
HELD = [
    Held("name.given", "identity.name"),
    Held("interests", "interests.declared"),
    Held("external.id", "identity.official"),
    Held("purchases/2026Q3", "purchases"),
    Held("purchases/2025Q3", "purchases"),
    Held("purchases.sensitive/2026Q3", "purchases.sensitive"),
]
NOBODY = PersonRecord(residence="ZA", relations=(Relation("inquiry", Instant(0)),))


def said(record, status, days, name="offers", channels=("email",), categories=()):
    at = Instant(NOW - days * DAY)
    act = Act(ConsentStatus(status), at, at, 1, categories=tuple(categories))
    return consent.apply_consent(record, kind=act.status, purpose=name, channels=channels, act=act)


def known(record, days, kind="sale", until=0):
    relation = Relation(kind, Instant(NOW - days * DAY), until=until)
    return replace(record, relations=(relation,))


def rows(record, held=HELD, house=HOUSE, at=NOW, since=LONG_AGO):
    return {row.field: row for row in plan(record, held, house, at, since)}


def gone(record, **more):
    return {name for name, row in rows(record, **more).items() if row.action == "delete"}


def test_of_somebody_no_purpose_may_use_nothing_is_kept_and_the_rule_is_named():
    found = plan(NOBODY, HELD, HOUSE, NOW, Instant(0))
    assert retention.nothing_left(found)
    assert {row.rule for row in found} == {"ZA-20"}


def test_a_yes_keeps_what_its_purpose_names_and_the_persons_own_identifiers_with_it():
    person = said(NOBODY, "given", 10)
    assert gone(person) == {"purchases/2026Q3", "purchases/2025Q3", "purchases.sensitive/2026Q3"}
    row = rows(person)["interests"]
    assert (row.purpose, row.until) == ("offers", consent.months_on(NOW - 10 * DAY, 24))
    assert rows(person)["external.id"].until == row.until


def test_a_withdrawal_ends_what_the_yes_kept():
    person = said(said(NOBODY, "given", 10), "withdrawn", 1)
    assert retention.nothing_left(plan(person, HELD, HOUSE, NOW, Instant(0)))


def test_purchases_are_kept_no_longer_than_the_longest_reach_of_a_purpose_that_may_use_them():
    person = said(NOBODY, "given", 100, "personalise", (), ("purchases.52w",))
    found = rows(person)
    assert found["purchases/2026Q3"].action == "keep"
    assert found["purchases/2025Q3"].action == "delete"
    end = quarter_end("purchases/2025Q3")
    assert found["purchases/2025Q3"].until == end + 364 * DAY
    before = plan(person, HELD, HOUSE, Instant(end + 364 * DAY - 1), Instant(0))
    assert next(r for r in before if r.field == "purchases/2025Q3").action == "keep"


def test_a_marketing_yes_keeps_no_purchases_the_person_let_no_level_open():
    wide = replace(OFFERS, categories=OFFERS.categories | {"purchases.13w"})
    levels = (
        frozenset(),
        frozenset(),
        frozenset({"interests.declared"}),
        frozenset({"purchases.13w"}),
    )
    house = replace(HOUSE, purposes={**HOUSE.purposes, "offers": wide}, levels=levels, memo={})
    person = said(NOBODY, "given", 10)
    assert gone(person, house=house) >= {"purchases/2026Q3", "interests"}
    opened = said(person, "given", 9, "personalise", (), ("purchases.13w",))
    row = rows(opened, house=house)["purchases/2026Q3"]
    assert (row.action, row.until) == ("keep", quarter_end("purchases/2026Q3") + 91 * DAY)


def test_a_category_reaches_no_further_back_than_its_window_however_long_a_purpose_keeps():
    long = replace(PERSONAL, retention_days=3650, categories=frozenset({"purchases.13w"}))
    house = replace(HOUSE, purposes={**HOUSE.purposes, "personalise": long}, memo={})
    person = said(NOBODY, "given", 10, "personalise", (), ("purchases.13w",))
    row = rows(person, house=house)["purchases/2026Q3"]
    assert row.until == quarter_end("purchases/2026Q3") + 13 * 7 * DAY


def test_sensitive_goods_no_purpose_names_are_kept_for_none():
    person = said(known(NOBODY, 3), "given", 10, "personalise", (), ("purchases.52w",))
    assert "purchases.sensitive/2026Q3" in gone(person)


def test_a_relationship_keeps_the_name_for_service_and_an_open_contract_without_end():
    assert rows(known(NOBODY, 100))["name.given"].purpose == "service"
    assert rows(known(NOBODY, 1824))["name.given"].action == "keep"
    assert retention.nothing_left(plan(known(NOBODY, 1826), HELD, HOUSE, NOW, Instant(0)))
    assert rows(known(NOBODY, 9000, "contract"))["name.given"].until == retention.NO_END
    ended = known(NOBODY, 9000, "contract", until=NOW - 1826 * DAY)
    assert "name.given" in gone(ended)


def test_somebody_who_just_came_in_and_said_nothing_is_kept_from_that_day_on():
    new = PersonRecord(residence="ZA")
    kept = rows(new, since=Instant(NOW - 5 * DAY))
    assert kept["name.given"].action == "keep"
    assert retention.nothing_left(plan(new, HELD, HOUSE, NOW, Instant(NOW - 1826 * DAY)))


def test_an_address_alone_is_kept_while_any_purpose_may_use_it():
    held = [Held("contact.email", "contact.email")]
    assert rows(said(NOBODY, "given", 10), held)["contact.email"].action == "keep"
    assert rows(NOBODY, held)["contact.email"].action == "delete"


def test_under_a_restriction_what_would_go_stays_and_is_only_stored():
    person = replace(NOBODY, restricted=True)
    assert {row.action for row in rows(person).values()} == {"restrict"}


@pytest.mark.parametrize(
    ("residence", "rule"), [("ZA", "ZA-20"), ("DE", "EU-15"), ("", "EU-15+ZA-20")]
)
def test_the_rule_cited_is_the_one_that_reaches_the_person(residence, rule):
    house = replace(HOUSE, seat="" if residence else "ZA", memo={})
    named = retention.rule_of(replace(NOBODY, residence=residence), house, NOW)
    assert set(rule.split("+")) <= set(named.split("+"))


def test_without_a_rule_in_force_the_house_itself_is_named():
    empty = replace(RULES, rules=(), _chosen={})
    assert retention.rule_of(NOBODY, replace(HOUSE, ruleset=empty), NOW) == "house"


@pytest.mark.parametrize("scope", ["purchases/2026", "purchases/2026Q5", "purchases/Q1", "x"])
def test_a_scope_without_a_quarter_is_refused(scope):
    with pytest.raises(InvalidInput):
        quarter_end(scope)


STATUS = st.sampled_from(["given", "given", "withdrawn", "refused", "objected"])


@st.composite
def people(draw):
    record = replace(NOBODY, restricted=draw(st.booleans()))
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(["offers", "personalise", "service"]))
        channels = () if name == "personalise" else ("email",)
        categories = ("purchases.52w",) if name == "personalise" else ()
        days = draw(st.integers(1, 900))
        record = said(record, draw(STATUS), days, name, channels, categories)
    if draw(st.booleans()):
        record = known(record, draw(st.integers(1, 2500)))
    return record


@given(people(), st.integers(0, 2000))
def test_what_went_once_never_comes_back_by_itself_and_the_dates_are_exact(record, days):
    now, later = rows(record), rows(record, at=Instant(NOW + days * DAY))
    for name, row in now.items():
        assert (row.action == "keep") == (row.until > NOW)
        if row.action != "keep":
            assert later[name].action != "keep"


@given(people())
def test_a_denial_keeps_nothing_longer(record):
    denied = said(record, "objected", 0, "offers", ("*",))
    before, after = rows(record), rows(denied)
    assert all(after[name].until <= before[name].until for name in before)


@given(people())
def test_behaviour_is_never_kept_beyond_its_reach(record):
    for name, row in rows(record).items():
        if "/" in name:
            assert row.until <= quarter_end(name) + 364 * DAY


# What the person chose


def kept(record, **months):
    return replace(record, keeps=months)


def test_the_persons_own_term_ends_whole_quarters_and_cuts_one_that_is_over_in_part():
    person = said(known(NOBODY, 1), "given", 10, "personalise", (), WEEK13)
    person = kept(person, purchases=3)
    at = from_zulu("2026-12-20T08:00:00Z")
    found = rows(person, [Held("purchases/2026Q2", "purchases"), *HELD[3:]], at=at)
    cut = found["purchases/2026Q3"]
    assert (cut.action, cut.rule, cut.before) == (
        "cut",
        "person.choice",
        retention.months_ago(at, 3),
    )
    assert cut.until <= rows(replace(person, keeps={}), at=at)["purchases/2026Q3"].until
    whole = rows(person, at=from_zulu("2027-01-02T00:00:00Z"))["purchases/2026Q3"]
    assert (whole.action, whole.rule) in {("delete", "person.choice"), ("delete", "ZA-20")}
    later = rows(person, [Held("purchases/2026Q4", "purchases")], at=at)["purchases/2026Q4"]
    assert (later.action, later.before) == ("keep", 0)


def test_a_term_never_makes_somebody_leave_and_never_binds_under_a_restriction():
    person = said(known(NOBODY, 1), "given", 10, "personalise", (), WEEK13)
    at = Instant(quarter_end("purchases/2026Q3") + 100 * DAY)
    only = [Held("purchases/2026Q3", "purchases")]
    house = replace(HOUSE, purposes={
        **HOUSE.purposes,
        "personalise": replace(PERSONAL, categories=frozenset({"purchases.52w"})),
    })  # fmt: skip
    year = said(known(NOBODY, 1), "given", 10, "personalise", (), {"purchases.52w"})
    (row,) = plan(kept(year, purchases=3), only, house, at, LONG_AGO)
    assert (row.action, row.rule) == ("delete", "person.choice")
    assert not retention.nothing_left([row])
    (held,) = plan(replace(kept(year, purchases=3), restricted=True), only, house, at, LONG_AGO)
    assert held.action == "keep"
    assert retention.own_cut(person, "purchases/2026Q3", at) == 0


@given(
    st.sampled_from([3, 18, 36]),
    st.integers(0, 2000),
    st.sampled_from(["purchases", "purchases.sensitive", "views"]),
)
def test_a_term_only_ever_shortens(months, days, scope):
    at = Instant(NOW + days * DAY)
    record = kept(known(NOBODY, 1, "contract"), purchases=months)
    held = [Held(f"{scope}/2026Q4", scope)]
    (own,), (house,) = (
        plan(record, held, HOUSE, at, LONG_AGO),
        plan(replace(record, keeps={}), held, HOUSE, at, LONG_AGO),
    )
    assert own.until <= house.until
    assert house.action != "delete" or own.action == "delete"
    if own.action == "cut":
        assert retention.months_ago(at, months) == own.before < quarter_end(held[0].field)
