"""What we write verifies in another language, by a program that shares no line with ours."""

import json
import subprocess
from pathlib import Path

import cast
import pytest

from troth.kernel import events, ledger, proof

SCRIPT = Path(__file__).with_name("receipt_in_node.mjs")
VECTORS = Path(cast.__file__).parent / "vectors"
LOG = ledger.log_key(cast.ORIGIN, cast.LOG_SEED).vkey
WITNESS = proof.Key(
    cast.WITNESS, proof.ED25519_COSIGNATURE, cast.crypto.ed25519_public(cast.WITNESS_SEED)
).vkey


def asked(receipt, witness=WITNESS, tiles=None):
    command = ["node", SCRIPT, receipt, LOG, witness, *([tiles] if tiles else [])]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_the_worked_receipts_verify_elsewhere_with_their_witness():
    for name in ("worked.tlog-proof", "worked-erased.tlog-proof"):
        assert asked(VECTORS / name) == {
            "verified": True, "index": 3, "size": 5, "cosigned": True,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [("\n3\n", "\n4\n"), ("index 3", "index 2"), ("extra Ab", "extra Ac"), ("\n5\n", "\n6\n")],
)
def test_elsewhere_a_changed_receipt_is_refused_too(tmp_path, old, new):
    text = (VECTORS / "worked.tlog-proof").read_text()
    (tmp_path / "r").write_text(text.replace(old, new, 1))
    if old in text:
        assert asked(tmp_path / "r")["verified"] is False


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700])
def test_tiles_and_receipts_of_every_shape_verify_elsewhere(tmp_path, size):
    tree = cast.Tiles()
    entries = [
        proof.private_entry(proof.commitment(bytes([i % 251]) * 32, b"{}"))
        for i in range(size - 1)
    ]
    entries.append(events.public_entry({"type": "erase.done"}))
    tree.add(entries)
    point = proof.Checkpoint(cast.ORIGIN, size, tree.edge.root())
    note = ledger.cosign(
        ledger.sign_checkpoint(point, [cast.LOG_SEED]), cast.WITNESS, cast.WITNESS_SEED, 1_795_000_000
    )  # fmt: skip
    for (level, number), raw in tree.tiles.items():
        path = tmp_path / ledger.tile_path(level, number, len(raw) // 32)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    last = size - 1
    for index in {0, last // 2, last}:
        extra = (
            proof.public_extra(entries[index]) if index == last
            else proof.event_extra(bytes([index % 251]) * 32, b"{}")
        )  # fmt: skip
        text = ledger.receipt(extra, index, note, tree.read)
        read = proof.read_receipt(text, cast.policy(quorum="w1"))
        assert (read.statement is not None) == (index == last)
        (tmp_path / "r").write_text(text)
        assert asked(tmp_path / "r", tiles=tmp_path)["verified"] is True
