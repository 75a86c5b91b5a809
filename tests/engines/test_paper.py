"""Paper: what fits, what breaks over pages, and letters the fonts do not have."""

import re
import zlib

from hypothesis import given
from hypothesis import strategies as st

from troth.engines import paper
from troth.engines.paper import Block


def words_of(raw: bytes) -> str:
    found = []
    for body in re.findall(rb"stream\n(.*?)\nendstream", raw, re.DOTALL):
        text = zlib.decompress(body)
        found += re.findall(rb"\(((?:[^()\\]|\\.)*)\)", text)
    return b" ".join(found).decode("cp1252")


def test_every_word_of_a_long_document_is_on_some_page():
    blocks = [Block(f"word{n}", label=f"label{n}") for n in range(300)]
    raw = paper.pdf("Long", blocks, "foot")
    said = words_of(raw)
    for n in range(300):
        assert f"word{n}" in said
        assert f"label{n}" in said
    assert "page 1 of" in said
    assert len(re.findall(rb"/Type /Page/", raw)) >= 5


@given(st.text(max_size=300), st.sampled_from([40, 120, 480]))
def test_no_line_is_wider_than_its_room(text, room):
    for line in paper.wrapped(paper.spelled(text), "F1", 10, room):
        assert paper.measure(line, "F1", 10) <= room or len(line) == 1


@given(st.text(max_size=200))
def test_any_text_can_be_written(text):
    paper.spelled(text).encode("cp1252")
    assert paper.pdf("t", [Block(text)], text).startswith(b"%PDF")


def test_a_heading_is_not_left_alone_at_the_foot_of_a_page():
    for lines in range(40, 60):
        blocks = [Block("x", space=0)] * lines + [Block("Head", "heading", keep=True), Block("y")]
        raw = paper.pdf("t", blocks, "f")
        pages = [
            zlib.decompress(b) for b in re.findall(rb"stream\n(.*?)\nendstream", raw, re.DOTALL)
        ]
        with_head = [p for p in pages if b"(Head)" in p]
        assert b"(y)" in with_head[0]
