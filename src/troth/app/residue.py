"""What an erasure may have left: every file the house owns is searched for what betrays a person.

Before the erasure its traces are taken into memory: plain values, keys, address codes, ids. They
live in this process until the erasure is finished, nowhere else; after a crash they are gone, then
ids alone are searched for, and the certificate says so.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from troth.adapters import residue as searcher
from troth.app.workspace import Workspace
from troth.capabilities.rights.horizon import Scanned
from troth.errors import EvidenceBroken, NotFound, Unavailable
from troth.kernel import vault
from troth.kernel.desk import everybody
from troth.ports import View
from troth.settings import Settings
from troth.terms import Channel, PersonId

SHORTEST: Final = 8
"""Values of fewer bytes are not searched for: they are found in anything."""
TELLING: Final = ("contact.", "external.", "name.")
"""Fields whose values tell who somebody is; others' values are shared by many."""
PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "record": ("data/record.db*",),
    "audiences": ("data/reach/**/*",),
    "data": ("data/**/*",),
    "keys": ("keys/**/*",),
    "witness": ("witness/**/*",),
    "logs": ("logs/**/*", "log/**/*", "*.log"),
    "spool": ("spool/**/*", "jobs/**/*"),
    "received": ("received/**/*",),
    "exports": ("exports/**/*",),
    "temporary": ("tmp/**/*", "*.tmp", "*.part"),
}
"""Store → where it lies; a file belongs to the first store that names it."""
HELD_IDS: Final = frozenset({"record", "keys", "witness", "audiences"})
"""Stores that keep the random id: as a fence, a commitment or a line that forbids; and the
audiences until their next rebuild, which the certificate names."""
EARLIER: Final = "data/before-*.db"
"""Copies from before an upgrade: they hold everybody. Each certificate names them instead."""
LIMIT_S: Final = 120
SLOWEST: Final = 10_000_000
"""Bytes a second that a search is waited for beyond `LIMIT_S`."""


@dataclass(frozen=True, slots=True, repr=False)
class Traces:
    """What betrays a person; never shown, stored or sent: it has no readable form."""

    values: frozenset[bytes] = frozenset()
    keys: frozenset[bytes] = frozenset()
    addresses: frozenset[bytes] = frozenset()
    ids: frozenset[bytes] = frozenset()

    @property
    def betraying(self) -> frozenset[bytes]:
        """What may be left nowhere; ids may, in the stores that keep them."""
        return self.values | self.keys | self.addresses

    def kinds(self) -> tuple[str, ...]:
        """Return what is known, in the words of a certificate."""
        named = ("values", "keys", "addresses", "ids")
        return tuple(name for name in named if getattr(self, name))


@dataclass(slots=True, repr=False)
class Memory:
    """The traces of erasures under way in this process."""

    held: dict[PersonId, Traces] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_MEMORY = Memory()


# Beforehand it is remembered


def remember(opened: Workspace, person: PersonId) -> None:
    """Take the traces of a person into memory, unless their erasure was begun already."""
    with opened.store.look() as view:
        found = view.gather([person], None)
        if not found or found[0].record.erasing:
            return
        people = everybody(view, person)
        traces = Traces(
            frozenset(_values(opened, view, people)),
            frozenset(_keys(opened, people)),
            frozenset(_addresses(view, people)),
            frozenset(_ids(people)),
        )
    with _MEMORY.lock:
        for each in people:
            _MEMORY.held[each] = traces


def forget(person: PersonId) -> None:
    """Drop the traces of a person, under all their ids: the erasure is finished."""
    with _MEMORY.lock:
        traces = _MEMORY.held.get(person)
        for each in [p for p, kept in _MEMORY.held.items() if kept is traces]:
            del _MEMORY.held[each]


def _values(opened: Workspace, view: View, people: Sequence[PersonId]) -> Iterator[bytes]:
    """Yield values that tell who somebody is, as they are and in small letters.

    A value another person's address code stands for is theirs too, and is left out.
    """
    box = opened.desk.vault
    fields = [name for name in box.fields if name.startswith(TELLING)]
    opened.desk.vault.keys.load(people, view.now)
    shared = {c for c in Channel for each in people if _shared(view, each, c, people)}
    skipped = {f"contact.{channel.value}" for channel in shared}
    for person, rows in view.sealed(people, fields).items():
        told = [row for row in rows if row.field not in skipped]
        for plain in box.traces(person, told, view.now):
            for form in (plain, plain.lower()):
                if len(form) >= SHORTEST:
                    yield form


def _keys(opened: Workspace, people: Sequence[PersonId]) -> Iterator[bytes]:
    """Yield keys wrapped and bare; of one that does not open, wrapped alone."""
    for row in opened.keys.rows(people):
        if row.state == "shredded":
            continue
        yield row.wrapped
        try:
            _, shard = opened.keys.shard_key(vault.shard_of(row.person))
            yield vault.unwrap(shard, opened.desk.workspace, row)
        except (EvidenceBroken, NotFound):
            continue


def _addresses(view: View, people: Sequence[PersonId]) -> Iterator[bytes]:
    """Yield the search codes of addresses nobody else holds; the no-list keeps another code."""
    for channel in Channel:
        for found in view.gather(people, channel):
            if found.contact and not _shared(view, found.person, channel, people):
                yield found.contact.bi


def _shared(view: View, person: PersonId, channel: Channel, people: Sequence[PersonId]) -> bool:
    found = view.gather([person], channel)
    contact = found[0].contact if found else None
    return contact is not None and any(p not in people for p in view.holders(contact.sup))


def _ids(people: Sequence[PersonId]) -> Iterator[bytes]:
    for person in people:
        yield bytes(person)
        yield person.hex().encode()


# Afterwards it is searched


def scan(opened: Workspace, people: Sequence[PersonId]) -> Scanned:
    """Search every file the house owns for what is left of erased people.

    Raises:
        Unavailable: The search did not come to its end; nothing is called complete.
    """
    return scan_all(opened, [people])[0]


def scan_all(opened: Workspace, erased: Sequence[Sequence[PersonId]]) -> list[Scanned]:
    """Search every file once for what is left of many erased people, each with all their ids.

    Returns:
        What was found of each, in order. About 15 s of CPU a GB, however many they are.

    Raises:
        Unavailable: The search did not come to its end; nothing is called complete.
    """
    with _MEMORY.lock:
        traces = [
            _MEMORY.held.get(people[0], Traces(ids=frozenset(_ids(people)))) for people in erased
        ]
    return search(opened.settings, traces)


def search(settings: Settings, traces: Sequence[Traces]) -> list[Scanned]:
    """Search the files of a house for many people's traces; names stores, never a value."""
    files = {path: store for store, path in _files(settings)}
    sought = sorted(frozenset[bytes]().union(*(each.betraying | each.ids for each in traces)))
    told = json.dumps({"files": [str(path) for path in files], "needles": len(sought)})
    answer = _asked("\n".join([told, *(each.hex() for each in sought)]), _limit(files))
    if answer["unread"]:
        raise Unavailable("a file of the house cannot be searched", "check owner and mode")
    hits = [
        (files[Path(name)], {sought[n] for n in numbers})
        for name, numbers in answer["found"].items()
    ]
    return [Scanned(tuple(PLACES), each.kinds(), _found(each, hits)) for each in traces]


def _found(traces: Traces, hits: Iterable[tuple[str, set[bytes]]]) -> dict[str, int]:
    """Count the places that hold something of one person, by store."""
    found: dict[str, int] = {}
    for store, held in hits:
        if not held.isdisjoint(traces.betraying) or (
            store not in HELD_IDS and not held.isdisjoint(traces.ids)
        ):
            found[store] = found.get(store, 0) + 1
    return found


def _limit(files: Iterable[Path]) -> float:
    """Return after how many seconds a search is given up: a large house takes longer."""
    total = 0
    for path in files:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return LIMIT_S + total / SLOWEST


def _files(settings: Settings) -> Iterator[tuple[str, Path]]:
    seen: set[Path] = set()
    for store, patterns in PLACES.items():
        for pattern in patterns:
            for path in sorted(settings.folder.glob(pattern)):
                if path not in seen and path.is_file() and not path.match(EARLIER):
                    seen.add(path)
                    yield store, path


def _asked(text: str, limit: float) -> dict[str, dict[str, list[int]]]:
    """Ask the searching process; what is searched for goes by its input alone."""
    command = [sys.executable, "-I", str(searcher.__file__)]
    try:
        done = subprocess.run(  # noqa: S603 - this very interpreter, a file of this package
            command, input=text, capture_output=True, text=True, timeout=limit, check=True
        )
        answer: dict[str, dict[str, list[int]]] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        raise Unavailable("the search of the stores did not end", "repeat it") from None
    return answer
