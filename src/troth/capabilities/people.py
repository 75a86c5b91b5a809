"""People: who is known, from where; customers and their behaviour as files bring them in.

An import never widens consent and never lifts a suppression; it books what a row says and no more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from troth import crypto
from troth.engines import contact as addresses
from troth.engines.intake import Batch, CustomerRow, EventColumns, Finding, ImportReport
from troth.engines.mail.headers import UNSAFE
from troth.errors import InvalidInput
from troth.kernel import events, vault
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
    moment,
    zulu,
)

PROGRESS = "people.import"
LISTED = "people.registry"
BOOK_PEOPLE = 250
FLUSH_EVENTS = 250_000
KINDS_A_CHUNK = 256
PURCHASES, SENSITIVE = "purchases", "purchases.sensitive"

Progress = Callable[[int], None]
"""Called with the number of rows done so far."""


def find_by_address(desk: Desk, view: View, channel: Channel, text: str) -> list[PersonId]:
    """Return everybody who holds this address (a shared mailbox has several), merged ids once."""
    normalised = addresses.normalise(channel, text)
    point = desk.contact(channel, normalised, addresses.NORMALISER)
    found = view.find(channel, point.bi)
    return list(dict.fromkeys(desk.keeper(view, person) for person in found))


def done_before(view: View, kind: str, digest: bytes) -> int:
    """Return how many data rows of this very file are taken in already."""
    raw = view.row(PROGRESS, kind.encode() + digest)
    return int(raw) if raw else 0


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
    years = house.ruleset.adult_years(row.residence, house.seat, view.now)
    return "adult" if moment(view.now).year - row.birth_year > years else "minor"


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


# Behaviour


@dataclass(slots=True)
class _Pending:
    """Columns of one person that wait to be sealed."""

    at: list[int] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    item: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)
    amount: list[int] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    currency: str = ""

    def chosen(self, places: Sequence[int]) -> "_Pending":
        """Return the events at these places, in their order."""
        return _Pending(
            [self.at[i] for i in places],
            [self.kind[i] for i in places],
            [self.item[i] for i in places],
            [self.group[i] for i in places],
            [self.amount[i] for i in places],
            [self.units[i] for i in places],
            self.currency,
        )

    def by_scope(self, sensitive: frozenset[str]) -> dict[str, "_Pending"]:
        """Cut into vault scopes: quarter by quarter, sensitive goods apart."""
        places: dict[str, list[int]] = {}
        listed = sensitive.intersection(self.item)
        for i in sorted(range(len(self.at)), key=self.at.__getitem__):
            category = SENSITIVE if self.item[i] in listed else PURCHASES
            places.setdefault(quarter_scope(category, self.at[i]), []).append(i)
        return {scope: self.chosen(chosen) for scope, chosen in places.items()}


def import_events(  # noqa: PLR0913 - a file and how to read it
    desk: Desk,
    batches: Iterable[Batch[EventColumns]],
    digest: bytes,
    sensitive: frozenset[str] = frozenset(),
    brand: str = "",
    progress: Progress = lambda _done: None,
) -> ImportReport:
    """Take in behaviour: sealed into chunks, one event per person and flush; resumable.

    Up to `FLUSH_EVENTS` rows wait in memory (about 40 MB), then are booked in parts of
    `BOOK_PEOPLE` together with the cursor's move, so that a killed import repeats nothing.

    Args:
        desk: The workspace.
        batches: From `Source.batches(done_before(...))`.
        digest: SHA-256 of the file.
        sensitive: Items kept apart under their own scope, which no marketing purpose opens.
        brand: The brand that sold.
        progress: Told after each batch read.
    """
    report = ImportReport()
    waiting: dict[PersonId, list[_Pending]] = {}
    known: dict[str, PersonId | None] = {}
    with desk.store.look() as view:
        flushed = done = done_before(view, "events", digest)
    for batch in batches:
        report.add(batch)
        _sort_in(desk, batch.rows, known, waiting, report)
        done = batch.done
        progress(done)
        if done - flushed >= FLUSH_EVENTS:
            _flush(desk, waiting, _Batch(digest, brand, sensitive), done)
            waiting, flushed = {}, done
    if done > flushed:
        _flush(desk, waiting, _Batch(digest, brand, sensitive), done)
    desk.record_house(
        events.ImportFinished("events", digest.hex(), dict(sorted(report.outcomes.items()))),
        SYSTEM,
    )
    return report


def _sort_in(
    desk: Desk,
    rows: EventColumns,
    known: dict[str, PersonId | None],
    waiting: dict[PersonId, list[_Pending]],
    report: ImportReport,
) -> None:
    """Put runs of lines of one person and currency with what waits of that person."""
    with desk.store.look() as view:
        for outside in set(rows.external_id) - known.keys():
            known[outside] = desk.find(view, outside)
    who, money, count = rows.external_id, rows.currency, len(rows)
    start = 0
    while start < count:
        end, outside, currency = start + 1, who[start], money[start]
        while end < count and who[end] == outside and money[end] == currency:
            end += 1
        person = known[outside]
        if person is None:
            report.outcomes["unknown_person"] += end - start
        else:
            _extend(waiting.setdefault(person, []), rows, slice(start, end), currency)
        start = end


def _extend(held: list[_Pending], rows: EventColumns, run: slice, currency: str) -> None:
    pending = next((p for p in held if p.currency == currency), None)
    if pending is None:
        pending = _Pending(currency=currency)
        held.append(pending)
    pending.at.extend(rows.at[run])
    pending.kind.extend(rows.kind[run])
    pending.item.extend(rows.item[run])
    pending.group.extend(rows.group[run])
    pending.amount.extend(rows.amount_minor[run])
    pending.units.extend(rows.units[run])


_QUARTERS: dict[int, str] = {}


def quarter_scope(category: str, at: int) -> str:
    """Return the vault scope of an instant: category and UTC calendar quarter.

    >>> quarter_scope("purchases", 1_795_000_000_000_000)
    'purchases/2026Q4'
    """
    day = at // 86_400_000_000
    quarter = _QUARTERS.get(day)
    if quarter is None:
        date = moment(Instant(at)).date()
        quarter = _QUARTERS[day] = f"{date.year}Q{(date.month + 2) // 3}"
    return f"{category}/{quarter}"


@dataclass(frozen=True, slots=True)
class _Batch:
    """The file a flush belongs to."""

    digest: bytes
    brand: str
    sensitive: frozenset[str]


Scopes = list[tuple[str, _Pending]]


def _flush(desk: Desk, waiting: dict[PersonId, list[_Pending]], batch: _Batch, done: int) -> None:
    """Book what waits; a mark per person makes a flush that was cut off repeatable."""
    people = list(waiting)
    flush = b"part" + batch.digest + done.to_bytes(8, "big")
    for start in range(0, len(people), BOOK_PEOPLE):
        part: dict[PersonId, Scopes] = {
            p: [s for w in waiting[p] for s in w.by_scope(batch.sensitive).items()]
            for p in people[start : start + BOOK_PEOPLE]
        }
        _flush_part(desk, part, batch, flush)
    with desk.store.book() as tx:
        tx.put_row(PROGRESS, b"events" + batch.digest, str(done).encode())
        for key, _ in tx.rows(PROGRESS, flush, b"", len(people)):
            tx.put_row(PROGRESS, key, None)


def _flush_part(
    desk: Desk, waiting: Mapping[PersonId, Scopes], batch: _Batch, flush: bytes
) -> None:
    left = dict(waiting)
    while left:
        with desk.store.look() as view:
            left = {p: s for p, s in left.items() if view.row(PROGRESS, flush + p) is None}
            now = view.now
            found = view.gather(list(left), None)
            heads = {g.person: g for g in found if not g.record.erasing}
            left = {p: s for p, s in left.items() if p in heads}
            written = _seal_parts(desk, view, left, now)
            left = {p: s for p, s in left.items() if p in written}
        prepared: list[Prepared] = []
        for person, rows in written.items():
            payloads = _behaviour_events(left[person], rows, batch)
            prepared += desk.scribe.prepare(person, heads[person].head, payloads, SYSTEM, now)
        with desk.store.book() as tx:
            moved = tx.append(prepared)
            for person, rows in written.items():
                if person not in moved:
                    tx.put_sealed(person, rows)
                    tx.put_row(PROGRESS, flush + person, b"1")
        left = {p: left[p] for p in moved}


def _seal_parts(
    desk: Desk, view: View, waiting: Mapping[PersonId, Scopes], now: Instant
) -> dict[PersonId, list[Sealed]]:
    keys = desk.vault.keys
    keys.load(list(waiting), now)
    waiting = {
        p: [s for s in scopes if not keys.destroyed(p, now, s[0])] for p, scopes in waiting.items()
    }
    wanted = {(p, scope): None for p, scopes in waiting.items() for scope, _ in scopes}
    keys.make([(p, scope, 1) for p, scope in wanted if not keys.has(p, now, scope)])
    fields = sorted({scope for _, scope in wanted})
    held = view.sealed(list(waiting), fields)
    keys.load(list(waiting), now)
    out: dict[PersonId, list[Sealed]] = {}
    for person, scopes in waiting.items():
        places = {(row.field, row.row): row for row in held.get(person, ())}
        for scope, pending in scopes:
            mine = [row for (name, _), row in places.items() if name == scope]
            for row in _chunks(desk, person, scope, pending, mine, now):
                places[row.field, row.row] = row
                out.setdefault(person, []).append(row)
    return out


def _chunks(  # noqa: PLR0913 - a place, its new events and its old rows
    desk: Desk,
    person: PersonId,
    scope: str,
    pending: _Pending,
    held: list[Sealed],
    now: Instant,
) -> Iterator[Sealed]:
    number, version = 0, 1
    if held:
        last = max(held, key=lambda row: row.row)
        chunk = desk.vault.reopen_chunk(person, last, now)
        number, version = last.row + 1, 1
        if len(chunk.at) + len(pending.at) <= vault.CHUNK_EVENTS and (
            chunk.currency == pending.currency
        ):
            pending = _joined(chunk, pending)
            number, version = last.row, last.version + 1
    order = sorted(range(len(pending.at)), key=pending.at.__getitem__)
    for places in _parts(order, pending.kind):
        plain = vault.pack_chunk(_chunk(pending.chosen(places)))
        yield desk.vault.seal_chunk(person, scope, number, version, plain, now)
        number, version = number + 1, 1


def _parts(order: Sequence[int], kinds: Sequence[str]) -> Iterator[Sequence[int]]:
    """Cut into what a chunk has room for: so many events, so many kinds of them."""
    if len(set(kinds)) <= KINDS_A_CHUNK:
        for start in range(0, len(order), vault.CHUNK_EVENTS):
            yield order[start : start + vault.CHUNK_EVENTS]
        return
    part: list[int] = []
    seen: set[str] = set()
    for place in order:
        if len(part) == vault.CHUNK_EVENTS or len(seen | {kinds[place]}) > KINDS_A_CHUNK:
            yield part
            part, seen = [], set()
        part.append(place)
        seen.add(kinds[place])
    yield part


def _joined(chunk: vault.Chunk, pending: _Pending) -> _Pending:
    groups = [chunk.groups[chunk.item_group[i]] for i in chunk.item]
    return _Pending(
        [*chunk.at, *pending.at],
        [*(chunk.kinds[k] for k in chunk.kind), *pending.kind],
        [*(chunk.items[i] for i in chunk.item), *pending.item],
        [*groups, *pending.group],
        [*chunk.amount, *pending.amount],
        [*chunk.units, *pending.units],
        pending.currency,
    )


def _chunk(pending: _Pending) -> vault.Chunk:
    kinds = {word: i for i, word in enumerate(dict.fromkeys(pending.kind))}
    items = {word: i for i, word in enumerate(dict.fromkeys(pending.item))}
    groups = {word: i for i, word in enumerate(dict.fromkeys(pending.group))}
    group_of = dict(zip(pending.item, pending.group, strict=True))
    return vault.Chunk(
        at=pending.at,
        kind=[kinds[word] for word in pending.kind],
        item=[items[word] for word in pending.item],
        amount=pending.amount,
        units=pending.units,
        kinds=tuple(kinds),
        items=tuple(items),
        groups=tuple(groups),
        item_group=tuple(groups[group_of[item]] for item in items),
        currency=pending.currency,
        source="import",
    )


def _behaviour_events(scopes: Scopes, rows: list[Sealed], batch: _Batch) -> list[events.Payload]:
    every = [at for _, pending in scopes for at in pending.at]
    source = f"import {batch.digest.hex()[:12]}"
    said: list[events.Payload] = [
        events.BehaviourRecorded(
            count=len(every),
            kinds=tuple(sorted({kind for _, pending in scopes for kind in pending.kind})),
            first=zulu(Instant(min(every))),
            last=zulu(Instant(max(every))),
            source=source,
            digest=crypto.sha256(b"".join(row.rec for row in rows)).hex(),
            chunks={f"{row.field}#{row.row}": row.version for row in rows},
        )
    ]
    bought = max(
        (
            at
            for _, pending in scopes
            for at, kind in zip(pending.at, pending.kind, strict=True)
            if kind == "purchase"
        ),
        default=0,
    )
    if bought:
        when = zulu(Instant(bought))
        brand = batch.brand or None
        said.append(events.RelationRecorded("sale", when, source, brand=brand, goods="household"))
    return said
