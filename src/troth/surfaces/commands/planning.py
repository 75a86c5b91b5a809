"""A campaign's life on the command line: plan, submit, approve, schedule, pause, stop, list."""

from collections.abc import Callable
from typing import Any

from troth import app
from troth.capabilities import outreach
from troth.capabilities.outreach import plans, steps, waves
from troth.errors import InvalidInput, NotFound
from troth.ports import View
from troth.surfaces.commands.answer import Answer, columns, counted
from troth.surfaces.commands.call import Call, plain_name, read_instant, refused
from troth.surfaces.words import catalogue, spoken
from troth.terms import Actor, Refusal, zulu

STATES = ("ready", "leased", "handed", "failed", "unknown", "withheld")
HOUR = 60
SAID = {
    plans.Stage.DRAFTED: "a draft; submit it next",
    plans.Stage.SUBMITTED: "waits for a second person to approve it",
    plans.Stage.APPROVED: "approved; schedule or send it next",
    plans.Stage.RETURNED: "given back to its writers",
    plans.Stage.SCHEDULED: "scheduled",
    plans.Stage.RUNNING: "running",
    plans.Stage.PAUSED: "paused; nothing leaves until it is resumed",
    plans.Stage.STOPPED: "stopped for good",
    plans.Stage.FINISHED: "finished",
}


def read_when(start: str, local_time: str, window_hours: int) -> plans.When:
    """Read when a campaign goes: at once, at one instant, or at each reader's own local time.

    Raises:
        InvalidInput: Both times are given, or one does not read.
    """
    minutes = window_hours * HOUR or plans.WINDOW
    if start and local_time:
        raise InvalidInput("--start and --local-time are two times", "give one of them")
    if start:
        return plans.When("instant", zulu(read_instant(start, "--start")), minutes)
    return plans.When("local" if local_time else "now", local_time, minutes)


def plan(call: Call, asked: app.Asked) -> Answer:
    """Write a plan, or change one; an approval it had is void."""
    with call.opened() as ws:
        done = app.draft_campaign(ws, asked, call.actor(ws))
        ws.sign()
    return _moved(ws, asked.name, done)


def _life(ws: app.Workspace, name: str) -> plans.Life:
    plain_name(name, "the campaign")
    with ws.store.look() as view:
        found = steps.read_life(view, name)
    if found is None:
        raise NotFound("there is no such campaign", "plan it first")
    return found


def submit(call: Call, name: str) -> Answer:
    """Count whom it would reach and ask for approval of exactly that."""
    return _step(call, name, lambda ws, actor: app.submit_campaign(ws, name, actor))


def approve(call: Call, name: str) -> Answer:
    """Approve, as somebody who did not write it."""

    def do(ws: app.Workspace, actor: Actor) -> plans.Life | Refusal:
        return steps.approve(ws.desk, name, _life(ws, name).plan, actor)

    return _step(call, name, do)


def give_back(call: Call, name: str, reason: str) -> Answer:
    """Return it to its writers with a reason."""
    return _step(call, name, lambda ws, who: steps.give_back(ws.desk, name, reason, who))


def schedule(call: Call, name: str) -> Answer:
    """Put it on the calendar; `troth worker` starts it when it is due."""
    return _step(call, name, lambda ws, actor: steps.schedule(ws.desk, name, actor))


def pause(call: Call, name: str) -> Answer:
    """Hold it: at most the one message in flight still leaves."""
    return _step(call, name, _moving(name, plans.Step.PAUSED))


def resume(call: Call, name: str) -> Answer:
    """Let a paused campaign go on; nobody is mailed twice."""
    return _step(call, name, _moving(name, plans.Step.RESUMED))


def stop(call: Call, name: str) -> Answer:
    """Stop it for good; what was booked and has not left never leaves."""
    with call.opened() as ws:
        _life(ws, name)
        done = steps.move(ws.desk, name, plans.Step.STOPPED, call.actor(ws))
        if not isinstance(done, Refusal):
            app.Sending(ws).wind_down(name)
        ws.sign()
        return _moved(ws, name, done)


def _moving(name: str, step: plans.Step) -> Callable[..., plans.Life | Refusal]:
    return lambda ws, actor: steps.move(ws.desk, name, step, actor)


def _step(
    call: Call, name: str, do: Callable[[app.Workspace, Actor], plans.Life | Refusal]
) -> Answer:
    with call.opened() as ws:
        _life(ws, name)
        done = do(ws, call.actor(ws))
        ws.sign()
        return _moved(ws, name, done)


def _moved(ws: app.Workspace, name: str, done: plans.Life | Refusal) -> Answer:
    if isinstance(done, Refusal):
        return refused(done, "Not done; the attempt is recorded.")
    return Answer(life_data(name, done), life_lines(name, done, ws.settings.zone))


def life_data(name: str, life: plans.Life) -> dict[str, Any]:
    """Return where a campaign stands as programs read it."""
    return {
        "campaign": name,
        "stage": str(life.stage),
        "version": life.version,
        "plan": life.plan,
        "reachable": life.count,
        "approved": life.stands,
        "due": zulu(life.due) if life.due else None,
        "note": life.note,
    }


def life_lines(name: str, life: plans.Life, zone: str) -> list[str]:
    """Say where a campaign stands."""
    lines = [f"{name}: {SAID[life.stage]}."]
    if life.due and life.stage is plans.Stage.SCHEDULED:
        lines.append(f"It starts {spoken(life.due, zone)}, by each reader's own clock.")
    if life.note:
        lines.append(f"Note: {life.note}")
    return lines


def listing(call: Call) -> Answer:
    """List every campaign with its stage."""
    with call.opened() as ws:
        with ws.store.look() as view:
            held = steps.lives(view)
        zone = ws.settings.zone
    rows = [(n, str(x.stage), spoken(x.since, zone)) for n, x in sorted(held.items())]
    data = {"campaigns": [life_data(name, life) for name, life in sorted(held.items())]}
    return Answer(data, columns(rows) if rows else ["No campaign was planned yet."])


def status(call: Call, name: str) -> Answer:
    """Say where a campaign stands, how many were decided on, and where its messages are."""
    plain_name(name, "the campaign")
    with call.opened() as ws:
        decided = app.decided(ws, name)
        with ws.store.look() as view:
            life = steps.read_life(view, name)
            messages = message_counts(view, name)
            now = waves.progress(view, name)
        zone = ws.settings.zone
    data: dict[str, Any] = {"campaign": name, "decided": decided, "messages": messages}
    lines = life_lines(name, life, zone) if life else []
    if life:
        data |= life_data(name, life) | {
            "waiting": now.waiting,
            "candidates": now.tally.candidates,
            "held_out": now.tally.held_out,
            "refused": now.tally.refused,
            "withheld": now.tally.withheld,
        }
    lines.append(f"{decided:,} people were decided on in {name}.")
    lines += ["Its messages:", *counted(messages)]
    if now.tally.refused:
        words = catalogue()
        titles = {words.reason(code).title: n for code, n in now.tally.refused.items()}
        lines += ["Not reached, each counted once by the first reason:", *counted(titles)]
    return Answer(data, lines)


def message_counts(view: View, name: str) -> dict[str, int]:
    """Count a campaign's messages by state."""
    kind = outreach.job_kind(name)
    return {state: view.jobs(kind, state) for state in STATES}
