"""Choose what to show from a history: counts, a year in a sentence, what alike people buy.

Pure counting over columns; no model learns anything that cannot be taken out again by
subtracting the same counts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

MIN_PEOPLE = 10
BASKET_ITEMS = 60


@dataclass(frozen=True, slots=True)
class Favourite:
    """An item somebody keeps buying: id, times bought, units, newest instant."""

    item: str
    times: int
    units: int
    last: int


def favourites(
    lines: Iterable[tuple[int, str, int]], shown: Mapping[str, str], limit: int
) -> list[Favourite]:
    """Return the items bought most often, newest first on a tie.

    Args:
        lines: `(at, item, units)` of purchases.
        shown: Items that may be shown, by name; all others are left out.
        limit: How many at most.
    """
    found: dict[str, list[int]] = {}
    for at, item, count in lines:
        held = found.get(item)
        if held is None:
            found[item] = [1, at, count]
        else:
            held[0] += 1
            held[2] += count
            held[1] = max(held[1], at)
    ranked = sorted([(-n, -last, item) for item, (n, last, _) in found.items() if item in shown])
    return [Favourite(i, -n, found[i][2], -last) for n, last, i in ranked[:limit]]


@dataclass(frozen=True, slots=True)
class Alike:
    """For each item the items other agreeing people bought beside it, best first.

    Attributes:
        people: How many people's histories it was learnt from.
    """

    people: int
    beside: Mapping[str, Sequence[str]]


def learn(baskets: Iterable[Iterable[str]], keep: int = 5) -> Alike:
    """Count pairs over people; a pair counts only from `MIN_PEOPLE` people on.

    Args:
        baskets: Per person the distinct items bought, of people who agreed to be compared.
        keep: Companions kept per item.
    """
    single: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    people = 0
    for basket in baskets:
        items = sorted(set(basket))[:BASKET_ITEMS]
        people += 1
        single.update(items)
        pairs.update(combinations(items, 2))
    scored: dict[str, list[tuple[float, str]]] = {}
    for (one, other), count in pairs.items():
        if count >= MIN_PEOPLE:
            lift = count * people / (single[one] * single[other])
            scored.setdefault(one, []).append((-lift, other))
            scored.setdefault(other, []).append((-lift, one))
    beside = {item: [i for _, i in sorted(found)[:keep]] for item, found in scored.items()}
    return Alike(people, beside)


def rank(model: Alike, held: Sequence[str], limit: int) -> list[str]:
    """Return items that go with what somebody has and that they do not have yet."""
    have = set(held)
    score: Counter[str] = Counter()
    for item in held:
        for place, other in enumerate(model.beside.get(item, ())):
            if other not in have:
                score[other] += 10 - place
    return [item for item, _ in sorted(score.items(), key=lambda s: (-s[1], s[0]))[:limit]]
