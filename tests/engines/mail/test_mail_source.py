"""Rewording a template, and writing its file back."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.app.starters import _starter, starters
from troth.engines.mail import blocks, parse_template, reworded, write_template
from troth.engines.mail.template import MARK
from troth.errors import InvalidInput

STARTERS = [starter.name for starter in starters()]
words = st.text(
    st.one_of(st.sampled_from("<>&\"'*{} %[]()/\\\r\n\té"), st.characters(codec="utf-8", exclude_categories=["Cs"])),
    max_size=60,
)  # fmt: skip
toml = st.recursive(
    st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(-9, 9)),
    lambda inner: st.dictionaries(
        st.text("abz_-. é\"'", min_size=1, max_size=6), inner, max_size=3
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["name", "mjml", "text", "slots", "a b"]), toml, max_size=4)
)
def test_what_is_written_reads_back_to_exactly_the_same(data):
    assert tomllib.loads(write_template(data)) == data


@settings(max_examples=150, deadline=None)
@given(st.text("ab'\"\n\\\r# ", max_size=30))
def test_quotes_and_line_ends_in_a_text_are_written_safely(text):
    assert tomllib.loads(write_template({"text": text})) == {"text": text}


@pytest.mark.parametrize("name", STARTERS)
def test_taking_every_text_over_unchanged_changes_no_byte(name):
    mjml = _starter(name)["mjml"]
    assert reworded(mjml, {n: b.text for n, b in enumerate(blocks(mjml))}) == mjml


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(STARTERS), st.integers(0, 30), words)
def test_rewording_a_text_never_changes_a_slot_a_tag_or_another_text(name, number, given_words):
    mjml = _starter(name)["mjml"]
    before = blocks(mjml)
    number %= len(before)
    try:
        after = reworded(mjml, {number: given_words})
    except InvalidInput:
        return
    marks = [m[0] for m in MARK.finditer(mjml)]
    assert [m[0] for m in MARK.finditer(after)] == marks or sorted(
        m[0] for m in MARK.finditer(after)
    ) == sorted(marks)
    block = before[number]
    assert after.startswith(mjml[: block.start])
    assert after.endswith(mjml[block.end :])
    inside = after[block.start : len(after) - len(mjml) + block.end]
    assert "<" not in inside.replace("<b>", "").replace("</b>", "")


@pytest.mark.parametrize(
    "typed",
    ["Hello", "{{first_name}} {{first_name}}", "{{used}}", "{{first_name}} }}", "{% x %}{{first_name}}",
     "{{#interests}}{{first_name}}"],
)  # fmt: skip
def test_words_that_lose_add_or_invent_a_slot_are_refused(typed):
    mjml = "<mjml><mj-body><mj-text><h1>Hello {{first_name}}</h1></mj-text></mj-body></mjml>"
    with pytest.raises(InvalidInput, match="same slots"):
        reworded(mjml, {0: typed})


def test_a_text_that_is_not_there_or_is_empty_is_refused():
    mjml = "<mj-text>Hello</mj-text>"
    with pytest.raises(InvalidInput, match="no such text"):
        reworded(mjml, {7: "x"})
    with pytest.raises(InvalidInput, match="empty or too long"):
        reworded(mjml, {0: "  "})


def test_markup_typed_into_a_text_stays_words():
    mjml = "<mj-text>Hello</mj-text>"
    assert reworded(mjml, {0: "<img src=x> & **you**"}) == (
        "<mj-text>&lt;img src=x&gt; &amp; <b>you</b></mj-text>"
    )


@pytest.mark.parametrize("name", STARTERS)
def test_a_starter_says_which_words_are_a_headline_and_which_a_button(name):
    roles = [b.role for b in blocks(_starter(name)["mjml"])]
    assert roles.count("Headline") == 1
    assert name in {"service"} or "Button" in roles


def test_a_template_written_back_is_the_same_template(source):
    data = tomllib.loads(source)
    assert parse_template(write_template(data)) == parse_template(source)
