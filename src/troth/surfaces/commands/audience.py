"""Audiences on the command line: listed, shown, counted, checked; small numbers never."""

from dataclasses import asdict
from typing import Any

from troth import app
from troth.capabilities import insight
from troth.errors import NotFound
from troth.kernel import audience
from troth.surfaces import segment_words as told
from troth.surfaces.commands import campaign
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call, plain_name
from troth.surfaces.words import catalogue, spoken
from troth.terms import zulu


def listed(call: Call) -> Answer:
    """List what is published, with size band and what the fairness check said."""
    with call.opened() as ws:
        found = app.segments(ws)
    rows = [
        {
            "name": each.published.name.removeprefix(insight.PREFIX),
            "version": each.published.version,
            "purpose": each.wanted.purpose if each.wanted else "",
            "says": told.sentence(each.wanted) if each.wanted else each.fault,
            "size": each.size.band if each.size else "",
            "verdict": each.size.verdict if each.size else "",
            "used_by": list(each.used_by),
        }
        for each in found
    ]
    lines = columns([(f"{r['name']}@{r['version']}", str(r["says"])) for r in rows])
    empty = ["No audience is published yet: write audiences/NAME.toml, then run: troth apply"]
    return Answer({"audiences": rows}, lines or empty)


def show(call: Call, name: str) -> Answer:
    """Show a published audience: in words, what it reads, its text, its versions."""
    plain_name(name, "the audience")
    with call.opened() as ws:
        wanted = app.read_audience(ws, name)
        versions = app.segment_versions(ws, name)
        zone = ws.settings.zone
    data = {
        "name": name,
        "version": versions[-1].version,
        "purpose": wanted.purpose,
        "digest": audience.digest(wanted),
        "says": told.sentence(wanted),
        "reads": sorted(audience.categories(wanted)),
        "note": wanted.note,
        "text": audience.written(wanted),
        "versions": [{"version": v.version, "at": zulu(v.at)} for v in versions],
    }
    lines = [told.sentence(wanted), f"Purpose: {wanted.purpose}", "It reads:"]
    lines += [f"  {what}{' (if agreed)' if agreed else ''}" for what, agreed in told.reads(wanted)]
    lines.append("People who did not agree to this are left out: unknown is no.")
    lines += [f"Published although the check said to look again: {wanted.note}"] * bool(
        wanted.note
    )
    lines += [f"  version {v.version}, {spoken(v.at, zone)}" for v in versions]
    return Answer(data, lines)


def _answered(call: Call, ws: app.Workspace, wanted: audience.Audience) -> app.SegmentAnswer:
    actor = call.actor(ws)
    if ws.reach().current() is None:
        call.tell("building the audience engine's copy, once")
        app.rebuild_reach(ws, actor)
    return app.count_audience(ws, wanted, actor)


def _wanted(call: Call, ws: app.Workspace, name: str) -> audience.Audience:
    """Return the published audience; a draft that never was is taken, and that is said."""
    plain_name(name, "the audience")
    try:
        return app.read_audience(ws, name)
    except NotFound:
        found = app.read_draft(ws, name)
    call.tell(f"{name} is a draft: no campaign can use it before troth apply")
    return found


def count(call: Call, name: str) -> Answer:
    """Say how many are in it, may be reached, and why the others are not in it."""
    with call.opened() as ws:
        wanted = _wanted(call, ws, name)
        answer = _answered(call, ws, wanted)
        app.note_band(ws, answer)
        ws.sign()
        zone = ws.settings.zone
    counted = answer.counted
    if isinstance(counted, insight.Withheld):
        return Answer({"withheld": counted.rule, "limit": counted.limit}, [_withheld(counted)], 1)
    first = (
        f"{_number(counted.inside, counted)} of {counted.base:,} are in it;"
        f" {_number(counted.reachable, counted)} may be reached now,"
        f" {_number(counted.refused, counted)} may not."
    )
    lines = [
        first,
        *_reasons(counted),
        *_outside(wanted, counted),
        f"As of {spoken(counted.at, zone)}; each is asked again at sending.",
    ]
    return Answer(_data(wanted, counted), lines)


def _withheld(found: insight.Withheld) -> str:
    if found.rule == "tracker":
        return (
            "Kept back: it differs from one you saw before by fewer than"
            f" {found.limit} people, and both together would say something about them."
        )
    return f"Kept back: {found.limit} counts are a day's number; it begins anew tomorrow."


def _number(people: int | None, counted: insight.Counted) -> str:
    if people is None:
        return f"fewer than {counted.k}" if counted.few else "(not shown)"
    return f"{people:,}"


def _reasons(counted: insight.Counted) -> list[str]:
    words = catalogue()
    rows = [(_shown(n), words.reason(code).title) for code, n in counted.reasons.items()]
    return ["In it and not reached, by the first reason:", *columns(rows)] if rows else []


def _outside(wanted: audience.Audience, counted: insight.Counted) -> list[str]:
    asked = told.conditions(wanted)
    rows = [
        (_shown(row.people), f"{asked[row.place]}: {told.STATES[row.state]}")
        for row in counted.outside
    ]
    head = "Not in it, each by the first condition that keeps them out, in tens:"
    return [head, *columns(rows)] if rows else []


def _shown(people: int | None) -> str:
    return "(not shown)" if people is None else f"{people:,}"


def _data(wanted: audience.Audience, counted: insight.Counted) -> dict[str, Any]:
    asked = told.conditions(wanted)
    return {
        "base": counted.base,
        "inside": counted.inside,
        "reachable": counted.reachable,
        "about": counted.about,
        "refused": counted.refused,
        "few": counted.few,
        "reasons": {str(code): n for code, n in counted.reasons.items()},
        "outside": [
            {"condition": asked[row.place], "state": row.state, "people": row.people}
            for row in counted.outside
        ],
        "at": zulu(counted.at),
    }


def preview(call: Call, name: str) -> Answer:
    """Say who would be reached, and beneath it why the others are not in the audience."""
    first = campaign.preview(call, campaign.Plan(name))
    with call.opened() as ws:
        wanted = app.read_audience(ws, name)
        counted = _answered(call, ws, wanted).counted
        ws.sign()
    if isinstance(counted, insight.Withheld):
        return Answer(first.data, [*first.lines, _withheld(counted)])
    lines = [*first.lines[:-1], *_outside(wanted, counted), first.lines[-1]]
    return Answer(first.data, lines)


def fairness(call: Call, name: str) -> Answer:
    """Say what a segment may stand for, whom it takes more often, whom it can never hold."""
    with call.opened() as ws:
        wanted = _wanted(call, ws, name)
        if ws.reach().current() is None:
            call.tell("building the audience engine's copy, once")
            app.rebuild_reach(ws, call.actor(ws))
        found = app.check_fairness(ws, wanted, call.actor(ws))
        ws.sign()
    lines = [told.VERDICTS[found.verdict][1]]
    lines += [f"  {s.named} may stand for {s.trait}. {s.why}" for s in found.stands]
    for each in found.left_out:
        share = "Some" if each.percent is None else f"{each.percent} %"
        what = told.READS.get(each.category, each.category)
        lines.append(f"  {share} of everybody did not agree to the use of {what}.")
    for each_share in found.apart:
        lines.append(
            f"  {told.FACTS[each_share.fact]} {each_share.group or 'unknown'}:"
            f" {each_share.ratio} times as often as the others"
            f" ({each_share.low} to {each_share.high})"
        )
    data = {
        "verdict": found.verdict,
        "stands": [asdict(s) for s in found.stands],
        "left_out": [asdict(s) for s in found.left_out],
        "shares": [asdict(s) for s in found.shares],
    }
    return Answer(data, lines)
