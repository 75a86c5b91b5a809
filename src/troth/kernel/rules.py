"""One rule of law or of a mailbox provider as a frozen value, read from a dated regime file.

Reading refuses what could mislead later: an unknown word, a rule without source, date or example,
two versions of one id in force at once. Each refusal names file, rule and remedy.
"""

import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Literal, cast

from troth.errors import InvalidInput
from troth.kernel import calendars as days
from troth.terms import Channel, Instant, PurposeKind, ReasonCode

Setting = Literal["on", "strict", "off"]
Status = Literal["in_force", "proposal", "disputed", "repealed"]

CONTACT_KINDS = frozenset({"permission", "prohibition", "window", "cap", "age", "cadence"})
"""Kinds of rules that object to contact; the gate binds their predicates."""
KINDS = CONTACT_KINDS | {"deadline", "content", "retention", "signal"}
UNITS = frozenset({"hours", "calendar_days", "za_days", "eu_months", "business_days"})
"""Day-count kinds a deadline rule may name as its predicate."""
_STATUSES = ("in_force", "proposal", "disputed", "repealed")
_SETTINGS = ("on", "strict", "off")
_MARKS = frozenset("PRSK")
_APPLYING = frozenset({"in_force", "disputed"})


@dataclass(frozen=True, slots=True)
class Applies:
    """Whom a rule reaches: residence or seat matches, and the purpose's kind does.

    Attributes:
        purposes: Purpose kinds; empty means every kind but service and operations.
        residence: Codes, groups resolved; `*` everyone.
        seat: Codes, groups resolved.
        subject: natural, juristic or "" for both; the predicate's caller checks it.
    """

    purposes: frozenset[PurposeKind] = frozenset()
    residence: frozenset[str] = frozenset()
    seat: frozenset[str] = frozenset()
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A test case a rule carries: facts, and every `expect…` or worked date beside them."""

    facts: Mapping[str, Any]
    expect: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One dated rule.

    Attributes:
        id: Stable id such as `ZA-5`; versions of one id never overlap.
        regime: Id of the regime file it stands in.
        code: Reason code by which it is ordered; None where it never objects.
        remedy: Catalogue id of what would help, or "".
        part_of: The rule that carries this one out; it is not asked a second time.
        cites: Ids other than its own under which single codes are reported.
        channels: Per channel on, strict (doubtful, applied and said so) or off; absent is on.
        valid_from: First day in force, in the regime's zone.
        valid_to: Last day in force; None open.
        begins: `valid_from` as an instant.
        ends: First instant after `valid_to`; 0 open.
        source_mark: Letters of P primary, R regulator, S secondary, K unread.
        review_by: After this day a warning is shown; the rule still applies.
    """

    id: str
    regime: str
    law: str
    title: str
    stage: str
    kind: str
    predicate: str
    params: Mapping[str, Any]
    applies: Applies
    channels: Mapping[Channel, Setting]
    code: ReasonCode | None
    remedy: str
    status: Status
    valid_from: date
    valid_to: date | None
    begins: Instant
    ends: Instant
    source: str
    source_mark: str
    needs_check: bool
    checked_on: date
    review_by: date
    examples: tuple[Example, ...]
    part_of: str = ""
    cites: Mapping[ReasonCode, str] = field(default_factory=dict)

    def setting(self, channel: Channel | None) -> Setting:
        """How the rule stands on a channel; what is not listed, and no channel at all, is on."""
        return "on" if channel is None else self.channels.get(channel, "on")

    def cautious(self, channel: Channel | None) -> bool:
        """Tell whether the reading is doubtful: applied all the same, and to be said so."""
        return self.status == "disputed" or self.setting(channel) == "strict"

    def cited(self, code: ReasonCode) -> str:
        """The id to report with `code`: `cites`, else the rule's own."""
        return self.cites.get(code, self.id)

    def live(self, at: Instant) -> bool:
        """Tell whether the rule changes decisions at `at`; proposals and repealed never do."""
        return self.status in _APPLYING and self.begins <= at and (not self.ends or at < self.ends)


@dataclass(frozen=True, slots=True, eq=False)
class Regime:
    """Head of one regime file.

    Attributes:
        zone: Zone in which the regime's dates are dates.
        residence: Codes whose residents it covers, groups resolved.
        fallback: It also covers everyone no regime covers.
        ends: First instant after the file's own last day; 0 open.
    """

    id: str
    version: str
    zone: str
    residence: frozenset[str]
    fallback: bool
    ends: Instant


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the words of a file are checked against.

    Attributes:
        predicates: Names of the gate's predicates.
        calendars: Codes of the calendars loaded.
    """

    predicates: frozenset[str]
    calendars: frozenset[str]


def parse_regime(name: str, raw: bytes, known: Vocabulary) -> tuple[Regime, tuple[Rule, ...]]:
    """Read one regime file; `InvalidInput` names file, rule id and remedy."""
    try:
        data = tomllib.loads(raw.decode())
    except ValueError as error:
        raise InvalidInput(f"{name}: not TOML ({error})", "correct the syntax") from None
    try:
        head = data["regime"]
        groups = {key: frozenset(codes) for key, codes in data.get("groups", {}).items()}
        regime = Regime(
            id=_text(head, "id"),
            version=_text(head, "version"),
            zone=_text(head, "zone"),
            residence=_codes(head.get("residence", []), groups),
            fallback=_flag(head, "fallback"),
            ends=_after(_optional_date(head, "valid_to"), _text(head, "zone")),
        )
    except _Malformed as error:
        raise InvalidInput(f"{name}: regime: {error}", error.remedy) from None
    except (KeyError, TypeError, AttributeError):
        raise InvalidInput(f"{name}: no [regime] head", "give id, version, zone") from None
    return regime, tuple(_rule(name, row, regime, groups, known) for row in data.get("rule", []))


class _Malformed(ValueError):
    """Something wrong inside one table; the caller adds file and rule."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def _rule(
    name: str,
    row: Mapping[str, Any],
    regime: Regime,
    groups: Mapping[str, frozenset[str]],
    known: Vocabulary,
) -> Rule:
    label = row.get("id", "a rule without id")
    try:
        rule = _read(row, regime, groups)
        _check(rule, known)
    except _Malformed as error:
        raise InvalidInput(f"{name}: {label}: {error}", error.remedy) from None
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {label}: {error.message}", error.remedy) from None
    return rule


def _read(row: Mapping[str, Any], regime: Regime, groups: Mapping[str, frozenset[str]]) -> Rule:
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
    if rule.kind in CONTACT_KINDS:
        if rule.predicate not in known.predicates:
            raise _Malformed(f"unknown predicate {rule.predicate}", "name a predicate of the gate")
        if rule.code is None:
            raise _Malformed("no reason code", "give the code it objects with")
    if rule.kind == "deadline":
        if rule.predicate not in UNITS:
            raise _Malformed(f"unknown unit {rule.predicate}", f"use one of {_list(UNITS)}")
        if not isinstance(rule.params.get("count"), int):
            raise _Malformed("no count", "give params.count as a whole number")
    if rule.kind == "content" and not rule.params.get("obligations"):
        raise _Malformed("no obligations", "list them in params.obligations")
    calendar = rule.params.get("calendar", "seat")
    if calendar != "seat" and calendar not in known.calendars:
        raise _Malformed(f"unknown calendar {calendar}", "ship its calendar file")
    if not set(rule.source_mark) <= _MARKS:
        raise _Malformed(f"unknown source mark {rule.source_mark}", "use letters of P, R, S, K")
    if set(rule.source_mark) & {"S", "K"} and not rule.needs_check:
        raise _Malformed("a secondary or unread source", "set needs_check = true")
    if not rule.examples:
        raise _Malformed("no example", "add [[rule.example]] with facts and what to expect")
    if rule.valid_to and rule.valid_to < rule.valid_from:
        raise _Malformed("valid_to before valid_from", "correct the dates")


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


def _examples(rows: Iterable[Mapping[str, Any]]) -> Iterator[Example]:
    for row in rows:
        expect = {key: value for key, value in row.items() if key != "facts"}
        if not expect or not row.get("facts"):
            raise _Malformed("an example without facts or expectation", "give both")
        yield Example(_frozen(row["facts"]), _frozen(expect))


def _applies(row: Mapping[str, Any], groups: Mapping[str, frozenset[str]]) -> Applies:
    extra = set(row) - {"purpose", "residence", "except", "seat", "subject"}
    if extra:
        raise _Malformed(f"unknown key in applies: {_list(extra)}", "correct the spelling")
    kinds = row.get("purpose", [])
    named = [kinds] if isinstance(kinds, str) else kinds
    residence = _codes(row.get("residence", []), groups)
    seat = _codes(row.get("seat", []), groups)
    if not residence and not seat and "except" not in row:
        raise _Malformed("applies to nobody", "give applies.residence or applies.seat")
    return Applies(
        frozenset(PurposeKind(_word(kind, tuple(PurposeKind), "purpose kind")) for kind in named),
        residence - _codes(row.get("except", []), groups),
        seat,
        _word(row.get("subject", ""), ("", "natural", "juristic"), "subject"),
    )


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
        raise _Malformed(f"unknown {what} {word!s}", f"use one of {_list(known)}")
    return word


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _Malformed(f"no {key}", f"give {key} as text")
    return value


def _flag(row: Mapping[str, Any], key: str) -> bool:
    value = row.get(key, False)
    if not isinstance(value, bool):
        raise _Malformed(f"{key} is not true or false", "write it without quotes")
    return value


def _date(row: Mapping[str, Any], key: str) -> date:
    value = row.get(key)
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _Malformed(f"no {key}", f"give {key} as a date such as 2026-11-23")
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
