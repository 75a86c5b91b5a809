"""What connections speak of: a feed of permissions, its rows, a webhook and how it stands."""

from collections.abc import Callable
from dataclasses import dataclass

from troth import crypto
from troth.kernel.desk import Desk
from troth.kernel.vault import lp
from troth.terms import Action, Actor, Channel, Instant, PersonId, Role

REF_BYTES = 16
ID, HASH = "id", "sha256"
SHOWN = {ID: ("external.id", "identity.official"), HASH: ("contact.email", "contact.email")}
"""How a feed names people → the vault field and its category."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What one connection is told: may these people be written to under this purpose, so?

    Attributes:
        connection: Its name; pseudonyms of two connections have nothing in common.
        under: The purpose under which the answers leave the house.
        agreement: Where another company runs it; "" a system of the house itself.
        shows: `id` the shop's own number, `sha256` a plain hash of the e-mail address.
    """

    connection: str
    purpose: str
    channel: Channel
    under: str
    brand: str
    agreement: str = ""
    shows: str = ID

    @property
    def action(self) -> Action:
        """What leaving is before the gate: sharing, where another company runs the system."""
        return Action.SHARE if self.agreement else Action.EXPORT


@dataclass(frozen=True, slots=True)
class Row:
    """One person's answer as the connection gets it.

    Attributes:
        ref: The connection's own pseudonym.
        shown: Outside id or hash; "" where nothing but the pseudonym may leave.
        may: yes, no, or not_now (only the hour or the count of messages stands against it).
        code: The first reason of what is no yes, or `gone`.
        since: When the ground began, or the answer was found.
        until: From here on the answer counts as no.
    """

    ref: str
    shown: str
    may: str
    code: str
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows and where to go on; `more` tells whether there is more right now."""

    rows: tuple[Row, ...]
    cursor: str
    more: bool


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook: another system that is told of what narrows.

    Attributes:
        events: Types it is told of.
        under: The purpose under which it is told.
        local: It may lie on this machine or in a private network.
        ended: When it was ended; 0 while it was not.
    """

    name: str
    url: str
    events: tuple[str, ...]
    under: str
    agreement: str = ""
    local: bool = False
    made: int = 0
    ended: int = 0


@dataclass(frozen=True, slots=True)
class HookStanding:
    """How a webhook stands: deliveries waiting, made and given up, and the last of each kind."""

    hook: Hook
    waiting: int
    done: int
    dead: int
    last: Instant
    failing: Instant


Deliver = Callable[[Hook, str, bytes], bool]
"""`(hook, id, body)` → whether the other system took it; the same id at every attempt."""


def pseudonym(desk: Desk, connection: str, person: PersonId) -> bytes:
    """Return a connection's own pseudonym of a person; without the house's secret it says nothing.

    Worked out from the id alone, so that whoever left can still be named to stop.
    """
    secret = desk.vault.keys.secret("token")
    return crypto.mac(secret, lp(b"connection", connection.encode(), person))[:REF_BYTES]


def machine(connection: str) -> Actor:
    """Return as whom the house itself asks for a connection."""
    return Actor(Role.SYSTEM, f"connection:{connection}")
