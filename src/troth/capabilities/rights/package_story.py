"""A person's events as a package tells them: nothing that names somebody else gets in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from troth.kernel import events
from troth.kernel.scribe import Recorded
from troth.terms import PersonId, zulu

HIDDEN: Final = "[somebody else]"
"""Stands where something names another person."""
_ADDRESS = re.compile(r"[^\s@<>\"',;:()\[\]]{1,64}@[^\s@<>\"',;:()\[\]]{1,255}\.[A-Za-z]{2,24}")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One event as the package tells it.

    Attributes:
        chain: 0 for the person's own chain, 1 and up for those merged into it.
        said: Its particulars; `cut` where something of another person was left out.
    """

    chain: int
    recorded: Recorded
    said: Row
    cut: bool

    @property
    def payload(self) -> events.Payload:
        """What happened."""
        return self.recorded.event.payload

    @property
    def row(self) -> Row:
        """The event as `events.jsonl` and the tables have it."""
        event = self.recorded.event
        return {
            "at": zulu(event.at),
            "type": event.type,
            "by": event.actor.partition("/")[0],
            "chain": self.chain,
            "n": event.n,
            "entry": self.recorded.seq,
            **({"left_out": "what names another person"} if self.cut else {}),
            "said": self.said,
        }


def story_of(
    chains: Mapping[PersonId, Sequence[Recorded]], values: Mapping[PersonId, Mapping[str, str]]
) -> list[Line]:
    """Return every event of the person, oldest first, without what names others.

    Args:
        chains: The events of each id of the person, the one that stayed first.
        values: What is held under each; an address among it is their own.
    """
    held = {text.lower() for each in values.values() for text in each.values()}
    own = frozenset(held | {person.hex() for person in chains})
    out = []
    for place, person in enumerate(chains):
        for recorded in chains[person]:
            said, cut = particulars(recorded.event.payload, own)
            out.append(Line(place, recorded, said, cut))
    out.sort(key=lambda each: (each.recorded.event.at, each.recorded.seq))
    return out


def particulars(payload: events.Payload, own: frozenset[str]) -> tuple[Row, bool]:
    """Return what an event says, and whether something that names another person was left out.

    Args:
        payload: The event.
        own: The person's own ids in hex, and their own values in lower case.
    """
    said: Row = {}
    cut = False
    for each in fields(payload):  # type: ignore[arg-type] # every payload is a dataclass
        value = getattr(payload, each.name)
        if value is None:
            continue
        clean = value
        if each.name == "other" and isinstance(payload, _NAMES_OTHERS):
            clean = value if value in own else HIDDEN
        elif each.name != "message_id":
            clean = _without(value, own)
        cut = cut or clean != value
        said[each.name] = clean
    return said, cut


_NAMES_OTHERS = (events.PersonLinked, events.PersonMerged, events.PersonUnmerged)


def _without(value: Any, own: frozenset[str]) -> Any:  # noqa: ANN401 - an event's particulars
    """Hide addresses that are not the person's own, at any depth."""
    if isinstance(value, str):
        if "@" not in value:
            return value
        return _ADDRESS.sub(lambda m: m[0] if m[0].lower() in own else HIDDEN, value)
    if isinstance(value, Mapping):
        return {key: _without(each, own) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_without(each, own) for each in value)
    return value
