"""The app: routes put together, headers on every answer, errors in words, and the listening."""

import csv
import json
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from troth import crypto
from troth.app import Workspace
from troth.errors import Fault, InvalidInput, Unavailable
from troth.surfaces import words
from troth.surfaces.portal import PORTAL
from troth.surfaces.web import (
    access,
    anchors,
    api,
    ask,
    backups,
    calendar,
    campaigns,
    complaint,
    connections,
    console,
    datamap,
    desk,
    doctor,
    documents,
    exports,
    go,
    home,
    inbox,
    keys,
    listcheck,
    me,
    messages,
    oidc,
    pages,
    people,
    report,
    results,
    retention,
    scim,
    segments,
    signin,
    site,
    site_page,
    staff,
    stop,
    tiles,
    tour,
    witness,
)
from troth.surfaces.web.acting import KeyNeeded, NotAllowed, SignInNeeded, session_of
from troth.surfaces.web.parts import BODY_MAX, LARGE, STATUS, Hub, Problem, problem

PARTS = (
    backups,
    console,
    home,
    signin,
    oidc,
    scim,
    me,
    staff,
    access,
    pages,
    inbox,
    stop,
    go,
    ask,
    tiles,
    anchors,
    api,
    complaint,
    desk,
    people,
    report,
    site,
    site_page,
    segments,
    results,
    campaigns,
    calendar,
    connections,
    listcheck,
    messages,
    tour,
    documents,
    retention,
    witness,
    keys,
    datamap,
    doctor,
    exports,
    *PORTAL,
)
"""Every part with pages or addresses of its own; each has `add_routes(app, hub)`, and `PUBLIC`
where some of them need neither session nor key."""
PUBLIC = {
    "/": "figures of a demo, or the size of the ledger; nobody is named",
    "/ledger": "what anybody may check",
    "/receipt": "checks what somebody brings; shows nothing else",
    "/static/{name}": "styles, scripts, the mark",
    "/stop/{token}": "the token of the link is the key; a stop asks for nothing more",
    "/checkpoint": "what anybody may check",
    "/policy": "what anybody may check",
    "/log.vkey": "what anybody may check",
    "/tile/{path:path}": "what anybody may check: hashes and sealed commitments",
    "/api": "says how to ask; in a demo shows the demo's own key",
    "/openapi.json": "the same for programs",
}
"""Addresses for whom neither session nor key is asked, and why; see also each part's `PUBLIC`."""
DEMO = {
    "/refused": "counts and one invented member of the cast",
    "/levels": "an invented member of the cast",
    "/levels/{level}/html": "an invented member of the cast",
    "/tour": "says what to try; shows nobody",
    "/tour/list-sample.csv": "invented people, known to nobody",
    "/inbox": "mails to invented people",
    "/inbox/{number}": "mails to invented people",
    "/inbox/{number}/html": "mails to invented people",
}
"""Open pages that show people: they exist only where a demo invented them."""
LOOPBACK = "127.0.0.1"
HOSTS = frozenset({LOOPBACK, "localhost", "[::1]"})
"""Names of this machine; `[console] url` of `troth.toml` adds one."""
THREADS = 8
DIGITS = 12
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self';"
    " script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
    "cache-control": "no-store",
}
_TOLD = {
    404: ("not_found", "There is no such page", "go to the overview and start from there"),
    405: ("invalid", "This address does not take that kind of request", "open it as a page"),
    413: ("invalid", "That was too much at once", "send less"),
}


class Door:
    """The outermost layer: refuses other hosts, adds headers, turns a crash into words."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        """Stand before `app`."""
        self._app = app
        self._hub = hub
        settings = hub.ws.settings
        named = (urlsplit(url).hostname for url in (settings.console_url, settings.base_url))
        self._hosts = HOSTS | {name for name in named if name}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def dressed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        try:
            if host(request) in self._hosts and self._stranger(request):
                answer = _to_signin(request)
                await answer(scope, receive, dressed)
                return
            if host(request) in self._hosts and announced(request) <= self._most(request):
                await self._app(scope, counted(receive, self._most(request)), dressed)
                return
            if host(request) in self._hosts:
                answer = _say(self._hub, request, 400, *_TOLD[413])
                await answer(scope, receive, dressed)
                return
            answer = _say(self._hub, request, 400, "invalid", "This host is not served here", "")
        except Exception as fault:  # a crash is answered in words, logged by its class
            if begun:
                raise
            answer = self._crashed(request, fault)
        await answer(scope, receive, dressed)

    def _stranger(self, request: Request) -> bool:
        """Tell whether somebody without a session is before a page of staff, whatever page."""
        path = request.url.path
        staff = path == "/console" or path.startswith("/console/")
        return staff and session_of(self._hub, request) is None

    def _most(self, request: Request) -> int:
        """Return how many bytes a request may have: more for a path of `LARGE`, for staff only."""
        most = LARGE.get(request.url.path, 0) if request.method == "POST" else 0
        return most if most and session_of(self._hub, request) is not None else BODY_MAX

    def _crashed(self, request: Request, fault: Exception) -> Response:
        told = ("internal", "Something went wrong here, not with you", "try again in a moment")
        try:
            return _say(self._hub, request, 500, *told, cause=type(fault).__name__)
        except Exception:  # noqa: BLE001 - where not even the page can be made, one line stays
            return PlainTextResponse("Something went wrong here. Nothing was lost.\n", 500)


def announced(request: Request) -> int:
    """Return how long a body says it is; one that does not read is too long."""
    told = request.headers.get("content-length", "0")
    return int(told) if told.isascii() and told.isdigit() and len(told) < DIGITS else 1 << 62


def counted(receive: Receive, most: int = BODY_MAX) -> Receive:
    """Hand a body on piece by piece, and no more than `most` bytes of it."""
    taken = 0

    async def next_piece() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > most:
            raise InvalidInput(f"a request has at most {most} bytes", "send less")
        return message

    return next_piece


def host(request: Request) -> str:
    """Return the host a request names, without port: a page elsewhere must not reach this one."""
    named = request.headers.get("host", "").lower()
    return named if named.endswith("]") else named.rpartition(":")[0] or named


def _say(  # noqa: PLR0913 - a problem, word by word
    hub: Hub,
    request: Request,
    status: int,
    code: str,
    message: str,
    remedy: str,
    cause: str = "",
) -> Response:
    """Answer with a problem and leave one line in the log: no path, since paths hold tokens."""
    told = Problem(code, message, remedy, hub.reference())
    route = getattr(request.scope.get("route"), "path", "")
    line = {"code": code, "id": told.id, "route": route, "status": status, "cause": cause}
    sys.stderr.write(json.dumps(line) + "\n")
    return problem(hub, request, status, told)


def _errors(app: FastAPI, hub: Hub) -> None:
    def faulty(request: Request, fault: Exception) -> Response:
        if not isinstance(fault, Fault):
            raise fault
        status = STATUS.get(fault.code, 500)
        return _say(hub, request, status, fault.code, fault.message, fault.remedy)

    def refused(request: Request, fault: Exception) -> Response:
        if not isinstance(fault, HTTPException):
            raise fault
        told = _TOLD.get(fault.status_code, ("invalid", "This did not work", "go back and retry"))
        answer = _say(hub, request, fault.status_code, *told)
        for name, value in (fault.headers or {}).items():
            answer.headers[name] = value
        return answer

    def malformed(request: Request, fault: Exception) -> Response:
        if not isinstance(fault, RequestValidationError):
            raise fault
        if not request.url.path.startswith("/api/"):
            return _say(hub, request, 404, *_TOLD[404])
        return _say(hub, request, 422, "invalid", api.malformed(fault), "see /api for the fields")

    app.add_exception_handler(Fault, faulty)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, malformed)


def _strangers(app: FastAPI, hub: Hub) -> None:
    def unknown(request: Request, _fault: Exception) -> Response:
        if request.url.path.startswith("/api/"):
            return _say(hub, request, 401, "not_allowed", "sign in first", "open /signin")
        return _to_signin(request)

    def unkeyed(request: Request, _fault: Exception) -> Response:
        hint = "send the header Authorization: Bearer KEY; a key is made by: troth key make"
        answer = _say(hub, request, 401, "not_allowed", "an API key is needed here", hint)
        answer.headers["www-authenticate"] = "Bearer"
        return answer

    def barred(request: Request, fault: Exception) -> Response:
        if not isinstance(fault, NotAllowed):
            raise fault
        named = " or ".join(words.ROLES[role].lower() for role in fault.allowed)
        remedy = f"ask a {named}" if named else "open the page again and send the form from there"
        return _say(hub, request, 403, "not_allowed", "This is not yours to do here", remedy)

    app.add_exception_handler(SignInNeeded, unknown)
    app.add_exception_handler(KeyNeeded, unkeyed)
    app.add_exception_handler(NotAllowed, barred)


def _to_signin(request: Request) -> Response:
    if request.method not in {"GET", "HEAD"}:
        return RedirectResponse("/signin", 303)
    return RedirectResponse(f"/signin?next={quote(request.url.path)}", 303)


@asynccontextmanager
async def _few_threads(_app: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def build_app(
    ws: Workspace, report: Mapping[str, Any] | None, inbox_folder: Path | None
) -> FastAPI:
    """Put the hub of one workspace together.

    Args:
        ws: The workspace, opened; stays the caller's to close.
        report: The demo's figures, or None where no demo ran.
        inbox_folder: Where a local inbox keeps received mails as `*.eml`, or None.
    """
    key = ws.desk.randomness.take(24).hex() if report else ""
    digest = crypto.sha256(key.encode()) if key else b""
    hub = Hub(ws, dict(report or {}), inbox_folder, digest, key, names_of(ws))
    app = FastAPI(
        title="Troth",
        version="1",
        description="May this person's data be used so, now? Asked of the one gate, and recorded.",
        docs_url=None,
        redoc_url=None,
        lifespan=_few_threads,
        telemetry={  # the framework's own would carry paths and inputs: tokens, personal data
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.state.hub = hub
    for part in PARTS:
        part.add_routes(app, hub)
    if not hub.report:
        kept = [r for r in app.router.routes if getattr(r, "path", "") not in DEMO]
        app.router.routes[:] = kept
    _errors(app, hub)
    _strangers(app, hub)
    app.add_middleware(Door, hub=hub)
    return app


def public() -> dict[str, str]:
    """Return every address that needs neither session nor key, with the reason."""
    found = {**PUBLIC, **DEMO}
    for part in PARTS:
        found |= getattr(part, "PUBLIC", {})
    return found


def names_of(ws: Workspace) -> dict[str, str]:
    """Read the names of items that may be shown, from the workspace's `products.csv`, if any."""
    path = ws.settings.folder / "products.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return {r["item"]: r["name"] for r in rows if r.get("sensitive") != "yes"}


def listen(port: int) -> socket.socket:
    """Take a port of the loopback address.

    The protocol is named, or asyncio leaves small answers waiting 40 ms for an acknowledgement.

    Raises:
        Unavailable: Somebody else has it.
    """
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((LOOPBACK, port))
        taken.listen(64)
    except OSError:
        taken.close()
        free = port + 1 if port < 65_535 else 8400  # noqa: PLR2004 - the last port
        raise Unavailable(f"port {port} is in use", f"PORT={free} make demo") from None
    return taken


def serve(
    ws: Workspace, report: Mapping[str, Any] | None, inbox_folder: Path | None, port: int
) -> None:
    """Serve the hub on 127.0.0.1 until interrupted.

    Raises:
        Unavailable: The port is in use; names another.
    """
    taken = listen(port)
    app = build_app(ws, report, inbox_folder)
    address = f"http://{LOOPBACK}:{taken.getsockname()[1]}/"
    key = app.state.hub.shown_key
    said = f"API key of this run: {key}" if key else "Staff sign in at /signin: troth staff list"
    sys.stdout.write(f"Troth is at {address}\n{said}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        app, access_log=False, log_level="warning", server_header=False, proxy_headers=False
    )
    with taken:
        uvicorn.Server(config).run(sockets=[taken])
