"""The form of a segment: rows of conditions, to and from an expression; no script needed.

A segment of the form is: all of some conditions, at least one of others, none of a third list.
Whatever is built otherwise is written as text.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from troth.errors import InvalidInput
from troth.kernel import audience

ROWS_MOST = 40
SECTIONS = {
    "a": "All of these hold",
    "o": "At least one of these holds",
    "n": "None of these holds",
}
KINDS = [(kind, kind) for kind in audience.RELATION_KINDS]
_GROUPS = {"a": "all", "o": "any", "n": "none"}
_ROW = re.compile(r"([aon])(\d{1,2})\.word")


@dataclass(frozen=True, slots=True)
class Param:
    """One value of a condition: its name, its label, how it is written, where it begins."""

    name: str
    label: str
    kind: str
    start: str = ""
    options: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """One kind of condition the form offers."""

    word: str
    label: str
    params: tuple[Param, ...] = ()


_DAYS = Param("within_days", "in the last (days)", "number", "91")
WORDS: Mapping[str, Word] = {
    w.word: w
    for w in (
        Word("has_sale", "Bought at some time"),
        Word("last_sale_older_than", "Bought last long ago", (
            Param("days", "at least (days ago)", "number", "90"),)),
        Word("stage", "Stage of the relation", (
            Param("values", "is", "checks", "lapsed",
                  [("prospect", "prospect"), ("customer", "customer"),
                   ("lapsed", "fell silent"), ("ended", "former customer")]),
            Param("silent_days", "silent after (days)", "number", "90"),
            Param("ended_days", "former after (days)", "number", "730"))),
        Word("bought", "Bought something", (_DAYS,)),
        Word("bought_in", "Bought from a group of goods", (
            Param("group", "group", "text", ""), _DAYS)),
        Word("count_at_least", "Bought often", (
            Param("n", "at least (purchase lines)", "number", "3"), _DAYS)),
        Word("spent_at_least", "Spent at least", (
            Param("minor", "amount", "money", "500.00"),
            Param("currency", "currency", "text", "ZAR"), _DAYS)),
        Word("silent_for", "Bought nothing", (
            Param("days", "in the last (days)", "number", "90"),)),
        Word("rfm", "Scores: how recently, often, much", (
            Param("recency", "recently, score", "range", "4-5"),
            Param("days", "thresholds (days)", "numbers", "14, 30, 60, 120"),
            Param("frequency", "often, score", "range", ""),
            Param("lines", "thresholds (purchase lines)", "numbers", "3, 10, 30, 80"),
            Param("monetary", "much, score", "range", ""),
            Param("minor", "thresholds (cents)", "numbers", "20000, 60000, 150000, 400000"),
            Param("currency", "currency", "text", "ZAR"))),
        Word("interest", "Told an interest", (Param("", "one of (commas between)", "list", ""),)),
        Word("place", "Lives in", (
            Param("", "countries or parts, like ZA, CA-ON", "list", "ZA"),)),
        Word("language", "Reads", (Param("", "languages, like en, af", "list", "en"),)),
        Word("age_class", "Age", (
            Param("", "is", "checks", "adult", [("adult", "of age"), ("minor", "a minor")]),)),
        Word("level_at_least", "Chose a level", (Param("", "at least level", "number", "2"),)),
        Word("relation", "Has a relation", (
            Param("kind", "kind", "choice", "sale", KINDS),
            Param("within_months", "in the last (months)", "number", "12"))),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One condition as the form holds it: texts, as they were typed."""

    section: str
    word: str
    values: Mapping[str, str]

    @property
    def shape(self) -> Word:
        """What kind of condition it is."""
        return WORDS[self.word]


@dataclass(frozen=True, slots=True)
class Draft:
    """A segment while it is written.

    Attributes:
        text: Its TOML; used where `expert` is set.
        seen: The version it was begun from, 0 none.
    """

    name: str = ""
    purpose: str = ""
    rows: tuple[Row, ...] = ()
    text: str = ""
    expert: bool = False
    seen: int = 0
    reason: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def section(self, code: str) -> list[tuple[str, Row]]:
        """Return the rows of one section, each with the stem of its fields' names."""
        held = [row for row in self.rows if row.section == code]
        return [(f"{code}{n}", row) for n, row in enumerate(held)]


def fresh(section: str, word: str) -> Row:
    """Return a new condition with the values it begins with.

    Raises:
        InvalidInput: There is no such word or section.
    """
    if word not in WORDS or section not in SECTIONS:
        raise InvalidInput("there is no such condition", "choose one from the list")
    return Row(section, word, {p.name: p.start for p in WORDS[word].params})


def read_form(form: Mapping[str, Sequence[str]]) -> Draft:
    """Read what was submitted; nothing in it is believed yet.

    Raises:
        InvalidInput: More conditions than the form can hold.
    """
    found = sorted(m for key in form if (m := _place(key)))
    if len(found) > ROWS_MOST:
        raise InvalidInput(f"a segment of the form has at most {ROWS_MOST} conditions", "use less")
    rows = []
    for section, number in found:
        stem = f"{section}{number}"
        word = form[f"{stem}.word"][0]
        if word in WORDS:
            given = {
                p.name: ", ".join(form.get(f"{stem}.{p.name}", [""])) for p in WORDS[word].params
            }
            rows.append(Row(section, word, given))
    seen = _one(form, "seen")
    return Draft(
        _one(form, "name").strip(),
        _one(form, "purpose"),
        tuple(rows),
        _one(form, "text"),
        _one(form, "mode") == "text",
        int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 9 else 0,  # noqa: PLR2004
        _one(form, "reason"),
    )


def _place(key: str) -> tuple[str, int] | None:
    found = _ROW.fullmatch(key)
    return (found[1], int(found[2])) if found else None


def _one(form: Mapping[str, Sequence[str]], name: str) -> str:
    return form.get(name, [""])[0]


def written(draft: Draft) -> str:
    """Return the TOML of a draft: its text, or what its rows say.

    Raises:
        InvalidInput: A value is not what its field wants; names condition and field.
    """
    if draft.expert:
        return draft.text
    raw = {"name": draft.name, "purpose": draft.purpose, "where": _where(draft)}
    return audience.written(audience.parse_audience(raw))


def _where(draft: Draft) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for code, group in _GROUPS.items():
        held = [{row.word: _held(row)} for row in draft.rows if row.section == code]
        parts += held if code == "a" else [{group: held}] if held else []
    if not parts:
        raise InvalidInput("this segment has no condition yet", "add one")
    return {"all": parts}


def _held(row: Row) -> Any:  # noqa: ANN401 - what a TOML reader returns
    params = [p for p in row.shape.params if _counts(row, p)]
    made = {p.name: _READ[p.kind](row, p) for p in params}
    return made.get("", made)


_BOUND = {"days": "recency", "lines": "frequency", "minor": "monetary", "currency": "monetary"}


def _counts(row: Row, param: Param) -> bool:
    """Say whether a value counts: of scores, only those written, and their thresholds."""
    if row.word != "rfm":
        return True
    return bool(row.values.get(_BOUND.get(param.name, param.name), "").strip())


def _wrong(row: Row, param: Param, want: str) -> InvalidInput:
    label = param.label or param.name
    return InvalidInput(f"{row.shape.label}: “{label}” does not read", want)


def _number(row: Row, param: Param) -> int:
    text = row.values[param.name].strip().replace(",", "").replace(" ", "")
    if not (text.isascii() and text.isdigit() and len(text) < 15):  # noqa: PLR2004
        raise _wrong(row, param, "write a whole number")
    return int(text)


def _money(row: Row, param: Param) -> int:
    try:
        amount = Decimal(row.values[param.name].strip().replace(",", "").replace(" ", "")) * 100
        if not amount.is_finite() or amount != int(amount) or not 0 < amount < 2**53:
            raise _wrong(row, param, "write an amount like 500.00")
    except InvalidOperation:
        raise _wrong(row, param, "write an amount like 500.00") from None
    return int(amount)


def _list(row: Row, param: Param) -> list[str]:
    found = [part.strip() for part in row.values[param.name].split(",") if part.strip()]
    if not found:
        raise _empty(row, param)
    return found


def _text(row: Row, param: Param) -> str:
    if not (text := row.values[param.name].strip()):
        raise _empty(row, param)
    return text


def _empty(row: Row, param: Param) -> InvalidInput:
    return InvalidInput(f"{row.shape.label}: “{param.label}” is empty", "fill it in")


def _range(row: Row, param: Param) -> list[int]:
    text = row.values[param.name].replace("\u2013", "-").replace(" ", "")
    low, _, high = text.partition("-")
    if low not in "12345" or (high or low) not in "12345" or not low:
        raise _wrong(row, param, "write scores like 4-5, or leave it empty")
    return [int(low), int(high or low)]


def _numbers(row: Row, param: Param) -> list[int]:
    parts = [part.strip() for part in row.values[param.name].split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 15 for part in parts):  # noqa: PLR2004
        raise _wrong(row, param, "write four rising numbers with commas between")
    return [int(part) for part in parts]


_READ: Mapping[str, Callable[[Row, Param], Any]] = {
    "number": _number,
    "money": _money,
    "text": _text,
    "choice": lambda row, param: row.values[param.name],
    "list": _list,
    "checks": _list,
    "range": _range,
    "numbers": _numbers,
}


def loaded(wanted: audience.Audience, seen: int) -> Draft:
    """Return the draft of a published segment: rows where the form can hold it, else text."""
    plain = Draft(wanted.name, wanted.purpose, (), audience.written(wanted), seen=seen)
    rows = _rows(wanted.where)
    expert = rows is None
    return Draft(plain.name, plain.purpose, tuple(rows or ()), plain.text, expert, seen)


def _rows(where: audience.Expression) -> list[Row] | None:
    """Return the rows of an expression; None where it has another shape."""
    parts = where.parts if isinstance(where, audience.Every) else (where,)
    out: list[Row] = []
    met: set[type] = set()
    for part in parts:
        if isinstance(part, audience.Group):
            section = {audience.Some: "o", audience.Neither: "n"}.get(type(part))
            leaves = [_row(section, leaf) for leaf in part.parts] if section else [None]
            if type(part) in met:
                return None
            met.add(type(part))
        else:
            leaves = [_row("a", part)]
        if None in leaves or len(out) + len(leaves) > ROWS_MOST:
            return None
        out += [leaf for leaf in leaves if leaf]
    return out


def _row(section: str | None, leaf: audience.Expression) -> Row | None:
    if section is None or isinstance(leaf, audience.Group):
        return None
    ((word, held),) = audience.spelt(leaf).items()
    if word not in WORDS:
        return None
    given = held if isinstance(held, dict) else {"": held}
    values = {p.name: _typed(p, given.get(p.name)) for p in WORDS[word].params}
    return Row(section, word, values)


def _typed(param: Param, held: Any) -> str:  # noqa: ANN401 - as `spelt` returns it
    if held is None:
        return "" if param.kind == "range" else param.start
    if param.kind == "money":
        return f"{held // 100}.{held % 100:02}"
    if param.kind == "range":
        return "-".join(map(str, held))
    return ", ".join(map(str, held)) if isinstance(held, list) else str(held)
