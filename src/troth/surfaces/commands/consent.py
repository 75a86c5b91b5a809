"""What a person agreed to: recording it, showing it, and what held when."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from troth import app
from troth.capabilities import preferences, rights
from troth.kernel import consent, events, fold
from troth.kernel.facts import House
from troth.kernel.scribe import Recorded
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import (
    Call,
    book_reading,
    find,
    look_for,
    plain_name,
    read_instant,
    refused,
    seek,
)
from troth.surfaces.commands.rights import write_file
from troth.surfaces.words import day, spoken
from troth.terms import (
    GRANTING,
    ConsentStatus,
    Instant,
    PersonId,
    PersonRecord,
    Prepared,
    Refusal,
    zulu,
)

HISTORY = ("consent",)


@dataclass(frozen=True, slots=True)
class Told:
    """What the command line says about one act."""

    purpose: str
    channels: tuple[str, ...]
    method: str
    proof: str
    notice: str
    categories: tuple[str, ...]
    level: int | None
    by: str
    occurred: str
    receipt: str


def read_told(given: Mapping[str, object]) -> Told:
    """Put the options of the command line together."""
    return msgspec.convert(dict(given), Told)


def record(call: Call, status: str, person: str, told: Told) -> Answer:
    """Record one act; it binds the next decision."""
    word = ConsentStatus(status)
    if told.method:
        plain_name(told.method, "--method")
    occurred = read_instant(told.occurred, "--occurred") if told.occurred else None
    with call.opened() as ws:
        with ws.store.look() as view:
            who = find(ws, view, person)
        actor = call.actor(ws, who)
        choice = preferences.Choice(
            word,
            told.purpose,
            told.channels or _channels(word, told),
            told.notice,
            told.method,
            told.proof,
            told.categories,
            told.level,
            told.by,
            occurred,
        )
        prepared = preferences.record_choice(ws.desk, who, choice, actor)
        note = ws.sign()
        current = _current(ws, told.notice)
        if told.receipt:
            _write_receipt(ws, prepared, note, Path(told.receipt))
    data = {
        "recorded": [p.payload.type for p in prepared],
        "purpose": told.purpose,
        "channels": list(choice.channels),
        "at": zulu(prepared[0].at),
        "n": prepared[0].n,
        "receipt": told.receipt,
        "notice_current": current,
    }
    after = "It binds the very next decision." if word not in GRANTING else "It can be taken back."
    lines = [f"Recorded: {word.value}, {told.purpose}. {after}"]
    lines += [f"Lifted besides: {p.payload.reason}" for p in prepared[1:]]
    if word in GRANTING and not current:
        lines.append("The notice has changed in what matters since: they are asked anew first.")
    return Answer(data, [*lines, f"Receipt: {told.receipt}"] if told.receipt else lines)


def _current(ws: app.Workspace, notice: str) -> bool:
    """Tell whether a notice still says what matters; one nobody named says nothing else."""
    name, _, version = notice.partition("@")
    with ws.store.look() as view:
        oldest = ws.desk.house(view).material.get(name, 0)
    return not version.isdecimal() or int(version) >= oldest


def _channels(word: ConsentStatus, told: Told) -> tuple[str, ...]:
    """A stop without a channel stops all; a grant names each, or none where there are none."""
    return () if word in GRANTING or told.categories or told.level is not None else ("*",)


def _write_receipt(ws: app.Workspace, prepared: list[Prepared], note: str, path: Path) -> None:
    first = prepared[0]
    for each in rights.receipts(ws.desk, first.person, note):
        if each.n == first.n:
            write_file(path, each.text)


def show(call: Call, person: str, reason: str) -> Answer:
    """Show what stands and the acts it rests on; the look is recorded first."""
    with call.opened() as ws:
        reading = seek(call, ws, person, look_for(HISTORY, reason))
        if isinstance(reading, Refusal):
            return refused(reading, "Not shown.")
        who = reading.person
        if (no := book_reading(ws, reading)) is not None:
            return refused(no, "Not shown.")
        with ws.store.look() as view:
            house, now = ws.desk.house(view), view.now
            record = view.gather([who], None)[0].record
        acts = _acts(rights.timeline(ws.desk, who))
        ws.sign()
        zone = ws.settings.zone
    standing = _standing(record, house, now)
    data = {"at": zulu(now), "level": record.level, "standing": standing, "history": acts}
    return Answer(data, [*_standing_lines(standing, record, zone), *_history_lines(acts)])


def as_of(call: Call, person: str, times: tuple[str, str], reason: str) -> Answer:
    """Show what held at one moment as it was known at another, folded from the sealed events."""
    valid = read_instant(times[0], "--valid")
    with call.opened() as ws:
        with ws.store.look() as view:
            house = ws.desk.house(view)
            known = read_instant(times[1], "--known") if times[1] else view.now
        reading = seek(call, ws, person, look_for(HISTORY, reason))
        if isinstance(reading, Refusal):
            return refused(reading, "Not shown.")
        who = reading.person
        if (no := book_reading(ws, reading)) is not None:
            return refused(no, "Not shown.")
        record = consent.as_of(_stated(ws, who), valid=valid, known=known)
        ws.sign()
        zone = ws.settings.zone
    standing = _standing(record, house, valid)
    data = {"valid": zulu(valid), "known": zulu(known), "standing": standing}
    head = f"On {spoken(valid, zone)}, as known on {spoken(known, zone)}:"
    return Answer(data, [head, *_standing_lines(standing, record, zone)])


def _stated(ws: app.Workspace, who: PersonId) -> list[consent.Stated]:
    out = []
    for recorded in rights.timeline(ws.desk, who):
        event, said = recorded.event, recorded.event.payload
        if isinstance(said, events.ConsentAct) and said.status != ConsentStatus.SUPERSEDED:
            act = fold.consent_act(said, event.at, event.n)
            out.append(consent.Stated(said.purpose, said.channels, act))
    return out


def _standing(record: PersonRecord, house: House, at: Instant) -> list[dict[str, Any]]:
    out = []
    for purpose in sorted(house.purposes.values(), key=lambda p: p.name):
        for channel in sorted(map(str, purpose.channels)) or [""]:
            found = consent.resolve(record, purpose, channel, at, house.purposes)
            act = found.act
            out.append(
                {
                    "purpose": purpose.name,
                    "channel": channel,
                    "status": str(found.status),
                    "decided_by": found.purpose if act else "",
                    "since": zulu(act.at) if act else "",
                    "until": _end(house, found),
                    "notice": act.notice if act else "",
                }
            )
    return out


def _end(house: House, found: consent.Resolution) -> str:
    if found.act is None or found.act.status not in GRANTING:
        return ""
    end = consent.grant_end(house.purposes[found.purpose], found.act)
    return zulu(Instant(end)) if end else ""


def _standing_lines(standing: list[dict[str, Any]], record: PersonRecord, zone: str) -> list[str]:
    said = [s for s in standing if s["since"]]
    if not said:
        return ["Nothing was ever said: silence is not a yes."]
    rows = [
        (
            s["purpose"],
            s["channel"],
            s["status"],
            f"since {_day(s['since'], zone)}",
            f"until {_day(s['until'], zone)}" if s["until"] else "",
        )
        for s in said
    ]
    level = [f"Level chosen: {record.level}"] if record.level >= 0 else []
    return [*columns(rows), *level]


def _day(text: str, zone: str) -> str:
    return day(read_instant(text, "a recorded time"), zone)


def _acts(chain: list[Recorded]) -> list[dict[str, Any]]:
    out = []
    for recorded in chain:
        said = recorded.event.payload
        if isinstance(said, events.ConsentAct):
            out.append(
                {
                    "n": recorded.event.n,
                    "at": zulu(events.act_time(said.occurred_at, recorded.event.at)),
                    "recorded_at": zulu(recorded.event.at),
                    "status": str(said.status),
                    "purpose": said.purpose,
                    "channels": list(said.channels),
                    "categories": list(said.categories or ()),
                    "level": said.level,
                    "notice": said.notice or "",
                    "method": said.method or "",
                    "missing": list(said.missing or ()),
                    "by": said.given_by,
                }
            )
    return out


def _history_lines(acts: list[dict[str, Any]]) -> list[str]:
    if not acts:
        return []
    rows = [
        (
            a["at"][:10],
            a["status"],
            a["purpose"],
            ",".join(a["channels"]),
            a["notice"],
            a["method"],
        )
        for a in acts
    ]
    return ["How it came about:", *columns(rows)]
