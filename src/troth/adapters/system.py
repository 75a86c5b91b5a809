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


class WalkingClock:
    """A demo's clock while it is served: begins at its moment, walks as the machine's does, stops.

    Every process that is given the same three moments agrees on the time.
    """

    def __init__(self, at: Instant, since: int, until: Instant) -> None:
        """Show `at` when the machine's clock shows `since`, and never more than `until`."""
        self._at, self._since, self._until = at, since, max(at, until)

    def now(self) -> Instant:
        """Return how far it has walked."""
        walked = max(0, time.time_ns() // 1_000 - self._since)
        return Instant(min(self._at + walked, self._until))


class SystemRandomness:
    """The operating system's random source; never pooled: no fork or thread sees a byte twice."""

    def take(self, count: int) -> bytes:
        """Return `count` fresh bytes."""
        return os.urandom(count)
