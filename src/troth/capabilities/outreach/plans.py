"""A campaign's plan and its life: what is decided on, whose hands were on it, what may follow.

A plan is published as `campaign:NAME`, canonical JSON, each change a new version. An approval
binds the digest of what was decided on; whoever wrote a plan does not approve it. Which stage
allows which act stands in one table, `FOLLOWS`; nothing here reads or writes the record.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum

import msgspec

from troth import crypto
from troth.errors import Conflict, InvalidInput
from troth.kernel.calendars import MINUTE, zone
from troth.kernel.events import canonical
from troth.terms import Channel, Instant, from_zulu, instant

PREFIX = "campaign:"
HOLDOUT_MAX = 50
WINDOW_MAX = 30 * 24 * 60
WINDOW = 2 * 24 * 60
NOTE_MAX = 300
NEVER = Instant(0)
_EARLIEST, _LATEST = "Etc/GMT-14", "Etc/GMT+12"
"""Where a local time comes first on earth, and where it comes last."""


class Stage(StrEnum):
    """Where a campaign stands."""

    DRAFTED = "drafted"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    RETURNED = "returned"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"


class Step(StrEnum):
    """An act in a campaign's life, as its event names it."""

    DRAFTED = "drafted"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    RETURNED = "returned"
    SCHEDULED = "scheduled"
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"
    FINISHED = "finished"
    TESTED = "tested"


OVER = frozenset({Stage.STOPPED, Stage.FINISHED})
BEFORE_START = frozenset(Stage) - OVER - {Stage.RUNNING, Stage.PAUSED}
FOLLOWS: Mapping[Step, frozenset[Stage]] = {
    Step.DRAFTED: BEFORE_START,
    Step.SUBMITTED: frozenset({Stage.DRAFTED, Stage.RETURNED}),
    Step.APPROVED: frozenset({Stage.SUBMITTED}),
    Step.RETURNED: frozenset({Stage.SUBMITTED, Stage.APPROVED, Stage.SCHEDULED}),
    Step.SCHEDULED: frozenset({Stage.APPROVED}),
    Step.STARTED: frozenset({Stage.APPROVED, Stage.SCHEDULED}),
    Step.PAUSED: frozenset({Stage.SCHEDULED, Stage.RUNNING}),
    Step.RESUMED: frozenset({Stage.PAUSED}),
    Step.STOPPED: frozenset(Stage) - OVER,
    Step.FINISHED: frozenset({Stage.RUNNING}),
    Step.TESTED: frozenset(Stage),
}
"""Act → stages it may follow; a first draft follows none of them."""
APPROVED_ONLY = frozenset({Step.SCHEDULED, Step.STARTED, Step.RESUMED})
_BECOMES: Mapping[Step, Stage] = {
    Step.SUBMITTED: Stage.SUBMITTED,
    Step.APPROVED: Stage.APPROVED,
    Step.SCHEDULED: Stage.SCHEDULED,
    Step.STARTED: Stage.RUNNING,
    Step.STOPPED: Stage.STOPPED,
    Step.FINISHED: Stage.FINISHED,
}


@dataclass(frozen=True, slots=True)
class When:
    """When each reader's message may go.

    Attributes:
        mode: now (as soon as it is started), instant, or local (each reader's own clock).
        at: For instant a UTC time ending in Z; for local a wall time such as 2026-11-18T09:00.
        window_minutes: How long after that moment a reader is still tried.
    """

    mode: str = "now"
    at: str = ""
    window_minutes: int = WINDOW

    def due(self, place: str, begun: Instant) -> Instant:
        """Return the first moment for a reader in a zone, of a campaign started at `begun`."""
        if self.mode == "local":
            return instant(_wall(self.at).replace(tzinfo=zone(place)))
        return from_zulu(self.at) if self.mode == "instant" else begun

    def ends(self, place: str, begun: Instant) -> Instant:
        """Return the moment from which a reader in a zone is not tried any more."""
        return Instant(self.due(place, begun) + self.window_minutes * MINUTE)

    def first(self, begun: Instant) -> Instant:
        """Return the first moment of anybody on earth."""
        return self.due(_EARLIEST, begun)

    def last(self, begun: Instant) -> Instant:
        """Return the moment from which nobody on earth is tried any more."""
        return self.ends(_LATEST, begun)


def _wall(text: str) -> datetime:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is not None:
        raise InvalidInput("the local time does not read", "write 2026-11-18T09:00")
    return read


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of what a campaign will do.

    Attributes:
        audience: `audience:NAME@V`.
        expression: SHA-256 of the expression that audience stands for.
        template: `template:NAME@V`.
        holdout: Per cent of the candidates who are not mailed, the same people in every campaign.
        note: What its makers say about how often people hear from them.
        author: Who wrote this version: role and keyed digest, as the house chain writes actors.
    """

    name: str
    audience: str
    expression: str
    template: str
    purpose: str
    channel: Channel = Channel.EMAIL
    when: When = When()
    holdout: int = 0
    note: str = ""
    author: str = ""


def check(plan: Plan) -> Plan:
    """Require what a plan's values may be.

    Raises:
        InvalidInput: One is not; names it.
    """
    if not 0 <= plan.holdout <= HOLDOUT_MAX:
        raise InvalidInput("the holdout is no share", f"keep back 0 to {HOLDOUT_MAX} per cent")
    if plan.when.mode not in {"now", "instant", "local"}:
        raise InvalidInput(
            "the plan names no kind of time", "choose now, a moment or a local time"
        )
    if not 1 <= plan.when.window_minutes <= WINDOW_MAX:
        raise InvalidInput("the window is no length", "give it a minute to 30 days")
    if len(plan.note) > NOTE_MAX:
        raise InvalidInput("the note is too long", f"use at most {NOTE_MAX} characters")
    plan.when.last(Instant(0))
    return plan


def written(plan: Plan) -> bytes:
    """Write a plan as it is published: canonical JSON."""
    return canonical(asdict(plan))


def read_plan(raw: bytes) -> Plan:
    """Read a published plan.

    Raises:
        InvalidInput: It is none.
    """
    try:
        return msgspec.json.decode(raw, type=Plan)
    except msgspec.ValidationError:
        raise InvalidInput("a published plan does not read", "write it anew") from None


def digest(plan: Plan, count: int) -> str:
    """Return what an approval binds: who, what, why, how, when, how many, who is kept back."""
    bound = {
        "campaign": plan.name,
        "audience": plan.audience,
        "expression": plan.expression,
        "template": plan.template,
        "purpose": plan.purpose,
        "channel": plan.channel,
        "when": asdict(plan.when),
        "holdout": plan.holdout,
        "count": count,
    }
    return crypto.sha256(canonical(bound)).hex()


@dataclass(frozen=True, slots=True)
class Life:
    """Where a campaign stands; the fold of its `campaign.acted` events.

    Attributes:
        version: Of the plan as published.
        plan: Digest of what was last written or submitted.
        author: Who wrote the first version, editor: who wrote the newest.
        approver: Who approved, or "".
        approved: The digest the approval binds, or ""; it stands while it equals `plan`.
        count: People who could be reached when it was submitted.
        due: When it starts, 0 where nothing is scheduled.
        before: What a paused campaign was before its pause, or "".
        since: When it came to this stage.
        begun: When it started; 0 while it did not.
        note: What was said with the last act.
    """

    stage: Stage
    version: int
    plan: str
    author: str
    editor: str
    approver: str = ""
    approved: str = ""
    count: int = 0
    due: Instant = NEVER
    before: str = ""
    since: Instant = NEVER
    begun: Instant = NEVER
    note: str = ""

    @property
    def stands(self) -> bool:
        """Tell whether what it says now is what somebody approved."""
        return bool(self.approved) and self.approved == self.plan


def same_hand(one: str, other: str) -> bool:
    """Tell whether two actors are one person, whatever roles they act in."""
    return one.partition("/")[2] == other.partition("/")[2]


_SAID = {
    Stage.DRAFTED: "the campaign is a draft",
    Stage.SUBMITTED: "the campaign waits for a second person",
    Stage.APPROVED: "the campaign is approved",
    Stage.RETURNED: "the campaign was given back",
    Stage.SCHEDULED: "the campaign is scheduled",
    Stage.RUNNING: "the campaign is running",
    Stage.PAUSED: "the campaign is paused",
    Stage.STOPPED: "the campaign was stopped for good",
    Stage.FINISHED: "the campaign is finished",
}
_NEXT = {
    Stage.DRAFTED: "submit it",
    Stage.SUBMITTED: "have a colleague approve it",
    Stage.APPROVED: "schedule or send it",
    Stage.RETURNED: "change and submit it",
    Stage.SCHEDULED: "wait, or pause it",
    Stage.RUNNING: "pause or stop it first",
    Stage.PAUSED: "resume or stop it",
    Stage.STOPPED: "plan another under a new name",
    Stage.FINISHED: "plan another under a new name",
}


def require(life: Life | None, step: Step) -> None:
    """Require that an act may follow the present stage and, where it needs one, an approval.

    Raises:
        Conflict: It may not; says where the campaign stands and what comes next.
    """
    if life is None:
        if step is not Step.DRAFTED:
            raise Conflict("the campaign has no plan", "plan it first")
        return
    if life.stage not in FOLLOWS[step]:
        raise Conflict(_SAID[life.stage], _NEXT[life.stage])
    if step in APPROVED_ONLY and not life.stands:
        raise Conflict("what was approved is not what the plan says", "have it approved again")


def follow(life: Life, step: Step, now: Instant, note: str = "") -> Life:
    """Return the life after an act that only moves it on; `require` was asked before."""
    if step is Step.TESTED:
        return life
    moved = replace(life, since=now, note=note[:NOTE_MAX])
    if step is Step.RESUMED:
        return replace(moved, stage=Stage(life.before), before="")
    if step is Step.PAUSED:
        return replace(moved, stage=Stage.PAUSED, before=str(life.stage))
    if step is Step.RETURNED:
        return replace(moved, stage=Stage.RETURNED, approver="", approved="", due=Instant(0))
    begun = now if step is Step.STARTED else life.begun
    return replace(moved, stage=_BECOMES[step], begun=begun)
