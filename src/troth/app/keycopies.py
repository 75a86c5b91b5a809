"""Copies of the key store: made beside the data's backups, and brought back without undoing ends.

Whatever the store that is replaced knew to be shredded stays shredded, and an epoch keeps the end
that was promised for it. The restriction journal is replayed on top by whoever restores the data
(`FileKeyStore.fence_again`).
"""

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from troth import crypto
from troth.adapters import keycopy
from troth.adapters.providers import overwrite, settle_folder
from troth.adapters.sqlite.keys import FileKeyStore
from troth.adapters.system import SystemRandomness
from troth.app.keycare import care_of, provider_of, require_keeper
from troth.app.keys import COPIES, Copied
from troth.app.workspace import Workspace
from troth.capabilities.custody import epochs
from troth.errors import EvidenceBroken, Fault, InvalidInput, NotFound, Unavailable
from troth.kernel import events
from troth.kernel.desk import SYSTEM
from troth.ports import EscrowableProvider
from troth.settings import Settings, read_settings
from troth.terms import DAY, Actor, Instant, KeyEpoch, PersonId

Fence = tuple[PersonId, str, int, Instant]


@dataclass(frozen=True, slots=True)
class RestoredKeys:
    """A key store brought back.

    Attributes:
        made: The epoch the copy was made in.
        epoch: The epoch in force now: a new one, unless the copy's had not ended.
        fences: Key rows shredded again, since the store before knew them to be.
    """

    made: int
    epoch: int
    fences: int


def backup_keys(opened: Workspace, out: Path, actor: Actor) -> Copied:
    """Write a copy of the key store: wrapped keys and named secrets, no epoch's key.

    Raises:
        InvalidInput: The place is one the data lies at or is copied to, or the role may not.
        Conflict: A file of this name is there.
        Unavailable: It cannot be written.
    """
    require_keeper(actor)
    _require_apart(opened.settings, out)
    with opened.store.look() as view:
        now = view.now
    epoch = epochs.current(opened.keys.epochs.all()).epoch
    opened.desk.record_house(events.KeyActed("copied", epoch), actor)
    folder, workspace = opened.settings.keys, opened.desk.workspace
    made = keycopy.write(folder, opened.keys, workspace, out, now, opened.desk.randomness)
    with out.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    done = Copied(made.epoch, now, out.name, digest)
    opened.desk.record_house(events.BackupActed("made", "keys", digest[:16], digest), actor)
    with opened.store.book() as tx:
        row = [done.epoch, done.at, done.place, done.digest]
        tx.put_row(COPIES, b"last", msgspec.json.encode(row))
    return done


def _require_apart(settings: Settings, out: Path) -> None:
    """Refuse a place where the data's backups would take the copy along."""
    place = out.resolve()
    near = [settings.record.parent, settings.keys, *care_of(settings).backed_up]
    if any(place.is_relative_to(each.resolve()) for each in near):
        raise InvalidInput(
            "a copy of the keys belongs to another place than the data and its backups",
            "name a folder elsewhere",
        )


# Bringing back


def restore_keys(folder: Path, archive: Path, at: Instant, key: bytes = b"") -> RestoredKeys:
    """Bring a copy of the key store back; no process may have the workspace open.

    Args:
        folder: The workspace.
        archive: The copy.
        at: The present moment.
        key: The key of its epoch, from shares; b"" where the provider still holds it.

    Raises:
        InvalidInput: It is no copy of a key store.
        Unavailable: Nothing holds the key of its epoch any more: by design nothing opens it.
        EvidenceBroken: The copy was cut or altered, or the key is not its own.
    """
    settings = read_settings(folder)
    made = keycopy.look(archive)
    provider = provider_of(settings, made.workspace, SystemRandomness())
    settings.keys.mkdir(mode=0o700, exist_ok=True)
    if made.epoch not in provider.epochs():
        _bring_key(provider, made, key)
    beside = settings.keys.with_name(settings.keys.name + ".restoring")
    _clear(beside)
    keycopy.unpack(archive, provider, beside)
    try:
        fences, known = _known(settings, made.workspace)
        known += _unheard(provider, known, made.epoch)
        due = Instant(at + care_of(settings).keep_days * DAY)
        count = _merged(beside, made.workspace, provider, fences, known, due)
        _swap(beside, settings.keys)
    finally:
        _clear(beside)
    epoch = _renewed(settings, made, provider, at)
    _record(folder, archive, at)
    return RestoredKeys(made.epoch, epoch, count)


def _bring_key(provider: EscrowableProvider, made: keycopy.KeyCopy, key: bytes) -> None:
    """Hand the provider a key from shares, after seeing that it opens the copy."""
    if not key:
        raise Unavailable(
            f"nothing holds the key of epoch {made.epoch} any more: this copy opens nothing",
            "use a newer copy, or the shares of that epoch",
        )
    nonce, sealed = made.wrapped[: crypto.NONCE_BYTES], made.wrapped[crypto.NONCE_BYTES :]
    crypto.Aead(key).open(nonce, sealed, keycopy.copy_aad(made.workspace, made.epoch))
    provider.put_back(made.epoch, key)


def _known(settings: Settings, workspace: bytes) -> tuple[list[Fence], list[KeyEpoch]]:
    """Return what the store that is replaced knows; nothing where it is lost or damaged."""
    try:
        store = FileKeyStore(settings.keys, workspace)
    except (Unavailable, EvidenceBroken):
        return [], []
    try:
        return store.fences(), store.epochs.all()
    except Fault:
        return [], []
    finally:
        store.close()


def _unheard(provider: EscrowableProvider, known: Sequence[KeyEpoch], made: int) -> list[KeyEpoch]:
    """Return epochs the provider holds keys of and nobody remembers: they end now."""
    named, none = {each.epoch for each in known}, Instant(0)
    held = (e for e in provider.epochs() if e not in named and e > made)
    return [KeyEpoch(epoch, "kept", none, none, none, none) for epoch in held]


def _merged(  # noqa: PLR0913 - the copy, and what it must not undo
    beside: Path,
    workspace: bytes,
    provider: EscrowableProvider,
    fences: Sequence[Fence],
    known: Sequence[KeyEpoch],
    due: Instant,
) -> int:
    store = FileKeyStore(beside, workspace, provider)
    try:
        return store.merge(fences, known, due)
    finally:
        store.close()


def _swap(beside: Path, keys: Path) -> None:
    """Put the copy's database into force; named secrets that are there stay."""
    try:
        for path in sorted(beside.iterdir()):
            if path.name == "keys.db":
                continue
            if not (keys / path.name).exists():
                shutil.copy2(path, keys / path.name)
        for log in ("keys.db-wal", "keys.db-shm"):
            (keys / log).unlink(missing_ok=True)
        (beside / "keys.db").replace(keys / "keys.db")
        settle_folder(keys)
    except OSError:
        raise Unavailable("the key folder cannot be written", "check owner and mode") from None


def _renewed(
    settings: Settings, made: keycopy.KeyCopy, provider: EscrowableProvider, at: Instant
) -> int:
    """Begin a new epoch where the copy's had ended: its end was promised, and comes."""
    store = FileKeyStore(settings.keys, made.workspace, provider)
    try:
        held = store.epochs.all()
        if epochs.newest(held) == made.epoch and not store.epochs.touched():
            return made.epoch
        epoch = store.epochs.begin(at)
        store.epochs.turn(epoch)
        due = Instant(at + care_of(settings).keep_days * DAY)
        store.epochs.finish(epoch, at, due)
        return epoch
    finally:
        store.close()


def _record(folder: Path, archive: Path, at: Instant) -> None:
    """Say on the record that keys were brought back; where the data is not back yet, nowhere."""
    from troth.app.workspace import open as open_workspace

    with suppress(NotFound, EvidenceBroken, Unavailable):
        opened = open_workspace(folder, at)
        try:
            with archive.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            told = events.BackupActed("restored", "keys", digest[:16], digest)
            opened.desk.record_house(told, SYSTEM)
        finally:
            opened.close()


def _clear(folder: Path) -> None:
    """Overwrite and delete a folder of unpacked keys; there being none is fine."""
    if folder.is_dir():
        for path in folder.iterdir():
            overwrite(path)
        folder.rmdir()
