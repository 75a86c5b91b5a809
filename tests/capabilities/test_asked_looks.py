"""Looks asked for from outside: the reason that is named, the day's count, the log of looks."""

import marula
import pytest

from troth.capabilities.access import canaries, cases, quota
from troth.capabilities.access.cases import Opening
from troth.capabilities.access.decisions import Ask, decide
from troth.kernel import looking
from troth.terms import Action, Actor, Instant, Role

SUPPORT = Actor(Role.SUPPORT, "fatima@marula.example")
SYSTEM = Actor(Role.SYSTEM, "cli")


@pytest.fixture
def people(house):
    return [house.newcomer(f"asked-{n}") for n in range(4)]


def opened(house, person, case="T-1", source="phone", actor=SUPPORT):
    return cases.open_case(house.desk, person, Opening(case, source), actor).ref


def asked(house, reason, *outside, actor=SUPPORT, action=Action.READ):
    ask = Ask(actor, "service", action, None, None, "marula", reason)
    return decide(house.desk, ask, list(outside))


def codes(answers):
    return [[str(r.code) for r in each.reasons] for each in answers]


def logged(house, person):
    with house.ws.store.look() as view:
        return looking.of_person(view, person)


def test_a_look_under_an_open_case_is_agreed_to_logged_and_in_the_persons_chain(house, people):
    ref = opened(house, people[0])
    (yes,) = asked(house, ref, "asked-0")
    assert yes.agreed
    assert yes.categories == {"contact.email": "last4", "identity.name": "full"}
    told = house.chain(people[0])[-1]
    assert (told.type, told.payload.action) == ("use.permitted", "read")
    assert told.payload.reason == ref
    (use,) = logged(house, people[0])
    assert (use.n, use.reason, use.action) == (told.n, ref, "read")
    assert use.categories == yes.categories
    assert use.account == house.desk.account(SUPPORT)


def test_without_an_open_reason_nobody_is_searched_for_and_everybody_gets_one_answer(
    house, people
):
    before = [house.chain(person) for person in people]
    for reason in ("", "case:T-none", "she rang", "campaign:winback"):
        answers = asked(house, reason, "asked-0", "nobody-here")
        assert codes(answers) == [["reason_missing"]] * 2, reason
    assert [house.chain(person) for person in people] == before
    assert not any(logged(house, person) for person in people)


def test_a_reason_about_somebody_else_opens_nothing_and_is_refused_in_the_chain(house, people):
    ref = opened(house, people[0])
    assert codes(asked(house, ref, "asked-1")) == [["reason_without_person"]]
    assert house.chain(people[1])[-1].type == "use.refused"
    assert logged(house, people[1]) == []


def test_support_exports_nothing_and_an_officer_does_under_a_case(house, people):
    ref = opened(house, people[0])
    assert codes(asked(house, ref, "asked-0", action=Action.EXPORT)) == [["purpose_not_permitted"]]
    (yes,) = asked(house, ref, "asked-0", actor=marula.OFFICER, action=Action.EXPORT)
    assert yes.agreed
    assert [use.action for use in logged(house, people[0])] == ["export"]


def test_a_batch_of_looks_counts_person_by_person_against_the_day(house, people):
    path = house.folder / "troth.toml"
    path.write_text(path.read_text() + "\n[access]\npeople_per_day = 2\n")
    house.ws.apply()
    for person in people:
        opened(house, person, "T-1")
    answers = asked(house, "case:T-1", *(f"asked-{n}" for n in range(4)), "asked-0")
    assert codes(answers) == [[], [], ["quota"], ["quota"], []]
    assert [len(logged(house, person)) for person in people] == [1, 1, 0, 0]


def test_a_batch_that_is_counted_at_once_is_seen(house, people, monkeypatch):
    """The check above can fail: a look that is never logged is never counted."""
    monkeypatch.setattr(looking, "note", lambda *_: None)
    with pytest.raises(AssertionError):
        test_a_batch_of_looks_counts_person_by_person_against_the_day(house, people)


def test_the_last_place_is_decided_in_the_booking(house, people, monkeypatch):
    opened(house, people[0])
    real, calls = quota.over, []

    def late(view, *given):
        calls.append(1)
        return len(calls) == 2 or real(view, *given)

    monkeypatch.setattr(quota, "over", late)
    (yes,) = asked(house, "case:T-1", "asked-0")
    assert yes.agreed
    assert len(calls) > 2, "asked again after the booking said no"
    assert len(logged(house, people[0])) == 1


def test_where_cases_come_from_outside_ones_own_case_agrees_to_nothing(house, people):
    mine = opened(house, people[0], "T-1")
    outside = opened(house, people[1], "T-2", "ticket", SYSTEM)
    path = house.folder / "troth.toml"
    path.write_text(path.read_text() + '\n[access]\ncases = "ticket"\n')
    house.ws.apply()
    assert codes(asked(house, mine, "asked-0")) == [["separation_of_duty"]]
    assert asked(house, outside, "asked-1")[0].agreed


def test_a_canary_asked_for_under_a_case_raises_the_alarm_before_the_answer(house, monkeypatch):
    canaries.plant(house.desk, 1, marula.OFFICER)
    with house.ws.store.look() as view:
        (hidden,) = canaries.ids(view)
    ref = opened(house, hidden)
    monkeypatch.setattr(type(house.desk), "find", lambda *_: hidden)
    (answer,) = asked(house, ref, "whoever")
    assert answer.agreed, "whoever asks is told nothing"
    with house.ws.store.look() as view:
        assert len(canaries.raised(view, Instant(0))) == 2
