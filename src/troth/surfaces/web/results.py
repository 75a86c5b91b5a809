"""A campaign's results: what it did beside those held out, what came back, links followed.

Reading shows what was last counted; counting is a form, recorded before anybody is looked at.
"""

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import app as house
from troth.capabilities.outreach import steps
from troth.errors import NotFound
from troth.surfaces import outcome_words, words
from troth.surfaces.web import chart
from troth.surfaces.web.acting import acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import Role

STAFF = (Role.MARKETER, Role.OFFICER)


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/campaigns/{name}/results`; before the campaign's own steps."""

    @app.api_route("/console/campaigns/{name}/results", methods=READ, include_in_schema=False)
    def show(name: str, request: Request) -> Response:
        session = acting(hub, request, *STAFF)
        with hub.ws.store.look() as view:
            life, found = steps.read_life(view, name), house.results_of(view, name)
        if life is None and found is None:
            raise NotFound("there is no such campaign", "choose one from the list")
        values = _values(hub, found) if found else {}
        return console_page(
            hub, request, session, "results.html", here="campaigns", name=name,
            found=found, begun=bool(life and life.begun), **values,
        )  # fmt: skip

    @app.post("/console/campaigns/{name}/results", include_in_schema=False)
    def count(name: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw, *STAFF)
        if "clicks" in hub.kept:
            hub.kept["clicks"].flush()
        house.count_results(hub.ws, name, session.actor)
        return RedirectResponse(f"/console/campaigns/{name}/results", 303)


def _values(hub: Hub, found: house.Results) -> dict[str, Any]:
    said, rest = outcome_words.verdict(found)
    return {
        "said": said,
        "rest": rest,
        "lines": outcome_words.lines(found.effect) if found.effect else [],
        "bars": outcome_words.bars(found.effect) if found.effect else [],
        "left_out": [chart.few(count) for count in found.left_out],
        "any_left_out": any(found.left_out),
        "rates": outcome_words.rates(found),
        "alarm": outcome_words.alarm(found),
        "came": outcome_words.came(found),
        "links": [(each.url, chart.few(each.count)) for each in found.links],
        "at": words.spoken(found.at, hub.ws.settings.zone),
    }
