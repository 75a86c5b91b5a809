"""The event families, typed once, and their canonical bytes.

An event is canonical JSON: ASCII keys sorted, no spaces, `None` dropped, no floats, |int| < 2^53,
strings in NFC, times in whole UTC seconds with `Z`. Reading decodes, validates by a table keyed on
`type`, re-encodes and compares: one other byte and the event is refused. Bytes as first written
count; nobody re-encodes them, and old versions are read for ever.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, ClassVar, TypeVar

import msgspec

from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel.proof import HASH_BYTES, b64, unb64
from troth.terms import (
    PERSON_BYTES,
    ConsentStatus,
    Instant,
    PersonId,
    from_zulu,
    nfc,
    zulu,
)

VERSION = 1
MAX_INT = 2**53
MAX_PUBLIC_BYTES = 65_535
_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()
_ENVELOPE = frozenset({"v", "type", "at", "psid", "n", "prev", "actor"})


def canonical(value: Mapping[str, Any]) -> bytes:
    """Write a JSON object in its one spelling.

    Raises:
        InvalidInput: A float, a number beyond 2^53, a key that is not ASCII, or a type without a
            canonical spelling.
    """
    return _written(_clean(value))


def _written(clean: object) -> bytes:
    try:
        return _encoder.encode(clean)
    except UnicodeEncodeError:
        raise InvalidInput("a text in an event holds half a character") from None


def _clean(value: Any) -> Any:  # noqa: ANN401, PLR0911 - one arm per JSON kind
    kind = type(value)
    if kind is str:
        return value if value.isascii() else nfc(value)
    if kind is bool:
        return value
    if isinstance(value, str):  # an enum member: its plain text
        return nfc(str(value))
    if isinstance(value, int):
        if -MAX_INT < value < MAX_INT:
            return value
        raise InvalidInput("a number in an event lies beyond 2^53")
    if isinstance(value, Mapping):
        return {_key(k): _clean(v) for k, v in value.items() if v is not None}
    if isinstance(value, (tuple, list)):
        return value if _is_plain(value) else [_clean(v) for v in value]
    if isinstance(value, frozenset):
        return sorted(_clean(v) for v in value)
    raise InvalidInput(f"{type(value).__name__} has no canonical spelling")


def _is_plain(values: Sequence[Any]) -> bool:
    """Say whether a long list is canonical as it is, without walking it in Python."""
    kinds = set(map(type, values))
    if kinds <= {str}:
        return all(map(str.isascii, values))
    return kinds == {int} and min(values) > -MAX_INT and max(values) < MAX_INT


def _key(key: Any) -> str:  # noqa: ANN401
    if not isinstance(key, str) or not key.isascii():
        raise InvalidInput("a key in an event is not ASCII text")
    return str(key)


def read_canonical(raw: bytes) -> dict[str, Any]:
    """Read a JSON object and require that these are its canonical bytes.

    Raises:
        EvidenceBroken: Not an object in the one spelling: duplicate key, `null`, space, order.
    """
    try:
        value = _decoder.decode(raw)
        if isinstance(value, dict) and canonical(value) == raw:
            return value
    except (msgspec.DecodeError, InvalidInput, UnicodeDecodeError, RecursionError):
        pass
    raise EvidenceBroken("recorded bytes are not canonical JSON")


class Payload:
    """What an event says, besides its place in a chain. Fields are only ever appended."""

    TYPE: ClassVar[str]

    @property
    def type(self) -> str:
        """The permanent tag of this event."""
        return self.TYPE


_NO_FAMILY: tuple[type[Any] | None, Mapping[str, Any]] = (None, {})
_P = TypeVar("_P", bound=type[Payload])
FAMILIES: dict[str, tuple[type[Any], Mapping[str, Any]]] = {}
"""Permanent tag → (payload class, fields the tag itself fixes)."""


def _family(cls: _P) -> _P:
    FAMILIES[cls.TYPE] = (cls, {})
    return cls


@_family
@dataclass(frozen=True, slots=True)
class PersonCreated(Payload):
    """An id came into being: from an import row, a form, a sale."""

    TYPE = "person.created"
    subject: str
    source: str
    batch: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class FactsRecorded(Payload):
    """Gate facts learnt of a person; absent fields stay as they were."""

    TYPE = "person.facts"
    source: str
    residence: str | None = None
    zone: str | None = None
    age: str | None = None
    competent: bool | None = None
    language: str | None = None
    subject: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class ContactAdded(Payload):
    """An address on a channel was sealed; the address itself is the named vault row."""

    TYPE = "contact.added"
    channel: str
    field: str
    row: int
    version: int
    normaliser: int
    source: str


@_family
@dataclass(frozen=True, slots=True)
class ValuesSealed(Payload):
    """Vault rows written; `rows` maps field id to row version, so that none can be rolled back."""

    TYPE = "values.sealed"
    rows: dict[str, int]
    source: str


@_family
@dataclass(frozen=True, slots=True)
class RelationRecorded(Payload):
    """A sale, inquiry, contract, donation or membership, with its date."""

    TYPE = "relation.recorded"
    kind: str
    occurred_at: str
    source: str
    brand: str | None = None
    goods: str | None = None
    collected: bool = False
    objection_offered: bool = False
    until: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentAct(Payload):
    """One act about one purpose and its channels; its tag is `consent.` and the status.

    Attributes:
        channels: Named channels; ("*",) closes every channel and is never accepted in a grant.
        notice: `name@version` shown; absent only where the status grants nothing.
        occurred_at: When it happened, if earlier than the event's `at`.
        until: When a grant ends by itself.
        confirmed_at: When the address was confirmed (double opt-in).
        missing: For an import that proves too little: which of notice, time, method, proof.
        record: SHA-256 of the consent record given to the person.
        record_id: Random id that record has; with what was published, its bytes can be made anew.
        language: In which language the notice was shown.
    """

    TYPE = "consent"
    status: ConsentStatus
    purpose: str
    channels: tuple[str, ...] = ("*",)
    notice: str | None = None
    method: str | None = None
    proof: str | None = None
    occurred_at: str | None = None
    until: str | None = None
    categories: tuple[str, ...] | None = None
    level: int | None = None
    given_by: str = "self"
    confirmed_at: str | None = None
    source: str | None = None
    missing: tuple[str, ...] | None = None
    brand: str | None = None
    key: str | None = None
    record: str | None = None
    record_id: str | None = None
    language: str | None = None

    @property
    def type(self) -> str:
        """`consent.` and the status."""
        return f"consent.{self.status}"


for _status in ConsentStatus:
    FAMILIES[f"consent.{_status}"] = (ConsentAct, {"status": _status})


@_family
@dataclass(frozen=True, slots=True)
class NoticeServed(Payload):
    """A notice version was shown to the person."""

    TYPE = "notice.served"
    notice: str
    surface: str
    language: str


@_family
@dataclass(frozen=True, slots=True)
class BehaviourRecorded(Payload):
    """One import batch of behaviour of one person; the events themselves lie in chunks.

    Attributes:
        chunks: Vault scope (`category/2026Q4`) → row version of each chunk written.
        digest: SHA-256 over the batch's columns of this person.
    """

    TYPE = "behaviour.recorded"
    count: int
    kinds: tuple[str, ...]
    first: str
    last: str
    source: str
    digest: str
    chunks: dict[str, int]


@_family
@dataclass(frozen=True, slots=True)
class SuppressionAdded(Payload):
    """An address this person holds must not be contacted any more."""

    TYPE = "suppression.added"
    reason: str
    scope: str
    source: str
    value: str | None = None
    until: str | None = None
    occurred_at: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class SuppressionLifted(Payload):
    """A proven consent of the person ended an unsubscribe or objection on their address."""

    TYPE = "suppression.lifted"
    reason: str
    scope: str
    source: str
    value: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class UseRefused(Payload):
    """A use of a named person's data was asked for and refused."""

    TYPE = "use.refused"
    purpose: str
    action: str
    reasons: tuple[dict[str, str], ...]
    ruleset: str
    inputs: str
    channel: str | None = None
    campaign: str | None = None
    ref: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class UsePermitted(Payload):
    """A use of a named person's data was asked for from outside and permitted, until a moment.

    Attributes:
        reason: The case or request that staff named to see or take out data.
    """

    TYPE = "use.permitted"
    purpose: str
    action: str
    categories: tuple[str, ...]
    basis: str
    ruleset: str
    inputs: str
    until: str
    channel: str | None = None
    waiver: str | None = None
    reason: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class MessageBooked(Payload):
    """A message to this person was decided, rendered, signed and booked; not yet handed over."""

    TYPE = "message.booked"
    ref: str
    purpose: str
    channel: str
    template: str
    level: int
    categories: tuple[str, ...]
    basis: str
    ruleset: str
    inputs: str
    message_id: str
    content: str
    campaign: str | None = None
    waiver: str | None = None


@dataclass(frozen=True, slots=True)
class MessageOutcome(Payload):
    """What became of a booked message; its tag is `message.` and the state.

    Attributes:
        channel: Where the message counts against how often the person may be written to.
        kind: hard or soft of a bounce; stop, question or absent of a reply.
        detail: A status code such as 5.1.1, or the number of the link followed; never an address.
    """

    TYPE = "message"
    state: str
    ref: str
    reply: int | None = None
    reasons: tuple[dict[str, str], ...] | None = None
    channel: str | None = None
    kind: str | None = None
    detail: str | None = None
    campaign: str | None = None

    @property
    def type(self) -> str:
        """`message.` and the state."""
        return f"message.{self.state}"


MESSAGE_STATES = (
    "handed", "failed", "unknown", "withheld",
    "delivered", "bounced", "complained", "replied", "opened", "clicked",
)  # fmt: skip
for _state in MESSAGE_STATES:
    FAMILIES[f"message.{_state}"] = (MessageOutcome, {"state": _state})


@_family
@dataclass(frozen=True, slots=True)
class DataRead(Payload):
    """Fields of the person were shown to somebody, or taken out for them.

    Attributes:
        reason: The open case, campaign or request that contains the person, as `kind:id`.
        masks: Field → mask it was shown under; a field not named was shown in full.
        action: export where it was taken out; absent where it was shown.
        grant: The temporary right without which it would have been refused.
        emergency: It was opened by break-glass, before anybody else agreed.
        policy: Digest of the staff policy that said yes.
        export: Id of the export it left in.
    """

    TYPE = "data.read"
    purpose: str
    fields: tuple[str, ...]
    reason: str | None = None
    masks: dict[str, str] | None = None
    action: str | None = None
    grant: str | None = None
    emergency: bool = False
    policy: str | None = None
    export: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class PersonMerged(Payload):
    """Two ids are one person: written to both chains; `other` is the other chain's id.

    Attributes:
        keeps: This chain's id stays; the other becomes its alias.
        blocks: Suppressions of the other's addresses (reason, scope, value), which close the same
            uses here; only where this id stays.
    """

    TYPE = "person.merged"
    other: str
    keeps: bool
    reason: str
    blocks: tuple[dict[str, str], ...] | None = None


@_family
@dataclass(frozen=True, slots=True)
class PersonUnmerged(Payload):
    """A merge was wrong and is undone; each chain keeps what is its own."""

    TYPE = "person.unmerged"
    other: str
    reason: str


@_family
@dataclass(frozen=True, slots=True)
class ProcessingRestricted(Payload):
    """Data is kept and not used (POPIA s14(6), GDPR Art 18), or that ended."""

    TYPE = "processing.restricted"
    restricted: bool
    reason: str


@_family
@dataclass(frozen=True, slots=True)
class PersonErasing(Payload):
    """Erasure began; from this event on every use is refused."""

    TYPE = "person.erasing"
    request: str
    keeps_suppression: bool = True


@_family
@dataclass(frozen=True, slots=True)
class RetentionApplied(Payload):
    """The time of some data is over: it is deleted, fields by row, quarters with their keys.

    Attributes:
        fields: Field ids deleted.
        scopes: Vault scopes (`category/2026Q4`) whose key is destroyed and whose chunks go.
        rule: Id of the rule that says so.
        kept: What no purpose may use any more and a restriction keeps all the same.
    """

    TYPE = "retention.applied"
    fields: tuple[str, ...]
    scopes: tuple[str, ...]
    rule: str
    kept: tuple[str, ...] | None = None


@_family
@dataclass(frozen=True, slots=True)
class SetProcessed(Payload):
    """Work over a population, written to the house chain before it runs.

    Attributes:
        work: narrow, preview, report, rebuild or import.
        expression: SHA-256 of what selects the set.
        generation: Ledger size the set was read at.
        members: Merkle root over the sorted keyed digests of the members.
    """

    TYPE = "set.processed"
    work: str
    expression: str
    generation: int
    counts: dict[str, int]
    members: str
    purpose: str | None = None
    campaign: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class ImportFinished(Payload):
    """A file was taken in up to its end; counts per outcome."""

    TYPE = "import.finished"
    kind: str
    digest: str
    counts: dict[str, int]


@_family
@dataclass(frozen=True, slots=True)
class RegistryApplied(Payload):
    """An opt-out registry file was applied."""

    TYPE = "registry.applied"
    registry: str
    digest: str
    scheme: str
    as_of: str
    count: int


@_family
@dataclass(frozen=True, slots=True)
class RegistryWaived(Payload):
    """An officer's dated decision to go on with a stale registry file; ends by itself."""

    TYPE = "registry.waived"
    registry: str
    officer: str
    reason: str
    since: str
    until: str


@_family
@dataclass(frozen=True, slots=True)
class HouseRefused(Payload):
    """A use was refused before any person was looked at, or about nobody the house knows."""

    TYPE = "claim.refused"
    purpose: str
    action: str
    reasons: tuple[dict[str, str], ...]
    campaign: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class ContactEnded(Payload):
    """An address is no longer the person's: changed, gone, or given up; its vault row goes."""

    TYPE = "contact.ended"
    channel: str
    field: str
    row: int
    reason: str
    source: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class PersonLinked(Payload):
    """Another person acts for this one, or did until now.

    Attributes:
        other: The other chain's id, hex.
        relation: competent_person, contact_of (an organisation's), or agent (with a mandate).
        until: It ends by itself at this instant (zulu), a child's when they are of age; None open.
    """

    TYPE = "person.linked"
    other: str
    relation: str
    source: str
    ended: bool = False
    until: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class PreferenceSet(Payload):
    """What a person wishes within what they agreed to: the whole state each time; it only narrows.

    Attributes:
        pause_until: No marketing message before this.
        most: At most so many marketing messages in 30 days.
        quiet: Local times `HH:MM` between which no marketing message comes, first and last.
        given_by: As of a consent act.
    """

    TYPE = "preference.set"
    source: str
    pause_until: str | None = None
    most: int | None = None
    quiet: tuple[str, str] | None = None
    given_by: str = "self"


@_family
@dataclass(frozen=True, slots=True)
class RetentionChosen(Payload):
    """The person chose how long activity is kept at most; absent months: as long as rules say.

    Attributes:
        scope: `purchases` or `views`.
        months: 3, 18 or 36.
    """

    TYPE = "retention.chosen"
    scope: str
    source: str
    months: int | None = None
    given_by: str = "self"


@_family
@dataclass(frozen=True, slots=True)
class BehaviourDeleted(Payload):
    """Activity was deleted at a person's wish: one entry, a kind, or a period.

    Attributes:
        count: Entries deleted.
        chunks: Vault scope and row (`purchases/2026Q1#0`) → version written in its place; 0 gone.
        scopes: Vault scope → key version that is destroyed; all older ones with it.
        what: entry, kind or period; never which.
    """

    TYPE = "behaviour.deleted"
    count: int
    what: str
    chunks: dict[str, int]
    scopes: dict[str, int]
    source: str
    given_by: str = "self"


@_family
@dataclass(frozen=True, slots=True)
class ValueCorrected(Payload):
    """A value was corrected; the old one stays only as a keyed digest.

    Attributes:
        field: Vault field id.
        version: Row version written.
        before: MAC of the old value, hex; absent where there was none.
        told: How many recipients are told.
    """

    TYPE = "value.corrected"
    field: str
    version: int
    source: str
    before: str | None = None
    told: int = 0
    given_by: str = "self"


@_family
@dataclass(frozen=True, slots=True)
class RequestActed(Payload):
    """A step in the life of a person's request about their data; its state is the fold of these.

    Attributes:
        request: Random id of the request.
        act: opened, verified, planned, approved, executing, verifying, fulfilled, extended,
            blocked, partial, denied, withdrawn, expired, linked, asked, answered or noted.
        right: access, portability, correction, deletion, restriction, objection or review.
        how: How it came: portal, mail, letter, shop, phone, api, agent or form.
        due: When the law wants an answer; of an extension, the new day.
        rule: Id of the rule that sets it.
        ground: Rule or ground of a refusal, a block or an extension.
        text: What was said to the other side, or noted.
        scope: What it is about: categories or fields.
        other: The request it is a duplicate of, or that it goes on from.
        occurred_at: When it was received, where that was earlier: clocks run from it.
    """

    TYPE = "request.acted"
    request: str
    act: str
    right: str
    how: str | None = None
    due: str | None = None
    rule: str | None = None
    ground: str | None = None
    text: str | None = None
    scope: tuple[str, ...] | None = None
    other: str | None = None
    given_by: str = "self"
    occurred_at: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class VisitBegan(Payload):
    """Somebody came in to see and steer a person's data.

    Attributes:
        method: link, code, passkey or door (a demo's).
        relation: self, or as what they act for the person.
    """

    TYPE = "visit.began"
    method: str
    relation: str = "self"


@_family
@dataclass(frozen=True, slots=True)
class HousePublished(Payload):
    """A version was published by somebody: a template, an audience, a purpose, a notice."""

    TYPE = "house.published"
    thing: str
    digest: str


@_family
@dataclass(frozen=True, slots=True)
class StaffActed(Payload):
    """Something about an account of the staff: written to the house chain.

    Attributes:
        act: enrolled, signed_in, signed_out, refused, locked, recovered, suspended, restored,
            key_made or key_ended.
        account: Role and keyed digest of the account, as actors are written.
        method: passkey, totp, recovery or door (a demo's).
    """

    TYPE = "staff.acted"
    act: str
    account: str
    method: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class CampaignActed(Payload):
    """A step in a campaign's life, written to the house chain before it takes effect.

    Attributes:
        act: drafted, submitted, approved, returned, scheduled, started, paused, resumed, stopped,
            finished or tested.
        plan: SHA-256 of what was decided on: audience, template version, purpose, time, holdout.
        due: When it starts.
    """

    TYPE = "campaign.acted"
    campaign: str
    act: str
    plan: str
    due: str | None = None
    note: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class ConnectionActed(Payload):
    """A connection to another system was made, used for a whole set, or ended.

    Attributes:
        connection: Its name: a webhook, a sync target, a delivery channel.
        act: made, ended, sent, received or failed.
        counts: What was sent or received, by kind.
        digest: SHA-256 of the file or body.
    """

    TYPE = "connection.acted"
    connection: str
    act: str
    counts: dict[str, int] | None = None
    digest: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class CaseActed(Payload):
    """A case of staff about this person was opened or closed; it is what a look must name.

    Attributes:
        case: Its id, as `case:ID`.
        act: opened or closed.
        source: Where it came from: phone, mail, shop, ticket, reply, complaint or request.
    """

    TYPE = "case.acted"
    case: str
    act: str
    source: str
    until: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class AccessActed(Payload):
    """Something about a right of staff to ask: written to the house chain before it binds.

    Attributes:
        act: requested, approved, refused, lapsed, began, ended, revoked, used, reviewed, deferred,
            escalated, tightened or restored.
        grant: Its id.
        kind: jit, glass (break-glass) or standing.
        account: Whose right, as actors are written.
        until: When it ends by itself.
        due: When a review is due.
    """

    TYPE = "access.acted"
    act: str
    grant: str
    kind: str
    account: str | None = None
    purpose: str | None = None
    action: str | None = None
    categories: tuple[str, ...] | None = None
    reason: str | None = None
    until: str | None = None
    due: str | None = None
    note: str | None = None
    counts: dict[str, int] | None = None


@_family
@dataclass(frozen=True, slots=True)
class ExportMade(Payload):
    """A set of people's data was taken out by staff: written to the house chain first.

    Attributes:
        export: Its id; the file carries it, and each person's chain names it.
        members: Root over the members' keyed digests.
        until: The file is to be deleted by then; what the house still holds of it is.
    """

    TYPE = "export.made"
    export: str
    what: str
    purpose: str
    counts: dict[str, int]
    members: str
    until: str
    reason: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class AlarmRaised(Payload):
    """Something that must not happen did, or seems to have: written to the house chain.

    Attributes:
        alarm: canary.read, glass.unreviewed, map.drift, record.behind and others like them.
        ref: What it is about; never a person's id.
    """

    TYPE = "alarm.raised"
    alarm: str
    ref: str | None = None
    account: str | None = None
    counts: dict[str, int] | None = None


@_family
@dataclass(frozen=True, slots=True)
class KeyActed(Payload):
    """Something about the house's keys, written to the house chain before it is done.

    Attributes:
        act: rolled (a new epoch began), scheduled, destroyed, rotated, escrowed or copied.
        epoch: The epoch it is about.
        method: What the provider says of its finality.
        until: From when on nothing opens it any more, as the provider states.
    """

    TYPE = "key.acted"
    act: str
    epoch: int | None = None
    method: str | None = None
    until: str | None = None
    counts: dict[str, int] | None = None


@_family
@dataclass(frozen=True, slots=True)
class BackupActed(Payload):
    """A backup was made and checked, or one was restored.

    Attributes:
        act: made, checked or restored.
        kind: data or keys.
        digest: SHA-256 of the file.
        size: Entries of the ledger it holds.
    """

    TYPE = "backup.acted"
    act: str
    kind: str
    backup: str
    digest: str | None = None
    size: int | None = None
    counts: dict[str, int] | None = None


@_family
@dataclass(frozen=True, slots=True)
class LogActed(Payload):
    """Something about the ledger's own key, origin or witnesses.

    Attributes:
        act: rotated, continued (under a new origin), witnessed, witness_added or witness_dropped.
    """

    TYPE = "log.acted"
    act: str
    origin: str
    key: str | None = None
    size: int | None = None
    note: str | None = None


@_family
@dataclass(frozen=True, slots=True)
class MapActed(Payload):
    """The data map was published, or a source of it was scanned.

    Attributes:
        act: mapped, scanned, drifted or settled.
        source: Name of the source, as its mapping file says.
    """

    TYPE = "map.acted"
    act: str
    source: str
    digest: str | None = None
    counts: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A recorded event, read and validated."""

    person: PersonId
    n: int
    prev: str
    at: Instant
    actor: str
    payload: Payload

    @property
    def type(self) -> str:
        """The permanent tag."""
        return self.payload.type


_FIELDS: dict[type[Any], tuple[str, ...]] = {
    cls: tuple(f.name for f in fields(cls)) for cls, _ in FAMILIES.values()
}
_DEFAULTS: dict[type[Any], dict[str, object]] = {
    cls: {f.name: f.default for f in fields(cls)} for cls in _FIELDS
}
_FIXED = {cls: frozenset(fixed) for cls, fixed in FAMILIES.values()}
_WRITTEN = {
    cls: tuple(name for name in names if name not in _FIXED[cls]) for cls, names in _FIELDS.items()
}
_said: dict[type[Any], Callable[[Any], tuple[Any, ...]]] = {
    cls: attrgetter(*names, "type", "type") for cls, names in _WRITTEN.items()
}
"""Reads all that is written of a payload in one call; the tag twice, so that it is a tuple."""
_TIMES = {
    cls: tuple(n for n in names if n in {"occurred_at", "until", "confirmed_at", "due"})
    for cls, names in _FIELDS.items()
}


def _require_place(n: object, prev: object) -> None:
    """Require what every link of a chain has: a number from 1, the commitment before it."""
    linked = isinstance(prev, str) and len(unb64(prev)) == (HASH_BYTES if n != 1 else 0)
    if type(n) is not int or n < 1 or not linked:
        raise InvalidInput("an event's number and the commitment before it do not fit")


def _require_times(payload: Payload) -> None:
    for name in _TIMES[type(payload)]:
        if (text := getattr(payload, name)) is not None:
            from_zulu(text)


def encode(  # noqa: PLR0913 - the envelope has six parts
    payload: Payload, *, person: PersonId, n: int, prev: bytes, at: Instant, actor: str
) -> bytes:
    """Write an event's canonical bytes.

    Args:
        payload: What happened.
        person: Whose chain.
        n: Number in that chain, from 1.
        prev: Commitment of event n-1; empty for n = 1.
        at: The recording time; cut to whole seconds.
        actor: Role and keyed digest, never a name.

    Raises:
        InvalidInput: A value has no canonical spelling, a tag no family, or the place no chain:
            what no reader would take back is never written.
    """
    cls, tag = type(payload), payload.type
    if FAMILIES.get(tag, _NO_FAMILY)[0] is not cls:
        raise InvalidInput("an event is of no known type")
    if n < 1 or len(prev) != (HASH_BYTES if n > 1 else 0):
        raise InvalidInput("an event's number and the commitment before it do not fit")
    _require_times(payload)
    value: dict[str, Any] = {
        name: item if type(item) is str and item.isascii() else _clean(item)
        for name, item in zip(_WRITTEN[cls], _said[cls](payload), strict=False)
        if item is not None
    }
    value["v"] = VERSION
    value["type"] = tag
    value["at"] = zulu(at)
    value["psid"] = person.hex()
    value["n"] = _clean(n)
    value["prev"] = b64(prev)
    value["actor"] = _clean(actor)
    return _written(value)


def decode(raw: bytes) -> Event:
    """Read an event; whatever is not exactly what `encode` writes raises `EvidenceBroken`.

    Raises:
        EvidenceBroken: Unknown type, newer version, wrong field, or bytes that are not canonical.
    """
    try:
        value = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise EvidenceBroken("an event is not a JSON object")
    if type(value.get("v")) is not int or value["v"] > VERSION or value["v"] < 1:
        raise EvidenceBroken("an event is of a newer version than this program reads")
    family = FAMILIES.get(str(value.get("type")))
    if family is None:
        raise EvidenceBroken("an event is of an unknown type")
    cls, fixed = family
    body = {k: v for k, v in value.items() if k not in _ENVELOPE}
    if body.keys() & fixed.keys():
        raise EvidenceBroken("an event repeats what its type says")
    try:
        _require_place(value["n"], value["prev"])
        payload = msgspec.convert({**body, **fixed}, cls)
        _require_times(payload)
        psid = bytes.fromhex(value["psid"])
        event = Event(
            PersonId(psid),
            value["n"],
            value["prev"],
            from_zulu(value["at"]),
            value.get("actor", ""),
            payload,
        )
    except (msgspec.ValidationError, KeyError, TypeError, ValueError, InvalidInput):
        raise EvidenceBroken("an event has a field that its type does not allow") from None
    if len(psid) != PERSON_BYTES or not _is_spelled(event, value, raw):
        raise EvidenceBroken("an event has a field that its type does not allow")
    return event


def _is_spelled(event: Event, value: Mapping[str, Any], raw: bytes) -> bool:
    """Encode what was read once more: unknown, doubled or misspelled fields show here."""
    if type(event.actor) is not str:
        return False
    payload = event.payload
    cls = type(payload)
    out: dict[str, Any] = {
        name: item
        for name in _FIELDS[cls]
        if name not in _FIXED[cls]
        and (item := getattr(payload, name)) is not None
        and (name in value or item != _DEFAULTS[cls].get(name))
    }
    out |= {"v": value["v"], "type": payload.type, "at": zulu(event.at)}
    out |= {"psid": event.person.hex(), "n": event.n, "prev": event.prev}
    if "actor" in value:
        out["actor"] = event.actor
    try:
        return _written({name: _spelled(item) for name, item in out.items()}) == raw
    except InvalidInput:
        return False


def _spelled(item: Any) -> Any:  # noqa: ANN401 - most are plain text, and need no walk
    return item if type(item) is str and item.isascii() else _clean(item)


class Link(msgspec.Struct, frozen=True):
    """What an event says of its place: enough to walk a chain."""

    type: str
    psid: str
    n: int
    prev: str


_links = msgspec.json.Decoder(Link)


def link(raw: bytes) -> Link:
    """Read the place of an event and nothing of what it says; a tenth of the cost of `decode`.

    Raises:
        EvidenceBroken: It has none.
    """
    try:
        return _links.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise EvidenceBroken("an event does not say its place") from None


def public_entry(statement: Mapping[str, Any]) -> bytes:
    """Write a public statement as a ledger entry: 0x01 and canonical JSON. Never personal data.

    Raises:
        InvalidInput: Without `type`, or longer than an entry may be (65,535 bytes).
    """
    if "type" not in statement:
        raise InvalidInput("a public statement has a type")
    entry = b"\x01" + canonical({"v": VERSION, **statement})
    if len(entry) > MAX_PUBLIC_BYTES:
        raise InvalidInput(f"a public statement has at most {MAX_PUBLIC_BYTES} bytes")
    return entry


def act_time(payload_time: str | None, at: Instant) -> Instant:
    """Return when an act happened: its own time if it carries one, else the recording time."""
    return from_zulu(payload_time) if payload_time else at
