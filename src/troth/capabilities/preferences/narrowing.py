"""What a person steers by themselves: one yes or no, everything, the level, wishes, topics, undo.

A no needs nothing but itself. A yes shows its notice in the version in force, records that it was
shown, and names it. A wish narrows what was agreed to; ending one only returns to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from troth.capabilities.preferences.binding import Bound, bind
from troth.capabilities.preferences.choices import NO_YES, lineage, record_choices
from troth.capabilities.preferences.model import MAY_RECORD, TRIES, Choice
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel import consent, events, restrictions, wishes
from troth.kernel.desk import Desk
from troth.kernel.facts import House
from troth.kernel.house import notices_by_purpose
from troth.kernel.plans import MARKETING
from troth.ports import View
from troth.terms import (
    DAY,
    DENYING,
    SECOND,
    Actor,
    Channel,
    ConsentStatus,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Prepared,
    Purpose,
    PurposeKind,
    Wishes,
    zulu,
)

SOURCE: Final = "portal"
INTERESTS: Final = "interests"
MOST_TOPICS, LONGEST_TOPIC = 24, 40
LONGEST_PAUSE: Final = 366 * DAY
_ONE_LEVEL: Final = "level."
_EVERY_CHANNEL: Final = tuple(str(channel) for channel in Channel)


@dataclass(frozen=True, slots=True)
class Yes:
    """A yes as a page gives it: with the notice that stood beside it.

    Attributes:
        channels: Named channels; empty for a purpose without one.
        notice: `name@version` shown; it must be the one in force.
        proof: What shows it, such as `form:` and the page's own random number.
        language: In which language it was shown.
        confirmed: The address was proven in this very visit.
    """

    purpose: str
    channels: tuple[str, ...]
    notice: str
    proof: str
    language: str = "en"
    confirmed: bool = False


def agree(
    desk: Desk, person: PersonId, yes: Yes, actor: Actor, given_by: str = "self"
) -> list[Prepared]:
    """Record a yes to one purpose, and before it that its notice was shown.

    Raises:
        InvalidInput: The notice is not the one in force, or the purpose does not use the channel,
            or somebody under 18 agrees by themselves. Nothing was recorded.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    return agree_together(desk, person, [(yes, None, ())], actor, given_by)


Asked = tuple[Yes, int | None, tuple[str, ...]]


def agree_together(
    desk: Desk, person: PersonId, asked: Sequence[Asked], actor: Actor, given_by: str
) -> list[Prepared]:
    """Record several yeses of one moment; each with the level and categories it opens."""
    with desk.store.look() as view:
        _require_grown(_held(view, person).record, given_by)
        now = view.now
        for yes, _, _ in asked:
            _require_in_force(view, yes)
            _require_after(view, person, yes.purpose)
    choices = [
        Choice(
            ConsentStatus.GIVEN, yes.purpose, yes.channels, notice=yes.notice, method="button",
            proof=yes.proof, categories=categories, level=level, given_by=given_by,
            source=SOURCE, language=yes.language, confirmed_at=now if yes.confirmed else None,
        )
        for yes, level, categories in asked
    ]  # fmt: skip
    shown = dict.fromkeys((yes.notice, yes.language) for yes, _, _ in asked)
    served = [events.NoticeServed(notice, SOURCE, language) for notice, language in shown]
    return record_choices(desk, person, choices, actor, served)


def notice_in_force(view: View, purpose: str) -> str:
    """Return the label of the newest notice that speaks of a purpose, its own first; "" none."""
    labels = notices_by_purpose(view.published_all("notice:")).get(purpose, frozenset())

    def age(label: str) -> tuple[bool, int, str]:
        name, _, number = label.partition("@")
        return name == purpose, int(number), name

    return max(labels, key=age, default="")


def _require_in_force(view: View, yes: Yes) -> None:
    held = notice_in_force(view, yes.purpose)
    if not held:
        raise InvalidInput("no notice speaks of this purpose", "publish one, then ask")
    if yes.notice != held:
        raise InvalidInput("what we tell you about this has changed", "read it, then choose again")


def _require_after(view: View, person: PersonId, purpose: str) -> None:
    """A yes said in the very second of a no does not stand: say so, rather than seem to do it."""
    second = view.now // SECOND * SECOND
    for place, held in _held(view, person).record.standings.items():
        denied = held.deny is not None and held.deny.at >= second
        if denied and place.startswith(f"{purpose}|"):
            raise Unavailable("you said no to this a moment ago", "say yes again in a second", 1)


def _require_grown(record: PersonRecord, given_by: str) -> None:
    if given_by == consent.AGENT:
        raise InvalidInput(*NO_YES)
    child = record.age == "minor" and record.subject != "juristic"
    if child and given_by not in consent.GUARDIANS:
        raise InvalidInput(
            "a competent person agrees for somebody under 18", "ask them to come in"
        )


def _held(view: View, person: PersonId) -> Gathered:
    found = view.gather([person], None)
    if not found:
        raise NotFound("nothing is held under this id")
    return found[0]


# --- no ------------------------------------------------------------------------------------------


def decline(  # noqa: PLR0913 - whose, what, who says so
    desk: Desk,
    person: PersonId,
    purpose: str,
    channel: str,
    actor: Actor,
    given_by: str = "self",
) -> list[Prepared]:
    """Stop one purpose, on one channel or ("") on every: at once, on the address as well.

    Who never answered refuses; who agreed, or is written to as a customer, withdraws.

    Raises:
        InvalidInput: The purpose is not published, a service nobody can stop, or has no such
            channel.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    with desk.store.look() as view:
        record, house = _held(view, person).record, desk.house(view)
        found = house.purposes.get(purpose)
        free = found is not None and found.kind in {*MARKETING, PurposeKind.PERSONALISE}
        if found is None or not free or (channel and channel not in found.channels):
            raise InvalidInput("there is no such kind of message", "choose one of the list")
        now = view.now
    ways = (channel,) if channel else tuple(sorted(found.channels)) or ("",)
    held = {consent.resolve(record, found, way, now, house.purposes).status for way in ways}
    quiet = held <= {ConsentStatus.UNKNOWN, ConsentStatus.REQUESTED, ConsentStatus.DEFERRED}
    new = quiet and not any(each.kind == "sale" for each in record.relations)
    status = ConsentStatus.REFUSED if new else ConsentStatus.WITHDRAWN
    choice = Choice(
        status, purpose, (channel or consent.EVERY,), method="button", given_by=given_by,
        source=SOURCE, binds=tuple(way for way in ways if way),
    )  # fmt: skip
    return record_choices(desk, person, [choice], actor)


def stop_everything(
    desk: Desk, person: PersonId, actor: Actor, given_by: str = "self"
) -> list[Prepared]:
    """Withdraw every marketing purpose on every channel, and suppress every address for them.

    What stands under a parent purpose is withdrawn there, so that nothing published later under it
    is open either. Service messages and the level stay. Where all is stopped already, nothing is
    booked and the addresses are seen to once more.

    Raises:
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    with desk.store.look() as view:
        record, house, now = _held(view, person).record, desk.house(view), view.now
    roots = marketing_roots(house)
    choices = [
        Choice(
            ConsentStatus.WITHDRAWN, root, (consent.EVERY,), method="button",
            given_by=given_by, source=SOURCE, binds=_EVERY_CHANNEL,
        )
        for root in roots
        if not _all_stopped(record, root, house, now)
    ]  # fmt: skip
    booked = record_choices(desk, person, choices, actor) if choices else []
    stopped = {choice.purpose for choice in choices}
    for root in (each for each in roots if each not in stopped):  # whose address may be newer
        bind(desk, person, Bound(root, _EVERY_CHANNEL, "unsubscribe", SOURCE), actor)
    return booked


def marketing_roots(house: House) -> tuple[str, ...]:
    """Return the marketing purposes that no other marketing purpose stands above."""
    mine = {name: p for name, p in house.purposes.items() if p.kind in MARKETING}
    return tuple(sorted({lineage(p, mine)[-1] for p in mine.values()}))


def family(house: House, root: str) -> list[Purpose]:
    """Return a marketing purpose and every one below it, by name."""
    mine = {name: p for name, p in house.purposes.items() if p.kind in MARKETING}
    return [p for _, p in sorted(mine.items()) if root in lineage(p, mine)]


def _all_stopped(record: PersonRecord, root: str, house: House, now: Instant) -> bool:
    held = record.standings.get(consent.key(root, consent.EVERY), consent.NOTHING_SAID).deny
    return held is not None and all(
        consent.resolve(record, each, way, now, house.purposes).status in DENYING
        for each in family(house, root)
        for way in (*sorted(each.channels), "")
    )


# --- how personal --------------------------------------------------------------------------------


def level_asks(record: PersonRecord, house: House, now: Instant, level: int) -> bool:
    """Tell whether choosing a level is an agreement: it opens what is not agreed to now."""
    held = record.level
    rises = level > held and not (held < 0 and level <= consent.FREE_LEVEL)
    agreed = consent.agreed_categories(record, house, now, after=house.unsure_before)
    return rises or not (level <= consent.FREE_LEVEL or _opens(house, level) <= agreed)


def _opens(house: House, level: int) -> frozenset[str]:
    return frozenset[str]().union(*house.levels[: level + 1]) - house.special


def choose_level(  # noqa: PLR0913 - whose, which, who says so
    desk: Desk,
    person: PersonId,
    level: int,
    notice: str,
    actor: Actor,
    given_by: str = "self",
    language: str = "en",
) -> list[Prepared]:
    """Choose how personal messages may be: up is a consent to what opens, down withdraws it.

    0, and 1 as a first choice, refuse every use of data for it. Nothing is booked where the level
    is in force already.

    Raises:
        InvalidInput: No such level; or going up without the notice in force, or somebody under 18
            goes up by themselves. Nothing was recorded.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    if not 0 <= level <= consent.TOP_LEVEL:
        raise InvalidInput("there is no such level", f"choose one from 0 to {consent.TOP_LEVEL}")
    with desk.store.look() as view:
        record, house, now = _held(view, person).record, desk.house(view), view.now
    held, opens = record.level, _opens(house, level)
    asks = level_asks(record, house, now, level)
    if level == held and not asks:
        return []
    if asks:
        proof = f"form:level-{level}"
        yes = Yes(consent.PERSONALISE, (), notice, proof, language)
        return agree_together(desk, person, [(yes, level, tuple(sorted(opens)))], actor, given_by)
    closed = frozenset[str]().union(*house.levels[level + 1 : held + 1]) - opens
    whole = level == 0 or held < 0
    choice = Choice(
        ConsentStatus.REFUSED if whole else ConsentStatus.WITHDRAWN,
        consent.PERSONALISE,
        method="button",
        categories=() if whole else tuple(sorted(closed or {f"{_ONE_LEVEL}{held}"})),
        level=level,
        given_by=given_by,
        source=SOURCE,
    )
    return record_choices(desk, person, [choice], actor)


# --- wishes --------------------------------------------------------------------------------------


def set_preferences(
    desk: Desk, person: PersonId, wished: Wishes, actor: Actor, given_by: str = "self"
) -> list[Prepared]:
    """Set all a person wishes within what they agreed to; the whole state each time.

    Ending a wish is no consent: it returns to what was agreed. Nothing is booked where nothing
    changes.

    Raises:
        InvalidInput: A pause is over or longer than a year, a number lies outside 0 to 30, quiet
            hours end when they begin; or somebody under 18 would loosen what stands.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
        Unavailable: Others keep writing to this record. Nothing was recorded.
    """
    _require_role(actor)
    for _ in range(TRIES):
        with desk.store.look() as view:
            found = _held(view, person)
            held = found.record.wishes or wishes.NOTHING
            _require_wish(wished, held, view.now)
            if wishes.both(held, wished) != wished:
                _require_grown(found.record, given_by)
            if wished == held:
                return []
            told = _spelled(wished, given_by)
            prepared = desk.scribe.prepare(person, found.head, [told], actor, view.now)
        if _book(desk, person, prepared):
            return prepared
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _require_wish(wished: Wishes, held: Wishes, now: Instant) -> None:
    new = wished.pause_until and wished.pause_until != held.pause_until
    if new and not now < wished.pause_until <= now + LONGEST_PAUSE:
        raise InvalidInput("a pause ends within a year from now", "choose a later day, or sooner")
    if not -1 <= wished.most <= wishes.MOST:
        raise InvalidInput("that many messages cannot be counted", f"choose 0 to {wishes.MOST}")
    if wished.quiet is not None and wished.quiet[0] == wished.quiet[1] and wished != held:
        raise InvalidInput("quiet hours end at another time than they begin", "or pause instead")


def _spelled(wished: Wishes, given_by: str) -> events.PreferenceSet:
    quiet = wished.quiet
    return events.PreferenceSet(
        source=SOURCE,
        pause_until=zulu(Instant(wished.pause_until)) if wished.pause_until else None,
        most=wished.most if wished.most >= 0 else None,
        quiet=(wishes.clock(quiet[0]), wishes.clock(quiet[1])) if quiet else None,
        given_by=given_by,
    )


def _book(desk: Desk, person: PersonId, prepared: Sequence[Prepared]) -> bool:
    """Book and journal; False: somebody wrote meanwhile, look again."""
    with desk.store.book() as tx:
        if tx.append(prepared):
            return False
        first = tx.size - len(prepared)
    lines = [restrictions.line(person, each.payload, first + i) for i, each in enumerate(prepared)]
    desk.journal.note_all([line for line in lines if line])
    return True


def set_language(desk: Desk, person: PersonId, language: str, actor: Actor) -> list[Prepared]:
    """Record in which language the person is written to.

    Raises:
        InvalidInput: It is no code of a language.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
    """
    _require_role(actor)
    if not (language.isascii() and language.isalpha() and language.islower()):
        raise InvalidInput("a language is two or three small letters", "write en, say")
    with desk.store.look() as view:
        if _held(view, person).record.language == language:
            return []
    return desk.record(person, [events.FactsRecorded(SOURCE, language=language)], actor)


def set_interests(
    desk: Desk, person: PersonId, topics: Sequence[str], actor: Actor
) -> list[Prepared]:
    """Write down the interests a person tells, in the place of those told before; none is fine.

    Raises:
        InvalidInput: Too many, or one is too long or holds a semicolon.
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
        Unavailable: Others keep writing to this record. Nothing was recorded.
    """
    _require_role(actor)
    told = list(dict.fromkeys(each.strip() for each in topics if each.strip()))
    plain = all(len(t) <= LONGEST_TOPIC and t.isprintable() and ";" not in t for t in told)
    if len(told) > MOST_TOPICS or not plain:
        raise InvalidInput("a topic is a short word", f"choose at most {MOST_TOPICS}")
    for _ in range(TRIES):
        with desk.store.look() as view:
            head = _held(view, person).head
            desk.vault.keys.load([person], view.now)
            rows = view.sealed([person], [INTERESTS]).get(person, ())
            version = max((each.version for each in rows), default=0) + 1
            said = events.ValuesSealed({INTERESTS: version}, SOURCE)
            prepared = desk.scribe.prepare(person, head, [said], actor, view.now)
            values, versions = {INTERESTS: ";".join(told)}, {INTERESTS: version}
            sealed = desk.vault.seal_values(person, values, versions, view.now)
        with desk.store.book() as tx:
            if not tx.append(prepared):
                tx.put_sealed(person, sealed)
                return prepared
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _require_role(actor: Actor) -> None:
    if actor.role not in MAY_RECORD:
        raise InvalidInput("this role may not record what a person wishes", "ask the officer")
