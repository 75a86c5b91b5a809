"""From the texts of one row to a typed row, or to findings. Pure; a few µs a row."""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from troth.adapters.sources.headings import Columns, plain, words
from troth.engines import contact
from troth.engines.intake import (
    ConsentRow,
    CustomerRow,
    EventRow,
    Finding,
    Kind,
    RegistryRow,
    SuppressionRow,
)
from troth.errors import Fault, InvalidInput
from troth.terms import GRANTING, Instant, instant

FIELD_CHARS = 4_096
_SAFE = 2**53
UNITS_END = 2**31  # the width of a chunk's column
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_NAIVE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?"
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,16}")
_RESIDENCE = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_HASH = re.compile(r"[0-9A-Fa-f]{64}")
_SEPARATORS = re.compile(r"[;|,]")
_LEVELS = frozenset("012345")
_WORDS_KEPT = 256

# A doubtful value of a customer is left out, which can only narrow what may be done. A consent
# without a usable time is kept, as unknown; a suppression is never weakened.
_KEPT = {
    "customers": frozenset(
        {
            "email_invalid",
            "residence_invalid",
            "zone_invalid",
            "language_invalid",
            "birth_year_invalid",
            "yes_no_invalid",
        }
    ),
    "consents": frozenset({"time_without_zone", "time_unreadable"}),
    "suppressions": frozenset({"time_without_zone", "time_unreadable", "word_unknown"}),
}


class Refused(Exception):  # noqa: N818 - caught in this package, never seen outside
    """A value cannot be read; carries the finding's code and no value."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


Parse = Callable[[str], Any]
Row = CustomerRow | ConsentRow | EventRow | SuppressionRow | RegistryRow


class RowReader:
    """Reads rows of one file; made once, as columns and zone do not change.

    Args:
        zone: IANA zone in which times without an offset are read, "" to refuse them. A time
            that a clock change makes ambiguous is the earlier one.
    """

    def __init__(self, kind: Kind, columns: Columns, zone: str = "") -> None:
        """Look up the parser of each imported column."""
        self._kind = kind
        self._width = len(columns.fields)
        self._judge, self._make = _WHOLE_ROW[kind], _MAKE[kind]
        parsers = _parsers(kind, zone)
        self._plan = [
            (place, name, parsers[name])
            for place, name in enumerate(columns.fields)
            if name is not None
        ]

    def read(self, line: int, texts: Sequence[str]) -> tuple[Row | None, list[Finding]]:
        """Return the typed row, or None with at least one rejecting finding."""
        if len(texts) != self._width and (len(texts) < self._width or any(texts[self._width :])):
            return None, [Finding(line, "ragged_row")]
        values: dict[str, Any] = {}
        findings: list[Finding] = []
        for place, name, parse in self._plan:
            text = texts[place].strip()
            if not text:
                continue
            if len(text) > FIELD_CHARS:
                findings.append(Finding(line, "field_too_long", name))
                continue
            try:
                values[name] = parse(text) if parse else text
            except Refused as refused:
                findings.append(self._finding(line, refused.code, name))
        told = {each.field for each in findings}
        for code, name in self._judge(values):
            if name not in told:
                findings.append(Finding(line, code, name))
        if findings and any(each.outcome == "rejected" for each in findings):
            return None, findings
        return self._make(line, values), findings

    def _finding(self, line: int, code: str, name: str) -> Finding:
        kept = code in _KEPT.get(self._kind, ())
        return Finding(line, code, name, "kept" if kept else "rejected")


def parse_time(text: str, zone: str = "") -> Instant:
    """Read RFC 3339 with an offset, or, if a zone is named, an ISO date or time in it."""
    try:
        if _RFC3339.fullmatch(text):
            return instant(datetime.fromisoformat(text.upper()))
        if _NAIVE.fullmatch(text):
            naive = datetime.fromisoformat(text.upper())
            if not zone:
                raise Refused("time_without_zone")
            return instant(naive.replace(tzinfo=ZoneInfo(zone)))
    except (ValueError, OverflowError):
        pass
    raise Refused("time_unreadable")


def check_zone(name: str) -> None:
    """Raise `InvalidInput` unless `name` is an IANA zone or ""."""
    if name and not _is_zone(name):
        raise InvalidInput("this time zone is not known", "write it like Africa/Johannesburg")


@lru_cache(maxsize=_WORDS_KEPT)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, or no path of a zone at all
        return False
    return True


def _match(pattern: re.Pattern[str], code: str, text: str) -> str:
    if not pattern.fullmatch(text):
        raise Refused(code)
    return text


@lru_cache(maxsize=_WORDS_KEPT)
def _word(name: str, code: str, text: str) -> str:
    try:
        return words(name)[plain(text)]
    except KeyError:
        raise Refused(code) from None


def _email(text: str) -> str:
    try:
        contact.normalise("email", text)
    except Fault:
        raise Refused("email_invalid") from None
    return text


@lru_cache(maxsize=_WORDS_KEPT)
def _residence(text: str) -> str:
    named = words("residence").get(plain(text), text.upper())
    return _match(_RESIDENCE, "residence_invalid", named)


@lru_cache(maxsize=_WORDS_KEPT)
def _zone(text: str) -> str:
    if len(text) > 64 or not _is_zone(text):  # noqa: PLR2004 - no zone's name is that long
        raise Refused("zone_invalid")
    return text


@lru_cache(maxsize=_WORDS_KEPT)
def _year(text: str) -> int:
    return int(_match(_YEAR, "birth_year_invalid", text))


@lru_cache(maxsize=_WORDS_KEPT)
def _kind(text: str) -> str:
    return _match(_KIND, "word_unknown", text.lower())


@lru_cache(maxsize=_WORDS_KEPT)
def _currency(text: str) -> str:
    return _match(_CURRENCY, "currency_invalid", text.upper())


def _yes(text: str) -> bool:
    return _word("yes_no", "yes_no_invalid", text) == "yes"


def _many(text: str) -> tuple[str, ...]:
    return tuple(part for raw in _SEPARATORS.split(text) if (part := raw.strip()))


def _channels(text: str) -> tuple[str, ...]:
    if text == "*":
        return ("*",)
    named = {_word("channels", "channel_unknown", part) for part in _many(text)}
    return ("*",) if "all" in named else tuple(sorted(named))


def _level(text: str) -> int:
    if text not in _LEVELS:
        raise Refused("number_invalid")
    return int(text)


def _integer(code: str, text: str) -> int:
    if not _WHOLE.fullmatch(text) or abs(number := int(text)) >= _SAFE:
        raise Refused(code)
    return number


def _units(text: str) -> int:
    number = _integer("number_invalid", text)
    if abs(number) >= UNITS_END:
        raise Refused("number_invalid")
    return number


def _digest(text: str) -> bytes:
    return bytes.fromhex(_match(_HASH, "hash_invalid", text))


_PARSERS: dict[str, Parse] = {
    "email": _email,
    "competent_person_email": _email,
    "residence": _residence,
    "zone": _zone,
    "language": partial(_match, _LANGUAGE, "language_invalid"),
    "birth_year": _year,
    "subject": partial(_word, "subject", "word_unknown"),
    "interests": _many,
    "relation_kind": partial(_word, "relation_kind", "word_unknown"),
    "details_from_sale": _yes,
    "objection_offered": _yes,
    "channels": _channels,
    "status": partial(_word, "status", "word_unknown"),
    "categories": _many,
    "level": _level,
    "given_by": partial(_word, "given_by", "word_unknown"),
    "kind": _kind,
    "amount_minor": partial(_integer, "amount_not_minor"),
    "currency": _currency,
    "units": _units,
    "reason": partial(_word, "reason", "word_unknown"),
    "hash": _digest,
}
_TIMES = ("relation_at", "occurred_at", "confirmed_at", "at", "since")
_MAKE: dict[str, Callable[[int, dict[str, Any]], Row]] = {
    "customers": lambda line, values: CustomerRow(line, **values),
    "consents": lambda line, values: ConsentRow(line, **values),
    "events": lambda line, values: EventRow(line, **values),
    "suppressions": lambda line, values: SuppressionRow(line, **values),
    "registry": lambda line, values: RegistryRow(line, values["hash"]),
}
_ROW_TYPES: dict[str, type[CustomerRow | ConsentRow | EventRow | SuppressionRow]] = {
    "customers": CustomerRow,
    "consents": ConsentRow,
    "events": EventRow,
    "suppressions": SuppressionRow,
}


def _parsers(kind: Kind, zone: str) -> dict[str, Parse | None]:
    times = dict.fromkeys(_TIMES, partial(parse_time, zone=zone))
    if kind == "registry":
        return {"hash": _digest}
    names = [each.name for each in fields(_ROW_TYPES[kind])]
    return {name: times.get(name) or _PARSERS.get(name) for name in names}


Problems = list[tuple[str, str]]


def _missing(names: Sequence[str], values: dict[str, Any]) -> Problems:
    return [("value_missing", name) for name in names if name not in values]


def _customer(values: dict[str, Any]) -> Problems:
    if not values.keys() & {"external_id", "email", "phone"}:
        return [("value_missing", "external_id")]
    return []


def _consent(values: dict[str, Any]) -> Problems:
    problems = _missing(("external_id", "purpose", "status"), values)
    if values.get("status") in GRANTING and values.get("channels") == ("*",):
        problems.append(("channel_all_in_grant", "channels"))
    return problems


def _event(values: dict[str, Any]) -> Problems:
    problems = _missing(("external_id", "at", "kind"), values)
    if "amount_minor" in values and "currency" not in values:
        problems.append(("currency_missing", "currency"))
    elif "amount_minor" not in values:
        values.pop("currency", None)
    return problems


_WHOLE_ROW: dict[str, Callable[[dict[str, Any]], Problems]] = {
    "customers": _customer,
    "consents": _consent,
    "events": _event,
    "suppressions": partial(_missing, ("email",)),
    "registry": partial(_missing, ("hash",)),
}
