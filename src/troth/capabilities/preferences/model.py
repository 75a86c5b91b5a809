"""One act of a person, and what the tables of this capability are called."""

from collections.abc import Callable
from dataclasses import dataclass

from troth.terms import (
    SECOND,
    ConsentStatus,
    Instant,
    Role,
)

PROGRESS = "preferences.import"
KEYS = "preferences.key"
TOKENS = "preferences.token"
LISTED = "people.registry"
FROM_CAMPAIGN = "campaign:"
"""How an act names the campaign whose message it answers."""
MAY_RECORD = frozenset({Role.PERSON, Role.SYSTEM, Role.SUPPORT, Role.OFFICER})
"""Whoever mails or sells does not write down who agreed to it."""
TRIES = 20
"""How often an act is looked at again because others wrote in between."""
FUTURE_SLACK = 300 * SECOND
LIFTED_BY_CONSENT = frozenset({"unsubscribe", "objection"})

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """One act of a person on one purpose, as a form, a mail header or a member of staff passes it.

    Attributes:
        channels: Named channels; empty for a purpose without one; ("*",) only to stop.
        notice: `name@version` shown; needed to grant.
        method: checkbox, button, one_click, paper, call_recording …; needed to grant.
        proof: Reference to what proves it; needed to grant.
        level: For `personalise`: the level chosen, 0 to 5.
        occurred_at: When it happened, if not now.
        source: What it came by, such as `campaign:NAME`.
        language: In which language the notice was shown; "" its own.
        confirmed_at: When the address was confirmed, for a purpose that wants it.
        binds: Of a no: channels on which the person's addresses go on the list with it.
    """

    status: ConsentStatus
    purpose: str
    channels: tuple[str, ...] = ()
    notice: str = ""
    method: str = ""
    proof: str = ""
    categories: tuple[str, ...] = ()
    level: int | None = None
    given_by: str = "self"
    occurred_at: Instant | None = None
    source: str = ""
    language: str = ""
    confirmed_at: Instant | None = None
    binds: tuple[str, ...] = ()
