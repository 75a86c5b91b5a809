"""Why somebody of the staff may or may not use something, and the nearest change that would do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from troth import app
from troth.app import access_explain
from troth.capabilities.access.cases import reference
from troth.capabilities.access.explaining import Change, Explained
from troth.errors import InvalidInput
from troth.kernel import gate
from troth.surfaces.commands.answer import Answer
from troth.surfaces.commands.call import (
    Call,
    book_reading,
    look_for,
    reasons_data,
    reasons_said,
    refused,
    seek,
)
from troth.terms import (
    Action,
    Actor,
    Channel,
    Claim,
    PersonId,
    Refusal,
    Role,
    UseRequest,
)

_CHANGES = {
    "reason": "name the reason {to}, which contains this person",
    "categories": "ask for {to} alone",
    "channel": "use the channel {to}",
    "purpose": "state the purpose {to}, if that is what it is for",
    "action": "{to} instead, if that does",
    "grant": "ask for a temporary right to {to}; somebody else must agree to it",
    "role": "let a colleague of the role {to} do it",
}
_FIELDS = ("explanation",)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as it is written on a command line.

    Attributes:
        role: ROLE or ROLE:ID of who would use it.
        person: Outside id or address of the person, "" asks about the claim alone.
        reason: The case, campaign, audience or request that is named, or "".
    """

    role: str
    purpose: str
    action: str
    categories: Sequence[str] = ()
    person: str = ""
    reason: str = ""
    channel: str = ""


def explain(call: Call, question: Question) -> Answer:
    """Judge a use and say what decided; about a person it is recorded as a look first."""
    action = _word(question.action, Action, "ACTION")
    channel = _word(question.channel, Channel, "--channel") if question.channel else None
    question = replace(question, reason=reference(question.reason) if question.reason else "")
    with call.opened() as ws:
        actor = _actor(ws, question.role)
        person = None
        if question.person:
            looked = _looked_up(call, ws, question)
            if isinstance(looked, Refusal):
                return refused(looked, "You may not be told about this person:")
            person = looked
        with ws.store.look() as view:
            asked = UseRequest(
                actor,
                person,
                question.purpose,
                Action(action),
                Channel(channel) if channel else None,
                frozenset(question.categories),
                view.now,
                ws.settings.brand,
                reason=question.reason,
            )
            found = access_explain.explain_use(ws, view, asked)
    return _said(found, question.categories)


def _word(text: str, known: type[Action] | type[Channel], place: str) -> str:
    if text not in {each.value for each in known}:
        raise InvalidInput(f"{place} is none there is", f"use one of {', '.join(known)}")
    return text


def _actor(ws: app.Workspace, text: str) -> Actor:
    """Return who would act: the colleague named, or one of that role."""
    word, _, name = text.partition(":")
    if word not in {each.value for each in access_explain.STAFF}:
        raise InvalidInput(
            "--as-role names no role of the staff",
            f"use ROLE or ROLE:ID with one of {', '.join(access_explain.STAFF)}",
        )
    role = Role(word)
    if name:
        return Actor(role, name)
    found = access_explain.colleague(ws, role)
    if found is None:
        raise InvalidInput("nobody has this role", "list them under [roles] in troth.toml")
    return found


def _looked_up(call: Call, ws: app.Workspace, question: Question) -> PersonId | Refusal:
    """Find somebody and book that they are looked at; who may not ask learns of nobody."""
    reading = seek(call, ws, question.person, look_for(_FIELDS, question.reason))
    if isinstance(reading, Refusal):
        return reading
    return book_reading(ws, reading) or reading.person


def _said(found: Explained, wanted: Sequence[str]) -> Answer:
    answer = found.answer
    data: dict[str, Any] = {
        "allowed": not isinstance(answer, Refusal),
        "rules": list(found.rules),
        "denied": list(found.denied),
        "nearest": _change_data(found.nearest),
    }
    if isinstance(answer, Refusal):
        data["reasons"] = reasons_data(answer.reasons)
        return Answer(data, _no(found, answer), 1)
    data["masks"] = _shown(answer, wanted)
    return Answer(data, _yes(found, answer, wanted))


def _shown(answer: Claim | gate.Permit, wanted: Sequence[str]) -> dict[str, str]:
    """Return the masks of what was asked for; of everything the claim gives where nothing was."""
    names = wanted or answer.categories
    return {name: answer.categories[name] for name in sorted(names)}


def _yes(found: Explained, answer: Claim | gate.Permit, wanted: Sequence[str]) -> list[str]:
    asked = _shown(answer, wanted)
    shown = ", ".join(f"{name} ({mask})" for name, mask in asked.items()) or "nothing"
    lines = ["Yes.", f"  May use: {shown}."]
    if found.rules:
        lines.append(f"  Decided by: {', '.join(found.rules)}.")
    return lines


def _no(found: Explained, answer: Refusal) -> list[str]:
    lines = ["No:", *reasons_said(answer)]
    if found.denied:
        lines.append(f"  The policy does not give: {', '.join(found.denied)}.")
    lines.append(f"  Decided by: {', '.join(found.rules)}.")
    nearest = found.nearest
    if nearest is None:
        lines.append("  No single change would allow it.")
    else:
        to = ", ".join(nearest.to) or "no category"
        told = _CHANGES[nearest.kind].format(to=to)
        lines.append(f"  The smallest change that would allow it: {told}.")
    return lines


def _change_data(change: Change | None) -> dict[str, Any] | None:
    return None if change is None else {"kind": change.kind, "to": list(change.to)}
