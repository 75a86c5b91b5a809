"""What the house works out about a person from what they did, and how they stop it.

Nothing is worked out here that a message or the site would not work out: the same counts over the
same windows. Told things (interests) are not here: they were said, not inferred.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from troth.app import owndata
from troth.app.owndata import Eyes, Piece
from troth.app.workspace import Workspace
from troth.capabilities import people, preferences
from troth.engines import ranking
from troth.errors import Conflict, InvalidInput, Unavailable
from troth.kernel import consent, exclusions, gate
from troth.kernel.desk import SYSTEM
from troth.kernel.facts import House
from troth.kernel.vault import since_then
from troth.ports import View
from troth.terms import (
    DAY,
    Action,
    Actor,
    ConsentStatus,
    Instant,
    PersonId,
    PersonRecord,
    Refusal,
    UseRequest,
)

SHOWN: Final = 4
_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class _Kind:
    """One thing the house works out: from which scope, over how many weeks, under what category.

    Attributes:
        counts: Kind of entry that is counted.
    """

    key: str
    category: str
    purpose: str
    scope: str
    weeks: int
    counts: str


KINDS: Final = (
    _Kind("favourites", "purchases.13w", "personalise", "purchases", 13, "purchase"),
    _Kind("year", "purchases.52w", "personalise", "purchases", 52, "purchase"),
    _Kind("alike", "cohort.compare", "personalise", "purchases", 52, "purchase"),
    _Kind("viewed", "views.13w", "site", "views", 13, "view"),
)


@dataclass(frozen=True, slots=True)
class Inference:
    """One thing the house works out, or would if it were allowed.

    Attributes:
        key: favourites, year, alike or viewed.
        category: What is agreed to for it.
        level: The lowest level that uses it; -1 none does.
        used: It is used now.
        since: Since when it is agreed to; 0 while it is not.
        entries: How many entries it is worked out from.
        groups: Goods groups among these, most entries first, with how many, and whether excluded.
        found: Names of what came out; empty where names may not be shown, or nothing came out.
    """

    key: str
    category: str
    purpose: str
    level: int
    used: bool
    since: Instant
    entries: int
    groups: Sequence[tuple[str, int, bool]]
    found: Sequence[str]


@dataclass(frozen=True, slots=True)
class Inferred:
    """All of it, and which groups the person excluded."""

    kinds: Sequence[Inference]
    excluded: Sequence[str]
    groups: Sequence[str]


def inferred(opened: Workspace, eyes: Eyes, names: Mapping[str, str]) -> Inferred:
    """Say what is worked out about somebody, from which of their entries, and for what.

    Args:
        opened: The workspace.
        eyes: The visit.
        names: Items that may be shown, by name.

    Raises:
        NotFound: It is not theirs to see.
        Shredded: The person was erased.
    """
    pieces = owndata.behaviour(opened, eyes, ("purchases", "views"))
    chosen = excluded_of(opened, eyes)
    with opened.store.look() as view:
        house, now = opened.desk.house(view), view.now
        uses = _uses(opened, view, eyes.person)
    groups = frozenset(group for piece in pieces for group in piece.chunk.groups)
    excluded = groups if chosen is None else chosen
    kinds = [_one(kind, pieces, names, excluded, (uses, house, now)) for kind in KINDS]
    return Inferred(kinds, sorted(excluded - {""}), sorted((groups | excluded) - {""}))


def excluded_of(opened: Workspace, eyes: Eyes) -> frozenset[str] | None:
    """Return the groups whose goods the person wants used for nothing, over all their ids.

    None: a list is held that does not read; then nothing they did is used.
    """
    shown = owndata.copies(opened, eyes, (exclusions.FIELD,))
    with opened.store.look() as view:
        held = exclusions.held(view, eyes.person)
    out = frozenset[str]()
    for whose in held:
        groups = exclusions.read(shown.get(whose, {}).get(exclusions.FIELD, ""))
        if groups is None:
            return None
        out |= groups
    return out


_Standing = tuple[Mapping[str, Instant], House, Instant]


def _one(
    kind: _Kind,
    pieces: Sequence[Piece],
    names: Mapping[str, str],
    excluded: frozenset[str],
    standing: _Standing,
) -> Inference:
    uses, house, now = standing
    lines, groups = _lines(kind, pieces, now)
    mine = [line[:3] for line in lines if line[3] not in excluded]
    best = ranking.favourites(mine, names, SHOWN if kind.key != "year" else 1)
    found = [] if kind.key == "alike" else [names[each.item] for each in best]
    return Inference(
        kind.key,
        kind.category,
        kind.purpose,
        next((k for k, opens in enumerate(house.levels) if kind.category in opens), -1),
        kind.category in uses,
        uses.get(kind.category, Instant(0)),
        len(mine),
        [(name, n, name in excluded) for name, n in groups.most_common()],
        found,
    )


def _lines(
    kind: _Kind, pieces: Sequence[Piece], now: Instant
) -> tuple[list[tuple[int, str, int, str]], Counter[str]]:
    """Return time, item, units and group of what is counted within the window."""
    lines: list[tuple[int, str, int, str]] = []
    for piece in pieces:
        if piece.scope.partition("/")[0] != kind.scope:
            continue
        chunk = since_then(piece.chunk, now - kind.weeks * 7 * DAY)
        for at, word, item, units in zip(
            chunk.at, chunk.kind, chunk.item, chunk.units, strict=True
        ):
            if chunk.kinds[word] == kind.counts:
                group = chunk.groups[chunk.item_group[item]]
                lines.append((at, chunk.items[item], units, group))
    return lines, Counter(line[3] for line in lines if line[3])


def _uses(opened: Workspace, view: View, person: PersonId) -> dict[str, Instant]:
    """Ask the gate which categories it would let the house use now; since when each is agreed."""
    desk, house, now = opened.desk, opened.desk.house(view), view.now
    gathered = view.gather([person], None)[0]
    out: dict[str, Instant] = {}
    for kind in KINDS:
        if kind.purpose not in house.purposes:
            continue
        asked = frozenset({kind.category})
        request = UseRequest(SYSTEM, person, kind.purpose, Action.PERSONALISE, None, asked, now)
        facts = desk.facts(view, request, desk.claim(request, house), gathered)
        if not isinstance(gate.decide(request, facts), Refusal):
            out[kind.category] = _since(gathered.record, house, now)
    return out


def _since(record: PersonRecord, house: House, now: Instant) -> Instant:
    purpose = house.purposes.get(consent.PERSONALISE)
    if purpose is None:
        return Instant(0)
    act = consent.resolve(record, purpose, "", now, house.purposes).act
    return act.at if act is not None else Instant(0)


# Not to be used


def close(
    opened: Workspace,
    person: PersonId,
    category: str,
    actor: Actor,
    given_by: str = "self",
) -> int:
    """Withdraw the agreement to one thing worked out; return the number of the event.

    Raises:
        InvalidInput: Nothing of this name is worked out.
    """
    kind = next((each for each in KINDS if each.category == category), None)
    if kind is None:
        raise InvalidInput("nothing of this name is worked out about anybody")
    choice = preferences.Choice(
        ConsentStatus.WITHDRAWN,
        consent.PERSONALISE,
        (),
        method="button",
        categories=(category,),
        given_by=given_by,
        source="my activity",
    )
    return preferences.record_choice(opened.desk, person, choice, actor)[-1].n


def exclude(opened: Workspace, eyes: Eyes, group: str, actor: Actor) -> int:
    """Let goods of a group be used for nothing personal from now on; return the event's number.

    Raises:
        InvalidInput: The person has no entry of such a group.
    """
    held = inferred_groups(opened, eyes)
    if group not in held:
        raise InvalidInput("you have nothing of such a group")
    return _changed(opened, eyes, actor, lambda groups: groups | {group})


def include(opened: Workspace, eyes: Eyes, group: str, actor: Actor) -> int:
    """Take an exclusion back; return the event's number."""
    return _changed(opened, eyes, actor, lambda groups: groups - {group})


def _changed(
    opened: Workspace,
    eyes: Eyes,
    actor: Actor,
    change: Callable[[frozenset[str]], frozenset[str]],
) -> int:
    """Change the list as it stands: of two changes at once neither is lost."""
    for _ in range(_TRIES):
        with opened.store.look() as view:
            seen = exclusions.version(view, eyes.person)
        held = excluded_of(opened, eyes)
        groups = change(inferred_groups(opened, eyes) if held is None else held)
        with suppress(Conflict):
            return people.set_exclusions(opened.desk, eyes.person, groups, actor, seen)[-1].n
    raise Unavailable("others keep writing to this record", "repeat in a moment", 1)


def inferred_groups(opened: Workspace, eyes: Eyes) -> frozenset[str]:
    """Return the goods groups among what somebody did."""
    pieces = owndata.behaviour(opened, eyes, ("purchases", "views"))
    return frozenset(group for piece in pieces for group in piece.chunk.groups if group)
