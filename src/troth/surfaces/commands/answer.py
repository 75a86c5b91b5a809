"""What a command answers: stable data for programs, plain lines for people, an exit status."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A command's answer.

    Attributes:
        data: What `--json` prints; keys are stable.
        lines: What a person reads.
        exit: 0 done, 1 refused or not verified.
    """

    data: Mapping[str, Any]
    lines: Sequence[str] = ()
    exit: int = 0


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Line up cells in columns.

    >>> columns([("a", "1"), ("bcd", "2")])
    ['  a    1', '  bcd  2']
    """
    held = list(rows)
    widths = [max(map(len, column)) for column in zip(*held, strict=True)]
    return [
        (indent + "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True))).rstrip()
        for cells in held
    ]


def counted(counts: Mapping[str, int]) -> list[str]:
    """Line up counts, largest first."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    width = max((len(f"{n:,}") for n in counts.values()), default=0)
    return [f"  {n:>{width},}  {name}" for name, n in ordered if n]
