"""Reading an audience from data, spelling it back in one canonical way, its digest."""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from troth.errors import InvalidInput
from troth.kernel import events
from troth.kernel.audience.meaning import WINDOWS
from troth.kernel.audience.words import (
    RELATION_KINDS,
    STAGES,
    AgeIn,
    Audience,
    Bought,
    BoughtIn,
    CountAtLeast,
    Every,
    Expression,
    Group,
    HasSale,
    InterestIn,
    LanguageIn,
    LastSaleOlderThan,
    LevelAtLeast,
    Neither,
    PlaceIn,
    Predicate,
    Related,
    ResidenceIn,
    Rfm,
    SilentFor,
    Some,
    SpentAtLeast,
    StageIn,
)
from troth.terms import nfc

_ALIKE = str.maketrans(
    "\u0430\u0431\u0432\u0433\u0435\u0456\u0458\u043a\u043c\u043e\u0440\u0441\u0455"
    "\u0442\u0443\u0445\u04bb\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03b9\u03ba0",
    "abvreijkmopcstyxhvoptuxiko",
    "'\u2019`\u00b4\u00b7",
)
_UNSEEN = frozenset({"Mn", "Cf", "Cc", "Cs", "Co", "Cn"})
_PIECES = re.compile(r"[^\W_]+")
_LONGEST = WINDOWS[-1][0]
_DEPTH = 12
_NODES = 200
_LISTED = 200
_SAFE = 2**53 - 1
_FAR_DAYS = 36_500
_FAR_MONTHS = 1_200
_TOP_LEVEL = 5


def folded(name: str) -> str:
    """Return the spelling by which names of sensitive groups are compared.

    Wide, joined and invisible characters, accents and letters of other scripts that look like
    Latin ones are spelt plainly first: nobody passes by writing a name differently.

    >>> folded("  \uff22EER\u200b "), folded("b\u0435er"), folded("Bièr")
    ('beer', 'beer', 'bier')
    """
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_ALIKE)
    kept = "".join(c for c in plain if unicodedata.category(c) not in _UNSEEN)
    return " ".join(unicodedata.normalize("NFKC", kept).split())


def sensitive_word(name: str, sensitive: Collection[str]) -> str:
    """Return the sensitive name that a name is or contains as a word, "" if none.

    Args:
        name: A product group or an interest, as somebody wrote it.
        sensitive: Names as `folded` spells them.
    """
    whole = folded(name)
    parts = (whole, whole.replace(" ", ""), *_PIECES.findall(whole))
    return next((part for part in parts if part in sensitive), "")


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one audience; every fault names its place in the file."""

    sensitive: frozenset[str]
    left: list[int]

    def fault(self, place: str, wrong: str, remedy: str) -> InvalidInput:
        return InvalidInput(f"audience, {place}: {wrong}", remedy)

    def node(self, raw: object, place: str, depth: int = 0) -> Expression:
        self.left[0] -= 1
        if depth > _DEPTH or self.left[0] < 0:
            raise self.fault(
                place, "too deep or too long", f"use at most {_DEPTH} levels and {_NODES} words"
            )
        if not isinstance(raw, Mapping) or len(raw) != 1:
            raise self.fault(place, "a condition is one word with its values", _KNOWN_WORDS)
        word, held = next(iter(raw.items()))
        inner = f"{place}.{word}"
        if word in _GROUPS:
            return _GROUPS[word](self.parts(held, inner, depth))
        if word in _PLAIN:
            made, check = _PLAIN[word]
            one: Predicate = made(check(self, held, inner))
            return one
        if word in _NAMED:
            return self.named(word, held, inner)
        if word == "rfm":
            return self.scores(held, inner)
        if word == "stage":
            return self.staged(held, inner)
        raise self.fault(place, "an unknown word", _KNOWN_WORDS)

    def parts(self, held: object, place: str, depth: int) -> tuple[Expression, ...]:
        if not isinstance(held, list) or not held:
            raise self.fault(place, "holds no conditions", "list at least one condition")
        return tuple(self.node(raw, f"{place}[{n}]", depth + 1) for n, raw in enumerate(held, 1))

    def named(self, word: str, held: object, place: str) -> Predicate:
        made, checks = _NAMED[word]
        if not isinstance(held, Mapping) or set(held) != set(checks):
            want = ", ".join(checks) or "no values: {}"
            raise self.fault(place, "wrong values", f"give exactly {want}")
        found = {
            name: check(self, held[name], f"{place}.{name}") for name, check in checks.items()
        }
        made_of: Predicate = made(**found)
        return made_of

    def scores(self, held: object, place: str) -> Rfm:
        if not isinstance(held, Mapping) or not held or not held.keys() <= _SCORES:
            raise self.fault(place, "wrong values", f"give some of {', '.join(sorted(_SCORES))}")
        found: dict[str, tuple[int, ...]] = {}
        for score, (bounds, top) in _BOUNDS.items():
            if (score in held) is not (bounds in held):
                raise self.fault(place, f"{score} and {bounds} belong together", "give both")
            if score in held:
                found[score] = self.rising(held[score], f"{place}.{score}", (2, 5), "equal")
                found[bounds] = self.rising(held[bounds], f"{place}.{bounds}", (4, top), "")
                if found[score] == (1, 5):
                    raise self.fault(f"{place}.{score}", "leaves out nobody", "narrow it")
        if ("minor" in held) is not ("currency" in held) or not found:
            raise self.fault(place, "minor needs its currency", "give both, and a score")
        money = _CURRENCY(self, held["currency"], f"{place}.currency") if "minor" in held else ""
        return Rfm(**found, currency=money)

    def rising(
        self, held: object, place: str, shape: tuple[int, int], ties: str
    ) -> tuple[int, ...]:
        count, top = shape
        want = f"list {count} whole numbers from 1 to {top}, each larger than the one before"
        if not isinstance(held, list) or len(held) != count:
            raise self.fault(place, "is no list", want)
        numbers = tuple(self.number(raw, f"{place}[{n}]", top) for n, raw in enumerate(held, 1))
        if any(a > b or (a == b and not ties) for a, b in pairwise(numbers)):
            raise self.fault(place, "does not rise", want)
        return numbers

    def staged(self, held: object, place: str) -> StageIn:
        if not isinstance(held, Mapping) or set(held) != {"values", "silent_days", "ended_days"}:
            raise self.fault(place, "wrong values", "give exactly values, silent_days, ended_days")
        named = self.listed(held["values"], f"{place}.values", _STAGE)
        silent = self.number(held["silent_days"], f"{place}.silent_days", _FAR_DAYS)
        ended = self.number(held["ended_days"], f"{place}.ended_days", _FAR_DAYS, silent + 1)
        return StageIn(named, silent, ended)

    def text(self, held: object, place: str) -> str:
        if not isinstance(held, str) or not held.strip() or len(held) > _LISTED:
            raise self.fault(place, "is no text", f"write 1 to {_LISTED} characters in quotes")
        return nfc(held)

    def number(self, held: object, place: str, top: int, low: int = 1) -> int:
        if type(held) is not int or not low <= held <= top:
            raise self.fault(place, "is out of range", f"write a whole number from {low} to {top}")
        return held

    def lawful(self, held: object, place: str) -> str:
        name = self.text(held, place)
        if sensitive_word(name, self.sensitive):
            raise self.fault(
                place,
                "names sensitive goods, from which nothing may be inferred",
                "remove this condition",
            )
        return name

    def listed(
        self, held: object, place: str, each: "Callable[[_Reader, object, str], str]"
    ) -> tuple[str, ...]:
        if not isinstance(held, list) or not 1 <= len(held) <= _LISTED:
            raise self.fault(place, "is no list", f"list 1 to {_LISTED} values in brackets")
        return tuple(sorted({each(self, raw, f"{place}[{n}]") for n, raw in enumerate(held, 1)}))

    def matching(self, held: object, place: str, pattern: str, remedy: str) -> str:
        name = self.text(held, place)
        if not re.fullmatch(pattern, name):
            raise self.fault(place, "is not spelt right", remedy)
        return name


_Check = Callable[[_Reader, object, str], Any]


def _days(top: int) -> _Check:
    return lambda reader, held, place: reader.number(held, place, top)


def _list(each: _Check) -> _Check:
    return lambda reader, held, place: reader.listed(held, place, each)


def _spelling(pattern: str, remedy: str) -> _Check:
    return lambda reader, held, place: reader.matching(held, place, pattern, remedy)


_WITHIN = {"within_days": _days(_LONGEST)}
_CURRENCY = _spelling("[A-Z]{3}", "write an ISO 4217 code such as ZAR")
_KIND = _spelling("|".join(RELATION_KINDS), f"write one of {', '.join(RELATION_KINDS)}")
_RESIDENCE = _spelling("[A-Z]{2}(-[A-Z0-9]{1,3})?", "write an ISO 3166 code such as ZA")
_LANGUAGE = _spelling("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", "write a language tag such as en")
_STAGE = _spelling("|".join(STAGES), f"write one of {', '.join(STAGES)}")
_BOUNDS = {
    "recency": ("days", _LONGEST),
    "frequency": ("lines", _SAFE),
    "monetary": ("minor", _SAFE),
}
_SCORES = frozenset(_BOUNDS) | frozenset(b for b, _ in _BOUNDS.values()) | {"currency"}
_AGE = _spelling("adult|minor", "write adult or minor")

_NAMED: Mapping[str, tuple[Callable[..., Any], Mapping[str, _Check]]] = {
    "bought": (Bought, _WITHIN),
    "bought_in": (BoughtIn, {"group": _Reader.lawful, **_WITHIN}),
    "count_at_least": (CountAtLeast, {"n": _days(_SAFE), **_WITHIN}),
    "spent_at_least": (SpentAtLeast, {"minor": _days(_SAFE), "currency": _CURRENCY, **_WITHIN}),
    "silent_for": (SilentFor, {"days": _days(_LONGEST)}),
    "has_sale": (HasSale, {}),
    "last_sale_older_than": (LastSaleOlderThan, {"days": _days(_FAR_DAYS)}),
    "relation": (Related, {"kind": _KIND, "within_months": _days(_FAR_MONTHS)}),
}
_PLAIN: Mapping[str, tuple[Callable[..., Any], _Check]] = {
    "level_at_least": (LevelAtLeast, lambda r, held, place: r.number(held, place, _TOP_LEVEL, 0)),
    "residence": (ResidenceIn, _list(_RESIDENCE)),
    "place": (PlaceIn, _list(_RESIDENCE)),
    "age_class": (AgeIn, _list(_AGE)),
    "language": (LanguageIn, _list(_LANGUAGE)),
    "interest": (InterestIn, _list(_Reader.lawful)),
}
_GROUPS: Mapping[str, Callable[[tuple[Expression, ...]], Group]] = {
    "all": Every,
    "any": Some,
    "none": Neither,
}
_WORDS: Mapping[Any, str] = {
    **{made: word for word, (made, _) in _NAMED.items()},
    **{made: word for word, (made, _) in _PLAIN.items()},
    **{made: word for word, made in _GROUPS.items()},
    Rfm: "rfm",
    StageIn: "stage",
}
_KNOWN_WORDS = "use one of " + ", ".join(sorted(_WORDS.values()))


def parse_audience(raw: Mapping[str, object], sensitive: frozenset[str] = frozenset()) -> Audience:
    """Read an audience from what a TOML or JSON reader returns.

    Args:
        raw: `name`, `purpose` and `where`; `note` where somebody had to say why.
        sensitive: Names of groups and interests from which nothing may be inferred, in any case.

    Raises:
        InvalidInput: The message names the place (`where.all[2].bought`), the remedy the cure.
    """
    reader = _Reader(frozenset(map(folded, sensitive)), [_NODES])
    if set(raw) - {"note"} != {"name", "purpose", "where"}:
        raise reader.fault("top level", "wrong keys", "give exactly name, purpose and where")
    return Audience(
        reader.text(raw["name"], "name"),
        reader.text(raw["purpose"], "purpose"),
        reader.node(raw["where"], "where"),
        reader.text(raw["note"], "note") if "note" in raw else "",
    )


def spelt(expression: Expression) -> dict[str, Any]:
    """Return the expression as `parse_audience` reads it, parts of groups in canonical order."""
    word = _WORDS[type(expression)]
    if isinstance(expression, Group):
        parts = {events.canonical(each): each for each in map(spelt, expression.parts)}
        return {word: [parts[key] for key in sorted(parts)]}
    held = {each.name: getattr(expression, each.name) for each in fields(expression)}
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in held.items()}
    if word == "rfm":
        return {word: {name: value for name, value in plain.items() if value}}
    return {word: plain if word not in _PLAIN else next(iter(plain.values()))}


def digest(audience: Audience) -> str:
    """Return SHA-256 (hex) over purpose and expression: the same for any order of parts or lists.

    The name is not part of it: renaming an audience selects nobody else.
    """
    body = {"purpose": audience.purpose, "v": 1, "where": spelt(audience.where)}
    return hashlib.sha256(events.canonical(body)).hexdigest()
