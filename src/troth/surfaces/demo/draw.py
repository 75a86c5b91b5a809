"""Repeatable draws: every choice is a function of the seed, the person and the question asked.

Adding a question or a person changes no other answer, which a running random stream cannot say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

_WIDE = 1 << 64


@dataclass(frozen=True, slots=True)
class Draw:
    """The draws about one person."""

    seed: int
    key: str

    def share(self, topic: str) -> float:
        """Return a number from 0 up to, not including, 1."""
        digest = sha256(f"{self.seed}|{self.key}|{topic}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / _WIDE

    def whole(self, topic: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + int(self.share(topic) * (high - low + 1))

    def pick(self, topic: str, choices: Sequence[str]) -> str:
        """Return one of `choices`, each as likely as the others."""
        return choices[self.whole(topic, 0, len(choices) - 1)]

    def weigh(self, topic: str, weights: Mapping[str, float]) -> str:
        """Return a key of `weights`, as likely as its weight among all weights."""
        left = self.share(topic) * sum(weights.values())
        for name, weight in weights.items():
            left -= weight
            if left < 0:
                return name
        return list(weights)[-1]

    def sample(self, topic: str, choices: Sequence[str], count: int) -> list[str]:
        """Return `count` different choices, in the order of `choices`."""
        order = sorted(range(len(choices)), key=lambda i: self.share(f"{topic}.{i}"))
        return [choices[i] for i in sorted(order[:count])]
