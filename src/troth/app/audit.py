"""The audit trail for a security team: what staff, keys and machinery did, as JSON lines.

Field names are those of the Elastic Common Schema 8, which most collectors read. A line names an
account by role and keyed digest and never a customer: no id, no address, no field's value. Who
needs to know whom a line is about looks the sequence up in Troth, under a case of their own.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from troth.app.workspace import Workspace
from troth.errors import EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.kernel.scribe import Recorded
from troth.terms import Actor, Body, Instant, PersonId, Role, zulu

PAGE: Final = 2_000
ECS: Final = "8.11"
UNREAD: Final = "entry.unreadable"
"""Action of a line about an entry that does not open as what was recorded."""
_OWN: Final = frozenset({Role.PERSON.value, Role.SYSTEM.value})
Told = tuple[str, str, int, Mapping[str, Any]]
"""Category and outcome in the schema's words, severity 0 to 10, and what else may be said."""


def lines(opened: Workspace, since: int = 0) -> Iterator[dict[str, Any]]:
    """Yield what a security team is told of each recorded event, in the ledger's order.

    Opens every event from `since` on, 30 to 45 µs each. An erased person's events do not open
    any more and are left out: what was told of them before stays with the collector. One that
    should open and does not is told as an alert, by its place alone.

    Args:
        opened: The workspace.
        since: First ledger sequence to look at.
    """
    spelt = _accounts(opened)
    while True:
        with opened.store.look() as view:
            page = view.body_at(since, PAGE)
            read = [found for body in page if (found := _opened(opened, body, view.now))]
        for each in read:
            told = _line(opened, each, spelt) if isinstance(each, Recorded) else each
            if told is not None:
                yield told
        if len(page) < PAGE:
            return
        since = page[-1].seq + 1


def _opened(opened: Workspace, body: Body, at: Instant) -> Recorded | dict[str, Any] | None:
    try:
        return opened.desk.scribe.read(body, at)
    except NotFound:
        return None
    except EvidenceBroken:
        return _unread(body, at)


def _unread(body: Body, at: Instant) -> dict[str, Any]:
    """Tell that an entry does not open as what was recorded; who it is about is not told."""
    event = {
        "kind": "alert",
        "provider": "troth",
        "dataset": "troth.audit",
        "action": UNREAD,
        "category": ["intrusion_detection"],
        "outcome": "unknown",
        "severity": 9,
        "sequence": body.seq,
    }
    return {"@timestamp": zulu(at), "ecs": {"version": ECS}, "event": event}


def _accounts(opened: Workspace) -> Callable[[bytes, str], str]:
    """Return what turns a chain's own digest of an account into the one all house events use."""
    scribe, staff = opened.desk.scribe, opened.settings.staff
    known = {role.value for role in Role} - _OWN

    @lru_cache(maxsize=4_096)
    def account(chain: bytes, actor: str) -> str:
        role = actor.partition("/")[0]
        for name in staff.get(role, ()) if role in known else ():
            who = Actor(Role(role), name)
            if scribe.actor(who, PersonId(chain)) == actor:
                return scribe.actor(who, scribe.house)
        return actor

    return account


def _line(
    opened: Workspace, recorded: Recorded, account: Callable[[bytes, str], str]
) -> dict[str, Any] | None:
    event = recorded.event
    role = event.actor.partition("/")[0]
    in_house = event.person == opened.desk.scribe.house
    tell = _TOLD.get(type(event.payload))
    if tell is None or (role == Role.PERSON.value and not in_house):
        return None
    category, outcome, severity, more = tell(event.payload)
    who = event.actor if in_house or role in _OWN else account(event.person, event.actor)
    return {
        "@timestamp": zulu(event.at),
        "ecs": {"version": ECS},
        "event": {
            "kind": "alert" if isinstance(event.payload, events.AlarmRaised) else "event",
            "provider": "troth",
            "dataset": "troth.audit",
            "action": event.type,
            "category": [category],
            "outcome": outcome,
            "severity": severity,
            "sequence": recorded.seq,
            "hash": recorded.c.hex(),
        },
        "user": {"id": who, "roles": [role]},
        "troth": {name: value for name, value in more.items() if value not in (None, "", ())},
    }


def _kept(category: str, severity: int, *names: str) -> Callable[[Any], Told]:
    """Tell these fields of a payload as they are; only of families that hold no personal data."""

    def tell(payload: Any) -> Told:  # noqa: ANN401 - any payload that has them
        more = {name: getattr(payload, name) for name in names}
        return category, "success", severity, more

    return tell


def _codes(payload: events.UseRefused | events.HouseRefused) -> Told:
    codes = [str(reason.get("code", "")) for reason in payload.reasons]
    more = {"purpose": payload.purpose, "use": payload.action, "reasons": codes}
    return "iam", "failure", 5, more


def _read(payload: events.DataRead) -> Told:
    kind = (payload.reason or "").partition(":")[0]
    more = {
        "purpose": payload.purpose,
        "fields": list(payload.fields),
        "reason": kind if kind.isalpha() else "",
        "use": payload.action or "read",
        "grant": payload.grant,
        "emergency": payload.emergency or None,
    }
    return "database", "success", 6 if payload.emergency else 3, more


def _staff(payload: events.StaffActed) -> Told:
    bad = payload.act in {"refused", "locked"}
    more = {"act": payload.act, "account": payload.account, "method": payload.method}
    return "authentication", "failure" if bad else "success", 6 if bad else 2, more


def _alarm(payload: events.AlarmRaised) -> Told:
    more = {"alarm": payload.alarm, "account": payload.account, "counts": payload.counts}
    return "intrusion_detection", "unknown", 9, more


_TOLD: Final[Mapping[type[Any], Callable[[Any], Told]]] = {
    events.StaffActed: _staff,
    events.AccessActed: _kept(
        "iam", 4, "act", "kind", "grant", "account", "purpose", "action", "categories", "until"
    ),
    events.DataRead: _read,
    events.UseRefused: _codes,
    events.HouseRefused: _codes,
    events.CaseActed: _kept("iam", 2, "act", "source"),
    events.ExportMade: _kept("database", 5, "export", "what", "purpose", "counts", "until"),
    events.AlarmRaised: _alarm,
    events.KeyActed: _kept("configuration", 4, "act", "epoch", "method", "until", "counts"),
    events.BackupActed: _kept("configuration", 3, "act", "kind", "backup", "size"),
    events.LogActed: _kept("configuration", 4, "act", "origin", "key", "size"),
    events.MapActed: _kept("configuration", 2, "act", "source", "counts"),
    events.HousePublished: _kept("configuration", 3, "thing", "digest"),
    events.ConnectionActed: _kept("configuration", 3, "connection", "act", "counts"),
    events.CampaignActed: _kept("process", 2, "campaign", "act", "plan"),
    events.SetProcessed: _kept("process", 2, "work", "expression", "purpose", "counts"),
    events.PersonErasing: _kept("database", 3),
}


def append(opened: Workspace, path: Path) -> tuple[int, int]:
    """Append what is new to a file and return how many lines, and the next sequence.

    The file itself remembers how far it is: its last whole line names the sequence. A line cut
    off by a crash is cut away first. Mode 0600, durable on return, repeatable.

    Raises:
        InvalidInput: The file's last line is none of these.
        Unavailable: It cannot be written.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        raise Unavailable("the audit file cannot be written", "check folder and mode") from None
    with os.fdopen(handle, "r+b") as file:
        since = _resumed(file)
        count, after = 0, since
        for count, line in enumerate(lines(opened, since), 1):  # noqa: B007 - counted after it
            after = line["event"]["sequence"] + 1
            file.write(json.dumps(line, sort_keys=True, ensure_ascii=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return count, after


def _resumed(file: Any) -> int:  # noqa: ANN401 - a file opened for reading and writing
    """Stand at the end of the last whole line and return the sequence after it."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - _TAIL)
    file.seek(start)
    tail = file.read()
    whole = tail[: tail.rfind(b"\n") + 1]
    file.seek(start + len(whole))
    file.truncate()
    if not whole.strip():
        if size > len(tail):
            raise InvalidInput("the audit file is none of Troth's", "name another file")
        return 0
    try:
        return int(json.loads(whole.splitlines()[-1])["event"]["sequence"]) + 1
    except (ValueError, KeyError, TypeError):
        raise InvalidInput("the audit file is none of Troth's", "name another file") from None


_TAIL = 65_536
