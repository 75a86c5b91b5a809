"""Asking for one new permission at a time, only after promises were kept.

`next_ask` says what may be asked of a person now, or why not and until when; `book_ask` writes it
down before it is shown, so that two doors never ask at once. Neither is a permit: a request that
travels as a message is decided by the gate like any other. Every number comes from a dated file.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress as suppress_fault
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final

from troth.capabilities.preferences.choices import record_choice
from troth.capabilities.preferences.model import TRIES, Choice
from troth.capabilities.preferences.pacing import (
    EVERYTHING,
    Denial,
    History,
    Law,
    NotNow,
    Pace,
    judge,
    read_pace,
)
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import consent, events
from troth.kernel.desk import ASK_ONCE, Desk
from troth.kernel.facts import House
from troth.kernel.scribe import Recorded
from troth.ports import View
from troth.terms import (
    GRANTING,
    Actor,
    Block,
    Channel,
    ConsentStatus,
    ContactPoint,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Prepared,
    Purpose,
    PurposeKind,
    from_zulu,
)

DRAFT: Final = "asking"
"""Name under which a workspace may publish its own file of numbers."""
_ASKED: Final = frozenset({ConsentStatus.REQUESTED, ConsentStatus.DEFERRED})
_FOR_GOOD: Final = frozenset({"complaint", "registry_block", "legal_hold", "minor"})
"""Suppressions whose own source alone can lift them."""
_LEFT: Final = frozenset({"handed", "unknown"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One permission that may be asked for now: a purpose on a channel, or one level up.

    Attributes:
        channel: The channel asked for; "" where it is a level.
        level: The level asked for, one above the present one; None for a channel.
        categories: What that level opens.
    """

    purpose: str
    channel: str = ""
    level: int | None = None
    categories: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """As `next_ask` is asked for it."""
        return f"{self.purpose}|{self.channel if self.level is None else self.level}"


@dataclass(frozen=True, slots=True)
class Shown:
    """The notice an ask is shown with.

    Attributes:
        notice: `name@version`, published.
        surface: banner, form, call_script, paper or in_app.
        language: Code of the language it was shown in.
    """

    notice: str
    surface: str
    language: str


def next_ask(desk: Desk, view: View, person: PersonId, asked_for: Sequence[str]) -> Ask | NotNow:
    """Choose the one permission that may be asked of a person now; reads their chain, some ms.

    Args:
        desk: The workspace.
        view: The look it is judged at.
        person: Whom to ask.
        asked_for: What one would like to ask, best first: `offers|sms`, or `personalise|3` for a
            level (`personalise` alone: the next one up).

    Returns:
        The first that may be asked, or why none may: of several reasons the one that ends first.

    Raises:
        NotFound: Nothing is held under this id.
        Shredded: The person was erased.
        InvalidInput: A purpose is not published, or does not use this channel.
    """
    found = view.gather([person], Channel.EMAIL)
    if not found:
        raise NotFound("nothing is held under this id")
    house = desk.house(view)
    closed = _closed(found[0], house, view.now)
    wanted = [] if closed else list(_wanted(asked_for, found[0].record, house, view.now))
    if closed or not any(isinstance(each, Ask) for each in wanted):
        return closed or _soonest([each for each in wanted if isinstance(each, NotNow)])
    history = _history(desk, view, found[0], house)
    pace, hindered = _pace(view), []
    law = Law(house.ruleset, house.ruleset.applicable(found[0].record.residence, house.seat))
    for each in wanted:
        why = (
            each
            if isinstance(each, NotNow)
            else judge(history, _scopes(each, house), pace, law, view.now)
        )
        if why is None and isinstance(each, Ask):
            return each
        if why is not None:
            hindered.append(why)
    return _soonest(hindered)


def _soonest(reasons: Sequence[NotNow]) -> NotNow:
    ending = [why for why in reasons if why.until is not None]
    if ending:
        return min(ending, key=lambda why: why.until or 0)
    return reasons[0] if reasons else NotNow("nothing_to_ask")


def _closed(gathered: Gathered, house: House, at: Instant) -> NotNow | None:
    """Say why this person is asked nothing at all, whatever it is."""
    record = gathered.record
    if record.alias or record.erasing or record.restricted:
        return NotNow("closed")
    if record.age == "minor" and record.subject != "juristic" and not record.competent:
        return NotNow("minor")
    if record.level == 0:
        return NotNow("level_zero")
    for block in gathered.blocks:
        if block.reason in _FOR_GOOD and not (block.until and at >= block.until):
            return NotNow("suppressed")
    return None if house.purposes else NotNow("nothing_to_ask")


def _wanted(
    asked_for: Iterable[str], record: PersonRecord, house: House, at: Instant
) -> Iterator[Ask | NotNow]:
    """Read what one would like to ask; what is agreed already is left out."""
    for text in asked_for:
        name, _, way = text.partition("|")
        purpose = house.purposes.get(name)
        if purpose is None:
            raise InvalidInput("no such purpose is published", "publish it, or name another")
        if purpose.kind is PurposeKind.PERSONALISE:
            yield _level_up(purpose, way, record, house, at)
        elif way not in purpose.channels:
            raise InvalidInput("the purpose does not use this channel", "write offers|email, say")
        elif consent.resolve(record, purpose, way, at, house.purposes).status not in GRANTING:
            yield Ask(name, way)


def _level_up(
    purpose: Purpose, way: str, record: PersonRecord, house: House, at: Instant
) -> Ask | NotNow:
    """Ask for the next level that opens anything, and for no other."""
    now = consent.level(record, house, at, ground=True)
    if way and not way.isdecimal():
        raise InvalidInput("a level is a number", "write personalise|2, say")
    above = [k for k, opens in enumerate(house.levels) if k > max(now, 1) and opens]
    if not above or (way and int(way) <= now):
        return NotNow("nothing_to_ask")
    if way and int(way) != above[0]:
        return NotNow("one_step_at_a_time")
    opened = frozenset[str]().union(*house.levels[: above[0] + 1]) - house.special
    return Ask(purpose.name, "", above[0], tuple(sorted(opened)))


def _scopes(ask: Ask, house: House) -> frozenset[str]:
    """Return the keys of the record on which a no was a no to this."""
    where = consent.scope(house.purposes[ask.purpose], ask.channel, house.purposes)
    single = [consent.key(ask.purpose, f"#{name}") for name in ask.categories]
    return frozenset({where.exact, *where.wide, *single})


def _pace(view: View) -> Pace:
    published = view.published(DRAFT)
    return shipped_pace() if published is None else read_pace(published.data)


@lru_cache(maxsize=1)
def shipped_pace() -> Pace:
    """Return the numbers that hold where a workspace publishes none of its own."""
    return read_pace((files("troth") / "data" / "asking.toml").read_bytes())


# --- what happened ------------------------------------------------------------------------------


def _history(desk: Desk, view: View, gathered: Gathered, house: House) -> History:
    """Put together what was asked, said and sent: from the folded record and the chain itself."""
    record, chain = gathered.record, desk.scribe.chain(view, gathered.person)
    points = [g.contact for c in Channel for g in view.gather([gathered.person], c) if g.contact]
    kept, broken = _messages(chain, house)
    held = record.standings.items()
    neutral = [s.neutral.at for _, s in held if s.neutral and s.neutral.status in _ASKED]
    blocked = [b for c in Channel for g in view.gather([gathered.person], c) for b in g.blocks]
    return History(
        customer=any(r.kind == "sale" and r.at <= view.now for r in record.relations),
        asked=(*neutral, *_asks(chain, house)),
        granted=tuple(s.grant.at for _, s in held if s.grant),
        denials=(
            *(Denial(name, s.deny.status, s.deny.at) for name, s in held if s.deny),
            *(_blocked(block) for block in blocked),
        ),
        kept=kept,
        broken=broken,
        sales=tuple(r.at for r in record.relations if r.kind == "sale"),
        claimed=any(view.row(ASK_ONCE, point.sup) is not None for point in points),
    )


def _blocked(block: Block) -> Denial:
    """Read a suppression as the no it is: on its purpose, or on everything."""
    scope = consent.key(block.value, consent.EVERY) if block.scope == "purpose" else EVERYTHING
    return Denial(scope, block.reason, block.since)


def _asks(chain: Sequence[Recorded], house: House) -> Iterator[Instant]:
    """Yield when anything was asked: on a page, by staff, or in a booked message."""
    for recorded in chain:
        said, at = recorded.event.payload, recorded.event.at
        if isinstance(said, events.ConsentAct) and said.status in _ASKED:
            yield from_zulu(said.occurred_at) if said.occurred_at else at
        if isinstance(said, events.MessageBooked):
            purpose = house.purposes.get(said.purpose)
            if purpose is not None and purpose.kind is PurposeKind.CONSENT_REQUEST:
                yield at


def _messages(
    chain: Sequence[Recorded], house: House
) -> tuple[tuple[Instant, ...], tuple[Instant, ...]]:
    """Return when marketing left with a permit behind it, and when without one."""
    permitted: dict[str, bool] = {}
    kept, broken = [], []
    for recorded in chain:
        said, at = recorded.event.payload, recorded.event.at
        if isinstance(said, events.MessageBooked):
            purpose = house.purposes.get(said.purpose)
            if purpose is None or purpose.kind is PurposeKind.MARKETING:
                permitted[said.ref] = bool(said.basis)
            else:
                permitted.setdefault(said.ref, True)
        elif isinstance(said, events.MessageOutcome) and said.state in _LEFT:
            marketing = said.channel is not None
            if not permitted.get(said.ref, False):
                broken.append(at)
            elif marketing and said.state == "handed":
                kept.append(at)
    return tuple(kept), tuple(broken)


# --- writing it down ----------------------------------------------------------------------------


def book_ask(
    desk: Desk, person: PersonId, ask: Ask, actor: Actor, shown: Shown | None = None
) -> list[Prepared] | NotNow:
    """Write down that a permission is being asked for, before it is shown; judged again first.

    Of two doors that ask at once, one books and the other learns why not. Whoever is no customer
    is thereby asked their one time: every address they hold is claimed in the same commit. A
    request by mail is booked by its campaign instead, which claims the address itself.

    Args:
        desk: The workspace.
        person: Whom to ask.
        ask: What `next_ask` answered.
        actor: Who asks.
        shown: The notice shown with it, which gets an event of its own before the ask's.

    Raises:
        NotFound: Nothing is held under this id.
        InvalidInput: The notice is not published. Nothing was booked.
        Shredded: The person was erased.
        Unavailable: Others keep writing to this record. Nothing was booked.
    """
    for _ in range(TRIES):
        with suppress_fault(Conflict):  # somebody else wrote, or asked, meanwhile: look again
            return _book_once(desk, person, ask, actor, shown)
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def _book_once(
    desk: Desk, person: PersonId, ask: Ask, actor: Actor, shown: Shown | None
) -> list[Prepared] | NotNow:
    with desk.store.look() as view:
        judged = next_ask(desk, view, person, [ask.word])
        if isinstance(judged, NotNow):
            return judged
        known = view.gather([person], None)[0]
        house, told = desk.house(view), [*_served(view, shown), _requested(judged, shown)]
        customer = any(r.kind == "sale" and r.at <= view.now for r in known.record.relations)
        points = [] if customer else _points(view, person)
        prepared = desk.scribe.prepare(person, known.head, told, actor, view.now)
    with desk.store.book(house.version) as tx:
        taken = [p for p in points if not tx.claim_row(ASK_ONCE, p.sup, b"asked")]
        if taken or tx.append(prepared):
            raise Conflict("this person was asked, or acted, meanwhile")
    return prepared


def _points(view: View, person: PersonId) -> list[ContactPoint]:
    found = [g.contact for c in Channel for g in view.gather([person], c) if g.contact]
    return list({point.sup: point for point in found}.values())


def _served(view: View, shown: Shown | None) -> Iterator[events.Payload]:
    if shown is not None:
        if view.published(f"notice:{shown.notice}") is None:
            raise InvalidInput("no such notice is published", "name it like offers@3")
        yield events.NoticeServed(shown.notice, shown.surface, shown.language)


def _requested(ask: Ask, shown: Shown | None) -> events.ConsentAct:
    return events.ConsentAct(
        status=ConsentStatus.REQUESTED,
        purpose=ask.purpose,
        channels=(ask.channel,) if ask.channel else (),
        notice=shown.notice if shown else None,
        categories=ask.categories or None,
        level=ask.level,
        given_by="staff",
    )


def defer(desk: Desk, person: PersonId, ask: Ask, actor: Actor) -> list[Prepared]:
    """Record the answer "not now": neither yes nor no, and the cool-down begins anew.

    Raises:
        As `record_choice`.
    """
    channels = (ask.channel,) if ask.channel else ()
    choice = Choice(ConsentStatus.DEFERRED, ask.purpose, channels, method="button")
    return record_choice(desk, person, choice, actor)
