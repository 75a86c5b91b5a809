"""Generations on disk: folders, the pointer, locks, and DuckDB opened without a network."""

import fcntl
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from troth.errors import Conflict, Unavailable
from troth.terms import Instant

POINTER = "current"
DATABASE = "reach.duckdb"
HOLD = "hold"
BUILDING = ".building-"
SPILL = ".spill"
REBUILD = "rebuild it"
_PRIVATE_DIR = 0o700
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Generation:
    """One immutable copy.

    Attributes:
        number: Counts up; the pointer names it.
        ledger_size: Every event below this leaf index is in it, none above.
        at: The instant it was built for; audiences run at this instant or later.
        path: The DuckDB file.
        people: Persons in it.
        rows: Purchase lines in it.
    """

    number: int
    ledger_size: int
    at: Instant
    path: Path
    people: int
    rows: int


def parts() -> tuple[Any, Any]:
    """Return the modules (duckdb, pyarrow), loaded on first use; about 0.2 s.

    Raises:
        Unavailable: The extra is not installed; the remedy says how to.
    """
    try:
        import duckdb  # noqa: PLC0415 - in the extra [reach]
        import pyarrow  # noqa: PLC0415, ICN001
    except ImportError:
        raise missing() from None
    return duckdb, pyarrow


_CONNECTING = threading.Lock()


def missing() -> Unavailable:
    """Return the fault of an installation without the extra."""
    return Unavailable("audiences need a part that is not installed", "pip install troth[reach]")


def connect(path: Path, spill: Path, memory_mib: int, mode: str) -> Any:  # noqa: ANN401
    """Open a DuckDB file that reads nothing but itself: no network, no extensions, no other file.

    Args:
        path: The file.
        spill: Folder for what does not fit into memory; written encrypted.
        memory_mib: Limit in MiB.
        mode: `read` or `write`.

    Raises:
        Unavailable: The file is damaged, of a newer format, or held by a writer.
    """
    duckdb, _ = parts()
    spill.mkdir(mode=_PRIVATE_DIR, parents=True, exist_ok=True)
    config = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
        "preserve_insertion_order": "false",
        "temp_directory": str(spill),
        "temp_file_encryption": "true",
        "memory_limit": f"{memory_mib}MiB",
    }
    try:
        with _CONNECTING:  # readers of one process share the engine behind a file, locks included
            made = duckdb.connect(str(path), read_only=mode == "read", config=config)
            (opens,) = made.execute("SELECT current_setting('enable_external_access')").fetchone()
            if opens:
                made.execute("SET enable_external_access = false")
                made.execute("SET lock_configuration = true")
    except duckdb.Error:
        raise Unavailable("a reach generation cannot be opened", REBUILD) from None
    return made


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private_folder(folder: Path) -> None:
    """Make a folder only its owner may enter; an existing one is closed to others."""
    try:
        folder.mkdir(mode=_PRIVATE_DIR, parents=True, exist_ok=True)
        folder.chmod(_PRIVATE_DIR)
    except OSError:
        raise Unavailable("data/reach cannot be written", "check its owner and mode") from None


def touch_private(path: Path) -> None:
    """Make sure a file is there and only its owner may read it."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE))
    path.chmod(_PRIVATE)


def folder_of(root: Path, number: int) -> Path:
    """Return where a generation lies."""
    return root / f"{number:06d}"


def read_pointer(root: Path) -> Generation | None:
    """Return the generation the pointer names, None before the first.

    Raises:
        Unavailable: The pointer is damaged.
    """
    try:
        held = json.loads((root / POINTER).read_bytes())
        number, size, at, people, rows = (
            int(held[name]) for name in ("number", "ledger_size", "at", "people", "rows")
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise Unavailable("the pointer data/reach/current is damaged", REBUILD) from None
    return Generation(number, size, Instant(at), folder_of(root, number) / DATABASE, people, rows)


def write_pointer(root: Path, generation: Generation) -> None:
    """Replace the pointer in one step; durable on return."""
    held = {
        name: getattr(generation, name)
        for name in ("number", "ledger_size", "at", "people", "rows")
    }
    temporary = root / f"{POINTER}.new"
    touch_private(temporary)
    temporary.write_text(json.dumps(held) + "\n", encoding="ascii")
    sync(temporary)
    temporary.replace(root / POINTER)
    sync(root)


@contextmanager
def only_writer(root: Path) -> Iterator[None]:
    """Hold the writer's place; it falls with the process.

    Raises:
        Conflict: Another process is rebuilding.
    """
    touch_private(root / "writer")
    handle = os.open(root / "writer", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Conflict("reach is being rebuilt already", "wait for it to end") from None
    finally:
        os.close(handle)


def hold(generation: Generation) -> int | None:
    """Keep a generation from being deleted; return the lock's handle, None if it is going."""
    try:
        handle = os.open(generation.path.parent / HOLD, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    if not generation.path.exists():
        os.close(handle)
        return None
    return handle


def numbers(root: Path) -> list[int]:
    """Return the numbers of the generations on disk, oldest first."""
    return sorted(int(each.name) for each in root.iterdir() if each.name.isdigit())


def drop(root: Path, number: int) -> bool:
    """Delete a generation unless a reader holds it; say whether it is gone."""
    folder = folder_of(root, number)
    touch_private(folder / HOLD)
    handle = os.open(folder / HOLD, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def sweep(root: Path) -> None:
    """Delete what a killed rebuild or reader left; call as the only writer."""
    for left in root.glob(f"{BUILDING}*"):
        shutil.rmtree(left)
    for spill in (root / SPILL).glob("*"):
        if not _alive(int(spill.name.partition("-")[0])):
            shutil.rmtree(spill)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
