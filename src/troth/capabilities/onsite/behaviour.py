"""What a visitor does on the site: decided, sealed in chunks, one event a batch; and forgotten."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date

from troth import crypto
from troth.capabilities.onsite.model import SCOPE, SITE, Seen
from troth.errors import Conflict
from troth.kernel import events, gate, restrictions, telling, vault
from troth.kernel.calendars import quarter
from troth.kernel.desk import SYSTEM, Desk, put_pointer
from troth.ports import Transaction, View
from troth.terms import (
    Action,
    Actor,
    Gathered,
    Instant,
    PersonId,
    Refusal,
    Sealed,
    UseRequest,
    moment,
    zulu,
)

VISITS = "onsite.visit"
TALLY = "onsite.tally"
FORGETTING = "onsite.forget"
TRIES = 20


def request_for(
    person: PersonId, purpose: str, action: Action, at: Instant, categories: frozenset[str]
) -> UseRequest:
    """Return one use on the site, asked for by the house's own machinery."""
    return UseRequest(SYSTEM, person, purpose, action, None, categories, at)


def judge(
    desk: Desk, view: View, gathered: Gathered, request: UseRequest
) -> tuple[gate.Permit | Refusal, Callable[[], str]]:
    """Decide about one person in a look; the inputs' digest is made only where it is recorded."""
    house = desk.house(view)
    facts = desk.facts(view, request, desk.claim(request, house), gathered)
    return gate.decide(request, facts), lambda: gate.inputs_digest(request, facts)


def said_of(
    desk: Desk, view: View, request: UseRequest, answer: gate.Permit | Refusal, inputs: str
) -> events.Payload:
    """Return the event of a decision on the site."""
    return telling.decided(request, answer, desk.house(view), inputs)


def visit_key(person: PersonId, request: UseRequest, answer: gate.Permit | Refusal) -> bytes:
    """Name one use, permitted or not, of one set of categories, within a person's visit."""
    parts = [
        request.purpose,
        request.action,
        "no" if isinstance(answer, Refusal) else "yes",
        *sorted(request.categories),
    ]
    return person + crypto.sha256(vault.lp(*(p.encode() for p in parts)))[:8]


def noted(view: View, key: bytes) -> bool:
    """Tell whether this use is recorded in the visit that still runs."""
    raw = view.row(VISITS, key)
    return raw is not None and int(raw) > view.now


def note(tx: Transaction, person: PersonId, key: bytes, visit_us: int) -> None:
    """Remember that a use is recorded, until the visit ends."""
    put_pointer(tx, person, VISITS, key, str(tx.now + visit_us).encode())


def ask(
    desk: Desk, person: PersonId, purpose: str, action: Action, visit_us: int
) -> gate.Permit | Refusal | None:
    """Decide one use without categories and record the answer, once a visit; None: nobody there.

    Raises:
        Conflict: Others kept writing to this person; nothing was kept: repeat.
    """
    for _ in range(TRIES):
        with desk.store.look() as view:
            found = view.gather([person], None)
            if not found or found[0].record.erasing:
                return None
            request = request_for(person, purpose, action, view.now, frozenset())
            answer, inputs = judge(desk, view, found[0], request)
            key = visit_key(person, request, answer)
            if noted(view, key):
                return answer
            said = [said_of(desk, view, request, answer, inputs())]
            prepared = desk.scribe.prepare(person, found[0].head, said, SYSTEM, view.now)
            version = view.house_version
        with desk.store.book(version) as tx:
            if not tx.append(prepared):
                note(tx, person, key, visit_us)
                return answer
    raise Conflict("others keep writing to this record", "repeat in a moment")


def record(desk: Desk, person: PersonId, seen: Sequence[Seen], visit_us: int) -> int:
    """Take a batch down if the person agreed to it now; return how many events were kept.

    A refusal is an event of the person, once a visit. A quarter whose key was destroyed takes new
    events in under a newer one; what was forgotten stays forgotten.

    Raises:
        Conflict: Others kept writing to this person; nothing was kept: repeat.
    """
    for _ in range(TRIES):
        with desk.store.look() as view:
            found = view.gather([person], None)
            if not found or found[0].record.erasing or not seen:
                return 0
            request = request_for(person, SITE, Action.PROFILE, view.now, frozenset())
            answer, inputs = judge(desk, view, found[0], request)
            key = visit_key(person, request, answer)
            said: list[events.Payload] = []
            rows: list[Sealed] = []
            if isinstance(answer, Refusal):
                if noted(view, key):
                    return 0
                said = [said_of(desk, view, request, answer, inputs())]
            else:
                rows = _sealed(desk, view, person, seen)
                said = [_told(seen, rows)] if rows else []
            if not said:
                return 0
            prepared = desk.scribe.prepare(person, found[0].head, said, SYSTEM, view.now)
            version = view.house_version
        with desk.store.book(version) as tx:
            if tx.append(prepared):
                continue
            tx.put_sealed(person, rows)
            if rows:
                _count(tx, person, len(seen))
            else:
                note(tx, person, key, visit_us)
        return len(seen) if rows else 0
    raise Conflict("others keep writing to this record", "repeat in a moment")


def _quarter(at: Instant) -> str:
    return f"{SCOPE}/{quarter(day(at))}"


def _sealed(desk: Desk, view: View, person: PersonId, seen: Sequence[Seen]) -> list[Sealed]:
    """Seal a batch behind what is there; what was deleted of a quarter stays deleted."""
    keys, now = desk.vault.keys, view.now
    keys.load([person], now)
    by_scope: dict[str, list[Seen]] = {}
    for each in seen:
        by_scope.setdefault(_quarter(each.at), []).append(each)
    fresh_keys = [scope for scope in by_scope if not keys.has(person, now, scope)]
    keys.make([(person, scope, keys.following(person, now, scope)) for scope in fresh_keys])
    held = [
        row
        for row in view.sealed([person], sorted(by_scope)).get(person, [])
        if not desk.vault.is_gone(person, row, now)
    ]
    out = []
    for scope, fresh in by_scope.items():
        last = max((r for r in held if r.field == scope), key=lambda r: r.row, default=None)
        number, version, whole = 0, 1, list(fresh)
        if last is not None:
            before = _read(desk.vault.reopen_chunk(person, last, now))
            number, version = last.row + 1, 1
            if len(before) + len(fresh) <= vault.CHUNK_EVENTS:
                number, version, whole = last.row, last.version + 1, [*before, *fresh]
        plain = vault.pack_chunk(_chunk(sorted(whole, key=lambda e: e.at)))
        out.append(desk.vault.seal_chunk(person, scope, number, version, plain, now))
    return out


def _chunk(seen: Sequence[Seen]) -> vault.Chunk:
    kinds = {word: i for i, word in enumerate(dict.fromkeys(e.kind for e in seen))}
    items = {word: i for i, word in enumerate(dict.fromkeys((e.item, e.group) for e in seen))}
    groups = {word: i for i, word in enumerate(dict.fromkeys(e.group for e in seen))}
    return vault.Chunk(
        at=[e.at for e in seen],
        kind=[kinds[e.kind] for e in seen],
        item=[items[e.item, e.group] for e in seen],
        amount=[0] * len(seen),
        units=[e.units for e in seen],
        kinds=tuple(kinds),
        items=tuple(item for item, _ in items),
        groups=tuple(groups),
        item_group=tuple(groups[group] for _, group in items),
        currency="",
        source="site",
    )


def _read(chunk: vault.Chunk) -> list[Seen]:
    return [
        Seen(
            Instant(at),
            chunk.kinds[kind],
            chunk.items[item],
            chunk.groups[chunk.item_group[item]],
            units,
        )
        for at, kind, item, units in zip(
            chunk.at, chunk.kind, chunk.item, chunk.units, strict=True
        )
    ]


def _told(seen: Sequence[Seen], rows: Sequence[Sealed]) -> events.BehaviourRecorded:
    return events.BehaviourRecorded(
        count=len(seen),
        kinds=tuple(sorted({e.kind for e in seen})),
        first=zulu(min(e.at for e in seen)),
        last=zulu(max(e.at for e in seen)),
        source="site",
        digest=crypto.sha256(b"".join(row.rec for row in rows)).hex(),
        chunks={f"{row.field}#{row.row}": row.version for row in rows},
    )


# How much: days and numbers, nobody named


def _count(tx: Transaction, person: PersonId, events_kept: int) -> None:
    today = day(tx.now)
    key = person + b"day"
    first = tx.row(VISITS, key) != today.isoformat().encode()
    put_pointer(tx, person, VISITS, key, today.isoformat().encode())
    tally(tx, today, "events", events_kept)
    tally(tx, today, "people", int(first))


def day(at: Instant) -> date:
    """Return the UTC day of an instant."""
    return moment(at).date()


def tally(tx: Transaction, on: date, name: str, more: int) -> None:
    """Add to a day's count."""
    key = f"{on.isoformat()} {name}".encode()
    tx.put_row(TALLY, key, str(int(tx.row(TALLY, key) or b"0") + more).encode())


def tallies(view: View, since: date) -> Mapping[tuple[str, str], int]:
    """Return counts by day (ISO) and name from a day on."""
    after = since.isoformat().encode()
    found = view.rows(TALLY, b"", after, 5_000)
    return {
        (key[:10].decode(), key[11:].decode()): int(number) for key, number in found if key > after
    }


# Forgetting, at the visitor's wish


def forget(desk: Desk, person: PersonId, actor: Actor, settle: Callable[[], None]) -> int:
    """Delete all that was seen of a person: event, journal line, keys, rows; repeatable.

    Returns how many quarters went. The keys are destroyed; what is seen later is sealed under
    newer ones.
    """
    for _ in range(TRIES):
        with desk.store.look() as view:
            found = view.gather([person], None)
            rows = view.sealed([person], [f"{SCOPE}/"]).get(person, [])
            scopes = tuple(sorted({row.field for row in rows}))
            if not found or found[0].record.erasing or not scopes:
                return 0
            said = events.RetentionApplied((), scopes, "person.wish")
            prepared = desk.scribe.prepare(person, found[0].head, [said], actor, view.now)
        with desk.store.book() as tx:
            seq = tx.size
            if tx.append(prepared):
                continue
            tx.put_row(FORGETTING, person + seq.to_bytes(8, "big"), ",".join(scopes).encode())
        line = restrictions.line(person, said, seq)
        desk.journal.note_all([line] if line else [])
        finish(desk, settle)
        return len(scopes)
    raise Conflict("others keep writing to this record", "repeat in a moment")


def finish(desk: Desk, settle: Callable[[], None]) -> None:
    """Carry out what was recorded as forgotten, also what a crash left undone; repeatable."""
    with desk.store.look() as view:
        pending = view.rows(FORGETTING, b"", b"", 1_000)
        now = view.now
    for key, raw in pending:
        person, scopes = PersonId(key[:16]), raw.decode().split(",")
        desk.vault.keys.shred(person, scopes, now)
        with desk.store.book() as tx:
            tx.drop_sealed(person, scopes)
            tx.put_row(FORGETTING, key, None)
    if pending:
        settle()
