"""Check the DKIM signatures of a received message against keys we are given (RFC 6376, 8463).

    for found in check_signatures(raw, key_of, at):
        found.state        # pass | expired | fail | no_key | malformed

`key_of(selector, domain)` returns the TXT text of the key, from DNS or from our own key history
(a message of last year is checked with the key of last year), or "" for none. An expired
signature that is right in itself is `expired`, not `fail`: the customer may ask late. What a
pass means, who was the recipient and whether we sent it is not decided here.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from troth.crypto import ed25519_verify, rsa_verify, same, sha256
from troth.engines.mail.dkim import relaxed_body, relaxed_header
from troth.errors import InvalidInput

State = Literal["pass", "expired", "fail", "no_key", "malformed"]
KeyOf = Callable[[str, str], str]

MESSAGE_MAX = 10 * 1024 * 1024
HEADERS_MAX = 256 * 1024
SIGNATURES_MAX = 10
RSA_DER_MIN = 160  # SubjectPublicKeyInfo of 1024 bits (RFC 8301) has 162 bytes

_HEADER = re.compile(r"([!-9;-~]+)[ \t]*:(.*(?:\r\n[ \t].*)*)(?:\r\n|$)")
_B_VALUE = re.compile(r"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SPACE = re.compile(r"[ \t\r\n]+")
_TRAILING = re.compile(rb"(?:\r\n)+\Z")


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one DKIM-Signature.

    Attributes:
        domain: Its `d=`, lower case; "" where malformed.
        at: Its `t=` in unix seconds, 0 without.
        partial: It has a length tag: anything may have been appended to the body.
        body_hash: Its `bh=`, decoded; empty where malformed.
    """

    state: State
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    at: int = 0
    partial: bool = False
    body_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class _Parsed:
    """Header name, value and whole text in order; the body."""

    headers: tuple[tuple[str, str, str], ...]
    body: bytes


def check_signatures(raw: bytes, key_of: KeyOf, at: int) -> tuple[Checked, ...]:
    """Check every signature of `raw`, top down; none gives an empty answer.

    Only the first `SIGNATURES_MAX` are looked at. Costs one hash of the body per signature and
    one verification; `key_of` is asked once for each that is well-formed.

    Args:
        raw: The message exactly as received; a file saved with LF alone is read as CRLF.
        key_of: Takes selector and domain, both lower case; returns the key's TXT text or "".
        at: Unix seconds at which `x=` is judged.

    Raises:
        InvalidInput: The message is too large or has no header block.
    """
    parsed = _parse(raw)
    signatures = [h for h in parsed.headers if h[0].lower() == "dkim-signature"]
    return tuple(_check(parsed, h, key_of, at) for h in signatures[:SIGNATURES_MAX])


def _parse(raw: bytes) -> _Parsed:
    if len(raw) > MESSAGE_MAX:
        raise InvalidInput(f"the message is larger than {MESSAGE_MAX} bytes")
    if b"\r\n" not in raw:
        raw = raw.replace(b"\n", b"\r\n")
    block, _, body = raw.partition(b"\r\n\r\n")
    if len(block) > HEADERS_MAX:
        raise InvalidInput(f"the headers are larger than {HEADERS_MAX} bytes")
    text, headers, place = block.decode("latin-1"), [], 0
    while place < len(text):
        found = _HEADER.match(text, place)
        if not found:
            raise InvalidInput("the message has a line among its headers that is none")
        headers.append((found[1], found[2], found[0].removesuffix("\r\n")))
        place = found.end()
    return _Parsed(tuple(headers), body)


def _tags(value: str) -> dict[str, str]:
    """Read `a=b; c=d`; a doubled or nameless tag makes the whole empty."""
    tags: dict[str, str] = {}
    for part in value.split(";"):
        name, equals, text = part.partition("=")
        name = name.strip(" \t\r\n")
        if not name and not equals and not text.strip():
            continue
        if not equals or not _TAG.fullmatch(name) or name in tags:
            return {}
        tags[name] = text.strip(" \t\r\n")
    return tags


def _check(parsed: _Parsed, header: tuple[str, str, str], key_of: KeyOf, at: int) -> Checked:
    tags = _tags(header[1])
    listed = [name.strip(" \t\r\n").lower() for name in tags.get("h", "").split(":")]
    domain, selector = tags.get("d", "").lower(), tags.get("s", "").lower()
    signature, body_hash = _decoded(tags.get("b", "")), _decoded(tags.get("bh", ""))
    numbers = [tags.get(name, "0") for name in ("t", "x", "l")]
    well = tags.get("v") == "1" and domain and selector and signature and body_hash
    identity = tags.get("i", f"@{domain}").lower().rpartition("@")[2]
    if (
        not well
        or "from" not in listed
        or not all(n.isascii() and n.isdigit() and len(n) <= 12 for n in numbers)  # noqa: PLR2004 - RFC 6376, 3.5
        or not f".{identity}".endswith(f".{domain}")
    ):
        return Checked("malformed")
    forms = (tags.get("c", "simple") + "/simple").split("/")
    data = _header_data(parsed, header, listed, relaxed=forms[0] == "relaxed")
    body = _body_data(parsed.body, tags.get("l"), relaxed=forms[1] == "relaxed")
    state: State = "fail"
    if {*forms[:2]} <= {"relaxed", "simple"} and body is not None:
        right_body = same(sha256(body), body_hash)
        state = _verify(tags.get("a", ""), key_of(selector, domain), signature, data)
        state = "fail" if state == "pass" and not right_body else state
    if state == "pass" and "x" in tags and int(tags["x"]) < at:
        state = "expired"
    return Checked(
        state, domain, selector, tags.get("a", ""), int(numbers[0]), "l" in tags, body_hash
    )


def _header_data(
    parsed: _Parsed, own: tuple[str, str, str], listed: list[str], *, relaxed: bool
) -> bytes:
    """Join the listed headers from the bottom up, and the signature itself without its value."""
    stacks: dict[str, list[tuple[str, str, str]]] = {}
    for header in parsed.headers:
        stacks.setdefault(header[0].lower(), []).append(header)
    chosen = [stacks[name].pop() for name in listed if stacks.get(name)]
    empty = _B_VALUE.sub(r"\1", own[1], count=1)
    last = (own[0], empty, f"{own[2][: len(own[2]) - len(own[1])]}{empty}")
    lines = [relaxed_header(n, v) if relaxed else whole for n, v, whole in (*chosen, last)]
    return "\r\n".join(lines).encode("latin-1")


def _body_data(body: bytes, length: str | None, *, relaxed: bool) -> bytes | None:
    """Return the canonical body, cut at `length`; None if the body is shorter than that."""
    canonical = relaxed_body(body) if relaxed else _TRAILING.sub(b"", body) + b"\r\n"
    if length is None:
        return canonical
    return canonical[: int(length)] if int(length) <= len(canonical) else None


def _verify(algorithm: str, text: str, signature: bytes, data: bytes) -> State:
    tags = _tags(text)
    public = _decoded(tags.get("p", ""))
    kind = tags.get("k", "rsa")
    if not public or tags.get("v", "DKIM1") != "DKIM1":
        return "no_key"
    if algorithm == "ed25519-sha256" and kind == "ed25519":
        right = ed25519_verify(public, signature, sha256(data))
    elif algorithm == "rsa-sha256" and kind == "rsa" and len(public) >= RSA_DER_MIN:
        right = rsa_verify(public, signature, data)
    else:
        right = False
    return "pass" if right else "fail"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(_SPACE.sub("", text), validate=True)
    except (binascii.Error, ValueError):
        return b""
