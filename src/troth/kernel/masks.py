"""Masks: how much of a value is shown, from everything to nothing.

A mask is data of the staff policy; what it does to a value is here alone. `hash` is keyed: an
unkeyed digest of a telephone number is reversed in seconds. `last4` and `first4` show nothing of
a value shorter than `SHOWABLE`: four of eight signs are most of it. Length and ASCII punctuation
survive `last4`, `first4` and `shape`; where even that tells too much, use `initial`, `hash` or
`null`.
"""

import re
import string
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, get_args

from troth import crypto
from troth.errors import InvalidInput
from troth.terms import Mask

DOT: Final = "•"
SHOWN = 4
SHOWABLE: Final = 3 * SHOWN
"""Fewest signs a value has of which four may be shown."""
HASH_DIGITS = 16
_DATE = re.compile(r"([0-9]{4})(-[0-9]{2}(-[0-9]{2})?([T ].*)?)?", re.ASCII | re.DOTALL)
_PLAIN: Final = frozenset(string.punctuation + " ")

MASKS: Final[frozenset[Mask]] = frozenset(get_args(Mask))
_ORDER: Final[tuple[Mask, ...]] = (
    "null", "hash", "initial", "year", "shape", "last4", "first4", "full",
)  # fmt: skip
SHOWING: Final[Mapping[Mask, int]] = MappingProxyType({m: n for n, m in enumerate(_ORDER)})
"""Each mask by how much it shows; of two that are granted, the higher one counts."""


def masked(text: str, mask: Mask, key: bytes = b"") -> str:
    """Return what a mask leaves of a value.

    Args:
        text: The value, opened.
        mask: How it is shown.
        key: Secret of the purpose the value is opened for; `hash` alone needs it.

    Raises:
        InvalidInput: `hash` without a key; nothing is shown.
    """
    return _hashed(text, key) if mask == "hash" else _MASKS[mask](text)


def more_shown(one: Mask, other: Mask) -> Mask:
    """Return which of two masks shows more.

    >>> more_shown("null", "last4")
    'last4'
    """
    return one if SHOWING[one] >= SHOWING[other] else other


def imported(name: str, table: Mapping[str, str]) -> Mask:
    """Return our mask for a mask type of another system.

    Args:
        name: As the other system spells it, such as `MASK_SHOW_LAST_4`.
        table: Their name → ours; a name without one of ours is an expression nobody here read.

    Raises:
        InvalidInput: The type is unknown, or its meaning is code: write it as one of ours.
    """
    ours = table.get(name, "")
    found = next((mask for mask in _ORDER if mask == ours), None)
    if found is None:
        raise InvalidInput(
            "a mask type of the imported policy has no meaning here",
            f"use one of {', '.join(sorted(set(table.values()) & MASKS))}",
        )
    return found


def _hashed(text: str, key: bytes) -> str:
    if not key:
        raise InvalidInput("a hash is shown under a purpose's key and never without")
    return crypto.mac(key, text.encode()).hex()[:HASH_DIGITS]


def _hidden(text: str) -> str:
    return "".join(sign if sign in _PLAIN else DOT for sign in text)


def _last(text: str) -> str:
    if len(text) < SHOWABLE:
        return DOT * len(text)
    return _hidden(text[:-SHOWN]) + text[-SHOWN:]


def _first(text: str) -> str:
    if len(text) < SHOWABLE:
        return DOT * len(text)
    return text[:SHOWN] + _hidden(text[SHOWN:])


def _year(text: str) -> str:
    found = _DATE.fullmatch(text)
    return found[1] if found else ""


def _shape(text: str) -> str:
    return "".join(_shape_of(sign) for sign in text)


def _shape_of(sign: str) -> str:
    if sign in _PLAIN:
        return sign
    if sign.isdecimal():
        return "0"
    return "X" if sign.isupper() else "x"


_MASKS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "full": lambda text: text,
        "year": _year,
        "last4": _last,
        "first4": _first,
        "initial": lambda text: text[:1] + DOT * 3 if text else "",
        "shape": _shape,
        "null": lambda _: "",
    }
)
