"""Letters of service: few kinds, decided and recorded first, sent by the courier of campaigns."""

import json
import re
import threading
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import marula
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth import app
from troth.adapters.smtp import HandoverJournal
from troth.app import entry as wired
from troth.app import letters
from troth.capabilities import outreach, preferences
from troth.capabilities.people import entry
from troth.engines import contact, webhooks
from troth.errors import EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.terms import SECOND, Block, Channel, Refusal

ME = "probe@post.example"
PLAIN = outreach.Letter("receipt", "What you did", ("You stopped our offers.", "It holds now."))


class Provider(BaseHTTPRequestHandler):
    """A real provider of SMS, as far as it takes what it is sent."""

    got: ClassVar[list] = []

    def do_POST(self):
        self.got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def person(house):
    return house.newcomer("probe", {}, given_name="Planted")


def deliver(house):
    with house.inbox() as port:
        return letters.deliver_letters(house.ws, ("127.0.0.1", port))


def test_a_letter_is_an_event_of_its_person_before_it_leaves_and_after(house, person):
    ref = letters.write_letter(house.ws, person, PLAIN)
    booked = house.chain(person)[-1].payload
    assert (booked.type, booked.ref, booked.purpose) == ("message.booked", ref, "service")
    assert house.delivered() == {}
    assert deliver(house) == 1
    handed = house.chain(person)[-1].payload
    assert (handed.type, handed.ref, handed.reply) == ("message.handed", ref, 250)
    assert house.delivered() == {ME: 1}
    assert deliver(house) == 0


def test_what_waits_is_sealed(house, person):
    letters.write_letter(house.ws, person, PLAIN)
    whole = b"".join(p.read_bytes() for p in house.ws.settings.record.parent.glob("record.db*"))
    for secret in (b"You stopped our offers", b"What you did", ME.encode()):
        assert secret not in whole


def test_a_letter_uses_nothing_of_its_person_but_the_address(house, person):
    letters.write_letter(house.ws, person, PLAIN)
    deliver(house)
    assert b"Planted" not in house.mails()[-1].path.read_bytes()


def test_letters_count_against_no_cap_and_need_no_agreement(house):
    silent = house.newcomer("silent")
    for _ in range(6):
        letters.write_letter(house.ws, silent, PLAIN)
    assert deliver(house) == 6
    assert house.record(silent).sends == {}


@pytest.mark.parametrize("reason", ["unsubscribe", "complaint", "objection", "registry_block"])
def test_a_stop_of_advertising_does_not_hold_a_letter(house, person, reason):
    preferences.suppress(house.desk, Channel.EMAIL, ME, Block(reason), "x")
    assert isinstance(letters.write_letter(house.ws, person, PLAIN), str)
    assert deliver(house) == 1


def test_a_dead_address_holds_it_before_booking_and_before_leaving(house, person):
    letters.write_letter(house.ws, person, PLAIN)
    preferences.suppress(house.desk, Channel.EMAIL, ME, Block("hard_bounce"), "relay")
    assert isinstance(letters.write_letter(house.ws, person, PLAIN), Refusal)
    assert house.chain(person)[-1].type == "use.refused"
    assert (deliver(house), house.delivered()) == (0, {})
    assert house.chain(person)[-1].type == "message.withheld"


def test_nobody_unknown_or_erased_is_written_to(house, person):
    letters.write_letter(house.ws, person, PLAIN)
    house.ws.erase(person, "gone")
    assert (deliver(house), house.delivered()) == (0, {})
    with pytest.raises(NotFound):
        letters.write_letter(house.ws, house.desk.new_person(), PLAIN)


BAD = [
    outreach.Letter("promotion", "x", ("y",)),
    outreach.Letter("receipt", "x", ()),
    outreach.Letter("receipt", "x", ("y",) * 13),
    outreach.Letter("receipt", "x", ("y",), link="https://evil.example/my/in/x"),
    outreach.Letter("receipt", "x", ("y",), link="https://my.marula.example.evil.example/"),
    outreach.Letter("receipt", "x\r\nBcc: z@evil.example", ("y",)),
    outreach.Letter("receipt", "x", ("y\r\n.\r\nMAIL FROM:<a@b>",)),
]


@pytest.mark.parametrize("letter", BAD)
def test_a_letter_of_another_kind_shape_or_link_is_not_written(house, person, letter):
    before = len(house.chain(person))
    with pytest.raises(InvalidInput):
        letters.write_letter(house.ws, person, letter)
    assert len(house.chain(person)) == before


def test_no_letter_goes_by_another_channel_than_mail_and_sms(house, person):
    with pytest.raises(InvalidInput, match="mail or SMS"):
        letters.write_letter(house.ws, person, PLAIN, channel=Channel.PUSH)


def test_a_letter_nobody_knows_the_fate_of_goes_again_as_the_same_message(house, person):
    ref = letters.write_letter(house.ws, person, PLAIN)
    folder = house.ws.settings.record.parent
    name = outreach.job_kind("/letters/email")
    with house.ws.store.book() as tx:  # a worker that died after the body began
        (job,) = tx.lease(name, tx.now, 1)
    with HandoverJournal.free(folder) as log:
        log.took({ref: job.fence})
        log.start(ref)
    assert deliver(house) == 1
    (mail,) = house.mails()
    told = message_from_bytes(mail.path.read_bytes())
    booked = [e.payload for e in house.chain(person) if e.type == "message.booked"]
    assert told["Message-ID"] == booked[0].message_id
    assert [e.type for e in house.chain(person)][-1] == "message.handed"


def test_after_some_times_an_unknown_fate_is_recorded_and_left(house, person):
    ref = letters.write_letter(house.ws, person, PLAIN)
    name = outreach.job_kind("/letters/email")
    for _ in range(7):
        with house.ws.store.book() as tx:
            tx.lease(name, tx.now, 1)
    with HandoverJournal.free(house.ws.settings.record.parent) as log:
        log.start(ref)
    assert (deliver(house), house.delivered()) == (0, {})
    assert house.chain(person)[-1].type == "message.unknown"


def test_while_the_relay_is_away_letters_wait(house, person):
    letters.write_letter(house.ws, person, PLAIN)
    with pytest.raises(Unavailable):
        letters.deliver_letters(house.ws, ("127.0.0.1", 9))
    assert deliver(house) == 1


def test_the_worker_hands_letters_over_in_its_round(house, person):
    letters.write_letter(house.ws, person, PLAIN)
    wired.ask(house.ws, ME, "n", "b" * 64)
    with house.inbox() as port:
        done = list(app.tick(app.Sending(house.ws, ("127.0.0.1", port))))
    assert ("letters", None) in done
    assert house.delivered() == {ME: 2}


def test_the_doorman_does_the_later_step_by_himself(house, person):
    with house.inbox() as port:
        doorman = app.Doorman(house.ws, lambda ws: app.entry_round(ws, ("127.0.0.1", port)))
        wired.ask(house.ws, ME, "n", "b" * 64)
        doorman.call()
        doorman.settle()
    assert house.delivered() == {ME: 1}


def test_a_number_gets_its_code_by_sms_where_a_provider_is_named(house):
    phone = "+27825550199"
    person = house.newcomer("caller", {"idempotency_key": "k"}, phone=phone)
    wired.ask(house.ws, "082 555 0199", "n", "b" * 64)
    assert wired.write_entries(house.ws) == 0  # no provider: nothing is booked
    server = HTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = house.folder / "keys" / "sms.secret"
    key.write_text(webhooks.secret_text(b"s" * 32))
    key.chmod(0o600)
    place = f"http://127.0.0.1:{server.server_port}/send"
    house.ws.settings.channels["sms"] = {"provider": place, "secret": "keys:sms", "local": True}
    try:
        wired.ask(house.ws, phone, "n", "c" * 64)
        assert wired.write_entries(house.ws) == 1
        assert letters.deliver_letters(house.ws) == 1
    finally:
        server.shutdown()
        server.server_close()
        del house.ws.settings.channels["sms"]
    (told,) = Provider.got
    assert told["to"] == phone
    code = re.search(r"\d{6}", json.dumps(told.get("text", told)))[0]
    opened = entry.enter_by_code(house.desk, "c" * 64, code)
    assert opened.person == person


def test_what_is_over_is_swept_and_what_stands_is_not(house, person):
    wired.ask(house.ws, ME, "n", "b" * 64)
    wired.write_entries(house.ws)
    assert entry.sweep(house.desk) == 0
    house.at(marula.NOW + marula.timedelta(days=2))
    assert entry.sweep(house.desk) == 4  # a link, a browser, two counts
    assert entry.sweep(house.desk) == 0


def test_an_ask_whose_worker_died_is_taken_again_and_an_old_one_is_dropped(house, person):
    limits = wired.limits()
    wired.ask(house.ws, ME, "n", "b" * 64)
    assert len(entry.take(house.desk, limits)) == 1
    assert entry.take(house.desk, limits) == []
    house.at(marula.NOW + marula.timedelta(seconds=61))
    assert len(entry.take(house.desk, limits)) == 1
    house.at(marula.NOW + marula.timedelta(minutes=20))
    assert entry.take(house.desk, limits) == []


def test_an_ask_altered_in_its_queue_is_dropped(house, person):
    wired.ask(house.ws, ME, "n", "b" * 64)
    with house.ws.store.book() as tx:
        ((key, held),) = tx.rows(entry.QUEUE, b"", b"", 2)
        tx.put_row(entry.QUEUE, key, held[:-1] + bytes([held[-1] ^ 1]))
    assert wired.write_entries(house.ws) == 0


def test_a_text_beside_a_token_opens_for_that_token_alone(house):
    sealed = house.desk.seal_beside_token("a" * 32, "p•••")
    assert house.desk.open_beside_token("a" * 32, sealed) == "p•••"
    with pytest.raises(EvidenceBroken):
        house.desk.open_beside_token("b" * 32, sealed)


@given(st.from_regex(r"[a-z0-9.]{1,20}@[a-z0-9]{1,20}\.(example|co\.example)", fullmatch=True))
def test_a_masked_address_tells_two_letters_and_the_last_label(address):
    local, _, domain = address.partition("@")
    assert contact.masked("email", address) == f"{local[0]}•••@{domain[0]}•••.example"


@given(st.from_regex(r"\+27[0-9]{9}", fullmatch=True))
def test_a_masked_number_tells_three_digits(number):
    assert contact.masked("sms", number) == f"••• {number[-3:]}"


@pytest.mark.parametrize(
    ("whole", "kept"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2"),
        ("2001:db8::6", "2001:db8:0:0"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("", ""),
    ],
)
def test_a_network_is_an_address_or_the_first_half_of_a_long_one(whole, kept):
    assert wired.shorter(whole) == kept


def test_the_limits_shipped_are_what_the_pages_say():
    limits = wired.limits()
    assert limits.life == 15 * 60 * SECOND
    assert limits.address[0] == (5, 3600 * SECOND)
    assert limits.network == ((30, 3600 * SECOND),)
    assert (limits.digits, limits.tries) == (6, 5)
