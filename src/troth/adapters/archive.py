"""One encrypted file that holds other files: written in one pass, believed only as a whole.

    "TROTHBK1" || u32be(len) || header          canonical JSON: v, chunk, key
    then per chunk  u32be(len) || AES-256-GCM   nonce = last(1) || 0x000000 || u64be(counter)
                                                AAD = SHA-256(everything before the first chunk)

`key` is the archive's own random key, wrapped under the secret `backup`. The counter makes an
exchanged, missing or doubled chunk fail, the first byte of the nonce a cut end, and the key of its
own a chunk of another archive. Inside: a zlib stream of parts `u16be(len) || name || u64be(size)
|| bytes`, the last of them `manifest.json` with size and SHA-256 of each. Fixed by tests/vectors.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from troth import crypto
from troth.errors import Conflict, EvidenceBroken, InvalidInput, Unavailable
from troth.kernel import events, proof
from troth.ports import Randomness

MAGIC: Final = b"TROTHBK1"
MANIFEST: Final = "manifest.json"
CHUNK: Final = 1 << 20
_HEADER_MAX, _CHUNK_MAX, _NAME_MAX = 4_096, 1 << 24, 200
_LENGTH, _PART = struct.Struct(">I"), struct.Struct(">H")
_WRAP_AAD: Final = b"troth/backup/1"
_LEVEL: Final = 1
_DAMAGED: Final = (
    "the backup does not open: it is damaged, cut short or put together",
    "use another one",
)
Watch = Callable[[int], None]


def _unwatched(_bytes: int) -> None:
    """Nobody looks."""


def _nonce(counter: int, *, last: bool) -> bytes:
    return bytes((last, 0, 0, 0)) + counter.to_bytes(8, "big")


@dataclass(slots=True)
class Writer:
    """Takes parts one after the other; nothing is there under its name before `close`."""

    _out: BinaryIO
    _aead: crypto.Aead
    _aad: bytes
    _chunk: int
    _zip: Any = field(default_factory=lambda: zlib.compressobj(_LEVEL))
    _held: bytearray = field(default_factory=bytearray)
    _counter: int = 0
    _parts: dict[str, dict[str, int | str]] = field(default_factory=dict)

    def add(self, name: str, source: BinaryIO, size: int, watch: Watch = _unwatched) -> None:
        """Add a part of exactly `size` bytes.

        Raises:
            InvalidInput: The name is taken or too long, or the source ends early.
        """
        raw = name.encode()
        if name in self._parts or not 0 < len(raw) <= _NAME_MAX:
            raise InvalidInput("a part of a backup has a name of its own")
        self._put(_PART.pack(len(raw)) + raw + size.to_bytes(8, "big"))
        digest, left = hashlib.sha256(), size
        while left:
            piece = source.read(min(left, self._chunk))
            if not piece:
                raise InvalidInput("a part of a backup ended early", "make the backup again")
            digest.update(piece)
            self._put(piece)
            left -= len(piece)
            watch(size - left)
        self._parts[name] = {"size": size, "sha256": digest.hexdigest()}

    def _put(self, piece: bytes) -> None:
        self._held += self._zip.compress(piece)
        while len(self._held) > self._chunk:
            self._seal(bytes(self._held[: self._chunk]), last=False)
            del self._held[: self._chunk]

    def _seal(self, piece: bytes, *, last: bool) -> None:
        sealed = self._aead.seal(_nonce(self._counter, last=last), piece, self._aad)
        self._out.write(_LENGTH.pack(len(sealed)) + sealed)
        self._counter += 1

    def close(self, told: Mapping[str, Any]) -> None:
        """Write the manifest and the last chunk."""
        manifest = events.canonical({**told, "files": dict(sorted(self._parts.items()))})
        raw = MANIFEST.encode()
        self._put(_PART.pack(len(raw)) + raw + len(manifest).to_bytes(8, "big") + manifest)
        self._held += self._zip.flush()
        while len(self._held) > self._chunk:
            self._seal(bytes(self._held[: self._chunk]), last=False)
            del self._held[: self._chunk]
        self._seal(bytes(self._held), last=True)


@contextmanager
def writing(
    path: Path, secret: bytes, randomness: Randomness, chunk: int = CHUNK
) -> Iterator[Writer]:
    """Write an archive beside its name and move it there once it is whole and on the disk.

    Args:
        path: Where it shall lie; a file of this name is never replaced.
        secret: 32 bytes, the secret `backup`.
        randomness: Draws the archive's own key.
        chunk: Bytes a chunk holds at most before it is sealed.

    Raises:
        Conflict: Something lies there already.
        Unavailable: The place cannot be written, or the disk is full.
    """
    if path.exists():
        raise Conflict("a file of this name lies there already", "name another")
    part = path.with_name(path.name + ".part")
    key, nonce = randomness.take(crypto.KEY_BYTES), randomness.take(crypto.NONCE_BYTES)
    wrapped = nonce + crypto.Aead(secret).seal(nonce, key, _WRAP_AAD)
    header = events.canonical({"v": 1, "chunk": chunk, "key": proof.b64(wrapped)})
    head = MAGIC + _LENGTH.pack(len(header)) + header
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(head)
            yield Writer(out, crypto.Aead(key), crypto.sha256(head), chunk)
            out.flush()
            os.fsync(out.fileno())
        part.rename(path)
        _settle(path.parent)
    except OSError:
        raise Unavailable(
            "the backup cannot be written there", "check the folder, its owner and free space"
        ) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """Make the name itself durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _Stream:
    """The decrypted, unpacked bytes of an archive, as far as they are asked for."""

    def __init__(self, source: BinaryIO, secret: bytes) -> None:
        self._source = source
        self._zip = zlib.decompressobj()
        self._held = bytearray()
        self._counter, self._last = 0, False
        magic = source.read(len(MAGIC) + _LENGTH.size)
        length = int.from_bytes(magic[len(MAGIC) :], "big")
        if magic[: len(MAGIC)] != MAGIC or not 0 < length <= _HEADER_MAX:
            raise InvalidInput("this is no backup of Troth", "name the file that was made")
        header = source.read(length)
        self._aad = crypto.sha256(magic + header)
        self._aead = crypto.Aead(_key_of(header, secret))

    def read(self, count: int) -> bytes:
        """Return exactly so many bytes; fewer is damage."""
        while len(self._held) < count:
            ended, before = self._last, len(self._held)
            self._more(max(count - before, CHUNK))
            if ended and len(self._held) == before:
                raise EvidenceBroken(*_DAMAGED)
        piece = bytes(self._held[:count])
        del self._held[:count]
        return piece

    def _more(self, count: int) -> None:
        waiting = self._zip.unconsumed_tail
        if not waiting and not self._last:
            waiting = self._chunk()
        try:
            self._held += self._zip.decompress(waiting, count)
        except zlib.error:
            raise EvidenceBroken(*_DAMAGED) from None

    def _chunk(self) -> bytes:
        """Open the next chunk; the one after which nothing follows must say it is the last."""
        size = self._source.read(_LENGTH.size)
        length = int.from_bytes(size, "big")
        if len(size) != _LENGTH.size or not crypto.TAG_BYTES <= length <= _CHUNK_MAX:
            raise EvidenceBroken(*_DAMAGED)
        sealed = self._source.read(length)
        following = self._source.read(1)
        if following:
            self._source.seek(-1, os.SEEK_CUR)
        self._last = not following
        try:
            plain = self._aead.open(_nonce(self._counter, last=self._last), sealed, self._aad)
        except EvidenceBroken:
            raise EvidenceBroken(*_DAMAGED) from None
        self._counter += 1
        return plain

    def end(self) -> None:
        """Require that nothing is left."""
        while not self._last or self._zip.unconsumed_tail:
            self._more(CHUNK)
        if self._held or not self._zip.eof or self._zip.unused_data:
            raise EvidenceBroken(*_DAMAGED)


def _key_of(header: bytes, secret: bytes) -> bytes:
    """Unwrap the archive's own key."""
    told = events.read_canonical(header)
    if told.get("v") != 1:
        raise InvalidInput("this backup was made by a newer Troth", "install that version")
    try:
        wrapped = proof.unb64(told["key"])
    except (KeyError, TypeError, InvalidInput):
        raise EvidenceBroken(*_DAMAGED) from None
    nonce, sealed = wrapped[: crypto.NONCE_BYTES], wrapped[crypto.NONCE_BYTES :]
    try:
        return crypto.Aead(secret).open(nonce, sealed, _WRAP_AAD)
    except EvidenceBroken:
        raise EvidenceBroken(
            "this backup was made under another key", "restore the keys of its workspace first"
        ) from None


@dataclass(slots=True)
class _Hashed:
    """Writes what it reads from the stream into a file, and its digest."""

    stream: _Stream

    def into(self, path: Path, size: int, watch: Watch) -> str:
        digest, left = hashlib.sha256(), size
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            while left:
                piece = self.stream.read(min(left, CHUNK))
                digest.update(piece)
                out.write(piece)
                left -= len(piece)
                watch(size - left)
            out.flush()
            os.fsync(out.fileno())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What an archive held: its manifest; the files lie in the folder that was given."""

    told: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, secret: bytes, into: Path, watch: Watch = _unwatched) -> Self:
        """Unpack an archive into an empty folder; nothing of it may be used before this returns.

        Raises:
            InvalidInput: It is no backup, or one of a newer program.
            EvidenceBroken: It is damaged, cut, put together, or under another key.
            Unavailable: It cannot be read, or the folder cannot be written.
        """
        found: dict[str, dict[str, int | str]] = {}
        try:
            with path.open("rb") as source:
                told = _unpacked(_Stream(source, secret), into, found, watch)
        except OSError:
            raise Unavailable(
                "the backup cannot be read or unpacked", "check place and space"
            ) from None
        if told.get("files") != found:
            raise EvidenceBroken(*_DAMAGED)
        return cls(told)


def _unpacked(
    stream: _Stream, into: Path, found: dict[str, dict[str, int | str]], watch: Watch
) -> Mapping[str, Any]:
    """Write every part into its file, note what was found, and return the manifest at the end."""
    while True:
        name, size = _part(stream, found)
        if name == MANIFEST:
            told = events.read_canonical(stream.read(size))
            stream.end()
            return told
        target = into / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = _Hashed(stream).into(target, size, watch)
        found[name] = {"size": size, "sha256": digest}


def _part(stream: _Stream, found: Mapping[str, Any]) -> tuple[str, int]:
    """Read the head of the next part; a name may not lead out of the folder."""
    length = int.from_bytes(stream.read(_PART.size), "big")
    if not 0 < length <= _NAME_MAX:
        raise EvidenceBroken(*_DAMAGED)
    name = stream.read(length).decode("utf-8", "replace")
    size = int.from_bytes(stream.read(8), "big")
    steps = name.split("/")
    if name in found or name.startswith("/") or any(s in ("", ".", "..") for s in steps):
        raise EvidenceBroken(*_DAMAGED)
    if name == MANIFEST and size > _CHUNK_MAX:
        raise EvidenceBroken(*_DAMAGED)
    return name, size


def digest_of(path: Path) -> tuple[str, int]:
    """Return SHA-256, hex, and size of a file.

    Raises:
        Unavailable: It cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                digest.update(piece)
                size += len(piece)
    except OSError:
        raise Unavailable("the backup cannot be read", "check its place and owner") from None
    return digest.hexdigest(), size
