"""`troth request`: a letter taken in, the list with its clocks, what is due done."""

import pytest
from cli_shop import MARKS, at, built, copied, done


@pytest.fixture
def folder(tmp_path):
    return copied(built(), tmp_path / "shop")


def take(folder, *more):
    return at(folder, "request", "open", "c-agreed", "--right", "access", *more, "--json")


def test_a_letter_is_taken_in_with_the_day_it_came(folder):
    told = done(take(folder, "--came", "2026-11-10", "--text", "Qzxplanted")).data
    assert told["state"] == "identity_pending"
    assert told["rule"] == "ZA-9"
    assert told["expected_by"] == "2026-12-10T21:59:59Z"
    again = done(take(folder, "--proven")).data
    assert again["state"] == "linked"


def test_the_same_key_returns_the_same_request(folder):
    one = done(take(folder, "--key", "letter-7")).data
    assert done(take(folder, "--key", "letter-7")).data["request_id"] == one["request_id"]


def test_the_list_shows_clocks_and_names_nobody(folder):
    done(take(folder, "--text", "Qzxgiven wants it"))
    ran = done(at(folder, "request", "list", "--json"))
    [row] = ran.data["requests"]
    assert (row["colour"], row["days_left"], row["right"]) == ("green", 30, "access")
    plain = done(at(folder, "request", "list"))
    assert row["id"] in plain.out
    assert not any(mark in ran.out + plain.out for mark in MARKS)
    assert "None of them" in done(at(folder, "request", "list", "--clock", "red")).out


def test_an_empty_list_says_so(folder):
    assert "No request is open" in done(at(folder, "request", "list")).out


def test_what_is_due_is_done_and_alarms_are_said(folder):
    done(take(folder, "--came", "2026-10-01"))
    ran = done(at(folder, "request", "run", "--json"))
    assert ran.data["alarms"] == {"green": 0, "amber": 0, "red": 1}
    assert "overdue" in done(at(folder, "request", "run")).out


@pytest.mark.parametrize(
    "bad",
    [("--how", "pigeon"), ("--came", "soon"), ("--came", "2027-01-01"), ("--right", "all")],
)
def test_a_letter_that_does_not_read_is_bad_input(folder, bad):
    assert take(folder, *bad).status == 2


def test_a_marketer_neither_takes_in_nor_lists_nor_runs(folder):
    who = ("--as", "marketer:lindiwe@marula.example")
    assert take(folder, *who).status == 2
    assert at(folder, "request", "list", *who).status == 1
    assert at(folder, "request", "run", *who).status == 1
