"""The page of backups: how they stand, what they hold, and the disaster run while one looks."""

import time

import pytest
from hub_shop import make_shop, shop

from troth.app import backup
from troth.surfaces.demo import disaster


@pytest.fixture(scope="module")
def own():
    return make_shop()


def page(client, path="/console/backups"):
    return client.get(path).text


def test_before_the_first_backup_the_page_says_so_and_what_to_do():
    text = page(shop().door("it"))
    assert "There is no backup yet" in text
    assert "troth backup DIR --check" in text
    assert "nobody knows" in text


@pytest.mark.parametrize(
    ("role", "status"), [("it", 200), ("privacy_officer", 200), ("marketer", 403)]
)
def test_it_and_the_officer_see_it_and_nobody_else(role, status):
    assert shop().door(role).get("/console/backups").status_code == status


def test_a_backup_made_is_shown_with_its_age_size_and_trial(own, tmp_path):
    made = backup.backup_data(own.ws, tmp_path)
    backup.check_backup(own.ws, made.path)
    text = page(own.door("it"))
    assert made.backup.id in text
    assert made.path.name in text
    assert "under an hour" in text
    assert str(tmp_path) not in text


def test_every_table_and_its_reason_is_on_the_page():
    text = page(shop().door("privacy_officer"))
    for name, _, _ in backup.holds():
        assert f'<th scope="row">{name}</th>' in text


def test_the_disaster_runs_while_one_looks_and_all_of_it_holds():
    client = shop().door("it")
    token = shop().form(client, "/console/backups")
    size = shop().size()
    assert client.post("/console/backups/drill", data={"form": token}).status_code == 303
    for _ in range(200):
        text = page(client)
        if "data-poll" not in text:
            break
        time.sleep(0.05)
    assert text.count('badge-good">holds<') == 5
    assert "does not hold" not in text
    assert "restore.done" in text
    assert shop().size() == size  # nothing of the real house was touched


def test_the_drill_shows_what_does_not_hold_where_it_does_not(monkeypatch):
    """The planted violation: a restore that replays nothing."""
    from troth.capabilities.custody import restore

    monkeypatch.setattr(restore, "replay", lambda *_: restore.Replayed())
    story = disaster.run(lambda: time.time_ns() // 1_000)
    assert [each.holds for each in story.outcomes] == [False, False, False, True, True]


def test_outside_a_demo_there_is_no_drill(own):
    from fastapi.testclient import TestClient

    from troth.surfaces.web.server import build_app

    real = TestClient(
        build_app(own.ws, None, None), base_url="http://127.0.0.1:8400", follow_redirects=False
    )
    assert real.post("/console/backups/drill", data={"form": "x"}).status_code in {303, 401, 403}
    assert "disaster" in real.app.state.hub.kept
    assert real.app.state.hub.kept["disaster"].state == "none"


def test_a_schedule_makes_checks_and_thins_out_backups_by_itself(tmp_path):
    ws = _with_storage(make_shop().ws, tmp_path)
    backup.schedule(ws.settings)
    first = backup.tend(ws)
    assert first.checked_at
    assert backup.tend(ws) is None  # nothing is due
    found = {each.id: each.state for each in backup.checks(ws)}
    assert (found["backup.age"], found["backup.checked"]) == ("good", "good")
    assert len(list(tmp_path.iterdir())) == 1


def test_backups_older_than_their_days_go_but_never_the_newest_that_opened(own, tmp_path):
    from dataclasses import replace

    from troth.capabilities.custody.backup import note_backup
    from troth.kernel.desk import SYSTEM
    from troth.terms import DAY, Instant

    ws = _with_storage(own.ws, tmp_path)
    made = [backup.backup_data(ws, tmp_path).backup for _ in range(2)]
    for each in made:
        old = replace(each, at=Instant(each.at - 40 * DAY), checked_at=each.at)
        note_backup(ws.desk, old, "checked", SYSTEM)
    held = [b.id for b in backup.list_backups(ws) if b.checked_at]
    newest = held[0]
    backup.thin_out(ws)
    left = {b.id for b in backup.list_backups(ws) if not b.gone_at}
    assert newest in left
    assert {each.id for each in made} - left


@pytest.mark.parametrize("place", ["data/x", "keys", "witness/../keys/y"])
def test_a_schedule_into_the_record_or_the_keys_is_refused(own, place):
    from troth.errors import InvalidInput

    ws = _with_storage(own.ws, own.folder / place)
    with pytest.raises(InvalidInput, match="may not lie"):
        backup.schedule(ws.settings)
    assert [c.state for c in backup.checks(ws)] == ["bad"]


def _with_storage(ws, to):
    from dataclasses import replace

    said = {"backup_every_hours": 24, "backup_to": str(to), "backup_days": 30}
    return replace(ws, settings=replace(ws.settings, storage=said))


def test_what_cannot_be_seen_from_here_is_never_called_good(own):
    found = {each.id: each for each in backup.checks(own.ws)}
    assert found["journal.copy"].state == "unknown"
    assert found["backup.place"].state == "unknown"
