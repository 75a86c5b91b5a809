"""Behaviour as files bring it in: sealed into chunks, one event per person and batch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from troth import crypto
from troth.capabilities.people.customers import BOOK_PEOPLE
from troth.capabilities.people.finding import PROGRESS, Progress, done_before
from troth.engines.intake import Batch, EventColumns, ImportReport
from troth.kernel import cutting, events, vault
from troth.kernel.calendars import quarter
from troth.kernel.desk import SYSTEM, Desk
from troth.ports import View
from troth.terms import (
    DAY,
    Instant,
    PersonId,
    Prepared,
    Sealed,
    moment,
    zulu,
)

FLUSH_EVENTS = 250_000
KINDS_A_CHUNK = 256
PURCHASES, SENSITIVE = "purchases", "purchases.sensitive"


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
    brand: str | None = "",
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
        brand: The brand that sold; None where it was somebody else: no dealing with us follows.
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
    day = at // DAY
    found = _QUARTERS.get(day)
    if found is None:
        found = _QUARTERS[day] = quarter(moment(Instant(at)).date())
    return f"{category}/{found}"


@dataclass(frozen=True, slots=True)
class _Batch:
    """The file a flush belongs to."""

    digest: bytes
    brand: str | None
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
            left = _taken(desk, view, {p: s for p, s in left.items() if p in heads}, now)
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
    wanted = {(p, scope): None for p, scopes in waiting.items() for scope, _ in scopes}
    keys.make([(p, scope, 1) for p, scope in wanted if not keys.has(p, now, scope)])
    fields = sorted({scope for _, scope in wanted})
    held = view.sealed(list(waiting), fields)
    keys.load(list(waiting), now)
    out: dict[PersonId, list[Sealed]] = {}
    for person, scopes in waiting.items():
        mine = [r for r in held.get(person, ()) if not desk.vault.is_gone(person, r, now)]
        places = {(row.field, row.row): row for row in mine}
        for scope, pending in scopes:
            there = [row for (name, _), row in places.items() if name == scope]
            for row in _chunks(desk, person, scope, pending, there, now):
                places[row.field, row.row] = row
                out.setdefault(person, []).append(row)
    return out


def _taken(
    desk: Desk, view: View, waiting: Mapping[PersonId, Scopes], now: Instant
) -> dict[PersonId, Scopes]:
    """Leave out quarters whose key was destroyed, and what lies in times a person emptied."""
    keys = desk.vault.keys
    keys.load(list(waiting), now)
    waiting = {
        p: [s for s in scopes if not keys.destroyed(p, now, s[0])] for p, scopes in waiting.items()
    }
    closed = cutting.closed(view, list(waiting))
    if not closed:
        return waiting
    out: dict[PersonId, Scopes] = {}
    for person, scopes in waiting.items():
        out[person] = []
        for scope, pending in scopes:
            shut = [c for c in closed.get(person, ()) if c[0] == scope.partition("/")[0]]
            left = [
                i
                for i, at in enumerate(pending.at)
                if not any(since <= at < until for _, since, until in shut)
            ]
            if left:
                out[person].append((scope, pending.chosen(left)))
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
    if bought and batch.brand is not None:
        when = zulu(Instant(bought))
        brand = batch.brand or None
        said.append(events.RelationRecorded("sale", when, source, brand=brand, goods="household"))
    return said
