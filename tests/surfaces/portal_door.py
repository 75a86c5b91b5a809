"""A signed-in customer of the small shop, as their browser would be."""

import functools
import re

from hub_shop import Shop, make_shop
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from troth.surfaces.portal import frame

BASE = "http://127.0.0.1:8400"


@functools.cache
def shop() -> Shop:
    """The shop of the customer's pages: their tests change people, and other tests count them."""
    return make_shop()


def enter(app, person, *, language="en", method="link") -> TestClient:
    """A browser in which this person is in; `person` is a PersonId."""
    client = TestClient(app, base_url=BASE, follow_redirects=False)
    answer = Response()
    scope = {"type": "http", "headers": [], "scheme": "http", "path": "/", "query_string": b""}
    frame.begin(app.state.hub, Request({**scope, "method": "GET"}), answer, person, method)
    cookie = re.search(r"troth_my=([0-9a-f]+)", answer.headers["set-cookie"])[1]
    client.cookies.set("troth_my", cookie)
    client.cookies.set("troth_language", language)
    client.headers["sec-fetch-site"] = "same-origin"
    return client


def door(outside: str = "cast-adult", *, language="en", at: Shop | None = None) -> TestClient:
    """The same for somebody of the small shop, by outside id; `at` another shop."""
    made = at or shop()
    return enter(made.app, made.person(outside), language=language)


def form(client: TestClient, path: str) -> str:
    """The token that forms of this session carry, read from a page as a browser would."""
    return re.search(r'name="form" value="([^"]+)"', client.get(path).text)[1]


def post(client: TestClient, path: str, page: str = "/my", **fields: str):
    """Send a form of a page."""
    return client.post(path, data={"form": form(client, page), **fields})
