"""The staff policy, put together: who may claim what, from the innermost word to the outermost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from troth.adapters.roles import RolePolicy
from troth.errors import InvalidInput
from troth.kernel.desk import Desk
from troth.ports import StaffPolicy
from troth.settings import Settings
from troth.terms import Actor, PurposeKind


def staff_policy(
    roles: Sequence[Mapping[str, Any]],
    settings: Settings,
    desk: Callable[[], Desk],
    known: Callable[[Actor], bool],
) -> StaffPolicy:
    """Return the policy every claim is asked of.

    Args:
        roles: The roles as shipped, from `taxonomy.toml`.
        settings: Lists the staff by role.
        desk: The workspace's desk; asked for at each claim, since it holds this policy itself.
        known: Whether an actor is one of the house right now.
    """
    return RolePolicy(
        list(map(dict, roles)), settings.staff, lambda purpose: _kind_of(desk(), purpose), known
    )


def _kind_of(desk: Desk, purpose: str) -> PurposeKind | None:
    with desk.store.look() as view:
        try:
            found = desk.house(view).purposes.get(purpose)
        except InvalidInput:
            return None
    return found.kind if found else None
