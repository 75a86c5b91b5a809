"""Reading the current generation: narrow, count, profiles; follows the pointer by itself."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from troth.adapters.reach import generation as disk
from troth.adapters.reach.query import EXCLUDED, Ask, compiled
from troth.errors import InvalidInput, NotFound, Unavailable
from troth.kernel.audience import Audience, today
from troth.terms import Instant, PersonId

BATCH = 10_000
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Profile:
    """Facts some people share, and how many they are; texts are "" and level is -1 if unknown.

    Attributes:
        agreed: Categories these people agreed to when the generation was built.
        may: Scopes in which they are not refused at every instant.
        extra: What the writer was given as `PersonRow.extra`.
    """

    residence: str
    zone: str
    subject: str
    age: str
    language: str
    level: int
    agreed: frozenset[str]
    may: frozenset[str]
    extra: bytes
    people: int


@dataclass(slots=True)
class _Open:
    """One generation held open: a shared lock, a connection, the code tables."""

    generation: disk.Generation
    handle: int
    connection: Any
    codes: dict[tuple[str, str], int]
    users: int = field(default=0)

    def close(self) -> None:
        self.connection.close()
        os.close(self.handle)

    def names(self, kind: str, mask: int) -> frozenset[str]:
        return frozenset(
            name for (of, name), bit in self.codes.items() if of == kind and mask & bit
        )


class Reach:
    """The reading side; may be shared by threads."""

    def __init__(self, folder: Path, memory_mib: int = 1024) -> None:
        """Read from `folder`; nothing is opened yet. Prefer `Reach.open`."""
        self._folder = folder
        self._memory = memory_mib
        self._lock = threading.Lock()
        self._open: _Open | None = None

    @classmethod
    def open(cls, folder: Path, memory_mib: int = 1024) -> "Reach":
        """Read from `folder`, which may be empty or not exist yet.

        Args:
            folder: `data/reach` of a workspace.
            memory_mib: What one process's audience queries may take together.

        Raises:
            Unavailable: The extra is not installed.
        """
        disk.parts()
        return cls(folder, memory_mib)

    def current(self) -> disk.Generation | None:
        """Return the newest generation, None before the first rebuild; reads one small file."""
        return disk.read_pointer(self._folder)

    def narrow(
        self, audience: Audience, at: Instant, exclude: Iterable[PersonId] = (), scope: str = ""
    ) -> Iterator[list[PersonId]]:
        """Yield the people of whom the audience is true, in lists of at most 10,000.

        They are candidates: the gate decides about each. One generation serves the whole call.

        Args:
            audience: Whom to find.
            at: The instant windows end at; not before the generation's.
            exclude: People changed since the generation, or erased: not in the answer.
            scope: `purpose|channel`; leaves out who is refused there at every instant. A scope
                the writer was not made for leaves out nobody.

        Raises:
            NotFound: There is no generation yet.
            InvalidInput: `at` lies before the generation's day.
            Unavailable: The extra is missing or the file is damaged.
        """
        with self._asked(Ask(audience.where, "people", scope), at, exclude) as (_, cursor):
            while rows := cursor.fetchmany(BATCH):
                yield [PersonId(psid) for (psid,) in rows]

    def count(
        self, audience: Audience, at: Instant, exclude: Iterable[PersonId] = (), scope: str = ""
    ) -> int:
        """Return how many people `narrow` would yield; raises as it does."""
        with self._asked(Ask(audience.where, "count", scope), at, exclude) as (_, cursor):
            return int(cursor.fetchone()[0])

    def reasons_profile(
        self, audience: Audience, at: Instant, exclude: Iterable[PersonId] = (), scope: str = ""
    ) -> Iterator[Profile]:
        """Yield each distinct set of facts among these people once, with its count.

        A preview decides once per profile; small counts are personal data: do not show them.
        """
        with self._asked(Ask(audience.where, "profiles", scope), at, exclude) as (held, cursor):
            while rows := cursor.fetchmany(BATCH):
                yield from (_profile(held, row) for row in rows)

    @contextmanager
    def _asked(
        self, ask: Ask, at: Instant, exclude: Iterable[PersonId]
    ) -> Iterator[tuple[_Open, Any]]:
        """Run a question on a cursor of its own, left out people left out."""
        with self.reading() as held:
            if today(at) < today(held.generation.at):
                raise InvalidInput(
                    "the instant lies before the reach generation", "ask for today, or rebuild"
                )
            cursor = held.connection.cursor()
            try:
                without = EXCLUDED if _leave_out(cursor, exclude) else ""
                scope = ask.scope if ("may", ask.scope) in held.codes else ""
                statement = compiled(Ask(ask.where, ask.form, scope, without))
                cursor.execute(statement.sql, statement.bind(held.codes, at))
                yield held, cursor
            finally:
                cursor.close()

    @contextmanager
    def reading(self) -> Iterator[_Open]:
        """Hold the newest generation open; it stays on disk until this is left."""
        with self._lock:
            held = self._fresh()
            held.users += 1
        try:
            yield held
        finally:
            with self._lock:
                held.users -= 1
                if held is not self._open and not held.users:
                    held.close()

    def _fresh(self) -> _Open:
        """Return the newest generation opened; one no longer current closes with its last user."""
        newest = disk.read_pointer(self._folder)
        if newest is None:
            raise NotFound("there is no reach generation yet", disk.REBUILD)
        if self._open is None or self._open.generation != newest:
            before, self._open = self._open, self._take()
            if before is not None and not before.users:
                before.close()
        return self._open

    def _take(self) -> _Open:
        for _ in range(_TRIES):
            newest = disk.read_pointer(self._folder)
            if newest is not None and (handle := disk.hold(newest)) is not None:
                return self._opened(newest, handle)
        raise Unavailable("the current reach generation is missing", disk.REBUILD)

    def _opened(self, generation: disk.Generation, handle: int) -> _Open:
        disk.private_folder(self._folder / disk.SPILL)
        spill = self._folder / disk.SPILL / f"{os.getpid()}-{generation.number}"
        try:
            connection = disk.connect(generation.path, spill, self._memory, "read")
            rows = connection.execute("SELECT kind, name, code FROM code").fetchall()
        except BaseException:
            os.close(handle)
            raise
        return _Open(generation, handle, connection, {(kind, name): n for kind, name, n in rows})

    def close(self) -> None:
        """Let go of the generation; a running question finishes first."""
        with self._lock:
            held, self._open = self._open, None
            if held is not None and not held.users:
                held.close()


def _profile(held: _Open, row: tuple[Any, ...]) -> Profile:
    residence, zone, subject, age, language, level, agreed, may, extra, people = row
    return Profile(
        residence or "",
        zone,
        subject,
        age or "",
        language or "",
        -1 if level is None else level,
        held.names("agreed", agreed),
        held.names("may", may),
        extra,
        people,
    )


def _leave_out(cursor: Any, exclude: Iterable[PersonId]) -> int:  # noqa: ANN401
    """Put the local numbers of these people into the table `excluded`; return how many."""
    _, arrow = disk.parts()
    psids = arrow.array(list(exclude), arrow.binary())
    if not len(psids):
        return 0
    cursor.register("named", arrow.table({"psid": psids}))
    found = cursor.sql("SELECT person FROM person SEMI JOIN named USING (psid)").to_arrow_table()
    cursor.register(EXCLUDED, found)
    return int(found.num_rows)
