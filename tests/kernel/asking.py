"""A small house, one person and one question, each changed by keyword: what gate tests ask with."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import troth
from troth.kernel.consent import apply_consent, apply_level
from troth.kernel.facts import Facts, House
from troth.kernel.gate import decide
from troth.kernel.looking import LOOKS
from troth.kernel.predicates import PREDICATES
from troth.kernel.regimes import load
from troth.terms import (
    DAY,
    Act,
    Action,
    Actor,
    Channel,
    Claim,
    ConsentStatus,
    ContactPoint,
    Gathered,
    Head,
    Instant,
    PersonRecord,
    Purpose,
    PurposeKind,
    Refusal,
    Registry,
    Relation,
    Role,
    UseRequest,
    instant,
    person_id,
)

DATA = Path(troth.__file__).parent / "data"
RULES = load(
    {path.name: path.read_bytes() for path in (DATA / "regimes").glob("*.toml")},
    {path.name: path.read_bytes() for path in (DATA / "calendars").glob("*.toml")},
    PREDICATES,
)
JOHANNESBURG = ZoneInfo("Africa/Johannesburg")
PERSON = person_id(b"p" * 16)
OTHER = person_id(b"q" * 16)
MARKETER = Actor(Role.MARKETER, "m1")
CATEGORIES = frozenset({"interests", "history", "year", "alcohol", "address"})


def local(text):
    """An instant from a wall clock in Johannesburg, such as 2026-11-23T10:00:00."""
    return instant(datetime.fromisoformat(text).replace(tzinfo=JOHANNESBURG))


NOON = local("2026-11-23T12:00:00")  # a Monday


def purpose(name, kind=PurposeKind.MARKETING, **changes):
    defaults = {
        "channels": frozenset(Channel),
        "categories": CATEGORIES - {"alcohol"},
        "goods": frozenset({"kitchen"}),
    }
    return Purpose(name, 1, kind, name.title(), **{**defaults, **changes})


PURPOSES = {
    each.name: each
    for each in (
        purpose("marketing"),
        purpose("offers", parent="marketing"),
        purpose("news", parent="marketing"),
        purpose("ask_offers", PurposeKind.CONSENT_REQUEST),
        purpose("personalise", PurposeKind.PERSONALISE, channels=frozenset()),
        purpose("orders", PurposeKind.SERVICE),
        purpose("reports", PurposeKind.OPERATIONS),
    )
}
HOUSE = House(
    version=1,
    seat="ZA",
    zone="Africa/Johannesburg",
    purposes=PURPOSES,
    ruleset=RULES,
    labels=CATEGORIES,
    special=frozenset({"alcohol"}),
    levels=(
        frozenset(),
        frozenset(),
        frozenset({"interests"}),
        frozenset({"interests", "history"}),
        frozenset({"interests", "history", "year"}),
        frozenset({"interests", "history", "year", "alcohol"}),
    ),
    material={"offers": 2, "personalise": 1},
    caps={"direct_marketing": (3, 30)},
    registries={"ZA": Registry(cleansed_at=NOON - 3 * DAY)},
    agreements={"acme": (NOON - DAY, NOON + DAY)},
)
CLAIM = Claim(dict.fromkeys(sorted(CATEGORIES), "full"))


def house(**changes):
    """The house with something changed, and nothing remembered."""
    return replace(HOUSE, **{"memo": {}, **changes})


def act(status="given", days=10, **changes):
    """An act some days ago, recorded at once."""
    at = Instant(NOON - int(days * DAY))
    defaults = {"notice": "offers@2", "recorded": at, "n": 1}
    return Act(ConsentStatus(status), at, **{**defaults, **changes})


def told(record, status="given", days=10, purpose="offers", channels=("email",), **changes):
    """The record after one more act."""
    said = act(status, days, **changes)
    return apply_consent(record, kind=said.status, purpose=purpose, channels=channels, act=said)


STRANGER = PersonRecord(residence="ZA", zone="Africa/Johannesburg", age="adult")
AGREED = told(STRANGER)


def at_level(record, level, categories=None, days=9):
    """The record after a level was chosen and what it opens agreed to."""
    said = act("given", days, notice="personalise@1")
    opened = sorted(HOUSE.levels[level] if categories is None else categories)
    said = replace(said, categories=tuple(opened))
    record = apply_consent(record, kind=said.status, purpose="personalise", channels=(), act=said)
    return apply_level(record, level, said)


def sale(**changes):
    """A sale to which the customer exception applies, unless something is changed."""
    defaults = {
        "kind": "sale",
        "at": Instant(NOON - 100 * DAY),
        "brand": "marula",
        "goods": "kitchen",
        "collected": True,
        "objection_offered": True,
    }
    return Relation(**{**defaults, **changes})


def ask(
    record=AGREED, *, blocks=(), asked=False, claim=CLAIM, within=HOUSE, contact="",
    contained=True, seen=(), **changes,
):  # fmt: skip
    """One question and its facts; the contact point is on the channel asked about.

    A look by staff names an open case that contains the person, unless it is said otherwise.
    """
    defaults = {
        "actor": MARKETER,
        "person": PERSON,
        "purpose": "offers",
        "action": Action.SEND,
        "channel": Channel.EMAIL,
        "categories": frozenset(),
        "at": NOON,
        "brand": "marula",
        "reason": "case:T-1" if changes.get("action") in LOOKS else "",
    }
    request = UseRequest(**{**defaults, **changes})
    point = request.channel and ContactPoint(
        Channel(contact or request.channel), b"b" * 16, b"s" * 16
    )
    gathered = None
    if record is not None:
        gathered = Gathered(request.person, Head(1, b"c"), record, point, tuple(blocks))
    return request, Facts(request.person, request.at, claim, within, gathered, asked,
                          contained=contained and request.action in LOOKS, seen=frozenset(seen))  # fmt: skip


def answer(*given, **changes):
    """The gate's answer to `ask`."""
    return decide(*ask(*given, **changes))


def codes(*given, **changes):
    """The reason codes of the answer in order, each once; empty for a permit."""
    found = answer(*given, **changes)
    if isinstance(found, Refusal):
        return list(dict.fromkeys(str(reason.code) for reason in found.reasons))
    return []
