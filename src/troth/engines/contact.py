"""One spelling per address, so that equal addresses give equal keyed digests.

E-mail: NFKC, trimmed, lower case, domain as IDNA A-labels. `+tag` and dots stay: people are never
merged by guessing what a provider does with them. Telephone: E.164. Nothing is looked up.

The rule has a number, `NORMALISER`, stored beside every digest: a changed rule is a new number.
"""

import re
import unicodedata

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from troth import crypto
from troth.errors import InvalidInput
from troth.terms import Channel

NORMALISER = 1
"""Version of the rules in this file."""

REGISTRY_SCHEMES = frozenset({"sha256-lower-trim"})
"""How opt-out registries digest an address: SHA-256 over trimmed, lower-cased UTF-8."""

_LONGEST = 320
_LOCAL_OCTETS = 64
_PLAIN = re.compile(
    r"[a-z0-9_+-]{1,30}(?:\.[a-z0-9_+-]{1,30})?"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,40}[a-z0-9])?\.){1,3}[a-z]{2,20}"
)
_TOKEN = re.compile(r"[!-~]{1,512}")
_LINES, _LINE = 6, 80
_RESERVED = (".arpa", ".invalid", ".local", ".localhost", ".onion")
_TELEPHONE = re.compile(r"(?:tel:)?[\d\s()+./\-\u2010-\u2015]{3,40}")
_BY_TELEPHONE = frozenset({Channel.SMS, Channel.WHATSAPP, Channel.CALL})


def normalise(channel: str, text: str, region: str = "") -> str:
    """Return the one spelling of an address on `channel`; repeating it changes nothing.

    Costs about 2 µs for a plain ASCII e-mail address, 30 µs for any other and for a number.

    Args:
        channel: `email`; `sms`, `whatsapp`, `call` for a telephone number; `push` for an app's
            token; `post` for the lines of a postal address.
        text: The address as written; never repeated in an error.
        region: ISO 3166 code a number without `+` is read in (`ZA`, `US-CA`); "" none.

    Raises:
        InvalidInput: Not an address of that channel, or there is no such channel.
    """
    if channel == Channel.EMAIL:
        return _email(text)
    if channel in _BY_TELEPHONE:
        return _telephone(text, region)
    if channel == Channel.PUSH:
        return _token(text)
    if channel == Channel.POST:
        return _postal(text)
    raise InvalidInput("there is no such channel", "use email, sms, push or post")


def masked(channel: str, normalised: str) -> str:
    """Return how an address is shown to whoever may not be its holder.

    >>> masked("email", "thandi.m@post.example")
    't•••@p•••.example'
    >>> masked("sms", "+27821234567")
    '••• 567'
    """
    if channel != Channel.EMAIL:
        return f"••• {normalised[-3:]}"
    local, _, domain = normalised.rpartition("@")
    first, _, last = domain.rpartition(".")
    return f"{local[:1]}•••@{first[:1]}•••.{last}"


def digest_for_registry(scheme: str, normalised: str) -> bytes:
    """Return the digest an opt-out registry lists for an address that `normalise` returned.

    Such a digest has no key: whoever holds the file can test guesses. Compare it, never show it.

    Raises:
        InvalidInput: The scheme is not one of `REGISTRY_SCHEMES`; nothing may be assumed then.
    """
    if scheme not in REGISTRY_SCHEMES:
        raise InvalidInput(
            "the registry file names an unknown hash scheme",
            f"known: {', '.join(sorted(REGISTRY_SCHEMES))}",
        )
    return crypto.sha256(normalised.strip().lower().encode())


def _email(text: str) -> str:
    if len(text) > _LONGEST:
        raise _no_email()
    lowered = text.strip().lower()
    if _PLAIN.fullmatch(lowered) and "--" not in lowered and not lowered.endswith(_RESERVED):
        return lowered
    try:
        return _any_email(text)
    except (EmailNotValidError, ValueError):
        raise _no_email() from None


def _any_email(text: str) -> str:
    folded = _fold(_fold(text))
    found = validate_email(folded, check_deliverability=False, test_environment=True)
    local, domain = _fold(found.local_part), found.ascii_domain.lower()
    if len(local.encode()) > _LOCAL_OCTETS or "." not in domain:
        raise _no_email()
    return f"{local}@{domain}"


def _fold(text: str) -> str:
    composed = unicodedata.normalize("NFKC", text).strip()
    return unicodedata.normalize("NFKC", composed.lower())


def _no_email() -> InvalidInput:
    return InvalidInput("this is not an e-mail address", "write it like name@shop.example")


def _telephone(text: str, region: str) -> str:
    folded = unicodedata.normalize("NFKC", text).strip()
    if not _TELEPHONE.fullmatch(folded):
        raise _no_telephone()
    try:
        number = phonenumbers.parse(folded, region[:2].upper() or None)
    except phonenumbers.NumberParseException:
        raise _no_telephone() from None
    # Numbers reserved for fiction and new ranges are possible without being listed as assigned.
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise _no_telephone()
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _token(text: str) -> str:
    """An app's token is opaque: nothing of it is folded but the space around it."""
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise InvalidInput("this is no token of an app", "use 1 to 512 printable ASCII signs")
    return token


def _postal(text: str) -> str:
    """Lines in NFC, each trimmed with single spaces; case and order are the writer's."""
    composed = unicodedata.normalize("NFC", text)
    lines = [" ".join(line.split()) for line in composed.splitlines()]
    lines = [line for line in lines if line]
    marks = any(unicodedata.category(sign) in {"Cc", "Cf"} for line in lines for sign in line)
    if not 0 < len(lines) <= _LINES or max(map(len, lines)) > _LINE or marks:
        raise InvalidInput("this is no postal address", "write 1 to 6 lines of up to 80 signs")
    return "\n".join(lines)


def _no_telephone() -> InvalidInput:
    return InvalidInput(
        "this is not a telephone number",
        "write it with + and country code, without an extension, or name the region",
    )
