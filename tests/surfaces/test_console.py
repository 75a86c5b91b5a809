"""The console's frame: who may come in, and what a form must carry."""

import os
import re
import shutil
import time
from datetime import date, timedelta

import msgspec
import pytest
import segment_shop
from hub_shop import shop
from hypothesis import given
from hypothesis import strategies as st
from staff_house import GARETH, staff_house

from troth import app
from troth.capabilities import access, connections, preferences, trust
from troth.capabilities.outreach import steps, waves
from troth.capabilities.outreach.plans import Step
from troth.capabilities.trust import report
from troth.kernel.calendars import months_back
from troth.kernel.following import Standing
from troth.surfaces import reporting
from troth.surfaces.demo.material import write_drafts
from troth.surfaces.web import console, home, waiting
from troth.terms import DAY, Action, Actor, Instant, Role, instant

LINDIWE, SIPHO = (Actor(Role.MARKETER, f"{n}@marula.example") for n in ("lindiwe", "sipho"))
OFFICER = Actor(Role.OFFICER, "nokuthula@marula.example")
IT = Actor(Role.IT, "gareth@marula.example")


@pytest.mark.parametrize("role", ["marketer", "privacy_officer", "it", "support"])
def test_a_door_of_the_demo_opens_the_console_of_its_role(role):
    text = shop().door(role).get("/console").text
    assert "<h1>Good day" in text
    assert 'href="/static/console.css' in text


def test_without_a_session_the_console_leads_to_signing_in():
    answer = shop().client.get("/console", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/signin?next=/console"


def test_there_is_no_door_for_an_invented_role():
    for role in ("person", "system", "admin", "agency"):
        assert shop().client.post(f"/doors/{role}").status_code == 404


def test_signing_out_ends_the_session_also_for_who_kept_its_cookie():
    client = shop().door("marketer")
    kept = dict(client.cookies)
    assert client.post("/sign-out").status_code == 303
    client.cookies.update(kept)
    assert client.get("/console").status_code == 303


def test_a_page_of_the_console_has_no_inline_script_and_loads_nothing_from_elsewhere():
    text = shop().door("marketer").get("/console").text
    assert not re.search(r"<script(?! src=\"/static/)", text)
    assert not re.search(r"\s(style|on[a-z]+)=", text)
    assert not re.search(r"""(src|href|action)=["'](https?:)?//""", text)


# The navigation


def test_the_navigation_names_its_groups_once_each_and_in_order():
    groups = [group for *_, group in console.NAV]
    assert list(dict.fromkeys(groups)) == sorted(set(groups), key=groups.index)
    assert len([g for n, g in enumerate(groups) if n == 0 or groups[n - 1] != g]) == len(
        set(groups)
    )
    text = shop().door("marketer").get("/console").text
    assert [text.index(f">{g}<") for g in ("Prepare", "Send", "Look back", "House")] == sorted(
        text.index(f">{g}<") for g in ("Prepare", "Send", "Look back", "House")
    )
    assert "Answer</li>" not in text


def test_ones_own_page_and_signing_out_are_on_every_page_of_the_console():
    for role in ("marketer", "privacy_officer", "it", "support"):
        text = shop().door(role).get("/console/me").text
        assert 'href="/console/me"' in text
        assert 'action="/sign-out"' in text


# The home


@pytest.fixture
def made(tmp_path):
    with segment_shop.opened(tmp_path) as opened:
        yield opened


def numbers(text: str) -> dict[str, str]:
    """What the numbers at the top say, by their label; each must lead to its rows."""
    top = re.search(r'<ul class="numbers">(.*?)</ul>', text, re.DOTALL)[1]
    assert top.count("<li>") == top.count("href=") <= 5
    found = re.findall(r"<b>(.*?)</b><span><a[^>]*>(.*?)</a>", top)
    return {label: number for number, label in found}


def tasks(text: str) -> dict[str, str]:
    """What waits or runs: name → the words of its badge."""
    return dict(re.findall(r'task-name"><a [^>]*>(.*?)</a> <span[^>]*>(.*?)</span>', text))


def plan(made, name: str, writer: Actor) -> None:
    app.draft_campaign(made.ws, app.Asked(name, "winback", "winback"), writer)


def test_the_home_reads_only_and_counts_nobody(made):
    clients = [made.door(role) for role in ("marketer", "privacy_officer", "it", "support")]
    with made.ws.store.look() as view:
        before = view.log.size
    for client in clients:
        assert client.get("/console").status_code == 200
    with made.ws.store.look() as view:
        assert view.log.size == before
        assert trust.counted(view, date(2026, 1, 1), date(2026, 12, 31)) == []
    assert "were not counted yet" in clients[0].get("/console").text


def test_what_a_colleague_submitted_waits_and_what_one_wrote_oneself_does_not(made):
    for name, writer in (("mine", LINDIWE), ("theirs", SIPHO), ("back", LINDIWE)):
        plan(made, name, writer)
        app.submit_campaign(made.ws, name, writer)
    plan(made, "draft", LINDIWE)
    steps.give_back(made.ws.desk, "back", "The planted reason.", OFFICER)
    text = made.door("marketer").get("/console").text
    waits, goes_on = text.split("What goes on without you")
    assert tasks(waits) == {"theirs": "waits for your yes", "back": "given back"}
    assert tasks(goes_on)["mine"] == "with a colleague"
    assert "draft" not in tasks(text)
    assert "The planted reason." in waits
    assert numbers(text)["campaigns wait for you"] == "2"
    told = made.door("privacy_officer").get("/console").text
    assert numbers(told)["campaigns wait for your yes"] == "2"
    assert {"mine", "theirs"} <= tasks(told).keys()


def test_what_is_approved_scheduled_running_and_paused_is_said_so(made):
    plan(made, "spring", LINDIWE)
    app.submit_campaign(made.ws, "spring", LINDIWE)
    with made.ws.store.look() as view:
        seen = steps.read_life(view, "spring").plan
    client = made.door("marketer")

    def stands() -> str:
        return tasks(client.get("/console").text).get("spring", "")

    steps.approve(made.ws.desk, "spring", seen, OFFICER)
    assert stands() == "approved"
    steps.schedule(made.ws.desk, "spring", LINDIWE)
    assert stands() == "scheduled"
    app.start_campaign(made.ws, "spring", LINDIWE)
    assert stands() == "running"
    assert "It is choosing whom to ask" in client.get("/console").text
    for held_out, said in ((0, "30 of 30 people done."), (3, "100 per cent of the people done.")):
        tally = waves.Tally(candidates=30 + held_out, held_out=held_out, queued=True)
        with made.ws.store.book() as tx:
            tx.put_row(waves.PROGRESS, b"spring", msgspec.json.encode(tally))
        assert said in client.get("/console").text
    steps.move(made.ws.desk, "spring", Step.PAUSED, LINDIWE)
    assert stands() == "paused"
    assert numbers(client.get("/console").text)["under way or paused"] == "1"
    steps.move(made.ws.desk, "spring", Step.STOPPED, LINDIWE)
    assert stands() == ""


def test_the_way_from_list_to_report_says_what_is_done(made):
    text = made.door("marketer").get("/console").text
    path = re.search(r'<ol class="path">(.*?)</ol>', text, re.DOTALL)[1]
    said = re.findall(r">([^<]+)</a><small>([^<]+)</small>", path)
    assert dict(said) == {
        "List check": "done: people are on file", "Segment": "done: 1 segment",
        "Message": "done: 2 messages", "Approval": "not begun", "Send": "not begun",
        "Report": "not begun",
    }  # fmt: skip


def test_the_month_of_the_home_is_the_month_of_the_report():
    s = shop()
    month = reporting.make(s.ws, "2026-11", OFFICER)
    client = s.door("marketer")
    text = client.get("/console").text
    assert month.handed > 0
    assert reporting.headline(month) in text
    assert "as last counted" in text
    with s.ws.store.look() as view:
        rows = trust.counted(view, month.first, month.last)
    told, near = home.month(rows, month.first, month.last)
    assert (told.handed, told.left_alone) == (month.handed, month.left_alone)
    assert near == sum(miss.count for miss in month.near_misses)


def counted(kind, campaign, role, code=""):
    return trust.Counted(date(2026, 11, 2), kind, "offers", campaign, code, role, 3)


@given(
    st.lists(
        st.builds(
            counted,
            st.sampled_from(["message.handed", "use.refused", "claim.refused", "data.read"]),
            st.sampled_from(["", "spring"]),
            st.sampled_from(["marketer", "agency", "system", "person"]),
        ),
        max_size=20,
    )
)
def test_the_home_adds_a_month_up_as_the_report_does(rows):
    told, near = home.month(rows, date(2026, 11, 1), date(2026, 11, 30))
    campaigns = list(report._campaigns(rows))
    assert told.handed == sum(each.ends["handed"] for each in campaigns)
    assert told.left_alone == sum(sum(each.refused.values()) for each in campaigns)
    assert near == sum(miss.count for miss in report._near_misses(rows))


@pytest.mark.parametrize(
    ("days", "word", "said"),
    [
        (0, "in date", "Applied 10 days ago; renew it before 8 December 2026."),
        (14, "renew soon", "Applied 24 days ago; renew it before 8 December 2026."),
        (20, "renew soon", "Applied 30 days ago; renew it before 8 December 2026."),
        (21, "out of date", "Applied 31 days ago; it held until 7 December 2026."),
    ],
)
def test_the_age_of_the_opt_out_registry_is_told_in_time(made, tmp_path, days, word, said):
    shutil.copytree(made.folder, tmp_path / "later")
    ws = app.open(tmp_path / "later", at=instant(segment_shop.NOW + timedelta(days=days)))
    try:
        text = (
            segment_shop.Shop(ws, tmp_path / "later").door("privacy_officer").get("/console").text
        )
    finally:
        ws.close()
    assert tasks(text)["Opt-out registry ZA"] == word
    assert said in text
    assert numbers(text)["opt-out registries out of date"] == str(int(word == "out of date"))


def test_a_registry_that_an_officer_decided_to_go_on_without_is_told_so(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "later")
    moment = segment_shop.NOW + timedelta(days=40)
    ws = app.open(tmp_path / "later", at=instant(moment))
    end = instant(moment + timedelta(days=7))
    preferences.waive_registry(ws.desk, "ZA", OFFICER, "no answer", instant(moment), end)
    try:
        text = segment_shop.Shop(ws, tmp_path / "later").door("marketer").get("/console").text
    finally:
        ws.close()
    assert tasks(text)["Opt-out registry ZA"] == "waived"
    assert "decided to go on without it for now" in text


def test_a_registry_never_applied_is_told_as_missing(tmp_path):
    write_drafts(tmp_path, segment_shop.NOW)
    app.init(tmp_path)
    ws = app.open(tmp_path, at=instant(segment_shop.NOW))
    try:
        ws.apply()
        text = segment_shop.Shop(ws, tmp_path).door("marketer").get("/console").text
    finally:
        ws.close()
    assert tasks(text) == {"Opt-out registry ZA": "missing"}
    assert "<small>not begun</small>" in text


@given(st.dates(date(2024, 1, 1), date(2030, 12, 31)), st.integers(1, 13))
def test_the_last_good_day_of_a_registry_is_the_rules_own(applied, months):
    last = waiting.last_good(applied, months)
    assert applied >= months_back(last, months)
    assert applied < months_back(last + timedelta(1), months)


def test_the_officer_sees_what_nobody_answers_for_and_which_rules_are_late(made, tmp_path):
    text = made.door("privacy_officer").get("/console").text
    assert "Every rule was reviewed in time." in text
    assert "Each purpose has an owner." in text
    path = made.folder / "purposes" / "offers.toml"
    path.write_text(re.sub(r'^owner = ".*"$', 'owner = ""', path.read_text(), flags=re.M))
    made.ws.apply()
    text = made.door("privacy_officer").get("/console").text
    assert numbers(text)["purposes without an owner"] == "1"
    shutil.copytree(made.folder, tmp_path / "late")
    ws = app.open(tmp_path / "late", at=instant(segment_shop.NOW + timedelta(days=800)))
    try:
        text = (
            segment_shop.Shop(ws, tmp_path / "late").door("privacy_officer").get("/console").text
        )
    finally:
        ws.close()
    assert int(numbers(text)["rules past their review"]) > 12
    assert text.count("review was due") == 12
    assert "troth check names them all" in text


def test_it_sees_keys_that_end_and_accounts_that_are_shut(made):
    client = made.door("it")
    office = made.app.state.hub.kept["office"]
    assert numbers(client.get("/console").text)["API keys end within 14 days"] == "0"
    access.make_key(office, "shop", Role.MARKETER, frozenset({Action.SEND}), 10, IT)
    access.make_key(office, "later", Role.MARKETER, frozenset({Action.SEND}), 15, IT)
    access.invite(office, SIPHO, IT)
    access.suspend(office, SIPHO, IT)
    text = client.get("/console").text
    top = numbers(text)
    assert top["API keys end within 14 days"] == "1"
    assert top["accounts suspended"] == "1"
    assert tasks(text) == {"API key shop": "ends soon"}
    assert "Journal: up to date" in text
    assert "last signed" in text


def test_how_long_ago_the_ledger_was_signed_is_told_by_this_machines_clock(made):
    client, path = made.door("it"), made.ws.settings.witness / "signed"
    for seconds, said in ((10, "just now"), (70, "1 minute ago"), (7300, "2 hours ago"),
                          (200_000, "2 days ago")):  # fmt: skip
        os.utime(path, (time.time() - seconds,) * 2)
        assert f"last signed {said}" in client.get("/console").text
    path.rename(path.with_suffix(".away"))
    assert "nothing was signed yet" in client.get("/console").text


def test_without_a_demo_whoever_has_no_account_yet_is_a_task_for_it():
    found = staff_house()
    found.settle()
    client, *_ = found.enrolled(GARETH)
    text = client.get("/console").text
    assert tasks(text)["Staff"] == "not invited"
    assert re.search(r"\d colleagues? listed without an account", text)


def test_a_webhook_that_is_not_taken_is_a_task_for_it_until_it_is(made):
    hook = connections.Hook(
        "shop", "https://shop.example/hook", ("consent.withdrawn",), "operations", "agreed"
    )
    connections.add_hook(made.ws.desk, hook, IT)
    with made.ws.store.book() as tx:
        tx.put_row("connections.webhook.state", b"shop", b"[0,1800000000000000]")
    client = made.door("it")
    assert tasks(client.get("/console").text) == {"Webhook shop": "failing"}
    connections.end_hook(made.ws.desk, "shop", IT)
    assert tasks(client.get("/console").text) == {}


def test_an_event_that_waits_for_its_follower_is_a_number_and_a_failing_one_a_task():
    fine, open_, red = (
        Standing("journal", 9, 0, "", Instant(0)),
        Standing("bounces", 4, 2, "", Instant(0)),
        Standing("erasure", 1, 1, "unavailable", Instant(DAY)),
    )
    assert [home.standing(s) for s in (fine, open_, red)] == [
        "Journal: up to date", "Bounces: 2 events open",
        "Erasure: 1 event open, failing (unavailable)",
    ]  # fmt: skip
    assert [t.title for t in home.failing([fine, open_, red])] == ["Erasure"]


def test_support_finds_a_person_from_the_home_by_their_case():
    client = shop().door("support")
    text = client.get("/console").text
    form = re.search(r'name="form" value="([^"]+)"', text)[1]
    assert 'action="/console/people"' in text
    fields = {"form": form, "outside": "shop-20", "address": "", "case": "T-1"}
    answer = client.post("/console/people", data=fields)
    assert answer.status_code == 200
    assert "case T-1" in answer.text
