"""Short texts: what fills them, what they must carry, and what cannot break out of a slot."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engines import texts
from troth.errors import InvalidInput
from troth.terms import Channel

RAW = """
name = "hello"
[bodies]
sms = "Hello {{first_name}}, Marula has rusks today. Reply STOP to stop."
call = "Good day, this is Marula. May I speak to {{first_name}}? Say stop and we never call again."
[slots.first_name]
category = "identity.name"
fallback = "there"
max_chars = 20
"""
STOP = frozenset({"stop"})


def test_a_slot_shows_its_value_or_its_fallback():
    text = texts.parse_text(RAW)
    assert texts.fill(text, Channel.SMS, {"first_name": "Thandi"}).startswith("Hello Thandi,")
    assert texts.fill(text, Channel.SMS, {}).startswith("Hello there,")
    assert text.categories == {"identity.name"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('fallback = "there"\n', ""), "fallback"),
        (("[slots.first_name]", "[slots.other]"), "no slot"),
        (("sms =", "email ="), "e-mail has templates"),
        (('name = "hello"', 'name = "../x"'), "name"),
        (("Reply STOP", "Reply {{STOP"), "no text"),
        (("[bodies]", "[body]"), "does not read"),
        (("rusks", "r" * 500), "longer than"),
    ],
)  # fmt: skip
def test_a_text_that_does_not_read_is_told_where(change, said):
    with pytest.raises(InvalidInput) as fault:
        texts.parse_text(RAW.replace(*change))
    assert said in str(fault.value)


def test_a_channel_without_a_body_is_refused():
    with pytest.raises(InvalidInput):
        texts.fill(texts.parse_text(RAW), Channel.PUSH, {})


@given(st.text(max_size=80))
def test_nothing_a_person_typed_adds_a_line_or_a_slot(value):
    text = texts.parse_text(RAW)
    filled = texts.fill(text, Channel.SMS, {"first_name": value})
    assert "\n" not in filled
    assert "\r" not in filled
    assert filled.endswith("Marula has rusks today. Reply STOP to stop.")
    assert len(filled) <= len(text.bodies[Channel.SMS]) + 20


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ʼ" * 70, 1),
        ("ʼ" * 71, 2),
        ("a" * 459, 3),
    ],
)
def test_an_sms_is_counted_as_networks_count(text, parts):
    assert texts.sms_parts(text) == parts


SENDER = texts.Sender("Marula", "12 Quiet Street", STOP)
PLAIN = texts.Text(
    "plain", {Channel.SMS: "x"}, {}, {"withdrawal_told": "as easily as you said yes"}
)


def lacking(filled, *obligations):
    return texts.lacking(PLAIN, filled, obligations, SENDER)


def test_a_text_without_sender_or_way_out_is_lacking_whatever_is_asked():
    assert lacking("Hi, buy rusks") == ["sender_identity", "stop_contact"]
    assert lacking("Marula: rusks. STOP ends it") == []
    assert lacking("Marula: a stopwatch for you") == ["stop_contact"]
    assert texts.lacking(PLAIN, "stop", (), texts.Sender("", "", STOP)) == ["sender_identity"]


def test_what_the_law_of_a_place_asks_of_a_text_is_looked_for_in_its_words():
    asked = ("opt_out", "opt_out_works_60_days", "contact_valid_60_days", "sender_contact")
    assert lacking("Marula, STOP", *asked) == ["contact_valid_60_days", "sender_contact"]
    assert lacking("Marula, STOP or +27 00 000 1234", *asked) == []
    assert lacking("Marula, STOP", "postal_address") == ["postal_address"]
    assert lacking("Marula, 12 Quiet Street, STOP", "postal_address", "no_open_pixel") == []


def test_an_obligation_nobody_knows_is_lacking_unless_the_text_names_its_words():
    assert lacking("Marula, STOP", "planted_duty", "withdrawal_told") == [
        "planted_duty", "withdrawal_told",
    ]  # fmt: skip
    assert lacking("Marula, STOP, as easily as you said yes", "withdrawal_told") == []


def test_an_sms_of_more_than_three_parts_is_not_sent():
    text = texts.Text("long", {Channel.SMS: "Marula stop " + "ʼ" * 300}, {})
    with pytest.raises(InvalidInput, match="more than 3 SMS"):
        texts.fill(text, Channel.SMS, {})


@given(st.text(max_size=300))
def test_any_bytes_as_a_text_are_read_or_refused(raw):
    with contextlib.suppress(InvalidInput):
        texts.parse_text(raw)
