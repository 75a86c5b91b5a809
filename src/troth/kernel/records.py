"""The bytes of what lies sealed: records, wrapped keys, and the places they are bound to.

Fixed for ever by tests/vectors: RECORD = 0x01 || alg || kver || nonce12 || ct || tag16 under
AES-256-GCM with length-prefixed AAD; keys wrapped under shard keys; a check value beside each
wrapped key. Pure: nonces are given.
"""

import struct
from functools import lru_cache

from troth import crypto
from troth.errors import EvidenceBroken
from troth.terms import PERSON_BYTES, KeyRow, PersonId

FORMAT = 0x01
AES_256_GCM = 0x01
HEADER = struct.Struct(">BBI")
_ROW = struct.Struct(f">I{PERSON_BYTES}sIQIQII")  # person, row, version, kver behind lengths
_WRAPPED = struct.Struct(">IIIIII")  # kver, epoch and shard, each behind its length
_NONCE_AT, _SEALED_AT = HEADER.size, HEADER.size + crypto.NONCE_BYTES
OVERHEAD = HEADER.size + crypto.NONCE_BYTES + crypto.TAG_BYTES
SHARDS = 1024
KCV_BYTES = 16
_RECORD_KEY, _CHECK_VALUE = b"pv1rec\x01", b"pv1kcv\x01"


def lp(*parts: bytes) -> bytes:
    """Concatenate with each part's length in four bytes before it, so that no two lists agree."""
    return b"".join([len(p).to_bytes(4, "big") + p for p in parts])


def shard_of(person: PersonId) -> int:
    """Return the shard whose key wraps this person's keys."""
    return int.from_bytes(person[:8], "big") % SHARDS


def record_aad(  # noqa: PLR0913 - the six things a record is bound to
    workspace: bytes, field_id: str, person: PersonId, row: int, version: int, kver: int
) -> bytes:
    """Return the AAD that binds a record to its place; swapping any of these fails to open."""
    place = _ROW.pack(len(person), person, 8, row, 8, version, 4, kver)
    return _aad_head(workspace, field_id) + place


@lru_cache(maxsize=1024)
def _aad_head(workspace: bytes, field_id: str) -> bytes:
    return lp(b"pv1", workspace, field_id.encode())


def wrap_aad(workspace: bytes, row: KeyRow) -> bytes:
    """Return the AAD of a wrapped key: a row put back under another epoch or scope won't open."""
    who = row.person
    place = _WRAPPED.pack(4, row.kver, 4, row.epoch, 4, shard_of(who))
    return _wrap_head(workspace, len(who)) + who + _scope(row.scope) + place


@lru_cache(maxsize=64)
def _wrap_head(workspace: bytes, length: int) -> bytes:
    return lp(b"dek1", workspace) + length.to_bytes(4, "big")


@lru_cache(maxsize=1024)
def _scope(scope: str) -> bytes:
    return lp(scope.encode())


class DataKey:
    """One unwrapped key and its derived record key; HKDF runs once per unwrap."""

    __slots__ = ("kver", "person", "record", "scope")

    def __init__(
        self, person: PersonId, scope: str, kver: int, raw: bytes, record: bytes = b""
    ) -> None:
        """Derive the record key, unless it was derived already; `raw` itself is not kept."""
        self.person = person
        self.scope = scope
        self.kver = kver
        self.record = crypto.Aead(record or derived(raw)[1])


def key_check(raw: bytes) -> bytes:
    """Return the key check value stored beside a wrapped key: GCM alone does not commit to it."""
    return derived(raw)[0][:KCV_BYTES]


def derived(raw: bytes) -> tuple[bytes, bytes]:
    """Derive a key's check value and record key."""
    return crypto.derived(raw, _CHECK_VALUE, _RECORD_KEY)


def seal(key: DataKey, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
    """Return a RECORD. The AAD must come from `record_aad` with the key's `kver`."""
    return HEADER.pack(FORMAT, AES_256_GCM, key.kver) + nonce + key.record.seal(nonce, plain, aad)


def read_header(rec: bytes) -> tuple[int, bytes, bytes]:
    """Split a RECORD into (kver, nonce, ciphertext and tag).

    Raises:
        EvidenceBroken: Too short, or of a format or algorithm this program does not know.
    """
    if len(rec) < OVERHEAD:
        raise EvidenceBroken("a sealed value is shorter than its frame")
    form, alg, kver = HEADER.unpack_from(rec)
    if form != FORMAT or alg != AES_256_GCM:
        raise EvidenceBroken("a sealed value has an unknown format")
    return kver, rec[_NONCE_AT:_SEALED_AT], rec[_SEALED_AT:]


def wrap(shard_key: bytes, nonce: bytes, raw: bytes, workspace: bytes, row: KeyRow) -> bytes:
    """Seal a key under its shard key, as a RECORD whose kver is the key's."""
    sealed = crypto.Aead(shard_key).seal(nonce, raw, wrap_aad(workspace, row))
    return HEADER.pack(FORMAT, AES_256_GCM, row.kver) + nonce + sealed


def unwrap(shard_key: bytes, workspace: bytes, row: KeyRow) -> bytes:
    """Open a wrapped key and check it against its KCV.

    Raises:
        EvidenceBroken: Another epoch's row was put back, or key and check value differ.
    """
    return unwrapped(crypto.Aead(shard_key), workspace, row)[0]


def rewrap(  # noqa: PLR0913 - from where to where
    old: crypto.Aead, new: crypto.Aead, nonce: bytes, workspace: bytes, row: KeyRow, epoch: int
) -> KeyRow:
    """Wrap a key anew under the key its shard has in another epoch; raises as `unwrap` does."""
    raw, _ = unwrapped(old, workspace, row)
    place = (row.person, row.scope, row.kver, row.state)
    aad = wrap_aad(workspace, KeyRow(*place, b"", row.kcv, epoch, row.fence_at))
    wrapped = HEADER.pack(FORMAT, AES_256_GCM, row.kver) + nonce + new.seal(nonce, raw, aad)
    return KeyRow(*place, wrapped, row.kcv, epoch, row.fence_at)


def unwrapped(shard: crypto.Aead, workspace: bytes, row: KeyRow) -> tuple[bytes, bytes]:
    """Return the key, and the record key derived from it; raises as `unwrap` does."""
    kver, nonce, sealed = read_header(row.wrapped)
    raw = shard.open(nonce, sealed, wrap_aad(workspace, row))
    check, record = derived(raw)
    if kver != row.kver or not crypto.same(check[:KCV_BYTES], row.kcv):
        raise EvidenceBroken("a key does not match its check value; restore the key store")
    return raw, record
