"""The feed of permissions: who may be written to, decided for each, told once per change.

A page reads the ledger on from a cursor. A person stands in it at their newest event, and only
where the answer is another than the connection was told before; the first pass tells everybody.
A page counts as received once its cursor comes back: until then its people stand in the next.
For each who is told, two events go into their chain first: that the answer left the house, and
what it was. Whom nothing may be told about any more is named by pseudonym alone, as a stop.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from troth import crypto
from troth.capabilities.connections.model import (
    HASH,
    SHOWN,
    Feed,
    Page,
    Row,
    machine,
    pseudonym,
)
from troth.errors import Conflict, InvalidInput
from troth.kernel import events, gate, telling
from troth.kernel.desk import Desk, drop_pointer, put_pointer
from troth.kernel.reasons import told_reasons
from troth.kernel.vault import Shredded
from troth.ports import View
from troth.terms import (
    DAY,
    Action,
    Actor,
    Claim,
    Gathered,
    Instant,
    PersonId,
    Prepared,
    ReasonCode,
    Refusal,
    UseRequest,
    zulu,
)

TOLD = "connections.told"
SENT = "connections.sent"
"""Who stood in a page whose cursor has not come back yet: told again if it never does."""
LIFE = 8 * DAY
PAGE = 250
_BODIES = 2_000
_CURSOR = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?")
_LATER = frozenset({ReasonCode.QUIET_HOURS, ReasonCode.FREQUENCY_CAP, ReasonCode.PAUSED})
GONE = "gone"
TRIES = 20


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a connection is: at a position of the ledger; `first` the end of its first pass."""

    at: int
    first: int = 0

    def __str__(self) -> str:
        """Write it as the connection sends it back."""
        return f"{self.at}-{self.first}" if self.at < self.first else str(self.at)


def begin(view: View) -> Cursor:
    """Return the cursor of a first pass, in which everybody is told."""
    return Cursor(0, view.log.size)


def read_cursor(view: View, text: str) -> Cursor:
    """Read what a page gave; "" begins the first pass.

    Raises:
        InvalidInput: It is none of this ledger.
    """
    if not text:
        return begin(view)
    found = _CURSOR.fullmatch(text)
    if found is None or int(found[1]) > view.log.size or int(found[2] or 0) > view.log.size:
        raise InvalidInput("this is no cursor of this house", "leave it out to begin anew")
    return Cursor(int(found[1]), int(found[2] or 0))


@dataclass(frozen=True, slots=True)
class _Told:
    """What a connection was last told of a pseudonym, and the head of the chain right after."""

    may: str
    code: str
    n: int


@dataclass(frozen=True, slots=True)
class _Found:
    """One person's answer: both decisions, what to say of it, what goes into the chain."""

    gathered: Gathered
    leaves: gate.Permit | Refusal
    row: Row
    payloads: tuple[events.Payload, ...]


def page(
    desk: Desk, feed: Feed, actor: Actor, since: str, gone: Iterable[PersonId] = ()
) -> Page | Refusal:
    """Return the next rows; each is in its person's chain when this returns.

    Args:
        desk: The desk.
        feed: What the connection is told.
        actor: Who asks for it.
        since: The last page's cursor; "" for the first pass.
        gone: Who was erased since that cursor: their events are not there to be read any more.

    Returns:
        A page, or the refusal of the claim, which the house chain holds.

    Raises:
        InvalidInput: The cursor is none.
        Conflict: Something published changed meanwhile, again and again: ask again.
    """
    for _ in range(TRIES):
        try:
            return _page(desk, feed, actor, since, tuple(gone))
        except Conflict:
            continue
    raise Conflict("others keep publishing", "ask again in a moment")


def _page(
    desk: Desk, feed: Feed, actor: Actor, since: str, gone: Sequence[PersonId]
) -> Page | Refusal:
    with desk.store.look() as view:
        cursor = read_cursor(view, since)
        claims = _claims(desk, view, feed, actor)
        if isinstance(claims, Refusal):
            _record_refusal(desk, feed, actor, claims)
            return claims
        sent = _sent(view, feed, cursor)
        changed, after, more = _changed(desk, view, feed, cursor)
        people = list(dict.fromkeys([*sent.open.values(), *changed]))
        whole, again = cursor.at < cursor.first, frozenset(sent.open.values())
        judged = _judged(desk, view, feed, claims, people)
        found = [
            f
            for f in judged
            if whole or f.gathered.person in again or _is_news(desk, view, feed, f)
        ]
        stops = _stops(desk, view, feed, gone)
        rows = [_opened(desk, view, f) for f in found]
        prepared = [
            p
            for f in found
            for p in desk.scribe.prepare(
                f.gathered.person, f.gathered.head, f.payloads, actor, view.now
            )
        ]
        house = view.house_version
    _book(desk, feed, _Booking(found, prepared, sent.over, after), house)
    return Page((*stops, *rows), str(Cursor(after, cursor.first)), more)


@dataclass(frozen=True, slots=True)
class _Sent:
    """Rows told before, by key: those whose page came through, and those that may be lost."""

    over: dict[bytes, PersonId]
    open: dict[bytes, PersonId]


def _sent(view: View, feed: Feed, cursor: Cursor) -> _Sent:
    """Sort what was told by whether the connection has shown the cursor it came with."""
    found = _Sent({}, {})
    for key, value in view.rows(SENT, _scope(feed), b"", 10 * PAGE):
        came = int.from_bytes(value[:8], "big") <= cursor.at
        (found.over if came else found.open)[key] = PersonId(value[8:])
    return found


def _claims(desk: Desk, view: View, feed: Feed, actor: Actor) -> tuple[Claim, Claim] | Refusal:
    house = desk.house(view)
    leaving = desk.claim(_leaving(feed, None, actor, view.now), house)
    if isinstance(leaving, Refusal):
        return leaving
    sending = desk.claim(_sending(feed, None, view.now), house)
    return sending if isinstance(sending, Refusal) else (leaving, sending)


def _leaving(feed: Feed, person: PersonId | None, actor: Actor, at: Instant) -> UseRequest:
    """Return the use the feed itself is: a named answer leaves the house."""
    return UseRequest(
        actor,
        person,
        feed.under,
        feed.action,
        None,
        frozenset({SHOWN[feed.shows][1]}),
        at,
        feed.brand,
        feed.agreement,
    )


def _sending(feed: Feed, person: PersonId | None, at: Instant) -> UseRequest:
    """Return the use the answer is about."""
    who = machine(feed.connection)
    return UseRequest(
        who, person, feed.purpose, Action.SEND, feed.channel, frozenset(), at, feed.brand
    )


def _changed(
    desk: Desk, view: View, feed: Feed, cursor: Cursor
) -> tuple[list[PersonId], int, bool]:
    """Return whose newest event lies in the next stretch of the ledger, and where it ends."""
    size, whole = view.log.size, cursor.at < cursor.first
    bodies = view.body_at(cursor.at, _BODIES)
    newest = {b.person: b for b in bodies if b.person != desk.scribe.house}
    heads = {g.person: g.head.n for g in view.gather(list(newest), None)}
    out: list[PersonId] = []
    for body in bodies:
        if whole and body.seq >= cursor.first and out:
            break
        if newest.get(body.person) is not body or heads.get(body.person) != body.n:
            continue
        told = _told(desk, view, feed, body.person)
        if whole or told is None or told.n != body.n:
            out.append(body.person)
        if len(out) == PAGE:
            return out, body.seq + 1, body.seq + 1 < size
    after = bodies[-1].seq + 1 if len(bodies) == _BODIES else size
    if whole and after > cursor.first:
        after = max(cursor.first, cursor.at)
    return out, after, after < size


def _told(desk: Desk, view: View, feed: Feed, person: PersonId) -> _Told | None:
    raw = view.row(TOLD, _place(desk, feed, person))
    return msgspec.msgpack.decode(raw, type=_Told) if raw else None


def _place(desk: Desk, feed: Feed, person: PersonId) -> bytes:
    return _scope(feed) + pseudonym(desk, feed.connection, person)


def _scope(feed: Feed) -> bytes:
    scope = f"{feed.connection} {feed.purpose} {feed.channel}"
    return crypto.sha256(scope.encode())[:8]


def _is_news(desk: Desk, view: View, feed: Feed, found: _Found) -> bool:
    told = _told(desk, view, feed, found.gathered.person)
    if told is None:
        return not isinstance(found.leaves, Refusal)
    return (told.may, told.code) != (found.row.may, found.row.code)


def _judged(
    desk: Desk,
    view: View,
    feed: Feed,
    claims: tuple[Claim, Claim],
    people: Sequence[PersonId],
) -> list[_Found]:
    out = []
    house = desk.house(view)
    desk.vault.keys.load(people, view.now)
    for gathered in view.gather(people, feed.channel):
        if gathered.record.erasing:
            continue
        # A feed is the machinery's, once the claim of whoever holds the key was judged.
        leaving = _leaving(feed, gathered.person, machine(feed.connection), view.now)
        facts = desk.facts(view, leaving, claims[0], gathered)
        leaves = gate.decide(leaving, facts)
        sending = _sending(feed, gathered.person, view.now)
        asked = desk.facts(view, sending, claims[1], gathered)
        answer = gate.decide(sending, asked)
        ref = _spelt(pseudonym(desk, feed.connection, gathered.person))
        inputs = gate.inputs_digest(leaving, facts)
        told = telling.decided(leaving, leaves, house, inputs, feed.connection)
        if isinstance(leaves, Refusal):
            row = Row(ref, "", "no", GONE, zulu(view.now), "")
            out.append(_Found(gathered, leaves, row, (told,)))
            continue
        inputs = gate.inputs_digest(sending, asked)
        second = telling.decided(sending, answer, house, inputs, feed.connection)
        row = _row(feed, ref, gathered, answer, view.now)
        out.append(_Found(gathered, leaves, row, (told, second)))
    return out


def _row(
    feed: Feed, ref: str, gathered: Gathered, answer: gate.Permit | Refusal, now: Instant
) -> Row:
    if isinstance(answer, Refusal):
        later = all(reason.code in _LATER for reason in answer.reasons)
        may = "not_now" if later else "no"
        return Row(ref, "", may, str(answer.first.code), zulu(now), "")
    standing = gathered.record.standings.get(f"{feed.purpose}|{feed.channel}")
    grant = standing.grant if standing and answer.basis == "consent" else None
    ends = now + LIFE
    if grant is not None and grant.until:
        ends = min(ends, grant.until)
    since = grant.at if grant is not None else now
    return Row(ref, "", "yes", "", zulu(since), zulu(Instant(ends)))


def _opened(desk: Desk, view: View, found: _Found) -> Row:
    """Open what names the person to the connection, as far as the permit goes."""
    if isinstance(found.leaves, Refusal):
        return found.row
    category = next(iter(found.leaves.categories))
    name = next(n for n, kept in SHOWN.values() if kept == category)
    rows = view.sealed([found.gathered.person], [name]).get(found.gathered.person, ())
    try:
        text = desk.vault.open(found.leaves, rows, view.now).get(name, "")
    except Shredded:
        text = ""
    if text and SHOWN[HASH][0] == name:
        text = crypto.sha256(text.strip().lower().encode()).hex()
    row = found.row
    return Row(row.ref, text, row.may, row.code, row.since, row.until)


def _stops(desk: Desk, view: View, feed: Feed, gone: Iterable[PersonId]) -> list[Row]:
    """Name whoever left, to a connection that was told of them: by its own pseudonym alone."""
    out = []
    for person in gone:
        told = _told(desk, view, feed, person)
        if told is not None:
            ref = _spelt(pseudonym(desk, feed.connection, person))
            out.append(Row(ref, "", "no", GONE, zulu(view.now), ""))
    return out


@dataclass(frozen=True, slots=True)
class _Booking:
    """What a page writes: its people, their events, whose rows came through, its own cursor."""

    found: Sequence[_Found]
    prepared: Sequence[Prepared]
    over: dict[bytes, PersonId]
    after: int


def _book(desk: Desk, feed: Feed, page: _Booking, house: int) -> None:
    """Book a page, or nothing of it where somebody changed meanwhile."""
    with desk.store.book(house) as tx:
        for key, person in page.over.items():
            drop_pointer(tx, person, SENT, key)
        if tx.append(page.prepared):
            raise Conflict("somebody changed meanwhile", "ask again")
        for each in page.found:
            person, key = each.gathered.person, _place(desk, feed, each.gathered.person)
            n = each.gathered.head.n + len(each.payloads)
            told = _Told(each.row.may, each.row.code, n)
            tx.put_row(TOLD, key, msgspec.msgpack.encode(told))
            put_pointer(tx, person, SENT, key, page.after.to_bytes(8, "big") + person)


def _record_refusal(desk: Desk, feed: Feed, actor: Actor, refused: Refusal) -> None:
    codes = told_reasons(refused.reasons)
    desk.record_house(events.HouseRefused(feed.under, feed.action, codes, feed.connection), actor)


def _spelt(ref: bytes) -> str:
    return base64.b32encode(ref).decode().rstrip("=").lower()
