"""Signing in and enrolling: by passkey, by one-time code, by recovery code.

Everything but passkeys works without script. What a browser is asked about a passkey, and the
token of a form before there is a session, are made from a cookie of their own and this process's
secret: nothing is kept for a visitor who only looks.
"""

import base64
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import crypto
from troth.capabilities import access
from troth.errors import InvalidInput
from troth.kernel.proof import b64
from troth.ports import Clock
from troth.surfaces import faults, words
from troth.surfaces.web.acting import (
    COOKIE,
    Sessions,
    keep,
    own_page,
    session_of,
)
from troth.surfaces.web.console import doors
from troth.surfaces.web.parts import Hub, body_of, form_of, page
from troth.terms import SECOND, Account, Site

READ = ["GET", "HEAD"]
BEGIN = "troth_begin"
BEGIN_LIFE = 15 * 60
MINUTE = 60 * SECOND
PUBLIC = {
    "/signin": "whoever signs in has no session yet",
    "/enrol/{token}": "the token of the link is the key",
}
"""Addresses that need no session, and why."""


@dataclass(slots=True)
class Challenges:
    """What browsers are asked to sign: bound to their cookie, good once and for some minutes."""

    secret: bytes
    clock: Clock
    life: int
    _spent: dict[bytes, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, cookie: str) -> bytes:
        """Return a challenge for the browser that holds this cookie."""
        return self._bound(self.clock.now().to_bytes(8, "big"), cookie)

    def _bound(self, at: bytes, cookie: str) -> bytes:
        return at + crypto.mac(self.secret, b"challenge" + at + cookie.encode())[:24]

    def spend(self, challenge: bytes, cookie: str) -> bool:
        """Use a challenge up; False if it is another browser's, too old, or was used."""
        at, now = challenge[:8], self.clock.now()
        own = crypto.same(self._bound(at, cookie), challenge)
        made = int.from_bytes(at, "big")
        with self._lock:
            self._spent = {c: until for c, until in self._spent.items() if until > now}
            good = own and made <= now < made + self.life and challenge not in self._spent
            if good:
                self._spent[challenge] = made + self.life
        return good

    def token(self, cookie: str) -> str:
        """Return what a form must carry while there is no session."""
        return b64(crypto.mac(self.secret, b"form" + cookie.encode())[:18])


@dataclass(slots=True)
class Turnstile:
    """Lets so many attempts a minute through, whoever makes them."""

    clock: Clock
    most: int
    _taken: deque[int] = field(default_factory=deque)
    _turned: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> tuple[bool, bool]:
        """Return whether one may pass; if not, whether it is the first turned away of many."""
        now = self.clock.now()
        with self._lock:
            while self._taken and self._taken[0] <= now - MINUTE:
                self._taken.popleft()
            if len(self._taken) < self.most:
                self._taken.append(now)
                return True, False
            first = now - self._turned > MINUTE
            self._turned = now if first else self._turned
            return False, first


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add signing in and enrolling."""
    office: access.Office = hub.kept["office"]
    secret = hub.ws.desk.randomness.take(crypto.KEY_BYTES)
    hub.kept["challenges"] = Challenges(secret, office.clock, office.limits.passkey_wait)
    for way in ("code", "credential"):  # a flood of one keeps nobody from the other
        hub.kept[f"turnstile.{way}"] = Turnstile(office.clock, office.limits.all_per_minute)
    _signing_in(app, hub)
    _enrolling(app, hub)


def _signing_in(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/signin", methods=READ, include_in_schema=False)
    def ask(request: Request) -> Response:
        onward = access.local_path(request.query_params.get("next", ""))
        say = request.query_params.get("say", "")
        if session_of(hub, request) is not None and say != "again":
            return RedirectResponse(onward, 303)
        cookie = cookie_of(hub, request)
        shown: dict[str, Any] = {"say": say, "onward": onward, "doors": doors(hub, request),
                                 "provider": hub.kept.get("provider.offer")}  # fmt: skip
        return begun(hub, request, page(hub, "signin.html", here="signin", **shown,
                      **_passkey_asked(hub, request, cookie)), cookie)  # fmt: skip

    @app.post("/signin", include_in_schema=False)
    def enter(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        form = _form(hub, request, raw)
        onward = access.local_path(form.get("next", ""))
        if form.pop("believed") != "yes":
            return back("old", onward)
        way = "credential" if form.get("credential") else "code"
        passed, first = hub.kept[f"turnstile.{way}"].enter()
        if not passed:
            if first:
                access.turned_away(hub.kept["office"])
            return back("wait", onward)
        signed = _proved(hub, request, form)
        if signed is None:
            return back("failed", onward)
        onward = "/console/me?say=recovered" if signed.method == "recovery" else onward
        return _let_in(hub, request, signed, RedirectResponse(onward, 303))


def back(say: str, onward: str) -> Response:
    """Lead back to signing in; `say` names the sentence shown there."""
    return RedirectResponse(f"/signin?say={say}&next={quote(onward, safe='')}", 303)


def _proved(hub: Hub, request: Request, form: dict[str, str]) -> access.SignedIn | None:
    office: access.Office = hub.kept["office"]
    if not form.get("credential"):
        return access.by_code(office, form.get("id", ""), form.get("code", ""))
    challenge = spent(hub, request, form["credential"])
    return access.by_passkey(office, site(hub, request), challenge, form["credential"])


def spent(hub: Hub, request: Request, answer: str) -> bytes:
    """Return the challenge an answer names if it was ours to this browser; else one of nobody."""
    office: access.Office = hub.kept["office"]
    try:
        _, challenge = office.passkeys.named(answer)
    except InvalidInput:
        challenge = b""
    cookie = request.cookies.get(BEGIN, "")
    if hub.kept["challenges"].spend(challenge, cookie):
        return challenge
    return office.desk.randomness.take(crypto.KEY_BYTES)


def _let_in(hub: Hub, request: Request, signed: access.SignedIn, answer: Response) -> Response:
    """Begin a session under a new token; whatever token the browser came with is over."""
    sessions: Sessions = hub.kept["sessions"]
    sessions.end(request.cookies.get(COOKIE, ""))
    token, _ = sessions.begin(
        signed.actor, signed.method, signed.account.key, signed.account.round
    )
    keep(answer, token, sessions.life, scheme(hub, request))
    answer.delete_cookie(BEGIN, path="/")
    return answer


def _enrolling(app: FastAPI, hub: Hub) -> None:
    office: access.Office = hub.kept["office"]

    @app.api_route("/enrol/{token}", methods=READ, include_in_schema=False)
    def offer(token: str, request: Request) -> Response:
        return _offer(hub, request, access.read_invite(office, token), "")

    @app.post("/enrol/{token}", include_in_schema=False)
    def enrol(token: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        form = _form(hub, request, raw)
        invited = access.read_invite(office, token)
        if form["believed"] != "yes":
            return _offer(hub, request, invited, "This page was open too long. Try once more.")
        try:
            if form.get("credential"):
                challenge = spent(hub, request, form["credential"])
                here = site(hub, request)
                done = access.enrol_passkey(office, invited, here, challenge, form["credential"])
            else:
                done = access.enrol_code(office, invited, form.get("code", ""))
        except InvalidInput as fault:
            return _offer(hub, request, invited, faults.sentence(fault))
        signed, codes = done
        shown = page(
            hub, "codes.html", here="signin", codes=codes, name=invited.actor.id, fresh=True
        )
        return _let_in(hub, request, signed, shown)


def _offer(hub: Hub, request: Request, invited: access.Invited, wrong: str) -> Response:
    office: access.Office = hub.kept["office"]
    cookie = cookie_of(hub, request)
    secret = access.enrol_secret(office, invited)
    asked = passkey_made(hub, request, invited.account, invited.actor.id, cookie)
    shown = page(
        hub,
        "enrol.html",
        400 if wrong else 200,
        here="signin",
        name=invited.actor.id,
        role=words.ROLES[invited.actor.role],
        wrong=wrong,
        secret=access.grouped(base64.b32encode(secret).decode()),
        picture=squares(access.otpauth(secret, office.title, invited.actor.id)),
        **asked,
    )
    return begun(hub, request, shown, cookie)


def squares(text: str) -> dict[str, Any]:
    """Draw a QR code as one path of unit squares; the quiet zone is part of its size."""
    import segno  # noqa: PLC0415 - 80 ms, needed on one page

    rows = [list(row) for row in segno.make(text, error="m", micro=False).matrix_iter(border=4)]
    marks = [
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark
    ]
    return {"size": len(rows), "path": "".join(marks)}


# What a browser is asked


def scheme(hub: Hub, request: Request) -> str:
    """Return how the browser reached the house: https where the console's address says so."""
    return hub.ws.settings.console_url.partition("://")[0] or request.url.scheme


def site(hub: Hub, request: Request) -> Site:
    """Return where a passkey belongs: the console's address, or `localhost` on this machine.

    A browser makes no passkey for a number such as 127.0.0.1.
    """
    url = hub.ws.settings.console_url
    if url:
        return Site(url.partition("://")[2].partition(":")[0], url)
    return Site("localhost", f"http://{request.headers.get('host', '')}")


def _at_home(here: Site) -> bool:
    return here.origin.partition("://")[2].partition(":")[0] == here.rp


def _passkey_asked(hub: Hub, request: Request, cookie: str) -> dict[str, Any]:
    here, challenges = site(hub, request), hub.kept["challenges"]
    asked = hub.kept["office"].passkeys.request(here, challenges.make(cookie))
    return _asked(here, request, asked, challenges.token(cookie))


def passkey_made(
    hub: Hub,
    request: Request,
    account: Account,
    name: str,
    cookie: str,
) -> dict[str, Any]:
    """Return what a page needs to have a passkey made for an account."""
    here, office = site(hub, request), hub.kept["office"]
    held = [p.id for p in office.store.passkeys(account.key)]
    challenges: Challenges = hub.kept["challenges"]
    made = office.passkeys.creation(here, account, name, challenges.make(cookie), held)
    return _asked(here, request, made, challenges.token(cookie))


def _asked(here: Site, request: Request, options: str, token: str) -> dict[str, Any]:
    port = f":{request.url.port}" if request.url.port else ""
    elsewhere = "" if _at_home(here) else f"http://localhost{port}{request.url.path}"
    return {"options": options, "token": token, "elsewhere": elsewhere}


def cookie_of(hub: Hub, request: Request) -> str:
    """Return the value that binds a browser to what it is asked; a fresh one if it has none."""
    held = request.cookies.get(BEGIN, "")
    good = len(held) == 2 * crypto.KEY_BYTES and held.isalnum()
    return held if good else str(hub.ws.desk.randomness.take(crypto.KEY_BYTES).hex())


def begun(hub: Hub, request: Request, answer: Response, cookie: str) -> Response:
    """Give the browser that value."""
    answer.set_cookie(
        BEGIN,
        cookie,
        max_age=BEGIN_LIFE,
        httponly=True,
        samesite="strict",
        secure=scheme(hub, request) == "https",
        path="/",
    )
    return answer


def _form(hub: Hub, request: Request, raw: bytes) -> dict[str, str]:
    """Read a form sent before there is a session; `believed` is "yes" if it is this browser's own.

    Raises:
        NotAllowed: It comes from a page elsewhere.
        InvalidInput: It is no form.
    """
    own_page(request)
    form = form_of(request.headers.get("content-type", ""), raw)
    told = {name: value.decode("utf-8", "replace") for name, value in form.items()}
    cookie = request.cookies.get(BEGIN, "")
    right: str = hub.kept["challenges"].token(cookie)
    good = bool(cookie) and crypto.same(told.pop("form", "").encode(), right.encode())
    return {**told, "believed": "yes" if good else ""}
