"""What is learnt of one person after they came in: dealings, addresses, who may act for them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from troth.capabilities.people.customers import LISTED, registry_key
from troth.engines import contact as addresses
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import audience, events, restrictions
from troth.kernel.desk import Desk, append_together, drop_pointer, put_pointer
from troth.ports import Transaction, View
from troth.terms import (
    DAY,
    Actor,
    Block,
    Channel,
    ContactPoint,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Role,
    Suppressed,
    address_field,
    address_of,
    instant,
    zulu,
)

LINKS = "people.link"
"""Key is who is acted for, then who acts; the value says as what, and behind a blank until when.

Gone with either's erasure.
"""
Relation = Literal["competent_person", "contact_of", "agent"]
RELATIONS: tuple[Relation, ...] = ("competent_person", "contact_of", "agent")
MAY_TELL = frozenset({Role.SYSTEM, Role.SUPPORT, Role.OFFICER})
"""Who writes down a dealing, or who acts for whom; whoever mails or sells does not."""
MAY_MOVE = MAY_TELL | {Role.PERSON}
"""Who changes an address: they themselves, too."""
_OF_THE_PERSON = frozenset({"unsubscribe", "objection", "complaint", "legal_hold"})
"""Suppressions that are somebody's no and go along to a new address; a bounce is the address's."""


@dataclass(frozen=True, slots=True)
class Dealing:
    """A dated dealing with a person, from which the law may follow (see `terms.Relation`)."""

    kind: str
    at: Instant
    brand: str = ""
    goods: str = ""
    collected: bool = False
    objection_offered: bool = False
    until: int = 0


def relate(desk: Desk, person: PersonId, dealing: Dealing, source: str, actor: Actor) -> None:
    """Record a sale, inquiry, contract, donation or membership; nothing is agreed by it.

    Raises:
        InvalidInput: No such kind, or it lies in the future; or this role may not.
        Shredded: The person was erased.
    """
    _require(actor, MAY_TELL)
    if dealing.kind not in audience.RELATION_KINDS:
        kinds = ", ".join(sorted(audience.RELATION_KINDS))
        raise InvalidInput("there is no such kind of dealing", f"use one of {kinds}")
    with desk.store.look() as view:
        if dealing.at > view.now:
            raise InvalidInput("this dealing lies in the future", "record it when it happened")
    said = events.RelationRecorded(
        kind=dealing.kind,
        occurred_at=zulu(dealing.at),
        source=source,
        brand=dealing.brand or None,
        goods=dealing.goods or None,
        collected=dealing.collected,
        objection_offered=dealing.objection_offered,
        until=zulu(Instant(dealing.until)) if dealing.until else None,
    )
    desk.record(person, [said], actor)


def change_address(  # noqa: PLR0913 - whose, which, how it came
    desk: Desk,
    person: PersonId,
    channel: Channel,
    text: str,
    source: str,
    actor: Actor,
    region: str = "",
) -> None:
    """Put a new address in the place of the one on a channel, or add the first.

    The old address keeps every suppression it had, for whoever holds it; those that are the
    person's own no are put on the new one too, in the same commit: a no never gets lost by
    moving. An agreement stays the person's; where a purpose wants a confirmed address, the new one
    is not.

    Raises:
        InvalidInput: No address of that channel.
        NotFound: Nothing is held under this id.
        Conflict: It is the address they have already, or they are being erased.
        Shredded: The person was erased.
    """
    _require(actor, MAY_MOVE)
    channel = address_of(channel)
    normalised = addresses.normalise(channel, text, region)
    point = desk.contact(channel, normalised, addresses.NORMALISER)
    field_id = address_field(channel)
    while True:
        with desk.store.look() as view:
            found = _held(view, person, channel)
            old = found.contact
            if old is not None and old.sup == point.sup:
                raise Conflict("this is the address they have already")
            rows = [r for r in view.sealed([person], [field_id]).get(person, ()) if not r.row]
            version = max((r.version for r in rows), default=0) + 1
            told: list[events.Payload] = []
            if old is not None:
                told.append(events.ContactEnded(channel, field_id, 0, "changed", source))
            told.append(
                events.ContactAdded(channel, field_id, 0, version, addresses.NORMALISER, source)
            )
            told.append(events.ValuesSealed({field_id: version}, source))
            blocks = [b for b in found.blocks if b.reason in _OF_THE_PERSON]
            told += [
                events.SuppressionAdded(b.reason, b.scope, "changed address", b.value or None)
                for b in blocks
            ]
            prepared = desk.scribe.prepare(person, found.head, told, actor, view.now)
            sealed = desk.vault.seal_values(
                person, {field_id: normalised}, {field_id: version}, view.now
            )
            now, house = view.now, view.house_version
        with desk.store.book(house) as tx:
            if tx.append(prepared):
                continue
            tx.put_sealed(person, sealed)
            tx.put_contact(person, point)
            for block in blocks:
                since = block.since or now
                tx.put_block(
                    Suppressed(point.sup, Block(block.reason, block.scope, block.value, since))
                )
            if channel is Channel.EMAIL:
                _list(desk, tx, person, point, normalised)
            return


def _require(actor: Actor, roles: frozenset[Role]) -> None:
    if actor.role not in roles:
        raise InvalidInput("this role may not write this down", "ask support")


def _held(view: View, person: PersonId, channel: Channel | None) -> Gathered:
    found = view.gather([person], channel)
    if not found:
        raise NotFound("nothing is held under this id")
    if found[0].record.erasing:
        raise Conflict("this person is being erased")
    return found[0]


def _list(
    desk: Desk, tx: Transaction, person: PersonId, point: ContactPoint, normalised: str
) -> None:
    """Meet the opt-out registry with the new address, as an import does."""
    hashed = addresses.digest_for_registry("sha256-lower-trim", normalised)
    listing = registry_key(desk, hashed)
    put_pointer(tx, person, LISTED, b"p" + listing, point.sup)
    if tx.row(LISTED, b"l" + listing) is not None:
        tx.put_block(Suppressed(point.sup, Block("registry_block", since=tx.now)))


@dataclass(frozen=True, slots=True)
class Link:
    """Somebody who acts for somebody.

    Attributes:
        mine: The person looked at is the one acted for.
        until: It ends by itself at this instant; 0 open.
    """

    other: PersonId
    relation: str
    mine: bool
    until: int = 0


def of_age(birth_year: int) -> Instant:
    """Return when whoever was born in a year is 18 for sure: when the year of it is over.

    >>> zulu(of_age(2010))
    '2029-01-01T00:00:00Z'
    """
    return instant(datetime(birth_year + _OF_AGE + 1, 1, 1, tzinfo=UTC))


_OF_AGE = 18
"""Who decides for a child does so no longer than this, wherever the child lives."""


def link(  # noqa: PLR0913 - who, for whom, as what, how it came
    desk: Desk,
    person: PersonId,
    acts: PersonId,
    relation: Relation,
    source: str,
    actor: Actor,
    until: int = 0,
) -> None:
    """Record that `acts` may act for `person`: a child's guardian, a company's contact, an agent.

    It opens nothing by itself: what a guardian agrees to is an act of its own, said to be theirs.
    With `until` it ends at that instant by itself; of a child whose year of birth is known pass
    `of_age`. Linking two again replaces what stood between them.

    Raises:
        InvalidInput: Both are one, the relation is none, or it would be over already.
        NotFound: One of them is unknown.
        Conflict: One is being erased.
        Shredded: One was erased.
    """
    _require(actor, MAY_TELL)
    if relation not in RELATIONS:
        raise InvalidInput("there is no such relation", f"use one of {', '.join(RELATIONS)}")
    if person == acts:
        raise InvalidInput("nobody needs a link to act for themselves", "name two people")
    with desk.store.look() as view:
        if until and until <= view.now:
            raise InvalidInput("this mandate would be over already", "they decide for themselves")
    _record_link(desk, person, acts, Link(acts, relation, mine=True, until=until), source, actor)


def unlink(desk: Desk, person: PersonId, acts: PersonId, source: str, actor: Actor) -> None:
    """End it: from now on nothing they say counts for the other.

    Raises:
        NotFound: They are not linked.
    """
    _require(actor, MAY_TELL)
    with desk.store.look() as view:
        known = {each.other: each for each in links(view, person) if each.mine}
    if acts not in known:
        raise NotFound("these two are not linked")
    _record_link(desk, person, acts, known[acts], source, actor, ended=True)


def _record_link(  # noqa: PLR0913 - as `link`
    desk: Desk,
    person: PersonId,
    acts: PersonId,
    told: Link,
    source: str,
    actor: Actor,
    *,
    ended: bool = False,
) -> None:
    until = zulu(Instant(told.until)) if told.until and not ended else None
    value = f"{told.relation} {told.until}" if told.until else told.relation
    while True:
        with desk.store.look() as view:
            one, other = _held(view, person, None), _held(view, acts, None)
            said = events.PersonLinked(acts.hex(), told.relation, source, ended, until)
            back = events.PersonLinked(person.hex(), f"{told.relation}_for", source, ended, until)
            prepared = [
                *desk.scribe.prepare(person, one.head, [said], actor, view.now),
                *desk.scribe.prepare(acts, other.head, [back], actor, view.now),
            ]
        with desk.store.book() as tx:
            if not append_together(tx, prepared):
                continue
            for key in (b"m" + person + acts, b"o" + acts + person):
                for whose in (person, acts):
                    if ended:
                        drop_pointer(tx, whose, LINKS, key)
                    else:
                        put_pointer(tx, whose, LINKS, key, value.encode())
            line = restrictions.line(person, said, tx.size - len(prepared))
        desk.journal.note_all([line] if line else [])
        return


def links(view: View, person: PersonId) -> list[Link]:
    """Return who acts for a person, and for whom they act."""
    out = []
    for side, mine in ((b"m", True), (b"o", False)):
        for key, name in view.rows(LINKS, side + person, b"", 1_000):
            other = PersonId(key[1 + len(person) :])
            relation, _, until = name.decode().partition(" ")
            out.append(Link(other, relation, mine, int(until or 0)))
    return out


def stage(record: PersonRecord, now: Instant, silent_days: int, ended_days: int) -> str:
    """Return where somebody stands: prospect, customer, lapsed, ended, or open (no known end).

    Computed from dated dealings at `now`, never stored: it changes by time alone.

    Args:
        record: The person's facts.
        now: Present instant.
        silent_days: Without a dealing for so long a customer has lapsed.
        ended_days: And after so long the relation has ended.
    """
    known = audience.Known(relations=audience.newest_relations(record))
    return audience.stage(known, now // DAY, silent_days, ended_days) or "open"
