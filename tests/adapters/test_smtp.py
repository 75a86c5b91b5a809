import contextlib
import datetime as dt
import ipaddress
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from troth.adapters.inbox import Inbox
from troth.adapters.smtp import HandoverJournal, SmtpTransport
from troth.errors import Conflict, InvalidInput, Unavailable
from troth.terms import Outgoing

DATA = b"Subject: x\r\n\r\nHello\r\n"


class Relay:
    """A real socket speaking SMTP as told: `script(stage, n)` answers, b"" hangs up, None is normal.

    Stages: GREET, MAIL, RCPT, DATA (n-th of its kind, from 1), BODY (before it is read), DOT.
    """

    def __init__(self, script=lambda stage, n: None, pipelining=True):
        self.script, self.pipelining = script, pipelining
        self.counts, self.log, self.taken, self.connections = {}, [], [], 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _run(self):
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError, EOFError), sock, sock.makefile("rwb") as wire:
                self._talk(wire)

    def _answer(self, wire, stage, normal):
        n = self.counts[stage] = self.counts.get(stage, 0) + 1
        told = self.script(stage, n)
        if told == b"":
            raise EOFError
        reply = normal if told is None else told
        wire.write(reply + b"\r\n")
        wire.flush()
        return reply

    def _talk(self, wire):
        self._answer(wire, "GREET", b"220 relay.example")
        for line in wire:
            verb = line.split()[0].upper().decode()
            self.log.append(line.rstrip().decode())
            if verb == "EHLO":
                extra = b"250-PIPELINING\r\n" if self.pipelining else b""
                wire.write(b"250-relay.example\r\n" + extra + b"250 8BITMIME\r\n")
                wire.flush()
            elif verb == "DATA":
                if self._answer(wire, "DATA", b"354 go on")[:3] == b"354":
                    self._body(wire)
            elif verb == "QUIT":
                wire.write(b"221 bye\r\n")
                wire.flush()
                return
            else:
                self._answer(wire, verb, b"250 fine")

    def _body(self, wire):
        n = self.counts["BODY"] = self.counts.get("BODY", 0) + 1
        if self.script("BODY", n) == b"":
            raise EOFError
        rows = []
        for line in wire:
            if line == b".\r\n":
                break
            rows.append(line.removeprefix(b"."))
        else:
            raise EOFError
        if self._answer(wire, "DOT", b"250 2.0.0 taken").startswith(b"250"):
            self.taken.append(b"".join(rows))


def letters(count, data=DATA):
    return [
        Outgoing(f"r{n}", "b@marula.example", f"c{n}@customer.example", data) for n in range(count)
    ]


def transport(relay):
    return SmtpTransport("127.0.0.1", relay.port, "none", timeout_s=5)


@pytest.fixture
def journal(tmp_path):
    with HandoverJournal(tmp_path / "journal") as journal:
        yield journal


@pytest.fixture
def kept(tmp_path):
    return lambda: HandoverJournal.read(tmp_path / "journal")


def yes(ref):
    return True


def states(outcomes):
    return [(o.state, o.code) for o in outcomes]


def test_messages_arrive_in_the_inbox_exactly_as_signed(tmp_path, journal, kept):
    data = b"Subject: x\r\n\r\n.\r\n..two\r\n.hidden\r\nend\r\n"
    inbox = Inbox(tmp_path / "inbox")
    sending = SmtpTransport("127.0.0.1", inbox.start(), "none")
    outcomes = list(sending.hand_over(letters(20, data), yes, journal))
    found = inbox.messages()
    inbox.stop()
    assert states(outcomes) == [("handed", 250)] * 20
    assert [m.path.read_bytes() for m in found] == [data] * 20
    assert [m.rcpt_to for m in found] == [(f"c{n}@customer.example",) for n in range(20)]
    assert {o.state for o in kept().values()} == {"handed"}


def test_an_inbox_runs_once_on_a_free_port_and_keeps_what_it_has(tmp_path):
    first, second = Inbox(tmp_path / "a"), Inbox(tmp_path / "b")
    with first, pytest.raises(Conflict):
        first.start()
    port = first.start()
    with pytest.raises(Unavailable):
        second.start(port)
    first.stop()
    first.stop()
    assert first.messages() == []


@pytest.mark.parametrize("pipelining", [True, False])
def test_every_message_goes_over_one_connection(journal, pipelining):
    with Relay(pipelining=pipelining) as relay:
        outcomes = list(transport(relay).hand_over(letters(30), yes, journal))
    assert states(outcomes) == [("handed", 250)] * 30
    assert relay.taken == [DATA] * 30
    assert relay.connections == 1
    assert relay.log[-1] == "QUIT"


def test_no_message_means_no_connection(journal):
    with Relay() as relay:
        assert list(transport(relay).hand_over([], yes, journal)) == []
    assert relay.connections == 0


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("reply", [b"451 later", b"550-no\r\n550 never"])
def test_a_refusal_at_any_stage_concerns_one_message_only(journal, kept, pipelining, stage, reply):
    def script(at, n):
        return reply if (at, n) == (stage, 2) else None

    with Relay(script, pipelining) as relay:
        outcomes = list(transport(relay).hand_over(letters(4), yes, journal))
    code = int(reply[:3])
    assert states(outcomes) == [("handed", 250), ("failed", code), *[("handed", 250)] * 2]
    assert (kept()["r1"].state, kept()["r1"].code) == ("failed", code)
    assert [body for body in relay.taken if body] == [DATA] * 3
    assert relay.connections == 1


def test_a_relay_that_waits_for_a_body_nobody_receives_gets_a_lone_dot(journal):
    with Relay(lambda at, n: b"550 no" if (at, n) == ("RCPT", 1) else None) as relay:
        outcomes = list(transport(relay).hand_over(letters(2), yes, journal))
    assert states(outcomes) == [("failed", 550), ("handed", 250)]
    assert relay.taken == [b"", DATA]


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("reply", [b"", b"421 closing"])
def test_a_connection_lost_before_a_body_is_made_again(journal, pipelining, stage, reply):
    def script(at, n):
        return reply if (at, n) == (stage, 2) else None

    with Relay(script, pipelining) as relay:
        outcomes = list(transport(relay).hand_over(letters(4), yes, journal))
    assert states(outcomes) == [("handed", 250)] * 4
    assert [body for body in relay.taken if body] == [DATA] * 4
    assert relay.connections == 2


def test_a_message_at_which_the_relay_always_hangs_up_fails_and_the_rest_go_on(journal, kept):
    with Relay(lambda at, n: b"" if at == "RCPT" and n in {2, 3} else None) as relay:
        outcomes = list(transport(relay).hand_over(letters(4), yes, journal))
    assert states(outcomes) == [("handed", 250), ("failed", 0), *[("handed", 250)] * 2]
    assert kept()["r1"].state == "failed"


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("stage", ["BODY", "DOT"])
def test_a_connection_lost_after_a_body_began_leaves_one_message_unknown(
    journal, kept, pipelining, stage
):
    with Relay(lambda at, n: b"" if (at, n) == (stage, 2) else None, pipelining) as relay:
        outcomes = list(transport(relay).hand_over(letters(4), yes, journal))
    assert [o.state for o in outcomes] == ["handed", "unknown", "handed", "handed"]
    assert [kept()[f"r{n}"].state for n in range(4)] == ["handed", "unknown", "handed", "handed"]
    assert relay.taken == [DATA] * 3


def test_nonsense_after_a_body_leaves_the_message_unknown(journal):
    with Relay(lambda at, n: b"hello?" if (at, n) == ("DOT", 1) else None) as relay:
        outcomes = list(transport(relay).hand_over(letters(2), yes, journal))
    assert [o.state for o in outcomes] == ["unknown", "handed"]


@pytest.mark.parametrize("pipelining", [True, False])
def test_whoever_withdrew_before_the_envelope_is_never_named_to_the_relay(
    journal, kept, pipelining
):
    with Relay(pipelining=pipelining) as relay:
        outcomes = list(transport(relay).hand_over(letters(4), lambda ref: ref != "r2", journal))
    assert [o.state for o in outcomes] == ["handed", "handed", "withdrawn", "handed"]
    assert relay.taken == [DATA] * 3
    assert not any("c2@" in line for line in relay.log)
    assert "r2" not in kept()
    assert relay.connections == 1


@pytest.mark.parametrize("pipelining", [True, False])
def test_whoever_withdrew_after_the_envelope_gets_no_body_even_if_it_costs_the_connection(
    journal, kept, pipelining
):
    asked = []

    def may_go(ref):
        asked.append(ref)
        return not (ref == "r1" and asked.count("r1") == 2)

    bodies = [f"Subject: {n}\r\n\r\nx\r\n".encode() for n in range(4)]
    messages = [Outgoing(f"r{n}", "", f"c{n}@customer.example", bodies[n]) for n in range(4)]
    with Relay(pipelining=pipelining) as relay:
        outcomes = list(transport(relay).hand_over(messages, may_go, journal))
    assert [o.state for o in outcomes] == ["handed", "withdrawn", "handed", "handed"]
    assert relay.taken == [bodies[0], bodies[2], bodies[3]]
    assert relay.connections == 2
    assert "r1" not in kept()


def test_a_withdrawal_check_that_fails_sends_nothing(journal, kept):
    def may_go(ref):
        raise Unavailable("the record does not answer")

    with Relay() as relay, pytest.raises(Unavailable):
        list(transport(relay).hand_over(letters(2), may_go, journal))
    assert relay.taken == []
    assert kept() == {}


def test_the_journal_has_a_start_before_the_body_and_a_reply_before_the_outcome(journal, kept):
    seen = []

    def script(stage, n):
        if stage == "BODY":
            time.sleep(0.05)
            seen.append({ref: o.state for ref, o in kept().items()})

    with Relay(script) as relay:
        for n, outcome in enumerate(transport(relay).hand_over(letters(2), yes, journal)):
            assert kept()[f"r{n}"].state == outcome.state == "handed"
    assert seen[0]["r0"] in {"unknown", "handed"}
    assert seen[1]["r0"] == "handed"


def test_a_relay_that_cannot_be_reached_or_will_not_talk_is_unavailable(journal, kept):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable):
        list(SmtpTransport("127.0.0.1", port, "none").hand_over(letters(1), yes, journal))
    with Relay(lambda at, n: b"554 no service") as relay, pytest.raises(Unavailable):
        list(transport(relay).hand_over(letters(1), yes, journal))
    assert kept() == {}


def test_a_relay_without_starttls_gets_no_mail_in_clear(journal):
    with Relay() as relay:
        sending = SmtpTransport("127.0.0.1", relay.port, "starttls", timeout_s=5)
        with pytest.raises(Unavailable):
            list(sending.hand_over(letters(1), yes, journal))
    assert relay.taken == []
    assert not any(line.startswith("MAIL") for line in relay.log)


def test_a_login_never_goes_in_clear():
    with pytest.raises(InvalidInput):
        SmtpTransport("127.0.0.1", 25, "none", "user", "secret")
    assert "secret" not in repr(SmtpTransport("127.0.0.1", 25, "tls", "user", "secret"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate for this machine: (server context, client context trusting only it)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay.example")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "relay.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=path)


class Login:
    """An aiosmtpd handler and authenticator for one user."""

    def __init__(self):
        self.taken = []

    async def handle_DATA(self, server, session, envelope):
        self.taken.append((session.authenticated, envelope.content))
        return "250 taken"

    def __call__(self, server, session, envelope, mechanism, data):
        right = data.login == b"user" and data.password == b"secret"
        return AuthResult(success=right, handled=right)


@pytest.fixture
def secure(certificate):
    """Start a relay of aiosmtpd that wants STARTTLS and a login: (handler, port)."""
    login = Login()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    relay = Controller(
        login, hostname="127.0.0.1", port=port, tls_context=certificate[0],
        require_starttls=True, authenticator=login, auth_required=True, auth_require_tls=True,
    )  # fmt: skip
    relay.start()
    yield login, port
    relay.stop()


def test_mail_goes_over_starttls_after_a_login(secure, certificate, journal):
    login, port = secure
    sending = SmtpTransport("127.0.0.1", port, "starttls", "user", "secret", certificate[1])
    outcomes = list(sending.hand_over(letters(3), yes, journal))
    assert states(outcomes) == [("handed", 250)] * 3
    assert login.taken == [(True, DATA)] * 3


def test_a_wrong_login_or_an_unknown_certificate_sends_nothing(secure, certificate, journal, kept):
    login, port = secure
    for sending in (
        SmtpTransport("127.0.0.1", port, "starttls", "user", "wrong", certificate[1]),
        SmtpTransport("127.0.0.1", port, "starttls", "user", "secret"),
        SmtpTransport("127.0.0.1", port, "tls", "user", "secret", timeout_s=2),
    ):
        with pytest.raises(Unavailable):
            list(sending.hand_over(letters(1), yes, journal))
    assert login.taken == []
    assert kept() == {}


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("sender", "recipient", "data"),
    [
        ("a>\r\nRCPT TO:<b", "c@x.example", DATA),
        ("", "", DATA),
        ("", "é@x.example", DATA),
        ("", "c@x.example> SIZE=1", DATA),
        ("", "c@x.example", b"no end"),
        ("", "c@x.example", b"a\n.\nMAIL FROM:<b@x.example>\r\n"),
        ("", "c@x.example", b"a\r.\r\n"),
    ],
)
def test_a_message_that_could_smuggle_a_command_fails_alone_and_unsent(
    journal, pipelining, sender, recipient, data
):
    first, last = letters(2)
    with Relay(pipelining=pipelining) as relay:
        messages = [first, Outgoing("bad", sender, recipient, data), last]
        outcomes = list(transport(relay).hand_over(messages, yes, journal))
    assert states(outcomes) == [("handed", 250), ("failed", 0), ("handed", 250)]
    assert relay.taken == [DATA] * 2
    assert sum(line.startswith("MAIL") for line in relay.log) == 2


@pytest.mark.parametrize("ref", ["a,b", "a\n", "", "a b", "é"])
def test_a_ref_that_would_spoil_the_journal_is_refused_unsent(journal, kept, ref):
    with Relay() as relay, pytest.raises(InvalidInput):
        list(transport(relay).hand_over([Outgoing(ref, "", "c@x.example", DATA)], yes, journal))
    assert relay.taken == []
    assert kept() == {}


def test_a_journal_that_cannot_be_written_stops_before_the_body(tmp_path):
    class Full(HandoverJournal):
        def start(self, ref):
            raise Unavailable("no space")

    with Relay() as relay, Full(tmp_path / "full") as journal, pytest.raises(Unavailable):
        list(transport(relay).hand_over(letters(2), yes, journal))
    assert relay.taken == []


def test_a_journal_cut_anywhere_is_readable_and_never_claims_more_than_was_written(tmp_path):
    path = tmp_path / "journal"
    with HandoverJournal(path) as journal:
        journal.start("r1")
        journal.reply("r1", 250)
        journal.start("r2")
        journal.reply("r2", 550)
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        found = {ref: o.state for ref, o in HandoverJournal.read(path).items()}
        lines = whole[:cut].count(b"\n")
        assert found == [{}, {"r1": "unknown"}, {"r1": "handed"}, {"r1": "handed", "r2": "unknown"},
                         {"r1": "handed", "r2": "failed"}][lines]  # fmt: skip
        with HandoverJournal(path) as journal:
            journal.start("r3")
        assert HandoverJournal.read(path)["r3"].state == "unknown"


def test_a_journal_is_for_its_owner_only(tmp_path):
    with HandoverJournal(tmp_path / "journal"):
        assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600


SENDER = """
import sys
from troth.adapters.smtp import HandoverJournal, SmtpTransport
from troth.terms import Outgoing
port, path = int(sys.argv[1]), sys.argv[2]
data = b"Subject: x\\r\\n\\r\\n%d\\r\\n"
messages = (Outgoing(f"r{n}", "", f"c{n}@customer.example", data % n) for n in range(100_000))
with HandoverJournal(path) as journal:
    for _ in SmtpTransport("127.0.0.1", port, "none").hand_over(messages, lambda ref: True, journal):
        pass
"""


@pytest.mark.parametrize("after_s", [0.02, 0.05, 0.11])
def test_a_sender_killed_at_any_moment_leaves_at_most_one_message_unknown(tmp_path, after_s):
    path = tmp_path / "journal"
    with Relay() as relay:
        child = subprocess.Popen([sys.executable, "-c", SENDER, str(relay.port), str(path)])
        while len(relay.taken) < 3:
            assert child.poll() is None
            time.sleep(0.005)
        time.sleep(after_s)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        time.sleep(0.1)
        taken = {int(body.split()[-1]) for body in relay.taken}
    found = HandoverJournal.read(path)
    handed = {int(ref[1:]) for ref, o in found.items() if o.state == "handed"}
    unknown = {int(ref[1:]) for ref, o in found.items() if o.state == "unknown"}
    assert len(unknown) <= 1
    assert handed <= taken <= handed | unknown
    assert len(relay.taken) == len(taken)
