"""How a house stands, what it does by itself each minute, and keeping nothing too long."""

import contextlib
import json
import os
import time
from datetime import datetime

import cli_shop as shop
import pytest

from troth import app
from troth.adapters.witness import FileJournal
from troth.app import housekeeping
from troth.capabilities import custody, preferences
from troth.errors import InvalidInput, Unavailable
from troth.kernel import retention as retention_rules
from troth.settings import read_settings
from troth.surfaces.commands import retention as retention_command
from troth.surfaces.commands import status
from troth.surfaces.commands.call import Call
from troth.terms import SECOND, Actor, ConsentStatus, Instant, Role, instant

OFFICER = "privacy_officer:nokuthula@marula.example"
MARKETER = "marketer:lindiwe@marula.example"
LATER = "2029-11-17T10:00:00+02:00"
MUCH_LATER = "2046-11-17T10:00:00+02:00"


@pytest.fixture
def ws(tmp_path):
    return shop.copied(shop.built(), tmp_path / "ws")


@pytest.fixture
def journal(monkeypatch):
    """A journal whose disk is full, until told otherwise."""

    def full(_self, _lines):
        raise Unavailable("witness/restrictions cannot be written")

    with monkeypatch.context() as broken:
        broken.setattr(FileJournal, "note_all", full)
        yield broken.undo


def told(folder, *line, status=0, at=shop.AT):
    ran = shop.run(*line, "--json", "-w", folder, "--at", at)
    assert ran.status == status, ran
    return ran.data


def opened(folder, at=shop.AT):
    return Call(folder, at).opened()


def stop(folder, who="c-agreed"):
    return shop.at(folder, "consent", "withdraw", who, "--purpose", "offers")


def house_events(ws):
    with ws.store.look() as view:
        chain = ws.desk.scribe.chain(view, ws.desk.scribe.house)
    return [r.event.payload for r in chain]


# Status


def test_a_house_in_order_is_told_without_a_red_word(ws):
    found = told(ws, "status")
    assert found["red"] == []
    assert found["ledger"]["size"] == found["ledger"]["signed"] > 0
    assert {f["name"] for f in found["followers"]} == {
        run.__name__ for runs in app.FOLLOWERS.values() for run in runs
    }
    assert {f["due"] for f in found["followers"]} == {0}
    assert found["registries"] == [{"name": "ZA", "days": 7, "stale": False}]
    assert found["bytes"]["data"] > 100_000
    assert found["free"] > 0
    text = shop.done(shop.at(ws, "status")).out
    assert text.startswith("Nothing is red.\n")
    assert "registry ZA" in text
    assert not any(mark in text for mark in shop.MARKS)


def test_a_follower_that_fails_is_red_with_its_code_and_remedy_and_is_tried_again(ws, journal):
    assert stop(ws).status == 3
    found = told(ws, "status", status=1)
    assert found["red"] == [
        {
            "what": "follower:journal",
            "remedy": "mend what does not answer (disk, keys, relay);"
            " it is tried again each minute",
        }
    ]
    failed = next(f for f in found["followers"] if f["name"] == "journal")
    assert (failed["due"], failed["error"], failed["since"] != "") == (1, "unavailable", True)
    assert "follower journal" in shop.at(ws, "status").out
    journal()
    assert told(ws, "status")["red"] == []


def test_the_worker_tries_what_failed_again_each_minute_while_it_runs(ws, journal):
    assert stop(ws).status == 3
    minute = 60 * SECOND
    with opened(ws) as house:
        keeping = app.Housekeeping(house)
        red = keeping.round(Instant(minute))
        assert [(f.name, f.error) for f in red] == [("journal", "unavailable")]
        lines = len(list(house.desk.journal.lines()))
        journal()
        assert keeping.round(Instant(2 * minute - 1)) == []
        assert len(list(house.desk.journal.lines())) == lines
        assert keeping.round(Instant(2 * minute)) == []
        assert len(list(house.desk.journal.lines())) == lines + 1
        assert all(not f.lag for f in house.followers())


def test_a_worker_says_what_is_red_and_does_the_house_s_work(ws, journal):
    assert stop(ws).status == 3
    ran = shop.done(shop.at(ws, "worker", "--once"))
    assert "journal: 1 due, unavailable" in ran.err
    journal()
    ran = shop.done(shop.at(ws, "worker", "--once"))
    assert "journal" not in ran.err
    assert told(ws, "status")["red"] == []


def test_what_nobody_signed_is_signed_at_the_next_round_and_red_after_an_hour(ws):
    with opened(ws) as house:
        person = house.desk.find(_look(house), "c-silent")
        choice = preferences.Choice(ConsentStatus.REFUSED, "offers", ("email",))
        preferences.record_choice(house.desk, person, choice, Actor(Role.SYSTEM, "t"))
        assert housekeeping.unsigned(house) == 1
        signed = ws / "witness/signed"
        now = Instant(time.time_ns() // 1_000)
        assert "ledger" not in app.house_state(house).reds(now)
        os.utime(signed, (time.time() - 7_200,) * 2)
        assert "ledger" in app.house_state(house).reds(now)
        app.Housekeeping(house).round(now)
        assert housekeeping.unsigned(house) == 0
        assert "ledger" not in app.house_state(house).reds(now)


def _look(house):
    with house.store.look() as view:
        return view


def test_jobs_that_wait_are_counted_by_kind(ws):
    with opened(ws) as house:
        with house.store.book() as tx:
            for key in ("one", "two"):
                tx.enqueue("mail:autumn", key, b"", None)
            tx.enqueue("ask:autumn", "three", b"", None)
        assert app.house_state(house).waiting == {"ask:autumn": 1, "mail:autumn": 2}
    assert "waiting mail:autumn" in shop.at(ws, "status").out


def _at(text):
    return instant(datetime.fromisoformat(text))


def test_an_old_or_missing_registry_of_ones_own_country_is_red(ws):
    with contextlib.closing(app.open(ws, at=_at("2026-12-10T12:00:00+02:00"))) as house:
        assert app.house_state(house).reds(Instant(0)) == []
    with contextlib.closing(app.open(ws, at=_at("2027-01-17T10:00:00+02:00"))) as house:
        found = app.house_state(house)
        assert found.reds(Instant(0)) == ["registry:ZA"]
        assert [(r.name, r.days, r.ours) for r in found.registries] == [("ZA", 68, True)]


def test_a_registry_nobody_took_in_is_said_and_a_dated_decision_stands_in(tmp_path):
    folder = shop.copied(shop.bare(), tmp_path / "bare")
    found = told(folder, "status", status=1)
    assert found["registries"] == [{"name": "ZA", "days": None, "stale": True}]
    assert found["red"] == [{"what": "registry:ZA", "remedy": "run: troth import registry FILE"}]
    assert "no file, out of date" in shop.at(folder, "status").out
    line = ["waive", "registry", "--until", "2026-12-01T10:00:00+02:00", "--reason", "late"]
    shop.done(shop.at(folder, *line, "--as", OFFICER))
    assert told(folder, "status")["red"] == []


def test_a_clock_that_lags_the_record_and_a_full_disk_are_red(ws, monkeypatch):
    with contextlib.closing(app.open(ws, at=_at("2026-11-17T09:59:00+02:00"))) as house:
        found = app.house_state(house)
        assert found.reds(Instant(0)) == ["clock"]
        assert found.behind == 60 * SECOND
    monkeypatch.setattr(housekeeping, "FREE_MIN", 2**62)
    assert [each["what"] for each in told(ws, "status", status=1)["red"]] == ["disk"]


def test_every_red_word_has_a_remedy():
    kinds = {"clock", "ledger", "disk", "registry", "requests"}
    assert status.REMEDIES.keys() == kinds
    assert all(status.REMEDIES.values())


# Retention


@pytest.fixture
def later(ws):
    """The shop three years on: its purchases and its relationships are over."""
    (ws / "demo.json").write_text(json.dumps({"demo_time": LATER}))
    return ws


def test_a_plan_counts_by_rule_and_category_keeps_small_counts_back_and_deletes_nothing(later):
    with contextlib.closing(app.open(later, at=_at(LATER))) as house:
        before = len(house_events(house))
    found = told(later, "retention", "plan", at=LATER)
    categories = {row["category"] for row in found["rows"]}
    assert "purchases" in categories
    assert {row["do"] for row in found["rows"]} == {"delete"}
    assert all(row["people"] is None for row in found["rows"])
    assert found["people"] is None
    text = shop.run("retention", "plan", "-w", later, "--at", LATER).out
    assert "fewer than 10" in text
    assert "Nothing was deleted" in text
    with contextlib.closing(app.open(later, at=_at(LATER))) as house:
        added = house_events(house)[before:]
        assert [said.work for said in added] == ["report", "report"]
        assert custody.retention_plan(house.desk, Actor(Role.SYSTEM, "t"))


def test_counts_of_ten_and_more_are_told_and_what_would_tell_a_small_one_is_not(ws):
    row = retention_rules.Row("name.given", "delete", Instant(0), "", "ZA-20")
    kept = retention_rules.Row("name.family", "keep", Instant(1), "", "ZA-20")
    held = retention_rules.Row("purchases/2026Q1", "restrict", Instant(0), "", "ZA-20")
    many = [custody.Planned(bytes([n]) * 16, (row, kept)) for n in range(12)]
    some = [custody.Planned(bytes([n]) * 16, (kept, held)) for n in range(30, 33)]
    with opened(ws) as house:
        assert retention_command._counted(house, many)["rows"] == [
            {"rule": "ZA-20", "category": "identity.name", "do": "delete", "people": 12}
        ]
        both = retention_command._counted(house, [*many, *some])
        assert [r["people"] for r in both["rows"]] == [None, None]
        assert {r["do"] for r in both["rows"]} == {"delete", "restrict"}


def test_a_run_needs_a_yes_and_says_first_over_whom_it_is(later):
    assert shop.run("retention", "run", "-w", later, "--at", LATER).status == 2
    with contextlib.closing(app.open(later, at=_at(LATER))) as house:
        size = len(house_events(house))
    found = told(later, "retention", "run", "--yes", at=LATER)
    assert found["quarters"] == 2
    with contextlib.closing(app.open(later, at=_at(LATER))) as house:
        works = [said.work for said in house_events(house)[size:]]
        assert works[:2] == ["report", "retention"]
        assert house.verify() == []
        assert housekeeping.unsigned(house) == 0


def test_whom_nothing_may_be_kept_of_is_counted_and_erased_when_told_so(later):
    first = told(later, "retention", "run", "--yes", at=MUCH_LATER)
    assert first["leave"] > 0
    ran = shop.run("retention", "run", "--yes", "-w", later, "--at", MUCH_LATER)
    assert "add --erase" in ran.out
    found = told(later, "retention", "run", "--yes", "--erase", at=MUCH_LATER)
    assert (found["erased"], found["leave"]) == (first["leave"], 0)
    assert told(later, "retention", "plan", at=MUCH_LATER)["rows"] == []
    text = shop.run("retention", "plan", "-w", later, "--at", MUCH_LATER).out
    assert text == "Nothing is kept longer than it may be.\n"


@pytest.mark.parametrize("line", [["plan"], ["run", "--yes"]])
def test_only_the_privacy_officer_looks_at_and_runs_retention(later, line):
    told(later, "retention", *line, "--as", MARKETER, status=1, at=LATER)
    told(later, "retention", *line, "--as", OFFICER, at=LATER)


def test_the_worker_runs_retention_once_a_day_and_not_on_the_day_it_first_sees(ws):
    minute = 60 * SECOND

    def works(at):
        with contextlib.closing(app.open(ws, at=_at(at))) as house:
            before = len(house_events(house))
            keeping = app.Housekeeping(house)
            for n in (1, 2):
                keeping.round(Instant(n * minute))
            return [getattr(said, "work", "") for said in house_events(house)[before:]]

    assert works(shop.AT) == []
    assert works(LATER)[:2] == ["report", "retention"]
    assert works(LATER) == []


# Settings, drafts


GOOD = """
[house]
zone = "Africa/Johannesburg"
[brands.marula]
domain = "marula.example"
from_name = "Marula"
from_address = "hello@marula.example"
list_id = "offers.marula.example"
[roles]
it = ["gareth@marula.example"]
[mail]
relay = "localhost:25"
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('zone = "Africa/Johannesburg"', "", "[house] has no zone"),
        ("Africa/Johannesburg", "Qzxmark/Nowhere", "[house] zone is no time zone"),
        ("[house]", "[hous]", "[house] is missing"),
        ("[brands.marula]", "[brand.marula]", "[brands.NAME] is missing"),
        ('domain = "marula.example"', "domain = 7", "[brands.marula] domain is no text"),
        ('from_name = "Marula"', "", "[brands.marula] has no from_name"),
        ('it = ["gareth@marula.example"]', 'it = "qzxmark"', "[roles] it is no list of ids"),
        ("localhost:25", "qzxmark", "[mail] relay is no HOST:PORT"),
        ("localhost:25", "localhost:99999", "[mail] relay is no HOST:PORT"),
        ("localhost:25", ":25", "[mail] relay is no HOST:PORT"),
        (
            'relay = "localhost:25"',
            'relay = "a:1"\nsecurity = "qzxmark"',
            "[mail] security is one",
        ),
        ("[mail]", "mail = 1\n[mai]", "[mail] is no table"),
        ("[mail]", 'console = { url = "qzxmark" }\n[mail]', "[console] url begins"),
        ("[mail]", '[channels]\nsms = "qzxmark"\n[mail]', "[channels] holds sms"),
    ],
)
def test_a_wrong_setting_is_named_by_section_and_key_and_never_by_value(tmp_path, old, new, says):
    text = GOOD.replace(old, new, 1)
    if new.startswith(("mail", "console")):
        text = new.split("\n")[0] + GOOD.replace(old, new.split("\n")[1], 1)
    (tmp_path / "troth.toml").write_text(text)
    with pytest.raises(InvalidInput) as wrong:
        read_settings(tmp_path)
    assert wrong.value.message.startswith(f"troth.toml: {says}")
    assert "qzxmark" not in str(wrong.value).lower()


def test_good_settings_are_read(tmp_path):
    (tmp_path / "troth.toml").write_text(GOOD)
    read = read_settings(tmp_path)
    assert (read.brand, read.relay_host, read.relay_port) == ("marula", "localhost", 25)
    assert (read.title, read.relay_security, read.origin) == (
        "marula", "none", "marula.example/ledger",
    )  # fmt: skip


SENSITIVE = """
name = "evening"
purpose = "offers"
[where]
all = [{ bought = { group = "wine", within_days = 90 } }]
"""


def test_a_draft_that_names_sensitive_goods_is_neither_checked_applied_nor_mailed(ws):
    (ws / "audiences/evening.toml").write_text(SENSITIVE)
    found = told(ws, "check", status=2)
    faults = {each["draft"]: each["message"] for each in found["faults"]}
    assert faults.keys() == {"audience:evening"}
    told(ws, "apply", status=2)
    with opened(ws) as house:
        with pytest.raises(InvalidInput):
            app.read_draft(house, "evening")
        with house.store.look() as view:
            assert view.published("audience:evening") is None
        with house.store.book() as tx:  # published before the word was refused
            tx.publish("audience:evening", "00" * 32, SENSITIVE.encode())
        with pytest.raises(InvalidInput):
            app.audience_of(house, "evening")
    line = ["campaign", "plan", "evening", "--template", "winback", "--as", MARKETER]
    told(ws, *line, status=2)
