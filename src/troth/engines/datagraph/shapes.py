"""Shapes of values: each says whether one value looks like a thing; none keeps anything."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

import phonenumbers

Look = Callable[[str, Sequence[str]], bool]
_EMAIL: Final = re.compile(r"[\w.+'-]{1,64}@(?:[\w-]{1,63}\.){1,5}[A-Za-z]{2,24}")
_PHONE: Final = re.compile(r"\+?[\d\s()./-]{7,24}")
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_POSTCODE: Final = re.compile(r"[A-Z0-9]{2,5}[ -]?[A-Z0-9]{1,5}", re.IGNORECASE)
_WORDS: Final = re.compile(r"[^\W_][\w'\u2019.,/&() -]{0,120}")
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,9})?(?:\s?-\s?\d{1,9})?")
_DATES: Final = (
    re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?:[T ].{0,30})?"),
    re.compile(r"(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})"),
    re.compile(r"(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})[-/.](?P<y>\d{4})"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"),
)


def luhn(digits: str) -> bool:
    """Tell whether a number's last digit checks it (ISO/IEC 7812-1 annex B).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, sign in enumerate(reversed(digits)):
        number = int(sign) * (1 + place % 2)
        total += number - 9 if number > 9 else number  # noqa: PLR2004 - the sum of its digits
    return total % 10 == 0


def email(text: str, _regions: Sequence[str]) -> bool:
    """Tell whether it is spelt as an address of mail."""
    return _EMAIL.fullmatch(text) is not None


def phone(text: str, regions: Sequence[str]) -> bool:
    """Tell whether it is a telephone number: with its country's code, or of one of the regions."""
    if not _PHONE.fullmatch(text):
        return False
    if text.startswith("+"):
        return _possible(text, None)
    return text[0] in "0(" and any(_possible(text, region) for region in regions)


def _possible(text: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def za_id(text: str, _regions: Sequence[str]) -> bool:
    """Tell whether it is a South African identity number: birth date, marks, check digit."""
    digits = text.replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) == 13):  # noqa: PLR2004 - as issued
        return False
    whole = _day(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    earlier = _day(1900 + int(digits[:2]), int(digits[2:4]), int(digits[4:6]))
    return (whole or earlier) and digits[10] in "012" and luhn(digits)


def _day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def iban(text: str, _regions: Sequence[str]) -> bool:
    """Tell whether it is an international bank account number (ISO 13616, mod 97)."""
    plain = text.replace(" ", "").upper()
    if not _IBAN.fullmatch(plain):
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


_CARDS: Final = re.compile(
    r"4\d{12}(?:\d{3})?(?:\d{3})?|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|62\d{14,17}|(?:5018|5020|5038|6304|6759)\d{8,15}"
)


def card(text: str, _regions: Sequence[str]) -> bool:
    """Tell whether it is a payment card's number: an issuer's range, its length, check digit."""
    plain = text.replace(" ", "").replace("-", "")
    return bool(plain.isascii() and _CARDS.fullmatch(plain)) and luhn(plain)


def ip(text: str, _regions: Sequence[str]) -> bool:
    """Tell whether it is an address of a machine on a network."""
    if "." not in text and ":" not in text:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def birthday(text: str, _regions: Sequence[str]) -> bool:
    """Tell whether it is a day somebody alive may be born on; which day it is nobody keeps."""
    for form in _DATES:
        if found := form.fullmatch(text):
            year, month, day = (int(found[part]) for part in "ymd")
            if 1900 <= year <= 2100 and _day(year, month, day):  # noqa: PLR2004 - of people living
                return True
    return False


SHAPES: Final[Mapping[str, Look]] = {
    "email": email,
    "phone": phone,
    "za_id": za_id,
    "iban": iban,
    "card": card,
    "ip": ip,
    "date": birthday,
    "postcode": lambda text, _regions: _POSTCODE.fullmatch(text) is not None,
    "words": lambda text, _regions: (
        _WORDS.fullmatch(text) is not None and any(sign.isalpha() for sign in text)
    ),
    "number": lambda text, _regions: _NUMBER.fullmatch(text) is not None,
    "any": lambda _text, _regions: True,
}
"""Shape → whether one value has it."""
STRONG: Final[Mapping[str, float]] = {
    "email": 0.2,
    "za_id": 0.2,
    "iban": 0.2,
    "card": 0.2,
    "phone": 0.5,
    "ip": 0.5,
}
"""Shapes that speak for themselves, however a column is called → from which share on."""
