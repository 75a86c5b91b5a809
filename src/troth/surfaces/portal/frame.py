"""Who is in, whose data they see, and the frame each page of the customer's side is drawn in.

A session is a random token in a cookie, kept here only as its digest and only in memory. It is of
one person (the viewer); whose data it shows is that person's own, or somebody's they act for as
long as that link stands. Everything is looked up again at each request: whoever was erased, or
whose mandate ended, is out with the next click.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from troth import crypto
from troth.app import owndata
from troth.capabilities import preferences
from troth.errors import InvalidInput
from troth.kernel.house import parse_toml
from troth.kernel.proof import b64
from troth.ports import View
from troth.surfaces.portal.brand import brand_css
from troth.surfaces.portal.catalogue import ENGLISH, LANGUAGES, N_, InPage, Tongue, preferred
from troth.surfaces.portal.sessions import (
    COOKIE,
    IDLE,
    LIFE,
    Done,
    Session,
    Sessions,
    act_for,
    begin,
    lasts,
    leave,
    over_tls,
    session_of,
    stay,
)
from troth.surfaces.web.acting import NotAllowed, own_page
from troth.surfaces.web.parts import Hub, body_of, form_of, static_digest
from troth.terms import Actor, PersonId, PersonRecord, Role

__all__ = [  # noqa: RUF022 - what pages ask for first, then the sessions it hands on
    "ENTER", "GIVEN_BY", "NAV", "PUBLIC", "READ", "SPOKEN", "EntryNeeded", "Visit", "add_routes",
    "finished", "portal_page", "submitted", "tongue", "visiting", "whoever",
    "COOKIE", "IDLE", "LIFE", "Done", "Session", "Sessions", "act_for", "begin", "leave",
    "over_tls", "session_of", "stay",
]  # fmt: skip
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
class Visit:
    """One request of somebody who is in.

    Attributes:
        person: Whose data; the id that stayed after merges.
        viewer: Who is in.
        relation: self, or as what the viewer acts for the person.
        record: The person's gate facts as of this request.
        may_grant: Who sees and narrows but does not agree: a minor, and whoever has a mandate.
    """

    session: Session
    person: PersonId
    viewer: PersonId
    relation: str
    record: PersonRecord
    tongue: Tongue
    may_grant: bool

    def require_grant(self) -> None:
        """Require that who acts may agree to more.

        Raises:
            InvalidInput: They see and narrow only.
        """
        if self.may_grant:
            return
        if self.relation == "self":
            raise InvalidInput(
                "a competent person agrees for somebody under 18", "ask them to come in"
            )
        raise InvalidInput(*preferences.NO_YES)

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
        held = self.session.eyes.get(self.person)
        if held is None or held.relation != self.relation:
            held = self.session.eyes[self.person] = owndata.Eyes(
                self.person, self.viewer, self.relation
            )
        return held

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
_WRONG: Final = 400
"""From this status on a page says what went wrong; what was done is kept for the next one."""
_KEPT = {"cache-control": "public, max-age=3600"}


def _local(path: str) -> str:
    """Return a page of this side, whatever a form says."""
    plain = path.startswith(("/my", "/notices", "/verify", "/stop/")) and path.isprintable()
    return path if plain and "//" not in path and "\\" not in path else "/my"


def _to_entry(_request: Request, _fault: Exception) -> Response:
    return RedirectResponse(ENTER, 303)


def visiting(hub: Hub, request: Request) -> Visit:
    """Return who is in, and whose data they see.

    Raises:
        EntryNeeded: Nobody is; or they were erased meanwhile.
    """
    session = session_of(hub, request)
    if session is None:
        raise EntryNeeded
    with hub.ws.store.look() as view:
        stays = lasts(view, session)
        if stays and session.person != session.viewer and not _still(view, session):
            session.forget(session.person)
        found = view.gather([session.person], None)
    if not stays:
        sessions: Sessions = hub.kept["portal"]
        sessions.drop(session)
        raise EntryNeeded
    record = _signalled(hub, request, session, found[0].record)
    spoken = tongue(hub, request, session.spoken or record.language, record.zone)
    return Visit(
        session, session.person, session.viewer, session.relation, record, spoken,
        _may_grant(session.relation, record),
    )  # fmt: skip


def whoever(hub: Hub, request: Request) -> Visit | None:
    """Return who is in, on a page that is for anybody."""
    try:
        return visiting(hub, request)
    except EntryNeeded:
        return None


def _still(view: View, session: Session) -> bool:
    """Tell whether the mandate a session turned to somebody under stands, as what it was then."""
    held = view.gather([session.person], None)
    if not held or held[0].record.erasing or held[0].record.alias:
        return False
    return owndata.mandate(view, session.person, session.viewer) == session.relation


def _may_grant(relation: str, record: PersonRecord) -> bool:
    """Tell whether who acts so may agree: for themselves of age, a child, an organisation.

    Whoever has a mandate narrows: to agree is the person's own, or a guardian's for a child.
    """
    if relation == "self":
        return record.age != "minor"
    return relation == "competent_person" or (
        relation == "contact_of" and record.subject == "juristic"
    )


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
    if visit is not None and request.method == "GET" and code < _WRONG:
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
