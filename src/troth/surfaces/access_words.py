"""Words about rights of staff, for console and command line alike."""

from typing import Final

from troth.capabilities.access.grants import Grant
from troth.terms import SECOND, Instant

CALLED: Final = {
    "identity.name": "names",
    "identity.age": "ages",
    "identity.official": "customer numbers",
    "contact.email": "e-mail addresses",
    "contact.phone": "phone numbers",
    "contact.post": "postal addresses",
    "contact.push": "app addresses",
    "interests.declared": "interests they told us",
    "purchases": "purchases",
    "purchases.13w": "purchases of three months",
    "purchases.52w": "purchases of a year",
    "purchases.sensitive": "sensitive purchases",
    "views": "pages looked at",
    "views.13w": "pages looked at in three months",
    "cohort.compare": "comparisons with others",
    "engagement.clicks": "clicks in mails",
    "engagement.opens": "opened mails",
}
ACTIONS: Final = {"read": "look at it", "export": "take it out"}


def called(category: str) -> str:
    """Name a category as a sentence does, in the plural; one nobody named by its code.

    >>> called("contact.email"), called("loyalty.tier")
    ('e-mail addresses', 'loyalty.tier')
    """
    return CALLED.get(category, category)


def people(count: int) -> str:
    """Write a number of staff.

    >>> people(1), people(37), people(0)
    ('1 person', '37 people', 'Nobody')
    """
    if not count:
        return "Nobody"
    return f"{count:,} {'person' if count == 1 else 'people'}"


def state_of(grant: Grant, at: Instant) -> str:
    """Say how a right stands, whether or not its end was written down yet."""
    if grant.state == "requested" and not grant.waits(at):
        return "lapsed"
    if grant.state == "active" and not grant.stands(at):
        return "ended"
    return {"requested": "waits", "revoked": "ended early"}.get(grant.state, grant.state)


def left(grant: Grant, at: Instant) -> str:
    """Say how long a right or request still has, "" where it is over."""
    if not (grant.stands(at) or grant.waits(at)):
        return ""
    return length(grant.until - at)


def length(micros: int) -> str:
    """Write a length as people say it, never longer than it is.

    >>> length(59 * 60 * SECOND), length(8 * 3600 * SECOND), length(49 * 3600 * SECOND)
    ('59 minutes', '8 hours', '2 days')
    """
    minutes = micros // (60 * SECOND)
    for size, word in ((1440, "day"), (60, "hour")):
        if minutes >= 2 * size or minutes == size:
            count = minutes // size
            return f"{count} {word}{'' if count == 1 else 's'}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}" if minutes else "less than a minute"
