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


def test_a_text_without_sender_or_way_out_is_lacking():
    assert texts.lacking("Hi, buy rusks", Channel.SMS, "Marula", STOP) == [
        "sender_identity", "stop_instruction",
    ]  # fmt: skip
    assert texts.lacking("Marula: rusks. STOP ends it", Channel.SMS, "Marula", STOP) == []
    long = "Marula stop " + "ʼ" * 300
    assert texts.lacking(long, Channel.SMS, "Marula", STOP) == ["three_parts_at_most"]


@given(st.text(max_size=300))
def test_any_bytes_as_a_text_are_read_or_refused(raw):
    with contextlib.suppress(InvalidInput):
        texts.parse_text(raw)
