"""Mappings read and written: nothing is lost, nothing is dropped in silence, nothing hostile runs."""

import contextlib
import json
import string

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.adapters import mapfiles
from troth.engines import datagraph
from troth.errors import InvalidInput

SHOP = """
dataset:
  - fides_key: shop_db
    organization_fides_key: default_organization
    name: The shop
    description: Orders and customers
    tags: [live]
    meta:
      team: orders
      troth:
        country: NO
        processor: Host AS
        agreement: 2026-01 processing terms
        owner: it@marula.example
        retention: 5 years after the last order
        measures: {stored: [disk encryption], deleted: [nightly purge]}
    fides_meta: {after: [other_db]}
    collections:
      - name: customer
        description: Who buys
        data_categories: [user]
        fides_meta: {erase_after: [shop_db.orders], skip_processing: false}
        fields:
          - name: id
            data_categories: [user.unique_id]
            fides_meta: {primary_key: true, data_type: integer}
          - name: email
            description: where to write
            data_categories: [user.contact.email]
            data_uses: [marketing.communications.email]
            data_qualifier: aggregated.anonymized
            fides_meta:
              identity: email
              length: 80
              data_type: string
              masking_strategy_override: {strategy: random_string_rewrite}
          - name: home
            fields:
              - name: street
                data_categories: [user.contact.address.street]
                fides_meta: {references: [{dataset: geo, field: streets.id, direction: to}]}
system:
  - fides_key: shop
    name: Shop
    system_type: Application
    administrating_department: Sales
    dataset_references: [shop_db]
    egress: [{fides_key: troth, type: system, data_categories: [user.contact.email]}]
    privacy_declarations:
      - name: Sell
        data_categories: [user.contact.email]
        data_use: essential.service
        data_subjects: [customer]
        legal_basis_for_processing: Contract
        retention_period: 5 years
        features: [checkout]
data_category:
  - {fides_key: user.loyalty, name: Loyalty, parent_key: user, is_default: false}
policy:
  - fides_key: kept_as_it_is
"""


def parsed(text=SHOP):
    return mapfiles.read_map(text.encode(), "shop.yml")


# --- what is read


def test_a_fides_dataset_is_read_with_its_meta_and_our_own_words_about_its_place():
    held = parsed()
    (store,) = held.stores
    assert store.place.country == "NO"  # the country, not the YAML 1.1 word for false
    assert store.place.measures == {"stored": ("disk encryption",), "deleted": ("nightly purge",)}
    (email,) = [f for _, f in store.walk() if f.name == "email"]
    assert (email.identity, email.length, email.categories) == (
        "email",
        80,
        ("user.contact.email",),
    )
    (street,) = [f for _, f in store.walk() if f.name == "home.street"]
    assert street.categories == ("user.contact.address.street",)
    assert "user.contact.email" in store.held()
    (system,) = held.systems
    assert system.goes[0].other == "troth"
    assert system.uses[0].basis == "Contract"
    assert datagraph.counts(held) == {
        "stores": 1, "systems": 1, "collections": 1, "fields": 4, "categorised": 3,
    }  # fmt: skip


def test_what_is_not_modelled_is_kept_and_written_back():
    told = datagraph.write(parsed())
    (store,) = told["dataset"]
    assert store["organization_fides_key"] == "default_organization"
    assert store["tags"] == ["live"]
    assert store["meta"]["team"] == "orders"
    fields = store["collections"][0]["fields"]
    assert fields[1]["data_qualifier"] == "aggregated.anonymized"
    assert fields[1]["fides_meta"]["masking_strategy_override"] == {
        "strategy": "random_string_rewrite"
    }
    assert told["system"][0]["administrating_department"] == "Sales"
    assert told["system"][0]["privacy_declarations"][0]["features"] == ["checkout"]
    assert told["policy"] == [{"fides_key": "kept_as_it_is"}]


def test_a_mapping_comes_back_as_it_went_out_in_yaml_and_json():
    held = parsed()
    assert mapfiles.read_map(mapfiles.write_map(held), "again.yml") == held
    assert mapfiles.read_map(mapfiles.write_map(held, "json"), "again.json") == held


def test_what_is_written_says_the_same_to_another_reader():
    """PyYAML's own safe loader is the oracle for our builder and for what we write."""
    assert yaml.safe_load(mapfiles.write_map(parsed())) == datagraph.write(parsed())


def test_the_older_name_of_the_meta_table_is_read():
    held = parsed(
        "dataset: [{fides_key: a, collections: [{name: t, fields: "
        "[{name: f, fidesops_meta: {primary_key: true}}]}]}]"
    )
    assert held.stores[0].collections[0].fields[0].key


# --- property: any mapping survives a round


words = st.text(string.ascii_letters + string.digits + " äß'\"#:{}[],&*!|>%@`-?\\", max_size=20)
keys = st.text(string.ascii_lowercase + "_.", min_size=1, max_size=12)
cats = st.lists(st.sampled_from(["user.name", "user.contact.email", "system"]), max_size=2).map(
    tuple
)
names = st.text(string.ascii_letters + "'\"<>&;`", min_size=1, max_size=12)


def distinct(values):
    return st.lists(values, max_size=3, unique_by=lambda each: each.name).map(tuple)


fields = st.recursive(
    st.builds(datagraph.Field, names, cats, words, st.just("string"), st.booleans(), st.just("email"), st.integers(0, 90)),
    lambda inner: st.builds(datagraph.Field, names, cats, fields=distinct(inner)),
    max_leaves=5,
)  # fmt: skip
tables = st.builds(datagraph.Collection, names, distinct(fields), cats, words)
places = st.builds(
    datagraph.Place, st.sampled_from(["", "ZA", "NO", "ON"]), words, words, words, words,
    st.dictionaries(st.sampled_from(datagraph.STEPS), st.lists(names, min_size=1, max_size=2).map(tuple), max_size=2),
)  # fmt: skip
stores = st.builds(datagraph.Store, keys, distinct(tables), words, words, cats, place=places)
maps = st.builds(
    datagraph.DataMap,
    stores=st.lists(stores, max_size=2, unique_by=lambda each: each.key).map(tuple),
)


@given(maps)
@settings(max_examples=60, deadline=None)
def test_any_mapping_survives_being_written_and_read(held):
    assert mapfiles.read_map(mapfiles.write_map(held), "any.yml") == held
    assert datagraph.read(json.loads(mapfiles.write_map(held, "json"))) == held


# --- refused with its place, never with its value


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "no mapping"),
        ({"dataset": {}}, "dataset is no list"),
        ({"dataset": [{"fides_key": "pla nted"}]}, "dataset.0.fides_key"),
        ({"dataset": [{"fides_key": "a"}, {"fides_key": "a"}]}, "dataset.1 has the name"),
        ({"dataset": [{"fides_key": "a", "collections": [{"fields": []}]}]}, "collections.0.name is missing"),
        (
            {"dataset": [{"fides_key": "a", "collections": [{"name": "t", "fields": [{"name": "f", "data_categories": "planted"}]}]}]},
            "dataset.0.collections.0.fields.0.data_categories",
        ),
        ({"dataset": [{"fides_key": "a", "meta": {"troth": {"contry": "planted"}}}]}, "meta.troth.contry is not known"),
        ({"dataset": [{"fides_key": "a", "meta": {"troth": {"measures": {"stord": ["planted"]}}}}]}, "measures.stord"),
        ({"dataset": [{"fides_key": "a", "meta": 7}]}, "meta is no table"),
        ({"dataset": [{"fides_key": "a", "name": ["planted"]}]}, "name is no text"),
        ({"dataset": [{"fides_key": "a", "name": "x" * 5000}]}, "name is longer"),
        ({"dataset": [{"fides_key": "a", "collections": [{"name": "t", "fields": [{"name": "f", "fides_meta": {"length": "planted"}}]}]}]}, "length"),
        ({"dataset": [{"fides_key": "a", "collections": [{"name": "t", "fields": [{"name": "f", "fides_meta": {"references": [{"dataset": "d", "field": "x.y", "direction": "planted"}]}}]}]}]}, "direction"),
        ({"system": [{"fides_key": "s", "egress": [{"fides_key": "t"}]}]}, "egress.0.type is missing"),
        ({"system": [{"fides_key": "s", "privacy_declarations": [{}]}]}, "privacy_declarations.0.data_use"),
    ],
)  # fmt: skip
def test_what_does_not_read_is_refused_with_its_place_and_without_its_value(document, place):
    with pytest.raises(InvalidInput) as told:
        datagraph.read(document)
    assert place in str(told.value)
    assert "planted" not in str(told.value)


def test_a_field_that_lies_too_deep_and_a_mapping_that_is_too_large_are_refused():
    inner = {"name": "f"}
    for _ in range(30):
        inner = {"name": "f", "fields": [inner]}
    with pytest.raises(InvalidInput, match="deep"):
        datagraph.read(
            {"dataset": [{"fides_key": "a", "collections": [{"name": "t", "fields": [inner]}]}]}
        )
    many = [{"name": f"c{n}"} for n in range(datagraph.FIELDS_MAX + 1)]
    with pytest.raises(InvalidInput, match="at most"):
        datagraph.read(
            {"dataset": [{"fides_key": "a", "collections": [{"name": "t", "fields": many}]}]}
        )


def test_two_files_that_describe_one_store_are_refused_by_name():
    with pytest.raises(InvalidInput, match=r"a\.yml and b\.yml|b\.yml and a\.yml"):
        datagraph.merge({"a.yml": parsed(), "b.yml": parsed()})


# --- hostile YAML


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]" for n in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "dataset: !!python/object/apply:os.system ['touch planted']",
        "dataset: !planted [1]",
        "a: 1\na: 2",
        "? [planted, key]\n: 1",
        "a: 1\n---\nb: 2",
        "dataset: [" + "[" * 2000 + "]" * 2000 + "]",
        "a: &x {b: *x}",
        "{planted",
        "\tplanted: 1",
        "x" * (mapfiles.BYTES_MAX + 1),
        "base: &b {name: planted}\nds: {<<: *b}",
    ],
    ids=[
        "laughs",
        "object",
        "tag",
        "twice",
        "key",
        "two",
        "deep",
        "loop",
        "cut",
        "tab",
        "large",
        "merge",
    ],
)
def test_hostile_yaml_is_refused_with_its_line_and_nothing_of_it_is_run_or_told(
    text, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput) as told:
        mapfiles.read_map(text.encode(), "map/x.yml")
    assert "planted" not in str(told.value)
    assert str(told.value).startswith("map/x.yml")
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(InvalidInput, match="UTF-8"):
        mapfiles.load(b"\xff\xfe\x00", "x.yml")


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_bytes_break_the_reader(raw):
    with contextlib.suppress(InvalidInput):
        mapfiles.read_map(raw, "x.yml")


@pytest.mark.parametrize(
    ("text", "value"),
    [("NO", "NO"), ("yes", "yes"), ("2026-11-24", "2026-11-24"), ("012", "012"), ("0x1F", "0x1F"),
     ("1_000", "1_000"), ("12", 12), ("1.5", 1.5), ("true", True), ("~", None), ("'12'", "12"), ("12:30:00", "12:30:00")],
)  # fmt: skip
def test_a_plain_word_stays_the_word_it_is(text, value):
    assert mapfiles.load(f"a: {text}".encode(), "x.yml") == {"a": value}
    assert mapfiles.load(mapfiles.dump({"a": value}).encode(), "x.yml") == {"a": value}
