"""Standard Webhooks: how a message to another system is signed, and how theirs is checked.

Specification: Standard Webhooks 1.0, symmetric signatures: HMAC-SHA256 over `id.timestamp.body`,
written `v1,<base64>`; a secret is `whsec_` and base64 of 24 to 64 bytes.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Final

from troth import crypto
from troth.errors import InvalidInput

PREFIX: Final = "whsec_"
TOLERANCE_S: Final = 300
"""Seconds a timestamp may lie off the clock of who checks it, as the specification advises."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SHORTEST, _LONGEST = 24, 64


def secret_text(raw: bytes) -> str:
    """Write a secret as both ends keep it."""
    return PREFIX + base64.b64encode(raw).decode()


def read_secret(text: str) -> bytes:
    """Read a secret.

    Raises:
        InvalidInput: Not `whsec_` and base64 of 24 to 64 bytes; never repeated in the message.
    """
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not text.startswith(PREFIX) or not _SHORTEST <= len(raw) <= _LONGEST:
        raise InvalidInput("this is no webhook secret", "it begins with whsec_")
    return raw


def sign(secret: bytes, message: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a signed message.

    Args:
        secret: 24 to 64 bytes.
        message: The message's id, the same at every retry; must not hold a full stop.
        at_s: POSIX seconds of this attempt.
        body: What is sent, byte for byte.

    Raises:
        InvalidInput: The id has other signs than letters, digits, - and _.
    """
    if not _ID.fullmatch(message):
        raise InvalidInput("a webhook's id has letters, digits, - and _ alone")
    return {
        "webhook-id": message,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{_signature(secret, message, str(at_s), body)}",
    }


def _signature(secret: bytes, message: str, at: str, body: bytes) -> str:
    signed = f"{message}.{at}.".encode() + body
    return base64.b64encode(crypto.mac(secret, signed)).decode()


def verify(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_s: int) -> str:
    """Check a signed message and return its id, by which a repeat is known.

    Args:
        secrets: Those that count now; two while one is being replaced.
        headers: The request's, by lower-case name.
        body: What was received, byte for byte.
        now_s: POSIX seconds.

    Raises:
        InvalidInput: Unsigned, signed by another, altered, too old or from the future: one answer.
    """
    wrong = InvalidInput("the signature does not hold", "check the secret and the sender's clock")
    message = headers.get("webhook-id", "")
    at = headers.get("webhook-timestamp", "")
    if not _ID.fullmatch(message) or not re.fullmatch(r"[0-9]{1,12}", at):
        raise wrong
    if abs(int(at) - now_s) > TOLERANCE_S:
        raise wrong
    given = [s[3:] for s in headers.get("webhook-signature", "").split() if s.startswith("v1,")]
    for secret in secrets:
        expected = _signature(secret, message, at, body)
        if any(crypto.same(expected.encode(), each.encode()) for each in given):
            return message
    raise wrong
