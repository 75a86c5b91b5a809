"""A campaign's life: two hands, an approval that binds, a reader's own clock, nobody twice."""

import itertools
import shutil
from dataclasses import replace
from datetime import timedelta

import marula
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from troth import app
from troth.adapters.memory import MemoryStore
from troth.adapters.sqlite.record import SqliteStore
from troth.capabilities import outreach, preferences
from troth.capabilities.outreach import plans, steps, waves
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import events
from troth.terms import SECOND, Actor, Instant, Refusal, Role, instant

LINDIWE = marula.MARKETER
SIPHO = Actor(Role.MARKETER, "sipho@marula.example")
NOKUTHULA = marula.OFFICER
CLI = Actor(Role.SYSTEM, "cli")
HOUR = 3600 * SECOND
LOCALS = {f"z{n}@post.example": 1 for n in range(12)}
"""South Africans who bought long ago and agreed to offers, each to be mailed once."""


def with_sipho(folder):
    path = folder / "troth.toml"
    one = '["lindiwe@marula.example"]'
    path.write_text(
        path.read_text().replace(one, '["lindiwe@marula.example", "sipho@marula.example"]')
    )


@pytest.fixture(scope="session")
def two_handed(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaigns") / "house"
    shutil.copytree(made, folder)
    with_sipho(folder)
    opened = marula.House(folder)
    opened.ws.apply()
    customers(opened, "z", len(LOCALS))
    app.rebuild_reach(opened.ws, CLI)
    opened.ws.close()
    return folder


@pytest.fixture
def house(two_handed, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(two_handed, folder)
    opened = marula.House(folder)
    yield opened
    opened.ws.close()


def plan_of(name="spring", **more):
    return plans.Plan(
        name, "audience:winback@1", "ab" * 32, "template:winback@1", "offers", **more
    )


def acted(house, name="spring"):
    return [
        e.payload.act
        for e in house.house_chain()
        if isinstance(e.payload, events.CampaignActed) and e.payload.campaign == name
    ]


def refusals(house):
    return [e.payload for e in house.house_chain() if isinstance(e.payload, events.HouseRefused)]


def life_of(house, name="spring"):
    with house.ws.store.look() as view:
        return steps.read_life(view, name)


def submitted(house, who=LINDIWE, **more):
    asked = app.Asked("spring", "winback", "winback", **more)
    app.draft_campaign(house.ws, asked, who)
    return app.submit_campaign(house.ws, "spring", who)


def approved(house, **more):
    life = submitted(house, **more)
    return steps.approve(house.desk, "spring", life.plan, SIPHO)


def sent(house, name="spring"):
    with house.inbox() as port:
        sending = app.Sending(house.ws, ("127.0.0.1", port))
        while sending.advance(name):
            pass


def customers(house, letter, count):
    """Let so many South Africans be known who bought long ago and agreed to offers."""
    rows = [
        {**marula.BLANK, "external_id": f"{letter}{n}", "email": f"{letter}{n}@post.example",
         "relation_kind": "sale", "relation_at": marula.days_ago(200)}
        for n in range(count)
    ]  # fmt: skip
    house.take("customers", *rows)
    for row in rows:
        house.consents(row["external_id"], {"idempotency_key": row["external_id"]})


# Two hands


@pytest.mark.parametrize("who", [LINDIWE, CLI, Actor(Role.MARKETER, "stranger@marula.example")])
def test_who_wrote_a_plan_or_cannot_be_named_does_not_approve_it_and_the_attempt_is_kept(
    house, who
):
    life = submitted(house)
    no = steps.approve(house.desk, "spring", life.plan, who)
    assert isinstance(no, Refusal)
    assert life_of(house).stage is plans.Stage.SUBMITTED
    told = refusals(house)[-1]
    assert (told.campaign, told.action) == ("spring", "approved")
    expected = "separation_of_duty" if who in (LINDIWE, CLI) else "unknown_actor"
    assert [r["code"] for r in told.reasons] == [expected]


def test_the_last_editor_does_not_approve_either_nor_does_the_first_author(house):
    submitted(house)
    life = submitted(house, who=SIPHO, note="a word changed")
    for who in (LINDIWE, SIPHO):
        assert isinstance(steps.approve(house.desk, "spring", life.plan, who), Refusal)
    assert steps.approve(house.desk, "spring", life.plan, NOKUTHULA).stands


def test_one_person_in_two_roles_is_still_one_person(house):
    path = house.folder / "troth.toml"
    text = path.read_text().replace('["nokuthula@', '["lindiwe@marula.example", "nokuthula@')
    path.write_text(text)
    house.at(marula.NOW).ws.apply()
    life = submitted(house)
    officer = Actor(Role.OFFICER, LINDIWE.id)
    no = steps.approve(house.desk, "spring", life.plan, officer)
    assert no.first.code == "separation_of_duty"


def test_a_plan_needs_a_writer_who_can_be_named_and_may_send(house):
    asked = app.Asked("spring", "winback", "winback")
    with pytest.raises(InvalidInput, match="named"):
        app.draft_campaign(house.ws, asked, CLI)
    no = app.draft_campaign(house.ws, asked, NOKUTHULA)
    assert no.first.code == "purpose_not_permitted"
    assert life_of(house) is None


def test_what_changed_after_it_was_looked_at_is_not_approved(house):
    seen = submitted(house).plan
    submitted(house, holdout=5)
    with pytest.raises(Conflict, match="changed"):
        steps.approve(house.desk, "spring", seen, SIPHO)
    assert not life_of(house).approved


@pytest.mark.parametrize(
    "change",
    [{"holdout": 1}, {"when": plans.When("local", "2026-11-18T09:00")}, {"note": "x"}, {}],
)
def test_any_new_version_of_the_plan_makes_the_approval_void(house, change):
    approved(house)
    app.draft_campaign(house.ws, app.Asked("spring", "winback", "winback", **change), LINDIWE)
    assert (life_of(house).stage, life_of(house).stands) == (plans.Stage.DRAFTED, False)
    for step in (plans.Step.STARTED, plans.Step.SCHEDULED):
        with pytest.raises(Conflict):
            steps.move(house.desk, "spring", step, LINDIWE)


def test_a_plan_exchanged_behind_the_console_is_not_started(house):
    approved(house)
    with house.ws.store.look() as view:
        other = replace(steps.plan_of(view, "spring"), template="template:ask@1")
    with house.ws.store.book() as tx:
        tx.publish("campaign:spring", "00" * 32, plans.written(other))
    with pytest.raises(Conflict, match="approved"):
        steps.schedule(house.desk, "spring", LINDIWE)
    with pytest.raises(Conflict, match="approved"):
        steps.move(house.desk, "spring", plans.Step.STARTED, LINDIWE)


def test_a_running_campaign_whose_plan_was_exchanged_is_paused_before_anybody_is_asked(house):
    approved(house)
    app.start_campaign(house.ws, "spring", LINDIWE)
    with house.ws.store.look() as view:
        other = replace(steps.plan_of(view, "spring"), holdout=50)
    with house.ws.store.book() as tx:
        tx.publish("campaign:spring", "00" * 32, plans.written(other))
    told = dict(app.tick(app.Sending(house.ws, ("127.0.0.1", 9))))
    assert isinstance(told["spring"], Conflict)
    assert life_of(house).stage is plans.Stage.PAUSED
    with pytest.raises(Conflict):
        steps.move(house.desk, "spring", plans.Step.RESUMED, LINDIWE)


def test_more_people_than_approved_sends_it_back_and_mails_nobody(house, monkeypatch):
    monkeypatch.setattr(app.campaigns, "MARGIN", 0)
    approved(house)
    customers(house, "n", 4)
    with pytest.raises(Conflict, match="approved"):
        app.start_campaign(house.ws, "spring", LINDIWE)
    assert life_of(house).stage is plans.Stage.RETURNED
    assert house.delivered() == {}


def test_a_house_may_waive_the_second_person_only_in_public_and_with_a_reason(house):
    path = house.folder / "troth.toml"
    path.write_text(path.read_text() + "\n[approval]\nsecond_person = false\n")
    house.at(marula.NOW).ws.apply()
    life = submitted(house)
    with pytest.raises(InvalidInput, match="reason"):
        steps.approve(house.desk, "spring", life.plan, LINDIWE)
    path.write_text(path.read_text() + 'reason = "There are only two of us."\n')
    house.at(marula.NOW).ws.apply()
    life = submitted(house)
    done = steps.approve(house.desk, "spring", life.plan, LINDIWE)
    assert done.stands
    told = [e.payload for e in house.house_chain() if e.type == "campaign.acted"][-1]
    assert told.note == "one person: There are only two of us."


# Every step an event first


def test_each_act_is_an_event_of_the_house_and_a_line_of_the_page(house):
    approved(house)
    steps.schedule(house.desk, "spring", LINDIWE)
    steps.move(house.desk, "spring", plans.Step.PAUSED, SIPHO)
    steps.move(house.desk, "spring", plans.Step.RESUMED, LINDIWE)
    app.start_campaign(house.ws, "spring", LINDIWE)
    sent(house)
    expected = [
        "drafted", "submitted", "approved", "scheduled", "paused", "resumed", "started",
        "finished",
    ]  # fmt: skip
    assert acted(house) == expected
    with house.ws.store.look() as view:
        assert [d.act for d in steps.done_so_far(view, "spring")] == expected
    assert house.ws.verify() == []


def test_an_act_out_of_turn_says_where_the_campaign_stands_and_what_comes_next(house):
    with pytest.raises(NotFound):
        steps.move(house.desk, "spring", plans.Step.STARTED, LINDIWE)
    app.draft_campaign(house.ws, app.Asked("spring", "winback", "winback"), LINDIWE)
    with pytest.raises(Conflict, match=r"draft.*submit"):
        steps.schedule(house.desk, "spring", LINDIWE)
    with pytest.raises(InvalidInput, match="reason"):
        steps.give_back(house.desk, "spring", " ", SIPHO)


def test_a_name_that_is_over_is_not_planned_again(house):
    approved(house)
    steps.move(house.desk, "spring", plans.Step.STOPPED, LINDIWE)
    with pytest.raises(Conflict, match="new name"):
        submitted(house)


@pytest.mark.parametrize(
    "wrong",
    [
        {"holdout": 51},
        {"holdout": -1},
        {"when": plans.When("someday")},
        {"when": plans.When("local", "tomorrow")},
        {"when": plans.When("local", "2026-11-18T09:00+02:00")},
        {"when": plans.When("instant", "yesterday")},
        {"when": plans.When(window_minutes=0)},
        {"note": "x" * 301},
    ],
)
def test_a_plan_that_does_not_read_is_refused(wrong):
    with pytest.raises(InvalidInput):
        plans.check(plan_of(**wrong))


def test_a_plan_reads_back_as_it_was_written_and_nothing_else_is_a_plan():
    plan = plan_of(when=plans.When("local", "2026-11-18T09:00", 60), holdout=3, note="n")
    assert plans.read_plan(plans.written(plan)) == plan
    with pytest.raises(InvalidInput):
        plans.read_plan(b'{"name":3}')


@pytest.mark.parametrize(
    "other",
    [
        {"name": "x"}, {"audience": "audience:winback@2"}, {"expression": "cd" * 32},
        {"template": "template:winback@2"}, {"purpose": "newsletter"}, {"holdout": 1},
        {"when": plans.When(window_minutes=60)}, {"channel": "sms"},
    ],
)  # fmt: skip
def test_the_digest_of_an_approval_moves_with_everything_it_binds(other):
    plan = plan_of()
    assert plans.digest(replace(plan, **other), 9) != plans.digest(plan, 9)
    assert plans.digest(plan, 10) != plans.digest(plan, 9)
    assert plans.digest(replace(plan, author="someone"), 9) == plans.digest(plan, 9)


# The reader's clock


def test_each_reader_is_asked_at_their_own_nine_o_clock(house):
    when = plans.When("local", "2026-11-18T09:00")
    at = {z: when.due(z, Instant(0)) for z in ("Europe/Berlin", "Africa/Johannesburg")}
    assert at["Europe/Berlin"] - at["Africa/Johannesburg"] == HOUR
    assert when.first(Instant(0)) <= min(at.values())
    assert max(at.values()) + 2 * 24 * HOUR <= when.last(Instant(0))


@given(
    st.sampled_from(
        ["Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kolkata"]
    ),
    st.datetimes(min_value=marula.NOW.replace(tzinfo=None)).filter(lambda d: d.year < 2099),
    st.integers(1, plans.WINDOW_MAX),
)
def test_nobody_on_earth_is_due_before_the_first_or_tried_after_the_last(place, wall, minutes):
    when = plans.When("local", wall.isoformat(timespec="minutes"), minutes)
    begun = Instant(0)
    assert (
        when.first(begun) <= when.due(place, begun) < when.ends(place, begun) <= when.last(begun)
    )


def quiet_evening(house, window_minutes):
    """Start a campaign in the evening, when nobody in South Africa may be written to."""
    window = plans.When(window_minutes=window_minutes)
    approved(house, when=window)
    house.at(marula.NOW.replace(hour=21))
    app.start_campaign(house.ws, "spring", LINDIWE)
    sent(house)


def test_who_may_not_be_written_to_at_this_hour_is_asked_again_when_their_hours_open(house):
    quiet_evening(house, 24 * 60)
    assert not LOCALS.keys() & house.delivered().keys()
    assert life_of(house).stage is plans.Stage.RUNNING
    with house.ws.store.look() as view:
        assert waves.progress(view, "spring").waiting == len(LOCALS)
    house.at(marula.NOW.replace(hour=8) + timedelta(days=1, minutes=1))
    sent(house)
    assert LOCALS.items() <= house.delivered().items()
    assert set(house.delivered().values()) == {1}
    assert life_of(house).stage is plans.Stage.FINISHED


def test_when_the_campaign_ends_before_their_hours_open_the_refusal_is_recorded(house):
    quiet_evening(house, 60)
    assert not LOCALS.keys() & house.delivered().keys()
    assert life_of(house).stage is plans.Stage.FINISHED
    with house.ws.store.look() as view:
        assert waves.progress(view, "spring").tally.refused["quiet_hours"] == len(LOCALS)


def test_a_message_waits_for_the_readers_own_quiet_hours_to_end(house):
    wish = preferences.Wishes(quiet=(9 * 60, 11 * 60))  # now is ten o'clock
    resting = house.person("z3")
    actor = Actor(Role.PERSON, resting.hex())
    preferences.set_preferences(house.desk, resting, wish, actor)
    approved(house, when=plans.When(window_minutes=240))
    app.start_campaign(house.ws, "spring", LINDIWE)
    sent(house)
    assert "z3@post.example" not in house.delivered()
    assert life_of(house).stage is plans.Stage.RUNNING
    house.at(marula.NOW.replace(hour=11))
    sent(house)
    assert house.delivered()["z3@post.example"] == 1


# Held out


def test_the_holdout_is_the_same_people_in_every_campaign_and_grows_by_its_share(house):
    people = [bytes([n, m]) * 8 for n in range(64) for m in range(16)]
    of = lambda share: {p for p in people if waves.held_out(house.desk, p, share)}  # noqa: E731
    assert of(0) == set()
    assert of(5) < of(20) < of(50)
    assert 0.15 < len(of(20)) / len(people) < 0.25


def test_a_message_goes_only_for_the_purpose_it_was_written_for(house):
    asked = app.Asked("mistaken", "winback", "ask")
    with pytest.raises(InvalidInput, match="written for the purpose ask"):
        app.draft_campaign(house.ws, asked, LINDIWE)


def test_who_is_held_out_is_counted_in_the_house_and_never_asked(house):
    approved(house, holdout=50)
    app.start_campaign(house.ws, "spring", LINDIWE)
    sent(house)
    told = [
        e.payload.counts
        for e in house.house_chain()
        if isinstance(e.payload, events.SetProcessed)
        and e.payload.work == "narrow"
        and "held_out" in e.payload.counts
    ]
    told = [counts for counts in told if "candidates" in counts]
    assert len(told) == 1
    assert told[0]["held_out"] > 0
    with house.ws.store.look() as view:
        now = waves.progress(view, "spring")
    assert now.total == told[0]["candidates"] - told[0]["held_out"] == now.done


# At once


def meddled(monkeypatch, after, happens):
    """Let something happen right before the n-th question whether a message may go."""
    asked, real = itertools.count(1), outreach.Courier._may_go

    def may_go(self, ref):
        if next(asked) == after:
            happens()
        return real(self, ref)

    monkeypatch.setattr(outreach.Courier, "_may_go", may_go)


@pytest.mark.parametrize("after", [1, 2, 5, 9])
def test_a_pause_binds_the_very_next_hand_over_and_going_on_doubles_nobody(
    house, monkeypatch, after
):
    approved(house)
    app.start_campaign(house.ws, "spring", LINDIWE)
    pausing = lambda: steps.move(house.desk, "spring", plans.Step.PAUSED, SIPHO)  # noqa: E731
    meddled(monkeypatch, after, pausing)
    sent(house)
    assert sum(house.delivered().values()) <= (after + 1) // 2
    sent(house)
    before = sum(house.delivered().values())
    assert before <= (after + 1) // 2
    steps.move(house.desk, "spring", plans.Step.RESUMED, LINDIWE)
    sent(house)
    assert set(house.delivered().values()) == {1}
    assert sum(house.delivered().values()) > before
    assert life_of(house).stage is plans.Stage.FINISHED


def test_a_stop_withdraws_the_rest_and_says_so_in_each_persons_chain(house, monkeypatch):
    approved(house)
    app.start_campaign(house.ws, "spring", LINDIWE)
    stopping = lambda: steps.move(house.desk, "spring", plans.Step.STOPPED, SIPHO)  # noqa: E731
    meddled(monkeypatch, 3, stopping)
    sent(house)
    gone = sum(house.delivered().values())
    sending = app.Sending(house.ws)
    assert dict(app.tick(sending)) == {"spring": None}
    assert dict(app.tick(sending)) == {}
    with house.ws.store.look() as view:
        now = waves.progress(view, "spring")
        people = view.people(None, 500)
    assert (now.left, now.ends["handed"]) == (0, gone)
    assert now.tally.withheld == {"campaign_stopped": now.ends["withheld"]}
    told = [
        e.payload for p in people if p != house.desk.scribe.house for e in house.chain(p)
        if e.type == "message.withheld"
    ]  # fmt: skip
    assert len(told) == now.ends["withheld"] > 0
    assert {(t.reasons, t.detail) for t in told} == {(None, "campaign_stopped")}
    with pytest.raises(Conflict):
        steps.move(house.desk, "spring", plans.Step.RESUMED, LINDIWE)
    sent(house)
    assert sum(house.delivered().values()) == gone


def test_a_planned_campaign_that_does_not_run_is_handed_over_by_no_other_door(house):
    approved(house)
    with house.ws.store.look() as view:
        campaign = app.campaign_of(house.ws, view, steps.plan_of(view, "spring"))
    people = app.narrow(house.ws, "winback")[1]
    house.book(people, campaign)
    assert house.hand_over(campaign).handed == 0
    assert house.delivered() == {}


# No sequence of acts goes round the second hand

STAFF = st.sampled_from([LINDIWE, SIPHO, NOKUTHULA, CLI])


class Acts(RuleBasedStateMachine):
    """Anybody does anything in any order; what may send was always agreed to by another."""

    folder = None
    names = itertools.count()

    def __init__(self):
        super().__init__()
        self.house = marula.House(Acts.folder)
        self.name = f"c{next(Acts.names)}"
        self.agreed = None

    def teardown(self):
        self.house.ws.close()

    def tried(self, do):
        try:
            done = do()
        except (Conflict, NotFound, InvalidInput):
            return None
        return None if isinstance(done, Refusal) else done

    def plan(self):
        with self.house.ws.store.look() as view:
            return steps.plan_of(view, self.name)

    @rule(who=STAFF, holdout=st.integers(0, 2))
    def write(self, who, holdout):
        self.tried(lambda: steps.draft(self.house.desk, plan_of(self.name, holdout=holdout), who))

    @rule(who=STAFF, count=st.integers(0, 3))
    def submit(self, who, count):
        self.tried(lambda: steps.submit(self.house.desk, self.name, count, who))

    @rule(who=STAFF)
    def approve(self, who):
        life = life_of(self.house, self.name)
        seen = life.plan if life else ""
        done = self.tried(lambda: steps.approve(self.house.desk, self.name, seen, who))
        if done:
            hand = self.house.desk.scribe.actor(who, self.house.desk.scribe.house)
            assert who.role is not Role.SYSTEM
            assert not plans.same_hand(hand, self.plan().author)
            self.agreed = (plans.digest(self.plan(), done.count), done.count)

    @rule(who=STAFF)
    def give_back(self, who):
        self.tried(lambda: steps.give_back(self.house.desk, self.name, "no", who))

    @rule(who=STAFF)
    def schedule(self, who):
        self.tried(lambda: steps.schedule(self.house.desk, self.name, who))

    @rule(who=STAFF, step=st.sampled_from(["started", "paused", "resumed", "finished"]))
    def move(self, who, step):
        self.tried(lambda: steps.move(self.house.desk, self.name, plans.Step(step), who))

    @rule(holdout=st.integers(3, 5))
    def exchange(self, holdout):
        life = life_of(self.house, self.name)
        if life and life.stage is not plans.Stage.RUNNING:
            other = plan_of(self.name, holdout=holdout)
            with self.house.ws.store.book() as tx:
                tx.publish(f"campaign:{self.name}", "00" * 32, plans.written(other))

    @invariant()
    def what_may_send_was_agreed_to_by_another(self):
        life = life_of(self.house, self.name)
        with self.house.ws.store.look() as view:
            may = life is not None and not steps.halted(view, self.name)
        if may:
            assert life.stands
            assert not plans.same_hand(life.approver, life.author)
            assert not plans.same_hand(life.approver, life.editor)
            assert (plans.digest(self.plan(), life.count), life.count) == self.agreed


@pytest.fixture
def machine(two_handed, tmp_path):
    Acts.folder = tmp_path / "house"
    shutil.copytree(two_handed, Acts.folder)
    return Acts


def test_no_sequence_of_acts_sends_what_a_second_person_did_not_approve(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=16,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_play_notices_when_the_rule_of_two_hands_is_missing(machine, monkeypatch):
    monkeypatch.setattr(steps, "same_hand", lambda _one, _other: False)
    play = machine()
    play.write(LINDIWE, 0)
    play.submit(LINDIWE, 1)
    with pytest.raises(AssertionError):
        play.approve(LINDIWE)
    play.teardown()


@pytest.mark.parametrize("bound", [True, False])
def test_the_play_notices_when_an_approval_does_not_bind_the_plan(machine, monkeypatch, bound):
    if not bound:
        monkeypatch.setattr(steps, "require_bound", lambda *_: None)
    play = machine()
    play.write(LINDIWE, 0)
    play.submit(LINDIWE, 1)
    play.approve(SIPHO)
    play.exchange(3)
    play.move(LINDIWE, "started")
    if bound:
        play.what_may_send_was_agreed_to_by_another()
    else:
        with pytest.raises(AssertionError):
            play.what_may_send_was_agreed_to_by_another()
    play.teardown()


def test_instants_and_local_times_start_when_they_say(house):
    at = instant(marula.NOW + timedelta(days=1))
    when = plans.When("instant", "2026-11-18T08:00:00Z")
    assert when.due("Europe/Berlin", Instant(0)) == when.first(Instant(0)) == at
    approved(house, when=when)
    life = steps.schedule(house.desk, "spring", LINDIWE)
    assert life.due == at
    assert list(app.tick(app.Sending(house.ws))) == []
    house.at(marula.NOW + timedelta(days=1, minutes=1))
    with house.inbox() as port:
        assert dict(app.tick(app.Sending(house.ws, ("127.0.0.1", port)))) == {"spring": None}
    assert life_of(house).stage is plans.Stage.RUNNING


def test_a_time_that_has_passed_is_not_scheduled(house):
    approved(house, when=plans.When("instant", "2026-11-10T08:00:00Z", 60))
    with pytest.raises(Conflict, match="passed"):
        steps.schedule(house.desk, "spring", LINDIWE)


def test_a_job_is_leased_when_it_is_due_and_not_before_in_every_store(tmp_path):
    at = instant(marula.NOW)
    clock = FixedClock(at)
    stores = [MemoryStore(clock, {}), SqliteStore(tmp_path / "record.db", clock, {})]
    for store in stores:
        with store.book() as tx:
            tx.enqueue("ask", "later", b"1", None, Instant(at + HOUR))
            tx.enqueue("ask", "now", b"1", None)
            assert [j.key for j in tx.lease("ask", Instant(at + 1), 9)] == ["now"]
        clock.at = Instant(at + HOUR)
        with store.book() as tx:
            assert {j.key for j in tx.lease("ask", Instant(at + HOUR + 1), 9)} == {"now", "later"}
        clock.at = at
        store.close()


class FixedClock:
    """A clock the test moves."""

    def __init__(self, at):
        self.at = at

    def now(self):
        return self.at
