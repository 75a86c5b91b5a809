"""The command line of the one-file verifier, with its own Ed25519 check (RFC 8032).

Only the standard library and `troth.kernel.proof`: `tools/verify_tool.py` puts all of it into one
file that a customer, a regulator or a court expert can read in an hour and run for decades.
"""
# ruff: noqa: INP001 - a script's folder, not a package

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from troth.errors import EvidenceBroken, InvalidInput
from troth.kernel import proof

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
KEY, SIGNATURE = 32, 64

Point = tuple[int, int, int, int]
"""Extended coordinates X, Y, Z, T of RFC 8032 section 5.1.4."""

NEUTRAL: Point = (0, 1, 1, 0)


def _add(left: Point, right: Point) -> Point:
    a = (left[1] - left[0]) * (right[1] - right[0]) % P
    b = (left[1] + left[0]) * (right[1] + right[0]) % P
    c = 2 * left[3] * right[3] * D % P
    d = 2 * left[2] * right[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    out = NEUTRAL
    while scalar:
        if scalar & 1:
            out = _add(out, point)
        point = _add(point, point)
        scalar >>= 1
    return out


def _x_of(y: int, sign: int) -> int | None:
    """Return the x of a point from its y (section 5.1.3), None where there is no such point."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def _decode(raw: bytes) -> Point | None:
    number = int.from_bytes(raw, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _encode(point: Point) -> bytes:
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(KEY, "little")


BASE = _decode((4 * pow(5, -1, P) % P).to_bytes(KEY, "little")) or NEUTRAL


def ed25519_check(public: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether `signature` is by `public` (RFC 8032 section 5.1.7, without the cofactor).

    Strict: S must lie below the group order, the key must be a point in its one spelling, and R is
    compared byte by byte, so that no signature has a second form. About 10 ms.
    """
    if len(public) != KEY or len(signature) != SIGNATURE:
        return False
    key, scalar = _decode(public), int.from_bytes(signature[KEY:], "little")
    if key is None or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:KEY] + public + message).digest()
    hashed = int.from_bytes(digest, "little") % ORDER
    minus = (P - key[0], key[1], 1, P - key[3])
    return _encode(_add(_times(scalar, BASE), _times(hashed, minus))) == signature[:KEY]


def sentence(receipt: proof.Receipt) -> str:
    """Say in words what a receipt proves, and show the event it reveals."""
    point = receipt.checkpoint
    place = f"entry {receipt.index} of {point.size} in the ledger {point.origin}"
    if receipt.statement is not None:
        return f"Verified: {place} is this public statement:\n{pretty(receipt.statement)}\n"
    if receipt.event is None:
        return f"Verified: {place} stands unchanged; its content was not revealed or was erased.\n"
    return f"Verified: {place} records exactly this event:\n{pretty(receipt.event)}\n"


def pretty(raw: bytes) -> str:
    """Show proved bytes: as JSON where they are, else in hexadecimal."""
    try:
        return json.dumps(json.loads(raw), indent=2, sort_keys=True)
    except ValueError:
        return raw.hex()


def main(words: Sequence[str]) -> int:
    """Check the receipt file against the policy file named; return the exit status.

    Returns:
        0 verified, 1 not verified, 2 the question is malformed or a file cannot be read.
    """
    if len(words) != 2:  # noqa: PLR2004
        sys.stderr.write("usage: troth-verify.py RECEIPT POLICY\n")
        return 2
    try:
        receipt, policy = Path(words[0]).read_bytes(), Path(words[1]).read_bytes()
        trusted = proof.parse_policy(policy.decode(), ed25519_check)
        sys.stdout.write(sentence(proof.read_receipt(receipt, trusted)))
    except EvidenceBroken as fault:
        sys.stderr.write(f"NOT VERIFIED: {fault}\n")
        return 1
    except InvalidInput as fault:
        sys.stderr.write(f"Cannot be checked: {fault}\n")
        return 2
    except (OSError, UnicodeDecodeError):
        sys.stderr.write("Cannot be checked: a file cannot be read as a text\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
