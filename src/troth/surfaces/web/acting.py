"""Who acts: the session behind a request, required by every console page and every write.

A session is a random token in a cookie, kept here only as its digest; it ends by itself. A page
names the roles it is for; whoever has no session is sent to sign in, whoever has another role is
told who may. A form is believed only with the token of its own session (no other site knows it).
"""

import threading
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from troth import crypto
from troth.kernel.proof import b64
from troth.ports import Clock, Randomness
from troth.surfaces.web.parts import Hub, form_of
from troth.terms import SECOND, Actor, Instant, Role

COOKIE: Final = "troth_session"
LIFE: Final = 8 * 3600 * SECOND
IDLE: Final = 30 * 60 * SECOND


class SignInNeeded(Exception):  # noqa: N818 - not a fault: an answer of its own, 303 or 401
    """Nobody is signed in."""


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
        method: How they signed in: passkey, totp, recovery or door (a demo's).
    """

    actor: Actor
    name: str
    since: Instant
    until: Instant
    form: str
    method: str


@dataclass(slots=True)
class Sessions:
    """The sessions of this process, by digest of their token."""

    clock: Clock
    randomness: Randomness
    _held: dict[bytes, tuple[Session, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, actor: Actor, method: str) -> tuple[str, Session]:
        """Begin a session; return the token for the cookie, kept nowhere."""
        token = self.randomness.take(24).hex()
        now = self.clock.now()
        made = Session(
            actor,
            actor.id.partition("@")[0].capitalize(),
            now,
            Instant(now + LIFE),
            b64(self.randomness.take(18)),
            method,
        )
        with self._lock:
            self._held[crypto.sha256(token.encode())] = (made, now + IDLE)
        return token, made

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
            self._held[digest] = (found[0], now + IDLE)
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
    form = form_of(request.headers.get("content-type", ""), raw)
    given = form.pop("form", b"")
    if not crypto.same(given, session.form.encode()):
        raise NotAllowed(roles)
    return session, {name: value.decode("utf-8", "replace") for name, value in form.items()}


def keep(response: Response, token: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        COOKIE, token, max_age=LIFE // SECOND, httponly=True, samesite="strict", path="/"
    )
