"""How long an epoch takes, and how long it takes to search a house for what is left.

    python bench/keys.py [PEOPLE] [SHREDDED]

Prints what it did, on what, and how long it took; nothing here is a promise.
"""

import os
import platform
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from troth.adapters import residue
from troth.adapters.sqlite import keys as key_files
from troth.adapters.sqlite.keys import FileKeyStore
from troth.adapters.system import SystemRandomness
from troth.kernel import vault
from troth.terms import Instant, PersonId

WORKSPACE = bytes(range(16))
SCOPES = ("", "purchases/2026Q3", "purchases/2026Q4")
PART = 1_000


def filled(folder, people):
    """Make a key store with a data key and two quarters' keys a person."""
    random = SystemRandomness()
    key_files.create(folder, WORKSPACE, random)
    store = FileKeyStore(folder, WORKSPACE)
    ring = vault.Keyring(WORKSPACE, store, random)
    ids = [PersonId(random.take(16)) for _ in range(people)]
    for start in range(0, people, PART):
        part = ids[start : start + PART]
        ring.make([(person, scope, 1) for person in part for scope in SCOPES])
    return store, ids


def timed(what, run):
    wall, cpu = time.perf_counter(), time.process_time()
    out = run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"  {what:<52} {wall:8.2f} s  ({cpu:.2f} cpu-s)")
    return out


def rolled(store):
    epoch = store.epochs.begin(Instant(1))
    done = store.epochs.turn(epoch)
    store.epochs.finish(epoch, Instant(1), Instant(2))
    return done


def main(people=100_000, shredded=100):
    print(f"{platform.python_version()} on {os.cpu_count()} cores; {people:,} people, "
          f"{people * len(SCOPES):,} keys, {shredded:,} shredded")  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "keys"
        store, ids = timed("keys made", lambda: filled(folder, people))
        timed("roll, nothing shredded", lambda: rolled(store))
        timed(
            "shred one by one", lambda: [store.shred(p, None, Instant(1)) for p in ids[:shredded]]
        )
        shards, keys = timed("roll, the touched shards renewed", lambda: rolled(store))
        print(f"    {shards} shards, {keys:,} keys wrapped again")
        with sqlite3.connect(folder / "keys.db") as con:
            con.execute("UPDATE shard SET dirty = 1")
        shards, keys = timed("roll, every shard renewed", lambda: rolled(store))
        print(f"    {shards} shards, {keys:,} keys wrapped again")
        size = (folder / "keys.db").stat().st_size
        print(f"    keys.db: {size / 1e6:.0f} MB, {size / people:.0f} bytes a person")
        store.close()
        big = Path(place) / "big"
        block = os.urandom(1 << 24)
        with big.open("wb") as file:
            for _ in range(64):
                file.write(block)
        needles = [os.urandom(16) for _ in range(6)] + [
            b"nobody.here@post.example",
            b"Testmarkson",
        ]
        size, _ = timed(
            f"search of 1 GB for {len(needles)} traces", lambda: residue.search(big, needles)
        )
        print(f"    {size / 1e9:.2f} GB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
