"""What the core asks of the outside world. Implemented by adapters, chosen in `app` only."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from troth.terms import (
    Account,
    ApiKey,
    Block,
    Body,
    Channel,
    Claim,
    ContactPoint,
    Farewell,
    Finality,
    Gathered,
    Identity,
    IdentityAsked,
    Instant,
    Job,
    KeyEpoch,
    KeyRow,
    LogState,
    Outcome,
    Outgoing,
    Passkey,
    PersonId,
    PersonRecord,
    Prepared,
    Published,
    Refusal,
    Sealed,
    Site,
    Suppressed,
    UseRequest,
)


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> Instant:
        """Return the present instant, UTC microseconds."""
        ...


class Randomness(Protocol):
    """The only source of ids, salts, nonces and codes."""

    def take(self, count: int) -> bytes:
        """Return `count` fresh unpredictable bytes."""
        ...


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


class RestrictionJournal(Protocol):
    """Every act a restore must not undo, appended before its answer is given."""

    def note(self, act: str, facts: Mapping[str, str | int], seq: int) -> None:
        """Append one line, fsynced, MACed over the previous line's MAC.

        Raises:
            Unavailable: The line could not be written; do not answer the person yet.
        """
        ...

    def note_all(self, lines: Sequence[tuple[str, Mapping[str, str | int], int]]) -> None:
        """Append many lines `(act, facts, seq)` with one fsync; none is answered before it."""
        ...

    def tips(self) -> Sequence[str]:
        """Return every line's MAC in order; raises as `lines` does."""
        ...

    def lines(self) -> Iterator[Mapping[str, str | int]]:
        """Yield every line in order.

        Raises:
            EvidenceBroken: The MAC chain is broken at the line named.
        """
        ...


class SignedSize(Protocol):
    """The last size and root signed, kept apart from the record: no second history is signed."""

    def last(self) -> LogState | None:
        """Return the last signed state, None before the first."""
        ...

    def advance(self, before: LogState | None, after: LogState) -> None:
        """Move from `before` to `after`, durably, before the signature is made.

        Raises:
            Conflict: Somebody else signed meanwhile.
        """
        ...


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signed head as it was shown outside: what a later, shorter record is found out by.

    Attributes:
        at: When it was signed, or seen to be cosigned.
        cosignatures: Signature lines of witnesses, whole; none when it was signed.
    """

    origin: str
    size: int
    root: bytes
    at: Instant
    cosignatures: tuple[str, ...] = ()


class Anchors(Protocol):
    """Every head ever signed, kept apart from the record, never rewritten."""

    def append(self, anchor: Anchor) -> None:
        """Keep one, durably on return.

        Raises:
            Unavailable: It cannot be written; the head must not be shown then.
        """
        ...

    def newest(self, origin: str) -> Anchor | None:
        """Return the largest kept of a log, None where there is none.

        Raises:
            EvidenceBroken: The file was damaged.
        """
        ...


class WitnessPort(Protocol):
    """A witness somewhere on the net, asked as c2sp.org/tlog-witness says."""

    def add(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Hand in a checkpoint; return status and the beginning of the answer.

        Raises:
            Unavailable: Nobody answers there now.
            InvalidInput: Not https, nor this machine.
        """
        ...

    def newest(self, url: str, origin: str) -> str | None:
        """Return the newest checkpoint the witness shows of a log, None if it shows none.

        Raises:
            Unavailable: Nobody answers there now.
            InvalidInput: Not https, nor this machine.
        """
        ...


class View(Protocol):
    """One read snapshot without a lock; `now` is fixed when it is opened."""

    @property
    def now(self) -> Instant:
        """The decision's time: max(clock, last recorded)."""
        ...

    @property
    def behind(self) -> int:
        """Microseconds the machine's clock lies behind the last recorded moment, or 0."""
        ...

    @property
    def house_version(self) -> int:
        """Rises with every published change."""
        ...

    @property
    def log(self) -> LogState:
        """Size and root of the ledger in this snapshot."""
        ...

    def gather(self, people: Sequence[PersonId], channel: Channel | None) -> list[Gathered]:
        """Return head, record, contact point and blocks of each known person, in given order."""
        ...

    def find(self, channel: Channel, bi: bytes) -> list[PersonId]:
        """Return who holds an address, by its search MAC."""
        ...

    def holders(self, sup: bytes) -> list[PersonId]:
        """Return who holds an address, by its suppression MAC."""
        ...

    def people(self, after: PersonId | None, limit: int) -> list[PersonId]:
        """Page through everybody, ordered by local number."""
        ...

    def sealed(
        self, people: Sequence[PersonId], fields: Sequence[str], since: str = ""
    ) -> dict[PersonId, list[Sealed]]:
        """Return sealed rows of these fields, per person by field and row.

        A field ending in `/` means every scope below it, from `since` on where that is given.
        """
        ...

    def bodies(self, person: PersonId) -> list[Body]:
        """Return the person's sealed events in order of n."""
        ...

    def body_at(self, seq: int, limit: int) -> list[Body]:
        """Return sealed events from leaf index `seq` on."""
        ...

    def published(self, name: str) -> Published | None:
        """Return the newest published version, None if there is none."""
        ...

    def published_all(self, prefix: str) -> list[Published]:
        """Return every version of every name that starts with `prefix`, oldest first."""
        ...

    def row(self, table: str, key: bytes) -> bytes | None:
        """Return one row of a capability's own table."""
        ...

    def rows(
        self, table: str, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Page through a capability's own table in key order."""
        ...

    def blocks(self, sups: Sequence[bytes]) -> dict[bytes, tuple[Block, ...]]:
        """Return suppressions by MAC."""
        ...

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return ledger entries from `start` up to but not including `end`."""
        ...

    def tile(self, level: int, number: int) -> bytes:
        """Return a tile's hashes; `b""` if there is none."""
        ...

    def note(self) -> str | None:
        """Return the newest signed checkpoint."""
        ...

    def jobs(self, kind: str, state: str) -> int:
        """Count jobs of a kind in a state."""
        ...

    def waiting(self) -> dict[str, int]:
        """Count jobs that are not at their end, by kind; walks the index of jobs."""
        ...

    def leased(self, prefix: str, keys: Sequence[str]) -> frozenset[str]:
        """Return which of these keys are jobs taken and not ended, among kinds that begin so."""
        ...

    def job_of(self, prefix: str, key: str) -> tuple[str, PersonId | None] | None:
        """Return kind and person of the job with this key among kinds that begin so.

        Costs one look-up a kind; None where there is none, or its person was erased.
        """
        ...


class Transaction(View, Protocol):
    """One short write (≤ 500 people, ≤ 50 ms); commits on clean exit, else rolls back."""

    @property
    def size(self) -> int:
        """Size of the ledger with what this write has added so far."""
        ...

    def append(self, prepared: Sequence[Prepared]) -> frozenset[PersonId]:
        """Book events: heads move by compare-and-set, bodies are stored, projections run.

        Returns whose head had moved: nothing of theirs was booked; look at them again.
        """
        ...

    def state(self, entry: bytes) -> int:
        """Append a public statement; return its leaf index."""
        ...

    def record(self, person: PersonId) -> PersonRecord:
        """Return the gate facts as this write sees them."""
        ...

    def put_record(self, person: PersonId, record: PersonRecord) -> None:
        """Replace the gate facts of a person."""
        ...

    def put_contact(self, person: PersonId, contact: ContactPoint) -> None:
        """Add or replace a contact point."""
        ...

    def put_sealed(self, person: PersonId, rows: Sequence[Sealed]) -> None:
        """Add or replace sealed rows by (field, row)."""
        ...

    def put_body(self, person: PersonId, n: int, rec: bytes) -> None:
        """Replace the sealed body of an event by the same one under a newer key."""
        ...

    def all_sealed(self, person: PersonId) -> list[Sealed]:
        """Return every sealed row of a person, whatever its field."""
        ...

    def carried(self, person: PersonId) -> int:
        """Count the person's jobs that carry something; walks the jobs."""
        ...

    def drop_sealed(self, person: PersonId, fields: Sequence[str]) -> int:
        """Delete sealed rows of these fields (`x/` for all scopes below); return how many."""
        ...

    def drop_row(self, person: PersonId, field: str, row: int) -> None:
        """Delete one sealed row; there being none is fine."""
        ...

    def drop_person(self, person: PersonId) -> dict[str, int]:
        """Delete everything but head, bodies' places and fence; return counts per kind."""
        ...

    def put_block(self, suppressed: Suppressed) -> None:
        """Add a suppression; the same one twice is one."""
        ...

    def drop_block(self, suppressed: Suppressed) -> None:
        """Lift a suppression."""
        ...

    def put_row(self, table: str, key: bytes, value: bytes | None) -> None:
        """Write or (None) delete one row of a capability's own table."""
        ...

    def claim_row(self, table: str, key: bytes, value: bytes) -> bool:
        """Insert a row that may exist once; False if it is taken already."""
        ...

    def publish(self, name: str, digest: str, data: bytes) -> Published:
        """Add the next immutable version of a name; the house version rises."""
        ...

    def enqueue(
        self,
        kind: str,
        key: str,
        payload: bytes,
        person: PersonId | None,
        due: Instant | None = None,
    ) -> bool:
        """Add a job, ready now or from `due` on; False if one of this kind and key exists."""
        ...

    def lease(self, kind: str, until: Instant, limit: int) -> list[Job]:
        """Take ready or expired jobs; each lease raises the job's fence."""
        ...

    def seize(self, kind: str, keys: Sequence[str], until: Instant) -> list[Job]:
        """Take leased jobs by key whatever their lease: their worker is known to be dead."""
        ...

    def finish(self, jobs: Sequence[tuple[Job, str]]) -> None:
        """Move leased jobs to their end state, all or none; what they carried is deleted.

        Raises:
            Conflict: A fence moved: another worker holds the job; nothing was booked.
        """
        ...

    def put_note(self, size: int, note: str) -> None:
        """Store a signed checkpoint."""
        ...


Mark = tuple[int, int]
"""A moment of the record, for `Store.unchanged` alone: equal marks, equal record."""


class Store(Protocol):
    """The record: SQLite on one machine, memory in tests, PostgreSQL for many."""

    def look(self) -> AbstractContextManager[View]:
        """Open a read snapshot."""
        ...

    def book(self, house_version: int | None = None) -> AbstractContextManager[Transaction]:
        """Open a short write.

        Args:
            house_version: The version the caller decided under; None where nothing published
                was relied on.

        Raises:
            Conflict: The house version moved meanwhile; nothing was booked.
            Unavailable: Another writer held the record too long, or the disk is full.
        """
        ...

    def mark(self) -> Mark:
        """Return what `unchanged` compares with; taken before a look it covers that look."""
        ...

    def unchanged(self, mark: Mark) -> Instant | None:
        """Return the present moment if nothing at all was recorded since a mark, by anybody.

        None where something was, or where it cannot be told: then look again. A few microseconds,
        for the last look before a message leaves. The mark must be of the same thread.
        """
        ...

    def close(self) -> None:
        """Release files."""
        ...


Projections = Mapping[str, Sequence[Callable[[Transaction, Prepared], None]]]
"""Event tag → projections run in the commit that books it; a tag family ends in `.`."""


class StaffPolicy(Protocol):
    """The word of the staff policy on a claim; asked once per distinct claim."""

    def claim(self, request: UseRequest) -> Claim | Refusal:
        """Say which categories this actor may use for this, or why not. Never sees a person."""
        ...


class HandoverLog(Protocol):
    """What is in flight, by plain writes that survive `kill -9`."""

    def start(self, ref: str) -> None:
        """Note that from here on this message may be delivered."""
        ...

    def reply(self, ref: str, code: int) -> None:
        """Note the relay's answer."""
        ...


class MailTransport(Protocol):
    """Hands messages to a relay, one in flight per connection."""

    def hand_over(
        self,
        messages: Iterable[Outgoing],
        may_go: Callable[[str], bool],
        journal: HandoverLog,
    ) -> Iterator[Outcome]:
        """Yield one outcome a message; `may_go` is asked immediately before each.

        Raises:
            Unavailable: There is no connection; messages without an outcome were not begun.
        """
        ...


class PathLike(Protocol):
    """A file's place, as `pathlib.Path` is one; the core itself touches no file."""

    @property
    def name(self) -> str:
        """The last part."""
        ...

    def read_bytes(self) -> bytes:
        """Return the content."""
        ...


class ReceivedMail(Protocol):
    """One mail that arrived: where it lies and to whom it was addressed."""

    @property
    def path(self) -> PathLike:
        """Where the stored bytes lie."""
        ...

    @property
    def rcpt_to(self) -> tuple[str, ...]:
        """Envelope recipients."""
        ...


class MailListener(Protocol):
    """Takes mail by SMTP on this machine and hands each to whoever asked for it."""

    def start(self, port: int = 0) -> int:
        """Listen on the loopback address; return the port."""
        ...

    def stop(self) -> None:
        """Close the port; a mail under way is not taken."""
        ...


class LocalInbox(Protocol):
    """A receiving mailbox on this machine, for demos and trials."""

    def start(self, port: int = 0) -> int:
        """Listen on the loopback address; return the port."""
        ...

    def stop(self) -> None:
        """Close the port; what was received stays."""
        ...

    def messages(self) -> Sequence[ReceivedMail]:
        """List what arrived, oldest first."""
        ...


class SigninStore(Protocol):
    """Accounts, invitations and API keys of staff, apart from the record; no name in clear."""

    def account(self, key: bytes) -> Account | None:
        """Return an account by its key."""
        ...

    def add_account(self, account: Account) -> None:
        """Add an account; one that exists stays as it is."""
        ...

    def move(self, key: bytes, before: str, after: str) -> bool:
        """Move an account between states and begin a round; False if it was not in `before`."""
        ...

    def next_round(self, key: bytes) -> None:
        """End every session begun so far."""
        ...

    def set_totp(self, key: bytes, sealed: bytes) -> None:
        """Keep the sealed secret of one-time codes; no step of it was used yet."""
        ...

    def enter(self, key: bytes, now: Instant) -> bool:
        """Note a sign-in; False if the account is not active at this moment."""
        ...

    def spend_step(self, key: bytes, step: int) -> bool:
        """Take a time step of one-time codes; False if it or a later one was taken before."""
        ...

    def passkeys(self, key: bytes) -> list[Passkey]:
        """Return the passkeys of an account, oldest first."""
        ...

    def passkey(self, ident: bytes) -> Passkey | None:
        """Return a passkey by the credential's id."""
        ...

    def put_passkey(self, passkey: Passkey) -> None:
        """Add or replace a passkey.

        Raises:
            Conflict: Another account has this credential.
        """
        ...

    def drop_passkey(self, key: bytes, ident: bytes) -> None:
        """Delete a passkey of an account; there being none is fine."""
        ...

    def put_codes(self, key: bytes, codes: Sequence[tuple[bytes, bytes]]) -> None:
        """Replace the recovery codes of an account: salt and hash each."""
        ...

    def codes(self, key: bytes) -> list[tuple[bytes, bytes]]:
        """Return salt and hash of the recovery codes not used yet."""
        ...

    def spend_code(self, key: bytes, hashed: bytes) -> bool:
        """Use a recovery code up; False if it was used before."""
        ...

    def put_invite(self, digest: bytes, key: bytes, until: Instant) -> None:
        """Keep an invitation; earlier ones of the same account end."""
        ...

    def invite(self, digest: bytes, now: Instant) -> bytes | None:
        """Return the account an open invitation is for."""
        ...

    def spend_invite(self, digest: bytes, now: Instant) -> bool:
        """Use an invitation up; False if it is not open any more."""
        ...

    def attempt(self, who: bytes, now: Instant, waits: Sequence[int]) -> tuple[int, int]:
        """Count an attempt before it is judged.

        Args:
            who: Keyed digest of the id that was typed.
            now: The machine's clock.
            waits: Microseconds to wait after the first, second, … attempt without success; the
                last stands for all that follow.

        Returns:
            How many attempts without success there are now, 0 if none may be made yet; and until
            when the next one waits, 0 if it need not.
        """
        ...

    def succeeded(self, who: bytes) -> None:
        """Forget the attempts counted."""
        ...

    def forget(self, key: bytes) -> None:
        """Delete every credential and invitation of an account."""
        ...

    def put_api_key(self, key: ApiKey) -> None:
        """Add an API key, or end one.

        Raises:
            Conflict: Another key that has not ended has this name.
        """
        ...

    def api_key(self, digest: bytes) -> ApiKey | None:
        """Return an API key by its digest."""
        ...

    def api_keys(self) -> list[ApiKey]:
        """Return all API keys, ended ones too, oldest first."""
        ...

    def bound(self, key: bytes) -> bytes:
        """Return the digest of the outside subject an account belongs to, or b""."""
        ...

    def accounts_of(self, subject: bytes) -> list[bytes]:
        """Return the keys of the accounts that belong to an outside subject."""
        ...

    def bind(self, key: bytes, subject: bytes) -> bool:
        """Bind an account to an outside subject; False if it belongs to another already."""
        ...

    def unbind(self, key: bytes) -> None:
        """Let an account belong to nobody outside; so does `forget`."""
        ...

    def put_feed_key(self, digest: bytes, now: Instant, until: Instant) -> None:
        """Keep the digest of the one key the directory's feed is believed by."""
        ...

    def feed_key(self, now: Instant) -> bytes:
        """Return the digest of the feed's key while it lasts, else b""."""
        ...

    def put_due(self, key: bytes, day: str) -> None:
        """Keep the day an account ends, `YYYY-MM-DD`; "" drops it."""
        ...

    def due(self) -> list[tuple[bytes, str]]:
        """Return the accounts whose end is set, earliest day first."""
        ...

    def put_provided(self, who: bytes, made: Instant, mark: int) -> None:
        """Keep whom the directory told of: digest of the id, since when, and its own mark."""
        ...

    def drop_provided(self, who: bytes) -> None:
        """Drop somebody the directory told of; there being none is fine."""
        ...

    def provided(self) -> dict[bytes, tuple[Instant, int]]:
        """Return whom the directory told of: digest of the id → since when, and its mark."""
        ...


class IdentityProvider(Protocol):
    """Whoever else proves who somebody is: OpenID Connect. Keeps nothing about anybody."""

    def ask(self, asked: IdentityAsked) -> str:
        """Return the address a browser is sent to.

        Raises:
            Unavailable: The provider does not answer, or is not who it is said to be.
        """
        ...

    def redeem(self, code: str, asked: IdentityAsked) -> Identity:
        """Turn the code a browser brought back into whom the provider vouches for.

        Raises:
            InvalidInput: It does not hold; the message names which check failed, never a value.
            Unavailable: The provider does not answer.
        """
        ...

    def heard_back(self, issuer: str) -> None:
        """Check who says to have answered, before anything of the answer is believed.

        Raises:
            InvalidInput: Another provider does (RFC 9207).
            Unavailable: The provider does not answer.
        """
        ...

    def farewell(self, token: str) -> Farewell:
        """Read the provider's word that somebody signed out there.

        Raises:
            InvalidInput: It does not hold.
            Unavailable: The provider's keys cannot be fetched.
        """
        ...

    def leave(self, back: str) -> str:
        """Return where a browser signs out at the provider too; "" where it offers none."""
        ...


class Passkeys(Protocol):
    """WebAuthn: what a browser is asked, and whether its answer holds. Keeps nothing."""

    def creation(
        self, site: Site, account: Account, name: str, challenge: bytes, held: Sequence[bytes]
    ) -> str:
        """Return, as JSON, what a browser needs to make a passkey."""
        ...

    def created(self, site: Site, challenge: bytes, answer: str) -> tuple[bytes, bytes, int]:
        """Return credential id, attested public key and signature count.

        Raises:
            InvalidInput: The answer does not hold.
        """
        ...

    def request(self, site: Site, challenge: bytes) -> str:
        """Return, as JSON, what a browser needs to sign in by any passkey of this site."""
        ...

    def named(self, answer: str) -> tuple[bytes, bytes]:
        """Return the credential id and the challenge an answer names; nothing is checked yet.

        Raises:
            InvalidInput: It does not read.
        """
        ...

    def asserted(self, site: Site, challenge: bytes, public: bytes, answer: str) -> int:
        """Return the signature count of an answer that holds.

        Raises:
            InvalidInput: The answer does not hold.
        """
        ...
