"""What somebody asked who is not in: kept sealed until they come in by their own address.

Nobody is looked up and nothing is opened: a row under the keyed code of the address, its words
sealed, the same for an address known or unknown. Whoever proves the address by coming in is shown
it, and says whether it was they: anybody can type an address. Then it counts from the day it was
asked. Unproven ones go after some days.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from troth import crypto
from troth.app import request_letters
from troth.app.workspace import Workspace
from troth.capabilities import rights
from troth.capabilities.rights import clocks
from troth.capabilities.rights.requests import Asked
from troth.capabilities.rights.requests_rules import Request
from troth.engines import contact as addresses
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel.desk import everybody
from troth.ports import View
from troth.terms import DAY, SECOND, Actor, Channel, Instant, PersonId

INTAKE = "rights.intake"
"""Search code of an address, time and a random end → the sealed request."""
_HOUR = 3600 * SECOND
NAME_MAX, TEXT_MAX = 200, 4_000


@dataclass(frozen=True, slots=True)
class Brought:
    """What a form for anybody brings in."""

    right: str
    address: str = field(repr=False)
    text: str = field(default="", repr=False)
    name: str = field(default="", repr=False)


def take(opened: Workspace, brought: Brought) -> None:
    """Keep what was asked until its address is proven.

    Raises:
        InvalidInput: No such right, no address, or too long; nothing was kept.
        Unavailable: Too much is asked now, by everybody together.
    """
    too_long = len(brought.text) > TEXT_MAX or len(brought.name) > NAME_MAX
    if brought.right not in clocks.rights() or too_long:
        raise InvalidInput("the request does not read", "choose what it is about, and be brief")
    desk = opened.desk
    normalised = addresses.normalise(Channel.EMAIL, brought.address)
    point = desk.contact(Channel.EMAIL, normalised, addresses.NORMALISER)
    limits = clocks.settings()["limits"]
    with opened.store.look() as view:
        now = view.now
        recent = [key for key, _ in _rows(view) if now - _time(key) < _HOUR]
        mine = view.rows(INTAKE, point.bi, b"", 100)
    if len(recent) >= limits["intake_per_hour"]:
        raise Unavailable("too much is asked at this moment", "ask again in an hour", 3600)
    if len(mine) >= limits["waiting_per_address"]:
        return  # the same answer as to everybody else
    place = point.bi + now.to_bytes(8, "big") + desk.randomness.take(8)
    plain = msgspec.json.encode([brought.right, brought.text, brought.name])
    nonce = desk.randomness.take(crypto.NONCE_BYTES)
    sealed = nonce + crypto.Aead(_key(opened, place)).seal(nonce, plain, place)
    with opened.store.book() as tx:
        tx.put_row(INTAKE, place, sealed)


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
    with opened.store.look() as view:
        gathered = view.gather(everybody(view, person), Channel.EMAIL)
        points = dict.fromkeys(each.contact.bi for each in gathered if each.contact)
        return [row for bi in points for row in view.rows(INTAKE, bi, b"", 100)]


def adopt(
    opened: Workspace, person: PersonId, place: str, actor: Actor, given_by: str = "self"
) -> Request:
    """Make a request of what was asked: its person says that it was they. Counts from then.

    Raises:
        NotFound: Nothing of the kind waits under their address.
        Unavailable: They asked too often today; it waits.
    """
    found = _named(opened, person, place)
    asked = Asked(found.right, "form", (), found.text, found.asked, key=place, given_by=given_by)
    made = rights.open_request(opened.desk, person, asked, actor)
    _drop(opened, [bytes.fromhex(found.place)])
    request_letters.write(opened, person, made, "opened")
    return made


def disown(opened: Workspace, person: PersonId, place: str) -> None:
    """Drop what somebody else asked under a person's address.

    Raises:
        NotFound: Nothing of the kind waits under their address.
    """
    _drop(opened, [bytes.fromhex(_named(opened, person, place).place)])


def _named(opened: Workspace, person: PersonId, place: str) -> Found:
    found = next((each for each in under(opened, person) if each.place == place), None)
    if found is None:
        raise NotFound("nothing of the kind waits here", "look at your requests again")
    return found


def _drop(opened: Workspace, places: Sequence[bytes]) -> None:
    if places:
        with opened.store.book() as tx:
            for place in places:
                tx.put_row(INTAKE, place, None)


def drop(opened: Workspace, person: PersonId) -> None:
    """Drop what waits under a person's addresses: they leave."""
    _drop(opened, [place for place, _ in _of(opened, person)])


def forget_old(opened: Workspace) -> int:
    """Drop what nobody proved in time; return how many."""
    kept = clocks.settings()["keep"]["intake_days"] * DAY
    with opened.store.look() as view:
        old = [key for key, _ in _rows(view) if _time(key) + kept <= view.now]
    _drop(opened, old)
    return len(old)


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
