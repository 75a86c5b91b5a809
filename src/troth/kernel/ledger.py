"""The append-only Merkle tree in tiles (C2SP tlog-tiles over RFC 6962), its proofs and its notes.

Pure: stores hand in tiles and take tiles back. A tile of level `l` holds up to 256 hashes, each
the root of 256^l leaves; partial tiles are never hashed upward. `Edge` is the ragged right side:
all an append needs to know, about log256(size) partial tiles.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from troth import crypto
from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import events, proof

TILE = 256
HASH = proof.HASH_BYTES
ENTRY_BYTES = proof.HASH_BYTES + 1
_leaf = hashlib.sha256(b"\x00")
_node = hashlib.sha256(b"\x01")

ReadTile = Callable[[int, int], bytes]
"""`(level, number) -> concatenated hashes`, at least as many as the asked size requires."""


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Hash entries as leaves; about 0.6 µs each."""
    out = []
    for entry in entries:
        digest = _leaf.copy()
        digest.update(entry)
        out.append(digest.digest())
    return out


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """Return the RFC 6962 tree hash over leaf or subtree hashes; an odd last one moves up."""
    level = list(hashes)
    if not level:
        return proof.EMPTY_ROOT
    while len(level) > 1:
        above = []
        for left, right in zip(level[::2], level[1::2], strict=False):
            digest = _node.copy()
            digest.update(left + right)
            above.append(digest.digest())
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


@dataclass(frozen=True, slots=True)
class Tile:
    """A changed tile to store: level, number, and its hashes so far."""

    level: int
    number: int
    hashes: bytes

    @property
    def width(self) -> int:
        """How many hashes it holds, 1 to 256."""
        return len(self.hashes) // HASH


class Edge:
    """The right side of a tree: per level the hashes of its partial tile."""

    __slots__ = ("_levels", "size")

    def __init__(self, size: int, levels: Sequence[Sequence[bytes]]) -> None:
        """Take a size and, per level, the partial tile's hashes as stored at that size.

        Raises:
            EvidenceBroken: The partial tiles are not as wide as this size demands.
        """
        self.size = size
        self._levels = [list(level) for level in levels]
        wanted = list(edge_widths(size))
        have = [len(level) for level in self._levels]
        if have[: len(wanted)] != wanted or any(have[len(wanted) :]):
            raise EvidenceBroken(f"the tiles at the right edge do not fit size {size}")

    @classmethod
    def load(cls, size: int, read: ReadTile) -> "Edge":
        """Read the right edge of a tree of `size` entries from its stored tiles."""
        levels = []
        for level, width in enumerate(edge_widths(size)):
            raw = read(level, (size >> 8 * level) // TILE) if width else b""
            levels.append(split(raw)[:width])
        return cls(size, levels)

    def copy(self) -> "Edge":
        """Return an edge that can be extended without touching this one."""
        return Edge(self.size, self._levels)

    def extend(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Append leaf hashes; return every tile that changed. Costs about 1.2 µs a leaf."""
        changed: list[Tile] = []
        level, new, first = 0, list(leaves), self.size
        while new:
            if level == len(self._levels):
                self._levels.append([])
            row = self._levels[level]
            number = first // TILE
            row.extend(new)
            new = []
            while len(row) >= TILE:
                full, row = row[:TILE], row[TILE:]
                changed.append(Tile(level, number, b"".join(full)))
                new.append(subtree_root(full))
                number += 1
            if row:
                changed.append(Tile(level, number, b"".join(row)))
            self._levels[level] = row
            level, first = level + 1, first // TILE
        self.size += len(leaves)
        return changed

    def root(self) -> bytes:
        """Return the root, from partial tiles only."""
        parts = [part for row in self._levels for part in reversed(_perfect_parts(row))]
        if not parts:
            return proof.EMPTY_ROOT
        return reduce(lambda root, part: proof.node_hash(part, root), parts)


def _perfect_parts(row: Sequence[bytes]) -> list[bytes]:
    parts, start = [], 0
    for bit in range(8, -1, -1):
        if len(row) >> bit & 1:
            parts.append(subtree_root(row[start : start + (1 << bit)]))
            start += 1 << bit
    return parts


def edge_widths(size: int) -> Iterator[int]:
    """Yield per level the width of its partial tile at `size`; 0 where there is none."""
    while size:
        yield size % TILE
        size //= TILE


def split(raw: bytes) -> list[bytes]:
    """Cut a tile's bytes into hashes."""
    if len(raw) % HASH:
        raise EvidenceBroken("a tile is not a whole number of hashes")
    return [raw[i : i + HASH] for i in range(0, len(raw), HASH)]


def _perfect(height: int, position: int, read: ReadTile) -> bytes:
    """Root of the perfect subtree of 2^height leaves that starts at position * 2^height."""
    level, inside = height // 8, height % 8
    start = position << inside
    raw = read(level, start // TILE)
    first = start % TILE * HASH
    part = raw[first : first + (HASH << inside)]
    if len(part) != HASH << inside:
        raise EvidenceBroken(f"tile {level}/{start // TILE} is shorter than its size demands")
    return subtree_root(split(part))


def range_root(start: int, end: int, read: ReadTile) -> bytes:
    """Return the RFC 6962 tree hash of entries `start` to `end`; `start` must be aligned."""
    size = end - start
    if size & (size - 1) == 0:
        height = size.bit_length() - 1
        return _perfect(height, start >> height, read)
    cut = 1 << ((size - 1).bit_length() - 1)
    return proof.node_hash(
        range_root(start, start + cut, read), range_root(start + cut, end, read)
    )


def tree_root(size: int, read: ReadTile) -> bytes:
    """Return the root at any earlier or present size."""
    return range_root(0, size, read) if size else proof.EMPTY_ROOT


def inclusion_path(index: int, size: int, read: ReadTile) -> list[bytes]:
    """Return the sibling hashes that prove entry `index` in a tree of `size`; log2(size) hashes.

    Raises:
        InvalidInput: `index` is not below `size`.
    """
    if not 0 <= index < size:
        raise InvalidInput(f"index {index} is outside a ledger of {size} entries")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        cut = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < cut:
            path.append(range_root(cut, end, read))
            end = cut
        else:
            path.append(range_root(start, cut, read))
            start = cut
    return path[::-1]


def consistency_path(size1: int, size2: int, read: ReadTile) -> list[bytes]:
    """Return the hashes that prove size2 continues size1 (RFC 9162 section 2.1.4).

    Raises:
        InvalidInput: Sizes out of order.
    """
    if not 1 <= size1 <= size2:
        raise InvalidInput(f"sizes {size1} and {size2} cannot be compared")
    path: list[bytes] = []
    start, end, known = 0, size2, True
    while size1 != end:
        cut = start + (1 << ((end - start - 1).bit_length() - 1))
        if size1 <= cut:
            path.append(range_root(cut, end, read))
            end = cut
        else:
            path.append(range_root(start, cut, read))
            start, known = cut, False
    if not known:
        path.append(range_root(start, end, read))
    return path[::-1]


# Notes, checkpoints, receipts


def log_key(origin: str, seed: bytes) -> proof.Key:
    """Return the public key of a log; its name is the origin."""
    return proof.Key(origin, proof.ED25519_NOTE, crypto.ed25519_public(seed))


def sign_checkpoint(checkpoint: proof.Checkpoint, seeds: Sequence[bytes]) -> str:
    """Sign a checkpoint by every log key given (two during a rotation); return the note."""
    text = checkpoint.text
    lines = [
        proof.note_line(log_key(checkpoint.origin, s), crypto.ed25519_sign(s, text.encode()))
        for s in seeds
    ]
    return text + "\n" + "".join(lines)


def cosign(note: str, name: str, seed: bytes, timestamp: int) -> str:
    """Return the note with a witness's Ed25519 cosignature v1 added; `timestamp` POSIX seconds."""
    text, _ = proof.parse_note(note)
    key = proof.Key(name, proof.ED25519_COSIGNATURE, crypto.ed25519_public(seed))
    signature = crypto.ed25519_sign(seed, proof.cosigned_text(text, timestamp))
    return note + proof.note_line(key, timestamp.to_bytes(8, "big") + signature)


def receipt(extra: bytes, index: int, note: str, read: ReadTile) -> str:
    """Write the `.tlog-proof` of one entry under a signed checkpoint that includes it."""
    checkpoint = proof.parse_checkpoint(proof.parse_note(note)[0])
    return proof.write_receipt(extra, index, inclusion_path(index, checkpoint.size, read), note)


# What is published: paths of tiles and bundles

_TILE_PATH = re.compile(
    r"tile/(entries|[1-5]?[0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?\Z"
)


def tile_path(level: int | str, number: int, width: int = TILE) -> str:
    """Write a tile's path.

    >>> tile_path(0, 1234067), tile_path("entries", 67, 3)
    ('tile/0/x001/x234/067', 'tile/entries/067.p/3')
    """
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join([f"x{g}" for g in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{path}" + (f".p/{width}" if width < TILE else "")


def parse_tile_path(path: str) -> tuple[int | str, int, int]:
    """Read a tile's path into (level or "entries", number, width); one spelling only."""
    found = _TILE_PATH.match(path)
    if not found:
        raise InvalidInput("this is not the path of a tile")
    level = found[1] if found[1] == "entries" else int(found[1])
    tile = (level, int(found[2].replace("x", "").replace("/", "")), int(found[3] or TILE))
    if tile_path(*tile) != path:
        raise InvalidInput("this is not the path of a tile")
    return tile


def bundle(entries: Iterable[bytes]) -> bytes:
    """Write an entry bundle: each entry behind its length in two bytes."""
    return b"".join(len(e).to_bytes(2, "big") + e for e in entries)


# Verifying a whole ledger


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the ledger that does not verify: what, and where (an index or a tile)."""

    what: str
    place: str


def check_entry(index: int, entry: bytes) -> list[Finding]:
    """Check the form of one entry: a commitment, or a canonical public statement."""
    place = f"entry {index}"
    if entry[:1] == proof.PRIVATE:
        ok = len(entry) == ENTRY_BYTES
        return [] if ok else [Finding("a private entry is not a commitment", place)]
    if entry[:1] != proof.PUBLIC or len(entry) > events.MAX_PUBLIC_BYTES:
        return [Finding("an entry is of no known kind", place)]
    try:
        events.read_canonical(entry[1:])
    except EvidenceBroken:
        return [Finding("a public statement is not canonical", place)]
    return []


def require_public(entry: bytes) -> None:
    """Require what `verify` accepts as a public statement, before it is booked for ever.

    Raises:
        InvalidInput: A private entry, one too long, or not canonical.
    """
    if entry[:1] != proof.PUBLIC or check_entry(0, entry):
        raise InvalidInput("this is no public statement of the ledger")


@dataclass(frozen=True, slots=True)
class Stored:
    """A ledger as a store holds it, for `verify`.

    Attributes:
        entries: `(seq, entry)` in order of seq, from 0.
        tiles: `(level, number) -> bytes` of every stored tile.
        notes: Signed checkpoints, oldest first.
    """

    size: int
    root: bytes
    entries: Iterable[tuple[int, bytes]]
    tiles: dict[tuple[int, int], bytes]
    notes: Sequence[str]


def verify(stored: Stored, policy: proof.Policy) -> list[Finding]:
    """Recompute every leaf, tile and root and check every signature; return all findings.

    Costs about 3 µs an entry. An empty list means: the record is what its checkpoints say.
    """
    findings: list[Finding] = []
    edge = Edge(0, [])
    batch: list[bytes] = []
    tiles: dict[tuple[int, int], bytes] = {}
    for expected, (seq, entry) in enumerate(stored.entries):
        if seq != expected:
            findings.append(Finding("the numbering has a gap", f"entry {expected}"))
            return findings
        findings += check_entry(seq, entry)
        batch.append(entry)
        if len(batch) == 8 * TILE:
            _absorb(edge, batch, tiles)
            batch = []
    _absorb(edge, batch, tiles)
    if (edge.size, edge.root()) != (stored.size, stored.root):
        findings.append(Finding("size or root differ from the entries", f"size {stored.size}"))
    findings += _compare_tiles(tiles, stored.tiles)
    read: ReadTile = lambda level, number: tiles[level, number]  # noqa: E731
    for note in stored.notes:
        findings += _check_note(note, edge.size, read, policy)
    return findings


def _absorb(edge: Edge, entries: list[bytes], tiles: dict[tuple[int, int], bytes]) -> None:
    for tile in edge.extend(leaf_hashes(entries)):
        tiles[tile.level, tile.number] = tile.hashes


def _compare_tiles(
    want: dict[tuple[int, int], bytes], have: dict[tuple[int, int], bytes]
) -> list[Finding]:
    places = sorted(want.keys() | have.keys())
    return [
        Finding("a tile differs from the entries", f"tile {level}/{number}")
        for level, number in places
        if want.get((level, number)) != have.get((level, number))
    ]


def _check_note(note: str, size: int, read: ReadTile, policy: proof.Policy) -> list[Finding]:
    try:
        checkpoint = proof.verify_note(note, policy)
    except (InvalidInput, EvidenceBroken) as fault:
        return [Finding(fault.message, "a stored checkpoint")]
    place = f"checkpoint {checkpoint.size}"
    if checkpoint.size > size:
        return [Finding("a signed checkpoint is larger than the ledger", place)]
    if tree_root(checkpoint.size, read) != checkpoint.root:
        return [Finding("a signed checkpoint has another root than the entries", place)]
    return []
