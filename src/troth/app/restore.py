"""Restoring a data backup: nothing opens the house until what people said since holds again.

The folder carries a mark from the first step to the last; `app.open` refuses it meanwhile. Each
step may be repeated after a crash anywhere: run the same restore again.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from troth import crypto
from troth.adapters import archive
from troth.adapters.anchors import FileAnchors
from troth.adapters.sqlite import backup as filtered
from troth.adapters.sqlite import keys as keystore
from troth.adapters.system import FixedClock, SystemClock, SystemRandomness
from troth.adapters.witness import FileJournal, FileSignedSize
from troth.app.backup import RECORD, SECRET, Watch, verify_copy
from troth.app.keycopies import restore_keys
from troth.app.workspace import UNFINISHED, Workspace, wire
from troth.app.workspace import open as open_workspace
from troth.capabilities import custody
from troth.capabilities.custody import restore as again
from troth.capabilities.outreach import steps
from troth.capabilities.outreach.plans import OVER, Step
from troth.capabilities.rights.replaying import erase_again
from troth.errors import Conflict, EvidenceBroken, InvalidInput, NotFound, Unavailable
from troth.kernel import escrow, ledger, proof
from troth.kernel.desk import SYSTEM
from troth.kernel.vault import read_header
from troth.ports import Clock
from troth.settings import read_settings
from troth.terms import Instant, LogState, PersonId

WHOLE, MISSING, CUT, FORGED = "whole", "missing", "cut", "forged"
_STOP: Final[Mapping[str, str]] = {
    MISSING: "the restriction journal is missing",
    CUT: "the restriction journal is shorter than it was",
    FORGED: "the restriction journal was changed",
}
_REMEDY: Final = "give its copy by --witness DIR, or go --without-journal: then nobody is mailed"
_TRIAL: Final = ".restore"


def clock(at: Instant | None) -> Clock:
    """Return the machine's clock, or one that stands."""
    return SystemClock() if at is None else FixedClock(at)


def _nobody_looks(_name: str) -> Callable[[int], None]:
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
    watch: Watch = _nobody_looks
    after: Callable[[str], None] = lambda _step: None


@dataclass(slots=True)
class _State:
    """What the mark holds: how far the restore is, and what was decided on its way."""

    digest: str
    name: str
    step: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    journal: str = ""
    origin: str = ""
    old: tuple[str, int, str] | None = None
    left: int = 0


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.

    Attributes:
        leaf: Index of the public leaf `restore.done`.
        outcome: What that leaf says.
        continued: The ledger goes on under a new name; "" where the old one holds.
        lost: Entries that were signed and are not in the backup.
    """

    folder: Path
    leaf: int
    outcome: again.Outcome
    continued: str = ""
    lost: int = 0


def restore(folder: Path, source: Path, given: Given = Given()) -> Restored:
    """Restore a data backup into a folder; nothing opens it before all of it holds. Repeatable.

    Args:
        folder: The workspace folder: empty, or with `keys/` and `witness/` and no record.
        source: The backup.
        given: Where keys and journal lie, and what else is known.

    Raises:
        Conflict: A record lies there already, or another restore was begun there.
        InvalidInput: It is no backup, or no keys are there.
        EvidenceBroken: The backup, the keys or the ledger in it are damaged.
        Unavailable: The journal is not whole and nobody decided to go without it. Nothing is
            open; run it again with the journal's copy.
    """
    digest, _ = archive.digest_of(source)
    state = _begin(folder, digest)
    _take_keys(folder, given)
    _take_witness(folder, given)
    if not state.step:
        _place(folder, source, state, given)
    settings = read_settings(folder)
    opened = wire(settings, given.clock)
    try:
        _require_keys(opened)
        lines = _journal(opened, state, given)
        _require_journal(state, given)
        if state.step == "placed":
            _name_log(opened, state, given)
    finally:
        opened.close()
    opened = wire(settings, given.clock)
    try:
        if state.step == "named":
            _bundles(opened, state, given)
        done = _hold_again(opened, state, lines, given)
    finally:
        opened.close()
    (folder / UNFINISHED).unlink()
    given.after("done")
    open_workspace(folder, clock=given.clock).close()
    return done


# The mark


def _begin(folder: Path, digest: str) -> _State:
    mark = folder / UNFINISHED
    if mark.exists():
        state = _State(**json.loads(mark.read_text("utf-8")))
        if state.digest != digest:
            raise Conflict("another restore was begun here", "finish it, or use another folder")
        return state
    if (folder / "data" / RECORD).exists():
        raise Conflict("a record lies here already", "restore into another folder, or move data/")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = _State(digest, SystemRandomness().take(8).hex())
    _save(folder, state)
    return state


def _save(folder: Path, state: _State, step: str = "") -> None:
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


def _take_keys(folder: Path, given: Given) -> None:
    keys = folder / "keys"
    if given.keys is not None and not (keys / "keys.db").exists():
        if given.keys.is_file():
            _unpack_keys(folder, given.keys, given)
        else:
            _copy(given.keys, keys)
        keys.chmod(0o700)
    if not (keys / "keys.db").exists():
        raise InvalidInput("there are no keys here", "restore keys/ first, or name it by --keys")


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


def _take_witness(folder: Path, given: Given) -> None:
    if given.witness is not None and not (folder / "witness" / "restrictions").exists():
        _copy(given.witness, folder / "witness")
    (folder / "witness").mkdir(mode=0o700, exist_ok=True)


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


def _place(folder: Path, source: Path, state: _State, given: Given) -> None:
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
    _save(folder, state, "placed")
    given.after("placed")


def _lay_drafts(source: Path, folder: Path) -> None:
    """Lay drafts where none lie: what is published is in the record whatever they say."""
    for path in sorted(source.rglob("*")):
        target = folder / path.relative_to(source)
        if path.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)


def _policy(folder: Path, record: Path, state: _State) -> proof.Policy:
    """Return the policy of the ledger in an unpacked record, from its own list of keys."""
    seed = (folder / "keys" / f"{custody.FIRST_SECRET}.key").read_bytes()
    with filtered.viewing(record) as view:
        keys = custody.log_keys(view)
    lines = [key.line for key in keys] or [
        f"log {ledger.log_key(str(state.told['origin']), seed).vkey}"
    ]
    return proof.parse_policy("\n".join([*lines, "quorum none\n"]), crypto.ed25519_verify)


def _require_keys(opened: Workspace) -> None:
    """Require that the keys are this record's own: the house's key opens."""
    with opened.store.look() as view:
        try:
            opened.desk.vault.keys.key(opened.desk.scribe.house, view.now)
        except NotFound:
            raise EvidenceBroken("these are another workspace's keys", "give its own") from None


# The journal, and whether it is whole


def _journal(
    opened: Workspace, state: _State, given: Given
) -> list[tuple[str, Mapping[str, str | int]]]:
    """Read the journal as far as it holds, and say whether it is whole."""
    place = opened.settings.witness / "restrictions"
    lines: list[tuple[str, Mapping[str, str | int]]] = []
    verdict = WHOLE if place.exists() else MISSING
    try:
        lines.extend(_file_journal(opened).coded())
    except EvidenceBroken:
        verdict = FORGED
    if verdict == WHOLE and not _reaches(opened, [code for code, _ in lines], given):
        verdict = CUT
    if state.journal in ("", WHOLE) or verdict == WHOLE:
        state.journal = verdict
    return lines


def _file_journal(opened: Workspace) -> FileJournal:
    """Return the journal as the file it is."""
    return FileJournal(opened.settings.witness / "restrictions", opened.keys.secret("journal"))


def _reaches(opened: Workspace, codes: Sequence[str], given: Given) -> bool:
    """Tell whether a journal reaches as far as the backup, its own tip, and outsiders know."""
    with opened.store.look() as view:
        held = view.row(custody.JOURNAL, b"tip")
    tips = [json.loads(held)] if held else []
    for count, code in (*tips, *_file_journal(opened).reached()):
        if len(codes) < count or codes[count - 1] != code:
            return False
    signed = _signed(opened)
    sizes = [each.size for each in given.seen if each.origin == opened.log.origin]
    return signed is not None and signed.size >= max(sizes, default=0)


def _signed(opened: Workspace) -> LogState | None:
    """Return the newest state this ledger is known to have had, from `witness/`."""
    last = opened.log.sizes.last()
    anchor = FileAnchors(opened.settings.witness / "anchors").newest(opened.log.origin)
    known = [last, LogState(anchor.size, anchor.root) if anchor else None]
    return max((k for k in known if k is not None), key=lambda k: k.size, default=None)


def _require_journal(state: _State, given: Given) -> None:
    if state.journal != WHOLE and not given.without_journal:
        raise Unavailable(_STOP[state.journal], _REMEDY)


# The ledger's name


def _name_log(opened: Workspace, state: _State, given: Given) -> None:
    """Go on under the old name, or close it and begin the next where entries were lost."""
    settings = opened.settings
    if not state.origin:
        with opened.store.look() as view:
            kept = view.log
            old = _newest_known(opened, given)
            whole = old is not None and _continues(opened, old)
        if old is None:
            old = proof.Checkpoint(opened.log.origin, kept.size, kept.root)
        state.old = (old.origin, old.size, proof.b64(old.root))
        state.origin = old.origin if whole else _next_origin(opened, state)
        state.left = max(0, old.size - kept.size)
        _save(settings.folder, state)
    if state.old is not None and state.origin != state.old[0]:
        _continue(opened, state)
    _save(settings.folder, state, "named")
    given.after("named")


def _newest_known(opened: Workspace, given: Given) -> proof.Checkpoint | None:
    """Return the newest checkpoint known outside of what was restored; None nobody knows one."""
    origin, signed = opened.log.origin, _signed(opened)
    known = [each for each in given.seen if each.origin == origin]
    if signed is not None:
        known.append(proof.Checkpoint(origin, signed.size, signed.root))
    return max(known, key=lambda each: each.size, default=None)


def _continues(opened: Workspace, old: proof.Checkpoint) -> bool:
    """Tell whether what was restored holds all that was ever shown of it."""
    with opened.store.look() as view:
        if not 0 < old.size <= view.log.size:
            return False
        return ledger.tree_root(old.size, view.tile) == old.root


def _next_origin(opened: Workspace, state: _State) -> str:
    """Count the ledger's name up past every one known; where that may be too few, draw its end."""
    base = opened.settings.origin
    with opened.store.look() as view:
        used = {name for name, _ in custody.origins(view)} | {opened.log.origin}
    anchors = FileAnchors(opened.settings.witness / "anchors")
    with suppress(EvidenceBroken):
        used |= {each.origin for each in anchors.all()}
    numbers = [int(end) for name in used if (end := name.removeprefix(f"{base}-")).isdigit()]
    name = f"{base}-{max([1, *numbers]) + 1}"
    return name if state.journal == WHOLE else f"{name}-{state.name[:6]}"


def _continue(opened: Workspace, state: _State) -> None:
    """Book that the ledger goes on under its new name, then give it that name; repeatable."""
    settings, kept = opened.settings, state.told
    origin, size, root = state.old or ("", 0, "")
    end = state.origin.rpartition("/")[2]
    place = settings.keys / f"{custody.FIRST_SECRET}-{end}.key"
    if not place.exists():
        keystore.write_secret(place, opened.desk.randomness.take(crypto.KEY_BYTES))
    with opened.store.look() as view:
        begun = bool(custody.log_keys(view))
    if not begun:
        first = opened.signer
        with opened.store.book() as tx:
            custody.put_keys(tx, [custody.LogKey(first.key.vkey, custody.FIRST_SECRET, 0)])
    held = LogState(int(kept["size"]), proof.unb64(str(kept["root"])))
    custody.continued(
        opened.desk, proof.Checkpoint(origin, size, proof.unb64(root)), held, state.origin
    )
    filtered.name_log(settings.record, state.origin)
    signed = settings.witness / "signed"
    if signed.exists():
        signed.rename(settings.witness / f"signed.before-{end}")
    FileSignedSize(signed).advance(None, held)


# What holds again


def _bundles(opened: Workspace, state: _State, given: Given) -> None:
    record = opened.settings.record
    again.put_back(opened.desk, filtered.bundles(record), given.watch("people"))
    _save(opened.settings.folder, state, "back")
    given.after("back")


def _hold_again(
    opened: Workspace,
    state: _State,
    lines: Sequence[tuple[str, Mapping[str, str | int]]],
    given: Given,
) -> Restored:
    """Do what may be done again from its beginning, up to the public leaf."""
    desk, folder = opened.desk, opened.settings.folder
    filtered.drop_bundles(opened.settings.record)
    _begin_journal(opened, state)
    rebuilt = again.rebuild(desk, given.watch("facts"))
    given.after("facts")
    replayed = again.replay(
        desk, lines, _eraser(opened), state.name.encode(), given.watch("journal")
    )
    for person in rebuilt.erased:  # by keys alone, where the journal does not say it
        erase_again(desk, person, f"restore-{state.name}", opened.settle)
    given.after("journal")
    stopped = _stop_campaigns(opened)
    unknown = again.close_messages(desk, rebuilt.open)
    if state.journal != WHOLE:
        again.say_unsure(desk)
    given.after("stopped")
    opened.follow()
    _require_nothing_left(opened)
    outcome = again.Outcome(
        str(state.told["id"]), state.digest, int(state.told["size"]), state.journal,
        state.origin, replayed, rebuilt, stopped, unknown,
    )  # fmt: skip
    leaf = again.say_done(desk, outcome)
    custody.keep_tip(desk)
    opened.settle()
    opened.sign()
    _save(folder, replace(state), "done")
    given.after("signed")
    new = state.origin if state.old is not None and state.origin != state.old[0] else ""
    return Restored(folder, leaf, outcome, new, state.left)


def _begin_journal(opened: Workspace, state: _State) -> None:
    """Lay a broken journal aside, and note in the one that goes on where sequences begin anew."""
    place = opened.settings.witness / "restrictions"
    if state.journal == FORGED and place.exists() and not _noted(opened, state):
        place.rename(place.with_name(f"restrictions.before-{state.name}"))
        _file_journal(opened).forget_tip()
    if not _noted(opened, state):
        told = {"origin": state.origin, "restore": state.name, "journal": state.journal}
        _file_journal(opened).note("restored", told, int(state.told["size"]))


def _noted(opened: Workspace, state: _State) -> bool:
    try:
        return any(line.get("restore") == state.name for line in _file_journal(opened).lines())
    except EvidenceBroken:
        return False


def _eraser(opened: Workspace) -> again.Erase:
    def erase(person: PersonId, request: str) -> bool:
        return erase_again(opened.desk, person, request, opened.settle)

    return erase


def _stop_campaigns(opened: Workspace) -> int:
    """Stop every campaign that runs, waits or is paused: nobody knows whom it reached since."""
    with opened.store.look() as view:
        waiting = [name for name, life in steps.lives(view).items() if _under_way(life.stage)]
    for name in waiting:
        steps.move(opened.desk, name, Step.STOPPED, SYSTEM, "stopped by a restore")
    with opened.store.look() as view:
        return sum(
            any(done.note == "stopped by a restore" for done in steps.done_so_far(view, name))
            for name in steps.lives(view)
        )


def _under_way(stage: str) -> bool:
    return stage not in OVER and stage in {"scheduled", "running", "paused", "approved"}


def _require_nothing_left(opened: Workspace) -> None:
    """Require that no row lies under a destroyed key of a person or a quarter.

    Raises:
        EvidenceBroken: One does; the house stays shut.
    """
    with opened.store.look() as view:
        for person, scope, kver, _ in opened.keys.fences():
            names = [scope] if scope else [*opened.desk.vault.fields, "purchases/", "views/"]
            rows = view.sealed([person], names).get(person, [])
            if scope:
                rows = [row for row in rows if read_header(row.rec)[0] <= kver]
            elif kver:  # a version that was replaced, of somebody who is still here
                continue
            if rows or (not scope and view.bodies(person)):
                raise EvidenceBroken("something lies under a destroyed key", "run it again")
