"""The audit trail for a security team: all that staff did, and nobody it was done to."""

import json

import cli_shop
import pytest

from troth import app as house
from troth.app import audit
from troth.errors import InvalidInput
from troth.kernel import events
from troth.kernel.desk import SYSTEM
from troth.terms import Actor, Role


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    cli_shop.copied(cli_shop.built(), folder)
    return folder


def looked(folder):
    """Let staff do a little of everything the trail tells of."""
    ws = house.open(folder)
    with ws.store.look() as view:
        person = ws.desk.find(view, "c-agreed")
    staff = Actor(Role.SUPPORT, ws.settings.staff["support"][0])
    ws.desk.record(person, [events.DataRead("service", ("name.given",), "case:T-1")], staff)
    ws.desk.record_house(events.StaffActed("signed_in", "support/00", "passkey"), staff)
    ws.desk.record_house(events.AlarmRaised("canary.read", "ca-1"), SYSTEM)
    return ws, person, staff


def test_every_line_is_one_json_object_and_names_no_customer(shop):
    ws, person, _ = looked(shop)
    ws.close()
    ran = cli_shop.at(shop, "audit", "export")
    assert ran.status == 0
    lines = [json.loads(line) for line in ran.out.splitlines()]
    told = {line["event"]["action"] for line in lines}
    assert {"data.read", "staff.acted", "alarm.raised"} <= told
    assert person.hex() not in ran.out
    assert "c-agreed" not in ran.out
    assert not any(mark in ran.out for mark in cli_shop.MARKS)
    places = [line["event"]["sequence"] for line in lines]
    assert places == sorted(set(places))


def test_one_account_has_one_name_whoever_they_looked_at(shop):
    ws, _, staff = looked(shop)
    with ws.store.look() as view:
        other = ws.desk.find(view, "c-level")
    ws.desk.record(other, [events.DataRead("service", (), "case:T-2")], staff)
    reads = [x for x in audit.lines(ws) if x["event"]["action"] == "data.read"]
    assert len(reads) == 2
    assert {x["user"]["id"] for x in reads} == {ws.desk.scribe.actor(staff, ws.desk.scribe.house)}
    raw = {ws.desk.scribe.actor(staff, who) for who in (other, ws.desk.scribe.house)}
    assert len(raw) == 2  # in the chains themselves two customers cannot join their staff
    ws.close()


def test_what_people_do_with_their_own_data_is_not_told(shop):
    ws, person, _ = looked(shop)
    own = Actor(Role.PERSON, person.hex())
    before = len(list(audit.lines(ws)))
    ws.desk.record(person, [events.DataRead("service", ("name.given",))], own)
    assert len(list(audit.lines(ws))) == before
    ws.close()


def test_a_file_goes_on_where_it_stopped_also_after_a_line_cut_by_a_crash(shop, tmp_path):
    ws, person, staff = looked(shop)
    path = tmp_path / "audit.jsonl"
    first, after = audit.append(ws, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert audit.append(ws, path) == (0, after)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert audit.append(ws, path)[0] == 1
    assert path.read_bytes() == whole
    ws.desk.record(person, [events.DataRead("service", (), "case:T-3")], staff)
    assert audit.append(ws, path)[0] == 1
    assert len(path.read_bytes().splitlines()) == first + 1
    ws.close()


def test_another_file_is_never_written_over(shop, tmp_path):
    ws, *_ = looked(shop)
    path = tmp_path / "notes.txt"
    path.write_text("somebody's own notes\n", "utf-8")
    with pytest.raises(InvalidInput):
        audit.append(ws, path)
    assert path.read_text("utf-8") == "somebody's own notes\n"
    ws.close()


def test_an_erased_person_leaves_nothing_that_opens_in_the_trail(shop):
    ws, person, _ = looked(shop)
    assert any(x["event"]["action"] == "data.read" for x in audit.lines(ws))
    ws.erase(person, "rq-1", SYSTEM)
    assert not any(x["event"]["action"] == "data.read" for x in audit.lines(ws))
    ws.close()


def test_an_entry_that_does_not_open_as_recorded_is_an_alert_by_its_place_alone(shop):
    ws, person, _ = looked(shop)
    with ws.store.look() as view:
        body = view.bodies(person)[-1]
    with ws.store.book() as tx:
        tx.put_body(person, body.n, body.rec[:-1] + bytes([body.rec[-1] ^ 1]))
    told = [x for x in audit.lines(ws) if x["event"]["action"] == audit.UNREAD]
    assert [(x["event"]["sequence"], x["event"]["kind"]) for x in told] == [(body.seq, "alert")]
    assert person.hex() not in json.dumps(told)
    ws.close()
