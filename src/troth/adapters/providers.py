"""Who holds the key-encryption key of each epoch, and what each can promise of its end.

Another provider (a KMS, a transit engine) is another class with these methods: it must pass the
same contract (`tests/adapters/test_providers.py: ProviderContract`). None of them is shipped here.
"""

import base64
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from troth import crypto
from troth.errors import EvidenceBroken, Fault, InvalidInput, Unavailable
from troth.ports import Randomness
from troth.terms import Finality, Instant

_T = TypeVar("_T")
BEST_EFFORT: Final = "best effort on this disk"
_NAME = re.compile(r"kek-([1-9][0-9]{0,9})\.key")
_LOCKED, _SALT_BYTES = b"\x02", 16
_LOCKED_BYTES: Final = 1 + _SALT_BYTES + crypto.NONCE_BYTES + crypto.KEY_BYTES + crypto.TAG_BYTES
_LOCKED_AAD: Final = b"troth kek under a passphrase"


def write_secret(path: Path, raw: bytes) -> None:
    """Write a secret file that only its owner can read, durably."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(raw)
        out.flush()
        os.fsync(out.fileno())


def settle_folder(folder: Path) -> None:
    """Make what was created, renamed or deleted in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def overwrite(path: Path) -> None:
    """Write over a file, durably, and delete it; there being none is fine.

    Flash storage and copying file systems may keep the old blocks: best effort, and said so.
    """
    try:
        handle = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        size = os.fstat(handle).st_size
        for fill in (b"\xff", b"\x00"):
            os.pwrite(handle, fill * size, 0)
            os.fsync(handle)
    finally:
        os.close(handle)
    path.unlink(missing_ok=True)
    settle_folder(path.parent)


class _Wrapping:
    """AES-256-GCM under a key this process is given: what both providers here do."""

    def __init__(self, randomness: Randomness, export: Callable[[int], bytes]) -> None:
        self._random = randomness
        self._exported = export
        self._held: dict[int, crypto.Aead] = {}

    def wrap(self, epoch: int, raw: bytes, aad: bytes) -> bytes:
        """Seal a key: nonce, ciphertext, tag."""
        nonce = self._random.take(crypto.NONCE_BYTES)
        return nonce + self._key(epoch).seal(nonce, raw, aad)

    def unwrap(self, epoch: int, sealed: bytes, aad: bytes) -> bytes:
        """Open what `wrap` sealed."""
        nonce, rest = sealed[: crypto.NONCE_BYTES], sealed[crypto.NONCE_BYTES :]
        return self._key(epoch).open(nonce, rest, aad)

    def _key(self, epoch: int) -> crypto.Aead:
        """Return an epoch's key, read once: 1,024 shard keys hang on it."""
        held = self._held.get(epoch)
        if held is None:
            held = self._held[epoch] = crypto.Aead(self._exported(epoch))
        return held


class FileProvider(_Wrapping):
    """Keys as files `kek-E.key`, 0600, in the key folder; locked by a passphrase where one is set.

    Finality: best effort on this disk.
    """

    name = "file"

    def __init__(self, folder: Path, randomness: Randomness, passphrase: bytes = b"") -> None:
        """Keep keys in `folder`; `passphrase` b"" keeps them as they are."""
        super().__init__(randomness, self.export)
        self._folder = folder
        self._passphrase = passphrase

    def new_epoch(self, epoch: int) -> None:
        """Make the key of an epoch; one that exists stays."""
        if not self._path(epoch).exists():
            self.put_back(epoch, self._random.take(crypto.KEY_BYTES))

    def put_back(self, epoch: int, raw: bytes) -> None:
        """Take back the key of an epoch; whole or not at all."""
        path = self._path(epoch)
        if path.exists():
            return
        beside = path.with_suffix(".new")
        try:
            overwrite(beside)
            write_secret(beside, self._locked(raw) if self._passphrase else raw)
            beside.rename(path)
            settle_folder(self._folder)
        except OSError:
            raise Unavailable("the key folder cannot be written", "check owner and mode") from None

    def export(self, epoch: int) -> bytes:
        """Return the key of an epoch."""
        name = f"kek-{epoch}.key"
        try:
            held = self._path(epoch).read_bytes()
        except OSError:
            raise Unavailable(f"{name} is missing from the key folder", "restore it") from None
        if self._passphrase or len(held) != crypto.KEY_BYTES:
            held = self._unlocked(name, held)
        if len(held) != crypto.KEY_BYTES:
            raise EvidenceBroken(f"{name} is damaged", "restore it from the shares in escrow")
        return held

    def _locked(self, raw: bytes) -> bytes:
        salt = self._random.take(_SALT_BYTES)
        nonce = self._random.take(crypto.NONCE_BYTES)
        lock = crypto.Aead(crypto.scrypt(self._passphrase, salt))
        return _LOCKED + salt + nonce + lock.seal(nonce, raw, _LOCKED_AAD)

    def _unlocked(self, name: str, held: bytes) -> bytes:
        if len(held) == crypto.KEY_BYTES:
            return held  # of an epoch before there was a passphrase
        if held[:1] != _LOCKED or len(held) != _LOCKED_BYTES:
            raise EvidenceBroken(f"{name} is damaged", "restore it from the shares in escrow")
        if not self._passphrase:
            raise Unavailable(f"{name} is under a passphrase", "name it in [keys] passphrase")
        salt, rest = held[1 : 1 + _SALT_BYTES], held[1 + _SALT_BYTES :]
        nonce, sealed = rest[: crypto.NONCE_BYTES], rest[crypto.NONCE_BYTES :]
        try:
            return crypto.Aead(crypto.scrypt(self._passphrase, salt)).open(
                nonce, sealed, _LOCKED_AAD
            )
        except EvidenceBroken:
            raise Unavailable(
                f"the passphrase does not open {name}", "give the right one"
            ) from None

    def epochs(self) -> list[int]:
        """Return the epochs a file is there of."""
        found = (_NAME.fullmatch(path.name) for path in self._folder.glob("kek-*.key"))
        return sorted(int(each[1]) for each in found if each)

    def promise(self, at: Instant) -> Finality:
        """Say what overwriting a file is worth."""
        return Finality(BEST_EFFORT, at)

    def destroy_epoch(self, epoch: int, at: Instant) -> Finality:
        """Overwrite and delete the file, and make its absence durable."""
        self._held.pop(epoch, None)
        try:
            overwrite(self._path(epoch))
        except OSError:
            raise Unavailable("a key file cannot be deleted", "check owner and mode") from None
        evidence = "file overwritten and deleted, folder synced"
        return Finality(BEST_EFFORT, at, evidence)

    def _path(self, epoch: int) -> Path:
        return self._folder / f"kek-{epoch}.key"


class Backend(Protocol):
    """What is used of a keyring's backend (`keyring` 25)."""

    @property
    def name(self) -> str:
        """What the backend calls itself."""
        ...

    def get_password(self, service: str, username: str) -> str | None:
        """Return a password or None."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a password."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Delete a password."""
        ...


def system_backend() -> Backend:
    """Return the keyring of this machine's user; needs the extra `[keyring]`.

    Raises:
        Unavailable: The extra is not installed, or this machine has no keyring.
    """
    try:
        import keyring  # noqa: PLC0415 - an extra
        from keyring.backends.fail import Keyring as Nothing  # noqa: PLC0415 - an extra
    except ImportError:
        raise Unavailable("no keyring is installed", "install troth[keyring]") from None
    found: Backend = keyring.get_keyring()
    if isinstance(found, Nothing):
        raise Unavailable("this machine has no keyring", "use provider = file in [keys]")
    return found


class KeyringProvider(_Wrapping):
    """Keys in the keyring of the operating system, by the package `keyring`.

    Finality: as that keyring says; what it keeps below, this house cannot see.
    """

    name = "keyring"

    def __init__(self, workspace: bytes, randomness: Randomness, backend: Backend) -> None:
        """Keep the keys of one workspace in a keyring."""
        super().__init__(randomness, self.export)
        self._service = f"troth/{workspace.hex()}"
        self._backend = backend

    def new_epoch(self, epoch: int) -> None:
        """Make the key of an epoch; one that exists stays."""
        self.put_back(epoch, self._random.take(crypto.KEY_BYTES))

    def put_back(self, epoch: int, raw: bytes) -> None:
        """Take back the key of an epoch, and note that it is there."""
        if self._get(f"kek-{epoch}") is None:
            text = base64.b64encode(raw).decode()
            self._asked(lambda: self._backend.set_password(self._service, f"kek-{epoch}", text))
        self._note(sorted({*self.epochs(), epoch}))

    def export(self, epoch: int) -> bytes:
        """Return the key of an epoch."""
        text = self._get(f"kek-{epoch}")
        if text is None:
            raise Unavailable(f"the keyring holds no key of epoch {epoch}", "restore it")
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError:
            raw = b""
        if len(raw) != crypto.KEY_BYTES:
            raise EvidenceBroken(f"the key of epoch {epoch} is damaged", "restore it")
        return raw

    def epochs(self) -> list[int]:
        """Return the epochs a key is there of."""
        held = self._get("epochs") or ""
        return [int(each) for each in held.split(",") if each.isdigit()]

    def promise(self, at: Instant) -> Finality:
        """Say that the keyring answers for it."""
        return Finality(f"as the keyring of this machine says ({self._backend.name})", at)

    def destroy_epoch(self, epoch: int, at: Instant) -> Finality:
        """Delete the key and see that it is gone."""
        self._held.pop(epoch, None)
        name = f"kek-{epoch}"
        if self._get(name) is not None:
            self._asked(lambda: self._backend.delete_password(self._service, name))
        if self._get(name) is not None:
            raise Unavailable("the keyring still holds a key it deleted", "repeat")
        self._note([each for each in self.epochs() if each != epoch])
        said = self.promise(at)
        return Finality(said.method, at, "entry deleted; a look afterwards found none")

    def _note(self, epochs: list[int]) -> None:
        text = ",".join(map(str, epochs))
        self._asked(lambda: self._backend.set_password(self._service, "epochs", text))

    def _get(self, name: str) -> str | None:
        return self._asked(lambda: self._backend.get_password(self._service, name))

    def _asked(self, ask: Callable[[], _T]) -> _T:
        try:
            return ask()
        except Fault:
            raise
        except Exception:  # noqa: BLE001 - a backend raises whatever its system does
            raise Unavailable("the keyring does not answer", "unlock it, then repeat") from None


def passphrase_of(text: str, environment: Callable[[str], str | None]) -> bytes:
    """Read a passphrase from where the settings say: `env:NAME` or `fd:NUMBER`; "" is none.

    Raises:
        InvalidInput: The reference is neither.
        Unavailable: Nothing is there.
    """
    kind, _, place = text.partition(":")
    if not text:
        return b""
    if kind == "env" and place:
        held = (environment(place) or "").encode()
    elif kind == "fd" and place.isdigit():
        held = _from_fd(int(place))
    else:
        raise InvalidInput("[keys] passphrase is no reference", "write env:NAME or fd:3")
    if not held:
        raise Unavailable("the passphrase of the keys is not given", f"set {kind} {place}")
    return held


_READ: dict[int, bytes] = {}


def _from_fd(number: int) -> bytes:
    """Read a descriptor to its end, once a process: a second reading would find nothing."""
    if number not in _READ:
        try:
            with os.fdopen(os.dup(number), "rb") as file:
                _READ[number] = file.read(4_096).strip(b"\r\n")
        except OSError:
            return b""
    return _READ[number]
