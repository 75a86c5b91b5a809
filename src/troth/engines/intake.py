"""What a file of customers, consents, events, suppressions or registry hashes says, as values.

Readers (`adapters.sources`) make these, capabilities take them in; neither knows the other.
A `Finding` never holds a value of the row: line, code, field and remedy are all anybody needs.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from troth.terms import Instant

Kind = Literal["customers", "consents", "events", "suppressions", "registry"]
Outcome = Literal["kept", "rejected", "skipped"]
LINES_SHOWN = 20

REMEDIES: Mapping[str, str] = {
    # the file
    "encoding_guessed": "the file is not UTF-8 and was read as Windows-1252; save it as UTF-8",
    "unknown_column": "this column is not imported; rename it if it should be",
    "column_twice": "two columns mean the same field; the first one counts",
    "registry_scheme": "state '# scheme: sha256-lower-trim' on the first line",
    "registry_as_of": "state '# as-of: 2026-11-01T00:00:00+02:00' before the hashes",
    # the line
    "line_too_long": "a line has at most 64 KB; look for a missing line end or quote",
    "nul_byte": "remove the NUL bytes; the file may be damaged or UTF-16 without its mark",
    "undecodable": "some bytes are no text in this encoding; save the file as UTF-8",
    "unclosed_quote": "the quote opened on this line is never closed; close or double it",
    "bad_quote": "text follows a closing quote; double each quote inside a quoted field",
    "bad_json": "each line must be one JSON object with plain values and each key once",
    "ragged_row": "the row has more or fewer fields than the heading line",
    "field_too_long": "a field has at most 4,096 characters",
    "duplicate_row": "the same row stands earlier in the file; this one was not counted again",
    "conflict": "an earlier row with this identity says otherwise; the first one counts",
    # the value
    "value_missing": "this field must not be empty",
    "time_without_zone": "write 2026-11-24T08:30:00+02:00, or name the zone of the whole file",
    "time_unreadable": "write the time like 2026-11-24T08:30:00+02:00",
    "amount_not_minor": "write whole cents: 1250, not 12.50",
    "currency_missing": "an amount needs its ISO 4217 currency, such as ZAR",
    "currency_invalid": "write the currency as three letters, such as ZAR",
    "number_invalid": "write a whole number in digits",
    "email_invalid": "write the address like name@shop.example",
    "residence_invalid": "write the country as its ISO 3166 code, such as ZA",
    "zone_invalid": "write the zone like Africa/Johannesburg",
    "language_invalid": "write the language as a code, such as en or af",
    "birth_year_invalid": "give the year of birth only, in four digits",
    "yes_no_invalid": "write yes or no; anything else counts as no",
    "word_unknown": "use one of the words listed for this field",
    "channel_unknown": "use email, sms, whatsapp, push, call or post",
    "channel_all_in_grant": "a consent names each channel; only a refusal may say all",
    "hash_invalid": "a hash is 64 hexadecimal digits",
}
"""Every finding code, and what to do about it in one English sentence."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to put right in the source file.

    Attributes:
        line: Line of the file, counted from 1, where the row begins; the row of a sheet.
        code: A key of `REMEDIES`.
        field: The field concerned, or a harmless heading, or "".
        outcome: kept: the row stands without this value; rejected: it was not taken;
            skipped: it was there before.
    """

    line: int
    code: str
    field: str = ""
    outcome: Outcome = "rejected"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.code]


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """One customer as the file tells it. "" and None: not told.

    Attributes:
        email: As written and trimmed; `contact.normalise` accepts it.
        phone: As written and trimmed, not checked: that needs a region.
        residence: ISO 3166 code, upper case.
        subject: natural or juristic.
        relation_kind: sale, inquiry, contract, donation or membership.
    """

    line: int
    external_id: str = ""
    email: str = ""
    phone: str = ""
    given_name: str = ""
    family_name: str = ""
    residence: str = ""
    zone: str = ""
    language: str = ""
    birth_year: int | None = None
    subject: str = ""
    competent_person_email: str = ""
    interests: tuple[str, ...] = ()
    relation_kind: str = ""
    relation_at: Instant | None = None
    relation_goods: str = ""
    details_from_sale: bool = False
    objection_offered: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """One act about one purpose.

    Attributes:
        channels: Channel words; `*` alone: every channel (never in a grant).
        status: A value of `terms.ConsentStatus`.
        occurred_at: None where the file gives no usable time: such a row proves nothing.
        level: 0 to 5, or -1 where none is named.
        given_by: self, competent_person, authorised_agent, staff, signal, import or "".
    """

    line: int
    external_id: str
    purpose: str
    status: str
    channels: tuple[str, ...] = ()
    occurred_at: Instant | None = None
    notice: str = ""
    method: str = ""
    proof: str = ""
    categories: tuple[str, ...] = ()
    level: int = -1
    given_by: str = ""
    confirmed_at: Instant | None = None
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing a customer did. `currency` "" means that there is no amount."""

    line: int
    external_id: str
    at: Instant
    kind: str
    item: str = ""
    group: str = ""
    amount_minor: int = 0
    currency: str = ""
    units: int = 1
    store: str = ""


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events by columns of equal length: the form in which chunks are sealed.

    Attributes:
        at: Instants, microseconds UTC.
        amount_minor: Minor units; 0 where `currency` is "".
    """

    line: "array[int]" = field(default_factory=lambda: array("q"))
    external_id: list[str] = field(default_factory=list)
    at: "array[int]" = field(default_factory=lambda: array("q"))
    kind: list[str] = field(default_factory=list)
    item: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    amount_minor: "array[int]" = field(default_factory=lambda: array("q"))
    currency: list[str] = field(default_factory=list)
    units: "array[int]" = field(default_factory=lambda: array("q"))
    store: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.line)

    def __iter__(self) -> Iterator[EventRow]:
        """Yield the events as rows; slower than columns by about ten times."""
        for line, who, at, kind, item, group, amount, currency, units, store in zip(
            self.line,
            self.external_id,
            self.at,
            self.kind,
            self.item,
            self.group,
            self.amount_minor,
            self.currency,
            self.units,
            self.store,
            strict=True,
        ):
            yield EventRow(
                line, who, Instant(at), kind, item, group, amount, currency, units, store
            )

    def append(self, row: EventRow) -> None:
        """Add one event at the end."""
        self.line.append(row.line)
        self.external_id.append(row.external_id)
        self.at.append(row.at)
        self.kind.append(row.kind)
        self.item.append(row.item)
        self.group.append(row.group)
        self.amount_minor.append(row.amount_minor)
        self.currency.append(row.currency)
        self.units.append(row.units)
        self.store.append(row.store)


@dataclass(frozen=True, slots=True)
class SuppressionRow:
    """An address never to be contacted again; a missing time or reason does not weaken it."""

    line: int
    email: str
    reason: str = ""
    since: Instant | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """One hash of an opt-out registry, as bytes."""

    line: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """What a registry file says of itself; `as_of` None or scheme "" makes it unusable."""

    scheme: str = ""
    as_of: Instant | None = None


@dataclass(frozen=True, slots=True)
class Dealing:
    """One dated dealing a list's row tells of; `until` 0: it has no end, or none is told."""

    kind: str
    at: Instant
    until: int = 0


@dataclass(frozen=True, slots=True)
class ListRow:
    """What one row of a mail tool's export proves, and what it claims. "" and None: not told.

    Attributes:
        email: The address in its one spelling; "" where there is none that reads.
        code: Why the row could not be read at all, a key of `REMEDIES`; "" where it could.
        who: Name or outside id, to notice that two people share an address.
        born: Year of birth; age: in whole years, where the file gives that instead.
        signs: What its status cells say, in the meanings of `data/listcheck.toml`.
        bought: Orders are told, with or without a date.
        own: False where the row says that the list was bought or collected.
        findings: What is to be put right, by id.
    """

    line: int
    email: str = ""
    code: str = ""
    who: str = ""
    residence: str = ""
    zone: str = ""
    born: int | None = None
    age: int | None = None
    subject: str = ""
    signs: frozenset[str] = frozenset()
    consent_at: Instant | None = None
    confirmed_at: Instant | None = None
    notice: str = ""
    method: str = ""
    proof: str = ""
    dealings: tuple[Dealing, ...] = ()
    bought: bool = False
    details_from_sale: bool = False
    objection_offered: bool = False
    own: bool = True
    findings: tuple[str, ...] = ()


Rows = TypeVar("Rows", bound=Sized)
"""A list of one kind of row, or `EventColumns`."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[Rows]):
    """Consecutive rows of a file.

    Attributes:
        first_line: Line of the first row looked at.
        done: Data rows looked at up to the end of this batch, the broken ones too: the cursor.
    """

    first_line: int
    done: int
    rows: Rows
    findings: list[Finding]


@dataclass(slots=True)
class ImportReport:
    """Counts of an import and where to look; grows with the number of codes, not of rows.

    Attributes:
        outcomes: Rows kept, rejected, skipped. A kept row may still have findings.
        codes: Findings per code.
        lines: Per code the first 20 lines.
        fields: Per code the fields concerned (headings, for the file's own notes).
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[int]] = field(default_factory=dict)
    fields: dict[str, set[str]] = field(default_factory=dict)

    def add(self, batch: Batch[Rows]) -> None:
        """Count one batch."""
        self.outcomes["kept"] += len(batch.rows)
        lost: dict[int, Outcome] = {
            each.line: each.outcome for each in batch.findings if each.outcome != "kept"
        }
        self.outcomes.update(lost.values())
        self.note(batch.findings)

    def note(self, findings: Iterable[Finding]) -> None:
        """Count findings about the file itself."""
        for each in findings:
            self.codes[each.code] += 1
            lines = self.lines.setdefault(each.code, [])
            if len(lines) < LINES_SHOWN and each.line not in lines[-1:]:
                lines.append(each.line)
            if each.field and len(shown := self.fields.setdefault(each.code, set())) < LINES_SHOWN:
                shown.add(each.field)


def csv_cell(text: str) -> str:
    """Make a text harmless in a spreadsheet: what looks like a formula gets an apostrophe.

    >>> csv_cell("=cmd()")
    "'=cmd()"
    """
    return f"'{text}" if text.lstrip(" ")[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"} else text
