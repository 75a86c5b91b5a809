"""One spelling per address."""

import hashlib
import unicodedata

import pytest
from email_validator import validate_email
from hypothesis import assume, given
from hypothesis import strategies as st

from troth.engines import contact
from troth.engines.contact import NORMALISER, digest_for_registry, normalise
from troth.errors import InvalidInput


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        (" Thandi.M+Offers@Marula.EXAMPLE ", "thandi.m+offers@marula.example"),
        ("a@MÜNCHEN.example", "a@xn--mnchen-3ya.example"),
        ("a@xn--mnchen-3ya.example", "a@xn--mnchen-3ya.example"),
        ("ｆｏｏ＠shop.example", "foo@shop.example"),
        ("Ä@shop.example", "ä@shop.example"),
        ("A\u0308@shop.example", "ä@shop.example"),
        ("a@shop.test", "a@shop.test"),
        ("first.middle.last@mail.shop.example", "first.middle.last@mail.shop.example"),
    ],
)
def test_an_email_address_has_one_spelling(written, spelled):
    assert normalise("email", written) == spelled


def test_dots_and_tags_are_never_guessed_away():
    spellings = {
        normalise("email", a) for a in ("ab@x.example", "a.b@x.example", "ab+t@x.example")
    }
    assert len(spellings) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        "", "@", "a@b", "a@test", "a@localhost", "a@x.local", "a@x.invalid", "a@[127.0.0.1]",
        '"a b"@x.example', "a@x..example", ".a@x.example", "a.@x.example", "a@-x.example",
        "a" * 65 + "@x.example", "Anna <anna@x.example>", "a b@x.example", "a@x.example.",
        "a@x.example\nb@y.example", "a\0@x.example", "x" * 5_000, "a@" + "x." * 200 + "example",
    ],
)  # fmt: skip
def test_what_is_no_email_address_is_refused_without_repeating_it(wrong):
    with pytest.raises(InvalidInput) as caught:
        normalise("email", wrong)
    assert str(caught.value) == ("this is not an e-mail address; write it like name@shop.example")


@given(st.emails())
def test_normalising_twice_changes_nothing(address):
    try:
        once = normalise("email", address)
    except InvalidInput:
        assume(False)
    assert normalise("email", once) == once
    assert unicodedata.is_normalized("NFKC", once)
    assert once == once.lower()


@given(
    st.text(max_size=60) | st.text("aA1.@-_+ßİ。xn", max_size=30).map(lambda t: t + "@x.example")
)
def test_any_text_is_spelled_stably_or_refused_as_invalid(text):
    for channel, region in (("email", ""), ("sms", "ZA"), ("sms", "")):
        try:
            once = normalise(channel, text, region)
        except InvalidInput:
            continue
        assert normalise(channel, once, region) == once


_label = st.text("abcz019-", min_size=1, max_size=12)
_local = st.text("abcAZ09._+-", min_size=1, max_size=24)


@given(_local, st.lists(_label, min_size=1, max_size=3))
def test_the_short_way_agrees_with_the_full_check(local, labels):
    address = f"{local}@{'.'.join(labels)}.example"
    try:
        full = contact._any_email(address)
    except (ValueError, InvalidInput):
        full = None
    try:
        short = normalise("email", address)
    except InvalidInput:
        short = None
    assert short == full


def test_the_library_is_asked_without_dns():
    """Planted: the same call with its default asks DNS and refuses the reserved domain."""
    with pytest.raises(ValueError):
        validate_email("a@nowhere.test")
    assert normalise("email", "a@nowhere.test") == "a@nowhere.test"


@pytest.mark.parametrize(
    ("written", "region", "spelled"),
    [
        ("082 555 0100", "ZA", "+27825550100"),
        ("+27 (0)82 555-0100", "", "+27825550100"),
        ("tel:+27825550100", "DE", "+27825550100"),
        ("07700 900123", "GB", "+447700900123"),
        ("(202) 555-0101", "US-CA", "+12025550101"),
        ("٠٨٢٥٥٥٠١٠٠", "ZA", "+27825550100"),
        ("+44 7700 900123", "ZA", "+447700900123"),
    ],
)
def test_a_telephone_number_has_one_spelling(written, region, spelled):
    for channel in ("sms", "whatsapp", "call"):
        assert normalise(channel, written, region) == spelled


@pytest.mark.parametrize(
    ("wrong", "region"),
    [
        ("082 555 0100", ""), ("082 555 0100", "XX"), ("112", "DE"), ("555-0100", "US"),
        ("082 555 0100 ext 5", "ZA"), ("1-800-FLOWERS", "US"), ("", "ZA"), ("+", "ZA"),
        ("1" * 39, "ZA"), ("Thandi 0825550100", "ZA"),
    ],
)  # fmt: skip
def test_what_is_no_full_number_is_refused_without_repeating_it(wrong, region):
    with pytest.raises(InvalidInput) as caught:
        normalise("sms", wrong, region)
    assert "this is not a telephone number" in str(caught.value)
    assert not wrong.strip("+") or wrong not in str(caught.value)


def test_a_channel_nobody_knows_has_no_spelling():
    with pytest.raises(InvalidInput):
        normalise("pigeon", "x")


def test_an_apps_token_is_kept_as_it_is():
    assert normalise("push", " aB:9_-token ") == "aB:9_-token"
    for wrong in ("", " ", "two words", "x" * 513, "tök", "a\nb"):
        with pytest.raises(InvalidInput):
            normalise("push", wrong)


def test_a_postal_address_is_a_few_trimmed_lines():
    text = "  Ms  T. Planted\r\n12 Quiet Street \n\nCape Town 8001"
    assert normalise("post", text) == "Ms T. Planted\n12 Quiet Street\nCape Town 8001"
    assert normalise("post", normalise("post", text)) == normalise("post", text)
    for wrong in ("", "\n", "\n".join("1234567"), "x" * 81, "a\u202eb"):
        with pytest.raises(InvalidInput):
            normalise("post", wrong)


def test_a_registry_digest_is_sha256_of_the_lowered_trimmed_address():
    expected = hashlib.sha256(b"thandi@marula.example").digest()
    assert digest_for_registry("sha256-lower-trim", " Thandi@Marula.example ") == expected


def test_an_unknown_registry_scheme_is_refused_and_nothing_assumed():
    with pytest.raises(InvalidInput, match="sha256-lower-trim"):
        digest_for_registry("md5", "thandi@marula.example")


def test_the_rule_has_a_number():
    assert NORMALISER == 1
