"""The life of a request as rules: whatever the order, nothing leads around the check."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.capabilities.rights import requests_rules as rules
from troth.capabilities.rights.requests_rules import Told
from troth.errors import InvalidInput
from troth.kernel.events import RequestActed
from troth.terms import Instant, Role

PASSED = rules.REPORTED + "ab" * 32
ACTS = sorted({act for acts in rules.MOVES.values() for act in acts} | rules.BESIDE)
DUE = "2027-01-07T22:00:00Z"


def said(act, ground=None, **more):
    more.setdefault("due", DUE if act in {"extended"} else None)
    return RequestActed("rq-one", act, more.pop("right", "access"), ground=ground, **more)


def told(*acts):
    return [
        Told(each if isinstance(each, RequestActed) else said(each), Instant(n), n, "system/x")
        for n, each in enumerate(acts, 1)
    ]


def state_of(*acts):
    return rules.fold(told(*acts))["rq-one"]


OPENED = said("opened", due="2026-12-23T22:00:00Z")
steps = st.lists(
    st.one_of(
        st.sampled_from(ACTS).map(said),
        st.sampled_from(["", PASSED, "report:short", "report:" + "-" * 64]).map(
            lambda ground: said("fulfilled", ground)
        ),
    ),
    max_size=25,
)


@given(steps)
def test_no_order_of_steps_leads_to_fulfilled_around_the_check(found):
    done = state_of(OPENED, *found)
    if done.state == "fulfilled":
        last = [step for step in done.steps if step.act not in rules.BESIDE]
        assert last[-2].act == "verifying"
        assert rules.passed(last[-1].ground)


@given(steps, st.randoms())
def test_a_shuffled_life_never_ends_better_than_its_table(found, dice):
    order = [OPENED, *found]
    dice.shuffle(order)
    held = rules.fold(told(*order))
    for request in held.values():
        assert request.state in {*rules.MOVES, *rules.FINAL} - {rules.NEW}
        before = rules.NEW
        for step in request.steps:
            assert step.act in rules.MOVES.get(before, ()) or step.act in rules.BESIDE
            before = rules.after(before, step.act)
        assert before == request.state


@given(steps, steps)
def test_what_is_closed_stays_as_it_is(found, more):
    done = state_of(OPENED, *found)
    if not done.open:
        assert state_of(OPENED, *found, *more) == done


@given(st.sampled_from(sorted(rules.FINAL)), st.sampled_from(ACTS), st.sampled_from(list(Role)))
def test_no_role_moves_a_closed_request(state, act, role):
    assert not rules.allowed(state, act, "deletion", role)


@given(st.sampled_from(list(Role)), st.sampled_from([s for s in rules.MOVES if s != "verifying"]))
def test_no_role_fulfils_from_anywhere_but_the_check(role, state):
    assert not rules.allowed(state, "fulfilled", "access", role)


def test_a_planted_shortcut_is_seen(monkeypatch):
    monkeypatch.setitem(rules.MOVES, "planned", frozenset({"fulfilled"}))
    acts = ["verified", "planned", said("fulfilled", PASSED)]
    assert state_of(OPENED, *acts).state == "fulfilled"


def test_the_whole_life_of_a_request_is_its_steps():
    acts = ["verified", "planned", "approved", "executing", "verifying"]
    assert state_of(OPENED, *acts).state == "verifying"
    assert state_of(OPENED, *acts, said("fulfilled", PASSED)).ground == PASSED
    assert state_of(OPENED, *acts, said("fulfilled")).state == "verifying"
    failed = [*acts, said("partial", "kept_by_law"), "executing", "verifying"]
    assert state_of(OPENED, *failed).state == "verifying"


def test_an_extension_moves_the_due_date_once_and_only_forward():
    once = state_of(OPENED, "verified", said("extended", "complex"))
    assert (once.extended, once.state) == (True, "verified")
    twice = said("extended", "complex", due="2027-03-01T00:00:00Z")
    assert state_of(OPENED, said("extended", "complex"), twice).due == once.due
    back = said("extended", "complex", due="2026-12-01T00:00:00Z")
    assert not state_of(OPENED, back).extended


def test_a_marketer_takes_no_step_at_all():
    for state, acts in rules.MOVES.items():
        for act in (*acts, *rules.BESIDE):
            assert not rules.allowed(state, act, "access", Role.MARKETER)


def test_no_proof_is_asked_for_a_stop():
    assert rules.allowed("received", "identity_pending", "access", Role.SUPPORT)
    for right in rules.WITHOUT_PROOF:
        assert not rules.allowed("received", "identity_pending", right, Role.OFFICER)


@pytest.mark.parametrize(
    "step",
    [
        said("denied"),
        said("blocked"),
        said("asked"),
        said("extended", "complex"),
        said("extended", "complex", text="too much", due=None),
        said("fulfilled"),
    ],
)
def test_a_step_without_its_ground_words_day_or_report_is_not_taken(step):
    state = [OPENED, "verified", "planned", "approved", "executing", "verifying"]
    held = state_of(*(state if step.act == "fulfilled" else state[:3]))
    with pytest.raises(InvalidInput):
        rules.require(held, step, Role.OFFICER)


@pytest.mark.parametrize(
    ("acts", "status", "reason"),
    [
        ([], "open", ""),
        (["identity_pending"], "in_progress", "need_user_verification"),
        (["verified", "planned", said("blocked", "legal_hold")], "in_progress", ""),
        ([said("denied", "identity_not_proven")], "denied", "insuf_verification"),
        ([said("denied", "a ground nobody knows")], "denied", "other"),
        (["withdrawn"], "revoked", ""),
        (["expired"], "expired", ""),
        (["linked"], "in_progress", ""),
    ],
)
def test_each_state_has_its_word_in_the_rights_protocol(acts, status, reason):
    held = state_of(OPENED, *acts)
    assert rules.drp_status(held) == status
    assert rules.drp_reason(held, {"identity_not_proven": "insuf_verification"}) == reason
