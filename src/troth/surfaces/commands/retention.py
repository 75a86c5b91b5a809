"""Keeping no longer than a purpose needs it: what its time is over, and deleting that."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from troth import app
from troth.capabilities.access.acts import may_act
from troth.capabilities.custody import Planned
from troth.errors import InvalidInput
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, refused
from troth.surfaces.web.chart import masked

FEW = "fewer than 10, or too near to them"


def plan(call: Call) -> Answer:
    """Count by rule and category what its time is over; deletes nothing."""
    with call.opened() as ws:
        actor = call.actor(ws)
        if (no := may_act(ws.desk, actor, app.MAY_RUN_RETENTION)) is not None:
            ws.sign()
            return refused(no, "Not looked.")
        found = app.plan_retention(ws, actor, call.watch)
        data = _counted(ws, found)
        ws.sign()
    return Answer(data, _lines(data))


def run(call: Call, *, agreed: bool, erase: bool) -> Answer:
    """Delete what its time is over; the work is an event of the house before it begins."""
    if not agreed:
        raise InvalidInput("nothing was deleted: it cannot be undone", "add --yes to do it")
    with call.opened() as ws:
        actor = call.actor(ws)
        if (no := may_act(ws.desk, actor, app.MAY_RUN_RETENTION)) is not None:
            ws.sign()
            return refused(no, "Nothing was deleted.")
        found = app.plan_retention(ws, actor, call.watch)
        done = app.run_retention(ws, found, actor, call.watch)
        leaving = [each.person for each in found if each.leaves]
        erased = app.erase_leaving(ws, leaving, actor, call.watch) if erase else 0
        ws.follow()
        ws.sign()
    data = {"fields": done["fields"], "quarters": done["scopes"], "leave": len(leaving) - erased}
    data["erased"] = erased
    lines = [f"Deleted {done['fields']:,} fields and {done['scopes']:,} quarters of behaviour."]
    lines += [f"Erased {erased:,} people of whom nothing may be kept."] if erased else []
    if data["leave"]:
        lines.append(
            f"Of {data['leave']:,} people nothing may be kept: add --erase to erase them too."
        )
    return Answer(data, lines)


def _counted(ws: app.Workspace, found: Sequence[Planned]) -> dict[str, Any]:
    """Count people by rule, category and what happens; small counts are kept back."""
    people = Counter(key for each in found for key in _keys(ws, each))
    rows = []
    for cell in masked(people):
        rule, category, action = cell.code.split(" ")
        rows.append({"rule": rule, "category": category, "do": action, "people": cell.count})
    leave = sum(each.leaves for each in found)
    known = {cell.code: cell.count for cell in masked({"all": len(found), "leave": leave})}
    return {
        "people": known.get("all", 0),
        "leave": known.get("leave", 0),
        "rows": sorted(rows, key=lambda row: (row["rule"], row["category"], row["do"])),
    }


def _keys(ws: app.Workspace, planned: Planned) -> set[str]:
    """Name rule, category and act of what is not kept."""
    vault = ws.desk.vault
    return {
        f"{row.rule} {scope if slash else vault.category(row.field)} {row.action}"
        for row in planned.rows
        if row.action != "keep"
        for scope, slash, _ in (row.field.partition("/"),)
    }


_SAID = {"delete": "goes", "restrict": "stays, stored only"}


def _lines(data: dict[str, Any]) -> list[str]:
    if not data["rows"]:
        return ["Nothing is kept longer than it may be."]
    rows = [
        (row["rule"], row["category"], _SAID[row["do"]], _shown(row["people"]))
        for row in data["rows"]
    ]
    lines = ["What its time is over, by rule and category, in people:", *columns(rows)]
    if data["leave"] != 0:
        lines.append(f"Of them nothing else may be kept either: {_shown(data['leave'])}.")
    return [*lines, "Nothing was deleted. Do it: troth retention run --yes"]


def _shown(count: int | None) -> str:
    return FEW if count is None else f"{count:,}"
