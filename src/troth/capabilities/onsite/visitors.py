"""Visitors: a browser that said yes, known by a random token kept only as its MAC.

A browser that said nothing is nobody: nothing is kept of it, not even that it was here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from troth import crypto
from troth.capabilities.onsite.model import Rules, is_nonce
from troth.errors import Conflict, InvalidInput
from troth.kernel import events
from troth.kernel.desk import SYSTEM, Desk, drop_pointer, put_pointer
from troth.kernel.house import notices_by_purpose
from troth.kernel.vault import lp
from troth.ports import View
from troth.terms import DAY, NO_HEAD, SECOND, Actor, Instant, PersonId, Role

DEVICES = "onsite.device"
ONCE = "onsite.once"
ONCE_DUE = "onsite.once.due"
_PRUNED = 20
_TIMED = 8
_NO_RIGHT = InvalidInput(
    "this answer may not be written", "ask for a new token on the page itself"
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A known browser.

    Attributes:
        person: The id its own chain has.
        keeper: Whose data it shows: the same id, or the customer it was recognised as.
    """

    person: PersonId
    keeper: PersonId

    @property
    def recognised(self) -> bool:
        """Whether this browser is linked to a customer."""
        return self.person != self.keeper


def device_key(desk: Desk, token: str) -> bytes:
    """Return the MAC a browser's token is kept under."""
    return desk.token_key(f"device:{token}")


def find(desk: Desk, view: View, token: str) -> Visitor | None:
    """Return whose browser carries this token; None for anything unknown, ended or malformed."""
    if not is_nonce(token):
        return None
    raw = view.row(DEVICES, device_key(desk, token))
    if raw is None:
        return None
    psid, until = msgspec.json.decode(raw)
    if until <= view.now:
        return None
    person = PersonId(bytes.fromhex(psid))
    return Visitor(person, desk.keeper(view, person))


def begin(desk: Desk, notice: str, language: str) -> PersonId:
    """Make a visitor: an id, its key, a chain that begins with the notice shown.

    Nothing leads to it until `keep_device`; what a crash leaves in between goes with retention.
    """
    person = desk.new_person()
    desk.vault.keys.make([(person, "", 1)])
    with desk.store.look() as view:
        said: list[events.Payload] = [
            events.PersonCreated("natural", "site"),
            events.NoticeServed(notice, "banner", language),
        ]
        prepared = desk.scribe.prepare(person, NO_HEAD, said, SYSTEM, view.now)
    with desk.store.book() as tx:
        tx.append(prepared)
    return person


def keep_device(desk: Desk, person: PersonId, token: str, rules: Rules) -> None:
    """Let a browser's token lead to a visitor, for as long as the cookie may live."""
    with desk.store.book() as tx:
        until = tx.now + rules.limits["device_days"] * DAY
        row = msgspec.json.encode([person.hex(), until])
        put_pointer(tx, person, DEVICES, device_key(desk, token), row)


def drop_device(desk: Desk, person: PersonId, token: str) -> None:
    """Let a browser's token lead nowhere; there being none is fine."""
    with desk.store.book() as tx:
        drop_pointer(tx, person, DEVICES, device_key(desk, token))


def as_person(person: PersonId) -> Actor:
    """Return the visitor as who acts."""
    return Actor(Role.PERSON, person.hex())


# The right to write one answer


@dataclass(frozen=True, slots=True)
class Right:
    """What a right to write is bound to; a change of any of them makes it worthless.

    Attributes:
        origin: The site the page is of.
        session: The script's own nonce for this page view.
        device: The browser's cookie, "" without one.
        notice: `name@version` shown.
    """

    origin: str
    session: str
    device: str
    notice: str


def grant(desk: Desk, right: Right, now: Instant) -> str:
    """Return a token for one write; nothing is recorded by it."""
    nonce = desk.randomness.take(16).hex()
    issued = f"{now // SECOND:x}"
    return f"{nonce}.{issued}.{_seal(desk, right, nonce, issued)}"


def _seal(desk: Desk, right: Right, nonce: str, issued: str) -> str:
    bound = (right.origin, right.session, right.device, right.notice, nonce, issued)
    secret = desk.vault.keys.secret("token")
    return crypto.mac(secret, lp(b"site.consent", *(each.encode() for each in bound))).hex()


def require(desk: Desk, right: Right, token: str, rules: Rules, now: Instant) -> str:
    """Check a token and return its nonce, by which it counts once.

    Raises:
        InvalidInput: Forged, bound to something else, or too old: one answer for all of them.
    """
    nonce, _, rest = token.partition(".")
    issued, _, seal = rest.partition(".")
    if not token.isascii() or not is_nonce(nonce) or not _is_time(issued):
        raise _no_right()
    if not crypto.same(seal.encode(), _seal(desk, right, nonce, issued).encode()):
        raise _no_right()
    age = now // SECOND - int(issued, 16)
    if not -1 <= age <= rules.limits["token_s"]:
        raise _no_right()
    return nonce


def _is_time(text: str) -> bool:
    return 0 < len(text) <= _TIMED + 1 and all(sign in "0123456789abcdef" for sign in text)


def _no_right() -> InvalidInput:
    return InvalidInput(_NO_RIGHT.message, _NO_RIGHT.remedy)


def require_notice(view: View, purpose: str, notice: str) -> None:
    """Require that a notice is published and speaks of a purpose.

    Raises:
        InvalidInput: It is not, or does not.
    """
    if notice not in notices_by_purpose(view.published_all("notice:")).get(purpose, ()):
        raise InvalidInput(
            "the notice is not published for this purpose", "name it as NAME@VERSION"
        )


# A repeated write gets its first answer


def first_answer(desk: Desk, view: View, key: str, digest: bytes) -> Mapping[str, object] | None:
    """Return what a write under this key was answered before; None if it is new.

    Raises:
        InvalidInput: The key is no key.
        Conflict: The same key came with another write.
    """
    if not 8 <= len(key) <= 128 or not key.isascii() or not key.isprintable():  # noqa: PLR2004
        raise InvalidInput("a write needs an Idempotency-Key of 8 to 128 signs", "send the header")
    raw = view.row(ONCE, _once_key(desk, "key", key))
    if raw is None:
        return None
    held, until, answer = msgspec.json.decode(raw)
    if until <= view.now:
        return None
    if held != digest.hex():
        raise Conflict("this Idempotency-Key was used for another write", "draw a new key")
    return dict(answer)


def claim(desk: Desk, key: str, nonce: str, digest: bytes, rules: Rules) -> None:
    """Take a token's one write for a key, before it is done.

    A write that failed after it may be repeated under the same key.

    Raises:
        Conflict: The token was used already, under another key or for another write.
    """
    mark = digest.hex() + _once_key(desk, "key", key).hex()
    place = _once_key(desk, "nonce", nonce)
    with desk.store.book() as tx:
        held = tx.row(ONCE, place)
        if held is not None and held != mark.encode():
            raise Conflict("this token was used already", "ask for a new token")
        tx.put_row(ONCE, place, mark.encode())
        due = Instant(tx.now + rules.limits["once_days"] * DAY)
        tx.put_row(ONCE_DUE, due.to_bytes(8, "big") + place, b"")
        for old, _ in tx.rows(ONCE_DUE, b"", b"", _PRUNED):
            if int.from_bytes(old[:8], "big") <= tx.now:
                tx.put_row(ONCE, old[8:], None)
                tx.put_row(ONCE_DUE, old, None)


def keep_answer(
    desk: Desk, key: str, digest: bytes, answer: Mapping[str, object], rules: Rules
) -> None:
    """Keep what a write was answered, by the hash of its key; the answer names nobody."""
    place = _once_key(desk, "key", key)
    with desk.store.book() as tx:
        due = Instant(tx.now + rules.limits["once_days"] * DAY)
        tx.put_row(ONCE, place, msgspec.json.encode([digest.hex(), due, dict(answer)]))
        tx.put_row(ONCE_DUE, due.to_bytes(8, "big") + place, b"")


def _once_key(desk: Desk, kind: str, text: str) -> bytes:
    return desk.token_key(f"once:{kind}:{text}")


def drawn(desk: Desk, nonce: str, session: str) -> str:
    """Return the browser token a write makes: the same when the same write is repeated."""
    secret = desk.vault.keys.secret("token")
    return crypto.mac(secret, lp(b"site.device", nonce.encode(), session.encode()))[:16].hex()
