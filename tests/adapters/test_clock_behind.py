"""A clock that lags the record is known to every look, in either store, and believed in nothing."""

import pytest

from troth.adapters.memory import MemoryStore
from troth.adapters.sqlite.record import SqliteStore
from troth.kernel import events
from troth.terms import SECOND, Instant

NOON = Instant(1_795_000_000 * SECOND)


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.at = NOON

    def now(self):
        return Instant(self.at)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    clock = Clock()
    made = (
        MemoryStore(clock, {})
        if request.param == "memory"
        else SqliteStore(tmp_path / "record.db", clock, {})
    )
    with made.book() as tx:
        tx.state(events.public_entry({"type": "log.start"}))
    yield made, clock
    made.close()


@pytest.mark.parametrize("lag", [0, 1, 2 * SECOND, 3600 * SECOND])
def test_how_far_a_clock_lags_the_record_is_seen_in_every_look(store, lag):
    made, clock = store
    clock.at = NOON - lag
    with made.look() as view:
        assert (view.behind, view.now) == (lag, NOON)
    clock.at = NOON + lag
    with made.look() as view:
        assert (view.behind, view.now) == (0, NOON + lag)


def test_jobs_are_counted_by_kind_until_they_end(store):
    made, _ = store
    with made.book() as tx:
        for kind, key in (("b", "1"), ("b", "2"), ("a", "3")):
            tx.enqueue(kind, key, b"", None)
        job = tx.lease("b", Instant(NOON + SECOND), 1)
    with made.look() as view:
        assert view.waiting() == {"a": 1, "b": 2}
    with made.book() as tx:
        tx.finish([(job[0], "handed")])
        assert tx.waiting() == {"a": 1, "b": 1}
