"""Whom a person can complain to: the authority where they live, and where the sender sits."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from troth.kernel.rules import in_place


@dataclass(frozen=True, slots=True)
class Authority:
    """One authority, as `data/authorities.toml` names it.

    Attributes:
        place: ISO 3166 country or subdivision.
        hint: What to know before writing there, "" nothing.
    """

    place: str
    name: str
    url: str
    hint: str
    source: str
    needs_check: bool


@cache
def _all() -> tuple[str, tuple[Authority, ...]]:
    said = tomllib.loads((files("troth") / "data" / "authorities.toml").read_text("utf-8"))
    return str(said["checked_on"]), tuple(Authority(**each) for each in said["authority"])


def authorities(residence: str, seat: str) -> list[Authority]:
    """Return the authorities for a person: theirs first, then the sender's; each once.

    >>> [each.place for each in authorities("DE-BE", "ZA")]
    ['DE', 'ZA']
    """
    found = [
        each
        for place in (residence, seat)
        for each in _all()[1]
        if place and in_place(place, {each.place}) and _near(place, each.place)
    ]
    return list(dict.fromkeys(found))


def _near(place: str, of: str) -> bool:
    """Tell whether an authority is for all of a place: a state's is not for its whole country."""
    return "-" not in of or place == of


def looked_up() -> str:
    """Return the day on which the list was last looked at, ISO 8601."""
    return _all()[0]
