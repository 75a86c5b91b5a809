"""Drift between a mapping and a scan: everything that differs is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.engines import datagraph
from troth.engines.datagraph import Collection, Field, Guess, SeenColumn, SeenTable, Store

WORDS = {"contact.email": "user.contact.email", "identity.name": "user.name"}
EMAIL = Guess("contact.email", 90, ())
NAME = Guess("identity.name", 90, ())


def store(*fields, categories=(), above=()):
    return Store("shop", (Collection("customer", fields, categories),), categories=above)


def seen(*columns):
    return {"customer": SeenTable("customer", columns)}


def kinds(mapped, tables):
    return [(d.kind, d.column, d.alarm) for d in datagraph.drift(mapped, tables, WORDS)]


def test_a_mapping_that_says_what_is_there_has_no_drift():
    mapped = store(Field("email", ("user.contact.email",), type="string"))
    assert kinds(mapped, seen(SeenColumn("email", "VARCHAR(80)", EMAIL))) == []


def test_a_personal_column_that_nobody_mapped_is_an_alarm():
    assert kinds(store(), seen(SeenColumn("email", "text", EMAIL))) == [
        ("unmapped", "email", True)
    ]


def test_a_new_column_that_looks_like_nothing_personal_is_named_without_alarm():
    assert kinds(store(), seen(SeenColumn("qty", "int"))) == [("column_new", "qty", False)]


def test_a_mapped_column_without_a_category_is_unmapped_even_where_nothing_is_seen_in_it():
    assert kinds(store(Field("x")), seen(SeenColumn("x", "text"))) == [("unmapped", "x", False)]


def test_a_column_that_holds_something_else_than_mapped_is_an_alarm():
    mapped = store(Field("x", ("system.operations",)))
    assert kinds(mapped, seen(SeenColumn("x", "text", EMAIL))) == [("category_changed", "x", True)]


@pytest.mark.parametrize(
    "said", ["user.contact", "user", "user.contact.email", "user.contact.email.work"]
)
def test_a_wider_or_narrower_category_of_the_same_kind_is_agreement(said):
    assert kinds(store(Field("x", (said,))), seen(SeenColumn("x", "text", EMAIL))) == []


def test_categories_of_the_table_or_the_store_cover_its_columns():
    assert (
        kinds(store(Field("x"), categories=("user",)), seen(SeenColumn("x", "text", EMAIL))) == []
    )
    assert kinds(store(Field("x"), above=("user",)), seen(SeenColumn("x", "text", NAME))) == []


def test_another_type_is_named_and_another_spelling_of_the_same_is_not():
    mapped = store(Field("x", ("user",), type="string"))
    assert kinds(mapped, seen(SeenColumn("x", "character varying(3)"))) == []
    assert kinds(mapped, seen(SeenColumn("x", "bigint"))) == [("type_changed", "x", False)]


def test_what_is_gone_is_named():
    mapped = Store("s", (Collection("customer", (Field("x", ("user",)),)), Collection("old")))
    assert kinds(mapped, seen()) == [("column_gone", "x", False), ("table_gone", "", False)]


def test_without_any_mapping_everything_is_unmapped():
    assert kinds(None, seen(SeenColumn("email", "text", EMAIL), SeenColumn("n", "int"))) == [
        ("unmapped", "email", True), ("table_new", "", False),
    ]  # fmt: skip


columns = st.lists(
    st.builds(SeenColumn, st.sampled_from("abcdef"), st.sampled_from(["text", "int"]), st.sampled_from([None, EMAIL, NAME])),
    max_size=6, unique_by=lambda each: each.name,
)  # fmt: skip
fields = st.lists(
    st.builds(Field, st.sampled_from("abcdef"), st.sampled_from([(), ("user.name",), ("system",)])),
    max_size=6, unique_by=lambda each: each.name,
)  # fmt: skip


@given(columns, fields)
def test_every_personal_column_is_mapped_as_such_or_an_alarm(found, mapped):
    drift = datagraph.drift(store(*mapped), seen(*found), WORDS)
    alarmed = {d.column for d in drift if d.alarm}
    said = {f.name: f.categories for f in mapped}
    for column in found:
        if column.guess:
            covered = WORDS[column.guess.category] in said.get(column.name, ())
            assert covered != (column.name in alarmed)


@given(columns, fields)
def test_every_column_is_mapped_with_a_category_or_named(found, mapped):
    drift = datagraph.drift(store(*mapped), seen(*found), WORDS)
    named = {d.column for d in drift}
    said = {f.name: f.categories for f in mapped}
    for column in found:
        assert said.get(column.name) or column.name in named


def test_ten_thousand_columns_are_compared_in_no_time():
    wide = [SeenColumn(f"c{n}", "text", EMAIL) for n in range(10_000)]
    assert len(datagraph.drift(store(), seen(*wide), WORDS)) == 10_000
