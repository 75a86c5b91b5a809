"""Who acts: the session or key behind a request, required by every page of staff and every write.

A session is a random token in a cookie, kept here only as its digest and only in memory: it ends
by itself, and with this process. A page names the roles it is for; whoever has no session is sent
to sign in, whoever has another role is told who may. A form is believed only with the token of its
own session (no other site knows it). A program is who its key says, whatever it says itself.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from troth import crypto
from troth.capabilities import access
from troth.kernel.proof import b64
from troth.ports import Clock, Randomness
from troth.surfaces.web.parts import Hub, form_of
from troth.terms import SECOND, Action, Actor, ApiKey, Instant, Role

COOKIE: Final = "troth_session"


class SignInNeeded(Exception):  # noqa: N818 - not a fault: an answer of its own, 303 or 401
    """Nobody is signed in."""


class KeyNeeded(Exception):  # noqa: N818 - not a fault: an answer of its own, 401
    """A program asks without a key that holds."""


class NotAllowed(Exception):  # noqa: N818 - not a fault: an answer of its own, 403
    """Somebody is, whose role may not do this; nothing was done."""

    def __init__(self, allowed: tuple[Role, ...]) -> None:
        """Say which roles may."""
        super().__init__("not allowed")
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Session:
    """One member of staff, signed in.

    Attributes:
        name: How pages greet them; the part of the id before the @.
        until: The session ends here whatever happens.
        form: Token that a form of this session must carry.
        method: How they signed in: passkey, totp, recovery, door (a demo's), oidc (the provider
            may have asked them nothing this time) or oidc_again (it asked them just then).
        account: Key of their account; b"" where a door of the demo opened.
        round: The round of the account it was begun in; a later one ends it.
    """

    actor: Actor
    name: str
    since: Instant
    until: Instant
    form: str
    method: str
    account: bytes = b""
    round: int = 0


@dataclass(slots=True)
class Sessions:
    """The sessions of this process, by digest of their token.

    Attributes:
        clock: The machine's own: a session lasts as long in a demo whose time stands.
        alive: Whether the account behind a session still holds; asked at every use.
        life: The longest a session lasts, microseconds.
        idle: Without a request it ends after this, microseconds.
    """

    clock: Clock
    randomness: Randomness
    alive: Callable[[Session], bool]
    life: int
    idle: int
    _held: dict[bytes, tuple[Session, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(
        self, actor: Actor, method: str, account: bytes = b"", round_: int = 0
    ) -> tuple[str, Session]:
        """Begin a session; return the token for the cookie, kept nowhere."""
        token = self.randomness.take(24).hex()
        now = self.clock.now()
        made = Session(
            actor,
            actor.id.partition("@")[0].capitalize(),
            now,
            Instant(now + self.life),
            b64(self.randomness.take(18)),
            method,
            account,
            round_,
        )
        with self._lock:
            ended = [key for key, (_, idle) in self._held.items() if now >= idle]
            for key in ended:
                del self._held[key]
            self._held[crypto.sha256(token.encode())] = (made, now + self.idle)
        return token, made

    def of(self, account: bytes) -> list[Session]:
        """Return the sessions of an account that last, oldest first."""
        now = self.clock.now()
        with self._lock:
            held = [s for s, idle in self._held.values() if now < min(idle, s.until)]
        return sorted((s for s in held if s.account == account), key=lambda s: s.since)

    def find(self, token: str) -> Session | None:
        """Return the session of a token while it lasts; each use puts off its idle end."""
        digest, now = crypto.sha256(token.encode()), self.clock.now()
        with self._lock:
            found = self._held.get(digest)
            if found is None:
                return None
            if now >= min(found[1], found[0].until):
                del self._held[digest]
                return None
            self._held[digest] = (found[0], now + self.idle)
        if not self.alive(found[0]):
            self.end(token)
            return None
        return found[0]

    def end(self, token: str) -> None:
        """End a session; there being none is fine."""
        with self._lock:
            self._held.pop(crypto.sha256(token.encode()), None)


def session_of(hub: Hub, request: Request) -> Session | None:
    """Return who is signed in, or None."""
    token = request.cookies.get(COOKIE, "")
    sessions: Sessions = hub.kept["sessions"]
    return sessions.find(token) if token else None


def acting(hub: Hub, request: Request, *roles: Role) -> Session:
    """Return who acts, and require one of these roles (none named: any staff).

    Raises:
        SignInNeeded: Nobody is signed in.
        NotAllowed: Their role is not among these.
    """
    found = session_of(hub, request)
    if found is None:
        raise SignInNeeded
    if roles and found.actor.role not in roles:
        raise NotAllowed(roles)
    return found


def submitted(
    hub: Hub, request: Request, raw: bytes, *roles: Role
) -> tuple[Session, dict[str, str]]:
    """Return who acts and the form they sent, believed only with their session's own token.

    Raises:
        SignInNeeded: Nobody is signed in.
        NotAllowed: Their role may not, or the form is not of this session.
        InvalidInput: It is no form.
    """
    session = acting(hub, request, *roles)
    own_page(request)
    form = form_of(request.headers.get("content-type", ""), raw)
    given = form.pop("form", b"")
    if not crypto.same(given, session.form.encode()):
        raise NotAllowed(roles)
    return session, {name: value.decode("utf-8", "replace") for name, value in form.items()}


def keep(response: Response, token: str, life: int, scheme: str = "http") -> None:
    """Give the browser its session for `life` microseconds; over https it is sent there alone."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=life // SECOND,
        httponly=True,
        samesite="strict",
        secure=scheme == "https",
        path="/",
    )


def own_page(request: Request) -> None:
    """Require that a form comes from a page of this house, as far as the browser says.

    Raises:
        NotAllowed: It comes from a page elsewhere, or from another port of this machine.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin", "null")
    named = origin.partition("://")[2]
    if site not in {"same-origin", "none"} or named not in {"", request.headers.get("host", "")}:
        raise NotAllowed(())


def keyed(hub: Hub, request: Request) -> ApiKey:
    """Return the API key a program sent; it says who asks, and about which actions it may.

    Raises:
        KeyNeeded: It sent none, or one that is over.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() == "bearer" and token:
        digest = crypto.sha256(token.encode("utf-8", "surrogateescape"))
        if hub.api_key and crypto.same(digest, hub.api_key):
            return _demo_key(hub, digest)
        found = access.held_key(hub.kept["office"], token)
        if found is not None:
            return found
    raise KeyNeeded


def key_actor(hub: Hub, key: ApiKey) -> Actor:
    """Return as whom a key asks: the demo's shown key as the first of its marketers."""
    if hub.api_key and key.digest == hub.api_key:
        return Actor(Role.MARKETER, key.name)
    return access.actor_of(key)


def _demo_key(hub: Hub, digest: bytes) -> ApiKey:
    name = next(iter(hub.ws.settings.staff.get(Role.MARKETER, ())), "")
    now = hub.kept["office"].clock.now()
    return ApiKey(digest, name, Role.MARKETER, frozenset(Action), now, now)
