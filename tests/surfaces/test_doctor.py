"""The doctor: each protection has a planted violation that turns it bad, and green is looked at."""

import ast
import json
import os
import re
import socket
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import hub_shop
import map_shop
import pytest
from map_shop import IT

from troth import app
from troth.app import doctor, doctor_files, doctor_house, housekeeping, scans
from troth.app.checks import Check
from troth.errors import InvalidInput
from troth.surfaces import cli
from troth.terms import DAY, Refusal, instant


@pytest.fixture(scope="module")
def shop():
    with map_shop.opened() as (made, path):
        yield made, path


def state(ws, ident):
    (found,) = [each for each in doctor.examine(ws) if each.id == ident]
    return found.state


def with_settings(ws, **changes):
    return replace(ws, settings=replace(ws.settings, **changes))


# --- every check can fail


@pytest.mark.parametrize("name", ["data", "keys", "witness"])
def test_a_folder_that_others_may_read_is_bad(shop, name):
    ws = shop[0].ws
    folder = shop[0].folder / name
    assert state(ws, f"files.{name}") == "good"
    folder.chmod(0o755)
    try:
        assert state(ws, f"files.{name}") == "bad"
    finally:
        folder.chmod(0o700)


def test_a_key_file_that_others_may_read_is_bad(shop):
    ws = shop[0].ws
    (key, *_) = (shop[0].folder / "keys").glob("kek-*.key")
    assert state(ws, "keys.mode") == "good"
    key.chmod(0o644)
    try:
        assert state(ws, "keys.mode") == "bad"
    finally:
        key.chmod(0o600)


def test_keys_that_lie_with_the_data_are_bad(shop):
    made, _ = shop
    assert state(made.ws, "keys.apart") == "good"
    copied = made.folder / "data" / "kek-1.key"
    copied.write_bytes(b"x")
    try:
        assert state(made.ws, "keys.apart") == "bad"
    finally:
        copied.unlink()


def test_a_key_folder_moved_under_the_data_is_bad(tmp_path):
    class Moved:
        record, witness = tmp_path / "data" / "record.db", tmp_path / "witness"
        keys, folder = tmp_path / "data" / "keys", tmp_path
        storage, key_care = {}, {}

    Moved.keys.mkdir(parents=True)
    (found,) = doctor_files.keys_apart(type("W", (), {"settings": Moved})())
    assert found.state == "bad"


def test_a_record_that_somebody_took_out_of_its_mode_is_bad(shop, tmp_path):
    assert state(shop[0].ws, "record.settings") == "good"
    path = tmp_path / "record.db"
    with closing(sqlite3.connect(path)) as con, con:
        con.execute("CREATE TABLE t (x)")
    assert doctor_files.record_check(path).state == "bad"


@pytest.mark.parametrize("line", ['{"to": "planted@post.example"}\n', "called +27825550101\n"])
def test_a_log_that_holds_an_address_is_bad_and_the_address_is_not_repeated(shop, line):
    made, _ = shop
    log = made.folder / "data" / "troth.log"
    before = log.read_bytes() if log.exists() else b""
    log.write_bytes(before + line.encode())
    try:
        (found,) = [c for c in doctor.examine(made.ws) if c.id == "log.addresses"]
        assert found.state == "bad"
        assert "planted" not in found.said
    finally:
        log.write_bytes(before)
    assert state(made.ws, "log.addresses") == "good"


def test_a_secret_in_a_draft_is_bad(shop):
    made, _ = shop
    draft = made.folder / "partners.toml"
    assert state(made.ws, "files.secrets") == "good"
    for text in ('password = "planted"', 'url = "https://user:planted@host.example/x"'):
        draft.write_text(text)
        try:
            assert state(made.ws, "files.secrets") == "bad"
        finally:
            draft.unlink()


def test_lists_that_others_may_read_are_bad_and_none_is_good(shop, tmp_path):
    made, _ = shop
    assert state(made.ws, "files.arrivals") == "bad"
    for path in made.folder.glob("*.csv"):
        path.chmod(0o600)
    assert state(made.ws, "files.arrivals") == "unknown"
    assert state(with_settings(made.ws, folder=tmp_path), "files.arrivals") == "good"


def test_a_full_disk_is_bad(shop, monkeypatch):
    assert state(shop[0].ws, "disk.free") == "good"
    monkeypatch.setattr(doctor_files, "FREE_MIN", 1 << 62)
    assert state(shop[0].ws, "disk.free") == "bad"


def test_mail_in_clear_to_another_machine_is_bad(shop):
    ws = shop[0].ws
    assert state(ws, "relay.tls") == "good"
    assert state(with_settings(ws, relay_host="relay.example"), "relay.tls") == "bad"
    sure = with_settings(ws, relay_host="relay.example", relay_security="starttls")
    assert state(sure, "relay.tls") == "good"


def test_a_console_without_https_is_bad_and_one_that_is_local_is_off(shop):
    ws = shop[0].ws
    assert state(ws, "console.https") == "off"
    assert state(with_settings(ws, console_url="http://c.example"), "console.https") == "bad"
    assert state(with_settings(ws, console_url="https://c.example"), "console.https") == "good"


def test_a_port_that_answers_other_machines_is_bad(shop):
    ws = shop[0].ws
    with socket.socket() as here:
        here.bind(("127.0.0.1", 0))
        here.listen()
        assert state(ws, "ports.loopback") == "good"
        with socket.socket() as out:
            out.bind(("", 0))
            out.listen()
            assert state(ws, "ports.loopback") == "bad"


def test_ports_nobody_can_look_at_are_unknown(shop, monkeypatch):
    monkeypatch.setattr(doctor_files, "listening_on", lambda _place: None)
    assert state(shop[0].ws, "ports.loopback") == "unknown"
    monkeypatch.setattr(doctor_files, "listening_on", lambda _place: [])
    assert state(shop[0].ws, "ports.loopback") == "off"


def test_a_ledger_nobody_signs_is_bad(shop):
    made, _ = shop
    signed = made.folder / "witness" / "signed"
    looks = list(doctor_house.running(made.ws))
    assert next(c for c in looks if c.id == "ledger.signed").state == "good"
    with made.ws.store.book() as tx:
        tx.state(b'\x01{"at":"2026-11-17T08:00:00Z","type":"planted"}')
    old = signed.stat().st_mtime - 7_300
    os.utime(signed, (old, old))
    looks = list(doctor_house.running(made.ws))
    assert next(c for c in looks if c.id == "ledger.signed").state == "bad"
    made.ws.sign()


def test_a_clock_that_lags_the_record_is_bad(shop):
    made, _ = shop
    assert state(made.ws, "clock.behind") == "good"
    made.ws.sign()
    with made.ws.store.book() as tx:
        tx.put_row("custody.retention.day", b"other", b"x")
    late = app.open(made.folder, at=instant(hub_shop.NOW) - DAY)
    try:
        assert state(late, "clock.behind") == "bad"
    finally:
        late.close()


def test_retention_that_stopped_is_bad_and_one_that_never_ran_is_not_green(shop):
    made, _ = shop
    assert state(made.ws, "retention.ran") == "unknown"
    for day, told in (("2026-11-17", "good"), ("2026-11-16", "good"), ("2026-11-10", "bad")):
        with made.ws.store.book() as tx:
            tx.put_row(housekeeping.DAYS, b"last", day.encode())
        assert state(made.ws, "retention.ran") == told


def test_a_policy_that_lets_a_stranger_in_is_bad(shop, monkeypatch):
    ws = shop[0].ws
    assert state(ws, "policy.stranger") == "good"

    class Open:
        def claim(self, request):
            return doctor_house.Claim({})

    opened = replace(ws, desk=replace(ws.desk, policy=Open()))
    assert state(opened, "policy.stranger") == "bad"


def test_notices_that_do_not_tell_are_bad(shop):
    made, _ = shop
    assert state(made.ws, "notices.told") == "good"
    notice = made.folder / "notices" / "offers.md"
    before = notice.read_text("utf-8")
    notice.write_text("+++\nname = 'offers'\nversion = 3\npurposes = ['offers']\n+++\nHello.\n")
    try:
        assert state(made.ws, "notices.told") == "bad"
    finally:
        notice.write_text(before, "utf-8")


def test_a_recipient_in_an_unknown_country_or_by_plain_http_is_bad(shop, monkeypatch):
    ws = shop[0].ws
    real = doctor_house.documents.facts

    def changed(opened):
        facts = real(opened)
        values = {
            **facts.values,
            "connections": {"desk": {"url": "http://tool.example/x"}},
            "channels": {"sms": {"provider": "https://sms.example"}},
        }
        return replace(facts, values=values)

    monkeypatch.setattr(doctor_house.documents, "facts", changed)
    assert state(ws, "recipients.country") == "bad"
    assert state(ws, "recipients.https") == "bad"


def test_an_overdue_request_is_bad(shop, monkeypatch):
    assert state(shop[0].ws, "erasure.overdue") == "good"
    monkeypatch.setattr(doctor_house.requests, "overdue", lambda _view: 2)
    assert state(shop[0].ws, "erasure.overdue") == "bad"


def test_a_follower_that_hangs_is_bad(shop, monkeypatch):
    real = doctor_house.state

    def hung(opened):
        held = real(opened)
        return replace(held, followers=[replace(held.followers[0], error="unavailable", since=1)])

    assert state(shop[0].ws, "followers.red") == "good"
    monkeypatch.setattr(doctor_house, "state", hung)
    assert state(shop[0].ws, "followers.red") == "bad"


def test_versions_too_old_are_bad_and_a_list_past_its_review_proves_nothing():
    listed = {
        "review_by": date(2027, 2, 24), "checked_on": date(2026, 11, 24),
        "part": [{"name": "SQLite", "least": "3.40.0", "why": "x"}],
    }  # fmt: skip

    def told(today, version):
        have = {"SQLite": version} if version else {}
        return [c.state for c in doctor_files.versions_as_of(today, have, listed)]

    now = date(2026, 12, 1)
    assert told(now, "3.40.1") == ["good"]
    assert told(now, "3.9.2") == ["bad"]
    assert told(now, "") == ["unknown"]
    assert told(date(2027, 3, 1), "3.50.0") == ["unknown"]


def test_a_source_is_unknown_before_its_scan_good_after_it_and_bad_when_it_grows(shop):
    made, path = shop
    assert state(made.ws, "source.crm.drift") == "unknown"
    scans.scan(made.ws, "crm", IT)
    assert state(made.ws, "source.crm.drift") == "good"
    assert state(made.ws, "source.crm.way") == "good"
    map_shop.grow(path)
    scans.scan(made.ws, "crm", IT)
    assert state(made.ws, "source.crm.drift") == "bad"


def test_a_source_reached_in_clear_or_without_its_secret_is_bad(shop):
    made, _ = shop
    with made.ws.store.book() as tx:
        kept = scans.Standing("far", tx.now, guarded="open")
        tx.put_row(scans.TABLE, b"far", scans.msgspec.json.encode(kept))
    ws = with_settings(made.ws, sources={"far": {"kind": "postgres"}})
    assert state(ws, "source.far.way") == "bad"
    assert state(ws, "source.far.secret") == "bad"
    secret = made.folder / "keys" / "sources" / "far"
    secret.parent.mkdir(mode=0o700)
    secret.write_text("postgresql://u@db.example/x")
    secret.chmod(0o600)
    assert state(ws, "source.far.secret") == "good"
    assert made.ws.settings.sources.keys() == {"crm"}


# --- the doctor itself


def test_a_look_that_breaks_is_unknown_and_never_green(shop, monkeypatch):
    def broken(_opened):
        raise RuntimeError("planted@post.example")

    monkeypatch.setattr(doctor_files, "LOOKS", (broken,))
    (found,) = [c for c in doctor.examine(shop[0].ws) if c.id == "doctor.files.0"]
    assert found.state == "unknown"
    assert "planted" not in found.said


def test_a_part_that_breaks_is_named_and_never_green(shop, monkeypatch):
    monkeypatch.setattr(doctor, "PARTS", {"planted": lambda _opened: 1 / 0})
    found = [c.state for c in doctor.examine(shop[0].ws) if c.id == "doctor.part.planted"]
    assert found == ["unknown"]


def test_every_part_that_says_how_it_stands_is_asked(shop):
    """A module of `troth.app` with checks of its own that nobody asks for protects on paper."""
    asked = {(look.__module__, look.__name__) for look in doctor.PARTS.values()}
    there = set()
    for path in Path(app.__file__).parent.glob("*.py"):
        name = f"troth.app.{path.stem}"
        for each in ast.parse(path.read_text("utf-8")).body:
            if isinstance(each, ast.FunctionDef) and each.name in {"checks", "policy_checks"}:
                there.add((name, each.name))
    assert asked == there
    told = {each.id for each in doctor.examine(shop[0].ws)}
    assert {"looks.reasons", "looks.canaries", "looks.exports", "access.policy"} <= told


def test_a_house_whose_recipients_cannot_be_read_is_not_green(shop, monkeypatch):
    def unread(_opened):
        raise InvalidInput("troth.toml does not read", "correct it")

    monkeypatch.setattr(doctor_house.documents, "facts", unread)
    found = {each.id: each.state for each in doctor.examine(shop[0].ws)}
    place = doctor_house.LOOKS.index(doctor_house.outside)
    assert found[f"doctor.house.{place}"] == "unknown"
    assert "recipients.country" not in found


def test_red_comes_first():
    made = [Check(s, "stored", s, s, "") for s in ("off", "good", "unknown", "bad")]
    assert [c.state for c in doctor.ordered(made)] == ["bad", "unknown", "good", "off"]


def test_looking_books_nothing_and_names_nobody(shop):
    made, _ = shop
    before = made.size()
    told = json.dumps([[c.title, c.said, c.remedy] for c in doctor.examine(made.ws)])
    assert made.size() == before
    assert "post.example" not in told
    assert str(made.folder) not in told
    assert "Secretname" not in told


def test_every_check_says_what_was_found_and_whatever_is_not_good_says_what_to_do(shop):
    for each in doctor.examine(shop[0].ws):
        assert each.said, each.id
        assert each.step in doctor.STEPS
        assert each.remedy or each.state in {"good", "off"}, each.id


# --- page and command


def test_the_page_shows_red_first_with_what_to_do(shop):
    made, _ = shop
    text = made.door("it").get("/console/doctor").text
    assert "Do this first" in text
    assert re.search(r"<h1>\d+ protections? do(es)? not hold</h1>", text)
    assert made.door("privacy_officer").get("/console/doctor").status_code == 200
    assert made.door("marketer").get("/console/doctor").status_code == 403
    assert "not hold" not in made.client.get("/console/doctor").text


def test_the_command_ends_with_one_while_anything_is_bad(shop, capsys):
    made, _ = shop
    at = hub_shop.NOW.isoformat()
    assert cli.answer(["doctor", "-w", str(made.folder), "--at", at, "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["bad"] == sum(1 for each in data["checks"] if each["state"] == "bad") > 0
    assert cli.answer(["doctor", "-w", str(made.folder), "--at", at]) == 1
    assert "do not hold" in capsys.readouterr().out


def test_a_refusal_is_no_claim():
    assert not isinstance(Refusal(()), doctor_house.Claim)
