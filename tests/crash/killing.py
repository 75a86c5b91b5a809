"""Starts a step in a process of its own, kills it at a drawn moment, and counts how often."""

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

    def __init__(self, made, folder, step):
        shutil.copytree(made, folder)
        self.folder, self.step = folder, step
        self.moment = marula.NOW
        self.kills = 0

    def begin(self, given=""):
        self.moment += LEASE
        command = [sys.executable, WORKER, self.folder, self.step, self.moment.isoformat(), given]
        child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"go\n"
        return child

    def kill_after(self, seconds, given=""):
        """Kill the step that long after it began; say whether it was still at it."""
        with self.begin(given) as child:
            time.sleep(seconds)
            child.kill()
            over = child.stdout.read() == b"done\n"
        self.kills += not over
        return not over

    def die_at(self, cut):
        """Let the step kill itself at a place of its own."""
        with self.begin(cut) as child:
            assert child.stdout.read() == b""
        assert child.returncode == -9
        self.kills += 1

    def finish(self, given=""):
        """Do the step to its end; return how long it took."""
        with self.begin(given) as child:
            since = time.monotonic()
            assert child.stdout.read() == b"done\n"
        assert child.returncode == 0
        return time.monotonic() - since

    def house(self):
        return marula.House(self.folder, self.moment + LEASE)


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
