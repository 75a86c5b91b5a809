"""The tour of a demo: the marketer's day, the list to drop, the round of IT. Changes nothing.

Its words lie in `data/demo/tour.toml`.
"""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from troth.errors import NotFound
from troth.surfaces.demo.people import told
from troth.surfaces.demo.sample import FILE
from troth.surfaces.web.console import READ, doors
from troth.surfaces.web.parts import Hub, page
from troth.terms import Role


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/tour` and its list; the server keeps both out of a workspace that is no demo."""

    @app.api_route("/tour", methods=READ, include_in_schema=False)
    def tour(request: Request) -> Response:
        every, steps = doors(hub, request), told("tour")
        marketers, keepers = (
            [each for each in every if each["role"] == role] for role in (Role.MARKETER, Role.IT)
        )
        return page(
            hub, "tour.html", here="tour", steps=steps["step"], marketers=marketers,
            protect=steps["protect"], keepers=keepers,
        )  # fmt: skip

    @app.api_route(f"/tour/{FILE}", methods=READ, include_in_schema=False)
    def sample() -> Response:
        path = hub.ws.settings.folder / FILE
        if not path.is_file():
            raise NotFound("there is no sample list here", "run the demo anew")
        return FileResponse(path, media_type="text/csv", filename=FILE)
