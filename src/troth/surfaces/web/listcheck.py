"""The list check's page: drop a list, correct its columns, see who may be mailed, and why not.

A list lives in a nameless file and its result in memory, for one session, for fifteen minutes
after it was made. Nothing of it is recorded or logged: no person of the house is looked at. That
a file of it was taken out is recorded before the file is given: whose, how many rows, until when.
"""

import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from troth import app as house
from troth import crypto
from troth.app import Checked, ListTold
from troth.capabilities.access.exports import Export
from troth.capabilities.listcheck import GROUPS, Group
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.surfaces import faults, words
from troth.surfaces import list_words as told
from troth.surfaces.web.acting import NotAllowed, Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import LARGE, Hub, body_of
from troth.surfaces.web.uploads import Upload
from troth.terms import Refusal, Role

ROLES = (Role.MARKETER, Role.OFFICER)
PATH: Final = "/console/list"
KEPT_S: Final = 15 * 60.0
LISTS_MAX: Final = 8
NAME_CHARS: Final = 80
_PIECE = 1 << 16
_FIELD = "column-"


@dataclass(slots=True)
class Job:
    """One list of one session: what was sent, what is known, what came of it.

    Attributes:
        state: headings (to be looked at), running, done, or failed.
        about: About how many rows there are; 0 where nobody can say.
    """

    file: Any
    name: str
    source: Any
    told: ListTold
    state: str = "headings"
    done: int = 0
    about: int = 0
    checked: Checked | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    _gone: bool = False

    def progress(self, done: int) -> None:
        """Note how far the check is; a list that was dropped meanwhile is not read on."""
        self.done = done
        if self._gone:
            raise NotFound("the list is no longer kept here", "drop it again")

    def drop(self) -> None:
        """Forget everything."""
        self._gone = True
        self.file.close()
        self.checked, self.data, self.source = None, {}, None


class Shelf:
    """The lists of this process: one a session, each gone by itself after its time."""

    def __init__(self, kept_s: float = KEPT_S) -> None:
        """Begin empty."""
        self._kept_s = kept_s
        self._held: dict[str, tuple[Job, threading.Timer]] = {}
        self._lock = threading.Lock()
        self.working = threading.Lock()

    def put(self, session: Session, job: Job) -> None:
        """Keep a session's list; an earlier one is dropped.

        Raises:
            Unavailable: Too many lists are kept already.
        """
        with self._lock:
            if session.form not in self._held and len(self._held) >= LISTS_MAX:
                job.drop()
                raise Unavailable("too many lists are being checked", "try again in some minutes")
            self._forget(session.form)
            self._held[session.form] = (job, self._timer(session.form, job))

    def find(self, session: Session) -> Job | None:
        """Return the session's list, if it is still kept."""
        with self._lock:
            found = self._held.get(session.form)
        return found[0] if found else None

    def renew(self, session: Session, job: Job) -> None:
        """Count the time anew: the result was made just now."""
        with self._lock:
            found = self._held.get(session.form)
            if found and found[0] is job:
                found[1].cancel()
                self._held[session.form] = (job, self._timer(session.form, job))

    def drop(self, session: Session) -> None:
        """Forget a session's list; there being none is fine."""
        with self._lock:
            self._forget(session.form)

    def _timer(self, form: str, job: Job) -> threading.Timer:
        timer = threading.Timer(self._kept_s, self._expire, (form, job))
        timer.daemon = True
        timer.start()
        return timer

    def _expire(self, form: str, job: Job) -> None:
        with self._lock:
            found = self._held.get(form)
            if found and found[0] is job:
                self._forget(form)

    def _forget(self, form: str) -> None:
        found = self._held.pop(form, None)
        if found:
            found[1].cancel()
            found[0].drop()


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add `/console/list`."""
    shelf = hub.kept["lists"] = Shelf()
    _add_ways_in(app, hub, shelf)
    _add_ways_out(app, hub, shelf)

    @app.post(f"{PATH}/check", include_in_schema=False)
    def begin(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, *ROLES)
        job = shelf.find(session)
        if job is None or job.state == "running":
            return RedirectResponse(PATH, 303)
        try:
            prepare(job, form)
        except InvalidInput as fault:
            return _page(hub, request, session, shelf, str(fault))
        at = hub.ws.clock.now()
        threading.Thread(target=work, args=(shelf, session, job, at), daemon=True).start()
        return RedirectResponse(PATH, 303)

    @app.post(f"{PATH}/forget", include_in_schema=False)
    def forget(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw, *ROLES)
        shelf.drop(session)
        return RedirectResponse(PATH, 303)


def _page(  # noqa: PLR0913 - a page and what went wrong
    hub: Hub, request: Request, session: Session, shelf: Shelf, fault: str = "", wrong: int = 400
) -> Response:
    given = {**shown(shelf.find(session)), "fault": fault}
    code = wrong if fault else 200
    return console_page(hub, request, session, "list.html", code, here="list", **given)


def _add_ways_in(app: FastAPI, hub: Hub, shelf: Shelf) -> None:
    """Add the page itself, and the taking of a list."""

    async def sent(request: Request) -> tuple[Session, Upload, Any]:
        session = acting(hub, request, *ROLES)
        file = house.hold_list()

        def begin(fields: Mapping[str, str]) -> Any:  # noqa: ANN401 - a nameless file
            if not crypto.same(fields.get("form", "").encode(), session.form.encode()):
                raise NotAllowed(ROLES)
            return file

        try:
            upload = Upload(request.headers.get("content-type", ""), begin)
            async for piece in request.stream():
                upload.feed(piece)
            upload.end()
        except BaseException:
            file.close()
            raise
        return session, upload, file

    @app.api_route(PATH, methods=READ, include_in_schema=False)
    def look(request: Request) -> Response:
        return _page(hub, request, acting(hub, request, *ROLES), shelf)

    @app.post(PATH, include_in_schema=False)
    def drop(
        request: Request, came: Annotated[tuple[Session, Upload, Any], Depends(sent)]
    ) -> Response:
        session, upload, file = came
        try:
            shelf.put(session, _looked_at(hub, upload.name, file))
        except InvalidInput as fault:
            file.close()
            return _page(hub, request, session, shelf, str(fault))
        except BaseException:
            file.close()
            raise
        return RedirectResponse(PATH, 303)


def _looked_at(hub: Hub, name: str, file: Any) -> Job:  # noqa: ANN401 - a nameless file
    with hub.ws.store.look() as view:
        seat = hub.ws.desk.house(view).seat
    said = ListTold(zone=hub.ws.settings.zone, sender=seat)
    return Job(file, name[-NAME_CHARS:], house.look_at_list(file, name, said), said)


def _add_ways_out(app: FastAPI, hub: Hub, shelf: Shelf) -> None:
    """Add the Form 4 text, and a file a group while the result is kept: booked, then given."""

    @app.api_route(f"{PATH}/{{name}}", methods=READ, include_in_schema=False)
    def fetch(request: Request, name: str) -> Response:
        acting(hub, request, *ROLES)
        if name not in FORMS:
            raise NotFound("there is no such file", "go back to the list check")
        make, media = FORMS[name]
        return attached(iter([make().encode()]), name, media)

    @app.post(f"{PATH}/take/{{group}}", include_in_schema=False)
    def take(group: str, request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, _ = submitted(hub, request, raw, *ROLES)
        if group not in GROUPS:
            raise NotFound("there is no such file", "go back to the list check")
        job = shelf.find(session)
        checked = job.checked if job is not None else None
        if checked is None:
            raise NotFound("this list is no longer kept here", "drop it again")
        left = house.take_groups(hub.ws, checked, [group], session.actor)
        if isinstance(left, Refusal):
            return _page(hub, request, session, shelf, _no(left), 403)
        return attached(rows_of(checked, group, left), left.named(group, "csv"), "text/csv")


def _no(refusal: Refusal) -> str:
    return "; ".join(f"{words.title(r.code)}: {words.remedy(r)}" for r in refusal.reasons)


FORMS: Final = {
    "form4.txt": (told.form4_text, "text/plain"),
    "form4.html": (told.form4_html, "text/html"),
}


def shown(job: Job | None) -> dict[str, Any]:
    """Return what the page needs."""
    empty: dict[str, Any] = {
        "state": "empty",
        "job": None,
        "columns": [],
        "fields": [],
        "tool": "",
        "data": {},
    }
    if job is None:
        return {**empty, "form4": told.form4_text()}
    columns = told.column_data(job.source.columns) if job.source is not None else []
    sure = told.words()["sure"]
    tool = told.tool_name(job.source.tool) if job.source is not None else ""
    return {
        "state": job.state,
        "job": job,
        "columns": [{**each, "how": sure[each["sure"]]} for each in columns],
        "fields": field_choices(),
        "tool": tool,
        "data": job.data,
        "bars": bars(job.data) if job.data else [],
        "form4": told.form4_text(),
        "titles": told.TITLES,
        "helped": told.helped,
        "own_rules": told.OWN_RULES,
        "guessed": told.words()["finding"]["encoding"],
    }


def field_choices() -> list[tuple[str, str]]:
    """Return the meanings a column may have, in words, `not used` first."""
    names = told.words()["field"]
    return [("", "not used"), *((name, names.get(name, name)) for name in house.list_fields())]


def bars(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lay the chart out: who may be mailed, who asked, then each reason against."""
    groups = data["groups"]
    rows = [
        ("You may mail", groups["may_mail"], "yes"),
        ("You may ask once", groups["ask_once"], "other"),
    ]
    rows += [(r["title"], r["rows"], "no") for r in data["reasons"] if r["group"] == "not"]
    widest = max((n for _, n, _ in rows), default=1) or 1
    return [
        {"title": title, "text": f"{n:,}", "share": round(100 * n / widest, 2), "kind": kind}
        for title, n, kind in rows
        if n or kind != "no"
    ]


def prepare(job: Job, form: Mapping[str, str]) -> None:
    """Take over what was corrected: columns, zone, countries.

    Raises:
        InvalidInput: One of them does not read; nothing was taken over.
    """
    columns = {
        name.removeprefix(_FIELD): value for name, value in form.items() if name.startswith(_FIELD)
    }
    said = ListTold(
        columns=columns,
        zone=form.get("zone", "").strip(),
        country=form.get("country", "").strip(),
        sender=form.get("sender", "").strip(),
    )
    source = house.look_at_list(job.file, job.name, said)
    house.prepare_list(source, said)
    job.source, job.told = source, said
    job.state, job.done, job.about, job.fault = "running", 0, source.about(), ""


def work(shelf: Shelf, session: Session, job: Job, at: Any) -> None:  # noqa: ANN401 - an instant
    """Check a list, apart from the request that asked for it; one at a time."""
    try:
        with shelf.working:
            checked = house.check_list(job.source, job.told, at, job.progress)
            job.data = told.report(checked)
        job.checked, job.state = checked, "done"
    except Exception as error:  # noqa: BLE001 - the page says it; no value of a row may reach a log
        job.fault, job.state = str(faults.fault_of(error)), "failed"
    shelf.renew(session, job)


def rows_of(checked: Checked, group: Any, left: Export) -> Iterator[bytes]:  # noqa: ANN401 - checked by the route
    """Yield a group's rows as CSV, marked, made in a nameless file first."""
    named: Group = group
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
        house.write_group(checked, named, file, told.row_words, left)
        file.seek(0)
        yield from _pieces(file)


def _pieces(file: IO[str]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece.encode()


def attached(body: Iterator[bytes], name: str, media: str) -> Response:
    """Answer with a file to be saved."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(body, headers=headers, media_type=f"{media}; charset=utf-8")


LARGE[PATH] = 64 << 20
