"""Who is in, whose data they see, and the frame each page of the customer's side is drawn in.

A session is a random token in a cookie, kept here only as its digest and only in memory. It is of
one person (the viewer); whose data it shows is that person's own, or somebody's they act for as
long as that link stands. Everything is looked up again at each request: whoever was erased, or
whose mandate ended, is out with the next click.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from troth import crypto
from troth.app import owndata
from troth.capabilities import preferences
from troth.kernel import events
from troth.kernel.house import parse_toml
from troth.kernel.proof import b64
from troth.ports import Clock, Randomness
from troth.surfaces.portal.brand import brand_css
from troth.surfaces.portal.catalogue import ENGLISH, LANGUAGES, N_, InPage, Tongue, preferred
from troth.surfaces.web.acting import NotAllowed, own_page
from troth.surfaces.web.parts import Hub, body_of, form_of, static_digest
from troth.terms import SECOND, Actor, Instant, PersonId, PersonRecord, Role

COOKIE: Final = "troth_my"
LIFE, IDLE = 4 * 3600 * SECOND, 30 * 60 * SECOND
READ = ["GET", "HEAD"]
ENTER: Final = "/my/enter"
GIVEN_BY: Final[Mapping[str, str]] = {
    "self": "self",
    "competent_person": "competent_person",
    "contact_of": "contact",
    "agent": "authorised_agent",
}
"""As what one acts → how an act of theirs is recorded."""
PUBLIC = {"/my/brand.css": "the brand's colours", "/my/language": "in which language one reads"}
NAV: tuple[tuple[str, str, str], ...] = (
    ("overview", "/my", N_("Overview")),
    ("level", "/my/level", N_("How personal")),
    ("preferences", "/my/preferences", N_("Messages")),
    ("activity", "/my/activity", N_("My activity")),
    ("uses", "/my/uses", N_("Who used my data")),
    ("correct", "/my/correct", N_("Correct")),
    ("download", "/my/download", N_("Take it with me")),
    ("delete", "/my/delete", N_("Delete")),
    ("receipts", "/my/receipts", N_("Receipts")),
    ("requests", "/my/requests", N_("Requests")),
)
"""Key, path and label; a page whose route does not exist is not shown."""


class EntryNeeded(Exception):  # noqa: N818 - not a fault: an answer of its own, 303
    """Nobody is in."""


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
        form: What the tokens of this session's forms are made from; see `Visit.form`.
        spoken: The language chosen in this visit, "" none.
        done: What the next page says was done.
        kept: What pages keep for this visit alone, by their own names.
    """

    viewer: PersonId
    person: PersonId
    relation: str
    method: str
    since: Instant
    until: Instant
    form: str
    spoken: str = ""
    done: Done | None = None
    eyes: dict[PersonId, owndata.Eyes] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Sessions:
    """The sessions of this process, by digest of their token."""

    clock: Clock
    randomness: Randomness
    _held: dict[bytes, tuple[Session, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, viewer: PersonId, method: str) -> tuple[str, Session]:
        """Begin a session; return the token for the cookie, kept nowhere."""
        token, now = self.randomness.take(24).hex(), self.clock.now()
        form, until = b64(self.randomness.take(18)), Instant(now + LIFE)
        made = Session(viewer, viewer, "self", method, now, until, form)
        with self._lock:
            for key in [key for key, (_, idle) in self._held.items() if now >= idle]:
                del self._held[key]
            self._held[crypto.sha256(token.encode())] = (made, now + IDLE)
        return token, made

    def find(self, token: str) -> Session | None:
        """Return the session of a token while it lasts; each use puts off its idle end."""
        digest, now = crypto.sha256(token.encode()), self.clock.now()
        with self._lock:
            found, idle = self._held.get(digest, (None, 0))
            if found is None or now >= min(idle, found.until):
                self._held.pop(digest, None)
                return None
            self._held[digest] = (found, now + IDLE)
        return found

    def end(self, token: str) -> None:
        """End a session; there being none is fine."""
        with self._lock:
            self._held.pop(crypto.sha256(token.encode()), None)

    def end_of(self, viewer: PersonId) -> None:
        """End every session of a person."""
        with self._lock:
            for key in [key for key, (each, _) in self._held.items() if each.viewer == viewer]:
                del self._held[key]


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is in.

    Attributes:
        person: Whose data; the id that stayed after merges.
        viewer: Who is in.
        relation: self, or as what the viewer acts for the person.
        record: The person's gate facts as of this request.
        may_grant: A minor's own visit narrows and sees; agreeing is the competent person's.
    """

    session: Session
    person: PersonId
    viewer: PersonId
    relation: str
    record: PersonRecord
    tongue: Tongue
    may_grant: bool

    @property
    def actor(self) -> Actor:
        """Who acts, as events name them."""
        return Actor(Role.PERSON, self.viewer.hex())

    @property
    def given_by(self) -> str:
        """How an act of this visit is recorded."""
        return GIVEN_BY.get(self.relation, "authorised_agent")

    @property
    def form(self) -> str:
        """The token each form carries: of this session, and of whose data the page shows.

        A page left open from before somebody turned to another person can do nothing to that one.
        """
        return b64(crypto.mac(self.session.form.encode(), b"form" + self.person)[:18])

    @property
    def method(self) -> str:
        """How they came in."""
        return self.session.method

    @property
    def language(self) -> str:
        """Code of the language this visit reads."""
        return self.tongue.language

    @property
    def eyes(self) -> owndata.Eyes:
        """What this visit has seen of the person; see `app.owndata`."""
        made = owndata.Eyes(self.person, self.viewer, self.relation)
        return self.session.eyes.setdefault(self.person, made)

    @property
    def gettext(self) -> Callable[..., str]:
        """Say a sentence in the reader's language."""
        return self.tongue.gettext

    @property
    def ngettext(self) -> Callable[..., str]:
        """Say how many, in the reader's language."""
        return self.tongue.ngettext

    @property
    def day(self) -> Callable[..., str]:
        """Write a day."""
        return self.tongue.day

    @property
    def moment(self) -> Callable[..., str]:
        """Write a moment, in the reader's zone."""
        return self.tongue.moment

    @property
    def number(self) -> Callable[[int], str]:
        """Write a number."""
        return self.tongue.number


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the brand's colours and the choice of a language."""
    hub.kept["portal"] = Sessions(hub.kept["office"].clock, hub.ws.desk.randomness)
    app.add_exception_handler(EntryNeeded, _to_entry)

    @app.api_route("/my/brand.css", methods=READ, include_in_schema=False)
    def colours() -> Response:
        return Response(brand_css(hub), media_type="text/css", headers=_KEPT)

    @app.post("/my/language", include_in_schema=False)
    def speak(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        own_page(request)
        form = form_of(request.headers.get("content-type", ""), raw)
        chosen = form.get("language", b"").decode("ascii", "replace")
        answer = RedirectResponse(_local(form.get("back", b"").decode("utf-8", "replace")), 303)
        if chosen in LANGUAGES:
            found = session_of(hub, request)
            if found is not None:
                found.spoken = chosen
            answer.set_cookie(SPOKEN, chosen, samesite="lax", httponly=True, path="/")
        return answer


SPOKEN: Final = "troth_language"
_KEPT = {"cache-control": "public, max-age=3600"}


def _local(path: str) -> str:
    """Return a page of this side, whatever a form says."""
    plain = path.startswith(("/my", "/notices", "/verify")) and path.isprintable()
    return path if plain and "//" not in path and "\\" not in path else "/my"


def _to_entry(_request: Request, _fault: Exception) -> Response:
    return RedirectResponse(ENTER, 303)


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
    token, made = sessions.begin(viewer, method)
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
    token = request.cookies.get(COOKIE, "")
    sessions: Sessions = hub.kept["portal"]
    return sessions.find(token) if token else None


def visiting(hub: Hub, request: Request) -> Visit:
    """Return who is in, and whose data they see.

    Raises:
        EntryNeeded: Nobody is; or they were erased meanwhile.
    """
    session = session_of(hub, request)
    if session is None:
        raise EntryNeeded
    desk = hub.ws.desk
    with desk.store.look() as view:
        viewer = desk.keeper(view, session.viewer)
        person = desk.keeper(view, session.person)
        if person != viewer and not owndata.mandate(view, person, viewer):
            person = viewer
        found = view.gather([person], None)
    if not found or found[0].record.erasing or viewer != session.viewer:
        leaving: Sessions = hub.kept["portal"]
        leaving.end(request.cookies.get(COOKIE, ""))
        raise EntryNeeded
    if person != session.person:
        session.person, session.relation = person, "self"
    record = _signalled(hub, request, session, found[0].record)
    own_minor = record.age == "minor" and session.relation == "self"
    return Visit(
        session, person, viewer, session.relation, record,
        tongue(hub, request, session.spoken or record.language, record.zone), not own_minor,
    )  # fmt: skip


def _signalled(hub: Hub, request: Request, session: Session, record: PersonRecord) -> PersonRecord:
    """Honour the browser's opt-out signal for whoever is in, once a visit; return their facts."""
    if request.headers.get("sec-gpc", "").strip() != "1" or session.relation != "self":
        return record
    if not session.kept.get("signal"):
        preferences.honour_signal(hub.ws.desk, session.viewer)
        session.kept["signal"] = True
        with hub.ws.store.look() as view:
            return view.gather([session.viewer], None)[0].record
    return record


def submitted(hub: Hub, request: Request, raw: bytes) -> tuple[Visit, dict[str, str]]:
    """Return who is in and the form they sent, believed only with their session's own token.

    Raises:
        EntryNeeded: Nobody is in.
        NotAllowed: The form is of another session or page; nothing was done.
        InvalidInput: It is no form.
    """
    visit = visiting(hub, request)
    own_page(request)
    form = form_of(request.headers.get("content-type", ""), raw)
    given = form.pop("form", b"")
    if not crypto.same(given, visit.form.encode()):
        raise NotAllowed(())
    return visit, {name: value.decode("utf-8", "replace") for name, value in form.items()}


def finished(visit: Visit, path: str, done: Done) -> Response:
    """Lead on after something was done; the next page says what."""
    visit.session.done = done
    return RedirectResponse(path, 303)


def tongue(hub: Hub, request: Request, held: str = "", zone: str = "") -> Tongue:
    """Return the language and zone to speak to whoever sent a request."""
    said = request.cookies.get(SPOKEN, "")
    language = preferred(request.headers.get("accept-language", ""), said or held)
    return Tongue(language, zone or hub.ws.settings.zone, _own_words(hub, language))


def _own_words(hub: Hub, language: str) -> Mapping[str, str]:
    """Return the house's own words in a language, as published."""
    if language == ENGLISH:
        return {}
    with hub.ws.store.look() as view:
        key = f"words:{language}@{view.house_version}"
        kept: Mapping[str, str] | None = hub.kept.get(key)
        if kept is None:
            found = view.published(f"words:{language}")
            values = parse_toml(f"words/{language}.toml", found.data) if found else {}
            kept = hub.kept[key] = {k: v for k, v in values.items() if isinstance(v, str)}
    return kept


def portal_page(  # noqa: PLR0913 - a page and who reads it
    hub: Hub,
    request: Request,
    visit: Visit | None,
    template: str,
    here: str = "",
    code: int = 200,
    **values: Any,  # noqa: ANN401
) -> HTMLResponse:
    """Render a page of the customer's side.

    Args:
        hub: The workspace behind the pages.
        request: What is answered.
        visit: Who is in; None on a page for anybody.
        template: A template that extends `portal_base.html`.
        here: Key of the page in `NAV`.
        code: HTTP status.
        values: What the template names.
    """
    speaks = visit.tongue if visit else tongue(hub, request)
    done = None
    if visit is not None and request.method == "GET":
        done, visit.session.done = visit.session.done, None
    with hub.ws.store.look() as view:
        now = view.now
    said = InPage(speaks)
    common = {
        "visit": visit,
        "tongue": speaks,
        "gettext": said.gettext,
        "ngettext": said.ngettext,
        "_": said.gettext,
        "brand": hub.ws.settings.title,
        "colours": f"/my/brand.css?v={_colours_digest(hub)}",
        "signal": request.headers.get("sec-gpc", "").strip() == "1",
        "nav": _nav(request, visit),
        "here": here,
        "done": done,
        "clock": speaks.moment(now),
        "demo": bool(hub.report),
        "languages": LANGUAGES,
        "back": request.url.path,
    }
    text = _environment().get_template(template).render(common | values)
    answer = HTMLResponse(text, code)
    answer.headers["content-language"] = speaks.language
    return answer


def _nav(request: Request, visit: Visit | None) -> Sequence[tuple[str, str, str]]:
    if visit is None:
        return ()
    return [
        (key, path, visit.gettext(label)) for key, path, label in NAV if path in _paths(request)
    ]


def _paths(request: Request) -> frozenset[str]:
    """Return every address this app serves; worked out once an app."""
    state = request.app.state
    if not hasattr(state, "paths"):
        state.paths = frozenset(getattr(r, "path", "") for r in request.app.routes)
    paths: frozenset[str] = state.paths
    return paths


def _colours_digest(hub: Hub) -> str:
    return crypto.sha256(brand_css(hub).encode()).hex()[:12]


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("troth.surfaces.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.newstyle_gettext = True  # type: ignore[attr-defined] # the extension's own attribute
    digest = static_digest()
    made.globals |= {
        "style": f"/static/portal.css?v={digest}",
        "static": lambda name: f"/static/{name}?v={digest}",
    }
    return made
