"""When copies open nothing of an erased person any more, and what was searched for what is left.

A date stands in a certificate only where something enforces it; what is not covered is never left
out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from troth.terms import Instant, zulu

NO_END = "a backup of keys/ made before {at} still opens data backups made before {at}"
HORIZON = "until {until} " + NO_END
NOT_SEARCHED = "no store was searched for what may be left"
NO_VALUES = (
    "plain values were not searched for, only ids and codes: they were not known any more when"
    " the erasure was finished"
)
BEST_EFFORT = "best effort on this disk"
NOT_COVERED = (
    NO_END,
    "copies at partners that have not answered, mails already delivered, printed pages",
    "a flash disk may keep a stale block of an overwritten key",
)

NEVER = Instant(0)


@dataclass(frozen=True, slots=True)
class Horizon:
    """When a copy of the key store opens nothing of an erased person any more.

    Attributes:
        epoch: The newest key epoch at the moment their keys were destroyed; 0 unknown.
        state: destroyed or scheduled: something enforces it; "" where nothing does yet.
        at: The date; 0 while there is none.
        method: What the provider states of its finality.
    """

    epoch: int = 0
    state: str = ""
    at: Instant = NEVER
    method: str = BEST_EFFORT


@dataclass(frozen=True, slots=True)
class Scanned:
    """A search of everything the house owns, after an erasure.

    Attributes:
        stores: What was searched, by name.
        by: What was searched for: values, keys, addresses, ids.
        found: Store → how many places; anything here, and the erasure is not complete.
    """

    stores: tuple[str, ...]
    by: tuple[str, ...]
    found: Mapping[str, int] = field(default_factory=dict)


NO_HORIZON = Horizon()
NOT_SCANNED = Scanned((), ())


def uncovered(horizon: Horizon, scanned: Scanned, now: Instant) -> list[str]:
    """Say what an erasure does not cover."""
    at, out = zulu(now), list(NOT_COVERED[1:])
    if not horizon.state:
        out.insert(0, NO_END.format(at=at))
    elif horizon.at > now:
        out.insert(0, HORIZON.format(at=at, until=zulu(horizon.at)))
    if not scanned.stores:
        return [*out, NOT_SEARCHED]
    return out if "values" in scanned.by else [*out, NO_VALUES]


def ended(horizon: Horizon) -> dict[str, object]:
    """Say of which epoch the keys were, and what is enforced of its end."""
    return {
        "epoch": horizon.epoch or None,
        "epoch_destroyed": horizon.epoch if horizon.state == "destroyed" else None,
        "epoch_scheduled": horizon.epoch if horizon.state == "scheduled" else None,
        "final_after": zulu(horizon.at) if horizon.state else None,
        "method": horizon.method or BEST_EFFORT,
    }


def searched(scanned: Scanned) -> dict[str, object]:
    """Say what was searched, and for what."""
    return {"searched": list(scanned.stores), "searched_for": list(scanned.by)}
