"""What leads to a person in clear leaves in a backup only under their own key; and the list.

Keyed codes of addresses and numbers, stop tokens and the like would say for ever that somebody was
a customer. Sealed by the key that an erasure destroys, an old backup says it no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from troth import crypto
from troth.errors import EvidenceBroken, NotFound
from troth.kernel import events
from troth.kernel.desk import Desk
from troth.kernel.vault import read_header, record_aad
from troth.kernel.vault import seal as sealed
from troth.ports import View
from troth.terms import Actor, ContactPoint, Instant, PersonId

FIELD: Final = "backup"
BACKUPS: Final = "custody.backup"
DATA: Final = "data"
NEVER: Final = Instant(0)
MADE, CHECKED = "made", "checked"


class Led(Protocol):
    """What leads to one person: their contact points and rows of own tables."""

    @property
    def person(self) -> PersonId:
        """Whose it is."""
        ...

    @property
    def contacts(self) -> tuple[ContactPoint, ...]:
        """Keyed codes of their addresses."""
        ...

    @property
    def rows(self) -> tuple[tuple[str, bytes, bytes], ...]:
        """Table, key and value."""
        ...


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    """A bundle as it is sealed."""

    contacts: tuple[ContactPoint, ...]
    rows: tuple[tuple[str, bytes, bytes], ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def seal_bundles(desk: Desk, view: View, bundles: Sequence[Led]) -> list[bytes | None]:
    """Seal each person's bundle under their key; None for whom none is left, or none opens."""
    desk.vault.keys.load([each.person for each in bundles], view.now)
    return [_sealed(desk, each, view.now) for each in bundles]


def _sealed(desk: Desk, led: Led, at: Instant) -> bytes | None:
    try:
        key = desk.vault.keys.key(led.person, at)
    except (NotFound, EvidenceBroken):
        return None
    aad = record_aad(desk.workspace, FIELD, led.person, 0, 1, key.kver)
    nonce = desk.randomness.take(crypto.NONCE_BYTES)
    return sealed(key, nonce, _encode(_Packed(led.contacts, led.rows)), aad)


def open_bundle(
    desk: Desk, person: PersonId, rec: bytes, at: Instant
) -> tuple[tuple[ContactPoint, ...], tuple[tuple[str, bytes, bytes], ...]]:
    """Open a bundle to put its rows back where they were; nothing of it is shown to anybody.

    Raises:
        Shredded: The person was erased: their rows come back never again.
        EvidenceBroken: It is another person's, or altered.
    """
    kver, nonce, body = read_header(rec)
    key = desk.vault.keys.key(person, at, "", kver)
    aad = record_aad(desk.workspace, FIELD, person, 0, 1, kver)
    found = _decode(key.record.open(nonce, body, aad))
    return found.contacts, found.rows


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup as the house remembers it.

    Attributes:
        digest: SHA-256 of the file, hex.
        bytes: How large it is.
        size: Entries of the ledger it holds.
        place: Name of the file; where it lies is the operator's to know.
        counts: Rows by table.
        checked_at: When it was last restored for a trial; 0 never.
        gone_at: When it was deleted because its time was over; 0 not.
    """

    id: str
    at: Instant
    digest: str
    bytes: int
    size: int
    place: str
    counts: dict[str, int]
    checked_at: Instant = NEVER
    gone_at: Instant = NEVER


_read = msgspec.json.Decoder(Backup).decode


def backups(view: View) -> list[Backup]:
    """Return every backup this record remembers, newest first."""
    out: list[Backup] = []
    after = b""
    while page := view.rows(BACKUPS, b"", after, 500):
        out += [_read(raw) for _, raw in page]
        after = page[-1][0]
    return sorted(out, key=lambda each: (each.at, each.id), reverse=True)


def note_backup(desk: Desk, made: Backup, act: str, actor: Actor) -> None:
    """Record in the house's chain that a backup was made, checked or deleted, and remember it."""
    told = events.BackupActed(act, DATA, made.id, made.digest, made.size, made.counts)
    while True:
        with desk.store.look() as view:
            prepared = desk.house_event(view, told, actor)
        with desk.store.book() as tx:
            if not tx.append(prepared):
                tx.put_row(BACKUPS, made.id.encode(), msgspec.json.encode(made))
                return
