"""What a browser needs to check receipts: milliseconds each, beside the kernel's own verifier.

    python bench/verify_browser.py [receipts]

The receipts are of one ledger of a million and three entries (20 hashes each) and of one of 500,
signed once, no witness. Chromium runs the very script that pages load; the kernel runs in this
process. The bar of 20 ms a receipt is for a phone; this machine is none.
"""

import argparse
import base64
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from harness import print_environment, row

from troth import crypto
from troth.kernel import ledger, proof

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "surfaces"))
from verify_pages import bare_page, browser

BAR_MS = 20
SEED, ORIGIN = b"\x05" * 32, "brand.example/ledger"
RUN = """async ([policy, receipts]) => {
    const known = await trothProof.parsePolicy(policy), spent = [];
    for (const each of receipts) {
        const raw = Uint8Array.from(atob(each), c => c.charCodeAt(0));
        const begun = performance.now();
        await trothProof.readReceipt(raw, known);
        spent.push(performance.now() - begun);
    }
    return spent;
}"""


def made(size: int, count: int) -> list[str]:
    """Receipts of the last entries of a ledger of this size."""
    event = b'{"at":"2026-11-24T08:30:00Z","n":2,"type":"consent.withdrawn","v":1}'
    salts = [i.to_bytes(32, "big") for i in range(count)]
    real = [proof.private_entry(proof.commitment(salt, event)) for salt in salts]
    filler = [b"\x00" + i.to_bytes(32, "big") for i in range(size - count)]
    edge, tiles = ledger.Edge(0, []), {}
    for tile in edge.extend(ledger.leaf_hashes([*real, *filler])):
        tiles[tile.level, tile.number] = tile.hashes
    note = ledger.sign_checkpoint(proof.Checkpoint(ORIGIN, size, edge.root()), [SEED])
    read = lambda level, number: tiles[level, number]  # noqa: E731
    return [
        ledger.receipt(proof.event_extra(salt, event), i, note, read)
        for i, salt in enumerate(salts)
    ]


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("receipts", nargs="?", type=int, default=200)
    count = asked.parse_args().receipts
    print_environment("playwright")
    text = f"log {ledger.log_key(ORIGIN, SEED).vkey}\nquorum none\n"
    policy = proof.parse_policy(text, crypto.ed25519_verify)
    with browser() as opened, tempfile.TemporaryDirectory() as folder:
        print(f"browser {opened.version}")
        page = bare_page(opened, Path(folder), "verify.js")
        for size in (500, 1_000_003):
            receipts = made(size, count)
            begun = time.perf_counter()
            for each in receipts:
                proof.verify_receipt(each, policy)
            kernel = (time.perf_counter() - begun) / count * 1_000
            given = [base64.b64encode(each.encode()).decode() for each in receipts]
            spent = sorted(page.evaluate(RUN, [text, given]))
            told = {
                "entries": size, "receipts": count, "bytes": len(receipts[0]),
                "median_ms": round(statistics.median(spent), 2),
                "p95_ms": round(spent[int(count * 0.95)], 2), "kernel_ms": round(kernel, 2),
            }  # fmt: skip
            print(json.dumps(told))
            row(
                f"browser check, {size} entries", ours=1_000 / statistics.median(spent),
                peer=1_000 / kernel, bar=1_000 / BAR_MS, unit="receipts per second",
            )  # fmt: skip


if __name__ == "__main__":
    main()
