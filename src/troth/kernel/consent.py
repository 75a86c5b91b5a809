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
_SOME_WITHDRAWN: Final = f"{PERSONALISE}|#"
"""Where the newest withdrawal of single categories stands; each category's own key follows it."""
TOP_LEVEL: Final = 5
FREE_LEVEL: Final = 1
"""The level that uses no data: in force wherever a marketing ground stands."""

GUARDIANS = frozenset({"competent_person"})
"""Whose yes counts for a minor."""
AGENT: Final = "authorised_agent"
"""Somebody with a mandate: says no for whom they act, never yes."""
_PROOFS = ("notice", "time", "method", "proof")
NOTHING_SAID: Final = Standing()
_NO_CATEGORIES: frozenset[str] = frozenset()
_OPEN = frozenset({ConsentStatus.REQUESTED, ConsentStatus.DEFERRED, ConsentStatus.IMPORTED})

Found = tuple[ConsentStatus, Act | None, str]
"""What `stands` answers: the fields of a `Resolution`, without the cost of making one."""


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


def counts(found: Resolution, house: House) -> bool:
    """Tell whether a yes stands and it is known that it was not taken back since."""
    given = found.status in GRANTING and found.act is not None
    return given and found.act is not None and found.act.at > house.unsure_before


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
    return rank(left) > rank(right)


def rank(act: Act) -> tuple[object, ...]:
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


def newest(one: Act | None, other: Act | None) -> Act | None:
    """The greater of two acts under `rank`; None counts as none."""
    if one is None or other is None:
        return one or other
    return one if rank(one) >= rank(other) else other


def with_act(standing: Standing, act: Act) -> Standing:
    """Let an act take its direction's place in a standing, if it is the newest there."""
    if act.status in GRANTING:
        return replace(standing, grant=newest(standing.grant, act))
    if act.status in DENYING:
        return replace(standing, deny=newest(standing.deny, act))
    return replace(standing, neutral=newest(standing.neutral, act))


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

    A yes by somebody with a mandate is no yes: at most it tells that the person was asked.
    """
    _check(kind, purpose, channels, act)
    if kind in GRANTING and act.by == AGENT:  # it must not hide a yes of the person's own
        kind = ConsentStatus.REQUESTED
        act = replace(act, status=kind)
    standings = dict(record.standings)
    for place in _places(kind, purpose, channels, act):
        standings[place] = with_act(standings.get(place, NOTHING_SAID), act)
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
    unknown = [name for name in channels if name != EVERY and name not in CHANNELS]
    if unknown:
        raise InvalidInput("an act names a channel that does not exist")
    if kind in GRANTING:
        if EVERY in channels:
            raise InvalidInput("a grant names each channel; every channel at once is not accepted")
        if act.by == "signal":
            raise InvalidInput("a signal can opt out, it never grants")


CHANNELS = frozenset(channel.value for channel in Channel)


def _places(
    kind: ConsentStatus, purpose: str, channels: tuple[str, ...], act: Act
) -> tuple[str, ...]:
    if channels:
        return tuple(key(purpose, str(channel)) for channel in channels)
    if kind not in DENYING:
        return (key(purpose, ""),)
    if act.categories:
        return tuple(key(purpose, f"#{category}") for category in ("", *act.categories))
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
    return note_level(record, chosen)


def _level_rank(act: Act) -> tuple[object, ...]:
    return (act.at, act.recorded, -int(act.categories[0]), act.n, act.notice, act.by)


def note_level(record: PersonRecord, chosen: Act) -> PersonRecord:
    """Keep the newer of the level held and the level chosen."""
    held = record.standings.get(LEVEL_KEY, NOTHING_SAID).neutral
    if held is not None and _level_rank(held) >= _level_rank(chosen):
        chosen = held
    standings = {**record.standings, LEVEL_KEY: Standing(neutral=chosen)}
    return replace(record, standings=standings, level=int(chosen.categories[0]))


def apply_relation(record: PersonRecord, relation: Relation) -> PersonRecord:
    """Fold one relationship fact; of facts alike but for their dates only the newest is kept."""
    return replace(record, relations=newest_relations((*record.relations, relation)))


def newest_relations(facts: Iterable[Relation]) -> tuple[Relation, ...]:
    """Keep, of relations alike but for their dates, the newest; in a fixed order."""
    kept: dict[tuple[object, ...], Relation] = {}
    for fact in facts:
        alike = (fact.kind, fact.brand, fact.goods, fact.collected, fact.objection_offered)
        held = kept.get(alike)
        if held is None or (fact.at, fact.until) > (held.at, held.until):
            kept[alike] = fact
    return tuple(kept[alike] for alike in sorted(kept))


def apply_send(record: PersonRecord, channel: str, at: Instant) -> PersonRecord:
    """Fold one marketing hand-over; the newest 32 per channel are kept."""
    kept = latest_sends((*record.sends.get(channel, ()), at))
    return replace(record, sends={**record.sends, channel: kept})


def latest_sends(moments: Iterable[int]) -> tuple[int, ...]:
    """Keep the newest distinct hand-overs, oldest first."""
    return tuple(sorted(set(moments))[-SENDS_KEPT:])


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
    return Resolution(*stands(record, scope(purpose, channel, purposes), at))


def stands(record: PersonRecord, where: Scope, at: Instant) -> Found:
    """Answer `resolve` for a scope made beforehand, as a bare tuple; about a microsecond."""
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
        if deny is None or rank(other.deny) > rank(deny):
            deny, place = other.deny, wide
    purpose = where.purpose
    if grant is not None and proven(record, purpose, grant, at):
        if deny is None or _after(grant, deny):
            end = grant_end(purpose, grant)
            return (
                ConsentStatus.EXPIRED if end and at >= end else grant.status,
                grant,
                purpose.name,
            )
    elif grant is not None and deny is None:
        return (ConsentStatus.REQUESTED, grant, purpose.name)
    if deny is not None:
        return (deny.status, deny, place.partition("|")[0])
    return _unanswered(held, purpose.name)


def _after(grant: Act, deny: Act) -> bool:
    """A grant counts over a denial only if it came later: on equal times the denial stands."""
    if grant.at != deny.at:
        return grant.at > deny.at
    return grant.recorded > deny.recorded


def proven(record: PersonRecord, purpose: Purpose, grant: Act, at: Instant) -> bool:
    """Tell whether a grant counts: made by then, confirmed if need be, by somebody who may."""
    if (purpose.double_opt_in and not grant.confirmed) or grant.by == AGENT:
        return False
    if record.age == "minor" and record.subject != "juristic" and grant.by not in GUARDIANS:
        return False
    return grant.at <= at


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


def _unanswered(held: Standing | None, purpose: str) -> Found:
    if held is None or held.neutral is None:
        return (ConsentStatus.UNKNOWN, None, purpose)
    status = held.neutral.status
    return (status if status in _OPEN else ConsentStatus.UNKNOWN, held.neutral, purpose)


def agreed_categories(
    record: PersonRecord, house: House, at: Instant, channel: str = "", after: int = 0
) -> frozenset[str]:
    """Categories a consent under `personalise` covers now; withdrawn ones left out, each alone.

    A consent without a channel counts everywhere; one for a channel counts there. One given no
    later than `after` is left out: see `House.unsure_before`.
    """
    agreed, standings = _NO_CATEGORIES, record.standings
    for where in _personalising(house, channel):
        if where.exact in standings:
            covered = _covered(record, where, at, after)
            agreed = agreed | covered if agreed else covered
    return agreed


def _covered(record: PersonRecord, where: Scope, at: Instant, after: int) -> frozenset[str]:
    status, act, _ = stands(record, where, at)
    if act is None or status not in GRANTING or act.at <= after:
        return _NO_CATEGORIES
    marked = record.standings.get(_SOME_WITHDRAWN)
    if marked is None or marked.deny is None or _after(act, marked.deny):
        return _as_set(act.categories)
    return frozenset([c for c in act.categories if not _withdrawn(record, c, act)])


_as_set = lru_cache(maxsize=4096)(frozenset[str])
"""People agree to a few sets of categories; each is made once."""


def withdrawn_categories(record: PersonRecord) -> frozenset[str]:
    """Categories this person withdrew, each alone, and did not agree to again."""
    grant = record.standings.get(key(PERSONALISE, ""), NOTHING_SAID).grant
    named = [
        p.removeprefix(_SOME_WITHDRAWN) for p in record.standings if p.startswith(_SOME_WITHDRAWN)
    ]
    return frozenset(c for c in named if c and (grant is None or _withdrawn(record, c, grant)))


def refused(record: PersonRecord, where: Scope, category: str) -> bool:
    """Tell whether a category was refused here, alone or with all of it, and not agreed to since.

    A later yes that does not name the category leaves it refused.
    """
    grant = record.standings.get(where.exact, NOTHING_SAID).grant
    if grant is not None and category not in grant.categories:
        grant = None
    places = (where.exact, *where.wide, key(where.purpose.name, f"#{category}"))
    denials = [record.standings.get(place, NOTHING_SAID).deny for place in places]
    return any(deny is not None and not (grant and _after(grant, deny)) for deny in denials)


def _withdrawn(record: PersonRecord, category: str, grant: Act) -> bool:
    held = record.standings.get(_SOME_WITHDRAWN + category)
    return held is not None and held.deny is not None and not _after(grant, held.deny)


def level_categories(
    record: PersonRecord, house: House, at: Instant, channel: str = ""
) -> frozenset[str]:
    """Categories that may shape a marketing message now: the level's, as far as agreed.

    Level 1 opens what the house publishes for it (no data, unless it says otherwise) without a
    consent of its own; every level above needs one. Where no level was chosen the consent alone
    limits. Special categories are never among them.
    """
    if not record.level:
        return _NO_CATEGORIES
    base, limit = _opened(house, record.level)
    if record.level == FREE_LEVEL or not limit:
        return base
    agreed = agreed_categories(record, house, at, channel, house.unsure_before)
    return base | (limit & agreed) if agreed else base


def level_opens(
    record: PersonRecord, house: House, at: Instant, channel: str, wanted: frozenset[str]
) -> bool:
    """Tell whether `level_categories` holds all that is wanted, without making the set."""
    if not record.level:
        return not wanted
    base, limit = _opened(house, record.level)
    above = wanted - base if base else wanted
    if not above:
        return True
    if record.level == FREE_LEVEL or not above <= limit:
        return False
    return above <= agreed_categories(record, house, at, channel, house.unsure_before)


def own_categories(
    record: PersonRecord, house: House, purpose: Purpose, at: Instant
) -> frozenset[str]:
    """Categories no level names, which a standing consent to this very purpose names itself."""
    free: frozenset[str] | None = house.memo.get(("unlevelled", purpose.name))
    if free is None:
        free = purpose.categories - _NO_CATEGORIES.union(*house.levels) - house.special
        house.memo["unlevelled", purpose.name] = free
    if not free:
        return _NO_CATEGORIES
    status, act, _ = stands(record, scope(purpose, "", house.purposes), at)
    sure = act is not None and status in GRANTING and act.at > house.unsure_before
    return free.intersection(act.categories) if act and sure else _NO_CATEGORIES


def _personalising(house: House, channel: str) -> tuple[Scope, ...]:
    """The scopes on which categories are agreed to; once per house and channel."""
    found: tuple[Scope, ...] | None = house.memo.get(("personalising", channel))
    if found is None:
        purpose = house.purposes.get(PERSONALISE)
        ways = dict.fromkeys(("", channel))
        if purpose is None or purpose.kind is not PurposeKind.PERSONALISE:
            ways = {}
        found = tuple(scope(house.purposes[PERSONALISE], way, house.purposes) for way in ways)
        house.memo["personalising", channel] = found
    return found


def _opened(house: House, chosen: int) -> tuple[frozenset[str], frozenset[str]]:
    """What opens without a consent, and the most a consent can open; once per house and level."""
    found: tuple[frozenset[str], frozenset[str]] | None = house.memo.get(("opened", chosen))
    if found is None:
        top = chosen if chosen >= 0 else TOP_LEVEL
        base = _NO_CATEGORIES.union(*house.levels[: FREE_LEVEL + 1]) - house.special
        limit = _NO_CATEGORIES.union(*house.levels[: top + 1]) - house.special
        found = house.memo["opened", chosen] = (base, limit)
    return found


def level(record: PersonRecord, house: House, at: Instant, *, ground: bool) -> int:
    """The level in force: the chosen one, else the highest agreed, else 1 if a ground stands.

    A chosen level above 1 whose whole consent was taken back, opted out of or ran out is 1.

    Args:
        record: The person.
        house: The house as published.
        at: The instant asked about.
        ground: A marketing ground stands: consent, or the customer exception.
    """
    if record.level >= 0:
        return FREE_LEVEL if _closed_above(record, house, at) else record.level
    agreed = agreed_categories(record, house, at, after=house.unsure_before)
    reached = [
        k for k, opens in enumerate(house.levels) if k > FREE_LEVEL and opens and opens <= agreed
    ]
    return max(reached, default=FREE_LEVEL * ground)


def _closed_above(record: PersonRecord, house: House, at: Instant) -> bool:
    """Tell whether a level above 1 was chosen and nothing of what it opens is agreed any more.

    What was agreed no later than `House.unsure_before` is not agreed any more: nobody knows.
    """
    if record.level <= FREE_LEVEL:
        return False
    if agreed_categories(record, house, at):
        return not agreed_categories(record, house, at, after=house.unsure_before)
    return any(stands(record, where, at)[0] in DENYING for where in _personalising(house, ""))
