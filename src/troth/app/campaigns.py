"""Campaigns from their plan to their last message: what surfaces ask for, and the worker's round.

The path to a message is one: plan, submit, a second person approves, start, waves, hand-over.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

import msgspec

from troth.app.audiences import narrow_to, read_audience, rebuild_reach
from troth.app.channels import Target, deliver_channel
from troth.app.connections import deliver_webhooks
from troth.app.entry import entry_round
from troth.app.segments import segment_limits
from troth.app.sending import deliver, real_micros, real_seconds, renderer
from troth.app.workspace import Workspace
from troth.capabilities import insight, outreach
from troth.capabilities.outreach import holdout, plans, steps, waves
from troth.engines import mail, texts
from troth.errors import Conflict, Fault, InvalidInput, NotFound, Unavailable
from troth.kernel import audience
from troth.kernel.desk import SYSTEM
from troth.ports import View
from troth.terms import Actor, Channel, PersonId, Published, Refusal, Role, zulu

WORKER = Actor(Role.SYSTEM, "worker")
PREVIEW = "outreach.preview"
NAMES = "items"
MARGIN = 100
"""People by which the reachable may exceed what was approved, besides a tenth of it."""
STOPPED = "campaign_stopped"
_MINUTE = 60_000_000
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LABEL = re.compile(
    r"(?:(audience|template|text):)?([a-z0-9][a-z0-9_-]{0,63})(?:@([1-9][0-9]{0,8}))?"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan's writer says; names without a version mean the newest published.

    Attributes:
        audience: `audience:NAME@V` or NAME.
        template: `template:NAME@V` or NAME; `text:NAME@V` or NAME where the channel is not mail.
    """

    name: str
    audience: str
    template: str
    when: plans.When = field(default_factory=plans.When)
    holdout: int = 0
    note: str = ""
    channel: Channel = Channel.EMAIL


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The numbers of a preview as a page shows them later.

    Attributes:
        expression: Digest of the audience counted; with `sketch`, what later counts are held
            against.
        shown: False where another count of nearly the same people would tell of the few between.
    """

    candidates: int
    reachable: int
    by_level: dict[str, int]
    refused: dict[str, int]
    at: str
    expression: str = ""
    sketch: bytes = b""
    shown: bool = True


def audience_of(opened: Workspace, label: str) -> tuple[str, audience.Audience]:
    """Return an audience and its full label: the version named, else the newest.

    Raises:
        NotFound: There is none of this name or version.
        InvalidInput: It names what may not be named any more.
    """
    name, version = _parts(label, "audience")
    wanted = read_audience(opened, f"{name}@{version}" if version else name)
    with opened.store.look() as view:
        newest = insight.versions(view, name)[-1].version
    return f"audience:{name}@{version or newest}", wanted


def template_of(view: View, label: str, channel: Channel = Channel.EMAIL) -> Published:
    """Return a published template, or text of another channel: the version named, else the newest.

    Raises:
        NotFound: There is none of this name or version.
    """
    kind = "template" if channel is Channel.EMAIL else "text"
    name, version = _parts(label, kind)
    found = _version(view, f"{kind}:{name}", version)
    if found is None:
        raise NotFound(f"no {kind} {name} is published", "write it, then run: troth apply")
    return found


def _parts(label: str, kind: str) -> tuple[str, int]:
    found = _LABEL.fullmatch(label)
    if found is None or found[1] not in (None, kind):
        raise InvalidInput(f"the {kind} is no name", "use small letters, digits, - and _")
    return found[2], int(found[3] or 0)


def _version(view: View, name: str, version: int) -> Published | None:
    if not version:
        return view.published(name)
    every = view.published_all(name)
    return next((p for p in every if (p.name, p.version) == (name, version)), None)


def draft(opened: Workspace, asked: Asked, actor: Actor) -> plans.Life | Refusal:
    """Write a plan or change it; see `steps.draft`.

    Raises:
        NotFound: Audience or template is not there.
        InvalidInput: A value is malformed, or the template uses what its purpose does not list.
        Conflict: The campaign has begun or is over.
    """
    if not _NAME.fullmatch(asked.name):
        raise InvalidInput("the campaign is no name", "use small letters, digits, - and _")
    label, wanted = audience_of(opened, asked.audience)
    with opened.store.look() as view:
        template = template_of(view, asked.template, asked.channel)
        purpose = opened.desk.house(view).purposes.get(wanted.purpose)
    if purpose is not None and asked.channel not in purpose.channels:
        raise InvalidInput(
            f"the purpose {purpose.name} does not use this channel", "name it in its channels"
        )
    _require_meant(template, asked.channel, wanted.purpose)
    beyond = _categories(template, asked.channel)
    beyond -= purpose.categories if purpose else frozenset()
    if beyond:
        raise InvalidInput(
            f"the template uses {', '.join(sorted(beyond))}, which its purpose does not list",
            "leave them out of the template or add them to the purpose",
        )
    plan = plans.Plan(
        name=asked.name,
        audience=label,
        expression=audience.digest(wanted),
        template=template.label,
        purpose=wanted.purpose,
        channel=asked.channel,
        when=asked.when,
        holdout=asked.holdout,
        note=asked.note,
    )
    return steps.draft(opened.desk, plan, actor)


def _require_meant(template: Published, channel: Channel, purpose: str) -> None:
    """Require that a message is sent for the purpose it was written for, if it names one."""
    if channel is not Channel.EMAIL:
        return
    meant = mail.parse_template(template.data.decode()).purpose
    if meant and meant != purpose:
        raise InvalidInput(
            f"this message was written for the purpose {meant}, the audience is for {purpose}",
            f"choose a message for {purpose}, or an audience for {meant}",
        )


def _categories(template: Published, channel: Channel) -> frozenset[str]:
    """Return every category a template or text can show."""
    raw = template.data.decode()
    if channel is Channel.EMAIL:
        return mail.parse_template(raw).categories
    read = texts.parse_text(raw)
    if channel not in read.bodies:
        raise InvalidInput(f"the text {read.name} has no body for {channel}", "write one")
    return read.categories


def submit(opened: Workspace, name: str, actor: Actor) -> plans.Life | Refusal:
    """Count whom it would reach now, and ask for approval of exactly that.

    Raises:
        NotFound: There is no such campaign.
        Conflict: It is not a draft.
    """
    with opened.store.look() as view:
        plan = steps.plan_of(view, name)
        plans.require(steps.read_life(view, name), plans.Step.SUBMITTED)
    return steps.submit(opened.desk, name, recount(opened, plan, actor).reachable, actor)


def recount(opened: Workspace, plan: plans.Plan, actor: Actor) -> outreach.Preview:
    """Preview a plan now and keep the numbers for its page; one house event.

    Raises:
        Conflict: Its audience is not what the plan was written with.
    """
    people = _candidates(opened, plan)
    with opened.store.look() as view:
        campaign = campaign_of(opened, view, plan)
    found = outreach.preview(opened.desk, campaign, people, actor)
    kept = Foreseen(
        found.candidates,
        found.reachable,
        {str(level): n for level, n in found.by_level.items()},
        {str(code): n for code, n in found.refused.items()},
        zulu(found.at),
        plan.expression,
        marks := _sketch(opened, people),
        _may_show(opened, plan, marks, actor),
    )
    with opened.store.book() as tx:
        tx.put_row(PREVIEW, plan.name.encode(), msgspec.json.encode(kept))
    return found


def _sketch(opened: Workspace, people: Sequence[PersonId]) -> bytes:
    from troth.adapters.reach.standing import sketch

    return sketch(people, insight.sketch_key(opened.desk))


def _may_show(opened: Workspace, plan: plans.Plan, marks: bytes, actor: Actor) -> bool:
    """Say whether no segment or campaign of nearly the same people was counted and shown."""
    limits = segment_limits(opened)
    with opened.store.look() as view:
        if insight.beside(opened.desk, view, actor, (plan.expression, marks), limits):
            return False
        for name in steps.lives(view):
            other = preview_of(view, name) if name != plan.name else None
            if (
                other is not None
                and other.shown
                and other.expression != plan.expression
                and insight.near(marks, other.sketch, limits.k)
            ):
                return False
    return True


def preview_of(view: View, name: str) -> Foreseen | None:
    """Return the numbers of the last preview, None before the first."""
    raw = view.row(PREVIEW, name.encode())
    return msgspec.json.decode(raw, type=Foreseen) if raw else None


def campaign_of(opened: Workspace, view: View, plan: plans.Plan) -> outreach.Campaign:
    """Return what outreach sends for a plan: the very template version it names."""
    template = template_of(view, plan.template, plan.channel)
    return outreach.Campaign(
        plan.name, plan.purpose, plan.expression, template, opened.sender(), plan.channel
    )


def _candidates(opened: Workspace, plan: plans.Plan) -> list[PersonId]:
    """Narrow; the first time the engine's copy is built."""
    _, wanted = audience_of(opened, plan.audience)
    if audience.digest(wanted) != plan.expression:
        raise Conflict("the audience is not what the plan was written with", "plan it anew")
    if opened.reach().current() is None:
        rebuild_reach(opened, SYSTEM)
    return narrow_to(opened, wanted)


def start(opened: Workspace, name: str, actor: Actor) -> plans.Life | Refusal:
    """Start an approved campaign, or give it back where what was approved no longer holds.

    Raises:
        NotFound: There is no such campaign.
        Conflict: It is not approved, or was given back just now; says why.
    """
    with opened.store.look() as view:
        plan, life = steps.plan_of(view, name), steps.read_life(view, name)
        plans.require(life, plans.Step.STARTED)
    try:
        reachable = recount(opened, plan, actor).reachable
    except Conflict as fault:
        steps.give_back(opened.desk, name, fault.message, actor)
        raise
    approved = life.count if life else 0
    if reachable > approved + max(MARGIN, approved // 10):
        said = f"{reachable} people can be reached by now, {approved} were approved"
        steps.give_back(opened.desk, name, said, actor)
        raise Conflict(said, "submit it again")
    return steps.move(opened.desk, name, plans.Step.STARTED, actor)


# The worker


@dataclass(slots=True)
class Sending:
    """Who sends, and by which relay; what was learnt for a campaign is learnt once.

    Attributes:
        relay: Host and port, None for the workspace's own.
        watch: Told a task's name and how far it is.
        target: Where a channel other than mail delivers; None is its provider of `troth.toml`.
    """

    opened: Workspace
    relay: tuple[str, int] | None = None
    actor: Actor = WORKER
    watch: Callable[[str, int], None] = lambda _name, _done: None
    target: Target | None = None
    _shelves: dict[str, outreach.Shelf] = field(default_factory=dict)

    def shelf(self, name: str) -> outreach.Shelf:
        """Return names of ordinary items and who shops alike, learnt once a campaign."""
        held = self._shelves.get(name)
        if held is None:
            held = self._shelves[name] = shelf(self.opened)
        return held

    def advance(self, name: str) -> bool:
        """Take a running campaign one wave further; True where more can be done right now.

        Messages that wait go first: while the relay does not answer, nobody else is booked.

        Raises:
            Unavailable: The relay cannot be reached, or another worker hands over; repeat later.
        """
        opened, desk = self.opened, self.opened.desk
        with opened.store.look() as view:
            plan, life = steps.plan_of(view, name), steps.read_life(view, name)
            if life is None or life.stage is not plans.Stage.RUNNING:
                return False
            steps.require_bound(view, name, life)
            campaign = campaign_of(opened, view, plan)
            tally = waves.read_tally(view, name)
        campaign = replace(campaign, until=plan.when.last(life.begun))
        if not tally.queued:
            people = _candidates(opened, plan)
            held = holdout.standing(desk, people, plan.channel, plan.holdout)
            holdout.keep(desk, campaign, held, self.actor)
            waves.queue(desk, plan, life, people, self.actor, held)
        self._hand_over(campaign)
        filler = renderer(opened, campaign, self.shelf(name))
        asked = waves.wave(filler, plan, life, self.actor, real_seconds)
        self.watch("decide and book", asked)
        self._hand_over(campaign)
        return asked > 0 or self._finished(name)

    def _hand_over(self, campaign: outreach.Campaign) -> None:
        with self.opened.store.look() as view:
            before = waves.progress(view, campaign.name)
        if not before.left:
            return
        began, totals = real_micros(), outreach.Handed()
        trouble = ""
        try:
            totals = self._delivered(campaign)
        except Unavailable as fault:
            trouble = fault.message
            raise
        finally:
            self._note(campaign.name, totals, real_micros() - began, trouble)
        self.watch("hand over", totals.handed)

    def _delivered(self, campaign: outreach.Campaign) -> outreach.Handed:
        if campaign.channel is Channel.EMAIL:
            return deliver(self.opened, campaign, self.actor, self.relay)
        return deliver_channel(self.opened, campaign, self.actor, self.target)

    def _note(self, name: str, totals: outreach.Handed, took: int, trouble: str) -> None:
        with self.opened.store.book() as tx:
            tally = waves.read_tally(tx, name)
            tally.withheld = dict(Counter(tally.withheld) + totals.withheld)
            if totals.handed:
                tally.per_minute = max(1, totals.handed * _MINUTE // max(1, took))
            tally.trouble = trouble
            waves.put_tally(tx, name, tally)

    def _finished(self, name: str) -> bool:
        with self.opened.store.look() as view:
            now = waves.progress(view, name)
        if now.waiting or now.left:
            return False
        with suppress(Conflict):  # paused or stopped at this very moment
            steps.move(self.opened.desk, name, plans.Step.FINISHED, self.actor)
        return False

    def wind_down(self, name: str) -> bool:
        """End what a stopped campaign still holds; True where something was left to end."""
        from troth.adapters.smtp import HandoverJournal, SmtpTransport

        opened, s = self.opened, self.opened.settings
        with opened.store.look() as view:
            left = waves.progress(view, name)
            plan = steps.plan_of(view, name)
            campaign = campaign_of(opened, view, plan)
        ended = waves.drain(opened.desk, name) if left.waiting else 0
        if left.left:
            totals, folder = outreach.Handed(), s.record.parent
            with HandoverJournal.free(folder) as log:
                transport = SmtpTransport(s.relay_host, s.relay_port, s.relay_security)
                everyone = partial(HandoverJournal.all, folder)
                courier = outreach.Courier(
                    opened.desk, campaign, transport, log, self.actor, everyone
                )
                for own in chain([log], HandoverJournal.left(folder)):
                    begun, taken = HandoverJournal.read(own.path), HandoverJournal.taken(own.path)
                    courier.recover(begun, totals, taken)
                courier.withdraw(STOPPED, totals)
            self._note(name, totals, 0, "")
            ended += sum(totals.withheld.values())
        return ended > 0


def shelf(opened: Workspace) -> outreach.Shelf:
    """Return what personal lines are made of; learns who shops alike, one house event."""
    with opened.store.look() as view:
        published = view.published(NAMES)
        names = msgspec.json.decode(published.data, type=dict[str, str]) if published else {}
        return outreach.Shelf(names, insight.learn_alike(opened.desk, view, SYSTEM, names))


def tick(sending: Sending) -> Iterator[tuple[str, Fault | None]]:
    """Do one round over all campaigns: start what is due, take what runs further, end the stopped.

    Yields each campaign something was done for, with what kept it from going on, if anything.
    """
    opened = sending.opened
    with opened.store.look() as view:
        held, now = steps.lives(view), view.now
    for name, life in sorted(held.items()):
        try:
            if _round(sending, name, life, due=0 < life.due <= now):
                yield name, None
        except Fault as fault:
            yield name, fault
    try:
        if entry_round(opened, sending.relay):
            yield "letters", None
    except Fault as fault:
        yield "letters", fault
    try:
        if deliver_webhooks(opened):
            yield "webhooks", None
    except Fault as fault:
        yield "webhooks", fault


def _round(sending: Sending, name: str, life: plans.Life, *, due: bool) -> bool:
    if life.stage is plans.Stage.SCHEDULED and due:
        start(sending.opened, name, sending.actor)
        return True
    if life.stage is plans.Stage.RUNNING:
        try:
            return sending.advance(name)
        except Conflict as fault:  # what was approved is not what would be sent
            pausing = plans.Step.PAUSED
            steps.move(sending.opened.desk, name, pausing, sending.actor, fault.message)
            raise
    return life.stage is plans.Stage.STOPPED and sending.wind_down(name)
