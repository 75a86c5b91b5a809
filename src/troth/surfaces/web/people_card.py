"""One person as the people page shows them: masked, each field opened alone, and who looked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.app import segment_defaults
from troth.capabilities import merging, people
from troth.capabilities.access.cards import Card
from troth.capabilities.access.reading import Reading, service_purpose
from troth.kernel import events, looking
from troth.kernel.masks import SHOWING
from troth.surfaces import timeline, timeline_looks, words
from troth.surfaces.timeline_words import ACTORS
from troth.surfaces.web.parts import Hub
from troth.terms import GRANTING, Mask, PersonRecord

STAGES = {
    "prospect": "Prospect: has not bought anything yet",
    "customer": "Customer",
    "lapsed": "Lapsed: no dealing for {silent_days} days",
    "ended": "Ended: no dealing for {ended_days} days",
    "open": "In a contract or membership whose end is not known",
}
RELATIONS = {
    "competent_person": "parent or guardian", "contact_of": "contact of this company",
    "agent": "agent with a mandate",
}  # fmt: skip
SAID = {
    "given": "They agreed",
    "reaffirmed": "They agreed again",
    "refused": "They said no",
    "withdrawn": "They took their agreement back",
    "objected": "They objected",
    "opted_out": "They opted out",
    "requested": "They were asked",
    "request_deferred": "They put off an answer",
    "revoked": "The house ended their agreement",
    "expired": "Their agreement ended by itself",
    "invalidated": "Their agreement was declared void",
    "imported": "A list said they agreed, without proof; it does not count",
    "superseded": "A newer answer took the place of this one",
    "unknown": "An answer was noted that says nothing",
}
"""Status of an act → what staff read; the person's own wording is `timeline.STATES`."""
UNSURE: Final = "They agreed once; a restore could not make sure of it, so it does not count"
ALWAYS: Final = ("identity.name", "contact.email", "contact.phone")
"""Categories whose absence a role is told of."""
SHOWN: Final = (*ALWAYS, "identity.age", "identity.official")
CAPS: Final[Mapping[str, Mask]] = {
    "identity.name": "initial",
    "contact.email": "last4",
    "contact.phone": "last4",
    "identity.age": "year",
    "identity.official": "last4",
}
"""What a look shows of each before anything is opened on purpose."""
LABELS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "identity.name": ("Name", ("name.given", "name.family")),
    "contact.email": ("E-mail", ("contact.email",)),
    "contact.phone": ("Phone", ("contact.sms",)),
    "identity.age": ("Year of birth", ("birth.year",)),
    "identity.official": ("Customer number", ("external.id",)),
}
HOW: Final[Mapping[str, str]] = {
    "initial": "first letter", "last4": "last four signs", "first4": "first four signs",
    "year": "year only", "hash": "a mark", "shape": "length", "null": "hidden",
}  # fmt: skip
LOOKS_SHOWN: Final = 8
_VOWELS: Final = "aeiou"


@dataclass(frozen=True, slots=True)
class Row:
    """One field of the card.

    Attributes:
        how: How much of it is shown, "" for all.
        more: It can be opened further on purpose.
    """

    category: str
    label: str
    text: str
    how: str
    more: bool


def caps(reveal: str) -> Mapping[str, Mask]:
    """Return what a look shows at most, one category opened on purpose."""
    return {name: mask for name, mask in CAPS.items() if name != reveal}


def values(hub: Hub, reading: Reading, card: Card) -> dict[str, Any]:
    """Return what the page shows of a person under a look that is booked."""
    record, zone = card.record, hub.ws.settings.zone
    with hub.ws.store.look() as view:
        now = view.now
        linked = people.links(view, reading.person)
        aliases = len(merging.merged_into(view, reading.person))
        earlier = looking.of_person(view, reading.person)[1:]
        house = hub.ws.desk.house(view)
    limits = segment_defaults()["stages"]
    return {
        "rows": rows(card),
        "closed": [_theirs_of(said) for said in words.categories(set(card.closed) & set(ALWAYS))],
        "stage": STAGES[people.stage(record, now, **limits)].format(**limits),
        "facts": _facts(record),
        "dealings": [
            (_one(each.kind), words.spoken(each.at, zone))
            for each in sorted(record.relations, key=lambda each: -each.at)[:5]
        ],
        "standing": [
            (f"{timeline.titled(house, purpose)}, {way}", said)
            for purpose, way, said in _standing(record, zone, house.unsure_before)
        ],
        "links": [(RELATIONS.get(each.relation, each.relation), each.mine) for each in linked],
        "aliases": aliases,
        "restricted": record.restricted,
        "theirs": _theirs(hub, reading, card),
        "looks": [_look(hub, use) for use in earlier[:LOOKS_SHOWN]],
        "more_looks": max(0, len(earlier) - LOOKS_SHOWN),
    }


def rows(card: Card) -> list[Row]:
    """Return the fields that hold something, masked as the look was booked."""
    out = []
    for category, (label, fields) in LABELS.items():
        text = " ".join(filter(None, (card.opened.get(name) for name in fields)))
        mask, role = card.masks.get(category), card.role.get(category)
        if text and mask and role:
            how = "" if mask in ("full", "year") else HOW[mask]
            more = SHOWING[role] > SHOWING[mask] and mask != "year"
            out.append(Row(category, label, text, how, more))
    return out


def _theirs(hub: Hub, reading: Reading, card: Card) -> list[tuple[str, str]]:
    """Return the entry this look left in the person's own list, in the words they read."""
    with hub.ws.store.look() as view:
        house = hub.ws.desk.house(view)
        at = words.spoken(view.now, hub.ws.settings.zone)
    fields = tuple(sorted({"facts", *card.masks}))
    masks = {name: str(mask) for name, mask in card.masks.items() if mask != "full"}
    said = events.DataRead(service_purpose(house), fields, reading.reason, masks)
    told = timeline_looks.read(said, timeline.titled(house, said.purpose))
    who = ACTORS.get(str(reading.actor.role), "")
    return [("", str(told.sentence)), ("Who", str(who)), ("When", at),
            *((str(label), str(text)) for label, text in told.particulars)]  # fmt: skip


def _one(kind: str) -> str:
    return f"{'An' if kind[:1] in _VOWELS else 'A'} {kind}"


def _theirs_of(said: str) -> str:
    """Turn words a person reads of themselves into words about them."""
    return said.replace("your ", "their ")


def _look(hub: Hub, use: looking.Use) -> tuple[str, str, str]:
    role = use.account.partition("/")[0]
    who = words.ROLES.get(role, role.replace("_", " ").capitalize())
    seen = _theirs_of(str(timeline_looks.seen(use.categories, use.categories)))
    what = seen or "Facts that rules depend on"
    when = words.spoken(use.at, hub.ws.settings.zone)
    return f"{who}, {when}", what, str(timeline_looks.why(use.reason))


def _facts(record: PersonRecord) -> Sequence[tuple[str, str]]:
    kinds = {"natural": "a person", "juristic": "a company"}
    return (
        ("Who", kinds.get(record.subject, record.subject)),
        ("Age", {"minor": "a child", "adult": "an adult"}.get(record.age, "not told")),
        ("Lives in", record.residence or "not told: the strictest rules apply"),
        ("Time zone", record.zone or "not told"),
        ("Language", record.language or "not told"),
        ("How personal", f"level {record.level}" if record.level >= 0 else "no choice made"),
    )


def _standing(
    record: PersonRecord, zone: str, unsure_before: int = 0
) -> list[tuple[str, str, str]]:
    """Return what was answered last; a yes from before a restore that lost withdrawals is none."""
    out = []
    for scope, found in sorted(record.standings.items()):
        purpose, _, channel = scope.partition("|")
        if purpose.startswith("#"):
            continue
        acts = [a for a in (found.grant, found.deny, found.neutral) if a]
        newest = max(acts, key=lambda act: (act.at, act.recorded, act.n))
        said = SAID.get(newest.status, newest.status)
        if newest.status in GRANTING and newest.at <= unsure_before:
            said = UNSURE
        way = words.CHANNELS.get(channel, "by every channel")
        out.append((purpose, way, f"{said}, {words.day(newest.at, zone)}"))
    return out
