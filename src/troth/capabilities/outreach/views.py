"""Whom a campaign would reach now, and whom not: decided, one by one, opening nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from troth.capabilities.outreach.footer import shown_by
from troth.capabilities.outreach.model import (
    BATCH,
    DONE,
    Campaign,
    Judged,
    Preview,
    done_key,
    done_prefix,
    request_for,
)
from troth.kernel import consent, events, gate, ledger, profiles
from troth.kernel.desk import Desk
from troth.kernel.facts import Facts, House
from troth.ports import View
from troth.terms import (
    Actor,
    Channel,
    Claim,
    Gathered,
    Instant,
    PersonId,
    PurposeKind,
    Refusal,
    Role,
    UseRequest,
)

PAGE = 5_000


def decided(view: View, campaign: str) -> int:
    """Return how many people a campaign booked a message for and still knows."""
    found, after = 0, b""
    while page := view.rows(DONE, done_prefix(campaign), after, PAGE):
        found, after = found + len(page), page[-1][0]
    return found


def judge(  # noqa: PLR0913 - a batch, and what was written to it
    desk: Desk,
    view: View,
    campaign: Campaign,
    people: Sequence[PersonId],
    actor: Actor,
    written: Mapping[PersonId, frozenset[str]] = MappingProxyType({}),
) -> list[Judged]:
    """Decide for a batch of candidates at one look; unknown ids are left out.

    For somebody in `written` the question is about the categories their message was written from,
    for the others about those that they agree to now.
    """
    house = desk.house(view)
    claim = desk.claim(request_for(campaign, None, actor, view.now), house)
    out = []
    for gathered in view.gather(people, campaign.channel):
        used = written.get(gathered.person)
        out.append(_judge_one(desk, view, campaign, gathered, actor, house, claim, used))
    return out


def _judge_one(  # noqa: PLR0913 - one candidate of a batch
    desk: Desk,
    view: View,
    campaign: Campaign,
    gathered: Gathered,
    actor: Actor,
    house: House,
    claim: Claim | Refusal,
    used: frozenset[str] | None,
) -> Judged:
    plain = request_for(campaign, gathered.person, actor, view.now)
    own = b"" if used is None else done_key(campaign, gathered.person)
    facts = desk.facts(view, plain, claim, gathered, own)
    asked = used if used is not None else _wanted(campaign, plain, facts)
    request = request_for(campaign, gathered.person, actor, view.now, asked)
    answer = gate.decide(request, facts)
    level = consent.level(gathered.record, house, view.now, ground=isinstance(answer, gate.Permit))
    return Judged(gathered, request, facts, answer, level)


def _wanted(campaign: Campaign, plain: UseRequest, facts: Facts) -> frozenset[str]:
    """Return what the message can show, of what this person agreed to."""
    return shown_by(campaign, gate.allowed_categories(plain, facts))


def members_root(desk: Desk, people: Iterable[PersonId]) -> str:
    """Return the Merkle root over the sorted keyed digests of a set's members."""
    digests = sorted(desk.scribe.member(p) for p in people)
    return ledger.subtree_root(ledger.leaf_hashes(digests)).hex()


def preview(desk: Desk, campaign: Campaign, people: Sequence[PersonId], actor: Actor) -> Preview:
    """Say who would be reached and who not, and why; one house event, nobody named in it.

    Costs about 20 µs a candidate; from `MANY` on, where audiences can be grouped, one decision a
    group and under 2 µs a candidate. Opens nothing.
    """
    grouping = desk.grouping() if len(people) >= MANY else None
    if grouping is not None and _groupable(desk, campaign, actor):
        return preview_many(desk, campaign, people, actor, grouping)
    tally = _Tally()
    with desk.store.look() as view:
        _count_each(desk, view, campaign, people, actor, tally)
        place = (view.now, view.house_version, view.log.size)
    return _told(desk, campaign, len(people), tally, members_root(desk, people), actor, place)


MANY = 20_000
"""From so many candidates on a preview decides once a group."""
_EACH = 2 * BATCH


def preview_many(
    desk: Desk,
    campaign: Campaign,
    people: Sequence[PersonId],
    actor: Actor,
    grouping: profiles.Grouping,
) -> Preview:
    """Preview by groups that no decision tells apart; the same counts as one by one.

    Whoever the grouping does not know, or has an event since, is decided about one by one.
    """
    tally = _Tally()
    with desk.store.look() as view:
        house = desk.house(view)
        claim = desk.claim(request_for(campaign, None, actor, view.now), house)
        changed = _changed(view, grouping.ledger_size)
        same = [p for p in people if p not in changed] if changed else people
        found, unknown, root = grouping.groups(same, profiles.cuts(house, view.now))
        for group in found:
            gathered = profiles.join(group.shape, group.moments)
            judged = _judge_one(desk, view, campaign, gathered, actor, house, claim, None)
            tally.add(judged, group.people)
        rest = [*[p for p in people if p in changed], *unknown]
        _count_each(desk, view, campaign, rest, actor, tally)
        place = (view.now, view.house_version, view.log.size)
    members = f"{root}+{members_root(desk, rest)}"
    return _told(desk, campaign, len(people), tally, members, actor, place)


def _groupable(desk: Desk, campaign: Campaign, actor: Actor) -> bool:
    """Tell whether an answer rests on nothing but facts: who asks for themselves has an id."""
    with desk.store.look() as view:
        purpose = desk.house(view).purposes.get(campaign.purpose)
    asks = purpose is None or purpose.kind is PurposeKind.CONSENT_REQUEST
    return actor.role is not Role.PERSON and not asks and campaign.channel is Channel.EMAIL


def _changed(view: View, size: int) -> set[PersonId]:
    """Return whose chain grew since the ledger had this size."""
    out: set[PersonId] = set()
    while bodies := view.body_at(size, 5_000):
        out.update(body.person for body in bodies)
        size = bodies[-1].seq + 1
    return out


@dataclass(slots=True)
class _Tally:
    refused: Counter[str] = field(default_factory=Counter)
    levels: Counter[int] = field(default_factory=Counter)

    def add(self, judged: Judged, people: int = 1) -> None:
        if isinstance(judged.answer, Refusal):
            self.refused[judged.answer.first.code] += people
        else:
            self.levels[judged.level] += people


def _count_each(  # noqa: PLR0913 - a batch of candidates
    desk: Desk,
    view: View,
    campaign: Campaign,
    people: Sequence[PersonId],
    actor: Actor,
    tally: _Tally,
) -> None:
    for start in range(0, len(people), _EACH):
        for judged in judge(desk, view, campaign, people[start : start + _EACH], actor):
            tally.add(judged)


def _told(  # noqa: PLR0913 - what a preview found
    desk: Desk,
    campaign: Campaign,
    candidates: int,
    tally: _Tally,
    members: str,
    actor: Actor,
    place: tuple[Instant, int, int],
) -> Preview:
    """Record that a set was looked at, then return what was found."""
    now, version, size = place
    refused = dict(sorted(tally.refused.items()))
    reachable = sum(tally.levels.values())
    said = events.SetProcessed(
        work="preview",
        expression=campaign.expression,
        generation=size,
        counts={"reachable": reachable, **refused},
        members=members,
        purpose=campaign.purpose,
        campaign=campaign.name,
    )
    desk.record_house(said, actor)
    levels = dict(sorted(tally.levels.items()))
    return Preview(candidates, reachable, levels, dict(tally.refused), now, version)
