"""What a use case is handed: record, vault, scribe, the gate's house. One per workspace."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from troth import crypto
from troth.kernel import gate
from troth.kernel.events import Payload, public_entry
from troth.kernel.facts import Facts, House
from troth.kernel.house import read_house
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

SYSTEM = Actor(Role.SYSTEM, "troth")
ASK_ONCE = "ask_once"
EXTERNAL = "people.external"
ALIASES = "people.alias"
"""Key is the id that stays and the id merged into it; gone with an un-merge or an erasure."""
CLOCK_SLACK = 2 * SECOND
"""A clock that lags the record by more is believed in nothing: every use is refused."""
_TIMED = re.compile("t([0-9a-f]{7})")
INDEX = "people.index"
"""Which rows of own tables lead to a person; key: psid, length and name of the table, row key."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts every use case needs, chosen by `app` and passed down; keeps nothing itself.

    Attributes:
        workspace: 16-byte id of the workspace.
        journal: The restriction journal.
        policy: The staff policy.
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

    def house(self, view: View) -> House:
        """Return the house as published at this view; read once per house version.

        Where the machine's clock lags the record by more than two seconds, it says so.
        """
        house = self._houses.get(view.house_version)
        if house is None:
            house = read_house(view.house_version, view.published_all(""))
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
    ) -> Facts:
        """Put together what `gate.decide` needs about one person of a batch.

        `own` marks the request for consent that is asked about itself: it is not a second one.
        `mandate` is as what the actor acts for the person, from links that stand in this view.
        """
        house = self.house(view)
        purpose = house.purposes.get(request.purpose)
        asks = purpose is not None and purpose.kind is PurposeKind.CONSENT_REQUEST
        contact = gathered.contact if gathered else None
        asked = asks and contact is not None and view.row(ASK_ONCE, contact.sup) not in (None, own)
        return Facts(request.person, request.at, claim, house, gathered, asked, mandate)

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
        """Book one event of the house chain now, retrying while others write to it."""
        while True:
            with self.store.look() as view:
                prepared = self.house_event(view, payload, actor)
            with self.store.book() as tx:
                if not tx.append(prepared):
                    return

    def record(
        self, person: PersonId, payloads: Sequence[Payload], actor: Actor
    ) -> list[Prepared]:
        """Book events of one person's chain now, retrying while others write to it.

        Raises:
            Shredded: The person was erased.
        """
        while True:
            with self.store.look() as view:
                head = self.head(view, person)
                prepared = self.scribe.prepare(person, head, payloads, actor, view.now)
            with self.store.book() as tx:
                if not tx.append(prepared):
                    return prepared


def keeper(view: View, person: PersonId) -> PersonId:
    """Return whom an id belongs to after merges; one unknown belongs to itself."""
    while found := view.gather([person], None):
        if not found[0].record.alias:
            break
        person = PersonId(bytes.fromhex(found[0].record.alias))
    return person


def aliases(view: View, person: PersonId) -> list[PersonId]:
    """Return every id merged into this one, at any remove."""
    out = []
    for key, _ in view.rows(ALIASES, person, b"", 10_000):
        alias = PersonId(key[len(person) :])
        out += [alias, *aliases(view, alias)]
    return out


def everybody(view: View, person: PersonId) -> list[PersonId]:
    """Return every id of the human being an id belongs to: the one that stays first."""
    kept = keeper(view, person)
    return [kept, *aliases(view, kept)]


def append_together(tx: Transaction, prepared: Sequence[Prepared]) -> bool:
    """Book events of several chains, or none of them; False: a head moved, look again."""
    for each in prepared:
        found = tx.gather([each.person], None)
        if not found or (found[0].head.n, found[0].head.c) != (each.n - 1, each.prev):
            return False
    return not tx.append(prepared)


def put_pointer(  # noqa: PLR0913 - a row and what goes with it
    tx: Transaction,
    person: PersonId,
    table: str,
    key: bytes,
    value: bytes,
    beside: Sequence[tuple[str, bytes, bytes]] = (),
) -> None:
    """Write a row that leads to a person, and note that it does, for the person's erasure.

    Rows `(table, key, value)` written `beside` it are noted with it, and go with it.
    """
    tx.put_row(table, key, value)
    for other, place, held in beside:
        tx.put_row(other, place, held)
    noted = b"".join([_noted(other, place) for other, place, _ in beside])
    tx.put_row(INDEX, _index_key(person, table, key), noted)


def _index_key(person: PersonId, table: str, key: bytes) -> bytes:
    name = table.encode()
    return person + len(name).to_bytes(1, "big") + name + key


def _noted(table: str, key: bytes) -> bytes:
    name = table.encode()
    return bytes((len(name),)) + name + bytes((len(key),)) + key


def _beside(noted: bytes) -> Iterator[tuple[str, bytes]]:
    while noted:
        cut = 1 + noted[0]
        end = cut + 1 + noted[cut]
        yield noted[1:cut].decode(), noted[cut + 1 : end]
        noted = noted[end:]


def pointers(view: View, person: PersonId) -> Iterator[tuple[str, bytes]]:
    """Yield table and key of every row noted as leading to a person; costs what they have."""
    after = b""
    while page := view.rows(INDEX, person, after, 500):
        for key, noted in page:
            cut = len(person) + 1 + key[len(person)]
            yield key[len(person) + 1 : cut].decode(), key[cut:]
            yield from _beside(noted)
        after = page[-1][0]


def drop_pointer(tx: Transaction, person: PersonId, table: str, key: bytes) -> None:
    """Delete a row that leads to a person, and the note of it."""
    tx.put_row(table, key, None)
    tx.put_row(INDEX, _index_key(person, table, key), None)


def public(statement: dict[str, str | int], at: Instant) -> bytes:
    """Write a public leaf with its time."""
    return public_entry({"at": zulu(at), **statement})
