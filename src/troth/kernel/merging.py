"""Two records become one: partial folds of one person, or two profiles of the same human being."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from troth.kernel import wishes
from troth.kernel.consent import (
    CHANNELS,
    GUARDIANS,
    LEVEL_KEY,
    NOTHING_SAID,
    PERSONALISE,
    Scope,
    apply_level,
    grant_end,
    key,
    latest_sends,
    newest,
    newest_relations,
    note_level,
    rank,
    refused,
    scope,
    stands,
    with_act,
    withdrawn_categories,
)
from troth.terms import (
    DENYING,
    GRANTING,
    Act,
    ConsentStatus,
    PersonRecord,
    Purpose,
    Standing,
)


def join(mine: PersonRecord, theirs: PersonRecord) -> PersonRecord:
    """Join two partial folds of the same person: the fold of all their events together.

    Flags that restrict are or-ed, wishes and chosen terms both respected; facts such as residence
    stay as `mine` has them.
    """
    standings = dict(mine.standings)
    for place, other in theirs.standings.items():
        held = standings.get(place, NOTHING_SAID)
        standings[place] = Standing(
            newest(held.grant, other.grant),
            newest(held.deny, other.deny),
            newest(held.neutral, other.neutral),
        )
    channels = mine.sends.keys() | theirs.sends.keys()
    sends = {c: latest_sends((*mine.sends.get(c, ()), *theirs.sends.get(c, ()))) for c in channels}
    joined = replace(
        mine,
        standings={k: v for k, v in standings.items() if k != LEVEL_KEY},
        relations=newest_relations((*mine.relations, *theirs.relations)),
        sends=sends,
        level=-1,
        restricted=mine.restricted or theirs.restricted,
        erasing=mine.erasing or theirs.erasing,
        wishes=wishes.both(mine.wishes, theirs.wishes),
        keeps=wishes.shorter(mine.keeps, theirs.keeps),
    )
    for side in (mine, theirs):
        chosen = side.standings.get(LEVEL_KEY, NOTHING_SAID).neutral
        if chosen is not None:
            joined = note_level(joined, chosen)
    return joined


def merge(
    mine: PersonRecord, theirs: PersonRecord, *, purposes: Mapping[str, Purpose], act: Act
) -> PersonRecord:
    """Merge two profiles into `mine`: the most restrictive of both, per purpose and channel.

    Where either profile had said no, the merge itself counts as that no, from `act` on: a yes that
    the other profile gave later does not survive it, a yes given after the merge does. Where both
    said yes and named categories, each category is asked for itself: one that a profile refused or
    withdrew is closed, one that a profile agreed to and the other said nothing about stays. To
    undo a merge, fold both chains again without it.

    Args:
        mine: The profile that stays.
        theirs: The profile that becomes its alias.
        purposes: Every purpose published, by name.
        act: Place and time of the merge event; its status is not read.
    """
    merged = _narrow_facts(join(mine, theirs), mine, theirs)
    standings = dict(merged.standings)
    for place, status in _closed(merged, (mine, theirs), purposes, act).items():
        held = standings.get(place, NOTHING_SAID)
        standings[place] = with_act(held, _no(act, status, held.grant))
    for place, grant in _agreed_by_both((mine, theirs), purposes, act).items():
        standings[place] = replace(standings[place], grant=grant)
    merged = replace(merged, standings=standings)
    levels = [side.level for side in (mine, theirs) if side.level >= 0]
    return apply_level(merged, min(levels), act) if levels else merged


def _no(act: Act, status: ConsentStatus, yes: Act | None) -> Act:
    """The merge as a no: no older than the yes it closes, whatever clock that was taken by."""
    at, recorded = (yes.at, yes.recorded) if yes else (act.at, act.recorded)
    latest = (max(act.at, at), max(act.recorded, recorded))
    return replace(act, status=status, categories=(), until=0, at=latest[0], recorded=latest[1])


def _closed(
    merged: PersonRecord,
    sides: tuple[PersonRecord, PersonRecord],
    purposes: Mapping[str, Purpose],
    act: Act,
) -> dict[str, ConsentStatus]:
    """Places the joined events would open although one profile stands denied there."""
    closed = {}
    for purpose in purposes.values():
        for channel in (*sorted(CHANNELS), ""):
            where = scope(purpose, channel, purposes)
            denials = [
                found[1]
                for side in sides
                if (found := stands(side, where, act.at))[1] and found[1].status in DENYING
            ]
            if denials and stands(merged, where, act.at)[0] in GRANTING:
                closed[where.exact] = max(denials, key=rank).status
    withdrawn = frozenset().union(*map(withdrawn_categories, sides))
    for category in ("", *withdrawn) if withdrawn else ():
        closed[key(PERSONALISE, f"#{category}")] = ConsentStatus.WITHDRAWN
    return closed


def _agreed_by_both(
    sides: tuple[PersonRecord, PersonRecord], purposes: Mapping[str, Purpose], act: Act
) -> dict[str, Act]:
    """Places where the newest yes would open other categories than both profiles agreed to."""
    out = {}
    for purpose in purposes.values():
        for channel in (*sorted(CHANNELS), ""):
            where = scope(purpose, channel, purposes)
            found = [stands(side, where, act.at) for side in sides]
            if any(each[1] and each[1].status in DENYING for each in found):
                continue  # one of them said no: there is nothing both agreed to
            held = [each[1] for each in found if each[1] and each[0] in GRANTING]
            named = frozenset[str]().union(*(one.categories for one in held))
            yes = {c for c in named if not any(refused(side, where, c) for side in sides)}
            if held and yes != set(max(held, key=rank).categories):
                out[where.exact] = _both(held, where, yes)
    return out


def _both(held: Sequence[Act], where: Scope, yes: Iterable[str]) -> Act:
    """One yes for two: with the sooner end, and no better proven than the lesser of them."""
    ends = [end for one in held if (end := grant_end(where.purpose, one))]
    newest_first = sorted(held, key=rank, reverse=True)
    return replace(
        newest_first[0],
        categories=tuple(sorted(yes)),
        until=min(ends, default=0),
        confirmed=all(one.confirmed for one in held),
        by=min((one.by for one in newest_first), key=lambda who: who in GUARDIANS),
    )


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
