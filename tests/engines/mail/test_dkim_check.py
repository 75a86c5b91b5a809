import dkim as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.engines.mail import dns_record, draft
from troth.engines.mail.dkim_check import check_signatures
from troth.errors import InvalidInput

SAMPLE_KEYS = {  # RFC 8463, A
    "brisbane": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08"
    "a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4h"
    "stT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}
SAMPLE = b"""DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
"""


def sample_key(selector, domain):
    return SAMPLE_KEYS[selector]


@pytest.fixture(scope="module")
def key_of(signers):
    records = {s.selector: "".join(dns_record(s)[1]) for s in signers}
    return lambda selector, domain: records.get(selector, "")


def states(raw, key_of, at):
    return [found.state for found in check_signatures(raw, key_of, at)]


def message(body=b"Hello\r\n"):
    return draft((("From", "a@marula.example"), ("Subject", "Your order")), body)


@pytest.mark.parametrize("raw", [SAMPLE, SAMPLE.replace(b"\n", b"\r\n")])
def test_the_signed_sample_of_rfc_8463_passes(raw):
    found = check_signatures(raw, sample_key, 1_528_637_909)
    assert [f.state for f in found] == ["pass", "pass"]
    assert {f.domain for f in found} == {"football.example.com"}
    assert {f.at for f in found} == {1_528_637_909}


def test_the_sample_fails_where_one_word_differs():
    assert states(SAMPLE.replace(b"hungry", b"angry"), sample_key, 0) == ["fail", "fail"]
    assert states(SAMPLE.replace(b"dinner", b"supper"), sample_key, 0) == ["fail", "fail"]


def test_an_expired_signature_is_expired_not_false(signed, key_of, now):
    raw = signed(message())
    assert states(raw, key_of, now + 7 * 86_400) == ["pass", "pass"]
    assert states(raw, key_of, now + 7 * 86_400 + 1) == ["expired", "expired"]
    assert states(raw.replace(b"Hello", b"Hallo"), key_of, now + 10**7) == ["fail", "fail"]


def test_without_a_key_nothing_is_said(signed, now):
    assert states(signed(message()), lambda selector, domain: "", now) == ["no_key"] * 2
    revoked = "v=DKIM1; k=rsa; p="
    assert states(signed(message()), lambda selector, domain: revoked, now) == ["no_key"] * 2


def test_a_key_of_another_kind_does_not_verify(signed, signers, now):
    swapped = {
        a.selector: "".join(dns_record(b)[1]) for a, b in zip(signers, signers[::-1], strict=True)
    }
    assert states(signed(message()), lambda s, d: swapped[s], now) == ["fail", "fail"]


@pytest.mark.parametrize("header", ["relaxed", "simple"])
@pytest.mark.parametrize("body", ["relaxed", "simple"])
@settings(max_examples=25, deadline=None)
@given(text=st.lists(st.text("ab \t.", max_size=9), max_size=6).map("\r\n".join))
def test_what_dkimpy_signs_passes_here_in_every_canonical_form(header, body, text):
    raw = f"From:  a@football.example.com\r\nSubject: x\r\n  y \r\n\r\n{text}\r\n".encode()
    seed = b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
    line = oracle.sign(
        raw, b"brisbane", b"football.example.com", seed,
        canonicalize=(header.encode(), body.encode()), signature_algorithm=b"ed25519-sha256",
    )  # fmt: skip
    assert states(line + raw, sample_key, 0) == ["pass"]


def test_a_length_tag_is_named(now):
    raw = b"From: a@football.example.com\r\n\r\nHello\r\n"
    seed = b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
    line = oracle.sign(
        raw, b"brisbane", b"football.example.com", seed, length=True,
        canonicalize=(b"relaxed", b"relaxed"), signature_algorithm=b"ed25519-sha256",
    )  # fmt: skip
    (found,) = check_signatures(line + raw + b"Pay here\r\n", sample_key, now)
    assert (found.state, found.partial) == ("pass", True)
    (found,) = check_signatures(line + raw.replace(b"Hello\r\n", b""), sample_key, now)
    assert found.state == "fail"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v=1;", b"v=2;"),
        (b"v=1;", b"v=1; v=1;"),
        (b" d=marula.example;", b""),
        (b" d=marula.example;", b" d=marula.example; i=@evil.example;"),
        (b"from:from:", b""),
        (b" t=", b" t=x"),
        (b" bh=", b" bh=!"),
    ],
)
def test_a_signature_that_breaks_the_grammar_is_malformed(signed, key_of, now, old, new):
    assert "malformed" in states(signed(message()).replace(old, new), key_of, now)


def test_a_message_without_signatures_has_none_to_check(key_of):
    assert check_signatures(b"From: a@b.example\r\n\r\nx\r\n", key_of, 0) == ()


def test_a_flood_of_signatures_is_cut(key_of):
    assert len(check_signatures(b"DKIM-Signature: x\r\n" * 500 + b"\r\n", key_of, 0)) == 10


@pytest.mark.parametrize(
    "raw", [b"x" * (10 * 1024 * 1024 + 1), b"A: " + b"x" * (256 * 1024), b"no header\r\n\r\n"]
)
def test_what_is_too_large_or_no_mail_is_refused(key_of, raw):
    with pytest.raises(InvalidInput):
        check_signatures(raw, key_of, 0)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_flipped_byte_of_a_header_or_body_word_ever_passes_and_none_crashes(
    signed, key_of, now, data
):
    raw = bytearray(signed(message(b"Hello there\r\n")))
    place = data.draw(st.integers(raw.index(b"From: "), len(raw) - 3))
    raw[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[place]))
    try:
        found = states(bytes(raw), key_of, now)
    except InvalidInput:
        return
    harmless = (
        bytes(raw).lower().split(b"from: ")[-1].split()
        == signed(message(b"Hello there\r\n")).lower().split(b"from: ")[-1].split()
    )
    assert "pass" not in found or harmless


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.text(max_size=60))
def test_random_bytes_and_keys_never_crash_and_never_pass(raw, key):
    try:
        found = check_signatures(b"DKIM-Signature: " + raw, lambda s, d: key, 0)
    except InvalidInput:
        return
    assert all(f.state in {"malformed", "fail", "no_key"} for f in found)
