"""An erasure that is killed anywhere is finished by the next start, once, and never undone."""

import killing
import pytest

from troth.capabilities import rights

ERASED = killing.names(4)


def begin(made, folder):
    begun = killing.Steps(made, folder, "erase")
    (begun.folder / "candidates").write_text("\n".join(ERASED))
    house = begun.house()
    begun.people = [house.person(name) for name in ERASED]
    house.ws.close()
    return begun


def check(steps, erased):
    house = steps.house()
    try:
        assert house.ws.verify() == []
        assert rights.unfinished(house.desk) == []
        with house.ws.store.look() as view:
            entries = view.entries(0, view.log.size)
            for person in erased:
                assert rights.is_erased(house.desk, person)
                assert view.bodies(person) == []
                assert house.codes(person) != []
        assert sum(b'"erase.done"' in entry for entry in entries) == len(erased)
        lines = [x["psid"] for x in house.desk.journal.lines() if x["act"] == "erasure"]
        assert sorted(lines) == sorted(p.hex() for p in erased)
        others = [house.person(name) for name in killing.names(20)[4:]]
        assert all(house.codes(other) == [] for other in others)
        for name in ERASED:
            if house.person(name) is not None:
                assert house.codes(house.person(name)) == []
    finally:
        house.ws.close()


@pytest.mark.parametrize("cut", ["1", "journal", "2", "3", "4"])
def test_an_erasure_cut_after_each_step_is_finished_by_the_next_start(made, tmp_path, cut):
    steps = begin(made, tmp_path / "house")
    steps.die_at(cut)
    check(steps, steps.people[:1])
    steps.finish()
    check(steps, steps.people)


def rounds(made, tmp_path, seed, kills):
    steps = killing.interrupt(lambda n: begin(made, tmp_path / f"house{n}"), seed, kills)
    steps.finish()
    check(steps, steps.people)


@pytest.mark.parametrize("seed", range(3))
def test_an_erasure_killed_anywhere_is_finished_by_repeating(made, tmp_path, seed):
    rounds(made, tmp_path, seed, 2)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 125))
def test_many_erasures_killed_many_times(made, tmp_path, seed):
    rounds(made, tmp_path, seed, 6)
