"""An existing list, before any set-up: who may be mailed, who may be asked once, who not, and why.

The gate answers, row by row, from a house made of the shipped rules and from what each row proves.
Nothing is recorded: no workspace, no event, no copy. What a row cannot prove is unknown: no.
"""

from troth.capabilities.listcheck.model import (
    GROUPS,
    Asked,
    Condition,
    Example,
    Group,
    Outcome,
    RegistryTold,
    Tally,
    Verdict,
)
from troth.capabilities.listcheck.rules import Judge, house_of
from troth.capabilities.listcheck.service import check

__all__ = [
    "GROUPS",
    "Asked",
    "Condition",
    "Example",
    "Group",
    "Judge",
    "Outcome",
    "RegistryTold",
    "Tally",
    "Verdict",
    "check",
    "house_of",
]
