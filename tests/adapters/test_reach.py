"""Generations of reach: the same meaning as the kernel's, whole or not at all, nothing unagreed."""

import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import textwrap

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from troth.adapters.reach import PersonRow, PurchaseColumns, Reach, ReachWriter
from troth.adapters.reach.query import Ask, compiled
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel.audience import Known, Purchase, evaluate, parse_audience
from troth.terms import DAY, Instant, PersonId

TODAY = 20_000
AT = Instant(TODAY * DAY)
GROUPS = ["coffee", "tea", "dairy"]
MONEY = ["ZAR", "EUR"]
INTERESTS = ["coffee", "garden", "tea"]
OFFERS = "offers|email"
BEHAVIOUR = ("purchases.13w", "purchases.52w", "interests.declared")
EVERYBODY = {"any": [{"has_sale": {}}, {"none": [{"has_sale": {}}]}]}


def audience(where):
    return parse_audience({"name": "test", "purpose": "offers", "where": where})


def psid(number):
    return PersonId(hashlib.sha256(number.to_bytes(8, "big")).digest()[:16])


def columns(rows):
    """Turn people's purchases into one batch of columns."""
    lines = [line for row in rows for line in row.known.purchases]
    return PurchaseColumns(
        people=[row.person for row in rows],
        runs=[len(row.known.purchases) for row in rows],
        days=[line.day for line in lines],
        groups=[GROUPS.index(line.group) for line in lines],
        units=[line.units for line in lines],
        minor=[line.minor for line in lines],
        currencies=[MONEY.index(line.currency) for line in lines],
        names=GROUPS,
        money=MONEY,
    )


def build(folder, rows, at=AT, ledger_size=7, **writer):
    made = ReachWriter(folder, scopes=(OFFERS,), **writer)
    return made.rebuild(
        [rows[:3], rows[3:]], [columns(rows[:2]), columns(rows[2:])], at, ledger_size
    )


def found(reach, where, at=AT, exclude=(), scope=""):
    return {p for batch in reach.narrow(audience(where), at, exclude, scope) for p in batch}


def buyer(number, *, agreed=BEHAVIOUR, **known):
    bought = (Purchase(TODAY - 3, "coffee", 1, 500, "ZAR"),)
    facts = {"residence": "ZA", "relations": {"sale": TODAY - 3}, "purchases": bought} | known
    return PersonRow(psid(number), Known(frozenset(agreed), **facts), frozenset({OFFERS}))


# --- one meaning ---------------------------------------------------------------------------------

_days = st.integers(TODAY - 370, TODAY + 2)
_known = st.builds(
    Known,
    agreed=st.frozensets(st.sampled_from([*BEHAVIOUR, "cohort.compare"])),
    residence=st.sampled_from(["", "ZA", "DE", "CA-ON"]),
    age=st.sampled_from(["", "adult", "minor"]),
    language=st.sampled_from(["", "en", "af"]),
    level=st.integers(-1, 5),
    relations=st.dictionaries(st.sampled_from(["sale", "inquiry", "contract"]), _days, max_size=2),
    interests=st.none() | st.frozensets(st.sampled_from(INTERESTS)),
    purchases=st.lists(
        st.builds(
            Purchase,
            day=st.sampled_from([0, 1, 29, 30, 31, 90, 91, 92, 363, 364, -1]).map(
                lambda d: TODAY - d
            ),
            group=st.sampled_from(GROUPS),
            units=st.integers(-1, 2),
            minor=st.integers(-500, 2**45),
            currency=st.sampled_from(MONEY),
        ),
        max_size=4,
    ).map(tuple),
)
_within = st.sampled_from([1, 30, 31, 91, 92, 364])
_word = st.one_of(
    st.fixed_dictionaries({"bought": st.fixed_dictionaries({"within_days": _within})}),
    st.fixed_dictionaries(
        {
            "bought_in": st.fixed_dictionaries(
                {"group": st.sampled_from([*GROUPS, "unheard"]), "within_days": _within}
            )
        }
    ),
    st.fixed_dictionaries(
        {"count_at_least": st.fixed_dictionaries({"n": st.integers(1, 3), "within_days": _within})}
    ),
    st.fixed_dictionaries(
        {
            "spent_at_least": st.fixed_dictionaries(
                {
                    "minor": st.integers(1, 2**45),
                    "currency": st.sampled_from([*MONEY, "USD"]),
                    "within_days": _within,
                }
            )
        }
    ),
    st.fixed_dictionaries({"silent_for": st.fixed_dictionaries({"days": _within})}),
    st.just({"has_sale": {}}),
    st.integers(1, 370).map(lambda d: {"last_sale_older_than": {"days": d}}),
    st.integers(1, 12).map(lambda m: {"relation": {"kind": "sale", "within_months": m}}),
    st.sampled_from(["inquiry", "contract", "donation"]).map(
        lambda kind: {"relation": {"kind": kind, "within_months": 6}}
    ),
    st.lists(st.sampled_from(["ZA", "DE", "CA-ON", "FR"]), min_size=1).map(
        lambda codes: {"residence": codes}
    ),
    st.just({"age_class": ["adult"]}),
    st.sampled_from(["en", "fr"]).map(lambda tag: {"language": [tag]}),
    st.integers(0, 5).map(lambda k: {"level_at_least": k}),
    st.lists(st.sampled_from([*INTERESTS, "chess"]), min_size=1).map(lambda n: {"interest": n}),
)
_where = st.recursive(
    _word,
    lambda inner: st.builds(
        lambda word, parts: {word: parts},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def sqlite_copy(path):
    """Copy a generation into another engine, in memory."""
    import duckdb

    held = duckdb.connect(str(path), read_only=True)
    copy = sqlite3.connect(":memory:")
    codes = {}
    for table in ("person", "purchase", "interest", "code"):
        plain = "* EXCLUDE (moments)" if table == "person" else "*"
        rows = held.execute(f"SELECT {plain} FROM {table}").fetchall()
        names = [each[0] for each in held.description]
        copy.execute(f"CREATE TABLE {table} ({', '.join(names)})")
        copy.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(names))})", rows)
        if table == "code":
            codes = {(kind, name): code for kind, code, name in rows}
    held.close()
    return copy, codes


@given(
    st.lists(_known, min_size=4, max_size=25),
    st.lists(_where, min_size=15, max_size=15),
    st.data(),
)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_engine_finds_exactly_whom_the_kernel_means(tmp_path_factory, people, wheres, data):
    rows = [PersonRow(psid(n), known) for n, known in enumerate(people, 1)]
    made = build(tmp_path_factory.mktemp("reach"), rows)
    at = Instant(AT + data.draw(st.integers(0, 40)) * DAY)
    copy, codes = sqlite_copy(made.path)
    reach = Reach.open(made.path.parent.parent)
    for where in wheres:
        meant = {row.person for row in rows if evaluate(audience(where), row.known, at) is True}
        assert found(reach, where, at) == meant
        other = compiled(Ask(audience(where).where), "sqlite")
        assert {row[0] for row in copy.execute(other.sql, other.bind(codes, at))} == meant
    assert reach.count(audience(wheres[-1]), at) == len(meant)
    assert sum(p.people for p in reach.reasons_profile(audience(wheres[-1]), at)) == len(meant)
    copy.close()
    reach.close()


def test_people_whose_ids_begin_alike_keep_their_own_purchases(tmp_path):
    alike = [PersonId(b"same-8-b" + bytes([n] * 8)) for n in range(5)]
    rows = [PersonRow(person, buyer(1).known) for person in alike[1:4]]
    lines = columns([PersonRow(person, buyer(1).known) for person in [*alike, psid(1)]])
    made = ReachWriter(tmp_path).rebuild([rows], [lines], AT, 1)
    assert made.rows == 3
    once = {"none": [{"count_at_least": {"n": 2, "within_days": 30}}]}
    both = {"all": [{"bought": {"within_days": 30}}, once]}
    assert found(Reach.open(tmp_path), both) == set(alike[1:4])


def test_no_value_of_an_audience_enters_the_sql():
    where = {
        "any": [
            {"bought_in": {"group": "x'); DROP TABLE person; --", "within_days": 77}},
            {"interest": ["y'--"]},
            {"language": ["xx-planted"]},
            {"spent_at_least": {"minor": 987_654, "currency": "ZAR", "within_days": 55}},
        ]
    }
    sql = compiled(Ask(audience(where).where, scope="offers|planted")).sql
    for planted in ("DROP", "y'", "planted", "987654", "77", "55"):
        assert planted not in sql


# --- nothing unagreed, sensitive, erased ---------------------------------------------------------


def test_what_was_not_agreed_to_is_not_even_in_the_file(tmp_path):
    import duckdb

    rows = [
        buyer(1, interests=frozenset({"garden"})),
        buyer(2, agreed=(), interests=frozenset({"tea"})),
        buyer(
            3,
            agreed=("purchases.13w",),
            purchases=tuple(Purchase(TODAY - d, "tea", 1, 1, "ZAR") for d in (0, 90, 91, 300)),
        ),
    ]
    made = build(tmp_path, rows)
    with duckdb.connect(str(made.path), read_only=True) as held:
        lines = held.execute(
            "SELECT psid, day FROM purchase JOIN person USING (person)"
        ).fetchall()
        told = held.execute("SELECT psid, interests FROM person").fetchall()
        names = held.execute("SELECT name FROM code WHERE kind = 'interest'").fetchall()
    assert set(lines) == {(psid(1), TODAY - 3), (psid(3), TODAY - 90), (psid(3), TODAY)}
    assert set(told) == {(psid(1), 1), (psid(2), None), (psid(3), None)}
    assert names == [("garden",)]
    assert made.rows == 3


def test_an_unagreed_value_selects_nobody_neither_said_nor_denied(tmp_path):
    build(tmp_path, [buyer(1, agreed=()), buyer(2)])
    reach = Reach.open(tmp_path)
    bought = {"bought": {"within_days": 30}}
    assert found(reach, bought) == {psid(2)}
    for where in (
        {"none": [bought]},
        {"silent_for": {"days": 1}},
        {"none": [{"interest": ["x"]}]},
    ):
        assert psid(1) not in found(reach, where)
    assert found(reach, {"any": [bought, {"has_sale": {}}]}) == {psid(1), psid(2)}


def test_sensitive_goods_do_not_enter_under_any_spelling(tmp_path):
    row = buyer(1, interests=frozenset({"Coffee", "garden"}))
    build(tmp_path, [row], sensitive=frozenset({"COFFEE"}))
    reach = Reach.open(tmp_path)
    assert found(reach, {"bought": {"within_days": 364}}) == set()
    assert found(reach, {"interest": ["Coffee"]}) == set()
    assert found(reach, {"interest": ["garden"]}) == {psid(1)}


def test_two_readers_of_one_process_may_hold_the_same_generation(tmp_path):
    build(tmp_path, [buyer(1)])
    one, other = Reach.open(tmp_path), Reach.open(tmp_path)
    first, second = (found(reach, EVERYBODY) for reach in (one, other))
    assert first == second == {psid(1)}
    one.close()
    assert found(other, EVERYBODY) == first
    other.close()


def test_erased_and_changed_people_are_in_no_answer_before_and_after_the_next_rebuild(tmp_path):
    rows = [buyer(n) for n in range(1, 6)]
    build(tmp_path, rows)
    reach = Reach.open(tmp_path)
    gone = [psid(2), psid(4), psid(999)]
    left = {psid(1), psid(3), psid(5)}
    assert found(reach, EVERYBODY, exclude=gone) == left
    assert reach.count(audience(EVERYBODY), AT, gone) == 3
    assert sum(p.people for p in reach.reasons_profile(audience(EVERYBODY), AT, gone)) == 3
    build(tmp_path, [row for row in rows if row.person in left], ledger_size=9)
    assert found(reach, EVERYBODY) == left
    reach.close()
    ReachWriter(tmp_path).prune(1)
    held = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert psid(1) in held
    assert psid(2) not in held


def test_a_scope_leaves_out_who_is_refused_there_and_an_unheard_scope_leaves_out_nobody(tmp_path):
    rows = [buyer(1), PersonRow(psid(2), buyer(2).known), buyer(3)]
    build(tmp_path, rows)
    reach = Reach.open(tmp_path)
    assert found(reach, EVERYBODY, scope=OFFERS) == {psid(1), psid(3)}
    assert found(reach, EVERYBODY, scope="news|sms") == {psid(1), psid(2), psid(3)}
    with pytest.raises(InvalidInput, match="scope"):
        build(tmp_path, [PersonRow(psid(1), Known(), frozenset({"news|sms"}))])


def test_profiles_name_each_set_of_facts_once_with_its_people(tmp_path):
    rows = [
        PersonRow(psid(n), Known(residence="ZA", level=n % 2), extra=b"old" if n > 4 else b"new")
        for n in range(1, 7)
    ]
    build(tmp_path, rows)
    profiles = list(Reach.open(tmp_path).reasons_profile(audience(EVERYBODY), AT))
    assert sorted((p.level, p.extra, p.people) for p in profiles) == [
        (0, b"new", 2),
        (0, b"old", 1),
        (1, b"new", 2),
        (1, b"old", 1),
    ]
    assert {(p.residence, p.language, p.agreed, p.may) for p in profiles} == {
        ("ZA", "", frozenset(), frozenset())
    }


# --- whole or not at all -------------------------------------------------------------------------

RUNNING = """
import sys, time
from pathlib import Path
from troth.adapters.reach import PersonRow, PurchaseColumns, Reach, ReachWriter
from troth.kernel.audience import Known, parse_audience
from troth.terms import Instant
folder, mode = Path(sys.argv[1]), sys.argv[2]
everybody = parse_audience({"name": "t", "purpose": "p", "where": {"has_sale": {}}})
def people(count, slow):
    for n in range(count):
        yield [PersonRow((n * 1000 + k + 1).to_bytes(16, "big"), Known(relations={"sale": 1})) for k in range(10)]
        if slow:
            print("written", flush=True)
            time.sleep(60)
"""


def child(folder, mode, body):
    return subprocess.Popen(
        [sys.executable, "-c", RUNNING + textwrap.dedent(body), str(folder), mode],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_reader_in_another_process_sees_one_whole_generation_after_the_other(tmp_path):
    build(tmp_path, [buyer(n) for n in range(1, 11)], ledger_size=1)
    body = """
    reach = Reach.open(folder)
    print("ready", flush=True)
    seen = set()
    while max(seen, default=(0, 0))[0] < 6:
        before = reach.current().ledger_size
        seen.add((before, reach.count(everybody, Instant(10**18))))
    print(sorted(seen), flush=True)
    """
    with child(tmp_path, "read", body) as reader:
        assert reader.stdout.readline() == "ready\n"
        for size in range(2, 7):
            build(tmp_path, [buyer(n) for n in range(1, size * 10 + 1)], ledger_size=size)
        counts = json.loads(reader.stdout.readline().replace("(", "[").replace(")", "]"))
    assert {people for _, people in counts} <= {size * 10 for size in range(1, 7)}
    assert all(people >= size * 10 for size, people in counts)
    assert counts[-1] == [6, 60]


def test_a_rebuild_killed_midway_leaves_the_old_generation_and_the_next_cleans_up(tmp_path):
    before = build(tmp_path, [buyer(1)])
    body = """
    ReachWriter(folder).rebuild(people(5, slow=True), [], Instant(0), 8)
    """
    with child(tmp_path, "write", body) as writer:
        assert writer.stdout.readline() == "written\n"
        with pytest.raises(Conflict, match="rebuilt already"):
            build(tmp_path, [buyer(1)])
        writer.kill()
    assert list(tmp_path.glob(".building-*"))
    reach = Reach.open(tmp_path)
    assert reach.current() == before
    assert found(reach, EVERYBODY) == {psid(1)}
    after = build(tmp_path, [buyer(1), buyer(2)])
    assert not list(tmp_path.glob(".building-*"))
    assert after.number == before.number + 1
    assert found(reach, EVERYBODY) == {psid(1), psid(2)}


def test_a_rebuild_that_fails_changes_nothing(tmp_path):
    before = build(tmp_path, [buyer(1)])
    good = columns([buyer(1)])

    def broken():
        yield [buyer(1)]
        raise InvalidInput("planted")

    for people, purchases in (
        (broken(), []),
        ([[buyer(1), buyer(1)]], []),
        ([[PersonRow(PersonId(b"short"), Known())]], []),
        ([[buyer(1)]], [PurchaseColumns(good.people, [2], *list(_fields(good))[2:])]),
        ([[buyer(1)]], [PurchaseColumns(good.people, [1], [2**40], *list(_fields(good))[3:])]),
        (
            [[buyer(1)]],
            [PurchaseColumns(good.people, [1], good.days, [9], *list(_fields(good))[4:])],
        ),
        (
            [[buyer(1)]],
            [PurchaseColumns(good.people, [1], good.days, [-1], *list(_fields(good))[4:])],
        ),
    ):
        with pytest.raises(InvalidInput):
            ReachWriter(tmp_path, (OFFERS,)).rebuild(people, purchases, AT, 9)
        assert Reach.open(tmp_path).current() == before
        assert sorted(p.name for p in tmp_path.glob("0*")) == ["000001"]


def _fields(batch):
    return (getattr(batch, name) for name in batch.__slots__)


def test_a_generation_being_read_outlives_two_rebuilds_and_goes_when_let_go(tmp_path):
    build(tmp_path, [buyer(n) for n in range(1, 4)])
    reach = Reach.open(tmp_path)
    reading = reach.narrow(audience(EVERYBODY), AT)
    first = next(reading)
    for size in (8, 9, 10):
        build(tmp_path, [buyer(9)], ledger_size=size)
    assert sorted(p.name for p in tmp_path.glob("0*")) == ["000001", "000003", "000004"]
    assert len(first) == 3
    assert list(reading) == []
    assert found(reach, EVERYBODY) == {psid(9)}
    assert ReachWriter(tmp_path).prune() == 1
    assert sorted(p.name for p in tmp_path.glob("0*")) == ["000003", "000004"]


def test_everything_is_for_its_owner_only(tmp_path):
    folder = tmp_path / "data" / "reach"
    before = os.umask(0)
    try:
        build(folder, [buyer(1)])
        reach = Reach.open(folder)
        reach.count(audience(EVERYBODY), AT)
    finally:
        os.umask(before)
    for each in [folder, *folder.rglob("*")]:
        assert stat.S_IMODE(each.stat().st_mode) == (0o700 if each.is_dir() else 0o600), each
    reach.close()


# --- faults --------------------------------------------------------------------------------------


def test_without_a_generation_the_answer_is_not_found_and_an_older_instant_is_refused(tmp_path):
    reach = Reach.open(tmp_path / "nothing")
    assert reach.current() is None
    with pytest.raises(NotFound):
        reach.count(audience(EVERYBODY), AT)
    build(tmp_path, [buyer(1)])
    with pytest.raises(InvalidInput, match="before"):
        Reach.open(tmp_path).count(audience(EVERYBODY), Instant(AT - 1))


def test_a_damaged_pointer_or_file_is_unavailable_and_names_the_rebuild(tmp_path):
    made = build(tmp_path, [buyer(1)])
    made.path.write_bytes(b"no database")
    for text in (None, "", "{}", "[1]", '{"number": "x"}'):
        if text is not None:
            (tmp_path / "current").write_text(text)
        with pytest.raises(Unavailable, match="rebuild"):
            Reach.open(tmp_path).count(audience(EVERYBODY), AT)


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_the_extra_the_remedy_names_it_and_importing_loads_nothing_heavy(tmp_path):
    done = run(
        """
        import sys
        import troth.adapters.reach as reach
        heavy = {"duckdb", "ibis", "pyarrow", "numpy", "pandas"} & set(sys.modules)
        assert not heavy, heavy
        sys.modules["duckdb"] = None
        from pathlib import Path
        from troth.errors import Unavailable
        for ask in (
            lambda: reach.Reach.open(Path(sys.argv[1])),
            lambda: reach.ReachWriter(Path(sys.argv[1])).rebuild([], [], 0, 0),
        ):
            try:
                ask()
            except Unavailable as fault:
                print(fault.remedy)
        """,
        tmp_path,
    )
    assert done.stdout == "pip install troth[reach]\n" * 2, done.stderr


def test_it_works_where_every_socket_is_refused(tmp_path):
    done = run(
        RUNNING
        + textwrap.dedent("""
        import socket
        def refused(*_a, **_k):
            raise AssertionError("a socket was opened")
        socket.socket = socket.create_connection = socket.getaddrinfo = refused
        sys.addaudithook(lambda event, _: refused() if event.startswith("socket.") else None)
        ReachWriter(folder).rebuild(people(3, slow=False), [], Instant(0), 8)
        print(Reach.open(folder).count(everybody, Instant(0)))
        """),
        tmp_path,
        "-",
    )
    assert done.stdout == "30\n", done.stderr


def test_a_generation_reads_no_other_file_and_installs_nothing(tmp_path):
    import duckdb

    from troth.adapters.reach import generation as disk

    made = build(tmp_path, [buyer(1)])
    held = disk.connect(made.path, tmp_path / ".spill" / "1-1", 256, "read")
    for hostile in (
        "INSTALL httpfs",
        "LOAD httpfs",
        f"ATTACH '{tmp_path}/other.duckdb'",
        f"COPY person TO '{tmp_path}/out.csv'",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SET enable_external_access = true",
        "DELETE FROM person",
    ):
        with pytest.raises(duckdb.Error):
            held.execute(hostile)
    held.close()
