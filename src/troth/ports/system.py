"""Time and randomness: given by the machine, never taken by the core."""

from typing import Protocol

from troth.terms import Instant


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> Instant:
        """Return the present instant, UTC microseconds."""
        ...


class Randomness(Protocol):
    """The only source of ids, salts, nonces and codes."""

    def take(self, count: int) -> bytes:
        """Return `count` fresh unpredictable bytes."""
        ...
