"""Opening behaviour once for several windows opens no more than opening it for each."""

import struct
from dataclasses import replace

import cast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth import crypto
from troth.errors import InvalidInput
from troth.kernel import events, vault
from troth.kernel.columns import Columns
from troth.terms import DAY

WHO, NOW = cast.AGREED, cast.NOW
SCOPE = "purchases/2026Q4"
AGES = (300, 90, 10, 1)


def chunk(ages=AGES, items=("1001",)):
    columns = [[0] * len(ages) for _ in range(4)]
    at = [NOW - age * DAY for age in ages]
    return vault.Chunk(at, *columns, ("purchase",), items, ("g",), (0,) * len(items), "ZAR", "t")


@pytest.fixture
def box(monkeypatch):
    windows = frozenset({"purchases.13w", "purchases.52w"})
    monkeypatch.setattr(cast, "CATEGORIES", cast.CATEGORIES | windows)
    box = cast.with_keys(cast.vault(), WHO)
    box.keys.make([(WHO, SCOPE, 1)])
    return box


def permit(*categories):
    return cast.permit(WHO, dict.fromkeys(categories, "full"))


def row_of(box):
    return box.seal_chunk(WHO, SCOPE, 0, 1, vault.pack_chunk(chunk()), NOW)


def ages(chunks):
    return [(NOW - at) // DAY for each in chunks for at in each.at]


def test_each_window_gets_what_it_gets_alone(box):
    held, row = permit("purchases.13w", "purchases.52w"), row_of(box)
    both = box.open_windows(held, [row], ["purchases.13w", "purchases.52w"], NOW)
    for category, found in both.items():
        assert found == box.open_chunks(held, [row], category, NOW)
    assert ages(both["purchases.13w"]) == [90, 10, 1]
    assert ages(both["purchases.52w"]) == [300, 90, 10, 1]


def test_one_window_that_is_not_permitted_closes_all(box):
    held, row = permit("purchases.52w"), row_of(box)
    with pytest.raises(InvalidInput):
        box.open_windows(held, [row], ["purchases.52w", "purchases.13w"], NOW)


def test_columns_take_what_the_window_gets_and_refuse_what_it_refuses(box):
    held, row, into = permit("purchases.13w"), row_of(box), Columns()
    box.open_columns(held, [row], "purchases.13w", NOW, into)
    (found,) = box.open_chunks(held, [row], "purchases.13w", NOW)
    assert into.at == [struct.pack(">3q", *found.at)]
    for category, rows in (("purchases.52w", [row]), ("purchases.13w", [cast_off(row)])):
        with pytest.raises(InvalidInput):
            box.open_columns(held, rows, category, NOW, into)
    with pytest.raises(InvalidInput):
        box.open_columns(object(), [row], "purchases.13w", NOW, into)
    with pytest.raises(InvalidInput):
        box.open_columns(held, [row], "purchases.13w", held.until, into)
    assert into.people == [WHO]


def cast_off(row):
    return replace(row, field="views/2026Q4")


@given(st.binary(min_size=32, max_size=32))
def test_the_key_check_value_is_hkdf(raw):
    assert vault.key_check(raw) == crypto.hkdf(raw, b"pv1kcv", vault.KCV_BYTES)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_a_chunk_reads_alike_by_either_way_of_reading_its_tail(items):
    plain = vault.pack_chunk(chunk(items=tuple(map(events.nfc, items))))
    read = vault.unpack_chunk(plain)
    assert vault.pack_chunk(read) == plain
    assert list(read.items) == [events.nfc(item) for item in items]
