"""Reach beside SQLite in one run: rebuild and audience, as ratios with the environment.

    python bench/reach.py            # rebuild 100k x 30; audience 1M people x 2M purchases
    python bench/reach.py --full     # rebuild 1M x 30; audience 10M x 20M

SQLite gets the same rows, the index that suits it best, and the quickest of three hand-written
forms of the question (people first, then their purchases by a covering index). Wall and CPU time
are both shown: on a busy machine two threads gain nothing in wall time.
"""

import argparse
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from array import array
from importlib.metadata import version
from pathlib import Path

import numpy as np
from harness import row

from troth.adapters.reach import PersonRow, PurchaseColumns, Reach, ReachWriter
from troth.kernel.audience import Known, parse_audience
from troth.terms import DAY, Instant, instant

TODAY = 20_000
AT = Instant(TODAY * DAY)
RUNS = 5
REBUILD_BAR, TIMES_FASTER = 60, 4
BATCH = 10_000
GROUPS = [f"group {n}" for n in range(40)]
PLACES = ["ZA", "DE", "NL", "FR", ""]
AGREED = frozenset({"interests.declared", "purchases.13w", "purchases.52w"})
MAY = frozenset({"offers|email"})
WHERE = {
    "all": [
        {"residence": ["ZA", "NL"]},
        {"level_at_least": 2},
        {"last_sale_older_than": {"days": 14}},
        {"count_at_least": {"n": 2, "within_days": 180}},
        {"spent_at_least": {"minor": 10_000, "currency": "ZAR", "within_days": 180}},
        {"none": [{"bought_in": {"group": "group 7", "within_days": 30}}]},
    ]
}
PEER = """
SELECT {what} FROM (
  SELECT p.person, p.psid FROM person p CROSS JOIN purchase b ON b.person = p.person
  WHERE p.residence IN ('ZA', 'NL') AND p.level >= 2 AND p.last_sale <= :today - 14
    AND p.agreed & 4 AND p.agreed & 2 AND p.may AND b.day > :today - 180 AND b.day <= :today
  GROUP BY p.person
  HAVING sum(b.units > 0) >= 2 AND sum(b.minor) >= 10000
    AND sum(b.units > 0 AND b.grp = 7 AND b.day > :today - 30) = 0)
"""


def people(count, ids):
    draw = np.random.default_rng(1)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        levels, places = draw.integers(0, 4, size), draw.integers(0, 5, size)
        sales, may = draw.integers(0, 400, size), draw.random(size) < 0.7
        yield [
            PersonRow(
                ids[start + n],
                Known(
                    AGREED,
                    PLACES[places[n]],
                    level=int(levels[n]) + 1,
                    relations={"sale": TODAY - int(sales[n])},
                ),
                MAY if may[n] else frozenset(),
            )
            for n in range(size)
        ]


def purchases(count, each, ids):
    draw = np.random.default_rng(2)
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        rows = size * each
        yield PurchaseColumns(
            ids[start : start + size],
            array("i", [each] * size),
            (TODAY - draw.integers(0, 364, rows)).astype("i4"),
            draw.integers(0, len(GROUPS), rows).astype("i4"),
            draw.integers(1, 4, rows).astype("i4"),
            draw.integers(100, 20_000, rows),
            np.zeros(rows, "i4"),
            GROUPS,
            ["ZAR"],
        )


def psids(count):
    raw = np.random.default_rng(3).bytes(16 * count)
    return [raw[n : n + 16] for n in range(0, len(raw), 16)]


def timed(work):
    start = time.perf_counter()
    answer = work()
    return time.perf_counter() - start, answer


def clocked(work):
    """Return wall and CPU seconds of all threads, and the answer."""
    start = time.process_time()
    wall, answer = timed(work)
    return wall, time.process_time() - start, answer


def drained(batches):
    for batch in batches:
        assert batch is not None


def fill_peer(path, generation):
    """Give SQLite the very rows of the generation, then the indexes it likes best."""
    import duckdb

    peer = sqlite3.connect(path)
    peer.execute("PRAGMA journal_mode = OFF")
    peer.execute("PRAGMA cache_size = -524288")
    peer.execute(
        "CREATE TABLE person"
        " (person INTEGER PRIMARY KEY, psid BLOB, residence TEXT, level INTEGER,"
        " last_sale INTEGER, agreed INTEGER, may INTEGER)"
    )
    peer.execute(
        "CREATE TABLE purchase"
        " (person INTEGER, day INTEGER, grp INTEGER, units INTEGER, minor INTEGER)"
    )
    with duckdb.connect(str(generation.path), read_only=True) as held:
        bits = dict(held.execute("SELECT name, code FROM code WHERE kind = 'agreed'").fetchall())
        agreed = (
            f"(agreed & {bits['purchases.13w']} <> 0)::INT * 2"
            f" + (agreed & {bits['purchases.52w']} <> 0)::INT * 4"
        )
        group = dict(held.execute("SELECT code, name FROM code WHERE kind = 'group'").fetchall())
        assert group[7] == "group 7"
        for table, columns in (
            ("person", f"person, psid, residence, level, last_sale, {agreed}, may"),
            ("purchase", "person, day, grp, units, minor"),
        ):
            rows = held.execute(f"SELECT {columns} FROM {table} ORDER BY person")
            while batch := rows.fetchmany(100_000):
                marks = ",".join("?" * len(batch[0]))
                peer.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)
    peer.commit()
    peer.execute("CREATE INDEX covering ON purchase (person, day, grp, units, minor)")
    peer.execute("ANALYZE")
    return peer


def repeated(work):
    walls, cpus, answers = zip(*(clocked(work) for _ in range(RUNS)), strict=True)
    assert len(set(answers)) == 1
    return statistics.median(walls), statistics.median(cpus), min(walls), max(walls), answers[0]


def show(name, result, peer=None):
    wall, cpu, low, high, _ = result
    ratio = f"  {peer[0] / wall:5.1f} x SQLite, CPU {peer[1] / cpu:.1f} x" if peer else ""
    print(f"  {name:<30}{wall:7.3f} s [{low:.3f} .. {high:.3f}] CPU {cpu:.3f} s{ratio}")


def built(count, each, ids, folder):
    rows = people(count, ids), purchases(count, each, ids)
    return ReachWriter(folder, MAY).rebuild(*rows, AT, 1)


def bench_rebuild(count, each, folder):
    ids = psids(count)
    seconds, made = timed(lambda: built(count, each, ids, folder))
    rows = people(count, ids), purchases(count, each, ids)
    made_alone, _ = timed(lambda: list(map(drained, rows)))
    size = made.path.stat().st_size / 2**20
    print(
        f"rebuild, {count:,} people x {each} purchases: {seconds:.1f} s, of which making the rows "
        f"{made_alone:.1f} s; {made.rows:,} rows entered, {size:.0f} MiB"
    )
    scaled = seconds * 1_000_000 / count
    print(f"  scaled to 1,000,000 people: {scaled:.1f} s (bar 60 s)")
    return [("reach, rebuild, 1,000,000 people x 30", scaled, None, REBUILD_BAR)]


def bench_from_record(count):
    """Rebuild from sealed facts and behaviour: decide, open and decode person by person."""
    from campaign import MARKETER, NOW, make

    from troth import app

    with tempfile.TemporaryDirectory() as folder:
        ws, _ = make(Path(folder) / "house", count)
        ws.close()
        ws = app.open(Path(folder) / "house", at=instant(NOW))
        begun = time.process_time()
        seconds, _ = timed(lambda: app.rebuild_reach(ws, MARKETER))
        cpu = time.process_time() - begun
        ws.close()
    scaled = cpu * 1_000_000 / count
    print(f"rebuild from the record, {count:,} people x 30: {seconds:.1f} s, CPU {cpu:.1f} s")
    return [("reach, rebuild from the record, CPU of 1,000,000 x 30", scaled, None, REBUILD_BAR)]


def bench_audience(count, each, folder):
    ids = psids(count)
    made = built(count, each, ids, folder)
    filled, peer = timed(lambda: fill_peer(folder / "peer.db", made))
    print(
        f"audience, {made.people:,} people, {made.rows:,} of {count * each:,} purchases agreed to "
        f"(SQLite filled in {filled:.0f} s)"
    )
    reach = Reach.open(folder)
    audience = parse_audience({"name": "bench", "purpose": "offers", "where": WHERE})
    first, _ = timed(lambda: reach.count(audience, AT, scope="offers|email"))
    ours = repeated(lambda: reach.count(audience, AT, scope="offers|email"))
    values = {"today": TODAY}
    theirs = repeated(lambda: peer.execute(PEER.format(what="count(*)"), values).fetchone()[0])
    assert ours[4] == theirs[4], (ours[4], theirs[4])
    print(f"  same answer: {ours[4]:,} people; first count with Ibis compiling {first:.2f} s")
    show("count, SQLite", theirs)
    show("count, reach", ours, theirs)
    listed = repeated(lambda: sum(map(len, reach.narrow(audience, AT, scope="offers|email"))))
    listed_peer = repeated(lambda: len(peer.execute(PEER.format(what="psid"), values).fetchall()))
    show("ids, SQLite", listed_peer)
    show("ids, reach", listed, listed_peer)
    without = repeated(lambda: reach.count(audience, AT, ids[: count // 100], "offers|email"))
    show("count without 1 % handed in", without)
    profiles = repeated(lambda: sum(1 for _ in reach.reasons_profile(audience, AT)))
    show(f"{profiles[4]:,} profiles", profiles)
    size = f"{made.people:,} people, peer SQLite"
    return [
        (f"reach, count of {size}", ours[0], theirs[0], theirs[0] / TIMES_FASTER),
        (f"reach, ids of {size}", listed[0], listed_peer[0], listed_peer[0] / TIMES_FASTER),
    ]


def environment():
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    print(
        f"{os.cpu_count()} cores, load {load}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, "
        + ", ".join(f"{name} {version(name)}" for name in ("duckdb", "ibis-framework", "pyarrow"))
        + f"; median of {RUNS} runs [least .. most]"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="1M x 30 and 10M x 20M")
    full = parser.parse_args().full
    environment()
    with tempfile.TemporaryDirectory() as folder:
        rows = bench_rebuild(1_000_000 if full else 100_000, 30, Path(folder))
    rows += bench_from_record(50_000 if full else 5_000)
    with tempfile.TemporaryDirectory() as folder:
        rows += bench_audience(10_000_000 if full else 1_000_000, 2, Path(folder))
    environment()
    for name, ours, peer, bar in rows:
        row(name, ours, peer=peer, bar=bar, unit="s", less_is_better=True)


if __name__ == "__main__":
    main()
