"""The whole demo, judged a second time from the files alone: the same people, or one is wrong."""

import csv
import json
import tomllib
from collections import Counter
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest
import second_opinion

from troth import app
from troth.capabilities import outreach, preferences
from troth.kernel import gate
from troth.surfaces.demo.run import run_demo
from troth.terms import Actor, Instant, Role, Wishes, instant

MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
LAST = """copy (select external_id, strftime(max("at"), '%Y-%m-%dT%H:%M:%S+00:00') as "at"
from read_parquet('{}') where kind = 'purchase' group by external_id) to '{}' (header)"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "marula"
    told = run_demo(folder)
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(LAST.format(folder / "events.parquet", folder / "last_purchase.csv"))
    return folder, told


def papers(folder, at):
    calendars = files("troth") / "data" / "calendars"
    return second_opinion.Papers(folder, at, Path(str(calendars)))


@pytest.fixture(scope="module")
def opinion(demo):
    folder, told = demo
    return papers(folder, datetime.fromisoformat(told["demo_time"]))


def inbox_by_person(folder, customers, expected):
    """Map each received mail back to a customer; of several at one mailbox, to those expected."""
    holders = {}
    for who in customers:
        holders.setdefault(second_opinion.plain(who["email"]), []).append(who["external_id"])
    lines = (folder / "inbox" / "index.jsonl").read_text().splitlines()
    received = Counter(second_opinion.plain(to) for line in lines for to in json.loads(line)["to"])
    out = set()
    for address, count in received.items():
        people = sorted(holders[address], key=lambda who: who not in expected)
        assert count <= len(people), "somebody got two mails"
        out |= set(people[:count])
    return out


def changed_their_mind(folder, at, people):
    """Who withdrew during the demo itself: an act of their own, in no file."""
    ws = app.open(folder, at=instant(at))
    try:
        with ws.store.look() as view:
            return {
                name
                for name in people
                if any(
                    r.event.type == "consent.withdrawn" and r.event.payload.source != "import"
                    for r in ws.desk.scribe.chain(view, ws.desk.find(view, name))
                )
            }
    finally:
        ws.close()


def test_the_mailed_are_exactly_those_a_second_reading_of_the_rules_allows(demo, opinion):
    folder, told = demo
    allowed = second_opinion.recipients(opinion)
    changed = changed_their_mind(folder, opinion.at, allowed)
    mailed = inbox_by_person(folder, opinion.customers, allowed - changed)
    assert len(changed) == told["withdrawn_between_preview_and_send"]["people"]
    assert mailed == allowed - changed
    assert len(mailed) == told["sent"] > 40


def allowed_by_the_program(folder, at):
    """Ask the gate about everybody, not only the lapsed."""
    ws = app.open(folder, at=instant(at))
    try:
        with ws.store.look() as view:
            with (folder / "customers.csv").open(encoding="utf-8", newline="") as file:
                names = [row["external_id"] for row in csv.DictReader(file)]
            people = {ws.desk.find(view, name): name for name in names}
            template = view.published("template:winback")
            campaign = outreach.Campaign("all", "offers", "00" * 32, template, ws.sender())
            judged = outreach.judge(ws.desk, view, campaign, list(people), MARKETER)
            return {people[j.gathered.person] for j in judged if isinstance(j.answer, gate.Permit)}
    finally:
        ws.close()


def differences(papers_then, program):
    judge = second_opinion.Opinion(papers_then)
    mine = {w["external_id"] for w in papers_then.customers if not judge.objections(w)}
    return mine, {
        who["external_id"]: judge.objections(who)
        for who in papers_then.customers
        if (who["external_id"] in mine) != (who["external_id"] in program)
    }


@pytest.mark.parametrize(
    "later",
    [timedelta(), timedelta(hours=9, minutes=59), timedelta(hours=10), timedelta(days=4, hours=2),
     timedelta(days=5, hours=1), timedelta(days=29), timedelta(days=200)],
    ids=["then", "before eight", "eight", "Saturday noon", "Sunday", "on a holiday", "stale"],
)  # fmt: skip
def test_of_all_customers_the_gate_permits_the_same_people_at_any_hour(demo, opinion, later):
    folder, _ = demo
    at = opinion.at + later
    then = papers(folder, at)
    everybody = {who["external_id"] for who in then.customers}
    mine, differing = differences(then, allowed_by_the_program(folder, at))
    changed = changed_their_mind(folder, at, differing)
    assert {name: why for name, why in differing.items() if name not in changed} == {}
    assert len(mine) < len(everybody)


def test_the_second_opinion_itself_sees_a_planted_wrong(opinion):
    judge = second_opinion.Opinion(opinion)
    someone = next(w for w in opinion.customers if not judge.objections(w) and w["zone"])
    mailbox = second_opinion.plain(someone["email"])
    opinion.suppressed.add(mailbox)
    assert judge.objections(someone) == ["suppressed address"]
    opinion.suppressed.remove(mailbox)
    act = {"external_id": someone["external_id"], "purpose": "marketing", "channels": "all",
           "status": "withdrawn", "occurred_at": "", "level": ""}  # fmt: skip
    opinion.acts.setdefault(someone["external_id"], []).append(act)
    assert judge.objections(someone) == ["withdrawn under marketing"]
    opinion.acts[someone["external_id"]].pop()
    assert judge.objections(someone) == []


WISHES = ("external_id", "pause_until", "most", "sent", "quiet_from", "quiet_to")
HOUR = timedelta(hours=1)


def wish_something(folder, at, names):
    """Let these people wish one thing each, in the record and in a plain file beside it."""
    end = at + 2 * HOUR
    kinds = [
        (Wishes(pause_until=int(instant(end))), {"pause_until": end.isoformat()}),
        (Wishes(most=1), {"most": "1"}),
        (Wishes(quiet=(540, 660)), {"quiet_from": "09:00", "quiet_to": "11:00"}),
        (Wishes(quiet=(1320, 600)), {"quiet_from": "22:00", "quiet_to": "10:00"}),
    ]
    ws, lines = app.open(folder, at=instant(at)), []
    try:
        for place, name in enumerate(names):
            with ws.store.look() as view:
                person = ws.desk.find(view, name)
                record = view.gather([person], None)[0].record
            wish, told = kinds[place % len(kinds)]
            actor = Actor(Role.PERSON, person.hex())
            preferences.set_preferences(ws.desk, person, wish, actor)
            month = int(instant(at - timedelta(days=30)))
            sent = sum(Instant(month) < each for each in record.sends.get("email", ()))
            lines.append({**dict.fromkeys(WISHES, ""), **told, "external_id": name,
                          "sent": str(sent)})  # fmt: skip
    finally:
        ws.close()
    with (folder / "preferences.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, WISHES)
        writer.writeheader()
        writer.writerows(lines)


def test_what_people_wish_is_read_alike_at_any_hour(demo, opinion):
    """The last test of this file: it changes the demo's record."""
    folder, _ = demo
    at = opinion.at + timedelta(minutes=30)
    before = allowed_by_the_program(folder, at)
    placed = {who["external_id"] for who in opinion.customers if who["zone"]}
    wish_something(folder, at, sorted(before & placed)[:80])
    for later in (timedelta(), HOUR, 3 * HOUR):
        mine, differing = differences(papers(folder, at + later),
                                      allowed_by_the_program(folder, at + later))  # fmt: skip
        changed = changed_their_mind(folder, opinion.at, differing)
        assert {name: why for name, why in differing.items() if name not in changed} == {}
        assert len(before - mine) > 10  # planted: they do say no
    (folder / "preferences.csv").unlink()
    assert differences(papers(folder, at), allowed_by_the_program(folder, at))[1] != {}


def test_the_second_opinion_shares_no_code_with_the_program():
    source = Path(second_opinion.__file__).read_text()
    assert "import troth" not in source
    assert "from troth" not in source
    levels = tomllib.loads((files("troth") / "data/demo/troth.toml").read_text("utf-8"))
    assert levels["limits"]["silent_days"] == 90
