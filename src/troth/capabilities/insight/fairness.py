"""Whom a segment leaves out, and what it may stand for, before it is published.

Two questions, each with its figures: does a word stand for a trait that may not be named
(a list kept in a dated file, and measured: does the segment take one group far more often than
the others), and who cannot be in it because they never agreed to what it reads.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from troth.capabilities.insight.counting import hide
from troth.kernel import audience

Verdict = Literal["fine", "look again", "not publishable"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `data/proxies.toml`: words, the trait they may stand for, why, source."""

    words: tuple[str, ...]
    trait: str
    why: str
    source: str


@dataclass(frozen=True, slots=True)
class Proxies:
    """What is looked for: words in names of goods, words of a segment, words met together."""

    refuse: tuple[Rule, ...]
    look: tuple[Rule, ...]
    word: tuple[Rule, ...]
    together: tuple[Rule, ...]

    @property
    def refused(self) -> frozenset[str]:
        """Every word that no group or interest may be or contain, as `folded` spells them."""
        return frozenset(audience.folded(w) for rule in self.refuse for w in rule.words)


@dataclass(frozen=True, slots=True)
class Bounds:
    """From where a difference between groups is worth a second look."""

    ratio_low: float
    ratio_high: float
    confidence: float
    left_out_percent: int
    k: int


@dataclass(frozen=True, slots=True)
class Stand:
    """A word of the segment that may stand for a trait; `named` is the word or name found."""

    named: str
    trait: str
    why: str
    source: str


@dataclass(frozen=True, slots=True)
class Share:
    """How often a group is taken, beside everybody else.

    Attributes:
        fact: residence, age, language or subject; `group` is its value, "" unknown.
        chosen: The segment names this fact itself: a difference is what it asks for.
        percent: Share of the group that is inside; None kept back.
        ratio: That share over the others' share; None where it cannot be told.
        low: Lower end of its interval; `high` the upper one.
        apart: The whole interval lies outside the bounds.
    """

    fact: str
    group: str
    people: int
    chosen: bool
    percent: int | None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    apart: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Who can never be inside because of one category that the segment needs.

    Attributes:
        level: The lowest level that opens the category; -1 none does.
        percent: Share of everybody who did not agree to it; None kept back.
    """

    category: str
    level: int
    percent: int | None
    many: bool


@dataclass(frozen=True, slots=True)
class Fairness:
    """What the check found, and its word."""

    verdict: Verdict
    stands: tuple[Stand, ...]
    shares: tuple[Share, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def apart(self) -> tuple[Share, ...]:
        """Groups taken far more or less often than the others, though nobody asked for it."""
        return tuple(share for share in self.shares if share.apart and not share.chosen)


_FACTS: Mapping[str, Callable[[audience.Crowd], str]] = {
    "residence": lambda crowd: crowd.residence,
    "age": lambda crowd: crowd.age,
    "language": lambda crowd: crowd.language,
    "subject": lambda crowd: crowd.subject,
}
_READS = {"residence": "residence", "age": "age_class", "language": "language"}
_GOODS = (audience.BoughtIn, audience.InterestIn)


def check(
    wanted: audience.Audience,
    crowds: Iterable[audience.Crowd],
    proxies: Proxies,
    bounds: Bounds,
    levels: Sequence[frozenset[str]] = (),
) -> Fairness:
    """Check a segment against the list and against everybody.

    Args:
        wanted: The segment.
        crowds: Everybody, by what keeps them out; exact.
        proxies: The list.
        bounds: What is worth a second look.
        levels: What each level opens, as the house publishes it.
    """
    found = list(crowds)
    stands = _stands(wanted, proxies)
    shares = tuple(_shares(wanted, found, bounds))
    left_out = tuple(_left_out(wanted, found, bounds, levels))
    again = (
        stands or any(s.apart and not s.chosen for s in shares) or any(x.many for x in left_out)
    )
    return Fairness("look again" if again else "fine", stands, shares, left_out)


def _stands(wanted: audience.Audience, proxies: Proxies) -> tuple[Stand, ...]:
    out: dict[Stand, None] = {}
    for named in goods(wanted):
        for rule in proxies.look:
            sensitive = frozenset(map(audience.folded, rule.words))
            if audience.sensitive_word(named, sensitive):
                out[Stand(named, rule.trait, rule.why, rule.source)] = None
    words = frozenset(spelt_words(wanted.where))
    for rule in (*proxies.word, *proxies.together):
        if words >= frozenset(rule.words):
            out[Stand(" + ".join(rule.words), rule.trait, rule.why, rule.source)] = None
    return tuple(out)


def goods(wanted: audience.Audience) -> list[str]:
    """Return every product group and interest a segment names."""
    named: list[str] = []
    for each in audience.predicates(wanted.where):
        if isinstance(each, audience.BoughtIn):
            named.append(each.group)
        if isinstance(each, audience.InterestIn):
            named += each.values
    return named


def spelt_words(where: audience.Expression) -> Iterable[str]:
    """Yield every word of an expression as its file spells it, groups left out."""
    (word,) = audience.spelt(where)
    if isinstance(where, audience.Group):
        for part in where.parts:
            yield from spelt_words(part)
    else:
        yield word


def _shares(
    wanted: audience.Audience, crowds: Sequence[audience.Crowd], bounds: Bounds
) -> Iterable[Share]:
    reads = audience.categories(wanted)
    for fact, of in _FACTS.items():
        base: Counter[str] = Counter()
        inside: Counter[str] = Counter()
        for crowd in crowds:
            base[of(crowd)] += crowd.people
            inside[of(crowd)] += crowd.people if crowd.why is None else 0
        free = hide({group: inside[group] for group in base}, bounds.k)
        for group, people in base.most_common():
            if people < bounds.k:
                continue
            chosen = _READS.get(fact) in reads
            if free[group] is None:
                yield Share(fact, group, people, chosen, None)
                continue
            others = (inside.total() - inside[group], base.total() - people)
            yield _share(fact, group, chosen, ((inside[group], people), others), bounds)


def _share(
    fact: str,
    group: str,
    chosen: bool,  # noqa: FBT001 - a fact of the row
    counts: tuple[tuple[int, int], tuple[int, int]],
    bounds: Bounds,
) -> Share:
    (hits, people), (other_hits, others) = counts
    percent = round(100 * hits / people)
    if not other_hits or others < bounds.k or not (hits or other_hits):
        return Share(fact, group, people, chosen, percent)
    ratio, low, high = disparity(counts, bounds.confidence)
    apart = high < bounds.ratio_low or low > bounds.ratio_high
    return Share(
        fact, group, people, chosen, percent, round(ratio, 2), round(low, 2), round(high, 2), apart
    )


def disparity(
    counts: tuple[tuple[int, int], tuple[int, int]], z: float
) -> tuple[float, float, float]:
    """Return the ratio of two shares and its interval by the logarithm (Katz, 1978).

    Half a person is added to each count, so that a group nobody is taken from has an interval too.

    >>> disparity(((30, 100), (60, 200)), 1.96)[0]
    1.0
    """
    (a, n), (b, m) = counts
    ratio = (a / n) / (b / m)
    x, y = a + 0.5, b + 0.5
    spread = z * math.sqrt(max(0.0, 1 / x - 1 / (n + 0.5) + 1 / y - 1 / (m + 0.5)))
    middle = math.log((x / (n + 0.5)) / (y / (m + 0.5)))
    return ratio, math.exp(middle - spread), math.exp(middle + spread)


def _left_out(
    wanted: audience.Audience,
    crowds: Sequence[audience.Crowd],
    bounds: Bounds,
    levels: Sequence[frozenset[str]],
) -> Iterable[LeftOut]:
    everybody = sum(crowd.people for crowd in crowds)
    for needed in sorted(required(wanted.where)):
        lacking = sum(c.people for c in crowds if needed not in c.agreed)
        hidden = 0 < lacking < bounds.k or 0 < everybody - lacking < bounds.k
        percent = round(100 * lacking / everybody) if everybody else 0
        level = next((n for n, opened in enumerate(levels) if needed in opened), -1)
        many = percent > bounds.left_out_percent
        yield LeftOut(needed, level, None if hidden else percent, many)


def required(where: audience.Expression) -> frozenset[str]:
    """Return the categories without which nobody can be inside: read by every way in."""
    if isinstance(where, audience.Some):
        ways: list[frozenset[str]] = [required(part) for part in where.parts]
        return ways[0].intersection(*ways[1:])
    if isinstance(where, audience.Group):
        return frozenset[str]().union(*map(required, where.parts))
    return audience.needs(where)


def rules(raw: Mapping[str, Any], key: str) -> tuple[Rule, ...]:
    """Read one list of the proxies file."""
    return tuple(
        Rule(
            tuple(each.get("words") or (each["word"],)),
            each["trait"],
            each.get("why", ""),
            each["source"],
        )
        for each in raw.get(key, ())
    )


def read_proxies(raw: Mapping[str, Any]) -> Proxies:
    """Read the proxies file."""
    return Proxies(*(rules(raw, key) for key in ("refuse", "look", "word", "together")))
