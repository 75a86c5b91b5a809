"""What stands between a person and the house, purpose by channel: one read model from one look.

It says what was said, not what a gate would answer now: an hour, a cap or a file that is too old
change no cell. Costs well under a millisecond; reads no event.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from troth.capabilities.preferences.narrowing import notice_in_force
from troth.capabilities.preferences.signals import SIGNAL
from troth.errors import NotFound
from troth.kernel import consent, wishes
from troth.kernel.desk import SYSTEM, Desk, everybody
from troth.kernel.facts import Facts, House
from troth.kernel.grounds import QUARTER, GroundRule
from troth.kernel.predicates import PREDICATES, blocks_use
from troth.ports import View
from troth.terms import (
    DENYING,
    GRANTING,
    Action,
    Block,
    Channel,
    Claim,
    ConsentStatus,
    Gathered,
    Instant,
    PersonId,
    Purpose,
    PurposeKind,
    UseRequest,
    Wishes,
)

OPEN: Final = frozenset({"given", "soft", "implied"})
"""States in which a message may come."""
UNSURE: Final = "unsure"
NEVER: Final = Instant(0)
_SAID: Final = {
    ConsentStatus.GIVEN: "given",
    ConsentStatus.REAFFIRMED: "given",
    ConsentStatus.REFUSED: "refused",
    ConsentStatus.WITHDRAWN: "withdrawn",
    ConsentStatus.REVOKED: "withdrawn",
    ConsentStatus.INVALIDATED: "withdrawn",
    ConsentStatus.OBJECTED: "objected",
    ConsentStatus.OPTED_OUT: "objected",
    ConsentStatus.EXPIRED: "expired",
}
_COMPUTED: Final = {"customer_exception": "soft", "implied_consent": "implied"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One purpose on one channel.

    Attributes:
        channel: The channel; "" for a purpose without one.
        state: given, soft, implied, refused, withdrawn, objected, expired, suppressed, unsure
            (it was open before a restore that lost withdrawals, and nobody knows) or unknown.
        since: When that was said, or began; 0 not known.
        until: When it ends by itself; 0 never.
        notice: `name@version` that was shown.
        ground: consent, customer_exception, implied_consent, or "".
        by: Who said so: self, competent_person, signal, import …
        inherited: The purpose above under which it was said, "" this very one.
        reached: The person has an address on this channel.
    """

    channel: str
    state: str
    since: int = 0
    until: int = 0
    notice: str = ""
    ground: str = ""
    by: str = ""
    inherited: str = ""
    reached: bool = True

    @property
    def open(self) -> bool:
        """Tell whether a message may come."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Row:
    """One purpose and its channels.

    Attributes:
        notice: Label of the notice in force that speaks of it; "" none: nobody can agree.
        asked: The person decides; a service message comes because of what they ordered or asked.
    """

    purpose: Purpose
    cells: tuple[Cell, ...]
    notice: str = ""
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    """All of it.

    Attributes:
        rows: What a person decides, marketing first.
        services: What comes whatever was decided, and why is its purpose.
        level: The level chosen, -1 none.
        signal: Since when a browser's opt-out is honoured; 0 none stands.
        restricted: An officer holds the data: it is stored only.
        unsure: Of what was agreed to before this moment nobody knows whether it was taken back
            since; 0 where nothing they agreed to is in doubt.
    """

    at: Instant
    rows: tuple[Row, ...]
    services: tuple[Row, ...]
    wished: Wishes
    language: str
    level: int
    signal: int
    restricted: bool
    unsure: Instant = NEVER

    @property
    def open(self) -> bool:
        """Tell whether any marketing message may come."""
        return any(cell.open for row in self.rows for cell in row.cells)

    @property
    def paused(self) -> bool:
        """Tell whether a pause stands."""
        return self.at < self.wished.pause_until


def matrix(desk: Desk, view: View, person: PersonId) -> Matrix:
    """Put together what a person decided, and what stands although nobody asked them.

    Raises:
        NotFound: Nothing is held under this id.
    """
    found = view.gather([person], None)
    if not found:
        raise NotFound("nothing is held under this id")
    house, at, record = desk.house(view), view.now, found[0].record
    ids = everybody(view, person)
    by_channel = {c: _gathered(view, ids, c) for c in sorted({*_channels(house)})}
    mine = [p for _, p in sorted(house.purposes.items()) if p.kind is PurposeKind.MARKETING]
    every = [p for _, p in sorted(house.purposes.items()) if p.kind is PurposeKind.SERVICE]
    notices = _notices(view, house)
    rows = tuple(_row(p, house, by_channel, found[0], at, notices.get(p.name, "")) for p in mine)
    return Matrix(
        at,
        rows,
        tuple(_service(p, by_channel) for p in every),
        record.wishes or wishes.NOTHING,
        record.language,
        record.level,
        _signal(found[0], house, at),
        record.restricted,
        _in_doubt(rows, found[0], house, at),
    )


def doubt(desk: Desk, view: View, person: PersonId) -> Instant:
    """Return before when it is not known what a person took back; 0 where nothing is in doubt."""
    return matrix(desk, view, person).unsure if desk.house(view).unsure_before else NEVER


def _in_doubt(rows: Iterable[Row], held: Gathered, house: House, at: Instant) -> Instant:
    before = house.unsure_before
    shaped = before and (
        consent.agreed_categories(held.record, house, at)
        != consent.agreed_categories(held.record, house, at, after=before)
    )
    asked = any(cell.state == UNSURE for row in rows for cell in row.cells)
    return Instant(before if shaped or asked else 0)


def _channels(house: House) -> Iterable[Channel]:
    return (c for p in house.purposes.values() for c in p.channels)


def _gathered(view: View, ids: list[PersonId], channel: Channel) -> Gathered:
    """Return the person with the address in use on a channel, of whichever of their ids."""
    found = view.gather(ids, channel)
    reached = next((each for each in found if each.contact), found[0])
    return replace(found[0], contact=reached.contact, blocks=reached.blocks)


def _notices(view: View, house: House) -> dict[str, str]:
    """Return the notice in force per purpose; once per house version."""
    kept: dict[str, str] | None = house.memo.get("notices in force")
    if kept is None:
        kept = {name: notice_in_force(view, name) for name in house.purposes}
        house.memo["notices in force"] = kept
    return kept


def _row(  # noqa: PLR0913 - a purpose and all that bears on it
    purpose: Purpose,
    house: House,
    by_channel: dict[Channel, Gathered],
    plain: Gathered,
    at: Instant,
    notice: str,
) -> Row:
    cells = [_cell(purpose, house, by_channel[c], c, at) for c in sorted(purpose.channels)]
    return Row(purpose, tuple(cells or [_cell(purpose, house, plain, None, at)]), notice)


def _service(purpose: Purpose, by_channel: dict[Channel, Gathered]) -> Row:
    cells = [
        Cell(c, "given", reached=by_channel[c].contact is not None)
        for c in sorted(purpose.channels)
    ]
    return Row(purpose, tuple(cells), asked=False)


def _cell(
    purpose: Purpose, house: House, held: Gathered, channel: Channel | None, at: Instant
) -> Cell:
    """Say what stands: what was said, else what the law makes of a relationship."""
    way = str(channel or "")
    found = consent.resolve(held.record, purpose, way, at, house.purposes)
    reached = channel is None or held.contact is not None
    bare = Cell(way, "unknown", reached=reached)
    act = found.act
    if act is not None and (found.status in GRANTING or act.status in DENYING):
        until = consent.grant_end(purpose, act) if found.status in GRANTING else 0
        above = found.purpose if found.purpose != purpose.name else ""
        ground = "consent" if found.status in GRANTING else ""
        cell = replace(
            bare, state=_SAID[found.status], since=int(act.at), until=until, notice=act.notice,
            ground=ground, by=act.by, inherited=above,
        )  # fmt: skip
    else:
        cell = _computed(bare, purpose, house, held, at)
        if cell.state == "unknown" and found.status is ConsentStatus.EXPIRED and act is not None:
            cell = replace(bare, state="expired", since=int(act.at), notice=act.notice)
    cell = _blocked(cell, _asked(purpose, channel, held, at), house, held.blocks)
    if cell.open and house.unsure_before and not consent.counts(found, house):
        return replace(cell, state=UNSURE, until=0, ground="")
    return cell


def _asked(
    purpose: Purpose, channel: Channel | None, held: Gathered, at: Instant, brand: str = ""
) -> UseRequest:
    nothing = frozenset[str]()
    return UseRequest(SYSTEM, held.person, purpose.name, Action.SEND, channel, nothing, at, brand)


def _blocked(cell: Cell, asked: UseRequest, house: House, blocks: tuple[Block, ...]) -> Cell:
    """Let a suppression of the address go before a yes; a no stays the no it is."""
    if cell.state != "unknown" and not cell.open:
        return cell
    met = [b for b in blocks if blocks_use(b, asked, house)]
    if not met:
        return cell
    oldest = min(met, key=lambda block: block.since)
    return replace(cell, state="suppressed", since=int(oldest.since), until=0, by=oldest.reason)


def _computed(bare: Cell, purpose: Purpose, house: House, held: Gathered, at: Instant) -> Cell:
    """Ask every ground rule that applies; only where all let it stand is there a ground."""
    rules = _grounds(purpose, bare.channel, house, held, at)
    brands = {relation.brand for relation in held.record.relations}
    for brand in sorted(brands) if rules else ():
        channel = Channel(bare.channel) if bare.channel else None
        asked = _asked(purpose, channel, held, at, brand)
        facts = Facts(held.person, at, Claim(), house, held)
        answers = [rule.judge(asked, facts) for rule in rules]
        if all(code is None for code, _, _ in answers):
            grounds = [ground for _, ground, _ in answers]
            ends = [end for _, _, end in answers if end]
            since = max((int(r.at) for r in held.record.relations if r.brand == brand), default=0)
            state = "implied" if "implied_consent" in grounds else _COMPUTED[grounds[0]]
            named = "implied_consent" if state == "implied" else grounds[0]
            return replace(
                bare, state=state, ground=named, since=since, until=min(ends, default=0)
            )
    return bare


def _grounds(
    purpose: Purpose, channel: str, house: House, held: Gathered, at: Instant
) -> tuple[GroundRule, ...]:
    record = held.record
    place = ("overview", purpose.kind, channel, record.residence, record.subject, at // QUARTER)
    found: tuple[GroundRule, ...] | None = house.memo.get(place)
    if found is None:
        way = Channel(channel) if channel else None
        rules = house.ruleset.contact_rules(purpose.kind, way, record.residence, house.seat, at)
        made = [
            PREDICATES[rule.predicate](rule.params, house.ruleset, rule)
            for rule in rules
            if rule.predicate == "ground" and rule.applies.subject in ("", record.subject)
        ]
        found = tuple(each for each in made if isinstance(each, GroundRule))
        house.memo[place] = found
    return found


def _signal(held: Gathered, house: House, at: Instant) -> int:
    """Return since when a browser's opt-out stands; 0 it does not, or a yes came after it."""
    purpose = house.purposes.get(consent.PERSONALISE)
    if purpose is None:
        return 0
    found = consent.resolve(held.record, purpose, "", at, house.purposes)
    return int(found.act.at) if found.act is not None and found.act.by == SIGNAL else 0
