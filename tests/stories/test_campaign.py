"""Lindiwe writes, Sipho approves, and what people say on the way is heard."""

import shutil
from datetime import timedelta

import marula
import pytest

from troth import app
from troth.capabilities.outreach import plans, steps, waves
from troth.errors import Conflict
from troth.terms import Actor, Refusal, Role

LINDIWE = marula.MARKETER
SIPHO = Actor(Role.MARKETER, "sipho@marula.example")
READERS = [f"r{n}" for n in range(4)]
WEST = "west@post.example"
TOMORROW = marula.NOW + timedelta(days=1)


@pytest.fixture(scope="module")
def shop(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("story") / "house"
    shutil.copytree(made, folder)
    path = folder / "troth.toml"
    one = '["lindiwe@marula.example"]'
    path.write_text(path.read_text().replace(one, f'{one[:-1]}, "{SIPHO.id}"]'))
    house = marula.House(folder)
    house.ws.apply()
    rows = [
        {**marula.BLANK, "external_id": each, "email": f"{each}@post.example",
         "relation_kind": "sale", "relation_at": marula.days_ago(200)}
        for each in READERS
    ]  # fmt: skip
    house.take("customers", *rows)
    house.take(
        "customers", {**rows[0], "external_id": "west", "email": WEST, "zone": "America/New_York"}
    )
    for each in (*READERS, "west"):
        house.consents(each, {"idempotency_key": each})
    app.rebuild_reach(house.ws, LINDIWE)
    house.ws.close()
    return folder


@pytest.fixture
def house(shop, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(shop, folder)
    opened = marula.House(folder)
    yield opened
    opened.ws.close()


def nine_tomorrow(house):
    """Lindiwe plans for nine o'clock tomorrow, Sipho approves, Lindiwe puts it on the calendar."""
    when = plans.When("local", f"{TOMORROW:%Y-%m-%d}T09:00", 12 * 60)
    app.draft_campaign(house.ws, app.Asked("spring", "winback", "winback", when), LINDIWE)
    life = app.submit_campaign(house.ws, "spring", LINDIWE)
    steps.approve(house.desk, "spring", life.plan, SIPHO)
    return steps.schedule(house.desk, "spring", LINDIWE)


def work(house, port, rounds=6):
    """Let the worker do some rounds at this moment."""
    sending = app.Sending(house.ws, ("127.0.0.1", port))
    return [fault for _ in range(rounds) for _, fault in app.tick(sending) if fault]


def at(house, hour, minute=1):
    return house.at(TOMORROW.replace(hour=hour, minute=minute))


def read(house):
    mine = {f"{each}@post.example" for each in READERS}
    return {to: n for to, n in house.delivered().items() if to in mine}


def life_of(house):
    with house.ws.store.look() as view:
        return steps.read_life(view, "spring")


def test_lindiwe_writes_sipho_approves_and_each_reader_hears_at_nine_by_their_own_clock(house):
    refused = app.draft_campaign(house.ws, app.Asked("spring", "winback", "winback"), LINDIWE)
    assert not isinstance(refused, Refusal)
    life = app.submit_campaign(house.ws, "spring", LINDIWE)
    assert isinstance(steps.approve(house.desk, "spring", life.plan, LINDIWE), Refusal)
    nine_tomorrow(house)
    with house.inbox() as port:
        work(house, port)
        assert house.delivered() == {}, "today is not tomorrow"
        at(house, 8, 59)
        work(house, port)
        assert read(house) == {}, "nine is not struck in Johannesburg"
        at(house, 9)
        work(house, port)
        assert set(read(house).values()) == {1}
        assert len(read(house)) == len(READERS)
        assert WEST not in house.delivered(), "it is the middle of the night in New York"
        at(house, 15, 59)
        work(house, port)
        assert WEST not in house.delivered()
        at(house, 16)
        work(house, port)
    assert WEST in house.delivered()
    assert set(house.delivered().values()) == {1}


def test_somebody_who_withdraws_between_schedule_and_hand_over_hears_nothing(house):
    nine_tomorrow(house)
    house.say(house.person("r1"), "withdrawn", "offers", ("email",), method="button")
    with house.inbox() as port:
        at(house, 9)
        work(house, port)
    assert sorted(read(house)) == ["r0@post.example", "r2@post.example", "r3@post.example"]
    told = [e for e in house.chain(house.person("r1")) if e.type == "use.refused"][-1]
    assert (told.payload.campaign, told.payload.reasons[0]["code"]) == ("spring", "withdrawn")


def test_sipho_pauses_what_is_booked_and_nothing_leaves_until_it_goes_on(house):
    nine_tomorrow(house)
    at(house, 9)
    assert [str(f.code) for f in work(house, 9, rounds=3)] == ["unavailable"] * 2
    with house.ws.store.look() as view:
        assert waves.progress(view, "spring").left == len(READERS)
        assert waves.progress(view, "spring").tally.trouble
    steps.move(house.desk, "spring", plans.Step.PAUSED, SIPHO)
    with house.inbox() as port:
        house.at(TOMORROW.replace(hour=9, minute=20))  # the dead connection's lease is over
        assert work(house, port) == []
        assert read(house) == {}
        house.say(house.person("r2"), "withdrawn", "offers", ("email",), method="button")
        steps.move(house.desk, "spring", plans.Step.RESUMED, LINDIWE)
        work(house, port)
    assert sorted(read(house)) == ["r0@post.example", "r1@post.example", "r3@post.example"]
    assert set(read(house).values()) == {1}


def test_what_waits_over_the_evening_leaves_in_the_morning_and_only_once(house):
    when = plans.When("local", f"{TOMORROW:%Y-%m-%d}T19:00", 48 * 60)
    app.draft_campaign(house.ws, app.Asked("spring", "winback", "winback", when), LINDIWE)
    life = app.submit_campaign(house.ws, "spring", LINDIWE)
    steps.approve(house.desk, "spring", life.plan, SIPHO)
    steps.schedule(house.desk, "spring", LINDIWE)
    at(house, 19)
    work(house, 9, rounds=2)  # booked, but the relay does not answer
    with house.inbox() as port:
        at(house, 20, 30)
        work(house, port)
        assert read(house) == {}, "after eight nobody here is written to"
        house.at(TOMORROW.replace(hour=8, minute=1) + timedelta(days=1))
        work(house, port)
    assert set(read(house).values()) == {1}
    assert len(read(house)) == len(READERS)


def test_a_stopped_campaign_mails_nobody_more_whoever_tries(house):
    nine_tomorrow(house)
    at(house, 9)
    work(house, 9, rounds=2)
    steps.move(house.desk, "spring", plans.Step.STOPPED, SIPHO)
    with house.inbox() as port:
        house.at(TOMORROW.replace(hour=9, minute=20))
        work(house, port)
        for step in (plans.Step.RESUMED, plans.Step.STARTED):
            with pytest.raises(Conflict):
                steps.move(house.desk, "spring", step, LINDIWE)
        with house.ws.store.look() as view:
            campaign = app.campaign_of(house.ws, view, steps.plan_of(view, "spring"))
        assert app.deliver(house.ws, campaign, LINDIWE, ("127.0.0.1", port)).handed == 0
    assert read(house) == {}
    for each in READERS:
        told = [e.payload for e in house.chain(house.person(each)) if e.type == "message.withheld"]
        assert [t.detail for t in told] == ["campaign_stopped"]
    assert house.ws.verify() == []
