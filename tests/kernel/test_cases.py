"""Looks by staff: the reason must exist, be open and contain the person; the gate says the rest."""

from dataclasses import replace

import pytest
from asking import AGREED, NOON, OTHER, PERSON, answer, ask, codes, house
from hypothesis import given
from hypothesis import strategies as st

from troth.adapters.memory import MemoryStore
from troth.adapters.system import FixedClock
from troth.errors import InvalidInput
from troth.kernel import canaries, cases, events, gate, looking
from troth.kernel.looking import Looks, Use, read_looks
from troth.kernel.pointers import ALIASES, pointers
from troth.terms import (
    DAY,
    SECOND,
    Action,
    Actor,
    Instant,
    Prepared,
    Published,
    Refusal,
    Role,
    zulu,
)

SUPPORT = Actor(Role.SUPPORT, "s1")
LOOK = {"actor": SUPPORT, "purpose": "orders", "action": Action.READ, "channel": None}
LATER = Instant(NOON + 3 * DAY)


@pytest.fixture
def store():
    return MemoryStore(FixedClock(NOON), {})


def happens(store, payload, person=PERSON, at=NOON):
    """Run the projection as the commit that books the event would."""
    with store.book() as tx:
        cases.project(tx, Prepared(person, 1, b"", b"", b"", at, payload))


def opened(case="T-1", until=LATER):
    return events.CaseActed(case, "opened", "phone", zulu(until) if until else None)


def asked(act, request="rq-1", other=None):
    return events.RequestActed(request, act, "access", other=other)


def test_a_look_by_staff_without_a_reason_is_refused_by_its_claim_alone():
    for reason in ("", "she rang us", "case:", "case:a b", "case:" + "x" * 65, "campaign:spring",
                   "audience:all", "case:T-1\n"):  # fmt: skip
        assert codes(**LOOK, reason=reason) == ["reason_missing"], reason
        request, facts = ask(**LOOK, reason=reason)
        assert isinstance(gate.judge_claim(request, facts.house, facts.claim), Refusal)
    for reason in ("case:T-1", "request:rq-a.b_c"):
        assert codes(**LOOK, reason=reason) == []


def test_one_memory_serves_looks_with_and_without_a_reason():
    kept = house()
    for _ in range(2):
        assert codes(**LOOK, reason="", within=kept) == ["reason_missing"]
        assert codes(**LOOK, reason="case:T-1", within=kept) == []
        assert codes(**LOOK, reason="case:T-1", within=kept, contained=False) == [
            "reason_without_person"
        ]


@pytest.mark.parametrize("role", sorted(looking.STAFF))
@pytest.mark.parametrize("action", sorted(looking.LOOKS))
def test_every_role_of_staff_names_a_reason_that_contains_the_person(role, action):
    given = {**LOOK, "actor": Actor(role, "x"), "action": action, "agreement": "acme"}
    assert "reason_missing" in codes(**given, reason="")
    assert codes(**given, contained=False) == ["reason_without_person"]
    assert codes(**given) == []


def test_the_houses_own_work_names_none_and_neither_does_the_person():
    for actor in (Actor(Role.SYSTEM, "cli"), Actor(Role.PERSON, PERSON.hex())):
        assert codes(**{**LOOK, "actor": actor}, reason="", contained=False) == []
    assert codes(action=Action.SEND) == []


def test_a_preview_of_marketing_shows_whom_it_drew_under_a_campaign_or_audience_alone():
    look = {"action": Action.READ, "purpose": "offers"}
    assert codes(**look, reason="campaign:spring") == []
    assert codes(**look, reason="audience:all") == []
    assert codes(**look, reason="campaign:spring", contained=False) == ["reason_without_person"]
    assert codes(**look, reason="") == ["reason_missing"]


def test_an_unknown_purpose_is_told_beside_the_missing_reason():
    assert codes(**{**LOOK, "purpose": "nothing"}, reason="") == [
        "unknown_purpose", "reason_missing",
    ]  # fmt: skip


def test_what_must_not_be_seen_together_is_refused_whoever_asked_first():
    looks = Looks(together={"care": (("interests", "contact.*"), ("year", "special"))})
    kept = house(looks=looks)
    both = frozenset({"interests", "year"})
    assert codes(**LOOK, categories=both, within=kept) == ["combination"]
    one = {"categories": frozenset({"year"}), "within": kept}
    assert codes(**LOOK, **one, seen={"interests"}) == ["combination"]
    assert codes(**LOOK, **one, seen={"history"}) == []
    assert codes(**LOOK, within=kept, seen=both) == [], "asking for neither brings nothing more"


def test_the_digest_of_a_decision_tells_what_was_contained_and_seen():
    told = [gate.inputs_digest(*ask(**LOOK, **more)) for more in (
        {}, {"contained": False}, {"seen": {"year"}},
    )]  # fmt: skip
    assert len(set(told)) == 3


def test_a_case_is_open_until_it_is_closed_or_ends_by_itself(store):
    with store.look() as view:
        assert cases.standing(view, "case:T-1") == "unknown"
        assert not cases.contains(view, "case:T-1", PERSON)
    happens(store, opened())
    with store.look() as view:
        assert cases.standing(view, "case:T-1") == "open"
        assert cases.contains(view, "case:T-1", PERSON)
        assert not cases.contains(view, "case:T-1", OTHER)
        assert not cases.contains(view, "campaign:T-1", PERSON)
    late = MemoryStore(FixedClock(LATER), {})
    happens(late, opened())
    with late.look() as view:
        assert cases.standing(view, "case:T-1") == "closed", "the very moment it ends it is closed"
        assert not cases.contains(view, "case:T-1", PERSON)
    happens(store, events.CaseActed("T-1", "closed", "phone"))
    with store.look() as view:
        assert cases.standing(view, "case:T-1") == "closed"
        assert [each.person for each in cases.every(view)] == [PERSON]
    happens(store, events.CaseActed("T-2", "closed", "phone"))
    happens(store, opened("T-3", 0))
    with store.look() as view:
        assert cases.standing(view, "case:T-2") == "unknown"
        assert cases.standing(view, "case:T-3") == "open"


def test_a_household_shares_a_case_and_its_name_is_no_prefix_of_another(store):
    happens(store, opened("T-1"))
    happens(store, opened("T-1"), OTHER)
    happens(store, opened("T-11"), OTHER)
    with store.look() as view:
        assert {each.person for each in cases.about(view, "case:T-1")} == {PERSON, OTHER}
        assert not cases.contains(view, "case:T-11", PERSON)


def test_a_request_is_a_reason_while_somebody_owes_an_answer(store):
    happens(store, asked("verified"))
    with store.look() as view:
        assert cases.standing(view, "request:rq-1") == "unknown"
    for act in ("opened", "verified", "partial", "extended"):
        happens(store, asked(act))
        with store.look() as view:
            assert cases.contains(view, "request:rq-1", PERSON), act
    happens(store, asked("opened", "rq-2"))
    happens(store, asked("linked", "rq-2", other="rq-1"))
    with store.look() as view:
        assert cases.contains(view, "request:rq-2", PERSON), "a duplicate is open with its first"
    happens(store, asked("fulfilled"))
    with store.look() as view:
        assert cases.standing(view, "request:rq-1") == "closed"
        assert cases.standing(view, "request:rq-2") == "closed"
    happens(store, asked("opened", "rq-3"))
    happens(store, asked("linked", "rq-3", other="rq-none"))
    with store.look() as view:
        assert cases.standing(view, "request:rq-3") == "closed"
    happens(store, events.PersonErasing("rq-1"))


def test_a_case_of_one_id_contains_the_human_being(store):
    happens(store, opened(), OTHER)
    born = events.PersonCreated("natural", "test")
    with store.book() as tx:
        tx.append([Prepared(p, 1, b"", b"c" * 32, b"body", NOON, born) for p in (PERSON, OTHER)])
        tx.put_record(PERSON, AGREED)
        tx.put_record(OTHER, replace(AGREED, alias=PERSON.hex()))
        tx.put_row(ALIASES, PERSON + OTHER, b"1")
    with store.look() as view:
        assert cases.contains(view, "case:T-1", PERSON)


def test_a_case_leaves_nothing_once_it_is_forgotten(store):
    happens(store, opened())
    with store.book() as tx:
        (told,) = cases.every(tx)
        assert list(pointers(tx, PERSON)) == [(cases.TABLE, b"case:T-1/" + PERSON)]
        cases.forget(tx, told)
        assert list(pointers(tx, PERSON)) == []
        assert cases.standing(tx, "case:T-1") == "unknown"


def test_audiences_and_campaigns_exist_by_publication(store):
    with store.book() as tx:
        for name in ("campaign:spring", "audience:garden", "template:winback"):
            assert isinstance(tx.publish(name, "00", b"x"), Published)
    with store.look() as view:
        known = {ref: cases.standing(view, ref) for ref in (
            "campaign:spring", "campaign:winback", "campaign:garden", "audience:garden",
            "audience:all", "audience:spring", "nonsense",
        )}  # fmt: skip
    assert [ref for ref, stands in known.items() if stands == "open"] == [
        "campaign:spring", "campaign:winback", "audience:garden", "audience:all",
    ]  # fmt: skip
    assert set(known.values()) == {"open", "unknown"}


def test_pages_of_reasons_are_walked_to_their_end(store, monkeypatch):
    monkeypatch.setattr(cases, "_PAGE", 2)
    for n in range(5):
        happens(store, opened(f"T-{n}"))
    with store.look() as view:
        assert [each.ref for each in cases.every(view)] == [f"case:T-{n}" for n in range(5)]


# The log of looks

USE = Use(
    NOON, "support/aa", PERSON, 3, "orders", "read", {"year": "full", "views": "null"}, "case:1"
)


def test_the_log_says_who_saw_what_of_whom_and_each_person_counts_once(store, monkeypatch):
    monkeypatch.setattr(looking, "_PAGE", 2)
    later = Instant(NOON + DAY)
    with store.book() as tx:
        for n in range(1, 6):
            looking.note(tx, replace(USE, n=n))
        looking.note(tx, replace(USE, person=OTHER, account="support/bb"))
        looking.note(tx, replace(USE, at=later, n=9))
    day = looking.day_of(NOON)
    with store.look() as view:
        assert looking.people_on(view, "support/aa", day) == {PERSON}
        assert looking.people_on(view, "support/aa", day + 2) == frozenset()
        assert looking.looked_at(view, "support/aa", day, PERSON)
        assert not looking.looked_at(view, "support/aa", day, OTHER)
        assert looking.seen_of(view, "support/aa", PERSON, day) == {"year"}
        assert len(list(looking.uses(view, NOON, Instant(NOON + 2 * DAY)))) == 7
        assert len(list(looking.uses(view, NOON, Instant(NOON + SECOND)))) == 6
        assert list(looking.uses(view, NOON, NOON)) == []
        assert list(looking.uses(view, Instant(NOON + 1), later)) == []
        mine = looking.of_person(view, PERSON)
        assert [use.n for use in mine] == [9, 5, 4, 3, 2, 1]
        assert mine[3] == USE
    happens(store, opened())
    with store.look() as view:
        assert len(looking.of_person(view, PERSON)) == 6


def test_a_look_is_by_staff_at_somebody_and_reads_or_takes_out():
    request, _ = ask(**LOOK)
    assert looking.is_look(request)
    for change in ({"person": None}, {"action": Action.SEND}, {"actor": Actor(Role.PERSON, "p")}):
        assert not looking.is_look(replace(request, **change))


# [access]

SHIPPED = {"cases": "by_hand", "case_days": 14, "people_per_day": {"support": 200, "it": 20},
           "together": {"care": [["a"], ["special"]]}, "sources": ["x"]}  # fmt: skip


def test_access_settings_are_read_over_what_is_shipped():
    assert read_looks({}, {}) == Looks()
    told = read_looks(SHIPPED, {"cases": "ticket", "people_per_day": {"it": 3}, "case_days": 2})
    assert (told.cases, told.case_days, told.export_days) == ("ticket", 2, 30)
    assert told.people_per_day == {"support": 200, "it": 3}
    assert told.together == {"care": (("a",), ("special",))}
    assert set(read_looks(SHIPPED, {"people_per_day": 7}).people_per_day.values()) == {7}


@pytest.mark.parametrize(
    "wrong",
    [
        {"case": "ticket"}, {"cases": "maybe"}, {"case_days": 0}, {"case_days": True},
        {"export_days": "30"}, {"people_per_day": "many"}, {"people_per_day": {"support": -1}},
        {"people_per_day": {"support": "1"}}, {"people_per_day": {"person": 1}},
        {"together": []}, {"together": {"x": "ab"}}, {"together": {"x": [["a"]]}},
        {"together": {"x": [["a"], "b"]}}, {"together": {"x": [["a"], []]}},
        {"together": {"x": [["a"], [1]]}},
    ],
)  # fmt: skip
def test_a_wrong_word_in_access_settings_does_not_load(wrong):
    with pytest.raises(InvalidInput, match=r"\[access\]"):
        read_looks(SHIPPED, wrong)


NAMES = st.frozensets(st.sampled_from(["a", "b.c", "b.d", "diet"]), max_size=4)


@given(NAMES, NAMES, NAMES)
def test_seeing_more_never_makes_a_combination_allowed(asked, seen, more):
    looks = Looks(together={"x": (("a", "b.*"), ("special",)), "y": (("a",), ("b.c",))})
    special = frozenset({"diet"})
    if looking.combined(looks, special, asked, seen):
        assert looking.combined(looks, special, asked, seen | more)
    assert not looking.combined(looks, special, frozenset(), seen)


# Canaries


def test_canaries_are_left_out_in_the_order_given(store, monkeypatch):
    monkeypatch.setattr(canaries, "_PAGE", 1)
    third = type(PERSON)(b"r" * 16)
    with store.book() as tx:
        tx.put_row(canaries.TABLE, OTHER, b"x")
        tx.put_row(canaries.TABLE, third, b"x")
    with store.look() as view:
        assert canaries.ids(view) == {OTHER, third}
        assert canaries.without(view, [third, PERSON, OTHER]) == [PERSON]
        assert canaries.without(view, []) == []
        assert canaries.is_one(view, OTHER)
        assert not canaries.is_one(view, PERSON)


def test_a_permit_for_a_look_still_ends():
    permit = answer(**LOOK)
    assert isinstance(permit, gate.Permit)
    assert NOON < permit.until <= NOON + gate.PERMIT_LIFE


def test_a_case_opened_by_hand_comes_back_from_a_backup_closed_and_others_as_they_were(store):
    """A hand is known by its account, or by a source nobody else vouches for."""
    mine = [("phone", ""), ("mail", ""), ("shop", ""), ("complaint", ""), ("ticket", "support/1")]
    others = [("ticket", ""), ("reply", ""), ("request", "")]
    for source, by in mine + others:
        told = cases.Held("case:T-9", PERSON, False, source, NOON, LATER, by)
        with store.book() as tx:
            cases.put(tx, told)
            ((key, raw),) = tx.rows(cases.TABLE, b"case:T-9/", b"", 5)
            tx.put_row(cases.TABLE, key, cases.restored(key, raw))
            closed = cases.held(tx, "case:T-9", PERSON)
        assert closed == replace(told, closed=(source, by) in mine), (source, by)
