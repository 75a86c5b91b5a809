"""Building the next generation: streamed, private, visible only when whole."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from troth.adapters.reach import generation as disk
from troth.adapters.reach.filling import Filling, PersonRow, PurchaseColumns
from troth.errors import Unavailable
from troth.kernel.audience import folded, today
from troth.kernel.columns import Columns
from troth.terms import Instant

KEPT = 2


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
            folder: `data/reach` of a workspace.
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
        return self._rebuilt(at, ledger_size, lambda f: (f.people(people), f.purchases(purchases)))

    def rebuild_pages(
        self,
        pages: Iterable[tuple[Sequence[PersonRow], Columns]],
        at: Instant,
        ledger_size: int,
        progress: Callable[[int], None] = lambda _done: None,
    ) -> disk.Generation:
        """Build the next generation from people and their purchases together, read once.

        As `rebuild`; a page's purchases are of its own people alone.

        Args:
            pages: People, and what was opened of them.
            at: As in `rebuild`.
            ledger_size: As in `rebuild`.
            progress: Told how many people are in so far.
        """
        return self._rebuilt(at, ledger_size, lambda f: f.pages(pages, progress))

    def _rebuilt(
        self, at: Instant, ledger_size: int, fill: Callable[[Filling], tuple[int, int]]
    ) -> disk.Generation:
        duckdb, _ = disk.parts()
        disk.private_folder(self._folder)
        with disk.only_writer(self._folder):
            disk.sweep(self._folder)
            number = max([0, *disk.numbers(self._folder)]) + 1
            building = self._folder / f"{disk.BUILDING}{number:06d}"
            disk.private_folder(building)
            disk.touch_private(building / disk.HOLD)
            try:
                counts = self._fill(building, fill, at)
                path = disk.folder_of(self._folder, number) / disk.DATABASE
                return self._show(
                    building, disk.Generation(number, ledger_size, at, path, *counts)
                )
            except (duckdb.Error, OSError):
                raise Unavailable(
                    "the next reach generation cannot be written", "free disk space, then repeat"
                ) from None
            finally:
                disk.sweep(self._folder)

    def _fill(
        self, building: Path, fill: Callable[[Filling], tuple[int, int]], at: Instant
    ) -> tuple[int, int]:
        path = building / disk.DATABASE
        connection = disk.connect(path, building / disk.SPILL, self._memory, "write")
        try:
            path.chmod(0o600)
            filling = Filling(connection, self._scopes, self._sensitive, today(at))
            counts = fill(filling)
            filling.finish()
        finally:
            connection.close()
        disk.sync(path)
        return counts

    def _show(self, building: Path, made: disk.Generation) -> disk.Generation:
        shutil.rmtree(building / disk.SPILL)
        disk.sync(building)
        building.rename(made.path.parent)
        disk.sync(self._folder)
        disk.write_pointer(self._folder, made)
        for number in disk.numbers(self._folder)[:-KEPT]:
            disk.drop(self._folder, number)
        return made

    def prune(self, keep: int = KEPT) -> int:
        """Delete generations older than the newest `keep` that no reader holds; return how many.

        After erasures call it with 1: the generation before still holds the erased people.
        """
        current = disk.read_pointer(self._folder)
        with disk.only_writer(self._folder):
            old = [n for n in disk.numbers(self._folder) if current and n <= current.number][
                :-keep
            ]
            return sum(disk.drop(self._folder, number) for number in old)
