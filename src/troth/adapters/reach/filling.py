"""What enters a generation, by columns; only what each person agreed to."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import troth.adapters.reach.generation as disk
from troth.errors import InvalidInput
from troth.kernel.audience import INTERESTS, RELATION_KINDS, WINDOWS, Known, folded
from troth.kernel.columns import Columns
from troth.terms import DAY, PERSON_BYTES, PersonId, nfc

FLUSH_ROWS = 262_144
FLUSH_PEOPLE = 16_384
MOST_BITS = 62

_TABLES = """
CREATE TABLE person (
  person INTEGER, psid BLOB, residence VARCHAR, zone VARCHAR, subject VARCHAR, age VARCHAR,
  language VARCHAR, level TINYINT, agreed BIGINT, may BIGINT, interests INTEGER, extra INTEGER,
  last_sale INTEGER, last_inquiry INTEGER, last_contract INTEGER, last_donation INTEGER,
  last_membership INTEGER, shape INTEGER, moments BIGINT[], member BLOB);
CREATE TABLE shape (shape INTEGER, data BLOB);
CREATE TABLE purchase (
  person INTEGER, day INTEGER, grp INTEGER, units INTEGER, minor BIGINT, currency INTEGER);
CREATE TABLE interest (person INTEGER, code INTEGER);
CREATE TABLE code (kind VARCHAR, code BIGINT, name VARCHAR);
CREATE TABLE extra (extra INTEGER, data BLOB);
"""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person as narrowing may know them.

    Attributes:
        known: Facts and what was agreed; its `purchases` are not read: they come in columns.
        may: Scopes (`purpose|channel`) in which the person is not refused at every instant.
        extra: Facts a preview decides by, in the caller's own spelling: equal bytes, equal
            decision. `reasons_profile` returns them once per group.
        split: Shape and moments of `kernel.profiles.split`; `Groups` groups by them.
        member: Keyed digest by which a set's root knows the person.
    """

    person: PersonId
    known: Known
    may: frozenset[str] = frozenset()
    zone: str = ""
    subject: str = "natural"
    extra: bytes = b""
    split: tuple[bytes, tuple[int, ...]] = (b"", ())
    member: bytes = b""


@dataclass(frozen=True, slots=True)
class PurchaseColumns:
    """Purchases of some persons by columns; a buffer (`array`, numpy, Arrow) is taken uncopied.

    Attributes:
        people: One id per run; a person may have several runs, in one batch or many.
        runs: How many lines each run has.
        days: UTC days.
        groups: Places in `names`, the texts of the product groups of this batch.
        units: ≤ 0 is a return.
        minor: Signed amount in minor units.
        currencies: Places in `money`, the ISO 4217 codes of this batch.
    """

    people: Sequence[PersonId]
    runs: Sequence[int]
    days: Sequence[int]
    groups: Sequence[int]
    units: Sequence[int]
    minor: Sequence[int]
    currencies: Sequence[int]
    names: Sequence[str]
    money: Sequence[str]


class _Codes:
    """Small numbers for texts, given in the order they are met."""

    def __init__(self) -> None:
        self.codes: dict[Any, int] = {}

    def __call__(self, name: Any) -> int:  # noqa: ANN401 - texts or bytes
        return self.codes.setdefault(name, len(self.codes))


class _Bits:
    """A set of names as a bit mask."""

    def __init__(self, what: str, names: Iterable[str] = ()) -> None:
        self._what = what
        self.bits: dict[str, int] = {}
        self._masks: dict[frozenset[str], int] = {}
        self.mask(frozenset(names))

    def mask(self, names: frozenset[str]) -> int:
        if (made := self._masks.get(names)) is None:
            for name in sorted(names):
                self.bits.setdefault(name, 1 << len(self.bits))
            if len(self.bits) > MOST_BITS:
                raise InvalidInput(f"reach holds at most {MOST_BITS} {self._what}", "use fewer")
            made = self._masks[names] = sum(self.bits[name] for name in names)
        return made


class _Places:
    """Where each person lies, and how far back their purchases may go: 24 bytes a person."""

    def __init__(self, numpy: Any, psids: bytes, days: Any) -> None:  # noqa: ANN401
        self._np = numpy
        halves = numpy.frombuffer(psids, dtype=">u8").reshape(-1, 2).astype("u8")
        self._order = numpy.lexsort((halves[:, 1], halves[:, 0])).astype("i4")
        self._halves = halves[self._order]
        self._days = days
        if len(halves) and (self._halves[1:] == self._halves[:-1]).all(axis=1).any():
            raise InvalidInput("a person was handed in twice", "hand in each person once")

    def find(self, people: Sequence[PersonId]) -> Any:  # noqa: ANN401
        """Return the local number of each id, -1 for one that was not handed in."""
        np = self._np
        sought = np.frombuffer(b"".join(people), dtype=">u8").reshape(-1, 2).astype("u8")
        if not len(self._order):
            return np.full(len(sought), -1, dtype="i4")
        place = np.searchsorted(self._halves[:, 0], sought[:, 0])
        place = np.minimum(place, len(self._order) - 1)
        hit = (self._halves[place] == sought).all(axis=1)
        for n in np.flatnonzero(~hit):  # nearly none: strangers, or equal first halves
            place[n], hit[n] = self._walk(place[n], sought[n])
        return np.where(hit, self._order[place], -1)

    def days_of(self, places: Any) -> Any:  # noqa: ANN401
        """Return how many days back the purchases of each may go; 0 for strangers."""
        if not len(self._days):
            return places * 0
        return self._np.where(places >= 0, self._days[places], 0)

    def _walk(self, place: int, sought: Any) -> tuple[int, bool]:  # noqa: ANN401
        while place < len(self._halves) and self._halves[place][0] == sought[0]:
            if self._halves[place][1] == sought[1]:
                return place, True
            place += 1
        return 0, False


class Filling:
    """Fills the tables of one generation, people first."""

    def __init__(
        self,
        connection: Any,  # noqa: ANN401
        scopes: Sequence[str],
        sensitive: frozenset[str],
        day: int,
    ) -> None:
        """Make the tables; `day` is the UTC day the generation is of."""
        import numpy as np  # noqa: PLC0415 - in the extra [reach]

        self._np = np
        self._connection = connection
        self._arrow = disk.parts()[1]
        self._sensitive = sensitive
        self._day = day
        self._agreed = _Bits("categories")
        self._may = _Bits("scopes", scopes)
        self._interests, self._groups, self._money = _Codes(), _Codes(), _Codes()
        self._known_interests: dict[str, int] = {}
        self._extras, self._shapes = _Codes(), _Codes()
        self._places = _Places(np, b"", np.zeros(0, "i2"))
        connection.execute("BEGIN")
        connection.execute(_TABLES)

    def people(self, batches: Iterable[Sequence[PersonRow]]) -> int:
        """Take every person; return how many."""
        psids, days, taken = bytearray(), array("h"), 0
        for batch in batches:
            self._insert("person", self._person_columns(batch, taken))
            self._insert("interest", self._interest_columns(batch, taken))
            psids += b"".join(_sixteen(row.person) for row in batch)
            days.extend(_reach_days(row.known.agreed) for row in batch)
            taken += len(batch)
        reach = self._np.frombuffer(days, "i2") if taken else self._np.zeros(0, "i2")
        self._places = _Places(self._np, bytes(psids), reach)
        return taken

    def _person_columns(self, batch: Sequence[PersonRow], first: int) -> dict[str, Any]:
        pa = self._arrow
        held = [row.known for row in batch]
        last = {
            f"last_{kind}": pa.array([k.relations.get(kind) for k in held], pa.int32())
            for kind in RELATION_KINDS
        }
        return {
            "person": pa.array(range(first, first + len(batch)), pa.int32()),
            "psid": pa.array([row.person for row in batch], pa.binary()),
            "residence": pa.array([k.residence or None for k in held], pa.string()),
            "zone": pa.array([row.zone for row in batch], pa.string()),
            "subject": pa.array([row.subject for row in batch], pa.string()),
            "age": pa.array([k.age or None for k in held], pa.string()),
            "language": pa.array([k.language or None for k in held], pa.string()),
            "level": pa.array([k.level if k.level >= 0 else None for k in held], pa.int8()),
            "agreed": pa.array([self._agreed.mask(k.agreed) for k in held], pa.int64()),
            "may": pa.array([self._allowed(row) for row in batch], pa.int64()),
            "interests": pa.array(
                [None if (told := _told(k)) is None else len(told) for k in held], pa.int32()
            ),
            "extra": pa.array([self._extras(row.extra) for row in batch], pa.int32()),
            "shape": pa.array([self._shapes(row.split[0]) for row in batch], pa.int32()),
            "moments": pa.array([row.split[1] for row in batch], pa.list_(pa.int64())),
            "member": pa.array([row.member for row in batch], pa.binary()),
            **last,
        }

    def _allowed(self, row: PersonRow) -> int:
        if not row.may <= self._may.bits.keys():
            raise InvalidInput(
                "a row carries a scope the writer was not made for", "name every scope to it"
            )
        return self._may.mask(row.may)

    def _interest_columns(self, batch: Sequence[PersonRow], first: int) -> dict[str, Any]:
        pairs = [
            (place, code)
            for place, row in enumerate(batch, first)
            for name in _told(row.known) or ()
            if (code := self._interest(name)) >= 0
        ]
        return {
            "person": self._arrow.array([p for p, _ in pairs], self._arrow.int32()),
            "code": self._arrow.array([c for _, c in pairs], self._arrow.int32()),
        }

    def pages(
        self,
        pages: Iterable[tuple[Sequence[PersonRow], Columns]],
        progress: Callable[[int], None],
    ) -> tuple[int, int]:
        """Take people together with what was opened of them; return how many, and lines.

        Raises:
            InvalidInput: A person was handed in twice, or purchases of somebody of another page.
        """
        psids, taken, lines = bytearray(), 0, 0
        people: list[PersonRow] = []
        bought: list[dict[str, Any]] = []
        for rows, columns in pages:
            if columns.people:
                bought.append(self._opened_columns(rows, columns, taken + len(people)))
            people += rows
            if len(people) >= FLUSH_PEOPLE:
                taken += self._flush_people(people, psids, taken)
                progress(taken)
            if sum(len(each["person"]) for each in bought) >= FLUSH_ROWS:
                lines += self._flush(bought)
        taken += self._flush_people(people, psids, taken)
        lines += self._flush(bought)
        progress(taken)
        _Places(self._np, bytes(psids), self._np.zeros(taken, "i2"))  # refuses a person twice
        return taken, lines

    def _flush_people(self, people: list[PersonRow], psids: bytearray, first: int) -> int:
        self._insert("person", self._person_columns(people, first))
        self._insert("interest", self._interest_columns(people, first))
        psids += b"".join([_sixteen(row.person) for row in people])
        count = len(people)
        people.clear()
        return count

    def _opened_columns(
        self, rows: Sequence[PersonRow], columns: Columns, first: int
    ) -> dict[str, Any]:
        """Turn a page's columns of bytes into the table's, without what may not enter."""
        np = self._np
        places = {row.person: n for n, row in enumerate(rows)}
        try:
            whose = np.array([places[person] for person in columns.people], "i4")
        except KeyError:
            raise InvalidInput("purchases came in with another page than their person") from None
        runs = np.array(columns.runs, "i4")
        reach = np.array([_reach_days(row.known.agreed) for row in rows], "i4")
        sizes = np.array(columns.sizes, "i4")
        base = np.repeat((np.cumsum(sizes) - sizes).astype("i4"), runs)
        item = np.frombuffer(b"".join(columns.item), ">u4")
        if len(item) and (item >= np.repeat(sizes, runs)).any():
            raise _malformed()
        group = np.array([self._group(name) for name in columns.groups], "i4")
        money = np.array([self._currency(name) for name in columns.money], "i4")
        instants = np.frombuffer(b"".join(columns.at), ">i8")
        day = (instants // DAY).astype("i4")
        grp = group[np.array(columns.item_groups, "i4")[base + item]]
        enters = (grp >= 0) & (day > self._day - np.repeat(reach[whose], runs))
        found = {
            "person": np.repeat(whose + np.int32(first), runs),
            "day": day,
            "grp": grp,
            "units": np.frombuffer(b"".join(columns.units), ">i4").astype("i4"),
            "minor": np.frombuffer(b"".join(columns.minor), ">i8").astype("i8"),
            "currency": np.repeat(money[np.array(columns.currencies, "i4")], runs),
        }
        return found if enters.all() else {k: column[enters] for k, column in found.items()}

    def purchases(self, batches: Iterable[PurchaseColumns]) -> int:
        """Take every purchase line that may enter; return how many did."""
        taken, waiting = 0, list[dict[str, Any]]()
        for batch in batches:
            waiting.append(self._purchase_columns(batch))
            if sum(len(each["person"]) for each in waiting) >= FLUSH_ROWS:
                taken += self._flush(waiting)
        return taken + self._flush(waiting)

    def _flush(self, waiting: list[dict[str, Any]]) -> int:
        if not waiting:
            return 0
        whole = {
            name: self._np.concatenate([each[name] for each in waiting]) for name in waiting[0]
        }
        waiting.clear()
        self._insert("purchase", {k: self._arrow.array(v) for k, v in whole.items()})
        return len(whole["person"])

    def _purchase_columns(self, batch: PurchaseColumns) -> dict[str, Any]:
        np = self._np
        try:
            found = {
                "day": np.asarray(batch.days, "i4"),
                "grp": self._coded(batch.groups, batch.names, self._group),
                "units": np.asarray(batch.units, "i4"),
                "minor": np.asarray(batch.minor, "i8"),
                "currency": self._coded(batch.currencies, batch.money, self._currency),
            }
            person = np.repeat(self._places.find(batch.people), np.asarray(batch.runs, "i8"))
        except (ValueError, IndexError, OverflowError, TypeError):
            raise _malformed() from None
        if any(len(column) != len(person) for column in found.values()):
            raise _malformed()
        oldest = self._day - self._places.days_of(person)
        enters = (person >= 0) & (found["grp"] >= 0) & (found["day"] > oldest)
        return {name: column[enters] for name, column in ({"person": person} | found).items()}

    def _coded(
        self, places: Sequence[int], names: Sequence[str], code: Callable[[str], int]
    ) -> Any:  # noqa: ANN401
        at = self._np.asarray(places, "i4")
        if len(at) and at.min() < 0:
            raise _malformed()
        return self._np.array([code(name) for name in names], "i4")[at]

    def _interest(self, name: str) -> int:
        """Return an interest's code, -1 for one that never enters; each word is read once."""
        code = self._known_interests.get(name)
        if code is None:
            sensitive = folded(name) in self._sensitive
            code = self._known_interests[name] = -1 if sensitive else self._interests(nfc(name))
        return code

    def _group(self, name: str) -> int:
        return -1 if folded(name) in self._sensitive else self._groups(nfc(name))

    def _currency(self, name: str) -> int:
        return self._money(name)

    def finish(self) -> None:
        """Write the code tables and commit."""
        codes = {
            "agreed": self._agreed.bits,
            "may": self._may.bits,
            "interest": self._interests.codes,
            "group": self._groups.codes,
            "currency": self._money.codes,
        }
        flat = [(kind, code, name) for kind, held in codes.items() for name, code in held.items()]
        kinds, numbers, names = zip(*flat, strict=True) if flat else ((), (), ())
        pa = self._arrow
        self._insert(
            "code",
            {
                "kind": pa.array(kinds, pa.string()),
                "code": pa.array(numbers, pa.int64()),
                "name": pa.array(names, pa.string()),
            },
        )
        extras = self._extras.codes
        self._insert(
            "extra",
            {
                "extra": pa.array(extras.values(), pa.int32()),
                "data": pa.array(extras.keys(), pa.binary()),
            },
        )
        shapes = self._shapes.codes
        self._insert(
            "shape",
            {
                "shape": pa.array(shapes.values(), pa.int32()),
                "data": pa.array(shapes.keys(), pa.binary()),
            },
        )
        self._connection.execute("COMMIT")
        self._connection.execute("CHECKPOINT")

    def _insert(self, table: str, columns: dict[str, Any]) -> None:
        self._connection.register("incoming", self._arrow.table(columns))
        self._connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608 - table is ours
        self._connection.unregister("incoming")


def _malformed() -> InvalidInput:
    return InvalidInput(
        "purchase columns differ in length, or a number does not fit", "check the batch"
    )


def _sixteen(person: PersonId) -> PersonId:
    if len(person) != PERSON_BYTES:
        raise InvalidInput(f"a person's id has {PERSON_BYTES} bytes, not {len(person)}")
    return person


def _reach_days(agreed: frozenset[str]) -> int:
    return max((days for days, name in WINDOWS if name in agreed), default=0)


def _told(known: Known) -> frozenset[str] | None:
    return known.interests if INTERESTS in known.agreed else None
