"""Amounts are said in the decimals of their currency, exactly, in each language's way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.capabilities.rights import amounts, package_sections
from troth.surfaces.portal.catalogue import Tongue

SPACE = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("language", "minor", "currency", "said"),
    [
        ("en", 1950, "ZAR", "19.50 ZAR"),
        ("zu", 1950, "ZAR", "19.50 ZAR"),
        ("af", 1950, "ZAR", "19,50 ZAR"),
        ("en", 1950, "JPY", f"1{SPACE}950 JPY"),
        ("af", 1950, "KWD", "1,950 KWD"),
        ("en", -123456789, "EUR", f"-1{SPACE}234{SPACE}567.89 EUR"),
        ("en", -5, "ZAR", "-0.05 ZAR"),
        ("en", 12345, "CLF", "1.2345 CLF"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency_and_the_signs_of_its_language(
    language, minor, currency, said
):
    assert Tongue(language, "UTC").amount(minor, currency) == said


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["ZAR", "JPY", "TND", "UYW", "XYZ"]))
def test_no_cent_is_lost_however_large_the_amount(minor, currency):
    whole, rest = amounts.parts(minor, currency)
    assert int(f"{whole}{rest}") == abs(minor)
    assert len(rest) == amounts.decimals(currency)


@pytest.mark.parametrize(
    ("minor", "currency", "said"),
    [(-1950, "ZAR", "-ZAR 19.50"), (1950, "JPY", "JPY 1950"), (1950, "", "")],
)
def test_the_package_says_the_same_decimals(minor, currency, said):
    assert package_sections._money({"amount_minor": minor, "currency": currency}) == said
