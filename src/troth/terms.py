"""The field's words as frozen values: ids, instants, codes, requests, facts, answers.

Everything that crosses a port is here, below the ports. No I/O, no clock, no randomness: an
instant is integer microseconds since 1970 in UTC, and every id is handed in.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, NewType

from troth.errors import InvalidInput

PersonId = NewType("PersonId", bytes)
"""16 random bytes: the one id of a person everywhere in the house (`psid`)."""

Instant = NewType("Instant", int)
"""Microseconds since 1970-01-01T00:00:00Z."""

PERSON_BYTES = 16
SECOND = 1_000_000
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def person_id(raw: bytes) -> PersonId:
    """Check that `raw` is 16 bytes and call it a person's id."""
    if len(raw) != PERSON_BYTES:
        raise InvalidInput(f"a person's id has {PERSON_BYTES} bytes, not {len(raw)}")
    return PersonId(bytes(raw))


def instant(moment: datetime) -> Instant:
    """Turn an aware `datetime` into an instant; one without a zone raises `InvalidInput`.

    >>> instant(datetime(1970, 1, 2, tzinfo=UTC)) == DAY
    True
    """
    if moment.tzinfo is None:
        raise InvalidInput("a moment needs a time zone")
    return Instant((moment - _EPOCH) // timedelta(microseconds=1))


def moment(at: Instant) -> datetime:
    """Turn an instant into an aware `datetime` in UTC."""
    return _EPOCH + timedelta(microseconds=at)


def zulu(at: Instant) -> str:
    """Write an instant as whole UTC seconds with `Z`, the only spelling events use.

    >>> zulu(Instant(1_500_000))
    '1970-01-01T00:00:01Z'
    """
    return _zulu_second(at // SECOND)


@lru_cache(maxsize=65_536)
def _zulu_second(second: int) -> str:
    text = (_EPOCH + timedelta(seconds=second)).isoformat(timespec="seconds")
    return text.removesuffix("+00:00") + "Z"


@lru_cache(maxsize=65_536)
def from_zulu(text: str) -> Instant:
    """Read what `zulu` writes; any other spelling raises `InvalidInput`."""
    try:
        at = instant(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC))
    except ValueError:
        raise InvalidInput("a time must read like 2026-11-24T08:30:00Z") from None
    if zulu(at) != text:
        raise InvalidInput("a time must read like 2026-11-24T08:30:00Z")
    return at


def nfc(text: str) -> str:
    """Return `text` in Unicode normal form C, as a plain `str`."""
    return str(text) if text.isascii() else unicodedata.normalize("NFC", text)


class Channel(StrEnum):
    """A way a message reaches a person."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    PUSH = "push"
    CALL = "call"
    POST = "post"


ADDRESS_OF: Mapping[str, Channel] = {
    Channel.EMAIL: Channel.EMAIL,
    Channel.SMS: Channel.SMS,
    Channel.WHATSAPP: Channel.SMS,
    Channel.CALL: Channel.SMS,
    Channel.PUSH: Channel.PUSH,
    Channel.POST: Channel.POST,
}
"""Channel → the channel under which its addresses are kept: one telephone number serves three."""


def address_of(channel: Channel) -> Channel:
    """Return the channel under which the addresses of a channel are kept.

    >>> address_of(Channel.CALL)
    <Channel.SMS: 'sms'>
    """
    return ADDRESS_OF[channel]


def address_field(channel: Channel) -> str:
    """Return the vault field that holds the address of a channel.

    >>> address_field(Channel.WHATSAPP)
    'contact.sms'
    """
    return f"contact.{ADDRESS_OF[channel]}"


class Role(StrEnum):
    """Who asks: a role of the house, the person themselves, or the house's own machinery."""

    MARKETER = "marketer"
    SUPPORT = "support"
    OFFICER = "privacy_officer"
    IT = "it"
    AGENCY = "agency"
    PERSON = "person"
    SYSTEM = "system"


class Action(StrEnum):
    """What is done with the data (DPV processing words)."""

    SEND = "send"
    PERSONALISE = "personalise"
    PROFILE = "profile"
    READ = "read"
    SHARE = "share"
    EXPORT = "export"


class PurposeKind(StrEnum):
    """What a purpose is before the law; fixed when it is published."""

    MARKETING = "direct_marketing"
    CONSENT_REQUEST = "consent_request"
    PERSONALISE = "personalise"
    SERVICE = "service"
    OPERATIONS = "operations"


class ReasonCode(StrEnum):
    """Why a use is refused. Extended, never renamed."""

    # claim stage
    UNKNOWN_ACTOR = "unknown_actor"
    UNKNOWN_PURPOSE = "unknown_purpose"
    UNLABELLED_FIELD = "unlabelled_field"
    PURPOSE_NOT_PERMITTED = "purpose_not_permitted"
    SEPARATION_OF_DUTY = "separation_of_duty"
    REASON_MISSING = "reason_missing"
    QUOTA = "quota"
    AGREEMENT_MISSING = "agreement_missing"
    CLOCK_UNSURE = "clock_unsure"
    RULE_FILE_EXPIRED = "rule_file_expired"
    # person stage
    UNKNOWN_PERSON = "unknown_person"
    REASON_WITHOUT_PERSON = "reason_without_person"
    COMBINATION = "combination"
    ERASURE_PENDING = "erasure_pending"
    RESTRICTED = "restricted"
    WRONG_CONTROLLER = "wrong_controller"
    MINOR = "minor"
    REGISTRY_BLOCK = "registry_block"
    OBJECTED = "objected"
    SUPPRESSED_COMPLAINT = "suppressed_complaint"
    SUPPRESSED_UNSUBSCRIBE = "suppressed_unsubscribe"
    SUPPRESSED_BOUNCE = "suppressed_bounce"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    EXPIRED = "expired"
    ASKED_ONCE_ALREADY = "asked_once_already"
    NOT_CUSTOMER = "not_customer"
    NOT_SIMILAR_PRODUCT = "not_similar_product"
    NO_OBJECTION_OFFERED = "no_objection_offered_at_collection"
    CHANNEL_NOT_CONSENTED = "channel_not_consented"
    NO_CONSENT = "no_consent"
    NOTICE_OUTDATED = "notice_outdated"
    CATEGORY_NOT_AGREED = "category_not_agreed"
    LEVEL_ZERO = "level_zero"
    REGISTRY_STALE = "registry_stale"
    PAUSED = "paused"
    FREQUENCY_CAP = "frequency_cap"
    QUIET_HOURS = "quiet_hours"
    FACT_MISSING = "fact_missing"
    RULE_ERROR = "rule_error"


CLAIM_CODES = frozenset(list(ReasonCode)[:10])
"""Codes of the claim stage: given without any personal fact having been gathered."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One objection: a code, the rule that objects, and the catalogue id of what would help."""

    code: ReasonCode
    rule: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer no, with every objection, in the order of `RULES`. Never empty."""

    reasons: tuple[Reason, ...]

    @property
    def first(self) -> Reason:
        """The reason by which summaries count this person."""
        return self.reasons[0]


Mask = Literal["full", "hash", "year", "last4", "first4", "initial", "shape", "null"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `id` is the staff member, service or person; it never enters an event in clear."""

    role: Role
    id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The staff policy's yes to a claim: which categories this actor may use, masked how.

    Attributes:
        policy: Digest of the staff policy that said so, "" where it has none.
        grant: Id of the temporary right without which it would have been refused, or "".
        emergency: That right is a break-glass one.
        until: A permit that rests on that right ends with it; 0 where there is none.
    """

    categories: Mapping[str, Mask] = field(default_factory=dict)
    policy: str = ""
    grant: str = ""
    emergency: bool = False
    until: int = 0


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why data is used, as published (DPV purpose); `name` is stable, `version` counts up.

    Attributes:
        parent: A withdrawal from the parent closes this purpose too.
        categories: Data categories the purpose may ever use.
        retention_days: How long data held only for this purpose is kept.
        consent_months: Months after which a given consent expires; 0 never.
        double_opt_in: A consent counts only once its address was confirmed.
        goods: Product groups this purpose offers ("own and similar products").
    """

    name: str
    version: int
    kind: PurposeKind
    title: str
    channels: frozenset[Channel]
    categories: frozenset[str]
    parent: str = ""
    retention_days: int = 0
    consent_months: int = 0
    double_opt_in: bool = False
    goods: frozenset[str] = frozenset()
    owner: str = ""


@dataclass(frozen=True, slots=True)
class UseRequest:
    """One use of one person's data, judged at `at`, whenever the judging runs.

    Attributes:
        person: Whose data; None asks about the claim alone.
        categories: Data categories the use would open, besides what the channel itself needs.
        brand: The sender's brand, a value inside one responsible party.
        agreement: The live agreement an agency acts under, or "".
        reason: The case, campaign or request a staff read names, or "".
    """

    actor: Actor
    person: PersonId | None
    purpose: str
    action: Action
    channel: Channel | None
    categories: frozenset[str]
    at: Instant
    brand: str = ""
    agreement: str = ""
    reason: str = ""


class ConsentStatus(StrEnum):
    """State of one purpose and channel, in DPV 2.3's words (`dpv:Consent…`)."""

    UNKNOWN = "unknown"
    REQUESTED = "requested"
    DEFERRED = "request_deferred"
    GIVEN = "given"
    REAFFIRMED = "reaffirmed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    OBJECTED = "objected"
    OPTED_OUT = "opted_out"
    IMPORTED = "imported"
    SUPERSEDED = "superseded"


GRANTING = frozenset({ConsentStatus.GIVEN, ConsentStatus.REAFFIRMED})
DENYING = frozenset(
    {
        ConsentStatus.REFUSED,
        ConsentStatus.WITHDRAWN,
        ConsentStatus.REVOKED,
        ConsentStatus.EXPIRED,
        ConsentStatus.INVALIDATED,
        ConsentStatus.OBJECTED,
        ConsentStatus.OPTED_OUT,
    }
)


@dataclass(frozen=True, slots=True)
class Act:
    """The newest granting, denying or neutral act on one scope, as the fold keeps it.

    Attributes:
        at: When it happened (`occurred_at`).
        recorded: When the house learned of it.
        n: Place in the person's chain, the last tie-break.
        until: A grant ends here; 0 never.
        categories: What a grant under `personalise` covers.
        notice: `name@version` of the notice shown.
        confirmed: The address was confirmed (double opt-in).
        by: Who acted: self, competent_person, authorised_agent, staff, signal, import.
    """

    status: ConsentStatus
    at: Instant
    recorded: Instant
    n: int
    until: int = 0
    categories: tuple[str, ...] = ()
    notice: str = ""
    confirmed: bool = False
    by: str = "self"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one scope (purpose and channel): the newest act of each direction."""

    grant: Act | None = None
    deny: Act | None = None
    neutral: Act | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A dated relationship fact: what soft opt-in and implied consent are computed from.

    Attributes:
        kind: sale, inquiry, contract, donation or membership.
        goods: Product group sold or asked for.
        collected: The contact details were obtained in this very act.
        objection_offered: A free and easy objection was offered when they were.
        until: A contract is in force until here; 0 open or not a contract.
    """

    kind: str
    at: Instant
    brand: str = ""
    goods: str = ""
    collected: bool = False
    objection_offered: bool = False
    until: int = 0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wishes within what they agreed to; it only ever narrows.

    Attributes:
        pause_until: No marketing message before this; 0 no pause.
        most: At most so many marketing messages in 30 days; -1 no wish.
        quiet: Minutes of the local day: none from the first on, until before the last.
    """

    pause_until: int = 0
    most: int = -1
    quiet: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Gate facts of one person: the kernel's fold of their events. Ids, codes, dates, flags only.

    Attributes:
        residence: ISO 3166 code such as ZA or DE, "" unknown.
        zone: IANA zone, "" unknown.
        subject: natural or juristic.
        age: adult, minor or "" (never told).
        competent: A competent person's consent for a minor stands.
        standings: By `purpose|channel`; channel `*` means every channel.
        sends: Newest marketing hand-overs per channel, at most the last 32.
        level: The chosen level 0 to 5 under `personalise`; -1 no choice made.
        alias: Merged into this person (hex of the id), or "".
        wishes: Pause, frequency and quiet hours; None: nothing is wished.
        keeps: Kind of activity → months after which at most it is deleted, as the person chose.
    """

    residence: str = ""
    zone: str = ""
    subject: str = "natural"
    age: str = ""
    competent: bool = False
    language: str = ""
    standings: dict[str, Standing] = field(default_factory=dict)
    relations: tuple[Relation, ...] = ()
    sends: dict[str, tuple[int, ...]] = field(default_factory=dict)
    level: int = -1
    restricted: bool = False
    erasing: bool = False
    alias: str = ""
    wishes: Wishes | None = None
    keeps: dict[str, int] = field(default_factory=dict)


NO_RECORD = PersonRecord()


@dataclass(frozen=True, slots=True)
class Block:
    """A suppression that meets one of the person's addresses, by MAC.

    Attributes:
        scope: all, channel, purpose or brand; `value` names which.
        until: Ends by itself here; 0 never.
    """

    reason: str
    scope: str = "all"
    value: str = ""
    since: Instant = Instant(0)
    until: int = 0


@dataclass(frozen=True, slots=True)
class ContactPoint:
    """That a person has an address on a channel, without the address.

    Attributes:
        bi: MAC under the search key, 16 bytes.
        sup: MAC under the suppression key, 16 bytes.
        normaliser: Version of the normalising rule the MACs were made by.
    """

    channel: Channel
    bi: bytes
    sup: bytes
    normaliser: int = 1


@dataclass(frozen=True, slots=True)
class Head:
    """Tip of a person's chain: number and commitment of the newest event; (0, b"") when none."""

    n: int
    c: bytes


NO_HEAD = Head(0, b"")


@dataclass(frozen=True, slots=True)
class Registry:
    """State of an opt-out registry file.

    Attributes:
        cleansed_at: When the newest usable file was applied; 0 never.
        waived_until: An officer's dated decision lifts staleness until here; 0 none.
        waived_from: The decision starts here.
    """

    cleansed_at: int = 0
    usable: bool = True
    waived_from: int = 0
    waived_until: int = 0
    decision: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one look found of one person: head, folded record, contact point, suppressions."""

    person: PersonId
    head: Head
    record: PersonRecord
    contact: ContactPoint | None
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """One sealed row: `rec` is a vault record bound to person, field, row and version."""

    field: str
    row: int
    version: int
    rec: bytes


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event ready to be booked: built, committed to and sealed without a lock.

    Attributes:
        n: The event's number; the head must still be `n - 1` when it is booked.
        prev: Commitment the head must still show.
        c: This event's commitment, the next head.
        body: Vault record of `salt32 || event`.
        at: Recording time.
        payload: What happened, for the projections run in the same commit; never stored in clear.
    """

    person: PersonId
    n: int
    prev: bytes
    c: bytes
    body: bytes
    at: Instant
    payload: Any


@dataclass(frozen=True, slots=True)
class Published:
    """An immutable named version in the record."""

    name: str
    version: int
    at: Instant
    digest: str
    data: bytes

    @property
    def label(self) -> str:
        """`name@version`, as other values refer to it."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Job:
    """A leased piece of work; `fence` must still be the row's when its outcome is booked."""

    id: int
    kind: str
    key: str
    state: str
    due: Instant
    fence: int
    payload: bytes
    person: PersonId | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A sealed event as stored: leaf index, chain, number, record."""

    seq: int
    person: PersonId
    n: int
    rec: bytes


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One row of the suppression list: an address by MAC, and its block."""

    sup: bytes
    block: Block


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One wrapped key of one person.

    Attributes:
        scope: "" for the person's data key, `category/2026Q4` for behaviour of a quarter.
        state: active, retired or shredded; a shredded row stays for ever as a fence.
        wrapped: The key sealed under its shard key; empty when shredded.
        kcv: Key check value, 16 bytes.
        fence_at: When it was shredded; 0 while it was not.
    """

    person: PersonId
    scope: str
    kver: int
    state: str
    wrapped: bytes
    kcv: bytes
    epoch: int
    fence_at: int = 0


@dataclass(frozen=True, slots=True)
class Finality:
    """What a key provider states of a key it destroyed.

    Attributes:
        method: How, in its own plain words; never more than it can promise.
        final_after: From when on nothing opens the key any more, as it states.
        evidence: What it can show for it, "" where nothing.
    """

    method: str
    final_after: Instant
    evidence: str = ""


NEVER_DESTROYED = Instant(0)


@dataclass(frozen=True, slots=True)
class KeyEpoch:
    """One epoch of the key-encryption key.

    Attributes:
        state: rolling (its keys are being wrapped), current, kept (until `due`) or destroyed.
        since: When it began; 0 with the store itself.
        ended: When the next one was in force; 0 while it is the newest.
        due: From when on it is to be destroyed; 0 while it is the newest.
        destroyed: When it was destroyed; 0 while it was not.
    """

    epoch: int
    state: str
    since: Instant
    ended: Instant
    due: Instant
    destroyed: Instant
    method: str = ""
    final_after: Instant = NEVER_DESTROYED


@dataclass(frozen=True, slots=True)
class LogState:
    """Size and root of the ledger as committed."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message ready to be handed over.

    Attributes:
        ref: The message's random reference.
        data: The signed bytes, CRLF; of another channel than mail the text, UTF-8.
        until: The permit it goes out under is worth nothing from here on; 0 not told.
    """

    ref: str
    sender: str = field(repr=False)
    recipient: str = field(repr=False)
    data: bytes = field(repr=False)
    until: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a hand-over: handed, failed, unknown or withdrawn.

    Attributes:
        code: The relay's reply code; 0 when there was none.
        text: What the relay said; may hold an address, so it is shown to nobody and not kept.
    """

    ref: str
    state: Literal["handed", "failed", "unknown", "withdrawn"]
    code: int = 0
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """An account of a member of staff, without their name.

    Attributes:
        key: Keyed digest of role and id, 16 bytes.
        handle: Random id by which a passkey knows the account, 16 bytes.
        totp: The sealed secret of one-time codes; empty where none is set.
        step: The newest time step whose code was used; none is taken twice.
        round: Sessions begun in an earlier round are over.
        last: When they last signed in, by the machine's clock; 0 never.
    """

    key: bytes
    state: Literal["invited", "active", "suspended"]
    handle: bytes
    totp: bytes = b""
    step: int = 0
    round: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey of an account: the public half only.

    Attributes:
        account: Key of the account.
        public: What the authenticator attested: its model, the credential's id, the public key.
        count: The newest signature count; one that does not rise betrays a copy.
        state: A `copied` passkey opens nothing any more.
    """

    id: bytes
    account: bytes
    public: bytes
    count: int
    made: Instant
    used: int = 0
    state: Literal["good", "copied"] = "good"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key by which a program asks; the key itself is kept nowhere.

    Attributes:
        digest: SHA-256 of the key.
        actions: What it may ask about; empty is nothing.
        ended: When it was ended; 0 while it was not.
    """

    digest: bytes
    name: str
    role: Role
    actions: frozenset[Action]
    made: Instant
    until: Instant
    ended: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """Where staff sign in, as a browser sees it: passkeys are bound to it.

    Attributes:
        rp: The host a passkey belongs to.
        origin: Scheme, host and port that a page must come from.
    """

    rp: str
    origin: str


@dataclass(frozen=True, slots=True)
class IdentityAsked:
    """What a browser was sent to an identity provider with; good once and for some minutes.

    Attributes:
        state: Comes back with the browser; tells whose request is answered.
        nonce: Comes back inside the signed answer.
        verifier: Proves to the provider that who redeems is who asked (RFC 7636).
        back: The exact address the browser comes back to.
        since: When it was asked, by the machine's clock.
        again: "again" where they must prove themselves anew; "" where an earlier sign-in will do.
    """

    state: str
    nonce: str
    verifier: str
    back: str
    since: Instant
    again: Literal["", "again"] = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom an identity provider vouches for, after every check held.

    Attributes:
        subject: The provider's own lasting name for them; never taken over by somebody else.
        name: The value of the claim the house goes by.
        proved: When they last proved themselves to the provider; 0 where it did not say.
        session: The provider's name for their session there, or "".
    """

    issuer: str
    subject: str
    name: str
    proved: int = 0
    session: str = ""


@dataclass(frozen=True, slots=True)
class Farewell:
    """Who is signed out everywhere, in an identity provider's signed word.

    Attributes:
        token: The word's own id; each counts once.
        until: When the word is too old to be believed anyway.
        subject: Whom; "" where only a session is named.
        session: Which session of theirs; "" for all.
    """

    issuer: str
    token: str
    until: Instant
    subject: str = ""
    session: str = ""
