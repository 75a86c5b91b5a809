"""What signing in goes by: one-time codes, recovery codes, where a page may lead afterwards."""

import base64
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from troth import crypto
from troth.capabilities.access.model import Limits
from troth.kernel.vault import lp
from troth.terms import SECOND, Actor, Instant, Role

CODE_BYTES: Final = 10
KEY_BYTES: Final = 16
NEXT_MAX: Final = 500
_LOCAL = re.compile(r"/(?![/\\])[A-Za-z0-9/_.~?=&%+:,@-]*")
_CROCKFORD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_BACK = str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_ALIKE = str.maketrans("OIL", "011")


def account_key(secret: bytes, role: str, name: str) -> bytes:
    """Return the keyed digest an account is kept under; without `secret` it says nothing."""
    return crypto.mac(secret, lp(b"account", role.encode(), name.encode()))[:KEY_BYTES]


def who_key(secret: bytes, name: str) -> bytes:
    """Return the keyed digest attempts are counted under: of what was typed, known or not."""
    return crypto.mac(secret, lp(b"attempt", name.encode()))[:KEY_BYTES]


def totp(secret: bytes, step: int, digits: int) -> str:
    """Return the one-time code of a time step (RFC 6238, RFC 4226 section 5.3).

    >>> totp(b"12345678901234567890", 59 // 30, 8)
    '94287082'
    """
    raw = crypto.hmac_sha1(secret, step.to_bytes(8, "big"))
    cut = raw[-1] & 0x0F
    number = int.from_bytes(raw[cut : cut + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: bytes, given: str, at: Instant, limits: Limits) -> int:
    """Return the time step whose code was given, 0 if it is of none; takes as long either way."""
    here = at // (limits.period_seconds * SECOND)
    found = 0
    for step in range(here - limits.drift_steps, here + limits.drift_steps + 1):
        right = totp(secret, step, limits.digits).encode()
        if crypto.same(right, given.encode("utf-8", "replace")):
            found = step
    return found


def otpauth(secret: bytes, house: str, name: str) -> str:
    """Return what an authenticator app reads from the picture."""
    key = base64.b32encode(secret).decode().rstrip("=")
    return f"otpauth://totp/{_q(house)}:{_q(name)}?secret={key}&issuer={_q(house)}"


def _q(text: str) -> str:
    return quote(text, safe="")


def grouped(text: str, size: int = 4) -> str:
    """Set a text apart in groups, to be read aloud and typed.

    >>> grouped("ABCDEFGHIJ")
    'ABCD EFGH IJ'
    """
    return " ".join(text[i : i + size] for i in range(0, len(text), size))


def recovery_code(raw: bytes) -> str:
    """Write 10 random bytes as a recovery code: four groups without look-alikes.

    >>> recovery_code(bytes(10))
    '0000-0000-0000-0000'
    """
    text = base64.b32encode(raw).decode().translate(_CROCKFORD)
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def read_recovery(text: str) -> bytes:
    """Read a recovery code as people type it; what is none reads as `b""`.

    >>> read_recovery(" oooo-0000 00000o0O") == bytes(10)
    True
    """
    plain = "".join(text.upper().split()).replace("-", "").translate(_ALIKE)
    try:
        raw = base64.b32decode(plain.translate(_BACK))
    except ValueError:
        return b""
    return raw if len(raw) == CODE_BYTES else b""


def recovery_hash(secret: bytes, salt: bytes, raw: bytes) -> bytes:
    """Return what is kept of a recovery code: 80 random bits need no stretching."""
    return crypto.mac(secret, lp(b"recovery", salt, raw))


def local_path(text: str, otherwise: str = "/console") -> str:
    """Return a path of this house; whatever might lead elsewhere becomes `otherwise`.

    >>> local_path("//evil.example"), local_path("/console/people?page=2")
    ('/console', '/console/people?page=2')
    """
    return text if len(text) <= NEXT_MAX and _LOCAL.fullmatch(text) else otherwise


def holders(listed: Iterable[tuple[str, Iterable[str]]], name: str) -> list[Actor]:
    """Return as whom an id of staff may act: once per role it stands under."""
    known = {role.value for role in Role} - {Role.SYSTEM, Role.PERSON}
    return [Actor(Role(role), name) for role, ids in listed if role in known and name in ids]
