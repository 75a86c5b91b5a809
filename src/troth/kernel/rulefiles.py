"""Reading dated regime files into rules.

Reading refuses what could mislead later: an unknown word, a rule without source, date or example,
two versions of one id in force at once. Each refusal names file, rule and remedy.
"""

import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, cast

from troth.errors import InvalidInput
from troth.kernel import calendars as days
from troth.kernel.rules import (
    CONTACT_KINDS,
    KINDS,
    SIGNALS,
    UNITS,
    Applies,
    Example,
    Regime,
    Rule,
    Setting,
    Status,
)
from troth.terms import Channel, Instant, PurposeKind, ReasonCode


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the words of a file are checked against.

    Attributes:
        predicates: Names of the gate's predicates.
        calendars: Codes of the calendars loaded.
    """

    predicates: frozenset[str]
    calendars: frozenset[str]


_STATUSES = ("in_force", "proposal", "disputed", "repealed")
_SETTINGS = ("on", "strict", "off")
_MARKS = frozenset("PRSK")
_UNREAD = frozenset("SK")
_REGIME_KEYS = frozenset({"id", "version", "zone", "residence", "fallback", "valid_to"})
_APPLIES_KEYS = frozenset({"purpose", "residence", "except", "seat", "subject"})
_KEYS = frozenset(
    {f.name for f in fields(Rule)} - {"regime", "begins", "ends", "examples"} | {"example"}
)


def parse_regime(name: str, raw: bytes, known: Vocabulary) -> tuple[Regime, tuple[Rule, ...]]:
    """Read one regime file; `InvalidInput` names file, rule id and remedy."""
    try:
        data = tomllib.loads(raw.decode())
    except ValueError as error:
        raise InvalidInput(f"{name}: not TOML ({error})", "correct the syntax") from None
    with _refusing(f"{name}: regime"):
        groups = {key: frozenset(codes) for key, codes in data.get("groups", {}).items()}
        regime = _head(data.get("regime", {}), groups, data.get("zones", {}))
        rows = list(data.get("rule", []))
    rules = tuple(_rule(name, row, regime, groups, known) for row in rows)
    _refuse_orphans(name, rules)
    return regime, rules


def _head(
    row: Mapping[str, Any],
    groups: Mapping[str, frozenset[str]],
    places: Mapping[str, Iterable[str]],
) -> Regime:
    _refuse_keys(row, _REGIME_KEYS)
    zone = _text(row, "zone")
    zones = {code: tuple(map(str, named)) for code, named in places.items()}
    for name in (zone, *(name for named in zones.values() for name in named)):
        days.zone(name)
    return Regime(
        id=_text(row, "id"),
        version=_version(_text(row, "version")),
        zone=zone,
        residence=_codes(row.get("residence", []), groups),
        fallback=_flag(row, "fallback"),
        ends=_after(_optional_date(row, "valid_to"), zone),
        places=MappingProxyType(zones),
    )


def _version(text: str) -> str:
    if not all(part.isascii() and part.isdigit() for part in text.split(".")):
        raise _MalformedError("a version must read like 2026.11.1", "correct [regime]")
    return text


@contextmanager
def _refusing(place: str) -> Iterator[None]:
    """Turn whatever is wrong in one table into a refusal that names its place."""
    try:
        yield
    except _MalformedError as error:
        raise InvalidInput(f"{place}: {error}", error.remedy) from None
    except InvalidInput as error:
        remedy = error.remedy or "correct the value"
        raise InvalidInput(f"{place}: {error.message}", remedy) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"{place}: malformed ({error})"
        raise InvalidInput(message, "correct the shape of the values") from None


class _MalformedError(ValueError):
    """Something wrong inside one table; the caller adds file and rule."""

    def __init__(self, message: str, remedy: str) -> None:
        """Keep the remedy apart from the message."""
        super().__init__(message)
        self.remedy = remedy


def _rule(
    name: str,
    row: Any,  # noqa: ANN401 - whatever the file holds
    regime: Regime,
    groups: Mapping[str, frozenset[str]],
    known: Vocabulary,
) -> Rule:
    label = row.get("id", "a rule without id") if isinstance(row, Mapping) else "a rule"
    with _refusing(f"{name}: {label}"):
        rule = _read(row, regime, groups)
        _check(rule, known)
    return rule


def _read(row: Mapping[str, Any], regime: Regime, groups: Mapping[str, frozenset[str]]) -> Rule:
    _refuse_keys(row, _KEYS)
    begins, ends = _date(row, "valid_from"), _optional_date(row, "valid_to")
    return Rule(
        id=_text(row, "id"),
        regime=regime.id,
        law=_text(row, "law"),
        title=_text(row, "title"),
        stage=_word(row.get("stage", "person"), ("claim", "person"), "stage"),
        kind=_word(row.get("kind"), KINDS, "kind"),
        predicate=_text(row, "predicate"),
        params=_frozen(row.get("params", {})),
        applies=_applies(row.get("applies", {}), groups),
        channels=_channels(row.get("channels", {})),
        code=_code(row["code"]) if "code" in row else None,
        remedy=str(row.get("remedy", "")),
        status=cast(Status, _word(row.get("status"), _STATUSES, "status")),
        valid_from=begins,
        valid_to=ends,
        begins=days.day_begins(begins, regime.zone),
        ends=_after(ends, regime.zone),
        source=_text(row, "source"),
        source_mark=_text(row, "source_mark"),
        needs_check=_flag(row, "needs_check"),
        checked_on=_date(row, "checked_on"),
        review_by=_date(row, "review_by"),
        examples=tuple(_examples(row.get("example", []))),
        part_of=str(row.get("part_of", "")),
        cites={_code(code): str(rule) for code, rule in row.get("cites", {}).items()},
    )


def _check(rule: Rule, known: Vocabulary) -> None:
    _check_source(rule)
    _check_numbers(rule, known)
    if rule.kind in CONTACT_KINDS:
        _check_contact(rule, known)
    if rule.kind == "deadline":
        _word(rule.predicate, UNITS, "unit")
        if not _whole(rule.params.get("count")) or not _whole(rule.params.get("extension", 1)):
            raise _MalformedError("no count", "give params.count as a whole number above 0")
    if rule.kind == "content":
        _check_content(rule)
    if rule.kind == "signal":
        _word(rule.predicate, SIGNALS, "signal")
        if ("limit" if rule.predicate == "reaches" else "replies") not in rule.params:
            raise _MalformedError("no limit", "give params.limit or params.replies")
    if not rule.examples:
        raise _MalformedError("no example", "add [[rule.example]] with facts and expectation")


def _check_source(rule: Rule) -> None:
    for mark in rule.source_mark:
        _word(mark, _MARKS, "source mark")
    if set(rule.source_mark) & _UNREAD and not rule.needs_check:
        raise _MalformedError("a secondary or unread source", "set needs_check = true")
    if rule.valid_to and rule.valid_to < rule.valid_from:
        raise _MalformedError("valid_to before valid_from", "correct the dates")


def _check_numbers(rule: Rule, known: Vocabulary) -> None:
    calendar = rule.params.get("calendar", "seat")
    if calendar != "seat":
        _word(calendar, known.calendars, "calendar")
    if rule.predicate == "quiet_window":
        days.parse_window(rule.params, days.NO_HOLIDAYS)


def _check_contact(rule: Rule, known: Vocabulary) -> None:
    _word(rule.predicate, known.predicates, "predicate")
    if rule.code is None:
        raise _MalformedError("no reason code", "give the code it objects with")
    if rule.kind == "age" and not _whole(rule.params.get("under_years")):
        raise _MalformedError("no age", "give params.under_years as a whole number above 0")


def _check_content(rule: Rule) -> None:
    named = rule.params.get("obligations")
    if not named:
        raise _MalformedError("no obligations", "list them in params.obligations")
    counted = any("{days}" in str(name) for name in named)
    if counted is not _whole(rule.params.get("days")):
        raise _MalformedError("no days", "give params.days where an obligation names {days}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def refuse_overlaps(name: str, rules: Iterable[Rule]) -> None:
    """Refuse two versions of one id that are valid on one day."""
    ends: dict[str, date] = {}
    for rule in sorted(rules, key=lambda rule: rule.valid_from):
        if rule.id in ends and rule.valid_from <= ends[rule.id]:
            raise InvalidInput(
                f"{name}: {rule.id}: two versions are valid on {rule.valid_from}",
                "end the older one the day before",
            )
        ends[rule.id] = rule.valid_to or date.max


def _refuse_orphans(name: str, rules: Iterable[Rule]) -> None:
    ids = {rule.id for rule in rules if not rule.part_of}
    for rule in rules:
        if rule.part_of and rule.part_of not in ids:
            raise InvalidInput(
                f"{name}: {rule.id}: part of unknown rule {rule.part_of}",
                "name a rule of the same file that is no part itself",
            )


def _examples(rows: Iterable[Mapping[str, Any]]) -> Iterator[Example]:
    for row in rows:
        expect = {key: value for key, value in row.items() if key != "facts"}
        if not expect or not row.get("facts"):
            raise _MalformedError("an example without facts or expectation", "give both")
        yield Example(_frozen(row["facts"]), _frozen(expect))


def _applies(row: Mapping[str, Any], groups: Mapping[str, frozenset[str]]) -> Applies:
    _refuse_keys(row, _APPLIES_KEYS)
    kinds = row.get("purpose", [])
    named = [kinds] if isinstance(kinds, str) else kinds
    residence = _codes(row.get("residence", []), groups)
    seat = _codes(row.get("seat", []), groups)
    if not residence and not seat and "except" not in row:
        raise _MalformedError("applies to nobody", "give applies.residence or applies.seat")
    return Applies(
        frozenset(PurposeKind(_word(kind, tuple(PurposeKind), "purpose kind")) for kind in named),
        residence - _codes(row.get("except", []), groups),
        seat,
        _word(row.get("subject", ""), ("", "natural", "juristic"), "subject"),
    )


def _refuse_keys(row: Mapping[str, Any], known: frozenset[str]) -> None:
    extra = row.keys() - known
    if extra:
        raise _MalformedError(f"unknown key {_list(extra)}", "correct the spelling")


def _codes(codes: Iterable[str], groups: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*(groups.get(code, frozenset({code})) for code in codes))


def _channels(row: Mapping[str, Any]) -> Mapping[Channel, Setting]:
    return MappingProxyType(
        {
            Channel(_word(channel, tuple(Channel), "channel")): cast(
                Setting, _word(setting, _SETTINGS, "channel setting")
            )
            for channel, setting in row.items()
        }
    )


def _code(word: object) -> ReasonCode:
    return ReasonCode(_word(word, tuple(ReasonCode), "reason code"))


def _word(word: object, known: Collection[str], what: str) -> str:
    if not isinstance(word, str) or word not in known:
        raise _MalformedError(f"unknown {what} {word!s}", f"use one of {_list(known)}")
    return word


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _MalformedError(f"no {key}", f"give {key} as text")
    return value


def _flag(row: Mapping[str, Any], key: str) -> bool:
    value = row.get(key, False)
    if not isinstance(value, bool):
        raise _MalformedError(f"{key} is not true or false", "write it without quotes")
    return value


def _date(row: Mapping[str, Any], key: str) -> date:
    value = row.get(key)
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _MalformedError(f"no {key}", f"give {key} as a date such as 2026-11-23")
    return value


def _optional_date(row: Mapping[str, Any], key: str) -> date | None:
    return _date(row, key) if key in row else None


def _after(last: date | None, zone: str) -> Instant:
    return days.day_ends(last, zone) if last else Instant(0)


def _frozen(value: Any) -> Any:  # noqa: ANN401 - TOML values of any shape
    if isinstance(value, dict):
        return MappingProxyType({key: _frozen(inner) for key, inner in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _list(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
