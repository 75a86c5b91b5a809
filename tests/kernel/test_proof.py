"""A proof that holds is accepted; nothing else is, whatever is done to it."""

import hashlib
from pathlib import Path

import cast
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from troth import crypto
from troth.errors import EvidenceBroken, Fault, InvalidInput
from troth.kernel import ledger, proof

VECTORS = Path(cast.__file__).parent / "vectors"
RECEIPT = (VECTORS / "worked.tlog-proof").read_bytes()
POLICY = cast.policy(quorum="w1")
SMALL = 130
ENTRIES = [b"entry %d" % i for i in range(SMALL)]
LEAVES = [proof.leaf_hash(e) for e in ENTRIES]


def by_the_book(leaves):
    """RFC 6962 section 2.1, word for word; nothing of ours."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    pair = by_the_book(leaves[:k]) + by_the_book(leaves[k:])
    return hashlib.sha256(b"\x01" + pair).digest()


def path_by_the_book(m, leaves):
    if len(leaves) == 1:
        return []
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    if m < k:
        return [*path_by_the_book(m, leaves[:k]), by_the_book(leaves[k:])]
    return [*path_by_the_book(m - k, leaves[k:]), by_the_book(leaves[:k])]


ROOTS = [by_the_book(LEAVES[:n]) for n in range(SMALL + 1)]


def refused(**question):
    with pytest.raises((InvalidInput, EvidenceBroken)):
        proof.verify_inclusion(**question)


@pytest.mark.parametrize("size", [*range(1, 34), 63, 64, 65, 127, 128, 129, 130])
def test_every_entry_of_every_small_ledger_verifies_and_no_forgery_does(size):
    root = ROOTS[size]
    for index in range(size):
        path = path_by_the_book(index, LEAVES[:size])
        place = {"index": index, "size": size, "path": path, "root": root}
        proof.verify_inclusion(ENTRIES[index], **place)
        assert proof.root_from_inclusion(LEAVES[index], index, size, path) == root
        refused(entry=ENTRIES[index] + b"x", **place)
        refused(entry=ENTRIES[index], **{**place, "index": (index + 1) % size + (size == 1)})
        refused(entry=ENTRIES[index], **{**place, "root": ROOTS[size - 1]})
        refused(entry=ENTRIES[index], **{**place, "path": [*path, root]})
        if path:
            refused(entry=ENTRIES[index], **{**place, "path": path[:-1]})
            refused(entry=ENTRIES[index], **{**place, "path": [*path[:-1], path[-1][:31]]})
            flipped = bytes([path[0][0] ^ 1]) + path[0][1:]
            refused(entry=ENTRIES[index], **{**place, "path": [flipped, *path[1:]]})


def test_every_entry_of_every_ledger_up_to_130_verifies_from_tiles():
    tiles = cast.Tiles()
    for size in range(1, SMALL + 1):
        tiles.add([ENTRIES[size - 1]])
        assert tiles.edge.root() == ROOTS[size]
        for index in range(size):
            path = ledger.inclusion_path(index, size, tiles.read)
            proof.verify_inclusion(
                ENTRIES[index], index=index, size=size, path=path, root=ROOTS[size]
            )


def test_every_pair_of_small_sizes_is_consistent_and_no_other_pair_of_roots_is():
    tiles = cast.Tiles().add(ENTRIES)
    for size2 in range(1, SMALL + 1):
        for size1 in range(1, size2 + 1):
            path = ledger.consistency_path(size1, size2, tiles.read)
            good = {
                "size1": size1, "size2": size2, "root1": ROOTS[size1], "root2": ROOTS[size2],
                "path": path,
            }  # fmt: skip
            proof.verify_consistency(**good)
            bad = [{"root1": ROOTS[size1 - 1]}, {"root2": ROOTS[size2 - 1]}]
            bad += [{"path": [*path, ROOTS[1]]}, {"path": path[:-1]} if path else {"size1": 0}]
            if len(path) > 1:
                bad.append({"path": path[::-1]})
            for change in bad:
                with pytest.raises((InvalidInput, EvidenceBroken)):
                    proof.verify_consistency(**{**good, **change})


def test_sizes_in_the_wrong_order_are_a_malformed_question():
    for size1, size2 in ((0, 1), (2, 1), (-1, 3)):
        with pytest.raises(InvalidInput):
            proof.verify_consistency(
                size1=size1, size2=size2, root1=ROOTS[1], root2=ROOTS[1], path=[]
            )


def test_hashes_of_another_length_than_32_bytes_are_a_malformed_question():
    short = ROOTS[2][:31]
    with pytest.raises(InvalidInput):
        proof.verify_inclusion(ENTRIES[0], index=0, size=2, path=[LEAVES[1]], root=short)
    good = {"size1": 2, "size2": 2, "root1": ROOTS[2], "root2": ROOTS[2], "path": []}
    proof.verify_consistency(**good)
    for change in ({"root1": short}, {"root2": short + b"xy"}, {"path": [short]}):
        with pytest.raises(InvalidInput):
            proof.verify_consistency(**{**good, **change})


def test_a_receipt_longer_than_any_is_refused_before_it_is_read():
    for text in ("x" * (proof.MAX_RECEIPT_BYTES + 1), b"\xff" * (proof.MAX_RECEIPT_BYTES + 1)):
        with pytest.raises(InvalidInput, match="at most"):
            proof.read_receipt(text, POLICY)


def test_L3_two_histories_of_one_size_never_prove_consistent():
    other = cast.Tiles().add([*ENTRIES[:50], b"another", *ENTRIES[51:100]])
    path = ledger.consistency_path(60, 100, other.read)
    with pytest.raises(EvidenceBroken):
        proof.verify_consistency(
            size1=60, size2=100, root1=ROOTS[60], root2=other.edge.root(), path=path
        )
    with pytest.raises(EvidenceBroken):
        proof.verify_consistency(
            size1=100, size2=100, root1=ROOTS[100], root2=other.edge.root(), path=[]
        )


def test_L8_a_node_is_no_leaf_and_a_public_statement_no_private_event():
    left, right = LEAVES[0], LEAVES[1]
    assert proof.leaf_hash(left + right) != proof.node_hash(left, right)
    refused(entry=left + right, index=0, size=1, path=[], root=ROOTS[2])
    c = b"\x07" * 32
    root = proof.leaf_hash(b"\x01" + c)
    refused(entry=proof.private_entry(c), index=0, size=1, path=[], root=root)


# Receipts


def lines_of(raw=RECEIPT):
    return raw.decode().split("\n")


def joined(lines):
    return "\n".join(lines)


def test_the_worked_receipt_verifies_as_text_and_as_bytes():
    assert proof.verify_receipt(RECEIPT, POLICY) is None
    assert proof.verify_receipt(RECEIPT.decode(), POLICY) is None


def test_an_erased_receipt_proves_existence_and_reveals_nothing():
    raw = (VECTORS / "worked-erased.tlog-proof").read_bytes()
    receipt = proof.read_receipt(raw, POLICY)
    assert receipt.event is None
    assert receipt.c == proof.read_receipt(RECEIPT, POLICY).c


def signed_receipt(*, note_lines=None, extra_lines=(), index=3, path=None, extra=None):
    lines = lines_of()
    lines[2] = f"index {index}"
    if path is not None:
        lines[3:6] = path
    if extra is not None:
        lines[1] = f"extra {extra}"
    head, note = joined(lines).split("\n\n", 1)
    text, signatures = note.split("\n\n")
    kept = note_lines or signatures.strip("\n").split("\n")
    return f"{head}\n\n{text}\n\n" + "\n".join([*kept, *extra_lines]) + "\n"


LOG_LINE, WITNESS_LINE = lines_of()[11:13]
STRANGER = proof.Key("stranger.example/w", proof.ED25519_COSIGNATURE, b"\x05" * 32)
FORGERIES = {
    "wrong index": signed_receipt(index=2),
    "index beyond size": signed_receipt(index=5),
    "index with leading zero": signed_receipt(index="03"),
    "index with plus": signed_receipt(index="+3"),
    "index in another script": signed_receipt(index="\u0663"),
    "wrong size": RECEIPT.decode().replace("\n5\n", "\n6\n"),
    "size with leading zero": RECEIPT.decode().replace("\n5\n", "\n05\n"),
    "missing hash": joined(lines_of()[:5] + lines_of()[6:]),
    "extra hash": joined([*lines_of()[:6], lines_of()[5], *lines_of()[6:]]),
    "hashes in another order": joined([*lines_of()[:3], *lines_of()[3:6][::-1], *lines_of()[6:]]),
    "hash of 31 bytes": signed_receipt(path=[*lines_of()[3:5], proof.b64(b"\x01" * 31)]),
    "hash of 33 bytes": signed_receipt(path=[*lines_of()[3:5], proof.b64(b"\x01" * 33)]),
    "base64 not canonical": RECEIPT.decode().replace("XQI=\n", "XQJ=\n"),
    "base64 without padding": RECEIPT.decode().replace("XQI=\n", "XQI\n"),
    "base64 with url letters": RECEIPT.decode().replace("+yMv", "-yMv"),
    "base64 with a space": RECEIPT.decode().replace("+yMv", "+yM v"),
    "log line doubled": signed_receipt(note_lines=[LOG_LINE, LOG_LINE, WITNESS_LINE]),
    "witness line doubled": signed_receipt(note_lines=[LOG_LINE, WITNESS_LINE, WITNESS_LINE]),
    "too many signatures": signed_receipt(
        extra_lines=[
            proof.note_line(proof.Key(f"x{i}.example", 1, b"\x05" * 32), b"\x01" * 64).rstrip("\n")
            for i in range(63)
        ]
    ),
    "no log signature": signed_receipt(note_lines=[WITNESS_LINE]),
    "no witness": signed_receipt(note_lines=[LOG_LINE]),
    "unknown witness only": signed_receipt(
        note_lines=[LOG_LINE, proof.note_line(STRANGER, b"\x01" * 72).rstrip("\n")]
    ),
    "witness key id of another name": signed_receipt(
        note_lines=[LOG_LINE, WITNESS_LINE.replace("witness.example/w1", "witness.example/w2")]
    ),
    "log name on the witness key": signed_receipt(
        note_lines=[LOG_LINE, WITNESS_LINE.replace("witness.example/w1", cast.ORIGIN)]
    ),
    "em dash replaced": RECEIPT.decode().replace("\u2014", "-"),
    "no final newline": RECEIPT.decode()[:-1],
    "two final newlines": RECEIPT.decode() + "\n",
    "carriage returns": RECEIPT.decode().replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + RECEIPT.decode(),
    "another header": RECEIPT.decode().replace("@v1", "@v2"),
    "an extension line": RECEIPT.decode().replace("ftA=\n\n", "ftA=\nmore\n\n"),
    "another origin": RECEIPT.decode().replace("brand.example/ledger", "brand.example/other"),
    "an unknown extra": signed_receipt(extra=proof.b64(b"\x03" + b"\x00" * 64)),
    "a short erased extra": signed_receipt(extra=proof.b64(b"\x02" + b"\x00" * 31)),
    "an empty extra": signed_receipt(extra=""),
    "a tree deeper than any": signed_receipt(path=[lines_of()[3]] * 256),
    "more bytes than are read": RECEIPT.decode() + "\u2014" * proof.MAX_RECEIPT_BYTES,
    "nothing": "",
}


@pytest.mark.parametrize("kind", sorted(FORGERIES))
def test_L7_no_forged_receipt_is_accepted(kind):
    assert FORGERIES[kind].encode() != RECEIPT
    with pytest.raises((InvalidInput, EvidenceBroken)):
        proof.verify_receipt(FORGERIES[kind], POLICY)


def test_L7_a_known_key_with_a_bad_signature_spoils_the_whole_note():
    wrong = WITNESS_LINE[:-6] + "AAAA" + WITNESS_LINE[-2:]
    with pytest.raises((InvalidInput, EvidenceBroken)):
        proof.verify_receipt(signed_receipt(note_lines=[LOG_LINE, wrong]), cast.policy())


def test_L7_a_witness_is_counted_once_whatever_it_signs():
    note = RECEIPT.decode().split("\n\n", 1)[1]
    twice = ledger.cosign(note, cast.WITNESS, cast.WITNESS_SEED, 1_795_000_001)
    policy = cast.policy("group g 1 w1", quorum="g")
    with pytest.raises(InvalidInput):
        proof.verify_note(twice, policy)


@pytest.mark.parametrize("timestamp", [0, 1 << 63])
def test_a_cosignature_of_no_time_does_not_count(timestamp):
    note = (VECTORS / "checkpoint.note").read_text()
    text = note.split("\n\n")[0] + "\n"
    key = proof.Key(
        cast.WITNESS, proof.ED25519_COSIGNATURE, crypto.ed25519_public(cast.WITNESS_SEED)
    )
    signed = crypto.ed25519_sign(cast.WITNESS_SEED, proof.cosigned_text(text, timestamp))
    line = proof.note_line(key, timestamp.to_bytes(8, "big") + signed)
    with pytest.raises(EvidenceBroken):
        proof.verify_note(note + line, POLICY)


def test_an_unknown_signer_beside_a_known_one_is_ignored():
    same_name = proof.Key(cast.ORIGIN, proof.ED25519_NOTE, b"\x05" * 32)
    extra = [proof.note_line(k, b"\x01" * 64).rstrip("\n") for k in (STRANGER, same_name)]
    proof.verify_receipt(signed_receipt(extra_lines=extra), POLICY)


def test_sixteen_signature_lines_are_accepted():
    extra = [
        proof.note_line(proof.Key(f"x{i}.example", 1, b"\x05" * 32), b"\x01" * 64).rstrip("\n")
        for i in range(14)
    ]
    proof.verify_receipt(signed_receipt(extra_lines=extra), POLICY)


def mutants(raw):
    """Every one-place edit of a receipt: cut, doubled, swapped, replaced, inserted."""
    letters = b"\x00\t\n\r +-/019=AZaz\xff"
    for at in range(len(raw)):
        yield raw[:at] + raw[at + 1 :]
        yield raw[:at] + raw[at : at + 1] + raw[at:]
        yield raw[:at] + raw[at + 1 : at + 2] + raw[at : at + 1] + raw[at + 2 :]
        yield raw[:at]
        for bit in range(8):
            yield raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
        for letter in letters:
            yield raw[:at] + bytes([letter]) + raw[at + 1 :]
            yield raw[:at] + bytes([letter]) + raw[at:]


def test_L7_not_one_of_twenty_thousand_edits_of_a_receipt_is_accepted():
    tried = set()
    for raw in mutants(RECEIPT):
        if raw == RECEIPT or raw in tried:
            continue
        tried.add(raw)
        try:
            proof.read_receipt(raw, POLICY)
        except (InvalidInput, EvidenceBroken):
            continue
        pytest.fail(f"accepted: {raw!r}")
    assert len(tried) >= 20_000


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.text(st.characters(), max_size=400)))
def test_nothing_but_a_fault_escapes_a_reader(garbage):
    as_text = garbage.decode("utf-8", "replace") if isinstance(garbage, bytes) else garbage
    for read in (
        lambda: proof.read_receipt(garbage, POLICY),
        lambda: proof.parse_note(as_text),
        lambda: proof.parse_checkpoint(as_text),
        lambda: proof.parse_vkey(as_text),
        lambda: proof.verify_note(as_text, POLICY),
        lambda: proof.parse_policy(as_text, crypto.ed25519_verify),
        lambda: proof.parse_policy("log " + as_text, crypto.ed25519_verify),
    ):
        try:  # noqa: SIM105
            read()
        except Fault:
            pass


def test_a_name_that_is_no_text_is_a_malformed_key_not_a_crash():
    raw = proof.b64(b"\x01" + b"\x05" * 32)
    with pytest.raises(InvalidInput):
        proof.parse_vkey(f"\udc80+00000000+{raw}")


# Notes and policies


def test_the_public_example_of_the_signed_note_page_verifies():
    vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    line = (
        "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjO"
        "BH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    )
    key = proof.parse_vkey(vkey)
    assert key.vkey == vkey
    text, signatures = proof.parse_note("This is an example message.\n\n" + line)
    assert text == "This is an example message.\n"
    assert (signatures[0].name, signatures[0].id) == (key.name, key.id)
    assert crypto.ed25519_verify(key.public, signatures[0].signature, text.encode())
    assert not crypto.ed25519_verify(key.public, signatures[0].signature, b"another message.\n")


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "a b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+BukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U",
    ],
)
def test_a_malformed_verifier_key_is_refused(vkey):
    with pytest.raises(InvalidInput):
        proof.parse_vkey(vkey)


def key_line(seed, name, kind=proof.ED25519_COSIGNATURE):
    return proof.Key(name, kind, crypto.ed25519_public(bytes([seed]) * 32)).vkey


LOG = "log " + key_line(1, cast.ORIGIN, proof.ED25519_NOTE)
W = [f"witness w{i} " + key_line(10 + i, f"w{i}.example") for i in range(40)]
BAD_POLICIES = {
    "empty": "",
    "no quorum": LOG,
    "no log": "quorum none",
    "two quorums": f"{LOG}\nquorum none\nquorum none",
    "quorum of nobody": f"{LOG}\nquorum w9",
    "quorum before its group": f"{LOG}\nquorum g\n{W[0]}\ngroup g all w0",
    "unknown word": f"{LOG}\nlogs x\nquorum none",
    "upper case word": f"{LOG}\nQUORUM none",
    "log without key": "log\nquorum none",
    "log with three words": f"{LOG} a b\nquorum none",
    "log with a witness key": "log " + key_line(1, "x") + "\nquorum none",
    "witness with a log key": f"{LOG}\nwitness w {key_line(3, 'w', 1)}\nquorum none",
    "witness without key": f"{LOG}\nwitness w0\nquorum none",
    "witness with four words": f"{LOG}\n{W[0]} a b\nquorum none",
    "log twice": f"{LOG}\n{LOG}\nquorum none",
    "witness name twice": f"{LOG}\n{W[0]}\n{W[1].replace('w1 ', 'w0 ')}\nquorum none",
    "witness key twice": f"{LOG}\n{W[0]}\n{W[0].replace('w0 ', 'v0 ')}\nquorum none",
    "witness called none": f"{LOG}\n{W[0].replace('w0 ', 'none ')}\nquorum none",
    "group of later member": f"{LOG}\ngroup g any w0\n{W[0]}\nquorum g",
    "group of itself": f"{LOG}\ngroup g any g\nquorum g",
    "group without members": f"{LOG}\ngroup g any\nquorum g",
    "member twice in a group": f"{LOG}\n{W[0]}\ngroup g 2 w0 w0\nquorum g",
    "member of two groups": f"{LOG}\n{W[0]}\ngroup g any w0\ngroup h any w0\nquorum g",
    "zero of a group": f"{LOG}\n{W[0]}\ngroup g 0 w0\nquorum g",
    "more than all of a group": f"{LOG}\n{W[0]}\ngroup g 2 w0\nquorum g",
    "group number with zero": f"{LOG}\n{W[0]}\ngroup g 01 w0\nquorum g",
    "negative group": f"{LOG}\n{W[0]}\ngroup g -1 w0\nquorum g",
    "another space": f"{LOG}\nquorum\u00a0none",
    "carriage return": f"{LOG}\r\nquorum none\r",
    "more lines than are read": "\n".join([LOG, "quorum none", *["#"] * 1_000, "nonsense"]),
}


@pytest.mark.parametrize("kind", sorted(BAD_POLICIES))
def test_a_policy_in_doubt_is_refused(kind):
    with pytest.raises(InvalidInput):
        proof.parse_policy(BAD_POLICIES[kind], crypto.ed25519_verify)


def test_a_policy_of_32_logs_witnesses_and_groups_is_read():
    logs = ["log " + key_line(100 + i, f"log{i}", proof.ED25519_NOTE) for i in range(32)]
    groups = [f"group g{i} any w{i}" for i in range(32)]
    text = "\n".join([" # comment", *logs, "", *W[:32], *groups, "\tquorum \t g31  ", ""])
    policy = proof.parse_policy(text, crypto.ed25519_verify)
    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (32, 32, 32)


def cosigned_by(seeds, policy):
    note = (VECTORS / "checkpoint.note").read_text()
    for i in seeds:
        note = ledger.cosign(note, f"w{i}.example", bytes([10 + i]) * 32, 1_795_000_000)
    return proof.verify_note(note, policy)


@pytest.mark.parametrize(
    ("rule", "enough", "too_few"),
    [
        ("quorum w0", [0], [1, 2]),
        ("group g any w0 w1\nquorum g", [1], [2]),
        ("group g all w0 w1\nquorum g", [0, 1], [1]),
        ("group g 2 w0 w1 w2\nquorum g", [0, 2], [2]),
        ("group a all w0 w1\ngroup b all w2 w3\ngroup g any a b\nquorum g", [2, 3], [0, 2]),
        ("quorum none", [], None),
    ],
)
def test_a_quorum_counts_distinct_known_witnesses(rule, enough, too_few):
    log = "log " + ledger.log_key(cast.ORIGIN, cast.LOG_SEED).vkey
    policy = proof.parse_policy("\n".join([log, *W[:4], rule]), crypto.ed25519_verify)
    assert cosigned_by(enough, policy).size == 5
    if too_few is not None:
        with pytest.raises(EvidenceBroken):
            cosigned_by(too_few, policy)


def test_groups_nested_hundreds_deep_are_counted_without_exhausting_the_stack():
    log = "log " + ledger.log_key(cast.ORIGIN, cast.LOG_SEED).vkey
    nested = [f"group g{i} any " + (f"g{i - 1}" if i else "w0") for i in range(900)]
    text = "\n".join([log, W[0], *nested, "quorum g899"])
    policy = proof.parse_policy(text, crypto.ed25519_verify)
    assert cosigned_by([0], policy).size == 5
    with pytest.raises(EvidenceBroken):
        cosigned_by([], policy)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "o\n1\nAA==\n",
        "\n1\n" + proof.b64(b"\x01" * 32) + "\n",
        "o\n0\n" + proof.b64(b"\x01" * 32) + "\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text):
    with pytest.raises(InvalidInput):
        proof.parse_checkpoint(text)


def test_an_empty_ledgers_checkpoint_is_read():
    text = proof.Checkpoint("o", 0, proof.EMPTY_ROOT).text
    assert proof.parse_checkpoint(text).size == 0


# Keys that changed, public statements


def statement_receipt(extra=None, index=2):
    entries = [b"entry %d" % i for i in range(2)] + [b'\x01{"type":"erase.done","v":1}']
    tiles = cast.Tiles().add(entries)
    point = proof.Checkpoint(cast.ORIGIN, 3, tiles.edge.root())
    note = ledger.sign_checkpoint(point, [cast.LOG_SEED])
    made = proof.public_extra(entries[2]) if extra is None else extra
    return ledger.receipt(made, index, note, tiles.read)


def test_a_public_statement_is_proved_as_what_it_is():
    read = proof.read_receipt(statement_receipt(), cast.policy())
    assert (read.statement, read.event, read.c) == (b'{"type":"erase.done","v":1}', None, b"")
    for extra in (b"\x03", b"\x03\x01", b"\x03\x00" + bytes(32), b"\x03\x01{}", b"\x04\x01{}"):
        with pytest.raises((InvalidInput, EvidenceBroken)):
            proof.read_receipt(statement_receipt(extra), cast.policy())


def two_keys(*lines):
    text = "\n".join([*lines, "quorum none"])
    return proof.parse_policy(text, crypto.ed25519_verify)


OLD, NEW = (ledger.log_key(cast.ORIGIN, seed) for seed in (cast.LOG_SEED, b"\x09" * 32))


def signed_at(size, *seeds):
    return ledger.sign_checkpoint(proof.Checkpoint(cast.ORIGIN, size, ROOTS[size]), list(seeds))


def test_of_two_keys_of_a_log_either_is_enough_and_neither_may_be_wrong():
    policy = two_keys(f"log {OLD.vkey}", f"log {NEW.vkey}")
    for seeds in ([cast.LOG_SEED], [b"\x09" * 32], [cast.LOG_SEED, b"\x09" * 32]):
        assert proof.verify_note(signed_at(5, *seeds), policy).size == 5
    other = proof.parse_note(signed_at(6, b"\x09" * 32))[1][0]
    spoilt = signed_at(5, cast.LOG_SEED) + proof.note_line(NEW, other.signature)
    with pytest.raises(EvidenceBroken, match="wrong"):
        proof.verify_note(spoilt, policy)


def test_L14_a_disowned_key_is_believed_up_to_its_cutoff_and_no_further():
    policy = two_keys(f"{proof.UNTIL} 5 {OLD.vkey}", f"log {NEW.vkey}")
    assert proof.verify_note(signed_at(5, cast.LOG_SEED), policy).size == 5
    with pytest.raises(EvidenceBroken, match="disowned"):
        proof.verify_note(signed_at(6, cast.LOG_SEED), policy)
    assert proof.verify_note(signed_at(6, cast.LOG_SEED, b"\x09" * 32), policy).size == 6
    with pytest.raises(EvidenceBroken, match="no log"):
        proof.verify_note(signed_at(6, b"\x08" * 32), policy)


def test_to_another_verifier_a_disowned_key_is_a_comment():
    assert proof.UNTIL.startswith("#")
    line = f"{proof.UNTIL} 5 {OLD.vkey}"
    for wrong in (
        f"{proof.UNTIL} {OLD.vkey}",
        f"{proof.UNTIL} -1 {OLD.vkey}",
        f"{line} x",
        f"{line}\n{line}",
    ):
        with pytest.raises(InvalidInput):
            two_keys(wrong, f"log {NEW.vkey}")


def test_a_note_with_half_a_character_is_refused():
    with pytest.raises(InvalidInput):
        proof.parse_note("\ud800\n" + signed_at(5, cast.LOG_SEED))
