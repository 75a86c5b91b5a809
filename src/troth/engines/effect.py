"""What a message did: two groups, one of which did not get it, compared without flattering.

    found = compare(Group(4_810, 402), Group(530, 31))
    found.uplift, found.low, found.high, found.verdict      # 0.025.., 0.002.., 0.044.., "more"

Rates carry Wilson's interval, their difference Newcombe's (method 10 of his 1998 paper), both at
95 per cent. Sources: Wilson, JASA 22 (1927) 209; Newcombe, Statistics in Medicine 17 (1998) 873.
A difference whose interval holds nought tells nothing, and small groups are not compared.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal

from troth.errors import InvalidInput

Z95: Final = 1.959963984540054
LEAST: Final = 10
Verdict = Literal["more", "fewer", "cannot_tell", "too_few"]


@dataclass(frozen=True, slots=True)
class Group:
    """So many people, of whom so many did it."""

    people: int
    did: int

    def __post_init__(self) -> None:
        """Require that it can be."""
        if not 0 <= self.did <= self.people:
            raise InvalidInput("a group counts more than it holds")

    @property
    def rate(self) -> float:
        """Share of those who did it; 0 of nobody."""
        return self.did / self.people if self.people else 0.0


@dataclass(frozen=True, slots=True)
class Effect:
    """Two groups compared.

    Attributes:
        uplift: Difference of the rates, those written to less those held out.
        low: Lower end of its interval.
        high: Upper end.
        extra: People who did it because of the message, best guess; 0 where nothing can be told.
    """

    mailed: Group
    held_out: Group
    uplift: float
    low: float
    high: float
    verdict: Verdict

    @property
    def extra(self) -> int:
        """People who did it because of the message: a best guess."""
        told = self.verdict in {"more", "fewer"}
        return round(self.uplift * self.mailed.people) if told else 0


def wilson(group: Group, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's interval for a rate; of nobody it is everything.

    >>> [round(end, 4) for end in wilson(Group(263, 81))]
    [0.2553, 0.3662]
    """
    n, p = group.people, group.rate
    if not n:
        return 0.0, 1.0
    middle = p + z * z / (2 * n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    whole = 1 + z * z / n
    low = 0.0 if not group.did else (middle - half) / whole
    high = 1.0 if group.did == n else (middle + half) / whole
    return low, high


def newcombe(one: Group, other: Group, z: float = Z95) -> tuple[float, float]:
    """Return Newcombe's interval for the difference of two independent rates.

    >>> [round(end, 4) for end in newcombe(Group(70, 56), Group(80, 48))]
    [0.0524, 0.3339]
    """
    (l1, u1), (l2, u2) = wilson(one, z), wilson(other, z)
    p1, p2 = one.rate, other.rate
    below = sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2)
    above = sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2)
    return p1 - p2 - below, p1 - p2 + above


def compare(mailed: Group, held_out: Group, least: int = LEAST) -> Effect:
    """Compare who was written to with who was held out; groups under `least` are not compared."""
    low, high = newcombe(mailed, held_out)
    verdict: Verdict = "cannot_tell"
    if min(mailed.people, held_out.people) < least:
        verdict = "too_few"
    elif low > 0:
        verdict = "more"
    elif high < 0:
        verdict = "fewer"
    return Effect(mailed, held_out, mailed.rate - held_out.rate, low, high, verdict)
