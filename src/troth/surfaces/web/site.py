"""The site's own addresses: collector, a banner's answers, events, slots, sign-in; and their page.

Pages of the origins in `[site]` may call them and nobody else's. Nothing is set, kept or recorded
of a browser that did not say yes. No network address is kept: a limit counts keyed digests of
networks in memory, and forgets them after a minute.
"""

import ipaddress
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from troth import app as house
from troth import crypto
from troth.app import site, site_banner, site_place
from troth.capabilities import onsite
from troth.engines import signals
from troth.errors import InvalidInput
from troth.surfaces import words
from troth.surfaces.web.acting import keyed
from troth.surfaces.web.parts import Hub, Problem, body_of, problem, static_files
from troth.surfaces.web.tiles import FOR_EVER
from troth.terms import DAY, Action

READ = ["GET", "HEAD"]
COOKIE: Final = "troth_visitor"
PUBLIC = {
    "/collect.js": "the collector, the same for everybody",
    "/.well-known/gpc.json": "says to everybody that the opt-out signal is honoured",
    "/api/v1/site/token": "gives the right to write one answer; sets and records nothing",
    "/api/v1/site/consent": "a page of the shop with a fresh token; the visitor's own act",
    "/api/v1/site/banner": "the same, as a banner tool's own callback says it",
    "/api/v1/site/events": "a page of the shop; counts only for a browser that said yes",
    "/api/v1/content/{slot}": "a page of the shop; shows the default to whoever is not known",
}
"""Addresses that need neither session nor key, and why."""
MINUTE_S = 60
_IDENTIFY: Final = msgspec.json.Decoder(dict[str, str])
_SLOTS = "site.slots"


class NotHere(Exception):  # noqa: N818 - an answer of its own, 403
    """The page that asks is of no registered origin."""


class TooOften(Exception):  # noqa: N818 - an answer of its own, 429
    """This network asks more often than the limit says."""


@dataclass(slots=True)
class Limits:
    """How often each network asked in this minute; digests under a key of this process."""

    secret: bytes
    _minute: int = -1
    _counts: dict[bytes, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, kind: str, network: str, most: int, second: int) -> None:
        """Count one request.

        Raises:
            TooOften: There were `most` in this minute already.
        """
        key = crypto.mac(self.secret, f"{kind} {network}".encode())[:8]
        with self._lock:
            if second // MINUTE_S != self._minute:
                self._minute = second // MINUTE_S
                self._counts.clear()
            count = self._counts[key] = self._counts.get(key, 0) + 1
        if count > most:
            raise TooOften


@dataclass(slots=True)
class Tally:
    """Requests for content since this process began: all, and under the opt-out signal."""

    all: int = 0
    signalled: int = 0


def network_of(address: str) -> str:
    """Return the network an address lies in: 24 bits of IPv4, 56 of IPv6; "" of anything else.

    >>> network_of("203.0.113.77"), network_of("2001:db8:1:2345::9"), network_of("x")
    ('203.0.113.0', '2001:db8:1:2300::', '')
    """
    try:
        found = ipaddress.ip_address(address.strip())
    except ValueError:
        return ""
    bits = 24 if found.version == 4 else 56  # noqa: PLR2004 - the version's own number
    return str(ipaddress.ip_network((found, bits), strict=False).network_address)


@cache
def script() -> bytes:
    """Return the collector as served: without indentation and comments."""
    text = static_files()["collect.js"].decode()
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("//")).encode()


@cache
def script_digest() -> str:
    """Return the short digest that stands in the collector's address."""
    return crypto.sha256(script()).hex()[:12]


@dataclass(frozen=True, slots=True)
class Door:
    """One request from a page of the shop."""

    origin: str
    device: str
    signal: bool

    def right(self, session: str, notice: str) -> onsite.Right:
        """Return what a right to write is bound to."""
        return onsite.Right(self.origin, session, self.device, notice)


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the site's addresses and the page about them."""
    hub.kept["site.limits"] = Limits(hub.ws.desk.randomness.take(32))
    hub.kept["site.tally"] = Tally()
    site.finish(hub.ws)
    _add_refusals(app, hub)
    _add_writes(app, hub)
    _add_reads(app, hub)
    paths = ("site/token", "site/consent", "site/banner", "site/events", "content/{slot}")
    for path in paths:
        app.add_api_route(
            f"/api/v1/{path}", _preflight(hub), methods=["OPTIONS"], include_in_schema=False
        )


def _add_refusals(app: FastAPI, hub: Hub) -> None:
    def elsewhere(request: Request, _fault: Exception) -> Response:
        remedy = "register it under [site] origins of troth.toml"
        words_ = ("not_allowed", "pages of this origin may not ask here", remedy)
        return problem(hub, request, 403, Problem(*words_, hub.reference()))

    def often(request: Request, _fault: Exception) -> Response:
        words_ = ("quota", "this network asks too often", "wait a minute")
        answer = problem(hub, request, 429, Problem(*words_, hub.reference()))
        answer.headers["retry-after"] = str(MINUTE_S)
        return answer

    app.add_exception_handler(NotHere, elsewhere)
    app.add_exception_handler(TooOften, often)


def _add_writes(app: FastAPI, hub: Hub) -> None:
    @app.post("/api/v1/site/consent", include_in_schema=False)
    def consent(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        door = _door(hub, request, "write", "writes_per_minute")
        told = onsite.read_answer(raw, site_place.rules())
        key = request.headers.get("idempotency-key", "")
        right = door.right(told.session, told.notice)
        made = site.answer(hub.ws, told, right, key, signal=door.signal)
        answer = _answer(door, made.body)
        if made.cookie is not None:
            _keep(hub, request, answer, made.cookie)
        return answer

    @app.post("/api/v1/site/banner", include_in_schema=False)
    def banner(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        door = _door(hub, request, "write", "writes_per_minute")
        told = site_banner.read_callback(raw)
        key = request.headers.get("idempotency-key", "")
        right = door.right(told.session, told.notice)
        made = site_banner.pass_on(hub.ws, told, right, key, signal=door.signal)
        answer = _answer(door, made.body)
        if made.cookie is not None:
            _keep(hub, request, answer, made.cookie)
        return answer

    @app.post("/api/v1/site/events", include_in_schema=False)
    def events(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        door = _door(hub, request, "events", "batches_per_minute")
        site.collect(hub.ws, raw, door.device, _goods(hub), signal=door.signal)
        return Response(status_code=204, headers=_cors(door.origin))

    @app.post("/api/v1/site/identify", include_in_schema=False)
    def identify(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        if Action.PROFILE not in keyed(hub, request).actions:
            raise InvalidInput("this key may not link visitors", "make one that may profile")
        try:
            told = _IDENTIFY.decode(raw)
            visitor, person = told["visitor"], told["person"]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
            raise InvalidInput("the request is not what this address expects", _WHO) from None
        found = site.identify(hub.ws, visitor, person)
        return JSONResponse({"linked": found.linked, "why": list(found.why)})


def _add_reads(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/collect.js", methods=READ, include_in_schema=False)
    def collector(v: str = "") -> Response:
        headers = dict(FOR_EVER) if v == script_digest() else {"cache-control": "max-age=3600"}
        headers |= {"cross-origin-resource-policy": "cross-origin"}
        headers |= {"access-control-allow-origin": "*"}
        return Response(script(), media_type="text/javascript", headers=headers)

    @app.api_route(signals.WELL_KNOWN, methods=READ, include_in_schema=False)
    def support() -> Response:
        body = signals.support_statement(site_place.rules().stated)
        return Response(body, media_type="application/json")

    @app.get("/api/v1/site/token", include_in_schema=False)
    def token(request: Request, session: str = "", notice: str = "") -> Response:
        door = _door(hub, request, "write", "writes_per_minute")
        made = site.right_to_write(hub.ws, door.right(session, notice))
        return _answer(door, {"token": made})

    @app.get("/api/v1/content/{slot}", include_in_schema=False)
    def content(slot: str, request: Request) -> Response:
        door = _door(hub, request, "content", "reads_per_minute")
        tally: Tally = hub.kept["site.tally"]
        tally.all += 1
        tally.signalled += door.signal
        found = _slot(hub, slot)
        shelf = hub.kept.setdefault("site.shelf", site.plain_shelf(hub.names))
        shown = site.content(hub.ws, found, door.device, shelf, signal=door.signal)
        return _content(door, shown, request.headers.get("accept", ""))


def _goods(hub: Hub) -> site_place.Goods:
    found: site_place.Goods | None = hub.kept.get("site.goods")
    if found is None:
        found = hub.kept["site.goods"] = site_place.goods(hub.ws)
    return found


_WHO = "visitor (the cookie troth_visitor) and person (your own id)"


def _preflight(hub: Hub) -> Any:  # noqa: ANN401 - a route
    def preflight(request: Request) -> Response:
        origin = _origin(hub, request)
        allowed = {
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": "content-type, idempotency-key",
            "access-control-max-age": "600",
        }
        return Response(status_code=204, headers=_cors(origin) | allowed)

    return preflight


def _place(hub: Hub) -> site_place.Place:
    found: site_place.Place | None = hub.kept.get("site.place")
    if found is None:
        found = hub.kept["site.place"] = site_place.place(hub.ws)
    return found


def _origin(hub: Hub, request: Request) -> str:
    """Return the origin of the page that asks.

    A browser names it with every request to another origin; with one to its own only for writes,
    and says so by `Sec-Fetch-Site`, which no page can set.

    Raises:
        NotHere: It is not registered, or not named.
    """
    origin = request.headers.get("origin", "")
    if not origin and request.headers.get("sec-fetch-site") == "same-origin":
        origin = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if origin not in _place(hub).origins:
        raise NotHere
    return origin


def _door(hub: Hub, request: Request, kind: str, limit: str) -> Door:
    """Let a page of the shop in.

    Raises:
        NotHere: It is of another origin.
        TooOften: Its network asks too often.
    """
    origin = _origin(hub, request)
    limits: Limits = hub.kept["site.limits"]
    second = house.real_seconds()
    limits.take(kind, _network(hub, request), site_place.rules().limits[limit], second)
    signal = signals.gpc(request.headers.items())
    return Door(origin, request.cookies.get(COOKIE, ""), signal)


def limited(hub: Hub, request: Request, kind: str, most: int) -> None:
    """Count a request of a public page against its network's limit.

    Raises:
        TooOften: This network asked `most` times in this minute already.
    """
    limits: Limits = hub.kept["site.limits"]
    limits.take(kind, _network(hub, request), most, house.real_seconds())


def caller(hub: Hub, request: Request) -> str:
    """Return the address a request comes from; every limit by network counts by it.

    The header that `[site] forwarded` names says it, or, where none is named and a proxy on this
    machine asks, `X-Forwarded-For`: its last entry, the only one a proxy of ours wrote.
    """
    host = request.client.host if request.client else ""
    named = _place(hub).forwarded
    told = request.headers.get(named or "x-forwarded-for", "").rpartition(",")[2].strip()
    try:
        if told and (named or ipaddress.ip_address(host).is_loopback):
            host = str(ipaddress.ip_address(told))
    except ValueError:  # a name, or no address at all: they share one count
        pass
    return host


def _network(hub: Hub, request: Request) -> str:
    return network_of(caller(hub, request))


def _cors(origin: str) -> dict[str, str]:
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "cross-origin-resource-policy": "cross-origin",
        "cache-control": "private, no-store",
        "vary": "Origin, Cookie, Sec-GPC, Accept",
    }


def _answer(door: Door, body: Mapping[str, object]) -> Response:
    return JSONResponse(dict(body), headers=_cors(door.origin))


def _keep(hub: Hub, request: Request, answer: Response, token: str) -> None:
    """Give the browser its visitor's cookie, or take it away."""
    domain = _place(hub).cookie_domain or None
    secure = request.headers.get("origin", "").startswith("https://")
    if not token:
        answer.delete_cookie(
            COOKIE, path="/", domain=domain, secure=secure, httponly=True, samesite="lax"
        )
        return
    life = site_place.rules().limits["device_days"] * DAY // 1_000_000
    answer.set_cookie(
        COOKIE,
        token,
        max_age=life,
        path="/",
        domain=domain,
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def _slot(hub: Hub, name: str) -> onsite.Slot:
    """Return a published slot, read once a house version."""
    with hub.ws.store.look() as view:
        version = view.house_version
        held, slots = hub.kept.get(_SLOTS, (-1, {}))
        if held != version:
            slots = {}
        if name not in slots:
            slots = {**slots, name: site_place.slot(view, name)}
        hub.kept[_SLOTS] = (version, slots)
    found: onsite.Slot = slots[name]
    return found


def said(used: Sequence[str]) -> list[str]:
    """Say what a slot used in words."""
    seen = ["what you looked at here in the last 13 weeks"] * (onsite.CATEGORY in used)
    return words.categories(set(used) - {onsite.CATEGORY}) + seen


def _content(door: Door, shown: onsite.Shown, accept: str) -> Response:
    why = words.joined(said(shown.used))
    told = f"Shown because of {why}." if why else ""
    if "text/html" in accept:
        return Response(
            onsite.fragment(shown, told), media_type="text/html", headers=_cors(door.origin)
        )
    link = {"href": shown.link, "text": shown.link_text or shown.heading} if shown.link else None
    body: dict[str, object] = {
        "slot": shown.slot,
        "version": shown.label,
        "level": shown.level,
        "heading": shown.heading,
        "text": shown.text,
        "items": list(shown.items),
        "link": link,
        "used": list(shown.used),
        "why": told,
    }
    return _answer(door, body)
