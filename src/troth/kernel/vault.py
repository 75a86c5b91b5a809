"""Personal data at rest: records, keys, behaviour chunks; opened by a `Permit` and nothing else.

Formats (fixed for ever by tests/vectors): RECORD = 0x01 || alg || kver || nonce12 || ct || tag16
under AES-256-GCM with length-prefixed AAD; keys wrapped under shard keys; KCV beside each wrapped
key. "No key", "key not yet made" and "key shredded" are three different answers.
"""

import re
import struct
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, TypedDict

import msgspec

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.kernel.columns import Columns
from troth.kernel.gate import Permit
from troth.kernel.masks import masked as _masked
from troth.ports import KeyStore, Randomness
from troth.terms import (
    DAY,
    PERSON_BYTES,
    SECOND,
    Action,
    Instant,
    KeyRow,
    PersonId,
    Sealed,
    address_field,
)

FORMAT = 0x01
AES_256_GCM = 0x01
HEADER = struct.Struct(">BBI")
_ROW = struct.Struct(f">I{PERSON_BYTES}sIQIQII")  # person, row, version, kver behind lengths
_WRAPPED = struct.Struct(">IIIIII")  # kver, epoch and shard, each behind its length
_NONCE_AT, _SEALED_AT = HEADER.size, HEADER.size + crypto.NONCE_BYTES
OVERHEAD = HEADER.size + crypto.NONCE_BYTES + crypto.TAG_BYTES
SHARDS = 1024
KCV_BYTES = 16
INDEX_BYTES = 16
EVENT_FIELD = "event"
_RECORD_KEY, _CHECK_VALUE = b"pv1rec\x01", b"pv1kcv\x01"
CACHE_S = 60
CACHE_PEOPLE = 20_000
TRIES = 5


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
        self.record = crypto.Aead(record or _derived(raw)[1])


def key_check(raw: bytes) -> bytes:
    """Return the key check value stored beside a wrapped key: GCM alone does not commit to it."""
    return _derived(raw)[0][:KCV_BYTES]


def _derived(raw: bytes) -> tuple[bytes, bytes]:
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
    return _unwrap(crypto.Aead(shard_key), workspace, row)[0]


def rewrap(  # noqa: PLR0913 - from where to where
    old: crypto.Aead, new: crypto.Aead, nonce: bytes, workspace: bytes, row: KeyRow, epoch: int
) -> KeyRow:
    """Wrap a key anew under the key its shard has in another epoch; raises as `unwrap` does."""
    raw, _ = _unwrap(old, workspace, row)
    place = (row.person, row.scope, row.kver, row.state)
    aad = wrap_aad(workspace, KeyRow(*place, b"", row.kcv, epoch, row.fence_at))
    wrapped = HEADER.pack(FORMAT, AES_256_GCM, row.kver) + nonce + new.seal(nonce, raw, aad)
    return KeyRow(*place, wrapped, row.kcv, epoch, row.fence_at)


def _unwrap(shard: crypto.Aead, workspace: bytes, row: KeyRow) -> tuple[bytes, bytes]:
    """Return the key, and the record key derived from it."""
    kver, nonce, sealed = read_header(row.wrapped)
    raw = shard.open(nonce, sealed, wrap_aad(workspace, row))
    check, record = _derived(raw)
    if kver != row.kver or not crypto.same(check[:KCV_BYTES], row.kcv):
        raise EvidenceBroken("a key does not match its check value; restore the key store")
    return raw, record


class Rewrapped(Conflict):
    """The shard a key was wrapped for got a new key meanwhile; nothing was stored."""


class _Moved(Exception):  # noqa: N818 - never leaves this file
    """Key row and shard key are of two epochs: one was read before a roll, one after."""


class Shredded(NotFound):
    """The key was destroyed on purpose: nothing under this id is readable, ever again."""


@dataclass(slots=True)
class _Entry:
    """A person's key rows as read, and the keys unwrapped from them so far."""

    read_at: Instant
    rows: dict[tuple[str, int], KeyRow] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    shredded: set[tuple[str, int]] = field(default_factory=set)
    broken: dict[tuple[str, int], EvidenceBroken] = field(default_factory=dict)
    keys: dict[tuple[str, int], DataKey] = field(default_factory=dict)
    reread: bool = False

    def gone(self, scope: str, kver: int) -> bool:
        """Tell whether a key that is not here was destroyed, alone or with all of the person's.

        A person's data key that has a newer version was only replaced: they themselves are not.
        """
        whole = "" not in self.newest and any(s == "" for s, _ in self.shredded)
        return whole or any(s == scope and kver in (0, v) for s, v in self.shredded)

    def take(self, row: KeyRow) -> None:
        """Note a row as read; it is unwrapped when it is asked for."""
        scope, kver = row.scope, row.kver
        if row.state == "shredded":
            self.shredded.add((scope, kver))
            return
        self.rows[scope, kver] = row
        if kver > self.newest.get(scope, 0):
            self.newest[scope] = kver


class Keyring:
    """Unwrapped keys, cached at most `CACHE_S` seconds and dropped when a fence moves."""

    def __init__(self, workspace: bytes, store: KeyStore, randomness: Randomness) -> None:
        """Serve the keys of one workspace (`workspace`: its 16-byte id)."""
        self.workspace = workspace
        self._store = store
        self._random = randomness
        self._cache: OrderedDict[PersonId, _Entry] = OrderedDict()
        self._fence = -1
        self._shards: dict[int, tuple[int, crypto.Aead]] = {}
        self._lock = threading.Lock()

    def secret(self, name: str) -> bytes:
        """Return a named secret of the key store."""
        return self._store.secret(name)

    def load(self, people: Sequence[PersonId], at: Instant) -> None:
        """Read the key rows of these people in one go; each key is unwrapped at its first use.

        A row that does not open spoils that key alone: `key` raises for it, others stay readable.

        Raises:
            Unavailable: The key store or its key-encryption key does not answer.
        """
        self._entries(people, at)

    def _entries(self, people: Sequence[PersonId], at: Instant) -> dict[PersonId, _Entry]:
        """Return every entry itself: another thread may clear the cache at any moment."""
        fence = self._store.fence()
        with self._lock:
            if fence != self._fence:
                self._cache.clear()
                self._shards.clear()
                self._fence = fence
        oldest = at - CACHE_S * SECOND
        out: dict[PersonId, _Entry] = {}
        missing: dict[PersonId, _Entry] = {}
        for person in people:
            entry = self._cache.get(person)
            if entry is not None and oldest <= entry.read_at <= at:
                out[person] = entry
            else:
                missing[person] = _Entry(at)
        if missing:
            for row in self._store.rows(list(missing)):
                missing[row.person].take(row)
            self._keep(missing, fence, max(CACHE_PEOPLE, len(people)))
            out |= missing
        return out

    def _keep(self, read: Mapping[PersonId, _Entry], fence: int, most: int) -> None:
        with self._lock:
            for person in read:
                self._cache.pop(person, None)
            if self._fence == fence:
                self._cache.update(read)
            while len(self._cache) > most:
                self._cache.popitem(last=False)

    def _shard(self, person: PersonId) -> tuple[int, crypto.Aead]:
        """Return epoch and key of a person's shard, set up once between two fences."""
        shard = shard_of(person)
        held = self._shards.get(shard)
        if held is None:
            epoch, raw = self._store.shard_key(shard)
            held = self._shards[shard] = (epoch, crypto.Aead(raw))
        return held

    def _unwrapped(self, entry: _Entry, place: tuple[str, int]) -> DataKey | None:
        """Unwrap a key at its first use; one that does not open is noted as broken."""
        row = entry.rows.get(place)
        if row is None or place in entry.broken:
            return None
        try:
            epoch, shard = self._shard(row.person)
            if epoch != row.epoch and not entry.reread:
                raise _Moved
            if epoch != row.epoch:
                raise EvidenceBroken("a key row is of another epoch")  # noqa: TRY301 - noted below
            made = _unwrap(shard, self.workspace, row)
        except EvidenceBroken as fault:
            entry.broken[place] = fault
            return None
        key = entry.keys[place] = DataKey(row.person, row.scope, row.kver, *made)
        return key

    def key(self, person: PersonId, at: Instant, scope: str = "", kver: int = 0) -> DataKey:
        """Return the person's key of a scope; `kver` 0 means the newest.

        Raises:
            Shredded: It was destroyed.
            NotFound: It was never made.
            EvidenceBroken: It is there and does not open, or not as the key it was.
        """
        entry = self._cache.get(person)
        if entry is None or not at - CACHE_S * SECOND <= entry.read_at <= at:
            entry = self._entries([person], at)[person]
        place = (scope, kver or entry.newest.get(scope, 0))
        try:
            found = entry.keys.get(place) or self._unwrapped(entry, place)
        except _Moved:
            entry = self._again(person, at)
            place = (scope, kver or entry.newest.get(scope, 0))
            found = self._unwrapped(entry, place)
        if found is not None and not entry.broken:
            return found
        broken = max(
            (v for s, v in list(entry.broken) if s == scope and kver in (0, v)), default=0
        )
        if broken > (found.kver if found else 0):
            raise entry.broken[scope, broken].with_traceback(None)
        if found is not None:
            return found
        if entry.gone(scope, kver):
            raise Shredded("the key under this id was destroyed; nothing here can be read again")
        raise NotFound("no key was made yet under this id")

    def _again(self, person: PersonId, at: Instant) -> _Entry:
        """Read a person's key rows and the shard keys anew: an epoch ended meanwhile."""
        self._forget(person)
        with self._lock:
            self._shards.clear()
        entry = self._entries([person], at)[person]
        entry.reread = True
        return entry

    def has(self, person: PersonId, at: Instant, scope: str = "") -> bool:
        """Say whether a readable key of this scope exists."""
        try:
            self.key(person, at, scope)
        except NotFound:
            return False
        return True

    def destroyed(self, person: PersonId, at: Instant, scope: str = "") -> bool:
        """Say whether the key of this scope was destroyed: nothing may be sealed there again."""
        try:
            self.key(person, at, scope)
        except Shredded:
            return True
        except NotFound:
            return False
        return False

    def following(self, person: PersonId, at: Instant, scope: str) -> int:
        """Return the version after every one this scope ever had, destroyed ones included."""
        entry = self._entries([person], at)[person]
        return 1 + max((v for s, v in (*entry.rows, *entry.shredded) if s == scope), default=0)

    def make(self, wanted: Sequence[tuple[PersonId, str, int]]) -> None:
        """Make keys `(person, scope, kver)`; durable on return, before anything is sealed by them.

        Raises:
            Conflict: One exists, or the person or scope is fenced; none was made.
            Unavailable: The key store does not answer.
        """
        for _ in range(TRIES):
            self._store.fence()
            try:
                self._store.add([self._made(*each) for each in wanted])
            except Rewrapped:  # an epoch ended between reading a shard key and storing
                continue
            for person, _, _ in wanted:
                self._forget(person)
            return
        raise Unavailable("the key store keeps changing its shard keys", "repeat in a moment", 1)

    def _made(self, person: PersonId, scope: str, kver: int) -> KeyRow:
        epoch, shard_key = self._store.shard_key(shard_of(person))
        raw = self._random.take(crypto.KEY_BYTES)
        row = KeyRow(person, scope, kver, "active", b"", key_check(raw), epoch)
        nonce = self._random.take(crypto.NONCE_BYTES)
        wrapped = wrap(shard_key, nonce, raw, self.workspace, row)
        return KeyRow(person, scope, kver, "active", wrapped, row.kcv, epoch)

    def _forget(self, person: PersonId) -> None:
        with self._lock:
            self._cache.pop(person, None)

    def shred(
        self, person: PersonId, scopes: Sequence[str] | None, at: Instant, below: int = 0
    ) -> int:
        """Destroy keys; see `KeyStore.shred`. The cache forgets them at once."""
        self._forget(person)
        try:
            return self._store.shred(person, scopes, at, below)
        finally:
            self._forget(person)


class Vault:
    """Seal values and, for whoever shows a permit, open them."""

    def __init__(self, keys: Keyring, randomness: Randomness, labels: Mapping[str, str]) -> None:
        """Seal under `keys`.

        Args:
            keys: The workspace's keyring.
            randomness: Where nonces come from.
            labels: Field id → data category; a field without one cannot be sealed or opened.
        """
        self.keys = keys
        self._random = randomness
        self._labels = labels

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field id that has a data category."""
        return tuple(sorted(self._labels))

    def category(self, field_id: str) -> str:
        """Return the data category of a field; unlabelled fields raise `InvalidInput`."""
        category = self._labels.get(field_id)
        if category is None:
            raise InvalidInput(f"field {field_id} has no data category; label it in the taxonomy")
        return category

    def seal_values(
        self, person: PersonId, values: Mapping[str, str], versions: Mapping[str, int], at: Instant
    ) -> list[Sealed]:
        """Seal text values under the person's key.

        Args:
            person: Whose values.
            values: Field id → text.
            versions: Field id → row version to write; it must rise at each rewrite.
            at: Present instant, for the key cache.
        """
        key = self.keys.key(person, at)
        out = []
        for name, text in values.items():
            self.category(name)
            version = versions.get(name, 1)
            aad = record_aad(self.keys.workspace, name, person, 0, version, key.kver)
            nonce = self._random.take(crypto.NONCE_BYTES)
            out.append(Sealed(name, 0, version, seal(key, nonce, text.encode(), aad)))
        return out

    def open(self, permit: Permit, rows: Iterable[Sealed], at: Instant) -> dict[str, str]:
        """Open sealed values as far as a permit goes, each under the permit's mask.

        Args:
            permit: The gate's answer; binds person, categories and the end of its validity.
            rows: Sealed rows of that person.
            at: Present instant, not after `permit.until`.

        Raises:
            InvalidInput: The permit has ended, or does not cover a field's category.
            EvidenceBroken: A row is another person's, of another place or version, or altered.
            Shredded: The person's key was destroyed.
        """
        self._require_live(permit, at)
        out = {}
        for row in rows:
            mask = permit.categories.get(self.category(row.field))
            if mask is None and _is_address(permit, row.field):
                mask = "full"
            if mask is None:
                raise InvalidInput(f"the permit does not cover the category of {row.field}")
            key = self._mask_key(permit.purpose, row.field) if mask == "hash" else b""
            out[row.field] = _masked(self._open(permit.person, row, at).decode(), mask, key)
        return out

    def _mask_key(self, purpose: str, field_id: str) -> bytes:
        """Return the key of masked digests: what two purposes see cannot be brought together."""
        place = lp(b"mask", purpose.encode(), field_id.encode())
        return crypto.mac(self.keys.secret("bi"), place)

    def open_merged(self, permit: Permit, person: PersonId, row: Sealed, at: Instant) -> str:
        """Open a value that another id of the permit's person holds: the caller knows whose it is.

        Raises:
            InvalidInput: The permit has ended, or does not cover the value's category in full.
            Shredded: That id was erased.
        """
        self._require_live(permit, at)
        if permit.categories.get(self.category(row.field)) != "full":
            raise InvalidInput(f"the permit does not cover the category of {row.field}")
        return self._open(person, row, at).decode()

    def open_chunks(
        self, permit: Permit, rows: Iterable[Sealed], category: str, at: Instant
    ) -> list["Chunk"]:
        """Open behaviour as far as a category reaches, if the permit covers it.

        A category such as `purchases.13w` reaches the scope `purchases` and the last 13 weeks;
        events outside the window never leave this function, chunks of other scopes are refused.

        Raises:
            InvalidInput: The permit has ended or does not cover the category, or a row is of
                another scope than the category reaches.
            Shredded: The quarter's key was destroyed.
        """
        return self.open_windows(permit, rows, (category,), at)[category]

    def open_windows(
        self, permit: Permit, rows: Iterable[Sealed], categories: Sequence[str], at: Instant
    ) -> dict[str, list["Chunk"]]:
        """Open behaviour once for several categories, each cut to what it reaches.

        Asks for each category, raises and leaves out what `open_chunks` would.
        """
        self._require_live(permit, at)
        reaches = [(c, *self._reach(permit, c, at)) for c in categories]
        out: dict[str, list[Chunk]] = {category: [] for category in categories}
        for row in rows:
            above = row.field.partition("/")[0]
            for category, scope, _ in reaches:
                if scope != above:
                    raise InvalidInput(f"{category} does not reach this scope")
            chunk = unpack_chunk(self._open(permit.person, row, at))
            for category, _, since in reaches:
                if chunk.at and chunk.at[-1] >= since:
                    out[category].append(since_then(chunk, since))
        return out

    def open_columns(
        self, permit: Permit, rows: Iterable[Sealed], category: str, at: Instant, into: Columns
    ) -> None:
        """Open behaviour as `open_chunks` does, into columns of many people.

        Raises what `open_chunks` raises; what was taken of the person before stays taken.
        """
        self._require_live(permit, at)
        scope, since = self._reach(permit, category, at)
        person = permit.person
        for row in rows:
            if row.field.partition("/")[0] != scope:
                raise InvalidInput(f"{category} does not reach this scope")
            into.take(person, self._open(person, row, at), since, FORMAT)

    def _reach(self, permit: Permit, category: str, at: Instant) -> tuple[str, int]:
        """Return the scope a permitted category reaches, and since when."""
        if permit.categories.get(category) != "full":
            raise InvalidInput(f"the permit does not cover {category} in full")
        scope, _, window = category.rpartition(".")
        weeks = _WEEKS.fullmatch(window)
        return (scope, at - int(weeks[1]) * 7 * DAY) if weeks else (category, 0)

    def seal_outgoing(  # noqa: PLR0913 - the places a message is bound to
        self,
        person: PersonId,
        purpose: str,
        ref: int,
        data: bytes,
        at: Instant,
        nonce: bytes = b"",
    ) -> Sealed:
        """Seal a rendered message until it is handed over; a given `nonce` must be fresh."""
        field_id = f"outgoing:{purpose}"
        key = self.keys.key(person, at)
        aad = record_aad(self.keys.workspace, field_id, person, ref, 1, key.kver)
        nonce = nonce or self._random.take(crypto.NONCE_BYTES)
        return Sealed(field_id, ref, 1, seal(key, nonce, data, aad))

    def open_outgoing(self, permit: Permit, row: Sealed, at: Instant) -> bytes:
        """Open a rendered message for its hand-over, under a fresh permit for the same purpose.

        Raises:
            InvalidInput: The permit has ended, or is for another purpose or not for sending.
            Shredded: The person was erased meanwhile.
        """
        self._require_live(permit, at)
        asked = permit.request
        if asked.action is not Action.SEND or row.field != f"outgoing:{asked.purpose}":
            raise InvalidInput("the permit is not for sending this message")
        return self._open(permit.person, row, at)

    def seal_chunk(  # noqa: PLR0913 - the places a chunk is bound to
        self, person: PersonId, scope: str, number: int, version: int, plain: bytes, at: Instant
    ) -> Sealed:
        """Seal one behaviour chunk under its quarter's key; `scope` is `category/2026Q4`."""
        key = self.keys.key(person, at, scope)
        aad = record_aad(self.keys.workspace, scope, person, number, version, key.kver)
        nonce = self._random.take(crypto.NONCE_BYTES)
        return Sealed(scope, number, version, seal(key, nonce, plain, aad))

    def value_mac(self, person: PersonId, row: Sealed, at: Instant) -> bytes:
        """Return the keyed digest of a sealed value: upkeep, the value is shown to nobody."""
        return self.text_mac(row.field, self._open(person, row, at).decode())

    def text_mac(self, field_id: str, text: str) -> bytes:
        """Return the keyed digest a value of this field has; equal texts have equal ones."""
        return crypto.mac(self.keys.secret("bi"), lp(b"value", field_id.encode(), text.encode()))

    def reopen_chunk(self, person: PersonId, row: Sealed, at: Instant) -> "Chunk":
        """Open a chunk to append to it or to delete from it: upkeep, shown to nobody."""
        return unpack_chunk(self._open(person, row, at))

    def is_gone(self, person: PersonId, row: Sealed, at: Instant) -> bool:
        """Tell whether the very key version a row is sealed under was destroyed.

        A quarter may live on under a newer one: then `Keyring.destroyed` says no, and this yes of
        a row that an old copy of the data brought back.
        """
        scope = row.field if "/" in row.field else ""
        try:
            self.keys.key(person, at, scope, read_header(row.rec)[0])
        except Shredded:
            return True
        return False

    def _require_live(self, permit: Permit, at: Instant) -> None:
        if type(permit) is not Permit:
            raise InvalidInput("the vault opens for a permit of the gate and nothing else")
        if at >= permit.until:
            raise InvalidInput("the permit has ended; ask again")

    def _open(self, person: PersonId, row: Sealed, at: Instant) -> bytes:
        kver, nonce, sealed = read_header(row.rec)
        scope = row.field if "/" in row.field else ""
        key = self.keys.key(person, at, scope, kver)
        aad = record_aad(self.keys.workspace, row.field, person, row.row, row.version, kver)
        return key.record.open(nonce, sealed, aad)

    def reseal(self, person: PersonId, row: Sealed, at: Instant) -> Sealed | None:
        """Seal a row under the newest version of its key; None where it is already.

        Upkeep: nobody is shown anything, place and version stay, the plain bytes too.

        Raises:
            Shredded: The key it lies under was destroyed: it can only be dropped.
        """
        scope = row.field if "/" in row.field else ""
        key = self.keys.key(person, at, scope)
        if read_header(row.rec)[0] == key.kver:
            return None
        plain = self._open(person, row, at)
        aad = record_aad(self.keys.workspace, row.field, person, row.row, row.version, key.kver)
        nonce = self._random.take(crypto.NONCE_BYTES)
        return Sealed(row.field, row.row, row.version, seal(key, nonce, plain, aad))

    def traces(self, person: PersonId, rows: Iterable[Sealed], at: Instant) -> list[bytes]:
        """Return the values a search after this person's erasure looks for, in memory only.

        Part of an erasure that is recorded, shown to nobody and kept nowhere; rows that do not
        open any more betray nothing and are left out.
        """
        out = []
        for row in rows:
            with suppress(NotFound, EvidenceBroken):
                out.append(self._open(person, row, at))
        return out

    def seal_event(
        self, person: PersonId, n: int, plain: bytes, at: Instant, nonce: bytes = b""
    ) -> bytes:
        """Seal `salt32 || event` as the body of event n; a given `nonce` must be fresh."""
        key = self.keys.key(person, at)
        aad = record_aad(self.keys.workspace, EVENT_FIELD, person, n, 1, key.kver)
        return seal(key, nonce or self._random.take(crypto.NONCE_BYTES), plain, aad)

    def open_event(self, person: PersonId, n: int, rec: bytes, at: Instant) -> bytes:
        """Open an event body for the fold, the person's own receipt or a check of the chain."""
        return self._open(person, Sealed(EVENT_FIELD, n, 1, rec), at)


def _is_address(permit: Permit, field_id: str) -> bool:
    """Whether a field is the very address a permitted message goes to."""
    channel = permit.request.channel
    sends = permit.request.action is Action.SEND
    return sends and channel is not None and field_id == address_field(channel)


def search_mac(secret: bytes, channel: str, normalised: str) -> bytes:
    """Return the MAC by which an address is found; 16 bytes, under the search key."""
    return crypto.mac(secret, lp(channel.encode(), normalised.encode()))[:INDEX_BYTES]


# Behaviour chunks

CHUNK_EVENTS = 4_096
_WEEKS = re.compile(r"([1-9][0-9]{0,2})w")
_CHUNK_HEAD = struct.Struct(">BII")
_COLUMNS = (("at", "q"), ("kind", "B"), ("item", "I"), ("amount", "q"), ("units", "i"))
_WIDTH = struct.calcsize(">" + "".join(code for _, code in _COLUMNS))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Up to `CHUNK_EVENTS` behaviour events of one person in columns.

    Attributes:
        at: Instants, UTC microseconds.
        kind: Index into `kinds`.
        item: Index into `items`.
        amount: Minor units of `currency`.
        units: How many; negative for a return.
        kinds: Words such as purchase, return, view.
        items: Item ids.
        groups: Product groups; `item_group` says which one each item belongs to.
        tail: Rare fields, canonical JSON values.
    """

    at: Sequence[int]
    kind: Sequence[int]
    item: Sequence[int]
    amount: Sequence[int]
    units: Sequence[int]
    kinds: tuple[str, ...]
    items: tuple[str, ...]
    groups: tuple[str, ...]
    item_group: tuple[int, ...]
    currency: str
    source: str
    tail: Mapping[str, str] = field(default_factory=dict)


def pack_chunk(chunk: Chunk) -> bytes:
    """Write a chunk: version, count, tail length, columns big-endian, tail as canonical JSON.

    Raises:
        InvalidInput: More than `CHUNK_EVENTS` events, columns of different lengths, not in order
            of time, or a number that has no room in its column.
    """
    count = len(chunk.at)
    columns = [getattr(chunk, name) for name, _ in _COLUMNS]
    if count > CHUNK_EVENTS or any(len(c) != count for c in columns):
        raise InvalidInput("a chunk's columns are too long or differ in length")
    if any(earlier > later for earlier, later in pairwise(chunk.at)):
        raise InvalidInput("a chunk's events are not in order of time")
    tail = _tail_encode(chunk)
    try:
        packed = [
            struct.pack(f">{count}{code}", *column)
            for (_, code), column in zip(_COLUMNS, columns, strict=True)
        ]
    except struct.error:
        raise InvalidInput("a number has no room in its column of a chunk") from None
    return _CHUNK_HEAD.pack(FORMAT, count, len(tail)) + b"".join(packed) + tail


def unpack_chunk(plain: bytes) -> Chunk:
    """Read what `pack_chunk` writes.

    Raises:
        EvidenceBroken: Another version, lengths that do not add up, or a tail of another shape.
    """
    if len(plain) < _CHUNK_HEAD.size:
        raise EvidenceBroken("a behaviour chunk is not whole")
    version, count, tail_length = _CHUNK_HEAD.unpack_from(plain)
    start = _CHUNK_HEAD.size
    if version != FORMAT or len(plain) != start + count * _WIDTH + tail_length:
        raise EvidenceBroken("a behaviour chunk is not whole")
    numbers = _columns(count).unpack_from(plain, start)
    columns = [numbers[i : i + count] for i in range(0, len(_COLUMNS) * count, count or 1)]
    return _tail_decode(columns or [()] * len(_COLUMNS), plain[start + count * _WIDTH :])


@lru_cache(maxsize=1024)
def _columns(count: int) -> struct.Struct:
    return struct.Struct(">" + "".join(f"{count}{code}" for _, code in _COLUMNS))


def since_then(chunk: Chunk, since: int) -> Chunk:
    """Return the part of a chunk from an instant on; its columns are in order of time."""
    start = bisect_left(chunk.at, since)
    if not start:
        return chunk
    return Chunk(
        chunk.at[start:],
        chunk.kind[start:],
        chunk.item[start:],
        chunk.amount[start:],
        chunk.units[start:],
        chunk.kinds,
        chunk.items,
        chunk.groups,
        chunk.item_group,
        chunk.currency,
        chunk.source,
        chunk.tail,
    )


def _tail_encode(chunk: Chunk) -> bytes:
    return events.canonical(
        {
            "kinds": chunk.kinds,
            "items": chunk.items,
            "groups": chunk.groups,
            "item_group": chunk.item_group,
            "currency": chunk.currency,
            "source": chunk.source,
            "tail": chunk.tail,
        }
    )


class _Tail(TypedDict):
    currency: str
    groups: list[str]
    item_group: list[Annotated[int, msgspec.Meta(gt=-events.MAX_INT, lt=events.MAX_INT)]]
    items: list[str]
    kinds: list[str]
    source: str
    tail: dict[str, str]


_tail_reader = msgspec.json.Decoder(_Tail)
_tail_writer = msgspec.json.Encoder(order="sorted")


def _tail_words(tail: bytes) -> Mapping[str, Any]:
    """Read a tail's canonical JSON of the known shape; plain ASCII by a shorter way."""
    try:
        words = _tail_reader.decode(tail)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise EvidenceBroken("a behaviour chunk is not whole") from None
    if tail.isascii() and _tail_writer.encode(words) == tail:
        return words
    return events.read_canonical(tail)


def _tail_decode(columns: Sequence[tuple[int, ...]], tail: bytes) -> Chunk:
    words = _tail_words(tail)
    at, kind, item, amount, units = columns
    return Chunk(
        at=at,
        kind=kind,
        item=item,
        amount=amount,
        units=units,
        kinds=tuple(words["kinds"]),
        items=tuple(words["items"]),
        groups=tuple(words["groups"]),
        item_group=tuple(words["item_group"]),
        currency=words["currency"],
        source=words["source"],
        tail=words["tail"],
    )
