"""How personal may it be: the levels, what each uses, and the person's real next message at it.

The message is made for the person from what they agreed to, by the renderer that makes the sent
ones; looking changes nothing. Choosing acts at once: up is a consent with its notice beside it,
down a withdrawal; both have a receipt and an undo.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from troth.capabilities import preferences
from troth.errors import InvalidInput, NotFound
from troth.kernel import consent
from troth.surfaces.portal import said
from troth.surfaces.portal.catalogue import N_
from troth.surfaces.portal.frame import (
    Done,
    Visit,
    finished,
    portal_page,
    submitted,
    visiting,
)
from troth.surfaces.web import inbox
from troth.surfaces.web import levels as shown
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import GRANTING

READ = ["GET", "HEAD"]
HERE: Final = "/my/level"


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
            letter=_letter(hub, visit, looked), notice=notice_of(hub),
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
        if level > before and not visit.may_grant:
            raise InvalidInput(
                "a competent person agrees for somebody under 18", "ask them to come in"
            )
        notice = form.get("notice", "")
        prepared = preferences.choose_level(
            hub.ws.desk, visit.person, level, notice, visit.actor, visit.given_by, visit.language
        )
        n = prepared[-1].n if prepared else 0
        return finished(visit, HERE, _said(visit, level, before, n, notice_of(hub)))


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 <= int(text[:3]) <= shown.TOP:
        raise InvalidInput("there is no such level", "choose one from 0 to 5")
    return int(text)


def _said(visit: Visit, level: int, before: int, n: int, notice: str) -> Done:
    if not n:
        return Done(visit.gettext("You are at level %(level)s already.", level=level))
    text = visit.gettext(
        "You are at level %(level)s now. The very next message follows it.", level=level
    )
    back: dict[str, str] = {"level": str(before), "notice": notice}
    may_undo = before >= 0 and (before < level or visit.may_grant)
    return Done(text, n, (HERE, back) if may_undo else None)


def in_force(hub: Hub, visit: Visit) -> int:
    """Return the level in force: as chosen, and no higher than what still stands."""
    with hub.ws.store.look() as view:
        house = hub.ws.desk.house(view)
        ground = any(
            consent.resolve(visit.record, p, c, view.now, house.purposes).status in GRANTING
            for p in house.purposes.values()
            if p.kind == "direct_marketing"
            for c in p.channels
        )
        if visit.record.level >= 0:
            return consent.level(visit.record, house, view.now, ground=True)
        return 1 if ground else 0


def notice_of(hub: Hub) -> str:
    """Return the label of the notice in force that speaks of levels; "" where there is none."""
    with hub.ws.store.look() as view:
        return preferences.notice_in_force(view, consent.PERSONALISE)


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
