"""Which messages, how often, when: one page where a no is one click and a yes shows its notice.

Everything a person may decide stands here with its state in words, why, since and until. Ending
something is one form; agreeing leads over the page that shows the notice it is bound to. Wishes
(pause, frequency, quiet hours) narrow what was agreed to and never widen it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from troth.app import owndata
from troth.capabilities import preferences
from troth.capabilities.people import entry
from troth.engines import signals
from troth.errors import InvalidInput, NotFound
from troth.kernel import wishes
from troth.kernel.calendars import day_ends
from troth.kernel.consent import months_on
from troth.surfaces.portal import notices, said
from troth.surfaces.portal.catalogue import LANGUAGES, N_
from troth.surfaces.portal.frame import Done, Visit, finished, portal_page, submitted, visiting
from troth.surfaces.portal.overview import doubt
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import DAY, SECOND, Channel, Instant, Prepared, PurposeKind, Wishes

READ = ["GET", "HEAD"]
HERE: Final = "/my/preferences"
TOPICS: Final = "/my/preferences/topics"
UNDO: Final = "/my/preferences/undo"
STATES: Final[Mapping[str, str]] = {
    "given": N_("You said yes"),
    "soft": N_("On, because you are a customer and did not say no"),
    "implied": N_("On, because of your recent dealings with us"),
    "refused": N_("You said no"),
    "withdrawn": N_("You stopped this"),
    "objected": N_("You objected to this"),
    "expired": N_("Your yes has ended by itself"),
    "suppressed": N_("Your address is on our stop list"),
    "unsure": N_("We could not make sure that you still want this"),
    "unknown": N_("You were not asked, or did not answer"),
}
WHO: Final[Mapping[str, str]] = {
    "competent_person": N_("somebody who decides for you"),
    "authorised_agent": N_("somebody who acts for you"),
    "contact": N_("your contact person"),
    "staff": N_("our staff, as you told them"),
    "signal": N_("your browser's opt-out signal"),
    "import": N_("a list of the shop"),
}
PAUSES: Final = (
    ("2w", N_("2 weeks")), ("1m", N_("1 month")), ("3m", N_("3 months")), ("6m", N_("6 months")),
)  # fmt: skip
OFTEN: Final = (1, 2, 4)
_MONTHS = {"1m": 1, "3m": 3, "6m": 6}
_RAW = Annotated[bytes, Depends(body_of)]


@dataclass(frozen=True, slots=True)
class Switch:
    """One purpose on one channel, in words.

    Attributes:
        way: "by e-mail", "" where the purpose needs no channel.
        facts: Label and text: why, since, until, who said so.
        notice: Address of the notice that was shown, "" none.
        answers: `yes` and `no` of equal weight, or only the one that would change something.
    """

    purpose: str
    channel: str
    way: str
    state: str
    good: bool
    facts: Sequence[tuple[str, str]]
    notice: str
    answers: Sequence[str]
    reached: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of message and its switches."""

    title: str
    switches: Sequence[Switch]


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the page, what its forms do, and what takes each of it back."""
    _looks(app, hub)
    _answers(app, hub)
    _steers(app, hub)
    _topics(app, hub)


def _looks(app: FastAPI, hub: Hub) -> None:
    @app.api_route(HERE, methods=READ, include_in_schema=False)
    def overview(request: Request) -> Response:
        visit = visiting(hub, request)
        _honour(hub, visit, request)
        owndata.note(hub.ws, visit.eyes, "preferences")
        with hub.ws.store.look() as view:
            found = preferences.matrix(hub.ws.desk, view, visit.person)
            house = hub.ws.desk.house(view)
        cap = house.caps.get(PurposeKind.MARKETING)
        return portal_page(
            hub, request, visit, "my_preferences.html", "preferences",
            kinds=[_kind(visit, row) for row in _listed(found)],
            services=[_service(visit, row) for row in found.services], unsure=doubt(hub, visit),
            found=found, cap=cap[0] if cap else 0, pauses=PAUSES, often=OFTEN,
            quiet=_quiet(found.wished), languages_of=list(LANGUAGES.items()),
        )  # fmt: skip

    @app.api_route("/my/preferences/agree", methods=READ, include_in_schema=False)
    def read(request: Request, purpose: str = "", channel: str = "") -> Response:
        visit = visiting(hub, request)
        title = _title(hub, purpose, channel)
        found = notices.require_notice(hub, purpose, visit.language)
        return portal_page(
            hub, request, visit, "my_agree.html", "preferences", title=title,
            way=_way(visit, channel), texts=[_text(found)], purpose=purpose, channel=channel, n=0,
        )  # fmt: skip


def _answers(app: FastAPI, hub: Hub) -> None:
    @app.post("/my/stop", include_in_schema=False)
    def everything(request: Request, raw: _RAW) -> Response:
        visit, _ = submitted(hub, request, raw)
        booked = preferences.stop_everything(
            hub.ws.desk, visit.person, visit.actor, visit.given_by
        )
        return _done(hub, visit, booked, N_(
            "All marketing has stopped. Messages about what you order or ask still come."
        ), N_("All marketing had stopped already. It stays so."))  # fmt: skip

    @app.post("/my/preferences/no", include_in_schema=False)
    def no(request: Request, raw: _RAW) -> Response:
        visit, form = submitted(hub, request, raw)
        purpose, channel = form.get("purpose", ""), form.get("channel", "")
        booked = preferences.decline(
            hub.ws.desk, visit.person, purpose, channel, visit.actor, visit.given_by
        )
        return _done(hub, visit, booked, N_("Stopped. The very next message follows it."))

    @app.post("/my/preferences/agree", include_in_schema=False)
    def agree(request: Request, raw: _RAW) -> Response:
        visit, form = submitted(hub, request, raw)
        channel = form.get("channel", "")
        proof = f"form:preferences:{hub.ws.desk.randomness.take(8).hex()}"
        yes = preferences.Yes(
            form.get("purpose", ""), (channel,) if channel else (), form.get("notice", ""),
            proof, visit.language, confirmed=_confirmed(hub, visit, channel),
        )  # fmt: skip
        booked = preferences.agree(hub.ws.desk, visit.person, yes, visit.actor, visit.given_by)
        return _done(hub, visit, booked, N_("You said yes. You can stop it here in one step."))

    @app.post(UNDO, include_in_schema=False)
    def undo(request: Request, raw: _RAW) -> Response:
        visit, form = submitted(hub, request, raw)
        n, shown = _number(form.get("n", "")), form.get("notices", "")
        with hub.ws.store.look() as view:
            back = preferences.inverse(hub.ws.desk, view, visit.person, n, visit.actor)
        if back.asks and not shown:
            found = [notices.require_notice(hub, each, visit.language) for each in back.asks]
            return portal_page(
                hub, request, visit, "my_agree.html", "preferences", title="", way="",
                texts=[_text(each) for each in dict.fromkeys(found)], purpose="", channel="", n=n,
            )  # fmt: skip
        booked = preferences.undo(
            hub.ws.desk, visit.person, n, visit.actor, shown.split(), visit.given_by,
            visit.language,
        )  # fmt: skip
        last = booked[-1].n if booked else 0
        return finished(visit, HERE, Done(visit.gettext("It is as it was before."), last))


def _confirmed(hub: Hub, visit: Visit, channel: str) -> bool:
    """Tell whether this visit proved the very address a yes is for; of nobody they act for."""
    if visit.relation != "self" or visit.method not in {"link", "code"} or not channel:
        return False
    with hub.ws.store.look() as view:
        return channel in set(Channel) and bool(entry.proven(view, visit.person, Channel(channel)))


def _steers(app: FastAPI, hub: Hub) -> None:
    @app.post("/my/preferences/wishes", include_in_schema=False)
    def wish(request: Request, raw: _RAW) -> Response:
        visit, form = submitted(hub, request, raw)
        with hub.ws.store.look() as view:
            now = view.now
        held = visit.record.wishes or wishes.NOTHING
        wished, text = _wished(held, form, visit, now)
        booked = preferences.set_preferences(
            hub.ws.desk, visit.person, wished, visit.actor, visit.given_by
        )
        return _done(hub, visit, booked, text, N_("That is how it is already."))

    @app.post("/my/preferences/language", include_in_schema=False)
    def speak(request: Request, raw: _RAW) -> Response:
        visit, form = submitted(hub, request, raw)
        chosen = form.get("language", "")
        if chosen not in LANGUAGES:
            raise InvalidInput("we do not write in this language", "choose one of the list")
        booked = preferences.set_language(hub.ws.desk, visit.person, chosen, visit.actor)
        text = N_("We write to you in this language from the next message on.")
        return _done(hub, visit, booked, text, N_("That is how it is already."))


def _topics(app: FastAPI, hub: Hub) -> None:
    @app.api_route(TOPICS, methods=READ, include_in_schema=False)
    def topics(request: Request) -> Response:
        visit = visiting(hub, request)
        return portal_page(
            hub, request, visit, "my_topics.html", "preferences", topics=_told(hub, visit)
        )

    @app.post(TOPICS, include_in_schema=False)
    def tell(request: Request, raw: _RAW) -> Response:
        visit, form = submitted(hub, request, raw)
        before = _told(hub, visit)
        kept = [text for name, text in sorted(form.items()) if name.startswith("keep_")]
        after = [*kept, *form.get("more", "").replace(",", ";").split(";")]
        booked = preferences.set_interests(hub.ws.desk, visit.person, after, visit.actor)
        fields = {f"keep_{place:02}": text for place, text in enumerate(before)}
        text = visit.gettext(
            "Your topics are as you told us. Messages follow them at level 2 or more."
        )
        return finished(visit, TOPICS, Done(text, booked[-1].n, (TOPICS, fields)))


def _told(hub: Hub, visit: Visit) -> list[str]:
    found = owndata.values(hub.ws, visit.eyes, ("interests",))
    return [each for each in found.get("interests", "").split(";") if each]


def _honour(hub: Hub, visit: Visit, request: Request) -> None:
    """Honour a browser's opt-out of whoever is in, for themselves, once a day."""
    if visit.relation == "self" and signals.gpc(request.headers.items()):
        preferences.honour_signal(hub.ws.desk, visit.person)


def _done(
    hub: Hub, visit: Visit, booked: Sequence[Prepared], text: str, nothing: str = ""
) -> Response:
    """Say what was done, with its receipt and what takes it back."""
    act = next((e for e in reversed(booked) if e.payload.type in _ACTS), None)
    if act is None:
        return finished(visit, HERE, Done(visit.gettext(nothing or text)))
    return finished(visit, HERE, Done(visit.gettext(text), act.n, _back(hub, visit, act.n)))


_ACTS = frozenset(
    {"preference.set", "person.facts", "consent.given", "consent.withdrawn", "consent.refused"}
)


def _back(hub: Hub, visit: Visit, n: int) -> tuple[str, Mapping[str, str]] | None:
    """Return the form that takes an act back, where there is one and this visit may."""
    with suppress(InvalidInput, NotFound), hub.ws.store.look() as view:
        back = preferences.inverse(hub.ws.desk, view, visit.person, n, visit.actor)
        if visit.may_grant or not back.asks:
            return UNDO, {"n": str(n)}
    return None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:  # noqa: PLR2004
        raise NotFound("there is no such act of yours", "look at your receipts")
    return int(text)


# --- wishes --------------------------------------------------------------------------------------


def _wished(
    held: Wishes, form: Mapping[str, str], visit: Visit, now: Instant
) -> tuple[Wishes, str]:
    """Read one form into the whole state, and what is said when it is done.

    Raises:
        InvalidInput: It asks for nothing this page has.
    """
    if "pause" in form:
        until = _until(form, visit, now)
        over = N_("The pause is over. You get what you agreed to, as before.")
        text = N_("Paused. No marketing message comes before then.") if until else over
        return replace(held, pause_until=until), text
    if "most" in form:
        chosen = {"none": -1} | {str(each): each for each in OFTEN}
        if form["most"] not in chosen:
            raise InvalidInput("that many messages cannot be chosen", "choose one of the list")
        text = N_("Done. The very next message counts against it.")
        return replace(held, most=chosen[form["most"]]), text
    if "quiet_from" in form:
        first = wishes.minute_of(form["quiet_from"][:5])
        last = wishes.minute_of(form.get("quiet_to", "")[:5])
        return replace(held, quiet=(first, last)), N_("No marketing message comes in these hours.")
    if form.get("quiet") == "none":
        return replace(held, quiet=None), N_("You have no quiet hours of your own any more.")
    raise InvalidInput("the form asks for nothing", "choose one of the page")


def _until(form: Mapping[str, str], visit: Visit, now: Instant) -> int:
    """Return when a chosen pause ends; 0 for its end now."""
    chosen, second = form["pause"], Instant(now // SECOND * SECOND)
    if chosen == "end":
        return 0
    if chosen == "2w":
        return second + 14 * DAY
    if chosen in _MONTHS:
        return months_on(second, _MONTHS[chosen])
    try:
        return day_ends(date.fromisoformat(form.get("until", "")), visit.tongue.zone)
    except (ValueError, OverflowError):
        raise InvalidInput("this is no day", "choose one from the calendar") from None


def _quiet(wished: Wishes) -> tuple[str, str] | None:
    held = wished.quiet
    return (wishes.clock(held[0]), wishes.clock(held[1])) if held else None


# --- in words ------------------------------------------------------------------------------------


def _listed(found: preferences.Matrix) -> list[preferences.Row]:
    """Return what a person can decide on: messages first; a mere heading over others is none."""
    rows = [r for r in found.rows if r.notice or any(cell.open for cell in r.cells)]
    return sorted(rows, key=lambda row: not row.purpose.channels)


def _kind(visit: Visit, row: preferences.Row) -> Kind:
    return Kind(
        visit.gettext(row.purpose.title), [_switch(visit, row, cell) for cell in row.cells]
    )


def _switch(visit: Visit, row: preferences.Row, cell: preferences.Cell) -> Switch:
    t = visit.gettext
    facts = [
        (t("Why we may"), t(said.GROUNDS[cell.ground]) if cell.ground else ""),
        (t("Since"), visit.day(Instant(cell.since)) if cell.since else ""),
        (t("Until"), visit.day(Instant(cell.until)) if cell.until else _lasting(visit, cell)),
        (t("Said by"), t(WHO[cell.by]) if cell.by in WHO else ""),
        (t("Said about"), t("all marketing") if cell.inherited else ""),
    ]
    may_yes = bool(row.notice) and cell.reached and visit.may_grant
    answers = ["no"] if cell.open else ["yes"] if may_yes else []
    if cell.state in ("unknown", "expired", "unsure"):
        answers = [*(["yes"] if may_yes else []), "no"]
    name, _, version = cell.notice.partition("@")
    return Switch(
        row.purpose.name, cell.channel, _way(visit, cell.channel), t(STATES[cell.state]),
        cell.open, [f for f in facts if f[1]], f"/notices/{name}/{version}" if name else "",
        answers, cell.reached,
    )  # fmt: skip


def _lasting(visit: Visit, cell: preferences.Cell) -> str:
    return visit.gettext("until you stop it") if cell.open else ""


def _service(visit: Visit, row: preferences.Row) -> Kind:
    ways = [cell.channel for cell in row.cells if cell.reached]
    return Kind(visit.tongue.joined([_way(visit, each) for each in ways]), ())


def _way(visit: Visit, channel: str) -> str:
    return visit.gettext(said.CHANNELS[channel]) if channel in said.CHANNELS else ""


def _title(hub: Hub, purpose: str, channel: str) -> str:
    """Return a purpose's title.

    Raises:
        NotFound: There is no such kind of message, or not on this channel.
    """
    with hub.ws.store.look() as view:
        found = hub.ws.desk.house(view).purposes.get(purpose)
    marketing = found is not None and found.kind is PurposeKind.MARKETING
    if found is None or not marketing or (channel and channel not in found.channels):
        raise NotFound("there is no such kind of message", "choose one of the list")
    return found.title


def _text(found: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a notice as it is shown
    body = found.html.replace("<h1", "<h2").replace("</h1>", "</h2>")  # the page has its own
    return {
        "label": found.label,
        "title": found.title,
        "body": Markup(body),  # noqa: S704 - our own renderer escaped every word of it
        "href": f"/notices/{found.name}/{found.version}",
    }
