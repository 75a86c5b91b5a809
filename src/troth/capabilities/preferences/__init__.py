"""Preferences: what a person agreed to, refused, withdrew or objected to, and how they say it.

A restriction (withdrawal, objection, suppression) is journalled before it is answered and binds
the very next decision. An import books what its row proves and no more.
"""

from troth.capabilities.preferences.choices import record_choice
from troth.capabilities.preferences.consents import done_before, import_consents
from troth.capabilities.preferences.model import Choice
from troth.capabilities.preferences.stop import Stop, read_token, unsubscribe
from troth.capabilities.preferences.suppressions import (
    apply_registry,
    import_suppressions,
    suppress,
    suppress_point,
    waive_registry,
)

__all__ = [
    "Choice",
    "Stop",
    "apply_registry",
    "done_before",
    "import_consents",
    "import_suppressions",
    "read_token",
    "record_choice",
    "suppress",
    "suppress_point",
    "unsubscribe",
    "waive_registry",
]
