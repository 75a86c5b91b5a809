"""Personal data at rest: opened by a `Permit` and by nothing else.

The bytes lie in `records` and `chunks`, the keys in `keyring`; this is the one door to values.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from troth import crypto
from troth.errors import EvidenceBroken, InvalidInput, NotFound
from troth.kernel.chunks import CHUNK_EVENTS, VERSION, Chunk, pack_chunk, since_then, unpack_chunk
from troth.kernel.columns import Columns
from troth.kernel.gate import Permit
from troth.kernel.keyring import CACHE_S, TRIES, Keyring, Rewrapped, Shredded
from troth.kernel.masks import masked as _masked
from troth.kernel.records import (
    AES_256_GCM,
    FORMAT,
    HEADER,
    KCV_BYTES,
    OVERHEAD,
    SHARDS,
    DataKey,
    key_check,
    lp,
    read_header,
    record_aad,
    rewrap,
    seal,
    shard_of,
    unwrap,
    wrap,
    wrap_aad,
)
from troth.ports import Randomness
from troth.terms import (
    DAY,
    Action,
    Instant,
    PersonId,
    Sealed,
    address_field,
)

__all__ = [
    "AES_256_GCM",
    "CACHE_S",
    "CHUNK_EVENTS",
    "EVENT_FIELD",
    "FORMAT",
    "HEADER",
    "INDEX_BYTES",
    "KCV_BYTES",
    "OVERHEAD",
    "SHARDS",
    "TRIES",
    "Chunk",
    "DataKey",
    "Keyring",
    "Rewrapped",
    "Shredded",
    "Vault",
    "key_check",
    "lp",
    "pack_chunk",
    "read_header",
    "record_aad",
    "rewrap",
    "seal",
    "search_mac",
    "shard_of",
    "since_then",
    "unpack_chunk",
    "unwrap",
    "wrap",
    "wrap_aad",
]

INDEX_BYTES = 16
EVENT_FIELD = "event"
_WEEKS = re.compile(r"([1-9][0-9]{0,2})w")


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
    ) -> list[Chunk]:
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
    ) -> dict[str, list[Chunk]]:
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
            into.take(person, self._open(person, row, at), since, VERSION)

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

    def reopen_chunk(self, person: PersonId, row: Sealed, at: Instant) -> Chunk:
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
