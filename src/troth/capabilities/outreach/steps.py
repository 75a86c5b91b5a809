"""The steps of a campaign's life, each an event of the house chain before it takes effect.

Who writes does not approve: an approval by the first author or the last editor is refused and
the attempt recorded. An approval holds for exactly what was submitted; a change takes it away.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from troth import crypto
from troth.capabilities.outreach.plans import (
    APPROVED_ONLY,
    NOTE_MAX,
    PREFIX,
    Life,
    Plan,
    Stage,
    Step,
    check,
    digest,
    follow,
    read_plan,
    require,
    same_hand,
    written,
)
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events
from troth.kernel.desk import Desk
from troth.kernel.reasons import told_reasons
from troth.ports import View
from troth.terms import (
    Action,
    Actor,
    Channel,
    Instant,
    Reason,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
    zulu,
)

TABLE = "outreach.campaign"
ACTS = "outreach.acts"
APPROVERS = frozenset({Role.MARKETER, Role.OFFICER})
SECOND_PERSON = Refusal(
    (Reason(ReasonCode.SEPARATION_OF_DUTY, "house.second_person", "ask_second_person"),)
)
_SILENT_STEPS = frozenset({Step.PAUSED, Step.STOPPED, Step.FINISHED, Step.TESTED})


@dataclass(frozen=True, slots=True)
class Duty:
    """Whether this house asks for a second person, and why not where it does not."""

    second_person: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """One act as the page of a campaign shows it; the event is in the house chain.

    Attributes:
        hand: Role and keyed digest of who acted.
    """

    act: str
    hand: str
    at: Instant
    note: str = ""


def duty(view: View) -> Duty:
    """Read the house's word on second persons, as published; nothing said means yes.

    Raises:
        InvalidInput: It was waived without a reason.
    """
    house = view.published("house")
    values: dict[str, Any] = tomllib.loads(house.data.decode()) if house else {}
    said = values.get("approval", {})
    if said.get("second_person", True) is not False:
        return Duty(second_person=True)
    reason = str(said.get("reason", "")).strip()
    if not reason:
        raise InvalidInput(
            "troth.toml: [approval] waives the second person without a reason", "write reason"
        )
    return Duty(second_person=False, reason=reason)


def read_life(view: View, name: str) -> Life | None:
    """Return where a campaign stands; None where nothing was planned under this name."""
    raw = view.row(TABLE, name.encode())
    return msgspec.json.decode(raw, type=Life) if raw else None


def halted(view: View, name: str) -> bool:
    """Tell whether a planned campaign may not send now; one without a plan is nobody's to halt."""
    life = read_life(view, name)
    return life is not None and life.stage is not Stage.RUNNING


def lives(view: View) -> dict[str, Life]:
    """Return every campaign by name."""
    out: dict[str, Life] = {}
    after = b""
    while page := view.rows(TABLE, b"", after, 500):
        out |= {key.decode(): msgspec.json.decode(raw, type=Life) for key, raw in page}
        after = page[-1][0]
    return out


def plan_of(view: View, name: str) -> Plan:
    """Return the plan in force: the newest version published.

    Raises:
        NotFound: There is no campaign of this name.
    """
    published = view.published(PREFIX + name)
    if published is None:
        raise NotFound("there is no such campaign", "plan it first")
    return read_plan(published.data)


def draft(desk: Desk, plan: Plan, actor: Actor) -> Life | Refusal:
    """Publish a plan or a changed one; an approval of an earlier version is void from here on.

    Raises:
        InvalidInput: A value is malformed, or nobody is named as its writer.
        Conflict: The campaign has begun or is over.
    """
    no = allowed(desk, plan.purpose, actor, Step.DRAFTED, plan.name)
    if no is not None:
        return no
    with desk.store.look() as view:
        if actor.role is Role.SYSTEM and duty(view).second_person:
            raise InvalidInput("a plan needs a writer who can be named", "act as a marketer")
    hand = desk.scribe.actor(actor, desk.scribe.house)
    mine = check(replace(plan, author=hand))

    def change(_view: View, life: Life | None, now: Instant) -> Life:
        first = life.author if life else hand
        version = life.version + 1 if life else 1
        return Life(Stage.DRAFTED, version, digest(mine, 0), first, hand, since=now)

    return _take(desk, plan.name, Step.DRAFTED, actor, change, mine)


def submit(desk: Desk, name: str, count: int, actor: Actor) -> Life | Refusal:
    """Ask for approval of the plan in force; `count` is how many could be reached now.

    Raises:
        NotFound: There is no such campaign.
        Conflict: It is not a draft.
    """
    with desk.store.look() as view:
        purpose = plan_of(view, name).purpose
    no = allowed(desk, purpose, actor, Step.SUBMITTED, name)
    if no is not None:
        return no

    def change(view: View, life: Life | None, now: Instant) -> Life:
        held = _held(life)
        bound = digest(plan_of(view, name), count)
        moved = follow(held, Step.SUBMITTED, now)
        return replace(moved, plan=bound, count=count, approver="", approved="")

    return _take(desk, name, Step.SUBMITTED, actor, change)


def approve(desk: Desk, name: str, seen: str, actor: Actor) -> Life | Refusal:
    """Approve what was submitted, as a second person; the attempt of a first one is recorded.

    Args:
        desk: The parts.
        name: The campaign.
        seen: Digest of what the approver looked at.
        actor: Who approves.

    Raises:
        NotFound: There is no such campaign.
        Conflict: It waits for no approval, or changed since it was looked at.
    """
    with desk.store.look() as view:
        plan, life, asked = plan_of(view, name), _held(read_life(view, name)), duty(view)
    require(life, Step.APPROVED)
    hand = desk.scribe.actor(actor, desk.scribe.house)
    if asked.second_person:
        no = allowed(desk, plan.purpose, actor, Step.APPROVED, name)
        if no is not None:
            return no
        mine = same_hand(hand, life.author) or same_hand(hand, life.editor)
        if mine or actor.role not in APPROVERS:
            return _refused(desk, plan.purpose, actor, Step.APPROVED, name, SECOND_PERSON)
    note = "" if asked.second_person else f"one person: {asked.reason}"[:NOTE_MAX]

    def change(view: View, held: Life | None, now: Instant) -> Life:
        now_held = _held(held)
        if now_held.plan != seen or now_held.editor != life.editor:
            raise _changed()
        if digest(plan_of(view, name), now_held.count) != seen:
            raise _changed()
        moved = follow(now_held, Step.APPROVED, now, note)
        return replace(moved, approver=hand, approved=seen)

    return _take(desk, name, Step.APPROVED, actor, change)


def give_back(desk: Desk, name: str, reason: str, actor: Actor) -> Life | Refusal:
    """Return a campaign to its writers with a reason; an approval ends.

    Raises:
        InvalidInput: No reason was given.
        NotFound: There is no such campaign.
        Conflict: It cannot be given back at this stage.
    """
    if not reason.strip() or len(reason) > NOTE_MAX:
        raise InvalidInput("giving it back needs a reason", f"write at most {NOTE_MAX} characters")
    return move(desk, name, Step.RETURNED, actor, reason.strip())


def schedule(desk: Desk, name: str, actor: Actor) -> Life | Refusal:
    """Put an approved campaign on the calendar; the worker starts it when it is due.

    Raises:
        NotFound: There is no such campaign.
        Conflict: It is not approved, its approval is void, or its time has passed.
    """
    with desk.store.look() as view:
        plan, now = plan_of(view, name), view.now
    due = plan.when.first(now)
    if plan.when.last(now) <= now:
        raise _passed()

    def change(_view: View, life: Life | None, at: Instant) -> Life:
        return replace(follow(_held(life), Step.SCHEDULED, at), due=due)

    no = allowed(desk, plan.purpose, actor, Step.SCHEDULED, name)
    return no if no is not None else _take(desk, name, Step.SCHEDULED, actor, change)


def move(desk: Desk, name: str, step: Step, actor: Actor, note: str = "") -> Life | Refusal:
    """Take a step that only moves a campaign on: start, pause, resume, stop, finish.

    Pausing and stopping are open to whoever may act at all; they bind the very next hand-over.

    Raises:
        NotFound: There is no such campaign.
        Conflict: The step does not follow the present stage, or its approval is void.
    """
    with desk.store.look() as view:
        plan = plan_of(view, name)
    no = None if step in _SILENT_STEPS else allowed(desk, plan.purpose, actor, step, name)
    if no is not None:
        return no

    def change(_view: View, life: Life | None, now: Instant) -> Life:
        return follow(_held(life), step, now, note)

    return _take(desk, name, step, actor, change, note=note)


def _take(  # noqa: PLR0913 - an act, and what it publishes
    desk: Desk,
    name: str,
    step: Step,
    actor: Actor,
    change: Callable[[View, Life | None, Instant], Life],
    plan: Plan | None = None,
    note: str = "",
) -> Life:
    """Book one act: event, published plan and row in one commit, again where others acted."""
    while True:
        with desk.store.look() as view:
            life = read_life(view, name)
            require(life, step)
            if life is not None and step in APPROVED_ONLY:
                require_bound(view, name, life)
            after = change(view, life, view.now)
            due = zulu(after.due) if after.due and step is Step.SCHEDULED else None
            told = (note or (after.note if step is Step.APPROVED else ""))[:NOTE_MAX]
            said = events.CampaignActed(name, str(step), after.plan, due, told or None)
            prepared = desk.house_event(view, said, actor)
        with desk.store.book() as tx:
            if tx.append(prepared):
                continue
            if plan is not None:
                raw = written(plan)
                tx.publish(PREFIX + name, crypto.sha256(raw).hex(), raw)
            tx.put_row(TABLE, name.encode(), msgspec.json.encode(after))
            done = Done(
                str(step), desk.scribe.actor(actor, desk.scribe.house), prepared[0].at, told
            )
            place = prepared[0].n.to_bytes(8, "big")
            tx.put_row(ACTS, _acts_of(name) + place, msgspec.json.encode(done))
            return after


def _acts_of(name: str) -> bytes:
    return name.encode() + b"/"


def done_so_far(view: View, name: str) -> list[Done]:
    """Return a campaign's acts, oldest first, as the house chain holds them too."""
    rows = view.rows(ACTS, _acts_of(name), b"", 1_000)
    return [msgspec.json.decode(raw, type=Done) for _, raw in rows]


def allowed(desk: Desk, purpose: str, actor: Actor, step: Step, name: str) -> Refusal | None:
    """Ask house and staff policy about the claim alone; a no is recorded before it is given."""
    oversees = actor.role is Role.OFFICER and step in _OFFICER
    action = Action.READ if oversees else Action.SEND
    with desk.store.look() as view:
        house = desk.house(view)
        asked = house.purposes.get(purpose)
        mail = asked is None or Channel.EMAIL in asked.channels or not asked.channels
        channel = Channel.EMAIL if mail or asked is None else min(asked.channels)
        request = UseRequest(
            actor, None, purpose, action, channel, frozenset(), view.now, reason=name
        )
        # overseeing is no use of data: the house has no word on it, the staff policy has
        claim = desk.policy.claim(request) if oversees else desk.claim(request, house)
    if not isinstance(claim, Refusal):
        return None
    return _refused(desk, purpose, actor, step, name, claim)


def unapproved(desk: Desk, purpose: str, actor: Actor, name: str) -> Refusal:
    """Refuse to send what nobody else approved; the attempt is recorded."""
    return _refused(desk, purpose, actor, Step.STARTED, name, SECOND_PERSON)


_OFFICER = frozenset({Step.APPROVED, Step.RETURNED})


def require_bound(view: View, name: str, life: Life) -> None:
    """Require that the plan in force is, value by value, the one that was approved.

    Raises:
        Conflict: It is not.
    """
    if digest(plan_of(view, name), life.count) != life.approved:
        raise Conflict("what was approved is not what the plan says", "have it approved again")


def _changed() -> Conflict:
    return Conflict("the campaign changed since you looked at it", "look at it again")


def _passed() -> Conflict:
    return Conflict("the time of this campaign has passed", "plan another time")


def _refused(  # noqa: PLR0913 - an act, and why not
    desk: Desk, purpose: str, actor: Actor, step: Step, name: str, no: Refusal
) -> Refusal:
    reasons = told_reasons(no.reasons)
    desk.record_house(events.HouseRefused(purpose, str(step), reasons, name), actor)
    return no


def _held(life: Life | None) -> Life:
    if life is None:
        raise NotFound("there is no such campaign", "plan it first")
    return life
