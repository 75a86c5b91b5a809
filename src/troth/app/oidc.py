"""The house's identity provider: read from `[signin.oidc]`, wired, looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from troth.app.checks import Check
from troth.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from troth.adapters.oidc import OpenId, Secret
    from troth.app.workspace import Workspace
    from troth.ports import Clock
    from troth.settings import Settings

CLAIMS = ("sub", "preferred_username", "email")
SECTION = "signin.oidc"
KNOWN = frozenset({"issuer", "client_id", "claim", "mode", "title", "acr", "amr"})
CLIENT_MAX = 255


@dataclass(frozen=True, slots=True)
class Provider:
    """What `[signin.oidc]` says.

    Attributes:
        claim: Which claim equals an id listed under `[roles]`.
        mode: beside this house's own ways; or only, with IT's recovery codes as the way in when
            the provider is down.
        title: The provider, as the sign-in page names it.
        acr: One of these must be said of how somebody proved themselves; empty asks for none.
        amr: All of these must be among the ways they proved themselves.
    """

    issuer: str
    client: str
    claim: str
    mode: Literal["beside", "only"]
    title: str
    acr: tuple[str, ...]
    amr: tuple[str, ...]


def provider(settings: "Settings") -> Provider | None:
    """Read the house's identity provider; None where it names none.

    Raises:
        InvalidInput: The section does not read; names the key.
    """
    strange = set(settings.signin) - {"oidc"}
    if strange:
        raise _wrong("holds a way to sign in that is not known", "signin")
    held = settings.signin.get("oidc")
    if held is None:
        return None
    if set(held) - KNOWN:
        raise _wrong(f"takes {', '.join(sorted(KNOWN))} and nothing else")
    return Provider(
        _issuer(held),
        _text(held, "client_id"),
        _one_of(held, "claim", CLAIMS),
        "only" if _one_of(held, "mode", ("beside", "only")) == "only" else "beside",
        _text(held, "title", "your company account"),
        _words(held, "acr"),
        _words(held, "amr"),
    )


def _wrong(said: str, section: str = SECTION) -> InvalidInput:
    return InvalidInput(f"troth.toml: [{section}] {said}", "compare with docs/staff-signin.md")


def _text(held: Mapping[str, Any], key: str, default: str = "") -> str:
    value = held.get(key, default)
    if not isinstance(value, str) or not 0 < len(value) <= CLIENT_MAX or not value.isprintable():
        raise _wrong(f"{key} is missing, or no text")
    return value


def _one_of(held: Mapping[str, Any], key: str, words: tuple[str, ...]) -> str:
    value = held.get(key, words[0])
    if value not in words:
        raise _wrong(f"{key} is one of {', '.join(words)}")
    return str(value)


def _words(held: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = held.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise _wrong(f"{key} is no list of words")
    return tuple(value)


def _issuer(held: Mapping[str, Any]) -> str:
    from troth.adapters.oidc import place_of

    url = _text(held, "issuer")
    try:
        place_of(url)
    except InvalidInput:
        raise _wrong("issuer begins with https:// (http is for this machine)") from None
    if "?" in url:
        raise _wrong("issuer has no query")
    return url


def secret(settings: "Settings") -> "Secret":
    """Return where the client's secret lies: a file of the key folder, never `troth.toml`."""
    from troth.adapters.oidc import Secret

    return Secret(settings.keys / "oidc-client")


def connect(opened: "Workspace", clock: "Clock") -> "OpenId | None":
    """Return the provider to ask, None where the house names none; asks nobody yet."""
    found = provider(opened.settings)
    if found is None:
        return None
    from troth.adapters.oidc import OpenId, Terms

    terms = Terms(found.issuer, found.client, found.claim, found.acr, found.amr)
    return OpenId(terms, secret(opened.settings), clock)


def checks(opened: "Workspace") -> list[Check]:
    """Look at how staff prove who they are; asks nobody outside."""
    found = provider(opened.settings)
    if found is None:
        off = "Staff sign in here by passkey or code; no identity provider is named."
        return [Check("signin.provider", "used", "Sign-in by an identity provider", "off", off)]
    return [_spoken(found), _kept(opened), _alone(found), _proved(found)]


def _spoken(found: Provider) -> Check:
    title = "The identity provider is reached by https"
    if found.issuer.startswith("https://"):
        return Check("signin.https", "used", title, "good", "Its name is checked at each request.")
    said = "It is spoken to in clear, on this machine."
    fix = "IT: name an issuer that begins with https:// in [signin.oidc]."
    return Check("signin.https", "used", title, "bad", said, fix)


def _kept(opened: "Workspace") -> Check:
    title = "The provider's client secret is readable by its owner only"
    try:
        secret(opened.settings).read()
    except Unavailable as fault:
        return Check("signin.secret", "stored", title, "bad", fault.message, f"IT: {fault.remedy}")
    return Check("signin.secret", "stored", title, "good", "It lies in the key folder, mode 0600.")


def _alone(found: Provider) -> Check:
    title = "Staff sign in by the identity provider alone"
    if found.mode == "only":
        said = "Codes and passkeys of this house open nothing, but IT's recovery codes."
        return Check("signin.only", "used", title, "good", said)
    said = "The house's own ways are open beside it: whoever leaves must be suspended here too."
    fix = 'IT: set mode = "only" in [signin.oidc], or feed leavers (troth staff leavers).'
    return Check("signin.only", "used", title, "off", said, fix)


def _proved(found: Provider) -> Check:
    title = "The provider must say that more than a password was asked"
    if found.acr or found.amr:
        said = "A sign-in without the ways named in [signin.oidc] is refused."
        return Check("signin.strength", "used", title, "good", said)
    fix = "IT: name amr or acr in [signin.oidc], as your provider spells them."
    return Check("signin.strength", "used", title, "off", "Nobody asked for it.", fix)
