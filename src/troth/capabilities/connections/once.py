"""A write that is repeated gets its first answer; one key with another body is a conflict."""

from dataclasses import dataclass

import msgspec

from troth import crypto
from troth.errors import Conflict, InvalidInput
from troth.kernel.desk import Desk
from troth.kernel.vault import lp
from troth.terms import DAY, Instant

TABLE = "connections.once"
LIFE = 7 * DAY
KEY_MAX = 200


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a write answered: digest of its body, the answer, until when it is kept."""

    digest: bytes
    answer: bytes
    until: Instant


def place(who: str, key: str) -> bytes:
    """Return where the answer to a caller's key is kept: a digest, nothing in clear.

    Raises:
        InvalidInput: There is no key, or it is too long.
    """
    if not key or len(key) > KEY_MAX or not key.isascii():
        raise InvalidInput(
            "the write needs an Idempotency-Key", f"send 1 to {KEY_MAX} ASCII signs, new per write"
        )
    return crypto.sha256(lp(who.encode(), key.encode()))[:16]


def remembered(desk: Desk, who: str, key: str, body: bytes) -> bytes | None:
    """Return the answer given before to this very write, None for a new one.

    Raises:
        InvalidInput: There is no key, or it is too long.
        Conflict: The key came with another body before; nothing was done.
    """
    with desk.store.look() as view:
        raw, now = view.row(TABLE, place(who, key)), view.now
    held = msgspec.msgpack.decode(raw, type=Remembered) if raw else None
    if held is None or now >= held.until:
        return None
    if held.digest != crypto.sha256(body):
        raise Conflict("this Idempotency-Key was used for something else", "use a new one")
    return held.answer


def remember(desk: Desk, who: str, key: str, body: bytes, answer: bytes) -> None:
    """Keep an answer for seven days, and let go of what is older."""
    with desk.store.book() as tx:
        made = Remembered(crypto.sha256(body), answer, Instant(tx.now + LIFE))
        tx.put_row(TABLE, place(who, key), msgspec.msgpack.encode(made))
        for old, raw in tx.rows(TABLE, b"", b"", 100):
            if msgspec.msgpack.decode(raw, type=Remembered).until <= tx.now:
                tx.put_row(TABLE, old, None)
