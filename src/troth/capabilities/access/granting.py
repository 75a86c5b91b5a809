"""Temporary rights booked: each step an event of the house chain, with its row in one commit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from troth.capabilities.access import grants
from troth.capabilities.access.grants import Grant, Limits, Wanted
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import cases, events
from troth.kernel.claims import ALLOWED_ACTIONS
from troth.kernel.desk import SYSTEM, Desk
from troth.kernel.reasons import told_reasons
from troth.ports import Transaction, View
from troth.terms import SECOND, Actor, Instant, Reason, ReasonCode, Refusal, Role

TABLE: Final = "access.grant"
"""Id → the right as it stands."""
STANDING: Final = "access.granted"
"""Account, a slash, id → the right, while it is neither over nor unanswered."""
OPEN: Final = "access.grant.open"
"""Ids of rights that time may still move."""
APPROVERS: Final = frozenset({Role.OFFICER, Role.IT})
BREAKERS: Final = frozenset({Role.SUPPORT, Role.OFFICER, Role.IT})
HOLDERS: Final = frozenset({Role.MARKETER, Role.SUPPORT, Role.OFFICER, Role.IT})
ID_BYTES = 6
_PAGE = 500
Duties = Callable[[View, str, Grant], frozenset[str]]


def _none(_view: View, _hand: str, _grant: Grant) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Bench:
    """What steps are judged with, put together by `app`.

    Attributes:
        reports: Id of staff → id of whom they report to, as published.
        listed: Accounts of staff that exist right now.
        duties: Which duties somebody has about a right: policy, campaign.
    """

    desk: Desk
    limits: Limits
    reports: Mapping[str, str] = field(default_factory=dict)
    listed: frozenset[str] = frozenset()
    duties: Duties = _none

    def spelt(self, actor: Actor) -> str:
        """Name an account as the house chain does."""
        return self.desk.scribe.actor(actor, self.desk.scribe.house)


def hand(account: str) -> str:
    """Return what stands for a human being, whatever role they act in."""
    return account.partition("/")[2]


# Reading


def find(view: View, ident: str) -> Grant:
    """Return a right.

    Raises:
        NotFound: There is none of this id.
    """
    raw = view.row(TABLE, ident.encode())
    if raw is None:
        raise NotFound("there is no such right", "see: troth access grants")
    return msgspec.json.decode(raw, type=Grant)


def every(view: View) -> list[Grant]:
    """Return every right that ever was asked for, the newest first; costs what there are."""
    return sorted(_all(view, TABLE, b""), key=lambda grant: (-grant.asked, grant.id))


def of_account(view: View, account: str) -> list[Grant]:
    """Return the rights that were given to an account and not ended: one look-up, few rows."""
    return list(_all(view, STANDING, account.encode() + b"/"))


def standing(view: View) -> list[Grant]:
    """Return the rights given to anybody and not ended."""
    return list(_all(view, STANDING, b""))


def _all(view: View, table: str, prefix: bytes) -> Iterator[Grant]:
    after = prefix
    while page := view.rows(table, prefix, after, _PAGE):
        yield from (msgspec.json.decode(raw, type=Grant) for _, raw in page)
        after = page[-1][0]


def _open(view: View) -> list[Grant]:
    out, after = [], b""
    while page := view.rows(OPEN, b"", after, _PAGE):
        out += [find(view, key.decode()) for key, _ in page]
        after = page[-1][0]
    return out


def put(tx: Transaction, grant: Grant) -> None:
    """Write a right's rows; the commit that books its step writes them too."""
    raw, ident = msgspec.json.encode(grant), grant.id.encode()
    tx.put_row(TABLE, ident, raw)
    place = grant.account.encode() + b"/" + ident
    tx.put_row(STANDING, place, raw if grant.state == "active" else None)
    moves = grant.state not in grants.OVER or _owed(grant)
    tx.put_row(OPEN, ident, b"1" if moves else None)


def _owed(grant: Grant) -> bool:
    return bool(grant.due) and not grant.reviewed and not grant.alarmed


# Steps


def ask(bench: Bench, wanted: Wanted, actor: Actor) -> Grant:
    """Ask for a temporary right; it gives nothing until somebody else agrees.

    Raises:
        InvalidInput: What is asked for will not do; nothing is booked.
    """
    grants.check(wanted, bench.limits, "jit")
    ident = _ident(bench)

    def made(view: View, at: Instant) -> tuple[None, Grant]:
        _possible(bench, view, wanted)
        return None, grants.asked(ident, wanted, bench.spelt(actor), at, bench.limits)

    return _book(bench, actor, made)


def break_glass(bench: Bench, wanted: Wanted, actor: Actor) -> Grant:
    """Begin a right at once, for who takes it alone; the alarm is raised in the same breath.

    Raises:
        InvalidInput: No reason is typed, or what is asked for will not do; nothing is booked.
        Conflict: They have such a right already, or nobody looked at an earlier one of theirs yet.
    """
    account = bench.spelt(actor)
    if wanted.account != account or actor.role not in BREAKERS:
        raise InvalidInput("this is no glass of yours to break", "ask for a right instead")
    grants.check(wanted, bench.limits, "glass")
    ident = _ident(bench)

    def made(view: View, at: Instant) -> tuple[None, Grant]:
        _possible(bench, view, wanted)
        _once(view, account, at)
        return None, grants.broken(ident, wanted, account, at, bench.limits)

    done = _book(bench, actor, made)
    bench.desk.record_house(events.AlarmRaised("glass.broken", done.id, account), SYSTEM)
    return done


def _once(view: View, account: str, at: Instant) -> None:
    for held in every(view):
        if held.kind != "glass" or hand(held.account) != hand(account):
            continue
        if held.stands(at):
            raise Conflict("you have broken the glass already", "use that right, or end it")
        if held.due and not held.reviewed:
            raise Conflict("an earlier emergency was not looked at yet", "ask for its review")


def approve(bench: Bench, ident: str, actor: Actor) -> Grant:
    """Agree to a request; the right begins.

    Raises:
        Conflict: This person may not agree to it (the refusal is recorded), or it waits no more.
    """

    def made(view: View, at: Instant) -> tuple[Grant, Grant]:
        before = find(view, ident)
        _apart(bench, view, before, actor)
        _reason_open(view, before.reason)
        return before, grants.approved(before, bench.spelt(actor), at)

    return _recorded(bench, ident, actor, made)


def refuse(bench: Bench, ident: str, actor: Actor, note: str = "") -> Grant:
    """Say no to a request, in words that name nobody. Whoever asked withdraws by `end`.

    Raises:
        Conflict: This role may not (the refusal is recorded), or it waits no more.
        InvalidInput: The note seems to name somebody; nothing is booked.
    """
    grants.require_nameless(note)

    def made(view: View, at: Instant) -> tuple[Grant, Grant]:
        before = find(view, ident)
        if actor.role not in APPROVERS:
            raise _NotApart("only the privacy officer or IT may answer")
        return before, grants.refused(before, bench.spelt(actor), at, note[:200])

    return _recorded(bench, ident, actor, made)


def end(bench: Bench, ident: str, actor: Actor, note: str = "") -> Grant:
    """End a right, or withdraw a request, now: the holder, who asked, the officer or IT may.

    Raises:
        Conflict: They may not, or it is over.
        InvalidInput: The note seems to name somebody; nothing is booked.
    """
    grants.require_nameless(note)

    def made(view: View, at: Instant) -> tuple[Grant, Grant]:
        before, own = find(view, ident), hand(bench.spelt(actor))
        theirs = own in {hand(before.account), hand(before.by)}
        if not theirs and actor.role not in APPROVERS | {Role.SYSTEM}:
            raise Conflict("this right is somebody else's", "ask the privacy officer or IT")
        return before, grants.over(before, "revoked", at, note[:200])

    return _book(bench, actor, made)


def review(bench: Bench, ident: str, actor: Actor, verdict: str) -> Grant:
    """Look back at a break-glass right; one that was not justified raises an alarm.

    Raises:
        Conflict: The reviewer is the holder, or may not; or no review is due.
    """

    def made(view: View, _at: Instant) -> tuple[Grant, Grant]:
        before = find(view, ident)
        _apart(bench, view, before, actor)
        return before, grants.reviewed(before, bench.spelt(actor), verdict)

    done = _recorded(bench, ident, actor, made)
    if verdict == "unjustified":
        bench.desk.record_house(
            events.AlarmRaised("glass.unjustified", done.id, done.account), SYSTEM
        )
    return done


def end_all(bench: Bench, account: str, actor: Actor, note: str = "left") -> list[Grant]:
    """End every right of an account and withdraw its requests: somebody leaves."""
    with bench.desk.store.look() as view:
        held = [g for g in _open(view) if g.account == account and g.state not in grants.OVER]
    return [_over(bench, grant, "revoked", note, actor) for grant in held]


def tend(bench: Bench) -> dict[str, int]:
    """Note what time did: requests lapsed, rights ended, reviews overdue; repeatable.

    What is over by time gives nothing whether or not this ran: it only writes it down. An overdue
    review raises its alarm once.
    """
    with bench.desk.store.look() as view:
        at, due = view.now, _open(view)
        closed = {g.id for g in due if g.state == "active" and _closed(view, g.reason)}
    done = {"lapsed": 0, "ended": 0, "alarms": 0}
    for grant in due:
        if grant.state == "requested" and not grant.waits(at):
            _over(bench, grant, "lapsed", "nobody answered", SYSTEM)
            done["lapsed"] += 1
        elif grant.state == "active" and (grant.id in closed or not grant.stands(at)):
            note = "its reason is closed" if grant.stands(at) else "its time is over"
            _over(bench, grant, "ended", note, SYSTEM)
            done["ended"] += 1
        if grant.unreviewed(at) and not grant.alarmed:
            _alarm(bench, grant.id)
            done["alarms"] += 1
    return done


def _alarm(bench: Bench, ident: str) -> None:
    """Raise the alarm first: a crash after it raises it twice rather than never."""
    with bench.desk.store.look() as view:
        late = find(view, ident)
    bench.desk.record_house(events.AlarmRaised("glass.unreviewed", ident, late.account), SYSTEM)

    def made(view: View, _at: Instant) -> tuple[Grant, Grant]:
        before = find(view, ident)
        return before, replace(before, alarmed=True)

    _book(bench, SYSTEM, made)


def _over(bench: Bench, grant: Grant, state: grants.State, note: str, actor: Actor) -> Grant:
    def made(view: View, at: Instant) -> tuple[Grant, Grant]:
        before = find(view, grant.id)
        return before, grants.over(before, state, at, note)

    return _book(bench, actor, made)


# What steps rest on


class _NotApart(Exception):  # noqa: N818 - said to the person as a Conflict, after it is recorded
    """One person would do what two must."""


def _apart(bench: Bench, view: View, grant: Grant, actor: Actor) -> None:
    """Require another person: of a deciding role, not involved, under nobody who is."""
    own = bench.spelt(actor)
    involved = {hand(grant.account), hand(grant.by)}
    if actor.role not in APPROVERS or own not in bench.listed:
        raise _NotApart("only the privacy officer or IT may answer")
    if hand(own) in involved:
        raise _NotApart("it is your own")
    if involved & above(bench, actor):
        raise _NotApart("you report to whoever asks")
    has, needs = bench.duties(view, hand(own), grant), _asked_of(grant)
    if any(one in has and other in needs for one, other in bench.limits.exclusive):
        raise _NotApart("you wrote the policy or ran the campaign it rests on")


def _asked_of(grant: Grant) -> frozenset[str]:
    answers = grant.state == "requested"
    return frozenset({"grant", "purpose"}) if answers else frozenset({"review"})


def above(bench: Bench, actor: Actor) -> set[str]:
    """Return the hands of everybody an actor reports to, directly or not."""
    out: set[str] = set()
    seen, who = set(), bench.reports.get(actor.id, "")
    while who and who not in seen:
        seen.add(who)
        out.add(hand(bench.spelt(Actor(actor.role, who))))
        who = bench.reports.get(who, "")
    return out


def _possible(bench: Bench, view: View, wanted: Wanted) -> None:
    """Require what no right may widen: the house's own purposes, and an account that exists."""
    house = bench.desk.house(view)
    purpose = house.purposes.get(wanted.purpose)
    role = wanted.account.partition("/")[0]
    if wanted.account not in bench.listed or role not in {each.value for each in HOLDERS}:
        raise InvalidInput("this account may hold no temporary right", "name a colleague's own")
    if purpose is None or wanted.action not in ALLOWED_ACTIONS[purpose.kind]:
        raise InvalidInput("no such purpose is published", "see: troth check")
    if not wanted.categories.keys() <= purpose.categories - house.special:
        raise InvalidInput(
            "the purpose does not cover this data", "no right goes beyond its purpose"
        )
    _reason_open(view, wanted.reason)


def _reason_open(view: View, reason: str) -> None:
    if reason and cases.standing(view, reason) != "open":
        raise InvalidInput("no such case or request is open", "open it first, or correct its id")


def _closed(view: View, reason: str) -> bool:
    return bool(reason) and cases.standing(view, reason) != "open"


def _ident(bench: Bench) -> str:
    return f"g-{bench.desk.randomness.take(ID_BYTES).hex()}"


def _recorded(
    bench: Bench, ident: str, actor: Actor, made: Callable[[View, Instant], tuple[Grant, Grant]]
) -> Grant:
    """Book a step that needs a second person; an attempt by one who may not is recorded first."""
    try:
        return _book(bench, actor, made)
    except _NotApart as no:
        with bench.desk.store.look() as view:
            grant = find(view, ident)
        why = Refusal(
            (Reason(ReasonCode.SEPARATION_OF_DUTY, "access.second_person", "ask_second_person"),)
        )
        said = events.HouseRefused(grant.purpose, grant.action.value, told_reasons(why.reasons))
        bench.desk.record_house(said, actor)
        raise Conflict(f"you may not answer this: {no}", "ask another colleague") from None


def _book(
    bench: Bench,
    actor: Actor,
    made: Callable[[View, Instant], tuple[Grant | None, Grant]],
) -> Grant:
    """Book one step: event and rows in one commit, judged again where others acted."""
    desk = bench.desk
    while True:
        with desk.store.look() as view:
            at = Instant(view.now // SECOND * SECOND)  # events carry whole seconds
            before, after = made(view, at)
            prepared = desk.house_event(view, grants.said(before, after), actor)
        with desk.store.book() as tx:
            if not tx.append(prepared):
                put(tx, after)
                return after


def rebuilt(told: Sequence[tuple[events.AccessActed, str, Instant]]) -> dict[str, Grant]:
    """Make every right again from the house chain's events, oldest first."""
    out: dict[str, Grant] = {}
    for said, by, at in told:
        if said.kind in {"jit", "glass"}:
            out[said.grant] = grants.step(out.get(said.grant), said, by, at)
    return out
