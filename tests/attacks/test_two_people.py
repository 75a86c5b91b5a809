"""Two people, every address: whatever one of them asks for or sends, nothing of the other's shows.

Every address of the customer's side is tried with every field its forms have, filled with what
belongs to the other: their ids, numbers, tokens, places. The other's chain must not move.
"""

import re
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from portal_door import BASE, enter, shop
from starlette.testclient import TestClient

from troth.capabilities import rights
from troth.surfaces import web

ONE, OTHER = "shop-23", "shop-24"
TEMPLATES = Path(web.__file__).parent / "templates"
LEADS_AWAY = {"/my/out"}
"""Ends the visit and nothing else; tried last."""


def open_paths(app) -> list[tuple[str, str]]:
    """Every address of this side and method it takes."""
    wanted = ("/my", "/record", "/verify", "/notices", "/embed", "/collect", "/ask-us", "/forms")
    return sorted(
        (method, route.path)
        for route in app.routes
        if route.path.startswith(wanted)
        for method in set(getattr(route, "methods", ()) or ()) - {"HEAD", "OPTIONS"}
    )


@cache
def fields() -> tuple[str, ...]:
    """Every name a form of this side has."""
    texts = [p.read_text("utf-8") for p in TEMPLATES.glob("my_*.html")]
    texts += [p.read_text("utf-8") for p in TEMPLATES.glob("portal*.html")]
    found = {name for text in texts for name in re.findall(r'name="([a-z_]+)"', text)}
    return tuple(sorted(found - {"form", "viewport", "color-scheme"}))


@cache
def theirs() -> tuple[str, ...]:
    """What belongs to the other and might be named by somebody who learnt it."""
    s = shop()
    person = s.person(OTHER)
    _, token = s.mail_of(OTHER)
    chain = s.chain(OTHER)
    numbers = [str(e.event.n) for e in chain] + [str(len(chain) + 1)]
    return (
        person.hex(), OTHER, f"{OTHER}@post.example", token, *numbers[:4], numbers[-1],
        "contact.email", "name.given", "purchases", "purchases/2026Q4#0", "offers", "marketing",
        "email", "self", "4", "0", "yes", "no", "2026-03", "all", "'; --", "../", "\u202e", "",
    )  # fmt: skip


@cache
def secrets() -> tuple[str, ...]:
    """What would tell that something of the other's was shown."""
    s = shop()
    return (s.person(OTHER).hex(), f"{OTHER}@post.example", f">{OTHER}<", f'"{OTHER}"')


@cache
def visitor() -> TestClient:
    """Somebody who is in; the next of them where one has deleted themselves, as they may."""
    s = shop()
    left = (s.person(who) for who in (ONE, *(f"shop-{n}" for n in range(46, 60))))
    return enter(s.app, next(p for p in left if p and not rights.is_erased(s.ws.desk, p)))


def token_of(client: TestClient) -> str:
    found = re.search(r'name="form" value="([^"]+)"', client.get("/my").text)
    return found[1] if found else ""


ROUTES = open_paths(shop().app)


@settings(max_examples=220, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    place=st.sampled_from([r for r in ROUTES if r[1] not in LEADS_AWAY]),
    named=st.dictionaries(st.sampled_from(fields()), st.sampled_from(theirs()), max_size=5),
    filling=st.lists(st.sampled_from(theirs()[:10]), min_size=4, max_size=4),
)
def test_nothing_of_another_person_shows_or_moves_at_any_address(place, named, filling):
    s = shop()
    client = visitor()
    if client.get("/my").status_code != 200:
        visitor.cache_clear()
        client = visitor()
    before = len(s.chain(OTHER))
    method, path = place
    parts = iter(filling)
    address = re.sub(r"\{[^}]+\}", lambda _m: next(parts).replace("/", "%2F") or "x", path)
    if method == "GET":
        answer = client.get(address, params=named)
    else:
        sent = {"form": token_of(client), **named}
        answer = client.request(method, address, data=sent)
    assert answer.status_code != 500, (method, path, named)
    asked = {*named.values(), *filling}
    for secret in secrets():
        if secret.strip('<>"') not in asked:
            assert secret not in answer.text, (method, path, named)
    if not _stops_by_token(path):
        assert len(s.chain(OTHER)) == before, (method, path, named)


def _stops_by_token(path: str) -> bool:
    """The token of a mail is a key by itself: whoever holds the mail may stop what it stops."""
    return "{token}" in path


def test_every_address_of_the_customers_side_is_tried():
    assert {"/my", "/my/level", "/my/language"} <= {path for _, path in ROUTES}
    assert len(fields()) > 3


def test_the_check_itself_finds_a_page_that_shows_somebody_else():
    s = shop()
    client = visitor()
    address = f"/planted/{OTHER}"

    @s.app.get("/planted/{who}")
    def planted(who: str) -> dict:
        with s.ws.store.look() as view:
            return {"id": s.ws.desk.find(view, who).hex()}

    try:
        assert any(secret in client.get(address).text for secret in secrets())
    finally:
        s.app.router.routes[:] = [r for r in s.app.router.routes if r.path != "/planted/{who}"]


def test_a_stranger_is_shown_nothing_at_any_address():
    s = shop()
    client = TestClient(s.app, base_url=BASE, follow_redirects=False)
    for method, path in ROUTES:
        address = re.sub(r"\{[^}]+\}", "1", path)
        text = client.request(method, address, data={"form": "x"}).text
        for secret in secrets():
            assert secret not in text, (method, path)


def test_whoever_leaves_is_out():
    s = shop()
    client = enter(s.app, s.person("shop-26"))
    assert ("POST", "/my/out") in ROUTES
    client.post("/my/out", data={"form": token_of(client)})
    assert client.get("/my").status_code == 303
