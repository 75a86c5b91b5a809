"""What the house works out about somebody, from what, and the button that ends it."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.app import inferred as app_inferred
from troth.surfaces.portal.activity import HERE, HOME, READ
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import Done, Visit, finished, portal_page, submitted, visiting
from troth.surfaces.web.parts import Hub, body_of

INFERRED: Final = "/my/activity/inferred"
SAID: Final[Mapping[str, tuple[str, str]]] = {
    "favourites": (
        N_("What you buy most often now"),
        N_("The goods you bought most often in the last 13 weeks. They are named in a message."),
    ),
    "year": (
        N_("Your year with us"),
        N_("On how many days you came by in the last year, and what you took home most often."
           " It also helps to choose whom a message is for."),
    ),
    "alike": (
        N_("What people like you buy"),
        N_("What people who buy the same goods as you also take home. Worked out over at least"
           " 10 people at a time."),
    ),
    "viewed": (
        N_("What you look at"),
        N_("The goods you looked at last on our site, in the last 13 weeks. They are shown to"
           " you there."),
    ),
}  # fmt: skip


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page of what is inferred, and its answers."""

    @app.api_route(INFERRED, methods=READ, include_in_schema=False)
    def inferred(request: Request) -> Response:
        visit = visiting(hub, request)
        found = app_inferred.inferred(hub.ws, visit.eyes, hub.names)
        return portal_page(
            hub, request, visit, "my_inferred.html", HERE,
            kinds=[_card(visit, each) for each in found.kinds],
            excluded=found.excluded,
            left=[group for group in found.groups if group not in found.excluded],
            paired=lambda words: [(word, word) for word in words],
            home=HOME,
        )  # fmt: skip

    @app.post(f"{HOME}/close", include_in_schema=False)
    def close(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        category = form.get("category", "")
        n = app_inferred.close(hub.ws, visit.person, category, visit.actor, visit.given_by)
        said = visit.gettext(
            "It is worked out no more, and the next message uses none of it."
            " You can allow it again under “How personal”."
        )
        return finished(visit, INFERRED, Done(said, n))

    @app.post(f"{HOME}/exclude", include_in_schema=False)
    def exclude(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        group = form.get("group", "")
        n = app_inferred.exclude(hub.ws, visit.eyes, group, visit.actor)
        said = visit.gettext("No message and no page of our site uses these goods any more.")
        undo = (f"{HOME}/include", {"group": group}) if visit.may_grant else None
        return finished(visit, INFERRED, Done(said, n, undo))

    @app.post(f"{HOME}/include", include_in_schema=False)
    def include(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        visit.require_grant()
        group = form.get("group", "")
        n = app_inferred.include(hub.ws, visit.eyes, group, visit.actor)
        said = visit.gettext("These goods may be used again, as far as you agreed.")
        return finished(visit, INFERRED, Done(said, n, (f"{HOME}/exclude", {"group": group})))


def _card(visit: Visit, each: app_inferred.Inference) -> dict[str, Any]:
    title, text = SAID[each.key]
    return {
        "title": visit.gettext(title),
        "text": visit.gettext(text),
        "category": each.category,
        "used": each.used,
        "level": each.level,
        "since": visit.day(each.since) if each.since else "",
        "entries": each.entries,
        "groups": each.groups[:8],
        "found": each.found,
    }
