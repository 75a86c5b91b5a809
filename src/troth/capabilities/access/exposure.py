"""How many of the staff could see what, worked out by asking the decision itself as each of them.

No table of roles is read: roles drift. Who stands alike before the policy is asked once for all
of them, which is what makes thousands of accounts cheap.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from troth.capabilities.access.rights_policy import Rights, Standing
from troth.kernel.claims import ALLOWED_ACTIONS, judge_claim
from troth.kernel.facts import House
from troth.kernel.masks import more_shown
from troth.ports import StaffPolicy
from troth.terms import Action, Actor, Claim, Instant, Mask, Refusal, UseRequest

SEEING: Final = (Action.READ, Action.EXPORT)
"""What a human being does to see a value; the rest is done by machinery in their name."""


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """What a right is a right to: a category under a kind of purpose, by one action."""

    kind: str
    action: str
    category: str


@dataclass(frozen=True, slots=True)
class Member:
    """One account that exists.

    Attributes:
        account: As the house chain writes it.
        alike: What of them the base policy's word rests on; equal means equal answers.
    """

    actor: Actor
    account: str
    alike: Hashable


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked, and of whom.

    Attributes:
        base: The policy's word on roles.
        forbids: See `Rights`.
        reasons: Kinds of reason a use might name; asked with each where the base looks at them.
    """

    house: House
    base: StaffPolicy
    standing: Standing
    members: Sequence[Member]
    forbids: Callable[[UseRequest, str], bool] = lambda _use, _category: False
    reasons: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class Held:
    """Who may see what right now.

    Attributes:
        groups: Accounts that stand alike.
        rights: Per group, each right with how much it shows.
    """

    groups: Sequence[frozenset[str]]
    rights: Sequence[Mapping[Use, Mask]]

    @property
    def count(self) -> int:
        """How many rights there are, over all accounts."""
        return sum(len(g) * len(r) for g, r in zip(self.groups, self.rights, strict=True))

    def by_account(self) -> dict[str, Mapping[Use, Mask]]:
        """Return each account's rights."""
        return {
            account: rights
            for group, rights in zip(self.groups, self.rights, strict=True)
            for account in group
        }

    def seen(self) -> "Seen":
        """Count who could see each category, in full and in part."""
        full: dict[str, set[str]] = defaultdict(set)
        part: dict[str, set[str]] = defaultdict(set)
        for group, rights in zip(self.groups, self.rights, strict=True):
            for category, mask in _widest(rights).items():
                (full if mask == "full" else part)[category] |= group
        return Seen(_frozen(full), _frozen(part))


@dataclass(frozen=True, slots=True)
class Seen:
    """Per category the accounts that could see it in full, and those that see a part."""

    full: Mapping[str, frozenset[str]] = field(default_factory=dict)
    part: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def e(self, category: str) -> int:
        """Return E(f): how many could read it unmasked."""
        return len(self.full.get(category, frozenset()))

    def roles(self, category: str) -> Counter[str]:
        """Count those who see it in full by their role."""
        return Counter(a.partition("/")[0] for a in self.full.get(category, frozenset()))

    def categories(self) -> list[str]:
        """Return every category somebody sees any of."""
        return sorted(self.full.keys() | self.part.keys())


def _frozen(found: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {category: frozenset(accounts) for category, accounts in found.items()}


def _widest(rights: Mapping[Use, Mask]) -> dict[str, Mask]:
    out: dict[str, Mask] = {}
    for use, mask in rights.items():
        out[use.category] = more_shown(out.get(use.category, "null"), mask)
    return out


@dataclass(slots=True)
class _Once:
    """Asks the base once for all who stand alike."""

    base: StaffPolicy
    alike: Mapping[Actor, Hashable]
    _kept: dict[Hashable, Claim | Refusal] = field(default_factory=dict)

    def claim(self, request: UseRequest) -> Claim | Refusal:
        place = (
            self.alike[request.actor], request.purpose, request.action, request.categories,
            request.reason,
        )  # fmt: skip
        known = self._kept.get(place)
        if known is None:
            known = self._kept[place] = self.base.claim(request)
        return known


def rights_of(asking: Asking) -> Rights:
    """Return the policy of rights over one look, for many questions about many accounts."""
    spelt = {member.actor: member.account for member in asking.members}
    once = _Once(asking.base, {member.actor: member.alike for member in asking.members})
    standing = asking.standing
    return Rights(once, lambda _account: standing, spelt.__getitem__, asking.forbids)


def held(asking: Asking) -> Held:
    """Say who may see what, asked of the whole decision on claims.

    Whoever may do so only for a reason is counted: it is asked as if they had one. Costs about
    10 µs for each right of each group of accounts that stand alike.
    """
    standing = asking.standing
    apart = standing.withheld.accounts() | standing.grants.keys()
    groups: dict[Hashable, list[Member]] = defaultdict(list)
    for member in asking.members:
        own = member.account if member.account in apart else ""
        groups[member.alike, own].append(member)
    rights = rights_of(asking)
    uses = list(_uses(asking.house))
    found = [_rights(asking, rights, uses, group[0].actor) for group in groups.values()]
    return Held([frozenset(m.account for m in group) for group in groups.values()], found)


def _uses(house: House) -> Iterable[tuple[str, Action, Use]]:
    """Yield what could be asked at all; anything else the house itself refuses."""
    for purpose in house.purposes.values():
        for action in SEEING:
            if action in ALLOWED_ACTIONS[purpose.kind]:
                for category in sorted(purpose.categories - house.special):
                    yield purpose.name, action, Use(purpose.kind.value, action.value, category)


def _rights(
    asking: Asking, rights: Rights, uses: Sequence[tuple[str, Action, Use]], actor: Actor
) -> dict[Use, Mask]:
    out: dict[Use, Mask] = {}
    for purpose, action, use in uses:
        for reason in _reasons(asking, rights, actor):
            asked = UseRequest(
                actor, None, purpose, action, None, frozenset({use.category}),
                asking.standing.at, reason=reason,
            )  # fmt: skip
            answer = judge_claim(asked, asking.house, rights.claim(asked))
            if isinstance(answer, Claim):
                mask = answer.categories[use.category]
                if mask != "null":  # what shows nothing is no right to see
                    out[use] = more_shown(out.get(use, "null"), mask)
    return out


def _reasons(asking: Asking, rights: Rights, actor: Actor) -> list[str]:
    """Return the reasons to ask with: each kind the base looks at, and those of own grants."""
    granted = asking.standing.grants.get(rights.spelt(actor), ())
    return [*asking.reasons, *sorted({g.reason for g in granted if g.reason})]


def weigh(
    seen: Seen, people: Mapping[str, int], weights: Mapping[str, int], other: int
) -> dict[str, int]:
    """Return the exposure of each category: sensitivity x staff who see it x people it is of."""
    return {
        category: weights.get(category, other) * seen.e(category) * people.get(category, 0)
        for category in seen.categories()
    }


# Day by day


@dataclass(frozen=True, slots=True)
class Day:
    """How it stood on one day: counts of staff and of people, nobody by name.

    Attributes:
        at: When it was counted.
        full: Category → staff who could see it in full; `roles`: category → role → staff.
        people: Category → people it is of.
        exposure: The weighed sum.
        held: Rights whose use would show in the log; `used`: those used within the window.
    """

    at: Instant
    full: Mapping[str, int]
    roles: Mapping[str, Mapping[str, int]]
    people: Mapping[str, int]
    exposure: int
    held: int
    used: int

    @property
    def ratio(self) -> float:
        """Used of held, 0 to 1; 0 where none is held."""
        return self.used / self.held if self.held else 0.0
