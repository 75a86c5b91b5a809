"""Looks by staff in words: what was seen, how much of it, for which kind of reason.

Each text is English, and can be said in another language: see `surfaces.said`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from troth.kernel import events
from troth.kernel.cases import kind_of
from troth.surfaces import words
from troth.surfaces.said import N_, Listed, Said
from troth.surfaces.timeline_words import SHOWN, Told, pairs

MASKS: Final[Mapping[str, str]] = {
    "hash": N_("%(what)s (as a mark that says nothing)"),
    "year": N_("%(what)s (the year only)"),
    "last4": N_("%(what)s (the last four signs only)"),
    "first4": N_("%(what)s (the first four signs only)"),
    "initial": N_("%(what)s (the first letter only)"),
    "shape": N_("%(what)s (how long it is only)"),
    "null": N_("%(what)s (hidden)"),
}
"""Mask → how much of a thing was seen; without one, all of it was."""
REASONS: Final[Mapping[str, str]] = {
    "case": N_("a case: %(id)s"),
    "request": N_("your own request: %(id)s"),
    "campaign": N_("trying out a message: %(id)s"),
    "audience": N_("trying out a message"),
}
SOURCES: Final[Mapping[str, str]] = {
    "phone": N_("a telephone call"),
    "mail": N_("a mail or letter"),
    "shop": N_("a visit to a shop"),
    "ticket": N_("a ticket of the help desk"),
    "reply": N_("an answer to one of our messages"),
    "complaint": N_("a complaint"),
}
_CASES: Final[Mapping[str, str]] = {
    "opened": N_("A case about you was opened"),
    "closed": N_("A case about you was closed"),
}


def read(told: events.DataRead, purpose: Said) -> Told:
    """Say that somebody looked, or took something out."""
    if told.emergency:
        sentence = N_("Your data was looked at in an emergency, before anybody else agreed")
    elif told.action == "export":
        sentence = N_("A copy of your data was taken out")
    else:
        sentence = N_("Your data was looked at")
    return Told(
        "reading",
        Said("%(what)s: %(purpose)s", {"what": Said(sentence), "purpose": purpose}),
        pairs(
            (N_("What"), seen(told.fields, told.masks or {})),
            (N_("Reason given"), why(told.reason or "")),
            (N_("Export"), told.export),
        ),
    )


def seen(names: Iterable[str], masks: Mapping[str, str]) -> Listed:
    """Name what was seen, and how much of each."""
    out: list[str] = []
    for name in names:
        for word in words.categories([name]):
            plain = Said(SHOWN.get(word, word))
            mask = MASKS.get(masks.get(name, ""))
            each = Said(mask, {"what": plain}) if mask else plain
            if each not in out:
                out.append(each)
    return Listed(out)


def why(reason: str) -> Said:
    """Say what kind of reason was given; a text of older days stands as it was written."""
    kind = kind_of(reason)
    if not kind:
        return Said(reason)
    return Said(REASONS[kind], {"id": reason.partition(":")[2]})


def cased(told: events.CaseActed) -> Told:
    """Say that a case was opened or closed, and where it came from."""
    source = SOURCES.get(told.source)
    return Told(
        "reading",
        Said(_CASES.get(told.act, _CASES["opened"])),
        pairs(
            (N_("Case"), told.case),
            (N_("Where it came from"), Said(source) if source else told.source),
        ),
    )
