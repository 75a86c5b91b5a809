"""A message stops at whatever is recorded before its body goes, and only at that."""

import csv
import itertools
import shutil
from datetime import timedelta

import pytest

from troth import app
from troth.adapters.smtp import HandoverJournal, SmtpTransport
from troth.capabilities import outreach, preferences
from troth.capabilities.outreach import booking, handover
from troth.engines.ranking import Alike
from troth.surfaces.demo.clock import demo_now
from troth.surfaces.demo.material import write_drafts
from troth.surfaces.demo.run import holidays
from troth.terms import (
    SECOND,
    Actor,
    Block,
    Channel,
    ConsentStatus,
    Instant,
    Role,
    Suppressed,
    instant,
)

NOW = demo_now(holidays())
MARKETER = Actor(Role.MARKETER, "lindiwe@marula.example")
NAMES = ("ann", "ben", "cia", "dan")
FILES = itertools.count()


def take(ws, kind, rows):
    path = ws.settings.folder / f"{kind}-{next(FILES)}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    app.import_file(ws, kind, path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("withdrawal") / "house"
    folder.mkdir()
    write_drafts(folder, NOW)
    app.init(folder)
    ws = app.open(folder, at=instant(NOW))
    ws.apply()
    take(ws, "customers", [
        {"external_id": name, "email": f"{name}@post.example", "residence": "ZA",
         "zone": "Africa/Johannesburg", "birth_year": "1980", "subject": "natural"}
        for name in NAMES
    ])  # fmt: skip
    take(ws, "consents", [
        {"external_id": name, "purpose": "offers", "channels": "email", "status": "given",
         "occurred_at": (NOW - timedelta(days=9)).isoformat(), "notice": "offers@3",
         "method": "checkbox", "proof": f"form:{name}", "given_by": "self"}
        for name in NAMES
    ])  # fmt: skip
    path = folder / "registry.csv"
    as_of = (NOW - timedelta(days=9)).isoformat()
    path.write_text(f"# scheme: sha256-lower-trim\n# as-of: {as_of}\nhash\n{'ab' * 32}\n")
    app.import_file(ws, "registry", path)
    ws.close()
    return folder


@pytest.fixture
def ws(made, tmp_path):
    folder = tmp_path / "house"
    shutil.copytree(made, folder)
    opened = app.open(folder, at=instant(NOW))
    yield opened
    opened.close()


def person(ws, name):
    with ws.store.look() as view:
        return ws.desk.find(view, name)


def campaign_of(ws):
    with ws.store.look() as view:
        template = view.published("template:winback")
    return outreach.Campaign("winback", "offers", "00" * 32, template, ws.sender())


class Meddled:
    """A real transport; right before the n-th question about a message, something happens."""

    def __init__(self, port, ref_of, question, happens):
        self.inner = SmtpTransport("127.0.0.1", port, "none")
        self.ref_of, self.question, self.happens, self.asked = ref_of, question, happens, {}

    def hand_over(self, messages, may_go, journal):
        def asked(ref):
            self.asked[ref] = self.asked.get(ref, 0) + 1
            if ref == self.ref_of() and self.asked[ref] == self.question:
                self.happens()
            return may_go(ref)

        return self.inner.hand_over(messages, asked, journal)


def send(ws, happens=lambda: None, name="ben", question=2):
    """Book all four, hand over with `happens` right before ben's body; return totals, addresses."""
    campaign = campaign_of(ws)
    people = [person(ws, each) for each in NAMES]
    renderer = app.renderer(ws, campaign, outreach.Shelf({}, Alike(0, {})))
    booked = outreach.book(renderer, people, MARKETER, app.real_seconds)
    assert booked.booked == len(NAMES), booked
    inbox = app.local_inbox(ws.settings.folder / "inbox")
    handed, courier = outreach.Handed(), None

    who = person(ws, name)

    def ref_of():
        return next(r for r, e in courier._leased.items() if e.person == who)

    port = inbox.start()
    try:
        with HandoverJournal(ws.settings.folder / "journal") as log:
            transport = Meddled(port, ref_of, question, happens)
            courier = outreach.Courier(ws.desk, campaign, transport, log, MARKETER)
            courier.run(handed)
    finally:
        inbox.stop()
    reached = sorted(to.partition("@")[0] for mail in inbox.messages() for to in mail.rcpt_to)
    return handed, reached


def withdraw(ws, name, purpose="offers"):
    who = person(ws, name)
    choice = preferences.Choice(ConsentStatus.WITHDRAWN, purpose, ("email",), method="one_click")
    preferences.record_choice(ws.desk, who, choice, Actor(Role.PERSON, who.hex()))


def test_with_nothing_recorded_all_go_and_nobody_is_judged_twice_in_a_hand_over(ws, monkeypatch):
    judged = []
    whole = outreach.judge
    for place in (booking, handover):
        monkeypatch.setattr(
            place, "judge", lambda *given: judged.append(len(given[3])) or whole(*given)
        )
    handed, reached = send(ws)
    assert (handed.handed, reached) == (4, sorted(NAMES))
    assert judged == [4, 4], "once at booking, once at hand-over; each look before a body is short"


@pytest.mark.parametrize("question", [1, 2], ids=["before the envelope", "before the body"])
def test_a_withdrawal_recorded_before_the_body_goes_stops_it(ws, question):
    handed, reached = send(ws, lambda: withdraw(ws, "ben"), question=question)
    assert reached == ["ann", "cia", "dan"]
    assert (handed.handed, dict(handed.withheld)) == (3, {"withdrawn": 1})


def test_a_withdrawal_of_all_marketing_stops_it_too(ws):
    handed, reached = send(ws, lambda: withdraw(ws, "ben", "marketing"))
    assert reached == ["ann", "cia", "dan"]
    assert sum(handed.withheld.values()) == 1


def test_somebody_elses_withdrawal_stops_theirs_and_not_this_one(ws):
    handed, reached = send(ws, lambda: withdraw(ws, "dan"))
    assert reached == ["ann", "ben", "cia"]
    assert dict(handed.withheld) == {"withdrawn": 1}


def test_an_address_suppressed_meanwhile_is_not_written_to(ws):
    def suppressed():
        row = {"email": "ben@post.example", "reason": "complaint",
               "since": NOW.isoformat(), "source": "relay"}  # fmt: skip
        take(ws, "suppressions", [row])

    handed, reached = send(ws, suppressed)
    assert reached == ["ann", "cia", "dan"]
    assert dict(handed.withheld) == {"suppressed_complaint": 1}


def test_a_suppression_without_an_event_stops_it_all_the_same(ws):
    def blocked():
        with ws.store.look() as view:
            (found,) = view.gather([person(ws, "ben")], Channel.EMAIL)
        with ws.store.book() as tx:
            tx.put_block(Suppressed(found.contact.sup, Block("unsubscribe")))

    handed, reached = send(ws, blocked)
    assert reached == ["ann", "cia", "dan"]
    assert dict(handed.withheld) == {"suppressed_unsubscribe": 1}


def test_an_erasure_begun_meanwhile_stops_it(ws):
    handed, reached = send(ws, lambda: ws.erase(person(ws, "ben"), "rq-1"))
    assert reached == ["ann", "cia", "dan"]
    assert dict(handed.withheld) == {"erased": 1}


def test_a_purpose_closed_meanwhile_stops_everybody_left(ws):
    def closed():
        path = ws.settings.folder / "purposes" / "offers.toml"
        text = path.read_text("utf-8").replace('channels = ["email", "sms"]', 'channels = ["sms"]')
        path.write_text(text.replace("version = 1", "version = 2"), "utf-8")
        assert ws.apply()

    handed, reached = send(ws, closed)
    assert reached == ["ann"]
    assert sum(handed.withheld.values()) == 3


def test_a_permit_of_more_than_a_few_seconds_ago_is_asked_for_again(ws, monkeypatch):
    judged = []
    whole = outreach.judge
    for place in (booking, handover):
        monkeypatch.setattr(
            place, "judge", lambda *given: judged.append(len(given[3])) or whole(*given)
        )
    later = Instant(instant(NOW) + handover.REJUDGE_AFTER + SECOND)
    handed, _ = send(ws, lambda: ws.clock.set(later))
    assert handed.handed == 4
    assert 1 in judged


def test_when_the_evening_comes_the_rest_stays_here(ws):
    evening = NOW.replace(hour=22)
    handed, reached = send(ws, lambda: ws.clock.set(instant(evening)))
    assert reached == ["ann"]
    assert dict(handed.withheld) == {"quiet_hours": 3}
