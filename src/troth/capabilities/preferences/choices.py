"""Record one act of one person; it binds the next decision."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress as suppress_fault
from dataclasses import dataclass, replace

from troth.capabilities.preferences import binding
from troth.capabilities.preferences.model import LIFTED_BY_CONSENT, MAY_RECORD, TRIES, Choice
from troth.capabilities.preferences.records import note_record, recorded
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import consent, events, restrictions
from troth.kernel.desk import Desk, everybody
from troth.kernel.facts import House
from troth.kernel.house import notices_by_purpose
from troth.ports import View
from troth.terms import (
    DENYING,
    GRANTING,
    Act,
    Actor,
    Block,
    Channel,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Prepared,
    Purpose,
    Suppressed,
    zulu,
)

NO_YES = "who has a mandate says no for somebody, not yes", "let the person themselves agree"
"""What is wrong with an agent's yes, and what helps."""


def record_choice(desk: Desk, person: PersonId, choice: Choice, actor: Actor) -> list[Prepared]:
    """Record one act; it binds the next decision. Restrictions are journalled before returning.

    Repeating it records it again (each act is its own event); use an idempotency key at the door.

    Raises:
        NotFound: Nothing is held under this id.
        InvalidInput: The purpose is not published, or a grant lacks notice, method or proof, or
            names a channel the purpose does not have, or an agent says it. Nothing was recorded.
        Shredded: The person was erased.
    """
    return record_choices(desk, person, [choice], actor)


def record_choices(
    desk: Desk,
    person: PersonId,
    choices: Sequence[Choice],
    actor: Actor,
    before: Sequence[events.Payload] = (),
) -> list[Prepared]:
    """Record acts of one moment together, all or none, after what led to them; as `record_choice`.

    Args:
        desk: The workspace.
        person: Who acts.
        choices: The acts, in order.
        actor: Who writes them down.
        before: What is recorded with them first, such as that a notice was shown.
    """
    if actor.role not in MAY_RECORD:
        raise InvalidInput(
            "this role may not record what a person chose", "ask the privacy officer"
        )
    due = binding.bounds(choices)
    for _ in range(TRIES):
        with suppress_fault(Conflict):  # something was published meanwhile: look again
            prepared = _record_once(desk, person, choices, actor, before)
            if prepared is not None:
                if due:
                    binding.finish(desk, person, actor)
                return prepared
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _record_once(
    desk: Desk,
    person: PersonId,
    choices: Sequence[Choice],
    actor: Actor,
    before: Sequence[events.Payload],
) -> list[Prepared] | None:
    """Look, decide, book, journal; None when the person's head moved meanwhile."""
    with desk.store.look() as view:
        found = view.gather([person], None)
        if not found:
            raise NotFound("nothing is held under this id")
        house = desk.house(view)
        acts = []
        for choice in choices:
            acts.append(recorded(desk, view, _payload(choice, house, view)))
            _refuse_level(choice, found[0].record.level)
        freed = _freed(choices, house, view, found[0])
        told = [*before, *acts, *(said for each in freed for said in each.told())]
        prepared = desk.scribe.prepare(person, found[0].head, told, actor, view.now)
        denied = any(choice.status in DENYING for choice in choices)
        sups = _addresses(view, person, choices) if denied else []
    with desk.store.book(house.version) as tx:
        if tx.append(prepared):
            return None
        for place, act in enumerate(acts, len(before)):
            note_record(tx, person, prepared[place].n, act)
        binding.note(tx, person, prepared[-1].n, binding.bounds(choices))
        for each in freed:
            tx.drop_block(Suppressed(each.sup, each.lifted))
            for block in each.instead:
                tx.put_block(Suppressed(each.sup, block))
        first = tx.size - len(prepared)
    lines = [restrictions.line(person, each.payload, first + i) for i, each in enumerate(prepared)]
    kept = [
        restrictions.suppressed(each.sup, block, first) for each in freed for block in each.instead
    ]
    noted = [restrictions.with_addresses(each, sups) for each in lines if each]
    desk.journal.note_all([*noted, *kept])
    return prepared


def _addresses(view: View, person: PersonId, choices: Sequence[Choice]) -> list[bytes]:
    """Return the codes of the person's addresses on the channels of what they say no to."""
    said = {c for choice in choices if choice.status in DENYING for c in choice.channels}
    channels = [c for c in Channel if said & {c, consent.EVERY}]
    found = [view.gather(everybody(view, person), channel) for channel in channels]
    return [each.contact.sup for page in found for each in page if each.contact]


@dataclass(frozen=True, slots=True)
class _Freed:
    """A suppression of an address that a grant lifts.

    Attributes:
        instead: What stays of one that covered more than the grant is about.
    """

    sup: bytes
    lifted: Block
    instead: tuple[Block, ...]

    def told(self) -> Iterator[events.Payload]:
        """Yield the events that say so."""
        gone = self.lifted
        yield events.SuppressionLifted(gone.reason, gone.scope, "consent", gone.value or None)
        for block in self.instead:
            yield events.SuppressionAdded(
                block.reason, block.scope, "consent", block.value,
                occurred_at=zulu(block.since) if block.since else None,
            )  # fmt: skip


def _freed(choices: Sequence[Choice], house: House, view: View, found: Gathered) -> list[_Freed]:
    """Only the person's own proven grant lifts an unsubscribe or objection, on its purpose alone.

    One on a purpose above is lifted too, and stays on everything else below that one. A grant from
    before the suppression or an own no, one still to be confirmed, or one of somebody who may not
    give it lifts nothing.
    """
    out, every = dict[tuple[bytes, Block], _Freed](), house.purposes
    for channel in Channel:
        where = view.gather([found.person], channel)[0]
        opened = [c for c in choices if _opens(c, channel, house, view.now, found)]
        if where.contact is None or not opened:
            continue
        above = {name for c in opened for name in lineage(every[c.purpose], every)}
        for block in where.blocks:
            own = block.reason in LIFTED_BY_CONSENT and block.scope == "purpose"
            given = [c for c in opened if block.value in lineage(every[c.purpose], every)]
            if own and any(_given(c, view.now) >= block.since for c in given):
                stays = tuple(
                    replace(block, value=p.name)
                    for p in every.values()
                    if p.name not in above and block.value in lineage(p, every)
                )
                sup = where.contact.sup
                out.setdefault((sup, block), _Freed(sup, block, stays))
    return list(out.values())


def _given(choice: Choice, now: Instant) -> Instant:
    return now if choice.occurred_at is None else min(choice.occurred_at, now)


def _opens(choice: Choice, channel: Channel, house: House, now: Instant, found: Gathered) -> bool:
    """Tell whether a choice would stand as a yes on a channel once it is recorded."""
    granting = choice.status in GRANTING and channel in choice.channels
    if not granting or not _own(choice, found.record):
        return False
    act = Act(
        choice.status, _given(choice, now), now, found.head.n + 1, by=choice.given_by,
        confirmed=choice.confirmed_at is not None,
    )  # fmt: skip
    after = consent.apply_consent(
        found.record, kind=choice.status, purpose=choice.purpose, channels=choice.channels, act=act
    )
    purpose = house.purposes[choice.purpose]
    return consent.resolve(after, purpose, channel, now, house.purposes).status in GRANTING


_VOICES = {"minor": "competent_person", "juristic": "contact"}


def _own(choice: Choice, record: PersonRecord) -> bool:
    """Tell whether the act is the person's own word, or of who speaks for them by law."""
    voices = {_VOICES.get(record.subject), _VOICES.get(record.age)}
    return choice.given_by == "self" or choice.given_by in voices


def lineage(purpose: Purpose, purposes: Mapping[str, Purpose]) -> tuple[str, ...]:
    """Return the names of a purpose and of all above it; a circle ends."""
    names = [purpose.name]
    while (above := purposes[names[-1]].parent) in purposes and above not in names:
        names.append(above)
    return tuple(names)


def _payload(choice: Choice, house: House, view: View) -> events.ConsentAct:
    purpose = house.purposes.get(choice.purpose)
    if purpose is None:
        raise InvalidInput("no such purpose is published", "publish it, or name another")
    occurred = view.now if choice.occurred_at is None else choice.occurred_at
    until: str | None = None
    if choice.status in GRANTING:
        if choice.given_by == consent.AGENT:
            raise InvalidInput(*NO_YES)
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
        language=choice.language or None,
        confirmed_at=None if choice.confirmed_at is None else zulu(choice.confirmed_at),
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
