"""What must hold of a house after any crash: each check names what it found, an empty list is good.

`answered.Told` is what the processes answered for before they were killed; it outlives all of them. The
house is opened as anybody opens it, goes one round, and is then looked at from inside, by its own
files, and by what the receiving side got.
"""

import contextlib
import json
import sqlite3
import tempfile
from collections import Counter, defaultdict
from email.parser import BytesHeaderParser
from pathlib import Path

import marula

from troth.adapters import archive
from troth.adapters.anchors import FileAnchors
from troth.adapters.inbox import INDEX
from troth.adapters.witness import FileSignedSize
from troth.app import backup, housekeeping, keys, witnesses
from troth.capabilities import rights
from troth.errors import Fault
from troth.kernel import events, looking, proof, restrictions
from troth.kernel.vault import Shredded
from troth.terms import PersonId, instant

SETTLED = {"message.handed", "message.unknown", "message.failed", "message.withheld"}


def opened(folder, moment, told):
    """Open the house after a crash, let it go one round, and hold everything against `told`."""
    try:
        house = marula.House(folder, moment)
    except Fault as fault:
        return [f"opens: {fault.message}"]
    try:
        seen = Seen(house, told)
        seen.round()
        found = []
        for check in CHECKS:
            try:
                found += [f"{check.__name__}: {each}" for each in check(seen)]
            except Fault as fault:
                found.append(f"{check.__name__}: {fault.message}")
        if not found:
            seen.remember()
        return found
    finally:
        house.ws.close()


class Seen:
    """The house as one look after its round shows it."""

    def __init__(self, house, told):
        self.house, self.told, self.ws, self.desk = house, told, house.ws, house.ws.desk
        self.folder = house.folder
        self.beside = house.folder.parent
        self.wrong = []

    def round(self):
        """Let the house do what it does by itself each minute."""
        self.standings = self.ws.follow()
        housekeeping.Housekeeping(self.ws).round(instant(self.house.when()))
        self.ws.follow()
        self.chains, self.gone = {}, set()
        with self.ws.store.look() as view:
            self.size, self.entries = view.log.size, view.entries(0, view.log.size)
            for person in view.people(None, 100_000):
                try:
                    self.chains[person] = self.desk.scribe.chain(view, person)
                except Shredded:
                    self.gone.add(person)
                except Fault as fault:
                    self.wrong.append(fault.message)
        self.private = set(self.entries)
        try:
            self.lines = list(self.desk.journal.lines())
        except Fault as fault:
            self.lines = []
            self.wrong.append(fault.message)

    def rows(self, file, sql, given=()):
        con = sqlite3.connect(f"file:{self.folder / file}?mode=ro", uri=True)
        with contextlib.closing(con):
            return con.execute(sql, given).fetchall()

    def remember(self):
        """Keep what may only grow from here on."""
        self.told.journal = self.desk.journal.tips()
        self.told.fence = self.ws.keys.fence()
        self.told.shredded |= shredded(self)


def shredded(seen):
    sql = "SELECT psid, scope, kver FROM key_row WHERE state = 'shredded'"
    return set(seen.rows("keys/keys.db", sql))


# The ledger


def ledger_is_whole(seen):
    yield from seen.wrong
    yield from (f"{f.what} ({f.place})" for f in seen.ws.verify(deep=True))


def what_was_answered_is_in_the_chain(seen):
    for person, heads in seen.told.heads.items():
        chain = seen.chains.get(person)
        if chain is None and person not in seen.gone:
            yield f"nobody is under {person.hex()[:8]}"
        for n, c in heads.items():
            if proof.private_entry(bytes.fromhex(c)) not in seen.private:
                yield f"event {n} of {person.hex()[:8]} is not in the ledger"
            elif chain is not None and (len(chain) < n or chain[n - 1].c.hex() != c):
                yield f"event {n} of {person.hex()[:8]} is not the one that was answered for"


def what_was_signed_is_there(seen):
    last = FileSignedSize(seen.folder / "witness" / "signed").last()
    sizes = [a.size for a in FileAnchors(seen.folder / "witness" / "anchors").all()]
    for name, size in (("signed", last.size if last else 0), ("shown", max(sizes, default=0))):
        if size > seen.size:
            yield f"{size} entries were {name}, {seen.size} are there"
        if size < seen.told.signed:
            yield f"{seen.told.signed} entries were answered for, {size} are {name}"
    with seen.ws.store.look() as view:
        note = view.note()
    state = proof.parse_checkpoint(proof.parse_note(note)[0]).size if note else 0
    if state > seen.size or state < seen.told.signed:
        yield f"the newest note is over {state} of {seen.size} entries"
    if seen.told.vkeys - {key.vkey for key in seen.ws.signer.keys}:
        yield "a key of the ledger that was announced is not remembered"


def what_a_witness_holds_is_there(seen):
    if not seen.ws.log.trust.witnesses:
        return
    held = [size or 0 for size in witnesses.guard_outside(seen.ws).values()]
    if max(held) < seen.told.cosigned:
        yield f"{seen.told.cosigned} entries were cosigned, the witness holds {held}"


def followers_are_done(seen):
    for each in seen.standings:
        if each.lag or each.error:
            yield f"{each.name} has {each.lag} left ({each.error})"


# What people said


def erased_people_stay_unreadable(seen):
    asked = {bytes.fromhex(line["psid"]) for line in seen.lines if line["act"] == "erasure"}
    for person in rights.unfinished(seen.desk):
        yield f"the erasure of {person.hex()[:8]} is not finished"
    for person in sorted(asked | set(seen.told.erased)):
        who = person.hex()[:8]
        if not rights.is_erased(seen.desk, PersonId(person)):
            yield f"{who} is not erased"
        rows = seen.ws.keys.rows([PersonId(person)])
        if not rows or any(r.state != "shredded" or r.wrapped.strip(b"\0") for r in rows):
            yield f"{who} has a key"
        for table in ("sealed", "body", "contact_point"):
            sql = f"SELECT count(*) FROM {table} t JOIN person p ON p.id = t.person WHERE psid = ?"
            if seen.rows("data/record.db", sql, (person,))[0][0]:
                yield f"{who} has rows in {table}"
        if person in seen.chains:
            yield f"the chain of {who} opens"
    for name in seen.told.erased.values():
        if seen.house.person(name) in asked:
            yield f"{name} leads to whom it was before"


def who_left_is_left_alone(seen):
    mails = list(enumerate(received(seen)))
    for person, (name, answered, slack) in seen.told.left.items():
        late = sum(
            1 for place, (to, _) in mails if place >= answered and to.startswith(f"{name}@")
        )
        if late > slack:
            yield f"{late} mails went to {name} afterwards"
        if person in seen.gone or person in seen.told.erased:
            continue
        codes = seen.house.codes(PersonId(person))
        if not any(code.startswith(("withdrawn", "objected", "suppressed")) for code in codes):
            yield f"{name} may be mailed again"
        said = {recorded.event.type for recorded in seen.chains.get(person, ())}
        if not said & {"consent.withdrawn", "consent.objected"}:
            yield f"nothing in the chain of {name} says so"


def deleted_activity_stays_deleted(seen):
    rows = shredded(seen)
    gone = {(psid, scope) for psid, scope, _ in rows}
    for person, scopes in seen.told.deleted.items():
        missing = [scope for scope in scopes if (person, scope) not in gone]
        if missing and person not in seen.gone:
            yield f"no key of {missing[0]} of {person.hex()[:8]} was destroyed"
    if seen.told.shredded - rows:
        yield f"{len(seen.told.shredded - rows)} keys that were destroyed are not any more"


def restrictions_are_journalled(seen):
    tips = seen.desk.journal.tips()
    if tips[: len(seen.told.journal)] != seen.told.journal:
        yield f"of {len(seen.told.journal)} lines some are gone or changed"
    have = Counter(
        (line["act"], line["seq"], line.get("psid", "")) for line in seen.lines if "psid" in line
    )
    erasures = Counter(line["psid"] for line in seen.lines if line["act"] == "erasure")
    # two processes may each find the line missing and add it
    yield from (f"{psid[:8]} is erased {n} times" for psid, n in erasures.items() if n > 2)
    for person, chain in seen.chains.items():
        for recorded in chain:
            told = restrictions.line(person, recorded.event.payload, recorded.seq)
            if told and not have[told[0], recorded.seq, person.hex()]:
                yield f"no line for {recorded.event.type} at {recorded.seq}"
    for person in seen.gone:
        if not erasures[person.hex()]:
            yield f"no line for the erasure of {person.hex()[:8]}"
    lines = {(line["sup"], line["scope"], line["value"], line["reason"]) for line in seen.lines
             if line["act"] == restrictions.SUPPRESSION}  # fmt: skip
    for sup, *rest in seen.rows(
        "data/record.db", "SELECT sup, scope, value, reason FROM suppression"
    ):
        if (sup.hex(), *rest) not in lines and rest[2] not in ("hard_bounce",):
            yield f"no line for a suppression ({rest[2]})"


# Messages


def received(seen):
    """Return (recipient, reference) of every mail the receiving side got, in order."""
    index = seen.beside / "inbox" / INDEX
    lines = index.read_bytes().split(b"\n")[:-1] if index.exists() else []
    held = seen.told.mails[: len(lines)]  # read in earlier rounds
    for raw in lines[len(held) :]:
        entry = json.loads(raw)
        with (seen.beside / "inbox" / entry["file"]).open("rb") as file:
            ident = BytesHeaderParser().parse(file)["Message-ID"]
        held.append((entry["to"][0], ident.strip("<> ").partition("@")[0]))
    seen.told.mails = held
    return held


def no_message_goes_twice(seen):
    got = Counter(ref for _, ref in received(seen))
    yield from (f"{ref} was received {n} times" for ref, n in got.items() if n > 1)
    told, unknown, known = defaultdict(Counter), 0, set()
    for chain in seen.chains.values():
        for recorded in chain:
            if recorded.event.type.startswith("message.") and hasattr(
                recorded.event.payload, "ref"
            ):
                told[recorded.event.payload.ref][recorded.event.type] += 1
    jobs = dict(
        seen.rows("data/record.db", "SELECT key, state FROM job WHERE kind LIKE 'outreach.mail/%'")
    )
    for ref, ends in told.items():
        known.add(ref)
        ended = sum(n for kind, n in ends.items() if kind in SETTLED)
        unknown += ends["message.unknown"]
        if ended > 1 or ends["message.booked"] != 1:
            yield f"{ref} is told of as {dict(ends)}"
        if not ended and jobs.get(ref) not in ("ready", "leased"):
            yield f"{ref} is booked and nobody will send it ({jobs.get(ref)})"
        if ends["message.handed"] and not got[ref]:
            yield f"{ref} was handed over and never received"
        if ends["message.withheld"] and got[ref]:
            yield f"{ref} was withheld and received"
    if unknown > seen.told.unknown:
        yield f"{unknown} messages are in doubt, {seen.told.unknown} hand-overs were killed"
    lost = [ref for ref in got if ref not in known]
    if lost and not seen.gone:
        yield f"{len(lost)} mails were received that nobody booked"


# Keys


def keys_are_sound(seen):
    if seen.rows("keys/keys.db", "PRAGMA integrity_check") != [("ok",)]:
        yield "keys.db is damaged"
    broken = keys.damaged(seen.ws)
    if broken:
        yield f"{len(broken)} keys do not open"
    if seen.ws.keys.fence() < seen.told.fence:
        yield "the fence went back: these are older keys"
    with seen.ws.store.look() as view:
        for person in seen.chains:
            rows = view.sealed([person], ["contact.", "external.", "name.", "purchases/"])
            for row in rows.get(person, ()):
                if not seen.desk.vault.is_gone(person, row, view.now):
                    seen.desk.vault.reseal(person, row, view.now)  # opens it, or raises


def epochs_are_whole_or_not_begun(seen):
    held = seen.ws.keys.epochs.all()
    there = set(seen.ws.keys.provider.epochs())
    states = Counter(each.state for each in held)
    if states["current"] != 1 or states["rolling"]:
        yield f"epochs are {dict(states)}"
        return
    now = next(each.epoch for each in held if each.state == "current")
    if now < seen.told.epoch:
        yield f"epoch {seen.told.epoch} was answered for, {now} is in force"
    under = {kek for (kek,) in seen.rows("keys/keys.db", "SELECT DISTINCT kek FROM shard")}
    if under != {now}:
        yield f"shards lie under {sorted(under)}"
    for each in held:
        if (each.state == "destroyed") == (each.epoch in there):
            yield f"epoch {each.epoch} is {each.state}, its key is {each.epoch in there}"
    said = [json.loads(entry[1:]) for entry in seen.entries if b'"key.epoch"' in entry]
    leaves = Counter(leaf["epoch"] for leaf in said)
    gone = {each.epoch for each in held if each.state == "destroyed"}
    if set(leaves) != gone or any(n > 1 for n in leaves.values()):
        yield f"{sorted(gone)} are destroyed, the ledger says {dict(leaves)}"
    rolled = Counter(
        recorded.event.payload.epoch
        for recorded in seen.chains.get(seen.desk.scribe.house, ())
        if isinstance(recorded.event.payload, events.KeyActed)
        and recorded.event.payload.act == "rolled"
    )
    if (
        set(rolled) != {each.epoch for each in held if each.epoch > 1}
        or max(rolled.values(), default=1) > 1
    ):
        yield f"rolls told of: {dict(rolled)}"


# Copies


def backups_are_whole_or_none(seen):
    """A `.part` may be whole, where the kill came right before its renaming; else it never opens."""
    place = seen.beside / "backups"
    secret, own = backup.backup_secret(seen.ws), seen.ws.signer.own
    for path in [*place.glob("*.troth-backup"), *place.glob("*.part")]:
        digest = seen.told.backups.get(str(path))
        if digest not in (None, archive.digest_of(path)[0]):
            yield f"{path.name} is not the file that was made"
        with tempfile.TemporaryDirectory() as into:
            try:
                made = archive.Unpacked.read(path, secret, Path(into)).told
            except Fault as fault:
                if path.suffix != ".part":
                    yield f"{path.name}: {fault.message}"
                continue
            try:
                backup.verify_copy(Path(into) / "record.db", made, own)
            except Fault as fault:
                yield f"{path.name}: {fault.message}"
        if path.suffix == ".part":
            path.unlink()


def nothing_is_left_lying(seen):
    """Copies of data or keys that a kill left beside the originals are gone after a round."""
    held = [*(seen.folder / "data").glob(".backup-*"), *(seen.folder / "keys").glob("copy*.db")]
    yield from (f"{path.relative_to(seen.folder)} was left behind" for path in held)


# Staff


def looks_are_logged_and_told(seen):
    with seen.ws.store.look() as view:
        found = {
            (person, use.n) for person in seen.chains for use in looking.of_person(view, person)
        }
    for person, n in found:
        chain = seen.chains[person]
        if len(chain) < n or chain[n - 1].event.type != "data.read":
            yield f"a look of {person.hex()[:8]} was logged and is no event"
    for person, n in seen.told.looks:
        if person in seen.chains and (person, n) not in found:
            yield f"a look of {person.hex()[:8]} is not in the log"


CHECKS = (
    ledger_is_whole,
    what_was_answered_is_in_the_chain,
    what_was_signed_is_there,
    what_a_witness_holds_is_there,
    followers_are_done,
    erased_people_stay_unreadable,
    who_left_is_left_alone,
    deleted_activity_stays_deleted,
    restrictions_are_journalled,
    no_message_goes_twice,
    keys_are_sound,
    epochs_are_whole_or_not_begun,
    backups_are_whole_or_none,
    nothing_is_left_lying,
    looks_are_logged_and_told,
)
