"""How personal may it be: the levels, what each uses, and the person's real next message at it.

The message is made for the person from what they agreed to, by the renderer that makes the sent
ones; looking changes nothing. Choosing acts at once: up is a consent to the notice whose text
stands beside the button, down a withdrawal; both have a receipt and an undo. Taking a step down
back is going up, so it leads over the notice again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from troth.capabilities import preferences
from troth.errors import InvalidInput, NotFound
from troth.kernel import consent
from troth.surfaces.portal import notices, said
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import (
    Done,
    Visit,
    finished,
    portal_page,
    submitted,
    visiting,
)
from troth.surfaces.portal.overview import doubt
from troth.surfaces.web import inbox
from troth.surfaces.web import levels as shown
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import PurposeKind

READ = ["GET", "HEAD"]
HERE: Final = "/my/level"
AGAIN: Final = "/my/level/again"


@dataclass(frozen=True, slots=True)
class Step:
    """One level beside the others.

    Attributes:
        uses: What is used at it, in words.
        chosen: It is the one in force.
    """

    number: int
    title: str
    about: str
    uses: Sequence[str]
    chosen: bool


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the slider, the message of each level, and the choice."""

    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def slider(request: Request, at: int = -1) -> Response:
        visit = visiting(hub, request)
        held = max(visit.record.level, -1)
        now = in_force(hub, visit)
        looked = at if 0 <= at <= shown.TOP else max(now, 0)
        return portal_page(
            hub, request, visit, "my_level.html", "level",
            steps=[_step(hub, visit, k, now) for k in range(shown.TOP + 1)],
            now=now, held=held, looked=_step(hub, visit, looked, now),
            letter=_letter(hub, visit, looked), asks=_asks(hub, visit, looked),
            notice=_notice(hub, visit) if _asks(hub, visit, looked) else None,
            unsure=doubt(hub, visit),
        )  # fmt: skip

    @app.api_route("/my/level/{level}/letter", methods=READ, include_in_schema=False)
    def letter(level: int, request: Request) -> Response:
        visit = visiting(hub, request)
        if not 0 < level <= shown.TOP:
            raise NotFound("there is no such message", "choose a level from 1 to 5")
        made = _letter(hub, visit, level)
        if made is None or made.mail is None:
            raise NotFound("there is no message at this level", "choose another level")
        return HTMLResponse(inbox.part(made.mail, "html"), headers=inbox.FRAME)

    @app.post(HERE, include_in_schema=False)
    def choose(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        visit, form = submitted(hub, request, raw)
        level = _number(form.get("level", ""))
        before = in_force(hub, visit)
        asks, shown = _asks(hub, visit, level), None
        if asks:
            shown = _notice(hub, visit)
            visit.require_grant()
        language = shown.language if shown is not None else visit.language
        prepared = preferences.choose_level(
            hub.ws.desk, visit.person, level, form.get("notice", ""), visit.actor,
            visit.given_by, language,
        )  # fmt: skip
        n = prepared[-1].n if prepared else 0
        return finished(visit, HERE, _said(visit, level, before, n))

    @app.post(AGAIN, include_in_schema=False)
    def again(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        """Lead back to the level somebody stepped down from: to its notice and its button."""
        _, form = submitted(hub, request, raw)
        return RedirectResponse(f"{HERE}?at={_number(form.get('level', ''))}", 303)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 <= int(text[:3]) <= shown.TOP:
        raise InvalidInput("there is no such level", "choose one from 0 to 5")
    return int(text)


def _asks(hub: Hub, visit: Visit, level: int) -> bool:
    """Tell whether choosing a level is an agreement, which leads over its notice."""
    with hub.ws.store.look() as view:
        house, now = hub.ws.desk.house(view), view.now
    return preferences.level_asks(visit.record, house, now, level)


@dataclass(frozen=True, slots=True)
class Notice:
    """The notice of levels in force, as it stands beside the button; `language` is the text's."""

    label: str
    title: str
    language: str
    body: Markup
    href: str


def _notice(hub: Hub, visit: Visit) -> Notice | None:
    try:
        found = notices.require_notice(hub, consent.PERSONALISE, visit.language)
    except NotFound:
        return None
    body = found.html.replace("<h1", "<h3").replace("</h1>", "</h3>")  # the page has its own
    return Notice(
        found.label,
        found.title,
        found.language,
        Markup(body),  # noqa: S704 - our own renderer escaped every word of it
        f"/notices/{found.name}/{found.version}",
    )


def _said(visit: Visit, level: int, before: int, n: int) -> Done:
    if not n:
        return Done(visit.gettext("You are at level %(level)s already.", level=level))
    text = visit.gettext(
        "You are at level %(level)s now. The very next message follows it.", level=level
    )
    may_undo = before >= 0 and (before < level or visit.may_grant)
    back = (HERE if before < level else AGAIN, {"level": str(before)})
    return Done(text, n, back if may_undo else None)


_OPEN: Final = frozenset({"given", "soft", "implied"})


def in_force(hub: Hub, visit: Visit) -> int:
    """Return the level in force: as chosen, and no higher than what still stands.

    Without a choice it is what messages are made at now, as the person's own choices page says.
    """
    with hub.ws.store.look() as view:
        house = hub.ws.desk.house(view)
        told = preferences.matrix(hub.ws.desk, view, visit.person)
        ground = any(
            cell.state in _OPEN
            for row in told.rows
            if row.purpose.kind is PurposeKind.MARKETING
            for cell in row.cells
        )
        return consent.level(visit.record, house, view.now, ground=ground)


def _step(hub: Hub, visit: Visit, level: int, now: int) -> Step:
    with hub.ws.store.look() as view:
        levels = hub.ws.desk.house(view).levels
    opens = frozenset[str]().union(*levels[: level + 1])
    title, about = said.LEVELS[level]
    return Step(
        level,
        visit.gettext(title),
        visit.gettext(about),
        said.uses(visit.tongue, opens),
        level == now,
    )


def _letter(hub: Hub, visit: Visit, level: int) -> Any:  # noqa: ANN401 - None or what `shown` made
    if level == 0:
        return None
    try:
        chosen, made = shown.at_levels(hub, visit.person, lambda _choice: [level], visit.eyes)
    except NotFound:
        return None
    return made[0] if made and not chosen.refusal else None


UNREACHED = N_("No marketing message may be sent to you now, at any level.")
