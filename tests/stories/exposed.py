"""A house of six colleagues and three purposes, all in memory: what exposure is asked of."""

from pathlib import Path

import marula

import troth
from troth.capabilities.access import withheld
from troth.capabilities.access.exposure import Asking, Member
from troth.capabilities.access.rights_policy import Standing
from troth.kernel.facts import House
from troth.kernel.predicates import PREDICATES
from troth.kernel.regimes import load
from troth.terms import (
    Actor,
    Claim,
    Instant,
    Purpose,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Role,
    instant,
)

SHIPPED = Path(troth.__file__).parent / "data"
REGIMES = {path.name: path.read_bytes() for path in (SHIPPED / "regimes").glob("*.toml")}
CALENDARS = {path.name: path.read_bytes() for path in (SHIPPED / "calendars").glob("*.toml")}
AT = Instant(instant(marula.NOW))
DATA = frozenset({"a", "b", "c"})
HOUSE = House(
    1, "ZA", "UTC",
    {
        "service": Purpose("service", 1, PurposeKind.SERVICE, "S", frozenset(), DATA),
        "ops": Purpose("ops", 1, PurposeKind.OPERATIONS, "O", frozenset(), frozenset({"a"})),
        "offers": Purpose("offers", 1, PurposeKind.MARKETING, "M", frozenset(), DATA),
    },
    load(REGIMES, CALENDARS, PREDICATES), labels=DATA, special=frozenset({"c"}),
)  # fmt: skip
KINDS = {name: p.kind for name, p in HOUSE.purposes.items()}
GIVES = {Role.SUPPORT: {"a": "full", "b": "last4"}, Role.OFFICER: {"a": "full", "b": "full"}}


class Roles:
    def claim(self, request):
        given_ = GIVES.get(request.actor.role)
        if given_ is None or (request.actor.role is Role.SUPPORT and request.purpose != "service"):
            code = ReasonCode.PURPOSE_NOT_PERMITTED
            return Refusal((Reason(code, f"staff.{request.actor.role}", ""),))
        return Claim(given_)


def member(role, n):
    return Member(Actor(role, f"{role}{n}"), f"{role.value}/{n:02}", role)


PEOPLE = [member(Role.SUPPORT, n) for n in range(4)] + [
    member(Role.OFFICER, 9),
    member(Role.IT, 8),
]


def asking(taken=withheld.EMPTY, *held, people=PEOPLE):
    by_account = {}
    for grant in held:
        by_account.setdefault(grant.account, []).append(grant)
    return Asking(HOUSE, Roles(), Standing(AT, KINDS, taken, by_account), people)
