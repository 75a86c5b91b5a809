"""A marketer has a list and no Troth yet: what they learn in a minute, in plain sentences."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "surfaces"))

import listexports
from cli_shop import done, run

AT = "2026-11-17T12:00:00+02:00"


@pytest.fixture
def ask(tmp_path):
    """Check a list as somebody would who has nothing but the list."""
    folder = tmp_path / "nothing"
    folder.mkdir()

    def check(text, *more):
        path = tmp_path / "list.csv"
        path.write_text(text, "utf-8")
        line = ("list", "check", path, "-w", folder, "--at", AT, "--json", *more)
        told = done(run(*line)).data
        assert list(folder.iterdir()) == []
        return told

    return check


def reasons(told, group):
    return {each["code"]: each for each in told["reasons"] if each["group"] == group}


def test_a_tools_export_alone_lets_nobody_be_mailed_and_says_what_is_missing(ask):
    told = ask(listexports.MAILCHIMP, "--sender-country", "ZA")
    assert told["tool"] == "Mailchimp"
    assert told["groups"] == {"may_mail": 0, "ask_once": 1, "not": 0}
    missing = reasons(told, "ask_once")["no_consent"]
    assert list(missing["missing"]) == ["the wording they saw (a notice and its version)"]
    assert missing["helps"] == {"consent": 1}


def test_with_the_wording_they_saw_the_same_person_may_be_mailed(ask):
    head, row, _ = listexports.MAILCHIMP.split("\n")
    text = f"{head},notice version\n{row},newsletter-3\n"
    assert ask(text, "--sender-country", "ZA")["groups"]["may_mail"] == 1


def test_who_unsubscribed_in_the_tool_is_left_alone_however_good_the_proof(ask):
    rows = listexports.whole(1) + listexports.whole(2, status="Unsubscribed")
    told = ask(listexports.WHOLE_HEAD + rows)
    assert told["groups"] == {"may_mail": 1, "ask_once": 0, "not": 1}
    assert "suppressed_unsubscribe" in reasons(told, "not")


def test_a_customer_may_be_mailed_at_home_and_not_where_the_state_is_not_tabulated(ask):
    sold = {"agreed": False, "sale": "2026-05-01", "taken": "yes", "offered": "yes"}
    rows = listexports.whole(1, **sold) + listexports.whole(2, country="DE", **sold)
    told = ask(listexports.WHOLE_HEAD + rows, "--sender-country", "ZA")
    assert told["groups"] == {"may_mail": 1, "ask_once": 1, "not": 0}
    assert {each["id"] for each in told["before"]} >= {"registry", "similar"}


def test_a_customer_without_a_country_is_not_mailed_until_somebody_says_where_they_live(ask):
    sold = {"agreed": False, "sale": "2026-05-01", "taken": "yes", "offered": "yes"}
    text = listexports.WHOLE_HEAD + listexports.whole(1, country="", **sold)
    told = ask(text, "--sender-country", "ZA")
    assert told["groups"]["may_mail"] == 0
    assert [each["id"] for each in told["findings"]] == ["country_missing"]
    assert ask(text, "--sender-country", "ZA", "--country", "ZA")["groups"]["may_mail"] == 1


def test_the_same_person_twice_gets_one_message(ask):
    told = ask(listexports.WHOLE_HEAD + 3 * listexports.whole(1))
    assert told["groups"] == {"may_mail": 1, "ask_once": 0, "not": 2}
    assert reasons(told, "not")["duplicate"]["rows"] == 2


def test_the_files_hold_each_row_once_with_its_reason_and_its_own_columns(ask, tmp_path):
    out = tmp_path / "out"
    rows = "".join(listexports.whole(n, agreed=n % 2 == 0) for n in range(1, 7))
    ask(listexports.WHOLE_HEAD + rows, "--out", out)
    may, ask_once = (
        listexports.read_csv((out / f"{g}.csv").read_text("utf-8"))
        for g in ("may_mail", "ask_once")
    )
    assert [r["email"] for r in may] == [f"p{n}@post.example" for n in (2, 4, 6)]
    assert {r["troth_rule"] for r in ask_once} <= {"ZA-1", "EU-11"}
    assert all(r["troth_missing"] == "any sign of a yes" for r in ask_once)
    assert "[YOUR COMPANY]" in (out / "form4.txt").read_text("utf-8")
