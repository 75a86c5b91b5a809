"""Addresses never to be contacted: one by one, from a list, from an opt-out registry."""

from collections.abc import Callable, Iterable

import msgspec

from troth import crypto
from troth.capabilities.preferences.model import (
    LISTED,
    Progress,
)
from troth.engines import contact as addresses
from troth.engines.intake import (
    Batch,
    ImportReport,
    RegistryFile,
    RegistryRow,
    SuppressionRow,
)
from troth.errors import InvalidInput
from troth.kernel import events, restrictions
from troth.kernel.desk import SYSTEM, Desk
from troth.ports import View
from troth.terms import (
    DAY,
    Actor,
    Block,
    Channel,
    Instant,
    PersonId,
    Role,
    Suppressed,
    from_zulu,
    zulu,
)


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
    met = suppress_point(desk, channel, point.bi, point.sup, block, source, actor)
    if block.reason != "hard_bounce":  # which speaks of the address alone
        _suppress_keepers(desk, channel, point.bi, block, source, actor)
    return met


def _suppress_keepers(  # noqa: PLR0913 - as `suppress`
    desk: Desk, channel: Channel, bi: bytes, block: Block, source: str, actor: Actor
) -> None:
    """Suppress the address in use where this one belongs to an id merged into another."""
    with desk.store.look() as view:
        holders = set(view.find(channel, bi))
        keepers = {desk.keeper(view, each) for each in holders} - holders
        used = [g.contact for g in view.gather(sorted(keepers), channel) if g.contact]
    for contact in used:
        suppress_point(desk, channel, contact.bi, contact.sup, block, source, actor)


def suppress_point(  # noqa: PLR0913 - both MACs, since gather and search use different keys
    desk: Desk,
    channel: Channel,
    bi: bytes,
    sup: bytes,
    block: Block,
    source: str,
    actor: Actor,
) -> int:
    """Suppress by MAC; see `suppress`. Where `bi` is b"", `sup` finds who holds the address."""
    left: frozenset[PersonId] | None = None
    while True:
        with desk.store.look() as view:
            at_it = view.find(channel, bi) if bi else view.holders(sup)
            found = view.gather(at_it, channel)
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
    keys: set[bytes] = set()
    for batch in batches if usable else ():
        usable = usable and not any(each.outcome == "rejected" for each in batch.findings)
        keys |= {listing(row.digest) for row in batch.rows}
    if not usable:  # a file that does not read whole frees nobody and refreshes nothing
        keys = set()
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
    with desk.store.look() as view:
        told = {"registry": registry, "digest": digest.hex()}
        desk.journal.note(restrictions.REGISTRY, told, view.log.size)
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
