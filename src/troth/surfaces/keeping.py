"""Retention in words and numbers: what goes, under which purpose and rule, and why."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth import app
from troth.capabilities.custody import Planned
from troth.kernel.facts import House
from troth.surfaces.web.chart import masked

_END: Final = "|"


@dataclass(frozen=True, slots=True)
class Row:
    """People of whom one thing goes or is locked away, for one reason.

    Attributes:
        people: None where it is kept back because it is small, or would tell a small one.
        does: delete, or restrict (stored, never used).
        why: One sentence.
    """

    what: str
    category: str
    purpose: str
    rule: str
    does: str
    why: str
    people: int | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a run would do now.

    Attributes:
        people: How many have something to lose; None kept back.
        leave: Of them, of how many nothing may be kept; None kept back.
    """

    people: int | None
    leave: int | None
    rows: Sequence[Row]


def foreseen(ws: app.Workspace, found: Sequence[Planned]) -> Foreseen:
    """Count people by field, category, purpose and rule; small counts are kept back together."""
    with ws.store.look() as view:
        house = ws.desk.house(view)
    people = Counter(cell for each in found for cell in _cells(ws, each))
    rows = [_row(house, cell.code, cell.count) for cell in masked(people)]
    leave = sum(each.leaves for each in found)
    known = {cell.code: cell.count for cell in masked({"all": len(found), "leave": leave})}
    ordered = sorted(rows, key=lambda row: (row.does, row.category, row.what, row.purpose))
    return Foreseen(known.get("all", 0), known.get("leave", 0), ordered)


def _cells(ws: app.Workspace, planned: Planned) -> set[str]:
    vault = ws.desk.vault
    out = set()
    for row in planned.rows:
        if row.action == "keep":
            continue
        scope, slash, _ = row.field.partition("/")
        category = scope if slash else vault.category(row.field)
        out.add(_END.join((row.rule, row.purpose, category, scope, row.action)))
    return out


def _row(house: House, code: str, people: int | None) -> Row:
    rule, purpose, category, what, does = code.split(_END)
    title = house.purposes[purpose].title if purpose in house.purposes else ""
    return Row(
        what, category, title or "no purpose", rule, does, _why(house, purpose, does), people
    )


def _why(house: House, purpose: str, does: str) -> str:
    found = house.purposes.get(purpose)
    if found is None:
        said = "No purpose may use it any more."
    else:
        said = f"Kept for {found.retention_days:,} days under this purpose; they are over."
    return said if does == "delete" else f"{said} The person asked us to use nothing: it stays."


def shown(count: int | None) -> str:
    """Write a count of people, one that is kept back in words."""
    if count is None:
        return "fewer than 10, or too near to them"
    return f"{count:,}"
