"""Words of the time-line: codes of events, in English, each translated when it is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from troth.surfaces import words
from troth.surfaces.said import N_, Said

GROUPS: Final[Mapping[str, str]] = {
    "choice": N_("What you were told and what you chose"),
    "message": N_("Messages"),
    "decision": N_("Decisions about using your data"),
    "reading": N_("Who looked"),
    "held": N_("What was taken in"),
    "house": N_("Care and deletion"),
}
"""Group → its heading; in the order a reader wants them."""
BASES = {
    "consent": N_("your own agreement"),
    "customer_exception": N_("you are a customer who was offered the chance to say no"),
    "implied_consent": N_(
        "your recent dealings with us, which the law takes as agreement for a time"
    ),
    "ask_once": N_("the one request for agreement that the law allows"),
}
STATES = {
    "given": N_("You agreed"),
    "reaffirmed": N_("You agreed again"),
    "refused": N_("You said no"),
    "withdrawn": N_("You took your agreement back"),
    "objected": N_("You objected"),
    "opted_out": N_("You opted out"),
    "requested": N_("You were asked"),
    "request_deferred": N_("You put off an answer"),
    "revoked": N_("We ended your agreement"),
    "expired": N_("Your agreement ended by itself"),
    "invalidated": N_("Your agreement was declared void"),
    "imported": N_("A list said you agreed, without proof; it does not count"),
    "superseded": N_("A newer answer took the place of this one"),
    "unknown": N_("An answer was noted that says nothing"),
}
BY = {
    "competent_person": N_("a parent or guardian"),
    "authorised_agent": N_("somebody you authorised"),
    "staff": N_("a member of staff for you"),
    "signal": N_("a signal of your browser"),
    "import": N_("an imported list"),
}
ENDS = {
    "handed": N_("A message was handed to the mail system"),
    "failed": N_("A message could not be handed over"),
    "unknown": N_("It is unknown whether a message was handed over; it is never sent again"),
    "withheld": N_("A message that was ready was held back"),
    "delivered": N_("A message reached the mailbox"),
    "bounced": N_("A message came back"),
    "complained": N_("You reported a message as unwanted"),
    "replied": N_("You answered a message"),
    "opened": N_("You opened a message, and had agreed that this may be noticed"),
    "clicked": N_("You followed a link, and had agreed that this may be noticed"),
}
ACTORS: Final[Mapping[str, Said]] = {
    "person": Said("you"),
    "system": Said("the system"),
    **{
        role: Said("%(role)s of the company", {"role": Said(name.lower())})
        for role, name in words.ROLES.items()
    },
}
METHODS = {
    "link": N_("a link in a mail"),
    "code": N_("a code in a mail"),
    "passkey": N_("a passkey"),
    "door": N_("the open door of this demo"),
}
FIELDS = {
    "name.given": N_("your first name"),
    "name.family": N_("your family name"),
    "contact.email": N_("your e-mail address"),
    "contact.sms": N_("your phone number"),
    "contact.post": N_("your postal address"),
    "interests": N_("the interests you told us"),
    "birth.year": N_("the year you were born"),
}
ACTIVITY = {"purchases": N_("what you bought"), "views": N_("what you looked at")}
DELETED = {
    "entry": N_("one entry"),
    "kind": N_("a kind of activity"),
    "period": N_("a period"),
}
ACTIONS = {
    "send": N_("to send a message"),
    "read": N_("to look"),
    "share": N_("to hand it on"),
    "export": N_("to take it out"),
    "profile": N_("to rank"),
    "personalise": N_("to personalise"),
    "train": N_("to learn from it"),
}
RIGHTS = {
    "access": N_("to see what is held about you"),
    "portability": N_("to take your data with you"),
    "correction": N_("to correct something"),
    "deletion": N_("to delete your data"),
    "restriction": N_("to keep your data and not use it"),
    "objection": N_("to stop a use"),
    "review": N_("to have a person look at a decision"),
}
REQUEST_ACTS = {
    "opened": N_("You made a request: %(right)s"),
    "verified": N_("It was made sure that the request is yours: %(right)s"),
    "planned": N_("It was worked out what your request touches: %(right)s"),
    "approved": N_("Your request was approved: %(right)s"),
    "executing": N_("Your request is being carried out: %(right)s"),
    "verifying": N_("It is being checked that your request was carried out: %(right)s"),
    "fulfilled": N_("Your request was carried out: %(right)s"),
    "extended": N_("Your request takes longer: %(right)s"),
    "blocked": N_("Your request cannot go on for now: %(right)s"),
    "partial": N_("Your request was carried out in part: %(right)s"),
    "denied": N_("Your request was turned down: %(right)s"),
    "withdrawn": N_("You took a request back: %(right)s"),
    "expired": N_("A request ended without an answer from you: %(right)s"),
    "linked": N_("A request was joined with another one: %(right)s"),
    "asked": N_("You were asked something about your request: %(right)s"),
    "answered": N_("You answered a question about your request: %(right)s"),
    "noted": N_("Something was noted about your request: %(right)s"),
}
RELATIONS = {
    "sale": N_("We noted a sale"),
    "inquiry": N_("We noted an inquiry"),
    "contract": N_("We noted a contract"),
    "donation": N_("We noted a donation"),
    "membership": N_("We noted a membership"),
}
KINDS_OF_LINK = {
    "competent_person": N_("a parent or guardian"),
    "contact_of": N_("a contact of an organisation"),
    "agent": N_("somebody you authorised"),
}
LABELS = {
    "source": N_("Source"), "residence": N_("Residence"), "zone": N_("Zone"), "age": N_("Age"),
    "language": N_("Language"), "channel": N_("Channel"), "reason": N_("Reason"),
    "notice": N_("Notice"), "surface": N_("Surface"), "request": N_("Request"),
}  # fmt: skip
SHOWN: Final[Mapping[str, str]] = {
    "facts": N_("facts that rules depend on, such as your country"),
    "consent": N_("what you agreed to and refused"),
    "explanation": N_("why you may or may not be written to"),
    "package": N_("a copy of all we hold"),
    "timeline": N_("the list of who used your data"),
    "receipts": N_("your receipts"),
    "overview": N_("your overview"),
    "preferences": N_("your choices"),
    "requests": N_("your requests"),
    "purchases": N_("all you bought"),
    "purchases.sensitive": N_("things you bought that we never use"),
    "views": N_("all you looked at on our site"),
    "identity.age": N_("your year of birth"),
    "identity.official": N_("your customer number"),
    "contact.post": N_("your postal address"),
    "contact.push": N_("your app's push number"),
}
"""What was shown or used that `words.CATEGORIES` does not name."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event in words; `particulars` are short pairs of label and text."""

    group: str
    sentence: Said
    particulars: tuple[tuple[Said, str], ...] = ()


def pairs(*given: tuple[str, Any]) -> tuple[tuple[Said, str], ...]:
    """Pair labels and texts; a label without a text is left out."""
    return tuple(
        (Said(label), text if isinstance(text, str) else str(text))
        for label, text in given
        if text
    )


def said_of(table: Mapping[str, str], key: str | None) -> Said:
    """Return a code's words; a code without words is shown as it is."""
    return Said(table.get(key or "", (key or "").replace("_", " ")))
