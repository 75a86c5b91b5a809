"""Requests of people about their data: taking one in, their clocks, doing what is due."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from troth.app import intake, request_letters
from troth.app import requests as desk_of
from troth.app.workspace import Workspace
from troth.capabilities import rights
from troth.capabilities.access.acts import may_act
from troth.capabilities.rights import clocks
from troth.capabilities.rights.requests import Asked
from troth.capabilities.rights.waiting import Waiting
from troth.errors import InvalidInput
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, find, refused
from troth.surfaces.words import day
from troth.terms import Instant, Role, instant, zulu

MAY_LIST = frozenset({Role.SYSTEM, Role.OFFICER, Role.SUPPORT})
MAY_RUN = frozenset({Role.SYSTEM, Role.OFFICER})
WAYS = ("letter", "mail", "phone", "shop", "agent", "portal")


@dataclass(frozen=True, slots=True)
class Letter:
    """A request as it came in.

    Attributes:
        came: The day it came, ISO 8601; "" today.
        proven: It is proven that this person asks.
    """

    right: str
    how: str
    came: str
    text: str
    key: str
    proven: bool


def open_(call: Call, person: str, letter: Letter) -> Answer:
    """Take a request in; its clock runs from the day it came."""
    if letter.how not in WAYS:
        raise InvalidInput("--how is no way", f"use one of {', '.join(WAYS)}")
    with call.opened() as ws:
        with ws.store.look() as view:
            who = find(ws, view, person)
        asked = Asked(
            letter.right,
            letter.how,
            (),
            letter.text,
            _came(ws, letter.came),
            letter.proven,
            letter.key,
        )
        made = rights.open_request(ws.desk, who, asked, call.actor(ws, who))
        request_letters.write(ws, who, made, "opened")
        ws.sign()
        zone = ws.settings.zone
    data = {**rights.status(made), "rule": made.rule, "state": made.state}
    lines = [
        f"Request {made.id}: {made.state.replace('_', ' ')}.",
        f"  An answer is due by {day(Instant(made.due - 1), zone)} ({made.rule}).",
    ]
    if made.other:
        lines.append(f"  It is a duplicate of {made.other}, and goes with it.")
    return Answer(data, lines)


def _came(ws: Workspace, text: str) -> Instant:
    if not text:
        return Instant(0)
    try:
        begun = datetime.fromisoformat(f"{text}T00:00")
    except ValueError:
        raise InvalidInput("--came is no day", "write it as 2026-11-23") from None
    return instant(begun.replace(tzinfo=ZoneInfo(ws.settings.zone)))


def list_(call: Call, colour: str) -> Answer:
    """Show every open request with its clock; names nobody, opens nothing."""
    with call.opened() as ws:
        actor = call.actor(ws)
        if (no := may_act(ws.desk, actor, MAY_LIST)) is not None:
            return refused(no, "Not shown.")
        with ws.store.look() as view:
            found, now = rights.queue(view), view.now
        rows = [_row(ws, each, now) for each in found]
        waiting = intake.waiting(ws)
    shown = [row for row in rows if colour in {"", row["colour"]}]
    data = {"requests": shown, "open": len(rows), "unproven": waiting}
    if not shown:
        return Answer(data, ["No request is open." if not rows else "None of them is like that."])
    table = columns(
        (r["id"], r["right"], r["state"], r["expected_by"][:10], f"{r['days_left']} days",
         r["colour"], r["rule"])
        for r in shown
    )  # fmt: skip
    return Answer(data, table)


def _row(ws: Workspace, each: Waiting, now: Instant) -> dict[str, Any]:
    zone = ws.settings.zone
    return {
        "id": each.id,
        "right": each.right,
        "state": each.state,
        "received": zulu(each.received),
        "expected_by": str(clocks.last_day(each.due, zone)),
        "days_left": clocks.days_left(each.due, now, zone),
        "colour": clocks.colour(each.received, each.due, now),
        "rule": each.rule,
        "extended": each.extended,
    }


def run(call: Call) -> Answer:
    """Do what is due: deletions whose days of grace are over, reminders, old rows."""
    with call.opened() as ws:
        actor = call.actor(ws)
        if (no := may_act(ws.desk, actor, MAY_RUN)) is not None:
            return refused(no, "Nothing was done.")
        done = desk_of.tend(ws)
        with ws.store.look() as view:
            alarms = rights.alarms(view)
        ws.sign()
    lines = [f"Deleted {done['erased']:,} people; reminded {done['reminded']:,}."]
    if alarms["red"]:
        lines.append(f"{alarms['red']:,} requests are overdue: answer them first.")
    if alarms["amber"]:
        lines.append(f"{alarms['amber']:,} requests are due soon.")
    return Answer({**done, "alarms": alarms}, lines)
