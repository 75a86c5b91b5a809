"""Audiences and campaigns: preview, check, sample, send."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from troth import app
from troth.capabilities import outreach
from troth.capabilities.outreach import plans, steps, waves
from troth.engines import mail
from troth.errors import Fault, InvalidInput, NotFound
from troth.kernel import audience
from troth.kernel.desk import SYSTEM
from troth.surfaces.commands.answer import Answer, counted
from troth.surfaces.commands.call import DEMO_MARK, Call, plain_name, refused
from troth.surfaces.commands.rights import write_file
from troth.surfaces.words import catalogue, spoken
from troth.terms import Actor, PersonId, PurposeKind, Refusal, zulu

_MARKETING = (PurposeKind.MARKETING, PurposeKind.CONSENT_REQUEST)


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign as its command names it; what is left out is called like the campaign."""

    name: str
    template: str = ""
    audience: str = ""


@dataclass(frozen=True, slots=True)
class _Narrowed:
    wanted: audience.Audience
    candidates: list[PersonId]


def _narrow(call: Call, ws: app.Workspace, name: str, actor: Actor) -> _Narrowed:
    """Return an audience's candidates; the first time, the engine's copy is built."""
    plain_name(name, "the audience")
    if ws.reach().current() is None:
        call.tell("building the audience engine's copy, once")
        app.rebuild_reach(ws, actor)
    wanted, candidates = app.narrow(ws, name)
    return _Narrowed(wanted, candidates)


def _campaign(ws: app.Workspace, plan: Plan, wanted: audience.Audience) -> outreach.Campaign:
    plain_name(plan.name, "the campaign")
    template = plain_name(plan.template or plan.name, "the template")
    with ws.store.look() as view:
        published = view.published(f"template:{template}")
    if published is None:
        raise NotFound(f"no template {template} is published", "write it, then run: troth apply")
    return outreach.Campaign(
        plan.name, wanted.purpose, audience.digest(wanted), published, ws.sender()
    )


def rebuild(call: Call) -> Answer:
    """Build the engine's copy from the record."""
    with call.opened() as ws:
        people = app.rebuild_reach(ws, call.actor(ws))
        ws.sign()
    return Answer({"people": people}, [f"Rebuilt: {people:,} people."])


def preview(call: Call, plan: Plan) -> Answer:
    """Say who would be reached now, in numbers only."""
    with call.opened() as ws:
        actor = call.actor(ws)
        narrowed = _narrow(call, ws, plan.audience or plan.name, actor)
        campaign = _previewed(ws, plan, narrowed.wanted)
        found = outreach.preview(ws.desk, campaign, narrowed.candidates, actor)
        ws.sign()
        zone = ws.settings.zone
    data = _preview_data(found)
    lines = _preview_lines(found)
    return Answer(
        data, [*lines, f"As of {spoken(found.at, zone)}; each is asked again at sending."]
    )


def _previewed(ws: app.Workspace, plan: Plan, wanted: audience.Audience) -> outreach.Campaign:
    """An audience is previewed for its purpose; there need not be a template of its name yet."""
    with ws.store.look() as view:
        templates = view.published_all("template:")
    named = plan.template or plan.name
    fitting = [t for t in templates if t.name == f"template:{named}"] or templates
    if not fitting:
        raise NotFound("no template is published", "write one, then run: troth apply")
    return outreach.Campaign(
        plan.name, wanted.purpose, audience.digest(wanted), fitting[-1], ws.sender()
    )


def _preview_data(found: outreach.Preview) -> dict[str, Any]:
    return {
        "candidates": found.candidates,
        "reachable": found.reachable,
        "by_level": {str(level): count for level, count in found.by_level.items()},
        "refused": dict(sorted(found.refused.items())),
        "at": zulu(found.at),
    }


def _preview_lines(found: outreach.Preview) -> list[str]:
    words = catalogue()
    refused_people = sum(found.refused.values())
    lines = [
        f"{found.reachable:,} of {found.candidates:,} may be reached, {refused_people:,} may not."
    ]
    if found.by_level:
        lines.append("Reached, by how personal the message may be:")
        lines += [f"  {n:,} at level {level}" for level, n in sorted(found.by_level.items())]
    if refused_people:
        titles = {words.reason(code).title: n for code, n in found.refused.items()}
        lines += ["Not reached, each counted once by the first reason:", *counted(titles)]
    return lines


# Checking and sampling


def check(call: Call, plan: Plan) -> Answer:
    """Say for each thing a campaign needs whether it is there."""
    with call.opened() as ws:
        actor = call.actor(ws)
        found = [_tried(name, part, (ws, plan, actor)) for name, part in _PARTS.items()]
    bad = [f for f in found if not f["ok"]]
    lines = [f"  {'ok ' if f['ok'] else 'NO '} {f['what']}: {f['say']}" for f in found]
    lines.append("It can go out." if not bad else f"{len(bad)} to put right first.")
    return Answer({"ok": not bad, "checks": found}, lines, 1 if bad else 0)


_Asked = tuple[app.Workspace, Plan, Actor]


def _tried(name: str, part: Callable[[_Asked], str], asked: _Asked) -> dict[str, Any]:
    try:
        return {"what": name, "ok": True, "say": part(asked)}
    except Fault as fault:
        return {"what": name, "ok": False, "say": str(fault)}


def _audience_of(asked: _Asked) -> audience.Audience:
    ws, plan, _ = asked
    name = plain_name(plan.audience or plan.name, "the audience")
    return app.read_audience(ws, name)


def _audience_reads(asked: _Asked) -> str:
    read = ", ".join(sorted(audience.categories(_audience_of(asked))))
    return f"reads {read}"


def _template_reads(asked: _Asked) -> str:
    ws, plan, _ = asked
    campaign = _campaign(ws, plan, _audience_of(asked))
    template = mail.parse_template(campaign.template.data.decode())
    with ws.store.look() as view:
        purpose = ws.desk.house(view).purposes.get(campaign.purpose)
    beyond = template.categories - (purpose.categories if purpose else frozenset())
    if beyond:
        raise InvalidInput(
            f"it uses {', '.join(sorted(beyond))}, which its purpose does not list",
            "leave them out of the template or add them to the purpose",
        )
    return campaign.template.label


def _purpose_stands(asked: _Asked) -> str:
    ws, wanted = asked[0], _audience_of(asked)
    with ws.store.look() as view:
        purpose = ws.desk.house(view).purposes.get(wanted.purpose)
    if purpose is None or purpose.kind not in _MARKETING:
        raise InvalidInput("its purpose is no published marketing purpose", "publish one")
    return purpose.title


def _claim_stands(asked: _Asked) -> str:
    ws, _, actor = asked
    campaign = _campaign(*asked[:2], _audience_of(asked))
    with ws.store.look() as view:
        request = outreach.request_for(campaign, None, actor, view.now)
        claim = ws.desk.claim(request, ws.desk.house(view))
    if isinstance(claim, Refusal):
        words = catalogue().reason(claim.first.code)
        raise InvalidInput(words.title, words.change)
    return f"{actor.role} may send this"


def _keys_there(asked: _Asked) -> str:
    return ", ".join(signer.selector for signer in app.signers(asked[0]))


_PARTS: Mapping[str, Callable[[_Asked], str]] = {
    "audience": _audience_reads,
    "purpose": _purpose_stands,
    "template": _template_reads,
    "permission": _claim_stands,
    "signing keys": _keys_there,
}


def test(call: Call, plan: Plan, level: int, out: str, to: str) -> Answer:
    """Write the message as a level shows it, filled with the template's own fallback words.

    With `to` it is sent instead, marked [test]: to the address of whoever asks, and nobody else's.

    Raises:
        InvalidInput: `to` is not the own address of a listed member of staff.
        Unavailable: The relay did not take it.
    """
    if to:
        return _test_to(call, plan, level, to)
    with call.opened() as ws:
        campaign = _campaign(ws, plan, _audience_of((ws, plan, SYSTEM)))
        with ws.store.look() as view:
            opened = ws.desk.house(view).levels[: level + 1]
        template = mail.parse_template(campaign.template.data.decode())
        values = _samples(template)
        frame = mail.Frames(template).of(frozenset().union(*opened), values)
        draft = frame.fill(values, _envelope(ws))
        data = mail.sign(draft, app.signers(ws), app.real_seconds())
    path = Path(out or f"{plan.name}-level{level}.eml")
    write_file(path, data)
    return Answer(
        {"file": str(path), "subject": draft.subject, "bytes": len(data), "level": level},
        [
            f"{path}: {draft.subject} ({len(data):,} bytes)",
            "Sample words; nobody's data was opened.",
        ],
    )


def _test_to(call: Call, plan: Plan, level: int, to: str) -> Answer:
    with call.opened() as ws:
        actor = call.actor(ws)
        if actor.id != to or actor.id not in ws.settings.staff.get(actor.role, ()):
            raise InvalidInput(
                "a test goes to yourself only", "name your own address in --as, too"
            )
        with ws.store.look() as view:
            template = app.template_of(view, plan.template or plan.name)
        name = template.name.removeprefix("template:")
        asked = app.Look(template.data.decode(), name, actor)
        box = call.folder / "inbox" if (call.folder / DEMO_MARK).is_file() else None
        no = app.send_test(ws, asked, level, box)
        ws.sign()
    if no is not None:
        return refused(no, "Not sent; the attempt is recorded.")
    data = {"sent": True, "level": level, "template": template.label}
    return Answer(data, ["Sent to you, marked [test]; nobody's data was opened."])


def _samples(template: mail.Template) -> dict[str, Any]:
    values: dict[str, Any] = {slot.name: slot.fallback for slot in template.slots}
    for repeat in template.repeats:
        values[repeat.name] = [{slot.name: slot.fallback for slot in repeat.slots}]
    return values


def _envelope(ws: app.Workspace) -> mail.Envelope:
    sender, ref = ws.sender(), ws.desk.randomness.take(15).hex()
    return mail.Envelope(
        from_name=sender.from_name,
        from_address=sender.from_address,
        to_address=sender.from_address,
        message_id=f"<{ref}@{sender.domain}>",
        date_s=app.real_seconds(),
        list_id=sender.list_id,
        unsubscribe_url=f"{sender.base_url}/stop/sample",
        ref=ref,
    )


# Sending


def send(call: Call, plan: Plan, relay: str, agreed: Callable[[str], bool]) -> Answer:
    """Start an approved campaign and take it as far as it goes now; safe to repeat.

    Raises:
        InvalidInput: Nobody said yes.
        Conflict: What was approved no longer holds; it was given back.
        Unavailable: The relay cannot be reached; what was booked waits, repeat later.
    """
    host = read_relay(relay)
    plain_name(plan.name, "the campaign")
    with call.opened() as ws:
        actor = call.actor(ws)
        no = _may_send(ws, plan, actor)
        if no is not None:
            return refused(no, "Not sent; the attempt is recorded.")
        with ws.store.look() as view:
            life, before = steps.read_life(view, plan.name), waves.progress(view, plan.name)
        if life is None:
            life = _alone(call, ws, plan, actor)
        if life.stage in (plans.Stage.APPROVED, plans.Stage.SCHEDULED):
            if not agreed(f"Send to {life.count:,} people"):
                raise InvalidInput("nothing was sent", "add --yes to send")
            started = app.start_campaign(ws, plan.name, actor)
            if isinstance(started, Refusal):
                return refused(started, "Not sent; the attempt is recorded.")
        elif life.stage is not plans.Stage.FINISHED:
            plans.require(life, plans.Step.FINISHED)  # running: go on; else say what is next
        sending = app.Sending(ws, host, actor, lambda name, done: call.watch(name)(done))
        while sending.advance(plan.name):
            pass
        ws.sign()
        with ws.store.look() as view:
            after = waves.progress(view, plan.name)
    return _sent(before, after)


def _may_send(ws: app.Workspace, plan: Plan, actor: Actor) -> Refusal | None:
    """Ask whether this actor may send it, and whether a second person agreed; a no is recorded."""
    with ws.store.look() as view:
        life, asked = steps.read_life(view, plan.name), steps.duty(view)
    if life is None:
        purpose = app.audience_of(ws, plan.audience or plan.name)[1].purpose
    else:
        with ws.store.look() as view:
            purpose = steps.plan_of(view, plan.name).purpose
    no = steps.allowed(ws.desk, purpose, actor, plans.Step.STARTED, plan.name)
    waits = life is None or life.stage in _UNAPPROVED
    if no is None and waits and asked.second_person:
        no = steps.unapproved(ws.desk, purpose, actor, plan.name)
    return no


_UNAPPROVED = (plans.Stage.DRAFTED, plans.Stage.SUBMITTED, plans.Stage.RETURNED)


def _alone(call: Call, ws: app.Workspace, plan: Plan, actor: Actor) -> plans.Life:
    """Plan, submit and approve in one go, in a house that waived the second person in public."""
    asked = app.Asked(plan.name, plan.audience or plan.name, plan.template or plan.name)
    drafted = app.draft_campaign(ws, asked, actor)
    life = drafted if isinstance(drafted, Refusal) else app.submit_campaign(ws, plan.name, actor)
    if not isinstance(life, Refusal):
        life = steps.approve(ws.desk, plan.name, life.plan, actor)
    if isinstance(life, Refusal):
        raise InvalidInput("the campaign could not be planned", "plan it step by step")
    call.tell("one person did all of it: the house waived the second one")
    return life


def read_relay(text: str) -> tuple[str, int] | None:
    """Read HOST:PORT; None where nothing is named.

    Raises:
        InvalidInput: It is no host and port.
    """
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise InvalidInput("--relay is no HOST:PORT", "write localhost:2525")
    return host, int(port)


def _sent(before: waves.Progress, after: waves.Progress) -> Answer:
    tally = after.tally
    went = {state: after.ends[state] - before.ends[state] for state in waves.ENDS}
    again = tally.queued and before.tally.queued
    refused_now = _since(before.tally.refused, tally.refused)
    withheld = _since(before.tally.withheld, tally.withheld)
    data = {
        "candidates": tally.candidates,
        "booked": tally.booked - before.tally.booked,
        "already": before.tally.booked if again else 0,
        "refused": dict(sorted(refused_now.items())),
        "handed": went["handed"],
        "failed": went["failed"],
        "unknown": went["unknown"],
        "withheld": dict(sorted(withheld.items())),
        "waiting": after.waiting + after.left,
    }
    words = catalogue()
    lines = [f"{went['handed']:,} handed over; {data['already']:,} had been decided before."]
    if went["failed"] or went["unknown"]:
        lines.append(
            f"{went['failed']:,} were not taken by the relay; {went['unknown']:,} may have been"
            " and are never sent again."
        )
    if tally.held_out:
        lines.append(f"{tally.held_out:,} are held out, as planned, to measure what it does.")
    if data["waiting"]:
        lines.append(f"{data['waiting']:,} wait for their own hours; troth worker goes on.")
    not_now = Counter(refused_now) + Counter(withheld)
    if not_now:
        lines.append("Not sent, each counted once by the first reason:")
        lines += counted({words.reason(code).title: n for code, n in not_now.items()})
    return Answer(data, lines)


def _since(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {code: n - before.get(code, 0) for code, n in after.items() if n > before.get(code, 0)}
