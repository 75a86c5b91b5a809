"""A finished message without what its frame says for everybody: a third of the bytes, or less.

    frame.skeleton.key, frame.skeleton.data     # constant bytes, kept once under their hash
    packed = pack(draft, raw, frame)            # what is one person's: headers, signatures, values
    unpack(packed, skeletons)                   # the very bytes of `raw` again

`skeletons` finds a skeleton by its key; `Skeleton.read` refuses data that is not of that key, so
that a message comes back as it was signed or not at all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from troth.crypto import sha256
from troth.errors import EvidenceBroken

_encode = msgspec.msgpack.Encoder().encode
_packed = msgspec.msgpack.Decoder(tuple[bytes, bytes, tuple[bytes, ...]])
_constant = msgspec.msgpack.Decoder(tuple[bytes, tuple[bytes, ...], tuple[int, ...]])


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The constant bytes of a frame's body, and where each value stands between them."""

    key: bytes
    data: bytes
    head: bytes
    rest: tuple[bytes, ...]
    places: tuple[int, ...]

    @classmethod
    def of(cls, head: bytes, rest: tuple[bytes, ...], places: tuple[int, ...]) -> "Skeleton":
        """Name a frame's constant bytes by their hash."""
        data = _encode((head, rest, places))
        return cls(sha256(data), data, head, rest, places)

    @classmethod
    def read(cls, key: bytes, data: bytes) -> "Skeleton":
        """Read a skeleton back.

        Raises:
            EvidenceBroken: These are not the bytes of that key.
        """
        if sha256(data) != key:
            raise EvidenceBroken("a message's constant part is not what it was signed with")
        return cls(key, data, *_constant.decode(data))

    def body(self, values: tuple[bytes, ...]) -> bytes:
        """Return the body with each value, already encoded, in its place."""
        pieces = [self.head, *self.rest]
        for place, value in zip(self.places, values, strict=True):
            pieces[place + 1] = value
        return b"".join(pieces)


def pack(raw: bytes, body: bytes, values: tuple[bytes, ...], skeleton: Skeleton) -> bytes:
    """Leave out of a signed message what its skeleton holds."""
    return _encode((skeleton.key, raw[: len(raw) - len(body)], values))


def unpack(packed: bytes, skeletons: Callable[[bytes], Skeleton]) -> bytes:
    """Return the message as it was signed.

    Raises:
        EvidenceBroken: The packed bytes are not whole, or the skeleton is not theirs.
    """
    try:
        key, head, values = _packed.decode(packed)
        return head + skeletons(key).body(values)
    except (msgspec.DecodeError, ValueError, IndexError):
        raise EvidenceBroken("a booked message is not whole") from None
