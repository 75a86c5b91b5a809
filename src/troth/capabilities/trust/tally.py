"""Counts of what was done, day by day, read from the record itself and kept up to a cursor.

Nothing on the way of a message waits for these: they are caught up when somebody asks. A row names
a day, a kind and a few dimensions, never a person; it outlives an erasure, as any number does.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import msgspec

from troth.kernel import events
from troth.kernel.desk import Desk
from troth.kernel.vault import Shredded
from troth.ports import View
from troth.terms import Actor, Body, moment

TABLE, CURSOR = "trust.tally", b"\xffcursor"
PAGE = 2_000
FROM_CAMPAIGN: Final = "campaign:"


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something happened on one day, as far as it is recorded by now.

    Attributes:
        day: In UTC; of an act that was recorded later, the day it happened.
        kind: An event's tag, such as `message.handed` or `use.refused`.
        code: The first reason of a refusal or of what was held back, the kind of what came back.
        role: Whose act it was.
    """

    day: date
    kind: str
    purpose: str
    campaign: str
    code: str
    role: str
    count: int


_Key = tuple[str, str, str, str, str, str]


def catch_up(desk: Desk, actor: Actor, progress: Callable[[int], None] = lambda _: None) -> int:
    """Count what was recorded since the last time; return how many events were read.

    Work over people is a house event before it runs; where only the house's own chain grew, none
    is needed. Can be repeated and cut off anywhere: counts and cursor move in one commit. About
    40 µs an event.

    Raises:
        Unavailable: The record takes no writes now; what was counted before stays.
    """
    read, announced = 0, False
    while True:
        with desk.store.look() as view:
            start = _cursor(view)
            bodies = view.body_at(start, PAGE)
            if not bodies:
                return read
            if not announced and any(body.person != desk.scribe.house for body in bodies):
                told = events.SetProcessed("report", "tally", view.log.size, {}, "")
                desk.record_house(told, actor)
                announced = True
            found = _count(desk, view, bodies)
        with desk.store.book() as tx:
            if _cursor(tx) != start:
                continue  # somebody else counted these meanwhile
            for key, count in found.items():
                name = msgspec.json.encode(key)
                held = tx.row(TABLE, name)
                tx.put_row(TABLE, name, b"%d" % (count + int(held or b"0")))
            tx.put_row(TABLE, CURSOR, b"%d" % (bodies[-1].seq + 1))
        read += len(bodies)
        progress(read)


def uncounted(view: View) -> int:
    """Return how many entries of the ledger were recorded since the last count."""
    return max(0, view.log.size - _cursor(view))


def _cursor(view: View) -> int:
    return int(view.row(TABLE, CURSOR) or b"0")


def _count(desk: Desk, view: View, bodies: Iterable[Body]) -> Counter[_Key]:
    held = list(bodies)
    desk.vault.keys.load(list({body.person for body in held}), view.now)
    found: Counter[_Key] = Counter()
    for body in held:
        try:
            event = desk.scribe.read(body, view.now).event
        except Shredded:
            continue
        if (key := _key(event)) is not None:
            found[key] += 1
    return found


def _key(event: events.Event) -> _Key | None:
    make = _DIMENSIONS.get(type(event.payload))
    if make is None:
        return None
    purpose, campaign, code = make(event.payload)
    role = event.actor.partition("/")[0]
    happened = events.act_time(getattr(event.payload, "occurred_at", None), event.at)
    day = moment(happened).date().isoformat()
    return day, event.type, purpose, campaign, code, role


_Dimensions = tuple[str, str, str]


def _first(reasons: Iterable[Mapping[str, str]] | None) -> str:
    return next((reason["code"] for reason in reasons or ()), "")


def _act(told: events.ConsentAct) -> _Dimensions:
    source = told.source or ""
    named = source.removeprefix(FROM_CAMPAIGN) if source.startswith(FROM_CAMPAIGN) else ""
    return told.purpose, named, ""


def _suppression(told: events.SuppressionAdded) -> _Dimensions:
    named = told.source.removeprefix(FROM_CAMPAIGN) if FROM_CAMPAIGN in told.source else ""
    return told.value or "", named, told.reason


_DIMENSIONS: Mapping[type, Callable[[Any], _Dimensions]] = {
    events.ConsentAct: _act,
    events.MessageBooked: lambda told: (told.purpose, told.campaign or "", ""),
    events.MessageOutcome: lambda told: (
        "",
        told.campaign or "",
        _first(told.reasons) or told.kind or "",
    ),
    events.UseRefused: lambda told: (told.purpose, told.campaign or "", _first(told.reasons)),
    events.UsePermitted: lambda told: (told.purpose, "", ""),
    events.HouseRefused: lambda told: (told.purpose, told.campaign or "", _first(told.reasons)),
    events.DataRead: lambda told: (told.purpose, "", ""),
    events.SuppressionAdded: _suppression,
    events.PersonCreated: lambda _told: ("", "", ""),
    events.PersonErasing: lambda _told: ("", "", ""),
}


def counted(view: View, first: date, last: date) -> list[Counted]:
    """Return the counts of these days, both included, in UTC."""
    out: list[Counted] = []
    after = msgspec.json.encode((first.isoformat(),))[:-1]
    end = msgspec.json.encode((last.isoformat(),))[:-1] + b"\xff"
    while page := view.rows(TABLE, b"", after, 1_000):
        for name, raw in page:
            if name > end:
                return out
            day, kind, purpose, campaign, code, role = msgspec.json.decode(name)
            when = date.fromisoformat(day)
            out.append(Counted(when, kind, purpose, campaign, code, role, int(raw)))
        after = page[-1][0]
    return out
