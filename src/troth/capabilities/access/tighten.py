"""Rights nobody used: proposed to be taken, and what the real log says would have been denied.

A right is proposed iff nobody used it within the window, its kind of use leaves a trace in the
log, the log covers the window, neither the right nor its holder is new, and nobody pinned it. A
right whose use is not visible is never called unused.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from troth.capabilities.access.exposure import Held, Use
from troth.capabilities.access.withheld import KIND, Right, Withheld
from troth.kernel.cases import kind_of
from troth.kernel.claims import judge_claim
from troth.kernel.facts import House
from troth.kernel.looking import Use as Logged
from troth.ports import StaffPolicy
from troth.terms import Action, Actor, Claim, Instant, PurposeKind, UseRequest

KEPT: Final = 20
"""Moments kept of reads that were alike, the newest: enough to show, whatever the log's length."""


@dataclass(frozen=True, slots=True)
class Window:
    """What counts as unused.

    Attributes:
        since: The window's first instant; a right used since is used.
        log: From when on the log is kept; 0 never.
        actions: Kinds of use that leave a trace: actions, and kinds of purposes.
    """

    since: Instant
    log: Instant
    actions: frozenset[str]
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """Reads that are alike before the policy; of whom the people were, nothing is held.

    Attributes:
        reason: Kind of the reason it named.
        granted: It rested on a temporary right, which tightening does not touch.
    """

    account: str
    purpose: str
    action: str
    categories: frozenset[str]
    reason: str = ""
    granted: bool = False


@dataclass(slots=True)
class Times:
    """How often something was read, and when last."""

    count: int = 0
    newest: list[Instant] = field(default_factory=list)

    def add(self, at: Instant) -> None:
        """Count one more; the log comes in any order."""
        self.count += 1
        self.newest.append(at)
        if len(self.newest) > 2 * KEPT:
            self.newest = sorted(self.newest)[-KEPT:]


@dataclass(frozen=True, slots=True)
class Log:
    """The log of reads, folded: reads that are alike are one, whoever they were about.

    Attributes:
        last: Account, use → when it was used last.
    """

    shapes: Mapping[Shape, Times]
    last: Mapping[tuple[str, Use], Instant]
    reads: int = 0


def fold(logged: Iterable[Logged], kinds: Mapping[str, PurposeKind]) -> Log:
    """Fold the log of reads; about 2 µs a read, and one pass over it."""
    shapes: dict[Shape, Times] = {}
    places: dict[object, Times] = {}
    reads = 0
    for use in logged:
        reads += 1
        place = _place(use)
        times = places.get(place)
        if times is None:
            shape = _shape(use)
            times = places[place] = shapes.setdefault(shape, Times())
        times.add(use.at)
    return Log(shapes, _last(shapes, kinds), reads)


def _place(use: Logged) -> tuple[object, ...]:
    kind = use.reason.partition(":")[0]
    return (use.account, use.purpose, use.action, tuple(use.categories), kind, not use.grant)


def _shape(use: Logged) -> Shape:
    return Shape(
        use.account,
        use.purpose,
        str(use.action),
        frozenset(use.categories),
        kind_of(use.reason),
        bool(use.grant),
    )


def _last(
    shapes: Mapping[Shape, Times], kinds: Mapping[str, PurposeKind]
) -> dict[tuple[str, Use], Instant]:
    out: dict[tuple[str, Use], Instant] = {}
    for shape, times in shapes.items():
        kind = kinds.get(shape.purpose)
        if kind is None:
            continue
        newest = max(times.newest)
        for category in shape.categories:
            place = (shape.account, Use(kind.value, shape.action, category))
            out[place] = max(out.get(place, newest), newest)
    return out


# What is unused


@dataclass(frozen=True, slots=True)
class Known:
    """When things were first seen to exist; what never was is new.

    Attributes:
        accounts: Account → when it was first seen with any right.
        rights: Role or account, and use → when that right was first seen, or given back.
    """

    accounts: Mapping[str, Instant]
    rights: Mapping[tuple[str, Use], Instant]

    def since(self, account: str, use: Use) -> Instant | None:
        """Return since when an account has had a right; None where it is not known."""
        role = account.partition("/")[0]
        own, usual = self.accounts.get(account), self.rights.get((role, use))
        if own is None or usual is None:
            return None
        return max(own, usual, self.rights.get((account, use), Instant(0)))


def observable(use: Use, window: Window) -> bool:
    """Tell whether such a use would have left a trace."""
    return use.action in window.actions and use.kind in window.kinds


def unused(  # noqa: PLR0913 - the parts of the rule
    held: Held, log: Log, known: Known, withheld: Withheld, window: Window, at: Instant
) -> list[tuple[str, Use]]:
    """Return the rights that may be called unused, each with the account that holds it."""
    if not 0 < window.log <= window.since:
        return []
    out = []
    for account, rights in held.by_account().items():
        role = account.partition("/")[0]
        for use in rights:
            if not observable(use, window):
                continue
            old = known.since(account, use)
            used = log.last.get((account, use), Instant(0)) >= window.since
            new = old is None or old > window.since
            if not new and not used and not _pinned(withheld, account, role, use, at):
                out.append((account, use))
    return out


def _pinned(withheld: Withheld, account: str, role: str, use: Use, at: Instant) -> bool:
    if not withheld.pinned:
        return False
    pins = (_right(account, use), _right(role, use))
    return any(withheld.pinned.get(pin, Instant(0)) > at for pin in pins)


def _right(whom: str, use: Use) -> Right:
    return Right(whom, f"{KIND}{use.kind}", use.action, use.category)


def used_of(held: Held, log: Log, window: Window) -> tuple[int, int]:
    """Count the rights whose use would show, and those used within the window."""
    total = used = 0
    for account, rights in held.by_account().items():
        for use in rights:
            if observable(use, window):
                total += 1
                used += log.last.get((account, use), Instant(0)) >= window.since
    return total, used


# Proposals


@dataclass(frozen=True, slots=True)
class Denied:
    """Reads that would have been denied: when, as what, for what; nobody is named.

    Attributes:
        times: The newest moments, newest first, at most `KEPT`.
    """

    role: str
    purpose: str
    action: str
    categories: frozenset[str]
    count: int
    times: tuple[Instant, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """The log judged again by the tightened policy."""

    reads: int
    denied: tuple[Denied, ...] = ()

    @property
    def count(self) -> int:
        """How many reads would have been denied."""
        return sum(each.count for each in self.denied)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One category, taken from whoever did not use it.

    Attributes:
        id: Digest of what would be taken: applying it later takes exactly that, or nothing.
        accounts: From whom.
        whole: Roles of which nobody used it: whoever joins them will not have it either.
    """

    id: str
    category: str
    rights: tuple[Right, ...]
    accounts: frozenset[str]
    whole: tuple[str, ...]
    before: int
    after: int
    replay: Replay


Group = tuple[str, list[Right], frozenset[str]]
"""A category, what is taken of it, and from which accounts."""


def propose(found: Iterable[tuple[str, Use]], held: Held) -> list[Group]:
    """Group unused rights by category; a role of which nobody used one loses it as a role."""
    holders: Counter[tuple[str, Use]] = Counter()
    for account, rights in held.by_account().items():
        holders.update((account.partition("/")[0], use) for use in rights)
    idle: dict[tuple[str, Use], set[str]] = defaultdict(set)
    for account, use in found:
        idle[account.partition("/")[0], use].add(account)
    gone: dict[str, list[Right]] = defaultdict(list)
    people: dict[str, set[str]] = defaultdict(set)
    for (role, use), accounts in idle.items():
        whom = [role] if len(accounts) == holders[role, use] else sorted(accounts)
        gone[use.category] += [_right(each, use) for each in whom]
        people[use.category] |= accounts
    return [(c, sorted(gone[c]), frozenset(people[c])) for c in sorted(gone)]


def ident(rights: Iterable[Right]) -> str:
    """Return what a proposal is known by."""
    told = "\n".join(f"{r.whom} {r.purpose} {r.action} {r.category}" for r in sorted(rights))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


Ask = Callable[[Withheld], StaffPolicy]
"""Returns the policy of rights as it would be under something withheld."""


def replay(  # noqa: PLR0913 - a log, two policies and what to ask them with
    log: Log,
    house: House,
    actors: Mapping[str, Actor],
    ask: Ask,
    before: Withheld,
    after: Withheld,
    at: Instant,
) -> Replay:
    """Judge every read of the log again, under what is withheld now and under more.

    A read counts as denied where it would be allowed now and would not be then. Reads of accounts
    that are gone, and those that rested on a temporary right, are no matter of this.
    """
    now, then = ask(before), ask(after)
    out = []
    for shape, times in log.shapes.items():
        actor = actors.get(shape.account)
        if actor is None or shape.granted:
            continue
        asked = UseRequest(
            actor, None, shape.purpose, Action(shape.action), None, shape.categories, at,
            reason=f"{shape.reason}:-" if shape.reason else "",
        )  # fmt: skip
        if _allows(now, asked, house) and not _allows(then, asked, house):
            out.append(_denied(shape, times))
    return Replay(log.reads, tuple(sorted(out, key=lambda d: (-max(d.times), d.role))))


def _allows(policy: StaffPolicy, asked: UseRequest, house: House) -> bool:
    return isinstance(judge_claim(asked, house, policy.claim(asked)), Claim)


def _denied(shape: Shape, times: Times) -> Denied:
    newest = tuple(sorted(times.newest, reverse=True)[:KEPT])
    role = shape.account.partition("/")[0]
    return Denied(role, shape.purpose, shape.action, shape.categories, times.count, newest)
