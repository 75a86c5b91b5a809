"""Audiences and campaigns: preview, check, sample, send, status."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from troth import app
from troth.capabilities import insight, outreach
from troth.engines import mail
from troth.errors import Fault, InvalidInput, NotFound
from troth.kernel import audience, events
from troth.kernel.desk import SYSTEM
from troth.surfaces.commands.answer import Answer, counted
from troth.surfaces.commands.call import Call, plain_name, refused, when
from troth.surfaces.commands.intake import NAMES
from troth.surfaces.commands.rights import write_file
from troth.surfaces.words import catalogue
from troth.terms import Action, Actor, PersonId, PurposeKind, Refusal, zulu

STATES = ("ready", "leased", "handed", "failed", "unknown", "withheld")
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
    return Answer(data, [*lines, f"As of {when(found.at, zone)}; each is asked again at sending."])


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


def test(call: Call, plan: Plan, level: int, out: str) -> Answer:
    """Write the message as a level shows it, filled with the template's own fallback words."""
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
    """Decide, book and hand over; safe to repeat: nobody is booked twice.

    Raises:
        InvalidInput: Nobody said yes.
        Unavailable: The relay cannot be reached; what was booked waits, repeat later.
    """
    host = _relay(relay)
    with call.opened() as ws:
        actor = call.actor(ws)
        narrowed = _narrow(call, ws, plan.audience or plan.name, actor)
        campaign = _campaign(ws, plan, narrowed.wanted)
        if (no := _claim(ws, campaign, actor)) is not None:
            reasons = tuple({"code": str(r.code), "rule": r.rule} for r in no.reasons)
            told = events.HouseRefused(campaign.purpose, Action.SEND, reasons, campaign.name)
            ws.desk.record_house(told, actor)
            return refused(no, "Not sent.")
        seen = outreach.preview(ws.desk, campaign, narrowed.candidates, actor)
        for line in _preview_lines(seen):
            call.tell(line)
        if not agreed(f"Send to {seen.reachable:,} people"):
            raise InvalidInput("nothing was sent", "add --yes to send")
        shelf = _shelf(ws)
        booked = outreach.book(
            app.renderer(ws, campaign, shelf),
            narrowed.candidates,
            actor,
            app.real_seconds,
            call.watch("book"),
        )
        handed = app.deliver(ws, campaign, actor, host, call.watch("hand over"))
        ws.sign()
    return _sent(seen, booked, handed)


def _claim(ws: app.Workspace, campaign: outreach.Campaign, actor: Actor) -> Refusal | None:
    with ws.store.look() as view:
        request = outreach.request_for(campaign, None, actor, view.now)
        claim = ws.desk.claim(request, ws.desk.house(view))
    return claim if isinstance(claim, Refusal) else None


def _relay(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise InvalidInput("--relay is no HOST:PORT", "write localhost:2525")
    return host, int(port)


def _shelf(ws: app.Workspace) -> outreach.Shelf:
    """Names of ordinary items as published with the purchases; none where none were."""
    with ws.store.look() as view:
        published = view.published(NAMES)
        names = msgspec.json.decode(published.data, type=dict[str, str]) if published else {}
        return outreach.Shelf(names, insight.learn_alike(ws.desk, view, SYSTEM, names))


def _sent(seen: outreach.Preview, booked: outreach.Booked, handed: outreach.Handed) -> Answer:
    data = {
        "candidates": seen.candidates,
        "booked": booked.booked,
        "already": booked.already,
        "refused": dict(sorted(booked.refused.items())),
        "handed": handed.handed,
        "failed": handed.failed,
        "unknown": handed.unknown,
        "withheld": dict(sorted(handed.withheld.items())),
    }
    words = catalogue()
    lines = [f"{handed.handed:,} handed over; {booked.already:,} had been decided before."]
    if handed.failed or handed.unknown:
        lines.append(
            f"{handed.failed:,} were not taken by the relay; {handed.unknown:,} may have been and"
            " are never sent again."
        )
    refused_now = booked.refused + handed.withheld
    if refused_now:
        lines.append("Not sent, each counted once by the first reason:")
        lines += counted({words.reason(code).title: n for code, n in refused_now.items()})
    return Answer(data, lines)


def status(call: Call, plan: Plan) -> Answer:
    """Say how many were decided on in this campaign, and where its messages stand."""
    plain_name(plan.name, "the campaign")
    with call.opened() as ws:
        decided = app.decided(ws, plan.name)
        with ws.store.look() as view:
            kind = outreach.job_kind(plan.name)
            jobs = {state: view.jobs(kind, state) for state in STATES}
    data = {"campaign": plan.name, "decided": decided, "messages": jobs}
    lines = [f"{decided:,} people were decided on in {plan.name}."]
    return Answer(data, [*lines, "Its messages:", *counted(jobs)])
