"""Preferences: what a person agreed to, refused, withdrew or objected to, and how they say it.

A restriction (withdrawal, objection, suppression) is journalled before it is answered and binds
the very next decision. An import books what its row proves and no more.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress as suppress_fault
from dataclasses import dataclass, replace

import msgspec

from troth import crypto
from troth.engines import contact as addresses
from troth.engines.intake import (
    Batch,
    ConsentRow,
    Finding,
    ImportReport,
    RegistryFile,
    RegistryRow,
    SuppressionRow,
)
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import consent, events, restrictions
from troth.kernel.desk import SYSTEM, Desk, put_pointer
from troth.kernel.facts import House
from troth.kernel.house import notices_by_purpose
from troth.kernel.vault import lp
from troth.ports import Transaction, View
from troth.terms import (
    DAY,
    DENYING,
    GRANTING,
    SECOND,
    Act,
    Actor,
    Block,
    Channel,
    ConsentStatus,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Prepared,
    Role,
    Suppressed,
    from_zulu,
    zulu,
)

PROGRESS = "preferences.import"
KEYS = "preferences.key"
TOKENS = "preferences.token"
LISTED = "people.registry"
MAY_RECORD = frozenset({Role.PERSON, Role.SYSTEM, Role.SUPPORT, Role.OFFICER})
"""Whoever mails or sells does not write down who agreed to it."""
TRIES = 20
"""How often an act is looked at again because others wrote in between."""
TOKEN_BYTES = 16
FUTURE_SLACK = 300 * SECOND
LIFTED_BY_CONSENT = frozenset({"unsubscribe", "objection"})

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """One act of a person on one purpose, as a form, a mail header or a member of staff passes it.

    Attributes:
        channels: Named channels; empty for a purpose without one; ("*",) only to stop.
        notice: `name@version` shown; needed to grant.
        method: checkbox, button, one_click, paper, call_recording …; needed to grant.
        proof: Reference to what proves it; needed to grant.
        level: For `personalise`: the level chosen, 0 to 5.
        occurred_at: When it happened, if not now.
    """

    status: ConsentStatus
    purpose: str
    channels: tuple[str, ...] = ()
    notice: str = ""
    method: str = ""
    proof: str = ""
    categories: tuple[str, ...] = ()
    level: int | None = None
    given_by: str = "self"
    occurred_at: Instant | None = None


def record_choice(desk: Desk, person: PersonId, choice: Choice, actor: Actor) -> list[Prepared]:
    """Record one act; it binds the next decision. Restrictions are journalled before returning.

    Repeating it records it again (each act is its own event); use an idempotency key at the door.

    Raises:
        NotFound: Nothing is held under this id.
        InvalidInput: The purpose is not published, or a grant lacks notice, method or proof, or
            names a channel the purpose does not have. Nothing was recorded.
        Shredded: The person was erased.
    """
    if actor.role not in MAY_RECORD:
        raise InvalidInput(
            "this role may not record what a person chose", "ask the privacy officer"
        )
    for _ in range(TRIES):
        with suppress_fault(Conflict):  # something was published meanwhile: look again
            prepared = _record_once(desk, person, choice, actor)
            if prepared is not None:
                if choice.status is ConsentStatus.OBJECTED:
                    _bind_address(desk, person, choice.purpose, actor)
                return prepared
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _record_once(
    desk: Desk, person: PersonId, choice: Choice, actor: Actor
) -> list[Prepared] | None:
    """Look, decide, book, journal; None when the person's head moved meanwhile."""
    with desk.store.look() as view:
        found = view.gather([person], Channel.EMAIL)
        if not found:
            raise NotFound("nothing is held under this id")
        house = desk.house(view)
        payload = _payload(choice, house, view)
        _refuse_level(choice, found[0].record.level)
        contact = found[0].contact
        lifted = _lifted(choice, house, found[0], view.now) if contact else []
        ended = [
            events.SuppressionLifted(b.reason, b.scope, "consent", b.value or None) for b in lifted
        ]
        prepared = desk.scribe.prepare(person, found[0].head, [payload, *ended], actor, view.now)
    with desk.store.book(house.version) as tx:
        if tx.append(prepared):
            return None
        if contact is not None:
            for block in lifted:
                tx.drop_block(Suppressed(contact.sup, block))
        seq = tx.size - len(prepared)
    line = restrictions.line(person, payload, seq)
    desk.journal.note_all([line] if line else [])
    return prepared


def _bind_address(desk: Desk, person: PersonId, purpose: str, actor: Actor) -> None:
    """Put an objection on the list of the person's addresses, so that no other id escapes it."""
    for channel in Channel:
        with desk.store.look() as view:
            found = view.gather([person], channel)
            house, now = desk.house(view), view.now
        if not found or found[0].contact is None or purpose not in house.purposes:
            continue
        held = consent.resolve(
            found[0].record, house.purposes[purpose], channel, now, house.purposes
        )
        if held.status is ConsentStatus.OBJECTED:
            block = Block("objection", "purpose", purpose, since=now)
            contact = found[0].contact
            suppress_point(desk, channel, contact.bi, contact.sup, block, "objection", actor)


def _lifted(choice: Choice, house: House, found: Gathered, now: Instant) -> list[Block]:
    """Only the person's own proven grant lifts an unsubscribe or objection, on its purpose alone.

    A grant from before the suppression or an own no, one still to be confirmed, or one of somebody
    who may not give it lifts nothing.
    """
    if choice.status not in GRANTING or choice.given_by != "self":
        return []
    given = now if choice.occurred_at is None else min(choice.occurred_at, now)
    act = Act(choice.status, given, now, found.head.n + 1)
    after = consent.apply_consent(
        found.record, kind=choice.status, purpose=choice.purpose, channels=choice.channels, act=act
    )
    purpose, every = house.purposes[choice.purpose], house.purposes
    if not any(
        consent.resolve(after, purpose, channel, now, every).status in GRANTING
        for channel in choice.channels
    ):
        return []
    return [
        b
        for b in found.blocks
        if b.reason in LIFTED_BY_CONSENT
        and b.scope == "purpose"
        and b.value == choice.purpose
        and b.since <= given
    ]


def _payload(choice: Choice, house: House, view: View) -> events.ConsentAct:
    purpose = house.purposes.get(choice.purpose)
    if purpose is None:
        raise InvalidInput("no such purpose is published", "publish it, or name another")
    occurred = view.now if choice.occurred_at is None else choice.occurred_at
    until: str | None = None
    if choice.status in GRANTING:
        _require_proof(choice, view)
        if not set(choice.channels) <= purpose.channels:
            raise InvalidInput("the purpose does not use one of these channels")
        if purpose.consent_months:
            until = zulu(consent.months_on(occurred, purpose.consent_months))
    return events.ConsentAct(
        status=choice.status,
        purpose=choice.purpose,
        channels=choice.channels,
        notice=choice.notice or None,
        method=choice.method or None,
        proof=choice.proof or None,
        occurred_at=zulu(occurred) if choice.occurred_at is not None else None,
        until=until,
        categories=tuple(sorted(choice.categories)) or None,
        level=choice.level,
        given_by=choice.given_by,
    )


def _refuse_level(choice: Choice, held: int) -> None:
    if choice.level is None:
        return
    if choice.purpose != consent.PERSONALISE:
        raise InvalidInput(f"a level is chosen under {consent.PERSONALISE}", "leave it out")
    if choice.status not in GRANTING and 0 <= held < choice.level:
        raise InvalidInput("going up a level needs a consent", "nothing was recorded")


def _require_proof(choice: Choice, view: View) -> None:
    row = {"notice": choice.notice, "time": "now", "method": choice.method, "proof": choice.proof}
    missing = consent.missing_proof(
        row, notices_by_purpose(view.published_all("notice:")).get(choice.purpose, ())
    )
    if missing:
        raise InvalidInput(f"a consent needs its {', '.join(missing)}", "nothing was recorded")


# Imports


def done_before(view: View, kind: str, digest: bytes) -> int:
    """Return how many data rows of this very file are taken in already."""
    raw = view.row(PROGRESS, kind.encode() + digest)
    return int(raw) if raw else 0


def import_consents(
    desk: Desk,
    batches: Iterable[Batch[list[ConsentRow]]],
    digest: bytes,
    progress: Progress = lambda _done: None,
) -> ImportReport:
    """Take in acts; repeatable and resumable. Never lifts a suppression, never widens.

    A `given` without each of published notice, time, method and proof becomes `imported`, which
    is unknown, and is counted. A yes dated after now waits (`future`); a no binds at once. Rows of
    people nobody knows are counted, not kept. While any row waits, a repeat of the file begins at
    its batch: each act is taken in once, whoever is known by then.
    """
    report, whole = ImportReport(), True
    for batch in batches:
        report.add(batch)
        left = sum(report.outcomes[outcome] for outcome in _WAITING)
        told = _read_acts(desk, batch, report)
        whole = whole and left == sum(report.outcomes[outcome] for outcome in _WAITING)
        _take_consents(desk, told, b"consents" + digest, batch.done if whole else None)
        progress(batch.done)
    desk.record_house(
        events.ImportFinished("consents", digest.hex(), dict(sorted(report.outcomes.items()))),
        SYSTEM,
    )
    return report


_WAITING = ("future", "unknown_person")
_Acts = dict[PersonId, list[tuple[ConsentRow, events.ConsentAct]]]


def _read_acts(desk: Desk, batch: Batch[list[ConsentRow]], report: ImportReport) -> _Acts:
    acts: _Acts = {}
    with desk.store.look() as view:
        house = desk.house(view)
        notices = notices_by_purpose(view.published_all("notice:"))
        for row in batch.rows:
            person = desk.find(view, row.external_id)
            if person is None:
                report.outcomes["unknown_person"] += 1
            elif (act := _read_act(row, house, notices, view.now, report)) is not None:
                acts.setdefault(person, []).append((row, act))
    return acts


def _take_consents(desk: Desk, acts: _Acts, cursor: bytes, done: int | None) -> None:
    """Book what was read, and the cursor with it unless rows before it still wait (None)."""
    while True:
        with desk.store.look() as view:
            house = desk.house(view)
            known = {g.person: g for g in view.gather(list(acts), None) if not g.record.erasing}
            fresh = {p: _fresh(view, p, acts[p], g.record.level) for p, g in known.items()}
            prepared: list[Prepared] = []
            for person, rows in fresh.items():
                said = [act for _, act in rows]
                head = known[person].head
                prepared += desk.scribe.prepare(person, head, said, SYSTEM, view.now)
        lines: list[restrictions.Line] = []
        with desk.store.book() as tx:
            if tx.house_version != house.version:
                continue  # something was published meanwhile: look again
            start = tx.size
            moved = tx.append(prepared)
            if not moved:
                lines = _restrictions(prepared, start)
                for person, rows in fresh.items():
                    _keep_keys(tx, person, rows)
                if done is not None:
                    tx.put_row(PROGRESS, cursor, str(done).encode())
            else:
                for person in fresh.keys() - moved:
                    _keep_keys(tx, person, fresh[person])
        desk.journal.note_all(
            lines or _restrictions([p for p in prepared if p.person not in moved], start)
        )
        if not moved:
            return
        acts = {p: acts[p] for p in moved}


_Told = Sequence[tuple[ConsentRow, events.ConsentAct]]


def _keep_keys(tx: Transaction, person: PersonId, rows: _Told) -> None:
    for row, _ in rows:
        put_pointer(tx, person, KEYS, _row_key(person, row), b"1")


def _row_key(person: PersonId, row: ConsentRow) -> bytes:
    """Name an act of one person: who was erased and came back has none yet.

    The status is part of it, so that a key used again by mistake never swallows a withdrawal.
    """
    told = (
        row.idempotency_key
        or msgspec.json.encode((row.purpose, row.channels, row.occurred_at, row.level)).decode()
    )
    return crypto.sha256(lp(person, row.status.encode(), told.encode()))[:16]


def _fresh(view: View, person: PersonId, rows: _Told, level: int) -> _Told:
    """Leave out acts taken in before, by an earlier file or an earlier row of this one.

    What is no yes may name a level, but none above those held and named beside it.
    """
    new: dict[bytes, tuple[ConsentRow, events.ConsentAct]] = {}
    for told in rows:
        key = _row_key(person, told[0])
        if view.row(KEYS, key) is None:
            new.setdefault(key, told)
    named = [act.level for _, act in new.values() if act.level is not None]
    top = min([*named, *([level] if level >= 0 else [])], default=0)
    return [(row, _under(act, top)) for row, act in new.values()]


def _under(act: events.ConsentAct, top: int) -> events.ConsentAct:
    if act.status in GRANTING or act.level is None or act.level <= top:
        return act
    return replace(act, level=None)


def _restrictions(prepared: Sequence[Prepared], start: int) -> list[restrictions.Line]:
    lines = (restrictions.line(p.person, p.payload, start + i) for i, p in enumerate(prepared))
    return [line for line in lines if line is not None]


def _read_act(
    row: ConsentRow,
    house: House,
    notices: Mapping[str, frozenset[str]],
    now: Instant,
    report: ImportReport,
) -> events.ConsentAct | None:
    purpose = house.purposes.get(row.purpose)
    if purpose is None:
        report.note([Finding(row.line, "word_unknown", "purpose")])
        report.outcomes["rejected"] += 1
        return None
    status, occurred = ConsentStatus(row.status), row.occurred_at
    if occurred is not None and occurred > now + FUTURE_SLACK:
        if status not in DENYING:
            report.outcomes["future"] += 1
            return None
        occurred = None  # a no by a clock ahead of ours binds from its recording
    missing: tuple[str, ...] = ()
    if status in GRANTING:
        told = {
            "notice": row.notice,
            "time": "told" if row.occurred_at is not None else "",
            "method": row.method,
            "proof": row.proof,
        }
        missing = consent.missing_proof(told, notices.get(row.purpose, frozenset()))
        if row.given_by == "signal":
            missing = (*missing, "given_by")
        if missing:
            status = ConsentStatus.IMPORTED
            report.outcomes["unproven"] += 1
    channels = row.channels or (() if row.categories or row.level >= 0 else ("*",))
    if status in GRANTING and (channels == ("*",) or not set(channels) <= purpose.channels):
        status, missing = ConsentStatus.IMPORTED, ("channel",)
        report.outcomes["unproven"] += 1
    until: str | None = None
    if status in GRANTING and purpose.consent_months and row.occurred_at is not None:
        until = zulu(consent.months_on(row.occurred_at, purpose.consent_months))
    report.outcomes[f"act.{status}"] += 1
    return events.ConsentAct(
        status=status,
        purpose=row.purpose,
        channels=channels,
        notice=row.notice or None,
        method=row.method or None,
        proof=row.proof or None,
        occurred_at=zulu(occurred) if occurred is not None else None,
        until=until,
        categories=tuple(sorted(row.categories)) or None,
        level=_level(row, missing),
        given_by=row.given_by or "self",
        confirmed_at=_confirmed(row, now),
        source="import",
        missing=missing or None,
        key=row.idempotency_key or None,
    )


def _level(row: ConsentRow, missing: tuple[str, ...]) -> int | None:
    """Take a level under its one purpose; unproven, only the one at which nothing is sent."""
    if row.level < 0 or row.purpose != consent.PERSONALISE or (missing and row.level):
        return None
    return row.level


def _confirmed(row: ConsentRow, now: Instant) -> str | None:
    """Take a confirmation; one that lies ahead has not happened."""
    if row.confirmed_at is None or row.confirmed_at > now + FUTURE_SLACK:
        return None
    return zulu(row.confirmed_at)


def suppress(  # noqa: PLR0913 - an address, its block and where it comes from
    desk: Desk, channel: Channel, text: str, block: Block, source: str, actor: Actor = SYSTEM
) -> int:
    """Put an address on the suppression list; return how many known people hold it.

    Everybody who holds it gets an event first; the list itself keeps only a MAC. Repeating it
    changes nothing.

    Raises:
        InvalidInput: The address does not read.
    """
    normalised = addresses.normalise(channel, text)
    point = desk.contact(channel, normalised, addresses.NORMALISER)
    return suppress_point(desk, channel, point.bi, point.sup, block, source, actor)


def suppress_point(  # noqa: PLR0913 - both MACs, since gather and search use different keys
    desk: Desk,
    channel: Channel,
    bi: bytes,
    sup: bytes,
    block: Block,
    source: str,
    actor: Actor,
) -> int:
    """Suppress by MAC; see `suppress`."""
    left: frozenset[PersonId] | None = None
    while True:
        with desk.store.look() as view:
            found = view.gather(view.find(channel, bi), channel)
            holders = [g for g in found if not g.record.erasing]
            known = view.blocks([sup]).get(sup, ())
            if left is None and any(_covers(held, block) for held in known):
                return len(holders)
            told = [g for g in holders if left is None or g.person in left]
            said = events.SuppressionAdded(
                reason=block.reason,
                scope=block.scope,
                source=source,
                value=block.value or None,
                until=zulu(Instant(block.until)) if block.until else None,
                occurred_at=zulu(block.since) if block.since else None,
            )
            prepared = [
                p
                for g in told
                for p in desk.scribe.prepare(g.person, g.head, [said], actor, view.now)
            ]
            if not prepared:  # no event can make a follower write the line after a crash
                desk.journal.note_all([restrictions.suppressed(sup, block, view.log.size)])
        with desk.store.book() as tx:
            start = tx.size
            moved = tx.append(prepared)
            tx.put_block(Suppressed(sup, block))
        seqs = range(start, start + sum(p.person not in moved for p in prepared))
        desk.journal.note_all([restrictions.suppressed(sup, block, seq) for seq in seqs])
        if not moved:
            return len(holders)
        left = moved


def _covers(held: Block, block: Block) -> bool:
    """Tell whether a suppression on the list says all that another one would, and as long."""
    alike = (held.reason, held.scope, held.value) == (block.reason, block.scope, block.value)
    return alike and (not held.until or 0 < block.until <= held.until)


def import_suppressions(
    desk: Desk,
    batches: Iterable[Batch[list[SuppressionRow]]],
    digest: bytes,
    progress: Progress = lambda _done: None,
) -> ImportReport:
    """Take in a do-not-contact list; a row without reason or time suppresses all the same."""
    report = ImportReport()
    for batch in batches:
        report.add(batch)
        for row in batch.rows:
            since = row.since if row.since is not None else Instant(0)
            block = Block(row.reason or "unsubscribe", "all", "", since)
            held = suppress(desk, Channel.EMAIL, row.email, block, row.source or "import")
            report.outcomes["meets_somebody" if held else "meets_nobody"] += 1
        progress(batch.done)
    desk.record_house(
        events.ImportFinished("suppressions", digest.hex(), dict(sorted(report.outcomes.items()))),
        SYSTEM,
    )
    return report


def apply_registry(  # noqa: PLR0913 - a file and where it applies
    desk: Desk,
    registry: str,
    file: RegistryFile,
    batches: Iterable[Batch[list[RegistryRow]]],
    digest: bytes,
    listing: Callable[[bytes], bytes],
) -> int:
    """Apply an opt-out registry file; return how many known addresses it blocks.

    Who left the registry since the last file is free of its block again: the registry is its own
    source. A file older than one applied before frees nobody. Addresses that arrive later meet the
    kept MACs. A file without date, dated ahead of now, or of a scheme not
    known here, is published as unusable: marketing under this registry stays refused.

    Args:
        desk: The workspace.
        registry: Its name, such as ZA.
        file: What the file says of itself.
        batches: The hashes.
        digest: SHA-256 of the file.
        listing: From a public hash to the MAC it is kept under.

    Raises:
        InvalidInput: The name is not one word.
    """
    if registry.split() != [registry]:
        raise InvalidInput("a registry's name is one word", "write it like ZA")
    with desk.store.look() as view:
        rows = _all_rows(view, LISTED, b"l")
        before = {k[1:] for k, told in rows if registry in told.decode().split()}
        latest, now = _newest_file(view, registry), view.now
    usable = file.scheme in addresses.REGISTRY_SCHEMES and 0 < (file.as_of or 0) <= now
    keys = {listing(row.digest) for batch in batches for row in batch.rows} if usable else set()
    for key in sorted(keys - before):
        _list_one(desk, key, registry, listed=True)
    for key in sorted(before - keys) if usable and latest <= (file.as_of or 0) else ():
        _list_one(desk, key, registry, listed=False)
    with desk.store.look() as view:
        blocked = sum(1 for key in keys if view.row(LISTED, b"p" + key) is not None)
    state = {
        "as_of": zulu(file.as_of) if file.as_of is not None else None,
        "scheme": file.scheme,
        "usable": usable,
        "count": len(keys),
    }
    said = events.RegistryApplied(
        registry, digest.hex(), file.scheme, str(state["as_of"] or ""), len(keys)
    )
    desk.record_house(said, SYSTEM)
    with desk.store.book() as tx:
        tx.publish(f"registry:{registry}", digest.hex(), events.canonical(state))
    return blocked


def _newest_file(view: View, registry: str) -> Instant:
    """Return the newest date of a usable file of a registry applied so far, 0 for none."""
    name = f"registry:{registry}"
    states = [msgspec.json.decode(p.data) for p in view.published_all(name) if p.name == name]
    return max((from_zulu(s["as_of"]) for s in states if s["usable"]), default=Instant(0))


def _all_rows(view: View, table: str, prefix: bytes) -> Iterable[tuple[bytes, bytes]]:
    after = b""
    while rows := view.rows(table, prefix, after, 5_000):
        yield from rows
        after = rows[-1][0]


def _list_one(desk: Desk, key: bytes, registry: str, *, listed: bool) -> None:
    """Put one MAC on or off the list kept of a registry, and block or free whose address it is.

    An address that another registry lists as well stays blocked.
    """
    while True:
        with desk.store.look() as view:
            held = (view.row(LISTED, b"l" + key) or b"").decode().split()
            names = sorted({*held, registry} if listed else {*held} - {registry})
            sup = view.row(LISTED, b"p" + key)
            people = view.holders(sup) if sup and bool(held) is not bool(names) else []
            said: events.Payload = (
                events.SuppressionAdded("registry_block", "all", "registry")
                if listed
                else events.SuppressionLifted("registry_block", "all", "registry")
            )
            prepared = [
                p
                for g in view.gather(people, Channel.EMAIL)
                if not g.record.erasing
                for p in desk.scribe.prepare(g.person, g.head, [said], SYSTEM, view.now)
            ]
        with desk.store.book() as tx:
            if tx.append(prepared):
                continue
            tx.put_row(LISTED, b"l" + key, " ".join(names).encode() or None)
            if sup and names:
                tx.put_block(Suppressed(sup, Block("registry_block", since=tx.now)))
            elif sup:
                tx.drop_block(Suppressed(sup, Block("registry_block")))
        return


def waive_registry(  # noqa: PLR0913 - a decision has an author, a reason and two ends
    desk: Desk, registry: str, officer: Actor, reason: str, since: Instant, until: Instant
) -> None:
    """Record an officer's dated decision to go on with a stale registry file; ends by itself.

    It lifts `registry_stale` only, stands on the public page while it runs, and is named in each
    decision it touches.

    Raises:
        InvalidInput: Not the privacy officer, no reason, or longer than a month.
    """
    if officer.role is not Role.OFFICER or not reason.strip():
        raise InvalidInput("only the privacy officer may decide this, with a reason")
    if not since < until <= since + 31 * DAY:
        raise InvalidInput("such a decision lasts at most a month", "name an earlier end")
    told = events.RegistryWaived(registry, officer.id, reason, zulu(since), zulu(until))
    desk.record_house(told, officer)
    state = {"since": zulu(since), "until": zulu(until), "reason": reason}
    with desk.store.book() as tx:
        raw = events.canonical(state)
        published = tx.publish(f"waiver:{registry}", crypto.sha256(raw).hex(), raw)
        statement = {"type": "registry.waived", "name": published.label}
        tx.state(
            events.public_entry({**statement, "since": state["since"], "until": state["until"]})
        )


# One-click unsubscribe (RFC 8058)


def token_key(desk: Desk, token: str) -> bytes:
    """Return the MAC a token is kept under; the token itself is nowhere in the record."""
    return crypto.mac(desk.vault.keys.secret("token"), token.encode())[:TOKEN_BYTES]


def token_row(person: PersonId, purpose: str, channel: str, expires: Instant) -> bytes:
    """Write what a token opens: one person, one purpose, one channel, until `expires`."""
    return msgspec.json.encode([person.hex(), purpose, channel, expires])


@dataclass(frozen=True, slots=True)
class Stop:
    """What a token would stop."""

    person: PersonId
    purpose: str
    channel: str


def read_token(desk: Desk, token: str) -> Stop:
    """Look a token up; changes nothing.

    Raises:
        NotFound: Unknown, expired or malformed: one answer for all three.
    """
    unknown = NotFound("this link is not known or has expired", "ask for a fresh link")
    if not 16 <= len(token) <= 64 or not token.isascii():  # noqa: PLR2004
        raise unknown
    with desk.store.look() as view:
        raw = view.row(TOKENS, token_key(desk, token))
        if raw is None:
            raise unknown
        psid, purpose, channel, expires = msgspec.json.decode(raw)
        if expires <= view.now:
            raise unknown
    return Stop(PersonId(bytes.fromhex(psid)), purpose, channel)


def _stopped(desk: Desk, stop: Stop, record: PersonRecord) -> bool:
    """Tell whether this very purpose and channel is withdrawn and nothing newer opens it."""
    standing = record.standings.get(f"{stop.purpose}|{stop.channel}")
    if standing is None or standing.deny is None:
        return False
    with desk.store.look() as view:
        house, now = desk.house(view), view.now
    purpose = house.purposes.get(stop.purpose)
    if purpose is None:
        return True
    found = consent.resolve(record, purpose, stop.channel, now, house.purposes)
    return found.status in DENYING


def unsubscribe(desk: Desk, token: str) -> Stop:
    """Stop a purpose on a channel for the person and the address the mail went to, at once.

    The address is suppressed for the purpose as well, so that whoever shares the mailbox gets no
    second copy. Repeating it changes nothing more.

    Raises:
        NotFound: As `read_token`.
    """
    stop = read_token(desk, token)
    with desk.store.look() as view:
        found = view.gather([stop.person], Channel(stop.channel))
        block = Block("unsubscribe", "purpose", stop.purpose, since=view.now)
    if not found or found[0].record.erasing:
        return stop
    if not _stopped(desk, stop, found[0].record):
        choice = Choice(ConsentStatus.WITHDRAWN, stop.purpose, (stop.channel,), method="one_click")
        record_choice(desk, stop.person, choice, Actor(Role.PERSON, stop.person.hex()))
    contact = found[0].contact
    if contact is not None:
        actor = Actor(Role.PERSON, stop.person.hex())
        suppress_point(
            desk, Channel(stop.channel), contact.bi, contact.sup, block, "one_click", actor
        )
    return stop
