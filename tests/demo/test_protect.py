"""What the demo's house has lived through: each figure its pages show is one its own log holds."""

import json
import shutil
from datetime import datetime

import pytest
from starlette.testclient import TestClient

from troth import app
from troth.app import access as rights
from troth.app import backup, datamap, doctor, keys, scans
from troth.capabilities.access import canaries, granting, usage
from troth.kernel import events
from troth.surfaces.demo import protect
from troth.surfaces.web.server import build_app
from troth.terms import Instant, Role, instant


@pytest.fixture(scope="module")
def demo(whole_demo, tmp_path_factory):
    """A copy of the demo, opened at its own moment; the workspace and its figures."""
    folder = tmp_path_factory.mktemp("protect") / "house"
    shutil.copytree(whole_demo[0], folder)
    told = json.loads((folder / "demo.json").read_text("utf-8"))
    ws = app.open(folder, at=instant(datetime.fromisoformat(told["demo_time"])))
    yield ws, told
    ws.close()


@pytest.fixture(scope="module")
def client(demo):
    ws, told = demo
    served = build_app(ws, told, ws.settings.folder / "inbox")
    with TestClient(served, base_url="http://127.0.0.1:8400") as opened:
        yield opened


def behind(client, role, path):
    assert client.post(f"/doors/{role}", follow_redirects=False).status_code == 303
    return client.get(path).text


def test_37_can_see_addresses_six_used_it_and_three_reads_would_have_been_denied(demo):
    advice = rights.advise(demo[0])
    found = next(p for p in advice.proposals if p.category == protect.EMAIL)
    assert (found.before, found.after, found.replay.count) == (37, 6, 3)
    roles = advice.picture.seen.roles(protect.EMAIL)
    assert roles == {Role.SUPPORT.value: 36, Role.OFFICER.value: 1}


def test_every_look_rests_on_an_event_in_the_chain_of_whom_it_was_at(demo):
    ws, _ = demo
    with ws.store.look() as view:
        used = list(usage.uses(view, Instant(0), view.now))
        assert len(used) == 42
        for use in used:
            chain = ws.desk.scribe.chain(view, use.person)
            said = next(r.event for r in chain if r.event.n == use.n)
            assert isinstance(said.payload, events.DataRead)
            assert said.payload.reason == use.reason


def test_canaries_are_in_no_figure(demo):
    ws, told = demo
    with ws.store.look() as view:
        assert len(canaries.ids(view)) == protect.CANARIES
    assert told["people"] == 2497
    assert rights.days(ws)[-1].people["identity.name"] == 2497


def test_one_right_waits_and_one_emergency_is_to_be_looked_at(demo):
    with demo[0].store.look() as view:
        every, now = granting.every(view), view.now
    assert [g.waits(now) for g in every].count(True) == 1
    owed = [g for g in every if g.due and not g.reviewed]
    assert len(owed) == 1
    assert not owed[0].stands(now)
    assert not owed[0].unreviewed(now)


def test_the_warehouse_holds_one_personal_column_that_nobody_mapped(demo):
    ws, _ = demo
    found = scans.standing(ws)[protect.WAREHOUSE]
    assert [(d.column, d.now) for d in found.alarming] == [("mobile_number", "contact.phone")]
    held = datamap.read(ws, doctor.examine(ws))
    assert held.part("undescribed") is None


def test_the_backup_opened_and_an_old_epoch_waits_for_its_end(demo):
    ws, _ = demo
    newest = backup.list_backups(ws)[0]
    assert newest.checked_at
    assert (ws.settings.folder / protect.BACKUPS / newest.place).is_file()
    held = keys.standing(ws)
    assert [each.state for each in held.epochs] == ["kept", "current"]
    assert held.overdue == []


def test_nobody_outside_watches_and_the_doctor_says_what_does_not_hold(demo):
    found = {each.id: each.state for each in doctor.examine(demo[0])}
    bad = {name for name, state in found.items() if state == "bad"}
    assert bad == {"files.arrivals", "backup.place", "keys.copy", "source.warehouse.drift"}


def test_only_the_people_of_the_story_have_a_door(client):
    text = client.get("/").text
    assert text.count('action="/doors/') == 5
    assert "agent-" not in text


def test_its_door_shows_each_protection_with_its_figure_and_its_page(client):
    text = behind(client, "it", "/console")
    for path in ("access", "map", "doctor", "keys", "backups", "witness"):
        assert f'<a href="/console/{path}">' in text
    for said in (
        "<b>37</b><span>", "as on 20 July 2026", "under an hour", "1 old one to be destroyed",
        "nobody outside watches the ledger yet", "Lose the disk and restore yesterday",
        "Warehouse: data nobody mapped",
    ):  # fmt: skip
        assert said in text


def test_the_officers_door_shows_requests_exposure_and_emergencies(client):
    text = behind(client, "privacy_officer", "/console")
    for said in ("open requests", "people can see e-mail addresses", "emergency to look at"):
        assert said in text


def test_the_tour_has_the_round_of_it_in_six_steps(client):
    text = client.get("/tour").text
    round_ = text[text.index("The round of IT") :]
    assert round_.count("<li><h3>") == 6
    assert "Open Gareth’s door" in round_
