"""Preferences: what a person agreed to, refused, withdrew or objected to, and how they say it.

A restriction (withdrawal, objection, suppression) is journalled before it is answered and binds
the very next decision. An import books what its row proves and no more.
"""

from troth.capabilities.preferences.asking import Ask, Shown, book_ask, defer, next_ask
from troth.capabilities.preferences.binding import finish as finish_binding
from troth.capabilities.preferences.choices import NO_YES, record_choice, record_choices
from troth.capabilities.preferences.consents import done_before, import_consents
from troth.capabilities.preferences.model import Choice
from troth.capabilities.preferences.narrowing import (
    Yes,
    agree,
    choose_level,
    decline,
    level_asks,
    notice_in_force,
    set_interests,
    set_language,
    set_preferences,
    stop_everything,
)
from troth.capabilities.preferences.overview import Cell, Matrix, Row, doubt, matrix
from troth.capabilities.preferences.pacing import NotNow
from troth.capabilities.preferences.records import (
    Kept,
    record_bytes,
    records_of,
    require_record,
    standing,
    standing_of_code,
)
from troth.capabilities.preferences.signals import honour_signal
from troth.capabilities.preferences.stop import (
    Stop,
    carry_out,
    is_theirs,
    read_token,
    shown_address,
    unsubscribe,
)
from troth.capabilities.preferences.suppressions import (
    apply_registry,
    import_suppressions,
    suppress,
    suppress_point,
    waive_registry,
)
from troth.capabilities.preferences.undoing import Inverse, inverse, undo
from troth.terms import Wishes

__all__ = [
    "NO_YES",
    "Ask",
    "Cell",
    "Choice",
    "Inverse",
    "Kept",
    "Matrix",
    "NotNow",
    "Row",
    "Shown",
    "Stop",
    "Wishes",
    "Yes",
    "agree",
    "apply_registry",
    "book_ask",
    "carry_out",
    "choose_level",
    "decline",
    "defer",
    "done_before",
    "doubt",
    "finish_binding",
    "honour_signal",
    "import_consents",
    "import_suppressions",
    "inverse",
    "is_theirs",
    "level_asks",
    "matrix",
    "next_ask",
    "notice_in_force",
    "read_token",
    "record_bytes",
    "record_choice",
    "record_choices",
    "records_of",
    "require_record",
    "set_interests",
    "set_language",
    "set_preferences",
    "shown_address",
    "standing",
    "standing_of_code",
    "stop_everything",
    "suppress",
    "suppress_point",
    "undo",
    "unsubscribe",
    "waive_registry",
]
