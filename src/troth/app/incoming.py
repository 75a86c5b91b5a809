"""What other systems say of people: who stopped narrows at once; a yes proves what it proves."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from troth import crypto
from troth.adapters.delivery import read_rows
from troth.app.connections import acted
from troth.app.workspace import Workspace
from troth.capabilities import people, preferences
from troth.engines.intake import Batch, ConsentRow
from troth.errors import InvalidInput, NotFound
from troth.terms import (
    DENYING,
    Actor,
    Block,
    Channel,
    ConsentStatus,
    Instant,
    PersonId,
    PurposeKind,
    Role,
    from_zulu,
)

REASONS = frozenset({"unsubscribe", "complaint", "hard_bounce", "objection"})
ROWS_MAX = 500
TAKES = frozenset({Role.SUPPORT, Role.OFFICER, Role.MARKETER, Role.IT, Role.SYSTEM})
"""Roles whose key may say that somebody stopped: it only narrows."""
RECORDS = frozenset({Role.SUPPORT, Role.OFFICER, Role.SYSTEM})
"""Roles whose key may hand in what people chose: whoever sells does not write it down."""


@dataclass(frozen=True, slots=True)
class StopRow:
    """Somebody who stopped, as another system tells it.

    Attributes:
        person: The shop's own number, or "".
        address: On `channel`, or "".
        purpose: Which; "" all marketing.
        reason: unsubscribe, complaint, hard_bounce or objection.
        at: When, or "".
    """

    person: str = ""
    address: str = ""
    channel: str = "email"
    purpose: str = ""
    reason: str = "unsubscribe"
    at: str = ""


@dataclass(slots=True)
class Taken:
    """What became of rows that came in: counts by outcome, rejected rows by place."""

    outcomes: Counter[str] = field(default_factory=Counter)
    rejected: list[int] = field(default_factory=list)


def take_stops(opened: Workspace, rows: Iterable[StopRow], source: str) -> Taken:
    """Take stops in: the address is suppressed, a known person's agreement withdrawn, at once.

    Repeating a row changes nothing. Nothing in a row can widen.
    """
    taken = Taken()
    for number, row in enumerate(rows):
        try:
            taken.outcomes[_stop(opened, row, source)] += 1
        except InvalidInput:
            taken.outcomes["rejected"] += 1
            taken.rejected.append(number)
    return taken


def _stop(opened: Workspace, row: StopRow, source: str) -> str:
    desk = opened.desk
    with opened.store.look() as view:
        house, now = desk.house(view), view.now
        who = {p} if row.person and (p := desk.find(view, row.person)) else set()
    known = {each.value for each in Channel}
    if row.channel not in known or row.reason not in REASONS or not (row.person or row.address):
        raise InvalidInput("a row names no channel, reason or person")
    if row.purpose and row.purpose not in house.purposes:
        raise InvalidInput("a row names no published purpose")
    since = Instant(min(from_zulu(row.at), now)) if row.at else now
    channel, scope = Channel(row.channel), "purpose" if row.purpose else "all"
    if row.reason == "hard_bounce":
        scope = "channel"
    value = {"purpose": row.purpose, "channel": row.channel}.get(scope, "")
    block = Block(row.reason, scope, value, since)
    actor, met = Actor(Role.SYSTEM, source), 0
    if row.address:
        met = preferences.suppress(desk, channel, row.address, block, source, actor)
        with opened.store.look() as view:
            who |= set(people.find_by_address(desk, view, channel, row.address))
    elif not who:
        return "unknown_person"
    for person in who:
        with opened.store.look() as view:
            found = view.gather([person], channel)
        if not row.address and found and found[0].contact:
            point = found[0].contact
            preferences.suppress_point(desk, channel, point.bi, point.sup, block, source, actor)
        if row.reason in {"unsubscribe", "objection", "complaint"}:
            _withdraw(opened, person, row, actor)
    return "stopped" if who or met else "address_kept"


def _withdraw(opened: Workspace, person: PersonId, row: StopRow, actor: Actor) -> None:
    """Record the person's own no, where it does not stand already."""
    with opened.store.look() as view:
        found = view.gather([person], None)
        purposes = opened.desk.house(view).purposes
    if not found or found[0].record.erasing or found[0].record.alias:
        return
    roots = [p for p in purposes.values() if p.kind is PurposeKind.MARKETING and not p.parent]
    for name in [row.purpose] if row.purpose else [p.name for p in roots]:
        standing = found[0].record.standings.get(f"{name}|{row.channel}")
        deny, grant = (standing.deny, standing.grant) if standing else (None, None)
        if deny is not None and deny.status in DENYING and (not grant or grant.at <= deny.at):
            continue
        choice = preferences.Choice(
            ConsentStatus.WITHDRAWN, name, (row.channel,), method="other_system"
        )
        with suppress(NotFound):
            preferences.record_choice(opened.desk, person, choice, actor)


def take_consents(opened: Workspace, rows: Sequence[ConsentRow], body: bytes) -> dict[str, int]:
    """Take in what people chose elsewhere, as an import does: a row proves what it proves.

    A yes without published notice, time, method and proof is unknown, and is counted.
    """
    batch = Batch(2, len(rows), list(rows), [])
    report = preferences.import_consents(opened.desk, [batch], crypto.sha256(body))
    return dict(sorted(report.outcomes.items()))


def sync_in(opened: Workspace, file: Path, actor: Actor) -> Taken:
    """Take in a CSV of a mail tool: who stopped, and whom it calls subscribed.

    A row says `status`: unsubscribed, complained, bounced or cleaned narrow at once. Subscribed
    proves nothing by itself: it is taken as an import takes a yes, and counted.

    Raises:
        InvalidInput: It does not read, or has no column status.
    """
    found, raw = read_rows(file)
    taken = Taken()
    stops, chosen = [], []
    for number, row in enumerate(found):
        status = row.get("status", "").strip().lower()
        if status in _STOPPED:
            stops.append(_stop_row(row, _STOPPED[status]))
        elif status in _SAID:
            chosen.append(_consent_row(number, row))
        else:
            taken.outcomes["rejected"] += 1
            taken.rejected.append(number)
    done = take_stops(opened, stops, f"sync:{file.stem}"[:60])
    taken.outcomes += done.outcomes
    taken.rejected += done.rejected
    if chosen:
        taken.outcomes.update(take_consents(opened, chosen, raw))
    counts = dict(taken.outcomes)
    acted(opened, "in", "received", counts, actor, crypto.sha256(raw).hex())
    opened.sign()
    return taken


_STOPPED = {
    "unsubscribed": "unsubscribe",
    "unsubscribe": "unsubscribe",
    "opted_out": "unsubscribe",
    "complained": "complaint",
    "complaint": "complaint",
    "spam": "complaint",
    "bounced": "hard_bounce",
    "cleaned": "hard_bounce",
    "objected": "objection",
}
_SAID = frozenset({"subscribed", "given", "opted_in"})


def _stop_row(row: dict[str, str], reason: str) -> StopRow:
    return StopRow(
        person=row.get("person", ""),
        address=row.get("email", "") or row.get("address", ""),
        channel=row.get("channel", "") or "email",
        purpose=row.get("purpose", ""),
        reason=reason,
        at=row.get("at", ""),
    )


def _consent_row(number: int, row: dict[str, str]) -> ConsentRow:
    at = row.get("at", "")
    with_time: Instant | None = None
    with suppress(InvalidInput):
        with_time = from_zulu(at) if at else None
    return ConsentRow(
        line=number + 2,
        external_id=row.get("person", ""),
        purpose=row.get("purpose", ""),
        status="given",
        channels=(row.get("channel", "") or "email",),
        occurred_at=with_time,
        notice=row.get("notice", ""),
        method=row.get("method", ""),
        proof=row.get("proof", ""),
        given_by="self",
        idempotency_key=row.get("key", ""),
    )
