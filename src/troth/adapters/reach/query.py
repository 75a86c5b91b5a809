"""An audience as SQL: Ibis compiles the expression once per engine, values stay outside.

Every value is a place-holder: the SQL depends on the words of an audience and the number of
values in its lists, on nothing else, and no text of anybody enters it. What a place stands for
(`Slot`) becomes a number or text per generation and instant.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from operator import and_, or_
from typing import Any, Literal, NamedTuple

from troth.adapters.reach.generation import missing
from troth.kernel import audience as words
from troth.terms import Instant

EXCLUDED = "excluded"
COARSE = ("residence", "zone", "subject", "age", "language", "level", "agreed", "may", "extra")
_PERSON = (
    dict.fromkeys(("person", "interests", "extra"), "int32")
    | {"psid": "binary", "level": "int8"}
    | dict.fromkeys(("residence", "zone", "subject", "age", "language"), "string")
    | dict.fromkeys(("agreed", "may"), "int64")
    | {f"last_{kind}": "int32" for kind in words.RELATION_KINDS}
)
_PURCHASE = dict.fromkeys(("person", "day", "grp", "units", "currency"), "int32") | {
    "minor": "int64"
}
_INTEREST = {"person": "int32", "code": "int32"}
_NUMBER = "troth_number"
_TEXT = "troth_text"
_PLACE = re.compile(rf"(?:{_NUMBER}|{_TEXT})\((\d+)\)", re.IGNORECASE)
_MARK = {"duckdb": "$", "sqlite": "?"}
_MASKS = frozenset({"agreed", "may"})

GROUPED = ("residence", "age", "language", "subject", "level", "agreed")
INSIDE = -1

Form = Literal["people", "count", "profiles", "standing"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a generation.

    Attributes:
        scope: Only people who may be reached in this `purpose|channel`; "" everybody.
        without: `excluded` leaves out the local numbers in that table; "" nobody.
    """

    where: words.Expression
    form: Form = "people"
    scope: str = ""
    without: str = ""


class Slot(NamedTuple):
    """What a place-holder stands for: a kind of the code table, `day`, `month` or `value`."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Statement:
    """Compiled SQL and what its place-holders $1, $2 … stand for."""

    sql: str
    slots: tuple[Slot, ...]

    def bind(self, codes: Mapping[tuple[str, str], int], at: Instant) -> list[Any]:
        """Return the values for one generation and instant.

        Args:
            codes: (kind, name) → number in the generation; a name it lacks matches nobody.
            at: The instant windows end at.
        """
        day = words.today(at)
        return [_bound(slot, codes, day) for slot in self.slots]


def _bound(slot: Slot, codes: Mapping[tuple[str, str], int], day: int) -> Any:  # noqa: ANN401
    if slot.kind == "value":
        return slot.value
    if slot.kind == "day":
        return day - slot.value
    if slot.kind == "month":
        return words.months_back(day, slot.value)
    return codes.get((slot.kind, slot.value), 0 if slot.kind in _MASKS else -1)


def _ibis() -> Any:  # noqa: ANN401 - the library has no types
    try:
        import ibis  # noqa: PLC0415 - in the extra [reach]; costs 0.25 s
    except ImportError:
        raise missing() from None
    return ibis


def _place(place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - a signature only
    """Stand for a place-holder in an expression; Ibis reads the name, nobody calls it."""


@lru_cache(maxsize=1)
def _marks() -> tuple[Callable[[int], Any], Callable[[int], Any]]:
    make = _ibis().udf.scalar.builtin
    return (
        make(_place, name=_NUMBER, signature=(("int64",), "int64")),
        make(_place, name=_TEXT, signature=(("int64",), "string")),
    )


@dataclass(slots=True)
class _Compiler:
    """Turns one expression into the Ibis table of the people it is true of."""

    slots: list[Slot] = field(default_factory=list)

    def mark(self, kind: str, value: object) -> Any:  # noqa: ANN401
        """Take the next place and return its mark."""
        self.slots.append(Slot(kind, value))
        number, text = _marks()
        made = text if kind == "value" and isinstance(value, str) else number
        return made(len(self.slots))

    def people(self, ask: Ask) -> Any:  # noqa: ANN401
        """Return the people of whom the expression is true."""
        musts = list(_musts(ask.where))
        table = plain = self._plain(ask, musts)
        rest = [each for each in musts if not words.is_plain(each)]
        among = plain if len(rest) < len(musts) or ask.scope else None
        table, columns = self._added(table, rest, among)
        if rest:
            table = table.filter(*[self._holds(each, table, columns) for each in rest])
        if ask.without:
            table = table.anti_join(_ibis().table({"person": "int32"}, name=EXCLUDED), "person")
        return table

    def standing(self, ask: Ask) -> Any:  # noqa: ANN401
        """Count everybody by what keeps them out (`kernel.audience.outside`) and by group.

        `why` is `INSIDE`, or three times the place of the condition plus that of its state.
        """
        asked = words.musts(ask.where)
        plain = [each for each in asked if words.is_plain(each)]
        table = _ibis().table(_PERSON, name="person")
        if ask.without:
            table = table.anti_join(_ibis().table({"person": "int32"}, name=EXCLUDED), "person")
        among = None
        if plain and len(plain) < len(asked):
            tests = [_is_no(self._holds(each, table, {})) for each in plain]
            among = table.filter(~reduce(or_, tests))
        table, columns = self._added(table, asked, among)
        answers = [self._holds(each, table, columns) for each in asked]
        why = self._why(asked, answers, table)
        held = table.select(*GROUPED, why=why)
        return held.group_by(["why", *GROUPED]).aggregate(people=held.count())

    def _why(self, asked: tuple[words.Expression, ...], answers: list[Any], table: Any) -> Any:  # noqa: ANN401
        ibis = _ibis()
        made = ibis.literal(INSIDE, "int32")
        for place, (must, answer) in reversed(list(enumerate(zip(asked, answers, strict=True)))):
            unknown = ibis.literal(3 * place + 2, "int32")
            if needed := sorted(words.needs(must)):
                lacks = reduce(
                    or_, [(table.agreed & self.mark("agreed", name)) == 0 for name in needed]
                )
                unknown = ibis.ifelse(lacks, ibis.literal(3 * place + 1, "int32"), unknown)
            made = ibis.ifelse(_is_unknown(answer), unknown, made)
        for place, answer in reversed(list(enumerate(answers))):
            made = ibis.ifelse(_is_no(answer), ibis.literal(3 * place, "int32"), made)
        return made

    def _added(
        self,
        table: Any,  # noqa: ANN401
        rest: Iterable[words.Expression],
        among: Any,  # noqa: ANN401
    ) -> tuple[Any, dict[Any, str]]:
        """Join what purchases and interests add up to, and say which column holds what."""
        found = [each for must in rest for each in words.predicates(must)]
        bought = [each for each in found if isinstance(each, words.Buying)]
        windows = list(dict.fromkeys(map(words.window, bought)))
        wishes = list(dict.fromkeys(p for p in found if isinstance(p, words.InterestIn)))
        if windows:
            table = table.left_join(self._sums(windows, among), "person").drop("person_right")
        if wishes:
            table = table.left_join(self._hits(wishes, among), "person").drop("person_right")
        columns: dict[Any, str] = {each: f"sum_{n}" for n, each in enumerate(windows)}
        return table, columns | {each: f"hit_{n}" for n, each in enumerate(wishes)}

    def _plain(self, ask: Ask, musts: list[words.Expression]) -> Any:  # noqa: ANN401
        """Filter the people by what their own row says: fewer purchases to add up afterwards."""
        people = _ibis().table(_PERSON, name="person")
        tests = [self._holds(each, people, {}) for each in musts if words.is_plain(each)]
        if ask.scope:
            tests.append((people.may & self.mark("may", ask.scope)) != 0)
        return people.filter(*tests) if tests else people

    def _sums(self, windows: list[words.Window], among: Any) -> Any:  # noqa: ANN401
        """Add up, per person, what each window sums: one pass over the purchases."""
        lines = _ibis().table(_PURCHASE, name="purchase")
        longest = max(each.days for each in windows)
        lines = lines.filter(
            lines.day > self.mark("day", longest), lines.day <= self.mark("day", 0)
        )
        lines = lines if among is None else lines.semi_join(among, "person")
        sums = {f"sum_{n}": self._sum(lines, each) for n, each in enumerate(windows)}
        return lines.group_by("person").aggregate(**sums)

    def _sum(self, lines: Any, window: words.Window) -> Any:  # noqa: ANN401
        inside = lines.day > self.mark("day", window.days)
        if window.currency:
            same = lines.currency == self.mark("currency", window.currency)
            return lines.minor.sum(where=inside & same)
        counted = inside & (lines.units > 0)
        if window.group:
            counted &= lines.grp == self.mark("group", window.group)
        return lines.count(where=counted)

    def _hits(self, wishes: list[words.InterestIn], among: Any) -> Any:  # noqa: ANN401
        told = _ibis().table(_INTEREST, name="interest")
        told = told if among is None else told.semi_join(among, "person")
        hits = {
            f"hit_{n}": told.count(
                where=told.code.isin([self.mark("interest", name) for name in wish.values])
            )
            for n, wish in enumerate(wishes)
        }
        return told.group_by("person").aggregate(**hits)

    def _holds(self, where: words.Expression, table: Any, columns: dict[Any, str]) -> Any:  # noqa: ANN401
        if isinstance(where, words.Rfm):
            where = words.expanded(where)
        if isinstance(where, words.Group):
            parts = [self._holds(part, table, columns) for part in where.parts]
            if isinstance(where, words.Every):
                return reduce(and_, parts)
            either = reduce(or_, parts)
            return either if isinstance(where, words.Some) else ~either
        if isinstance(where, words.Buying):
            return self._buying(words.window(where), table, columns)
        if isinstance(where, words.InterestIn):
            hit = table[columns[where]].coalesce(0) > 0
            return _ibis().ifelse(table.interests.notnull(), hit, _unknown())
        return _FACT[type(where)](self, where, table)

    def _buying(self, window: words.Window, table: Any, columns: dict[Any, str]) -> Any:  # noqa: ANN401
        agreed = (table.agreed & self.mark("agreed", window.category)) != 0
        enough = table[columns[window]].coalesce(0) >= self.mark("value", window.at_least)
        return _ibis().ifelse(agreed, ~enough if window.silent else enough, _unknown())

    def listed(self, column: Any, values: tuple[str, ...]) -> Any:  # noqa: ANN401
        """Say whether a column is one of some texts; null stays unknown."""
        return column.isin([self.mark("value", each) for each in values])

    def placed(self, predicate: words.PlaceIn, table: Any) -> Any:  # noqa: ANN401
        """Say whether a residence lies in a place; a country does not tell its subdivision."""
        home, land = table.residence, table.residence.left(2)
        inside = self.listed(home, predicate.values) | self.listed(land, predicate.values)
        lands = tuple(dict.fromkeys(map(words.country, predicate.values)))
        finer = (home == land) & self.listed(home, lands)
        return _ibis().ifelse(inside, inside, _ibis().ifelse(finer, _unknown(), inside))

    def staged(self, predicate: words.StageIn, table: Any) -> Any:  # noqa: ANN401
        """Say whether a relation stands at a stage; see `kernel.audience.stage`."""
        ibis = _ibis()
        held = [table[f"last_{kind}"] for kind in words.BINDING]
        last = ibis.greatest(*[each.coalesce(words.FIRST) for each in held])
        open_ended = reduce(or_, [table[f"last_{kind}"].notnull() for kind in words.OPEN_ENDED])
        named = {stage: ibis.literal(stage in predicate.values) for stage in words.STAGES}
        gone = last <= self.mark("day", predicate.ended_days)
        idle = ibis.ifelse(gone, named["ended"], named["lapsed"])
        idle = ibis.ifelse(last == words.FIRST, named["prospect"], idle)
        idle = ibis.ifelse(open_ended, _unknown(), idle)
        fresh = last > self.mark("day", predicate.silent_days)
        return ibis.ifelse(fresh, named["customer"], idle)

    def related(self, predicate: words.Related, table: Any) -> Any:  # noqa: ANN401
        """Say whether the newest relation of a kind is young enough; none is a plain no."""
        last = table[f"last_{predicate.kind}"]
        return last.notnull() & (last > self.mark("month", predicate.within_months))


def _musts(where: words.Expression) -> Iterator[words.Expression]:
    """Yield what must all be true for the whole to be true."""
    if isinstance(where, words.Every):
        for part in where.parts:
            yield from _musts(part)
    else:
        yield where


def _is_no(answer: Any) -> Any:  # noqa: ANN401
    return (~answer).coalesce(False)


def _is_unknown(answer: Any) -> Any:  # noqa: ANN401
    """Null, spelt without IS NULL: behind a NOT that would be read as NOT (… IS NULL)."""
    return answer.coalesce(True) & ~answer.coalesce(False)


def _unknown() -> Any:  # noqa: ANN401
    return _ibis().null("boolean")


_FACT: Mapping[type, Callable[[_Compiler, Any, Any], Any]] = {
    words.HasSale: lambda _c, _p, t: t.last_sale.notnull(),
    words.LastSaleOlderThan: lambda c, p, t: t.last_sale <= c.mark("day", p.days),
    words.Related: lambda c, p, t: c.related(p, t),
    words.LevelAtLeast: lambda c, p, t: t.level >= c.mark("value", p.level),
    words.PlaceIn: lambda c, p, t: c.placed(p, t),
    words.StageIn: lambda c, p, t: c.staged(p, t),
    words.ResidenceIn: lambda c, p, t: c.listed(t.residence, p.values),
    words.AgeIn: lambda c, p, t: c.listed(t.age, p.values),
    words.LanguageIn: lambda c, p, t: c.listed(t.language, p.values),
}


def _profiles(chosen: Any) -> Any:  # noqa: ANN401
    groups = chosen.group_by(list(COARSE)).aggregate(people=chosen.count())
    extra = _ibis().table({"extra": "int32", "data": "binary"}, name="extra")
    joined = groups.left_join(extra, "extra")
    return joined.select(*COARSE[:-1], "data", "people")


_FORM: Mapping[str, Callable[[Any], Any]] = {
    "people": lambda chosen: chosen.select("psid"),
    "count": lambda chosen: chosen.aggregate(people=chosen.count()),
    "profiles": _profiles,
}


@lru_cache(maxsize=512)
def compiled(ask: Ask, engine: str = "duckdb") -> Statement:
    """Return the SQL of an audience; the first costs 0.5 s, each next 20 ms, a known one nothing.

    Raises:
        Unavailable: The extra is not installed.
    """
    compiler = _Compiler()
    if ask.form == "standing":
        shown = compiler.standing(ask)
    else:
        shown = _FORM[ask.form](compiler.people(ask))
    sql = str(_ibis().to_sql(shown, dialect=engine, pretty=False))
    return Statement(_PLACE.sub(rf"{_MARK[engine]}\1", sql), tuple(compiler.slots))
