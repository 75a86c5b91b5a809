"""A house at work in a process of its own, doing whatever it draws until it is killed.

    python living.py            then lines of JSON on standard input, answers on standard output

`{"folder", "moment", "seed", "who", "names", "port", "told"}` begins a process and answers with its
id; `wait PID` answers with how it ended. Each process appends a line to the file `told` before a
piece of work (`at`), after each act it answered for (`done`) and for each refusal (`fault`). On
SIGTERM it finishes what it is at and closes the house.
"""

import contextlib
import csv
import json
import os
import random
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "stories"))
sys.path.insert(0, str(Path(__file__).parent))

import killing
import marula
from marula import MARKETER, OFFICER, House

from troth import app
from troth.adapters.inbox import INDEX
from troth.app import backup, housekeeping, keycopies, keys, rotating, witnesses
from troth.capabilities import outreach, people, preferences
from troth.capabilities.access import cases, reading
from troth.capabilities.access.cases import Opening
from troth.capabilities.people import activity
from troth.errors import Fault
from troth.terms import Actor, Role, instant

SUPPORT = Actor(Role.SUPPORT, "fatima@marula.example")
IT = Actor(Role.IT, "gareth@marula.example")
LEVELS = ("purchases.13w;purchases.52w;identity.name", "identity.name")
COPIES = 2
"""So many backups and copies of keys are left lying."""
WORK = {
    "portal": {"withdraw": 3, "stop": 1, "agree": 3, "refuse_import": 1, "delete": 3, "erase": 2,
               "keep": 1, "look": 3, "arrive": 2},
    "worker": {"campaign": 5, "housekeeping": 2, "sign": 3, "ask": 2, "roll": 1, "rotate": 1,
               "backup": 2, "copy_keys": 1, "log_key": 1, "retention": 1, "arrive": 2},
}  # fmt: skip
WORK["all"] = {**WORK["portal"], **WORK["worker"], "arrive": 3}


class Life:
    """One process: its house, what it draws, and what it has told."""

    def __init__(self, given, told):
        self.given, self.told = given, told
        self.drawn = random.Random(given["seed"])
        self.who, self.names = given["who"], list(given["names"])
        self.moment = datetime.fromisoformat(given["moment"])
        self.folder = Path(given["folder"])
        self.beside = self.folder.parent
        self.made = 0
        self.over = False
        self.house = House(self.folder, self.moment)
        self.ws, self.desk = self.house.ws, self.house.ws.desk

    def say(self, word, /, **facts):
        """Tell the parent; the line survives this process, since the system has it."""
        os.write(self.told, (json.dumps({"say": word, **facts}) + "\n").encode())

    def go_on(self):
        table = WORK[self.who]
        while not self.over:
            work = self.drawn.choices(list(table), list(table.values()))[0]
            self.say("at", work=work)
            try:
                getattr(self, work)()
            except Fault as fault:
                self.say("fault", work=work, kind=type(fault).__name__, text=fault.message)
            self.say("end", work=work)
        self.house.ws.close()

    # Whom

    def somebody(self, test=lambda _name: True):
        """Draw somebody who is there; (name, None) where nobody is."""
        with self.ws.store.look() as view:
            for name in self.drawn.sample(self.names, min(len(self.names), 30)):
                person = self.desk.find(view, name)
                if person and test(name) and not view.gather([person], None)[0].record.erasing:
                    return name, person
        return "", None

    def some(self, count):
        drawn = self.drawn.sample(self.names, min(len(self.names), 5 * count))
        with self.ws.store.look() as view:
            found = [p for p in (self.desk.find(view, name) for name in drawn) if p]
        return found[:count]

    def answered(self, kind, name, person, /, **facts):
        """Tell that somebody was answered, and where their chain stood then."""
        with self.ws.store.look() as view:
            head = self.desk.head(view, person)
        self.say("done", kind=kind, name=name, person=person.hex(), n=head.n, c=head.c.hex(),
                 mails=self.mails(), **facts)  # fmt: skip

    def mails(self):
        index = self.beside / "inbox" / INDEX
        return index.read_bytes().count(b"\n") if index.exists() else 0

    # Acts of customers

    def withdraw(self):
        name, person = self.somebody(leaves)
        if person:
            self.house.say(person, "withdrawn")
            self.answered("left", name, person)

    def stop(self):
        name, person = self.somebody(leaves)
        if person:
            preferences.stop_everything(self.desk, person, Actor(Role.PERSON, person.hex()))
            self.answered("left", name, person)

    def agree(self):
        name, person = self.somebody(lambda name: not leaves(name))
        if person:
            status = self.drawn.choice(["given", "given", "withdrawn"])
            more = {"notice": "offers@3", "method": "button", "proof": f"form:{name}"}
            self.house.say(person, status, **(more if status == "given" else {}))
            self.answered("said", name, person)

    def refuse_import(self):
        found = {name: p for name, p in (self.somebody(leaves) for _ in range(3)) if p}
        rows = [killing.stopped(name) for name in found]
        if rows:
            rows = [{**row, "occurred_at": (self.moment - timedelta(hours=1)).isoformat()}
                    for row in rows]  # fmt: skip
            self.take("consents", rows)
            for name, person in found.items():
                self.answered("left", name, person)

    def delete(self):
        name, person = self.somebody()
        if person:
            choice = self.drawn.choice([
                people.Choice("kind", group=self.drawn.choice("gh")),
                people.Choice("period", categories=("purchases",), until=instant(self.moment)),
            ])  # fmt: skip
            actor = Actor(Role.PERSON, person.hex())
            gone = activity.delete(self.desk, person, choice, actor, self.ws.settle)
            self.answered("deleted", name, person, scopes=list(gone.scopes))

    def erase(self):
        name, person = self.somebody()
        if person:
            when = "now" if self.drawn.random() < 0.15 else "daily"
            self.ws.erase(person, f"rq-{self.drawn.randrange(10**9)}", OFFICER, when)
            self.say("done", kind="erased", name=name, person=person.hex())

    def keep(self):
        name, person = self.somebody()
        if person:
            actor = Actor(Role.PERSON, person.hex())
            activity.choose_keeping(self.desk, person, "purchases", 3, actor)
            self.answered("said", name, person)

    # Files in

    def take(self, kind, rows):
        self.made += 1
        stem = f"{Path(self.given['told']).stem}-{self.made}"
        path = self.beside / "in" / f"{stem}-{kind}.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, marula.COLUMNS[kind], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return app.import_file(self.ws, kind, path, app.Extras())

    def arrive(self):
        """Somebody new comes, and some of those who are here buy something."""
        stem = f"{Path(self.given['told']).stem}x{self.made}"
        new = [f"{stem}c{n}" for n in range(self.drawn.randrange(1, 4))]
        self.say("names", names=new)
        self.names += new
        self.take("customers", map(killing.customer, new))
        self.take("consents", map(killing.given, new))
        buyers = [*new, *self.drawn.sample(self.names, min(6, len(self.names)))]
        rows = [
            {"external_id": name, "kind": "purchase", "item": self.drawn.choice(["1001", "1002"]),
             "at": (self.moment - timedelta(days=days)).isoformat(), "group": group, "units": "1",
             "amount_minor": "100", "currency": "ZAR", "store": stem}
            for name in dict.fromkeys(buyers)
            for days, group in ((1, "g"), (self.drawn.randrange(2, 500), "h"))
        ]  # fmt: skip
        self.take("events", rows)
        for name in new:
            person = self.house.person(name)
            if person:
                self.answered("came", name, person)

    # Staff

    def look(self):
        name, person = self.somebody()
        if not person:
            return
        actor, case = self.drawn.choice([SUPPORT, OFFICER]), f"c-{self.drawn.randrange(10**6)}"
        cases.open_case(self.desk, person, Opening(case, "phone"), actor)
        self.answered("case", name, person)
        asked = reading.Reading(person, actor, (), f"case:{case}")
        answer = reading.book(self.desk, asked, (), None)
        self.answered("looked", name, person, seen=hasattr(answer, "categories"))
        if self.drawn.random() < 0.5:
            cases.close_case(self.desk, person, case, actor)
            self.answered("case", name, person)

    # What a house does by itself

    def campaign(self):
        self.left_over()
        self.made += 1
        name = f"{Path(self.given['told']).stem}-{self.made}"
        campaign, chosen = self.house.campaign(name), self.some(12)
        if chosen:
            outreach.BATCH = self.drawn.choice([4, 40])
            self.house.book(chosen, campaign)
            app.deliver(self.ws, campaign, MARKETER, ("127.0.0.1", self.given["port"]))
            self.say("done", kind="sent", name=name)

    def left_over(self):
        """Hand over what a kill cut off, as a worker that comes back does."""
        with self.ws.store.look() as view:
            kinds = [kind for kind in view.waiting() if kind.startswith(outreach.JOB + "/")]
        for kind in self.drawn.sample(kinds, min(len(kinds), 2)):
            campaign = self.house.campaign(kind.partition("/")[2])
            app.deliver(self.ws, campaign, MARKETER, ("127.0.0.1", self.given["port"]))

    def housekeeping(self):
        housekeeping.Housekeeping(self.ws).round(instant(self.moment))

    def sign(self):
        note = self.ws.sign()
        self.say("done", kind="signed", size=int(note.split("\n")[1]))

    def roll(self):
        done = keys.roll(self.ws, IT)
        self.say("done", kind="rolled", epoch=done.epoch)
        keys.destroy_due(self.ws, IT)

    def rotate(self):
        if self.drawn.random() < 0.3:
            rotating.rotate_all(self.ws, IT)
            return
        name, person = self.somebody()
        if person:
            rotating.rotate_person(self.ws, person, IT)
            self.answered("said", name, person)

    def ask(self):
        found = witnesses.ask_witnesses(self.ws)
        for each in found.values():
            self.say("done", kind="cosigned", size=each.size)

    def backup(self):
        place = self.beside / "backups"
        made = backup.backup_data(self.ws, place)
        self.say("done", kind="backed up", path=str(made.path), digest=made.backup.digest)
        if self.drawn.random() < 0.3:
            backup.check_backup(self.ws, made.path)
        thin(place, "*.troth-backup")

    def copy_keys(self):
        place = self.beside / "keycopies"
        out = place / f"{Path(self.given['told']).stem}-{self.drawn.randrange(10**6)}.keys"
        keycopies.backup_keys(self.ws, out, IT)
        self.say("done", kind="copied", path=str(out))
        thin(place, "*.keys")

    def log_key(self):
        if self.ws.log.trust.witnesses or len(witnesses.witnessed(self.ws).keys) > 4:
            return  # a witness would have to be told of it by its operator
        made = witnesses.rotate_key(self.ws, IT)
        self.say("done", kind="log key", vkey=made.vkey)
        witnesses.retire_keys(self.ws, IT)

    def retention(self):
        planned = app.plan_retention(self.ws, OFFICER)
        app.run_retention(self.ws, planned, OFFICER)


def leaves(name):
    """Half of the people say no for good; the others change their minds."""
    return sum(name.encode()) % 2 == 0


def thin(place, pattern):
    for path in sorted(place.glob(pattern), key=lambda each: each.stat().st_mtime_ns)[:-COPIES]:
        path.unlink(missing_ok=True)


def live(given):
    """Live one life, in the process that was begun for it."""
    told = os.open(given["told"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    life = None

    def end(*_):
        if life is None:
            os._exit(0)
        life.over = True

    signal.signal(signal.SIGTERM, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.write(told, b'{"say": "open"}\n')
    try:
        life = Life(given, told)
        life.say("go")
        life.go_on()
        life.say("closed")
    except BaseException as fault:  # whatever it is, the parent must hear of it
        where = fault.__traceback__
        while where.tb_next:
            where = where.tb_next
        place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}"
        line = {"say": "broken", "kind": type(fault).__name__, "text": f"{fault} at {place}"}
        os.write(told, (json.dumps(line) + "\n").encode())
        os._exit(1)
    os._exit(0)


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # until a child can take it
    for line in sys.stdin:
        if line.startswith("wait"):
            _, status = os.waitpid(int(line.split()[1]), 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        given = json.loads(line)
        child = os.fork()
        if not child:
            with contextlib.suppress(OSError):
                os.setpgid(0, 0)
            live(given)
        print(child, flush=True)


if __name__ == "__main__":
    main()
