import base64
import email
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.crypto import RsaKey
from troth.engines.mail import Signer, dns_record, draft, sign
from troth.engines.mail.dkim import (
    EXPIRES_AFTER_S,
    OVERSIGNED,
    relaxed_body,
    relaxed_header,
    signature_bytes,
)
from troth.errors import InvalidInput

RFC_HEADERS = (
    ("From", "Joe SixPack <joe@football.example.com>"),
    ("To", "Suzie Q <suzie@shopping.example.net>"),
    ("Subject", "Is dinner ready?"),
    ("Date", "Fri, 11 Jul 2003 21:00:37 -0700 (PDT)"),
    ("Message-ID", "<20030712040037.46341.5F8J@football.example.com>"),
)
RFC_BODY = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
RFC_SEED = base64.b64decode("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")

line = st.text(st.sampled_from("ab. \t=-"), max_size=12)
bodies = st.lists(line, max_size=8).map(lambda ls: "".join(f"{x}\r\n" for x in ls).encode())
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


def message(body=b"Hello\r\n", *more):
    return draft(
        (
            ("From", '"Marula" <news@marula.example>'),
            ("To", "zoe@customer.example"),
            ("Subject", "Your order"),
            ("Date", "Mon, 23 Nov 2026 10:00:00 +0000"),
            *more,
        ),
        body,
    )


def test_the_sample_of_rfc_8463_is_signed_byte_for_byte():
    assert base64.b64encode(draft(RFC_HEADERS, RFC_BODY).body_hash) == (
        b"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
    )
    header = (
        "v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
        " d=football.example.com; i=@football.example.com;\r\n"
        " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
        " subject : date : message-id : from : subject : date;\r\n"
        " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
        " b="
    )
    covered = "".join(f"{relaxed_header(name, value)}\r\n" for name, value in RFC_HEADERS)
    signer = Signer("football.example.com", "brisbane", "ed25519-sha256", RFC_SEED)
    made = signature_bytes(signer, (covered + relaxed_header("DKIM-Signature", header)).encode())
    assert base64.b64encode(made) == (
        b"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    )


RFC_RSA = """-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
"""


def test_the_rsa_sample_of_rfc_8463_is_signed_byte_for_byte():
    header = (
        "v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
        " d=football.example.com; i=@football.example.com;\r\n"
        " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
        " date : message-id : from : subject : date;\r\n"
        " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
        " b="
    )
    covered = "".join(f"{relaxed_header(name, value)}\r\n" for name, value in RFC_HEADERS)
    signer = Signer("football.example.com", "test", "rsa-sha256", RsaKey(RFC_RSA.encode()))
    made = signature_bytes(signer, (covered + relaxed_header("DKIM-Signature", header)).encode())
    assert base64.b64encode(made) == (
        b"F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tF"
        b"OeS9mPYQTnGdaSGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8="
    )


def test_the_public_key_of_rfc_8463_is_published_raw():
    name, strings = dns_record(
        Signer("football.example.com", "brisbane", "ed25519-sha256", RFC_SEED)
    )
    assert name == "brisbane._domainkey.football.example.com"
    assert strings == ("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",)


def test_an_rsa_key_is_published_in_strings_dns_can_hold(signers):
    _, strings = dns_record(signers[1])
    assert len(strings) == 2
    assert all(len(part) <= 255 for part in strings)


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        (b"", b""),
        (b"\r\n\r\n", b""),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),  # RFC 6376, 3.4.5
        (b"no end", b"no end\r\n"),
        (b" \t \r\n", b""),
    ],
)
def test_bodies_relax_as_rfc_6376_says(raw, canonical):
    assert relaxed_body(raw) == canonical


def test_headers_relax_as_rfc_6376_says():
    assert relaxed_header("A", " X") == "a:X"
    assert relaxed_header("B ".strip(), " Y\t\r\n\tZ  ") == "b:Y Z"


@settings(max_examples=120, deadline=None)
@given(body=bodies, subject=words)
def test_dkimpy_and_we_accept_both_signatures_of_every_foreign_message(
    accepted, passes, signed, body, subject
):
    raw = signed(message(body, ("X-Note", subject.strip() or "-")))
    assert accepted(raw) == passes(raw) == [True, True]


@settings(max_examples=200, deadline=None)
@given(body=bodies)
def test_relaxing_twice_changes_nothing(body):
    assert relaxed_body(relaxed_body(body)) == relaxed_body(body)


def test_a_signature_names_what_it_must_and_never_a_length(signers, now):
    raw = sign(message(), signers, now)
    found = email.message_from_bytes(raw).get_all("DKIM-Signature")
    for value, signer in zip(found, signers, strict=True):
        tags = dict(t.strip().split("=", 1) for t in value.replace("\r\n", "").split(";"))
        assert list(tags) == ["v", "a", "c", "d", "s", "t", "x", "h", "bh", "b"]
        assert int(tags["x"]) - int(tags["t"]) == EXPIRES_AFTER_S == 604_800
        listed = re.sub(r"\s", "", tags["h"]).split(":")
        assert tags["a"] == signer.algorithm
        assert set(listed) == set(OVERSIGNED)
        assert listed.count("from") == 2
        assert listed.count("reply-to") == 1
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def added(name, value):
    return lambda raw: raw.replace(b"\r\n\r\n", f"\r\n{name}: {value}\r\n\r\n".encode(), 1)


def on_top(name, value):
    return lambda raw: f"{name}: {value}\r\n".encode() + raw


MATRIX = [
    ("sent unchanged to anybody else", lambda raw: raw, True),
    ("second From added", added("From", "x@evil.example"), False),
    ("second From on top", on_top("From", "x@evil.example"), False),
    ("body appended", lambda raw: raw + b"Pay here\r\n", False),
    ("Reply-To added below", added("Reply-To", "x@evil.example"), False),
    ("Reply-To added on top", on_top("Reply-To", "x@evil.example"), False),
    ("Cc added", added("Cc", "x@evil.example"), False),
    ("Sender added", added("Sender", "x@evil.example"), False),
    ("Content-Type added", added("Content-Type", "text/html"), False),
    ("To added", on_top("To", "x@evil.example"), False),
    ("Subject added", added("Subject", "Pay now"), False),
    ("List-Unsubscribe added", added("List-Unsubscribe", "<https://evil.example/>"), False),
    ("ref added", added("X-Troth-Ref", "other"), False),
    ("subject altered", lambda raw: raw.replace(b"Your order", b"Your 0rder"), False),
    ("body altered", lambda raw: raw.replace(b"Hello", b"Hallo"), False),
    ("empty lines appended", lambda raw: raw + b"\r\n\r\n", True),
    ("unsigned X- header added", added("X-Note", "passed by"), True),
    ("header refolded", lambda raw: raw.replace(b"Your order", b"Your\r\n order"), True),
]


@pytest.mark.parametrize(
    ("change", "verifies"), [m[1:] for m in MATRIX], ids=[m[0] for m in MATRIX]
)
def test_a_changed_message_verifies_exactly_where_the_change_is_harmless(
    accepted, passes, signed, change, verifies
):
    raw = signed(message(b"Hello\r\n", ("X-Troth-Ref", "r1")))
    assert accepted(change(raw)) == passes(change(raw)) == [verifies, verifies]


def test_of_several_headers_of_one_name_the_lowest_is_signed_first(accepted, signers, now):
    raw = sign(
        message(b"Hello\r\n", ("Cc", "one@a.example"), ("Cc", "two@a.example")), signers, now
    )
    assert accepted(raw) == [True, True]
    assert accepted(raw.replace(b"one@", b"0ne@")) == [False, False]


def test_signing_is_a_function_of_its_arguments(signers):
    assert sign(message(), signers, 1) == sign(message(), signers, 1)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((("Subject", "a\r\nBcc: x@evil.example"),), b""),
        ((("Subject", "a\nb"),), b""),
        ((("Sub:ject", "a"),), b""),
        ((("Subject", "é"),), b""),
        ((("Subject", "a\r\n \r\n b"),), b""),
        ((("Subject", "a" * 999),), b""),
        ((), b"no end"),
        ((), b"bare\nline\r\n"),
        ((), b"bare\rline\r\n"),
        ((), "é\r\n".encode()),
        ((), b"\0\r\n"),
        ((), b"a" * 999 + b"\r\n"),
    ],
)
def test_a_message_that_could_change_on_the_way_is_refused(headers, body):
    with pytest.raises(InvalidInput):
        draft((("From", "a@marula.example"), *headers), body)


def test_a_message_without_one_sender_or_a_signer_is_refused(signers):
    with pytest.raises(InvalidInput):
        sign(draft((("To", "a@b.example"),), b"x\r\n"), signers, 1)
    with pytest.raises(InvalidInput):
        sign(message(b"x\r\n", ("from", "b@b.example")), signers, 1)
    with pytest.raises(InvalidInput):
        sign(message(), (), 1)


@pytest.mark.parametrize(
    ("domain", "selector", "algorithm", "key"),
    [
        ("mar ula.example", "e", "ed25519-sha256", b"k" * 32),
        ("marula.example", "e;x", "ed25519-sha256", b"k" * 32),
        ("marula.example", "", "ed25519-sha256", b"k" * 32),
        ("marula.example", "e", "rsa-sha256", b"k" * 32),
    ],
)
def test_a_signer_that_could_not_be_verified_is_refused(domain, selector, algorithm, key):
    with pytest.raises(InvalidInput):
        Signer(domain, selector, algorithm, key)


def test_a_signer_never_shows_its_key(signers):
    assert "key" not in repr(signers[0])


def test_the_engine_never_takes_the_time_itself():
    source = Path(__import__("troth.engines.mail.dkim", fromlist=["x"]).__file__).read_text()
    assert "import time" not in source
