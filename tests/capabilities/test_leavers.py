"""Who leaves loses their account on that day, and nobody is guessed."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from staff_house import FATIMA, GARETH, LINDIWE, NOKUTHULA, SIPHO, staff_house

from troth import app as house
from troth.app import leavers as wiring
from troth.app import staff
from troth.capabilities import access
from troth.errors import InvalidInput
from troth.terms import DAY, Instant

TODAY = date(2027, 1, 15)  # where staff_house's clock begins


@pytest.fixture
def h():
    made = staff_house()
    made.settle()
    for key, _ in made.office.store.due():
        made.office.store.put_due(key, "")
    return made


def planned(h, text: str, today: date = TODAY):
    return access.plan_leaving(h.office, access.read_leavers(text), today)


def states(h, text: str) -> list[str]:
    return [each.state for each in planned(h, text)]


def test_each_line_comes_to_what_its_day_says_and_planning_changes_nothing(h):
    before = (len(h.acts()), h.office.store.due())
    found = states(
        h,
        f"id,leaves\n{SIPHO.id},2027-01-15\n{LINDIWE.id},2027-01-16\n{FATIMA.id},\n"
        f"{SIPHO.id.upper()},2027-01-15\nstranger@elsewhere.example,2027-01-15\n",
    )
    assert found == ["now", "later", "stays", "unknown", "unknown"]
    assert (len(h.acts()), h.office.store.due()) == before


def test_two_days_for_one_id_are_told_and_nothing_is_done(h):
    text = f"id,leaves\n{SIPHO.id},2027-01-01\n{SIPHO.id},2027-02-01\n"
    assert states(h, text) == ["unclear", "unclear"]
    assert access.carry_out(h.office, planned(h, text), GARETH, ()) == 0
    assert access.may_enter(h.office, SIPHO)
    same = f"id,leaves\n{SIPHO.id},2027-02-01\n{SIPHO.id},2027-02-01\n"
    assert states(h, same) == ["later", "later"]


def test_an_account_ends_with_its_sessions_and_whatever_hangs_on_it(h):
    client, _, _ = h.enrolled(SIPHO)
    assert client.get("/console").status_code == 200
    told = []
    text = f"id,leaves\n{SIPHO.id},2027-01-15\n"
    assert access.carry_out(h.office, planned(h, text), GARETH, (told.append,)) == 1
    assert told == [SIPHO]
    assert client.get("/console").status_code == 303
    assert h.acts()[-1][:2] == ("suspended", "marketer")
    assert states(h, text) == ["done"]


def test_a_day_to_come_is_kept_dropped_and_carried_out_once(h):
    text = f"id,leaves\n{SIPHO.id},2027-01-20\n"
    access.carry_out(h.office, planned(h, text), GARETH, ())
    access.carry_out(h.office, planned(h, text), GARETH, ())
    assert [act for act, _, _ in h.acts()].count("leaving_set") == 1
    assert access.tend_leaving(h.office, date(2027, 1, 19), GARETH, ()) == 0
    assert access.may_enter(h.office, SIPHO)
    assert access.tend_leaving(h.office, date(2027, 1, 20), GARETH, ()) == 1
    assert not access.may_enter(h.office, SIPHO)
    assert access.tend_leaving(h.office, date(2027, 1, 21), GARETH, ()) == 0
    access.restore(h.office, SIPHO, GARETH)
    access.carry_out(h.office, planned(h, f"id,leaves\n{SIPHO.id},2027-01-20\n"), GARETH, ())
    access.carry_out(h.office, planned(h, f"id,leaves\n{SIPHO.id},\n"), GARETH, ())
    assert h.office.store.due() == []
    assert access.tend_leaving(h.office, date(2027, 1, 21), GARETH, ()) == 0


def test_an_account_of_nobody_listed_any_more_is_passed_by(h):
    h.office.store.put_due(b"x" * 16, "2027-01-01")
    assert access.tend_leaving(h.office, TODAY, GARETH, ()) == 0
    assert h.office.store.due() == []


def test_what_hangs_on_an_account_may_fail_and_the_account_is_over_all_the_same(h):
    def fails(_actor):
        raise InvalidInput("no")

    with pytest.raises(InvalidInput):
        access.carry_out(
            h.office, planned(h, f"id,leaves\n{FATIMA.id},2027-01-01\n"), GARETH, (fails,)
        )
    assert not access.may_enter(h.office, FATIMA)


def test_the_house_ends_accounts_by_its_own_calendar_while_it_runs(h, monkeypatch):
    monkeypatch.setattr(staff, "SystemClock", lambda: h.clock)
    day = wiring.today(h.ws)
    text = f"id,leaves\n{NOKUTHULA.id},{date.fromordinal(day.toordinal() + 2)}\n"
    wiring.carry_leavers(h.ws, wiring.plan_leavers(h.ws, text), GARETH)
    assert wiring.tend(h.ws) == 0
    h.clock.set(Instant(h.clock.now() + 2 * DAY))
    house.Housekeeping(h.ws).round(h.clock.now())
    assert not access.may_enter(h.office, NOKUTHULA)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id\nx\n",
        "name,leaves\nx,2027-01-01\n",
        "id,leaves,id\nx,2027-01-01,y\n",
        "id,leaves\nx,01.02.2027\n",
        "id,leaves\nx,20270101\n",
        "id,leaves\nx,2027-02-30\n",
        "id,leaves\nx,2027-01-01T00:00\n",
        "id,leaves\n,2027-01-01\n",
        'id,leaves\n"x,2027-01-01\n',
        "id,leaves\n" + "x,2027-01-01\n" * 100_001,
    ],
)
def test_a_file_that_does_not_read_counts_as_nothing(text):
    with pytest.raises(InvalidInput) as told:
        access.read_leavers(text)
    assert "2027" not in told.value.message


def test_a_file_of_a_spreadsheet_reads(h):
    text = f"\ufeffName,ID ,Leaves\r\nSipho,{SIPHO.id},2027-01-15\r\n,,\r\n"
    assert states(h, text) == ["now"]


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=200)
    | st.text('id,leavs\n\r"2027-01 ', max_size=200).map("id,leaves\n".__add__)
)
def test_whatever_is_in_a_file_it_reads_or_is_refused_in_words(text):
    try:
        found = access.read_leavers(text)
    except InvalidInput:
        return
    assert all(each.name for each in found)
