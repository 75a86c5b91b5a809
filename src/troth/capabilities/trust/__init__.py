"""Trust: what was done, told whole to whoever asks, and counted for those who answer for it."""

from troth.capabilities.trust.answer import Dossier, Entry, dossier
from troth.capabilities.trust.facts import Facts, Other, Words, read_facts
from troth.capabilities.trust.papers import (
    Gap,
    Line,
    Paper,
    Part,
    Source,
    as_csv,
    as_data,
    as_json,
    as_pdf,
)
from troth.capabilities.trust.papers import from_data as read_paper
from troth.capabilities.trust.printed import print_form
from troth.capabilities.trust.register import make as make_paper
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
    "Facts",
    "Gap",
    "Line",
    "Month",
    "NearMiss",
    "Other",
    "Paper",
    "Part",
    "Source",
    "Words",
    "as_csv",
    "as_data",
    "as_json",
    "as_pdf",
    "catch_up",
    "counted",
    "dossier",
    "make_paper",
    "month",
    "month_of",
    "named",
    "print_form",
    "read_facts",
    "read_paper",
    "uncounted",
]
