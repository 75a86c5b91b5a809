import contextlib
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.engines.mail import compile_frame, layout, parse_template
from troth.errors import Fault, InvalidInput


@pytest.fixture
def data(source):
    return tomllib.loads(source)


def compiled(data):
    template = parse_template(data)
    return compile_frame(template, template.categories, frozenset({"first_name", "offer", "sku"}))


def refused(data):
    with pytest.raises(InvalidInput) as caught:
        compiled(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_template_is_read_the_same_from_toml_and_from_a_mapping(source, data, template):
    assert parse_template(data) == parse_template(source) == template


def test_a_template_names_every_category_it_could_use(template, everything):
    assert template.categories == everything


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("version", "7", "version"),
        ("version", True, "version"),
        ("version", 0, "version"),
        ("name", "Win Back!", "name"),
        ("subject", "two\nlines", "subject"),
        ("subject", "{{nobody}}", "subject line 1: nobody"),
        ("subject", "{{offer}} {{first_name}}", "slot in the subject"),
        ("subject", "{{#favourites}}x{{/favourites}}", "subject line 1"),
        ("hosts", ["https://marula.example"], "hosts"),
        ("hosts", ["other.example"], "fallback of offer"),
        ("text", "Hi\n{{first_name}", "text line 2"),
        ("text", "Hi {% if x %}", "text line 1"),
        ("text", "{{first_name}} {{#favourites}}", "favourites is opened, never closed"),
        ("text", "{{/favourites}}", "closes nothing"),
        ("text", "{{products.title}}", "no slot of an open repeat"),
        ("text", "{{#products}}{{#products}}{{/products}}{{/products}}", "products stands inside"),
        ("text", "{{#products}}{{products.price}}{{/products}}", "products.price"),
        ("text", "go to http://marula.example/x", "does not lead to a listed host"),
        ("text", "go to https://evil.example/x", "does not lead to a listed host"),
        ("text", "https://marula.example/{{first_name}}", "no part"),
        ("text", "https://marula.{{sku}}.example/", "listed host"),
        ("text", "https://marula.example:{{sku}}/", "inside a host"),
        ("text", "qzslot0001zq", "token"),
        ("speed", 5, "speed is unknown"),
        ("slots", [], "slots"),
    ],
)
def test_a_wrong_entry_is_refused_by_name_with_a_remedy(data, place, value, says):
    assert says in refused(data | {place: value})


def body(inner):
    return (
        "<mjml><mj-body><mj-section><mj-column><mj-text>{{first_name}} {{offer}} {{sku}}</mj-text>"
        f"{inner}</mj-column></mj-section></mj-body></mjml>"
    )


@pytest.mark.parametrize(
    "inner",
    [
        '<mj-image src="https://marula.example/a.png"/>',
        "<mj-text><img></mj-text>",
        "<mj-foo>x</mj-foo>",
        '<mj-include path="./x.mjml"/>',
        "<mj-raw><b>x</b></mj-raw>",
        "<mj-text><script>x</script></mj-text>",
        "<mj-text><form></form></mj-text>",
        "<mj-text><!-- note to self --></mj-text>",
        '<mj-text><a href="javascript:x">x</a></mj-text>',
        '<mj-text><a href="http://marula.example/">x</a></mj-text>',
        '<mj-text><a href="https://evil.example/">x</a></mj-text>',
        '<mj-text><a href="https://marula.example@evil.example/">x</a></mj-text>',
        '<mj-text><a href="{{first_name}}">x</a></mj-text>',
        '<mj-text><a href="https://{{sku}}/">x</a></mj-text>',
        '<mj-text><a href="https://marula.example{{sku}}">x</a></mj-text>',
        '<mj-text><a href="https://marula.example/{{offer}}">x</a></mj-text>',
        '<mj-text><b onclick="x()">x</b></mj-text>',
        '<mj-text><b style="background:url(https://evil.example/)">x</b></mj-text>',
        '<mj-text><b style="color:{{first_name}}">x</b></mj-text>',
        '<mj-text color="{{first_name}}">x</mj-text>',
        '<mj-column width="{{sku}}px"></mj-column>',
        "<MJ-TEXT>loud</MJ-TEXT>",
        "</mj-column></mj-section><mj-text>outside any section</mj-text><mj-section><mj-column>",
        "<mj-column><mj-column><mj-text>too deep</mj-text></mj-column></mj-column>",
        "<mj-table>words that are no row</mj-text>",
        "<mj-text>a < b",
        "<mj-text>open",
        "</mj-column>words in a section<mj-column>",
        "words in a column",
        "<mj-button>no</mj-button",
    ],
)
def test_mjml_that_would_load_run_lead_astray_or_lose_a_slot_is_refused(data, inner):
    assert "template: " in refused(data | {"mjml": body(inner)})


@pytest.mark.parametrize("lost", ["Look", "https://marula.example/p/", "qzslot"])
def test_a_layout_that_loses_words_links_or_slots_is_refused(data, monkeypatch, lost):
    real = layout._render
    monkeypatch.setattr(layout, "_render", lambda source: real(source).replace(lost, "x"))
    with pytest.raises(InvalidInput, match=r"vanish|listed host"):
        compiled(data)


def test_a_style_that_loads_is_refused(data):
    head = "<mj-head><mj-style>@import 'https://evil.example/x.css';</mj-style></mj-head>"
    assert "style" in refused(data | {"mjml": body("").replace("<mj-body>", head + "<mj-body>")})


def test_a_preview_of_its_own_is_refused(data):
    head = "<mj-head><mj-preview>x</mj-preview></mj-head>"
    assert "preheader" in refused(
        data | {"mjml": body("").replace("<mj-body>", head + "<mj-body>")}
    )


def test_the_plain_body_of_these_checks_is_accepted(data):
    assert compiled(data | {"mjml": body("")})
    assert compiled(data | {"mjml": body("<mj-text><b>x</b></mj-text><mj-divider/>")})


def test_a_slot_without_a_fallback_is_refused(data):
    del data["slots"]["first_name"]["fallback"]
    assert "slots.first_name.fallback is missing" in refused(data)


def test_a_slot_declared_and_never_used_is_refused(data):
    data["slots"]["extra"] = data["slots"]["first_name"]
    assert "extra is declared, never used" in refused(data)


def test_one_name_for_two_things_is_refused(data):
    data["slots"]["products"] = data["slots"]["first_name"]
    assert "products is declared twice" in refused(data)


def test_an_unknown_key_of_a_slot_is_refused(data):
    data["slots"]["first_name"]["escape"] = "text"
    assert "slots.first_name.escape is unknown" in refused(data)


def test_an_unknown_escaping_is_refused(data):
    data["slots"]["first_name"]["escaping"] = "raw"
    assert "slots.first_name.escaping" in refused(data)


def test_toml_that_is_none_is_refused_with_its_line():
    with pytest.raises(InvalidInput, match="line 2"):
        parse_template('name = "x"\nversion = = 3')


json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["name", "version", "subject", "mjml", "text", "hosts", "slots", "sections", "repeats"]
    ),
    json,
)
def test_whatever_stands_in_a_template_only_a_fault_comes_out(source, key, value):
    with contextlib.suppress(Fault):
        parse_template(tomllib.loads(source) | {key: value})


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "<mj-text>",
                "</mj-text>",
                "<a href='",
                "'>",
                "{{first_name}}",
                "{{#favourites}}",
                "{{/favourites}}",
                "<",
                "&",
                "x",
                "<mj-section>",
                "<![CDATA[",
            ]
        ),
        max_size=9,
    )
)
def test_whatever_stands_in_mjml_only_a_fault_comes_out(source, pieces):
    inner = "".join(pieces)
    with contextlib.suppress(Fault):
        template = parse_template(tomllib.loads(source) | {"mjml": body(inner)})
        compile_frame(template, template.categories, frozenset({"favourites"}))
