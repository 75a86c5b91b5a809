"""Custody: publish what the house decides by, sign what was booked, check it, keep no longer."""

from troth.capabilities.custody.journal import JOURNAL, guard_journal, journal_missing, keep_tip
from troth.capabilities.custody.keeping import (
    BEHAVIOUR,
    PAGE,
    PENDING,
    Planned,
    Watch,
    finish_retention,
    kept_until,
    retention_apply,
    retention_of,
    retention_plan,
)
from troth.capabilities.custody.publishing import apply, changes, found
from troth.capabilities.custody.signing import Signer, guard, sign

__all__ = [
    "BEHAVIOUR",
    "JOURNAL",
    "PAGE",
    "PENDING",
    "Planned",
    "Signer",
    "Watch",
    "apply",
    "changes",
    "finish_retention",
    "found",
    "guard",
    "guard_journal",
    "journal_missing",
    "keep_tip",
    "kept_until",
    "retention_apply",
    "retention_of",
    "retention_plan",
    "sign",
]
