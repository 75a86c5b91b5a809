"""How well columns are told apart: precision and recall on a made, labelled set; and how fast."""

import sys
import time
import tomllib
from importlib.resources import files
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "engines" / "datagraph"))
import labelled

from troth.engines import datagraph

FLOOR = {"columns": (0.97, 0.97), "hard": (0.75, 0.7)}
"""Precision and recall the test demands of each set; both are made, real tables are harder."""
SEEDS = (7, 11, 13)


def words():
    raw = (files("troth") / "data/datamap/columns.toml").read_text("utf-8")
    return datagraph.read_words(tomllib.loads(raw))


def measure(of=labelled.columns, seeds=SEEDS):
    known = words()
    right = wrong = missed = 0
    told = {"wrong": [], "missed": []}
    for seed in seeds:
        for label, table, column, values in of(seed):
            held = datagraph.classify(known, table, column, values, ("ZA",))
            got = held.category if held else ""
            if got and got == label:
                right += 1
            elif got:
                wrong += 1
                told["wrong"].append((column, label, got))
            if label and got != label:
                missed += 1
                told["missed"].append((column, label, got))
    return {"precision": right / (right + wrong), "recall": right / (right + missed), **told}


def main() -> None:
    for title, of in (
        ("names as expected", labelled.columns),
        ("names not expected", labelled.hard),
    ):
        begun = time.perf_counter()
        found = measure(of)
        took = time.perf_counter() - begun
        many = sum(1 for seed in SEEDS for _ in of(seed))
        rates = f"precision {found['precision']:.2f}, recall {found['recall']:.2f}"
        print(f"{title}: {many} columns, {rates}")
        print(f"  taken for personal: {sorted(set(found['wrong']))}")
        print(f"  missed: {sorted(set(found['missed']))}")
        print(f"  {many / took:,.0f} columns of 60 values a second")


if __name__ == "__main__":
    main()
