"""What a restore is given, the mark it leaves, and laying keys, journal and record in place."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from troth import crypto
from troth.adapters import archive
from troth.adapters.sqlite import backup as filtered
from troth.adapters.system import FixedClock, SystemClock, SystemRandomness
from troth.adapters.witness import FileJournal
from troth.app.backup import RECORD, SECRET, Watch, verify_copy
from troth.app.keycopies import restore_keys
from troth.app.workspace import UNFINISHED, Workspace
from troth.capabilities import custody
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel import escrow, ledger, proof
from troth.ports import Clock
from troth.terms import Instant

_TRIAL: Final = ".restore"


def clock(at: Instant | None) -> Clock:
    """Return the machine's clock, or one that stands."""
    return SystemClock() if at is None else FixedClock(at)


def nobody_looks(_name: str) -> Callable[[int], None]:
    """Give every step somebody who does not look."""
    return lambda _done: None


@dataclass(frozen=True, slots=True)
class Given:
    """What a restore is given besides the backup.

    Attributes:
        keys: Copy of the keys: a folder, or what `troth keys copy` wrote; None where they lie in
            place.
        shares: Shares of the key the copy is sealed under, where nothing else holds it.
        witness: Copy of `witness/`; None where it lies in place.
        without_journal: Go on although nobody knows who said no since; a public leaf says so.
        seen: Sizes outsiders know the ledger had: from a receipt, a witness, a mail.
        clock: Another clock, such as a demo's.
        watch: Names a step, and is told how far it is.
        after: Called after each step; tests cut a restore off here.
    """

    keys: Path | None = None
    shares: tuple[Path, ...] = ()
    witness: Path | None = None
    without_journal: bool = False
    seen: tuple[proof.Checkpoint, ...] = ()
    clock: Clock = field(default_factory=SystemClock)
    watch: Watch = nobody_looks
    after: Callable[[str], None] = lambda _step: None


@dataclass(slots=True)
class State:
    """What the mark holds: how far the restore is, and what was decided on its way."""

    digest: str
    name: str
    step: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    journal: str = ""
    origin: str = ""
    old: tuple[str, int, str] | None = None
    left: int = 0


# The mark


def begin(folder: Path, digest: str) -> State:
    """Leave the mark in a folder without a record, or take up the one an attempt left.

    Raises:
        Conflict: A record lies there already, or another backup was begun to be restored.
    """
    mark = folder / UNFINISHED
    if mark.exists():
        state = State(**json.loads(mark.read_text("utf-8")))
        if state.digest != digest:
            raise Conflict("another restore was begun here", "finish it, or use another folder")
        return state
    if (folder / "data" / RECORD).exists():
        raise Conflict("a record lies here already", "restore into another folder, or move data/")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = State(digest, SystemRandomness().take(8).hex())
    save(folder, state)
    return state


def save(folder: Path, state: State, step: str = "") -> None:
    """Write the mark durably: as a whole, in the place of the one before."""
    state.step = step or state.step
    mark = folder / UNFINISHED
    part = mark.with_name(UNFINISHED + ".part")
    with part.open("w", encoding="utf-8") as out:
        json.dump(asdict(state), out)
        out.flush()
        os.fsync(out.fileno())
    part.rename(mark)


# Keys, journal and record in their places


def take_keys(folder: Path, given: Given) -> bool:
    """Lay the copy of the keys in place, unless keys lie there; return whether it did.

    Raises:
        InvalidInput: There are none, and none were given.
    """
    keys, taken = folder / "keys", False
    if given.keys is not None and not (keys / "keys.db").exists():
        taken = True
        if given.keys.is_file():
            _unpack_keys(folder, given.keys, given)
        else:
            _copy(given.keys, keys)
        keys.chmod(0o700)
    if not (keys / "keys.db").exists():
        raise InvalidInput("there are no keys here", "restore keys/ first, or name it by --keys")
    return taken


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise NotFound("a share cannot be read", "name the files of the shares") from None


def _unpack_keys(folder: Path, copy: Path, given: Given) -> None:
    """Bring a sealed copy of the key store back; see `app.keycopies.restore_keys`."""
    if not (folder / "troth.toml").exists():
        raise InvalidInput("a sealed copy of keys needs troth.toml", "put that file there first")
    key = b""
    if given.shares:
        key = escrow.combine([escrow.read(_text(each)) for each in given.shares])
    restore_keys(folder, copy, given.clock.now(), key)


def take_witness(folder: Path, state: State, given: Given) -> None:
    """Lay the copy of `witness/` in place, unless a journal lies there that is as good.

    An attempt that stopped for its journal may have laid a worse copy there; it is laid aside.
    """
    place = folder / "witness"
    early = state.step in ("", "placed")
    if given.witness is not None and early and _is_better(folder, given.witness):
        aside = folder / f"witness.before-{state.name}"
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
    if given.witness is not None and not (place / "restrictions").exists():
        _copy(given.witness, place)
    place.mkdir(mode=0o700, exist_ok=True)


def _is_better(folder: Path, copy: Path) -> bool:
    """Tell whether a copy's journal holds and goes on from the one here, or that one is bad."""
    held, new = folder / "witness" / "restrictions", copy / "restrictions"
    secret = folder / "keys" / "journal.key"
    if not (held.exists() and new.exists() and secret.exists()):
        return False
    before, after = _codes(held, secret), _codes(new, secret)
    if after is None:
        return False
    return before is None or (len(after) > len(before) and after[: len(before)] == before)


def _codes(journal: Path, secret: Path) -> list[str] | None:
    """Return the codes of a journal's lines; None where it was changed."""
    try:
        return FileJournal(journal, secret.read_bytes()).tips()
    except EvidenceBroken:
        return None


def _copy(source: Path, target: Path) -> None:
    """Copy a folder beside its place and move it there whole."""
    if not source.is_dir():
        raise NotFound("this folder is not there", "name the folder with the copy")
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(source, part)
        if target.exists():
            for path in part.iterdir():
                path.rename(target / path.name)
            part.rmdir()
        else:
            part.rename(target)
    except OSError:
        raise Unavailable("a copy cannot be put in its place", "check owner and space") from None


def place_record(folder: Path, source: Path, state: State, given: Given) -> None:
    """Unpack and verify the backup, then lay its record and drafts where they belong."""
    trial = folder / _TRIAL
    shutil.rmtree(trial, ignore_errors=True)
    trial.mkdir(mode=0o700)
    secret = folder / "keys" / f"{SECRET}.key"
    if not secret.exists():
        raise InvalidInput(
            "these keys are older than the first backup", "use a copy of keys/ made since"
        )
    told = archive.Unpacked.read(source, secret.read_bytes(), trial, given.watch("unpack")).told
    state.told = {name: told[name] for name in ("id", "at", "origin", "size", "root")}
    _lay_drafts(trial / "drafts", folder)
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    place = folder / "data" / RECORD
    for name in (RECORD, f"{RECORD}-wal", f"{RECORD}-shm"):  # of an attempt cut off
        (folder / "data" / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "data" / "reach", ignore_errors=True)
    verify_copy(trial / RECORD, told, _policy(folder, trial / RECORD, state))
    (trial / RECORD).rename(place)
    shutil.rmtree(trial, ignore_errors=True)
    save(folder, state, "placed")
    given.after("placed")


def _lay_drafts(source: Path, folder: Path) -> None:
    """Lay drafts where none lie: what is published is in the record whatever they say."""
    for path in sorted(source.rglob("*")):
        target = folder / path.relative_to(source)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)


def _policy(folder: Path, record: Path, state: State) -> proof.Policy:
    """Return the policy of the ledger in an unpacked record, from its own list of keys."""
    seed = (folder / "keys" / f"{custody.FIRST_SECRET}.key").read_bytes()
    with filtered.viewing(record) as view:
        keys = custody.log_keys(view)
    lines = [key.line for key in keys] or [
        f"log {ledger.log_key(str(state.told['origin']), seed).vkey}"
    ]
    return proof.parse_policy("\n".join([*lines, "quorum none\n"]), crypto.ed25519_verify)


def require_keys(opened: Workspace) -> None:
    """Require that the keys are this record's own: the house's key opens."""
    with opened.store.look() as view:
        try:
            opened.desk.vault.keys.key(opened.desk.scribe.house, view.now)
        except NotFound:
            raise EvidenceBroken("these are another workspace's keys", "give its own") from None
