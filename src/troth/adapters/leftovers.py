"""Copies a killed process left behind: whoever makes one holds a lock that dies with it.

A backup's copy lies in `data/.backup-*`, a copy of the key store in `keys/`; both hold what an
erasure must reach, so each start takes away those nobody holds any more.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from troth.adapters.providers import overwrite

ASIDE: Final = ".backup-"
"""How the name of a folder begins that holds a backup under way."""
KEY_COPIES: Final = ("copy.db", "copy-staff.db")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Say that a folder's copies are somebody's, for as long as this process lives or asks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sweep(data: Path, keys: Path) -> None:
    """Delete the copies nobody holds; what cannot be deleted now is found by the next erasure."""
    for folder in data.glob(f"{ASIDE}*"):
        if folder.is_dir() and not folder.is_symlink() and _free(folder):
            shutil.rmtree(folder, ignore_errors=True)
    left = [keys / name for name in KEY_COPIES if (keys / name).exists()]
    if left and _free(keys):
        for path in left:
            overwrite(path)


def _free(folder: Path) -> bool:
    """Tell whether nobody holds a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
