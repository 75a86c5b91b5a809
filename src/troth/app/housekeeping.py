"""What a house does by itself while it runs, and how it stands: followers, checkpoints, retention.

Nothing here names a person: counts, codes and moments alone.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from troth.app import access, backup, keys, leavers, looks, requests, scans, witnesses
from troth.app.workspace import Workspace
from troth.capabilities import custody
from troth.capabilities.custody import Planned
from troth.capabilities.outreach.views import members_root
from troth.capabilities.people import entry
from troth.errors import Conflict, Unavailable
from troth.kernel import events, following, proof
from troth.kernel.calendars import local_date, months_back
from troth.kernel.desk import CLOCK_SLACK
from troth.kernel.facts import House
from troth.ports import View
from troth.terms import SECOND, Actor, Instant, PersonId, Registry, Role

KEEPER = Actor(Role.SYSTEM, "housekeeping")
MINUTE = 60 * SECOND
DAYS = "custody.retention.day"
UNSIGNED_MAX = 3600 * SECOND
"""Entries that no checkpoint covers for longer are red."""
FREE_MIN = 500_000_000
"""Fewer free bytes on the disk are red."""
MAY_RUN = frozenset({Role.SYSTEM, Role.OFFICER})
Watch = Callable[[str], Callable[[int], None]]


def _nobody_looks(_name: str) -> Callable[[int], None]:
    return lambda _done: None


# Retention


def plan_retention(opened: Workspace, actor: Actor, watch: Watch = _nobody_looks) -> list[Planned]:
    """Say what may be kept of nobody any longer; one house event, nothing is deleted."""
    return custody.retention_plan(opened.desk, actor, watch("look"))


def run_retention(
    opened: Workspace, planned: Sequence[Planned], actor: Actor, watch: Watch = _nobody_looks
) -> dict[str, int]:
    """Delete what was planned; one house event first, over whom it is.

    Each person is judged again at this moment. Who would have nothing left is only counted.

    Returns:
        Counts of `fields` and `scopes` deleted, and of people who `leave`.

    Raises:
        Unavailable: A store did not answer; what was begun is finished by its follower.
    """
    people = [p.person for p in planned]
    if not people:
        return {"fields": 0, "scopes": 0, "leave": 0}
    with opened.store.look() as view:
        size = view.log.size
    root = members_root(opened.desk, people)
    told = events.SetProcessed("retention", "retention", size, {"people": len(people)}, root)
    opened.desk.record_house(told, actor)
    return custody.retention_apply(opened.desk, people, actor, opened.settle, watch("delete"))


def erase_leaving(
    opened: Workspace, people: Sequence[PersonId], actor: Actor, watch: Watch = _nobody_looks
) -> int:
    """Erase those of whom nothing may be kept any longer, each with their certificate's leaf.

    The stores are searched once for each `ERASED_TOGETHER` of them.
    """
    tell = watch("erase")
    for start in range(0, len(people), ERASED_TOGETHER):
        part = people[start : start + ERASED_TOGETHER]
        names = (f"retention-{opened.desk.randomness.take(6).hex()}" for _ in part)
        opened.erase_all(list(zip(part, names, strict=True)), actor)
        tell(start + len(part))
    return len(people)


ERASED_TOGETHER: Final = 250
"""So many are searched for at once; a fault in between leaves no more half done."""


# While the house runs


@dataclass(slots=True)
class Housekeeping:
    """What is done each minute: effects that are due, a checkpoint, retention once a day."""

    opened: Workspace
    _next: int = 0

    def round(self, now: Instant) -> list[following.Standing]:
        """Do what is due at this moment of the machine's clock; return the followers that are red.

        What does not answer now is tried again at the next round; nothing is raised for it.
        """
        if now < self._next:
            return []
        self._next = now + MINUTE
        standings = self.opened.follow()
        requests.tend(self.opened)
        scans.tend(self.opened)
        with suppress(Conflict, Unavailable):
            leavers.tend(self.opened)
        with suppress(Conflict, Unavailable):
            self._retain()
        with suppress(Conflict, Unavailable):
            looks.tidy(self.opened)
        with suppress(Conflict, Unavailable):
            keys.tend(self.opened)
        with suppress(Conflict, Unavailable):
            entry.sweep(self.opened.desk)
        with suppress(Conflict, Unavailable):
            access.tend(self.opened)
        with suppress(Conflict, Unavailable):
            if unsigned(self.opened):
                self.opened.sign()
        with suppress(Conflict, Unavailable):
            backup.tend(self.opened)
        with suppress(Conflict, Unavailable):
            witnesses.ask_due(self.opened)
        return [each for each in standings if each.red]

    def _retain(self) -> None:
        """Run retention once a day, by the house's zone; the day it is first seen only notes it.

        The day is taken before the run: of two workers one runs, and a run that was cut off is
        finished by its follower and the next day's.
        """
        with self.opened.store.look() as view:
            today = str(local_date(view.now, self.opened.settings.zone)).encode()
            before = view.row(DAYS, b"last")
        if before == today:
            return
        with self.opened.store.book() as tx:
            if tx.row(DAYS, b"last") != before:
                return
            tx.put_row(DAYS, b"last", today)
        if before is not None:
            run_retention(self.opened, plan_retention(self.opened, KEEPER), KEEPER)


def unsigned(opened: Workspace) -> int:
    """Return how many entries no checkpoint covers yet."""
    with opened.store.look() as view:
        return view.log.size - _signed(view)


def _signed(view: View) -> int:
    note = view.note()
    return proof.parse_checkpoint(proof.parse_note(note)[0]).size if note else 0


# How it stands


@dataclass(frozen=True, slots=True)
class RegistryState:
    """How old an opt-out registry's file is, in whole days; None where there never was one.

    Attributes:
        ours: It is the registry of the responsible party's own country.
        stale: Too old for its rule, or missing, and no officer's decision stands in.
    """

    name: str
    days: int | None
    ours: bool
    stale: bool


@dataclass(frozen=True, slots=True)
class State:
    """How a house stands at one moment.

    Attributes:
        size: Entries of the ledger.
        signed: Entries the newest checkpoint covers.
        signed_at: When it was signed, by the machine's clock; 0 never.
        behind: Microseconds the machine's clock lies behind the record.
        waiting: Jobs that are not at their end, by kind.
        bytes: Disk use by folder.
        free: Bytes free on the disk.
        overdue: Requests of people that are overdue, and erasures begun and not finished.
    """

    at: Instant
    size: int
    signed: int
    signed_at: int
    behind: int
    followers: Sequence[following.Standing]
    waiting: dict[str, int]
    registries: Sequence[RegistryState]
    bytes: dict[str, int]
    free: int
    overdue: int = 0

    def reds(self, now: Instant) -> list[str]:
        """Name what is red.

        One of `clock`, `ledger`, `disk`, `requests`, `registry:NAME`, `follower:NAME`.

        Args:
            now: The machine's clock, which a demo's standing moment does not move.
        """
        out = ["clock"] if self.behind > CLOCK_SLACK else []
        if self.signed < self.size and now - self.signed_at > UNSIGNED_MAX:
            out.append("ledger")
        out += [f"follower:{each.name}" for each in self.followers if each.red]
        out += [f"registry:{each.name}" for each in self.registries if each.ours and each.stale]
        out += ["requests"] if self.overdue else []
        return [*out, "disk"] if self.free < FREE_MIN else out


def state(opened: Workspace) -> State:
    """Look at how a house stands; changes and opens nothing."""
    s = opened.settings
    with opened.store.look() as view:
        house = opened.desk.house(view)
        return State(
            at=view.now,
            size=view.log.size,
            signed=_signed(view),
            signed_at=_written(s.witness / "signed"),
            behind=view.behind,
            followers=opened.followers(),
            waiting=view.waiting(),
            registries=_registries(house, view.now),
            bytes={p.name: _size(p) for p in (s.record.parent, s.keys, s.witness)},
            free=shutil.disk_usage(s.folder).free,
            overdue=requests.overdue(view),
        )


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000
    except OSError:
        return 0


def _size(folder: Path) -> int:
    """Add up a folder's files; one that goes away meanwhile counts nothing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size if path.is_file() else 0
    return total


def _registries(house: House, at: Instant) -> list[RegistryState]:
    """Return the registry of each rule in force that asks for one, once."""
    months = {
        str(rule.params["registry"]): int(rule.params["months"])
        for rule in house.ruleset.rules
        if rule.predicate == "registry_cleansed_within"
        and rule.begins <= at
        and (not rule.ends or at < rule.ends)
    }
    return [_registry(house, name, months[name], at) for name in sorted(months)]


def _registry(house: House, name: str, months: int, at: Instant) -> RegistryState:
    ours = house.seat.partition("-")[0] == name.partition("-")[0]
    held = house.registries.get(name, Registry(usable=False))
    if not held.cleansed_at:
        return RegistryState(name, None, ours, stale=not _waived(held, at))
    today, day = (local_date(Instant(each), house.zone) for each in (at, held.cleansed_at))
    good = held.usable and day >= months_back(today, months)
    return RegistryState(name, (today - day).days, ours, stale=not (good or _waived(held, at)))


def _waived(held: Registry, at: Instant) -> bool:
    return bool(held.decision) and held.waived_from <= at < held.waived_until
