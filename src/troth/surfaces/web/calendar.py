"""The calendar: campaigns, public holidays, quiet times and caps of a month, grid and list."""

import re
from calendar import Calendar as Weeks
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth import app as house
from troth.capabilities.outreach import plans, steps
from troth.errors import InvalidInput
from troth.kernel.calendars import CLOSED, Window, local_date
from troth.kernel.facts import House
from troth.kernel.rules import Rule
from troth.ports import View
from troth.surfaces import words
from troth.surfaces.web import chart
from troth.surfaces.web.acting import acting
from troth.surfaces.web.campaigns import STAFF, STAGES, said_when
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub
from troth.terms import Channel, Instant, PurposeKind, from_zulu, moment

_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the calendar."""

    @app.api_route("/console/calendar", methods=READ, include_in_schema=False)
    def month(request: Request) -> Response:
        session = acting(hub, request, *STAFF)
        with hub.ws.store.look() as view:
            shown = _month(hub, view, request.query_params.get("month", ""))
        return console_page(hub, request, session, "calendar.html", here="calendar", **shown)


def _month(hub: Hub, view: View, asked: str) -> dict[str, Any]:
    zone, found = hub.ws.settings.zone, hub.ws.desk.house(view)
    today = local_date(view.now, zone)
    named = _MONTH.fullmatch(asked)
    if asked and named is None:
        raise InvalidInput("the month does not read", "write it as 2026-11")
    first = date(int(named[1]), int(named[2]), 1) if named else today.replace(day=1)
    marks = _campaigns(view, zone)
    quiet = quiet_times(found, view.now)
    weeks = [
        [_day(each, first, today, marks.get(each, []), quiet) for each in week]
        for week in Weeks().monthdatescalendar(first.year, first.month)
    ]
    caps = found.caps.get(PurposeKind.MARKETING)
    return {
        "title": f"{first:%B %Y}",
        "weeks": weeks,
        "names": DAYS,
        "listed": [d for week in weeks for d in week if d["here"] and (d["marks"] or d["why"])],
        "before": f"{first - timedelta(days=1):%Y-%m}",
        "after": f"{(first + timedelta(days=31)):%Y-%m}",
        "hours": [_hours(each) for each in quiet],
        "caps": caps,
        "capped": _capped(view, zone),
        "empty": not any(d["marks"] for week in weeks for d in week),
    }


def _day(
    day: date, first: date, today: date, marks: list[dict[str, str]], quiet: list["Quiet"]
) -> dict[str, Any]:
    why = [said for each in quiet if (said := each.closed(day))]
    return {
        "day": day.day,
        "said": f"{DAYS[day.weekday()]} {day.day} {day:%B}",
        "iso": day.isoformat(),
        "here": day.month == first.month,
        "today": day == today,
        "marks": marks,
        "why": why,
    }


def _campaigns(view: View, zone: str) -> dict[date, list[dict[str, str]]]:
    """Place every campaign on the day it was begun, or is to begin, by its own words."""
    out: dict[date, list[dict[str, str]]] = {}
    for name, life in sorted(steps.lives(view).items()):
        when = steps.plan_of(view, name).when
        day = _begins(life, when, zone)
        if day is None or life.stage is plans.Stage.RETURNED:
            continue
        kind, said, _ = STAGES[life.stage]
        mark = {"name": name, "kind": kind, "said": said, "when": said_when(when, zone)}
        out.setdefault(day, []).append(mark)
    return out


def _begins(life: plans.Life, when: plans.When, zone: str) -> date | None:
    if life.begun:
        return local_date(life.begun, zone)
    if when.mode == "local":
        return datetime.fromisoformat(when.at).date()
    if when.mode == "instant":
        return moment(from_zulu(when.at)).astimezone(ZoneInfo(zone)).date()
    return local_date(life.due, zone) if life.due else None


@dataclass(frozen=True, slots=True)
class Quiet:
    """One rule's quiet times for e-mail."""

    rule: Rule
    window: Window

    def closed(self, day: date) -> str:
        """Say why nothing may go to anybody all of a day; "" where there are hours, or unknown."""
        try:
            if self.window.span(day) != CLOSED:
                return ""
            holiday = self.window.calendar.days.get(day)
        except InvalidInput:  # a year the calendar does not cover: the gate asks, not this page
            return ""
        return f"{self.rule.regime.upper()}: {holiday or 'no marketing on ' + f'{day:%A}s'}"


def quiet_times(found: House, at: Instant) -> list[Quiet]:
    """Return every quiet-time rule in force for marketing e-mail."""
    return [
        Quiet(rule, found.ruleset.window(rule))
        for rule in found.ruleset.rules
        if rule.kind == "window" and rule.live(at) and rule.setting(Channel.EMAIL) != "off"
    ]


def _hours(quiet: Quiet) -> dict[str, str]:
    w = quiet.window
    spans = (("Monday to Friday", w.mon_fri), ("Saturday", w.sat), ("Sunday", w.sun))
    said = [f"{name} {_span(span)}" for name, span in (*spans, ("public holidays", w.holiday))]
    where = ", ".join(sorted(quiet.rule.applies.residence)) or "everywhere"
    return {"where": where, "rule": quiet.rule.id, "said": "; ".join(said), "law": quiet.rule.law}


def _span(span: tuple[int, int]) -> str:
    opens, closes = span
    if span == CLOSED:
        return "never"
    return f"{opens // 60:02}:{opens % 60:02} to {closes // 60:02}:{closes % 60:02}"


def _capped(view: View, zone: str) -> dict[str, str] | None:
    """Say how many were at the cap when somebody was last counted."""
    seen = [(n, s) for n in steps.lives(view) if (s := house.preview_of(view, n)) is not None]
    if not seen:
        return None
    name, newest = max(seen, key=lambda pair: pair[1].at)
    people = chart.few(newest.refused.get("frequency_cap", 0))
    return {"people": people, "name": name, "at": words.spoken(from_zulu(newest.at), zone)}
