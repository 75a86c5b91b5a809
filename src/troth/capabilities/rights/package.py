"""A person's package: everything held about them, as rows for programs and for people. Pure.

What it is shaped from was permitted, recorded and opened before. Nothing of another person gets
in: their ids, and addresses that are not the person's own, are left out and said to be.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from troth.capabilities.rights.package_story import Line, Row
from troth.kernel import consent, events, retention
from troth.kernel.facts import House
from troth.kernel.scribe import Recorded
from troth.kernel.vault import Chunk
from troth.terms import (
    DENYING,
    GRANTING,
    SECOND,
    Block,
    Channel,
    Instant,
    PersonId,
    PersonRecord,
    Purpose,
    PurposeKind,
    address_of,
    moment,
    nfc,
    zulu,
)

FORMAT: Final = "troth.package"
VERSION: Final = 1
COMPETENT: Final = "contact.competent"
CONTACT: Final = "contact."
UNKNOWN: Final = "unknown"
_LEAVES: Final = frozenset({"share", "export"})
_BY_DEALINGS: Final = frozenset({PurposeKind.SERVICE, PurposeKind.OPERATIONS})


@dataclass(frozen=True, slots=True)
class Party:
    """Whose package this is, and where they keep things.

    Attributes:
        ledger: Name of the ledger the receipts lead to.
        policy: Under which policy a receipt is checked, as a file.
        relays: Channel → who carries messages there.
        system: Where the data lies; it and `country` are `unknown` where the house does not say.
        backup_days: How long backups live; -1 unknown.
    """

    name: str
    address: str
    contact: str
    ledger: str
    policy: str
    relays: Mapping[str, str]
    system: str = UNKNOWN
    country: str = UNKNOWN
    backup_days: int = -1


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held about one person, opened.

    Attributes:
        ids: Every id of the person, the one that stayed first.
        values: Field → text, by id.
        closed: Data category → why whoever takes this may not open it; nothing of it is in here.
        activity: Vault scope and chunk.
        chains: The events of each id.
        blocks: Entries of the suppression list that meet the person's addresses, by channel.
        kept: Until when each thing may be kept, by id.
        labels: Field → data category; iris: category, purpose kind and ground → IRI.
        statements: Field → what the person says of it where a correction was refused.
    """

    ids: tuple[PersonId, ...]
    at: Instant
    party: Party
    house: House
    record: PersonRecord
    values: Mapping[PersonId, Mapping[str, str]]
    activity: Sequence[tuple[str, Chunk]]
    chains: Mapping[PersonId, Sequence[Recorded]]
    blocks: Mapping[str, tuple[Block, ...]]
    kept: Mapping[PersonId, Sequence[retention.Row]]
    labels: Mapping[str, str]
    iris: Mapping[str, Mapping[str, str]]
    protection: str
    closed: Mapping[str, str] = field(default_factory=dict)
    statements: Mapping[str, str] = field(default_factory=dict)


def shape(holding: Holding, story: Sequence[Line]) -> Row:
    """Return the package's data, the content of `data.json`."""
    party, record = holding.party, holding.record
    return {
        "format": FORMAT,
        "version": VERSION,
        "made_at": zulu(holding.at),
        "controller": {"name": party.name, "address": party.address, "contact": party.contact,
                       "ledger": party.ledger},
        "person": {"subject": record.subject, "residence": record.residence,
                   "zone": record.zone, "language": record.language, "age": record.age,
                   "records": len(holding.ids)},
        "values": _values(holding, story),
        "contacts": _contacts(holding, story),
        "dealings": _dealings(story),
        "consents": [_act(each) for each in story if isinstance(each.payload, events.ConsentAct)],
        "preferences": _preferences(holding, story),
        "activity": activity(holding.activity),
        "messages": _messages(story),
        "readings": [_use(each) for each in story if isinstance(each.payload, _USES)],
        "shared": _shared(holding, story),
        "requests": [each.row["said"] | _when(each) for each in story
                     if isinstance(each.payload, events.RequestActed)],
        "retention": [_end(row, place) for place, person in enumerate(holding.ids)
                      for row in holding.kept.get(person, ())],
        "categories": [{"name": name, "iri": holding.iris["category"].get(name)}
                       for name in sorted({*holding.labels.values(), *_scopes(holding)})],
        "purposes": [_purpose(each, holding) for each in holding.house.purposes.values()],
        "storage": [_storage(holding)],
        "closed": [{"category": name, "why": why} for name, why in sorted(holding.closed.items())],
    }  # fmt: skip


def _when(each: Line) -> Row:
    event = each.recorded.event
    return {"at": zulu(event.at), "by": event.actor.partition("/")[0], "chain": each.chain,
            "n": event.n}  # fmt: skip


def _scopes(holding: Holding) -> set[str]:
    return {scope.partition("/")[0] for scope, _ in holding.activity}


def _storage(holding: Holding) -> Row:
    days = holding.party.backup_days
    return {
        "id": "record",
        "system": holding.party.system,
        "country": holding.party.country,
        "protection": holding.protection,
        "backups_days": days if days >= 0 else UNKNOWN,
    }


def _values(holding: Holding, story: Sequence[Line]) -> list[Row]:
    origins = _origins(story)
    recipients = _recipients(holding, story)
    out = []
    for place, person in enumerate(holding.ids):
        ends = {row.field: row for row in holding.kept.get(person, ())}
        for name, text in sorted(holding.values.get(person, {}).items()):
            category = holding.labels[name]
            source, since, version = origins.get((place, name), (UNKNOWN, "", 1))
            if not text:
                continue  # taken back
            shown = None if name == COMPETENT else text
            out.append({
                "field": name,
                "value": shown,
                **({"left_out": "it is somebody else's"} if shown is None else {}),
                "category": category,
                "iri": holding.iris["category"].get(category),
                "source": source,
                "since": since,
                "version": version,
                "purposes": _serves(category, holding),
                "recipients": recipients.get(category, []),
                "stored": "record",
                **({"until": _until(ends[name])} if name in ends else {}),
                "path": "your own record" if not place else f"record {place}, merged into yours",
                "chain": place,
                **({"statement": holding.statements[name]} if name in holding.statements else {}),
            })  # fmt: skip
    return out


def _origins(story: Iterable[Line]) -> dict[tuple[int, str], tuple[str, str, int]]:
    """Return by chain and field where the newest version came from, since when, its number."""
    out: dict[tuple[int, str], tuple[str, str, int]] = {}
    for each in story:
        said, at = each.payload, zulu(each.recorded.event.at)
        if isinstance(said, events.ValuesSealed):
            source = each.said["source"]
            out |= {(each.chain, name): (source, at, v) for name, v in said.rows.items()}
        elif isinstance(said, events.ValueCorrected):
            out[each.chain, said.field] = (each.said["source"], at, said.version)
    return out


def _until(row: retention.Row) -> Row:
    open_end = row.until >= retention.NO_END
    return {
        "at": None if open_end or not row.until else zulu(row.until),
        "purpose": row.purpose,
        "rule": row.rule,
        "then": row.action,
    }


def _end(row: retention.Row, place: int) -> Row:
    return {"what": row.field, "chain": place, **_until(row)}


def _serves(category: str, holding: Holding) -> list[Row]:
    """Return the purposes that may use a category, and on what ground now."""
    return [
        {"purpose": p.name, "ground": ground(p, holding.record, holding.house, holding.at)}
        for p in holding.house.purposes.values()
        if category in p.categories or any(c.startswith(f"{category}.") for c in p.categories)
    ]


def ground(purpose: Purpose, record: PersonRecord, house: House, at: Instant) -> str:
    """Return on what a purpose rests for a person: consent, dealings, refused or none.

    `none` is neither a yes nor a no: what the law allows without an answer is worked out at each
    use.
    """
    if purpose.kind in _BY_DEALINGS:
        return "dealings" if record.relations else "none"
    found = [
        consent.resolve(record, purpose, channel, at, house.purposes).status
        for channel in ("", *sorted(purpose.channels))[bool(purpose.channels) :]
    ]
    if any(status in GRANTING for status in found):
        return "consent"
    return "refused" if all(status in DENYING for status in found) else "none"


def _purpose(purpose: Purpose, holding: Holding) -> Row:
    basis = ground(purpose, holding.record, holding.house, holding.at)
    return {
        "name": purpose.name,
        "version": purpose.version,
        "title": purpose.title,
        "kind": str(purpose.kind),
        "iri": holding.iris["purpose"].get(purpose.kind),
        "ground": basis,
        "ground_iri": holding.iris["ground"].get(basis),
        "categories": sorted(purpose.categories),
        "days": purpose.retention_days,
    }


def _recipients(holding: Holding, story: Sequence[Line]) -> dict[str, list[str]]:
    """Return by category who got it: carriers of messages, and systems that asked for it."""
    out: dict[str, set[str]] = {}
    for carrier, channel, _ in _carried(holding, story):
        name = f"{CONTACT}{channel}"
        out.setdefault(holding.labels.get(name, name), set()).add(carrier)
    for each in story:
        said = each.payload
        if isinstance(said, events.UsePermitted) and said.action in _LEAVES:
            for category in said.categories:
                out.setdefault(category, set()).add(f"a connected system, for {said.purpose}")
    return {category: sorted(names) for category, names in out.items()}


def _carried(holding: Holding, story: Sequence[Line]) -> list[tuple[str, str, Line]]:
    """Return carrier and channel of every message that was handed over."""
    booked = {
        each.payload.ref: address_of(Channel(each.payload.channel))
        for each in story
        if isinstance(each.payload, events.MessageBooked)
    }
    out = []
    for each in story:
        said = each.payload
        if isinstance(said, events.MessageOutcome) and said.state == "handed":
            channel = booked.get(said.ref, said.channel or "")
            out.append((holding.party.relays.get(channel, UNKNOWN), str(channel), each))
    return out


def _contacts(holding: Holding, story: Sequence[Line]) -> list[Row]:
    origins = _origins(story)
    out = []
    for place, person in enumerate(holding.ids):
        for name, text in sorted(holding.values.get(person, {}).items()):
            if not name.startswith(CONTACT) or name == COMPETENT:
                continue
            channel = name.removeprefix(CONTACT)
            source, since, _ = origins.get((place, name), (UNKNOWN, "", 1))
            blocks = holding.blocks.get(channel, ()) if not place else ()
            out.append({
                "channel": channel, "address": text, "source": source, "since": since,
                "chain": place, "not_written_to": [_block(each) for each in blocks],
            })  # fmt: skip
    return out


def _block(block: Block) -> Row:
    return {
        "reason": block.reason,
        "scope": block.scope,
        "value": block.value,
        "since": zulu(block.since) if block.since else None,
    }


def _dealings(story: Iterable[Line]) -> list[Row]:
    return [
        {**each.said, **_when(each)}
        for each in story
        if isinstance(each.payload, events.RelationRecorded)
    ]


def _act(each: Line) -> Row:
    return {**each.said, "status": str(each.said["status"]), **_when(each)}


def _preferences(holding: Holding, story: Iterable[Line]) -> list[Row]:
    record = holding.record
    out: list[Row] = [
        {"what": "level", "value": record.level if record.level >= 0 else None},
        {"what": "restricted", "value": record.restricted},
    ]
    newest: dict[str, Row] = {}
    for each in story:
        said = each.payload
        if isinstance(said, events.PreferenceSet):
            newest["wishes"] = {"what": "wishes", "value": each.said, **_when(each)}
        elif isinstance(said, events.RetentionChosen):
            kept = {"what": f"keep.{said.scope}", "value": said.months, **_when(each)}
            newest[f"keep.{said.scope}"] = kept
    return [*out, *newest.values()]


def spelled(at: int) -> str:
    """Write an instant with its microseconds where it has some.

    >>> spelled(1_500_000), spelled(2_000_000)
    ('1970-01-01T00:00:01.500000Z', '1970-01-01T00:00:02Z')
    """
    if at % SECOND == 0:
        return zulu(Instant(at))
    return moment(Instant(at)).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def activity(pieces: Iterable[tuple[str, Chunk]]) -> list[Row]:
    """Return every entry of activity, oldest first, texts in NFC; about 4 µs each."""
    out: list[tuple[tuple[int, str, str, str], Row]] = []
    for scope, chunk in pieces:
        category = scope.partition("/")[0]
        kinds, items = [nfc(word) for word in chunk.kinds], [nfc(word) for word in chunk.items]
        groups = [nfc(chunk.groups[place]) for place in chunk.item_group]
        for at, kind, item, amount, units in zip(
            chunk.at, chunk.kind, chunk.item, chunk.amount, chunk.units, strict=True
        ):
            row = {
                "amount_minor": amount, "at": spelled(at), "category": category,
                "currency": chunk.currency, "group": groups[item], "item": items[item],
                "kind": kinds[kind], "source": chunk.source, "units": units,
            }  # fmt: skip
            out.append(((at, category, items[item], kinds[kind]), row))
    out.sort(key=itemgetter(0))
    return [row for _, row in out]


def _messages(story: Iterable[Line]) -> list[Row]:
    out: dict[str, Row] = {}
    for each in story:
        said, at = each.payload, zulu(each.recorded.event.at)
        if isinstance(said, events.MessageBooked):
            out[said.ref] = {**each.said, **_when(each), "became": []}
        elif isinstance(said, events.MessageOutcome):
            became = {k: v for k, v in each.said.items() if k != "ref"}
            row = out.setdefault(said.ref, {"ref": said.ref, **_when(each), "became": []})
            row["became"].append({"at": at, **became})
    return list(out.values())


_USES = (events.DataRead, events.UsePermitted, events.UseRefused)


def _use(each: Line) -> Row:
    return {"type": each.recorded.event.type, **each.said, **_when(each)}


def _shared(holding: Holding, story: Sequence[Line]) -> list[Row]:
    """Return what left the house: messages handed to a carrier, answers to connected systems."""
    out: list[Row] = [
        {"to": "a connected system", **each.said, **_when(each)}
        for each in story
        if isinstance(each.payload, events.UsePermitted) and each.payload.action in _LEAVES
    ]
    for carrier, channel, each in _carried(holding, story):
        out.append({"to": carrier, "ref": each.said["ref"], "channel": channel, **_when(each)})
    return sorted(out, key=lambda row: (row["at"], row["chain"], row["n"]))
