"""Record one act of one person; it binds the next decision."""

from contextlib import suppress as suppress_fault

from troth.capabilities.preferences.model import LIFTED_BY_CONSENT, MAY_RECORD, TRIES, Choice
from troth.capabilities.preferences.suppressions import suppress_point
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import consent, events, restrictions
from troth.kernel.desk import Desk
from troth.kernel.facts import House
from troth.kernel.house import notices_by_purpose
from troth.ports import View
from troth.terms import (
    GRANTING,
    Act,
    Actor,
    Block,
    Channel,
    ConsentStatus,
    Gathered,
    Instant,
    PersonId,
    Prepared,
    Suppressed,
    zulu,
)


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
        source=choice.source or None,
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
    published = notices_by_purpose(view.published_all("notice:")).get(choice.purpose, frozenset())
    missing = consent.missing_proof(row, published)
    if "notice" in missing and choice.notice.strip():
        known = ", ".join(sorted(published, key=_by_number))
        raise InvalidInput(
            "no such version of a notice is published for this purpose",
            f"name one of {known}" if known else "publish a notice that speaks of it",
        )
    if missing:
        raise InvalidInput(f"a consent needs its {', '.join(missing)}", "nothing was recorded")


def _by_number(label: str) -> tuple[str, int]:
    name, _, number = label.partition("@")
    return name, int(number)
