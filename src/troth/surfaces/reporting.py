"""The monthly report in words: one page for those who answer for what was done."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from troth.app import Workspace
from troth.capabilities import insight, trust
from troth.engines.paper import Block, pdf
from troth.kernel import events
from troth.surfaces import timeline, words
from troth.surfaces.web import chart
from troth.terms import Actor, Role, zulu

NOT_SHOWN = "not shown"
DEEDS_SHOWN = 40
AGREED = ("given", "reaffirmed")
NOT = ("refused", "withdrawn", "objected", "opted_out")
_ACTS = {
    "drafted": "wrote", "submitted": "asked for approval of", "approved": "approved",
    "returned": "returned", "scheduled": "scheduled", "started": "started", "paused": "paused",
    "resumed": "resumed", "stopped": "stopped", "finished": "finished", "tested": "tested",
}  # fmt: skip
_STAFF = {
    "enrolled": "set up signing in", "locked": "was locked out after wrong codes",
    "recovered": "used a recovery code", "suspended": "was suspended", "restored": "was let in "
    "again", "key_made": "made an API key", "key_ended": "ended an API key",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A table's row: its cells in words."""

    cells: tuple[str, ...]


def make(ws: Workspace, text: str, actor: Actor) -> trust.Month:
    """Count up to now, then tell a month; that it was counted is recorded first.

    Raises:
        InvalidInput: `text` is no month.
    """
    trust.month_of(text)
    trust.catch_up(ws.desk, actor)
    return read(ws, text)


def read(ws: Workspace, text: str) -> trust.Month:
    """Tell a month as it was counted last; writes nothing.

    Raises:
        InvalidInput: `text` is no month.
    """
    return trust.month(ws.desk, *trust.month_of(text))


def is_counted(ws: Workspace) -> bool:
    """Tell whether anything was ever counted: what was not is shown as missing, not as nought."""
    with ws.store.look() as view:
        return trust.uncounted(view) < view.log.size


def uncounted(ws: Workspace) -> int:
    """Return how many entries were recorded since the last count."""
    with ws.store.look() as view:
        return trust.uncounted(view)


def title(month: trust.Month) -> str:
    """Return the month's name."""
    return f"{month.first:%B %Y}"


def headline(month: trust.Month) -> str:
    """Say the month in one sentence."""
    if not month.handed and not month.left_alone:
        return f"In {title(month)} no campaign wrote to anybody."
    return (
        f"In {title(month)}, {chart.few(month.handed)} messages left the house, and "
        f"{chart.few(month.left_alone)} times somebody was left alone."
    )


def figures(month: trust.Month) -> list[tuple[str, str]]:
    """Return at most five figures and what they count."""
    said: Counter[str] = sum(month.said.values(), Counter())
    back = sum(said[status] for status in NOT)
    return [
        (chart.few(month.handed), "messages handed over"),
        (chart.few(month.left_alone), "times somebody was left alone, for a recorded reason"),
        (chart.few(back), "said no, or took an agreement back"),
        (chart.few(month.complained), "messages reported as unwanted"),
        (str(sum(miss.count for miss in month.near_misses)), "attempts of ours that were refused"),
    ]


def campaigns(month: trust.Month) -> list[Row]:
    """Return each campaign's row; what a column's total would tell is not shown either."""
    exact = _by_campaign(month)
    free = open_counts(exact)
    return [Row((name, *_cells(exact[name], free[name]))) for name in exact]


def _by_campaign(month: trust.Month) -> dict[str, dict[str, int]]:
    return {
        each.name: {
            "handed": each.ends["handed"],
            "left_alone": sum(each.refused.values()),
            "withheld": each.ends["withheld"],
            "bounced": each.ends["bounced"],
            "complained": each.ends["complained"],
            "taken_back": each.taken_back,
        }
        for each in month.campaigns
    }


def open_counts(rows: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int | None]]:
    """Keep back, column by column, what is small and what a column's total would tell.

    >>> open_counts({"a": {"n": 40}, "b": {"n": 12}, "c": {"n": 3}})
    {'a': {'n': 40}, 'b': {'n': None}, 'c': {'n': None}}
    """
    columns = {name: None for row in rows.values() for name in row}
    free = {
        column: insight.hide({name: row[column] for name, row in rows.items()}, chart.K)
        for column in columns
    }
    return {name: {column: free[column][name] for column in row} for name, row in rows.items()}


def _cells(exact: Mapping[str, int], free: Mapping[str, int | None]) -> Iterator[str]:
    for column, count in exact.items():
        yield chart.few(count) if free[column] is not None or count < chart.K else NOT_SHOWN


CAMPAIGN_HEADS = (
    "Campaign", "Mailed", "Left alone", "Held back", "Came back", "Reported", "Took back",
)  # fmt: skip


def reasons(month: trust.Month) -> list[chart.Counted]:
    """Return why people were left alone, small counts kept back."""
    return chart.masked(dict(sum((each.refused for each in month.campaigns), Counter())))


def answers(ws: Workspace, month: trust.Month) -> list[Row]:
    """Return what people said, by purpose."""
    with ws.store.look() as view:
        house = ws.desk.house(view)
    exact = {
        purpose: {"yes": sum(said[s] for s in AGREED), "no": sum(said[s] for s in NOT)}
        for purpose, said in month.said.items()
    }
    free = open_counts(exact)
    return [
        Row((timeline.titled(house, purpose), *_cells(exact[purpose], free[purpose])))
        for purpose in exact
    ]


def near_misses(month: trust.Month) -> list[Row]:
    """Return what staff asked for and did not get."""
    return [
        Row(
            (
                words.ROLES.get(miss.role, miss.role),
                miss.purpose.replace("_", " "),
                words.title(miss.code),
                words.number(miss.count),
            )
        )
        for miss in month.near_misses
    ]


def reads(month: trust.Month) -> list[Row]:
    """Return how often data of people was opened, by role."""
    said = {"person": "People themselves", "system": "The system", **words.ROLES}
    return [
        Row((said.get(role, role), chart.few(count))) for role, count in month.reads.most_common()
    ]


def deeds(ws: Workspace, month: trust.Month) -> list[Row]:
    """Return who did what, newest first; what the system did for nobody is left out."""
    staff = [(Role(r), name) for r, names in ws.settings.staff.items() for name in names]
    names = trust.named(ws.desk, staff)
    out = []
    for deed in reversed(month.deeds):
        said = _deed(deed.what)
        if not said:
            continue
        role = deed.by.partition("/")[0]
        who = names.get(deed.by, "").partition("@")[0].capitalize()
        part = words.ROLES.get(role, "the system" if role == "system" else role)
        by = f"{who} ({part.lower()})" if who else part
        out.append(Row((words.spoken(deed.at, ws.settings.zone), by, said)))
    return out[:DEEDS_SHOWN]


def _campaign_deed(what: events.CampaignActed) -> str:
    note = f": {what.note}" if what.note else ""
    return f"{_ACTS.get(what.act, what.act)} the campaign {what.campaign}{note}"


def _published(what: events.HousePublished) -> str:
    kind, _, name = what.thing.partition(":")
    return f"published the {kind} {name.replace('@', ', version ')}"


_DEEDS: Mapping[type, Callable[[Any], str]] = {
    events.CampaignActed: _campaign_deed,
    events.HousePublished: _published,
    events.StaffActed: lambda what: _STAFF.get(what.act, ""),
    events.ConnectionActed: lambda what: f"{what.act} the connection {what.connection}",
    events.RegistryApplied: lambda what: (
        f"applied the opt-out registry {what.registry}, as of {what.as_of[:10]}"
    ),
    events.RegistryWaived: lambda what: (
        f"decided to go on without a fresh registry {what.registry}: {what.reason}"
    ),
    events.ImportFinished: lambda what: f"took in a file of {what.kind}",
}


def _deed(what: events.Payload) -> str:
    return _DEEDS[type(what)](what)


def owners(month: trust.Month) -> list[Row]:
    """Return who answers for each purpose."""
    return [
        Row((p.title, p.kind.replace("_", " "), p.owner or "nobody named")) for p in month.purposes
    ]


def data(ws: Workspace, month: trust.Month) -> dict[str, Any]:
    """Return the report for programs; small counts are null."""
    with ws.store.look() as view:
        now = view.now
    return {
        "month": f"{month.first:%Y-%m}",
        "at": zulu(now),
        "handed": _count(month.handed),
        "left_alone": _count(month.left_alone),
        "campaigns": [
            {"name": name, **counts} for name, counts in open_counts(_by_campaign(month)).items()
        ],
        "reasons": {cell.code: cell.count for cell in reasons(month)},
        "near_misses": [
            {"role": m.role, "purpose": m.purpose, "code": m.code, "count": m.count}
            for m in month.near_misses
        ],
        "owners": {p.name: p.owner for p in month.purposes},
        "k": chart.K,
    }


def _count(count: int) -> int | None:
    return None if 0 < count < chart.K else count


def paper(ws: Workspace, month: trust.Month, mark: str = "") -> bytes:
    """Write the report as a PDF; a page or two. A mark says at each foot whose copy it is."""
    out = [
        Block(f"{ws.settings.title}: {title(month)}", "title"),
        Block(headline(month), space=8),
        *(Block(label, label=number, space=6) for number, label in figures(month)),
    ]
    tables: Mapping[str, Iterable[str]] = {
        "Campaigns": (_campaign_line(row) for row in campaigns(month)),
        "What people said": (_pair("agreed {1}, said no {2}", row) for row in answers(ws, month)),
        "Refused attempts of ours": (_pair("{1}: {2}, {3} times", r) for r in near_misses(month)),
        "Who opened data": (_pair("{1} times", row) for row in reads(month)),
        "Who did what": (f"{r.cells[0]}|{r.cells[1]} {r.cells[2]}" for r in deeds(ws, month)),
        "Who answers for what": (_pair("{1}: {2}", row) for row in owners(month)),
    }
    for heading, lines in tables.items():
        made = list(lines) or ["None|Nothing of the kind in this month."]
        out.append(Block(heading, "heading", space=16, keep=True))
        for line in made:
            label, _, text = line.partition("|")
            out.append(Block(text, label=label, space=4))
    foot = " · ".join(filter(None, (ws.settings.title, title(month), mark)))
    return pdf(f"Report {title(month)}", out, foot)


def _campaign_line(row: Row) -> str:
    pairs = zip(CAMPAIGN_HEADS[1:], row.cells[1:], strict=True)
    return f"{row.cells[0]}|" + ", ".join(f"{head.lower()} {cell}" for head, cell in pairs)


def _pair(form: str, row: Row) -> str:
    return f"{row.cells[0]}|" + form.format(*row.cells)
