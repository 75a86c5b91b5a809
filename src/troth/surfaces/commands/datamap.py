"""The data map on the command line: shown, scanned, asked about one person, out and in."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from troth import app
from troth.app import datamap, doctor, scans, whereabouts
from troth.engines.datagraph import counts
from troth.errors import InvalidInput, Unavailable
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import Call, look_for, refused, seek
from troth.terms import Refusal, zulu

WORDS = {"good": "holds", "bad": "DOES NOT HOLD", "unknown": "not looked at", "off": "not in use"}
_SHOWN = 20


def show(call: Call) -> Answer:
    """Show the parts by step, their state, and what nobody described."""
    with call.opened() as ws:
        held = datamap.read(ws, doctor.examine(ws))
    data = {
        "at": zulu(held.at),
        "parts": [_part(each) for each in held.parts],
        "alarms": [each.name for each in held.alarms],
        "undescribed": sum(len(each.undescribed) for each in held.parts),
        "fault": held.fault,
    }
    lines = []
    for step in doctor.STEPS:
        lines.append(step.upper())
        for each in held.parts:
            if each.step == step:
                place = f", {each.country}" if each.country else ""
                lines.append(f"  {each.title}{place}: {WORDS[each.state]}")
    lines += [f"ALARM {each.name}: see troth map scan {each.name}" for each in held.alarms]
    loose = [(each.title, what) for each in held.parts for what in each.undescribed]
    lines += [f"nobody described: {title}: {what}" for title, what in loose[:_SHOWN]]
    if len(loose) > _SHOWN:
        lines.append(f"and {len(loose) - _SHOWN} more: troth map show --json")
    if held.fault:
        lines.append(f"The mappings do not read together: {held.fault}")
    return Answer(data, lines)


def _part(each: datamap.Part) -> dict[str, Any]:
    said = asdict(each)
    said["state"] = each.state
    said["checks"] = [check.id for check in each.checks]
    return said


def scan(call: Call, name: str) -> Answer:
    """Scan one source, or each; exit 1 where personal data is in no mapping, 3 without an answer.

    Raises:
        InvalidInput: No source is listed.
    """
    with call.opened() as ws:
        names = [name] if name else sorted(ws.settings.sources)
        if not names:
            raise InvalidInput("no source is listed", "name one in troth.toml: [sources.NAME]")
        actor = call.actor(ws)
        found = [scans.scan(ws, each, actor) for each in names]
        ws.sign()
    data = {"sources": [_told(each) for each in found]}
    lines = [line for each in found for line in _lines(each)]
    if any(each.alarming for each in found):
        return Answer(data, lines, 1)
    return Answer(data, lines, 3 if any(each.fault for each in found) else 0)


def _told(each: scans.Standing) -> dict[str, Any]:
    return {**asdict(each), "at": zulu(each.at), "alarms": len(each.alarming)}


def _lines(each: scans.Standing) -> list[str]:
    if each.fault:
        return [f"{each.name}: not scanned: {each.fault}"]
    head = (
        f"{each.name}: {each.tables:,} tables, {each.columns:,} columns, {each.personal:,} seem"
        f" personal, {len(each.drift):,} differences, {len(each.alarming):,} of them alarms"
    )
    lines = [head]
    for d in each.drift[:_SHOWN]:
        mark = "ALARM " if d.alarm else "      "
        place = f"{d.table}.{d.column}" if d.column else d.table
        now = f": {d.now}" if d.now else ""
        was = f" (mapped as {d.was})" if d.was else ""
        lines.append(f"  {mark}{d.kind.replace('_', ' ')} {place}{now}{was}")
    if len(each.drift) > _SHOWN:
        lines.append(f"  and {len(each.drift) - _SHOWN:,} more: troth map scan --json")
    lines += [f"  not looked into: {told}" for told in each.unreached[:_SHOWN]]
    if each.cut:
        lines.append(f"  cut short by its limit of {each.cut}")
    return lines


def where(call: Call, person: str, category: str, reason: str) -> Answer:
    """Say where something of a person lies; the look is in their chain before it is counted."""
    with call.opened() as ws:
        _known(ws, category)
        reading = seek(call, ws, person, look_for((), reason))
        if isinstance(reading, Refusal):
            ws.sign()
            return refused(reading, "Not looked.")
        found = whereabouts.where(ws, reading.person, category, reading.actor, reading.reason)
        ws.sign()
    if isinstance(found, Refusal):
        return refused(found, "Not looked.")
    data = {"category": category, "ids": found.ids, "places": [asdict(p) for p in found.places]}
    said = {"holds": "lies there", "none": "is not there", "may": "may lie there"}
    lines = []
    for each in found.places:
        count = f" ({each.count:,})" if each.count else ""
        lines.append(f"{each.title}: {said[each.sure]}{count}: {each.said}")
    lines.append("No value was opened. The look is in their record.")
    return Answer(data, lines)


def _known(ws: app.Workspace, category: str) -> None:
    known = whereabouts.categories(ws)
    if category and category not in known:
        raise InvalidInput("there is no such category", f"one of {', '.join(known)}")


def export(call: Call, out: Path) -> Answer:
    """Write the whole map as Fides reads it.

    Raises:
        InvalidInput: The file's name ends in neither .yml, .yaml nor .json.
        Unavailable: It cannot be written.
    """
    kinds = {".yml": "yaml", ".yaml": "yaml", ".json": "json"}
    if out.suffix not in kinds:
        raise InvalidInput("--fides names no .yml, .yaml or .json", "end the name with one")
    with call.opened() as ws:
        held = datamap.fides(ws)
    try:
        out.write_bytes(datamap.write(held, kinds[out.suffix]))
    except OSError:
        raise Unavailable("the file cannot be written", "check the folder's mode") from None
    told = dict(counts(held))
    return Answer(told, [f"Wrote {told['stores']} stores and {told['systems']} systems."])


def import_(call: Call, file: Path) -> Answer:
    """Take in a Fides mapping: it becomes a draft under map/ and is published."""
    with call.opened() as ws:
        name, told = scans.import_file(ws, file, call.actor(ws))
        ws.sign()
    data = {"draft": f"map/{name}.yml", **told}
    counted = f"{told['collections']} tables, {told['fields']} fields"
    line = f"map/{name}.yml: {told['stores']} stores, {counted}, {told['categorised']} mapped."
    return Answer(data, [line, "Published. Next: troth map scan"])
