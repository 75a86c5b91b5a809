"""One-click unsubscribe (RFC 8058): what a token stops, and stopping it."""

from dataclasses import dataclass, replace

import msgspec

from troth.capabilities.preferences.choices import record_choice
from troth.capabilities.preferences.model import FROM_CAMPAIGN, TOKENS, Choice
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
    Gathered,
    Instant,
    PersonId,
    PersonRecord,
    PurposeKind,
    Role,
)


@dataclass(frozen=True, slots=True)
class Stop:
    """What a token would stop.

    Attributes:
        campaign: Whose message it came with, "" where that is not known.
        ref: That message's own reference, "" where that is not known.
        shown: The address it went to as a page may show it, sealed under the token; "" unknown.
        sup: Suppression MAC of that address in hex; "" of a message sent before it was kept.
    """

    person: PersonId
    purpose: str
    channel: str
    campaign: str = ""
    ref: str = ""
    shown: str = ""
    sup: str = ""


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
        psid, purpose, channel, expires, *more = msgspec.json.decode(raw)
        if expires <= view.now:
            raise unknown
    return Stop(PersonId(bytes.fromhex(psid)), purpose, channel, *more)


def shown_address(desk: Desk, token: str, stop: Stop) -> str:
    """Return the masked address a token's message went to; "" of one sent before it was kept."""
    return desk.open_beside_token(token, stop.shown) if stop.shown else ""


def is_theirs(desk: Desk, stop: Stop) -> bool:
    """Tell whether the address a message went to is still the one of whom it was for.

    Whoever has another address by now is neither shown nor steered by what came to the old one.
    """
    with desk.store.look() as view:
        found = view.gather([stop.person], Channel(stop.channel))
    return bool(found) and _is_theirs(stop, found[0])


def _is_theirs(stop: Stop, found: Gathered) -> bool:
    if not stop.sup:
        return True
    return found.contact is not None and found.contact.sup.hex() == stop.sup


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
    """Stop what a token stops, at once; see `carry_out`.

    Raises:
        NotFound: As `read_token`.
    """
    return carry_out(desk, read_token(desk, token))


def carry_out(
    desk: Desk, stop: Stop, method: str = "one_click", at: Instant | None = None
) -> Stop:
    """Stop a purpose on a channel for the person and the address the mail went to, at once.

    The address is suppressed for the purpose as well, so that whoever shares the mailbox gets no
    second copy. Where the person has another address by now, the one the mail went to is
    suppressed and nothing else. Repeating it changes nothing more. Return what was stopped.

    Args:
        desk: The desk.
        stop: Whom and what for; its campaign is named as the source.
        method: How they said so: one_click, or reply.
        at: When they said so, if not just now; what they agreed to since stands.
    """
    with desk.store.look() as view:
        asked = desk.house(view).purposes.get(stop.purpose)
        if asked and asked.parent and asked.kind is PurposeKind.CONSENT_REQUEST:
            # a no to the question is a no to what it asks
            stop = replace(stop, purpose=asked.parent)
        found = view.gather([stop.person], Channel(stop.channel))
        since = view.now if at is None else at
    if not found or found[0].record.erasing:
        return stop
    if not _is_theirs(stop, found[0]):
        _suppress_alone(desk, stop, method, since)
        return stop
    if _agreed_after(stop, found[0].record, since):
        return stop
    source, actor = _source(stop), Actor(Role.PERSON, stop.person.hex())
    if not _stopped(desk, stop, found[0].record):
        choice = Choice(
            ConsentStatus.WITHDRAWN,
            stop.purpose,
            (stop.channel,),
            method=method,
            occurred_at=at,
            source=source,
        )
        record_choice(desk, stop.person, choice, actor)
    contact = found[0].contact
    if contact is not None:
        block = Block("unsubscribe", "purpose", stop.purpose, since=since)
        told = source or method
        suppress_point(desk, Channel(stop.channel), contact.bi, contact.sup, block, told, actor)
    return stop


def _suppress_alone(desk: Desk, stop: Stop, method: str, since: Instant) -> None:
    """Suppress the address a mail went to, for its purpose; its reader is none of its holders."""
    block = Block("unsubscribe", "purpose", stop.purpose, since=since)
    reader, sup = Actor(Role.PERSON, stop.sup), bytes.fromhex(stop.sup)
    told = _source(stop) or method
    suppress_point(desk, Channel(stop.channel), b"", sup, block, told, reader)


def _source(stop: Stop) -> str:
    return f"{FROM_CAMPAIGN}{stop.campaign}" if stop.campaign else ""


def _agreed_after(stop: Stop, record: PersonRecord, since: Instant) -> bool:
    """Tell whether they said yes to this very use after they said stop."""
    standing = record.standings.get(f"{stop.purpose}|{stop.channel}")
    return standing is not None and standing.grant is not None and standing.grant.at > since
