"""What every bench prints alike: where it ran, what it took, and one final line per row.

    print_environment("cryptography", "dkimpy")
    with timed() as spent: ...                     # spent.cpu, spent.wall: seconds
    row("campaign", ours=1_350, peer=95, bar=1_200, unit="messages per CPU-second")

A bench never fails for being slow: a busy machine is not a broken one. Missed bars are said.
"""

import os
import platform
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version


@dataclass(slots=True)
class Spent:
    """Seconds of this process's CPU (all threads, kernel included) and of the wall clock."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def timed() -> Iterator[Spent]:
    """Measure a block."""
    spent = Spent()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield spent
    finally:
        spent.cpu, spent.wall = time.process_time() - cpu, time.perf_counter() - wall


def load() -> str:
    """Return the load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{each:.2f}" for each in os.getloadavg())


def print_environment(*packages: str) -> None:
    """Print machine, load and versions, the named packages' among them."""
    named = "".join(f", {name} {version(name)}" for name in packages)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {load()}, Python "
        f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}{named}",
        flush=True,
    )


def shown(number: float | None) -> str:
    """Write a figure with as many digits as it is worth."""
    if number is None:
        return "-"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def row(  # noqa: PLR0913 - a row has these columns
    name: str,
    ours: float,
    *,
    bar: float | None = None,
    peer: float | None = None,
    unit: str = "",
    less_is_better: bool = False,
) -> bool:
    """Print `row: name | ours | peer | ratio | bar | met/missed`; return whether the bar is met.

    The ratio says how many times better ours is than the peer.
    """
    met = bar is None or (ours <= bar if less_is_better else ours >= bar)
    ratio = None if not peer else (peer / ours if less_is_better else ours / peer)
    verdict = "no bar" if bar is None else "met" if met else "missed"
    title = f"{name} ({unit})" if unit else name
    cells = (title, shown(ours), shown(peer), shown(ratio), shown(bar), verdict)
    print("row: " + " | ".join(cells), flush=True)
    return met
