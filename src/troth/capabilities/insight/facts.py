"""The facts audiences are narrowed by, and what may be learnt from people together.

Every opening of behaviour here is under a permit for `personalise`, person by person; who left a
level is in no model and no column from the next rebuild on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from troth.engines import ranking
from troth.kernel import audience, canaries, consent, events, exclusions, gate
from troth.kernel.columns import Columns
from troth.kernel.desk import Desk
from troth.kernel.facts import Facts, House
from troth.kernel.vault import Chunk, Shredded
from troth.ports import View
from troth.terms import (
    DAY,
    Action,
    Actor,
    Channel,
    Claim,
    Gathered,
    Instant,
    PersonId,
    Refusal,
    Sealed,
    UseRequest,
    moment,
)

PAGE = 500
PURPOSE = "personalise"
SCOPE = "purchases/"
FIELD_OF_INTERESTS = "interests"
WIDEST = ("purchases.52w", "purchases.13w")
BASKET = "purchases.52w"
_COMPARED = frozenset({"cohort.compare", BASKET})


@dataclass(frozen=True, slots=True)
class Row:
    """One person's facts for narrowing."""

    person: PersonId
    known: audience.Known
    zone: str
    subject: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a copy takes of some people: facts, and what they agreed may be read, in columns."""

    gathered: Sequence[Gathered]
    rows: Sequence[Row]
    bought: Columns


Range = tuple[PersonId | None, int]
"""After whom a reading of everybody begins, and how many people it takes."""
EVERYBODY: Range = (None, 2**62)


def pages(desk: Desk, view: View, part: Range = EVERYBODY) -> Iterator[list[Gathered]]:
    """Page through everybody but the house itself, or through a part of them."""
    after, left = part
    while left > 0 and (people := view.people(after, min(left, PAGE))):
        after, left = people[-1], left - len(people)
        yield [
            g
            for g in view.gather(canaries.without(view, people), Channel.EMAIL)
            if not g.record.erasing and not g.record.alias and g.person != desk.scribe.house
        ]


def everything(desk: Desk, view: View, actor: Actor, part: Range = EVERYBODY) -> Iterator[Page]:
    """Yield what a copy may hold of everybody: one decision a person, and each key used once.

    Interests and purchases are opened under a permit of that very person; of whom nothing may be
    opened, nothing is read. About 80 µs a person.
    """
    house = desk.house(view)
    claim = desk.claim(_use(actor, None, view.now), house)
    for page in pages(desk, view, part):
        permits = _permits(desk, view, page, actor, claim, (*WIDEST, audience.INTERESTS))
        told, bought = _read(desk, view, permits)
        rows = [_row(g, house, view.now, told.get(g.person)) for g in page]
        yield Page(page, rows, bought)


def _use(
    actor: Actor, person: PersonId | None, at: Instant, asked: frozenset[str] = frozenset()
) -> UseRequest:
    return UseRequest(actor, person, PURPOSE, Action.PROFILE, None, asked, at)


def _permits(  # noqa: PLR0913 - a page and what to open of it
    desk: Desk,
    view: View,
    page: Sequence[Gathered],
    actor: Actor,
    claim: Claim | Refusal,
    categories: Sequence[str],
    besides: frozenset[str] = frozenset(),
) -> list[gate.Permit]:
    """Decide about each person of a page, for those of these categories they agreed to."""
    house, at, wanted = desk.house(view), view.now, frozenset(categories)
    out, anybody = list[gate.Permit](), _use(actor, None, at)
    for gathered in page:
        facts = Facts(gathered.person, at, claim, house, gathered)
        allowed = gate.allowed_categories(anybody, facts)
        asked = wanted & allowed
        if not asked or not besides <= allowed:
            continue
        answer = gate.decide(_use(actor, gathered.person, at, asked | besides), facts)
        if not isinstance(answer, Refusal):
            out.append(answer)
    return out


def _read(
    desk: Desk, view: View, permits: Sequence[gate.Permit]
) -> tuple[dict[PersonId, frozenset[str]], Columns]:
    """Open interests and purchases of a page, each as far as its permit goes."""
    telling = [p.person for p in permits if audience.INTERESTS in p.categories]
    wide = {p.person: name for p in permits if (name := _widest(p))}
    told = view.sealed(telling, [FIELD_OF_INTERESTS])
    held: dict[PersonId, list[Sealed]] = {}
    for name in WIDEST:
        near = [person for person, widest in wide.items() if widest == name]
        held |= view.sealed(near, [SCOPE], _oldest(name, view.now))
    desk.vault.keys.load([p.person for p in permits if p.person in told or p.person in held],
                         view.now)  # fmt: skip
    interests, bought = dict[PersonId, frozenset[str]](), Columns()
    for permit in permits:
        person = permit.person
        try:
            if person in told:
                interests[person] = _declared(desk.vault.open(permit, told[person], view.now))
            if person in held:
                desk.vault.open_columns(permit, held[person], wide[person], view.now, bought)
        except Shredded:  # erased since the look: an event says so, and judges them anew
            interests.pop(person, None)
            bought.forget(person)
    return interests, bought


def _widest(permit: gate.Permit) -> str:
    return next((name for name in WIDEST if name in permit.categories), "")


def _oldest(category: str, now: Instant) -> str:
    """Name the first quarter that a category such as `purchases.13w` reaches."""
    weeks = int(category.rpartition(".")[2].rstrip("w"))
    first = moment(Instant(now - weeks * 7 * DAY)).date()
    return f"{SCOPE}{first.year}Q{(first.month + 2) // 3}"


def _declared(opened: Mapping[str, str]) -> frozenset[str]:
    names = opened[FIELD_OF_INTERESTS].split(";")
    return frozenset([n.strip() for n in names if n.strip()])


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
    claim = desk.claim(_use(actor, None, view.now), house)
    for start in range(0, len(people), PAGE):
        page = [
            g
            for g in view.gather(people[start : start + PAGE], Channel.EMAIL)
            if not g.record.erasing and not g.record.alias and g.person != desk.scribe.house
        ]
        asked = audience.INTERESTS in behaviour
        told = _interests(desk, view, page, actor, claim) if asked else {}
        wide = tuple(name for name in WIDEST if behaviour & set(WIDEST))
        permits = _permits(desk, view, page, actor, claim, wide) if wide else []
        bought = dict(_opened(desk, view, permits, wide))
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
    desk: Desk, view: View, page: Sequence[Gathered], actor: Actor, claim: Claim | Refusal
) -> dict[PersonId, frozenset[str]]:
    """Open declared interests, each under a permit of its own."""
    permits = _permits(desk, view, page, actor, claim, (audience.INTERESTS,))
    held = view.sealed([p.person for p in permits], [FIELD_OF_INTERESTS])
    told = [permit for permit in permits if held.get(permit.person)]
    desk.vault.keys.load([p.person for p in told], view.now)
    return {
        permit.person: _declared(desk.vault.open(permit, held[permit.person], view.now))
        for permit in told
    }


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


def _opened(
    desk: Desk, view: View, permits: Sequence[gate.Permit], categories: Sequence[str]
) -> list[tuple[PersonId, list[Chunk]]]:
    """Open each person's purchases under the widest category their permit covers."""
    desk.vault.keys.load([p.person for p in permits], view.now)
    held = view.sealed([p.person for p in permits], [SCOPE])
    return [
        (permit.person, _open(desk, permit, held.get(permit.person, ()), view.now, categories))
        for permit in permits
    ]


def _open(
    desk: Desk,
    permit: gate.Permit,
    held: Sequence[Sealed],
    now: Instant,
    categories: Sequence[str],
) -> list[Chunk]:
    category = next(c for c in categories if c in permit.categories)
    oldest = _oldest(category, now)
    recent = [row for row in held if row.field >= oldest]
    return desk.vault.open_chunks(permit, recent, category, now)


def learn_alike(desk: Desk, view: View, actor: Actor, names: Mapping[str, str]) -> ranking.Alike:
    """Learn what alike people buy from those alone who agreed to be compared.

    Goods they excluded are not learnt from, and nothing is of whose list may not be opened. One
    house event names the work before anything is opened.
    """
    told = events.SetProcessed("train", "alike", view.log.size, {}, "", PURPOSE)
    desk.record_house(told, actor)
    baskets: list[list[str]] = []
    claim = desk.claim(_use(actor, None, view.now), desk.house(view))
    for page in pages(desk, view):
        asked = (BASKET, audience.INTERESTS)  # where the list of what they excluded belongs
        permits = _permits(desk, view, page, actor, claim, asked, _COMPARED)
        left = exclusions.excluded(desk.vault, view, permits)
        permits = [permit for permit in permits if left[permit.person] is not None]
        for person, chunks in _opened(desk, view, permits, (BASKET,)):
            lines = _lines(chunks, left[person] or frozenset())
            found = ranking.favourites(lines, names, ranking.BASKET_ITEMS)
            baskets.append([f.item for f in found])
    return ranking.learn(baskets)


def _lines(chunks: Sequence[Chunk], excluded: frozenset[str]) -> Iterator[tuple[int, str, int]]:
    for chunk in chunks:
        bought = {i for i, kind in enumerate(chunk.kinds) if kind == "purchase"}
        left = [chunk.groups[group] not in excluded for group in chunk.item_group]
        for at, kind, item, units in zip(
            chunk.at, chunk.kind, chunk.item, chunk.units, strict=True
        ):
            if kind in bought and left[item]:
                yield at, chunk.items[item], units
