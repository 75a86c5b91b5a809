"""Cases on the command line: opened, closed, listed, taken in from a ticket system."""

import csv
from pathlib import Path

from troth.capabilities import people
from troth.capabilities.access import cases
from troth.capabilities.access.acts import may_act
from troth.capabilities.access.cases import Opening
from troth.errors import InvalidInput, NotFound
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, find, refused
from troth.surfaces.words import spoken
from troth.terms import DAY, Instant, zulu

COLUMNS = ("ticket", "person")
SELF_DAYS = 90
"""Over so many days it is counted how often an account opened its own cases."""


def open_one(call: Call, person: str, ticket: str, source: str) -> Answer:
    """Open a case about somebody; the event is in their chain when this returns."""
    with call.opened() as ws:
        actor, number = call.actor(ws), _number(ticket)
        if (no := may_act(ws.desk, actor, cases.MAY_OPEN)) is not None:
            return refused(no, "Not opened.")
        with ws.store.look() as view:
            who = find(ws, view, person)
        made = cases.open_case(ws.desk, who, Opening(number, source), actor)
        ws.sign()
        until = spoken(made.until, ws.settings.zone)
    data = {"reason": made.ref, "source": made.source, "until": zulu(made.until)}
    return Answer(data, [f"Opened: {made.ref}. It closes by itself on {until}."])


def _number(ticket: str) -> str:
    ref = cases.reference(ticket)
    if not ref.startswith("case:"):
        raise InvalidInput(
            "--ticket is no case number", "use letters, digits, dot, - and _, 64 at most"
        )
    return ref.removeprefix("case:")


def close_one(call: Call, person: str, ticket: str) -> Answer:
    """Close a case of somebody."""
    with call.opened() as ws:
        actor, number = call.actor(ws), _number(ticket)
        if (no := may_act(ws.desk, actor, cases.MAY_OPEN)) is not None:
            return refused(no, "Not closed.")
        with ws.store.look() as view:
            who = find(ws, view, person)
        cases.close_case(ws.desk, who, number, actor)
        ws.sign()
    return Answer({"reason": f"case:{number}"}, ["Closed. Nobody looks under it any more."])


def shown(call: Call) -> Answer:
    """List open cases without whom they are about."""
    with call.opened() as ws:
        actor = call.actor(ws)
        if (no := may_act(ws.desk, actor, cases.MAY_OPEN)) is not None:
            return refused(no, "Not shown.")
        with ws.store.look() as view:
            found = cases.under_way(view)
            own = cases.self_opened(view, Instant(view.now - SELF_DAYS * DAY))
        zone = ws.settings.zone
    rows = [(e.ref, e.source, f"until {spoken(e.until, zone)}", e.by or "") for e in found]
    lines = [f"{len(found)} cases are open.", *columns(rows)]
    if own:
        lines += [f"Opened by hand in {SELF_DAYS} days, by account:",
                  *columns((name, str(n)) for name, n in own.most_common())]  # fmt: skip
    told = [
        {"reason": e.ref, "source": e.source, "until": zulu(e.until), "by": e.by} for e in found
    ]
    return Answer({"open": told, "self_opened": dict(own)}, lines)


def take_in(call: Call, file: Path) -> Answer:
    """Open the cases of a file; a row about nobody known is counted, never shown."""
    rows = _rows(file)
    with call.opened() as ws:
        actor = call.actor(ws)
        if (no := may_act(ws.desk, actor, cases.MAY_OPEN)) is not None:
            return refused(no, "Not taken in.")
        counts = {"opened": 0, "unknown": 0}
        for row in rows:
            try:
                with ws.store.look() as view:
                    who = people.whom(ws.desk, view, row["person"].strip())
            except NotFound:
                counts["unknown"] += 1
                continue
            cases.open_case(ws.desk, who, Opening(_number(row["ticket"]), "ticket"), actor)
            counts["opened"] += 1
        ws.sign()
    lines = [f"{counts['opened']} cases are open."]
    if counts["unknown"]:
        lines.append(f"{counts['unknown']} rows name nobody known; nothing was opened for them.")
    return Answer(counts, lines)


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            reader = csv.DictReader(opened)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise InvalidInput("the file lacks a column", f"it needs {', '.join(COLUMNS)}")
            return list(reader)
    except FileNotFoundError:
        raise NotFound("the file is not there", "check the path") from None
    except (OSError, UnicodeDecodeError):
        raise InvalidInput("the file cannot be read", "write it as CSV in UTF-8") from None
