"""L9: each system call that writes is made to fail once, while the house books and signs.

`strace` counts the calls of a process that books and signs, then breaks one of them in each run.
Whatever breaks, the record verifies afterwards and goes on.
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import marula
import pytest

from troth.kernel import events
from troth.kernel.desk import SYSTEM

STEP = """
import sys
sys.path[:0] = sys.argv[2:]
import marula
from pathlib import Path
from troth.errors import Fault
from troth.kernel import events
from troth.kernel.desk import SYSTEM
print("go")
try:
    house = marula.House(Path(sys.argv[1]))
    for n in range(4):
        house.desk.record_house(events.AlarmRaised("test.only", ref=str(n)), SYSTEM)
        house.ws.sign()
except Fault as fault:
    print(fault.code)
except OSError:
    print("os")  # a file of the program itself; nothing of the house was touched by it
"""
CALLS = ("pwrite64", "write", "fsync", "fdatasync", "ftruncate", "openat", "flock")
ERRORS = {"pwrite64": "ENOSPC", "write": "ENOSPC", "ftruncate": "EIO", "openat": "EMFILE"}
PATHS = [str(Path(marula.__file__).parent), str(Path(__file__).parents[1])]
KNOWN = {"go", "os", "unavailable", "evidence", "invalid", "not_found", "conflict"}


def run(folder, *inject):
    command = ["strace", "-f", "-qq", "-o", str(folder.parent / "trace"), *inject,
               sys.executable, "-c", STEP, str(folder), *PATHS]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def counted(empty, tmp_path_factory):
    """Where in a run without a fault each call begins to matter, and how many there are."""
    folder = tmp_path_factory.mktemp("counted") / "house"
    shutil.copytree(empty, folder)
    done = run(folder, "-e", f"trace={','.join(CALLS)}", "-y")
    assert done.returncode == 0, done.stderr
    lines = (folder.parent / "trace").read_text().splitlines()
    out = []
    for call in CALLS:
        nth = 0
        for line in lines:
            if re.search(rf"\b{call}\(", line):
                nth += 1
                if str(folder) in line:
                    out.append((call, nth))
    return out


def broken_once(empty, folder, call, nth):
    shutil.copytree(empty, folder)
    error = ERRORS.get(call, "EIO")
    done = run(folder, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={nth}")
    if done.stdout.startswith("go"):  # else the program itself was not read
        assert done.returncode == 0, (call, nth, done.stderr[-800:])
        assert done.stdout.split()[-1] in KNOWN, (call, nth, done.stdout)
    house = marula.House(folder)
    try:
        house.desk.record_house(events.AlarmRaised("test.only"), SYSTEM)
        house.ws.sign()
        assert house.ws.verify(deep=True) == [], (call, nth)
    finally:
        house.ws.close()
    shutil.rmtree(folder)


def test_some_of_every_kind_of_call_broken_once_leave_a_ledger_that_verifies(
    empty, counted, tmp_path
):
    by = {call: [each for each in counted if each[0] == call] for call in CALLS}
    assert by["pwrite64"]
    assert by["fsync"] or by["fdatasync"]
    chosen = [found[len(found) // 2] for found in by.values() if found] + by["pwrite64"][-1:]
    for call, nth in dict.fromkeys(chosen):
        broken_once(empty, tmp_path / "house", call, nth)


@pytest.mark.soak
def test_every_call_broken_once_leaves_a_ledger_that_verifies(empty, counted, tmp_path):
    end = time.monotonic() + 330
    tried = 0
    for call, nth in sorted(counted, key=lambda each: (each[1] % 7, each)):
        if time.monotonic() > end:
            break
        broken_once(empty, tmp_path / "house", call, nth)
        tried += 1
    assert tried >= min(len(counted), 100)
