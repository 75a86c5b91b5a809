"""The life of a person's request as a table of allowed moves, and the fold over its steps.

`fulfilled` is reached from `verifying` alone, and only with the digest of a report that passed.
A step that the table does not allow changes nothing, wherever it came from: no order of steps and
no stray one leads around it. `extended` is a mark beside the state, for work goes on under it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from troth.errors import InvalidInput
from troth.kernel import events
from troth.terms import Instant, Role, from_zulu

NEW: Final = ""
NEVER: Final = Instant(0)
FINAL: Final = frozenset({"fulfilled", "denied", "withdrawn", "expired", "linked"})
BESIDE: Final = frozenset({"extended", "asked", "answered", "noted"})
"""Acts that leave the state as it is."""
_ENDS = frozenset({"denied", "withdrawn"})
_EARLY = _ENDS | {"linked", "expired"}
MOVES: Final[Mapping[str, frozenset[str]]] = {
    NEW: frozenset({"opened"}),
    "received": _EARLY | {"identity_pending", "verified"},
    "identity_pending": _EARLY | {"verified"},
    "verified": _EARLY - {"expired"} | {"planned", "blocked"},
    "planned": _ENDS | {"approved", "blocked"},
    "approved": _ENDS | {"executing", "blocked"},
    "executing": frozenset({"verifying", "partial", "blocked"}),
    "verifying": frozenset({"fulfilled", "partial", "executing"}),
    "partial": _ENDS | {"planned", "executing"},
    "blocked": _ENDS | {"planned"},
}
"""State → acts that lead on from it; final states have no entry."""
_WORKING = frozenset({Role.SYSTEM, Role.OFFICER})
_TAKING = _WORKING | {Role.SUPPORT}
ROLES: Final[Mapping[str, frozenset[Role]]] = {
    "opened": _TAKING | {Role.PERSON},
    "identity_pending": _TAKING,
    "verified": _TAKING | {Role.PERSON},
    "linked": _TAKING,
    "withdrawn": frozenset({Role.PERSON, Role.OFFICER, Role.SYSTEM}),
    "answered": frozenset({Role.PERSON}),
    "noted": _TAKING,
    "expired": frozenset({Role.SYSTEM}),
    **dict.fromkeys(
        (
            "planned", "approved", "executing", "verifying", "fulfilled", "extended", "blocked",
            "partial", "denied", "asked",
        ),
        _WORKING,
    ),
}  # fmt: skip
"""Act → who may do it."""
WITHOUT_PROOF: Final = frozenset({"objection", "restriction"})
"""Rights that ask for no proof: nobody is harmed where somebody else narrows."""
NEVER_PUT_OFF: Final = WITHOUT_PROOF | {"deletion"}
"""Rights that may be asked for however often: a stop does not wait for a count."""
GROUNDED: Final = frozenset({"denied", "blocked", "extended", "partial"})
SPOKEN: Final = frozenset({"asked", "answered", "noted", "extended"})
REPORTED: Final = "report:"
"""Begins the ground of `fulfilled`; the SHA-256 of the report that passed follows in hex."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a request as recorded.

    Attributes:
        n: Number of its event in the person's chain.
        by: Role and keyed digest of whoever did it.
        due: The day an extension or an approval names; 0 none.
    """

    act: str
    at: Instant
    n: int
    by: str
    ground: str = ""
    text: str = ""
    due: Instant = NEVER

    @property
    def role(self) -> str:
        """Who did it: the role alone."""
        return self.by.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it stands.

    Attributes:
        received: When it came in; its clock runs from here.
        due: First instant after the last day for an answer.
        rule: Id of the rule that sets it.
        extended: Its one extension is used.
        ground: Why it is denied, blocked or partial; of `fulfilled` the digest of its report.
        other: The request it is a duplicate of.
        carried_out: When an approved deletion is carried out; 0 at once, or none.
        steps: Oldest first; those the table does not allow left out.
    """

    id: str
    right: str
    state: str
    received: Instant
    due: Instant
    rule: str
    how: str
    scope: tuple[str, ...] = ()
    given_by: str = "self"
    other: str = ""
    extended: bool = False
    ground: str = ""
    carried_out: Instant = NEVER
    steps: tuple[Step, ...] = ()

    @property
    def open(self) -> bool:
        """Tell whether somebody still owes an answer."""
        return self.state not in FINAL

    def acted(self, act: str) -> Step | None:
        """Return the newest step of a kind, None where there was none."""
        return next((step for step in reversed(self.steps) if step.act == act), None)


@dataclass(frozen=True, slots=True)
class Told:
    """One recorded event of a request: what, when, in which place, by whom."""

    said: events.RequestActed
    at: Instant
    n: int
    by: str


def after(state: str, act: str) -> str:
    """Return the state an act leads to; the same where it does not lead on or is not allowed.

    >>> after("verifying", "fulfilled"), after("executing", "fulfilled")
    ('fulfilled', 'executing')
    """
    if act not in MOVES.get(state, frozenset()):
        return state
    return "received" if act == "opened" else act


def allowed(state: str, act: str, right: str, role: Role) -> bool:
    """Tell whether an act is allowed in a state, of a right, to a role."""
    if role not in ROLES.get(act, frozenset()) or state in FINAL:
        return False
    if act == "identity_pending" and right in WITHOUT_PROOF:
        return False
    return act in (BESIDE if state != NEW else ()) or act in MOVES[state]


def require(request: Request, said: events.RequestActed, role: Role) -> None:
    """Require that a step may be taken now.

    Raises:
        InvalidInput: The table does not allow it, or it lacks its ground, its words or its report.
    """
    act = said.act
    if not allowed(request.state, act, request.right, role):
        raise InvalidInput(
            f"a request that is {request.state.replace('_', ' ')} takes no such step",
            "look at it again: somebody may have moved it",
        )
    if act in GROUNDED and not said.ground:
        raise InvalidInput("this step needs its ground", "choose one of the list")
    if act in SPOKEN and not (said.text or "").strip():
        raise InvalidInput("this step needs its words", "write what the other side is to read")
    if act == "extended" and (request.extended or not said.due):
        raise InvalidInput("a request is extended once, to a named day", "answer by its due date")
    if act == "fulfilled" and not passed(said.ground or ""):
        raise InvalidInput("this request was not verified", "run the check, then close it")


def passed(ground: str) -> bool:
    """Tell whether a ground names a report that passed."""
    digest = ground.removeprefix(REPORTED)
    return ground.startswith(REPORTED) and len(digest) == 64 and digest.isalnum()  # noqa: PLR2004


def fold(told: Iterable[Told]) -> dict[str, Request]:
    """Fold the steps of one person's requests, oldest first; id → request, in order of opening."""
    out: dict[str, Request] = {}
    for each in told:
        held = out.get(each.said.request)
        if held is None and each.said.act == "opened":
            out[each.said.request] = _opened(each)
        elif held is not None:
            out[each.said.request] = _stepped(held, each)
    return out


def _opened(told: Told) -> Request:
    said = told.said
    received = from_zulu(said.occurred_at) if said.occurred_at else told.at
    return Request(
        id=said.request,
        right=said.right,
        state="received",
        received=received,
        due=from_zulu(said.due) if said.due else received,
        rule=said.rule or "",
        how=said.how or "",
        scope=said.scope or (),
        given_by=said.given_by,
        other=said.other or "",
        steps=(_step(told),),
    )


def _step(told: Told) -> Step:
    said = told.said
    due = from_zulu(said.due) if said.due and said.act != "opened" else NEVER
    return Step(said.act, told.at, told.n, told.by, said.ground or "", said.text or "", due)


def _stepped(held: Request, told: Told) -> Request:
    said, step = told.said, _step(told)
    stands = said.act == "fulfilled" and not passed(step.ground)
    if held.state in FINAL or stands or said.right != held.right:
        return held
    if said.act not in BESIDE and said.act not in MOVES[held.state]:
        return held
    if said.act == "extended":
        if held.extended or step.due <= held.due:
            return held
        held = replace(held, extended=True, due=step.due)
    if said.act in GROUNDED - {"extended"} or said.act == "fulfilled":
        held = replace(held, ground=step.ground)
    if said.act == "approved":
        held = replace(held, carried_out=step.due)
    if said.act == "linked":
        held = replace(held, other=said.other or held.other)
    return replace(held, state=after(held.state, said.act), steps=(*held.steps, step))


# The words of the Data Rights Protocol 1.0

_DRP = {
    "received": "open",
    "fulfilled": "fulfilled",
    "withdrawn": "revoked",
    "denied": "denied",
    "expired": "expired",
}


def drp_status(request: Request) -> str:
    """Return the protocol's word for a state; ours are richer."""
    return _DRP.get(request.state, "in_progress")


def drp_reason(request: Request, reasons: Mapping[str, str]) -> str:
    """Return the protocol's reason beside a status, "" where it has none.

    Args:
        request: The request.
        reasons: Ground → the protocol's word.
    """
    if request.state == "denied":
        return reasons.get(request.ground, "other")
    return "need_user_verification" if request.state == "identity_pending" else ""
