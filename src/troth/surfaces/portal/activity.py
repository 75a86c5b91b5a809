"""My activity: a time-line, what of it may go, and how long it is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.app import activity as app_activity
from troth.capabilities import people
from troth.capabilities.people.activity import CATEGORIES, KEPT, MONTHS
from troth.errors import InvalidInput
from troth.kernel.calendars import local_date
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import Done, Visit, finished, portal_page, submitted, visiting
from troth.surfaces.web.parts import Hub, body_of

READ: Final = ["GET", "HEAD"]
HOME: Final = "/my/activity"
HERE: Final = "activity"
SCOPES: Final[Mapping[str, str]] = {
    "": "", "bought": "purchases", "seen": "views", "apart": app_activity.SENSITIVE,
}  # fmt: skip
"""What an address calls a category; one word, the same for everybody."""
SHOWN: Final = (
    ("", N_("Everything")),
    ("bought", N_("What you bought")),
    ("seen", N_("What you looked at")),
    ("apart", N_("Sensitive goods")),
)
TITLES: Final[Mapping[str, str]] = {
    "purchases": N_("What you bought"),
    "views": N_("What you looked at"),
    "purchases.sensitive": N_("Sensitive goods, which we never use"),
}
KINDS: Final[Mapping[str, str]] = {
    "purchase": N_("Bought"), "return": N_("Returned"), "view": N_("Looked at"),
}  # fmt: skip
CHART_MONTHS: Final = 24
WIDTH, HEIGHT = 640, 120


@dataclass(frozen=True, slots=True)
class Bar:
    """One month of the chart as drawn."""

    x: float
    y: float
    width: float
    height: float
    title: str
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as read."""

    text: str
    note: str
    time: str
    place: str


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the pages of somebody's activity."""
    _add_reading(app, hub)
    _add_deleting(app, hub)
    _add_keeping(app, hub)


def _add_reading(app: FastAPI, hub: Hub) -> None:
    @app.api_route(HOME, methods=READ, include_in_schema=False)
    def activity(request: Request) -> Response:
        visit = visiting(hub, request)
        wanted = _filter(request.query_params)
        found = app_activity.look(hub.ws, visit.eyes, visit.tongue.zone, wanted)
        bars = _bars(visit, found.months[-CHART_MONTHS:])
        return portal_page(
            hub, request, visit, "my_activity.html", HERE,
            found=found,
            days=_days(hub, visit, found.entries),
            asked=wanted,
            scope=_scope_of(wanted),
            shown=[(key, visit.gettext(text), _href(scope=key)) for key, text in SHOWN],
            kinds=[_kind(visit, word) for word in found.kinds],
            bars=bars,
            most=max(bars, key=lambda bar: bar.count, default=None),
            months=[(f"{m:%Y-%m}", visit.tongue.month(m), n) for m, n in found.months[::-1] if n],
            size=(WIDTH, HEIGHT),
            href=_href,
            numbered=_numbered,
            spoken=_spoken,
            keeps=_keeps(visit),
            spans=_spans(visit),
        )  # fmt: skip


def _numbered(words: Sequence[str]) -> list[tuple[str, str]]:
    return [(str(n), word) for n, word in enumerate(words)]


def _spoken(months: Sequence[tuple[str, str, int]]) -> list[tuple[str, str]]:
    return [(key, f"{text} ({n})") for key, text, n in months]


def _filter(asked: Mapping[str, str]) -> app_activity.Filter:
    return app_activity.Filter(
        category=SCOPES.get(asked.get("scope", ""), ""),
        kind=_number(asked, "kind", -1),
        group=_number(asked, "group", -1),
        month=app_activity.month_of(asked.get("month", "")),
        page=_number(asked, "page", 1),
    )


def _number(asked: Mapping[str, str], name: str, default: int) -> int:
    text = asked.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else default  # noqa: PLR2004 - digits of a page


def _scope_of(wanted: app_activity.Filter) -> str:
    return next(key for key, category in SCOPES.items() if category == wanted.category)


def _href(**asked: str | int) -> str:
    """Return the address of a part of the list; what is not asked for is left out."""
    told = {name: value for name, value in asked.items() if value not in ("", -1, None)}
    return f"{HOME}?{urlencode(told)}" if told else HOME


def _kind(visit: Visit, word: str) -> str:
    return visit.gettext(KINDS[word]) if word in KINDS else word.capitalize()


def _days(
    hub: Hub, visit: Visit, entries: Sequence[app_activity.Entry]
) -> list[tuple[str, list[Row]]]:
    zone = visit.tongue.zone
    return [
        (visit.day(day), [_row(hub, visit, each) for each in of_day])
        for day, of_day in groupby(entries, lambda e: local_date(e.at, zone))
    ]


def _row(hub: Hub, visit: Visit, entry: app_activity.Entry) -> Row:
    name = hub.names.get(entry.item) or visit.gettext("Item %(code)s", code=entry.item)
    told = [_kind(visit, entry.kind)]
    if entry.group:
        told.append(entry.group)
    if abs(entry.units) > 1:
        told.append(visit.gettext("%(count)s pieces", count=visit.tongue.number(entry.units)))
    if entry.currency:
        told.append(visit.tongue.amount(entry.amount, entry.currency))
    return Row(name, " · ".join(told), visit.moment(entry.at).rpartition(", ")[2], entry.place)


def _bars(visit: Visit, months: Sequence[tuple[date, int]]) -> list[Bar]:
    """Lay the chart out: a bar a month."""
    widest, step = max((n for _, n in months), default=0) or 1, WIDTH / max(1, len(months))
    return [
        Bar(
            round(i * step + 2, 1), round(HEIGHT - HEIGHT * n / widest, 1),
            round(max(2, step - 4), 1), round(HEIGHT * n / widest, 1),
            visit.tongue.month(month), n,
        )
        for i, (month, n) in enumerate(months)
    ]  # fmt: skip


# Deleting


def _add_deleting(app: FastAPI, hub: Hub) -> None:
    @app.post(f"{HOME}/entry", include_in_schema=False)
    def delete_one(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        place = app_activity.place_of(hub.ws, visit.person, form.get("place", ""))
        choice = people.Choice("entry", place)
        back = _href(scope=form.get("scope", "") if form.get("scope", "") in SCOPES else "")
        return _deleted(hub, visit, choice, back)

    @app.api_route(f"{HOME}/delete", methods=READ, include_in_schema=False)
    def check(request: Request) -> Response:
        visit = visiting(hub, request)
        asked = request.query_params
        found = app_activity.look(hub.ws, visit.eyes, visit.tongue.zone, _filter(asked))
        kind, group = _number(asked, "kind", -1), _number(asked, "group", -1)
        return _check(hub, request, visit, {
            "scope": asked.get("scope", ""),
            "kind": found.kinds[kind] if 0 <= kind < len(found.kinds) else "",
            "group": found.groups[group] if 0 <= group < len(found.groups) else "",
            "month": asked.get("month", ""),
        })  # fmt: skip

    @app.post(f"{HOME}/delete", include_in_schema=False)
    def delete(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        choice = _choice(visit, form)
        if str(sum(app_activity.count(hub.ws, visit.eyes, choice).values())) != form.get("seen"):
            return _check(hub, request, visit, form)
        return _deleted(hub, visit, choice, HOME)


def _choice(visit: Visit, form: Mapping[str, str]) -> people.Choice:
    """Read what many entries are meant; a month alone means everything in it."""
    scope, text = form.get("scope", ""), form.get("month", "")
    month = app_activity.month_of(text)
    if scope not in SCOPES or (text and month is None):
        raise InvalidInput("this names no part of your activity", "load your activity again")
    categories = (SCOPES[scope],) if scope else CATEGORIES
    kind, group = form.get("kind", ""), form.get("group", "")
    if month is None:
        return people.Choice("kind", None, categories, kind, group)
    held = app_activity.period(month, visit.tongue.zone, categories)
    return people.Choice("period", None, categories, kind, group, held.since, held.until)


def _check(hub: Hub, request: Request, visit: Visit, form: Mapping[str, str]) -> Response:
    """Show what a deletion of many would take, before it does."""
    choice = _choice(visit, form)
    counts = app_activity.count(hub.ws, visit.eyes, choice)
    month = app_activity.month_of(form.get("month", ""))
    kept = {name: form.get(name, "") for name in ("scope", "kind", "group", "month")}
    return portal_page(
        hub, request, visit, "my_activity_delete.html", HERE,
        count=sum(counts.values()),
        counts=[(visit.gettext(TITLES[name]), n) for name, n in counts.items()],
        what=_what(visit, choice, month),
        fields={**kept, "seen": str(sum(counts.values()))},
        home=HOME,
    )  # fmt: skip


def _what(visit: Visit, choice: people.Choice, month: date | None) -> list[tuple[str, str]]:
    """Name what is chosen, label and text."""
    alone = len(choice.categories) == 1
    rows = [
        (N_("What"), visit.gettext(TITLES[choice.categories[0]] if alone else N_("Everything"))),
        (N_("Kind"), _kind(visit, choice.kind) if choice.kind else ""),
        (N_("Goods"), choice.group),
        (N_("Month"), visit.tongue.month(month) if month else ""),
    ]
    return [(visit.gettext(label), text) for label, text in rows if text]


def _deleted(hub: Hub, visit: Visit, choice: people.Choice, back: str) -> Response:
    done = app_activity.delete(hub.ws, visit.person, choice, visit.actor, visit.given_by)
    said = visit.ngettext(
        "%(n)s entry is deleted. The next message and the next count use none of it.",
        "%(n)s entries are deleted. The next message and the next count use none of them.",
        done.count,
    )
    return finished(visit, back, Done(said, done.n if done.person == visit.person else 0))


# How long it is kept


def _add_keeping(app: FastAPI, hub: Hub) -> None:
    @app.api_route(f"{HOME}/keep", methods=READ, include_in_schema=False)
    def check_term(request: Request) -> Response:
        visit = visiting(hub, request)
        scope, months = _term(visit, request.query_params)
        older = months and app_activity.older(hub.ws, visit.eyes, scope, months)
        return portal_page(
            hub, request, visit, "my_activity_keep.html", HERE,
            title=visit.gettext(TITLES[scope]),
            count=older.count if older else 0,
            before=visit.day(older.before) if older else "",
            months=months or 0,
            fields={"scope": scope, "months": str(months or 0)},
            home=HOME,
        )  # fmt: skip

    @app.post(f"{HOME}/keep", include_in_schema=False)
    def keep(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        scope, months = _term(visit, form)
        before = visit.record.keeps.get(scope, 0)
        n = app_activity.keep(hub.ws, visit.person, scope, months, visit.actor, visit.given_by)
        said = visit.gettext("It is kept as long as the rules say.")
        if months is not None:
            said = visit.ngettext(
                "What is older than %(n)s month goes, now and every day.",
                "What is older than %(n)s months goes, now and every day.",
                months,
            )
        undo = (f"{HOME}/keep", {"scope": scope, "months": str(before)})
        return finished(visit, HOME, Done(said, n, undo if visit.may_grant else None))


def _term(visit: Visit, form: Mapping[str, str]) -> tuple[str, int | None]:
    """Read a kind of activity and its term; None as long as the rules say.

    Raises:
        InvalidInput: Neither is offered, or who may not agree would keep it longer.
    """
    scope, months = form.get("scope", ""), _number(form, "months", -1)
    if scope not in KEPT or months not in (0, *MONTHS):
        raise InvalidInput("activity is kept 3, 18 or 36 months, or as long as the rules say")
    held = visit.record.keeps.get(scope, 0)
    if held and (months == 0 or months > held):
        visit.require_grant()
    return scope, months or None


def _keeps(visit: Visit) -> list[tuple[str, str, str]]:
    return [
        (scope, visit.gettext(TITLES[scope]), str(visit.record.keeps.get(scope, 0)))
        for scope in KEPT
    ]


def _spans(visit: Visit) -> list[tuple[str, str]]:
    terms = [(str(m), visit.ngettext("%(n)s month", "%(n)s months", m)) for m in MONTHS]
    return [("0", visit.gettext("As long as the rules say")), *terms]
