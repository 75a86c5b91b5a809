"""The words of the pages: categories, levels, actions, and reasons from the shipped catalogue."""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from troth.terms import Instant, Reason, ReasonCode, moment

CATEGORIES = {
    "identity.name": "your first name",
    "interests.declared": "the interests you told us",
    "purchases.13w": "what you bought in the last 13 weeks",
    "purchases.52w": "what you bought in the last year",
    "views.13w": "what you looked at on our site in the last 13 weeks",
    "cohort.compare": "what people with baskets like yours buy",
    "contact.email": "your e-mail address",
    "contact.phone": "your phone number",
}
LEVELS = (
    ("Only service", "Messages about what you order or ask. No marketing message exists."),
    ("News for everybody", "The same message for all. It uses nothing about you."),
    ("What I told you", "It greets you by name and knows the interests you chose to tell."),
    ("My last 13 weeks", "It also knows what you bought in the last 13 weeks."),
    ("My year", "It also knows what you bought in the last year."),
    ("Compare me with others", "It also knows what people with baskets like yours buy."),
)
ROLES = {
    "marketer": "Marketer",
    "support": "Support",
    "privacy_officer": "Privacy officer",
    "it": "IT and security",
    "agency": "Agency",
}
CHANNELS = {
    "email": "by e-mail", "sms": "by text message", "whatsapp": "by WhatsApp",
    "push": "by push message", "call": "by phone call", "post": "by post",
}  # fmt: skip
EVENTS = {
    "person.created": "we began to hold data about you",
    "person.facts": "we learnt a fact that rules depend on",
    "contact.added": "we took down a way to reach you",
    "values.sealed": "we sealed something you told us",
    "relation.recorded": "we noted how you deal with us",
    "behaviour.recorded": "we took in what you bought or looked at",
    "notice.served": "we showed you a notice",
    "suppression.added": "your address was put on the list we never write to",
    "suppression.lifted": "your address was taken off the list we never write to",
    "use.refused": "a use of your data was asked for and refused",
    "message.booked": "a message to you was decided, written and signed",
    "message.handed": "a message to you was handed to the mail relay",
    "message.failed": "a message to you could not be delivered",
    "message.unknown": "we cannot tell whether a message reached you",
    "message.withheld": "a message to you was held back",
    "message.delivered": "a message reached your mailbox",
    "message.bounced": "a message could not reach your mailbox",
    "message.complained": "you reported a message of ours",
    "message.replied": "you answered a message",
    "message.opened": "you opened a message, and had agreed that we may notice",
    "message.clicked": "you followed a link, and had agreed that we may notice",
    "contact.ended": "we let go of a way to reach you",
    "person.linked": "somebody may act for you, or no longer may",
    "person.merged": "two records of you became one",
    "person.unmerged": "two records that were wrongly one are two again",
    "retention.applied": "we deleted data whose time was over",
    "use.permitted": "a use of your data was asked for and agreed",
    "data.read": "your data was shown to somebody",
    "processing.restricted": "use of your data was stopped or resumed",
    "person.erasing": "your erasure began",
    "consent.given": "you agreed to something",
    "consent.reaffirmed": "you agreed to something again",
    "consent.refused": "you said no",
    "consent.withdrawn": "you took an agreement back",
    "consent.objected": "you objected",
}


@cache
def catalogue() -> dict[str, Any]:
    """Return the reasons' words as shipped."""
    return tomllib.loads((files("troth") / "data/words/reasons.en.toml").read_text("utf-8"))


OUTSIDE = {
    "not_renderable": "Their own data does not fit the message",
    "campaign_stopped": "The campaign was stopped",
    "erased": "Erased meanwhile",
}
"""Why a message did not go that is no answer of the gate."""


def title(code: str) -> str:
    """Return what a list shows for a reason."""
    plain = OUTSIDE.get(code, code.replace("_", " "))
    return str(catalogue()["reason"].get(code, {}).get("title", plain))


def why(code: str) -> str:
    """Return one sentence that explains a reason."""
    return str(catalogue()["reason"].get(code, {}).get("why", ""))


def change(code: str) -> str:
    """Return what would change the answer."""
    return str(catalogue()["reason"].get(code, {}).get("change", ""))


def remedy(reason: Reason) -> str:
    """Return the short line of what would help; a doubtful rule says so behind it."""
    name, _, cautious = reason.remedy.partition(".")
    line = str(catalogue()["remedy"].get(name, change(reason.code)))
    return f"{line} {catalogue()['cautious']['note']}" if cautious == "cautious" else line


_ORDER = {str(code): place for place, code in enumerate(ReasonCode)}


def place(code: str) -> int:
    """Return where a reason stands in the gate's order; unknown ones stand last."""
    return _ORDER.get(code, len(_ORDER))


def categories(names: Iterable[str]) -> list[str]:
    """Say data categories in words, from the least personal to the most."""
    given = set(names)
    known = [said for name, said in CATEGORIES.items() if name in given]
    return known + sorted(given - CATEGORIES.keys())


def number(value: int) -> str:
    """Write a whole number with a comma every three digits.

    >>> number(1469307)
    '1,469,307'
    """
    return f"{value:,}"


def joined(words: Iterable[str]) -> str:
    """Join words as a sentence does.

    >>> joined(["tea", "rusks", "soap"])
    'tea, rusks and soap'
    """
    listed = list(words)
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def spoken(at: Instant, zone: str) -> str:
    """Write an instant in a zone, as people say it.

    >>> from troth.terms import from_zulu
    >>> spoken(from_zulu("2026-11-17T08:00:00Z"), "Africa/Johannesburg")
    '17 November 2026, 10:00 (Johannesburg)'
    """
    local = moment(at).astimezone(ZoneInfo(zone))
    place = zone.rpartition("/")[2].replace("_", " ")
    return f"{local.day} {local:%B %Y, %H:%M} ({place})"
