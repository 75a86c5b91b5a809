"""A marketer builds a segment, sees whom it leaves out and why, and publishes what is fair."""

import pytest
from marula import MARKETER, OFFICER
from segment_shop import opened, segment, text

from troth import app
from troth.capabilities import insight
from troth.errors import InvalidInput
from troth.kernel import audience
from troth.terms import Channel

LOYAL = {"all": [{"has_sale": {}}, {"interest": ["tea"]}]}


@pytest.fixture
def shop(tmp_path):
    with opened(tmp_path) as made:
        yield made


def test_from_the_first_idea_to_a_version_that_a_campaign_names(shop):
    first = app.count_audience(shop.ws, segment(LOYAL, name="tea-lovers"), MARKETER)
    assert first.counted.inside == sum(n % 4 and n % 3 and n % 5 >= 2 for n in range(160)) == 48
    kept_out = {row.state for row in first.counted.outside}
    assert kept_out == {"no", "unagreed"}
    assert first.fairness.left_out[0].category == "interests.declared"
    made = app.publish_audience(
        shop.ws, "tea-lovers", app.Edition(text(LOYAL, "tea-lovers"), 0, "tea week"), MARKETER
    )
    label, wanted = app.audience_of(shop.ws, "tea-lovers")
    assert label == made.label == "audience:tea-lovers@1"
    assert audience.digest(wanted) == audience.digest(segment(LOYAL))
    _, candidates = app.narrow(shop.ws, "tea-lovers")
    assert len(candidates) == 48


def test_who_takes_the_agreement_back_is_out_at_the_next_count_and_says_so_nowhere(shop):
    from troth.capabilities import preferences
    from troth.terms import Actor, ConsentStatus, Role

    person = shop.person(2)
    wanted = segment(LOYAL)
    assert person not in app.narrow(shop.ws, "winback")[1]
    before = app.count_audience(shop.ws, wanted, MARKETER).counted.inside
    choice = preferences.Choice(ConsentStatus("withdrawn"), "personalise", (), method="button")
    preferences.record_choice(shop.ws.desk, person, choice, Actor(Role.PERSON, person.hex()))
    again = app.count_audience(shop.ws, wanted, MARKETER).counted
    assert (again.inside, again.kept) == (before, True), "one person's change is shown to nobody"
    stranger = app.count_audience(shop.ws, wanted, OFFICER).counted
    assert stranger.inside == before - 1


def test_a_segment_that_stands_for_a_trait_waits_for_a_reason_and_one_that_names_it_for_ever(shop):
    baby = text({"bought_in": {"group": "Baby care", "within_days": 90}}, "babies")
    with pytest.raises(InvalidInput, match="look again"):
        app.publish_audience(shop.ws, "babies", app.Edition(baby), MARKETER)
    app.publish_audience(shop.ws, "babies", app.Edition(baby, 0, "asked for"), MARKETER)
    for name in ("Pharmacy", "halal", "wine"):
        with pytest.raises(InvalidInput, match="sensitive goods"):
            app.read_segment(audience.written(audience.parse_audience(
                {"name": "x", "purpose": "offers", "where": {"interest": [name]}}
            )))  # fmt: skip


def test_a_count_opens_nobody_and_leaves_no_event_in_anybodys_chain(shop):
    person = shop.person(3)
    with shop.ws.store.look() as view:
        before = view.gather([person], Channel.EMAIL)[0].head.n
    app.count_audience(shop.ws, segment(LOYAL), MARKETER)
    with shop.ws.store.look() as view:
        assert view.gather([person], Channel.EMAIL)[0].head.n == before
    works = [each.work for each in shop.house_events("SetProcessed")]
    assert works[-2:] == ["count", "preview"]


def test_small_is_small_to_everybody(shop):
    few = {"all": [{"has_sale": {}}, {"last_sale_older_than": {"days": 180}}]}
    found = app.count_audience(shop.ws, segment(few), MARKETER).counted
    assert found.few
    assert (found.inside, found.reachable, dict.fromkeys(found.reasons)) == (
        None,
        None,
        dict(found.reasons),
    )
    assert insight.band(found) == "fewer than 10"
