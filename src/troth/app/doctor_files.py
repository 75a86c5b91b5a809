"""What the doctor looks at on the disk and of this process: modes, logs, doors, versions."""

import os
import re
import shutil
import sqlite3
import ssl
import stat
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from troth.adapters.sqlite import schema
from troth.adapters.system import SystemClock
from troth.app import backup
from troth.app.checks import Check
from troth.app.housekeeping import FREE_MIN
from troth.app.keycare import care_of
from troth.app.workspace import Workspace
from troth.errors import Fault, InvalidInput
from troth.settings import Settings
from troth.terms import moment

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_READ_MAX: Final = 20_000_000
"""Bytes of a log that are searched, the newest."""


def modes(opened: Workspace) -> Iterator[Check]:
    """Look whether anybody else on this machine may read data, keys or the witness folder."""
    s = opened.settings
    for name, folder, title in (
        ("data", s.record.parent, "Only this account reads the data folder"),
        ("keys", s.keys, "Only this account reads the key folder"),
        ("witness", s.witness, "Only this account reads the witness folder"),
    ):
        yield _mode(f"files.{name}", folder, title)


def _mode(ident: str, folder: Path, title: str) -> Check:
    if not folder.is_dir():
        return Check(ident, "stored", title, "bad", "The folder is not there", "restore it")
    if not stat.S_IMODE(folder.stat().st_mode) & _OTHERS:
        return Check(ident, "stored", title, "good", "The folder is closed to everybody else")
    loose = sum(1 for path in folder.rglob("*") if _open_to_others(path))
    said = f"The folder is open to others, and {loose:,} files in it are"
    remedy = f"run: chmod 700 {folder.name} (the account that runs Troth owns it)"
    return Check(ident, "stored", title, "bad", said, remedy)


def _open_to_others(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file() and bool(stat.S_IMODE(path.stat().st_mode) & _OTHERS)
    return False


def key_files(opened: Workspace) -> Iterator[Check]:
    """Look at each key's own mode: a folder's mode does not follow a copy."""
    title = "Each key file is closed to others"
    loose = sum(1 for path in opened.settings.keys.rglob("*") if _open_to_others(path))
    if loose:
        yield Check("keys.mode", "stored", title, "bad", f"{loose:,} key files are open to others",
                    "run: chmod 600 on each file of keys/, then roll the keys")  # fmt: skip
    else:
        yield Check(
            "keys.mode", "stored", title, "good", "No file of the key folder is open to others"
        )


def keys_apart(opened: Workspace) -> Iterator[Check]:
    """Look whether a copy of the data would take the keys with it."""
    s, title = opened.settings, "Keys lie apart from what is backed up"
    keys = s.keys.resolve()
    for folder in (s.record.parent, s.witness, *_copied_to(s)):
        if keys.is_relative_to(folder.resolve()):
            yield Check("keys.apart", "stored", title, "bad",
                        f"The key folder lies under {folder.name}/", "move it out")  # fmt: skip
            return
    for folder in (s.record.parent, s.witness, *_copied_to(s)):
        held = sum(1 for p in folder.rglob("*") if p.name == "keys.db" or p.suffix == ".key")
        if held:
            yield Check("keys.apart", "stored", title, "bad",
                        f"{held} key files lie under {folder.name}/",
                        "move them to keys/, then roll the keys")  # fmt: skip
            return
    yield Check("keys.apart", "stored", title, "good",
                "No key lies under data/, witness/ or what is backed up")  # fmt: skip


def _copied_to(settings: Settings) -> list[Path]:
    """Return the places that `[storage]` and `[keys]` name as copied, or as backups' own."""
    places = list(care_of(settings).backed_up)
    with suppress(InvalidInput):  # a place that is none is said by `backup.place`
        to = backup.schedule(settings).to
        places += [to] if to is not None else []
    return places


def record_settings(opened: Workspace) -> Iterator[Check]:
    """Look at the record's own settings: durable commits, deletions that overwrite."""
    yield record_check(opened.settings.record)


def record_check(path: Path) -> Check:
    """Look at one database file; its mode stands in the file, the rest in each connection."""
    ident, title = "record.settings", "Commits last, and what is deleted is overwritten"
    try:
        if schema.journal_mode(path) != "wal":
            return Check(ident, "stored", title, "bad", "The record is not in WAL mode",
                         "stop what else opens the file; start Troth once")  # fmt: skip
        schema.connect(path).close()
    except Fault as fault:
        return Check(ident, "stored", title, "bad", fault.message, fault.remedy)
    said = "WAL, synchronous FULL and secure_delete hold on a connection opened just now"
    return Check(ident, "stored", title, "good", said)


def logs(opened: Workspace) -> Iterator[Check]:
    """Search every log of the house for addresses and telephone numbers."""
    title = "No log holds an address"
    folder = opened.settings.folder
    found = [*folder.glob("*.log"), *folder.glob("data/*.log"), *folder.glob("data/log/*")]
    found += list(folder.glob("data/*.log.*"))
    lines = sum(_addresses(path) for path in found)
    if lines:
        yield Check("log.addresses", "stored", title, "bad",
                    f"{lines:,} lines of {len(found)} logs hold what looks like an address",
                    "delete those logs; report what wrote them")  # fmt: skip
    else:
        said = f"Searched: {len(found)}" if found else "There is no log yet"
        yield Check("log.addresses", "stored", title, "good", said)


_ADDRESS: Final = re.compile(rb"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,80}|\+\d{9,15}")


def _addresses(path: Path) -> int:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _READ_MAX))
        return sum(1 for line in file if _ADDRESS.search(line))


def ports(_opened: Workspace) -> Iterator[Check]:
    """Look at the doors of this very process: each must be on the loopback address."""
    title = "Pages answer on this machine alone; a proxy stands before them"
    listening = listening_on(Path("/proc/self"))
    if listening is None:
        yield Check("ports.loopback", "acquired", title, "unknown",
                    "This system does not say which ports are open",
                    "look with your own tool: only 127.0.0.1 and ::1 may listen")  # fmt: skip
    elif not listening:
        yield Check("ports.loopback", "acquired", title, "off",
                    "This process listens on no port; see the console's Doctor for the one that"
                    " serves")  # fmt: skip
    elif all(listening):
        yield Check("ports.loopback", "acquired", title, "good",
                    f"Ports of this process: {len(listening)}, all on the loopback")  # fmt: skip
    else:
        out = sum(1 for here in listening if not here)
        yield Check("ports.loopback", "acquired", title, "bad",
                    f"{out} ports of this process answer other machines",
                    "bind 127.0.0.1 and let a proxy with TLS stand before it")  # fmt: skip


_LISTEN: Final = "0A"


def listening_on(process: Path) -> list[bool] | None:
    """Return of each listening port whether it is on the loopback; None if it cannot be told."""
    try:
        held = {str(each.readlink()) for each in (process / "fd").iterdir() if each.is_symlink()}
        lines = [
            line.split()
            for name in ("tcp", "tcp6")
            for line in (process / "net" / name).read_text("ascii").splitlines()[1:]
        ]
    except OSError:
        return None
    return [
        _loopback(words[1].partition(":")[0])
        for words in lines
        if words[3] == _LISTEN and f"socket:[{words[9]}]" in held
    ]


def _loopback(address: str) -> bool:
    """Tell a loopback address as the kernel writes it: four bytes at a time, lowest first.

    >>> _loopback("0100007F"), _loopback("00000000"), _loopback("0" * 24 + "01000000")
    (True, False, True)
    """
    if len(address) == 8:  # noqa: PLR2004 - IPv4
        return address.endswith("7F")
    mapped = address.startswith("0000000000000000FFFF0000") and address.endswith("7F")
    return mapped or address == "0" * 24 + "01000000"


def disk(opened: Workspace) -> Iterator[Check]:
    """Look whether there is room to write."""
    free = shutil.disk_usage(opened.settings.folder).free
    title, said = "There is room to write", f"{free // 1_000_000:,} MB are free"
    if free < FREE_MIN:
        yield Check("disk.free", "stored", title, "bad", said, "free space or move the workspace")
    else:
        yield Check("disk.free", "stored", title, "good", said)


def secrets(opened: Workspace) -> Iterator[Check]:
    """Look whether a draft holds a password or a key instead of a reference to one."""
    title = "No secret stands in a draft"
    folder = opened.settings.folder
    drafts = [*folder.glob("*.toml"), *folder.glob("*/*.toml"), *folder.glob("map/*.y*ml")]
    found = [path.name for path in drafts if _SECRET.search(path.read_text("utf-8", "replace"))]
    if found:
        yield Check("files.secrets", "stored", title, "bad",
                    f"{len(found)} drafts seem to hold one, the first: {found[0]}",
                    "move it to keys/, name it as keys:NAME, and change it")  # fmt: skip
    else:
        said = f"{len(drafts)} drafts were searched"
        yield Check("files.secrets", "stored", title, "good", said)


_SECRET: Final = re.compile(
    r"(?im)^\s*\w*(?:password|passwd|secret|api_key|private_key)\w*\s*[=:]\s*"
    r"[\"'](?!keys:|env:|[\"'])|://[^/\s:@\"']{1,64}:[^/\s@\"']{1,200}@"
)


def arrivals(opened: Workspace) -> Iterator[Check]:
    """Look for lists of people that were laid into the folder and stayed there."""
    folder, title = opened.settings.folder, "Imported lists do not stay behind"
    found = [p for end in ("csv", "tsv", "xlsx", "parquet") for p in folder.glob(f"*.{end}")]
    open_ = sum(1 for path in found if _open_to_others(path))
    if open_:
        yield Check("files.arrivals", "acquired", title, "bad",
                    f"{len(found)} lists lie in the folder, {open_} of them readable by others",
                    "delete what is imported; chmod 600 what is not yet")  # fmt: skip
    elif found:
        yield Check("files.arrivals", "acquired", title, "unknown",
                    f"{len(found)} lists lie in the folder",
                    "delete those that are imported")  # fmt: skip
    else:
        yield Check("files.arrivals", "acquired", title, "good", "No list lies in the folder")


# Versions


@cache
def shipped() -> Mapping[str, Any]:
    """Return the oldest good versions, from the dated data file."""
    return tomllib.loads((files("troth") / "data/versions.toml").read_text("utf-8"))


def running() -> dict[str, str]:
    """Return the versions this process runs with."""
    try:
        primitives = version("cryptography")
    except PackageNotFoundError:
        primitives = ""
    return {
        "Python": ".".join(map(str, sys.version_info[:3])),
        "SQLite": sqlite3.sqlite_version,
        "OpenSSL": ssl.OPENSSL_VERSION.split()[1],
        "cryptography": primitives,
    }


def versions(_opened: Workspace) -> Iterator[Check]:
    """Compare what runs here with the dated list; a list past its review proves nothing."""
    today = moment(SystemClock().now()).date()
    yield from versions_as_of(today, running(), shipped())


def versions_as_of(
    today: date, have: Mapping[str, str], listed: Mapping[str, Any]
) -> Iterable[Check]:
    """Compare versions with a list as of a day."""
    for each in listed["part"]:
        name, least = each["name"], each["least"]
        ident = f"versions.{name.lower()}"
        title = f"{name} is not too old"
        held = have.get(name, "")
        if not held:
            yield Check(ident, "stored", title, "unknown", "Its version is not told", "ask IT")
        elif _numbers(held) < _numbers(least):
            yield Check(ident, "stored", title, "bad", f"{held} runs; {least} is the least",
                        f"upgrade it: {each['why']}")  # fmt: skip
        elif today > listed["review_by"]:
            yield Check(ident, "stored", title, "unknown",
                        f"{held} runs; the list is past its review of {listed['review_by']}",
                        "upgrade Troth")  # fmt: skip
        else:
            day = listed["checked_on"]
            said = f"{held} runs; {least} is the least, looked up {day.day} {day:%B %Y}"
            yield Check(ident, "stored", title, "good", said)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", text)[:3])


LOOKS: Final = (
    modes, key_files, keys_apart, record_settings, logs, ports, disk, secrets, arrivals, versions,
)  # fmt: skip
