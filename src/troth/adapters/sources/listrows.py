"""From the texts of one row of a mail tool's export to what it proves and what it claims."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from troth.adapters.sources.dates import Order, read_when
from troth.adapters.sources.fields import FIELD_CHARS, Refused, check_zone
from troth.adapters.sources.headings import plain, words
from troth.adapters.sources.text import Record
from troth.engines import contact
from troth.engines.intake import Dealing, ListRow
from troth.errors import Fault
from troth.terms import Instant

CLAIMS, SILENT, ASKED, REFUSED = "claims", "silent", "asked", "refused"
UNKNOWN: Final = "status_unknown"
_PARTS = re.compile(r"[;|,\[\]\"]+")
_YEAR = re.compile(r"(?:.*[^0-9])?((?:19|20)[0-9]{2})(?:[^0-9].*)?")
_CODE = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")
_PLACE = re.compile(r"[A-Z]{2,3}")
_NAMES = ("given_name", "family_name", "full_name")
_FEDERAL = frozenset({"US", "CA"})
_KINDS: Final = {
    "sale_at": "sale",
    "inquiry_at": "inquiry",
    "donation_at": "donation",
    "member_at": "membership",
}
TIMES: Final = frozenset({*_KINDS, "consent_at", "confirmed_at", "relation_at", "contract_until"})
"""Fields that hold a moment."""


@dataclass(frozen=True, slots=True)
class Place:
    """One column that is read: where it stands, what it means, how its dates are written."""

    column: int
    field: str
    order: Order = ""


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How the rows of one file are read.

    Attributes:
        width: Columns of the heading line.
        tool: Whose export it is, a key of `data/listcheck.toml`, or "".
        zone: IANA zone of times that name none.
        origin: Year the workbook counts its days from; 0 of a text file.
    """

    width: int
    places: tuple[Place, ...]
    tool: str = ""
    zone: str = "UTC"
    origin: int = 0


@cache
def marks() -> dict[str, Any]:
    """Return `data/listcheck.toml`."""
    text = files("troth").joinpath("data", "listcheck.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def meanings(tool: str) -> Mapping[str, str]:
    """Return what status words mean: reduced spelling → meaning; the tool's own words first."""
    common = marks()["meaning"]
    own = marks()["tool"].get(tool, {}).get("meaning", {})
    found = {
        plain(text): name
        for part in (common, own)
        for name, texts in part.items()
        for text in texts
    }
    return MappingProxyType(found)


@cache
def _role_boxes() -> frozenset[str]:
    return frozenset(marks()["role"]["mailboxes"])


@cache
def _bought() -> frozenset[str]:
    return frozenset(map(plain, marks()["origin"]["bought"]))


class ListReader:
    """Reads the rows of one file; about 10 µs a row."""

    def __init__(self, how: ReadAs) -> None:
        """Look up what each column needs, once."""
        check_zone(how.zone)
        self._how = how
        self._means = meanings(how.tool)
        self._plan = [(place.column, self._taker(place)) for place in how.places]
        self._known: dict[str, frozenset[str]] = {}

    def read(self, record: Record) -> ListRow:
        """Return what a row says; one that cannot be read says only so."""
        texts, how = record.texts, self._how
        if record.code:
            return ListRow(record.line, code=record.code)
        if len(texts) != how.width and (len(texts) < how.width or any(texts[how.width :])):
            return ListRow(record.line, code="ragged_row")
        row = _Row()
        for column, take in self._plan:
            text = texts[column].strip()
            if text:
                take(row, text[:FIELD_CHARS])
        return row.made(record.line)

    def _taker(self, place: Place) -> "_Take":
        name = place.field
        if name in TIMES:
            return self._time(name, place.order)
        if name in ("opted_out", "bounced", "complained", "asked_at"):
            return self._flag(_FLAGS[name])
        if name == "status":
            return self._status
        if name == "opted_in":
            return self._opted_in(place.order)
        return _TAKERS.get(name) or _text(name)

    def _time(self, name: str, order: Order) -> "_Take":
        zone, origin = self._how.zone, self._how.origin

        def take(row: "_Row", text: str) -> None:
            try:
                row.times[name] = read_when(text, zone, order, origin)
            except Refused as refused:
                row.findings.append(refused.code)

        return take

    def _flag(self, meaning: str) -> "_Take":
        means = self._means

        def take(row: "_Row", text: str) -> None:
            said = means.get(plain(text))
            if _no(text) or said == SILENT:
                return
            row.signs.add(meaning if said in (None, CLAIMS) else said)

        return take

    def _status(self, row: "_Row", text: str) -> None:
        found = self._known.get(text)
        if found is None:
            found = frozenset(
                self._means.get(plain(p), UNKNOWN) for p in _parts(text, self._means)
            )
            if len(self._known) < FIELD_CHARS:
                self._known[text] = found
        row.signs |= found

    def _opted_in(self, order: Order) -> "_Take":
        zone, origin, means = self._how.zone, self._how.origin, self._means

        def take(row: "_Row", text: str) -> None:
            word = words("yes_no").get(plain(text))
            if word is not None:
                row.signs.add(CLAIMS if word == "yes" else REFUSED)
                return
            said = means.get(plain(text))
            if said is not None:
                row.signs.add(said)
                return
            try:
                at = read_when(text, zone, order, origin)
            except Refused:
                row.signs.add(UNKNOWN)
            else:
                row.signs.add(CLAIMS)
                row.times.setdefault("consent_at", at)

        return take


_FLAGS: Final = {
    "opted_out": "unsubscribe",
    "bounced": "hard_bounce",
    "complained": "complaint",
    "asked_at": ASKED,
}


def _parts(text: str, means: Mapping[str, str]) -> Sequence[str]:
    """Cut a cell that holds several statuses; one that is a status as a whole stays whole."""
    if plain(text) in means:
        return (text,)
    return [part for raw in _PARTS.split(text) if (part := raw.strip())] or (text,)


def _no(text: str) -> bool:
    return words("yes_no").get(plain(text)) == "no"


class _Row:
    """What the cells of one row add up to, while they are read."""

    __slots__ = ("findings", "signs", "texts", "times")

    def __init__(self) -> None:
        self.texts: dict[str, Any] = {}
        self.times: dict[str, Instant] = {}
        self.signs: set[str] = set()
        self.findings: list[str] = []

    def made(self, line: int) -> ListRow:
        told, times = self.texts, self.times
        if "email" not in told and "address_invalid" not in self.findings:
            self.findings.append("no_address")
        if UNKNOWN in self.signs:
            self.findings.append(UNKNOWN)
        own = told.get("own", True)
        if not own:
            self.findings.append("bought")
        return ListRow(
            line,
            email=told.get("email", ""),
            who=told.get("external_id")
            or " ".join(told[name] for name in _NAMES if name in told).casefold(),
            residence=_joined(told.get("residence", ""), told.get("subdivision", "")),
            zone=told.get("zone", ""),
            born=told.get("birth"),
            age=told.get("age"),
            subject=told.get("subject", ""),
            signs=frozenset(self.signs),
            consent_at=times.get("consent_at") or times.get("confirmed_at"),
            confirmed_at=times.get("confirmed_at"),
            notice=told.get("notice", ""),
            method=told.get("method") or ("double opt-in" if "confirmed_at" in times else ""),
            proof=told.get("proof", ""),
            dealings=self._dealings(),
            bought=bool(told.get("orders")) or "sale_at" in times,
            details_from_sale=told.get("details_from_sale", False),
            objection_offered=told.get("objection_offered", False),
            own=own,
            findings=tuple(self.findings),
        )

    def _dealings(self) -> tuple[Dealing, ...]:
        times = self.times
        found = [Dealing(kind, times[name]) for name, kind in _KINDS.items() if name in times]
        kind = self.texts.get("relation_kind", "")
        at = times.get("relation_at")
        until = times.get("contract_until", 0)
        if kind and at is not None:
            found.append(Dealing(kind, at, until if kind == "contract" else 0))
        elif until:
            found.append(Dealing("contract", Instant(min(until, at or until)), until))
        return tuple(found)


def _joined(country: str, part: str) -> str:
    return f"{country}-{part}" if part and country in _FEDERAL else country


_Take = Callable[[_Row, str], None]


def _text(name: str) -> _Take:
    def take(row: _Row, text: str) -> None:
        row.texts.setdefault(name, text)

    return take


def _email(row: _Row, text: str) -> None:
    try:
        address = contact.normalise("email", text)
    except Fault:
        row.findings.append("address_invalid")
        return
    row.texts["email"] = address
    if address.partition("@")[0] in _role_boxes():
        row.findings.append("role_address")


@lru_cache(maxsize=4_096)
def country(text: str) -> str:
    """Return the code of a country by its name or code; `KeyError` where it is neither."""
    named = words("residence").get(plain(text), text.upper())
    if not _CODE.fullmatch(named):
        raise KeyError
    return named


def _residence(row: _Row, text: str) -> None:
    try:
        row.texts["residence"] = country(text)
    except KeyError:
        row.findings.append("residence_unknown")


def _subdivision(row: _Row, text: str) -> None:
    named = words("subdivision").get(plain(text), text.upper().rpartition("-")[2])
    if _PLACE.fullmatch(named):
        row.texts["subdivision"] = named


def _zone(row: _Row, text: str) -> None:
    try:
        check_zone(text[:64])
    except Fault:
        return
    row.texts["zone"] = text


def _birth(row: _Row, text: str) -> None:
    found = _YEAR.fullmatch(text)
    if found:
        row.texts["birth"] = int(found[1])


def _age(row: _Row, text: str) -> None:
    if text.isdecimal() and len(text) < 4:  # noqa: PLR2004 - nobody is a thousand years old
        row.texts["age"] = int(text)


def _subject(row: _Row, text: str) -> None:
    row.texts["subject"] = words("subject").get(plain(text), "")


def _relation_kind(row: _Row, text: str) -> None:
    row.texts["relation_kind"] = words("relation_kind").get(plain(text), "")


def _orders(row: _Row, text: str) -> None:
    if re.search("[1-9]", text):
        row.texts["orders"] = True


def _source(row: _Row, text: str) -> None:
    if plain(text) in _bought():
        row.texts["own"] = False


def _yes(name: str) -> _Take:
    def take(row: _Row, text: str) -> None:
        row.texts[name] = words("yes_no").get(plain(text)) == "yes"

    return take


_TAKERS: Final[Mapping[str, _Take]] = {
    "email": _email,
    "residence": _residence,
    "subdivision": _subdivision,
    "zone": _zone,
    "birth": _birth,
    "age": _age,
    "subject": _subject,
    "relation_kind": _relation_kind,
    "orders": _orders,
    "source": _source,
    "details_from_sale": _yes("details_from_sale"),
    "objection_offered": _yes("objection_offered"),
}
