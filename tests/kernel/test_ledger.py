"""The tree in tiles: the same roots as RFC 6962, proofs at every size, and a check that finds all."""

import hashlib

import cast
import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import events, ledger, proof

EDGES = sorted({2**k + d for k in range(1, 17) for d in (-1, 0, 1)} | {255, 256, 257, 65_537})
LEAVES = ledger.leaf_hashes(b"entry %d" % i for i in range(max(EDGES) + 300))


def naive_root(leaves):
    level = list(leaves)
    while len(level) > 1:
        pairs = [
            hashlib.sha256(b"\x01" + level[i] + level[i + 1]).digest()
            for i in range(0, len(level) - 1, 2)
        ]
        level = pairs + (level[-1:] if len(level) % 2 else [])
    return level[0] if level else hashlib.sha256(b"").digest()


class Grown:
    """One tree grown to every edge size; tiles as a store would keep them."""

    def __init__(self):
        self.edge, self.tiles, self.roots = ledger.Edge(0, []), {}, {0: proof.EMPTY_ROOT}
        for size in EDGES:
            for tile in self.edge.extend(LEAVES[self.edge.size : size]):
                self.tiles[tile.level, tile.number] = tile.hashes
            self.roots[size] = self.edge.root()

    def read(self, level, number):
        return self.tiles[level, number]


@pytest.fixture(scope="module")
def grown():
    return Grown()


def test_L19_roots_at_every_power_of_two_and_its_neighbours_are_the_standards(grown):
    for size in EDGES:
        assert grown.roots[size] == naive_root(LEAVES[:size])
        assert ledger.tree_root(size, grown.read) == grown.roots[size]
    assert ledger.tree_root(0, grown.read) == proof.EMPTY_ROOT


def test_L23_roots_equal_pymerkles():
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    edge = ledger.Edge(0, [])
    for size in range(1, 600):
        tree.append_entry(b"entry %d" % (size - 1))
        edge.extend([LEAVES[size - 1]])
        if size < 70 or size in (255, 256, 257, 511, 512, 513, 599):
            assert edge.root() == tree.get_root()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=8))
def test_an_edge_grown_in_any_batches_is_the_edge_grown_at_once(batches):
    grown, at_once = cast.Tiles(), cast.Tiles()
    total = sum(batches)
    start = 0
    for batch in batches:
        grown.add([b"entry %d" % i for i in range(start, start + batch)])
        start += batch
    at_once.add([b"entry %d" % i for i in range(total)])
    assert grown.edge.root() == at_once.edge.root() == naive_root(LEAVES[:total])
    assert grown.tiles == at_once.tiles
    again = ledger.Edge.load(total, grown.read)
    again.extend(LEAVES[:3])
    grown.edge.extend(LEAVES[:3])
    assert again.root() == grown.edge.root()


def test_proofs_of_every_edge_size_hold_at_every_other(grown):
    for size in EDGES:
        for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
            path = ledger.inclusion_path(index, size, grown.read)
            proof.verify_inclusion(
                b"entry %d" % index, index=index, size=size, path=path, root=grown.roots[size]
            )
    for size1 in EDGES:
        for size2 in (s for s in EDGES if s >= size1):
            proof.verify_consistency(
                size1=size1, size2=size2, root1=grown.roots[size1], root2=grown.roots[size2],
                path=ledger.consistency_path(size1, size2, grown.read),
            )  # fmt: skip


def test_a_proof_reads_a_handful_of_tiles_never_the_whole_log(grown):
    read = []

    def counting(level, number):
        read.append((level, number))
        return grown.read(level, number)

    size = EDGES[-1]
    ledger.inclusion_path(size // 3, size, counting)
    assert len(set(read)) <= 8


def test_no_proof_is_written_for_a_place_outside_the_ledger(grown):
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(InvalidInput):
            ledger.inclusion_path(index, size, grown.read)
    for size1, size2 in ((0, 1), (3, 2)):
        with pytest.raises(InvalidInput):
            ledger.consistency_path(size1, size2, grown.read)


def test_a_proof_from_a_tile_that_lost_its_end_is_not_written(grown):
    def cut(level, number):
        return grown.read(level, number)[: 32 * 5]

    assert ledger.tree_root(5, cut) == naive_root(LEAVES[:5])
    with pytest.raises(EvidenceBroken, match="shorter"):
        ledger.tree_root(6, cut)
    with pytest.raises(EvidenceBroken, match="shorter"):
        ledger.inclusion_path(0, 8, cut)


def test_the_root_over_nothing_is_the_standards():
    nothing = hashlib.sha256(b"").digest()
    assert ledger.subtree_root([]) == ledger.Edge(0, []).root() == nothing


def test_an_edge_that_does_not_fit_its_size_is_refused(grown):
    tile = grown.tiles[0, 0][: 32 * 5]
    with pytest.raises(EvidenceBroken):
        ledger.Edge.load(6, lambda _level, _number: tile)
    with pytest.raises(EvidenceBroken):
        ledger.Edge(0, [[LEAVES[0]]])
    with pytest.raises(EvidenceBroken):
        ledger.split(b"x" * 33)


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ((0, 0), "tile/0/000"),
        ((1, 67), "tile/1/067"),
        ((0, 999), "tile/0/999"),
        ((0, 1000), "tile/0/x001/000"),
        ((0, 1234067), "tile/0/x001/x234/067"),
        ((63, 5, 7), "tile/63/005.p/7"),
        (("entries", 273, 112), "tile/entries/273.p/112"),
    ],
)
def test_tile_paths_are_the_standards(place, path):
    assert ledger.tile_path(*place) == path
    assert ledger.parse_tile_path(path) == (*place, *[256] * (3 - len(place)))


@settings(max_examples=200)
@given(
    st.one_of(st.just("entries"), st.integers(0, 63)),
    st.integers(0, 10**12),
    st.integers(1, 256),
)
def test_a_tile_path_is_read_back(level, number, width):
    path = ledger.tile_path(level, number, width)
    assert ledger.parse_tile_path(path) == (level, number, width)


@pytest.mark.parametrize(
    "path",
    [
        "", "tile/0/67", "tile/00/067", "tile/64/067", "tile/99/000", "tile/-1/067",
        "tile/0/x000/067", "tile/0/001/067", "tile/0/x067", "tile/0/067.p/0", "tile/0/067.p/256",
        "tile/0/067.p/01", "tile/0/067/", "/tile/0/067", "tile/0/067\n", "tile/Entries/067",
        "tile/0/\u0660\u0660\u0660", "tile/0/../067",
    ],
)  # fmt: skip
def test_another_spelling_of_a_tile_path_is_refused(path):
    with pytest.raises(InvalidInput):
        ledger.parse_tile_path(path)


def test_a_bundle_holds_each_entry_behind_its_length():
    entries = [b"\x00" + b"\x07" * 32, b"\x01" + b"x" * 65_534]
    raw = ledger.bundle(entries)
    out = []
    while raw:
        length = int.from_bytes(raw[:2], "big")
        out.append(raw[2 : 2 + length])
        raw = raw[2 + length :]
    assert out == entries


def test_L22_a_public_entry_of_65536_bytes_is_refused():
    fits = {
        "type": "pad",
        "x": "a" * (65_535 - len(events.public_entry({"type": "pad", "x": ""}))),
    }
    assert len(events.public_entry(fits)) == 65_535
    with pytest.raises(InvalidInput):
        events.public_entry({**fits, "x": fits["x"] + "a"})
    with pytest.raises(InvalidInput):
        events.public_entry({"hash": "x"})


# The check of a whole ledger

POLICY = cast.policy()


def sound(size=600, signed=(1, 256, 300, 600)):
    entries, tiles, notes = [], cast.Tiles(), []
    for i in range(size):
        entry = (
            events.public_entry({"type": "pad", "i": i})
            if i % 7 == 0
            else proof.private_entry(hashlib.sha256(b"%d" % i).digest())
        )
        entries.append((i, entry))
        tiles.add([entry])
        if i + 1 in signed:
            checkpoint = proof.Checkpoint(cast.ORIGIN, i + 1, tiles.edge.root())
            notes.append(ledger.sign_checkpoint(checkpoint, [cast.LOG_SEED]))
    root = tiles.edge.root()
    return {"size": size, "root": root, "entries": entries, "tiles": tiles.tiles, "notes": notes}


def findings(**stored):
    return ledger.verify(ledger.Stored(**stored), POLICY)


def test_a_sound_ledger_has_no_findings():
    assert findings(**sound()) == []
    assert findings(**sound(0, ())) == []


def flip(raw, at):
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


@pytest.mark.parametrize("at", [0, 1, 255, 256, 599])
def test_L4_a_changed_byte_of_an_entry_is_found(at):
    stored = sound()
    entry = stored["entries"][at][1]
    for byte in (0, 1, len(entry) - 1):
        entries = list(stored["entries"])
        entries[at] = (at, flip(entry, byte))
        assert findings(**{**stored, "entries": entries})


def test_L4_a_changed_byte_of_any_tile_is_found():
    stored = sound()
    for place, raw in stored["tiles"].items():
        for byte in (0, len(raw) // 2, len(raw) - 1):
            tiles = {**stored["tiles"], place: flip(raw, byte)}
            found = findings(**{**stored, "tiles": tiles})
            assert [f.place for f in found] == [f"tile {place[0]}/{place[1]}"]


def test_L4_a_missing_a_short_and_an_extra_tile_are_found():
    stored = sound()
    for place in stored["tiles"]:
        assert findings(
            **{**stored, "tiles": {p: t for p, t in stored["tiles"].items() if p != place}}
        )
        assert findings(
            **{**stored, "tiles": {**stored["tiles"], place: stored["tiles"][place][:-32]}}
        )
    assert findings(**{**stored, "tiles": {**stored["tiles"], (3, 0): b"\x00" * 32}})


def test_L4_a_changed_root_size_or_note_is_found():
    stored = sound()
    assert findings(**{**stored, "root": flip(stored["root"], 31)})
    assert findings(**{**stored, "size": 599})
    for i, note in enumerate(stored["notes"]):
        for changed in (
            note.replace("\n600\n", "\n599\n"),
            note[:-9] + "A" + note[-8:],
            note[:-1],
            "",
        ):
            if changed != note:
                notes = [*stored["notes"][:i], changed, *stored["notes"][i + 1 :]]
                assert findings(**{**stored, "notes": notes})


def test_L5_a_gap_a_doubled_number_and_a_reorder_are_found():
    stored = sound()
    entries = stored["entries"]
    assert findings(**{**stored, "entries": entries[:300] + entries[301:]})
    assert findings(**{**stored, "entries": entries[:300] + entries[299:]})
    assert findings(**{**stored, "entries": entries[1:]})
    swapped = list(entries)
    swapped[10], swapped[11] = (10, entries[11][1]), (11, entries[10][1])
    assert findings(**{**stored, "entries": swapped})


def test_L1_a_cut_end_is_found_even_where_tiles_and_root_were_cut_to_fit():
    whole, cut = sound(), sound(599, (1, 256, 300))
    assert findings(**cut) == []
    found = findings(**{**cut, "notes": whole["notes"]})
    assert [f.what for f in found] == ["a signed checkpoint is larger than the ledger"]


def test_L3_a_rewritten_history_with_fitting_tiles_contradicts_its_checkpoints():
    whole = sound()
    tiles = cast.Tiles()
    entries = [
        (i, e if i != 100 else proof.private_entry(b"\x09" * 32)) for i, e in whole["entries"]
    ]
    tiles.add([e for _, e in entries])
    found = findings(
        size=600, root=tiles.edge.root(), entries=entries, tiles=tiles.tiles, notes=whole["notes"]
    )
    assert {f.place for f in found} == {"checkpoint 256", "checkpoint 300", "checkpoint 600"}


def test_L14_a_checkpoint_by_a_key_the_policy_does_not_name_is_found():
    stored = sound()
    checkpoint = proof.Checkpoint(cast.ORIGIN, 600, stored["root"])
    stolen = ledger.sign_checkpoint(checkpoint, [b"\x09" * 32])
    assert findings(**{**stored, "notes": [*stored["notes"], stolen]})
    both = ledger.sign_checkpoint(checkpoint, [cast.LOG_SEED, b"\x09" * 32])
    assert findings(**{**stored, "notes": [*stored["notes"], both]}) == []


@pytest.mark.parametrize(
    "entry",
    [b"", b"\x00", b"\x00" + b"1" * 31, b"\x00" + b"1" * 33, b"\x02" + b"1" * 32, b"\x01",
     b"\x01{}x", b'\x01{"type": "pad","v":1}', b'\x01{"v":1,"type":"pad"}', b'\x01["pad"]',
     b'\x01{"type":"a","type":"b","v":1}', b"\x01" + b"x" * 65_535],
)  # fmt: skip
def test_an_entry_of_no_allowed_form_is_found(entry):
    assert ledger.check_entry(5, entry)


def test_L18_an_erasure_leaves_every_other_receipt_as_it_was():
    from importlib import util

    spec = util.spec_from_file_location("v", f"{cast.__file__.rsplit('/', 1)[0]}/vectors/make.py")
    make = util.module_from_spec(spec)
    spec.loader.exec_module(make)
    before = make.worked_receipt()
    entries, _, _ = make.worked_entries()
    assert all(b"consent" not in e for e in entries)
    tiles, _, note = make.worked_note()
    tiles.add([events.public_entry({"type": "erase.done"})])
    _, e2, salt2 = make.worked_entries()
    assert ledger.receipt(proof.event_extra(salt2, e2), 3, note, tiles.read) == before
