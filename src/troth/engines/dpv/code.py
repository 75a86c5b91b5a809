"""The short code of a consent record, made to be read aloud and typed."""

import re
from typing import Final

from troth.errors import InvalidInput

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECK: Final = _ALPHABET + "*~$=U"
CODE_BITS: Final = 60


def short_code(digest: bytes) -> str:
    """Write the first 60 bits of a record's hash so that a person can read and type it.

    >>> short_code(bytes(32))
    'CR-0000-0000-0000-0'
    """
    number = int.from_bytes(digest[:8], "big") >> (64 - CODE_BITS)
    text = "".join(_ALPHABET[number >> 5 * i & 31] for i in reversed(range(CODE_BITS // 5)))
    return f"CR-{text[:4]}-{text[4:8]}-{text[8:]}-{_CHECK[number % 37]}"


def read_code(text: str) -> int:
    """Read a short code as people type it; the check character must fit.

    Raises:
        InvalidInput: It is no such code, or a character of it is wrong.

    >>> read_code("cr 0000 0000 oooo 0")
    0
    """
    plain = re.sub(r"[\s-]", "", text.upper()).removeprefix("CR")
    plain = plain[:-1].translate(_ALIKE) + plain[-1:].replace("O", "0")
    if len(plain) != CODE_BITS // 5 + 1 or any(sign not in _ALPHABET for sign in plain[:-1]):
        raise InvalidInput("this is no code of a consent record", "type it as CR-XXXX-XXXX-XXXX-X")
    number = 0
    for sign in plain[:-1]:
        number = number << 5 | _ALPHABET.index(sign)
    if plain[-1] != _CHECK[number % 37]:
        raise InvalidInput("a character of this code is wrong", "compare it with your copy")
    return number


_ALIKE = str.maketrans("OIL", "011")
