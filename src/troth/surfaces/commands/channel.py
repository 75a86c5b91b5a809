"""Calls, short messages, push and letters: a campaign of another channel, and its list."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from troth import app
from troth.capabilities.outreach import plans, steps, waves
from troth.errors import Conflict, InvalidInput
from troth.surfaces.commands import planning
from troth.surfaces.commands.answer import Answer, counted
from troth.surfaces.commands.call import Call, plain_name, refused
from troth.surfaces.words import catalogue
from troth.terms import Channel, Refusal

LIST_FILE = "list.csv"


@dataclass(frozen=True, slots=True)
class Asked:
    """A campaign as its command names it; what is left out is called like the campaign."""

    name: str
    channel: str
    text: str = ""
    audience: str = ""


def read_channel(text: str) -> Channel:
    """Read a channel that is not mail.

    Raises:
        InvalidInput: It is none.
    """
    known = [channel.value for channel in Channel if channel is not Channel.EMAIL]
    if text not in known:
        raise InvalidInput("--channel names no channel of texts", f"use {', '.join(known)}")
    return Channel(text)


def plan(call: Call, asked: Asked) -> Answer:
    """Write the plan; it is submitted, approved and sent like any campaign."""
    wanted = app.Asked(
        asked.name,
        plain_name(asked.audience or asked.name, "the audience"),
        plain_name(asked.text or asked.name, "the text"),
        channel=read_channel(asked.channel),
    )
    return planning.plan(call, wanted)


def send(call: Call, name: str, out: str, agreed: Callable[[str], bool]) -> Answer:
    """Start an approved campaign and take it as far as it goes now; safe to repeat.

    Args:
        call: The call.
        name: The campaign.
        out: The file that takes the messages; "" takes the channel's provider.
        agreed: Asks before anything leaves.

    Raises:
        InvalidInput: It is a campaign by mail, or nobody said yes.
        Conflict: It is not approved, or what was approved no longer holds.
        Unavailable: The provider cannot be reached; what was booked waits.
    """
    target = app.Target(Path(out)) if out else None
    with call.opened() as ws:
        done = _sent(call, ws, name, target, agreed)
        if isinstance(done, Refusal):
            return refused(done, "Not sent; the attempt is recorded.")
        return Answer(done, _lines(done))


def listing(call: Call, name: str, out: str, agreed: Callable[[str], bool]) -> Answer:
    """Write who may be called today, each decided right before, with what proves it beside.

    Raises:
        InvalidInput: It is a campaign by mail, or nobody said yes.
        Conflict: It is not approved, or what was approved no longer holds.
        Unavailable: The folder cannot be written.
    """
    folder = Path(out or f"{plain_name(name, 'the campaign')}-list")
    file = folder / LIST_FILE
    with call.opened() as ws:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            raise InvalidInput("the list has no place", "name another folder with --out") from None
        done = _sent(call, ws, name, app.Target(file), agreed)
        if isinstance(done, Refusal):
            return refused(done, "No list was written; the attempt is recorded.")
        proved = app.prove_list(ws, name, file, call.actor(ws))
    data = {**done, "file": str(file), "listed": proved.people, "receipts": proved.receipts}
    lines = [
        f"{file}: {proved.people:,} people, each decided on right before.",
        f"{proved.receipts:,} receipts lie in {folder / 'receipts'}, with their policy.",
        "A row counts until the moment it names; after that, ask again.",
    ]
    return Answer(data, [*lines, *_lines(done)[1:]])


def _sent(
    call: Call,
    ws: app.Workspace,
    name: str,
    target: app.Target | None,
    agreed: Callable[[str], bool],
) -> dict[str, Any] | Refusal:
    plain_name(name, "the campaign")
    actor = call.actor(ws)
    with ws.store.look() as view:
        life, before = steps.read_life(view, name), waves.progress(view, name)
        planned = steps.plan_of(view, name)
        second = steps.duty(view).second_person
    if planned.channel is Channel.EMAIL:
        raise InvalidInput("this campaign goes by mail", "use: troth campaign send")
    no = steps.allowed(ws.desk, planned.purpose, actor, plans.Step.STARTED, name)
    if no is None and (life is None or life.stage in _UNAPPROVED):
        if second:
            no = steps.unapproved(ws.desk, planned.purpose, actor, name)
        else:
            raise Conflict("nobody approved it", f"troth campaign submit {name}, then approve it")
    if no is not None:
        return no
    if life is not None and life.stage in (plans.Stage.APPROVED, plans.Stage.SCHEDULED):
        if not agreed(f"Write to {life.count:,} people by {planned.channel}"):
            raise InvalidInput("nothing was sent", "add --yes to send")
        started = app.start_campaign(ws, name, actor)
        if isinstance(started, Refusal):
            return started
    elif life is not None and life.stage is not plans.Stage.FINISHED:
        plans.require(life, plans.Step.FINISHED)  # running: go on; else say what is next
    sending = app.Sending(ws, None, actor, lambda task, n: call.watch(task)(n), target)
    while sending.advance(name):
        pass
    ws.sign()
    with ws.store.look() as view:
        after = waves.progress(view, name)
    return _data(name, planned.channel, before, after)


_UNAPPROVED = (plans.Stage.DRAFTED, plans.Stage.SUBMITTED, plans.Stage.RETURNED)


def _data(
    name: str, channel: Channel, before: waves.Progress, after: waves.Progress
) -> dict[str, Any]:
    went = {state: after.ends[state] - before.ends[state] for state in waves.ENDS}
    return {
        "campaign": name,
        "channel": channel.value,
        "candidates": after.tally.candidates,
        "booked": after.tally.booked,
        **went,
        "refused": dict(sorted(after.tally.refused.items())),
        "reasons_withheld": dict(sorted(after.tally.withheld.items())),
        "waiting": after.waiting + after.left,
    }


def _lines(done: dict[str, Any]) -> list[str]:
    lines = [f"{done['handed']:,} handed over by {done['channel']}."]
    if done["failed"] or done["unknown"]:
        lines.append(
            f"{done['failed']:,} were not taken; {done['unknown']:,} may have been and are never"
            " sent again."
        )
    if done["waiting"]:
        lines.append(f"{done['waiting']:,} wait for their own hours; run it again then.")
    if done["refused"]:
        words = catalogue()
        lines.append("Not reached, each counted once by the first reason:")
        lines += counted({words.reason(code).title: n for code, n in done["refused"].items()})
    return lines
