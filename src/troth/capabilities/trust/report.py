"""What happened in a month: who did what, what was refused, what came back, who answers for it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from troth.capabilities.trust.tally import Counted, counted
from troth.errors import InvalidInput
from troth.kernel import events
from troth.kernel.desk import Desk
from troth.terms import Actor, ConsentStatus, Instant, Purpose, Role, moment

ENDS = ("booked", "handed", "withheld", "failed", "unknown", "bounced", "complained", "replied")
_STAFF = frozenset({Role.MARKETER, Role.SUPPORT, Role.OFFICER, Role.IT, Role.AGENCY})
_TAKEN_BACK = frozenset({ConsentStatus.WITHDRAWN, ConsentStatus.OBJECTED, ConsentStatus.OPTED_OUT})


@dataclass(slots=True)
class CampaignMonth:
    """One campaign in one month; `ends` counts messages, `refused` people by first reason."""

    name: str
    ends: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    taken_back: int = 0


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A use that staff asked for and did not get: nothing was shown, nothing left."""

    role: str
    purpose: str
    code: str
    count: int


@dataclass(frozen=True, slots=True)
class Deed:
    """One act of staff on the house: who, when, and the event itself.

    Attributes:
        by: Role and keyed digest, as events name actors; `named` turns it into an id.
    """

    at: Instant
    by: str
    what: events.Payload


@dataclass(frozen=True, slots=True)
class Month:
    """A month told in numbers and deeds; small numbers are for the surface to hide."""

    first: date
    last: date
    campaigns: tuple[CampaignMonth, ...]
    near_misses: tuple[NearMiss, ...]
    deeds: tuple[Deed, ...]
    reads: Counter[str]
    said: dict[str, Counter[str]]
    purposes: tuple[Purpose, ...]

    @property
    def handed(self) -> int:
        """Messages handed over."""
        return sum(each.ends["handed"] for each in self.campaigns)

    @property
    def left_alone(self) -> int:
        """How often a campaign left somebody alone, by the gate's word."""
        return sum(sum(each.refused.values()) for each in self.campaigns)

    @property
    def complained(self) -> int:
        """Messages reported as unwanted."""
        return sum(each.ends["complained"] for each in self.campaigns)


def month_of(text: str) -> tuple[date, date]:
    """Read `2026-11` as its first and last day.

    Raises:
        InvalidInput: It is no month.
    """
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        raise InvalidInput("this is no month", "write it like 2026-11") from None
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def month(desk: Desk, first: date, last: date) -> Month:
    """Tell a month from what was counted so far; call `catch_up` before.

    Opens nothing about a person: counts, and the house's own chain. Cost: about 30 µs a day and
    kind counted, and as much per event of the house.
    """
    with desk.store.look() as view:
        rows = counted(view, first, last)
        house = desk.house(view)
        chain = desk.scribe.chain(view, desk.scribe.house)
    deeds = tuple(
        Deed(read.event.at, read.event.actor, read.event.payload)
        for read in chain
        if isinstance(read.event.payload, DEEDS) and first <= moment(read.event.at).date() <= last
    )
    return Month(
        first,
        last,
        tuple(_campaigns(rows)),
        tuple(_near_misses(rows)),
        deeds,
        _reads(rows),
        _said(rows),
        tuple(sorted(house.purposes.values(), key=lambda purpose: purpose.name)),
    )


DEEDS = (
    events.HousePublished,
    events.CampaignActed,
    events.StaffActed,
    events.ConnectionActed,
    events.RegistryApplied,
    events.RegistryWaived,
    events.ImportFinished,
)
"""Events of the house chain that are somebody's deed."""


def _campaigns(rows: Sequence[Counted]) -> Iterator[CampaignMonth]:
    found: dict[str, CampaignMonth] = {}
    for row in rows:
        if not row.campaign:
            continue
        each = found.setdefault(row.campaign, CampaignMonth(row.campaign))
        family, _, state = row.kind.partition(".")
        if family == "message":
            each.ends[state] += row.count
        elif row.kind == "use.refused":
            each.refused[row.code] += row.count
        elif family == "consent" and state in _TAKEN_BACK:
            each.taken_back += row.count
    yield from sorted(found.values(), key=lambda each: each.name)


def _near_misses(rows: Iterable[Counted]) -> Iterator[NearMiss]:
    found: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        asked = row.kind == "use.refused" and not row.campaign
        if row.role in _STAFF and (asked or row.kind == "claim.refused"):
            found[row.role, row.purpose, row.code] += row.count
    for (role, purpose, code), count in found.most_common():
        yield NearMiss(role, purpose, code, count)


def _reads(rows: Iterable[Counted]) -> Counter[str]:
    out: Counter[str] = Counter()
    for row in rows:
        if row.kind == "data.read":
            out[row.role] += row.count
    return out


def _said(rows: Iterable[Counted]) -> dict[str, Counter[str]]:
    out: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        family, _, status = row.kind.partition(".")
        if family == "consent":
            out[row.purpose][status] += row.count
    return dict(sorted(out.items()))


def named(desk: Desk, staff: Iterable[tuple[Role, str]]) -> dict[str, str]:
    """Return id by actor, as the house chain writes actors, for the staff listed now."""
    house = desk.scribe.house
    return {desk.scribe.actor(Actor(role, name), house): name for role, name in staff}
