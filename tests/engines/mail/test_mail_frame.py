import email
import email.policy
import hashlib
import html
import re
import tomllib
from email.header import decode_header, make_header
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.engines.mail import Frames, compile_frame, parse_template, presence
from troth.engines.mail.dkim import relaxed_body
from troth.engines.mail.headers import UNSAFE
from troth.errors import InvalidInput

EVERYTHING = frozenset({"identity.name", "behaviour.purchases"})
values_text = st.text(
    st.one_of(
        st.sampled_from("<>&\"'= .{}#/\\éß😀"),
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]),
    ),
    max_size=60,
).filter(lambda text: not UNSAFE.search(text))
values = st.fixed_dictionaries(
    {},
    optional={
        "first_name": values_text,
        "offer": st.sampled_from(["https://marula.example/o?a=1&b=2", "https://marula.example"]),
        "sku": values_text,
        "products": st.lists(
            st.fixed_dictionaries({}, optional={"title": values_text}), max_size=3
        ),
    },
)
FULL = {
    "first_name": "Zoë",
    "offer": "https://marula.example/o?a=1&b=2",
    "sku": "kettle/red 2",
    "products": [{"title": "Kettle & cup"}, {"title": ""}],
}


def parts(raw):
    message = email.message_from_bytes(raw, policy=email.policy.default)
    plain, rich = message.iter_parts()
    return message, plain.get_content().replace("\r\n", "\n"), rich.get_content()


def rendered(template, categories, given_values, envelope):
    frame = compile_frame(template, categories, presence(template, given_values))
    return frame.fill(given_values, envelope)


@settings(max_examples=150, deadline=None)
@given(given_values=values)
def test_dkimpy_accepts_both_signatures_whatever_the_slots_hold(
    template, signed, accepted, letter, given_values
):
    made = rendered(template, EVERYTHING, given_values, letter())
    assert accepted(signed(made)) == [True, True]


@settings(max_examples=150, deadline=None)
@given(given_values=values)
def test_a_body_is_relaxed_hashed_and_7_bit_as_it_is_filled(template, letter, given_values):
    made = rendered(template, EVERYTHING, given_values, letter())
    assert made.body_hash == hashlib.sha256(relaxed_body(made.body)).digest()
    assert relaxed_body(made.body) == made.body
    assert made.body.isascii()
    assert max(map(len, made.body.split(b"\r\n"))) <= 76
    assert not re.search(rb"[\r\n]", made.body.replace(b"\r\n", b""))


@settings(max_examples=100, deadline=None)
@given(name=values_text.filter(bool))
def test_a_value_is_read_back_exactly_and_adds_no_markup(template, signed, letter, name):
    made = rendered(template, EVERYTHING, {"first_name": name}, letter())
    message, plain, rich = parts(signed(made))
    assert made.subject == f"{name}, your favourites are back"
    assert plain.startswith(f"Hello {name},\n")
    assert f"Hello {html.escape(name)}, " in rich
    assert tags(rich) == tags(parts(signed(rendered(template, EVERYTHING, {}, letter())))[2])
    assert message["from"] == "Marula <news@marula.example>"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, sorted(name for name, _ in attrs)))


def tags(rich):
    parser = Tags()
    parser.feed(rich)
    return parser.found


@settings(max_examples=150, deadline=None)
@given(
    given_values=values, agreed=st.sampled_from([(), ("identity.name",), ("behaviour.purchases",)])
)
def test_a_value_of_a_category_not_agreed_leaves_the_bytes_as_if_it_were_not_there(
    template, letter, given_values, agreed
):
    agreed = frozenset(agreed)
    of = {"identity.name": {"first_name"}, "behaviour.purchases": {"sku", "products"}}
    closed = set().union(*(of[category] for category in EVERYTHING - agreed))
    without = {name: value for name, value in given_values.items() if name not in closed}
    frame = compile_frame(template, agreed, presence(template, given_values))
    made, bare = frame.fill(given_values, letter()), rendered(template, agreed, without, letter())
    assert (made.body, made.subject, made.headers) == (bare.body, bare.subject, bare.headers)


def test_a_slot_not_agreed_shows_its_fallback_and_its_section_is_gone(template, signed, letter):
    made = rendered(template, frozenset(), FULL, letter())
    message, plain, rich = parts(signed(made))
    assert message["subject"] == "there, your favourites are back"
    assert plain.startswith("Hello there,\n")
    assert "https://marula.example/p/all" in plain
    for text in (plain, rich):
        assert not re.search(r"Zo|Kettle|kettle|classics", text)


def test_a_full_message_shows_all_values_in_their_places(template, signed, letter):
    made = rendered(template, EVERYTHING, FULL, letter())
    _, plain, rich = parts(signed(made))
    assert plain == (
        "Hello Zoë,\n"
        "  see https://marula.example/o?a=1&b=2 and https://marula.example/p/kettle%2Fred%202.\n"
        "- Kettle & cup\n- One of our classics\n.\nFrom us"
    )
    assert 'href="https://marula.example/o?a=1&amp;b=2"' in rich
    assert 'href="https://marula.example/p/kettle%2Fred%202"' in rich
    assert "Kettle &amp; cup" in rich
    assert "Kept for Zoë until Sunday" in rich
    assert made.link_hosts == ("marula.example",)


def test_a_slot_not_agreed_inside_an_agreed_repeat_shows_its_fallback(source, signed, letter):
    data = tomllib.loads(source)
    data["repeats"]["products"]["slots"]["title"]["category"] = "behaviour.views"
    made = rendered(parse_template(data), EVERYTHING, FULL, letter())
    _, plain, rich = parts(signed(made))
    assert plain.count("- One of our classics") == 2
    assert "Kettle" not in plain + rich


def test_columns_share_the_width_for_any_number_of_items(template, signed, letter):
    for count in range(4):
        given_values = FULL | {"products": [{"title": "Kettle"}] * count}
        _, plain, rich = parts(signed(rendered(template, EVERYTHING, given_values, letter())))
        assert plain.count("- Kettle") == rich.count("Kettle") == count


@pytest.mark.parametrize(
    "name",
    [
        "שלום עולם",
        "محمد",
        "Zoe\u0301",
        "👩‍👩‍👧‍👦🇿🇦",
        "👍🏽" * 15,
        "ĳssel",
        "a=b?=",
        "=?utf-8?q?x?=",
    ],
)
def test_every_script_comes_through_in_subject_and_body(template, signed, letter, name):
    raw = signed(rendered(template, EVERYTHING, {"first_name": name}, letter(from_name=name)))
    message, plain, _ = parts(raw)
    assert message["subject"] == f"{name}, your favourites are back"
    sender = email.message_from_bytes(raw)["From"]  # the new policy's parser splits such names
    assert str(make_header(decode_header(sender))).startswith((f"{name} <", f'"{name}" <'))
    assert plain.startswith(f"Hello {name},")
    assert max(map(len, raw.partition(b"\r\n\r\n")[0].split(b"\r\n"))) <= 90


@pytest.mark.parametrize(
    "bad", ["a\r\nBcc: x@evil.example", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\u202eb", "\ud800"]
)
@pytest.mark.parametrize(
    "place",
    ["from_name", "from_address", "to_address", "message_id", "list_id", "unsubscribe_url", "ref"],
)
def test_nothing_in_an_envelope_can_smuggle_in_a_header(template, letter, place, bad):
    frame = compile_frame(template, frozenset(), frozenset())
    with pytest.raises(InvalidInput) as caught:
        frame.fill({}, letter(**{place: bad}))
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", ["a\r\nBcc: x@evil.example", "a\nb", "a\0b", "a\u202eb", "\ud800", "n" * 61]
)
def test_a_value_that_could_reach_beyond_its_place_is_refused(template, letter, bad):
    for given_values in ({"first_name": bad}, {"sku": bad}, {"products": [{"title": bad * 2}]}):
        with pytest.raises(InvalidInput) as caught:
            rendered(template, EVERYTHING, given_values, letter())
        assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://marula.example/",
        "https://evil.example/",
        "https://marula.example.evil.example/",
        "https://marula.example@evil.example/",
        "https://marula.example\\@evil.example/",
        'https://marula.example/"onclick="x',
        "javascript:alert(1)",
        "//evil.example",
        "https://marula.example/ x",
    ],
)
def test_a_link_leads_to_a_listed_host_or_nowhere(template, letter, url):
    with pytest.raises(InvalidInput):
        rendered(template, EVERYTHING, {"offer": url}, letter())


@pytest.mark.parametrize(
    "address", ["", "zoe", "zoe@", "@x.example", "zoe@x", "a b@x.example", "a@x.example,b@x.example",
                "a@x.example>", "<a@x.example>", "é@x.example", "a@é.example", "a..b@x.example", f"{'a' * 250}@x.example"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(template, letter, address):
    with pytest.raises(InvalidInput):
        compile_frame(template, frozenset(), frozenset()).fill({}, letter(to_address=address))


def test_marketing_mail_carries_one_click_and_its_signature_covers_it(template, signed, letter):
    message, *_ = parts(signed(rendered(template, frozenset(), {}, letter())))
    assert message["List-Unsubscribe"] == "<https://marula.example/u/abc>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == "<offers.marula.example>"
    assert message["X-Troth-Ref"] == "ref1"


def test_service_mail_carries_no_unsubscribe_headers(template, letter):
    made = rendered(template, frozenset(), {}, letter(unsubscribe_url="", list_id="", ref=""))
    assert {name for name, _ in made.headers} == {
        "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type",
    }  # fmt: skip


def test_a_date_is_written_in_english_and_utc(template, letter):
    made = rendered(template, frozenset(), {}, letter(date_s=1_795_428_000))
    assert made.header("date") == "Mon, 23 Nov 2026 10:00:00 +0000"


def test_a_frame_refuses_another_number_of_items_than_it_was_compiled_for(template, letter):
    frame = compile_frame(template, EVERYTHING, presence(template, FULL))
    for items in ([], [{}], [{}] * 3):
        with pytest.raises(InvalidInput):
            frame.fill(FULL | {"products": items}, letter())


def test_a_repeat_never_shows_more_items_than_its_maximum(template):
    with pytest.raises(InvalidInput):
        compile_frame(template, EVERYTHING, frozenset({"products:4", "favourites"}))
    assert "products:3" in presence(template, {"products": [{"title": "x"}] * 9})


def test_frames_are_compiled_once_per_level_and_contents(template):
    frames = Frames(template)
    one = frames.of(EVERYTHING, FULL)
    assert frames.of(EVERYTHING | {"unused.category"}, FULL | {"first_name": "Ann"}) is one
    assert frames.of(frozenset(), FULL) is not one


def test_a_frame_keeps_nothing_of_what_it_was_filled_with(template, letter):
    frame = compile_frame(template, EVERYTHING, presence(template, FULL))
    first = frame.fill(FULL, letter())
    frame.fill(FULL | {"first_name": "Someone Else"}, letter())
    assert frame.fill(FULL, letter()) == first
    assert "zoe@" not in repr(first) + repr(letter())
