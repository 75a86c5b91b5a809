"""What an account may do now: the policy's word, less what is withheld, more what is granted.

Each layer is pure; the record is looked at once a claim. The house's machinery and people about
themselves pass through untouched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from troth.capabilities.access import withheld as taking
from troth.capabilities.access.grants import Grant
from troth.capabilities.access.withheld import Withheld
from troth.kernel import masks
from troth.ports import StaffPolicy
from troth.terms import (
    Actor,
    Claim,
    Instant,
    Mask,
    PurposeKind,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
)

OWN = frozenset({Role.SYSTEM, Role.PERSON})
GRANTABLE = frozenset({ReasonCode.PURPOSE_NOT_PERMITTED})
"""A temporary right overcomes only what the policy did not give, never what it forbids."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What layers need of the record, of one look.

    Attributes:
        at: The moment of the look.
        kinds: Purpose → its kind, as published.
        grants: Account → rights given to it and not ended.
    """

    at: Instant
    kinds: Mapping[str, PurposeKind]
    withheld: Withheld = taking.EMPTY
    grants: Mapping[str, Sequence[Grant]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rights:
    """The policy of rights: base, withheld, granted. Whom and how many is judged around it.

    Attributes:
        base: The word on roles.
        look: Returns what the record holds about an account.
        spelt: Names an account as the house chain does.
        forbids: Whether the base has a rule against a category for a use, which no temporary
            right overcomes; where it merely gives nothing, one does.
    """

    base: StaffPolicy
    look: Callable[[str], Standing]
    spelt: Callable[[Actor], str]
    forbids: Callable[[UseRequest, str], bool] = lambda _use, _category: False

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Say which categories this actor may use for this, or why not."""
        answer = self.base.claim(request)
        if request.actor.role in OWN or _unknown(answer):
            return answer
        account = self.spelt(request.actor)
        standing = self.look(account)
        kind = standing.kinds.get(request.purpose)
        left = taking.narrow(standing.withheld, account, request, kind, answer)
        held = standing.grants.get(account, ())
        if held and not any(self.forbids(request, name) for name in request.categories):
            given = [self._permitted(grant, request) for grant in held]
            left = granted(left, given, request, standing.at)
        return left if isinstance(left, Refusal) else taking.refused(left, answer, request)

    def _permitted(self, grant: Grant, request: UseRequest) -> Grant:
        """Leave out of a right what a rule forbids for this use, named in it or not yet."""
        kept = {c: m for c, m in grant.categories.items() if not self.forbids(request, c)}
        return replace(grant, categories=kept)


def _unknown(answer: Claim | Refusal) -> bool:
    return isinstance(answer, Refusal) and any(r.code not in GRANTABLE for r in answer.reasons)


def granted(
    answer: Claim | Refusal, held: Sequence[Grant], request: UseRequest, at: Instant
) -> Claim | Refusal:
    """Add what temporary rights give; the claim names one only where it was needed.

    All that somebody agreed to count together; a break-glass right only where it shows more than
    they do, and then the use is an emergency. A use that names no data yet is told everything it
    may have. The answer does not depend on the order of the rights.
    """
    serving = sorted((g for g in held if g.serves(request, at)), key=_order)
    shown: Mapping[str, Mask] = {} if isinstance(answer, Refusal) else answer.categories
    named: Grant | None = None
    for kind in ("jit", "glass"):
        base = shown
        for grant in (g for g in serving if g.kind == kind):
            if _more(base, grant, request):
                named = grant if named is None or _more(shown, grant, request) else named
                shown = _together(shown, grant.categories)
    if named is None or not request.categories <= shown.keys():
        return answer
    policy = "" if isinstance(answer, Refusal) else answer.policy
    return Claim(
        shown, policy, named.id, named.kind == "glass", min(grant.until for grant in serving)
    )


def _order(grant: Grant) -> tuple[int, str]:
    return (-grant.until, grant.id)


def _more(shown: Mapping[str, Mask], grant: Grant, request: UseRequest) -> bool:
    """Tell whether a right shows more of what is asked, or of anything where nothing is named."""
    after = _together(shown, grant.categories)
    return any(shown.get(name) != after.get(name) for name in request.categories or after)


def _together(one: Mapping[str, Mask], other: Mapping[str, Mask]) -> dict[str, Mask]:
    out = dict(one)
    for name, mask in other.items():
        out[name] = masks.more_shown(out[name], mask) if name in out else mask
    return out
