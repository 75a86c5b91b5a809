"""The published tiles are enough to rebuild the signed root, by a reader that shares no code."""

import base64
import functools
import hashlib

import pytest
from hub_shop import make_shop

from troth.kernel import proof

shop = functools.cache(make_shop)
"""A shop of this file's own: what others did to theirs is not seen here."""


def get(path: str):
    return shop().client.get(path)


def signed_head() -> tuple[int, bytes]:
    """Read size and root from the checkpoint's own lines (c2sp.org/tlog-checkpoint)."""
    origin, size, root, *_ = get("/checkpoint").text.split("\n")
    assert origin == "marula.example/ledger"
    return int(size), base64.b64decode(root)


def digits(number: int) -> str:
    text = f"{number:03}"
    assert len(text) == 3, "this ledger is small"
    return text


def partial(total: int):
    """Yield (number, width) of every tile of a row with `total` hashes."""
    for number in range(total // 256):
        yield number, 256
    if total % 256:
        yield total // 256, total % 256


def path(level, number: int, width: int) -> str:
    return f"/tile/{level}/{digits(number)}" + (f".p/{width}" if width < 256 else "")


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as written there: split at the largest power of two below n."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + root_of(leaves[:k]) + root_of(leaves[k:])).digest()


def served_entries(size: int) -> list[bytes]:
    out = []
    for number, width in partial(size):
        body = get(path("entries", number, width)).content
        while body:
            length = int.from_bytes(body[:2], "big")
            out.append(body[2 : 2 + length])
            body = body[2 + length :]
    return out


def test_entries_and_hash_tiles_rebuild_the_signed_root():
    size, root = signed_head()
    assert size > 256, "the test needs a full tile"
    leaves = [hashlib.sha256(b"\x00" + e).digest() for e in served_entries(size)]
    assert len(leaves) == size
    assert root_of(leaves) == root
    row, level = leaves, 0
    while row:
        for number, width in partial(len(row)):
            want = b"".join(row[number * 256 : number * 256 + width])
            assert get(path(level, number, width)).content == want
        row = [root_of(row[n : n + 256]) for n in range(0, len(row) - len(row) % 256, 256)]
        level += 1


def test_one_altered_entry_would_give_another_root():
    size, root = signed_head()
    entries = served_entries(size)
    entries[7] = entries[7][:-1] + bytes([entries[7][-1] ^ 1])
    assert root_of([hashlib.sha256(b"\x00" + e).digest() for e in entries]) != root


def test_the_checkpoint_is_signed_by_the_published_key_under_the_published_policy():
    s = shop()
    policy = proof.parse_policy(get("/policy").text, s.ws.signer.policy.check)
    proof.verify_note(get("/checkpoint").text, policy)
    assert get("/log.vkey").text.strip() in get("/policy").text


def test_a_narrower_partial_tile_is_the_prefix_of_a_wider_one():
    wide, narrow = get("/tile/0/000").content, get("/tile/0/000.p/17").content
    assert narrow == wide[: 17 * 32]


def test_what_the_signed_checkpoint_does_not_cover_is_not_served():
    size, _ = signed_head()
    beyond = size % 256 + 1
    for missing in (
        f"/tile/0/{digits(size // 256)}.p/{beyond}",
        f"/tile/entries/{digits(size // 256)}.p/{beyond}",
        f"/tile/0/{digits(size // 256)}",
        "/tile/3/000",
        "/tile/1/000",
    ):
        assert get(missing).status_code == 404, missing


@pytest.mark.parametrize(
    "odd",
    ["0/0", "0/000.p/0", "0/000.p/256", "0/000.p/01", "00/000", "64/000", "0/x000/000", "entries",
     "0/000/", "0/-01", "entries/000.p/999", "0/%30%30%30%0a"],
)  # fmt: skip
def test_a_tile_has_one_spelling_only(odd):
    assert get(f"/tile/{odd}").status_code == 404


def test_tiles_are_cached_for_ever_and_the_checkpoint_for_five_seconds_at_most():
    for name in ("/tile/0/000", "/tile/entries/000"):
        answer = get(name)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
    head = get("/checkpoint")
    assert head.headers["content-type"] == "text/plain; charset=utf-8"
    assert head.headers["cache-control"] == "public, max-age=5"
    assert "immutable" not in get("/tile/0/999").headers["cache-control"]


def test_public_entries_hold_no_personal_data():
    size, _ = signed_head()
    body = b"".join(served_entries(size))
    for planted in (b"Thandeka", b"Secretname", b"post.example", b"shop-0", b"cast-"):
        assert planted not in body
