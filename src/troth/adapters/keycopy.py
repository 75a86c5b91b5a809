"""A copy of the key store in one file: wrapped keys and named secrets, sealed; no epoch's key.

The copy is sealed under a key of its own, wrapped under the key of the epoch in force: once that
epoch is destroyed the copy opens nothing, whoever has it. Layout: the line `TROTH-KEYS-1`, one
line of canonical JSON, then parts of at most 4 MiB, each behind its length, under AES-256-GCM; a
counter in the nonce and a last-part mark in the AAD: nothing can be cut off or put elsewhere.
"""

import os
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from troth import crypto
from troth.adapters import leftovers
from troth.adapters.providers import overwrite, settle_folder, write_secret
from troth.adapters.sqlite.keys import FileKeyStore
from troth.errors import Conflict, EvidenceBroken, InvalidInput, Unavailable
from troth.kernel import events
from troth.kernel.vault import lp
from troth.ports import KeyProvider, Randomness
from troth.terms import Instant, zulu

MAGIC: Final = b"TROTH-KEYS-1\n"
PART: Final = 4 << 20
_LENGTH = struct.Struct(">I")
STAFF: Final = "staff.db"
_NOT_COPIED = ("kek-",)


@dataclass(frozen=True, slots=True)
class KeyCopy:
    """What a copy says of itself in clear.

    Attributes:
        epoch: The epoch it opens under.
        at: When it was made.
        head: The line itself, bound into every part.
        wrapped: The copy's own key, wrapped under the epoch's.
    """

    workspace: bytes
    epoch: int
    at: str
    head: bytes
    wrapped: bytes


def copy_aad(workspace: bytes, epoch: int) -> bytes:
    """Bind a copy's own key to its house and epoch."""
    return lp(b"keycopy1", workspace, epoch.to_bytes(4, "big"))


def write(  # noqa: PLR0913 - what, whose, where, when
    folder: Path,
    store: FileKeyStore,
    workspace: bytes,
    out: Path,
    at: Instant,
    randomness: Randomness,
) -> KeyCopy:
    """Write a copy of a key folder to `out`, whole or not at all.

    Raises:
        Conflict: A file of this name is there.
        Unavailable: It cannot be written, or the provider does not answer.
    """
    if out.exists():
        raise Conflict("a file of this name is there already", "name another")
    epoch = next(e.epoch for e in store.epochs.all() if e.state == "current")
    key = randomness.take(crypto.KEY_BYTES)
    wrapped = store.provider.wrap(epoch, key, copy_aad(workspace, epoch))
    told = {"at": zulu(at), "epoch": epoch, "key": wrapped.hex(), "workspace": workspace.hex()}
    head = events.canonical(told)
    beside, copied = out.with_name(out.name + ".part"), folder / "copy.db"
    beside_staff = folder / "copy-staff.db"
    with leftovers.held(folder):
        try:
            overwrite(copied)
            write_secret(copied, b"")
            store.copy_to(copied)
            names = {"keys.db": copied, **{p.name: p for p in _secrets(folder)}}
            if (folder / STAFF).exists():
                overwrite(beside_staff)
                write_secret(beside_staff, b"")
                _copied(folder / STAFF, beside_staff)
                names[STAFF] = beside_staff
            beside.unlink(missing_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(MAGIC + head + b"\n")
                _seal(file, crypto.Aead(key), head, names)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(out)
            settle_folder(out.parent)
        except OSError:
            raise Unavailable(
                "the copy cannot be written", "check the place and its space"
            ) from None
        finally:
            overwrite(copied)
            overwrite(beside_staff)
    return KeyCopy(workspace, epoch, zulu(at), head, wrapped)


def _secrets(folder: Path) -> list[Path]:
    """Return the named secrets of a key folder, never the key of an epoch."""
    found = (p for p in folder.glob("*.key") if not p.name.startswith(_NOT_COPIED))
    return sorted(found)


def _copied(source: Path, target: Path) -> None:
    """Copy a database that others may be writing to, as it is at one moment."""
    held, made = sqlite3.connect(source), sqlite3.connect(target)
    try:
        held.backup(made)
    except sqlite3.DatabaseError:
        raise Unavailable("the store of accounts cannot be copied", "repeat in a moment") from None
    finally:
        made.close()
        held.close()


def _seal(file: BinaryIO, key: crypto.Aead, head: bytes, names: Mapping[str, Path]) -> None:
    sizes = {name: path.stat().st_size for name, path in names.items()}
    parts = _plain(names, events.canonical(sizes))
    number, held = 0, next(parts)
    for part in parts:
        _put(file, key, head, number, b"\x00", held)
        number, held = number + 1, part
    _put(file, key, head, number, b"\x01", held)


def _plain(names: Mapping[str, Path], sizes: bytes) -> Iterator[bytes]:
    yield sizes
    for _, path in sorted(names.items()):
        with path.open("rb") as file:
            while part := file.read(PART):
                yield part


def _put(  # noqa: PLR0913 - what a part is bound to
    file: BinaryIO, key: crypto.Aead, head: bytes, number: int, last: bytes, plain: bytes
) -> None:
    sealed = key.seal(number.to_bytes(crypto.NONCE_BYTES, "big"), plain, last + head)
    file.write(_LENGTH.pack(len(sealed)) + sealed)


def look(path: Path) -> KeyCopy:
    """Read what a copy says of itself; opens nothing.

    Raises:
        InvalidInput: It is no copy of a key store.
        Unavailable: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _head(file)
    except OSError:
        raise Unavailable("the copy cannot be read", "name the file it lies in") from None


def _head(file: BinaryIO) -> KeyCopy:
    if file.read(len(MAGIC)) != MAGIC:
        raise InvalidInput("this file is no copy of a key store", "name what `keys copy` wrote")
    head = file.readline(65_536).rstrip(b"\n")
    try:
        told: Mapping[str, Any] = events.read_canonical(head)
        workspace, wrapped = bytes.fromhex(told["workspace"]), bytes.fromhex(told["key"])
        return KeyCopy(workspace, int(told["epoch"]), str(told["at"]), head, wrapped)
    except (KeyError, ValueError, TypeError):
        raise EvidenceBroken("the copy's first line is damaged", "use another copy") from None


def unpack(path: Path, provider: KeyProvider, into: Path) -> KeyCopy:
    """Open a copy into an empty folder, 0700; what was begun and fails is overwritten again.

    Raises:
        InvalidInput: It is no copy of a key store.
        Unavailable: The provider holds no key of its epoch any more: by design nothing opens it.
        EvidenceBroken: It was cut or altered.
    """
    made = look(path)
    key = crypto.Aead(
        provider.unwrap(made.epoch, made.wrapped, copy_aad(made.workspace, made.epoch))
    )
    into.mkdir(mode=0o700)
    try:
        with path.open("rb") as file:
            _head(file)
            _write_out(_opened(file, key, made.head), into)
    except BaseException as fault:
        for each in into.iterdir():
            overwrite(each)
        into.rmdir()
        if isinstance(fault, OSError):
            raise Unavailable("the copy cannot be unpacked", "check the disk") from None
        raise
    return made


def _opened(file: BinaryIO, key: crypto.Aead, head: bytes) -> Iterator[bytes]:
    """Yield the parts in order; the last one must say that it is."""
    number = 0
    while True:
        length = file.read(_LENGTH.size)
        size = _LENGTH.unpack(length)[0] if len(length) == _LENGTH.size else 0
        sealed = file.read(size) if crypto.TAG_BYTES <= size <= PART + crypto.TAG_BYTES else b""
        here = file.tell()
        last = not file.read(1)
        file.seek(here)
        nonce = number.to_bytes(crypto.NONCE_BYTES, "big")
        yield key.open(nonce, sealed, (b"\x01" if last else b"\x00") + head)
        if last:
            return
        number += 1


def _write_out(parts: Iterator[bytes], into: Path) -> None:
    sizes: Mapping[str, Any] = events.read_canonical(next(parts))
    held = b""
    for name, size in sizes.items():
        path = into / Path(name).name
        write_secret(path, b"")
        left = int(size)
        with path.open("wb") as file:
            while left:
                held = held or next(parts, b"")
                if not held:
                    raise EvidenceBroken("the copy is not whole", "use another copy")
                part, held = held[:left], held[left:]
                file.write(part)
                left -= len(part)
            file.flush()
            os.fsync(file.fileno())
