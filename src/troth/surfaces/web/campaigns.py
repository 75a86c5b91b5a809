"""Campaigns in the console: the list, the plan, a second person's yes, progress, pause and stop.

Reading changes nothing; every act is a form of the reader's own session and an event before it
takes effect. Nothing is sent from here: what is due is taken up by the worker.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from troth import app as house
from troth.capabilities.outreach import plans, steps, waves
from troth.errors import Conflict, Fault, InvalidInput, NotFound
from troth.ports import View
from troth.surfaces import words
from troth.surfaces.web import chart
from troth.surfaces.web.acting import Session, acting, submitted
from troth.surfaces.web.console import READ, console_page
from troth.surfaces.web.parts import Hub, body_of
from troth.terms import Actor, Instant, PurposeKind, Refusal, Role, from_zulu, instant, zulu

STAFF = (Role.MARKETER, Role.OFFICER)
HOUR = 60
TEST_LEVEL = 3
STAGES: Mapping[plans.Stage, tuple[str, str, str]] = {
    plans.Stage.DRAFTED: ("plain", "Draft", "Submit it for approval"),
    plans.Stage.SUBMITTED: ("now", "Waits for approval", "A second person approves it"),
    plans.Stage.APPROVED: ("good", "Approved", "Send it, or put it on the calendar"),
    plans.Stage.RETURNED: ("bad", "Given back", "Change it and submit it again"),
    plans.Stage.SCHEDULED: ("now", "Scheduled", "It starts by itself"),
    plans.Stage.RUNNING: ("now", "Running", "Watch it, pause it or stop it"),
    plans.Stage.PAUSED: ("bad", "Paused", "Resume it or stop it"),
    plans.Stage.STOPPED: ("bad", "Stopped", "Nothing more leaves"),
    plans.Stage.FINISHED: ("good", "Finished", "See what came of it"),
}
"""Stage → kind of badge, its text, what comes next."""
ACTS = {
    "drafted": "wrote the plan",
    "submitted": "asked for approval",
    "approved": "approved it",
    "returned": "gave it back",
    "scheduled": "put it on the calendar",
    "started": "started it",
    "paused": "paused it",
    "resumed": "let it go on",
    "stopped": "stopped it for good",
    "finished": "finished it",
    "tested": "sent a test",
}


def add_routes(app: FastAPI, hub: Hub) -> None:
    """Add the pages of campaigns and their forms."""
    _add_plan(app, hub)

    @app.api_route("/console/campaigns", methods=READ, include_in_schema=False)
    def listing(request: Request) -> Response:
        session = acting(hub, request, *STAFF)
        rows = _rows(hub)
        return console_page(hub, request, session, "campaigns.html", here="campaigns", rows=rows)

    @app.api_route("/console/campaigns/{name}", methods=READ, include_in_schema=False)
    def one(name: str, request: Request) -> Response:
        return _page(hub, request, acting(hub, request, *STAFF), name)

    @app.post("/console/campaigns/{name}/{act}", include_in_schema=False)
    def move(
        name: str, act: str, request: Request, raw: Annotated[bytes, Depends(body_of)]
    ) -> Response:
        session, form = submitted(hub, request, raw, *STAFF)
        if act not in _DO:
            raise NotFound("there is no such step", "open the campaign and choose one there")
        try:
            done = _DO[act](hub, name, form, session.actor)
        except Conflict as fault:
            return _page(hub, request, session, name, fault)
        if isinstance(done, Refusal):
            return _page(hub, request, session, name, done)
        said = "?done=test" if act == "test" else ""
        return RedirectResponse(f"/console/campaigns/{name}{said}", 303)


def _add_plan(app: FastAPI, hub: Hub) -> None:
    @app.api_route("/console/campaigns/new", methods=READ, include_in_schema=False)
    def new(request: Request) -> Response:
        session = acting(hub, request, Role.MARKETER)
        return _form_page(hub, request, session, dict(_BLANK))

    @app.post("/console/campaigns", include_in_schema=False)
    def write(request: Request, raw: Annotated[bytes, Depends(body_of)]) -> Response:
        session, form = submitted(hub, request, raw, Role.MARKETER)
        told = {**_BLANK, **form}
        try:
            done = house.draft_campaign(hub.ws, _asked(hub, told), session.actor)
        except (InvalidInput, NotFound, Conflict) as fault:
            return _form_page(hub, request, session, told, fault)
        if isinstance(done, Refusal):
            return _page(hub, request, session, told["name"], done)
        return RedirectResponse(f"/console/campaigns/{told['name']}", 303)

    @app.api_route("/console/campaigns/{name}/change", methods=READ, include_in_schema=False)
    def change(name: str, request: Request) -> Response:
        session = acting(hub, request, Role.MARKETER)
        with hub.ws.store.look() as view:
            plan = steps.plan_of(view, name)
        return _form_page(hub, request, session, _told(hub, plan))


Form = Mapping[str, str]
_Do = Callable[[Hub, str, Form, Actor], object]


def _count(hub: Hub, name: str, _form: Form, actor: Actor) -> None:
    with hub.ws.store.look() as view:
        plan = steps.plan_of(view, name)
    house.recount(hub.ws, plan, actor)


def _test(hub: Hub, name: str, _form: Form, actor: Actor) -> Refusal | None:
    """Send the message to whoever asks, with invented words, marked [test]."""
    with hub.ws.store.look() as view:
        template = house.template_of(view, steps.plan_of(view, name).template)
    plain = template.name.removeprefix("template:")
    asked = house.Look(template.data.decode(), plain, actor)
    return house.send_test(hub.ws, asked, TEST_LEVEL, hub.inbox)


def _moves(step: plans.Step) -> _Do:
    return lambda hub, name, _form, actor: steps.move(hub.ws.desk, name, step, actor)


_DO: Mapping[str, _Do] = {
    "count": _count,
    "submit": lambda hub, name, _form, actor: house.submit_campaign(hub.ws, name, actor),
    "approve": lambda hub, name, form, actor: steps.approve(
        hub.ws.desk, name, form.get("seen", ""), actor
    ),
    "return": lambda hub, name, form, actor: steps.give_back(
        hub.ws.desk, name, form.get("reason", ""), actor
    ),
    "schedule": lambda hub, name, _form, actor: steps.schedule(hub.ws.desk, name, actor),
    "test": _test,
    "pause": _moves(plans.Step.PAUSED),
    "resume": _moves(plans.Step.RESUMED),
    "stop": _moves(plans.Step.STOPPED),
}


# The list


def _rows(hub: Hub) -> list[dict[str, Any]]:
    zone = hub.ws.settings.zone
    out = []
    with hub.ws.store.look() as view:
        for name, life in steps.lives(view).items():
            plan = steps.plan_of(view, name)
            kind, said, following = STAGES[life.stage]
            out.append(
                {
                    "name": name, "kind": kind, "said": said, "next": following,
                    "audience": plan.audience.removeprefix("audience:"),
                    "template": plan.template.removeprefix("template:"),
                    "reachable": life.count, "counted": life.stage is not plans.Stage.DRAFTED,
                    "shown": (seen := house.preview_of(view, name)) is None or seen.shown,
                    "when": said_when(plan.when, zone), "since": life.since,
                }
            )  # fmt: skip
    return sorted(out, key=lambda row: -row["since"])


def said_when(when: plans.When, zone: str) -> str:
    """Say when a campaign goes."""
    if when.mode == "local":
        local = datetime.fromisoformat(when.at)
        return f"{local.day} {local:%B %Y, %H:%M}, by each reader's own clock"
    if when.mode == "instant":
        return words.spoken(from_zulu(when.at), zone)
    return "as soon as it is approved and sent"


# The plan's form

_BLANK = {
    "name": "", "audience": "", "template": "", "mode": "now", "day": "", "time": "09:00",
    "window": "48", "holdout": "0", "note": "",
}  # fmt: skip


def _form_page(
    hub: Hub, request: Request, session: Session, told: Form, fault: Fault | None = None
) -> Response:
    with hub.ws.store.look() as view:
        audiences = _newest(view, "audience:")
        templates = _newest(view, "template:")
    return console_page(
        hub, request, session, "campaign_form.html", 400 if fault else 200,
        here="campaigns", told=told, audiences=audiences, templates=templates,
        fault=fault, zone=hub.ws.settings.zone.rpartition("/")[2].replace("_", " "),
        most=plans.HOLDOUT_MAX,
    )  # fmt: skip


def _newest(view: View, prefix: str) -> list[tuple[str, str]]:
    held = {p.name: p.label for p in view.published_all(prefix)}
    return [(label, label.removeprefix(prefix)) for _, label in sorted(held.items())]


def _asked(hub: Hub, told: Form) -> house.Asked:
    if told["name"] == "new":
        raise InvalidInput("this name is taken by a page", "choose another")
    if not told["audience"] or not told["template"]:
        raise InvalidInput("a campaign needs a segment and a message", "choose both")
    when = _when(hub, told)
    share = _whole(told["holdout"], "the holdout")
    names = told["name"], told["audience"], told["template"]
    return house.Asked(*names, when, share, told["note"].strip())


def _when(hub: Hub, told: Form) -> plans.When:
    minutes = _whole(told["window"], "the window") * HOUR
    if told["mode"] == "now":
        return plans.When("now", "", minutes)
    try:
        wall = datetime.fromisoformat(f"{told['day']}T{told['time']}")
    except ValueError:
        raise InvalidInput("day and time do not read", "choose both") from None
    if told["mode"] == "local":
        return plans.When("local", f"{wall:%Y-%m-%dT%H:%M}", minutes)
    at = instant(wall.replace(tzinfo=ZoneInfo(hub.ws.settings.zone)))
    return plans.When("instant", zulu(at), minutes)


def _whole(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):  # noqa: PLR2004 - digits
        raise InvalidInput(f"{what} is no whole number", "write digits")
    return int(text)


def _told(hub: Hub, plan: plans.Plan) -> dict[str, str]:
    """Fill the form with a plan as it stands."""
    when, at = plan.when, None
    if when.mode == "local":
        at = datetime.fromisoformat(when.at)
    elif when.mode == "instant":
        zone = ZoneInfo(hub.ws.settings.zone)
        at = datetime.fromisoformat(when.at).astimezone(zone)
    days = {"day": f"{at:%Y-%m-%d}", "time": f"{at:%H:%M}"} if at else {}
    return {
        **_BLANK, "name": plan.name, "audience": plan.audience, "template": plan.template,
        "mode": when.mode, "window": str(when.window_minutes // HOUR),
        "holdout": str(plan.holdout), "note": plan.note, **days,
    }  # fmt: skip


# One campaign


@dataclass(frozen=True, slots=True)
class _One:
    plan: plans.Plan
    life: plans.Life
    seen: house.Foreseen | None
    progress: waves.Progress
    acts: list[steps.Done]


def _page(
    hub: Hub, request: Request, session: Session, name: str, told: Refusal | Fault | None = None
) -> Response:
    desk = hub.ws.desk
    with hub.ws.store.look() as view:
        life = steps.read_life(view, name)
        if life is None:
            raise NotFound("there is no such campaign", "choose one from the list")
        one = _One(
            steps.plan_of(view, name), life, house.preview_of(view, name),
            waves.progress(view, name), steps.done_so_far(view, name),
        )  # fmt: skip
        caps = desk.house(view).caps.get(PurposeKind.MARKETING)
        purpose = desk.house(view).purposes.get(one.plan.purpose)
        alone = not steps.duty(view).second_person
    hand = desk.scribe.actor(session.actor, desk.scribe.house)
    wrote = plans.same_hand(hand, life.author) or plans.same_hand(hand, life.editor)
    kind, said, following = STAGES[life.stage]
    return console_page(
        hub, request, session, "campaign.html", _status(told),
        here="campaigns", done=request.query_params.get("done", ""),
        name=name, kind=kind, said=said, following=following,
        stage=str(life.stage), life=life, plan=one.plan, mine=wrote and not alone,
        marketer=session.actor.role is Role.MARKETER, problem=_problem(told),
        purpose=purpose.title if purpose else one.plan.purpose, caps=caps,
        when=said_when(one.plan.when, hub.ws.settings.zone),
        hours=one.plan.when.window_minutes // HOUR,
        numbers=_numbers(hub, one), progress=_progress(one), ends=_ends(one),
        acts=_acts(hub, one, hand), over=life.stage in plans.OVER, moving=_moving(one),
        changeable=life.stage in plans.BEFORE_START,
    )  # fmt: skip


def _status(told: Refusal | Fault | None) -> int:
    return 200 if told is None else 403 if isinstance(told, Refusal) else 409


def _problem(told: Refusal | Fault | None) -> dict[str, str] | None:
    if told is None:
        return None
    if isinstance(told, Refusal):
        code = told.first.code
        text = f"{words.why(code)} {words.change(code)} The attempt is recorded."
        return {"title": words.title(code), "text": text}
    title = told.message[:1].upper() + told.message[1:]
    return {"title": title, "text": f"Nothing was done. What helps: {told.remedy}."}


def _numbers(hub: Hub, one: _One) -> dict[str, Any] | None:
    """Lay out the last preview; small counts are kept back, one beside them too."""
    seen = one.seen
    if seen is None:
        return None
    if not seen.shown:
        return {"withheld": True, "at": words.spoken(from_zulu(seen.at), hub.ws.settings.zone)}
    cells = chart.masked(seen.refused)
    shown = [("yes", "May be mailed", seen.reachable, chart.few(seen.reachable))]
    told = [(c.title, c.count) for c in cells if c.count is not None]
    shown += [("no", title, n, words.number(n)) for title, n in told]
    rest = seen.candidates - sum(n for _, _, n, _ in shown)
    if rest > 0:
        shown.append(("other", "Other reasons, kept together", rest, chart.few(rest)))
    widest = max(max((n for _, _, n, _ in shown), default=0), chart.K)
    rows = [
        {"kind": k, "title": t, "text": text, "share": round(100 * max(n, chart.K) / widest, 1)}
        for k, t, n, text in shown
    ]
    return {
        "withheld": False,
        "rows": rows,
        "reachable": chart.few(seen.reachable),
        "candidates": _not_telling(seen.candidates, seen.candidates - seen.reachable),
        "at": words.spoken(from_zulu(seen.at), hub.ws.settings.zone),
    }


def _not_telling(total: int, others: int) -> str:
    """Write a total; in tens where what is left beside the number shown would tell a small one."""
    tens = -(-total // 10) * 10
    return f"at most {words.number(tens)}" if 0 < others < chart.K else chart.few(total)


def _progress(one: _One) -> dict[str, Any] | None:
    if not one.life.begun:
        return None
    now = one.progress
    if not now.tally.queued:
        said = "Choosing whom to ask. Nothing has left yet."
    else:
        said = _how_far(now)
        said += f"; about {_minutes(now.minutes)} to go" if now.minutes and now.done else ""
    return {
        "done": now.done, "total": now.total, "said": said,
        "waiting": 0 if one.life.stage in plans.OVER else now.waiting + now.left,
        "trouble": now.tally.trouble,
    }  # fmt: skip


def _minutes(count: int) -> str:
    return "a minute" if count == 1 else f"{count:,} minutes"


def _moving(one: _One) -> bool:
    """Tell whether the page is another one in a moment, so that it looks again by itself."""
    life, now = one.life, one.progress
    soon = life.stage is plans.Stage.SCHEDULED and one.plan.when.mode == "now"
    return soon or life.stage is plans.Stage.RUNNING or (life.stage in plans.OVER and now.left > 0)


def _how_far(now: waves.Progress) -> str:
    """Say how many are done; where few are held out, in a share that does not tell how many."""
    if 0 < now.tally.held_out < chart.K or now.total < chart.K:
        return f"{100 * now.done // now.total if now.total else 100} per cent of the people done"
    return f"{words.number(now.done)} of {words.number(now.total)} people done"


def _ends(one: _One) -> dict[str, Any] | None:
    """Say what became of everybody so far."""
    if not one.life.begun or not one.progress.tally.queued:
        return None
    now, tally = one.progress, one.progress.tally
    reasons = dict(tally.refused)
    for code, n in tally.withheld.items():
        if code != house.STOPPED:
            reasons[code] = reasons.get(code, 0) + n
    stopped = tally.withheld.get(house.STOPPED, 0)
    return {
        "handed": chart.few(now.ends["handed"]), "failed": chart.few(now.ends["failed"]),
        "unknown": chart.few(now.ends["unknown"]), "held_out": chart.few(tally.held_out),
        "stopped": chart.few(stopped), "reasons": chart.masked(reasons),
    }  # fmt: skip


def _acts(hub: Hub, one: _One, hand: str) -> list[dict[str, str]]:
    names, zone = _names(hub), hub.ws.settings.zone
    return [
        {
            "who": "You" if plans.same_hand(done.hand, hand) else _who(done.hand, names),
            "did": ACTS.get(done.act, done.act),
            "at": words.spoken(done.at, zone),
            "iso": zulu(Instant(done.at)),
            "note": done.note,
        }
        for done in reversed(one.acts)
    ]


def _names(hub: Hub) -> dict[str, str]:
    """Know staff again by the digest under which the house chain names them."""
    scribe = hub.ws.desk.scribe
    known = {"worker": "The worker", "cli": "Somebody at the command line"}
    out = {scribe.actor(Actor(Role.SYSTEM, k), scribe.house): said for k, said in known.items()}
    for role, ids in hub.ws.settings.staff.items():
        for each in ids:
            name = each.partition("@")[0].capitalize()
            out[scribe.actor(Actor(Role(role), each), scribe.house)] = name
    return out


def _who(hand: str, names: Mapping[str, str]) -> str:
    role = hand.partition("/")[0]
    return names.get(hand) or f"Somebody ({words.ROLES.get(role, role).lower()})"
