"""Which column means which field, guessed from the headings by `data/headings.toml`."""

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from troth.engines.intake import Finding, Kind
from troth.errors import InvalidInput

_NOISE = re.compile(r"[^0-9a-z]+")
_PERSONAL = re.compile(r"@|[0-9]{5}")
_HEADING_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns in the file's order: the field each one means, or None.

    Attributes:
        headings: As in the file; one that looks like a person's datum shows as its number.
        notes: Findings on columns that are not imported.
    """

    headings: tuple[str, ...]
    fields: tuple[str | None, ...]
    notes: tuple[Finding, ...]

    @property
    def known(self) -> int:
        """How many columns are imported."""
        return sum(name is not None for name in self.fields)


NO_COLUMNS = Columns((), (), ())


def plain(text: str) -> str:
    """Reduce a heading or word to what is compared: letters and digits without accents.

    >>> plain("E-Mail Address")
    'emailaddress'
    """
    return _NOISE.sub("", unicodedata.normalize("NFKD", text).lower())


@cache
def words(name: str) -> Mapping[str, str]:
    """Return the vocabulary of a field: reduced spelling → the house's word."""
    return _reversed(table()["words"][name])


def guess(kind: Kind, headings: Sequence[str], line: int) -> Columns:
    """Say what each column means; where two mean the same, the first counts."""
    known, taken = _synonyms(kind), set[str]()
    fields: list[str | None] = []
    notes: list[Finding] = []
    shown = tuple(harmless(text, place) for place, text in enumerate(headings, 1))
    for text, name in zip(headings, shown, strict=True):
        field = known.get(plain(text))
        if field is None or field in taken:
            code = "column_twice" if field else "unknown_column"
            notes.append(Finding(line, code, name, "kept"))
            field = None
        else:
            taken.add(field)
        fields.append(field)
    return Columns(shown, tuple(fields), tuple(notes))


def require(kind: Kind, columns: Columns) -> None:
    """Raise `InvalidInput` naming the missing column and the nearest heading, if one is near."""
    for choice in table()["required"][kind]:
        if not any(name in columns.fields for name in choice):
            raise InvalidInput(
                f"the file of {kind} has no column {' or '.join(choice)}",
                _remedy(kind, choice, columns),
            )


def _remedy(kind: Kind, choice: Sequence[str], columns: Columns) -> str:
    if any(text.startswith("column ") for text in columns.headings):
        return f"the first line must hold headings such as {', '.join(choice)}"
    near = _nearest(kind, choice, columns)
    return f"rename {near!r} to {choice[0]!r}" if near else f"add a column {choice[0]!r}"


def _nearest(kind: Kind, choice: Sequence[str], columns: Columns) -> str:
    free = {
        plain(text): text
        for text, field in zip(columns.headings, columns.fields, strict=True)
        if field is None
    }
    for spelling, field in _synonyms(kind).items():
        if field in choice and (near := difflib.get_close_matches(spelling, free, 1, 0.7)):
            return free[near[0]]
    return ""


def harmless(text: str, place: int) -> str:
    """Return a heading as it may be shown: one that holds a person's datum is named by number."""
    one_line = " ".join(text.split())
    if not one_line or _PERSONAL.search(one_line) or not one_line.isprintable():
        return f"column {place}"
    return one_line[:_HEADING_SHOWN]


@cache
def _synonyms(kind: Kind) -> Mapping[str, str]:
    own = table()["headings"].get(kind, {})
    common = table()["headings"]["common"]
    shared: dict[str, tuple[str, ...]] = {"external_id": ("customers", "consents", "events")}
    shared["source"] = ("customers", "suppressions")
    wanted = {name: common[name] for name, kinds in shared.items() if kind in kinds}
    return _reversed({**own, **wanted})


def _reversed(table: Mapping[str, Sequence[str]]) -> Mapping[str, str]:
    pairs = {plain(text): name for name, texts in table.items() for text in texts}
    return MappingProxyType(pairs | {plain(name): name for name in table})


@cache
def table() -> dict[str, Any]:
    """Return `data/headings.toml`."""
    text = files("troth").joinpath("data", "headings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
