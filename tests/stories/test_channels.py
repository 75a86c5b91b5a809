"""Who may be called today: each channel asks for itself, and a list carries its own proof."""

import contextlib
import csv
import io
import json
import shutil
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from marula import MARKETER, NOW, OFFICER, House, make

from troth import app
from troth.adapters.delivery import FileTransport
from troth.capabilities import outreach, people, preferences
from troth.capabilities.outreach import plans, steps, waves
from troth.engines import webhooks
from troth.errors import Conflict, Fault, InvalidInput, Unavailable
from troth.kernel import events, proof
from troth.surfaces import cli
from troth.terms import Actor, Block, Channel, Refusal, Role, instant

PHONES = (Channel.SMS, Channel.WHATSAPP, Channel.CALL)
OTHERS = (*PHONES, Channel.PUSH, Channel.POST)
ADDRESS = {Channel.PUSH: "planted:token-1", Channel.POST: "12 Quiet Street\nCape Town 8001"}
NUMBER = "+27 82 555 01{:02}"
TEXT = """
name = "callback"
[bodies]
sms = "Marula: hello {{first_name}}. Reply STOP to stop."
whatsapp = "Marula: hello {{first_name}}. Reply STOP to stop."
push = "Marula: hello {{first_name}}. Stop in settings."
call = "Good day {{first_name}}, this is Marula. Say stop and we stop."
post = "Dear {{first_name}}, Marula has new things. Write stop and we stop."
[slots.first_name]
category = "identity.name"
fallback = "there"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """One house whose purposes name every channel; each test works on its own people."""
    folder = tmp_path_factory.mktemp("channels") / "marula"
    make(folder)
    for name in ("offers", "marketing", "service"):
        path = folder / "purposes" / f"{name}.toml"
        text = path.read_text()
        start = text.index("channels = ")
        end = text.index("\n", start)
        every = ", ".join(f'"{c}"' for c in Channel)
        path.write_text(f"{text[:start]}channels = [{every}]{text[end:]}")
    (folder / "texts").mkdir(exist_ok=True)
    (folder / "texts" / "callback.toml").write_text(TEXT)
    toml = folder / "troth.toml"
    toml.write_text(toml.read_text().replace("marketing_per_30_days = 4", ""))
    made = House(folder)
    made.ws.apply()
    made.count = 0
    return made


def person(house, channel, *consents, given="Planted"):
    """A newcomer with an address on a channel, who said yes to these channels."""
    house.count += 1
    name = f"ch-{house.count}"
    acts = [{"channels": each} for each in consents]
    who = house.newcomer(name, *acts, given_name=given)
    text = ADDRESS.get(channel, NUMBER.format(house.count))
    source = "shop checkout"
    people.change_address(house.desk, who, channel, text, source, Actor(Role.SYSTEM, "t"), "ZA")
    return who


def campaign(house, channel, name=""):
    with house.ws.store.look() as view:
        text = view.published("text:callback")
    house.count += 1
    return outreach.Campaign(
        name or f"ring-{house.count}", "offers", "00" * 32, text, house.ws.sender(), channel
    )


def book(house, made, *who):
    return outreach.book(app.renderer(house.ws, made, house.shelf()), who, MARKETER, lambda: 1)


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []


@pytest.mark.parametrize("channel", OTHERS)
def test_a_yes_to_this_channel_opens_it_and_the_words_say_who_writes(built, channel, tmp_path):
    who = person(built, channel, channel)
    made = campaign(built, channel)
    booked = book(built, made, who)
    assert (booked.booked, dict(booked.refused)) == (1, {})
    done = app.deliver_channel(built.ws, made, MARKETER, app.Target(tmp_path / "list.csv"))
    assert done.handed == 1
    row = rows(tmp_path / "list.csv")[0]
    assert "Marula" in row["text"]
    assert "stop" in row["text"].lower()
    said = [e.payload for e in built.chain(who)][-2:]
    assert [s.type for s in said] == ["message.booked", "message.handed"]
    assert {s.channel for s in said} == {channel.value}
    assert row["ref"] == said[0].ref
    assert row["until"].endswith("Z")


@pytest.mark.parametrize("channel", OTHERS)
def test_a_yes_to_another_channel_opens_nothing(built, channel):
    other = next(c for c in OTHERS if c is not channel)
    who = person(built, channel, other)
    booked = book(built, campaign(built, channel), who)
    assert booked.booked == 0
    assert dict(booked.refused) == {"channel_not_consented": 1}


@pytest.mark.parametrize("channel", OTHERS)
def test_an_address_on_the_list_is_left_alone_on_every_channel_it_serves(built, channel):
    who = person(built, channel, channel)
    text = ADDRESS.get(channel, NUMBER.format(built.count))
    if channel in ADDRESS:
        text += "9"
        actor = Actor(Role.SYSTEM, "t")
        people.change_address(built.desk, who, channel, text, "form", actor)
    number = text.replace(" ", "") if channel in PHONES else text
    block = Block("complaint", "all")
    preferences.suppress(built.desk, channel, number, block, "letter")
    booked = book(built, campaign(built, channel), who)
    assert dict(booked.refused) == {"suppressed_complaint": 1}


def test_a_block_of_texts_does_not_close_calls_and_a_block_of_all_does(built):
    who = person(built, Channel.SMS, "sms;call")
    number = NUMBER.format(built.count)
    block = Block("unsubscribe", "channel", "sms")
    assert preferences.suppress(built.desk, Channel.CALL, number, block, "reply STOP") == 1
    assert built.codes(who, campaign(built, Channel.SMS)) == ["suppressed_unsubscribe"]
    assert built.codes(who, campaign(built, Channel.CALL)) == []
    preferences.suppress(built.desk, Channel.SMS, number, Block("complaint", "all"), "letter")
    assert built.codes(who, campaign(built, Channel.CALL)) == ["suppressed_complaint"]


def test_one_number_is_one_address_for_texts_and_calls(built):
    who = person(built, Channel.CALL, "sms;whatsapp;call")
    number = NUMBER.format(built.count).replace(" ", "")
    for channel in PHONES:
        assert built.codes(who, campaign(built, channel)) == []
    with built.ws.store.look() as view:
        found = view.gather([who], Channel.CALL)[0].contact
        assert found.channel is Channel.CALL
        for channel in PHONES:
            held = people.find_by_address(built.desk, view, channel, number)
            assert held == [who]
        assert view.sealed([who], ["contact.call"]) == {}


SUNDAY = NOW + timedelta(days=(6 - NOW.weekday()) % 7)


@pytest.mark.parametrize("channel", OTHERS)
def test_on_a_sunday_only_the_post_goes(house_folder, channel):
    house = House(house_folder)
    house.count = 60 + OTHERS.index(channel)
    try:
        who = person(house, channel, channel)
        house.at(SUNDAY)
        codes = house.codes(who, campaign(house, channel))
        assert codes == ([] if channel is Channel.POST else ["quiet_hours"])
    finally:
        house.ws.close()


@pytest.fixture
def house_folder(built, tmp_path):
    built.ws.close()
    copied = tmp_path / "copy"
    shutil.copytree(built.folder, copied)
    built.open()
    return copied


def test_a_stop_between_booking_and_hand_over_is_kept_off_the_list(built, tmp_path):
    stays, leaves = (person(built, Channel.CALL, "call") for _ in range(2))
    made = campaign(built, Channel.CALL)
    assert book(built, made, stays, leaves).booked == 2
    built.say(leaves, "withdrawn", channels=("call",))
    done = app.deliver_channel(built.ws, made, MARKETER, app.Target(tmp_path / "list.csv"))
    assert (done.handed, dict(done.withheld)) == (1, {"withdrawn": 1})
    assert len(rows(tmp_path / "list.csv")) == 1
    assert built.chain(leaves)[-1].payload.type == "message.withheld"


def test_a_crash_between_row_and_answer_never_puts_anybody_on_the_list_twice(
    built, tmp_path, monkeypatch
):
    who = [person(built, Channel.SMS, "sms") for _ in range(3)]
    made = campaign(built, Channel.SMS)
    assert book(built, made, *who).booked == 3
    kept = FileTransport.hand_over

    def killed(self, messages, may_go, journal):
        for outcome in kept(self, messages, may_go, journal):
            raise KeyboardInterrupt(outcome.ref)

    target = app.Target(tmp_path / "list.csv")
    monkeypatch.setattr(FileTransport, "hand_over", killed)
    with pytest.raises(KeyboardInterrupt):
        app.deliver_channel(built.ws, made, MARKETER, target)
    monkeypatch.setattr(FileTransport, "hand_over", kept)
    for _ in range(2):
        app.deliver_channel(built.ws, made, MARKETER, target)
    refs = [row["ref"] for row in rows(target.file)]
    assert len(refs) == len(set(refs)) == 3
    assert book(built, made, *who).already == 3


def test_a_text_that_lacks_what_the_place_asks_is_not_sent_there(built):
    built.count += 1
    who = built.newcomer(f"ch-ca-{built.count}", {"channels": "sms"}, residence="CA-ON",
                         zone="America/Toronto")  # fmt: skip
    actor = Actor(Role.SYSTEM, "t")
    people.change_address(built.desk, who, Channel.SMS, "+1 416 555 0199", "form", actor)
    made = campaign(built, Channel.SMS)
    answer = built.decide(who, made)
    booked = book(built, made, who)
    assert booked.booked == 0
    if not isinstance(answer, Refusal):
        assert dict(booked.refused) == {"not_renderable": 1}


def test_without_a_provider_and_without_a_file_everything_waits(built):
    who = person(built, Channel.SMS, "sms")
    made = campaign(built, Channel.SMS)
    book(built, made, who)
    with pytest.raises(Unavailable, match="no provider"):
        app.deliver_channel(built.ws, made, MARKETER)
    with pytest.raises(InvalidInput):
        app.deliver_channel(built.ws, campaign(built, Channel.EMAIL), MARKETER)


class _Provider(BaseHTTPRequestHandler):
    got: ClassVar[list] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append(({k.lower(): v for k, v in self.headers.items()}, json.loads(body), body))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_provider_gets_each_message_once_signed_under_its_own_id(built):
    server = HTTPServer(("127.0.0.1", 0), _Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = built.folder / "keys" / "sms.secret"
    key.write_text(webhooks.secret_text(b"s" * 32))
    key.chmod(0o600)
    built.ws.settings.channels["sms"] = {
        "provider": f"http://127.0.0.1:{server.server_port}/send", "secret": "keys:sms",
        "local": True,
    }  # fmt: skip
    who = person(built, Channel.SMS, "sms")
    made = campaign(built, Channel.SMS)
    try:
        book(built, made, who)
        for _ in range(2):
            app.deliver_channel(built.ws, made, MARKETER)
    finally:
        server.shutdown()
        server.server_close()
        del built.ws.settings.channels["sms"]
    ((headers, told, body),) = _Provider.got
    at = int(headers["webhook-timestamp"])
    assert webhooks.verify([b"s" * 32], headers, body, at) == told["id"]
    booked = [e.payload for e in built.chain(who) if isinstance(e.payload, events.MessageBooked)]
    assert told["id"] == booked[0].ref
    assert told["channel"] == "sms"
    assert told["to"].startswith("+27")


# The story: planned, approved by a second person, listed with proof


def plan(house, name, channel=Channel.CALL):
    asked = app.Asked(name, "winback", "callback", channel=channel)
    life = app.draft_campaign(house.ws, asked, MARKETER)
    assert not isinstance(life, Refusal), life
    return app.submit_campaign(house.ws, name, MARKETER)


def seller(house, *channels):
    who = person(house, Channel.CALL, *channels)
    sold = people.Dealing("sale", instant(NOW - timedelta(days=200)), "marula", "household")
    people.relate(house.desk, who, sold, "till", Actor(Role.SYSTEM, "t"))
    return who


def run(folder, *line):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.answer(
            [*map(str, line), "-w", str(folder), "--at", NOW.isoformat(), "--json"]
        )
    return status, json.loads(out.getvalue() or "{}")


def test_who_may_be_called_today(built, tmp_path):
    may, silent = seller(built, "call"), seller(built)
    life = plan(built, "today")
    folder = tmp_path / "today"
    line = ("channel", "list", "today", "--out", folder, "--yes", "--as")
    built.ws.close()
    try:
        status, told = run(built.folder, *line, "marketer:lindiwe@marula.example")
        assert status == 1, told
        assert not (folder / "list.csv").exists()
    finally:
        built.open()
    assert not isinstance(steps.approve(built.desk, "today", life.plan, OFFICER), Refusal)
    built.ws.close()
    try:
        status, told = run(built.folder, *line, "marketer:lindiwe@marula.example")
        assert status == 0, told
        again, more = run(built.folder, *line, "marketer:lindiwe@marula.example")
    finally:
        built.open()
    listed = rows(folder / "list.csv")
    mine = [e.payload for e in built.chain(may) if isinstance(e.payload, events.MessageBooked)]
    assert mine[0].ref in {row["ref"] for row in listed}
    assert told["listed"] == told["receipts"] == len(listed)
    assert (again, more["handed"]) == (0, 0)
    assert len(rows(folder / "list.csv")) == len(listed)
    row = next(row for row in listed if row["ref"] == mine[0].ref)
    assert row["to"].startswith("+2782555")
    assert "Marula" in row["text"]
    receipt = (folder / "receipts" / f"{mine[0].ref}.tlog-proof").read_text()
    believed = built.ws.signer.policy
    proof.verify_receipt(receipt, believed)
    line = next(each for each in receipt.splitlines() if each.startswith("extra "))
    swapped = line[:40] + ("A" if line[40] != "A" else "B") + line[41:]
    with pytest.raises(Fault):
        proof.verify_receipt(receipt.replace(line, swapped), believed)
    refused = [e.payload for e in built.chain(silent) if isinstance(e.payload, events.UseRefused)]
    assert refused
    assert "channel_not_consented" in str(refused) or "no_consent" in str(refused)


def test_no_channel_goes_past_the_second_person(built, tmp_path):
    seller(built, "call")
    life = plan(built, "bypass")
    assert isinstance(steps.approve(built.desk, "bypass", life.plan, MARKETER), Refusal)
    sending = app.Sending(built.ws, None, MARKETER, target=app.Target(tmp_path / "x.csv"))
    assert sending.advance("bypass") is False
    with pytest.raises(Conflict):
        app.start_campaign(built.ws, "bypass", MARKETER)
    assert not (tmp_path / "x.csv").exists()
    with built.ws.store.look() as view:
        assert waves.progress(view, "bypass").done == 0
        assert steps.read_life(view, "bypass").stage is plans.Stage.SUBMITTED


def test_a_text_without_a_body_for_the_channel_or_for_a_purpose_without_it_is_not_planned(built):
    asked = app.Asked("x1", "winback", "template:winback", channel=Channel.CALL)
    with pytest.raises(InvalidInput, match="no name"):
        app.draft_campaign(built.ws, asked, MARKETER)
    with built.ws.store.look() as view:
        purposes = built.desk.house(view).purposes
    assert Channel.CALL not in purposes["newsletter"].channels
    path = built.folder / "texts" / "brief.toml"
    path.write_text('name = "brief"\n[bodies]\nsms = "Marula. STOP"\n')
    built.ws.apply()
    asked = app.Asked("x2", "winback", "brief", channel=Channel.CALL)
    with pytest.raises(InvalidInput, match="no body for call"):
        app.draft_campaign(built.ws, asked, MARKETER)
