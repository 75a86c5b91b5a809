"""The console's documents: what the company can hand over, what is missing, and paper forms.

Every document is made when it is opened, from what is published then. A form that came on paper is
taken in with the hash of its scan; an objection among them binds before the page answers.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import app as house
from troth import crypto
from troth.engines import forms
from troth.errors import Fault, InvalidInput, NotFound
from troth.kernel.calendars import day_begins
from troth.surfaces import faults, handing, words
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import LARGE, Hub, form_of
from troth.surfaces.web.people import whom
from troth.terms import Instant, Role

PATH: Final = "/console/documents"
ENTER: Final = f"{PATH}/enter"
ROLES: Final = (Role.OFFICER, Role.SUPPORT)
SCAN_MAX: Final = 16 << 20
TYPES: Final = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8",
                "json": "application/json"}  # fmt: skip
HOW: Final = (("letter", "by post"), ("shop", "handed in"), ("mail", "as an attachment"))
LARGE[ENTER] = SCAN_MAX


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/documents`."""
    _add_entering(app, hub)

    @app.api_route(PATH, methods=READ, include_in_schema=False)
    def listing(request: Request) -> Response:
        session = acting(hub, request, *ROLES)
        return _list(hub, request, session)

    @app.api_route(f"{PATH}/{{name}}", methods=READ, include_in_schema=False)
    def one(name: str, request: Request) -> Response:
        session = acting(hub, request, *ROLES)
        if name in house.FORMS:
            return _form(hub, request, session, name)
        return _paper(hub, request, session, name)

    @app.api_route(f"{PATH}/{{name}}/{{file}}", methods=READ, include_in_schema=False)
    def fetch(name: str, file: str, request: Request) -> Response:
        acting(hub, request, *ROLES)
        return _download(hub, name, file)


async def scan_of(request: Request) -> bytes:
    """Read a form with a scan in it.

    Raises:
        InvalidInput: More than `SCAN_MAX` bytes.
    """
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > SCAN_MAX:
            raise InvalidInput("a scan has at most 16 MB", "give its SHA-256 instead")
    return bytes(raw)


def _add_entering(app: FastAPI, hub: Hub) -> None:
    @app.post(ENTER, include_in_schema=False)
    def enter(request: Request, raw: Annotated[bytes, Depends(scan_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        name = form.get("document", "")
        if name not in house.FORMS:
            raise NotFound("there is no such form", "open the documents and choose one")
        scan = form_of(request.headers.get("content-type", ""), raw).get("scan", b"")
        try:
            done = _entered(hub, session, name, form, scan)
        except Fault as fault:
            return _form(hub, request, session, name, fault=faults.sentence(fault), told=form)
        return _form(hub, request, session, name, done=done)

    @app.post(f"{PATH}/publish", include_in_schema=False)
    def publish(request: Request, raw: Annotated[bytes, Depends(scan_of)]) -> Response:
        session, _ = submitted(hub, request, raw, Role.OFFICER)
        try:
            house.publish_manual(hub.ws, session.actor)
        except InvalidInput as fault:
            return _paper(hub, request, session, house.MANUAL, faults.sentence(fault))
        return RedirectResponse(f"{PATH}/{house.MANUAL}", 303)


def _list(hub: Hub, request: Request, session: Session) -> Response:
    every = house.list_documents(hub.ws)
    return console_page(
        hub,
        request,
        session,
        "documents.html",
        here="documents",
        papers=[d for d in every if d.kind == "paper"],
        forms=[d for d in every if d.kind == "form"],
        unpublished=house.unpublished(hub.ws),
        badge=handing.state_of,
    )


def _paper(hub: Hub, request: Request, session: Session, name: str, fault: str = "") -> Response:
    made = house.document(hub.ws, name)
    held = house.manuals(hub.ws) if name == house.MANUAL else []
    listed = next(d for d in house.list_documents(hub.ws) if d.name == name)
    return console_page(
        hub,
        request,
        session,
        "document.html",
        400 if fault else 200,
        here="documents",
        paper=made,
        at=words.spoken(made.at, hub.ws.settings.zone),
        manual=name == house.MANUAL,
        officer=session.actor.role is Role.OFFICER,
        published=held[-1].version if held else 0,
        published_on=words.day(held[-1].at, hub.ws.settings.zone) if held else "",
        stale=listed.stale,
        review_by=listed.review_by,
        fault=fault,
    )


def _form(  # noqa: PLR0913 - the page and what became of it
    hub: Hub,
    request: Request,
    session: Session,
    name: str,
    *,
    fault: str = "",
    done: house.OpenedByForm | None = None,
    told: Mapping[str, str] | None = None,
) -> Response:
    asked = house.company_form(hub.ws, name)
    zone = hub.ws.settings.zone
    with hub.ws.store.look() as view:
        purposes = hub.ws.desk.house(view).purposes
    titles = [purposes[p].title for p in done.objected] if done else []
    return console_page(
        hub,
        request,
        session,
        "document_form.html",
        400 if fault else 200,
        here="documents",
        form=asked,
        gaps=house.form_gaps(hub.ws, name),
        fields=house.substance(asked),
        how=HOW,
        told=told or {},
        fault=fault,
        done=done,
        objected=titles,
        due=words.day(Instant(done.due - 1), zone) if done else "",
    )


def _entered(
    hub: Hub, session: Session, name: str, form: Mapping[str, str], scan: bytes
) -> house.OpenedByForm:
    """Take a paper form in.

    Raises:
        InvalidInput: A field does not read, or the scan is missing; nothing was recorded.
        NotFound: Nobody is known under this number or address.
    """
    asked = house.company_form(hub.ws, name)
    person = whom(hub, form.get("address", ""), form.get("outside", ""))
    entered = house.EnteredForm(
        name,
        forms.taken(asked, form),
        how=_how(form),
        received=_day(form.get("received", ""), hub.ws.settings.zone),
        proven=form.get("proven") == "yes",
        scan=crypto.sha256(scan).hex() if scan else form.get("hash", "").strip().lower(),
    )
    for each in house.substance(asked):
        if each.needed and not entered.answers.get(each.name):
            raise InvalidInput(f"still missing: {each.label}", "fill it in from the paper")
    done = house.enter_form(hub.ws, person, entered, session.actor)
    hub.ws.sign()
    return done


def _how(form: Mapping[str, str]) -> str:
    said = form.get("how", "")
    if said not in dict(HOW):
        raise InvalidInput("say how the form came", "choose one of the list")
    return said


def _day(text: str, zone: str) -> Instant:
    """Read the day a paper came, in the house's zone; its first instant."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("the day it came is no date", "write 2026-11-17, say") from None
    return day_begins(day, zone)


def _download(hub: Hub, name: str, file: str) -> Response:
    stem, _, kind = file.rpartition(".")
    if stem != name or kind not in TYPES or (name in house.FORMS and kind != "pdf"):
        raise NotFound("there is no such file", "open the document and choose one there")
    raw = handing.write(hub.ws, name, kind)
    headers = {"content-disposition": f'attachment; filename="{file}"'}
    return Response(raw, media_type=TYPES[kind], headers=headers)
