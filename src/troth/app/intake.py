"""What somebody asked who is not in: kept sealed until they come in by their own address.

Nobody is looked up and nothing is opened: a row under the keyed code of the address, its words
sealed, the same for an address known or unknown. Whoever proves the address by coming in, and
alone holds it, is shown it, and says whether it was they: anybody can type an address. Then it
counts from the day it was asked (`request_acts.adopt`). Unproven ones go after some days.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from troth import crypto
from troth.app.workspace import Workspace
from troth.capabilities import rights
from troth.capabilities.people import entry
from troth.capabilities.rights import clocks
from troth.engines import contact as addresses
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel.desk import everybody
from troth.kernel.vault import lp
from troth.ports import Transaction, View
from troth.terms import DAY, SECOND, Channel, Instant, PersonId

INTAKE: Final = rights.INTAKE
RATES: Final = "rights.intake.rate"
"""End of a span of time and the MAC of what is counted in it → how often."""
_HOUR = 3600 * SECOND
_MAC = 16
NAME_MAX, TEXT_MAX = 200, 4_000


@dataclass(frozen=True, slots=True)
class Brought:
    """What a form for anybody brings in."""

    right: str
    address: str = field(repr=False)
    text: str = field(default="", repr=False)
    name: str = field(default="", repr=False)


def take(opened: Workspace, brought: Brought, network: str = "") -> None:
    """Keep what was asked until its address is proven.

    Counted and kept in one transaction, alike for an address known or unknown. What one network
    asks under an address leaves room for what its holder asks from another.

    Args:
        opened: The workspace.
        brought: What was asked.
        network: Where from, as text; kept only as a MAC that means nothing a day later.

    Raises:
        InvalidInput: No such right, no address, or too long; nothing was kept.
        Unavailable: Too much is asked now: under this address, from this network, or by all.
    """
    too_long = len(brought.text) > TEXT_MAX or len(brought.name) > NAME_MAX
    if brought.right not in clocks.rights() or too_long:
        raise InvalidInput("the request does not read", "choose what it is about, and be brief")
    desk = opened.desk
    normalised = addresses.normalise(Channel.EMAIL, brought.address)
    point = desk.contact(Channel.EMAIL, normalised, addresses.NORMALISER)
    plain = msgspec.json.encode([brought.right, brought.text, brought.name])
    nonce, end = desk.randomness.take(crypto.NONCE_BYTES), desk.randomness.take(8)
    limits, where = clocks.settings()["limits"], network.encode()
    with opened.store.book() as tx:
        kept = tx.rows(INTAKE, point.bi, b"", limits["waiting_per_address"])
        if len(kept) >= limits["waiting_per_address"]:
            raise _too_much()
        _count(opened, tx, _HOUR, b"", limits["intake_per_hour"])
        _count(opened, tx, _HOUR, lp(where), limits["intake_per_network"])
        _count(opened, tx, DAY, lp(where, point.bi), limits["intake_per_address"])
        place = point.bi + tx.now.to_bytes(8, "big") + end
        sealed = nonce + crypto.Aead(_key(opened, place)).seal(nonce, plain, place)
        tx.put_row(INTAKE, place, sealed)


def _too_much() -> Unavailable:
    return Unavailable("too much is asked at this moment", "ask again in an hour", 3600)


def _count(opened: Workspace, tx: Transaction, span: int, what: bytes, most: int) -> None:
    """Count one more in this span of time.

    Raises:
        Unavailable: It is one too many; with it the whole transaction is undone.
    """
    end = (tx.now // span + 1) * span
    told = lp(b"intake", end.to_bytes(8, "big"), what)
    secret = opened.desk.vault.keys.secret("token")
    key = end.to_bytes(8, "big") + crypto.mac(secret, told)[:_MAC]
    held = int.from_bytes(tx.row(RATES, key) or b"", "big")
    if held >= most:
        raise _too_much()
    tx.put_row(RATES, key, (held + 1).to_bytes(4, "big"))


@dataclass(frozen=True, slots=True)
class Found:
    """What was asked under one's address, by oneself or by somebody who typed it.

    Attributes:
        place: Names it in a form.
    """

    place: str
    right: str
    text: str = field(repr=False)
    asked: Instant


def under(opened: Workspace, person: PersonId) -> list[Found]:
    """Return what was asked under a person's addresses, now that they are in; oldest first."""
    found = []
    for place, sealed in _of(opened, person):
        right, text, _ = msgspec.json.decode(_opened(opened, place, sealed))
        found.append(Found(place.hex(), right, text, Instant(_time(place))))
    return sorted(found, key=lambda each: each.asked)


def _of(opened: Workspace, person: PersonId) -> list[tuple[bytes, bytes]]:
    """Return what waits under the addresses this person alone holds: no proof names one of two."""
    with opened.store.look() as view:
        people = everybody(view, person)
        gathered = view.gather(people, Channel.EMAIL)
        points = dict.fromkeys(each.contact.bi for each in gathered if each.contact)
        alone = [
            bi
            for bi in points
            if entry.holders(opened.desk, view, Channel.EMAIL, bi) == people[:1]
        ]
        return [row for bi in alone for row in view.rows(INTAKE, bi, b"", 100)]


def named(opened: Workspace, person: PersonId, place: str) -> Found:
    """Return what a form names among what waits under a person's addresses.

    Raises:
        NotFound: Nothing of the kind waits there.
    """
    found = next((each for each in under(opened, person) if each.place == place), None)
    if found is None:
        raise NotFound("nothing of the kind waits here", "look at your requests again")
    return found


def disown(opened: Workspace, person: PersonId, place: str) -> None:
    """Drop what somebody else asked under a person's address.

    Raises:
        NotFound: Nothing of the kind waits under their address.
    """
    drop(opened, named(opened, person, place))


def drop(opened: Workspace, found: Found) -> None:
    """Drop what was adopted or disowned."""
    _drop(opened, INTAKE, [bytes.fromhex(found.place)])


def _drop(opened: Workspace, table: str, keys: Sequence[bytes]) -> None:
    if keys:
        with opened.store.book() as tx:
            for key in keys:
                tx.put_row(table, key, None)


def forget_old(opened: Workspace) -> int:
    """Drop what nobody proved in time; return how many."""
    kept = clocks.settings()["keep"]["intake_days"] * DAY
    with opened.store.look() as view:
        now = view.now
        old = [key for key, _ in _rows(view) if _time(key) + kept <= now]
        over = [key for key, _ in view.rows(RATES, b"", b"", 10_000) if _over(key, now)]
    _drop(opened, INTAKE, old)
    _drop(opened, RATES, over)
    return len(old)


def _over(key: bytes, now: int) -> bool:
    return int.from_bytes(key[:8], "big") <= now


def waiting(opened: Workspace) -> int:
    """Count what waits for the proof of an address."""
    with opened.store.look() as view:
        return len(_rows(view))


def _rows(view: View) -> list[tuple[bytes, bytes]]:
    return view.rows(INTAKE, b"", b"", 10_000)


def _time(place: bytes) -> int:
    return int.from_bytes(place[-16:-8], "big")


def _key(opened: Workspace, place: bytes) -> bytes:
    return crypto.hkdf(opened.desk.vault.keys.secret("token"), b"troth intake " + place)


def _opened(opened: Workspace, place: bytes, sealed: bytes) -> bytes:
    nonce, rest = sealed[: crypto.NONCE_BYTES], sealed[crypto.NONCE_BYTES :]
    return crypto.Aead(_key(opened, place)).open(nonce, rest, place)
