"""What comes back: failures, complaints, and answers that mean stop; and what must not mean it."""

import contextlib
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engines.mail.returns import MAX_PARTS, means_stop, read_return, read_words
from troth.errors import Fault, InvalidInput

WORDS = read_words(
    tomllib.loads((files("troth") / "data/replies.toml").read_text(encoding="utf-8"))
)
OURS = "0123456789abcdef0123456789abcdef@marula.example"
TOKEN = "A" * 32


def dsn(action="failed", status="5.1.1", headers=True):
    third = (
        f"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{OURS}>\r\n"
        f"List-Unsubscribe: <https://my.marula.example/stop/{TOKEN}>\r\n"
        if headers
        else f"Content-Type: message/rfc822\r\n\r\nMessage-ID: <{OURS}>\r\n\r\nbody\r\n"
    )
    return (
        "From: MAILER-DAEMON@mx.example\r\nTo: hello@marula.example\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; x@mx.example\r\n"
        f"Action: {action}\r\nStatus: {status}\r\n\r\n"
        f"--b\r\n{third}\r\n--b--\r\n"
    ).encode()


ARF = (
    "From: fbl@provider.example\r\nTo: hello@marula.example\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain\r\n\r\nThis is a report.\r\n"
    "--b\r\nContent-Type: message/feedback-report\r\n\r\n"
    "Feedback-Type: abuse\r\nUser-Agent: Some/1\r\nVersion: 1\r\n\r\n"
    f"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <{OURS}>\r\n"
    f"List-Unsubscribe: <https://my.marula.example/stop/{TOKEN}>\r\n\r\nhi\r\n--b--\r\n"
).encode()


def reply(text, *extra, kind="text/plain"):
    lines = [
        "From: somebody@mail.example", "To: hello@marula.example", f"In-Reply-To: <{OURS}>",
        "Subject: Re: the kettle is on", "MIME-Version: 1.0",
        f"Content-Type: {kind}; charset=utf-8", *extra,
    ]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()


@pytest.mark.parametrize("headers", [True, False])
def test_a_permanent_failure_names_our_message_and_its_code(headers):
    found = read_return(dsn(headers=headers), WORDS)
    assert (found.kind, found.hard, found.status) == ("bounce", True, "5.1.1")
    assert OURS in found.message_ids
    assert found.tokens == ((TOKEN,) if headers else ())


@pytest.mark.parametrize(
    ("action", "status", "kind", "hard"),
    [
        ("delayed", "4.4.1", "bounce", False),
        ("failed", "4.2.2", "bounce", False),
        ("delayed", "5.1.1", "bounce", False),
        ("delivered", "2.1.5", "other", False),
        ("relayed", "2.0.0", "other", False),
    ],
)
def test_a_delay_or_a_delivery_is_no_hard_failure(action, status, kind, hard):
    found = read_return(dsn(action, status), WORDS)
    assert (found.kind, found.hard) == (kind, hard)


def test_a_complaint_names_our_message_and_its_stop_token():
    found = read_return(ARF, WORDS)
    assert found.kind == "complaint"
    assert found.message_ids == (OURS,)
    assert found.tokens == (TOKEN,)


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop.", "Unsubscribe please", "please unsubscribe me from this list, thanks",
        "Hou op", "Teken my af asseblief", "Verwyder my van julle lys", "Yeka!", "cancel",
        "Remove me.\r\n\r\nOn Tue, Marula wrote:\r\n> Hello",
        ("I have asked before, in the shop and by phone, and nobody listened to me at all: take me "
        "off this list at once, or I shall go to the regulator about it, and I mean it."),
        "Quit", "Opt-out", "NO MORE EMAILS", "moenie meer stuur nie",
    ],
)  # fmt: skip
def test_these_answers_mean_stop(text):
    found = read_return(reply(text), WORDS)
    assert (found.kind, found.stop) == ("reply", True), text
    assert found.message_ids == (OURS,)


@pytest.mark.parametrize(
    "text",
    [
        "", "Thank you!", "Is the shop open on Sunday?", "Please don't stop, I love these",
        "Moenie ophou nie", "I want to cancel my order from yesterday",
        "Lovely.\r\n\r\nOn Tue, Marula wrote:\r\n> To stop these messages: unsubscribe",
        ("Where does the road end? We drove past the bus stop near your shop and could not find "
        "the entrance, is there parking behind the building or should we walk from the station?"),
        "Dankie, dit was heerlik",
    ],
)  # fmt: skip
def test_these_answers_do_not_mean_stop(text):
    assert not read_return(reply(text), WORDS).stop, text


@pytest.mark.parametrize(
    "extra",
    [
        "Auto-Submitted: auto-replied", "X-Autoreply: yes", "Precedence: bulk",
        "X-Auto-Reply: 1", "Auto-Submitted: auto-generated",
    ],
)  # fmt: skip
def test_an_automatic_answer_is_never_a_stop(extra):
    found = read_return(reply("stop", extra), WORDS)
    assert (found.kind, found.stop) == ("absent", False)


@pytest.mark.parametrize(
    "subject", ["Out of office: stop", "Buite kantoor", "Automatic reply: Re: kettle"]
)
def test_an_out_of_office_without_the_header_is_known_by_its_subject(subject):
    raw = reply("I am away, stop by later").replace(b"Re: the kettle is on", subject.encode())
    assert read_return(raw, WORDS).kind == "absent"


def test_auto_submitted_no_is_a_persons_answer():
    assert read_return(reply("stop", "Auto-Submitted: no"), WORDS).stop


def test_a_page_without_plain_text_is_read_up_to_its_quotation():
    page = "<p>Teken my af</p><blockquote>unsubscribe here</blockquote>"
    assert read_return(reply(page, kind="text/html"), WORDS).stop
    page = "<p>Thanks</p><blockquote>unsubscribe</blockquote>"
    assert not read_return(reply(page, kind="text/html"), WORDS).stop


def test_too_much_of_anything_is_refused_in_words():
    parts = b"--b\r\n\r\nx\r\n" * (MAX_PARTS + 2)
    many = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + parts + b"--b--\r\n"
    for raw in (b"x" * (11 * 2**20), b"A: " + b"x" * 300_000 + b"\r\n\r\nhi", many):
        with pytest.raises(InvalidInput):
            read_return(raw, WORDS)


@given(st.binary(max_size=2_000))
def test_any_bytes_are_read_or_refused_never_a_crash(raw):
    with contextlib.suppress(Fault):
        read_return(raw, WORDS)


@given(st.text(max_size=400))
def test_any_answer_is_understood_or_not_and_never_crashes(text):
    assert means_stop(text, WORDS) in (True, False)


def test_phrases_that_do_not_read_are_told():
    with pytest.raises(InvalidInput):
        read_words({"stop": []})
