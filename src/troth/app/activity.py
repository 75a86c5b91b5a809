"""A person's own activity: seen by page, deleted by entry, kind or period, kept as they say.

What is shown is opened by the person's own eyes (`app.owndata`); what is deleted goes through
`people.delete`. An entry is named to the outside by its place and a mark, never by what it is.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from troth.app import owndata
from troth.app.owndata import Eyes, Piece
from troth.app.workspace import Workspace
from troth.capabilities import custody, people
from troth.capabilities.people import activity as acts
from troth.errors import InvalidInput
from troth.kernel import retention
from troth.kernel.calendars import add_months, day_begins, local_date
from troth.kernel.desk import everybody
from troth.terms import Actor, Instant, PersonId

PAGE = 50
PLAIN = ("purchases", "views")
SENSITIVE = "purchases.sensitive"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing somebody did.

    Attributes:
        amount: Minor units of `currency`.
        place: Where it lies, as a form names it.
    """

    at: Instant
    category: str
    kind: str
    item: str
    group: str
    amount: int
    units: int
    currency: str
    place: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What of it is looked at; numbers stand for the words of kinds and groups.

    Attributes:
        category: "" both ordinary ones; a sensitive one only where it is named.
        kind: Place in `Activity.kinds`; -1 every kind.
        group: Place in `Activity.groups`; -1 every group.
        month: First day of a month in the person's zone; None all time.
        page: From 1.
    """

    category: str = ""
    kind: int = -1
    group: int = -1
    month: date | None = None
    page: int = 1


@dataclass(frozen=True, slots=True)
class Activity:
    """One page of it, and what it is a page of.

    Attributes:
        total: Entries of ordinary kinds held.
        matching: Entries the filter leaves.
        by_category: How many of each category are held, whatever the filter.
        kinds: Words of kinds held, sorted.
        groups: Goods groups held, sorted; of sensitive goods only where these are looked at.
        months: First day of each month from the first entry to the last, and how many entries.
        unreadable: Quarters of which an old copy lies here that nobody can open any more.
    """

    entries: Sequence[Entry]
    total: int
    matching: int
    pages: int
    page: int
    by_category: dict[str, int]
    kinds: Sequence[str]
    groups: Sequence[str]
    months: Sequence[tuple[date, int]]
    unreadable: int


@dataclass(slots=True)
class _Opened:
    """All that is held, as it lies."""

    ids: Sequence[PersonId]
    pieces: Sequence[Piece]
    by_category: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for piece in self.pieces:
            self.by_category[category_of(piece)] += len(piece.chunk.at)


def category_of(piece: Piece) -> str:
    """Return which category a piece is of."""
    return piece.scope.partition("/")[0]


def _read(opened: Workspace, eyes: Eyes) -> _Opened:
    pieces = owndata.behaviour(opened, eyes)
    with opened.store.look() as view:
        return _Opened(everybody(view, eyes.person), pieces)


def look(opened: Workspace, eyes: Eyes, zone: str, wanted: Filter) -> Activity:
    """Show one page of somebody's activity, newest first; one `data.read` a visit before it.

    Opens all of it: 10,000 entries take about 30 ms.

    Raises:
        NotFound: It is not theirs to see.
        Shredded: The person was erased.
    """
    held = _read(opened, eyes)
    shown = (wanted.category,) if wanted.category in acts.CATEGORIES else PLAIN
    mine = [p for p in held.pieces if category_of(p) in shown]
    kinds = sorted({kind for p in mine for kind in p.chunk.kinds})
    groups = sorted({group for p in mine for group in p.chunk.groups if group})
    choice = people.Choice(
        "period",
        None,
        shown,
        _named(kinds, wanted.kind),
        _named(groups, wanted.group),
        *_span(wanted.month, zone),
    )
    found = [
        (piece.chunk.at[i], number, i)
        for number, piece in enumerate(mine)
        for i in people.chosen(choice, piece.scope, piece.chunk)
    ]
    found.sort(reverse=True)
    pages = max(1, -(-len(found) // PAGE))
    page = min(max(1, wanted.page), pages)
    cut = found[(page - 1) * PAGE : page * PAGE]
    secret = opened.desk.vault.keys.secret("token")
    return Activity(
        entries=[_entry(secret, held.ids, mine[number], i) for _, number, i in cut],
        total=sum(held.by_category[name] for name in PLAIN),
        matching=len(found),
        pages=pages,
        page=page,
        by_category=dict(held.by_category),
        kinds=kinds,
        groups=groups,
        months=_months(mine, zone),
        unreadable=_unreadable(opened, held.ids),
    )


def _named(words: Sequence[str], place: int) -> str:
    return words[place] if 0 <= place < len(words) else ""


def _span(month: date | None, zone: str) -> tuple[int, int]:
    if month is None:
        return 0, acts.NO_END
    return day_begins(month, zone), day_begins(add_months(month, 1), zone)


def _entry(secret: bytes, ids: Sequence[PersonId], piece: Piece, i: int) -> Entry:
    chunk, item = piece.chunk, piece.chunk.item[i]
    place = people.Place(piece.person, piece.scope, piece.row, piece.version, i, "")
    mark = people.mark_of(secret, place, chunk)
    where = (ids.index(piece.person), piece.scope, piece.row, piece.version, i, mark)
    return Entry(
        Instant(chunk.at[i]),
        category_of(piece),
        chunk.kinds[chunk.kind[i]],
        chunk.items[item],
        chunk.groups[chunk.item_group[item]],
        chunk.amount[i],
        chunk.units[i],
        chunk.currency,
        "|".join(map(str, where)),
    )


def _months(pieces: Sequence[Piece], zone: str) -> list[tuple[date, int]]:
    """Count entries by month of the person's zone, months without any included."""
    held = [p.chunk.at for p in pieces if p.chunk.at]
    if not held:
        return []
    first = local_date(Instant(min(at[0] for at in held)), zone).replace(day=1)
    last = local_date(Instant(max(at[-1] for at in held)), zone)
    out = []
    while first <= last:
        begins, ends = _span(first, zone)
        count = sum(bisect_left(at, ends) - bisect_left(at, begins) for at in held)
        out.append((first, count))
        first = add_months(first, 1)
    return out


def _unreadable(opened: Workspace, ids: Sequence[PersonId]) -> int:
    vault = opened.desk.vault
    with opened.store.look() as view:
        rows = view.sealed(ids, [f"{name}/" for name in acts.CATEGORIES])
        return len(
            {
                (person, row.field)
                for person, held in rows.items()
                for row in held
                if vault.is_gone(person, row, view.now)
            }
        )


# Deleting


def place_of(opened: Workspace, person: PersonId, text: str) -> people.Place:
    """Read where an entry lies, as a form of ours named it; whether it still does shows later.

    Raises:
        InvalidInput: It is no place.
    """
    with opened.store.look() as view:
        ids = everybody(view, person)
    try:
        who, scope, row, version, index, mark = text.split("|")
        numbers = [int(each) for each in (who, row, version, index)]
        whose = ids[numbers[0]]
    except (ValueError, IndexError):
        raise InvalidInput("this names no entry", "load your activity again") from None
    return people.Place(whose, scope, numbers[1], numbers[2], numbers[3], mark)


def month_of(text: str) -> date | None:
    """Read a month such as 2026-03; None where it is none."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return None


def period(month: date, zone: str, categories: Sequence[str] = acts.CATEGORIES) -> people.Choice:
    """Return the choice of all a person did in a month of their zone."""
    since, until = _span(month, zone)
    return people.Choice("period", categories=categories, since=since, until=until)


def count(opened: Workspace, eyes: Eyes, choice: people.Choice) -> dict[str, int]:
    """Count by category what a choice of many would delete now.

    Raises:
        NotFound: It is not theirs to see.
    """
    found: Counter[str] = Counter()
    for piece in owndata.behaviour(opened, eyes):
        found[category_of(piece)] += len(people.chosen(choice, piece.scope, piece.chunk))
    return {name: n for name, n in found.items() if n}


def delete(
    opened: Workspace,
    person: PersonId,
    choice: people.Choice,
    actor: Actor,
    given_by: str = "self",
) -> people.Deleted:
    """Delete what a choice means; see `people.delete`."""
    return people.delete(opened.desk, person, choice, actor, opened.settle, given_by)


# Keeping it no longer than the person says


@dataclass(frozen=True, slots=True)
class Older:
    """What would go at once with a term: entries before a moment."""

    before: Instant
    count: int


def older(opened: Workspace, eyes: Eyes, scope: str, months: int) -> Older:
    """Count what a term would delete now.

    Raises:
        InvalidInput: None of the terms offered.
        NotFound: It is not theirs to see.
    """
    if scope not in acts.KEPT or months not in acts.MONTHS:
        raise InvalidInput("activity is kept 3, 18 or 36 months, or as long as the rules say")
    with opened.store.look() as view:
        before = retention.months_ago(view.now, months)
    names = [name for name in acts.CATEGORIES if name.partition(".")[0] == scope]
    choice = people.Choice("period", categories=names, until=before)
    return Older(before, sum(count(opened, eyes, choice).values()))


def keep(  # noqa: PLR0913 - an act of a person
    opened: Workspace,
    person: PersonId,
    scope: str,
    months: int | None,
    actor: Actor,
    given_by: str = "self",
) -> int:
    """Choose how long activity is kept at most; what is older goes at once. Returns the event.

    Raises:
        InvalidInput: None of the terms offered, or this role may not.
        Unavailable: A store did not answer; the daily run deletes what is older.
    """
    n = people.choose_keeping(opened.desk, person, scope, months, actor, given_by)
    if months is not None:
        with opened.store.look() as view:
            ids = everybody(view, person)
        custody.retention_apply(opened.desk, ids, actor, opened.settle, only=retention.OWN)
    return n
