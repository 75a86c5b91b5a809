"""The record of processing activities, s17's documentation and the PAIA manual, made from facts.

Nothing here is written by hand but headings and fixed words, which are dated data: purposes,
recipients, storage and measures are read from the house as published. A fact that nobody wrote
down is a gap with file and key, never a guess.
"""

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from troth.capabilities.trust import recipients
from troth.capabilities.trust.facts import FILE, Facts, told
from troth.capabilities.trust.papers import Gap, Line, Paper, Part
from troth.capabilities.trust.recipients import HERE
from troth.errors import InvalidInput
from troth.terms import Purpose, PurposeKind, Role

DOUBT: Final = (
    "The headings follow the law as others restate it; its own printed text was not read for them."
    " Counsel looks at this document before it is handed over."
)
STAFF: Final = tuple(str(role) for role in (Role.MARKETER, Role.SUPPORT, Role.OFFICER, Role.IT))


def make(name: str, raw: bytes, facts: Facts) -> Paper:
    """Make a document from its headings and the facts.

    Raises:
        InvalidInput: The headings do not read, or name facts that do not exist.
    """
    values = tomllib.loads(raw.decode())
    parts = []
    for each in values["part"]:
        if unknown := set(each["facts"]) - PRODUCERS.keys():
            raise InvalidInput(f"document {name}: no facts are called {min(unknown)}")
        lines = tuple(line for wanted in each["facts"] for line in PRODUCERS[wanted](facts))
        parts.append(Part(each["heading"], each["law"], each.get("text", ""), lines))
    return Paper(
        name=name,
        title=values["title"],
        law=values["law"],
        lead=values["lead"],
        company=facts.company,
        at=facts.at,
        version=values["version"],
        source=values["source"],
        doubt=DOUBT if values["needs_check"] else "",
        parts=tuple(parts),
    )


# One producer a kind of fact


def _company(facts: Facts) -> Iterator[Line]:
    wanted = [
        ("name", "Name"),
        ("registration", "Registration number"),
        ("address", "Postal and street address"),
        ("telephone", "Telephone"),
        ("privacy_contact", "E-mail"),
        ("seat", "Country of the seat"),
    ]
    pairs, gaps = told(facts, "house", wanted)
    site = (("Website", f"https://{facts.domain}"),) if facts.domain else ()
    yield Line(facts.company or "The company", (*pairs, *site), facts.source, gaps)


def _officer(facts: Facts) -> Iterator[Line]:
    wanted = [
        ("information_officer", "Information officer"),
        ("officer_registration", "Registered with the Regulator as"),
        ("privacy_contact", "Contact"),
    ]
    pairs, gaps = told(facts, "house", wanted)
    yield Line("Information officer", pairs, facts.source, gaps)


def _purposes(facts: Facts) -> Iterator[Line]:
    for name, purpose in sorted(facts.purposes.items()):
        basis, gaps = _basis(facts, purpose)
        who = (("Owner", purpose.owner),) if purpose.owner else ()
        pairs = (*_purpose_pairs(facts, purpose), *basis, *who, *_notices_of(facts, name))
        if not purpose.owner:
            gaps = (
                *gaps,
                Gap(f"Who answers for: {purpose.title}", f"purposes/{name}.toml", "owner"),
            )
        yield Line(purpose.title, pairs, facts.of(f"purpose:{name}"), gaps)


def _purpose_pairs(facts: Facts, purpose: Purpose) -> tuple[tuple[str, str], ...]:
    channel = facts.words.facts["channel"]
    used = ", ".join(facts.title(c) for c in sorted(purpose.categories))
    ways = ", ".join(channel[c] for c in sorted(purpose.channels))
    return (
        ("Kind", facts.words.facts["kind"][purpose.kind]),
        ("Data", used or "none beyond the address"),
        ("Channels", ways or "none"),
    )


def _basis(facts: Facts, purpose: Purpose) -> tuple[tuple[tuple[str, str], ...], tuple[Gap, ...]]:
    """Return a purpose's ground: the company's own word first, then what its kind usually has."""
    usual = facts.words.facts["basis"]
    kind = str(purpose.kind)
    if purpose.kind is PurposeKind.MARKETING and not purpose.channels:
        kind = f"{kind}_quiet"
    said = str(facts.table("bases").get(purpose.name, "")) or usual.get(kind, "")
    if said:
        return (("Legal basis", said),), ()
    return (), (Gap(f"Legal basis of: {purpose.title}", FILE, f"bases.{purpose.name}"),)


def _notices_of(facts: Facts, purpose: str) -> tuple[tuple[str, str], ...]:
    newest: dict[str, int] = {}
    for label in facts.spoken.get(purpose, frozenset()):
        name, _, number = label.partition("@")
        newest[name] = max(newest.get(name, 0), int(number))
    said = ", ".join(f"{name}@{number}" for name, number in sorted(newest.items()))
    return (("Told in", said),) if said else ()


def _purposes_open(facts: Facts) -> Iterator[Line]:
    for line in _purposes(facts):
        kept = tuple(pair for pair in line.pairs if pair[0] != "Owner")
        yield Line(line.title, kept, line.source, line.gaps)


def _subjects(facts: Facts) -> Iterator[Line]:
    for each in facts.words.facts["subject"]:
        yield Line(each["title"], (("", each["text"]),), facts.program())
    if facts.table("site").get("origins"):
        said = "Counted without a name unless they agreed to more."
        yield Line("Visitors of the site", (("", said),), facts.source)
    count = sum(len(facts.table("roles").get(role, ())) for role in STAFF)
    if count:
        yield Line("Staff", (("", "Their sign-in and what they did here."),), facts.source)


def _categories(facts: Facts) -> Iterator[Line]:
    fields: dict[str, list[str]] = {}
    for name, category in facts.words.fields.items():
        fields.setdefault(category, []).append(name)
    for category in sorted({*fields, *facts.house.labels}):
        used = [p for p in sorted(facts.purposes) if category in facts.purposes[p].categories]
        pairs = [("Category", category), ("Fields", ", ".join(sorted(fields.get(category, ()))))]
        pairs += [("DPV", facts.iri(category)), ("Used for", ", ".join(used))]
        yield Line(facts.title(category), tuple(p for p in pairs if p[1]), facts.program())
    if facts.house.special:
        said = ", ".join(sorted(facts.house.special))
        yield Line("No purpose ever opens", (("Categories", said),), facts.source)


def _categories_open(facts: Facts) -> Iterator[Line]:
    used = {c for p in facts.purposes.values() for c in p.categories}
    held = used | set(facts.words.fields.values())
    said = ", ".join(sorted(facts.title(c).lower() for c in held))
    yield Line("Information about a person", (("", said),), facts.program())


def _storage(facts: Facts) -> Iterator[Line]:
    wanted = [("country", "Country"), ("system", "System")]
    pairs, gaps = told(facts, "storage", wanted)
    days = facts.table("storage").get("backup_days")
    if isinstance(days, int):
        pairs = (*pairs, ("Backups are kept for", f"{days} days"))
    else:
        gaps = (*gaps, Gap("How long backups are kept", FILE, "storage.backup_days"))
    yield Line("The record", pairs, facts.source, gaps)


def _systems(facts: Facts) -> Iterator[Line]:
    """Yield other systems that hold people's data, as mapped."""
    for each in facts.others:
        said = ", ".join(sorted(facts.title(c).lower() for c in each.categories))
        told = [
            ("Data", said), ("Country", each.country), ("Run by", each.processor),
            ("Agreement", each.agreement), ("Kept for", each.retention), ("Owner", each.owner),
        ]  # fmt: skip
        asked = {"Country": "country", "Kept for": "retention"}
        asked |= {"Agreement": "agreement"} if each.processor else {}
        held = dict(told)
        gaps = tuple(
            Gap(f"{what} of: {each.title}", each.file, f"meta.troth.{key}")
            for what, key in asked.items()
            if not held[what]
        )
        yield Line(each.title, tuple(pair for pair in told if pair[1]), each.source, gaps)


def _retention(facts: Facts) -> Iterator[Line]:
    rules = facts.house.ruleset.retention_rules("", facts.house.seat, facts.at)
    for rule in rules:
        yield Line(rule.title, (("Rule", rule.id), ("Law", rule.law)), facts.program())
    for name, purpose in sorted(facts.purposes.items()):
        pairs: list[tuple[str, str]] = []
        gaps: tuple[Gap, ...] = ()
        if purpose.retention_days:
            pairs.append(("Kept for", f"{purpose.retention_days:,} days while a ground stands"))
        else:
            gaps = (
                Gap(
                    f"How long is kept: {purpose.title}", f"purposes/{name}.toml", "retention_days"
                ),
            )
        if purpose.consent_months:
            pairs.append(("A consent ends by itself after", f"{purpose.consent_months} months"))
        yield Line(purpose.title, tuple(pairs), facts.of(f"purpose:{name}"), gaps)


def _notices(facts: Facts) -> Iterator[Line]:
    parents = {purpose.parent for purpose in facts.purposes.values()}
    for name, purpose in sorted(facts.purposes.items()):
        told = _notices_of(facts, name)
        asked = purpose.kind in _TOLD and name not in parents
        gaps = (_notice_gap(name),) if asked and not told else ()
        if told or gaps:
            yield Line(purpose.title, told, facts.of(f"purpose:{name}"), gaps)


_TOLD: Final = frozenset({PurposeKind.MARKETING, PurposeKind.PERSONALISE})


def _notice_gap(purpose: str) -> Gap:
    return Gap("A notice that speaks of it", "notices/NAME.md", f'purposes = ["{purpose}"]')


def measures(facts: Facts, *, public: bool) -> Iterator[Line]:
    """Yield what protects the data, each only while its condition holds.

    Args:
        facts: As of one moment.
        public: Leave out what concerns one machine's wiring.
    """
    for each in facts.words.facts["measure"]:
        if not HOLDS[each["holds"]](facts) or (public and each.get("inside")):
            continue
        source = facts.program() if each["holds"] in {"always", "signed"} else facts.source
        yield Line(each["title"], (("", each["text"]),), source)
    if not facts.signed:
        gap = Gap("A signed head of the ledger", "the record", "troth sign")
        yield Line("Signed ledger", (), facts.program(), (gap,))


def _relay(facts: Facts) -> str:
    mail = facts.table("mail")
    if str(mail.get("security", "none")) != "none":
        return "encrypted"
    return "here" if str(mail.get("relay", "")).rpartition(":")[0] in HERE else "open"


HOLDS: Final[Mapping[str, Callable[[Facts], bool]]] = {
    "always": lambda _facts: True,
    "signed": lambda facts: facts.signed > 0,
    "second_person": lambda facts: facts.table("approval").get("second_person", True) is not False,
    "relay_encrypted": lambda facts: _relay(facts) == "encrypted",
    "relay_here": lambda facts: _relay(facts) == "here",
    "relay_open": lambda facts: _relay(facts) == "open",
}
"""Condition of a measure → how it is seen."""


def _authority(facts: Facts) -> Iterator[Line]:
    place = facts.house.seat
    for each in facts.words.authorities:
        if each["place"] == place:
            pairs = (("Website", each["url"]), ("", each["hint"]))
            yield Line(each["name"], tuple(p for p in pairs if p[1]), facts.program())
            return
    gap = Gap("The authority of the seat", FILE, "house.seat")
    yield Line("Authority", (), facts.source, (gap,))


def _open_records(facts: Facts) -> Iterator[Line]:
    notices = sorted(
        {label.partition("@")[0] for found in facts.spoken.values() for label in found}
    )
    pairs = [("", "This manual, our forms, the notices we show, and the head of our ledger.")]
    pairs += [("Notices", ", ".join(notices))] if notices else []
    yield Line("On our pages", tuple(pairs), facts.source)


def _other_laws(facts: Facts) -> Iterator[Line]:
    laws = facts.table("paia").get("other_laws", ())
    if laws:
        yield Line("Laws", (("", ", ".join(map(str, laws))),), facts.source)
    else:
        gap = Gap("Laws under which records are kept", FILE, "paia.other_laws")
        yield Line("Laws", (), facts.source, (gap,))


def _held(facts: Facts) -> Iterator[Line]:
    kinds: dict[PurposeKind, list[Purpose]] = {}
    for purpose in facts.purposes.values():
        kinds.setdefault(purpose.kind, []).append(purpose)
    for kind, found in sorted(kinds.items()):
        used = sorted({c for purpose in found for c in purpose.categories})
        said = ", ".join(facts.title(c).lower() for c in used) or "addresses and answers"
        yield Line(facts.words.facts["kind"][kind], (("Records of", said),), facts.program())
    for each in facts.table("paia").get("records", ()):
        yield Line(str(each), (), facts.source)


def _how_to_ask(facts: Facts) -> Iterator[Line]:
    pairs, gaps = told(facts, "house", [("privacy_contact", "Write to"), ("address", "Or to")])
    yield Line("Where to send it", pairs, facts.source, gaps)


PRODUCERS: Final[Mapping[str, Callable[[Facts], Iterable[Line]]]] = {
    "company": _company,
    "officer": _officer,
    "purposes": _purposes,
    "purposes_open": _purposes_open,
    "subjects": _subjects,
    "categories": _categories,
    "categories_open": _categories_open,
    "recipients": recipients.lines,
    "recipients_open": recipients.lines_open,
    "transfers": recipients.transfers,
    "transfers_open": recipients.transfers,
    "storage": _storage,
    "systems": _systems,
    "retention": _retention,
    "notices": _notices,
    "measures": lambda facts: measures(facts, public=False),
    "measures_open": lambda facts: measures(facts, public=True),
    "authority": _authority,
    "open_records": _open_records,
    "other_laws": _other_laws,
    "held": _held,
    "how_to_ask": _how_to_ask,
}
"""Facts a heading may name → their lines."""
