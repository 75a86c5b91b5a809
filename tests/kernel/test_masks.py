"""How much of a value each mask shows; what it must not show, on any value."""

import hashlib
import string

import cast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.app.base_policy import ranger_mask
from troth.errors import InvalidInput
from troth.kernel.masks import DOT, MASKS, SHOWABLE, SHOWING, imported, masked, more_shown

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("mask", "value", "shown"),
    [
        ("full", "Ann Lee 42", "Ann Lee 42"),
        ("shape", "Ann Lee 42", "Xxx Xxx 00"),
        ("shape", "Zoë-Ümit/٣", "Xxx-Xxxx/0"),
        ("last4", "+27 82-123-4567", "+•• ••-•••-4567"),
        ("last4", "4111222233334444", "••••••••••••4444"),
        ("last4", "12345678901", "•" * 11),
        ("last4", "1234", "••••"),
        ("last4", "", ""),
        ("first4", "4111222233334444", "4111••••••••••••"),
        ("first4", "+27 82-123-4567", "+27 ••-•••-••••"),
        ("first4", "a@b.example", "•" * 11),
        ("year", "1984-07-03", "1984"),
        ("year", "1984", "1984"),
        ("year", "1984-07", "1984"),
        ("year", "1984-07-03T10:00:00Z", "1984"),
        ("year", "198407031234", ""),
        ("year", "Ann Lee", ""),
        ("year", "", ""),
        ("initial", "Thandeka", "T•••"),
        ("initial", "", ""),
        ("null", "anything", ""),
    ],
)
def test_each_mask_shows_this_much_and_no_more(mask, value, shown):
    assert masked(value, mask) == shown


def test_a_hash_is_keyed_and_never_the_plain_one():
    found = masked("+27821234567", "hash", KEY)
    assert len(found) == 16
    assert found == masked("+27821234567", "hash", KEY)
    assert found != masked("+27821234567", "hash", b"x" * 32)
    assert found not in hashlib.sha256(b"+27821234567").hexdigest()
    with pytest.raises(InvalidInput, match="key"):
        masked("+27821234567", "hash")


def test_two_purposes_cannot_bring_their_hashes_together():
    box = cast.with_keys(cast.vault(), cast.AGREED)
    values = {"name.given": "Ayanda", "contact.email": "ayanda@marula.example"}
    rows = box.seal_values(cast.AGREED, values, dict.fromkeys(values, 1), cast.NOW)
    keys = {box._mask_key(p, f) for p in ("offers", "news") for f in values}
    assert len(keys) == 4
    permit = cast.permit(cast.AGREED, {"identity": "hash", "contact": "hash"})
    once, again = (box.open(permit, rows, cast.NOW) for _ in range(2))
    assert once == again
    assert once["name.given"] == masked(
        "Ayanda", "hash", box._mask_key(permit.purpose, "name.given")
    )


@given(st.text(max_size=SHOWABLE - 1), st.sampled_from(["last4", "first4"]))
def test_a_short_value_shows_none_of_its_signs(text, mask):
    assert masked(text, mask) == DOT * len(text)


@given(st.text(min_size=SHOWABLE, max_size=40))
def test_four_signs_are_shown_and_of_the_rest_punctuation_alone(text):
    last, first = masked(text, "last4"), masked(text, "first4")
    assert (last[-4:], first[:4]) == (text[-4:], text[:4])
    assert set(last[:-4]) | set(first[4:]) <= {*string.punctuation, " ", DOT}


@given(st.text(max_size=40))
def test_a_shape_holds_no_letter_and_no_digit_of_the_value(text):
    shown = masked(text, "shape")
    assert len(shown) == len(text)
    assert set(shown) <= {*string.punctuation, " ", "x", "X", "0"}


@given(st.text(max_size=40))
def test_a_year_is_four_digits_or_nothing(text):
    shown = masked(text, "year")
    assert shown == "" or (len(shown) == 4 and shown.isascii() and shown.isdigit())


def test_masks_are_ordered_by_what_they_show_from_nothing_to_everything():
    assert SHOWING.keys() == MASKS
    assert min(SHOWING, key=SHOWING.get) == "null"
    assert max(SHOWING, key=SHOWING.get) == "full"
    for one in MASKS:
        assert more_shown(one, one) == one
        assert more_shown(one, "full") == more_shown("full", one) == "full"
        assert more_shown(one, "null") == more_shown("null", one) == one


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("MASK", "shape"),
        ("MASK_SHOW_LAST_4", "last4"),
        ("MASK_SHOW_FIRST_4", "first4"),
        ("MASK_HASH", "hash"),
        ("MASK_NULL", "null"),
        ("MASK_NONE", "full"),
        ("MASK_DATE_SHOW_YEAR", "year"),
    ],
)
def test_a_mask_of_an_imported_policy_has_one_meaning_here(theirs, ours):
    assert ranger_mask(theirs) == ours


@pytest.mark.parametrize("theirs", ["CUSTOM", "MASK_SHOW_LAST_5", "", "last4"])
def test_an_expression_or_an_unknown_type_is_refused_on_import(theirs):
    with pytest.raises(InvalidInput, match="no meaning here"):
        ranger_mask(theirs)


def test_a_table_that_maps_to_no_mask_of_ours_imports_nothing():
    with pytest.raises(InvalidInput):
        imported("MASK", {"MASK": "blurred"})
