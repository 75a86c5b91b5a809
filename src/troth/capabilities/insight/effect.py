"""Did it do anything: purchases of those written to, beside those who would have been.

Both groups are counted alike: from the campaign's start for so many days, by dated sales and, as
far as the purpose named for it opens them, by what was bought. Only numbers leave this module.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from troth import crypto
from troth.engines import effect
from troth.kernel import events, gate, ledger
from troth.kernel.desk import SYSTEM, Desk
from troth.kernel.vault import Shredded
from troth.ports import View
from troth.terms import (
    Action,
    Actor,
    Gathered,
    Instant,
    PersonId,
    Refusal,
    Sealed,
    UseRequest,
)

BATCH = 250
BOUGHT = "purchases.52w"
SCOPE = "purchases/"


@dataclass(frozen=True, slots=True)
class Question:
    """What is counted.

    Attributes:
        purpose: Under which purchases may be read for this.
        begun: From here on a purchase counts, for everybody alike.
        until: Up to here, this excluded.
        least: Groups smaller than this are not compared.
    """

    campaign: str
    purpose: str
    begun: Instant
    until: Instant
    least: int = effect.LEAST


@dataclass(frozen=True, slots=True)
class Found:
    """The answer, and how many of each group could not be counted: erased, merged, not usable."""

    effect: effect.Effect
    mailed_left_out: int
    held_left_out: int


def measure(
    desk: Desk,
    question: Question,
    mailed: Sequence[PersonId],
    held: Sequence[PersonId],
    actor: Actor,
) -> Found:
    """Count who bought in both groups; one house event before anybody is looked at.

    Somebody who came into both groups by a merge is in neither. About 0.2 ms a person whose
    purchases are read.

    Raises:
        Unavailable: The record takes no writes now; nothing was read.
    """
    with desk.store.look() as view:
        one = {desk.keeper(view, person) for person in mailed}
        other = {desk.keeper(view, person) for person in held}
        size = view.log.size
    both = one & other
    people = sorted((one | other) - both)
    told = events.SetProcessed(
        work="report",
        expression=crypto.sha256(f"effect/{question.begun}/{question.until}".encode()).hex(),
        generation=size,
        counts={"mailed": len(one - both), "held_out": len(other - both)},
        members=_root(desk, people),
        purpose=question.purpose,
        campaign=question.campaign,
    )
    desk.record_house(told, actor)
    bought = _bought(desk, question, people)
    groups = [_group(bought, each - both) for each in (one, other)]
    return Found(
        effect.compare(groups[0], groups[1], question.least),
        len(mailed) - groups[0].people,
        len(held) - groups[1].people,
    )


def _root(desk: Desk, people: Iterable[PersonId]) -> str:
    digests = sorted(desk.scribe.member(person) for person in people)
    return ledger.subtree_root(ledger.leaf_hashes(digests)).hex()


def _group(bought: Mapping[PersonId, bool], people: Iterable[PersonId]) -> effect.Group:
    counted = [bought[person] for person in people if person in bought]
    return effect.Group(len(counted), sum(counted))


def _bought(desk: Desk, question: Question, people: Sequence[PersonId]) -> dict[PersonId, bool]:
    """Return, for whose data may be used, whether they bought in the time asked about."""
    out: dict[PersonId, bool] = {}
    for start in range(0, len(people), BATCH):
        with desk.store.look() as view:
            found = view.gather(people[start : start + BATCH], None)
            permits = {g.person: p for g in found if (p := _may(desk, view, question, g))}
            desk.vault.keys.load(list(permits), view.now)
            rows = view.sealed(list(permits), [SCOPE])
            for one in found:
                permit = permits.get(one.person)
                if permit is None:
                    continue
                sold = any(
                    r.kind == "sale" and question.begun <= r.at < question.until
                    for r in one.record.relations
                )
                mine = rows.get(one.person, ())
                try:
                    out[one.person] = sold or _in_time(desk, view, question, permit, mine)
                except Shredded:
                    continue
    return out


def _may(desk: Desk, view: View, question: Question, one: Gathered) -> gate.Permit | None:
    request = UseRequest(
        SYSTEM,
        one.person,
        question.purpose,
        Action.PROFILE,
        None,
        frozenset({BOUGHT}),
        view.now,
        reason=question.campaign,
    )
    claim = desk.claim(request, desk.house(view))
    answer = gate.decide(request, desk.facts(view, request, claim, one))
    return None if isinstance(answer, Refusal) else answer


def _in_time(
    desk: Desk, view: View, question: Question, permit: gate.Permit, rows: Sequence[Sealed]
) -> bool:
    """Tell whether a purchase of theirs lies in the time asked about."""
    if not rows:
        return False
    for chunk in desk.vault.open_windows(permit, rows, (BOUGHT,), view.now)[BOUGHT]:
        bought = {place for place, kind in enumerate(chunk.kinds) if kind == "purchase"}
        for at, kind in zip(chunk.at, chunk.kind, strict=True):
            if kind in bought and question.begun <= at < question.until:
                return True
    return False
