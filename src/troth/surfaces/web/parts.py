"""What every page is handed, and how a page, a problem and a request body are made."""

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from troth import crypto
from troth.app import Workspace
from troth.errors import InvalidInput
from troth.kernel import events, proof
from troth.surfaces import words
from troth.surfaces.web import chart
from troth.terms import Actor, PersonId, Role

BODY_MAX = 1 << 20
LARGE: dict[str, int] = {}
"""Paths that take a larger body from whoever is signed in: `{path: bytes}`, told by their part."""
FIELDS_MAX = 120
MEDIA_MAX = 300
STATUS = {"invalid": 400, "not_found": 404, "conflict": 409, "unavailable": 503, "evidence": 500}


CUSTOMERS = ("/my", "/notices", "/verify", "/record", "/forms", "/embed")
"""Where the customer's side lies: these pages and all below them."""
PORTAL_PROBLEM = "portal.problem"
"""Under this name a hub keeps what draws a problem of the customer's side in its own frame."""


@dataclass(frozen=True, slots=True)
class Hub:
    """One workspace behind its pages.

    Attributes:
        report: The demo's figures; empty when no demo ran.
        inbox: Folder of received mails, or None.
        api_key: Digest of a demo's own key; b"" otherwise: keys are made by `troth key make`.
        shown_key: The key itself, shown on the loopback page of a demo; "" otherwise.
        names: Item → name, for items that may be shown.
    """

    ws: Workspace
    report: Mapping[str, Any]
    inbox: Path | None
    api_key: bytes
    shown_key: str
    names: Mapping[str, str]
    kept: dict[str, Any] = field(default_factory=dict)
    _read: set[tuple[PersonId, str, tuple[str, ...]]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note_reading(self, person: PersonId, purpose: str, fields: tuple[str, ...]) -> None:
        """Book, before it is shown, that a person's own data is shown; once a visit and set.

        A visit lasts as long as this process.

        Raises:
            Shredded: The person was erased.
        """
        key = (person, purpose, fields)
        with self._lock:
            if key in self._read:
                return
            said = events.DataRead(purpose, fields, "own data")
            self.ws.desk.record(person, [said], Actor(Role.PERSON, person.hex()))
            self._read.add(key)

    def reference(self) -> str:
        """Draw an id by which one answer can be found in the log."""
        return base64.b32encode(self.ws.desk.randomness.take(5)).decode()


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("troth.surfaces.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = words.number
    made.filters["joined"] = words.joined
    made.filters["categories"] = words.categories
    made.filters["few"] = chart.few
    digest = static_digest()
    made.globals |= {
        "style": f"/static/hub.css?v={digest}",
        "console_style": f"/static/console.css?v={digest}",
        "live": f"/static/live.js?v={digest}",
        "signin_script": f"/static/signin.js?v={digest}",
        "role_words": words.ROLES,
    }
    return made


@cache
def static_files() -> dict[str, bytes]:
    """Return the files under /static by name."""
    folder = files("troth.surfaces.web") / "static"
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}


@cache
def static_digest() -> str:
    """Return a short digest of all static files, for their address."""
    parts = [name.encode() + body for name, body in sorted(static_files().items())]
    return crypto.sha256(b"".join(parts)).hex()[:12]


def page(hub: Hub, template: str, code: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401
    """Render a page; every text in it is escaped unless it is a page's own markup."""
    ws = hub.ws
    with ws.store.look() as view:
        now = view.now
    common = {
        "brand": ws.settings.title,
        "clock": words.spoken(now, ws.settings.zone),
        "demo": bool(hub.report),
        "provenance": hub.report.get("provenance", ""),
        "watched": bool(ws.log.trust.operators),
    }
    text = _environment().get_template(template).render(common | values)
    return HTMLResponse(text, code)


@dataclass(frozen=True, slots=True)
class Problem:
    """The one shape of everything that went wrong; never holds what was sent in."""

    code: str
    message: str
    remedy: str
    id: str


def problem(hub: Hub, request: Request, status: int, told: Problem) -> Response:
    """Answer with a problem: JSON to programs, a page to people, to customers one of theirs."""
    if request.url.path.startswith("/api/"):
        body = {"code": told.code, "message": told.message, "remedy": told.remedy, "id": told.id}
        return JSONResponse(body, status)
    drawn = hub.kept.get(PORTAL_PROBLEM)
    if drawn is not None and is_customers(request.url.path):
        made: Response = drawn(hub, request, status, told)
        return made
    return page(hub, "problem.html", status, status=status, told=told, here="")


def is_customers(path: str) -> bool:
    """Tell whether an address is of the customer's side.

    >>> is_customers("/my/level"), is_customers("/mystery")
    (True, False)
    """
    return path.startswith(tuple(f"{each}/" for each in CUSTOMERS)) or path in CUSTOMERS


async def body_of(request: Request) -> bytes:
    """Read a request's body, refusing one that is too large.

    Raises:
        InvalidInput: More than `BODY_MAX` bytes.
    """
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > BODY_MAX:
            raise InvalidInput(f"a request has at most {BODY_MAX} bytes", "send less")
    return bytes(raw)


def form_of(kind: str, raw: bytes) -> dict[str, bytes]:
    """Read a form, url-encoded or multipart; the first value of each name.

    Raises:
        InvalidInput: It is neither, or does not read.
    """
    media = kind.partition(";")[0].strip().lower()
    if media == "application/x-www-form-urlencoded":
        try:
            text = raw.decode("latin-1")
            found = parse_qs(text, encoding="latin-1", max_num_fields=FIELDS_MAX)
        except ValueError:
            raise InvalidInput("the form has too many fields") from None
        return {name: values[0].encode("latin-1") for name, values in found.items()}
    if media != "multipart/form-data" or len(kind) > MEDIA_MAX or "\n" in kind:
        raise InvalidInput("this is no form", "send it url-encoded or as multipart/form-data")
    if b"multipart/" in raw.lower():  # reading parts in parts costs seconds a request
        raise InvalidInput("the form holds forms in forms", "send it url-encoded")
    whole = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + raw
    )
    out: dict[str, bytes] = {}
    for part in whole.iter_parts() if whole.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            content = part.get_payload(decode=True)
            out.setdefault(name, content if isinstance(content, bytes) else b"")
    return out


def checkpoint(note: str | None) -> proof.Checkpoint | None:
    """Return what the newest signed note says, None when nothing was signed."""
    return proof.parse_checkpoint(proof.parse_note(note)[0]) if note else None
