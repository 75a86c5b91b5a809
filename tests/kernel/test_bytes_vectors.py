"""The committed vector files fix every format that must last; each is also derived by hand here."""

import base64
import hashlib
import hmac
import importlib.util
import json
import struct
from pathlib import Path

import cast
import pytest
import rfc8785
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from troth.kernel import events, proof, vault

FOLDER = Path(cast.__file__).parent / "vectors"
_spec = importlib.util.spec_from_file_location("vector_files", FOLDER / "make.py")
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)
BUILT = make.files()
OF_ADAPTERS = {"archive.json"}  # built again, and opened, by tests/adapters/test_archive.py

FIELD_PAGE_ROOTS = {
    1: "773885a613489e24ce2cf76199d6a423f042e4bbf12d7eecee912ef276c65701",
    2: "5a47662fd8a317d96049a3f9f47c55dc67ca66051baa3683dbb19b2fe09a07b0",
    3: "94fbd0dd836f50301692e6d0eade728ee19ec52bfff1606ed807c8575d5aaa19",
    7: "98c97f0ba3175cd08b031dd084b9dc4e649b64d1a28e6ea694646503173ab587",
    256: "da6596d95369f5fef322ab8e4e0da3b0b50236aa9c8a3b1d246f7411c9e2e32e",
    257: "5c1fdfe835358022f2392de478dbe053fc130cfe1d3a082879a90cf6bf14bf7e",
    65536: "07b1a377960a4e12e3348d6e9329ae6316a95b02fb1c22e909231b3aa44861a7",
    70000: "a3920fba7f239a071a9bd10721f1341addefbaededb41c7e24437a9d16bdf00a",
}


@pytest.mark.parametrize("name", sorted(BUILT))
def test_the_code_still_writes_the_committed_bytes(name):
    assert (FOLDER / name).read_bytes() == BUILT[name]


def test_no_vector_file_lies_there_that_nothing_builds():
    kept = {p.name for p in FOLDER.iterdir() if p.is_file()} - {"make.py"}
    assert kept == set(BUILT) | OF_ADAPTERS


def test_every_family_tag_has_its_bytes_fixed():
    assert set(make.EXAMPLES) == set(events.FAMILIES)
    fixed = json.loads((FOLDER / "events.json").read_bytes())["private"]
    assert set(fixed) == set(events.FAMILIES)
    assert len({v["leaf"] for v in fixed.values()}) == len(fixed)


@pytest.mark.parametrize("tag", sorted(make.EXAMPLES))
def test_an_events_bytes_are_rfc8785_and_its_leaf_is_plain_sha256(tag):
    fixed = json.loads((FOLDER / "events.json").read_bytes())["private"][tag]
    raw = fixed["event"].encode()
    assert rfc8785.dumps(json.loads(raw)) == raw
    c = hashlib.sha256(b"evd1" + bytes.fromhex(fixed["salt"]) + raw).digest()
    assert fixed["commitment"] == c.hex()
    assert fixed["entry"] == "00" + c.hex()
    assert fixed["leaf"] == hashlib.sha256(b"\0\0" + c).hexdigest()
    assert events.decode(raw).payload == make.EXAMPLES[tag]


def test_roots_are_those_of_the_field_page():
    trees = json.loads((FOLDER / "tree.json").read_bytes())["trees"]
    assert {n: trees[str(n)]["root"] for n in FIELD_PAGE_ROOTS} == FIELD_PAGE_ROOTS


def test_size_70000_has_the_tiles_of_the_public_example():
    tree = json.loads((FOLDER / "tree.json").read_bytes())["trees"]["70000"]
    assert set(tree["partial"]) == {"tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"}
    assert tree["tiles"] == 273 + 1 + 1 + 1 + 1


def test_the_worked_receipt_is_the_file_of_the_field_page():
    raw = (FOLDER / "worked.tlog-proof").read_bytes()
    assert len(raw) == 785
    assert hashlib.sha256(raw).hexdigest() == (
        "044a88a8e467c8cf9a7c4f7af40ea3c5838e876890716bf4c0beaf993c968400"
    )
    receipt = proof.read_receipt(raw, cast.policy(quorum="w1"))
    assert receipt.c.hex() == "f6f3b9f87567dab45608bd265901c890d6e64399a4e376c6440ee00f2dce604e"
    assert json.loads(receipt.event)["type"] == "consent.withdrawn"
    assert proof.leaf_hash(b"\0" + receipt.c).hex() == (
        "9af456c9710e0dad99ea8fa7b718ce2f8148a4ebbc2d54f8f857c3fa6fb41b9f"
    )


def test_the_events_of_the_worked_receipt_are_read_back():
    _, e2, _ = make.worked_entries()
    event = events.decode(e2)
    assert (event.n, event.type, event.actor) == (2, "consent.withdrawn", "")


def _lp(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(p)) + p for p in parts)


def _hkdf(key: bytes, info: bytes, length: int = 32) -> bytes:
    return HKDF(hashes.SHA256(), length, None, info).derive(key)


def test_a_vault_record_is_aes_256_gcm_bound_by_length_prefixed_columns():
    v = json.loads((FOLDER / "vault.json").read_bytes())
    key, psid = bytes.fromhex(v["key"]), bytes.fromhex(v["psid"])
    u64, u32 = struct.Struct(">Q").pack, struct.Struct(">I").pack
    workspace = bytes.fromhex(v["workspace"])
    aad = _lp(b"pv1", workspace, b"contact.email", psid, u64(0), u64(7), u32(2))
    assert v["record_aad"] == aad.hex()
    event = _lp(b"pv1", workspace, b"event", psid, u64(9), u64(1), u32(2))
    assert v["event_aad"] == event.hex()
    record = bytes.fromhex(v["record"])
    assert record[:6] == b"\x01\x01\x00\x00\x00\x02"
    assert record[6:18] == bytes.fromhex(v["nonce"])
    assert len(record) == len(v["plain"]) + 34
    plain = AESGCM(_hkdf(key, b"pv1rec")).decrypt(record[6:18], record[18:], aad)
    assert plain.decode() == v["plain"]


def test_a_wrapped_key_and_its_check_value_are_what_the_page_says():
    v = json.loads((FOLDER / "vault.json").read_bytes())
    key, psid = bytes.fromhex(v["key"]), bytes.fromhex(v["psid"])
    u32 = struct.Struct(">I").pack
    shard = int.from_bytes(psid[:8], "big") % 1024
    assert v["shard"] == shard
    aad = _lp(
        b"dek1",
        bytes.fromhex(v["workspace"]),
        psid,
        b"purchases/2026Q4",
        u32(3),
        u32(5),
        u32(shard),
    )
    assert v["wrap_aad"] == aad.hex()
    wrapped = bytes.fromhex(v["wrapped"])
    assert wrapped[:6] == b"\x01\x01\x00\x00\x00\x03"
    assert AESGCM(b"\x42" * 32).decrypt(wrapped[6:18], wrapped[18:], aad) == key
    assert v["kcv"] == _hkdf(key, b"pv1kcv")[:16].hex()


def test_a_search_mac_is_truncated_hmac_of_channel_and_address():
    v = json.loads((FOLDER / "vault.json").read_bytes())
    message = _lp(b"email", v["plain"].encode())
    assert v["search_mac"] == hmac.new(b"\x17" * 32, message, "sha256").digest()[:16].hex()


def test_a_behaviour_chunk_is_big_endian_columns_and_a_canonical_tail():
    plain = bytes.fromhex(json.loads((FOLDER / "vault.json").read_bytes())["chunk"])
    version, count, tail_length = struct.unpack_from(">BII", plain)
    assert (version, count) == (1, 3)
    at = struct.unpack_from(">3q", plain, 9)
    assert at == make.CHUNK.at
    kind = struct.unpack_from(">3B", plain, 9 + 24)
    assert kind == make.CHUNK.kind
    tail = plain[-tail_length:]
    assert len(plain) == 9 + 3 * (8 + 1 + 4 + 8 + 4) + tail_length
    assert rfc8785.dumps(json.loads(tail)) == tail
    assert vault.unpack_chunk(plain) == make.CHUNK


def test_a_cosignature_covers_time_and_the_whole_checkpoint():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    note = (FOLDER / "checkpoint-cosigned.note").read_text()
    assert note.startswith((FOLDER / "checkpoint.note").read_text())
    payload = base64.b64decode(note.splitlines()[-1].split(" ")[2])
    policy = (FOLDER / "worked.policy").read_text()
    vkey = base64.b64decode(policy.splitlines()[1].split("+", 2)[2])
    message = f"cosignature/v1\ntime {make.TIMESTAMP}\n" + note.split("\n\n")[0] + "\n"
    assert vkey[0] == 4
    assert payload[:4] == hashlib.sha256(cast.WITNESS.encode() + b"\n" + vkey).digest()[:4]
    assert int.from_bytes(payload[4:12], "big") == make.TIMESTAMP
    Ed25519PublicKey.from_public_bytes(vkey[1:]).verify(payload[12:], message.encode())


def test_a_changed_vector_file_is_noticed(tmp_path):
    changed = bytearray((FOLDER / "vault.json").read_bytes())
    changed[40] ^= 1
    (tmp_path / "vault.json").write_bytes(changed)
    assert (tmp_path / "vault.json").read_bytes() != BUILT["vault.json"]
