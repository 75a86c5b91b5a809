"""The mails that really arrived over SMTP in the local inbox, as their reader would see them."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from troth import app as house
from troth.capabilities import people
from troth.engines import mail
from troth.errors import EvidenceBroken, Fault, InvalidInput, NotFound
from troth.kernel import events
from troth.surfaces import words
from troth.surfaces.web.parts import Hub, page
from troth.terms import Channel, PersonId, instant

READ = ["GET", "HEAD"]
PAGE = 40
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'none'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'; sandbox"
)
FRAME = {"content-security-policy": FRAME_POLICY, "x-frame-options": "SAMEORIGIN"}
_STOP = re.compile(r"<https://[^/>]+/stop/([0-9A-Za-z]{16,64})>\Z")
_WAY_IN = re.compile(r"https://[^/\s]+/my/in/([0-9a-z]{32})\b")
_ALGORITHMS = {"ed25519-sha256": "Ed25519", "rsa-sha256": "RSA"}


@dataclass(frozen=True, slots=True)
class Line:
    """One mail in the list."""

    id: int
    to: str
    subject: str
    at: str


@dataclass(frozen=True, slots=True)
class Written:
    """What the sender recorded of a mail, read from the recipient's own chain."""

    level: int
    used: tuple[str, ...]
    template: str


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the list, one mail, and its HTML part by itself."""

    @app.api_route("/inbox", methods=READ, include_in_schema=False)
    def listed(start: int = 0) -> Response:
        ids = mail_ids(hub)
        start = min(max(start, 0), max(len(ids) - 1, 0)) // PAGE * PAGE
        lines = [_line(hub, number) for number in ids[start : start + PAGE]]
        return page(
            hub, "inbox.html", here="inbox", lines=lines, total=len(ids), start=start, size=PAGE
        )

    @app.api_route("/inbox/{number}", methods=READ, include_in_schema=False)
    def one(number: int) -> Response:
        raw = _read(hub, number)
        found = parse(raw)
        ids = mail_ids(hub)
        place = ids.index(number)
        return page(
            hub,
            "mail.html",
            here="inbox",
            id=number,
            before=ids[place - 1] if place else None,
            after=ids[place + 1] if place + 1 < len(ids) else None,
            head={name: header(found, name) for name in ("subject", "from", "to")},
            written=_when(hub, found),
            signatures=signed_by(hub, raw),
            one_click=header(found, "list-unsubscribe-post") == "List-Unsubscribe=One-Click",
            stop=stop_token(found),
            way_in=way_in(part(found, "plain")),
            text=part(found, "plain"),
            size=len(raw),
            **_told(_written(hub, found)),
        )

    @app.api_route("/inbox/{number}/html", methods=READ, include_in_schema=False)
    def framed(number: int) -> Response:
        return HTMLResponse(part(parse(_read(hub, number)), "html"), headers=FRAME)


def _told(written: Written | None) -> dict[str, Any]:
    if written is None:
        return {"level": None, "level_title": "", "used": ()}
    title = words.LEVELS[written.level][0]
    return {"level": written.level, "level_title": title, "used": words.categories(written.used)}


def mail_ids(hub: Hub) -> list[int]:
    """Return the numbers of the received mails, newest first."""
    if hub.inbox is None or not hub.inbox.is_dir():
        return []
    with os.scandir(hub.inbox) as found:
        names = [each.name.removesuffix(".eml") for each in found if each.name.endswith(".eml")]
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def _read(hub: Hub, number: int) -> bytes:
    path = hub.inbox / f"{number:06}.eml" if hub.inbox and number > 0 else Path("/nonexistent")
    try:
        return path.read_bytes()
    except OSError:
        raise NotFound("there is no such mail", "open the inbox and choose one") from None


def parse(raw: bytes) -> EmailMessage:
    """Read a mail; what is malformed stays visible as it is, of one nested too deep the head."""
    parser = BytesParser(EmailMessage, policy=default)
    try:
        return parser.parsebytes(raw)
    except RecursionError:
        return parser.parsebytes(raw, headersonly=True)


def part(found: EmailMessage, kind: Literal["plain", "html"]) -> str:
    """Return the plain or the HTML part, "" if there is none."""
    try:
        body = found.get_body((kind,))
        return "" if body is None else str(body.get_content())
    except (LookupError, ValueError, AttributeError, RecursionError):
        return ""


def header(found: EmailMessage, name: str) -> str:
    """Return a header as text, "" where it is missing or too broken to read."""
    try:
        return str(found[name] or "")
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return ""


def _line(hub: Hub, number: int) -> Line:
    head, _, _ = _read(hub, number).partition(b"\r\n\r\n")
    told = {name: _first(head, name) for name in _LISTED}
    return Line(number, told["to"], told["subject"], _spoken(hub, told["date"]))


_LISTED = ("to", "subject", "date")
_FOUND = {
    name: re.compile(
        rb"^%s:[ \t]*(.*(?:\r\n[ \t].*)*)" % name.encode(), re.IGNORECASE | re.MULTILINE
    )
    for name in _LISTED
}


def _first(head: bytes, name: str) -> str:
    """Return the first header of a name; one with encoded words or foreign bytes is parsed."""
    found = _FOUND[name].search(head)
    if found is None:
        return ""
    raw = found[1].replace(b"\r\n", b"").strip()
    if b"=?" in raw or not raw.isascii() or not raw.decode("ascii").isprintable():
        return header(parse(found[0].rstrip(b"\r") + b"\r\n\r\n"), name)
    return raw.decode("ascii")


def _when(hub: Hub, found: EmailMessage) -> str:
    return _spoken(hub, header(found, "date"))


def _spoken(hub: Hub, text: str) -> str:
    try:
        return words.spoken(instant(parsedate_to_datetime(text)), hub.ws.settings.zone)
    except (ValueError, OverflowError, InvalidInput):
        return text


def stop_token(found: EmailMessage) -> str:
    """Return the token of the stop link, "" if the mail has none of ours."""
    told = _STOP.match(header(found, "list-unsubscribe").strip())
    return told[1] if told else ""


def way_in(text: str) -> str:
    """Return the token of a letter's link for coming in, "" if the mail is none."""
    told = _WAY_IN.search(text)
    return told[1] if told else ""


def signed_by(hub: Hub, raw: bytes) -> Sequence[tuple[str, str, bool]]:
    """Check every DKIM signature against this workspace's own keys: (domain, kind, holds)."""
    keys = {(s.selector, s.domain): mail.dns_record(s)[1] for s in house.signers(hub.ws)}
    try:
        checked = mail.check_signatures(
            raw, lambda selector, domain: "".join(keys.get((selector, domain), ())), 0
        )
    except InvalidInput:
        return ()
    return [(c.domain, _ALGORITHMS.get(c.algorithm, "?"), c.state == "pass") for c in checked]


def _written(hub: Hub, found: EmailMessage) -> Written | None:
    """Look up how a mail was written, by its reference, in the chain of whoever it went to."""
    ref, desk = header(found, "x-troth-ref"), hub.ws.desk
    try:
        with hub.ws.store.look() as view:
            holders = people.find_by_address(desk, view, Channel.EMAIL, header(found, "to"))
        for person in holders if ref else ():
            booked = _booked(hub, person, ref)
            if booked is not None:
                return Written(booked.level, booked.categories, booked.template)
    except EvidenceBroken:
        raise
    except Fault:
        return None
    return None


def _booked(hub: Hub, person: PersonId, ref: str) -> events.MessageBooked | None:
    hub.note_reading(person, "service", ("message.booked",))
    with hub.ws.store.look() as view:
        chain = hub.ws.desk.scribe.chain(view, person)
    for recorded in reversed(chain):
        said = recorded.event.payload
        if isinstance(said, events.MessageBooked) and said.ref == ref:
            return said
    return None
