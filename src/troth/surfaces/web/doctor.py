"""The doctor's page: every protection looked at just now, by step, red first."""

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth.app import doctor
from troth.app.checks import Check
from troth.surfaces.web.acting import acting
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.map_picture import COLUMNS, STATES
from troth.surfaces.web.parts import Hub
from troth.terms import Role

ROLES = (Role.IT, Role.OFFICER)
LEADS = {
    "acquired": "How data comes in",
    "used": "Who may look, and who looked",
    "stored": "Where it lies",
    "shared": "Where it goes",
    "deleted": "How it ends",
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/doctor`."""

    @app.api_route("/console/doctor", methods=READ, include_in_schema=False)
    def show(request: Request) -> Response:
        session = acting(hub, request, *ROLES)
        found = doctor.examine(hub.ws)
        return console_page(hub, request, session, "doctor.html", here="doctor", **_values(found))


def _values(found: list[Check]) -> dict[str, Any]:
    counts = {state: sum(1 for each in found if each.state == state) for state in STATES}
    return {
        "found": found,
        "steps": [(key, title, LEADS[key], [c for c in found if c.step == key])
                  for key, title in COLUMNS],
        "counts": counts,
        "bad": [each for each in found if each.state == "bad"],
        "states": STATES,
        "badges": {"good": "good", "bad": "bad", "unknown": "", "off": ""},
    }  # fmt: skip
