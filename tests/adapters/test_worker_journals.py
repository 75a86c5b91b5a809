"""Journals of several workers: each its own, what a dead one left is known, what a live one is not."""

import signal
import subprocess
import sys

import pytest

from troth.adapters.smtp import WORKERS, HandoverJournal
from troth.errors import Unavailable


def test_each_worker_takes_the_first_journal_that_is_free(tmp_path):
    with HandoverJournal.free(tmp_path) as first, HandoverJournal.free(tmp_path) as second:
        assert [first.path.name, second.path.name] == ["handover.log", "handover.log.1"]
    with HandoverJournal.free(tmp_path) as again:
        assert again.path == first.path


def test_there_are_only_so_many_workers(tmp_path):
    held = [HandoverJournal.free(tmp_path) for _ in range(WORKERS)]
    with pytest.raises(Unavailable):
        HandoverJournal.free(tmp_path)
    for each in held:
        each.close()


def test_what_was_taken_and_never_begun_is_known_with_its_fence(tmp_path):
    with HandoverJournal(tmp_path / "handover.log") as log:
        log.took({"a": 1, "b": 1, "c": 2})
        log.start("a")
        log.reply("a", 250)
        log.start("b")
        log.took({"a": 7})
        assert HandoverJournal.taken(log.path) == {"a": 7, "c": 2}
        told = HandoverJournal.read(log.path)
    assert {ref: each.state for ref, each in told.items()} == {"a": "handed", "b": "unknown"}


def test_journals_of_the_living_are_not_judged(tmp_path):
    with HandoverJournal.free(tmp_path) as dead:
        dead.took({"a": 1})
        with HandoverJournal.free(tmp_path) as living:
            living.start("b")
            dead.close()
            assert [each.path for each in HandoverJournal.left(tmp_path)] == [dead.path]
            assert list(HandoverJournal.all(tmp_path)) == ["b"]


def test_a_journal_of_which_nothing_is_open_begins_anew(tmp_path):
    with HandoverJournal(tmp_path / "handover.log") as log:
        log.took({"a": 1, "b": 1})
        log.start("a")
        log.reply("a", 250)
        asked = []

        def still(refs):
            asked.append(sorted(refs))
            return {"b"}

        assert not log.rotate(still)
        assert asked == [["a", "b"]]
        assert list(HandoverJournal.read(log.path)) == ["a"]
        assert log.rotate(lambda _refs: ())
        assert log.path.read_bytes() == b""
        log.start("c")
        assert HandoverJournal.read(log.path)["c"].state == "unknown"


def test_a_worker_killed_while_a_journal_begins_anew_leaves_it_whole_or_empty(tmp_path):
    for moment in ("before", "after"):
        path = tmp_path / moment
        script = f"""
import os, signal, sys
from troth.adapters.smtp import HandoverJournal
log = HandoverJournal({str(path)!r})
log.took({{"a": 1, "b": 1}}); log.start("a")
real = os.ftruncate
def dying(fd, size):
    if {moment == "after"}:
        real(fd, size)
    os.kill(os.getpid(), signal.SIGKILL)
os.ftruncate = dying
log.rotate(lambda refs: ())
"""
        done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
        assert done.returncode == -signal.SIGKILL
        with HandoverJournal(path) as again:
            told = HandoverJournal.read(path), HandoverJournal.taken(path)
            assert [list(each) for each in told] == (
                [["a"], ["b"]] if moment == "before" else [[], []]
            )
            again.start("c")
        assert "c" in HandoverJournal.read(path)
