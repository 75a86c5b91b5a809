"""Insight: what may be learnt from people together, and the facts audiences are narrowed by.

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


def rows(desk: Desk, view: View) -> Iterator[list[Row]]:
    """Yield what narrowing may know of everybody; opens nothing."""
    house = desk.house(view)
    for page in pages(desk, view):
        yield [_row(g, house, view.now) for g in page]


def _row(gathered: Gathered, house: House, now: Instant) -> Row:
    record = gathered.record
    known = audience.Known(
        agreed=consent.level_categories(record, house, now),
        residence=record.residence,
        age=record.age,
        language=record.language,
        level=record.level,
        relations=audience.newest_relations(record),
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
