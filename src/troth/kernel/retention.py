"""How long what is held may be kept: per field and behaviour quarter until when, and why.

A purpose keeps data while its ground stands (an agreement, a relationship) and no longer than it
says itself, nor longer than any category reaches back, nor longer than the person chose. What no
purpose may use any more goes; under a restriction it stays, stored only. The rule that is cited
comes from the regimes in force.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

from troth.errors import InvalidInput
from troth.kernel import consent
from troth.kernel.facts import House
from troth.terms import (
    DAY,
    DENYING,
    GRANTING,
    Instant,
    PersonRecord,
    Purpose,
    PurposeKind,
    Relation,
    instant,
)

Action = Literal["keep", "cut", "delete", "restrict"]
OWN: Final = "person.choice"
"""The rule of what goes because the person chose how long their activity is kept."""
NO_END: Final = Instant(2**62)
"""A ground that stands until somebody ends it: an open contract."""
_QUARTERS, _MONTHS = 4, 3
_BY_RELATION = frozenset({PurposeKind.SERVICE, PurposeKind.OPERATIONS})
_LASTING = frozenset({"contract", "membership"})


@dataclass(frozen=True, slots=True)
class Held:
    """One thing held about a person.

    Attributes:
        field: Field id, or a behaviour scope such as `purchases/2026Q4`.
        category: Data category of a field; of a scope, the name before the slash.
    """

    field: str
    category: str


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of one thing held.

    Attributes:
        until: First instant it may no longer be used; `NO_END` while a ground has no end; 0 when
            no purpose may use it at all.
        purpose: Which purpose keeps it longest; "" where it goes with the person's last data.
        rule: Id of the rule that ends it, several joined by `+`, `house`, or `OWN`.
        before: Of a quarter that is cut: every entry before this instant goes.
    """

    field: str
    action: Action
    until: Instant
    purpose: str
    rule: str
    before: int = 0


def plan(
    record: PersonRecord, held: Sequence[Held], house: House, at: Instant, since: Instant
) -> list[Row]:
    """Say what may be kept of a person and what not, at an instant.

    What no purpose names (an outside id, a birth year, the address itself) serves the person's
    own rights and the gate: it stays as long as anything else does.

    Args:
        record: The person, merged ids folded in.
        held: What is held.
        house: The house as published.
        at: The instant asked about.
        since: When the person came in, for whom nothing else is dated; 0 long ago.

    Raises:
        InvalidInput: A behaviour scope names no quarter.
    """
    rule = rule_of(record, house, at)
    if not record.relations:
        record = replace(record, relations=(Relation("inquiry", since),))
    grounds = {p.name: _last(record, p, house, at) for p in house.purposes.values()}
    last = max(grounds.values(), default=Instant(0))
    agreed = consent.agreed_categories(record, house, at)
    rows = []
    for each in held:
        found = _longest(each, house, grounds, agreed)
        row = _row(each.field, found or (last, ""), record, rule, at)
        rows.append(_shortened(row, record, at))
    return rows


def rule_of(record: PersonRecord, house: House, at: Instant) -> str:
    """Return the ids of the retention rules that reach this person, or `house`."""
    rules = house.ruleset.retention_rules(record.residence, house.seat, at)
    return "+".join(rule.id for rule in rules) or "house"


def nothing_left(rows: Sequence[Row]) -> bool:
    """Tell whether the house may keep nothing: then the person is to be erased, not emptied."""
    return bool(rows) and all(row.action == "delete" and row.rule != OWN for row in rows)


def months_ago(at: Instant, months: int) -> Instant:
    """Return the same wall-clock time some months before, in UTC."""
    return consent.months_on(at, -months)


def own_cut(record: PersonRecord, scope: str, at: Instant) -> Instant:
    """Return before which instant a scope's entries go by the person's own choice; 0 none."""
    months = record.keeps.get(scope.partition("/")[0].partition(".")[0], 0)
    return months_ago(at, months) if months else Instant(0)


def _shortened(row: Row, record: PersonRecord, at: Instant) -> Row:
    """Let the person's own choice end behaviour sooner: whole quarters, or part of one.

    Under a restriction nothing is deleted that the house may keep.
    """
    cut = own_cut(record, row.field, at) if "/" in row.field else Instant(0)
    if not cut or row.action != "keep" or record.restricted:
        return row
    end = quarter_end(row.field)
    if cut >= end:
        return replace(row, action="delete", until=Instant(at - (cut - end)), rule=OWN)
    until = min(row.until, Instant(end + (at - cut)))
    if cut > consent.months_on(end, -_MONTHS):
        return replace(row, action="cut", until=until, rule=OWN, before=cut)
    return replace(row, until=until)


def _row(
    field: str, found: tuple[Instant, str], record: PersonRecord, rule: str, at: Instant
) -> Row:
    until, purpose = found
    action: Action = "keep"
    if at >= until:
        action = "restrict" if record.restricted else "delete"
    return Row(field, action, until, purpose, rule)


def _longest(
    held: Held, house: House, grounds: Mapping[str, Instant], agreed: frozenset[str]
) -> tuple[Instant, str] | None:
    """Return until when, and for which purpose; None for what no purpose names."""
    levelled = frozenset[str]().union(*house.levels)
    found = []
    for purpose in house.purposes.values():
        reaches = _reaches(purpose, held)
        may = {c: days for c, days in reaches.items() if _open(purpose, c, levelled, agreed)}
        if may:
            found.append((_until(held, grounds[purpose.name], max(may.values())), purpose.name))
        elif reaches:
            found.append((Instant(0), ""))
    if not found:
        return (Instant(0), "") if "/" in held.field else None
    return max(found)


def _reaches(purpose: Purpose, held: Held) -> dict[str, int]:
    """Return by category how many days back a purpose may look at this; empty if not at all."""
    days = purpose.retention_days
    out = {held.category: days} if held.category in purpose.categories else {}
    for category in purpose.categories if "/" in held.field else ():
        base, _, window = category.rpartition(".")
        if base == held.category and window[-1:] == "w" and window[:-1].isdecimal():
            out[category] = min(days, int(window[:-1]) * 7)
    return out


def _open(
    purpose: Purpose, category: str, levelled: frozenset[str], agreed: frozenset[str]
) -> bool:
    """Tell whether a purpose may open a category: what a level opens needs the person's yes."""
    if purpose.kind in _BY_RELATION or category in agreed:
        return True
    return purpose.kind is not PurposeKind.PERSONALISE and category not in levelled


def _last(record: PersonRecord, purpose: Purpose, house: House, at: Instant) -> Instant:
    """Return until when a purpose may use anything of the person."""
    return max(_grounds(record, purpose, house, at), default=Instant(0))


def _until(held: Held, ground: Instant, days: int) -> Instant:
    if "/" not in held.field:
        return ground
    return min(ground, Instant(quarter_end(held.field) + days * DAY))


@lru_cache(maxsize=1024)
def quarter_end(scope: str) -> Instant:
    """Return the first instant after a scope's quarter, UTC.

    Raises:
        InvalidInput: The scope names no quarter.

    >>> quarter_end("purchases/2026Q4") == instant(datetime(2027, 1, 1, tzinfo=UTC))
    True
    """
    year, _, quarter = scope.rpartition("/")[2].partition("Q")
    if not (year.isdecimal() and quarter in {"1", "2", "3", "4"}):
        raise InvalidInput("a behaviour scope names no quarter")
    over = int(quarter) // _QUARTERS
    month = 1 if over else int(quarter) * 3 + 1
    return instant(datetime(int(year) + over, month, 1, tzinfo=UTC))


def _grounds(
    record: PersonRecord, purpose: Purpose, house: House, at: Instant
) -> Iterable[Instant]:
    """Yield the ends of every ground that stands for a purpose."""
    if purpose.kind in _BY_RELATION:
        yield from _relations(record, purpose)
        return
    found = [_standing(record, purpose, name, house, at) for name in ("", *purpose.channels)]
    yield from (end for _, end in found if end)
    denied = all(status in DENYING for status, _ in found[1:] or found)
    if purpose.kind is not PurposeKind.PERSONALISE and not denied:
        yield from _relations(record, purpose)


def _standing(
    record: PersonRecord, purpose: Purpose, channel: str, house: House, at: Instant
) -> tuple[str, Instant]:
    """Return what stands and, where it is a yes, when it ends."""
    status, act, _ = consent.resolve(record, purpose, channel, at, house.purposes)
    if act is None or status not in GRANTING:
        return status, Instant(0)
    kept = act.at + purpose.retention_days * DAY
    end = consent.grant_end(purpose, act)
    return status, Instant(min(end, kept) if end else kept)


def _relations(record: PersonRecord, purpose: Purpose) -> Iterable[Instant]:
    for relation in record.relations:
        if relation.kind in _LASTING and not relation.until:
            yield NO_END
        last = max(relation.at, relation.until)
        yield Instant(last + purpose.retention_days * DAY)
