"""Write events ready to be booked, and read a person's chain back."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from troth import crypto
from troth.errors import EvidenceBroken
from troth.kernel import events, proof
from troth.kernel.vault import Vault, lp
from troth.ports import Randomness, View
from troth.terms import SECOND, Actor, Body, Head, Instant, PersonId, Prepared

ACTOR_BYTES = 8
FRESH_BYTES = proof.SALT_BYTES + crypto.NONCE_BYTES


@lru_cache(maxsize=256)
def _named(actor: str) -> bytes:
    return lp(actor.encode())


@dataclass(frozen=True, slots=True)
class Recorded:
    """One event of a chain as read back: the event, its salt, bytes and leaf index."""

    event: events.Event
    salt: bytes
    raw: bytes
    c: bytes
    seq: int


class Scribe:
    """Builds, commits to and seals events without a lock; about 25 µs an event."""

    def __init__(self, vault: Vault, randomness: Randomness, house: PersonId) -> None:
        """Write for one workspace.

        Args:
            vault: Seals the bodies.
            randomness: Where salts come from.
            house: The reserved subject whose chain holds what concerns nobody or everybody.
        """
        self.house = house
        self._vault = vault
        self._random = randomness
        self._staff = vault.keys.secret("staff")

    def actor(self, actor: Actor, person: PersonId) -> str:
        """Name an actor in one person's chain: role and keyed digest, other for each person."""
        named = len(person).to_bytes(4, "big") + person + _named(actor.id)
        digest = crypto.mac(self._staff, named)[:ACTOR_BYTES]
        return f"{actor.role}/{digest.hex()}"

    def member(self, person: PersonId) -> bytes:
        """Return the keyed digest by which a set's root knows this person."""
        return crypto.mac(self._staff, lp(b"member", person))

    def prepare(  # noqa: PLR0913 - events and their place
        self,
        person: PersonId,
        head: Head,
        payloads: Sequence[events.Payload],
        actor: Actor,
        at: Instant,
        fresh: bytes = b"",
    ) -> list[Prepared]:
        """Build the next events of one chain, in order.

        Args:
            person: Whose chain; its key must exist.
            head: The chain's tip in the same look the decision was made from.
            payloads: What happened, oldest first.
            actor: Who did it.
            at: `view.now`.
            fresh: `FRESH_BYTES` of randomness an event, drawn for these events alone; without
                it they are drawn here.

        Raises:
            Shredded: The person was erased: nothing can be written under this id any more.
        """
        out = []
        second = Instant(at // SECOND * SECOND)  # projections see the time a refold will read
        n, prev = head.n, head.c
        name = self.actor(actor, person)
        fresh = fresh or self._random.take(FRESH_BYTES * len(payloads))  # one system call
        for place, payload in enumerate(payloads):
            n += 1
            raw = events.encode(payload, person=person, n=n, prev=prev, at=at, actor=name)
            start = place * FRESH_BYTES
            salt = fresh[start : start + proof.SALT_BYTES]
            nonce = fresh[start + proof.SALT_BYTES : start + FRESH_BYTES]
            c = proof.commitment(salt, raw)
            body = self._vault.seal_event(person, n, salt + raw, at, nonce)
            out.append(Prepared(person, n, prev, c, body, second, payload))
            prev = c
        return out

    def read(self, body: Body, at: Instant) -> Recorded:
        """Open and decode one sealed event.

        Raises:
            Shredded: The person was erased.
            EvidenceBroken: Altered, moved, or not the event its place says.
        """
        plain = self._vault.open_event(body.person, body.n, body.rec, at)
        salt, raw = plain[: proof.SALT_BYTES], plain[proof.SALT_BYTES :]
        event = events.decode(raw)
        if (event.person, event.n) != (body.person, body.n):
            raise EvidenceBroken(f"entry {body.seq} says it is another event than its place")
        return Recorded(event, salt, raw, proof.commitment(salt, raw), body.seq)

    def chain(self, view: View, person: PersonId) -> list[Recorded]:
        """Read a person's whole chain and check that it is unbroken up to its head.

        Raises:
            Shredded: The person was erased.
            NotFound: No key was ever made for this id.
            EvidenceBroken: A number is missing, the newest event is not the head, or an event
                does not name the one before it.
        """
        return self._walked(view, person, self._whole)

    def told(self, view: View, person: PersonId, types: Container[str]) -> list[Recorded]:
        """Read of a person's chain the events of some types, the whole of it checked.

        Every event is opened and its commitment computed, as for `chain`, and raises alike; one of
        another type is read no further than to its place.
        """

        def some(body: Body, at: Instant) -> _Linked:
            plain = self._vault.open_event(body.person, body.n, body.rec, at)
            salt, raw = plain[: proof.SALT_BYTES], plain[proof.SALT_BYTES :]
            place, c = events.link(raw), proof.commitment(salt, raw)
            if (place.psid, place.n) != (body.person.hex(), body.n):
                raise EvidenceBroken(f"entry {body.seq} says it is another event than its place")
            wanted = place.type in types
            recorded = Recorded(events.decode(raw), salt, raw, c, body.seq) if wanted else None
            return _Linked(place.prev, c, recorded)

        return self._walked(view, person, some)

    def _whole(self, body: Body, at: Instant) -> "_Linked":
        recorded = self.read(body, at)
        return _Linked(recorded.event.prev, recorded.c, recorded)

    def _walked(
        self, view: View, person: PersonId, read: Callable[[Body, Instant], "_Linked"]
    ) -> list[Recorded]:
        bodies = view.bodies(person)
        self._vault.keys.key(person, view.now)
        found = view.gather([person], None)
        out, prev = [], b""
        for n, body in enumerate(bodies, 1):
            linked = read(body, view.now)
            if body.n != n or linked.prev != proof.b64(prev):
                raise EvidenceBroken(f"the chain breaks before entry {body.seq}")
            if linked.recorded is not None:
                out.append(linked.recorded)
            prev = linked.c
        if found and found[0].head != Head(len(bodies), prev):
            raise EvidenceBroken(f"a chain ends before its head at {found[0].head.n}")
        return out


class _Linked(NamedTuple):
    """An event as a link of its chain; `recorded` where it was read whole."""

    prev: str
    c: bytes
    recorded: Recorded | None
