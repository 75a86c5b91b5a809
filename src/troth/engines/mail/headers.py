"""Header values as they stand on the wire: encoded words, addresses, dates (RFC 5322, 2047).

Every function refuses what could end a line, so a header can never be smuggled in through a
name, an address or a subject. Refusals never repeat the value: it may be personal.
"""

import base64
import re
from datetime import UTC, datetime
from functools import lru_cache

from troth.errors import InvalidInput

ADDRESS_MAX = 254
NAME_MAX = 128
SUBJECT_MAX = 255
URL_MAX = 900
WORD_BYTES = 39  # with "=?utf-8?b?", "?=" and the longest header name a line stays below 76

UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls, line separators, embedding marks that reach beyond a value, lone surrogates."""

_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+(?!-)[A-Za-z0-9-]{2,63}(?<!-)"
)
_URL = re.compile(r"https://([A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?(?:[/?#][!#-;=?-~]*)?")
_DOTTED = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})+")
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}@[A-Za-z0-9.-]{1,200}>")
_REF = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PLAIN = re.compile(r"(?!.*=\?)[ -~]{0,60}")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def one_line(value: str, what: str, most: int) -> str:
    """Return `value` if it is one printable line of at most `most` characters, or refuse it."""
    if len(value) > most:
        raise InvalidInput(f"{what} is longer than {most} characters", "shorten it")
    if UNSAFE.search(value):
        raise InvalidInput(f"{what} holds a control character", "hand in one plain line")
    return value


def unstructured(value: str) -> str:
    """Write a subject: as it is where it is short ASCII, else in folded encoded words."""
    if _PLAIN.fullmatch(value):
        return value.strip(" ")
    return _encoded_words(value)


def _encoded_words(value: str) -> str:
    words, word = [], b""
    whole = value.encode()
    for char in value if len(whole) > WORD_BYTES else (value,):
        piece = char.encode()
        if len(word) + len(piece) > WORD_BYTES:
            words.append(word)
            word = b""
        word += piece
    words.append(word)
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(w).decode()}?=" for w in words)


@lru_cache(maxsize=256)
def mailbox(name: str, mail: str) -> str:
    """Write `"name" <address>`; the name quoted, or in encoded words where it is not ASCII."""
    one_line(name, "a sender name", NAME_MAX)
    if not name.strip():
        return f"<{address(mail)}>"
    if _PLAIN.fullmatch(name):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address(mail)}>'
    return f"{_encoded_words(name)}\r\n <{address(mail)}>"


def address(value: str) -> str:
    """Return an ASCII `local@domain`, or refuse it; a domain in other scripts comes as A-label."""
    if len(value) > ADDRESS_MAX or not _ADDRESS.fullmatch(value):
        raise InvalidInput(
            "an address is malformed", "hand in local@domain, the domain as A-label"
        )
    return value


def date(at: int) -> str:
    """Write unix seconds as an RFC 5322 date in UTC, in English whatever the locale."""
    t = datetime.fromtimestamp(at, UTC)
    return (
        f"{_DAYS[t.weekday()]}, {t.day:02} {_MONTHS[t.month - 1]} {t.year:04}"
        f" {t.hour:02}:{t.minute:02}:{t.second:02} +0000"
    )


def message_id(value: str) -> str:
    """Write `left@right` in angle brackets; one already in brackets stays as it is."""
    written = value if value.startswith("<") else f"<{value}>"
    if not _MESSAGE_ID.fullmatch(written):
        raise InvalidInput("a Message-ID is malformed", "hand in ref@domain")
    return written


@lru_cache(maxsize=256)
def list_id(value: str) -> str:
    """Write a dotted list name in angle brackets (RFC 2919)."""
    if not _DOTTED.fullmatch(value):
        raise InvalidInput("a List-Id is malformed", "hand in a dotted name such as offers.domain")
    return f"<{value}>"


def reference(value: str) -> str:
    """Return a ref of letters, digits, `_`, `.` and `-`, or refuse it."""
    if not _REF.fullmatch(value):
        raise InvalidInput("a ref is malformed", "use letters, digits, dot, underscore, hyphen")
    return value


def https_host(url: str) -> str:
    """Return the lower-case host of an https URL in plain ASCII, or "" if it is anything else."""
    found = _URL.fullmatch(url) if len(url) <= URL_MAX else None
    return found[1].lower() if found else ""


def unsubscribe(url: str) -> str:
    """Write the one HTTPS URI of List-Unsubscribe (RFC 8058)."""
    if not https_host(url):
        raise InvalidInput("an unsubscribe link is no https URL", "hand in https://host/token")
    return f"<{url}>"
