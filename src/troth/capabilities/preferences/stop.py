"""One-click unsubscribe (RFC 8058): what a token stops, and stopping it."""

from dataclasses import dataclass

import msgspec

from troth.capabilities.preferences.choices import record_choice
from troth.capabilities.preferences.model import (
    TOKENS,
    Choice,
)
from troth.capabilities.preferences.suppressions import suppress_point
from troth.errors import NotFound
from troth.kernel import consent
from troth.kernel.desk import Desk
from troth.terms import (
    DENYING,
    Actor,
    Block,
    Channel,
    ConsentStatus,
    PersonId,
    PersonRecord,
    Role,
)


@dataclass(frozen=True, slots=True)
class Stop:
    """What a token would stop."""

    person: PersonId
    purpose: str
    channel: str


def read_token(desk: Desk, token: str) -> Stop:
    """Look a token up; changes nothing.

    Raises:
        NotFound: Unknown, expired or malformed: one answer for all three.
    """
    unknown = NotFound("this link is not known or has expired", "ask for a fresh link")
    if not 16 <= len(token) <= 64 or not token.isascii():  # noqa: PLR2004
        raise unknown
    with desk.store.look() as view:
        raw = view.row(TOKENS, desk.token_key(token))
        if raw is None:
            raise unknown
        psid, purpose, channel, expires = msgspec.json.decode(raw)
        if expires <= view.now:
            raise unknown
    return Stop(PersonId(bytes.fromhex(psid)), purpose, channel)


def _stopped(desk: Desk, stop: Stop, record: PersonRecord) -> bool:
    """Tell whether this very purpose and channel is withdrawn and nothing newer opens it."""
    standing = record.standings.get(f"{stop.purpose}|{stop.channel}")
    if standing is None or standing.deny is None:
        return False
    with desk.store.look() as view:
        house, now = desk.house(view), view.now
    purpose = house.purposes.get(stop.purpose)
    if purpose is None:
        return True
    found = consent.resolve(record, purpose, stop.channel, now, house.purposes)
    return found.status in DENYING


def unsubscribe(desk: Desk, token: str) -> Stop:
    """Stop a purpose on a channel for the person and the address the mail went to, at once.

    The address is suppressed for the purpose as well, so that whoever shares the mailbox gets no
    second copy. Repeating it changes nothing more.

    Raises:
        NotFound: As `read_token`.
    """
    stop = read_token(desk, token)
    with desk.store.look() as view:
        found = view.gather([stop.person], Channel(stop.channel))
        block = Block("unsubscribe", "purpose", stop.purpose, since=view.now)
    if not found or found[0].record.erasing:
        return stop
    if not _stopped(desk, stop, found[0].record):
        choice = Choice(ConsentStatus.WITHDRAWN, stop.purpose, (stop.channel,), method="one_click")
        record_choice(desk, stop.person, choice, Actor(Role.PERSON, stop.person.hex()))
    contact = found[0].contact
    if contact is not None:
        actor = Actor(Role.PERSON, stop.person.hex())
        suppress_point(
            desk, Channel(stop.channel), contact.bi, contact.sup, block, "one_click", actor
        )
    return stop
