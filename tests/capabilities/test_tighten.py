"""Tightening: only what is visibly unused is proposed, and the replay says what is then denied."""

from collections import Counter
from dataclasses import replace

import pytest
from exposed import AT, GIVES, HOUSE, KINDS, PEOPLE, asking
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.capabilities.access import exposure, tighten, withheld
from troth.capabilities.access.exposure import Use
from troth.capabilities.access.tighten import Known, Window
from troth.capabilities.access.withheld import Right
from troth.errors import InvalidInput
from troth.kernel.claims import judge_claim
from troth.kernel.looking import Use as Logged
from troth.terms import DAY, Action, Claim, Instant, PersonId, UseRequest

SINCE = Instant(AT - 90 * DAY)
OLD = Instant(AT - 200 * DAY)
WINDOW = Window(SINCE, OLD, frozenset({"read", "export"}), frozenset({"service", "operations"}))
PERSON = PersonId(b"p" * 16)
ACTORS = {who.account: who.actor for who in PEOPLE}
HELD = exposure.held(asking())


def known(**late):
    roles = {"support", "privacy_officer"}
    uses = {use for rights in HELD.rights for use in rights}
    return Known(
        {a: late.get(a.replace("/", "_"), OLD) for a in ACTORS},
        {(role, use): OLD for role in roles for use in uses},
    )


def logged(
    account="support/00", at=AT - DAY, *, purpose="service", action="read", data=("a",), **more
):
    return Logged(Instant(at), account, PERSON, 1, purpose, action,
                  dict.fromkeys(data, "full"), "case:T-1", **more)  # fmt: skip


OF_OLD = known()


def unused(*uses, since=OF_OLD, taken=withheld.EMPTY, window=WINDOW):
    log = tighten.fold(uses, KINDS)
    return set(tighten.unused(HELD, log, since, taken, window, AT))


READ_A = Use("service", "read", "a")


def test_a_right_used_within_the_window_stays():
    assert ("support/00", READ_A) not in unused(logged())
    assert ("support/01", READ_A) in unused(logged())


def test_the_first_instant_of_the_window_is_in_it():
    assert ("support/00", READ_A) not in unused(logged(at=SINCE))
    assert ("support/00", READ_A) in unused(logged(at=SINCE - 1))


def test_what_leaves_no_trace_is_never_called_unused():
    assert all(use.kind != "direct_marketing" for _, use in unused())
    blind = replace(WINDOW, kinds=frozenset({"operations"}))
    assert all(use.kind == "operations" for _, use in unused(window=blind))


def test_nothing_is_unused_before_the_log_covers_the_window():
    assert not unused(window=replace(WINDOW, log=Instant(SINCE + 1)))
    assert not unused(window=replace(WINDOW, log=Instant(0)))


def test_neither_new_rights_nor_new_colleagues_are_called_unused():
    late = known(support_01=Instant(SINCE + 1))
    assert all(account != "support/01" for account, _ in unused(since=late))
    fresh = known()
    fresh.rights["support", READ_A] = Instant(AT - DAY)
    assert all(use != READ_A or a.startswith("privacy") for a, use in unused(since=fresh))
    assert not unused(since=Known({}, {}))


def test_what_somebody_pinned_is_not_proposed_until_then():
    pin = Right("support", "kind:service", "read", "a")
    taken = withheld.EMPTY.pin([pin], Instant(AT + 1))
    assert ("support/01", READ_A) not in unused(taken=taken)
    assert ("support/01", READ_A) in unused(taken=withheld.EMPTY.pin([pin], AT))


def test_a_role_of_which_nobody_used_it_loses_it_as_a_role():
    everyone = {
        right.whom for _, rights, _ in propose() for right in rights if right.category == "a"
    }
    assert "support" in everyone
    some = {right.whom for _, rights, _ in propose(logged()) for right in rights
            if (right.purpose, right.action, right.category) == ("kind:service", "read", "a")}  # fmt: skip
    assert some == {"support/01", "support/02", "support/03", "privacy_officer"}


def propose(*uses):
    return tighten.propose(unused(*uses), HELD)


def test_a_proposal_is_known_by_exactly_what_it_takes():
    one, two = (
        Right("support", "kind:service", "read", "a"),
        Right("support", "kind:service", "read", "b"),
    )
    assert tighten.ident([one, two]) == tighten.ident([two, one]) != tighten.ident([one])


accounts = st.sampled_from([*ACTORS, "support/gone"])
uses = st.builds(
    logged, accounts, st.integers(AT - 300 * DAY, AT), purpose=st.sampled_from(["service", "ops"]),
    action=st.sampled_from(["read", "export"]), data=st.sets(st.sampled_from("ab"), min_size=1),
    grant=st.sampled_from(["", "", "g-1"]),
)  # fmt: skip
rights = st.builds(
    Right, st.sampled_from(["support", "privacy_officer", "support/00", "support/02"]),
    st.sampled_from(["kind:service", "kind:operations", "name:service"]),
    st.sampled_from(["read", "export"]), st.sampled_from("ab"),
)  # fmt: skip


def replay(log, before, after):
    return tighten.replay(
        log, HOUSE, ACTORS, lambda kept: exposure.rights_of(asking(kept)), before, after, AT
    )


@given(st.lists(uses, max_size=30), st.lists(rights, max_size=3), st.lists(rights, max_size=4))
@settings(max_examples=80, deadline=None)
def test_the_replay_names_the_reads_the_tightened_policy_then_denies(log, now, more):
    before = withheld.EMPTY.more(now)
    after = before.more(more)
    told = replay(tighten.fold(log, KINDS), before, after)
    expected = Counter(
        (each.account.partition("/")[0], each.purpose, each.action, frozenset(each.categories))
        for each in log
        if not each.grant and allowed(each, before) and not allowed(each, after)
    )
    found = Counter()
    for d in told.denied:
        found[d.role, d.purpose, d.action, d.categories] += d.count
    assert found == expected


def allowed(each, kept):
    actor = ACTORS.get(each.account)
    if actor is None:
        return False
    asked = UseRequest(actor, None, each.purpose, Action(each.action), None,
                       frozenset(each.categories), AT, reason=each.reason)  # fmt: skip
    answer = exposure.rights_of(asking(kept)).claim(asked)
    return isinstance(judge_claim(asked, HOUSE, answer), Claim)


@given(st.lists(uses, max_size=30))
@settings(max_examples=60, deadline=None)
def test_taking_what_was_unused_denies_no_read_of_the_window(log):
    folded = tighten.fold(log, KINDS)
    gone = [r for _, rights_, _ in tighten.propose(unused(*log), HELD) for r in rights_]
    told = replay(folded, withheld.EMPTY, withheld.EMPTY.more(gone))
    assert all(at < SINCE for d in told.denied for at in d.times)


def test_the_replay_can_find_something():
    log = tighten.fold([logged(at=OLD + 1)], KINDS)
    gone = [Right("support", "kind:service", "read", "a")]
    assert replay(log, withheld.EMPTY, withheld.EMPTY.more(gone)).count == 1


# What is withheld


@given(st.lists(rights, max_size=8), st.lists(rights, max_size=3))
def test_what_is_published_reads_back_the_same(taken, pinned):
    one = withheld.EMPTY.more(taken).pin(pinned, Instant(AT // 1_000_000 * 1_000_000))
    raw = withheld.written(one)
    assert withheld.read(raw) == one
    assert withheld.written(withheld.read(raw)) == raw


@given(st.lists(rights, max_size=6), st.sampled_from(PEOPLE), st.sampled_from(["service", "ops"]))
def test_withholding_only_takes(taken, who, purpose):
    own = Claim(GIVES.get(who.actor.role, {}))
    asked = UseRequest(who.actor, None, purpose, Action.READ, None, frozenset(), AT)
    left = withheld.apply(withheld.EMPTY.more(taken), who.account, asked, KINDS[purpose], own)
    assert left.categories.items() <= own.categories.items()


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"no",
        b'{"taken":{"nobody":{"kind:service":{"read":["a"]}}},"pinned":[]}',
        b'{"taken":{"support":{"kind:fun":{"read":["a"]}}},"pinned":[]}',
        b'{"taken":{"support":{"name:":{"read":["a"]}}},"pinned":[]}',
        b'{"taken":{"support":{"kind:service":{"peek":["a"]}}},"pinned":[]}',
        b'{"taken":{},"pinned":[{"whom":"support"}]}',
        b'{"taken":{},"pinned":[],"more":1}',
    ],
)
def test_a_word_nobody_knows_does_not_load(raw):
    with pytest.raises(InvalidInput):
        withheld.read(raw)
