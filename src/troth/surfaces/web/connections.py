"""Beside other systems: permissions out, stops and choices in, webhooks, and the page about them.

A program is who its key says. A write carries an Idempotency-Key: repeated, it gets its first
answer; with another body, a conflict. Nothing that comes in widens anything.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from troth.app import connections as wired
from troth.app import incoming
from troth.capabilities import connections
from troth.engines.intake import ConsentRow
from troth.errors import Fault, InvalidInput
from troth.surfaces import words
from troth.surfaces.web.acting import NotAllowed, Session, acting, key_actor, keyed, submitted
from troth.surfaces.web.console import console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import Action, ApiKey, Instant, Refusal, Role, from_zulu

READ = ["GET", "HEAD"]
MOST = incoming.ROWS_MAX
_TEXT = Annotated[str, msgspec.Meta(max_length=320)]


class Stop(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody who stopped elsewhere."""

    person: _TEXT = ""
    address: _TEXT = ""
    channel: _TEXT = "email"
    purpose: _TEXT = ""
    reason: _TEXT = "unsubscribe"
    at: _TEXT = ""


class Stops(msgspec.Struct, forbid_unknown_fields=True):
    """A batch of them."""

    rows: Annotated[list[Stop], msgspec.Meta(min_length=1, max_length=MOST)]


class Said(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody chose elsewhere, with what proves it."""

    person: Annotated[str, msgspec.Meta(min_length=1, max_length=320)]
    purpose: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    status: str
    channels: Annotated[list[_TEXT], msgspec.Meta(max_length=6)] = []
    at: _TEXT = ""
    notice: _TEXT = ""
    method: _TEXT = ""
    proof: _TEXT = ""
    key: _TEXT = ""


class Choices(msgspec.Struct, forbid_unknown_fields=True):
    """A batch of them."""

    rows: Annotated[list[Said], msgspec.Meta(min_length=1, max_length=MOST)]


_STOPS: Final = msgspec.json.Decoder(Stops)
_CHOICES: Final = msgspec.json.Decoder(Choices)
STATUSES: Final = frozenset({"given", "reaffirmed", "refused", "withdrawn", "objected"})


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the addresses for programs and the page."""
    _add_api(app, hub)
    _add_page(app, hub)


def _add_api(app: FastAPI, hub: Hub) -> None:
    def of_key(request: Request) -> ApiKey:  # before the body is judged
        return keyed(hub, request)

    @app.get("/api/v1/permissions", include_in_schema=False)
    def permissions(request: Request, key: Annotated[ApiKey, Depends(of_key)]) -> Response:
        asked = request.query_params
        if Action.EXPORT not in key.actions:
            raise NotAllowed((Role.OFFICER,))
        feed = wired.feed_of(hub.ws, key.name, asked.get("purpose", ""), asked.get("channel", ""))
        actor = key_actor(hub, key)
        found = wired.permissions(hub.ws, feed, actor, asked.get("since", ""))
        if isinstance(found, Refusal):
            raise NotAllowed((Role.OFFICER,))
        rows = [wired.told(row) for row in found.rows]
        return JSONResponse({"rows": rows, "cursor": found.cursor, "more": found.more})

    @app.post("/api/v1/suppressions", include_in_schema=False)
    def suppressions(
        request: Request,
        key: Annotated[ApiKey, Depends(of_key)],
        raw: Annotated[bytes, Depends(body_of)],
    ) -> Response:
        if key.role not in incoming.TAKES:
            raise NotAllowed(tuple(sorted(incoming.TAKES - {Role.SYSTEM})))
        return _once(hub, request, key, raw, lambda: _stopped(hub, key, raw))

    @app.post("/api/v1/consents", include_in_schema=False)
    def consents(
        request: Request,
        key: Annotated[ApiKey, Depends(of_key)],
        raw: Annotated[bytes, Depends(body_of)],
    ) -> Response:
        if key.role not in incoming.RECORDS:
            raise NotAllowed(tuple(sorted(incoming.RECORDS - {Role.SYSTEM})))
        return _once(hub, request, key, raw, lambda: _chosen(hub, raw))


def _once(hub: Hub, request: Request, key: ApiKey, raw: bytes, run: Any) -> Response:  # noqa: ANN401
    """Answer a write, or what it answered before."""
    desk, who = hub.ws.desk, f"{request.url.path} {key.name}"
    ident = request.headers.get("idempotency-key", "")
    before = connections.remembered(desk, who, ident, raw)
    if before is not None:
        return Response(before, media_type="application/json", headers={"idempotent-replay": "1"})
    answer = msgspec.json.encode(run(), order="sorted")
    connections.remember(desk, who, ident, raw, answer)
    return Response(answer, media_type="application/json")


def _stopped(hub: Hub, key: ApiKey, raw: bytes) -> Mapping[str, object]:
    try:
        read = _STOPS.decode(raw)
    except msgspec.DecodeError:
        raise InvalidInput("the batch does not read", f"rows: 1 to {MOST}, see /api") from None
    rows = [
        incoming.StopRow(r.person, r.address, r.channel, r.purpose, r.reason, r.at)
        for r in read.rows
    ]
    taken = incoming.take_stops(hub.ws, rows, f"key:{key.name}")
    return {"outcomes": dict(sorted(taken.outcomes.items())), "rejected": taken.rejected}


def _chosen(hub: Hub, raw: bytes) -> Mapping[str, object]:
    try:
        read = _CHOICES.decode(raw)
        rows = [_row(place, said) for place, said in enumerate(read.rows)]
    except msgspec.DecodeError:
        raise InvalidInput("the batch does not read", f"rows: 1 to {MOST}, see /api") from None
    return {"outcomes": incoming.take_consents(hub.ws, rows, raw), "rejected": []}


def _row(place: int, said: Said) -> ConsentRow:
    if said.status not in STATUSES:
        raise InvalidInput(f"row {place}: no such status", f"use {', '.join(sorted(STATUSES))}")
    at: Instant | None = from_zulu(said.at) if said.at else None
    return ConsentRow(
        line=place,
        external_id=said.person,
        purpose=said.purpose,
        status=said.status,
        channels=tuple(said.channels),
        occurred_at=at,
        notice=said.notice,
        method=said.method,
        proof=said.proof,
        given_by="self",
        idempotency_key=said.key,
    )


# The page


def _add_page(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/console/connections", methods=READ, include_in_schema=False)
    def shown(request: Request) -> Response:
        return _page(hub, request, acting(hub, request, Role.IT, Role.MARKETER))

    @app.post("/console/connections/webhooks", include_in_schema=False)
    def make(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.IT)
        chosen = tuple(name for name in connections.FOLLOWED if f"event-{name}" in form)
        hook = connections.Hook(
            form.get("name", "").strip(),
            form.get("url", "").strip(),
            chosen,
            form.get("under", ""),
        )
        try:
            secret = wired.add_webhook(hub.ws, hook, session.actor)
        except Fault as fault:
            return _page(hub, request, session, wrong=str(fault))
        return _page(hub, request, session, secret=secret, whose=hook.name)

    @app.post("/console/connections/webhooks/{act}", include_in_schema=False)
    def change(act: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.IT)
        name = form.get("name", "")
        if act == "rotate":
            secret = wired.rotate_webhook(hub.ws, name, session.actor)
            return _page(hub, request, session, secret=secret, whose=name)
        if act == "test":
            taken = wired.test_webhook(hub.ws, name, session.actor)
            return _page(hub, request, session, tested="taken" if taken else "not", whose=name)
        if act != "end":
            raise InvalidInput("there is no such act", "go back to the connections")
        wired.end_webhook(hub.ws, name, session.actor)
        return RedirectResponse("/console/connections?done=ended", 303)


def _page(hub: Hub, request: Request, session: Session, **told: str) -> Response:
    ws = hub.ws
    with ws.store.look() as view:
        purposes = ws.desk.house(view).purposes
    office = hub.kept["office"]
    now = office.clock.now()
    hooks = [_hook(hub, each) for each in wired.webhook_list(ws)]
    return console_page(
        hub,
        request,
        session,
        "connections.html",
        code=400 if told.get("wrong") else 200,
        here="connections",
        hooks=[h for h in hooks if h["live"]],
        targets=[
            _target(hub, name, said) for name, said in sorted(ws.settings.connections.items())
        ],
        channels=[
            (words.CHANNELS.get(name, name), str(said.get("provider", "")).partition("?")[0])
            for name, said in sorted(ws.settings.channels.items())
        ],
        keys=[k for k in office.store.api_keys() if not k.ended and now < k.until],
        leaves=[p for p in purposes.values() if p.kind in {"operations", "service"}],
        events=connections.FOLLOWED,
        may_change=session.actor.role is Role.IT,
        done=request.query_params.get("done", "") == "ended",
        told={"secret": "", "whose": "", "wrong": "", "tested": "", **told},
    )


def _hook(hub: Hub, each: connections.HookStanding) -> Mapping[str, object]:
    zone = hub.ws.settings.zone
    state = "failing" if each.failing else "waiting" if each.waiting else "well"
    if not each.last and state == "well":
        state = "quiet"
    return {
        "name": each.hook.name,
        "url": each.hook.url.partition("?")[0],
        "events": each.hook.events,
        "under": each.hook.under,
        "live": not each.hook.ended,
        "state": state,
        "waiting": each.waiting,
        "done": each.done,
        "dead": each.dead,
        "last": words.spoken(each.last, zone) if each.last else "",
        "failing": words.spoken(each.failing, zone) if each.failing else "",
    }


_SHOWN = {"id": "the shop's own number", "sha256": "a hash of the e-mail address"}


def _target(hub: Hub, name: str, said: Mapping[str, Any]) -> Mapping[str, str]:
    state, zone = wired.sync_state(hub.ws, name), hub.ws.settings.zone
    where = str(said.get("url", "")).partition("?")[0] or str(said.get("file", ""))
    return {
        "name": name,
        "where": where or "asks by its key",
        "purpose": str(said.get("purpose", "")),
        "channel": words.CHANNELS.get(str(said.get("channel", "email")), ""),
        "shows": _SHOWN.get(str(said.get("shows", "id")), ""),
        "agreement": str(said.get("agreement", "")),
        "last": words.spoken(Instant(state.last), zone) if state.last else "",
        "failing": words.spoken(Instant(state.failing), zone) if state.failing else "",
    }
