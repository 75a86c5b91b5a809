"""Who came in, for how long, and what makes them leave.

A session is a random token in a cookie, kept here only as its digest and only in memory. It lasts
as long as what it rests on: a person who is there, every address they held when they came in, and
for somebody else's data the mandate it was opened under. Each request looks again, and all are
looked over as soon as any key was destroyed, and once a minute: what was opened for somebody does
not outlive them or the mandate in memory.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from troth import crypto
from troth.app import owndata
from troth.kernel import events
from troth.kernel.desk import everybody
from troth.kernel.proof import b64
from troth.ports import Clock, Randomness, View
from troth.surfaces.web.parts import Hub
from troth.terms import SECOND, Actor, Channel, Instant, PersonId, Role

COOKIE: Final = "troth_my"
LIFE, IDLE = 4 * 3600 * SECOND, 30 * 60 * SECOND
LOOKED_OVER: Final = 60 * SECOND
"""How long a session nobody uses may keep what it rests on no more."""
LEADS_IN: Final = (Channel.EMAIL, Channel.SMS)
"""Addresses of these let their holder in."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was just done, said on the next page: once.

    Attributes:
        text: The result in the reader's language.
        n: Number of the event that proves it; 0 none.
        undo: Address and fields of a form that takes it back; None where nothing can.
    """

    text: str
    n: int = 0
    undo: tuple[str, Mapping[str, str]] | None = None


@dataclass(slots=True)
class Session:
    """Somebody who came in.

    Attributes:
        person: Whose data is shown.
        relation: As what the viewer acts for them, as recorded when they turned to them.
        form: What the tokens of this session's forms are made from; see `Visit.form`.
        reached: Codes of the addresses the viewer held when they came in.
        spoken: The language chosen in this visit, "" none.
        done: What the next page says was done.
        kept: What pages keep for this visit alone, by their own names; what is of a person has
            that person's id in hex in its name (see `forget`).
    """

    viewer: PersonId
    person: PersonId
    relation: str
    method: str
    since: Instant
    until: Instant
    form: str
    reached: frozenset[bytes] = frozenset()
    spoken: str = ""
    done: Done | None = None
    eyes: dict[PersonId, owndata.Eyes] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)

    def forget(self, person: PersonId) -> None:
        """Drop what was opened of somebody; their pages are shown no more."""
        self.eyes.pop(person, None)
        for name in [name for name in self.kept if person.hex() in name]:
            self.kept.pop(name, None)
        if self.person == person != self.viewer:
            self.person, self.relation, self.done = self.viewer, "self", None

    def empty(self) -> None:
        """Drop everything opened, at its end."""
        self.done = None
        self.eyes.clear()
        self.kept.clear()


@dataclass(slots=True)
class Sessions:
    """The sessions of this process, by digest of their token."""

    clock: Clock
    randomness: Randomness
    _held: dict[bytes, tuple[Session, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _looked: tuple[int, int] = (-1, 0)

    def begin(
        self, viewer: PersonId, method: str, reached: frozenset[bytes] = frozenset()
    ) -> tuple[str, Session]:
        """Begin a session; return the token for the cookie, kept nowhere."""
        token, now = self.randomness.take(24).hex(), self.clock.now()
        form, until = b64(self.randomness.take(18)), Instant(now + LIFE)
        made = Session(viewer, viewer, "self", method, now, until, form, reached)
        with self._lock:
            self._held[crypto.sha256(token.encode())] = (made, now + IDLE)
        return token, made

    def find(self, token: str) -> Session | None:
        """Return the session of a token while it lasts; each use puts off its idle end."""
        digest, now = crypto.sha256(token.encode()), self.clock.now()
        with self._lock:
            found, idle = self._held.get(digest, (None, 0))
            if found is None:
                return None
            if now >= min(idle, found.until):
                del self._held[digest]
                found.empty()
                return None
            self._held[digest] = (found, now + IDLE)
        return found

    def end(self, token: str) -> None:
        """End a session; there being none is fine."""
        with self._lock:
            found, _ = self._held.pop(crypto.sha256(token.encode()), (None, 0))
        if found is not None:
            found.empty()

    def drop(self, over: Session) -> None:
        """End a session that is at hand."""
        with self._lock:
            for key in [key for key, (each, _) in self._held.items() if each is over]:
                del self._held[key]
        over.empty()

    def due(self, fence: int) -> Sequence[Session]:
        """Return every session that lasts, where it is time to look them over; else none.

        Args:
            fence: The counter that moves when a key is destroyed.
        """
        now = self.clock.now()
        with self._lock:
            seen, again = self._looked
            if fence == seen and now < again:
                return ()
            self._looked = (fence, now + LOOKED_OVER)
            for key in [k for k, (s, idle) in self._held.items() if now >= min(idle, s.until)]:
                self._held.pop(key)[0].empty()
            return [each for each, _ in self._held.values()]


def begin(
    hub: Hub, request: Request, response: Response, viewer: PersonId, method: str
) -> Session:
    """Let a person in: record it in their chain, end what this browser held, give the cookie.

    Raises:
        Shredded: The person was erased; nothing was begun.
    """
    hub.ws.desk.record(viewer, [events.VisitBegan(method)], Actor(Role.PERSON, viewer.hex()))
    sessions: Sessions = hub.kept["portal"]
    sessions.end(request.cookies.get(COOKIE, ""))
    with hub.ws.store.look() as view:
        held = reached(view, viewer)
    token, made = sessions.begin(viewer, method, held)
    response.set_cookie(
        COOKIE,
        token,
        max_age=LIFE // SECOND,
        httponly=True,
        samesite="lax",  # a link in a mail leads in; each write asks for the form's own token
        secure=over_tls(hub, request),
        path="/",
    )
    return made


def over_tls(hub: Hub, request: Request) -> bool:
    """Tell whether this browser came over TLS: directly, or to the brand's own host by a proxy."""
    named = request.headers.get("host", "").lower().partition(":")[0]
    own = urlsplit(hub.ws.settings.base_url)
    return request.url.scheme == "https" or (own.scheme == "https" and named == own.hostname)


def leave(hub: Hub, request: Request, response: Response) -> None:
    """End this browser's session, if there is one."""
    sessions: Sessions = hub.kept["portal"]
    sessions.end(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/")


def act_for(hub: Hub, session: Session, person: PersonId) -> bool:
    """Turn a session to a person its viewer acts for, or back; False: there is no mandate."""
    if person == session.viewer:
        session.person, session.relation = person, "self"
        return True
    with hub.ws.store.look() as view:
        relation = owndata.mandate(view, person, session.viewer)
    if not relation:
        return False
    hub.ws.desk.record(
        person,
        [events.VisitBegan(session.method, relation)],
        Actor(Role.PERSON, session.viewer.hex()),
    )
    session.person, session.relation = person, relation
    return True


def session_of(hub: Hub, request: Request) -> Session | None:
    """Return the session of a browser, or None."""
    sessions: Sessions = hub.kept["portal"]
    look_over(hub, sessions)
    token = request.cookies.get(COOKIE, "")
    return sessions.find(token) if token else None


def look_over(hub: Hub, sessions: Sessions) -> None:
    """End the sessions that rest on nothing any more, and forget whom they act for no more."""
    found = sessions.due(hub.ws.keys.fence())
    if not found:
        return
    with hub.ws.store.look() as view:
        for each in found:
            if not lasts(view, each):
                sessions.drop(each)
                continue
            seen = {each.person, *each.eyes} - {each.viewer}
            for other in seen:
                if not _may_see(view, each, other):
                    each.forget(other)


def _may_see(view: View, session: Session, other: PersonId) -> bool:
    held = view.gather([other], None)
    gone = not held or held[0].record.erasing
    return not gone and bool(owndata.mandate(view, other, session.viewer))


def lasts(view: View, session: Session) -> bool:
    """Tell whether its viewer is there, is themselves, and holds every address they came in with.

    Whoever came in by an address that was replaced is out, and so is everybody else in their name.
    """
    found = view.gather([session.viewer], None)
    if not found or found[0].record.erasing or found[0].record.alias:
        return False
    return session.reached <= reached(view, session.viewer)


def reached(view: View, person: PersonId) -> frozenset[bytes]:
    """Return the codes of the addresses by which somebody comes in."""
    ids = everybody(view, person)
    held = [each.contact for channel in LEADS_IN for each in view.gather(ids, channel)]
    return frozenset(each.sup for each in held if each is not None)


def stay(hub: Hub, session: Session) -> None:
    """Let a session go on that just changed an address of its viewer: every other one ends."""
    with hub.ws.store.look() as view:
        session.reached = reached(view, session.viewer)
