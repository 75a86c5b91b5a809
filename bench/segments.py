"""A segment's count with what keeps everybody out, and its sketch, over a generation.

    python bench/segments.py            # 100k people x 10 purchases
    python bench/segments.py --full     # 1M people x 10 purchases; the bar of 2 s

The gate's own preview of those inside is in bench/campaign.py; here everything before it.
"""

import argparse
import tempfile
from pathlib import Path

from harness import print_environment, row, timed
from reach import AT, built, psids

from troth.adapters.reach import Reach
from troth.adapters.reach.standing import sketch, tally
from troth.capabilities import insight
from troth.kernel.audience import parse_audience

WHERE = {
    "all": [
        {"residence": ["ZA", "NL"]},
        {"level_at_least": 2},
        {"last_sale_older_than": {"days": 14}},
        {"count_at_least": {"n": 2, "within_days": 180}},
        {"none": [{"bought_in": {"group": "group 7", "within_days": 30}}]},
    ]
}
LIMITS = insight.Limits(10, 10, 400, 200, 500)
BOUNDS = insight.Bounds(0.8, 1.25, 1.96, 50, 10)
NOTHING = insight.Proxies((), (), (), ())
BAR = 2
RUNS = 3


def look(reach, wanted):
    """Do what a count does before the gate is asked."""
    crowds = list(tally(reach, wanted, AT))
    inside = [p for batch in reach.narrow(wanted, AT) for p in batch]
    marks = sketch(inside, bytes(24))
    found = insight.shown(crowds, len(inside), {}, AT, LIMITS)
    fair = insight.check(wanted, crowds, NOTHING, BOUNDS)
    return found, fair, marks


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="1M people")
    people = 1_000_000 if parser.parse_args().full else 100_000
    print_environment("duckdb", "numpy")
    wanted = parse_audience({"name": "bench", "purpose": "offers", "where": WHERE})
    with tempfile.TemporaryDirectory() as folder:
        built(people, 10, psids(people), Path(folder))
        reach = Reach.open(Path(folder))
        look(reach, wanted)
        times = []
        for _ in range(RUNS):
            with timed() as spent:
                found, fair, _marks = look(reach, wanted)
            times.append(spent.wall)
        reach.close()
    print(f"{found.inside:,} of {found.base:,} inside; verdict: {fair.verdict}")
    best = sorted(times)[len(times) // 2]
    row(f"count and why not, {people:,} people", best, bar=BAR, unit="s", less_is_better=True)


if __name__ == "__main__":
    main()
