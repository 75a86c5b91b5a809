"""Words of every surface: codes, categories, levels, roles, numbers and moments in plain words.

The kernel answers in codes; the words of reasons lie in `data/words/reasons.<language>.toml`, one
table a code. A code without words is a fault of the catalogue and fails the tests, never a page.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from troth.errors import NotFound
from troth.terms import Instant, Reason, ReasonCode, moment

ENGLISH = "en"
_CAUTIOUS = ".cautious"
CATEGORIES = {
    "identity.name": "your first name",
    "interests.declared": "the interests you told us",
    "purchases.13w": "what you bought in the last 13 weeks",
    "purchases.52w": "what you bought in the last year",
    "views.13w": "what you looked at on our site in the last 13 weeks",
    "engagement.clicks": "which links in our messages you follow",
    "engagement.opens": "whether you open our messages",
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
OUTSIDE = {
    "not_renderable": "Their own data does not fit the message",
    "campaign_stopped": "The campaign was stopped",
    "erased": "Erased meanwhile",
}
"""Why a message did not go that is no answer of the gate."""


@dataclass(frozen=True, slots=True)
class Words:
    """One reason in words.

    Attributes:
        title: What a list or a badge shows.
        why: One sentence without law.
        change: What would change the answer, or that nothing should.
    """

    title: str
    why: str
    change: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The words of one language.

    Attributes:
        doubt: What is said beside a reason whose rule is read in the stricter of two ways.
    """

    language: str
    _reasons: Mapping[str, Words]
    _remedies: Mapping[str, str]
    doubt: str

    def reason(self, code: str) -> Words:
        """Return the words of a reason code; an unknown code is shown as its own words."""
        return self._reasons.get(code, Words(code.replace("_", " "), "", ""))

    def remedy(self, name: str) -> str:
        """Return what would help, with the note of doubt where the id asks for it."""
        plain = self._remedies.get(name.removesuffix(_CAUTIOUS), "")
        return f"{plain} {self.doubt}".strip() if name.endswith(_CAUTIOUS) else plain

    def is_doubtful(self, remedy: str) -> bool:
        """Say whether a remedy id marks a rule read in the stricter way."""
        return remedy.endswith(_CAUTIOUS)

    def knows(self, code: str, remedy: str) -> bool:
        """Say whether both have words here."""
        return code in self._reasons and remedy.removesuffix(_CAUTIOUS) in self._remedies


@cache
def catalogue(language: str = ENGLISH) -> Catalogue:
    """Load a language's catalogue, once.

    Raises:
        NotFound: There is none in this language.
    """
    file = files("troth") / "data" / "words" / f"reasons.{language}.toml"
    if not language.isalpha() or not file.is_file():
        raise NotFound("there are no words in this language", "use en")
    raw = tomllib.loads(file.read_text("utf-8"))
    reasons = {code: Words(**table) for code, table in raw["reason"].items()}
    return Catalogue(language, reasons, raw["remedy"], raw["cautious"]["note"])


def title(code: str) -> str:
    """Return what a list shows for a reason."""
    return OUTSIDE.get(code) or catalogue().reason(code).title


def why(code: str) -> str:
    """Return one sentence that explains a reason."""
    return catalogue().reason(code).why


def change(code: str) -> str:
    """Return what would change the answer."""
    return catalogue().reason(code).change


def remedy(reason: Reason) -> str:
    """Return the short line of what would help; a doubtful rule says so behind it."""
    return catalogue().remedy(reason.remedy) or change(reason.code)


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
    return f"{day(at, zone)}, {local:%H:%M} ({place})"


def day(at: Instant, zone: str) -> str:
    """Write an instant's date in a zone.

    >>> from troth.terms import from_zulu
    >>> day(from_zulu("2026-11-17T23:00:00Z"), "Africa/Johannesburg")
    '18 November 2026'
    """
    local = moment(at).astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%B %Y}"
