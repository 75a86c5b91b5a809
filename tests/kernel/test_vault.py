"""What is sealed opens in its own place, for a live permit, and after shredding never again."""

import copy
import itertools
import json
import pickle
from dataclasses import replace

import cast
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound
from troth.kernel import events, vault
from troth.terms import SECOND, KeyRow

WHO, OTHER, NOW = cast.AGREED, cast.WITHDREW, cast.NOW
VALUES = {
    "contact.email": "ayanda@marula.example",
    "contact.phone": "+27 00 000 1234",
    "name.given": "Ayanda",
    "birth.date": "1984-05-06",
    "secret.note": "left by the gate",
}
ALL = dict.fromkeys(cast.CATEGORIES, "full")


@pytest.fixture
def box():
    return cast.with_keys(cast.vault(), WHO, OTHER)


def sealed(box, who=WHO, values=VALUES, version=1):
    return box.seal_values(who, values, dict.fromkeys(values, version), NOW)


def test_sealed_values_open_for_a_permit(box):
    assert box.open(cast.permit(WHO, ALL), sealed(box), NOW) == VALUES


def test_masks_of_the_permit_are_applied(box):
    masks = {"contact": "last4", "identity": "hash", "birth": "year", "secret": "null"}
    shown = box.open(cast.permit(WHO, masks), sealed(box), NOW)
    assert shown["birth.date"] == "1984"
    assert shown["secret.note"] == ""
    assert shown["contact.phone"].endswith("1234")
    assert "27" not in shown["contact.phone"]
    assert len(shown["contact.phone"]) == len(VALUES["contact.phone"])
    assert len(shown["name.given"]) == 16
    assert shown["name.given"] != crypto.sha256(b"Ayanda").hex()[:16]


def test_last4_of_a_short_value_shows_nothing_of_it(box):
    rows = sealed(box, values={"contact.phone": "1234"})
    assert box.open(cast.permit(WHO, {"contact": "last4"}), rows, NOW) == {
        "contact.phone": "\u2022" * 4
    }


def test_V5_a_record_opens_in_no_other_place(box):
    rows = {r.field: r for r in sealed(box)}
    email = rows["contact.email"]
    permit, other = cast.permit(WHO, ALL), cast.permit(OTHER, ALL)
    assert box.open(permit, [email], NOW)
    swapped = [
        (other, email),
        (permit, replace(email, field="contact.phone")),
        (permit, replace(email, row=1)),
        (permit, replace(email, version=2)),
        (permit, replace(email, rec=rows["contact.phone"].rec)),
        (permit, replace(email, rec=sealed(box, OTHER)[0].rec)),
    ]
    for who, row in swapped:
        with pytest.raises(EvidenceBroken):
            box.open(who, [row], NOW)


def test_V5_an_older_value_of_a_field_put_back_under_its_new_version_does_not_open(box):
    old = sealed(box, values={"name.given": "Old"}, version=1)[0]
    new = sealed(box, values={"name.given": "New"}, version=2)[0]
    permit = cast.permit(WHO, ALL)
    assert box.open(permit, [new], NOW) == {"name.given": "New"}
    with pytest.raises(EvidenceBroken):
        box.open(permit, [replace(new, rec=old.rec)], NOW)


def test_V5_a_record_of_another_workspace_does_not_open():
    keys = cast.MemoryKeys()
    random = cast.Stream(b"two")
    ring = vault.Keyring(b"\x99" * 16, keys, random)
    elsewhere = cast.with_keys(vault.Vault(ring, random, cast.LABELS), WHO)
    rows = sealed(elsewhere)
    elsewhere.keys.workspace = b"\x98" * 16
    with pytest.raises(EvidenceBroken):
        elsewhere.open(cast.permit(WHO, ALL), rows, NOW)


def test_every_byte_of_a_record_is_covered(box):
    row = sealed(box, values={"name.given": "A"})[0]
    permit = cast.permit(WHO, ALL)
    for at in range(len(row.rec)):
        for bit in (1, 128):
            raw = row.rec[:at] + bytes([row.rec[at] ^ bit]) + row.rec[at + 1 :]
            with pytest.raises((EvidenceBroken, NotFound)):
                box.open(permit, [replace(row, rec=raw)], NOW)
    for cut in (0, 1, 33, len(row.rec) - 1):
        with pytest.raises(EvidenceBroken):
            box.open(permit, [replace(row, rec=row.rec[:cut])], NOW)


def test_V6_no_two_records_share_a_nonce_and_equal_values_differ_in_bytes(box):
    rows = [r for _ in range(400) for r in sealed(box)]
    rows += [r for _ in range(100) for r in sealed(box, OTHER)]
    nonces = {r.rec[6:18] for r in rows}
    assert len(nonces) == len(rows) == len({r.rec for r in rows})
    bodies = [box.seal_event(WHO, n, b"same", NOW) for n in range(1, 200)]
    assert not nonces & {b[6:18] for b in bodies}
    assert len({b[18:] for b in bodies}) == len(bodies)


def test_V6_a_random_source_that_repeats_itself_would_be_seen():
    class Stuck(cast.Stream):
        def take(self, count):
            return b"\x07" * count

    ring = vault.Keyring(cast.WORKSPACE, cast.MemoryKeys(), Stuck())
    stuck = cast.with_keys(vault.Vault(ring, Stuck(), cast.LABELS), WHO)
    assert len({r.rec[6:18] for r in sealed(stuck)}) == 1


# Permits


def test_nothing_but_a_permit_of_the_gate_opens_the_vault(box):
    class Lookalike:
        person, categories, until = WHO, ALL, NOW + 1

    for fake in (None, Lookalike(), object()):
        with pytest.raises(InvalidInput):
            box.open(fake, sealed(box), NOW)
    permit = cast.permit(WHO, ALL)
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            way(permit)


def test_a_permit_that_ended_opens_nothing(box):
    permit = cast.permit(WHO, ALL)
    assert box.open(permit, sealed(box), permit.until - 1)
    for at in (permit.until, permit.until + SECOND):
        with pytest.raises(InvalidInput):
            box.open(permit, sealed(box), at)
        with pytest.raises(InvalidInput):
            box.open_chunks(permit, [], "purchases", at)


def test_a_permit_opens_no_category_but_its_own(box):
    permit = cast.permit(WHO, {"identity": "full"})
    for row in sealed(box):
        if cast.LABELS[row.field] == "identity":
            assert box.open(permit, [row], NOW) == {"name.given": "Ayanda"}
        else:
            with pytest.raises(InvalidInput):
                box.open(permit, [row], NOW)


def test_a_field_without_a_category_is_neither_sealed_nor_opened(box):
    with pytest.raises(InvalidInput):
        box.seal_values(WHO, {"shoe.size": "42"}, {}, NOW)
    row = replace(sealed(box)[0], field="shoe.size")
    with pytest.raises(InvalidInput):
        box.open(cast.permit(WHO, ALL), [row], NOW)


# States of a key


def test_no_key_a_key_not_yet_made_and_a_shredded_key_are_three_answers(box):
    stranger = cast.person("stranger")
    with pytest.raises(NotFound) as never:
        box.keys.key(stranger, NOW)
    assert not isinstance(never.value, vault.Shredded)
    with pytest.raises(NotFound) as unmade:
        box.keys.key(WHO, NOW, "purchases/2026Q4")
    assert not isinstance(unmade.value, vault.Shredded)
    box.keys.make([(WHO, "purchases/2026Q4", 1)])
    assert box.keys.key(WHO, NOW, "purchases/2026Q4").kver == 1
    box.keys.shred(WHO, ["purchases/2026Q4"], NOW)
    with pytest.raises(vault.Shredded):
        box.keys.key(WHO, NOW, "purchases/2026Q4")
    assert box.keys.key(WHO, NOW)
    with pytest.raises(NotFound) as other_quarter:
        box.keys.key(WHO, NOW, "purchases/2026Q3")
    assert not isinstance(other_quarter.value, vault.Shredded)


def test_after_shredding_nothing_of_the_person_opens_and_others_still_do(box):
    rows, others = sealed(box), sealed(box, OTHER)
    body = box.seal_event(WHO, 1, b"salt and event", NOW)
    box.keys.shred(WHO, None, NOW)
    with pytest.raises(vault.Shredded):
        box.open(cast.permit(WHO, ALL), rows, NOW)
    with pytest.raises(vault.Shredded):
        box.open_event(WHO, 1, body, NOW)
    with pytest.raises(vault.Shredded):
        sealed(box)
    assert box.open(cast.permit(OTHER, ALL), others, NOW) == VALUES


def test_V4_another_keyring_forgets_a_key_at_its_next_load_once_it_was_shredded():
    keys = cast.MemoryKeys()
    here, there = (cast.vault(keys, seed) for seed in (b"here", b"there"))
    cast.with_keys(here, WHO, OTHER)
    rows = sealed(here)
    assert there.open(cast.permit(WHO, ALL), rows, NOW)
    here.keys.shred(WHO, None, NOW)
    there.keys.load([OTHER], NOW)
    with pytest.raises(vault.Shredded):
        there.open(cast.permit(WHO, ALL), rows, NOW)


def test_V4_without_a_look_a_cached_key_lives_no_longer_than_its_lifetime():
    keys = cast.MemoryKeys()
    here, there = (cast.vault(keys, seed) for seed in (b"here", b"there"))
    cast.with_keys(here, WHO)
    there.keys.key(WHO, NOW)
    here.keys.shred(WHO, None, NOW)
    with pytest.raises(vault.Shredded):
        there.keys.key(WHO, NOW + vault.CACHE_S * SECOND + 1)


def test_V17_records_of_two_key_versions_are_both_readable_while_keys_rotate(box):
    first = sealed(box)
    box.keys.make([(WHO, "", 2)])
    second = sealed(box)
    assert {vault.read_header(r.rec)[0] for r in first} == {1}
    assert {vault.read_header(r.rec)[0] for r in second} == {2}
    permit = cast.permit(WHO, ALL)
    assert box.open(permit, first, NOW) == box.open(permit, second, NOW) == VALUES


def test_V18_a_key_row_put_back_from_another_epoch_does_not_open():
    keys = cast.MemoryKeys()
    box = cast.with_keys(cast.vault(keys), WHO)
    old = keys.table[WHO, "", 1]
    keys.epoch = 2
    for row in (old, replace(old, epoch=2)):
        keys.table[WHO, "", 1] = row
        keys.counter += 1
        box.keys.load([], NOW)
        with pytest.raises(EvidenceBroken):
            box.keys.key(WHO, NOW)


def test_V18_a_wrapped_key_opens_for_no_other_person_scope_or_version():
    raw, nonce, shard = b"\x07" * 32, b"\x01" * 12, b"\x02" * 32
    row = KeyRow(WHO, "purchases/2026Q4", 2, "active", b"", vault.key_check(raw), 3)
    row = replace(row, wrapped=vault.wrap(shard, nonce, raw, cast.WORKSPACE, row))
    assert vault.unwrap(shard, cast.WORKSPACE, row) == raw
    for change in ({"person": OTHER}, {"scope": ""}, {"kver": 3}, {"epoch": 4}):
        with pytest.raises(EvidenceBroken):
            vault.unwrap(shard, cast.WORKSPACE, replace(row, **change))
    with pytest.raises(EvidenceBroken):
        vault.unwrap(shard, b"\x99" * 16, row)
    with pytest.raises(EvidenceBroken):
        vault.unwrap(b"\x03" * 32, cast.WORKSPACE, row)


def test_V20_a_key_that_does_not_match_its_check_value_is_reported_for_that_person_alone():
    keys = cast.MemoryKeys()
    box = cast.with_keys(cast.vault(keys), WHO, OTHER)
    theirs = sealed(box, OTHER)
    for bad in (
        {"kcv": b"\x00" * 16},
        {"wrapped": b""},
        {"wrapped": keys.table[OTHER, "", 1].wrapped},
    ):
        row = keys.table[WHO, "", 1]
        keys.table[WHO, "", 1] = replace(row, **bad)
        keys.counter += 1
        box.keys.load([WHO, OTHER], NOW)
        with pytest.raises(EvidenceBroken):
            box.keys.key(WHO, NOW)
        assert box.open(cast.permit(OTHER, ALL), theirs, NOW) == VALUES
        keys.table[WHO, "", 1] = row


def test_V20_a_damaged_newer_key_never_falls_back_to_an_older_one():
    keys = cast.MemoryKeys()
    box = cast.with_keys(cast.vault(keys), WHO)
    box.keys.make([(WHO, "", 2)])
    keys.table[WHO, "", 2] = replace(keys.table[WHO, "", 2], kcv=b"\x00" * 16)
    box.keys.load([WHO], NOW)
    with pytest.raises(EvidenceBroken):
        box.keys.key(WHO, NOW)
    assert box.keys.key(WHO, NOW, kver=1)


def test_threads_that_load_and_shred_at_once_see_no_key_error():
    from concurrent.futures import ThreadPoolExecutor

    keys = cast.MemoryKeys()
    people = [cast.person(f"p{i}") for i in range(40)]
    box = cast.with_keys(cast.vault(keys), *people)

    def read(turn):
        for who in people[turn % 2 :: 2]:
            keys.counter += 1
            try:
                box.keys.load(people[:3], NOW)
                box.keys.key(who, NOW)
            except vault.Shredded:
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(80)))


# Behaviour


def numbers(low, high):
    return st.integers(low, high)


def chunks(count):
    word = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cs"]), max_size=6).map(
        lambda t: __import__("unicodedata").normalize("NFC", t)
    )
    words = st.lists(word, max_size=4).map(tuple)

    def column(low, high):
        return st.lists(numbers(low, high), min_size=count, max_size=count).map(tuple)

    return st.builds(
        vault.Chunk,
        at=column(-(2**63), 2**63 - 1).map(lambda c: tuple(sorted(c))),
        kind=column(0, 255),
        item=column(0, 2**32 - 1),
        amount=column(-(2**63), 2**63 - 1),
        units=column(-(2**31), 2**31 - 1),
        kinds=words,
        items=words,
        groups=words,
        item_group=st.lists(numbers(0, 9), max_size=4).map(tuple),
        currency=st.sampled_from(["ZAR", "EUR"]),
        source=word,
        tail=st.dictionaries(st.sampled_from(["0", "1", "note"]), word, max_size=2),
    )


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 12).flatmap(chunks))
def test_a_chunk_is_read_back_as_it_was_packed(chunk):
    assert vault.unpack_chunk(vault.pack_chunk(chunk)) == chunk


def simple(count, at=None):
    zeros = (0,) * count
    at = tuple(range(count)) if at is None else at
    return vault.Chunk(
        at, zeros, zeros, zeros, zeros, ("purchase",), ("sku",), ("g",), (0,), "ZAR", "t"
    )


def test_a_chunk_holds_4096_events_and_not_one_more():
    full = simple(vault.CHUNK_EVENTS)
    assert vault.unpack_chunk(vault.pack_chunk(full)) == full
    with pytest.raises(InvalidInput):
        vault.pack_chunk(simple(vault.CHUNK_EVENTS + 1))


@pytest.mark.parametrize(
    "change",
    [{"kind": (0,)}, {"kind": (256, 0)}, {"kind": (-1, 0)}, {"item": (2**32, 0)},
     {"amount": (2**63, 0)}, {"units": (2**31, 0)}, {"at": (5, 4)}, {"at": (2**63, 2**63)},
     {"source": 1.5}],
)  # fmt: skip
def test_a_chunk_that_could_not_be_read_back_is_never_packed(change):
    with pytest.raises(InvalidInput):
        vault.pack_chunk(replace(simple(2), **change))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120))
def test_bytes_that_are_no_chunk_are_refused(raw):
    with pytest.raises(EvidenceBroken):
        vault.unpack_chunk(raw)


def test_a_cut_or_lengthened_chunk_is_refused():
    raw = vault.pack_chunk(simple(3))
    for bad in [raw[:i] for i in range(len(raw))] + [raw + b"x", b"\x02" + raw[1:]]:
        with pytest.raises(EvidenceBroken):
            vault.unpack_chunk(bad)


TAIL = {
    "currency": "ZAR", "groups": ["g"], "item_group": [0], "items": ["sku"],
    "kinds": ["purchase"], "source": "t", "tail": {},
}  # fmt: skip


def tailed(tail):
    whole = vault.pack_chunk(simple(1))
    front = whole.index(b"{")
    return whole[:5] + len(tail).to_bytes(4, "big") + whole[9:front] + tail


def test_a_tail_is_read_in_its_one_spelling_only():
    canonical = events.canonical(TAIL)
    assert vault.unpack_chunk(tailed(canonical)) == simple(1)
    assert vault.unpack_chunk(tailed(events.canonical({**TAIL, "later": 1}))) == simple(1)
    for spelled in (
        canonical.replace(b",", b", ", 1),
        canonical.replace(b'"t"', b'"\\u0074"'),
        json.dumps(dict(reversed(TAIL.items())), separators=(",", ":")).encode(),
    ):
        assert json.loads(spelled) == TAIL
        with pytest.raises(EvidenceBroken):
            vault.unpack_chunk(tailed(spelled))


@pytest.mark.parametrize(
    "change",
    [{"kinds": 5}, {"groups": None}, {"items": [1]}, {"item_group": ["0"]}, {"tail": {"0": 1}},
     {"item_group": [True]}, {"source": None}, {"source": 1, "currency": "\u00e9"}],
)  # fmt: skip
def test_a_canonical_tail_of_another_shape_is_no_chunk(change):
    with pytest.raises(EvidenceBroken):
        vault.unpack_chunk(tailed(events.canonical({**TAIL, **change})))


@pytest.mark.parametrize("tail", [b"{}", b"[]", b"", b'{"x":"\xff"}', b'{"x":' + b"[" * 100_000])
def test_a_tail_that_is_no_tail_is_no_chunk(tail):
    with pytest.raises(EvidenceBroken):
        vault.unpack_chunk(tailed(tail))


def test_behaviour_opens_for_its_own_category_and_quarter_only(box):
    scope = "purchases/2026Q4"
    box.keys.make([(WHO, scope, 1), (WHO, "purchases/2026Q3", 1), (WHO, "health/2026Q4", 1)])
    chunk = simple(2, (NOW - 2, NOW - 1))
    row = box.seal_chunk(WHO, scope, 0, 1, vault.pack_chunk(chunk), NOW)
    permit = cast.permit(WHO, {"purchases": "full"})
    assert box.open_chunks(permit, [row], "purchases", NOW) == [chunk]
    with pytest.raises(EvidenceBroken):
        box.open_chunks(permit, [replace(row, field="purchases/2026Q3")], "purchases", NOW)
    with pytest.raises(EvidenceBroken):
        box.open_chunks(permit, [replace(row, row=1)], "purchases", NOW)
    health = box.seal_chunk(WHO, "health/2026Q4", 0, 1, vault.pack_chunk(chunk), NOW)
    with pytest.raises(InvalidInput):
        box.open_chunks(permit, [health], "purchases", NOW)
    with pytest.raises(InvalidInput):
        box.open_chunks(permit, [health], "health", NOW)
    masked = cast.permit(WHO, {"purchases": "hash"})
    with pytest.raises(InvalidInput):
        box.open_chunks(masked, [row], "purchases", NOW)


def test_a_shredded_quarter_does_not_open_and_the_next_one_does(box):
    scopes = ["purchases/2026Q3", "purchases/2026Q4"]
    box.keys.make([(WHO, s, 1) for s in scopes])
    rows = [box.seal_chunk(WHO, s, 0, 1, vault.pack_chunk(simple(1)), NOW) for s in scopes]
    box.keys.shred(WHO, scopes[:1], NOW)
    permit = cast.permit(WHO, {"purchases": "full"})
    with pytest.raises(vault.Shredded):
        box.open_chunks(permit, rows[:1], "purchases", NOW)
    assert box.open_chunks(permit, rows[1:], "purchases", NOW)


def test_no_two_lists_of_parts_have_one_length_prefixed_form():
    lists = [
        p for n in range(4) for p in itertools.product([b"", b"a", b"aa", b"\0\0\0\1a"], repeat=n)
    ]
    assert len({vault.lp(*parts) for parts in lists}) == len(lists)


def test_shards_are_taken_from_the_first_eight_bytes():
    assert vault.shard_of(bytes(8) + b"\xff" * 8) == 0
    assert vault.shard_of((1025).to_bytes(8, "big") + bytes(8)) == 1


def test_a_fenced_store_refuses_to_make_a_key_again(box):
    class Fenced(cast.MemoryKeys):
        def add(self, rows):
            raise Conflict("fenced")

    ring = vault.Keyring(cast.WORKSPACE, Fenced(), cast.Stream())
    with pytest.raises(Conflict):
        ring.make([(WHO, "", 1)])


@given(st.binary(min_size=32, max_size=32))
def test_the_short_way_to_derive_keys_is_hkdf(raw):
    one, other = crypto.derived(raw, b"pv1kcv\x01", b"pv1rec\x01")
    assert (one, other) == (crypto.hkdf(raw, b"pv1kcv"), crypto.hkdf(raw, b"pv1rec"))
