"""A decision about a person, as the event in their chain: one spelling for all doors."""

from troth.kernel import events, gate
from troth.kernel.facts import House
from troth.kernel.looking import is_look
from troth.kernel.reasons import told_reasons
from troth.terms import Refusal, UseRequest, zulu


def refused(  # noqa: PLR0913 - a decision and what it belongs to
    request: UseRequest,
    refusal: Refusal,
    house: House,
    inputs: str,
    campaign: str | None = None,
    ref: str | None = None,
) -> events.UseRefused:
    """Return the event of a refusal.

    Args:
        request: What was asked, exactly as it was decided.
        refusal: The gate's answer.
        house: What it was decided by; its rules are named.
        inputs: `gate.inputs_digest` of the decision.
        campaign: The campaign it was asked for, if any.
        ref: The message or connection it was asked for, if any.
    """
    return events.UseRefused(
        purpose=request.purpose,
        action=request.action,
        reasons=told_reasons(refusal.reasons),
        ruleset=house.ruleset.digest,
        inputs=inputs,
        channel=request.channel,
        campaign=campaign,
        ref=ref,
    )


def permitted(request: UseRequest, permit: gate.Permit, inputs: str) -> events.UsePermitted:
    """Return the event of a permit, an officer's decision it rests on named."""
    return events.UsePermitted(
        purpose=request.purpose,
        action=request.action,
        categories=tuple(sorted(permit.categories)),
        basis=permit.basis,
        ruleset=permit.ruleset,
        inputs=inputs,
        until=zulu(permit.until),
        channel=request.channel,
        waiver=permit.waiver or None,
        reason=(request.reason or None) if is_look(request) else None,
    )


def decided(
    request: UseRequest,
    answer: gate.Permit | Refusal,
    house: House,
    inputs: str,
    ref: str | None = None,
) -> events.UsePermitted | events.UseRefused:
    """Return the event of an answer, whichever it is."""
    if isinstance(answer, Refusal):
        return refused(request, answer, house, inputs, ref=ref)
    return permitted(request, answer, inputs)
