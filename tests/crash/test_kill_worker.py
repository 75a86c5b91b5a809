"""A worker that is killed in the middle of a campaign mails nobody twice when it comes back."""

import shutil
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta

import killing
import marula
import pytest

from troth import app
from troth.adapters.inbox import Inbox
from troth.capabilities.outreach import plans, steps, waves

AGREED = killing.names(90)
LINDIWE, OFFICER = marula.MARKETER, marula.OFFICER


@pytest.fixture(scope="session")
def approved(empty, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crash") / "campaign"
    shutil.copytree(empty, folder)
    house = marula.House(folder)
    bought = {"relation_kind": "sale", "relation_at": marula.days_ago(200)}
    house.take("customers", *({**killing.customer(name), **bought} for name in AGREED))
    house.take("consents", *map(killing.given, AGREED))
    app.rebuild_reach(house.ws, LINDIWE)
    app.draft_campaign(house.ws, app.Asked("spring", "winback", "winback"), LINDIWE)
    life = app.submit_campaign(house.ws, "spring", LINDIWE)
    steps.approve(house.desk, "spring", life.plan, OFFICER)
    steps.schedule(house.desk, "spring", LINDIWE)
    house.ws.close()
    (folder / "demo.json").write_text("{}")
    return folder


class Worker:
    """The command itself, in a process of its own, at a moment a lease later each time."""

    def __init__(self, folder, port):
        self.folder, self.port, self.moment = folder, port, marula.NOW

    def begin(self):
        self.moment += killing.LEASE
        line = ["worker", "-w", self.folder, "--at", self.moment.isoformat()]
        relay = ["--relay", f"127.0.0.1:{self.port}"]
        return subprocess.Popen(
            [sys.executable, "-m", "troth", *map(str, line), *relay], stderr=subprocess.DEVNULL
        )

    def house(self):
        return marula.House(self.folder, self.moment + timedelta(minutes=20))


def until(holds, seconds=60):
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "the worker did not come so far"
        time.sleep(0.002)


@pytest.mark.parametrize("after", [(1,), (30, 60)])
def test_a_worker_killed_and_begun_again_doubles_nobody_and_doubts_one_message_a_kill(
    approved, tmp_path, after
):
    shutil.copytree(approved, tmp_path / "house")
    inbox = Inbox(tmp_path / "inbox")
    worker = Worker(tmp_path / "house", inbox.start())

    def arrived(count):
        return lambda: sum(1 for _ in (tmp_path / "inbox").glob("*.eml")) >= count

    def finished():
        with house.ws.store.look() as view:
            return steps.read_life(view, "spring").stage is plans.Stage.FINISHED

    try:
        for count in after:
            with worker.begin() as child:
                until(arrived(count))
                child.kill()
        house = worker.house()
        with worker.begin() as child:
            until(finished)
            child.terminate()
            assert child.wait(20) == 0, "asked to end, it ends by itself"
        delivered = Counter(to for mail in inbox.messages() for to in mail.rcpt_to)
        assert set(delivered.values()) == {1}
        with house.ws.store.look() as view:
            now = waves.progress(view, "spring")
        assert now.ends["unknown"] <= len(after)
        assert sum(now.ends.values()) >= len(AGREED)
        assert len(delivered) >= sum(now.ends.values()) - now.ends["unknown"]
        assert house.ws.verify() == []
        house.ws.close()
    finally:
        inbox.stop()
