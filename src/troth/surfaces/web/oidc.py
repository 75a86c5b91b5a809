"""Signing in by the house's identity provider: to it, back from it, and its word that one left.

What a browser was sent away with is kept here, once, for ten minutes, and counts only for that
browser: a cookie that comes along from the provider's page (`SameSite=Lax`). The session's own
cookie does not, so the answer is a page of this house that leads on, not a redirect.
"""

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from troth import crypto
from troth.app import oidc as wiring
from troth.capabilities import access
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel.proof import b64
from troth.ports import Clock, IdentityProvider
from troth.surfaces import words
from troth.surfaces.web.acting import COOKIE, Sessions, keep
from troth.surfaces.web.parts import Hub, body_of, form_of, page
from troth.surfaces.web.signin import READ, Turnstile, back, scheme, site
from troth.terms import SECOND, Farewell, Identity, IdentityAsked, Role

Told = TypeVar("Told")
ERRAND = "troth_errand"
LIFE_S = 600
MOST = 10_000
"""So many browsers may be away at once; the longest away are forgotten first."""
AT_ONCE = 3
"""So many answers are redeemed at once: a provider that hangs keeps the rest of the house free."""
PUBLIC = {
    "/signin/oidc": "whoever signs in has no session yet; leads to the provider",
    "/signin/oidc/back": "what the provider signed is the key",
    "/signin/oidc/out": "leads to the provider's own page; names nobody",
    "/signin/oidc/logout": "the provider's signature is the key; ends sessions, opens nothing",
}
"""Addresses that need no session, and why."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What one browser was sent to the provider with.

    Attributes:
        browser: Digest of the cookie of the browser that must come back.
        role: As which of their roles; None where they did not choose.
    """

    asked: IdentityAsked
    browser: bytes
    role: Role | None
    onward: str


@dataclass(slots=True)
class Errands:
    """Browsers on their way, by state; and which sessions and words of the provider were heard."""

    clock: Clock
    take: Callable[[int], bytes]
    _away: dict[str, Errand] = field(default_factory=dict)
    _sessions: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    _heard: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, here: str, role: Role | None, onward: str, again: str) -> tuple[Errand, str]:
        """Begin an errand; return it and the cookie of the browser that runs it."""
        state, nonce, verifier, cookie = (_word(self.take(32)) for _ in range(4))
        now = self.clock.now()
        asked = IdentityAsked(state, nonce, verifier, here, now, "again" if again else "")
        made = Errand(asked, crypto.sha256(cookie.encode()), role, onward)
        with self._lock:
            over = now - LIFE_S * SECOND
            while self._away:
                first = next(iter(self._away))
                if self._away[first].asked.since > over and len(self._away) < MOST:
                    break
                del self._away[first]
            self._away[state] = made
        return made, cookie

    def come_back(self, state: str, cookie: str) -> Errand | None:
        """Return the errand a browser comes back from, once; None if it is not this browser's."""
        now = self.clock.now()
        with self._lock:
            found = self._away.get(state)
            own = crypto.sha256(cookie.encode("utf-8", "replace"))
            if found is None or not crypto.same(found.browser, own):
                return None
            del self._away[state]
        return found if 0 <= now - found.asked.since < LIFE_S * SECOND else None

    def remember(self, session: str, account: bytes, until: int) -> None:
        """Remember whose account a session at the provider opened here."""
        now = self.clock.now()
        with self._lock:
            self._sessions = {s: held for s, held in self._sessions.items() if held[1] > now}
            if session:
                self._sessions[session] = (account, until)

    def account_of(self, session: str) -> bytes:
        """Return whose account that was, b"" if no session of that name is remembered."""
        with self._lock:
            return self._sessions.get(session, (b"", 0))[0] if session else b""

    def hear(self, told: Farewell) -> bool:
        """Take a word of the provider; False if it was heard before."""
        now = self.clock.now()
        with self._lock:
            self._heard = {t: until for t, until in self._heard.items() if until > now}
            if told.token in self._heard:
                return False
            self._heard[told.token] = told.until
        return True


def _word(raw: bytes) -> str:
    return b64(raw).rstrip("=").replace("+", "-").replace("/", "_")


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the way to the provider, the way back, and its word that somebody left."""
    office: access.Office = hub.kept["office"]
    named = wiring.provider(hub.ws.settings)
    hub.kept["provider"] = wiring.connect(hub.ws, office.clock)
    hub.kept["provider.offer"] = named
    hub.kept["errands"] = Errands(office.clock, hub.ws.desk.randomness.take)
    hub.kept["turnstile.oidc"] = Turnstile(office.clock, office.limits.all_per_minute)
    hub.kept["provider.free"] = threading.BoundedSemaphore(AT_ONCE)
    _there_and_back(app, hub)
    _leaving(app, hub)


def _provider(hub: Hub) -> IdentityProvider:
    found: IdentityProvider | None = hub.kept["provider"]
    if found is None:
        raise NotFound("this house has no identity provider", "sign in at /signin")
    return found


def _there_and_back(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/signin/oidc", methods=["GET"], include_in_schema=False)
    def go(request: Request) -> Response:
        provider, told = _provider(hub), request.query_params
        onward = access.local_path(told.get("next", ""))
        role = next(
            (r for r in Role if r.value == told.get("as") and r.value in words.ROLES), None
        )
        here = f"{site(hub, request).origin}/signin/oidc/back"
        errand, cookie = hub.kept["errands"].send(here, role, onward, told.get("again", ""))
        where = _asked(hub, onward, lambda: provider.ask(errand.asked))
        if isinstance(where, Response):
            return where
        answer = RedirectResponse(where, 303)
        answer.set_cookie(ERRAND, cookie, max_age=LIFE_S, httponly=True, samesite="lax",
                          secure=scheme(hub, request) == "https", path="/signin/oidc")  # fmt: skip
        return answer

    @app.api_route("/signin/oidc/back", methods=["GET"], include_in_schema=False)
    def returned(request: Request) -> Response:
        _provider(hub)
        cookie, state = request.cookies.get(ERRAND, ""), request.query_params.get("state", "")
        errand = hub.kept["errands"].come_back(state, cookie)
        if errand is None:
            return back("old", "/console")
        passed, first = hub.kept["turnstile.oidc"].enter()
        if not passed:
            if first:
                access.turned_away(hub.kept["office"])
            return back("wait", errand.onward)
        told = _asked(hub, errand.onward, lambda: _redeemed(hub, request, errand))
        return told if isinstance(told, Response) else _known(hub, request, errand, told)


def _redeemed(hub: Hub, request: Request, errand: Errand) -> Identity:
    provider, told = _provider(hub), request.query_params
    provider.heard_back(told.get("iss", ""))
    return provider.redeem("" if "error" in told else told.get("code", ""), errand.asked)


def _asked(hub: Hub, onward: str, run: Callable[[], Told]) -> Told | Response:
    """Ask the provider, or say why that led nowhere; never more than a few at once."""
    free: threading.BoundedSemaphore = hub.kept["provider.free"]
    if not free.acquire(blocking=False):
        return back("wait", onward)
    try:
        return run()
    except InvalidInput as fault:
        access.refused_identity(hub.kept["office"])
        return _unproved(fault.message.rpartition(": ")[2], onward)
    except Unavailable as fault:
        return _away(fault, onward)
    finally:
        free.release()


def _known(hub: Hub, request: Request, errand: Errand, identity: Identity) -> Response:
    """Let in whom the provider vouches for, if the house lists them."""
    office: access.Office = hub.kept["office"]
    roles = access.roles_of(office, identity)
    if len(roles) > 1 and errand.role is None:
        shown = [(role.value, words.ROLES[role]) for role in roles]
        return page(hub, "signin_back.html", here="signin", roles=shown,
                    onward=errand.onward, again=errand.asked.again)  # fmt: skip
    role = errand.role or next(iter(roles), Role.IT)
    signed = access.by_identity(office, identity, role, errand.asked.again)
    if signed is None:
        return _unproved("unknown", errand.onward)
    answer = page(hub, "signin_back.html", here="signin", roles=[], onward=errand.onward)
    return _let_in(hub, request, signed, identity.session, answer)


def _let_in(
    hub: Hub, request: Request, signed: access.SignedIn, session: str, answer: Response
) -> Response:
    """Begin a session under a new token; whatever token the browser came with is over."""
    sessions: Sessions = hub.kept["sessions"]
    sessions.end(request.cookies.get(COOKIE, ""))
    account = signed.account
    token, made = sessions.begin(signed.actor, signed.method, account.key, account.round)
    hub.kept["errands"].remember(session, account.key, made.until)
    keep(answer, token, sessions.life, scheme(hub, request))
    answer.delete_cookie(ERRAND, path="/signin/oidc")
    return answer


def _unproved(cause: str, onward: str) -> Response:
    """Answer every failure alike; only the operator's log names the check."""
    sys.stderr.write(json.dumps({"code": "signin.oidc", "cause": cause}) + "\n")
    return back("unproved", onward)


def _away(fault: Unavailable, onward: str) -> Response:
    sys.stderr.write(json.dumps({"code": "signin.oidc", "cause": fault.message}) + "\n")
    return back("away", onward)


def _leaving(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/signin/oidc/out", methods=READ, include_in_schema=False)
    def out(request: Request) -> Response:
        provider, home = _provider(hub), f"{site(hub, request).origin}/signin"
        where = _asked(hub, "/console", lambda: provider.leave(home))
        return where if isinstance(where, Response) else RedirectResponse(where or home, 303)

    @app.post("/signin/oidc/logout", include_in_schema=False)
    def told(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        provider, free = _provider(hub), hub.kept["provider.free"]
        if not free.acquire(blocking=False):
            raise Unavailable("the identity provider is asked by others", "try again in a moment")
        try:
            form = form_of(request.headers.get("content-type", ""), raw)
            word = provider.farewell(form.get("logout_token", b"").decode("latin-1"))
        except InvalidInput:
            return JSONResponse({"error": "invalid_request"}, 400)
        finally:
            free.release()
        errands: Errands = hub.kept["errands"]
        if not errands.hear(word):
            return JSONResponse({"error": "invalid_request"}, 400)
        access.farewell(hub.kept["office"], word, errands.account_of(word.session))
        return Response(status_code=200)
