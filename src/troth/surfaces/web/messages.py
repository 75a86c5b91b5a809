"""Messages: the list, a new one from a starter, and the editor with the message beside it."""

import re
import tomllib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from troth import app as house
from troth import crypto
from troth.capabilities import outreach
from troth.engines import mail, ranking
from troth.errors import Conflict, Fault, InvalidInput, NotFound
from troth.surfaces import words
from troth.surfaces.web import inbox
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import console_page
from troth.surfaces.web.diff import changes
from troth.surfaces.web.parts import Hub, body_of
from troth.surfaces.web.rewording import Edited, edited_source, fields_of, sentence
from troth.terms import Refusal, Role

READ = ["GET", "HEAD"]
ROLES = (Role.MARKETER, Role.OFFICER)
TOP = 5
FACES = 240
_NAME = re.compile(r"[a-z][a-z0-9-]{1,40}")
_DARK = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)")
VIEWS = {"light": "As most see it", "dark": "Dark", "phone": "On a phone", "text": "Plain text"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One level of a message on the page; `frame` is where its HTML is served, caged."""

    face: house.Face
    frame: str

    @property
    def title(self) -> str:
        """The level's name."""
        return words.LEVELS[self.face.level][0]


class Faces:
    """HTML of previews, kept for a while under addresses that only their session knows."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, str] = OrderedDict()

    def keep(self, session: Session, html: str) -> str:
        """Keep a message's HTML; return the name of its frame."""
        name = crypto.mac(session.form.encode(), html.encode()).hex()[:40]
        self._kept[name] = html
        self._kept.move_to_end(name)
        while len(self._kept) > FACES:
            self._kept.popitem(last=False)
        return name

    def find(self, session: Session, name: str) -> str:
        """Return the HTML of a frame of this very session.

        Raises:
            NotFound: There is none, or it was another session's.
        """
        html = self._kept.get(name)
        if html is None or crypto.mac(session.form.encode(), html.encode()).hex()[:40] != name:
            raise NotFound("this preview is over", "open the message again")
        return html


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the pages of messages."""
    hub.kept["faces"] = Faces()

    @app.api_route("/console/messages", methods=READ, include_in_schema=False)
    def listed(request: Request) -> Response:
        session = acting(hub, request, *ROLES)
        rows = _rows(hub)
        return console_page(hub, request, session, "messages.html", here="messages", rows=rows)

    @app.api_route("/console/messages/new", methods=READ, include_in_schema=False)
    def new(request: Request) -> Response:
        session = acting(hub, request, *ROLES)
        return _new(hub, request, session, {})

    @app.post("/console/messages/new", include_in_schema=False)
    def begin(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        name = form.get("name", "").strip()
        if not _NAME.fullmatch(name) or name in {"new", "frame"}:
            wrong = {"name": "Write small letters, digits and hyphens, a letter first."}
            return _new(hub, request, session, form, wrong)
        try:
            given = house.published_drafts(hub.ws)
            house.write_new(
                hub.ws.settings.folder,
                given,
                name,
                form.get("starter", ""),
                form.get("purpose", ""),
            )
        except Conflict:
            return _new(hub, request, session, form, {"name": "There is a message of this name."})
        return RedirectResponse(f"/console/messages/{name}", 303)

    @app.api_route(
        "/console/messages/frame/{name}/{scheme}", methods=READ, include_in_schema=False
    )
    def framed(request: Request, name: str, scheme: str) -> Response:
        session = acting(hub, request, *ROLES)
        html = hub.kept["faces"].find(session, name)
        always = "@media all" if scheme == "dark" else "@media not all"
        return HTMLResponse(_DARK.sub(always, html), headers=inbox.FRAME)

    _add_editor(app, hub)
    _add_history(app, hub)


def _add_editor(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/console/messages/{name}", methods=READ, include_in_schema=False)
    def editor(request: Request, name: str, done: str = "") -> Response:
        session = acting(hub, request, *ROLES)
        draft = _draft(hub, name)
        edited = Edited(draft.source, {})
        return _editor(hub, request, session, draft, edited, {"done": done})

    @app.post("/console/messages/{name}/look", include_in_schema=False)
    def look(request: Request, name: str, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        draft = _draft(hub, name)
        return _editor(hub, request, session, draft, edited_source(draft.source, form), form)

    @app.post("/console/messages/{name}", include_in_schema=False)
    def save(request: Request, name: str, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        draft = _draft(hub, name)
        edited = edited_source(draft.source, form)
        told = dict(form)
        try:
            done = _act(hub, session, draft, edited, form)
            if done:
                return RedirectResponse(f"/console/messages/{name}?done={done}", 303)
        except (Conflict, InvalidInput) as fault:
            told["wrong"] = (
                f"{sentence(fault.message)} Nothing was saved. {sentence(fault.remedy)}"
            )
            code = 409 if isinstance(fault, Conflict) else 400
            return _editor(hub, request, session, draft, edited, told, code)
        return _editor(hub, request, session, draft, edited, told)

    @app.post("/console/messages/{name}/people", include_in_schema=False)
    def people(request: Request, name: str, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        draft = _draft(hub, name)
        shelf = outreach.Shelf(hub.names, ranking.Alike(0, {}))
        asked = house.Look(draft.source, name, session.actor)
        found = house.masked(hub.ws, asked, shelf)
        kept: Faces = hub.kept["faces"]
        shown = [Shown(face, kept.keep(session, face.html)) for face in found.faces]
        reasons = [
            (words.title(r.code), words.why(r.code), words.remedy(r)) for r in found.reasons
        ]
        return console_page(
            hub, request, session, "message_people.html", here="messages", name=name,
            shown=shown, reasons=reasons, left=found.left, scheme=form.get("scheme", "light"),
        )  # fmt: skip


def _add_history(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/console/messages/{name}/history", methods=READ, include_in_schema=False)
    def history(request: Request, name: str) -> Response:
        session = acting(hub, request, *ROLES)
        draft = _draft(hub, name)
        versions = house.template_versions(hub.ws, name)
        zone = hub.ws.settings.zone
        rows = [
            {
                "version": each.version,
                "at": words.spoken(each.at, zone),
                "changes": changes(
                    versions[place + 1].data.decode() if place + 1 < len(versions) else "",
                    each.data.decode(),
                ),
                "first": place + 1 == len(versions),
            }
            for place, each in enumerate(versions)
        ]
        return console_page(
            hub, request, session, "message_history.html", here="messages", name=name, rows=rows,
            base=draft.base,
        )  # fmt: skip

    @app.post("/console/messages/{name}/restore", include_in_schema=False)
    def restore(request: Request, name: str, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        draft = _draft(hub, name)
        versions = {str(v.version): v for v in house.template_versions(hub.ws, name)}
        wanted = versions.get(form.get("version", ""))
        if wanted is None:
            raise NotFound("there is no such version", "open the history again")
        if draft.base != form.get("base"):
            raise Conflict("somebody else saved this message meanwhile", "open the history again")
        house.publish_template(
            hub.ws, name, wanted.data.decode(), session.actor, draft.seen, draft.base
        )
        return RedirectResponse(f"/console/messages/{name}?done=restored", 303)


def _act(
    hub: Hub,
    session: Session,
    draft: house.MessageDraft,
    edited: Edited,
    form: Mapping[str, str],
) -> str:
    """Do what the pressed button says; return what was done, "" for only looking.

    Raises:
        Conflict: Somebody saved or published meanwhile.
        InvalidInput: A text cannot be taken over, or what would be published is not fit for it.
    """
    if draft.base != form.get("base"):
        raise Conflict("somebody else saved this message meanwhile", "see it below")
    if edited.refused:
        raise InvalidInput("some texts could not be taken over", "see them below")
    source = edited.source
    do = form.get("do", "")
    if do == "save":
        house.save_message(hub.ws, draft, source)
        return "saved"
    if do == "publish":
        house.publish_template(hub.ws, draft.name, source, session.actor, draft.seen, draft.base)
        return "published"
    if do == "test":
        asked = house.Look(source, draft.name, session.actor)
        level = _level(form) if form.get("level", "3") != "all" else TOP
        refusal = house.send_test(hub.ws, asked, level, hub.inbox)
        if isinstance(refusal, Refusal):
            raise InvalidInput(words.why(refusal.first.code), words.change(refusal.first.code))
        return "tested"
    return ""


def _draft(hub: Hub, name: str) -> house.MessageDraft:
    if not _NAME.fullmatch(name):
        raise NotFound("there is no such message", "choose one from the list")
    return house.read_message(hub.ws, name)


def _level(form: Mapping[str, str]) -> int:
    given = form.get("level", "")
    return int(given) if given in {str(k) for k in range(TOP + 1)} else 1


def _editor(  # noqa: PLR0913 - a page and what is on it
    hub: Hub,
    request: Request,
    session: Session,
    draft: house.MessageDraft,
    edited: Edited,
    form: Mapping[str, str],
    code: int = 200,
) -> Response:
    wanted = form.get("level", "3")
    view = form.get("view", "light") if form.get("view") in VIEWS else "light"
    data = _read(edited.source)
    findings = house.check_published(hub.ws, edited.source)
    shown, fault = _faces(hub, session, edited.source, wanted)
    blocks = mail.blocks(str(data.get("mjml", "")))
    return console_page(
        hub,
        request,
        session,
        "message.html",
        code,
        here="messages",
        draft=draft,
        data=data,
        groups=fields_of(blocks, form, edited.refused),
        refused=sorted(edited.refused.values()),
        findings=findings,
        bad=sum(f.weight == "bad" for f in findings),
        shown=shown,
        fault=fault,
        level=wanted,
        levels=[*((str(k), str(k)) for k in range(TOP + 1)), ("all", "All")],
        view=view,
        views=list(VIEWS.items()),
        done=_DONE.get(form.get("done", ""), ""),
        wrong=form.get("wrong", ""),
        purpose=_purpose_title(hub, str(data.get("purpose", ""))),
        left=house.looks_left(hub.ws, session.actor),
        changed=edited.source != draft.running,
    )


_DONE = {
    "saved": "Saved as a draft. What is published goes on running until you publish.",
    "published": "Published. The next message uses this version.",
    "restored": "Restored: the earlier text is published again, as a new version.",
    "tested": "Sent to you alone, filled with invented words.",
}


def _read(source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError:
        return {}


def _faces(hub: Hub, session: Session, source: str, wanted: str) -> tuple[list[Shown], str]:
    levels = range(TOP + 1) if wanted not in {str(k) for k in range(TOP + 1)} else [int(wanted)]
    with hub.ws.store.look() as view:
        published = hub.ws.desk.house(view)
    try:
        found = house.faces(published, source, list(levels))
    except Fault as fault:
        return [], sentence(fault.message)
    kept: Faces = hub.kept["faces"]
    return [Shown(f, kept.keep(session, f.html) if f.html else "") for f in found], ""


def _purpose_title(hub: Hub, name: str) -> str:
    with hub.ws.store.look() as view:
        found = hub.ws.desk.house(view).purposes.get(name)
    return found.title if found else ""


def _rows(hub: Hub) -> list[dict[str, Any]]:
    used = _used_by(hub)
    rows = []
    for name in house.template_names(hub.ws):
        draft = house.read_message(hub.ws, name)
        data = _read(draft.source)
        left = sum(f.code == "to_write" for f in house.check_published(hub.ws, draft.source))
        rows.append({
            "name": name,
            "subject": str(data.get("subject", "")),
            "purpose": _purpose_title(hub, str(data.get("purpose", ""))) or "not named",
            "version": draft.seen,
            "used": used.get(name, []),
            "state": _state(draft, left),
        })  # fmt: skip
    return rows


def _state(draft: house.MessageDraft, left: int) -> tuple[str, str]:
    if left:
        return "bad", "Words to write"
    if not draft.seen:
        return "other", "Draft"
    return ("other", "Draft changes") if draft.changed else ("good", "Published")


def _used_by(hub: Hub) -> dict[str, list[str]]:
    """Return per template the campaigns whose newest plan names it."""
    with hub.ws.store.look() as view:
        plans = {p.name: p for p in view.published_all("campaign:")}
    out: dict[str, list[str]] = {}
    for name, plan in plans.items():
        told = msgspec.json.decode(plan.data)
        label = str(told.get("template", "")) if isinstance(told, dict) else ""
        template = label.removeprefix("template:").partition("@")[0]
        out.setdefault(template, []).append(name.removeprefix("campaign:"))
    return out


def _new(
    hub: Hub,
    request: Request,
    session: Session,
    form: Mapping[str, str],
    wrong: Mapping[str, str] | None = None,
) -> Response:
    with hub.ws.store.look() as view:
        purposes = hub.ws.desk.house(view).purposes.values()
    fitting: Sequence[tuple[str, str]] = [
        ("", "The obvious one for the starter"),
        *((p.name, p.title) for p in purposes if p.channels),
    ]
    return console_page(
        hub,
        request,
        session,
        "message_new.html",
        400 if wrong else 200,
        here="messages",
        starters=house.starters(),
        purposes=fitting,
        form=form,
        wrong=wrong or {},
    )
