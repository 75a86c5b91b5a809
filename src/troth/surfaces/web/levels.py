"""One message for one member of the cast, at every level: never more than the person agreed to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from troth import app as house
from troth.app import owndata
from troth.capabilities import insight, outreach
from troth.capabilities.outreach import plans, steps
from troth.engines import mail, ranking
from troth.errors import NotFound
from troth.kernel import gate
from troth.kernel.desk import SYSTEM
from troth.ports import View
from troth.surfaces import words
from troth.surfaces.web import inbox
from troth.surfaces.web.decisions import narrowed
from troth.surfaces.web.parts import Hub, page
from troth.terms import Channel, PersonId, Published, ReasonCode, Refusal

READ = ["GET", "HEAD"]
MEMBER = "cast-adult"
TEMPLATE, PURPOSE = "template:winback", "offers"
TOP = len(words.LEVELS) - 1
FIELDS = ("contact.email", "name.given", "interests", "purchases/")
NO_TOKEN = "0" * 32


@dataclass(frozen=True, slots=True)
class Shown:
    """The message at one level.

    Attributes:
        used: Categories the message may use at this level.
        missing: Categories of this level the person did not agree to.
        mail: The message; None where there is none at all.
    """

    level: int
    used: tuple[str, ...]
    missing: tuple[str, ...]
    mail: EmailMessage | None

    @property
    def title(self) -> str:
        """The level's name."""
        return words.LEVELS[self.level][0]

    @property
    def about(self) -> str:
        """What one gets at this level."""
        return words.LEVELS[self.level][1]

    @property
    def subject(self) -> str:
        """The message's subject."""
        return str(self.mail["subject"]) if self.mail else ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A person's choice: the level in force, and the refusal where nothing may be sent at all."""

    level: int
    refusal: Refusal | None


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the slider and the message of each level by itself."""

    @app.api_route("/levels", methods=READ, include_in_schema=False)
    def slider(level: int | None = None) -> Response:
        person = member(hub)
        if person is None:
            return page(hub, "levels.html", here="levels", state="empty", level=None)
        if level is not None and not 0 <= level <= TOP:
            raise NotFound("there is no such level", "levels go from 0 to 5")
        chosen, shown = at_levels(hub, person, lambda choice: _beside(choice, level))
        return page(
            hub,
            "levels.html",
            here="levels",
            state="refused" if chosen.refusal else "shown",
            reasons=_why(chosen.refusal),
            level=level,
            chosen=chosen.level,
            names=words.LEVELS,
            compared=shown,
        )

    @app.api_route("/levels/{level}/html", methods=READ, include_in_schema=False)
    def framed(level: int) -> Response:
        person = member(hub)
        if person is None or not 0 <= level <= TOP:
            raise NotFound("there is no such message", "choose a level from 1 to 5")
        _, (shown,) = at_levels(hub, person, lambda _: [level])
        if shown.mail is None:
            raise NotFound("there is no message at this level", "choose another level")
        return HTMLResponse(inbox.part(shown.mail, "html"), headers=inbox.FRAME)


def _why(refusal: Refusal | None) -> list[tuple[str, str, str]]:
    reasons = refusal.reasons if refusal else ()
    return [(words.title(r.code), words.why(r.code), r.rule) for r in reasons]


def _beside(chosen: int, asked: int | None) -> list[int]:
    """Which levels stand side by side: the one asked for and the choice, or three without."""
    if asked is not None:
        return sorted({asked, chosen})
    return sorted({1, 2 if chosen == 3 else 3, chosen})  # noqa: PLR2004 - a level, not a limit


def member(hub: Hub) -> PersonId | None:
    """Find the member of the cast whose slider is shown."""
    with hub.ws.store.look() as view:
        return hub.ws.desk.find(view, MEMBER)


def at_levels(
    hub: Hub,
    person: PersonId,
    wanted: Callable[[int], Sequence[int]],
    eyes: owndata.Eyes | None = None,
) -> tuple[Choice, list[Shown]]:
    """Render the message at some levels, as it would be sent now; booked as a reading first.

    Args:
        hub: The workspace behind the pages.
        person: Whose message.
        wanted: Takes the level in force; returns the levels to render.
        eyes: The visit of the person, or of whoever acts for them; what the hour or a pause
            alone keeps back is shown to them all the same.

    Raises:
        NotFound: No template is published.
        Shredded: The person was erased.
    """
    opened = tuple(sorted(_opened(hub, person)))
    if eyes is None:
        hub.note_reading(person, "personalise", opened)
    else:
        owndata.permits(hub.ws, eyes, frozenset(opened))
    with hub.ws.store.look() as view:
        renderer = _renderer(hub, view)
        judged = outreach.judge(hub.ws.desk, view, renderer.campaign, [person], SYSTEM)[0]
        refusal = judged.answer if isinstance(judged.answer, Refusal) else None
        if eyes is not None and refusal and all(r.code in TIMED for r in refusal.reasons):
            refusal = None
        hub.ws.desk.vault.keys.load([person], view.now)
        shown = [_at(hub, renderer, view, judged, k, eyes) for k in wanted(judged.level)]
    return Choice(judged.level, refusal), shown


TIMED = frozenset({ReasonCode.QUIET_HOURS, ReasonCode.FREQUENCY_CAP, ReasonCode.REGISTRY_STALE})
"""What keeps a message back for a while only, whatever it says."""


def _opened(hub: Hub, person: PersonId) -> frozenset[str]:
    with hub.ws.store.look() as view:
        campaign = _renderer(hub, view).campaign
        judged = outreach.judge(hub.ws.desk, view, campaign, [person], SYSTEM)
    return judged[0].request.categories if judged else frozenset()


def _next(view: View) -> tuple[Published, str]:
    """Return the message of the next campaign by e-mail, and its purpose; else the first there is.

    Raises:
        NotFound: No message is published.
    """
    lives = sorted(steps.lives(view).items(), key=lambda item: (item[1].due, item[0]))
    for name, life in lives:
        if life.stage in _COMING:
            plan = steps.plan_of(view, name)
            if plan.channel is Channel.EMAIL:
                return house.template_of(view, plan.template), plan.purpose
    template = view.published(TEMPLATE)
    if template is None:
        raise NotFound("no message is published yet", "run: troth apply")
    return template, PURPOSE


_COMING = frozenset({plans.Stage.APPROVED, plans.Stage.SCHEDULED, plans.Stage.RUNNING})


def _renderer(hub: Hub, view: View) -> outreach.Renderer:
    template, purpose = _next(view)
    kept: outreach.Renderer | None = hub.kept.get(template.label + purpose)
    if kept is None:
        campaign = outreach.Campaign("levels", purpose, "00" * 32, template, hub.ws.sender())
        shelf = outreach.Shelf(hub.names, ranking.Alike(0, {}))
        kept = outreach.Renderer(hub.ws.desk, campaign, shelf, ())
        hub.kept[template.label + purpose] = kept
    return kept


def _at(  # noqa: PLR0913 - one message and who looks at it
    hub: Hub,
    renderer: outreach.Renderer,
    view: View,
    judged: outreach.Judged,
    k: int,
    eyes: owndata.Eyes | None,
) -> Shown:
    opens = frozenset[str]().union(*judged.facts.house.levels[: k + 1])
    agreed = judged.request.categories & opens
    used, missing = tuple(sorted(agreed)), tuple(sorted(opens - agreed))
    request = narrowed(judged.request, agreed)
    answer = gate.decide(request, judged.facts)
    late = isinstance(answer, Refusal) and all(r.code in TIMED for r in answer.reasons)
    if eyes is not None and late:
        answer = owndata.look(hub.ws, view, eyes, agreed | {"contact.email"})
    if k == 0 or isinstance(answer, Refusal):
        return Shown(k, used if k else (), missing, None)
    person = judged.gathered.person
    rows = view.sealed([person], FIELDS).get(person, [])
    told = outreach.Judged(judged.gathered, request, judged.facts, answer, k)
    draft = _comparing(renderer, view, answer).draft(view, told, rows, "0" * 32, NO_TOKEN)
    return Shown(k, used, missing, _read(draft))


def _comparing(renderer: outreach.Renderer, view: View, permit: gate.Permit) -> outreach.Renderer:
    """Learn who shops alike, once, if the message may use it."""
    if "cohort.compare" in permit.categories and not renderer.shelf.alike.people:
        names = renderer.shelf.names
        alike = insight.learn_alike(renderer.desk, view, SYSTEM, names)
        renderer.shelf = outreach.Shelf(names, alike)
    return renderer


def _read(draft: mail.Draft) -> EmailMessage:
    head = "".join(f"{name}: {value}\r\n" for name, value in draft.headers)
    return inbox.parse(head.encode() + b"\r\n" + draft.body)
