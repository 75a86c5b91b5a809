"""What a column seems to hold: from the words of its name and the shapes of its values.

Values are looked at and forgotten: a guess keeps counts alone, how many were looked at and how
many had which shape. The words and categories are data, `data/datamap/columns.toml`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from troth.engines.datagraph.shapes import SHAPES, STRONG

SURE: Final = 50
"""Per cent: below it nothing is guessed."""
_LONGEST: Final = 2_000
"""Characters of a value that are looked at."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a guess: of `of` values looked at, `hits` had the shape; a name is 1 of 1.

    Attributes:
        kind: name, shape, or inside (the shape stands somewhere in longer values).
        said: The word or the shape.
    """

    kind: str
    said: str
    hits: int
    of: int


@dataclass(frozen=True, slots=True)
class Guess:
    """What a column seems to hold.

    Attributes:
        sure: Per cent, 50 to 99; never a hundred.
    """

    category: str
    sure: int
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    category: str
    shape: str
    only_people: frozenset[str]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of the data file, ready to be looked up.

    Attributes:
        fideslang: Our category → the name a mapping knows it by.
    """

    rules: Mapping[str, _Rule]
    shapes: Mapping[str, str]
    about: frozenset[str]
    people: frozenset[str]
    things: frozenset[str]
    fideslang: Mapping[str, str]


def read_words(values: Mapping[str, Any]) -> Words:
    """Read the values of the data file."""
    rules: dict[str, _Rule] = {}
    shapes: dict[str, str] = {}
    known = dict(values["names"])
    for each in values["column"]:
        rule = _Rule(each["category"], each["shape"], frozenset(each.get("only_people", ())))
        rules |= dict.fromkeys(each["names"], rule)
        known[each["category"]] = each["fideslang"]
        if each["shape"] in STRONG:
            shapes[each["shape"]] = each["category"]
    about, people, things = (frozenset(values[n]) for n in ("about", "people", "things"))
    return Words(rules, shapes, about, people, things, known)


def split(name: str) -> list[str]:
    """Cut a column's name into lower-case words.

    >>> split("customerEmailAddress"), split("E-Mail"), split("DOB"), split("ip_v4")
    (['customer', 'email', 'address'], ['e', 'mail'], ['dob'], ['ip', 'v4'])
    """
    spaced = re.sub(r"([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3 \2", name[:200])
    return [word for word in re.split(r"[^0-9a-zà-ÿ]+", spaced.lower()) if word]


def classify(
    words: Words, table: str, column: str, values: Iterable[str], regions: Sequence[str] = ()
) -> Guess | None:
    """Guess what a column holds; None where it looks like nothing personal.

    Args:
        words: From `read_words`.
        table: The table's name: a bare `name` is a person's in a table of customers.
        column: The column's name.
        values: A sample; empty ones count nothing. Nothing of it is kept.
        regions: Where telephone numbers without a country code may be from, ISO 3166.
    """
    sample = [text[:_LONGEST] for each in values if (text := each.strip())]
    word, rule = _named(words, split(table), split(column))
    found = [_by_shape(words, name, sample, regions, rule) for name in words.shapes]
    best = max(filter(None, found), key=lambda each: each.sure, default=None)
    if rule is not None:
        named = _by_name(word, rule, sample, regions, best)
        if named is not None and (best is None or named.sure >= best.sure):
            return named
    return best or _inside(words, sample)


def _named(words: Words, table: list[str], column: list[str]) -> tuple[str, _Rule | None]:
    """Find the longest words of a name that mean something; nearest to its end where two do.

    A number that ends a name counts nothing: `phone1` is a telephone number.
    """
    if column and (bare := column[-1].rstrip("0123456789")) != column[-1]:
        whole = _named(words, table, [*column[:-1], *([bare] if bare else [])])
        if whole[1] is not None and " ".join(column) not in words.rules:
            return whole
    if not column or (column[-1] in words.about and " ".join(column) not in words.rules):
        return "", None
    people = any(word in words.people for word in table) and not words.things & set(table)
    for size in range(len(column), 0, -1):
        for start in range(len(column) - size, -1, -1):
            said = " ".join(column[start : start + size])
            rule = words.rules.get(said)
            if rule and (people or said not in rule.only_people):
                return said, rule
    if people and column in (["name"], ["names"]):
        return "name", _Rule("identity.name", "words", frozenset())
    return "", None


def _hits(shape: str, sample: Sequence[str], regions: Sequence[str]) -> int:
    looks = SHAPES[shape]
    return sum(1 for each in sample if looks(each, regions))


_FEW: Final = 3
_HALF: Final = 0.5


def _by_shape(
    words: Words, shape: str, sample: Sequence[str], regions: Sequence[str], rule: _Rule | None
) -> Guess | None:
    hits, of = _hits(shape, sample, () if rule is None else regions), len(sample)
    if hits < _FEW or hits / of < STRONG[shape]:
        return None
    sure = min(95, round(40 + 55 * hits / of))
    return Guess(words.shapes[shape], sure, (Evidence("shape", shape, hits, of),))


def _by_name(
    word: str, rule: _Rule, sample: Sequence[str], regions: Sequence[str], best: Guess | None
) -> Guess | None:
    """Weigh a name against its values: they bear it out, or speak against it, or are not there."""
    named = Evidence("name", word, 1, 1)
    if not sample:
        return Guess(rule.category, 60, (named,))
    hits, of = _hits(rule.shape, sample, regions), len(sample)
    if best is not None and best.category != rule.category and rule.shape in STRONG:
        return None  # the values are something else, plainly
    share = hits / of
    shape = Evidence("shape", rule.shape, hits, of)
    if share >= _HALF:
        return Guess(rule.category, min(99, round(65 + 34 * share)), (named, shape))
    sure = round(30 + 50 * share) if of >= _FEW else SURE
    return Guess(rule.category, sure, (named, shape)) if sure >= SURE else None


_SEARCHED: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")


def _inside(words: Words, sample: Sequence[str]) -> Guess | None:
    """Find addresses inside longer values: notes, documents, log lines."""
    hits = sum(1 for each in sample if "@" in each and _SEARCHED.search(each))
    if not hits:
        return None
    said = Evidence("inside", "email", hits, len(sample))
    return Guess(words.shapes["email"], 70 if hits >= _FEW else 55, (said,))
