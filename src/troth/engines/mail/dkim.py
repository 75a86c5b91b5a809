"""Sign mail with DKIM, relaxed/relaxed (RFC 6376, 8301, 8463).

    signers = (Signer("marula.example", "e1", "ed25519-sha256", seed),
               Signer("marula.example", "r1", "rsa-sha256", RsaKey(pem)))
    raw = sign(draft, signers, at=unix_seconds)        # bytes to hand over, never touched again
    name, strings = dns_record(signers[0])             # the TXT record receivers look up

A `Draft` comes from `frame.Frame.fill` (already relaxed, its body hash continued from the frame's
constant head) or, for a message built elsewhere, from `draft(headers, body)`. Sign last: whatever
changes the bytes afterwards breaks both signatures. Pure: the same draft, keys and instant give
the same bytes.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from troth.crypto import RsaKey, ed25519_public, ed25519_sign, sha256
from troth.errors import InvalidInput

Algorithm = Literal["ed25519-sha256", "rsa-sha256"]

EXPIRES_AFTER_S = 7 * 86_400
LINE_MAX = 998
TXT_MAX = 255

OVERSIGNED = (
    "from",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "sender",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-id",
)
"""Headers listed once more than present, so that one added on the way breaks the signature."""

REF_HEADER = "X-Troth-Ref"
"""Carries the message's ref; oversigned only where it is present."""

_RUNS = re.compile(rb"[ \t]+")
_TEXT_RUNS = re.compile(r"[ \t]+")
_BLANK_ENDS = re.compile(rb"[ \t]+(?=\r\n)")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NAME = re.compile(r"[!-9;-~]{1,76}")


@dataclass(frozen=True, slots=True)
class Signer:
    """One DKIM key in use: where receivers find its public half, and the private half itself.

    Attributes:
        domain: The `d=` brand domain, A-label, equal to the domain of From.
        selector: The `s=` label; one per key, never used again for another key.
        key: The 32-byte seed for `ed25519-sha256`, an `RsaKey` for `rsa-sha256`.
    """

    domain: str
    selector: str
    algorithm: Algorithm
    key: bytes | RsaKey = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a name DNS cannot hold or a key of the other algorithm (`InvalidInput`)."""
        for label in (*self.domain.split("."), *self.selector.split(".")):
            if not _LABEL.fullmatch(label):
                raise InvalidInput("a DKIM domain or selector is no DNS name", "use A-labels")
        if isinstance(self.key, RsaKey) != (self.algorithm == "rsa-sha256"):
            raise InvalidInput(f"the key does not fit {self.algorithm}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A finished message before it is signed.

    Attributes:
        headers: Name and value in the order sent; a value may be folded, has no final CRLF.
        body: CRLF lines, 7-bit, ends in CRLF or is empty.
        body_hash: SHA-256 of the relaxed body: the `bh=` of every signature.
        subject: The subject as people read it.
        link_hosts: Hosts the message links to, sorted.
        filled: What stands in the holes of the frame it was made from, as encoded.
    """

    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    body_hash: bytes
    subject: str = field(default="", repr=False)
    link_hosts: tuple[str, ...] = ()
    filled: tuple[bytes, ...] = field(default=(), repr=False)

    def header(self, name: str) -> str:
        """Return the first header of this name as sent, or ""."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), "")


def draft(headers: Sequence[tuple[str, str]], body: bytes) -> Draft:
    """Check a message built elsewhere and make it ready for `sign`.

    Raises:
        InvalidInput: A line is longer than `LINE_MAX`, a byte is not 7-bit, a CR or LF stands
            alone, the body does not end in CRLF, or a header could smuggle in another.
    """
    for name, value in headers:
        _check_header(name, value)
    if body and not body.endswith(b"\r\n"):
        raise InvalidInput("the body does not end in CRLF", "end it before signing")
    if not body.isascii() or b"\0" in body:
        raise InvalidInput("the body is not 7-bit", "encode it as quoted-printable or base64")
    if not body.count(b"\r\n") == body.count(b"\r") == body.count(b"\n"):
        raise InvalidInput("the body holds a CR or LF alone", "end every line with CRLF")
    if max(map(len, body.split(b"\r\n"))) > LINE_MAX:
        raise InvalidInput(f"a body line is longer than {LINE_MAX} bytes", "encode the body")
    return Draft(tuple(headers), body, sha256(relaxed_body(body)))


def _check_header(name: str, value: str) -> None:
    unfolded = re.sub(r"\r\n(?=[ \t]+[^ \t\r\n])", "", value)
    if not _NAME.fullmatch(name) or not value.isascii() or re.search(r"[\r\n\0]", unfolded):
        raise InvalidInput("a header is malformed", "one line of ASCII, or properly folded")
    if max(map(len, f"{name}: {value}".split("\r\n"))) > LINE_MAX:
        raise InvalidInput(f"a header line is longer than {LINE_MAX} bytes", "fold it")


def relaxed_body(body: bytes) -> bytes:
    """Return the relaxed canonical form of `body` (RFC 6376, 3.4.4).

    The regular expressions run only where a TAB, two spaces or a blank before CRLF stands.
    """
    if b"\t" in body or b"  " in body:
        body = _RUNS.sub(b" ", body)
    if b" \r\n" in body:
        body = _BLANK_ENDS.sub(b"", body)
    if body.endswith(b" "):
        body = body[:-1]
    if body.endswith(b"\r\n\r\n"):
        body = body.rstrip(b"\r\n") + b"\r\n"
    if body == b"\r\n":
        return b""
    return body if not body or body.endswith(b"\r\n") else body + b"\r\n"


def relaxed_header(name: str, value: str) -> str:
    """Return one header in relaxed canonical form, without its CRLF (RFC 6376, 3.4.2)."""
    return f"{name.lower()}:{_relaxed(value)}"


def _relaxed(value: str) -> str:
    if "\r\n" in value:
        value = value.replace("\r\n", "")
    if "\t" in value or "  " in value:
        value = _TEXT_RUNS.sub(" ", value)
    return value.strip(" ")


def sign(message: Draft, signers: Sequence[Signer], at: int) -> bytes:
    """Return the message as it is sent, one signature per signer in front.

    Every signature covers all headers of `OVERSIGNED` (and the ref), expires `EXPIRES_AFTER_S`
    after `at` and never has a length tag. Costs one RSA and one Ed25519 signing, little else.

    Args:
        message: What to sign.
        signers: Usually Ed25519 first and RSA second: some receivers know only RSA.
        at: Unix seconds on the real clock; receivers refuse a time ahead of theirs.

    Raises:
        InvalidInput: There is no signer, or From is missing or doubled.
    """
    if not signers:
        raise InvalidInput("a message needs a signer", "add a DKIM key")
    names, values = zip(*message.headers, strict=True) if message.headers else ((), ())
    listed, lines, order, covering = _listing(names)
    covered = covering % tuple([_relaxed(values[place]) for place in order])
    bh = base64.b64encode(message.body_hash).decode()
    signatures = [_signature(signer, at, listed, bh, covered) for signer in signers]
    head = "".join(signatures) + lines % values
    return head.encode("ascii") + message.body


@lru_cache(maxsize=256)
def _listing(names: tuple[str, ...]) -> tuple[str, str, tuple[int, ...], str]:
    """Work out once per set of headers how they are written and signed.

    Returns the folded `h=`, the header lines with a place for each value, the places of the
    headers signed from the bottom up, and their relaxed form with a place for each value.

    Raises:
        InvalidInput: From is missing or doubled.
    """
    lower = [name.lower() for name in names]
    if lower.count("from") != 1:
        raise InvalidInput("a message needs exactly one From")
    wanted = [*OVERSIGNED, *([REF_HEADER.lower()] if REF_HEADER.lower() in lower else [])]
    listed = [name for name in wanted for _ in range(lower.count(name) + 1)]
    rows = [":".join(listed[i : i + 5]) for i in range(0, len(listed), 5)]
    places = range(len(names) - 1, -1, -1)
    order = tuple(place for name in wanted for place in places if lower[place] == name)
    lines = "".join(f"{name.replace('%', '%%')}: %s\r\n" for name in names) + "\r\n"
    covering = "".join(f"{lower[place]}:%s\r\n" for place in order)
    return ":\r\n ".join(rows), lines, order, covering


@lru_cache(maxsize=16)
def _signature_head(signer: Signer, at: int, listed: str) -> tuple[str, str]:
    """Return the start of a signature up to `bh=`, as sent and in relaxed form."""
    value = (
        f"v=1; a={signer.algorithm}; c=relaxed/relaxed; d={signer.domain};\r\n"
        f" s={signer.selector}; t={at}; x={at + EXPIRES_AFTER_S};\r\n"
        f" h={listed};\r\n"
        f" bh="
    )
    return value, relaxed_header("DKIM-Signature", value)


def _signature(signer: Signer, at: int, listed: str, bh: str, covered: str) -> str:
    value, relaxed = _signature_head(signer, at, listed)
    data = f"{covered}{relaxed}{bh}; b="
    made = base64.b64encode(signature_bytes(signer, data.encode("ascii"))).decode()
    folded = "\r\n ".join([made[i : i + 72] for i in range(0, len(made), 72)])
    return f"DKIM-Signature: {value}{bh};\r\n b={folded}\r\n"


def signature_bytes(signer: Signer, data: bytes) -> bytes:
    """Sign canonical header data; Ed25519 signs its SHA-256 (RFC 8463, 3)."""
    if isinstance(signer.key, RsaKey):
        return signer.key.sign(data)
    return ed25519_sign(signer.key, hashlib.sha256(data).digest())


def dns_record(signer: Signer) -> tuple[str, tuple[str, ...]]:
    """Return the name and the TXT strings (each at most `TXT_MAX` bytes) that publish the key."""
    if isinstance(signer.key, RsaKey):
        kind, public = "rsa", signer.key.public_der()
    else:
        kind, public = "ed25519", ed25519_public(signer.key)
    text = f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"
    strings = tuple(text[i : i + TXT_MAX] for i in range(0, len(text), TXT_MAX))
    return f"{signer.selector}._domainkey.{signer.domain}", strings
