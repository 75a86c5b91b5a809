"""Words many pages of the customer's side share: categories, channels, sources, roles, grounds."""

from collections.abc import Iterable, Mapping
from typing import Final

from troth.surfaces.portal.catalogue import N_, Tongue

THINGS: Final[Mapping[str, str]] = {
    "identity.name": N_("Your name"),
    "identity.age": N_("Your year of birth"),
    "identity.official": N_("Your customer number"),
    "contact.email": N_("Your e-mail address"),
    "contact.phone": N_("Your telephone number"),
    "contact.post": N_("Your postal address"),
    "contact.push": N_("Your app, for push messages"),
    "interests.declared": N_("Interests you told us"),
    "purchases": N_("What you bought"),
    "purchases.sensitive": N_("Things you bought that we never use"),
    "views": N_("What you looked at on our site"),
    "facts": N_("Facts that rules depend on"),
}
"""Category of what is held → its title on a card."""
USES: Final[Mapping[str, str]] = {
    "identity.name": N_("your name"),
    "identity.age": N_("your year of birth"),
    "identity.official": N_("your customer number"),
    "interests.declared": N_("the interests you told us"),
    "purchases": N_("all you bought"),
    "purchases.13w": N_("what you bought in the last 13 weeks"),
    "purchases.52w": N_("what you bought in the last year"),
    "purchases.sensitive": N_("things you bought that we never use"),
    "views": N_("all you looked at on our site"),
    "views.13w": N_("what you looked at on our site in the last 13 weeks"),
    "engagement.clicks": N_("which links in our messages you follow"),
    "engagement.opens": N_("whether you open our messages"),
    "cohort.compare": N_("what people with baskets like yours buy"),
    "contact.email": N_("your e-mail address"),
    "contact.phone": N_("your telephone number"),
    "contact.post": N_("your postal address"),
    "contact.push": N_("your app's push number"),
    "timeline": N_("the list of who used your data"),
    "receipts": N_("your receipts"),
    "overview": N_("your overview"),
    "preferences": N_("your choices"),
    "requests": N_("your requests"),
    "package": N_("everything, to take with you"),
    "correct": N_("what you may correct"),
}
"""Category as a use names it → in words, within a sentence."""
CHANNELS: Final[Mapping[str, str]] = {
    "email": N_("by e-mail"), "sms": N_("by text message"), "whatsapp": N_("by WhatsApp"),
    "push": N_("by push message"), "call": N_("by telephone"), "post": N_("by post"),
}  # fmt: skip
ROLES: Final[Mapping[str, str]] = {
    "marketer": N_("Marketing"),
    "support": N_("Customer service"),
    "privacy_officer": N_("The privacy officer"),
    "it": N_("IT and security"),
    "agency": N_("An agency"),
}
LEVELS: Final = (
    (N_("Only service"), N_("Messages about what you order or ask. No marketing message exists.")),
    (N_("News for everybody"), N_("The same message for all. It uses nothing about you.")),
    (
        N_("What I told you"),
        N_("It greets you by name and knows the interests you chose to tell."),
    ),
    (N_("My last 13 weeks"), N_("It also knows what you bought in the last 13 weeks.")),
    (N_("My year"), N_("It also knows what you bought in the last year.")),
    (N_("Compare me with others"), N_("It also knows what people with baskets like yours buy.")),
)
"""Name of each level, and what one gets at it."""
SOURCES: Final[Mapping[str, str]] = {
    "import": N_("a list of the shop"),
    "shop checkout": N_("you, at the shop's checkout"),
    "portal": N_("you, on these pages"),
    "site": N_("your visits to our site"),
}
GROUNDS: Final[Mapping[str, str]] = {
    "consent": N_("you agreed"),
    "customer_exception": N_("you are a customer who was offered the chance to say no"),
    "implied_consent": N_(
        "your recent dealings with us, which the law takes as agreement for a time"
    ),
    "ask_once": N_("the one request for agreement that the law allows"),
    "": N_("it is needed for what you ordered or asked"),
}
COUNTRIES: Final[Mapping[str, str]] = {
    "ZA": N_("South Africa"), "DE": N_("Germany"), "NL": N_("the Netherlands"),
    "FR": N_("France"), "IE": N_("Ireland"), "US": N_("the United States"),
    "US-CA": N_("California"), "CA": N_("Canada"), "GB": N_("the United Kingdom"),
}  # fmt: skip


def uses(tongue: Tongue, categories: Iterable[str]) -> list[str]:
    """Name categories within a sentence; one without words is left out."""
    return [tongue.gettext(USES[name]) for name in sorted(categories) if name in USES]


def country(tongue: Tongue, code: str) -> str:
    """Name a country or a part of one; one without a name by its code."""
    return tongue.gettext(COUNTRIES[code]) if code in COUNTRIES else code


def source(tongue: Tongue, text: str) -> str:
    """Say where something came from; one without words as it was recorded."""
    plain = text.partition(" ")[0] if text.startswith("import ") else text
    return tongue.gettext(SOURCES[plain]) if plain in SOURCES else text
