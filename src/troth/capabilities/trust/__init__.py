"""Trust: what was done, told whole to whoever asks, and counted for those who answer for it."""

from troth.capabilities.trust.answer import Dossier, Entry, dossier
from troth.capabilities.trust.report import (
    CampaignMonth,
    Deed,
    Month,
    NearMiss,
    month,
    month_of,
    named,
)
from troth.capabilities.trust.tally import Counted, catch_up, counted, uncounted

__all__ = [
    "CampaignMonth",
    "Counted",
    "Deed",
    "Dossier",
    "Entry",
    "Month",
    "NearMiss",
    "catch_up",
    "counted",
    "dossier",
    "month",
    "month_of",
    "named",
    "uncounted",
]
