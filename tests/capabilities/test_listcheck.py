"""The list check's own promises: one gate, sums that add up, and narrowing that never widens."""

import ast
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.capabilities import listcheck
from troth.capabilities.listcheck import GROUPS, Asked, Judge, RegistryTold, check, house_of
from troth.capabilities.listcheck.rules import BLOCKING, SHARED
from troth.engines import contact
from troth.engines.intake import Dealing, ListRow
from troth.kernel import consent
from troth.terms import DAY, Instant, ReasonCode, instant

NOON = instant(datetime(2026, 11, 17, 10, tzinfo=UTC))
NIGHT = instant(datetime(2026, 11, 17, 22, tzinfo=UTC))
DATA = files("troth") / "data"
RANK = {group: place for place, group in enumerate(GROUPS)}


def shipped(kind):
    return {f.name: f.read_bytes() for f in (DATA / kind).iterdir() if f.name.endswith(".toml")}


REGIMES, CALENDARS = shipped("regimes"), shipped("calendars")


def judge(at=NOON, **told):
    asked = Asked(at, **{"zone": "Africa/Johannesburg", "seat": "ZA", **told})
    return Judge(house_of(REGIMES, CALENDARS, asked), asked)


JUDGE = judge()


def row(line=2, **told):
    return ListRow(line, **{"email": f"p{line}@post.example", "residence": "ZA", **told})


def agreed(**told):
    whole = {"consent_at": Instant(NOON - 90 * DAY), "notice": "n", "method": "m", "proof": "p"}
    return row(**{**whole, **told})


def sold(**told):
    whole = {
        "dealings": (Dealing("sale", Instant(NOON - 90 * DAY)),), "bought": True,
        "details_from_sale": True, "objection_offered": True,
    }  # fmt: skip
    return row(**{**whole, **told})


class Rows:
    """A list that stands in memory."""

    def __init__(self, rows):
        self.held = list(rows)

    def rows(self):
        return iter(self.held)

    def chosen(self, places):
        return ((at, each) for at, each in enumerate(self.held) if at in places)


def test_a_consent_counts_with_all_four_proofs_and_without_any_one_of_them_it_does_not():
    assert JUDGE.judge(agreed())[:2] == ("may_mail", "consent")
    for name, missing in (("notice", "notice"), ("method", "method"), ("proof", "proof")):
        got = JUDGE.judge(agreed(**{name: ""}))
        assert (got.group, got.code, got.missing) == ("ask_once", "no_consent", (missing,))
        assert got.helps == ("consent",)
    got = JUDGE.judge(agreed(consent_at=None, signs=frozenset({"claims"})))
    assert got.missing == ("time",)


def test_a_tool_that_calls_somebody_subscribed_proves_nothing():
    got = JUDGE.judge(row(signs=frozenset({"claims"})))
    assert (got.group, got.missing) == ("ask_once", ("notice", "time", "method", "proof"))


@pytest.mark.parametrize("lacks", ["details_from_sale", "objection_offered", "dealings"])
def test_a_sale_counts_with_every_fact_of_it_and_names_the_one_it_lacks(lacks):
    assert JUDGE.judge(sold())[:2] == ("may_mail", "customer_exception")
    got = JUDGE.judge(sold(**{lacks: () if lacks == "dealings" else False}))
    assert got.group == "ask_once"
    assert got.missing == ("sale_date" if lacks == "dealings" else lacks,)
    assert got.helps == ("sale",)


def test_a_bought_list_proves_neither_consent_nor_sale():
    assert JUDGE.judge(agreed(own=False)).group != "may_mail"
    assert JUDGE.judge(sold(own=False)).group != "may_mail"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"signs": frozenset({"unsubscribe"})}, ReasonCode.SUPPRESSED_UNSUBSCRIBE),
        ({"signs": frozenset({"complaint"})}, ReasonCode.SUPPRESSED_COMPLAINT),
        ({"signs": frozenset({"hard_bounce"})}, ReasonCode.SUPPRESSED_BOUNCE),
        ({"signs": frozenset({"objection"})}, ReasonCode.OBJECTED),
        ({"signs": frozenset({"hold"})}, ReasonCode.RESTRICTED),
        ({"signs": frozenset({"refused"})}, ReasonCode.REFUSED),
        ({"signs": frozenset({"status_unknown"})}, "status_unknown"),
        ({"born": 2012}, ReasonCode.MINOR),
        ({"age": 17}, ReasonCode.MINOR),
    ],
)
def test_whatever_says_stop_beats_every_proof(told, code):
    for made in (row, sold, agreed):
        got = JUDGE.judge(made(**told))
        assert (got.group, got.code) == ("not", code)
        assert got.missing == got.helps == ()


def test_a_row_without_an_address_and_one_that_does_not_read_are_named_so():
    assert JUDGE.judge(row(email=""))[:2] == ("not", "no_address")
    assert JUDGE.judge(ListRow(7, code="bad_quote"))[:2] == ("not", "unreadable")


def test_who_was_asked_before_and_did_not_answer_is_not_asked_again():
    assert JUDGE.judge(row(signs=frozenset({"asked"})))[:2] == ("not", "asked_once_already")
    assert JUDGE.judge(agreed(signs=frozenset({"asked"}))).group == "may_mail"


def test_an_unknown_country_gets_the_strictest_rules_and_a_named_one_may_change_that():
    assert JUDGE.judge(sold(residence="")).group == "ask_once"
    assert judge(country="ZA").judge(sold(residence="")).group == "may_mail"
    assert judge(country="ZA").judge(sold(residence="DE")).group == "ask_once"


def test_in_canada_a_recent_sale_implies_consent_an_old_one_does_not_and_nobody_may_ask():
    told = {"residence": "CA", "details_from_sale": False, "objection_offered": False}
    at_home = judge(seat="CA", zone="America/Toronto")
    recent = at_home.judge(sold(**told))
    old = Dealing("sale", Instant(NOON - 1_000 * DAY))
    late = at_home.judge(sold(**told, dealings=(old,)))
    never = at_home.judge(row(residence="CA"))
    assert recent[:2] == ("may_mail", "implied_consent")
    assert (late.group, late.code, never.group) == ("not", "expired", "not")


def test_at_night_a_row_waits_for_the_hour_and_is_not_refused_for_it():
    got = judge(NIGHT).judge(agreed())
    assert got.group == "may_mail"
    assert "hours" in got.waits
    assert "hours" not in JUDGE.judge(agreed()).waits


@pytest.mark.parametrize("told", [{"email": ""}, {"signs": frozenset({"unsubscribe"})}, {}])
def test_what_a_row_is_refused_for_does_not_depend_on_the_hour_of_the_check(told):
    by_day, by_night = (at.judge(row(**told)) for at in (JUDGE, judge(NIGHT)))
    assert (by_day.group, by_day.code) == (by_night.group, by_night.code)


def test_without_the_registry_every_yes_says_that_it_waits_for_it_and_with_it_it_decides():
    assert "registry" in JUDGE.judge(agreed()).waits
    listed = contact.digest_for_registry("sha256-lower-trim", "p2@post.example")
    as_of = Instant(NOON - 5 * DAY)
    told = judge(registry=RegistryTold(frozenset({listed}), as_of, "sha256-lower-trim"))
    assert told.judge(agreed())[:2] == ("not", "registry_block")
    assert told.judge(agreed(line=3)).group == "may_mail"
    assert "registry" not in told.judge(agreed(line=3)).waits
    for hashes, at, scheme in (((), NOON - 90 * DAY, "sha256-lower-trim"), ((), as_of, "other")):
        stale = judge(registry=RegistryTold(frozenset(hashes), Instant(at), scheme))
        assert stale.judge(agreed())[:2] == ("not", "registry_stale")


def test_an_address_counts_once_by_its_best_row_and_what_one_row_stops_stops_them_all():
    twice = [row(2), agreed(email="p2@post.example", line=3), row(4)]
    got = check(JUDGE, Rows(twice))
    assert [got.verdict(n).code for n in range(3)] == ["duplicate", "consent", "no_consent"]
    stopped = row(5, email="p2@post.example", signs=frozenset({"unsubscribe"}))
    got = check(JUDGE, Rows([*twice, stopped]))
    assert got.groups == {"may_mail": 0, "ask_once": 1, "not": 3}
    assert got.findings["duplicates"] == 2


def test_a_mailbox_beside_two_names_is_noticed():
    got = check(JUDGE, Rows([row(2, who="ann"), row(3, email="p2@post.example", who="bea")]))
    assert got.findings["shared"] == 1


def test_every_reason_has_an_example_that_names_nobody():
    rows = [
        row(2),
        agreed(line=3),
        row(4, signs=frozenset({"hold"})),
        row(5, email="p2@post.example"),
    ]
    for tally in check(JUDGE, Rows(rows)).tallies:
        assert tally.example.line
        assert tally.example.address == "p•••@p•••"


NARROW = sorted({*BLOCKING, "refused", "asked"})
MADE = st.builds(
    ListRow,
    line=st.just(2),
    email=st.sampled_from(["", "a@post.example", "b@post.example", "c@post.example"]),
    code=st.sampled_from(["", "", "", "bad_quote"]),
    who=st.sampled_from(["", "ann", "bea"]),
    residence=st.sampled_from(["", "ZA", "DE", "US-CA", "US", "CA-ON", "GB", "KE"]),
    zone=st.sampled_from(["", "Africa/Johannesburg", "America/Toronto"]),
    born=st.none() | st.integers(1950, 2020),
    subject=st.sampled_from(["", "juristic"]),
    signs=st.frozensets(st.sampled_from([*NARROW, "claims", "silent"]), max_size=2),
    consent_at=st.none() | st.integers(NOON - 2000 * DAY, NOON + 9 * DAY).map(Instant),
    notice=st.sampled_from(["", "n"]),
    method=st.sampled_from(["", "m"]),
    proof=st.sampled_from(["", "p"]),
    dealings=st.lists(
        st.builds(
            Dealing,
            st.sampled_from(["sale", "inquiry", "contract", "donation"]),
            st.integers(NOON - 2000 * DAY, NOON + 9 * DAY).map(Instant),
        ),
        max_size=2,
    ).map(tuple),
    bought=st.booleans(),
    details_from_sale=st.booleans(),
    objection_offered=st.booleans(),
    own=st.booleans(),
)
JUDGES = [JUDGE, judge(NIGHT), judge(seat="", zone="UTC"), judge(country="ZA")]


def told(one, **changes):
    return ListRow(**{name: changes.get(name, getattr(one, name)) for name in ListRow.__slots__})


@given(one=MADE, sign=st.sampled_from(NARROW), who=st.sampled_from(JUDGES))
@settings(max_examples=250, deadline=None)
def test_a_stop_added_to_a_row_never_moves_it_to_a_better_group(one, sign, who):
    before = who.judge(one)
    after = who.judge(told(one, signs=one.signs | {sign}))
    assert RANK[after.group] >= RANK[before.group]
    assert RANK[who.judge(one, frozenset({sign})).group] >= RANK[before.group]


@given(one=MADE, who=st.sampled_from(JUDGES), name=st.sampled_from(["notice", "method", "proof"]))
@settings(max_examples=150, deadline=None)
def test_evidence_taken_away_never_moves_a_row_to_a_better_group(one, who, name):
    assert RANK[who.judge(told(one, **{name: ""})).group] >= RANK[who.judge(one).group]


@given(rows=st.lists(MADE, max_size=12), at=st.integers(0, 11), sign=st.sampled_from(NARROW))
@settings(max_examples=150, deadline=None)
def test_groups_and_reasons_sum_to_the_rows_and_a_stop_helps_no_row_of_the_list(rows, at, sign):
    before = check(JUDGE, Rows(rows))
    assert sum(before.groups.values()) == before.rows == len(rows)
    assert sum(tally.count for tally in before.tallies) == len(rows)
    sent = [r.email for n, r in enumerate(rows) if before.verdict(n).group != "not"]
    assert len(sent) == len(set(sent))
    if at < len(rows):
        changed = [told(r, signs=r.signs | {sign}) if n == at else r for n, r in enumerate(rows)]
        after = check(JUDGE, Rows(changed))
        for n in range(len(rows)):
            assert RANK[after.verdict(n).group] >= RANK[before.verdict(n).group]


def test_the_check_gives_the_same_answer_twice():
    rows = Rows([row(2), agreed(line=3), sold(line=4), row(5, residence="")])
    one, two = check(judge(), rows), check(judge(), rows)
    assert one.tallies == two.tallies


def test_the_evidence_asked_of_a_yes_is_the_imports_own():
    source = Path(listcheck.rules.__file__).read_text("utf-8")
    assert "consent.missing_proof(" in source
    assert consent.missing_proof({}, frozenset()) == ("notice", "time", "method", "proof")


def test_there_is_no_second_gate_here():
    """Whoever may be mailed comes out of `gate.decide`: no verdict of yes is made elsewhere."""
    yes, decides = 0, 0
    for path in Path(listcheck.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                decides += called == "gate.decide"
                first = node.args[0] if node.args else None
                said = isinstance(first, ast.Constant) and first.value in ("may_mail", "ask_once")
                yes += called == "Verdict" and said
    assert (decides, yes) == (1, 2)
    assert set(BLOCKING) <= SHARED
