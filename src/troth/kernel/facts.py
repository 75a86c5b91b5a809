"""What a decision is made from: the house as published, and one person as of one instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from troth.kernel.looking import Looks
from troth.kernel.regimes import Ruleset
from troth.terms import Claim, Gathered, Instant, PersonId, Purpose, Refusal, Registry


@dataclass(frozen=True, slots=True)
class House:
    """Everything published that decisions rest on; made once per house version and look.

    Attributes:
        version: The house version; rises with every published change.
        seat: ISO 3166 code of the responsible party's seat.
        zone: IANA zone of the house.
        labels: Every data category known; a use of another is `unlabelled_field`.
        special: Categories no purpose may open (alcohol, tobacco, diet, hygiene, health).
        levels: Per level 0 to 5 the categories it opens under `personalise`.
        notices: Current version per notice; material: oldest version still good per notice.
        caps: Per purpose kind: at most `n` hand-overs in `days`, over all brands.
        registries: Opt-out registries by regime.
        clock_sure: False when the clock is behind the last checkpoint.
        unsure_before: A restore without its whole restriction journal: who agreed no later than
            this may have taken it back since, and nobody knows; 0 where all is known.
        looks: What staff may do when they look at people.
        prohibited: Category → purposes it must never serve, nor those above and below them.
        memo: What the gate worked out from this house alone, kept so that it is worked out once;
            never read by anybody else, no part of the value.
    """

    version: int
    seat: str
    zone: str
    purposes: Mapping[str, Purpose]
    ruleset: Ruleset
    labels: frozenset[str] = frozenset()
    special: frozenset[str] = frozenset()
    levels: tuple[frozenset[str], ...] = ()
    material: Mapping[str, int] = field(default_factory=dict)
    caps: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    registries: Mapping[str, Registry] = field(default_factory=dict)
    agreements: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    clock_sure: bool = True
    unsure_before: int = 0
    looks: Looks = field(default_factory=Looks)
    prohibited: Mapping[str, frozenset[str]] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """The staff policy's word on the claim and, unless that refused, what is known of a person.

    Attributes:
        as_of: The instant the facts are of; must equal the request's `at`.
        gathered: What the look found; None when nothing is held under this id.
        asked: The person's address was already asked once by this responsible party.
        mandate: As what the actor, a person, may act for this one (competent_person, contact_of,
            agent), or merged: the id is one of their own; "" where they are nobody else.
        contained: The reason the request names is open and contains this person.
        seen: Categories this actor saw of this person today already.
        memo: What the gate found out from these facts, kept while it decides; no part of them.
    """

    person: PersonId | None
    as_of: Instant
    claim: Claim | Refusal
    house: House
    gathered: Gathered | None
    asked: bool = False
    mandate: str = ""
    contained: bool = False
    seen: frozenset[str] = frozenset()
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
