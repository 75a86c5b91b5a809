"""Two workers on one record: nobody is mailed twice, and a killed one's messages are taken over."""

import contextlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import killing
import marula
import pytest
import test_kill_handover

from troth.adapters.inbox import Inbox

AGREED = killing.names(140)


@pytest.fixture(scope="module")
def booked(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crash") / "booked-for-two"
    shutil.copytree(made, folder)
    house = marula.House(folder)
    assert house.book([house.person(name) for name in AGREED]).booked == len(AGREED)
    house.ws.close()
    return folder


def worker(steps, step, given=""):
    """Start a worker at the very moment the others have: their leases do not run out."""
    command = [sys.executable, killing.WORKER, steps.folder, step, steps.moment.isoformat(), given]
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"go\n"
    return child


@contextlib.contextmanager
def two(booked, tmp_path):
    inbox = Inbox(tmp_path / "inbox")
    port = inbox.start()
    steps = killing.Steps(booked, tmp_path / "house", "hand_over", str(port))
    try:
        with worker(steps, "hand_over", port) as first, worker(steps, "hand_over", port) as second:
            yield steps, inbox, first, second
    finally:
        inbox.stop()


def over(child):
    assert child.stdout.read() == b"done\n"
    assert child.wait() == 0


def test_two_workers_hand_each_message_over_once(booked, tmp_path):
    with two(booked, tmp_path) as (steps, inbox, first, second):
        over(first)
        over(second)
        test_kill_handover.check(steps, inbox)


def rounds(booked, tmp_path, seed):
    drawn = random.Random(seed)
    with two(booked, tmp_path) as (steps, inbox, first, second):
        time.sleep(drawn.uniform(0, 0.3))
        first.kill()
        steps.kills += first.stdout.read() != b"done\n"
        over(second)
        steps.finish()  # the survivor may have ended before the kill
        test_kill_handover.check(steps, inbox)


@pytest.mark.parametrize("seed", range(2))
def test_one_of_two_workers_killed_doubles_nothing_and_doubts_one_message_at_most(
    booked, tmp_path, seed
):
    rounds(booked, tmp_path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 120))
def test_one_of_two_workers_killed_many_times(booked, tmp_path, seed):
    rounds(booked, tmp_path, seed)


def test_what_a_killed_worker_had_taken_is_handed_over_by_the_other_without_waiting(
    booked, tmp_path
):
    inbox = Inbox(tmp_path / "inbox")
    port = inbox.start()
    try:
        steps = killing.Steps(booked, tmp_path / "house", "hand_over", str(port))
        with worker(steps, "hand_over", port) as first:
            log = steps.folder / "data" / "handover.log"
            while not log.exists() or b",start" not in log.read_bytes():
                time.sleep(0.005)
            first.send_signal(signal.SIGSTOP)
            with worker(steps, "hand_over", port) as second:
                first.kill()
                steps.kills += first.stdout.read() != b"done\n"
                over(second)
        # the second may have looked while the first was still dying: then its next round finds it
        with worker(steps, "hand_over", port) as once_more:
            over(once_more)
        test_kill_handover.check(steps, inbox)
    finally:
        inbox.stop()


def test_two_processes_book_one_message_a_person(made, tmp_path):
    steps = killing.Steps(made, tmp_path / "house", "book")
    with worker(steps, "book") as first, worker(steps, "book") as second:
        over(first)
        over(second)
    house = steps.house()
    try:
        assert house.ws.verify() == []
        for name in AGREED:
            told = Counter(event.type for event in house.chain(house.person(name)))
            assert told["message.booked"] == 1
        with house.ws.store.look() as view:
            assert view.jobs("outreach.mail/winback", "ready") == len(AGREED)
    finally:
        house.ws.close()
