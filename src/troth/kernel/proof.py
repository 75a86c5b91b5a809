"""Check a receipt against a policy: RFC 6962/9162 tree, C2SP signed notes, `tlog-proof@v1`.

Stands alone: the standard library, `troth.errors`, and an Ed25519 check handed in with the policy.
Every function here returns nothing (or the value read) when the proof holds, and raises otherwise:
`InvalidInput` when the question is malformed, `EvidenceBroken` when the evidence is. Nothing of a
receipt's content is looked at before its proof holds.

Sources: RFC 6962 section 2, RFC 9162 section 2.1.3, c2sp.org/signed-note,
c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature, c2sp.org/tlog-policy,
c2sp.org/tlog-proof@v1.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from troth.errors import EvidenceBroken, InvalidInput

HASH_BYTES = 32
SALT_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
COMMITMENT_TAG = b"evd1"
PRIVATE, PUBLIC = b"\x00", b"\x01"
EVENT_EXTRA, ERASED_EXTRA, PUBLIC_EXTRA = 0x01, 0x02, 0x03
ED25519_NOTE, ED25519_COSIGNATURE = 0x01, 0x04
RECEIPT_HEADER = "c2sp.org/tlog-proof@v1"
MAX_SIGNATURES = 64
MAX_RECEIPT_BYTES = 1 << 20
_SIGNATURE_PREFIX = "\u2014 "
UNTIL = "#log-until"
"""First word of a policy line that names a key disowned since: a comment to every other verifier,
which then knows no such key and believes nothing it signed."""
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,18})\Z")
_UNREADABLE = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_leaf = hashlib.sha256(b"\x00")
_node = hashlib.sha256(b"\x01")

Ed25519Check = Callable[[bytes, bytes, bytes], bool]
"""`(public key, signature, message) -> bool`; never raises."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry as a leaf: SHA-256(0x00 || entry)."""
    digest = _leaf.copy()
    digest.update(entry)
    return digest.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent: SHA-256(0x01 || left || right)."""
    digest = _node.copy()
    digest.update(left + right)
    return digest.digest()


def commitment(salt: bytes, event: bytes) -> bytes:
    """Commit to an event: SHA-256("evd1" || salt || event); without the salt it says nothing."""
    return hashlib.sha256(COMMITMENT_TAG + salt + event).digest()


def private_entry(c: bytes) -> bytes:
    """Return what the public tree holds of a private event: 0x00 and its commitment."""
    return PRIVATE + c


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that `path` leads to from `leaf`; compare it with a signed one.

    Args:
        leaf: Leaf hash, not the entry.
        index: Position counted from 0.
        size: Number of entries under the root.
        path: Sibling hashes from the leaf up.

    Raises:
        InvalidInput: `index` is outside the ledger or a hash has the wrong length.
        EvidenceBroken: The path has another length than this place in this tree asks for.
    """
    if not 0 <= index < size:
        raise InvalidInput(f"index {index} is outside a ledger of {size} entries")
    if any(len(h) != HASH_BYTES for h in (leaf, *path)):
        raise InvalidInput(f"every hash must be {HASH_BYTES} bytes long")
    inner = (index ^ (size - 1)).bit_length()  # levels below the tree's ragged right edge
    if len(path) != inner + (index >> inner).bit_count():
        raise EvidenceBroken(f"{len(path)} hashes cannot place entry {index} of {size}")
    node = leaf
    for level, sibling in enumerate(path):
        is_right_child = level >= inner or index >> level & 1
        node = node_hash(sibling, node) if is_right_child else node_hash(node, sibling)
    return node


def verify_inclusion(
    entry: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check that `entry` is number `index` in the ledger whose root is `root`.

    Returns nothing when the proof holds: there is no false to forget to check. Proves no more
    than `root` does: first check the signature on its checkpoint. Costs about log2(size) hashes.

    Args:
        entry: The entry's bytes exactly as recorded, not yet hashed.
        index: Position of the entry, counted from 0.
        size: Number of entries under `root`, from the same checkpoint.
        path: Sibling hashes from the leaf up, each `HASH_BYTES` long.
        root: Root hash, `HASH_BYTES` long.

    Raises:
        InvalidInput: `index` is not below `size`, or a hash has the wrong length. The question
            is malformed; the ledger may be sound.
        EvidenceBroken: The path does not lead from `entry` to `root`. The ledger, the proof or
            the entry is not what it claims to be.
    """
    if len(root) != HASH_BYTES:
        raise InvalidInput(f"every hash must be {HASH_BYTES} bytes long")
    if root_from_inclusion(leaf_hash(entry), index, size, path) != root:
        raise EvidenceBroken(f"entry {index} of {size} does not lead to root {root.hex()}")


def verify_consistency(
    *, size1: int, size2: int, root1: bytes, root2: bytes, path: Sequence[bytes]
) -> None:
    """Check that the ledger of `size2` entries continues the one of `size1` unchanged.

    Args:
        size1: Earlier size, at least 1 (every ledger continues the empty one).
        size2: Later size, not below `size1`.
        root1: Root at `size1`.
        root2: Root at `size2`.
        path: Proof hashes in RFC 9162 order.

    Raises:
        InvalidInput: Sizes out of order, or a hash has the wrong length.
        EvidenceBroken: The later ledger does not contain the earlier one: history was rewritten.
    """
    if size1 < 1 or size2 < size1:
        raise InvalidInput(f"sizes {size1} and {size2} cannot be compared")
    if any(len(h) != HASH_BYTES for h in (root1, root2, *path)):
        raise InvalidInput(f"every hash must be {HASH_BYTES} bytes long")
    broken = EvidenceBroken(f"size {size2} does not continue size {size1}")
    if size1 == size2:
        if path or root1 != root2:
            raise broken
        return
    shift = (size1 & -size1).bit_length() - 1
    inner = ((size1 - 1) ^ (size2 - 1)).bit_length() - shift
    border = ((size1 - 1) >> (inner + shift)).bit_count()
    whole = size1 == 1 << shift  # the earlier tree is a subtree of the later one
    start = 0 if whole else 1
    if len(path) != start + inner + border:
        raise broken
    old = new = root1 if whole else path[0]
    mask = (size1 - 1) >> shift
    for level, sibling in enumerate(path[start:]):
        if level >= inner or mask >> level & 1:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    if (old, new) != (root1, root2):
        raise broken


def number(text: str) -> int:
    """Read a decimal number without sign or leading zeros, below 10^19."""
    if not _NUMBER.match(text):
        raise InvalidInput("a number has another spelling than plain decimal")
    return int(text)


def b64(raw: bytes) -> str:
    """Write base64 in its one canonical spelling."""
    return base64.b64encode(raw).decode()


def unb64(text: str) -> bytes:
    """Read base64 that is spelled canonically; any other spelling raises `InvalidInput`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("base64 is malformed") from None
    if b64(raw) != text:
        raise InvalidInput("base64 is not canonical")
    return raw


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the 4-byte id of a note key: SHA-256(name || 0x0A || type || key), first 4 bytes."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Key:
    """A public key with the name it signs under."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The 4 bytes a signature line starts with."""
        return key_id(self.name, self.kind, self.public)

    @property
    def vkey(self) -> str:
        """`name+hex(id)+base64(type || key)`, as policies write it."""
        return f"{self.name}+{self.id.hex()}+{b64(bytes([self.kind]) + self.public)}"


def parse_vkey(text: str) -> Key:
    """Read a verifier key; a key id that does not fit its key raises `InvalidInput`."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not parts[0] or re.search(r"[\s\ud800-\udfff]", parts[0]):  # noqa: PLR2004
        raise InvalidInput("a verifier key reads name+id+key")
    raw = unb64(parts[2])
    if len(raw) != 1 + HASH_BYTES or raw[0] not in (ED25519_NOTE, ED25519_COSIGNATURE):
        raise InvalidInput("the verifier key's type is not one this verifier knows")
    key = Key(parts[0], raw[0], raw[1:])
    if key.id.hex() != parts[1]:
        raise InvalidInput("the verifier key's id does not fit its key")
    return key


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature line of a note, unread: name, key id, the bytes after the id."""

    name: str
    id: bytes
    signature: bytes


def parse_note(note: str) -> tuple[str, tuple[SignatureLine, ...]]:
    """Split a signed note into its text (with final newline) and its signature lines.

    Raises:
        InvalidInput: Not a note: control characters, no empty line, no or malformed or repeated
            signature lines, more than `MAX_SIGNATURES` of them.
    """
    if _UNREADABLE.search(note) or not note.endswith("\n"):
        raise InvalidInput("a note has no control characters and ends with a newline")
    text, found, tail = note.rpartition("\n\n")
    if not found or not text:
        raise InvalidInput("a note has text, an empty line, and signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise InvalidInput(f"a note carries at most {MAX_SIGNATURES} signatures")
    signatures = tuple(_signature_line(line) for line in lines)
    if len({(s.name, s.id) for s in signatures}) != len(signatures):
        raise InvalidInput("a note carries two signatures of one key")
    return text + "\n", signatures


def _signature_line(line: str) -> SignatureLine:
    name, gap, rest = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
    if not line.startswith(_SIGNATURE_PREFIX) or not gap or not name or "+" in name:
        raise InvalidInput("a signature line reads: em dash, space, name, space, base64")
    raw = unb64(rest)
    if len(raw) < 5:  # noqa: PLR2004
        raise InvalidInput("a signature line holds a key id and a signature")
    return SignatureLine(name, raw[:4], raw[4:])


def note_line(key: Key, signature: bytes) -> str:
    """Write one signature line."""
    return f"{_SIGNATURE_PREFIX}{key.name} {b64(key.id + signature)}\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: origin, size, root. True only after its note was verified."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's text; extension lines are refused, cosignatures do not cover them."""
    checkpoint = read_checkpoint(text)
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise InvalidInput("an empty ledger has the root SHA-256 of nothing")
    return checkpoint


def read_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's three lines; whether an empty log has the empty root is not asked."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:  # noqa: PLR2004
        raise InvalidInput("a checkpoint has three lines: origin, size, root")
    root = unb64(lines[2])
    if len(root) != HASH_BYTES:
        raise InvalidInput(f"a root has {HASH_BYTES} bytes")
    return Checkpoint(lines[0], number(lines[1]), root)


def cosigned_text(checkpoint_text: str, timestamp: int) -> bytes:
    """Return what an Ed25519 cosignature v1 signs. `timestamp` in POSIX seconds."""
    return f"cosignature/v1\ntime {timestamp}\n{checkpoint_text}".encode()


@dataclass(frozen=True, slots=True)
class Policy:
    """Whom to believe: logs, witnesses, groups and the quorum (c2sp.org/tlog-policy).

    Several keys may sign for one log while its key is changed: any of them is enough, and every
    one that signed must be right.

    Attributes:
        check: The Ed25519 check used for every signature.
        until: Public key → the last size it signed honestly, for a key disowned since.
    """

    logs: tuple[Key, ...]
    witnesses: Mapping[str, Key]
    groups: Mapping[str, tuple[int, tuple[str, ...]]]
    quorum: str
    check: Ed25519Check
    until: Mapping[bytes, int] = field(default_factory=dict)


MAX_POLICY_LINES = 1_000


def parse_policy(text: str, check: Ed25519Check) -> Policy:
    """Read a policy file; any doubt (unknown word, unknown name, doubled key) raises.

    Raises:
        InvalidInput: With the number of the line that is wrong.
    """
    draft = _PolicyDraft()
    rows = text.split("\n")
    if len(rows) > MAX_POLICY_LINES:
        raise InvalidInput(f"a policy has at most {MAX_POLICY_LINES} lines")
    for at, line in enumerate(rows, 1):
        words = re.split(r"[ \t]+", line.strip(" \t"))
        if words == [""] or (words[0].startswith("#") and words[0] != UNTIL):
            continue
        try:
            draft.read(words)
        except InvalidInput as fault:
            raise InvalidInput(f"policy line {at}: {fault.message}") from None
    if draft.quorum is None:
        raise InvalidInput("a policy has exactly one quorum line")
    if not draft.logs:
        raise InvalidInput("a policy names at least one log")
    logs, groups = tuple(draft.logs), draft.groups
    return Policy(logs, draft.witnesses, groups, draft.quorum, check, draft.until)


class _PolicyDraft:
    """The lines of a policy read so far."""

    def __init__(self) -> None:
        self.logs: list[Key] = []
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.quorum: str | None = None
        self.until: dict[bytes, int] = {}
        self._members: set[str] = set()
        self._keys: set[bytes] = set()

    def read(self, words: list[str]) -> None:
        verbs: dict[str, Callable[[list[str]], None]] = {
            "log": self._log,
            UNTIL: self._until,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum,
        }
        verb = verbs.get(words[0])
        if verb is None:
            raise InvalidInput("the first word is none of log, witness, group, quorum")
        verb(words[1:])

    def _key(self, vkey: str, kind: int) -> Key:
        key = parse_vkey(vkey)
        if key.kind != kind:
            raise InvalidInput("the key is of the wrong type for its role")
        if key.public in self._keys:
            raise InvalidInput("this public key already stands in the policy")
        self._keys.add(key.public)
        return key

    def _log(self, words: list[str]) -> None:
        if len(words) not in (1, 2):
            raise InvalidInput("log <vkey> [url]")
        self.logs.append(self._key(words[0], ED25519_NOTE))

    def _until(self, words: list[str]) -> None:
        if len(words) != 2:  # noqa: PLR2004
            raise InvalidInput(f"{UNTIL} <size> <vkey>")
        key = self._key(words[1], ED25519_NOTE)
        self.until[key.public] = number(words[0])
        self.logs.append(key)

    def _name(self, name: str) -> str:
        if name in self.witnesses or name in self.groups or name == "none":
            raise InvalidInput("this name is taken")
        return name

    def _witness(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise InvalidInput("witness <name> <vkey> [url]")
        self.witnesses[self._name(words[0])] = self._key(words[1], ED25519_COSIGNATURE)

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:  # noqa: PLR2004
            raise InvalidInput("group <name> all|any|<k> <member>...")
        name, members = self._name(words[0]), tuple(words[2:])
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise InvalidInput("a group names only what an earlier line defines")
            if member in self._members:
                raise InvalidInput("a name is a member of at most one group, once")
            self._members.add(member)
        k = {"all": len(members), "any": 1}.get(words[1])
        k = number(words[1]) if k is None else k
        if not 1 <= k <= len(members):
            raise InvalidInput("a group asks for between 1 and all of its members")
        self.groups[name] = (k, members)

    def _quorum(self, words: list[str]) -> None:
        if self.quorum is not None or len(words) != 1:
            raise InvalidInput("a policy has exactly one quorum line")
        if words[0] != "none" and words[0] not in self.witnesses and words[0] not in self.groups:
            raise InvalidInput("the quorum is not defined by an earlier line")
        self.quorum = words[0]


def _quorum_met(policy: Policy, seen: set[str]) -> bool:
    met = set(seen)
    for name, (k, members) in policy.groups.items():  # a group names only earlier ones
        if sum(member in met for member in members) >= k:
            met.add(name)
    return policy.quorum == "none" or policy.quorum in met


def _cosigned(policy: Policy, text: str, key: Key, signature: bytes) -> bool:
    if len(signature) != 8 + 64:
        return False
    timestamp = int.from_bytes(signature[:8], "big")
    if not 0 < timestamp < 1 << 63:
        return False
    return policy.check(key.public, signature[8:], cosigned_text(text, timestamp))


def _signed(policy: Policy, key: Key, checkpoint: Checkpoint, signature: bytes) -> bool:
    """Check a log's signature; that of a key disowned before this size counts for nothing."""
    if not policy.check(key.public, signature, checkpoint.text.encode()):
        raise EvidenceBroken("a log signature on the checkpoint is wrong")
    return checkpoint.size <= policy.until.get(key.public, checkpoint.size)


def _unsigned(policy: Policy, checkpoint: Checkpoint, lines: Sequence[SignatureLine]) -> str:
    disowned = {(key.name, key.id) for key in policy.logs if key.public in policy.until}
    if any((line.name, line.id) in disowned for line in lines):
        return f"the key that signed size {checkpoint.size} was disowned before it"
    return "no log of the policy signed this checkpoint"


def verify_note(note: str, policy: Policy) -> Checkpoint:
    """Check a signed checkpoint and return what it says.

    Raises:
        InvalidInput: Not a checkpoint note.
        EvidenceBroken: No known log signed it, a known key's signature is wrong, the key that
            signed it was disowned at a smaller size, or too few distinct witnesses cosigned.
    """
    text, lines = parse_note(note)
    checkpoint = parse_checkpoint(text)
    logs = {(k.name, k.id): k for k in policy.logs if k.name == checkpoint.origin}
    witnesses = {(k.name, k.id): (n, k) for n, k in policy.witnesses.items()}
    signed = False
    seen: set[str] = set()
    for line in lines:
        place = (line.name, line.id)
        if place in logs:
            signed |= _signed(policy, logs[place], checkpoint, line.signature)
        elif place in witnesses:
            name, key = witnesses[place]
            if not _cosigned(policy, text, key, line.signature):
                raise EvidenceBroken("a witness signature on the checkpoint is wrong")
            seen.add(name)
    if not signed:
        raise EvidenceBroken(_unsigned(policy, checkpoint, lines))
    if not _quorum_met(policy, seen):
        raise EvidenceBroken(f"{len(seen)} known witnesses are too few for the quorum")
    return checkpoint


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt whose proof held.

    Attributes:
        event: Canonical event bytes; None when only existence is proven (after an erasure), or
            a public statement.
        c: Commitment of a private event; b"" of a public statement.
        statement: Canonical bytes of a public statement of the log; None of a private event.
    """

    event: bytes | None
    c: bytes
    index: int
    checkpoint: Checkpoint
    statement: bytes | None = None


def write_receipt(extra: bytes, index: int, path: Sequence[bytes], note: str) -> str:
    """Write a `tlog-proof@v1`; `extra` is `event_extra(...)` or `erased_extra(...)`."""
    hashes = "".join(b64(h) + "\n" for h in path)
    return f"{RECEIPT_HEADER}\nextra {b64(extra)}\nindex {index}\n{hashes}\n{note}"


def event_extra(salt: bytes, event: bytes) -> bytes:
    """Return the extra that reveals an event to whoever holds its receipt."""
    return bytes([EVENT_EXTRA]) + salt + event


def erased_extra(c: bytes) -> bytes:
    """Return the extra that proves an event existed, without its content."""
    return bytes([ERASED_EXTRA]) + c


def public_extra(entry: bytes) -> bytes:
    """Return the extra of a public statement's proof, such as that of an erasure."""
    return bytes([PUBLIC_EXTRA]) + entry


def read_receipt(text: str | bytes, policy: Policy) -> Receipt:
    """Verify a receipt and return what it proves.

    Args:
        text: The `.tlog-proof` file, as text or bytes.
        policy: Whom to believe.

    Raises:
        InvalidInput: Not a receipt in the strict grammar.
        EvidenceBroken: A signature, the quorum or the inclusion proof does not hold.
    """
    extra, index, path, note = _split_receipt(text)
    checkpoint = verify_note(note, policy)
    entry, event, c, statement = _read_extra(extra)
    verify_inclusion(entry, index=index, size=checkpoint.size, path=path, root=checkpoint.root)
    return Receipt(event, c, index, checkpoint, statement)


def verify_receipt(text: str | bytes, policy: Policy) -> None:
    """Return nothing when the receipt holds under the policy; raise as `read_receipt` does."""
    read_receipt(text, policy)


def _split_receipt(text: str | bytes) -> tuple[bytes, int, list[bytes], str]:
    if len(text) > MAX_RECEIPT_BYTES:
        raise InvalidInput(f"a receipt has at most {MAX_RECEIPT_BYTES} bytes")
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:
            raise InvalidInput("a receipt is UTF-8 text") from None
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or len(lines) < 3 or lines[0] != RECEIPT_HEADER:  # noqa: PLR2004
        raise InvalidInput(f"a receipt starts with the line {RECEIPT_HEADER}")
    if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
        raise InvalidInput("a receipt has an extra line, then an index line")
    path = [unb64(line) for line in lines[3:]]
    if len(path) >= HASH_BYTES * 8:
        raise InvalidInput("a receipt has fewer than 256 hashes")
    return unb64(lines[1][6:]), number(lines[2][6:]), path, note


def _read_extra(extra: bytes) -> tuple[bytes, bytes | None, bytes, bytes | None]:
    """Return the entry an extra stands for, and of it: event, commitment, public statement."""
    if extra[:1] == bytes([ERASED_EXTRA]) and len(extra) == 1 + HASH_BYTES:
        return private_entry(extra[1:]), None, extra[1:], None
    if extra[:1] == bytes([EVENT_EXTRA]) and len(extra) > 1 + SALT_BYTES:
        salt, event = extra[1 : 1 + SALT_BYTES], extra[1 + SALT_BYTES :]
        c = commitment(salt, event)
        return private_entry(c), event, c, None
    if extra[:2] == bytes([PUBLIC_EXTRA]) + PUBLIC and len(extra) > 2:  # noqa: PLR2004
        return extra[1:], None, b"", extra[2:]
    raise InvalidInput("the receipt's extra is of no known kind")
