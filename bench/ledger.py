"""Ledger speeds: tree alone, whole path with sealed bodies, beside pymerkle and plain SQLite.

`python bench/ledger.py [EVENTS]` prints one line a measure: a second of wall clock, a second of
process CPU, and the bars of the design. Never a timed test: a busy machine is not a broken one.
"""

import hashlib
import os
import platform
import sqlite3
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import cryptography
import pymerkle
from harness import row

from troth.adapters.sqlite import SqliteStore, keys
from troth.adapters.sqlite.keys import FileKeyStore
from troth.adapters.system import SystemClock, SystemRandomness
from troth.kernel import events, fold, ledger, proof
from troth.kernel.scribe import Scribe
from troth.kernel.vault import Keyring, Vault
from troth.terms import Actor, PersonId, Role

TREE_BAR, PATH_BAR = 150_000, 20_000
WORKSPACE, HOUSE = bytes(16), PersonId(b"h" * 16)
SYSTEM = Actor(Role.SYSTEM, "bench")


class Timer:
    wall = cpu = 0.0


@contextmanager
def timed():
    timer = Timer()
    wall, cpu = time.perf_counter(), time.process_time()
    yield timer
    timer.wall, timer.cpu = time.perf_counter() - wall, time.process_time() - cpu


def say(what, count, timer, bar=0):
    verdict = "" if not bar else ("  ok" if count / timer.cpu >= bar else "  UNDER THE BAR")
    print(
        f"{what:<58}{count / timer.wall:>10,.0f}/s wall {count / timer.cpu:>10,.0f}/cpu-s{verdict}"
    )
    return count / timer.cpu


def tree(count):
    entries = [proof.private_entry(hashlib.sha256(b"%d" % i).digest()) for i in range(count)]
    edge = ledger.Edge(0, [])
    with timed() as timer:
        for start in range(0, count, 1_000):
            edge.extend(ledger.leaf_hashes(entries[start : start + 1_000]))
            edge.root()
    ours = say("tree: leaves, tiles, root a batch of 1,000", count, timer, TREE_BAR)
    peer = pymerkle.InmemoryTree(algorithm="sha256")
    part = min(count, 50_000)
    with timed() as timer:
        for entry in entries[:part]:
            peer.append_entry(entry)
        peer.get_root()
    theirs = say(f"tree: pymerkle {pymerkle.__version__} InmemoryTree", part, timer)
    print(f"{'':<58}{ours / theirs:>10.1f} x pymerkle")
    return ours, theirs


def fsyncs(folder, rounds=100):
    handle = os.open(folder / "fsync", os.O_WRONLY | os.O_CREAT)
    with timed() as timer:
        for i in range(rounds):
            os.pwrite(handle, b"%4096d" % i, 0)
            os.fsync(handle)
    os.close(handle)
    print(f"{'fsync of one page':<58}{rounds / timer.wall:>10,.0f}/s wall")


def raw_sqlite(folder, count, batch):
    con = sqlite3.connect(folder / f"raw{batch}.db", isolation_level=None)
    con.execute("PRAGMA journal_mode = WAL")
    con.execute("PRAGMA synchronous = FULL")
    con.execute("CREATE TABLE t (seq INTEGER PRIMARY KEY, person INTEGER, n INTEGER, rec BLOB)")
    rows = [(i, i % 500, i, bytes(300)) for i in range(count)]
    with timed() as timer:
        for start in range(0, count, batch):
            con.execute("BEGIN IMMEDIATE")
            con.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows[start : start + batch])
            con.execute("COMMIT")
    con.close()
    return say(f"plain SQLite insert of 300 B rows, FULL, batch {batch:,}", count, timer)


def open_house(folder, people):
    folder.mkdir()
    keys.create(folder / "keys", WORKSPACE, SystemRandomness())
    store = SqliteStore(folder / "record.db", SystemClock(), fold.PROJECTIONS)
    ring = Keyring(WORKSPACE, FileKeyStore(folder / "keys", WORKSPACE), SystemRandomness())
    ring.make([(person, "", 1) for person in people])
    return store, Scribe(Vault(ring, SystemRandomness(), {}), SystemRandomness(), HOUSE), ring


def payload(i):
    return events.MessageBooked(
        ref=f"m{i}", purpose="offers", channel="email", template="winback@7", level=2,
        categories=("purchases.13w",), basis="consent", ruleset="a" * 64, inputs="b" * 64,
        message_id=f"<{i}@mail.marula.example>", content="c" * 64, campaign="winback",
    )  # fmt: skip


def book_batches(store, scribe, people, count, batch, made=payload):  # noqa: PLR0913
    for start in range(0, count, batch):
        with store.look() as view:
            part = [people[(start + i) % len(people)] for i in range(batch)]
            prepared = [
                p
                for i, g in enumerate(view.gather(part, None))
                for p in scribe.prepare(g.person, g.head, [made(start + i)], SYSTEM, view.now)
            ]
        with store.book() as tx:
            assert tx.append(prepared) == frozenset()


def whole_path(folder, count, batch):
    people = [PersonId(hashlib.sha256(b"%d" % i).digest()[:16]) for i in range(10_000)]
    store, scribe, ring = open_house(folder, people)
    for start in range(0, len(people), 500):
        with store.book() as tx:
            some = people[start : start + 500]
            created = events.PersonCreated("natural", "bench")
            from troth.terms import NO_HEAD

            tx.append([scribe.prepare(p, NO_HEAD, [created], SYSTEM, tx.now)[0] for p in some])
    with store.look() as view:
        ring.load(people, view.now)
    with timed() as timer:
        book_batches(store, scribe, people, count, batch)
    size = sum(p.stat().st_size for p in folder.glob("record.db*"))
    rate = say(
        f"whole path: JSON, sealed body, head, tiles, FULL, batch {batch:,}",
        count,
        timer,
        PATH_BAR,
    )
    with store.look() as view:
        assert view.log.size == count + len(people)
        print(f"{'':<58}{size / view.log.size:>10,.0f} B on disk an event")
    store.close()
    return rate


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"cryptography {cryptography.__version__}"
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fsyncs(folder)
        leaves = tree(max(count, 200_000))
        paths = {
            batch: (
                raw_sqlite(folder, count, batch),
                whole_path(folder / f"house{batch}", count, batch),
            )
            for batch in (500, 1_000)
        }
    print(f"load at the end {os.getloadavg()[0]:.2f}")
    row("ledger, tree", leaves[0], peer=leaves[1], bar=TREE_BAR, unit="leaves per CPU-second")
    for batch, (plain, ours) in paths.items():
        name = f"ledger, whole path, batch {batch:,}, peer keeps no evidence"
        row(name, ours, peer=plain, bar=PATH_BAR, unit="events per CPU-second")


if __name__ == "__main__":
    main()
