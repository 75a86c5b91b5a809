"""Rights of staff by command: who could see what, what is unused, rights for a while."""

from collections.abc import Mapping, Sequence
from typing import Any

from troth import app
from troth.app import access as rights
from troth.capabilities import access
from troth.capabilities.access import granting, reviews
from troth.capabilities.access.grants import Grant
from troth.capabilities.access.tighten import Proposal, Replay
from troth.errors import InvalidInput
from troth.surfaces import words
from troth.surfaces.access_words import called, left, state_of
from troth.surfaces.commands.answer import Answer, columns
from troth.surfaces.commands.call import Call
from troth.surfaces.commands.staff import read_who
from troth.terms import Actor, Instant, zulu

SHOWN = 5


def exposure(call: Call) -> Answer:
    """Count who could see what, asked of the decision itself; keep the day's figures."""
    with call.opened() as ws:
        day = rights.measure(ws)
    data = {
        "at": zulu(day.at), "exposure": day.exposure, "held": day.held, "used": day.used,
        "staff": dict(day.full), "roles": {c: dict(r) for c, r in day.roles.items()},
    }  # fmt: skip
    rows = [
        (str(count), called(c), ", ".join(f"{n} {r}" for r, n in sorted(day.roles[c].items())))
        for c, count in sorted(day.full.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    if not rows:
        return Answer(data, ["Nobody of the staff could see anything."])
    return Answer(
        data,
        [
            *columns([("PEOPLE", "CAN SEE", "ROLES"), *rows], ""),
            f"Exposure {words.number(day.exposure)}.",
            f"Used in 90 days: {day.used} of {day.held} rights whose use shows in the log.",
        ],
    )


def tighten(call: Call, todo: str, chosen: Sequence[str]) -> Answer:
    """Propose what to take; `apply` takes it, `undo` gives back what was last taken."""
    with call.opened() as ws:
        if todo == "undo":
            done = rights.undo(ws, call.actor(ws))
            return Answer({"version": done.version, "rights": done.rights}, ["Undone."])
        advice = rights.advise(ws)
        found = [p for p in advice.proposals if not chosen or p.id in chosen]
        if len(found) < len(set(chosen)):
            raise InvalidInput("a proposal named is not there", "see: troth access tighten")
        data: dict[str, Any] = {
            "proposals": [_told(p) for p in found],
            "denied": advice.together.count,
            "reads": advice.together.reads,
            "waits_days": advice.waits,
        }
        if todo == "apply":
            done = rights.apply(ws, call.actor(ws), [p.id for p in found])
            data |= {"version": done.version, "taken": done.rights}
            said = f"Taken: {done.rights} rights. Undo: troth access tighten --undo"
            return Answer(data, [*_lines(found), said])
    if advice.waits and not found:
        said = f"The log does not cover 90 days yet: {advice.waits} days more."
        return Answer(data, ["Nothing is proposed.", said])
    return Answer(data, _lines(found) or ["Nothing is proposed: every right that shows is used."])


def _told(p: Proposal) -> Mapping[str, Any]:
    return {
        "id": p.id, "category": p.category, "before": p.before, "after": p.after,
        "accounts": len(p.accounts), "roles": list(p.whole), "rights": len(p.rights),
        "denied": p.replay.count,
        "reads": [
            {"role": d.role, "purpose": d.purpose, "action": d.action,
             "categories": sorted(d.categories), "count": d.count,
             "times": [zulu(at) for at in d.times]}
            for d in p.replay.denied
        ],
    }  # fmt: skip


def _lines(found: Sequence[Proposal]) -> list[str]:
    out = []
    for p in found:
        seen = f"{p.before} people can see {called(p.category)}, then {p.after}"
        out.append(f"{p.id}  {seen}; {len(p.accounts)} did not use it.")
        out += [f"    {line}" for line in would(p.replay)]
    return out


def would(replay: Replay) -> list[str]:
    """Say which reads would have been denied; nobody is named."""
    if not replay.count:
        return [f"It would have denied none of {words.number(replay.reads)} reads."]
    count = "1 read" if replay.count == 1 else f"{replay.count} reads"
    return [
        f"It would have denied {count}:",
        *(
            f"  {zulu(at)}  {d.role}, {d.purpose}, {', '.join(sorted(d.categories))}"
            for d in replay.denied
            for at in d.times[:SHOWN]
        ),
    ]


# Temporary rights


def ask(call: Call, told: Mapping[str, str], holder: str) -> Answer:
    """Ask for a right for a while."""
    with call.opened() as ws:
        actor = call.actor(ws)
        who = _listed(ws, holder) if holder else actor
        made = granting.ask(rights.bench(ws), rights.wanted(ws, who, told), actor)
    return Answer(_grant(made), [f"Asked: {made.id}. Somebody else must agree within 24 hours."])


def glass(call: Call, told: Mapping[str, str]) -> Answer:
    """Take a right at once, for at most an hour; the officer is told."""
    with call.opened() as ws:
        actor = call.actor(ws)
        made = granting.break_glass(rights.bench(ws), rights.wanted(ws, actor, told), actor)
    return Answer(
        _grant(made),
        [f"The glass is broken: {made.id}. It ends by itself at {zulu(made.until)}.",
         "The alarm is raised, and customers see that it was an emergency."],
    )  # fmt: skip


def _listed(ws: app.Workspace, text: str) -> Actor:
    who = read_who(text)
    if who not in access.everybody(app.office(ws)):
        raise InvalidInput("--for names nobody of this role", "list them under [roles]")
    return who


def approve(call: Call, ident: str) -> Answer:
    """Agree to a request."""
    with call.opened() as ws:
        done = granting.approve(rights.bench(ws), ident, call.actor(ws))
    return Answer(_grant(done), [f"Agreed. It ends by itself at {zulu(done.until)}."])


def refuse(call: Call, ident: str, note: str) -> Answer:
    """Say no to a request."""
    with call.opened() as ws:
        done = granting.refuse(rights.bench(ws), ident, call.actor(ws), note)
    return Answer(_grant(done), ["Refused."])


def end(call: Call, ident: str) -> Answer:
    """End a right now, or withdraw a request."""
    with call.opened() as ws:
        done = granting.end(rights.bench(ws), ident, call.actor(ws))
    return Answer(_grant(done), ["Ended. It gives nothing any more."])


def listed(call: Call) -> Answer:
    """List temporary rights, newest first."""
    with call.opened() as ws, ws.store.look() as view:
        found, now = granting.every(view), view.now
    data = {"grants": [_grant(g) for g in found]}
    if not found:
        return Answer(data, ["Nobody asked for a temporary right yet."])
    rows = [(g.id, g.kind, state_of(g, now), g.account, g.purpose, left(g, now)) for g in found]
    return Answer(
        data, columns([("ID", "KIND", "STATE", "ACCOUNT", "PURPOSE", "LEFT"), *rows], "")
    )


def _grant(grant: Grant) -> Mapping[str, Any]:
    return {
        "id": grant.id, "kind": grant.kind, "state": grant.state, "account": grant.account,
        "purpose": grant.purpose, "action": grant.action.value,
        "categories": dict(grant.categories), "reason": grant.reason,
        "until": zulu(grant.until) if grant.until else None,
        "review_due": zulu(Instant(grant.due)) if grant.due else None,
        "verdict": grant.verdict or None,
    }  # fmt: skip


# Reviews


def review(call: Call, todo: str, line: str, word: str) -> Answer:
    """Open a review of standing rights, list its lines, or answer one; or judge an emergency."""
    with call.opened() as ws:
        judged = rights.bench(ws)
        if todo == "begin":
            days = rights.shipped()["review"]["due_days"]
            made = reviews.begin(judged, rights.picture(ws).standing, call.actor(ws), days)
            return Answer(
                {"round": made.id, "lines": made.lines, "due": zulu(made.due)},
                [f"{made.lines} lines. What nobody answers by {zulu(made.due)} ends by itself."],
            )
        if word in {"justified", "unjustified"}:
            looked = granting.review(judged, line, call.actor(ws), word)
            return Answer(_grant(looked), ["Looked at, and recorded."])
        if word:
            ident, _, key = line.partition("/")
            days = rights.shipped()["review"]["defer_days"]
            item = reviews.decide(judged, ident, key, call.actor(ws), word, days)
            return Answer({"line": line, "state": item.state}, [f"{item.state.capitalize()}."])
        return _round(ws)


def _round(ws: app.Workspace) -> Answer:
    with ws.store.look() as view:
        found = next(iter(reviews.rounds(view)), None)
        lines = reviews.items(view, found.id) if found else []
    data = {
        "round": found.id if found else None,
        "lines": [
            {"line": f"{i.round}/{i.key}", "account": i.account, "category": i.category,
             "uses": list(i.uses), "state": i.state, "due": zulu(i.due)}
            for i in lines
        ],
    }  # fmt: skip
    if not lines:
        return Answer(data, ["No review was opened yet: troth access review --begin"])
    rows = [(f"{i.round}/{i.key}", i.account, called(i.category), i.state) for i in lines]
    return Answer(data, columns([("LINE", "ACCOUNT", "CAN SEE", "STATE"), *rows], ""))
