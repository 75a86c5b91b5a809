"""An act of staff on a person's record: may this role do it at all; a refusal is recorded."""

from collections.abc import Collection

from troth.capabilities.access.reading import service_purpose
from troth.kernel import events
from troth.kernel.desk import Desk
from troth.kernel.facts import House
from troth.kernel.reasons import told_reasons
from troth.terms import (
    Action,
    Actor,
    PurposeKind,
    Reason,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
)

_OWN = frozenset({Role.PERSON, Role.SYSTEM})


def may_act(desk: Desk, actor: Actor, roles: Collection[Role]) -> Refusal | None:
    """Say why an actor may not act on a person's record, None where they may.

    Nobody is looked at: the role decides, and the staff policy, which knows who is listed and not
    suspended. The refusal is an event of the house before it is said.

    Args:
        desk: The house's desk.
        actor: Who wants to act.
        roles: Who may.
    """
    with desk.store.look() as view:
        purpose = service_purpose(desk.house(view))
        asked = UseRequest(actor, None, purpose, Action.READ, None, frozenset(), view.now)
        answer = None if actor.role in _OWN else desk.policy.claim(asked)
    if actor.role not in roles:
        code = ReasonCode.PURPOSE_NOT_PERMITTED
        answer = Refusal((Reason(code, f"staff.{actor.role}", "choose_permitted_purpose"),))
    if not isinstance(answer, Refusal):
        return None
    why = told_reasons(answer.reasons)
    desk.record_house(events.HouseRefused(purpose, Action.READ, why), actor)
    return answer


def may_take(desk: Desk, actor: Actor, roles: Collection[Role]) -> Refusal | None:
    """Say why an actor may not take out a file about nobody of the record, None where they may.

    Such a file holds the rows its owner brought, or figures: no person is decided about. Asked is
    the claim: one of the house now, and of a role that may export, or at least see, marketing's
    data. The refusal is an event of the house before it is said.

    Args:
        desk: The house's desk.
        actor: Who wants the file.
        roles: Who may.
    """
    with desk.store.look() as view:
        house = desk.house(view)
        purpose = _marketing(house)
        answers = [
            desk.claim(UseRequest(actor, None, purpose, each, None, frozenset(), view.now), house)
            for each in (Action.READ, Action.EXPORT)
        ]
    refusals = [each for each in answers if isinstance(each, Refusal)]
    answer = refusals[0] if len(refusals) == len(answers) else None
    if actor.role not in roles:
        code = ReasonCode.PURPOSE_NOT_PERMITTED
        answer = Refusal((Reason(code, f"staff.{actor.role}", "choose_permitted_purpose"),))
    if answer is None:
        return None
    why = told_reasons(answer.reasons)
    desk.record_house(events.HouseRefused(purpose, Action.EXPORT, why), actor)
    return answer


def _marketing(house: House) -> str:
    """Name a purpose of marketing; where none is published, none that is: the gate refuses."""
    named = (p.name for p in house.purposes.values() if p.kind is PurposeKind.MARKETING)
    return min(named, default="marketing")
