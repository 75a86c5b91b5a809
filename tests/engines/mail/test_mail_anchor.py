"""The head of the ledger stands last in a message, once, and costs nothing a message."""

import html
import re

import pytest

from troth.engines import mail
from troth.errors import InvalidInput

SHOWN = mail.Anchored(
    "brand.example/ledger", 12_345, "AbC/+9==", "https://my.brand.example/anchors"
)
TEMPLATE = """
name = "t"
version = 1
subject = "Hello"
preheader = "x"
hosts = []
text = "Stop here: none.\\n"
mjml = '''<mjml><mj-body><mj-section><mj-column><mj-text>Stop here</mj-text></mj-column></mj-section></mj-body></mjml>'''
"""


def template():
    try:
        return mail.parse_template(TEMPLATE)
    except InvalidInput as told:
        pytest.fail(f"the template of this test does not read: {told}")


def test_the_line_stands_after_everything_else_in_both_parts():
    made = mail.anchored(template(), SHOWN)
    assert made.text.endswith(f"{SHOWN.words}\n{SHOWN.url}\n")
    assert made.text.index("Stop here") < made.text.index(SHOWN.words)
    assert made.mjml.count(html.escape(SHOWN.words)) == 1
    assert made.mjml.index("Stop here") < made.mjml.index("Our record")
    assert "my.brand.example" in made.hosts


def test_it_is_part_of_the_frame_and_leaves_no_slot():
    before, after = template(), mail.anchored(template(), SHOWN)
    frames = [mail.compile_frame(t, frozenset(), frozenset()) for t in (before, after)]
    assert len(frames[0]._holes) == len(frames[1]._holes)
    body = b"".join((frames[1]._head, *frames[1]._rest)).replace(b"=\r\n", b"")
    assert body.count(b"AbC/+9=3D=3D") == 2
    assert frames[1].link_hosts >= {"my.brand.example"}
    grown = len(frames[1]._head) - len(frames[0]._head)
    assert grown < 900


def test_what_is_shown_is_never_markup():
    odd = mail.Anchored("<b>.example/ledger", 1, "AA==", 'https://my.brand.example/?a="><i>')
    made = mail.anchored(template(), odd)
    assert not re.search(r"<b>|<i>", made.mjml)
