"""People who differ in nothing a decision could turn on, so that one decision serves them all.

A person's gate facts are split into their *shape* (everything but instants) and their *moments*.
A rule compares a moment with the present or with a day or month before it (a *cut*), or an act
with a denial of the same person. So two people of one shape get one answer if each moment of the
one lies on the same side of every cut of its kind as that of the other, and their acts stand in
the same order. Nothing is decided here: who is grouped is judged by the gate, once a group.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import combinations
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from troth.kernel import wishes
from troth.kernel.calendars import add_months, day_begins, local_date, months_back
from troth.kernel.facts import House
from troth.kernel.predicates import PREDICATES
from troth.terms import (
    DAY,
    NO_HEAD,
    SECOND,
    Act,
    Block,
    Channel,
    ConsentStatus,
    ContactPoint,
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    Relation,
    Standing,
    Wishes,
    instant,
    moment,
)

NOBODY: Final = PersonId(bytes(16))
"""Who stands for a group: an id nobody has."""
_SIDES = ("grant", "deny", "neutral")
_MOST_MONTHS = 1_200
_CLAMPED_DAYS = 4
_ONE_DAY = timedelta(days=1)
_encode = msgspec.msgpack.Encoder().encode
_Shape = tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...], tuple[Any, ...], str]
_decode = msgspec.msgpack.Decoder(_Shape).decode


class Group(Protocol):
    """Some people of one shape whose moments no cut tells apart."""

    @property
    def shape(self) -> bytes:
        """The shape they share."""
        ...

    @property
    def moments(self) -> Sequence[int]:
        """The moments of one of them."""
        ...

    @property
    def people(self) -> int:
        """How many they are."""
        ...


class Grouping(Protocol):
    """A copy of everybody's shapes and moments, as of one ledger size."""

    @property
    def ledger_size(self) -> int:
        """Whoever has an event from here on is not as the copy says."""
        ...

    def groups(
        self, people: Sequence[PersonId], cuts: Sequence[Sequence[int]]
    ) -> tuple[Sequence[Group], Sequence[PersonId], str]:
        """Group people; return the groups, whom the copy does not know, and the members' root."""
        ...


def split(gathered: Gathered) -> tuple[bytes, tuple[int, ...]]:
    """Split facts into their shape and their moments; the language decides nothing."""
    record, moments = gathered.record, list[int]()
    held = [
        (place, side, act)
        for place, standing in sorted(record.standings.items())
        for side, act in zip(
            _SIDES, (standing.grant, standing.deny, standing.neutral), strict=True
        )
        if act is not None
    ]
    ranks = {n: rank for rank, n in enumerate(sorted({act.n for _, _, act in held}))}
    acts = []
    for place, side, act in held:
        acts.append((place, side, act.status, ranks[act.n], act.categories, act.notice,
                     act.confirmed, act.by))  # fmt: skip
        moments += (act.at, act.recorded, act.until)
    relations = []
    for fact in record.relations:
        relations.append((fact.kind, fact.brand, fact.goods, fact.collected,
                          fact.objection_offered))  # fmt: skip
        moments += (fact.at, fact.until)
    blocks = []
    for block in gathered.blocks:
        blocks.append((block.reason, block.scope, block.value))
        moments.append(block.until)
    sends = tuple([(channel, len(sent)) for channel, sent in sorted(record.sends.items())])
    for channel, _ in sends:
        moments += record.sends[channel]
    plain: tuple[Any, ...] = (
        record.residence, record.zone, record.subject, record.age, record.competent,
        record.level, record.restricted, record.erasing, record.alias, sends,
    )  # fmt: skip
    if record.wishes is not None:
        plain += ((record.wishes.most, record.wishes.quiet),)
        moments.append(record.wishes.pause_until)
    channel = str(gathered.contact.channel) if gathered.contact else ""
    return _encode((plain, acts, relations, blocks, channel)), tuple(moments)


class Plan(NamedTuple):
    """How the moments of a shape are told apart.

    Attributes:
        kinds: Per moment, by which of `cuts` it is cut.
        pairs: Places of moments whose order tells people apart.
    """

    kinds: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]


_read = lru_cache(maxsize=4_096)(_decode)
"""A shape is met once for each of its groups."""


def plan(shape: bytes) -> Plan:
    """Say how the moments of a shape are told apart: acts by denials, the rest by the present."""
    plain, acts, relations, blocks, _ = _read(shape)
    kinds = [_ACT, _NEVER, _END] * len(acts) + [_RELATION] * 2 * len(relations)
    pairs = [(len(acts) * 3 + 2 * n, len(acts) * 3 + 2 * n + 1) for n in range(len(relations))]
    for one, other in combinations(range(len(acts)), 2):
        if "deny" in (acts[one][1], acts[other][1]):
            pairs += [(3 * one, 3 * other), (3 * one + 1, 3 * other + 1)]
    sent = sum(count for _, count in plain[_SENDS])
    kinds += [_END] * len(blocks)
    kinds += [*([_COUNTED] * sent), _END] if len(plain) > _WISHES else [_SENT] * sent
    return Plan(tuple(kinds), tuple(pairs))


_NEVER, _ACT, _END, _RELATION, _SENT, _COUNTED = range(6)
"""Kinds of moments: recordings, acts, ends, relations, hand-overs, those of whoever wishes
anything; places in `cuts`."""
_SENDS, _WISHES = 9, 10
"""Places in a shape's plain facts; who wishes nothing has none of the latter."""


def join(shape: bytes, moments: Sequence[int]) -> Gathered:
    """Put a shape and moments together again, as the facts of `NOBODY`."""
    plain, acts, relations, blocks, channel = _read(shape)
    left = iter(moments)
    held: dict[str, dict[str, Act]] = {}
    for place, side, *rest in acts:
        held.setdefault(place, {})[side] = _act(rest, left)
    standings = {place: Standing(**sides) for place, sides in held.items()}
    facts = tuple(_relation(each, left) for each in relations)
    found = tuple(Block(reason, scope, value, until=next(left)) for reason, scope, value in blocks)
    residence, zone, subject, age, competent, level, restricted, erasing, alias, sends = plain[
        :_WISHES
    ]
    record = PersonRecord(
        residence, zone, subject, age, competent, "", standings, facts,
        {name: tuple(next(left) for _ in range(count)) for name, count in sends},
        level, restricted, erasing, alias, _wishes(plain[_WISHES:], left),
    )  # fmt: skip
    contact = ContactPoint(Channel(channel), b"", b"") if channel else None
    return Gathered(NOBODY, NO_HEAD, record, contact, found)


def _wishes(told: Sequence[Any], left: Iterator[int]) -> Wishes | None:
    """Read what a shape holds of wishes; their one moment is the last."""
    if not told:
        return None
    most, quiet = told[0]
    return Wishes(next(left), most, tuple(quiet) if quiet else None)


def _act(rest: Sequence[Any], left: Iterator[int]) -> Act:
    status, n, categories, notice, confirmed, by = rest
    at, recorded, until = Instant(next(left)), Instant(next(left)), next(left)
    named = tuple(categories)
    return Act(ConsentStatus(status), at, recorded, n, until, named, notice, confirmed, by)


def _relation(told: Sequence[Any], left: Iterator[int]) -> Relation:
    kind, brand, goods, collected, offered = told
    return Relation(kind, Instant(next(left)), brand, goods, collected, offered, next(left))


def cuts(house: House, at: Instant) -> tuple[tuple[int, ...], ...]:
    """Return per kind of moment every instant a decision at `at` could compare one with."""
    months = {purpose.consent_months for purpose in house.purposes.values()} - {0}
    days = {days for _, days in house.caps.values()}
    acts, relations = {int(at), house.unsure_before}, {0, int(at)}
    sent = {int(at), at + SECOND - 1}
    for count in months:
        acts |= _consent_ends(at, count)
    for rule in house.ruleset.rules:
        if rule.predicate not in PREDICATES:
            continue  # not for the gate
        zone, known = house.ruleset.regimes[rule.regime].zone, rule.predicate in KNOWN
        for number in _numbers(rule.params.get("implied", {}) if known else rule.params):
            relations |= _day_begins(at, number, zone)
            if not known:
                days.add(number)
                acts |= _consent_ends(at, number) | _day_begins(at, number, zone)
    sent |= {at - count * DAY for count in days}
    counted = sent | {at - wishes.DAYS * DAY}
    return (
        (), tuple(sorted(acts)), (0, int(at)), tuple(sorted(relations)), tuple(sorted(sent)),
        tuple(sorted(counted)),
    )  # fmt: skip


KNOWN: Final = frozenset(
    {"ground", "ask_once", "no_objection", "not_opted_out", "competent_person", "quiet_window",
     "registry_cleansed_within", "registry_block", "notice_current"}
)  # fmt: skip
"""Predicates of which it is known what they compare; any other cuts by each of its numbers."""


def _day_begins(at: Instant, months: int, zone: str) -> set[int]:
    """Return the beginning of the day so many months back, on dates of a zone."""
    day = months_back(local_date(at, zone), months)
    return {int(day_begins(day, zone)), int(day_begins(day + _ONE_DAY, zone))}


def _consent_ends(at: Instant, months: int) -> set[int]:
    """Return the moments between which a consent of so many months lasts, or not, at `at`.

    The end of a short month stands for several days of a longer one: each of them is cut at its
    beginning and at the hour of `at`.
    """
    now = moment(at)
    near = months_back(now.date(), months)
    days = [near + _ONE_DAY * shift for shift in range(-_CLAMPED_DAYS, _CLAMPED_DAYS + 1)]
    out = {int(day_begins(next(d for d in days if add_months(d, months) >= now.date()), "UTC"))}
    same = [day for day in days if add_months(day, months) == now.date()]
    for day in same:
        out.add(int(instant(now.replace(year=day.year, month=day.month, day=day.day))))
        out.add(int(day_begins(day, "UTC")))
    return out


def _numbers(value: object) -> Iterator[int]:
    """Yield every number of days or months in a rule's parameters."""
    if isinstance(value, bool):
        return
    if isinstance(value, int) and 0 < value <= _MOST_MONTHS:
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _numbers(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _numbers(each)
