"""Rights of staff, wired: temporary ones, what is withheld, exposure, tightening, reviews."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from troth.app.access_bench import (
    bench,
    labels,
    members,
    note_policy,
    shipped,
    wanted,
    weights,
)
from troth.app.checks import Check
from troth.app.policy import Chain, own_rules
from troth.app.workspace import Workspace
from troth.capabilities.access import (
    exposure,
    granting,
    grants,
    reviews,
    tighten,
    usage,
    withholding,
)
from troth.capabilities.access.exposure import Day, Held, Seen
from troth.capabilities.access.rights_policy import Standing
from troth.capabilities.access.tighten import Log, Proposal, Replay, Window
from troth.capabilities.access.withheld import Right, Withheld
from troth.errors import Conflict, NotFound
from troth.kernel import canaries, events
from troth.kernel.desk import SYSTEM
from troth.ports import StaffPolicy
from troth.terms import DAY, SECOND, Actor, Instant

__all__ = [
    "Advice",
    "Picture",
    "advise",
    "apply",
    "bench",
    "checks",
    "days",
    "end_all",
    "keep",
    "log_of",
    "measure",
    "members",
    "note_policy",
    "picture",
    "shipped",
    "tend",
    "undo",
    "wanted",
    "weights",
    "window",
]
DAYS: Final = "access.exposure"
"""Day, big-endian → how many could see what."""
_REASONS: Final = ("", "case:-", "request:-", "campaign:-", "audience:-")
_KEPT_DAYS = 800
_PEOPLE = 500


# Exposure


@dataclass(frozen=True, slots=True)
class Picture:
    """Who could see what right now, and what the log says of its use.

    Attributes:
        asking: What was asked, of whom.
        held: Every right; `standing`: those that no temporary right gives.
        version: Of what is withheld.
    """

    asking: exposure.Asking
    held: Held
    standing: Held
    seen: Seen
    withheld: Withheld
    version: int
    at: Instant


def picture(opened: Workspace, instead: Withheld | None = None) -> Picture:
    """Ask the decision who could see what; 200,000 rights take some seconds.

    Args:
        opened: The workspace.
        instead: Something else withheld than what is: what would be, then.
    """
    desk, everybody = opened.desk, members(opened)
    chain = _chain(opened)
    with opened.store.look() as view:
        house = desk.house(view)
        now, version = withholding.current(view)
        kept = instead if instead is not None else now
        given: dict[str, list[grants.Grant]] = {}
        for grant in granting.standing(view):
            if grant.stands(view.now):
                given.setdefault(grant.account, []).append(grant)
        kinds = {name: purpose.kind for name, purpose in house.purposes.items()}
        standing = Standing(view.now, kinds, kept, given)
    reasons = _REASONS if own_rules(chain.rights.base) is not None else ("",)
    asking = exposure.Asking(
        house, chain.rights.base, standing, everybody, chain.rights.forbids, reasons
    )
    held = exposure.held(asking)
    apart = exposure.held(_without_grants(asking)) if given else held
    return Picture(asking, held, apart, held.seen(), kept, version, standing.at)


def _without_grants(asking: exposure.Asking) -> exposure.Asking:
    return replace(asking, standing=replace(asking.standing, grants={}))


def _chain(opened: Workspace) -> Chain:
    found = opened.desk.policy
    if not isinstance(found, Chain):
        raise Conflict("this workspace has another staff policy", "open it by troth")
    return found


def window(opened: Workspace, at: Instant) -> Window:
    """Return what counts as unused at a moment."""
    read = shipped()["tighten"]
    with opened.store.look() as view:
        _, log = withholding.known(view)
    since = Instant(at - read["unused_days"] * DAY)
    return Window(since, log, frozenset(read["actions"]), frozenset(read["kinds"]))


def log_of(opened: Workspace, at: Instant, days: int = 0) -> Log:
    """Fold the log of reads of the last days; nobody's person is held of it."""
    span = days or shipped()["tighten"]["replay_days"]
    with opened.store.look() as view:
        kinds = {name: p.kind for name, p in opened.desk.house(view).purposes.items()}
        return tighten.fold(
            usage.uses(view, Instant(max(0, at - span * DAY)), Instant(at + 1)), kinds
        )


# Tightening


@dataclass(frozen=True, slots=True)
class Advice:
    """What could be taken, each with what the log says, and all of it together.

    Attributes:
        used: Rights whose use would show and that were used; of `held` such rights.
        waits: Days until the log covers the window; 0 where it does.
        hidden: Rights whose use leaves no trace here: nothing is said of them.
    """

    picture: Picture
    proposals: tuple[Proposal, ...]
    together: Replay
    held: int
    used: int
    waits: int
    hidden: int


def advise(opened: Workspace, days: int = 0) -> Advice:
    """Propose what to take, replayed over the real log; changes nothing."""
    seen = picture(opened)
    log = log_of(opened, seen.at, days)
    span = window(opened, seen.at)
    with opened.store.look() as view:
        known, begun = withholding.known(view)
    found = tighten.unused(seen.standing, log, known, seen.withheld, span, seen.at)
    proposals = tuple(
        _proposal(seen, log, *each) for each in tighten.propose(found, seen.standing)
    )
    every = [right for each in proposals for right in each.rights]
    total, used = tighten.used_of(seen.standing, log, span)
    late = begun - span.since if begun else seen.at - span.since
    return Advice(
        seen,
        proposals,
        _replayed(seen, log, every),
        total,
        used,
        max(0, -(-late // DAY)),
        seen.standing.count - total,
    )


def _proposal(
    seen: Picture, log: Log, category: str, rights: list[Right], accounts: frozenset[str]
) -> Proposal:
    then = seen.withheld.more(rights)
    after = exposure.held(_under(seen.asking, then)).seen()
    return Proposal(
        tighten.ident(rights),
        category,
        tuple(rights),
        accounts,
        tuple(sorted({r.whom for r in rights if "/" not in r.whom})),
        seen.seen.e(category),
        after.e(category),
        _replayed(seen, log, rights),
    )


def _under(asking: exposure.Asking, kept: Withheld) -> exposure.Asking:
    return replace(asking, standing=replace(asking.standing, withheld=kept))


def _replayed(seen: Picture, log: Log, rights: Iterable[Right]) -> Replay:
    actors = {member.account: member.actor for member in seen.asking.members}
    asking = _without_grants(seen.asking)

    def ask(kept: Withheld) -> StaffPolicy:
        return exposure.rights_of(_under(asking, kept))

    now = seen.withheld
    return tighten.replay(log, asking.house, actors, ask, now, now.more(rights), seen.at)


def apply(opened: Workspace, actor: Actor, idents: Sequence[str]) -> withholding.Done:
    """Take what proposals say, exactly as they stand; () takes all of them.

    Raises:
        Conflict: A proposal is not what it was any more, or the role may not.
    """
    advice = advise(opened)
    by_id = {each.id: each for each in advice.proposals}
    if not set(idents) <= by_id.keys():
        raise Conflict("the proposal changed since", "look at it again")
    chosen = [by_id[each] for each in idents or by_id]
    rights = [right for each in chosen for right in each.rights]
    if not rights:
        raise NotFound("nothing is proposed", "rights are proposed once nobody used them")
    denied = _replayed(advice.picture, log_of(opened, advice.picture.at), rights).count
    accounts = frozenset[str]().union(*(each.accounts for each in chosen))
    counts = {"rights": len(rights), "accounts": len(accounts), "denied": denied}
    return withholding.tighten(opened.desk, actor, rights, counts)


def undo(opened: Workspace, actor: Actor, version: int = 0) -> withholding.Done:
    """Publish the version before the newest one again."""
    with opened.store.look() as view:
        newest = withholding.current(view)[1]
    roles = [role for role, ids in opened.settings.staff.items() if actor.id in ids]
    return withholding.restore(opened.desk, actor, version or newest, roles)


def keep(opened: Workspace, actor: Actor, ident: str) -> withholding.Done:
    """Keep what a proposal would take from being proposed for some months."""
    found = next((p for p in advise(opened).proposals if p.id == ident), None)
    if found is None:
        raise Conflict("the proposal changed since", "look at it again")
    with opened.store.look() as view:
        until = Instant((view.now // SECOND + shipped()["tighten"]["pin_days"] * 86_400) * SECOND)
    return withholding.pin(opened.desk, actor, found.rights, until)


# Day by day


def measure(opened: Workspace) -> Day:
    """Count how it stands and keep the day's figures; a house event comes first."""
    seen = picture(opened)
    with opened.store.look() as view:
        size = view.log.size
    told = events.SetProcessed("report", "exposure", size, {}, "")
    opened.desk.record_house(told, SYSTEM)
    people = _people(opened, seen.seen.categories())
    log, span = (
        log_of(opened, seen.at, shipped()["tighten"]["unused_days"]),
        window(opened, seen.at),
    )
    total, used = tighten.used_of(seen.standing, log, span)
    weight, other = weights()
    day = Day(
        seen.at,
        {c: seen.seen.e(c) for c in seen.seen.categories()},
        {c: dict(seen.seen.roles(c)) for c in seen.seen.categories()},
        people,
        sum(exposure.weigh(seen.seen, people, weight, other).values()),
        total,
        used,
    )
    withholding.note_first(opened.desk, seen.standing)
    with opened.store.book() as tx:
        tx.put_row(DAYS, (seen.at // DAY).to_bytes(4, "big"), msgspec.json.encode(day))
    return day


def _people(opened: Workspace, categories: Sequence[str]) -> dict[str, int]:
    """Count people by category: of fields that hold a value; of activity, everybody on file."""
    label = labels()
    fields = [name for name, category in label.items() if category in categories]
    out, total, after = dict.fromkeys(categories, 0), 0, None
    with opened.store.look() as view:
        invented = canaries.ids(view)
    while True:
        with opened.store.look() as view:
            page = view.people(after, _PEOPLE)
            if not page:
                break
            real = [each for each in page if each not in invented]
            rows = view.sealed(real, fields)
        total, after = total + len(real), page[-1]
        for held in rows.values():
            for category in {label[row.field] for row in held}:
                out[category] += 1
    fielded = set(label.values())
    return {c: count if c in fielded else total for c, count in out.items()}


def days(opened: Workspace, last: int = 90) -> list[Day]:
    """Return the figures kept, oldest first."""
    with opened.store.look() as view:
        rows = view.rows(DAYS, b"", b"", _KEPT_DAYS)
    return [msgspec.json.decode(raw, type=Day) for _, raw in rows][-last:]


def tend(opened: Workspace) -> dict[str, int]:
    """Do what time asks for: end what is over, raise what is late, count once a day.

    The day it is first seen only notes who has what; nothing is done before a house is published.
    """
    with opened.store.look() as view:
        if view.published("house") is None:
            return {}
        today, begun = view.now // DAY, withholding.known(view)[1]
        counted = view.row(DAYS, today.to_bytes(4, "big")) is not None
    judged = bench(opened)
    done = granting.tend(judged)
    done["silent"] = reviews.tend(judged)
    if not begun:
        withholding.note_first(opened.desk, picture(opened).standing)
    elif not counted and begun // DAY != today:
        measure(opened)
    return done


def end_all(opened: Workspace, actor: Actor, account: str) -> int:
    """End every temporary right of an account and withdraw its requests; return how many."""
    return len(granting.end_all(bench(opened), account, actor))


# How it stands


def checks(opened: Workspace) -> list[Check]:
    """Say how rights stand: emergencies looked at, reviews answered, unused rights."""
    with opened.store.look() as view:
        late = sum(g.unreviewed(view.now) for g in granting.every(view) if g.kind == "glass")
        over = reviews.overdue(view)
    kept = days(opened, 1)
    return [
        Check(
            "access.glass", "used", "Emergencies are looked at", "bad" if late else "good",
            f"{late} not looked at in time" if late else "none waits too long",
            "an officer or IT reviews it at /console/access" if late else "",
        ),
        Check(
            "access.reviews", "used", "Reviews of rights are answered", "bad" if over else "good",
            f"{over} lines are overdue" if over else "none is overdue",
            "run the worker: silence ends the rights" if over else "",
        ),
        _unused(kept),
    ]  # fmt: skip


def _unused(kept: Sequence[Day]) -> Check:
    title = "Rights are used"
    if not kept:
        return Check("access.unused", "used", title, "unknown", "nothing was counted yet",
                     "run the worker, or: troth access exposure")  # fmt: skip
    day = kept[-1]
    said = f"{day.used} of {day.held} rights that show in the log were used in 90 days"
    return Check("access.unused", "used", title, "good" if day.held else "unknown", said)
