"""Staff and API keys, for IT: who may come in, as what, and how many could see what."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import app as house
from troth.app import leavers
from troth.capabilities import access
from troth.errors import Conflict, InvalidInput, NotFound
from troth.surfaces import words
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import Action, Actor, ApiKey, Role

READ = ["GET", "HEAD"]
SEEN = {"identity.name": "names", "contact.email": "e-mail addresses"}
STATES = {
    "none": ("", "not invited"),
    "invited": ("", "invited"),
    "active": ("good", "active"),
    "suspended": ("bad", "suspended"),
}
WAYS = {"passkey": "passkey", "totp": "one-time code", "oidc": "identity provider"}
_ACTS: dict[str, tuple[str, Callable[[access.Office, Actor, Actor], None]]] = {
    "suspend": ("suspended", access.suspend),
    "restore": ("restored", access.restore),
}
_LINKS: dict[str, Callable[[access.Office, Actor, Actor], str]] = {
    "invite": access.invite,
    "reset": access.reset,
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page and what it does."""

    @app.api_route("/console/staff", methods=READ, include_in_schema=False)
    def listed(request: Request) -> Response:
        return _page(hub, request, acting(hub, request, Role.IT))

    @app.post("/console/staff/{act}", include_in_schema=False)
    def change(act: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.IT)
        who, office = _named(hub, form.get("who", "")), hub.kept["office"]
        if act in _LINKS:
            token = _LINKS[act](office, who, session.actor)
            return _page(hub, request, session, link=link(hub, request, token), whose=who.id)
        if act not in _ACTS:
            raise NotFound("there is no such act", "go back to the list of staff")
        if who.id == session.actor.id:
            raise Conflict("this is your own account", "ask a colleague")
        said, run = _ACTS[act]
        run(office, who, session.actor)
        if act == "suspend":
            for end in leavers.ends(hub.ws, session.actor):
                end(who)
        return RedirectResponse(f"/console/staff?done={said}", 303)

    @app.post("/console/keys", include_in_schema=False)
    def make(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.IT)
        office: access.Office = hub.kept["office"]
        name = form.get("name", "").strip()
        chosen = frozenset(a for a in Action if f"action-{a}" in form)
        role, days = _role(form.get("role", "")), _days(form.get("days", ""))
        key = access.make_key(office, name, role, chosen, days, session.actor)
        return _page(hub, request, session, key=key, whose=name)

    @app.post("/console/keys/end", include_in_schema=False)
    def end(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.IT)
        access.end_key(hub.kept["office"], form.get("name", ""), session.actor)
        return RedirectResponse("/console/staff?done=ended", 303)


def link(hub: Hub, request: Request, token: str) -> str:
    """Return the address that enrols: at the console's own, or on this machine by its name."""
    port = f":{request.url.port}" if request.url.port else ""
    return f"{hub.ws.settings.console_url or f'http://localhost{port}'}/enrol/{token}"


def _page(hub: Hub, request: Request, session: Session, **told: str) -> Response:
    office: access.Office = hub.kept["office"]
    done = request.query_params.get("done", "")
    return console_page(
        hub,
        request,
        session,
        "staff.html",
        here="staff",
        members=[_row(hub, member) for member in access.members(office)],
        keys=[_key_row(hub, key) for key in reversed(office.store.api_keys())],
        seen=[(said, *house.exposure(hub.ws, name)) for name, said in SEEN.items()],
        roles=[(r, words.ROLES[r]) for r in hub.ws.settings.staff if r in words.ROLES],
        actions=[(a.value, a in access.USUAL) for a in Action],
        usual_days=office.limits.key_days,
        done=done if done in {"suspended", "restored", "ended"} else "",
        told={"link": "", "key": "", "whose": "", **told},
    )


def _row(hub: Hub, member: access.Member) -> dict[str, Any]:
    badge, said = STATES[member.state]
    return {
        "who": f"{member.actor.role}:{member.actor.id}",
        "id": member.actor.id,
        "role": words.ROLES[member.actor.role],
        "state": member.state,
        "badge": badge,
        "said": said,
        "ways": ", ".join(WAYS[way] for way in member.ways),
        "codes": member.codes,
        "last": _day(hub, member.last) if member.last else "",
    }


def _key_row(hub: Hub, key: ApiKey) -> dict[str, Any]:
    now = hub.kept["office"].clock.now()
    state = "ended" if key.ended else "active" if now < key.until else "over"
    return {
        "name": key.name,
        "role": words.ROLES[key.role],
        "actions": ", ".join(sorted(key.actions)),
        "until": _day(hub, key.until),
        "state": state,
        "open": not key.ended,
    }


def _day(hub: Hub, at: Any) -> str:  # noqa: ANN401 - terms.Instant
    return words.spoken(at, hub.ws.settings.zone).partition(",")[0]


def _named(hub: Hub, text: str) -> Actor:
    role, _, name = text.partition(":")
    for actor in access.everybody(hub.kept["office"]):
        if actor.role.value == role and actor.id == name:
            return actor
    raise NotFound("nobody of this role and id is listed", "add them under [roles] first")


def _role(text: str) -> Role:
    if text not in words.ROLES:
        raise InvalidInput("this is no role of the staff", "choose one of the list")
    return Role(text)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 5):  # noqa: PLR2004 - digits
        raise InvalidInput("the days are no number", "write a number of days")
    return int(text)
