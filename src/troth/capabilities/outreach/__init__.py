"""Outreach: preview an audience, book personalised messages, hand them over: one door.

Look, decide, book, act. Nobody is mailed without a permit of this very moment: candidates are only
narrowed to, decided one by one before a message is rendered, and decided again before it is handed
over. What was booked is sealed until it leaves and gone afterwards.
"""

from troth.capabilities.outreach.booking import book, job_kind
from troth.capabilities.outreach.footer import anchor_line
from troth.capabilities.outreach.handover import Courier
from troth.capabilities.outreach.model import (
    BATCH,
    JOB,
    LEASE,
    Booked,
    Campaign,
    End,
    Handed,
    Judged,
    Preview,
    Rendered,
    Sender,
    Shelf,
    Value,
    Writer,
    request_for,
)
from troth.capabilities.outreach.rendering import Renderer, compose, open_values
from troth.capabilities.outreach.returns import Taken, take_return
from troth.capabilities.outreach.service import (
    Letter,
    LetterCourier,
    Press,
    book_letter,
    letter_to,
    post,
)
from troth.capabilities.outreach.views import decided, judge, preview, preview_many

__all__ = [
    "BATCH",
    "JOB",
    "LEASE",
    "Booked",
    "Campaign",
    "Courier",
    "End",
    "Handed",
    "Judged",
    "Letter",
    "LetterCourier",
    "Press",
    "Preview",
    "Rendered",
    "Renderer",
    "Sender",
    "Shelf",
    "Taken",
    "Value",
    "Writer",
    "anchor_line",
    "book",
    "book_letter",
    "compose",
    "decided",
    "job_kind",
    "judge",
    "letter_to",
    "open_values",
    "post",
    "preview",
    "preview_many",
    "request_for",
    "take_return",
]
