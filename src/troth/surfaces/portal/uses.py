"""Who used my data: every reading, message, decision and refusal by day, each with its proof."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.app import owndata, trail
from troth.errors import NotFound
from troth.kernel import events
from troth.kernel.facts import House
from troth.kernel.scribe import Recorded
from troth.surfaces import timeline
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import READ, Visit, portal_page, visiting
from troth.surfaces.portal.receipts import freshen, whole
from troth.surfaces.said import Said
from troth.surfaces.web.parts import Hub
from troth.terms import DAY, Action, Instant, Role, moment

PAGE: Final = 30
RECENT_DAYS: Final = 90
FILTERS: Final[Mapping[str, str]] = {
    "uses": N_("All uses"),
    "message": N_("Messages"),
    "decision": N_("Decisions"),
    "staff": N_("Who looked"),
    "own": N_("Your own visits"),
    "all": N_("Everything recorded"),
}
"""Filter → its label; the first one stands when nothing is chosen."""
_USES: Final = frozenset({"message", "decision", "staff"})
EMPTY: Final[Mapping[str, str]] = {
    "uses": N_("As soon as anybody uses your data, it is listed here."),
    "message": N_("As soon as a message to you is written, it is listed here."),
    "decision": N_("As soon as a use is asked for and agreed or refused, it is listed here."),
    "staff": N_("As soon as somebody of the company looks at your data, it is listed here."),
    "own": N_("As soon as you look at your own data, it is listed here."),
    "all": N_("As soon as anything is recorded about you, it is listed here."),
}
_FIRST: Final = frozenset({
    "Allowed by", "Data used", "Data", "What", "Why", "Why not", "Reason given", "How personal",
    "Channel", "Asked for", "At most", "Quiet", "Nothing before", "Answer due", "For", "How much",
})  # fmt: skip
"""Particulars shown at once; the others one click further."""


@dataclass(frozen=True, slots=True)
class Use:
    """One entry of the list.

    Attributes:
        kind: message, decision, staff, own, or a group of the time-line.
        month: Year and month in the reader's zone, 2026-11.
    """

    place: trail.Place
    recorded: Recorded
    kind: str
    month: str


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the list."""

    @app.api_route("/my/uses", methods=READ, include_in_schema=False)
    def uses(request: Request) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "timeline")
        freshen(hub)
        return _page(hub, request, visit)

    @app.api_route("/my/uses/ask", methods=READ, include_in_schema=False)
    def ask(request: Request) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "timeline")
        mark = request.query_params.get("about", "")
        if not mark:
            return RedirectResponse("/my/uses", 303)
        found = [each for each in _trail(hub, visit) if each[0].mark == mark]
        if not found:
            raise NotFound("there is no such entry about you", "choose one from the list")
        with hub.ws.store.look() as view:
            house = hub.ws.desk.house(view)
        use = _use(visit, *found[0])
        row = _row(visit, house, use, proven=False)
        about = visit.gettext(
            "About entry %(mark)s of %(day)s: %(what)s",
            mark=mark, day=row["day"], what=row["sentence"],
        )  # fmt: skip
        right = "review" if use.kind == "decision" else "access"
        return portal_page(
            hub, request, visit, "my_uses_ask.html", "uses",
            row=row, about=about, right=right, once=hub.reference(),
        )  # fmt: skip


def _trail(hub: Hub, visit: Visit) -> Sequence[tuple[trail.Place, Recorded]]:
    """Return every event of the person, newest first; what a visit has read is not read again."""
    held: trail.Trail = visit.session.kept.setdefault(f"trail:{visit.person.hex()}", trail.Trail())
    return held.look(hub.ws, visit.person)


def _page(hub: Hub, request: Request, visit: Visit) -> Response:
    asked = request.query_params
    found = [_use(visit, place, each) for place, each in _trail(hub, visit)]
    group = asked.get("group", "uses")
    group = group if group in FILTERS else "uses"
    of_group = [use for use in found if _is_of(use, group)]
    months = Counter(use.month for use in of_group)
    month = asked.get("month", "")
    month = month if month in months else ""
    shown = [use for use in of_group if month in ("", use.month)]
    pages = max(1, -(-len(shown) // PAGE))
    page = min(max(1, whole(asked.get("page", ""))), pages)
    with hub.ws.store.look() as view:
        house, now = hub.ws.desk.house(view), view.now
    part = shown[(page - 1) * PAGE : page * PAGE]
    return portal_page(
        hub, request, visit, "my_uses.html", "uses",
        summary=summary(visit, found, now),
        filters=[
            (key, visit.gettext(label), sum(_is_of(use, key) for use in found))
            for key, label in FILTERS.items()
        ],
        months=[(key, _spoken(visit, key), n) for key, n in sorted(months.items(), reverse=True)],
        group=group, month=month, page=page, pages=pages, count=len(shown),
        days=_days(hub, visit, house, part), empty=visit.gettext(EMPTY[group]),
    )  # fmt: skip


def _use(visit: Visit, place: trail.Place, each: Recorded) -> Use:
    local = moment(each.event.at).astimezone(ZoneInfo(visit.tongue.zone))
    return Use(place, each, _kind(each.event), f"{local:%Y-%m}")


def _kind(event: events.Event) -> str:
    told = event.payload
    if isinstance(told, (events.DataRead, events.VisitBegan)):
        return "own" if event.actor.startswith(f"{Role.PERSON}/") else "staff"
    if isinstance(told, (events.MessageBooked, events.MessageOutcome)):
        return "message"
    if isinstance(told, (events.UseRefused, events.UsePermitted)):
        return "decision"
    return "record"


def _is_of(use: Use, group: str) -> bool:
    if group == "uses":
        return use.kind in _USES
    return group in ("all", use.kind)


def _spoken(visit: Visit, month: str) -> str:
    year, _, number = month.partition("-")
    return visit.tongue.month(date(int(year), int(number), 1))


def summary(visit: Visit, found: Sequence[Use], now: Instant) -> str:
    """Say in one sentence what the last 90 days held."""
    since = now - RECENT_DAYS * DAY
    recent = [use.recorded.event for use in found if use.recorded.event.at >= since]
    kinds = Counter(event.type for event in recent)
    staff = sum(_kind(event) == "staff" for event in recent)
    outside = sum(getattr(event.payload, "action", "") == Action.SHARE for event in recent
                  if isinstance(event.payload, events.UsePermitted))  # fmt: skip
    say = visit.ngettext
    handed, refused = kinds["message.handed"], kinds["use.refused"]
    return visit.gettext(
        "In the last %(days)s days: %(messages)s, %(refused)s, %(looked)s, %(outside)s.",
        days=RECENT_DAYS,
        messages=say("%(n)s message", "%(n)s messages", handed),
        refused=say("%(n)s use refused", "%(n)s uses refused", refused),
        looked=say("staff looked %(n)s time", "staff looked %(n)s times", staff)
        if staff
        else visit.gettext("no staff looked"),
        outside=say("handed outside %(n)s time", "handed outside %(n)s times", outside)
        if outside
        else visit.gettext("nobody outside got anything"),
    )


def _days(
    hub: Hub, visit: Visit, house: House, part: Sequence[Use]
) -> list[tuple[str, list[dict[str, Any]]]]:
    under = trail.signed(hub.ws)
    given = [(use.place, use.recorded) for use in part]
    held = trail.proven(hub.ws, under, given)
    rows = [_row(visit, house, use, proven=ok) for use, ok in zip(part, held, strict=True)]
    return [(day, list(each)) for day, each in groupby(rows, lambda row: str(row["day"]))]


def _row(visit: Visit, house: House, use: Use, *, proven: bool) -> dict[str, Any]:
    event = use.recorded.event
    told = timeline.tell(event, house)
    say = visit.gettext, visit.ngettext
    pairs = [
        (label, label.in_(*say), said(text, *say))
        for label, text in told.particulars
        if (label, use.kind) != ("Reason given", "own")
    ]
    return {
        "mark": use.place.mark,
        "sentence": told.sentence.in_(*say),
        "who": timeline.by_whom(event).in_(*say),
        "day": visit.day(event.at),
        "time": visit.moment(event.at).rpartition(" ")[2],
        "facts": [(shown, text) for label, shown, text in pairs if label in _FIRST],
        "more": [(shown, text) for label, shown, text in pairs if label not in _FIRST],
        "proven": proven,
    }


def said(text: str, *say: Any) -> str:  # noqa: ANN401 - gettext and ngettext
    """Return a particular's text in the reader's language, if it is one that can be said."""
    return text.in_(*say) if isinstance(text, Said) else text
