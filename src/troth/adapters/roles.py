"""The first staff policy: roles by name, each with its purposes, actions and categories."""

from collections.abc import Callable, Mapping
from typing import Any

from troth.terms import Claim, PurposeKind, Reason, ReasonCode, Refusal, Role, UseRequest


class RolePolicy:
    """Answers a claim from a table of roles; a person of no listed role is unknown."""

    def __init__(
        self,
        table: list[dict[str, Any]],
        staff: Mapping[str, list[str]],
        kind_of: Callable[[str], PurposeKind | None],
    ) -> None:
        """Take the roles as data.

        Args:
            table: Roles with `kinds`, `actions` and `categories` (category → mask).
            staff: Role → ids of its staff; machinery and persons need no entry.
            kind_of: A purpose's kind, as published right now.
        """
        self._roles = {row["name"]: row for row in table}
        self._staff = {role: frozenset(ids) for role, ids in staff.items()}
        self._kind_of = kind_of

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Say what this role may use for this purpose, or why it may not."""
        role = request.actor.role
        row = self._roles.get(role)
        named = role in (Role.SYSTEM, Role.PERSON) or request.actor.id in self._staff.get(
            role, frozenset()
        )
        if row is None or not named:
            return Refusal((Reason(ReasonCode.UNKNOWN_ACTOR, "staff.roles", "sign_in"),))
        kind = self._kind_of(request.purpose)
        if kind not in row["kinds"] or request.action not in row["actions"]:
            code = ReasonCode.PURPOSE_NOT_PERMITTED
            return Refusal((Reason(code, f"staff.{role}", "choose_permitted_purpose"),))
        return Claim(row["categories"])
