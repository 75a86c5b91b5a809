"""Keys as they are used: unwrapped when asked for, kept for a minute, gone when a fence moves.

"No key", "key not yet made" and "key shredded" are three different answers.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, NotFound, Unavailable
from troth.kernel.records import DataKey, key_check, shard_of, unwrapped, wrap
from troth.ports import KeyStore, Randomness
from troth.terms import SECOND, Instant, KeyRow, PersonId

CACHE_S = 60
CACHE_PEOPLE = 20_000
TRIES = 5


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
            made = unwrapped(shard, self.workspace, row)
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

    def highest(self, people: Sequence[PersonId]) -> int:
        """Return the highest version of a key ever made for these people, destroyed or not."""
        return max((row.kver for row in self._store.rows(people)), default=0)

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
