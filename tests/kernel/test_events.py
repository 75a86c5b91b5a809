"""Event bytes: one spelling, refused in every other, the same as RFC 8785."""

import json
from dataclasses import fields
from importlib import util
from pathlib import Path

import cast
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.errors import EvidenceBroken, Fault, InvalidInput
from troth.kernel import events, proof
from troth.terms import ConsentStatus, from_zulu

_spec = util.spec_from_file_location("make", Path(cast.__file__).parent / "vectors" / "make.py")
make = util.module_from_spec(_spec)
_spec.loader.exec_module(make)

AT = make.AT
WHO = cast.AGREED


def encode(payload, n=1, prev=b"", at=AT, who=WHO, actor="system/00"):
    return events.encode(payload, person=who, n=n, prev=prev, at=at, actor=actor)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(events.nfc)
KEYS = st.text(st.characters(max_codepoint=126, min_codepoint=32), min_size=1, max_size=10)
INTS = st.integers(-(2**53) + 1, 2**53 - 1)
TIMES = st.integers(0, 4_000_000_000).map(lambda s: events.zulu(s * 1_000_000))
BY_TYPE = {
    "str": TEXT,
    "int": INTS,
    "bool": st.booleans(),
    "ConsentStatus": st.sampled_from(ConsentStatus),
    "tuple[str, ...]": st.lists(TEXT, max_size=4).map(tuple),
    "tuple[str, str]": st.tuples(TEXT, TEXT),
    "dict[str, int]": st.dictionaries(KEYS, INTS, max_size=4),
    "dict[str, str]": st.dictionaries(KEYS, TEXT, max_size=4),
    "tuple[dict[str, str], ...]": st.lists(
        st.dictionaries(KEYS, TEXT, max_size=3), max_size=3
    ).map(tuple),
}


def of_type(annotation):
    text = (
        annotation
        if isinstance(annotation, str)
        else getattr(annotation, "__name__", str(annotation))
    )
    text = str(annotation) if "[" in str(annotation) or "|" in str(annotation) else text
    if text.endswith(" | None"):
        return st.none() | BY_TYPE[text.removesuffix(" | None")]
    return BY_TYPE[text]


def payloads(tag):
    cls, fixed = events.FAMILIES[tag]
    given_fields = {f.name: of_type(f.type) for f in fields(cls) if f.name not in fixed}
    for name in {"occurred_at", "until", "confirmed_at", "due"} & given_fields.keys():
        given_fields[name] = TIMES
    return st.builds(cls, **{k: st.just(v) for k, v in fixed.items()}, **given_fields)


@pytest.mark.parametrize("tag", sorted(events.FAMILIES))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_family_is_read_back_as_it_was_written(tag, data):
    payload = data.draw(payloads(tag))
    n = data.draw(st.integers(1, 2**40))
    prev = data.draw(st.binary(min_size=32, max_size=32)) if n > 1 else b""
    raw = encode(payload, n, prev)
    event = events.decode(raw)
    assert (event.payload, event.n, event.prev) == (payload, n, proof.b64(prev))
    assert (event.person, event.at, event.type) == (WHO, AT, tag)
    assert rfc8785.dumps(json.loads(raw)) == raw


JSON = st.recursive(
    st.booleans() | INTS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_canonical_bytes_with_ascii_keys_are_those_of_rfc8785(value):
    raw = events.canonical(value)
    assert raw == rfc8785.dumps(value)
    assert events.read_canonical(raw) == value


def test_every_tag_is_distinct_and_no_field_hides_the_envelope():
    assert len({encode(p) for p in make.EXAMPLES.values()}) == len(events.FAMILIES)
    for cls, _ in events.FAMILIES.values():
        assert not {f.name for f in fields(cls)} & {
            "v",
            "type",
            "at",
            "psid",
            "n",
            "prev",
            "actor",
        }


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), float("inf"), 2**53, -(2**53), b"x", {1: "x"}, {"\u00e9": 1}, {1, 2},
     object(), "\ud800", {"a": ["\udfff"]}, [{"x": 1.5}]],
)  # fmt: skip
def test_a_value_without_one_spelling_is_never_written(value):
    with pytest.raises(InvalidInput):
        events.canonical({"x": value})


def test_none_is_dropped_sets_are_sorted_and_text_is_nfc():
    value = {"b": None, "a": frozenset({"z", "y"}), "c": "e\u0301", "d": ConsentStatus.GIVEN}
    assert events.canonical(value) == '{"a":["y","z"],"c":"\u00e9","d":"given"}'.encode()


GOOD = encode(
    events.RelationRecorded("sale", "2026-10-01T12:00:00Z", "till"), n=2, prev=b"\xcc" * 32
)


def edited(old, new, raw=GOOD):
    assert raw.count(old) == 1, old
    return raw.replace(old, new)


FORGED = {
    "duplicate key": edited(b'"kind":"sale"', b'"kind":"sale","kind":"sale"'),
    "duplicate key, other value": edited(b'"kind":"sale"', b'"kind":"x","kind":"sale"'),
    "unknown key": edited(b'"kind":"sale"', b'"kind":"sale","kjnd":"x"'),
    "null": edited(b'"kind":"sale"', b'"goods":null,"kind":"sale"'),
    "float": edited(b'"n":2', b'"n":2.0'),
    "exponent": edited(b'"n":2', b'"n":2e0'),
    "number in text": edited(b'"n":2', b'"n":"2"'),
    "bool for number": edited(b'"n":2', b'"n":true'),
    "number for bool": edited(b'"collected":false', b'"collected":0'),
    "+00:00": edited(b'"at":"2026-11-20T08:00:00Z"', b'"at":"2026-11-20T08:00:00+00:00"'),
    "+00:00 inside": edited(b"2026-10-01T12:00:00Z", b"2026-10-01T12:00:00+00:00"),
    "a date for an act's time": edited(b"2026-10-01T12:00:00Z", b"2026-10-01"),
    "naive time": edited(b'"at":"2026-11-20T08:00:00Z"', b'"at":"2026-11-20T08:00:00"'),
    "time with a fraction": edited(
        b'"at":"2026-11-20T08:00:00Z"', b'"at":"2026-11-20T08:00:00.0Z"'
    ),
    "time in small z": edited(b'"at":"2026-11-20T08:00:00Z"', b'"at":"2026-11-20T08:00:00z"'),
    "impossible day": edited(b'"at":"2026-11-20T08:00:00Z"', b'"at":"2026-02-30T08:00:00Z"'),
    "NFD text": edited(b'"source":"till"', '"source":"e\u0301"'.encode()),
    "escaped letter": edited(b'"source":"till"', b'"source":"t\\u0069ll"'),
    "escaped slash": edited(b'"source":"till"', b'"source":"t\\/ill"'),
    "upper-case hex": edited(WHO.hex().encode(), WHO.hex().upper().encode()),
    "psid with spaces": edited(
        WHO.hex().encode(), WHO.hex()[:2].encode() + b" " + WHO.hex()[2:].encode()
    ),
    "short psid": edited(WHO.hex().encode(), WHO.hex()[:30].encode()),
    "space": edited(b'"n":2', b'"n": 2'),
    "trailing space": GOOD + b" ",
    "trailing newline": GOOD + b"\n",
    "leading space": b" " + GOOD,
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "another order": b'{"v":1,' + GOOD[1:].replace(b',"v":1', b""),
    "unknown type": edited(b'"relation.recorded"', b'"relation.unheard"'),
    "type of another family": edited(b'"relation.recorded"', b'"person.erasing"'),
    "newer version": edited(b'"v":1', b'"v":2'),
    "version zero": edited(b'"v":1', b'"v":0'),
    "version true": edited(b'"v":1', b'"v":true'),
    "no version": edited(b',"v":1', b""),
    "no type": edited(b'"type":"relation.recorded",', b""),
    "no n": edited(b'"n":2,', b""),
    "n zero": edited(b'"n":2', b'"n":0'),
    "n negative": edited(b'"n":2', b'"n":-1'),
    "n beyond 2^53": edited(b'"n":2', b'"n":9007199254740993'),
    "first event with a prev": edited(b'"n":2', b'"n":1'),
    "later event without prev": edited(proof.b64(b"\xcc" * 32).encode(), b""),
    "prev not base64": edited(proof.b64(b"\xcc" * 32).encode(), b"xx"),
    "prev of 31 bytes": edited(proof.b64(b"\xcc" * 32).encode(), proof.b64(b"\xcc" * 31).encode()),
    "actor a number": edited(b'"actor":"system/00"', b'"actor":7'),
    "missing required field": edited(b'"source":"till",', b""),
    "list for text": edited(b'"source":"till"', b'"source":["till"]'),
    "surrogate": edited(b'"source":"till"', b'"source":"\\ud800"'),
    "not UTF-8": edited(b'"source":"till"', b'"source":"\xff"'),
    "an array": b"[" + GOOD + b"]",
    "nothing": b"",
    "a deep nest": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
}


@pytest.mark.parametrize("kind", sorted(FORGED))
def test_L26_event_bytes_in_another_spelling_are_refused(kind):
    assert events.decode(GOOD).n == 2
    assert FORGED[kind] != GOOD
    with pytest.raises(EvidenceBroken):
        events.decode(FORGED[kind])


def test_L26_a_status_said_twice_is_refused():
    raw = encode(events.ConsentAct(ConsentStatus.GIVEN, "offers", ("email",), "offers@1"))
    with pytest.raises(EvidenceBroken):
        events.decode(
            edited(b'"source"', b'"status":"given","source"', raw)
            if b'"source"' in raw
            else edited(b'"type"', b'"status":"given","type"', raw)
        )


@settings(max_examples=400, deadline=None)
@given(
    st.binary(max_size=200)
    | st.integers(0, len(GOOD) - 1).flatmap(
        lambda i: st.binary(min_size=1, max_size=3).map(lambda b: GOOD[:i] + b + GOOD[i + 1 :])
    )
)
def test_nothing_but_evidence_broken_escapes_and_what_is_read_is_what_was_written(raw):
    try:
        event = events.decode(raw)
    except EvidenceBroken:
        return
    assert events.encode(
        event.payload, person=event.person, n=event.n, prev=proof.unb64(event.prev), at=event.at,
        actor=event.actor,
    ) == raw  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_nothing_but_a_fault_escapes_a_reader_of_statements(raw):
    try:  # noqa: SIM105
        events.read_canonical(raw)
    except Fault:
        pass


def test_an_older_event_without_a_later_field_is_still_read():
    event = events.decode(
        b'{"actor":"system/00","at":"2026-11-20T08:00:00Z","n":1,"prev":"","psid":"%s",'
        b'"request":"r1","type":"person.erasing","v":1}' % WHO.hex().encode()
    )
    assert event.payload == events.PersonErasing("r1", keeps_suppression=True)


@pytest.mark.parametrize(
    "payload",
    [
        events.MessageOutcome("booked", "m1"),
        events.MessageOutcome("lost", "m1"),
        events.ConsentAct("maybe", "offers"),
    ],
)
def test_an_event_no_reader_knows_is_never_written(payload):
    with pytest.raises(InvalidInput):
        encode(payload)


@pytest.mark.parametrize(("n", "prev"), [(0, b""), (1, b"\xcc" * 32), (2, b""), (2, b"\xcc" * 31)])
def test_an_event_out_of_any_chain_is_never_written(n, prev):
    with pytest.raises(InvalidInput):
        encode(events.PersonErasing("r1"), n=n, prev=prev)


def test_an_acts_own_time_wins_over_the_recording_time():
    assert events.act_time("2026-10-01T12:00:00Z", AT) == from_zulu("2026-10-01T12:00:00Z")
    assert events.act_time(None, AT) == AT


def test_L17_a_consent_bit_cannot_be_guessed_from_its_commitment():
    salt = cast.Stream(b"l17").take(32)
    yes, no = (encode(events.PersonErasing("r1", b)) for b in (True, False))
    seen = proof.commitment(salt, yes)
    guesses = {proof.commitment(bytes([b]) * 32, e) for b in range(256) for e in (yes, no)}
    assert seen not in guesses
    assert seen in {proof.commitment(salt, e) for e in (yes, no)}
