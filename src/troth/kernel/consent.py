"""From a person's acts to what stands now: the fold, and the question asked of it.

The state is a join-semilattice. Per purpose and channel it keeps the greatest granting, denying
and neutral act under one total order, so acts may arrive in any order, twice or late, and the
record comes out the same. Nothing here is consent by silence: imported, requested and deferred
acts are remembered and open nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from troth.errors import InvalidInput
from troth.kernel.calendars import add_months
from troth.kernel.facts import House
from troth.terms import (
    DENYING,
    GRANTING,
    SECOND,
    Act,
    Channel,
    ConsentStatus,
    Instant,
    PersonRecord,
    Purpose,
    PurposeKind,
    Relation,
    Standing,
    instant,
    moment,
)

EVERY: Final = "*"
"""The channel of a denial that closes every channel; never accepted in a grant."""
PERSONALISE: Final = "personalise"
"""The one purpose under which levels are agreed."""
LEVEL_KEY: Final = "#level"
"""Where the chosen level's own act is kept; no purpose name may begin with `#`."""
SENDS_KEPT: Final = 32
FUTURE_TOLERANCE: Final = 300 * SECOND
"""How far an act may lie after the moment it was recorded (clocks of devices differ)."""
TOP_LEVEL: Final = 5

_GUARDIANS = frozenset({"competent_person", "authorised_agent"})
_PROOFS = ("notice", "time", "method", "proof")
_EMPTY: Final = Standing()
_NO_CATEGORIES: frozenset[str] = frozenset()


class Stated(NamedTuple):
    """One act together with the scope it is about, as read from an event."""

    purpose: str
    channels: tuple[str, ...]
    act: Act


class Resolution(NamedTuple):
    """What stands for one purpose and channel.

    Attributes:
        status: given or reaffirmed where a consent is valid now; otherwise why it is not.
        act: The act that decided, None when nothing was ever said.
        purpose: The purpose that act was about: this one or a parent.
    """

    status: ConsentStatus
    act: Act | None
    purpose: str


class Scope(NamedTuple):
    """Keys of the standings that bear on one purpose and channel; made by `scope`, kept by users.

    Attributes:
        exact: Where a grant must stand.
        wide: Where denials stand besides: every channel, and the parents.
    """

    purpose: Purpose
    exact: str
    wide: tuple[str, ...]


def key(purpose: str, channel: str) -> str:
    """Name a standing; channel "" is a use that needs no channel."""
    return f"{purpose}|{channel}"


def newer(left: Act, right: Act) -> bool:
    """Tell whether `left` comes after `right`; on equal times the more restrictive one does."""
    return _rank(left) > _rank(right)


def _rank(act: Act) -> tuple[object, ...]:
    """The total order of acts: times, restriction, place in the chain, then content.

    Content comes last so that two different acts never tie, also across merged chains: an earlier
    end, no confirmation and fewer categories count as the more restrictive.
    """
    return (
        act.at,
        act.recorded,
        act.status in DENYING,
        act.n,
        not act.confirmed,
        -act.until if act.until else -(1 << 62),
        -len(act.categories),
        act.status.value,
        act.categories,
        act.notice,
        act.by,
    )


def _newest(one: Act | None, other: Act | None) -> Act | None:
    if one is None or other is None:
        return one or other
    return one if _rank(one) >= _rank(other) else other


def _with(standing: Standing, act: Act) -> Standing:
    if act.status in GRANTING:
        return replace(standing, grant=_newest(standing.grant, act))
    if act.status in DENYING:
        return replace(standing, deny=_newest(standing.deny, act))
    return replace(standing, neutral=_newest(standing.neutral, act))


def apply_consent(
    record: PersonRecord,
    *,
    kind: ConsentStatus,
    purpose: str,
    channels: tuple[str, ...],
    act: Act,
) -> PersonRecord:
    """Fold one act into a record; repeating it, or changing the order of acts, changes nothing.

    Args:
        record: What is known so far.
        kind: What was done; must be `act.status`.
        purpose: Name of the purpose it is about.
        channels: The channels named. `("*",)` closes every channel and is refused in a grant.
            Empty stands for a use without a channel, as under `personalise`: a grant then holds
            there alone; a denial with categories closes these categories alone, one without
            closes the whole purpose.
        act: The act, its categories sorted or not.

    Raises:
        InvalidInput: The act says another kind than `kind`, lies more than five minutes after its
            recording (quarantine it), grants every channel at once, grants by a signal, or names
            a purpose or channel that cannot be a key. Nothing was folded.
    """
    _check(kind, purpose, channels, act)
    standings = dict(record.standings)
    for place in _places(kind, purpose, channels, act):
        standings[place] = _with(standings.get(place, _EMPTY), act)
    return replace(record, standings=standings)


def _check(kind: ConsentStatus, purpose: str, channels: tuple[str, ...], act: Act) -> None:
    if act.status is not kind:
        raise InvalidInput("an act and its event name two different kinds of consent")
    if act.at > act.recorded + FUTURE_TOLERANCE:
        raise InvalidInput(
            "an act lies more than five minutes in the future",
            "keep it in quarantine and check the clock of its source",
        )
    if not purpose or purpose.startswith("#") or "|" in purpose:
        raise InvalidInput("a purpose's name is empty or holds a reserved sign")
    unknown = [name for name in channels if name != EVERY and name not in _CHANNELS]
    if unknown:
        raise InvalidInput("an act names a channel that does not exist")
    if kind in GRANTING:
        if EVERY in channels:
            raise InvalidInput("a grant names each channel; every channel at once is not accepted")
        if act.by == "signal":
            raise InvalidInput("a signal can opt out, it never grants")


_CHANNELS = frozenset(channel.value for channel in Channel)


def _places(
    kind: ConsentStatus, purpose: str, channels: tuple[str, ...], act: Act
) -> tuple[str, ...]:
    if channels:
        return tuple(key(purpose, str(channel)) for channel in channels)
    if kind not in DENYING:
        return (key(purpose, ""),)
    if act.categories:
        return tuple(key(purpose, f"#{category}") for category in act.categories)
    return (key(purpose, EVERY),)


def apply_level(record: PersonRecord, level: int, act: Act) -> PersonRecord:
    """Note the level a person chose, 0 to 5: a preference, which narrows and never grants.

    The newest choice stands; of two at the same moment the lower. Going up also needs the consent
    event whose categories open the level; going down needs nothing else to take effect.

    Raises:
        InvalidInput: No such level, or the act lies in the future. Nothing was folded.
    """
    if not 0 <= level <= TOP_LEVEL:
        raise InvalidInput(f"a level lies between 0 and {TOP_LEVEL}")
    if act.at > act.recorded + FUTURE_TOLERANCE:
        raise InvalidInput("a choice of level lies more than five minutes in the future")
    chosen = replace(act, status=ConsentStatus.GIVEN, categories=(str(level),))
    return _with_level(record, chosen)


def _level_rank(act: Act) -> tuple[object, ...]:
    return (act.at, act.recorded, -int(act.categories[0]), act.n, act.notice, act.by)


def _with_level(record: PersonRecord, chosen: Act) -> PersonRecord:
    held = record.standings.get(LEVEL_KEY, _EMPTY).neutral
    if held is not None and _level_rank(held) >= _level_rank(chosen):
        chosen = held
    standings = {**record.standings, LEVEL_KEY: Standing(neutral=chosen)}
    return replace(record, standings=standings, level=int(chosen.categories[0]))


def apply_relation(record: PersonRecord, relation: Relation) -> PersonRecord:
    """Fold one relationship fact; of facts alike but for their dates only the newest is kept."""
    return replace(record, relations=_relations((*record.relations, relation)))


def _relations(facts: Iterable[Relation]) -> tuple[Relation, ...]:
    kept: dict[tuple[object, ...], Relation] = {}
    for fact in facts:
        alike = (fact.kind, fact.brand, fact.goods, fact.collected, fact.objection_offered)
        held = kept.get(alike)
        if held is None or (fact.at, fact.until) > (held.at, held.until):
            kept[alike] = fact
    return tuple(kept[alike] for alike in sorted(kept))


def apply_send(record: PersonRecord, channel: str, at: Instant) -> PersonRecord:
    """Fold one marketing hand-over; the newest 32 per channel are kept."""
    kept = _latest((*record.sends.get(channel, ()), at))
    return replace(record, sends={**record.sends, channel: kept})


def _latest(moments: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(moments))[-SENDS_KEPT:])


def join(mine: PersonRecord, theirs: PersonRecord) -> PersonRecord:
    """Join two partial folds of the same person: the fold of all their events together.

    Flags that restrict are or-ed; facts such as residence stay as `mine` has them.
    """
    standings = dict(mine.standings)
    for place, other in theirs.standings.items():
        held = standings.get(place, _EMPTY)
        standings[place] = Standing(
            _newest(held.grant, other.grant),
            _newest(held.deny, other.deny),
            _newest(held.neutral, other.neutral),
        )
    channels = mine.sends.keys() | theirs.sends.keys()
    sends = {c: _latest((*mine.sends.get(c, ()), *theirs.sends.get(c, ()))) for c in channels}
    joined = replace(
        mine,
        standings={k: v for k, v in standings.items() if k != LEVEL_KEY},
        relations=_relations((*mine.relations, *theirs.relations)),
        sends=sends,
        level=-1,
        restricted=mine.restricted or theirs.restricted,
        erasing=mine.erasing or theirs.erasing,
    )
    for side in (mine, theirs):
        chosen = side.standings.get(LEVEL_KEY, _EMPTY).neutral
        if chosen is not None:
            joined = _with_level(joined, chosen)
    return joined


def merge(
    mine: PersonRecord, theirs: PersonRecord, *, purposes: Mapping[str, Purpose], act: Act
) -> PersonRecord:
    """Merge two profiles into `mine`: the most restrictive of both, per purpose and channel.

    Where either profile had said no, the merge itself counts as that no, from `act` on: a yes that
    the other profile gave later does not survive it, a yes given after the merge does. To undo a
    merge, fold both chains again without it.

    Args:
        mine: The profile that stays.
        theirs: The profile that becomes its alias.
        purposes: Every purpose published, by name.
        act: Place and time of the merge event; its status is not read.
    """
    merged = _narrow_facts(join(mine, theirs), mine, theirs)
    for name in sorted(purposes):
        for channel in (*_CHANNELS, ""):
            sides = [
                resolve(side, purposes[name], channel, act.at, purposes) for side in (mine, theirs)
            ]
            denials = [side for side in sides if side.status in DENYING]
            if not denials:
                continue
            if resolve(merged, purposes[name], channel, act.at, purposes).status in GRANTING:
                status = max(denials, key=lambda side: _rank(side.act or act)).status
                denial = replace(act, status=status, categories=(), until=0)
                place = key(name, channel or EVERY)
                held = merged.standings.get(place, _EMPTY)
                standings = {**merged.standings, place: _with(held, denial)}
                merged = replace(merged, standings=standings)
    levels = [side.level for side in (mine, theirs) if side.level >= 0]
    return apply_level(merged, min(levels), act) if levels else merged


def _narrow_facts(joined: PersonRecord, mine: PersonRecord, theirs: PersonRecord) -> PersonRecord:
    """Where the profiles' facts differ: unknown, and the younger; so the stricter applies."""
    return replace(
        joined,
        residence=_agreed(mine.residence, theirs.residence),
        zone=_agreed(mine.zone, theirs.zone),
        language=mine.language or theirs.language,
        subject=mine.subject if mine.subject == theirs.subject else "natural",
        age="minor" if "minor" in (mine.age, theirs.age) else mine.age or theirs.age,
        competent=mine.competent and theirs.competent,
    )


def _agreed(one: str, other: str) -> str:
    if one and other and one != other:
        return ""
    return one or other


def as_of(acts: Iterable[Stated], *, valid: Instant, known: Instant) -> PersonRecord:
    """Fold what had happened by `valid` as far as it was known at `known`: both time axes."""
    record = PersonRecord()
    for purpose, channels, act in acts:
        if act.at <= valid and act.recorded <= known:
            record = apply_consent(
                record, kind=act.status, purpose=purpose, channels=channels, act=act
            )
    return record


def missing_proof(row: Mapping[str, str], published: Collection[str]) -> tuple[str, ...]:
    """Name what an imported yes lacks; only when nothing is missing may it be stored as given.

    Args:
        row: `notice` (`name@version`), `time`, `method` and `proof`, as far as the file has them.
        published: Labels of all notice versions published.

    Returns:
        The missing ones of the four, in a fixed order; a notice nobody published is missing.
    """
    lacking = [name for name in _PROOFS if not row.get(name, "").strip()]
    if "notice" not in lacking and row["notice"] not in published:
        lacking.insert(0, "notice")
    return tuple(lacking)


def scope(purpose: Purpose, channel: str, purposes: Mapping[str, Purpose]) -> Scope:
    """Work out once which standings bear on a purpose and channel; a circle of parents ends."""
    names, wide = [purpose.name], [key(purpose.name, EVERY)]
    parent = purpose.parent
    while parent and parent not in names:
        names.append(parent)
        wide += [key(parent, channel), key(parent, EVERY)]
        above = purposes.get(parent)
        parent = above.parent if above is not None else ""
    return Scope(purpose, key(purpose.name, channel), tuple(wide))


def resolve(
    record: PersonRecord,
    purpose: Purpose,
    channel: str,
    at: Instant,
    purposes: Mapping[str, Purpose],
) -> Resolution:
    """Say what stands for a purpose and channel ("" for none) at an instant.

    A consent is valid when it was given for exactly this purpose and channel, by somebody who may,
    is proven where the purpose asks for it, has not run out, and is newer than every denial on
    the scope, on every channel, and on every parent. A consent on a parent opens nothing here.
    """
    return stands(record, scope(purpose, channel, purposes), at)


def stands(record: PersonRecord, where: Scope, at: Instant) -> Resolution:
    """Answer `resolve` for a scope made beforehand; about a microsecond."""
    standings = record.standings
    held = standings.get(where.exact)
    grant = deny = None
    if held is not None:
        grant, deny = held.grant, held.deny
    place = where.exact
    for wide in where.wide:
        other = standings.get(wide)
        if other is None or other.deny is None:
            continue
        if deny is None or _rank(other.deny) > _rank(deny):
            deny, place = other.deny, wide
    if grant is not None and not _proven(record, where.purpose, grant, at):
        if deny is None:
            return Resolution(ConsentStatus.REQUESTED, grant, where.purpose.name)
        grant = None
    if grant is not None and (
        deny is None or (grant.at, grant.recorded) > (deny.at, deny.recorded)
    ):
        if _over(where.purpose, grant, at):
            return Resolution(ConsentStatus.EXPIRED, grant, where.purpose.name)
        return Resolution(grant.status, grant, where.purpose.name)
    if deny is not None:
        return Resolution(deny.status, deny, place.partition("|")[0])
    return _unanswered(held, where.purpose.name)


def _proven(record: PersonRecord, purpose: Purpose, grant: Act, at: Instant) -> bool:
    if purpose.double_opt_in and not grant.confirmed:
        return False
    if record.age == "minor" and grant.by not in _GUARDIANS:
        return False
    return grant.at <= at


def _over(purpose: Purpose, grant: Act, at: Instant) -> bool:
    end = grant_end(purpose, grant)
    return end != 0 and at >= end


def grant_end(purpose: Purpose, grant: Act) -> int:
    """When a grant runs out, 0 never: as fixed at capture, sooner if the purpose now says so."""
    if not purpose.consent_months:
        return grant.until
    end = months_on(grant.at, purpose.consent_months)
    return min(end, grant.until) if grant.until else end


@lru_cache(maxsize=65_536)
def months_on(at: Instant, months: int) -> Instant:
    """The same wall-clock time some months on, in UTC, clamped to the end of the month."""
    start = moment(at)
    day = add_months(start.date(), months)
    return instant(start.replace(year=day.year, month=day.month, day=day.day))


def _unanswered(held: Standing | None, purpose: str) -> Resolution:
    if held is None or held.neutral is None:
        return Resolution(ConsentStatus.UNKNOWN, None, purpose)
    status = held.neutral.status
    known = status in (ConsentStatus.REQUESTED, ConsentStatus.DEFERRED, ConsentStatus.IMPORTED)
    return Resolution(status if known else ConsentStatus.UNKNOWN, held.neutral, purpose)


def agreed_categories(
    record: PersonRecord, at: Instant, purposes: Mapping[str, Purpose], channel: str = ""
) -> frozenset[str]:
    """Categories a consent under `personalise` covers now; withdrawn ones left out, each alone."""
    purpose = purposes.get(PERSONALISE)
    if purpose is None or purpose.kind is not PurposeKind.PERSONALISE:
        return _NO_CATEGORIES
    covered: set[str] = set()
    for way in {"", channel}:
        found = resolve(record, purpose, way, at, purposes)
        if found.act is not None and found.status in GRANTING:
            covered.update(c for c in found.act.categories if _open(record, c, found.act))
    return frozenset(covered)


def _open(record: PersonRecord, category: str, grant: Act) -> bool:
    held = record.standings.get(key(PERSONALISE, f"#{category}"))
    if held is None or held.deny is None:
        return True
    return (grant.at, grant.recorded) > (held.deny.at, held.deny.recorded)


def level_categories(
    record: PersonRecord, house: House, at: Instant, channel: str = ""
) -> frozenset[str]:
    """Categories that may shape a marketing message now: the level's, as far as agreed.

    Level 1 opens what the house publishes for it (no data, unless it says otherwise) without a
    consent of its own; every level above needs one. Where no level was chosen the consent alone
    limits. Special categories are never among them.
    """
    levels = house.levels
    if not record.level or not levels:
        return _NO_CATEGORIES
    base = frozenset().union(*levels[:2])
    if record.level == 1:
        return base - house.special
    top = record.level if record.level > 0 else TOP_LEVEL
    limit = frozenset().union(*levels[: top + 1])
    return (
        base | (limit & agreed_categories(record, at, house.purposes, channel))
    ) - house.special


def level(record: PersonRecord, house: House, at: Instant, *, ground: bool) -> int:
    """The level in force: the chosen one, else the highest agreed, else 1 if a ground stands."""
    if record.level >= 0:
        return record.level
    agreed = agreed_categories(record, at, house.purposes)
    reached = [k for k, opens in enumerate(house.levels) if k > 1 and opens and opens <= agreed]
    if reached:
        return max(reached)
    return 1 if ground else 0
