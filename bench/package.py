"""What it costs to take everything along, from the question to the last byte of the archive.

    python bench/package.py

The peer's figures are of Fides 2.78.2 with PostgreSQL and Redis, measured on a machine of this
kind: 1.4 s for a subject with about 10 rows, 10.6 s and 858 MB for one with 100,000.
"""

import argparse
import resource
import sys
import tempfile
from array import array
from datetime import timedelta
from pathlib import Path

from harness import print_environment, row, timed

from troth import app
from troth.app import package
from troth.app.owndata import Eyes
from troth.capabilities import people, rights
from troth.engines.intake import Batch, EventColumns
from troth.surfaces.demo.material import write_drafts
from troth.terms import instant

TESTS = Path(__file__).parent.parent / "tests"


def shopper(house, now, outside, count):
    """Give a newcomer so many entries over six years."""
    house.newcomer(outside)
    start = instant(now - timedelta(days=2_190))
    step = 2_189 * 86_400_000_000 // count
    columns = EventColumns(
        line=array("q", range(count)),
        external_id=[outside] * count,
        at=array("q", [start + n * step for n in range(count)]),
        kind=["purchase"] * count,
        item=[str(1_000 + n % 700) for n in range(count)],
        group=[f"g{n % 700 % 30}" for n in range(count)],
        amount_minor=array("q", [n % 9_000 + 100 for n in range(count)]),
        currency=["ZAR"] * count,
        units=array("q", [1] * count),
        store=[""] * count,
    )
    people.import_events(house.desk, [Batch(1, count, columns, [])], bytes(32))
    return house.person(outside)


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    sys.path[:0] = [str(TESTS / "stories"), str(TESTS)]
    import marula

    print_environment()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "house"
        folder.mkdir()
        write_drafts(folder, marula.NOW)
        app.init(folder)
        house = marula.House(folder)
        house.ws.apply()
        for name, count, bar, peer in (("few", 10, 0.1, 1.4), ("10k", 10_000, 1.0, None),
                                       ("100k", 100_000, None, 10.6)):  # fmt: skip
            person = shopper(house, marula.NOW, f"bench-{name}", count)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with timed() as spent:
                made = package.build(house.ws, Eyes(person, person))
                size = sum(map(len, rights.stream(made)))
            peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
            print(f"{count:,} entries: {made.size:,} bytes, packed {size:,}, {peak} MB more")
            row(f"package of {count:,} entries", spent.wall, peer=peer, bar=bar, unit="s",
                less_is_better=True)  # fmt: skip
        house.ws.close()


if __name__ == "__main__":
    main()
