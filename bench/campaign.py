"""A whole campaign, from decision to booked outcome, beside a plain Python mailer in the same run.

    python bench/campaign.py [people] [--profile FILE] [--workers N]

The people come in by the real importers: all agreed to offers by e-mail, levels 1 to 4 in turn,
30 purchases each. What is timed is `outreach.book` (look, decide, open, fill, sign twice, seal,
book with FULL) and the courier (decide again, open, hand over by SMTP, book the outcome). The
receiving end is a process of its own. The peer is what a mailer costs that keeps no evidence:
dkimpy's two signatures and smtplib over the very same messages.
"""

import argparse
import base64
import cProfile
import csv
import functools
import multiprocessing
import resource
import smtplib
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import dkim as dkimpy
from harness import Spent, load, print_environment, row, timed
from mail_sink import MailSink

from troth import app
from troth.adapters.smtp import HandoverJournal, SmtpTransport
from troth.adapters.sqlite.record import SqliteTransaction
from troth.capabilities import outreach
from troth.capabilities.outreach import booking, handover, rendering
from troth.crypto import ed25519_sign
from troth.engines import mail
from troth.engines.ranking import Alike
from troth.kernel.desk import Desk
from troth.kernel.vault import Keyring, Vault
from troth.surfaces.demo.clock import demo_now
from troth.surfaces.demo.material import write_drafts
from troth.surfaces.demo.run import holidays
from troth.terms import Actor, Instant, Role, instant

BAR = 1_200
PURCHASES = 30
PEER_MESSAGES = 150
NOW = demo_now(holidays())
MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
GOODS = {f"{1001 + i}": f"{a} {b}" for i, (a, b) in enumerate(
    (a, b)
    for a in ("Rooibos", "Seed", "Stone", "Amber", "Karoo", "Plain", "Winter", "Green")
    for b in ("tea", "loaf", "flour", "honey", "soap")
)}  # fmt: skip
ITEMS = list(GOODS)
INTERESTS = ("baking", "gardening", "coffee", "tea", "bread")
OPENS = ((), (), ("identity.name", "interests.declared"), ("purchases.13w",), ("purchases.52w",))


END = "'''"
SHORT = """<mjml lang="en"><mj-body><mj-section><mj-column><mj-text font-family="sans-serif">
<h1>Hello {{first_name}}, it has been a while.</h1>
<p>No hurry and no countdown. The door is open, and the bread comes out at seven.</p>
{{#interests}}<p>{{interest_line}}</p>{{/interests}}
{{#recent}}<h2>What you came for lately</h2>
{{#favourites}}<p><b>{{favourites.title}}</b><br />{{favourites.note}}</p>{{/favourites}}
{{/recent}}
{{#year}}<h2>Your year with us</h2><p>{{year_line}}</p>{{/year}}
{{#alike}}<h2>People who shop like you</h2><p>{{alike_line}}</p>{{/alike}}
<h2>On the shelf for everybody</h2><p><b>Seed loaf</b>, baked before you wake.</p>
<p><a href="https://marula.example/this-week">See what is fresh</a></p>
<p><b>Why you get this.</b> {{why}}</p>
<p><b>What we used to write it.</b> {{used}} <a href="{{settings_link}}">See and change it</a></p>
<p><a href="{{stop_link}}"><b>Stop these messages</b></a> with one click.</p>
<p>Marula (Pty) Ltd, 12 Quiet Street, Cape Town 8001. Advertising.</p>
</mj-text></mj-column></mj-section></mj-body></mjml>"""
"""A message of 5 to 10 KB; the demo's own, twice as long, is measured beside it."""


class Ticking:
    """A clock that starts inside everybody's waking hours and runs, alike in all processes."""

    def __init__(self, since=0):
        self.since = since or time.monotonic_ns() // 1_000

    def now(self):
        return Instant(instant(NOW) + time.monotonic_ns() // 1_000 - self.since)


def ago(days):
    return (NOW - timedelta(days=days)).isoformat()


def write(path, rows):
    rows = iter(rows)
    first = next(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, first)
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(rows)
    return path


def customers(count):
    for n in range(count):
        yield {
            "external_id": f"c{n}", "email": f"customer{n}@post.example", "given_name": "Zoë",
            "family_name": f"Example{n % 97}", "residence": "ZA", "zone": "Africa/Johannesburg",
            "language": "en", "birth_year": 1960 + n % 40, "subject": "natural",
            "interests": ";".join(INTERESTS[n % 3 : n % 3 + 2]), "relation_kind": "inquiry",
            "relation_at": ago(400), "relation_goods": "household", "details_from_sale": "no",
            "objection_offered": "no", "source": "generated",
        }  # fmt: skip


def consents(count):
    for n in range(count):
        same = {
            "external_id": f"c{n}", "occurred_at": ago(100), "method": "checkbox",
            "proof": f"form:{n}", "given_by": "self",
        }  # fmt: skip
        yield {
            **same, "purpose": "offers", "channels": "email", "status": "given",
            "notice": "offers@3", "categories": "", "level": "",
        }  # fmt: skip
        level = 1 + n % 4
        named = [category for k in range(level + 1) for category in OPENS[k]]
        yield {
            **same, "purpose": "personalise", "channels": "", "notice": "personalise@2",
            "status": "given" if named else "refused", "categories": ";".join(named),
            "level": level,
        }  # fmt: skip


def purchases(count):
    for n in range(count):
        for k in range(PURCHASES):
            item = ITEMS[(n * 7 + k * k * 3) % len(ITEMS)]
            yield {
                "external_id": f"c{n}", "at": ago(3 + k * 12 + n % 11), "kind": "purchase",
                "item": item, "group": f"g{int(item) % 5}", "amount_minor": 1_900 + 10 * k,
                "currency": "ZAR", "units": 1 + k % 2, "store": "1",
            }  # fmt: skip


def named(rows, member):
    """Give the first person an outside id that pages know, where one is asked for."""
    for each in rows:
        yield {**each, "external_id": member} if member and each["external_id"] == "c0" else each


def make(folder, count, *, cast=False):
    """Begin a workspace in `folder` with `count` people in it; return it opened, and their ids.

    With `cast` the first of them is the one whose message the page of levels shows.
    """
    member = "cast-adult" if cast else ""
    folder.mkdir()
    write_drafts(folder, NOW)
    template = folder / "templates" / "winback.toml"
    (folder / "templates" / "winback-long.toml").write_text(
        template.read_text("utf-8").replace('name = "winback"', 'name = "winback-long"'), "utf-8"
    )
    before, _, rest = template.read_text("utf-8").partition("mjml = '''")
    template.write_text(f"{before}mjml = '''{SHORT}'''{rest.partition(END)[2]}", "utf-8")
    app.init(folder)
    ws = app.open(folder, at=instant(NOW))
    ws.apply()
    made = {"customers": customers, "consents": consents, "events": purchases}
    for kind, rows in made.items():
        file = write(folder / f"{kind}.csv", named(rows(count), member))
        report = app.import_file(ws, kind, file)
        assert not report.codes, report.codes
    registry = folder / "registry.csv"
    registry.write_text(f"# scheme: sha256-lower-trim\n# as-of: {ago(10)}\nhash\n{'ab' * 32}\n")
    app.import_file(ws, "registry", registry)
    ws.close()
    ws = app.open(folder, at=instant(NOW))
    ws.store._clock = Ticking()  # noqa: SLF001 - the decisions need daylight, the bench a clock
    with ws.store.look() as view:
        names = [member or "c0", *(f"c{n}" for n in range(1, count))]
        found = sorted(ws.desk.find(view, name) for name in names)
    assert all(found)
    return ws, found


def shelf():
    beside = {
        item: [ITEMS[(i + k) % len(ITEMS)] for k in (3, 7, 11)] for i, item in enumerate(GOODS)
    }
    return outreach.Shelf(GOODS, Alike(len(GOODS), beside))


def campaign_of(ws, name, template="winback"):
    with ws.store.look() as view:
        template = view.published(f"template:{template}")
    return outreach.Campaign(name, "offers", "00" * 32, template, ws.sender())


class Kept:
    """A transport that remembers some of the messages, so that the peer gets the same."""

    def __init__(self, inner):
        self.inner, self.some, self.count, self.bytes = inner, [], 0, 0

    def hand_over(self, messages, may_go, journal):
        return self.inner.hand_over(self._noted(messages), may_go, journal)

    def _noted(self, messages):
        for message in messages:
            if len(self.some) < PEER_MESSAGES:
                self.some.append(message)
            self.count += 1
            self.bytes += len(message.data)
            yield message


def send(ws, people, name, port, template="winback"):
    """Run one campaign to its end; return seconds of booking and of hand-over, and messages."""
    campaign = campaign_of(ws, name, template)
    with timed() as booking:
        renderer = app.renderer(ws, campaign, shelf())
        booked = outreach.book(renderer, people, MARKETER, app.real_seconds)
    kept = Kept(SmtpTransport("127.0.0.1", port, "none"))
    handed = outreach.Handed()
    path = ws.settings.record.parent / f"handover.{name}"
    with HandoverJournal(path) as log, timed() as handing:
        outreach.Courier(ws.desk, campaign, kept, log, MARKETER).run(handed)
    assert booked.booked == handed.handed == len(people), (booked, handed)
    return booking, handing, kept, booked


# Stages: process CPU around the functions a message passes through, their inner stages taken off


class Stages:
    def __init__(self):
        self.spent, self.calls, self.stack, self.undo = Counter(), Counter(), [], []

    def watch(self, owner, name, stage):
        whole = getattr(owner, name)

        @functools.wraps(whole)
        def watched(*given, **named):
            begun = time.process_time()
            self.stack.append(0.0)
            try:
                return whole(*given, **named)
            finally:
                took = time.process_time() - begun
                inner = self.stack.pop()
                self.spent[stage] += took - inner
                self.calls[stage] += 1
                if self.stack:
                    self.stack[-1] += took

        setattr(owner, name, watched)
        self.undo.append((owner, name, whole))

    def stop(self):
        for owner, name, whole in self.undo:
            setattr(owner, name, whole)


WATCHED = (
    (booking, "judge", "gather + decide"),
    (handover, "judge", "gather + decide"),
    (Keyring, "load", "keys"),
    (rendering, "open_values", "open values"),
    (rendering, "compose", "open behaviour + compose"),
    (mail.Frame, "fill", "fill"),
    (mail, "sign", "sign Ed25519 + RSA"),
    (Vault, "seal_outgoing", "seal"),
    (booking, "_booked_event", "event: encode, commit, seal"),
    (SqliteTransaction, "append", "chains and projections"),
    (SqliteTransaction, "settle", "rows, entries, tiles"),
    (Vault, "open_outgoing", "open message"),
    (outreach.Courier, "_may_go", "look for a withdrawal"),
    (outreach.Courier, "_book_ends", "book outcomes"),
    (outreach.Courier, "_lease", "lease"),
    (outreach.Courier, "run", "SMTP + rest of the courier"),
    (outreach, "book", "book + rest of booking"),
    (Desk, "claim", "claim"),
)


def primitives(ws, rounds=300):
    """Return CPU seconds of one raw RSA-2048 and one Ed25519 signature: nobody is faster."""
    ed, rsa = app.signers(ws)
    with timed() as spent:
        for _ in range(rounds):
            ed25519_sign(ed.key, b"x" * 32)
            rsa.key.sign(b"x" * 900)
    return spent.cpu / rounds


def stage_table(ws, people, port):
    stages = Stages()
    for watched in WATCHED:
        stages.watch(*watched)
    with timed() as spent:
        send(ws, people, "stages", port)
    stages.stop()
    count = len(people)
    print(f"\nstages, µs of CPU a message ({count:,} messages; inner stages are taken off)")
    for stage, took in stages.spent.most_common():
        calls = stages.calls[stage] / count
        print(f"  {stage:<34}{took / count * 1e6:8.1f}   {calls:7.2f} calls a message")
    rest = spent.cpu - sum(stages.spent.values())
    print(f"  {'elsewhere':<34}{rest / count * 1e6:8.1f}")


def peer(ws, messages, port):
    """Sign with dkimpy and send with smtplib; return CPU seconds a message."""
    folder, domain = ws.settings.keys, ws.settings.domain.encode()
    seed = base64.b64encode((folder / "dkim-ed25519.key").read_bytes())
    pem = (folder / "dkim-rsa.key").read_bytes()
    keys = ((b"e1", b"ed25519-sha256", seed), (b"r1", b"rsa-sha256", pem))
    with timed() as spent, smtplib.SMTP("127.0.0.1", port) as relay:
        for message in messages:
            unsigned = raw = message.data[message.data.index(b"\r\nFrom: ") + 2 :]
            for selector, algorithm, key in keys:
                raw = dkimpy.sign(
                    unsigned, selector, domain, key, signature_algorithm=algorithm,
                    canonicalize=(b"relaxed", b"relaxed"),
                ) + raw  # fmt: skip
            relay.sendmail(message.sender, [message.recipient], raw)
    return spent.cpu / len(messages)


def by_threads(ws, people, port, workers):
    """Run one campaign with that many threads booking, then handing over; return the seconds."""
    campaign, handed, faults = campaign_of(ws, "threads"), outreach.Handed(), []

    def book(n):
        renderer = app.renderer(ws, campaign, shelf())
        outreach.book(renderer, people[n::workers], MARKETER, app.real_seconds)

    def hand_over(n):
        transport, mine = SmtpTransport("127.0.0.1", port, "none"), outreach.Handed()
        with HandoverJournal(ws.settings.record.parent / f"handover.{n}") as log:
            outreach.Courier(ws.desk, campaign, transport, log, MARKETER).run(mine)
        handed.handed += mine.handed

    def guarded(work, n):
        try:
            work(n)
        except BaseException as fault:
            faults.append(fault)
            raise

    with timed() as spent:
        for work in (book, hand_over):
            threads = [threading.Thread(target=guarded, args=(work, n)) for n in range(workers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert not faults, faults
    assert handed.handed == len(people), handed
    return spent


def _book_some(folder, since, people):
    ws = opened(folder, since)
    campaign = campaign_of(ws, "two")
    outreach.book(app.renderer(ws, campaign, shelf()), people, MARKETER, app.real_seconds)
    ws.close()


def _hand_over_some(folder, since, port):
    ws = opened(folder, since)
    app.deliver(ws, campaign_of(ws, "two"), MARKETER, ("127.0.0.1", port))
    ws.close()


def opened(folder, since):
    """Open a house in another process, its clock in step with the first."""
    ws = app.open(folder, at=instant(NOW))
    ws.store._clock = Ticking(since)  # noqa: SLF001 - as in `make`
    return ws


def by_processes(ws, people, port, workers):
    """Book, then hand over, with that many processes on one record; return the seconds of all."""
    spawn = multiprocessing.get_context("spawn")
    folder, since = ws.settings.folder, ws.store._clock.since  # noqa: SLF001 - as in `make`
    spent = Spent()

    def together(work, given):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        each = [spawn.Process(target=work, args=(folder, since, one)) for one in given]
        for process in each:
            process.start()
        for process in each:
            process.join()
            assert process.exitcode == 0, "a worker failed"
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.wall += time.perf_counter() - begun
        spent.cpu += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    together(_book_some, [people[n::workers] for n in range(workers)])
    together(_hand_over_some, [port] * workers)
    with ws.store.look() as view:
        handed = view.jobs(outreach.job_kind("two"), "handed")
    assert handed == len(people), f"{handed} of {len(people)} handed over"
    return spent


def profile(ws, people, port, path):
    profiler = cProfile.Profile()
    profiler.enable()
    send(ws, people, "profile", port)
    profiler.disable()
    profiler.dump_stats(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("people", nargs="?", type=int, default=5_000)
    parser.add_argument("--profile", metavar="FILE", help="write cProfile statistics, then end")
    parser.add_argument("--workers", type=int, default=2, help="threads of the last run")
    given = parser.parse_args()
    print_environment("cryptography", "dkimpy", "msgspec")
    with MailSink() as port, tempfile.TemporaryDirectory() as place:
        with timed() as making:
            ws, people = make(Path(place) / "house", given.people)
        print(f"{given.people:,} people, {PURCHASES} purchases each, made in {making.wall:.1f} s")
        if given.profile:
            profile(ws, people, port, given.profile)
            return
        run(ws, people, port, given.workers)
        ws.close()


def run(ws, people, port, workers):
    count = len(people)
    before = sum(p.stat().st_size for p in ws.settings.record.parent.glob("record.db*"))
    booking, handing, kept, booked = send(ws, people, "whole", port)
    grown = sum(p.stat().st_size for p in ws.settings.record.parent.glob("record.db*")) - before
    cpu, wall = booking.cpu + handing.cpu, booking.wall + handing.wall
    raw = primitives(ws)
    theirs = peer(ws, kept.some, port)
    print(
        f"messages of {kept.bytes / kept.count:,.0f} bytes on average, levels "
        f"{dict(sorted(booked.by_level.items()))}, {grown / count:,.0f} B on disk each\n"
        f"decide, open, fill, sign, seal, book: {booking.cpu / count * 1e6:6.0f} µs of CPU, "
        f"{booking.wall / count * 1e6:6.0f} µs of wall clock a message\n"
        f"decide again, hand over, outcome:     {handing.cpu / count * 1e6:6.0f} µs of CPU, "
        f"{handing.wall / count * 1e6:6.0f} µs of wall clock a message\n"
        f"of which the two raw signatures:      {raw * 1e6:6.0f} µs of CPU\n"
        f"peer, dkimpy + smtplib:               {theirs * 1e6:6.0f} µs of CPU a message",
        flush=True,
    )
    stage_table(ws, people[: max(count // 2, 1)], port)
    some = people[: max(count // 4, 1)]
    *longer, kept, _ = send(ws, some, "long", port, "winback-long")
    long_cpu = sum(spent.cpu for spent in longer)
    long_bytes = kept.bytes / kept.count
    both = by_threads(ws, people, port, workers)
    others = people[len(some) :]  # who got four messages is at the cap of the house
    apart = by_processes(ws, others, port, workers)
    print(f"load at the end {load()}")
    unit = "messages per CPU-second"
    row("campaign", count / cpu, peer=1 / theirs, bar=BAR, unit=unit)
    row("campaign, wall clock", count / wall, unit="messages per second")
    row(f"campaign, {long_bytes / 1e3:.0f} KB messages", len(some) / long_cpu, unit=unit)
    row(f"campaign, {workers} threads", count / both.cpu, bar=BAR, unit=unit)
    row(f"campaign, {workers} threads, wall clock", count / both.wall, unit="messages per second")
    name = f"campaign, {workers} processes"
    row(f"{name}, with their start", len(others) / apart.cpu, bar=BAR, unit=unit)
    row(f"{name}, wall clock", len(others) / apart.wall, unit="messages per second")


if __name__ == "__main__":
    sys.exit(main())
