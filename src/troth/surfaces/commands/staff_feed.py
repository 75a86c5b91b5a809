"""Staff from outside: the identity provider's secret, the directory's key, the list of leavers."""

import sys
from pathlib import Path

from troth import app
from troth.app import leavers, oidc
from troth.capabilities import access
from troth.errors import InvalidInput, NotFound
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call
from troth.surfaces.commands.staff import read_who

FILE_MAX = 16_000_000
SAID = {
    "now": "account ends now",
    "later": "account ends on that day",
    "stays": "no day is set any more",
    "done": "suspended already",
    "unknown": "nobody of this id is listed",
    "unclear": "two days for one id: nothing is done",
}


def oidc_secret(call: Call) -> Answer:
    """Keep the client secret read from standard input."""
    with call.opened() as ws:
        if oidc.provider(ws.settings) is None:
            raise NotFound("no identity provider is named", "add [signin.oidc] to troth.toml")
        oidc.secret(ws.settings).write(sys.stdin.read(FILE_MAX).strip())
    return Answer({"kept": True}, ["Kept in keys/oidc-client, readable by its owner only."])


def oidc_unbind(call: Call, who: str) -> Answer:
    """Let an id be claimed anew at the provider."""
    actor = read_who(who)
    with call.opened() as ws:
        access.unbind(app.office(ws), actor, call.actor(ws))
    said = "Whoever the provider names so next becomes this colleague. Every session is over."
    return Answer({"who": who, "state": "unbound"}, [said])


def scim_key(call: Call, days: int) -> Answer:
    """Make the directory's key; print it, once."""
    with call.opened() as ws:
        office = app.office(ws)
        lasts = days or office.limits.key_days
        key = access.make_feed_key(office, lasts, call.actor(ws))
    said = f"It speaks at /scim/v2 and nowhere else, for {lasts} days. An older one is over."
    return Answer({"key": key, "days": lasts}, [key, said, "It is shown this once."])


def leaving(call: Call, file: Path, *, now: bool) -> Answer:
    """Say what a list of leavers comes to; with `now`, do it."""
    text = _read(file)
    with call.opened() as ws:
        planned = leavers.plan_leavers(ws, text)
        ended = leavers.carry_leavers(ws, planned, call.actor(ws)) if now else 0
    rows = [
        (str(p.leaver.line), p.leaver.name, str(p.leaver.day or "-"), SAID[p.state])
        for p in planned
    ]
    found = [
        {
            "line": p.leaver.line,
            "id": p.leaver.name,
            "leaves": str(p.leaver.day) if p.leaver.day else None,
            "state": p.state,
        }
        for p in planned
    ]
    done = f"Done: {ended} accounts ended." if now else "Nothing was done. Do it with --now."
    lines = columns([("LINE", "ID", "LEAVES", "COMES TO"), *rows], "") if rows else []
    data = {"leavers": found, "done": now, "ended": ended}
    return Answer(data, [*lines, done if rows else "The file names nobody."])


def _read(file: Path) -> str:
    try:
        if file.stat().st_size > FILE_MAX:
            raise InvalidInput("the file is too long", "send it in parts")
        return file.read_text("utf-8-sig")
    except OSError:
        raise NotFound("the file cannot be read", "check its name and mode") from None
    except UnicodeDecodeError:
        raise InvalidInput("the file is no text", "write it as UTF-8") from None
