"""Activity at the person's wish: which entries a choice means, and deleting them for good.

Pure rules over chunks; the deletion itself is `kernel.cutting`. Facts about the relationship that
an entry once gave rise to (the date of a last purchase) and the shop's own books are not touched.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from troth import crypto
from troth.errors import Conflict, InvalidInput, NotFound, Unavailable
from troth.kernel import cutting, events, restrictions, retention
from troth.kernel.desk import Desk, everybody
from troth.kernel.vault import Chunk, lp
from troth.terms import Actor, PersonId, Role, Sealed

CATEGORIES: Final = ("purchases", "views", "purchases.sensitive")
MONTHS: Final = (3, 18, 36)
KEPT: Final = ("purchases", "views")
MAY_DELETE: Final = frozenset({Role.PERSON, Role.OFFICER, Role.SYSTEM})
NO_END: Final = retention.NO_END
TRIES: Final = 20
What = Literal["entry", "kind", "period"]
finish_deletion = cutting.finish


@dataclass(frozen=True, slots=True)
class Place:
    """Where one entry lies, and a mark by which a moved or altered one is noticed.

    Attributes:
        scope: Vault scope such as `purchases/2026Q1`.
        index: Place within the chunk.
        mark: MAC over the place and the entry itself; see `mark_of`.
    """

    person: PersonId
    scope: str
    row: int
    version: int
    index: int
    mark: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to go: one entry, or everything of some categories, a kind, a group, a period.

    Attributes:
        place: The one entry; then nothing else counts.
        categories: Which categories; all of them by default.
        kind: Word such as purchase or view; "" every kind.
        group: Goods group; "" every group.
        since: First instant of a period.
        until: First instant after it.
    """

    what: What
    place: Place | None = None
    categories: Sequence[str] = CATEGORIES
    kind: str = ""
    group: str = ""
    since: int = 0
    until: int = NO_END


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted.

    Attributes:
        n: Number of the event in `person`'s chain.
        count: Entries, over all ids.
        scopes: Quarters it lay in.
    """

    person: PersonId
    n: int
    count: int
    scopes: tuple[str, ...]


def mark_of(secret: bytes, place: Place, chunk: Chunk) -> str:
    """Return the mark of the entry that lies at a place now."""
    i = place.index
    words = (chunk.kinds[chunk.kind[i]], chunk.items[chunk.item[i]], chunk.currency)
    numbers = (place.row, place.version, i, chunk.at[i], chunk.amount[i], chunk.units[i])
    told = lp(
        b"activity", place.person, place.scope.encode(),
        *(str(n).encode() for n in numbers), *(w.encode() for w in words),
    )  # fmt: skip
    return crypto.mac(secret, told)[:12].hex()


def chosen(choice: Choice, scope: str, chunk: Chunk) -> list[int]:
    """Return which entries of a chunk fall under a choice of many, by their places."""
    if scope.partition("/")[0] not in choice.categories:
        return []
    places: Iterable[int] = range(
        bisect_left(chunk.at, choice.since), bisect_left(chunk.at, choice.until)
    )
    if choice.kind:
        places = [i for i in places if chunk.kinds[chunk.kind[i]] == choice.kind]
    if choice.group:
        groups = [chunk.groups[g] for g in chunk.item_group]
        places = [i for i in places if groups[chunk.item[i]] == choice.group]
    return list(places)


def is_there(secret: bytes, place: Place, version: int, chunk: Chunk) -> bool:
    """Tell whether the very entry a mark was made for still lies at its place."""
    if version != place.version or not 0 <= place.index < len(chunk.at):
        return False
    return crypto.same(mark_of(secret, place, chunk).encode(), place.mark.encode())


def delete(  # noqa: PLR0913 - an act of a person
    desk: Desk,
    person: PersonId,
    choice: Choice,
    actor: Actor,
    settle: Callable[[], None],
    given_by: str = "self",
) -> Deleted:
    """Delete what a choice means, over all ids of a person; nobody reads it from then on.

    The journal line is written before this returns, the keys are destroyed, copies of the record
    made before do not bring it back. A crash is finished by the follower of `behaviour.deleted`.
    Where all of a category or a period goes, no file brings entries dated in it back either.

    Raises:
        NotFound: Nothing is held under this id, or the entry is not this person's.
        Conflict: The entry is gone or lies elsewhere by now, or nothing falls under the choice.
        InvalidInput: This role may not, or the choice names no category of activity.
        Unavailable: A store did not answer.
    """
    if actor.role not in MAY_DELETE:
        raise InvalidInput("this role may not delete what a person did", "ask the privacy officer")
    with desk.store.look() as view:
        people = everybody(view, person)
        if not view.gather(people[:1], None):
            raise NotFound("nothing is held under this id")
    pick = _picker(desk, people, choice)
    whole = choice.place is None and not choice.kind and not choice.group
    closes = tuple((name, choice.since, choice.until) for name in choice.categories)
    wish = cutting.Wish(choice.what, "own wish", given_by, closes if whole else ())
    gone = cutting.delete(desk, people, _fields(choice), pick, wish, actor, settle)
    if not gone:
        raise Conflict(
            "there is nothing of this any more, or it lies elsewhere now",
            "load your activity again and choose again",
        )
    scopes = sorted({scope for each in gone for scope in each.scopes})
    return Deleted(gone[0].person, gone[0].n, sum(each.count for each in gone), tuple(scopes))


def _fields(choice: Choice) -> list[str]:
    place = choice.place
    named = [place.scope.partition("/")[0]] if place else list(choice.categories)
    if not named or not set(named) <= set(CATEGORIES):
        raise InvalidInput("this names no kind of activity")
    return [place.scope] if place else [f"{name}/" for name in named]


def _picker(desk: Desk, people: Sequence[PersonId], choice: Choice) -> cutting.Pick:
    place = choice.place
    if place is None:
        return lambda _person, row, chunk: chosen(choice, row.field, chunk)
    if place.person not in people:
        raise NotFound("this entry is not among yours")
    secret = desk.vault.keys.secret("token")

    def one(person: PersonId, row: Sealed, chunk: Chunk) -> list[int]:
        lies = (person, row.field, row.row) == (place.person, place.scope, place.row)
        return [place.index] if lies and is_there(secret, place, row.version, chunk) else []

    return one


def choose_keeping(  # noqa: PLR0913 - an act of a person
    desk: Desk,
    person: PersonId,
    scope: str,
    months: int | None,
    actor: Actor,
    given_by: str = "self",
) -> int:
    """Record how long activity of a kind is kept at most; return the number of the event.

    What is older by then is deleted by the next retention run; without months the house's rules
    alone count again.

    Raises:
        InvalidInput: No such kind of activity, none of the terms offered, or this role may not.
        Shredded: The person was erased.
        Unavailable: Others keep writing to this record. Nothing was recorded.
    """
    if actor.role not in MAY_DELETE:
        raise InvalidInput("this role may not choose for a person", "ask the privacy officer")
    if scope not in KEPT or months not in (None, *MONTHS):
        raise InvalidInput("activity is kept 3, 18 or 36 months, or as long as the rules say")
    said = events.RetentionChosen(scope, "own wish", months, given_by)
    for _ in range(TRIES):
        with desk.store.look() as view:
            head = desk.head(view, person)
            prepared = desk.scribe.prepare(person, head, [said], actor, view.now)
        with desk.store.book() as tx:
            seq = tx.size
            moved = tx.append(prepared)
        if not moved:
            line = restrictions.line(person, said, seq)
            desk.journal.note_all([line] if line else [])
            return prepared[-1].n
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)
