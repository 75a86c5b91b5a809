"""Rows and pages about rights for a while and their reviews, beside the page of access."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from troth import app as house
from troth.app import access as rights
from troth.capabilities import access
from troth.capabilities.access import granting, reviews
from troth.capabilities.access.grants import Grant
from troth.capabilities.access.reviews import Item
from troth.surfaces import words
from troth.surfaces.access_words import ACTIONS, called, left, length, state_of
from troth.surfaces.web.acting import Session
from troth.surfaces.web.console import console_page
from troth.surfaces.web.parts import Hub
from troth.terms import Actor, Instant, Role

BREAKERS = frozenset({Role.SUPPORT, Role.IT, Role.OFFICER})
LINES = 30
DONE = {
    "applied": "Taken. Nobody who uses these rights lost them.",
    "undone": "Given back, as it was before.",
    "kept": "Kept. It is not proposed again for half a year.",
    "approve": "Agreed. The right stands from now on.",
    "refuse": "Refused, and recorded.",
    "end": "Ended. It gives nothing any more.",
    "looked": "Looked at, and recorded.",
    "begun": "The review is open.",
    "answered": "Recorded.",
    "asked": "Asked. Somebody else must agree within 24 hours.",
    "broken": "The glass is broken. The officer sees it now and looks at it within a day.",
}


def names_of(hub: Hub) -> dict[str, str]:
    """Return who stands behind each account: for IT and the officer alone."""
    every = access.everybody(house.office(hub.ws))
    return {hub.ws.desk.account(actor): actor.id for actor in every}


def grant_row(hub: Hub, g: Grant, now: Instant, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a right as pages show it."""
    zone = hub.ws.settings.zone
    return {
        "id": g.id,
        "who": names.get(g.account, "somebody who left"),
        "role": words.ROLES.get(g.account.partition("/")[0], ""),
        "by": "" if g.by == g.account else names.get(g.by, "somebody who left"),
        "approver": names.get(g.approver, ""),
        "glass": g.kind == "glass",
        "data": ", ".join(called(c) + ("" if m == "full" else f" ({m})") for c, m in sorted(g.categories.items())),  # noqa: E501
        "what": ACTIONS[g.action.value],
        "purpose": g.purpose,
        "reason": g.reason.replace(":", " "),
        "why": g.why,
        "left": left(g, now),
        "asked_for": length(g.length),
        "state": state_of(g, now),
        "when": words.spoken(g.begins or g.asked, zone),
        "due": words.spoken(g.due, zone) if g.due else "",
        "late": g.unreviewed(now),
        "account": g.account,
    }  # fmt: skip


# The review


def review_page(hub: Hub, request: Request, session: Session) -> Response:
    """Render the newest review, its open lines first."""
    names = names_of(hub)
    with hub.ws.store.look() as view:
        found = next(iter(reviews.rounds(view)), None)
        lines = reviews.items(view, found.id) if found else []
    own = granting.hand(hub.ws.desk.account(session.actor))
    open_ = [i for i in lines if i.state in reviews.OPEN]
    zone = hub.ws.settings.zone
    return console_page(
        hub, request, session, "access_review.html", here="access",
        done=DONE.get(request.query_params.get("done", ""), ""),
        round=found, due=words.spoken(found.due, zone) if found else "",
        tally=reviews.tally(lines), settled=len(lines) - len(open_), total=len(lines),
        groups=_groups(open_[:LINES], names, own, session.actor), more=max(0, len(open_) - LINES),
    )  # fmt: skip


def _groups(
    lines: Sequence[Item], names: Mapping[str, str], own: str, actor: Actor
) -> list[dict[str, Any]]:
    out: dict[str, list[dict[str, Any]]] = {}
    for i in lines:
        handed = i.state == "escalated" and actor.role is not Role.OFFICER
        out.setdefault(i.category, []).append(
            {
                "line": f"{i.round}/{i.key}",
                "who": names.get(i.account, "somebody who left"),
                "role": words.ROLES.get(i.account.partition("/")[0], ""),
                "part": i.mask != "full",
                "state": i.state,
                "own": granting.hand(i.account) == own,
                "handed": handed,
                "deferred": i.deferred,
            }
        )
    return [{"title": called(c).capitalize(), "rows": rows} for c, rows in out.items()]


# Asking


def ask_page(hub: Hub, request: Request, session: Session) -> Response:
    """Render where anybody of the staff asks for a right, and breaks the glass."""
    own, names = hub.ws.desk.account(session.actor), names_of(hub)
    with hub.ws.store.look() as view:
        published = hub.ws.desk.house(view)
        mine = [g for g in granting.every(view) if own in {g.account, g.by}]
        now = view.now
    purposes = [
        (p.name, p.title)
        for p in published.purposes.values()
        if p.kind.value in {"service", "operations", "direct_marketing"} and p.categories
    ]
    data = sorted(
        {c for p in published.purposes.values() for c in p.categories} - published.special
    )
    limits = rights.shipped()
    return console_page(
        hub, request, session, "access_ask.html", here="access",
        done=DONE.get(request.query_params.get("done", ""), ""),
        purposes=sorted(purposes, key=lambda p: p[0] != "service"),
        data=[(c, called(c).capitalize()) for c in data],
        mine=[grant_row(hub, g, now, names) for g in mine[:20]],
        usual=limits["jit"]["default_hours"], breaks=session.actor.role in BREAKERS,
        most=limits["jit"]["most_days"],
    )  # fmt: skip
