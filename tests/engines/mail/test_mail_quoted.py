import quopri
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from troth.engines.mail.dkim import relaxed_body
from troth.engines.mail.quoted import WIDTH, text_block, value_line

dirty = st.text(
    st.one_of(st.sampled_from(" .=FromX\t-"), st.characters(codec="utf-8")), max_size=150
)
one_line = dirty.map(lambda text: re.sub(r"[\r\n]", "", text))


def relaxed(body):
    assert relaxed_body(body + b"end\r\n") == body + b"end\r\n"
    rows = body.split(b"\r\n")
    assert max(map(len, rows)) <= WIDTH
    assert not any(row.startswith((b".", b"From ")) for row in rows)
    assert not re.search(rb"[\r\n]", body.replace(b"\r\n", b""))
    assert body.isascii()


@settings(max_examples=400, deadline=None)
@given(one_line)
def test_a_value_decodes_to_itself_and_is_relaxed_already(value):
    line = value_line(value)
    relaxed(line)
    assert line.endswith(b"=\r\n") or not value
    assert quopri.decodestring(line).decode() == value


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab é=.F"), min_size=60, max_size=90))
def test_a_value_around_the_width_of_a_line_stays_within_it(value):
    relaxed(value_line(value))
    assert quopri.decodestring(value_line(value)).decode() == value


@settings(max_examples=300, deadline=None)
@given(st.lists(one_line, max_size=6))
def test_constant_text_decodes_to_itself_and_is_relaxed_already(lines):
    block = text_block("\n".join([*lines, ""])).encode()
    relaxed(block)
    assert quopri.decodestring(block).decode() == "".join(f"{row}\r\n" for row in lines)
