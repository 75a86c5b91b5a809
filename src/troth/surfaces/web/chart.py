"""Counts that give nobody away, and the one chart, drawn here as bars of a share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from troth.surfaces import words

K = 10
ROW, TOP, BAR = 48, 8, 12
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Counted:
    """One cell of a table; `count` is None where it is kept back.

    Attributes:
        few: It is kept back because it is small, not because it would tell a small one.
    """

    code: str
    title: str
    count: int | None
    few: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar as drawn: `y` in pixels, `share` of the widest in per cent."""

    kind: str
    title: str
    count: int
    y: int
    share: float


def masked(counts: Mapping[str, int], k: int = K) -> list[Counted]:
    """Keep back every count under `k`, and more, smallest first, until a total tells none of them.

    What a reader can work out from the total is the sum of the hidden cells: it covers at least
    two cells and at least `k` people. Hidden cells stand in the catalogue's order, not by size.

    >>> [(c.code, c.count) for c in masked({"a": 40, "b": 12, "c": 3})]
    [('a', 40), ('b', None), ('c', None)]
    """
    rising = sorted((n, code) for code, n in counts.items() if n)
    hidden = [code for n, code in rising if n < k]
    for _, code in rising[len(hidden) :]:
        if not hidden or (len(hidden) > 1 and sum(counts[c] for c in hidden) >= k):
            break
        hidden.append(code)
    shown = sorted((c for c in counts if counts[c] and c not in hidden), key=_most(counts))
    kept = sorted(hidden, key=lambda code: (words.place(code), code))
    return [
        *(Counted(c, words.title(c), counts[c]) for c in shown),
        *(Counted(c, words.title(c), None, few=counts[c] < k) for c in kept),
    ]


def _most(counts: Mapping[str, int]) -> Callable[[str], tuple[int, str]]:
    return lambda code: (-counts[code], code)


def few(count: int) -> str:
    """Write a count of people, a small one only as small.

    >>> few(3), few(0), few(1200)
    ('fewer than 10', '0', '1,200')
    """
    return f"fewer than {K}" if 0 < count < K else words.number(count)


def bars(mailed: int, cells: list[Counted], total: int) -> list[Bar]:
    """Lay the chart out: who is mailed, then each reason, then what is kept back, together."""
    shown = [(c.code, c.title, c.count) for c in cells if c.count is not None]
    rest = total - mailed - sum(n for _, _, n in shown)
    rows = [("yes", "May be mailed, and was", mailed), *shown]
    if rest > 0:
        rows.append((OTHER, "Other reasons, kept together", rest))
    widest = max((n for _, _, n in rows), default=1) or 1
    return [
        Bar(
            code if code in {"yes", OTHER} else "no",
            title,
            n,
            TOP + place * ROW,
            round(100 * n / widest, 2),
        )
        for place, (code, title, n) in enumerate(rows)
    ]


def height(drawn: list[Bar]) -> int:
    """Return the chart's height in pixels."""
    return 2 * TOP + ROW * len(drawn)
