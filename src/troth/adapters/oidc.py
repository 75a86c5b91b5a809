"""OpenID Connect Core 1.0: the authorization code flow with PKCE, and back-channel logout.

The provider is the one `troth.toml` names and no other: its discovery document must name the very
issuer, answers of another issuer are refused before they are read (RFC 9207). Signed words are
judged in `oidc_tokens`. Nothing about anybody is kept here, no token outlives the call.
"""

import base64
import json
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

from troth import crypto
from troth.adapters import oidc_tokens as tokens
from troth.adapters.outbound import TIMEOUT_S, Place, Reached
from troth.errors import InvalidInput, Unavailable
from troth.ports import Clock
from troth.terms import SECOND, Farewell, Identity, IdentityAsked

ANSWER_MAX: Final = 262_144
CODE_MAX: Final = 4_096
SECRET_MAX: Final = 1_000
DISCOVERY_LIFE: Final = 3600 * SECOND
REFETCH: Final = 60 * SECOND
"""Keys are fetched anew for an unknown id at most once in this time: a forger costs no traffic."""
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
OK: Final = 200


@dataclass(frozen=True, slots=True)
class Terms:
    """What the house and its provider agreed on, from `[signin.oidc]`.

    Attributes:
        claim: Which claim names a member of staff: sub, preferred_username or email.
        acr: One of these must be said of how they proved themselves; empty asks for none.
        amr: All of these must be among the ways they proved themselves.
    """

    issuer: str
    client: str
    claim: str
    acr: tuple[str, ...] = ()
    amr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """The client's secret in a file of its own, readable by its owner only."""

    path: Path

    def read(self) -> str:
        """Return the secret.

        Raises:
            Unavailable: There is none, or others could read it.
        """
        try:
            if self.path.stat().st_mode & 0o077:
                raise Unavailable("keys/oidc-client is open to others", "run: chmod 600 on it")
            return self.path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise Unavailable(
                "keys/oidc-client is missing", "run: troth staff oidc-secret"
            ) from None

    def write(self, text: str) -> None:
        """Replace the secret; readable by the owner alone from its first byte on.

        Raises:
            InvalidInput: It is empty, too long, or of several lines.
        """
        if not 0 < len(text) <= SECRET_MAX or not text.isascii() or not text.isprintable():
            raise InvalidInput("this is no client secret", "pipe it in as one line")
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(text)
        fresh.replace(self.path)


class _Asking(Reached):
    """One request with a limit on the whole of it, however slowly the answer drips."""

    def ask(self, method: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send one request; return status and whole answer. No redirect is followed.

        Raises:
            Unavailable: No answer within the time, or one too long.
        """
        end = threading.Timer(TIMEOUT_S, self._cut)
        end.daemon = True
        end.start()
        try:
            self._connection.request(method, self._place.path, body or None, dict(headers))
            answer = self._connection.getresponse()
            raw = answer.read(ANSWER_MAX + 1)
        except (OSError, HTTPException, ValueError, AttributeError):  # cut off while it was read
            raise _silent() from None
        finally:
            end.cancel()
            self.close()
        if len(raw) > ANSWER_MAX:
            raise _silent()
        return answer.status, raw

    def _cut(self) -> None:
        """End what is under way: closing alone does not wake a read that waits."""
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)


def _silent() -> Unavailable:
    return Unavailable("the identity provider does not answer as it should", "try again later")


def place_of(url: str) -> Place:
    """Read an address of the provider: https, or http on this machine.

    A provider may well lie in the house's own network, so private places are allowed: the address
    is the operator's, or the provider's own.

    Raises:
        InvalidInput: It is none.
    """
    wrong = InvalidInput("an address of the identity provider is none", "write https://HOST/…")
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise wrong from None
    host = parts.hostname
    if not host or parts.username or parts.password or parts.fragment:
        raise wrong
    if not url.isascii() or not url.isprintable() or " " in url:
        raise wrong
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise wrong
    whole = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Place(host, port, whole, parts.scheme == "https", local=True)


def _fetch(url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
    """Ask one address for JSON; return it with status 200, None with another.

    Raises:
        Unavailable: Nobody there, too slow, too long, or no JSON.
    """
    try:
        place = place_of(url)
    except InvalidInput:
        raise _silent() from None
    told = {"accept": "application/json", "user-agent": "troth", **(headers or {})}
    status, raw = _Asking(place).ask("POST" if body else "GET", body, told)
    if status != OK:
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise _silent() from None


@dataclass(frozen=True, slots=True)
class _Found:
    """The provider's own description, checked; see OpenID Connect Discovery 1.0 section 3."""

    authorization: str
    token: str
    keys: str
    leave: str
    names_itself: bool


def _described(issuer: str, told: Any) -> _Found:  # noqa: ANN401 - JSON of somebody else
    if not isinstance(told, dict) or told.get("issuer") != issuer:
        raise _silent()
    methods = told.get("code_challenge_methods_supported", ["S256"])
    if not isinstance(methods, list) or "S256" not in methods:
        raise _silent()
    return _Found(
        _sound(issuer, told.get("authorization_endpoint")),
        _sound(issuer, told.get("token_endpoint")),
        _sound(issuer, told.get("jwks_uri")),
        _sound(issuer, told["end_session_endpoint"]) if told.get("end_session_endpoint") else "",
        told.get("authorization_response_iss_parameter_supported") is True,
    )


def _sound(issuer: str, url: Any) -> str:  # noqa: ANN401 - JSON of somebody else
    """Require an address that is one; with a provider spoken to by https, https throughout."""
    if not isinstance(url, str):
        raise _silent()
    try:
        place = place_of(url)
    except InvalidInput:
        raise _silent() from None
    if issuer.startswith("https://") and not place.secure:
        raise _silent()
    return url


@dataclass(slots=True)
class OpenId:
    """See `ports.IdentityProvider`.

    Attributes:
        secret: The client's secret; read anew at each use, so that it can be changed while the
            house runs.
    """

    terms: Terms
    secret: Secret
    clock: Clock
    _found: _Found | None = None
    _found_at: int = 0
    _keys: tokens.Keys = field(default_factory=tokens.Keys)
    _keys_at: int = 0
    _looked_at: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, asked: IdentityAsked) -> str:
        """Return the address a browser is sent to."""
        where = self._discovered().authorization
        told = {
            "response_type": "code",
            "client_id": self.terms.client,
            "redirect_uri": asked.back,
            "scope": "openid" + {"sub": "", "email": " email"}.get(self.terms.claim, " profile"),
            "state": asked.state,
            "nonce": asked.nonce,
            "code_challenge": tokens.b64url(crypto.sha256(asked.verifier.encode())),
            "code_challenge_method": "S256",
        }
        if self.terms.acr:
            told["acr_values"] = " ".join(self.terms.acr)
        if asked.again:
            told |= {"prompt": "login", "max_age": "0"}
        return f"{where}{'&' if '?' in where else '?'}{urlencode(told)}"

    def heard_back(self, issuer: str) -> None:
        """Check who says to have answered (RFC 9207)."""
        if issuer != self.terms.issuer and (issuer or self._discovered().names_itself):
            raise tokens.wrong("response_iss")

    def redeem(self, code: str, asked: IdentityAsked) -> Identity:
        """Turn the code a browser brought back into whom the provider vouches for."""
        if not code or len(code) > CODE_MAX:
            raise tokens.wrong("code")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked.back,
            "code_verifier": asked.verifier,
        }
        pair = f"{quote_plus(self.terms.client)}:{quote_plus(self.secret.read())}"
        basic = base64.b64encode(pair.encode()).decode()
        headers = {
            "authorization": f"Basic {basic}",
            "content-type": "application/x-www-form-urlencoded",
        }
        found = self._discovered()
        told = _fetch(found.token, urlencode(form).encode(), headers)
        if not isinstance(told, dict) or not isinstance(told.get("id_token"), str):
            raise tokens.wrong("code")
        if str(told.get("token_type", "")).lower() != "bearer":
            raise tokens.wrong("token_type")
        claims, digest = self._verified(told["id_token"], tokens.ID_TYPES)
        expected = tokens.Expected(
            self.terms.issuer, self.terms.client, self.clock.now() // SECOND, self.terms.claim
        )
        tokens.judge_id(claims, expected, asked)
        tokens.judge_ways(claims, self.terms.acr, self.terms.amr)
        tokens.judge_access(claims, told.get("access_token"), digest)
        return Identity(
            self.terms.issuer,
            claims["sub"],
            tokens.named(claims, self.terms.claim),
            tokens.whole(claims, "auth_time") * SECOND if "auth_time" in claims else 0,
            claims["sid"] if isinstance(claims.get("sid"), str) else "",
        )

    def farewell(self, token: str) -> Farewell:
        """Read the provider's word that somebody signed out there."""
        claims, _ = self._verified(token, tokens.LOGOUT_TYPES)
        now = self.clock.now() // SECOND
        return tokens.judge_logout(
            claims, tokens.Expected(self.terms.issuer, self.terms.client, now, "sub")
        )

    def leave(self, back: str) -> str:
        """Return where a browser signs out at the provider too; "" where it offers none."""
        where = self._discovered().leave
        if not where:
            return ""
        told = {"client_id": self.terms.client, "post_logout_redirect_uri": back}
        return f"{where}{'&' if '?' in where else '?'}{urlencode(told)}"

    def _verified(self, token: str, types: frozenset[str]) -> tuple[dict[str, Any], str]:
        """Return the claims of a token whose signature holds, and its digest's name."""
        head = tokens.header(token, types)
        keys = self._known(head)
        return tokens.verified(token, keys.of(head)), head.alg

    def _known(self, head: tokens.Head) -> tokens.Keys:
        """Return the provider's keys, fetched anew for an id they lack, once a minute at most."""
        now = self.clock.now()
        with self._lock:
            held, fresh = self._keys, 0 <= now - self._keys_at < DISCOVERY_LIFE
            again = fresh and not held.has(head) and now - self._looked_at >= REFETCH
            if again:
                self._looked_at = now
        if fresh and not again:
            return held
        fetched = tokens.read_keys(_fetch(self._discovered().keys))
        with self._lock:
            self._keys, self._keys_at = fetched, now
        return fetched

    def _discovered(self) -> _Found:
        now = self.clock.now()
        with self._lock:
            held, at = self._found, self._found_at
        if held is not None and 0 <= now - at < DISCOVERY_LIFE:
            return held
        url = self.terms.issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = _described(self.terms.issuer, _fetch(url))
        with self._lock:
            self._found, self._found_at = found, now
        return found
