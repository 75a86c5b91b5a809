"""Rounds of kills over one house that lives through all of them.

A seed draws everything that can be drawn: what each process does, when it is killed, on what. What
the machine makes of it (how far a process comes in three milliseconds) no seed can fix; a round
that failed leaves the house, the lines its processes told and its plan behind.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import answered
import killing
import marula
import witnessed
import wreckage

from troth.adapters.inbox import Inbox

LIVING = Path(__file__).with_name("living.py")
WATCHED = (
    "data/record.db-wal", "data/record.db-wal", "data/handover.log", "keys/keys.db-wal",
    "witness/restrictions", "witness/restrictions", "witness/anchors", "../backups", "keys",
)  # fmt: skip
CLEANSED = 15
LONGEST = 1.2
"""Seconds a process lives at most before it is killed."""
HARMLESS = frozenset({"Conflict", "Unavailable", "NotFound", "Shredded"})
"""Refusals that racing acts may meet; what is refused otherwise is a finding."""


@dataclass(frozen=True)
class Plan:
    """What one round does: who is begun, and when the first of them is killed."""

    number: int
    crew: tuple
    seeds: tuple
    delay: float
    watch: str = ""
    growths: int = 0


def plan(seed, number, longest=LONGEST):
    """Draw what a round does; the same for the same seed."""
    drawn = random.Random(f"{seed}/{number}")
    both = [("worker", "portal"), ("portal", "worker")]
    crew = ("all",) if drawn.random() < 0.7 else drawn.choice(both)
    seeds = tuple(drawn.randrange(2**32) for _ in crew)
    if drawn.random() < 0.5:
        return Plan(number, crew, seeds, longest * drawn.random() ** 1.5)
    return Plan(number, crew, seeds, longest, drawn.choice(WATCHED), drawn.randrange(2, 12))


@dataclass
class Soak:
    """A house, what it answered for, and how it was treated."""

    work: Path
    seed: int
    longest: float = LONGEST
    told: answered.Told = field(default_factory=answered.Told)
    kills: Counter = field(default_factory=Counter)
    faults: Counter = field(default_factory=Counter)
    done: Counter = field(default_factory=Counter)
    number: int = 0

    @property
    def folder(self):
        return self.work / "house"

    @property
    def moment(self):
        return marula.NOW + timedelta(days=self.number)

    def begin(self, empty):
        """Take over an empty house and give it its first people."""
        self.work.mkdir(parents=True, exist_ok=True)
        shutil.copytree(empty, self.folder)
        for name in ("backups", "keycopies", "lives"):
            (self.work / name).mkdir()
        house = marula.House(self.folder)
        self.told.names += killing.names(30)
        house.take("customers", *map(killing.customer, self.told.names))
        house.take("consents", *map(killing.given, self.told.names))
        house.ws.close()
        self.watching = self._watched() if self.seed % 2 == 0 else None
        self.inbox = Inbox(self.work / "inbox")
        self.port = self.inbox.start()
        command = [sys.executable, str(LIVING)]
        self.nursery = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def _watched(self):
        """Set a witness beside the house; a house without one changes its ledger's key instead."""
        house = marula.House(self.folder)
        key = house.ws.signer.key.vkey
        house.ws.close()
        watching = witnessed.Watching(self.work / "w.db", [key], witnessed.Fixed())
        with (self.folder / "troth.toml").open("a", encoding="utf-8") as toml:
            toml.write(watching.table() + '\n[ledger]\nquorum = "any"\n')
        return watching

    def end(self):
        if self.watching:
            self.watching.close()
        self.inbox.stop()
        self.nursery.stdin.close()
        self.nursery.wait(20)
        self.nursery.stdout.close()

    def _asked(self, line):
        self.nursery.stdin.write(line + "\n")
        self.nursery.stdin.flush()
        return int(self.nursery.stdout.readline())

    def _born(self, planned, place):
        told = self.work / "lives" / f"r{planned.number:03}{'ab'[place]}"
        given = {
            "folder": str(self.folder), "moment": self.moment.isoformat(), "port": self.port,
            "seed": planned.seeds[place], "who": planned.crew[place], "names": self.told.names,
            "told": str(told),
        }  # fmt: skip
        return self._asked(json.dumps(given)), told

    def round(self, number):
        """Begin what is planned, kill the first, let the others end; return what is wrong."""
        self.number = number
        if number % CLEANSED == 0:
            self._cleansed()
        planned = plan(self.seed, number, self.longest)
        born = [self._born(planned, place) for place in range(len(planned.crew))]
        self._wait_for(planned)
        os.kill(born[0][0], signal.SIGKILL)
        ended = self._asked(f"wait {born[0][0]}")
        found = [] if ended == -signal.SIGKILL else ["it ended by itself"]
        for pid, _ in born[1:]:
            os.kill(pid, signal.SIGTERM)
            if self._asked(f"wait {pid}"):
                found.append("the one that was not killed did not end well")
        self.reopens()
        slack = len(planned.crew) - 1
        for place, (_, path) in enumerate(born):
            found += self._heard(path, slack, killed=not place)
        return found + wreckage.opened(self.folder, self.moment, self.told)

    def _cleansed(self):
        """Bring a fresh opt-out registry: without one nobody may be mailed after some weeks."""
        house = marula.House(self.folder, self.moment)
        head = marula.registry_head((self.moment - timedelta(days=1)).isoformat())
        house.take("registry", marula.registry_hash("stranger@mail.example"), head=head)
        house.ws.close()

    def reopens(self):
        """The moment at which the house is opened again: a lease later."""
        self.number += 0.05

    def _wait_for(self, planned):
        end = time.monotonic() + planned.delay
        if not planned.watch:
            time.sleep(planned.delay)
            return
        path, seen, left = self.folder / planned.watch, None, planned.growths
        while time.monotonic() < end and left:
            try:
                state = (path.stat().st_size, path.stat().st_mtime_ns)
            except OSError:
                state = None
            left -= seen is not None and state != seen
            seen = state or seen or (0, 0)
            time.sleep(0.0002)

    def _heard(self, path, slack, *, killed):
        """Read what a process told before it died; return what of that is wrong in itself."""
        raw = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        found, at = [], "start"
        for line in map(json.loads, raw):
            self.told.hear(line, slack)
            if line["say"] in ("open", "go", "at"):
                at = line.get("work", "open" if line["say"] == "open" else "start")
            if line["say"] == "end":
                self.done[line["work"]] += 1
            if line["say"] == "broken":
                found.append(f"{at}: {line['kind']} {line['text']}")
            if line["say"] == "fault":
                self.faults[f"{line['work']}: {line['kind']} {line['text']}"] += 1
                if line["kind"] not in HARMLESS:
                    found.append(f"{line['work']}: {line['kind']} {line['text']}")
        if killed:
            self.kills[at] += 1
            self.told.unknown += at == "campaign"
        return found
