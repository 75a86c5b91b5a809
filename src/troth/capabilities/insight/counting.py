"""How many, and what keeps the others out, in numbers that give nobody away.

Three rules, all of them always: a count under k is never shown, nor what a total would tell it
by; what keeps people out is rounded; and nobody is shown two sets that differ by fewer than k
people (`tracker`).
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from troth.kernel import audience
from troth.terms import Instant

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a count may show and how often, as `data/segments.toml` and the house say."""

    k: int
    round_to: int
    counts_per_day: int
    results_kept: int
    note_characters: int


@dataclass(frozen=True, slots=True)
class WhyNot:
    """How many one condition keeps out in one way; `people` is rounded, None kept back."""

    place: int
    state: audience.State
    people: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """One answer about a segment. None is a number that is kept back.

    Attributes:
        base: Everybody the house may narrow among.
        inside: Of whom the segment is true.
        reachable: Of these, who may be written to now.
        about: Where `reachable` is kept back: the tens it holds, None where that tells too much.
        reasons: The first reason of each of the others inside.
        outside: What keeps everybody else out, most first.
        at: Of when the answer is; earlier than now where only few people changed since.
        few: The segment holds somebody, and fewer than k.
        kept: It is an earlier answer, shown again.
        k: Counts under it are kept back.
    """

    base: int
    inside: int | None
    reachable: int | None
    reasons: Mapping[str, int | None]
    outside: tuple[WhyNot, ...]
    at: Instant
    few: bool = False
    kept: bool = False
    about: int | None = None
    k: int = 10

    @property
    def refused(self) -> int | None:
        """Inside, and may not be written to now."""
        if self.inside is None or self.reachable is None:
            return None
        return self.inside - self.reachable


@dataclass(frozen=True, slots=True)
class Withheld:
    """No number at all: which rule keeps it back."""

    rule: Literal["tracker", "quota"]
    limit: int


def hide(
    counts: Mapping[Name, int], k: int, last: frozenset[Name] = frozenset()
) -> dict[Name, int | None]:
    """Keep back every count under `k`, and more, smallest first, until a total tells none.

    What is kept back covers at least two cells and `k` people, or everything. A cell of `last`
    goes only when nothing else is left. Nothing is nobody's, so 0 is shown.

    >>> hide({"a": 40, "b": 12, "c": 3, "d": 0}, 10)
    {'a': 40, 'b': None, 'c': None, 'd': 0}
    """
    rising = sorted((n for n in counts if counts[n]), key=lambda n: (n in last, counts[n]))
    hidden = [name for name in rising if counts[name] < k]
    for name in rising:
        if not hidden or (len(hidden) > 1 and sum(counts[h] for h in hidden) >= k):
            break
        if name not in hidden:
            hidden.append(name)
    return {name: None if name in hidden else counts[name] for name in counts}


def rounded(people: int, to: int) -> int:
    """Round to the next multiple, half up, and never down to nothing.

    >>> rounded(1234, 10), rounded(15, 10), rounded(3, 10)
    (1230, 20, 10)
    """
    return max(to, (people + to // 2) // to * to) if people else 0


INSIDE = "inside"
REACHABLE = "reachable"


def shown(
    crowds: Iterable[audience.Crowd],
    reachable: int,
    refused: Mapping[str, int],
    at: Instant,
    limits: Limits,
) -> Counted:
    """Turn exact counts into what may be shown.

    Args:
        crowds: Everybody, by what keeps them out.
        reachable: How many inside may be written to.
        refused: The others inside by first reason.
        at: The instant they are of.
        limits: The rules of showing.
    """
    exact: Counter[Any] = Counter()
    for crowd in crowds:
        exact[crowd.why or INSIDE] += crowd.people
    inside, base = exact[INSIDE], exact.total()
    cells = hide(exact, limits.k, frozenset({INSIDE}))
    few = 0 < inside < limits.k
    open_inside = None if few else cells.get(INSIDE, 0)
    within: dict[str, int | None] = hide(
        {REACHABLE: reachable, **refused}, limits.k, frozenset({REACHABLE})
    )
    if open_inside is None:
        within = dict.fromkeys(within)
    free = within.pop(REACHABLE)
    ranked = sorted((why for why in exact if why != INSIDE), key=lambda why: (-exact[why], why))
    kept = [why for why in ranked if cells[why] is None]
    outside = [why for why in ranked if cells[why] is not None]
    return Counted(
        base=base,
        inside=open_inside,
        reachable=free,
        reasons=dict(sorted(within.items(), key=lambda pair: (-(pair[1] or 0), pair[0]))),
        outside=(
            *(WhyNot(w.place, w.state, rounded(exact[w], limits.round_to)) for w in outside),
            *(WhyNot(w.place, w.state, None) for w in sorted(kept)),
        ),
        at=at,
        few=few,
        k=limits.k,
        about=_tens(reachable, limits) if free is None and open_inside is not None else None,
    )


def _tens(people: int, limits: Limits) -> int | None:
    low = people // limits.round_to * limits.round_to
    return low if low >= limits.k else None


BANDS = (0, 10, 100, 1_000, 10_000, 100_000, 1_000_000)


def band(counted: Counted) -> str:
    """Say how large a segment is, roughly: what a list may keep showing.

    >>> band(Counted(9, 1234, 3, {}, (), Instant(0)))
    '1,000 to 9,999'
    """
    if counted.few:
        return f"fewer than {counted.k}"
    if counted.inside is None:
        return "not shown"
    if not counted.inside:
        return "nobody"
    low = max(b for b in BANDS if b <= counted.inside)
    above = [b for b in BANDS if b > low]
    return f"{low:,} to {above[0] - 1:,}" if above else f"{low:,} or more"


@dataclass(frozen=True, slots=True)
class Look:
    """What was found before anything is decided about showing it."""

    wanted: audience.Audience
    crowds: tuple[audience.Crowd, ...]
    sketch: bytes
    at: Instant


def joined(
    crowds: Iterable[audience.Crowd],
    rows: Iterable[tuple[audience.Known, str]],
    wanted: audience.Audience,
    at: Instant,
) -> list[audience.Crowd]:
    """Add people judged from the record one by one (facts and subject) to the groups."""
    return [
        *crowds,
        *(
            audience.Crowd(
                audience.outside(wanted, known, at),
                known.residence,
                known.age,
                known.language,
                subject,
                known.level,
                known.agreed,
                1,
            )
            for known, subject in rows
        ),
    ]
