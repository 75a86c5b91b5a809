"""Counted links: which change, what stands in them, and that nothing of a person does."""

import pytest

from troth.engines import mail
from troth.engines.mail import links
from troth.errors import InvalidInput

TEMPLATE = """
name = "spring"
version = 1
subject = "Hello"
preheader = "x"
hosts = ["brand.example", "my.brand.example", "other.example"]
{clicks}
mjml = '''
<mjml><mj-body><mj-section><mj-column>
<mj-text>Read <a href="https://brand.example/one">about bread</a>,
<a href="https://other.example/two">elsewhere</a>, <a href="https://brand.example/one">again</a>,
<a href="https://brand.example/shown">https://brand.example/shown</a>
<a href="{{{{stop_link}}}}">Stop</a> <a href="https://brand.example/p/{{{{code}}}}">yours</a></mj-text>
<mj-button href="https://www.brand.example/three">See</mj-button>
</mj-column></mj-section></mj-body></mjml>
'''
text = '''
Bread: https://brand.example/one
Stop: {{{{stop_link}}}}
'''
[slots.stop_link]
category = ""
escaping = "link"
fallback = "https://my.brand.example/stop"
max_chars = 200
[slots.code]
category = ""
escaping = "part"
fallback = "x"
max_chars = 20
[carries]
notice_purpose = "about bread"
"""
COUNTING = mail.Counting(
    "https://my.brand.example/go/spring", "brand.example", "https://my.brand.example/o"
)
ENVELOPE = mail.Envelope("B", "b@brand.example", "you@post.example", "1@brand.example", 0)


def parsed(clicks=""):
    raw = TEMPLATE.format(clicks=clicks).replace(
        '"other.example"]', '"other.example", "www.brand.example"]'
    )
    return mail.parse_template(raw)


def made(template, categories=frozenset(), **values):
    rewritten, targets = mail.counted(template, COUNTING, lambda n, url: f"tag{n}{len(url)}")
    frame = mail.Frames(rewritten).of(frozenset(categories), values)
    return mail.parts_of(frame.fill(values, ENVELOPE)), targets


def test_only_the_brands_own_constant_links_are_counted_and_each_address_once():
    own = ("https://brand.example/one", "https://www.brand.example/three")
    assert mail.countable(parsed(), "brand.example") == own


@pytest.mark.parametrize(
    ("clicks", "count"), [("count_clicks = true", 3), ("count_clicks = false", 0)]
)
def test_a_template_may_say_all_or_none(clicks, count):
    assert len(mail.countable(parsed(clicks), "brand.example")) == count


def test_a_yes_or_no_that_is_neither_is_refused():
    with pytest.raises(InvalidInput, match="count_clicks"):
        parsed('count_clicks = "yes"')


def test_a_link_leads_through_the_counter_and_a_reader_sees_the_address_in_the_plain_part():
    (rich, plain), targets = made(parsed())
    assert targets == {1: "https://brand.example/one", 2: "https://www.brand.example/three"}
    assert rich.count('href="https://my.brand.example/go/spring/1.tag125"') == 2
    assert 'href="https://my.brand.example/go/spring/2.tag231"' in rich
    assert 'href="https://other.example/two"' in rich
    assert "https://brand.example/one" in plain
    assert "/go/" not in plain


def test_a_link_whose_words_are_an_address_leads_where_they_say():
    (rich, _), _ = made(parsed())
    assert 'href="https://brand.example/shown"' in rich


def test_without_a_yes_no_byte_of_a_mark_is_there_even_where_values_are_given():
    plain = made(parsed())[0]
    marked = made(parsed(), click_mark=".planted", open_mark="planted")[0]
    assert marked == plain
    assert "<img" not in plain[0]
    assert "planted" not in "".join(marked)


def test_with_a_yes_to_one_of_the_two_only_that_one_is_there():
    values = {"click_mark": ".planted", "open_mark": "planted"}
    opens = made(parsed(), {links.OPENS}, **values)[0][0]
    assert opens.count("planted") == 1
    assert '<img src="https://my.brand.example/o/planted"' in opens
    clicks = made(parsed(), {links.CLICKS}, **values)[0][0]
    assert "<img" not in clicks
    assert clicks.count("/go/spring/1.tag125.planted") == 2


def test_a_template_cannot_write_the_address_of_an_open_mark_itself():
    with pytest.raises(InvalidInput, match="pixel is unknown"):
        parsed('pixel = "https://brand.example/o"')
