"""Whom a campaign would reach now, and whom not: decided, one by one, opening nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from troth.capabilities.outreach.model import (
    BATCH,
    Campaign,
    Judged,
    Preview,
    done_key,
    request_for,
)
from troth.kernel import consent, events, gate, ledger
from troth.kernel.desk import Desk
from troth.kernel.facts import House
from troth.ports import View
from troth.terms import (
    Actor,
    Claim,
    Gathered,
    PersonId,
    Refusal,
)


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
    request = replace(
        plain, categories=gate.allowed_categories(plain, facts) if used is None else used
    )
    answer = gate.decide(request, facts)
    level = consent.level(gathered.record, house, view.now, ground=isinstance(answer, gate.Permit))
    return Judged(gathered, request, facts, answer, level)


def members_root(desk: Desk, people: Iterable[PersonId]) -> str:
    """Return the Merkle root over the sorted keyed digests of a set's members."""
    digests = sorted(desk.scribe.member(p) for p in people)
    return ledger.subtree_root(ledger.leaf_hashes(digests)).hex()


def preview(desk: Desk, campaign: Campaign, people: Sequence[PersonId], actor: Actor) -> Preview:
    """Say who would be reached and who not, and why; one house event, nobody named in it.

    Costs about 20 µs a candidate; opens nothing.
    """
    refused: Counter[str] = Counter()
    levels: Counter[int] = Counter()
    with desk.store.look() as view:
        for start in range(0, len(people), 2 * BATCH):
            for judged in judge(desk, view, campaign, people[start : start + 2 * BATCH], actor):
                if isinstance(judged.answer, Refusal):
                    refused[judged.answer.first.code] += 1
                else:
                    levels[judged.level] += 1
        now, version, size = view.now, view.house_version, view.log.size
    reachable = sum(levels.values())
    told = events.SetProcessed(
        work="preview",
        expression=campaign.expression,
        generation=size,
        counts={"reachable": reachable, **dict(sorted(refused.items()))},
        members=members_root(desk, people),
        purpose=campaign.purpose,
        campaign=campaign.name,
    )
    desk.record_house(told, actor)
    return Preview(
        len(people), reachable, dict(sorted(levels.items())), dict(refused), now, version
    )
