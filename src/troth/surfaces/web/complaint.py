"""The complaint page: an address and a reference in, the whole time-line with proofs out."""

import io
import threading
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from troth import app as app_layer
from troth.capabilities.access import exports
from troth.capabilities.access.acts import may_act
from troth.capabilities.access.cases import Opening, named_case, require_number
from troth.capabilities.access.reading import Reading, book_reading
from troth.errors import Fault, InvalidInput, NotFound
from troth.surfaces import answering, faults, timeline, words
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.surfaces.web.people import whom
from troth.terms import SECOND, Action, Refusal, Role

ROLES = (Role.OFFICER,)
KEPT_FOR = 15 * 60 * SECOND
CASE_MAX = 64


@dataclass(slots=True)
class Shelf:
    """Answers just made, so that their files can be fetched; gone after fifteen minutes."""

    now: Callable[[], int]
    _held: dict[str, tuple[int, Session, dict[str, bytes]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, name: str, session: Session, files: dict[str, bytes]) -> None:
        """Keep an answer's files for the session that asked."""
        with self._lock:
            now = self.now()
            self._held = {n: kept for n, kept in self._held.items() if kept[0] > now}
            self._held[name] = (now + KEPT_FOR, session, files)

    def take(self, name: str, session: Session) -> dict[str, bytes]:
        """Return the files.

        Raises:
            NotFound: Gone, never there, or of another session: one answer for all three.
        """
        with self._lock:
            until, whose, files = self._held.get(name, (0, None, {}))
            if whose is None or whose.form != session.form or self.now() >= until:
                raise NotFound("this answer is no longer kept here", "make it again")
            return files


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/complaint`."""
    shelf = Shelf(app_layer.real_micros)

    @app.api_route("/console/complaint", methods=READ, include_in_schema=False)
    def ask(request: Request) -> Response:
        return _show(hub, request, acting(hub, request, *ROLES))

    @app.post("/console/complaint", include_in_schema=False)
    def answer(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        return _answered(hub, request, session, form, shelf)

    @app.api_route("/console/complaint/{name}/{file}", methods=READ, include_in_schema=False)
    def fetch(request: Request, name: str, file: str) -> Response:
        files = shelf.take(name, acting(hub, request, *ROLES))
        with hub.ws.store.look() as view:
            left = exports.found(view, files[exports.MARK].split()[1].decode())
        if file == "answer.pdf":
            named = left.named("answer", "pdf")
            return _download(files["answer.pdf"], "application/pdf", named)
        if file == "answer.zip":
            return _download(_zipped(files), "application/zip", left.named("answer", "zip"))
        raise NotFound("there is no such file", "take the PDF or the whole folder")


def _show(
    hub: Hub,
    request: Request,
    session: Session,
    code: int = 200,
    **values: Any,  # noqa: ANN401
) -> Response:
    given = {"state": "ask", "fault": "", "case": "", **values}
    return console_page(hub, request, session, "complaint.html", code, here="complaint", **given)


def _refused(hub: Hub, request: Request, session: Session, no: Refusal, case: str) -> Response:
    said = [(words.title(r.code), words.why(r.code)) for r in no.reasons]
    return _show(hub, request, session, 403, state="refused", said=said, case=case)


def _answered(
    hub: Hub, request: Request, session: Session, form: Mapping[str, str], shelf: Shelf
) -> Response:
    """Judge the role, find the person, open the case, book export and look, then compose."""
    desk, case = hub.ws.desk, form.get("case", "").strip()[:CASE_MAX]
    try:
        if not case:
            raise InvalidInput("the complaint needs its reference", "the one on the letter")
        if (no := may_act(desk, session.actor, ROLES)) is not None:
            return _refused(hub, request, session, no, case)
        require_number(case)
        person = whom(hub, form.get("address", ""), form.get("outside", ""))
        ref = named_case(desk, person, Opening(case, "complaint"), session.actor)
    except Fault as fault:
        return _show(hub, request, session, 400, fault=faults.sentence(fault), case=case)
    reading = Reading(
        person, session.actor, ("timeline", "receipts"), ref, Action.EXPORT,
        export=exports.new_id(desk), what="complaint",
    )  # fmt: skip
    if (no := book_reading(desk, reading)) is not None:
        return _refused(hub, request, session, no, case)
    with hub.ws.store.look() as view:
        left = exports.found(view, reading.export)
    made = replace(answering.compose(hub.ws, person, case), mark=left.mark())
    name = hub.reference().lower()
    policy = hub.ws.signer.policy_for(hub.ws.sign())
    files = {exports.MARK: left.mark().encode(), **answering.attachments(made, policy)}
    shelf.put(name, session, files)
    until = words.day(left.until, hub.ws.settings.zone)
    more = {"name": name, "until": until, "export": left.id, **_shown(made)}
    return _show(hub, request, session, state="done", **more)


def _shown(made: answering.Answering) -> dict[str, Any]:
    groups = [
        (key, timeline.GROUPS[key], made.count(key))
        for key in answering.FOR_GROUPS
        if made.count(key)
    ]
    return {
        "case": made.case,
        "summary": answering.summary(made),
        "standing": answering.standing(made),
        "groups": groups,
        "days": [
            (day, [(line, answering.particulars(line, made)) for line in lines])
            for day, lines in answering.days(made)
        ],
    }


def _zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), raw)
    return out.getvalue()


def _download(raw: bytes, kind: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(raw, media_type=kind, headers=headers)
