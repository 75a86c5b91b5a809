"""Sending a campaign in waves: who is asked when, by each reader's own clock, and what is left.

At its start the candidates are narrowed once, some are held out, and each of the others becomes a
job that is due at the reader's own time. A wave takes those who are due and books them; who may
not be written to at this hour is asked again when their hours open, within the campaign's window.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from troth.capabilities.outreach import holdout
from troth.capabilities.outreach.booking import book, job_kind
from troth.capabilities.outreach.model import LEASE, Booked, Judged, Writer
from troth.capabilities.outreach.plans import Life, Plan, Stage
from troth.capabilities.outreach.steps import read_life
from troth.capabilities.outreach.views import members_root
from troth.errors import Conflict
from troth.kernel import events, wishes
from troth.kernel.calendars import next_open
from troth.kernel.desk import Desk
from troth.kernel.predicates import zones_of
from troth.ports import Transaction, View
from troth.terms import Actor, Instant, Job, PersonId, Refusal

ASK = "outreach.ask"
PROGRESS = "outreach.progress"
WAVE = 2_000
CHUNK = 500
OPEN = ("ready", "leased")
held_out = holdout.held_out
ENDS = ("handed", "failed", "unknown", "withheld")


@dataclass(slots=True)
class Tally:
    """What a campaign's worker has counted so far; its jobs hold the rest.

    Attributes:
        queued: The candidates are all in the queue.
        refused: People refused when they were decided on, by first reason.
        withheld: Messages withheld right before their hand-over, by first reason.
        per_minute: Messages handed over a minute, as last measured; 0 not yet.
        trouble: What keeps the worker from going on, or "".
    """

    queued: bool = False
    candidates: int = 0
    held_out: int = 0
    booked: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    withheld: dict[str, int] = field(default_factory=dict)
    per_minute: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign has come, counted from its jobs.

    Attributes:
        waiting: Candidates not decided on yet.
        left: Messages booked and not yet handed over.
        ends: Messages by what became of them.
    """

    tally: Tally
    waiting: int
    left: int
    ends: dict[str, int]

    @property
    def done(self) -> int:
        """People the campaign is finished with."""
        return max(0, self.total - self.waiting - self.left)

    @property
    def total(self) -> int:
        """People it is about, without those held out."""
        return self.tally.candidates - self.tally.held_out

    @property
    def minutes(self) -> int:
        """Estimated minutes to go; 0 where nothing was measured."""
        rate = self.tally.per_minute
        return -(-(self.waiting + self.left) // rate) if rate else 0


def ask_kind(name: str) -> str:
    """Name the kind of the jobs that ask about a campaign's candidates."""
    return f"{ASK}/{name}"


def read_tally(view: View, name: str) -> Tally:
    """Return what the worker has counted; zeros before it began."""
    raw = view.row(PROGRESS, name.encode())
    return msgspec.json.decode(raw, type=Tally) if raw else Tally()


def put_tally(tx: Transaction, name: str, tally: Tally) -> None:
    """Keep what the worker has counted."""
    tx.put_row(PROGRESS, name.encode(), msgspec.json.encode(tally))


def progress(view: View, name: str) -> Progress:
    """Count how far a campaign has come; costs a few index look-ups a state."""
    asks, mails = ask_kind(name), job_kind(name)
    return Progress(
        read_tally(view, name),
        sum(view.jobs(asks, state) for state in OPEN),
        sum(view.jobs(mails, state) for state in OPEN),
        {state: view.jobs(mails, state) for state in ENDS},
    )


def queue(  # noqa: PLR0913 - a campaign's start
    desk: Desk,
    plan: Plan,
    life: Life,
    people: Sequence[PersonId],
    actor: Actor,
    held: frozenset[PersonId] | None = None,
) -> Tally:
    """Put every candidate who is not held out into the campaign's queue; safe to repeat.

    One house event first: how many candidates, how many held out, the root over all of them.
    `held` names who is, where the caller found out; without it the plan's share is drawn here.
    """
    if held is None:
        held = holdout.standing(desk, people, plan.channel, plan.holdout)
    kept = [p for p in people if p not in held]
    with desk.store.look() as view:
        house_zone, size = desk.house(view).zone, view.log.size
    said = events.SetProcessed(
        work="narrow",
        expression=plan.expression,
        generation=size,
        counts={"candidates": len(people), "held_out": len(people) - len(kept)},
        members=members_root(desk, people),
        purpose=plan.purpose,
        campaign=plan.name,
    )
    desk.record_house(said, actor)
    for start in range(0, len(kept), CHUNK):
        chunk = kept[start : start + CHUNK]
        with desk.store.look() as view:
            known = view.gather(chunk, plan.channel)
        with desk.store.book() as tx:
            for one in known:
                due = plan.when.due(one.record.zone or house_zone, life.begun)
                tx.enqueue(ask_kind(plan.name), one.person.hex(), b"1", one.person, due)
    tally = Tally(queued=True, candidates=len(people), held_out=len(people) - len(kept))
    with desk.store.book() as tx:
        if not read_tally(tx, plan.name).queued:  # else a second worker was as far before
            put_tally(tx, plan.name, tally)
    return tally


def wave(
    renderer: Writer,
    plan: Plan,
    life: Life,
    actor: Actor,
    real_seconds: Callable[[], int],
) -> int:
    """Decide on those whose time has come and book what may go; return how many were asked.

    Nothing is asked unless the campaign runs. Who is only outside their hours is asked again when
    these open, unless the campaign is over for them by then: then the refusal is recorded.
    """
    desk, campaign = renderer.desk, renderer.campaign
    with desk.store.book() as tx:
        if not running(tx, plan.name):
            return 0
        jobs = tx.lease(ask_kind(plan.name), Instant(tx.now + LEASE), WAVE)
    people = {job.person: job for job in jobs if job.person is not None}
    if not people:
        return 0
    totals = book(renderer, list(people), actor, real_seconds)
    later, never = _put_off(plan, life, totals.put_off)
    if never:
        last = replace(campaign, until=Instant(0))
        final = book(renderer.of(last), never, actor, real_seconds)
        totals.refused += final.refused
        totals.booked += final.booked
    _settle(desk, plan.name, people, later, totals)
    return len(people)


def _put_off(
    plan: Plan, life: Life, judged: Sequence[Judged]
) -> tuple[dict[PersonId, Instant], list[PersonId]]:
    """Sort those outside their hours: asked again at a moment, or never in this campaign."""
    later: dict[PersonId, Instant] = {}
    never = []
    for one in judged:
        opens = opening(one)
        house = one.facts.house
        ends = plan.when.ends(one.gathered.record.zone or house.zone, life.begun)
        if opens and opens < ends:
            later[one.gathered.person] = opens
        else:
            never.append(one.gathered.person)
    return later, never


def opening(judged: Judged) -> Instant:
    """Return when every quiet time that refused a person is over; 0 none within a month."""
    if not isinstance(judged.answer, Refusal):
        return Instant(0)
    at = opens = judged.request.at
    times = [_quiet_time(judged, reason.rule) for reason in judged.answer.reasons]
    for _ in times:  # each later opening is asked of all the others again
        for over in times:
            opens = over(opens)
            if not opens:
                return opens
    return opens if opens > at else Instant(0)


def _quiet_time(judged: Judged, rule: str) -> Callable[[Instant], Instant]:
    """Return what tells when a quiet time is over: one of the law, or the person's own."""
    ruleset, record = judged.facts.house.ruleset, judged.gathered.record
    zones = zones_of(record, judged.facts)
    if rule == wishes.QUIET_RULE and record.wishes and record.wishes.quiet:
        return partial(wishes.quiet_over, record.wishes.quiet, zones)
    return partial(next_open, ruleset.window(ruleset.rule(rule, judged.request.at)), zones)


def _settle(
    desk: Desk,
    name: str,
    people: dict[PersonId, Job],
    later: dict[PersonId, Instant],
    totals: Booked,
) -> None:
    """End the asked jobs, put the others off, and count, in short writes."""
    asked = list(people.items())
    for start in range(0, len(asked), CHUNK):
        with desk.store.book() as tx:
            for person, job in asked[start : start + CHUNK]:
                with suppress(Conflict):  # erased meanwhile, or another worker's by now
                    tx.finish([(job, "asked")])
                    if person in later:
                        times = int(job.payload) + 1
                        key = f"{person.hex()}/{times}"
                        again = str(times).encode()
                        tx.enqueue(ask_kind(name), key, again, person, later[person])
    with desk.store.book() as tx:
        tally = read_tally(tx, name)
        tally.booked += totals.booked + totals.already
        tally.refused = dict(Counter(tally.refused) + totals.refused)
        put_tally(tx, name, tally)


def drain(desk: Desk, name: str) -> int:
    """End what a stopped campaign still had in its queue; nobody was decided on there."""
    ended = 0
    while True:
        with desk.store.book() as tx:
            jobs = tx.lease(ask_kind(name), Instant(tx.now + LEASE), CHUNK)
            tx.finish([(job, "stopped") for job in jobs])
        if not jobs:
            return ended
        ended += len(jobs)


def running(view: View, name: str) -> bool:
    """Tell whether a planned campaign may send at this moment."""
    life = read_life(view, name)
    return life is not None and life.stage is Stage.RUNNING
