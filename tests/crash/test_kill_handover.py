"""A hand-over that is killed anywhere mails nobody twice, and doubts one message at most."""

import contextlib
import shutil
from collections import Counter

import killing
import marula
import pytest

from troth.adapters.inbox import Inbox

AGREED = killing.names(140)


@pytest.fixture(scope="session")
def booked(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crash") / "booked"
    shutil.copytree(made, folder)
    house = marula.House(folder)
    assert house.book([house.person(name) for name in AGREED]).booked == len(AGREED)
    house.ws.close()
    return folder


def check(steps, inbox):
    house = steps.house()
    try:
        assert house.ws.verify() == []
        delivered = Counter(to for mail in inbox.messages() for to in mail.rcpt_to)
        assert set(delivered.values()) == {1}
        unknown = 0
        for name in AGREED:
            told = Counter(e.type for e in house.chain(house.person(name)))
            assert told["message.booked"] == 1
            assert told["message.handed"] + told["message.unknown"] == 1, name
            unknown += told["message.unknown"]
            assert told["message.unknown"] or delivered[f"{name}@post.example"] == 1
        assert unknown <= steps.kills
        assert len(delivered) >= len(AGREED) - unknown
        assert house.hand_over().handed == 0
    finally:
        house.ws.close()


def rounds(booked, tmp_path, seed, kills):
    with contextlib.ExitStack() as open_inboxes:

        def make(attempt):
            inbox = Inbox(tmp_path / f"inbox{attempt}")
            port = inbox.start()
            open_inboxes.callback(inbox.stop)
            steps = killing.Steps(booked, tmp_path / f"house{attempt}", "hand_over", str(port))
            steps.inbox = inbox
            return steps

        steps = killing.interrupt(make, seed, kills)
        steps.finish()
        check(steps, steps.inbox)


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_hand_over_doubles_nothing_and_doubts_at_most_one_message_a_kill(
    booked, tmp_path, seed
):
    rounds(booked, tmp_path, seed, 3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 125))
def test_many_hand_overs_killed_many_times(booked, tmp_path, seed):
    rounds(booked, tmp_path, seed, 6)
