"""Why a use is allowed or refused, asked of this workspace's own policy and gate."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from troth.app.base_policy import Base
from troth.app.policy import Chain
from troth.app.staff import known_staff
from troth.capabilities.access import explaining
from troth.kernel import cases
from troth.kernel.desk import everybody, pointers
from troth.ports import View
from troth.terms import Actor, PersonId, Role, UseRequest

if TYPE_CHECKING:
    from troth.app.workspace import Workspace

STAFF = (Role.SUPPORT, Role.MARKETER, Role.OFFICER, Role.IT, Role.AGENCY)
"""Roles in the order in which another colleague is named: who is asked most, first."""
_MOST_REASONS = 20


def explain_use(opened: "Workspace", view: View, request: UseRequest) -> explaining.Explained:
    """Judge a use as it would be judged now, and search the nearest change that would allow it.

    Changes and records nothing: who asks about a person books that first.
    """
    question = explaining.Question(
        opened.desk,
        view,
        colleagues=colleagues(opened),
        reasons=_reasons(view, request.person) if request.person else (),
    )
    base = _base(opened)
    if base is not None:
        question.deciding, question.forbids = base.deciding, base.forbids
    return explaining.explain(question, request)


def _base(opened: "Workspace") -> Base | None:
    policy = opened.desk.policy
    found = policy.rights.base if isinstance(policy, Chain) else policy
    return found if isinstance(found, Base) else None


def _reasons(view: View, person: PersonId) -> Sequence[str]:
    """Return the open cases and requests that contain a person, at most some."""
    found = set()
    for each in everybody(view, person):
        for table, key in pointers(view, each):
            if table == cases.TABLE:
                found.add(key[: -len(each) - 1].decode())
    return sorted(ref for ref in found if cases.contains(view, ref, person))[:_MOST_REASONS]


def colleague(opened: "Workspace", role: Role) -> Actor | None:
    """Return somebody of a role who may act now, else somebody listed, else None."""
    listed = [Actor(role, name) for name in opened.settings.staff.get(role, ())]
    known = known_staff(opened.settings, opened.signin, opened.keys)
    return next((each for each in listed if known(each)), listed[0] if listed else None)


def colleagues(opened: "Workspace") -> list[Actor]:
    """Return one colleague of each role that has any."""
    found = (colleague(opened, role) for role in STAFF)
    return [each for each in found if each is not None]
