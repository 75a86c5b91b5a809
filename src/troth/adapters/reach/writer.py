"""Building the next generation from columns: streamed, private, visible only when whole."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from troth.adapters.reach import generation as disk
from troth.errors import InvalidInput
from troth.kernel.audience import INTERESTS, RELATION_KINDS, WINDOWS, Known, folded, today
from troth.terms import PERSON_BYTES, Instant, PersonId

FLUSH_ROWS = 262_144
MOST_BITS = 62
KEPT = 2

_TABLES = """
CREATE TABLE person (
  person INTEGER, psid BLOB, residence VARCHAR, zone VARCHAR, subject VARCHAR, age VARCHAR,
  language VARCHAR, level TINYINT, agreed BIGINT, may BIGINT, interests INTEGER, extra INTEGER,
  last_sale INTEGER, last_inquiry INTEGER, last_contract INTEGER, last_donation INTEGER,
  last_membership INTEGER);
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
    """

    person: PersonId
    known: Known
    may: frozenset[str] = frozenset()
    zone: str = ""
    subject: str = "natural"
    extra: bytes = b""


@dataclass(frozen=True, slots=True)
class PurchaseColumns:
    """Purchases of some persons by columns; a buffer (`array`, numpy, Arrow) is taken uncopied.

    Attributes:
        people: One id per run; a person may have several runs, in one batch or many.
        runs: How many lines each run has.
        days: UTC days; `groups` and `currencies` are places in `names`.
        units: ≤ 0 is a return.
        minor: Signed amount in minor units.
        names: The texts of groups and currencies of this batch.
    """

    people: Sequence[PersonId]
    runs: Sequence[int]
    days: Sequence[int]
    groups: Sequence[int]
    units: Sequence[int]
    minor: Sequence[int]
    currencies: Sequence[int]
    names: Sequence[str]


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
        self.days = days
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

    def _walk(self, place: int, sought: Any) -> tuple[int, bool]:  # noqa: ANN401
        while place < len(self._halves) and self._halves[place][0] == sought[0]:
            if self._halves[place][1] == sought[1]:
                return place, True
            place += 1
        return 0, False


class ReachWriter:
    """Makes generations in one folder; one process at a time, one call at a time."""

    def __init__(
        self,
        folder: Path,
        scopes: Iterable[str] = (),
        sensitive: frozenset[str] = frozenset(),
        memory_mib: int = 1024,
    ) -> None:
        """Write into `folder`, made with mode 0700 if it is not there.

        Args:
            scopes: Every `purpose|channel` whose `may` flags rows carry, at most 62.
            sensitive: Groups and interests that never enter, in any case.
            memory_mib: What DuckDB may take while it builds.
        """
        self._folder = folder
        self._scopes = tuple(scopes)
        self._sensitive = frozenset(map(folded, sensitive))
        self._memory = memory_mib

    def rebuild(
        self,
        people: Iterable[Sequence[PersonRow]],
        purchases: Iterable[PurchaseColumns],
        at: Instant,
        ledger_size: int,
    ) -> disk.Generation:
        """Build the next generation and make it the current one; durable on return.

        Both streams are read once, people first. Behaviour somebody did not agree to, or older
        than they agreed to at `at`, does not enter; nor do purchases of unknown persons.
        About 30 s for 1 million people with 30 purchases each, on one core.

        Raises:
            Conflict: Another process rebuilds; nothing was done.
            InvalidInput: A row is malformed; the current generation is as it was.
            Unavailable: The extra is missing or the disk is full; likewise.
        """
        duckdb, arrow = disk.parts()
        disk.private_folder(self._folder)
        with disk.only_writer(self._folder):
            disk.sweep(self._folder)
            number = max([0, *disk.numbers(self._folder)]) + 1
            building = self._folder / f"{disk.BUILDING}{number:06d}"
            disk.private_folder(building)
            disk.touch_private(building / disk.HOLD)
            try:
                counts = self._fill(building, arrow, people, purchases, at)
                return self._show(building, disk.Generation(
                    number, ledger_size, at, disk.folder_of(self._folder, number) / disk.DATABASE, *counts
                ))
            except (duckdb.Error, OSError):
                raise disk.Unavailable(
                    "the next reach generation cannot be written", "free disk space, then repeat"
                ) from None
            finally:
                disk.sweep(self._folder)

    def prune(self, keep: int = KEPT) -> int:
        """Delete generations older than the newest `keep` that no reader holds; return how many.

        After erasures call it with 1: the generation before still holds the erased people.
        """
        current = disk.read_pointer(self._folder)
        with disk.only_writer(self._folder):
            old = [n for n in disk.numbers(self._folder) if current and n <= current.number][:-keep]
            return sum(disk.drop(self._folder, number) for number in old)
