"""Every fault of a template is named at once, with its place; a good one has none."""

import re
import tomllib

import pytest

from troth.engines.mail import Wanted, check, contrast, lacking, publishable, write_template
from troth.engines.mail.checks import laid_out, parse_template

LEVELS = (
    frozenset(), frozenset(), frozenset({"identity.name"}), frozenset({"purchases.13w"}),
)  # fmt: skip
WANTED = Wanted(
    "offers", "direct_marketing", frozenset({"identity.name", "purchases.13w"}), LEVELS,
    "12 Quiet Street", frozenset({"bit.ly"}),
)  # fmt: skip
FOOT = "{{why}} {{used}} {{stop_link}} {{settings_link}} 12 Quiet Street"
SOURCE = '''name = "spring"
version = 1
subject = "Spring, {{first_name}}"
preheader = "What is good now"
hosts = ["marula.example"]
mjml = """
<mjml lang="en"><mj-body background-color="#ffffff"><mj-section background-color="#ffffff"><mj-column>
<mj-text><h1>Hello {{first_name}}</h1></mj-text>
<mj-text><p>Peaches are in.</p></mj-text>
<mj-text><a href="https://marula.example/x">See</a></mj-text>
<mj-text>''' + FOOT + '''</mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
text = """
Hello {{first_name}}
Peaches are in.
https://marula.example/x
''' + FOOT + '''
"""
''' + "".join(
    f'\n[slots.{name}]\ncategory = "{category}"\nescaping = "{escaping}"\nfallback = "{fallback}"\nmax_chars = 200\n'
    for name, category, escaping, fallback in (
        ("first_name", "identity.name", "text", "there"), ("why", "", "text", "because"),
        ("used", "", "text", "nothing"), ("stop_link", "", "link", "https://marula.example/s"),
        ("settings_link", "", "link", "https://marula.example/"),
    )
)  # fmt: skip


def codes(source, wanted=WANTED):
    return [f.code for f in check(source, wanted)]


def changed(old, new):
    assert old in SOURCE
    return SOURCE.replace(old, new)


def test_a_good_template_has_nothing_to_put_right():
    assert check(SOURCE, WANTED) == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('subject = "Spring, {{first_name}}"', 'subject = "Spring {{nobody}}"', "unknown_slot"),
        ('fallback = "there"\n', "", "no_fallback"),
        ('"identity.name"', '"health.state"', "category_not_in_purpose"),
        ('escaping = "text"\nfallback = "there"', 'escaping = "raw"\nfallback = "there"', "escaping"),
        ("<p>Peaches", "{{#x}}<p>Peaches", "unclosed"),
        ("<p>Peaches", "{{#x}}<p>Peaches", "unknown_block"),
        ("<p>Peaches", "{{/x}}<p>Peaches", "out_of_order"),
        ("<p>Peaches", "{{ x }}<p>Peaches", "braces"),
        ("<p>Peaches are in.</p>", "<mj-foo>x</mj-foo>", "unknown_tag"),
        ("<p>Peaches are in.</p>", "<img src='https://marula.example/a.png'>", "remote_image"),
        ("<p>Peaches are in.</p>", "<form></form>", "form"),
        ("<p>Peaches are in.</p>", "<script>x</script>", "script"),
        ("<p>Peaches are in.</p>", "<p onclick='x'>y</p>", "loads"),
        ("<p>Peaches are in.</p>", "<!-- x -->", "comment"),
        ('href="https://marula.example/x"', 'href="http://marula.example/x"', "link_not_https"),
        ('href="https://marula.example/x"', 'href="https://other.example/x"', "link_host"),
        ('href="https://marula.example/x"', 'href="https://bit.ly/x"', "link_shortened"),
        ('href="https://marula.example/x"', 'href="https://10.0.0.1/x"', "link_to_number"),
        ('href="https://marula.example/x"', 'href="mailto:a@b.example"', "link_scheme"),
        ('href="https://marula.example/x"', 'href="tel:+27825550100"', "link_scheme"),
        ("\nhttps://marula.example/x", "\nwww.other.example", "link_not_https"),
        ("\nhttps://marula.example/x", "\nhttps://other.example/x", "link_host"),
        ("<mj-text>{{why}}", "<mj-text>", "no_why"),
        ("{{used}} {{stop_link}} {{settings_link}} 12 Quiet Street</mj", "12 Quiet Street</mj", "no_stop_link"),
        ("12 Quiet Street</mj", "</mj", "no_postal"),
        ("\nPeaches are in.\n", "\nSomething else.\n", "twin"),
        ("Spring, {{first_name}}", "S" * 70, "long_subject"),
        ("Spring, {{first_name}}", "BUY IT NOW PLEASE", "shouting"),
        ("Spring, {{first_name}}", "Really?!", "shouting"),
        ("Spring, {{first_name}}", "Re: your order", "deceptive_subject"),
        ("What is good now", "w" * 120, "long_preheader"),
        ("Peaches are in.</p>", "[Write about peaches]</p>", "to_write"),
        ("<h1>Hello {{first_name}}</h1>", "Hello {{first_name}}", "headlines"),
        ('<mjml lang="en">', "<mjml>", "no_language"),
        ("<p>Peaches", "<p style='color:#cccccc'>Peaches", "contrast_light"),
        ("<p>Peaches are in.</p>", f"<p>{'peaches ' * 15_000}</p>", "clipped"),
        ('hosts = ["marula.example"]', "hosts = []", "missing"),
        ("version = 1", "version = = 1", "toml"),
    ],
)  # fmt: skip
def test_each_planted_fault_is_named(old, new, code):
    assert code in codes(changed(old, new))


def test_a_fault_is_named_with_its_line_in_the_file():
    source = changed("<p>Peaches", "<mj-foo></mj-foo><p>Peaches")
    (found,) = [f for f in check(source, WANTED) if f.code == "unknown_tag"]
    assert "mj-foo" in source.splitlines()[found.line - 1]
    lost = changed('fallback = "there"\n', "")
    (found,) = [f for f in check(lost, WANTED) if f.code == "no_fallback"]
    assert lost.splitlines()[found.line - 1] == "[slots.first_name]"


def test_several_faults_are_named_at_once():
    source = changed("Spring, {{first_name}}", "{{nobody}}").replace("<p>Peaches", "<mj-foo>")
    assert {"unknown_slot", "unknown_tag"} <= set(codes(source))
    assert not publishable(check(source, WANTED))


def test_a_service_message_needs_no_way_to_stop_and_a_request_needs_a_way_to_answer():
    service = Wanted("service", "service", None, LEVELS)
    assert codes(SOURCE, service) == []
    asking = Wanted("ask", "consent_request", None, LEVELS)
    assert codes(SOURCE, asking).count("no_ask_link") == 2


def test_words_can_carry_only_what_no_rule_reads_off_the_message():
    extra = '\n[carries]\ndkim_aligned = "Peaches are in."\nnotice_law = "not there"\n'
    assert {"not_sayable", "carries"} <= set(codes(SOURCE + extra))
    raw = b"Content-Type: text/plain\r\n\r\nPeaches are in.\r\n"
    told = {"dkim_aligned": ("Peaches",), "notice_law": ("Peaches are in.",)}
    assert lacking(raw, ["dkim_aligned", "notice_law"], "", told) == ("dkim_aligned",)
    assert lacking(raw, ["notice_law"], "", {"notice_law": ("Plums",)}) == ("notice_law",)
    assert lacking(raw, ["notice_law"], "", {}) == ("notice_law",)


def test_contrast_is_that_of_wcag_and_dark_rules_are_seen():
    assert round(contrast.contrast("#777777", "#ffffff"), 2) == 4.48
    html = (
        "<style>@media (prefers-color-scheme: dark) { .s p { color: #222222 !important; } "
        ".s { background: #111111 !important; } }</style>"
        '<div class="s" style="background-color:#ffffff"><p style="color:#000">x</p>'
        '<p style="display:none">hidden</p></div>'
    )
    (light,) = [p for p in contrast.pairs(html, dark=False) if p.words == "x"]
    (dark,) = [p for p in contrast.pairs(html, dark=True) if p.words == "x"]
    assert light.ratio > 20
    assert dark.ratio < 1.3


def test_a_template_shows_its_fallbacks_where_nothing_is_agreed():
    rich, plain = laid_out(parse_template(SOURCE), frozenset())
    assert "Hello there" in rich
    assert "Hello there" in plain
    assert re.search(r"<html[^>]* lang=\"en\"", rich)


def test_written_back_it_is_found_to_be_as_good():
    assert check(write_template(tomllib.loads(SOURCE)), WANTED) == []
