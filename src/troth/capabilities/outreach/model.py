"""What outreach speaks of: senders, campaigns, answers, totals."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from troth import crypto
from troth.engines import mail, ranking
from troth.errors import Fault
from troth.kernel import gate
from troth.kernel.desk import Desk
from troth.kernel.facts import Facts
from troth.ports import View
from troth.terms import (
    DAY,
    SECOND,
    Action,
    Actor,
    Channel,
    Gathered,
    Instant,
    PersonId,
    Published,
    ReasonCode,
    Refusal,
    Sealed,
    UseRequest,
)

if TYPE_CHECKING:
    from troth.capabilities.outreach.measuring import Measured

BATCH = 250
LEASE = 600 * SECOND
REJUDGE_AFTER = 5 * SECOND
TOKENS = "preferences.token"
TOKEN_LIFE = 400 * DAY
JOB = "outreach.mail"
WEEKS = {"purchases.13w": 13, "purchases.52w": 52}
FROM_ACTIVITY = frozenset({*WEEKS, "cohort.compare", "views.13w"})
"""Categories that are opened from what somebody did."""
FAVOURITES = 4
DONE = "outreach.done"
SKELETONS = "outreach.skeleton"
"""Constant bytes of messages under way, by their hash; nothing of anybody."""
Value = str | Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Sender:
    """A brand as its messages name it.

    Attributes:
        base_url: Where the brand's own pages are, https, without a final slash.
        postal: The postal address every marketing message must show.
    """

    brand: str
    from_name: str
    from_address: str
    list_id: str
    base_url: str
    domain: str
    postal: str = ""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is sent to whom, under which purpose.

    Attributes:
        expression: SHA-256 of the audience expression that narrows.
        template: Published version of the template.
        until: Who may only not be written to at this hour is asked again until here; 0 never.
    """

    name: str
    purpose: str
    expression: str
    template: Published
    sender: Sender
    channel: Channel = Channel.EMAIL
    until: int = 0


@dataclass(frozen=True, slots=True)
class Shelf:
    """What personal lines are made of, besides the person: item names, and who shops alike.

    Attributes:
        groups: Item → goods group, as far as known; what alike people buy is shown to somebody
            who excluded a group only where the item's own is known.
    """

    names: Mapping[str, str]
    alike: ranking.Alike
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a campaign would do now; each person is counted once, by first reason."""

    candidates: int
    reachable: int
    by_level: Mapping[int, int]
    refused: Mapping[str, int]
    at: Instant
    house_version: int


def done_prefix(campaign: str) -> bytes:
    """Return how the keys of everybody begin for whom a campaign booked a message."""
    return crypto.sha256(campaign.encode())[:8]


def done_key(campaign: Campaign, person: PersonId) -> bytes:
    """Name the one message a campaign may ever book for a person."""
    return done_prefix(campaign.name) + person


def request_for(
    campaign: Campaign,
    person: PersonId | None,
    actor: Actor,
    at: Instant,
    categories: frozenset[str] = frozenset(),
) -> UseRequest:
    """Return the use a campaign asks for; its categories are those of the person."""
    return UseRequest(
        actor=actor,
        person=person,
        purpose=campaign.purpose,
        action=Action.SEND,
        channel=campaign.channel,
        categories=categories,
        at=at,
        brand=campaign.sender.brand,
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate's answer at one look."""

    gathered: Gathered
    request: UseRequest
    facts: Facts
    answer: gate.Permit | Refusal
    level: int


def puts_off(campaign: Campaign, answer: object, now: Instant) -> bool:
    """Tell whether only the hour stands against a message, and the campaign has hours to come."""
    return (
        now < campaign.until
        and isinstance(answer, Refusal)
        and all(r.code is ReasonCode.QUIET_HOURS for r in answer.reasons)
    )


@dataclass(frozen=True, slots=True)
class Rendered:
    """One person's message, signed, with all that its booking needs.

    Attributes:
        data: The signed message.
        packed: The same without what it shares with others: what waits, sealed, to be handed over.
        skeleton: What was left out of `packed`.
        measured: What of its reading may be noted, by an own yes; nothing for nearly everybody.
        targets: Where the campaign's counted links lead.
        mark: By what its reader is known again for that alone; "" where nothing is noted.
        shown: The masked address, sealed for whoever holds the token.
    """

    judged: Judged
    ref: str
    number: int
    token: str
    data: bytes
    subject: str
    content: str
    message_id: str
    packed: bytes
    skeleton: mail.Skeleton
    measured: "tuple[Measured, ...]" = ()
    mark: str = ""
    targets: Mapping[int, str] = field(default_factory=dict)
    shown: str = ""


class Writer(Protocol):
    """Writes the messages of one campaign, whatever its channel."""

    desk: Desk
    campaign: Campaign

    def render(
        self,
        view: View,
        judged: Judged,
        rows: Sequence[Sealed],
        signed_at_s: int,
        fresh: bytes = b"",
    ) -> Rendered:
        """Return one permitted person's message; see `rendering.Renderer.render`."""
        ...

    def render_all(
        self,
        view: View,
        wanted: Sequence[tuple[Judged, Sequence[Sealed], bytes]],
        signed_at_s: int,
    ) -> "list[Rendered | Fault]":
        """Return the messages of a batch; in place of one that cannot be, the fault of its person.

        Args:
            view: The look they were decided in.
            wanted: Per person the permit, sealed rows, and randomness drawn for that message.
            signed_at_s: Real POSIX seconds, for DKIM.
        """
        ...

    def of(self, campaign: Campaign) -> "Writer":
        """Return what writes the same for another round of the campaign."""
        ...


@dataclass(slots=True)
class Booked:
    """Totals of a booking run."""

    booked: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    by_level: Counter[int] = field(default_factory=Counter)
    already: int = 0
    put_off: list[Judged] = field(default_factory=list)


class End(StrEnum):
    """What became of a booked message."""

    HANDED = "handed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WITHHELD = "withheld"


@dataclass(slots=True)
class Handed:
    """Totals of a hand-over run; `withheld` counts by first reason."""

    handed: int = 0
    failed: int = 0
    unknown: int = 0
    withheld: Counter[str] = field(default_factory=Counter)
