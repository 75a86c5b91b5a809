"""The one owner of clock and randomness."""

import os
import time

from troth.terms import Instant


class SystemClock:
    """The machine's clock, UTC."""

    def now(self) -> Instant:
        """Return the present instant."""
        return Instant(time.time_ns() // 1_000)


class FixedClock:
    """A clock that stands where it was set: for demos and replays, shown as such."""

    def __init__(self, at: Instant) -> None:
        """Stand at `at` until `set` is called."""
        self._at = at

    def now(self) -> Instant:
        """Return where the clock stands."""
        return self._at

    def set(self, at: Instant) -> None:
        """Move the clock."""
        self._at = at


class SystemRandomness:
    """The operating system's random source; never pooled: no fork or thread sees a byte twice."""

    def take(self, count: int) -> bytes:
        """Return `count` fresh bytes."""
        return os.urandom(count)
