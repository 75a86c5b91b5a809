"""Syncs and webhooks from the command line."""

from dataclasses import dataclass
from pathlib import Path

from troth.app import connections as wired
from troth.app import incoming
from troth.capabilities import connections
from troth.errors import InvalidInput
from troth.surfaces.commands.answer import Answer, columns, counted
from troth.surfaces.commands.call import Call, refused
from troth.surfaces.words import spoken
from troth.terms import Refusal, zulu

WORDS = {
    "yes": "may be written to",
    "no": "may not",
    "not_now": "not at this hour, or often enough already",
    "stopped": "stopped here at once",
    "address_kept": "addresses of nobody known, kept on the suppression list",
    "unknown_person": "people nobody knows; left out",
    "unproven": "subscribed without proof: taken as unknown, nothing opens",
    "rejected": "rows that do not read",
}


def sync_out(call: Call, name: str, out: str, *, again: bool) -> Answer:
    """Tell a target what changed since its last sync."""
    with call.opened() as ws:
        place = Path(out) if out else None
        done = wired.sync_out(ws, name, call.actor(ws), out=place, again=again)
    if isinstance(done, Refusal):
        return refused(done, "Nothing left; the attempt is recorded.")
    rows = dict(sorted(done.rows.items()))
    lines = [f"{sum(rows.values()):,} answers went to {name}, each recorded first."]
    lines += counted({WORDS[may]: n for may, n in rows.items()})
    return Answer({"target": name, "rows": rows, "cursor": done.cursor}, lines)


def sync_in(call: Call, source: str) -> Answer:
    """Take in what a mail tool says: who stopped narrows at once, a subscription waits."""
    with call.opened() as ws:
        said = ws.settings.connections.get(source, {})
        file = Path(ws.settings.folder / str(said["inbox"])) if "inbox" in said else Path(source)
        if said and "inbox" not in said:
            raise InvalidInput("the target has no inbox", "name a file, or give it inbox")
        taken = incoming.sync_in(ws, file, call.actor(ws))
    outcomes = dict(sorted(taken.outcomes.items()))
    told = {WORDS.get(name, name): n for name, n in outcomes.items() if name != "kept"}
    lines = ["Taken in; nothing was widened.", *counted(told)]
    return Answer({"outcomes": outcomes, "rejected": taken.rejected}, lines)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A webhook as its command names it."""

    url: str
    name: str
    events: str
    under: str
    local: bool


def webhook_add(call: Call, wanted: Wanted) -> Answer:
    """Make a webhook; print its secret, once."""
    kinds = tuple(word.strip() for word in wanted.events.split(",") if word.strip())
    hook = connections.Hook(wanted.name, wanted.url, kinds, wanted.under, local=wanted.local)
    with call.opened() as ws:
        secret = wired.add_webhook(ws, hook, call.actor(ws))
    return Answer(
        {"name": wanted.name, "events": sorted(kinds), "secret": secret},
        [secret, "It signs every delivery. It is shown this once: put it into the other system."],
    )


def webhook_list(call: Call) -> Answer:
    """List webhooks with their state."""
    with call.opened() as ws:
        found, zone = wired.webhook_list(ws), ws.settings.zone
    data = [
        {
            "name": s.hook.name,
            "events": list(s.hook.events),
            "ended": bool(s.hook.ended),
            "waiting": s.waiting,
            "delivered": s.done,
            "dead": s.dead,
            "last": zulu(s.last) if s.last else None,
            "failing_since": zulu(s.failing) if s.failing else None,
        }
        for s in found
    ]
    if not found:
        return Answer({"webhooks": []}, ["No webhook was made: troth webhook add URL"])
    rows = [
        (
            s.hook.name,
            "ended" if s.hook.ended else "failing" if s.failing else "well",
            f"{s.waiting:,}",
            f"{s.done:,}",
            f"{s.dead:,}",
            spoken(s.last, zone) if s.last else "never",
        )
        for s in found
    ]
    head = ("NAME", "STATE", "WAITING", "DELIVERED", "GIVEN UP", "LAST")
    return Answer({"webhooks": data}, columns([head, *rows], ""))


def webhook_end(call: Call, name: str) -> Answer:
    """End a webhook."""
    with call.opened() as ws:
        wired.end_webhook(ws, name, call.actor(ws))
    return Answer({"name": name, "state": "ended"}, ["Ended; its secret is destroyed."])


def webhook_test(call: Call, name: str) -> Answer:
    """Send it a message about nobody."""
    with call.opened() as ws:
        taken = wired.test_webhook(ws, name, call.actor(ws))
    if taken:
        return Answer({"name": name, "taken": True}, ["It took the message."])
    said = "It did not take the message: look at its address and at what it answers."
    return Answer({"name": name, "taken": False}, [said], 1)


def webhook_rotate(call: Call, name: str) -> Answer:
    """Make a new secret; the old one signs as well until the next."""
    with call.opened() as ws:
        secret = wired.rotate_webhook(ws, name, call.actor(ws))
    said = "Put it into the other system; the one before signs as well until the next change."
    return Answer({"name": name, "secret": secret}, [secret, said])


def webhook_send(call: Call) -> Answer:
    """Deliver what is due now, as the worker does by itself."""
    with call.opened() as ws:
        ws.follow()
        tried = wired.deliver_webhooks(ws)
    return Answer({"tried": tried}, [f"{tried:,} deliveries were tried."])
