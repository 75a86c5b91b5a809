"""Every address that takes something, asked with everything its schema allows and much it does not:
no answer is a crash, and none shows more than it should."""

import functools
import re

import httpx2
import pytest
import schemathesis
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from hub_shop import make_shop
from hypothesis import HealthCheck, Phase, given, settings
from portal_door import enter

shop = functools.cache(make_shop)
"""A shop of this file's own: whoever is asked everything ends up deleted."""
WHO = "shop-05"
FILES = re.compile(r"^/(tile|static|collect\.js)")


def everything() -> dict:
    """The whole app as a schema, hidden addresses too; a body is any form."""
    made = shop()
    routes = []
    for route in made.app.routes:
        if not isinstance(route, APIRoute) or FILES.match(route.path):
            continue
        shown = APIRoute(
            route.path, route.endpoint, methods=sorted(set(route.methods or ()) - {"HEAD"}), include_in_schema=True,
            operation_id=f"{sorted(route.methods or ())[0]} {route.path}", response_model=None,
        )  # fmt: skip
        routes.append(shown)
    told = get_openapi(title="Troth", version="1", routes=routes)
    for methods in told["paths"].values():
        methods.pop("head", None)
        if "post" in methods and "requestBody" not in methods["post"]:
            methods["post"]["requestBody"] = {
                "content": {"application/x-www-form-urlencoded": {"schema": ANY_FORM}}
            }
        for method in methods.values():
            method["responses"] = {"default": {"description": "any answer in words"}}
    return told


ANY_FORM = {
    "type": "object",
    "properties": {
        name: {"type": "string"}
        for name in (
            "form", "level", "purpose", "channel", "what", "when", "kind", "scope", "period", "n",
            "month", "field", "text", "value", "address", "code", "language", "back", "answer",
            "notice", "right", "id", "about", "who", "file",
        )
    },
}  # fmt: skip


@functools.cache
def schema():
    return schemathesis.openapi.from_dict(everything())


def paths(part: str) -> list[str]:
    mine = re.compile(r"^/(my|notices|verify|record|forms|embed|paia-manual)")
    found = [
        p for p in schema().raw_schema["paths"] if bool(mine.match(p)) == (part == "customer")
    ]
    return sorted(found)


def token(client, path: str) -> str:
    """What a form of this session carries, as pages show it: past that door the rest is tried."""
    page = "/console/me" if path.startswith("/console") else "/my"
    found = re.search(r'name="form" value="([^"]+)"', client.get(page).text)
    return found[1] if found else ""


def ask(path: str, client, examples: int) -> None:
    """Ask one address; anything but a crash will do."""
    operations = [schema()[path][method] for method in schema().raw_schema["paths"][path]]
    for operation in operations:

        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=True,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(operation.as_strategy())
        def one(case) -> None:
            sent = case.as_transport_kwargs(base_url="http://127.0.0.1:8400")
            known = {k: sent[k] for k in ("params", "data", "json") if sent.get(k) is not None}
            if isinstance(known.get("data"), dict):
                known["data"] = {**known["data"], "form": token(client, path)}
            try:
                answer = client.request(
                    sent["method"], sent["url"], headers={"sec-fetch-site": "same-origin"}, **known
                )
            except (UnicodeEncodeError, httpx2.InvalidURL):
                return  # no browser can send that either
            assert answer.status_code < 500 or answer.status_code == 503, (path, known)

        one()


def test_no_address_of_the_customers_side_crashes_for_whoever_is_in():
    made = shop()
    for path in paths("customer"):
        ask(path, enter(made.app, made.person(WHO)), 4)


def test_no_address_of_the_house_crashes_for_an_officer():
    for path in paths("house"):
        ask(path, shop().door("privacy_officer"), 2)


@pytest.mark.soak
def test_no_address_crashes_whatever_it_is_asked():
    made = shop()
    people = (made.person(f"shop-{n:02}") for n in range(6, 30))
    staff, customer = made.door("marketer"), enter(made.app, next(people))
    with staff, customer:  # one pool of threads each: every thread keeps a connection
        for path in [*paths("customer"), *paths("house")]:
            if customer.get("/my").status_code != 200:  # it left or deleted itself, as it may
                customer.cookies = enter(made.app, next(people)).cookies
            if staff.get("/console").status_code != 200:
                staff.cookies = made.door("marketer").cookies
            for client in (customer, staff):
                ask(path, client, 15)


def test_the_check_itself_finds_an_address_that_crashes():
    app = shop().app

    @app.get("/planted-crash")
    def planted(n: int = 0) -> dict:
        return {"n": 1 // (n - n)}

    try:
        told = schemathesis.openapi.from_dict(
            get_openapi(title="x", version="1", routes=[app.router.routes[-1]])
        )
        schema.cache_clear()
        held, everything_ = schema, told
        globals()["schema"] = lambda: everything_
        with pytest.raises(AssertionError):
            ask("/planted-crash", shop().client, 2)
        globals()["schema"] = held
    finally:
        app.router.routes[:] = [
            r for r in app.router.routes if getattr(r, "path", "") != "/planted-crash"
        ]
