"""How a house keeps its keys, from `[keys]` in troth.toml: who holds them, how long, where not.

Read before anything is opened: a setting that does not read, or a key at a place that is backed
up, stops the start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from troth.adapters.providers import (
    FileProvider,
    KeyringProvider,
    passphrase_of,
    system_backend,
)
from troth.errors import InvalidInput, Unavailable
from troth.ports import EscrowableProvider, Randomness
from troth.settings import Settings, environment
from troth.terms import Actor, Role

MAY_KEEP: Final = frozenset({Role.IT, Role.OFFICER, Role.SYSTEM})
SHARES: Final = "custody.escrow"
"""`last` → epoch, shares, need and moment of the newest splitting."""
PROVIDERS: Final = ("file", "keyring")
EPOCHS: Final[Mapping[str, int]] = {"daily": 1, "weekly": 7}
KEEP_DAYS: Final = 7
KEEP_MOST: Final = 90
_KNOWN: Final = frozenset(
    {"provider", "epoch", "keep_days", "passphrase", "backed_up", "escrow_to", "escrow_need"}
)


@dataclass(frozen=True, slots=True)
class Care:
    """What `[keys]` says.

    Attributes:
        provider: `file` or `keyring`.
        every_days: An epoch lasts this long once something was shredded in it.
        keep_days: Days an epoch that ended is kept, so that copies of the key store made in it
            still open; 0: only the newest copy does.
        passphrase: Where the passphrase of key files comes from, `env:NAME` or `fd:3`; "" none.
        backed_up: Folders whose content somebody copies; no key may lie below.
        escrow_to: One folder a share; written anew at every new epoch. () for shares on paper.
        escrow_need: How many of these give the key back.
    """

    provider: str = "file"
    every_days: int = 1
    keep_days: int = KEEP_DAYS
    passphrase: str = ""
    backed_up: tuple[Path, ...] = ()
    escrow_to: tuple[Path, ...] = ()
    escrow_need: int = 2


def require_keeper(actor: Actor) -> None:
    """Refuse a role that keeps no keys.

    Raises:
        InvalidInput: It is none of `MAY_KEEP`; nothing was done.
    """
    if actor.role not in MAY_KEEP:
        raise InvalidInput("this role keeps no keys", "ask IT or the privacy officer")


def care_of(settings: Settings) -> Care:
    """Read `[keys]`.

    Raises:
        InvalidInput: A value does not read; names it.
    """
    held = settings.key_care
    for key in held:
        if key not in _KNOWN:
            raise _wrong(f"{key} is unknown")
    keep, need = held.get("keep_days", KEEP_DAYS), held.get("escrow_need", 2)
    if type(keep) is not int or not 0 <= keep <= KEEP_MOST:
        raise _wrong(f"keep_days is a whole number up to {KEEP_MOST}")
    to = _folders(settings.folder, held, "escrow_to")
    if type(need) is not int or (to and not 2 <= need <= len(to)):  # noqa: PLR2004 - of shares
        raise _wrong("escrow_need is 2 or more, and no more than escrow_to has folders")
    return Care(
        provider=_one_of(held, "provider", PROVIDERS),
        every_days=EPOCHS[_one_of(held, "epoch", tuple(EPOCHS))],
        keep_days=keep,
        passphrase=_text(held, "passphrase"),
        backed_up=_folders(settings.folder, held, "backed_up"),
        escrow_to=to,
        escrow_need=need,
    )


def _wrong(said: str) -> InvalidInput:
    return InvalidInput(f"troth.toml: [keys] {said}", "compare with docs/keys.md")


def _text(held: Mapping[str, Any], key: str) -> str:
    value = held.get(key, "")
    if not isinstance(value, str):
        raise _wrong(f"{key} is no text")
    return value


def _one_of(held: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = _text(held, key) or known[0]
    if value not in known:
        raise _wrong(f"{key} is one of {', '.join(known)}")
    return value


def _folders(folder: Path, held: Mapping[str, Any], key: str) -> tuple[Path, ...]:
    value = held.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _wrong(f"{key} is a list of folders")
    return tuple(folder / each for each in value)


def provider_of(
    settings: Settings, workspace: bytes, randomness: Randomness
) -> EscrowableProvider:
    """Return who holds the keys of each epoch.

    Raises:
        InvalidInput: `[keys]` does not read.
        Unavailable: The provider is not there, or its passphrase is not given.
    """
    care = care_of(settings)
    if care.provider == "keyring":
        return KeyringProvider(workspace, randomness, system_backend())
    passphrase = passphrase_of(care.passphrase, environment)
    return FileProvider(settings.keys, randomness, passphrase)


def refuse_misplaced(settings: Settings) -> None:
    """Refuse keys at a place that is copied with the data: an old copy would open what was erased.

    Raises:
        Unavailable: The key folder lies under data/ or a folder that is backed up, or a key of an
            epoch lies under data/.
    """
    data, keys = settings.record.parent.resolve(), settings.keys.resolve()
    if keys.is_relative_to(data):
        raise Unavailable("the key folder lies under data/", "move it out: backups copy data/")
    for place in care_of(settings).backed_up:
        if keys.is_relative_to(place.resolve()):
            raise Unavailable(
                "the key folder lies under a folder that is backed up",
                "move keys/ out of it, or leave keys/ out of that backup and of backed_up",
            )
    if any(data.rglob("kek-*.key")):
        raise Unavailable("a key of an epoch lies under data/", "delete it: backups copy data/")


def require_sound(randomness: Randomness) -> None:
    """Refuse a source of randomness that repeats itself or stands still, by 96 bytes of it.

    Raises:
        Unavailable: It does; nothing may be sealed.
    """
    random = randomness.take(96)
    parts = {random[:32], random[32:64], random[64:]}
    if len(parts) < 3 or len(set(random)) < 48:  # noqa: PLR2004 - 80 of 256 are expected
        raise Unavailable("the random source of this machine repeats itself", "do not go on")
