"""Reads of pages and of the HTTP interface beside a running campaign, over a real socket.

    python bench/console.py [people] [seconds]

One process books and hands over a campaign, batch after batch; another serves the workspace with
uvicorn on the loopback address; this one asks for pages in turn and notes how long each took. The
same reads are then timed with the campaign stopped, so that it shows what the campaign costs them.
"""

import argparse
import http.client
import multiprocessing
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import campaign as bench
import uvicorn
from harness import load, print_environment, row
from mail_sink import MailSink

from troth import app
from troth.surfaces.web.server import build_app
from troth.terms import instant

BAR_MS = 50
MAILS = 200
PAGES = (
    *("/", "/levels", "/levels/3/html", "/inbox", "/inbox/1", "/inbox/1/html", "/ledger"),
    *("/refused", "/checkpoint", "/console", "/console/people", "/console/segments"),
)
"""Those that answer with a page are read; staff pages through the demo's marketer's door."""
REPORT = {
    "demo_time": bench.NOW.isoformat(), "provenance": "generated", "people": 1,
    "behaviour_rows": 1, "events": 1, "candidates": 1, "reachable": 1, "refused_people": 0,
    "refused": {}, "sent": 1, "sent_by_level": {"1": 1}, "sent_without_agreement": 0,
    "withdrawn_between_preview_and_send": {"people": 0, "sent": 0}, "doubled": 0, "unknown": 0,
    "failed": 0, "ledger": {"size": 1, "root": "00" * 32, "verified": True},
    "receipt": {"file": "receipts/x", "verified": True}, "seconds": {"one": 1.0},
}  # fmt: skip


def opened(folder, since):
    ws = app.open(folder, at=instant(bench.NOW))
    ws.store._clock = bench.Ticking(since)  # noqa: SLF001 - the decisions need daylight
    return ws


def _campaigns(folder, people, port, stop, sent, since):  # noqa: PLR0913
    """Send campaign after campaign until told to stop; counts messages handed over."""
    ws = opened(folder, since)
    turn = 0
    while not stop.is_set():
        size = 500
        part = people[turn * size % len(people) :][:size]
        with suppress(AssertionError):  # who is at the cap is decided about all the same
            bench.send(ws, part, f"beside-{turn}", port)
        turn += 1
        sent.value += len(part)
    ws.close()


def _serve(folder, ready, port, since):
    ws = opened(folder, since)
    hub = build_app(ws, REPORT, folder / "inbox")
    config = uvicorn.Config(hub, host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)

    def told():
        while not server.started:
            time.sleep(0.05)
        port.value = server.servers[0].sockets[0].getsockname()[1]
        ready.set()

    threading.Thread(target=told, daemon=True).start()
    server.run()


HEADERS = {}


def enter(port):
    """Go through the marketer's door of a demo and keep the session."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/doors/marketer")
    answer = connection.getresponse()
    answer.read()
    if cookie := answer.getheader("set-cookie"):
        HEADERS["Cookie"] = cookie.partition(";")[0]


def fetch(connection, path):
    """Read one page; return milliseconds and its status."""
    begun = time.perf_counter()
    connection.request("GET", path, headers=HEADERS)
    answer = connection.getresponse()
    answer.read()
    return (time.perf_counter() - begun) * 1e3, answer.status


def reads(port, seconds, paths):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    took = {path: [] for path in paths}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for path in paths:
            spent, _ = fetch(connection, path)
            took[path].append(spent)
    return took


def known(port, pages):
    """Keep the paths this house answers with a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(3):  # compiled templates, learnt neighbours, open connections
        found = {path: fetch(connection, path)[1] for path in pages}
    print("not read:", *(f"{path} ({status})" for path, status in found.items() if status != 200))
    return [path for path, status in found.items() if status == 200]


def percentile(times, part):
    return sorted(times)[min(int(len(times) * part), len(times) - 1)]


def table(title, took):
    print(f"{title}: p50, p95 and longest, ms")
    for path, times in took.items():
        p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
        print(f"  {path:<18}{p50:8.1f}{p95:8.1f}{max(times):8.1f}   {len(times)} reads")


def inbox_of(folder, ws, people):
    """Fill the local inbox with real mails of one campaign."""
    inbox = app.local_inbox(folder / "inbox")
    port = inbox.start()
    try:
        bench.send(ws, people[:MAILS], "inbox", port)
    finally:
        inbox.stop()


def main(pages=PAGES, come_in=enter):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("people", nargs="?", type=int, default=3_000)
    parser.add_argument("seconds", nargs="?", type=int, default=15)
    given = parser.parse_args()
    print_environment("uvicorn", "fastapi")
    spawn = multiprocessing.get_context("spawn")
    with MailSink() as sink, tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "house"
        ws, people = bench.make(folder, given.people, cast=True)
        inbox_of(folder, ws, people)
        since = ws.store._clock.since  # noqa: SLF001 - as above
        ws.close()
        ready, stop = spawn.Event(), spawn.Event()
        port, sent = spawn.Value("i", 0), spawn.Value("i", 0)
        web = spawn.Process(target=_serve, args=(folder, ready, port, since), daemon=True)
        web.start()
        assert ready.wait(60)
        come_in(port.value)
        paths = known(port.value, pages)
        quiet = reads(port.value, given.seconds / 3, paths)
        worker = spawn.Process(
            target=_campaigns, args=(folder, people[MAILS:], sink, stop, sent, since), daemon=True
        )
        worker.start()
        time.sleep(3)
        before, begun = sent.value, time.perf_counter()
        beside = reads(port.value, given.seconds, paths)
        rate = (sent.value - before) / (time.perf_counter() - begun)
        stop.set()
        worker.join(60)
        web.terminate()
        web.join()
    table("alone", quiet)
    table(f"beside a campaign of {rate:,.0f} messages a second", beside)
    print(f"load at the end {load()}")
    every = [spent for times in beside.values() for spent in times]
    row("reads beside a campaign, p95", percentile(every, 0.95), bar=BAR_MS, unit="ms",
        peer=percentile([t for times in quiet.values() for t in times], 0.95),
        less_is_better=True)  # fmt: skip
    for path, times in beside.items():
        name, slow = f"GET {path} beside a campaign, p95", percentile(times, 0.95)
        row(name, slow, bar=BAR_MS, unit="ms", less_is_better=True)


if __name__ == "__main__":
    sys.exit(main())
