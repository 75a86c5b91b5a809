"""The new words of a segment and what keeps people out: one meaning in every engine."""

import hashlib
import sqlite3
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troth.adapters.reach import PersonRow, PurchaseColumns, Reach, ReachWriter
from troth.adapters.reach.query import INSIDE, Ask, compiled
from troth.adapters.reach.standing import sketch, tally
from troth.kernel.audience import (
    STATES,
    Known,
    Purchase,
    evaluate,
    outside,
    parse_audience,
)
from troth.terms import DAY, Instant, PersonId

TODAY = 20_000
AT = Instant(TODAY * DAY)
AGREEABLE = ("purchases.13w", "purchases.52w", "interests.declared")
KEY = bytes(range(24))


def audience(where):
    return parse_audience({"name": "test", "purpose": "offers", "where": where})


def psid(number):
    return PersonId(hashlib.sha256(number.to_bytes(8, "big")).digest()[:16])


def build(folder, rows):
    lines = [line for row in rows for line in row.known.purchases]
    columns = PurchaseColumns(
        people=[row.person for row in rows],
        runs=[len(row.known.purchases) for row in rows],
        days=[line.day for line in lines],
        groups=[0] * len(lines),
        units=[line.units for line in lines],
        minor=[line.minor for line in lines],
        currencies=[0] * len(lines),
        names=["coffee"],
        money=["ZAR"],
    )
    return ReachWriter(folder).rebuild([rows], [columns], AT, 1)


_ago = st.sampled_from([0, 1, 13, 14, 29, 30, 31, 90, 91, 92, 200, 363, 364, 700, -1])
_known = st.builds(
    Known,
    agreed=st.frozensets(st.sampled_from(AGREEABLE)),
    residence=st.sampled_from(["", "ZA", "CA", "CA-ON", "CA-QC", "DE"]),
    age=st.sampled_from(["", "adult", "minor"]),
    language=st.sampled_from(["", "en", "af"]),
    level=st.integers(-1, 5),
    relations=st.dictionaries(
        st.sampled_from(["sale", "inquiry", "contract", "donation", "membership"]),
        _ago.map(lambda d: TODAY - d),
        max_size=3,
    ),
    interests=st.none() | st.frozensets(st.sampled_from(["tea", "garden"])),
    purchases=st.lists(
        st.builds(
            Purchase,
            day=_ago.map(lambda d: TODAY - d),
            group=st.just("coffee"),
            units=st.integers(-1, 2),
            minor=st.integers(-500, 900),
            currency=st.just("ZAR"),
        ),
        max_size=6,
    ).map(tuple),
)
_score = st.sampled_from([[1, 1], [1, 3], [2, 4], [3, 3], [4, 5], [5, 5], [2, 5], [1, 4]])
_rfm = st.tuples(
    st.fixed_dictionaries({"recency": _score, "days": st.just([14, 30, 91, 300])}),
    st.fixed_dictionaries({"frequency": _score, "lines": st.just([1, 2, 3, 5])}),
    st.fixed_dictionaries(
        {"monetary": _score, "minor": st.just([1, 100, 500, 900]), "currency": st.just("ZAR")}
    ),
    st.integers(1, 7),
).map(
    lambda four: {"rfm": {k: v for n in range(3) if four[3] >> n & 1 for k, v in four[n].items()}}
)
_stage = st.lists(
    st.sampled_from(["prospect", "customer", "lapsed", "ended"]), min_size=1, max_size=3
).map(lambda names: {"stage": {"values": names, "silent_days": 90, "ended_days": 365}})
_word = st.one_of(
    _rfm,
    _stage,
    st.lists(st.sampled_from(["CA", "CA-ON", "CA-QC", "ZA"]), min_size=1, max_size=2).map(
        lambda codes: {"place": codes}
    ),
    st.just({"interest": ["tea"]}),
    st.just({"age_class": ["adult"]}),
    st.just({"has_sale": {}}),
    st.sampled_from([30, 200]).map(lambda d: {"silent_for": {"days": d}}),
    st.sampled_from([30, 200]).map(lambda d: {"bought": {"within_days": d}}),
)
_where = st.recursive(
    _word,
    lambda inner: st.builds(
        lambda word, parts: {word: parts},
        st.sampled_from(["all", "all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def in_sqlite(path):
    import duckdb

    held = duckdb.connect(str(path), read_only=True)
    copy = sqlite3.connect(":memory:")
    codes = {}
    for table in ("person", "purchase", "interest", "code"):
        columns = held.execute(f"DESCRIBE {table}").fetchall()
        plain = ", ".join(name for name, kind, *_ in columns if not kind.endswith("[]"))
        rows = held.execute(f"SELECT {plain} FROM {table}").fetchall()
        names = [each[0] for each in held.description]
        copy.execute(f"CREATE TABLE {table} ({', '.join(names)})")
        copy.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(names))})", rows)
        if table == "code":
            codes = {(kind, name): code for kind, code, name in rows}
    held.close()
    return copy, codes


@given(
    st.lists(_known, min_size=4, max_size=20),
    st.lists(_where, min_size=6, max_size=6),
    st.integers(0, 40),
)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_engine_agrees_with_the_kernel_on_whom_and_on_why_not(tmp_path_factory, people, wheres, later):  # fmt: skip
    rows = [PersonRow(psid(n), known) for n, known in enumerate(people)]
    made = build(tmp_path_factory.mktemp("reach"), rows)
    at = Instant(AT + later * DAY)
    copy, codes = in_sqlite(made.path)
    reach = Reach.open(made.path.parent.parent)
    for raw in wheres:
        where = audience(raw)
        inside = {row.person for row in rows if evaluate(where, row.known, at) is True}
        assert {p for batch in reach.narrow(where, at) for p in batch} == inside
        other = compiled(Ask(where.where), "sqlite")
        assert {row[0] for row in copy.execute(other.sql, other.bind(codes, at))} == inside
        why = Counter(outside(where, row.known, at) for row in rows)
        assert why[None] == len(inside)
        counted = Counter()
        for group in tally(reach, where, at):
            counted[group.why] += group.people
        assert counted == why
        other = compiled(Ask(where.where, "standing"), "sqlite")
        counted = Counter()
        for row in copy.execute(other.sql, other.bind(codes, at)):
            code = row[0]
            told = None if code == INSIDE else (code // 3, STATES[code % 3])
            counted[told] += row[-1]
        assert counted == why
    copy.close()
    reach.close()


@given(_where, _known)
def test_what_keeps_somebody_out_is_a_no_exactly_where_the_meaning_is_no(raw, known):
    found = outside(audience(raw), known, AT)
    assert evaluate(audience(raw), known, AT) is (
        True if found is None else False if found.state == "no" else None
    )


def test_groups_of_those_outside_carry_the_facts_they_share(tmp_path):
    rows = [
        PersonRow(psid(1), Known(residence="ZA", level=2, relations={"sale": TODAY})),
        PersonRow(psid(2), Known(frozenset({"purchases.13w"}), residence="DE", age="adult")),
        PersonRow(psid(3), Known()),
    ]
    build(tmp_path, rows)
    with_sale = audience({"all": [{"bought": {"within_days": 30}}, {"has_sale": {}}]})
    reach = Reach.open(tmp_path)
    found = {t.residence: t for t in tally(reach, with_sale, AT)}
    assert (found["ZA"].why, found["ZA"].level) == ((1, "unagreed"), 2)
    assert found["DE"].why == (0, "no")
    assert found["DE"].agreed == frozenset({"purchases.13w"})
    assert (found[""].level, found[""].people) == (-1, 1)
    assert sum(t.people for t in tally(reach, with_sale, AT, [psid(3)])) == 2


@pytest.mark.parametrize("apart", [0, 1, 4, 9, 60])
def test_sketches_tell_how_few_people_two_sets_differ_by(apart):
    people = [psid(n) for n in range(3_000)]
    one, other = sketch(people[apart:], KEY), sketch(people[::-1], KEY)
    sums = sum(one[n : n + 8] != other[n : n + 8] for n in range(0, len(one), 8))
    assert sums <= apart
    assert (sums == 0) == (apart == 0)
    assert sketch(people, KEY) != sketch(people, KEY[::-1])
    assert sketch([], KEY) == bytes(len(one))
