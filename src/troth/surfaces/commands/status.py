"""How a house stands: what is signed, what is open, what waits, how old, how full."""

from datetime import UTC, datetime
from typing import Any

from troth import app
from troth.kernel.following import Standing
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call
from troth.terms import SECOND, Instant, zulu

REMEDIES = {
    "clock": "set the machine's clock; until then every use is refused and nothing is written",
    "ledger": "run: troth worker, which signs each minute, or troth apply",
    "disk": "make room on this disk",
    "registry": "run: troth import registry FILE",
    "requests": "answer those that troth request list --clock red shows; then troth request run",
}
FOLLOWER = {
    "unavailable": "mend what does not answer (disk, keys, relay); it is tried again each minute",
    "evidence": "run: troth ledger verify",
}
REPORT = "it is tried again each minute; if it stays, report its code"


def status(call: Call) -> Answer:
    """Say how the house stands; exit 1 if anything is red."""
    with call.opened() as ws:
        call.actor(ws)
        found = app.house_state(ws)
    now = Instant(app.real_micros())
    reds = found.reds(now)
    rows = [*_ledger(found, now), *_followers(found), *_rest(found)]
    data: dict[str, Any] = {
        "red": [{"what": each, "remedy": _remedy(each, found)} for each in reds],
        "at": zulu(found.at),
        "ledger": {
            "size": found.size,
            "signed": found.signed,
            "signed_at": zulu(Instant(found.signed_at)) if found.signed_at else "",
        },
        "clock_behind_s": found.behind // SECOND,
        "followers": [
            {
                "name": f.name,
                "due": f.lag,
                "error": f.error,
                "since": zulu(f.since) if f.since else "",
            }
            for f in found.followers
        ],
        "waiting": found.waiting,
        "registries": [
            {"name": r.name, "days": r.days, "stale": r.stale} for r in found.registries
        ],
        "bytes": found.bytes,
        "free": found.free,
        "overdue_requests": found.overdue,
    }
    said = [f"red: {each['what']}: {each['remedy']}" for each in data["red"]]
    return Answer(data, [*(said or ["Nothing is red."]), *columns(rows)], 1 if reds else 0)


def _remedy(what: str, found: app.State) -> str:
    kind, _, name = what.partition(":")
    if kind != "follower":
        return REMEDIES[kind]
    error = next(each.error for each in found.followers if each.name == name)
    return FOLLOWER.get(error, REPORT)


def _ledger(found: app.State, now: Instant) -> list[tuple[str, str]]:
    left = found.size - found.signed
    age = _age(now - found.signed_at) if found.signed_at else "never"
    return [
        ("ledger", f"{found.size:,} entries, {left:,} not signed yet"),
        ("checkpoint", f"signed {age}"),
    ]


def _age(micros: int) -> str:
    seconds = max(0, micros // SECOND)
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:,} {unit} ago"
    return f"{seconds} seconds ago"


def _followers(found: app.State) -> list[tuple[str, str]]:
    return [(f"follower {each.name}", _standing(each)) for each in found.followers]


def _standing(each: Standing) -> str:
    if each.red:
        since = datetime.fromtimestamp(each.since // SECOND, UTC)
        return f"red: {each.lag:,} due, {each.error} since {since:%Y-%m-%d %H:%M} UTC"
    return f"open: {each.lag:,} due" if each.lag else "done"


def _rest(found: app.State) -> list[tuple[str, str]]:
    rows = [(f"waiting {kind}", f"{count:,}") for kind, count in found.waiting.items()]
    for each in found.registries:
        age = "no file" if each.days is None else f"{each.days:,} days old"
        rows.append((f"registry {each.name}", f"{age}{', out of date' if each.stale else ''}"))
    rows += [(f"disk {name}", f"{size / 1e6:,.1f} MB") for name, size in found.bytes.items()]
    return [*rows, ("disk free", f"{found.free / 1e9:,.1f} GB")]
