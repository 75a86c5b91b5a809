"""Consent records: one spelling written, every spelling of the guide read, our schema kept."""

import contextlib
import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth import crypto
from troth.engines import dpv
from troth.errors import InvalidInput
from troth.kernel.events import canonical

DATA = Path(__file__).parents[2] / "src/troth/data/dpv"
SCHEMA = json.loads((DATA / "record-schema.json").read_text())
RECEIPT = json.loads((DATA / "receipt-schema.json").read_text())
HOUSE = dpv.Party(
    "dpv:DataController",
    "Marula",
    "https://marula.example",
    "privacy@marula.example",
    "12 Quiet St",
)
RECORD = dpv.Record(
    "urn:troth:record:01",
    "urn:troth:subject:02",
    dpv.Shown("offers@3", "https://my.marula.example/notices/offers/3", "ab" * 32, "en"),
    dpv.Process(
        "dpv:DirectMarketing", "offers@1", "Offers", ("pd:EmailAddress",), (HOUSE,), (HOUSE,),
        dpv.Storage("loc:ZA", "P1095D", "the key is destroyed"), ("loc:ZA",),
        "https://my.marula.example/my/preferences", ("legal-za:s5-e",), ("email",),
    ),
    dpv.Said(
        "dpv:ConsentGiven", "dpv:ExpressedConsent", "2026-11-23T08:00:00Z",
        "2028-11-23T08:00:00Z", "dpv:DataSubject", "checkbox",
    ),
)  # fmt: skip
VALUE = dpv.record_object(RECORD)


def test_a_record_as_written_fits_our_schema():
    assert dpv.validate(VALUE, SCHEMA) == []


def test_a_record_has_one_spelling_whatever_order_it_was_made_in():
    raw = dpv.write_record(RECORD, canonical)
    assert raw == canonical(dict(reversed(list(VALUE.items()))))
    assert json.loads(raw) == VALUE


def places(value, at=()):
    yield at
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, each in children:
        yield from places(each, (*at, key))


EVERY = [p for p in places(VALUE) if p]


@given(st.sampled_from(EVERY), st.sampled_from([7, None, True, "", {}, [], {"planted": "x"}]))
def test_whatever_is_put_in_a_place_of_a_record_it_is_noticed(place, put):
    broken = copy.deepcopy(VALUE)
    node = broken
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = put
    if (place[-1], put) != ("troth:channel", []):
        assert dpv.validate(broken, SCHEMA)


@given(st.sampled_from([(), *EVERY]))
def test_a_key_nobody_knows_is_noticed_wherever_it_stands(place):
    broken = copy.deepcopy(VALUE)
    node = broken
    for key in place:
        node = node[key]
    if isinstance(node, dict):
        node["planted"] = "x"
        assert dpv.validate(broken, SCHEMA)


MANDATORY = [
    ("dct:conformsTo",), ("dct:identifier",), ("dpv:hasDataSubject",), ("dpv:hasNotice",),
    ("dct:language",), ("dpv:hasProcess",), ("dpv:hasConsentStatus",), ("troth:schemaVersion",),
    *((("dpv:hasProcess"), 0, f"dpv:{f}") for f in (
        "hasPurpose", "hasPersonalData", "hasDataController", "hasRecipient",
        "hasStorageCondition", "hasJurisdiction", "hasConsentControl", "hasRight")),
    *(("dpv:hasConsentStatus", 0, f"dpv:{f}") for f in (
        "hasLegalBasis", "isIndicatedAtTime", "hasDuration", "isIndicatedBy")),
    *(("dpv:hasProcess", 0, "dpv:hasDataController", 0, f) for f in (
        "dct:identifier", "dpv:hasName", "dpv:hasContact", "dpv:hasAddress")),
]  # fmt: skip


@pytest.mark.parametrize("place", MANDATORY, ids=lambda p: ".".join(map(str, p)))
def test_a_record_without_a_mandatory_field_is_refused_by_name(place):
    broken = copy.deepcopy(VALUE)
    node = broken
    for key in place[:-1]:
        node = node[key]
    del node[place[-1]]
    found = dpv.validate(broken, SCHEMA)
    assert [f.place for f in found] == [".".join(map(str, place))]


@pytest.mark.parametrize(
    "kind", ["dpv:StorageLocation", "dpv:StorageDuration", "dpv:StorageDeletion"]
)
def test_storage_says_where_how_long_and_how_it_ends(kind):
    broken = copy.deepcopy(VALUE)
    held = broken["dpv:hasProcess"][0]["dpv:hasStorageCondition"]
    held[:] = [each for each in held if each["@type"] != kind] * 2
    assert dpv.validate(broken, SCHEMA)


def test_a_time_without_z_and_a_state_the_vocabulary_lacks_are_refused():
    for key, value in (
        ("dpv:isIndicatedAtTime", "2026-11-23T10:00:00"),
        ("@type", "dpv:ConsentTerminated"),
    ):
        broken = copy.deepcopy(VALUE)
        broken["dpv:hasConsentStatus"][0][key] = value
        assert dpv.validate(broken, SCHEMA), key


def test_several_records_are_handed_over_as_one_receipt_object():
    raw = dpv.write_receipt(
        "urn:troth:handed:1",
        "2026-11-23T08:00:00Z",
        [dpv.write_record(RECORD, canonical)] * 2,
        canonical,
    )
    value = dpv.load(raw)
    assert dpv.validate(value, RECEIPT) == []
    del value["dpv:hasRecordOfActivity"][1]["dpv:hasProcess"]
    assert dpv.validate(value, RECEIPT)[0].place == "dpv:hasRecordOfActivity.1.dpv:hasProcess"
    assert dpv.read(raw).identifier == "urn:troth:record:01"


def test_only_words_of_the_vendored_vocabulary_are_written_and_its_notice_lies_beside_it():
    known = {
        line.partition(",")[0]
        for name in ("terms", "legal-za")
        for line in (DATA / f"{name}.csv").read_text().splitlines()
    }
    assert dpv.terms_of(VALUE) <= known
    assert dpv.terms_of({"@type": "dpv:ConsentTerminated"}) - known
    notice = (DATA / "NOTICE").read_text()
    assert "W3C Software and Document License" in notice
    assert "software-license-2023" in notice
    assert "document-license-2023" in notice


def test_reading_gives_back_what_was_written_without_a_note():
    told = dpv.read(dpv.write_record(RECORD, canonical))
    assert told.notes == ()
    assert (told.identifier, told.subject) == (RECORD.identifier, RECORD.subject)
    assert (told.status, told.at) == ("dpv:ConsentGiven", "2026-11-23T08:00:00Z")
    assert told.until == "2028-11-23T08:00:00Z"
    assert told.notices == ("offers@3",)
    assert told.purposes == ("offers@1",)


def test_the_guides_other_spellings_are_read_and_named():
    value = copy.deepcopy(VALUE)
    value["dpv:hasIdentifier"] = value.pop("dct:identifier")
    value["dct:conformsTo"] = "https://w3id.org/dpv/schema/dpv-27560#" + "receipt-record"
    event = value["dpv:hasConsentStatus"][0]
    event["@type"] = "dpv:ConsentTerminated"
    event["dct:date"] = event.pop("dpv:isIndicatedAtTime")[:-1]
    event["dct:valid"] = event.pop("dpv:hasDuration")["rdf:value"]
    told = dpv.read(json.dumps(value).encode())
    assert told.identifier == RECORD.identifier
    assert told.status == "dpv:ConsentRevoked"
    assert told.at == "2026-11-23T08:00:00"
    assert told.until == "2028-11-23T08:00:00Z"
    assert len(told.notes) == 6, told.notes


@pytest.mark.parametrize("name", ["record", "receipt", "record-eu-gdpr", "receipt-eu-gdpr",
                                  "receipt-record", "dpv-27560", "dpv-27560-GDPR"])  # fmt: skip
def test_each_of_the_spellings_of_a_profile_is_known(name):
    value = {**VALUE, "dct:conformsTo": f"https://w3id.org/dpv/schema/{name}"}
    assert "it names no profile known here" not in dpv.read(json.dumps(value).encode()).notes
    other = {**VALUE, "dct:conformsTo": "https://w3id.org/dpv/schema/planted"}
    assert "it names no profile known here" in dpv.read(json.dumps(other).encode()).notes


def test_an_event_that_lies_flat_in_the_record_is_read_too():
    value = {k: v for k, v in VALUE.items() if k != "dpv:hasConsentStatus"}
    value |= {"dpv:hasConsentStatus": "https://w3id.org/dpv#ConsentWithdrawn",
              "dpv:isIndicatedAtTime": "2026-11-23T08:00:00Z"}  # fmt: skip
    told = dpv.read(json.dumps(value).encode())
    assert (told.status, told.at) == ("dpv:ConsentWithdrawn", "2026-11-23T08:00:00Z")


def test_kantaras_names_are_read():
    value = {
        "consentReceiptID": "k-1", "consentTimestamp": 1700000000, "collectionMethod": "form",
        "piiPrincipalId": "p-9", "language": "en", "policyUrl": "https://old.example/policy",
        "piiControllers": [{"piiController": "Old House"}],
        "services": [{"service": "s", "purposes": [{"purpose": "news", "spiCat": []}]}],
    }  # fmt: skip
    told = dpv.read(json.dumps(value).encode())
    assert (told.identifier, told.controllers, told.purposes) == ("k-1", ("Old House",), ("news",))


@pytest.mark.parametrize("raw", [
    b'{"@type": "a", "@type": "b", "dpv:hasNotice": []}', b'{"dpv:hasNotice": [],}', b"[]", b"\xff",
    b"[" * 100_000, b'{"a": NaN}', b"{}", b'{"dpv:hasNotice": "' + b"x" * 70_000 + b'"}',
], ids=["twice", "comma", "list", "bytes", "deep", "nan", "nothing", "long"])  # fmt: skip
def test_what_is_no_record_is_refused_in_one_line(raw):
    with pytest.raises(InvalidInput):
        dpv.read(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["@type", "@id", "dct:identifier", *VALUE]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*VALUE, "dpv:hasDuration", "services"]), json_values))
def test_reading_anything_ends_in_an_answer_or_a_refusal(value):
    with contextlib.suppress(InvalidInput):
        dpv.read(json.dumps(value).encode())
    dpv.validate(value, SCHEMA)
    dpv.terms_of(value)


@given(st.binary(min_size=32, max_size=32))
def test_a_short_code_is_read_back_as_typed(digest):
    code = dpv.short_code(digest)
    number = int.from_bytes(digest[:8], "big") >> 4
    assert dpv.read_code(code) == number
    assert dpv.read_code(f" {code.lower().replace('-', ' ')} ".replace("0", "o")) == number


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(3, 18),
    st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"),
)
def test_one_wrong_character_of_a_code_is_noticed(digest, place, sign):
    code = dpv.short_code(digest)
    if code[place] in ("-", sign):
        return
    with pytest.raises(InvalidInput):
        dpv.read_code(code[:place] + sign + code[place + 1 :])


def test_a_code_of_another_length_or_alphabet_is_refused():
    for text in ("", "CR-", "CR-0000-0000-0000", "CR-0000-0000-000é-0", "CR-0000-0000-0000-00"):
        with pytest.raises(InvalidInput):
            dpv.read_code(text)
    assert dpv.short_code(crypto.sha256(b"x")) != dpv.short_code(crypto.sha256(b"y"))
