"""The verifier in the browser says what the kernel's says: on vectors, mutations and histories."""

import random
from pathlib import Path

import cast
import pytest
from portal_door import shop
from verify_pages import KINDS, STATIC, bare_page, browser, in_browser, in_python, mutations

from troth import crypto
from troth.capabilities import rights
from troth.kernel import events, ledger, proof

VECTORS = Path(cast.__file__).parent / "vectors"
POLICY = (VECTORS / "worked.policy").read_text()
RECEIPT = (VECTORS / "worked.tlog-proof").read_bytes()
ERASED = (VECTORS / "worked-erased.tlog-proof").read_bytes()
OTHER = bytes(range(32))
SEED, ORIGIN = b"\x09" * 32, "brand.example/ledger"
COMPARE = """async ([heads, tiles]) => {
    const store = new Map(), out = [];
    const memory = new trothHistory.Memory(
        {getItem: k => store.get(k) ?? null, setItem: (k, v) => store.set(k, v)}, 'x');
    for (const [size, root, note, online] of heads) {
        const get = async path => {
            if (!online) throw new TypeError('offline');
            const hashes = tiles[online][path];
            if (!hashes) throw new TypeError('404');
            return Uint8Array.from(atob(hashes), c => c.charCodeAt(0));
        };
        const head = {size: BigInt(size), root: trothProof.unb64(root)};
        out.push(await trothHistory.remember(memory, head, note, get));
    }
    return [out, memory.get()];
}"""


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    return bare_page(chromium, tmp_path_factory.mktemp("bare"))


def kernel_policy(text=POLICY):
    return proof.parse_policy(text, crypto.ed25519_verify)


def same_verdicts(page, policy, receipts):
    """Both verifiers on each receipt; returns the pairs on which they differ, and who was let in."""
    theirs = [KINDS.get(said, said) for said in in_browser(page, policy, receipts)]
    ours = in_python(kernel_policy(policy), receipts)
    both = zip(receipts, theirs, ours, strict=True)
    return [(raw, a, b) for raw, a, b in both if a != b], theirs.count("holds")


def test_the_worked_receipts_hold_in_the_browser(page):
    assert in_browser(page, POLICY, [RECEIPT, ERASED]) == ["holds", "holds"]


def test_real_receipts_of_a_shop_hold_in_the_browser(page):
    ws = shop().ws
    found = rights.receipts(ws.desk, shop().person("cast-adult"), ws.sign())
    policy = f"log {ws.signer.key.vkey}\nquorum none\n"
    texts = [each.text.encode() for each in found]
    assert len(texts) > 5
    assert set(in_browser(page, policy, texts)) == {"holds"}


def test_a_slice_of_every_kind_of_edit_is_refused_as_the_kernel_refuses_it(page):
    chosen = random.Random(3).sample(mutations(RECEIPT), 1_500)
    assert same_verdicts(page, POLICY, chosen) == ([], 0)


def test_the_comparison_would_notice_a_verifier_that_lets_things_through(page):
    found, held = same_verdicts(page, POLICY, [RECEIPT, RECEIPT[:-2]])
    assert (found, held) == ([], 1)
    assert in_browser(page, POLICY.replace("quorum w1", "quorum none"), [RECEIPT]) == ["holds"]


def test_signatures_may_stand_in_any_order_and_nothing_else_may_move(page):
    lines = RECEIPT.decode().split("\n")
    lines[-3], lines[-2] = lines[-2], lines[-3]
    assert same_verdicts(page, POLICY, ["\n".join(lines).encode()]) == ([], 1)


@pytest.mark.soak
def test_ten_thousand_edits_of_receipts_are_all_refused_and_as_the_kernel_refuses_them(page):
    ws = shop().ws
    note = ws.sign()
    real = rights.receipts(ws.desk, shop().person("cast-adult"), note)[3].text.encode()
    own = f"log {ws.signer.key.vkey}\nquorum none\n"
    for policy, receipt in ((POLICY, RECEIPT), (POLICY, ERASED), (own, real)):
        edits = mutations(receipt)
        found, held = same_verdicts(page, policy, edits)
        assert (found[:3], held) == ([], 0)
        assert len(edits) >= 5_000


def test_policies_are_read_as_the_kernel_reads_them(page):
    key, witness = POLICY.split()[1], POLICY.split()[4]
    texts = [
        POLICY, "", "quorum none\n", f"log {key}\n", f"log {key}\nquorum none\nquorum none\n",
        f"log {key}\nlog {key}\nquorum none\n", f"  log\t{key}  url \n# x\n\nquorum none",
        f"log {key}\nwitness w {witness}\ngroup g 2 w\nquorum g\n",
        f"log {key}\nwitness w {witness}\ngroup g any w\nquorum g\n",
        f"log {key}\nwitness w {witness}\ngroup g 01 w\nquorum g\n",
        f"log {key}\nwitness w {witness}\ngroup g all w w\nquorum g\n",
        f"log {key}\nwitness none {witness}\nquorum none\n",
        f"log {key}\nwitness w {witness}\ngroup w any w\nquorum w\n",
        f"log {key}\nquorum nobody\n", f"log {key}x\nquorum none\n", f"log {key[:-1]}\nquorum none\n",
        f"log {witness}\nquorum none\n", f"log {key} url more\nquorum none\n",
        f"log {key.replace('2341588b', '2341588B')}\nquorum none\n",
        f"log {key}\ngroup g constructor w\nquorum none\n", f"say {key}\nquorum none\n",
        f"log {key}\n" + "#\n" * 1_000 + "quorum none\n",
    ]  # fmt: skip
    ask = "async texts => Promise.all(texts.map(t => trothProof.parsePolicy(t).then(() => true, f => f.code)))"
    theirs = page.evaluate(ask, texts)
    ours = []
    for text in texts:
        try:
            kernel_policy(text)
            ours.append(True)
        except proof.InvalidInput:
            ours.append("malformed")
    assert theirs == ours
    assert ours.count(True) == 3


PUBLIC = """async ([policy, text]) => {
    const known = await trothProof.parsePolicy(policy), raw = trothProof.utf8(text), out = [];
    for (const statements of [false, true]) {
        try { out.push((await trothProof.readReceipt(raw, known, statements)).statement); }
        catch (fault) { out.push(fault.code); }
    }
    return out;
}"""


def test_the_proof_of_a_public_statement_is_read_only_where_it_is_asked_for(page):
    entry = events.public_entry({"type": "erase.done", "subject": "ab"})
    leaves = [b"entry 0", entry, b"entry 2"]
    tile = ledger.Edge(0, []).extend(ledger.leaf_hashes(leaves))[0].hashes
    root = ledger.subtree_root(ledger.leaf_hashes(leaves))
    note = ledger.sign_checkpoint(proof.Checkpoint(ORIGIN, 3, root), [SEED])
    policy = f"log {ledger.log_key(ORIGIN, SEED).vkey}\nquorum none\n"
    good = ledger.receipt(b"\x03" + entry, 1, note, lambda *_: tile)
    assert page.evaluate(PUBLIC, [policy, good]) == ["malformed", entry[1:].decode()]
    other = ledger.receipt(b"\x03" + entry.replace(b"ab", b"ac"), 1, note, lambda *_: tile)
    assert page.evaluate(PUBLIC, [policy, other]) == ["malformed", "altered"]
    private = ledger.receipt(b"\x03\x00" + b"\x01" * 32, 1, note, lambda *_: tile)
    assert page.evaluate(PUBLIC, [policy, private]) == ["malformed", "malformed"]


def log(size, fork=None):
    """A ledger of so many entries: signed heads at any size, and its tiles by path, base64."""
    entries = [
        b"entry %d" % i if fork is None or i < fork else b"other %d" % i for i in range(size)
    ]
    edge, tiles = ledger.Edge(0, []), {}
    for tile in edge.extend(ledger.leaf_hashes(entries)):
        tiles[tile.level, tile.number] = tile.hashes

    def head(at):
        root = ledger.tree_root(at, lambda level, number: tiles[level, number])
        note = ledger.sign_checkpoint(proof.Checkpoint(ORIGIN, at, root), [SEED])
        return [str(at), proof.b64(root), note]

    served = {}
    for (level, number), raw in tiles.items():
        for width in range(1, len(raw) // 32 + 1):
            served[ledger.tile_path(level, number, width)] = proof.b64(raw[: width * 32])
    return head, served


def test_a_browser_follows_a_growing_ledger_and_knows_older_heads_again_without_a_network(page):
    head, tiles = log(700)
    order = [5, 5, 1, 256, 257, 300, 700, 64, 512]
    seen = [[*head(at), "one"] for at in order] + [[*head(at), ""] for at in (257, 700, 1)]
    said, held = page.evaluate(COMPARE, [seen, {"one": tiles}])
    assert said == ["one"] * 12
    assert held["size"] == "700"
    assert set(held["heads"]) == {str(at) for at in order}


def test_a_head_nobody_can_be_asked_about_is_neither_believed_nor_remembered(page):
    head, tiles = log(90)
    said, held = page.evaluate(COMPARE, [[[*head(40), "one"], [*head(90), ""]], {"one": tiles}])
    assert said == ["one", "later"]
    assert list(held["heads"]) == ["40"]


@pytest.mark.parametrize("sizes", [(60, 60), (60, 90), (90, 60), (64, 90), (90, 64)])
@pytest.mark.parametrize("served", ["one", "two"])
def test_two_histories_are_caught_whichever_is_served_and_stay_caught(page, sizes, served):
    (head, tiles), (forked, others) = log(90), log(90, fork=50)
    first, second = head(sizes[0]), forked(sizes[1])
    seen = [[*first, "one"], [*second, served], [*first, "one"]]
    said, held = page.evaluate(COMPARE, [seen, {"one": tiles, "two": others}])
    assert said == ["one", "histories", "histories"]
    assert held["evidence"] == [first[2], second[2]]


def test_tiles_that_fit_neither_head_prove_nothing_and_are_not_held_against_anybody_for_ever(page):
    head, tiles = log(90)
    rubbish = {path: proof.b64(b"\x01" * len(proof.unb64(raw))) for path, raw in tiles.items()}
    seen = [[*head(40), "one"], [*head(90), "bad"], [*head(90), "one"]]
    said, held = page.evaluate(COMPARE, [seen, {"one": tiles, "bad": rubbish}])
    assert said == ["one", "unproved", "one"]
    assert "evidence" not in held


def test_consistency_is_checked_as_the_kernel_checks_it(page):
    head, tiles = log(70)
    ask = """async ([size1, size2, root1, root2, path]) => {
        const raw = trothProof.unb64;
        try {
            await trothHistory.verifyConsistency(
                BigInt(size1), BigInt(size2), raw(root1), raw(root2), path.map(raw));
            return 'holds';
        } catch (fault) { return fault.code; }
    }"""
    rng, kinds = random.Random(5), {"InvalidInput": "malformed", "EvidenceBroken": "histories"}
    read = lambda level, number: proof.unb64(tiles[ledger.tile_path(level, number, 70)])  # noqa: E731
    for _ in range(120):
        a, b = sorted((rng.randint(1, 70), rng.randint(1, 70)))
        path = ledger.consistency_path(a, b, read)
        root1, root2 = (proof.unb64(head(at)[1]) for at in (a, b))
        spoil = rng.randrange(6)
        if spoil == 1 and path:
            path[rng.randrange(len(path))] = b"\x01" * 32
        elif spoil == 2:
            path.append(b"\x02" * 32)
        elif spoil == 3:
            root1 = b"\x03" * 32
        elif spoil == 4:
            a, b = b, a
        elif spoil == 5 and path:
            path.pop()
        try:
            proof.verify_consistency(size1=a, size2=b, root1=root1, root2=root2, path=path)
            ours = "holds"
        except (proof.InvalidInput, proof.EvidenceBroken) as fault:
            ours = kinds[type(fault).__name__]
        given = [str(a), str(b), proof.b64(root1), proof.b64(root2), [proof.b64(h) for h in path]]
        assert page.evaluate(ask, given) == ours


@pytest.mark.parametrize("verdict", ["false", "true", "(() => { throw new Error('no'); })()"])
def test_a_browser_that_cannot_check_signatures_says_so_and_believes_nothing(
    chromium, tmp_path, verdict
):
    bare = bare_page(chromium, tmp_path, "verify.js")
    bare.evaluate(f"() => {{ SubtleCrypto.prototype.verify = async () => {verdict}; }}")
    assert in_browser(bare, POLICY, [RECEIPT]) == ["unable"]


def test_the_verifier_is_small_and_asks_nobody():
    verify = (STATIC / "verify.js").read_bytes()
    assert len(verify) <= 12_000
    for word in (b"fetch", b"import(", b"XMLHttpRequest", b"eval", b"Function("):
        assert word not in verify
        assert word not in (STATIC / "history.js").read_bytes()
