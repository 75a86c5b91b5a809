"""What a restore must not undo: recorded events as lines of the restriction journal.

One shape for whoever writes a line: the use case right after its commit, or the follower that
finds it missing after a crash between commit and journal. A line is known by its ledger sequence.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from troth.kernel import events
from troth.terms import DENYING, Block, PersonId

Line = tuple[str, Mapping[str, str | int], int]
"""Act, facts, ledger sequence of the event it is about."""

RESTRICTION, SUPPRESSION, ERASURE, PARTIAL = "restriction", "suppression", "erasure", "partial"
MERGE, UNMERGE, UNLINK = "merge", "unmerge", "unlink"
ASKED, REGISTRY = "asked", "registry"


def line(person: PersonId, payload: events.Payload, seq: int) -> Line | None:
    """Return the journal line an event of a person needs, None if it restricts nothing.

    A suppression is not written from its event: see `suppressed`.

    Args:
        person: Whose chain.
        payload: What was recorded.
        seq: Ledger sequence of the event.
    """
    told = _TOLD.get(type(payload))
    facts = told(payload) if told else None
    if facts is None:
        return None
    act, more = facts
    return act, {"psid": person.hex(), **more}, seq


_Facts = tuple[str, Mapping[str, str | int]]


def _consent(said: events.ConsentAct) -> _Facts | None:
    if said.status not in DENYING:
        return None
    channels = ",".join(said.channels)
    told: dict[str, str | int] = {
        "purpose": said.purpose,
        "channels": channels,
        "status": str(said.status),
        "categories": ",".join(said.categories or ()),
    }
    if said.level is not None:
        told["level"] = said.level
    if said.given_by != "self":
        told["by"] = said.given_by
    return RESTRICTION, told


def _restricted(said: events.ProcessingRestricted) -> _Facts | None:
    return (RESTRICTION, {"status": "restricted"}) if said.restricted else None


def _retention(said: events.RetentionApplied) -> _Facts:
    gone = ",".join((*said.scopes, *said.fields))
    return PARTIAL, {"scopes": gone, "rule": said.rule}


def _deleted(said: events.BehaviourDeleted) -> _Facts:
    """Name quarters and the newest key version destroyed of each: no copy brings these back."""
    gone = sorted(said.scopes)
    versions = ",".join(str(said.scopes[scope]) for scope in gone)
    return PARTIAL, {"scopes": ",".join(gone), "kver": versions, "rule": "person.wish"}


def _wished(said: events.PreferenceSet) -> _Facts | None:
    """Tell a wish whole; one that wishes nothing any more restricts nothing."""
    wished: dict[str, str | int] = {
        "pause_until": said.pause_until or "",
        "most": -1 if said.most is None else said.most,
        "quiet": "-".join(said.quiet or ()),
    }
    nothing = wished == {"pause_until": "", "most": -1, "quiet": ""}
    return None if nothing else (RESTRICTION, {"status": "wished", **wished})


def _kept(said: events.RetentionChosen) -> _Facts | None:
    if said.months is None:
        return None
    return RESTRICTION, {"status": "kept", "scopes": said.scope, "months": said.months}


def _merged(said: events.PersonMerged) -> _Facts | None:
    """Tell who became one, in the chain that stays: a no of either is the other's as well."""
    return (MERGE, {"other": said.other}) if said.keeps else None


def _linked(said: events.PersonLinked) -> _Facts | None:
    """Tell that a mandate ended, in the chain of whom it was for."""
    ended = said.ended and not said.relation.endswith("_for")
    return (UNLINK, {"other": said.other}) if ended else None


_TOLD: dict[type[Any], Callable[[Any], _Facts | None]] = {
    events.PersonLinked: _linked,
    events.PersonMerged: _merged,
    events.PersonUnmerged: lambda said: (UNMERGE, {"other": said.other}),
    events.ConsentAct: _consent,
    events.ProcessingRestricted: _restricted,
    events.PersonErasing: lambda said: (ERASURE, {"request": said.request}),
    events.RetentionApplied: _retention,
    events.BehaviourDeleted: _deleted,
    events.PreferenceSet: _wished,
    events.RetentionChosen: _kept,
}


def asked(sups: Iterable[bytes], seq: int) -> list[Line]:
    """Return the lines of addresses that are asked for consent: each may be asked once, ever."""
    told = [sup.hex() for sup in sups]
    pages = [told[i : i + _PAGE] for i in range(0, len(told), _PAGE)]
    return [(ASKED, {"sups": ",".join(page)}, seq) for page in pages]


_PAGE = 200


def with_addresses(told: Line, sups: Iterable[bytes]) -> Line:
    """Add the codes of whose addresses a no is about: a restore may not know the person at all."""
    act, facts, seq = told
    codes = ",".join(sorted({sup.hex() for sup in sups}))
    return (act, {**facts, "sups": codes}, seq) if codes and "purpose" in facts else told


def suppressed(sup: bytes, block: Block, seq: int) -> Line:
    """Return the line of a suppression: by the address's MAC, naming nobody."""
    facts = {"sup": sup.hex(), "scope": block.scope, "value": block.value}
    return SUPPRESSION, {**facts, "reason": block.reason}, seq
