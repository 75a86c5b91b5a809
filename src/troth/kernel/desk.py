"""What a use case is handed: record, vault, scribe, the gate's house. One per workspace."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from troth import crypto
from troth.errors import Unavailable
from troth.kernel import cases, gate, looking
from troth.kernel.events import Payload, public_entry
from troth.kernel.facts import Facts, House
from troth.kernel.house import read_house
from troth.kernel.pointers import (
    ALIASES,
    INDEX,
    aliases,
    drop_pointer,
    everybody,
    keeper,
    pointers,
    put_pointer,
)
from troth.kernel.profiles import Grouping
from troth.kernel.scribe import Scribe
from troth.kernel.vault import Vault, lp, search_mac
from troth.ports import (
    Randomness,
    RestrictionJournal,
    StaffPolicy,
    Store,
    Transaction,
    View,
)
from troth.terms import (
    NO_HEAD,
    SECOND,
    Actor,
    Channel,
    Claim,
    ContactPoint,
    Gathered,
    Head,
    Instant,
    PersonId,
    Prepared,
    PurposeKind,
    Refusal,
    Role,
    UseRequest,
    address_of,
    zulu,
)

__all__ = [
    "ALIASES",
    "ASK_ONCE",
    "CLOCK_SLACK",
    "EXTERNAL",
    "INDEX",
    "SYSTEM",
    "Desk",
    "aliases",
    "append_together",
    "drop_pointer",
    "everybody",
    "keeper",
    "pointers",
    "public",
    "put_pointer",
]

SYSTEM = Actor(Role.SYSTEM, "troth")
ASK_ONCE = "ask_once"
EXTERNAL = "people.external"
TRIES = 500
"""How often a booking that others got ahead of is tried again, under a millisecond each."""
_BUSY = ("others keep writing to this record", "repeat in a moment", 1)
CLOCK_SLACK = 2 * SECOND
"""A clock that lags the record by more is believed in nothing: every use is refused."""
_TIMED = re.compile("t([0-9a-f]{7})")


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts every use case needs, chosen by `app` and passed down; keeps nothing itself.

    Attributes:
        workspace: 16-byte id of the workspace.
        journal: The restriction journal.
        policy: The staff policy.
        shipped: What `[access]` of `troth.toml` says where the house says nothing.
        grouping: Finds everybody's shapes for a preview of many; None where there are none.
    """

    workspace: bytes
    store: Store
    vault: Vault
    scribe: Scribe
    journal: RestrictionJournal
    policy: StaffPolicy
    randomness: Randomness
    _houses: dict[int, House] = field(default_factory=dict)
    grouping: Callable[[], Grouping | None] = lambda: None
    shipped: Mapping[str, Any] = field(default_factory=dict)

    def house(self, view: View) -> House:
        """Return the house as published at this view; read once per house version.

        Where the machine's clock lags the record by more than two seconds, it says so.
        """
        house = self._houses.get(view.house_version)
        if house is None:
            house = read_house(view.house_version, view.published_all(""), self.shipped)
            self._houses.clear()
            self._houses[view.house_version] = house
        return replace(house, clock_sure=False) if view.behind > CLOCK_SLACK else house

    def claim(self, request: UseRequest, house: House) -> Claim | Refusal:
        """Judge a claim once for a batch: house, then staff policy; no person is looked at."""
        return gate.judge_claim(request, house, self.policy.claim(request))

    def facts(  # noqa: PLR0913 - what the gate needs to know
        self,
        view: View,
        request: UseRequest,
        claim: Claim | Refusal,
        gathered: Gathered | None,
        own: bytes = b"",
        mandate: str = "",
        drawn: Collection[PersonId] = (),
    ) -> Facts:
        """Put together what `gate.decide` needs about one person of a batch.

        `own` marks the request for consent that is asked about itself: it is not a second one.
        `mandate` is as what the actor acts for the person, from links that stand in this view.
        `drawn` are the people a narrowing of the audience or campaign named has just found: a
        look under that name is at one of them, or at nobody.
        """
        house = self.house(view)
        purpose = house.purposes.get(request.purpose)
        asks = purpose is not None and purpose.kind is PurposeKind.CONSENT_REQUEST
        contact = gathered.contact if gathered else None
        asked = asks and contact is not None and view.row(ASK_ONCE, contact.sup) not in (None, own)
        facts = Facts(request.person, request.at, claim, house, gathered, asked, mandate)
        looks = looking.is_look(request) and isinstance(claim, Claim) and gathered is not None
        return self._of_a_look(view, request, facts, drawn) if looks else facts

    def _of_a_look(
        self, view: View, request: UseRequest, facts: Facts, drawn: Collection[PersonId]
    ) -> Facts:
        """Add what the gate needs to know of a look by staff: its reason, and what they saw."""
        person, reason = PersonId(request.person or b""), request.reason
        if cases.kind_of(reason) in cases.OF_STAFF:
            contained = cases.contains(view, reason, person)
        else:
            contained = person in drawn and cases.standing(view, reason) == "open"
        day, ids = looking.day_of(view.now), everybody(view, person)
        seen = [
            looking.seen_of(view, account, each, day)
            for account in accounts_of(self.account(request.actor))
            for each in ids
        ]
        return replace(facts, contained=contained, seen=frozenset().union(*seen))

    def account(self, actor: Actor) -> str:
        """Name an account of staff as the house chain and every table do."""
        return self.scribe.actor(actor, self.scribe.house)

    def person_key(self, external_id: str) -> bytes:
        """Return the MAC under which an outside id is kept."""
        secret = self.vault.keys.secret("bi")
        return crypto.mac(secret, lp(b"external", external_id.encode()))[:16]

    def find(self, view: View, external_id: str) -> PersonId | None:
        """Return who has this outside id, without opening anything."""
        raw = view.row(EXTERNAL, self.person_key(external_id))
        return PersonId(raw) if raw else None

    def keeper(self, view: View, person: PersonId) -> PersonId:
        """Return whom an id belongs to after merges: itself, or the id that stayed."""
        return keeper(view, person)

    def token_key(self, token: str) -> bytes:
        """Return the MAC a stop token is kept under; the token itself is nowhere in the record.

        The second a token begins with stays in front, so that tokens of one batch lie together.
        """
        made = crypto.mac(self.vault.keys.secret("token"), token.encode())
        timed = _TIMED.match(token)
        return bytes.fromhex(f"0{timed[1]}") + made[:12] if timed else made[:16]

    def seal_beside_token(self, token: str, text: str) -> str:
        """Seal a text for whoever holds a token; a token is drawn fresh and seals one text."""
        nonce = bytes(crypto.NONCE_BYTES)
        return self._beside_token(token).seal(nonce, text.encode(), b"").hex()

    def open_beside_token(self, token: str, sealed: str) -> str:
        """Open what was sealed for a token's holder.

        Raises:
            EvidenceBroken: It was sealed for another token, or altered.
        """
        nonce = bytes(crypto.NONCE_BYTES)
        return self._beside_token(token).open(nonce, bytes.fromhex(sealed), b"").decode()

    def _beside_token(self, token: str) -> crypto.Aead:
        told = lp(b"beside", token.encode())
        return crypto.Aead(crypto.mac(self.vault.keys.secret("token"), told))

    def contact(self, channel: Channel, normalised: str, normaliser: int) -> ContactPoint:
        """Return both MACs of an address."""
        keys, kept = self.vault.keys, address_of(channel)
        return ContactPoint(
            channel,
            search_mac(keys.secret("bi"), kept, normalised),
            search_mac(keys.secret("sup"), kept, normalised),
            normaliser,
        )

    def new_person(self) -> PersonId:
        """Draw a fresh id; its key must be made before anything is written under it."""
        return PersonId(self.randomness.take(16))

    def house_event(self, view: View, payload: Payload, actor: Actor) -> list[Prepared]:
        """Prepare one event of the house chain."""
        return self.scribe.prepare(
            self.scribe.house, self.head(view, self.scribe.house), [payload], actor, view.now
        )

    def head(self, view: View, person: PersonId) -> Head:
        """Return the tip of a chain."""
        found = view.gather([person], None)
        return found[0].head if found else NO_HEAD

    def record_house(self, payload: Payload, actor: Actor) -> None:
        """Book one event of the house chain now, retrying while others write to it.

        Raises:
            Unavailable: Others kept writing to it all along; nothing was booked.
        """
        for _ in range(TRIES):
            with self.store.look() as view:
                prepared = self.house_event(view, payload, actor)
            with self.store.book() as tx:
                if not tx.append(prepared):
                    return
        raise Unavailable(*_BUSY)

    def record(
        self, person: PersonId, payloads: Sequence[Payload], actor: Actor
    ) -> list[Prepared]:
        """Book events of one person's chain now, retrying while others write to it.

        Raises:
            Shredded: The person was erased.
            Unavailable: Others kept writing to it all along; nothing was booked.
        """
        for _ in range(TRIES):
            with self.store.look() as view:
                head = self.head(view, person)
                prepared = self.scribe.prepare(person, head, payloads, actor, view.now)
            with self.store.book() as tx:
                if not tx.append(prepared):
                    return prepared
        raise Unavailable(*_BUSY)


def accounts_of(account: str) -> list[str]:
    """Name, beside an account of staff, those the same human may have in other roles.

    >>> accounts_of("it/0123456789abcdef")[:2]
    ['agency/0123456789abcdef', 'it/0123456789abcdef']
    """
    who = account.partition("/")[2]
    return [f"{role}/{who}" for role in sorted(looking.STAFF)]


def append_together(tx: Transaction, prepared: Sequence[Prepared]) -> bool:
    """Book events of several chains, or none of them; False: a head moved, look again."""
    for each in prepared:
        found = tx.gather([each.person], None)
        if not found or (found[0].head.n, found[0].head.c) != (each.n - 1, each.prev):
            return False
    return not tx.append(prepared)


def public(statement: dict[str, str | int], at: Instant) -> bytes:
    """Write a public leaf with its time."""
    return public_entry({"at": zulu(at), **statement})
