"""The doctor: every protection of the house looked at, now; green only where it was looked at.

Each part says how its own protections stand (`checks` of its module); what concerns the whole
house is looked at here. Nothing is opened, nothing is changed, nothing leaves this machine.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from troth.app import (
    access,
    backup,
    base_policy,
    doctor_files,
    doctor_house,
    keys,
    looks,
    oidc,
    witnesses,
)
from troth.app.checks import Check, State, Step
from troth.app.workspace import Workspace
from troth.errors import Fault

STEPS: Final[tuple[Step, ...]] = ("acquired", "used", "stored", "shared", "deleted")
_ORDER: Final[tuple[State, ...]] = ("bad", "unknown", "good", "off")
Look = Callable[[Workspace], Iterable[Check]]
PARTS: Final[Mapping[str, Look]] = MappingProxyType(
    {
        "access": access.checks,
        "policy": base_policy.policy_checks,
        "looks": looks.checks,
        "backup": backup.checks,
        "keys": keys.checks,
        "oidc": oidc.checks,
        "witnesses": witnesses.checks,
    }
)
"""What each part says of its own protections; named here, so that none is lost unnoticed."""


def examine(opened: Workspace) -> list[Check]:
    """Look at everything; red first. About 0.1 s beside what the parts' own looks cost.

    A look that fails is no green: it becomes a check whose state is unknown.
    """
    found: dict[str, Check] = {}
    for name, look in PARTS.items():
        for each in _tried(f"part.{name}", look, opened):
            found[each.id] = each
    for name, several in (("house", doctor_house.LOOKS), ("files", doctor_files.LOOKS)):
        for n, own in enumerate(several):
            for each in _tried(f"{name}.{n}", own, opened):
                found.setdefault(each.id, each)
    return ordered(found.values())


def ordered(found: Iterable[Check]) -> list[Check]:
    """Put what is bad first, then what nobody could look at, each by its step."""
    return sorted(found, key=lambda c: (_ORDER.index(c.state), STEPS.index(c.step), c.id))


def bad(found: Sequence[Check]) -> list[Check]:
    """Return what does not hold."""
    return [each for each in found if each.state == "bad"]


def _tried(name: str, look: Look, opened: Workspace) -> Iterator[Check]:
    try:
        yield from look(opened)
    except Fault as fault:
        yield _unseen(name, fault.message)
    except Exception as broken:  # noqa: BLE001 - a look that breaks is a finding, not the end
        yield _unseen(name, type(broken).__name__)


def _unseen(name: str, why: str) -> Check:
    return Check(
        f"doctor.{name}", "stored", "A look that did not succeed", "unknown",
        f"{name} could not be looked at: {why}", "run troth doctor again; then call the operator",
    )  # fmt: skip
