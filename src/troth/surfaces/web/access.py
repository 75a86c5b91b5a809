"""Access, for IT and the officer: who could see what, what is unused, rights for a while."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.app import access as rights
from troth.capabilities.access import granting, reviews, withholding
from troth.capabilities.access.exposure import Day, Seen
from troth.capabilities.access.tighten import Proposal, Replay
from troth.errors import NotFound
from troth.surfaces import words
from troth.surfaces.access_words import ACTIONS, called, people
from troth.surfaces.web import chart
from troth.surfaces.web.access_rows import (
    BREAKERS,
    DONE,
    ask_page,
    grant_row,
    names_of,
    review_page,
)
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import SECOND, Actor, Instant, Role

KEEPERS = (Role.IT, Role.OFFICER)
FIRST = "contact.email"
SHOWN = 5
WIDE, HIGH = 600, 120
_TEN = 600 * SECOND


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page of access, the page to ask, and what they do."""

    @app.api_route("/console/access", methods=READ, include_in_schema=False)
    def seen(request: Request) -> Response:
        return _page(hub, request, acting(hub, request, *KEEPERS))

    @app.api_route("/console/access/review", methods=READ, include_in_schema=False)
    def review(request: Request) -> Response:
        return review_page(hub, request, acting(hub, request, *KEEPERS))

    @app.api_route("/console/access/ask", methods=READ, include_in_schema=False)
    def ask(request: Request) -> Response:
        return ask_page(hub, request, acting(hub, request))

    @app.post("/console/access/{act}", include_in_schema=False)
    def change(act: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        if act in _OWN_ACTS:
            session, form = submitted(hub, request, raw)
            run = _OWN_ACTS[act]
        else:
            session, form = submitted(hub, request, raw, *KEEPERS)
            run = _ACTS.get(act, _unknown)
        return RedirectResponse(run(hub, session.actor, form), 303)


Form = Mapping[str, str]


def _unknown(_hub: Hub, _actor: Actor, _form: Form) -> str:
    raise NotFound("there is no such act", "go back to the page of access")


def _to(done: str, page: str = "", **more: str) -> str:
    return f"/console/access{page}?{urlencode({'done': done, **more})}"


# What forms do


def _apply(hub: Hub, actor: Actor, form: Form) -> str:
    rights.apply(hub.ws, actor, [form["id"]] if form.get("id") else ())
    return _to("applied")


def _undo(hub: Hub, actor: Actor, form: Form) -> str:
    version = form.get("version", "")
    rights.undo(hub.ws, actor, int(version) if version.isdecimal() else 0)
    return _to("undone")


def _keep(hub: Hub, actor: Actor, form: Form) -> str:
    rights.keep(hub.ws, actor, form.get("id", ""))
    return _to("kept")


def _approve(hub: Hub, actor: Actor, form: Form) -> str:
    granting.approve(rights.bench(hub.ws), form.get("id", ""), actor)
    return _to("approve")


def _refuse(hub: Hub, actor: Actor, form: Form) -> str:
    granting.refuse(rights.bench(hub.ws), form.get("id", ""), actor, form.get("note", ""))
    return _to("refuse")


def _look(hub: Hub, actor: Actor, form: Form) -> str:
    granting.review(rights.bench(hub.ws), form.get("id", ""), actor, form.get("verdict", ""))
    return _to("looked")


def _begin(hub: Hub, actor: Actor, _form: Form) -> str:
    days = rights.shipped()["review"]["due_days"]
    reviews.begin(rights.bench(hub.ws), rights.picture(hub.ws).standing, actor, days)
    return _to("begun", "/review")


def _answer(hub: Hub, actor: Actor, form: Form) -> str:
    ident, _, key = form.get("line", "").partition("/")
    days = rights.shipped()["review"]["defer_days"]
    reviews.decide(rights.bench(hub.ws), ident, key, actor, form.get("word", ""), days)
    return _to("answered", "/review")


def _end(hub: Hub, actor: Actor, form: Form) -> str:
    granting.end(rights.bench(hub.ws), form.get("id", ""), actor)
    return _to("end", "" if actor.role in KEEPERS and form.get("all") else "/ask")


def _asked(hub: Hub, actor: Actor, form: Form) -> str:
    granting.ask(rights.bench(hub.ws), rights.wanted(hub.ws, actor, _told(form)), actor)
    return _to("asked", "/ask")


def _broken(hub: Hub, actor: Actor, form: Form) -> str:
    if actor.role not in BREAKERS:
        raise NotFound("this role breaks no glass", "ask for a right instead")
    told = _told(form) | {"hours": ""}
    granting.break_glass(rights.bench(hub.ws), rights.wanted(hub.ws, actor, told), actor)
    return _to("broken", "/ask")


def _told(form: Form) -> dict[str, str]:
    mask = form.get("mask", "full")
    chosen = [name.removeprefix("data-") for name in form if name.startswith("data-")]
    return {**form, "data": ",".join(c if mask == "full" else f"{c}:{mask}" for c in chosen)}


_ACTS: Mapping[str, Callable[[Hub, Actor, Form], str]] = {
    "apply": _apply, "undo": _undo, "keep": _keep, "approve": _approve, "refuse": _refuse,
    "look": _look, "begin": _begin, "answer": _answer,
}  # fmt: skip
_OWN_ACTS: Mapping[str, Callable[[Hub, Actor, Form], str]] = {
    "ask": _asked, "glass": _broken, "end": _end,
}  # fmt: skip


# The page


def _page(hub: Hub, request: Request, session: Session) -> Response:
    advice = advice_of(hub)
    seen, kept = advice.picture.seen, rights.days(hub.ws)
    field = _field(request, seen)
    names = names_of(hub)
    with hub.ws.store.look() as view:
        every, now = granting.every(view), view.now
        version = withholding.current(view)[1]
        taken = len(advice.picture.withheld)
        late = reviews.overdue(view)
        open_ = next((r for r in reviews.rounds(view) if not r.closed), None)
    now_seen = (advice.picture.at, seen.e(field))
    return console_page(
        hub, request, session, "access.html", here="access",
        done=DONE.get(request.query_params.get("done", ""), ""),
        headline=_headline(seen, field), field=field, bars=_bars(seen),
        who=_who(seen, field, names), roles=_roles(seen, field),
        trend=_trend(kept, field, hub, now_seen),
        people=_people(kept, field),
        exposure=words.number(kept[-1].exposure) if kept else "",
        ratio=_ratio(advice), advice=advice, hidden=advice.hidden,
        cards=[_card(hub, p, names) for p in advice.proposals],
        together=_would(hub, advice.together), undo=version if taken else 0, taken=taken,
        waiting=[grant_row(hub, g, now, names) for g in every if g.waits(now)],
        active=[grant_row(hub, g, now, names) for g in every if g.stands(now)],
        owed=[grant_row(hub, g, now, names) for g in every if g.due and not g.reviewed],
        round=open_, round_due=words.spoken(open_.due, hub.ws.settings.zone) if open_ else "",
        overdue=late, own=hub.ws.desk.account(session.actor),
    )  # fmt: skip


def advice_of(hub: Hub) -> rights.Advice:
    """Return the advice, worked out at most every ten minutes while nothing is published."""
    with hub.ws.store.look() as view:
        place = (view.house_version, view.now // _TEN, len(granting.standing(view)))
    held: tuple[object, rights.Advice] | None = hub.kept.get("access")
    if held is None or held[0] != place:
        held = (place, rights.advise(hub.ws))
        hub.kept["access"] = held
    return held[1]


def _field(request: Request, seen: Seen) -> str:
    asked = request.query_params.get("field", "")
    if asked in seen.categories():
        return asked
    if seen.e(FIRST):
        return FIRST
    return max(seen.categories(), key=seen.e, default=FIRST)


def _headline(seen: Seen, field: str) -> str:
    return f"{people(seen.e(field))} can see {called(field)}"


def _bars(seen: Seen) -> list[dict[str, Any]]:
    widest = max((seen.e(c) for c in seen.categories()), default=1) or 1
    rising = sorted(seen.categories(), key=lambda c: (-seen.e(c), called(c)))
    return [
        {
            "field": c,
            "title": called(c).capitalize(),
            "count": seen.e(c),
            "part": len(seen.part.get(c, frozenset()) - seen.full.get(c, frozenset())),
            "share": round(100 * seen.e(c) / widest, 1),
        }
        for c in rising
    ]


def _roles(seen: Seen, field: str) -> list[tuple[str, int]]:
    found = seen.roles(field)
    return [(words.ROLES[r], n) for r, n in sorted(found.items(), key=lambda p: (-p[1], p[0]))]


def _who(seen: Seen, field: str, names: Mapping[str, str]) -> list[tuple[str, str]]:
    found = seen.full.get(field, frozenset())
    pairs = [(names.get(a, "unknown"), words.ROLES[a.partition("/")[0]]) for a in found]
    return sorted(pairs)


def _people(kept: Sequence[Day], field: str) -> str:
    return chart.few(kept[-1].people.get(field, 0)) if kept else ""


def _ratio(advice: rights.Advice) -> str:
    return f"{100 * advice.used // advice.held} %" if advice.held else "none"


def _trend(kept: Sequence[Day], field: str, hub: Hub, now: tuple[Instant, int]) -> dict[str, Any]:
    """Lay out the line of one field over the days kept and now, with the rows its table shows."""
    counts = [(day.at, day.full.get(field, 0)) for day in kept if day.at < now[0]]
    counts = [*counts, now] if counts else []
    if len(counts) < 2:  # noqa: PLR2004 - one point is no line
        return {}
    most = max(n for _, n in counts) or 1
    first, last = counts[0][0], counts[-1][0]
    span = max(last - first, 1)
    points = [
        f"{round((at - first) * WIDE / span, 1)},{round(HIGH - 8 - n * (HIGH - 16) / most, 1)}"
        for at, n in counts
    ]
    zone = hub.ws.settings.zone
    changes = [pair for i, pair in enumerate(counts) if i == 0 or counts[i - 1][1] != pair[1]]
    rows = [(words.day(Instant(at), zone), n) for at, n in changes]
    return {
        "points": " ".join(points), "rows": rows, "wide": WIDE, "high": HIGH,
        "first": words.day(Instant(first), zone), "last": words.day(Instant(last), zone),
        "most": most, "now": counts[-1][1], "then": counts[0][1],
    }  # fmt: skip


def _card(hub: Hub, p: Proposal, names: Mapping[str, str]) -> dict[str, Any]:
    actions = sorted({r.action for r in p.rights})
    kinds = sorted({r.purpose.partition(":")[2] for r in p.rights})
    return {
        "id": p.id,
        "title": called(p.category).capitalize(),
        "before": p.before,
        "after": p.after,
        "count": len(p.accounts),
        "people": people(len(p.accounts)),
        "what": " and ".join(ACTIONS[a] for a in actions),
        "kinds": " and ".join(kinds),
        "whole": [words.ROLES[r] for r in p.whole],
        "who": sorted(names.get(a, "unknown") for a in p.accounts),
        "would": _would(hub, p.replay),
    }


def _would(hub: Hub, replay: Replay) -> dict[str, Any]:
    zone = hub.ws.settings.zone
    rows = [
        {
            "at": words.spoken(at, zone),
            "role": words.ROLES.get(d.role, d.role),
            "purpose": d.purpose,
            "data": ", ".join(called(c) for c in sorted(d.categories)),
        }
        for d in replay.denied
        for at in d.times
    ]
    return {
        "count": replay.count,
        "reads": words.number(replay.reads),
        "rows": sorted(rows, key=lambda row: str(row["at"]))[: 4 * SHOWN],
    }
