"""What tightening took away: published as one small file, laid over whatever the policy says.

It only takes. Whom it takes from is a role or one account, what it takes is a category under a
purpose, or every purpose of a kind, for one action. Each version is published and stays; undoing
is publishing the version before it again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from troth.errors import InvalidInput
from troth.kernel import events
from troth.terms import (
    Action,
    Claim,
    Instant,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
    from_zulu,
    zulu,
)

NAME: Final = "withheld"
RULE: Final = "access.withheld"
KIND: Final = "kind:"
NAMED: Final = "name:"
_REMEDY = "publish it by `troth access tighten`"
_KINDS = frozenset(f"{KIND}{kind.value}" for kind in PurposeKind)
_ACTIONS = frozenset(action.value for action in Action)
_ROLES = frozenset(role.value for role in Role) - {Role.SYSTEM.value, Role.PERSON.value}


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One right as it can be taken: from a role or an account, for a purpose or kind of them.

    Attributes:
        whom: A role's word, or an account as the house chain writes it.
        purpose: `kind:KIND` or `name:PURPOSE`.
    """

    whom: str
    purpose: str
    action: str
    category: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """Everything taken away, by whom, purpose and action; and what is not to be proposed again.

    Attributes:
        pinned: Rights somebody asked to keep, and until when.
    """

    taken: Mapping[tuple[str, str, str], frozenset[str]] = field(default_factory=dict)
    pinned: Mapping[Right, Instant] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many rights are taken."""
        return sum(map(len, self.taken.values()))

    def rights(self) -> Iterable[Right]:
        """Yield every right that is taken."""
        for (whom, purpose, action), categories in self.taken.items():
            for category in categories:
                yield Right(whom, purpose, action, category)

    def accounts(self) -> frozenset[str]:
        """Return the accounts from which something is taken by name."""
        return frozenset(whom for whom, _, _ in self.taken if "/" in whom)

    def more(self, rights: Iterable[Right]) -> "Withheld":
        """Return this with more taken."""
        added: dict[tuple[str, str, str], set[str]] = {}
        for right in rights:
            place = (right.whom, right.purpose, right.action)
            added.setdefault(place, set()).add(right.category)
        merged = dict(self.taken)
        for place, categories in added.items():
            merged[place] = merged.get(place, frozenset()) | categories
        return Withheld(merged, self.pinned)

    def pin(self, rights: Iterable[Right], until: Instant) -> "Withheld":
        """Return this with rights that are not proposed before an instant."""
        return Withheld(self.taken, {**self.pinned, **dict.fromkeys(rights, until)})

    def categories(
        self, account: str, request: UseRequest, kind: PurposeKind | None
    ) -> frozenset[str]:
        """Return the categories this request may not have: a few look-ups."""
        action = request.action.value
        named = f"{NAMED}{request.purpose}"
        kinds = f"{KIND}{kind.value}" if kind else ""
        out: frozenset[str] = frozenset()
        for whom in (request.actor.role.value, account):
            for purpose in (named, kinds):
                out |= self.taken.get((whom, purpose, action), frozenset())
        return out


EMPTY: Final = Withheld()


def apply(
    withheld: Withheld,
    account: str,
    request: UseRequest,
    kind: PurposeKind | None,
    answer: Claim | Refusal,
) -> Claim | Refusal:
    """Lay what is withheld over the policy's word; it never gives more than that word.

    Args:
        withheld: What was taken away.
        account: The actor's account, as the house chain writes it.
        request: The use.
        kind: Its purpose's kind, None where no such purpose is published.
        answer: The policy's word.
    """
    left = narrow(withheld, account, request, kind, answer)
    return left if isinstance(left, Refusal) else refused(left, answer, request)


def narrow(
    withheld: Withheld,
    account: str,
    request: UseRequest,
    kind: PurposeKind | None,
    answer: Claim | Refusal,
) -> Claim | Refusal:
    """Leave out of the policy's word what is withheld; see `apply`."""
    if isinstance(answer, Refusal) or not withheld.taken:
        return answer
    gone = withheld.categories(account, request, kind)
    if not gone:
        return answer
    kept = {name: mask for name, mask in answer.categories.items() if name not in gone}
    return replace(answer, categories=kept)


def refused(left: Claim, before: Claim | Refusal, request: UseRequest) -> Claim | Refusal:
    """Refuse a use of what the policy gave and withholding took; anything else stays as it is."""
    had = frozenset[str]() if isinstance(before, Refusal) else before.categories.keys()
    if (request.categories & had) - left.categories.keys():
        code = ReasonCode.PURPOSE_NOT_PERMITTED
        return Refusal((Reason(code, RULE, "ask_for_a_grant"),))
    return left


# As published


def written(withheld: Withheld) -> bytes:
    """Return the bytes that are published: sorted, so that equal contents are equal bytes."""
    taken: dict[str, dict[str, dict[str, list[str]]]] = {}
    for (whom, purpose, action), categories in sorted(withheld.taken.items()):
        if categories:
            inner = taken.setdefault(whom, {}).setdefault(purpose, {})
            inner[action] = sorted(categories)
    pinned = [
        {"whom": r.whom, "purpose": r.purpose, "action": r.action, "category": r.category,
         "until": zulu(until)}
        for r, until in sorted(withheld.pinned.items())
    ]  # fmt: skip
    return events.canonical({"taken": taken, "pinned": pinned})


def read(raw: bytes) -> Withheld:
    """Read what was published.

    Raises:
        InvalidInput: It holds a word nobody knows: such an entry would never match, and look as
            if it did.
    """
    try:
        told = msgspec.json.decode(raw, type=_File)
    except msgspec.ValidationError as fault:
        raise InvalidInput(f"withheld: {fault}", _REMEDY) from None
    except msgspec.DecodeError:
        raise InvalidInput("withheld: this is no JSON", _REMEDY) from None
    out: dict[tuple[str, str, str], frozenset[str]] = {}
    for whom, purposes in told.taken.items():
        for purpose, actions in purposes.items():
            for action, categories in actions.items():
                _known(whom, purpose, action)
                out[whom, purpose, action] = frozenset(categories)
    return Withheld(out, dict(map(_pinned, told.pinned)))


class _File(msgspec.Struct, forbid_unknown_fields=True):
    taken: dict[str, dict[str, dict[str, list[str]]]]
    pinned: list[dict[str, str]]


def _known(whom: str, purpose: str, action: str) -> None:
    role = whom.partition("/")[0] in _ROLES
    known = purpose in _KINDS or (purpose.startswith(NAMED) and len(purpose) > len(NAMED))
    if not (role and known and action in _ACTIONS):
        raise InvalidInput("withheld: a role, kind or action is unknown", "correct the entry")


def _pinned(told: Mapping[str, Any]) -> tuple[Right, Instant]:
    if told.keys() != {"whom", "purpose", "action", "category", "until"}:
        raise InvalidInput("withheld: a pin does not read", "correct the entry")
    _known(told["whom"], told["purpose"], told["action"])
    right = Right(told["whom"], told["purpose"], told["action"], told["category"])
    return right, from_zulu(told["until"])
