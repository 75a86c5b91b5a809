"""Coming in without a password: by a link, by a code, by a passkey; and out again; and as whom.

Looking at a page changes nothing, whoever looks. Every form carries a token bound to a cookie of
this browser, since there is no session yet: a page elsewhere can neither ask for a link nor let a
browser in as somebody else. The answer to an ask is the same for every address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import app as house
from troth import crypto
from troth.app import entry as wired
from troth.app import owndata
from troth.capabilities import people
from troth.capabilities.people import entry
from troth.errors import InvalidInput, NotFound
from troth.kernel.vault import Shredded
from troth.surfaces.portal import frame
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import READ, Done, portal_page
from troth.surfaces.web.acting import own_page
from troth.surfaces.web.parts import Hub, body_of, form_of
from troth.surfaces.web.signin import Challenges, Turnstile
from troth.surfaces.web.site import caller
from troth.terms import Channel, PersonId, Site

COOKIE: Final = "troth_ask"
COOKIE_LIFE: Final = 3600
PUBLIC = {
    "/my/enter": "whoever asks for a way in has none yet; every address gets the same answer",
    "/my/code": "the code of a letter is the key, in the browser that asked",
    "/my/in/{token}": "the token of the link is the key, once",
    "/my/in/{token}/stop": "the same link, of an address several people share: stops its mail",
    "/my/passkey/in": "whoever comes in by a passkey has no session yet",
}
SAY: Final[Mapping[str, tuple[str, str, str]]] = {
    "wait": (
        "bad",
        N_("Many links were asked for from your network."),
        N_("Nothing was sent. Try again in an hour, or use a passkey."),
    ),
    "old": (
        "bad",
        N_("This page was open too long, or your browser keeps no cookies."),
        N_("Nothing was sent. Try once more."),
    ),
    "address": (
        "bad",
        N_("This is no e-mail address and no telephone number."),
        N_("Type it like name@post.example or +27 82 000 0000."),
    ),
    "code": (
        "bad",
        N_("This code does not fit, or is over."),
        N_("After five tries a code is dead. Use the link in the letter, or ask for a fresh one."),
    ),
    "passkey": (
        "bad",
        N_("The passkey did not open anything."),
        N_("Try again, or have a link sent."),
    ),
    "out": ("good", N_("You are out."), N_("Nobody can see your pages in this browser any more.")),
}
"""What a page says on top: kind, title, text; named by `?say=`."""


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add coming in, going out, as whom one acts, and passkeys."""
    office = hub.kept["office"]
    secret = hub.ws.desk.randomness.take(crypto.KEY_BYTES)
    hub.kept["my.challenges"] = Challenges(secret, office.clock, office.limits.passkey_wait)
    hub.kept["my.turnstile"] = Turnstile(office.clock, office.limits.all_per_minute)
    step = wired.write_entries if hub.report else wired.entry_round
    hub.kept["doorman"] = house.Doorman(hub.ws, step)  # a demo's worker sends to its own inbox
    _asking(app, hub)
    _link(app, hub)
    _acting_as(app, hub)
    _passkeys(app, hub)


def _asking(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/my/enter", methods=READ, include_in_schema=False)
    def enter(request: Request) -> Response:
        if frame.session_of(hub, request) is not None:
            return RedirectResponse("/my", 303)
        here, cookie = _site(hub, request), cookie_of(hub, request)
        challenge = hub.kept["my.challenges"].make(cookie)
        options = wired.keys(hub.ws).request(here, challenge)
        ready = hub.kept.get("ready", lambda _request: ())(request)
        return begun(
            hub,
            request,
            cookie,
            "my_enter.html",
            options=options,
            elsewhere=_elsewhere(here, request),
            ready=ready,
        )

    @app.post("/my/enter", include_in_schema=False)
    def ask(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        form, cookie = believed(hub, request, raw)
        if not cookie:
            return RedirectResponse("/my/enter?say=old", 303)
        try:
            good = wired.ask(hub.ws, form.get("address", "")[:320], network(hub, request), cookie)
        except InvalidInput:
            return RedirectResponse("/my/enter?say=address", 303)
        return answered(hub, good=good)

    @app.api_route("/my/code", methods=READ, include_in_schema=False)
    def type_code(request: Request) -> Response:
        return begun(hub, request, cookie_of(hub, request), "my_code.html")

    @app.post("/my/code", include_in_schema=False)
    def code(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        form, cookie = believed(hub, request, raw)
        if not cookie:
            return RedirectResponse("/my/enter?say=old", 303)
        opened = entry.enter_by_code(hub.ws.desk, cookie, form.get("code", "")[:40])
        if opened is None:
            return RedirectResponse("/my/code?say=code", 303)
        return _let_in(hub, request, opened, "code", "")


def answered(hub: Hub, *, good: bool) -> Response:
    """Answer an ask; what happens to it begins after the answer has left."""
    if not good:
        return RedirectResponse("/my/enter?say=wait", 303)
    return RedirectResponse("/my/code", 303, background=BackgroundTask(hub.kept["doorman"].call))


def _link(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/my/in/{token}", methods=READ, include_in_schema=False)
    def look(token: str, request: Request) -> Response:
        try:
            found = entry.read_link(hub.ws.desk, token)
        except NotFound:
            return begun(hub, request, cookie_of(hub, request), "my_in.html", 404, shown="")
        cookie = cookie_of(hub, request)
        return begun(hub, request, cookie, "my_in.html", shown=found.shown)

    @app.post("/my/in/{token}", include_in_schema=False)
    def come_in(token: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        _, cookie = believed(hub, request, raw)
        if not cookie:
            return RedirectResponse(f"/my/in/{token}?say=old", 303)
        try:
            opened = entry.enter_by_link(hub.ws.desk, token)
        except NotFound:
            return begun(hub, request, cookie, "my_in.html", 404, shown="")
        return _let_in(hub, request, opened, "link", token)

    @app.post("/my/in/{token}/stop", include_in_schema=False)
    def stop(token: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        _, cookie = believed(hub, request, raw)
        if not cookie:
            return RedirectResponse("/my/enter?say=old", 303)
        try:
            found = entry.read_shared(hub.ws.desk, token)
        except NotFound:
            return begun(hub, request, cookie, "my_in.html", 404, shown="")
        wired.stop_address(hub.ws, found)
        return _shared(hub, request, found.shown, "", stopped=True)


def _let_in(hub: Hub, request: Request, opened: entry.Opened, method: str, token: str) -> Response:
    """Begin the visit of the one who holds the address; of a shared one show nobody's data."""
    if opened.person is None:
        return _shared(hub, request, opened.shown, token, stopped=False)
    answer = RedirectResponse("/my", 303)
    try:
        frame.begin(hub, request, answer, opened.person, method)
    except Shredded:  # erased at this very moment
        return RedirectResponse("/my/enter", 303)
    answer.delete_cookie(COOKIE, path="/my")
    return answer


def _shared(hub: Hub, request: Request, shown: str, token: str, *, stopped: bool) -> Response:
    """Show what somebody may do who reads a mailbox that several people use."""
    cookie = cookie_of(hub, request)
    return begun(hub, request, cookie, "my_shared.html", shown=shown, link=token, stopped=stopped)


# Out, and as whom


def _acting_as(app: FastAPI, hub: Hub) -> None:
    @app.post("/my/out", include_in_schema=False)
    def out(request: Request) -> Response:
        own_page(request)
        answer = RedirectResponse("/my/enter?say=out", 303)
        frame.leave(hub, request, answer)
        return answer

    @app.api_route("/my/as", methods=READ, include_in_schema=False)
    def listed(request: Request) -> Response:
        visit = frame.visiting(hub, request)
        return portal_page(hub, request, visit, "my_as.html", others=_others(hub, visit))

    @app.post("/my/as", include_in_schema=False)
    def switch(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = frame.submitted(hub, request, raw)
        with hub.ws.store.look() as view:
            acts = [e.other for e in people.links(view, visit.viewer) if not e.mine]
        named = {_handle(visit, each): each for each in (visit.viewer, *acts)}
        chosen = named.get(form.get("who", ""))
        if chosen is None or not frame.act_for(hub, visit.session, chosen):
            raise NotFound("you act for nobody of this name", "choose from the list")
        return RedirectResponse("/my", 303)


@dataclass(frozen=True, slots=True)
class Other:
    """Somebody one acts for.

    Attributes:
        handle: Names them in the form, to this session alone.
        relation: As what.
        now: The pages show them at this moment.
    """

    handle: str
    name: str
    relation: str
    now: bool


def _others(hub: Hub, visit: frame.Visit) -> Sequence[Other]:
    """Return oneself and whom one acts for; each name is opened and recorded as any reading."""
    mine = Other(_handle(visit, visit.viewer), "", "self", visit.relation == "self")
    with hub.ws.store.look() as view:
        found = [each for each in people.links(view, visit.viewer) if not each.mine]
    out = [mine]
    for each in found:
        relation = each.relation.removesuffix("_for")
        name = _name(hub, visit, each.other, relation)
        if name is not None:
            now = visit.person == each.other
            out.append(Other(_handle(visit, each.other), name, relation, now))
    return out


def _name(hub: Hub, visit: frame.Visit, other: PersonId, relation: str) -> str | None:
    """Open the name of somebody one acts for; None where the mandate does not stand any more."""
    made = owndata.Eyes(other, visit.viewer, relation)
    eyes = visit.session.eyes.setdefault(other, made)
    try:
        held = owndata.values(hub.ws, eyes, ("name.given", "name.family"))
    except (NotFound, Shredded):
        return None
    return " ".join(held[name] for name in ("name.given", "name.family") if name in held)


def _handle(visit: frame.Visit, person: PersonId) -> str:
    return crypto.mac(visit.form.encode(), b"as" + person)[:12].hex()


# Passkeys


def _passkeys(app: FastAPI, hub: Hub) -> None:
    @app.post("/my/passkey/in", include_in_schema=False)
    def enter(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        form, cookie = believed(hub, request, raw)
        passed, _ = hub.kept["my.turnstile"].enter()
        if not cookie or not passed:
            return RedirectResponse("/my/enter?say=old", 303)
        answer = form.get("credential", "")
        challenge = _spent(hub, cookie, answer)
        person = wired.enter_by_passkey(hub.ws, _site(hub, request), challenge, answer)
        if person is None:
            return RedirectResponse("/my/enter?say=passkey", 303)
        return _let_in(
            hub, request, entry.Opened(person, Channel.EMAIL, b"", b"", ""), "passkey", ""
        )

    @app.api_route("/my/passkey", methods=READ, include_in_schema=False)
    def mine(request: Request) -> Response:
        visit = frame.visiting(hub, request)
        return _own_passkeys(hub, request, visit)

    @app.post("/my/passkey", include_in_schema=False)
    def change(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = frame.submitted(hub, request, raw)
        if "remove" in form:
            if not people.passkeys.remove(hub.ws.desk, visit.viewer, form["remove"]):
                raise NotFound("there is no such passkey of yours", "look at the list again")
            done = Done(visit.gettext(N_("The passkey opens nothing any more.")))
            return frame.finished(visit, "/my/passkey", done)
        answer = form.get("credential", "")
        challenge = _spent(hub, request.cookies.get(COOKIE, ""), answer)
        try:
            wired.keep_passkey(hub.ws, _site(hub, request), visit.viewer, challenge, answer)
        except InvalidInput:
            return _own_passkeys(hub, request, visit, code=400)
        done = Done(visit.gettext(N_("From now on you can come in with this passkey.")))
        return frame.finished(visit, "/my/passkey", done)


def _own_passkeys(hub: Hub, request: Request, visit: frame.Visit, code: int = 200) -> Response:
    here, cookie = _site(hub, request), cookie_of(hub, request)
    challenge = hub.kept["my.challenges"].make(cookie)
    options = wired.passkey_creation(hub.ws, here, visit.viewer, challenge)
    with hub.ws.store.look() as view:
        held = people.passkeys.own(view, visit.viewer)
    answer = portal_page(
        hub,
        request,
        visit,
        "my_passkey.html",
        code=code,
        options=options,
        held=held,
        failed=code != 200,  # noqa: PLR2004 - 200 is fine
        elsewhere=_elsewhere(here, request),
    )
    return _bound(hub, request, answer, cookie)


def _spent(hub: Hub, cookie: str, answer: str) -> bytes:
    """Return the challenge an answer names if it was ours to this browser; else one of nobody."""
    try:
        _, challenge = wired.keys(hub.ws).named(answer)
    except InvalidInput:
        challenge = b""
    if hub.kept["my.challenges"].spend(challenge, cookie):
        return challenge
    return hub.ws.desk.randomness.take(crypto.KEY_BYTES)


def _site(hub: Hub, request: Request) -> Site:
    """Return where a passkey belongs: the brand's own pages, or `localhost` on this machine."""
    url, host = hub.ws.settings.base_url, request.headers.get("host", "")
    if urlsplit(url).netloc == host:
        return Site(urlsplit(url).hostname or "", url)
    return Site("localhost", f"http://{host}")


def _elsewhere(here: Site, request: Request) -> str:
    """Return where this page has the name a passkey needs; "" where it has it."""
    if urlsplit(here.origin).hostname == here.rp:
        return ""
    port = f":{request.url.port}" if request.url.port else ""
    return f"http://localhost{port}{request.url.path}"


# What binds a browser


def network(hub: Hub, request: Request) -> str:
    """Return from which network a request comes, as the counts of asks know it."""
    return wired.shorter(caller(hub, request))


def cookie_of(hub: Hub, request: Request) -> str:
    """Return the value that binds a browser to what it asks; a fresh one if it has none."""
    held = request.cookies.get(COOKIE, "")
    good = len(held) == 2 * crypto.KEY_BYTES and held.isascii() and held.isalnum()
    return held if good else hub.ws.desk.randomness.take(crypto.KEY_BYTES).hex()


def believed(hub: Hub, request: Request, raw: bytes) -> tuple[dict[str, str], str]:
    """Read a form sent without a session; the cookie it is bound to, "" where it is not.

    Raises:
        NotAllowed: It comes from a page elsewhere; nothing was done.
        InvalidInput: It is no form.
    """
    own_page(request)
    form = form_of(request.headers.get("content-type", ""), raw)
    cookie = request.cookies.get(COOKIE, "")
    right = hub.kept["my.challenges"].token(cookie)
    good = bool(cookie) and crypto.same(form.pop("form", b""), right.encode())
    told = {name: value.decode("utf-8", "replace") for name, value in form.items()}
    return told, cookie if good else ""


def begun(
    hub: Hub,
    request: Request,
    cookie: str,
    template: str,
    code: int = 200,
    **values: Any,  # noqa: ANN401
) -> Response:
    """Render a page for somebody who is not in, and bind the browser to its forms."""
    say = SAY.get(request.query_params.get("say", ""))
    token = hub.kept["my.challenges"].token(cookie)
    said = {"say": say, "token": token, **values}
    shown = portal_page(hub, request, None, template, code=code, **said)
    return _bound(hub, request, shown, cookie)


def _bound(hub: Hub, request: Request, answer: Response, cookie: str) -> Response:
    """Give the browser the value its forms are bound to; a link in a mail leads here, so lax."""
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=COOKIE_LIFE,
        httponly=True,
        samesite="lax",
        secure=_site(hub, request).origin.startswith("https:"),
        path="/my",
    )
    return answer
