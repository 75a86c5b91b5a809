"""Delivery to a file and to a provider: once each, asked again before each, nothing swallowed."""

import csv
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from troth.adapters import outbound
from troth.adapters.delivery import FileTransport, HttpTransport, Provider
from troth.adapters.smtp import HandoverJournal
from troth.engines import webhooks
from troth.errors import InvalidInput, Unavailable
from troth.terms import Outgoing

SECRET = b"k" * 32
NOW = 1_795_000_000


def messages(n=3, text="Hello from Marula. Stop?"):
    return [Outgoing(f"r{i}", "marula", f"+2700000000{i}", text.encode()) for i in range(n)]


def yes(_ref):
    return True


@pytest.fixture
def journal(tmp_path):
    with HandoverJournal(tmp_path / "handover.log") as log:
        yield log


@pytest.fixture
def provider():
    """A real HTTP server: answers by a list of statuses, keeps what it got."""
    got, statuses = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = statuses.pop(0) if statuses else 202
            if status == 0:
                self.connection.close()
                return
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = outbound.read_place(f"http://127.0.0.1:{server.server_port}/send", local=True)
    yield HttpTransport(Provider(place, SECRET, "sms", lambda: NOW)), got, statuses
    server.shutdown()
    server.server_close()


def test_each_message_is_a_row_of_a_file_only_its_owner_reads(tmp_path, journal):
    path = tmp_path / "calls.csv"
    outcomes = list(FileTransport(path).hand_over(messages(), yes, journal))
    assert [o.state for o in outcomes] == ["handed"] * 3
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [r["ref"] for r in rows] == ["r0", "r1", "r2"]
    assert rows[0]["to"] == "+27000000000"
    assert path.stat().st_mode & 0o777 == 0o600
    list(FileTransport(path).hand_over(messages(1), yes, journal))
    assert sum(line.startswith("to,") for line in path.read_text().splitlines()) == 1


def test_who_withdrew_in_between_is_in_no_row(tmp_path, journal):
    path = tmp_path / "calls.csv"
    outcomes = list(FileTransport(path).hand_over(messages(), lambda ref: ref != "r1", journal))
    assert [o.state for o in outcomes] == ["handed", "withdrawn", "handed"]
    assert "r1" not in path.read_text()


def test_no_cell_of_a_list_is_a_formula(tmp_path, journal):
    path = tmp_path / "calls.csv"
    list(FileTransport(path).hand_over(messages(1, '=HYPERLINK("x")'), yes, journal))
    assert next(csv.DictReader(path.read_text().splitlines()))["text"].startswith("'=")


def test_a_provider_gets_signed_json_with_the_ref_as_its_id(provider, journal):
    transport, got, _ = provider
    assert [o.state for o in transport.hand_over(messages(2), yes, journal)] == ["handed"] * 2
    headers, body = got[0]
    assert webhooks.verify([SECRET], headers, body, NOW) == "r0"
    assert headers["idempotency-key"] == "r0"
    assert json.loads(body) == {
        "id": "r0", "channel": "sms", "to": "+27000000000", "text": "Hello from Marula. Stop?",
    }  # fmt: skip


def test_a_busy_provider_is_asked_again_under_the_same_id(provider, journal):
    transport, got, statuses = provider
    statuses += [503, 429]
    assert [o.state for o in transport.hand_over(messages(1), yes, journal)] == ["handed"]
    assert {h["idempotency-key"] for h, _ in got} == {"r0"}
    assert len(got) == 3


@pytest.mark.parametrize(
    ("answers", "state"), [([400], "failed"), ([503] * 3, "failed"), ([0], "unknown")]
)
def test_no_and_no_answer_are_told_apart(provider, journal, answers, state):
    transport, got, statuses = provider
    statuses += answers
    assert [o.state for o in transport.hand_over(messages(1), yes, journal)] == [state]
    assert len(got) == len(answers)


def test_a_redirect_is_not_followed(provider, journal):
    transport, got, statuses = provider
    statuses += [307]
    list(transport.hand_over(messages(1), yes, journal))
    assert len(got) == 1


def test_a_killed_worker_leaves_at_most_the_message_in_flight_unknown(tmp_path, provider):
    transport, _, _ = provider
    log = tmp_path / "handover.log"
    with HandoverJournal(log) as journal:
        run = transport.hand_over(messages(3), yes, journal)
        next(run)
        journal.start("r1")
    states = {ref: o.state for ref, o in HandoverJournal.read(log).items()}
    assert states == {"r0": "handed", "r1": "unknown"}


@pytest.mark.parametrize(
    "url",
    [
        "http://provider.example/x", "ftp://provider.example", "https://user:pw@provider.example",
        "https://", "nonsense", "https://provider.example:port/", "https://provider.example/#x",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(InvalidInput):
        outbound.read_place(url)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1"]
)
def test_a_private_place_is_not_reached_unless_it_is_allowed(host):
    with pytest.raises(InvalidInput, match="private network"):
        outbound.read_place(f"https://{host}/")
    meant = outbound.read_place(f"https://{host}:9/", local=True)
    found = outbound.Place(meant.host, meant.port, meant.path, meant.secure, local=False)
    with pytest.raises(Unavailable, match="private network"):
        outbound.Reached(found)


def test_a_list_that_cannot_be_written_is_said_before_anything_begins(tmp_path, journal):
    with pytest.raises(Unavailable):
        list(FileTransport(tmp_path / "no" / "calls.csv").hand_over(messages(), yes, journal))


def test_a_provider_that_is_away_leaves_its_messages_not_begun(tmp_path):
    place = outbound.read_place("http://127.0.0.1:9/send", local=True)
    transport = HttpTransport(Provider(place, SECRET, "sms", lambda: NOW))
    log = tmp_path / "handover.log"
    with HandoverJournal(log) as journal, pytest.raises(Unavailable):
        list(transport.hand_over(messages(2), yes, journal))
    assert HandoverJournal.read(log) == {}
