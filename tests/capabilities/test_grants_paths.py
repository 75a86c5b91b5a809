"""Anybody tries anything at any moment: nothing stands that no other person agreed to."""

from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from troth.capabilities.access import granting, grants
from troth.capabilities.access.granting import Bench
from troth.capabilities.access.grants import Limits, Wanted
from troth.errors import Conflict
from troth.terms import DAY, SECOND, Action, Actor, Instant, Role

HOUR = 3600 * SECOND
NOW = Instant(1_800_000_000 * SECOND)
LIMITS = Limits(8 * HOUR, 14 * DAY, DAY, HOUR, DAY, frozenset({"read"}), (10, 300), frozenset())
ANN, ZOE, HEAD = "ann", "zoe", "head"
PEOPLE = [Actor(role, name) for role in (Role.SUPPORT, Role.IT, Role.OFFICER)
          for name in (ANN, ZOE, HEAD, "other")]  # fmt: skip
DESK = SimpleNamespace(
    scribe=SimpleNamespace(house=b"", actor=lambda actor, _house: f"{actor.role}/{actor.id}")
)
BENCH = Bench(DESK, LIMITS, {ZOE: ANN}, frozenset(f"{p.role}/{p.id}" for p in PEOPLE))
ASKED = Wanted(
    "support/ann", "service", Action.READ, {"contact.phone": "full"}, "case:T-1", "a good reason"
)


class Paths(RuleBasedStateMachine):
    """One request of Ann's, asked by her head; Zoe reports to Ann."""

    apart = staticmethod(granting._apart)

    def __init__(self):
        super().__init__()
        self.now = NOW
        self.grant = grants.asked("g-1", ASKED, "it/head", NOW, LIMITS)
        self.ended = False

    @rule(who=st.sampled_from(PEOPLE))
    def approve(self, who):
        try:
            self.apart(BENCH, None, self.grant, who)
            self.grant = grants.approved(self.grant, f"{who.role}/{who.id}", self.now)
        except (granting._NotApart, Conflict):
            pass

    @rule(state=st.sampled_from(sorted(grants.OVER)))
    def close(self, state):
        try:
            self.grant = grants.over(self.grant, state, self.now, "")
            self.ended = True
        except Conflict:
            pass

    @rule(hours=st.integers(0, 30))
    def wait(self, hours):
        self.now = Instant(self.now + hours * HOUR)

    @invariant()
    def nothing_stands_that_no_other_person_agreed_to(self):
        if self.grant.stands(self.now):
            role, _, name = self.grant.approver.partition("/")
            assert role in {"it", "privacy_officer"}
            assert name == "other"  # not Ann, not her head, not Zoe, who reports to her

    @invariant()
    def an_end_binds(self):
        if self.ended:
            assert not self.grant.stands(self.now)

    @precondition(lambda self: self.grant.state == "active")
    @invariant()
    def it_never_outlives_its_time(self):
        assert self.grant.until - self.grant.begins <= LIMITS.most
        assert not self.grant.stands(self.grant.until)


def test_every_path_to_a_right_leads_over_another_person():
    run_state_machine_as_test(Paths, settings=settings(deadline=None))


def test_the_property_finds_a_judge_who_lets_everybody_agree():
    class Planted(Paths):
        apart = staticmethod(lambda *_: None)

    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Planted, settings=settings(deadline=None, report_multiple_bugs=False)
        )
