"""Starts a step in a process of its own, kills it at a drawn moment, and counts how often."""

import random
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))

import marula

WORKER = Path(__file__).with_name("worker.py")
LEASE = timedelta(minutes=11)
"""A dead worker's lease has run out by then."""


class Steps:
    """One house whose step is begun again and again, each time some minutes later."""

    def __init__(self, made, folder, step, given=""):
        shutil.copytree(made, folder)
        self.folder, self.step, self.given = folder, step, given
        self.moment = marula.NOW
        self.kills = 0

    def begin(self, given=""):
        self.moment += LEASE
        command = [sys.executable, WORKER, self.folder, self.step, self.moment.isoformat(), given]
        child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"go\n"
        return child

    def kill_after(self, seconds):
        """Kill the step that long after it began, unless it is over by then."""
        with self.begin(self.given) as child:
            time.sleep(seconds)
            child.kill()
            self.kills += child.stdout.read() != b"done\n"

    def die_at(self, cut):
        """Let the step kill itself at a place of its own."""
        with self.begin(cut) as child:
            assert child.stdout.read() == b""
        assert child.returncode == -9
        self.kills += 1

    def finish(self):
        """Do the step to its end."""
        with self.begin(self.given) as child:
            assert child.stdout.read() == b"done\n"
        assert child.returncode == 0

    def house(self):
        return marula.House(self.folder, self.moment + LEASE)


def interrupt(make, seed, kills):
    """Begin a step on a fresh house and kill it again and again at drawn moments.

    Where the machine was faster than every kill it is tried anew, with shorter waits.
    """
    drawn, longest = random.Random(seed), 0.4
    for attempt in range(8):
        steps = make(attempt)
        for _ in range(kills):
            steps.kill_after(drawn.uniform(0, longest))
        if steps.kills:
            return steps
        longest /= 3
    raise AssertionError("the step was always over before it could be killed")


def names(count):
    return [f"c{number:03d}" for number in range(count)]


def customer(name):
    return {**marula.BLANK, "external_id": name, "email": f"{name}@post.example"}


def given(name, **other):
    return {"external_id": name, "idempotency_key": f"{name}-yes", **marula.YES, **other}


def stopped(name):
    return given(name, status="withdrawn", idempotency_key=f"{name}-no",
                 occurred_at=marula.days_ago(4))  # fmt: skip


def write(folder, name, kind, rows):
    import csv

    folder.mkdir(exist_ok=True)
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, marula.COLUMNS[kind], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
