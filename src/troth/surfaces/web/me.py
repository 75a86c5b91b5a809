"""One's own sign-in: passkeys, recovery codes, sessions. A change asks for a fresh sign-in."""

from typing import Annotated

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth.capabilities import access
from troth.errors import InvalidInput
from troth.surfaces import words
from troth.surfaces.web.acting import (
    COOKIE,
    NotAllowed,
    Session,
    Sessions,
    acting,
    submitted,
)
from troth.surfaces.web.console import console_page
from troth.surfaces.web.parts import Hub, body_of, page
from troth.surfaces.web.signin import back, begun, cookie_of, passkey_made, site, spent
from troth.terms import Instant

READ = ["GET", "HEAD"]


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page and what it changes."""
    office: access.Office = hub.kept["office"]

    @app.api_route("/console/me", methods=READ, include_in_schema=False)
    def me(request: Request) -> Response:
        session = acting(hub, request)
        cookie = cookie_of(hub, request)
        say = request.query_params.get("say", "")
        return begun(hub, request, _me(hub, request, session, (say, cookie)), cookie)

    @app.post("/console/me/codes", include_in_schema=False)
    def codes(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw)
        if (again := _fresh(hub, session)) is not None:
            return again
        made = access.new_codes(office, session.actor)
        name = session.actor.id
        return page(hub, "codes.html", here="signin", codes=made, name=name, fresh=False)

    @app.post("/console/me/passkey", include_in_schema=False)
    def add(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw)
        if (again := _fresh(hub, session)) is not None:
            return again
        given = form.get("credential", "")
        challenge = spent(hub, request, given)
        access.add_passkey(office, session.actor, site(hub, request), challenge, given)
        return RedirectResponse("/console/me?say=added", 303)

    @app.post("/console/me/passkey/drop", include_in_schema=False)
    def drop(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw)
        if (again := _fresh(hub, session)) is not None:
            return again
        access.drop_passkey(office, session.actor, _hexed(form.get("passkey", "")))
        return RedirectResponse("/console/me?say=dropped", 303)

    @app.post("/console/me/everywhere", include_in_schema=False)
    def everywhere(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw)
        access.end_sessions(office, session.actor)
        answer = RedirectResponse("/signin?say=out", 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer


def _me(hub: Hub, request: Request, session: Session, told: tuple[str, str]) -> Response:
    office: access.Office = hub.kept["office"]
    say, cookie = told
    account = office.store.account(session.account) if session.account else None
    zone = hub.ws.settings.zone
    if account is None:
        return console_page(hub, request, session, "me.html", here="me", account=None, say=say)
    held = [
        {
            "id": p.id.hex(),
            "made": words.spoken(p.made, zone),
            "used": words.spoken(Instant(p.used), zone) if p.used else "",
            "good": p.state == "good",
        }
        for p in office.store.passkeys(account.key)
    ]
    sessions: Sessions = hub.kept["sessions"]
    return console_page(
        hub,
        request,
        session,
        "me.html",
        here="me",
        account=account,
        say=say,
        passkeys=held,
        codes=len(office.store.codes(account.key)),
        sessions=[
            words.spoken(s.since, zone)
            for s in sessions.of(account.key)
            if s.round == account.round
        ],
        **passkey_made(hub, request, account, session.actor.id, cookie),
    )


def _fresh(hub: Hub, session: Session) -> Response | None:
    """Ask for a new sign-in before one's ways to sign in change, if the last is some time ago.

    Raises:
        NotAllowed: A door of the demo has no account to change.
    """
    if not session.account:
        raise NotAllowed(())
    office: access.Office = hub.kept["office"]
    proved = session.method != "oidc"  # the provider may have asked them nothing this time
    if proved and office.clock.now() - session.since <= office.limits.fresh:
        return None
    return back("again", "/console/me")


def _hexed(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidInput("this names no passkey", "choose one of the list") from None
