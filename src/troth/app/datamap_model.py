"""What a data map shows: parts on the way of data, what they hold, and what was looked at.

What the program's own places are called is data, `data/datamap/house.toml`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from troth.app.checks import Check, State, Step
from troth.app.scans import Standing
from troth.terms import Instant

Kind = Literal["own", "people", "use", "source", "system", "recipient", "end"]
RECORD, US = "record", "troth"
"""Key of the record's part; key by which a mapping names this house as the end of a flow."""
_WORST: tuple[State, ...] = ("bad", "unknown", "good", "off")


@dataclass(frozen=True, slots=True)
class Holding:
    """One thing a part holds: a table, a column, a field, a purpose."""

    name: str
    title: str
    form: str = ""
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One system on the way of data through the house.

    Attributes:
        categories: Data categories it has to do with, in the house's own words.
        kept: (What, for how long), as purposes and mappings say.
        claims: What its owner says protects it; nobody here looked.
        checks: What was looked at.
        into: Keys of the parts data goes on to.
        undescribed: What it holds that nobody described: shown, never left out.
        gaps: Facts nobody wrote down, each with where it belongs.
    """

    key: str
    title: str
    step: Step
    kind: Kind
    text: str = ""
    categories: tuple[str, ...] = ()
    country: str = ""
    processor: str = ""
    agreement: str = ""
    owner: str = ""
    holds: tuple[Holding, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    claims: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    into: tuple[str, ...] = ()
    undescribed: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The worst of its checks; unknown where nothing was looked at."""
        found = {each.state for each in self.checks}
        return next((state for state in _WORST if state in found), "unknown")


@dataclass(frozen=True, slots=True)
class Map:
    """The whole map at one moment."""

    at: Instant
    parts: tuple[Part, ...]
    scans: Mapping[str, Standing]
    sources: tuple[str, ...]
    fault: str = ""

    def part(self, key: str) -> Part | None:
        """Return a part by its key."""
        return next((each for each in self.parts if each.key == key), None)

    @property
    def alarms(self) -> list[Standing]:
        """Scans that found personal data no mapping knows, and sources that did not answer."""
        return [each for each in self.scans.values() if each.alarming or each.fault]


@cache
def described() -> Mapping[str, Any]:
    """Return what the program's own places are called, from the dated data file."""
    return tomllib.loads((files("troth") / "data/datamap/house.toml").read_text("utf-8"))


@cache
def taxonomy() -> Mapping[str, Any]:
    """Return fields and categories as shipped."""
    return tomllib.loads((files("troth") / "data/taxonomy.toml").read_text("utf-8"))


def person_categories() -> tuple[str, ...]:
    """Return every category a person can have here, by what they may see of themselves."""
    own_view = next(role for role in taxonomy()["role"] if role["name"] == "person")
    return tuple(sorted({*own_view["categories"], *taxonomy()["fields"].values()}))
