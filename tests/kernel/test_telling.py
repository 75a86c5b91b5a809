"""A decision becomes an event in one way, whichever door asked."""

import cast
import examples
import pytest
from test_profiles import HOUSE

from troth.kernel import events, telling
from troth.terms import (
    Action,
    Actor,
    Channel,
    Instant,
    Reason,
    ReasonCode,
    Refusal,
    Role,
    UseRequest,
)

ASKED = UseRequest(
    Actor(Role.MARKETER, "m"), cast.AGREED, "offers", Action.SEND, Channel.SMS,
    frozenset(), Instant(0),
)  # fmt: skip
NO = Refusal((Reason(ReasonCode.WITHDRAWN, "ZA-5", "ask"),))


def test_a_refusal_names_reasons_rules_channel_and_what_it_belongs_to():
    said = telling.refused(ASKED, NO, HOUSE, "in", "winback", "m1")
    assert said == events.UseRefused(
        "offers", "send", ({"code": "withdrawn", "rule": "ZA-5"},), examples.RULES.digest, "in",
        "sms", "winback", "m1",
    )  # fmt: skip
    assert telling.decided(ASKED, NO, HOUSE, "in", "m1").ref == "m1"


class Agreed:
    """What a permit shows; none is made outside the gate."""

    categories, basis, ruleset, until = {"b": "full", "a": "full"}, "consent", "r", Instant(0)

    def __init__(self, waiver):
        self.waiver = waiver


@pytest.mark.parametrize(("waiver", "named"), [("", None), ("ZA:2026-11-01", "ZA:2026-11-01")])
def test_a_permit_names_its_ground_and_the_officers_decision_it_rests_on(waiver, named):
    said = telling.decided(ASKED, Agreed(waiver), HOUSE, "in")
    assert (said.categories, said.basis, said.channel) == (("a", "b"), "consent", "sms")
    assert said.waiver == named
