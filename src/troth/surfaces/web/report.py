"""The monthly report page: one sheet, fit to print."""

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import app as app_layer
from troth.capabilities import trust
from troth.errors import Conflict
from troth.surfaces import reporting
from troth.surfaces.web.acting import NotAllowed, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import Refusal, Role, moment

ROLES = (Role.MARKETER, Role.OFFICER)


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/report` and its PDF."""

    @app.api_route("/console/report", methods=READ, include_in_schema=False)
    def show(request: Request, month: str = "") -> Response:
        session = acting(hub, request, *ROLES)
        told = reporting.read(hub.ws, month or _present(hub))
        return console_page(
            hub, request, session, "report.html", here="report", **_values(hub, told)
        )

    @app.post("/console/report", include_in_schema=False)
    def count(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        told = reporting.make(hub.ws, form.get("month") or _present(hub), session.actor)
        return RedirectResponse(f"/console/report?month={told.first:%Y-%m}", 303)

    @app.post("/console/report.pdf", include_in_schema=False)
    def paper(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        if not reporting.is_counted(hub.ws):
            raise Conflict("this month is not counted yet", "press Count now on the report first")
        told = reporting.read(hub.ws, form.get("month") or _present(hub))
        month = f"{told.first:%Y-%m}"
        left = app_layer.take_report(hub.ws, month, session.actor)
        if isinstance(left, Refusal):
            raise NotAllowed(ROLES)
        name = left.named(f"report-{month}", "pdf")
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        paper = reporting.paper(hub.ws, told, left.line())
        return Response(paper, media_type="application/pdf", headers=headers)


def _present(hub: Hub) -> str:
    with hub.ws.store.look() as view:
        return f"{moment(view.now):%Y-%m}"


def _values(hub: Hub, told: trust.Month) -> dict[str, Any]:
    ws = hub.ws
    cells = reporting.reasons(told)
    widest = max((cell.count or 0 for cell in cells), default=0)
    before: date = told.first - timedelta(days=1)
    following: date = told.last + timedelta(days=1)
    shown = [c for c in cells if c.count is not None]
    return {
        "title": reporting.title(told),
        "uncounted": reporting.uncounted(ws),
        "month": f"{told.first:%Y-%m}",
        "before": f"{before:%Y-%m}",
        "after": f"{following:%Y-%m}" if f"{following:%Y-%m}" <= _present(hub) else "",
        "counted": reporting.is_counted(ws),
        "headline": reporting.headline(told),
        "figures": reporting.figures(told),
        "heads": reporting.CAMPAIGN_HEADS,
        "campaigns": reporting.campaigns(told),
        "bars": [
            {
                "title": cell.title,
                "text": f"{cell.count:,}",
                "share": round(100 * (cell.count or 0) / widest, 1),
                "kind": "no",
            }
            for cell in shown
        ],
        "hidden": [cell.title for cell in cells if cell.count is None],
        "answers": reporting.answers(ws, told),
        "near": reporting.near_misses(told),
        "reads": reporting.reads(told),
        "deeds": reporting.deeds(ws, told),
        "owners": reporting.owners(told),
    }
