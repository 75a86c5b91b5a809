"""Preferences: what a person agreed to, refused, withdrew or objected to, and how they say it.

A restriction (withdrawal, objection, suppression) is journalled before it is answered and binds
the very next decision. An import books what its row proves and no more.
"""

from troth.capabilities.preferences.asking import Ask, Shown, book_ask, defer, next_ask
from troth.capabilities.preferences.choices import record_choice
from troth.capabilities.preferences.consents import done_before, import_consents
from troth.capabilities.preferences.model import Choice
from troth.capabilities.preferences.pacing import NotNow
from troth.capabilities.preferences.signals import honour_signal
from troth.capabilities.preferences.stop import Stop, carry_out, read_token, unsubscribe
from troth.capabilities.preferences.suppressions import (
    apply_registry,
    import_suppressions,
    suppress,
    suppress_point,
    waive_registry,
)

__all__ = [
    "Ask",
    "Choice",
    "NotNow",
    "Shown",
    "Stop",
    "apply_registry",
    "book_ask",
    "carry_out",
    "defer",
    "done_before",
    "honour_signal",
    "import_consents",
    "import_suppressions",
    "next_ask",
    "read_token",
    "record_choice",
    "suppress",
    "suppress_point",
    "unsubscribe",
    "waive_registry",
]
