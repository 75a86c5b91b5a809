"""A preview with every reason for a million people, beside deciding about them one by one.

    python bench/preview.py [people]

The people are made straight into an audience generation, as a rebuild writes it: 5 countries, 3
languages, 6 levels, two consents each at a second of its own over three years, a sale or inquiry,
some withdrawals, some hand-overs. The peer is the same preview one by one, over a sample.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import campaign as bench
import numpy as np
from harness import load, print_environment, row, timed

from troth.adapters.reach import PersonRow, ReachWriter
from troth.capabilities import outreach
from troth.kernel import profiles
from troth.kernel.audience import Known
from troth.terms import (
    NO_HEAD,
    SECOND,
    Act,
    Channel,
    ConsentStatus,
    ContactPoint,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Relation,
    Standing,
    instant,
)

BAR_S = 2
NOW = instant(bench.NOW)
RUNS = 3
BATCH = 10_000
PLACES = (
    ("ZA", "Africa/Johannesburg"), ("DE", "Europe/Berlin"), ("NL", "Europe/Amsterdam"),
    ("US-CA", "America/Los_Angeles"), ("CA-ON", "America/Toronto"),
)  # fmt: skip
OPENS = ("identity.name", "interests.declared", "purchases.13w", "purchases.52w")
POINT = ContactPoint(Channel.EMAIL, bytes(16), bytes(16))


def ago(seconds):
    return Instant((NOW // SECOND - int(seconds)) * SECOND)


def someone(draw):
    """Return one person's facts, every moment drawn to the second."""
    given, told, met = (ago(each) for each in draw.integers(60, 1_095 * 86_400, 3))
    place, zone = PLACES[draw.integers(len(PLACES))]
    level = int(draw.integers(-1, 5))
    named = OPENS[: max(level, 0)]
    standings = {
        "offers|email": Standing(
            grant=Act(ConsentStatus.GIVEN, given, given, 3, 0, (), "offers@3"),
            deny=Act(ConsentStatus.WITHDRAWN, told, told, 5) if draw.random() < 0.1 else None,
        ),
        "personalise|": Standing(
            grant=Act(ConsentStatus.GIVEN, given, given, 4, 0, named, "personalise@2")
        ),
    }
    kind = ("sale", "inquiry")[draw.integers(2)]
    sends = {"email": (ago(draw.integers(60, 60 * 86_400)),)} if draw.random() < 0.3 else {}
    record = PersonRecord(
        place, zone, age="adult", language=("en", "af", "zu")[draw.integers(3)],
        standings=standings, sends=sends, level=level,
        relations=(
            Relation(kind, met, "marula", "household", collected=True, objection_offered=True),
        ),
    )  # fmt: skip
    return Gathered(PersonId(draw.bytes(16)), NO_HEAD, record, POINT, ())


def rows(count, ids, member):
    draw = np.random.default_rng(5)
    for start in range(0, count, BATCH):
        batch = []
        for _ in range(min(BATCH, count - start)):
            found = someone(draw)
            ids.append(found.person)
            batch.append(
                PersonRow(
                    found.person, Known(residence=found.record.residence),
                    split=profiles.split(found), member=member(found.person),
                )
            )  # fmt: skip
        yield batch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("people", nargs="?", type=int, default=1_000_000)
    count = parser.parse_args().people
    print_environment("duckdb", "numpy", "pyarrow")
    with tempfile.TemporaryDirectory() as place:
        ws, real = bench.make(Path(place) / "house", 2_000)
        with ws.store.look() as view:
            size = view.log.size
        ids = []
        with timed() as made:
            writer = ReachWriter(ws.settings.reach)
            writer.rebuild(rows(count, ids, ws.desk.scribe.member), [], Instant(NOW), size)
        print(f"{count:,} people made into a generation in {made.wall:.0f} s")
        asked = bench.campaign_of(ws, "preview")
        walls, cpus = [], []
        for _ in range(RUNS):
            with timed() as spent:
                found = outreach.preview(ws.desk, asked, ids, bench.MARKETER)
            walls.append(spent.wall)
            cpus.append(spent.cpu)
        assert found.reachable + sum(found.refused.values()) == count
        print(f"reachable {found.reachable:,}; {dict(sorted(found.refused.items()))}")
        with timed() as one_by_one:
            outreach.preview(ws.desk, asked, real, bench.MARKETER)
        ws.close()
    sampled = one_by_one.wall / len(real) * count
    print(f"wall {min(walls):.2f} to {max(walls):.2f} s, CPU {min(cpus):.2f} s; load {load()}")
    name = f"preview with reasons, {count:,} people, peer one by one"
    row(name, sorted(walls)[RUNS // 2], peer=sampled, bar=BAR_S, unit="s", less_is_better=True)
    cpu_peer = one_by_one.cpu / len(real) * count
    row(f"{name}, CPU", sorted(cpus)[RUNS // 2], peer=cpu_peer, unit="s", less_is_better=True)


if __name__ == "__main__":
    sys.exit(main())
