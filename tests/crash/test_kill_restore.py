"""A restore killed anywhere opens nothing, and ends as it should when it is run again."""

import random
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import disaster
import marula
import pytest

from troth.capabilities import rights
from troth.errors import Fault

RESTORER = Path(__file__).with_name("restorer.py")
STEPS = ["named", "journal", "signed"]
OTHERS = ["placed", "back", "facts", "stopped", "done"]


@pytest.fixture(scope="session")
def lost(empty, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lost")
    shutil.copytree(empty, folder / "house")
    told = disaster.Disaster(marula.House(folder / "house"), folder)
    told.run()
    told.back_up()
    told.this_morning()
    told.lose()
    shutil.copy(told.made.path, folder / "backup")
    return folder, told


class Restoring:
    def __init__(self, lost, folder):
        made, self.told = lost
        shutil.copytree(made, folder)
        self.folder, self.minutes = folder, 0

    def begin(self, cut=""):
        self.minutes += 1
        moment = marula.NOW + timedelta(hours=5, minutes=self.minutes)
        command = [sys.executable, RESTORER, self.folder, moment.isoformat(), cut]
        child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"go\n"
        return child

    def die_at(self, cut):
        with self.begin(cut) as child:
            assert child.stdout.read() == b""
        assert child.returncode == -9

    def finish(self):
        with self.begin() as child:
            assert child.stdout.read() == b"done\n"

    def shut(self):
        """Nothing opens the house while its restore is not finished."""
        with pytest.raises(Fault):
            marula.House(self.folder / "house", marula.NOW + timedelta(hours=8)).ws.close()

    def check(self):
        told = self.told
        house = marula.House(self.folder / "house", marula.NOW + timedelta(hours=9))
        try:
            told.house = house
            assert house.codes(told.annelie) == ["withdrawn"]
            assert house.codes(told.dumi, house.campaign("autumn")) == []
            assert told.bought(told.bongani) == ["2026-08"]
            assert rights.is_erased(house.desk, told.carmen)
            assert told.stage() == "stopped"
            assert house.ws.verify() == []
            assert [len(told.leaves(k)) for k in ("restore.done", "log.continued")] == [1, 1]
            chain = [e.type for e in house.chain(told.annelie)]
            assert chain.count("consent.withdrawn") == 1
            assert chain.count("message.unknown") == 1
            assert [e.type for e in house.chain(told.bongani)].count("behaviour.deleted") == 1
            assert all(not s.lag for s in house.ws.followers())
        finally:
            house.ws.close()


@pytest.mark.parametrize(
    "cut", [*STEPS, *(pytest.param(cut, marks=pytest.mark.soak) for cut in OTHERS)]
)
def test_a_restore_cut_after_each_step_ends_the_same(lost, tmp_path, cut):
    restoring = Restoring(lost, tmp_path / "x")
    restoring.die_at(cut)
    if cut != "done":
        restoring.shut()
    restoring.finish()
    restoring.check()


def rounds(lost, folder, seed, kills):
    restoring, drawn = Restoring(lost, folder), random.Random(seed)
    for _ in range(kills):
        with restoring.begin() as child:
            time.sleep(drawn.uniform(0, 0.5))
            child.kill()
    restoring.finish()
    restoring.check()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(40))
def test_many_restores_killed_many_times(lost, tmp_path, seed):
    rounds(lost, tmp_path / "x", seed, 5)
