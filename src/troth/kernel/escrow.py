"""A key in several hands: k of n shares give it back, fewer say nothing of it.

Shamir's scheme (1979), byte by byte over GF(256) with the polynomial of AES (0x11b); share x holds
f(x), the key is f(0). Each share carries what a person needs to tell it apart and a checksum of
its own; the key's check value tells whether what came out is the key that went in.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

from troth import crypto
from troth.errors import EvidenceBroken, InvalidInput

HEADER = "troth-escrow-1"
MOST = 16
"""Shares at most; more hands are no more safety."""
_CHECK_BYTES, _SET_BYTES = 4, 4
_FORM = re.compile(
    HEADER + r"\nworkspace ([0-9a-f]{32})\nepoch ([1-9][0-9]{0,9})"
    r"\nshare ([1-9][0-9]?) of ([1-9][0-9]?), need ([1-9][0-9]?)"
    r"\nset ([0-9a-f]{8})\nkey ([0-9a-f]{16})\ndata ([A-Z2-7 ]+)\ncheck ([0-9a-f]{8})\n*\Z"
)


def _products() -> tuple[list[int], list[int]]:
    """Return powers and logarithms of the generator 3 of GF(256)."""
    powers, logs, x = [0] * 255, [0] * 256, 1
    for n in range(255):
        powers[n], logs[x] = x, n
        doubled = x << 1 ^ (0x11B if x & 0x80 else 0)
        x ^= doubled
    return powers, logs


_POWERS, _LOGS = _products()


def times(a: int, b: int) -> int:
    """Multiply in GF(256)."""
    return _POWERS[(_LOGS[a] + _LOGS[b]) % 255] if a and b else 0


def _over(a: int, b: int) -> int:
    return _POWERS[(_LOGS[a] - _LOGS[b]) % 255] if a else 0


@dataclass(frozen=True, slots=True)
class Share:
    """One share of the key of one epoch.

    Attributes:
        workspace: Id of the workspace, 16 bytes.
        x: Which share, from 1.
        need: How many give the key back.
        set: Tells shares of one splitting from those of another, 4 bytes.
        key_check: Check value of the key, 8 bytes: says nothing of it.
    """

    workspace: bytes
    epoch: int
    x: int
    shares: int
    need: int
    set: bytes
    key_check: bytes
    data: bytes

    @property
    def _body(self) -> str:
        text = base64.b32encode(self.data).decode().rstrip("=")
        groups = " ".join(text[i : i + 4] for i in range(0, len(text), 4))
        return (
            f"{HEADER}\nworkspace {self.workspace.hex()}\nepoch {self.epoch}\n"
            f"share {self.x} of {self.shares}, need {self.need}\nset {self.set.hex()}\n"
            f"key {self.key_check.hex()}\ndata {groups}\n"
        )

    @property
    def text(self) -> str:
        """The share as it is written down: one page, typed in again where it must be."""
        body = self._body
        return f"{body}check {crypto.sha256(body.encode())[:_CHECK_BYTES].hex()}\n"


def check_of(key: bytes) -> bytes:
    """Return the check value of a key, 8 bytes."""
    return crypto.hkdf(key, b"troth escrow check", 8)


def split(  # noqa: PLR0913 - what, for whom, into how many, and randomness
    workspace: bytes, epoch: int, key: bytes, shares: int, need: int, randomness: bytes
) -> list[Share]:
    """Split a key into shares.

    Args:
        workspace: Id of the workspace.
        epoch: Epoch of the key.
        key: The key.
        shares: How many; 2 to `MOST`.
        need: How many give it back; 2 to `shares`.
        randomness: Fresh bytes, as many as `drawn` says; used for this splitting alone.

    Raises:
        InvalidInput: The numbers or the randomness do not fit.
    """
    if not 2 <= need <= shares <= MOST:  # noqa: PLR2004 - one share would be the key itself
        raise InvalidInput(f"need 2 or more of at most {MOST} shares", "say --shares 3 --need 2")
    if len(randomness) != drawn(len(key), need):
        raise InvalidInput("the randomness for shares is of another length")
    mark, rest = randomness[:_SET_BYTES], randomness[_SET_BYTES:]
    rows = [key, *(rest[i : i + len(key)] for i in range(0, len(rest), len(key)))]
    made = check_of(key)
    return [
        Share(workspace, epoch, x, shares, need, mark, made, _at(rows, x))
        for x in range(1, shares + 1)
    ]


def drawn(length: int, need: int) -> int:
    """Return how many random bytes `split` takes."""
    return _SET_BYTES + length * (need - 1)


def _at(rows: Sequence[bytes], x: int) -> bytes:
    """Return the polynomials' values at x; `rows` are their coefficients, the key's first."""
    return bytes(
        reduce(lambda sum_, c: times(sum_, x) ^ c, reversed(column), 0)
        for column in zip(*rows, strict=True)
    )


def read(text: str) -> Share:
    """Read a share as it was written down; spaces at line ends and small letters are forgiven.

    Raises:
        InvalidInput: It is no share, or was mistyped; says which share it would be.
    """
    lines = [line.strip() for line in text.replace("\r", "").strip().split("\n")]
    lines = [f"data {ln[5:].upper()}" if ln.lower().startswith("data ") else ln for ln in lines]
    found = _FORM.match("\n".join(line for line in lines if line) + "\n")
    if not found:
        raise InvalidInput("this is no share of a key", f"it starts with the line {HEADER}")
    x, shares, need = int(found[3]), int(found[4]), int(found[5])
    packed = found[8].replace(" ", "")
    try:
        data = base64.b32decode(packed + "=" * (-len(packed) % 8))
    except ValueError:
        data = b""
    made = Share(
        bytes.fromhex(found[1]),
        int(found[2]),
        x,
        shares,
        need,
        bytes.fromhex(found[6]),
        bytes.fromhex(found[7]),
        data,
    )
    sum_ = crypto.sha256(made._body.encode())[:_CHECK_BYTES].hex()  # noqa: SLF001 - its own
    if sum_ != found[9] or not 1 <= x <= shares:
        raise InvalidInput(
            f"share {x} is mistyped: its check differs", "compare it letter by letter"
        )
    return made


def combine(shares: Sequence[Share]) -> bytes:
    """Give the key back.

    Raises:
        InvalidInput: Too few shares, one of another set or epoch, or the same twice.
        EvidenceBroken: What comes out is not the key that went in.
    """
    if not shares:
        raise InvalidInput("there is no share here", "give as many as the shares say they need")
    first = shares[0]
    if len({each.epoch for each in shares}) > 1:
        raise InvalidInput("these shares are of different epochs", "use the newest of every hand")
    if len({(e.workspace, e.set, e.need, len(e.data)) for e in shares}) > 1:
        raise InvalidInput("these shares are of different splittings", "use those made together")
    points = {each.x: each.data for each in shares}
    if len(points) < first.need:
        raise InvalidInput(
            f"{len(points)} different shares are here, {first.need} are needed", "bring another"
        )
    chosen = sorted(points.items())[: first.need]
    weights = [_weight(x, [other for other, _ in chosen if other != x]) for x, _ in chosen]
    key = bytes(
        reduce(xor, (times(w, value) for w, value in zip(weights, column, strict=True)))
        for column in zip(*(data for _, data in chosen), strict=True)
    )
    if not crypto.same(check_of(key), first.key_check):
        raise EvidenceBroken("the shares do not give the key back", "one of them was forged")
    return key


def _weight(x: int, others: Sequence[int]) -> int:
    """Return Lagrange's weight of the point x for the value at 0."""
    return reduce(times, (_over(other, other ^ x) for other in others), 1)
