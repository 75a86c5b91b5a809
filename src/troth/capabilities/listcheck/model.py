"""Values of the list check: what is asked of a list, what each row got, what it adds up to."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from troth.terms import Instant

Group = Literal["may_mail", "ask_once", "not"]
GROUPS: Final[tuple[Group, ...]] = ("may_mail", "ask_once", "not")
"""From most to least; a narrowing fact only ever moves a row to the right."""
Condition = Literal["registry", "similar", "hours", "wording"]
"""What is still to be done or minded before the first message: ids of the catalogue."""
DUPLICATE: Final = "duplicate"
UNREADABLE: Final = "unreadable"
NO_ADDRESS: Final = "no_address"
STATUS_UNKNOWN: Final = "status_unknown"


@dataclass(frozen=True, slots=True)
class RegistryTold:
    """An opt-out registry's file: hashes of who must not be marketed to, and how old it is."""

    hashes: frozenset[bytes]
    as_of: Instant | None
    scheme: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the check is told besides the list.

    Attributes:
        at: The instant it is judged for.
        country: ISO code for rows that name none; "" leaves them unknown: the strictest rules.
        seat: ISO code of the sender's seat; "" unknown: the strictest rules.
        zone: IANA zone of the sender, for quiet hours of people whose zone is unknown.
        registry: The opt-out registry, None where no file was given.
    """

    at: Instant
    country: str = ""
    seat: str = ""
    zone: str = "UTC"
    registry: RegistryTold | None = None


class Verdict(NamedTuple):
    """What one row got; equal ones are one object.

    Attributes:
        code: Why not mailed: a reason code of the gate, or one of this file; where the row may be
            mailed, the legal ground.
        rule: The rule that says so.
        missing: Evidence that would change it, by id of the catalogue.
        helps: Which evidence, were it there, would let the gate say yes: consent, sale.
        waits: What is to be done before mailing, or asking.
    """

    group: Group
    code: str
    rule: str = ""
    missing: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    waits: tuple[Condition, ...] = ()

    @property
    def reason(self) -> tuple[Group, str]:
        """What it is counted under."""
        return self.group, self.code


class Example(NamedTuple):
    """One row of a tally: its line and its masked address."""

    line: int
    address: str


@dataclass(slots=True)
class Tally:
    """Rows of one group that got one reason, each counted once.

    Attributes:
        rules: Per rule how many rows it said so about.
        missing: Per evidence how many rows lack it.
        helps: Per kind of evidence how many rows the gate would say yes to, were it there.
    """

    group: Group
    code: str
    count: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    helps: Counter[str] = field(default_factory=Counter)
    example: Example | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a list came to. Lines, verdicts and masked examples: no address, no name.

    Attributes:
        groups: Rows a group; they add up to `rows`.
        tallies: Largest first within each group.
        findings: Things to put right, by id.
        waits: Of the rows that may be mailed or asked, how many wait for what.
        grounds: Of the rows that may be mailed, how many rest on what.
        ruleset: Hash of the rules.
    """

    rows: int
    groups: Mapping[Group, int]
    tallies: tuple[Tally, ...]
    findings: Mapping[str, int]
    waits: Mapping[Condition, int]
    grounds: Mapping[str, int]
    ruleset: str
    verdicts: tuple[Verdict, ...]
    _of_row: "array[int]"

    def verdict(self, place: int) -> Verdict:
        """Return what the row at a place of the file got, counted from 0."""
        return self.verdicts[self._of_row[place]]
