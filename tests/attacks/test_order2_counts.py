"""What one member of staff is shown counts against them in every role they act in."""

import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1] / "surfaces"))

import pytest
from segment_shop import MARKETER, opened, segment, text

from troth import app
from troth.adapters.reach.standing import sketch
from troth.app import previews
from troth.app.audiences import narrow_to
from troth.capabilities import insight
from troth.kernel import audience
from troth.surfaces.web import campaigns
from troth.terms import Actor, Instant, Role

BASE = {"has_sale": {}}
NEARLY = {"all": [BASE, {"none": [{"last_sale_older_than": {"days": 186}}]}]}
SAME_HAND = Actor(Role.OFFICER, MARKETER.id)


@pytest.fixture
def shop(tmp_path):
    with opened(tmp_path) as made:
        yield made


def test_one_person_in_two_roles_is_not_shown_both_halves_of_a_difference(shop):
    assert isinstance(shop.count(BASE).counted, insight.Counted)
    wanted, limits = segment(NEARLY), app.segment_limits(shop.ws)
    marks = sketch(narrow_to(shop.ws, wanted), insight.sketch_key(shop.ws.desk))
    exact = insight.shown([], 0, {}, Instant(0), limits)
    seen = (audience.digest(wanted), marks)
    found = insight.admit(shop.ws.desk, SAME_HAND, seen, exact, limits)
    assert found == insight.Withheld("tracker", limits.k)


def test_one_person_in_two_roles_has_one_days_looks_at_real_people(shop):
    most = previews.looks_left(shop.ws, MARKETER)
    previews._take_a_look(shop.ws, MARKETER)
    assert previews.looks_left(shop.ws, SAME_HAND) == most - 1


@pytest.mark.parametrize(("reachable", "refused"), [(48, 2), (120, 9), (55, 1)])
def test_a_campaigns_numbers_do_not_tell_a_small_one_by_subtraction_or_by_a_bar(
    shop, reachable, refused
):
    hub = shop.app.state.hub
    seen = app.Foreseen(
        reachable + refused, reachable, {}, {"objected": refused}, "2026-11-17T08:00:00Z"
    )
    plan = SimpleNamespace(seen=seen)
    told = campaigns._numbers(hub, plan)
    few = next(row for row in told["rows"] if row["kind"] == "other")
    assert few["text"] == "fewer than 10"
    assert few["share"] == round(100 * 10 / reachable, 1)
    assert told["candidates"].startswith("at most ")
    assert int(told["candidates"].split()[-1]) % 10 == 0


def test_two_campaigns_over_segments_a_few_people_apart_do_not_tell_of_these_few(tmp_path):
    shown = {}
    with opened(tmp_path / "near") as shop:
        client = shop.door()
        for name, where in (("one", BASE), ("two", NEARLY)):
            app.publish_audience(shop.ws, name, app.Edition(text(where, name), 0, "x"), MARKETER)
            form = shop.form(client, "/console/campaigns/new")
            plan = {"name": f"c{name}", "audience": name, "template": "winback", "form": form}
            client.post("/console/campaigns", data=plan)
            client.post(f"/console/campaigns/c{name}/count", data={"form": form})
            shown[name] = client.get(f"/console/campaigns/c{name}").text
    assert "may be mailed, counted" in shown["one"]
    assert "may be mailed, counted" not in shown["two"]
    assert "nearly the same people" in shown["two"]
