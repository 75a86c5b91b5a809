"""Attacks on rights of staff: agreeing to one's own, using one past its end, hiding an emergency."""

from dataclasses import replace

import marula
import pytest

from troth import app
from troth.adapters.system import FixedClock
from troth.app import access as rights
from troth.app.housekeeping import Housekeeping
from troth.capabilities.access import cases, granting, grants, reading
from troth.capabilities.access.cases import Opening
from troth.capabilities.access.grants import Wanted
from troth.errors import Conflict
from troth.kernel import gate
from troth.terms import DAY, SECOND, Action, Actor, Claim, Instant, Refusal, Role, instant

HOUR = 3600 * SECOND
NOW = Instant(instant(marula.NOW) // SECOND * SECOND)
FATIMA = Actor(Role.SUPPORT, "fatima@marula.example")
GARETH = Actor(Role.IT, "gareth@marula.example")
NOKUTHULA = marula.OFFICER
PHONE = frozenset({"contact.phone"})


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def there(house, clock):
    """The house by a clock the attack moves, with an open case about one customer."""
    house.newcomer("probe")
    house.ws.close()
    house.ws = app.open(house.folder, clock=clock)
    house.desk = house.ws.desk
    cases.open_case(house.desk, house.person("probe"), Opening("T-1", "mail"), FATIMA)
    return house


def wanted(house, who=FATIMA, **changes):
    told = Wanted(
        house.desk.account(who), "service", Action.READ, {"contact.phone": "full"}, "case:T-1",
        "calling back about a delivery",
    )  # fmt: skip
    return replace(told, **changes)


def look(house, who=FATIMA, action=Action.READ):
    asked = reading.Reading(house.person("probe"), who, (), "case:T-1", action)
    return reading.book(house.desk, asked, (), PHONE)


def sees(answer):
    return isinstance(answer, gate.Permit) and "contact.phone" in answer.categories


def given(house, **changes):
    bench = rights.bench(house.ws)
    asked = granting.ask(bench, wanted(house, **changes), FATIMA)
    return granting.approve(bench, asked.id, GARETH)


def test_without_a_right_the_number_stays_closed(there):
    assert not sees(look(there))


def test_with_one_it_opens_and_the_customers_chain_names_the_right(there):
    done = given(there)
    assert sees(look(there))
    told = there.chain(there.person("probe"))[-1].payload
    assert (told.TYPE, told.grant, told.emergency) == ("data.read", done.id, False)


@pytest.mark.parametrize("role", [Role.IT, Role.OFFICER])
def test_somebody_of_two_roles_does_not_agree_to_their_own_right_in_the_other(there, role):
    bench = rights.bench(there.ws)
    twin = Actor(role, FATIMA.id)
    bench = replace(bench, listed=bench.listed | {there.desk.account(twin)})
    asked = granting.ask(bench, wanted(there), FATIMA)
    with pytest.raises(Conflict):
        granting.approve(bench, asked.id, twin)
    assert not sees(look(there))


def test_a_subordinate_does_not_agree(there):
    bench = replace(rights.bench(there.ws), reports={GARETH.id: FATIMA.id})
    asked = granting.ask(bench, wanted(there), FATIMA)
    with pytest.raises(Conflict):
        granting.approve(bench, asked.id, GARETH)


def test_one_second_after_its_end_it_opens_nothing(there, clock):
    done = given(there, length=HOUR)
    clock.set(Instant(done.until - 1))
    assert sees(look(there))
    clock.set(Instant(done.until + SECOND))
    assert not sees(look(there))


def test_a_claim_made_before_the_end_names_the_end_so_no_permit_outlives_it(there, clock):
    done = given(there, length=HOUR)
    clock.set(Instant(done.until - SECOND))
    assert look(there).until == done.until


def test_at_its_very_end_it_opens_nothing(there, clock):
    done = given(there, length=HOUR)
    clock.set(done.until)
    assert not sees(look(there))


def test_an_export_under_way_stops_at_the_end(there, clock):
    done = given(there, length=HOUR, action=Action.EXPORT)
    taken = []
    for batch in range(10):  # claims are asked for each batch
        clock.set(Instant(done.begins + batch * 10 * 60 * SECOND))
        if not sees(look(there, action=Action.EXPORT)):
            break
        taken.append(batch)
    assert taken == [0, 1, 2, 3, 4, 5]


def test_an_export_under_way_stops_when_somebody_ends_the_right(there):
    done = given(there, action=Action.EXPORT)
    assert sees(look(there, action=Action.EXPORT))
    granting.end(rights.bench(there.ws), done.id, NOKUTHULA)
    assert not sees(look(there, action=Action.EXPORT))


def test_a_closed_case_ends_the_right(there):
    given(there)
    cases.close_case(there.desk, there.person("probe"), "T-1", FATIMA)
    assert not sees(look(there))
    assert granting.tend(rights.bench(there.ws))["ended"] == 1


def test_a_right_opens_nobody_but_whom_its_case_is_about(there):
    given(there)
    other = there.newcomer("other")
    asked = reading.Reading(other, FATIMA, (), "case:T-1")
    assert isinstance(reading.book(there.desk, asked, (), PHONE), Refusal)


def test_an_earlier_moment_in_the_request_does_not_bring_a_right_back(there, clock):
    done = given(there, length=HOUR)
    clock.set(done.until)
    asked = grants_use(there, done.begins)
    answer = there.desk.policy.claim(asked)
    assert not (isinstance(answer, Claim) and "contact.phone" in answer.categories)


def grants_use(house, at):
    from troth.terms import UseRequest

    return UseRequest(FATIMA, None, "service", Action.READ, None, PHONE, at, reason="case:T-1")


def test_an_emergency_is_in_the_customers_own_chain_and_alarms_at_once(there):
    granting.break_glass(rights.bench(there.ws), wanted(there, reason=""), FATIMA)
    assert there.house_chain()[-1].payload.alarm == "glass.broken"
    assert sees(look(there))
    assert there.chain(there.person("probe"))[-1].payload.emergency


def test_an_emergency_nobody_looked_at_in_a_day_raises_the_alarm_once(there, clock):
    made = granting.break_glass(rights.bench(there.ws), wanted(there, reason=""), FATIMA)
    keeping = Housekeeping(there.ws)
    clock.set(Instant(made.due - SECOND))
    keeping.round(clock.now())
    assert alarms(there) == ["glass.broken"]
    for later in (0, 1, 2):
        clock.set(Instant(made.due + later * HOUR))
        keeping.round(clock.now())
    assert alarms(there) == ["glass.broken", "glass.unreviewed"]
    assert next(c for c in rights.checks(there.ws) if c.id == "access.glass").state == "bad"


def test_one_that_was_looked_at_raises_none(there, clock):
    made = granting.break_glass(rights.bench(there.ws), wanted(there, reason=""), FATIMA)
    granting.review(rights.bench(there.ws), made.id, NOKUTHULA, "justified")
    clock.set(Instant(made.due + DAY))
    Housekeeping(there.ws).round(clock.now())
    assert alarms(there) == ["glass.broken"]


def alarms(house):
    return [e.payload.alarm for e in house.house_chain() if e.type == "alarm.raised"]


def test_nobody_breaks_the_glass_again_while_an_earlier_one_is_late(there, clock):
    made = granting.break_glass(rights.bench(there.ws), wanted(there, reason=""), FATIMA)
    clock.set(Instant(made.due))
    with pytest.raises(Conflict):
        granting.break_glass(rights.bench(there.ws), wanted(there, reason=""), FATIMA)


def test_a_suspended_colleague_has_no_rights_left(there):
    from troth.capabilities import access

    given(there)
    access.invite(app.office(there.ws), FATIMA, GARETH)
    access.suspend(app.office(there.ws), FATIMA, GARETH)
    assert isinstance(look(there), Refusal)


def test_nobody_gives_back_to_themselves_what_somebody_else_took(there):
    from troth.capabilities.access import withholding
    from troth.capabilities.access.withheld import Right

    right = Right(there.desk.account(NOKUTHULA), "kind:service", "read", "contact.email")
    done = withholding.tighten(there.desk, GARETH, [right], {"rights": 1})
    with pytest.raises(Conflict):
        rights.undo(there.ws, NOKUTHULA, done.version)
    assert rights.undo(there.ws, GARETH, done.version).rights == -1


@pytest.mark.parametrize("first", [0, 1])
def test_two_rights_in_any_order_give_the_same_answer(there, first):
    bench = rights.bench(there.ws)
    asks = [wanted(there), wanted(there, categories={"contact.phone": "last4"})]
    for each in (asks[first], asks[1 - first]):
        granting.approve(bench, granting.ask(bench, each, FATIMA).id, GARETH)
    answer = there.desk.policy.claim(grants_use(there, NOW))
    assert answer.categories["contact.phone"] == "full"


def test_the_check_can_fail_a_right_planted_past_everybody_opens_the_number(there):
    planted = grants.approved(
        grants.asked("g-x", wanted(there), "support/x", NOW, rights.bench(there.ws).limits),
        "support/x", NOW,
    )  # fmt: skip
    with there.ws.store.book() as tx:
        granting.put(tx, planted)
    assert sees(look(there))
