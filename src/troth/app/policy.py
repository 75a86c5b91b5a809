"""The staff policy, put together: who may claim what, from the innermost word to the outermost.

The word on roles → less what tightening withheld → more what is granted for a while → the reason
that must be named → the people a day may show. Each layer asks the one before it.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from troth.app.base_policy import POLICY, base_policy
from troth.capabilities.access import granting, withheld
from troth.capabilities.access.cases import Reasoned
from troth.capabilities.access.quota import Quota
from troth.capabilities.access.rights_policy import Rights, Standing
from troth.errors import InvalidInput
from troth.kernel.desk import Desk
from troth.ports import StaffPolicy, View
from troth.settings import Settings
from troth.terms import Actor, Claim, PurposeKind, Refusal, UseRequest


@dataclass(frozen=True, slots=True)
class Chain:
    """The whole staff policy.

    Attributes:
        rights: What an account may do, apart from whom and how many: base, withheld, granted.
        outer: All of it.
    """

    rights: Rights
    outer: StaffPolicy

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Say what this actor may use for this, or why not."""
        return self.outer.claim(request)


def staff_policy(
    roles: Sequence[Mapping[str, Any]],
    settings: Settings,
    desk: Callable[[], Desk],
    known: Callable[[Actor], bool],
) -> Chain:
    """Return the policy every claim is asked of.

    Args:
        roles: The roles as shipped, from `taxonomy.toml`.
        settings: Lists the staff by role.
        desk: The workspace's desk; asked for at each claim, since it holds this policy itself.
        known: Whether an actor is one of the house right now.
    """
    base = base_policy(roles, settings, desk, known)
    rights = Rights(base, Look(desk), lambda actor: desk().account(actor), base.forbids)
    return Chain(rights, Quota(Reasoned(rights, desk), desk))


def own_rules(base: StaffPolicy) -> StaffPolicy | None:
    """Return the rules of the house's own that judge now, None where the roles as shipped do."""
    current: Callable[[], StaffPolicy | None] = getattr(base, "current", lambda: None)
    return current()


def alike(desk: Desk, view: View, actor: Actor) -> Hashable:
    """Return what of a colleague the base's word rests on: equal means equal answers.

    Roles as shipped know nothing but the role. Rules of the house's own might name a colleague:
    where one might, nobody is like anybody.
    """
    found = view.published(POLICY)
    names = found is not None and b"Actor" in found.data
    return desk.account(actor) if names else actor.role


@dataclass(slots=True)
class Look:
    """Looks up what the record holds about an account: one view, one small read beside it.

    What is published is read once per house version; rights that end are read at each claim.
    """

    desk: Callable[[], Desk]
    _kept: tuple[int, Mapping[str, PurposeKind], withheld.Withheld] = field(
        default_factory=lambda: (-1, {}, withheld.EMPTY)
    )

    def __call__(self, account: str) -> Standing:
        """Return how an account stands right now."""
        desk = self.desk()
        with desk.store.look() as view:
            kinds, taken = self.published(desk, view)
            held = granting.of_account(view, account)
            return Standing(view.now, kinds, taken, {account: held} if held else {})

    def published(
        self, desk: Desk, view: View
    ) -> tuple[Mapping[str, PurposeKind], withheld.Withheld]:
        """Return purposes with their kinds, and what is withheld, as published."""
        version, kinds, taken = self._kept
        if version != view.house_version:
            found = view.published(withheld.NAME)
            taken = withheld.read(found.data) if found else withheld.EMPTY
            kinds = _kinds(desk, view)
            self._kept = (view.house_version, kinds, taken)
        return kinds, taken


def _kinds(desk: Desk, view: View) -> Mapping[str, PurposeKind]:
    try:
        return {name: p.kind for name, p in desk.house(view).purposes.items()}
    except InvalidInput:
        return {}
