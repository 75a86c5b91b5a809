"""Connections: what other systems are told of permissions, and what they tell us of a stop.

What leaves is decided person by person and is an event of that person first; what comes in narrows
at once and never widens. A connection knows people by its own pseudonym, and by the shop's own
number only where its purpose lists that.
"""

from troth.capabilities.connections.hooks import (
    DUE,
    FOLLOWED,
    add_hook,
    deliver_due,
    end_hook,
    hooks,
    note_event,
    standing,
    test_hook,
)
from troth.capabilities.connections.model import (
    Deliver,
    Feed,
    Hook,
    HookStanding,
    Page,
    Row,
)
from troth.capabilities.connections.once import Remembered, remember, remembered
from troth.capabilities.connections.permissions import begin, page, read_cursor

__all__ = [
    "DUE",
    "FOLLOWED",
    "Deliver",
    "Feed",
    "Hook",
    "HookStanding",
    "Page",
    "Remembered",
    "Row",
    "add_hook",
    "begin",
    "deliver_due",
    "end_hook",
    "hooks",
    "note_event",
    "page",
    "read_cursor",
    "remember",
    "remembered",
    "standing",
    "test_hook",
]
