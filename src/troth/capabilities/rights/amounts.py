"""Amounts in minor units as people write them; the decimals of a currency are a dated file."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def _decimals() -> tuple[Mapping[str, int], int]:
    told = tomllib.loads((files("troth") / "data" / "currencies.toml").read_text("utf-8"))
    named = {code: int(n) for n, codes in told["decimals"].items() for code in codes}
    return named, int(told["else"])


def decimals(currency: str) -> int:
    """Return how many decimals the minor unit of an ISO 4217 code stands for.

    >>> decimals("ZAR"), decimals("JPY"), decimals("KWD")
    (2, 0, 3)
    """
    named, others = _decimals()
    return named.get(currency, others)


def parts(minor: int, currency: str) -> tuple[int, str]:
    """Return the whole units of an amount, its sign left out, and its decimals; exact.

    >>> parts(-123405, "ZAR"), parts(1950, "JPY"), parts(7, "KWD")
    ((1234, '05'), (1950, ''), (0, '007'))
    """
    places = decimals(currency)
    whole, rest = divmod(abs(minor), 10**places)
    return whole, f"{rest:0{places}}" if places else ""
