"""One person: what stands about them, what is learnt of them, who acts for them, two that are one.

No value is opened here: a name or an address is neither shown nor said back.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from troth import app
from troth.capabilities import merging, people, rights
from troth.capabilities.access.acts import may_act
from troth.capabilities.access.cards import open_card
from troth.errors import InvalidInput, NotFound
from troth.ports import View
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import (
    Call,
    find,
    look_for,
    plain_name,
    read_instant,
    refused,
    seek,
)
from troth.surfaces.words import spoken
from troth.terms import (
    Actor,
    Channel,
    Instant,
    PersonId,
    PersonRecord,
    Refusal,
    Role,
    instant,
    zulu,
)

SHOWN = 5
"""How many dealings are shown, newest first."""
RELATIONS = {
    "competent_person": ("a parent or guardian acts for them", "they act as parent or guardian"),
    "contact_of": ("a contact acts for this company", "they are a company's contact"),
    "agent": ("an agent acts for them by mandate", "they act as agent by mandate"),
}
Act = Callable[[app.Workspace, PersonId, Actor], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Told:
    """A dated dealing as the command line says it."""

    kind: str
    on: str
    goods: str
    brand: str
    until: str
    source: str
    collected: bool
    objection_offered: bool


def show(call: Call, person: str, reason: str) -> Answer:
    """Show what stands about a person, no value opened; the look is recorded first."""
    with call.opened() as ws:
        reading = seek(call, ws, person, look_for((), reason))
        if isinstance(reading, Refusal):
            return refused(reading, "Not shown.")
        who, card = reading.person, open_card(ws.desk, reading)
        if isinstance(card, Refusal):
            return refused(card, "Not shown.")
        with ws.store.look() as view:
            data = _stands(view, who, card.record)
        ws.sign()
        return Answer(data, _said(data, card.record, ws.settings.zone))


def _stands(view: View, who: PersonId, record: PersonRecord) -> dict[str, Any]:
    days = app.segment_defaults()["stages"]
    stage = people.stage(record, view.now, days["silent_days"], days["ended_days"])
    held = [c for c in Channel if (g := view.gather([who], c)) and g[0].contact is not None]
    newest = sorted(record.relations, key=lambda each: -each.at)
    return {
        "stage": stage,
        "subject": record.subject,
        "age": record.age,
        "residence": record.residence,
        "zone": record.zone,
        "language": record.language,
        "level": record.level,
        "channels": [str(channel) for channel in held],
        "dealings": [{"kind": each.kind, "at": zulu(each.at)} for each in newest],
        "links": [
            {"as": each.relation, "acted_for": each.mine} for each in people.links(view, who)
        ],
        "merged": len(merging.merged_into(view, who)),
    }


def _said(data: dict[str, Any], record: PersonRecord, zone: str) -> list[str]:
    rows = [
        ("stage", data["stage"]),
        ("who", "a company" if record.subject == "juristic" else "a person"),
        ("age", {"minor": "a child", "adult": "an adult"}.get(record.age, "not told")),
        ("lives in", record.residence or "not told: the strictest rules apply"),
        ("time zone", record.zone or "not told"),
        ("language", record.language or "not told"),
        ("level", str(record.level) if record.level >= 0 else "no choice made"),
        ("addresses", ", ".join(data["channels"]) or "none"),
    ]
    rows += [
        ("dealing", f"{each.kind}, {spoken(each.at, zone)}")
        for each in sorted(record.relations, key=lambda each: -each.at)[:SHOWN]
    ]
    rows += [("link", RELATIONS[each["as"]][not each["acted_for"]]) for each in data["links"]]
    rows += [("merged", f"number {n}") for n in range(1, data["merged"] + 1)]
    return [*columns(rows), "No name or address was opened. The look is in their record."]


def relate(call: Call, person: str, told: Told) -> Answer:
    """Record a dealing; nothing is agreed by it."""

    def act(ws: app.Workspace, who: PersonId, actor: Actor) -> dict[str, Any]:
        dealing = people.Dealing(
            kind=told.kind,
            at=_day(told.on, "--on", ws.settings.zone),
            brand=told.brand or ws.settings.brand,
            goods=plain_name(told.goods, "--goods") if told.goods else "",
            collected=told.collected,
            objection_offered=told.objection_offered,
            until=_day(told.until, "--until", ws.settings.zone) if told.until else 0,
        )
        people.relate(ws.desk, who, dealing, plain_name(told.source, "--source"), actor)
        said = {**asdict(dealing), "at": zulu(dealing.at)}
        return said | {"until": zulu(Instant(dealing.until)) if dealing.until else ""}

    return _done(call, (person, people.MAY_TELL, act), "Recorded. Nothing is agreed by it.")


def _day(text: str, option: str, zone: str) -> Instant:
    """Read a day in the house's zone, or a time with its own."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - the house's zone is put on below
    except ValueError:
        return read_instant(text, option)
    return instant(day.replace(tzinfo=ZoneInfo(zone)))


def address(call: Call, person: str, channel: str, to: str, source: str, region: str) -> Answer:  # noqa: PLR0913 - one parameter per option
    """Put a new address in the place of the one held; neither is ever shown."""

    def act(ws: app.Workspace, who: PersonId, actor: Actor) -> dict[str, Any]:
        text = sys.stdin.readline().strip() if to == "-" else to
        way = plain_name(source, "--source")
        people.change_address(ws.desk, who, Channel(channel), text, way, actor, region)
        return {"channel": channel}

    return _done(
        call,
        (person, people.MAY_MOVE, act),
        "Recorded. A no of theirs went along; the old address keeps its own.",
    )


def link(  # noqa: PLR0913 - one parameter per option
    call: Call,
    person: str,
    other: str,
    relation: people.Relation,
    born: int | None,
    source: str,
) -> Answer:
    """Record that OTHER may act for PERSON; it opens nothing by itself."""

    def act(ws: app.Workspace, who: PersonId, actor: Actor) -> dict[str, Any]:
        way = plain_name(source, "--source")
        until = people.of_age(born) if born is not None else 0
        people.link(ws.desk, who, _another(ws, other), relation, way, actor, until)
        ends = {"until": zulu(Instant(until))} if until else {}
        return {"as": relation, "linked": True, **ends}

    said = "Recorded in both records. What they agree to is an act of its own, said to be theirs."
    return _done(call, (person, people.MAY_TELL, act), said)


def unlink(call: Call, person: str, other: str, source: str) -> Answer:
    """End it: nothing OTHER says counts for PERSON from now on."""

    def act(ws: app.Workspace, who: PersonId, actor: Actor) -> dict[str, Any]:
        way = plain_name(source, "--source")
        people.unlink(ws.desk, who, _another(ws, other), way, actor)
        return {"linked": False}

    said = "Ended, in both records: nothing they say counts for the other from now on."
    return _done(call, (person, people.MAY_TELL, act), said)


def merge(call: Call, keep: str, other: str, reason: str) -> Answer:
    """Make two ids one person; the stricter answer of both stands."""

    def act(ws: app.Workspace, who: PersonId, actor: Actor) -> dict[str, Any]:
        merging.merge(ws.desk, who, _another(ws, other), reason, actor)
        with ws.store.look() as view:
            return {"merged": len(merging.merged_into(view, who))}

    return _done(
        call,
        (keep, merging.MAY_MERGE, act),
        "They are one now; what either refused stays refused.",
    )


def unmerge(call: Call, keep: str, which: int, reason: str) -> Answer:
    """Take a merged id out again, by its number in `troth person show`."""

    def act(ws: app.Workspace, who: PersonId, actor: Actor) -> dict[str, Any]:
        with ws.store.look() as view:
            found = merging.merged_into(view, who)
        if not 1 <= which <= len(found):
            raise NotFound("there is no merged record of this number", "see: troth person show")
        merging.unmerge(ws.desk, who, found[which - 1], reason, actor)
        return {"merged": len(found) - 1}

    return _done(
        call, (keep, merging.MAY_MERGE, act), "They are two again, each as their own record says."
    )


def restrict(call: Call, person: str, reason: str) -> Answer:
    """Keep everything and use it for nothing, from the next decision on."""

    def act(ws: app.Workspace, who: PersonId, actor: Actor) -> dict[str, Any]:
        rights.restrict(ws.desk, who, _given(reason), actor)
        return {"restricted": True}

    said = "Restricted: everything is kept and nothing is used, until it is resumed."
    return _done(call, (person, rights.MAY_RESTRICT, act), said)


def resume(call: Call, person: str, reason: str) -> Answer:
    """End a restriction; what was agreed before counts again."""

    def act(ws: app.Workspace, who: PersonId, actor: Actor) -> dict[str, Any]:
        rights.lift_restriction(ws.desk, who, _given(reason), actor)
        return {"restricted": False}

    return _done(
        call, (person, rights.MAY_LIFT, act), "Resumed: what they agreed to counts again."
    )


def _given(reason: str) -> str:
    if not reason.strip():
        raise InvalidInput("--reason is missing", "say why; the person sees it")
    return reason


def _another(ws: app.Workspace, text: str) -> PersonId:
    with ws.store.look() as view:
        return find(ws, view, text)


def _done(call: Call, what: tuple[str, frozenset[Role], Act], said: str) -> Answer:
    """Find the person, ask whether this actor may, then act and sign.

    Who may not is answered before anything is said of the person, and the attempt is recorded.
    """
    person, roles, act = what
    with call.opened() as ws:
        with ws.store.look() as view:
            who = find(ws, view, person)
        actor = call.actor(ws, who)
        if (no := may_act(ws.desk, actor, roles)) is not None:
            ws.sign()
            return refused(no, "Not done.")
        data = act(ws, who, actor)
        ws.sign()
        return Answer(data, [said])
