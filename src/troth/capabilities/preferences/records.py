"""Consent records: what a person said, as a file that is theirs and whose hash is in the event.

Nothing is kept of a record but its hash, its random id and who it is of: its bytes follow from
the sealed event and from what was published when it happened, and are made anew on demand.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from troth import crypto
from troth.engines import dpv
from troth.errors import InvalidInput, NotFound
from troth.kernel import consent, events
from troth.kernel.desk import Desk, put_pointer
from troth.kernel.house import newest_purposes, parse_toml
from troth.kernel.scribe import Recorded
from troth.ports import Transaction, View
from troth.terms import (
    GRANTING,
    SECOND,
    Act,
    Instant,
    PersonId,
    Published,
    Purpose,
    Standing,
    from_zulu,
    zulu,
)

RECORDS: Final = "preferences.record"
"""SHA-256 of a record → whose, which event, about what; gone with the person."""
_SUBJECT: Final = b"consent record subject"
VERSIONS: Final = (2, 1)
"""Versions of the mapping table, newest first."""


@cache
def mapping(version: int) -> Mapping[str, Any]:
    """Return a version of the table from the house's words to DPV's."""
    path = files("troth") / f"data/dpv/mapping-{version}.toml"
    return tomllib.loads(path.read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class _Then:
    """The house as published when somebody said something."""

    published: Sequence[Published]
    at: Instant
    table: Mapping[str, Any]

    @property
    def house(self) -> Mapping[str, Any]:
        """The house's own table: troth.toml."""
        found = [p for p in self.published if p.name == "house"]
        return parse_toml("troth.toml", found[-1].data) if found else {}

    def notice(self, label: str) -> Mapping[str, Any] | None:
        """Return a notice version as its bytes were then."""
        found = [p for p in self.published if p.name == f"notice:{label}"]
        return dict(msgspec.json.decode(found[-1].data)) if found else None

    def notice_of(self, purposes: Sequence[str]) -> Mapping[str, Any] | None:
        """Return the newest notice that speaks of one of these purposes, its own first."""
        told = {p.name: msgspec.json.decode(p.data) for p in self.published if _is_notice(p)}
        for name in purposes:
            fit = [t for t in told.values() if name in t["purposes"]]
            if fit:
                return dict(max(fit, key=lambda t: (t["name"] == name, t["version"], t["name"])))
        return None


def _is_notice(each: Published) -> bool:
    return each.name.startswith("notice:")


def recorded(desk: Desk, view: View, payload: events.ConsentAct) -> events.ConsentAct:
    """Return an act with the id and hash of its record; as it was where none can be made.

    None can be made where the house does not say who it is, or no notice speaks of the purpose.
    """
    bare = replace(payload, record=None, record_id=desk.randomness.take(16).hex())
    second = Instant(view.now // SECOND * SECOND)
    then = _Then(_said_by(view), second, mapping(VERSIONS[0]))
    raw = _build(bare, then)
    return payload if raw is None else replace(bare, record=crypto.sha256(raw).hex())


def rebuild(view: View, payload: events.ConsentAct, at: Instant) -> bytes:
    """Make the bytes of an act's record anew; they hash to what the event says, or none come.

    Events carry whole seconds: where something was published in that very second, both states of
    the house are tried.

    Raises:
        NotFound: The act has no record, or its bytes cannot be made any more.
    """
    if payload.record is None or payload.record_id is None:
        raise NotFound("no consent record was made of this", "its receipt proves it all the same")
    bare = replace(payload, record=None)
    for version in VERSIONS:
        for published in _states(_said_by(view), at):
            raw = _build(bare, _Then(published, at, mapping(version)))
            if raw is not None and crypto.sha256(raw).hex() == payload.record:
                return raw
    raise NotFound("this consent record cannot be made anew", "its receipt proves the act")


def _said_by(view: View) -> list[Published]:
    """Return what records are made of, as published: each name's versions oldest first."""
    return [p for prefix in _MADE_OF for p in view.published_all(prefix)]


_MADE_OF: Final = ("house", "purpose:", "notice:")


def _states(every: Sequence[Published], at: Instant) -> Iterator[list[Published]]:
    """Yield what may have been published in the second of an event, the newest state first."""
    before = [p for p in every if p.at < at]
    within = [p for p in every if at <= p.at < at + SECOND]
    for moment in sorted({p.at for p in within}, reverse=True):
        yield sorted([*before, *(p for p in within if p.at <= moment)], key=_place)
    firsts = {p.name: p.version for p in reversed(within)}
    deepest = max((p.version - firsts[p.name] for p in within), default=0)
    for depth in range(deepest, -1, -1):
        some = (p for p in within if p.version - firsts[p.name] < depth)
        yield sorted([*before, *some], key=_place)


def _place(each: Published) -> tuple[str, int]:
    return each.name, each.version


def _build(bare: events.ConsentAct, then: _Then) -> bytes | None:
    status = then.table["status"].get(str(bare.status))
    purposes = newest_purposes(
        [p for p in then.published if p.name.startswith("purpose:")], then.at
    )
    purpose = purposes.get(bare.purpose)
    if status is None or purpose is None:
        return None
    if bare.notice:
        told = then.notice(bare.notice)
    else:
        told = then.notice_of(
            [purpose.name, *(p for p in sorted(purposes) if purposes[p].parent == purpose.name)]
        )
    party = _party(then.house)
    if told is None or party is None:
        return None
    if status in dpv.VALID and purpose.double_opt_in and bare.confirmed_at is None:
        status = "dpv:ConsentRequested"  # asked and answered, not yet from the address itself
    record = dpv.Record(
        identifier=f"urn:troth:record:{bare.record_id}",
        subject=f"urn:troth:subject:{_subject(bare.record_id or '')}",
        notice=_shown(told, bare.language or "", _base(then.house)),
        process=_process(bare, purpose, then, party),
        said=dpv.Said(
            status=status,
            basis=then.table["basis"].get(bare.method, then.table["basis"]["default"]),
            at=bare.occurred_at or zulu(then.at),
            until=bare.until or "" if status in dpv.VALID else "",
            by=then.table["given_by"].get(bare.given_by, "dpv:Representative"),
            method=bare.method or "",
        ),
    )
    return dpv.write_record(record, events.canonical)


def _subject(record_id: str) -> str:
    """Make the pseudonym a person has in one record and nowhere else."""
    return crypto.sha256(_SUBJECT + record_id.encode()).hex()[:32]


def _shown(told: Mapping[str, Any], language: str, base: str) -> dpv.Shown:
    label = f"{told['name']}@{told['version']}"
    spoken = language if language in told.get("variants", {}) else str(told["language"])
    said = told["variants"][spoken] if spoken != told["language"] else told
    digest = said.get("rendered") or crypto.sha256(str(said["text"]).encode()).hex()
    url = f"{base}/notices/{told['name']}/{told['version']}"
    return dpv.Shown(label, url, digest, spoken)


def _brand(house: Mapping[str, Any]) -> Mapping[str, Any]:
    brands = house.get("brands")
    found = next(iter(brands.values()), None) if isinstance(brands, dict) else None
    return found if isinstance(found, dict) else {}


def _base(house: Mapping[str, Any]) -> str:
    brand = _brand(house)
    return str(brand.get("base_url") or f"https://my.{brand.get('domain', 'invalid')}").rstrip("/")


def _party(house: Mapping[str, Any]) -> dpv.Party | None:
    told = house.get("house", {})
    brand = _brand(house)
    name, address = told.get("name", ""), told.get("address", "")
    reach = told.get("privacy_contact", "")
    if not (name and address and reach and brand.get("domain")):
        return None
    domain = f"https://{brand['domain']}"
    return dpv.Party("dpv:DataController", name, domain, reach, address)


def _process(
    bare: events.ConsentAct, purpose: Purpose, then: _Then, party: dpv.Party
) -> dpv.Process:
    table, house = then.table, then.house.get("house", {})
    named = [str(c) for c in sorted(purpose.channels)]
    channels = tuple(named if consent.EVERY in bare.channels else bare.channels)
    categories = sorted(bare.categories or purpose.categories)
    data = {table["channel"][c] for c in channels if c in table["channel"]}
    data |= {table["data"].get(c, table["data"][""]) for c in categories}
    regimes = [str(r) for r in house.get("regimes", [])] or [str(house.get("seat", "")).lower()]
    places = {table["jurisdiction"].get(r, f"loc:{r.upper()}") for r in regimes if r}
    rights = {x for r in regimes for x in table["rights"].get(r, ())}
    recipients = [replace(party, role="dpv:Recipient")]
    if channels:
        recipients.append(
            dpv.Party(
                "dpv:DataProcessor", table["words"]["delivery"], "urn:troth:recipient:delivery"
            )
        )
    days = purpose.retention_days
    return dpv.Process(
        purpose=table["purpose"][str(purpose.kind)],
        name=f"{purpose.name}@{purpose.version}",
        title=purpose.title,
        data=tuple(sorted(data or {table["data"][""]})),
        controllers=(party,),
        recipients=tuple(recipients),
        storage=dpv.Storage(
            _place_of(then),
            f"P{days}D" if days else table["words"]["kept"],
            table["words"]["deletion"],
        ),
        jurisdictions=tuple(sorted(places)),
        control=f"{_base(then.house)}/my/preferences",
        rights=tuple(sorted(rights or table["rights"]["default"])),
        channels=channels,
    )


def _place_of(then: _Then) -> str:
    """Return where the data lies, as the house says; version 1 of the table took its seat for it.

    Nowhere stated is said to be so: ISO/IEC TS 27560 has a place for it in every record.
    """
    if "place" not in then.table:
        return f"loc:{then.house.get('house', {}).get('seat') or 'ZA'}"
    country = str(then.house.get("storage", {}).get("country", "")).strip()
    return str(then.table["place"].get(country, country) or then.table["words"]["unstated"])


# Whose record it is, and whether it still holds


def note_record(tx: Transaction, person: PersonId, n: int, payload: events.ConsentAct) -> None:
    """Let a record's hash lead to its event, in the commit that books the event."""
    if payload.record is None:
        return
    grants, sure = payload.status in GRANTING, payload.confirmed_at is not None
    held = [person.hex(), n, payload.purpose, list(payload.channels), grants, sure]
    put_pointer(tx, person, RECORDS, bytes.fromhex(payload.record), msgspec.json.encode(held))


def standing(desk: Desk, view: View, digest: bytes) -> str:
    """Tell whether a record is `valid`, `superseded` or `unknown`; says nothing of anybody.

    Superseded: a later choice about the same purpose was made, or the consent ended.
    """
    raw = view.row(RECORDS, digest)
    return "unknown" if raw is None else _standing(desk, view, raw)


def standing_of_code(desk: Desk, view: View, code: str) -> str:
    """The same for a record's short code.

    Raises:
        InvalidInput: A character of the code is wrong.
    """
    number = dpv.read_code(code)
    prefix = (number << 64 - dpv.CODE_BITS).to_bytes(8, "big")[: dpv.CODE_BITS // 8]
    for key, raw in view.rows(RECORDS, prefix, b"", 50):
        if int.from_bytes(key[:8], "big") >> (64 - dpv.CODE_BITS) == number:
            return _standing(desk, view, raw)
    return "unknown"


def _standing(desk: Desk, view: View, raw: bytes) -> str:
    psid, n, name, channels, grants, sure = msgspec.json.decode(raw)
    person = PersonId(bytes.fromhex(psid))
    found = view.gather([desk.keeper(view, person)], None)
    own = view.gather([person], None)
    purpose = desk.house(view).purposes.get(name)
    if not found or not own or found[0].record.erasing or purpose is None:
        return "unknown"
    every = desk.house(view).purposes
    if grants and (sure or not purpose.double_opt_in):
        held = [
            consent.resolve(found[0].record, purpose, c, view.now, every).status in GRANTING
            for c in channels or [""]
        ]
        if not all(held):
            return "superseded"
    places = [consent.key(name, c) for c in (*channels, consent.EVERY)]
    mine = own[0].record.standings
    acts = [a for place in places if place in mine for a in _acts(mine[place])]
    return "superseded" if any(act.n > n for act in acts) else "valid"


def _acts(held: Standing) -> Iterator[Act]:
    yield from (act for act in (held.grant, held.deny, held.neutral) if act is not None)


@dataclass(frozen=True, slots=True)
class Kept:
    """One record of a person.

    Attributes:
        n: The event that holds its hash; 0 is none.
        code: Its short code.
        state: valid or superseded.
    """

    person: PersonId
    n: int
    at: Instant
    act: events.ConsentAct
    digest: str
    code: str
    state: str


def records_of(desk: Desk, view: View, chain: Sequence[Recorded]) -> list[Kept]:
    """List a person's records from their chain, newest first."""
    out = []
    for each in reversed(chain):
        said = each.event.payload
        if isinstance(said, events.ConsentAct) and said.record is not None:
            digest = bytes.fromhex(said.record)
            at = from_zulu(said.occurred_at) if said.occurred_at else each.event.at
            out.append(
                Kept(
                    each.event.person, each.event.n, at, said, said.record,
                    dpv.short_code(digest), standing(desk, view, digest),
                )
            )  # fmt: skip
    return out


def record_bytes(view: View, chain: Sequence[Recorded], n: int) -> bytes:
    """Make the record of one event anew.

    Raises:
        NotFound: There is no such event, or it has no record.
    """
    for each in chain:
        if each.event.n == n and isinstance(each.event.payload, events.ConsentAct):
            return rebuild(view, each.event.payload, each.event.at)
    raise NotFound("there is no such consent record")


@cache
def schema(name: str = "record") -> Mapping[str, Any]:
    """Return one of our JSON Schemas: `record` or `receipt`."""
    path = files("troth") / f"data/dpv/{name}-schema.json"
    return dict(msgspec.json.decode(path.read_bytes()))


@cache
def terms() -> frozenset[str]:
    """Return every term of the vendored vocabularies."""
    out = set()
    for name in ("terms", "legal-za"):
        text = (files("troth") / f"data/dpv/{name}.csv").read_text("utf-8")
        out |= {line.partition(",")[0] for line in text.splitlines()[1:]}
    return frozenset(out)


def require_record(raw: bytes) -> Mapping[str, Any]:
    """Check a record or receipt object against our schema and read it.

    Raises:
        InvalidInput: It does not fit; names the first place.
    """
    value = dpv.load(raw)
    name = "receipt" if value.get("@type") == "dpv:ConsentReceipt" else "record"
    found = dpv.validate(value, schema(name))
    if found:
        raise InvalidInput(f"not a consent record of ours: {found[0].place} {found[0].said}")
    return value
