"""Signed words of an identity provider: by which key, for whom, how old, about what was asked.

JOSE by the library `joserfc`. Only signatures with a public key count: `none` and shared secrets
are no word of anybody, whatever a header says; a key counts for one kind of signature alone.
"""

import base64
import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from troth import crypto
from troth.errors import InvalidInput, Unavailable
from troth.terms import SECOND, Farewell, IdentityAsked, Instant

SKEW_S: Final = 60
OLD_S: Final = 600
"""A word older than this is not believed, however long it calls itself good."""
TOKEN_MAX: Final = 16_384
KEYS_MAX: Final = 50
RSA_MIN: Final = 256
TEXT_MAX: Final = 255
KINDS: Final = {
    "RS256": ("RSA", ""),
    "PS256": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
"""Signature → kind and curve of its key. RFC 9864 names EdDSA over this curve Ed25519."""
ID_TYPES: Final = frozenset({"", "jwt"})
LOGOUT_TYPES: Final = frozenset({"", "jwt", "logout+jwt"})
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


def wrong(check: str) -> InvalidInput:
    """Say which check failed, never with what."""
    return InvalidInput(f"the identity provider's word does not hold: {check}", "sign in again")


@dataclass(frozen=True, slots=True)
class Head:
    """What a token says about its own signature; believed only as a choice among our keys."""

    alg: str
    kid: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The provider's public keys that may sign, as it published them."""

    held: tuple[Mapping[str, Any], ...] = field(default=())

    def has(self, head: Head) -> bool:
        """Tell whether one is meant by a header."""
        return len(self._meant(head)) == 1

    def of(self, head: Head) -> Mapping[str, Any]:
        """Return the one key a header means.

        Raises:
            InvalidInput: There is none, or more than one.
        """
        found = self._meant(head)
        if len(found) != 1:
            raise wrong("kid")
        return {**found[0], "alg": head.alg}

    def _meant(self, head: Head) -> list[Mapping[str, Any]]:
        kind, curve = KINDS[head.alg]
        return [
            key
            for key in self.held
            if key["kty"] == kind
            and (not curve or key.get("crv") == curve)
            and key.get("alg", head.alg) == head.alg
            and (not head.kid or key.get("kid") == head.kid)
        ]


def read_keys(told: Any) -> Keys:  # noqa: ANN401 - JSON of somebody else
    """Read a JWK set: what is no public key for signatures is left out, not used.

    Raises:
        Unavailable: It is no key set.
    """
    listed = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise Unavailable("the identity provider's keys do not read", "try again later")
    return Keys(tuple(key for key in listed if _signs(key)))


def _signs(key: Any) -> bool:  # noqa: ANN401 - JSON of somebody else
    if not isinstance(key, dict) or key.get("kty") not in ("RSA", "EC", "OKP"):
        return False
    does = key.get("key_ops", ["verify"])
    if key.get("use", "sig") != "sig" or not isinstance(does, list) or "verify" not in does:
        return False
    if not isinstance(key.get("kid", ""), str):
        return False
    return key["kty"] != "RSA" or len(_raw(key.get("n"))) >= RSA_MIN


def b64url(raw: bytes) -> str:
    """Write bytes as JOSE does."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _raw(text: Any) -> bytes:  # noqa: ANN401 - JSON of somebody else
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (TypeError, ValueError):
        return b""


def header(token: str, types: frozenset[str]) -> Head:
    """Read a token's header; it names one of our keys and nothing else counts of it.

    Raises:
        InvalidInput: No compact token, too long, another signature, type or a critical extension.
    """
    if len(token) > TOKEN_MAX or token.count(".") != 2:  # noqa: PLR2004 - header, claims, signature
        raise wrong("form")
    try:
        told = json.loads(_raw(token.partition(".")[0]))
    except (ValueError, RecursionError):
        raise wrong("form") from None
    if not isinstance(told, dict) or not isinstance(told.get("kid", ""), str):
        raise wrong("form")
    if not isinstance(told.get("alg"), str) or told["alg"] not in KINDS:
        raise wrong("alg")
    if str(told.get("typ", "")).lower() not in types or "crit" in told:
        raise wrong("typ")
    return Head(told["alg"], told.get("kid", ""))


def verified(token: str, key: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of a token signed by this key.

    Raises:
        InvalidInput: It is not.
        Unavailable: The extra `[oidc]` is not installed.
    """
    try:
        from joserfc import jwt  # noqa: PLC0415 - an extra, loaded where it is used
        from joserfc.jwk import import_key  # noqa: PLC0415 - the same
    except ImportError:
        raise Unavailable(
            "the identity provider needs an extra", 'pip install "troth[oidc]"'
        ) from None
    public = {name: value for name, value in key.items() if name not in {"d", "key_ops", "use"}}
    try:
        with warnings.catch_warnings():  # EdDSA over this curve is sound under its older name too
            warnings.simplefilter("ignore")
            return dict(jwt.decode(token, import_key(public), algorithms=[key["alg"]]).claims)
    except Exception:  # noqa: BLE001 - hostile bytes make the library raise what it likes
        raise wrong("signature") from None


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose word it must be, for whom, and the machine's clock in seconds."""

    issuer: str
    client: str
    now: int
    claim: str


def _common(claims: Mapping[str, Any], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise wrong("iss")
    if claims.get("aud") not in (expected.client, [expected.client]):
        raise wrong("aud")
    if claims.get("azp", expected.client) != expected.client:
        raise wrong("azp")
    if whole(claims, "exp") <= expected.now - SKEW_S:
        raise wrong("exp")
    if not expected.now - OLD_S - SKEW_S <= whole(claims, "iat") <= expected.now + SKEW_S:
        raise wrong("iat")
    if "nbf" in claims and whole(claims, "nbf") > expected.now + SKEW_S:
        raise wrong("nbf")


def whole(claims: Mapping[str, Any], name: str) -> int:
    """Return a moment in seconds.

    Raises:
        InvalidInput: It is no number of this age of the world.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
        raise wrong(name)
    return int(value)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX:
        raise wrong(name)
    return value


def judge_id(claims: Mapping[str, Any], expected: Expected, asked: IdentityAsked) -> None:
    """Judge an ID token: OpenID Connect Core 1.0 section 3.1.3.7.

    Raises:
        InvalidInput: It does not hold.
    """
    _common(claims, expected)
    _text(claims, "sub")
    if not crypto.same(
        str(claims.get("nonce", "")).encode("utf-8", "replace"), asked.nonce.encode()
    ):
        raise wrong("nonce")
    if "events" in claims:
        raise wrong("events")
    if asked.again and whole(claims, "auth_time") < asked.since // SECOND - SKEW_S:
        raise wrong("auth_time")
    named(claims, expected.claim)


def named(claims: Mapping[str, Any], claim: str) -> str:
    """Return the value that names a member of staff; an e-mail only if the provider proved it.

    Raises:
        InvalidInput: It is missing or unproved.
    """
    if claim == "email" and claims.get("email_verified") is not True:
        raise wrong("email_verified")
    return _text(claims, claim)


def judge_ways(claims: Mapping[str, Any], acr: tuple[str, ...], amr: tuple[str, ...]) -> None:
    """Require how somebody proved themselves, where the house asks for it.

    Raises:
        InvalidInput: It is not said, or another.
    """
    if acr and claims.get("acr") not in acr:
        raise wrong("acr")
    ways = claims.get("amr", [])
    if amr and not (isinstance(ways, list) and all(way in ways for way in amr)):
        raise wrong("amr")


def judge_access(claims: Mapping[str, Any], access: Any, alg: str) -> None:  # noqa: ANN401 - JSON
    """Judge `at_hash` where it is given: Core 1.0 section 3.1.3.6.

    Raises:
        InvalidInput: The token was given beside another access token.
    """
    if "at_hash" not in claims:
        return
    if not isinstance(access, str) or not isinstance(claims["at_hash"], str):
        raise wrong("at_hash")
    raw = access.encode("utf-8", "replace")
    long = alg in {"EdDSA", "Ed25519"}
    digest = hashlib.sha512(raw).digest() if long else crypto.sha256(raw)
    right = b64url(digest[: len(digest) // 2])
    if not crypto.same(right.encode(), claims["at_hash"].encode("utf-8", "replace")):
        raise wrong("at_hash")


def judge_logout(claims: Mapping[str, Any], expected: Expected) -> Farewell:
    """Judge a logout token: OpenID Connect Back-Channel Logout 1.0 section 2.6.

    Raises:
        InvalidInput: It does not hold.
    """
    _common(claims, expected)
    events = claims.get("events")
    if (
        "nonce" in claims
        or not isinstance(events, dict)
        or not isinstance(events.get(EVENT), dict)
    ):
        raise wrong("events")
    about = {name: _text(claims, name) if name in claims else "" for name in ("sub", "sid")}
    if not any(about.values()):
        raise wrong("sub")
    until = Instant((expected.now + OLD_S + 2 * SKEW_S) * SECOND)
    return Farewell(expected.issuer, _text(claims, "jti"), until, about["sub"], about["sid"])
