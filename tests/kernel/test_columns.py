"""Columns of many people hold what their chunks hold, cut alike, and refuse what is no chunk."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import EvidenceBroken
from troth.kernel import vault
from troth.kernel.columns import HEAD, WIDTH, Columns
from troth.terms import PersonId

ONE, OTHER = PersonId(b"1" * 16), PersonId(b"2" * 16)
_GROUPS = ("Tea", "Bread", "Soap")


@st.composite
def chunks(draw):
    items = draw(st.integers(1, 4))
    lines = draw(
        st.lists(
            st.tuples(
                st.integers(-5, 50), st.integers(0, items - 1), st.integers(-900, 2**40),
                st.integers(-3, 3),
            ),
            max_size=8,
        )
    )  # fmt: skip
    lines.sort(key=lambda line: line[0])
    at, item, amount, units = zip(*lines, strict=True) if lines else ((), (), (), ())
    return vault.Chunk(
        at, (0,) * len(lines), item, amount, units, ("purchase",),
        tuple(f"i{n}" for n in range(items)), _GROUPS,
        tuple(draw(st.integers(0, 2)) for _ in range(items)),
        draw(st.sampled_from(["ZAR", "EUR"])), "shop", {"n": "é"},
    )  # fmt: skip


def told(columns):
    """Read columns back line by line."""
    names, money = list(columns.groups), list(columns.money)
    out, first = [], 0
    for place, person in enumerate(columns.people):
        count, size = columns.runs[place], columns.sizes[place]
        groups = columns.item_groups[first : first + size]
        first += size
        at = struct.unpack(f">{count}q", columns.at[place])
        item = struct.unpack(f">{count}I", columns.item[place])
        minor = struct.unpack(f">{count}q", columns.minor[place])
        units = struct.unpack(f">{count}i", columns.units[place])
        for n in range(count):
            name = names[groups[item[n]]]
            out.append((person, at[n], name, units[n], minor[n], money[columns.currencies[place]]))
    return out


def lines_of(person, chunk, since):
    cut = vault.since_then(chunk, since)
    return [
        (person, at, cut.groups[cut.item_group[item]], units, minor, cut.currency)
        for at, item, units, minor in zip(cut.at, cut.item, cut.units, cut.amount, strict=True)
    ]


@given(
    st.lists(st.tuples(st.sampled_from([ONE, OTHER]), chunks(), st.integers(-9, 60)), max_size=5)
)
def test_columns_hold_line_for_line_what_the_chunks_hold_from_each_persons_window_on(taken):
    columns, wanted = Columns(), []
    for person, chunk, since in taken:
        columns.take(person, vault.pack_chunk(chunk), since, vault.FORMAT)
        wanted += lines_of(person, chunk, since)
    assert told(columns) == wanted
    assert all(columns.runs)


@given(chunks(), chunks(), chunks())
def test_what_was_taken_of_the_last_person_can_be_given_back(first, second, third):
    columns = Columns()
    columns.take(ONE, vault.pack_chunk(first), -9, vault.FORMAT)
    before = told(columns)
    for chunk in (second, third):
        columns.take(OTHER, vault.pack_chunk(chunk), -9, vault.FORMAT)
    columns.forget(OTHER)
    assert told(columns) == before
    assert len(columns.item_groups) == sum(columns.sizes)


def chunk(count=1, tail=b'{"currency":"ZAR","groups":["a"],"item_group":[0],"items":["x"]}'):
    return HEAD.pack(vault.FORMAT, count, len(tail)) + bytes(WIDTH * count) + tail


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        chunk()[:-1],
        b"\x09" + chunk()[1:],
        chunk(tail=b"not json"),
        chunk(tail=b'{"currency":"ZAR","groups":["a"],"item_group":[1],"items":["x"]}'),
        chunk(tail=b'{"currency":"ZAR","groups":["a"],"item_group":[-1],"items":["x"]}'),
        chunk(tail=b'{"currency":"ZAR","groups":["a"],"item_group":[],"items":["x"]}'),
    ],
)
def test_what_is_no_chunk_is_refused_and_nothing_of_it_is_kept(broken):
    columns = Columns()
    with pytest.raises(EvidenceBroken):
        columns.take(ONE, broken, 0, vault.FORMAT)
    assert (columns.people, columns.at, columns.item_groups) == ([], [], [])


def test_a_whole_chunk_of_that_shape_is_taken():
    columns = Columns()
    columns.take(ONE, chunk(), 0, vault.FORMAT)
    assert told(columns) == [(ONE, 0, "a", 0, 0, "ZAR")]
