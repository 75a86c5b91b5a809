"""What a browser's opt-out signal does to a person it is known to belong to."""

from troth.capabilities.preferences.choices import record_choice
from troth.capabilities.preferences.model import Choice
from troth.errors import NotFound
from troth.kernel import consent
from troth.kernel.desk import Desk
from troth.terms import (
    DAY,
    Actor,
    ConsentStatus,
    Instant,
    PersonId,
    PersonRecord,
    Prepared,
    PurposeKind,
    Role,
)

SIGNAL = "signal"


def honour_signal(desk: Desk, person: PersonId) -> list[Prepared]:
    """Record that a Global Privacy Control signal came from this person: an opt-out, never a yes.

    It closes every purpose that personalises: no level above 1 stays open, and marketing neither
    profiles, personalises for nor shares this person. Their consent to be written to is another
    thing and stays. Recorded at most once a UTC day, as a browser says it with every request.

    Returns:
        What was booked; nothing when today's signal is recorded already.

    Raises:
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    with desk.store.look() as view:
        found = view.gather([person], None)
        if not found:
            raise NotFound("nothing is held under this id")
        house, now, record = desk.house(view), view.now, found[0].record
    closed = [p.name for p in house.purposes.values() if p.kind is PurposeKind.PERSONALISE]
    actor, booked = Actor(Role.PERSON, person.hex()), list[Prepared]()
    for name in sorted(closed):
        if not _told_today(record, name, now):
            booked += record_choice(desk, person, _opt_out(record, name), actor)
    return booked


def _told_today(record: PersonRecord, purpose: str, now: Instant) -> bool:
    """Tell whether today's signal is recorded and no yes came after it."""
    place = consent.key(purpose, consent.EVERY)
    deny = record.standings.get(place, consent.NOTHING_SAID).deny
    if deny is None or deny.by != SIGNAL or deny.at // DAY != now // DAY:
        return False
    grants = (
        held.grant.at for name, held in record.standings.items()
        if held.grant and name.startswith(f"{purpose}|")
    )  # fmt: skip
    return all(at <= deny.at for at in grants)


def _opt_out(record: PersonRecord, purpose: str) -> Choice:
    steps_down = purpose == consent.PERSONALISE and record.level > consent.FREE_LEVEL
    return Choice(
        ConsentStatus.OPTED_OUT,
        purpose,
        (consent.EVERY,),
        method="gpc",
        given_by=SIGNAL,
        level=consent.FREE_LEVEL if steps_down else None,
    )
