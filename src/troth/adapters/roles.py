"""The first staff policy: roles by name, each with its purposes, actions, categories and masks."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from troth.errors import InvalidInput
from troth.terms import (
    Action,
    Actor,
    Claim,
    Mask,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
)


class RolePolicy:
    """Answers a claim from a table of roles; a person of no listed role is unknown."""

    def __init__(
        self,
        table: list[dict[str, Any]],
        staff: Mapping[str, list[str]],
        kind_of: Callable[[str], PurposeKind | None],
        known: Callable[[Actor], bool] | None = None,
    ) -> None:
        """Take the roles as data.

        Args:
            table: Roles with `kinds`, `actions` and `categories` (category → mask). Optional:
                `purposes` (action → kinds, fewer than `kinds`) and `masks` (action → categories
                for that action alone).
            staff: Role → ids of its staff; machinery and persons need no entry.
            kind_of: A purpose's kind, as published right now.
            known: Whether an actor is one of the house right now; without it, whoever is listed.

        Raises:
            InvalidInput: A role names an unknown kind, action or mask, or is listed twice.
        """
        self._roles = {row["name"]: row for row in table}
        if len(self._roles) != len(table):
            raise InvalidInput("a role is listed twice", "write it once: none goes before another")
        for row in table:
            _check(row)
        self._staff = {role: frozenset(ids) for role, ids in staff.items()}
        self._kind_of = kind_of
        self._known = known or self._listed

    def _listed(self, actor: Actor) -> bool:
        return actor.id in self._staff.get(actor.role, frozenset())

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Say what this role may use for this purpose, or why it may not."""
        role, action = request.actor.role, request.action
        row = self._roles.get(role)
        named = role in (Role.SYSTEM, Role.PERSON) or self._known(request.actor)
        if row is None or not named:
            return Refusal((Reason(ReasonCode.UNKNOWN_ACTOR, "staff.roles", "sign_in"),))
        kinds = row.get("purposes", {}).get(action, row["kinds"])
        if self._kind_of(request.purpose) not in kinds or action not in row["actions"]:
            code = ReasonCode.PURPOSE_NOT_PERMITTED
            return Refusal((Reason(code, f"staff.{role}", "choose_permitted_purpose"),))
        return Claim(row.get("masks", {}).get(action, row["categories"]))


_KINDS, _ACTIONS, _MASKS = frozenset(PurposeKind), frozenset(Action), frozenset(get_args(Mask))
_ROW = frozenset({"name", "kinds", "actions", "categories", "purposes", "masks"})


def _check(row: Mapping[str, Any]) -> None:
    """Refuse a role with a word nobody knows: it would never match, and look like a rule."""
    purposes, masks = row.get("purposes", {}), row.get("masks", {})
    tables = [row["categories"], *masks.values()]
    sound = (
        row.keys() <= _ROW
        and {*row["kinds"], *(k for kinds in purposes.values() for k in kinds)} <= _KINDS
        and {*row["actions"], *purposes, *masks} <= _ACTIONS
        and {mask for table in tables for mask in table.values()} <= _MASKS
    )
    if not sound:
        raise InvalidInput(f"the role {row['name']} uses an unknown word", "correct taxonomy.toml")
