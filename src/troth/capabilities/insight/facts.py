"""The facts audiences are narrowed by, and what may be learnt from people together.

Every opening of behaviour here is under a permit for `personalise`, person by person; who left a
level is in no model and no column from the next rebuild on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from troth.engines import ranking
from troth.kernel import audience, consent, events, gate
from troth.kernel.desk import Desk
from troth.kernel.facts import House
from troth.kernel.vault import Chunk
from troth.ports import View
from troth.terms import (
    DAY,
    Action,
    Actor,
    Claim,
    Gathered,
    Instant,
    PersonId,
    Refusal,
    Sealed,
    UseRequest,
    moment,
)

PAGE = 250
PURPOSE = "personalise"
SCOPE = "purchases/"
FIELD_OF_INTERESTS = "interests"
WIDEST = ("purchases.52w", "purchases.13w")


@dataclass(frozen=True, slots=True)
class Row:
    """One person's facts for narrowing."""

    person: PersonId
    known: audience.Known
    zone: str
    subject: str


@dataclass(frozen=True, slots=True)
class Bought:
    """One person's agreed purchases, by columns; days are UTC days."""

    person: PersonId
    days: Sequence[int]
    groups: Sequence[str]
    units: Sequence[int]
    minor: Sequence[int]
    currency: str


def pages(desk: Desk, view: View) -> Iterator[list[Gathered]]:
    """Page through everybody but the house itself."""
    after: PersonId | None = None
    while people := view.people(after, PAGE):
        after = people[-1]
        yield [
            g
            for g in view.gather([p for p in people if p != desk.scribe.house], None)
            if not g.record.erasing and not g.record.alias
        ]


def rows(desk: Desk, view: View, actor: Actor | None = None) -> Iterator[list[Row]]:
    """Yield what narrowing may know of everybody.

    Opens nothing without an actor; with one, the interests of who agreed that they are used.
    """
    house = desk.house(view)
    for page in pages(desk, view):
        told = _interests(desk, view, page, actor) if actor else {}
        yield [_row(g, house, view.now, told.get(g.person)) for g in page]


def rows_of(
    desk: Desk, view: View, people: Sequence[PersonId], actor: Actor, behaviour: frozenset[str]
) -> list[Row]:
    """Return the facts of some people as the record holds them now, purchases and all.

    Who is erased, merged away or unknown is left out.

    Args:
        desk: The desk.
        view: The look.
        people: Whom.
        actor: Under whose claim interests and purchases are opened, person by person.
        behaviour: Categories that will be read; what is not among them is not opened.
    """
    house, out = desk.house(view), list[Row]()
    for start in range(0, len(people), PAGE):
        page = [
            g
            for g in view.gather(people[start : start + PAGE], None)
            if not g.record.erasing and not g.record.alias and g.person != desk.scribe.house
        ]
        told = _interests(desk, view, page, actor) if audience.INTERESTS in behaviour else {}
        wide = tuple(name for name in WIDEST if behaviour & set(WIDEST))
        bought = dict(_opened(desk, view, page, actor, wide, frozenset())) if wide else {}
        for g in page:
            lines = tuple(_purchases(bought.get(g.person, ())))
            out.append(_row(g, house, view.now, told.get(g.person), lines))
    return out


def _purchases(chunks: Sequence[Chunk]) -> Iterator[audience.Purchase]:
    for chunk in chunks:
        for at, item, units, minor in zip(
            chunk.at, chunk.item, chunk.units, chunk.amount, strict=True
        ):
            group = chunk.groups[chunk.item_group[item]]
            yield audience.Purchase(at // DAY, group, units, minor, chunk.currency)


def _interests(
    desk: Desk, view: View, page: Sequence[Gathered], actor: Actor
) -> dict[PersonId, frozenset[str]]:
    """Open declared interests, each under a permit of its own."""
    house = desk.house(view)
    agreed = [
        g
        for g in page
        if audience.INTERESTS in consent.level_categories(g.record, house, view.now)
    ]
    named = (audience.INTERESTS,)
    permits = [
        permit
        for g in agreed
        if (permit := _permit(desk, view, house, g, actor, named, frozenset()))
    ]
    held = view.sealed([p.person for p in permits], [FIELD_OF_INTERESTS])
    told = [permit for permit in permits if held.get(permit.person)]
    desk.vault.keys.load([p.person for p in told], view.now)
    out = {}
    for permit in told:
        opened = desk.vault.open(permit, held[permit.person], view.now)
        names = opened[FIELD_OF_INTERESTS].split(";")
        out[permit.person] = frozenset(n.strip() for n in names if n.strip())
    return out


def _row(
    gathered: Gathered,
    house: House,
    now: Instant,
    interests: frozenset[str] | None = None,
    purchases: tuple[audience.Purchase, ...] = (),
) -> Row:
    record = gathered.record
    known = audience.Known(
        agreed=consent.level_categories(record, house, now),
        residence=record.residence,
        age=record.age,
        language=record.language,
        level=record.level,
        relations=audience.newest_relations(record),
        interests=interests,
        purchases=purchases,
    )
    return Row(gathered.person, known, record.zone, record.subject)


def agreed_purchases(desk: Desk, view: View, actor: Actor) -> Iterator[list[Bought]]:
    """Yield the purchases people agreed may be used to choose for them, page by page."""
    for page in pages(desk, view):
        opened = _opened(desk, view, page, actor, WIDEST, frozenset())
        yield [_bought(person, chunks) for person, chunks in opened if chunks]


def _opened(  # noqa: PLR0913 - a page and what to open of it
    desk: Desk,
    view: View,
    page: Sequence[Gathered],
    actor: Actor,
    categories: Sequence[str],
    besides: frozenset[str],
) -> list[tuple[PersonId, list[Chunk]]]:
    """Open each person's purchases under the widest category their permit covers."""
    house = desk.house(view)
    permits = [
        permit
        for gathered in page
        if (permit := _permit(desk, view, house, gathered, actor, categories, besides))
    ]
    desk.vault.keys.load([p.person for p in permits], view.now)
    held = view.sealed([p.person for p in permits], [SCOPE])
    return [
        (permit.person, _open(desk, permit, held.get(permit.person, ()), view.now, categories))
        for permit in permits
    ]


def _permit(  # noqa: PLR0913 - one person of a page
    desk: Desk,
    view: View,
    house: House,
    gathered: Gathered,
    actor: Actor,
    categories: Sequence[str],
    besides: frozenset[str],
) -> gate.Permit | None:
    plain = UseRequest(
        actor, gathered.person, PURPOSE, Action.PROFILE, None, frozenset(), view.now
    )
    claim: Claim | Refusal = desk.claim(plain, house)
    facts = desk.facts(view, plain, claim, gathered)
    allowed = gate.allowed_categories(plain, facts)
    wanted = frozenset(categories) & allowed
    if not wanted or not besides <= allowed:
        return None
    asked = UseRequest(
        actor, gathered.person, PURPOSE, Action.PROFILE, None, wanted | besides, view.now
    )
    answer = gate.decide(asked, facts)
    return None if isinstance(answer, Refusal) else answer


def _open(
    desk: Desk,
    permit: gate.Permit,
    held: Sequence[Sealed],
    now: Instant,
    categories: Sequence[str],
) -> list[Chunk]:
    category = next(c for c in categories if c in permit.categories)
    weeks = int(category.rpartition(".")[2].rstrip("w"))
    first = moment(Instant(now - weeks * 7 * DAY)).date()
    oldest = f"{SCOPE}{first.year}Q{(first.month + 2) // 3}"
    recent = [row for row in held if row.field >= oldest]
    return desk.vault.open_chunks(permit, recent, category, now)


def _bought(person: PersonId, chunks: Sequence[Chunk]) -> Bought:
    days: list[int] = []
    groups: list[str] = []
    units: list[int] = []
    minor: list[int] = []
    for chunk in chunks:
        days += [at // DAY for at in chunk.at]
        groups += [chunk.groups[chunk.item_group[item]] for item in chunk.item]
        units += chunk.units
        minor += chunk.amount
    return Bought(person, days, groups, units, minor, chunks[0].currency)


def learn_alike(desk: Desk, view: View, actor: Actor, names: Mapping[str, str]) -> ranking.Alike:
    """Learn what alike people buy from those alone who agreed to be compared.

    One house event names the work before anything is opened.
    """
    compare = frozenset({"cohort.compare"})
    told = events.SetProcessed("train", "alike", view.log.size, {}, "", PURPOSE)
    desk.record_house(told, actor)
    baskets: list[list[str]] = []
    for page in pages(desk, view):
        for _, chunks in _opened(desk, view, page, actor, ("purchases.52w",), compare):
            found = ranking.favourites(_lines(chunks), names, ranking.BASKET_ITEMS)
            baskets.append([f.item for f in found])
    return ranking.learn(baskets)


def _lines(chunks: Sequence[Chunk]) -> Iterator[tuple[int, str, int]]:
    for chunk in chunks:
        bought = {i for i, kind in enumerate(chunk.kinds) if kind == "purchase"}
        for at, kind, item, units in zip(
            chunk.at, chunk.kind, chunk.item, chunk.units, strict=True
        ):
            if kind in bought:
                yield at, chunk.items[item], units
