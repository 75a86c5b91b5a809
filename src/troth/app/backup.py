"""Data backups: made while the house runs, checked by restoring them, and not kept for ever.

A backup holds what `data/backup.toml` says and nothing else, encrypted under a key of its own. It
is of use only with the keys of its workspace: see `app.keys` for those, and `docs/backup.md`.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from troth.adapters import archive, leftovers
from troth.adapters.drafts import FOLDERS
from troth.adapters.sqlite import backup as filtered
from troth.adapters.sqlite.view import SqliteView
from troth.app.checks import Check, State
from troth.app.workspace import Workspace
from troth.capabilities import custody
from troth.capabilities.custody.backup import (
    CHECKED,
    MADE,
    Backup,
    backups,
    note_backup,
    seal_bundles,
)
from troth.errors import EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel import ledger, proof
from troth.kernel.desk import SYSTEM
from troth.settings import Settings
from troth.terms import DAY, SECOND, Actor, Instant, Role, zulu

RECORD, SUFFIX, DELETED = "record.db", ".troth-backup", "deleted"
SECRET: Final = "backup"  # noqa: S105 - the name of a file
HOUR: Final = 3600 * SECOND
MAY_BACK_UP: Final = frozenset({Role.SYSTEM, Role.IT, Role.OFFICER})
_DRAFTS: Final = (*FOLDERS.values(), "notices", "regimes", "calendars", "partners", "promises")
_SINGLE: Final = ("troth.toml", "asking.toml", "access.cedar", "products.csv")
Watch = Callable[[str], Callable[[int], None]]


def _nobody_looks(_name: str) -> Callable[[int], None]:
    return lambda _done: None


@dataclass(frozen=True, slots=True)
class Made:
    """A backup just made.

    Attributes:
        path: Where it lies.
        unknown: Own tables nobody decided about; what of them leads to nobody is not in it.
    """

    backup: Backup
    path: Path
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    """What `[storage]` says of backups.

    Attributes:
        every: Microseconds between two; 0 nobody asked for any.
        to: Folder they go to; None where none is named.
        days: For how long they are kept; 0 for ever.
    """

    every: int
    to: Path | None
    days: int


def schedule(settings: Settings) -> Schedule:
    """Read `[storage]`: `backup_every_hours`, `backup_to`, `backup_days`.

    Raises:
        InvalidInput: A value is malformed, or the place lies under data/, keys/ or witness/.
    """
    said = settings.storage
    hours = said.get("backup_every_hours", 0)
    if type(hours) is not int or hours < 0:
        raise InvalidInput(
            "troth.toml: [storage] backup_every_hours is no whole number", "write 24"
        )
    to = said.get("backup_to", "")
    if not isinstance(to, str):
        raise InvalidInput("troth.toml: [storage] backup_to is no text", "name a folder in quotes")
    place = (settings.folder / to) if to else None
    if place is not None:
        _refuse(settings, place)
    if hours and place is None:
        raise InvalidInput("troth.toml: [storage] backup_to is missing", "name a folder")
    return Schedule(hours * HOUR, place, int(said.get("backup_days", 0)))


def _refuse(settings: Settings, place: Path) -> None:
    """Refuse a place that is lost, erased or copied together with what it is to bring back."""
    where = place.resolve()
    for inside in (settings.record.parent, settings.keys, settings.witness):
        if where.is_relative_to(inside.resolve()):
            raise InvalidInput(
                f"a backup may not lie under {inside.name}/", "name a place on another disk"
            )


def backup_data(
    opened: Workspace,
    out: Path,
    actor: Actor = SYSTEM,
    watch: Watch = _nobody_looks,
) -> Made:
    """Make a data backup while the house runs; whole and on the disk when this returns.

    Args:
        opened: The workspace.
        out: The file to write, or a folder, in which it gets a name of its own.
        actor: Who asked.
        watch: Names a step, and is told how far it is.

    Raises:
        InvalidInput: The place lies under data/, keys/ or witness/, or this role may not.
        Conflict: A file lies there already.
        Unavailable: The place cannot be written, or the disk is full. Nothing is left behind.
    """
    _require(actor)
    _refuse(opened.settings, out)
    opened.sign()
    name = f"data-{opened.desk.randomness.take(5).hex()}"
    custody.mark_backup(opened.desk, name)
    path = out / f"{opened.settings.domain}-{name}{SUFFIX}" if out.is_dir() else out
    with _aside(opened.settings) as aside, opened.store.look() as view:
        now = view.now
        copied = filtered.copy(
            opened.store,
            aside / RECORD,
            lambda view, led: seal_bundles(opened.desk, view, led),
            watch("copy"),
        )
        told = _told(opened, name, now, copied)
        with archive.writing(path, backup_secret(opened), opened.desk.randomness) as into:
            _pack(into, opened.settings, aside / RECORD, watch("write"))
            into.close(told)
    digest, size = archive.digest_of(path)
    made = Backup(name, now, digest, size, copied.size, path.name, copied.counts)
    note_backup(opened.desk, made, MADE, actor)
    _forget_upgrades(opened.settings)
    return Made(made, path, copied.unknown)


def _require(actor: Actor) -> None:
    if actor.role not in MAY_BACK_UP:
        raise InvalidInput("this role makes no backups", "ask IT or the privacy officer")


def backup_secret(opened: Workspace) -> bytes:
    """Return the key that backups' own keys are wrapped under."""
    opened.keys.complete(opened.desk.randomness.take)
    return opened.keys.secret(SECRET)


def complete_keys(opened: Workspace) -> None:
    """Draw the key of backups in a store that never had one.

    Where backups are remembered their key is lost: it is to come back from a copy of the keys,
    and a new one must not lie in its place.

    Raises:
        Unavailable: The key folder cannot be written.
    """
    with opened.store.look() as view:
        if not backups(view):
            opened.keys.complete(opened.desk.randomness.take)


@contextmanager
def _aside(settings: Settings) -> Iterator[Path]:
    """Give a folder for the copy, on the disk of the record and readable to its owner alone."""
    try:
        beside = settings.record.parent
        with (
            tempfile.TemporaryDirectory(prefix=leftovers.ASIDE, dir=beside) as made,
            leftovers.held(Path(made)),
        ):
            yield Path(made)
    except OSError:
        raise Unavailable(
            "there is no room beside the record", "free space, then repeat"
        ) from None


def _told(opened: Workspace, name: str, now: Instant, copied: filtered.Copied) -> dict[str, Any]:
    return {
        "id": name,
        "at": zulu(now),
        "workspace": opened.desk.workspace.hex(),
        "origin": opened.log.origin,
        "size": copied.size,
        "root": proof.b64(copied.root),
        "counts": dict(sorted(copied.counts.items())),
    }


def _pack(
    into: archive.Writer, settings: Settings, record: Path, watch: Callable[[int], None]
) -> None:
    with record.open("rb") as file:
        into.add(RECORD, file, record.stat().st_size, watch)
    for name, path in _drafts(settings.folder):
        raw = path.read_bytes()
        into.add(f"drafts/{name}", BytesIO(raw), len(raw))


def _drafts(folder: Path) -> list[tuple[str, Path]]:
    """Return the drafts of a workspace: what is published lies in the record, these beside it."""
    found = [folder / name for name in _SINGLE]
    for place in _DRAFTS:
        found += sorted((folder / place).glob("*.*"))
    return [
        (path.relative_to(folder).as_posix(), path)
        for path in found
        if path.is_file() and not path.is_symlink()
    ]


def _forget_upgrades(settings: Settings) -> None:
    """Delete copies made before an upgrade: a backup of the record as it is now lies elsewhere."""
    for path in settings.record.parent.glob("before-*.db"):
        path.unlink(missing_ok=True)


# Checked by restoring


def check_backup(
    opened: Workspace, path: Path, actor: Actor = SYSTEM, watch: Watch = _nobody_looks
) -> Backup:
    """Unpack a backup into a folder that is thrown away, verify all of it, and record that.

    Raises:
        NotFound: This record remembers no such backup: it is another workspace's, or was changed.
        EvidenceBroken: It is damaged, or holds other rows or another ledger than it says.
    """
    _require(actor)
    digest, _ = archive.digest_of(path)
    with opened.store.look() as view:
        known = next((b for b in backups(view) if b.digest == digest), None)
    with _aside(opened.settings) as aside:
        told = archive.Unpacked.read(path, backup_secret(opened), aside, watch("unpack")).told
        verify_copy(aside / RECORD, told, opened.signer.own)
    if known is None:
        raise NotFound(
            "this record remembers no such backup", "it opens, and may be another one's"
        )
    with opened.store.look() as view:
        checked = replace(known, checked_at=view.now)
    note_backup(opened.desk, checked, CHECKED, actor)
    return checked


def verify_copy(record: Path, told: Any, policy: proof.Policy) -> None:  # noqa: ANN401
    """Require that an unpacked record is sound, whole, and the ledger its manifest names.

    Raises:
        EvidenceBroken: It is not; says what.
    """
    found = filtered.counted(record)
    wrong = [name for name, count in told["counts"].items() if found.get(name) != count]
    if wrong:
        raise EvidenceBroken(
            f"the backup holds other rows of {wrong[0]} than it says", "use another"
        )
    with closing(sqlite3.connect(f"file:{record}?mode=ro", uri=True)) as con:
        view = SqliteView(con, Instant(0))
        entries, tiles, notes = view.audit()
        state = view.log
    if (state.size, proof.b64(state.root)) != (told["size"], told["root"]):
        raise EvidenceBroken("the backup holds another ledger than it says", "use another")
    findings = ledger.verify(ledger.Stored(state.size, state.root, entries, tiles, notes), policy)
    if findings:
        raise EvidenceBroken(f"the backup's ledger: {findings[0].what}", "use another")


# While the house runs


def tend(opened: Workspace) -> Backup | None:
    """Make, check and thin out backups as `[storage]` asks; None where none was due.

    Raises:
        Unavailable: It could not be made now, or did not hold; `checks` says it until one does.
    """
    try:
        return _tended(opened)
    except (InvalidInput, EvidenceBroken, NotFound) as fault:
        raise Unavailable(fault.message, fault.remedy) from None


def _tended(opened: Workspace) -> Backup | None:
    plan = schedule(opened.settings)
    if not plan.every or plan.to is None:
        return None
    with opened.store.look() as view:
        now = view.now
        newest = next((b for b in backups(view) if not b.gone_at), None)
    if newest is not None and now - newest.at < plan.every:
        return None
    if not plan.to.is_dir():
        raise Unavailable("the folder for backups is not there", "mount or make it")
    made = backup_data(opened, plan.to)
    checked = check_backup(opened, made.path)
    thin_out(opened)
    return checked


def thin_out(opened: Workspace, actor: Actor = SYSTEM) -> int:
    """Delete backups whose days are over, never the newest that was checked; return how many."""
    plan = schedule(opened.settings)
    if not plan.days or plan.to is None:
        return 0
    with opened.store.look() as view:
        now, held = view.now, [b for b in backups(view) if not b.gone_at]
    keep = next((b.id for b in held if b.checked_at), "")
    gone = 0
    for each in held:
        path = plan.to / each.place
        if each.id == keep or now - each.at < plan.days * DAY or not path.is_file():
            continue
        path.unlink()
        note_backup(opened.desk, replace(each, gone_at=now), DELETED, actor)
        gone += 1
    return gone


def list_backups(opened: Workspace) -> list[Backup]:
    """Return every backup this record remembers, newest first."""
    with opened.store.look() as view:
        return backups(view)


def holds() -> list[tuple[str, str, str]]:
    """Return every table a record can have, how it goes into a backup, and why."""
    known = filtered.rules()
    tables = [(name, rule) for name, rule in known.table.items() if name != "own_row"]
    return [(name, rule.do, rule.why) for name, rule in (*tables, *sorted(known.own.items()))]


# How it stands


def checks(opened: Workspace) -> list[Check]:
    """Say how backups stand: the newest's age, whether it was checked, where they go."""
    with opened.store.look() as view:
        now, held = view.now, [b for b in backups(view) if not b.gone_at]
    try:
        plan = schedule(opened.settings)
    except InvalidInput as fault:
        return [_check("backup.place", "Where backups go", "bad", fault.message, fault.remedy)]
    return [*_ages(plan, held, now), _place(opened.settings, plan), _journal_copy()]


def _ages(plan: Schedule, held: Sequence[Backup], now: Instant) -> list[Check]:
    title = "A backup young enough"
    if not held:
        remedy = "IT: troth backup DIR --check, and [storage] backup_every_hours"
        return [_check("backup.age", title, "bad", "there is no backup", remedy)]
    newest, hours = held[0], (now - held[0].at) // HOUR
    late = now - newest.at > (2 * plan.every if plan.every else 7 * DAY)
    aged: State = "bad" if late else "good"
    tried = next((b for b in held if b.checked_at), None)
    past = (now - tried.checked_at) // DAY if tried else 0
    found = (f"{past} days ago" if past else "today") if tried else "never"
    return [
        _check("backup.age", title, aged, _aged(hours), "IT: troth backup DIR"),
        _check(
            "backup.checked",
            "Backups that open",
            "good" if newest.checked_at else "bad",
            f"last restored for a trial: {found}",
            "IT: troth backup DIR --check",
        ),
    ]


def _aged(hours: int) -> str:
    return f"the newest is {hours} hours old" if hours else "the newest is under an hour old"


def _place(settings: Settings, plan: Schedule) -> Check:
    title, remedy = "Where backups go", "IT: name [storage] backup_to on another disk"
    if plan.to is None:
        return _check("backup.place", title, "unknown", "no place is named", remedy)
    if not plan.to.is_dir():
        return _check("backup.place", title, "bad", "the folder is not there", remedy)
    same = plan.to.stat().st_dev == settings.folder.stat().st_dev
    said = "on the disk of the record: lost together with it" if same else "on another disk"
    return _check("backup.place", title, "bad" if same else "good", said, remedy)


def _journal_copy() -> Check:
    return _check(
        "journal.copy",
        "A copy of the restriction journal elsewhere",
        "unknown",
        "this machine cannot see whether witness/ is copied off it",
        "IT: copy witness/ at least every minute; a restore without it mails nobody",
    )


def _check(id_: str, title: str, state: State, said: str, remedy: str) -> Check:
    return Check(id_, "stored", title, state, said, "" if state == "good" else remedy)
