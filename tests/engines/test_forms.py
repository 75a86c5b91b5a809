"""Forms as data: what a file must say, what a browser may send, what stands on the paper."""

import re
import tomllib
import zlib
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.capabilities.trust import print_form
from troth.engines import forms
from troth.errors import InvalidInput

FOLDER = files("troth") / "data/forms"
NAMES = ("popia-1", "popia-2", "paia-2")
SMALL = """
law = "Test Act s1"
title = "Ask for a thing of [YOUR COMPANY]"
lead = "It costs nothing."
version = "1"
checked_on = 2026-11-23
review_by = 2027-02-23
source = "invented"
source_mark = "S"
needs_check = true
right = "correction"
by = "wanted"
rights = { correct = "correction", delete = "deletion" }
[[part]]
heading = "A"
text = "To [YOUR COMPANY] at [ADDRESS]."
field = [
  { name = "name", label = "Name", needed = true },
  { name = "wanted", label = "I ask", kind = "choice", needed = true, options = { correct = "to correct", delete = "to delete" } },
  { name = "ground", label = "It is", kind = "ticks", options = { old = "old", wrong = "wrong" } },
  { name = "why", label = "Why", kind = "text" },
]
[[part]]
heading = "For the office"
office = true
field = [ { name = "number", label = "Number" } ]
"""


def shipped(name):
    return forms.read_form(name, (FOLDER / f"{name}.toml").read_bytes())


def small(old="", new=""):
    assert old in SMALL
    return forms.read_form("small", SMALL.replace(old, new, 1).encode())


def written(raw):
    """Return the text of a PDF, its lines joined."""
    found = []
    for body in re.findall(rb"stream\n(.*?)\nendstream", raw, re.DOTALL):
        found += re.findall(rb"\(((?:[^()\\]|\\.)*)\)", zlib.decompress(body))
    return b" ".join(found).decode("cp1252").replace("\\", "")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_form_is_dated_names_its_source_and_says_that_the_gazette_was_not_read(name):
    form = shipped(name)
    assert form.checked_on < form.review_by
    assert "not read" in form.source
    assert "Gazette" in form.doubt
    assert form.doubt.split(".")[0] in written(print_form(form, {}, "Marula"))
    assert form.right in forms.RIGHTS


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("popia-1", ["name", "address", "about", "reason", "place", "date", "signature"]),
        ("popia-2", ["wanted", "name", "what", "ground", "reason", "date", "signature"]),
        ("paia-2", ["for", "name", "capacity", "record", "type", "copy", "manner", "right",
                    "exempt", "answer", "date", "signature"]),
    ],
)  # fmt: skip
def test_a_form_asks_for_the_facts_of_its_model_in_their_order(name, order):
    asked = [each.name for each in shipped(name).fields]
    assert [each for each in asked if each in order] == order


def test_what_the_office_fills_in_is_on_paper_and_not_asked_of_a_person():
    form = shipped("paia-2")
    assert not [each for each in form.fields if each.name.startswith("office")]
    assert "For the office" in written(print_form(form, {}, "Marula"))


def test_the_request_for_consent_keeps_each_part_of_its_letter_and_ticks_nothing():
    raw = (files("troth") / "data/form4.toml").read_bytes()
    form = forms.read_consent_form("popia-4", raw, {"email": "e-mail", "sms": "text message"})
    told = tomllib.loads(raw.decode())
    assert [part.heading for part in form.parts[:-1]] == [part["heading"] for part in told["part"]]
    text = written(print_form(form, {}, "Marula"))
    assert text.count("[ ]") == 4
    assert "[x]" not in text
    assert form.asks({"answer": "yes"}) == "consent"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('source = "invented"', 'source = ""', "source"),
        ('source_mark = "S"', 'source_mark = ""', "source"),
        ('source_mark = "S"', 'source_mark = "Z"', "source"),
        ("needs_check = true", "needs_check = false", "needs_check"),
        ('law = "Test Act s1"', "", "law is missing"),
        ('right = "correction"', 'right = "wealth"', "right"),
        ('delete = "deletion" }', 'delete = "wealth" }', "right"),
        ('by = "wanted"', 'by = "nobody"', "nobody"),
        ('lead = "It', 'colour = "red"\nlead = "It', "unknown key colour"),
        ('name = "why"', 'name = "name"', "share a name"),
        ('kind = "text"', 'kind = "song"', "kind"),
        (', options = { old = "old", wrong = "wrong" }', "", "kind"),
        ("checked_on = 2026-11-23", 'checked_on = "soon"', "date"),
        ("[[part]]", "[[part", "form small"),
    ],
)
def test_a_form_that_lacks_or_contradicts_something_is_not_read(old, new, said):
    with pytest.raises(InvalidInput, match=said):
        small(old, new)


def test_the_letter_of_consent_without_its_answer_is_not_read():
    raw = (files("troth") / "data/form4.toml").read_bytes()
    with pytest.raises(InvalidInput, match="answer"):
        forms.read_consent_form("popia-4", raw.replace(b"[answer]", b"[other]"), {"email": "e"})


def test_the_company_stands_in_the_brackets_and_what_is_unknown_stays_named():
    form = forms.named(small(), {"YOUR COMPANY": "Marula", "ADDRESS": ""})
    assert form.title == "Ask for a thing of Marula"
    assert form.parts[0].text == "To Marula at [ADDRESS]."
    assert forms.placeholders(form) == ["ADDRESS"]


def test_the_answer_says_which_right_is_asked_for():
    assert small().asks({"wanted": "delete"}) == "deletion"
    assert small().asks({}) == "correction"


def test_what_is_needed_and_not_answered_is_named_in_order():
    assert [f.name for f in forms.missing(small(), {})] == ["name", "wanted"]
    assert forms.missing(small(), {"name": "N", "wanted": "delete"}) == []


def test_answers_stand_on_the_paper_in_words_and_the_rest_stays_blank():
    answers = forms.taken(
        small(), {"name": "Naledi (Planted)", "wanted": "delete", "ground-old": "yes"}
    )
    assert forms.told(small(), answers) == [
        ("Name", "Naledi (Planted)"), ("I ask", "to delete"), ("It is", "old"),
    ]  # fmt: skip
    text = written(print_form(small(), answers, "Marula"))
    assert "Naledi (Planted)" in text
    assert text.count("[x]") == 2
    assert text.count("[ ]") == 2
    assert "____" in text
    assert print_form(small(), answers, "Marula") == print_form(small(), answers, "Marula")


SENT = st.dictionaries(
    st.sampled_from(
        ["name", "wanted", "ground", "ground-old", "ground-evil", "why", "number", "form", "x"]
    ),
    st.text(max_size=5_000),
)


@settings(max_examples=60, deadline=None)
@given(SENT)
def test_of_what_a_browser_sends_only_answers_to_the_form_are_taken_and_none_is_too_long(sent):
    form = small()
    answers = forms.taken(form, sent)
    assert answers.keys() <= {each.name for each in form.fields}
    assert answers.get("wanted", "delete") in {"correct", "delete"}
    assert set(answers.get("ground", "").split()) <= {"old", "wrong"}
    assert len(answers.get("name", "")) <= forms.LINE_MAX
    assert len(answers.get("why", "")) <= forms.TEXT_MAX
    assert all(answers.values())
    assert print_form(form, answers, "Marula").startswith(b"%PDF")
