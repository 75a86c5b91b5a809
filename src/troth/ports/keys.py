"""Where keys live, apart from the data they open."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from troth.terms import Finality, Instant, KeyEpoch, KeyRow, PersonId


class KeyStore(Protocol):
    """Wrapped keys and named secrets, apart from the data and its backups.

    Its commits are its own: record the intent in the ledger, change keys, record the outcome.
    """

    def rows(self, people: Sequence[PersonId]) -> list[KeyRow]:
        """Return every key row of these people, shredded ones included."""
        ...

    def add(self, rows: Iterable[KeyRow]) -> None:
        """Store new rows; durable on return. A version after the first raises the fence counter.

        Raises:
            Conflict: The row exists, or a shredded row of this person or scope fences it.
                Nothing was stored.
            kernel.vault.Rewrapped: The shard got a new key meanwhile: wrap again.
        """
        ...

    def shred(
        self, person: PersonId, scopes: Sequence[str] | None, at: Instant, below: int = 0
    ) -> int:
        """Destroy keys (None: all of the person): zeroed, nulled, committed, WAL truncated.

        With `below`, only versions under it: what is left of a quarter lives on under the new one.
        Repeatable. Raises the fence counter. Returns how many rows are shredded now.
        """
        ...

    def fence(self) -> int:
        """Return the fence counter; it moves when anything was shredded or got a newer version."""
        ...

    def shard_key(self, shard: int) -> tuple[int, bytes]:
        """Return (epoch, key) of a shard, made on first use.

        Raises:
            Unavailable: The key-encryption key cannot be reached: nothing can be read.
        """
        ...

    def secret(self, name: str) -> bytes:
        """Return a named 32-byte secret (index, suppression, log, journal …), made by `init`.

        Raises:
            Unavailable: The secret is missing; the message says which file to restore.
        """
        ...


class KeyProvider(Protocol):
    """Where the key-encryption key of each epoch lives: the one place that can destroy it.

    The key store keeps what is wrapped under these keys and never a key of an epoch itself, so
    that a copy of the store opens nothing once its epoch is destroyed. A file, the keyring of
    the operating system; a KMS or a transit engine fits the same port.
    """

    @property
    def name(self) -> str:
        """What it is called in settings and pages."""
        ...

    def new_epoch(self, epoch: int) -> None:
        """Make the key of an epoch, durable on return; one that exists stays as it is.

        Raises:
            Unavailable: It does not answer, or cannot write.
        """
        ...

    def wrap(self, epoch: int, raw: bytes, aad: bytes) -> bytes:
        """Seal a key under the key of an epoch; raises as `unwrap` does."""
        ...

    def unwrap(self, epoch: int, sealed: bytes, aad: bytes) -> bytes:
        """Open what `wrap` sealed.

        Raises:
            Unavailable: It does not answer, or holds no key of this epoch (any more).
            EvidenceBroken: The key, the place or the bytes are not those.
        """
        ...

    def epochs(self) -> list[int]:
        """Return the epochs it still holds a key of, in order."""
        ...

    def promise(self, at: Instant) -> Finality:
        """Say what it would state of a key destroyed at this moment; destroys nothing."""
        ...

    def destroy_epoch(self, epoch: int, at: Instant) -> Finality:
        """Make the key of an epoch gone, not merely forgotten; repeatable.

        Raises:
            Unavailable: It does not answer; the key may stand: repeat.
        """
        ...


@runtime_checkable
class EscrowableProvider(KeyProvider, Protocol):
    """A provider whose key can leave it, for shares in several hands."""

    def export(self, epoch: int) -> bytes:
        """Return the key of an epoch; raises as `unwrap` does."""
        ...

    def put_back(self, epoch: int, raw: bytes) -> None:
        """Take back the key of an epoch that was lost; one that exists stays as it is.

        Raises:
            Unavailable: It cannot write.
        """
        ...


class EpochStore(Protocol):
    """The epochs of a key store: see `adapters.sqlite.epochs`."""

    def all(self) -> list[KeyEpoch]:
        """Return every epoch there ever was, oldest first."""
        ...

    def touched(self) -> int:
        """Count the shards a key of which was shredded since their key was last renewed."""
        ...

    def begin(self, at: Instant) -> int:
        """Begin an epoch, or go on with the one that was begun; return its number."""
        ...

    def turn(self, epoch: int) -> tuple[int, int]:
        """Bring every shard under an epoch; return shards with a new key, and keys re-wrapped.

        Repeatable after a crash anywhere, in short writes; others keep reading.
        """
        ...

    def finish(self, epoch: int, at: Instant, due: Instant) -> None:
        """Put an epoch into force; the one before is kept until `due`. Repeatable."""
        ...

    def destroy(self, epoch: int, at: Instant) -> Finality:
        """Destroy the key of an epoch that is over; repeatable, states the same again."""
        ...
