"""Requests in words: rights, states, what happens next, grounds; for the customer's own pages."""

import re
from collections.abc import Mapping
from typing import Final

from troth.surfaces.portal.catalogue import N_, Tongue
from troth.terms import from_zulu

RIGHTS: Final[Mapping[str, str]] = {
    "access": N_("See what you hold about me (access)"),
    "portability": N_("Take my data with me (portability)"),
    "correction": N_("Correct something (rectification)"),
    "deletion": N_("Delete my data (erasure)"),
    "restriction": N_("Only store my data (restriction)"),
    "objection": N_("No marketing (objection)"),
    "review": N_("Let a person look at a decision"),
}
STATES: Final[Mapping[str, str]] = {
    "received": N_("We have it"),
    "identity_pending": N_("We must know that it is you"),
    "verified": N_("We know that it is you"),
    "planned": N_("Planned"),
    "approved": N_("Approved"),
    "executing": N_("Being done"),
    "verifying": N_("Being checked"),
    "fulfilled": N_("Done and checked"),
    "blocked": N_("Held back"),
    "partial": N_("Done in part"),
    "denied": N_("Refused"),
    "withdrawn": N_("You took it back"),
    "expired": N_("Ended without an answer from you"),
    "linked": N_("Goes with an earlier request of yours"),
}
NEXT: Final[Mapping[str, str]] = {
    "received": N_("Next: we look at it."),
    "identity_pending": N_(
        "Next: come in by the link we sent to your address. We ask for nothing more."
    ),
    "verified": N_("Next: we work out what has to be done, in which of our systems."),
    "planned": N_("Next: somebody with the right to do so approves it."),
    "approved": N_("Next: it is carried out."),
    "executing": N_("Next: we check that it is really done."),
    "verifying": N_("Next: you get the answer."),
    "blocked": N_("Next: we go on as soon as what holds it back is gone."),
    "partial": N_("Next: we do the rest, or tell you why it stays."),
}
GROUNDS: Final[Mapping[str, str]] = {
    "identity_not_proven": N_(
        "We could not tell that it was you who asked. Ask again while you are in here: "
        "that proves it."
    ),
    "nothing_held": N_("We hold nothing of the kind about you."),
    "kept_by_law": N_(
        "A law makes us keep some of it. It is only stored, and used for nothing else."
    ),
    "legal_claim": N_(
        "It is needed for a claim at law. It is only stored, and used for nothing else."
    ),
    "others_rights": N_("It would show or change what belongs to somebody else."),
    "repeated": N_("We answered the same request a short time ago."),
    "outside": N_("The law you named does not reach what we do."),
    "fraud": N_("We have reason to think that somebody else asked in your name."),
    "legal_hold": N_(
        "An order or a claim at law holds it back. We may not always say more than that."
    ),
    "another_person": N_("Somebody else's data hangs on it."),
    "complex": N_("It takes more work than most requests."),
    "many": N_("Very many requests came at once."),
}
LEFT: Final[Mapping[str, str]] = {
    "contact_points": N_("Addresses"),
    "keys": N_("Keys"),
    "rows_leading_to_them": N_("Entries in lists"),
    "sealed_values": N_("Names, activity and other values"),
    "timeline": N_("Entries of the time-line that still open"),
}
"""Store → what the check of an erasure counted in it."""
DELETED: Final[Mapping[str, str]] = {
    "asked": N_("Requests that waited for a proof of the address"),
    "body": N_("Entries of the time-line"),
    "contact_point": N_("Addresses"),
    "fact": N_("Facts that rules depend on"),
    "index": N_("Entries in lists"),
    "job": N_("Messages not sent yet"),
    "sealed": N_("Names, activity and other values"),
}
"""Kind of row → what an erasure deleted of it."""
KEPT: Final[Mapping[str, str]] = {
    "suppression": N_(
        "Where an address said no: a keyed code of it, so that nobody writes to it."
    ),
    "commitments": N_("Hashes in the public tree, without content: that there were entries."),
}
"""What a certificate says is kept."""
UNCOVERED: Final = (
    N_("a backup of keys/ made before %(at)s still opens data backups made before %(at)s"),
    N_("copies at partners that have not answered, mails already delivered, printed pages"),
    N_("a flash disk may keep a stale block of an overwritten key"),
)
"""What no erasure covers; the moment of the erasure is `at`."""
HORIZON: Final = N_(
    "until %(until)s a backup of keys/ made before %(at)s still opens data backups made before"
    " %(at)s"
)
"""The same where the end of the key epoch has a date that is enforced."""
SEARCHES: Final = (
    N_("no store was searched for what may be left"),
    N_(
        "plain values were not searched for, only ids and codes: they were not known any more"
        " when the erasure was finished"
    ),
)
ENDINGS: Final[Mapping[str, str]] = {
    "destroyed": N_(
        "The key epoch of your keys ended for good on %(at)s. No copy of our keys opens them any"
        " more, as far as whoever holds the keys can promise."
    ),
    "scheduled": N_(
        "The key epoch of your keys ends for good on %(at)s. Until then a copy of our keys from"
        " before the deletion could still open a copy of your data."
    ),
    "": N_(
        "The key epoch of your keys has no end yet. Until it has one, a copy of our keys from"
        " before the deletion could still open a copy of your data."
    ),
}
"""Where the end of the key epoch stands, as of now."""
_UNTIL: Final = re.compile(r"until (\S{20}) a backup of keys/ ")
GENERATION: Final = N_("audience generation %(name)s, until the next rebuild deletes it")


def uncovered(speaks: Tongue, line: str, erased_at: str) -> str:
    """Return a line of what a certificate does not cover in the reader's language.

    Args:
        speaks: The reader's language and zone.
        line: As the certificate says it, in English.
        erased_at: The moment of the erasure as the certificate writes it.
    """
    for known in UNCOVERED:
        if known % {"at": erased_at} == line:
            return speaks.gettext(known, at=speaks.moment(from_zulu(erased_at)))
    if line in SEARCHES:
        return speaks.gettext(line)
    ends = _UNTIL.match(line)
    if ends and HORIZON % {"at": erased_at, "until": ends[1]} == line:
        until, at = (speaks.moment(from_zulu(each)) for each in (ends[1], erased_at))
        return speaks.gettext(HORIZON, until=until, at=at)
    before, _, after = GENERATION.partition("%(name)s")
    if line.startswith(before) and line.endswith(after):
        name = line.removeprefix(before).removesuffix(after)
        return speaks.gettext(GENERATION, name=name)
    return line
