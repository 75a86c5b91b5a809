"""The console's home: what waits for whoever opened it, from what is recorded, without counting.

Nothing here looks at a person. Counts about people are those of the last report, said as such;
everything else is read from campaigns, published words, accounts and the ledger's own size.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.app.connections import sync_state
from troth.capabilities import access, connections, trust
from troth.capabilities.outreach import plans, steps
from troth.capabilities.trust import tally
from troth.kernel.calendars import local_date
from troth.kernel.following import Standing
from troth.kernel.rules import Rule
from troth.surfaces import reporting, words
from troth.surfaces.web import access_tasks, chart, protecting, waiting
from troth.surfaces.web.acting import Session, acting
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, checkpoint
from troth.surfaces.web.waiting import Figure, Seen, Task, day, many
from troth.terms import DAY, SECOND, ApiKey, Instant, Role, moment

KEY_DAYS = 14
STAFF = "/console/staff"
NAMED = 12
_MINUTE, _HOUR = 60 * SECOND, 3600 * SECOND
_STAFF = frozenset(map(str, words.ROLES))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way from a list to a report."""

    title: str
    href: str
    done: bool
    said: str


@dataclass(frozen=True, slots=True)
class Sofar:
    """This month as it was last counted.

    Attributes:
        behind: Entries of the ledger since that count.
    """

    month: trust.Month
    near: int
    counted: bool
    behind: int


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console`."""

    @app.api_route("/console", methods=READ, include_in_schema=False)
    def first(request: Request) -> Response:
        session = acting(hub, request)
        told = values(hub, session)
        return console_page(hub, request, session, "console_home.html", here="console", **told)


def values(hub: Hub, session: Session) -> dict[str, Any]:
    """Return what the home of this role shows; costs a few look-ups and one count kept before."""
    desk = hub.ws.desk
    made: Callable[[Seen], dict[str, Any]] = _HOMES[session.actor.role]
    with hub.ws.store.look() as view:
        hand = desk.scribe.actor(session.actor, desk.scribe.house)
        told = made(Seen(hub, view, desk.house(view), steps.lives(view), hand))
    empty: dict[str, Any] = {key: [] for key in ("numbers", "protect", "tasks", "path", "lists")}
    return {**empty, "month": None, "drill": "", **told}


# The marketer


def _marketer(seen: Seen) -> dict[str, Any]:
    stages = Counter(life.stage for life in seen.lives.values())
    sofar = _sofar(seen)
    waits = waiting.campaigns(seen)
    registries = waiting.registries(seen)
    campaigns = "/console/campaigns"
    going = stages[plans.Stage.RUNNING] + stages[plans.Stage.PAUSED]
    return {
        "numbers": [
            Figure(str(sum(t.mine for t in waits)), "campaigns wait for you", campaigns),
            Figure(str(going), "under way or paused", campaigns),
            Figure(str(stages[plans.Stage.SCHEDULED]), "on the calendar", "/console/calendar"),
            Figure(
                chart.few(sofar.month.handed), "messages this month, as last counted",
                "/console/report",
            ),
            Figure(
                chart.few(sofar.month.left_alone), "times somebody was left alone",
                "/console/report",
            ),
        ],
        "tasks": [*waits, *registries],
        "path": _path(seen, stages, sofar),
        "month": _told(sofar),
    }  # fmt: skip


def _path(seen: Seen, stages: Counter[plans.Stage], sofar: Sofar) -> list[Step]:
    """Return the way from a list to a report, and how far this house has come on it."""
    known = bool(seen.view.people(None, 1))
    segments = len({p.name for p in seen.view.published_all("audience:")})
    messages = len({p.name for p in seen.view.published_all("template:")})
    asked = stages[plans.Stage.SUBMITTED]
    agreed = sum(life.stands for life in seen.lives.values())
    begun = sum(bool(life.begun) for life in seen.lives.values())
    sent = f"{many(begun, 'campaign')} begun" if begun else ""
    path = "/console/campaigns"
    return [
        Step("List check", "/console/list", known, "people are on file" if known else ""),
        Step("Segment", "/console/segments", segments > 0, many(segments, "segment")),
        Step("Message", "/console/messages", messages > 0, many(messages, "message")),
        Step("Approval", path, agreed > 0, _approval(agreed, asked)),
        Step("Send", path, begun > 0, sent),
        Step("Report", "/console/report", sofar.counted, "counted" if sofar.counted else ""),
    ]


def _approval(agreed: int, asked: int) -> str:
    told = ((agreed, "approved"), (asked, "waiting"))
    return ", ".join(f"{count} {word}" for count, word in told if count)


# The privacy officer


def _officer(seen: Seen) -> dict[str, Any]:
    sofar = _sofar(seen)
    overdue = seen.house.ruleset.overdue_reviews(seen.view.now)
    ownerless = [p.title for p in seen.house.purposes.values() if not p.owner.strip()]
    waits = [t for t in waiting.campaigns(seen) if t.word == "waits for your yes"]
    registries = waiting.registries(seen)
    late = sum(task.kind == "bad" for task in registries)
    return {
        "numbers": [
            Figure(str(len(waits)), "campaigns wait for your yes", "/console/campaigns"),
            Figure(
                words.number(sofar.near), "attempts of ours refused this month, as last counted",
                "/console/report#near",
            ),
            Figure(str(late), "opt-out registries out of date", "#tasks"),
            Figure(str(len(overdue)), "rules past their review", "#reviews"),
            Figure(str(len(ownerless)), "purposes without an owner", "#owners"),
        ],
        "protect": protecting.of_officer(seen),
        "tasks": [*waiting.alarms(seen), *access_tasks.tasks(seen), *waits, *registries],
        "month": _told(sofar),
        "lists": [
            _listing(
                "reviews", "Rules past their review",
                "They still apply. Ask counsel whether they hold, then renew the rule file.",
                [_rule(rule) for rule in overdue], "Every rule was reviewed in time.",
            ),
            _listing(
                "owners", "Purposes without an owner",
                "Somebody should answer for each use of data. Name them in its file.",
                ownerless, "Each purpose has an owner.",
            ),
        ],
    }  # fmt: skip


def _rule(rule: Rule) -> str:
    return f"{rule.id}: {rule.title}, review was due {day(rule.review_by)}"


def _listing(ident: str, title: str, text: str, rows: list[str], nothing: str) -> dict[str, Any]:
    more = max(0, len(rows) - NAMED)
    return {
        "id": ident, "title": title, "text": text if rows else nothing, "rows": rows[:NAMED],
        "more": more,
    }  # fmt: skip


# IT


def _it(seen: Seen) -> dict[str, Any]:
    office: access.Office = seen.hub.kept["office"]
    signed, now = checkpoint(seen.view.note()), office.clock.now()
    size, standings = seen.view.log.size, seen.hub.ws.followers()
    keys = [k for k in office.store.api_keys() if not k.ended and now < k.until]
    ending = [k for k in keys if k.until - now <= KEY_DAYS * DAY]
    states = Counter(member.state for member in access.members(office))
    waits = words.number(sum(each.lag for each in standings))
    return {
        "numbers": [
            Figure(words.number(size), "entries in the ledger", "/ledger"),
            Figure(
                words.number(size - (signed.size if signed else 0)), "entries not signed yet",
                "/ledger", _signed_ago(seen.hub, now),
            ),
            Figure(waits, "effects of events still to be done", "#followers"),
            Figure(str(states["suspended"]), "accounts suspended", STAFF),
            Figure(str(len(ending)), f"API keys end within {KEY_DAYS} days", f"{STAFF}#keys"),
        ],
        "protect": protecting.of_it(seen),
        "drill": protecting.DRILL if seen.hub.report else "",
        "tasks": [
            *waiting.alarms(seen), *protecting.drifted(seen), *access_tasks.tasks(seen),
            *failing(standings), *_broken(seen), *_ending(ending, seen.zone),
            *_unasked(seen, states),
        ],
        "lists": [
            _listing(
                "followers", "What follows by itself",
                "What the house does after an event: close an address, delete, finish.",
                [standing(each) for each in standings], "",
            )
        ],
    }  # fmt: skip


def failing(standings: Iterable[Standing]) -> list[Task]:
    """Return the followers of which something failed and is still open."""
    retried = "It is tried again by itself."
    return [
        Task("bad", "failing", s.name.capitalize(), "#followers",
             f"{many(s.lag, 'event')} open: {s.error}. {retried}")
        for s in standings if s.red
    ]  # fmt: skip


def _broken(seen: Seen) -> list[Task]:
    """Return the webhooks and the targets of lists whose system does not take what leaves."""
    ws = seen.hub.ws
    live = [hook for hook in connections.hooks(seen.view) if not hook.ended]
    since = {
        **{f"Webhook {h.name}": connections.standing(seen.view, h).failing for h in live},
        **{f"List for {n}": sync_state(ws, n).failing for n in sorted(ws.settings.connections)},
    }
    return [
        Task("bad", "failing", title, "/console/connections",
             f"Not taken since {words.spoken(Instant(at), seen.zone)}. It is tried again.")
        for title, at in since.items() if at
    ]  # fmt: skip


def _ending(keys: Iterable[ApiKey], zone: str) -> list[Task]:
    return [
        Task("now", "ends soon", f"API key {key.name}", f"{STAFF}#keys",
             f"It ends on {day(local_date(key.until, zone))}. Make another before that day.")
        for key in keys
    ]  # fmt: skip


def _unasked(seen: Seen, states: Mapping[str, int]) -> list[Task]:
    """Name who is listed and has no account; in a demo doors stand in for accounts."""
    if seen.hub.report or not states["none"]:
        return []
    text = f"{many(states['none'], 'colleague')} listed without an account. Invite them."
    return [Task("now", "not invited", "Staff", STAFF, text)]


def standing(each: Standing) -> str:
    """Say how far a follower is."""
    name, waits = each.name.replace("_", " ").capitalize(), many(each.lag, "event")
    if each.red:
        return f"{name}: {waits} open, failing ({each.error})"
    return f"{name}: {waits} open" if each.lag else f"{name}: up to date"


def _signed_ago(hub: Hub, now: Instant) -> str:
    """Say how long ago the ledger was last signed, by this machine's own clock."""
    try:
        at = int((hub.ws.settings.witness / "signed").stat().st_mtime * SECOND)
    except OSError:
        return "nothing was signed yet"
    past = max(0, now - at)
    for unit, word in ((DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if past >= unit:
            return f"last signed {many(past // unit, word)} ago"
    return "last signed just now"


# Support and the agency


def _support(_seen: Seen) -> dict[str, Any]:
    return {}


_HOMES: Mapping[Role, Callable[[Seen], dict[str, Any]]] = {
    Role.MARKETER: _marketer,
    Role.OFFICER: _officer,
    Role.IT: _it,
    Role.SUPPORT: _support,
    Role.AGENCY: _support,
}


# This month, as last counted


def _sofar(seen: Seen) -> Sofar:
    """Tell this month from the counts kept; kept here too until somebody counts again."""
    cursor = int(seen.view.row(tally.TABLE, tally.CURSOR) or b"0")
    first, last = trust.month_of(f"{moment(seen.view.now):%Y-%m}")
    held = seen.hub.kept.get("home.month")
    if held is None or held[0] != (cursor, first):
        rows = trust.counted(seen.view, first, last)
        held = seen.hub.kept["home.month"] = ((cursor, first), month(rows, first, last))
    told, near = held[1]
    behind = max(0, seen.view.log.size - cursor)
    return Sofar(told, near, counted=cursor > 0, behind=behind)


def month(rows: Iterable[trust.Counted], first: date, last: date) -> tuple[trust.Month, int]:
    """Add a month's counts up as the report does; a test holds the two against each other."""
    every, near = trust.CampaignMonth(""), 0
    for row in rows:
        refused = row.kind == "use.refused"
        if row.campaign and row.kind.startswith("message."):
            every.ends[row.kind.partition(".")[2]] += row.count
        elif row.campaign and refused:
            every.refused[row.code] += row.count
        elif row.role in _STAFF and (row.kind == "claim.refused" or refused):
            near += row.count
    return trust.Month(first, last, (every,), (), (), Counter(), {}, ()), near


def _told(sofar: Sofar) -> dict[str, Any]:
    return {
        "headline": reporting.headline(sofar.month) if sofar.counted else "",
        "behind": words.number(sofar.behind),
        "fresh": sofar.behind == 0,
    }
