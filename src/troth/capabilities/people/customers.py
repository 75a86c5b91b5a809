"""Customers as files bring them in: an import never widens consent, never lifts a block."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from troth import crypto
from troth.capabilities.people.finding import PROGRESS, Progress
from troth.engines import contact as addresses
from troth.engines.intake import Batch, CustomerRow, Finding, ImportReport
from troth.engines.mail.headers import UNSAFE
from troth.errors import InvalidInput
from troth.kernel import events, vault
from troth.kernel.calendars import years_lived
from troth.kernel.desk import EXTERNAL, SYSTEM, Desk, put_pointer
from troth.ports import Transaction, View
from troth.terms import (
    NO_HEAD,
    Block,
    Channel,
    ContactPoint,
    Instant,
    PersonId,
    Prepared,
    Sealed,
    Suppressed,
    zulu,
)

LISTED = "people.registry"
BOOK_PEOPLE = 250


@dataclass(slots=True)
class _New:
    """One row on its way into the record: what is sealed, said and indexed."""

    person: PersonId
    row: CustomerRow
    values: dict[str, str] = field(default_factory=dict)
    payloads: list[events.Payload] = field(default_factory=list)
    contacts: list[ContactPoint] = field(default_factory=list)
    listing: bytes = b""


def import_customers(
    desk: Desk,
    batches: Iterable[Batch[list[CustomerRow]]],
    digest: bytes,
    brand: str = "",
    progress: Progress = lambda _done: None,
) -> ImportReport:
    """Take in customers; repeatable, and resumable at the last booked batch.

    Known rows (by outside id) are counted and left as they are; nothing of a person is widened.

    Args:
        desk: The workspace.
        batches: From `Source.batches(done_before(...))`.
        digest: SHA-256 of the file, its identity for resuming.
        brand: Whose customers they are: the brand a sale in the file was made by.
        progress: Told after each booked batch.
    """
    report = ImportReport()
    for batch in batches:
        report.add(batch)
        _take_customers(desk, batch, digest, brand, report)
        progress(batch.done)
    desk.record_house(
        events.ImportFinished("customers", digest.hex(), dict(sorted(report.outcomes.items()))),
        SYSTEM,
    )
    return report


def _take_customers(
    desk: Desk,
    batch: Batch[list[CustomerRow]],
    digest: bytes,
    brand: str,
    report: ImportReport,
) -> None:
    for start in range(0, max(1, len(batch.rows)), BOOK_PEOPLE):
        part = batch.rows[start : start + BOOK_PEOPLE]
        last = start + BOOK_PEOPLE >= len(batch.rows)
        while True:
            with desk.store.look() as view:
                new = [
                    n
                    for row in _once(desk, part)
                    if (n := _read_row(desk, view, row, digest, brand, report))
                ]
                now, version = view.now, view.house_version
            desk.vault.keys.make([(n.person, "", 1) for n in new])
            prepared = {
                n.person: desk.scribe.prepare(n.person, NO_HEAD, n.payloads, SYSTEM, now)
                for n in new
            }
            sealed = {n.person: desk.vault.seal_values(n.person, n.values, {}, now) for n in new}
            with desk.store.book(version) as tx:
                if any(tx.row(EXTERNAL, _outside(desk, n.row)) for n in new):
                    continue  # another import took the same row meanwhile: look again
                for n in new:
                    _book_new(desk, tx, n, prepared[n.person], sealed[n.person])
                if last:
                    key = b"customers" + digest
                    tx.put_row(PROGRESS, key, str(batch.done).encode())
            break


def _once(desk: Desk, rows: Sequence[CustomerRow]) -> list[CustomerRow]:
    """Leave out rows about somebody an earlier one is about, whatever the spelling."""
    found: dict[bytes, CustomerRow] = {}
    for row in rows:
        found.setdefault(_outside(desk, row), row)
    return list(found.values())


def _outside(desk: Desk, row: CustomerRow) -> bytes:
    """Return the key a row is known by: its outside id, else its address in its one spelling."""
    if row.external_id:
        return desk.person_key(row.external_id)
    if row.email:
        return desk.person_key(f"email:{addresses.normalise(Channel.EMAIL, row.email)}")
    try:
        number = addresses.normalise(Channel.SMS, row.phone, row.residence)
    except InvalidInput:
        number = row.phone
    return desk.person_key(f"sms:{number}")


def _read_row(  # noqa: PLR0913 - a row and where it comes from
    desk: Desk, view: View, row: CustomerRow, digest: bytes, brand: str, report: ImportReport
) -> _New | None:
    if view.row(EXTERNAL, _outside(desk, row)) is not None:
        report.outcomes["known"] += 1
        return None
    new = _New(desk.new_person(), row)
    source = row.source or f"import {digest.hex()[:12]}"
    subject = row.subject or "natural"
    new.payloads.append(events.PersonCreated(subject, source, digest.hex()[:16]))
    facts = events.FactsRecorded(
        source=source,
        residence=row.residence or None,
        zone=row.zone or None,
        age=_age(desk, view, row),
        competent=None,
        language=row.language or None,
    )
    new.payloads.append(facts)
    _add_address(desk, new, row, source, report)
    values = {
        "name.given": _plain(row.given_name),
        "name.family": _plain(row.family_name),
        "interests": ";".join(filter(None, map(_plain, row.interests))),
        "birth.year": str(row.birth_year or ""),
        "contact.competent": row.competent_person_email,
        "external.id": row.external_id,
    }
    new.values |= {name: text for name, text in values.items() if text}
    new.payloads.append(events.ValuesSealed(dict.fromkeys(sorted(new.values), 1), source))
    if row.relation_kind and row.relation_at is not None:
        new.payloads.append(_relation(row, brand, source))
    return new


def _plain(text: str) -> str:
    """Return a text without controls, line ends and marks that turn its direction.

    No message takes such a value; one customer's name must not hold up everybody's.
    """
    return " ".join(UNSAFE.sub(" ", text).split()) if UNSAFE.search(text) else text


def _age(desk: Desk, view: View, row: CustomerRow) -> str | None:
    """Tell adult from minor by the year alone and the strictest rule; in doubt, a minor."""
    if row.birth_year is None:
        return None
    house = desk.house(view)
    years = years_lived(row.birth_year, view.now)
    return house.ruleset.age_class(years, row.residence, house.seat, view.now)


def _relation(row: CustomerRow, brand: str, source: str) -> events.RelationRecorded:
    return events.RelationRecorded(
        kind=row.relation_kind,
        occurred_at=zulu(row.relation_at or Instant(0)),
        source=source,
        brand=brand or None,
        goods=row.relation_goods or None,
        collected=row.details_from_sale,
        objection_offered=row.objection_offered,
    )


def _add_address(
    desk: Desk, new: _New, row: CustomerRow, source: str, report: ImportReport
) -> None:
    wanted = ((Channel.EMAIL, row.email, ""), (Channel.SMS, row.phone, row.residence))
    for channel, text, region in wanted:
        if not text:
            continue
        try:
            normalised = addresses.normalise(channel, text, region)
        except InvalidInput:
            report.note([Finding(row.line, "number_invalid", "phone", "kept")])
            continue
        field_id = f"contact.{channel}"
        new.values[field_id] = normalised
        new.contacts.append(desk.contact(channel, normalised, addresses.NORMALISER))
        if channel is Channel.EMAIL:
            hashed = addresses.digest_for_registry("sha256-lower-trim", normalised)
            new.listing = registry_key(desk, hashed)
        new.payloads.append(
            events.ContactAdded(channel, field_id, 0, 1, addresses.NORMALISER, source)
        )


def registry_key(desk: Desk, hashed: bytes) -> bytes:
    """Return the MAC by which a registry's public hash is kept; the hash itself is not."""
    return crypto.mac(desk.vault.keys.secret("sup"), vault.lp(b"registry", hashed))[:16]


def _book_new(
    desk: Desk, tx: Transaction, new: _New, prepared: list[Prepared], sealed: list[Sealed]
) -> None:
    tx.append(prepared)
    tx.put_sealed(new.person, sealed)
    put_pointer(tx, new.person, EXTERNAL, _outside(desk, new.row), new.person)
    for point in new.contacts:
        tx.put_contact(new.person, point)
    if new.listing:
        point = next(c for c in new.contacts if c.channel is Channel.EMAIL)
        put_pointer(tx, new.person, LISTED, b"p" + new.listing, point.sup)
        if tx.row(LISTED, b"l" + new.listing) is not None:
            tx.put_block(Suppressed(point.sup, Block("registry_block", since=tx.now)))
