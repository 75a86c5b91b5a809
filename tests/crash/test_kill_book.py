"""A booking that is killed anywhere and begun again books each person once."""

from collections import Counter

import killing
import pytest


def check(steps):
    house = steps.house()
    try:
        assert house.ws.verify() == []
        with house.ws.store.look() as view:
            people = {n: house.desk.find(view, n) for n in killing.names(160)}
            jobs = view.jobs("outreach.mail/winback", "ready")
        for place, person in enumerate(people.values()):
            told = Counter(e.type for e in house.chain(person))
            agreed = place < 140
            assert told["message.booked"] == agreed
            assert bool(told["use.refused"]) == (not agreed)  # each run asks anew and says so
        assert jobs == 140
        assert house.hand_over().handed == 140
        assert house.delivered() == Counter(f"{n}@post.example" for n in killing.names(140))
        house.ws.sign()
        assert house.ws.verify() == []
    finally:
        house.ws.close()


def rounds(made, tmp_path, seed, kills):
    def make(attempt):
        return killing.Steps(made, tmp_path / f"house{attempt}", "book")

    steps = killing.interrupt(make, seed, kills)
    steps.finish()
    check(steps)


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_booking_goes_on_where_it_stopped(made, tmp_path, seed):
    rounds(made, tmp_path, seed, 3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 125))
def test_many_bookings_killed_many_times(made, tmp_path, seed):
    rounds(made, tmp_path, seed, 6)
