"""My receipts: every one, to take away, and to be checked in the browser all at once."""

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from troth.app import owndata, trail
from troth.surfaces import timeline
from troth.surfaces.portal import verifying
from troth.surfaces.portal.frame import READ, Visit, portal_page, visiting
from troth.surfaces.web import tiles
from troth.surfaces.web.parts import Hub

PAGE: Final = 50
PACK: Final = 200


def receipt_path(n: int) -> str:
    """Return the address of a receipt of one's own, by the number of its event."""
    return f"/my/receipts/{n}"


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the list, the files, and all of them for the browser's check."""

    @app.api_route("/my/receipts", methods=READ, include_in_schema=False)
    def listed(request: Request) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "receipts")
        return _page(hub, request, visit)

    @app.api_route("/my/receipts/all.json", methods=READ, include_in_schema=False)
    def pack(request: Request) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "receipts")
        start = whole(request.query_params.get("from", ""))
        found = trail.places(hub.ws, visit.person)[::-1]
        opened = trail.read(hub.ws, visit.person, found[start : start + PACK])
        made = trail.receipts(hub.ws, trail.signed(hub.ws), opened)
        rest = start + PACK < len(found)
        return JSONResponse(
            {
                "receipts": [[place.mark, text] for place, text in made],
                "next": start + PACK if rest else None,
            }
        )

    @app.api_route("/my/receipts/{mark}", methods=READ, include_in_schema=False)
    def one(request: Request, mark: str) -> Response:
        visit = visiting(hub, request)
        owndata.note(hub.ws, visit.eyes, "receipts")
        freshen(hub)
        plain = mark.removesuffix(".proof").removesuffix(".tlog-proof")
        place, text = trail.receipt(hub.ws, visit.person, plain)
        name = f"receipt-{place.mark}.tlog-proof"
        return Response(
            text,
            media_type="text/plain; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )


def freshen(hub: Hub) -> None:
    """Sign what is unsigned, in a demo: a workspace's own housekeeping does it each minute."""
    if not hub.report:
        return
    with hub.ws.store.look() as view:
        size = view.log.size
    if trail.signed(hub.ws).checkpoint.size < size:
        hub.ws.sign()


def whole(text: str) -> int:
    """Read a whole number of a query; whatever is none is 0."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0  # noqa: PLR2004


def _page(hub: Hub, request: Request, visit: Visit) -> Response:
    freshen(hub)
    found = trail.places(hub.ws, visit.person)
    under = trail.signed(hub.ws)
    pages = -(-len(found) // PAGE)
    page = min(max(1, whole(request.query_params.get("page", ""))), pages or 1)
    opened = trail.read(hub.ws, visit.person, found[(page - 1) * PAGE : page * PAGE])
    with hub.ws.store.look() as view:
        house = hub.ws.desk.house(view)
    rows = []
    for place, each in opened:
        told = timeline.tell(each.event, house)
        rows.append(
            {
                "mark": place.mark,
                "n": place.n,
                "chain": place.chain,
                "sentence": told.sentence.in_(visit.gettext, visit.ngettext),
                "when": visit.moment(each.event.at),
                "signed": under.covers(place),
            }
        )
    waiting = sum(not under.covers(place) for place in found)
    return portal_page(
        hub, request, visit, "my_receipts.html", "receipts",
        rows=rows, count=len(found), waiting=waiting, page=page, pages=pages,
        policy=tiles.policy_text(hub), scripts=verifying.SCRIPTS,
        words=verifying.vocabulary(hub, visit.tongue),
    )  # fmt: skip
