"""How data is protected, in a few figures for the homes of IT and of the officer.

Each figure is looked at just now and leads to the page that shows the rows behind it. Nobody's
data is opened for any of them.
"""

from troth.app import access as rights
from troth.app import backup, doctor, keys, scans, witnesses
from troth.app.checks import Check
from troth.capabilities import rights as requests
from troth.capabilities.access import granting
from troth.errors import Fault
from troth.surfaces import words
from troth.surfaces.web.access import FIRST, advice_of
from troth.surfaces.web.backups import age
from troth.surfaces.web.parts import Hub
from troth.surfaces.web.waiting import Figure, Seen, Task, many
from troth.terms import SECOND

ACCESS, MAP, DOCTOR = "/console/access", "/console/map", "/console/doctor"
KEYS, BACKUPS, WITNESS = "/console/keys", "/console/backups", "/console/witness"
DRILL = f"{BACKUPS}#drill"
_HOUR = 3_600 * SECOND


def of_it(seen: Seen) -> list[Figure]:
    """Return one figure a page of protection, in the order of the pages."""
    hub = seen.hub
    found = doctor.examine(hub.ws)
    return [
        exposed(seen),
        _drift(hub),
        _held(found),
        _epoch(hub),
        _backed_up(seen),
        _watched(hub),
    ]


def of_officer(seen: Seen) -> list[Figure]:
    """Return open requests, who can see addresses, and emergencies not looked at."""
    every = granting.every(seen.view)
    owed = sum(bool(g.due) and not g.reviewed for g in every)
    waits = len(requests.queue(seen.view))
    late = requests.alarms(seen.view)["red"]
    return [
        Figure(words.number(waits), f"open {_plural(waits, 'request')}", "/console/requests",
               f"{many(late, 'request')} late" if late else "none is late"),
        exposed(seen),
        Figure(words.number(owed), f"emergenc{'y' if owed == 1 else 'ies'} to look at",
               f"{ACCESS}#grants",
               "somebody broke the glass" if owed else "nobody broke the glass"),
    ]  # fmt: skip


def exposed(seen: Seen) -> Figure:
    """Say how many can see whole e-mail addresses now, and how many could at first."""
    try:
        now = advice_of(seen.hub).picture.seen.e(FIRST)
    except Fault:
        return Figure("unknown", "how many see e-mail addresses", ACCESS, "not counted")
    label = f"{'person' if now == 1 else 'people'} can see e-mail addresses"
    kept = rights.days(seen.hub.ws)
    first = kept[0] if kept else None
    if first is None:
        note = "the line over time begins with the second day"
    else:
        then, day = first.full.get(FIRST, 0), words.day(first.at, seen.zone)
        note = f"as on {day}" if then == now else f"{then} on {day}"
    return Figure(words.number(now), label, ACCESS, note)


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


def _drift(hub: Hub) -> Figure:
    found = scans.standing(hub.ws)
    open_ = sum(len(each.alarming) for each in found.values())
    sources = len(hub.ws.settings.sources)
    note = f"{many(sources, 'outside source')} mapped" if sources else "no outside source is"
    label = f"{_plural(open_, 'column')} of personal data nobody mapped"
    return Figure(words.number(open_), label, MAP, note)


def _held(found: list[Check]) -> Figure:
    good, bad = (sum(each.state == state for each in found) for state in ("good", "bad"))
    word = "does" if bad == 1 else "do"
    note = f"{bad} {word} not hold" if bad else "none was found broken"
    return Figure(f"{good} of {len(found)}", "protections hold, looked at just now", DOCTOR, note)


def _epoch(hub: Hub) -> Figure:
    label = "key epoch in force"
    try:
        held = keys.standing(hub.ws)
    except Fault:
        return Figure("unknown", label, KEYS, "the key store does not answer")
    kept = [each for each in held.epochs if each.state == "kept"]
    note = f"{many(len(kept), 'old one')} to be destroyed" if kept else "no old one is left"
    if kept and (due := min(each.due for each in kept)) > held.at:
        note += f", the next on {words.day(due, hub.ws.settings.zone)}"
    return Figure(str(held.current.epoch), label, KEYS, note)


def _backed_up(seen: Seen) -> Figure:
    newest = next((b for b in backup.list_backups(seen.hub.ws) if not b.gone_at), None)
    if newest is None:
        return Figure("none", "backup yet", BACKUPS, "if this disk is lost, everything is")
    hours = (seen.view.now - newest.at) // _HOUR
    note = "restored for a trial" if newest.checked_at else "never tried"
    return Figure(age(hours), "old is the newest backup", BACKUPS, note)


def _watched(hub: Hub) -> Figure:
    trust = hub.ws.signer.trust
    count = len(trust.operators)
    label = f"outside witness{'' if count == 1 else 'es'}"
    if not count:
        return Figure("0", label, WITNESS, "nobody outside watches the ledger yet")
    met = witnesses.witnessed(hub.ws).met
    return Figure(
        words.number(count), label, WITNESS,
        "enough saw the newest head" if met else "too few saw the newest head",
    )  # fmt: skip


def drifted(seen: Seen) -> list[Task]:
    """Return each outside source in which something personal lies that no mapping knows."""
    out = []
    for name, found in sorted(scans.standing(seen.hub.ws).items()):
        if count := len(found.alarming):
            looks = "looks" if count == 1 else "look"
            text = f"{many(count, 'column')} there {looks} personal, and no mapping says so."
            title = str(seen.hub.ws.settings.sources.get(name, {}).get("title", name))
            out.append(Task("bad", "alarm", f"{title}: data nobody mapped", MAP, text))
    return out
