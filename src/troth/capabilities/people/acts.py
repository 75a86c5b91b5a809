"""What is learnt of one person after they came in: dealings, addresses, who may act for them."""

from dataclasses import dataclass
from typing import Literal

from troth.capabilities.people.customers import LISTED, registry_key
from troth.engines import contact as addresses
from troth.errors import Conflict, InvalidInput, NotFound
from troth.kernel import audience, events
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
    zulu,
)

LINKS = "people.link"
"""Key is who is acted for, then who acts; the value says as what. Gone with either's erasure."""
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
    """Somebody who acts for somebody; `mine`: the person looked at is the one acted for."""

    other: PersonId
    relation: str
    mine: bool


def link(  # noqa: PLR0913 - who, for whom, as what, how it came
    desk: Desk,
    person: PersonId,
    acts: PersonId,
    relation: Relation,
    source: str,
    actor: Actor,
) -> None:
    """Record that `acts` may act for `person`: a child's guardian, a company's contact, an agent.

    It opens nothing by itself: what a guardian agrees to is an act of its own, said to be theirs.

    Raises:
        InvalidInput: Both are one, or the relation is none.
        NotFound: One of them is unknown.
        Conflict: One is being erased.
        Shredded: One was erased.
    """
    _require(actor, MAY_TELL)
    if relation not in RELATIONS:
        raise InvalidInput("there is no such relation", f"use one of {', '.join(RELATIONS)}")
    if person == acts:
        raise InvalidInput("nobody needs a link to act for themselves", "name two people")
    _record_link(desk, person, acts, relation, source, actor, held=True)


def unlink(desk: Desk, person: PersonId, acts: PersonId, source: str, actor: Actor) -> None:
    """End it: from now on nothing they say counts for the other.

    Raises:
        NotFound: They are not linked.
    """
    _require(actor, MAY_TELL)
    with desk.store.look() as view:
        known = {each.other: each.relation for each in links(view, person) if each.mine}
    if acts not in known:
        raise NotFound("these two are not linked")
    _record_link(desk, person, acts, known[acts], source, actor, held=False)


def _record_link(  # noqa: PLR0913 - as `link`
    desk: Desk,
    person: PersonId,
    acts: PersonId,
    relation: str,
    source: str,
    actor: Actor,
    *,
    held: bool,
) -> None:
    while True:
        with desk.store.look() as view:
            one, other = _held(view, person, None), _held(view, acts, None)
            ended = not held
            said = events.PersonLinked(acts.hex(), relation, source, ended)
            back = events.PersonLinked(person.hex(), f"{relation}_for", source, ended)
            prepared = [
                *desk.scribe.prepare(person, one.head, [said], actor, view.now),
                *desk.scribe.prepare(acts, other.head, [back], actor, view.now),
            ]
        with desk.store.book() as tx:
            if not append_together(tx, prepared):
                continue
            for key in (b"m" + person + acts, b"o" + acts + person):
                for whose in (person, acts):
                    if held:
                        put_pointer(tx, whose, LINKS, key, relation.encode())
                    else:
                        drop_pointer(tx, whose, LINKS, key)
            return


def links(view: View, person: PersonId) -> list[Link]:
    """Return who acts for a person, and for whom they act."""
    out = []
    for side, mine in ((b"m", True), (b"o", False)):
        for key, name in view.rows(LINKS, side + person, b"", 1_000):
            other = PersonId(key[1 + len(person) :])
            out.append(Link(other, name.decode(), mine))
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
