"""Taking an act back: its inverse, as an act of its own, within a day, by whoever did it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.capabilities.preferences.choices import record_choices
from troth.capabilities.preferences.model import Choice
from troth.capabilities.preferences.narrowing import (
    SOURCE,
    Yes,
    agree_together,
    choose_level,
    family,
    notice_in_force,
    set_language,
    set_preferences,
)
from troth.errors import InvalidInput, NotFound
from troth.kernel import consent, events, fold, wishes
from troth.kernel.desk import Desk, everybody
from troth.kernel.facts import House
from troth.kernel.scribe import Recorded
from troth.ports import View
from troth.terms import (
    DAY,
    DENYING,
    GRANTING,
    Actor,
    ConsentStatus,
    Instant,
    PersonId,
    PersonRecord,
    Prepared,
    Purpose,
    Wishes,
)

UNDO_FOR: Final = DAY
"""An act is taken back within a day."""


@dataclass(frozen=True, slots=True)
class Inverse:
    """What would take an act back.

    Attributes:
        act: The act; of several said in one moment the last.
        yes: Purposes and channels that would be agreed to again: each needs its notice in force.
        level: The level to go back to; None where the act chose none.
        asks: Purposes whose notice is shown first, since taking it back is a consent.
    """

    act: Recorded
    before: PersonRecord
    yes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    level: int | None = None
    asks: tuple[str, ...] = ()


def inverse(desk: Desk, view: View, person: PersonId, n: int, actor: Actor) -> Inverse:
    """Find what would take act `n` back; reads the person's chain, some ms.

    Raises:
        NotFound: There is no such act, or not of this actor.
        InvalidInput: It is older than a day, or nothing takes it back.
        Shredded: The person was erased.
    """
    chain = desk.scribe.chain(view, person)
    mine = desk.scribe.actor(actor, person)
    if not 0 < n <= len(chain) or chain[n - 1].event.actor != mine:
        raise NotFound("there is no such act of yours", "look at your receipts")
    act = chain[n - 1]
    if view.now - act.event.at > UNDO_FOR:
        raise InvalidInput("an act is taken back within a day", "choose anew instead")
    together = _together(chain, n)
    before = _as_before(desk, view, person, chain, n - max(1, len(together)))
    said = act.event.payload
    if isinstance(said, events.ConsentAct):
        return _of_consent(desk.house(view), act, together, before)
    if isinstance(said, events.PreferenceSet) or _language(said):
        return Inverse(act, before)
    raise InvalidInput("nothing takes this back", "choose anew instead")


def _language(said: events.Payload) -> bool:
    return isinstance(said, events.FactsRecorded) and said.language is not None


def _together(chain: Sequence[Recorded], n: int) -> list[events.ConsentAct]:
    """Return the acts of the very moment and actor of act `n` that lead up to it, it included."""
    out: list[events.ConsentAct] = []
    last = chain[n - 1].event
    for each in reversed(chain[:n]):
        said = each.event.payload
        alike = (each.event.at, each.event.actor) == (last.at, last.actor)
        if not alike or not isinstance(said, events.ConsentAct):
            break
        if out and (said.status, said.level) != (out[0].status, out[0].level):
            break
        out.append(said)
    return out


def _as_before(
    desk: Desk, view: View, person: PersonId, chain: Sequence[Recorded], upto: int
) -> PersonRecord:
    """Fold what stood after so many events."""
    others = {
        each.hex(): desk.scribe.chain(view, each)
        for each in everybody(view, person)
        if each != person
    }
    return fold.refold(chain[:upto], others, view.published_all("purpose:"))


def _of_consent(
    house: House, act: Recorded, saids: Sequence[events.ConsentAct], before: PersonRecord
) -> Inverse:
    said = saids[0]
    if said.purpose == consent.PERSONALISE:
        level = before.level if before.level >= 0 else consent.FREE_LEVEL
        up = said.level is None or level > said.level
        return Inverse(act, before, level=level, asks=(consent.PERSONALISE,) if up else ())
    if said.status in GRANTING:
        return Inverse(act, before)
    closing = [each for each in saids if each.status in DENYING]
    again = {
        (purpose.name, ways): None
        for each in closing
        if each.purpose in house.purposes
        for purpose in family(house, each.purpose)
        if (ways := _agreed_ways(house, purpose, each, before, act.event.at)) is not None
    }
    if not again:
        raise InvalidInput("you had not agreed to this before", "agree to it where it is listed")
    return Inverse(act, before, tuple(again), asks=tuple(dict.fromkeys(p for p, _ in again)))


def _agreed_ways(
    house: House, purpose: Purpose, said: events.ConsentAct, before: PersonRecord, at: Instant
) -> tuple[str, ...] | None:
    """Return on which channels an act closed what had been agreed to; None on none."""
    ways = [
        str(way)
        for way in (*sorted(purpose.channels),) or ("",)
        if (consent.EVERY in said.channels or way in said.channels)
        and consent.resolve(before, purpose, way, at, house.purposes).status in GRANTING
    ]
    return tuple(filter(None, ways)) if ways else None


def undo(  # noqa: PLR0913 - whose, which, who says so
    desk: Desk,
    person: PersonId,
    n: int,
    actor: Actor,
    notices: Sequence[str] = (),
    given_by: str = "self",
    language: str = "en",
) -> list[Prepared]:
    """Take act `n` back, within a day, by whoever did it: its inverse is an act of its own.

    A yes is taken back by a no. A no is taken back by a yes, to exactly what was agreed to before:
    it names the notices in force, which were shown.

    Args:
        desk: The workspace.
        person: Whose act.
        n: Its event's number.
        actor: Who takes it back.
        notices: Labels of the notices shown, where the inverse is a yes.
        given_by: As in a consent act.
        language: In which language they were shown.

    Raises:
        As `inverse`; InvalidInput also where a notice in force was not shown.
    """
    with desk.store.look() as view:
        back = inverse(desk, view, person, n, actor)
        labels = {name: notice_in_force(view, name) for name, _ in back.yes}
        level_notice = notice_in_force(view, consent.PERSONALISE)
    said = back.act.event.payload
    if not set(labels.values()) <= set(notices):
        raise InvalidInput("agreeing again needs its notice", "read it, then choose again")
    if back.yes:
        asked = [
            (Yes(p, ways, labels[p], f"undo:{n}", language), None, ()) for p, ways in back.yes
        ]
        return agree_together(desk, person, asked, actor, given_by)
    if back.level is not None:
        shown = level_notice if level_notice in notices else ""
        return choose_level(desk, person, back.level, shown, actor, given_by, language)
    if isinstance(said, events.ConsentAct):
        return _withdraw(desk, person, said, actor, given_by)
    if isinstance(said, events.PreferenceSet):
        return set_preferences(desk, person, _still(back.before.wishes, view.now), actor, given_by)
    return set_language(desk, person, back.before.language or "en", actor)


def _withdraw(
    desk: Desk, person: PersonId, said: events.ConsentAct, actor: Actor, given_by: str
) -> list[Prepared]:
    choice = Choice(
        ConsentStatus.WITHDRAWN, said.purpose, said.channels, method="button",
        given_by=given_by, source=SOURCE,
    )  # fmt: skip
    return record_choices(desk, person, [choice], actor)


def _still(wished: Wishes | None, now: Instant) -> Wishes:
    """Return a wish as it was, without a pause that is over meanwhile."""
    held = wished or wishes.NOTHING
    over = 0 < held.pause_until <= now
    return Wishes(0 if over else held.pause_until, held.most, held.quiet)
