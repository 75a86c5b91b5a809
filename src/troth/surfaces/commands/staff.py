"""Accounts of staff and API keys, from the command line of whoever may read the key folder."""

from collections.abc import Callable

from troth import app
from troth.app import leavers
from troth.capabilities import access
from troth.errors import InvalidInput
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call
from troth.surfaces.words import day, spoken
from troth.terms import Action, Actor, Instant, Role, zulu

HERE = "http://localhost:8400"
_ROLES = frozenset(Role) - {Role.SYSTEM, Role.PERSON}


def read_who(text: str) -> Actor:
    """Read ROLE:ID.

    Raises:
        InvalidInput: It is none of a role of the staff.
    """
    role, _, name = text.partition(":")
    if role not in {each.value for each in _ROLES} or not name:
        raise InvalidInput(
            "this is not ROLE:ID", f"write a role of {', '.join(sorted(_ROLES))}, a colon, an id"
        )
    return Actor(Role(role), name)


def listed(call: Call) -> Answer:
    """List the staff with the state of their accounts."""
    with call.opened() as ws:
        found = access.members(app.office(ws))
        zone = ws.settings.zone
        rows = [
            (
                f"{m.actor.role}:{m.actor.id}",
                m.state,
                "+".join(m.ways) or "-",
                day(m.last, zone) if m.last else "never",
            )
            for m in found
        ]
    data = {
        "staff": [
            {
                "role": m.actor.role,
                "id": m.actor.id,
                "state": m.state,
                "ways": list(m.ways),
                "last": zulu(m.last) if m.last else None,
            }
            for m in found
        ]
    }
    if not rows:
        return Answer(data, ["Nobody is listed. Add people under [roles] in troth.toml."])
    head = ("WHO", "STATE", "SIGNS IN BY", "LAST SIGN-IN")
    return Answer(data, columns([head, *rows], ""))


def invite(call: Call, who: str, address: str) -> Answer:
    """Open an account; print its link, once."""
    return _linked(call, who, address, access.invite)


def reset(call: Call, who: str, address: str) -> Answer:
    """Delete every way to sign in; print a new link, once."""
    return _linked(call, who, address, access.reset)


def _linked(
    call: Call, who: str, address: str, run: Callable[[access.Office, Actor, Actor], str]
) -> Answer:
    actor = read_who(who)
    with call.opened() as ws:
        office = app.office(ws)
        token = run(office, actor, call.actor(ws))
        until = spoken(Instant(office.clock.now() + office.limits.invite), ws.settings.zone)
        url = f"{address or ws.settings.console_url or HERE}/enrol/{token}"
    return Answer(
        {"who": who, "link": url},
        [
            url,
            f"It works once, until {until}, while `troth serve` runs.",
            "Whoever opens it becomes this colleague: hand it over by a channel you trust.",
        ],
    )


def suspend(call: Call, who: str) -> Answer:
    """Stop an account at once."""
    actor = read_who(who)
    with call.opened() as ws:
        by = call.actor(ws)
        access.suspend(app.office(ws), actor, by)
        for end in leavers.ends(ws, by):
            end(actor)
    return Answer({"who": who, "state": "suspended"}, ["Suspended. Every session is over."])


def restore(call: Call, who: str) -> Answer:
    """Open a suspended account again."""
    actor = read_who(who)
    with call.opened() as ws:
        access.restore(app.office(ws), actor, call.actor(ws))
    return Answer({"who": who, "state": "restored"}, ["Restored, with the ways it had before."])


def make_key(call: Call, name: str, role: str, days: int, actions: tuple[str, ...]) -> Answer:
    """Make an API key; print it, once."""
    if role not in {each.value for each in _ROLES}:
        raise InvalidInput("--role names no role of the staff", f"use one of {', '.join(_ROLES)}")
    chosen = frozenset(map(Action, actions)) or access.USUAL
    with call.opened() as ws:
        office = app.office(ws)
        lasts = days or office.limits.key_days
        key = access.make_key(office, name, Role(role), chosen, lasts, call.actor(ws))
    data = {"name": name, "role": role, "actions": sorted(chosen), "days": lasts, "key": key}
    about = ", ".join(sorted(chosen))
    return Answer(
        data, [key, f"It asks as {role} about {about}, for {lasts} days. It is shown this once."]
    )


def list_keys(call: Call) -> Answer:
    """List API keys, never themselves."""
    with call.opened() as ws:
        office = app.office(ws)
        now, found = office.clock.now(), office.store.api_keys()
        rows = [
            (
                key.name,
                key.role.value,
                "+".join(sorted(key.actions)),
                day(key.until, ws.settings.zone),
                "ended" if key.ended else "active" if now < key.until else "over",
            )
            for key in found
        ]
        keys = [
            {
                "name": key.name,
                "role": key.role,
                "actions": sorted(key.actions),
                "until": zulu(key.until),
                "state": row[-1],
            }
            for key, row in zip(found, rows, strict=True)
        ]
    fields = ("name", "role", "actions", "until", "state")
    data = {"keys": keys}
    if not rows:
        return Answer(data, ["No program has a key: troth key make NAME --role marketer"])
    return Answer(data, columns([tuple(map(str.upper, fields)), *rows], ""))


def end_key(call: Call, name: str) -> Answer:
    """End an API key."""
    with call.opened() as ws:
        access.end_key(app.office(ws), name, call.actor(ws))
    return Answer({"name": name, "state": "ended"}, ["Ended. It opens nothing any more."])
