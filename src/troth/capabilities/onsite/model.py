"""What the site speaks of: what a collector may say, a banner may ask for, a batch may hold.

Reading what came from outside raises `InvalidInput` and nothing else; a text that came from
outside is never part of a message.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from troth.errors import InvalidInput
from troth.terms import SECOND, Instant

SITE: Final = "site"
"""The purpose under which what a visitor does on the site is taken down."""
RECOGNISE: Final = "recognise"
"""The purpose under which a visitor is linked to a customer at sign-in."""
SCOPE: Final = "views"
"""Vault scope of what was seen on the site; its category is `views.13w`."""
CATEGORY: Final = "views.13w"
CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CURRENT = re.compile(r"[0-9a-f]{32}")
_UNITS: Final = 999
_FIELDS: Final = frozenset({"item", "group", "units", "found"})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event: the fields it needs, and those it may carry."""

    name: str
    needs: frozenset[str]
    may: frozenset[str]


@dataclass(frozen=True, slots=True)
class Asked:
    """One purpose a banner may pass an answer on for.

    Attributes:
        opens: Data categories its yes names.
        begins: Its yes makes an unknown browser a visitor, its no ends the visit.
    """

    purpose: str
    opens: tuple[str, ...]
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The published numbers of `data/site.toml`.

    Attributes:
        stated: Day on which it was last stated that the opt-out signal is honoured.
    """

    limits: Mapping[str, int]
    kinds: Mapping[str, Kind]
    consents: Mapping[str, Asked]
    stated: str


@dataclass(frozen=True, slots=True)
class Seen:
    """One event of a batch, at a whole second, in codes."""

    at: Instant
    kind: str
    item: str = ""
    group: str = ""
    units: int = 0


class _Event(msgspec.Struct, forbid_unknown_fields=True):
    kind: Annotated[str, msgspec.Meta(max_length=32)]
    ago: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)] = 0
    item: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    group: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    units: Annotated[int, msgspec.Meta(ge=-_UNITS, le=_UNITS)] | None = None
    found: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    events: list[_Event]
    v: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1


class Answer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An answer a banner passes on.

    Attributes:
        session: 32 hex digits drawn by the script for this page view, kept nowhere.
        token: The right to write it, from `/api/v1/site/token`.
        forget: With a no: delete what was taken down.
    """

    purpose: Annotated[str, msgspec.Meta(max_length=64)]
    given: bool
    notice: Annotated[str, msgspec.Meta(max_length=80)]
    session: Annotated[str, msgspec.Meta(max_length=32)]
    token: Annotated[str, msgspec.Meta(max_length=200)]
    method: Annotated[str, msgspec.Meta(max_length=32)] = "banner"
    forget: bool = False


_batches = msgspec.json.Decoder(_Batch)
_answers = msgspec.json.Decoder(Answer)


def read_rules(values: Mapping[str, Any]) -> Rules:
    """Read the rules of the site.

    Raises:
        InvalidInput: A table is missing or names a field the collector does not have.
    """
    try:
        kinds = {
            row["name"]: Kind(row["name"], frozenset(row["needs"]), frozenset(row["may"]))
            for row in values["kind"]
        }
        consents = {
            row["purpose"]: Asked(row["purpose"], tuple(row["opens"]), bool(row.get("begins")))
            for row in values["consent"]
        }
        stated = str(values["signal"]["last_update"])
        limits = {str(name): int(number) for name, number in values["limits"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidInput(
            "the rules of the site do not read", "compare with data/site.toml"
        ) from None
    if not all(kind.needs | kind.may <= _FIELDS for kind in kinds.values()):
        raise InvalidInput("the rules of the site name a field that does not exist")
    return Rules(limits, kinds, consents, stated)


def read_batch(raw: bytes, rules: Rules, now: Instant) -> list[Seen]:
    """Read a batch of events, oldest first; one thing that is not listed refuses all of it.

    An event says how many seconds ago it happened: a device's clock is not believed.

    Raises:
        InvalidInput: Too long, not JSON, or holding a kind, field or value that is not listed.
    """
    if len(raw) > rules.limits["bytes"]:
        raise InvalidInput(f"a batch has at most {rules.limits['bytes']} bytes", "send less")
    try:
        batch = _batches.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("the batch is not what this address expects", _EXPECTED) from None
    if not 0 < len(batch.events) <= rules.limits["batch"]:
        raise InvalidInput(f"a batch has 1 to {rules.limits['batch']} events", "send less")
    return sorted((_seen(each, rules, now) for each in batch.events), key=lambda seen: seen.at)


_EXPECTED = "see docs/site.md for kinds and fields"


def _seen(event: _Event, rules: Rules, now: Instant) -> Seen:
    kind = rules.kinds.get(event.kind)
    if kind is None:
        raise InvalidInput("the batch holds a kind that is not listed", _EXPECTED)
    given = frozenset(name for name in _FIELDS if getattr(event, name) is not None)
    if not kind.needs <= given <= kind.needs | kind.may:
        raise InvalidInput("an event lacks a field or has one its kind does not have", _EXPECTED)
    if event.ago > rules.limits["ago_s"]:
        raise InvalidInput("an event is too old to be taken in", "send it sooner")
    codes = [code for code in (event.item, event.group) if code is not None]
    if not all(CODE.fullmatch(code) for code in codes):
        raise InvalidInput("an item or group is no code", "letters, digits, . _ - and no text")
    at = Instant((now // SECOND - event.ago) * SECOND)
    units = event.units if event.units is not None else event.found or 0
    return Seen(at, kind.name, event.item or "", event.group or "", units)


def read_answer(raw: bytes, rules: Rules) -> Answer:
    """Read an answer a banner passes on.

    Raises:
        InvalidInput: Not JSON of the known shape, or about a purpose no banner may ask for.
    """
    try:
        answer = _answers.decode(raw[: rules.limits["bytes"] + 1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("the answer is not what this address expects", _CONSENT) from None
    if answer.purpose not in rules.consents or not is_nonce(answer.session):
        raise InvalidInput("the answer is about something a banner may not ask", _CONSENT)
    if not CODE.fullmatch(answer.method) or (answer.forget and answer.given):
        raise InvalidInput("the answer contradicts itself or names no method", _CONSENT)
    return answer


_CONSENT = "purpose, given, notice, session, token; see docs/site.md"


def is_nonce(text: str) -> bool:
    """Tell whether a text is 32 hex digits, as the script draws them and cookies carry them."""
    return _CURRENT.fullmatch(text) is not None


def kept(seen: Sequence[Seen], items: frozenset[str], groups: frozenset[str]) -> list[Seen]:
    """Leave out what is about sensitive goods: no note is taken of it at all."""
    return [each for each in seen if each.item not in items and each.group not in groups]
