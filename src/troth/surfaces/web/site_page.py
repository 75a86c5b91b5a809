"""The console's page about the site: how to install it, what came in, each slot at each level."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.app import site, site_place
from troth.capabilities import onsite
from troth.surfaces import words
from troth.surfaces.web import chart
from troth.surfaces.web.acting import acting
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub
from troth.surfaces.web.site import Tally, said, script_digest
from troth.terms import Role

DAYS_SHOWN = 14


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page."""

    @app.api_route("/console/site", methods=READ, include_in_schema=False)
    def about(request: Request) -> Response:
        session = acting(hub, request, Role.IT, Role.MARKETER)
        return console_page(hub, request, session, "site.html", here="site", **told(hub, request))


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the page: a small number of people tells no number of events."""

    date: str
    people: str
    events: str


def told(hub: Hub, request: Request) -> dict[str, Any]:
    """Return what the page about the site shows."""
    place, wrong = site_place.settings_of(hub.ws)
    counts = site.counts(hub.ws, DAYS_SHOWN)
    tally: Tally = hub.kept["site.tally"]
    yes, no = (sum(n for (_, name), n in counts.items() if name == f"{word} site")
               for word in ("yes", "no"))  # fmt: skip
    base = f"{request.url.scheme}://{request.headers.get('host', '')}"
    return {
        "origins": place.origins,
        "wrong": wrong,
        "snippet": snippet(base),
        "callback": CALLBACK,
        "days": _days(counts),
        "yes": chart.few(yes),
        "ended": chart.few(no),
        "kept_share": f"{100 * max(0, yes - no) / yes:.0f} %" if yes >= chart.K else "",
        "signal": _share(tally),
        "slots": _previews(hub),
    }


def snippet(base: str) -> str:
    """Return what the shop puts into the head of its pages."""
    return f'<script src="{base}/collect.js?v={script_digest()}" defer></script>'


CALLBACK: Final = 'troth.consent({purpose: "site", given: true, notice: "site@1"})'
"""What the banner calls, each time it knows the answer."""


def _days(counts: Mapping[tuple[str, str], int]) -> list[Day]:
    out = []
    for date in sorted({day for day, name in counts if name == "people"}, reverse=True):
        people = counts.get((date, "people"), 0)
        events = counts.get((date, "events"), 0)
        enough = people >= chart.K
        out.append(Day(date, chart.few(people), words.number(events) if enough else "not shown"))
    return out


def _share(tally: Tally) -> str:
    """Return the share of requests under the opt-out signal; "" of too few requests."""
    if tally.all < chart.K:
        return ""
    return f"{100 * tally.signalled / tally.all:.0f} %"


def _previews(hub: Hub) -> list[dict[str, Any]]:
    """Return each slot as it reads at each level, with invented values."""
    with hub.ws.store.look() as view:
        levels = hub.ws.desk.house(view).levels
    out: list[dict[str, Any]] = []
    for name, found, wrong in site_place.slots(hub.ws):
        shown: list[tuple[str, onsite.Shown, str]] = []
        if found:
            for level in range(1, len(levels)):
                opens = frozenset[str]().union(*levels[: level + 1])
                shown.append(_preview(f"{level} {words.LEVELS[level][0]}", found, opens))
            seen = frozenset({onsite.CATEGORY})
            shown.append(_preview("What was looked at, and nothing else", found, seen))
        title = found.title if found else name
        out.append({"name": name, "title": title, "wrong": wrong, "shown": shown})
    return out


def _preview(
    title: str, found: onsite.Slot, opens: frozenset[str]
) -> tuple[str, onsite.Shown, str]:
    shown = site_place.shown_at(found, opens)
    return title, shown, words.joined(said(shown.used)) or "nothing about the visitor"
