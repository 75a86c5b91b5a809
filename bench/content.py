"""How fast a slot answers a known visitor: over loopback, idle and beside a running campaign.

    python bench/content.py [people] [requests]

Server, campaign and asking browser are processes of their own. Visitors are customers at levels
1 to 4 with 30 purchases each; a slot opens what each agreed to. The first request of a visit also
books the use (FULL); it is told apart. Beside the campaign two cores serve three busy processes.
"""

import argparse
import http.client
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import campaign as mailing
import uvicorn
from harness import print_environment, row

from troth import app
from troth.app import site_place
from troth.capabilities import onsite, outreach
from troth.surfaces.web.server import build_app, listen
from troth.terms import instant

BAR_MS = 20
ORIGIN = "https://marula.example"


def begin(folder, count):
    """Make the workspace; return each visitor's cookie."""
    ws, people = mailing.make(folder, count)
    demo = files("troth") / "data" / "demo" / "content"
    (folder / "content").mkdir(exist_ok=True)
    for each in demo.iterdir():
        (folder / "content" / each.name).write_bytes(each.read_bytes())
    goods = "".join(f"{item},g,d,{name},no\n" for item, name in mailing.GOODS.items())
    (folder / "products.csv").write_text("item,group,department,name,sensitive\n" + goods)
    ws.apply()
    cookies = []
    for n, person in enumerate(people):
        cookies.append(f"{n + 1:032x}")
        onsite.keep_device(ws.desk, person, cookies[-1], site_place.rules())
    ws.close()
    return cookies


class Unlimited:
    """No limit: one network asks for everybody here."""

    def take(self, *_):
        """Let it pass."""


def serve(folder, since):
    ws = app.open(folder, at=instant(mailing.NOW))
    ws.store._clock = mailing.Ticking(since)  # noqa: SLF001 - as in campaign.py
    made = build_app(ws, None, None)
    made.state.hub.kept["site.limits"] = Unlimited()
    taken = listen(0)
    print(taken.getsockname()[1], flush=True)
    config = uvicorn.Config(made, access_log=False, log_level="error", proxy_headers=False)
    uvicorn.Server(config).run(sockets=[taken])


def run_campaigns(folder, since):
    """Book one campaign after another to everybody, until stopped."""
    ws = app.open(folder, at=instant(mailing.NOW))
    ws.store._clock = mailing.Ticking(since)  # noqa: SLF001 - as in campaign.py
    with ws.store.look() as view:
        people = sorted(
            ws.desk.find(view, f"c{n}") for n in range(len(view.people(None, 10**6)) - 1)
        )
    print("ready", flush=True)
    for n in range(10_000):
        found = mailing.campaign_of(ws, f"beside-{n}")
        renderer = app.renderer(ws, found, mailing.shelf())
        outreach.book(renderer, people, mailing.MARKETER, app.real_seconds)


def ask(port, cookies, requests):
    """Ask for the slot again and again; return milliseconds, sorted, and the levels seen."""
    line = http.client.HTTPConnection("127.0.0.1", port)
    taken, levels = [], set()
    for n in range(requests):
        cookie = cookies[n * 7 % len(cookies)]
        begun = time.perf_counter()
        line.request("GET", "/api/v1/content/home", headers={
            "origin": ORIGIN, "cookie": f"troth_visitor={cookie}", "accept": "application/json",
        })  # fmt: skip
        answer = line.getresponse()
        body = answer.read()
        taken.append((time.perf_counter() - begun) * 1e3)
        assert answer.status == 200, body
        levels.add(body.partition(b'"level":')[2][:1].decode())
    return sorted(taken), levels


def told(name, taken):
    p95 = taken[int(len(taken) * 0.95)]
    print(f"{name}: p50 {taken[len(taken) // 2]:.1f}, p95 {p95:.1f}, max {taken[-1]:.1f} ms")
    return p95


def child(folder, how, since):
    return subprocess.Popen(
        [sys.executable, __file__, how, str(folder), "--since", str(since)],
        stdout=subprocess.PIPE,
        text=True,
    )


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("people", nargs="?", type=int, default=400)
    asked.add_argument("requests", nargs="?", type=int, default=2_000)
    asked.add_argument("--serve")
    asked.add_argument("--campaign")
    asked.add_argument("--since", type=int, default=0, help="where the clock of all begins")
    given = asked.parse_args()
    if given.serve or given.campaign:
        run = serve if given.serve else run_campaigns
        run(Path(given.serve or given.campaign), given.since)
        return
    print_environment("fastapi", "uvicorn")
    folder = Path(tempfile.mkdtemp(prefix="troth-content-"))
    cookies = begin(folder / "ws", given.people)
    since = time.monotonic_ns() // 1_000
    server, beside = child(folder / "ws", "--serve", since), None
    try:
        port = int(server.stdout.readline())
        first, levels = ask(port, cookies, len(cookies))
        told("first of a visit, books the use", first)
        print(f"levels shown: {' '.join(sorted(levels))}")
        idle = told("idle", ask(port, cookies, given.requests)[0])
        beside = child(folder / "ws", "--campaign", since)
        beside.stdout.readline()
        busy = told("beside a campaign", ask(port, cookies, given.requests)[0])
        assert beside.poll() is None, "the campaign ended early"
        row("slot p95, idle", idle, bar=BAR_MS, unit="ms", less_is_better=True)
        row("slot p95, beside a campaign", busy, bar=BAR_MS, unit="ms", less_is_better=True)
    finally:
        for each in filter(None, (server, beside)):
            each.send_signal(signal.SIGTERM)
            each.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
