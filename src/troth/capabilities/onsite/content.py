"""What a visit may be shown: decided at each request, recorded once a visit, opened by permit."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from troth.capabilities.onsite.behaviour import (
    TRIES,
    note,
    noted,
    request_for,
    said_of,
    visit_key,
)
from troth.capabilities.onsite.model import CATEGORY, SCOPE, SITE
from troth.capabilities.onsite.slots import Shown, Slot, Values, choose
from troth.engines import ranking
from troth.errors import Conflict, EvidenceBroken, NotFound
from troth.kernel import consent, events, exclusions, gate, vault
from troth.kernel.calendars import quarter
from troth.kernel.desk import SYSTEM, Desk
from troth.ports import View
from troth.terms import (
    DAY,
    Action,
    Gathered,
    Instant,
    PersonId,
    Refusal,
    Sealed,
    UseRequest,
    moment,
)

_COMPARING = frozenset({"cohort.compare"})
"""What others buy is shown to nobody who excluded a group: here no item's group is known."""
WEEKS = {CATEGORY: 13, "purchases.13w": 13, "purchases.52w": 52}
BOUGHT = "purchases"
SHOWN_AT_MOST = 4
_LINKLIKE = re.compile(r"[/@:<>\\{}]|\w\.\w")
"""What might pass for a link, an address or markup: never set from what people typed."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """What lists are made of besides the person: names that may be shown, and who shops alike."""

    names: Mapping[str, str]
    alike: ranking.Alike


@dataclass(frozen=True, slots=True)
class _Answer:
    """One purpose's answer in one look."""

    request: UseRequest
    answer: gate.Permit | Refusal
    inputs: Callable[[], str]


def show(desk: Desk, person: PersonId | None, slot: Slot, shelf: Shelf, visit_us: int) -> Shown:
    """Return what this person may be shown in a slot: the most personal wording they agreed to.

    Each use is decided now; permitted or refused, it is an event of the person before anything is
    opened, once a visit and set of categories. Whoever nobody knows gets the default, and so does
    whoever is being erased, or whose data does not open.
    """
    plain = choose(slot, frozenset(), {})
    if person is None or not slot.uses:
        return plain
    for _ in range(TRIES):
        with suppress(Conflict):  # something was published meanwhile: look again
            shown = _once(desk, person, slot, shelf, visit_us)
            if shown is not None:
                return shown
    return plain


def _once(desk: Desk, person: PersonId, slot: Slot, shelf: Shelf, visit_us: int) -> Shown | None:
    """Look, decide, book what is not booked yet, open; None when the head moved meanwhile."""
    with desk.store.look() as view:
        found = view.gather([person], None)
        if not found or found[0].record.erasing:
            return choose(slot, frozenset(), {})
        answers = list(_decided(desk, view, found[0], slot.uses))
        keys = [visit_key(person, a.request, a.answer) for a in answers]
        due = [(k, a) for k, a in zip(keys, answers, strict=True) if not noted(view, k)]
        if due and not _booked(desk, view, found[0], due, visit_us):
            return None
        permits = [a.answer for a in answers if not isinstance(a.answer, Refusal)]
        return _filled(desk, view, permits, slot, shelf)


def _decided(
    desk: Desk, view: View, gathered: Gathered, uses: frozenset[str]
) -> Iterator[_Answer]:
    """Ask for as much as was agreed, under the purpose each category is agreed for."""
    house = desk.house(view)
    seen = uses & {CATEGORY}
    for purpose, wanted in ((consent.PERSONALISE, uses - seen), (SITE, seen)):
        if not wanted or purpose not in house.purposes:
            continue
        plain = request_for(gathered.person, purpose, Action.PERSONALISE, view.now, frozenset())
        claim = desk.claim(plain, house)  # the gate judges it again, with the categories asked for
        known = desk.facts(view, plain, claim, gathered)
        asked = gate.allowed_categories(plain, known) & wanted or wanted
        request = request_for(gathered.person, purpose, Action.PERSONALISE, view.now, asked)
        facts = desk.facts(view, request, claim, gathered)
        answer = gate.decide(request, facts)
        yield _Answer(request, answer, partial(gate.inputs_digest, request, facts))


def _booked(
    desk: Desk,
    view: View,
    gathered: Gathered,
    due: Sequence[tuple[bytes, _Answer]],
    visit_us: int,
) -> bool:
    said: list[events.Payload] = [
        said_of(desk, view, a.request, a.answer, a.inputs()) for _, a in due
    ]
    prepared = desk.scribe.prepare(gathered.person, gathered.head, said, SYSTEM, view.now)
    with desk.store.book(view.house_version) as tx:
        if tx.append(prepared):
            return False
        for key, _ in due:
            note(tx, gathered.person, key, visit_us)
    return True


def _filled(
    desk: Desk, view: View, permits: Sequence[gate.Permit], slot: Slot, shelf: Shelf
) -> Shown:
    values: dict[str, str | Sequence[str]] = {}
    permitted: set[str] = set()
    for permit in permits:
        wanted = slot.uses & permit.categories.keys()
        with suppress(NotFound, EvidenceBroken):  # data that does not open is not shown
            values |= _values(desk, view, permit, wanted, shelf)
            permitted |= wanted
    return choose(slot, frozenset(permitted), values)


def _values(
    desk: Desk, view: View, permit: gate.Permit, wanted: frozenset[str], shelf: Shelf
) -> Values:
    """Open what the slot wants and the permit covers; nothing else is read."""
    told = [
        f for f in desk.vault.fields if f != exclusions.FIELD and desk.vault.category(f) in wanted
    ]
    reached = sorted(c for c in WEEKS if c in wanted)
    scopes = sorted({c.rpartition(".")[0] for c in reached})
    fields = [*told, *(f"{scope}/" for scope in scopes)]
    rows = view.sealed([permit.person], fields).get(permit.person, []) if fields else []
    opened = desk.vault.open(permit, [r for r in rows if "/" not in r.field], view.now)
    out: dict[str, str | Sequence[str]] = dict(_told(opened))
    excluded = exclusions.excluded(desk.vault, view, [permit] if scopes else []).get(permit.person)
    if excluded is None:
        return out
    for scope in scopes:
        mine = [c for c in reached if c.rpartition(".")[0] == scope]
        near = _near(scope, rows, view.now, max(WEEKS[c] for c in mine))
        for category, chunks in desk.vault.open_windows(permit, near, mine, view.now).items():
            lines = list(_lines(chunks, scope, excluded))
            out |= _from_history(
                category, lines, wanted - _COMPARING if excluded else wanted, shelf
            )
    return out


def _told(opened: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    name = opened.get("name.given", "")[:40]
    if name and not _LINKLIKE.search(name):
        yield "first_name", name
    interest = opened.get("interests", "").partition(";")[0][:40]
    if interest and not _LINKLIKE.search(interest):
        yield "interest", interest


def _near(scope: str, rows: Iterable[Sealed], now: Instant, weeks: int) -> list[Sealed]:
    first = moment(Instant(now - weeks * 7 * DAY)).date()
    oldest = f"{scope}/{quarter(first)}"
    return [r for r in rows if r.field.startswith(f"{scope}/") and r.field >= oldest]


Lines = list[tuple[int, str, int]]
_KINDS = {BOUGHT: "purchase", SCOPE: "view"}


def _lines(
    chunks: Iterable[vault.Chunk], scope: str, excluded: frozenset[str]
) -> Iterator[tuple[int, str, int]]:
    for chunk in chunks:
        counted = {i for i, kind in enumerate(chunk.kinds) if kind == _KINDS[scope]}
        left = [chunk.groups[group] not in excluded for group in chunk.item_group]
        for at, kind, item, units in zip(
            chunk.at, chunk.kind, chunk.item, chunk.units, strict=True
        ):
            if kind in counted and left[item]:
                yield at, chunk.items[item], units


def _from_history(category: str, lines: Lines, wanted: frozenset[str], shelf: Shelf) -> Values:
    names = shelf.names
    best = ranking.favourites(lines, names, ranking.BASKET_ITEMS)
    top = [names[f.item] for f in best[:SHOWN_AT_MOST]]
    if category == CATEGORY:
        latest = sorted(best, key=lambda f: (-f.last, f.item))[:SHOWN_AT_MOST]
        return {"viewed": [names[f.item] for f in latest]}
    if category == "purchases.13w":
        return {"favourites": top}
    out: dict[str, str | Sequence[str]] = {"often": top[0]} if top else {}
    if "cohort.compare" in wanted and shelf.alike.beside:
        found = ranking.rank(shelf.alike, [f.item for f in best], SHOWN_AT_MOST)
        out["alike"] = [names[item] for item in found if item in names]
    return out
