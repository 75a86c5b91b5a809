"""What people are told: every notice with its versions, for anybody; and a changed one to answer.

Old versions stay readable for ever under their own address, word for word as they were shown.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, FastAPI
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from troth.app import notices
from troth.capabilities import preferences
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events
from troth.kernel.consent import PERSONALISE
from troth.surfaces.portal.frame import (
    Done,
    Visit,
    finished,
    portal_page,
    submitted,
    tongue,
    visiting,
    whoever,
)
from troth.surfaces.portal.receipts import whole
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import ConsentStatus

READ = ["GET", "HEAD"]
HERE: Final = "/my/notices"
PUBLIC = {
    "/notices": "what everybody is told",
    "/notices/{name}/{version}": "what everybody is told, in the words of that version",
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the public notices and the page on which a changed one is answered."""

    @app.api_route("/notices", methods=READ, include_in_schema=False)
    def listed(request: Request) -> Response:
        visit = whoever(hub, request)
        language = (visit.tongue if visit else tongue(hub, request)).language
        with hub.ws.store.look() as view:
            shelf = notices.shelf(view, language)
        return portal_page(hub, request, visit, "notices.html", "notices", shelf=shelf)

    @app.api_route("/notices/{name}/{version}", methods=READ, include_in_schema=False)
    def one(request: Request, name: str, version: str, lang: str = "") -> Response:
        number, visit = whole(version), whoever(hub, request)
        language = (visit.tongue if visit else tongue(hub, request)).language
        with hub.ws.store.look() as view:
            found = notices.version(view, name, number, lang or language)
            versions = notices.shelf(view, found.language)[name]
        before = next((v for v in versions if v.version < number), None)
        changed = notices.changed(before, found) if before else None
        return portal_page(
            hub, request, visit, "notice.html", "notices",
            notice=found, body=_markup(found), versions=versions, before=before, changed=changed,
        )  # fmt: skip

    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def asked(request: Request) -> Response:
        visit = visiting(hub, request)
        open_ = _questions(hub, visit)
        return portal_page(hub, request, visit, "my_notices.html", "notices", questions=open_)

    @app.post(HERE, include_in_schema=False)
    def answered(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        return finished(visit, HERE, _answer(hub, visit, form))


def _markup(found: notices.Shown) -> Markup:
    return Markup(found.html)  # noqa: S704 - our own renderer escaped every word of it


@dataclass(frozen=True, slots=True)
class Question:
    """A changed notice to answer: what it is about, what differs, and the two versions."""

    due: notices.Due
    title: str
    changes: object


def _questions(hub: Hub, visit: Visit) -> list[Question]:
    with hub.ws.store.look() as view:
        house = hub.ws.desk.house(view)
        found = notices.due(view, house, visit.record, visit.language)
    return [
        Question(each, house.purposes[each.purpose].title, notices.changed(each.held, each.now))
        for each in found
    ]


def waiting(hub: Hub, visit: Visit) -> int:
    """Count the changed notices this person has not answered yet."""
    return len(_questions(hub, visit))


def _answer(hub: Hub, visit: Visit, form: dict[str, str]) -> Done:
    """Record a yes or a no to a changed notice.

    Raises:
        Conflict: It was answered or changed meanwhile; nothing was recorded.
        InvalidInput: It is no answer, or a minor's own yes.
    """
    answer = form.get("answer", "")
    if answer not in {"yes", "no"}:
        raise InvalidInput("nothing was recorded: the form holds no answer", "choose yes or no")
    place = (form.get("purpose", ""), form.get("held", ""), form.get("now", ""))
    found = next(
        (
            q.due
            for q in _questions(hub, visit)
            if (q.due.purpose, q.due.held.label, q.due.now.label) == place
        ),
        None,
    )
    if found is None:
        raise Conflict("this was answered meanwhile", "look at the page again")
    if answer == "yes":
        visit.require_grant()
    n = _recorded(hub, visit, found, yes=answer == "yes")
    if answer == "no":
        return Done(visit.gettext("Your yes has ended. The very next message follows it."), n)
    return Done(visit.gettext("You agreed to the new version."), n)


def _recorded(hub: Hub, visit: Visit, due: notices.Due, *, yes: bool) -> int:
    desk, person = hub.ws.desk, visit.person
    served = events.NoticeServed(due.now.label, "portal", due.now.language)
    level = visit.record.level if yes and due.purpose == PERSONALISE else None
    choice = preferences.Choice(
        ConsentStatus.REAFFIRMED if yes else ConsentStatus.WITHDRAWN,
        due.purpose,
        due.channels,
        notice=due.now.label,
        method="notice_page",
        proof=f"notice:{due.now.digest[:32]}",
        categories=due.categories,
        level=level,
        given_by=visit.given_by,
        language=due.now.language,
    )
    prepared = preferences.record_choices(desk, person, [choice], visit.actor, [served])
    return prepared[1].n


def require_notice(hub: Hub, purpose: str, language: str) -> notices.Shown:
    """Return the newest notice that speaks of a purpose, its own before a shared one.

    Raises:
        NotFound: None speaks of it.
    """
    with hub.ws.store.look() as view:
        shelf = notices.shelf(view, language)
    fit = [v[0] for v in shelf.values() if purpose in v[0].purposes]
    if not fit:
        raise NotFound("no notice speaks of this purpose", "all of them are listed at /notices")
    return max(fit, key=lambda n: (n.name == purpose, n.version))
